"""Look into a model: which inputs matter, how it depends on them, how its layers fare."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arrays, _checks, _fit_data, losses, metrics
from ._layer_report import LayerFigures, LayerReport, layer_report
from .errors import DataError
from .stack import all_or_nothing

if TYPE_CHECKING:
    from .models import Sequential
    from .preprocessing import Preprocessing

__all__ = [
    "Feature",
    "Importance",
    "LayerFigures",
    "LayerReport",
    "PartialDependence",
    "features",
    "layer_report",
    "partial_dependence",
    "permutation_importance",
]

_STACKED = 1 << 24  # numbers in the stacked rows of one prediction: 64 MiB in float32
_CURVES = 50  # single rows whose dependence is kept beside the average


@dataclass(frozen=True)
class Feature:
    """An input of a model, or several that belong together and are changed together.

    Parameters
    ----------
    name : str
    columns : tuple of int
        Of x.
    kind : {"numeric", "boolean", "date", "categorical"}
        A date counts days since 1970-01-01.
    categories : tuple of str
        Of a categorical feature, in the order of its 0/1 columns.
    mean, scale : float
        A value in its own units is x * scale + mean.
    indicator : bool
        Whether the last column is 1 where the value is missing.
    """

    name: str
    columns: tuple[int, ...]
    kind: str = "numeric"
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    indicator: bool = False

    def __post_init__(self) -> None:
        width = len(self.categories) if self.kind == "categorical" else 1
        if len(self.columns) != width + self.indicator or not self.columns:
            raise ValueError(
                f"A feature of kind {self.kind!r} must have {width + self.indicator} columns. "
                f"Received: columns={self.columns} for feature {self.name!r}"
            )


def features(preprocessing: Preprocessing) -> list[Feature]:
    """Describe the inputs of a model of a table as the table's columns.

    Parameters
    ----------
    preprocessing : Preprocessing

    Returns
    -------
    list of Feature
        One for each column; the inputs that stand for a categorical column are one feature.
    """
    result, start = [], 0
    for column in preprocessing.columns:
        result.append(
            Feature(
                column.name,
                tuple(range(start, start + column.width)),
                column.kind,
                tuple(map(str, column.categories)),
                column.mean,
                column.scale,
                column.indicator,
            )
        )
        start += column.width
    return result


# ---- predictions for changed rows ------------------------------------------------------------


def _predictions(
    model: Sequential, x: np.ndarray, changes: Iterable[tuple[tuple[int, ...], np.ndarray]]
) -> Iterator[np.ndarray]:
    """Yield the model's outputs (n, n_outputs) for x with each change made to it.

    A change is (columns, values), the values of shape (n, columns) or (columns,). Changed copies
    of x are stacked and predicted together, as many as memory allows.
    """
    per_call = max(1, _STACKED // x.size)
    block: np.ndarray | None = None
    rest = iter(changes)
    while batch := list(itertools.islice(rest, per_call)):
        if block is None:
            block = np.repeat(x[None], len(batch), axis=0)
        for part, (columns, values) in zip(block, batch, strict=False):
            part[:, columns] = values
        outputs = model.predict(block[: len(batch)].reshape(-1, x.shape[1]), verbose=0)
        yield from outputs.reshape(len(batch), len(x), -1)
        for part, (columns, _) in zip(block, batch, strict=False):
            part[:, columns] = x[:, columns]


# ---- permutation importance ------------------------------------------------------------------


@dataclass(frozen=True)
class Importance:
    """How much worse a model predicts when a feature's values are shuffled among the rows.

    Parameters
    ----------
    names : list of str
        Of the features.
    repeats : ndarray of shape (n_features, n_repeats)
        By how much the metric got worse, for each shuffle; about 0 if the feature does not
        matter, and below 0 by chance.
    metric : str
    baseline : float
        The metric of the rows as they are.
    larger_is_better : bool
        Of the metric: whether it falls as it gets worse.
    """

    names: list[str]
    repeats: np.ndarray
    metric: str
    baseline: float
    larger_is_better: bool = False

    @property
    def mean(self) -> np.ndarray:
        """Mean over the shuffles, (n_features,)."""
        return self.repeats.mean(axis=1)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation over the shuffles, (n_features,); 0 for a single one."""
        return self.repeats.std(axis=1, ddof=min(1, self.repeats.shape[1] - 1))

    @property
    def order(self) -> np.ndarray:
        """Indices of the features, the most important first."""
        return np.argsort(-self.mean, kind="stable")

    def __str__(self) -> str:
        width = max(len(name) for name in self.names)
        head = f"By how much {self.metric}, {self.baseline:.6g}, gets worse without the feature:"
        mean, std = self.mean, self.std
        rows = [f"{self.names[i]:<{width}}  {mean[i]:.6g} +- {std[i]:.2g}" for i in self.order]
        return "\n".join([head, *rows])


