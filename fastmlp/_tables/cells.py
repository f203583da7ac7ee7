"""Columns of cells as sources hold them: unparsed text, or values with a type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

# Compared with a cell's text in lower case.
MISSING = frozenset({"", "na", "n/a", "nan", "null"})
_BOOLEANS = {"true": 1.0, "false": 0.0}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = 86_400_000_000  # of a day


class Coded(NamedTuple):
    """A column as codes: for each row the index of its text, -1 where the cell is missing."""

    codes: np.ndarray
    texts: list[str]


class MixedColumn(NamedTuple):
    """Which kind of cell is the rarer one in a mixed column.

    Attributes
    ----------
    row : int
        The first cell of the rarer kind.
    what : {"text", "a number"}
        The rarer kind.
    n_numbers, n_text : int
        Cells of each kind.
    """

    row: int
    what: str
    n_numbers: int
    n_text: int


def is_missing(text: str) -> bool:
    """Return whether a cell's text stands for a missing value."""
    return text.strip().lower() in MISSING


def number(text: str) -> float:
    """Return the number that a cell's text means, or raise ValueError."""
    if "_" in text:  # a number to Python, as in 1_000, but not in a table
        raise ValueError
    return float(text)


def day(text: str) -> float:
    """Return days since 1970-01-01 for an ISO date, with or without a time; or raise ValueError.

    A time without a zone is UTC.
    """
    if not _DATE.fullmatch(text):
        raise ValueError
    moment = datetime.fromisoformat(text)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * _MICROSECONDS + since.seconds * 10**6 + since.microseconds) / _MICROSECONDS


class Cells:
    """One column of a table.

    Attributes
    ----------
    kind : {"number", "boolean", "date", "text", "mixed", "other"}
        What the cells are: "mixed" if some are numbers and some text, "other" if a network cannot
        use them.
    type_name : str
        The source's own name for the type.
    """

    kind: str = "other"
    type_name: str = "text"

    def __init__(self, n_rows: int, type_name: str) -> None:
        self._n_rows, self.type_name = n_rows, type_name

    def __len__(self) -> int:
        return self._n_rows

    def held(self, row: int) -> str:
        """Return a cell as text, for messages."""
        return "?"

    def floats(self) -> np.ndarray:
        """Return numbers, 0 and 1, or days since 1970-01-01 as float64; NaN where missing."""
        raise TypeError(self.kind)

    def coded(self) -> Coded:
        """Return the cells as codes of their texts."""
        raise TypeError(self.kind)

    def mixed(self) -> MixedColumn:
        """Describe a mixed column."""
        raise TypeError(self.kind)


