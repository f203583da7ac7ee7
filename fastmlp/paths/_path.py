"""`path`: arguments, the grid, the fits on all rows and without each fold, and the result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import layers, tabular
from .._many import cross_validation
from .._many.cross_validation import TableProblem, target_named
from .._many.engines import Engine, engine
from .._model.architecture import parse_hidden
from .._utils import arguments
from .._utils.names import CHOICES
from .._utils.progress import ProgressLine, say
from ..datasets import Table
from ..errors import ModelWarning
from ..models import Sequential
from ..preprocessing import column_names
from . import _grid
from ._fold_paths import FoldPath, FoldPaths, Packed, Step, can_keep
from ._result import PathResult
from ._search import EXPECTED_FITS, EXPLAINED, largest_lambda
from ._solvers import Array, PathSettings, State

_RATIO = 1e-3  # smallest over largest lambda, with hidden layers
_MAX_EXTRA = 30  # lambdas above the largest that the search found
_BATCH, _STEPS, _EPOCHS = 256, 1000, 200
_FULL_BATCH = 2048  # with at most so many rows, a batch has all of them


_TABLE_ACTIVATION = "silu"  # of hidden layers for a table, as `tabular.decide` has it
_WORDS = (*tabular.READING, "group", "weight")
_FOLDS = "each lambda is scored in the folds of a cross-validation; folds says how many"
_LOSS = "lambda is measured in the squared error or the cross-entropy"
_TRAINING = "each lambda gets the same epochs of Adam, with a rate that falls at their end"
_CHOSEN = "a path chooses a lambda; train a network with it for more"
# Keywords of `fastmlp.fit` that a path does not take, and why.
REFUSED = {
    "validation_split": _FOLDS, "validation": _FOLDS, "time": _FOLDS, "loss": _LOSS,
    "class_weight": _LOSS, "patience": _TRAINING, "schedule": _TRAINING, "optimizer": _TRAINING,
    "clip": _TRAINING, "max_time": _TRAINING, "dropout": "the penalty alone regularises a path",
    "metric": "a path has one error, measure", "metrics": "a path has one error, measure",
    "refit": "the network of every lambda is fitted to all rows in any case", "interval": _CHOSEN,
    "threshold": _CHOSEN, "cost": _CHOSEN, "find_rate": _CHOSEN,
    **dict.fromkeys(("l1", "l2", "group_l1"), "penalty names it, and lambdas are its values"),
}  # fmt: skip


class PathInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a path.

    Attributes
    ----------
    result : PathResult
        The lambdas that were finished.
    """

    def __init__(self, message: str, result: PathResult) -> None:
        super().__init__(message)
        self.result = result


