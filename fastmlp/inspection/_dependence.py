"""Partial dependence."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._model.model import all_or_nothing
from .._utils import arguments, arrays
from ._features import Feature, check_columns, checked_inputs, predictions, single_column

_CURVES = 50  # single rows whose curves are kept


@dataclass(frozen=True)
class PartialDependence:
    """A model's mean output over the rows, with one or two features set to each value of a grid.

    Parameters
    ----------
    features : tuple of Feature
        One or two.
    grid : tuple of ndarray
        Each feature's values in its own units; category indices of a categorical feature.
    average : ndarray of shape (n_grid, n_outputs) or (n_grid, n_grid_2, n_outputs)
    curves : ndarray of shape (n_curves, n_grid, n_outputs)
        The outputs for up to 50 evenly spaced single rows; empty for two features.
    rows : tuple of ndarray of shape (n,)
        Each feature's values in x, in the same units as `grid`; NaN where missing.
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
    values = None
    if isinstance(grid, (int, np.integer)):
        n = arguments.integer("grid", grid, 2)
        column = x[_present(feature, x), feature.columns[0]]
        values = np.unique(column)
        if len(values) > n:
            values = np.linspace(column.min(), column.max(), n, dtype=x.dtype)
        own = feature.own(values)
    else:
        own = np.atleast_1d(arrays.numeric("grid", grid)).astype(np.float64)
        if own.ndim != 1 or not len(own) or not np.isfinite(own).all():
            raise ValueError(
                "grid must be a number of values, or the values in a vector. "
                f"Received: {arrays.describe(np.asarray(grid))}"
            )
    # The indicator column stays 0: a value that is set is not missing.
    inputs = feature.inputs(own, x.dtype)
    if values is not None:
        inputs[:, 0] = values
    return own, inputs


def _present(feature: Feature, x: np.ndarray) -> np.ndarray:
    """Return a mask of the rows whose value is not missing; all rows if every value is."""
    present = np.ones(len(x), bool)
    if feature.indicator:
        present = x[:, feature.columns[-1]] == 0
    return present if present.any() else ~present


def _own_values(feature: Feature, x: np.ndarray) -> np.ndarray:
    """Return the rows' values in the feature's own units; NaN where missing."""
    present = _present(feature, x)
    if feature.kind == "categorical":
        codes = x[:, feature.columns[: len(feature.categories)]]
        own = codes.argmax(axis=1).astype(np.float64)
        present = present & codes.any(axis=1)
    else:
        own = feature.own(x[:, feature.columns[0]])
    return np.where(present, own, np.nan)


@all_or_nothing
def partial_dependence(
    model: Any,
    x: Any,
    features: Any,
    grid: Any = 40,
    postprocess: Callable[[np.ndarray], Any] | None = None,
) -> PartialDependence:
    """Average a model's output over the rows, with one or two features set to given values.

    Parameters
    ----------
    model : Model or Ensemble
    x : array-like of shape (n, n_inputs)
    features : int or Feature, or a list or tuple of one or two of them
        Columns of x, or features.
    grid : int or array-like of shape (g,), or a tuple with one for each feature
        Number of evenly spaced values between the smallest and the largest of x (the values of x
        if there are fewer), or the values themselves, in the feature's own units. A categorical
        feature is set to each category.
    postprocess : callable, optional
        Maps the outputs (n, n_outputs) to the values that are averaged, for example in the units
        of the target.

    Returns
    -------
    PartialDependence
    """
    x = checked_inputs(model, x)
    if postprocess is not None:
        arguments.function("postprocess", postprocess)
    given = list(features) if isinstance(features, list | tuple) else [features]
    chosen = [f if isinstance(f, Feature) else single_column(f) for f in given]
    for feature in chosen:
        check_columns(feature, x.shape[1])
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
    for outputs in predictions(model, x, changes):
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
