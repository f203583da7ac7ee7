"""What a model keeps of each column's values in training, to see whether later tables differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .._utils import arguments
from ..errors import ModelFileError
from ..preprocessing import Column, Preprocessing

_MOST_ROWS = 20_000  # that quantiles are taken of
_MOST_COLUMNS = 300  # that a file describes
_STEPS = 20  # quantiles of a number: each 5% of the rows
_BIN = 0.1  # least share of the training rows in a bin of PSI


@dataclass(frozen=True)
class ColumnProfile:
    """The distribution of a column in training, in the units of the network's inputs.

    Parameters
    ----------
    name : str
    n_rows : int
        Rows that it was measured on.
    missing : float
        Share of missing cells, if the column has an indicator.
    knots : list of float
        Quantiles of a number, in increasing order; empty for categories.
    below : list of float
        Share of the known values up to each knot.
    shares : list of float
        Share of each category's input, in the column's order; empty for numbers.
    """

    name: str
    n_rows: int
    missing: float = 0.0
    knots: list[float] = field(default_factory=list)
    below: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, column: Column, x: np.ndarray) -> ColumnProfile:
        """Measure a column.

        Parameters
        ----------
        column : Column
        x : ndarray of shape (n, column.width)
            Its inputs.
        """
        missing = _missing(column, x)
        share = float(missing.mean())
        if column.kind == "categorical":
            values = x[:, : column.width - column.indicator]
            return cls(column.name, len(x), share, shares=[float(v) for v in values.mean(0)])
        z = x[~missing, 0]
        if not len(z):
            return cls(column.name, len(x), share)
        levels = np.linspace(0, 1, _STEPS + 1)
        knots = np.unique(np.quantile(z, levels, method="inverted_cdf"))
        return cls(column.name, len(x), share, [float(k) for k in knots], _cumulated(z, knots))

    @classmethod
    def from_dict(cls, state: Any) -> ColumnProfile:
        """Restore from an untrusted JSON document; raise KeyError, TypeError or ValueError."""
        found = cls(**state)
        arguments.integer("n_rows", found.n_rows, 1)
        if not isinstance(found.name, str):
            raise ValueError("the name of a column is not text")
        for values in (found.knots, found.below, found.shares, [found.missing]):
            if not all(type(v) in (int, float) and math.isfinite(v) for v in values):
                raise ValueError(f"{arguments.shown(values)} are not numbers")
        if len(found.knots) != len(found.below):
            raise ValueError("knots and shares differ in number")
        return found


@dataclass(frozen=True)
class Drift:
    """How far a column's values are from those of the training.

    Parameters
    ----------
    psi : float
        Population stability index: the sum over bins of (p - q) log(p / q).
    ks : float
        For numbers, the largest difference of the two distribution functions at the quantiles of
        the training; NaN for categories.
    chance : float
        PSI that two samples of one distribution and of these sizes exceed in about 2 of 100 cases.
    missing : float
        Share of missing cells, if the column has an indicator.
    unknown : float
        Share of cells whose category training did not see.
    """

    psi: float
    ks: float
    chance: float
    missing: float
    unknown: float

    @classmethod
    def of(cls, profile: ColumnProfile, column: Column, x: np.ndarray) -> Drift:
        """Compare a column's inputs (n, column.width) with their profile."""
        gone = _missing(column, x)
        missing, unknown, ks = float(gone.mean()), 0.0, math.nan
        if column.kind == "categorical":
            values = x[:, : column.width - column.indicator]
            p, q = np.array(profile.shares), values.mean(0, np.float64)
            known = values.any(axis=1)
            unknown = float((~known & ~gone).mean())
            rest = 1.0 - float(p.sum()), 1.0 - float(q.sum())
            if max(rest) > 1e-6:
                p, q = np.r_[p, rest[0]], np.r_[q, rest[1]]
        elif profile.knots and not gone.all():
            p_below = np.array(profile.below)
            q_below = np.array(_cumulated(x[~gone, 0], np.array(profile.knots, x.dtype)))
            ks = float(abs(p_below - q_below).max())
            ends = _ends(profile.below)
            p = np.diff(np.r_[0.0, p_below[ends], 1.0]) * (1 - profile.missing)
            q = np.diff(np.r_[0.0, q_below[ends], 1.0]) * (1 - missing)
        else:
            p = q = np.zeros(0)
        if column.indicator and column.kind != "categorical":
            p, q = np.r_[p, profile.missing], np.r_[q, missing]
        kept = (p > 1e-9) | (q > 1e-9)
        p, q = p[kept], q[kept]
        # Half a row in an empty bin keeps the logarithm finite.
        p, q = np.maximum(p, 0.5 / profile.n_rows), np.maximum(q, 0.5 / len(x))
        free = max(len(p) - 1, 0)
        chance = (free + 2 * math.sqrt(2 * free)) * (1 / profile.n_rows + 1 / len(x))
        return cls(float(((p - q) * np.log(p / q)).sum()), ks, chance, missing, unknown)


