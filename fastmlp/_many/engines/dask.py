"""An engine whose calls run on a Dask cluster.

Dask is used directly, even if joblib's configuration names it: joblib would wait forever for an
item that Dask has given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

from ... import _kernels
from ..._utils.optional import require
from ..._utils.version import __version__
from .. import pool
from .base import Engine, Workload
from .calls import Function, heartbeat
from .progress import Progress

CONNECT_SECONDS = 10.0
WORKERS_SECONDS = 30.0  # timeout for the first worker
_WAIT_SECONDS = 0.1
_FETCH_SECONDS = 60.0
_ATTEMPTS = 4  # at an item whose workers are lost

_halts: dict[str, threading.Event] = {}  # in a worker, by the token of a run


def _halt_of(token: str) -> threading.Event:
    return _halts.setdefault(token, threading.Event())


async def _stop(token: str) -> None:
    """Stop all calls of a run in this worker; a coroutine, so that the caller need not wait."""
    _halt_of(token).set()


def _facts() -> tuple[str, str]:
    """Return the version, which must equal that of the workers, and the instruction set."""
    return __version__, _kernels.isa()


def _call(function: Function, shared: Any, i: int, item: Any, n_threads: int, token: str) -> Any:
    """Process item i, in a worker."""
    from distributed import get_worker

    worker, progress = get_worker(), Progress()
    with (
        heartbeat(lambda: worker.log_event(token, (i, progress.done()))),
        pool.as_worker(n_threads, _halt_of(token)),
    ):
        try:
            return function(shared, item, progress)
        except KeyboardInterrupt:  # cancelled: the result is not read
            return None


def _require_scheduler(address: str) -> None:
    """Raise unless a Dask scheduler answers at an address; a client would wait much longer."""
    rule = f"cluster must be a scheduler's address such as tcp://host:8786. Received: {address!r}"
    scheme, separator, _ = address.partition("://")
    if not separator or scheme not in ("tcp", "tls", "ucx", "ws", "wss"):
        raise ValueError(rule)
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(asyncio.run(_identity(address)))
        except BaseException as error:
            answers.put(error)

    # In a thread: the calling one may have an event loop already, and must handle Ctrl-C.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS + 2)
    except queue.Empty:
        answer = TimeoutError()
    if isinstance(answer, (OSError, TimeoutError)):  # Dask's own errors are OSErrors, too
        raise ConnectionError(
            f"{address}: no Dask scheduler answers within {CONNECT_SECONDS:g} seconds"
        ) from answer
    if isinstance(answer, (ValueError, TypeError)):
        raise ValueError(f"{rule} ({answer})") from answer
    if isinstance(answer, BaseException):
        raise ConnectionError(
            f"{address}: the server that answers is not a Dask scheduler"
        ) from answer
    if answer.get("type") != "Scheduler":
        kind = str(answer.get("type")).lower()
        raise ConnectionError(
            f"{address}: the server that answers is a Dask {kind}, not a scheduler"
        )


async def _identity(address: str) -> Any:
    """Ask a Dask server what it is."""
    from distributed import rpc

    async with rpc(address) as server:
        return await asyncio.wait_for(server.identity(), CONNECT_SECONDS)


class Dask(Engine):
    """The workers of a Dask scheduler.

    Parameters
    ----------
    client : distributed.Client
        Left open.
    n_threads : int
    """

    name = "dask"

    def __init__(self, client: Any, n_threads: int) -> None:
        self._client = client
        self._open = contextlib.ExitStack()  # closed by `close`
        super().__init__(self._count_workers(), n_threads)
        self._check_workers()

    @classmethod
    def connected(cls, address: str, n_threads: int) -> Dask:
        """Connect to a scheduler.

        Raises
        ------
        ValueError
            If Dask is not installed, or the address is malformed.
        ConnectionError
            If there is no scheduler there, or it has no workers.
        """
        Client = require("distributed", "dask", "a cluster").Client
        _require_scheduler(address)
        with contextlib.ExitStack() as stack:
            stack.enter_context(_quiet())
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
            stack.callback(client.close, timeout=2)
            made = cls(client, n_threads)
            made._open = stack.pop_all()
        return made

    def _count_workers(self) -> int:
        """Count the workers' threads; wait for the first worker."""
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError as error:
            address = self._client.scheduler.address
            raise ConnectionError(
                f"{address}: the scheduler has had no workers for {WORKERS_SECONDS:g} seconds"
            ) from error
        return max(1, sum(self._client.nthreads().values()))

    def _check_workers(self) -> None:
        """Require this version of fastmlp in workers; results of another one may differ."""
        own = _facts()
        try:
            found = self._client.run(_facts, on_error="return")
        except Exception as error:
            found = {"the workers": error}
        for worker, facts in found.items():
            if isinstance(facts, Exception):
                raise RuntimeError(f"{worker}: the worker cannot import fastmlp: {facts}")
            if facts[0] != own[0]:
                raise RuntimeError(
                    f"{worker}: the worker has fastmlp {facts[0]}, expected {own[0]} as here"
                )

    def _run(self, work: Workload) -> None:
        token = f"fastmlp-{secrets.token_hex(8)}"
        submissions = _Submissions(self._client, work, self.n_threads, token)
        progress: dict[int, float] = {}
        self._client.subscribe_topic(token, lambda event: progress.update([event[1]]))
        try:
            while submissions.left:
                for i, result in submissions.next(_WAIT_SECONDS):
                    work.on_result(i, result)
                work.on_wait(sum(progress.get(i, 0.0) for i in submissions.left))
        except BaseException:
            submissions.cancel()
            raise
        finally:
            with contextlib.suppress(Exception):
                self._client.unsubscribe_topic(token)

    def close(self) -> None:
        """Close the client, unless it was given."""
        self._open.close()


