"""Read and write CSV and TSV files. Errors name row, line and column."""

from __future__ import annotations

import csv
import io
import mmap
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from .._utils import arguments
from ..errors import DataError
from .cells import MISSING, Coded, TextCells
from .table import Table, checked_names

_LARGE = 1 << 20  # bytes; for smaller files, importing pyarrow takes longer than it saves
_SEPARATORS = {",": "commas", "\t": "tabs"}


def read_csv(path: str | Path | BinaryIO, delimiter: str = ",") -> Table:
    """Read a CSV file: UTF-8 text whose first row names the columns.

    If pyarrow is installed, it parses files of over a megabyte without quotes; the table is the
    same.

    Parameters
    ----------
    path : str, Path or binary file
        ``"-"`` is standard input.
    delimiter : str
        Separates columns: ``","``, or a tab for TSV.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file cannot be read, is empty or not UTF-8, has no rows or no header, names a
        column twice, or a row is too short or too long. The message names file, row and column.
    """
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise ValueError(
            f"delimiter must be one character. Received: delimiter={arguments.shown(delimiter)}"
        )
    if not isinstance(path, str | Path) and hasattr(path, "readable"):
        return _read(path, str(getattr(path, "name", "the table")), delimiter)
    if str(path) == "-":
        return _read(sys.stdin.buffer, "standard input", delimiter)
    path = arguments.path("path", path)
    try:
        with Path(path).open("rb") as file:
            table = _read_large(file, Path(path), delimiter)
            return table if table is not None else _read(file, str(path), delimiter)
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """Return the operating system's description of an error."""
    return (error.strerror or str(error)).lower()


def _read(file: BinaryIO, source: str, delimiter: str) -> Table:
    # A byte that is not UTF-8 becomes a lone surrogate, so that its cell can be named.
    bad_lines: list[int] = []
    # Not a `with` block: it would close standard input.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.reader(
        _watched(text, bad_lines), strict=True, skipinitialspace=True, delimiter=delimiter
    )
    cells: list[list[str]] = []
    lines: list[int] = []
    try:
        header = next((row for row in rows if row), None)
        if bad_lines and header:
            columns = [str(position) for position in range(1, len(header) + 1)]
            _refuse(header, columns, f"{source}: the header (line {rows.line_num})")
        names = _checked_header(header, source, delimiter)
        blank: list[int] = []
        for row in rows:
            if not row:
                blank.append(rows.line_num)
                continue
            if len(names) == 1:  # in one column, a blank line between others is a missing value
                cells.extend([""] for _ in blank)
                lines.extend(blank)
            blank.clear()
            cells.append(row)
            lines.append(rows.line_num)
            if len(row) != len(names) or bad_lines:
                _refuse(row, names, f"{source}: row {len(cells)} (line {rows.line_num})")
    except csv.Error as error:
        what = str(error)
        if what == "unexpected end of data":
            what = "a quoted field is not closed"
        raise DataError(f"{source}: row {len(cells) + 1} (line {rows.line_num}): {what}") from error
    finally:
        text.detach()
    if not cells:
        raise DataError(f"{source}: there is a header but no rows")
    by_column = map(list, zip(*cells, strict=True))
    return Table(source, dict(zip(names, by_column, strict=True)), lines)


def _watched(lines: Iterator[str], bad: list[int]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError:
                bad.append(number)
        yield line


def _checked_header(header: list[str] | None, source: str, delimiter: str) -> list[str]:
    if header is None:
        raise DataError(f"{source}: the file is empty; expected a header row that names columns")
    names = [name.strip() for name in header]
    for mark, word in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
        if len(names) == 1 and mark != delimiter and mark in names[0]:
            hint = "; name the file .tsv" if mark == "\t" else ""
            raise DataError(
                f"{source}: the header has {word}; expected columns split by "
                f"{_SEPARATORS.get(delimiter, repr(delimiter))}{hint}"
            )
    if all(_is_number(name) for name in names):
        raise DataError(
            f"{source}: the first row holds numbers ({', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''}); expected a header that names the columns"
        )
    checked_names(names, f"{source}: the header (line 1)")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse(row: list[str], names: list[str], where: str) -> None:
    for position, cell in enumerate(row):
        try:
            cell.encode()
        except UnicodeEncodeError:
            name = f", column '{names[position]}'" if position < len(names) else ""
            raise DataError(f"{where}{name}: not UTF-8 text") from None
    if len(row) < len(names):
        missing = f"nothing for column '{names[len(row)]}'"
    else:
        missing = f"one too many after column '{names[-1]}'"
    raise DataError(f"{where} has {len(row)} fields, expected {len(names)}: {missing}")


# ---- large files -------------------------------------------------------------------------------


def _read_large(file: BinaryIO, path: Path, delimiter: str) -> Table | None:
    """Read a large plain file with pyarrow; None for any other file and for a file with an error.

    The csv module reads what pyarrow could understand differently: quotes, NUL bytes, a single
    column (where a blank line is a missing value) and unusual headers.
    """
    if not path.is_file() or path.stat().st_size < _LARGE:
        return None
    try:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv
    except ImportError:
        return None
    header = file.readline(1 << 20)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        plain = content.find(b'"') < 0 and content.find(b"\0") < 0
    file.seek(0)
    if not plain or not header.strip() or b"\r" in header.rstrip(b"\r\n"):
        return None
    try:
        names = [name.strip() for name in header.decode("utf-8-sig").split(delimiter)]
        if len(names) == 1 or _checked_header(names, "", delimiter) != names:
            return None
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string())
            ),
        )
    except (DataError, UnicodeDecodeError, pa.ArrowException):
        return None
    if not table.num_rows:
        return None
    cells = {name: _ArrowText(table[name]) for name in names}
    return Table(str(path), cells, _Lines(path, delimiter))


class _Lines(Sequence[int]):
    """The lines on which rows end, counted when an error message first needs one."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path, self._delimiter = path, delimiter

    @cached_property
    def _lines(self) -> Sequence[int]:
        with self._path.open("rb") as file:
            lines = _read(file, str(self._path), self._delimiter).lines
        assert lines is not None
        return lines

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: Any) -> Any:
        return self._lines[row]


class _ArrowText(TextCells):
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

    def _all_numbers(self) -> np.ndarray | None:
        import pyarrow as pa
        from pyarrow import compute as pc

        trimmed = pc.utf8_trim_whitespace(self._array)
        gone = pc.is_in(pc.utf8_lower(trimmed), pa.array(sorted(MISSING)))
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


# ---- writing -----------------------------------------------------------------------------------


def write_csv(file: TextIO, names: Sequence[str], columns: Sequence[Sequence]) -> None:
    """Write columns as CSV.

    Parameters
    ----------
    file : text file
        Opened with ``newline=""``.
    names : sequence of str
    columns : sequence of sequences
        Of equal length; float32 entries are written with the fewest digits that restore them.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
