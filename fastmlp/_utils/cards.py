"""HTML cards for notebooks, with curves and bars as small SVG; they need no matplotlib.

Lines and letters have the page's own colour (``currentColor``), so that cards suit light and dark
pages. Every text is escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

BLUE, RED, GREEN = "#2b82c4", "#d9622b", "#1f9e78"  # readable on white and on black
_MOST_POINTS = 240  # of a curve
_LOG_SPAN = 8.0  # positive values that span a larger factor are drawn on a logarithmic scale
_LONGEST = 60  # letters of a name
_STYLE = (
    "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:.6em .9em;margin:.3em 0;"
    "max-width:46em;overflow-x:auto;font-size:13px;line-height:1.45"
)


def text(value: Any) -> str:
    """Return a value as escaped text; a long one is cut."""
    shown = str(value)
    return html.escape(shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…")


def number(value: float, digits: int = 4) -> str:
    """Return a number with a few digits."""
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)


def card(title: str, detail: str = "", *parts: str) -> str:
    """Return a card: a title, a line in a smaller type, and HTML below it.

    Parameters
    ----------
    title, detail : str
        Texts.
    *parts : str
        HTML.
    """
    small = f'<div style="opacity:.75">{html.escape(detail)}</div>' if detail else ""
    body = "".join(f'<div style="margin-top:.5em">{part}</div>' for part in parts if part)
    return (
        f'<div class="fastmlp-card" style="{_STYLE}"><div style="font-weight:600">'
        f"{html.escape(title)}</div>{small}{body}</div>"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table of texts and numbers; cells but the first are at the right."""

    def cells(tag: str, values: Sequence[Any]) -> str:
        side = ["left", *["right"] * (len(values) - 1)]
        return "".join(
            f'<{tag} style="text-align:{s};padding:.1em .9em .1em 0;background:transparent">'
            f"{text(v)}</{tag}>"
            for s, v in zip(side, values, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        '<table style="border-collapse:collapse;margin:0">'
        f"<thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"
    )


def _thinned(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Return at most so many points of a curve that it still looks the same."""
    step = max(1, math.ceil(len(x) / _MOST_POINTS))
    places = [*range(0, len(x), step)]
    if places and places[-1] != len(x) - 1:
        places.append(len(x) - 1)
    return [(float(x[i]), float(y[i])) for i in places]


def curves(
    series: Sequence[tuple[str, Sequence[float], Sequence[float], str]],
    *,
    label: str = "",
    marks: Sequence[tuple[float, str]] = (),
    log_x: bool = False,
    log_y: bool | None = None,
    size: tuple[int, int] = (560, 150),
) -> str:
    """Return curves as SVG, each with its name, and vertical lines at marked places.

    Parameters
    ----------
    series : sequence of (name, x, y, colour)
        Points that are not finite are left out.
    label : str
        Below the axis.
    marks : sequence of (x, name)
    log_x, log_y : bool
        Whether scales are logarithmic; y by default if its values are positive and span much.
    size : tuple of int
        Width and height in pixels.
    """
    drawn = [
        (name, [p for p in _thinned(x, y) if all(map(math.isfinite, p))], colour)
        for name, x, y, colour in series
    ]
    points = [point for _, part, _ in drawn for point in part]
    if log_x:
        points = [point for point in points if point[0] > 0]
    if not points:
        return ""
    low, high = min(y for _, y in points), max(y for _, y in points)
    if log_y is None:
        log_y = low > 0 and high / low > _LOG_SPAN
    log_y = log_y and low > 0
    width, height = size
    left, right, top, bottom = 58, 12, 20, 20
    scale_x = _scale([x for x, _ in points], log_x, left, width - right)
    scale_y = _scale([low, high], log_y, height - bottom, top)
    parts = []
    for value in dict.fromkeys((low, high)):
        y = scale_y(value)
        parts.append(
            f'<line x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="currentColor" stroke-opacity=".18"/>'
            f'<text x="{left - 5}" y="{y + 4:.1f}" text-anchor="end">{number(value, 3)}</text>'
        )
    ends = sorted({min(x for x, _ in points), max(x for x, _ in points)})
    for value, anchor in zip(ends, ("start", "end"), strict=False):
        parts.append(
            f'<text x="{scale_x(value):.1f}" y="{height - 5}" text-anchor="{anchor}">'
            f"{number(value, 3)}</text>"
        )
    words = label + (" (log scales)" if log_x and log_y else " (log scale of y)" if log_y else "")
    parts.append(
        f'<text x="{(left + width - right) / 2:.0f}" y="{height - 5}" text-anchor="middle" '
        f'opacity=".75">{html.escape(words)}</text>'
    )
    for at, name in marks:
        if math.isfinite(at) and (at > 0 or not log_x):
            x = scale_x(at)
            anchor = "end" if x > 0.7 * width else "start"
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - bottom}" '
                'stroke="currentColor" stroke-dasharray="3 3" stroke-opacity=".6"/>'
                f'<text x="{x + (4 if anchor == "start" else -4):.1f}" y="{top + 9}" '
                f'text-anchor="{anchor}">{text(name)}</text>'
            )
    place = float(left)
    for name, part, colour in drawn:
        line = " ".join(
            f"{scale_x(x):.1f},{scale_y(y):.1f}"
            for x, y in part
            if (x > 0 or not log_x) and (y > 0 or not log_y)
        )
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
            f'<line x1="{place:.0f}" x2="{place + 16:.0f}" y1="9" y2="9" stroke="{colour}" '
            f'stroke-width="2.5"/><text x="{place + 20:.0f}" y="13">{text(name)}</text>'
        )
        place += 32 + 6.6 * min(len(name), _LONGEST)
    return _svg(width, height, parts, f"{', '.join(name for name, _, _ in drawn)} by {label}")


def _scale(values: Sequence[float], log: bool, start: float, end: float) -> Any:
    """Return the function from values to pixels."""

    def of(value: float) -> float:
        return math.log(value) if log else value

    low, high = of(min(values)), of(max(values))

    def pixel(value: float) -> float:
        share = (of(value) - low) / (high - low) if high > low else 0.5
        return start + share * (end - start)

    return pixel


def bars(
    names: Sequence[str], values: Sequence[float], notes: Sequence[str], width: int = 560
) -> str:
    """Return horizontal bars as SVG; negative ones point to the left.

    Parameters
    ----------
    names : sequence of str
    values : sequence of float
    notes : sequence of str
        At the right of each bar.
    """
    if not names:
        return ""
    low, high = min(0.0, *values), max(0.0, *values)
    left, right, row = min(220, 12 + 7 * max(map(len, names))), 110, 19
    scale = _scale([low, high], False, left, width - right)
    parts = []
    for i, (name, value, note) in enumerate(zip(names, values, notes, strict=True)):
        x0, x1 = sorted((scale(0.0), scale(value)))
        shown = name if len(name) <= 29 else f"{name[:28]}…"
        parts.append(
            f'<text x="{left - 6}" y="{row * i + 14}" text-anchor="end">{html.escape(shown)}</text>'
            f'<rect x="{x0:.1f}" y="{row * i + 4}" width="{max(x1 - x0, 0.5):.1f}" height="12" '
            f'fill="{BLUE}"/>'
            f'<text x="{width - right + 6}" y="{row * i + 14}">{html.escape(note)}</text>'
        )
    return _svg(width, row * len(names) + 4, parts, "bars")


def _svg(width: int, height: int, parts: Sequence[str], described: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'style="width:100%;max-width:{width}px;height:auto;display:block" '
        f'font-family="sans-serif" font-size="11" fill="currentColor">'
        f"<title>{html.escape(described)}</title>{''.join(parts)}</svg>"
    )
