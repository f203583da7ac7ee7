"""Curves over one input: data, true function, fitted function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ._layout import Layout, drawing, one_panel
from ._models import Array, CurveData, Function, column, curve_data
from ._style import BLACK, GREY, PALETTE, VERMILLION, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUE: dict[str, Any] = {"color": BLACK, "linestyle": (0, (5, 2)), "linewidth": 1.4, "zorder": 3}
POINTS: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 5,
    "markerfacecolor": "white",
    "markeredgecolor": "#555555",
    "markeredgewidth": 1.0,
    "zorder": 2,
}


def draw_truth(ax: Axes, data: CurveData, label: str = "true function") -> None:
    """Draw the true function over the grid, if there is one."""
    if data.true_function is not None:
        ax.plot(data.x[:, 0], np.ravel(data.true_function(data.x)), label=label, **TRUE)


def draw_points(ax: Axes, data: CurveData, label: str = "training points") -> None:
    """Draw the training points, if there are any; one colour per output."""
    if data.train is None:
        return
    x, y = data.train
    if y.shape[1] == 1:
        ax.plot(x[:, 0], y[:, 0], label=label, **POINTS)
        return
    for j in range(y.shape[1]):
        colour = {"markeredgecolor": PALETTE[j % len(PALETTE)]}
        ax.plot(x[:, 0], y[:, j], label=f"{label} y{j + 1}", **(POINTS | colour))


def draw_estimate(ax: Axes, x: Array, y: Array, label: str = "estimated function") -> None:
    """Draw a fitted function; one line per output."""
    for j in range(y.shape[1]):
        single = y.shape[1] == 1
        ax.plot(
            x[:, 0],
            y[:, j],
            color=VERMILLION if single else PALETTE[j % len(PALETTE)],
            linewidth=2.2,
            label=label if single else f"{label} y{j + 1}",
            zorder=4,
        )


@drawing
def plot_regression_data(
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    true_function: Function | None = None,
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    x_label: str = "x",
    y_label: str = "y",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw regression data of one input with the true function.

    Parameters
    ----------
    x, y : array_like of shape (n,) or (n, 1), optional
        Training points. Default: the lecture's, with their true function.
    true_function : callable, optional
        Maps x of shape (n, 1) to the true mean.
    validation : tuple (x, y), optional
        Validation points, drawn small and pale behind the training points.
    x_label, y_label : str, optional
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if (x is None) != (y is None):
        raise ValueError("x and y go together. Received: only one of them")
    data = curve_data(None, None if x is None or y is None else (x, y), true_function)
    figure, ax = one_panel(ax, 8, 5)
    if validation is not None:
        val_x, val_y = column(validation[0], "validation x"), column(validation[1], "validation y")
        ax.plot(
            val_x[:, 0],
            val_y[:, 0],
            linestyle="none",
            marker="o",
            markersize=2.5,
            color=GREY,
            alpha=0.6,
            markeredgewidth=0,
            label="validation points",
            zorder=1,
        )
    draw_truth(ax, data)
    draw_points(ax, data)
    ax.set(xlabel=x_label, ylabel=y_label)
    legend_above(ax)
    return figure
