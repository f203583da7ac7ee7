"""Weights of classes in training: balanced, or given by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._utils import arguments
from ..preprocessing import Preprocessing


def class_weights(given: Any, state: Preprocessing, y: np.ndarray) -> dict[int, float] | None:
    """Return the weight of each class index; None if none is given.

    Parameters
    ----------
    given : "balanced", mapping of class to weight, text such as "no:1,yes:5", or None
        A class that is not named has weight 1.
    state : Preprocessing
    y : ndarray of shape (n, 1)
        Class indices.
    """
    if given is None:
        return None
    if state.task != "classification":
        raise ValueError("class_weight needs classes. Received: a regression")
    labels = state.target.labels
    codes = y[:, 0].astype(np.intp)
    if isinstance(given, str) and given == "balanced":
        counts = np.bincount(codes, minlength=len(labels))
        return {k: len(codes) / (len(labels) * max(int(n), 1)) for k, n in enumerate(counts)}
    by_text = {str(label): k for k, label in enumerate(labels)}
    pairs = _pairs(given)
    found = {k: 1.0 for k in range(len(labels))}
    for label, value in pairs:
        if str(label) not in by_text:
            raise ValueError(
                f"class_weight must name classes: {', '.join(list(by_text)[:20])}. "
                f"Received: {label!r}"
            )
        found[by_text[str(label)]] = arguments.number(
            "a weight in class_weight", value, "a finite number above 0", lambda v: v > 0
        )
    return found


def _pairs(given: Any) -> list[tuple[Any, Any]]:
    if isinstance(given, Mapping):
        return list(given.items())
    pairs: list[tuple[Any, Any]] = []
    for part in str(given).split(","):
        label, colon, value = part.rpartition(":")
        try:
            pairs.append((label.strip(), float(value)))
        except ValueError:
            colon = ""
        if not colon:
            raise ValueError(
                "class_weight must be 'balanced', or classes with weights such as 'no:1,yes:5'. "
                f"Received: class_weight={given!r}"
            )
    return pairs
