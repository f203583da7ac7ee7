"""Checks of the data that training, evaluation and prediction are given."""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .._kernels import memory
from ..errors import DataError
from . import sparse

_SMALL = 4096
_SPARSE_COLUMNS = 5  # with fewer inputs the kernels have loops that take arrays alone


def describe(value: Any) -> str:
    """Describe the kind of data that `value` is, in a few words for messages."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(value, np.ndarray):
        return f"an array of shape {shape} and dtype {dtype}"
    return type(value).__name__ + ("" if shape is None else f" of shape {shape}")


def _is_finite(array: np.ndarray) -> bool:
    if array.size <= _SMALL:
        # One pass: a sum of squares is finite only if every value is, but it may overflow.
        return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))  # NaN wins in both


def _place(index: tuple[np.intp, ...]) -> str:
    return ", ".join(f"{word} {i}" for word, i in zip(("row", "column"), index, strict=False))


def _require_finite(name: str, array: np.ndarray, original: np.ndarray) -> None:
    if _is_finite(array):
        return
    where = tuple(np.argwhere(~np.isfinite(array))[0])
    value = original[where]
    if np.isfinite(value):
        raise DataError(
            f"{name} must fit into {array.dtype}. Received: {value} in {_place(where)}; "
            "scale the data, or use a model of dtype='float64'"
        )
    raise DataError(f"{name} must be finite. Received: {value} in {_place(where)}")


def as_array(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array of any type; rows of different lengths are an error."""
    try:
        return np.asarray(value)
    except ValueError:
        raise DataError(
            f"{name} must be a table of numbers whose rows have one length. "
            f"Received: {describe(value)} with rows of different lengths"
        ) from None


