"""Check x, y and weights, and split the rows for training and validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._utils import arguments as _arguments
from .._utils import arrays
from .._utils.sparse import Inputs
from ..errors import DataError
from .arguments import Arguments

if TYPE_CHECKING:
    from .._model.model import Model


class Rows(NamedTuple):
    """Checked data: x (n, n_inputs), sparse or not, y (n, n_outputs), weight (n,) or None."""

    x: Inputs
    y: np.ndarray
    weight: np.ndarray | None


def targets(model: Model, y: Any, n_rows: int, name: str = "y") -> np.ndarray:
    """Return y as the model's loss takes it, (n, k); (n,) and (n, 1) are equivalent."""
    loss, n_outputs = model.loss, model.n_outputs
    assert loss is not None and n_outputs is not None
    if not loss.in_python:
        return arrays.targets(y, n_rows, n_outputs, loss.name, model.dtype, name)
    array = arrays.numeric(name, y)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or len(array) != n_rows:
        raise DataError(
            f"{name} must have shape ({n_rows},) or ({n_rows}, k), a row for each of x. "
            f"Received: shape {array.shape}"
        )
    return arrays.converted(name, array, model.dtype)


def checked(model: Model, x: Any, y: Any, weight: Any, prefix: str = "") -> Rows:
    """Return data checked and converted for the network."""
    with model.accepting():
        x = model.checked_rows(x, prefix + "x")
        model.ready()
        y = targets(model, y, len(x), prefix + "y")
        name = prefix + "sample_weight"
        return Rows(x, y, arrays.row_weights(weight, len(x), model.dtype, name))


def split_rows(rows: Rows, share: float) -> tuple[Rows, Rows | None]:
    """Keep the last `share` of the rows for validation."""
    if not share:
        return rows, None
    n = int(len(rows.x) * (1.0 - share))
    if n in (0, len(rows.x)):
        raise DataError(
            "validation_split must leave rows for training and for validation. "
            f"Received: validation_split={share} of {len(rows.x)} rows"
        )
    x, y, weight = rows
    tail = None if weight is None else weight[n:]
    return Rows(x[:n], y[:n], None if weight is None else weight[:n]), Rows(x[n:], y[n:], tail)


def validation_rows(model: Model, data: Any) -> Rows:
    """Return validation data, a tuple (x, y) or (x, y, sample_weight), checked and converted."""
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise DataError(
            "validation_data must be (x, y) or (x, y, sample_weight). "
            f"Received: {arrays.describe(data)}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    return checked(model, data[0], data[1], data[2] if len(data) == 3 else None, "validation ")


def prepared(
    model: Model, x: Any, y: Any, weight: Any, validation_data: Any, arguments: Arguments
) -> tuple[Rows, Rows | None]:
    """Return the rows to train on, with class weights if given, and those to validate on."""
    with model.accepting():
        model.adapt(x)
        rows = checked(model, x, y, weight)
    if validation_data is not None:
        split = {"validation_split": arguments.validation_split}
        reason = "validation_data replaces a split"
        _arguments.warn_unused(reason, split, {"validation_split": 0.0})
    elif not arguments.validation_split:
        freq = {"validation_freq": arguments.validation_freq}
        _arguments.warn_unused("there are no rows for validation", freq, {"validation_freq": 1})
    validation: Rows | None
    if validation_data is not None:
        validation = validation_rows(model, validation_data)
    else:
        rows, validation = split_rows(rows, arguments.validation_split)
    assert model.loss is not None
    name = f"{model.loss.name}, in Python" if model.loss.in_python else model.loss.name
    by_class = arrays.class_weights(arguments.class_weight, rows.y, name)
    if by_class is not None:
        total = by_class if rows.weight is None else by_class * rows.weight
        rows = rows._replace(weight=total.astype(model.dtype))
    return rows, validation
