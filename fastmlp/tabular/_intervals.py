"""Split-conformal prediction intervals and sets, from rows that a network was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._utils import arguments
from .._utils.names import TASKS
from ..errors import DataError, ModelFileError
from ._scores import class_codes, probabilities

_ROWS_OF_BIN = 200  # rows of similar predictions that have limits of their own, at least
_ROWS_OUTSIDE = 20  # of these, which the interval is to leave out, at least
_MOST_BINS = 10
_FEWEST_OF_CLASS = 20  # rows of a class that has a limit of its own


@dataclass
class Conformal:
    """What a model keeps to give intervals or sets of a coverage.

    Parameters
    ----------
    task : {"regression", "classification"}
    level : float
        The share of new rows whose y the interval or set holds.
    edges : list of list of float
        For each target, the predictions between which its bins lie.
    lower, upper : list of list of float
        For each target and bin, what to add to a prediction.
    limits : list of float
        For each class, the least probability with which it is in the set.
    n_rows : int
        The rows from which all this comes.
    """

    task: str
    level: float
    edges: list[list[float]] = field(default_factory=list)
    lower: list[list[float]] = field(default_factory=list)
    upper: list[list[float]] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    n_rows: int = 0

    def interval(self, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the interval of each prediction.

        Parameters
        ----------
        predicted : array-like of shape (n,) or (n, n_outputs)
            In the target's units.

        Returns
        -------
        lower, upper : ndarrays of the same shape
        """
        given = np.asarray(predicted, np.float64)
        values = given.reshape(len(given), -1)
        if values.shape[1] != len(self.edges):
            raise ValueError(
                f"predicted must have {len(self.edges)} outputs. Received: {values.shape[1]}"
            )
        low, high = np.empty_like(values), np.empty_like(values)
        for j, edges in enumerate(self.edges):
            own = np.searchsorted(edges, values[:, j], side="right")
            low[:, j] = values[:, j] + np.asarray(self.lower[j])[own]
            high[:, j] = values[:, j] + np.asarray(self.upper[j])[own]
        return low.reshape(given.shape), high.reshape(given.shape)

    def of_target(self, place: int) -> Conformal:
        """Return what is kept for one of several targets.

        Parameters
        ----------
        place : int
            Among the targets, from 0.
        """
        one = slice(place, place + 1)
        return replace(self, edges=self.edges[one], lower=self.lower[one], upper=self.upper[one])

    def sets(self, predicted: Any) -> np.ndarray:
        """Return which classes are in the set of each row.

        Parameters
        ----------
        predicted : array-like of shape (n, n_classes), or (n,) of class 1

        Returns
        -------
        ndarray of bool, shape (n, n_classes)
            A row can have none: its probabilities are below what most rows of any class have.
        """
        p = probabilities(predicted)
        if p.shape[1] != len(self.limits):
            raise ValueError(
                f"predicted must have {len(self.limits)} classes. Received: {p.shape[1]}"
            )
        return p >= np.asarray(self.limits)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        if self.task == "classification":
            return {"task": self.task, "level": self.level, "limits": self.limits,
                    "n_rows": self.n_rows}  # fmt: skip
        return {"task": self.task, "level": self.level, "edges": self.edges, "lower": self.lower,
                "upper": self.upper, "n_rows": self.n_rows}  # fmt: skip

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> Conformal:
        """Restore from an untrusted JSON document.

        Raises
        ------
        ModelFileError
            If the document is damaged.
        """
        try:
            if not isinstance(state, dict) or state["task"] not in TASKS:
                raise ValueError(f"{arguments.shown(state)} does not name a task")
            level = checked_level(state["level"])
            n_rows = arguments.integer("n_rows", state["n_rows"])
            if state["task"] == "classification":
                limits = _numbers(state["limits"])
                if len(limits) < 2:
                    raise ValueError("there are limits of fewer than two classes")
                return cls(state["task"], level, limits=limits, n_rows=n_rows)
            edges, lower, upper = (
                [_numbers(row) for row in state[key]] for key in ("edges", "lower", "upper")
            )
            widths = [len(row) + 1 for row in edges]
            if not widths or any([len(row) for row in side] != widths for side in (lower, upper)):
                raise ValueError("edges and limits do not fit")
            if any(row != sorted(row) for row in edges):
                raise ValueError("edges do not rise")
            return cls(state["task"], level, edges, lower, upper, n_rows=n_rows)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{source}: damaged intervals: {error}") from error


