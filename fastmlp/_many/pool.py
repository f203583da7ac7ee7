"""Many networks at once: small ones side by side, a thread each; large ones with all threads."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .. import threads as _threads
from .._utils.interrupts import late_interrupts
from ..errors import DivergedError

if TYPE_CHECKING:
    from .._model.history import History
    from ..models import Sequential

T = TypeVar("T")

# Weights and biases from which on a network trains alone, with all threads: with its moments it
# fills a processor's own cache, and two side by side would only compete for the memory.
LARGE = 1_000_000
_WAIT_SECONDS = 0.1  # between two looks at what has ended


class Job(NamedTuple):
    """One network to train.

    Parameters
    ----------
    model : Sequential
        Compiled; no other job of the same call has it.
    x, y : array-like
    arguments : dict
        Of `Sequential.fit`: epochs, batch_size, shuffle, sample_weight, validation_data,
        callbacks and so on. `verbose` is 0 unless given.
    """

    model: Sequential
    x: Any
    y: Any
    arguments: dict[str, Any] = {}  # noqa: RUF012

    def fit(self) -> History:
        """Train the network; a second call goes on from the first."""
        return self.model.fit(self.x, self.y, **{"verbose": 0, **self.arguments})


def fit_many(
    jobs: Iterable[Job],
    threads: int | None = None,
    *,
    on_done: Callable[[int], Any] | None = None,
    keep_diverged: bool = False,
) -> list[History | DivergedError]:
    """Train networks that have nothing to do with one another, on all threads.

    Each ends with the bits that ``model.fit(x, y, **arguments)`` alone would have given it,
    whatever the number of threads. Rows, lambdas, shapes and settings may differ. A small network
    has one thread to itself, a large one all of them in turn.

    Parameters
    ----------
    jobs : iterable of Job
    threads : int, optional
        As `threads.resolve` decides by default.
    on_done : callable, optional
        Called in the calling thread with the place of each job that has ended, in any order.
    keep_diverged : bool
        Whether a DivergedError takes the place of its History in the result; otherwise the first
        one is raised.

    Returns
    -------
    list of History
        In the order of the jobs.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, once every thread has stopped: models keep what they have learnt, and a
        job that was not begun has a model whose history is None.
    """
    given = list(jobs)

    def task(job: Job) -> Callable[[], History | DivergedError]:
        def run() -> History | DivergedError:
            try:
                return job.fit()
            except DivergedError as error:
                if not keep_diverged:
                    raise
                return error

        return run

    large = [job.model.built and job.model.count_params() >= LARGE for job in given]
    return run_many([task(job) for job in given], threads, on_done=on_done, alone=large)


def run_many(
    tasks: Sequence[Callable[[], T]],
    threads: int | None = None,
    *,
    on_done: Callable[[int], Any] | None = None,
    on_wait: Callable[[], Any] | None = None,
    alone: Sequence[bool] | None = None,
) -> list[T]:
    """Call functions that fit and use models of their own, several at a time.

    Within each, kernels have one thread, so its results are those of calling it anywhere; one
    function may fit a model many times, say along a path of lambdas.

    Parameters
    ----------
    tasks : sequence of callable
        Without arguments. They share no model.
    threads : int, optional
        As `threads.resolve` decides by default.
    on_done : callable, optional
        Called in the calling thread with the place of each task that has ended, in any order.
    on_wait : callable, optional
        Called in the calling thread every tenth of a second while others work, to show progress.
    alone : sequence of bool, optional
        For each task whether it runs by itself, with all threads; those come first.

    Returns
    -------
    list
        What the tasks returned, in their order.

    Raises
    ------
    BaseException
        Of the tasks that failed by then, what the first one raised; the others are stopped, as
        Ctrl-C stops them.
    """
    n_threads = _threads.resolve(threads)[0]
    results: dict[int, T] = {}
    nested = _threads.worker.n_threads is not None
    in_turn = [i for i in range(len(tasks)) if nested or (alone is not None and alone[i])]
    for i in in_turn:
        with _as_worker(n_threads, _threads.worker.halt):
            results[i] = tasks[i]()
        if on_done is not None:
            on_done(i)
    rest = [i for i in range(len(tasks)) if i not in results]
    if rest:
        # One thread, too: the calling one hears signals and shows progress.
        _run_together(tasks, rest, n_threads, results, on_done, on_wait)
    return [results[i] for i in range(len(tasks))]


@contextlib.contextmanager
def _as_worker(n_threads: int, halt: threading.Event | None) -> Iterator[None]:
    """Give the kernels so many threads in this Python thread."""
    worker = _threads.worker
    before = worker.n_threads, worker.halt
    worker.n_threads, worker.halt = n_threads, halt
    try:
        yield
    finally:
        worker.n_threads, worker.halt = before


def _run_together(
    tasks: Sequence[Callable[[], T]],
    places: list[int],
    n_threads: int,
    results: dict[int, T],
    on_done: Callable[[int], Any] | None,
    on_wait: Callable[[], Any] | None,
) -> None:
    """Run the tasks at `places`, so many at a time; their results go to `results`."""
    halt = threading.Event()

    def run(i: int) -> T:
        if halt.is_set():
            raise KeyboardInterrupt
        with _as_worker(1, halt):
            return tasks[i]()

    with concurrent.futures.ThreadPoolExecutor(n_threads) as pool:
        try:
            with late_interrupts() as interrupt:
                futures = {pool.submit(run, i): i for i in places}
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
