"""Callbacks that change the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._utils import arguments
from ._base import Callback, Logs, Monitor


def _constant_rate(callback: Callback) -> float:
    """Return the optimizer's learning rate; raise ValueError if it has a schedule."""
    optimizer = callback.model.optimizer
    assert optimizer is not None
    if optimizer.schedule is not None:
        raise ValueError(
            f"{type(callback).__name__} needs an optimizer whose learning rate is a number. "
            f"Received: learning_rate={optimizer.schedule!r}, which sets the rate of every step"
        )
    return float(optimizer.learning_rate)


def _set_rate(callback: Callback, rate: float) -> None:
    assert callback.model.optimizer is not None
    callback.model.optimizer.learning_rate = rate


class ReduceLROnPlateau(Monitor):
    """Reduce the learning rate when a monitored value has stopped improving.

    Adds 'learning_rate' to the logs, the rate that the epoch was trained with.

    Parameters
    ----------
    monitor : str
        A key of the logs, such as 'val_loss'.
    factor : float
        Factor between 0 and 1 that the rate is multiplied by.
    patience : int
        Epochs without improvement after which the rate is reduced.
    verbose : {0, 1}
        1 prints a line at each reduction.
    mode : {'auto', 'min', 'max'}
        Whether small or large values are better; 'auto' uses the metric's direction.
    min_delta : float
        Smallest change that counts as an improvement.
    cooldown : int
        Number of epochs after a reduction that are not counted as without improvement.
    min_lr : float
        Lower bound of the rate.
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
        self.factor = arguments.number(
            "factor", factor, "a number above 0 and below 1", lambda v: 0 < v < 1
        )
        self.patience = arguments.integer("patience", patience, 0)
        self.cooldown = arguments.integer("cooldown", cooldown, 0)
        self.min_lr = arguments.non_negative("min_lr", min_lr)
        self._reset()

    def _reset(self) -> None:
        self.wait = self.cooldown_counter = 0
        self.best = self.worst

    def check(self) -> None:
        """Require the monitored value, and a learning rate that is a number."""
        _constant_rate(self)
        self.require_monitor()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the counts and the best value."""
        _constant_rate(self)
        self.require_monitor()
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and reduce the rate if patience has run out."""
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
        """Return the counts and the best value."""
        names = ("wait", "cooldown_counter", "best")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the state that `get_state` returned."""
        self.wait, self.cooldown_counter = int(state["wait"]), int(state["cooldown_counter"])
        self.best = float(state["best"])


class LearningRateScheduler(Callback):
    """Set the learning rate before every epoch.

    Adds 'learning_rate' to the logs. To set the rate of every step without leaving the compiled
    loop, give the optimizer one of `optimizers.schedules` instead.

    Parameters
    ----------
    schedule : callable
        Called with the epoch, counted from 0, and the present rate, or with the epoch only;
        returns the new rate.
    verbose : {0, 1}
        1 prints the rate of each epoch.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise ValueError(
                "schedule must be a function of epoch and rate. "
                f"Received: {arguments.shown(schedule)}"
            )
        import inspect

        self.schedule = schedule
        self.verbose = arguments.verbosity(verbose)
        self._takes_rate = True
        try:
            inspect.signature(schedule).bind(0, 0.1)
        except TypeError:
            self._takes_rate = False
        except ValueError:  # a compiled function without a signature
            pass

    def check(self) -> None:
        """Require a learning rate that is a number."""
        _constant_rate(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Call the schedule and set the rate."""
        rate = _constant_rate(self)
        new = self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch)
        _set_rate(self, arguments.non_negative("The value returned by the schedule", new))
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {_constant_rate(self):g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = _constant_rate(self)
