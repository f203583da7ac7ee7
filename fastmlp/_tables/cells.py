"""Columns of cells as sources hold them: unparsed text, or values with a type."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from . import dates, numerals
from .context import COUNTRIES, MISSING, Context
from .dates import day
from .numerals import Conflict, Style

__all__ = ["MISSING", "day"]

_BOOLEANS = {"true": 1.0, "false": 0.0}
_GROUPED = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)")
_PLAIN = Style("", "", "", False, True)
_COMMAS = Style(",", "", "", False, False)
_MANY = 2000  # distinct cells that are looked at first
_NO_CONTEXT = Context()


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


class Settled(NamedTuple):
    """What a column of text turned out to be.

    Attributes
    ----------
    kind : str
    values : ndarray
    how : Style, Days, Conflict or None
        The way in which numbers or dates are written, or why that is unclear.
    """

    kind: str
    values: np.ndarray
    how: Any = None


class Cells:
    """One column of a table.

    Attributes
    ----------
    kind : {"number", "boolean", "date", "text", "mixed", "unsettled", "other"}
        What the cells are: "mixed" if some are numbers and some text, "unsettled" if they can be
        read in several ways, "other" if a network cannot use them.
    type_name : str
        The source's own name for the type.
    context : Context
        What the columns of a table share.
    how : Style, Days, Conflict or None
        The way in which text writes numbers or dates.
    certain_decimal, certain_order : str or None
        What this column shows to the others: the decimal separator, the order of day and month.
    """

    kind: str = "other"
    type_name: str = "text"
    context: Context = _NO_CONTEXT
    how: Any = None
    certain_decimal: str | None = None
    certain_order: str | None = None

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

    def coded(self, declared: bool = False) -> Coded:
        """Return the cells as codes of their texts.

        `declared`: the user declares the column categorical, so that "NA" is a category of text.
        """
        raise TypeError(self.kind)

    def sample(self) -> Sequence[str]:
        """Return some cells of a column of text."""
        return ()

    def mixed(self) -> MixedColumn:
        """Describe a mixed column."""
        raise TypeError(self.kind)

    def rows_of(self, conflict: Conflict) -> tuple[int, int]:
        """Return the rows of the two cells that show why a column is unsettled."""
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
        return self._settled.kind

    @property
    def how(self) -> Any:
        """The way in which numbers or dates are written."""
        return self._settled.how

    def held(self, row: int) -> str:
        """Return a cell without the space around it."""
        return self.cells[row].strip()

    def floats(self) -> np.ndarray:
        """Return the values that the texts stand for."""
        return self._settled.values

    def coded(self, declared: bool = False) -> Coded:
        """Return codes of the texts, stripped, in order of first occurrence."""
        codes, raw = self._raw_coded
        index: dict[str, int] = {}
        lookup = np.empty(len(raw), np.int64)
        typed = self.kind not in ("text", "mixed")
        namibia = not typed and self.context.options.missing is None
        namibia = namibia and (declared or self.keeps_namibia)
        for i, text in enumerate(raw):
            text = text.strip()
            missing = self.context.is_missing(text, typed) and not (namibia and text == "NA")
            lookup[i] = -1 if missing else index.setdefault(text, len(index))
        return Coded(lookup[codes], list(index))

    @cached_property
    def keeps_namibia(self) -> bool:
        """Whether "NA" is a category because all other cells are codes of countries, too."""
        return self.kind == "text" and _lists_countries(self._raw_coded.texts, self.context)

    def mixed(self) -> MixedColumn:
        """Find the rarer kind."""
        of_dates = self.how == "dates"
        is_number = self._are_dates() if of_dates else self._are_numbers()
        is_text = ~is_number & self._present
        n_numbers, n_text = int(is_number.sum()), int(is_text.sum())
        number = "a date" if of_dates else "a number"
        few, what = (is_text, "text") if n_text <= n_numbers else (is_number, number)
        return MixedColumn(int(np.argmax(few)), what, n_numbers, n_text)

    def odd_words(self) -> list[str]:
        """Return the distinct texts that are not numbers (or dates) in a mixed column."""
        is_number = self._are_dates() if self.how == "dates" else self._are_numbers()
        codes, raw = self._raw_coded
        return list(
            dict.fromkeys(raw[i].strip() for i in dict.fromkeys(codes[~is_number & self._present]))
        )

    def rows_of(self, conflict: Conflict) -> tuple[int, int]:
        """Return the rows of the two cells of a conflict."""
        codes, raw = self._raw_coded
        present = self._distinct
        stripped = np.array([text.strip() for text in raw], object)
        first, second = (
            int(np.argmax((stripped == present[i])[codes]))
            for i in (conflict.first, conflict.second)
        )
        return first, second

    def distinct(self, i: int) -> str:
        """Return one of the distinct texts."""
        return self._distinct[i]

    @cached_property
    def _raw_coded(self) -> Coded:
        index: dict[str, int] = {}
        codes = np.fromiter(
            (index.setdefault(cell, len(index)) for cell in self.cells), np.int64, len(self)
        )
        return Coded(codes, list(index))

    @cached_property
    def _distinct(self) -> list[str]:
        """The distinct texts, stripped, that do not stand for a missing number."""
        raw, missing = self._raw_coded.texts, self.context.is_missing
        return list(dict.fromkeys(text.strip() for text in raw if not missing(text, True)))

    def sample(self) -> Sequence[str]:
        """Return the first cells."""
        return self._first(1000)

    def first_match(self, pattern: str) -> str | None:
        """Return the first cell that begins as a pattern says, or None."""
        return next(filter(re.compile(pattern).match, self.cells), None)

    @cached_property
    def _plain(self) -> np.ndarray | None:
        return self._all_numbers()

    @cached_property
    def _commas(self) -> np.ndarray | None:
        return self._all_numbers(",")

    def _all_numbers(self, decimal: str = ".") -> np.ndarray | None:
        """Return the cells as numbers if every cell is one: a fast path for the common case."""
        if any(_reads(number, word) for word in self.context.options.missing or ()):
            return None
        try:
            cells: Any = self.cells
            if decimal == ",":
                if any("." in cell for cell in cells):
                    return None
                cells = (cell.replace(",", ".") for cell in cells)
            return np.array(list(map(number, cells)), np.float64)
        except ValueError:
            return None

    def _first(self, n: int) -> Sequence[str]:
        return list(islice(self.cells, n))

    @cached_property
    def certain_decimal(self) -> str | None:  # type: ignore[override]
        """The decimal separator that the cells allow only."""
        found = numerals.certain_decimal(self._present_first())
        if found is None or len(self) <= _MANY:
            return found
        if (self._plain if found == "." else self._commas) is not None:
            return found
        return numerals.certain_decimal(self._distinct)

    @cached_property
    def certain_order(self) -> str | None:  # type: ignore[override]
        """The order of day and month that the cells allow only."""
        if not all(map(dates.is_date, self._present_first())):
            return None
        settled = dates.settle(self._distinct)
        proved = isinstance(settled, dates.Days) and settled.shows is not None
        return settled.order if isinstance(settled, dates.Days) and proved else None

    def _present_first(self) -> list[str]:
        """Return the first cells, stripped, without missing ones."""
        missing = self.context.is_missing
        return [t.strip() for t in dict.fromkeys(self._first(_MANY)) if not missing(t, True)]

    @property
    def _reads_plainly(self) -> bool:
        options = self.context.options
        return options.decimal in (None, ".") and options.thousands != "."

    def _may_have_thousands(self) -> bool:
        """Return whether the points in plain numbers may stand between thousands, as in 1.234."""
        if self.context.options.decimal is not None or not self.context.delimiter:
            return False
        first = self._first(1000)
        if len(self) <= len(first) and "." not in "".join(first):
            return False
        if not all(_GROUPED.fullmatch(text.strip()) for text in first if text.strip()):
            return False
        texts = self._distinct
        if not any("." in text for text in texts) or not all(map(_GROUPED.fullmatch, texts)):
            return False
        return self.context.delimiter == ";" or self.context.decimal(self) == ","

    @cached_property
    def _settled(self) -> Settled:
        if self._reads_plainly:
            values = self._plain
            if values is not None and not self._may_have_thousands():
                return Settled("number", values, _PLAIN)
        if len(self) > _MANY:
            found = self._settle_numbers(self._present_first())
            simple = isinstance(found, numerals.Numbers) and found.style == _COMMAS
            if simple and self._commas is not None:
                return Settled("number", self._commas, _COMMAS)
        texts, codes = self._distinct, self._raw_coded.codes
        if not texts:
            return Settled("number", np.full(len(self), np.nan), _PLAIN)
        if self._reads_plainly and not self._may_have_thousands():
            plain = _all(number, texts)
            if plain is not None:
                return Settled("number", self._spread(plain), _PLAIN)
        found = self._styled_numbers()
        if isinstance(found, numerals.Numbers):
            return Settled("number", self._spread(found.values), found.style)
        if isinstance(found, Conflict):
            return Settled("unsettled", np.empty(0), found)
        flags = _all(_boolean, texts)
        if flags is not None:
            return Settled("boolean", self._spread(flags))
        days = dates.settle(texts, self.context.options.dates, lambda: self.context.order(self))
        if isinstance(days, dates.Days):
            return Settled("number" if days.times else "date", self._spread(days.values), days)
        if isinstance(days, Conflict):
            return Settled("unsettled", np.empty(0), days)
        counts = np.bincount(codes, minlength=len(self._raw_coded.texts))
        if any(_reads(number, text) for text in texts) or self._most(numerals.is_number, counts):
            return Settled("mixed", np.empty(0), "numbers")
        if self._most(dates.is_date, counts):
            return Settled("mixed", np.empty(0), "dates")
        return Settled("text", np.empty(0))

    def _styled_numbers(self) -> numerals.Numbers | Conflict | None:
        texts = self._distinct
        if len(texts) > _MANY and self._settle_numbers(texts[:_MANY]) is None:
            return None
        return self._settle_numbers(texts)

    def _settle_numbers(self, texts: list[str]) -> numerals.Numbers | Conflict | None:
        options = self.context.options
        return numerals.settle(
            texts, options.decimal, options.thousands, lambda: self.context.decimal(self)
        )

    def _spread(self, values: Sequence[float]) -> np.ndarray:
        """Return the value of each row from those of the distinct texts."""
        codes, raw = self._raw_coded
        by_text = dict(zip(self._distinct, values, strict=True))
        return np.array([by_text.get(text.strip(), np.nan) for text in raw])[codes]

    def _most(self, reads: Callable[[str], bool], counts: np.ndarray) -> bool:
        """Return whether most cells with a value can be read so; of very many, the first."""
        raw = self._raw_coded.texts[:_MANY]
        present = {i: t.strip() for i, t in enumerate(raw) if not self.context.is_missing(t, True)}
        total = sum(int(counts[i]) for i in present)
        return 2 * sum(int(counts[i]) for i, text in present.items() if reads(text)) > total

    @property
    def _present(self) -> np.ndarray:
        return self._marked(lambda text: True)

    def _are_numbers(self) -> np.ndarray:
        return self._marked(numerals.is_number)

    def _are_dates(self) -> np.ndarray:
        return self._marked(dates.is_date)

    def _marked(self, holds: Callable[[str], bool]) -> np.ndarray:
        codes, raw = self._raw_coded
        missing = self.context.is_missing
        known = [not missing(text, True) and holds(text.strip()) for text in raw]
        return np.array(known, bool)[codes]


def _lists_countries(texts: Sequence[str], context: Context) -> bool:
    if context.options.missing is not None:
        return False
    stripped = {text.strip() for text in texts if text.strip()}
    # Beside one other word, "NA" is rather a missing answer, such as of NO or NA.
    return "NA" in stripped and len(stripped) > 2 and stripped <= COUNTRIES


def _all(read: Callable[[str], float], texts: Sequence[str]) -> list[float] | None:
    try:
        return list(map(read, texts))
    except ValueError:
        return None


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
    def _settled(self) -> Settled:
        return Settled("mixed", np.empty(0), "numbers")

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

    def coded(self, declared: bool = False) -> Coded:
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

    def coded(self, declared: bool = False) -> Coded:
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

    def coded(self, declared: bool = False) -> Coded:
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
    """Text, kept as codes. It stays text if it looks like numbers; dates count as dates.

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
            lookup[i] = index.setdefault(text.strip(), len(index)) if text.strip() else -1
        self._coded = _used(lookup[codes], list(index))

    @cached_property
    def _settled(self) -> Settled:
        """The kind: "date" if all texts are dates, else "text"."""
        texts = [t for t in self._coded.texts if not self.context.is_missing(t, True)]
        if not texts:
            return Settled("text", np.empty(0))
        days = dates.settle(texts, self.context.options.dates, lambda: self.context.order(self))
        if isinstance(days, Conflict):
            return Settled("unsettled", np.empty(0), days)
        if not isinstance(days, dates.Days) or days.times:
            return Settled("text", np.empty(0))
        by_text = dict(zip(texts, days.values, strict=True))
        values = np.array([*(by_text.get(t, np.nan) for t in self._coded.texts), np.nan])
        return Settled("date", values[self._coded.codes], days)

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The kind: "date" if all texts are dates, else "text"."""
        return self._settled.kind

    @property
    def how(self) -> Any:
        """The way in which dates are written."""
        return self._settled.how

    def sample(self) -> Sequence[str]:
        """Return texts that are numbers in some way of writing, if all of the first are."""
        texts = self._coded.texts[:1000]
        return texts if all(map(numerals.is_number, texts)) else ()

    def held(self, row: int) -> str:
        """Return a cell's text, '' if it is missing."""
        code = self._coded.codes[row]
        return self._coded.texts[code] if code >= 0 else ""

    def floats(self) -> np.ndarray:
        """Return dates as days since 1970-01-01."""
        return self._settled.values

    def distinct(self, i: int) -> str:
        """Return one of the distinct texts."""
        return [t for t in self._coded.texts if not self.context.is_missing(t, True)][i]

    def rows_of(self, conflict: Conflict) -> tuple[int, int]:
        """Return the rows of the two cells of a conflict."""
        first, second = (
            int(np.argmax(self._coded.codes == self._coded.texts.index(self.distinct(i))))
            for i in (conflict.first, conflict.second)
        )
        return first, second

    @cached_property
    def certain_order(self) -> str | None:  # type: ignore[override]
        """The order of day and month that the cells allow only."""
        settled = dates.settle(self._coded.texts)
        proved = isinstance(settled, dates.Days) and settled.shows is not None
        return settled.order if isinstance(settled, dates.Days) and proved else None

    @cached_property
    def keeps_namibia(self) -> bool:
        """Whether "NA" is a category because all other cells are codes of countries, too."""
        return _lists_countries(self._coded.texts, self.context)

    def coded(self, declared: bool = False) -> Coded:
        """Return codes of the texts."""
        codes, texts = self._coded
        keeps = self.context.options.missing is None and (declared or self.keeps_namibia)
        gone = [self.context.is_missing(t) and not (keeps and t == "NA") for t in texts]
        if not any(gone):
            return self._coded
        kept = np.cumsum(~np.array(gone)) - 1
        lookup = np.append(np.where(gone, -1, kept), -1)
        return Coded(lookup[codes], [t for t, g in zip(texts, gone, strict=True) if not g])


def _used(codes: np.ndarray, texts: list[str]) -> Coded:
    """Leave out texts that no row has: a dictionary may hold more texts than its column."""
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    if counts.all():
        return Coded(codes, texts)
    lookup = np.append(np.cumsum(counts > 0) - 1, -1)
    return Coded(lookup[codes], [t for t, n in zip(texts, counts, strict=True) if n])
