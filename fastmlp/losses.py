"""Losses under Keras's names: functions return one value per row, classes one value in all.

For the same outputs, a loss has the same value wherever it is reported: by these functions and
classes, `fit`, `evaluate`, metrics and ensembles. Cross-entropies are defined as in Keras: outputs
are divided by their sum (except for the binary one) and clipped to [1e-7, 1 - 1e-7]. The loss of a
row is at most 16.12, which is also the loss of a row whose outputs are all 0. In training, the
gradient is taken with respect to the logits before a sigmoid or softmax, so the clip does not
make it zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ._utils import arguments as _arguments
from ._utils import arrays
from ._utils.names import LOSS_ALIASES, LOSSES
from ._utils.settings import Configurable
from .errors import DataError

SPARSE = "sparse_categorical_crossentropy"  # the one that reads y as class indices
FLOOR = 1e-7  # probabilities are clipped to [FLOOR, 1 - FLOOR], as Keras does


def _numbers(name: str, value: Any) -> np.ndarray:
    """Return an array of real numbers as float64."""
    array = arrays.numeric(name, value).astype(np.float64, copy=False)
    if not array.size or array.ndim > 2:
        raise DataError(f"{name} must have rows and columns. Received: shape {array.shape}")
    return array


def _pair(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 of one shape (n, k); (n,) and (n, 1) mean the same."""
    true, pred = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    true = true.reshape(-1, 1) if true.ndim < 2 else true
    pred = pred.reshape(-1, 1) if pred.ndim < 2 else pred
    if true.shape != pred.shape:
        raise ValueError(
            "y_true and y_pred must have the same shape. "
            f"Received: y_true of shape {true.shape}, y_pred of shape {pred.shape}"
        )
    return true, pred


