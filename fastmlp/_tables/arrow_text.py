"""Text cells that pyarrow holds, so that a large file needs no Python object for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .cells import MISSING, Coded, TextCells


class ArrowText(TextCells):
    """Text cells of a pyarrow array of strings."""

    def __init__(self, array: Any) -> None:
        super().__init__(())
        self._n_rows, self._array = len(array), array

    @cached_property
    def cells(self) -> Sequence[str]:
        result: list[str] = self._array.to_pylist()
        return result

    @cached_property
    def _raw_coded(self) -> Coded:
        return coded_strings(self._array)

    def _first(self, n: int) -> Sequence[str]:
        result: list[str] = self._array.slice(0, n).to_pylist()
        return result

    def held(self, row: int) -> str:
        text: str = self._array[row].as_py()
        return text.strip()

    def first_match(self, pattern: str) -> str | None:
        from pyarrow import compute as pc

        row = pc.index(pc.match_substring_regex(self._array, pattern), True).as_py()
        return self.held(row) if row >= 0 else None

    def _all_numbers(self, decimal: str = ".") -> np.ndarray | None:
        import pyarrow as pa
        from pyarrow import compute as pc

        given = {word.lower() for word in self.context.options.missing or ()}
        trimmed = pc.utf8_trim_whitespace(self._array)
        if decimal == ",":
            if pc.any(pc.match_substring(trimmed, ".")).as_py():
                return None
            trimmed = pc.replace_substring(trimmed, ",", ".")
        gone = pc.is_in(pc.utf8_lower(trimmed), pa.array(sorted(MISSING | given)))
        try:
            numbers = pc.if_else(gone, None, trimmed).cast(pa.float64())
        except pa.ArrowInvalid:  # text, or a number that only Python can parse
            return None
        result: np.ndarray = numbers.to_numpy()
        return result


def coded_strings(array: Any) -> Coded:
    """Return a pyarrow chunked array of strings as codes; null is -1."""
    encoded = array.dictionary_encode().combine_chunks()
    if hasattr(encoded, "chunks"):  # combine_chunks returns chunks if there were none or several
        encoded = encoded.unify_dictionaries().combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Coded(codes, encoded.dictionary.to_pylist())