def _score(
    model: Sequential, metric: Any, y: np.ndarray
) -> tuple[str, Callable[[Any, Any], float], bool]:
    """Return a metric's name, its function of (y, outputs), and whether larger is better."""
    loss, n_outputs = model.loss, model.n_outputs
    assert n_outputs is not None
    if metric is None and model.metrics:
        metric = model.metrics[0]
    if metric is None:
        if loss is None:
            raise RuntimeError(
                f"Model {model.name!r} is not compiled yet: call compile(optimizer, loss) first, "
                "or say which metric"
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
        _fit_data.check_last(model.dense_layers[-1], loss, [chosen])
        kind = _fit_data.metric_kind(loss, y, n_outputs)
    engine = chosen.engine_name(kind, n_outputs)
    if loss is not None and engine == kind and type(chosen).finish is metrics.Metric.finish:
        return chosen.name, loss, False  # with the settings of the loss
    given = loss or losses.MeanSquaredError()

    def score(y: Any, outputs: Any) -> float:
        return chosen.of(y, outputs, given, kind)

    return chosen.name, score, chosen.larger_is_better


def _named(given: Sequence[str | Feature] | None, n_inputs: int) -> list[Feature]:
    """Return features from names of single columns, or from nothing."""
    if given is None:
        given = [f"x{i + 1}" for i in range(n_inputs)]
    given = _checks.items("features", given, "names or Feature objects")
    if all(isinstance(feature, str) for feature in given) and len(given) != n_inputs:
        raise ValueError(
            f"features must hold a name for each of the {n_inputs} columns of x. "
            f"Received: {len(given)} names"
        )
    made = [Feature(f, (i,)) if isinstance(f, str) else f for i, f in enumerate(given)]
    for feature in made:
        _check_columns(feature, n_inputs)
    return made


def _column(place: Any) -> Feature:
    """Return a feature of one column of x."""
    place = _checks.integer("a column in features", place, -(1 << 31))
    return Feature(f"x{place + 1}", (place,))


def _check_columns(feature: Any, n_inputs: int) -> None:
    if not isinstance(feature, Feature):
        raise ValueError(f"A feature must be a column of x or a Feature. Received: {feature!r}")
    if not all(0 <= i < n_inputs for i in feature.columns):
        raise ValueError(
            f"The columns of a feature must be from 0 to {n_inputs - 1}. "
            f"Received: {feature.columns} for feature {feature.name!r}"
        )


@all_or_nothing
def permutation_importance(
    model: Sequential,
    x: Any,
    y: Any,
    n_repeats: int = 10,
    metric: Any = None,
    seed: int = 0,
    features: Sequence[str | Feature] | None = None,
) -> Importance:
    """Measure how much worse a model predicts when one feature at a time is shuffled.

    Parameters
    ----------
    model : Sequential
    x : array-like of shape (n, n_inputs)
    y : array-like of shape (n, n_outputs), or class indices as the loss takes them
    n_repeats : int
        Shuffles of each feature.
    metric : str, Metric or callable, optional
        What to measure with; the model's first metric by default, without one its loss, penalty
        left out. Of a function of (y, outputs) less is better; it returns a number, or one a row.
    seed : int
        The same seed gives the same shuffles, whatever other features there are.
    features : sequence of str or Feature, optional
        Names of the columns, or features, which may be of several columns each; `features`
        makes them of a table's columns. Default: x1, x2, ...

    Returns
    -------
    Importance

    Raises
    ------
    DataError
        If x and y are not such data, or have a single row.
    """
    from .models import Sequential

    _checks.instance("model", model, Sequential)
    _checks.integer("n_repeats", n_repeats)
    _checks.integer("seed", seed, 0)
    x = model.checked_inputs(x)
    assert model.n_outputs is not None
    chosen = _named(features, x.shape[1])
    if model.loss is None:
        y = _arrays.targets(y, len(x), model.n_outputs, "", model.dtype)
    else:
        y = _fit_data.targets(model, y, len(x))
    name, function, larger_is_better = _score(model, metric, y)
    if len(x) < 2:
        raise DataError("x must have at least 2 rows, to be shuffled. Received: 1 row")

    def changes() -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        for feature in chosen:
            values = x[:, feature.columns]
            for repeat in range(n_repeats):
                # By column and not by place in the list: other features change nothing.
                key = (feature.columns[0], repeat)
                rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
                yield feature.columns, values[rng.permutation(len(x))]

    sign = -1.0 if larger_is_better else 1.0
    baseline = function(y, model.predict(x, verbose=0))
    values = [function(y, outputs) for outputs in _predictions(model, x, changes())]
    worse = sign * (np.array(values) - baseline)
    names = [feature.name for feature in chosen]
    return Importance(names, worse.reshape(-1, n_repeats), name, baseline, larger_is_better)


# ---- partial dependence ----------------------------------------------------------------------


@dataclass(frozen=True)
class PartialDependence:
    """A model's mean output over the rows, with one feature or two set to each value of a grid.

    Parameters
    ----------
    features : tuple of Feature
        One or two.
    grid : tuple of ndarray
        Each feature's values, in its own units; indices of the categories of a categorical one.
    average : ndarray of shape (n_grid, n_outputs) or (n_grid, n_grid_2, n_outputs)
    curves : ndarray of shape (n_curves, n_grid, n_outputs)
        The same for some single rows, evenly spaced; empty for two features.
    rows : tuple of ndarray of shape (n,)
        Each feature's values in x, as in `grid`; NaN where one is missing.
    """

    features: tuple[Feature, ...]
    grid: tuple[np.ndarray, ...]
    average: np.ndarray
    curves: np.ndarray
    rows: tuple[np.ndarray, ...]


def _grid(feature: Feature, x: np.ndarray, grid: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a feature's values in its own units (g,), and in those of x (g, columns)."""
    if feature.kind == "categorical":
        own = np.arange(len(feature.categories), dtype=np.float64)
        return own, np.eye(len(own), len(feature.columns), dtype=x.dtype)
    if isinstance(grid, (int, np.integer)):
        n = _checks.integer("grid", grid, 2)
        column = x[_present(feature, x), feature.columns[0]]
        values = np.unique(column)
        if len(values) > n:
            values = np.linspace(column.min(), column.max(), n, dtype=x.dtype)
        own = values.astype(np.float64) * feature.scale + feature.mean
    else:
        own = np.atleast_1d(_arrays.numeric("grid", grid)).astype(np.float64)
        if own.ndim != 1 or not len(own) or not np.isfinite(own).all():
            raise ValueError(
                "grid must be a number of values, or the values in a vector. "
                f"Received: {_arrays.describe(np.asarray(grid))}"
            )
        values = ((own - feature.mean) / feature.scale).astype(x.dtype)
    # A value that is set is not missing.
    inputs = np.zeros((len(own), len(feature.columns)), x.dtype)
    inputs[:, 0] = values
    return own, inputs


def _present(feature: Feature, x: np.ndarray) -> np.ndarray:
    """Tell the rows whose value is not missing; all rows if every value is."""
    present = np.ones(len(x), bool)
    if feature.indicator:
        present = x[:, feature.columns[-1]] == 0
    return present if present.any() else ~present


def _own_values(feature: Feature, x: np.ndarray) -> np.ndarray:
    """Return the rows' values in the feature's own units; NaN where they are missing."""
    if feature.kind == "categorical":
        own = x[:, feature.columns].argmax(axis=1).astype(np.float64)
    else:
        own = x[:, feature.columns[0]].astype(np.float64) * feature.scale + feature.mean
    return np.where(_present(feature, x), own, np.nan)


@all_or_nothing
def partial_dependence(
    model: Sequential,
    x: Any,
    features: Any,
    grid: Any = 40,
    postprocess: Callable[[np.ndarray], Any] | None = None,
) -> PartialDependence:
    """Average a model's output over rows in which one feature or two are set to given values.

    Parameters
    ----------
    model : Sequential
    x : array-like of shape (n, n_inputs)
    features : int or Feature, or a list or tuple of one or two of them
        Columns of x, or features.
    grid : int or array-like of shape (g,), or a tuple with one for each feature
        How many values between the least and the largest of x (those of x if there are fewer),
        or the values, in the feature's own units. A categorical feature takes each category.
    postprocess : callable, optional
        From the outputs (n, n_outputs) to what is averaged, such as the units of the target.

    Returns
    -------
    PartialDependence
    """
    from .models import Sequential

    x = _checks.instance("model", model, Sequential).checked_inputs(x)
    if postprocess is not None:
        _checks.function("postprocess", postprocess)
    given = list(features) if isinstance(features, list | tuple) else [features]
    chosen = [f if isinstance(f, Feature) else _column(f) for f in given]
    for feature in chosen:
        _check_columns(feature, x.shape[1])
    taken = [column for feature in chosen for column in feature.columns]
    if len(chosen) not in (1, 2) or len(set(taken)) < len(taken):
        raise ValueError(
            "features must be one feature, or two of different columns. "
            f"Received: {[feature.name for feature in chosen]}"
        )
    sizes = grid if isinstance(grid, tuple) else (grid,) * len(chosen)
    if len(sizes) != len(chosen):
        raise ValueError(
            f"grid must be one for all features, or a tuple of {len(chosen)}. "
            f"Received: a tuple of {len(sizes)}"
        )
    grids = [_grid(feature, x, size) for feature, size in zip(chosen, sizes, strict=True)]
    columns = tuple(taken)
    changes = (
        (columns, np.concatenate(values)) for values in itertools.product(*(g[1] for g in grids))
    )
    kept = np.unique(np.linspace(0, len(x) - 1, _CURVES).round().astype(int))
    if len(chosen) == 2:
        kept = kept[:0]
    averages, curves = [], []
    for outputs in _predictions(model, x, changes):
        shown = np.asarray(outputs if postprocess is None else postprocess(outputs), np.float64)
        shown = shown.reshape(len(x), -1)
        averages.append(shown.mean(axis=0))
        curves.append(shown[kept])
    shape = (*(len(own) for own, _ in grids), -1)
    return PartialDependence(
        tuple(chosen),
        tuple(own for own, _ in grids),
        np.array(averages).reshape(shape),
        np.stack(curves, axis=1),
        tuple(_own_values(feature, x) for feature in chosen),
    )
