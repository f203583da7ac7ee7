"""Read a table from a workbook of Excel (.xlsx)."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from .._kernels import memory
from .._utils.optional import require
from ..errors import DataError
from .context import Context
from .csv import cells_of_rows
from .dialect import sniff
from .numerals import shown
from .options import ReadingOptions
from .table import Table

_REFERENCE = re.compile(rb"""\br\s*=\s*["']([^"']*)["']""")
_PLACE = re.compile(rb"([A-Za-z]{0,3})([0-9]{1,7})")
_CELL_BYTES = 64


def is_workbook(names: Sequence[str]) -> bool:
    """Return whether the members of a zip archive are those of a workbook."""
    return any(name.lower() == "xl/workbook.xml" for name in names)


def read_excel(path: str | Path, options: ReadingOptions) -> Table:
    """Read the first sheet of a workbook that holds a table, or the one that is named.

    Parameters
    ----------
    path : str or Path
    options : ReadingOptions

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file is damaged or too large, or holds no table.
    """
    calamine = require("python_calamine", "data", f"{path}: reading Excel")
    _check(path)
    try:
        book = calamine.CalamineWorkbook.from_path(str(path))
        sheets = list(book.sheet_names)
        if options.sheet is not None and options.sheet not in sheets:
            raise DataError(
                f"{path}: there is no sheet '{options.sheet}'. Sheets: {', '.join(sheets)}"
            )
        tried = sheets if options.sheet is None else [options.sheet]
        filled = []
        for name in tried:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            if any(cell != "" for row in rows for cell in row):
                filled.append((name, rows))
    except DataError:
        raise
    except Exception as error:  # calamine has an exception for each layer of the format
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: damaged Excel file: {text}") from error
    if not filled:
        raise DataError(f"{path}: the workbook is empty")
    tables = [(name, rows) for name, rows in filled if _holds_table(rows)] or filled
    name, rows = tables[0]
    notes: tuple[str, ...] = ()
    others = [other for other, _ in filled if other != name]
    if others:
        notes = (f"sheet '{name}' is read, not {shown(others)}; --sheet names another.",)
    return _table(str(path), name if len(sheets) > 1 else "", rows, options, notes)


def _holds_table(rows: list[list[Any]]) -> bool:
    wide = [row for row in rows if sum(cell != "" for cell in row) > 1]
    return len(wide) > 2


def _check(path: str | Path) -> None:
    """Check that the workbook's parts fit into memory, and that their sums agree."""
    most = memory.available() // 4
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(info.file_size for info in archive.infolist())
            if total > most:
                raise _too_large(path, f"{total:,} bytes")
            for info in archive.infolist():
                rows = columns = 0
                is_sheet = info.filename.lower().startswith("xl/worksheets/")
                for part in _parts(archive, info):
                    for found in _REFERENCE.finditer(part) if is_sheet else ():
                        place = _PLACE.fullmatch(found[1])
                        if place is None:
                            raise DataError(
                                f"{path}: damaged Excel file: a cell at {found[1][:20]!r}"
                            )
                        rows = max(rows, int(place[2]))
                        columns = max(columns, _column(place[1].upper()))
                if rows * columns * _CELL_BYTES > most:
                    raise _too_large(path, f"{rows:,} rows of {columns:,} columns")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
            ValueError) as error:  # fmt: skip
        raise DataError(f"{path}: damaged or cut off Excel file: {error}") from error


def _too_large(path: str | Path, what: str) -> DataError:
    return DataError(f"{path}: the workbook declares {what}, more than fit into memory")


def _parts(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member's content in parts that overlap, so that no reference is cut."""
    with archive.open(info) as file:
        before = b""
        while part := file.read(1 << 20):
            yield before + part
            before = part[-64:]


def _column(letters: bytes) -> int:
    result = 0
    for letter in letters:
        result = 26 * result + letter - 64
    return result


def _table(
    source: str, sheet: str, rows: list[list[Any]], options: ReadingOptions, notes: tuple[str, ...]
) -> Table:
    texts = [[_text(cell) for cell in row] for row in rows]
    filled = [i for i in range(max(map(len, texts))) if any(row[i].strip() for row in texts)]
    texts = [[row[i] for i in filled] for row in texts]
    lines = [_joined(row) for row in texts]
    laid_out = ReadingOptions(delimiter="\t", header=options.header, comment=options.comment)
    dialect = sniff(lines[:1000], source, laid_out)
    context = Context(options, "", tuple(dialect.facts), notes)
    body = [
        (i, row)
        for i, row in enumerate(texts, 1)
        if i > dialect.first_line and any(cell.strip() for cell in row)
        and not (dialect.comment and row[0].startswith(dialect.comment))
    ]  # fmt: skip
    return cells_of_rows(source, dialect, body, context)


def _joined(row: list[str]) -> str:
    if not any(cell.strip() for cell in row):
        return ""
    return "\t".join('"' + re.sub(r"\s", " ", cell).replace('"', '""') + '"' for cell in row)


def _text(cell: Any) -> str:
    """Return a cell as CSV would have it."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    if isinstance(cell, datetime):
        midnight = cell.time() == time()
        return cell.date().isoformat() if midnight else cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell.total_seconds() / 3600)
    return str(cell)
