"""Engines whose calls run in joblib's workers: processes of this machine, or another backend."""

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..._utils.interrupts import late_interrupts
from .base import Engine, Workload
from .calls import LocalCall, ProgressFile, SharedFile, SharedValue, exit_with

_WAIT_SECONDS = 0.1
_LOSSES = 3  # of workers in a row, without a result between; more than that is an error


class Processes(Engine):
    """Processes of this machine, from the process pool (loky) within joblib.

    joblib's own interface is not used: it shows no progress, and its workers would print tracebacks
    on Ctrl-C. Here workers ignore SIGINT, and only the calling process handles it.
    """

    name = "processes"

    def _run(self, work: Workload) -> None:
        with _directory() as directory:
            progress = ProgressFile(str(directory / "progress"), len(work.items))
            progress.values("w+")
            file = SharedFile(str(directory / "shared"))
            Path(file.path).write_bytes(pickle.dumps(work.shared, 5))
            call = LocalCall(work.function, file, self.n_threads, progress)
            left, losses = dict(enumerate(work.items)), 0
            while left:
                before = len(left)
                if self._run_until_loss(call, left, progress, work):
                    losses = losses + 1 if len(left) == before else 1
                if losses > _LOSSES:
                    raise RuntimeError(
                        f"Worker processes end before their work is done: {losses} times without "
                        "a result. Is there enough memory?"
                    )

    def _run_until_loss(
        self, call: LocalCall, left: dict[int, Any], progress: ProgressFile, work: Workload
    ) -> bool:
        """Process items until none is left or a process is lost; return whether one was lost."""
        from joblib.externals.loky import get_reusable_executor
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        parent = (os.getpid(),)
        pool = get_reusable_executor(self.n_workers, initializer=exit_with, initargs=parent)
        queue = iter(list(left.items()))
        waiting: set[concurrent.futures.Future[Any]] = set()
        try:
            with late_interrupts() as interrupt:
                while left:
                    interrupt()
                    with _block_sigint():
                        # Not all at once: items already queued in the pool cannot be cancelled.
                        for i, item in itertools.islice(queue, 2 * self.n_workers - len(waiting)):
                            waiting.add(pool.submit(call, i, item))
                    done, waiting = concurrent.futures.wait(
                        waiting, _WAIT_SECONDS, concurrent.futures.FIRST_COMPLETED
                    )
                    for future in done:
                        i, result = future.result()
                        del left[i]
                        work.on_result(i, result)
                    values = progress.values()
                    work.on_wait(float(sum(values[i] for i in left)))
        except TerminatedWorkerError:  # the pool ends the other workers, too
            return True
        except BaseException:
            with _silence_thread_errors():
                pool.shutdown(wait=True, kill_workers=True)
            raise
        return False


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory that is removed at the end of the block, even if this process is killed.

    In that case joblib's resource tracker, a separate process, removes it.
    """
    from joblib.externals.loky.backend import resource_tracker

    path = Path(tempfile.gettempdir(), f"fastmlp-{secrets.token_hex(8)}")
    with _block_sigint():
        resource_tracker.register(str(path), "folder")
    try:
        path.mkdir(0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        resource_tracker.unregister(str(path), "folder")


@contextlib.contextmanager
def _silence_thread_errors() -> Iterator[None]:
    """Suppress tracebacks of threads: the pool's own thread fails when its items are cancelled."""
    before, threading.excepthook = threading.excepthook, lambda _: None
    try:
        yield
    finally:
        threading.excepthook = before


@contextlib.contextmanager
def _block_sigint() -> Iterator[None]:
    """Block SIGINT, so that processes and threads started in this block ignore Ctrl-C."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as lokys

    for tracker in (resource_tracker, lokys):  # starting them later would unblock SIGINT
        tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Joblib(Engine):
    """The workers of another joblib backend, such as threads or a registered one."""

    name = "joblib"

    def _run(self, work: Workload) -> None:
        from joblib import Parallel, delayed

        call = LocalCall(work.function, SharedValue(work.shared), self.n_threads, None)
        pool = Parallel(self.n_workers, return_as="generator_unordered", batch_size=1)
        for i, result in pool(delayed(call)(i, item) for i, item in enumerate(work.items)):
            work.on_result(i, result)
            work.on_wait(0.0)
