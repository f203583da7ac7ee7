"""What training did: loss by epoch, weights by layer, gradients by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._models import activation_name, count, dense_layers, penalties, penalty_label
from ._style import BLACK, BLUE, PALETTE, VERMILLION, legend_above, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Values that span less than this factor are as easily read on a linear axis, which starts no
# argument about where its zero is.
LOG_SPAN = 8.0
WEIGHT_BINS = 101
FEW_WEIGHTS = 64
SHARED_SPAN = 5.0
STEPS = [1, 2, 5, 10]  # of ticks: 200, 400, 600, not 150, 300, 450


@styled
def plot_history(
    history: Any,
    log: bool | None = None,
    *,
    validation_epochs: Sequence[int] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw loss and metrics by epoch, training and validation, one panel for each quantity.

    Parameters
    ----------
    history : History or dict of lists
        What `fit` returns, or its `.history`.
    log : bool, optional
        Logarithmic axes or not. Default: for a loss or error that is positive throughout and
        spans a factor of 8 or more; never for an accuracy.
    validation_epochs : sequence of int, optional
        The epochs, from 1, after which validation was done. Default: as `history` says, or
        worked out from the lists' lengths, supposing equal distances.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    values: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    names = [name for name in values if not name.startswith("val_")]
    names.sort(key=lambda name: name != "loss")  # the loss first, the metrics in their order
    if not names or not len(values[names[0]]):
        raise ValueError(f"history must hold at least one epoch. Received: {dict(values)!r}")
    first = int((getattr(history, "epoch", None) or [0])[0])
    n_epochs = len(values[names[0]])
    epochs = np.arange(first + 1, first + n_epochs + 1)
    frequency = (getattr(history, "params", None) or {}).get("validation_freq")
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
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=STEPS))
    figure.align_ylabels()
    return figure


def _validation_epochs(frequency: int | Sequence[int], n_epochs: int) -> Sequence[int]:
    """Return the epochs, from 1, after which `fit` validated."""
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
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

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
        if low > 0 and high / low < 300:  # powers of ten alone would label too few ticks
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel(f"{label} (log scale)" if log else label)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    legend_above(ax)


@styled
def plot_weights(model: Any, *, title: str | None = None) -> Figure:
    """Draw a histogram of each layer's weights, with its penalty.

    All panels share one axis of weights, unless the layers' ranges differ fivefold or more; then
    each has its own. Counts are on a logarithmic axis where a layer has more than 64 weights.
    Titles give the shape, the share of weights that are exactly zero, the penalty parameters and
    the penalty that they amount to.

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
            ax.yaxis.set_major_locator(MaxNLocator(integer=True, steps=STEPS))
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
    models: Any,
    x: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw how large the gradient of the summed output is in each layer's weights.

    What is drawn is the entry of largest size of d(sum of outputs) / d(weights), on a logarithmic
    axis; where it falls to nothing in the first layers, they cannot learn.

    Parameters
    ----------
    models : Sequential or sequence of Sequential
        One line each.
    x : array_like of shape (n, n_inputs), optional
        Inputs to sum over. Default: the lecture's training inputs.
    labels : sequence of str, optional
        One name for each model. Default: its layers and units.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    from .. import datasets

    several = list(models) if isinstance(models, list | tuple) else [models]
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
            np.where(largest > 0, largest, np.nan),  # zero has no place on a logarithmic axis
            marker="o",
            markersize=5,
            color=PALETTE[j % len(PALETTE)],
            label=labels[j] if labels is not None else f"{hidden}, {activation_name(layers[0])}",
        )
    ax.set_yscale("log")
    ax.set_xlim(0.5, deepest + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=STEPS))
    ax.set(xlabel="layer", ylabel="largest |gradient| of the summed output")
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    legend_above(ax)
    return figure