class TextCells(Cells):
    """Text that may stand for numbers, booleans or dates, as in a CSV file.

    Parameters
    ----------
    cells : sequence of str
    """

    def __init__(self, cells: Sequence[str]) -> None:
        super().__init__(len(cells), "text")
        self._given = cells

    @property
    def cells(self) -> Sequence[str]:
        """The cells as they were written."""
        return self._given

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The kind that all cells with a value can be read as."""
        return self._read[0]

    def held(self, row: int) -> str:
        """Return a cell without the space around it."""
        return self.cells[row].strip()

    def floats(self) -> np.ndarray:
        """Return the values that the texts stand for."""
        return self._read[1]

    def coded(self) -> Coded:
        """Return codes of the texts, stripped, in order of first occurrence."""
        codes, raw = self._raw_coded
        index: dict[str, int] = {}
        lookup = np.empty(len(raw), np.int64)
        for i, text in enumerate(raw):
            lookup[i] = -1 if is_missing(text) else index.setdefault(text.strip(), len(index))
        return Coded(lookup[codes], list(index))

    def mixed(self) -> MixedColumn:
        """Find the rarer kind."""
        is_number = self._are_numbers()
        is_text = ~is_number & self._present
        n_numbers, n_text = int(is_number.sum()), int(is_text.sum())
        few, what = (is_text, "text") if n_text <= n_numbers else (is_number, "a number")
        return MixedColumn(int(np.argmax(few)), what, n_numbers, n_text)

    @cached_property
    def _raw_coded(self) -> Coded:
        index: dict[str, int] = {}
        codes = np.fromiter(
            (index.setdefault(cell, len(index)) for cell in self.cells), np.int64, len(self)
        )
        return Coded(codes, list(index))

    def _all_numbers(self) -> np.ndarray | None:
        """Return the cells as numbers if every cell is one: a fast path for the common case."""
        try:
            return np.array(list(map(number, self.cells)), np.float64)
        except ValueError:
            return None

    @cached_property
    def _read(self) -> tuple[str, np.ndarray]:
        values = self._all_numbers()
        if values is not None:
            return "number", values
        codes, raw = self._raw_coded
        texts = [None if is_missing(text) else text.strip() for text in raw]
        present = [text for text in texts if text is not None]
        for kind, read in (("number", number), ("boolean", _boolean), ("date", day)):
            meaning: list[float] = []
            try:
                meaning.extend(np.nan if text is None else read(text) for text in texts)
            except ValueError:
                if kind == "number" and any(_reads(number, text) for text in present):
                    return "mixed", np.empty(0)
                continue
            return kind, np.array(meaning)[codes]
        return "text", np.empty(0)

    @property
    def _present(self) -> np.ndarray:
        codes, raw = self._raw_coded
        return np.array([not is_missing(text) for text in raw], bool)[codes]

    def _are_numbers(self) -> np.ndarray:
        codes, raw = self._raw_coded
        known = [not is_missing(text) and _reads(number, text) for text in raw]
        return np.array(known, bool)[codes]


def _boolean(text: str) -> float:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError
    return value


def _reads(read: Any, text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


class MixedCells(TextCells):
    """Text and numbers in one column of Python objects, as in a pandas data frame.

    Parameters
    ----------
    cells : list of str
        Missing ones as ''.
    is_number : ndarray of bool
        Which cells were numbers.
    """

    def __init__(self, cells: list[str], is_number: np.ndarray) -> None:
        super().__init__(cells)
        self._is_number = is_number

    @cached_property
    def _read(self) -> tuple[str, np.ndarray]:
        return "mixed", np.empty(0)

    def _are_numbers(self) -> np.ndarray:
        return self._is_number


class NumberCells(Cells):
    """Numbers that have a type in the source.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Integers or floats.
    missing : ndarray of bool, optional
        Cells without a value; NaN counts as missing, too.
    type_name : str, optional
    """

    kind = "number"

    def __init__(
        self, values: np.ndarray, missing: np.ndarray | None = None, type_name: str = ""
    ) -> None:
        super().__init__(len(values), type_name or values.dtype.name)
        self._values, self._missing = values, missing

    def held(self, row: int) -> str:
        """Return a number in its shortest exact form, '' if it is missing."""
        if self._missing is not None and self._missing[row]:
            return ""
        return _number_text(self._values[row])

    def floats(self) -> np.ndarray:
        """Return the numbers."""
        result = self._values.astype(np.float64)
        if self._missing is not None:
            result[self._missing] = np.nan
        return result

    def coded(self) -> Coded:
        """Return codes of the numbers as text, in increasing order."""
        missing = np.isnan(self._values) if self._values.dtype.kind == "f" else None
        if self._missing is not None:
            missing = self._missing if missing is None else missing | self._missing
        codes = np.full(len(self), -1)
        present = slice(None) if missing is None else ~missing
        distinct, codes[present] = np.unique(self._values[present], return_inverse=True)
        return Coded(codes, [_number_text(value) for value in distinct])


def _number_text(value: Any) -> str:
    # 1.0 becomes 1: a column of whole numbers has floats as soon as one is missing.
    if isinstance(value, np.floating) and value.is_integer() and abs(float(value)) < 2**53:
        return str(int(value))
    return str(value)


class BooleanCells(Cells):
    """True and false.

    Parameters
    ----------
    values : ndarray of bool
    missing : ndarray of bool, optional
    """

    kind = "boolean"

    def __init__(self, values: np.ndarray, missing: np.ndarray | None = None) -> None:
        super().__init__(len(values), "bool")
        self._values, self._missing = values, missing

    def held(self, row: int) -> str:
        """Return 'True', 'False', or '' if it is missing."""
        gone = self._missing is not None and self._missing[row]
        return "" if gone else str(bool(self._values[row]))

    def floats(self) -> np.ndarray:
        """Return 1 for true, 0 for false."""
        result = self._values.astype(np.float64)
        if self._missing is not None:
            result[self._missing] = np.nan
        return result

    def coded(self) -> Coded:
        """Return codes of 'False' and 'True'."""
        codes = self._values.astype(np.int64)
        if self._missing is not None:
            codes[self._missing] = -1
        return _used(codes, ["False", "True"])


class DateCells(Cells):
    """Dates and times.

    Parameters
    ----------
    values : ndarray of datetime64
        NaT where a cell is missing.
    type_name : str, optional
    """

    kind = "date"

    def __init__(self, values: np.ndarray, type_name: str = "") -> None:
        super().__init__(len(values), type_name or values.dtype.name)
        self._values = values

    def held(self, row: int) -> str:
        """Return a date in ISO form, '' if it is missing."""
        return "" if np.isnat(self._values[row]) else _date_text(self._values[row])

    def floats(self) -> np.ndarray:
        """Return days since 1970-01-01."""
        unit = np.timedelta64(1, "D")
        result: np.ndarray = (self._values - np.datetime64(0, "D")) / unit
        return result

    def coded(self) -> Coded:
        """Return codes of the dates in ISO form."""
        present = ~np.isnat(self._values)
        codes = np.full(len(self), -1)
        distinct, codes[present] = np.unique(self._values[present], return_inverse=True)
        return Coded(codes, [_date_text(value) for value in distinct])


def _date_text(value: np.datetime64) -> str:
    date = value.astype("datetime64[D]")
    if date == value:
        return str(date)
    second = value.astype("datetime64[s]")
    return str(second) if second == value else str(value)


class CodedCells(Cells):
    """Text, kept as codes. It stays text if it looks like numbers; ISO dates count as dates.

    Parameters
    ----------
    codes : ndarray of int
        -1 where a cell is missing.
    texts : sequence of str
        Texts that stand for a missing value in a CSV file do so here, too.
    """

    def __init__(self, codes: np.ndarray, texts: Sequence[str]) -> None:
        super().__init__(len(codes), "text")
        index: dict[str, int] = {}
        lookup = np.empty(len(texts) + 1, np.int64)
        lookup[-1] = -1
        for i, text in enumerate(texts):
            lookup[i] = -1 if is_missing(text) else index.setdefault(text.strip(), len(index))
        self._coded = _used(lookup[codes], list(index))

    @cached_property
    def kind(self) -> str:  # type: ignore[override]
        """The kind: "date" if all texts are ISO dates, else "text"."""
        texts = self._coded.texts
        return "date" if texts and all(_reads(day, text) for text in texts) else "text"

    def held(self, row: int) -> str:
        """Return a cell's text, '' if it is missing."""
        code = self._coded.codes[row]
        return self._coded.texts[code] if code >= 0 else ""

    def floats(self) -> np.ndarray:
        """Return dates as days since 1970-01-01."""
        days = np.array([*map(day, self._coded.texts), np.nan])
        return days[self._coded.codes]

    def coded(self) -> Coded:
        """Return codes of the texts."""
        return self._coded


def _used(codes: np.ndarray, texts: list[str]) -> Coded:
    """Leave out texts that no row has: a dictionary may hold more texts than its column."""
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    if counts.all():
        return Coded(codes, texts)
    lookup = np.append(np.cumsum(counts > 0) - 1, -1)
    return Coded(lookup[codes], [t for t, n in zip(texts, counts, strict=True) if n])
