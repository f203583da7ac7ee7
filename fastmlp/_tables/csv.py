"""Read and write text that separates columns by a character. Errors name row, line and column."""

from __future__ import annotations

import csv
import io
import mmap
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from .._utils import arguments
from ..errors import DataError
from .arrow_text import ArrowText
from .cells import TextCells
from .content import Text, as_utf8, compression, decompressed, read_all
from .context import Context
from .dialect import Dialect, sniff
from .numerals import is_number
from .options import ReadingOptions
from .table import Table, checked_names

_LARGE = 1 << 20  # bytes; for smaller files, importing pyarrow takes longer than it saves
_HEAD = 1 << 20  # bytes from which the layout is found out
_SAMPLE = 1000  # lines of them
_LONG_LINE = 1 << 14  # bytes, on average: of thousands of columns, each of which costs pyarrow time
_MOST_LONG = 1 << 24  # bytes of a file of such lines whose cells may be Python objects
_LINES = re.compile(r"\r\n|\n|\r")
_TOTAL = re.compile(
    r"((grand |sub)?totals?|sum|summe|gesamt|insgesamt|average|mean|mittelwert)\b[: ]*$"
    r"|(source|quelle|notes?)\s*:",
    re.IGNORECASE,
)


def read_csv(
    path: str | Path | BinaryIO,
    delimiter: str | None = None,
    *,
    options: ReadingOptions | None = None,
) -> Table:
    """Read a file of text whose rows are lines, such as CSV.

    Delimiter, encoding, decimal separator, comments and the position of the header are detected,
    unless the options set them; `Table.notes` lists what was detected. If pyarrow is installed, it
    parses files of over a megabyte, but for a few very long lines; the table is the same.

    Parameters
    ----------
    path : str, Path or binary file
        ``"-"`` is standard input. A file may be compressed by gzip, bzip2, xz, zip or (with the
        extra ``data``) zstd.
    delimiter : str, optional
        Separates columns.
    options : ReadingOptions, optional

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file cannot be read, is empty, has no rows or no header, names a column twice, or a
        row is too short or too long. The message names file, row and column.
    """
    options = options or ReadingOptions()
    if delimiter is not None:
        options = replace(options, delimiter=delimiter)
    if not isinstance(path, str | Path) and hasattr(path, "readable"):
        source = str(getattr(path, "name", "the table"))
        return _Content(source, options, data=read_all(path, source)).table()
    if str(path) == "-":
        source = "standard input"
        return _Content(source, options, data=read_all(sys.stdin.buffer, source)).table()
    path = arguments.path("path", path)
    try:
        return _Content(str(path), options, path=Path(path)).table()
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """Return the operating system's description of an error."""
    return (error.strerror or str(error)).lower()


