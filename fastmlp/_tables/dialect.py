"""Find out how a file of text is laid out: delimiter, comments, and where the header is."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import DataError
from .context import MISSING
from .dates import is_date
from .numerals import is_number, shown
from .options import ReadingOptions

NAMES = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "pipes",
    " ": "spaces",
    "  ": "two or more spaces",
}
_TRIED = ("\t", ";", "|", ",")
_COMMENTS = ("#", "%", "//")
_PLACEHOLDERS = MISSING | {"?", "-", "--", ".", "none", "*"}
_SEP = re.compile(r'"?sep=(.|\\t)"?;*\s*', re.IGNORECASE)
_RULE = re.compile(r"[\s|:+=-]*[-=]{2,}[\s|:+=-]*")
_ROWS = 1000
_OTHER = {
    '{"': "JSON", "[{": "JSON", "[[": "JSON", "<!doctype": "HTML", "<html": "HTML",
    "<table": "HTML", "<?xml": "XML", "%pdf-": "a PDF file", "{\\rtf": "a word processor's file",
    "@relation": "an ARFF file",
}  # fmt: skip


@dataclass
class Dialect:
    """The layout of a file of text.

    Parameters
    ----------
    delimiter : str
        A space for any white space, two for two spaces or more.
    names : list of str
        Of the columns; those to leave out included.
    first_line : int
        Number of lines before the first row.
    comment : str
        What lines begin with that are left out; "" if there are none.
    framed : bool
        Whether lines begin and end with the delimiter, as in Markdown.
    trailing : bool
        Whether rows have one empty cell more than names.
    facts, notes : list of str
        As `Context` takes them.
    """

    delimiter: str = ","
    names: list[str] = field(default_factory=list)
    first_line: int = 0
    comment: str = ""
    framed: bool = False
    trailing: bool = False
    facts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def splits_at(self) -> str:
        """The delimiter after `plain_lines`."""
        return "\t" if self.delimiter in (" ", "  ") else self.delimiter

    @property
    def is_plain(self) -> bool:
        """Whether a CSV reader understands the lines as they are."""
        return not self.comment and not self.framed and self.delimiter not in (" ", "  ")

    def plain_line(self, line: str) -> str:
        """Return a line as a CSV reader understands it; "" for one to leave out."""
        if self.comment and line.lstrip().startswith(self.comment):
            return ""
        if self.framed:
            if _RULE.fullmatch(line):
                return ""
            return line.strip().removeprefix("|").removesuffix("|")
        if self.delimiter == " ":
            return _split_at_spaces(line)
        if self.delimiter == "  ":
            return re.sub(r" {2,}|\t", "\t", line.strip())
        return line


def _split_at_spaces(line: str) -> str:
    if '"' not in line:
        return "\t".join(line.split())
    row = next(csv.reader([line.strip()], delimiter=" ", skipinitialspace=True), [])
    return "\t".join('"' + cell.replace('"', '""') + '"' for cell in row)


def sniff(
    lines: Sequence[str], source: str, options: ReadingOptions, tabs: bool = False
) -> Dialect:
    """Find out the layout of a file from its first lines.

    Parameters
    ----------
    lines : sequence of str
        Without their ends.
    source : str
    options : ReadingOptions
    tabs : bool
        Whether the file's name says that it has tabs.

    Returns
    -------
    Dialect

    Raises
    ------
    DataError
        If there is no header, and `options` do not say so.
    """
    lines = list(lines)
    _refuse_other(lines, source)
    result = Dialect(delimiter="\t" if tabs else ",")
    delimiter, top = options.delimiter, 0
    if lines and (said := _SEP.fullmatch(lines[0])):
        delimiter, top = delimiter or said[1].replace("\\t", "\t"), 1
    heading = _comments(lines, top, options, result)
    body = [line if i >= top else "" for i, line in enumerate(lines)]
    if delimiter is None:
        body = [result.plain_line(line) for line in body]
        delimiter = _delimiter(body, result.delimiter)
        result.delimiter = delimiter
        usual = "\t" if tabs else ","
        if delimiter != usual:
            result.facts.append(NAMES[delimiter])
    else:
        result.delimiter = delimiter
    bars = [line.strip() for line in lines[top:] if line.strip()]
    if result.delimiter == "|" and bars:
        edged = sum(line.startswith("|") and line.endswith("|") for line in bars)
        result.framed = edged >= 0.8 * len(bars) or any(
            "-" in line and _RULE.fullmatch(line) for line in bars[:3]
        )
    body = [result.plain_line(line) if i >= top else "" for i, line in enumerate(lines)]
    rows, ends = _rows(body, result.splits_at)
    _find_header(rows, ends, lines, heading, source, options, result)
    return result


def _refuse_other(lines: Sequence[str], source: str) -> None:
    """Raise DataError for text that is not a table of cells, and for single quotes."""
    first = next((line for line in lines if line.strip()), "").strip()
    for start, name in _OTHER.items():
        if first.lower().startswith(start):
            raise DataError(f"{source}: this is {name}; expected a table: save it as CSV")
    if len(first) > 2 and first.startswith("'") and first.endswith("'"):
        raise DataError(
            f'{source}: cells are enclosed in single quotes; expected double quotes ("): replace '
            "them"
        )


def _comments(lines: list[str], top: int, options: ReadingOptions, result: Dialect) -> str:
    """Set the mark of comments; return the last comment above the rows, without its mark."""
    marks = _COMMENTS if options.comment is None else (options.comment,)
    first = next((line for line in lines[top:] if line.strip()), "").lstrip()
    mark = next((mark for mark in marks if first.startswith(mark)), "")
    if options.comment is not None:
        mark = options.comment
    if not mark:
        return ""
    n, last = 0, ""
    for line in lines[top:]:
        if line.lstrip().startswith(mark):
            n, last = n + 1, line.lstrip()[len(mark) :].lstrip("#%/ ")
        elif line.strip():
            break
    if any(not line.lstrip().startswith(mark) and line.strip() for line in lines[top:]):
        result.comment = mark
        if options.comment is None:
            result.facts.append(f"lines that begin with {mark} left out")
        return last
    return ""


def _rows(lines: Sequence[str], delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the rows that are not blank, and the number of lines up to the end of each."""
    reader = csv.reader(
        (line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=delimiter != " "
    )
    rows, ends = [], []
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                rows.append([cell.strip() for cell in row])
                ends.append(reader.line_num)
    except csv.Error:
        pass  # the reader of the file raises it
    return rows, ends


def _score(rows: list[list[str]]) -> tuple[float, int]:
    """Return how regular the rows are, up to 1, and their number of cells."""
    counts = [len(row) for row in rows]
    several = Counter(n for n in counts if n > 1)
    if not several:
        return 0.0, 1
    n = max(several, key=lambda n: (several[n], n))
    start = counts.index(n)
    share = several[n] / (len(counts) - start)
    return share * (several[n] / len(counts)) ** 0.25, n


def _delimiter(lines: Sequence[str], usual: str) -> str:
    scores = {}
    for mark in _TRIED:
        if any(mark in line for line in lines):
            rows, _ = _rows(lines, mark)
            scores[mark], _ = _score(rows)
    best = max(scores, key=lambda mark: scores[mark], default=usual)
    best_score = scores.get(best, 0.0)
    if best_score < 1 and best != "\t":
        for mark, pattern in ((" ", r"\s+"), ("  ", r" {2,}|\t")):
            rows = [re.split(pattern, line.strip()) for line in lines if line.strip()]
            if '"' in "".join(lines) and mark == " ":
                rows = [_split_at_spaces(line).split("\t") for line in lines if line.strip()]
            score, n = _score(rows)
            whole = score == 1 and len(rows) > 1
            nearly = mark == "  " and score > 0.9 and best_score < 0.5
            if (whole or nearly) and any(_mostly_numbers(rows[1:], i) for i in range(n)):
                return mark
    return best if best_score > 0.3 else usual


def _mostly_numbers(rows: Sequence[Sequence[str]], i: int) -> bool:
    cells = [row[i] for row in rows if i < len(row) and row[i].lower() not in _PLACEHOLDERS]
    return bool(cells) and 10 * sum(map(is_number, cells)) >= 9 * len(cells)


# ---- the header --------------------------------------------------------------------------------


def _find_header(
    rows: list[list[str]],
    ends: list[int],
    lines: list[str],
    heading: str,
    source: str,
    options: ReadingOptions,
    result: Dialect,
) -> None:
    """Set the names, and the line on which the rows begin."""
    if not rows:
        raise DataError(f"{source}: the file is empty; expected a header row that names columns")
    _, n = _score(rows)
    if max(map(len, rows)) == 1:
        n = 1
    start = 0
    while start < len(rows) - 1 and _is_above(rows[start], n):
        start += 1
    if start and not _could_name(rows[start]) and options.header is not False:
        start = 0
    if start:
        many = f"{start} lines" if start > 1 else "a line"
        result.facts.append(f"{many} above the header left out")
    head, body = rows[start], rows[start + 1 :]
    if options.header is False:
        result.names = [f"x{i + 1}" for i in range(len(head))] if len(head) > 1 else ["x"]
        result.first_line = ends[start - 1] if start else _first_line(lines, result, head)
        _trim(head, [head, *body], result, "")
        return
    named = _split(heading, result) if heading else []
    if start == 0 and len(named) == len(head) and _could_name(named) and not _could_name(head):
        result.names = named
        result.facts.append(f"the header in the line that begins with {result.comment}")
        result.first_line = _first_line(lines, result, head)
        return
    result.names, result.first_line = head, ends[start]
    _short_header(head, body, result)
    _trim(result.names, body, result, source)
    if options.header is None:
        _refuse_rows(result.names, body, source)


def _split(text: str, result: Dialect) -> list[str]:
    rows, _ = _rows([result.plain_line(text)], result.splits_at)
    return rows[0] if rows else []


def _first_line(lines: list[str], result: Dialect, head: list[str]) -> int:
    """Return the number of lines before the first that holds a row."""
    for i, line in enumerate(lines):
        if line.strip() and _split(line, result)[: len(head)] == head:
            return i
    return 0


def _is_above(row: list[str], n: int) -> bool:
    """Return whether a row is a title or the like: it has fewer cells, or only one with text."""
    filled = sum(map(bool, row))
    return len(row) < n or (n > 2 and filled <= 1) or not filled


def _could_name(row: Sequence[str]) -> bool:
    """Return whether a row could name columns: no cell is a number or a date."""
    return not any(cell and (is_number(cell) or is_date(cell)) for cell in row)


def _short_header(head: list[str], body: list[list[str]], result: Dialect) -> None:
    """Name a first column of row names, as R writes it, or expect an empty last cell."""
    if len(body) < 2 or any(len(row) != len(head) + 1 for row in body):
        return
    if not any(row[-1] for row in body):
        result.trailing = True
        return
    first = [row[0] for row in body]
    if len(set(first)) == len(first) and (not any(map(is_number, first)) or _counts(first)):
        result.names = ["", *head]


def _counts(cells: Sequence[str]) -> bool:
    return cells[:2] in (["0", "1"], ["1", "2"])


def _trim(head: list[str], body: list[list[str]], result: Dialect, source: str) -> None:
    """Expect an empty last cell in each row if the header has one."""
    n = len(head)
    last = n > 1 and (not head[-1] or not source) and all(
        len(row) == n and not row[-1] for row in body
    )  # fmt: skip
    if last and body:
        result.names = result.names[:-1]
        result.trailing = True


def _refuse_rows(names: list[str], body: list[list[str]], source: str) -> None:
    """Raise DataError if the first row looks like the rows below."""
    remedy = "give --no-header (header=False) if it holds values, --header if it names columns"
    numbers = [name for name in names if name]
    if numbers and all(map(is_number, numbers)):
        counting = not names[0] and numbers == [str(i) for i in range(len(numbers))]
        if counting:  # pandas' names of the columns of an array
            return
        raise DataError(
            f"{source}: the first row holds numbers ({', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''}); expected a header that names the columns; "
            f"{remedy}"
        )
    alike: list[str] = []
    for i, name in enumerate(names):
        cells = [row[i] for row in body if i < len(row) and row[i].lower() not in _PLACEHOLDERS]
        if not name or not cells or name.lower() in _PLACEHOLDERS:
            continue
        if _share(cells, is_number) >= 0.9:
            if not is_number(name):
                return
            alike.append(name)
        elif _share(cells, is_date) >= 0.9:
            if not is_date(name):
                return
            alike.append(name)
        elif name in cells:
            alike.append(name)
    years = [name for name in alike if name.isdigit()]
    if years and len(years) == len(alike) and len(years) < len(names):
        values = list(map(int, years))
        if values == list(range(values[0], values[0] + len(values))) and len(values) > 1:
            return  # years, or numbered columns
    if alike:
        raise DataError(
            f"{source}: the first row looks like the rows below it ({shown(alike)}); expected a "
            f"header that names the columns; {remedy}"
        )


def _share(cells: Sequence[str], holds: object) -> float:
    assert callable(holds)
    return sum(map(holds, cells)) / len(cells)
