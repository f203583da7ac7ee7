"""Metrics: figures reported next to the loss, without penalty and sample weights.

The kernels compute means over rows as they train: over an epoch's batches, each with the weights
that the network has at that time. Other metrics, such as the AUC, are computed from all
predictions; see `Score`. A metric that is called with arrays also takes sample weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import losses
from .._utils import arguments as _arguments
from .._utils import arrays
from .._utils.names import LOSS_ALIASES
from . import _functions
from ._functions import (
    auc,
    average_precision,
    balanced_accuracy,
    brier_score,
    macro_f1,
    pinball_loss,
    precision,
    r2_score,
    recall,
    root_mean_squared_error,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)


class Metric:
    """A metric and the name under which it is reported.

    Called with (y_true, y_pred, sample_weight=None), it returns one float.

    Parameters
    ----------
    name : str, optional
        The key in History; by default the class name in snake case.

    Attributes
    ----------
    larger_is_better : bool
        Determines mode='auto' of callbacks.
    y_forms : set of str
        'columns' and 'indices': the forms of y that the metric reads.
    needs_classes : bool
        Whether it needs more than one output.
    on_training : bool
        Whether `fit` also reports it for the training rows.
    """

    engine: str | None = None  # None: depends on the loss, or unknown to the kernels
    larger_is_better = False
    y_forms = frozenset({"columns", "indices"})
    needs_classes = False
    on_training = True

    def __init__(self, name: str | None = None) -> None:
        self.name = _arguments.label(name) or _arguments.snake_case(type(self).__name__)

    def engine_name(self, loss: str, n_outputs: int) -> str | None:
        """Return the kernels' name of the mean over rows from which `finish` computes the metric.

        None: the metric is not such a mean; a call computes it from all predictions.
        """
        return self.engine

    def of(self, y_true: Any, y_pred: Any, loss: losses.Loss, kind: str) -> float:
        """Return the metric as `evaluate` reports it, from all predictions of a model.

        Parameters
        ----------
        y_true, y_pred : ndarray
        loss : Loss
            The model's loss, which has Huber's delta.
        kind : str
            The form of y; see `_model.compatibility.metric_kind`.

        Returns
        -------
        float
        """
        name = self.engine_name(kind, y_pred.shape[1])
        if name is None:
            return self.read(y_true, y_pred)
        settings = loss.get_config() if name == loss.name else {}  # Huber's delta
        means = np.array([FUNCTIONS[name](y_true, y_pred, **settings).mean()])
        return float(self.finish(means, y_true)[0])

    def finish(self, means: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Turn the kernels' means over the rows of y, one per epoch, into the metric's values."""
        return means

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return the metric of all rows.

        Parameters
        ----------
        y_true, y_pred : array-like
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
        """
        shape = np.shape(y_pred)
        indices = len(shape) == 2 and shape[1] > 1 and np.size(y_true) == shape[0]
        loss = losses.SPARSE if indices else ""
        name = self.engine_name(loss, shape[1] if len(shape) == 2 else 1)
        if name is None:
            raise NotImplementedError(
                f"{type(self).__name__} must define __call__(y_true, y_pred, sample_weight)"
            )
        return _functions.mean(FUNCTIONS[name](y_true, y_pred), sample_weight)

    def read(self, y_true: np.ndarray, y_pred: np.ndarray) -> float:
        """Call the metric with read-only arrays."""
        with arrays.unwritten(f"Metric {self.name!r}"):
            return float(self(arrays.read_only(y_true), arrays.read_only(y_pred)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Make a metric from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Score(Metric):
    """Base class of metrics that are not means over rows: computed from all predictions at once.

    To write a metric, define ``__call__`` in a subclass. For the training rows, `fit` predicts all
    rows at the end of each epoch, with the weights at that time. Other metrics are means over the
    epoch's batches, each with the weights that the network had at that time.

    Parameters
    ----------
    name : str, optional
    on_training : bool
        False saves that prediction: the metric is reported only for validation and by `evaluate`.
    """

    larger_is_better = True

    def __init__(self, name: str | None = None, on_training: bool = True) -> None:
        super().__init__(name)
        self.on_training = _arguments.flag("on_training", on_training)


class Accuracy(Metric):
    """Binary, categorical or sparse categorical accuracy, as the loss and outputs suggest.

    Called with arrays it goes by their shapes: several outputs are classes, of which one is right.
    Call `BinaryAccuracy` for several labels at once.
    """

    larger_is_better = True

    def engine_name(self, loss: str, n_outputs: int) -> str:
        """Return the name of the accuracy that is meant."""
        if loss == losses.SPARSE:
            return "sparse_categorical_accuracy"
        if n_outputs == 1 or loss == "binary_crossentropy":
            return "binary_accuracy"
        return "categorical_accuracy"


class LogLoss(Metric):
    """Binary, categorical or sparse categorical cross-entropy, as the loss and outputs suggest.

    Called with arrays it goes by their shapes: several outputs are classes, of which one is right.
    Call `BinaryCrossentropy` for several labels at once.
    """

    def engine_name(self, loss: str, n_outputs: int) -> str:
        """Return the name of the cross-entropy that is meant."""
        if loss == losses.SPARSE:
            return losses.SPARSE
        if n_outputs == 1 or loss == "binary_crossentropy":
            return "binary_crossentropy"
        return "categorical_crossentropy"


class BinaryAccuracy(Metric):
    """Share of outputs on the right side of 0.5."""

    engine = "binary_accuracy"
    larger_is_better = True


class CategoricalAccuracy(Metric):
    """Share of rows whose largest output is their class; y in rows of 0 and 1."""

    engine = "categorical_accuracy"
    larger_is_better = True


class SparseCategoricalAccuracy(Metric):
    """Share of rows whose largest output is their class; y as class indices."""

    engine = "sparse_categorical_accuracy"
    larger_is_better = True


class MeanSquaredError(Metric):
    """Mean over outputs and rows of (y_true - y_pred)**2."""

    engine = "mean_squared_error"


class MeanAbsoluteError(Metric):
    """Mean over outputs and rows of |y_true - y_pred|."""

    engine = "mean_absolute_error"


class Huber(Metric):
    """Huber's loss as a metric, with the delta of the loss where that is Huber's, else 1.

    Called with arrays, it uses delta = 1.
    """

    engine = "huber"


class Poisson(Metric):
    """The Poisson loss as a metric."""

    engine = "poisson"


class BinaryCrossentropy(Metric):
    """The binary cross-entropy as a metric."""

    engine = "binary_crossentropy"


class CategoricalCrossentropy(Metric):
    """The categorical cross-entropy as a metric."""

    engine = "categorical_crossentropy"


class SparseCategoricalCrossentropy(Metric):
    """The sparse categorical cross-entropy as a metric."""

    engine = losses.SPARSE


class RootMeanSquaredError(Metric):
    """Root of the mean over outputs and rows of (y_true - y_pred)**2.

    In training, the root of the mean over the epoch's batches.
    """

    engine = "mean_squared_error"

    def finish(self, means: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the roots."""
        return np.sqrt(means)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `root_mean_squared_error` of the arguments."""
        return root_mean_squared_error(y_true, y_pred, sample_weight)


class R2Score(Score):
    """Coefficient of determination, 1 - residual / total; the mean over outputs.

    With one output it needs no extra pass: in training it follows from the mean squared error over
    the epoch's batches. With several outputs it is computed as described in `Score`.

    Parameters
    ----------
    name : str, optional
    on_training : bool
        See `Score`.
    """

    y_forms = frozenset({"columns"})

    def engine_name(self, loss: str, n_outputs: int) -> str | None:
        """Return the squared error's name for one output."""
        return "mean_squared_error" if n_outputs == 1 else None

    def finish(self, means: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return 1 - mean squared error / variance of y."""
        variance = 0.0 if y.min() == y.max() else np.var(y, dtype=np.float64)
        return _functions.determination(means, np.full(len(means), variance))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `r2_score` of the arguments."""
        return r2_score(y_true, y_pred, sample_weight)


class AUC(Score):
    """Area under the receiver operating characteristic, exact; the mean over several outputs.

    Parameters
    ----------
    name : str, optional
    on_training : bool
        See `Score`.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `auc` of the arguments."""
        return auc(y_true, y_pred, sample_weight)


class AveragePrecision(Score):
    """Area under the curve of precision against recall (PR-AUC), as a sum over its steps.

    With several outputs it is the mean over them, each class against the rest.

    Parameters
    ----------
    name : str, optional
    on_training : bool
        See `Score`.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `average_precision` of the arguments."""
        return average_precision(y_true, y_pred, sample_weight)


class BrierScore(Score):
    """Mean squared error of probabilities; for several classes, the sum over classes.

    Parameters
    ----------
    name : str, optional
    on_training : bool
        See `Score`.
    """

    larger_is_better = False

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `brier_score` of the arguments."""
        return brier_score(y_true, y_pred, sample_weight)


class BalancedAccuracy(Score):
    """Mean over classes of the share of the class's rows that are predicted as it.

    Parameters
    ----------
    name : str, optional
    on_training : bool
        See `Score`.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `balanced_accuracy` of the arguments."""
        return balanced_accuracy(y_true, y_pred, sample_weight)


class MacroF1(Score):
    """Mean over classes of F1, the harmonic mean of a class's precision and recall.

    Parameters
    ----------
    name : str, optional
    on_training : bool
        See `Score`.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `macro_f1` of the arguments."""
        return macro_f1(y_true, y_pred, sample_weight)


class Pinball(Score):
    """Mean pinball loss of predicted quantiles.

    Parameters
    ----------
    quantile : float
        In (0, 1): the quantile that is predicted.
    name : str, optional
    on_training : bool
        See `Score`.
    """

    larger_is_better = False
    y_forms = frozenset({"columns"})

    def __init__(
        self, quantile: float = 0.5, name: str | None = None, on_training: bool = True
    ) -> None:
        super().__init__(name, on_training)
        self.quantile = _arguments.number(
            "quantile", quantile, "a number in (0, 1)", lambda v: 0 < v < 1
        )

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `pinball_loss` of the arguments."""
        return pinball_loss(y_true, y_pred, sample_weight, self.quantile)


class _Thresholded(Score):
    """A score of predictions on one side of a threshold or the other."""

    def __init__(
        self, thresholds: float = 0.5, name: str | None = None, on_training: bool = True
    ) -> None:
        super().__init__(name, on_training)
        self.thresholds = _arguments.number(
            "thresholds", thresholds, "one finite number", lambda v: True
        )


class Precision(_Thresholded):
    """Share of class 1 among the predictions of class 1, for all outputs together.

    Parameters
    ----------
    thresholds : float
        A prediction above it means class 1. One number, under Keras's name.
    name : str, optional
    on_training : bool
        See `Score`.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `precision` of the arguments."""
        return precision(y_true, y_pred, sample_weight, self.thresholds)


class Recall(_Thresholded):
    """Share of class 1 that is predicted as class 1, for all outputs together.

    Parameters
    ----------
    thresholds : float
        A prediction above it means class 1. One number, under Keras's name.
    name : str, optional
    on_training : bool
        See `Score`.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return `recall` of the arguments."""
        return recall(y_true, y_pred, sample_weight, self.thresholds)


class TopKAccuracy(Score):
    """Share of rows whose class has one of the k largest outputs; y in either form.

    A name with a number, such as 'top_5_accuracy', stands for it, too. Equal outputs share the
    best rank among them.

    Parameters
    ----------
    k : int
    name : str, optional
        'top_{k}_accuracy' by default.
    on_training : bool
        See `Score`.
    """

    needs_classes = True

    def __init__(self, k: int = 5, name: str | None = None, on_training: bool = True) -> None:
        self.k = _arguments.integer("k", k)
        super().__init__(self._default_name() if name is None else name, on_training)

    def _default_name(self) -> str:
        return f"top_{self.k}_accuracy"

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Return the (weighted) share of rows."""
        indices = np.ndim(y_pred) == 2 and np.size(y_true) == len(y_pred)
        rows = sparse_top_k_categorical_accuracy if indices else top_k_categorical_accuracy
        return _functions.mean(rows(y_true, y_pred, self.k), sample_weight)


class TopKCategoricalAccuracy(TopKAccuracy):
    """`TopKAccuracy` for y in rows of 0 and 1, under Keras's name.

    Parameters
    ----------
    k : int
    name : str, optional
    on_training : bool
        See `Score`.
    """

    y_forms = frozenset({"columns"})

    def _default_name(self) -> str:
        return "top_k_categorical_accuracy"


class SparseTopKCategoricalAccuracy(TopKAccuracy):
    """`TopKAccuracy` for y as class indices, under Keras's name.

    Parameters
    ----------
    k : int
    name : str, optional
    on_training : bool
        See `Score`.
    """

    y_forms = frozenset({"indices"})

    def _default_name(self) -> str:
        return "sparse_top_k_categorical_accuracy"


_CLASSES: tuple[type[Metric], ...] = (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    MeanSquaredError,
    MeanAbsoluteError,
    Huber,
    Poisson,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
_TABLE: dict[str, type[Metric]] = {str(cls.engine): cls for cls in _CLASSES}
_TABLE |= {alias: _TABLE[name] for alias, name in LOSS_ALIASES.items()}
_BY_NAME = {**vars(losses), **vars(_functions)}
FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {  # by the kernels' names
    name: _BY_NAME[name] for name in _TABLE if name not in LOSS_ALIASES
}
_TABLE |= {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "log_loss": LogLoss,
    "root_mean_squared_error": RootMeanSquaredError,
    "rmse": RootMeanSquaredError,
    "r2_score": R2Score,
    "r2": R2Score,
    "auc": AUC,
    "average_precision": AveragePrecision,
    "pr_auc": AveragePrecision,
    "brier_score": BrierScore,
    "balanced_accuracy": BalancedAccuracy,
    "macro_f1": MacroF1,
    "pinball_loss": Pinball,
    "precision": Precision,
    "recall": Recall,
    "top_k_accuracy": TopKAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
}
_CLASS_NAMES = {cls.__name__: cls for cls in _TABLE.values()}
_NAMED = {**FUNCTIONS, **{name: _BY_NAME[name] for name in _TABLE if name in _BY_NAME}}


def get(identifier: Any, custom: Mapping[str, Any] | None = None) -> Metric:
    """Return the metric that `identifier` names; a name becomes the metric's name.

    Parameters
    ----------
    identifier : str, function of this module, Metric class or object, or saved configuration
    custom : mapping of str to class, optional
        Metrics that are not part of fastmlp, by name.

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        If the name is unknown; the message suggests the nearest.
    """
    if callable(identifier) and not isinstance(identifier, (Metric, type)):
        known = (name for name, function in _NAMED.items() if function is identifier)
        identifier = next(known, identifier)
    if isinstance(identifier, str):
        top = re.fullmatch(r"top_(\d{1,9})_accuracy", identifier)
        if top:
            return TopKAccuracy(int(top[1]), name=identifier)
        return _arguments.lookup("metric", identifier, _TABLE)(name=identifier)
    table = {**_TABLE, **_CLASS_NAMES, **(custom or {})}
    return _arguments.resolve("metric", identifier, Metric, table)


def larger_is_better(name: str) -> bool:
    """Return whether larger values of a metric or loss are better.

    Parameters
    ----------
    name : str
        As in a history, such as 'auc' or 'val_auc'. Of a name that is not one of fastmlp's, those
        with 'acc' in them are taken for accuracies.
    """
    name = name.removeprefix("val_")
    if name.lower() in _TABLE:
        return _TABLE[name.lower()].larger_is_better
    return "acc" in name
