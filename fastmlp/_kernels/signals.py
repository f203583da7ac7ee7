"""Signals that come while the kernels are in the midst of a step.

Python runs a signal's handler between two instructions. A step has none, so a handler would wait
for its end; run in the midst of it, a handler that raises would leave half of the weights updated,
and one that saves the model would save them. So handlers are put off: the kernels are told of the
signal, leave the step, put back the weights, and only then the handler runs.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# Numbers in the order in which handlers are given back: Ctrl-C, which raises, at the end.
_NUMBERS = sorted(signal.valid_signals(), key=lambda number: (number == signal.SIGINT, number))
# Handlers, by their signal, that came to their end: those of timers would leave step after step.
_harmless: list[tuple[int, Any]] = []
_begun: list[Signals] = []


def _no_halt() -> bool:
    return False


# Tells a thread that trains one of many networks whether it is to stop; `threads` sets it.
halted: Callable[[], bool] = _no_halt


class Signals:
    """Puts off the handlers of signals between `begin` and `end`.

    Attributes
    ----------
    error : BaseException or None
        What a handler raised nevertheless; `end` raises it.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._handlers: dict[int, Any] = {}
        self._seen: list[tuple[int, FrameType | None]] = []

    def begin(self) -> None:
        """Put handlers off, where this is the thread that runs them."""
        if threading.current_thread() is not threading.main_thread():
            return
        _begun.append(self)
        try:
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        except ValueError:  # an interpreter that handles no signals
            self._give_back()
        except BaseException:
            self._give_back()
            raise

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen.append((number, frame))

    def asked(self) -> bool:
        """Return whether the step is to be left, because of a signal or a thread's halt."""
        return halted() or any(
            number == signal.SIGINT or (number, self._handlers.get(number)) not in _harmless
            for number, _ in self._seen
        )

    def _give_back(self) -> None:
        for number, handler in self._handlers.items():
            while signal.getsignal(number) == self._note:
                try:
                    signal.signal(number, handler)
                except ValueError:  # a thread or interpreter that may not
                    break
                except BaseException as error:  # of another signal: `end` raises it
                    self.error = self.error or error
        if self in _begun:
            _begun.remove(self)

    def end(self) -> None:
        """Give the handlers back, and run those of the signals that came."""
        self._give_back()
        if self.error is not None:
            raise self.error
        for number, frame in self._seen:
            handler = self._handlers[number]
            handler(number, frame)
            if (number, handler) not in _harmless:
                _harmless.append((number, handler))
                del _harmless[:-16]
        if halted():
            raise KeyboardInterrupt


def _after_fork_in_child() -> None:
    for signals in [*_begun]:
        signals._give_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
