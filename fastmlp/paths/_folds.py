"""Which rows are held out together."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from ..errors import DataError


def assigned(folds: Any, codes: np.ndarray | None, labels: list[Any], n: int, seed: int) -> Any:
    """Return each row's fold, counted from 0.

    Parameters
    ----------
    folds : int or array-like of shape (n,)
        How many, drawn at random with equal sizes and, for classes, equal shares of each; or each
        row's fold, any integers.
    codes : ndarray of shape (n,) or None
        Each row's class, counted from 0; None for regression.
    labels : list
        The classes' names, for messages.
    n : int
        Rows.
    seed : int

    Returns
    -------
    ndarray of int, of shape (n,)

    Raises
    ------
    ValueError
        If `folds` is neither.
    DataError
        If there are more folds than rows, or a fold lacks what it would be scored by: a class.
    """
    if np.ndim(folds) == 0:
        n_folds = _checks.integer("folds", folds, 2)
        if n_folds > n:
            raise DataError(
                f"folds must not outnumber the rows. Received: folds={n_folds} for {n} rows"
            )
        result = _drawn(n_folds, codes, n, seed)
    else:
        result = _given(folds, n)
    if codes is not None:
        _require_classes(result, codes, labels)
    return result


def _drawn(n_folds: int, codes: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,))).permutation(n)
    if codes is not None:  # class by class, in the drawn order within each
        order = order[np.argsort(codes[order], kind="stable")]
    result = np.empty(n, np.int64)
    result[order] = np.arange(n) % n_folds
    return result


def _given(folds: Any, n: int) -> np.ndarray:
    array = np.asarray(folds)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"folds must be a number of folds, or an integer for each of the {n} rows. "
            f"Received: shape {array.shape}, dtype {array.dtype}"
        )
    names, result = np.unique(array, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"folds must name two or more. Received: {names[0]} for every row")
    return result


def _require_classes(folds: np.ndarray, codes: np.ndarray, labels: list[Any]) -> None:
    for fold in range(int(folds.max()) + 1):
        counts = np.bincount(codes[folds == fold], minlength=len(labels))
        rest = np.bincount(codes[folds != fold], minlength=len(labels))
        if np.count_nonzero(counts) < 2:
            raise DataError(
                f"Fold {fold + 1} has rows of one class only, '{labels[int(counts.argmax())]}': "
                "every fold needs at least two classes; use fewer folds"
            )
        if (rest == 0).any():
            raise DataError(
                f"Class '{labels[int(rest.argmin())]}' is in fold {fold + 1} only, so that without "
                "it nothing could be learnt of the class; use other folds"
            )
