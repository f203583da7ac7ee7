"""A training session, which the fit loop drives; its implementations and their common parts.

Implementations of `Session`: the compiled network itself for arrays, `python_loss.PythonSession`,
`stream.StreamSession` and `distributed.session.ShardedSession`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from .._kernels.interface import Network, Progress


class Session(Protocol):
    """Training on some rows, epoch by epoch, from whatever position it has."""

    progress: Progress  # the position; set after `begin`, it resumes a session within an epoch

    @property
    def epoch(self) -> int:
        """Epochs ended."""

    @property
    def batch(self) -> int:
        """Batches done in the present epoch."""

    @property
    def running_loss(self) -> float:
        """Mean loss of the present epoch so far."""

    @property
    def diverged(self) -> tuple[int, int] | None:
        """(epoch, layer) at which training diverged, layer -1 for the loss itself; or None."""

    def begin(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
    ) -> None:
        """Begin training on these rows, at epoch 0; they are held until `end`."""

    def end(self) -> None:
        """Release the data."""

    def run(
        self,
        n_epochs: int,
        losses: np.ndarray,
        metrics: np.ndarray,
        *,
        n_threads: int,
        automatic: bool,
        max_seconds: float,
        max_steps: int = 0,
    ) -> int:
        """Train on from the present position; return how many epochs ended.

        It stops when `n_epochs` epochs have ended in this call, after `max_seconds`, after
        `max_steps` steps (0: no limit), or when training diverges.

        Parameters
        ----------
        n_epochs : int
        losses : ndarray of shape (>= n_epochs,), float64, out
            Mean of loss plus penalty over the rows of each epoch that ended.
        metrics : ndarray of shape (>= n_epochs, n_metrics), float64, out
        n_threads : int
        automatic : bool
            Whether the kernels may use fewer threads.
        max_seconds : float
        max_steps : int
        """


@runtime_checkable
class Placed(Protocol):
    """A session whose position needs more than `progress`: that of a stream."""

    place: dict[str, Any]


class EpochSums:
    """Sums over the rows of the present epoch, for sessions that count them in Python."""

    epoch: int
    batch: int

    @property
    def progress(self) -> Progress:
        """The position: epoch, batch, rows done and summed, sums of the loss and the metrics."""
        done, summed = self._rows_done, self._rows_summed
        return self.epoch, self.batch, done, summed, self._loss_sum, list(self._sums)

    @progress.setter
    def progress(self, value: Progress) -> None:
        self.epoch, self.batch, self._rows_done, self._rows_summed, self._loss_sum, sums = value
        self._sums = np.array(sums, np.float64)

    @property
    def running_loss(self) -> float:
        """Mean loss of the present epoch so far."""
        return self._loss_sum / self._rows_summed if self._rows_summed else math.nan

    def _end_epoch(self) -> tuple[float, np.ndarray]:
        """Return the epoch's mean loss and metrics, and move to the start of the next epoch."""
        means = self._loss_sum / self._rows_summed, self._sums / self._rows_summed
        self.progress = (self.epoch + 1, 0, 0, 0, 0.0, [0.0] * len(self._sums))
        return means


if TYPE_CHECKING:

    def _network(network: Network) -> Session:
        return network
