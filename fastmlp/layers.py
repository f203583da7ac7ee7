"""Layers: what a network is made of. Weights live in the model's network once it is built."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks, initializers, regularizers
from ._arrays import converted, describe, numeric
from .backend import Handle
from .errors import DataError

if TYPE_CHECKING:
    from .stack import Stack

ACTIVATIONS = (
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softplus",
    "softmax",
)
_ACTIVATION_TABLE = {name: name for name in ACTIVATIONS} | {"swish": "silu"}

_counters: dict[str, itertools.count[int]] = {}


def automatic_name(kind: str) -> str:
    """Return 'dense', 'dense_1', ...: numbered through the process, as in Keras."""
    number = next(_counters.setdefault(kind, itertools.count()))
    return f"{kind}_{number}" if number else kind


def reset_names() -> None:
    """Start numbering names anew."""
    _counters.clear()


def checked_name(name: Any) -> str | None:
    """Return a name given to a layer or model; None stays None."""
    return _checks.label(name)


def activation_name(identifier: Any) -> str:
    """Return the name of the activation that `identifier` means; None means linear."""
    if identifier is None:
        return "linear"
    if not isinstance(identifier, str):
        raise ValueError(f"activation must be a name or None. Received: {identifier!r}")
    return _checks.lookup("activation", identifier, _ACTIVATION_TABLE)


def check_activations(given: Any) -> None:
    """Require the name of an activation, or a list or tuple of names."""
    for name in given if isinstance(given, (list, tuple)) else [given]:
        if name is None:
            raise ValueError("activation must be a name or a list of names. Received: None")
        activation_name(name)


def _width_of(input_shape: Any) -> int:
    """Return k of a shape (k,)."""
    shape = (input_shape,) if isinstance(input_shape, numbers.Integral) else input_shape
    if not isinstance(shape, (tuple, list)) or len(shape) != 1:
        raise ValueError(
            "input_shape must be a tuple of one number, the width of a row. "
            f"Received: input_shape={input_shape!r}"
        )
    return _width("input_shape[0]", shape[0])


def _width(name: str, value: Any) -> int:
    """Return a width as an int that the engine can count with."""
    return _checks.below(name, value, 1 << 31, words="2**31")


def array_list(name: str, weights: Any) -> list[Any]:
    """Return arrays of weights that come in a sequence, or as the rows of an array."""
    if isinstance(weights, (list, tuple)) or (isinstance(weights, np.ndarray) and weights.ndim):
        return list(weights)
    raise DataError(f"{name} must be a list of arrays. Received: {describe(weights)}")


class Layer:
    """Base class of layers.

    Attributes
    ----------
    name : str
    n_inputs : int or None
        Width of what comes in; None until the model knows.
    """

    def __init__(self, name: str | None, n_inputs: int | None = None) -> None:
        self.automatically_named = name is None
        self.name = checked_name(name) or automatic_name(_checks.snake_case(type(self).__name__))
        self.n_inputs = n_inputs
        # Until the network exists a layer holds its model, to ask for it; afterwards only the
        # network. So there is no cycle that would keep a large network alive.
        self._model: Stack | None = None
        self._network: Any = None
        self._dense_index = -1  # of the last Dense layer up to and including this one

    @property
    def n_outputs(self) -> int | None:
        """Width of what goes out; None until known."""
        return self.n_inputs

    @property
    def built(self) -> bool:
        """Whether the layer belongs to a model and its widths are known."""
        return self.n_inputs is not None and self.in_model

    @property
    def in_model(self) -> bool:
        """Whether the layer belongs to a model."""
        return self._model is not None or self._network is not None

    @property
    def input_shape(self) -> tuple[None, int | None]:
        """Shape of what comes in: (None, width)."""
        return (None, self.n_inputs)

    @property
    def output_shape(self) -> tuple[None, int | None]:
        """Shape of what goes out: (None, width)."""
        return (None, self.n_outputs)

    @property
    def input(self) -> Handle:
        """What `backend.function` takes to mean this layer's input."""
        return self._handle(-1)

    @property
    def output(self) -> Handle:
        """What `backend.function` takes to mean this layer's output."""
        return self._handle(0)

    def _handle(self, offset: int) -> Handle:
        if not self.built:
            raise RuntimeError(
                f"Layer {self.name!r} has no input and output yet: it must be in a model whose "
                "input width is known"
            )
        return Handle(self, offset)

    def network(self) -> Any:
        """Return the network that holds the weights, or None before the layer is built."""
        if self._network is None and self._model is not None and self._model.built:
            self._model.materialise()
        return self._network

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the layer's weights; an empty list if it has none."""
        return []

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the layer's weights, given as `get_weights` returns them."""
        if len(weights):
            raise DataError(f"Layer {self.name!r} has no weights. Received: {len(weights)} arrays")

    def count_params(self) -> int:
        """Return the number of weights and biases."""
        return 0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class InputLayer(Layer):
    """Says how wide the model's input is; not among ``model.layers``.

    Parameters
    ----------
    shape : tuple of one int
        Width of a row.
    name : str, optional
    """

    def __init__(self, shape: Any, name: str | None = None) -> None:
        super().__init__(name, _width_of(shape))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        return {"shape": [self.n_inputs], "name": self.name}


