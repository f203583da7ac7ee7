"""What the fit loop drives."""

from __future__ import annotations

import math

import numpy as np


class EpochSums:
    """What a session has summed in the present epoch, where it is not the network that counts."""

    epoch: int
    batch: int

    @property
    def progress(self) -> tuple[int, int, int, int, float, list[float]]:
        """Where the session stands, as `Network.progress`."""
        done, summed = self._rows_done, self._rows_summed
        return self.epoch, self.batch, done, summed, self._loss_sum, list(self._sums)

    @progress.setter
    def progress(self, value: tuple[int, int, int, int, float, list[float]]) -> None:
        self.epoch, self.batch, self._rows_done, self._rows_summed, self._loss_sum, sums = value
        self._sums = np.array(sums, np.float64)

    @property
    def running_loss(self) -> float:
        """Mean loss of the present epoch so far."""
        return self._loss_sum / self._rows_summed if self._rows_summed else math.nan

    def _end_epoch(self) -> tuple[float, np.ndarray]:
        """Return the epoch's mean loss and metrics, and stand at the start of the next."""
        means = self._loss_sum / self._rows_summed, self._sums / self._rows_summed
        self.progress = (self.epoch + 1, 0, 0, 0, 0.0, [0.0] * len(self._sums))
        return means
