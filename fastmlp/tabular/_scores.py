"""How good predictions are: the figures of a task, per class, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import losses, metrics

# What each figure is called in tables, and whether a larger one is better.
SHOWN = {
    "auc": "AUC",
    "average_precision": "PR-AUC",
    "log_loss": "log loss",
    "brier_score": "Brier score",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "base_rate": "base rate",
    "r2": "R2",
    "rmse": "RMSE",
    "mae": "MAE",
    "pinball_loss": "pinball loss",
    "loss": "loss",
}
_MOST_RESAMPLED = 10_000  # rows that a bootstrap draws from, unless a class is rare
_MOST_OF_RARE = 50_000
_FEWEST_OF_CLASS = 100  # rows of the rarest class that a bootstrap draws from, if there are


def probabilities(predicted: Any) -> np.ndarray:
    """Return probabilities (n, n_classes) of a classifier's outputs; one output is class 1.

    Parameters
    ----------
    predicted : array-like of shape (n,), (n, 1) or (n, n_classes)

    Returns
    -------
    ndarray of shape (n, n_classes), float64
    """
    p = np.asarray(predicted, np.float64)
    p = p.reshape(-1, 1) if p.ndim < 2 else p
    return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p


def class_codes(y: Any) -> np.ndarray:
    """Return class codes (n,) as integers."""
    return np.asarray(y).reshape(-1).astype(np.intp)


def rarer_class(y: Any, n_classes: int) -> int | None:
    """Return the code of the rarer of two classes, 1 if both are as frequent.

    Parameters
    ----------
    y : array-like of shape (n,)
        Class codes.
    n_classes : int

    Returns
    -------
    int or None
        None unless there are two classes.
    """
    return int(2 * class_codes(y).sum() <= len(y)) if n_classes == 2 else None


def shown_name(name: str, rarer: Any = "") -> str:
    """Return what a figure is called in tables; `rarer` is the class that PR-AUC is of."""
    of = f" ({rarer})" if name == "average_precision" and str(rarer) else ""
    return SHOWN.get(name, name) + of


def scores(
    task: str,
    y: Any,
    predicted: Any,
    weights: Any = None,
    quantile: float | None = None,
    rarer: int | None = None,
) -> dict[str, float]:
    """Return the figures by which a task's predictions are judged.

    Parameters
    ----------
    task : {"regression", "classification"}
    y : array-like of shape (n,) or (n, n_outputs)
        Numbers in the target's units, or class codes.
    predicted : array-like
        Numbers of y's shape; or probabilities (n, n_classes), or (n,) of class 1.
    weights : array-like of shape (n,), optional
    quantile : float, optional
        The quantile that is predicted, if it is one; adds the pinball loss.
    rarer : {0, 1}, optional
        Of two classes, the one that 'average_precision' is of; by default `rarer_class`.

    Returns
    -------
    dict of str to float
        For regression 'r2', 'rmse', 'mae' and 'pinball_loss'; for two classes 'auc',
        'average_precision' of the rarer class, 'log_loss', 'brier_score', 'accuracy' and
        'base_rate', the share of the most frequent class; for more 'log_loss', 'accuracy',
        'balanced_accuracy', 'macro_f1' and 'base_rate'.
    """
    rows = _rows(task, y, predicted, quantile)
    found = {name: mean(values, weights) for name, values in rows.items()}
    if "rmse" in found:
        found["rmse"] = math.sqrt(found["rmse"])
    found |= _not_means(task, y, predicted, weights, rarer)
    return {name: found[name] for name in SHOWN if name in found}


def _rows(task: str, y: Any, predicted: Any, quantile: float | None) -> dict[str, np.ndarray]:
    """Return each row's share in the figures that are means; 'rmse' is the root of one."""
    if task == "regression":
        found = {
            "rmse": losses.mean_squared_error(y, predicted),
            "mae": losses.mean_absolute_error(y, predicted),
        }
        if quantile is not None:
            found["pinball_loss"] = losses.pinball(y, predicted, quantile)
        return found
    codes, p = class_codes(y), probabilities(predicted)
    found = {
        "log_loss": losses.sparse_categorical_crossentropy(codes, p),
        "accuracy": metrics.sparse_categorical_accuracy(codes, p),
    }
    if p.shape[1] == 2:
        found["brier_score"] = np.square(p[:, 1] - codes)
    return found


