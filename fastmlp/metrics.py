"""Metrics: what is reported beside the loss, never with a penalty or sample weights in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _checks, losses
from .losses import (
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    poisson,
    sparse_categorical_crossentropy,
)

__all__ = [
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "Metric",
    "SparseCategoricalAccuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "get",
    "huber",
    "mean_absolute_error",
    "mean_squared_error",
    "poisson",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
]


def binary_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return each row's share of outputs on the right side of 0.5; 0.5 itself is class 0.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = losses._pair(y_true, y_pred)
    return ((pred > 0.5) == (true > 0.5)).mean(axis=1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1 for each row whose largest output is its class, else 0.

    Parameters
    ----------
    y_true : array-like of shape (n, k)
        Rows of 0 and 1.
    y_pred : array-like of shape (n, k)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = losses._pair(y_true, y_pred)
    return (true.argmax(axis=1) == pred.argmax(axis=1)).astype(np.float64)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1 for each row whose largest output is its class, else 0.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Class indices from 0.
    y_pred : array-like of shape (n, k)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = losses._classes_and_probabilities(y_true, y_pred)
    return (true == pred.argmax(axis=1)).astype(np.float64)


class Metric:
    """A metric and the name it is reported under.

    Parameters
    ----------
    name : str, optional
        The key in History; the class's own name by default.
    """

    engine: str | None = None  # None: which accuracy it is depends on the loss

    def __init__(self, name: str | None = None) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise ValueError(f"name must be a non-empty string. Received: name={name!r}")
        self.name = name or _checks.snake_case(type(self).__name__)

    def engine_name(self, loss: str, n_outputs: int) -> str:
        """Return the engine's name of the metric for a network with that loss."""
        if self.engine is not None:
            return self.engine
        if loss == "sparse_categorical_crossentropy":
            return "sparse_categorical_accuracy"
        if n_outputs == 1 or loss == "binary_crossentropy":
            return "binary_accuracy"
        return "categorical_accuracy"

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


class Accuracy(Metric):
    """Binary, categorical or sparse categorical accuracy, as the loss and outputs suggest."""


class BinaryAccuracy(Metric):
    """Share of outputs on the right side of 0.5."""

    engine = "binary_accuracy"


class CategoricalAccuracy(Metric):
    """Share of rows whose largest output is their class; y in rows of 0 and 1."""

    engine = "categorical_accuracy"


class SparseCategoricalAccuracy(Metric):
    """Share of rows whose largest output is their class; y as class indices."""

    engine = "sparse_categorical_accuracy"


class MeanSquaredError(Metric):
    """Mean over outputs and rows of (y_true - y_pred)**2."""

    engine = "mean_squared_error"


class MeanAbsoluteError(Metric):
    """Mean over outputs and rows of |y_true - y_pred|."""

    engine = "mean_absolute_error"


class Huber(Metric):
    """Huber's loss as a metric, with the delta of the loss where that is Huber's, else 1."""

    engine = "huber"


class Poisson(Metric):
    """The Poisson loss as a metric."""

    engine = "poisson"


class BinaryCrossentropy(Metric):
    """The binary cross-entropy as a metric."""

    engine = "binary_crossentropy"


class CategoricalCrossentropy(Metric):
    """The categorical cross-entropy as a metric."""

    engine = "categorical_crossentropy"


class SparseCategoricalCrossentropy(Metric):
    """The sparse categorical cross-entropy as a metric."""

    engine = "sparse_categorical_crossentropy"


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error

_CLASSES: tuple[type[Metric], ...] = (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    MeanSquaredError,
    MeanAbsoluteError,
    Huber,
    Poisson,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
_TABLE: dict[str, type[Metric]] = {str(cls.engine): cls for cls in _CLASSES}
_TABLE |= {alias: _TABLE[name] for alias, name in losses.ALIASES.items()}
_TABLE |= {"accuracy": Accuracy, "acc": Accuracy}
FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    name: globals()[name] for name in _TABLE if name in globals() and name not in losses.ALIASES
}


def get(identifier: Any) -> Metric:
    """Return the metric that `identifier` means, under the name it was given.

    Parameters
    ----------
    identifier : str, function of this module, Metric class or object

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        If there is none of that name; the message suggests the nearest.
    """
    if callable(identifier) and identifier in FUNCTIONS.values():
        identifier = identifier.__name__
    if isinstance(identifier, str):
        return _checks.lookup("metric", identifier, _TABLE)(name=identifier)
    return _checks.resolve("metric", identifier, Metric, _TABLE)
