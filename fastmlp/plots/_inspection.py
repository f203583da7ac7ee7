"""Figures of `fastmlp.inspection`: importance, per-layer diagnostics."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from .._utils import arguments
from ..inspection import (
    EXPLODED,
    VANISHED,
    Importance,
    LayerReport,
)
from ._layout import Layout, drawing, one_panel, panels
from ._models import Array, count
from ._style import (
    BLACK,
    BLUE,
    DASHES,
    INK,
    ORANGE,
    TICK_STEPS,
    VERMILLION,
    legend_above,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST_NAME = 30
BAND_ALPHA = 0.14


# ---- permutation importance --------------------------------------------------------------------


@drawing
def plot_importance(
    importance: Importance, n_shown: int = 20, *, ax: Any = None, **layout: Unpack[Layout]
) -> Figure:
    """Draw the permutation importance of each feature, largest on top.

    Bars are means over the shuffles, points are single shuffles. At zero a feature does not
    matter; points left of zero are chance.

    Parameters
    ----------
    importance : Importance
    n_shown : int
        Number of features drawn, the most important first.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if n_shown < 1:
        raise ValueError(f"n_shown must be at least 1. Received: n_shown={n_shown}")
    order = importance.order[:n_shown]
    n, n_repeats = len(order), importance.repeats.shape[1]
    figure, ax = one_panel(ax, 8, 1.3 + 0.32 * max(n, 3))
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
    ax.set_yticks(places, [shortened(importance.names[i], LONGEST_NAME) for i in order])
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


# ---- layers ------------------------------------------------------------------------------------


@drawing
def plot_layer_report(report: LayerReport, *, axes: Any = None, **layout: Unpack[Layout]) -> Figure:
    """Draw a report on layers: error signal, gradients, dead and saturated units.

    Parameters
    ----------
    report : LayerReport
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels over the layers, from the first to the output. Where error signals vanish or
        explode, that region is shaded.
    """
    from matplotlib.ticker import MaxNLocator

    layers = arguments.instance("report", report, LayerReport).layers
    x = np.arange(1, len(layers) + 1)
    figure, every = panels(axes, 3, 8, 8, sharex=True)
    marked: dict[str, Any] = {"marker": "o", "markersize": 5}
    signal = _positive([layer.error_signal for layer in layers])
    every[0].plot(x, signal, color=BLUE, **marked)
    every[0].set_ylabel("error signal,\nshare of the output's")
    _log_axis(every[0], signal)
    _shade(every[0], signal)
    ratio = _positive([layer.ratio for layer in layers])
    every[1].plot(x, ratio, color=BLUE, **marked)
    every[1].set_ylabel("norm of the gradient\nover that of the weights")
    _log_axis(every[1], ratio)
    for ax, values, what in ((every[0], signal, "error signal"), (every[1], ratio, "gradient")):
        lost = np.flatnonzero(np.isnan(values))
        if len(lost):  # a logarithmic axis has no zero
            where = ", ".join(str(i + 1) for i in lost[:8]) + (", ..." if len(lost) > 8 else "")
            ax.set_title(f"no {what} in layer{'s' if len(lost) > 1 else ''} {where}")
    saturated = [np.nan if layer.saturated is None else layer.saturated for layer in layers]
    every[2].plot(x, [layer.dead for layer in layers], color=BLACK, label="dead", **marked)
    if not np.isnan(saturated).all():
        style: dict[str, Any] = {"linestyle": DASHES[1], "marker": "s", "markersize": 5}
        every[2].plot(x, saturated, color=VERMILLION, label="saturated", **style)
    every[2].set_ylabel("share of units")
    every[2].set_ylim(-0.03, 1.03)
    every[2].set_xlabel(f"layer (the output is {len(layers)})")
    every[2].set_xlim(0.5, len(layers) + 0.5)
    every[2].xaxis.set_major_locator(MaxNLocator(integer=True, steps=TICK_STEPS))
    legend_above(every[2])
    for ax in every:
        ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
    words = textwrap.fill(report.verdict, 115)
    if axes is None:
        figure.supxlabel(words, x=0.01, ha="left", fontsize=9, color=INK)
    figure.align_ylabels(every)
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