def path(
    x: Any,
    y: Any = None,
    units: str | Sequence[int] | None = None,
    *,
    target: str | None = None,
    penalty: str = "l1",
    n_lambdas: int = 50,
    lambdas: Any = None,
    lambda_ratio: float | None = None,
    layer_factors: Sequence[float] | None = None,
    l1_ratio: float = 1.0,
    folds: Any = 5,
    choose: str = "1se",
    measure: str | None = None,
    seed: int | None = None,
    task: str | None = None,
    standardize: bool = True,
    activation: str | Sequence[str] | None = None,
    epochs: int | None = None,
    first_epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float = 0.01,
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
    impute: str | None = None,
    indicator: bool = True,
    keep: Collection[str] = (),
    max_categories: int = 64,
    unknown: str = "ignore",
    date_parts: bool = False,
    target_transform: str | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    threads: int | None = None,
    verbose: int = 1,
    **table: Any,
) -> PathResult:
    """Fit a network for many lambdas, cross-validate each, and choose one lambda.

    lambda multiplies the penalty on the weights, which is added to the mean squared error or the
    cross-entropy, as in `regularizers`. l1 is ``lambda * sum(|w|)``, with proximal steps, which
    make weights exactly zero. l2 is ``lambda * sum(w**2)``. group is ``GroupL1(lambda, "inputs")``,
    which removes whole inputs and hidden units. Biases are not penalised.

    With hidden layers, lambdas are fitted from the smallest to the largest, and each network starts
    from the weights of the one before: a network of zeros could not be trained further. Without
    hidden layers, they are fitted from the largest to the smallest, each to rounding error.

    Parameters
    ----------
    x : path, Table, data frame, Arrow table, mapping, or array-like of shape (n, p)
    y : array-like of shape (n,), or str, optional
        Numbers or classes of arrays; or the name of a column of x, by default the last.
    units : str or sequence of int, optional
        Widths of the hidden layers, such as "64x2"; "none" or () for none. By default decided from
        a table's number of rows, and none for arrays.
    target : str, optional
        The column to predict, in place of y.
    penalty : {"l1", "l2", "group"}
    n_lambdas : int
        Number of lambdas, evenly spaced in the logarithm. The largest is the smallest one at which
        all weights are zero, or with l2, at which the model explains less than 1% of the loss.
    lambdas : sequence of float, or array-like of shape (n, n_layers), optional
        The lambdas, in any order, instead of `n_lambdas`. With two axes, a row is a step of the
        path and a column has the lambdas of a Dense layer.
    lambda_ratio : float, optional
        The smallest lambda as a share of the largest. By default 1e-3 with hidden layers; without
        them 1e-4, or 1e-2 where inputs outnumber rows, for l2 a tenth of that.
    layer_factors : sequence of float, optional
        Multiplier of lambda for each Dense layer, output included; 0 for no penalty.
    l1_ratio : float
        Below 1, the penalty l1 is ``lambda * (l1_ratio * sum(|w|) + (1 - l1_ratio) / 2 *
        sum(w**2))``. That is the penalty of scikit-learn's ElasticNet with alpha = lambda / 2, as
        its loss is half the mean squared error.
    folds : int or array-like of shape (n,)
        Number of folds, drawn with `seed` (with equal shares of each class), or each row's fold.
    choose : {"1se", "min"}
        The lambda of `PathResult.model`: the largest with an error within one standard error of
        the least cross-validated error, or the one with the least error. Where the best constant
        lies within that standard error, or "1se" leaves no weights, "1se" means "min"; see
        `PathResult.chosen`.
    measure : {"mse", "deviance", "misclassification"}, optional
        The error measure: by default the mean squared error, or for classes the deviance.
    seed : int, optional
        Random seed for folds and initial weights; all folds have the same initial weights. Drawn
        if it is not given, and recorded in `PathResult.seed`.
    task : {"regression", "classification"}, optional
        By default chosen from the target.
    standardize : bool
        Scale numeric inputs and a regression target, in each fold by its training rows; lambda
        then refers to that scale. Errors and predictions are in the target's units. Inputs of a
        table are scaled as in `fastmlp.fit`; those of arrays, and of models without hidden layers,
        to mean 0 and standard deviation 1.
    activation : str or sequence of str, optional
        Activation of the hidden layers, by default "silu" for a table and "relu" for arrays.
    epochs : int, optional
        Epochs for each lambda. By default 200, or with batches, the number that makes 1000 steps,
        but at least 2.
    first_epochs : int, optional
        Epochs for the first lambda, which starts from random weights; by default 5 * `epochs`.
    batch_size : int, optional
        By default all rows, or 256 if there are more than 2048 rows.
    learning_rate : float
        Adam's learning rate; a tenth of it is used in the last 30% of the epochs.
    categorical, drop, impute, indicator, keep, max_categories, unknown, date_parts
        See `preprocessing.Preprocessing.fit`. By default missing values are filled in a table whose
        target is named, and refused in arrays.
    target_transform : {"log", "sqrt", "quantile"}, optional
        See `preprocessing.Preprocessing.fit`. Errors are in the units of the target.
    jobs : int, optional
        Number of worker processes for the folds' paths, through joblib. By default, the workers
        of an active ``joblib.parallel_config`` (whose backend may be Dask), or else threads of
        this process.
    cluster : str, optional
        The address of a Dask scheduler, "tcp://host:8786". A fold's path stays on one worker.
    threads : int, optional
        Number of threads, among which the folds' paths are divided. Results do not depend on it.
        With `jobs` or `cluster`, the number of each worker.
    verbose : {0, 1}
        1: a progress line on stderr after a second, and notes about the table.
    **table
        Further keywords of `fastmlp.fit`, with the same meaning, for a table: how to read a file
        (``delimiter`` to ``sheet``), ``group``, whose rows stay in one fold, and ``weight``, a
        column by which rows count in training and in all errors.

    Returns
    -------
    PathResult

    Raises
    ------
    DataError
        If the data cannot be used, or a fold lacks a class.
    ValueError
        If an argument is invalid.
    DivergedError
        If a network's loss becomes infinite or NaN.
    PathInterrupted
        After Ctrl-C, with the result up to that point. If no lambda is finished yet, a plain
        KeyboardInterrupt, as with `jobs` or `cluster`, whose workers return whole paths.

    Warns
    -----
    ModelWarning
        If the model is not that of `choose`, is empty or no better than a constant, or the least
        error lies at an end of the grid; see `PathResult.warnings`.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), Journal of Statistical Software 33(1); Lemhadri, Ruan,
    Abraham & Tibshirani (2021), Journal of Machine Learning Research 22, for dense to sparse.
    """
    arguments.verbosity(verbose)
    named, y = target_named(x, y, target)
    rows = _Rows(x, y, named, table)
    if units is None and named:
        units = tabular.path_units(rows.n_rows)
    hidden = parse_hidden(units)
    given_activation = activation
    if activation is None:
        activation = _TABLE_ACTIVATION if named else "relu"
    layers.check_activations(activation)
    n_lambdas = arguments.integer("n_lambdas", n_lambdas)
    seed = arguments.seed(seed)
    arguments.one_of("choose", choose, CHOICES)
    settings = PathSettings(
        hidden,
        penalty,
        l1_ratio,
        activation=activation,
        seed=seed,
        learning_rate=arguments.number(
            "learning_rate", learning_rate, "a finite number above 0", lambda v: v > 0
        ),
    )  # fmt: skip
    defaults = arguments.defaults_of(path)
    if not hidden:
        trained = {
            "activation": given_activation, "epochs": epochs, "first_epochs": first_epochs,
            "batch_size": batch_size, "learning_rate": learning_rate,
        }  # fmt: skip
        reason = "a model without hidden layers is solved, not trained"
        arguments.warn_unused(reason, trained, defaults)
    if lambdas is not None:
        ends = {"n_lambdas": n_lambdas, "lambda_ratio": lambda_ratio}
        arguments.warn_unused("lambdas are given", ends, defaults)
    n_layers = len(hidden) + 1
    factors = _grid.factors(layer_factors, n_layers)
    grid = None if lambdas is None else _grid.given(lambdas, layer_factors, n_layers)
    if lambda_ratio is not None:
        arguments.number("lambda_ratio", lambda_ratio, "a number in (0, 1)", lambda v: 0 < v < 1)
    # Robust scaling would bend what a model without hidden layers is: linear in every column.
    scaling: str | bool = "robust" if named and hidden else "deviation"
    problem = TableProblem(
        rows.x, rows.y, task, settings.dtype,
        standardize=scaling if arguments.flag("standardize", standardize) else False,
        drop=[*column_names("drop", drop), *rows.left_out],
        categorical=categorical, impute=impute, indicator=indicator, keep=keep,
        max_categories=max_categories, unknown=unknown, date_parts=date_parts,
        target_transform=target_transform, weight=rows.weights,
    )  # fmt: skip
    sizes: dict[str, Any] = lengths(problem.n_rows, batch_size, epochs, first_epochs)
    settings = replace(settings, n_classes=problem.n_classes, **sizes)
    measure = problem.chosen_measure(measure)
    fold_of_row = cross_validation.assign_folds(
        rows.folds(folds, problem.rows, seed), problem.codes, problem.labels, problem.n_rows, seed
    )
    if verbose:
        for note in rows.notes(problem, task is None):
            say(note, sys.stderr)
    if grid is None:
        with ProgressLine("largest lambda", EXPECTED_FITS, "fits", enabled=bool(verbose)) as line:
            largest = largest_lambda(problem, settings, factors, line)
        ratio = lambda_ratio or _default_ratio(settings, problem)
        grid = _grid.geometric(largest, ratio, n_lambdas, factors)
    with engine(jobs, cluster, threads) as workers:
        fits = _Fits(problem, settings, grid, fold_of_row, extend=lambdas is None)
        fits.table = rows.table
        stop = fits.run(workers, bool(verbose))
    result = fits.result(measure, choose)
    if stop is not None:
        if result is None:
            raise KeyboardInterrupt("Interrupted before the first lambda was done.")
        done = f"{len(result.lambdas)} of {len(grid.lambdas)} lambdas"
        raise PathInterrupted(f"Interrupted after {done}.", result)
    assert result is not None
    for text in result.warnings:
        arguments.warn(text, ModelWarning)
    return result


