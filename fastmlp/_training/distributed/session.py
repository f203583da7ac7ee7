"""A session whose steps are made of shards, on one rank or several."""

from __future__ import annotations

import functools
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import _kernels
from ..._utils.arrays import read_only
from ...losses import Loss
from ...metrics import FUNCTIONS
from ..python_loss import in_loss
from ..session import EpochSums
from .allreduce import Exchange, add, buckets, exchange_of, merges
from .ranks import Ranks, RankSignals, wait
from .shards import Part, Shard, ShardPlan

if TYPE_CHECKING:
    from ..._kernels.interface import Network
    from ..session import Session

_STOP, _INTERRUPT, _FAILED = range(3)  # flags that the ranks exchange with every step


class ShardedSession(EpochSums):
    """Session of one rank (implements `Session`): its shards' part of every step.

    Parameters
    ----------
    ranks : Ranks
    network : Network
        Configured.
    loss : Loss
        Called if it is written in Python.
    counted : list of str
        Names of the metrics that are means over rows.
    plan : ShardPlan
    signals : RankSignals
    fast : bool
        Whether gradients are added in any order; a rank's shards then make one part of the batch.

    Attributes
    ----------
    epoch, batch : int
        The position of the session.
    diverged : tuple of int or None
        Epoch and layer at which it diverged, -1 for the loss.
    step : PartStep
    """

    def __init__(
        self,
        ranks: Ranks,
        network: Network,
        loss: Loss,
        counted: list[str],
        plan: ShardPlan,
        signals: RankSignals,
        fast: bool,
    ) -> None:
        self._ranks, self._network, self._loss, self._plan = ranks, network, loss, plan
        self._counted, self._signals = counted, signals
        self.step = _kernels.part_step(network)
        self._buckets = buckets(self.step.slices)
        self._exchange: Exchange = exchange_of(ranks, self.step.gradient(), fast)
        self.own = shards_of(ranks, plan.n_shards)
        self._passes = [list(self.own)] if fast else [[shard] for shard in self.own]
        self.shards: list[Shard] = []
        self.diverged: tuple[int, int] | None = None
        self.progress = (0, 0, 0, 0, 0.0, [0.0] * len(counted))

    # ---- the interface of a session ----

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
        """Begin; the rows are those of `shards`."""
        self.step.begin(seed)

    def end(self) -> None:
        """Release the data."""
        for shard in self.shards:
            shard.close()
        self.step.end()

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
        while ended < n_epochs and self.diverged is None:
            # One rank's clock decides for all.
            late = self._ranks.first and time.monotonic() > deadline
            with self._network.lock:  # other threads may predict
                stop = self._make_step(late, n_threads, automatic)
            if self.diverged is None and self._rows_done == self._plan.n_rows:
                losses[ended], metrics[ended] = self._end_epoch()
                ended += 1
            steps += 1
            if stop or steps == max_steps:
                break
        return ended

    # ---- a step ----

    def _make_step(self, late: bool, n_threads: int, automatic: bool) -> bool:
        """Make one step with all ranks; return whether to stop after it."""
        failure, parts = None, []
        try:
            parts = [self._rows(shards) for shards in self._passes]
        except Exception as error:  # the other ranks learn of it with the sums
            failure = error
        sums, penalty = np.zeros((len(self._passes), 1 + len(self._counted))), 0.0
        for leaf in range(len(self._passes)):
            with_penalty = self._ranks.first and leaf == 0
            try:
                if failure is None:
                    found = self._forward(leaf, parts[leaf], n_threads, automatic)
                    sums[leaf] = found[0]
            except Exception as error:
                failure = error
            dy = None if failure is not None else found[1]
            empty = failure is not None or not len(parts[leaf][0])
            self._backward(leaf, empty, with_penalty, dy)
            if with_penalty:
                penalty = self.step.penalty()
        flags = [late, self._signals.noted, failure is not None]
        all_sums, penalty, any_flags = self._allgather(sums, penalty, flags)
        self._exchange.finish()
        if any_flags[_FAILED]:
            self._ranks.raise_everywhere(failure)
        if any_flags[_INTERRUPT]:
            self._signals.waiting = True
        self._finish_step(all_sums, penalty, n_threads, automatic)
        return bool(any_flags[_STOP] or any_flags[_INTERRUPT])

    def _rows(self, shards: list[int]) -> Part:
        """Return the rows of the batch that come from some adjacent shards."""
        first = self.own[0]
        found = [self.shards[shard - first].part(self.epoch, self.batch) for shard in shards]
        if len(found) == 1:
            return found[0]
        x, y, weights = zip(*found, strict=True)
        weight = None if weights[0] is None else np.concatenate(weights)
        return np.concatenate(x), np.concatenate(y), weight

    def _forward(
        self, leaf: int, part: Part, n_threads: int, automatic: bool
    ) -> tuple[list[float], np.ndarray | None]:
        """Run rows forward; return sums of loss and metrics, and a Python loss's gradient."""
        x, y, weight = part
        n, n_batch = len(x), self._plan.size(self.batch)
        if n == 0:
            return [0.0] * (1 + len(self._counted)), None
        first_row = self._plan.share(self.batch, self._passes[leaf][0])[0]
        forward = functools.partial(
            self.step.forward, n_batch=n_batch, first_row=first_row, n_threads=n_threads,
            automatic=automatic,
        )  # fmt: skip
        if not self._loss.in_python:
            total, sums = forward(x, y, weight)
            return [total, *sums], None
        out = np.empty((n, self._network.n_outputs), self._network.dtype)
        forward(x, None, None, out)
        y, out = read_only(y), read_only(out)
        with in_loss(self._network):
            values, gradient = self._loss.values_and_gradient(y, out)
        factor = np.ones(n) if weight is None else weight
        with np.errstate(over="ignore", invalid="ignore"):  # found later, in loss or weights
            dy = np.ascontiguousarray(gradient * (factor / n_batch)[:, None], out.dtype)
            total = float((values * factor).sum())
        return [total, *(float(FUNCTIONS[name](y, out).sum()) for name in self._counted)], dy

    def _backward(self, leaf: int, empty: bool, penalty: bool, dy: np.ndarray | None) -> None:
        """Store a pass's gradient, add it in the tree, and start to exchange complete sums."""
        last = leaf + 1 == len(self._passes)
        level, n_sums = merges(leaf, last)
        for top, bottom, start, stop in self._buckets:
            if empty:
                self.step.gradient(level)[start:stop] = 0
            else:
                self.step.backward(top, bottom, level=level, penalty=penalty, dy=dy)
            dy = None
            for high in range(level, level - n_sums, -1):
                total, other = self.step.gradient(high - 1), self.step.gradient(high)
                add(total[start:stop], other[start:stop])
            if last:
                self._exchange.start(start, stop)
                self._exchange.progress()

    def _allgather(
        self, sums: np.ndarray, penalty: float, flags: list[bool]
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Return all ranks' sums in the order of shards, rank 0's penalty, and any rank's flags."""
        if self._ranks.size == 1:
            return sums, penalty, np.array(flags)
        own = np.concatenate([sums.ravel(), [penalty], np.array(flags, np.float64)])
        everyone = np.empty((self._ranks.size, len(own)))
        wait([self._ranks.comm.Iallgather(own, everyone)])
        n = sums.size
        flagged = np.array(everyone[:, n + 1 :].any(axis=0))
        return everyone[:, :n].reshape(-1, sums.shape[1]), float(everyone[0, n]), flagged

    def _finish_step(
        self, sums: np.ndarray, penalty: float, n_threads: int, automatic: bool
    ) -> None:
        """Apply the gradient and add the step's sums; or note that the run has diverged."""
        n_batch = self._plan.size(self.batch)
        totals = [sum(column) for column in sums.T.tolist()]
        loss = totals[0] / n_batch + penalty
        if not math.isfinite(loss):
            self.diverged = (self.epoch, -1)
            return
        layer = self.step.apply(n_threads=n_threads, automatic=automatic)
        if layer >= 0:
            self.diverged = (self.epoch, layer)
            return
        self._loss_sum += loss * n_batch
        self._sums += totals[1:]
        self._rows_done += n_batch
        self._rows_summed += n_batch
        self.batch += 1


def shards_of(ranks: Ranks, n_shards: int) -> range:
    """Return a rank's shards, which are adjacent."""
    each = n_shards // ranks.size
    return range(ranks.rank * each, (ranks.rank + 1) * each)


if TYPE_CHECKING:
    _session: type[Session] = ShardedSession
