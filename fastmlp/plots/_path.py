"""Paths of lambdas: cross-validated error and weights against lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ._layout import Layout, drawing, panels
from ._models import Array, count
from ._results import PathFigures, check
from ._style import (
    BLACK,
    BLUE,
    DASHES,
    GREY,
    INK,
    PALETTE,
    VERMILLION,
    plain_log_ticks,
    shortened,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURE_LABELS = {
    "mse": "mean squared error",
    "deviance": "deviance",
    "misclassification": "share misclassified",
}
LOG_SPAN = 8.0  # errors that span a larger factor have a logarithmic axis
MAX_NAMED = 12  # lines with their own name and colour
TOP_TICKS = 9
LETTER = 0.0105  # width of a letter of the lines' names, as a share of the axes
MAX_LETTERS = 16


@drawing
def plot_cv(
    result: PathFigures, measure: str | None = None, *, axes: Any = None, **layout: Unpack[Layout]
) -> Figure:
    """Draw the cross-validated error against lambda, with both choices marked.

    Points are means over the folds; bars are one standard error either way. The top axis counts
    the remaining weights, units or inputs of the model fitted to all rows.

    Parameters
    ----------
    result : PathResult
    measure : str, optional
        One of ``result.fold_scores``. By default each has a panel, starting with the one that
        chose lambda.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    check(result, PathFigures, "PathResult")
    others = [name for name in result.fold_scores if name != result.measure]
    names = [result.measure, *others] if measure is None else [measure]
    if names[0] not in result.fold_scores:
        raise ValueError(
            f"measure must be one of {', '.join(result.fold_scores)}. Received: {measure!r}"
        )
    figure, every = panels(axes, len(names), 8, 1.2 + 3.6 * len(names), sharex=True)
    for ax, name in zip(every, names, strict=True):
        _cv_panel(ax, result, name)
    _lambda_axis(every, result)
    figure.align_ylabels(every)
    return figure


def _cv_panel(ax: Axes, result: PathFigures, name: str) -> None:
    mean, se = result.cv(name)
    ax.errorbar(
        result.lambdas,
        mean,
        se,
        linestyle="none",
        marker="o",
        markersize=4.5,
        color=VERMILLION,
        ecolor="#AAAAAA",
        elinewidth=1.0,
        capsize=2.0,
        zorder=3,
    )
    low, high = float((mean - se).min()), float((mean + se).max())
    if low > 0 and high / low >= LOG_SPAN and name != "misclassification":
        ax.set_yscale("log")
        plain_log_ticks(ax.yaxis, high / low)
    ax.set_ylabel(f"{MEASURE_LABELS[name]}, {len(result.fold_sizes)} folds")
    ax.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    if name == result.measure:
        best = result.index_min
        between = [result.lambda_min, result.lambda_1se]
        ax.plot(between, [mean[best] + se[best]] * 2, color=INK, linewidth=0.9, zorder=4)


def _lambda_axis(axes: Any, result: PathFigures) -> None:
    """Draw the lambda axis below the panels, the counts above, and both choices."""
    from matplotlib.ticker import NullLocator

    lambdas = result.lambdas
    for ax in axes:
        ax.set_xscale("log")
        ax.axvline(result.lambda_min, color=BLACK, linewidth=1.0, linestyle=(0, (5, 2)), zorder=2)
        ax.axvline(result.lambda_1se, color=BLACK, linewidth=1.0, linestyle=(0, (1, 1.5)), zorder=2)
    span = float(lambdas.max() / lambdas.min())
    bottom = axes[-1]
    plain_log_ticks(bottom.xaxis, span)
    bottom.set_xlabel("lambda (log scale)")
    if span > 1:
        margin = span**0.025
        bottom.set_xlim(lambdas.min() / margin, lambdas.max() * margin)
    top = axes[0].secondary_xaxis("top")
    counts, noun = _counts(result)
    places = _top_places(lambdas)
    top.xaxis.set_major_locator(NullLocator())
    top.xaxis.set_minor_locator(NullLocator())
    top.set_xticks(lambdas[places], [f"{counts[i]:,}" for i in places])
    top.xaxis.set_minor_locator(NullLocator())
    top.spines["top"].set_visible(False)
    top.tick_params(length=3, color=INK)
    top.set_xlabel(noun)
    _mark_choices(axes[0], result)


