"""A Dask cluster: data scattered once, lost workers' items done by others, progress from all.

Dask is asked directly, also where joblib's configuration names it: joblib waits for ever for an
item that Dask has given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import secrets
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from ... import _kernels
from ..._utils.optional import require
from ..._utils.version import __version__
from .. import pool
from .base import Engine, OnResult, OnWait
from .calls import Function, beating
from .share import Progress

CONNECT_SECONDS = 10.0
WORKERS_SECONDS = 30.0  # to wait for the first worker
_WAIT_SECONDS = 0.1
_FETCH_SECONDS = 60.0
_ATTEMPTS = 4  # of an item that ends its workers

_halts: dict[str, threading.Event] = {}  # in a worker, by sweep


def _halt_of(token: str) -> threading.Event:
    return _halts.setdefault(token, threading.Event())


async def _stop(token: str) -> None:
    """End all calls of a sweep in this worker; a coroutine, for which nobody need wait."""
    _halt_of(token).set()


def _facts() -> tuple[str, str]:
    """Return what workers must have in common with the parent."""
    return __version__, _kernels.isa()


def _call(
    function: Function, shared: Any, place: int, item: Any, n_threads: int, token: str
) -> Any:
    """Do an item, in a worker."""
    from distributed import get_worker

    worker, progress = get_worker(), Progress()
    with (
        beating(lambda: worker.log_event(token, (place, progress.share()))),
        pool._as_worker(n_threads, _halt_of(token)),
    ):
        try:
            return function(shared, item, progress)
        except KeyboardInterrupt:  # halted: nobody waits for it
            return None


def _require_scheduler(address: str) -> None:
    """Raise unless a Dask scheduler answers at an address, before there is a client that waits."""
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

    # A thread, for the calling one may have a loop already, and must hear Ctrl-C.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS + 2)
    except queue.Empty:
        answer = TimeoutError()
    if isinstance(answer, (OSError, TimeoutError)):  # what Dask raises of its own is one, too
        raise ConnectionError(
            f"{address}: no Dask scheduler answers within {CONNECT_SECONDS:g} seconds"
        ) from answer
    if isinstance(answer, (ValueError, TypeError)):
        raise ValueError(f"{rule} ({answer})") from answer
    if isinstance(answer, BaseException):
        raise ConnectionError(f"{address}: what answers is no Dask scheduler") from answer
    if answer.get("type") != "Scheduler":
        kind = str(answer.get("type")).lower()
        raise ConnectionError(f"{address}: what answers is a Dask {kind}, not a scheduler")


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
        self._open = contextlib.ExitStack()  # what is to be closed in the end
        super().__init__(self._count_workers(), n_threads)
        self._check_workers()

    @classmethod
    def connected(cls, address: str, n_threads: int) -> Dask:
        """Connect to a scheduler.

        Raises
        ------
        ValueError
            If Dask is not installed, or the address is none.
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
        """Count the calls that workers do at a time; wait for the first of them."""
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError as error:
            address = self._client.scheduler.address
            raise ConnectionError(
                f"{address}: the scheduler has had no workers for {WORKERS_SECONDS:g} seconds"
            ) from error
        return max(1, sum(self._client.nthreads().values()))

    def _check_workers(self) -> None:
        """Require that workers have this fastmlp; another has other bits, or other arguments."""
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
        token = f"fastmlp-{secrets.token_hex(8)}"
        run = _Run(self._client, function, shared, items, self.n_threads, token)
        shares: dict[int, float] = {}
        self._client.subscribe_topic(token, lambda event: shares.update([event[1]]))
        try:
            while run.left:
                for place, result in run.next(_WAIT_SECONDS):
                    on_result(place, result)
                on_wait(sum(shares.get(i, 0.0) for i in run.left))
        except BaseException:
            run.abandon()
            raise
        finally:
            with contextlib.suppress(Exception):
                self._client.unsubscribe_topic(token)

    def close(self) -> None:
        """Close the client if it is our own."""
        self._open.close()


class _Run:
    """Items on their way."""

    def __init__(
        self, client: Any, function: Function, shared: Any, items: Sequence[Any],
        n_threads: int, token: str,
    ) -> None:  # fmt: skip
        self.client, self.function, self.shared, self.items = client, function, shared, items
        self.n_threads, self.token = n_threads, token
        self.left = set(range(len(items)))
        self._attempts = [0] * len(items)
        self._data: Any = None
        self._futures: dict[Any, int] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._submit(sorted(self.left))

    def _submit(self, places: list[int]) -> None:
        if self._data is None or self._data.status in ("cancelled", "lost", "error"):
            # To all workers at once, so that none of them is the only one to have the data.
            try:
                [self._data] = self.client.scatter([self.shared], broadcast=True, hash=False)
            except OSError as error:
                raise self._lost() from error
        for place in places:
            if self._attempts[place] == _ATTEMPTS:
                raise RuntimeError(
                    f"Item {place + 1} of {len(self.items)} has ended its workers {_ATTEMPTS} "
                    "times. Have they enough memory?"
                )
            self._attempts[place] += 1
            future = self.client.submit(
                _call, self.function, self._data, place, self.items[place], self.n_threads,
                self.token, key=f"{self.token}-{place}-{self._attempts[place]}",
                pure=False,
            )  # fmt: skip
            self._futures[future] = place
            future.add_done_callback(self._ended.put)

    def next(self, seconds: float) -> list[tuple[int, Any]]:
        """Wait for results; return those that there are."""
        done, again = [], []
        for future in self._ended_within(seconds):
            place = self._futures.pop(future)
            try:
                if future.status == "finished":
                    done.append((place, future.result(timeout=_FETCH_SECONDS)))
                    self.left.discard(place)
                    continue
            except (TimeoutError, CancelledError, OSError):  # the worker that had it is lost
                again.append(place)
                continue
            self._require_lost(future)
            again.append(place)
        if again:
            self._submit(again)
        return done

    def _ended_within(self, seconds: float) -> list[Any]:
        """Return the futures that have ended; wait for the first."""
        ended = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=seconds))
            while True:
                ended.append(self._ended.get_nowait())
        return ended

    def _require_lost(self, future: Any) -> None:
        """Raise an item's error unless it failed because its worker did."""
        from distributed import KilledWorker

        if self.client.status not in ("running", "connecting"):
            raise self._lost()
        error = None if future.status in ("cancelled", "lost") else future.exception(timeout=30)
        if error is not None and not isinstance(error, KilledWorker):
            raise error

    def _lost(self) -> ConnectionError:
        return ConnectionError("The connection to the Dask scheduler is lost")

    def abandon(self) -> None:
        """Stop what is under way on the workers."""
        with contextlib.suppress(Exception):
            self.client.run(_stop, self.token, wait=False)
            self.client.cancel(list(self._futures), asynchronous=False, force=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask's logs: what there is to say is in the one error."""
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