def profiles(preprocessing: Preprocessing, x: np.ndarray) -> list[dict[str, Any]]:
    """Return the profile of each column, of at most 300, as plain JSON values.

    Parameters
    ----------
    preprocessing : Preprocessing
    x : ndarray of shape (n, n_inputs)
        The inputs of the training's table; of very many rows an evenly spaced part is measured.
    """
    if not len(x):
        return []
    step = -(-len(x) // _MOST_ROWS)
    found, start = [], 0
    for column in preprocessing.columns[:_MOST_COLUMNS]:
        part = x[::step, start : start + column.width]
        found.append(asdict(ColumnProfile.of(column, part)))
        start += column.width
    return found


def drifts(
    state: Any, preprocessing: Preprocessing, x: np.ndarray, source: str = "the model file"
) -> dict[str, tuple[ColumnProfile, Drift]]:
    """Compare a table's inputs with what a model keeps of its training.

    Parameters
    ----------
    state : list of dict
        Of `profiles`, from a file that need not be trusted.
    preprocessing : Preprocessing
    x : ndarray of shape (n, n_inputs)
    source : str
        Of `state`, for messages.

    Returns
    -------
    dict of str to tuple (ColumnProfile, Drift)
        By column; columns without a profile are left out.

    Raises
    ------
    ModelFileError
        If the profiles are damaged.
    """
    try:
        if not isinstance(state, Sequence) or isinstance(state, str):
            raise ValueError(f"{arguments.shown(state)} is not a list")
        known = {found.name: found for found in map(ColumnProfile.from_dict, state)}
        result, start = {}, 0
        for column in preprocessing.columns:
            profile, part = known.get(column.name), x[:, start : start + column.width]
            start += column.width
            if profile is None:
                continue
            wide = column.width - column.indicator if column.kind == "categorical" else 0
            if len(profile.shares) != wide:
                raise ValueError(f"column '{column.name}' has {wide} categories")
            result[column.name] = profile, Drift.of(profile, column, part)
        return result
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{source}: damaged profile of a column: {error}") from error


def _missing(column: Column, x: np.ndarray) -> np.ndarray:
    return x[:, -1] > 0.5 if column.indicator else np.zeros(len(x), bool)


def _cumulated(values: np.ndarray, knots: np.ndarray) -> list[float]:
    places = np.searchsorted(np.sort(values), knots, side="right")
    return [float(place) / len(values) for place in places]


def _ends(below: Sequence[float]) -> list[int]:
    """Return the knots that end a bin of at least a tenth of the training rows, but the last."""
    ends, done = [], 0.0
    for i, share in enumerate(below[:-1]):
        if share - done >= _BIN - 1e-9 and 1 - share >= _BIN - 1e-9:
            ends.append(i)
            done = share
    return ends
