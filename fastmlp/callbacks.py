"""Hooks into training, under Keras's names: what stops it, steers it, or writes it down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _checks
from ._callback import (
    HOOKS,
    Callback,
    Configured,
    History,
    Logs,
    Monitor,
    as_list,
    overriding,
)
from ._file_callbacks import CSVLogger, ModelCheckpoint
from .errors import DivergedError

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
    "as_list",
    "overriding",
]


class EarlyStopping(Monitor):
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
        Whether small or large is good; 'auto' asks the metric, and takes losses to be good when
        small.
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
        super().__init__(monitor, mode, min_delta, verbose)
        self.patience = _checks.integer("patience", patience, 0)
        if baseline is not None:
            _checks.number("baseline", baseline, "a finite number or None", lambda v: True)
        self.baseline = baseline
        self.restore_best_weights = _checks.flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = _checks.integer("start_from_epoch", start_from_epoch, 0)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self.worst
        self.best_epoch = 0
        self.best_weights: list[np.ndarray] | None = None

    def check(self) -> None:
        """Require the figure."""
        self.require_monitor()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start to count afresh."""
        self.require_monitor()
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and stop training if patience has run out."""
        value = (logs or {}).get(self.monitor)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.better(value, self.baseline):
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

    def get_state(self) -> dict[str, Any]:
        """Return the count, the best figure and its weights."""
        names = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_state` returned."""
        self.wait, self.stopped_epoch = int(state["wait"]), int(state["stopped_epoch"])
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        self.best_weights = state["best_weights"]


def _constant_rate(callback: Callback) -> float:
    """Return the optimizer's learning rate, which must be a number to be changed."""
    optimizer = callback.model.optimizer
    assert optimizer is not None
    if optimizer.schedule is not None:
        raise ValueError(
            f"{type(callback).__name__} needs an optimizer whose learning rate is a number. "
            f"Received: learning_rate={optimizer.schedule!r}, which sets every step's rate itself"
        )
    return float(optimizer.learning_rate)


def _set_rate(callback: Callback, rate: float) -> None:
    assert callback.model.optimizer is not None
    callback.model.optimizer.learning_rate = rate


class ReduceLROnPlateau(Monitor):
    """Lower the learning rate when a figure has not improved for a while.

    Adds 'learning_rate', the one that the epoch was trained with, to the logs.

    Parameters
    ----------
    monitor : str
        A key of the logs, such as 'val_loss'.
    factor : float
        The new rate is the old one times this; in (0, 1).
    patience : int
        Epochs without improvement after which the rate falls.
    verbose : {0, 1}
        1 prints a line when it does.
    mode : {'auto', 'min', 'max'}
        Whether small or large is good; 'auto' asks the metric.
    min_delta : float
        What is no more than this better counts as no improvement.
    cooldown : int
        Epochs after a fall that do not count.
    min_lr : float
        The rate does not fall below this.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        self.factor = _checks.number(
            "factor", factor, "a number above 0 and below 1", lambda v: 0 < v < 1
        )
        self.patience = _checks.integer("patience", patience, 0)
        self.cooldown = _checks.integer("cooldown", cooldown, 0)
        self.min_lr = _checks.non_negative("min_lr", min_lr)
        self._reset()

    def _reset(self) -> None:
        self.wait = self.cooldown_counter = 0
        self.best = self.worst

    def check(self) -> None:
        """Require the figure, and a rate that can be set."""
        _constant_rate(self)
        self.require_monitor()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start to count afresh."""
        _constant_rate(self)
        self.require_monitor()
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and lower the rate if patience has run out."""
        logs = {} if logs is None else logs
        rate = logs["learning_rate"] = _constant_rate(self)
        value = logs.get(self.monitor)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                _set_rate(self, max(rate * self.factor, self.min_lr))
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"Epoch {epoch + 1}: learning rate falls to {_constant_rate(self):g}")

    def get_state(self) -> dict[str, Any]:
        """Return the counts and the best figure."""
        names = ("wait", "cooldown_counter", "best")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_state` returned."""
        self.wait, self.cooldown_counter = int(state["wait"]), int(state["cooldown_counter"])
        self.best = float(state["best"])


class LearningRateScheduler(Callback):
    """Set the learning rate before every epoch.

    Adds 'learning_rate' to the logs. For a rate of every step, without leaving the compiled
    loop, give the optimizer one of `optimizers.schedules`.

    Parameters
    ----------
    schedule : callable
        Takes the epoch, from 0, and the rate so far; returns the new rate. May take the epoch
        alone.
    verbose : {0, 1}
        1 prints the rate of each epoch.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise ValueError(
                "schedule must be a function of epoch and rate. "
                f"Received: {_checks.shown(schedule)}"
            )
        import inspect

        self.schedule = schedule
        self.verbose = _checks.verbosity(verbose)
        self._takes_rate = True
        try:
            inspect.signature(schedule).bind(0, 0.1)
        except TypeError:
            self._takes_rate = False
        except ValueError:  # a compiled function that does not say what it takes
            pass

    def check(self) -> None:
        """Require a rate that can be set."""
        _constant_rate(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Ask for the rate and set it."""
        rate = _constant_rate(self)
        new = self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch)
        _set_rate(self, _checks.non_negative("What the schedule returns", new))
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {_constant_rate(self):g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Report the rate."""
        if logs is not None:
            logs["learning_rate"] = _constant_rate(self)


class TerminateOnNaN(Configured):
    """Let training that diverges end as if it had been stopped, rather than by an error.

    Training notices every loss, weight and moment that is not finite by itself. With this
    callback it prints a line, puts the latest finite weights back and returns the history up to
    the epoch before.
    """

    def __init__(self) -> None:
        pass

    def terminate(self, error: DivergedError) -> None:
        """Print what happened, and stop training."""
        print(f"{error}; training ends")
        self.model.stop_training = True


class LambdaCallback(Callback):
    """A callback made of functions, for hooks that are short.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with (epoch, logs).
    on_train_begin, on_train_end : callable, optional
        Called with (logs).
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with (batch, logs).
    **hooks : callable
        Other hooks of `Callback`, by name.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any] | None,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for name, function in given.items():
            if name not in HOOKS:
                raise _checks.unknown("hook", name, HOOKS)
            if function is None:
                continue
            if not callable(function):
                raise ValueError(f"{name} must be a function. Received: {_checks.shown(function)}")
            setattr(self, name, function)
