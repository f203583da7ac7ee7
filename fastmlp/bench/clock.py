"""How long work takes, and how much of it fills a window."""

from __future__ import annotations

import time
from collections.abc import Callable

# Does at least so many repetitions; returns how many it did.
Run = Callable[[int], int]

_MOST = 10**7
_GROWTH = 32


def seconds_each(run: Run, amount: int) -> float:
    """Time one repetition out of `amount`."""
    start = time.perf_counter()
    done = run(amount)
    return (time.perf_counter() - start) / done


def repetitions(run: Run, seconds: float) -> tuple[int, float]:
    """Find out how many repetitions take `seconds`, and how long each does.

    Each amount runs untimed first, so that nothing is compiled, and no cache filled, on the
    clock.

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
