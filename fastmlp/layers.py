"""Layers: Dense, Dropout, Input and PiecewiseLinear. A built model's network holds the weights.

Arithmetic of Dropout: `_kernels/simd/philox.h` draws the masks, `_kernels/steps/passes.pxi`
applies them.
"""

from __future__ import annotations

import itertools
import math
import numbers
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from . import initializers, regularizers
from ._kernels.formulas import piecewise_linear
from ._utils import arguments as _arguments
from ._utils.arrays import converted, describe, inputs, numeric
from ._utils.names import ACTIVATIONS
from ._utils.settings import Configurable
from .errors import DataError

if TYPE_CHECKING:
    from ._kernels.interface import Network

_ACTIVATION_TABLE = {name: name for name in ACTIVATIONS} | {"swish": "silu"}

_counters: dict[str, itertools.count[int]] = {}


def automatic_name(kind: str) -> str:
    """Return the next of the names 'dense', 'dense_1', ..., numbered in the process."""
    number = next(_counters.setdefault(kind, itertools.count()))
    return f"{kind}_{number}" if number else kind


def reset_names() -> None:
    """Restart the numbering of names."""
    _counters.clear()


def checked_name(name: Any) -> str | None:
    """Return a name given to a layer or model; None stays None."""
    return _arguments.label(name)


def activation_name(identifier: Any) -> str:
    """Return the name of an activation, of which `identifier` may be an alias; None is linear."""
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
    """Return a width as an int that the kernels can count with."""
    return _arguments.below(name, value, 1 << 31, words="2**31")


def array_list(name: str, weights: Any) -> list[Any]:
    """Return the arrays of a sequence, or the rows of an array, as a list."""
    if isinstance(weights, (list, tuple)) or (isinstance(weights, np.ndarray) and weights.ndim):
        return list(weights)
    raise DataError(f"{name} must be a list of arrays. Received: {describe(weights)}")


def _own_name(name: str, value: Any) -> str:
    result = checked_name(value)
    if result is None:
        raise ValueError(f"{name} must be a text that is not empty. Received: {name}={value!r}")
    return result


class Owner(Protocol):
    """The model that a layer belongs to, as the layer sees it."""

    @property
    def built(self) -> bool:
        """Whether the width of the input is known."""

    def materialise(self) -> Network:
        """Make the network, and draw its weights."""

    def build(self, input_shape: Any) -> None:
        """Set the widths of layers that are not known yet."""


