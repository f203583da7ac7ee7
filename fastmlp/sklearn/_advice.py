"""Warnings of data that an estimator does not prepare: ConvergenceWarning, with the remedy."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning

from .._utils.arguments import caller_level
from .._utils.sparse import CsrRows, Inputs
from ..models import Sequential

if TYPE_CHECKING:
    from ._data import EncodedRows
    from ._outputs import Output

# A thousandfold, less what chance does to the spread of few rows.
_RATIO_OF_SPREADS = 800.0
# Rare indicators have a small standard deviation, but the same range as others.
_RATIO_OF_RANGES = 400.0
_WORSE = 1.01  # a loss beyond this multiple of a constant's is worse
_BLOCK = 1 << 20  # entries of x at a time


def warn_of_scales(estimator: Any, x: Inputs) -> None:
    """Warn if the columns of x differ a thousandfold in scale and are not standardized.

    Parameters
    ----------
    estimator : MLPRegressor or MLPClassifier
    x : ndarray of shape (n, k), or CsrRows
        Rows to train on.
    """
    if estimator.standardize:
        return
    small, large = _range_of_spreads(x)
    if large < _RATIO_OF_SPREADS * small:
        return
    warnings.warn(
        "The columns of X have scales that differ a thousandfold: standard deviations from "
        f"{small:.2g} to {large:.2g}. Set standardize=True or scale them, or use "
        f"fastmlp.sklearn.{_tabular(estimator)}, which prepares every column",
        ConvergenceWarning,
        stacklevel=caller_level(),
    )


def warn_of_fit(estimator: Any, model: Sequential, output: Output, rows: EncodedRows) -> None:
    """Warn if the fit is worse on the training rows than the best constant prediction.

    Parameters
    ----------
    estimator : MLPRegressor or MLPClassifier
        After training. Its `loss_`, if small, saves the predictions.
    model : Sequential
    output : Output
    rows : EncodedRows
        In the scale of the network.
    """
    if not _limits(rows.y)[2].any():
        return  # a constant is perfect

    def mean_loss(predicted: np.ndarray) -> float:
        return float(np.average(output.row_losses(rows.y, predicted), weights=rows.weight))

    best = output.best_constant(rows.y, rows.weight)
    constant = mean_loss(np.broadcast_to(best, (len(rows.y), len(best))))
    if getattr(estimator, "loss_", np.inf) <= constant:
        return
    fit = mean_loss(output.predicted(model.predict(rows.x, verbose=0)))
    if fit <= _WORSE * constant:
        return
    what = "class shares" if is_classifier(estimator) else "mean of y"
    remedy = (
        "Train longer, or with another learning rate or penalty" if estimator.standardize
        else "Set standardize=True or scale the data"
    )  # fmt: skip
    warnings.warn(
        f"The fit is worse than predicting the {what}: the loss of the training rows is "
        f"{fit:.3g}, of the {what} {constant:.3g}. {remedy}, or use "
        f"fastmlp.sklearn.{_tabular(estimator)}, which prepares the data",
        ConvergenceWarning,
        stacklevel=caller_level(),
    )


def _tabular(estimator: Any) -> str:
    return "TabularClassifier" if is_classifier(estimator) else "TabularRegressor"


def _limits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each column's minimum and maximum, and whether they differ by more than rounding."""
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    largest = np.maximum(np.abs(low), np.abs(high))
    return low, high, high / 2 - low / 2 > 10 * np.finfo(x.dtype).eps * largest


def _range_of_spreads(x: Inputs) -> tuple[float, float]:
    """Return the smallest and largest standard deviation; (1, 1) if the ranges are alike."""
    if isinstance(x, CsrRows):
        return _of_nonzeros(x)
    low, high, varies = _limits(x)
    ranges = (high / 2 - low / 2)[varies]
    if not varies.any() or ranges.max() / _RATIO_OF_RANGES < ranges.min():
        return 1.0, 1.0
    # In units of the largest value, so that no square overflows; in blocks, for memory.
    unit = np.where(varies, np.maximum(np.abs(low), np.abs(high)), 1.0)
    step = max(1, _BLOCK // x.shape[1])
    blocks = [x[start : start + step] for start in range(0, len(x), step)]
    mean = sum((block / unit).sum(axis=0) for block in blocks) / len(x)
    square = sum(np.square(block / unit - mean).sum(axis=0) for block in blocks) / len(x)
    spreads = (unit * np.sqrt(square))[varies]
    return float(spreads.min()), float(spreads.max())


def _of_nonzeros(x: CsrRows) -> tuple[float, float]:
    """Return what `_range_of_spreads` returns, for sparse rows."""
    values, columns, _ = x.parts()
    columns, values = columns.astype(np.intp), values.astype(np.float64)
    n, k = len(x), x.shape[1]
    low, high = np.zeros(k), np.zeros(k)  # zeros are among the values of a sparse column
    np.minimum.at(low, columns, values)
    np.maximum.at(high, columns, values)
    ranges = high / 2 - low / 2
    varies = ranges > 0
    if not varies.any() or ranges[varies].max() / _RATIO_OF_RANGES < ranges[varies].min():
        return 1.0, 1.0
    unit = np.where(varies, np.maximum(-low, high), 1.0)
    scaled = values / unit[columns]
    mean = np.bincount(columns, scaled, k) / n
    square = np.bincount(columns, np.square(scaled - mean[columns]), k)
    square += (n - np.bincount(columns, minlength=k)) * np.square(mean)
    spreads = (unit * np.sqrt(square / n))[varies]
    return float(spreads.min()), float(spreads.max())
