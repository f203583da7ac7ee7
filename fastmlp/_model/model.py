"""The base class of `Sequential`: layers, their weights, loss, metrics, optimizer and history.

Services such as training, saving and plotting take a `Model`; it calls none of them.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from .. import _kernels, losses, optimizers, threads
from .. import metrics as _metrics
from .._kernels import memory, signals
from .._utils import arguments, arrays, settings
from .._utils.sparse import Inputs, is_sparse
from ..errors import DataError
from ..layers import (
    Dense,
    Dropout,
    Handle,
    InputLayer,
    Layer,
    PiecewiseLinear,
    array_list,
    automatic_name,
    checked_name,
    made_layers,
)
from .compatibility import check_last

if TYPE_CHECKING:
    from .._kernels.interface import Network
    from .history import History

# Layers of as many weights are drawn side by side, unless all are so many that memory matters.
_SIDE_BY_SIDE, _TOGETHER = 1 << 17, 1 << 25
Function = TypeVar("Function", bound=Callable[..., Any])


class Attempt:
    """A call that a model may still refuse: an error within it leaves everything as it was.

    Parameters
    ----------
    model : Model
    layers : iterable of Layer
        Layers outside the model that the call may change.
    fit : bool
        Whether it is a call of fit, which changes more.

    Attributes
    ----------
    accepted : bool
        Once set, an error no longer undoes the call's changes.
    """

    def __init__(self, model: Model, layers: Iterable[Any] = (), fit: bool = False) -> None:
        self.accepted, self._fit = False, fit
        self._model, self._given = model, [x for x in layers if isinstance(x, Layer)]

    def __enter__(self) -> Attempt:
        model = self._model
        self._state = model.undo_state(self._fit)
        # The layers of a model that has its weights change no more.
        layers = [] if model.drawn else [*model.layers, *self._given]
        self._layers = [(layer, layer.membership()) for layer in layers]
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None or self.accepted:
            return
        for layer, membership in self._layers:
            layer.restore_membership(membership)
        self._model.undo(self._state)


def all_or_nothing(function: Function) -> Function:
    """Decorate a function of a model so that it leaves the model as it was if it raises."""

    @functools.wraps(function)
    def wrapped(model: Any, *arguments: Any, **named: Any) -> Any:
        if not isinstance(model, Model):
            return function(model, *arguments, **named)
        with model.accepting():
            return function(model, *arguments, **named)

    return cast("Function", wrapped)


class Model:
    """Layers that follow one another, with their weights and the way they are trained.

    Parameters
    ----------
    layers : sequence of Layer, optional
    seed : int, optional
    dtype : {'float32', 'float64'}
    name : str, optional

    Attributes
    ----------
    history : History or None
        Of all calls of `fit`, also of one that was interrupted.
    stop_training : bool
        Set by callbacks to end `fit` after the epoch.
    training_config, extras : dict
        Plain JSON values, kept in the model's file: the arguments of `fit`, and whatever
        other code keeps with the model.
    n_fits : int
        Calls of `fit` so far.
    missing : list of str
        Names of Python objects that the model was compiled with and its file does not hold.
    resumed : Resumed or None
        A run that the next `fit` resumes.
    """

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        seed: int | None = None,
        dtype: str = "float32",
        name: str | None = None,
    ) -> None:
        self.history: History | None = None
        self.stop_training = False
        self.training_config: dict[str, Any] = {}
        self.extras: dict[str, Any] = {}
        self.n_fits = 0
        self._optimizer: optimizers.Optimizer | None = None
        self._loss: losses.Loss | None = None
        self._metrics: list[_metrics.Metric] = []
        self._applied: Any = None  # the settings that the network has
        self._latest_change = -1  # number of the latest change of any setting, when they were set
        self.missing: list[str] = []
        self.resumed: Any = None  # a _training.resume.Resumed
        self._layers: list[Layer] = []
        self._network: Network | None = None
        self._dtype: np.dtype = np.dtype(np.float32)
        self.seed = int.from_bytes(os.urandom(4)) if seed is None else seed
        self.dtype = dtype
        # Loads the kernels here, so that the first fit is as quick as the second.
        _kernels.network_class(self.dtype.name)
        self.name = checked_name(name) or automatic_name("sequential")
        self._names: set[str] = set()
        self._input: InputLayer | None = None
        self._complete = False  # whether the network has every layer
        self.usable_network: Network | None = None  # complete, and the last layer is Dense
        self._configured = False  # whether the network has loss, metrics and optimizer
        self.n_weights = 0  # weights and biases of the network
        self._making = os.getpid(), threading.RLock()
        self._fitting = 0  # the process that trains it
        given = [] if layers is None else arguments.items("layers", layers, "layers")
        with Attempt(self, given):
            for layer in given:
                self.add(layer)

    @property
    def seed(self) -> int:
        """Given or drawn; the next `fit` uses a value set later."""
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._seed = arguments.integer("seed", value, 0)

    @property
    def dtype(self) -> Any:
        """Type of weights and computations, a NumPy dtype; fixed once there are weights."""
        return self._dtype

    @dtype.setter
    def dtype(self, value: Any) -> None:
        dtype = arguments.dtype(value)
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
        """Whether training changes any Dense layer's weights; setting it sets it of all layers."""
        return any(layer.trainable for layer in self.dense_layers) or not self.dense_layers

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = arguments.flag("trainable", value)
        for layer in self._layers:
            layer.trainable = value

    def require_idle(self, call: str) -> None:
        """Refuse a call that is not possible while `fit` trains the model."""
        if self._fitting == os.getpid():
            raise RuntimeError(
                f"{call} must be called before or after fit, not while it trains model "
                f"{self.name!r}. Received: a call of {call} from a callback, or from another thread"
            )

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Mark the model as being trained; refuse if another thread or call already trains it."""
        trainer = self.network.trainer
        if not trainer.acquire(blocking=False):
            raise RuntimeError(
                f"Model {self.name!r} is trained by one thread at a time. "
                "Received: a call of fit while another thread trains it"
            )
        try:
            self.require_idle("fit")  # in a callback of this thread
            self._fitting = os.getpid()
            try:
                yield
            finally:
                self._fitting = 0
        finally:
            trainer.release()

    # ---- calls that are refused ----

    def accepting(self, fit: bool = False) -> Attempt:
        """Return a context whose errors leave the model as it was."""
        return Attempt(self, fit=fit)

    def undo_state(self, fit: bool) -> dict[str, Any]:
        """Return the attributes that a call, of fit or another method, may change."""
        state: dict[str, Any] = {}
        if fit:
            state = {name: getattr(self, name)
                     for name in ("history", "n_fits", "stop_training", "resumed")}  # fmt: skip
            state |= {name: dict(getattr(self, name)) for name in ("training_config", "extras")}
        if not self._complete:
            names = ("_network", "_complete", "usable_network", "_configured", "n_weights")
            state |= {name: getattr(self, name) for name in names}
        return state

    def undo(self, state: dict[str, Any]) -> None:
        """Set the attributes that `undo_state` returned back."""
        self.__dict__.update(state)

    # ---- layers and shapes ----

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
        """Whether the model has a Dense layer and the widths of all layers are known."""
        if self.n_inputs is None or self._layers[0].n_outputs is None:
            return False
        return any(isinstance(x, Dense) for x in self._layers)

    @property
    def encoding(self) -> PiecewiseLinear | None:
        """The first layer if it is a PiecewiseLinear, of which the network is a part."""
        first = self._layers[0] if self._layers else None
        return first if isinstance(first, PiecewiseLinear) else None

    def kernel_encoding(self, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return the first layer's encoding as a network takes it; None if there is none."""
        return None if self.encoding is None else self.encoding.kernel_arrays(dtype)

    def by_input(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum over each input's rows of the first Dense layer; of a mask, if any is set.

        Parameters
        ----------
        rows : ndarray of shape (rows of the first Dense layer's weights,)

        Returns
        -------
        ndarray of shape (n_inputs,)
        """
        if self.encoding is None:
            return rows
        first = self.encoding.kernel_arrays(self._dtype)[0]
        combined = np.logical_or if rows.dtype == bool else np.add
        return np.asarray(combined.reduceat(rows, first[:-1]))

    def adapt(self, x: Any) -> None:
        """Let the first layer choose its bins from x, if it encodes numbers and has none yet.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        """
        if self.encoding is not None and self.encoding.edges is None:
            self.encoding.adapt(x)

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
        """Handle of the model's input, for `backend.function`."""
        return self._required_layers()[0].input

    @property
    def output(self) -> Handle:
        """Handle of the model's output, for `backend.function`."""
        return self._required_layers()[-1].output

    @property
    def network(self) -> Network:
        """The compiled network; its weights are drawn if they were not yet. For internal use."""
        return self.materialise()

    def _required_layers(self) -> list[Layer]:
        if not self._layers:
            raise RuntimeError(f"Model {self.name!r} has no layers yet: add some first")
        return self._layers

    def add(self, layer: Layer) -> None:
        """Add a layer at the end.

        Parameters
        ----------
        layer : Dense, Dropout, PiecewiseLinear or Input

        Raises
        ------
        ValueError
            If it is not a layer, belongs to a model already, has another layer's name, or an
            input width other than the output width of the layer before it.
        """
        self.require_idle("add")
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
        if layer.name in self._names and not layer.automatically_named:
            raise ValueError(f"Names of layers must differ. Received: {layer.name!r} twice")
        before = self.n_outputs if self._layers else self.n_inputs
        if layer.n_inputs is not None and before not in (None, layer.n_inputs):
            raise ValueError(
                f"The input of layer {layer.name!r} must have the {before} columns of the output "
                f"before it. Received: input width {layer.n_inputs}"
            )
        if isinstance(layer, PiecewiseLinear) and self._layers:
            raise ValueError(
                "PiecewiseLinear encodes the model's input: it must be the first layer. "
                f"Received: {layer.name!r} after {self._layers[-1].name!r}"
            )
        if isinstance(layer, Dropout) and len(self._layers) == 1 and self.encoding is not None:
            raise ValueError(
                "Dropout cannot follow PiecewiseLinear, whose output is never formed: put it "
                f"behind a Dense layer. Received: {layer.name!r} after {self._layers[0].name!r}"
            )
        if layer.n_inputs is not None and self._layers and before is None:
            raise ValueError(
                f"Only the first layer can set the width of its input. Received: {layer.name!r}"
            )
        while layer.name in self._names:
            layer.name = automatic_name(arguments.snake_case(type(layer).__name__))
        index = self._layers[-1].dense_index if self._layers else -1
        width = before if layer.n_inputs is None else layer.n_inputs
        layer.join(self, self._names, width, index + isinstance(layer, Dense))
        self._layers.append(layer)
        self._names.add(layer.name)
        self._complete, self.usable_network = False, None

    def build(self, input_shape: Any) -> None:
        """Set the width of the input, of a model whose layers do not set it.

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
                f"input_shape must be (None, {self.n_inputs}), the width that the layers set. "
                f"Received: input_shape={input_shape!r}"
            )
        for layer in self._required_layers():
            if layer.n_inputs is None:
                layer.fix_n_inputs(width)
            width = layer.n_outputs

    # ---- the network and its weights ----

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    @property
    def drawn(self) -> bool:
        """Whether the network exists, with the weights of every layer."""
        return self._complete

    @property
    def configured(self) -> bool:
        """Whether the network is ready to train, with the optimizer's state."""
        return self._complete and self._configured

    def materialise(self, draw: bool = True) -> Network:
        """Return the network; make it first if there is none yet, and draw its weights."""
        if self._complete and self._network is not None:
            return self._network
        if not self.built:
            if self.encoding is not None and self.encoding.edges is None:
                raise RuntimeError(self.encoding.why_not_adapted())
            raise RuntimeError(
                f"Model {self.name!r} is not built yet: it needs a Dense layer, and input_shape= "
                "on its first layer, build((None, k)) or data"
            )
        deferred = signals.Signals()  # a handler that uses the model would draw its weights, too
        try:
            deferred.begin(ctrl_c=False)
            if self._making[0] != os.getpid():  # a thread of the parent may have held it
                self._making = os.getpid(), threading.RLock()
            with self._making[1]:  # a second thread waits for the network that the first one makes
                if self._complete and self._network is not None:
                    return self._network
                return self._make_network(draw)
        finally:
            deferred.end()

    def _make_network(self, draw: bool) -> Network:
        dense, rates = self.dense_layers, self.dropout_rates()
        assert self.n_inputs is not None
        self._require_memory()
        old = self._network
        widest = max(layer.units for layer in dense)
        network = _kernels.network_class(self.dtype.name, widest)(
            self.n_inputs,
            [layer.units for layer in dense],
            [layer.activation for layer in dense],
            use_bias=[layer.use_bias for layer in dense],
            dropout=rates,
            encoding=self.kernel_encoding(self._dtype),
        )
        kept = 0 if old is None else min(old.n_layers, len(dense))
        for i in range(kept):
            assert old is not None
            network.weights(i)[...] = old.weights(i)
            if dense[i].use_bias:
                network.bias(i)[...] = old.bias(i)
        if draw:
            self._draw(network, dense, range(kept, len(dense)))
        if self._complete and self._network is not None:
            return self._network  # an initializer used the model, which made it
        for each in self._layers:
            each.bind(network)
        self._network, self._complete, self._configured = network, True, False
        self.n_weights = self.count_params()
        return network

    def _draw(self, network: Network, dense: list[Dense], layers: Iterable[int]) -> None:
        """Draw the weights of some layers, each from a stream of its own."""

        def fill(i: int) -> None:
            rngs = (self._generator(0, i, 0), self._generator(0, i, 1))
            values = dense[i].initial_weights(self.dtype, rngs)
            network.weights(i)[...] = values[0]
            if dense[i].use_bias:
                network.bias(i)[...] = values[1]

        large = [i for i in layers if dense[i].count_params() >= _SIDE_BY_SIDE
                 and dense[i].draws_alone]  # fmt: skip
        n_threads = min(threads.resolve()[0], len(large))
        if n_threads > 1 and sum(dense[i].count_params() for i in large) <= _TOGETHER:
            with concurrent.futures.ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(fill, large))
            layers = [i for i in layers if i not in large]
        for i in layers:
            fill(i)

    def dropout_rates(self) -> list[float]:
        """Return the dropout rate on the input of each Dense layer."""
        rates, rate = [], 0.0
        for layer in self._layers:
            if isinstance(layer, Dropout):
                rate = 1 - (1 - rate) * (1 - layer.rate)
            elif isinstance(layer, Dense):
                rates.append(rate)
                rate = 0.0
        return rates

    def _require_memory(self) -> None:
        """Refuse weights that exceed the free memory: the system would kill the process."""
        size, weights = self.dtype.itemsize, self.count_params()
        # A layer's weights are drawn in float64, then rounded, then copied into the network.
        drawn = max(layer.count_params() for layer in self.dense_layers) * (8 + size)
        needed = weights * size + drawn
        if needed >= memory.ENOUGH_TO_ASK and needed > (left := memory.available()):
            raise MemoryError(
                f"The weights of model {self.name!r} must fit into memory, of which {left:,} bytes "
                f"are left. Received: {weights:,} weights, for which {needed:,} bytes are needed; "
                "fewer units need less"
            )

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its index."""
        if index is not None:
            place = arguments.integer("index", index, -len(self._layers))
            if place >= len(self._layers):
                raise ValueError(
                    f"index must be one of the {len(self._layers)} layers' indices. "
                    f"Received: index={index}"
                )
            return self._layers[place]
        table = {layer.name: layer for layer in self._layers}
        return table[arguments.one_of("layer", name, table)]

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
        network = self.materialise()
        weights = array_list("weights", weights)
        expected = sum(len(layer.shapes) for layer in self.dense_layers)
        if len(weights) != expected:
            raise DataError(f"The model has {expected} arrays of weights. Received: {len(weights)}")
        rest, checked = weights, []
        for layer in self.dense_layers:
            checked.append(layer.checked_weights(rest[: len(layer.shapes)], self.dtype))
            rest = rest[len(layer.shapes) :]
        with network.lock:
            for layer, values in zip(self.dense_layers, checked, strict=True):
                layer.set_weights(values)

    def count_params(self) -> int:
        """Return the number of weights and biases."""
        return sum(layer.count_params() for layer in self._layers)

    # ---- how it is trained ----

    @property
    def optimizer(self) -> optimizers.Optimizer | None:
        """As compiled; None before `compile`. Its settings may be changed at any time."""
        return self._optimizer

    @property
    def loss(self) -> losses.Loss | None:
        """As compiled; None before `compile`."""
        return self._loss

    @property
    def metrics(self) -> list[_metrics.Metric]:
        """As compiled, in a new list; empty before `compile`."""
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
        """Choose optimizer, loss and metrics; an earlier optimizer's state is discarded.

        Parameters
        ----------
        optimizer : str or Optimizer
            Such as 'adam' or ``optimizers.Adam(0.01)``.
        loss : str, Loss or function
            Such as 'mean_squared_error' or 'mse'. A function written in Python takes
            (y_true, y_pred) and returns each row's loss and its gradient by the outputs; see
            `losses.Loss.call`.
        metrics : list of str or Metric, optional
            Reported beside the loss, under the names given here.
        """
        self.require_idle("compile")
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
        """Names of the values that `evaluate` returns: 'loss', then the metrics."""
        return ["loss", *(metric.name for metric in self._metrics)]

    def ready(self, trained: bool = True) -> Network:
        """Return the network, checked to be complete and, if `trained`, configured to train."""
        last = self._required_layers()[-1]
        if not isinstance(last, Dense):
            raise ValueError(
                "The last layer must be Dense: dropout of the output itself is not a model. "
                f"Received: {last.name!r} at the end"
            )
        network = self.materialise()
        if self.usable_network is None:
            self.usable_network = network
        if not trained or (self._configured and self._latest_change == settings.latest()):
            return network
        if self.optimizer is None or self.loss is None:
            raise RuntimeError(self.why_not_compiled())
        check_last(last, self.loss, self.metrics)
        with network.lock:  # another thread may predict meanwhile, or be here as well
            if not self._configured:
                self.configure(network)
                self._configured, self._applied = True, None
            self._apply_settings(network)
        return network

    def _apply_settings(self, network: Network) -> None:
        """Set the settings that have changed in the network; its optimizer's state stays."""
        latest = settings.latest()
        options, rates = self._rule(), self.dropout_rates()
        penalties = [
            (layer.trainable, layer.penalties(), layer.penalty_settings())
            for layer in self.dense_layers
        ]
        if (options, rates, penalties) != self._applied:
            network.set_rule(**options, learning_rate=network.learning_rate)
            self.apply_penalties(network)
            for i, rate in enumerate(rates):
                network.set_dropout(i, rate)
            self._applied = options, rates, penalties
        self._latest_change = latest

    def apply_penalties(self, network: Network | None = None) -> None:
        """Set the layers' penalties, and which layers are frozen, in the network.

        Parameters
        ----------
        network : Network, optional
            Another one of the same architecture; the model's own by default.
        """
        if network is None:
            network = self.network
        for i, layer in enumerate(self.dense_layers):
            network.freeze(i, not layer.trainable)
            network.set_penalty(i, *layer.penalties(), **layer.penalty_settings())

    def _rule(self) -> dict[str, Any]:
        """Return the settings of optimizer and loss without the learning rate."""
        assert self.optimizer is not None and self.loss is not None
        options = self.optimizer.engine_options() | {
            "huber_delta": getattr(self.loss, "delta", 1.0)
        }
        del options["learning_rate"]
        return options

    def configure(self, network: Network, with_metrics: bool = True) -> None:
        """Set loss, metrics, optimizer and penalties in a network of this architecture."""
        assert self.optimizer is not None and self.loss is not None
        # For a loss in Python the network only receives gradients.
        loss, in_python = self.loss.name, self.loss.in_python
        given = self.metrics if with_metrics else []
        names = [m.engine_name(loss, network.n_outputs) for m in given]
        network.configure(
            loss="mean_squared_error" if in_python else loss,
            metrics=[] if in_python else [name for name in names if name is not None],
            learning_rate=float(self.optimizer.rates(0, 1)[0]),
            **self._rule(),
        )
        self.apply_penalties(network)

    def discard_optimizer_state(self) -> None:
        """Have the next training start with a new optimizer state."""
        self._configured = False

    def why_not_compiled(self) -> str:
        """Return the message of the error for a model that is not compiled."""
        if not self.missing:
            return f"Model {self.name!r} is not compiled yet: call compile(optimizer, loss) first"
        names = ", ".join(self.missing)
        table = ", ".join(f"{name!r}: {name}" for name in self.missing)
        return (
            f"Model {self.name!r} was compiled with {names}, written in Python, which its file "
            f"does not hold: load it with custom_objects={{{table}}}, or call "
            "compile(optimizer, loss) again"
        )

    def checked_inputs(self, x: Any, name: str = "x") -> np.ndarray:
        """Return x as an array that the network takes.

        A model that does not know its input's width is built.
        """
        array = arrays.inputs(x, self.n_inputs, self.dtype, name)
        if self.n_inputs is None:
            self.build(array.shape[1])
        return array

    def checked_rows(self, x: Any, name: str = "x") -> Inputs:
        """Return x as `checked_inputs` does, or as sparse rows if it is sparse."""
        if not is_sparse(x) or self.encoding is not None:
            return self.checked_inputs(x, name)
        rows = arrays.input_rows(x, self.n_inputs, self.dtype, name)
        if self.n_inputs is None:
            self.build(rows.shape[1])
        return rows

    # ---- description ----

    def get_config(self) -> dict[str, Any]:
        """Return the architecture: name, type, seed, width of the input and layers.

        Returns
        -------
        dict
            Plain JSON values, without weights and compilation.
        """
        return {
            "name": self.name,
            "dtype": self.dtype.name,
            "seed": self.seed,
            "n_inputs": self.n_inputs,
            "layers": [arguments.saved(layer) for layer in self._layers],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a model, with new weights, from what `get_config` returned.

        Parameters
        ----------
        config : mapping

        Returns
        -------
        Sequential

        Raises
        ------
        ValueError
            If it is not such a mapping; the message names what is wrong.
        """
        keys = {"name", "dtype", "seed", "n_inputs", "layers"}
        if not isinstance(config, Mapping) or set(config) != keys:
            odd = sorted(keys ^ set(config), key=str) if isinstance(config, Mapping) else []
            known = [f"{key!r} is missing" if key in keys else f"{key!r} is unknown" for key in odd]
            raise ValueError(
                f"config must be a dict with the keys {', '.join(sorted(keys))}. "
                f"Received: {arguments.shown(config)}{', where ' if odd else ''}{', '.join(known)}"
            )
        try:
            layers = made_layers(arguments.items("config['layers']", config["layers"], "layers"))
        except ValueError as error:
            raise ValueError(f"config['layers'] cannot be used: {error}") from error
        model = cls(layers, config["seed"], config["dtype"], config["name"])
        if config["n_inputs"] is not None and layers:
            model.build((config["n_inputs"],))
        elif config["n_inputs"] is not None:  # of a model that has only an Input yet
            model.add(InputLayer((config["n_inputs"],)))
        return model

    def unbuilt_state(self) -> dict[str, Any]:
        """Return what a copy of a model without weights has, for `from_unbuilt_state`."""
        names = ("seed", "name", "n_fits", "training_config", "extras", "history", "_input",
                 "missing", "_optimizer", "_loss", "_metrics")  # fmt: skip
        return {
            "layers": self.layers,
            "dtype": self.dtype.name,
            "state": {name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_unbuilt_state(cls, described: dict[str, Any]) -> Self:
        """Make a copy of a model without weights from what `unbuilt_state` returned."""
        model = cls(described["layers"], dtype=described["dtype"])
        for name, value in described["state"].items():
            setattr(model, name, value)
        return model
