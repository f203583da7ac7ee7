"""Initial weights of a network for a table, scaled by what its units do on training rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layers import Dense
from ..models import Sequential

_ROWS = 1000  # that the weights are scaled on
_MIXED = 5  # rows whose mixture gives a bias


def set_start(model: Sequential, x: np.ndarray, seed: int, output: Sequence[float]) -> None:
    """Draw weights so that every hidden unit varies by 1 over rows of x; output 0 plus a bias.

    A hidden unit's bias is minus a random convex mixture of its values in 5 rows, so that its
    bend lies among the data. The last layer has weights 0: the first prediction is `output`.

    Parameters
    ----------
    model : Sequential
        Built.
    x : ndarray of shape (n, n_inputs)
        Training rows, of which up to 1000 are used.
    seed : int
    output : sequence of float
        Bias of the last layer.

    References
    ----------
    Holzmueller, Grinsztajn & Steinwart (2024), NeurIPS, appendix on initialization.
    """
    rng = np.random.default_rng([seed, 77])
    a = x[np.sort(rng.permutation(len(x))[:_ROWS])]
    a = a if model.encoding is None else model.encoding(a)
    dense, weights = model.dense_layers, []
    for layer in dense[:-1]:
        w = rng.standard_normal((a.shape[1], layer.units))
        z = _products(a, w)
        scale = np.maximum(z.std(axis=0), 1e-6)
        w, z = w / scale, z / scale
        share = rng.exponential(size=(layer.units, _MIXED))
        share /= share.sum(axis=1, keepdims=True)
        rows = rng.integers(0, len(z), (layer.units, _MIXED))
        bias = -(z[rows, np.arange(layer.units)[:, None]] * share).sum(axis=1)
        weights += [w, bias]
        a = _products(a, w, bias, layer.activation)
    last = dense[-1]
    weights += [np.zeros((a.shape[1], last.units)), np.asarray(output, np.float64)]
    model.set_weights([array.astype(model.dtype) for array in weights])


def _products(
    a: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None, activation: str = "linear"
) -> np.ndarray:
    """Return activation(a @ w + bias), by the kernels: equal bits on any number of threads."""
    layer = Sequential([Dense(w.shape[1], activation, input_shape=(a.shape[1],))], seed=0)
    layer.set_weights([w.astype(np.float32), np.zeros(w.shape[1]) if bias is None else bias])
    return np.asarray(layer.predict(a, verbose=0), np.float64)
