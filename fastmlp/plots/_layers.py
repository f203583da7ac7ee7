"""Hidden units over the input: all layers, or one layer in facets; the members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .._utils import arguments
from ..layers import Dense, Layer
from ..models import Sequential
from ._layout import Layout, drawing, heading, one_panel, panels
from ._models import (
    Array,
    Function,
    count,
    curve_data,
    dense_layers,
    model_inputs,
    one_input,
    predict,
)
from ._regression import draw_estimate, draw_points, draw_truth
from ._results import EnsembleFigures, follows
from ._style import DASHES, GREY, INK, PALETTE, VERMILLION, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND_COLUMNS = 5
FACET_ROWS, FACET_COLUMNS, FACET_UNITS = 8, 4, 32
# A panel of more lines is drawn as pixels, even in SVG and PDF: files would have megabytes.
VECTOR_LINES = 256
LAST_PANEL = 1.6


def _draw_units(
    ax: Axes, x: Array, activations: Array, first: int = 0, crowd: int | None = None
) -> None:
    """Draw one line per column of activations (n, k), labelled a1, a2, ... from `first`.

    The width and opacity of the lines suit `crowd` lines in a panel; the default is k.
    """
    n_units = activations.shape[1]
    crowd = n_units if crowd is None else crowd
    distinct = crowd <= len(PALETTE) * len(DASHES)
    width = 1.5 if crowd <= 16 else 1.1 if crowd <= 64 else 0.6 if crowd <= 256 else 0.4
    alpha = 1.0 if crowd <= 16 else 0.85 if crowd <= 64 else 0.6 if crowd <= 256 else 0.4
    labels = [f"a{first + j + 1}" for j in range(n_units)]
    lines = ax.plot(
        x[:, 0],
        activations,
        linewidth=width,
        alpha=alpha,
        rasterized=n_units > VECTOR_LINES,
        label=labels if n_units > 1 else labels[0],
    )
    for j, line in enumerate(lines):
        line.set_color(PALETTE[j % len(PALETTE)])
        if distinct:
            line.set_linestyle(DASHES[j // len(PALETTE)])


def _legend_beside(ax: Axes, height: float) -> None:
    """Put a five-column legend right of a panel `height` inches high, shortened if too long."""
    from matplotlib.lines import Line2D

    handles: list[Any]
    handles, labels = ax.get_legend_handles_labels()
    size, room = 0.0, 0
    for size in (9, 8, 7, 6):
        room = LEGEND_COLUMNS * max(1, int(height * 72 / (1.32 * size)))
        if len(handles) <= room:
            break
    else:
        dots = Line2D([], [], linestyle="none")
        handles = [*handles[: room - 2], dots, handles[-1]]
        labels = [*labels[: room - 2], "...", labels[-1]]
    legend = ax.legend(
        handles,
        labels,
        ncols=LEGEND_COLUMNS,
        fontsize=size,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        labelspacing=0.25,
        handlelength=1.9,
        handletextpad=0.4,
        columnspacing=0.9,
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
            if isinstance(handle, Line2D):
                handle.set_linewidth(1.5)


def _units_title(layer: Dense, activations: Array) -> str:
    """Return a layer's number of units, activation and number of dead units."""
    text = f"{count(layer.units, 'unit')}, {layer.activation}"
    dead = int(np.count_nonzero(~np.any(activations, axis=0)))
    return f"{text} ({dead:,} zero throughout)" if dead and layer.activation == "relu" else text


