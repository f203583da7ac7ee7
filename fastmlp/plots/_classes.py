"""Classes over two inputs: points, and a classifier's decision regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .._utils import arguments
from ..models import Sequential
from ._layout import Layout, drawing, one_panel
from ._models import Array, Function, column, model_inputs
from ._results import EnsembleFigures, follows
from ._style import INK, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The lecture's colours: classes 0 and 1 on plasma, without the ends of the scale.
COLOUR_MAP = "plasma"
LOW, HIGH = -0.2, 1.2
BACKGROUND_ALPHA = 0.2
MANY_CLASSES = 4  # with more, the legend names each once
# Markers differ too, for readers and printers without colour.
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")


def class_colours(n_classes: int) -> list[tuple[float, float, float, float]]:
    """Return the colour of each class: equal steps from 0 to 1 on the scale from -0.2 to 1.2."""
    import matplotlib

    colour_map = matplotlib.colormaps[COLOUR_MAP]
    values = np.arange(n_classes) / max(n_classes - 1, 1)
    return [colour_map(float(v)) for v in (values - LOW) / (HIGH - LOW)]


def class_indices(y: ArrayLike) -> Array:
    """Return class numbers (n,) from class numbers or from one column per class."""
    array = column(y, "train_y")
    indices = np.argmax(array, axis=1) if array.shape[1] > 1 else array[:, 0]
    if not np.all(np.isfinite(indices)) or np.any(indices < 0) or np.any(indices % 1):
        raise ValueError(
            "train_y must hold class numbers 0, 1, ... or one column per class. "
            f"Received: values from {np.min(indices)} to {np.max(indices)}"
        )
    return indices.astype(np.int64)


def class_shares(outputs: Array) -> Array:
    """Return a probability of each class, (n, n_classes), from a classifier's outputs."""
    outputs = np.clip(outputs, 0, 1)
    if outputs.shape[1] == 1:
        return np.concatenate([1 - outputs, outputs], axis=1)
    total = outputs.sum(1, keepdims=True)
    return np.asarray(outputs / np.where(total > 0, total, 1))


def draw_shares(ax: Axes, axes: tuple[Array, Array], shares: Array, n_classes: int) -> None:
    """Shade the plane by the classes' probabilities, with lines between the classes.

    Parameters
    ----------
    ax : Axes
    axes : tuple of ndarray
        Places along both axes, evenly spaced.
    shares : ndarray of shape (len(x2), len(x1), k)
        Probabilities of the classes at each place.
    n_classes : int
        Number of classes, at least k.
    """
    x1, x2 = axes
    k = shares.shape[2]
    colours = np.array(class_colours(n_classes))[:k, :3]
    sure = (shares.max(2) - 1 / k) / (1 - 1 / k)
    weights = shares**2
    total = weights.sum(2, keepdims=True)  # 0 where a network gives no class a share
    mixed = weights @ colours / np.where(total > 0, total, 1)
    alpha = BACKGROUND_ALPHA * (0.25 + 1.5 * np.clip(sure, 0, 1))
    # Half a step outwards, so that each pixel has its mesh point at its centre.
    half = [(x[-1] - x[0]) / (len(x) - 1) / 2 for x in axes]
    ax.imshow(
        np.concatenate([mixed, alpha[..., None]], axis=2), origin="lower",
        extent=(x1[0] - half[0], x1[-1] + half[0], x2[0] - half[1], x2[-1] + half[1]),
        interpolation="bilinear", aspect="auto", zorder=0,
    )  # fmt: skip
    for j in range(1 if k == 2 else 0, k):
        lead = shares[:, :, j] - np.delete(shares, j, axis=2).max(2)
        if lead.min() < 0 < lead.max():
            ax.contour(x1, x2, lead, levels=[0.0], colors=[INK], linewidths=1.1, zorder=1)


def draw_true_boundary(
    ax: Axes, limits: Sequence[tuple[float, float]], probability: Function
) -> None:
    """Draw a line where the true probability of class 1 is 0.5."""
    x1, x2 = (np.linspace(low, high, 201) for low, high in limits)
    mesh = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    p = np.reshape(probability(mesh), (len(x2), len(x1)))
    ax.contour(x1, x2, p, levels=[0.5], colors=[INK], linestyles="dashed", linewidths=1.4)
    ax.plot([], [], color=INK, linestyle="dashed", linewidth=1.4, label="true boundary")


