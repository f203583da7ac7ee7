"""Losses and metrics of rows that the ranks evaluate shard by shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...datasets import ParquetStream
from .. import data as _data
from ..data import Rows
from ..evaluation import Hooks, Totals, call_hooks
from .ranks import Ranks
from .session import shards_of
from .shards import chunks, even_starts, merged

if TYPE_CHECKING:
    from ..._model.model import Model

_ROWS = 1 << 14  # at a time


def evaluate(
    ranks: Ranks,
    model: Model,
    data: Rows | tuple[Any, Any] | ParquetStream,
    n_shards: int,
    hooks: Hooks | None = None,
) -> list[float]:
    """Return [loss with penalty, metrics...]; the same bits on any number of ranks.

    Parameters
    ----------
    ranks : Ranks
        Every rank calls this.
    model : Model
        Compiled.
    data : Rows, tuple (x, y) or ParquetStream
    n_shards : int
    hooks : list of callable, optional
        As `evaluation.batch_hooks` returns them; called for this rank's parts.
    """
    if not isinstance(data, (Rows, ParquetStream)):
        data = _data.checked(model, *data, None)
    streamed = isinstance(data, ParquetStream)
    y = None if isinstance(data, ParquetStream) else data.y
    n_rows = data.n_rows if isinstance(data, ParquetStream) else len(data.x)
    starts, reports, batch = even_starts(n_rows, n_shards), [], 0

    def check(y: np.ndarray) -> np.ndarray:
        return _data.targets(model, y, len(y))

    total = Totals(model, y)
    with ranks.collectively():
        for shard in shards_of(ranks, n_shards):
            part = Totals(model, y)
            for rows in chunks(data, starts, shard, model.dtype, check, _ROWS):
                call_hooks(hooks, False, batch)
                part.add(*rows)
                call_hooks(hooks, True, batch)
                batch += 1
            reports.append((part.n_rows, part.sums, part.moments.state, part.outputs))
    everyone = [report for found in ranks.allgather(reports) for report in found]
    for n, sums, _, outputs in everyone:
        total.n_rows += n
        total.sums = [own + other for own, other in zip(total.sums, sums, strict=True)]
        total.outputs += outputs
    if streamed:
        total.moments = merged([report[2] for report in everyone])
    return total.results()
