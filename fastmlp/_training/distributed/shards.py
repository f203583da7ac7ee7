"""The rows of each shard, of arrays and of files, and its share of each batch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from ..._utils.moments import Moments
from ..._utils.sparse import Inputs
from ...datasets import Buffer, ParquetStream, Prefetcher
from ...errors import DataError
from ..data import Rows

Part = tuple[Inputs, np.ndarray, np.ndarray | None]


class ShardPlan:
    """How rows and batches are cut: every batch has a share of rows from each shard.

    Shards are contiguous rows in the given order. Shares differ by one row at most.

    Parameters
    ----------
    n_rows, batch_size, n_shards : int

    Attributes
    ----------
    n_batches : int
        In an epoch; the last one may be smaller.
    starts : list of int
        First row of each shard, and the end of the last one.
    """

    def __init__(self, n_rows: int, batch_size: int, n_shards: int) -> None:
        batch_size = min(batch_size, n_rows)
        if batch_size < n_shards:
            what = "rows" if batch_size == n_rows else "batch_size"
            raise DataError(
                f"{what} must be at least one for each of {n_shards} shards. "
                f"Received: {what}={batch_size}"
            )
        self.n_rows, self.batch_size, self.n_shards = n_rows, batch_size, n_shards
        self.n_batches = -(-n_rows // batch_size)
        sizes = [
            (self.n_batches - 1) * self.share(0, shard)[1]
            + self.share(self.n_batches - 1, shard)[1]
            for shard in range(n_shards)
        ]
        self.starts = [0, *np.cumsum(sizes).tolist()]

    def size(self, batch: int) -> int:
        """Return the number of rows of a batch."""
        return min(self.batch_size, self.n_rows - batch * self.batch_size)

    def share(self, batch: int, shard: int) -> tuple[int, int]:
        """Return the first row in a batch of a shard's share, and the share's size."""
        each, rest = divmod(self.size(batch), self.n_shards)
        return shard * each + min(shard, rest), each + (shard < rest)


def random(seed: int, *key: int) -> np.random.Generator:
    """Return the random generator for a seed and a position in the run."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


class Shard(Protocol):
    """The rows of one shard, batch by batch."""

    def part(self, epoch: int, batch: int) -> Part:
        """Return inputs, targets and weights of the share of a batch."""

    def close(self) -> None:
        """Release files and buffers."""


class ArrayShard:
    """A shard of arrays, in a new order every epoch.

    Parameters
    ----------
    rows : Rows
        Of all shards.
    plan : ShardPlan
    index : int
        Which shard.
    seed : int or None
        None: the order is that of the arrays.
    """

    def __init__(self, rows: Rows, plan: ShardPlan, index: int, seed: int | None) -> None:
        self._rows, self._plan, self._index, self._seed = rows, plan, index, seed
        self._epoch, self._order = -1, np.empty(0, np.intp)

    def part(self, epoch: int, batch: int) -> Part:
        """Return inputs, targets and weights."""
        first, last = self._plan.starts[self._index : self._index + 2]
        if self._seed is not None and epoch != self._epoch:
            order = random(self._seed, epoch, self._index).permutation(last - first)
            self._epoch, self._order = epoch, first + order
        start = batch * self._plan.share(0, self._index)[1]
        stop = start + self._plan.share(batch, self._index)[1]
        chosen: Any = self._order[start:stop]
        if self._seed is None:
            chosen = slice(first + start, first + stop)
        x, y, weight = self._rows
        return x[chosen], y[chosen], None if weight is None else weight[chosen]

    def close(self) -> None:
        """Release files and buffers."""


