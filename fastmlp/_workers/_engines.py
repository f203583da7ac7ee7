"""The choice of an engine, and those of this machine: threads, and joblib's workers."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import pickle
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import _checks, _many, threads
from .._optional import require
from ._calls import Board, Direct, File, Function, LocalCall, beating, end_with
from ._progress import Progress

OnResult = Callable[[int, Any], None]
OnWait = Callable[[float], None]

_WAIT_SECONDS = 0.1
_LOSSES = 3  # of workers, in a row and without a result, after which something else is wrong


class Engine:
    """Does pieces of work.

    Parameters
    ----------
    n_workers : int
        How many pieces are done at a time.
    n_threads : int
        Of the kernels, for each worker.

    Attributes
    ----------
    name : str
        For people.
    here : bool
        Whether the work is done in this process.
    """

    name = ""
    here = False

    def __init__(self, n_workers: int, n_threads: int) -> None:
        self.n_workers, self.n_threads = n_workers, n_threads

    def run(
        self,
        function: Function,
        shared: Any,
        items: Sequence[Any],
        on_result: OnResult,
        on_wait: OnWait,
        alone: Sequence[bool] | None = None,
    ) -> None:
        """Call ``function(shared, item, progress)`` for every item.

        Parameters
        ----------
        function : callable
            Of a module, so that other processes find it.
        shared : object
            Sent to each worker once.
        items : sequence
        on_result : callable
            Told the place of an item and its result, in the calling thread, in any order.
        on_wait : callable
            Told ten times a second how much of the items is under way, in items.
        alone : sequence of bool, optional
            For each item whether it had better have the machine to itself.

        Raises
        ------
        BaseException
            What the first call raised that failed; the others are stopped.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the workers."""


class Threads(Engine):
    """Threads of this process, among which small pieces are shared out."""

    name = "threads"
    here = True

    def __init__(self, n_threads: int) -> None:
        super().__init__(n_threads, 1)

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
        running: dict[int, Progress] = {}
        results: dict[int, Any] = {}

        def task(i: int) -> Callable[[], None]:
            def run() -> None:
                progress = running[i] = Progress()
                # The calling thread shows nothing while it works itself.
                lone = alone is not None and alone[i]
                try:
                    with beating(wait) if lone else contextlib.nullcontext():
                        results[i] = function(shared, items[i], progress)
                finally:
                    del running[i]

            return run

        def wait() -> None:
            on_wait(sum(progress.share() for progress in list(running.values())))

        _many.run_many(
            [task(i) for i in range(len(items))],
            self.n_workers,
            on_done=lambda i: on_result(i, results.pop(i)),
            on_wait=wait,
            alone=alone,
        )


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
            with _many.late_interrupts() as interrupt:
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


# ---- the choice --------------------------------------------------------------------------------


@contextlib.contextmanager
def engine(jobs: int | None, cluster: str | None, n_threads: int | None) -> Iterator[Engine]:
    """Choose who does the work.

    Parameters
    ----------
    jobs : int or None
        Processes of this machine, through joblib; None: as ``joblib.parallel_config`` says where
        it is in force, otherwise threads of this process.
    cluster : str or None
        The address of a Dask scheduler.
    n_threads : int or None
        Threads of the kernels: in all for threads of this process, otherwise for each worker.

    Yields
    ------
    Engine

    Raises
    ------
    ValueError
        If both are given, or what they need is not installed.
    OSError
        If the scheduler cannot be reached.
    """
    threads.resolve(n_threads)  # which checks it
    if jobs is not None:
        _checks.integer("jobs", jobs)
    if cluster is not None:
        _checks.instance("cluster", cluster, str)
    if cluster is not None and jobs is not None:
        raise ValueError("jobs are processes of this machine; with a cluster there are none")
    made = _chosen(jobs, cluster, n_threads)
    try:
        yield made
    finally:
        made.close()


def _chosen(jobs: int | None, cluster: str | None, n_threads: int | None) -> Engine:
    if cluster is not None:
        from ._dask import Dask

        return Dask.connected(cluster, _each(n_threads, 1))
    if jobs is not None and jobs > 1:
        require("joblib", "sklearn", "work in several processes")
    if "joblib" in sys.modules and (jobs is None or jobs > 1):
        from joblib.parallel import get_active_backend

        backend, n_jobs = get_active_backend()
        kind = type(backend).__name__
        if kind == "DaskDistributedBackend":
            from ._dask import Dask

            return Dask(backend.client, _each(n_threads, 1))
        wanted = jobs or backend.effective_n_jobs(n_jobs)
        local = kind in ("LokyBackend", "SequentialBackend")
        if jobs is not None or wanted > 1 or not local:
            each = _each(n_threads, threads.resolve()[0] // wanted)
            return (Processes if local else Joblib)(wanted, each)
    return Threads(threads.resolve(n_threads)[0])


def _each(n_threads: int | None, otherwise: int) -> int:
    """Return how many threads each worker has: those that were asked for, here or for all."""
    count, automatic = threads.resolve(n_threads)
    return max(1, otherwise) if automatic else count
