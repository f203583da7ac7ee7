"""Run several tasks at a time: small networks on a thread each, large ones with all threads."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .. import threads as _threads
from .._utils.interrupts import late_interrupts

T = TypeVar("T")

# A network with at least this many weights and biases trains alone, with all threads: with its
# moments it fills a processor's cache, and two at a time would compete for memory.
LARGE = 1_000_000
_WAIT_SECONDS = 0.1  # between two checks for finished tasks


def run_many(
    tasks: Sequence[Callable[[], T]],
    threads: int | None = None,
    *,
    on_done: Callable[[int], Any] | None = None,
    on_wait: Callable[[], Any] | None = None,
    alone: Sequence[bool] | None = None,
) -> list[T]:
    """Call functions that fit and use models of their own, several at a time.

    The kernels have one thread within each function, so results do not depend on `threads`. One
    function may fit a model many times, for example along a path of lambdas.

    Parameters
    ----------
    tasks : sequence of callable
        Called without arguments. They share no model.
    threads : int, optional
        The default is that of `threads.resolve`.
    on_done : callable, optional
        Called in the calling thread with the index of each finished task, in any order.
    on_wait : callable, optional
        Called in the calling thread every tenth of a second while tasks run, to show progress.
    alone : sequence of bool, optional
        For each task, whether it runs by itself with all threads. Those tasks run first.

    Returns
    -------
    list
        The tasks' return values, in the order of `tasks`.

    Raises
    ------
    BaseException
        The exception of the first task that failed. The other tasks are stopped, as by Ctrl-C.
    """
    n_threads = _threads.resolve(threads)[0]
    results: dict[int, T] = {}
    nested = _threads.worker.n_threads is not None
    in_turn = [i for i in range(len(tasks)) if nested or (alone is not None and alone[i])]
    for i in in_turn:
        with as_worker(n_threads, _threads.worker.halt):
            results[i] = tasks[i]()
        if on_done is not None:
            on_done(i)
    rest = [i for i in range(len(tasks)) if i not in results]
    if rest:
        # Even a single thread runs in the pool: the calling thread handles signals and progress.
        _run_together(tasks, rest, n_threads, results, on_done, on_wait)
    return [results[i] for i in range(len(tasks))]


@contextlib.contextmanager
def as_worker(n_threads: int, halt: threading.Event | None) -> Iterator[None]:
    """Set the number of kernel threads, and the event that cancels, for this Python thread."""
    worker = _threads.worker
    before = worker.n_threads, worker.halt
    worker.n_threads, worker.halt = n_threads, halt
    try:
        yield
    finally:
        worker.n_threads, worker.halt = before


def _run_together(
    tasks: Sequence[Callable[[], T]],
    indices: list[int],
    n_threads: int,
    results: dict[int, T],
    on_done: Callable[[int], Any] | None,
    on_wait: Callable[[], Any] | None,
) -> None:
    """Run the tasks at `indices`, `n_threads` at a time; write their results to `results`."""
    halt = threading.Event()

    def run(i: int) -> T:
        if halt.is_set():
            raise KeyboardInterrupt
        with as_worker(1, halt):
            return tasks[i]()

    with concurrent.futures.ThreadPoolExecutor(n_threads) as pool:
        try:
            with late_interrupts() as interrupt:
                futures = {pool.submit(run, i): i for i in indices}
                waiting = set(futures)
                while waiting:
                    interrupt()
                    done, waiting = concurrent.futures.wait(
                        waiting, _WAIT_SECONDS, concurrent.futures.FIRST_COMPLETED
                    )
                    if on_wait is not None:
                        on_wait()
                    for future in sorted(done, key=futures.__getitem__):
                        results[futures[future]] = future.result()
                        if on_done is not None:
                            on_done(futures[future])
        except BaseException:
            halt.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
