"""What all figures have in common: their axes, title, size and theme, and plain text."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, cast

import numpy as np

from .._utils import arguments
from ._style import INK, STYLE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

P = ParamSpec("P")
Size = str | tuple[float, float]
THEMES = ("light", "dark", "print")
AS_DRAWN = "as drawn"  # the `gid` of artists whose colours no theme changes
_MOST_INCHES = 200.0

# Fonts with letters that DejaVu lacks, on Linux, macOS and Windows; those that are installed serve.
_FURTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback",
    "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "Noto Sans Arabic", "Noto Naskh Arabic", "Geeza Pro", "Tahoma",
    "Noto Sans Devanagari", "Lohit Devanagari", "Kohinoor Devanagari", "Nirmala UI",
    "Noto Sans Thai", "Noto Sans Hebrew", "Arial Unicode MS", "Unifont", "FreeSans",
)  # fmt: skip


class Layout(TypedDict, total=False):
    """Keywords of every function that draws.

    title : str
        Above the figure.
    size : str or tuple of two float
        A ratio such as '16:9', or width and height in inches, as '8x5' or (8, 5).
    theme : {'light', 'dark', 'print'}
        'dark': light lines on a dark page. 'print': black in place of greys.
    """

    title: str | None
    size: Size | None
    theme: str


_DEFAULTS: dict[str, Any] = {"title": None, "size": None, "theme": "light"}
_size: contextvars.ContextVar[Any] = contextvars.ContextVar("size", default=None)


def drawing(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that draws a figure: it takes `Layout`, and has fastmlp's settings.

    The user's settings of matplotlib do not matter. With ``ax=`` or ``axes=`` it draws there and
    returns the figure of these axes.
    """
    known = set(inspect.signature(function).parameters) - {"layout"}

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        given = cast("dict[str, Any]", kwargs)
        layout = {name: given.pop(name, default) for name, default in _DEFAULTS.items()}
        for name in given:
            if name not in known:
                raise TypeError(
                    f"{function.__name__}() has no argument {name!r}. It has: "
                    f"{', '.join([*sorted(known), *_DEFAULTS])}"
                )
        theme = arguments.one_of("theme", layout["theme"], THEMES)
        size = None if layout["size"] is None else parse_size(layout["size"])
        title = layout["title"]
        if title is not None and not isinstance(title, str):
            raise ValueError(f"title must be a text. Received: title={title!r}")
        import matplotlib
        import matplotlib.style

        fonts = list(matplotlib.rcParams["font.family"] + matplotlib.rcParams["font.sans-serif"])
        axes = given.get("axes", given.get("ax"))
        with matplotlib.style.context(["default", STYLE]), _requested(size):
            figure = function(*args, **kwargs)
            _finish(figure, None if axes is None else as_axes(axes), title, theme, fonts)
        return figure

    return wrapper


@contextlib.contextmanager
def _requested(size: Any) -> Iterator[None]:
    token = _size.set(size)
    try:
        yield
    finally:
        _size.reset(token)


