"""How well a classifier predicts: ROC, precision and recall, confusion, calibration, gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .. import metrics
from ._layout import AS_DRAWN, Layout, drawing, one_panel, panels
from ._models import Array, column
from ._style import BLACK, BLUE, DASHES, GREY, INK, PALETTE, VERMILLION, legend_above, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 2000  # of a curve
_MOST_CLASSES = 7  # with a curve of their own
_MOST_CELLS = 16  # classes of a confusion matrix with written numbers
REFERENCE: dict[str, Any] = {"color": GREY, "linewidth": 1.2, "linestyle": (0, (5, 2)), "zorder": 1}


def _one_against_rest(
    y: ArrayLike, p: ArrayLike, class_names: Sequence[Any] | None
) -> list[tuple[str, Array, Array]]:
    """Return for each class to draw its name, labels (n,) and predictions (n,)."""
    true, scores = column(y, "y"), column(p, "p")
    if len(true) != len(scores):
        raise ValueError(
            f"y and p must be equally long. Received: {len(true)} and {len(scores)} rows"
        )
    codes = true.argmax(1) if true.shape[1] > 1 else true[:, 0]
    n_classes = scores.shape[1]
    names = [str(name) for name in class_names] if class_names is not None else [
        str(k) for k in range(max(2, n_classes))
    ]  # fmt: skip
    if n_classes <= 2:
        return [(names[1] if len(names) > 1 else "1", codes, scores[:, -1])]
    if len(names) != n_classes:
        raise ValueError(
            f"class_names must be as many as there are classes, {n_classes}. Received: {len(names)}"
        )
    counts = np.bincount(codes.astype(np.int64), minlength=n_classes)[:n_classes]
    shown = sorted(np.argsort(-counts, kind="stable")[:_MOST_CLASSES].tolist())
    return [(names[k], (codes == k).astype(np.float64), scores[:, k]) for k in shown]


def _thin(*arrays: Array) -> list[Array]:
    """Return at most so many points of a curve, with its ends."""
    n = len(arrays[0])
    keep = np.unique(np.linspace(0, n - 1, min(n, _MOST_POINTS)).round().astype(int))
    return [array[keep] for array in arrays]


def _square(ax: Axes, x_label: str, y_label: str) -> None:
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x_label, ylabel=y_label)
    ax.set_box_aspect(1)
    ax.grid(color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)


def _line(k: int) -> dict[str, Any]:
    return {"color": PALETTE[k % len(PALETTE)], "linestyle": DASHES[k // len(PALETTE)],
            "linewidth": 2.0, "zorder": 3, "clip_on": False}  # fmt: skip


def _legend_inside(ax: Axes, place: Any) -> None:
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles, [shortened(label, 44) for label in labels], loc=place, fontsize=8.5)


@drawing
def plot_roc(
    y: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[Any] | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the receiver operating characteristic with its area.

    Parameters
    ----------
    y : array_like of shape (n,)
        Class indices.
    p : array_like of shape (n,) or (n, n_classes)
        Probabilities of class 1, or of each class: then one curve for each of the seven classes
        with the most rows, against the rest.
    class_names : sequence of str, optional
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = one_panel(ax, 5.6, 5.8)
    for k, (name, true, scores) in enumerate(_one_against_rest(y, p, class_names)):
        fpr, tpr, _ = metrics.roc_curve(true, scores)
        area = metrics.auc(true, scores)
        ax.plot(*_thin(fpr, tpr), label=f"{name}: AUC {area:.3f}", **_line(k))
    ax.plot([0, 1], [0, 1], label="chance: AUC 0.5", **REFERENCE)
    _square(ax, "false positive rate", "true positive rate")
    _legend_inside(ax, "lower right")
    return figure


@drawing
def plot_precision_recall(
    y: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[Any] | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw precision against recall, with the average precision and the base rate.

    Parameters
    ----------
    y, p, class_names
        As for `plot_roc`.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    classes = _one_against_rest(y, p, class_names)
    figure, ax = one_panel(ax, 5.6, 5.8 + 0.17 * len(classes))
    for k, (name, true, scores) in enumerate(classes):
        precision, recall, _ = metrics.precision_recall_curve(true, scores)
        average = metrics.average_precision(true, scores)
        line, rate = _line(k), float(np.mean(true > 0.5))
        label = f"{shortened(name, 22)}: AP {average:.3f}, base rate {rate:.3f}"
        ax.plot(*_thin(recall, precision), drawstyle="steps-post", label=label, **line)
        ax.axhline(rate, **(REFERENCE | {"color": line["color"], "linewidth": 1.0}))
    _square(ax, "recall", "precision")
    ax.plot([], [], label="base rates", **REFERENCE)
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.01), fontsize=8)
    return figure


@drawing
def plot_confusion(
    y: ArrayLike,
    predicted: ArrayLike,
    *,
    class_names: Sequence[Any] | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the confusion matrix: rows by true and predicted class.

    A cell's colour and percentage are its share of the rows of its true class.

    Parameters
    ----------
    y : array_like of shape (n,)
        Class indices.
    predicted : array_like of int, shape (n,)
        Predicted class indices.
    class_names : sequence of str, optional
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    size = None if class_names is None else len(class_names)
    counts = metrics.confusion_matrix(y, predicted, size)
    n = len(counts)
    names = [str(k) for k in range(n)] if class_names is None else list(map(str, class_names))
    names = [shortened(name, 22) for name in names]
    side = min(12.0, 3.0 + 0.62 * n)
    figure, ax = one_panel(ax, side + 1.2, side + 0.5)
    total = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(total, 1)
    ax.imshow(shares, cmap=_blues(), vmin=0, vmax=1, aspect="equal")
    for i in range(n if n <= _MOST_CELLS else 0):
        for j in range(n):
            small = 9 if n <= 4 else 7.5 if n <= 9 else 6
            text = f"{counts[i, j]:,}\n{shares[i, j]:.0%}" if counts[i, j] else "0"
            label = ax.text(j, i, text, ha="center", va="center", fontsize=small,
                            color="white" if shares[i, j] > 0.55 else BLACK)  # fmt: skip
            label.set_gid(AS_DRAWN)
    long = max(map(len, names)) > 5 or n > 9
    ax.set_xticks(range(n), names, rotation=40 if long else 0, ha="right" if long else "center",
                  rotation_mode="anchor")  # fmt: skip
    ax.set_yticks(range(n), names)
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set(xlabel="predicted", ylabel="true")
    right = float(np.trace(counts) / counts.sum())
    ax.set_title(f"{right:.1%} of {counts.sum():,} rows right")
    return figure


def _blues() -> Any:
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.02, 0.92, 256)))


@drawing
def plot_calibration(
    y: ArrayLike,
    p: ArrayLike,
    *,
    n_bins: int = 10,
    class_names: Sequence[Any] | None = None,
    axes: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw how often a class occurs against its predicted probability, in bins of equal size.

    Bars are 95% intervals of the share. On the diagonal the probabilities are right; ECE is the
    mean distance from it. The lower panel counts the predictions.

    Parameters
    ----------
    y, p, class_names
        As for `plot_roc`.
    n_bins : int
        Number of bins.
    axes : Axes or sequence of Axes, optional
        Draw here, in as many as there are panels, instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (ax, below) = panels(
        axes, 2, 5.6, 6.6, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
    )
    edges = np.linspace(0, 1, 41)
    classes = _one_against_rest(y, p, class_names)
    for k, (name, true, scores) in enumerate(classes):
        found = metrics.calibration(true, scores, n_bins)
        line = _line(k)
        ax.errorbar(
            found.predicted, found.observed,
            yerr=np.maximum(
                [found.observed - found.lower, found.upper - found.observed], 0
            ),
            color=line["color"], marker="o", markersize=5, linewidth=1.6, elinewidth=0.9,
            capsize=2, label=f"{name}: ECE {found.ece:.3f}", zorder=3,
        )  # fmt: skip
        below.stairs(np.histogram(scores, edges)[0], edges, color=line["color"],
                     fill=len(classes) == 1, linewidth=1.2)  # fmt: skip
    ax.plot([0, 1], [0, 1], label="calibrated", **REFERENCE)
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), ylabel="share that occurred")
    ax.grid(color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    _legend_inside(ax, "upper left")
    below.set(xlabel="predicted probability", ylabel="rows")
    return figure


@drawing
def plot_gains(
    y: ArrayLike,
    p: ArrayLike,
    *,
    class_names: Sequence[Any] | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the share of a class that is found among the rows with the largest predictions.

    Parameters
    ----------
    y, p, class_names
        As for `plot_roc`.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = one_panel(ax, 5.6, 5.8)
    classes = _one_against_rest(y, p, class_names)
    for k, (name, true, scores) in enumerate(classes):
        rows, found = metrics.gains_curve(true, scores)
        tenth = float(np.interp(0.1, rows, found))
        line = _line(k)
        label = f"{name}: {tenth:.0%} in the first 10%, lift {tenth / 0.1:.1f}"
        ax.plot(*_thin(rows, found), label=label, **line)
        if len(classes) == 1:
            rate = float(np.mean(true > 0.5))
            ax.plot([0, rate, 1], [0, 1, 1], color=INK, linewidth=1.0, linestyle=(0, (1, 1.5)),
                    label="best possible", zorder=1)  # fmt: skip
    ax.plot([0, 1], [0, 1], label="any order", **REFERENCE)
    _square(ax, "share of rows, the largest predictions first", "share of the class found")
    _legend_inside(ax, "lower right")
    return figure


@drawing
def plot_class_scores(
    y: ArrayLike,
    predicted: ArrayLike,
    *,
    class_names: Sequence[Any] | None = None,
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw precision, recall and F1 of each class, and its number of rows.

    Parameters
    ----------
    y, predicted, class_names
        As for `plot_confusion`.
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    size = None if class_names is None else len(class_names)
    counts = metrics.confusion_matrix(y, predicted, size)
    n = len(counts)
    names = [str(k) for k in range(n)] if class_names is None else list(map(str, class_names))
    right = np.diag(counts)
    recall = right / np.maximum(counts.sum(1), 1)
    precision = right / np.maximum(counts.sum(0), 1)
    f1 = 2 * right / np.maximum(counts.sum(0) + counts.sum(1), 1)
    figure, ax = one_panel(ax, 8, 1.4 + 0.36 * max(n, 3))
    places = np.arange(n)
    ax.barh(places, f1, height=0.55, color="#DDDDDD", label="F1", zorder=1)
    ax.plot(precision, places, "o", color=BLUE, markersize=6, label="precision", zorder=3)
    ax.plot(recall, places, "D", color=VERMILLION, markersize=5.5, label="recall", zorder=3)
    rows = counts.sum(1)
    ax.set_yticks(
        places, [f"{shortened(name)} ({k:,})" for name, k in zip(names, rows, strict=True)]
    )
    ax.set_ylim(n - 0.4, -0.6)
    ax.set_xlim(-0.01, 1.01)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set(xlabel="share", ylabel="class (rows)")
    legend_above(ax)
    return figure
