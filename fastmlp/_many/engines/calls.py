"""What runs in a worker: one call, with its threads, its data, and word of how far it is."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import pool
from .share import Progress

Function = Callable[[Any, Any, Progress], Any]

_BEAT_SECONDS = 0.3


class Direct(NamedTuple):
    """Shared data that go with each call, or are in the same process."""

    value: Any

    def get(self) -> Any:
        """Return the data."""
        return self.value


class File(NamedTuple):
    """Shared data in a file, which each process reads once."""

    path: str

    def get(self) -> Any:
        """Return the data."""
        if self.path not in _read:
            _read.clear()
            _read[self.path] = pickle.loads(Path(self.path).read_bytes())
        return _read[self.path]


_read: dict[str, Any] = {}


class Board(NamedTuple):
    """A file with a number for each item: how much of it is done. Workers write, all may read."""

    path: str
    n: int

    def shares(self, mode: Any = "r") -> Any:
        """Return the numbers."""
        return np.memmap(self.path, np.float32, mode, shape=(self.n,))


class LocalCall(NamedTuple):
    """A call in a process of this machine.

    Parameters
    ----------
    function : callable
    shared : Direct or File
    n_threads : int
        For the kernels.
    board : Board or None
    """

    function: Function
    shared: Direct | File
    n_threads: int
    board: Board | None

    def __call__(self, place: int, item: Any) -> tuple[int, Any]:
        """Do an item; return its place with the result."""
        progress = Progress()

        def beat() -> None:
            if self.board is not None:
                self.board.shares("r+")[place] = progress.share()

        with beating(beat), pool._as_worker(self.n_threads, None):
            return place, self.function(self.shared.get(), item, progress)


def end_with(parent: int) -> None:
    """End this process soon after its parent was killed: nobody waits for its results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_BEAT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="fastmlp parent", daemon=True).start()


@contextlib.contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Call a function every now and then, in a thread, while something else is done."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(_BEAT_SECONDS):
            with contextlib.suppress(Exception):  # word of progress is not worth a failure
                beat()

    thread = threading.Thread(target=run, name="fastmlp progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
