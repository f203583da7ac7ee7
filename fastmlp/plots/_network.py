"""A drawing of a network: units as nodes, weights as edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..layers import Dense, Dropout
from ..models import Sequential
from ._layout import Layout, drawing, legend_below, one_panel
from ._models import (
    Array,
    count,
    dense_layers,
    model_inputs,
    penalty_label,
)
from ._style import BLUE, INK, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_NODES = 12  # larger layers show their first and last five units
ENDS = 5
COLUMN_WIDTH, ROW_HEIGHT = 1.7, 0.45  # inches
MAX_LINE = 2.6  # points, for a layer's largest weight


def _shown(strength: Array) -> tuple[list[int], Array]:
    """Return the indices of the units to draw, and their heights, centred on 0.

    Of many units they are those with the strongest paths through them.
    """
    n_units = len(strength)
    if n_units <= MAX_NODES:
        units = list(range(n_units))
        slots = np.arange(n_units, dtype=np.float64)
    else:
        units = sorted(np.argsort(-strength, kind="stable")[: 2 * ENDS].tolist())
        gap = MAX_NODES - 2 * ENDS
        slots = np.concatenate([np.arange(ENDS), np.arange(ENDS) + ENDS + gap]).astype(np.float64)
    return units, slots.mean() - slots


def _strengths(matrices: list[Array]) -> list[Array]:
    """Return for each column of nodes the sum of all paths through each, by the weights' sizes.

    A unit of 0 has no path from an input to an output: it is dead.
    """
    sizes = [np.abs(w) / (float(np.abs(w).max()) or 1.0) for w in matrices]
    before = [np.ones(sizes[0].shape[0])]
    for w in sizes:
        before.append(before[-1] @ w)
        before[-1] = before[-1] / (float(before[-1].max()) or 1.0)
    after = [np.ones(sizes[-1].shape[1])]
    for w in reversed(sizes):
        after.append(w @ after[-1])
        after[-1] = after[-1] / (float(after[-1].max()) or 1.0)
    return [a * b for a, b in zip(before, reversed(after), strict=True)]


@drawing
def plot_network(
    model: Sequential,
    *,
    input_names: list[str] | None = None,
    output_names: list[str] | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw a network: its units as nodes in columns, its weights as edges between them.

    An edge is blue for a positive weight and vermillion for a negative one. It is thicker and
    darker for a weight nearer to the layer's largest. A weight of zero has no edge. A layer of
    more than 12 units shows the ten with the strongest paths from input to output, with dots
    between them. A unit without any such path is grey: it is constant, or nothing sees it. Inputs
    that a `layers.PiecewiseLinear` encodes are connected by the largest of each one's weights.

    Parameters
    ----------
    model : Sequential
        Built.
    input_names, output_names : list of str, optional
        Names to write beside the input and output nodes.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layers = dense_layers(model)
    sizes = [model_inputs(model), *(layer.units for layer in layers)]
    matrices = [np.asarray(layer.get_weights()[0], dtype=np.float64) for layer in layers]
    if model.encoding is not None:
        first = model.encoding.kernel_arrays(model.dtype)[0]
        matrices[0] = _largest_of_inputs(matrices[0], first)
    strengths = _strengths(matrices)
    columns = [_shown(strength) for strength in strengths]
    tallest = max(float(heights.max()) for _, heights in columns)
    names = max(len(max(input_names or [""], key=len)), len(max(output_names or [""], key=len)))
    margin = 0.4 + 0.05 * names
    width = COLUMN_WIDTH * len(sizes) + COLUMN_WIDTH * (margin - 0.5)
    height = ROW_HEIGHT * (2 * tallest + 1) + 1.6
    given = ax
    figure, ax = one_panel(given, max(width, 6.0), height)
    ax.set_axis_off()
    bottom, top = -tallest - 0.8, tallest + 1.9
    notes = _layer_notes(model)
    for i, w in enumerate(matrices):
        _draw_edges(ax, i, w, columns[i], columns[i + 1])
        notes[i].insert(0, f"|w| to {float(np.abs(w).max()):.2g}")
        text = "\n".join(notes[i])
        ax.text(i + 0.5, bottom, text, ha="center", va="top", fontsize=8, color=INK)
    for i, n in enumerate(sizes):
        if i == 0:
            head, short, units = "input", "x", count(n, "value")
            if model.encoding is not None:
                units += f"\nin {count(layers[0].shapes[0][0], 'row')} of weights"
        else:
            last = i == len(layers)
            head, short = ("output", "y") if last else (f"hidden {i}", "a")
            units = f"{count(n, 'unit')}\n{layers[i - 1].activation}"
        _draw_nodes(ax, i, n, columns[i], short, strengths[i] == 0)
        ax.text(i, top, f"{head}\n{units}", ha="center", va="top", fontsize=9, color=INK)
    _name_nodes(ax, 0, columns[0], input_names, "right")
    _name_nodes(ax, len(layers), columns[-1], output_names, "left")
    ax.set_xlim(-margin, len(layers) + margin)
    ax.set_ylim(bottom - 0.4 * max(len(lines) for lines in notes), top)
    _draw_key(figure, given, ax)
    return figure


def _largest_of_inputs(w: Array, first: Array) -> Array:
    """Return for each encoded input and unit the largest weight by size, with its sign."""
    blocks = np.split(w, first[1:-1])
    return np.stack([
        np.take_along_axis(block, np.abs(block).argmax(axis=0)[None], 0)[0] for block in blocks
    ])  # fmt: skip


def _draw_edges(
    ax: Axes, i: int, w: Array, left: tuple[list[int], Array], right: tuple[list[int], Array]
) -> None:
    """Draw the weights between the shown units of one layer, the largest on top."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb

    values = w[np.ix_(left[0], right[0])]
    rows, columns = np.nonzero(values)
    order = np.argsort(np.abs(values[rows, columns]), kind="stable")
    rows, columns = rows[order], columns[order]
    size = np.abs(values[rows, columns]) / (float(np.abs(w).max()) or 1.0)
    colours = np.empty((len(size), 4))
    colours[:, :3] = np.where(
        (values[rows, columns] > 0)[:, None], to_rgb(BLUE), to_rgb(VERMILLION)
    )
    colours[:, 3] = 0.12 + 0.88 * size
    ends = [((i, left[1][r]), (i + 1, right[1][c])) for r, c in zip(rows, columns, strict=True)]
    edges = LineCollection(ends, colors=colours, linewidths=0.3 + MAX_LINE * size, zorder=1)
    ax.add_collection(edges)


