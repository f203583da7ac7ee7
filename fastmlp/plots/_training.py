"""Training: loss by epoch, histograms of weights, gradients by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .. import metrics
from .._model.history import History
from .._utils import arguments
from ..models import Sequential
from ._layout import Layout, drawing, one_panel, panels
from ._models import count, dense_layers, penalties, penalty_label
from ._style import (
    BLACK,
    BLUE,
    GREY,
    INK,
    PALETTE,
    TICK_STEPS,
    VERMILLION,
    legend_above,
    plain_log_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Values that span a smaller factor have a linear axis.
LOG_SPAN = 8.0
WEIGHT_BINS = 101
FEW_WEIGHTS = 64
SHARED_SPAN = 5.0


@drawing
def plot_history(
    history: History | Mapping[str, Sequence[float]],
    log: bool | None = None,
    *,
    validation_epochs: Sequence[int] | None = None,
    kept: int | None = None,
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw loss and metrics by epoch, training and validation, one panel for each quantity.

    Parameters
    ----------
    history : History or dict of lists
        The result of `fit`, or its `.history`.
    log : bool, optional
        Whether axes are logarithmic. Default: if a loss or error is positive throughout and spans
        a factor of 8 or more; never for an accuracy.
    validation_epochs : sequence of int, optional
        The epochs, from 1, after which the model was validated. Default: those that a `History`
        records; for a dict, equal distances.
    kept : int, optional
        The epoch, from 1, whose weights the model has, for a line.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    first = 0
    values: Mapping[str, Sequence[float]]
    if isinstance(history, History):
        values = history.history
        first = history.epoch[0] if history.epoch else 0
        if validation_epochs is None and "validation_freq" in history.params:
            validation_epochs = history.validated
    elif isinstance(history, Mapping):
        values = history
    else:
        raise ValueError(
            "history must be a History or a dict of lists. "
            f"Received: history={arguments.shown(history)}"
        )
    names = [name for name in values if not name.startswith("val_")]
    names.sort(key=lambda name: name != "loss")  # the loss first, the metrics in their order
    if not names or not len(values[names[0]]):
        raise ValueError(f"history must hold at least one epoch. Received: {dict(values)!r}")
    n_epochs = len(values[names[0]])
    epochs = np.arange(first + 1, first + n_epochs + 1)
    names, equal = _without_repeats(names, values)
    figure, every = panels(axes, len(names), 8, 1.4 + 3.2 * len(names), sharex=True)
    for ax, name in zip(every, names, strict=True):
        validation = values.get(f"val_{name}", ())
        at = epochs
        if validation_epochs is not None:
            at = np.asarray(validation_epochs)[: len(validation)]
        elif 0 < len(validation) < n_epochs:
            period = n_epochs // len(validation)
            at = epochs[period - 1 :: period][: len(validation)]
        _history_panel(ax, name, (epochs, values[name]), (at, validation), log)
        if kept is not None:
            ax.axvline(kept, color=GREY, linewidth=1.2, zorder=1)
            ax.text(kept, 0.97, "kept ", transform=ax.get_xaxis_transform(), rotation=90,
                    ha="right", va="top", fontsize=8, color=INK)  # fmt: skip
    if equal:
        label = every[0].get_ylabel()
        every[0].set_ylabel(label.replace("loss", f"loss = {', '.join(equal)}", 1))
    every[-1].set_xlabel("epoch")
    every[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=TICK_STEPS))
    figure.align_ylabels(every)
    return figure


def _without_repeats(
    names: list[str], values: Mapping[str, Sequence[float]]
) -> tuple[list[str], list[str]]:
    """Return the names to draw, and those of metrics that are the loss itself."""

    def same(name: str) -> bool:
        pairs = (("loss", name), ("val_loss", f"val_{name}"))
        both = [(np.asarray(values.get(a, ())), np.asarray(values.get(b, ()))) for a, b in pairs]
        return all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True)
            for a, b in both
        )

    equal = [name for name in names[1:] if names[0] == "loss" and same(name)]
    return [name for name in names if name not in equal], [e.replace("_", " ") for e in equal]


def _history_panel(
    ax: Axes,
    name: str,
    train: tuple[Any, Sequence[float]],
    validation: tuple[Any, Sequence[float]],
    log: bool | None,
) -> None:
    label = name.replace("_", " ")
    marker: dict[str, Any] = {"marker": "o", "markersize": 4}
    given = [np.asarray(part[1], np.float64) for part in (train, validation)]
    finite = [np.where(np.isfinite(part), part, np.nan) for part in given]
    ax.plot(train[0], finite[0], color=BLUE, label="training",
            **(marker if len(train[1]) <= 20 else {}))  # fmt: skip
    if len(validation[1]):
        few = marker if len(validation[1]) <= 20 else {}
        dashes: dict[str, Any] = {
            "linestyle": (0, (5, 1.5)),
            "color": VERMILLION,
            "label": "validation",
        }
        ax.plot(validation[0], finite[1], **dashes, **few)
    if np.isfinite(finite[1]).any():
        best = int(
            np.nanargmax(finite[1]) if metrics.larger_is_better(name) else np.nanargmin(finite[1])
        )
        ax.plot(
            validation[0][best],
            finite[1][best],
            linestyle="none",
            marker="D",
            markersize=8,
            color=VERMILLION,
            markeredgecolor=BLACK,
            zorder=4,
            label=f"best validation: {finite[1][best]:.4g}, epoch {validation[0][best]}",
        )
    for values, at in zip(finite, (train[0], validation[0]), strict=True):
        lost = np.asarray(at)[: len(values)][np.isnan(values)]
        if len(lost) == len(values):
            continue
        for k, epoch in enumerate(lost):
            ax.axvline(epoch, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1,
                       label="not finite" if not k and values is finite[0] else "_")  # fmt: skip
    everything = np.concatenate(finite)
    everything = everything[np.isfinite(everything)]
    if not len(everything):
        ax.set_title("no finite value")
        everything = np.ones(1)
    low, high = everything.min(), everything.max()
    if log is None:
        log = bool(not metrics.larger_is_better(name) and low > 0 and high / low >= LOG_SPAN)
    if log:
        ax.set_yscale("log")
        plain_log_ticks(ax.yaxis, high / low if low > 0 else np.inf)
    ax.set_ylabel(f"{label} (log scale)" if log else label)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    legend_above(ax)


@drawing
def plot_rates(
    rates: ArrayLike,
    losses: ArrayLike,
    suggested: float | None = None,
    *,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the loss over a learning rate that rises with every step.

    Parameters
    ----------
    rates, losses : array-like of shape (n,)
        As `tabular.find_rate` returns them.
    suggested : float, optional
        Marked by a line.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    x, y = np.asarray(rates, np.float64), np.asarray(losses, np.float64)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(
            "rates and losses must be one-dimensional and of the same length. "
            f"Received: shapes {x.shape} and {y.shape}"
        )
    figure, ax = one_panel(ax, 8, 4.5)
    ax.plot(x, y, color=BLUE, label="loss, running mean")
    if suggested is not None:
        ax.axvline(
            suggested, color=VERMILLION, linestyle=(0, (5, 1.5)), label=f"suggested: {suggested:g}"
        )
    ax.set_xscale("log")
    ax.set_xlabel("learning rate (log scale)")
    ax.set_ylabel("loss")
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    legend_above(ax)
    return figure


@drawing
def plot_weights(model: Sequential, *, axes: Any = None, **layout: Unpack[Layout]) -> Figure:
    """Draw a histogram of each layer's weights, with its penalty.

    All panels share one axis of weights, unless the layers' ranges differ by a factor of five or
    more. Counts are on a logarithmic axis if a layer has more than 64 weights. Titles give the
    shape, the share of weights that are exactly zero, and the coefficients and value of the
    penalty.

    Parameters
    ----------
    model : Sequential
        Built.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    layers = dense_layers(model)
    weights = [np.asarray(layer.get_weights()[0], dtype=np.float64) for layer in layers]
    n_columns = min(3, len(layers))
    n_rows = -(-len(layers) // n_columns)
    limits = [1.05 * float(np.abs(w).max()) or 1.0 for w in weights]
    share = max(limits) < SHARED_SPAN * min(limits)
    figure, every = panels(
        axes, len(layers), max(4.2 * n_columns, 6.0), 2.9 * n_rows + 0.5, n_columns
    )
    for k, ax in enumerate(every):
        w, limit = weights[k], max(limits) if share else limits[k]
        edges = np.linspace(-limit, limit, WEIGHT_BINS + 1)
        counts = np.histogram(w, edges)[0]
        ax.stairs(
            counts,
            edges,
            fill=True,
            color=BLUE,
        )
        n_in, n_out = w.shape
        zero = float(np.mean(w == 0))
        shape = f"{layers[k].name}: {n_in:,} in, {n_out:,} out"
        sparse = f", {zero:.1%} zero" if zero else ""
        if w.size > FEW_WEIGHTS:
            ax.set_yscale("log")
            ax.set_ylim(bottom=0.7)
        else:
            ax.yaxis.set_major_locator(MaxNLocator(integer=True, steps=TICK_STEPS))
            ax.set_ylim(bottom=0)
        l1, l2 = penalties(layers[k])
        amount = l1 * float(np.abs(w).sum()) + l2 * float((w**2).sum())
        named = penalty_label(layers[k])
        note = f"{named}: penalty {amount:.3g}" if named else "no penalty"
        ax.set_title(f"{shape}\n{note}{sparse}")
        ax.set_xlim(-limit, limit)
        if k % n_columns == 0:
            ax.set_ylabel("number of weights")
        if k + n_columns >= len(layers):
            ax.set_xlabel("weight" if share else "weight (own scale)")
    return figure


@drawing
def plot_gradients(
    models: Sequential | Sequence[Sequential],
    x: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the size of the gradient of the summed output by each layer's weights.

    The size is the largest absolute entry of d(sum of outputs) / d(weights), on a logarithmic
    axis. First layers with a vanishing gradient cannot learn.

    Parameters
    ----------
    models : Sequential or sequence of Sequential
        One line for each model.
    x : array_like of shape (n, n_inputs), optional
        Rows whose outputs are summed. Default: the lecture's training inputs.
    labels : sequence of str, optional
        One name for each model. Default: its number of hidden layers and its activation.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    from .. import datasets

    several = [models] if isinstance(models, Sequential) else list(models)
    inputs = datasets.regression_train()[0] if x is None else np.asarray(x)
    figure, ax = one_panel(ax, 8, 5)
    deepest = 1
    for j, model in enumerate(several):
        layers = dense_layers(model)
        largest = np.array([float(np.abs(dw).max()) for dw, _ in model.gradients(inputs)])
        deepest = max(deepest, len(layers))
        hidden = count(len(layers) - 1, "hidden layer")
        ax.plot(
            np.arange(1, len(layers) + 1),
            np.where(largest > 0, largest, np.nan),  # a logarithmic axis has no zero
            marker="o",
            markersize=5,
            color=PALETTE[j % len(PALETTE)],
            label=labels[j] if labels is not None else f"{hidden}, {layers[0].activation}",
        )
    ax.set_yscale("log")
    ax.set_xlim(0.5, deepest + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=TICK_STEPS))
    ax.set(xlabel="layer", ylabel="largest |gradient| of the summed output")
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    legend_above(ax)
    return figure
