"""What single units do: their contributions to the fit, and a map of all of a layer's units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .._utils import arguments
from ..layers import Dense
from ..models import Sequential
from ._change_points import change_points
from ._layout import Layout, drawing, one_panel, panels
from ._models import (
    Array,
    Function,
    column,
    count,
    curve_data,
    dense_layers,
    model_inputs,
    one_input,
)
from ._regression import draw_estimate, draw_points, draw_truth
from ._style import GREY, INK, PALETTE, legend_above

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STILL = 1e-3  # share of its size by which a unit changes that is called constant
_NAMED = 14  # units with a colour and a name of their own


@drawing
def plot_contributions(
    model: Sequential,
    *,
    output: int = 0,
    x: ArrayLike | None = None,
    train: tuple[ArrayLike, ArrayLike] | None = None,
    true_function: Function | None = None,
    preprocess: Function | None = None,
    x_label: str = "x",
    y_label: str = "y",
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw what each unit of the last hidden layer adds to the linear output: w_j * a_j.

    The upper panel has a line for each unit. In the lower panel they are stacked, by their change
    points, positive ones upwards and negative ones downwards from the bias; the line is their sum,
    the fit before the output's activation. More than 14 units are coloured from the first to the
    last change point.

    Parameters
    ----------
    model : Sequential
        Built, with one input and a hidden layer.
    output : int
        Index of the output.
    x, train, true_function, preprocess, x_label, y_label
        As for `plot_layers`.
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
        If the model has more than one input, or no hidden layer.
    """
    import matplotlib

    one_input(model_inputs(model))
    layers = dense_layers(model)
    if len(layers) < 2:
        raise ValueError("plot_contributions needs a hidden layer. Received: a model without one")
    last = layers[-1]
    output = arguments.integer("output", output, 0)
    if output >= last.units:
        raise ValueError(f"output must be below {last.units}. Received: output={output}")
    data = curve_data(x, train, true_function)
    inputs = data.x if preprocess is None else column(preprocess(data.x), "inputs")
    hidden = _activations(model, inputs)[-2]
    weights = [np.asarray(array, np.float64) for array in last.get_weights()]
    w, b = weights[0][:, output], float(weights[1][output]) if len(weights) > 1 else 0.0
    parts = hidden.astype(np.float64) * w
    order = _by_change(model, hidden)
    n = parts.shape[1]
    if n <= _NAMED:
        colours = [PALETTE[k % len(PALETTE)] for k in range(n)]
    else:
        colours = list(matplotlib.colormaps["viridis"](np.linspace(0.05, 0.95, n)))
    figure, (above, below) = panels(axes, 2, 9, 8, sharex=True)
    grid = data.x[:, 0]
    for k, i in enumerate(order):
        named = f"unit {i + 1}: weight {w[i]:.3g}" if n <= _NAMED else "_"
        above.plot(grid, parts[:, i], color=colours[k], linewidth=1.6 if n <= _NAMED else 0.8,
                   label=named, rasterized=n > 256)  # fmt: skip
    above.axhline(0, color=INK, linewidth=0.8, zorder=1)
    above.set_ylabel("contribution w·a")
    above.set_title(f"{count(n, 'unit')} of the last hidden layer, {layers[-2].activation}")
    if n <= _NAMED:
        above.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
    up = down = np.full(len(grid), b)
    for k, i in enumerate(order):
        high, low = np.maximum(parts[:, i], 0), np.minimum(parts[:, i], 0)
        style: dict[str, Any] = {"color": colours[k], "alpha": 0.55, "linewidth": 0,
                                 "rasterized": n > 64}  # fmt: skip
        below.fill_between(grid, up, up + high, **style)
        below.fill_between(grid, down, down + low, **style)
        up, down = up + high, down + low
    below.axhline(b, color=GREY, linewidth=1.0, linestyle=(0, (5, 2)), label=f"bias {b:.3g}")
    total = b + parts.sum(1)
    if last.activation == "linear":
        draw_truth(below, data)
        draw_points(below, data)
    draw_estimate(below, data.x, total[:, None], "sum of the units and the bias")
    below.set(xlabel=x_label, ylabel=y_label if last.activation == "linear" else "linear output")
    below.margins(x=0.01)
    legend_above(below)
    figure.align_ylabels([above, below])
    return figure


