"""Means and standard deviations of columns that come in parts."""

from __future__ import annotations

import numpy as np

from ..errors import DataError


class Moments:
    """Mean and standard deviation of numbers that come in parts, summed in the parts' order."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, float, float]] = []
        self.count = 0  # of values
        self.low, self.high = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        """Add finite numbers."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        largest = max(-low, high)
        # Sums of huge values or of their squares could overflow; tiny squares would be 0.
        if largest > 1e150 or 0 < largest < 1e-140:
            values = values / largest
            mean, deviation = float(values.mean()) * largest, float(values.std()) * largest
        else:
            mean, deviation = float(values.mean()), float(values.std())
        self.add_part(len(values), low, high, mean, deviation)

    def add_part(self, count: int, low: float, high: float, mean: float, deviation: float) -> None:
        """Add numbers of which these are known."""
        self._parts.append((count, mean, deviation))
        self.count += count
        self.low, self.high = min(self.low, low), max(self.high, high)

    def add_same(self, value: float, count: int) -> None:
        """Add one number `count` times."""
        if count:
            self.add_part(count, value, value, value, 0.0)

    def mean(self) -> float:
        """Return the mean."""
        total = self.count
        return sum(n / total * mean for n, mean, _ in self._parts)

    def deviation(self) -> float:
        """Return the standard deviation."""
        largest = max(abs(self.low), abs(self.high)) or 1.0
        total, mean = self.count, self.mean()
        variance: float = sum(
            n / total * ((deviation / largest) ** 2 + ((part - mean) / largest) ** 2)
            for n, part, deviation in self._parts
        )
        return variance**0.5 * largest

    def like(self) -> np.ndarray:
        """Return two numbers, (2, 1), with the mean and variance of all: a metric's y in short."""
        if not self.count:
            return np.zeros((2, 1))
        if self.low == self.high:  # rounding could make two numbers of one
            return np.full((2, 1), self.low)
        mean, deviation = self.mean(), self.deviation()
        return np.array([[mean - deviation], [mean + deviation]])

    @property
    def state(self) -> list[list[float]]:
        """The sums as numbers for a file; may be set."""
        return [list(part) for part in self._parts] + [[self.low, self.high]]

    @state.setter
    def state(self, value: list[list[float]]) -> None:
        self._parts = [(int(n), mean, deviation) for n, mean, deviation in value[:-1]]
        self.count = sum(n for n, _, _ in self._parts)
        self.low, self.high = value[-1]

    def mean_and_scale(self, source: str, name: str) -> tuple[float, float]:
        """Return mean and standard deviation; the latter is 1 if all numbers are the same."""
        if self.high / 2 - self.low / 2 > np.finfo(np.float64).max / 2:
            raise DataError(f"{source}: the numbers of column '{name}' are too far apart")
        mean, scale = self.mean(), self.deviation()
        # Rounding can give a constant column a tiny deviation; dividing by it would make noise.
        largest = max(abs(self.low), abs(self.high)) or 1.0
        return mean, scale if scale > 1e-12 * largest else 1.0
