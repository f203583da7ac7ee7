"""Temperature scaling: one number that corrects how sure a classifier's probabilities are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ._scores import class_codes, mean_and_error, probabilities

if TYPE_CHECKING:
    from .._model.model import Model

_LEAST = 1e-7  # a probability, so that its logarithm is finite
_RANGE = 0.05, 20.0  # of temperatures
_FOLDS = 5


def temperature(y: Any, predicted: Any, weights: Any = None, seed: int = 0) -> float:
    """Return the temperature by which to divide a classifier's logits, 1 unless it helps.

    It minimises the log loss of the rows. Whether it helps is decided by cross-validation: the
    temperature of four fifths of the rows must improve the log loss of the other fifth, over all
    fifths by more than the standard error of the improvement.

    Parameters
    ----------
    y : array-like of shape (n,)
        Class codes of rows that the classifier was not trained on.
    predicted : array-like of shape (n, n_classes), or (n,) of class 1
        Probabilities.
    weights : array-like of shape (n,), optional
    seed : int
        Of the fifths.

    Returns
    -------
    float
        In [0.05, 20].
    """
    codes, logits = class_codes(y), np.log(np.clip(probabilities(predicted), _LEAST, 1))
    n = len(codes)
    weight = np.ones(n) if weights is None else np.asarray(weights, np.float64).reshape(-1)
    if n < 2 * _FOLDS or not np.isfinite(logits).all():
        return 1.0
    fold = np.random.default_rng(seed).permutation(n) % _FOLDS
    gain = np.empty(n)
    for i in range(_FOLDS):
        held, rest = fold == i, fold != i
        t = _best(codes[rest], logits[rest], weight[rest])
        gain[held] = _rows(codes[held], logits[held], 1.0) - _rows(codes[held], logits[held], t)
    mean, error = mean_and_error(gain, weight)
    return _best(codes, logits, weight) if mean > error else 1.0


def _rows(codes: np.ndarray, logits: np.ndarray, t: float) -> np.ndarray:
    z = logits / t
    top = z.max(axis=1)
    return top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[np.arange(len(z)), codes]


def _best(codes: np.ndarray, logits: np.ndarray, weight: np.ndarray) -> float:
    from scipy import optimize

    def loss(log_t: float) -> float:
        return float(weight @ _rows(codes, logits, math.exp(log_t)))

    bounds = tuple(math.log(t) for t in _RANGE)
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(math.exp(found.x))


def scaled(predicted: Any, temperature: float) -> np.ndarray:
    """Return what probabilities become when the logits are divided by a temperature.

    Parameters
    ----------
    predicted : array-like of shape (n, n_classes), (n, 1) or (n,)
    temperature : float

    Returns
    -------
    ndarray of the same shape, float64
    """
    given = np.asarray(predicted, np.float64)
    z = np.log(np.clip(probabilities(given), _LEAST, 1)) / temperature
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p if given.shape == p.shape else p[:, 1].reshape(given.shape)


def scale_last_layer(model: Model, temperature: float) -> None:
    """Divide the weights and biases of a classifier's last layer by a temperature, in place.

    Its logits are then divided by it, in whatever format the model is saved.

    Parameters
    ----------
    model : Model
        Its last layer is Dense, with activation sigmoid or softmax.
    temperature : float
        Above 0.

    Raises
    ------
    ValueError
        If the last layer has another activation.
    """
    last = model.dense_layers[-1]
    if last.activation not in ("sigmoid", "softmax"):
        raise ValueError(
            "temperature scaling needs a last layer with activation sigmoid or softmax. "
            f"Received: {last.activation!r}"
        )
    if temperature != 1.0:
        last.set_weights([array / temperature for array in last.get_weights()])