def parse_size(size: Any) -> tuple[float, float] | float:
    """Return (width, height) in inches, or the ratio of width to height.

    Parameters
    ----------
    size : str or tuple of two float
        '16:9', '8x5' or (8, 5).
    """

    def refused() -> ValueError:
        return ValueError(
            "size must be a ratio such as '16:9', or width and height in inches such as '8x5' or "
            f"(8, 5), from 0.5 to {_MOST_INCHES:g}. Received: size={arguments.shown(size)}"
        )

    parts: Any
    ratio = isinstance(size, str) and ":" in size
    if isinstance(size, str):
        parts = size.split(":" if ratio else "x")
    else:
        parts = size if isinstance(size, (tuple, list, np.ndarray)) else ()
    try:
        width, height = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise refused() from None
    if ratio and width > 0 and height > 0 and 0.05 <= width / height <= 20:
        return width / height
    if ratio or not all(0.5 <= inches <= _MOST_INCHES for inches in (width, height)):
        raise refused()
    return width, height


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure; the size that was asked for overrules width x height inches."""
    from ._figure import NotebookFigure

    size = _size.get()
    if isinstance(size, tuple):
        width, height = size
    elif size is not None:  # a ratio, of the same area
        width, height = math.sqrt(width * height * size), math.sqrt(width * height / size)
    return NotebookFigure(figsize=(width, height))


def as_axes(axes: Any) -> list[Axes]:
    """Return the given axes, one or many, as a list."""
    from matplotlib.axes import Axes

    found = [axes] if isinstance(axes, Axes) else list(np.asarray(axes, dtype=object).ravel())
    if not found or not all(isinstance(ax, Axes) for ax in found):
        raise ValueError(
            f"axes must be matplotlib's Axes, or several. Received: {arguments.shown(axes)}"
        )
    return found


def panels(
    axes: Any, n: int, width: float, height: float, columns: int = 1, *, down: bool = False,
    **options: Any,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a figure and its `n` axes: those given, or new ones.

    Parameters
    ----------
    axes : Axes, sequence of Axes, or None
    n : int
    width, height : float
        Of a new figure, in inches.
    columns : int
        Of a new figure.
    down : bool
        Whether axes follow one another down each column.
    **options
        Of `Figure.subplots`.
    """
    if axes is not None:
        found = as_axes(axes)
        if len(found) != n:
            raise ValueError(
                f"axes must be as many as the figure has panels, {n}. Received: {len(found)}"
            )
        figure = found[0].get_figure(root=True)
        assert figure is not None
        return figure, found
    figure = new_figure(width, height)
    grid = figure.subplots(-(-n // columns), columns, squeeze=False, **options)
    everything = list((grid.T if down else grid).flat)
    for ax in everything[n:]:
        ax.set_visible(False)
    return figure, everything[:n]


def one_panel(ax: Any, width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure and its only axes: those given, or new ones."""
    figure, axes = panels(ax, 1, width, height)
    return figure, axes[0]


def legend_below(figure: Figure, axes: Any, last: Axes, handles: Any, labels: Any, n: int) -> None:
    """Put a legend below a new figure; where axes were given, into the last of them."""
    if axes is None:
        figure.legend(handles, labels, loc="outside lower center", ncols=n)
    else:
        last.legend(handles, labels, fontsize=8)


# ---- title, theme and text, when everything is drawn ----------------------------------------


def _finish(
    figure: Figure, axes: list[Axes] | None, title: str | None, theme: str, fonts: list[str]
) -> None:
    artists: Iterable[Artist] = figure.findobj() if axes is None else [
        artist for ax in axes for artist in ax.findobj()
    ]  # fmt: skip
    artists = list(artists)
    every = figure.axes if axes is None else axes
    for ax in every:
        for axis in (ax.xaxis, ax.yaxis):
            _plain_numbers(axis)
    _plain_text(artists, every, fonts)
    if theme != "light":
        _recolour(artists, every, theme)
    if title:
        _entitle(figure, axes, title, theme)


def _entitle(figure: Figure, axes: list[Axes] | None, title: str, theme: str) -> None:
    if axes is not None:
        own = axes[0].get_title(loc="left")
        axes[0].set_title(f"{title}\n{own}" if own else title, loc="left", parse_math=False)
        return
    own = figure.get_suptitle()
    text = f"{title}, {own}" if own else title
    colour = theme_colour(theme)(_rgba(INK))
    figure.suptitle(text, x=0.01, ha="left", fontsize=12, color=colour, wrap=True)


def heading(figure: Figure, text: str) -> None:
    """Write a heading above a new figure, after the title that the user gave."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=12, color=INK, wrap=True)


def _plain_numbers(axis: Axis) -> None:
    """Write an axis's numbers without an offset such as 1e12, and without mathematical text."""
    from matplotlib.ticker import LogFormatterSciNotation, ScalarFormatter

    from ._numbers import PlainFormatter, PowerFormatter

    formatter = axis.get_major_formatter()
    if type(formatter) is ScalarFormatter:
        axis.set_major_formatter(PlainFormatter())
    elif isinstance(formatter, LogFormatterSciNotation):
        axis.set_major_formatter(PowerFormatter())
        if isinstance(axis.get_minor_formatter(), LogFormatterSciNotation):
            axis.set_minor_formatter(PowerFormatter())


def _plain_text(artists: list[Artist], axes: Iterable[Axes], fonts: list[str]) -> None:
    """Show every text as it is, without mathematics, in fonts that have its letters."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter

    written = [artist for artist in artists if isinstance(artist, Text)]
    named: list[str] = []
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter):
                named += list(formatter.seq)
                written += axis.get_ticklabels()
                written += [tick.label1 for tick in axis.get_major_ticks()]
    for text in written:
        text.set_parse_math(False)
    letters = "".join(text.get_text() for text in written)
    letters += "".join(named)
    further = _fonts_for(letters, fonts)
    if further:
        for text in written:
            text.set_fontfamily(["DejaVu Sans", *further])


@functools.cache
def _dejavu() -> frozenset[int]:
    """Return the letters of the font that matplotlib comes with."""
    from matplotlib import font_manager

    path = font_manager.findfont("DejaVu Sans")
    return frozenset(font_manager.get_font(path).get_charmap())


def _fonts_for(letters: str, fonts: list[str]) -> list[str]:
    """Return installed fonts to use after DejaVu, the user's first; none if it has all letters."""
    if all(ord(letter) < 0x250 or ord(letter) in _dejavu() for letter in set(letters)):
        return []
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    wanted = dict.fromkeys([*fonts, *_FURTHER_FONTS])
    return [name for name in wanted if name in installed and name != "DejaVu Sans"]


def _rgba(colour: Any) -> tuple[float, float, float, float]:
    from matplotlib.colors import to_rgba

    return to_rgba(colour)


_DARK, _LIGHT = (0.078, 0.094, 0.118), (0.90, 0.91, 0.93)  # page and letters of the dark theme
_NEUTRAL = 0.07  # spread of the channels of a grey


def theme_colour(theme: str) -> Callable[[Any], Any]:
    """Return what a theme makes of a colour, (r, g, b, alpha)."""

    def dark(colour: Any) -> Any:
        r, g, b, alpha = colour
        if max(r, g, b) - min(r, g, b) < _NEUTRAL:
            share = (r + g + b) / 3
            return (*((1 - share) * np.array(_LIGHT) + share * np.array(_DARK)), alpha)
        return (*(0.72 * np.array([r, g, b]) + 0.28), alpha)

    def printed(colour: Any) -> Any:
        r, g, b, alpha = colour
        if max(r, g, b) - min(r, g, b) < _NEUTRAL and r < 0.75:
            return (0.5 * r if r > 0.4 else 0.0,) * 3 + (alpha,)
        return colour

    return {"dark": dark, "print": printed}.get(theme, lambda colour: colour)


_PROPERTIES = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def _recolour(artists: list[Artist], axes: Iterable[Axes], theme: str) -> None:
    """Give every artist that the figure has the theme's colours."""
    from matplotlib.collections import Collection
    from matplotlib.colors import ListedColormap
    from matplotlib.contour import ContourSet
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    changed = theme_colour(theme)
    for artist in artists:
        if artist.get_gid() == AS_DRAWN:
            continue
        if isinstance(artist, ContourSet) and artist.colors is not None:
            levels = list(artist.levels)
            colours = [changed(_rgba(c)) for c in np.ravel(np.asarray(artist.colors, dtype=object))]
            artist.set_cmap(ListedColormap([colours[i % len(colours)] for i in range(len(levels))]))
        elif isinstance(artist, Collection):
            if artist.get_array() is None:
                for name in ("facecolor", "edgecolor"):
                    values = np.atleast_2d(getattr(artist, f"get_{name}")())
                    if values.size:
                        artist.set(**{name: [changed(c) for c in values]})
        elif isinstance(artist, Patch):
            edge, face = artist.get_edgecolor(), artist.get_facecolor()
            artist.set_edgecolor(changed(edge))
            artist.set_facecolor(changed(face))
        elif isinstance(artist, Line2D):
            for name in ("markerfacecolor", "markeredgecolor", "color"):
                value = getattr(artist, f"get_{name}")()
                if not (isinstance(value, str) and value in ("none", "auto")):
                    artist.set(**{name: changed(_rgba(value))})
        elif isinstance(artist, Text):
            artist.set_color(changed(_rgba(artist.get_color())))
            patch = artist.get_bbox_patch()
            if patch is not None:
                patch.set_facecolor(changed(patch.get_facecolor()))
            arrow = getattr(artist, "arrow_patch", None)
            if arrow is not None:
                arrow.set_color(changed(arrow.get_edgecolor()))
    ink, grid = changed(_rgba(INK)), changed(_rgba("#DDDDDD"))
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            on = bool(axis.get_tick_params().get("gridOn"))
            axis.set_tick_params(colors=ink, **({"grid_color": grid} if on else {}))
