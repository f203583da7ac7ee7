"""One call in a worker: its shared data, its kernel threads and its progress."""

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
from .progress import Progress

Function = Callable[[Any, Any, Progress], Any]

_BEAT_SECONDS = 0.3


class SharedValue(NamedTuple):
    """Shared data of the same process, or sent with each call."""

    value: Any

    def get(self) -> Any:
        """Return the data."""
        return self.value


class SharedFile(NamedTuple):
    """Shared data in a file, which each process reads once."""

    path: str

    def get(self) -> Any:
        """Return the data."""
        if self.path not in _read:
            _read.clear()
            _read[self.path] = pickle.loads(Path(self.path).read_bytes())
        return _read[self.path]


_read: dict[str, Any] = {}


class ProgressFile(NamedTuple):
    """A file with the progress of each of n items. Workers write it, and every process reads it."""

    path: str
    n: int

    def values(self, mode: Any = "r") -> Any:
        """Return the numbers, mapped from the file."""
        return np.memmap(self.path, np.float32, mode, shape=(self.n,))


class LocalCall(NamedTuple):
    """A call in a process of this machine.

    Parameters
    ----------
    function : callable
    shared : SharedValue or SharedFile
    n_threads : int
        Kernel threads.
    progress_file : ProgressFile or None
    """

    function: Function
    shared: SharedValue | SharedFile
    n_threads: int
    progress_file: ProgressFile | None

    def __call__(self, i: int, item: Any) -> tuple[int, Any]:
        """Process item i; return i and the result."""
        progress = Progress()

        def beat() -> None:
            if self.progress_file is not None:
                self.progress_file.values("r+")[i] = progress.done()

        with heartbeat(beat), pool.as_worker(self.n_threads, None):
            return i, self.function(self.shared.get(), item, progress)


def exit_with(parent: int) -> None:
    """Exit this process soon after its parent was killed, because nobody reads its results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_BEAT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="fastmlp parent", daemon=True).start()


@contextlib.contextmanager
def heartbeat(beat: Callable[[], None]) -> Iterator[None]:
    """Call a function about three times a second, in a thread, while the block runs."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(_BEAT_SECONDS):
            with contextlib.suppress(Exception):  # showing progress must not fail the work
                beat()

    thread = threading.Thread(target=run, name="fastmlp progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
