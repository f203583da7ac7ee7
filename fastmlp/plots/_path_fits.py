"""Predictions at some lambdas of a path, in small panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ._classes import (
    MARKERS,
    class_colours,
    class_shares,
    data_limits,
    draw_shares,
)
from ._layout import Layout, drawing, panels
from ._models import Array, count
from ._regression import POINTS
from ._results import PathFigures, check
from ._style import GREY, INK, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_PANELS = 9
MESH = 121


@drawing
def plot_path_fits(
    result: PathFigures,
    indices: Sequence[int] | None = None,
    *,
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the model fitted to all rows at some of the lambdas, one panel for each lambda.

    With one numeric input: the points and the fitted curve, or the probability of the second
    class. With two: the predicted classes, or the fitted surface as contours. With more: the
    target of each row against its held-out prediction, or a histogram of the held-out
    probabilities of the rows' classes.

    Parameters
    ----------
    result : PathResult
    indices : sequence of int, optional
        Indices into ``result.lambdas``. By default nine, evenly spaced, including
        ``index_min`` and ``index_1se``.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    check(result, PathFigures, "PathResult")
    places = chosen_places(result) if indices is None else [
        range(len(result.lambdas))[i] for i in indices
    ]  # fmt: skip
    draw, labels, square = _drawing(result)
    if indices is None and isinstance(draw, _ModelPanel):  # other models would be fitted again
        places = [place for place in places if result.kept(place)]
    if not places:
        raise ValueError("indices must name at least one lambda. Received: none")
    n_columns = min(3, len(places))
    n_rows = -(-len(places) // n_columns)
    side = 2.7 if square else 2.2
    figure, every = panels(axes, len(places), 1.0 + 2.7 * n_columns,
                           0.8 + (side + 0.25) * n_rows, n_columns, sharex=True,
                           sharey=True)  # fmt: skip
    for ax, place in zip(every, places, strict=True):
        draw(ax, place)
        ax.set_title(_panel_title(result, place), fontsize=9)
        if square:
            ax.set_box_aspect(1)
    for ax in every[-n_columns:]:
        ax.set_xlabel(labels[0])
        ax.tick_params(labelbottom=True)
    for ax in every[::n_columns]:
        ax.set_ylabel(labels[1])
    if isinstance(draw, _SurfacePanel):
        figure.colorbar(draw.filled, ax=every, label=result.preprocessing.target.name, shrink=0.6,
                        aspect=35)  # fmt: skip
    handles, names = every[0].get_legend_handles_labels()
    if names and axes is not None:
        every[0].legend(handles, names, fontsize=8)
    elif names:
        figure.legend(handles, names, loc="outside upper right", ncols=min(len(names), 5))
    return figure


def chosen_places(result: PathFigures, n: int = N_PANELS) -> list[int]:
    """Return about `n` evenly spaced indices of lambdas, including both choices."""
    total = len(result.lambdas)
    chosen = {result.index_1se, result.index_min}
    even = np.linspace(0, total - 1, min(n, total)).round().astype(int).tolist()
    for choice in sorted(chosen):
        if len({*even, choice}) > len(set(even)):
            # A choice replaces its nearest neighbour; the largest and smallest lambda stay.
            inner = [place for place in even[1:-1] if place not in chosen]
            if inner:
                even.remove(min(inner, key=lambda place: abs(place - choice)))
            even.append(choice)
    return sorted(set(even))


def _panel_title(result: PathFigures, place: int) -> str:
    marks = [name for name, at in (("min", result.index_min), ("1se", result.index_1se))
             if at == place]  # fmt: skip
    mark = f" ({' and '.join(marks)})" if marks else ""
    if result.penalty == "l1" or not result.units:
        left = count(int(result.n_nonzero[place]), "weight")
    else:
        left = count(int(result.n_live[place]), "live unit")
    return f"lambda {result.lambdas[place]:.3g}{mark}\n{left}"


def _drawing(result: PathFigures) -> tuple[Any, tuple[str, str], bool]:
    """Return the function that draws a panel, the axis labels, and whether panels are square."""
    state = result.preprocessing
    plain = state.is_plain
    names, target = state.input_names, state.target
    if plain and len(names) == 1:
        if not target.labels:
            return _CurvePanel(result), (names[0], target.name), False
        if len(target.labels) == 2:
            return _CurvePanel(result), (names[0], f"P({target.name} = {target.labels[1]})"), False
    if plain and len(names) == 2:
        panel = _RegionsPanel if target.labels else _SurfacePanel
        return panel(result), (names[0], names[1]), True
    if result.held_out is None:
        raise ValueError(
            "With more than two inputs the figure needs held-out predictions, which this path did "
            "not keep because they are too many. "
            f"Received: {len(result.folds)} rows and {len(result.lambdas)} lambdas"
        )
    if target.labels:
        labels = "held-out probability of a row's class", "rows (log scale)"
        return _HeldOutProbabilities(result, result.held_out), labels, False
    return (
        _HeldOutNumbers(result, result.held_out),
        (f"held-out prediction of {target.name}", f"{target.name}"),
        True,
    )


class _ModelPanel:
    """Draws the model at one lambda of a path."""

    def __init__(self, result: PathFigures) -> None:
        self.result = result
        self.state = result.preprocessing

    def outputs(self, place: int, raw: Array) -> Array:
        """Return the outputs for inputs in the table's units, in the units of the target."""
        model = self.result.model_at(place)
        outputs = model.predict(self.state.from_units(raw).astype(model.dtype), verbose=0)
        if self.state.target.labels:
            return outputs
        return self.state.target.restored(outputs)


