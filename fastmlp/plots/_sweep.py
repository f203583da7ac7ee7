"""Sweeps: the best configurations with all their runs, and the effect of each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from .._model.architecture import parse_hidden
from ._layout import Layout, drawing, new_figure, panels
from ._path import MEASURE_LABELS
from ._results import RankFigures, SweepFigures, check
from ._style import BLUE, GREY, INK, ORANGE, VERMILLION, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOG_SPAN = 8.0  # scores that span a larger factor have a logarithmic axis
MOST_PANELS = 6
MOST_NAMES = 8  # a parameter with at most as many values has each as a tick


@drawing
def plot_sweep(
    result: SweepFigures,
    measure: str | None = None,
    *,
    most: int = 20,
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the best configurations, and the score against each parameter that was varied.

    The left panel has a line for each configuration: small points are runs, the large point is
    their mean with one standard deviation either way, and the ring is the mean on training rows.
    At the right each parameter has a panel, with a point for each configuration and a line through
    the best at each value. After successive halving the first of these panels shows the score
    against epochs, with a line for each configuration.

    Parameters
    ----------
    result : SweepResult
    measure : str, optional
        By default the one that the sweep ranks by.
    most : int
        Largest number of configurations in the left panel.
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
        If no configuration has a score.
    """
    check(result, SweepFigures, "SweepResult")
    measure = result.measure if measure is None else measure
    scored = [rank for rank in result.ranking(measure, every_rung=True) if rank.mean is not None]
    if not scored:
        raise ValueError("There is nothing to draw because no configuration has a score yet")
    ranking = result.longest(scored)
    rungs = sorted({rank.epochs for rank in scored})
    names = result.varied[: MOST_PANELS - 1]
    count = len(names) + (len(rungs) > 1)
    rows = -(-count // 2)
    height = max(3.2, 1.5 + 0.26 * min(len(ranking), most), 0.6 + 2.4 * rows)
    if axes is not None:
        figure, every = panels(axes, 1 + count, 1, 1)
        _rank_panel(every[0], result, ranking, most, measure, len(rungs) > 1)
        if count:
            _right_panels(every[1:], scored, ranking, names, rungs)
        return figure
    figure = new_figure(12 if rows else 7, height)
    left: Any = figure
    if rows:
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.15))  # type: ignore[misc]
    _rank_panel(left.subplots(), result, ranking, most, measure, len(rungs) > 1)
    if rows:
        grid = right.subplots(rows, min(2, count), squeeze=False, sharey=True)
        _right_panels(list(grid.flat), scored, ranking, names, rungs)
        for ax in grid[:, 0]:
            ax.set_ylabel(f"held-out {MEASURE_LABELS[measure]}", fontsize=9)
    return figure


def _right_panels(
    axes: list[Axes],
    scored: list[RankFigures],
    ranking: list[RankFigures],
    names: list[str],
    rungs: list[int],
) -> None:
    left = list(axes)
    colours = _shades(rungs)
    if len(rungs) > 1:
        _rung_panel(left.pop(0), scored, colours)
    for ax, name in zip(left, names, strict=False):
        _parameter_panel(ax, name, ranking, [colours[rank.epochs] for rank in ranking])
    for ax in left[len(names) :]:
        ax.set_visible(False)
    _score_axis(axes[0], [rank.mean for rank in scored], "y")


def _shades(rungs: list[int]) -> dict[int, Any]:
    """Return a colour for each number of epochs, the darker the more."""
    from matplotlib.colors import LinearSegmentedColormap

    if len(rungs) == 1:
        return {rungs[0]: ORANGE}
    shades = LinearSegmentedColormap.from_list("rungs", ["#F5D9A0", ORANGE, "#8A3B00"])
    return {epochs: shades(i / (len(rungs) - 1)) for i, epochs in enumerate(rungs)}


def _name(rank: RankFigures, varied: list[str], with_epochs: bool) -> str:
    """Return a short description of a configuration."""
    parts = []
    for name in varied or ["units"]:
        value = rank.config[name]
        text = f"{value:g}" if isinstance(value, float) else str(value)
        parts.append(text if name in ("units", "activation", "optimizer") else
                     f"{name.replace('_', ' ')} {text}")  # fmt: skip
    if with_epochs:
        parts.append(f"{rank.epochs} epochs")
    return "  ".join(parts)


