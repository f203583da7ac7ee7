"""The settings of a column and of the target, as a model's file holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

MAX_CATEGORIES = 1000
Label = int | float | str


@dataclass
class Column:
    """One input column.

    Parameters
    ----------
    name : str
    kind : {"numeric", "boolean", "date", "categorical"}
        A boolean is one input, 0 or 1; a date its days since 1970-01-01; a categorical column
        has one 0/1 input for each category.
    mean, scale : float
        A number or date becomes (value - mean) / scale.
    fill : float or str, optional
        Replaces missing cells; None: missing cells are an error.
    categories : list of str
    indicator : bool
        Whether an additional 0/1 input marks missing cells.
    """

    name: str
    kind: str = "numeric"
    mean: float = 0.0
    scale: float = 1.0
    fill: float | str | None = None
    categories: list[str] = field(default_factory=list)
    indicator: bool = False

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs."""
        names = [self.name]
        if self.kind == "categorical":
            names = [f"{self.name}={category}" for category in self.categories]
        return [*names, f"{self.name} missing"] if self.indicator else names

    @property
    def width(self) -> int:
        """Number of network inputs."""
        return (len(self.categories) if self.kind == "categorical" else 1) + self.indicator


@dataclass
class Target:
    """The target column: numbers, or each row's class label."""

    name: str
    mean: float = 0.0
    scale: float = 1.0
    labels: list[Label] = field(default_factory=list)

    @property
    def is_scaled(self) -> bool:
        """Whether the network predicts a standardised target."""
        return self.mean != 0 or self.scale != 1

    def restored(self, values: Any) -> np.ndarray:
        """Return a network's numbers in the table's units.

        In float64, because float32 cannot keep apart close numbers far from 0.
        """
        result: np.ndarray = np.asarray(values, np.float64) * self.scale + self.mean
        return result


# ---- from JSON ---------------------------------------------------------------------------------


def column_from(
    name: Any,
    kind: Any,
    mean: Any,
    scale: Any,
    fill: Any,
    categories: Any,
    indicator: Any = False,
) -> Column:
    mean, scale = _checked_scale(mean, scale)
    _expect(isinstance(name, str) and isinstance(categories, list), "a column's name or categories")
    _expect(all(isinstance(category, str) for category in categories), "categories")
    _expect(len(set(categories)) == len(categories), "categories")
    _expect(kind in ("numeric", "boolean", "date", "categorical"), "a column's kind")
    _expect(isinstance(indicator, bool) and (fill is not None or not indicator), "an indicator")
    _expect((kind == "categorical") == bool(categories), "a column's categories")
    if fill is not None and kind == "categorical":
        _expect(fill in categories, "a column's fill")
    elif fill is not None:
        fill = float(fill)
        _expect(bool(np.isfinite(fill)), "a column's fill")
    return Column(name, kind, mean, scale, fill, categories, indicator)


def side_by_side(columns: Sequence[Column]) -> dict[str, Any]:
    """Return columns' fields as JSON values, one list per field: much shorter for many columns.

    A field that is equal in all columns is ``{"all": value}``, any other ``{"each": [...]}``.
    """
    described: dict[str, Any] = {}
    for one in fields(Column):
        values = [getattr(column, one.name) for column in columns]
        same = one.name != "name" and all(value == values[0] for value in values)
        described[one.name] = {"all": values[0]} if same else {"each": values}
    return described


def one_by_one(described: Any) -> Iterator[dict[str, Any]]:
    """Yield the arguments of `column_from` for each column that `side_by_side` described."""
    names = described["name"]["each"]
    _expect(isinstance(names, list), "the columns' names")
    each = {key: entry["each"] for key, entry in described.items() if "each" in entry}
    shared = {key: entry["all"] for key, entry in described.items() if "each" not in entry}
    _expect(all(len(values) == len(names) for values in each.values()), "columns' lists")
    for values in zip(*each.values(), strict=True):
        yield {**shared, **dict(zip(each, values, strict=True))}


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
