"""Layers that are told how to train: loss, metrics and optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _checks, _fit_data, _settings, losses, optimizers
from . import metrics as _metrics
from .layers import Dense, Layer
from .stack import Stack

if TYPE_CHECKING:
    from ._resumed import Resumed


class Compiled(Stack):
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
        self.resumed: Resumed | None = None
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
                f"settings of the present one. Received: {name}={_checks.shown(value)}"
            )
        known = getattr(type(self), name, None)
        if isinstance(known, property) and known.fset is None:
            raise AttributeError(
                f"{name} of model {self.name!r} follows from its layers and cannot be set: make "
                f"another model. Received: {name}={_checks.shown(value)}"
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
        given = [] if given is None else _checks.items("metrics", given, "metrics or their names")
        chosen = [_metrics.get(identifier) for identifier in given]
        names = ["loss", *(metric.name for metric in chosen)]
        if len(set(names)) < len(names):
            raise ValueError(f"Names of metrics must differ. Received: {', '.join(names[1:])}")
        optimizer, loss = optimizers.get(optimizer), losses.get(loss)
        if self._layers and isinstance(self._layers[-1], Dense):
            _fit_data.check_last(self._layers[-1], loss, chosen)
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
        if not trained or (self._configured and self._heard == _settings.latest()):
            return network
        if self.optimizer is None or self.loss is None:
            raise RuntimeError(self._why_not_compiled())
        _fit_data.check_last(last, self.loss, self.metrics)
        with network.lock:  # another thread may predict meanwhile, or be here as well
            if not self._configured:
                self.configure(network)
                self._configured, self._told = True, None
            self._tell(network)
        return network

    def _tell(self, network: Any) -> None:
        """Tell the network the settings that have changed; its optimizer's state stays."""
        heard = _settings.latest()
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
