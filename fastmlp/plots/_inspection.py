"""Figures of `fastmlp.inspection`: importance, partial dependence, per-layer diagnostics."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._utils import arguments
from ..inspection import (
    EXPLODED,
    VANISHED,
    Feature,
    Importance,
    LayerReport,
    PartialDependence,
)
from ._classes import MARKERS
from ._models import Array, count
from ._style import (
    BLACK,
    BLUE,
    DASHES,
    GREY,
    INK,
    ORANGE,
    PALETTE,
    TICK_STEPS,
    VERMILLION,
    legend_above,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_ROW = 3  # panels of partial dependence
LONGEST_NAME = 30
LONG = 40  # labels of categories with more letters in all are rotated
FEW = 12  # a grid of at most as many points has markers
BAND_ALPHA = 0.14


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


# ---- permutation importance --------------------------------------------------------------------


@styled
def plot_importance(
    importance: Importance, n_shown: int = 20, *, title: str | None = None
) -> Figure:
    """Draw the permutation importance of each feature, largest on top.

    Bars are means over the shuffles, points are single shuffles. At zero a feature does not
    matter; points left of zero are chance.

    Parameters
    ----------
    importance : Importance
    n_shown : int
        Number of features drawn, the most important first.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    if n_shown < 1:
        raise ValueError(f"n_shown must be at least 1. Received: n_shown={n_shown}")
    order = importance.order[:n_shown]
    n, n_repeats = len(order), importance.repeats.shape[1]
    figure = new_figure(8, 1.3 + 0.32 * max(n, 3), title)
    ax = figure.subplots()
    places = np.arange(n)
    ax.barh(places, importance.mean[order], height=0.62, color=BLUE, label="mean")
    if n_repeats > 1:
        points = importance.repeats[order]
        ax.plot(
            points.ravel(),
            np.repeat(places, n_repeats),
            linestyle="none",
            marker="o",
            markersize=4,
            markerfacecolor="white",
            markeredgecolor=INK,
            markeredgewidth=0.8,
            label=count(n_repeats, "shuffle"),
        )
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_ylim(n - 0.4, -0.6)
    ax.set_yticks(places, [_cut(importance.names[i]) for i in order])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    metric = importance.metric.replace("_", " ")
    change = "fall" if importance.larger_is_better else "rise"
    ax.set_xlabel(f"{change} of {metric} when the column is shuffled")
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    shown = (
        f", {n} of {count(len(importance.names), 'column')}" if n < len(importance.names) else ""
    )
    ax.set_title(f"{metric} {importance.baseline:.4g} unshuffled{shown}")
    legend_above(ax)
    return figure


# ---- partial dependence ------------------------------------------------------------------------


