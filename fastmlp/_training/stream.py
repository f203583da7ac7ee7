"""A session over a Parquet stream, and its rows as the fit loop sees them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._utils.moments import Moments
from ..datasets import Buffer, ParquetStream, Prefetcher, buffer_seed, shuffled
from ..errors import ModelFileError
from . import data

if TYPE_CHECKING:
    from .._kernels.interface import Progress
    from .._model.model import Model
    from .session import Placed, Session


def checked_targets(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that checks the targets of each part."""
    return lambda y: data.targets(model, y, len(y))


class StreamRows:
    """The rows of a file for the fit loop, in place of `data.Rows`."""

    weight = None

    def __init__(self, stream: ParquetStream) -> None:
        self.x = range(stream.n_rows)  # only its length is used
        self.moments = Moments()

    @property
    def y(self) -> np.ndarray:
        """Targets with the same mean and deviation as those added to `moments`."""
        return self.moments.like()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.x, self.y, self.weight))


class StreamSession:
    """Session over a Parquet stream (implements `Session`): trains on one buffer after another.

    Each buffer is a session of its own, of the network or for a loss in Python. The optimizer's
    steps continue from one buffer to the next.

    Parameters
    ----------
    inner : Network or PythonSession
    stream : ParquetStream
    rows : StreamRows
        Receives the moments of the targets.
    model : Model
    epochs : int
    n_metrics : int
        Metrics that are means over rows.
    """

    def __init__(
        self,
        inner: Session,
        stream: ParquetStream,
        rows: StreamRows,
        model: Model,
        epochs: int,
        n_metrics: int,
    ) -> None:
        self._inner, self._stream, self._rows = inner, stream, rows
        self._model, self._epochs, self._n_metrics = model, epochs, n_metrics
        self._prefetcher: Prefetcher | None = None
        self._in_buffer = False  # whether a resumed run starts within a buffer
        self._running = contextlib.ExitStack()
        self._buffer: Buffer | None = None
        self.epoch = 0
        self.diverged: tuple[int, int] | None = None
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._mean: Any = np.zeros(1)  # of the loss and the metrics
        self._rows_done = self._batches_done = self._number = 0
        self._moments = Moments()

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
        """Begin; the first `run` starts to fill buffers, from the position in `progress` on."""
        self._batch_size, self._shuffle, self._seed = batch_size, shuffle, seed

    def _prefetch(self) -> Prefetcher:
        """Start to fill buffers, from the present one of the present epoch on."""
        stream, seed = self._stream, self._seed

        def order(epoch: int) -> list[int] | None:
            return shuffled(seed, epoch, stream.n_groups) if self._shuffle else None

        size, dtype = stream.buffer_rows(self._batch_size), self._model.dtype
        epochs, skip = range(self.epoch, self._epochs), self._number * size
        return self._running.enter_context(
            Prefetcher(stream, size, dtype, order, epochs, checked_targets(self._model), skip)
        )

    @property
    def progress(self) -> Progress:
        """The epoch, and the position in the present buffer, as `Network.progress`.

        `place` has the rest of the position. To resume a session set `place` and then `progress`,
        after `begin`.
        """
        if self._buffer is None:
            return (self.epoch, 0, 0, 0, 0.0, [0.0] * self._n_metrics)
        return (self.epoch, *self._inner.progress[1:])

    @progress.setter
    def progress(self, value: Progress) -> None:
        self.epoch = value[0]
        if self._in_buffer:
            buffer = self._next(math.inf)
            assert buffer is not None
            if value[1] * self._batch_size >= buffer.n:
                raise ModelFileError("the checkpoint's place lies outside of its buffer of rows")
            self._inner.progress = (0, *value[1:])  # within the buffer the epoch is the first

    @property
    def place(self) -> dict[str, Any]:
        """The buffer that is next or, if `within`, in use; sums over those before it."""
        within = self._buffer is not None
        return {
            "within": within,
            "number": self._number - within,
            "rows": self._rows_done,
            "batches": self._batches_done,
            "means": [float(value) for value in self._mean],
            "moments": self._moments.state,
        }

    @place.setter
    def place(self, value: dict[str, Any]) -> None:
        size = self._stream.buffer_rows(self._batch_size)
        if value["rows"] != value["number"] * size or value["rows"] >= self._stream.n_rows:
            raise ModelFileError("the checkpoint's buffers of rows are not those of this run")
        self._in_buffer, self._number = value["within"], value["number"]
        self._rows_done, self._batches_done = value["rows"], value["batches"]
        self._mean = np.array(value["means"])
        self._moments.state = value["moments"]

    def end(self) -> None:
        """Release the data."""
        self._running.close()
        self._buffer = None
        self._inner.end()

    @property
    def batch(self) -> int:
        """Batches done in the present epoch."""
        within = 0 if self._buffer is None else self._inner.batch
        return self._batches_done + int(within)

    @property
    def running_loss(self) -> float:
        """Mean loss of the present epoch so far."""
        within = 0 if self._buffer is None else self._inner.batch * self._batch_size
        total = self._rows_done + within
        part = self._inner.running_loss * within if within else 0.0
        return float(self._mean[0] * self._rows_done + part) / total if total else math.nan

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
        deadline, ended, left = time.monotonic() + max_seconds, 0, max_steps
        loss, means = np.empty(1), np.empty((1, metrics.shape[1]))
        while ended < n_epochs and self.diverged is None:
            buffer = self._buffer or self._next(math.inf if max_steps else deadline)
            if buffer is None:  # it is not ready yet, and a signal may be waiting
                break
            before = self._inner.batch
            done = self._inner.run(
                1,
                loss,
                means,
                n_threads=n_threads,
                automatic=automatic,
                max_seconds=deadline - time.monotonic(),
                max_steps=left,
            )
            after = -(-buffer.n // self._batch_size) if done else self._inner.batch
            left -= after - before
            if self._inner.diverged is not None:
                self.diverged = (self.epoch, self._inner.diverged[1])
            elif done and self._finish(buffer, np.append(loss, means)):
                losses[ended], metrics[ended] = self._mean[0], self._mean[1:]
                ended += 1
                self._end_epoch()
                break  # the metrics are finished with this epoch's targets, before the next one
            if (max_steps and left <= 0) or time.monotonic() > deadline:
                break
        return ended

    def _next(self, deadline: float) -> Buffer | None:
        """Begin a session on the next buffer; None if it is not ready at the deadline."""
        if self._prefetcher is None:
            self._prefetcher = self._prefetch()
        buffer = self._prefetcher.poll(deadline)
        if buffer is None:
            return None
        self._inner.begin(
            buffer.x[: buffer.n],
            buffer.y[: buffer.n],
            None,
            batch_size=self._batch_size,
            shuffle=self._shuffle,
            seed=buffer_seed(self._seed, self.epoch, self._number),
        )
        self._number += 1
        self._buffer = buffer
        return buffer

    def _finish(self, buffer: Buffer, values: np.ndarray) -> bool:
        """Add a buffer's means to the epoch's; return whether it was the epoch's last."""
        share = buffer.n / (self._rows_done + buffer.n)
        self._mean = (1 - share) * self._mean + share * values
        self._rows_done += buffer.n
        self._batches_done += -(-buffer.n // self._batch_size)
        self._moments.add(buffer.y[: buffer.n, 0].astype(np.float64))
        self._buffer = None
        assert self._prefetcher is not None
        self._prefetcher.release(buffer)
        return buffer.last

    def _end_epoch(self) -> None:
        self.epoch += 1
        self._rows.moments = self._moments
        self._begin_epoch()


if TYPE_CHECKING:
    _session: type[Session] = StreamSession
    _placed: type[Placed] = StreamSession
