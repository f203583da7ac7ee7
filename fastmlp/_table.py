"""Tables: named columns of text as a CSV file holds them, read so that errors name the cell."""

from __future__ import annotations

import csv
import difflib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from .errors import DataError

# Compared in lower case with what a cell holds.
MISSING = frozenset({"", "na", "n/a", "nan", "null"})


@dataclass
class Table:
    """Named columns of text, as a CSV file holds them, and where each row came from.

    Parameters
    ----------
    source : str
        What error messages call the table: its file's name.
    columns : dict of str to list of str
        Cells by column, all of one length.
    lines : sequence of int
        The line of the file on which each row ends.
    """

    source: str
    columns: dict[str, list[str]]
    lines: Sequence[int]
    _numbers: dict[str, np.ndarray | None] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> list[str]:
        """The columns' names, in the file's order."""
        return list(self.columns)

    @property
    def n_rows(self) -> int:
        """The number of rows, the header not counted."""
        return len(self.lines)

    def where(self, row: int, name: str) -> str:
        """Say which cell is meant: file, row (from 1), line of the file and column."""
        return f"{self.source}: row {row + 1} (line {self.lines[row]}), column '{name}'"

    def require(self, name: str, role: str = "column") -> None:
        """Raise DataError, with the nearest name and all there are, unless `name` is a column."""
        if name in self.columns:
            return
        near = difflib.get_close_matches(name, self.names, n=1)
        if not near:  # upper and lower case count as near
            near = [other for other in self.names if other.lower() == name.lower()]
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise DataError(
            f"{self.source}: there is no {role} '{name}'.{hint} Columns: {', '.join(self.names)}"
        )

    def text(self, name: str) -> list[str]:
        """Return a column's cells without the space around them; missing ones as ''."""
        cells = [cell.strip() for cell in self.columns[name]]
        return ["" if cell.lower() in MISSING else cell for cell in cells]

    def numbers(self, name: str) -> np.ndarray | None:
        """Return a column as float64, missing cells as NaN; None if it is wholly text.

        Raises
        ------
        DataError
            If the column mixes numbers and text, or a number is infinite.
        """
        if name not in self._numbers:
            self._numbers[name] = self._parse(name)
        return self._numbers[name]

    def _parse(self, name: str) -> np.ndarray | None:
        cells = self.columns[name]
        values = np.empty(len(cells))
        text_rows, number_rows = [], []
        try:
            values[:] = list(map(_float, cells))
        except ValueError:
            for row, cell in enumerate(cells):
                values[row] = np.nan
                if cell.strip().lower() in MISSING:
                    continue
                try:
                    values[row] = _float(cell)
                    number_rows.append(row)
                except ValueError:
                    text_rows.append(row)
            if text_rows and not number_rows:
                return None
        if text_rows:
            few, kind = (
                (text_rows, "text")
                if len(text_rows) <= len(number_rows)
                else (number_rows, "a number")
            )
            raise DataError(
                f"{self.where(few[0], name)}: '{cells[few[0]].strip()}' is {kind}, but the column "
                f"mixes numbers and text ({len(number_rows)} and {len(text_rows)} cells); "
                "correct it, or declare the column categorical"
            )
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size:
            row = int(infinite[0])
            raise DataError(
                f"{self.where(row, name)}: '{cells[row].strip()}' is not a finite number"
            )
        return values


def _float(cell: str) -> float:
    if "_" in cell:  # Python reads 1_000 as a number; a table does not mean one by it
        raise ValueError
    return float(cell)


def read_csv(path: str | Path | BinaryIO) -> Table:
    """Read a CSV file: comma-separated UTF-8 text whose first row names the columns.

    Parameters
    ----------
    path : str, Path or binary file
        ``"-"`` is standard input.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file cannot be read, or is not such a table: empty, not UTF-8, no rows, no
        header, a column named twice, a row too short or too long. The message names file,
        row and column.
    """
    if not isinstance(path, str | Path):
        return _read(path, str(getattr(path, "name", "the table")))
    if str(path) == "-":
        return _read(sys.stdin.buffer, "standard input")
    try:
        with Path(path).open("rb") as file:
            return _read(file, str(path))
    except OSError as error:
        raise DataError(f"{path}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _read(file: BinaryIO, source: str) -> Table:
    # A byte that is not UTF-8 becomes a lone surrogate, so that its cell can be named.
    bad_lines: list[int] = []
    # Not a `with` block: a wrapper that is collected would close standard input.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.reader(_watched(text, bad_lines), strict=True, skipinitialspace=True)
    cells: list[list[str]] = []
    lines: list[int] = []
    try:
        header = next((row for row in rows if row), None)
        if bad_lines and header:
            columns = [str(position) for position in range(1, len(header) + 1)]
            _refuse(header, columns, f"{source}: the header (line {rows.line_num})")
        names = _checked_header(header, source)
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


def _checked_header(header: list[str] | None, source: str) -> list[str]:
    if header is None:
        raise DataError(f"{source}: the file is empty; expected a header row that names columns")
    names = [name.strip() for name in header]
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            raise DataError(f"{source}: the header has {word}; expected columns split by commas")
    if all(_is_number(name) for name in names):
        raise DataError(
            f"{source}: the first row holds numbers ({', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''}); expected a header that names the columns"
        )
    for position, name in enumerate(names, 1):
        if not name:
            raise DataError(f"{source}: the header (line 1): column {position} has no name")
        first = names.index(name) + 1
        if first != position:
            raise DataError(
                f"{source}: the header (line 1) names column '{name}' twice, "
                f"as columns {first} and {position}"
            )
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


def write_csv(file: TextIO, names: Sequence[str], columns: Sequence[Sequence]) -> None:
    """Write columns as CSV.

    Parameters
    ----------
    file : text file
        Opened with ``newline=""``.
    names : sequence of str
    columns : sequence of sequences
        Of one length; float32 entries are written with the fewest digits that give the same
        float32 back.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