def _activations(model: Sequential, inputs: Array) -> list[Array]:
    """Return the outputs of the Dense layers."""
    outputs = model.activations(np.asarray(inputs))
    return [o for layer, o in zip(model.layers, outputs, strict=True) if isinstance(layer, Dense)]


def _by_change(model: Sequential, hidden: Array) -> Array:
    """Return units in the order in which they change along the rows.

    Units of a first layer that is linear in the input are sorted by their change points, others by
    where they change most.
    """
    if len(dense_layers(model)) == 2 and model.encoding is None and model_inputs(model) == 1:
        return np.argsort(change_points(model), kind="stable")
    return np.argsort(_place_of_change(hidden), kind="stable")


def _place_of_change(hidden: Array) -> Array:
    """Return at which row each unit changes, on average; infinity for one that does not."""
    steps = np.abs(np.diff(hidden.astype(np.float64), axis=0))
    total = steps.sum(0)
    place = (steps * np.arange(len(steps))[:, None]).sum(0) / np.where(total > 0, total, 1)
    return np.asarray(np.where(total > 0, place, np.inf))


@drawing
def plot_unit_map(
    model: Sequential,
    layer: int | None = None,
    *,
    x: ArrayLike | None = None,
    preprocess: Function | None = None,
    x_label: str = "x",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw all units of a layer over the input as a heat map, sorted by where they change.

    A line of the map is a unit, scaled to its largest activation. Units that do not change are at
    the bottom, grey if they are not zero.

    Parameters
    ----------
    model : Sequential
        Built, with one input, or as many as `preprocess` returns.
    layer : int, optional
        Number of the Dense layer, from 0. Default: the last hidden one.
    x : array_like of shape (n,) or (n, 1), optional
        Where to evaluate. Default: the lecture's grid.
    preprocess : callable, optional
        Maps x to the model's inputs.
    x_label : str
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib
    from matplotlib.colors import ListedColormap

    n_inputs = model_inputs(model)
    layers = dense_layers(model)
    place = max(0, len(layers) - 2) if layer is None else arguments.integer(
        "layer", layer, -len(layers)
    )  # fmt: skip
    if place >= len(layers):
        raise ValueError(f"layer must be below {len(layers)}. Received: layer={layer}")
    grid = curve_data(x, None, None).x
    inputs = grid if preprocess is None else column(preprocess(grid), "inputs")
    if inputs.shape[1] != n_inputs:
        one_input(n_inputs)
    hidden = _activations(model, inputs)[place].astype(np.float64)
    size = np.abs(hidden).max(0)
    # A unit that does not change would be a bar of the darkest colour.
    still = np.ptp(hidden, axis=0) <= _STILL * size
    order = np.lexsort((_place_of_change(hidden), size == 0, still))
    scaled = (hidden / np.where(size > 0, size, 1)).T[order]
    dead = int((size == 0).sum())
    constant = int(still.sum()) - dead
    figure, ax = one_panel(ax, 8, 5.5)
    signed = scaled.min() < 0
    scaled[(still & (size > 0))[order]] = np.nan
    base = matplotlib.colormaps["RdBu_r" if signed else "Blues"]
    colours = base if signed else ListedColormap(base(np.linspace(0.0, 0.95, 256)))
    colours = colours.with_extremes(bad="#DDDDDD")
    units = len(order)
    image = ax.imshow(
        scaled, cmap=colours, vmin=-1 if signed else 0, vmax=1, aspect="auto",
        interpolation="nearest", extent=(float(grid.min()), float(grid.max()), units + 0.5, 0.5),
    )  # fmt: skip
    bar = figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label("activation, share of the unit's largest", color=INK)
    bar.outline.set_visible(False)
    ax.set(xlabel=x_label, ylabel="units, sorted by where they change")
    zero = f", {dead:,} zero throughout" if dead else ""
    zero += f", {constant:,} constant" if constant else ""
    ax.set_title(f"{layers[place].name}: {count(units, 'unit')}, {layers[place].activation}{zero}")
    return figure
