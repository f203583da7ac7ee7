"""From which probability on a row counts as class 1: chosen by cost, F1 or accuracy."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .._utils import arguments
from ..errors import DataError, ModelFileError
from ._scores import class_codes, probabilities

RULES = ("accuracy", "balanced_accuracy", "f1")  # besides a number, and costs


def parse_costs(text: str) -> tuple[float, float]:
    """Return the costs of a false positive and of a false negative, as in 'fp:1,fn:10'.

    Parameters
    ----------
    text : str

    Returns
    -------
    fp, fn : float

    Raises
    ------
    ValueError
        If a part is not fp or fn with a number above 0.
    """
    costs: dict[str, float] = {}
    for part in text.split(","):
        name, colon, value = part.partition(":")
        try:
            cost = float(value)
        except ValueError:
            cost = math.nan
        name = name.strip().lower()
        if not colon or name not in ("fp", "fn") or name in costs or not 0 < cost < math.inf:
            raise ValueError(
                "costs must be such as fp:1,fn:10, both numbers above 0. "
                f"Received: {arguments.shown(text)}"
            )
        costs[name] = cost
    return costs.get("fp", 1.0), costs.get("fn", 1.0)


@dataclass
class Threshold:
    """The probability of class 1 above which a row is predicted as class 1.

    Parameters
    ----------
    value : float
        In [0, 1].
    rule : str
        How it was chosen: 'given', one of `RULES`, or such as 'cost fp:1,fn:10'.
    precision, recall : float
        Of class 1, on the rows on which it was chosen.
    false_positives, false_negatives : int
        Rows of those.
    """

    value: float
    rule: str = "given"
    precision: float = 0.0
    recall: float = 0.0
    false_positives: int = 0
    false_negatives: int = 0

    def codes(self, predicted: Any) -> np.ndarray:
        """Return the class codes that probabilities mean.

        Parameters
        ----------
        predicted : array-like of shape (n, 2), (n, 1) or (n,)

        Returns
        -------
        ndarray of int, shape (n,)
        """
        return (_ones(predicted) > self.value).astype(np.intp)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> Threshold:
        """Restore from an untrusted JSON document.

        Raises
        ------
        ModelFileError
            If the document is damaged.
        """
        try:
            if not isinstance(state, dict) or not isinstance(state["rule"], str):
                raise ValueError(f"{arguments.shown(state)} is not a threshold")
            shares = (
                arguments.number(key, state[key], "a number in [0, 1]", lambda v: 0 <= v <= 1)
                for key in ("value", "precision", "recall")
            )
            value, precision, recall = shares
            wrong = [
                arguments.integer(key, state[key], 0)
                for key in ("false_positives", "false_negatives")
            ]
            return cls(value, state["rule"], precision, recall, *wrong)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{source}: damaged threshold: {error}") from error


def _ones(predicted: Any) -> np.ndarray:
    p = np.asarray(predicted, np.float64)
    return p[:, -1] if p.ndim == 2 else p


def best_threshold(
    y: Any,
    predicted: Any,
    rule: str | float = "accuracy",
    *,
    cost_fp: float | None = None,
    cost_fn: float | None = None,
    weights: Any = None,
) -> Threshold:
    """Choose the threshold of class 1 on rows that the classifier was not trained on.

    Where several thresholds are equally good it is in the middle of the longest stretch of them.

    Parameters
    ----------
    y : array-like of shape (n,)
        Class codes 0 and 1.
    predicted : array-like of shape (n, 2), or (n,) of class 1
        Probabilities.
    rule : {"accuracy", "balanced_accuracy", "f1"} or float
        What is made largest; a number in (0, 1) is the threshold itself.
    cost_fp, cost_fn : float, optional
        The cost of a row of class 0 predicted as 1, and of one of class 1 predicted as 0; their
        sum is made smallest, whatever `rule` is.
    weights : array-like of shape (n,), optional

    Returns
    -------
    Threshold

    Raises
    ------
    DataError
        If the classes are not two, or one has no rows.
    ValueError
        If `rule` or a cost is unknown or out of range.
    """
    if probabilities(predicted).shape[1] != 2:
        raise DataError(
            f"a threshold needs two classes. Received: {probabilities(predicted).shape[1]} classes"
        )
    codes, p = class_codes(y), _ones(predicted)
    weight = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64).reshape(-1)
    if cost_fp is not None or cost_fn is not None:
        positive = "a finite number above 0"
        fp, fn = (
            arguments.number(name, 1.0 if v is None else v, positive, lambda v: v > 0)
            for name, v in (("cost_fp", cost_fp), ("cost_fn", cost_fn))
        )
        name = f"cost fp:{fp:g},fn:{fn:g}"
    elif isinstance(rule, str):
        name = arguments.one_of("threshold", rule, RULES)
        fp = fn = 1.0
    else:
        value = arguments.number(
            "threshold", rule, "a number in (0, 1), or a rule", lambda v: 0 < v < 1
        )
        return _described(value, "given", codes, p)
    if len(np.unique(codes)) < 2:
        raise DataError("a threshold cannot be chosen on rows of one class only")
    order = np.argsort(p, kind="stable")
    p_sorted = p[order]
    # Cut i predicts class 1 for the rows from i on in this order.
    one = np.where(codes == 1, weight, 0.0)[order]
    zero = np.where(codes == 1, 0.0, weight)[order]
    missed = np.r_[0.0, np.cumsum(one)]
    false = zero.sum() - np.r_[0.0, np.cumsum(zero)]
    found = one.sum() - missed
    if name == "f1":
        loss = -2 * found / (2 * found + missed + false)
    elif name == "balanced_accuracy":
        loss = missed / one.sum() + false / zero.sum()
    else:
        loss = fp * false + fn * missed
    low, high = np.r_[0.0, p_sorted], np.r_[p_sorted, 1.0]
    allowed = high > low  # a cut between equal probabilities is none
    loss = np.where(allowed, loss, np.inf)
    good = np.flatnonzero(loss <= loss.min() * (1 + 1e-12) if loss.min() >= 0
                          else loss <= loss.min() * (1 - 1e-12))  # fmt: skip
    best = good[np.argmax((high - low)[good])]
    return _described(float((low[best] + high[best]) / 2), name, codes, p)


def _described(value: float, rule: str, codes: np.ndarray, p: np.ndarray) -> Threshold:
    one, chosen = codes == 1, p > value
    found = int((one & chosen).sum())
    false, missed = int((~one & chosen).sum()), int((one & ~chosen).sum())
    return Threshold(
        value,
        rule,
        found / (found + false) if found + false else 0.0,
        found / (found + missed) if found + missed else 0.0,
        false,
        missed,
    )
