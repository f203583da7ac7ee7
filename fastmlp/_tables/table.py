"""Tables: named columns of cells, from any file or frame. Errors name the cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from weakref import WeakValueDictionary

import numpy as np

from ..errors import DataError
from . import doubts
from .cells import Cells, Coded, TextCells
from .context import Context
from .numerals import Conflict
from .options import ReadingOptions


class Table:
    """Named columns, and the place in the source of each row.

    Parameters
    ----------
    source : str
        Name of the table in error messages, such as the file's.
    columns : mapping of str to Cells or sequence of str
        Of equal length. A sequence of str is text that may stand for numbers, as in a CSV file.
    lines : sequence of int, optional
        The line of the file on which each row ends, where the source has lines.
    first_row : int
        Rows of the source that come before this table.
    context : Context, optional
        How the source was read.

    Attributes
    ----------
    left_out : list of str
        Columns of the source that are not part of the table, such as an index.
    """

    context = Context()

    def __init__(
        self,
        source: str,
        columns: Mapping[str, Cells | Sequence[str]],
        lines: Sequence[int] | None = None,
        first_row: int = 0,
        context: Context | None = None,
    ) -> None:
        self.source = source
        self.context = Context() if context is None else context
        self.columns = {
            name: cells if isinstance(cells, Cells) else TextCells(cells)
            for name, cells in columns.items()
        }
        self.lines = lines
        self.first_row = first_row
        self._all = self.columns  # of the source: what `context` knows weakly
        self.context.columns = WeakValueDictionary(self._all)
        for column in self.columns.values():
            column.context = self.context

    @property
    def names(self) -> list[str]:
        """The columns' names, in the source's order."""
        return list(self.columns)

    @property
    def n_rows(self) -> int:
        """The number of rows, a header not counted."""
        return len(next(iter(self.columns.values()), ()))

    @property
    def left_out(self) -> list[str]:
        """Columns of the source that are not part of the table, such as an index."""
        return self.context.left_out

    @property
    def notes(self) -> list[str]:
        """One sentence for each guess that was made in reading the source."""
        return self.context.sentences(self.source) + doubts.sentences(self.source, self.columns)

    @property
    def reading(self) -> ReadingOptions:
        """The reading options with the detected settings, for later tables."""
        return self.context.reading()

    def without(self, names: Collection[str]) -> Table:
        """Return the table without some columns.

        Parameters
        ----------
        names : collection of str

        Returns
        -------
        Table
            Its columns are still settled with what the columns left out show.
        """
        for name in names:
            self.require(name)
        result = object.__new__(Table)
        vars(result).update(vars(self))
        result.columns = {n: cells for n, cells in self.columns.items() if n not in names}
        return result

    def where(self, row: int, name: str) -> str:
        """Name a cell for messages: source, row (from 1), line if there are lines, and column."""
        line = "" if self.lines is None else f" (line {self.lines[row]})"
        return f"{self.source}: row {self.first_row + row + 1}{line}, column '{name}'"

    def held(self, row: int, name: str) -> str:
        """Return a cell as text for messages."""
        return self.columns[name].held(row)

    def require(self, name: str, role: str = "column") -> None:
        """Raise DataError unless `name` is a column; suggest the nearest and list all names."""
        if name in self.columns or (role == "column" and name in self.left_out):
            return
        import difflib

        near = difflib.get_close_matches(name, self.names, n=1)
        if not near:  # upper and lower case count as near
            near = [other for other in self.names if other.lower() == name.lower()]
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise DataError(
            f"{self.source}: there is no {role} '{name}'.{hint} Columns: {shortened(self.names)}"
        )

    def kind(self, name: str) -> str:
        """Return the kind of values that a column holds.

        Returns
        -------
        {"number", "boolean", "date", "text"}
            Untyped text counts as numbers, booleans or dates if every cell can be read so. In a
            source with types, only text of ISO dates does.

        Raises
        ------
        DataError
            If the column mixes numbers and text, or holds another kind.
        """
        cells = self.columns[name]
        kind = cells.kind
        if kind == "mixed":
            raise self._mixed(name, cells)
        if kind == "unsettled":
            raise self._unsettled(name, cells)
        if kind == "other":
            raise self.unusable(name)
        return kind

    def _mixed(self, name: str, cells: Cells) -> DataError:
        row, what, n_numbers, n_text = cells.mixed()
        kinds = "dates" if cells.how == "dates" else "numbers"
        advice = "correct it, or declare the column categorical"
        words = cells.odd_words() if isinstance(cells, TextCells) and what == "text" else []
        if 0 < len(words) <= 3:
            advice = (
                f"correct it, or declare the column categorical (--categorical); if it means "
                f"missing, add --missing '{','.join(words)}'"
            )
        if row == 0 and self.first_row == 0 and min(n_numbers, n_text) == 1:
            advice += "; delete the row if it holds units or a second header"
        return DataError(
            f"{self.where(row, name)}: '{self.held(row, name)}' is {what}, but the column "
            f"mixes {kinds} and text ({n_numbers} and {n_text} cells); {advice}"
        )

    def _unsettled(self, name: str, cells: Cells) -> DataError:
        conflict = cells.how
        assert isinstance(conflict, Conflict)
        one, two = cells.rows_of(conflict)
        other = f" and '{self.held(two, name)}' (row {self.first_row + two + 1})"
        return DataError(
            f"{self.where(one, name)}: '{self.held(one, name)}'{other if one != two else ''} "
            f"{conflict.why}; {conflict.remedy}"
        )

    def unusable(self, name: str) -> DataError:
        """Make the error for a column of an unsupported type."""
        return DataError(
            f"{self.source}: column '{name}' has the type {self.columns[name].type_name}; expected "
            "numbers, true and false, dates or text; leave it out"
        )

    def text(self, name: str) -> list[str]:
        """Return a column's cells without the space around them; missing ones as ''."""
        codes, texts = self.coded(name)
        return [texts[code] if code >= 0 else "" for code in codes.tolist()]

    def coded(self, name: str, declared: bool = False) -> Coded:
        """Return a column as categories: for each row the index of its text, -1 if missing.

        Parameters
        ----------
        name : str
        declared : bool
            Whether the user declares the column categorical: then "NA" is a category of text.

        Returns
        -------
        codes : ndarray of int
        texts : list of str
            Distinct; none stands for a missing cell.
        """
        cells = self.columns[name]
        if cells.kind == "other":
            raise self.unusable(name)
        return cells.coded(declared)

    def numbers(self, name: str) -> np.ndarray | None:
        """Return a column of numbers as float64, missing cells as NaN; None for any other kind.

        Raises
        ------
        DataError
            If the column mixes numbers and text, or a number is infinite.
        """
        return self.values(name) if self.kind(name) == "number" else None

    def values(self, name: str) -> np.ndarray:
        """Return numbers, 0 and 1 for booleans, days since 1970-01-01 for dates; missing as NaN.

        Raises
        ------
        DataError
            If a number is infinite.
        """
        values = self.columns[name].floats()
        if is_finite(values):
            return values
        infinite = np.isinf(values)
        if infinite.any():
            row = int(np.argmax(infinite))
            raise DataError(
                f"{self.where(row, name)}: '{self.held(row, name)}' is not a finite number"
            )
        return values


def is_finite(values: np.ndarray) -> bool:
    """Return whether all values are finite, in one pass; False may be wrong for huge values."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def shortened(names: Sequence[str], most: int = 40) -> str:
    """List names; of very many, only the first."""
    shown = ", ".join(names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown


def checked_names(names: Sequence[str], source: str) -> None:
    """Raise DataError if a column has no name or two have the same."""
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name:
            raise DataError(f"{source}: column {position} has no name; give it one")
        if name in seen:
            raise DataError(
                f"{source} names column '{name}' twice, as columns {seen[name]} and {position}; "
                "rename one"
            )
        seen[name] = position
