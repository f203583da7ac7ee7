"""Work done by processes of this machine, through joblib."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import pickle
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..._utils.interrupts import late_interrupts
from .base import Engine, OnResult, OnWait
from .calls import Board, Direct, File, Function, LocalCall, end_with

_WAIT_SECONDS = 0.1


_LOSSES = 3  # of workers, in a row and without a result, after which something else is wrong


class Processes(Engine):
    """Processes of this machine: joblib's own, asked directly.

    So that they do not hear Ctrl-C, of which only the calling process is to speak, and that
    progress is shown while they work.
    """

    name = "processes"

    def run(
        self,
        function: Function,
        shared: Any,
        items: Sequence[Any],
        on_result: OnResult,
        on_wait: OnWait,
        alone: Sequence[bool] | None = None,
    ) -> None:
        """Call the function for every item; see `Engine.run`."""
        with _directory() as directory:
            board = Board(str(directory / "progress"), len(items))
            board.shares("w+")
            file = File(str(directory / "shared"))
            Path(file.path).write_bytes(pickle.dumps(shared, 5))
            call = LocalCall(function, file, self.n_threads, board)
            left, losses = dict(enumerate(items)), 0
            while left:
                before = len(left)
                if self._until_a_loss(call, left, board, on_result, on_wait):
                    losses = losses + 1 if len(left) == before else 1
                if losses > _LOSSES:
                    raise RuntimeError(
                        f"Worker processes end before their work is done: {losses} times without "
                        "a result. Is there enough memory?"
                    )

    def _until_a_loss(
        self,
        call: LocalCall,
        left: dict[int, Any],
        board: Board,
        on_result: OnResult,
        on_wait: OnWait,
    ) -> bool:
        """Have items done until none is left or a process is lost; tell whether one was."""
        from joblib.externals.loky import get_reusable_executor
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        parent = (os.getpid(),)
        pool = get_reusable_executor(self.n_workers, initializer=end_with, initargs=parent)
        rest = iter(list(left.items()))
        waiting: set[concurrent.futures.Future[Any]] = set()
        try:
            with late_interrupts() as interrupt:
                while left:
                    interrupt()
                    with _deaf_children():
                        # Not all at once: what is queued deep in the pool cannot be called back.
                        for i, item in itertools.islice(rest, 2 * self.n_workers - len(waiting)):
                            waiting.add(pool.submit(call, i, item))
                    done, waiting = concurrent.futures.wait(
                        waiting, _WAIT_SECONDS, concurrent.futures.FIRST_COMPLETED
                    )
                    for future in done:
                        place, result = future.result()
                        del left[place]
                        on_result(place, result)
                    shares = board.shares()
                    on_wait(float(sum(shares[i] for i in left)))
        except TerminatedWorkerError:  # its neighbours go with it
            return True
        except BaseException:
            with _mute_threads():
                pool.shutdown(wait=True, kill_workers=True)
            raise
        return False


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory that is gone afterwards, even if this process is killed.

    joblib's tracker, a process of its own that outlives this one, removes it then.
    """
    from joblib.externals.loky.backend import resource_tracker

    path = Path(tempfile.gettempdir(), f"fastmlp-{secrets.token_hex(8)}")
    with _deaf_children():
        resource_tracker.register(str(path), "folder")
    try:
        path.mkdir(0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        resource_tracker.unregister(str(path), "folder")


@contextlib.contextmanager
def _mute_threads() -> Iterator[None]:
    """Let threads end in silence: the pool's own stumbles over items that are taken from it."""
    before, threading.excepthook = threading.excepthook, lambda _: None
    try:
        yield
    finally:
        threading.excepthook = before


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Keep Ctrl-C waiting: processes and threads that are started here never hear of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as lokys

    for tracker in (resource_tracker, lokys):  # started later they let Ctrl-C through again
        tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Joblib(Engine):
    """The workers of another backend of joblib: threads, or whatever was registered there."""

    name = "joblib"

    def run(
        self,
        function: Function,
        shared: Any,
        items: Sequence[Any],
        on_result: OnResult,
        on_wait: OnWait,
        alone: Sequence[bool] | None = None,
    ) -> None:
        """Call the function for every item; see `Engine.run`."""
        from joblib import Parallel, delayed

        call = LocalCall(function, Direct(shared), self.n_threads, None)
        pool = Parallel(self.n_workers, return_as="generator_unordered", batch_size=1)
        for place, result in pool(delayed(call)(i, item) for i, item in enumerate(items)):
            on_result(place, result)