class StreamShard:
    """A shard of a file, read through a buffer that is shuffled.

    Parameters
    ----------
    stream : ParquetStream
        Only this shard's rows, as `cut_stream` returns them.
    plan : ShardPlan
    index : int
    seed : int or None
        None: the order is that of the file.
    epochs : int
    dtype : dtype
    check : callable
        Called with the targets of each part; returns them converted for the network.
    """

    def __init__(
        self,
        stream: ParquetStream,
        plan: ShardPlan,
        index: int,
        seed: int | None,
        epochs: int,
        dtype: np.dtype,
        check: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._stream, self._plan, self._index, self._seed = stream, plan, index, seed
        self._epochs, self._dtype, self._check = epochs, dtype, check
        self._each = plan.share(0, index)[1]
        self._size = stream.buffer_rows(self._each)
        self._running = contextlib.ExitStack()
        self._prefetcher: Prefetcher | None = None
        self._buffer: Buffer | None = None
        self._at = (-1, -1)  # epoch and number of the buffer
        self._order = np.empty(0, np.intp)

    def part(self, epoch: int, batch: int) -> Part:
        """Return inputs, targets and weights; wait until they are read."""
        start = batch * self._each
        n = self._plan.share(batch, self._index)[1]
        if n == 0:
            return np.empty((0, self._stream.n_inputs), self._dtype), np.empty((0, 1)), None
        number, start = divmod(start, self._size)
        if (epoch, number) != self._at:
            self._next(epoch, number)
        assert self._buffer is not None
        chosen: Any = self._order[start : start + n]
        if self._seed is None:
            chosen = slice(start, start + n)
        return self._buffer.x[chosen], self._buffer.y[chosen], None

    def _next(self, epoch: int, number: int) -> None:
        if self._prefetcher is None:
            self._prefetcher = self._prefetch(epoch, number)
        if self._buffer is not None:
            self._prefetcher.release(self._buffer)
        self._buffer = self._prefetcher.get()
        self._at = epoch, number
        if self._seed is not None:
            rng = random(self._seed, epoch, self._index, number)
            self._order = rng.permutation(self._buffer.n)

    def _prefetch(self, epoch: int, number: int) -> Prefetcher:
        groups, index, seed = groups_of(self._stream), self._index, self._seed

        def order(epoch: int) -> list[int]:
            if seed is None:
                return groups
            # No buffer has this number, so that its order is another one.
            return random(seed, epoch, index, 2**32 - 1).permutation(groups).tolist()

        epochs, skip = range(epoch, self._epochs), number * self._size
        return self._running.enter_context(
            Prefetcher(self._stream, self._size, self._dtype, order, epochs, self._check, skip)
        )

    def close(self) -> None:
        """Release the file and the buffers."""
        self._running.close()
        self._prefetcher = self._buffer = None


# ---- files -------------------------------------------------------------------------------------


def groups_of(stream: ParquetStream) -> list[int]:
    """Return the row groups that contain rows of a stream."""
    return [group for group in range(stream.n_groups) if stream.kept_rows(group)]


def cut_stream(stream: ParquetStream, starts: list[int], wanted: list[int]) -> list[ParquetStream]:
    """Return streams of contiguous parts of a stream's rows.

    Parameters
    ----------
    stream : ParquetStream
    starts : list of int
        First row of each part, and the end of the last one.
    wanted : list of int
        Indices of the parts to return.

    Returns
    -------
    list of ParquetStream
        The buffers of all parts together have as many rows as the stream's buffer.
    """
    places = stream.file_rows(starts)
    share = -(-stream.buffer_rows(1) // (len(starts) - 1))
    return [stream.part(places[i], places[i + 1], starts[i + 1] - starts[i], share) for i in wanted]


def moments_of(stream: ParquetStream, dtype: str) -> Moments:
    """Return mean and deviation of a stream's targets, and read no other column."""
    state, moments = stream.preprocessing, Moments()
    for table in stream.tables([state.target.name], groups_of(stream)):
        y = state.targets(table, dtype)
        y = y[stream.kept(table.first_row + np.arange(len(y)))]
        moments.add(y[:, 0].astype(np.float64))
    return moments


def merged(states: list[list[list[float]]]) -> Moments:
    """Return the moments of numbers whose parts are on several processes, in the given order."""
    total = Moments()
    bounds = [state[-1] for state in states]
    lows, highs = [low for low, _ in bounds], [high for _, high in bounds]
    parts = [part for state in states for part in state[:-1]]
    total.state = [*parts, [min(lows, default=math.inf), max(highs, default=-math.inf)]]
    return total


# ---- rows to evaluate --------------------------------------------------------------------------


def even_starts(n_rows: int, n_shards: int) -> list[int]:
    """Return the first row of each of `n_shards` contiguous parts, and the end of the last one."""
    return [n_rows * shard // n_shards for shard in range(n_shards + 1)]


def chunks(data: Rows | ParquetStream, starts: list[int], shard: int, dtype: np.dtype,
           check: Callable[[np.ndarray], np.ndarray], most: int) -> Iterator[Part]:  # fmt: skip
    """Yield a shard's rows in parts of bounded size."""
    if starts[shard] == starts[shard + 1]:
        return
    if isinstance(data, ParquetStream):
        part = cut_stream(data, starts, [shard])[0]
        size, groups = min(part.n_rows, most), groups_of(part)
        done = 0
        with Prefetcher(part, size, dtype, lambda epoch: groups, range(1), check) as prefetcher:
            while done < part.n_rows:
                buffer = prefetcher.get()
                yield buffer.x[: buffer.n], buffer.y[: buffer.n], None
                done += buffer.n
                prefetcher.release(buffer)
        return
    for first in range(starts[shard], starts[shard + 1], most):
        rows = slice(first, min(first + most, starts[shard + 1]))
        x, y, weight = data
        yield x[rows], y[rows], None if weight is None else weight[rows]
