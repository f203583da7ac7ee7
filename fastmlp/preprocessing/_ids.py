"""Recognise columns that only number or name the rows."""

from __future__ import annotations

import re

import numpy as np

FEWEST_TEXTS = 20  # rows; in a smaller table, different texts may be different by chance

# After lower case and without spaces and punctuation.
_INDEX_NAMES = frozenset(
    {"", "id", "index", "idx", "row", "rowid", "rowindex", "rownumber", "rownum", "rownames",
     "no", "nr", "number", "obs", "observation", "record", "recordid", "indexlevel0",
     "levelindex", "uid"}
)  # fmt: skip
_UNNAMED = re.compile(r"unnamed\d*")
_ENDS_WITH_ID = re.compile(r"(?:[^A-Za-z]id|[^A-Za-z]ID|[a-z]I[dD]|[^A-Za-z]Id)$")


def is_index_like(name: str) -> bool:
    """Return whether a name is empty or usual for a column that numbers rows.

    Such as id, index, row, Unnamed: 0, customer_id and PassengerId.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return (
        plain in _INDEX_NAMES
        or _UNNAMED.fullmatch(plain) is not None
        or _ENDS_WITH_ID.search(name.strip()) is not None
    )


class RowNumbers:
    """Finds out whether the numbers of a column are 0, 1, 2, ... or 1, 2, 3, ... in any order.

    In parts of a long table they must come in increasing order.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._n_parts = self._n_seen = 0
        self._in_order = True
        self._each_once = False  # of the first part

    def add(self, values: np.ndarray) -> None:
        """Add numbers; NaN is missing."""
        if not len(values):
            return
        self._n_parts += 1
        if self._first is None:
            low = float(values.min())
            self._first = low if low in (0.0, 1.0) else -1.0
            if self._first >= 0 and values.max() == low + len(values) - 1:
                places = values - low
                whole = bool((places == np.floor(places)).all())
                self._each_once = whole and bool(
                    (np.bincount(places.astype(np.int64), minlength=len(values)) == 1).all()
                )
        expected = self._first + np.arange(self._n_seen, self._n_seen + len(values))
        self._in_order = self._in_order and bool((values == expected).all())
        self._n_seen += len(values)

    def count_up(self, n_rows: int) -> bool:
        """Return whether the numbers of `n_rows` rows count up from 0 or 1."""
        if self._first is None or self._first < 0 or self._n_seen != n_rows or n_rows < 3:
            return False
        return self._in_order or (self._n_parts == 1 and self._each_once)
