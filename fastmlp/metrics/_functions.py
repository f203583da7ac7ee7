"""Metrics as functions: some return one value per row, others one value for all rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..losses import _classes_and_probabilities, _numbers, _pair, pinball


def binary_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return each row's share of outputs on the right side of 0.5.

    A prediction of 0.5 is class 0; NaN counts as wrong.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return (((pred > 0.5) == (true > 0.5)) & ~np.isnan(pred)).mean(axis=1)


def _largest(pred: np.ndarray) -> np.ndarray:
    """Return the index of each row's first largest output; -1 if the row has a NaN."""
    return np.where(np.isnan(pred).any(axis=1), -1, pred.argmax(axis=1))


def categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1 for each row whose largest output is its class, else 0.

    Of equal outputs the first is the largest; a row with NaN has none.

    Parameters
    ----------
    y_true : array-like of shape (n, k)
        Rows of 0 and 1.
    y_pred : array-like of shape (n, k)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return (true.argmax(axis=1) == _largest(pred)).astype(np.float64)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """Return 1 for each row whose largest output is its class, else 0.

    Of equal outputs the first is the largest; a row with NaN has none.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Class indices from 0.
    y_pred : array-like of shape (n, k)

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _classes_and_probabilities(y_true, y_pred)
    return (true == _largest(pred)).astype(np.float64)


def _targets_below(y_pred: np.ndarray, target: np.ndarray, k: int) -> np.ndarray:
    """Return 1 where fewer than `k` outputs are larger than the target's, else 0; 0 for NaN."""
    own = y_pred[np.arange(len(y_pred)), target]
    below = (y_pred > own[:, None]).sum(axis=1) < k
    return (below & ~np.isnan(y_pred).any(axis=1)).astype(np.float64)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> np.ndarray:
    """Return 1 for each row whose class has one of the k largest outputs, else 0.

    Equal outputs share the best rank among them.

    Parameters
    ----------
    y_true : array-like of shape (n, n_classes)
        Rows of 0 and 1.
    y_pred : array-like of shape (n, n_classes)
    k : int

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _pair(y_true, y_pred)
    return _targets_below(pred, true.argmax(axis=1), k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> np.ndarray:
    """Return 1 for each row whose class has one of the k largest outputs, else 0.

    Equal outputs share the best rank among them.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, 1)
        Class indices from 0.
    y_pred : array-like of shape (n, n_classes)
    k : int

    Returns
    -------
    ndarray of shape (n,)
    """
    true, pred = _classes_and_probabilities(y_true, y_pred)
    return _targets_below(pred, true, k)


def _columns(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as booleans and predictions, both (n, k); class indices become columns."""
    pred = _numbers("y_pred", y_pred)
    if pred.ndim == 2 and pred.shape[1] > 1 and np.size(y_true) == len(pred):
        classes, pred = _classes_and_probabilities(y_true, pred)
        return classes[:, None] == np.arange(pred.shape[1]), pred
    true, pred = _pair(y_true, y_pred)
    return true > 0.5, pred


def _weights(sample_weight: Any, n: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n)
    weight = _numbers("sample_weight", sample_weight).reshape(-1)
    if len(weight) != n:
        raise ValueError(
            f"sample_weight must have one value per row. Received: {len(weight)} for {n} rows"
        )
    return weight


def mean(rows: np.ndarray, sample_weight: Any = None) -> float:
    """Return the mean of one value per row: sum_i(w_i * rows_i) / sum_i(w_i)."""
    if sample_weight is None:
        return float(rows.mean())
    weight = _weights(sample_weight, len(rows))
    return float(weight @ rows / weight.sum())


