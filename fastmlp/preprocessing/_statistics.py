"""Statistics of a table's columns, from one table or from the parts of a long one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from .._tables.table import Table
from .._utils.moments import Moments
from ..errors import DataError
from ._columns import CLIP, DATE_PARTS, Column
from ._ids import FEWEST_TEXTS, RowNumbers, is_index_like
from ._transform import refuse_missing

Rows = np.ndarray | None

_MOST_COUNTED = 1 << 20  # categories of a column
HUGE = 1e150  # of such numbers, squares and sums of squares could overflow
QUARTILES = (0.25, 0.5, 0.75)


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
        self._rng: np.random.Generator | None = None  # made when it is needed: that takes time
        self._median: float | None = None  # computed once
        self._quartiles: list[float] | None = None

    def add(self, values: np.ndarray) -> None:
        """Add numbers."""
        self._median = self._quartiles = None
        room = len(values) if self._limit is None else self._limit - self._kept
        head, tail = values[:room], values[room:]
        if head.size:
            self._parts.append(head.copy())
            self._kept += len(head)
            self._seen += len(head)
        if tail.size:  # Vitter's algorithm R
            kept = self.values()
            self._rng = self._rng or np.random.default_rng(0)
            places = self._rng.integers(0, self._seen + 1 + np.arange(len(tail)))
            chosen = places < self._kept
            kept[places[chosen]] = tail[chosen]
            self._seen += len(tail)

    def median(self) -> float:
        """Return the median."""
        if self._median is None:
            self._median = float(np.median(self.values()))
        return self._median

    def quartiles(self) -> list[float]:
        """Return the lower quartile, the quantile 0.5 and the upper quartile."""
        if self._quartiles is None:
            values = self.values()
            largest = float(max(-values.min(), values.max(), 1.0))
            if largest > HUGE:  # differences of huge values could overflow
                found = np.quantile(values / largest, QUARTILES) * largest
            else:
                found = np.quantile(values, QUARTILES)
            self._quartiles = found.tolist()
        return self._quartiles

    def remember(self, median: float | None, quartiles: list[float] | None) -> None:
        """Take a median and quartiles that were computed elsewhere; None: not computed."""
        self._median, self._quartiles = median, quartiles

    @property
    def size(self) -> int:
        """How many numbers are kept."""
        return self._kept

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
        self._low, self._high = np.inf, -np.inf  # of all rows
        self.n_missing = self.n_present = 0  # of all rows

    @property
    def is_plain(self) -> bool:
        """Whether `add_plain` may take the place of `add`."""
        return self._rows is None and self._column.kind != "date"

    @property
    def sample(self) -> Sample:
        """The numbers of which quantiles are taken."""
        return self._sample

    def add_plain(
        self,
        n_rows: int,
        low: float,
        high: float,
        training: np.ndarray,
        part: tuple[float, float, float, float],
    ) -> None:
        """Add a table in which no cell of the column is missing, as `add` does.

        Parameters
        ----------
        n_rows : int
        low, high : float
            Of all rows.
        training : ndarray of float64
            The training rows' numbers.
        part : tuple of float
            Their smallest and largest number, mean and deviation.
        """
        self.n_present += n_rows
        self._low, self._high = min(self._low, low), max(self._high, high)
        if self._scaling or self._treatment.impute is not None:
            self._moments.add_part(len(training), *part)
        if self._samples:
            self._sample.add(training)

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
        if n_missing < len(values):
            self._low = min(self._low, float(np.fmin.reduce(values)))
            self._high = max(self._high, float(np.fmax.reduce(values)))
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
        return self._low == self._high and not self.n_missing

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
        low, column.mean, high = self._sample.quartiles()
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
        Whether the user calls it categorical: it is not an id, and "NA" is a category.
    """

    def __init__(self, name: str, treatment: Treatment, declared: bool = False) -> None:
        self.name, self._treatment, self._declared = name, treatment, declared
        self._counts: Counter[str] = Counter()
        self._shortened = False
        self.n_missing = self.n_present = 0

    def add(self, table: Table, rows: Rows) -> None:
        """Add a table. Categories are learnt from all rows, so that every part has them."""
        codes, texts = table.coded(self.name, self._declared)
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
