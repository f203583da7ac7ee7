"""The settings of a column and of the target, as a model's file holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from operator import attrgetter
from typing import Any

import numpy as np

MAX_CATEGORIES = 1000  # classes of a target
CLIP = 3.0  # of robust scaling
DATE_PARTS = ("year", "month", "weekday", "hour")
TRANSFORMS = ("log", "sqrt", "quantile")
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
        A number or date becomes z = (value - mean) / scale.
    fill : float or str, optional
        Replaces missing cells; None: missing cells are an error. For categories "" sets all
        categories' inputs to 0.
    categories : list of str
    indicator : bool
        Whether an additional 0/1 input marks missing cells.
    clip : float
        If above 0, z becomes z / sqrt(1 + (z / clip)^2), which lies between -clip and clip.
    date_parts : tuple of str
        Which of "year", "month", "weekday" and "hour" follow a date's days, each as the sine and
        the cosine of its place in the year, in the twelve months, in the week or in the day.
    other : bool
        Whether one more 0/1 input, after the categories', stands for any other category.
    unknown : {"error", "ignore"}
        Without `other`: whether a category not seen in training is an error, or sets all
        categories' inputs to 0.
    """

    name: str
    kind: str = "numeric"
    mean: float = 0.0
    scale: float = 1.0
    fill: float | str | None = None
    categories: list[str] = field(default_factory=list)
    indicator: bool = False
    clip: float = 0.0
    date_parts: tuple[str, ...] = ()
    other: bool = False
    unknown: str = "error"

    @property
    def value_names(self) -> list[str]:
        """Names of the network's inputs, without that of the indicator."""
        if self.kind != "categorical":
            waves = [f"{self.name} {part} {f}" for part in self.date_parts for f in ("sin", "cos")]
            return [self.name, *waves]
        names = [f"{self.name}={category}" for category in self.categories]
        return [*names, f"{self.name} other"] if self.other else names

    @property
    def input_names(self) -> list[str]:
        """Names of the network's inputs."""
        names = self.value_names
        return [*names, f"{self.name} missing"] if self.indicator else names

    @property
    def width(self) -> int:
        """Number of network inputs."""
        if self.kind == "categorical":
            return len(self.categories) + self.other + self.indicator
        return 1 + 2 * len(self.date_parts) + self.indicator

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return the inputs of numbers or days, in float64."""
        z = scaled(values, self.mean, self.scale)
        return clipped(z, self.clip) if self.clip else z

    def restored(self, inputs: np.ndarray) -> np.ndarray:
        """Return the numbers or days that `scaled` made inputs of.

        In float64. Where z was far outside the clip, the input has lost it: the number is too near.
        """
        z: np.ndarray = np.asarray(inputs, np.float64)
        if self.clip:
            share = np.clip(z / self.clip, -_LARGEST_SHARE, _LARGEST_SHARE)
            z = z / np.sqrt(1 - share * share)
        return z * self.scale + self.mean


_LARGEST_SHARE = 1 - 1e-7  # of clip; float32 cannot come closer


def scaled(values: np.ndarray, mean: float, scale: float) -> np.ndarray:
    """Return (values - mean) / scale."""
    with np.errstate(over="ignore"):  # infinity becomes an error later
        if mean != 0:
            values = values - mean
        if scale != 1:
            values = values / scale
    return values


FAR = 1e9  # beyond, z / sqrt(1 + (z / clip)^2) is clip to the last bit


def clipped(z: np.ndarray, clip: float | np.ndarray) -> np.ndarray:
    """Return z / sqrt(1 + (z / clip)^2)."""
    z = np.clip(z, -FAR, FAR)
    share = z / clip
    return z / np.sqrt(1 + share * share)


@dataclass
class Target:
    """The target column: numbers, or each row's class label.

    Parameters
    ----------
    name : str
    mean, scale : float
        The network predicts (t - mean) / scale, where t is the number or its transform.
    labels : list
        The classes; empty for numbers.
    transform : {"", "log", "sqrt", "quantile"}
        t is log(number + shift), the square root, or the normal score of the number's quantile.
    shift : float
    knots, scores : tuple of float
        Numbers in increasing order and their normal scores. Between them, t is linear.
    """

    name: str
    mean: float = 0.0
    scale: float = 1.0
    labels: list[Label] = field(default_factory=list)
    transform: str = ""
    shift: float = 0.0
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def is_scaled(self) -> bool:
        """Whether the network predicts a standardised or transformed target."""
        return self.mean != 0 or self.scale != 1 or bool(self.transform)

    def transformed(self, values: np.ndarray) -> np.ndarray:
        """Return t for numbers in the table's units."""
        if self.transform == "log":
            result: np.ndarray = np.log(values + self.shift if self.shift else values)
            return result
        if self.transform == "sqrt":
            return np.sqrt(values)
        if self.transform == "quantile":
            return np.interp(values, self.knots, self.scores)
        return values

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return what the network shall predict for numbers in the table's units."""
        return scaled(self.transformed(values), self.mean, self.scale)

    def restored(self, values: Any) -> np.ndarray:
        """Return a network's numbers in the table's units.

        In float64, because float32 cannot keep apart close numbers far from 0.
        """
        result: np.ndarray = np.asarray(values, np.float64) * self.scale + self.mean
        if self.transform == "log":
            result = np.exp(np.minimum(result, LARGEST_LOG))
            return result - self.shift if self.shift else result
        if self.transform == "sqrt":
            return np.square(np.maximum(result, 0))
        if self.transform == "quantile":
            return np.interp(result, self.scores, self.knots)
        return result


