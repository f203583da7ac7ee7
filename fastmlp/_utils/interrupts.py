"""Delay Ctrl-C during work that must not be cut short."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def late_interrupts() -> Iterator[Callable[[], None]]:
    """Delay Ctrl-C until the function that this yields is called, or the block ends.

    KeyboardInterrupt raised at any place would be lost in a destructor, or leave a process half
    started.
    """
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    if not callable(handler):
        yield lambda: None
        return
    pending: list[tuple[int, Any]] = []

    def interrupt() -> None:
        if pending:
            number, frame = pending[0]
            pending.clear()
            handler(number, frame)

    signal.signal(signal.SIGINT, lambda number, frame: pending.append((number, frame)))
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, handler)
        interrupt()


class Interrupts:
    """A context in which the first Ctrl-C waits until the run is saved; a second acts at once.

    It has no effect outside the main thread, the only thread that Python interrupts.
    """

    def __init__(self) -> None:
        self.waiting = False
        self._handler: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.waiting = True
        signal.signal(signal.SIGINT, self._handler)

    def __exit__(self, *error: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None

    def deliver(self) -> None:
        """Call the delayed handler of Ctrl-C, which usually raises KeyboardInterrupt."""
        self.waiting = False
        handler = self._handler
        handler(signal.SIGINT, None)
        signal.signal(signal.SIGINT, self._note)  # the handler returned: delay the next Ctrl-C, too
