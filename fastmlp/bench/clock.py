"""Timing, and the amount of work that fills a window."""

from __future__ import annotations

import time
from collections.abc import Callable

# Takes a number of repetitions, does at least as many, and returns how many it did.
Run = Callable[[int], int]

_MOST = 10**7
_GROWTH = 32


def seconds_each(run: Run, amount: int) -> float:
    """Return the mean seconds of a repetition over `amount` repetitions."""
    start = time.perf_counter()
    done = run(amount)
    return (time.perf_counter() - start) / done


def repetitions(run: Run, seconds: float) -> tuple[int, float]:
    """Return how many repetitions take `seconds`, and the seconds of each.

    Each amount runs untimed first, so that timing includes neither compilation nor cold caches.

    Parameters
    ----------
    run : callable
    seconds : float

    Returns
    -------
    amount : int
    each : float
        Seconds.
    """
    amount = 1
    while True:
        run(amount)
        each = seconds_each(run, amount)
        wanted = min(_MOST, max(1, round(seconds / each)))
        if wanted <= 4 * amount:
            return wanted, each
        amount = min(wanted, _GROWTH * amount)