LARGEST_LOG = 709.0  # exp of more is infinite


# ---- JSON --------------------------------------------------------------------------------------

# Fields that versions 1 and 2 lack.
_NEW_IN_3 = ("clip", "date_parts", "other", "unknown")
_new_in_3 = attrgetter(*_NEW_IN_3)
_PLAIN = _new_in_3(Column(""))
_TARGETS_NEW_IN_3 = ("transform", "shift", "knots", "scores")


def is_old_column(column: Column) -> bool:
    """Return whether versions 1 and 2 can describe a column."""
    return column.fill != "" and _new_in_3(column) == _PLAIN


def column_fields(old: bool) -> list[str]:
    """Return the names of the fields that a version writes."""
    return [one.name for one in fields(Column) if not (old and one.name in _NEW_IN_3)]


def described(column: Column, old: bool) -> dict[str, Any]:
    """Return a column's fields as JSON values."""
    return {name: _json(getattr(column, name)) for name in column_fields(old)}


def described_target(target: Target, old: bool) -> dict[str, Any]:
    """Return a target's fields as JSON values."""
    names = [one.name for one in fields(Target)]
    return {n: _json(getattr(target, n)) for n in names if not (old and n in _TARGETS_NEW_IN_3)}


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def column_from(
    name: Any,
    kind: Any,
    mean: Any,
    scale: Any,
    fill: Any,
    categories: Any,
    indicator: Any = False,
    clip: Any = 0.0,
    date_parts: Any = (),
    other: Any = False,
    unknown: Any = "error",
) -> Column:
    mean, scale = _checked_scale(mean, scale)
    _expect(isinstance(name, str) and isinstance(categories, list), "a column's name or categories")
    if categories:
        _expect(all(isinstance(category, str) for category in categories), "categories")
        _expect(len(set(categories)) == len(categories), "categories")
    _expect(kind in ("numeric", "boolean", "date", "categorical"), "a column's kind")
    _expect(isinstance(indicator, bool) and (fill is not None or not indicator), "an indicator")
    _expect(isinstance(other, bool), "another category")
    _expect(unknown in ("error", "ignore"), "what to do with unknown categories")
    if kind == "categorical":
        _expect(bool(categories), "a column's categories")
    else:
        _expect(not categories and not other, "a column's categories")
    clip, date_parts = float(clip), tuple(date_parts)
    _expect(isfinite(clip) and clip >= 0, "a column's clip")
    if date_parts:
        _expect(set(date_parts) <= set(DATE_PARTS), "the parts of a date")
        _expect(kind == "date", "the parts of a date")
    _expect(kind in ("numeric", "date") or not clip, "a column's clip")
    if fill is not None and kind == "categorical":
        _expect(fill == "" or fill in categories, "a column's fill")
    elif fill is not None:
        fill = float(fill)
        _expect(isfinite(fill), "a column's fill")
    return Column(
        name, kind, mean, scale, fill, categories, indicator, clip, date_parts, other, unknown
    )


def side_by_side(columns: Sequence[Column], old: bool) -> dict[str, Any]:
    """Return columns' fields as JSON values, one list per field: much shorter for many columns.

    A field that is equal in all columns is ``{"all": value}``, any other ``{"each": [...]}``.
    """
    described: dict[str, Any] = {}
    for name in column_fields(old):
        values = list(map(attrgetter(name), columns))
        if name == "date_parts":
            values = list(map(list, values))
        same = name != "name" and values.count(values[0]) == len(values)
        described[name] = {"all": values[0]} if same else {"each": values}
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


def target_from(
    name: Any,
    mean: Any,
    scale: Any,
    labels: Any,
    transform: Any = "",
    shift: Any = 0.0,
    knots: Any = (),
    scores: Any = (),
) -> Target:
    mean, scale = _checked_scale(mean, scale)
    _expect(isinstance(name, str) and isinstance(labels, list), "the target")
    _expect(
        all(isinstance(x, int | float | str) and not isinstance(x, bool) for x in labels), "labels"
    )
    _expect(len(set(labels)) == len(labels), "labels")
    _expect(transform in ("", *TRANSFORMS), "the target's transform")
    _expect(not (transform and labels), "a transform of classes")
    shift = float(shift)
    knots, scores = tuple(map(float, knots)), tuple(map(float, scores))
    _expect(bool(np.isfinite(shift)), "the target's shift")
    _expect(len(knots) == len(scores) and len(knots) != 1, "the target's knots")
    _expect(bool(knots) == (transform == "quantile"), "the target's knots")
    for increasing in (knots, scores):
        steps = np.diff(increasing)
        _expect(bool(np.isfinite(increasing).all() and (steps > 0).all()), "the target's knots")
    return Target(name, mean, scale, labels, transform, shift, knots, scores)


def _checked_scale(mean: Any, scale: Any) -> tuple[float, float]:
    mean, scale = float(mean), float(scale)
    _expect(isfinite(mean) and isfinite(scale) and scale > 0, "a mean or scale")
    return mean, scale


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