class _Submissions:
    """The items of a workload on a cluster; those of lost workers are submitted again."""

    def __init__(self, client: Any, work: Workload, n_threads: int, token: str) -> None:
        self.client, self.work, self.n_threads, self.token = client, work, n_threads, token
        self.left = set(range(len(work.items)))
        self._attempts = [0] * len(work.items)
        self._data: Any = None
        self._futures: dict[Any, int] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._submit(sorted(self.left))

    def _submit(self, indices: list[int]) -> None:
        if self._data is None or self._data.status in ("cancelled", "lost", "error"):
            # To all workers, so that the data are not lost with one of them.
            try:
                [self._data] = self.client.scatter([self.work.shared], broadcast=True, hash=False)
            except OSError as error:
                raise self._lost() from error
        for i in indices:
            if self._attempts[i] == _ATTEMPTS:
                raise RuntimeError(
                    f"The worker of item {i + 1} of {len(self.work.items)} was lost {_ATTEMPTS} "
                    "times. Do workers have enough memory?"
                )
            self._attempts[i] += 1
            future = self.client.submit(
                _call, self.work.function, self._data, i, self.work.items[i], self.n_threads,
                self.token, key=f"{self.token}-{i}-{self._attempts[i]}", pure=False,
            )  # fmt: skip
            self._futures[future] = i
            future.add_done_callback(self._ended.put)

    def next(self, seconds: float) -> list[tuple[int, Any]]:
        """Return the indices and results that arrived; wait `seconds` at most for the first."""
        done, again = [], []
        for future in self._finished_within(seconds):
            i = self._futures.pop(future)
            try:
                if future.status == "finished":
                    done.append((i, future.result(timeout=_FETCH_SECONDS)))
                    self.left.discard(i)
                    continue
            except (TimeoutError, CancelledError, OSError):  # the worker with the result is lost
                again.append(i)
                continue
            self._require_lost(future)
            again.append(i)
        if again:
            self._submit(again)
        return done

    def _finished_within(self, seconds: float) -> list[Any]:
        """Return the futures that have finished; wait for the first, `seconds` at most."""
        ended = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=seconds))
            while True:
                ended.append(self._ended.get_nowait())
        return ended

    def _require_lost(self, future: Any) -> None:
        """Raise an item's error, unless its worker was lost."""
        from distributed import KilledWorker

        if self.client.status not in ("running", "connecting"):
            raise self._lost()
        error = None if future.status in ("cancelled", "lost") else future.exception(timeout=30)
        if error is not None and not isinstance(error, KilledWorker):
            raise error

    def _lost(self) -> ConnectionError:
        return ConnectionError("The connection to the Dask scheduler is lost")

    def cancel(self) -> None:
        """Stop the calls on the workers."""
        with contextlib.suppress(Exception):
            self.client.run(_stop, self.token, wait=False)
            self.client.cancel(list(self._futures), asynchronous=False, force=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask's logs; the error that is raised says it all."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
