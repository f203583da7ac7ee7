"""Inputs that are given by their nonzeros: SciPy's sparse matrices and arrays."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .._kernels import memory
from ..errors import DataError


class CsrRows:
    """Rows of inputs by their nonzeros, as the kernels take them; never changed.

    Parameters
    ----------
    data : ndarray of shape (k,)
        Values, of the network's type.
    indices : ndarray of shape (k,), int32
        Their columns, ascending in each row.
    indptr : ndarray of shape (n + 1,), int64
        Row i has the entries indptr[i] to indptr[i + 1].
    n_columns : int
    """

    ndim = 2

    def __init__(
        self, data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, n_columns: int
    ) -> None:
        self.data, self.indices, self.indptr = data, indices, indptr
        self.shape = (len(indptr) - 1, n_columns)

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.data.dtype

    @property
    def nnz(self) -> int:
        """Number of the entries that are kept."""
        return int(self.indptr[-1] - self.indptr[0])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> CsrRows:
        """Return some of the rows; a slice shares their entries."""
        n_columns = self.shape[1]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                indptr = self.indptr[start : max(start, stop) + 1]
                return CsrRows(self.data, self.indices, indptr, n_columns)
        chosen = np.arange(len(self))[rows]
        counts = np.diff(self.indptr)[chosen]
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        shift = np.repeat(self.indptr[chosen] - indptr[:-1], counts)
        entries = shift + np.arange(indptr[-1])
        return CsrRows(self.data[entries], self.indices[entries], indptr, n_columns)

    def astype(self, dtype: Any, copy: bool = True) -> CsrRows:
        """Return the rows with values of another type."""
        values = self.data.astype(dtype, copy=copy)
        return CsrRows(values, self.indices, self.indptr, self.shape[1])

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return values, columns and ends of these rows alone, for a digest."""
        first, last = self.indptr[0], self.indptr[-1]
        return self.data[first:last], self.indices[first:last], self.indptr - first

    def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
        raise DataError(needs_array("x", self))


Inputs = np.ndarray | CsrRows


def is_sparse(value: Any) -> bool:
    """Return whether `value` is one of SciPy's sparse matrices or arrays, or CsrRows."""
    if isinstance(value, CsrRows):
        return True
    scipy_sparse = sys.modules.get("scipy.sparse")
    return scipy_sparse is not None and bool(scipy_sparse.issparse(value))


def needs_array(name: str, value: Any) -> str:
    """Return the message for sparse data where an array is needed."""
    return (
        f"{name} must be an array here, not sparse: pass {name}.toarray(). "
        f"Received: {type(value).__name__} of shape {tuple(value.shape)}"
    )


def _canonical(name: str, matrix: Any) -> Any:
    """Return a CSR array with ascending columns and no entry twice; the user's is not changed."""
    from scipy import sparse

    rows = matrix.tocsr()
    try:
        # A new one finds out for itself what it is: the user may have changed arrays since.
        made = sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=matrix.shape)
        made.check_format(full_check=True)
    except ValueError as error:
        raise DataError(f"{name} must be a valid sparse matrix. Received: {error}") from None
    if not made.has_canonical_format:
        made = made.copy()
        made.sum_duplicates()
    return made


def _is_compact(rows: Any, dtype: np.dtype) -> bool:
    """Return whether nonzeros with their columns take less memory than all values."""
    each = dtype.itemsize + np.dtype(np.int32).itemsize
    return bool(rows.nnz * each < rows.shape[0] * rows.shape[1] * dtype.itemsize)


def checked_rows(name: str, matrix: Any, dtype: np.dtype, least_columns: int) -> Inputs:
    """Return sparse rows as the kernels take them.

    Parameters
    ----------
    name : str
        For messages.
    matrix : sparse matrix or array of SciPy, of two dimensions and not empty
        CSR of type `dtype` shares its values. Entries given twice are added up.
    dtype : dtype
    least_columns : int
        With fewer columns, or where nonzeros take no less memory, the result is an array. The
        results of training have the same bits.

    Returns
    -------
    CsrRows or ndarray

    Raises
    ------
    DataError
        If it does not hold real numbers, or one that is not finite.
    """
    if isinstance(matrix, CsrRows):
        if matrix.dtype == dtype:
            return matrix
        from scipy import sparse

        matrix = sparse.csr_array(matrix.parts(), shape=matrix.shape)
    if matrix.dtype.kind not in "fiub":
        raise DataError(
            f"{name} must hold real numbers. "
            f"Received: {type(matrix).__name__} of dtype {matrix.dtype}"
        )
    rows = _canonical(name, matrix)
    if rows.dtype != dtype:
        memory.require(rows.nnz * dtype.itemsize, "a copy", f"{name} as {dtype}")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(rows.data, dtype)
    _require_finite(name, values, rows)
    if rows.shape[1] < least_columns or not _is_compact(rows, dtype):
        size = rows.shape[0] * rows.shape[1] * dtype.itemsize
        memory.require(size, "an array", f"{name}, which is hardly sparse")
        return np.ascontiguousarray(rows.astype(dtype).toarray())
    indices = np.ascontiguousarray(rows.indices, np.int32)
    return CsrRows(values, indices, np.ascontiguousarray(rows.indptr, np.int64), rows.shape[1])


def _require_finite(name: str, values: np.ndarray, rows: Any) -> None:
    if not len(values) or (np.isfinite(values.min()) and np.isfinite(values.max())):
        return
    at = int(np.flatnonzero(~np.isfinite(values))[0])
    row = int(np.searchsorted(rows.indptr, at, side="right")) - 1
    where, value = f"row {row}, column {rows.indices[at]}", rows.data[at]
    if np.isfinite(value):
        raise DataError(
            f"{name} must fit into {values.dtype}. Received: {value} in {where}; "
            "scale the data, or use a model of dtype='float64'"
        )
    raise DataError(f"{name} must be finite. Received: {value} in {where}")
