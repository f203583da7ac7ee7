"""The members' predictions, in parts that bound the memory, and their quantiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._training.arguments import check_verbose
from .._utils import arguments
from .._utils.progress import ProgressLine

if TYPE_CHECKING:
    from ._members import Members

_VALUES = 4_000_000  # predictions in memory at once
_SPAN = 256  # least number of rows of a part


def parts(
    members: Members, x: np.ndarray, verbose: int | str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield spans of rows, and every member's outputs for them in an array that is reused."""
    check_verbose(verbose)
    size = max(_SPAN, _VALUES // (len(members) * members.n_outputs))
    out = np.empty((len(members), min(size, len(x)), members.n_outputs), members.dtype)
    with ProgressLine("predict", len(x), "rows", enabled=verbose in (1, "auto")) as line:
        for start in range(0, len(x), size):
            rows = x[start : start + size]
            part = out[:, : len(rows)]
            _write_outputs(members, rows, part, line, start)
            yield slice(start, start + len(rows)), part


def _write_outputs(
    members: Members, x: np.ndarray, out: np.ndarray, line: ProgressLine, start: int
) -> None:
    """Write every member's outputs for the rows of x, (members, n, n_outputs)."""
    at = 0
    for group in members.groups:
        for predict in group.predictors():
            out[at] = predict(x)
            at += 1
            line.update(start + len(x) * at / len(members))


def levels(q: Any) -> np.ndarray:
    """Return the levels of quantiles as an array, or raise ValueError."""
    try:
        result = np.atleast_1d(np.asarray(q, np.float64))
    except (TypeError, ValueError, OverflowError):
        result = np.array([np.nan])
    if result.ndim != 1 or not len(result) or not ((result >= 0) & (result <= 1)).all():
        raise ValueError(f"q must be numbers in [0, 1]. Received: q={arguments.shown(q)}")
    return result


def mixture(centres: np.ndarray, sd: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return quantiles of the mixture of N(centre, sd**2) over the first axis, by bisection."""
    from scipy.special import ndtr, ndtri

    centres = centres.astype(np.float64)
    result = np.empty((len(levels), *centres.shape[1:]))
    scale = np.where(sd > 0, sd, 1.0)  # without noise: quantiles of the centres
    for k, level in enumerate(levels):
        # The quantile lies between those of the lowest and the highest member.
        low, high = (edge + sd * ndtri(level) for edge in (centres.min(0), centres.max(0)))
        for _ in range(60):
            middle = (low + high) / 2
            z = (middle - centres) / scale
            below = np.where(sd > 0, ndtr(z), z >= 0).mean(0) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        result[k] = (low + high) / 2
    return result