def root_mean_squared_error(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the root of the mean over outputs and rows of (y_true - y_pred)**2.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
    """
    true, pred = _pair(y_true, y_pred)
    return math.sqrt(mean(np.square(true - pred).mean(axis=1), sample_weight))


def r2_score(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the coefficient of determination, the mean over outputs of 1 - residual / total.

    residual = sum_i(w_i * (y_i - p_i)**2), total = sum_i(w_i * (y_i - mean of y)**2). For an
    output whose y is constant in all rows with a weight, it is 1 if every prediction equals y,
    else 0.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
    """
    true, pred = _pair(y_true, y_pred)
    weight = _weights(sample_weight, len(true))
    residual = weight @ np.square(true - pred)
    total = weight @ np.square(true - weight @ true / weight.sum())
    return float(determination(residual, np.where(constant(true[weight != 0]), 0, total)).mean())


def constant(y: np.ndarray) -> np.ndarray:
    """Return which columns of y (n, k) are constant; rounding can make their variance positive.

    For example, the mean of ten times 0.1 is not 0.1.
    """
    return y.min(axis=0, initial=np.inf) >= y.max(axis=0, initial=-np.inf)


def determination(residual: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return 1 - residual / total; where total is 0, 1 if residual is 0 as well, else 0."""
    safe = np.where(total > 0, total, 1.0)
    result = np.where(total > 0, 1 - residual / safe, residual == 0)
    return np.where(np.isnan(residual) | np.isnan(total), np.nan, result)


def auc(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the area under the receiver operating characteristic, computed exactly from ranks.

    It is the weighted share of pairs of a class-1 row and a class-0 row in which the former has
    the larger prediction; a tie counts one half. With several outputs it is the mean over the
    outputs, each class against the rest.

    Parameters
    ----------
    y_true : array-like of shape (n, k) or (n,)
        Labels, above 0.5 class 1; or class indices (n,) for k > 1 outputs.
    y_pred : array-like of shape (n, k) or (n,)
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
        NaN if an output has rows of one class only, or a prediction that is NaN.
    """
    true, pred = _columns(y_true, y_pred)
    weight = _weights(sample_weight, len(true))
    return float(np.mean([_auc(t, p, weight) for t, p in zip(true.T, pred.T, strict=True)]))


def _auc(true: np.ndarray, pred: np.ndarray, weight: np.ndarray) -> float:
    if np.isnan(pred).any():
        return math.nan
    order = np.argsort(pred, kind="stable")
    pred = pred[order]
    starts = np.flatnonzero(np.r_[True, pred[1:] != pred[:-1]])  # of equal predictions
    one = np.add.reduceat(np.where(true, weight, 0.0)[order], starts)
    zero = np.add.reduceat(np.where(true, 0.0, weight)[order], starts)
    pairs = one.sum() * zero.sum()
    below = np.cumsum(zero) - zero
    return float(one @ (below + 0.5 * zero) / pairs) if pairs > 0 else math.nan


def precision(y_true: Any, y_pred: Any, sample_weight: Any = None, threshold: float = 0.5) -> float:
    """Return the share of class 1 among what is predicted as class 1; all outputs together.

    Parameters
    ----------
    y_true : array-like of shape (n, k) or (n,)
        Labels, above 0.5 class 1; or class indices (n,) for k > 1 outputs.
    y_pred : array-like of shape (n, k) or (n,)
    sample_weight : array-like of shape (n,), optional
    threshold : float
        A prediction above it means class 1.

    Returns
    -------
    float
        0 if nothing is predicted as class 1.
    """
    true, pred = _columns(y_true, y_pred)
    return _share(true, pred > threshold, pred > threshold, sample_weight)


def recall(y_true: Any, y_pred: Any, sample_weight: Any = None, threshold: float = 0.5) -> float:
    """Return the share of class 1 that is predicted as such; all outputs together.

    Parameters
    ----------
    y_true, y_pred, sample_weight, threshold
        As `precision` takes them.

    Returns
    -------
    float
        0 if there is no row of class 1.
    """
    true, pred = _columns(y_true, y_pred)
    return _share(true, pred > threshold, true, sample_weight)


def _share(true: np.ndarray, found: np.ndarray, whole: np.ndarray, sample_weight: Any) -> float:
    """Return the weight of true positives over that of `whole`."""
    weight = _weights(sample_weight, len(true))
    total = float(weight @ whole.sum(axis=1))
    return float(weight @ (true & found).sum(axis=1)) / total if total > 0 else 0.0


def average_precision(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the average precision, the area under the curve of precision against recall.

    sum_i((R_i - R_{i-1}) * P_i) over the distinct predictions from the largest down, where R_i and
    P_i are recall and precision if every prediction of at least the i-th means class 1. With
    several outputs it is the mean over the outputs, each class against the rest.

    Parameters
    ----------
    y_true : array-like of shape (n, k) or (n,)
        Labels, above 0.5 class 1; or class indices (n,) for k > 1 outputs.
    y_pred : array-like of shape (n, k) or (n,)
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
        NaN if an output has no rows of class 1, or a prediction that is NaN.
    """
    true, pred = _columns(y_true, y_pred)
    weight = _weights(sample_weight, len(true))
    each = [_average_precision(t, p, weight) for t, p in zip(true.T, pred.T, strict=True)]
    return float(np.mean(each))


def _average_precision(true: np.ndarray, pred: np.ndarray, weight: np.ndarray) -> float:
    if np.isnan(pred).any():
        return math.nan
    order = np.argsort(-pred, kind="stable")
    pred = pred[order]
    starts = np.flatnonzero(np.r_[True, pred[1:] != pred[:-1]])  # of equal predictions
    one = np.add.reduceat(np.where(true, weight, 0.0)[order], starts)
    both = np.cumsum(np.add.reduceat(weight[order], starts))
    total = one.sum()
    found = np.divide(np.cumsum(one), both, out=np.zeros(len(both)), where=both > 0)
    return float(one @ found / total) if total > 0 else math.nan


def brier_score(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the mean squared error of probabilities.

    For one output, the mean over rows of (y - p)**2; for several classes, the mean over rows of
    the sum over classes of (y - p)**2.

    Parameters
    ----------
    y_true : array-like of shape (n, k) or (n,)
        Labels, above 0.5 class 1; or class indices (n,) for k > 1 outputs.
    y_pred : array-like of shape (n, k) or (n,)
        Probabilities.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
    """
    true, pred = _columns(y_true, y_pred)
    return mean(np.square(pred - true).sum(axis=1), sample_weight)


def _confusion(y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
    """Return the weight of the rows of each class (rows) that are predicted as each (columns).

    One output is the probability of class 1 of two; of several, the largest is the prediction.
    A row with NaN is predicted as none.
    """
    true, pred = _columns(y_true, y_pred)
    weight = _weights(sample_weight, len(true))
    if pred.shape[1] == 1:
        pred = np.concatenate([1 - pred, pred], axis=1)
        own, chosen = true[:, 0].astype(np.intp), (pred[:, 1] > 0.5).astype(np.intp)
        chosen[np.isnan(pred[:, 1])] = -1
    else:
        own, chosen = true.argmax(axis=1), _largest(pred)
    k = pred.shape[1]
    chosen = np.where(chosen < 0, k, chosen)
    counts = np.bincount(own * (k + 1) + chosen, weight, k * (k + 1))
    return counts.reshape(k, k + 1)


def balanced_accuracy(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the mean over classes of the share of the class's rows that are predicted as it.

    Classes without rows do not count.

    Parameters
    ----------
    y_true : array-like of shape (n, k) or (n,)
        Labels, above 0.5 class 1; or class indices (n,) for k > 1 outputs.
    y_pred : array-like of shape (n, k) or (n,)
        Probabilities; one output above 0.5 means class 1, of several the largest counts.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
    """
    counts = _confusion(y_true, y_pred, sample_weight)
    rows = counts.sum(axis=1)
    found = np.diagonal(counts)[rows > 0] / rows[rows > 0]
    return float(found.mean()) if len(found) else math.nan


def macro_f1(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the mean over classes of F1, the harmonic mean of a class's precision and recall.

    F1 is 0 for a class of which no row is found. Classes that neither have rows nor are predicted
    do not count.

    Parameters
    ----------
    y_true, y_pred, sample_weight
        As `balanced_accuracy` takes them.

    Returns
    -------
    float
    """
    counts = _confusion(y_true, y_pred, sample_weight)
    both = counts.sum(axis=1) + counts.sum(axis=0)[:-1]
    f1 = 2 * np.diagonal(counts)[both > 0] / both[both > 0]
    return float(f1.mean()) if len(f1) else math.nan


def pinball_loss(
    y_true: Any, y_pred: Any, sample_weight: Any = None, quantile: float = 0.5
) -> float:
    """Return the mean pinball loss, which the given quantile of y minimises.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n, k) or (n,)
    sample_weight : array-like of shape (n,), optional
    quantile : float
        In (0, 1).

    Returns
    -------
    float
    """
    return mean(pinball(y_true, y_pred, quantile), sample_weight)