def _not_means(
    task: str, y: Any, predicted: Any, weights: Any, rarer: int | None
) -> dict[str, float]:
    """Return the figures that are not a mean of one value for each row."""
    if task == "regression":
        return {"r2": metrics.r2_score(y, predicted, weights)}
    codes, p = class_codes(y), probabilities(predicted)
    k = p.shape[1]
    counts = np.bincount(codes, None if weights is None else np.asarray(weights).reshape(-1), k)
    found = {"base_rate": float(counts.max() / counts.sum())}
    if k > 2:
        return found | {
            "balanced_accuracy": metrics.balanced_accuracy(codes, p, weights),
            "macro_f1": metrics.macro_f1(codes, p, weights),
        }
    # From the probability of class 1, so that the order of ties is that of the outputs.
    one = np.asarray(predicted, np.float64).reshape(len(p), -1)[:, -1]
    rarer = rarer_class(codes, 2) if rarer is None else rarer
    return found | {
        "auc": metrics.auc(codes, one, weights),
        "average_precision": metrics.average_precision(
            codes == rarer, one if rarer else -one, weights
        ),
    }


def mean(rows: np.ndarray, weights: Any) -> float:
    """Return the (weighted) mean of one value for each row."""
    return float(np.average(rows, weights=None if weights is None else np.ravel(weights)))


def row_losses(task: str, y: Any, predicted: Any, quantile: float | None = None) -> np.ndarray:
    """Return each row's loss: squared error, pinball loss of a quantile, or minus log-likelihood.

    Parameters
    ----------
    task, y, predicted, quantile
        As `scores` takes them.

    Returns
    -------
    ndarray of shape (n,)
    """
    if task == "classification":
        return losses.sparse_categorical_crossentropy(class_codes(y), probabilities(predicted))
    if quantile is not None:
        return losses.pinball(y, predicted, quantile)
    return losses.mean_squared_error(y, predicted)


