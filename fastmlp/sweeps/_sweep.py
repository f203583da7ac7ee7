"""`sweep`: checks, the rows held out, and the way through the plan."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from typing import Any

import numpy as np

from .. import _kernels
from .._many import cross_validation
from .._many.cross_validation import Part, Problem, with_target
from .._many.engines import Engine, engine
from .._utils import arguments
from .._utils.progress import ProgressLine
from .._utils.version import __version__
from ..datasets import as_table
from ..errors import DataError
from ..preprocessing import split
from ..regularizers import GROUPS
from . import _methods
from ._result import SweepResult
from ._runs import Conductor
from ._space import Space, Uniform
from ._store import Store
from ._training import Rows, Work

SHARE = 0.2  # of the rows that is held out by default


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a sweep.

    Attributes
    ----------
    result : SweepResult
        The runs that were finished.
    """

    def __init__(self, message: str, result: SweepResult) -> None:
        super().__init__(message)
        self.result = result


def sweep(
    x: Any,
    y: Any,
    units: Any,
    *,
    activation: Any = "relu",
    l1: Any = 0.0,
    l2: Any = 0.0,
    group_l1: Any = 0.0,
    dropout: Any = 0.0,
    optimizer: Any = "adam",
    learning_rate: Any = None,
    batch_size: Any = 32,
    epochs: int = 100,
    proximal: bool = False,
    groups: str = "units",
    method: str = "grid",
    samples: int | None = None,
    eta: int = 3,
    min_epochs: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    validation_split: float | None = None,
    validation_data: Any = None,
    folds: Any = None,
    measure: str | None = None,
    task: str | None = None,
    standardize: bool = True,
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
    impute: str | None = None,
    indicator: bool = False,
    store: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    threads: int | None = None,
    verbose: int = 1,
) -> SweepResult:
    """Try many configurations, each with several seeds, and score them on rows held out.

    Every finished run is a row of an SQLite file, written at once; a sweep that was killed goes on
    from there when it is called again with the same data and settings. A run has the same bits
    wherever it is done: in this process, by `jobs` processes, or on a cluster.

    Parameters
    ----------
    x : array-like of shape (n, p), data frame, Table and so on
        What `datasets.as_table` takes.
    y : array-like of shape (n,), or str
        Numbers or classes; or the name of a column of x.
    units : str, sequence of int, or list of these
        Hidden layers' widths, such as "64x2", [64, 32] or "none"; a list of them is tried.
    activation, l1, l2, group_l1, dropout, optimizer, learning_rate, batch_size
        A value, or a list of values to try; of `models.mlp`, by name, or of `Sequential.fit`,
        batch_size None meaning all rows, learning_rate None the optimizer's own. Numbers may also
        be a range to draw from, `Uniform` or `LogUniform`. One value holds for all layers.
    epochs : int
        Of training; with halving, of the last rung.
    proximal : bool
        Whether l1 makes weights exactly zero.
    groups : {"units", "inputs"}
        What group_l1 is about.
    method : {"grid", "random", "halving", "optuna"}
        All combinations; `samples` of them, drawn by `seed`; successive halving of either, by
        which only 1/eta of the configurations go on to the next rung with eta times the epochs,
        trained anew there; or `samples` proposed by Optuna's tree-structured Parzen estimator.
    samples : int, optional
    eta : int
        At least 2.
    min_epochs : int, optional
        Of halving's first rung, at least.
    seeds : int
        Networks of each configuration: of the seeds `seed`, `seed` + 1 and so on.
    seed : int
        Also of the rows held out, of the folds and of what is drawn.
    validation_split : float, optional
        Share of the rows to hold out, drawn at random; 0.2 unless there are rows otherwise.
    validation_data : tuple (x, y), or a table if y names a column, optional
        Rows to score on, instead of a split.
    folds : int or array-like of shape (n,), optional
        Cross-validation instead: how many, or each row's fold. A run for each.
    measure : {"mse", "deviance", "misclassification"}, optional
        What ranks: by default the mean squared error, for classes the deviance.
    task, standardize, categorical, drop, impute, indicator
        See `path`; what is learnt from columns is learnt from training rows.
    store : str or path, optional
        The SQLite file, whatever its suffix; by default in memory.
    overwrite : bool
        Whether a store that is another sweep's, or a file that is none, is replaced.
    jobs : int, optional
        Processes of this machine, through joblib, instead of threads of this process. By default
        what ``joblib.parallel_config`` says, where it is in force; its backend may be Dask.
    cluster : str, optional
        The address of a Dask scheduler, "tcp://host:8786".
    threads : int, optional
        Of this process; with jobs or a cluster, of each worker: by default the processors shared
        out, on a cluster 1.
    verbose : {0, 1}
        1: a progress line on stderr once it has taken a second.

    Returns
    -------
    SweepResult

    Raises
    ------
    DataError
        If the data cannot be used.
    StoreError
        If the store is another sweep's, saying what differs, or is damaged.
    ValueError
        If an argument is not what it should be; a DataError if it needs what is not installed.
    OSError
        If the store cannot be written, or the scheduler does not answer.
    SweepInterrupted
        After Ctrl-C, with the runs that were finished, which the store keeps.

    References
    ----------
    Jamieson & Talwalkar (2016), AISTATS, for successive halving.
    """
    method = arguments.one_of("method", method, _methods.METHODS)
    space = Space(
        units=units, activation=activation, l1=l1, l2=l2, group_l1=group_l1, dropout=dropout,
        optimizer=optimizer, learning_rate=learning_rate, batch_size=batch_size,
    )  # fmt: skip
    epochs, n_seeds = arguments.integer("epochs", epochs), arguments.integer("seeds", seeds)
    seed, eta = arguments.below("seed", seed, 1 << 62, 0, "2**62"), arguments.integer("eta", eta, 2)
    for name, value in {"samples": samples, "min_epochs": min_epochs}.items():
        if value is not None:
            arguments.integer(name, value)
    proximal, overwrite = (
        arguments.flag("proximal", proximal),
        arguments.flag("overwrite", overwrite),
    )
    arguments.verbosity(verbose)
    groups = arguments.one_of("groups", groups, GROUPS)
    defaults = arguments.defaults_of(sweep)
    if method != "halving":
        of_halving = {"eta": eta, "min_epochs": min_epochs}
        arguments.warn_unused(f"method={method!r} has no rungs", of_halving, defaults)
    for name, flag, of, lambdas in (
        ("proximal", proximal, "l1", l1),
        ("groups", groups, "group_l1", group_l1),
    ):
        if not isinstance(lambdas, Uniform) and not np.any(lambdas):
            arguments.warn_unused(f"{of} is 0", {name: flag}, defaults)
    if method == "optuna":
        _methods.import_optuna()
    problem = Problem(
        x, y, task, "float32", standardize=arguments.flag("standardize", standardize),
        categorical=categorical, drop=drop, impute=impute, indicator=indicator,
    )  # fmt: skip
    measure = problem.chosen_measure(measure)
    place = problem.measures.index(measure)
    parts = _parts(problem, y, validation_split, validation_data, folds, seed)
    space.resolve_batches(max(len(part.x) for part in parts))
    plan = _methods.plan(method, space, epochs, seed, samples, eta, min_epochs)
    work = Work(parts, problem.n_classes, proximal, groups)
    settings = {
        "task": problem.task,
        "measures": list(problem.measures),
        "data": _digested(problem, parts),
        "parameters": space.to_dict(),
        "epochs": epochs,
        "proximal": proximal,
        "groups": groups,
        "method": method,
        "plan": plan.facts,
        "seeds": n_seeds,
        "seed": seed,
        "measure": measure,
    }
    total = plan.total * n_seeds * len(parts)
    if store is not None:
        Store.check_place(store)
    with (
        engine(jobs, cluster, threads) as workers,  # before an old store gives way
        Store.created(store, json.loads(json.dumps(settings)), overwrite) as kept,
    ):
        kept.begin_session({"runs": total, **_facts(workers, jobs, cluster)})
        with ProgressLine("sweep", total, "runs", enabled=bool(verbose)) as line:
            conductor = Conductor(
                work, plan, [seed + i for i in range(n_seeds)], kept, place, workers, line.update
            )
            try:
                conductor.conduct()
            except KeyboardInterrupt as stop:
                kept.write_rest()
                result = SweepResult.of(kept)  # which knows best what was written
                message = f"Interrupted after {len(result)} of {total} runs."
                raise SweepInterrupted(message, result) from stop
        kept.write_rest()
        return SweepResult.of(kept)