class _Rows:
    """The data of a path: arrays, or a table whose target is named.

    Parameters
    ----------
    x, y : object
        y is a name, or None for the last column, if `named`.
    named : bool
    words : dict
        Keywords of `fastmlp.fit`: how to read a file, ``group`` and ``weight``.
    """

    def __init__(self, x: Any, y: Any, named: bool, words: dict[str, Any]) -> None:
        for name, value in words.items():
            if name in REFUSED:
                raise ValueError(
                    f"path() does not take {name}: {REFUSED[name]}. "
                    f"Received: {name}={arguments.shown(value)}"
                )
            if name not in _WORDS:
                raise TypeError(f"path() has no argument {name!r}")
            if not named and value is not None:
                raise ValueError(
                    f"{name} describes a table whose target is named. "
                    f"Received: {name}={arguments.shown(value)}, and y as an array"
                )
        given = {name: value for name, value in words.items() if value is not None}
        self.group, self.weight = given.pop("group", None), given.pop("weight", None)
        self.x, self.y, self.table = x, y, None
        self.last = named and y is None
        if named:
            if y is not None and not isinstance(y, str):
                raise ValueError(f"a path takes one target. Received: target={y!r}")
            self.x = self.table = tabular.opened(x, given)
            self.y = self.table.names[-1] if y is None else y

    @property
    def n_rows(self) -> int:
        """Rows of the table; some may have no target."""
        assert self.table is not None
        return self.table.n_rows

    @property
    def left_out(self) -> list[str]:
        """Columns that are not inputs."""
        return [name for name in (self.group, self.weight) if name is not None]

    @property
    def weights(self) -> Callable[[Table, NDArray[np.int64]], Array] | None:
        """What returns the weights of rows; None if they have none."""
        return None if self.weight is None else partial(tabular.row_weights, name=self.weight)

    def folds(self, folds: Any, rows: NDArray[np.int64], seed: int) -> Any:
        """Return the folds, or with groups the fold of each row."""
        if self.group is None:
            return folds
        assert self.table is not None
        count = arguments.integer("folds", folds, 2)
        return tabular.folds_of_groups(self.table, self.group, rows, count, seed)

    def notes(self, problem: TableProblem, decided: bool) -> list[str]:
        """Return what was found in a table, and decided about it, a line each."""
        if self.table is None:
            return []
        found = list(self.table.notes)
        if self.last:
            found.append(f"Target: '{problem.target}', the last column.")
        if decided:
            found.append(f"Task: {problem.task}.")
        return found + list(problem.whole.preprocessing.notes)


