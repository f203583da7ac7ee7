"""Tables of data in memory: data frames, Arrow tables, NumPy arrays, mappings of columns."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from .._utils.arrays import describe
from .._utils.optional import require
from .._utils.sparse import is_sparse
from ..errors import DataError
from .arrow_text import coded_strings
from .cells import BooleanCells, Cells, CodedCells, DateCells, MixedCells, NumberCells
from .numerals import shown
from .table import Table, checked_names


def as_table(data: Any, source: str = "") -> Table:
    """Make a table from data in memory.

    Parameters
    ----------
    data : Table, data frame, Arrow table, ndarray, or mapping of str to sequence
        Frames of pandas, polars and others that narwhals supports (the extra ``data``). An array
        of numbers of shape (n, k) has the columns ``x1`` to ``xk``, a structured array its
        fields.
    source : str, optional
        What error messages call the table.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If it has another type, no rows or no columns, or names a column twice.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, np.ndarray):
        columns = _from_array(data, source or "the array")
        return checked_table(source or "the array", list(columns), list(columns.values()))
    if isinstance(data, Mapping):
        cells = [_cells_of(values) for values in data.values()]
        return checked_table(source or "the mapping", [str(name) for name in data], cells)
    if hasattr(type(data), "columns") or hasattr(type(data), "__arrow_c_stream__"):
        return _from_frame(data, source)
    raise DataError(
        "a table must be a data frame, an Arrow table, an array or a mapping of columns. "
        f"Received: {describe(data)}" + ("; its .toarray() is an array" if is_sparse(data) else "")
    )


def checked_table(source: str, names: list[str], cells: list[Cells], first_row: int = 0) -> Table:
    """Make a table after checking that names differ, lengths agree and there are rows."""
    if not names:
        raise DataError(f"{source}: there are no columns")
    checked_names(names, f"{source}: the schema")
    for name, column in zip(names, cells, strict=True):
        if len(column) != len(cells[0]):
            raise DataError(
                f"{source}: column '{name}' has {len(column)} rows, "
                f"column '{names[0]}' has {len(cells[0])}"
            )
    if not len(cells[0]):
        raise DataError(f"{source}: there are columns but no rows")
    return Table(source, dict(zip(names, cells, strict=True)), first_row=first_row)


# ---- arrays and sequences ----------------------------------------------------------------------


def _from_array(array: np.ndarray, source: str) -> dict[str, Cells]:
    if array.dtype.names:
        if array.ndim != 1:
            raise DataError(
                f"{source}: a structured array must have one axis. Received: shape {array.shape}"
            )
        return {name: array_cells(array[name]) for name in array.dtype.names}
    return dict(array_columns("x", array, source))


def array_columns(name: str, array: np.ndarray, source: str) -> list[tuple[str, Cells]]:
    """Name an array's columns: a single column `name`, several with numbers from 1."""
    if array.ndim not in (1, 2):
        raise DataError(
            f"{source}: an array must have the shape (rows, columns). Received: {array.shape}"
        )
    if array.ndim == 1 or array.shape[1] == 1:
        return [(name, array_cells(array.reshape(-1)))]
    return [(f"{name}{i + 1}", array_cells(array[:, i])) for i in range(array.shape[1])]


def array_cells(array: np.ndarray) -> Cells:
    """Return a one-dimensional array as cells."""
    kind = array.dtype.kind
    if array.ndim != 1:
        return Cells(len(array), f"{array.dtype} of shape {array.shape[1:]}")
    if kind in "iuf" and array.dtype.itemsize <= 8:
        return NumberCells(array)
    if kind == "b":
        return BooleanCells(array)
    if kind == "M":
        return DateCells(array)
    if kind == "U":
        texts, codes = np.unique(array, return_inverse=True)
        return CodedCells(codes, texts.tolist())
    if kind == "O":
        return _object_cells(array.tolist())
    return Cells(len(array), str(array.dtype))


def _cells_of(values: Any) -> Cells:
    if isinstance(values, np.ndarray):
        return array_cells(values)
    if isinstance(values, Sequence) and not isinstance(values, str):
        return _object_cells(list(values))
    if hasattr(values, "__array__"):  # a pandas or polars series
        return _object_cells(np.asarray(values).tolist())
    return Cells(len(values) if hasattr(values, "__len__") else 0, type(values).__name__)


def _object_cells(values: list[Any]) -> Cells:
    """Return Python objects as cells, by the objects' types."""
    gone = [value is None or value != value or str(value) == "<NA>" for value in values]
    present = [value for value, missing in zip(values, gone, strict=True) if not missing]
    missing = np.array(gone, bool)
    if all(isinstance(value, (bool, np.bool_)) for value in present) and present:
        flags = np.zeros(len(values), bool)
        flags[~missing] = present
        return BooleanCells(flags, missing)
    is_number = np.array([_is_number(value) for value in values], bool) & ~missing
    if is_number.sum() == len(present):
        return _number_cells(values, missing)
    if all(isinstance(value, (date, np.datetime64)) for value in present):
        moments = ["NaT" if m else _naive(v) for v, m in zip(values, gone, strict=True)]
        return DateCells(np.array(moments, "datetime64[us]"))
    if not all(isinstance(value, str) or _is_number(value) for value in present):
        odd = next(v for v in present if not (isinstance(v, str) or _is_number(v)))
        return Cells(len(values), type(odd).__name__)
    texts = ["" if m else str(value) for value, m in zip(values, gone, strict=True)]
    if is_number.any():
        return MixedCells(texts, is_number)
    distinct, codes = np.unique(np.array(texts, object), return_inverse=True)
    return CodedCells(codes, distinct.tolist())


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real | decimal.Decimal) and not isinstance(value, bool)