@styled
def plot_partial_dependence(
    dependence: PartialDependence | Sequence[PartialDependence],
    *,
    y_label: str = "prediction",
    output_names: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw how a model's mean output depends on one or two features, one panel for each.

    Panels of one feature share the axis of the output, so that effects can be compared. Grey lines
    are single rows, and ticks above the axis are deciles of the rows. With two features the output
    is drawn in colour, and dots are rows. With several outputs each has a line, and single rows
    are left out.

    Parameters
    ----------
    dependence : PartialDependence or sequence of them
    y_label : str
        Label of the output.
    output_names : sequence of str, optional
        One name for each output.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is nothing to draw, or if the dependence on two features has several outputs.
    """
    several: list[PartialDependence] = (
        list(dependence) if isinstance(dependence, list | tuple) else [dependence]  # type: ignore[list-item]
    )
    if not several:
        raise ValueError("dependence must hold at least one. Received: none")
    n_outputs = int(several[0].average.shape[-1])
    pairs = [len(one.features) == 2 for one in several]
    if n_outputs > 1 and any(pairs):
        raise ValueError(
            f"The dependence on two features needs a single output. Received: {n_outputs} outputs"
        )
    names = output_names or [f"y{j + 1}" for j in range(n_outputs)]
    n_columns = 2 if len(several) == 4 else min(PER_ROW, len(several))
    n_rows = -(-len(several) // n_columns)
    figure = new_figure(max(4.0 * n_columns, 6.5), 3.4 * n_rows + 0.7, title)
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    single: list[Axes] = []
    for k, ax in enumerate(axes.flat):
        if k >= len(several):
            ax.set_visible(False)
        elif pairs[k]:
            _pair_panel(figure, ax, several[k], y_label)
        else:
            _single_panel(ax, several[k], names)
            if k % n_columns == 0 or pairs[k - 1]:
                ax.set_ylabel(y_label)
            else:
                ax.tick_params(labelleft=False)
            single.append(ax)
    if single:
        limits = [ax.get_ylim() for ax in single]
        low, high = min(a for a, _ in limits), max(b for _, b in limits)
        for ax in single:
            ax.set_ylim(low, high)
        handles, labels = _legend_entries(single)
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
    return figure


def _legend_entries(axes: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)


def _single_panel(ax: Axes, dependence: PartialDependence, names: Sequence[str]) -> None:
    feature, grid = dependence.features[0], dependence.grid[0]
    n_outputs = dependence.average.shape[-1]
    apart = feature.kind in ("categorical", "boolean")
    if n_outputs == 1:
        style: dict[str, Any] = {"color": GREY, "linewidth": 0.7, "alpha": 0.55, "zorder": 1}
        if apart:
            style |= {"linestyle": "none", "marker": "o", "markersize": 3}
        lines = ax.plot(grid, dependence.curves[:, :, 0].T, **style)
        if lines:
            lines[0].set_label("single rows")
    for j in range(n_outputs):
        style = {"color": BLUE if n_outputs == 1 else PALETTE[j % len(PALETTE)], "zorder": 3}
        if apart or len(grid) <= FEW:
            style |= {"marker": "D" if n_outputs == 1 else MARKERS[j % len(MARKERS)]}
            style |= {"markersize": 7, "markeredgecolor": BLACK}
        line = {"linewidth": 2.2, "linestyle": DASHES[j % len(DASHES)]}
        mean = f"mean over {count(len(dependence.rows[0]), 'row')}"
        label = mean if n_outputs == 1 else names[j]
        style |= {"linestyle": "none"} if apart else line
        ax.plot(grid, dependence.average[:, j], label=label, **style)
    ax.set_xlabel(_cut(feature.name))
    if apart:
        _category_axis(ax, feature)
        return
    if feature.kind == "date":
        _date_axis(ax)
    deciles = np.nanquantile(dependence.rows[0], np.linspace(0.1, 0.9, 9))
    ax.plot(
        deciles,
        np.full(9, 0.02),
        transform=ax.get_xaxis_transform(),
        linestyle="none",
        marker="|",
        markersize=8,
        color=INK,
        label="deciles of the rows",
        zorder=2,
    )
    ax.margins(x=0.02)


def _date_axis(ax: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=6)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _labels(feature: Feature) -> list[str]:
    names = ("false", "true") if feature.kind == "boolean" else feature.categories
    return [_cut(name) for name in names]


def _category_axis(ax: Axes, feature: Feature) -> None:
    names = _labels(feature)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_xticks(range(len(names)), names)
    if sum(map(len, names)) > LONG or max(map(len, names)) * len(names) > LONG:
        for text in ax.get_xticklabels():
            text.set(rotation=35, ha="right", rotation_mode="anchor")


def _pair_panel(figure: Figure, ax: Axes, dependence: PartialDependence, label: str) -> None:
    """Draw the dependence on two features in colour, with cells centred on the grid points."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    first, second = dependence.features
    values = dependence.average[:, :, 0].T
    edges = [_edges(grid) for grid in dependence.grid]
    # Without the darkest blues, which would hide lines and points.
    colours = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.03, 0.72, 256)))
    mesh = ax.pcolormesh(edges[0], edges[1], values, cmap=colours, rasterized=True)
    apart = [feature.kind in ("categorical", "boolean") for feature in (first, second)]
    if not any(apart):
        ax.plot(
            *dependence.rows,
            linestyle="none",
            marker="o",
            markersize=2,
            color=INK,
            alpha=0.3,
            markeredgewidth=0,
        )
        if min(values.shape) > 1 and np.ptp(values) > 0:
            lines = ax.contour(*dependence.grid, values, colors=BLACK, linewidths=0.8)
            ax.clabel(lines, fontsize=7, fmt="%.4g")
    ax.set(xlabel=_cut(first.name), ylabel=_cut(second.name))
    if apart[0]:
        _category_axis(ax, first)
    elif first.kind == "date":
        _date_axis(ax)
    if apart[1]:
        ax.set_yticks(range(len(dependence.grid[1])), _labels(second))
    ax.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    bar = figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.set_label(f"mean {label}", color=INK)
    bar.outline.set_visible(False)


