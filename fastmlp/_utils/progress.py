"""Progress: a bar on a terminal, a bar with curves in a notebook, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from . import cards

_QUIET_SECONDS = 1.0  # shorter work shows nothing
_UNBOUNDED = 1 << 30  # units of work: time ends it first
_LIVE_SECONDS = 0.1
_NOTEBOOK_SECONDS = 0.25
_PLAIN_SECONDS = 5.0
_BAR = 24  # columns of a terminal's bar; fewer in a narrow one
_LEAST_BAR = 6
_MOST_POINTS = 400  # of a notebook's curve


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

    Nothing is shown in the first second. Then a terminal has a bar, updated at most ten times a
    second, and a notebook a bar with the curves of the losses; both are removed at the end. Any
    other stream gets a line every five seconds. NO_COLOR is respected.

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
        self._curve: dict[str, list[tuple[float, float]]] = {}

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
        for name, value in (values or {}).items():
            if "loss" in name:
                points = self._curve.setdefault(name, [])
                points.append((float(done), float(value)))
                if len(points) > _MOST_POINTS:
                    del points[1:-1:2]
        if now < self._next:
            return
        # stderr may be missing (pythonw) or closed; work continues without the line.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if isinstance(self._live, _NotebookBar) or _kernel() is not None:
                self._next = now + _NOTEBOOK_SECONDS
                self._live = self._live or _NotebookBar()
                self._live.show(self._html(now))
            elif sys.stderr.isatty():
                self._next = now + _LIVE_SECONDS
                self._live = self._live or _TerminalBar()
                parts = self._parts(now)
                self._live.show(parts, self._share(), self._latest[1])
            else:
                self._next = now + _PLAIN_SECONDS
                values = self._latest[1]
                shown = [*self._parts(now), *([figures(values)] if values else [])]
                say("  ".join(shown), sys.stderr)

    def _share(self) -> float | None:
        """Return how much is done, from 0 to 1; None if that is not known."""
        done = self._latest[0]
        return min(1.0, done / self._total) if 0 < self._total < _UNBOUNDED else None

    def _parts(self, now: float) -> tuple[str, str]:
        """Return what is done, and the time that is left or, if that is not known, was taken."""
        done, elapsed = self._latest[0], now - self._start
        bounded = self._total < _UNBOUNDED
        text = f"{self._label}: {int(done)}{f'/{self._total}' if bounded else ''} {self._unit}"
        if bounded and 0 < done < self._total:
            return text, f"{duration(elapsed * (self._total - done) / done)} left"
        return text, duration(elapsed)

    def _html(self, now: float) -> str:
        done, left = self._parts(now)
        share, values = self._share(), self._latest[1]
        bar = "" if share is None else f' value="{share:.4f}" max="1"'
        colours = (cards.BLUE, cards.RED, cards.GREEN)
        series = [
            (name, [x for x, _ in points], [y for _, y in points], colour)
            for (name, points), colour in zip(self._curve.items(), colours, strict=False)
            if len(points) > 1
        ]
        shown = html.escape("  ".join([left, *([figures(values)] if values else [])]))
        drawn = cards.curves(series, label=self._unit) if series else ""
        return (
            f'<div class="fastmlp-progress" style="font-size:13px"><progress{bar} '
            f'style="width:16em;vertical-align:middle"></progress> {html.escape(done)} &nbsp; '
            f"{shown}{drawn}</div>"
        )

    def close(self) -> None:
        """Remove the bar: results are shown in its place."""
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._live.close()
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


class _TerminalBar:
    """A bar on stderr, which is erased at the end."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        # No refreshing thread: a fork would not copy it, and updates are frequent enough.
        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        self._live.start()

    def show(
        self, parts: tuple[str, str], share: float | None, values: Mapping[str, float]
    ) -> None:
        """Show a state; figures that do not fit are left out, the first are kept."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        timed = len(parts[0]) + 2 + len(parts[1]) <= self._live.console.width
        left = self._live.console.width - len(parts[0]) - (2 + len(parts[1]) if timed else 0)
        columns: list[Any] = [parts[0]]
        if timed and share is not None and left >= _LEAST_BAR + 2:
            width = min(_BAR, left - 2)
            left -= width + 2
            columns.append(ProgressBar(total=1.0, completed=share, width=width))
        if timed:
            columns.append(parts[1])
        for name, value in values.items():
            shown = figures({name: value})
            if not timed or len(shown) + 2 > left:
                break
            columns.append(shown)
            left -= len(shown) + 2
        row = Table.grid(padding=(0, 2, 0, 0))
        for _ in columns:
            row.add_column(no_wrap=True)
        row.add_row(*columns)
        self._live.update(row, refresh=True)

    def close(self) -> None:
        """Erase the bar."""
        self._live.stop()


def _kernel() -> Any:
    """Return the shell of a notebook that runs this process, or None."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return shell if hasattr(shell, "kernel") else None


class _NotebookBar:
    """HTML in a notebook's output, which is replaced at each update and emptied at the end."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, content: str) -> None:
        """Show HTML in place of the former."""
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(content), display_id=True)
        else:
            self._handle.update(HTML(content))

    def close(self) -> None:
        """Leave nothing."""
        self.show("")