def _number_cells(values: list[Any], missing: np.ndarray) -> Cells:
    filled = [0 if gone else value for value, gone in zip(values, missing, strict=True)]
    whole = all(isinstance(v, numbers.Integral) and abs(int(v)) < 2**63 for v in filled)
    try:
        array = np.array(filled, np.int64 if whole else np.float64)
        return NumberCells(array, missing if missing.any() else None)
    except OverflowError:
        return Cells(len(values), "integers beyond the range of floating-point numbers")


def _naive(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


# ---- frames and Arrow --------------------------------------------------------------------------


def _from_frame(data: Any, source: str) -> Table:
    if type(data).__module__.partition(".")[0] == "pyarrow":
        if not hasattr(data, "column_names"):
            data = require("pyarrow", "data", "an Arrow table").table(data)
        return from_arrow(data, source or "the table")
    if hasattr(data, "collect"):
        raise DataError(
            f"a table must be in memory. Received: {type(data).__name__}; collect() it first"
        )
    source = source or "the data frame"
    label = f"{source} ({type(data).__module__.partition('.')[0]})"
    narwhals = require("narwhals", "data", label)
    require("pyarrow", "data", label)
    labels = [str(name) for name in getattr(data, "columns", ())]
    checked_names(labels, f"{source}: the schema")
    try:
        frame = narwhals.from_native(data, eager_only=True)
    except TypeError as error:
        raise DataError(f"a table must be a data frame. Received: {describe(data)}") from error
    cells = [_series_cells(series) for series in frame.iter_columns()]
    return checked_table(source, [str(name) for name in frame.columns], cells)


def _series_cells(series: Any) -> Cells:
    import pyarrow as pa

    try:
        return arrow_cells(series.to_arrow())
    except (pa.ArrowException, TypeError, ValueError):  # objects of several types
        return _object_cells(series.to_list())


def from_arrow(table: Any, source: str, first_row: int = 0) -> Table:
    """Return a pyarrow table (or record batch) as a Table.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
    source : str
    first_row : int
        Rows of the source that come before it.
    """
    names = list(table.column_names)
    checked_names(names, f"{source}: the schema")
    index = [name for name in index_columns(table.schema) if name in names]
    if index and len(index) < len(names):
        table = table.select([name for name in names if name not in index])
        result = from_arrow(table.replace_schema_metadata(), source, first_row)
        result.context.left_out += index
        result.context.notes += (f"the index of the data frame ({shown(index)}) is left out.",)
        return result
    cells = []
    for name, column in zip(names, table.columns, strict=True):
        try:
            cells.append(arrow_cells(column))
        except (TypeError, ValueError, OverflowError, IndexError, NotImplementedError) as error:
            # raised by pyarrow and NumPy if a damaged schema does not match the values
            raise DataError(
                f"{source}: column '{name}' of type {column.type} cannot be read: {error}"
            ) from error
    return checked_table(source, names, cells, first_row)


def index_columns(schema: Any) -> list[str]:
    """Return the columns that hold a data frame's index, by pandas' description of the file."""
    try:
        described = schema.pandas_metadata or {}
        found = described.get("index_columns", [])
        return [name for name in found if isinstance(name, str)]
    except (AttributeError, TypeError, ValueError):  # damaged
        return []


def arrow_cells(array: Any) -> Cells:
    """Return a pyarrow array, chunked or not, as cells."""
    import pyarrow as pa
    from pyarrow import compute as pc
    from pyarrow import types

    if isinstance(array, pa.Array):
        array = pa.chunked_array([array])
    if types.is_dictionary(array.type) and not types.is_string(array.type.value_type):
        array = array.cast(array.type.value_type)
    kind = array.type
    if types.is_null(kind):
        return NumberCells(np.zeros(len(array)), np.ones(len(array), bool), "null")
    missing = pc.is_null(array).to_numpy() if array.null_count else None
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        if types.is_decimal(kind):
            array = array.cast(pa.float64())
        if missing is not None:
            array = array.fill_null(0)
        return NumberCells(_numpy(array), missing, str(kind))
    if types.is_boolean(kind):
        return BooleanCells(_numpy(array.fill_null(False)), missing)
    if types.is_date(kind) or types.is_timestamp(kind):
        return DateCells(_numpy(array), str(kind))
    if types.is_dictionary(kind) or types.is_string(kind) or types.is_large_string(kind):
        return CodedCells(*coded_strings(array))
    if getattr(types, "is_string_view", lambda kind: False)(kind):
        return CodedCells(*coded_strings(array.cast(pa.large_string())))
    return Cells(len(array), str(kind))


def _numpy(array: Any) -> np.ndarray:
    result: np.ndarray
    if array.num_chunks == 1:
        result = array.chunk(0).to_numpy(zero_copy_only=False)
    else:
        result = array.to_numpy()
    return result
