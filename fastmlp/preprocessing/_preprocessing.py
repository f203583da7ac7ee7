"""From a table to a network's arrays and back: impute, standardise, one-hot, labels.

`Preprocessing.fit` computes a plain JSON document from the training rows. The model keeps it in
``model.extras["preprocessing"]`` and in its file, and applies it to every later table.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from .._tables.frames import as_table
from .._tables.table import Table, shortened
from .._utils import arguments
from .._utils.names import TASKS
from ..errors import DataError, ModelFileError
from ._columns import Column, Label, Target, column_from, one_by_one, side_by_side, target_from
from ._fit import ColumnStatistics, choose_task
from ._statistics import regression_numbers
from ._transform import cast, category_codes, filled_values, listed, scaled, target_codes

_WIDE = 4096  # columns; of more, each field is one list, which JSON has room for

__all__ = ["Column", "Fitting", "Preprocessing", "Target", "choose_task", "split"]


class _Keeps(Protocol):
    """The part of a model that holds its preprocessing."""

    name: str
    extras: dict[str, Any]


@dataclass
class Preprocessing:
    """How a table's columns become a network's inputs and targets.

    Parameters
    ----------
    task : {"regression", "classification"}
    columns : list of Column
        The input columns, in the order of the network's inputs.
    target : Target
    dropped : list of str
        Columns that were left out in training; a later table may contain them.
    """

    task: str
    columns: list[Column]
    target: Target
    dropped: list[str] = field(default_factory=list)

    @classmethod
    def fit(
        cls,
        table: Any,
        target: str,
        task: str | None = None,
        *,
        categorical: Collection[str] = (),
        drop: Collection[str] = (),
        standardize: bool = True,
        impute: str | None = None,
        indicator: bool = False,
        rows: np.ndarray | None = None,
    ) -> Preprocessing:
        """Fit the treatment of a table's columns.

        Numbers stay numbers; true and false become 1 and 0; dates become days since
        1970-01-01, always standardised; text becomes one 0/1 input for each category.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        target : str
            The column to predict.
        task : {"regression", "classification"}, optional
            By default the result of `choose_task`.
        categorical : collection of str
            Columns to take as categories even where they hold numbers.
        drop : collection of str
            Columns to leave out.
        standardize : bool
            Scale numeric inputs, and a regression target, to mean 0 and deviation 1.
            `values` brings predictions back to the target's units.
        impute : {"mean", "median"}, optional
            Replace missing numbers and dates by the column's mean or median, missing categories and
            booleans by the most frequent value.
        indicator : bool
            For every column with a missing value among the training rows, add an input that is
            1 where the value is missing and 0 elsewhere.
        rows : ndarray of int, optional
            The training rows, from which means, scales and replacements are computed.
            Categories and labels come from all rows.

        Returns
        -------
        Preprocessing

        Raises
        ------
        DataError
            If a column does not exist, holds unsupported values, or misses values while `impute`
            is None; if there is a single row, or the target is the same in all rows.
        """
        table = as_table(table)
        fitting = Fitting(
            target,
            task,
            categorical=categorical,
            drop=drop,
            standardize=standardize,
            impute=impute,
            indicator=indicator,
        )
        fitting.add(table, rows)
        return fitting.finish()

    @classmethod
    def of(cls, model: _Keeps) -> Preprocessing:
        """Return the preprocessing that a model keeps.

        Parameters
        ----------
        model : Sequential

        Returns
        -------
        Preprocessing

        Raises
        ------
        ValueError
            If the model has none.
        """
        state = model.extras.get("preprocessing")
        if state is None:
            raise ValueError(
                f"Model {model.name!r} has no preprocessing: it was trained on arrays, not a table"
            )
        return cls.from_dict(state, f"model {model.name!r}")

    def keep(self, model: _Keeps) -> None:
        """Store this preprocessing in a model, and so in the model's file.

        Parameters
        ----------
        model : Sequential
        """
        model.extras["preprocessing"] = self.to_dict()

    @classmethod
    def plain(
        cls, names: Sequence[str], target: str, task: str, labels: Sequence[Label] = ()
    ) -> Preprocessing:
        """Make a preprocessing that takes numeric columns unchanged.

        Parameters
        ----------
        names : sequence of str
            The inputs.
        target : str
        task : {"regression", "classification"}
        labels : sequence, optional
            A classifier's classes.

        Returns
        -------
        Preprocessing
        """
        return cls(task, [Column(name) for name in names], Target(target, labels=list(labels)))

    # ---- sizes and names ----

    @property
    def n_inputs(self) -> int:
        """Inputs of the network."""
        return sum(column.width for column in self.columns)

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one, or one for each class if there are more than two."""
        return len(self.target.labels) if len(self.target.labels) > 2 else 1

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs, such as ``age``, ``colour=red`` and ``age missing``."""
        return [name for column in self.columns for name in column.input_names]

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the means and scales of the inputs, if all columns are numeric.

        Returns
        -------
        means, scales : ndarrays of shape (n_inputs,)

        Raises
        ------
        ValueError
            If a column is categorical.
        """
        for column in self.columns:
            if column.kind != "numeric" or column.indicator:
                kind = "imputed with an indicator" if column.indicator else column.kind
                raise ValueError(f"column '{column.name}' is {kind}, expected numbers")
        means = np.array([column.mean for column in self.columns])
        return means, np.array([column.scale for column in self.columns])

    # ---- table to arrays ----

    def check_names(self, names: Sequence[str], source: str, drop: Collection[str] = ()) -> None:
        """Raise DataError if a table has columns that training did not have.

        Parameters
        ----------
        names : sequence of str
            Names of the table's columns.
        source : str
            Name of the table in error messages.
        drop : collection of str
            Columns to leave out.

        Raises
        ------
        DataError
            If a column is neither an input, nor the target, nor dropped now or in training.
        """
        known = {self.target.name, *self.dropped, *drop, *(c.name for c in self.columns)}
        extra = [name for name in names if name not in known]
        if extra:
            several = len(extra) > 1
            raise DataError(
                f"{source}: column{'s' if several else ''} {listed(extra)} "
                f"{'were' if several else 'was'} not there in training; leave "
                f"{'them' if several else 'it'} out with drop (--drop {shlex.quote(extra[0])})"
            )

    def inputs(self, table: Any, dtype: str = "float32", drop: Collection[str] = ()) -> np.ndarray:
        """Turn a table into the network's inputs; the table may contain the target.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        dtype : {"float32", "float64"}
        drop : collection of str
            Columns to leave out, besides those that were left out in training.

        Returns
        -------
        ndarray of shape (n_rows, n_inputs)

        Raises
        ------
        DataError
            If a column is missing or unknown, or if a cell is missing, of the wrong kind, or holds
            a category that did not occur in training.
        """
        table, dtype = as_table(table), arguments.dtype(dtype).name
        absent = [column.name for column in self.columns if column.name not in table.columns]
        if len(absent) == 1:
            table.require(absent[0], "input column")
        elif absent:
            raise DataError(
                f"{table.source}: there are no input columns {listed(absent)}. "
                f"Columns: {shortened(table.names)}"
            )
        self.check_names(table.names, table.source, drop)
        # Each column into a row of the transposed array: faster than strided writing.
        xt = np.zeros((self.n_inputs, table.n_rows), dtype)
        start = 0
        missing: np.ndarray | None
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            for column in self.columns:
                if column.kind == "categorical":
                    codes, missing = category_codes(table, column)
                    xt[start + codes, np.arange(table.n_rows)] = 1
                else:
                    values, missing = filled_values(table, column)
                    xt[start] = scaled(values, column)
                start += column.width
                if column.indicator and missing is not None:
                    xt[start - 1] = missing
        if not (np.isfinite(xt.min()) and np.isfinite(xt.max())):
            self._refuse_too_large(table, dtype)
        return np.ascontiguousarray(xt.T)

    def _refuse_too_large(self, table: Table, dtype: str) -> None:
        for column in self.columns:
            if column.kind != "categorical":
                cast(scaled(filled_values(table, column)[0], column), dtype, table, column.name)

    def targets(self, table: Any, dtype: str = "float32") -> np.ndarray:
        """Turn a table's target column into the network's targets.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        dtype : {"float32", "float64"}

        Returns
        -------
        ndarray of shape (n_rows, 1)
            Numbers, standardised if the target is; or class indices.

        Raises
        ------
        DataError
            If the column does not exist, or a cell is missing, not a number, or an unknown label.
        """
        table = as_table(table)
        table.require(self.target.name, "target column")
        if self.task == "regression":
            values = regression_numbers(table, self.target.name)
            values = scaled(values, self.target)
            return cast(values, dtype, table, self.target.name).reshape(-1, 1)
        return target_codes(table, self.target).astype(dtype).reshape(-1, 1)

    # ---- the network's outputs back to the table's terms ----

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Convert a regression network's outputs to the target's units.

        Parameters
        ----------
        outputs : ndarray of shape (..., 1)
            Outputs of a network or an ensemble, or its members' outputs or quantiles.

        Returns
        -------
        ndarray of shape (...)
            In float64, which keeps apart numbers that float32 does not, such as 1234567890 and
            1234567900; in the outputs' type if the target was not scaled.
        """
        if not self.target.is_scaled:
            return np.array(outputs[..., 0])
        return self.target.restored(outputs[..., 0])

    def classes(self, outputs: np.ndarray) -> tuple[list[Label], np.ndarray]:
        """Convert a classifier's outputs to labels.

        Parameters
        ----------
        outputs : ndarray of shape (n, n_outputs)
            Probabilities of the second class if there are two, else of each class.

        Returns
        -------
        labels : list of length n
            The most probable class of each row.
        probabilities : ndarray of shape (n, number of classes)
        """
        if outputs.shape[1] == 1:
            probabilities = np.concatenate([1 - outputs, outputs], axis=1)
            codes = (outputs[:, 0] > 0.5).astype(int)
        else:
            probabilities = outputs
            codes = outputs.argmax(axis=1)
        return [self.target.labels[code] for code in codes], probabilities

    # ---- JSON ----

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a plain JSON document.

        Returns
        -------
        dict
        """
        wide = len(self.columns) > _WIDE
        return {
            "version": 2 if wide else 1,
            "task": self.task,
            "columns": side_by_side(self.columns) if wide else list(map(asdict, self.columns)),
            "target": asdict(self.target),
            "dropped": list(self.dropped),
        }

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> Preprocessing:
        """Restore the state from an untrusted JSON document.

        Parameters
        ----------
        state : dict
            As `to_dict` returns it.
        source : str
            Name of the document's file in error messages.

        Returns
        -------
        Preprocessing

        Raises
        ------
        ModelFileError
            If the document is damaged.
        """
        try:
            if not isinstance(state, dict):
                raise ValueError(f"{arguments.shown(state)} is not a mapping")
            if state["version"] not in (1, 2) or state["task"] not in TASKS:
                raise ValueError("unknown version or task")
            described = state["columns"]
            if state["version"] == 2:
                described = one_by_one(described)
            columns = [column_from(**column) for column in described]
            dropped = state.get("dropped", [])
            if not isinstance(dropped, list) or not all(isinstance(n, str) for n in dropped):
                raise ValueError("dropped columns are not a list of names")
            result = cls(state["task"], columns, target_from(**state["target"]), dropped)
            many = len(result.target.labels)
            if (many >= 2) != (result.task == "classification") or not columns:
                raise ValueError("labels do not fit the task")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelFileError(f"{source}: damaged preprocessing: {error}") from error
        return result


