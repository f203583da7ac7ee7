"""Tables from what scikit-learn's callers pass: frames, arrays, lists, targets and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_array

from .._tables.table import Table
from ..datasets import as_table

_COUNTED_ROWS = 10_000  # up to here, whole-number weights repeat rows


def is_frame(X: Any) -> bool:
    """Return whether X has named columns: a data frame or an Arrow table."""
    named = hasattr(type(X), "columns") or hasattr(type(X), "__arrow_c_stream__")
    return named and hasattr(X, "shape")


def checked(X: Any, estimator: Any, least: int = 1) -> Any:
    """Return X if it is a frame, else as an array of shape (n, k), of any type.

    Parameters
    ----------
    X : data frame, Arrow table or array-like
    estimator : estimator
        Named in errors.
    least : int
        The fewest rows.

    Raises
    ------
    ValueError, TypeError
        If X has another shape or type; scikit-learn's words.
    """
    if not is_frame(X):
        return check_array(
            X, dtype=None, estimator=estimator, input_name="X", ensure_min_samples=least,
            **{_FINITE: "allow-nan"},
        )  # fmt: skip
    n_rows, n_columns = X.shape
    if n_rows < least or not n_columns:
        found = f"{n_columns} feature(s)" if n_rows >= least else f"{n_rows} sample(s)"
        raise ValueError(
            f"Found a table with {found} (shape={tuple(X.shape)}) while a minimum of "
            f"{least if n_rows < least else 1} is required by {type(estimator).__name__}."
        )
    return X


def table_of(X: Any) -> Table:
    """Return the columns of what `checked` returned.

    Those of an array are x1, x2, ...; each has a kind of its own if it holds objects or text.
    """
    if is_frame(X):
        return as_table(X, "X")
    columns = {f"x{i + 1}": X[:, i] for i in range(X.shape[1])}
    if X.dtype.kind == "U":  # a list of rows with text: NumPy has made text of its numbers, too
        return Table("X", {name: column.tolist() for name, column in columns.items()})
    return as_table(columns, "X")


def taken(X: Any, index: np.ndarray) -> Any:
    """Return some rows of what `checked` returned, in this order."""
    if not is_frame(X):
        return X[index]
    import narwhals

    return narwhals.from_native(X, eager_only=True)[index].to_native()


def _name_of_finite() -> str:
    """Return the name of `check_array`'s argument, which scikit-learn 1.6 has renamed."""
    import inspect

    known = inspect.signature(check_array).parameters
    return "ensure_all_finite" if "ensure_all_finite" in known else "force_all_finite"


_FINITE = _name_of_finite()


def renamed(table: Table, names: Sequence[str]) -> Table:
    """Return a table with the same columns under other names."""
    columns = dict(zip(names, table.columns.values(), strict=True))
    return Table(table.source, columns, table.lines, table.first_row)


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """Return a name that no column has, made from the one wanted."""
    while wanted in taken:
        wanted += "_"
    return wanted


class FrameRows:
    """The rows that a fit is to use, out of those given, and how they are weighted.

    Rows of weight 0 are left out, and equal weights are none. Up to 10,000 rows, whole-number
    weights count rows: a row of weight k is given k times. Then, and where rows are equal, rows
    come in an order of their own, so that rows given twice are the same as a row of weight 2.

    Parameters
    ----------
    table : Table
        The inputs.
    y : ndarray of shape (n,) or (n, k)
        Numbers.
    weight : ndarray of shape (n,) or None

    Attributes
    ----------
    index : ndarray of int, or None
        Positions in what was given; None for all in their order.
    weight : ndarray or None
        Of the rows in `index`.
    """

    def __init__(self, table: Table, y: np.ndarray, weight: np.ndarray | None) -> None:
        n = table.n_rows
        index: np.ndarray | None = None
        counted = False
        if weight is not None:
            index = np.flatnonzero(weight > 0)
            weight = weight[index]
            whole = bool((weight == np.round(weight)).all())
            if (weight == weight[0]).all():
                weight, counted = None, len(index) < n
            elif whole and weight.sum() <= _COUNTED_ROWS:
                index = np.repeat(index, weight.astype(np.intp))
                weight, counted = None, True
            elif len(index) == n:
                index = None
        if weight is None and (n if index is None else len(index)) <= _COUNTED_ROWS:
            rows = np.arange(n) if index is None else index
            first, second = _digests(table, y, rows)
            order = np.lexsort((second, first))
            equal = (np.diff(first[order]) == 0) & (np.diff(second[order]) == 0)
            index = rows[order] if counted or equal.any() else None
        self.index, self.weight = index, weight


def _digests(table: Table, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two numbers for each row that depend on its content alone."""
    columns = [_numbers(table, name, rows) for name in table.names]
    columns += list(y.reshape(len(y), -1).T[:, rows])
    first = np.zeros(len(rows), np.uint64)
    second = np.ones(len(rows), np.uint64)
    for column in columns:
        bits = (column.astype(np.float64) + 0.0).view(np.uint64)  # -0 is 0
        bits[np.isnan(column)] = 1  # no other number's
        first = _mixed(first, bits, 0x9E3779B97F4A7C15)
        second = _mixed(second, bits, 0xC2B2AE3D27D4EB4F)
    return first, second


def _mixed(digest: np.ndarray, bits: np.ndarray, factor: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        digest = (digest ^ bits) * np.uint64(factor)
        mixed: np.ndarray = digest ^ (digest >> np.uint64(29))
    return mixed


def _numbers(table: Table, name: str, rows: np.ndarray) -> np.ndarray:
    """Return some cells as numbers; texts as their places in alphabetical order."""
    if table.columns[name].kind in ("number", "boolean", "date"):
        return table.values(name)[rows]
    codes, texts = table.coded(name)
    present, codes = np.unique(np.asarray(codes)[rows], return_inverse=True)
    words = ["" if code < 0 else texts[code] for code in present.tolist()]
    places = np.empty(len(words))
    places[np.argsort(np.array(words, object), kind="stable")] = np.arange(len(words))
    return places[codes]
