"""Loss and output layer for each kind of target: scikit-learn's losses from the engine's.

The engine's loss is the mean over rows of weight * loss of the row. A row's loss is the mean over
its outputs. `factor` is the row weight that makes this scikit-learn's loss.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import xlogy

from .. import losses


class Output:
    """The network's output layer, and the conversion of targets and outputs.

    Parameters
    ----------
    n_outputs : int

    Attributes
    ----------
    loss, activation : str
        The engine's names.
    public : str
        scikit-learn's name of the activation.
    factor : float
        Weight of every row.
    share : float
        Reported data loss, as a share of the minimised one.
    shift : float
        Added to the biases of the output layer inside the engine.
    scale : float
        Factor from the engine's outputs to predictions.
    unclipped : bool
        Whether the cross-entropy is computed from logits, without a clip.
    """

    loss: str
    activation: str
    public: str
    factor = 1.0
    share = 1.0
    shift = 0.0
    scale = 1.0
    unclipped = False

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs = n_outputs

    @property
    def layer(self) -> tuple[int, str]:
        """Width and activation of the engine's output layer."""
        return self.n_outputs, self.activation

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Return y in the form that the engine takes."""
        return y

    def predicted(self, raw: np.ndarray) -> np.ndarray:
        """Return predictions from the engine's outputs."""
        return raw

    def constant(self, y: np.ndarray) -> np.ndarray:
        """Return the constant to subtract from each row's minimised loss, (n,)."""
        return np.zeros(len(y))

    def row_losses(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Return each row's reported loss, (n,)."""
        raise NotImplementedError

    def best_constant(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the prediction, (n_outputs,), with the smallest loss of those without x."""
        mean: np.ndarray = np.average(y, axis=0, weights=weight)
        return mean


class SquaredErrorOutput(Output):
    """Half the squared error: minimised is the sum over outputs, reported their mean."""

    loss, activation, public = "mean_squared_error", "linear", "identity"

    def __init__(self, n_outputs: int) -> None:
        super().__init__(n_outputs)
        self.factor = n_outputs / 2
        self.share = 1 / n_outputs

    def row_losses(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Return half the mean squared error of each row."""
        return losses.mean_squared_error(y, predicted) / 2


class PoissonOutput(Output):
    """Half the Poisson deviance of counts with mean exp(z), summed over outputs.

    The engine has no exponential. Counts are modelled as successes in `TRIALS` trials with
    probability sigmoid(z - log TRIALS). The mean of this binomial distribution differs from
    Poisson's by a share of mean / TRIALS.
    """

    loss, activation, public = "binary_crossentropy", "sigmoid", "exp"
    TRIALS = 2.0**46  # its logarithm is the largest below 32, where float32 becomes coarser
    shift = -math.log(TRIALS)
    scale = TRIALS
    unclipped = True  # the probability of one trial is far below the clip

    def __init__(self, n_outputs: int) -> None:
        super().__init__(n_outputs)
        self.factor = n_outputs * self.TRIALS

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Return counts divided by the number of trials."""
        if y.min() < 0 or y.max() > self.TRIALS:
            bad = y[(y < 0) | (y > self.TRIALS)][0]
            raise ValueError(
                f"y must be at least 0 and at most {self.TRIALS:.0e} for loss='poisson'. "
                f"Received: {bad}"
            )
        return np.asarray(y, np.float64) / self.TRIALS

    def predicted(self, raw: np.ndarray) -> np.ndarray:
        """Return mean counts."""
        return raw * raw.dtype.type(self.TRIALS)

    def constant(self, y: np.ndarray) -> np.ndarray:
        """Return the difference between cross-entropy and deviance."""
        return (y - xlogy(y, y) - self.shift * y).sum(axis=1)

    def row_losses(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Return half the deviance of each row."""
        tiny = np.finfo(predicted.dtype).tiny
        return (xlogy(y, y / np.maximum(predicted, tiny)) - y + predicted).sum(axis=1)


class BernoulliOutput(Output):
    """Log loss of labels 0 and 1, one probability each, summed over outputs."""

    loss, activation, public = "binary_crossentropy", "sigmoid", "logistic"

    def __init__(self, n_outputs: int) -> None:
        super().__init__(n_outputs)
        self.factor = float(n_outputs)

    def row_losses(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Return the log loss of each row."""
        return self.n_outputs * losses.binary_crossentropy(y, predicted)


class CategoricalOutput(Output):
    """Log loss of one class of several; y holds its index."""

    loss, activation, public = "sparse_categorical_crossentropy", "softmax", "softmax"

    def row_losses(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Return the log loss of each row."""
        return losses.sparse_categorical_crossentropy(y, predicted)

    def best_constant(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the classes' shares."""
        totals = np.bincount(y[:, 0].astype(int), weights=weight, minlength=self.n_outputs)
        return totals / totals.sum()


_KINDS: dict[str, type[Output]] = {
    kind.public: kind
    for kind in (SquaredErrorOutput, PoissonOutput, BernoulliOutput, CategoricalOutput)
}


def output_for(public: str, n_outputs: int) -> Output:
    """Return the output whose activation is `public` in scikit-learn."""
    return _KINDS[public](n_outputs)
