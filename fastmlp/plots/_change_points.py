"""A repaired layer: change points and fitted function, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ..models import Sequential
from ._layout import Layout, drawing, legend_below, panels
from ._models import (
    Array,
    CurveData,
    Function,
    column,
    count,
    curve_data,
    dense_layers,
    model_inputs,
    one_input,
    predict,
)
from ._regression import draw_estimate, draw_points, draw_truth
from ._style import BLUE, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_BINS = 80


def change_points(model: Sequential) -> Array:
    """Return -b / w of the first layer's units, where each turns on or off; inf for w = 0."""
    w, *bias = (np.asarray(a, dtype=np.float64) for a in dense_layers(model)[0].get_weights())
    b = bias[0] if bias else np.zeros(w.shape[1])
    points = np.full(b.shape, np.inf)
    np.divide(-b, w[0], out=points, where=w[0] != 0)
    return points


def largest_step(x: Array, y: Array, interval: tuple[float, float]) -> float:
    """Return the largest |difference| of neighbouring y whose x both lie in the interval."""
    slack = 1e-5 * (interval[1] - interval[0])  # rounding of a grid in float32
    inside = (x[:, 0] >= interval[0] - slack) & (x[:, 0] <= interval[1] + slack)
    steps = np.abs(np.diff(y[inside, 0]))
    return float(steps.max()) if len(steps) else 0.0


@drawing
def plot_change_points(
    before: Sequential,
    after: Sequential,
    interval: tuple[float, float] = (0.5, 1.0),
    *,
    x: ArrayLike | None = None,
    train: tuple[ArrayLike, ArrayLike] | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    true_function: Function | None = None,
    preprocess: Function | None = None,
    postprocess: Function | None = None,
    x_label: str = "x",
    y_label: str = "y",
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the fitted function and the first layer's change points before and after a repair.

    A unit's change point is where its linear part is zero, `-b / w`. The left column shows the
    model before the repair, the right column after it, on the same scales. The interval whose
    units were changed is shaded. Titles give the largest step between neighbouring grid points in
    the interval, the mean squared error on the validation data, and the number of change points
    in the interval.

    Parameters
    ----------
    before, after : Sequential
        Two models with one input and one output.
    interval : tuple (low, high)
        Interval of the change points that were repaired.
    x, train, true_function, preprocess, postprocess, x_label, y_label
        As for `plot_layers`.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.
    validation : tuple (x, y), optional
        Data for the error in the titles. Default, without x, train and true_function too: the
        lecture's.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    from .. import datasets

    low, high = float(interval[0]), float(interval[1])
    if not low < high:
        raise ValueError(f"interval must be (low, high) with low < high. Received: {interval}")
    if x is None and train is None and true_function is None and validation is None:
        validation = datasets.regression_validation()
    data = curve_data(x, train, true_function)
    for model in (before, after):
        one_input(model_inputs(model))
        if model.encoding is not None:
            raise ValueError(
                "plot_change_points needs first units that are linear in x, without a "
                f"PiecewiseLinear before them. Received: {model.encoding!r}"
            )
    figure, every = panels(axes, 4, 11, 7, 2, sharex=True, sharey="row")
    above, below = every[:2], every[2:]
    # Change points are in the scale of the model's inputs, the axis in that of x.
    grid = data.x if preprocess is None else column(preprocess(data.x), "inputs")
    bins = np.linspace(float(grid.min()), float(grid.max()), N_BINS + 1)
    places = np.interp(bins, grid[:, 0], data.x[:, 0])
    for j, (model, name) in enumerate(((before, "before"), (after, "after"))):
        y = predict(model, data.x, preprocess, postprocess)
        _curve_panel(above[j], data, y)
        report = f"largest step {largest_step(data.x, y, (low, high)):.3f}"
        if validation is not None:
            val_x, val_y = column(validation[0], "x"), column(validation[1], "y")
            error = predict(model, val_x, preprocess, postprocess) - val_y
            report += f", validation mse {float(np.mean(error**2)):.4f}"
        above[j].set_title(f"{name.capitalize()}: {report}")
        points = change_points(model)
        counts = np.histogram(points, bins)[0]
        below[j].stairs(counts, places, fill=True, color=BLUE)
        below[j].set_xlabel(f"{x_label}, change point -b / w")
        turning = points
        if preprocess is not None:
            turning = np.interp(points, grid[:, 0], data.x[:, 0], left=-np.inf, right=np.inf)
        inside = int(np.count_nonzero((turning >= low) & (turning <= high)))
        outside = int(np.count_nonzero((points < bins[0]) | (points > bins[-1])))
        below[j].set_title(
            f"{count(inside, 'change point')} in [{low:g}, {high:g}], {outside:,} beyond the axis"
        )
        for ax in (above[j], below[j]):
            ax.axvspan(low, high, color=ORANGE, alpha=0.18, linewidth=0, zorder=0)
            if axes is None:
                ax.label_outer()
    above[0].set_ylabel(y_label)
    below[0].set_ylabel("number of units")
    below[0].yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    above[0].set_xlim(float(data.x.min()), float(data.x.max()))
    below[0].set_ylim(bottom=0)
    handles, labels = above[0].get_legend_handles_labels()
    legend_below(figure, axes, above[1], handles, labels, len(labels))
    figure.align_ylabels(every)
    return figure


def _curve_panel(ax: Axes, data: CurveData, y: Array) -> None:
    draw_truth(ax, data)
    draw_estimate(ax, data.x, y)
    draw_points(ax, data)
