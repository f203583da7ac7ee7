"""Two endings of a training: the last wave of the rates with the group penalty, and without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Callback, EarlyStopping, Logs
from ..regularizers import GroupL1
from ._decisions import UNBOUNDED
from ._model import KEPT
from ._scores import mean_and_error

if TYPE_CHECKING:
    from ..models import Sequential
    from ._prepare import Arrays

_NAMES = ("best", "best_epoch", "best_weights")


def best_epoch(patience: int | None = None) -> EarlyStopping:
    """Return the callback that keeps the epoch of the smallest held-out loss without penalty.

    Parameters
    ----------
    patience : int, optional
        Epochs without a smaller one after which training stops; by default it never does.
    """
    least = UNBOUNDED if patience is None else patience
    return EarlyStopping("val_loss", patience=least, restore_best_weights=True, penalty=False)


class BestEnding(EarlyStopping):
    """Keeps the best epoch of a training whose last wave is run twice.

    The penalty on the first layer finds which inputs and bins matter, and it shrinks the others'
    weights to zero; it also shrinks those that matter (Meinshausen 2007). So after `epochs` epochs
    the weights of the beginning of the last wave are set again, and the wave is run without the
    penalty. That ending is kept if its best epoch has a smaller loss on the rows held out; with
    `cautious`, by more than the standard error of the difference.

    Parameters
    ----------
    epochs : int
        Of the training with the penalty.
    repeated : int
        The last of them, which are run again.
    strength : float
        Of the group penalty.
    held : tuple (x, y, weight)
        The rows held out.
    cautious : bool
        For one network. A mean of several suffers less from a choice by chance.

    References
    ----------
    Meinshausen (2007), Computational Statistics & Data Analysis 52: the relaxed lasso.
    """

    def __init__(
        self, epochs: int, repeated: int, strength: float, held: Arrays, cautious: bool = True
    ) -> None:
        super().__init__("val_loss", patience=UNBOUNDED, restore_best_weights=True, penalty=False)
        self.epochs, self.repeated, self.strength = epochs, repeated, strength
        self.held, self.cautious = held, cautious
        self._middle: list[np.ndarray] | None = None
        self._first: dict[str, Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training."""
        self._middle = self._first = None
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch; after the first ending go back to where it began."""
        super().on_epoch_end(epoch, logs)
        if epoch + 1 == self.epochs - self.repeated:
            self._middle = self.model.get_weights()
        if epoch + 1 == self.epochs and self._middle is not None:
            self._first = {name: getattr(self, name) for name in _NAMES}
            self.best, self.best_weights = self.worst, None
            self.model.set_weights(self._middle)
            release(self.model)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Set the weights of the better ending."""
        self.settle()

    def settle(self) -> bool:
        """Set the best weights so far; return whether there are any."""
        first, second = self._first, self.best_weights
        if first is not None and (second is None or not self._better(first["best_weights"])):
            for name, value in first.items():
                setattr(self, name, value)
            self.model.dense_layers[0].kernel_regularizer = GroupL1(self.strength, "inputs")
        if self.best_weights is None:
            return False
        self.model.set_weights(self.best_weights)
        if KEPT in self.model.extras:
            self.model.extras[KEPT]["best_epoch"] = self.best_epoch + 1
        return True

    @property
    def again(self) -> bool:
        """Whether the first ending is done."""
        return self._first is not None

    def _better(self, first: list[np.ndarray]) -> bool:
        """Whether the best epoch of the second ending is better, if cautious beyond chance."""
        x, y, weight = self.held
        loss, rows = self.model.loss, []
        assert loss is not None and self.best_weights is not None
        for weights in (first, self.best_weights):
            self.model.set_weights(weights)
            rows.append(loss.rows(y, self.model.predict(x, verbose=0)).astype(np.float64))
        mean, error = mean_and_error(rows[0] - rows[1], weight)
        return mean > (error if self.cautious else 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments that are plain values."""
        names = ("epochs", "repeated", "strength", "cautious")
        return {name: getattr(self, name) for name in names}

    def get_state(self) -> dict[str, Any]:
        """Return also the weights of the last wave's beginning, and the first ending's."""
        return {**super().get_state(), "middle": self._middle, "first": self._first}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the state that `get_state` returned."""
        super().set_state(state)
        self._middle, self._first = state["middle"], state["first"]


def settle(stop: EarlyStopping, model: Sequential) -> bool:
    """Set the weights of the best epoch so far, of both endings if there are; say if there is one.

    Parameters
    ----------
    stop : EarlyStopping
        What `best_epoch` returned, or a `BestEnding`.
    model : Sequential
    """
    if isinstance(stop, BestEnding):
        return stop.settle()
    if stop.best_weights is not None:
        model.set_weights(stop.best_weights)
    return stop.best_weights is not None


class Release(Callback):
    """Takes the penalty away after a number of epochs.

    Parameters
    ----------
    epochs : int
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Take it away, once."""
        if epoch + 1 == self.epochs:
            release(self.model)


def release(model: Sequential) -> None:
    """Take the penalty on the first layer's weights away."""
    model.dense_layers[0].kernel_regularizer = None
