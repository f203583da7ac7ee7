"""The progress of one item, which another thread may read."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """How much of an item is done, in any unit; by default, as a share from 0 to 1."""

    def __init__(self) -> None:
        self._start, self._size = 0.0, 1.0
        self._ask: Callable[[], float] = float

    def note(self, done: float) -> None:
        """Set how much is done."""
        self._ask = lambda: done

    def watch(self, ask: Callable[[], float]) -> None:
        """Set a function that returns how much is done; it is called at every reading."""
        self._ask = ask

    def of(self, i: int, n: int) -> Progress:
        """Return this, for part i of n equal parts from now on."""
        self._start, self._size, self._ask = i / n, 1 / n, float
        return self

    def done(self) -> float:
        """Return how much is done."""
        return self._start + self._size * self._ask()