def numeric(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array of real numbers, in its own type."""
    if type(value) is np.ndarray:
        array = value
    elif sparse.is_sparse(value):
        raise DataError(sparse.needs_array(name, value))
    elif np.ma.is_masked(value):
        raise DataError(f"{name} must have no masked values. Received: {describe(value)}")
    else:
        array = as_array(name, value)
    if array.dtype.kind == "O":
        array = _by_column(name, value, array)
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{name} must hold real numbers. "
            f"Received: {describe(value if array.ndim == 0 else array)}"
        )
    return array


def _by_column(name: str, frame: Any, array: np.ndarray) -> np.ndarray:
    """Join a data frame's columns, such as numbers and booleans; return `array` for other data."""
    labels = getattr(frame, "column_names", getattr(frame, "columns", None))
    if isinstance(frame, np.ndarray) or not isinstance(labels, Iterable):
        return array
    columns = {label: np.asarray(frame[label]) for label in labels}
    for label, column in columns.items():
        if column.ndim != 1 or column.dtype.kind not in "fiub":
            raise DataError(
                f"{name} must hold real numbers. Received: {describe(frame)} whose column "
                f"{label!r} holds other values; preprocessing.Preprocessing turns text, dates and "
                "missing values into numbers"
            )
    return np.column_stack(list(columns.values()))


def converted(name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return a C-contiguous array of `dtype`, every value finite; copied only if necessary."""
    if array.dtype == dtype:
        result = np.ascontiguousarray(array)
    else:
        memory.require(array.size * dtype.itemsize, "a copy", f"{name} as {dtype}")
        with np.errstate(over="ignore"):
            result = array.astype(dtype, order="C")
    _require_finite(name, result, array)
    return result


def inputs(x: Any, n_inputs: int | None, dtype: np.dtype, name: str = "x") -> np.ndarray:
    """Return x as (n, n_inputs); a vector is one column if the model has one input.

    Parameters
    ----------
    x : array-like
    n_inputs : int or None
        Inputs of the model; None if x determines them.
    dtype : dtype
    name : str
        For messages.

    Returns
    -------
    ndarray of shape (n, n_inputs), C order, finite
    """
    if (
        type(x) is np.ndarray
        and x.dtype == dtype
        and x.ndim == 2
        and x.shape[1] == n_inputs
        and 0 < x.size <= _SMALL
        and x.flags.c_contiguous
        and math.isfinite(np.vdot(x, x))
    ):  # the usual case in a loop of single predictions, which needs none of the checks below
        return x
    array = numeric(name, x)
    if array.ndim == 1 and n_inputs in (None, 1):
        array = array.reshape(-1, 1)
    _require_columns(name, array.shape, n_inputs)
    return converted(name, array, dtype)


def _require_columns(name: str, shape: tuple[int, ...], n_inputs: int | None) -> None:
    if len(shape) != 2 or n_inputs not in (None, shape[1]):
        width = "k" if n_inputs is None else n_inputs
        hint = ""
        if shape == (n_inputs,):
            hint = f"; for a single row use {name}.reshape(1, -1)"
        raise DataError(
            f"{name} must have shape (n, {width}), one column for each input of the model. "
            f"Received: shape {shape}{hint}"
        )
    if 0 in shape:
        raise DataError(f"{name} must not be empty. Received: shape {shape}")


def input_rows(
    x: Any, n_inputs: int | None, dtype: np.dtype, name: str = "x"
) -> np.ndarray | sparse.CsrRows:
    """Return x as `inputs` does, or as `CsrRows` if it is sparse.

    A sparse x of few columns, or of so many nonzeros that an array is smaller, becomes an array.
    """
    if not sparse.is_sparse(x):
        return inputs(x, n_inputs, dtype, name)
    _require_columns(name, tuple(x.shape), n_inputs)
    return sparse.checked_rows(name, x, dtype, _SPARSE_COLUMNS)


def targets(
    y: Any, n_rows: int, n_outputs: int, loss: str, dtype: np.dtype, name: str = "y"
) -> np.ndarray:
    """Return y as the kernels take it; (n,) and (n, 1) mean the same.

    Parameters
    ----------
    y : array-like
        (n, n_outputs); class indices for the sparse categorical cross-entropy.
    n_rows : int
        Rows of x.
    n_outputs : int
    loss : str
        Determines which values y may have.
    dtype : dtype
    name : str
        For messages.

    Returns
    -------
    ndarray of shape (n, n_outputs), or (n, 1) if sparse; C order, finite
    """
    array = numeric(name, y)
    sparse = loss == "sparse_categorical_crossentropy"
    width = 1 if sparse else n_outputs
    original_shape = array.shape
    if array.ndim == 1 and width == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != width:
        shapes = "(n,) or (n, 1)" if width == 1 else f"(n, {width})"
        what = "class indices" if sparse else "one column for each output of the model"
        hint = ""
        if loss == "categorical_crossentropy" and array.size == n_rows:
            hint = "; for class indices use loss='sparse_categorical_crossentropy'"
        raise DataError(
            f"{name} must have shape {shapes}, {what}. Received: shape {original_shape}{hint}"
        )
    if len(array) != n_rows:
        raise DataError(
            f"{name} must have as many rows as its x. "
            f"Received: {len(array)} rows for {n_rows} rows of x"
        )
    array = converted(name, array, dtype)
    _require_domain(name, array, n_outputs, loss)
    return array


def _require_domain(name: str, y: np.ndarray, n_outputs: int, loss: str) -> None:
    if loss == "sparse_categorical_crossentropy":
        good = (y >= 0) & (y < n_outputs) & (y == np.floor(y))
        rule = f"class indices from 0 to {n_outputs - 1}, one for each output of the model"
    elif loss in ("binary_crossentropy", "categorical_crossentropy"):
        good, rule = (y >= 0) & (y <= 1), "labels 0 and 1, or probabilities between"
    elif loss == "poisson":
        good, rule = y >= 0, "counts of at least 0"
    else:
        return
    if not good.all():
        where = tuple(np.argwhere(~good)[0])
        raise DataError(
            f"{name} must hold {rule}, for loss={loss!r}. Received: {y[where]} in {_place(where)}"
        )


def row_weights(
    weight: Any, n_rows: int, dtype: np.dtype, name: str = "sample_weight"
) -> np.ndarray | None:
    """Return weights of rows as (n,), finite and at least 0; None stays None."""
    if weight is None:
        return None
    array = numeric(name, weight)
    if array.shape not in ((n_rows,), (n_rows, 1)):
        raise DataError(
            f"{name} must have shape ({n_rows},), one value per row. Received: shape {array.shape}"
        )
    result = converted(name, array.reshape(-1), dtype)
    if result.min() < 0:
        row = int(result.argmin())
        raise DataError(f"{name} must be at least 0. Received: {result[row]} in row {row}")
    return result


def class_weights(class_weight: Any, y: np.ndarray, loss: str) -> np.ndarray | None:
    """Return each row's weight by its class, (n,); None stays None.

    Parameters
    ----------
    class_weight : mapping of class to weight, or None
        Classes that are not in it have the weight 1.
    y : ndarray of shape (n, k)
        Classes as `targets` returned them: indices or labels for k = 1, else rows of 0 and 1.
    loss : str
        Must be a cross-entropy.
    """
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise DataError(
            f"class_weight must be a mapping of class to weight. Received: {describe(class_weight)}"
        )
    if not loss.endswith("crossentropy"):
        raise DataError(f"class_weight needs a loss for classes. Received: loss={loss!r}")
    classes = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
    result = np.ones(len(y))
    for label, weight in class_weight.items():
        if not isinstance(label, numbers.Real):
            raise DataError(
                f"class_weight must name classes by their numbers in y. Received: {label!r}"
            )
        value = row_weights([weight], 1, np.dtype(np.float64), f"class_weight[{label!r}]")
        result[classes == label] = value
    return result


def group_edges(values: np.ndarray, n: int) -> np.ndarray:
    """Return the edges between n groups of about equally many values, each edge once.

    A value belongs to the group below an edge that it equals.
    """
    return np.unique(np.quantile(values, np.linspace(0, 1, n + 1)[1:-1]))


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that a loss or metric cannot change by mistake."""
    view = array.view()
    view.flags.writeable = False
    return view


@contextlib.contextmanager
def unwritten(what: str) -> Iterator[None]:
    """Name the loss or metric that tried to write into its read-only arguments."""
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"{what} must not write into y_true or y_pred, which training still needs; write into "
            f"a copy. Received: {error}"
        ) from error
