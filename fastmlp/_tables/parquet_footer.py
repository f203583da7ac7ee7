"""Read where each column lies from the description at a Parquet file's end, without pyarrow.

Some of pyarrow's accessors for single columns abort the process if the description is damaged (an
uncaught C++ exception), so this package calls none of them. Errors that pyarrow finds when it
opens or reads a file are Python exceptions.

The description is a struct of Thrift's compact protocol: fields with an identifier and a type. This
module reads a few numbers and skips the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_TRUE, _FALSE, _BYTE, _I64 = 1, 2, 3, 6
_DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 7, 8, 9, 10, 11, 12
_DEEPEST = 24

# The fields to read of each struct of parquet.thrift, by identifier; None: a number or a text.
_COLUMN_META = {3: [None], 7: None, 9: None, 11: None}
_COLUMN = {3: _COLUMN_META}
_GROUP = {1: [_COLUMN], 3: None}
_FILE = {3: None, 4: [_GROUP]}


class ColumnChunk(NamedTuple):
    """Where the values of one column in one row group lie.

    Attributes
    ----------
    name : str
    start, length : int
        In bytes.
    """

    name: str
    start: int
    length: int


class RowGroup(NamedTuple):
    """A row group.

    Attributes
    ----------
    n_rows : int
    chunks : list of ColumnChunk
    """

    n_rows: int
    chunks: list[ColumnChunk]


class FooterError(Exception):
    """A damaged description; the message tells the damage."""


def read_footer(path: str | Path) -> tuple[int, list[RowGroup]]:
    """Return the rows that a Parquet file declares, and its row groups.

    Parameters
    ----------
    path : str or Path
        Must end with the mark of a Parquet file.

    Returns
    -------
    n_rows : int
    groups : list of RowGroup

    Raises
    ------
    FooterError
        If the description is damaged.
    OSError
        If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if len(tail) < 8 or length > size - 12:
            raise FooterError("its description would be longer than the file")
        file.seek(size - 8 - length)
        data = file.read(length)
    try:
        table = _Reader(data).struct(_FILE, 0)
        return _number(table, 3), [_group(entry) for entry in table.get(4, ())]
    except (IndexError, ValueError) as error:
        raise FooterError("its description is damaged or cut off") from error


def _number(table: dict[int, Any], field: int) -> int:
    value = table.get(field)
    if not isinstance(value, int):
        raise FooterError("a number is missing in its description")
    return value


def _group(table: dict[int, Any]) -> RowGroup:
    chunks = []
    for column in table.get(1, ()):
        if 3 in column:  # else the column's data lies in another file
            found = column[3]
            start = _number(found, 9)
            if 11 in found:  # the dictionary comes before the values
                start = min(start, _number(found, 11))
            name = b".".join(found.get(3, ())).decode(errors="replace")
            chunks.append(ColumnChunk(name, start, _number(found, 7)))
    return RowGroup(_number(table, 3), chunks)


class _Reader:
    """Reads the bytes of one struct."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def varint(self) -> int:
        data, at = self.data, self.at
        byte = data[at]
        at += 1
        value, shift = byte & 127, 7
        while byte & 128:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if shift > 70:
                raise ValueError("a number is too long")
        self.at = at
        return value

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def step(self, n: int) -> int:
        """Skip `n` bytes; return where they begin."""
        at = self.at
        if n > len(self.data) - at:
            raise IndexError
        self.at = at + n
        return at

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield each field's identifier and type; the caller reads or skips its value."""
        field = 0
        while byte := self.data[self.at]:
            self.at += 1
            field = field + (byte >> 4) if byte >> 4 else self.integer()
            yield field, byte & 15
        self.at += 1

    def struct(self, wanted: dict[int, Any], depth: int) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        found: dict[int, Any] = {}
        for field, kind in self.fields():
            if field in wanted:
                found[field] = self.value(kind, wanted[field], depth)
            else:
                self.skip(kind, depth)
        return found

    def value(self, kind: int, wanted: Any, depth: int) -> Any:
        if isinstance(wanted, dict):
            if kind != _STRUCT:
                raise ValueError("not a struct")
            return self.struct(wanted, depth + 1)
        if isinstance(wanted, list):
            if kind not in (_LIST, _SET):
                raise ValueError("not a list")
            n, kind = self.size()
            return [self.value(kind, wanted[0], depth + 1) for _ in range(n)]
        if kind == _BINARY:
            n = self.varint()
            at = self.step(n)
            return self.data[at : at + n]
        if _BYTE < kind <= _I64:
            return self.integer()
        raise ValueError("neither a number nor a text")

    def size(self) -> tuple[int, int]:
        """Return the length of a list and its items' type; an item has at least one byte."""
        byte = self.data[self.at]
        self.at += 1
        n = byte >> 4
        if n == 15:
            n = self.varint()
        if n > len(self.data) - self.at:
            raise IndexError
        return n, byte & 15

    def skip(self, kind: int, depth: int, in_list: bool = False) -> None:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        if _BYTE < kind <= _I64:
            self.varint()
        elif kind in (_TRUE, _FALSE):
            self.step(in_list)  # a field's value is in its type
        elif kind == _BYTE:
            self.step(1)
        elif kind == _DOUBLE:
            self.step(8)
        elif kind == _BINARY:
            self.step(self.varint())
        elif kind in (_LIST, _SET):
            n, kind = self.size()
            for _ in range(n):
                self.skip(kind, depth + 1, True)
        elif kind == _MAP:
            n = self.varint()
            if n:
                kinds = self.data[self.step(1)]
                for _ in range(min(n, len(self.data))):
                    self.skip(kinds >> 4, depth + 1, True)
                    self.skip(kinds & 15, depth + 1, True)
        elif kind == _STRUCT:
            for _, kind in self.fields():
                self.skip(kind, depth + 1)
        else:
            raise ValueError("an unknown type")
