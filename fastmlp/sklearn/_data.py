"""Training data, row weights and penalties in the form that the engine takes."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import regularizers
from .._utils import arrays
from .._utils.sparse import Inputs
from ..models import Sequential

if TYPE_CHECKING:
    from ._outputs import Output
    from ._parameters import FitSettings


class EncodedRows(NamedTuple):
    """x (n, n_inputs), y (n, columns) encoded by the estimator, weight (n,) or None."""

    x: Inputs
    y: np.ndarray
    weight: np.ndarray | None

    def take(self, index: np.ndarray) -> EncodedRows:
        """Return some of the rows."""
        return EncodedRows(
            self.x[index], self.y[index], None if self.weight is None else self.weight[index]
        )


class EngineData:
    """Training data and penalties in the form that the engine takes.

    The engine divides by the number of rows. Row weights are scaled to a mean of 1, so that this
    equals a division by the sum of weights. alpha is divided by it as well.

    Parameters
    ----------
    rows : EncodedRows
        Training rows in the scale of the network.
    output : Output
    settings : FitSettings
    alpha : float
        The estimator's.
    rows_per_step : float
        Divisor of alpha.
    """

    def __init__(
        self,
        rows: EncodedRows,
        output: Output,
        settings: FitSettings,
        alpha: float,
        rows_per_step: float,
    ) -> None:
        self.x, self.y = rows.x, output.targets(rows.y)
        mean, self.weight = 1.0, None
        if rows.weight is not None:
            mean = float(rows.weight.mean())
            if mean == 0:
                raise ValueError("Sample weights must not all be zero. Received: 0 for every row")
            self.weight = rows.weight * (output.factor / mean)
        elif output.factor != 1:
            self.weight = np.full(len(rows.y), output.factor)
        self.constant = float(np.average(output.constant(rows.y), weights=rows.weight))
        l2 = alpha / 2 / (mean * rows_per_step)
        self.l2 = settings.l2 or [l2] * len(settings.l1)

    def set_penalties(self, model: Sequential, l1: list[float]) -> None:
        """Set every layer's penalty; an optimizer in use keeps its state."""
        for i, layer in enumerate(model.dense_layers):
            layer.kernel_regularizer = regularizers.L1L2(l1[i], self.l2[i])
        if model.configured:
            model.apply_penalties()


def rows_per_step(batch_size: int, n_rows: int) -> float:
    """Return the harmonic mean of the batch sizes, the divisor of a penalty per row."""
    whole, rest = divmod(n_rows, batch_size)
    if not rest:
        return float(batch_size)
    return (whole + 1) / (whole / batch_size + 1 / rest)


def row_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return weights as (n,) of float64; a single number applies to every row."""
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(n_rows, sample_weight)
    return arrays.row_weights(sample_weight, n_rows, np.dtype(np.float64))


def mean_and_scale(values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (1 if constant) of each column, in its type."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values, sample_weight=weight)
    dtype = values.dtype if values.dtype == np.float32 else np.float64
    return scaler.mean_.astype(dtype), scaler.scale_.astype(dtype)
