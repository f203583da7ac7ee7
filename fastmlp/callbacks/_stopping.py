"""Callbacks that stop a training."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._utils import arguments
from ..errors import DivergedError
from ._base import ConfiguredCallback, Logs, Monitor


class EarlyStopping(Monitor):
    """Stop training when a monitored value has stopped improving.

    Parameters
    ----------
    monitor : str
        A key of the logs, such as 'val_loss'.
    min_delta : float
        Smallest change that counts as an improvement.
    patience : int
        Epochs without improvement after which training stops.
    verbose : {0, 1}
        1 prints a line when it stops.
    mode : {'auto', 'min', 'max'}
        Whether small or large values are better. 'auto' uses the metric's direction; smaller
        losses are better.
    baseline : float, optional
        Only a value better than this resets the patience.
    restore_best_weights : bool
        Whether to set the weights of the best epoch at the end.
    start_from_epoch : int
        Number of epochs at the start that are ignored.
    penalty : bool
        Whether a monitored loss includes the penalties on weights. With a strong penalty, which
        keeps decreasing, late epochs look better than their predictions are.
    """

    penalty = True  # of pickles of earlier versions

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
        penalty: bool = True,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        self.penalty = arguments.flag("penalty", penalty)
        self.patience = arguments.integer("patience", patience, 0)
        if baseline is not None:
            arguments.number("baseline", baseline, "a finite number or None", lambda v: True)
        self.baseline = baseline
        self.restore_best_weights = arguments.flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = arguments.integer("start_from_epoch", start_from_epoch, 0)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self.worst
        self.best_epoch = 0
        self.best_weights: list[np.ndarray] | None = None

    def check(self) -> None:
        """Require the monitored value."""
        self.require_monitor()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the counts and the best value."""
        self.require_monitor()
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and stop training if patience has run out."""
        value = (logs or {}).get(self.monitor)
        if value is None or epoch < self.start_from_epoch:
            return
        if not self.penalty and self.monitor in ("loss", "val_loss"):
            value -= self.model.network.penalty()
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
        """Restore the best weights if `restore_best_weights` is set."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        """Return the count, the best value and its weights."""
        names = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the state that `get_state` returned."""
        self.wait, self.stopped_epoch = int(state["wait"]), int(state["stopped_epoch"])
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        self.best_weights = state["best_weights"]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        config = super().get_config()
        if config["penalty"]:  # the default, left out so that earlier versions read the rest
            del config["penalty"]
        return config


class TerminateOnNaN(ConfiguredCallback):
    """End training that diverges without an error.

    Training always notices a loss, weight or moment that is not finite, and raises DivergedError.
    With this callback it prints a line instead, restores the latest finite weights and returns
    the history up to the epoch before.
    """

    def __init__(self) -> None:
        pass

    def terminate(self, error: DivergedError) -> None:
        """Print what happened, and stop training."""
        print(f"{error}; training ends")
        self.model.stop_training = True
