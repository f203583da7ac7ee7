"""The gradient of a model's outputs by its inputs, row by row.

The kernels' backward pass ends at the first layer's weights. Here the products with transposed
weights are forward passes of one-layer networks, so that they have the kernels' speed, and the
same bits on any number of threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _kernels, threads
from .._utils import arguments

if TYPE_CHECKING:
    from .._kernels.interface import Network
    from .._model.model import Model

Array = np.ndarray
_HELD = 1 << 22  # about as many numbers of activations and gradients at a time


class _Product:
    """x @ w + b by the kernels."""

    def __init__(self, w: Array, b: Array | None = None) -> None:
        made = _kernels.network_class(w.dtype.name, w.shape[1])
        self._network: Network = made(w.shape[0], [w.shape[1]], ["linear"])
        self._network.weights(0)[...] = w
        if b is not None:
            self._network.bias(0)[...] = b
        self._width = w.shape[1]

    def __call__(self, x: Array) -> Array:
        out = np.empty((len(x), self._width), x.dtype)
        n_threads, automatic = threads.resolve()
        x = np.ascontiguousarray(x)
        self._network.predict(x, out, n_threads=n_threads, automatic=automatic)
        return out


def _through_activation(name: str, z: Array | None, a: Array, da: Array) -> Array:
    """Return dz from da, for a = f(z); z is needed for gelu and silu only."""
    if name == "softmax":
        return np.asarray(a * (da - (da * a).sum(axis=1, keepdims=True)))
    if name == "linear":
        return da
    if name in ("relu", "leaky_relu"):
        slope = np.asarray(0.2 if name == "leaky_relu" else 0.0, a.dtype)
        return np.where(a > 0, da, slope * da)
    if name == "elu":
        return da * np.where(a > 0, 1, a + 1)
    if name == "tanh":
        return da * (1 - a * a)
    if name == "sigmoid":
        return da * a * (1 - a)
    if name == "softplus":
        return da * -np.expm1(-a)
    assert z is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(z == 0, 0.5, a / z)  # Phi(z), or the logistic function of z
    if name == "silu":
        return np.asarray(da * (share + a * (1 - share)))
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.asarray(da * (share + z * density))


_NEED_Z = ("gelu", "silu")


class InputGradients:
    """Gradients of the outputs of a model by its inputs; the weights are copied when it is made.

    Parameters
    ----------
    model : Model
        Built.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._network = model, model.ready(trained=False)
        dense = model.dense_layers
        with self._network.lock:
            weights = [np.array(self._network.weights(i)) for i in range(len(dense))]
            biases = [np.array(self._network.bias(i)) for i in range(len(dense))]
        self._activations = [layer.activation for layer in dense]
        self._back = [_Product(np.ascontiguousarray(w.T)) for w in weights]
        self._linear = [
            _Product(w, b) if name in _NEED_Z else None
            for w, b, name in zip(weights, biases, self._activations, strict=True)
        ]
        self._widths = [w.shape[1] for w in weights]
        self._encoding = model.kernel_encoding(model.dtype)
        widest = max(w.shape[0] for w in weights)
        self._rows = max(16, _HELD // (2 * widest + sum(self._widths)))

    def __call__(self, x: Array, output: int | None = None) -> Array:
        """Return the gradient (n, n_inputs) of an output, or of the sum of all, at each row of x.

        Parameters
        ----------
        x : ndarray of shape (n, n_inputs)
            Of the model's type.
        output : int, optional
        """
        parts = [self._part(x[i : i + self._rows], output) for i in range(0, len(x), self._rows)]
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _part(self, x: Array, output: int | None) -> Array:
        n_threads, automatic = threads.resolve()
        outputs = []
        for i, width in enumerate(self._widths):
            out = np.empty((len(x), width), x.dtype)
            self._network.activations(x, i, out, n_threads=n_threads, automatic=automatic)
            outputs.append(out)
        da = np.zeros_like(outputs[-1])
        da[:, slice(None) if output is None else output] = 1
        for i in reversed(range(len(self._widths))):
            linear, z = self._linear[i], None
            if linear is not None:
                z = linear(outputs[i - 1] if i else self._encoded(x))
            da = self._back[i](_through_activation(self._activations[i], z, outputs[i], da))
        return da if self._encoding is None else self._by_number(x, da)

    def _encoded(self, x: Array) -> Array:
        return x if self._model.encoding is None else self._model.encoding(x)

    def _by_number(self, x: Array, da: Array) -> Array:
        """Return the gradient by the numbers, from that by their encoding."""
        assert self._encoding is not None
        first, lower, inverse = self._encoding
        place = (np.repeat(x, np.diff(first), axis=1) - lower) * inverse
        slope = np.where((place > 0) & (place < 1), inverse, 0)
        slope[:, first[:-1]] = 1  # the number itself
        return np.add.reduceat(da * slope, first[:-1], axis=1)


def input_gradients(model: Model, x: Any, output: Any = None) -> Array:
    """Return the gradient of outputs by inputs; see `Sequential.gradients`."""
    with model.accepting():
        x = model.checked_inputs(x)
        model.ready(trained=False)
    if output is not None:
        n_outputs = model.n_outputs or 1
        output = arguments.integer("output", output, -n_outputs)
        if output >= n_outputs:
            raise ValueError(
                f"output must be the index of one of the {n_outputs} outputs. "
                f"Received: output={output}"
            )
    return InputGradients(model)(x, output)
