"""Fit a preprocessing: choose the treatment of each column, and the task."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from .._tables.frames import as_table
from .._tables.table import Table
from .._utils import arguments
from .._utils.names import TASKS
from ..errors import DataError
from ._columns import Column, Target
from ._statistics import CategoryLearner, NumberLearner, TargetLearner


class ColumnStatistics:
    """Fits the treatment of columns to one table, or to the parts of a long one in turn.

    Parameters
    ----------
    target, task, categorical, drop, standardize, impute, indicator
        As for `Preprocessing.fit`.
    sample : int, optional
        Compute a median from at most this number of values of a column, drawn at random. By
        default it is exact, and all values are kept until `finish`.
    """

    def __init__(
        self,
        target: str,
        task: str | None = None,
        *,
        categorical: Collection[str] = (),
        drop: Collection[str] = (),
        standardize: bool = True,
        impute: str | None = None,
        indicator: bool = False,
        sample: int | None = None,
    ) -> None:
        arguments.instance("target", target, str)
        if task is not None:
            arguments.one_of("task", task, TASKS)
        if impute is not None:
            arguments.one_of("impute", impute, ("mean", "median"))
        standardize = arguments.flag("standardize", standardize)
        indicator = arguments.flag("indicator", indicator)
        categorical = column_names("categorical", categorical)
        drop = column_names("drop", drop)
        if indicator and impute is None:
            raise ValueError(
                "indicator=True requires impute, which fills missing values. Received: impute=None"
            )
        self._target, self._categorical, self._drop = target, categorical, drop
        self._standardize, self._impute = standardize, impute
        self._indicator, self._sample = indicator, sample
        self._goal = TargetLearner(target, task, target in categorical)
        self._learners: list[NumberLearner | CategoryLearner] = []
        self._source, self._n_rows = "", 0

    def add(self, table: Table, rows: np.ndarray | None = None) -> None:
        """Add a table; all tables must have the same columns.

        Parameters
        ----------
        table : Table
        rows : ndarray of int, optional
            The training rows; all by default.
        """
        if not self._learners:
            self._source = table.source
            self._learners = self._begun(table)
        for learner in self._learners:
            learner.add(table, rows)
        self._goal.add(table, rows)
        self._n_rows += table.n_rows

    def _begun(self, table: Table) -> list[NumberLearner | CategoryLearner]:
        target, drop = self._target, self._drop
        for name in (target, *self._categorical, *drop):
            table.require(name, "target column" if name == target else "column")
        names = [name for name in table.names if name != target and name not in drop]
        if not names:
            raise DataError(f"{table.source}: there is no input column besides '{target}'")
        return [self._learner(table, name) for name in names]

    def _learner(self, table: Table, name: str) -> NumberLearner | CategoryLearner:
        kind = "text" if name in self._categorical else table.kind(name)
        if kind == "text":
            return CategoryLearner(name, self._impute, self._indicator)
        kind = "numeric" if kind == "number" else kind
        return NumberLearner(
            name, kind, self._standardize, self._impute, self._indicator, self._sample
        )

    @property
    def decision(self) -> tuple[str, str]:
        """The task, and the reason for it."""
        return self._goal.decision()

    def finished(self) -> tuple[str, list[Column], Target, list[str]]:
        """Return the task, the columns, the target and the names of the dropped columns.

        Raises
        ------
        DataError
            If there are fewer than two rows.
        """
        if self._n_rows < 2:
            raise DataError(f"{self._source}: {self._n_rows} row; expected at least two")
        columns = [learner.fitted(self._source) for learner in self._learners]
        goal = self._goal.fitted(self._source, self._standardize)
        return self.decision[0], columns, goal, list(self._drop)


def choose_task(table: Any, target: str, categorical: Collection[str] = ()) -> tuple[str, str]:
    """Choose regression or classification from the target column.

    Parameters
    ----------
    table : Table, data frame, Arrow table, array or mapping
        What `datasets.as_table` takes.
    target : str
    categorical : collection of str
        Columns to take as categories.

    Returns
    -------
    task : {"regression", "classification"}
    reason : str

    Raises
    ------
    DataError
        If the column does not exist, misses a value, mixes numbers and text, or holds dates.
    """
    categorical = column_names("categorical", categorical)
    learner = TargetLearner(target, None, target in categorical)
    learner.add(as_table(table))
    return learner.decision()


def column_names(name: str, given: Any) -> list[str]:
    """Return names of columns as a list; a single name need not be in a collection."""
    if isinstance(given, str):
        given = [given]
    return [
        arguments.instance(f"a column in {name}", column, str)
        for column in arguments.items(name, given, "names of columns", ordered=False)
    ]
