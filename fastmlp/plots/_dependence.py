"""Partial dependence: a model's mean output over one or two features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..inspection import Feature, PartialDependence
from ._classes import MARKERS
from ._layout import AS_DRAWN, Layout, drawing, legend_below, panels
from ._models import Array, count
from ._style import BLACK, BLUE, DASHES, GREY, INK, PALETTE, TICK_STEPS, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_ROW = 3  # panels of partial dependence
LONGEST_NAME = 30
LONG = 40  # labels of categories with more letters in all are rotated
FEW = 12  # a grid of at most as many points has markers


@drawing
def plot_partial_dependence(
    dependence: PartialDependence | Sequence[PartialDependence],
    *,
    y_label: str = "prediction",
    output_names: Sequence[str] | None = None,
    shared: bool = False,
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw how a model's mean output depends on one or two features, one panel for each.

    Grey lines are single rows, and ticks above the axis are deciles of the rows. A feature of two
    values has two bars. With two features the output is drawn in colour, and dots are rows. With
    several outputs each has a line, and single rows are left out.

    Parameters
    ----------
    dependence : PartialDependence or sequence of them
    y_label : str
        Label of the output.
    output_names : sequence of str, optional
        One name for each output.
    shared : bool
        Whether panels of one feature share the axis of the output, so that effects compare; by
        default each has its own, so that small effects can be seen.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

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
    figure, every = panels(
        axes, len(several), max(4.0 * n_columns, 6.5), 3.4 * n_rows + 0.7, n_columns
    )
    single: list[Axes] = []
    for k, ax in enumerate(every):
        if pairs[k]:
            _pair_panel(figure, ax, several[k], y_label)
        else:
            _single_panel(ax, several[k], names)
            if k % n_columns == 0 or pairs[k - 1]:
                ax.set_ylabel(y_label)
            elif shared:
                ax.tick_params(labelleft=False)
            single.append(ax)
    if single:
        limits = [ax.get_ylim() for ax in single]
        low, high = min(a for a, _ in limits), max(b for _, b in limits)
        for ax in single if shared else ():
            ax.set_ylim(low, high)
        handles, labels = _legend_entries(single)
        legend_below(figure, axes, single[-1], handles, labels, min(len(labels), 3))
    return figure


def _legend_entries(axes: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)


def _single_panel(ax: Axes, dependence: PartialDependence, names: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    feature, grid = dependence.features[0], dependence.grid[0]
    n_outputs = dependence.average.shape[-1]
    apart = feature.kind in ("categorical", "boolean")
    if len(grid) == 2 and n_outputs == 1 and feature.kind in ("numeric", "boolean"):
        _two_bars(ax, dependence)
        return
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
    ax.set_xlabel(shortened(feature.name, LONGEST_NAME))
    if apart:
        _category_axis(ax, feature)
        return
    if feature.kind == "date":
        _date_axis(ax)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=TICK_STEPS))
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


def _two_bars(ax: Axes, dependence: PartialDependence) -> None:
    """Draw the mean at each of two values as a bar, with the middle 80% of the rows."""
    feature, grid = dependence.features[0], dependence.grid[0]
    means = dependence.average[:, 0]
    ax.bar((0, 1), means, width=0.55, color=BLUE, zorder=2, label="mean")
    if len(dependence.curves):
        low, high = np.quantile(dependence.curves[:, :, 0], (0.1, 0.9), axis=0)
        for place in (0, 1):
            ax.plot([place, place], [low[place], high[place]], color=GREY, linewidth=1.6, zorder=3,
                    label="single rows, middle 80%" if not place else "_")  # fmt: skip
    names = ("false", "true") if feature.kind == "boolean" else [f"{value:g}" for value in grid]
    ax.set_xticks((0, 1), [f"{n}\n{mean:.4g}" for n, mean in zip(names, means, strict=True)])
    ax.set_xlim(-0.6, 1.6)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
    ax.set_xlabel(shortened(feature.name, LONGEST_NAME))


def _date_axis(ax: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=6)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _labels(feature: Feature) -> list[str]:
    names = ("false", "true") if feature.kind == "boolean" else feature.categories
    return [shortened(name, LONGEST_NAME) for name in names]


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
            gid=AS_DRAWN,  # the colours under them stay light
        )
        if min(values.shape) > 1 and np.ptp(values) > 0:
            lines = ax.contour(*dependence.grid, values, colors=BLACK, linewidths=0.8)
            lines.set_gid(AS_DRAWN)
            for text in ax.clabel(lines, fontsize=7, fmt="%.4g"):
                text.set_gid(AS_DRAWN)
    ax.set(xlabel=shortened(first.name, LONGEST_NAME), ylabel=shortened(second.name, LONGEST_NAME))
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
