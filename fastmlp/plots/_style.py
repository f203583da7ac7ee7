"""Colours, type sizes, axes and legends of all figures; saving a figure."""

from __future__ import annotations

import io
import os
import unicodedata
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._utils import arguments
from .._utils.atomic import is_special, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's palette without yellow, which is too pale on white.
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
BLACK = "#000000"
GREY = "#8A8A8A"
INK = "#333333"

PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
TICK_STEPS = [1, 2, 5, 10]  # ticks at 200, 400, 600 instead of 150, 300, 450
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))

STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans",  # shipped with matplotlib: the same on every machine
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.2,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "text.parse_math": False,  # a "$" in a name is a dollar
}

SAVING = STYLE | {"svg.hashsalt": "fastmlp", "pdf.fonttype": 42, "path.simplify": True}

# Files hold neither dates nor software versions: the same figure gives the same bytes.
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": "fastmlp"},
    ".svg": {"Date": None, "Creator": "fastmlp"},
    ".pdf": {"CreationDate": None, "Creator": "fastmlp", "Producer": "fastmlp"},
}


_MOST_ROWS = 3  # of a legend above the axes


def shortened(name: str, most: int = 24) -> str:
    """Return a name of at most `most` letters, the last of which says that there are more."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def width_of(label: str) -> int:
    """Return the width of a text in letters; those of Chinese and Japanese are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in label)


def legend_above(ax: Axes, handles: Any = None, labels: Any = None, **options: Any) -> None:
    """Put the legend above the axes at the right, on the title's line.

    Names that need more than three lines there stand in a column right of the axes.
    """
    if handles is None:
        handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    labels = [shortened(str(label), 60) for label in labels]
    figure = ax.get_figure(root=True)
    assert figure is not None
    # In inches: a letter of size 9 is about 0.075 wide, a handle with its gaps 0.55.
    width = 0.85 * float(figure.get_size_inches()[0]) * float(ax.get_position().width) / 0.775
    entry = 0.55 + 0.075 * max(map(width_of, labels))
    room = max(1, int(width / entry))
    total = sum(0.55 + 0.075 * width_of(label) for label in labels)
    wanted = options.pop("ncols", len(labels))
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.01)}
    if total > width or wanted < len(labels):
        wanted = min(wanted, room)
        if -(-len(labels) // wanted) > _MOST_ROWS:
            place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
            short = [shortened(label) for label in labels]
            if len(set(short)) < len(set(labels)):  # the ends tell them apart
                short = [x if len(x) <= 24 else f"{x[:11]}…{x[-12:]}" for x in labels]
            labels, wanted = short, 1
    ax.legend(handles, labels, **(place | {"ncols": wanted} | options))


def plain_log_ticks(axis: Axis, span: float) -> None:
    """Label a logarithmic axis with plain numbers, at 1, 2 and 5 too if it spans little.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    span : float
        The largest value divided by the smallest.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if span < 300:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(fig: Figure, path: str | os.PathLike[str], dpi: float = 150) -> Path:
    """Write a figure to a file. The same figure gives the same bytes.

    The file is written atomically. A device or pipe gets PNG unless its suffix is .svg or .pdf.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    path : path
        Ends in .png, .svg or .pdf. An existing file is replaced.
    dpi : float
        Pixels per inch. In SVG and PDF it applies only to parts that are drawn as pixels.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    ValueError
        If the suffix is not one of these.
    OSError
        If the file cannot be written. An existing file is then unchanged.
    """
    from matplotlib.figure import Figure

    path = Path(arguments.path("path", path))
    arguments.instance("fig", fig, Figure)
    suffix = path.suffix.lower()
    if suffix not in _METADATA and is_special(path):
        suffix = ".png"
    if suffix not in _METADATA:
        raise ValueError(f"path must end in .png, .svg or .pdf. Received: path={str(path)!r}")
    import matplotlib.style

    content = io.BytesIO()
    with matplotlib.style.context(["default", SAVING]), warnings.catch_warnings():
        # No font of this machine has a letter: it is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        fig.savefig(content, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
    write_atomically(path, content.getvalue())
    return path
