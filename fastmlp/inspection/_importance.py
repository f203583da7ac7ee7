"""Permutation importance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import losses, metrics
from .._model.compatibility import check_last, metric_kind
from .._model.model import Model, all_or_nothing
from .._training import data
from .._utils import arguments, arrays, cards
from ..errors import DataError
from ._features import Feature, checked_inputs, named_features, outputs_of, predictions

_SHOWN = 12  # features on a notebook's card


@dataclass(frozen=True)
class Importance:
    """How much worse a model predicts when a feature's values are shuffled among the rows.

    Parameters
    ----------
    names : list of str
        Names of the features.
    repeats : ndarray of shape (n_features, n_repeats)
        By how much the metric got worse in each shuffle. About 0 if the feature does not matter;
        below 0 by chance.
    metric : str
    baseline : float
        The metric without shuffling.
    larger_is_better : bool
        Whether a larger metric is better.
    seed : int, optional
        Random seed of the shuffles.
    """

    names: list[str]
    repeats: np.ndarray
    metric: str
    baseline: float
    larger_is_better: bool = False
    seed: int | None = None

    @property
    def mean(self) -> np.ndarray:
        """Mean over the shuffles, (n_features,)."""
        return self.repeats.mean(axis=1)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation over the shuffles, (n_features,); 0 for a single shuffle."""
        return self.repeats.std(axis=1, ddof=min(1, self.repeats.shape[1] - 1))

    @property
    def order(self) -> np.ndarray:
        """Indices of the features, the most important first."""
        return np.argsort(-self.mean, kind="stable")

    def __repr__(self) -> str:
        first = ", ".join(f"{self.names[i]} {self.mean[i]:.4g}" for i in self.order[:3])
        rest = ", ..." if len(self.names) > 3 else ""
        return (
            f"<Importance: {len(self.names)} features, {self.metric} {self.baseline:.4g}; "
            f"{first}{rest}>"
        )

    def _repr_html_(self) -> str:
        """Return bars of the most important features, for notebooks."""
        order, mean, std = self.order[:_SHOWN], self.mean, self.std
        drawn = cards.bars(
            [self.names[i] for i in order],
            [float(mean[i]) for i in order],
            [f"{mean[i]:.3g} ± {std[i]:.2g}" for i in order],
        )
        left = len(self.names) - len(order)
        return cards.card(
            f"Importance: how much worse {self.metric} gets when a column is shuffled",
            f"{self.metric} {self.baseline:.4g} unshuffled",
            drawn,
            f"{left:,} columns are not shown" if left else "",
        )

    def __str__(self) -> str:
        width = max(len(name) for name in self.names)
        head = f"How much worse {self.metric} ({self.baseline:.6g}) gets with a shuffled feature:"
        mean, std = self.mean, self.std
        rows = [f"{self.names[i]:<{width}}  {mean[i]:.6g} +- {std[i]:.2g}" for i in self.order]
        return "\n".join([head, *rows])


def _score(model: Any, metric: Any, y: np.ndarray) -> tuple[str, Callable[[Any, Any], float], bool]:
    """Return a metric's name, its function of (y, outputs), and whether larger is better."""
    loss, n_outputs = model.loss, model.n_outputs
    assert n_outputs is not None
    if metric is None and model.metrics:
        metric = model.metrics[0]
    if metric is None:
        if loss is None:
            raise RuntimeError(
                f"Model {model.name!r} is not compiled yet: call compile(optimizer, loss) first, "
                "or give a metric"
            )
        return loss.name, loss, False
    try:
        chosen = metrics.get(metric)
    except ValueError:
        if not callable(metric) or isinstance(metric, type):
            raise
        name, own = str(getattr(metric, "__name__", "metric")), metric
        return name, lambda y, outputs: float(np.mean(own(y, outputs))), False
    kind = ""
    if loss is not None:
        last = model if isinstance(model, Model) else model[0]
        check_last(last.dense_layers[-1], loss, [chosen])
        kind = metric_kind(loss, y, n_outputs)
    engine = chosen.engine_name(kind, n_outputs)
    if loss is not None and engine == kind and type(chosen).finish is metrics.Metric.finish:
        return chosen.name, loss, False  # the loss has its settings
    given = loss or losses.MeanSquaredError()

    def score(y: Any, outputs: Any) -> float:
        return chosen.of(y, outputs, given, kind)

    return chosen.name, score, chosen.larger_is_better


@all_or_nothing
def permutation_importance(
    model: Any,
    x: Any,
    y: Any,
    n_repeats: int = 10,
    metric: Any = None,
    seed: int | None = None,
    features: Sequence[str | Feature] | None = None,
) -> Importance:
    """Measure how much worse a model predicts when one feature at a time is shuffled.

    Parameters
    ----------
    model : Model or Ensemble
    x : array-like of shape (n, n_inputs)
    y : array-like of shape (n, n_outputs), or class indices as the loss takes them
    n_repeats : int
        Number of shuffles of each feature.
    metric : str, Metric or callable, optional
        Default: the model's first metric, or else its loss without penalty. A function of
        (y, outputs) returns a number, or one for each row; smaller is better.
    seed : int, optional
        Random seed of the shuffles; drawn if it is not given, and recorded in `Importance.seed`.
        A feature's shuffles do not depend on the other features.
    features : sequence of str or Feature, optional
        Names of the columns, or features, each of one or more columns. The function `features`
        makes them from a table's columns. Default: x1, x2, ...

    Returns
    -------
    Importance

    Raises
    ------
    DataError
        If x and y do not have these shapes or have a single row.
    """
    arguments.integer("n_repeats", n_repeats)
    seed = arguments.seed(seed)
    x = checked_inputs(model, x)
    assert model.n_outputs is not None
    chosen = named_features(features, x.shape[1])
    if model.loss is None:
        y = arrays.targets(y, len(x), model.n_outputs, "", model.dtype)
    else:
        y = data.targets(model, y, len(x))
    name, function, larger_is_better = _score(model, metric, y)
    if len(x) < 2:
        raise DataError("x must have at least 2 rows to shuffle. Received: 1 row")

    def changes() -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        for feature in chosen:
            values = x[:, feature.columns]
            for repeat in range(n_repeats):
                # Keyed by column, so that shuffles do not depend on the other features.
                key = (feature.columns[0], repeat)
                rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
                yield feature.columns, values[rng.permutation(len(x))]

    sign = -1.0 if larger_is_better else 1.0
    baseline = function(y, outputs_of(model, x))
    values = [function(y, outputs) for outputs in predictions(model, x, changes())]
    worse = sign * (np.array(values) - baseline)
    names = [feature.name for feature in chosen]
    return Importance(names, worse.reshape(-1, n_repeats), name, baseline, larger_is_better, seed)
