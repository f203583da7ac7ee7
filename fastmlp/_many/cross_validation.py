"""Cross-validation of networks on a table: its splits, its folds, and the scores of predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import losses, metrics
from .._utils import arguments
from .._utils.arrays import as_array
from .._utils.names import MEASURES
from ..datasets import Table, as_table
from ..errors import DataError
from ..preprocessing import Preprocessing, choose_task, usable_rows

Array = NDArray[np.float64]

_TARGET = "y"


class Split(NamedTuple):
    """Rows to train on and rows held out, as inputs and targets of a network.

    Parameters
    ----------
    preprocessing : Preprocessing
        Fitted to the training rows.
    x, y : ndarray
    held_x, held_y : ndarray or None
    weight, held_weight : ndarray or None
        Of the rows of x, with mean 1, and of those held out.
    """

    preprocessing: Preprocessing
    x: NDArray[Any]
    y: NDArray[Any]
    held_x: NDArray[Any] | None
    held_y: NDArray[Any] | None
    weight: Array | None = None
    held_weight: Array | None = None


def target_named(x: Any, y: Any, target: Any) -> tuple[bool, Any]:
    """Return whether the target is named, and its name or the array y.

    Parameters
    ----------
    x : table or array-like
    y : array-like, str or None
    target : str, sequence of str or None
        Instead of y.

    Returns
    -------
    named : bool
        False if y is an array; None stands for the last column.
    y : str, sequence of str, None or array-like
    """
    if y is not None and target is not None:
        raise ValueError("y and target both name what to predict. Received: both")
    found = target if y is None else y
    if found is None and isinstance(x, np.ndarray | list | tuple):
        raise DataError("y must be given where x is an array. Received: y=None")
    return y is None or isinstance(y, str), found


def with_target(x: Any, y: Any) -> tuple[Any, str]:
    """Return x and y as one table, and the name of its target; y may name a column of x."""
    if isinstance(y, str):
        table = as_table(x)
        table.require(y, "target column")
        return table, y
    values = as_array("y", y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            "y must be one column of numbers or classes, or the name of a column of x. "
            f"Received: shape {values.shape}"
        )
    array = as_array("x", x) if isinstance(x, list | tuple) else x
    table = as_table(array, source="x")
    if table.n_rows != len(values):
        raise DataError(
            f"y must have as many rows as x. Received: {len(values)} rows for {table.n_rows}"
        )
    name = _TARGET
    while name in table.columns:
        name += "_"
    target = as_table({name: values}, source="y").columns[name]
    return Table(table.source, {**table.columns, name: target}, table.lines, table.first_row), name


class TableProblem:
    """A table with a target, whose splits are preprocessed by their training rows.

    Parameters
    ----------
    x : array, data frame, Table and so on
        See `datasets.as_table`.
    y : array-like of shape (n,), or str
        The target, or the name of its column in x.
    task : {"regression", "classification"}, optional
        By default chosen from the target.
    dtype : {"float32", "float64"}
    weight : callable, optional
        Returns the weights of a table's rows, with mean 1.
    **options
        See `Preprocessing.fit`: standardize, categorical, drop, impute and so on.

    Attributes
    ----------
    whole : Split
        All rows, none of them held out.
    rows : ndarray of int
        The rows that have a target; the others are left out.
    labels : list
        The classes; empty for regression.
    codes : ndarray or None
        Each row's class, from 0; None for regression.
    weight : ndarray or None
        Of `rows`, with mean 1.
    """

    weight: Array | None = None  # pickles of earlier versions have none

    def __init__(
        self,
        x: Any,
        y: Any,
        task: str | None,
        dtype: str,
        weight: Callable[[Table, NDArray[np.int64]], Array] | None = None,
        **options: Any,
    ) -> None:
        self.table, self.target = with_target(x, y)
        if isinstance(x, np.ndarray | list | tuple):  # all columns of an array are inputs
            options["keep"] = [name for name in self.table.names if name != self.target]
        # What is missing in a table is filled and said; arrays have to be complete.
        if options.get("impute", "") is None:
            options["impute"] = "median" if isinstance(y, str) else "none"
        if task is None:
            categorical = options.get("categorical", ())
            task, _ = choose_task(self.table, self.target, categorical)
        self.task, self.dtype, self.options = task, dtype, options
        self.rows, _ = usable_rows(self.table, self.target)
        if not isinstance(y, str) and len(self.rows) < self.table.n_rows:
            raise DataError(
                "y must have a value in every row, or name a column of x. "
                f"Received: {self.table.n_rows - len(self.rows)} missing values"
            )
        self.n_rows = len(self.rows)
        if weight is not None:
            self.weight = weight(self.table, self.rows)
        state = Preprocessing.fit(self.table, self.target, task, **options)
        self.whole = Split(state, *self._arrays(state), None, None, self.weight)
        scale = self.whole.preprocessing.target.scale
        if not math.isfinite(scale * scale):
            raise DataError(
                f"{self.table.source}: the target '{self.target}' must be small enough "
                f"to be squared. Received: a standard deviation of {scale:.3g}"
            )
        self.labels = list(self.whole.preprocessing.target.labels)
        self.codes = self.whole.y[:, 0].astype(np.int64) if self.labels else None

    @property
    def n_classes(self) -> int:
        """The number of classes, 0 for regression."""
        return len(self.labels)

    def split(self, held: NDArray[np.bool_] | None) -> Split:
        """Hold out rows, and preprocess all by the others; None holds out no row."""
        if held is None:
            return self.whole
        rows = self.rows[~held]
        state = Preprocessing.fit(self.table, self.target, self.task, rows=rows, **self.options)
        x, y = self._arrays(state)
        weight = held_weight = None
        if self.weight is not None:
            weight, held_weight = self.weight[~held], self.weight[held]
            if not (weight.any() and held_weight.any()):
                raise DataError(
                    f"{self.table.source}: all rows of a fold, or all others, have weight 0; "
                    "use fewer folds"
                )
            weight = weight / weight.mean()
        return Split(state, x[~held], y[~held], x[held], y[held], weight, held_weight)

    def _arrays(self, state: Preprocessing) -> tuple[NDArray[Any], NDArray[Any]]:
        x = state.inputs(self.table, self.dtype)
        y = state.targets(self.table, self.dtype, self.rows)
        return (x if len(x) == len(y) else x[self.rows]), y

    @property
    def measures(self) -> tuple[str, ...]:
        """The error measures for this task; the first is the default."""
        return MEASURES[1:] if self.labels else MEASURES[:1]

    def chosen_measure(self, given: str | None) -> str:
        """Return the given measure, or the default for None."""
        if given is None:
            return self.measures[0]
        return arguments.one_of("measure", given, self.measures)

    def scores(
        self, split: Split, outputs: NDArray[Any], y: NDArray[Any], weight: Array | None = None
    ) -> Array:
        """Return each of `measures`, for regression in the target's units."""
        state = split.preprocessing
        if state.has_unit:
            return scores(self.n_classes, state.target.scale, outputs, y, weight)
        outputs, y = (state.values(a).reshape(len(a), -1) for a in (outputs, y))
        return scores(0, 1.0, outputs, y, weight)

    def null_scores(self) -> Array:
        """Return the scores of the best constant on all rows."""
        whole = self.whole
        if not whole.preprocessing.has_unit:
            y = whole.preprocessing.values(whole.y)[:, None]
            best = np.full(y.shape, _mean(y[:, 0], self.weight))
            return scores(0, 1.0, best, y, self.weight)
        if self.codes is None:
            best = np.full(whole.y.shape, _mean(whole.y[:, 0].astype(np.float64), self.weight))
        else:
            best = np.tile(class_shares(self.codes, self.weight), (len(self.codes), 1))
        return self.scores(whole, best, whole.y, self.weight)

    def in_units(self, split: Split, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return outputs in the target's units, (n, 1), or the classes' probabilities."""
        if self.labels:
            return _probabilities(outputs).astype(np.float32)
        return split.preprocessing.values(outputs)[:, None]


def scores(
    n_classes: int,
    scale: float,
    outputs: NDArray[Any],
    y: NDArray[Any],
    weight: NDArray[Any] | None = None,
) -> Array:
    """Return each error measure of a network's outputs, a mean over rows.

    Parameters
    ----------
    n_classes : int
        0 for regression, with the mean squared error; otherwise the measures are the deviance and
        the misclassified share.
    scale : float
        The number that a regression target was divided by.
    outputs : ndarray of shape (n, n_outputs)
    y : ndarray of shape (n, 1)
        Preprocessed targets.
    weight : ndarray of shape (n,), optional

    Returns
    -------
    ndarray
    """
    if not n_classes:
        errors = losses.mean_squared_error(y, outputs)
        return np.array([_mean(errors, weight) * scale**2])
    chances = _probabilities(outputs)
    deviance = 2 * _mean(losses.sparse_categorical_crossentropy(y, chances), weight)
    right = _mean(metrics.sparse_categorical_accuracy(y, chances), weight)
    return np.array([deviance, 1 - right])


def class_shares(codes: NDArray[Any], weight: Array | None = None) -> Array:
    """Return the (weighted) share of each class."""
    counts = np.bincount(codes, weight)
    return counts / counts.sum()


def _mean(values: NDArray[Any], weight: NDArray[Any] | None) -> float:
    return float(values.mean() if weight is None else np.average(values, weights=weight))


def _probabilities(outputs: NDArray[Any]) -> Array:
    """Return each class's probability; of two classes, the network has only the second's."""
    chances = outputs.astype(np.float64)
    return np.concatenate([1 - chances, chances], axis=1) if chances.shape[1] == 1 else chances


def assign_folds(
    folds: Any, codes: np.ndarray | None, labels: list[Any], n: int, seed: int
) -> NDArray[np.int64]:
    """Return each row's fold, from 0.

    Parameters
    ----------
    folds : int or array-like of shape (n,)
        Number of folds, drawn at random with equal sizes and equal shares of each class; or an
        integer for each row that identifies its fold.
    codes : ndarray of shape (n,) or None
        Each row's class, from 0; None for regression.
    labels : list
        The classes' names, for messages.
    n : int
        Number of rows.
    seed : int

    Returns
    -------
    ndarray of int, of shape (n,)

    Raises
    ------
    ValueError
        If `folds` is invalid.
    DataError
        If there are more folds than rows, or a fold lacks classes.
    """
    if np.ndim(folds) == 0:
        n_folds = arguments.integer("folds", folds, 2)
        if n_folds > n:
            raise DataError(
                f"folds must not outnumber the rows. Received: folds={n_folds} for {n} rows"
            )
        result = _drawn(n_folds, codes, n, seed)
    else:
        result = _given(folds, n)
    if codes is not None:
        _require_classes(result, codes, labels)
    return result


def _drawn(n_folds: int, codes: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,))).permutation(n)
    if codes is not None:  # sorted by class, in random order within each
        order = order[np.argsort(codes[order], kind="stable")]
    result = np.empty(n, np.int64)
    result[order] = np.arange(n) % n_folds
    return result


def _given(folds: Any, n: int) -> np.ndarray:
    array = np.asarray(folds)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"folds must be a number of folds, or an integer for each of the {n} rows. "
            f"Received: shape {array.shape}, dtype {array.dtype}"
        )
    names, result = np.unique(array, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"folds must have at least two values. Received: {names[0]} for every row")
    return result


def _require_classes(folds: np.ndarray, codes: np.ndarray, labels: list[Any]) -> None:
    for fold in range(int(folds.max()) + 1):
        counts = np.bincount(codes[folds == fold], minlength=len(labels))
        rest = np.bincount(codes[folds != fold], minlength=len(labels))
        if np.count_nonzero(counts) < 2:
            raise DataError(
                f"Fold {fold + 1} has rows of one class only, '{labels[int(counts.argmax())]}': "
                "every fold needs at least two classes; use fewer folds"
            )
        if (rest == 0).any():
            raise DataError(
                f"Class '{labels[int(rest.argmin())]}' is in fold {fold + 1} only, so that without "
                "the fold there are no rows of it to train on; use other folds"
            )
