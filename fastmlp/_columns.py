"""Columns of a table: what is learnt of each from the training rows, and how it is applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._table import Table
from .errors import DataError

MAX_CATEGORIES = 1000
Label = int | float | str


@dataclass
class Column:
    """One input column: numeric, or categorical with one 0/1 input for each category."""

    name: str
    kind: str = "numeric"
    mean: float = 0.0
    scale: float = 1.0
    fill: float | str | None = None  # stands for a missing cell; None: missing cells are refused
    categories: list[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Number of network inputs."""
        return len(self.categories) if self.kind == "categorical" else 1


@dataclass
class Target:
    """The target column: numbers, or a class's label for each row."""

    name: str
    mean: float = 0.0
    scale: float = 1.0
    labels: list[Label] = field(default_factory=list)


def fit_numeric(
    table: Table,
    name: str,
    numbers: np.ndarray,
    standardize: bool,
    impute: str | None,
    rows: np.ndarray,
) -> Column:
    column = Column(name)
    missing = np.isnan(numbers)
    if impute is None:
        refuse_missing(table, name, missing)
    else:
        present = numbers[rows][~missing[rows]]
        if not present.size:
            raise DataError(
                f"{table.source}: column '{name}' has no value to impute the missing ones from"
            )
        column.fill = float(np.median(present) if impute == "median" else _mean(present))
        numbers = np.where(missing, column.fill, numbers)
    if standardize:
        column.mean, column.scale = mean_and_scale(numbers[rows], table, name)
    return column


def _mean(values: np.ndarray) -> float:
    largest = float(np.abs(values).max()) or 1.0
    return float((values / largest).mean()) * largest  # the sum of huge values could overflow


def mean_and_scale(values: np.ndarray, table: Table, name: str) -> tuple[float, float]:
    largest = float(np.abs(values).max()) or 1.0
    mean, scale = _mean(values), float((values / largest).std()) * largest
    if values.max() / 2 - values.min() / 2 > np.finfo(np.float64).max / 2:
        raise DataError(f"{table.source}: the numbers of column '{name}' are too far apart")
    # Rounding leaves a constant column a tiny deviation; it becomes 0, not noise.
    return mean, scale if scale > 1e-12 * largest else 1.0


def fit_categorical(table: Table, name: str, impute: str | None, rows: np.ndarray) -> Column:
    cells = table.text(name)
    missing = np.array([not cell for cell in cells])
    if impute is None:
        refuse_missing(table, name, missing)
    categories = sorted(set(cells) - {""})
    if not categories:
        raise DataError(f"{table.source}: column '{name}' has no values")
    if len(categories) > MAX_CATEGORIES:
        raise DataError(
            f"{table.source}: column '{name}' has {len(categories)} categories, "
            f"more than {MAX_CATEGORIES}; leave it out"
        )
    counts = Counter(cell for cell in (cells[row] for row in rows) if cell)
    fill = None
    if impute is not None:
        fill = min(counts, key=lambda category: (-counts[category], category), default="")
        fill = fill or categories[0]
    return Column(name, "categorical", fill=fill, categories=categories)


def fit_labels(table: Table, name: str) -> list[Label]:
    cells = table.text(name)
    refuse_missing(table, name, np.array([not cell for cell in cells]), "the target")
    distinct = set(cells)
    if len(distinct) < 2:
        raise DataError(
            f"{table.source}: column '{name}' holds one class only ('{cells[0]}'); "
            "classification needs at least two"
        )
    if len(distinct) > MAX_CATEGORIES:
        raise DataError(
            f"{table.source}: column '{name}' has {len(distinct)} classes, "
            f"more than {MAX_CATEGORIES}; for numbers, choose regression"
        )
    # Numbers only where they are written as numbers are: 007 stays text.
    for kind in (int, float):
        try:
            labels = {kind(cell) for cell in distinct}
        except ValueError:
            continue
        if {str(label) for label in labels} == distinct and np.isfinite(list(labels)).all():
            return sorted(labels)
    return sorted(distinct)


# ---- cells -----------------------------------------------------------------------------------


def refuse_missing(table: Table, name: str, missing: np.ndarray, what: str = "the value") -> None:
    if not missing.any():
        return
    row = int(np.argmax(missing))
    held = table.columns[name][row].strip()
    shown = f" ('{held}')" if held else ""
    advice = "" if what == "the target" else "; fill it in or have it imputed"
    raise DataError(f"{table.where(row, name)}: {what} is missing{shown}{advice}")


def filled_numbers(table: Table, column: Column) -> np.ndarray:
    numbers = table.numbers(column.name)
    if numbers is None:
        cells = table.text(column.name)
        row = next((row for row, cell in enumerate(cells) if cell), 0)
        raise DataError(
            f"{table.where(row, column.name)}: '{cells[row]}' is text; "
            "the model was trained on numbers"
        )
    missing = np.isnan(numbers)
    if column.fill is None:
        refuse_missing(table, column.name, missing)
        return numbers
    return np.where(missing, column.fill, numbers)


def category_codes(table: Table, column: Column) -> np.ndarray:
    cells = table.text(column.name)
    if column.fill is None:
        refuse_missing(table, column.name, np.array([not cell for cell in cells]))
    known = {category: i for i, category in enumerate(column.categories)}
    if isinstance(column.fill, str):
        known[""] = known[column.fill]
    codes = np.empty(len(cells), np.int64)
    for row, cell in enumerate(cells):
        code = known.get(cell)
        if code is None:
            raise DataError(
                f"{table.where(row, column.name)}: the category '{cell}' was not seen in "
                f"training; known are {listed(column.categories)}"
            )
        codes[row] = code
    return codes


def cast(values: np.ndarray, dtype: str, table: Table, name: str) -> np.ndarray:
    too_large = np.abs(values) > np.finfo(dtype).max
    if too_large.any():
        row = int(np.argmax(too_large))
        raise DataError(
            f"{table.where(row, name)}: '{table.columns[name][row].strip()}' is too large for "
            f"{dtype}; standardising brings it into range"
        )
    return values.astype(dtype)


def listed(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown


# ---- from JSON ---


def column_from(name: Any, kind: Any, mean: Any, scale: Any, fill: Any, categories: Any) -> Column:
    mean, scale = _checked_scale(mean, scale)
    _expect(isinstance(name, str) and isinstance(categories, list), "a column's name or categories")
    _expect(all(isinstance(category, str) for category in categories), "categories")
    _expect(len(set(categories)) == len(categories), "categories")
    _expect(kind in ("numeric", "categorical"), "a column's kind")
    _expect((kind == "categorical") == bool(categories), "a column's categories")
    if fill is not None and kind == "categorical":
        _expect(fill in categories, "a column's fill")
    elif fill is not None:
        fill = float(fill)
        _expect(bool(np.isfinite(fill)), "a column's fill")
    return Column(name, kind, mean, scale, fill, categories)


def target_from(name: Any, mean: Any, scale: Any, labels: Any) -> Target:
    mean, scale = _checked_scale(mean, scale)
    _expect(isinstance(name, str) and isinstance(labels, list), "the target")
    _expect(
        all(isinstance(x, int | float | str) and not isinstance(x, bool) for x in labels), "labels"
    )
    _expect(len(set(labels)) == len(labels), "labels")
    return Target(name, mean, scale, labels)


def _checked_scale(mean: Any, scale: Any) -> tuple[float, float]:
    mean, scale = float(mean), float(scale)
    _expect(bool(np.isfinite(mean) and np.isfinite(scale) and scale > 0), "a mean or scale")
    return mean, scale


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
