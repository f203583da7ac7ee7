"""Hooks into training: the base class, the History that fit returns, and EarlyStopping."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from . import _checks

if TYPE_CHECKING:
    from .models import Sequential

Logs = dict[str, float]


class Callback:
    """Base class: a subclass overrides the hooks it wants; the others cost nothing.

    Training leaves the compiled loop at every epoch for an epoch hook, and at every batch for
    a batch hook, but only if one is overridden.

    Attributes
    ----------
    model : Sequential
        Being trained. Setting ``model.stop_training = True`` ends training after the epoch, or
        after the batch from a batch hook.
    params : dict
        ``epochs``, ``batch_size``, ``steps`` (batches an epoch), ``samples``, ``verbose`` and
        ``metrics`` (every key that logs may have).
    """

    model: Sequential
    params: dict[str, Any]

    def set_model(self, model: Sequential) -> None:
        """Remember the model; called before training."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Remember the settings of this training; called before it."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; `logs` are those of it."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch; `logs` hold its loss and metrics, and the validation's if it had one."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch, counted from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch; `logs` hold the mean loss of the epoch so far."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation on validation data."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation on validation data; `logs` hold its loss and metrics."""


class History(Callback):
    """What training reported.

    Attributes
    ----------
    epoch : list of int
        Epochs done, from 0.
    history : dict of str to list of float
        One value an epoch for 'loss' and every metric; for the 'val_' keys one a validation.
    interrupted : bool
        Whether Ctrl-C ended training.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}
        self.params: dict[str, Any] = {}
        self.interrupted = False

    def set_model(self, model: Sequential) -> None:
        """Remember the model, weakly: it holds its history itself."""
        self.model = cast("Sequential", weakref.proxy(model))

    def append(self, logs: Mapping[str, float]) -> None:
        """Add one value to each list that `logs` names."""
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))


class EarlyStopping(Callback):
    """Stop when a figure has not improved for a while.

    Parameters
    ----------
    monitor : str
        A key of the logs, such as 'val_loss'.
    min_delta : float
        What is no more than this better counts as no improvement.
    patience : int
        Epochs without improvement after which training stops.
    verbose : {0, 1}
        1 prints a line when it stops.
    mode : {'auto', 'min', 'max'}
        Whether small or large is good; 'auto' takes accuracies to be good when large.
    baseline : float, optional
        Patience starts anew only with a value better than this.
    restore_best_weights : bool
        Whether the model ends with the weights of its best epoch.
    start_from_epoch : int
        Epochs at the start that do not count.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise _checks.unknown("mode", str(mode), ("auto", "min", "max"))
        self.monitor = monitor
        self.min_delta = abs(
            _checks.number("min_delta", min_delta, "a finite number", lambda v: True)
        )
        self.patience = _checks.integer("patience", patience, 0)
        self.verbose = verbose
        self.mode = mode
        if baseline is not None:
            _checks.number("baseline", baseline, "a finite number or None", lambda v: True)
        self.baseline = baseline
        self.restore_best_weights = _checks.flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = _checks.integer("start_from_epoch", start_from_epoch, 0)
        large_is_good = mode == "max" or (mode == "auto" and "acc" in monitor)
        self._sign = -1.0 if large_is_good else 1.0
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self._sign * math.inf
        self.best_epoch = 0
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start to count afresh."""
        known = self.params["metrics"]
        if self.monitor not in known:
            hint = ""
            if self.monitor.removeprefix("val_") in known:
                hint = " Validation figures need validation_data or validation_split."
            raise ValueError(
                f"monitor must be one of {', '.join(known)}.{hint} "
                f"Received: monitor={self.monitor!r}"
            )
        self._reset()

    def _better(self, value: float, than: float) -> bool:
        return self._sign * (than - value) > self.min_delta

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and stop training if patience has run out."""
        value = (logs or {}).get(self.monitor)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Put the best weights back, if asked."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)


def as_list(callbacks: Callback | Iterable[Callback] | None) -> list[Callback]:
    """Return the callbacks given to fit as a list, each checked to be one."""
    if callbacks is None:
        return []
    given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
    for callback in given:
        if not isinstance(callback, Callback):
            raise ValueError(
                f"callbacks must be callbacks.Callback objects. Received: {callback!r}"
            )
    return given


def overriding(callbacks: Iterable[Callback], *hooks: str) -> list[Callback]:
    """Return those callbacks that override one of these hooks."""

    def overrides(callback: Callback, hook: str) -> bool:
        # Through __func__: a function put on the object counts as well.
        return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)

    return [c for c in callbacks if any(overrides(c, hook) for hook in hooks)]
