"""Training: loss by epoch, histograms of weights, gradients by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._model.history import History
from .._utils import arguments
from ..models import Sequential
from ._models import count, dense_layers, penalties, penalty_label
from ._style import (
    BLACK,
    BLUE,
    PALETTE,
    TICK_STEPS,
    VERMILLION,
    legend_above,
    new_figure,
    plain_log_ticks,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Values that span a smaller factor have a linear axis.
LOG_SPAN = 8.0
WEIGHT_BINS = 101
FEW_WEIGHTS = 64
SHARED_SPAN = 5.0


@styled
def plot_history(
    history: History | Mapping[str, Sequence[float]],
    log: bool | None = None,
    *,
    validation_epochs: Sequence[int] | None = None,
    title: str | None = None,
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
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    first, frequency = 0, None
    values: Mapping[str, Sequence[float]]
    if isinstance(history, History):
        values, frequency = history.history, history.params.get("validation_freq")
        first = history.epoch[0] if history.epoch else 0
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
    if validation_epochs is None and frequency is not None:
        validation_epochs = _validation_epochs(frequency, n_epochs)
    figure = new_figure(8, 1.4 + 3.2 * len(names), title)
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(axes, names, strict=True):
        validation = values.get(f"val_{name}", ())
        at = epochs
        if validation_epochs is not None:
            at = np.asarray(validation_epochs)[: len(validation)]
        elif 0 < len(validation) < n_epochs:
            every = n_epochs // len(validation)
            at = epochs[every - 1 :: every][: len(validation)]
        _history_panel(ax, name, (epochs, values[name]), (at, validation), log)
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=TICK_STEPS))
    figure.align_ylabels()
    return figure


def _validation_epochs(frequency: int | Sequence[int], n_epochs: int) -> Sequence[int]:
    """Return the epochs, from 1, after which `fit` validated the model."""
    if isinstance(frequency, int):
        return range(frequency, n_epochs + 1, frequency)
    return sorted(epoch for epoch in frequency if epoch <= n_epochs)


def _history_panel(
    ax: Axes,
    name: str,
    train: tuple[Any, Sequence[float]],
    validation: tuple[Any, Sequence[float]],
    log: bool | None,
) -> None:
    label = name.replace("_", " ")
    marker: dict[str, Any] = {"marker": "o", "markersize": 4}
    ax.plot(*train, color=BLUE, label="training", **(marker if len(train[1]) <= 20 else {}))
    if len(validation[1]):
        few = marker if len(validation[1]) <= 20 else {}
        dashes: dict[str, Any] = {
            "linestyle": (0, (5, 1.5)),
            "color": VERMILLION,
            "label": "validation",
        }
        ax.plot(*validation, **dashes, **few)
        best = int(np.argmax(validation[1]) if "accuracy" in name else np.argmin(validation[1]))
        ax.plot(
            validation[0][best],
            validation[1][best],
            linestyle="none",
            marker="D",
            markersize=8,
            color=VERMILLION,
            markeredgecolor=BLACK,
            zorder=4,
            label=f"best validation: {validation[1][best]:.4g}, epoch {validation[0][best]}",
        )
    everything = np.asarray([*train[1], *validation[1]], dtype=np.float64)
    low, high = everything.min(), everything.max()
    if log is None:
        log = bool("accuracy" not in name and low > 0 and high / low >= LOG_SPAN)
    if log:
        ax.set_yscale("log")
        plain_log_ticks(ax.yaxis, high / low if low > 0 else np.inf)
    ax.set_ylabel(f"{label} (log scale)" if log else label)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    legend_above(ax)


@styled
def plot_rates(
    rates: ArrayLike, losses: ArrayLike, suggested: float | None = None, *, title: str | None = None
) -> Figure:
    """Draw the loss over a learning rate that rises with every step.

    Parameters
    ----------
    rates, losses : array-like of shape (n,)
        As `tabular.find_rate` returns them.
    suggested : float, optional
        Marked by a line.
    title : str, optional

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
    figure = new_figure(8, 4.5, title)
    ax = figure.subplots()
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


@styled
def plot_weights(model: Sequential, *, title: str | None = None) -> Figure:
    """Draw a histogram of each layer's weights, with its penalty.

    All panels share one axis of weights, unless the layers' ranges differ by a factor of five or
    more. Counts are on a logarithmic axis if a layer has more than 64 weights. Titles give the
    shape, the share of weights that are exactly zero, and the coefficients and value of the
    penalty.

    Parameters
    ----------
    model : Sequential
        Built.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    layers = dense_layers(model)
    weights = [np.asarray(layer.get_weights()[0], dtype=np.float64) for layer in layers]
    n_columns = min(3, len(layers))
    n_rows = -(-len(layers) // n_columns)
    figure = new_figure(max(4.2 * n_columns, 6.0), 2.9 * n_rows + 0.5, title)
    limits = [1.05 * float(np.abs(w).max()) or 1.0 for w in weights]
    share = max(limits) < SHARED_SPAN * min(limits)
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for k, ax in enumerate(axes.flat):
        if k >= len(layers):
            ax.set_visible(False)
            continue
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


@styled
def plot_gradients(
    models: Sequential | Sequence[Sequential],
    x: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
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
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    from .. import datasets

    several = [models] if isinstance(models, Sequential) else list(models)
    inputs = datasets.regression_train()[0] if x is None else np.asarray(x)
    figure = new_figure(8, 5, title)
    ax = figure.subplots()
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