def _draw_validation(ax: Axes, x: Array, classes: Array, n_classes: int) -> None:
    colours = class_colours(n_classes)
    for k in range(n_classes):
        rows = classes == k
        ax.plot(
            x[rows, 0], x[rows, 1], linestyle="none", marker=MARKERS[k % len(MARKERS)],
            markersize=3.5, markerfacecolor="none", markeredgecolor=colours[k],
            markeredgewidth=0.7, alpha=0.8, label="validation points" if k == 0 else "_", zorder=2,
        )  # fmt: skip


def _ring_errors(ax: Axes, x: Array, wrong: Array) -> list[Any]:
    """Draw a ring around each wrong point; return it for the legend."""
    if not wrong.any():
        return []
    size = 11 if len(x) <= 200 else 7.5
    return ax.plot(
        x[wrong, 0], x[wrong, 1], linestyle="none", marker="o", markersize=size,
        markerfacecolor="none", markeredgecolor=INK, markeredgewidth=0.1 * size,
        label=f"{int(wrong.sum()):,} of {len(x):,} wrong", zorder=4,
    )  # fmt: skip


def predicted_classes(outputs: Array) -> Array:
    """Return class numbers (n,): the largest column, or p > 0.5 of a single column."""
    if outputs.shape[1] > 1:
        return np.argmax(outputs, axis=1)
    return (outputs[:, 0] > 0.5).astype(np.int64)


def two_inputs(x: ArrayLike) -> Array:
    """Return x as an array of shape (n, 2), or raise ValueError."""
    array = column(x, "train_x")
    if array.shape[1] != 2:
        raise ValueError(f"train_x must have shape (n, 2). Received: shape {array.shape}")
    return array


def _draw_points(
    ax: Axes, x: Array, classes: Array, n_classes: int, names: Sequence[str] | None
) -> None:
    colours = class_colours(n_classes)
    for k in range(n_classes):
        rows = classes == k
        if names is None and not rows.any():
            continue
        ax.plot(
            x[rows, 0],
            x[rows, 1],
            linestyle="none",
            marker=MARKERS[k % len(MARKERS)],
            markersize=6 if len(x) <= 200 else 4,
            color=colours[k],
            markeredgecolor="white",
            markeredgewidth=0.6 if len(x) <= 200 else 0.3,
            label=names[k] if names is not None else f"class {k}",
            zorder=3,
        )


def _lecture_points() -> tuple[Array, Array]:
    from .. import datasets

    x, y = datasets.classification_train()
    return x, y


