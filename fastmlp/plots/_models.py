"""What the figures read from a model: its layers, penalties, and its curve over a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils import arguments
from ..layers import Dense
from ..models import Sequential

Array = NDArray[Any]
Function = Callable[[Any], Any]


class CurveData(NamedTuple):
    """Grid to evaluate a fitted curve on, training points, true function."""

    x: Array  # (n, 1), increasing
    train: tuple[Array, Array] | None  # (m, 1), (m, n_outputs)
    true_function: Function | None


def dense_layers(model: Sequential) -> list[Dense]:
    """Return the model's Dense layers, in order.

    Raises
    ------
    ValueError
        If `model` is not a Sequential.
    """
    return arguments.instance("model", model, Sequential).dense_layers


def penalties(layer: Dense) -> tuple[float, float]:
    """Return the coefficients (l1, l2) of the penalty on a layer's weights."""
    regularizer = layer.kernel_regularizer
    return (0.0, 0.0) if regularizer is None else (regularizer.l1, regularizer.l2)


def penalty_label(layer: Dense) -> str:
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
    """Return the given data, or the lecture's regression data if nothing is given."""
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
    """Raise ValueError unless `n_inputs` is 1."""
    if n_inputs != 1:
        raise ValueError(
            "A curve needs a model with one input. plot_decision_boundary draws models with two, "
            f"plot_network and plot_weights any model. Received: {n_inputs} inputs"
        )


def model_inputs(model: object) -> int:
    """Return the number of inputs of a built model."""
    return arguments.instance("model", model, Sequential).network.n_inputs


def predict(
    model: Sequential, x: Array, preprocess: Function | None, postprocess: Function | None
) -> Array:
    """Return the model's predictions (n, k) at x, in the units of the data."""
    inputs = x if preprocess is None else preprocess(x)
    outputs = model.predict(np.asarray(inputs), verbose=0)
    if postprocess is not None:
        outputs = postprocess(outputs)
    return column(outputs, "predictions")
