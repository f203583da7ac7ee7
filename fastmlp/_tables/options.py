"""How a file is read: the options that a user gives, and what was detected in its columns."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .._utils import arguments
from ..errors import ModelFileError

_WORDS = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " "}


@dataclass(frozen=True)
class ReadingOptions:
    """How to read a table from a file of text or a workbook.

    Parameters
    ----------
    delimiter : str, optional
        Separator of columns: one character, or ``"tab"``; a space means any white space. None:
        detected.
    decimal : {".", ","}, optional
        Decimal separator. None: detected.
    thousands : {",", ".", " ", "'", ""}, optional
        Thousands separator, ``""`` for none. None: detected.
    encoding : str, optional
        Such as ``"utf-8"`` or ``"cp1252"``. None: detected.
    comment : str, optional
        Lines that begin with this text are skipped. None: `#`, `%` or `//` above the header.
    header : bool, optional
        Whether the first row contains the column names; if not, they are ``x1`` to ``xk``. None: it
        does, and a first row that looks like data is an error.
    missing : str or sequence of str, optional
        Words for a missing value, in addition to empty cells. None: ``NA``, ``N/A``, ``NaN``,
        ``null``, ``#N/A`` and ``<NA>``. In columns of numbers and dates, these words are always
        missing values.
    dates : {"dmy", "mdy"}, optional
        Order of day and month in numeric dates. None: detected from the column.
    sheet : str, optional
        Sheet of a workbook. None: the first with a table.
    settled : dict, optional
        Settings detected in an earlier table, used where a later one is ambiguous: "decimal",
        "thousands", "dates", "encoding" of a file that is not UTF-8, and the list "left_out".
    """

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    comment: str | None = None
    header: bool | None = None
    missing: Sequence[str] | None = None
    dates: str | None = None
    sheet: str | None = None
    settled: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_delimiter()
        if self.decimal is not None:
            arguments.one_of("decimal", self.decimal, (".", ","))
        if self.thousands is not None:
            arguments.one_of("thousands", self.thousands, (",", ".", " ", "'", ""))
            if self.thousands == (self.decimal or None):
                raise ValueError(
                    "decimal and thousands must differ. Received: "
                    f"decimal={self.decimal!r}, thousands={self.thousands!r}"
                )
        if self.encoding is not None:
            try:
                codecs.lookup(arguments.instance("encoding", self.encoding, str))
                b"a".decode(self.encoding)
            except (LookupError, ValueError) as error:
                if isinstance(error, UnicodeDecodeError):
                    pass  # an encoding of two bytes a character
                else:
                    raise ValueError(
                        "encoding must be one that Python knows, such as 'utf-8' or 'cp1252'. "
                        f"Received: encoding={arguments.shown(self.encoding)}"
                    ) from None
        if self.comment is not None and not (isinstance(self.comment, str) and self.comment):
            raise ValueError(
                "comment must be the text that comment lines begin with. Received: "
                f"comment={arguments.shown(self.comment)}"
            )
        if self.header is not None:
            arguments.flag("header", self.header)
        if self.missing is not None:
            given = [self.missing] if isinstance(self.missing, str) else self.missing
            given = arguments.items("missing", given, "words", ordered=False)
            words = [arguments.instance("a word in missing", word, str) for word in given]
            object.__setattr__(self, "missing", tuple(word.strip() for word in words))
        if self.dates is not None:
            arguments.one_of("dates", self.dates, ("dmy", "mdy"))
        if self.sheet is not None:
            arguments.instance("sheet", self.sheet, str)
        arguments.instance("settled", self.settled, dict)

    def _check_delimiter(self) -> None:
        given = self.delimiter
        if given is None:
            return
        if isinstance(given, str):
            given = _WORDS.get(given.lower(), given)
            object.__setattr__(self, "delimiter", given)
        if not isinstance(given, str) or len(given) != 1 or given in '\r\n"':
            raise ValueError(
                "delimiter must be one character, or 'tab'. Received: "
                f"delimiter={arguments.shown(self.delimiter)}"
            )

    @property
    def given(self) -> dict[str, Any]:
        """The options that are given, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "settled"}
        return {name: value for name, value in values.items() if value is not None}

    def over(self, other: ReadingOptions | None) -> ReadingOptions:
        """Return these options, filled up with those of `other` that are not given here."""
        if other is None:
            return self
        settled = {**other.settled, **self.settled}
        if other.encoding is not None:  # a later file may well be UTF-8
            settled["encoding"] = other.encoding
        given = {"encoding": None, **self.given}
        return replace(other, **given, settled=settled)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a plain JSON document.

        Returns
        -------
        dict
        """
        result = self.given
        if self.missing is not None:
            result["missing"] = list(self.missing)
        if self.settled:
            result["settled"] = dict(self.settled)
        return result

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> ReadingOptions:
        """Restore the options from an untrusted JSON document.

        Parameters
        ----------
        state : dict
            As `to_dict` returns it.
        source : str
            Name of the document's file in error messages.

        Returns
        -------
        ReadingOptions

        Raises
        ------
        ModelFileError
            If the document is damaged.
        """
        try:
            if not isinstance(state, Mapping):
                raise ValueError(f"{arguments.shown(state)} is not a mapping")
            options = cls(**state)
            known = {"decimal": (".", ","), "dates": ("dmy", "mdy"),
                     "thousands": (",", ".", " ", "'", "")}  # fmt: skip
            for name, value in options.settled.items():
                if name == "left_out":
                    names = arguments.items(name, value, "names", ordered=True)
                    if not all(isinstance(each, str) for each in names):
                        raise ValueError("columns left out are not a list of names")
                elif name == "encoding":
                    cls(encoding=value)
                elif value not in known.get(name, ()):
                    raise ValueError(f"{arguments.shown(name)} is {arguments.shown(value)}")
            return options
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{source}: damaged reading options: {error}") from error