def _draw_nodes(
    ax: Axes, i: int, n: int, shown: tuple[list[int], Array], short: str, dead: Array
) -> None:
    """Draw one column of nodes, numbered from 1, with dots for the units left out."""
    units, heights = shown
    faces = ["#DDDDDD" if dead[unit] else "white" for unit in units]
    edges = ["#AAAAAA" if dead[unit] else INK for unit in units]
    ax.scatter(np.full(len(units), i), heights, s=500, facecolor=faces, edgecolor=edges, zorder=3)
    for unit, height in zip(units, heights, strict=True):
        text = short if n == 1 else f"{short}{unit + 1}"
        size = 8 if len(text) <= 3 else 7 if len(text) == 4 else 6.2
        ax.text(
            i, height, text, ha="center", va="center_baseline", fontsize=size, color=INK, zorder=4
        )
    if len(units) < n:
        middle = (heights[ENDS - 1] + heights[ENDS]) / 2
        ax.scatter([i] * 3, middle + np.array([-0.4, 0.0, 0.4]), s=9, color=INK, zorder=3)


def _name_nodes(
    ax: Axes, i: int, shown: tuple[list[int], Array], names: list[str] | None, align: str
) -> None:
    """Write names beside a column's nodes."""
    if names is None:
        return
    shift = -0.13 if align == "right" else 0.13
    for unit, height in zip(*shown, strict=True):
        ax.text(
            i + shift, height, names[unit], ha=align, va="center_baseline", fontsize=8, color=INK
        )


def _draw_key(figure: Figure, given: Any, ax: Axes) -> None:
    """Draw a legend of colours and widths below the network."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, linewidth=MAX_LINE),
        Line2D([], [], color=VERMILLION, linewidth=MAX_LINE),
        Line2D([], [], color=INK, linewidth=0.6, alpha=0.4),
    ]
    labels = ["positive weight", "negative weight", "weight near 0"]
    legend_below(figure, given, ax, handles, labels, 3)


def _layer_notes(model: Sequential) -> list[list[str]]:
    """Return the lines under each Dense layer's edges: its penalty, its input's dropout."""
    notes: list[list[str]] = []
    dropout: list[str] = []
    for layer in model.layers:
        if isinstance(layer, Dense):
            penalty = penalty_label(layer)
            notes.append(([penalty] if penalty else []) + dropout)
            dropout = []
        elif isinstance(layer, Dropout):
            dropout.append(f"dropout {layer.rate:g}")
    return notes
