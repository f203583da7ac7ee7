"""How far a piece of work has come, to be asked for by another thread."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """The share of a piece of work that is done."""

    def __init__(self) -> None:
        self._start, self._size = 0.0, 1.0
        self._ask: Callable[[], float] = float

    def note(self, share: float) -> None:
        """Say how much is done, from 0 to 1."""
        self._ask = lambda: share

    def watch(self, ask: Callable[[], float]) -> None:
        """Have a function say how much is done, whenever that is asked for."""
        self._ask = ask

    def of(self, i: int, n: int) -> Progress:
        """Return this, from now on about part i of n equal ones."""
        self._start, self._size, self._ask = i / n, 1 / n, float
        return self

    def share(self) -> float:
        """Return how much is done."""
        return self._start + self._size * self._ask()
