"""The look at each epoch that writes an estimator's curves and decides when to stop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Callback
from ._data import Rows

if TYPE_CHECKING:
    from ._outputs import Output

_MOST_EPOCHS = 1000  # between two looks
_SMALLEST_RATE = 1e-6  # an adaptive learning rate is not divided further below this


class Watch(Callback):
    """Writes an estimator's curves, counts epochs without progress, and stops in time.

    Parameters
    ----------
    estimator : MLPRegressor or MLPClassifier
        Its attributes of training are set; `n_iter_` and the counter must stand at their start.
    output : Output
    constant : float
        Subtracted from the engine's loss.
    n_rows : int
        Rows of training.
    held : Rows or None
        Validation data; x as the network takes it.
    stops : bool
        Whether progress is measured on `held`, not by the loss.
    """

    def __init__(
        self,
        estimator: Any,
        output: Output,
        constant: float,
        n_rows: int,
        held: Rows | None,
        stops: bool,
    ) -> None:
        self.estimator = estimator
        self.output = output
        self.constant = constant
        self.n_rows = n_rows
        self.held = held
        self.stops = stops
        self._seen = 0  # epochs
        # What each epoch asks for, beside its loss, is of that epoch alone.
        self._looks_at_each = bool(
            held is not None or estimator.verbose or output.share != 1 or self._rate_falls
        )
        self._plan()

    @property
    def _rate_falls(self) -> bool:
        return bool(self.estimator.solver == "sgd" and self.estimator.learning_rate == "invscaling")

    def _plan(self) -> None:
        """Say when to look next: patience cannot be lost before."""
        if not self._looks_at_each:
            left = self.estimator.n_iter_no_change + 1 - self.estimator._no_improvement_count
            self.epoch_period = int(min(max(1, left), _MOST_EPOCHS))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Take note of the epoch, and of those before it that nobody has looked at."""
        self.catch_up()
        self._plan()

    def catch_up(self) -> None:
        """Take note of the epochs that have ended since the last look."""
        history = self.model.history if hasattr(self, "model") else None
        losses = history.history["loss"][self._seen :] if history is not None else []
        self._seen += len(losses)
        for loss in losses:
            self._take_note(loss - self.constant)

    def _take_note(self, loss: float) -> None:
        """Write down an epoch, and stop training if that is due."""
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
                estimator._best_weights = self.model.get_weights()
        else:
            progress = loss <= estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(loss, estimator.best_loss_)
        estimator._no_improvement_count = 0 if progress else estimator._no_improvement_count + 1
        optimizer = self.model.optimizer
        assert optimizer is not None
        if self._rate_falls:
            rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
            optimizer.learning_rate = rate
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self.lost_patience(optimizer)

    def note(self, loss: float) -> None:
        """Append one epoch to the estimator's curve."""
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

    def validate(self, held: Rows) -> None:
        """Append score and loss on the validation data."""
        estimator = self.estimator
        predicted = self.output.predicted(self.model.predict(held.x, verbose=0))
        score = float(estimator._score(held.y, predicted, held.weight))
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

    def lost_patience(self, optimizer: Any) -> None:
        """Lower an adaptive learning rate; else stop."""
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
            estimator._no_improvement_count = 0
            text += f": learning rate lowered to {rate / 5:g}"
        else:
            self.model.stop_training = estimator.converged_ = True
            text += ": training ends"
        if estimator.verbose:
            print(text, flush=True)
