"""Statistics of a table's columns, from one table or from the parts of a long one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._tables.table import Table
from .._utils.moments import Moments
from ..errors import DataError
from ._columns import CLIP, DATE_PARTS, MAX_CATEGORIES, Column, Label, Target
from ._ids import FEWEST_TEXTS, RowNumbers, is_index_like
from ._targets import normal_scores, refuse_negative
from ._transform import refuse_missing

Rows = np.ndarray | None

_MOST_COUNTED = 1 << 20  # categories of a column
_FEW = 10  # distinct whole numbers that may be classes


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
            kept = self.values()
            places = self._rng.integers(0, self._seen + 1 + np.arange(len(tail)))
            chosen = places < self._kept
            kept[places[chosen]] = tail[chosen]
            self._seen += len(tail)

    def median(self) -> float:
        """Return the median."""
        return float(np.median(self.values()))

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return quantiles."""
        values = self.values()
        largest = float(max(-values.min(), values.max(), 1.0))
        if largest > 1e150:  # differences of huge values could overflow
            return [float(q) * largest for q in np.quantile(values / largest, shares)]
        return [float(q) for q in np.quantile(values, shares)]

    def values(self) -> np.ndarray:
        """Return the numbers kept."""
        if len(self._parts) != 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


@dataclass(frozen=True)
class Treatment:
    """How columns are treated; the arguments of `Preprocessing.fit`."""

    standardize: str = "robust"  # or "deviation", or "" for not at all
    impute: str | None = "median"  # None: missing values are an error
    indicator: bool = True
    max_categories: int = 64
    unknown: str = "ignore"
    date_parts: bool = False
    sample: int | None = None


class NumberLearner:
    """Fits a column of numbers, dates or booleans.

    Parameters
    ----------
    name : str
    kind : {"numeric", "date", "boolean"}
    treatment : Treatment
        Dates are always standardised, booleans never.
    """

    def __init__(self, name: str, kind: str, treatment: Treatment) -> None:
        self.name, self._treatment = name, treatment
        self._column = Column(name, kind)
        scaling = treatment.standardize or ("deviation" if kind == "date" else "")
        self._scaling = "" if kind == "boolean" else scaling
        self._moments = Moments()
        self._sample = Sample(treatment.sample)
        wants_median = treatment.impute == "median" or self._scaling == "robust"
        self._samples = kind != "boolean" and wants_median
        self._rows = RowNumbers() if kind == "numeric" and is_index_like(name) else None
        self._wholes = True  # dates only: no times of day
        self._n_filled = 0  # of the training rows
        self.n_missing = self.n_present = 0  # of all rows

    def add(self, table: Table, rows: Rows) -> None:
        """Add a table, of which `rows` are for training."""
        values = self._values(table)
        missing = np.isnan(values)
        if self._treatment.impute is None:
            refuse_missing(table, self.name, missing)
        if self._rows is not None:
            self._rows.add(values)
        n_missing = int(missing.sum())
        self.n_missing += n_missing
        self.n_present += len(values) - n_missing
        if rows is not None:
            values, missing = values[rows], missing[rows]
        if n_missing:
            self._n_filled += int(missing.sum())
            values = values[~missing]
        if self._column.kind == "date":
            self._wholes = self._wholes and bool((values == np.floor(values)).all())
        if self._scaling or self._treatment.impute is not None:
            self._moments.add(values)
        if self._samples:
            self._sample.add(values)

    def _values(self, table: Table) -> np.ndarray:
        name = self.name
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

    def is_id(self, n_rows: int) -> bool:
        """Return whether the column counts the rows."""
        return self._rows is not None and self._rows.count_up(n_rows)

    @property
    def is_constant(self) -> bool:
        """Whether all values are the same."""
        return self._moments.low == self._moments.high and not self.n_missing

    def fitted(self, source: str) -> Column:
        """Return the column."""
        column, moments, treatment = self._column, self._moments, self._treatment
        if treatment.impute is not None:
            column.fill = self._usual_value()
            column.indicator = treatment.indicator and self.n_missing > 0
        if not moments.count:
            return column
        if self._scaling == "robust":
            self._scale_robustly(source)
        elif self._scaling:
            if column.fill is not None:
                moments.add_same(float(column.fill), self._n_filled)
            column.mean, column.scale = moments.mean_and_scale(source, column.name)
        if column.kind == "date" and treatment.date_parts:
            column.date_parts = DATE_PARTS[:-1] if self._wholes else DATE_PARTS
        return column

    def _usual_value(self) -> float:
        """Return what replaces missing values."""
        if not self._moments.count:  # the training rows have none
            return 0.0
        if self._column.kind == "boolean":
            return float(self._moments.mean() > 0.5)
        median = self._treatment.impute == "median"
        return self._sample.median() if median else self._moments.mean()

    def _scale_robustly(self, source: str) -> None:
        column = self._column
        _, deviation = self._moments.mean_and_scale(source, column.name)
        low, column.mean, high = self._sample.quantiles((0.25, 0.5, 0.75))
        largest = max(abs(self._moments.low), abs(self._moments.high)) or 1.0
        # Rounding can part equal numbers: see Moments.mean_and_scale.
        column.scale = high - low if high - low > 1e-12 * largest else deviation
        column.clip = CLIP


