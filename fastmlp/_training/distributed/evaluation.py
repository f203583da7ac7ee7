"""Losses and metrics of rows that the ranks evaluate shard by shard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import metrics, threads
from ..._model.compatibility import metric_kind
from ..._utils.moments import Moments
from ...datasets import ParquetStream
from .. import data as _data
from ..data import Rows
from .ranks import Ranks
from .session import shards_of
from .shards import Part, chunks, even_starts, merged

if TYPE_CHECKING:
    from ..._model.model import Model

_ROWS = 1 << 14  # at a time


class _Sums:
    """What one shard's rows give.

    Parameters
    ----------
    model : Model
    names : list of str or None
        Of the metrics, as the engine has them; None needs all predictions.
    """

    def __init__(self, model: Model, names: list[str | None]) -> None:
        self._model, self._names = model, names
        self._counted = [name for name in names if name is not None]
        self.n, self.sums = 0, np.zeros(1 + len(self._counted))
        self.moments = Moments()
        self.kept: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, part: Part) -> None:
        """Take in some rows."""
        (x, y, weight), loss = part, self._model.loss
        assert loss is not None
        out = None
        if loss.in_python or None in self._names:
            out = self._model.predict(x, verbose=0)
            self.kept.append((y.copy(), out))
        if loss.in_python:
            values = loss.rows(y, out)
            value = (values if weight is None else values * weight).mean()
            means = [metrics.FUNCTIONS[name](y, out).mean() for name in self._counted]
        else:
            n_threads, automatic = threads.resolve()
            network = self._model.ready()
            value, means = network.evaluate(x, y, weight, n_threads=n_threads, automatic=automatic)
        self.sums += len(x) * np.array([value, *means])
        self.n += len(x)
        if y.shape[1] == 1:
            self.moments.add(y[:, 0].astype(np.float64))

    @property
    def report(self) -> tuple[Any, ...]:
        """What the other ranks get of it."""
        kept = self.kept if None in self._names else []
        return self.n, self.sums, self.moments.state, kept


def evaluate(
    ranks: Ranks,
    model: Model,
    data: Rows | tuple[Any, Any] | ParquetStream,
    n_shards: int,
    hooks: list[Callable[..., None]] | None = None,
) -> list[float]:
    """Return [loss with penalty, metrics...]; the same bits on any number of ranks.

    Parameters
    ----------
    ranks : Ranks
        All of which call this.
    model : Model
        Compiled.
    data : Rows, tuple (x, y) or ParquetStream
    n_shards : int
    hooks : list of callable, optional
        As `_evaluation.batch_hooks` returns them; called for this rank's parts.
    """
    if not isinstance(data, (Rows, ParquetStream)):
        data = _data.checked(model, *data, None)
    network, loss = model.ready(), model.loss
    assert loss is not None
    streamed = isinstance(data, ParquetStream)
    y = np.zeros((1, 1)) if isinstance(data, ParquetStream) else data.y
    kind = metric_kind(loss, y, network.n_outputs)
    names = [metric.engine_name(kind, network.n_outputs) for metric in model.metrics]
    n_rows = data.n_rows if isinstance(data, ParquetStream) else len(data.x)
    starts, reports, batch = even_starts(n_rows, n_shards), [], 0

    def check(y: np.ndarray) -> np.ndarray:
        return _data.targets(model, y, len(y))

    with ranks.together():
        for shard in shards_of(ranks, n_shards):
            sums = _Sums(model, names)
            for part in chunks(data, starts, shard, model.dtype, check, _ROWS):
                for hook in hooks[::2] if hooks else ():
                    hook(batch, {})
                sums.add(part)
                for hook in hooks[1::2] if hooks else ():
                    hook(batch, {})
                batch += 1
            reports.append(sums.report)
    everyone = [report for found in ranks.gather(reports) for report in found]
    means = sum(report[1] for report in everyone) / n_rows
    kept = [pair for report in everyone for pair in report[3]]
    if streamed:
        y = merged([report[2] for report in everyone]).like()
    whole = [np.concatenate(parts) for parts in zip(*kept, strict=True)]
    with network.lock:
        results, counted = [float(means[0] + network.penalty())], iter(means[1:])
    for metric, name in zip(model.metrics, names, strict=True):
        if name is None:
            results.append(metric.read(*whole))
        else:
            results.append(float(metric.finish(np.array([next(counted)]), y)[0]))
    return results