def _edges(grid: Array) -> Array:
    """Return the borders of the cells around the grid points."""
    if len(grid) == 1:
        return np.array([grid[0] - 0.5, grid[0] + 0.5])
    middle = (grid[1:] + grid[:-1]) / 2
    ends = 2 * grid[0] - middle[0], 2 * grid[-1] - middle[-1]
    return np.concatenate([[ends[0]], middle, [ends[1]]])


# ---- layers ------------------------------------------------------------------------------------


@styled
def plot_layer_report(report: LayerReport, *, title: str | None = None) -> Figure:
    """Draw a report on layers: error signal, gradients, dead and saturated units.

    Parameters
    ----------
    report : LayerReport
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Three panels over the layers, from the first to the output. Where error signals vanish or
        explode, that region is shaded.
    """
    from matplotlib.ticker import MaxNLocator

    layers = arguments.instance("report", report, LayerReport).layers
    x = np.arange(1, len(layers) + 1)
    figure = new_figure(8, 8, title)
    axes = figure.subplots(3, 1, sharex=True)
    marked: dict[str, Any] = {"marker": "o", "markersize": 5}
    signal = _positive([layer.error_signal for layer in layers])
    axes[0].plot(x, signal, color=BLUE, **marked)
    axes[0].set_ylabel("error signal,\nshare of the output's")
    _log_axis(axes[0], signal)
    _shade(axes[0], signal)
    ratio = _positive([layer.ratio for layer in layers])
    axes[1].plot(x, ratio, color=BLUE, **marked)
    axes[1].set_ylabel("norm of the gradient\nover that of the weights")
    _log_axis(axes[1], ratio)
    for ax, values, what in ((axes[0], signal, "error signal"), (axes[1], ratio, "gradient")):
        lost = np.flatnonzero(np.isnan(values))
        if len(lost):  # a logarithmic axis has no zero
            where = ", ".join(str(i + 1) for i in lost[:8]) + (", ..." if len(lost) > 8 else "")
            ax.set_title(f"no {what} in layer{'s' if len(lost) > 1 else ''} {where}")
    saturated = [np.nan if layer.saturated is None else layer.saturated for layer in layers]
    axes[2].plot(x, [layer.dead for layer in layers], color=BLACK, label="dead", **marked)
    if not np.isnan(saturated).all():
        style: dict[str, Any] = {"linestyle": DASHES[1], "marker": "s", "markersize": 5}
        axes[2].plot(x, saturated, color=VERMILLION, label="saturated", **style)
    axes[2].set_ylabel("share of units")
    axes[2].set_ylim(-0.03, 1.03)
    axes[2].set_xlabel(f"layer (the output is {len(layers)})")
    axes[2].set_xlim(0.5, len(layers) + 0.5)
    axes[2].xaxis.set_major_locator(MaxNLocator(integer=True, steps=TICK_STEPS))
    legend_above(axes[2])
    for ax in axes:
        ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
    words = textwrap.fill(report.verdict, 115)
    figure.supxlabel(words, x=0.01, ha="left", fontsize=9, color=INK)
    figure.align_ylabels()
    return figure


def _positive(values: Sequence[float]) -> Array:
    array = np.array(values, dtype=np.float64)
    return np.where((array > 0) & np.isfinite(array), array, np.nan)


def _log_axis(ax: Axes, values: Array) -> None:
    """Make the axis logarithmic, with at least two powers of ten around the values."""
    from matplotlib.ticker import NullLocator

    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(NullLocator())
    known = values[np.isfinite(values)]
    if len(known):
        low, high = np.log10(known.min()), np.log10(known.max())
        room = max(1.1 - (high - low) / 2, 0.15 * (high - low))
        ax.set_ylim(10 ** (low - room), 10 ** (high + room))


def _shade(ax: Axes, signal: Array) -> None:
    """Shade the region of vanished or exploded error signals, if there are any."""
    low, high = ax.get_ylim()
    style: dict[str, Any] = {"alpha": BAND_ALPHA, "linewidth": 0}
    if np.any(signal < VANISHED):
        ax.axhspan(low, VANISHED, color=ORANGE, label=f"vanished: below {VANISHED:g}", **style)
        legend_above(ax)
    elif np.any(signal > EXPLODED):
        ax.axhspan(EXPLODED, high, color=ORANGE, label=f"exploded: above {EXPLODED:g}", **style)
        legend_above(ax)
    ax.set_ylim(low, high)
