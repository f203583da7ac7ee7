"""Grids of lambdas: one for all layers, with a factor for each, or one for each layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils import arguments

Array = NDArray[np.float64]


class Grid(NamedTuple):
    """Lambdas from the largest to the smallest.

    Parameters
    ----------
    lambdas : ndarray of shape (n,)
        The values in tables and figures.
    by_layer : ndarray of shape (n, n_layers)
        The lambda of each Dense layer.
    """

    lambdas: Array
    by_layer: Array

    def extended(self) -> Grid:
        """Return the grid with one larger lambda, by the ratio of the two largest ones."""
        step = self.lambdas[0] / self.lambdas[1]
        lambdas, by_layer = self.lambdas[:1] * step, self.by_layer[:1] * step
        return Grid(np.append(lambdas, self.lambdas), np.append(by_layer, self.by_layer, axis=0))


def factors(values: Any, n_layers: int) -> Array:
    """Return the factor of each layer, by default 1."""
    if values is None:
        return np.ones(n_layers)
    given = list(values) if np.ndim(values) else [values]
    checked = [arguments.non_negative("layer_factors", value) for value in given]
    if len(checked) != n_layers or not any(checked):
        raise ValueError(
            "layer_factors must hold one number per Dense layer, output included, not all of them "
            f"0: {n_layers}. Received: layer_factors={given}"
        )
    return np.array(checked)


def given(lambdas: Any, layer_factors: Any, n_layers: int) -> Grid:
    """Return the grid of the given lambdas, in order.

    Parameters
    ----------
    lambdas : sequence of float, or array-like of shape (n, n_layers)
        In any order. With two axes, a row is a step of the path and a column is a Dense layer; no
        layer's lambda may fall from one step to the next while another's rises.
    layer_factors : sequence of float or None
        Multiplier of each layer, for lambdas with one axis.
    n_layers : int

    Returns
    -------
    Grid

    Raises
    ------
    ValueError
        If there are none, or one is negative, not finite or a duplicate.
    """
    try:
        array = np.asarray(lambdas, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            "lambdas must be numbers, one for each step of the path. "
            f"Received: {arguments.shown(lambdas)}"
        ) from None
    if array.ndim not in (1, 2) or not array.size:
        what = "an empty grid" if not array.size else f"an array of shape {array.shape}"
        raise ValueError(f"lambdas must hold at least one number. Received: {what}")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        bad = array[~(np.isfinite(array) & (array >= 0))][0]
        raise ValueError(f"lambdas must be finite and not negative. Received: {bad:g}")
    if array.ndim == 1:
        if (array == 0).any():
            raise ValueError("lambdas must be above 0. Received: 0, which has no logarithm")
        _refuse_duplicates(array)
        ordered = np.sort(array)[::-1]
        return Grid(ordered, ordered[:, None] * factors(layer_factors, n_layers))
    return _of_layers(array, layer_factors, n_layers)


def _refuse_duplicates(array: Array) -> None:
    values, counts = np.unique(array, axis=0, return_counts=True)
    if counts.max() > 1:
        value = values[counts.argmax()]
        shown = f"{value:g}" if array.ndim == 1 else f"({', '.join(f'{v:g}' for v in value)})"
        raise ValueError(f"lambdas must differ. Received: {shown} {counts.max()} times")


def _of_layers(array: Array, layer_factors: Any, n_layers: int) -> Grid:
    if array.shape[1] != n_layers:
        raise ValueError(
            "lambdas with two axes must have a column for each Dense layer, output included: "
            f"{n_layers}. Received: shape {array.shape}"
        )
    if layer_factors is not None:
        raise ValueError(
            "layer_factors needs lambdas with one axis. Received: layer_factors, and lambdas of "
            f"shape {array.shape}"
        )
    _refuse_duplicates(array)
    if not array.sum(axis=1).all():
        raise ValueError("Each row of lambdas must have a value above 0. Received: a row of zeros")
    # A path has one direction, so the mean of a row's lambdas grows with every step.
    ordered = array[np.argsort(-array.sum(axis=1), kind="stable")]
    if (np.diff(ordered, axis=0) > 0).any():
        raise ValueError(
            "lambdas with two axes must form one path: from row to row, no layer's may rise while "
            "another's falls. Received: rows in which they do"
        )
    return Grid(ordered.mean(axis=1), ordered)


def geometric(largest: float, ratio: float, n: int, layer_factors: Array) -> Grid:
    """Return n lambdas from `largest` to `ratio * largest`, evenly spaced in the logarithm."""
    lambdas = np.geomspace(largest, largest * ratio, n)
    return Grid(lambdas, lambdas[:, None] * layer_factors)