@drawing
def plot_layers(
    model: Sequential,
    hidden_legend: bool = False,
    include_hidden: bool = True,
    *,
    x: ArrayLike | None = None,
    train: tuple[ArrayLike, ArrayLike] | None = None,
    true_function: Function | None = None,
    preprocess: Function | None = None,
    postprocess: Function | None = None,
    x_label: str = "x",
    y_label: str = "y",
    points_label: str = "training points",
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw every unit's activation over the input, layer by layer, and the fitted function.

    One panel per Dense layer, in a column. The last shows the true function, the estimated one
    and the training points.

    Parameters
    ----------
    model : Sequential
        Built, with one input.
    hidden_legend : bool
        Whether to name the hidden units in a legend of five columns beside each panel.
    include_hidden : bool
        Whether to draw the hidden layers' panels.
    x : array_like of shape (n,) or (n, 1), optional
        Where to evaluate. Default: the range of the training points.
    train : tuple (x, y), optional
        Training points. Default, without x and true_function too: the lecture's data.
    true_function : callable, optional
        Maps x of shape (n, 1) to the true mean.
    preprocess, postprocess : callable, optional
        Map x to the model's inputs, and its outputs to the units of y.
    x_label, y_label, points_label : str, optional
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
        10 inches wide and 8 high; higher with more than six panels.

    Raises
    ------
    ValueError
        If the model has more than one input.
    """
    one_input(model_inputs(model))
    data = curve_data(x, train, true_function)
    layers = dense_layers(model)
    n_panels = len(layers) if include_hidden else 1
    height = max(8.0, 1.15 * n_panels)
    # The last panel has the fitted function; among many panels it is higher than the others.
    ratios = [1.0] * (n_panels - 1) + [LAST_PANEL if n_panels > 3 else 1.0]
    grid: dict[str, Any] = {"height_ratios": ratios}
    figure, every = panels(axes, n_panels, 10, height, sharex=True, gridspec_kw=grid)
    height = float(figure.get_size_inches()[1])
    if include_hidden:
        inputs = data.x if preprocess is None else preprocess(data.x)
        outputs = model.activations(np.asarray(inputs))
        hidden = [
            (layer, values)
            for layer, values in zip(model.layers, outputs, strict=True)
            if isinstance(layer, Dense)
        ][:-1]
        for i, (ax, (layer, values)) in enumerate(zip(every, hidden, strict=False)):
            _draw_units(ax, data.x, values)
            ax.set_title(f"Hidden layer {i + 1}: {_units_title(layer, values)}")
            ax.set_ylabel("activation")
            if hidden_legend:
                _legend_beside(ax, height / sum(ratios) - 0.75)
    last = every[-1]
    draw_truth(last, data)
    draw_estimate(last, data.x, predict(model, data.x, preprocess, postprocess))
    draw_points(last, data, points_label)
    last.set(xlabel=x_label, ylabel=y_label)
    last.set_title("Output layer" if include_hidden else "Fitted function")
    last.margins(x=0.02)
    legend_above(last)
    figure.align_ylabels()
    return figure


@drawing
def plot_layer_activations_facetted(
    model: Sequential,
    layer: int,
    *,
    x: ArrayLike | None = None,
    preprocess: Function | None = None,
    x_label: str = "x",
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw one layer's activations over the input, 32 units to a panel.

    There are 8 rows and 4 columns of panels, with units in order down each column. A layer of
    fewer than 1024 units has fewer panels; a larger one has more units in each panel.

    Parameters
    ----------
    model : Sequential
        Built, with one input.
    layer : int
        Index into `model.layers`.
    x : array_like of shape (n,) or (n, 1), optional
        Where to evaluate. Default: the lecture's grid.
    preprocess : callable, optional
        Maps x to the model's inputs.
    x_label : str, optional
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
        16 x 12 inches with all 32 panels.

    Raises
    ------
    ValueError
        If the model has more than one input or no layer of that index.
    """
    one_input(model_inputs(model))
    n_layers = len(model.layers)
    index = arguments.integer("layer", layer, -n_layers)
    if index >= n_layers:
        raise ValueError(
            f"layer must be an index from 0 to {n_layers - 1}. Received: layer={index}"
        )
    grid = curve_data(x, None, None).x
    inputs = grid if preprocess is None else preprocess(grid)
    values = model.activations(np.asarray(inputs))[index]
    n_units = values.shape[1]
    per_panel = max(FACET_UNITS, -(-n_units // (FACET_ROWS * FACET_COLUMNS)))
    n_panels = -(-n_units // per_panel)
    n_rows, n_columns = min(n_panels, FACET_ROWS), -(-n_panels // FACET_ROWS)
    name = f"{model.layers[index].name}: {_facet_title(model.layers[index], values, per_panel)}"
    size = (4.0 * n_columns, 1.4 * n_rows + 0.8)
    figure, every = panels(axes, n_panels, max(size[0], 6.0), max(size[1], 3.0), n_columns,
                           down=True, sharex=True, sharey=True)  # fmt: skip
    for k, ax in enumerate(every):
        first = k * per_panel
        part = values[:, first : first + per_panel]
        _draw_units(ax, grid, part, first, min(n_units, per_panel))
        last = first + part.shape[1]
        ax.set_title(f"a{first + 1} to a{last}" if part.shape[1] > 1 else f"a{last}", fontsize=8)
        # The panel below may be missing at the end of the last column.
        if k % FACET_ROWS == n_rows - 1 or last == n_units:
            ax.tick_params(labelbottom=True)
    if axes is not None:
        for ax in every:
            ax.set(xlabel=x_label, ylabel="activation")
        return figure
    heading(figure, name)
    figure.supxlabel(x_label, fontsize=11, color=INK)
    figure.supylabel("activation", fontsize=11, color=INK)
    return figure


def _facet_title(layer: Layer, values: Array, per_panel: int) -> str:
    n_units = values.shape[1]
    text = _units_title(layer, values) if isinstance(layer, Dense) else count(n_units, "unit")
    return f"{text}, {per_panel} to a panel" if n_units > per_panel else text


def _curves(
    members: Any,
    x: Array,
    preprocess: Function | None,
    postprocess: Function | None,
) -> list[Array]:
    """Return each member's fitted function over the grid."""
    if follows(members, EnsembleFigures):
        one_input(members.n_inputs)
        inputs = x if preprocess is None else preprocess(x)
        outputs = members.predictions(np.asarray(inputs), verbose=0)
        return [(out if postprocess is None else postprocess(out))[:, 0] for out in outputs]
    models = list(members)
    if not models:
        raise ValueError("members must hold at least one model. Received: members=[]")
    for model in models:
        one_input(model_inputs(model))
    return [predict(model, x, preprocess, postprocess)[:, 0] for model in models]


@drawing
def plot_ensemble(
    members: EnsembleFigures | Sequence[Sequential],
    *,
    x: ArrayLike | None = None,
    train: tuple[ArrayLike, ArrayLike] | None = None,
    true_function: Function | None = None,
    preprocess: Function | None = None,
    postprocess: Function | None = None,
    x_label: str = "x",
    y_label: str = "y",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the fitted functions of several models in grey, and their mean in bold.

    Parameters
    ----------
    members : Ensemble, or sequence of Sequential
        At least one; each built, with one input and one output.
    x, train, true_function, preprocess, postprocess, x_label, y_label
        As for `plot_layers`.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    data = curve_data(x, train, true_function)
    curves = _curves(members, data.x, preprocess, postprocess)
    figure, ax = one_panel(ax, 10, 6)
    for j, curve in enumerate(curves):
        label = f"{count(len(curves), 'member')}" if j == 0 else "_member"
        ax.plot(data.x[:, 0], curve, color=GREY, linewidth=0.9, alpha=0.8, label=label, zorder=1)
    mean = np.mean(curves, axis=0)
    ax.plot(data.x[:, 0], mean, color=VERMILLION, linewidth=3, label="mean of members", zorder=4)
    draw_truth(ax, data)
    draw_points(ax, data)
    ax.set(xlabel=x_label, ylabel=y_label)
    legend_above(ax)
    return figure
