"""From a table to a network's arrays and back: impute, standardise, one-hot, labels.

`Preprocessing.fit` computes a plain JSON document from the training rows. The model keeps it in
``model.extras["preprocessing"]`` and in its file, and applies it to every later table.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .._tables.frames import as_table
from .._tables.table import Table, shortened
from .._utils import arguments
from .._utils.names import TASKS
from ..errors import DataError, ModelFileError
from ._columns import (
    Column,
    Label,
    Target,
    column_from,
    described,
    described_target,
    is_old_column,
    one_by_one,
    side_by_side,
    target_from,
)
from ._dates import waves
from ._fit import ColumnStatistics, choose_task
from ._target_statistics import regression_numbers
from ._targets import refuse_negative
from ._transform import (
    cast,
    category_codes,
    filled_values,
    listed,
    refuse_missing,
    target_codes,
    write_numbers,
)

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
    further : list of Target
        Targets after the first; all are numbers then.
    notes : list of str
        What was decided when this was fitted, and warnings, each a sentence for the user.
    """

    task: str
    columns: list[Column]
    target: Target
    dropped: list[str] = field(default_factory=list)
    further: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list, compare=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickle of an earlier version has neither.
        vars(self).update({"further": [], "notes": []} | state)

    @classmethod
    def fit(
        cls,
        table: Any,
        target: str | Sequence[str],
        task: str | None = None,
        *,
        categorical: Collection[str] = (),
        drop: Collection[str] = (),
        keep: Collection[str] = (),
        standardize: bool | str = True,
        impute: str | None = "median",
        indicator: bool = True,
        max_categories: int = 64,
        unknown: str = "ignore",
        date_parts: bool = False,
        target_transform: str | None = None,
        rows: np.ndarray | None = None,
    ) -> Preprocessing:
        """Fit the treatment of a table's columns.

        Numbers stay numbers; true and false become 1 and 0; dates become days since
        1970-01-01, always standardised; text becomes one 0/1 input for each category. `notes` lists
        columns left out, missing values, merged categories, and warnings about columns that
        determine the target (leakage) and about duplicate rows.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        target : str or sequence of str
            The column to predict, or several columns of numbers.
        task : {"regression", "classification"}, optional
            By default the result of `choose_task`.
        categorical : collection of str
            Columns to treat as categorical even if they hold numbers.
        drop : collection of str
            Columns to leave out.
        keep : collection of str
            Columns to use even if they look like ids or are constant. An id is text that is
            different in every row of at least 20, or has an empty or index-like name (id, index,
            row, customer_id) and counts the rows from 0 or 1. Ids and constants are left out, but
            for the last remaining column.
        standardize : bool or {"robust", "deviation"}
            Scale numeric inputs, and a regression target. True or "robust": an input becomes
            z = (value - median) / interquartile range (the standard deviation if that range is 0),
            then z / sqrt(1 + (z / 3)^2), which limits outliers. "deviation": mean 0 and standard
            deviation 1, a linear change. The target always has mean 0 and deviation 1; `values`
            transforms predictions back to its units.
        impute : {"median", "mean", "none"}, optional
            Replace missing numbers and dates by the column's median or mean, missing booleans by
            the more frequent value; a missing category is a separate category. "none" or None:
            missing values are an error.
        indicator : bool
            For every column with a missing value, add an input that is 1 where the value is
            missing and 0 elsewhere.
        max_categories : int
            Maximum number of categories of a column. If there are more, the less frequent ones, and
            those not in the training data, become one category "other".
        unknown : {"ignore", "error"}
            For a category that is not in the training data: set all inputs of its column to 0 and
            count it (see `inputs`), or raise an error.
        date_parts : bool
            Add day of the year, month, weekday and hour of dates, each as sine and cosine; the hour
            only if some date has a time of day.
        target_transform : {"log", "sqrt", "quantile"}, optional
            Predict the logarithm of the target (of 1 + target if it is 0 somewhere), its square
            root, or the normal score of its quantile; `values` inverts it.
        rows : ndarray of int, optional
            The training rows, from which medians, means, scales and replacements are computed.
            The set of inputs and the labels are taken from all rows. Rows without a target are left
            out, see `usable_rows`.

        Returns
        -------
        Preprocessing

        Raises
        ------
        DataError
            If a column does not exist, holds unsupported values, or has missing values while
            `impute` is "none"; if there is only one row, or the target is the same in all rows.
        """
        table = as_table(table)
        fitting = Fitting(
            target,
            task,
            categorical=categorical,
            drop=drop,
            keep=keep,
            standardize=standardize,
            impute=impute,
            indicator=indicator,
            max_categories=max_categories,
            unknown=unknown,
            date_parts=date_parts,
            target_transform=target_transform,
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
        """Outputs of the network: one for each target, or for each class if there are over two."""
        if self.further:
            return 1 + len(self.further)
        return len(self.target.labels) if len(self.target.labels) > 2 else 1

    @property
    def all_targets(self) -> list[Target]:
        """The targets, in the order of the network's outputs."""
        return [self.target, *self.further]

    @property
    def has_unit(self) -> bool:
        """Whether errors times the target's scale, or errors of classes, are in the table's units.

        Not if there are several targets, or the target is transformed.
        """
        return not self.further and not self.target.transform

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs, such as ``age``, ``colour=red`` and ``age missing``."""
        return [name for column in self.columns for name in column.input_names]

    @property
    def is_plain(self) -> bool:
        """Whether every input is a number of one column, so that `from_units` applies."""
        return all(column.kind == "numeric" and not column.indicator for column in self.columns)

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the means and scales of the inputs, if all are linear in a numeric column.

        Returns
        -------
        means, scales : ndarrays of shape (n_inputs,)

        Raises
        ------
        ValueError
            If a column is not numeric, or its outliers are drawn in (``standardize="robust"``).
        """
        self._require_plain()
        for column in self.columns:
            if column.clip:
                raise ValueError(f"column '{column.name}' is not scaled linearly, but robustly")
        means = np.array([column.mean for column in self.columns])
        return means, np.array([column.scale for column in self.columns])

    def _require_plain(self) -> None:
        for column in self.columns:
            if column.kind != "numeric" or column.indicator:
                kind = "imputed with an indicator" if column.indicator else column.kind
                raise ValueError(f"column '{column.name}' is {kind}, expected numbers")

    def from_units(self, values: np.ndarray) -> np.ndarray:
        """Turn numbers in the table's units into inputs, if all columns are numeric.

        Parameters
        ----------
        values : ndarray of shape (n, n_inputs)

        Returns
        -------
        ndarray of shape (n, n_inputs)
            In float64.
        """
        self._require_plain()
        return np.stack([c.scaled(values[:, i]) for i, c in enumerate(self.columns)], axis=1)

    def in_units(self, x: np.ndarray) -> np.ndarray:
        """Turn inputs back into numbers in the table's units, if all columns are numeric.

        Parameters
        ----------
        x : ndarray of shape (n, n_inputs)

        Returns
        -------
        ndarray of shape (n, n_inputs)
            In float64; outliers come out too near, as far as their inputs could not tell them.
        """
        self._require_plain()
        return np.stack([c.restored(x[:, i]) for i, c in enumerate(self.columns)], axis=1)

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
        known = {
            *(t.name for t in self.all_targets),
            *self.dropped,
            *drop,
            *(c.name for c in self.columns),
        }
        extra = [name for name in names if name not in known]
        if extra:
            several = len(extra) > 1
            raise DataError(
                f"{source}: column{'s' if several else ''} {listed(extra)} "
                f"{'were' if several else 'was'} not there in training; leave "
                f"{'them' if several else 'it'} out with drop (--drop {shlex.quote(extra[0])})"
            )

    def inputs(
        self,
        table: Any,
        dtype: str = "float32",
        drop: Collection[str] = (),
        unseen: dict[str, int] | None = None,
        filled: dict[str, int] | None = None,
    ) -> np.ndarray:
        """Turn a table into the network's inputs; the table may contain the target.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        dtype : {"float32", "float64"}
        drop : collection of str
            Columns to leave out, besides those that were left out in training.
        unseen : dict, optional
            For each column with categories that did not occur in training, their number of cells
            is added to the entry of the column's name. `unseen_note` makes a sentence of it.
        filled : dict, optional
            Likewise for missing cells that are filled in without an indicator, as in a column
            that had none in training. `filled_note` makes a sentence of it.

        Returns
        -------
        ndarray of shape (n_rows, n_inputs)

        Raises
        ------
        DataError
            If a column is missing or unknown, or if a cell is of the wrong kind, is missing though
            the model does not impute, or holds a category that did not occur in training though
            unknown ones are errors.
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
            written = write_numbers(table, self.columns, xt)
            for column, is_written in zip(self.columns, written, strict=True):
                if is_written:
                    start += column.width
                    continue
                if column.kind == "categorical":
                    codes, missing, n_unknown = category_codes(table, column)
                    if n_unknown and unseen is not None:
                        unseen[column.name] = unseen.get(column.name, 0) + n_unknown
                    coded = np.flatnonzero(codes >= 0) if n_unknown or column.fill == "" else None
                    if coded is None:
                        xt[start + codes, np.arange(table.n_rows)] = 1
                    else:
                        xt[start + codes[coded], coded] = 1
                else:
                    values, missing = filled_values(table, column)
                    xt[start] = column.scaled(values)
                    for place, wave in enumerate(waves(values, column.date_parts), start + 1):
                        xt[place] = wave
                start += column.width
                if missing is None:
                    continue
                if column.indicator:
                    xt[start - 1] = missing
                elif filled is not None and (n_missing := int(missing.sum())):
                    filled[column.name] = filled.get(column.name, 0) + n_missing
        if not (np.isfinite(xt.min()) and np.isfinite(xt.max())):
            self._refuse_too_large(table, dtype)
        return np.ascontiguousarray(xt.T)

    def _refuse_too_large(self, table: Table, dtype: str) -> None:
        for column in self.columns:
            if column.kind != "categorical":
                cast(column.scaled(filled_values(table, column)[0]), dtype, table, column.name)

    def targets(
        self, table: Any, dtype: str = "float32", rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Turn a table's target columns into the network's targets.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        dtype : {"float32", "float64"}
        rows : ndarray of int, optional
            Rows to return, such as those that `usable_rows` finds; all by default.

        Returns
        -------
        ndarray of shape (n_rows, number of targets)
            Numbers, transformed and standardised if the target is; or class indices.

        Raises
        ------
        DataError
            If a column does not exist, or a cell is missing, not a number, or an unknown label.
        """
        table = as_table(table)
        columns = [self._target(table, target, rows, dtype) for target in self.all_targets]
        return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)

    def _target(
        self, table: Table, target: Target, rows: np.ndarray | None, dtype: str
    ) -> np.ndarray:
        name = target.name
        table.require(name, "target column")
        if self.task == "classification":
            codes = target_codes(table, target, rows)
            return (codes if rows is None else codes[rows]).astype(dtype).reshape(-1, 1)
        values = regression_numbers(table, name)
        missing = np.isnan(values)
        if rows is not None:
            kept = np.zeros(len(values), bool)
            kept[rows] = True
            missing &= kept
        refuse_missing(table, name, missing, "the target")
        if target.transform in ("log", "sqrt") and (values < 0).any():
            refuse_negative(table, name, target.transform)
        with np.errstate(divide="ignore"):
            values = target.scaled(values)
        if rows is not None:
            values = values[rows]
        if not len(values):
            return values.astype(dtype).reshape(-1, 1)
        return cast(values, dtype, table, name).reshape(-1, 1)

    # ---- the network's outputs back to the table's terms ----

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Convert a regression network's outputs to the target's units.

        Parameters
        ----------
        outputs : ndarray of shape (..., number of targets)
            Outputs of a network or an ensemble, or its members' outputs or quantiles.

        Returns
        -------
        ndarray of shape (...), or of the outputs' shape if there are several targets
            In float64, which keeps apart numbers that float32 does not, such as 1234567890 and
            1234567900; in the outputs' type if no target was scaled or transformed.
        """
        if not self.further:
            if not self.target.is_scaled:
                return np.array(outputs[..., 0])
            return self.target.restored(outputs[..., 0])
        if not any(target.is_scaled for target in self.all_targets):
            return np.array(outputs)
        return np.stack(
            [target.restored(outputs[..., i]) for i, target in enumerate(self.all_targets)], -1
        )

    def unseen_note(self, unseen: dict[str, int]) -> str | None:
        """Return a sentence about categories that training did not see, None if there are none.

        Parameters
        ----------
        unseen : dict
            Numbers of cells by column, as `inputs` counts them.

        Returns
        -------
        str or None
        """
        if not unseen:
            return None
        cells = ", ".join(f"'{name}' {n}" for name, n in unseen.items())
        return (
            f"Cells with categories not seen in training, taken as unknown: {cells} "
            "(train with --unknown error to refuse them)."
        )

    def filled_note(self, filled: dict[str, int]) -> str | None:
        """Return a sentence about missing cells that no input of the network marks.

        Parameters
        ----------
        filled : dict
            Numbers of cells by column, as `inputs` counts them.

        Returns
        -------
        str or None
            None if there are no such cells.
        """
        if not filled:
            return None
        cells = ", ".join(f"'{name}' {n}" for name, n in filled.items())
        return (
            f"Missing cells filled in, which training had no indicator for: {cells} "
            "(train with --impute none to refuse them)."
        )

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
        targets = self.all_targets
        old = (
            not self.further
            and not self.notes
            and not self.target.transform
            and all(map(is_old_column, self.columns))
        )
        columns = side_by_side(self.columns, old) if wide else [
            described(column, old) for column in self.columns
        ]  # fmt: skip
        state = {
            "version": 3 if not old else 2 if wide else 1,
            "task": self.task,
            "columns": columns,
            "target": described_target(self.target, old),
            "dropped": list(self.dropped),
        }
        if not old:
            state["further"] = [described_target(target, old) for target in targets[1:]]
            state["notes"] = list(self.notes)
        return state

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
            version = state["version"]
            if version not in (1, 2, 3) or state["task"] not in TASKS:
                raise ValueError("unknown version or task")
            given = state["columns"]
            if version == 2 or (version == 3 and isinstance(given, dict)):
                given = one_by_one(given)
            columns = [column_from(**column) for column in given]
            dropped, notes = state.get("dropped", []), state.get("notes", [])
            for texts in (dropped, notes):
                if not isinstance(texts, list) or not all(isinstance(n, str) for n in texts):
                    raise ValueError("dropped columns or notes are not a list of texts")
            further = [target_from(**target) for target in state.get("further", [])]
            result = cls(
                state["task"], columns, target_from(**state["target"]), dropped, further, notes
            )
            many = len(result.target.labels)
            if (many >= 2) != (result.task == "classification") or not columns:
                raise ValueError("labels do not fit the task")
            names = [target.name for target in result.all_targets]
            if further and (many or len(set(names)) < len(names)):
                raise ValueError("several targets")
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
