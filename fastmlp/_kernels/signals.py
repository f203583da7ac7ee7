"""Handle signals that arrive during a step of the kernels, or while weights are drawn.

Python runs a signal's handler between two bytecode instructions, so a handler would wait for the
end of the step. Run during the step, a handler that raises would leave half of the weights
updated, and a handler that saves the model would save them. Handlers are therefore deferred: the
kernels see the signal, abandon the step, restore the weights, and then the handler runs. While
weights are drawn, a handler that uses the model would draw them again: it runs afterwards.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# Numbers in the order in which handlers are restored: SIGINT, whose handler raises, comes last.
_NUMBERS = sorted(signal.valid_signals(), key=lambda number: (number == signal.SIGINT, number))
# Handlers that returned without an exception: they need not abandon a step (timers).
_harmless: list[tuple[int, Any]] = []
_begun: list[Signals] = []


def _no_halt() -> bool:
    return False


# Whether a thread that trains one of many networks must stop; set by `fastmlp.threads`.
halted: Callable[[], bool] = _no_halt


class Signals:
    """Defers the handlers of signals between `begin` and `end`.

    Attributes
    ----------
    error : BaseException or None
        Exception of a handler that ran in between; raised by `end`.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._handlers: dict[int, Any] = {}
        self._seen: list[tuple[int, FrameType | None]] = []

    def begin(self, ctrl_c: bool = True) -> None:
        """Defer handlers, if this is the thread that runs them.

        Without `ctrl_c`, Python's own handler of Ctrl-C still raises KeyboardInterrupt at once.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        _begun.append(self)
        try:
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler) and (ctrl_c or handler is not signal.default_int_handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        except ValueError:  # an interpreter that does not handle signals
            self.restore()
        except BaseException:
            self.restore()
            raise

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen.append((number, frame))

    def asked(self) -> bool:
        """Return whether to abandon the step, because of a signal or a halted thread."""
        return halted() or any(
            number == signal.SIGINT or (number, self._handlers.get(number)) not in _harmless
            for number, _ in self._seen
        )

    def restore(self) -> None:
        """Restore the handlers."""
        for number, handler in self._handlers.items():
            while signal.getsignal(number) == self._note:
                try:
                    signal.signal(number, handler)
                except ValueError:  # not allowed in this thread or interpreter
                    break
                except BaseException as error:  # raised by a handler of another signal
                    self.error = self.error or error
        if self in _begun:
            _begun.remove(self)

    def end(self) -> None:
        """Restore the handlers, and run those of the signals that arrived."""
        self.restore()
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
        signals.restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