def mean_and_error(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Return the weighted mean of a value of each row, and its standard error."""
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    total = weight.sum()
    mean = float(weight @ values / total)
    return mean, math.sqrt(float(weight**2 @ (values - mean) ** 2)) / float(total)


def per_class(
    y: Any, predicted: Any, labels: Sequence[Any], weights: Any = None, chosen: Any = None
) -> list[dict[str, Any]]:
    """Return the figures of each class against the rest.

    Parameters
    ----------
    y : array-like of shape (n,)
        Class codes.
    predicted : array-like of shape (n, n_classes), or (n,) of class 1
        Probabilities.
    labels : sequence
        The classes, by code.
    weights : array-like of shape (n,), optional
    chosen : array-like of shape (n,), optional
        The codes that are predicted; by default those of the largest probability.

    Returns
    -------
    list of dict
        For each class 'class', 'rows', 'precision', 'recall', 'f1', 'auc'.
    """
    codes, p = class_codes(y), probabilities(predicted)
    chosen = p.argmax(axis=1) if chosen is None else np.asarray(chosen)
    result = []
    for code, label in enumerate(labels):
        own, found = codes == code, (chosen == code).astype(np.float64)
        precision = metrics.precision(own, found, weights)
        recall = metrics.recall(own, found, weights)
        both = precision + recall
        result.append(
            {
                "class": label,
                "rows": int(own.sum()),
                "precision": precision,
                "recall": recall,
                "f1": 2 * precision * recall / both if both else 0.0,
                "auc": metrics.auc(own, p[:, code], weights),
            }
        )
    return result


# ---- how sure a figure is -----------------------------------------------------------------------


def bootstrap(
    task: str,
    y: Any,
    predicted: Any,
    weights: Any = None,
    quantile: float | None = None,
    rarer: int | None = None,
    *,
    level: float = 0.95,
    repeats: int = 200,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return an interval for each figure of `scores`, from rows drawn with replacement.

    Of more than 10,000 rows (or as many as have 100 rows of the rarest class, at most 50,000)
    only so many are drawn from, and the intervals are made narrower by the root of their share:
    the time does not grow with the rows.

    Parameters
    ----------
    task, y, predicted, weights, quantile, rarer
        As `scores` takes them.
    level : float
    repeats : int
    seed : int

    Returns
    -------
    dict of str to tuple (low, high)
    """
    rarer = _rarer(task, y, predicted) if rarer is None else rarer
    found = scores(task, y, predicted, weights, quantile, rarer)
    draws, center, shrink = _resampled(task, y, predicted, weights, quantile, rarer, repeats, seed)
    intervals = {}
    for name, value in found.items():
        column = draws[name][np.isfinite(draws[name])]
        if not len(column) or not math.isfinite(value):
            intervals[name] = (math.nan, math.nan)
            continue
        low, high = np.quantile(column, [(1 - level) / 2, (1 + level) / 2])
        if shrink < 1:
            low, high = (value + shrink * (edge - center[name]) for edge in (low, high))
        intervals[name] = float(low), float(high)
    return intervals


def standard_errors(
    task: str,
    y: Any,
    predicted: Any,
    weights: Any = None,
    quantile: float | None = None,
    rarer: int | None = None,
    *,
    repeats: int = 100,
    seed: int = 0,
) -> dict[str, float]:
    """Return the standard error of each figure of `scores`, from the draws of `bootstrap`."""
    rarer = _rarer(task, y, predicted) if rarer is None else rarer
    draws, _, shrink = _resampled(task, y, predicted, weights, quantile, rarer, repeats, seed)
    errors = {}
    for name, column in draws.items():
        column = column[np.isfinite(column)]
        errors[name] = float(column.std(ddof=1) * shrink) if len(column) > 1 else math.nan
    return errors


def _rarer(task: str, y: Any, predicted: Any) -> int | None:
    """Return the class of PR-AUC, which must not change from one resample to the next."""
    if task == "regression":
        return None
    return rarer_class(y, probabilities(predicted[:1]).shape[1])


def _resampled(
    task: str,
    y: Any,
    predicted: Any,
    weights: Any,
    quantile: float | None,
    rarer: int | None,
    repeats: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, float], float]:
    """Return the figures of resampled rows, those of all rows drawn from, and the root of share."""
    y, predicted = np.asarray(y), np.asarray(predicted)
    n = len(y)
    weight = np.ones(n) if weights is None else np.asarray(weights, np.float64).reshape(-1)
    rng = np.random.default_rng(seed)
    most = _MOST_RESAMPLED
    if task == "classification":
        counts = np.bincount(class_codes(y))
        rarest = counts[counts > 0].min() / n
        most = min(max(most, math.ceil(_FEWEST_OF_CLASS / rarest)), _MOST_OF_RARE)
    rows = rng.permutation(n)[:most] if n > most else np.arange(n)
    if task == "classification" and probabilities(predicted[:1]).shape[1] == 2:
        rows = rows[np.argsort(predicted.reshape(n, -1)[rows, -1])]  # sorted data sort faster
    y, predicted, weight = y[rows], predicted[rows], weight[rows]
    means = _rows(task, y, predicted, quantile)
    values = np.stack(list(means.values()), axis=1)
    draws: dict[str, list[float]] = {}
    for _ in range(repeats):
        drawn = np.bincount(rng.integers(0, len(rows), len(rows)), minlength=len(rows)) * weight
        total = drawn.sum()
        if not total > 0:
            continue
        found = dict(zip(means, drawn @ values / total, strict=True))
        for name, value in (found | _not_means(task, y, predicted, drawn, rarer)).items():
            draws.setdefault(name, []).append(value)
    center = scores(task, y, predicted, weight, quantile, rarer)
    result = {name: np.array(draws[name]) for name in SHOWN if name in draws}
    if "rmse" in result:
        result["rmse"] = np.sqrt(result["rmse"])
    return result, center, math.sqrt(len(rows) / n)


def rounded(value: float | None, error: float | None) -> str:
    """Return a figure with as many digits as its standard error leaves meaning.

    The last digit is the error's first, or its second if the first is 1.

    Parameters
    ----------
    value : float or None
    error : float or None
        Standard error; None or 0 shows four digits.

    Returns
    -------
    str
    """
    if value is None or not math.isfinite(value):
        return ""
    if not error or not math.isfinite(error):
        return f"{value:.4g}"
    place = math.floor(math.log10(error))
    if error / 10.0**place < 1.95:  # 1.95 and more round to 2
        place -= 1
    # At least two digits of the figure itself, unless the error is larger than it.
    if value and abs(value) > error:
        place = min(place, math.floor(math.log10(abs(value))) - 1)
    if place >= 0:
        return f"{round(value / 10.0**place) * 10**place:,}".replace(",", "")
    return f"{value:.{-place}f}"