@dataclass
class _Content:
    """A file of text that can be read again, where errors need the lines of rows."""

    source: str
    options: ReadingOptions
    path: Path | None = None
    data: bytes | None = None

    @property
    def _tabs(self) -> bool:
        suffixes = [] if self.path is None else [s.lower() for s in self.path.suffixes[-2:]]
        return any(suffix in (".tsv", ".tab") for suffix in suffixes)

    def table(self) -> Table:
        table = None if self.path is None else self._plain_large(self.path)
        return self._from_text(quick=True) if table is None else table

    def _plain_large(self, path: Path) -> Table | None:
        """Read a large UTF-8 file with pyarrow where it lies; None for any other file."""
        if not path.is_file() or path.stat().st_size < _LARGE or not _has_pyarrow():
            return None
        with path.open("rb") as file:
            start = file.read(_HEAD)
            encoding = (self.options.encoding or "utf-8").lower().replace("_", "-")
            if (
                compression(start) is not None
                or start[3:6] == b"\xef\xbb\xbf"
                or encoding not in ("utf-8", "utf8")
            ):
                return None
            if _is_wide(start, path.stat().st_size):
                return None
            start += file.readline(_HEAD)
            try:
                start.decode("utf-8-sig")
            except UnicodeDecodeError:
                return None
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content.find(b"\0") >= 0:
                    return None
                return self._arrow(start, content, path)

    def text(self) -> Text:
        """Return the whole text as UTF-8."""
        data = self.data
        if data is None:
            assert self.path is not None
            with self.path.open("rb") as file:
                kind = compression(file.read(8)) if self.path.is_file() else None
            if kind is not None:
                as_utf8(decompressed(self.path, kind, _HEAD)[:_HEAD] + b"\n\n", self.source,
                        self.options.encoding or "latin-1")  # fmt: skip
                data = decompressed(self.path, kind)
            else:
                with self.path.open("rb") as file:
                    data = read_all(file, self.source)
        elif (kind := compression(data[:8])) is not None:
            raise DataError(f"{self.source}: {kind} data cannot be read here; decompress it first")
        return as_utf8(
            data, self.source, self.options.encoding, self.options.settled.get("encoding")
        )

    def _from_text(self, quick: bool) -> Table:
        text = self.text()
        quick = quick and not _is_wide(text.data[:_HEAD], len(text.data))
        if quick and len(text.data) >= _LARGE and _has_pyarrow():
            table = self._arrow(text.data[: 2 * _HEAD], text.data, None, text)
            if table is not None:
                return table
        decoded = text.data.decode()
        end = _end_of_head(decoded)
        dialect = self._sniffed(decoded[:end], len(decoded) > end)
        context = _context(self.options, dialect, text)
        return _read_lines(decoded, self.source, dialect, context)

    def _sniffed(self, start: str, is_part: bool) -> Dialect:
        lines = _LINES.split(start)
        if is_part and len(lines) > 2:
            lines.pop()
        return sniff(lines[:_SAMPLE], self.source, self.options, self._tabs)

    def _arrow(
        self, start: bytes, data: Any, path: Path | None, text: Text | None = None
    ) -> Table | None:
        """Read with pyarrow what the csv module would read alike, else return None."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        bom = 3 if start.startswith(b"\xef\xbb\xbf") else 0
        try:
            head = start[bom:].decode()
        except UnicodeDecodeError:  # cut within a character
            head = start[bom : start.rindex(b"\n")].decode(errors="replace")
        dialect = self._sniffed(head, len(start) < len(data))
        names = [*dialect.names, *([""] if dialect.trailing else [])]
        if len(names) == 1:  # a blank line is a missing value
            return None
        if not dialect.is_plain:
            lines = map(dialect.plain_line, _LINES.split(bytes(data[bom:]).decode()))
            data = "\n".join(lines).encode()
            start, bom, path = data[: len(start)], 0, None
        at = _offset(start, dialect.first_line, bom)
        if at is None or not _quotes_are_plain(data, at, dialect.splits_at):
            return None
        columns = [f"{i}" for i in range(len(names))]
        mapped = path is not None
        source: Any = str(path) if mapped else pa.BufferReader(memoryview(data)[at:])
        try:
            read = arrow_csv.read_csv(
                source,
                read_options=arrow_csv.ReadOptions(
                    column_names=columns, skip_rows=dialect.first_line if mapped else 0
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=dialect.splits_at, newlines_in_values=data.find(b'"', at) >= 0
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string())
                ),
            )
        except pa.ArrowException:
            return None
        if not read.num_rows:
            return None
        cells = [ArrowText(read[name]) for name in columns]
        if dialect.trailing and not _is_blank(cells.pop()):
            return None
        context = _context(self.options, dialect, text)
        return _finished(self.source, dialect, cells, _Lines(self), context)


def _end_of_head(text: str) -> int:
    """Return where a line ends, far enough for the layout: a header may be long by itself."""
    end = 0
    for at_least in (_HEAD, 0, 0):  # three lines
        found = re.compile(r"\n|\r(?!\n)").search(text, max(at_least, end))
        if found is None:
            return len(text)
        end = found.end()
    return end


def _is_wide(start: bytes, size: int) -> bool:
    """Return whether a file has few lines that are long, which the csv module reads sooner."""
    n_lines = start.count(b"\n") or start.count(b"\r")
    return n_lines * _LONG_LINE < len(start) and size <= _MOST_LONG


def _has_pyarrow() -> bool:
    try:
        import pyarrow.csv  # noqa: F401
    except ImportError:
        return False
    return True


def _context(options: ReadingOptions, dialect: Dialect, text: Text | None) -> Context:
    facts, notes = list(dialect.facts), list(dialect.notes)
    if text is not None and text.encoding:
        facts.append(text.encoding)
    if text is not None and text.odd:
        notes.append(
            f"read as {text.encoding}, it has words such as '{text.odd}'; if they should be "
            "others, name the encoding, such as --encoding cp1251, cp1250 or shift_jis."
        )
    return Context(options, dialect.delimiter, tuple(facts), tuple(notes))


def _offset(start: bytes, n_lines: int, at: int) -> int | None:
    """Return where the line after the first `n_lines` begins."""
    ends = re.compile(rb"\r\n|\n|\r")
    for _ in range(n_lines):
        found = ends.search(start, at)
        if found is None:
            return None
        at = found.end()
    return at


def _quotes_are_plain(data: Any, at: int, delimiter: str) -> bool:
    """Return whether quotes enclose whole cells only, as any reader understands them.

    Every second quote must follow the beginning of a cell or another quote, the others must come
    before the end of one.
    """
    if data.find(b'"', at) < 0:
        return True
    view = np.frombuffer(data, np.uint8)
    try:
        mark, cut = ord('"'), ord(delimiter)
        if cut > 127:
            return False
        before_ok = np.zeros(256, bool)
        before_ok[[mark, cut, 10, 13]] = True
        odd, step = False, 1 << 24
        for first in range(at, len(view), step):
            places = np.flatnonzero(view[first : first + step] == mark) + first
            opening, closing = (places[1::2], places[::2]) if odd else (places[::2], places[1::2])
            opening = opening[opening > at]
            closing = closing[closing < len(view) - 1]
            if not (before_ok[view[opening - 1]].all() and before_ok[view[closing + 1]].all()):
                return False
            odd ^= bool(len(places) % 2)
        return not odd
    finally:
        del view


def _is_blank(cells: TextCells) -> bool:
    return not any(text.strip() for text in cells._raw_coded.texts)  # noqa: SLF001


def _finished(
    source: str,
    dialect: Dialect,
    cells: list[Any],
    lines: Sequence[int] | None,
    context: Context,
) -> Table:
    """Make the table, without columns that only count the rows or are empty and unnamed."""
    names = list(dialect.names)
    columns = [c if isinstance(c, TextCells) else TextCells(c) for c in cells]
    settled = context.options.settled.get("left_out", [])
    unnamed = names[0] == "" or re.fullmatch(r"Unnamed: 0(\.\d+)?", names[0])
    if len(names) > 2 and unnamed and (names[0] in settled or _is_index(columns[0])):
        context.left_out.append(names[0])
        called = f"called '{names[0]}'" if names[0] else "without a name"
        context.notes += (f"the first column, {called}, counts the rows and is left out.",)
        del names[0], columns[0]
    _note_footer(columns, context)
    for i in range(len(names) - 1, 0, -1):
        if not names[i] and _is_blank(columns[i]):
            del names[i], columns[i]
    nameless = names[0] == "" and len(names) > 1
    checked_names(["(index)", *names[1:]] if nameless else names, f"{source}: the header (line 1)")
    if nameless:
        context.notes += ("the first column has no name; --drop '' leaves it out.",)
    return Table(source, dict(zip(names, columns, strict=True)), lines, context=context)


def _note_footer(columns: Sequence[TextCells], context: Context) -> None:
    """Note a last row that looks like a total or a remark."""
    if len(columns) < 2 or len(columns[0]) < 2:
        return
    last = [column.held(len(column) - 1) for column in columns]
    texts = [text for text in last if text]
    total = next((text for text in texts if _TOTAL.match(text)), None)
    if total is None and len(columns) > 2 and len(texts) == 1 and not is_number(texts[0]):
        total = texts[0]
    if total is not None:
        context.notes += (f"the last row holds '{total}'; delete it if it is not data.",)


def _is_index(cells: TextCells) -> bool:
    """Return whether cells are distinct whole numbers, as in the index of a data frame."""
    texts = cells._raw_coded.texts  # noqa: SLF001
    return len(texts) == len(cells) and all(text.strip().isdecimal() for text in texts)


# ---- the csv module ----------------------------------------------------------------------------


def _read_lines(text: str, source: str, dialect: Dialect, context: Context) -> Table:
    lines: Iterable[str] = io.StringIO(text, newline="")
    left_out: set[int] = set()
    if not dialect.is_plain:
        lines = _rewritten(lines, dialect, left_out)
    return read_rows(lines, source, dialect, context, left_out)


def _rewritten(lines: Iterable[str], dialect: Dialect, left_out: set[int]) -> Iterator[str]:
    for i, line in enumerate(lines, 1):
        changed = dialect.plain_line(line.rstrip("\r\n"))
        if not changed and line.strip():
            left_out.add(i)
        yield changed + "\n"


def read_rows(
    lines: Iterable[str],
    source: str,
    dialect: Dialect,
    context: Context,
    left_out: set[int] | None = None,
) -> Table:
    """Read the rows of lines of text with the csv module.

    Parameters
    ----------
    lines : iterable of str
        From the file's first on.
    source : str
    dialect : Dialect
    context : Context
    left_out : set of int, optional
        Lines that are blank because they were comments.

    Returns
    -------
    Table
    """
    names, delimiter, skipped = dialect.names, dialect.splits_at, left_out or set()
    iterator = iter(lines)
    for _ in range(dialect.first_line):
        next(iterator, None)
    rows = csv.reader(iterator, strict=True, skipinitialspace=True, delimiter=delimiter)
    cells: list[list[str]] = []
    ends: list[int] = []
    blank: list[int] = []
    width = len(names) + dialect.trailing
    try:
        for row in rows:
            line = rows.line_num + dialect.first_line
            if not row:
                blank += [] if line in skipped else [line]
                continue
            if width == 1:  # in one column, a blank line between others is a missing value
                cells.extend([""] for _ in blank)
                ends.extend(blank)
            blank.clear()
            cells.append(row)
            ends.append(line)
            if len(row) != width or (dialect.trailing and row[-1].strip()):
                _refuse(row, names, dialect, f"{source}: row {len(cells)} (line {line})")
    except csv.Error as error:
        what, line = str(error), rows.line_num + dialect.first_line
        what = _explained(what)
        raise DataError(f"{source}: row {len(cells) + 1} (line {line}): {what}") from error
    if not cells:
        raise DataError(f"{source}: there is a header but no rows")
    by_column = list(map(list, zip(*cells, strict=True)))
    return _finished(source, dialect, by_column[: len(names)], ends, context)


def _explained(error: str) -> str:
    """Return what an error of the csv module means, and the remedy."""
    if error == "unexpected end of data":
        return "a quoted field is not closed"
    if "expected after" in error:
        return f"{error}; within a quoted cell, write a quote as two quotes"
    if "larger than field limit" in error:
        return f"{error}; close the quote that was opened before, or leave the column out"
    return error


def cells_of_rows(
    source: str, dialect: Dialect, rows: Sequence[tuple[int, list[str]]], context: Context
) -> Table:
    """Make a table of rows that are cut into cells already, each with its line."""
    if not rows:
        raise DataError(f"{source}: there is a header but no rows")
    width = len(dialect.names)
    columns = [[row[i] for _, row in rows] for i in range(width)]
    return _finished(source, dialect, columns, [line for line, _ in rows], context)


def _refuse(row: list[str], names: list[str], dialect: Dialect, where: str) -> None:
    width = len(names) + dialect.trailing
    if len(row) < width:
        missing = f"nothing for column '{names[min(len(row), len(names) - 1)]}'"
    else:
        missing = f"one too many after column '{names[-1]}'"
    advice = "correct it, or name the delimiter (--delimiter)"
    if row and row[0].startswith(("#", "%", "//")) and not dialect.comment:
        advice = f"if it is a comment, add --comment '{row[0][:1] if row[0][0] != '/' else '//'}'"
    raise DataError(f"{where} has {len(row)} fields, expected {width}: {missing}; {advice}")


# ---- pyarrow -----------------------------------------------------------------------------------


class _Lines(Sequence[int]):
    """The lines on which rows end, counted when an error message first needs one."""

    def __init__(self, content: _Content) -> None:
        self._content = content

    @cached_property
    def _lines(self) -> Sequence[int]:
        lines = self._content._from_text(quick=False).lines  # noqa: SLF001
        assert lines is not None
        return lines

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: Any) -> Any:
        return self._lines[row]


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
