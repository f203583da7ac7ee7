"""The options that say how a file with a table is written, for all commands that read one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ._groups import option

if TYPE_CHECKING:
    from fastmlp.datasets import ReadingOptions, Table

    from ._output import Messages


@dataclass
class Reading:
    """The options that say how a file of text is written; None where it is found out."""

    delimiter: str | None = option(
        "--delimiter",
        metavar="CHARACTER",
        help="Character between columns of a text file; tab, or space for any white space.  "
        "[default: detected]",
    )
    decimal: str | None = option(
        "--decimal",
        type=click.Choice([".", ","]),
        help="Decimal separator.  [default: detected]",
    )
    thousands: str | None = option(
        "--thousands",
        type=click.Choice([",", ".", " ", "'", ""]),
        help="Thousands separator; '' for none.  [default: detected]",
    )
    encoding: str | None = option(
        "--encoding",
        metavar="NAME",
        help="Encoding of a text file, such as utf-8 or cp1252.  [default: detected]",
    )
    comment: str | None = option(
        "--comment",
        metavar="TEXT",
        help="Skip lines that begin with this text.  [default: #, % or //, if the first line "
        "begins with it]",
    )
    header: bool | None = option(
        "--header/--no-header",
        default=None,
        help="Whether the first row contains the column names; without a header, columns are x1, "
        "x2, ...  [default: header; a first row that looks like data is an error]",
    )
    missing: str | None = option(
        "--missing",
        metavar="TEXT,...",
        help="Words for a missing value, in addition to empty cells.  [default: NA, N/A, NaN, "
        "null, #N/A and <NA>]",
    )
    dates: str | None = option(
        "--dates",
        type=click.Choice(["dmy", "mdy"]),
        help="Order of day and month in numeric dates.  [default: detected]",
    )
    sheet: str | None = option(
        "--sheet",
        metavar="NAME",
        help="Sheet of a workbook (.xlsx).  [default: the first with a table]",
    )

    @property
    def keywords(self) -> dict[str, Any]:
        """Arguments of `datasets.read_table`."""
        missing = None if self.missing is None else tuple(self.missing.split(","))
        return {**vars(self), "missing": missing}

    @property
    def given(self) -> list[str]:
        """The options that were given, for an error message."""
        return [name for name, value in vars(self).items() if value is not None]

    def table(
        self, path: str, report: Messages | None = None, like: ReadingOptions | None = None
    ) -> Table:
        """Read a table, and print what was found out.

        Parameters
        ----------
        path : str
        report : Messages, optional
            Prints the notes.
        like : ReadingOptions, optional
            How the table of the training was read.

        Returns
        -------
        Table
        """
        from fastmlp import datasets

        from . import _options

        with _options.library_call():
            table = datasets.read_table(path, **self.keywords, like=like)
        if report is not None:
            for note in table.notes:
                report.note(note)
        return table


def of_model(model: Any) -> ReadingOptions | None:
    """Return how the table was read that a model was trained on, if it keeps that."""
    from fastmlp.datasets import ReadingOptions

    state = getattr(model, "extras", {}).get("reading")
    return None if state is None else ReadingOptions.from_dict(state, f"model {model.name!r}")
