"""Training data, weights of rows and penalties as the engine takes them."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import regularizers
from .._utils import arrays
from ..models import Sequential

if TYPE_CHECKING:
    from ._fitted import FittedMLP
    from ._outputs import Output
    from ._parameters import Settings


class Rows(NamedTuple):
    """x (n, n_inputs), y (n, columns) as the estimator encodes it, weight (n,) or None."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None

    def take(self, index: np.ndarray) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.x[index], self.y[index], None if self.weight is None else self.weight[index]
        )


class Problem:
    """Training data and penalties as the engine takes them.

    The engine divides by the number of rows; weights of rows are brought to a mean of 1 so that
    this is the sum of weights, and alpha is divided by it as well.

    Parameters
    ----------
    estimator : FittedMLP
    settings : Settings
    output : Output
    rows : Rows
        Of training.
    rows_per_step : float
        What alpha is divided by.
    """

    def __init__(
        self,
        estimator: FittedMLP,
        settings: Settings,
        output: Output,
        rows: Rows,
        rows_per_step: float,
    ) -> None:
        y = estimator._scaled_target(rows.y)
        self.x = estimator._scaled(rows.x)
        self.y = output.targets(y)
        mean, self.weight = 1.0, None
        if rows.weight is not None:
            mean = float(rows.weight.mean())
            if mean == 0:
                raise ValueError("Sample weights must not all be zero. Received: 0 for every row")
            self.weight = rows.weight * (output.factor / mean)
        elif output.factor != 1:
            self.weight = np.full(len(y), output.factor)
        self.constant = float(np.average(output.constant(y), weights=rows.weight))
        alpha = estimator.alpha / 2 / (mean * rows_per_step)
        self.l2 = settings.l2 or [alpha] * len(settings.l1)

    def set_penalties(self, model: Sequential, l1: list[float]) -> None:
        """Give every layer its penalty; an optimizer at work keeps its state."""
        for i, layer in enumerate(model.dense_layers):
            layer.kernel_regularizer = regularizers.L1L2(l1[i], self.l2[i])
            if model.configured:
                layer.set_penalties(model.network)


def rows_per_step(batch_size: int, n_rows: int) -> float:
    """Return the harmonic mean of the batches' sizes: what a penalty per row is divided by."""
    whole, rest = divmod(n_rows, batch_size)
    if not rest:
        return float(batch_size)
    return (whole + 1) / (whole / batch_size + 1 / rest)


def row_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return weights as (n,) of float64; a single number counts for every row."""
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(n_rows, sample_weight)
    return arrays.row_weights(sample_weight, n_rows, np.dtype(np.float64))


def mean_and_scale(values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column, 1 for a constant one, in its type."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values, sample_weight=weight)
    dtype = values.dtype if values.dtype == np.float32 else np.float64
    return scaler.mean_.astype(dtype), scaler.scale_.astype(dtype)