def _facts(workers: Engine, jobs: int | None, cluster: str | None) -> dict[str, Any]:
    return {
        "engine": workers.name,
        "workers": workers.n_workers,
        "threads": workers.n_threads,
        "jobs": jobs,
        "cluster": cluster,
        "version": __version__,
        "isa": _kernels.isa(),
    }


# ---- rows --------------------------------------------------------------------------------------


def _parts(
    problem: Problem, y: Any, share: float | None, validation: Any, folds: Any, seed: int
) -> list[Rows]:
    """Return the rows to train and to score on, for each fold."""
    given = {"validation_split": share, "validation_data": validation, "folds": folds}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ValueError(f"{' and '.join(names)} exclude each other. Received: both")
    n = problem.n_rows
    if validation is not None:
        return [_rows(_validated(problem, y, validation))]
    if folds is not None:
        fold = cross_validation.assigned(folds, problem.codes, problem.labels, n, seed)
        return [_rows(problem.part(fold == k)) for k in range(int(fold.max()) + 1)]
    if share is not None:
        rule = "a number in (0, 1): a sweep is scored on rows held out"
        share = arguments.number("validation_split", share, rule, lambda v: 0 < v < 1)
    _, held = split(n, SHARE if share is None else share, seed)
    mask = np.zeros(n, bool)
    mask[held] = True
    return [_rows(problem.part(mask))]


def _rows(part: Part) -> Rows:
    assert part.held_x is not None and part.held_y is not None
    scale = part.preprocessing.target.scale
    return Rows(part.x, part.y, part.held_x, part.held_y, float(scale))


def _validated(problem: Problem, y: Any, validation: Any) -> Part:
    """Return all rows to train on, and other ones to score on."""
    if isinstance(y, str):
        table = as_table(validation)
    elif isinstance(validation, (tuple, list)) and len(validation) == 2:
        table, target = with_target(*validation)
        table.columns[problem.target] = table.columns.pop(target)
    else:
        raise DataError("validation_data must be (x, y), or a table if y names a column")
    state = problem.whole.preprocessing
    y_held = state.targets(table, problem.dtype)
    return problem.whole._replace(held_x=state.inputs(table, problem.dtype), held_y=y_held)


def _digested(problem: Problem, parts: list[Rows]) -> dict[str, Any]:
    """Return what a data set is recognised by."""
    training, held = hashlib.sha256(), hashlib.sha256()
    training.update(json.dumps(problem.labels, default=str).encode())
    for rows in parts:
        for digest, arrays in ((training, rows[:2]), (held, rows[2:4])):
            for array in arrays:
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "rows": len(parts[0].x),
        "rows held out": len(parts[0].held_x),
        "inputs": parts[0].x.shape[1],
        "folds": len(parts),
        "training rows digest": training.hexdigest(),
        "held-out rows digest": held.hexdigest(),
    }
