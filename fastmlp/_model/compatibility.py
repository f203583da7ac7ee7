"""Check that the last layer, the loss and the metrics are compatible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import losses

if TYPE_CHECKING:
    from ..layers import Dense
    from ..losses import Loss
    from ..metrics import Metric


def check_last(last: Dense, loss: Loss, metrics: Sequence[Metric]) -> None:
    """Raise ValueError unless the last layer, the loss and the metrics are compatible."""
    if last.units == 1 and last.activation == "softmax":
        raise ValueError(
            "activation='softmax' needs at least 2 units: of one unit it is always 1. "
            "Received: units=1; for two classes use activation='sigmoid'"
        )
    kind = "" if loss.in_python else loss.name
    if last.units == 1 and kind.endswith("categorical_crossentropy"):
        raise ValueError(
            f"loss={loss.name!r} needs at least 2 units in the last layer. Received: units=1; "
            "for two classes use loss='binary_crossentropy' with activation='sigmoid'"
        )
    form = "indices" if kind == losses.SPARSE else "columns"
    for metric in metrics:
        name = metric.engine_name(kind, last.units)
        forms = metric.y_forms
        if name is not None:
            forms = frozenset({"indices" if name.startswith("sparse") else "columns"})
        if form not in forms and not loss.in_python:  # y may have any form for a loss in Python
            raise ValueError(
                "Metrics must take y in the same form as the loss, class indices or columns. "
                f"Received: metric {metric.name!r} with loss={loss.name!r}"
            )
        if last.units == 1 and (metric.needs_classes or "categorical" in (name or "")):
            raise ValueError(
                f"Metric {metric.name!r} needs at least 2 units in the last layer. "
                "Received: units=1"
            )


def metric_kind(loss: Loss, y: np.ndarray, n_outputs: int) -> str:
    """Return the loss's name, or of a loss in Python what y's form implies, for metrics."""
    if not loss.in_python:
        return loss.name
    return losses.SPARSE if y.shape[1] == 1 < n_outputs else ""
