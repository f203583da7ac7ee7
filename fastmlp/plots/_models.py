"""What the figures ask of a model: its dense layers, their names, its curve over a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils import arguments

Array = NDArray[Any]
Function = Callable[[Any], Any]


class CurveData(NamedTuple):
    """What surrounds a fitted curve: where to evaluate it, points to show, the truth."""

    x: Array  # (n, 1), increasing
    train: tuple[Array, Array] | None  # (m, 1), (m, n_outputs)
    true_function: Function | None


def is_dense(layer: Any) -> bool:
    """Tell layers with weights from those without, such as Dropout."""
    return hasattr(layer, "units")


def dense_layers(model: Any) -> list[Any]:
    """Return the model's layers that have weights, in order.

    Raises
    ------
    ValueError
        If it is no model.
    """
    if isinstance(model, type) or not hasattr(model, "layers"):
        raise ValueError(
            f"model must have layers, as a Sequential has. Received: {arguments.shown(model)}"
        )
    return [layer for layer in model.layers if is_dense(layer)]


def activation_name(layer: Any) -> str:
    """Return a layer's activation by name, be it kept as a name or as a function."""
    activation = getattr(layer, "activation", None) or "linear"
    return activation if isinstance(activation, str) else str(activation.__name__)


def penalties(layer: Any) -> tuple[float, float]:
    """Return the (l1, l2) penalty parameters on a layer's weights."""
    regularizer = getattr(layer, "kernel_regularizer", None)
    if regularizer is None:
        return 0.0, 0.0
    return float(getattr(regularizer, "l1", 0.0)), float(getattr(regularizer, "l2", 0.0))


def penalty_label(layer: Any) -> str:
    """Return for example 'L1 0.001, L2 0.01', or an empty text without a penalty."""
    named = zip(("L1", "L2"), penalties(layer), strict=True)
    return ", ".join(f"{name} {value:g}" for name, value in named if value)


def count(n: int, noun: str) -> str:
    """Return '1 unit', '1,024 units'."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def column(values: ArrayLike, name: str) -> Array:
    """Return values as an array of shape (n, k); (n,) becomes (n, 1)."""
    array = np.asarray(values)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not len(array):
        raise ValueError(
            f"{name} must have shape (n,) or (n, k) with n > 0. Received: shape {array.shape}"
        )
    return array


def curve_data(
    x: ArrayLike | None,
    train: tuple[ArrayLike, ArrayLike] | None,
    true_function: Function | None,
) -> CurveData:
    """Complete what was given; with nothing given, take the lecture's regression data."""
    from .. import datasets

    if x is None and train is None and true_function is None:
        return CurveData(
            datasets.grid(), datasets.regression_train(), datasets.regression_true_function
        )
    points = None
    if train is not None:
        points = column(train[0], "train x"), column(train[1], "train y")
        one_input(points[0].shape[1])
    if x is not None:
        grid = column(x, "x")
        one_input(grid.shape[1])
        grid = np.sort(grid, axis=0)
    elif points is not None:
        low, high = float(points[0].min()), float(points[0].max())
        grid = np.linspace(low, high, 201, dtype=np.float32)[:, None]
    else:
        grid = datasets.grid()
    return CurveData(grid, points, true_function)


def one_input(n_inputs: int) -> None:
    """Refuse to draw as a curve what has several inputs."""
    if n_inputs != 1:
        raise ValueError(
            "A curve needs a model with one input; plot_network and plot_weights draw any, "
            f"plot_decision_boundary two. Received: {n_inputs} inputs"
        )


def model_inputs(model: Any) -> int:
    """Return how many inputs a built model has."""
    weights = dense_layers(model)[0].get_weights()
    return int(np.asarray(weights[0]).shape[0])


def predict(
    model: Any, x: Array, preprocess: Function | None, postprocess: Function | None
) -> Array:
    """Return the model's predictions (n, k) at x, in the data's own units."""
    inputs = x if preprocess is None else preprocess(x)
    outputs = model.predict(np.asarray(inputs), verbose=0)
    if postprocess is not None:
        outputs = postprocess(outputs)
    return column(outputs, "predictions")
