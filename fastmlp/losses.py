"""Losses under Keras's names: functions of one value a row, and classes of one value in all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _checks

FLOOR = 1e-7  # probabilities are clipped to [FLOOR, 1 - FLOOR], as Keras does


def _pair(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 of one shape (n, k); (n,) and (n, 1) mean the same."""
    true, pred = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    true = true.reshape(-1, 1) if true.ndim < 2 else true
    pred = pred.reshape(-1, 1) if pred.ndim < 2 else pred
    if true.shape != pred.shape:
        raise ValueError(
            "y_true and y_pred must have the same shape. "
            f"Received: y_true of shape {true.shape}, y_pred of shape {pred.shape}"
        )
    return true, pred


def _classes_and_probabilities(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    pred = np.asarray(y_pred, np.float64)
    true = np.asarray(y_true).reshape(-1).astype(np.intp)
    if pred.ndim != 2 or len(true) != len(pred):
        raise ValueError(
            "y_true must be class indices (n,) and y_pred probabilities (n, k). "
            f"Received: y_true of shape {np.shape(y_true)}, y_pred of shape {pred.shape}"
        )
    return true, pred


def mean_squared_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the mean of (y_true - y_pred)**2 over each row's outputs.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return np.square(true - pred).mean(axis=1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the mean of |y_true - y_pred| over each row's outputs.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return np.abs(true - pred).mean(axis=1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> np.ndarray:
    """Return the mean of Huber's loss over each row's outputs.

    e**2 / 2 for an error |e| <= delta, delta * (|e| - delta / 2) beyond.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)
    delta : float

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    error = np.abs(true - pred)
    inside = np.minimum(error, delta)
    return (inside * (error - 0.5 * inside)).mean(axis=1)


def poisson(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the mean of y_pred - y_true * log(y_pred + 1e-7) over each row's outputs.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)
        Counts, at least 0, and their expectations, above 0.

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return (pred - true * np.log(pred + FLOOR)).mean(axis=1)


def binary_crossentropy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the mean of -y*log(p) - (1 - y)*log(1 - p) over each row's outputs.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)
        Labels and probabilities; the latter are clipped to [1e-7, 1 - 1e-7].

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    pred = np.clip(pred, FLOOR, 1 - FLOOR)
    return -(true * np.log(pred) + (1 - true) * np.log(1 - pred)).mean(axis=1)


def categorical_crossentropy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return minus the sum of y*log(p) over each row's classes.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k)
        Rows of 0 and 1, and probabilities, clipped to [1e-7, 1 - 1e-7].

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return -(true * np.log(np.clip(pred, FLOOR, 1 - FLOOR))).sum(axis=1)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return -log of the probability of each row's class.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Class indices from 0.
    y_pred : array-like of shape (n, k)
        Probabilities, clipped to [1e-7, 1 - 1e-7].

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _classes_and_probabilities(y_true, y_pred)
    return -np.log(np.clip(pred[np.arange(len(true)), true], FLOOR, 1 - FLOOR))


class Loss:
    """Base class: called with (y_true, y_pred, sample_weight=None), it returns one float.

    Attributes
    ----------
    name : str
        The engine's and Keras's name of the loss.
    """

    name: str
    function: Callable[..., np.ndarray]

    def rows(self, y_true: Any, y_pred: Any) -> np.ndarray:
        """Return each row's loss, shape (n,)."""
        return type(self).function(y_true, y_pred, **self.get_config())

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return sum_i(w_i * loss_i) / n.

        Parameters
        ----------
        y_true, y_pred : array-like
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
        """
        rows = self.rows(y_true, y_pred)
        if sample_weight is not None:
            rows = rows * np.asarray(sample_weight, np.float64).reshape(rows.shape)
        return float(rows.mean())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(vars(self))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class MeanSquaredError(Loss):
    """Mean over outputs and rows of (y_true - y_pred)**2."""

    name = "mean_squared_error"
    function = mean_squared_error


class MeanAbsoluteError(Loss):
    """Mean over outputs and rows of |y_true - y_pred|."""

    name = "mean_absolute_error"
    function = mean_absolute_error


class Huber(Loss):
    """A square for small errors, a line for large ones.

    Parameters
    ----------
    delta : float
        Where the one turns into the other.
    """

    name = "huber"
    function = huber

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = _checks.number("delta", delta, "a finite number above 0", lambda v: v > 0)


class Poisson(Loss):
    """Negative log-likelihood of counts, up to a term without the prediction."""

    name = "poisson"
    function = poisson


class BinaryCrossentropy(Loss):
    """Negative log-likelihood of labels 0 and 1, or of any probability between."""

    name = "binary_crossentropy"
    function = binary_crossentropy


class CategoricalCrossentropy(Loss):
    """Negative log-likelihood of classes given as rows of 0 and 1."""

    name = "categorical_crossentropy"
    function = categorical_crossentropy


class SparseCategoricalCrossentropy(Loss):
    """Negative log-likelihood of classes given as indices."""

    name = "sparse_categorical_crossentropy"
    function = sparse_categorical_crossentropy


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error

_CLASSES: tuple[type[Loss], ...] = (
    MeanSquaredError,
    MeanAbsoluteError,
    Huber,
    Poisson,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "bce": "binary_crossentropy"}
_TABLE: dict[str, type[Loss]] = {cls.name: cls for cls in _CLASSES}
_TABLE |= {alias: _TABLE[name] for alias, name in ALIASES.items()} | {"huber_loss": Huber}
_FUNCTIONS: dict[Any, type[Loss]] = {cls.function: cls for cls in _CLASSES}


def get(identifier: Any) -> Loss:
    """Return the loss that `identifier` means.

    Parameters
    ----------
    identifier : str, function of this module, Loss class or object

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If there is none of that name; the message suggests the nearest.
    """
    if callable(identifier) and not isinstance(identifier, (Loss, type)):
        identifier = _FUNCTIONS.get(identifier, identifier)
    return _checks.resolve("loss", identifier, Loss, _TABLE)
