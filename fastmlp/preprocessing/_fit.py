"""Fit a preprocessing: choose the treatment of each column, and the task."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from .._tables.frames import as_table
from .._tables.table import Table
from .._utils import arguments
from .._utils.names import TASKS
from ..errors import DataError
from ._at_once import add_all, summarise
from ._checks import warnings
from ._columns import TRANSFORMS, Column, Target
from ._statistics import CategoryLearner, NumberLearner, Treatment
from ._target_statistics import TargetLearner
from ._targets import missing_cells, no_target, target_names, without_target
from ._transform import listed


class ColumnStatistics:
    """Fits the treatment of columns to one table, or to the parts of a long one in turn.

    Parameters
    ----------
    target, task, categorical, drop, keep, standardize, impute, indicator, max_categories, unknown
        As for `Preprocessing.fit`.
    date_parts, target_transform
        As for `Preprocessing.fit`.
    sample : int, optional
        Compute medians and quantiles from at most this number of values of a column, drawn at
        random. By default they are exact, and all values are kept until `finish`.
    """

    def __init__(
        self,
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
        sample: int | None = None,
    ) -> None:
        names = target_names(target)
        if task is not None:
            arguments.one_of("task", task, TASKS)
        if impute is not None:
            arguments.one_of("impute", impute, ("median", "mean", "none"))
        if target_transform is not None:
            arguments.one_of("target_transform", target_transform, TRANSFORMS)
        if isinstance(standardize, str):
            scaling = arguments.one_of("standardize", standardize, ("robust", "deviation"))
        else:
            scaling = "robust" if arguments.flag("standardize", standardize) else ""
        self._treatment = Treatment(
            scaling,
            None if impute == "none" else impute,
            arguments.flag("indicator", indicator),
            arguments.integer("max_categories", max_categories),
            arguments.one_of("unknown", unknown, ("ignore", "error")),
            arguments.flag("date_parts", date_parts),
            sample,
        )
        self._categorical = column_names("categorical", categorical)
        self._drop, self._keep = column_names("drop", drop), column_names("keep", keep)
        self._goals = [
            TargetLearner(name, task, name in self._categorical, target_transform, sample)
            for name in names
        ]
        self._learners: list[NumberLearner | CategoryLearner] = []
        self._source, self._n_rows, self._n_without_target = "", 0, 0
        self._warnings: list[str] = []
        self._n_checked = 0
        self._last_input = ""  # an id that is used, because there is nothing else

    def add(self, table: Table, rows: np.ndarray | None = None) -> None:
        """Add a table; all tables must have the same columns.

        Parameters
        ----------
        table : Table
        rows : ndarray of int, optional
            The training rows; all by default.
        """
        begins = not self._learners
        if begins:
            self._source = table.source
            self._learners = self._begun(table)
        rows = self._with_target(table, rows)
        add_all(self._learners, table, rows)
        for goal in self._goals:
            goal.add(table, rows)
        self._n_rows += table.n_rows
        if begins:
            names = [learner.name for learner in self._learners if not self._is_id(learner)]
            goals = {goal.name: goal.decision()[0] for goal in self._goals}
            self._warnings = warnings(table, names, goals, rows)
            self._n_checked = table.n_rows

    def _with_target(self, table: Table, rows: np.ndarray | None) -> np.ndarray | None:
        """Return those of the training rows that have a target."""
        missing = np.zeros(table.n_rows, bool)
        for goal in self._goals:
            missing |= missing_cells(table, goal.name)
        if not missing.any():
            return rows
        self._n_without_target += int(missing.sum())
        return np.flatnonzero(~missing) if rows is None else rows[~missing[rows]]

    def _begun(self, table: Table) -> list[NumberLearner | CategoryLearner]:
        targets, drop = [goal.name for goal in self._goals], self._drop
        for name in (*targets, *self._categorical, *drop, *self._keep):
            table.require(name, "target column" if name in targets else "column")
        names = [name for name in table.names if name not in targets and name not in drop]
        if not names:
            besides = " and ".join(f"'{name}'" for name in targets)
            raise DataError(f"{table.source}: there is no input column besides {besides}")
        return [self._learner(table, name) for name in names]

    def _learner(self, table: Table, name: str) -> NumberLearner | CategoryLearner:
        kind = "text" if name in self._categorical else table.kind(name)
        if kind == "text":
            return CategoryLearner(name, self._treatment, name in self._categorical)
        return NumberLearner(name, "numeric" if kind == "number" else kind, self._treatment)

    @property
    def targets(self) -> list[str]:
        """Names of the targets."""
        return [goal.name for goal in self._goals]

    @property
    def decision(self) -> tuple[str, str]:
        """The task, and the reason for it."""
        return self._goals[0].decision()

    def finished(self) -> tuple[str, list[Column], Target, list[str], list[Target], list[str]]:
        """Return the arguments of `Preprocessing`.

        Returns
        -------
        task : {"regression", "classification"}
        columns : list of Column
        target : Target
        dropped : list of str
            Names of the columns that are left out.
        further : list of Target
        notes : list of str

        Raises
        ------
        DataError
            If there are fewer than two rows with a target, or no column with a value.
        """
        n_rows = self._n_rows - self._n_without_target
        if n_rows < 1 < self._n_rows:
            raise no_target(self._source, self.targets)
        if n_rows < 2:
            of_target = " with a target" if self._n_without_target else ""
            raise DataError(f"{self._source}: {n_rows} row{of_target}; expected at least two")
        tasks = {goal.name: goal.decision() for goal in self._goals}
        if len(tasks) > 1:
            for name, (task, reason) in tasks.items():
                if task != "regression":
                    raise DataError(
                        f"{self._source}: several targets must all hold numbers, but {reason}; "
                        f"train a network for '{name}' by itself"
                    )
        learners, empty, constant, ids = self._sorted_out()
        scaled = bool(self._treatment.standardize)
        goals = [goal.fitted(self._source, scaled) for goal in self._goals]
        numbers = [one.sample for one in learners if isinstance(one, NumberLearner)]
        robust = self._treatment.standardize == "robust"
        summarise(numbers, self._treatment.impute == "median", robust)
        columns = [learner.fitted(self._source) for learner in learners]
        notes = self._notes(learners, columns, empty, constant, ids)
        dropped = [*self._drop, *empty, *constant, *ids]
        return self.decision[0], columns, goals[0], dropped, goals[1:], notes

    def _is_id(self, learner: NumberLearner | CategoryLearner) -> bool:
        return learner.name not in self._keep and learner.is_id(self._n_rows)

    def _sorted_out(
        self,
    ) -> tuple[list[NumberLearner | CategoryLearner], list[str], list[str], list[str]]:
        """Return the learners of the inputs, and the names of empty columns, constants and ids."""
        empty = [learner.name for learner in self._learners if not learner.n_present]
        left = [learner for learner in self._learners if learner.n_present]
        if not left:
            raise DataError(
                f"{self._source}: column '{empty[-1]}' has no values, and there is no other input"
            )
        # Nothing can be learnt from a constant: another value later would only disturb.
        constant = [one.name for one in left if one.is_constant and one.name not in self._keep]
        if len(constant) == len(left):
            constant = []
        left_out = set(constant)
        left = [one for one in left if one.name not in left_out]
        ids = [learner for learner in left if self._is_id(learner)]
        if len(ids) == len(left):  # something must stay, rather a number than text
            last = next((one for one in ids if isinstance(one, NumberLearner)), ids[-1])
            ids.remove(last)
            self._last_input = last.name
        left_out = {one.name for one in ids}
        left = [one for one in left if one.name not in left_out]
        return left, empty, constant, [one.name for one in ids]

    def _notes(
        self,
        learners: list[NumberLearner | CategoryLearner],
        columns: list[Column],
        empty: list[str],
        constant: list[str],
        ids: list[str],
    ) -> list[str]:
        notes = []
        if self._n_without_target:
            names = [goal.name for goal in self._goals]
            notes.append(without_target(self._n_without_target, names))
        notes += self._goals[0].notes()
        if ids:
            notes.append(
                f"Left out as {'an id' if len(ids) == 1 else 'ids'}: {listed(ids)} "
                f"(--keep {shlex.quote(ids[0])} uses it)."
            )
        if self._last_input:
            notes.append(
                f"'{self._last_input}' looks like an id and is used only because there is no other "
                "input; the model cannot know new rows by it."
            )
        if empty:
            notes.append(f"Left out, because there is no value: {listed(empty)}.")
        if constant:
            notes.append(f"Left out, because it is the same in all rows: {listed(constant)}.")
        useless = [learner.name for learner in learners if learner.is_constant]
        if useless:
            notes.append(f"The same in all rows, and so of no use: {listed(useless)}.")
        notes += self._missing_note(learners, columns)
        for learner, column in zip(learners, columns, strict=True):
            if isinstance(learner, CategoryLearner) and column.other:
                notes.append(self._merged_note(learner))
        notes += self._warnings
        if self._n_checked < self._n_rows:
            notes.append(
                "Columns that give the target away, and rows that occur twice, were looked for in "
                f"the first {self._n_checked:,} rows only."
            )
        return notes

    def _missing_note(
        self, learners: list[NumberLearner | CategoryLearner], columns: list[Column]
    ) -> list[str]:
        gaps = [
            (one.n_missing / self._n_rows, one.name, column.kind)
            for one, column in zip(learners, columns, strict=True)
            if one.n_missing
        ]
        if not gaps:
            return []
        worst = sorted(gaps, key=lambda gap: -gap[0])
        shares = ", ".join(f"{name} {percent(share)}" for share, name, _ in worst[:10])
        if len(worst) > 10:
            shares += f", ... ({len(worst)} columns)"
        kinds = {kind for _, _, kind in gaps}
        indicator = self._treatment.indicator
        with_indicator = ", with an indicator" if indicator else ""
        how = []
        if kinds & {"numeric", "date"}:
            how.append(f"filled by the {self._treatment.impute}{with_indicator}")
        if "boolean" in kinds:
            how.append(f"true or false filled by the more frequent value{with_indicator}")
        if "categorical" in kinds:
            level = "a category of their own" if indicator else "no category"
            how.append(f"missing categories are {level}")
        return [f"Missing: {shares}; {'; '.join(how)} (--impute none refuses)."]

    def _merged_note(self, learner: CategoryLearner) -> str:
        most = self._treatment.max_categories
        text = (
            f"'{learner.name}' has {learner.n_categories} categories: the {most} most frequent "
            "are kept, the rest are 'other' (--max-categories)."
        )
        if learner.is_nearly_distinct:
            text += f" Nearly every row has its own: --drop {shlex.quote(learner.name)}?"
        return text


def percent(share: float) -> str:
    """Return a share as a percentage that is neither 0% nor 100% unless it is exactly so."""
    if 0 < share < 0.01:
        return "under 1%"
    if 0.99 < share < 1:
        return "over 99%"
    return f"{100 * share:.0f}%"


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
        If the column does not exist, mixes numbers and text, or holds dates.
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
