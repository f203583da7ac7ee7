"""What all figures share: colours, type sizes, how a figure is made and how it is saved."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .._utils import arguments
from .._utils.atomic import is_special, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito's palette without its yellow, which is lost on white paper.
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
    "mathtext.fontset": "dejavusans",
}

# Files carry nothing that changes from run to run: no date, no version of the software.
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": "fastmlp"},
    ".svg": {"Date": None, "Creator": "fastmlp"},
    ".pdf": {"CreationDate": None, "Creator": "fastmlp", "Producer": "fastmlp"},
}


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` under the figures' own settings, whatever the user's matplotlibrc says."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib.style

        with matplotlib.style.context(["default", STYLE]):
            return function(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float, title: str | None = None) -> Figure:
    """Make an empty figure of width x height inches that pyplot knows nothing about."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    return figure


def legend_above(ax: Axes, **options: Any) -> None:
    """Put the legend on the title's line, at the right: outside the axes, so over no data."""
    handles, labels = ax.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.01)}
    ax.legend(handles, labels, **(place | {"ncols": len(labels)} | options))


def save(fig: Figure, path: str | os.PathLike[str], dpi: float = 150) -> Path:
    """Write a figure to a file: the same figure gives the same bytes.

    The file appears whole or not at all. A device or pipe is written into; PNG unless its suffix
    says otherwise.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    path : path
        Ends in .png, .svg or .pdf; an existing file is replaced.
    dpi : float
        Pixels per inch; in SVG and PDF only of the parts that are drawn as pixels.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    ValueError
        If the suffix is another one.
    OSError
        If the file cannot be written; an existing file is then as it was.
    """
    path = Path(arguments.path("path", path))
    if not hasattr(fig, "savefig"):
        raise ValueError(f"fig must be a Figure. Received: fig={arguments.shown(fig)}")
    suffix = path.suffix.lower()
    if suffix not in _METADATA and is_special(path):
        suffix = ".png"
    if suffix not in _METADATA:
        raise ValueError(f"path must end in .png, .svg or .pdf. Received: path={str(path)!r}")
    import matplotlib.style

    content = io.BytesIO()
    settings = {"svg.hashsalt": "fastmlp", "pdf.fonttype": 42, "path.simplify": True}
    with matplotlib.style.context(["default", STYLE | settings]):
        fig.savefig(content, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
    write_atomically(path, content.getvalue())
    return path