def _rank_panel(
    ax: Axes, result: SweepFigures, ranking: list[RankFigures], most: int, measure: str, rungs: bool
) -> None:
    shown = ranking[:most]
    for place, rank in enumerate(shown):
        if len(rank.scores) > 1:
            ax.plot(rank.scores, [place] * len(rank.scores), "o", color=GREY, markersize=3,
                    alpha=0.6, markeredgewidth=0, zorder=2)  # fmt: skip
    places, means = np.arange(len(shown)), np.array([rank.mean for rank in shown], float)
    ax.errorbar(
        means,
        places,
        xerr=[rank.sd or 0.0 for rank in shown],
        fmt="o",
        color=VERMILLION,
        elinewidth=1.2,
        markersize=6,
        zorder=3,
        label="held out",
    )
    training = np.array([rank.train for rank in shown], float)
    ax.plot(
        training,
        places,
        "o",
        color=BLUE,
        markerfacecolor="white",
        markersize=5,
        zorder=3,
        label="training",
    )
    ax.set_yticks(places, [_name(rank, result.varied, rungs) for rank in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#EEEEEE", linewidth=0.8)
    ax.set_axisbelow(True)
    cut = f", best {most} of {len(ranking)}" if len(ranking) > most else ""
    ax.set_xlabel(MEASURE_LABELS[measure] + cut)
    _score_axis(ax, [*means, *training], "x")
    legend_above(ax)


def _score_axis(ax: Axes, values: list[Any], which: str) -> None:
    """Make the axis of scores logarithmic if they span a large factor."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    finite = [value for value in values if value]
    if not finite or min(finite) <= 0 or max(finite) / min(finite) < LOG_SPAN:
        return
    getattr(ax, f"set_{which}scale")("log")
    axis = getattr(ax, f"{which}axis")
    wide = max(finite) / min(finite) > 4 * LOG_SPAN
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _rung_panel(ax: Axes, scored: list[RankFigures], colours: dict[int, Any]) -> None:
    """Draw every configuration's score against its epochs."""
    lines: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
    for rank in scored:
        assert rank.mean is not None
        lines.setdefault(tuple(rank.config.values()), []).append((rank.epochs, rank.mean))
    best = tuple(scored[0].config.values())
    for key, points in lines.items():
        x, y = zip(*sorted(points), strict=True)
        first = key == best
        ax.plot(x, y, "-", color=INK if first else GREY, linewidth=1.8 if first else 0.8,
                zorder=3 if first else 2)  # fmt: skip
        ax.scatter(x, y, s=18, color=[colours[epochs] for epochs in x], zorder=4)
    ax.set_xscale("log")
    ax.set_xticks(list(colours), [str(epochs) for epochs in colours])
    ax.minorticks_off()
    ax.set_title("epochs (colour of the points)")


def _parameter_panel(ax: Axes, name: str, ranking: list[RankFigures], colours: list[Any]) -> None:
    """Draw the scores against one parameter, the darkest points (most epochs) on top."""
    values = [rank.config[name] for rank in ranking]
    means = np.array([rank.mean for rank in ranking], float)
    ax.set_title(name.replace("_", " "))
    known = sorted(set(values), key=_size if name == "units" else None)
    if len(known) > MOST_NAMES and not isinstance(known[0], str):
        ax.scatter(values[::-1], means[::-1], s=18, color=colours[::-1])
        if min(known) > 0 and max(known) / min(known) > LOG_SPAN:
            ax.set_xscale("log")
        return
    places = np.array([known.index(value) for value in values])
    best = [means[places == i].min() for i in range(len(known))]
    ax.plot(range(len(known)), best, "-", color=INK, linewidth=1.2, zorder=1)
    ax.scatter(places[::-1], means[::-1], s=20, color=colours[::-1], zorder=2)
    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in known]
    ax.set_xticks(range(len(known)), labels, rotation=30 if sum(map(len, labels)) > 30 else 0)
    ax.set_xlim(-0.4, len(known) - 0.6)


def _size(units: str) -> tuple[int, int]:
    """Return the sort key of an architecture: number of layers, then of units."""
    widths = parse_hidden(units)
    return len(widths), sum(widths)