def lengths(
    n_rows: int, batch_size: int | None, epochs: int | None, first_epochs: int | None
) -> dict[str, int]:
    """Return batch size and epochs; check those that are given."""
    given = {"batch_size": batch_size, "epochs": epochs, "first_epochs": first_epochs}
    checked = {k: arguments.integer(k, v) for k, v in given.items() if v is not None}
    arguments.batch_size(checked.get("batch_size", 1))
    size = checked.setdefault("batch_size", n_rows if n_rows <= _FULL_BATCH else _BATCH)
    batches = -(-n_rows // size)
    steps = _EPOCHS if batches == 1 else max(2, round(_STEPS / batches))
    checked.setdefault("epochs", steps)
    checked.setdefault("first_epochs", 5 * checked["epochs"])
    return checked


def _default_ratio(settings: PathSettings, problem: TableProblem) -> float:
    if not settings.linear:
        return _RATIO
    n, p = problem.whole.x.shape
    return (1e-4 if n > p else 1e-2) * (0.1 if settings.penalty == "l2" else 1)


class _Fits:
    """The fits of a path, and the models made from them.

    Parameters
    ----------
    problem : TableProblem
    settings : PathSettings
    grid : Grid
    folds : ndarray of shape (n,)
        Each row's fold.
    extend : bool
        Whether larger lambdas may replace the smallest ones, until all weights of a network are
        zero.
    """

    table: Table | None = None  # if its target is named; pickles of earlier versions have none

    def __init__(
        self,
        problem: TableProblem,
        settings: PathSettings,
        grid: _grid.Grid,
        folds: NDArray[np.int64],
        extend: bool,
    ) -> None:
        self.problem, self.settings, self.grid, self.folds = problem, settings, grid, folds
        self.n_lambdas = len(grid.lambdas)
        self.extend = extend and not settings.linear and self.n_lambdas > 1
        n_outputs = max(1, problem.n_classes)
        self.keep_held = can_keep(self.n_lambdas * problem.n_rows * n_outputs)
        self.steps: list[list[Step]] = []  # on all rows, then without each fold; as fitted
        self.states: list[list[Packed] | None] = []

    def _in_order(self, by_layer: Array) -> Array:
        """Return rows, from the largest lambdas to the smallest, in the order of fitting."""
        return by_layer if self.settings.linear else by_layer[::-1]

    def run(self, workers: Engine, verbose: bool) -> KeyboardInterrupt | None:
        """Fit all paths; return the interruption, if there was one."""
        all_held = [None, *(self.folds == k for k in range(int(self.folds.max()) + 1))]
        paths = FoldPaths(
            workers,
            self.problem,
            [
                FoldPath(self.problem, self.settings, held, held is None or self.keep_held)
                for held in all_held
            ],
        )
        total = len(all_held) * self.n_lambdas
        with ProgressLine("path", total, "fits", enabled=verbose) as line:
            stop = paths.fit(self._in_order(self.grid.by_layer), line)
            while stop is None and self._unfinished(paths.steps[0][-1]):
                self.grid = self.grid.extended()
                stop = paths.fit(self.grid.by_layer[:1], line)
        self.steps = paths.steps
        return stop

    def _unfinished(self, last: Step) -> bool:
        """Return whether the model is not null at the largest lambda.

        The small steps of a path can keep weights that the large ones of the search did not.
        """
        extra = len(self.grid.lambdas) - self.n_lambdas
        if not self.extend or extra == _MAX_EXTRA or last.description is None:
            return False
        if self.settings.penalty != "l2":
            return last.description.n_nonzero > 0
        return bool(last.scores[0] < (1 - EXPLAINED) * self.problem.null_scores()[0])

    def result(self, measure: str, choose: str) -> PathResult | None:
        """Return the lambdas that every path has, from the largest; None if there are none."""
        folds, done, weight = self.folds, min(map(len, self.steps)), self.problem.weight
        if not done:
            return None
        linear, total = self.settings.linear, len(self.grid.lambdas)
        # Each extension has added a lambda, so that as many of the smallest ones are left out.
        few = min(done, self.n_lambdas)
        fitted = slice(None, done) if linear else slice(total - done, total - done + few)
        own, *others = [self._from_large(steps[:done])[:few] for steps in self.steps]
        scores = np.array([[step.scores for step in steps] for steps in others])  # folds, steps
        held_out = None
        if self.keep_held:
            held_out = np.empty((few, len(folds), max(1, self.problem.n_classes)), np.float32)
            for k, steps in enumerate(others):
                held_out[:, folds == k] = [step.held for step in steps]
        trained = np.array([step.scores for step in own])
        self.states = [step.state for step in own]
        self.n_done = done
        measures = self.problem.measures
        return PathResult(
            self.grid.lambdas[fitted],
            self.grid.by_layer[fitted],
            self.settings.penalty,
            measure,
            {name: scores[:, :, i].T for i, name in enumerate(measures)},
            {name: trained[:, i] for i, name in enumerate(measures)},
            np.bincount(folds),
            folds,
            [step.description for step in own if step.description is not None],
            float(self.problem.null_scores()[measures.index(measure)]),
            self.problem.whole.preprocessing,
            choose,
            self.settings.units,
            self.settings.seed,
            few < self.n_lambdas,
            held_out,
            None if weight is None else np.bincount(folds, weight).astype(np.float64),
            self,
        )

    def _from_large(self, steps: list[Step]) -> list[Step]:
        return steps if self.settings.linear else steps[::-1]

    def model(self, result: PathResult, index: int) -> Sequential:
        """Make the model fitted to all rows at one of a result's lambdas."""
        lambdas = result.layer_lambdas[index]
        model = self.settings.model(self.problem.whole.x.shape[1])
        for layer, lam in zip(model.dense_layers, lambdas, strict=True):
            layer.kernel_regularizer = self.settings.regularizer(float(lam))
        model.set_weights(self._state(index))
        result.preprocessing.keep(model)
        if self.table is not None:
            self._keep_table(model, result, index)
        model.extras["path"] = {
            "penalty": result.penalty,
            "lambda": float(result.lambdas[index]),
            "layer_lambdas": [float(lam) for lam in lambdas],
            "lambda_min": result.lambda_min,
            "lambda_1se": result.lambda_1se,
            "measure": result.measure,
            "cv_mean": float(result.cv_mean[index]),
            "cv_se": float(result.cv_se[index]),
            "null": result.null_score,
            "folds": len(result.fold_sizes),
            "seed": result.seed,
            "curve": result.curve(index),
        }
        return model

    def _keep_table(self, model: Sequential, result: PathResult, index: int) -> None:
        """Keep what the commands and `TableModel` know a table's model by."""
        whole, state = self.problem.whole, result.preprocessing
        kept: dict[str, Any] = {"version": 1, "n_rows": len(whole.y)}
        if result.held_out is not None:
            y = result.target_values()
            network, weight = result.held_out[index], self.problem.weight
            if state.target.labels:
                constant = np.tile(cross_validation.class_shares(y, weight), (len(y), 1))
            else:
                network, constant = network[:, 0], np.full(len(y), np.average(y, weights=weight))
            held = tabular.HeldOut.of(
                state.task, y, network, constant, weights=weight,
                how=f"{len(result.fold_sizes)}-fold cross-validation",
                labels=state.target.labels, seed=result.seed,
            )  # fmt: skip
            kept["held_out"] = held.to_dict()
        kept["digest"] = tabular.RowDigest.of(whole.x, whole.y).to_dict()
        model.extras["table"] = kept
        if self.table is not None and (reading := self.table.reading.to_dict()):
            model.extras["reading"] = reading
        model.extras.setdefault("data", self.table.source if self.table is not None else None)

    def _state(self, index: int) -> State:
        state = self.states[index]
        if state is not None:
            return [array.unpacked() for array in state]
        # The weights of all lambdas were too large to keep. Fitting again gives the same bits.
        path = FoldPath(self.problem, self.settings, None, keep=False)
        n_steps = index + 1 if self.settings.linear else self.n_done - index
        for lambdas in self._in_order(self.grid.by_layer)[:n_steps]:
            path.advance(lambdas)
        return path.start(self.problem).state()


_Source = _Fits  # its name in pickles of earlier versions
