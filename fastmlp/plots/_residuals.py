"""How well a regression predicts: predicted against actual, residuals, quantiles, coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .._utils import arrays
from ._layout import Layout, drawing, one_panel, panels
from ._models import Array
from ._scores import REFERENCE
from ._style import BLACK, BLUE, GREY, INK, TICK_STEPS, VERMILLION, legend_above, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY_POINTS = 5000  # more are drawn as hexagons
_MOST_QUANTILES = 1000
_FEW_VALUES = 5  # of a column of numbers, each with a box
_MOST_NAMES = 12  # a column with at most as many values has them as groups
_PER_ROW = 3


def _both(y: ArrayLike, predicted: ArrayLike) -> tuple[Array, Array]:
    true, found = (np.asarray(a, np.float64).reshape(-1) for a in (y, predicted))
    if true.shape != found.shape or not len(true):
        raise ValueError(
            "y and predicted must be equally long and not empty. "
            f"Received: {len(true)} and {len(found)} values"
        )
    kept = np.isfinite(true) & np.isfinite(found)
    if not kept.any():
        raise ValueError("y and predicted must have finite values. Received: none")
    return true[kept], found[kept]


def _cloud(ax: Axes, x: Array, y: Array, label: str = "rows") -> None:
    """Draw points, or hexagons where there are many."""
    if len(x) > MANY_POINTS:
        import matplotlib
        from matplotlib.colors import ListedColormap

        colours = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.25, 1, 256)))
        ax.hexbin(x, y, gridsize=45, cmap=colours, bins="log", mincnt=1, linewidths=0.1, zorder=2)
        return
    size = 5 if len(x) <= 200 else 3.5 if len(x) <= 1000 else 2.5
    ax.plot(x, y, linestyle="none", marker="o", markersize=size, color=BLUE,
            alpha=float(np.clip(12 / np.sqrt(len(x)), 0.25, 0.8)), markeredgewidth=0, label=label,
            zorder=2)  # fmt: skip


def _figures(y: Array, predicted: Array) -> str:
    rmse = float(np.sqrt(np.mean((predicted - y) ** 2)))
    spread = float(np.var(y))
    r2 = f"R² {1 - rmse**2 / spread:.3f}, " if spread > 0 else ""
    return f"{r2}RMSE {rmse:.4g}, {len(y):,} rows"


@drawing
def plot_predicted(
    y: ArrayLike,
    predicted: ArrayLike,
    *,
    label: str = "target",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the actual values against the predicted ones; more than 5000 rows as hexagons.

    Parameters
    ----------
    y, predicted : array_like of shape (n,)
        Rows that are not finite are left out.
    label : str
        Name of the target.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    true, found = _both(y, predicted)
    from matplotlib.ticker import MaxNLocator

    figure, ax = one_panel(ax, 5.8, 5.8)
    _cloud(ax, found, true)
    low, high = min(true.min(), found.min()), max(true.max(), found.max())
    margin = 0.04 * (high - low) or 0.5
    ends = [low - margin, high + margin]
    ax.plot(ends, ends, label="predicted = actual", **REFERENCE)
    ax.set(xlim=ends, ylim=ends, xlabel=f"predicted {label}", ylabel=f"actual {label}")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=TICK_STEPS))
    ax.set_box_aspect(1)
    ax.set_title(_figures(true, found))
    return figure


def _trend(ax: Axes, x: Array, y: Array, label: str) -> None:
    """Draw the median of y, and the middle half, in groups of equally many x."""
    n = int(np.clip(len(x) // 15, 1, 20))
    edges = arrays.group_edges(x, n)
    own = np.searchsorted(edges, x, side="left")
    groups = [np.flatnonzero(own == k) for k in range(len(edges) + 1)]
    groups = [g for g in groups if len(g)]
    if len(groups) < 3:
        return
    at = [float(np.median(x[g])) for g in groups]
    low, middle, high = np.array([np.quantile(y[g], (0.25, 0.5, 0.75)) for g in groups]).T
    ax.fill_between(at, low, high, color=VERMILLION, alpha=0.18, linewidth=0, zorder=3)
    ax.plot(at, middle, color=VERMILLION, linewidth=2, label=label, zorder=4)


@drawing
def plot_residuals(
    y: ArrayLike,
    predicted: ArrayLike,
    columns: Mapping[str, ArrayLike] | None = None,
    *,
    label: str = "target",
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw residuals, actual minus predicted, against the prediction and against each column.

    The line is the median of groups of equally many rows, the band their middle half: a line that
    leaves zero shows what the model misses. Text columns have a box for each of their most
    frequent values, and numbers with at most five different values one for each.

    Parameters
    ----------
    y, predicted : array_like of shape (n,)
    columns : mapping of str to array_like of shape (n,), optional
        A panel for each.
    label : str
        Name of the target.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    true, found = (np.asarray(a, np.float64).reshape(-1) for a in (y, predicted))
    _both(true, found)
    error = true - found
    named: list[tuple[str, Any]] = [(f"predicted {label}", found)]
    for name, values in (columns or {}).items():
        array = np.asarray(values).reshape(-1)
        if len(array) != len(true):
            raise ValueError(
                f"columns must have a value for each of the {len(true)} rows. "
                f"Received: {len(array)} values of {name!r}"
            )
        named.append((name, array))
    n_columns = min(_PER_ROW, len(named))
    rows = -(-len(named) // n_columns)
    figure, every = panels(
        axes, len(named), max(3.6 * n_columns, 6.5), 3.0 * rows + 0.6, n_columns, sharey=True
    )
    for k, (ax, (name, values)) in enumerate(zip(every, named, strict=True)):
        own = np.unique(values[np.isfinite(values)]) if values.dtype.kind in "fiub" else ()
        if 2 <= len(own) <= _FEW_VALUES and k:  # points would lie in as many lines
            texts = np.where(np.isfinite(values), [f"{v:g}" for v in values], "missing")
            _boxes(ax, texts, error, [f"{v:g}" for v in own])
        elif values.dtype.kind in "fiub":
            numbers = values.astype(np.float64)
            kept = np.isfinite(numbers) & np.isfinite(error)
            if kept.any():
                _cloud(ax, numbers[kept], error[kept])
                _trend(ax, numbers[kept], error[kept], "median")
            ax.xaxis.set_major_locator(MaxNLocator(4, steps=TICK_STEPS))
        else:
            _boxes(ax, values, error)
        ax.axhline(0, color=INK, linewidth=0.9, zorder=3)
        ax.set_xlabel(shortened(name, 40))
        if k % n_columns == 0:
            ax.set_ylabel(f"residual of {label}")
    return figure


def _boxes(ax: Axes, values: Array, error: Array, order: Sequence[str] = ()) -> None:
    """Draw a box for each of the most frequent values, these first in the order that is given."""
    texts = np.array(["missing" if v is None or v != v else str(v) for v in values])
    names, counts = np.unique(texts, return_counts=True)
    shown = names[np.argsort(-counts, kind="stable")[:_MOST_NAMES]].tolist()
    shown.sort(key=lambda name: order.index(name) if name in order else len(order))
    groups = [error[(texts == name) & np.isfinite(error)] for name in shown]
    groups = [group if len(group) else np.zeros(1) for group in groups]
    drawn = ax.boxplot(groups, showfliers=False, patch_artist=True, widths=0.6)
    for box in drawn["boxes"]:
        box.set(facecolor=BLUE, alpha=0.5, edgecolor=INK)
    for line in drawn["medians"]:
        line.set(color=VERMILLION, linewidth=2)
    long = sum(map(len, shown)) > 24
    ax.set_xticks(range(1, len(shown) + 1), [shortened(name, 14) for name in shown],
                  rotation=40 if long else 0, ha="right" if long else "center",
                  rotation_mode="anchor")  # fmt: skip


@drawing
def plot_qq(
    y: ArrayLike,
    predicted: ArrayLike | None = None,
    *,
    label: str = "target",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the quantiles of the residuals against those of the normal distribution.

    Points on the line: the residuals are normal. Ends that leave it: tails are heavier or lighter.

    Parameters
    ----------
    y : array_like of shape (n,)
        Actual values, or residuals if `predicted` is not given.
    predicted : array_like of shape (n,), optional
    label : str
        Name of the target.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    zeros = np.zeros(np.size(y)) if predicted is None else predicted
    true, found = _both(y, zeros)
    error = np.sort(true - found)
    n = len(error)
    places = np.unique(np.linspace(0, n - 1, min(n, _MOST_QUANTILES)).round().astype(int))
    normal = NormalDist()
    expected = np.array([normal.inv_cdf((i + 0.5) / n) for i in places])
    figure, ax = one_panel(ax, 5.6, 5.4)
    mean, sd = float(error.mean()), float(error.std())
    ax.plot(expected, mean + sd * expected, label="normal", **REFERENCE)
    shown = f"residuals: mean {mean:.3g}, sd {sd:.3g}"
    ax.plot(expected, error[places], linestyle="none", marker="o", markersize=3.5, color=BLUE,
            markeredgewidth=0, label=shown, zorder=3)  # fmt: skip
    ax.set(xlabel="quantile of the normal distribution", ylabel=f"residual of {label}")
    ax.grid(color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    legend_above(ax)
    return figure


@drawing
def plot_coverage(
    y: ArrayLike,
    predicted: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    level: float | None = None,
    label: str = "target",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw intervals over the rows, sorted by prediction, and the actual values in and out of them.

    Parameters
    ----------
    y, predicted, lower, upper : array_like of shape (n,)
    level : float, optional
        Share of the rows that the intervals are made to hold.
    label : str
        Name of the target.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    arrays = [np.asarray(a, np.float64).reshape(-1) for a in (y, predicted, lower, upper)]
    if len({len(a) for a in arrays}) > 1 or not len(arrays[0]):
        raise ValueError(
            "y, predicted, lower and upper must be equally long and not empty. "
            f"Received: {', '.join(str(len(a)) for a in arrays)} values"
        )
    inside = (arrays[2] <= arrays[0]) & (arrays[0] <= arrays[3])
    order = np.argsort(arrays[1], kind="stable")
    order = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), 600)).astype(int))]
    true, middle, low, high = (a[order] for a in arrays)
    within = inside[order]
    x = np.arange(len(order)) + 1
    figure, ax = one_panel(ax, 8, 4.6)
    ax.fill_between(x, low, high, color=BLUE, alpha=0.22, linewidth=0, step="mid", label="interval")
    ax.plot(x, middle, color=BLUE, linewidth=1.6, label="predicted", zorder=2)
    ax.plot(x[within], true[within], linestyle="none", marker="o", markersize=3.2, color=GREY,
            markeredgewidth=0, label="inside", zorder=3)  # fmt: skip
    ax.plot(x[~within], true[~within], linestyle="none", marker="X", markersize=5.5,
            color=VERMILLION, markeredgecolor=BLACK, markeredgewidth=0.4, label="outside",
            zorder=4)  # fmt: skip
    wanted = "" if level is None else f", {level:.0%} wanted"
    shown = f", {len(order):,} shown" if len(order) < len(inside) else ""
    ax.set_title(f"{inside.mean():.1%} of {len(inside):,} rows inside{wanted}{shown}")
    ax.set(xlabel="rows, sorted by prediction", ylabel=label)
    ax.margins(x=0.01)
    ax.legend(loc="upper left")  # the predictions rise: nothing is there
    return figure


@drawing
def plot_learning_curve(
    sizes: Sequence[int],
    training: ArrayLike,
    validation: ArrayLike,
    *,
    label: str = "error",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the error on training rows and on held-out rows against the number of training rows.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of training rows.
    training, validation : array_like of shape (n_sizes,) or (n_sizes, n_runs)
        The errors; of several runs the mean and one standard deviation either way.
    label : str
        Name of the error.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    x = np.asarray(sizes, np.float64)
    figure, ax = one_panel(ax, 8, 4.6)
    for name, values, colour, marker in (
        ("training rows", training, BLUE, "o"), ("held-out rows", validation, VERMILLION, "D")
    ):  # fmt: skip
        array = np.asarray(values, np.float64)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or len(array) != len(x) or not array.size:
            raise ValueError(
                f"training and validation must have a value, or several, for each of the {len(x)} "
                f"sizes. Received: shape {np.shape(values)}"
            )
        mean, sd = array.mean(1), array.std(1, ddof=min(1, array.shape[1] - 1))
        if array.shape[1] > 1:
            ax.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
        ax.plot(x, mean, color=colour, marker=marker, markersize=5, label=name, zorder=3)
    if x.min() > 0 and x.max() / x.min() > 8:
        ax.set_xscale("log")
        ax.set_xticks(x, [f"{int(size):,}" for size in x])
        ax.minorticks_off()
    ax.set(xlabel="training rows", ylabel=label)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    legend_above(ax)
    return figure
