"""Contributions of features to predictions: over all rows, and to single ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from .._utils import arguments
from ..inspection import Attributions
from ._layout import Layout, drawing, one_panel
from ._models import Array
from ._style import BLUE, GREY, INK, VERMILLION, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 2000  # of a feature
_BINS = 60  # across the axis, in which points are stacked
_LETTERS = 28


def _of_output(found: Attributions, output: int | None) -> int:
    n_outputs = found.values.shape[2]
    if output is None:
        return n_outputs - 1
    place = arguments.integer("output", output, -n_outputs)
    if place >= n_outputs:
        raise ValueError(f"output must be below {n_outputs}. Received: output={output}")
    return place % n_outputs


@drawing
def plot_attributions(
    attributions: Attributions,
    n_shown: int = 15,
    *,
    output: int | None = None,
    label: str = "prediction",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw every row's contribution of each feature, the most important on top.

    A point is a row. Its place is by how much the feature moves the prediction from the mean, its
    colour the feature's value: from blue, the smallest, to vermillion, the largest. Categories and
    missing values are grey.

    Parameters
    ----------
    attributions : Attributions
    n_shown : int
        Number of features drawn.
    output : int, optional
        The output; the last one by default, class 1 of two.
    label : str
        Name of the output.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = arguments.instance("attributions", attributions, Attributions)
    n_shown = arguments.integer("n_shown", n_shown)
    j = _of_output(found, output)
    values = found.values[:, :, j]
    order = np.argsort(-np.abs(values).mean(0), kind="stable")[:n_shown]
    figure, ax = one_panel(ax, 8, 1.6 + 0.42 * max(3, len(order)))
    low, high = float(values[:, order].min()), float(values[:, order].max())
    span = (high - low) or 1.0
    colours = _colours()
    for place, i in enumerate(order):
        rows = np.arange(len(values))
        if len(rows) > _MOST_POINTS:
            rows = np.unique(np.linspace(0, len(rows) - 1, _MOST_POINTS).astype(int))
        x = values[rows, i]
        offset = _stacked(x, low, span)
        shade = _shade(found, int(i), rows)
        known = np.isfinite(shade)
        dots: dict[str, Any] = {
            "s": 11,
            "linewidths": 0,
            "zorder": 3,
            "rasterized": len(rows) > 500,
        }
        ax.scatter(x[~known], place + offset[~known], color=GREY, **dots)
        ax.scatter(x[known], place + offset[known], c=shade[known], cmap=colours, vmin=0, vmax=1,
                   **dots)  # fmt: skip
    ax.axvline(0, color=INK, linewidth=0.9, zorder=1)
    mean = np.abs(values).mean(0)
    names = [f"{shortened(found.names[i], _LETTERS)}  {mean[i]:.3g}" for i in order]
    ax.set_yticks(range(len(order)), names)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="y", color="#E8E8E8", linewidth=0.6)
    ax.set_axisbelow(True)
    article = "the " if label.startswith(("prediction", "probability")) else ""
    ax.set_xlabel(f"contribution to {article}{label} (mean {found.base[j]:.4g})")
    left = len(found.names) - len(order)
    more = f", {left:,} more features" if left > 0 else ""
    ax.set_title(f"{len(values):,} rows{more}")
    _value_bar(ax, colours)
    return figure


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("values", [BLUE, "#B9A9B0", VERMILLION])


def _shade(found: Attributions, i: int, rows: Array) -> Array:
    """Return a feature's values as ranks from 0 to 1; NaN for categories and missing values."""
    if found.features[i].kind == "categorical":
        return np.full(len(rows), np.nan)
    own = found.rows[rows, i]
    known = np.isfinite(own)
    shade = np.full(len(rows), np.nan)
    distinct, places = np.unique(own[known], return_inverse=True)
    if len(distinct) > 1:
        counts = np.bincount(places)
        middle = np.cumsum(counts) - counts / 2
        ranks = (middle - middle[0]) / (middle[-1] - middle[0])
        shade[known] = ranks[places]
    return shade


