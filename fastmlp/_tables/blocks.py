"""Many columns of values as one array, so that a wide table needs few calls of NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .cells import Cells

MOST_VALUES = 1 << 11  # of a block: 16 KiB


def blocks(columns: Sequence[Cells]) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the values of columns, as many columns at once as a block has room for.

    A sum along a block's rows has the bits of the sum of one column: both add along contiguous
    memory, in the same order.

    Parameters
    ----------
    columns : sequence of Cells
        Of numbers, booleans or dates, and of one length.

    Yields
    ------
    places : slice
        Which of the columns the block holds.
    values : ndarray of shape (n_columns, n_rows), C order
        In float64, NaN where missing. Of a long table, it is a view of a single column.
    """
    if not columns:
        return
    step = max(1, MOST_VALUES // max(1, len(columns[0])))
    for start in range(0, len(columns), step):
        part = columns[start : start + step]
        arrays = [cells.floats() for cells in part]
        values = np.array(arrays) if len(part) > 1 else np.ascontiguousarray(arrays[0])[np.newaxis]
        yield slice(start, start + len(part)), values
