"""From a table to a network's arrays and back: impute, standardise, one-hot, labels.

What `Preprocessing.fit` learns from the training rows is a plain JSON document, kept in
``model.extras["preprocessing"]`` and in the model's file, so that every later table is treated
alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ._columns import (
    Column,
    Label,
    Target,
    cast,
    category_codes,
    column_from,
    filled_numbers,
    fit_categorical,
    fit_labels,
    fit_numeric,
    listed,
    mean_and_scale,
    refuse_missing,
    target_from,
)
from ._table import Table
from .errors import DataError, ModelFileError

__all__ = ["Column", "Preprocessing", "Target", "choose_task", "split"]

TASKS = ("regression", "classification")


@dataclass
class Preprocessing:
    """How a table's columns become a network's inputs and targets.

    Parameters
    ----------
    task : {"regression", "classification"}
    columns : list of Column
        The inputs, in the order the network takes them.
    target : Target
    """

    task: str
    columns: list[Column]
    target: Target

    @classmethod
    def fit(
        cls,
        table: Table,
        target: str,
        task: str,
        *,
        categorical: Collection[str] = (),
        drop: Collection[str] = (),
        standardize: bool = False,
        impute: str | None = None,
        rows: np.ndarray | None = None,
    ) -> Preprocessing:
        """Learn the treatment of a table's columns.

        Parameters
        ----------
        table : Table
        target : str
            The column to predict.
        task : {"regression", "classification"}
        categorical : collection of str
            Columns to take as categories even where they hold numbers.
        drop : collection of str
            Columns to leave out.
        standardize : bool
            Scale numeric inputs, and a regression target, to mean 0 and deviation 1.
        impute : {"mean", "median"}, optional
            Replace missing numbers by that, missing categories by the most frequent one.
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
            `impute` is None.
        """
        for name in (target, *categorical, *drop):
            table.require(name, "target column" if name == target else "column")
        chosen = np.arange(table.n_rows) if rows is None else rows
        names = [name for name in table.names if name != target and name not in drop]
        if not names:
            raise DataError(f"{table.source}: no input columns are left beside '{target}'")
        columns = []
        for name in names:
            numbers = None if name in categorical else table.numbers(name)
            if numbers is None:
                columns.append(fit_categorical(table, name, impute, chosen))
            else:
                columns.append(fit_numeric(table, name, numbers, standardize, impute, chosen))
        if task == "classification":
            goal = Target(target, labels=fit_labels(table, target))
        else:
            goal = Target(target)
            values = cls(task, [], goal)._target_numbers(table)
            if standardize:
                goal.mean, goal.scale = mean_and_scale(values[chosen], table, target)
        return cls(task, columns, goal)

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
        """Names of the network's inputs, such as ``age`` and ``colour=red``."""
        names: list[str] = []
        for column in self.columns:
            if column.kind == "categorical":
                names.extend(f"{column.name}={category}" for category in column.categories)
            else:
                names.append(column.name)
        return names

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
            if column.kind != "numeric":
                raise ValueError(f"column '{column.name}' is categorical, expected numbers")
        means = np.array([column.mean for column in self.columns])
        return means, np.array([column.scale for column in self.columns])

    # ---- table to arrays ----

    def inputs(self, table: Table, dtype: str = "float32") -> np.ndarray:
        """Turn a table into the network's inputs; columns it does not know are ignored.

        Parameters
        ----------
        table : Table
        dtype : {"float32", "float64"}

        Returns
        -------
        ndarray of shape (n_rows, n_inputs)

        Raises
        ------
        DataError
            If a column is missing, or a cell is missing, of the wrong kind, or a category
            that training did not see.
        """
        absent = [column.name for column in self.columns if column.name not in table.columns]
        if len(absent) == 1:
            table.require(absent[0], "input column")
        elif absent:
            raise DataError(
                f"{table.source}: there are no input columns {listed(absent)}. "
                f"Columns: {', '.join(table.names)}"
            )
        x = np.zeros((table.n_rows, self.n_inputs), dtype)
        start = 0
        for column in self.columns:
            if column.kind == "categorical":
                codes = category_codes(table, column)
                x[np.arange(table.n_rows), start + codes] = 1
            else:
                with np.errstate(over="ignore"):  # `cast` names the cell
                    values = (filled_numbers(table, column) - column.mean) / column.scale
                x[:, start] = cast(values, dtype, table, column.name)
            start += column.width
        return x

    def targets(self, table: Table, dtype: str = "float32") -> np.ndarray:
        """Turn a table's target column into what the network is trained towards.

        Parameters
        ----------
        table : Table
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
        table.require(self.target.name, "target column")
        if self.task == "regression":
            with np.errstate(over="ignore"):
                values = (self._target_numbers(table) - self.target.mean) / self.target.scale
            return cast(values, dtype, table, self.target.name).reshape(-1, 1)
        return self._target_codes(table).astype(dtype).reshape(-1, 1)

    def _target_numbers(self, table: Table) -> np.ndarray:
        name = self.target.name
        numbers = table.numbers(name)
        if numbers is None:
            row = next(row for row, cell in enumerate(table.text(name)) if cell)
            raise DataError(
                f"{table.where(row, name)}: '{table.columns[name][row].strip()}' is text; "
                "a regression target must hold numbers"
            )
        refuse_missing(table, name, np.isnan(numbers), "the target")
        return numbers

    def _target_codes(self, table: Table) -> np.ndarray:
        name, labels = self.target.name, self.target.labels
        cells = table.text(name)
        refuse_missing(table, name, np.array([not cell for cell in cells]), "the target")
        by_text: dict[str, int] = {str(label): i for i, label in enumerate(labels)}
        by_number = {label: i for i, label in enumerate(labels) if not isinstance(label, str)}
        codes = np.empty(len(cells), np.int64)
        for row, cell in enumerate(cells):
            code = by_text.get(cell)
            if code is None and by_number:  # 1.0 is the class 1
                try:
                    code = by_number.get(float(cell))
                except ValueError:
                    code = None
            if code is None:
                raise DataError(
                    f"{table.where(row, name)}: '{cell}' is not one of the classes "
                    f"{listed([str(label) for label in labels])}"
                )
            codes[row] = code
        return codes

    # ---- the network's outputs back to the table's terms ----

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Bring a regression network's outputs back to the target's units.

        Parameters
        ----------
        outputs : ndarray of shape (n, 1)

        Returns
        -------
        ndarray of shape (n,), in the outputs' type
        """
        restored = outputs[:, 0].astype(np.float64) * self.target.scale + self.target.mean
        return restored.astype(outputs.dtype)

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
        return {
            "version": 1,
            "task": self.task,
            "columns": [asdict(column) for column in self.columns],
            "target": asdict(self.target),
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
            if state["version"] != 1 or state["task"] not in TASKS:
                raise ValueError("unknown version or task")
            columns = [column_from(**column) for column in state["columns"]]
            result = cls(state["task"], columns, target_from(**state["target"]))
            many = len(result.target.labels)
            if (many >= 2) != (result.task == "classification") or not columns:
                raise ValueError("labels do not fit the task")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelFileError(f"{source}: damaged preprocessing: {error}") from error
        return result


def choose_task(table: Table, target: str, categorical: Collection[str] = ()) -> tuple[str, str]:
    """Decide from the target column whether to fit numbers or classes.

    Parameters
    ----------
    table : Table
    target : str
    categorical : collection of str
        Columns that were declared categorical.

    Returns
    -------
    task : {"regression", "classification"}
    reason : str

    Raises
    ------
    DataError
        If there is no such column, or it mixes numbers and text.
    """
    table.require(target, "target column")
    if target in categorical:
        return "classification", f"'{target}' is declared categorical"
    numbers = table.numbers(target)
    if numbers is None:
        return "classification", f"'{target}' holds text"
    distinct = np.unique(numbers[~np.isnan(numbers)])
    if len(distinct) <= 2 and (distinct == np.round(distinct)).all():
        shown = " and ".join(f"{value:.0f}" for value in distinct)
        return "classification", f"'{target}' holds only the whole numbers {shown}"
    return "regression", f"'{target}' holds numbers"


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
    held = max(1, round(n * fraction))
    if held >= n:
        raise DataError(f"{n} rows are too few to hold out a fraction of {fraction:g}")
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[held:]), np.sort(order[:held])
