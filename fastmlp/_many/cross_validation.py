"""The table behind a path: its parts as a network takes them, and how predictions are scored."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import losses, metrics
from .._utils import arguments
from .._utils.arrays import as_array
from ..datasets import Table, as_table
from ..errors import DataError
from ..preprocessing import Preprocessing, choose_task

Array = NDArray[np.float64]

MEASURES = ("mse", "deviance", "misclassification")
_TARGET = "y"


class Part(NamedTuple):
    """Rows to train on, and those held out; x and y as the network takes them.

    Parameters
    ----------
    preprocessing : Preprocessing
        Learnt from the training rows.
    x, y : ndarray
    held_x, held_y : ndarray or None
    """

    preprocessing: Preprocessing
    x: NDArray[Any]
    y: NDArray[Any]
    held_x: NDArray[Any] | None
    held_y: NDArray[Any] | None


def with_target(x: Any, y: Any) -> tuple[Any, str]:
    """Join x and y into a table; y may name a column of x."""
    if isinstance(y, str):
        table = as_table(x)
        table.require(y, "target column")
        return table, y
    values = as_array("y", y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            "y must be one column, of numbers or of classes, or the name of a column of x. "
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


class Problem:
    """A table with a target, cut into parts each of which is preprocessed by its own rows.

    Parameters
    ----------
    x : array, data frame, Table and so on
        What `datasets.as_table` takes.
    y : array-like of shape (n,), or str
        The target, or the name of its column in x.
    task : {"regression", "classification"}, optional
    dtype : {"float32", "float64"}
    **options
        Of `Preprocessing.fit`: standardize, categorical, drop, impute, indicator.

    Attributes
    ----------
    labels : list
        The classes; empty for regression.
    codes : ndarray or None
        Each row's class.
    """

    def __init__(self, x: Any, y: Any, task: str | None, dtype: str, **options: Any) -> None:
        self.table, self.target = with_target(x, y)
        self.reason = "it was asked for"
        if task is None:
            categorical = options.get("categorical", ())
            task, self.reason = choose_task(self.table, self.target, categorical)
        self.task, self.dtype, self.options = task, dtype, options
        self.n_rows = self.table.n_rows
        self.whole = self.part()
        scale = self.whole.preprocessing.target.scale
        if not math.isfinite(scale * scale):
            raise DataError(
                f"{self.table.source}: the numbers of the target '{self.target}' must be small "
                f"enough for their squares. Received: a standard deviation of {scale:.3g}"
            )
        self.labels = list(self.whole.preprocessing.target.labels)
        self.codes = self.whole.y[:, 0].astype(np.int64) if self.labels else None

    @property
    def n_classes(self) -> int:
        """The number of classes, 0 for regression."""
        return len(self.labels)

    def part(self, held: NDArray[np.bool_] | None = None) -> Part:
        """Preprocess all rows, or all but those held out, by what these say."""
        rows = None if held is None else np.flatnonzero(~held)
        state = Preprocessing.fit(self.table, self.target, self.task, rows=rows, **self.options)
        x, y = state.inputs(self.table, self.dtype), state.targets(self.table, self.dtype)
        if held is None:
            return Part(state, x, y, None, None)
        return Part(state, x[~held], y[~held], x[held], y[held])

    @property
    def measures(self) -> tuple[str, ...]:
        """What predictions are scored by; the first chooses unless another is asked for."""
        return MEASURES[1:] if self.labels else MEASURES[:1]

    def chosen_measure(self, given: str | None) -> str:
        """Return the measure that is asked for, checked; by default the first."""
        return (
            self.measures[0] if given is None else arguments.one_of("measure", given, self.measures)
        )

    def scores(self, part: Part, outputs: NDArray[Any], y: NDArray[Any]) -> Array:
        """Return the mean of each of `measures`, those of numbers in the target's units."""
        return scores(self.n_classes, part.preprocessing.target.scale, outputs, y)

    def null_scores(self) -> Array:
        """Return what the best constant scores on all rows."""
        part = self.whole
        if self.codes is None:
            return self.scores(part, np.full(part.y.shape, part.y.mean(dtype=np.float64)), part.y)
        shares = np.bincount(self.codes) / len(self.codes)
        return self.scores(part, np.tile(shares, (len(self.codes), 1)), part.y)

    def in_units(self, part: Part, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return outputs in the target's units, (n, 1), or the classes' probabilities."""
        if self.labels:
            return _of_each_class(outputs).astype(np.float32)
        return part.preprocessing.values(outputs)[:, None]


def scores(n_classes: int, scale: float, outputs: NDArray[Any], y: NDArray[Any]) -> Array:
    """Return the mean of each measure of a network's outputs.

    Parameters
    ----------
    n_classes : int
        0 for regression: the mean squared error; otherwise deviance and share misclassified.
    scale : float
        Of a regression's target, by which it was divided.
    outputs : ndarray of shape (n, n_outputs)
    y : ndarray of shape (n, 1)
        As the network takes it.

    Returns
    -------
    ndarray
    """
    if not n_classes:
        return np.array([losses.mean_squared_error(y, outputs).mean() * scale**2])
    chances = _of_each_class(outputs)
    deviance = 2 * losses.sparse_categorical_crossentropy(y, chances).mean()
    return np.array([deviance, 1 - metrics.sparse_categorical_accuracy(y, chances).mean()])


def _of_each_class(outputs: NDArray[Any]) -> Array:
    """Return probabilities of all classes, also where only that of the second is given."""
    chances = outputs.astype(np.float64)
    return np.concatenate([1 - chances, chances], axis=1) if chances.shape[1] == 1 else chances


def assigned(folds: Any, codes: np.ndarray | None, labels: list[Any], n: int, seed: int) -> Any:
    """Return each row's fold, counted from 0.

    Parameters
    ----------
    folds : int or array-like of shape (n,)
        How many, drawn at random with equal sizes and, for classes, equal shares of each; or each
        row's fold, any integers.
    codes : ndarray of shape (n,) or None
        Each row's class, counted from 0; None for regression.
    labels : list
        The classes' names, for messages.
    n : int
        Rows.
    seed : int

    Returns
    -------
    ndarray of int, of shape (n,)

    Raises
    ------
    ValueError
        If `folds` is neither.
    DataError
        If there are more folds than rows, or a fold lacks what it would be scored by: a class.
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
    if codes is not None:  # class by class, in the drawn order within each
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
        raise ValueError(f"folds must name two or more. Received: {names[0]} for every row")
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
                "it nothing could be learnt of the class; use other folds"
            )
