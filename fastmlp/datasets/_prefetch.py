"""Fill buffers with a file's rows in a thread, while the kernels train on the buffer before."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ._parquet import ParquetStream

_POLL_SECONDS = 0.1


@dataclass
class Buffer:
    """Rows to train on: the first `n` of x and y."""

    x: np.ndarray
    y: np.ndarray
    n: int = 0
    last: bool = False  # of its epoch


class Prefetcher:
    """Fills buffers in a separate thread, one ahead of the one in use; a context manager.

    Parameters
    ----------
    stream : ParquetStream
    size : int
        Rows of a buffer.
    dtype : dtype
    orders : callable
        Returns the order of the row groups in an epoch; None: the file's order.
    epochs : range
    check : callable
        Called with every part's targets; returns them as the network takes them.
    skip : int
        Rows to leave out at the beginning of the first epoch.
    """

    def __init__(
        self,
        stream: ParquetStream,
        size: int,
        dtype: np.dtype,
        orders: Callable[[int], list[int] | None],
        epochs: range,
        check: Callable[[np.ndarray], np.ndarray],
        skip: int = 0,
    ) -> None:
        self._stream, self._size, self._dtype = stream, size, dtype
        self._orders, self._epochs, self._check = orders, epochs, check
        self._skip = skip
        self._ready: queue.Queue[Buffer | BaseException] = queue.Queue()
        self._free: queue.Queue[Buffer] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="fastmlp-prefetch", daemon=True)

    def __enter__(self) -> Prefetcher:
        for _ in range(2):
            x = np.empty((self._size, self._stream.n_inputs), self._dtype)
            n_targets = len(self._stream.preprocessing.all_targets)
            self._free.put(Buffer(x, np.empty((self._size, n_targets), self._dtype)))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def get(self) -> Buffer:
        """Wait for the next buffer; raise the error if the thread had one."""
        buffer = None
        while buffer is None:
            buffer = self.poll(math.inf)
        return buffer

    def poll(self, deadline: float) -> Buffer | None:
        """Wait for the next buffer, but not beyond the deadline."""
        while True:  # in short waits, so that Ctrl-C can interrupt
            try:
                item = self._ready.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() > deadline:
                    return None
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def release(self, buffer: Buffer) -> None:
        """Return a buffer to be filled again."""
        self._free.put(buffer)

    def _take_free(self) -> Buffer | None:
        while not self._stop.is_set():
            try:
                return self._free.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
        return None

    def _work(self) -> None:
        try:
            for epoch in self._epochs:
                if not self._fill_epoch(self._orders(epoch)):
                    return
                self._skip = 0
        except BaseException as error:  # raised in the thread that waits
            self._ready.put(error)

    def _first_rows(self, order: list[int] | None) -> tuple[list[int] | None, int]:
        """Return the row groups after the skipped rows, and the rows to skip in the first."""
        skip = self._skip
        if not skip:
            return order, 0
        groups = list(range(self._stream.n_groups)) if order is None else order
        for i, group in enumerate(groups):
            n = self._stream.kept_rows(group)
            if skip < n:
                return groups[i:], skip
            skip -= n
        return [], 0

    def _fill_epoch(self, order: list[int] | None) -> bool:
        """Fill buffers with an epoch's rows; return False if the thread must stop."""
        left = self._stream.n_rows - self._skip
        buffer = self._take_free()
        if buffer is None:
            return False
        order, skip = self._first_rows(order)
        at = 0
        for x, y in self._stream.arrays(self._dtype.name, order):
            assert y is not None
            left_out = min(skip, len(x))
            x, y, skip = x[left_out:], y[left_out:], skip - left_out
            if not len(x):
                continue
            y, done = self._check(y), 0
            left -= len(x)
            if left < 0:
                break
            while done < len(x):
                n = min(len(x) - done, self._size - at)
                buffer.x[at : at + n] = x[done : done + n]
                buffer.y[at : at + n] = y[done : done + n]
                at, done = at + n, done + n
                last = left == 0 and done == len(x)
                if at == self._size or last:
                    buffer.n, buffer.last, at = at, last, 0
                    self._ready.put(buffer)
                    if last:
                        break
                    buffer = self._take_free()
                    if buffer is None:
                        return False
            if self._stop.is_set():
                return False
        if left:
            raise DataError(f"{self._stream.path}: the file changed while it was read")
        return True
