"""Statistics of a table's columns, from one table or from the parts of a long one."""

from __future__ import annotations

from collections import Counter

import numpy as np

from .._tables.table import Table
from .._utils.moments import Moments
from ..errors import DataError
from ._columns import MAX_CATEGORIES, Column, Label, Target
from ._transform import refuse_missing

Rows = np.ndarray | None


class Sample:
    """Numbers for a median: all of a column, or a random sample of a long one.

    Parameters
    ----------
    limit : int or None
        Size of the sample, in which every number has the same chance. None: keep all.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._parts: list[np.ndarray] = []
        self._kept = self._seen = 0
        self._rng = np.random.default_rng(0)

    def add(self, values: np.ndarray) -> None:
        """Add numbers."""
        room = len(values) if self._limit is None else self._limit - self._kept
        head, tail = values[:room], values[room:]
        if head.size:
            self._parts.append(head.copy())
            self._kept += len(head)
            self._seen += len(head)
        if tail.size:  # Vitter's algorithm R
            kept = self._all()
            places = self._rng.integers(0, self._seen + 1 + np.arange(len(tail)))
            chosen = places < self._kept
            kept[places[chosen]] = tail[chosen]
            self._seen += len(tail)

    def median(self) -> float:
        """Return the median."""
        return float(np.median(self._all()))

    def _all(self) -> np.ndarray:
        if len(self._parts) != 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


class NumberLearner:
    """Fits a column of numbers, dates or booleans.

    Parameters
    ----------
    name : str
    kind : {"numeric", "date", "boolean"}
    standardize : bool
        For numbers; dates are always standardised, booleans never.
    impute : {"mean", "median"} or None
    indicator : bool
    sample : int or None
        Compute a median from at most this number of values.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        standardize: bool,
        impute: str | None,
        indicator: bool,
        sample: int | None,
    ) -> None:
        self._column = Column(name, kind)
        self._scaled = kind == "date" or (standardize and kind == "numeric")
        self._impute, self._indicator = impute, indicator
        self._moments = Moments()
        self._sample = Sample(sample)
        self._n_missing = 0

    def add(self, table: Table, rows: Rows) -> None:
        """Add a table, of which `rows` are for training."""
        values = self._values(table)
        missing = np.isnan(values)
        if self._impute is None:
            refuse_missing(table, self._column.name, missing)
        if rows is not None:
            values, missing = values[rows], missing[rows]
        n_missing = int(missing.sum())
        if n_missing:
            values = values[~missing]
            self._n_missing += n_missing
        if self._scaled or self._impute is not None:
            self._moments.add(values)
        if self._impute == "median" and self._column.kind != "boolean":
            self._sample.add(values)

    def _values(self, table: Table) -> np.ndarray:
        name = self._column.name
        if table.kind(name) != "text":
            return table.values(name)
        codes = table.coded(name).codes  # after parts of a long file that held dates
        if (codes >= 0).any():
            row = int(np.argmax(codes >= 0))
            raise DataError(
                f"{table.where(row, name)}: '{table.held(row, name)}' or a later cell is not a "
                "date, but earlier cells are; declare the column categorical"
            )
        return np.full(table.n_rows, np.nan)

    def fitted(self, source: str) -> Column:
        """Return the column."""
        column, moments = self._column, self._moments
        if self._impute is not None:
            if not moments.count:
                raise DataError(
                    f"{source}: column '{column.name}' has no value to impute the missing ones from"
                )
            if column.kind == "boolean":
                column.fill = float(moments.mean() > 0.5)
            else:
                median = self._impute == "median"
                column.fill = self._sample.median() if median else moments.mean()
            column.indicator = self._indicator and self._n_missing > 0
            moments.add_same(column.fill, self._n_missing)
        if self._scaled:
            column.mean, column.scale = moments.mean_and_scale(source, column.name)
        return column


class CategoryLearner:
    """Fits a column of categories.

    Parameters
    ----------
    name : str
    impute : str or None
        If not None, the most frequent category replaces missing cells.
    indicator : bool
    """

    def __init__(self, name: str, impute: str | None, indicator: bool) -> None:
        self._name, self._impute, self._indicator = name, impute, indicator
        self._counts: Counter[str] = Counter()
        self._missing_seen = False

    def add(self, table: Table, rows: Rows) -> None:
        """Add a table, of which `rows` are for training."""
        codes, texts = table.coded(self._name)
        if self._impute is None:
            refuse_missing(table, self._name, codes < 0)
        counted = codes if rows is None else codes[rows]
        self._missing_seen |= bool((counted < 0).any())
        counts = np.bincount(counted[counted >= 0], minlength=len(texts))
        for text, count in zip(texts, counts.tolist(), strict=True):
            self._counts[text] += count
        if len(self._counts) > MAX_CATEGORIES:
            raise DataError(
                f"{table.source}: column '{self._name}' has more than {MAX_CATEGORIES} categories; "
                "leave it out"
            )

    def fitted(self, source: str) -> Column:
        """Return the column."""
        categories = sorted(self._counts)
        if not categories:
            raise DataError(f"{source}: column '{self._name}' has no values")
        column = Column(self._name, "categorical", categories=categories)
        if self._impute is not None:
            column.fill = min(categories, key=lambda category: -self._counts[category])
            column.indicator = self._indicator and self._missing_seen
        return column


