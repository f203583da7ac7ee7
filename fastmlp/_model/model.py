"""Layers in a row, and the network that holds their weights: a model before it is trained."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from .. import _kernels, losses, optimizers
from .. import metrics as _metrics
from .._kernels import memory
from .._utils import arguments, settings
from .._utils import arguments as _arguments
from ..errors import DataError
from ..layers import (
    Dense,
    Dropout,
    Handle,
    InputLayer,
    Layer,
    array_list,
    automatic_name,
    checked_name,
)
from .compatibility import check_last

Function = TypeVar("Function", bound=Callable[..., Any])


class Attempt:
    """A call that a model may yet refuse: then everything is left as it was before.

    Parameters
    ----------
    model : Stack
    layers : iterable of Layer
        Others that the call may change.
    fit : bool
        Whether it is a call of fit, which changes more.

    Attributes
    ----------
    accepted : bool
        Once set, an error changes nothing back.
    """

    def __init__(self, model: Stack, layers: Iterable[Any] = (), fit: bool = False) -> None:
        self.accepted, self._fit = False, fit
        self._model, self._given = model, [x for x in layers if isinstance(x, Layer)]

    def __enter__(self) -> Attempt:
        model = self._model
        self._state = model._state_of_fit() if self._fit else {}
        self._layers = []
        if model._complete:  # nothing else is left to be made
            return self
        self._state |= model._state_of_weights()
        self._layers = [
            (layer, layer._n_inputs, layer._network, layer._model, layer._siblings)
            for layer in [*model._layers, *self._given]
        ]
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None or self.accepted:
            return
        model = self._model
        for layer, n_inputs, network, owner, names in self._layers:
            layer._n_inputs, layer._network, layer._model = n_inputs, network, owner
            layer._siblings = names
        model.__dict__.update(self._state)


def all_or_nothing(function: Function) -> Function:
    """Have a function of a model leave the model as it was if it raises."""

    @functools.wraps(function)
    def wrapped(model: Any, *arguments: Any, **named: Any) -> Any:
        if not isinstance(model, Stack):
            return function(model, *arguments, **named)
        with model.accepting():
            return function(model, *arguments, **named)

    return cast("Function", wrapped)


class Stack:
    """Layers that follow one another, their widths and weights; the base of `Sequential`.

    Parameters
    ----------
    layers : sequence of Layer, optional
    seed : int, optional
    dtype : {'float32', 'float64'}
    name : str, optional
    """

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        seed: int | None = None,
        dtype: str = "float32",
        name: str | None = None,
    ) -> None:
        self._layers: list[Layer] = []
        self._network: Any = None
        self._dtype: np.dtype = np.dtype(np.float32)
        self.seed = int.from_bytes(os.urandom(4)) if seed is None else seed
        self.dtype = dtype
        # Loads the kernels here, so that the first fit is as quick as the second.
        _kernels.network_class(self.dtype.name)
        self.name = checked_name(name) or automatic_name("sequential")
        self._names: set[str] = set()
        self._input: InputLayer | None = None
        self._complete = False  # whether the network has every layer
        self._usable = False  # whether, besides, the last layer is Dense
        self._configured = False  # whether the network knows loss, metrics and optimizer
        self._n_weights = 0  # of the network
        self._making = threading.RLock()
        self._fitting = 0  # the process that trains it
        given = [] if layers is None else _arguments.items("layers", layers, "layers")
        with Attempt(self, given):
            for layer in given:
                self.add(layer)

    @property
    def seed(self) -> int:
        """Given or drawn; a further `fit` takes up another one."""
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._seed = _arguments.integer("seed", value, 0)

    @property
    def dtype(self) -> Any:
        """Type of weights and computations, a NumPy dtype; fixed once there are weights."""
        return self._dtype

    @dtype.setter
    def dtype(self, value: Any) -> None:
        dtype = _arguments.dtype(value)
        if self._network is not None and dtype != self._dtype:
            raise AttributeError(
                f"dtype of model {self.name!r} is fixed since its weights exist: make a model of "
                f"the other type and call set_weights. Received: dtype={value!r}"
            )
        self._dtype = dtype

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        name = checked_name(value)
        if name is None:
            raise ValueError(f"name must be a text that is not empty. Received: name={value!r}")
        self._name = name

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights of any Dense layer; set, it goes to all layers."""
        return any(layer.trainable for layer in self.dense_layers) or not self.dense_layers

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = _arguments.flag("trainable", value)
        for layer in self._layers:
            layer.trainable = value

    def require_rest(self, call: str) -> None:
        """Refuse what cannot be done while `fit` trains the model."""
        if self._fitting == os.getpid():
            raise RuntimeError(
                f"{call} must be called before or after fit, not while it trains model "
                f"{self.name!r}. Received: a call of {call} from a callback, or from another thread"
            )

    def accepting(self, fit: bool = False) -> Attempt:
        """Return a context that leaves the model as it was if what is within is refused."""
        return Attempt(self, fit=fit)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without an input layer."""
        return list(self._layers)

    @property
    def dense_layers(self) -> list[Dense]:
        """The Dense layers."""
        return [layer for layer in self._layers if isinstance(layer, Dense)]

    @property
    def n_inputs(self) -> int | None:
        """Width of a row of x; None until known."""
        if self._layers:
            return self._layers[0].n_inputs
        return self._input.n_inputs if self._input else None

    @property
    def n_outputs(self) -> int | None:
        """Width of a row of the output; None until known."""
        return self._layers[-1].n_outputs if self._layers else None

    @property
    def built(self) -> bool:
        """Whether the model has a Dense layer and the width of its input is known."""
        return self.n_inputs is not None and any(isinstance(x, Dense) for x in self._layers)

    @property
    def input_shape(self) -> tuple[None, int | None]:
        """(None, width)."""
        return (None, self.n_inputs)

    @property
    def output_shape(self) -> tuple[None, int | None]:
        """(None, width)."""
        return (None, self.n_outputs)

    @property
    def input(self) -> Handle:
        """What `backend.function` takes to mean the model's input."""
        return self._required_layers()[0].input

    @property
    def output(self) -> Handle:
        """What `backend.function` takes to mean the model's output."""
        return self._required_layers()[-1].output

    @property
    def network(self) -> Any:
        """The compiled network, with weights drawn if they were not yet; for internal use."""
        return self.materialise()

    def _required_layers(self) -> list[Layer]:
        if not self._layers:
            raise RuntimeError(f"Model {self.name!r} has no layers yet: add some first")
        return self._layers

    def add(self, layer: Layer) -> None:
        """Add a layer at the end.

        Parameters
        ----------
        layer : Dense, Dropout or Input

        Raises
        ------
        ValueError
            If it is no layer, belongs to a model already, has a name that is taken, or an
            input width that does not follow the layer before it.
        """
        self.require_rest("add")
        if not isinstance(layer, Layer):
            raise ValueError(f"layer must be one of fastmlp.layers. Received: {layer!r}")
        if layer.in_model:
            raise ValueError(
                f"layer must not belong to a model already. Received: {layer.name!r}, which does"
            )
        if isinstance(layer, InputLayer):
            if self._layers or self._input:
                raise ValueError("Input must come first. Received: an Input after other layers")
            self._input = layer
            return
        if layer.name in self._names and not layer._automatically_named:
            raise ValueError(f"Names of layers must differ. Received: {layer.name!r} twice")
        before = self.n_outputs if self._layers else self.n_inputs
        if layer.n_inputs is not None and before not in (None, layer.n_inputs):
            raise ValueError(
                f"The input of layer {layer.name!r} must have the {before} columns that come "
                f"before it. Received: input width {layer.n_inputs}"
            )
        if layer.n_inputs is None:
            layer._n_inputs = before
        elif self._layers and before is None:
            raise ValueError(
                f"Only the first layer can say how wide its input is. Received: {layer.name!r}"
            )
        while layer.name in self._names:
            layer.name = automatic_name(_arguments.snake_case(type(layer).__name__))
        layer._dense_index = self._layers[-1]._dense_index if self._layers else -1
        layer._dense_index += isinstance(layer, Dense)
        layer._model, layer._siblings = self, self._names
        self._layers.append(layer)
        self._names.add(layer.name)
        self._complete = self._usable = False

    def build(self, input_shape: Any) -> None:
        """Fix the width of the input, for a model whose layers do not say it.

        Parameters
        ----------
        input_shape : tuple or int
            (None, k), (k,) or k.
        """
        given = input_shape
        if isinstance(given, (tuple, list)) and len(given) == 2 and given[0] is None:
            given = given[1:]
        width = InputLayer(given, name="input").n_inputs
        if self.n_inputs not in (None, width):
            raise ValueError(
                f"input_shape must be (None, {self.n_inputs}), as the layers say. "
                f"Received: input_shape={input_shape!r}"
            )
        for layer in self._required_layers():
            if layer.n_inputs is None:
                layer._n_inputs = width
            width = layer.n_outputs

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _state_of_weights(self) -> dict[str, Any]:
        """Return the attributes that change when weights are made."""
        names = ("_network", "_complete", "_usable", "_configured", "_n_weights")
        return {name: getattr(self, name) for name in names}

    def _state_of_fit(self) -> dict[str, Any]:
        """Return the attributes that a call of fit changes before it trains."""
        return {}

    @property
    def configured(self) -> bool:
        """Whether the network stands ready to train on, with the state of its optimizer."""
        return self._complete and self._configured

    def materialise(self, draw: bool = True) -> Any:
        """Make the network if there is none yet, draw its weights if asked, and return it."""
        if self._complete:
            return self._network
        if not self.built:
            raise RuntimeError(
                f"Model {self.name!r} is not built yet: it needs a Dense layer, and input_shape= "
                "on its first layer, build((None, k)) or data"
            )
        with self._making:  # a second thread waits for what the first one makes
            return self._network if self._complete else self._made(draw)

    def _made(self, draw: bool) -> Any:
        dense, rates = self.dense_layers, self.dropout_rates()
        self._require_memory()
        old = self._network
        widest = max(layer.units for layer in dense)
        network = _kernels.network_class(self.dtype.name, widest)(
            self.n_inputs,
            [layer.units for layer in dense],
            [layer.activation for layer in dense],
            use_bias=[layer.use_bias for layer in dense],
            dropout=rates,
        )
        for i, layer in enumerate(dense):
            if old is not None and i < old.n_layers:
                values = [old.weights(i), old.bias(i)]
            elif not draw:
                continue
            else:
                rngs = (self._generator(0, i, 0), self._generator(0, i, 1))
                values = layer.initial_weights(self.dtype, rngs)
            network.weights(i)[...] = values[0]
            if layer.use_bias:
                network.bias(i)[...] = values[1]
        for each in self._layers:
            each._network, each._model = network, None
        self._network, self._complete, self._configured = network, True, False
        self._n_weights = self.count_params()
        return network

    def dropout_rates(self) -> list[float]:
        """Return the rate of dropout of each Dense layer's input."""
        rates, rate = [], 0.0
        for layer in self._layers:
            if isinstance(layer, Dropout):
                rate = 1 - (1 - rate) * (1 - layer.rate)
            elif isinstance(layer, Dense):
                rates.append(rate)
                rate = 0.0
        return rates

    def _require_memory(self) -> None:
        """Refuse weights beyond the memory that is left: the system would kill the process."""
        size, weights = self.dtype.itemsize, self.count_params()
        # A layer's are drawn in float64, then rounded, then put where the network has them.
        drawn = max(layer.count_params() for layer in self.dense_layers) * (8 + size)
        needed = weights * size + drawn
        if needed >= memory.ENOUGH_TO_ASK and needed > (left := memory.available()):
            raise MemoryError(
                f"The weights of model {self.name!r} must fit into memory, of which {left:,} bytes "
                f"are left. Received: {weights:,} weights, for which {needed:,} bytes are needed; "
                "fewer units take less"
            )

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place."""
        if index is not None:
            place = _arguments.integer("index", index, -len(self._layers))
            if place >= len(self._layers):
                raise ValueError(
                    f"index must be that of one of {len(self._layers)} layers. "
                    f"Received: index={index}"
                )
            return self._layers[place]
        table = {layer.name: layer for layer in self._layers}
        return table[_arguments.one_of("layer", name, table)]

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights and biases, layer by layer."""
        with self.materialise().lock:  # between two steps, if another thread trains it
            return [array for layer in self._layers for array in layer.get_weights()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights and biases, given as `get_weights` returns them.

        Raises
        ------
        DataError
            If their number or a shape is wrong or a value is not finite; nothing is changed.
        """
        with self.accepting():
            self._set_weights(weights)

    def _set_weights(self, weights: Sequence[Any]) -> None:
        self.materialise()
        weights = array_list("weights", weights)
        expected = sum(len(layer.shapes) for layer in self.dense_layers)
        if len(weights) != expected:
            raise DataError(f"The model has {expected} arrays of weights. Received: {len(weights)}")
        rest, checked = weights, []
        for layer in self.dense_layers:
            checked.append(layer.checked_weights(rest[: len(layer.shapes)], self.dtype))
            rest = rest[len(layer.shapes) :]
        with self._network.lock:
            for layer, arrays in zip(self.dense_layers, checked, strict=True):
                layer.set_weights(arrays)

    def count_params(self) -> int:
        """Return the number of weights and biases."""
        return sum(layer.count_params() for layer in self._layers)


class Model(Stack):
    """Layers that follow one another, with a loss, metrics and an optimizer.

    Parameters
    ----------
    layers : sequence of Layer, optional
    seed : int, optional
    dtype : {'float32', 'float64'}
    name : str, optional

    Attributes
    ----------
    missing : list of str
        What a model was compiled with that the file it is from cannot hold.
    resumed : Resumed or None
        A run that the next `fit` goes on with.
    """

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        seed: int | None = None,
        dtype: str = "float32",
        name: str | None = None,
    ) -> None:
        self._optimizer: optimizers.Optimizer | None = None
        self._loss: losses.Loss | None = None
        self._metrics: list[_metrics.Metric] = []
        self._told: Any = None  # the settings that the network knows
        self._heard = -1  # the latest change of any setting when it was told them
        self.missing: list[str] = []
        self.resumed: Any = None  # a _training.resume.Resumed
        super().__init__(layers, seed, dtype, name)

    @property
    def optimizer(self) -> optimizers.Optimizer | None:
        """As compiled; None before. Its settings may be changed at any time."""
        return self._optimizer

    @property
    def loss(self) -> losses.Loss | None:
        """As compiled; None before."""
        return self._loss

    @property
    def metrics(self) -> list[_metrics.Metric]:
        """As compiled, in a new list; empty before."""
        return list(self._metrics)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("optimizer", "loss", "metrics"):
            raise AttributeError(
                f"{name} is chosen by compile(optimizer, loss, metrics): call it, or change "
                f"settings of the present one. Received: {name}={arguments.shown(value)}"
            )
        known = getattr(type(self), name, None)
        if isinstance(known, property) and known.fset is None:
            raise AttributeError(
                f"{name} of model {self.name!r} follows from its layers and cannot be set: make "
                f"another model. Received: {name}={arguments.shown(value)}"
            )
        super().__setattr__(name, value)

    def compile(self, optimizer: Any, loss: Any, metrics: Any = None) -> None:
        """Choose how to train; forgets the state of an optimizer used before.

        Parameters
        ----------
        optimizer : str or Optimizer
            Such as 'adam' or ``optimizers.Adam(0.01)``.
        loss : str, Loss or function
            Such as 'mean_squared_error', 'mse'. A function of one's own takes (y_true, y_pred)
            and returns each row's loss and its gradient by the outputs; see `losses.Loss.call`.
        metrics : list of str or Metric, optional
            Reported beside the loss, under the names given here.
        """
        self.require_rest("compile")
        given = [metrics] if isinstance(metrics, (str, _metrics.Metric)) else metrics
        given = [] if given is None else arguments.items("metrics", given, "metrics or their names")
        chosen = [_metrics.get(identifier) for identifier in given]
        names = ["loss", *(metric.name for metric in chosen)]
        if len(set(names)) < len(names):
            raise ValueError(f"Names of metrics must differ. Received: {', '.join(names[1:])}")
        optimizer, loss = optimizers.get(optimizer), losses.get(loss)
        if self._layers and isinstance(self._layers[-1], Dense):
            check_last(self._layers[-1], loss, chosen)
        self._optimizer, self._loss, self._metrics = optimizer, loss, chosen
        self._configured = False
        self.missing, self.resumed = [], None

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns: 'loss', then the metrics."""
        return ["loss", *(metric.name for metric in self._metrics)]

    def ready(self, trained: bool = True) -> Any:
        """Return the network, checked to be complete and, if `trained`, configured to train."""
        last = self._required_layers()[-1]
        if not isinstance(last, Dense):
            raise ValueError(
                "The last layer must be Dense: dropout of the output itself is no model. "
                f"Received: {last.name!r} at the end"
            )
        network = self.materialise()
        self._usable = True
        if not trained or (self._configured and self._heard == settings.latest()):
            return network
        if self.optimizer is None or self.loss is None:
            raise RuntimeError(self._why_not_compiled())
        check_last(last, self.loss, self.metrics)
        with network.lock:  # another thread may predict meanwhile, or be here as well
            if not self._configured:
                self.configure(network)
                self._configured, self._told = True, None
            self._tell(network)
        return network

    def _tell(self, network: Any) -> None:
        """Tell the network the settings that have changed; its optimizer's state stays."""
        heard = settings.latest()
        options, rates = self._rule(), self.dropout_rates()
        layers = [layer.settings() for layer in self.dense_layers]
        if (options, rates, layers) != self._told:
            network.set_rule(**options, learning_rate=network.learning_rate)
            for i, (layer, rate) in enumerate(zip(self.dense_layers, rates, strict=True)):
                layer.set_penalties(network)
                network.set_dropout(i, rate)
            self._told = options, rates, layers
        self._heard = heard

    def _rule(self) -> dict[str, Any]:
        """Return the settings of optimizer and loss but the learning rate, which is asked for."""
        assert self.optimizer is not None and self.loss is not None
        options = self.optimizer.engine_options() | {
            "huber_delta": getattr(self.loss, "delta", 1.0)
        }
        del options["learning_rate"]
        return options

    def configure(self, network: Any, with_metrics: bool = True) -> None:
        """Tell a network of this architecture the loss, metrics, optimizer and penalties."""
        assert self.optimizer is not None and self.loss is not None
        # A loss in Python is no concern of the network's: it is handed gradients.
        loss, in_python = self.loss.name, self.loss.in_python
        given = self.metrics if with_metrics else []
        names = [m.engine_name(loss, network.n_outputs) for m in given]
        network.configure(
            loss="mean_squared_error" if in_python else loss,
            metrics=[] if in_python else [name for name in names if name is not None],
            learning_rate=float(self.optimizer.rates(0, 1)[0]),
            **self._rule(),
        )
        for layer in self.dense_layers:
            layer.set_penalties(network)

    def _why_not_compiled(self) -> str:
        if not self.missing:
            return f"Model {self.name!r} is not compiled yet: call compile(optimizer, loss) first"
        names = ", ".join(self.missing)
        table = ", ".join(f"{name!r}: {name}" for name in self.missing)
        return (
            f"Model {self.name!r} was compiled with {names}, written in Python, which its file "
            f"does not hold: load it with custom_objects={{{table}}}, or call "
            "compile(optimizer, loss) again"
        )