def _stacked(x: Array, low: float, span: float) -> Array:
    """Return by how much to move each point up or down, so that equal ones form a swarm."""
    bins = np.clip(((x - low) / span * _BINS).astype(int), 0, _BINS - 1)
    offset = np.zeros(len(x))
    fullest = int(np.bincount(bins, minlength=_BINS).max())
    step = min(0.09, 0.8 / max(fullest, 1))
    for b in np.unique(bins):
        own = np.flatnonzero(bins == b)
        place = np.arange(len(own))
        offset[own] = step * np.where(place % 2, (place + 1) // 2, -(place // 2))
    return offset


def _value_bar(ax: Axes, colours: Any) -> None:
    """Draw a small scale of the values' colours at the top right, inside the axes."""
    box = ax.inset_axes((0.80, 1.02, 0.12, 0.028 * 6 / max(3, ax.get_ylim()[0])))
    box.imshow(np.linspace(0, 1, 64)[None], cmap=colours, aspect="auto")
    box.set_axis_off()
    for x, text, side in ((-0.03, "low", "right"), (1.03, "high", "left")):
        box.text(x, 0.5, text, transform=box.transAxes, ha=side, va="center", fontsize=8.5,
                 color=INK)  # fmt: skip


@drawing
def plot_attribution(
    attributions: Attributions,
    row: int = 0,
    n_shown: int = 10,
    *,
    output: int | None = None,
    label: str = "prediction",
    row_name: str | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw how the features lead from the mean prediction to that of one row.

    Parameters
    ----------
    attributions : Attributions
    row : int
        Index of the row.
    n_shown : int
        Number of features with a bar of their own; the others have one together.
    output : int, optional
        The output; the last one by default, class 1 of two.
    label : str
        Name of the output.
    row_name : str, optional
        Name of the row; its index by default.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = arguments.instance("attributions", attributions, Attributions)
    n_rows = len(found.values)
    row = arguments.integer("row", row, -n_rows)
    if row >= n_rows:
        raise ValueError(f"row must be below the number of rows, {n_rows}. Received: row={row}")
    n_shown = arguments.integer("n_shown", n_shown)
    j = _of_output(found, output)
    values = found.values[row, :, j]
    order = np.argsort(-np.abs(values), kind="stable")
    names = [_with_value(found, row, int(i)) for i in order[:n_shown]]
    parts = values[order[:n_shown]].tolist()
    if len(order) > n_shown:
        names.append(f"{len(order) - n_shown:,} other features")
        parts.append(float(values[order[n_shown:]].sum()))
    base = float(found.base[j])
    ends = base + np.cumsum(parts)
    starts = np.concatenate([[base], ends[:-1]])
    figure, ax = one_panel(ax, 8, 1.5 + 0.4 * max(3, len(parts)))
    places = np.arange(len(parts))
    ax.barh(places, parts, left=starts, height=0.62, zorder=2,
            color=[VERMILLION if part > 0 else BLUE for part in parts])  # fmt: skip
    low, high = min(base, *ends.tolist()), max(base, *ends.tolist())
    room = 0.14 * ((high - low) or 1.0)
    for place, part, end in zip(places, parts, ends, strict=True):
        ax.annotate(
            f"{part:+.3g}", (end, place), xytext=(4 if part >= 0 else -4, 0),
            textcoords="offset points", ha="left" if part >= 0 else "right", va="center",
            fontsize=8.5, color=INK,
        )  # fmt: skip
        if place + 1 < len(parts):
            ax.plot([end, end], [place + 0.31, place + 0.69], color=GREY, linewidth=0.8, zorder=1)
    ax.axvline(base, color=GREY, linewidth=0.9, linestyle=(0, (5, 2)), zorder=1)
    ax.axvline(ends[-1], color=INK, linewidth=0.9, zorder=1)
    ax.set_xlim(low - room, high + room)
    ax.set_yticks(places, names)
    ax.set_ylim(len(parts) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label)
    name = row_name or f"row {row % n_rows}"
    ax.set_title(f"mean {base:.4g}, {name}: {found.predictions[row, j]:.4g}")
    return figure


def _with_value(found: Attributions, row: int, i: int) -> str:
    feature, own = found.features[i], found.rows[row, i]
    name = shortened(feature.name, _LETTERS)
    if not np.isfinite(own):
        return f"{name} missing"
    if feature.kind == "categorical":
        return f"{name} = {shortened(feature.categories[int(own)], 20)}"
    if feature.kind == "date":
        return f"{name} = {np.datetime64(int(own), 'D')}"
    return f"{name} = {own:,.0f}" if 1e4 <= abs(own) < 1e9 else f"{name} = {own:.4g}"