class TargetLearner:
    """Fits the target column, and chooses the task if it is not given.

    Parameters
    ----------
    name : str
    task : {"regression", "classification"} or None
        None: chosen from the column's values.
    declared : bool
        Whether the column was declared categorical.
    """

    def __init__(self, name: str, task: str | None, declared: bool = False) -> None:
        self.name, self.task = name, task
        self._declared = declared
        self._kind = ""
        self._moments = Moments()
        self._low, self._high = np.inf, -np.inf  # of all rows, not only of the training rows
        self._labels: dict[str, None] = {}
        self._numbers: set[float] = set()  # distinct values, while there are at most two

    def add(self, table: Table, rows: Rows = None) -> None:
        """Add a table, of which `rows` are for training."""
        if not self._kind:
            self._kind = self._first_kind(table)
        if self.task != "classification" and self._kind == "number":
            values = regression_numbers(table, self.name)
            self._moments.add(values if rows is None else values[rows])
            self._low = min(self._low, float(values.min()))
            self._high = max(self._high, float(values.max()))
            if self.task == "regression":
                return
            if len(self._numbers) <= 2:
                self._numbers |= set(np.unique(values)[:3].tolist())
            if len(self._numbers) > 2 or any(value != round(value) for value in self._numbers):
                return
        elif self.task == "regression":
            regression_numbers(table, self.name)
        self._add_labels(table)

    def _first_kind(self, table: Table) -> str:
        table.require(self.name, "target column")
        if self._declared or self.task == "classification":
            return "text"
        kind = table.kind(self.name)
        if kind == "date" and self.task is None:
            raise DataError(
                f"{table.where(0, self.name)}: the target holds dates; expected numbers or "
                "classes. Declare it categorical to take each date as a class"
            )
        return kind

    def _add_labels(self, table: Table) -> None:
        codes, texts = table.coded(self.name)
        refuse_missing(table, self.name, codes < 0, "the target")
        self._labels.update(dict.fromkeys(texts))
        if len(self._labels) > MAX_CATEGORIES:
            raise DataError(
                f"{table.source}: column '{self.name}' has more than {MAX_CATEGORIES} classes; "
                "for numbers, choose regression"
            )

    def decision(self) -> tuple[str, str]:
        """Return the task and the reason for it."""
        if self.task is not None:
            return self.task, "it was asked for"
        if self._declared:
            return "classification", f"'{self.name}' is declared categorical"
        if self._kind == "text":
            return "classification", f"'{self.name}' holds text"
        if self._kind == "boolean":
            return "classification", f"'{self.name}' holds true and false"
        if len(self._numbers) <= 2 and all(value == round(value) for value in self._numbers):
            shown = " and ".join(f"{value:.0f}" for value in sorted(self._numbers))
            return "classification", f"'{self.name}' holds only the whole numbers {shown}"
        return "regression", f"'{self.name}' holds numbers"

    def fitted(self, source: str, standardize: bool) -> Target:
        """Return the target."""
        if self.decision()[0] == "classification":
            return Target(self.name, labels=self._typed_labels(source))
        if self._low == self._high:
            raise DataError(
                f"{source}: column '{self.name}', the target, holds the number {self._low:g} "
                "in every row; expected at least two different ones"
            )
        if standardize:
            return Target(self.name, *self._moments.mean_and_scale(source, self.name))
        return Target(self.name)

    def _typed_labels(self, source: str) -> list[Label]:
        distinct = set(self._labels)
        if len(distinct) < 2:
            raise DataError(
                f"{source}: column '{self.name}' holds one class only ('{next(iter(distinct))}'); "
                "classification needs at least two"
            )
        # Numbers only where they are written as numbers are: 007 stays text.
        for kind in (int, float):
            try:
                labels = {kind(text) for text in distinct}
            except ValueError:
                continue
            if {str(label) for label in labels} == distinct and np.isfinite(list(labels)).all():
                return sorted(labels)
        return sorted(distinct)


def regression_numbers(table: Table, name: str) -> np.ndarray:
    """Return a regression target's numbers; the error names a cell that is not a number."""
    kind = table.kind(name)
    if kind != "number":
        missing = table.coded(name).codes < 0
        row = int(np.argmin(missing))
        what = {"boolean": "true or false", "date": "a date"}.get(kind, "text")
        raise DataError(
            f"{table.where(row, name)}: '{table.held(row, name)}' is {what}; "
            "a regression target must hold numbers"
        )
    values = table.values(name)
    refuse_missing(table, name, np.isnan(values), "the target")
    return values