Input = InputLayer


class Dense(Layer):
    """Densely connected layer: activation(x @ weights + bias).

    Parameters
    ----------
    units : int
        Width of the output, at least 1.
    activation : str, optional
        One of linear (the default), relu, leaky_relu (slope 0.2), elu, gelu, silu, tanh,
        sigmoid, softplus, softmax.
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
        How weights and biases are drawn.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        Penalties on weights and on biases.
    input_shape : tuple of one int, optional
        Width of a row of the input; for a first layer.
    input_dim : int, optional
        The same as a number.
    name : str, optional
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        name: str | None = None,
    ) -> None:
        self.units = _width("units", units)
        self.activation = activation_name(activation)
        self.use_bias = _checks.flag("use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        if self.bias_regularizer is not None and self.bias_regularizer.group:
            raise ValueError(
                "bias_regularizer must not be a GroupL1: biases belong to no group. "
                f"Received: {self.bias_regularizer!r}"
            )
        width = None if input_dim is None else _width("input_dim", input_dim)
        if input_shape is not None:
            if width not in (None, _width_of(input_shape)):
                raise ValueError(
                    "input_shape and input_dim must agree. "
                    f"Received: input_shape={input_shape}, input_dim={input_dim}"
                )
            width = _width_of(input_shape)
        super().__init__(name, width)

    @property
    def n_outputs(self) -> int:
        """Width of the output: the units."""
        return self.units

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the arrays that `get_weights` returns; empty until the input is known."""
        if self.n_inputs is None:
            return []
        return [(self.n_inputs, self.units), *([(self.units,)] if self.use_bias else [])]

    def _views(self) -> list[np.ndarray]:
        network, i = self.network(), self._dense_index
        if network is None:
            return []
        return [network.weights(i), *([network.bias(i)] if self.use_bias else [])]

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of weights (n_in, units) and, if there are any, biases (units,).

        Returns
        -------
        list of ndarray
            Empty before the layer is built.
        """
        views = self._views()
        if not views:
            return []
        with self._network.lock:
            return [np.array(view, order="C") for view in views]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set weights and biases.

        Parameters
        ----------
        weights : sequence of array-like
            (weights, bias), as `get_weights` returns them.

        Raises
        ------
        DataError
            If their number or a shape is wrong or a value is not finite; nothing is changed.
        RuntimeError
            If the layer is not built yet.
        """
        views = self._views()
        if not views:
            raise RuntimeError(
                f"Layer {self.name!r} has no weights yet: it must be in a model whose input "
                "width is known"
            )
        given = array_list("weights", weights)
        checked = self.checked_weights(given, views[0].dtype)
        with self._network.lock:
            for view, array in zip(views, checked, strict=True):
                view[...] = array

    def checked_weights(self, weights: Sequence[Any], dtype: np.dtype) -> list[np.ndarray]:
        """Return weights and biases as arrays if they fit the layer, else raise DataError."""
        if len(weights) != len(self.shapes):
            raise DataError(
                f"The weights of layer {self.name!r} must be arrays of shape "
                f"{' and '.join(map(str, self.shapes))}. Received: {len(weights)} arrays"
            )
        arrays = [numeric(f"A weight of layer {self.name!r}", array) for array in weights]
        if [array.shape for array in arrays] != self.shapes:
            raise DataError(
                f"The weights of layer {self.name!r} must be arrays of shape "
                f"{' and '.join(map(str, self.shapes))}. "
                f"Received: shapes {', '.join(str(a.shape) for a in arrays)}"
            )
        return [converted(f"A weight of layer {self.name!r}", array, dtype) for array in arrays]

    def initial_weights(
        self, dtype: np.dtype, rngs: tuple[np.random.Generator, np.random.Generator]
    ) -> list[np.ndarray]:
        """Draw weights and biases; `rngs` serve initializers without a seed of their own."""
        return [
            rule(shape, dtype, rng)
            for rule, shape, rng in zip(
                (self.kernel_initializer, self.bias_initializer), self.shapes, rngs, strict=False
            )
        ]

    def penalties(self) -> tuple[float, float, float, float]:
        """Return the coefficients l1 and l2 of the weights and l1 and l2 of the biases."""
        w, b = self.kernel_regularizer, self.bias_regularizer
        if not self.use_bias:
            b = None
        return (*((w.l1, w.l2) if w else (0.0, 0.0)), *((b.l1, b.l2) if b else (0.0, 0.0)))

    def set_penalties(self, network: Any) -> None:
        """Tell a network, which has a layer in this one's place, the penalties."""
        w, b = self.kernel_regularizer, self.bias_regularizer
        network.set_penalty(
            self._dense_index,
            *self.penalties(),
            proximal=w is not None and w.proximal,
            bias_proximal=b is not None and b.proximal,
            group=w.group if w else 0.0,
            by_input=w is not None and w.groups == "inputs",
        )

    def add_proximal_gradients(self, *gradients: np.ndarray) -> None:
        """Add to gradients by weights and biases what penalties taken by proximal steps have."""
        penalties = (self.kernel_regularizer, self.bias_regularizer)
        for penalty, view, gradient in zip(penalties, self._views(), gradients, strict=False):
            if penalty is not None and penalty.proximal:
                gradient += penalty.subgradient(view)

    def count_params(self) -> int:
        """Return the number of weights and biases; 0 until the input is known."""
        return sum(math.prod(shape) for shape in self.shapes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        saved, kernel, bias = _checks.saved, self.kernel_regularizer, self.bias_regularizer
        return {
            "units": self.units,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "kernel_initializer": saved(self.kernel_initializer),
            "bias_initializer": saved(self.bias_initializer),
            "kernel_regularizer": None if kernel is None else saved(kernel),
            "bias_regularizer": None if bias is None else saved(bias),
            "name": self.name,
        }


class Dropout(Layer):
    """While training, set a share of what comes in to 0 and scale the rest up; else do nothing.

    Parameters
    ----------
    rate : float
        The share, in [0, 1).
    seed : int, optional
        Mixed into the model's seed: it changes which units are dropped.
    name : str, optional
    """

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None) -> None:
        self.rate = _checks.fraction("rate", rate)
        self.seed = None if seed is None else _checks.integer("seed", seed, 0)
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        return {"rate": self.rate, "seed": self.seed, "name": self.name}
