"""From a table to a network's arrays and back: impute, standardise, one-hot, labels.

What `Preprocessing.fit` learns from the training rows is a plain JSON document, kept in
``model.extras["preprocessing"]`` and in the model's file, so that every later table is treated
alike.
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
from ..errors import DataError, ModelFileError
from ._columns import Column, Label, Target, column_from, one_by_one, side_by_side, target_from
from ._fit import TASKS, ColumnStatistics, choose_task
from ._statistics import regression_numbers
from ._transform import cast, category_codes, filled_values, listed, scaled, target_codes

_WIDE = 4096  # columns; of more, each field is one list, which JSON has room for

__all__ = ["Column", "Fitting", "Preprocessing", "Target", "choose_task", "split"]


class _Keeps(Protocol):
    """A model, as far as its preprocessing is concerned."""

    name: str
    extras: dict[str, Any]


@dataclass
class Preprocessing:
    """How a table's columns become a network's inputs and targets.

    Parameters
    ----------
    task : {"regression", "classification"}
    columns : list of Column
        The inputs, in the order the network takes them.
    target : Target
    dropped : list of str
        Columns that were left out in training; a later table may have them or not.
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
        standardize: bool = False,
        impute: str | None = None,
        indicator: bool = False,
        rows: np.ndarray | None = None,
    ) -> Preprocessing:
        """Learn the treatment of a table's columns.

        Numbers stay numbers; true and false become 1 and 0; dates become days since
        1970-01-01, always standardised; text becomes one 0/1 input for each category.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        target : str
            The column to predict.
        task : {"regression", "classification"}, optional
            By default what `choose_task` says.
        categorical : collection of str
            Columns to take as categories even where they hold numbers.
        drop : collection of str
            Columns to leave out.
        standardize : bool
            Scale numeric inputs, and a regression target, to mean 0 and deviation 1.
        impute : {"mean", "median"}, optional
            Replace missing numbers and dates by that, missing categories and booleans by the
            most frequent one.
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
            If a column is not there, holds what it should not, or misses values while
            `impute` is None; if there is a single row, or the target is the same in all.
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
        """Return the preprocessing that is kept with a model.

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
        """Keep this preprocessing with a model, and so in the model's file.

        Parameters
        ----------
        model : Sequential
        """
        model.extras["preprocessing"] = self.to_dict()

    @classmethod
    def plain(
        cls, names: Sequence[str], target: str, task: str, labels: Sequence[Label] = ()
    ) -> Preprocessing:
        """Describe numeric columns that are used as they are.

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
        """Outputs of the network: one, or one for each class where there are over two."""
        return len(self.target.labels) if len(self.target.labels) > 2 else 1

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs, such as ``age``, ``colour=red`` and ``age missing``."""
        return [name for column in self.columns for name in column.input_names]

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the means and scales of the inputs, for a model of numeric columns alone.

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
        """Refuse columns that were not there in training.

        Parameters
        ----------
        names : sequence of str
            Of a table's columns.
        source : str
            What the error message calls the table.
        drop : collection of str
            Columns to leave out.

        Raises
        ------
        DataError
            If there are others than inputs, target, and what is or was dropped.
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
        """Turn a table into the network's inputs; it may have the target, too.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        dtype : {"float32", "float64"}
        drop : collection of str
            Columns to leave out, beside those that were left out in training.

        Returns
        -------
        ndarray of shape (n_rows, n_inputs)

        Raises
        ------
        DataError
            If a column is missing or one too many, or a cell is missing, of the wrong kind, or
            a category that training did not see.
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
        # Column by column into rows of a transposed array: quicker than strided writing.
        xt = np.zeros((self.n_inputs, table.n_rows), dtype)
        start = 0
        missing: np.ndarray | None
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
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
        """Turn a table's target column into what the network is trained towards.

        Parameters
        ----------
        table : Table, data frame, Arrow table, array or mapping
            What `datasets.as_table` takes.
        dtype : {"float32", "float64"}

        Returns
        -------
        ndarray of shape (n_rows, 1)
            Numbers (standardised if the model's are), or the classes' indices.

        Raises
        ------
        DataError
            If the column is not there, or a cell is missing or not a number or a known label.
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
        """Bring a regression network's outputs back to the target's units.

        Parameters
        ----------
        outputs : ndarray of shape (..., 1)
            Of a network or an ensemble; its members' outputs or quantiles, too.

        Returns
        -------
        ndarray of shape (...)
            In float64, which tells numbers apart that float32 does not, such as 1234567890 and
            1234567900; in the outputs' type where the target was not scaled.
        """
        if not self.target.is_scaled:
            return np.array(outputs[..., 0])
        return self.target.restored(outputs[..., 0])

    def classes(self, outputs: np.ndarray) -> tuple[list[Label], np.ndarray]:
        """Bring a classifier's outputs back to labels.

        Parameters
        ----------
        outputs : ndarray of shape (n, n_outputs)
            Probabilities: of the second class if there are two, else of each.

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
        """Restore the state from a JSON document, trusting nothing in it.

        Parameters
        ----------
        state : dict
            As `to_dict` gives it.
        source : str
            What error messages call the file it came from.

        Returns
        -------
        Preprocessing

        Raises
        ------
        ModelFileError
            If the document is not such a state.
        """
        try:
            if not isinstance(state, dict):
                raise ValueError(f"no mapping but {arguments.shown(state)}")
            if state["version"] not in (1, 2) or state["task"] not in TASKS:
                raise ValueError("unknown version or task")
            described = state["columns"]
            if state["version"] == 2:
                described = one_by_one(described)
            columns = [column_from(**column) for column in described]
            dropped = state.get("dropped", [])
            if not isinstance(dropped, list) or not all(isinstance(n, str) for n in dropped):
                raise ValueError("dropped columns are no list of names")
            result = cls(state["task"], columns, target_from(**state["target"]), dropped)
            many = len(result.target.labels)
            if (many >= 2) != (result.task == "classification") or not columns:
                raise ValueError("labels do not fit the task")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelFileError(f"{source}: damaged preprocessing: {error}") from error
        return result


def split(n: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw training and validation rows at random.

    Parameters
    ----------
    n : int
        Rows in all.
    fraction : float
        Of the rows to hold out, in (0, 1).
    seed : int

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
    return np.sort(order[held:]), np.sort(order[:held])


class Fitting(ColumnStatistics):
    """Learns a preprocessing from one table, or from the parts of a long one in turn.

    Its arguments are those of `Preprocessing.fit`; ``sample`` says of how many values of a column
    a median is taken at most. `add` takes in a table, `finish` returns what was learned.
    """

    def finish(self) -> Preprocessing:
        """Return what was learned.

        Returns
        -------
        Preprocessing
        """
        return Preprocessing(*self.finished())
