"""The fit loop: hands epochs to the network, as many at once as nobody wants to see in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _arrays, _checks, threads
from . import callbacks as _callbacks
from .callbacks import Callback, History
from .errors import DataError, DivergedError
from .layers import Dropout
from .progress import ProgressLine, figures

if TYPE_CHECKING:
    from .layers import Dense
    from .losses import Loss
    from .metrics import Metric
    from .models import Sequential

_SNAPSHOT_SECONDS = 1.0
_CALL_SECONDS = 0.1  # how long a signal may wait
_MAX_EPOCHS = 1 << 16  # of one call: bounds the arrays that receive the losses


def check_verbose(verbose: Any) -> None:
    """Raise unless `verbose` is 0, 1, 2 or 'auto', which means 1."""
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose must be 0, 1 or 2. Received: verbose={verbose!r}")


def check_last(last: Dense, loss: Loss, metrics: Sequence[Metric]) -> None:
    """Require that the last layer, the loss and the metrics mean something together."""
    sparse = loss.name.startswith("sparse")
    if last.units == 1 and last.activation == "softmax":
        raise ValueError(
            "activation='softmax' needs at least 2 units: of one it is always 1. "
            "Received: units=1; for two classes use activation='sigmoid'"
        )
    if last.units == 1 and loss.name.endswith("categorical_crossentropy"):
        raise ValueError(
            f"loss={loss.name!r} needs at least 2 units in the last layer. Received: units=1; "
            "for two classes use loss='binary_crossentropy' with activation='sigmoid'"
        )
    for metric in metrics:
        name = metric.engine_name(loss.name, last.units)
        if name.startswith("sparse") != sparse:
            raise ValueError(
                "Metrics must take y in the form that the loss does, class indices or columns. "
                f"Received: metric {metric.name!r} with loss={loss.name!r}"
            )
        if last.units == 1 and "categorical" in name:
            raise ValueError(
                f"Metric {metric.name!r} needs at least 2 units in the last layer. "
                "Received: units=1"
            )


class Rows(NamedTuple):
    """Checked data: x (n, n_inputs), y (n, n_outputs), weight (n,) or None."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None


def _checked(model: Sequential, x: Any, y: Any, weight: Any, prefix: str = "") -> Rows:
    x = model.checked_inputs(x, prefix + "x")
    n_outputs = model.ready().n_outputs
    assert model.loss is not None
    y = _arrays.targets(y, len(x), n_outputs, model.loss.name, model.dtype, prefix + "y")
    name = prefix + "sample_weight"
    return Rows(x, y, _arrays.row_weights(weight, len(x), model.dtype, name))


def _split(rows: Rows, share: float) -> tuple[Rows, Rows | None]:
    """Keep the last `share` of the rows for validation."""
    share = _checks.fraction("validation_split", share)
    if not share:
        return rows, None
    n = int(len(rows.x) * (1.0 - share))
    if n in (0, len(rows.x)):
        raise DataError(
            "validation_split must leave rows for training and for validation. "
            f"Received: validation_split={share} of {len(rows.x)} rows"
        )
    x, y, weight = rows
    tail = None if weight is None else weight[n:]
    return Rows(x[:n], y[:n], None if weight is None else weight[:n]), Rows(x[n:], y[n:], tail)