def _numbers(state: Any) -> list[float]:
    if not isinstance(state, list) or not all(
        type(value) in (int, float) and math.isfinite(value) for value in state
    ):
        raise ValueError(f"{arguments.shown(state)} is not a list of numbers")
    return [float(value) for value in state]


def checked_level(level: Any) -> float:
    """Return the coverage of intervals, or raise ValueError unless it lies in (0, 1)."""
    return arguments.number("interval", level, "a number in (0, 1)", lambda v: 0 < v < 1)


def conformal(
    task: str, y: Any, predicted: Any, level: float, n_classes: int | None = None
) -> Conformal:
    """Find intervals or sets that hold y with probability `level` for new rows like these.

    For regression, the errors' quantiles are added to a prediction, those of each side by
    themselves, so that intervals of a skewed error are not symmetric. From 400 rows on, rows of
    similar predictions have quantiles of their own (up to ten bins of at least 200 rows, or 20
    that lie outside), so that an interval is wide where the errors are large.

    For classes, a class is in the set if its probability is at least that of the share `level` of
    the class's rows; so the coverage holds for each class that has at least 20 rows.

    Parameters
    ----------
    task : {"regression", "classification"}
    y : array-like of shape (n,) or (n, n_outputs)
        Of rows that the network was not trained on: numbers, or class codes.
    predicted : array-like
        Numbers of y's shape, or probabilities (n, n_classes) or (n,) of class 1.
    level : float
        In (0, 1), such as 0.9.
    n_classes : int, optional

    Returns
    -------
    Conformal

    Raises
    ------
    DataError
        If the rows are too few for this level.
    """
    level, n = checked_level(level), len(np.asarray(y))
    needed = math.ceil(level / (1 - level) - 1e-9)
    if n < needed:
        raise DataError(
            f"intervals of {level:g} need at least {needed} held-out rows. Received: {n} rows; "
            "hold out more rows, or choose a smaller level"
        )
    if task == "classification":
        return Conformal(task, level, limits=_limits(y, predicted, level), n_rows=n)
    own = np.asarray(y, np.float64).reshape(n, -1)
    out = np.asarray(predicted, np.float64).reshape(n, -1)
    result = Conformal(task, level, n_rows=n)
    for true, pred in zip(own.T, out.T, strict=True):
        edges = _edges(pred, max(_ROWS_OF_BIN, math.ceil(_ROWS_OUTSIDE / (1 - level))))
        bins = np.searchsorted(edges, pred, side="right")
        sides = [_sides((true - pred)[bins == i], level) for i in range(len(edges) + 1)]
        result.edges.append(edges)
        result.lower.append([low for low, _ in sides])
        result.upper.append([high for _, high in sides])
    return result


def _edges(pred: np.ndarray, fewest: int) -> list[float]:
    """Return the predictions between bins, each with at least `fewest` rows."""
    n_bins = min(len(pred) // fewest, _MOST_BINS)
    if n_bins < 2:
        return []
    ordered = np.sort(pred)
    edges, start = [], 0
    for cut in np.unique(ordered[np.arange(1, n_bins) * len(pred) // n_bins]):
        place = int(np.searchsorted(ordered, cut))  # equal predictions lie in one bin
        if min(place - start, len(pred) - place) >= fewest:
            edges.append(float(cut))
            start = place
    return edges


def _sides(errors: np.ndarray, level: float) -> tuple[float, float]:
    """Return the errors between which a new one lies with probability of at least `level`."""
    n, ordered = len(errors), np.sort(errors)
    # Outside lie, in all, at most (n + 1) * (1 - level) places of n + 1 that a new error can take.
    outside = math.floor((n + 1) * (1 - level) + 1e-9)
    below = outside // 2
    above = outside - below
    if below < 1:  # too few for two sides: errors of either sign alike
        size = float(np.sort(np.abs(errors))[min(n, n + 1 - outside) - 1])
        return -size, size
    return float(ordered[below - 1]), float(ordered[n - above])


def _limits(y: Any, predicted: Any, level: float) -> list[float]:
    codes, p = class_codes(y), probabilities(predicted)
    own = p[np.arange(len(codes)), codes]
    least = max(_FEWEST_OF_CLASS, math.ceil(level / (1 - level) - 1e-9))
    everywhere = _least(own, level)
    return [
        _least(own[codes == k], level) if (codes == k).sum() >= least else everywhere
        for k in range(p.shape[1])
    ]


def _least(own: np.ndarray, level: float) -> float:
    below = math.floor((len(own) + 1) * (1 - level) + 1e-9)
    return float(np.sort(own)[below - 1]) if below >= 1 else 0.0
