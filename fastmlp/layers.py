"""Layers: what a network is made of. Weights live in the model's network once it is built."""

from __future__ import annotations

import itertools
import math
import numbers
import threading
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from . import initializers, regularizers
from ._utils import arguments as _arguments
from ._utils.arrays import converted, describe, numeric
from ._utils.settings import Configurable
from .errors import DataError

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
    return _arguments.label(name)


def activation_name(identifier: Any) -> str:
    """Return the name of the activation that `identifier` means; None means linear."""
    if identifier is None:
        return "linear"
    if not isinstance(identifier, str):
        raise ValueError(
            f"activation must be a name or None. Received: {_arguments.shown(identifier)}"
        )
    return _arguments.lookup("activation", identifier, _ACTIVATION_TABLE)


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
            f"Received: input_shape={_arguments.shown(input_shape)}"
        )
    return _width("input_shape[0]", shape[0])


def _width(name: str, value: Any) -> int:
    """Return a width as an int that the engine can count with."""
    return _arguments.below(name, value, 1 << 31, words="2**31")


def array_list(name: str, weights: Any) -> list[Any]:
    """Return arrays of weights that come in a sequence, or as the rows of an array."""
    if isinstance(weights, (list, tuple)) or (isinstance(weights, np.ndarray) and weights.ndim):
        return list(weights)
    raise DataError(f"{name} must be a list of arrays. Received: {describe(weights)}")


def _own_name(name: str, value: Any) -> str:
    result = checked_name(value)
    if result is None:
        raise ValueError(f"{name} must be a text that is not empty. Received: {name}={value!r}")
    return result


class Owner(Protocol):
    """What a layer asks of the model that it belongs to."""

    @property
    def built(self) -> bool:
        """Whether the width of the input is known."""

    def materialise(self) -> Any:
        """Make the network, with weights drawn."""


class Layer(Configurable):
    """Base class of layers.

    Settings may be changed at any time: what has an effect on a model that is there already, such
    as `activation`, takes it; what cannot, such as `units`, is an AttributeError.

    Attributes
    ----------
    name : str
    n_inputs : int or None
        Width of what comes in; None until the model knows.
    trainable : bool
        Whether training changes the layer's weights. Frozen ones keep their bits, and no penalty
        on them is counted.
    """

    rules = {"name": _own_name, "trainable": _arguments.flag}  # noqa: RUF012
    _structural: ClassVar[frozenset[str]] = frozenset()  # settings that neighbours depend on
    _drawn_by: ClassVar[frozenset[str]] = frozenset()  # settings that weights are made from

    def __init__(
        self, name: str | None, n_inputs: int | None = None, trainable: bool = True
    ) -> None:
        self._siblings: set[str] = set()  # names in the model
        # Until the network exists a layer holds its model, to ask for it; afterwards only the
        # network. So there is no cycle that would keep a large network alive.
        self._model: Owner | None = None
        self._network: Any = None
        self._given: list[np.ndarray] | None = None  # weights of the layer that this is a copy of
        self._automatically_named = name is None
        self.name = checked_name(name) or automatic_name(_arguments.snake_case(type(self).__name__))
        self.trainable = trainable
        self._n_inputs = n_inputs
        self._dense_index = -1  # of the last Dense layer up to and including this one

    def _set(self, name: str, value: Any) -> None:
        old = vars(self).get(name)
        if name in self._structural and self.in_model and value != old:
            raise AttributeError(
                f"{name} of layer {self.name!r} is fixed, for the model's other layers depend on "
                f"it: make a new layer and a new model. Received: {name}={value!r}"
            )
        if name in self._drawn_by and self._network is not None and value is not old:
            raise AttributeError(
                f"{name} of layer {self.name!r} is fixed since its weights exist: make a new layer "
                f"and a new model, or call set_weights. Received: {name}={value!r}"
            )
        if name == "name" and value != old and self.in_model:
            if value in self._siblings:
                raise ValueError(f"Names of layers must differ. Received: {value!r} twice")
            self._siblings.discard(old or "")
            self._siblings.add(value)
        super()._set(name, value)

    @property
    def n_inputs(self) -> int | None:
        """Width of what comes in; None until the model knows."""
        return self._n_inputs

    @n_inputs.setter
    def n_inputs(self, value: int | None) -> None:
        if self.in_model and value != self._n_inputs:
            raise AttributeError(
                f"n_inputs of layer {self.name!r} is fixed by its model: call the model's build, "
                f"or make a new one. Received: n_inputs={value!r}"
            )
        self._n_inputs = None if value is None else _width("n_inputs", value)

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
        return {"name": self.name} | self._trainable_config()

    def _trainable_config(self) -> dict[str, Any]:
        return {} if self.trainable else {"trainable": False}

    def __reduce__(self) -> tuple[Any, ...]:
        # Of a model's layer a copy belongs to no model, and brings the weights along.
        given = self.get_weights() or None
        return _copied, (type(self), vars(self) | _FREE | {"_given": given})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


