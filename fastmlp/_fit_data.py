"""What fit is given, checked: its arguments, and the rows for training and validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _arrays, _checks, losses
from .errors import DataError

if TYPE_CHECKING:
    from .layers import Dense
    from .losses import Loss
    from .metrics import Metric
    from .models import Sequential


def check_verbose(verbose: Any) -> None:
    """Raise unless `verbose` is 0, 1, 2 or 'auto', which means 1."""
    if not (isinstance(verbose, str) and verbose == "auto"):
        _checks.verbosity(verbose)


def check_last(last: Dense, loss: Loss, metrics: Sequence[Metric]) -> None:
    """Require that the last layer, the loss and the metrics mean something together."""
    if last.units == 1 and last.activation == "softmax":
        raise ValueError(
            "activation='softmax' needs at least 2 units: of one it is always 1. "
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
        if form not in forms and not loss.in_python:  # whose y may have any form
            raise ValueError(
                "Metrics must take y in the form that the loss does, class indices or columns. "
                f"Received: metric {metric.name!r} with loss={loss.name!r}"
            )
        if last.units == 1 and (metric.needs_classes or "categorical" in (name or "")):
            raise ValueError(
                f"Metric {metric.name!r} needs at least 2 units in the last layer. "
                "Received: units=1"
            )


def metric_kind(loss: Loss, y: np.ndarray, n_outputs: int) -> str:
    """Return the loss as metrics ask for it: by its name, or if it is in Python by y's form."""
    if not loss.in_python:
        return loss.name
    return losses.SPARSE if y.shape[1] == 1 < n_outputs else ""


class Rows(NamedTuple):
    """Checked data: x (n, n_inputs), y (n, n_outputs), weight (n,) or None."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None


def targets(model: Sequential, y: Any, n_rows: int, name: str = "y") -> np.ndarray:
    """Return y as the model's loss takes it, (n, k); (n,) and (n, 1) mean the same."""
    loss, n_outputs = model.loss, model.n_outputs
    assert loss is not None and n_outputs is not None
    if not loss.in_python:
        return _arrays.targets(y, n_rows, n_outputs, loss.name, model.dtype, name)
    array = _arrays.numeric(name, y)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or len(array) != n_rows:
        raise DataError(
            f"{name} must have shape ({n_rows},) or ({n_rows}, k), a row for each of x. "
            f"Received: shape {array.shape}"
        )
    return _arrays.converted(name, array, model.dtype)


def checked(model: Sequential, x: Any, y: Any, weight: Any, prefix: str = "") -> Rows:
    """Return data as the network takes them."""
    with model.accepting():
        x = model.checked_inputs(x, prefix + "x")
        model.ready()
        y = targets(model, y, len(x), prefix + "y")
        name = prefix + "sample_weight"
        return Rows(x, y, _arrays.row_weights(weight, len(x), model.dtype, name))


def _split(rows: Rows, share: float) -> tuple[Rows, Rows | None]:
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


def _validation_rows(model: Sequential, data: Any) -> Rows:
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise DataError(
            "validation_data must be (x, y) or (x, y, sample_weight). "
            f"Received: {_arrays.describe(data)}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    return checked(model, data[0], data[1], data[2] if len(data) == 3 else None, "validation ")


def _validation_epochs(freq: Any) -> int | frozenset[int]:
    if isinstance(freq, (list, tuple, set, frozenset)):
        return frozenset(_checks.integer("an epoch in validation_freq", epoch) for epoch in freq)
    return _checks.integer("validation_freq", freq)


class Arguments:
    """Arguments of fit that a checkpoint keeps, checked; with fit's defaults.

    Parameters
    ----------
    batch_size, epochs : int
    verbose : {0, 1, 2, 'auto'}
    validation_split : float
    shuffle : bool
    class_weight : mapping of class to weight, or None
        Checked with the data.
    validation_freq : int or collection of int
    shards : int, optional
        Into which rows and batches are cut; None: the network trains by itself.
    fast_reduce : bool
        Whether the shards' gradients are added in whatever order is quickest.
    """

    def __init__(
        self,
        batch_size: Any = 32,
        epochs: Any = 1,
        verbose: Any = 1,
        validation_split: Any = 0.0,
        shuffle: Any = True,
        class_weight: Any = None,
        validation_freq: Any = 1,
        shards: Any = None,
        fast_reduce: Any = False,
    ) -> None:
        self.batch_size = _checks.batch_size(batch_size)
        self.epochs = _checks.integer("epochs", epochs)
        check_verbose(verbose)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.validation_split = _checks.fraction("validation_split", validation_split)
        self.shuffle = _checks.flag("shuffle", shuffle)
        self.class_weight = class_weight
        self.validation_freq = _validation_epochs(validation_freq)
        self.shards = None if shards is None else _checks.integer("shards", shards)
        self.fast_reduce = _checks.flag("fast_reduce", fast_reduce)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, from which `from_dict` makes the same."""
        table = dict(vars(self))
        if isinstance(self.validation_freq, frozenset):
            table["validation_freq"] = sorted(self.validation_freq)
        if isinstance(self.class_weight, Mapping):  # whose keys are numbers, as JSON's are not
            pairs = self.class_weight.items()
            table["class_weight"] = [[float(label), float(weight)] for label, weight in pairs]
        return table

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Arguments:
        """Return what `to_dict` wrote down."""
        weights = table.get("class_weight")
        return cls(**{**table, "class_weight": None if weights is None else dict(weights)})


def prepared(
    model: Sequential, x: Any, y: Any, weight: Any, validation_data: Any, arguments: Arguments
) -> tuple[Rows, Rows | None]:
    """Return the rows to train on, weighted by class if asked, and those to validate on."""
    rows = checked(model, x, y, weight)
    if validation_data is not None:
        split = {"validation_split": arguments.validation_split}
        reason = "validation_data takes the place of a split"
        _checks.warn_unused(reason, split, {"validation_split": 0.0})
    elif not arguments.validation_split:
        freq = {"validation_freq": arguments.validation_freq}
        _checks.warn_unused("there are no rows for validation", freq, {"validation_freq": 1})
    validation: Rows | None
    if validation_data is not None:
        validation = _validation_rows(model, validation_data)
    else:
        rows, validation = _split(rows, arguments.validation_split)
    assert model.loss is not None
    name = f"{model.loss.name}, in Python" if model.loss.in_python else model.loss.name
    by_class = _arrays.class_weights(arguments.class_weight, rows.y, name)
    if by_class is not None:
        total = by_class if rows.weight is None else by_class * rows.weight
        rows = rows._replace(weight=total.astype(model.dtype))
    return rows, validation
