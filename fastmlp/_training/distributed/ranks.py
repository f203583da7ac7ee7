"""The processes that train one network: collective calls, errors raised on all, signals."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from ... import threads
from ..._utils.interrupts import Interrupts
from ...errors import DataError, DivergedError, ModelFileError, RankError

T = TypeVar("T")
_PATIENCE = 1.0  # seconds

# Exception types that are raised again on the ranks that did not fail themselves.
_KINDS = {
    kind.__name__: kind
    for kind in (DataError, ModelFileError, ValueError, FileExistsError, MemoryError)
}
_CODES = ((DivergedError, 3), ((DataError, ModelFileError), 4), (KeyboardInterrupt, 130))


class Ranks:
    """The processes of an MPI communicator; or this process alone.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    describe : callable, optional
        Returns one line for an error that ends all processes. By default the traceback is
        printed as well.

    Attributes
    ----------
    rank, size : int
    comm : mpi4py.MPI.Comm or None
    raised : BaseException or None
        The error that was last raised on all ranks.
    """

    def __init__(self, comm: Any = None, describe: Callable[[BaseException], str] | None = None):
        self.comm, self._describe = comm, describe
        self.raised: BaseException | None = None
        self.rank: int = 0 if comm is None else comm.Get_rank()
        self.size: int = 1 if comm is None else comm.Get_size()

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone writes files and prints."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """Return rank 0's value on all ranks."""
        if self.size == 1:
            return value
        self._barrier()
        shared: T = self.comm.bcast(value)
        return shared

    def allgather(self, value: T) -> list[T]:
        """Return every rank's value, in the order of ranks, on all ranks."""
        if self.size == 1:
            return [value]
        self._barrier()
        everyone: list[T] = self.comm.allgather(value)
        return everyone

    def _barrier(self) -> None:
        """Wait for all ranks, without a busy loop: one of them may read or write a large file."""
        request, soon = self.comm.Ibarrier(), time.monotonic() + 0.01
        while not request.Test():
            time.sleep(0 if time.monotonic() < soon else 0.001)

    def broadcast_arrays(self, arrays: list[Any]) -> None:
        """Copy rank 0's arrays into those of all ranks."""
        for array in arrays if self.size > 1 else ():
            self.comm.Bcast(array)

    # ---- errors ----

    def raise_everywhere(self, error: BaseException | None = None) -> None:
        """Raise an error on every rank if any rank has one; every rank calls this.

        Parameters
        ----------
        error : BaseException or None
            This rank's error.
        """
        if self.size == 1:
            if error is not None:
                self.raised = error
                raise error
            return
        mine = None if error is None else (type(error).__name__, str(error), socket.gethostname())
        found = self.allgather(mine)
        failed = {rank: report for rank, report in enumerate(found) if report is not None}
        if not failed:
            return
        name, text, host = failed[min(failed)]
        same = [rank for rank, report in failed.items() if report[:2] == (name, text)]
        if error is not None and self.rank in same:
            self.raised = error
        else:
            whose = f"rank {same[0]} of {self.size}, on {host}"
            if len(same) > 1:
                whose = f"ranks {', '.join(map(str, same))} of {self.size}"
            # All ranks raise the same error, also those that have another one of their own.
            self.raised = _KINDS.get(name, RankError)(f"{text} ({whose})")
        raise self.raised from (None if self.raised is error else error)

    @contextlib.contextmanager
    def collectively(self) -> Iterator[None]:
        """Return a context in which ranks work separately; an error on one is raised on all."""
        try:
            yield
        except Exception as error:
            self.raise_everywhere(error)
        else:
            self.raise_everywhere()

    def abort(self, error: BaseException) -> NoReturn:
        """Print the error and end all processes, when the others cannot raise it."""
        if self.size == 1:
            raise error
        if not self.first:
            time.sleep(_PATIENCE)  # if all fail, rank 0 prints
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, (DataError, ModelFileError)):
            text = str(error)
        if self._describe is not None:
            text = self._describe(error)
        elif not isinstance(error, (DataError, ModelFileError, KeyboardInterrupt)):
            traceback.print_exception(error, file=sys.__stderr__)
        code = next((code for kind, code in _CODES if isinstance(error, kind)), 1)
        message = f"Error: {' '.join(text.split())} (rank {self.rank} of {self.size})\n"
        with contextlib.suppress(OSError):
            os.write(2, message.encode())
        self.comm.Abort(code)
        os._exit(code)  # Abort does not return

    # ---- threads ----

    @contextlib.contextmanager
    def limited_threads(self) -> Iterator[None]:
        """Return a context in which the ranks of one machine divide its processors.

        A number of threads that was set explicitly stays.
        """
        before = threads.worker.n_threads
        each = self._threads_each() if self.size > 1 else 0
        if each and threads.resolve()[1] and "OMP_NUM_THREADS" not in os.environ:
            threads.worker.n_threads = each
        try:
            yield
        finally:
            threads.worker.n_threads = before

    def _threads_each(self) -> int:
        mine = frozenset(
            os.sched_getaffinity(0)
            if hasattr(os, "sched_getaffinity")
            else range(os.cpu_count() or 1)
        )
        everyone = self.allgather((socket.gethostname(), mine))
        sharing = sum(
            1 for host, processors in everyone
            if host == everyone[self.rank][0] and processors & mine
        )  # fmt: skip
        return max(1, threads.available() // sharing)


class InterruptedEverywhere(KeyboardInterrupt):
    """Ctrl-C, raised on all ranks after the same step."""


class RankSignals(Interrupts):
    """Ctrl-C, or a launcher's SIGTERM: one rank receives it, all stop after the same step.

    A first signal is only noted. The ranks exchange the note with their next step and then set
    `waiting` on all. A second signal has its usual effect.

    Parameters
    ----------
    launched : bool
        Whether a launcher may end this process.

    Attributes
    ----------
    noted : bool
        Whether this rank has received a signal.
    """

    def __init__(self, launched: bool) -> None:
        super().__init__()
        self.noted = False
        self._numbers = [signal.SIGINT, *([signal.SIGTERM] if launched else [])]
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                if signal.getsignal(number) not in (None, signal.SIG_IGN):
                    self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.noted = True
        signal.signal(number, self._before[number])

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def deliver(self) -> NoReturn:
        """End the run."""
        self.waiting = False
        raise InterruptedEverywhere


def wait(requests: list[Any]) -> None:
    """Wait for MPI's requests, and yield the processor to other processes meanwhile."""
    if not requests:
        return
    test = type(requests[0]).Testall
    while not test(requests):
        os.sched_yield() if hasattr(os, "sched_yield") else time.sleep(0)


def as_ranks(comm: Any) -> Ranks:
    """Return `comm`, None for one process alone or an mpi4py communicator, as Ranks.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(comm, Ranks):
        return comm
    if comm is not None and not all(hasattr(comm, name) for name in ("Get_rank", "Ialltoallv")):
        raise ValueError(
            "comm must be an intracommunicator of mpi4py, such as MPI.COMM_WORLD. "
            f"Received: comm={comm!r}"
        )
    return Ranks(comm)