class _CurvePanel(_ModelPanel):
    """Draws the points and the fitted curve over one input."""

    def __init__(self, result: PathFigures) -> None:
        super().__init__(result)
        self.x, self.y = result.points()
        self.grid = np.linspace(self.x.min(), self.x.max(), 201)[:, None]

    def __call__(self, ax: Axes, place: int) -> None:
        alpha = 1.0 if len(self.x) <= 100 else max(0.15, 10 / math.sqrt(len(self.x)) / 2)
        ax.plot(self.x[:, 0], self.y, label="data", **(POINTS | {"markersize": 3.5, "alpha": alpha,
                "markeredgewidth": 0.7}))  # fmt: skip
        fitted = self.outputs(place, self.grid)
        ax.plot(self.grid[:, 0], fitted[:, 0], color=VERMILLION, linewidth=2.0, label="fit",
                zorder=4)  # fmt: skip


class _RegionsPanel(_ModelPanel):
    """Draws the points and the predicted classes over two inputs."""

    def __init__(self, result: PathFigures) -> None:
        super().__init__(result)
        self.x, self.y = result.points()
        self.limits = [data_limits(self.x[:, j]) for j in (0, 1)]
        x1, x2 = (np.linspace(low, high, MESH) for low, high in self.limits)
        self.places = x1, x2
        self.mesh = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)

    def __call__(self, ax: Axes, place: int) -> None:
        labels = self.state.target.labels
        shares = class_shares(self.outputs(place, self.mesh)).reshape(MESH, MESH, -1)
        draw_shares(ax, self.places, shares, len(labels))
        size = 4.0 if len(self.x) <= 200 else 2.5
        for k, (label, colour) in enumerate(zip(labels, class_colours(len(labels)), strict=True)):
            rows = self.y == k
            ax.plot(self.x[rows, 0], self.x[rows, 1], linestyle="none",
                    marker=MARKERS[k % len(MARKERS)],
                    markersize=size, color=colour, markeredgecolor="white", markeredgewidth=0.4,
                    label=f"{self.state.target.name} = {label}")  # fmt: skip
        ax.set(xlim=self.limits[0], ylim=self.limits[1])


class _SurfacePanel(_RegionsPanel):
    """Draws the points and the fitted surface over two inputs."""

    def __init__(self, result: PathFigures) -> None:
        super().__init__(result)
        low, high = np.percentile(self.y, [1, 99])
        self.levels = np.linspace(low, high if high > low else low + 1, 11)

    def __call__(self, ax: Axes, place: int) -> None:
        fitted = self.outputs(place, self.mesh).reshape(MESH, MESH)
        x1, x2 = (np.linspace(low, high, MESH) for low, high in self.limits)
        self.filled = ax.contourf(x1, x2, fitted, self.levels, cmap="viridis", extend="both")
        ax.scatter(self.x[:, 0], self.x[:, 1], s=10, c=self.y, cmap="viridis",
                   vmin=self.levels[0], vmax=self.levels[-1], edgecolors=INK,
                   linewidths=0.4)  # fmt: skip
        ax.set(xlim=self.limits[0], ylim=self.limits[1])


class _HeldOutNumbers:
    """Draws numeric targets against their held-out predictions."""

    def __init__(self, result: PathFigures, held_out: Array) -> None:
        self.held = held_out
        self.y = result.target_values()

    def __call__(self, ax: Axes, place: int) -> None:
        alpha = max(0.1, min(0.7, 12 / math.sqrt(len(self.y))))
        low, high = _bulk(self.y)
        ax.plot([low, high], [low, high], color=GREY, linewidth=1.0, zorder=1)
        ax.plot(self.held[place, :, 0], self.y, linestyle="none", marker="o", markersize=3,
                color=VERMILLION, alpha=alpha, markeredgewidth=0)  # fmt: skip
        margin = 0.04 * (high - low)
        ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
        beyond = int(((self.y < low) | (self.y > high)).sum())
        if beyond:
            ax.text(0.03, 0.96, f"{beyond:,} beyond", transform=ax.transAxes, va="top",
                    fontsize=8, color=INK)  # fmt: skip


def _bulk(y: Array) -> tuple[float, float]:
    """Return the range of a target; without the outermost 2% if they take most of it."""
    low, high = float(y.min()), float(y.max())
    inner = [float(q) for q in np.quantile(y, (0.01, 0.99))]
    return (inner[0], inner[1]) if inner[1] - inner[0] < 0.5 * (high - low) else (low, high)


class _HeldOutProbabilities:
    """Draws a histogram of the held-out probabilities of the rows' classes."""

    def __init__(self, result: PathFigures, held_out: Array) -> None:
        codes = result.target_values()
        self.probabilities = np.take_along_axis(held_out, codes[None, :, None], axis=2)[:, :, 0]
        self.wrong = held_out.argmax(axis=2) != codes

    def __call__(self, ax: Axes, place: int) -> None:
        edges = np.linspace(0, 1, 21).tolist()
        wrong = self.wrong[place]
        parts: Any = [self.probabilities[place][~wrong], self.probabilities[place][wrong]]
        ax.hist(parts, edges, stacked=True, color=["#9CC7E0", VERMILLION], edgecolor="white",
                linewidth=0.3, label=["classified right", "classified wrong"])  # fmt: skip
        ax.set_xlim(0, 1)
        ax.set_yscale("log")
        ax.set_ylim(bottom=0.7)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.text(0.03, 0.95, f"{wrong.mean():.1%} wrong", transform=ax.transAxes, va="top",
                fontsize=8.5, color=INK)  # fmt: skip
