"""A callback that records an estimator's curves and decides when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Callback
from ._data import EncodedRows

if TYPE_CHECKING:
    from ._outputs import Output

_MOST_EPOCHS = 1000  # between two calls
_SMALLEST_RATE = 1e-6  # an adaptive learning rate below this is not divided further


class TrainingMonitor(Callback):
    """Records an estimator's curves, counts epochs without progress, and stops training.

    Parameters
    ----------
    estimator : MLPRegressor or MLPClassifier
        Its public attributes of training are updated.
    score : callable
        From (y, predictions, weights) of the validation data to their score.
    output : Output
    constant : float
        Subtracted from the engine's loss.
    n_rows : int
        Number of training rows.
    held : EncodedRows or None
        Validation data in the scale of the network.
    stops : bool
        Whether progress is measured by the score on `held` instead of the loss.
    best_weights : list of ndarray or None
        Weights of the best score so far; updated if `stops`.
    n_without_progress : int
        Epochs without progress so far; updated.
    """

    def __init__(
        self,
        estimator: Any,
        score: Callable[..., float],
        output: Output,
        constant: float,
        n_rows: int,
        held: EncodedRows | None,
        stops: bool,
        best_weights: list[np.ndarray] | None,
        n_without_progress: int,
    ) -> None:
        self.estimator = estimator
        self.score = score
        self.output = output
        self.constant = constant
        self.n_rows = n_rows
        self.held = held
        self.stops = stops
        self.best_weights = best_weights
        self.n_without_progress = n_without_progress
        self._seen = 0  # epochs
        # These need the network as it is at the end of each epoch.
        self._needs_each_epoch = bool(
            held is not None or estimator.verbose or output.share != 1 or self._rate_falls
        )
        self._plan()

    @property
    def _rate_falls(self) -> bool:
        return bool(self.estimator.solver == "sgd" and self.estimator.learning_rate == "invscaling")

    def _plan(self) -> None:
        """Set the number of epochs to the next call: training cannot stop before."""
        if not self._needs_each_epoch:
            left = self.estimator.n_iter_no_change + 1 - self.n_without_progress
            self.epoch_period = int(min(max(1, left), _MOST_EPOCHS))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the epochs since the last call."""
        self.catch_up()
        self._plan()

    def catch_up(self) -> None:
        """Record the epochs that have ended since the last call."""
        history = self.model.history if hasattr(self, "model") else None
        losses = history.history["loss"][self._seen :] if history is not None else []
        self._seen += len(losses)
        for loss in losses:
            self._record(loss - self.constant)

    def _record(self, loss: float) -> None:
        """Record an epoch, and stop training if there is no progress."""
        estimator = self.estimator
        if self.output.share != 1:
            penalty = self.model.network.penalty()
            loss = self.output.share * (loss - penalty) + penalty
        self.note(loss)
        if self.held is not None:
            self.validate(self.held)
        if self.stops:
            score = estimator.validation_scores_[-1]
            progress = score >= estimator.best_validation_score_ + estimator.tol
            if score > estimator.best_validation_score_:
                estimator.best_validation_score_ = score
                self.best_weights = self.model.get_weights()
        else:
            progress = loss <= estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(loss, estimator.best_loss_)
        self.n_without_progress = 0 if progress else self.n_without_progress + 1
        optimizer = self.model.optimizer
        assert optimizer is not None
        if self._rate_falls:
            rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
            optimizer.learning_rate = rate
        if self.n_without_progress > estimator.n_iter_no_change:
            self._lower_rate_or_stop(optimizer)

    def note(self, loss: float) -> None:
        """Append one epoch's loss to the estimator's curve."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.n_rows
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}", flush=True)

    def diverged(self) -> None:
        """Append the epoch whose loss is not finite."""
        self.note(math.nan)
        self.estimator.validation_scores_.append(math.nan)
        self.estimator.validation_loss_curve_.append(math.nan)

    def validate(self, held: EncodedRows) -> None:
        """Append score and loss on the validation data."""
        estimator = self.estimator
        predicted = self.output.predicted(self.model.predict(held.x, verbose=0))
        score = float(self.score(held.y, predicted, held.weight))
        losses = self.output.row_losses(held.y, predicted)
        estimator.validation_scores_.append(score)
        mean = losses.mean() if held.weight is None else np.average(losses, weights=held.weight)
        estimator.validation_loss_curve_.append(float(mean))
        if estimator.verbose:
            print(f"Validation score: {score:f}", flush=True)
        if self.stops:
            return
        best = estimator.best_validation_score_
        estimator.best_validation_score_ = score if best is None else max(score, best)

    def _lower_rate_or_stop(self, optimizer: Any) -> None:
        """Lower an adaptive learning rate if it is not too small already, or stop training."""
        estimator = self.estimator
        what = "Validation score" if self.stops else "Training loss"
        text = (
            f"{what} has not improved by tol={estimator.tol:g} for more than "
            f"{estimator.n_iter_no_change} epochs"
        )
        rate = optimizer.learning_rate
        if (
            estimator.solver == "sgd"
            and estimator.learning_rate == "adaptive"
            and rate > _SMALLEST_RATE
        ):
            optimizer.learning_rate = rate / 5
            self.n_without_progress = 0
            text += f": learning rate lowered to {rate / 5:g}"
        else:
            self.model.stop_training = estimator.converged_ = True
            text += ": training ends"
        if estimator.verbose:
            print(text, flush=True)