def _counts(result: PathFigures) -> tuple[Array, str]:
    """Return the counts of the top axis at each lambda, and their label."""
    if result.penalty == "l1" or (result.penalty == "l2" and not result.units):
        return result.n_nonzero, "nonzero weights"
    if not result.units:
        return result.n_inputs, "inputs in use"
    return result.n_live, "live hidden units"


def _top_places(lambdas: Array) -> list[int]:
    """Return indices of lambdas that are about evenly spaced on the logarithmic axis."""
    logs = np.log(lambdas)
    wanted = np.linspace(logs[0], logs[-1], min(TOP_TICKS, len(lambdas)))
    return sorted({int(np.abs(logs - at).argmin()) for at in wanted})


def _mark_choices(ax: Axes, result: PathFigures) -> None:
    """Write the names of the choices beside their lines, without overlap."""
    from matplotlib.transforms import blended_transform_factory

    # The names stand above the curves.
    bottom, top = ax.get_ylim()
    log = ax.get_yscale() == "log"
    ax.set_ylim(bottom, top * (top / bottom) ** 0.14 if log else top + 0.14 * (top - bottom))
    place = blended_transform_factory(ax.transData, ax.transAxes)
    same = result.lambda_min == result.lambda_1se
    texts = [(result.lambda_1se, f"1se: {result.lambda_1se:.3g}", "left")]
    if not same:
        texts.append((result.lambda_min, f"min: {result.lambda_min:.3g}", "right"))
    else:
        texts = [(result.lambda_min, f"min and 1se: {result.lambda_min:.3g}", "left")]
    logs = np.log(result.lambdas)
    taken: set[str] = set()
    for lam, text, side in texts:
        share = (np.log(lam) - logs.min()) / max(float(np.ptp(logs)), 1e-9)
        side = "left" if share < 0.12 else "right" if share > 0.88 else side
        # Two names on the same side of their lines stand one below the other.
        below = -3 if side not in taken else -17
        taken.add(side)
        ax.annotate(
            text,
            (lam, 1.0),
            xycoords=place,
            xytext=(4 if side == "left" else -4, below),
            textcoords="offset points",
            ha=side,
            va="top",
            fontsize=9,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0},
            zorder=5,
        )


# ---- weights -----------------------------------------------------------------------------------


@drawing
def plot_path(result: PathFigures, *, axes: Any = None, **layout: Unpack[Layout]) -> Figure:
    """Draw the coefficients, or the norms of inputs' and units' weights, against lambda.

    Without hidden layers each line is an input's coefficient, with one panel for each of several
    classes. With hidden layers each line is the norm of all weights from an input or a hidden
    unit. It is 0 where the input is not used or the unit is dead.

    Parameters
    ----------
    result : PathResult
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    check(result, PathFigures, "PathResult")
    drawn = _panels(result)
    height = 1.4 + (2.4 if len(drawn) > 1 else 4.0) * len(drawn)
    figure, every = panels(axes, len(drawn), 8, height, sharex=True)
    shown: list[list[int]] = []
    for ax, (label, lines, names) in zip(every, drawn, strict=True):
        ax.axhline(0, color=GREY, linewidth=0.8, zorder=1)
        shown.append([] if names is None else _largest(lines, result.index_1se))
        _draw_lines(ax, result.lambdas, lines, shown[-1], GREY if names else BLUE)
        ax.set_ylabel(label)
        if lines.min() >= 0:
            ax.set_ylim(bottom=-0.02 * max(float(lines.max()), 1e-12))
    _lambda_axis(every, result)
    height = float(figure.get_size_inches()[1]) / len(every)
    letters = max((width_of(_short(n)) for _, _, names in drawn for n in names or ()), default=0)
    if letters:
        low, high = every[-1].get_xlim()
        room = 0.03 + LETTER * letters
        for ax in every if axes is not None else every[-1:]:
            ax.set_xlim(low / (high / low) ** (room / (1 - room)), high)
        for ax, (_, lines, names), few in zip(every, drawn, shown, strict=True):
            if names is not None:
                short = [_short(names[i]) for i in few]
                _write_names(ax, result.lambdas, lines[:, few], short, height)
    figure.align_ylabels(every)
    return figure


def _panels(result: PathFigures) -> list[tuple[str, Array, list[str] | None]]:
    """Return each panel's label, its lines (n_lambdas, k) and their names."""
    names = result.input_names
    if not result.units:
        weights = result.coefficients
        if weights.shape[2] == 1:
            return [("coefficient", weights[:, :, 0], names)]
        labels = result.preprocessing.target.labels
        return [(str(label), weights[:, :, k], names) for k, label in enumerate(labels)]
    found: list[tuple[str, Array, list[str] | None]] = [("norm, inputs", result.norms(0), names)]
    for layer, width in enumerate(result.units, 1):
        label = f"norm, {count(width, 'unit')}"
        if len(result.units) > 1:
            label += f"\nof layer {layer}"
        found.append((label, result.norms(layer), None))
    return found