@drawing
def plot_classification_data(
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    probability: Function | None = None,
    class_names: Sequence[str] | None = None,
    x1_label: str = "x1",
    x2_label: str = "x2",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw points of two inputs, coloured and shaped by class.

    Parameters
    ----------
    x : array_like of shape (n, 2), optional
        Default, with y: the lecture's training points.
    y : array_like of shape (n,), (n, 1) or (n, n_classes), optional
        Class numbers, or one column per class.
    probability : callable, optional
        Maps points (m, 2) to the true probability of class 1. A line is drawn where it is 0.5.
    class_names : sequence of str, optional
        Names for the legend, by class number.
    x1_label, x2_label : str, optional
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
    if x is None or y is None:
        x, y = _lecture_points()
    points, classes = two_inputs(x), class_indices(y)
    n_classes = len(class_names) if class_names is not None else max(2, int(classes.max()) + 1)
    figure, ax = one_panel(ax, 7, 7)
    ax.set_box_aspect(1)
    _draw_points(ax, points, classes, n_classes, class_names)
    if probability is not None:
        draw_true_boundary(ax, [data_limits(points[:, j]) for j in (0, 1)], probability)
    ax.set(xlabel=x1_label, ylabel=x2_label)
    legend_above(ax, ncols=5)
    return figure


@drawing
def plot_decision_boundary(
    model: Sequential | EnsembleFigures,
    preprocess: Function | None = None,
    x1lim: tuple[float, float] | None = None,
    x2lim: tuple[float, float] | None = None,
    gridlen: int = 201,
    train_x: ArrayLike | None = None,
    train_y: ArrayLike | None = None,
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    probability: Function | None = None,
    predicted: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    x1_label: str = "x1",
    x2_label: str = "x2",
    ax: Any = None,
    **layout: Unpack[Layout],
) -> Figure:
    """Draw the probabilities that a model predicts over the plane, and the training points.

    The colour of a place is that of its classes, the stronger the surer the model is. Lines are
    where two classes are equally likely. Training points of which the model predicts another class
    have a ring.

    Parameters
    ----------
    model : Sequential or Ensemble
        A classifier. A single output is the probability of class 1; otherwise there is one per
        class.
    preprocess : callable, optional
        Maps points (m, 2) to the model's inputs.
    x1lim, x2lim : tuple (low, high), optional
        Limits of the axes. Default: the range of the training points and 5% on either side.
    gridlen : int
        Number of mesh points along each axis.
    train_x : array_like of shape (n, 2), optional
        Training points, before `preprocess`. Default, with train_y: the lecture's.
    train_y : array_like of shape (n,), (n, 1) or (n, n_classes), optional
    validation : tuple (x, y), optional
        Validation points, drawn small and open behind the training points.
    probability : callable, optional
        Maps points (m, 2) to the true probability of class 1. A line is drawn where it is 0.5.
    predicted : array_like of int, shape (n,), optional
        The classes predicted for the training points, which decide on rings, if they depend on
        more than both inputs. Default: the model's predictions for `preprocess` of the points.
    class_names : sequence of str, optional
        Names for the legend, by class number.
    x1_label, x2_label : str, optional
    ax : Axes, optional
        Draw here instead of in a new figure.
    **layout
        `title`, `size` and `theme`, as for every figure; see `plots`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If limits or shapes are wrong, or the model's inputs do not match.
    """
    from matplotlib.patches import Patch

    if (train_x is None) != (train_y is None):
        raise ValueError("train_x and train_y go together. Received: only one of them")
    gridlen = arguments.integer("gridlen", gridlen, 2)
    if train_x is None or train_y is None:
        train_x, train_y = _lecture_points()
    points, classes = two_inputs(train_x), class_indices(train_y)
    limits = [
        _limits(points[:, 0], x1lim, "x1lim"),
        _limits(points[:, 1], x2lim, "x2lim"),
    ]
    x1, x2 = (np.linspace(low, high, gridlen, dtype=np.float32) for low, high in limits)
    mesh = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    inputs = np.asarray(mesh if preprocess is None else preprocess(mesh))
    n_inputs = model.n_inputs if follows(model, EnsembleFigures) else model_inputs(model)
    if inputs.ndim != 2 or inputs.shape[1] != n_inputs:
        raise ValueError(
            "plot_decision_boundary needs a model of two inputs, or of as many as preprocess "
            f"returns. Received: inputs of shape {inputs.shape}, a model of {n_inputs} inputs"
        )
    shares = class_shares(column(model.predict(inputs, verbose=0), "predictions"))
    n_classes = max(shares.shape[1], int(classes.max()) + 1)

    figure, ax = one_panel(ax, 7, 7)
    ax.set_box_aspect(1)
    draw_shares(ax, (x1, x2), shares.reshape(gridlen, gridlen, -1), n_classes)
    if probability is not None:
        draw_true_boundary(ax, limits, probability)
    if validation is not None:
        _draw_validation(ax, two_inputs(validation[0]), class_indices(validation[1]), n_classes)
    _draw_points(ax, points, classes, n_classes, class_names)
    handles, labels = ax.get_legend_handles_labels()
    if predicted is None:
        at_points = np.asarray(points if preprocess is None else preprocess(points))
        predicted = predicted_classes(column(model.predict(at_points, verbose=0), "predictions"))
    rings = _ring_errors(ax, points, np.asarray(predicted).reshape(-1) != classes)
    ax.set(xlim=limits[0], ylim=limits[1], xlabel=x1_label, ylabel=x2_label)
    for k, colour in enumerate(class_colours(n_classes)):
        handles.append(Patch(facecolor=(*colour[:3], BACKGROUND_ALPHA)))
        labels.append(f"predicted {class_names[k] if class_names is not None else k}")
    if n_classes > MANY_CLASSES:  # the points' colours name the regions
        handles, labels = handles[:-n_classes], labels[:-n_classes]
    elif n_classes > 2 and len(handles) == 2 * n_classes:
        # The legend fills columns downwards: put each class's region under its points.
        order = [k + n_classes * region for k in range(n_classes) for region in (0, 1)]
        handles, labels = [handles[i] for i in order], [labels[i] for i in order]
    named = [str(ring.get_label()) for ring in rings]
    if n_classes == 2:
        handles, labels = handles + rings, labels + named
    else:  # columns are filled downwards, the first with one more: pairs stay together
        handles, labels = rings + handles, named + labels
    columns = 4 if n_classes <= MANY_CLASSES else 5
    legend_above(ax, handles, labels, ncols=4 if n_classes == 2 else min(n_classes, columns))
    return figure


def data_limits(values: Array) -> tuple[float, float]:
    """Return the range of the values with a margin of 5% on either side."""
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _limits(values: Array, limits: tuple[float, float] | None, name: str) -> tuple[float, float]:
    if limits is None:
        return data_limits(values)
    low, high = float(limits[0]), float(limits[1])
    if not low < high:
        raise ValueError(f"{name} must be (low, high) with low < high. Received: {name}={limits}")
    return low, high