def _classes_and_probabilities(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    given, pred = _numbers("y_true", y_true).reshape(-1), _numbers("y_pred", y_pred)
    if pred.ndim == 2 and len(given) == len(pred):
        with np.errstate(invalid="ignore"):  # NaN, which is not a class
            good = (given >= 0) & (given < pred.shape[1])
        if not good.all():
            raise ValueError(
                f"y_true must hold class indices from 0 to {pred.shape[1] - 1}, one for each "
                f"column of y_pred. Received: {given[~good][0]:g}"
            )
        return given.astype(np.intp), pred
    raise ValueError(
        "y_true must be class indices (n,) and y_pred probabilities (n, k). "
        f"Received: y_true of shape {np.shape(y_true)}, y_pred of shape {pred.shape}"
    )


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


def pinball(y_true: Any, y_pred: Any, quantile: float = 0.5) -> np.ndarray:
    """Return the mean of the pinball loss over each row's outputs.

    max(q * e, (q - 1) * e) for an error e = y_true - y_pred and the quantile q.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)
    quantile : float
        In (0, 1).

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    error = true - pred
    return np.maximum(quantile * error, (quantile - 1) * error).mean(axis=1)


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
    return -(true * np.log(pred) + (1 - true) * np.log1p(-pred)).mean(axis=1)


def _clipped_shares(pred: np.ndarray) -> np.ndarray:
    """Return each row's outputs divided by their sum, and clipped; rows of 0 are only clipped."""
    total = pred.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0, or outputs whose sum is 0
        shares = np.where((pred == 0) & (total == 0), 0.0, pred / total)
    return np.clip(shares, FLOOR, 1 - FLOOR)


def categorical_crossentropy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return minus the sum of y*log(p) over each row's classes.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k)
        Rows of 0 and 1, and probabilities: each row is divided by its sum, then clipped to
        [1e-7, 1 - 1e-7]. A row of zeros stays 0 before the clip.

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return -(true * np.log(_clipped_shares(pred))).sum(axis=1)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return -log of the probability of each row's class.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Class indices from 0.
    y_pred : array-like of shape (n, k)
        Probabilities: each row is divided by its sum, then clipped to [1e-7, 1 - 1e-7].

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _classes_and_probabilities(y_true, y_pred)
    shares = _clipped_shares(pred)
    rows = -np.log(shares[np.arange(len(true)), true])
    return np.where(np.isnan(shares).any(axis=1), np.nan, rows)


class Loss(Configurable):
    """Base class: called with (y_true, y_pred, sample_weight=None), it returns one float.

    To write a loss, define `call` in a subclass, or pass a function that returns what `call` does.
    Training then makes its steps from Python, with the same kernels forward and backward. This is
    slower for small networks, but hardly for large ones.

    Attributes
    ----------
    name : str
        Name of the loss in the kernels and in Keras; by default the class name in snake case.
    """

    name: str
    function: Callable[..., Any]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = _arguments.snake_case(cls.__name__)

    @property
    def in_python(self) -> bool:
        """Whether the loss is written in Python and not known to the kernels."""
        return type(self).call is not Loss.call

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[Any, Any]:
        """Return each row's loss and its gradient with respect to that row's outputs.

        Parameters
        ----------
        y_true : ndarray of shape (n, m)
            Rows of y in the model's type; m can differ from the number of outputs.
        y_pred : ndarray of shape (n, n_outputs)
            The model's outputs for these rows, after the last activation.

        Returns
        -------
        values : ndarray of shape (n,)
            Each row's loss, without sample weights, penalty or division by n.
        gradient : ndarray of shape (n, n_outputs)
            d values[i] / d y_pred[i, j].
        """
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def values_and_gradient(
        self, y_true: np.ndarray, y_pred: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the result of `call` as float64, with its shapes checked."""
        y_true, y_pred = arrays.read_only(y_true), arrays.read_only(y_pred)
        with arrays.unwritten(f"Loss {self.name!r}"):
            result = self.call(y_true, y_pred)
        n, width = y_pred.shape
        pair = result if isinstance(result, (tuple, list)) and len(result) == 2 else None
        if pair is not None:
            with contextlib.suppress(TypeError, ValueError):
                values, gradient = (np.asarray(part, np.float64) for part in pair)
                # (n,) and (n, 1) mean the same; nothing is broadcast.
                by_output = {(n, width), (n,) if width == 1 else (n, width)}
                if values.shape in ((n,), (n, 1)) and gradient.shape in by_output:
                    return values.reshape(n), gradient.reshape(n, width)
        raise ValueError(
            f"Loss {self.name!r} must return (values, gradient): one value per row, of shape "
            f"({n},), and its gradient by the outputs, of shape ({n}, {width}). "
            f"Received: {', '.join(map(_described, pair)) if pair else _described(result)}"
        )

    def rows(self, y_true: Any, y_pred: Any) -> np.ndarray:
        """Return each row's loss, shape (n,)."""
        if self.in_python:
            true, pred = np.asarray(y_true), np.asarray(y_pred)
            true = true.reshape(-1, 1) if true.ndim < 2 else true
            pred = pred.reshape(-1, 1) if pred.ndim < 2 else pred
            return self.values_and_gradient(true, pred)[0]
        values: np.ndarray = type(self).function(y_true, y_pred, **self.get_config())
        return values

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
            weight = _numbers("sample_weight", sample_weight)
            if weight.shape not in (rows.shape, (*rows.shape, 1)):
                raise DataError(
                    f"sample_weight must have shape {rows.shape}, one value per row. "
                    f"Received: shape {weight.shape}"
                )
            rows = rows * weight.reshape(rows.shape)
        return float(rows.mean())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Make a loss from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + ("" if shape is None else f" of shape {shape}")


class FunctionLoss(Loss):
    """A loss given as a function.

    Parameters
    ----------
    function : callable
        Takes and returns what `Loss.call` does.
    """

    rules = {  # noqa: RUF012
        "function": lambda name, value: value,
        "name": lambda name, value: value,
    }

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[Any, Any]:
        """Call the function."""
        result: tuple[Any, Any] = self.function(y_true, y_pred)
        return result

    def get_config(self) -> dict[str, Any]:
        """Return an empty dictionary: a function cannot be saved as data."""
        return {}

    def __repr__(self) -> str:
        return f"FunctionLoss({self.name})"


class MeanSquaredError(Loss):
    """Mean over outputs and rows of (y_true - y_pred)**2."""

    name = "mean_squared_error"
    function = mean_squared_error


class MeanAbsoluteError(Loss):
    """Mean over outputs and rows of |y_true - y_pred|."""

    name = "mean_absolute_error"
    function = mean_absolute_error


class Huber(Loss):
    """Quadratic for small errors, linear for large ones.

    Parameters
    ----------
    delta : float
        The error at which the square turns into the line.
    """

    name = "huber"
    function = huber
    rules = {  # noqa: RUF012
        "delta": lambda name, value: _arguments.number(
            name, value, "a finite number above 0", lambda v: v > 0
        )
    }

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta


class Poisson(Loss):
    """Negative log-likelihood of counts, up to a term that does not depend on the prediction."""

    name = "poisson"
    function = poisson


class BinaryCrossentropy(Loss):
    """Negative log-likelihood of labels 0 and 1, or of probabilities."""

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


class Quantile(Loss):
    """The pinball loss: the network learns a quantile of y for each row instead of its mean.

    It is computed in Python; see `Loss`.

    Parameters
    ----------
    quantile : float
        In (0, 1): the share of rows whose y lies below the prediction. 0.5 is the median.
    """

    name = "quantile"
    function = pinball
    rules = {  # noqa: RUF012
        "quantile": lambda name, value: _arguments.number(
            name, value, "a number in (0, 1)", lambda v: 0 < v < 1
        )
    }

    def __init__(self, quantile: float = 0.5) -> None:
        self.quantile = quantile

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[Any, Any]:
        """Return each row's loss and its gradient; at an error of 0 the gradient is 0."""
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"loss='quantile' needs one y for each output. Received: y of shape "
                f"{y_true.shape}, outputs of shape {y_pred.shape}"
            )
        error = y_true - y_pred
        slope = np.where(error > 0, -self.quantile, 1 - self.quantile)
        # Not "error < 0": a NaN must survive to be noticed.
        gradient = np.where(error == 0, 0.0, slope) / y_pred.shape[1]
        return (-slope * error).mean(axis=1), gradient

    def rows(self, y_true: Any, y_pred: Any) -> np.ndarray:
        """Return each row's loss, shape (n,), in float64."""
        return pinball(y_true, y_pred, self.quantile)


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
    Quantile,
)
_TABLE: dict[str, type[Loss]] = dict(zip(LOSSES, _CLASSES, strict=True))
_TABLE |= {alias: _TABLE[name] for alias, name in LOSS_ALIASES.items()} | {"huber_loss": Huber}
_FUNCTIONS = [(cls.function, cls) for cls in _CLASSES]


def get(identifier: Any, custom: Mapping[str, Any] | None = None) -> Loss:
    """Return the loss that `identifier` names.

    Parameters
    ----------
    identifier : str, function, Loss class or object, or saved configuration
        A function from outside this module is a loss written in Python; see `Loss.call`.
    custom : mapping of str to function or class, optional
        Losses that are not part of fastmlp, by name.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If the name is unknown; the message suggests the nearest.
    """
    if isinstance(identifier, dict) and custom:
        own = custom.get(str(identifier.get("class_name")))
        if isinstance(own, type):
            return _arguments.resolve("loss", identifier, Loss, {**_TABLE, own.__name__: own})
        if own is not None:
            return get(own)
    if callable(identifier) and not isinstance(identifier, (Loss, type)):
        known = (cls for function, cls in _FUNCTIONS if function is identifier)
        identifier = next(known, None) or FunctionLoss(identifier)
    return _arguments.resolve("loss", identifier, Loss, _TABLE)


def saved(loss: Loss) -> dict[str, Any]:
    """Return a loss as plain JSON values for `get`; a function is saved by its name."""
    if isinstance(loss, FunctionLoss):
        return {"class_name": loss.name, "config": {}}
    return _arguments.saved(loss)
