"""Ctrl-C held back while something must be done whole."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass
if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def late_interrupts() -> Iterator[Callable[[], None]]:
    """Have Ctrl-C wait until the function that is given is called, or the block ends.

    Raised anywhere it would be lost where Python calls back from what it frees, or leave a
    process half started.
    """
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    if not callable(handler):
        yield lambda: None
        return
    heard: list[tuple[int, Any]] = []

    def interrupt() -> None:
        if heard:
            number, frame = heard[0]
            heard.clear()
            handler(number, frame)

    signal.signal(signal.SIGINT, lambda number, frame: heard.append((number, frame)))
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, handler)
        interrupt()


class Interrupts:
    """Within it, Ctrl-C waits until a run has come to rest and been kept; a second one does not.

    Only in the main thread, the only one that Python interrupts.
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
        """Do what Ctrl-C would have done; usually raise KeyboardInterrupt."""
        self.waiting = False
        handler = self._handler
        handler(signal.SIGINT, None)
        signal.signal(signal.SIGINT, self._note)  # it did not end the run: wait for the next
