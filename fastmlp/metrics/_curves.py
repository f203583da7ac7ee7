"""Curves and tables behind the figures of a classifier: ROC, precision, calibration, gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._utils import arguments, arrays
from ..errors import DataError

Array = np.ndarray


def _pair(y: Any, p: Any) -> tuple[Array, Array]:
    """Return labels (bool) and predictions as equally long arrays, checked."""
    labels, scores = np.asarray(y), np.asarray(p, np.float64)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if labels.ndim != 1 or labels.shape != scores.shape or not len(labels):
        raise DataError(
            "y and p must be one-dimensional, equally long and not empty. "
            f"Received: shapes {labels.shape} and {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise DataError(
            f"p must be finite. Received: {int((~np.isfinite(scores)).sum())} values that are not"
        )
    return labels.astype(np.float64) > 0.5, scores


def _counts(y: Any, p: Any) -> tuple[Array, Array, Array]:
    """Return the distinct predictions from the largest down, and rows of each class above each."""
    positive, scores = _pair(y, p)
    order = np.argsort(-scores, kind="stable")
    positive, scores = positive[order], scores[order]
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    true = np.cumsum(positive)[ends].astype(np.float64)
    return scores[ends], true, ends + 1 - true


def roc_curve(y: Any, p: Any) -> tuple[Array, Array, Array]:
    """Return the receiver operating characteristic.

    Parameters
    ----------
    y : array-like of shape (n,)
        Above 0.5 for class 1.
    p : array-like of shape (n,)
        The larger, the likelier class 1.

    Returns
    -------
    fpr, tpr : ndarray
        Shares of class 0 and of class 1 with a prediction of at least the threshold; from (0, 0).
        NaN for a class without rows.
    thresholds : ndarray
        The distinct predictions from the largest down, after infinity.
    """
    at, true, false = _counts(y, p)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr, fpr = true / true[-1], false / false[-1]
    return np.append(0.0, fpr), np.append(0.0, tpr), np.append(np.inf, at)


def precision_recall_curve(y: Any, p: Any) -> tuple[Array, Array, Array]:
    """Return precision and recall at every threshold, by rising recall.

    Parameters
    ----------
    y, p : array-like of shape (n,)
        As for `roc_curve`.

    Returns
    -------
    precision, recall, thresholds : ndarray
        Of the rows with a prediction of at least the threshold.
    """
    at, true, false = _counts(y, p)
    with np.errstate(invalid="ignore", divide="ignore"):
        return true / (true + false), true / true[-1], at


def gains_curve(y: Any, p: Any) -> tuple[Array, Array]:
    """Return the share of class 1 that is found among the rows with the largest predictions.

    Parameters
    ----------
    y, p : array-like of shape (n,)
        As for `roc_curve`.

    Returns
    -------
    rows, found : ndarray
        Shares of the rows and of class 1, from (0, 0) to (1, 1).
    """
    _, true, false = _counts(y, p)
    rows = (true + false) / (true[-1] + false[-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.append(0.0, rows), np.append(0.0, true / true[-1])


@dataclass(frozen=True)
class Calibration:
    """How often class 1 occurs where it is predicted with about a probability.

    Parameters
    ----------
    predicted, observed : ndarray of shape (n_bins,)
        Mean prediction and share of class 1 of the rows of each bin.
    lower, upper : ndarray of shape (n_bins,)
        Wilson's 95% interval of `observed`.
    counts : ndarray of shape (n_bins,)
        Rows of each bin.
    ece : float
        Expected calibration error: the mean of ``|predicted - observed|`` over the rows.
    """

    predicted: Array
    observed: Array
    lower: Array
    upper: Array
    counts: Array
    ece: float


_Z = 1.959963984540054  # of a 95% interval


def calibration(y: Any, p: Any, n_bins: int = 10) -> Calibration:
    """Compare predicted probabilities of class 1 with its shares, in bins of equally many rows.

    Parameters
    ----------
    y : array-like of shape (n,)
        Above 0.5 for class 1.
    p : array-like of shape (n,)
        Probabilities of class 1.
    n_bins : int
        Largest number of bins; rows with equal predictions share one.
    """
    positive, scores = _pair(y, p)
    n_bins = arguments.integer("n_bins", n_bins)
    if scores.min() < 0 or scores.max() > 1:
        raise DataError(
            f"p must be probabilities. Received: values from {scores.min():g} to {scores.max():g}"
        )
    edges = arrays.group_edges(scores, n_bins)
    own = np.searchsorted(edges, scores, side="left")
    counts = np.bincount(own, minlength=len(edges) + 1)
    used = counts > 0
    n = counts[used]
    predicted = np.bincount(own, scores, len(counts))[used] / n
    observed = np.bincount(own, positive, len(counts))[used] / n
    middle = (observed + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(observed * (1 - observed) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    ece = float((n * np.abs(predicted - observed)).sum() / n.sum())
    return Calibration(predicted, observed, middle - half, middle + half, n, ece)


def confusion_matrix(y: Any, predicted: Any, n_classes: int | None = None) -> Array:
    """Count the rows of each class by the class that is predicted.

    Parameters
    ----------
    y, predicted : array-like of int, shape (n,)
        Class indices.
    n_classes : int, optional
        By default one more than the largest index.

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        Row i: the rows of class i.
    """
    true, found = (np.asarray(a).reshape(-1) for a in (y, predicted))
    if true.shape != found.shape or not len(true):
        raise DataError(
            "y and predicted must be equally long and not empty. "
            f"Received: {len(true)} and {len(found)} rows"
        )
    both = np.stack([true, found]).astype(np.float64)
    most = both.max()
    if not np.isfinite(both).all() or both.min() < 0 or (both % 1).any():
        raise DataError("y and predicted must be class indices 0, 1, ... Received: others")
    size = int(most) + 1 if n_classes is None else arguments.integer("n_classes", n_classes)
    if most >= size:
        raise DataError(f"class indices must be below n_classes={size}. Received: {most:g}")
    codes = both.astype(np.int64)
    return np.bincount(codes[0] * size + codes[1], minlength=size * size).reshape(size, size)
