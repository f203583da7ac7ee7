"""A progress line on stderr: live on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

_QUIET_SECONDS = 1.0  # shorter work shows nothing
_UNBOUNDED = 1 << 30  # units of work: time ends it first
_LIVE_SECONDS = 0.1
_PLAIN_SECONDS = 5.0


def figures(values: Mapping[str, float], separator: str = "  ") -> str:
    """Format 'loss: 0.1234' and the like, with four decimals or, where small, an exponent."""

    def formatted(value: float) -> str:
        plain = value == 0 or 1e-3 <= abs(value) < 1e6
        return f"{value:.4f}" if plain else f"{value:.4e}"

    return separator.join(f"{key}: {formatted(value)}" for key, value in values.items())


def duration(seconds: float) -> str:
    """Format seconds as '42 s', '3 min 05 s' or '2 h 10 min'."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, by default on standard output; escape characters its encoding lacks.

    Parameters
    ----------
    text : str
    stream : text file, optional
    """
    if stream is None:
        stream = sys.stdout
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError as error:
        known = text.encode(error.encoding, "backslashreplace").decode(error.encoding)
        print(known, file=stream, flush=True)


class ProgressLine:
    """Show progress, figures and the time left; a context manager.

    Nothing is shown in the first second. Then a terminal gets at most ten updates a second, any
    other stream one every five seconds. NO_COLOR is respected.

    Parameters
    ----------
    label : str
        Name of the work.
    total : int
        Number of units of work. 2**30 and more are not shown: time ends the work.
    unit : str
        Name of the unit, in the plural.
    enabled : bool
        If False, nothing is shown.
    """

    def __init__(
        self, label: str, total: int, unit: str = "epochs", *, enabled: bool = True
    ) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._enabled = enabled
        self._start = time.monotonic()
        self._next = self._start + _QUIET_SECONDS
        self._latest: tuple[float, Mapping[str, float]] = (0, {})
        self._live: Any = None

    def update(self, done: float, values: Mapping[str, float] | None = None) -> None:
        """Show the state, unless the last update was too recent.

        Parameters
        ----------
        done : float
            Units of work done.
        values : mapping of str to float, optional
            Figures to show, such as the loss.
        """
        if not self._enabled:
            return
        now = time.monotonic()
        self._latest = done, values or {}
        if now < self._next:
            return
        # stderr may be missing (pythonw) or closed; work continues without the line.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if sys.stderr.isatty():
                self._next = now + _LIVE_SECONDS
                self._show(self._text(now))
            else:
                self._next = now + _PLAIN_SECONDS
                say(self._text(now), sys.stderr)

    def _text(self, now: float) -> str:
        (done, values), elapsed = self._latest, now - self._start
        bounded = self._total < _UNBOUNDED
        parts = [f"{self._label}: {int(done)}{f'/{self._total}' if bounded else ''} {self._unit}"]
        if bounded and 0 < done < self._total:
            parts.append(f"{duration(elapsed * (self._total - done) / done)} left")
        else:
            parts.append(duration(elapsed))
        if values:  # last: a narrow terminal then cuts the figures, not the time left
            parts.append(figures(values))
        return "  ".join(parts)

    def _show(self, text: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            # No refreshing thread: a fork would not copy it, and updates are frequent enough.
            self._live = Live(console=Console(stderr=True), auto_refresh=False)
            self._live.start()
        self._live.update(Text(text, overflow="ellipsis", no_wrap=True), refresh=True)

    def close(self) -> None:
        """Show the latest state once more, and give the terminal back."""
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._show(self._text(time.monotonic()))
                self._live.stop()
            self._live = None

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