def _validation_rows(model: Sequential, data: Any) -> Rows:
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise DataError(
            "validation_data must be (x, y) or (x, y, sample_weight). "
            f"Received: {_arrays.describe(data)}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    return _checked(model, data[0], data[1], data[2] if len(data) == 3 else None, "validation ")


def _validation_epochs(freq: Any) -> int | frozenset[int]:
    if isinstance(freq, (list, tuple, set, frozenset)):
        return frozenset(_checks.integer("an epoch in validation_freq", epoch) for epoch in freq)
    return _checks.integer("validation_freq", freq)


class _Snapshot:
    """Copies of a network's weights, in buffers that are made once."""

    def __init__(self, network: Any) -> None:
        self._views = [view(i) for i in range(network.n_layers) for view in
                       (network.weights, network.bias)]  # fmt: skip
        self._copies = [np.array(view) for view in self._views]
        self.taken = time.monotonic()

    def take(self) -> None:
        for copy, view in zip(self._copies, self._views, strict=True):
            copy[...] = view
        self.taken = time.monotonic()

    def restore(self) -> None:
        for copy, view in zip(self._copies, self._views, strict=True):
            view[...] = copy


class _Run:
    """One call of fit, from its first step to its last."""

    def __init__(
        self,
        model: Sequential,
        rows: Rows,
        validation: Rows | None,
        validation_freq: int | frozenset[int],
        batch_size: int,
        epochs: int,
        verbose: int,
        callbacks: list[Callback],
    ) -> None:
        self.model = model
        self.network = model.ready()
        self.validation = validation
        self.validation_freq = validation_freq
        self.epochs = epochs
        self.verbose = verbose
        self.n_batches = -(-len(rows.x) // batch_size)
        self.done = self.before = 0  # epochs in all; before the latest call of the network
        self.n_threads, self.automatic = threads.resolve()
        self.keys = model.metrics_names
        self.loss_buffer = np.empty(min(epochs, _MAX_EPOCHS))
        self.metric_buffer = np.empty((len(self.loss_buffer), len(self.keys) - 1))
        self.history = History()
        self.history.history = {key: [] for key in self.keys}
        if validation is not None:
            self.history.history |= {"val_" + key: [] for key in self.keys}
        self.history.params = {
            "epochs": epochs,
            "batch_size": batch_size,
            "steps": self.n_batches,
            "samples": len(rows.x),
            "verbose": verbose,
            "metrics": list(self.history.history),
        }
        self.history.set_model(model)
        hooked = _callbacks.overriding
        self.callbacks = callbacks
        self.epoch_hooks = hooked(callbacks, "on_epoch_begin", "on_epoch_end")
        self.batch_hooks = hooked(callbacks, "on_train_batch_begin", "on_train_batch_end")
        self.test_hooks = hooked(callbacks, "on_test_begin", "on_test_end")
        self.snapshot = _Snapshot(self.network)
        self.line = ProgressLine("fit", epochs, "epochs", enabled=verbose == 1)

    def train(self) -> None:
        for callback in self.callbacks:
            callback.set_params(self.history.params)
            callback.set_model(self.model)
            callback.on_train_begin()
        logs: dict[str, float] = {}
        while self.done < self.epochs and not self.model.stop_training:
            goal = self.done + 1 if self.epoch_hooks else self.next_stop()
            for callback in self.epoch_hooks:
                callback.on_epoch_begin(self.done)
            self.train_until(goal)
            if self.done < goal:
                break
            logs = {key: values[-1] for key, values in zip(
                self.keys, self.history.history.values(), strict=False)}  # fmt: skip
            if self.due(goal):
                logs |= self.validate()
            self.print_epoch(goal, logs)
            for callback in self.epoch_hooks:
                callback.on_epoch_end(goal - 1, dict(logs))
        for callback in self.callbacks:
            callback.on_train_end(dict(logs))

    def next_stop(self) -> int:
        """Return how many epochs will be done when Python is wanted next."""
        if self.validation is None:
            return self.epochs
        if isinstance(self.validation_freq, int):
            stop = (self.done // self.validation_freq + 1) * self.validation_freq
        else:
            stop = min((e for e in self.validation_freq if e > self.done), default=self.epochs)
        return min(stop, self.epochs)

    def due(self, epoch: int) -> bool:
        if self.validation is None:
            return False
        if isinstance(self.validation_freq, int):
            return epoch % self.validation_freq == 0
        return epoch in self.validation_freq

    def train_until(self, goal: int) -> None:
        """Train until `goal` epochs are done, or until a batch hook stops it."""
        while self.done < goal:
            if not self.batch_hooks:
                self.advance(min(goal - self.done, len(self.loss_buffer)), goal)
                continue
            batch = self.network.batch
            for callback in self.batch_hooks:
                callback.on_train_batch_begin(batch)
            ended = self.advance(1, goal, max_steps=1)
            loss = self.loss_buffer[0] if ended else self.network.running_loss
            for callback in self.batch_hooks:
                callback.on_train_batch_end(batch, {"loss": float(loss)})
            if self.model.stop_training:
                return

    def advance(self, n_epochs: int, goal: int, max_steps: int = 0) -> int:
        """Train on for at most `n_epochs` epochs; record those that ended, return how many."""
        network, optimizer = self.network, self.model.optimizer
        assert optimizer is not None
        network.learning_rate = optimizer.learning_rate
        self.before = network.epoch
        ended = network.run(
            n_epochs,
            self.loss_buffer,
            self.metric_buffer,
            n_threads=self.n_threads,
            automatic=self.automatic,
            max_seconds=_CALL_SECONDS,
            max_steps=max_steps,
        )
        self.record()
        if self.verbose == 2:
            self.print_epochs(ended, goal)
        if network.diverged is not None:
            raise self.divergence()
        if time.monotonic() - self.snapshot.taken >= _SNAPSHOT_SECONDS and network.finite() < 0:
            self.snapshot.take()
        if self.verbose == 1:
            values = {k: v[-1] for k, v in self.history.history.items() if v}
            self.line.update(self.done + network.batch / self.n_batches, values)
        return ended

    def record(self) -> None:
        """Append what the latest call of the network wrote; after Ctrl-C, what is still missing."""
        epoch, buffers = self.network.epoch, [self.loss_buffer, *self.metric_buffer.T]
        for key, buffer in zip(self.keys, buffers, strict=True):
            values = self.history.history[key]
            values += buffer[len(values) - self.before : epoch - self.before].tolist()
        self.history.epoch += range(len(self.history.epoch), epoch)
        self.done = epoch

    def print_epochs(self, ended: int, goal: int) -> None:
        """Print the epochs that just ended, but not the goal: its validation comes first."""
        lists = self.history.history
        for epoch in range(self.done - ended, min(self.done, goal - 1)):
            self.print_epoch(epoch + 1, {key: lists[key][epoch] for key in self.keys})

    def print_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        if self.verbose == 2:
            print(f"Epoch {epoch}/{self.epochs} - {figures(logs, ' - ')}", flush=True)

    def validate(self) -> dict[str, float]:
        assert self.validation is not None
        for callback in self.test_hooks:
            callback.on_test_begin()
        values = self.model._evaluate(*self.validation)
        logs = {"val_" + key: value for key, value in zip(self.keys, values, strict=True)}
        self.history.append(logs)
        for callback in self.test_hooks:
            callback.on_test_end(dict(zip(self.keys, values, strict=True)))
        return logs

    def divergence(self) -> DivergedError:
        """Put the snapshot back and make the error that says what happened."""
        epoch, index = self.network.diverged
        self.snapshot.restore()
        self.model._configured = False  # the optimizer's moments are spoilt: they start anew
        layer = self.model.dense_layers[index].name if index >= 0 else None
        what = "the loss" if layer is None else f"a weight or moment of layer {layer!r}"
        return DivergedError(
            f"Training diverged in epoch {epoch + 1}: {what} is no longer finite. The model has "
            "the latest finite snapshot of its weights; try a smaller learning rate",
            epoch=epoch + 1,
            layer=layer,
        )


def fit(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    batch_size: int,
    epochs: int,
    verbose: int | str,
    callbacks: Callback | Sequence[Callback] | None,
    validation_split: float,
    validation_data: Any,
    shuffle: bool,
    class_weight: Any,
    sample_weight: Any,
    validation_freq: Any,
) -> History:
    """Train `model`; see `Sequential.fit`."""
    batch_size = _checks.integer("batch_size", batch_size)
    epochs = _checks.integer("epochs", epochs)
    check_verbose(verbose)
    shuffle = _checks.flag("shuffle", shuffle)
    hooks = _callbacks.as_list(callbacks)
    freq = _validation_epochs(validation_freq)
    rows = _checked(model, x, y, sample_weight)
    if validation_data is not None:
        validation: Rows | None = _validation_rows(model, validation_data)
    else:
        rows, validation = _split(rows, validation_split)
    assert model.loss is not None
    by_class = _arrays.class_weights(class_weight, rows.y, model.loss.name)
    if by_class is not None:
        weight = by_class if rows.weight is None else by_class * rows.weight
        rows = rows._replace(weight=weight.astype(model.dtype))
    level = 1 if verbose == "auto" else int(verbose)
    run = _Run(model, rows, validation, freq, batch_size, epochs, level, hooks)
    run.network.begin(
        rows.x,
        rows.y,
        rows.weight,
        batch_size=batch_size,
        shuffle=shuffle and batch_size < len(rows.x),  # a sum over all rows has no order
        seed=_session_seed(model),
    )
    model.n_fits += 1
    model.history = run.history
    model.stop_training = False
    try:
        with run.line:
            run.train()
    except KeyboardInterrupt:
        run.record()
        run.history.interrupted = True
        raise
    finally:
        run.network.end()
        model.training_config |= {
            "epochs": model.training_config.get("epochs", 0) + run.done,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "samples": len(rows.x),
        }
    return run.history


def _session_seed(model: Sequential) -> int:
    """Return the seed of order and dropout, a new one for every call of fit."""
    given = [layer.seed for layer in model.layers if isinstance(layer, Dropout)]
    entropy = [model.seed, *(seed for seed in given if seed is not None)]
    sequence = np.random.SeedSequence(entropy, spawn_key=(1, model.n_fits))
    return int(sequence.generate_state(1, np.uint64)[0])
