"""`sweep`: arguments, held-out rows, and the order of the work."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import _kernels
from .._many import cross_validation
from .._many.cross_validation import Split, TableProblem, target_named, with_target
from .._many.engines import Engine, engine
from .._utils import arguments, atomic
from .._utils.names import GROUPS, METHODS
from .._utils.progress import ProgressLine, say
from .._utils.version import __version__
from ..datasets import as_table
from ..errors import DataError, ModelWarning
from ..preprocessing import split
from . import _methods
from ._result import SweepResult, TrainsFirst, Winner
from ._scheduler import Scheduler
from ._schema import EmptyStoreError, StoreError
from ._space import Space, Uniform
from ._store import Store
from ._table_runs import TableWork, check_keywords
from ._training import ScaledSplit, SweepSetup

SHARE = 0.2  # of the rows, held out by default
# Defaults for arrays; for a table they are decided.
_PLAIN = {"activation": "relu", "l1": 0.0, "l2": 0.0, "group_l1": 0.0, "dropout": 0.0,
          "optimizer": "adam", "batch_size": 32}  # fmt: skip
_PLAIN_EPOCHS = 100


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a sweep.

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
    y: Any = None,
    units: Any = None,
    *,
    target: str | None = None,
    activation: Any = None,
    l1: Any = None,
    l2: Any = None,
    group_l1: Any = None,
    dropout: Any = None,
    optimizer: Any = None,
    learning_rate: Any = None,
    batch_size: Any = "auto",
    epochs: int | None = None,
    proximal: bool = False,
    groups: str = "units",
    method: str = "grid",
    samples: int | None = None,
    eta: int = 3,
    min_epochs: int | None = None,
    seeds: int = 1,
    seed: int | None = None,
    validation_split: float | None = None,
    validation_data: Any = None,
    folds: Any = None,
    measure: str | None = None,
    task: str | None = None,
    standardize: bool = True,
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
    impute: str | None = None,
    indicator: bool = True,
    store: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    model: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    threads: int | None = None,
    verbose: int = 1,
    **table: Any,
) -> SweepResult:
    """Train many configurations, each with several seeds, and score them on held-out rows.

    If x is a table and the target is named, each run trains as `fastmlp.fit` does: what you do not
    set is chosen from the table, validation rows are held out in the same way (with fewer than 500
    rows, 5-fold cross-validation), and the epoch with the smallest validation loss is kept. For
    arrays x and y, the defaults are constants.

    Every finished run is written to an SQLite file at once. An interrupted sweep resumes from the
    file when it is called again with the same data and settings. The results of a run do not depend
    on where it is trained: in this process, by `jobs` processes, or on a cluster.

    Parameters
    ----------
    x : path, Table, data frame, Arrow table, mapping, or array-like of shape (n, p)
    y : array-like of shape (n,), or str, optional
        Numbers or classes of arrays; or the name of a column of x, by default the last.
    units : str, sequence of int, or list of these
        Widths of the hidden layers, such as "64x2", [64, 32] or "none", or a list of these to try.
        By default chosen by the number of rows of a table; required for arrays.
    target : str, optional
        The column to predict, in place of y.
    activation, l1, l2, group_l1, dropout, optimizer, learning_rate, batch_size
        A value for all layers, or a list of values to try; see `models.mlp` and `Sequential.fit`.
        Optimizers are given by name. Numbers may also be a range to draw from, `Uniform` or
        `LogUniform`. By default they are chosen from the table; for arrays they are "relu", no
        dropout, "adam" with its own rate, and batches of 32, where batch_size None means all rows.
    epochs : int, optional
        Epochs of each run, of which a table keeps the best; with halving, in the last round. By
        default chosen by the number of rows of a table, 100 for arrays.
    proximal : bool
        Whether l1 makes weights exactly zero.
    groups : {"units", "inputs"}
        What a group of group_l1 is: the weights of a unit, or those from an input.
    method : {"grid", "random", "halving", "optuna"}
        "grid" tries all combinations, and "random" draws `samples` of them. "halving" is successive
        halving of either: only the best 1/eta of the configurations are trained again in the next
        round, with eta times the epochs. "optuna" tries `samples` configurations that are proposed
        by Optuna's tree-structured Parzen estimator.
    samples : int, optional
        Number of configurations to draw, or to get from Optuna.
    eta : int
        Factor of halving, at least 2.
    min_epochs : int, optional
        Minimum number of epochs in the first round of halving.
    seeds : int
        Number of networks of each configuration, with the seeds `seed`, `seed` + 1 and so on.
    seed : int, optional
        First seed; also the random seed for held-out rows, folds and drawn configurations. If it
        is not given, it is that of the sweep in `store`, or drawn and recorded there and in
        `SweepResult.settings`.
    validation_split : float, optional
        Share of the rows to hold out, drawn at random and stratified by class; 0.2 by default,
        unless `validation_data` or `folds` is given, or a table has fewer than 500 rows, for which
        5 folds are used.
    validation_data : tuple (x, y), or a path or table if the target is named, optional
        Rows to score on, instead of a split; ``validation`` is the same.
    folds : int or array-like of shape (n,), optional
        Cross-validation, instead of a split: number of folds, or each row's fold. Every
        configuration has a run for each fold.
    measure : {"mse", "deviance", "misclassification"}, optional
        Error measure to rank by: by default the mean squared error, or for classes the deviance.
    task, standardize, categorical, drop, impute, indicator
        See `preprocessing.Preprocessing.fit`, which is fitted to training rows. By default, missing
        values are imputed in a table whose target is named, and are an error in arrays.
    store : str or path, optional
        The SQLite file, of any suffix; by default the store is in memory.
    overwrite : bool
        Whether to replace a store of another sweep, or a file that is not a store.
    model : str or path, optional
        File for the network of the first rank, `SweepResult.model`; an existing one is replaced.
    jobs : int, optional
        Number of worker processes, through joblib. By default, the workers of an active
        ``joblib.parallel_config`` (whose backend may be Dask), or else threads of this process.
    cluster : str, optional
        The address of a Dask scheduler, "tcp://host:8786".
    threads : int, optional
        Number of threads. With `jobs` or `cluster`, the number of each worker: by default the
        processors divided by `jobs`, and on a cluster 1.
    verbose : {0, 1}
        1: a progress line on stderr once it has taken a second, and notes.
    **table
        Further keywords of `fastmlp.fit`, with the same meaning, for a table: how to read a file
        (``delimiter`` to ``sheet``), ``keep``, ``max_categories``, ``unknown``, ``date_parts``,
        ``target_transform``, ``weight``, ``group``, ``time``, ``validation``, ``schedule``,
        ``patience``, ``clip``, ``loss`` and ``class_weight``.

    Returns
    -------
    SweepResult

    Raises
    ------
    DataError
        If the data cannot be used.
    StoreError
        If the store is damaged, or belongs to another sweep; the message says what differs.
    ValueError
        If an argument is invalid, or needs a package that is not installed.
    OSError
        If the store cannot be written, or the scheduler does not answer.
    SweepInterrupted
        After Ctrl-C, with the finished runs, which are in the store.

    References
    ----------
    Jamieson & Talwalkar (2016), AISTATS: successive halving.
    """
    method = arguments.one_of("method", method, METHODS)
    n_seeds, eta = arguments.integer("seeds", seeds), arguments.integer("eta", eta, 2)
    for name, value in {"samples": samples, "min_epochs": min_epochs, "epochs": epochs}.items():
        if value is not None:
            arguments.integer(name, value)
    proximal, overwrite = (
        arguments.flag("proximal", proximal),
        arguments.flag("overwrite", overwrite),
    )
    if seed is None:
        seed = seed_for(store, overwrite)
    seed = arguments.seed(seed, 1 << 62, "2**62")
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
        if not isinstance(lambdas, Uniform) and (lambdas is None or not np.any(lambdas)):
            arguments.warn_unused(f"{of} is 0", {name: flag}, defaults)
    if method == "optuna":
        _methods.import_optuna()
    if model is not None:
        atomic.check(Path(arguments.path("model", model)))
    named, y = target_named(x, y, target)
    check_keywords(table, named)
    space = {
        "units": units, "activation": activation, "l1": l1, "l2": l2, "group_l1": group_l1,
        "dropout": dropout, "optimizer": optimizer, "learning_rate": learning_rate,
        "batch_size": batch_size,
    }  # fmt: skip
    columns = {
        "task": task, "standardize": arguments.flag("standardize", standardize),
        "categorical": categorical, "drop": drop, "impute": impute, "indicator": indicator,
    }  # fmt: skip
    make = _of_table if named else _of_arrays
    work = make(
        x, y, space, columns, table, epochs, validation_split, validation_data, folds, seed,
        proximal, groups, Path(store) if store is not None and not overwrite else None,
    )  # fmt: skip
    if verbose:
        for note in work.notes:
            say(note, sys.stderr)
    setup, winner, splits = work.setup, work.winner, work.setup.splits
    measure = work.measures[0] if measure is None else arguments.one_of(
        "measure", measure, work.measures
    )  # fmt: skip
    plan = _methods.plan(method, work.space, work.epochs, seed, samples, eta, min_epochs)
    settings = {
        "task": work.task,
        "measures": list(work.measures),
        "data": work.data,
        "parameters": work.space.to_dict(),
        "epochs": work.epochs,
        "proximal": proximal,
        "groups": groups,
        "method": method,
        "plan": plan.facts,
        "seeds": n_seeds,
        "seed": seed,
        "measure": measure,
        **work.facts,
    }
    total = plan.total * n_seeds * len(splits)
    if store is not None:
        Store.check_place(store)
    with (
        engine(jobs, cluster, threads) as workers,  # first: it may fail, and a store be replaced
        Store.created(store, json.loads(json.dumps(settings)), overwrite) as kept,
    ):
        kept.begin_session({"runs": total, **_facts(workers, jobs, cluster)})
        with ProgressLine("sweep", total, "runs", enabled=bool(verbose)) as line:
            run_seeds = [seed + i for i in range(n_seeds)]
            scheduler = Scheduler(setup, plan, run_seeds, kept, measure, workers, line.update)
            try:
                scheduler.run()
            except KeyboardInterrupt as stop:
                kept.write_pending()
                result = SweepResult.of(kept, winner)
                message = f"Interrupted after {len(result)} of {total} runs."
                raise SweepInterrupted(message, result) from stop
        kept.write_pending()
        result = SweepResult.of(kept, winner)
    if model is not None and result.finished:
        result.model.save(Path(model))
    elif model is not None:
        text = f"No network was kept in {os.fspath(model)}: every configuration diverged"
        arguments.warn(text, ModelWarning)
    return result


@dataclass
class _Work:
    """What is to be trained: configurations, rows, and what identifies both."""

    space: Space
    setup: SweepSetup
    winner: TrainsFirst
    task: str
    measures: Sequence[str]
    data: dict[str, Any]
    epochs: int
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _of_table(
    x: Any, target: Any, space: dict[str, Any], columns: dict[str, Any], table: dict[str, Any],
    epochs: int | None, share: float | None, validation: Any, folds: Any, seed: int,
    proximal: bool, groups: str, store: Path | None,
) -> _Work:  # fmt: skip
    """Prepare a table, and decide what is not given."""
    columns = {name: value for name, value in columns.items() if (name, value) != ("impute", None)}
    given = {**columns, **table, "validation_split": share, "epochs": epochs}
    if validation is not None and table.get("validation") is not None:
        raise ValueError("validation and validation_data are the same. Received: both")
    given["validation"] = validation if validation is not None else table.get("validation")
    work = TableWork(x, target, given, folds, seed)
    decided = {
        name: value if value is not None and (name, value) != ("batch_size", "auto") else None
        for name, value in space.items()
    }
    defaults = work.defaults()
    decided = {n: defaults.get(n) if value is None else value for n, value in decided.items()}
    made = Space(rate=work.rate, **decided)
    penalties = (space[name] is not None for name in ("l1", "l2", "group_l1"))
    setup = work.setup(proximal, groups, any(penalties))
    return _Work(
        made, setup, work.winner(setup), work.prepared.task, work.measures, work.digests(setup),
        work.prepared.decisions.epochs, {"decided": work.facts()}, list(work.prepared.notes),
    )  # fmt: skip


def _of_arrays(
    x: Any, y: Any, space: dict[str, Any], columns: dict[str, Any], table: dict[str, Any],
    epochs: int | None, share: float | None, validation: Any, folds: Any, seed: int,
    proximal: bool, groups: str, store: Path | None,
) -> _Work:  # fmt: skip
    """Prepare arrays, with the plain defaults."""
    if space["units"] is None:
        raise ValueError("units must say which networks to try, if y is an array. Received: None")
    given = {n: _PLAIN.get(n) if value is None else value for n, value in space.items()}
    if isinstance(space["batch_size"], str) and space["batch_size"] == "auto":
        given["batch_size"] = _PLAIN["batch_size"]
    elif space["batch_size"] is None:
        given["batch_size"] = None
    made = Space(None, **given)
    task = columns.pop("task")
    problem = TableProblem(x, y, task, "float32", **columns)
    parts = _splits(problem, y, share, validation, folds, seed)
    splits = [_scaled(part) for part in parts]
    data = _digests(problem, splits)
    by_class = validation is folds is None and problem.codes is not None
    if by_class and (found := _kept_settings(store, False)):
        before = [_drawn(problem, share, seed, stratified=False)]
        old = [_scaled(part) for part in before]
        if _digests(problem, old) == found["data"]:  # a store written before classes counted
            parts, splits, data = before, old, found["data"]
    made.resolve_batches(max(len(split.x) for split in splits))
    setup = SweepSetup(splits, problem.n_classes, proximal, groups)
    # With folds, no fold's rows are preferred to others: the network is trained on all of them.
    winner = Winner(setup, parts[0] if len(parts) == 1 else problem.whole, seed)
    return _Work(made, setup, winner, problem.task, problem.measures, data, epochs or _PLAIN_EPOCHS)


def seed_for(store: str | os.PathLike[str] | None, overwrite: bool = False) -> int:
    """Return the seed of the sweep that a store holds; draw one if there is none yet.

    Parameters
    ----------
    store : str or path, or None
    overwrite : bool
        Whether the store may be replaced, and so may be damaged.

    Returns
    -------
    int
    """
    kept = _kept_settings(store, overwrite)
    return arguments.seed(None) if kept is None else int(kept["seed"])


def _kept_settings(store: str | os.PathLike[str] | None, overwrite: bool) -> dict[str, Any] | None:
    """Return the settings of the sweep that a store holds; None if there is none yet."""
    if store is None:
        return None
    file = Path(arguments.path("store", store))
    if not file.is_file() or not file.stat().st_size:
        return None
    try:
        with Store.opened(file) as kept:
            return kept.settings
    except EmptyStoreError:
        return None
    except StoreError:
        if overwrite:
            return None
        raise


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


def _splits(
    problem: TableProblem, y: Any, share: float | None, validation: Any, folds: Any, seed: int
) -> list[Split]:
    """Return the rows to train on and to score on, for each fold."""
    given = {"validation_split": share, "validation_data": validation, "folds": folds}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ValueError(f"{' and '.join(names)} exclude each other. Received: both")
    n = problem.n_rows
    if validation is not None:
        return [_with_validation(problem, y, validation)]
    if folds is not None:
        fold = cross_validation.assign_folds(folds, problem.codes, problem.labels, n, seed)
        return [problem.split(fold == k) for k in range(int(fold.max()) + 1)]
    if share is not None:
        rule = "a number in (0, 1): a sweep is scored on rows held out"
        share = arguments.number("validation_split", share, rule, lambda v: 0 < v < 1)
    return [_drawn(problem, share, seed)]


def _drawn(problem: TableProblem, share: float | None, seed: int, stratified: bool = True) -> Split:
    classes = problem.codes if stratified else None
    _, held = split(problem.n_rows, SHARE if share is None else share, seed, classes)
    mask = np.zeros(problem.n_rows, bool)
    mask[held] = True
    return problem.split(mask)


def _scaled(rows: Split) -> ScaledSplit:
    assert rows.held_x is not None and rows.held_y is not None
    scale = rows.preprocessing.target.scale
    return ScaledSplit(rows.x, rows.y, rows.held_x, rows.held_y, float(scale))


def _with_validation(problem: TableProblem, y: Any, validation: Any) -> Split:
    """Return all rows to train on, and the validation rows to score on."""
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


def _digests(problem: TableProblem, splits: list[ScaledSplit]) -> dict[str, Any]:
    """Return the sizes and digests that identify a data set."""
    training, held = hashlib.sha256(), hashlib.sha256()
    training.update(json.dumps(problem.labels, default=str).encode())
    for rows in splits:
        for digest, arrays in ((training, rows[:2]), (held, rows[2:4])):
            for array in arrays:
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "rows": len(splits[0].x),
        "rows held out": len(splits[0].held_x),
        "inputs": splits[0].x.shape[1],
        "folds": len(splits),
        "training rows digest": training.hexdigest(),
        "held-out rows digest": held.hexdigest(),
    }