_FREE: dict[str, Any] = {"_model": None, "_network": None, "_dense_index": -1, "_siblings": None}


def _copied(cls: type[Layer], state: dict[str, Any]) -> Layer:
    """Return the copy of a layer, or the layer that was pickled."""
    layer = cls.__new__(cls)
    vars(layer).update(state | {"_siblings": set()})
    return layer


class InputLayer(Layer):
    """Says how wide the model's input is; not among ``model.layers``.

    Parameters
    ----------
    shape : tuple of one int
        Width of a row.
    name : str, optional
    """

    def __init__(self, shape: Any, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name, _width_of(shape), trainable)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        return {"shape": [self.n_inputs], "name": self.name} | self._trainable_config()


Input = InputLayer


def _bias_penalty(value: Any) -> regularizers.Regularizer | None:
    penalty = regularizers.get(value)
    if isinstance(penalty, regularizers.GroupL1):
        raise ValueError(
            "bias_regularizer must not be a GroupL1: biases belong to no group. "
            f"Received: {_arguments.shown(penalty)}"
        )
    return penalty


def require_no_loss(network: Any, what: str) -> None:
    """Refuse what would change the network in the midst of one of its steps."""
    if network.in_loss == threading.get_ident():
        raise RuntimeError(
            f"{what} must not be set by a loss, in the midst of a training step: use a callback. "
            "Received: a call from within the loss"
        )


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
    trainable : bool
        Whether training changes the weights.
    """

    rules = {  # noqa: RUF012
        "units": lambda name, value: _width(name, value),
        "activation": lambda name, value: activation_name(value),
        "use_bias": _arguments.flag,
        "kernel_initializer": lambda name, value: initializers.get(value),
        "bias_initializer": lambda name, value: initializers.get(value),
        "kernel_regularizer": lambda name, value: regularizers.get(value),
        "bias_regularizer": lambda name, value: _bias_penalty(value),
    }
    _structural = frozenset({"units"})
    _drawn_by = frozenset({"use_bias", "kernel_initializer", "bias_initializer"})

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
        trainable: bool = True,
    ) -> None:
        width = None if input_dim is None else _width("input_dim", input_dim)
        if input_shape is not None:
            if width not in (None, _width_of(input_shape)):
                raise ValueError(
                    "input_shape and input_dim must agree. "
                    f"Received: input_shape={input_shape}, input_dim={input_dim}"
                )
            width = _width_of(input_shape)
        # Every setting is checked by its rule.
        checked = {name: self._rules[name](name, value) for name, value in (
            ("units", units), ("activation", activation), ("use_bias", use_bias),
            ("kernel_initializer", kernel_initializer), ("bias_initializer", bias_initializer),
            ("kernel_regularizer", kernel_regularizer), ("bias_regularizer", bias_regularizer),
        )}  # fmt: skip
        super().__init__(name, width, trainable)
        self.units: int = checked["units"]
        self.activation: str = checked["activation"]
        self.use_bias: bool = checked["use_bias"]
        self.kernel_initializer: initializers.Initializer = checked["kernel_initializer"]
        self.bias_initializer: initializers.Initializer = checked["bias_initializer"]
        self.kernel_regularizer: regularizers.Regularizer | None = checked["kernel_regularizer"]
        self.bias_regularizer: regularizers.Regularizer | None = checked["bias_regularizer"]

    def _set(self, name: str, value: Any) -> None:
        if name == "activation" and self._network is not None and value != self.activation:
            require_no_loss(self._network, "activation of a layer")
            self._network.set_activation(self._dense_index, value)
        super()._set(name, value)

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
            return [array.copy() for array in self._given or ()]
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
            require_no_loss(self._network, "Weights")
            self._network.writes += 1
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
        """Draw weights and biases; `rngs` serve initializers without a seed of their own.

        The copy of a layer that had weights has the same.
        """
        if self._given is not None and [a.shape for a in self._given] == self.shapes:
            return [array.astype(dtype) for array in self._given]
        return [
            rule(shape, dtype, rng)
            for rule, shape, rng in zip(
                (self.kernel_initializer, self.bias_initializer), self.shapes, rngs, strict=False
            )
        ]

    def _penalties(self) -> tuple[Any, Any]:
        """Return the penalties on weights and on biases that training counts, each may be None."""
        if not self.trainable:
            return None, None
        return self.kernel_regularizer, self.bias_regularizer if self.use_bias else None

    def penalties(self) -> tuple[float, float, float, float]:
        """Return the coefficients l1 and l2 of the weights and l1 and l2 of the biases."""
        w, b = self._penalties()
        return (*((w.l1, w.l2) if w else (0.0, 0.0)), *((b.l1, b.l2) if b else (0.0, 0.0)))

    def settings(self) -> tuple[Any, ...]:
        """Return what `set_penalties` tells a network."""
        w, b = self._penalties()
        of_weights = (w.proximal, w.group, w.groups) if w else ()
        return self.trainable, self.penalties(), of_weights, b is not None and b.proximal

    def set_penalties(self, network: Any) -> None:
        """Tell a network, which has a layer in this one's place, the penalties."""
        w, b = self._penalties()
        network.freeze(self._dense_index, not self.trainable)
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
        for penalty, view, gradient in zip(
            self._penalties(), self._views(), gradients, strict=False
        ):
            if penalty is not None and penalty.proximal:
                gradient += penalty.subgradient(view)

    def count_params(self) -> int:
        """Return the number of weights and biases; 0 until the input is known."""
        return sum(math.prod(shape) for shape in self.shapes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        saved, kernel, bias = _arguments.saved, self.kernel_regularizer, self.bias_regularizer
        return {
            "units": self.units,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "kernel_initializer": saved(self.kernel_initializer),
            "bias_initializer": saved(self.bias_initializer),
            "kernel_regularizer": None if kernel is None else saved(kernel),
            "bias_regularizer": None if bias is None else saved(bias),
            "name": self.name,
        } | self._trainable_config()


class Dropout(Layer):
    """While training, set a share of what comes in to 0 and scale the rest up; else do nothing.

    Parameters
    ----------
    rate : float
        The share, in [0, 1).
    seed : int, optional
        Mixed into the model's seed: it changes which units are dropped.
    name : str, optional
    trainable : bool
        Kept for the model's summary and file; there are no weights to train.
    """

    rules = {  # noqa: RUF012
        "rate": _arguments.fraction,
        "seed": lambda name, value: None if value is None else _arguments.integer(name, value, 0),
    }

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        rate = _arguments.fraction("rate", rate)
        super().__init__(name, trainable=trainable)
        self.rate = rate
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        config = {"rate": self.rate, "seed": self.seed, "name": self.name}
        return config | self._trainable_config()


class Handle:
    """Stands for a layer's input or output; ``layer.input``, ``layer.output``.

    Attributes
    ----------
    shape : tuple
        (None, width).
    """

    def __init__(self, layer: Layer, offset: int) -> None:
        self._layer = layer
        self._offset = offset  # 0: the output; -1: the input

    @property
    def shape(self) -> tuple[None, int | None]:
        """(None, width)."""
        return self._layer.output_shape if self._offset == 0 else self._layer.input_shape

    @property
    def name(self) -> str:
        """Which layer's input or output it is."""
        return f"{self._layer.name}/{'output' if self._offset == 0 else 'input'}"

    @property
    def network(self) -> Any:
        """The network that computes it."""
        return self._layer.network()

    @property
    def dense_index(self) -> int:
        """Which dense layer's output it is, counted from 0; -1 is the model's input."""
        dense = self._layer.count_params() > 0
        return self._layer._dense_index + (self._offset if dense else 0)

    def __repr__(self) -> str:
        return f"<{self.name} of shape {self.shape}>"


_LAYERS: dict[str, type[Layer]] = {"Dense": Dense, "Dropout": Dropout}


def made_layers(entries: Iterable[Any]) -> list[Layer]:
    """Return the layers that saved ones describe, each by its class's name and configuration.

    Parameters
    ----------
    entries : iterable of dict
        With the keys 'class_name' and 'config'.

    Raises
    ------
    ValueError
        If an entry is not such a one, or a configuration is wrong.
    """
    made = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise ValueError(f"a layer must be of type dict, not {type(entry).__name__}")
        for key, kind in (("class_name", str), ("config", dict)):
            if key not in entry:
                raise ValueError(f"{key!r} is missing")
            if type(entry[key]) is not kind:
                found = type(entry[key]).__name__
                raise ValueError(f"{key!r} must be of type {kind.__name__}, not {found}")
        name = entry["class_name"]
        if name not in _LAYERS:
            raise ValueError(f"there is no layer {name!r}")
        made.append(_arguments.from_saved(_LAYERS[name], entry["config"]))
    return made
