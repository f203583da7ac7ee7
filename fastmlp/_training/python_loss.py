"""Training with a loss written in Python, called between forward and backward pass."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .._utils.arrays import read_only
from .._utils.sparse import Inputs
from ..losses import Loss
from ..metrics import FUNCTIONS
from .session import EpochSums

if TYPE_CHECKING:
    from .._kernels.interface import Network
    from .session import Session


class PythonSession(EpochSums):
    """Session with a loss written in Python (implements `Session`): single steps of a network.

    Parameters
    ----------
    network : Network
        Configured with the optimizer.
    loss : Loss
    metrics : list of str
        Names of means over rows, as in `metrics.FUNCTIONS`.
    """

    def __init__(self, network: Network, loss: Loss, metrics: list[str]) -> None:
        self._network, self._loss, self._metrics = network, loss, metrics
        self.diverged: tuple[int, int] | None = None
        self._restart()

    def _restart(self) -> None:
        self.diverged, self._order_epoch = None, -1
        self.progress = (0, 0, 0, 0, 0.0, [0.0] * len(self._metrics))

    def begin(
        self,
        x: Inputs,
        y: np.ndarray,
        sample_weight: np.ndarray | None = None,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
    ) -> None:
        """Begin training on these arrays, at epoch 0."""
        # This sets the seed of dropout; the network gets the rows batch by batch.
        nothing = np.zeros((1, self._network.n_outputs), self._network.dtype)
        self._network.begin(x[:1], nothing, batch_size=1, shuffle=False, seed=seed)
        self._restart()
        self._x: Inputs = x
        self._y = y
        self._weight = np.ones(len(x)) if sample_weight is None else sample_weight
        self._batch_size, self._shuffle, self._seed = min(batch_size, len(x)), shuffle, seed

    def end(self) -> None:
        """Release the data."""
        self._network.end()
        self._x = self._y = self._weight = np.empty(0)

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
        """Train on from the present position; return how many epochs ended."""
        deadline, ended, steps = time.monotonic() + max_seconds, 0, 0
        while self.diverged is None and ended < n_epochs:
            self._step(n_threads, automatic)
            if self.diverged is not None:
                break
            if self._rows_done == len(self._x):
                losses[ended], metrics[ended] = self._end_epoch()
                ended += 1
            steps += 1
            if steps == max_steps or time.monotonic() > deadline:
                break
        layer = self._network.finite()
        if self.diverged is None and layer >= 0:
            self.diverged = (self.epoch - (not self.batch), layer)
        return ended

    def _rows_of_batch(self) -> slice | np.ndarray:
        start = self.batch * self._batch_size
        rows = slice(start, min(start + self._batch_size, len(self._x)))
        if not self._shuffle:
            return rows
        if self._order_epoch != self.epoch:
            # A function of seed and epoch alone, so that a resumed run has the same order.
            key = np.random.SeedSequence(self._seed, spawn_key=(self.epoch,))
            self._order = np.random.default_rng(key).permutation(len(self._x))
            self._order_epoch = self.epoch
        return self._order[rows]

    def _step(self, n_threads: int, automatic: bool) -> None:
        network, rows = self._network, self._rows_of_batch()
        x, y, weight = self._x[rows], read_only(self._y[rows]), self._weight[rows]
        n = len(x)
        out = np.empty((n, network.n_outputs), network.dtype)
        while True:
            writes = network.writes
            network.train_forward(x, out, n_threads=n_threads, automatic=automatic)
            # Without the lock: the loss, or another thread, may predict. That overwrites the work
            # space; `train_backward` notices it and repeats the forward pass.
            with in_loss(network):
                values, gradient = self._loss.values_and_gradient(y, read_only(out))
            loss = float((values * weight).sum() / n)
            if not math.isfinite(loss):
                self.diverged = (self.epoch, -1)
                return
            with np.errstate(over="ignore"):  # an overflow is found later, in the weights
                dy = np.ascontiguousarray(gradient * (weight / n)[:, None], network.dtype)
            with network.lock:
                if network.writes != writes:  # another thread has set weights: repeat the step
                    continue
                loss += network.train_backward(dy, n_threads=n_threads, automatic=automatic)
                network.apply_gradients(n_threads=n_threads, automatic=automatic)
            break
        self._loss_sum += loss * n
        self._sums += [FUNCTIONS[name](y, out).sum() for name in self._metrics]
        self._rows_done += n
        self._rows_summed += n
        self.batch += 1


@contextlib.contextmanager
def in_loss(network: Network) -> Iterator[None]:
    """Note the thread in which a loss in Python is called: it must not set weights."""
    network.in_loss = threading.get_ident()
    try:
        yield
    finally:
        network.in_loss = 0


if TYPE_CHECKING:
    _session: type[Session] = PythonSession
