"""The choice of an engine, and those of this machine: threads, and joblib's workers."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import _many, threads
from .._optional import require
from ._calls import Board, Direct, File, Function, LocalCall
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
    """

    name = ""

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
                try:
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


class Joblib(Engine):
    """The workers of a joblib backend: processes of this machine unless it is another one.

    Parameters
    ----------
    n_jobs : int
    n_threads : int
    local : bool
        Whether workers are processes that see this machine's files.
    """

    name = "joblib"

    def __init__(self, n_jobs: int, n_threads: int, local: bool = True) -> None:
        super().__init__(n_jobs, n_threads)
        self._local = local

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
        with tempfile.TemporaryDirectory(prefix="fastmlp-") as directory:
            board, handle = None, Direct(shared)
            if self._local:
                board = Board(str(Path(directory) / "progress"), len(items))
                board.shares("w+")
                handle = File(str(Path(directory) / "shared"))  # type: ignore[assignment]
                Path(handle.path).write_bytes(pickle.dumps(shared, 5))  # type: ignore[attr-defined]
            call = LocalCall(function, handle, self.n_threads, board, os.getpid())
            left = dict(enumerate(items))
            with _ticking(board, left, on_wait):
                self._until_done(call, left, on_result)

    def _until_done(self, call: LocalCall, left: dict[int, Any], on_result: OnResult) -> None:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        losses = 0
        while left:
            before = len(left)
            pool = Parallel(self.n_workers, return_as="generator_unordered", batch_size=1)
            try:
                for place, result in pool(
                    delayed(call)(i, item) for i, item in left.copy().items()
                ):
                    del left[place]
                    on_result(place, result)
            except TerminatedWorkerError as error:  # a worker was killed; its neighbours go with it
                losses = losses + 1 if len(left) == before else 1
                if losses > _LOSSES:
                    raise RuntimeError(
                        f"Worker processes end before their work is done: {losses} times without "
                        "a result. Is there enough memory?"
                    ) from error


@contextlib.contextmanager
def _ticking(board: Board | None, left: dict[int, Any], on_wait: OnWait) -> Iterator[None]:
    """Tell how much is under way while the calling thread waits for joblib."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(_WAIT_SECONDS):
            shares = () if board is None else board.shares()
            on_wait(float(sum(shares[i] for i in list(left))) if board is not None else 0.0)

    thread = threading.Thread(target=run, name="fastmlp progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


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
        if jobs is not None or kind not in ("LokyBackend", "SequentialBackend"):
            return _joblib(kind, wanted, n_threads)
        if wanted > 1:
            return _joblib(kind, wanted, n_threads)
    return Threads(threads.resolve(n_threads)[0])


def _each(n_threads: int | None, otherwise: int) -> int:
    """Return how many threads each worker has: those that were asked for, here or for all."""
    count, automatic = threads.resolve(n_threads)
    return max(1, otherwise) if automatic else count


def _joblib(kind: str, n_jobs: int, n_threads: int | None) -> Engine:
    n_threads = _each(n_threads, threads.resolve()[0] // n_jobs)
    return Joblib(n_jobs, n_threads, kind in ("LokyBackend", "MultiprocessingBackend"))