def _colour(i: int) -> dict[str, Any]:
    return {
        "color": PALETTE[i % len(PALETTE)],
        "linestyle": DASHES[i // len(PALETTE) % len(DASHES)],
    }


def _largest(lines: Array, at: int) -> list[int]:
    """Return the indices of the lines to name, in the inputs' order.

    They are the largest at index `at` of the path. Lines that are 0 there are compared by their
    maximum.
    """
    keys = np.abs(lines).max(axis=0), np.abs(lines[at])
    return sorted(np.lexsort(keys)[::-1][:MAX_NAMED].tolist())


def _draw_lines(ax: Axes, lambdas: Array, lines: Array, named: list[int], other: str) -> None:
    n_others = lines.shape[1] - len(named)
    thin = {"linewidth": 1.0 if n_others <= 100 else 0.6, "color": other, "zorder": 2,
            "alpha": max(0.12, min(0.8, 30 / max(n_others, 1)))}  # fmt: skip
    for i, line in enumerate(lines.T):
        if i not in named:
            ax.plot(lambdas, line, **thin)
    for place, i in enumerate(named):
        ax.plot(lambdas, lines[:, i], linewidth=1.5, zorder=3, **_colour(place))


def _short(name: str) -> str:
    return shortened(name, MAX_LETTERS)


def _write_names(ax: Axes, lambdas: Array, lines: Array, names: list[str], height: float) -> None:
    """Write the lines' names at their left ends, moved apart where they would overlap."""
    bottom, top = ax.get_ylim()
    # In inches: a line of text is about 0.14 high, and a fifth of the panel is margin.
    gap = 0.14 / (0.8 * height) * (top - bottom)
    order = np.argsort(lines[-1], kind="stable")
    ends = lines[-1][order]
    places = _apart(ends, min(gap, 0.97 * (top - bottom) / len(names)), bottom, top)
    left = float(lambdas[-1])
    span = np.log(lambdas[0] / lambdas[-1]) if len(lambdas) > 1 else 1.0
    for i, end, place in zip(order, ends, places, strict=True):
        ax.annotate(
            names[i],
            (left, end),
            xytext=(left / np.exp(0.025 * span), place),
            ha="right",
            va="center",
            fontsize=8.5,
            color=_colour(i)["color"],
            arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.6, "shrinkA": 0,
                        "shrinkB": 1},
        )  # fmt: skip


def _apart(values: Array, gap: float, low: float, high: float) -> Array:
    """Move increasing values apart to distances of at least `gap`, within limits."""
    places: Array = np.array(values, dtype=np.float64)
    last = len(places) - 1
    for _ in range(200):
        close = np.diff(places) < gap * 0.999
        if not close.any():
            break
        for i in np.flatnonzero(close):
            middle = (places[i] + places[i + 1]) / 2
            places[i], places[i + 1] = middle - gap / 2, middle + gap / 2
    places[0] = max(places[0], low + gap / 2)
    for k in range(last):
        places[k + 1] = max(places[k + 1], places[k] + gap)
    places[last] = min(places[last], high - gap / 2)
    for k in reversed(range(last)):
        places[k] = min(places[k], places[k + 1] - gap)
    return places