def split(n: int, fraction: float, seed: int, classes: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Draw training and validation rows at random.

    Parameters
    ----------
    n : int
        Rows in all.
    fraction : float
        Of the rows to hold out, in (0, 1).
    seed : int
    classes : array-like of shape (n,), optional
        Each row's class: the same fraction of each class is held out, as nearly as whole rows
        allow, and a class keeps a row for training while another class can give one.

    Returns
    -------
    train, validation : ndarrays of int
        Each in increasing order, neither empty.

    Raises
    ------
    DataError
        If there are too few rows for both parts.
    """
    rule = "a number in (0, 1)"
    fraction = arguments.number("fraction", fraction, rule, lambda v: 0 < v < 1)
    n, seed = arguments.integer("n", n), arguments.integer("seed", seed, 0)
    held = max(1, round(n * fraction))
    if held >= n:
        raise DataError(
            f"{n} rows are too few for both parts. Received: n={n}, fraction={fraction:g}"
        )
    order = np.random.default_rng(seed).permutation(n)
    if classes is None:
        return np.sort(order[held:]), np.sort(order[:held])
    chosen = np.zeros(n, bool)
    codes = _numbered(classes, n)
    for code, count in enumerate(_held_of_each(np.bincount(codes), held)):
        chosen[order[codes[order] == code][:count]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _numbered(classes: Any, n: int) -> np.ndarray:
    """Return each row's class as a number, in the order in which classes first appear."""
    given = np.asarray(classes)
    if given.shape != (n,):
        raise ValueError(f"classes must have shape ({n},). Received: shape {given.shape}")
    _, first, codes = np.unique(given, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def _held_of_each(counts: np.ndarray, held: int) -> np.ndarray:
    """Return how many rows of each class to hold out: the largest remainders are rounded up."""
    exact = counts * (held / counts.sum())
    shares = np.minimum(np.floor(exact).astype(np.int64), counts - 1)
    by_remainder = np.argsort(shares - exact, kind="stable")
    for most in (counts - 1, counts):  # the last row of a class is held out if none is left else
        while shares.sum() < held and (shares < most).any():
            open_classes = by_remainder[(shares < most)[by_remainder]]
            shares[open_classes[: held - int(shares.sum())]] += 1
    return shares


class Fitting(ColumnStatistics):
    """Fits a preprocessing to one table, or to the parts of a long one in turn.

    The arguments are those of `Preprocessing.fit`, and ``sample``: a median is computed from at
    most this number of values of a column. Call `add` for each table, then `finish`.
    """

    def finish(self) -> Preprocessing:
        """Return the fitted preprocessing.

        Returns
        -------
        Preprocessing
        """
        return Preprocessing(*self.finished())