class Layer(Configurable):
    """Base class of layers.

    Settings such as `activation` may be changed at any time, also in a built model. Setting one
    that other layers or the weights depend on, such as `units`, raises AttributeError then.

    Attributes
    ----------
    name : str
    n_inputs : int or None
        Width of the input; None until the model knows it.
    trainable : bool
        Whether training changes the layer's weights. Frozen weights keep their bits, and their
        penalties are not counted.
    """

    rules = {"name": _own_name, "trainable": _arguments.flag}  # noqa: RUF012
    _structural: ClassVar[frozenset[str]] = frozenset()  # settings that neighbours depend on
    _drawn_by: ClassVar[frozenset[str]] = frozenset()  # settings that decide how weights are drawn

    def __init__(
        self, name: str | None, n_inputs: int | None = None, trainable: bool = True
    ) -> None:
        self._siblings: set[str] = set()  # names in the model
        # A layer holds its model until the network exists, and afterwards only the network. So no
        # cycle of references keeps a large network alive.
        self._model: Owner | None = None
        self._network: Network | None = None
        self._given: list[np.ndarray] | None = None  # weights of the layer that this one copies
        self._automatically_named = name is None
        self.name = checked_name(name) or automatic_name(_arguments.snake_case(type(self).__name__))
        self.trainable = trainable
        self._n_inputs = n_inputs
        self._dense_index = -1  # of the last Dense layer up to and including this one

    def _set(self, name: str, value: Any) -> None:
        old = vars(self).get(name)
        if name in self._structural and self.in_model and value != old:
            raise AttributeError(
                f"{name} of layer {self.name!r} is fixed, because the model's other layers depend "
                f"on it: make a new layer and a new model. Received: {name}={value!r}"
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
        """Width of the input; None until the model knows it."""
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
        """Width of the output; None until it is known."""
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
        """Shape of the input: (None, width)."""
        return (None, self.n_inputs)

    @property
    def output_shape(self) -> tuple[None, int | None]:
        """Shape of the output: (None, width)."""
        return (None, self.n_outputs)

    @property
    def input(self) -> Handle:
        """Handle of this layer's input, for `backend.function`."""
        return self._handle(-1)

    @property
    def output(self) -> Handle:
        """Handle of this layer's output, for `backend.function`."""
        return self._handle(0)

    def _handle(self, offset: int) -> Handle:
        if not self.built:
            raise RuntimeError(
                f"Layer {self.name!r} has no input and output yet: it must be in a model whose "
                "input width is known"
            )
        return Handle(self, offset)

    # ---- what a model does with its layers ----

    @property
    def automatically_named(self) -> bool:
        """Whether the name was numbered and not given."""
        return self._automatically_named

    @property
    def dense_index(self) -> int:
        """Index of the last Dense layer up to and including this one; -1 if there is none."""
        return self._dense_index

    def join(self, model: Owner, names: set[str], n_inputs: int | None, dense_index: int) -> None:
        """Become a layer of a model, in which the other layers have these names."""
        self._model, self._siblings = model, names
        self._n_inputs, self._dense_index = n_inputs, dense_index

    def fix_n_inputs(self, n_inputs: int | None) -> None:
        """Take the width of the input from the model."""
        self._n_inputs = n_inputs

    def bind(self, network: Network) -> None:
        """Hold the model's network, which now exists, in place of the model."""
        self._network, self._model = network, None

    def membership(self) -> tuple[Any, ...]:
        """Return what `join`, `fix_n_inputs` and `bind` change, for `restore_membership`."""
        return self._model, self._siblings, self._n_inputs, self._dense_index, self._network

    def restore_membership(self, membership: tuple[Any, ...]) -> None:
        """Undo what `join`, `fix_n_inputs` and `bind` have changed since `membership`."""
        self._model, self._siblings, self._n_inputs, self._dense_index, self._network = membership

    def network(self) -> Network | None:
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
        # The copy of a model's layer belongs to no model, and keeps the weights.
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
    """Declare the width of the model's input; ``model.layers`` does not list it.

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
            "bias_regularizer must not be a GroupL1: biases do not belong to groups. "
            f"Received: {_arguments.shown(penalty)}"
        )
    return penalty


def require_no_loss(network: Network, what: str) -> None:
    """Raise if a loss in Python calls this: it would change the network within a step."""
    if network.in_loss == threading.get_ident():
        raise RuntimeError(
            f"{what} must not be set by a loss, within a training step: use a callback. "
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
        Whether the layer has biases.
    kernel_initializer, bias_initializer : str or Initializer
        Draw the weights and the biases.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        Penalties on the weights and on the biases.
    input_shape : tuple of one int, optional
        Width of a row of the input; for the first layer of a model.
    input_dim : int, optional
        The same width as a number.
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
        # Its rule checks each setting.
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

    def views(self) -> list[np.ndarray]:
        """Return views of weights and, if there are any, biases; an empty list before built."""
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
        network = self.network()
        if network is None:
            return [array.copy() for array in self._given or ()]
        views = self.views()
        with network.lock:
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
        network = self.network()
        if network is None:
            raise RuntimeError(
                f"Layer {self.name!r} has no weights yet: it must be in a model whose input "
                "width is known"
            )
        given = array_list("weights", weights)
        checked, views = self.checked_weights(given, network.dtype), self.views()
        with network.lock:
            require_no_loss(network, "Weights")
            network.writes += 1
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

    @property
    def draws_alone(self) -> bool:
        """Whether drawing its weights runs no code of the user's, nor a stream that others use."""
        rules = (self.kernel_initializer, self.bias_initializer)
        return all(
            type(rule).__module__ == initializers.__name__
            and not isinstance(getattr(rule, "seed", None), np.random.Generator)
            for rule in rules
        )

    def initial_weights(
        self, dtype: np.dtype, rngs: tuple[np.random.Generator, np.random.Generator]
    ) -> list[np.ndarray]:
        """Draw weights and biases; initializers without a seed of their own use `rngs`.

        The copy of a layer that had weights gets the same weights.
        """
        if self._given is not None and [a.shape for a in self._given] == self.shapes:
            return [array.astype(dtype) for array in self._given]
        return [
            rule(shape, dtype, rng)
            for rule, shape, rng in zip(
                (self.kernel_initializer, self.bias_initializer), self.shapes, rngs, strict=False
            )
        ]

    def active_regularizers(
        self,
    ) -> tuple[regularizers.Regularizer | None, regularizers.Regularizer | None]:
        """Return the penalties on weights and on biases; None for those that do not count."""
        if not self.trainable:
            return None, None
        return self.kernel_regularizer, self.bias_regularizer if self.use_bias else None

    def penalties(self) -> tuple[float, float, float, float]:
        """Return the coefficients l1 and l2 of the weights and l1 and l2 of the biases."""
        w, b = self.active_regularizers()
        return (*((w.l1, w.l2) if w else (0.0, 0.0)), *((b.l1, b.l2) if b else (0.0, 0.0)))

    def penalty_settings(self) -> dict[str, Any]:
        """Return the arguments of `Network.set_penalty` that are not coefficients."""
        w, b = self.active_regularizers()
        return {
            "proximal": w is not None and w.proximal,
            "bias_proximal": b is not None and b.proximal,
            "group": w.group if w else 0.0,
            "by_input": w is not None and w.groups == "inputs",
        }

    def add_proximal_gradients(self, *gradients: np.ndarray) -> None:
        """Add the subgradients of penalties that proximal steps take to (dw, db)."""
        pairs = zip(self.active_regularizers(), self.views(), gradients, strict=False)
        for penalty, view, gradient in pairs:
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
    """Set a random share of the inputs to 0 in training, and scale the others up.

    Outside training it passes its input on.

    Parameters
    ----------
    rate : float
        The share, in [0, 1).
    seed : int, optional
        Mixed into the model's seed: it changes which units are dropped.
    name : str, optional
    trainable : bool
        Only written to the model's summary and file: the layer has no weights.
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


def _checked_edges(name: str, value: Any) -> tuple[tuple[float, ...], ...] | None:
    """Return edges of bins as `PiecewiseLinear` keeps them."""
    if value is None:
        return None
    columns = []
    for j, given in enumerate(_arguments.items(name, value, "the edges of each column")):
        edges = np.asarray(given)
        if not edges.size:
            columns.append(())
            continue
        if edges.ndim != 1 or edges.dtype.kind not in "iuf" or not np.isfinite(edges).all():
            raise ValueError(f"{name}[{j}] must be numbers. Received: {_arguments.shown(given)}")
        edges = edges.astype(np.float64)
        if (
            len(edges) < 2
            or np.abs(edges).max() > _FARTHEST
            or (np.diff(edges.astype(np.float32)) < _NARROWEST).any()
        ):
            raise ValueError(
                f"{name}[{j}] must be empty, or two or more numbers that ascend, as float32, too, "
                f"none beyond {_FARTHEST:g}. Received: {_arguments.shown(given)}"
            )
        columns.append(tuple(edges.tolist()))
    if not columns:
        raise ValueError(f"{name} must have an entry for each column. Received: none")
    return tuple(columns)


_NARROWEST = 1e-30  # of the bins: one over it is a float32
_FARTHEST = 1e30  # edge from zero: one over a width is no denormal float32


class PiecewiseLinear(Layer):
    """Encode every number by how far it has passed through each of its bins.

    Column j of the input becomes the number itself, and for each of its bins
    ``clip((x - low) / (high - low), 0, 1)``. So the first Dense layer's units are piecewise-linear
    functions of every column. It must be the first layer. The kernels never form the encoding: a
    number costs as much as three inputs, however many bins there are.

    Parameters
    ----------
    bins : int
        The most bins of a column, between quantiles of the rows that `adapt` is given. A column
        of one or two distinct numbers gets none.
    edges : sequence of sequences of float, optional
        For each column of the input the ascending edges of its bins, one more than bins; empty
        for a column without bins. By default `adapt` sets them; `fit` calls it with its rows.
    name : str, optional
    trainable : bool
        Only written to the model's summary and file: the layer has no weights.

    References
    ----------
    Gorishniy, Rubachev & Babenko (2022), On Embeddings for Numerical Features in Tabular Deep
    Learning, NeurIPS.
    """

    rules = {  # noqa: RUF012
        "bins": _arguments.integer,
        "edges": _checked_edges,
    }
    _drawn_by = frozenset({"bins", "edges"})

    def __init__(
        self,
        bins: int = 32,
        edges: Sequence[Sequence[float]] | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable=trainable)
        self.bins = bins
        self.edges = edges

    def _set(self, name: str, value: Any) -> None:
        if name == "edges" and self.in_model and vars(self)["edges"] not in (None, value):
            raise AttributeError(
                f"edges of layer {self.name!r} are fixed, because the model's other layers depend "
                f"on them: make a new layer and a new model. Received: {_arguments.shown(value)}"
            )
        if name == "edges" and value is not None:
            if self._n_inputs not in (None, len(value)):
                raise ValueError(
                    f"edges must have an entry for each of the {self._n_inputs} columns of the "
                    f"input. Received: {len(value)} entries"
                )
            super()._set(name, value)
            if self._model is not None:
                self._model.build(len(value))
            self._n_inputs = len(value)
            return
        super()._set(name, value)

    def membership(self) -> tuple[Any, ...]:
        """Return what joining and building a model change, the edges among it."""
        return *super().membership(), self.edges

    def restore_membership(self, membership: tuple[Any, ...]) -> None:
        """Undo what has changed since `membership`."""
        super().restore_membership(membership[:-1])
        vars(self)["edges"] = membership[-1]

    @property
    def n_outputs(self) -> int | None:
        """Width of the output; None until the edges of the bins are known."""
        return None if self.edges is None else sum(max(1, len(e)) for e in self.edges)

    def adapt(self, x: Any) -> None:
        """Set the edges of the bins to quantiles of the columns of x.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        """
        array = inputs(x, self._n_inputs, np.dtype(np.float64))
        self.edges = [_quantiles(column, self.bins) for column in array.T]

    def __call__(self, x: Any) -> np.ndarray:
        """Return the encoding of x.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Of the type of x, or float64 if that is not a type of floating-point numbers.
        """
        if self.edges is None:
            raise RuntimeError(self.why_not_adapted())
        x = numeric("x", x)
        if x.ndim != 2 or x.shape[1] != len(self.edges):
            raise DataError(f"x must have shape (n, {len(self.edges)}). Received: shape {x.shape}")
        x = x.astype(x.dtype if x.dtype.kind == "f" else np.float64, copy=False)
        return piecewise_linear(x, *self.kernel_arrays(x.dtype))

    def why_not_adapted(self) -> str:
        """Return the message of the error for a layer without edges."""
        return (
            f"Layer {self.name!r} has no bins yet: call adapt(x), or fit with an array, or give "
            "edges"
        )

    def kernel_arrays(self, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the encoding as the network takes it.

        Parameters
        ----------
        dtype : dtype

        Returns
        -------
        first : ndarray of int32, shape (n_inputs + 1,)
            Where in the output each column's numbers begin, and their end.
        lower, inverse : ndarray of shape (n_outputs,)
            Lower edge of each bin and one over its width; 0 for a number itself.
        """
        assert self.edges is not None
        first = np.cumsum([0, *(max(1, len(e)) for e in self.edges)]).astype(np.int32)
        lower, inverse = np.zeros(first[-1]), np.zeros(first[-1])
        for start, edges in zip(first, self.edges, strict=False):
            rows = slice(start + 1, start + len(edges))
            rounded = np.array(edges, dtype).astype(np.float64)  # a bin ends where the next begins
            lower[rows], inverse[rows] = rounded[:-1], 1 / np.diff(rounded)
        return first, lower.astype(dtype), inverse.astype(dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        edges = None if self.edges is None else [list(e) for e in self.edges]
        return {"bins": self.bins, "edges": edges, "name": self.name} | self._trainable_config()


def _quantiles(column: np.ndarray, bins: int) -> list[float]:
    """Return the edges of at most `bins` bins; none for a column of one or two numbers."""
    with np.errstate(over="ignore"):
        shares = np.linspace(0, 1, min(bins, len(column)) + 1)
        edges = np.unique(np.quantile(column, shares).astype(np.float32))
    edges = edges.astype(np.float64)
    edges = edges[np.abs(edges) <= _FARTHEST]
    edges = edges[np.concatenate(([True], np.diff(edges) >= _NARROWEST))] if len(edges) else edges
    return edges.tolist() if len(edges) > 2 else []


class Handle:
    """A layer's input or output, as an argument of `backend.function`.

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
        """The layer's name and 'input' or 'output'."""
        return f"{self._layer.name}/{'output' if self._offset == 0 else 'input'}"

    @property
    def network(self) -> Network:
        """The network that computes it."""
        network = self._layer.network()
        assert network is not None
        return network

    @property
    def dense_index(self) -> int:
        """Index of the Dense layer whose output it is; -1 for the input of the first one.

        The input of a PiecewiseLinear before it has -2.
        """
        dense = self._layer.count_params() > 0 or isinstance(self._layer, PiecewiseLinear)
        return self._layer.dense_index + (self._offset if dense else 0)

    @property
    def is_model_input(self) -> bool:
        """Whether it is the input of the model's first layer."""
        return self.dense_index == (-1 if self.network.encoding is None else -2)

    def __repr__(self) -> str:
        return f"<{self.name} of shape {self.shape}>"


_LAYERS: dict[str, type[Layer]] = {
    "Dense": Dense,
    "Dropout": Dropout,
    "PiecewiseLinear": PiecewiseLinear,
}


def made_layers(entries: Iterable[Any]) -> list[Layer]:
    """Make layers from their saved descriptions: a class's name and its configuration each.

    Parameters
    ----------
    entries : iterable of dict
        With the keys 'class_name' and 'config'.

    Raises
    ------
    ValueError
        If an entry is not such a dict, or a configuration is wrong.
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