class CategoryLearner:
    """Fits a column of categories.

    Parameters
    ----------
    name : str
    treatment : Treatment
    declared : bool
        Whether the user calls it categorical; it is not an id then.
    """

    def __init__(self, name: str, treatment: Treatment, declared: bool = False) -> None:
        self.name, self._treatment, self._declared = name, treatment, declared
        self._counts: Counter[str] = Counter()
        self._shortened = False
        self.n_missing = self.n_present = 0

    def add(self, table: Table, rows: Rows) -> None:
        """Add a table. Categories are learnt from all rows, so that every part has them."""
        codes, texts = table.coded(self.name)
        missing = codes < 0
        if self._treatment.impute is None:
            refuse_missing(table, self.name, missing)
        n_missing = int(missing.sum())
        self.n_missing += n_missing
        self.n_present += len(codes) - n_missing
        counts = np.bincount(codes[~missing] if n_missing else codes, minlength=len(texts))
        if self._counts:
            for text, count in zip(texts, counts.tolist(), strict=True):
                self._counts[text] += count
        else:
            self._counts.update(dict(zip(texts, counts.tolist(), strict=True)))
        if len(self._counts) > _MOST_COUNTED:  # the rarest would be merged anyway
            self._counts = Counter(dict(self._counts.most_common(_MOST_COUNTED // 2)))
            self._shortened = True

    @property
    def n_categories(self) -> int:
        """How many different categories there are, or at least were counted."""
        return len(self._counts)

    def is_id(self, n_rows: int) -> bool:
        """Return whether the column names the rows."""
        if self._declared or self.n_present < max(FEWEST_TEXTS, self.n_missing):
            return False
        distinct = self._shortened or len(self._counts) == self.n_present
        return distinct and max(self._counts.values()) == 1

    @property
    def is_nearly_distinct(self) -> bool:
        """Whether the column is rather free text than categories."""
        return self.n_present >= FEWEST_TEXTS and len(self._counts) > 0.9 * self.n_present

    @property
    def is_constant(self) -> bool:
        """Whether all values are the same."""
        return len(self._counts) == 1 and not self.n_missing

    @property
    def is_merged(self) -> bool:
        """Whether rare categories are merged into one."""
        return len(self._counts) > self._treatment.max_categories

    def fitted(self, source: str) -> Column:
        """Return the column."""
        most, counts = self._treatment.max_categories, self._counts
        kept = list(counts)
        if self.is_merged:  # of equally frequent ones, the first in the alphabet
            fewest = sorted(counts.values(), reverse=True)[most - 1]
            often = [category for category in kept if counts[category] >= fewest]
            kept = sorted(often, key=lambda category: (-counts[category], category))[:most]
        column = Column(self.name, "categorical", categories=sorted(kept))
        column.other, column.unknown = self.is_merged, self._treatment.unknown
        if self._treatment.impute is not None:
            column.fill = ""
            column.indicator = self._treatment.indicator and self.n_missing > 0
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
    transform : {"log", "sqrt", "quantile"}, optional
    sample : int, optional
        Fit a transform to at most this number of values.
    """

    def __init__(
        self,
        name: str,
        task: str | None,
        declared: bool = False,
        transform: str | None = None,
        sample: int | None = None,
    ) -> None:
        self.name, self.task = name, task
        self._declared = declared
        self._transform = transform or ""
        self._sample = Sample(sample)
        self._kind = ""
        self._moments = Moments()
        self._low, self._high = np.inf, -np.inf  # of all rows, not only of the training rows
        self._labels: dict[str, None] = {}
        self._numbers: set[float] = set()  # distinct values, while they are few whole numbers
        self._n_rows = 0

    def add(self, table: Table, rows: Rows = None) -> None:
        """Add a table, of which `rows` are for training. Rows without the target do not count."""
        if not self._kind:
            self._kind = self._first_kind(table)
        self._n_rows += table.n_rows
        if self.task != "classification" and self._kind == "number":
            values = regression_numbers(table, self.name)
            training = values if rows is None else values[rows]
            for part in (values, training):
                if np.isnan(part).any():
                    values, training = (v[~np.isnan(v)] for v in (values, training))
                    break
            self._add_numbers(table, values, training)
            if self.task == "regression":
                return
            if len(self._numbers) <= _FEW:
                self._numbers |= set(np.unique(values)[: _FEW + 1].tolist())
            if len(self._numbers) > 2 or any(value != round(value) for value in self._numbers):
                return
        elif self.task == "regression":
            regression_numbers(table, self.name)
        self._add_labels(table)

    def _add_numbers(self, table: Table, values: np.ndarray, training: np.ndarray) -> None:
        self._moments.add(training)
        if not len(values):
            return
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))
        if self._transform:
            self._sample.add(training)
            if self._transform != "quantile" and self._low < 0:
                refuse_negative(table, self.name, self._transform)

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
        texts = table.coded(self.name).texts
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
        whole = all(value == round(value) for value in self._numbers)
        if len(self._numbers) <= 2 and whole:
            shown = " and ".join(f"{value:.0f}" for value in sorted(self._numbers))
            return "classification", f"'{self.name}' holds only the whole numbers {shown}"
        reason = f"'{self.name}' holds numbers"
        if whole and len(self._numbers) <= min(_FEW, self._n_rows // 3):
            reason += f" ({len(self._numbers)} distinct whole numbers: --task classification?)"
        return "regression", reason

    def fitted(self, source: str, standardize: bool) -> Target:
        """Return the target."""
        if self.decision()[0] == "classification":
            if self._transform:
                raise DataError(
                    f"{source}: target_transform is for numbers; the target '{self.name}' has "
                    "classes"
                )
            return Target(self.name, labels=self._typed_labels(source))
        if self._low == self._high:
            raise DataError(
                f"{source}: column '{self.name}', the target, holds the number {self._low:g} "
                "in every row; expected at least two different ones"
            )
        target = Target(self.name)
        moments = self._moments
        if self._transform:
            values = self._sample.values()
            target.transform = self._transform
            if self._transform == "log":
                target.shift = 0.0 if self._low > 0 else 1.0
            elif self._transform == "quantile":
                target.knots, target.scores = normal_scores(values)
            moments = Moments()
            moments.add(target.transformed(values))
        if standardize:
            target.mean, target.scale = moments.mean_and_scale(source, self.name)
        return target

    def _typed_labels(self, source: str) -> list[Label]:
        distinct = set(self._labels)
        if len(distinct) < 2:
            held = f"one class only ('{next(iter(distinct))}')" if distinct else "no class"
            raise DataError(
                f"{source}: column '{self.name}' holds {held}; classification needs at least two"
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
    """Return a regression target's numbers, missing ones as NaN.

    Raises
    ------
    DataError
        If a cell is not a number.
    """
    kind = table.kind(name)
    if kind != "number":
        missing = table.coded(name).codes < 0
        row = int(np.argmin(missing))
        what = {"boolean": "true or false", "date": "a date"}.get(kind, "text")
        raise DataError(
            f"{table.where(row, name)}: '{table.held(row, name)}' is {what}; "
            "a regression target must hold numbers"
        )
    return table.values(name)
