"""`fastmlp playground`: a page on which a network is seen learning."""

from __future__ import annotations

import click

from . import _help, _options
from ._groups import group
from ._output import Messages
from ._reading import Reading

EPILOG = """\b
Examples:
  fastmlp playground
  fastmlp playground --lesson two-units
  fastmlp playground my.csv --target price
  fastmlp playground --port 8000 --no-browser

The lessons, in their order: two-units, eight-units, wide, very-wide, depth, deep-and-wide, repair,
l2, l1, classifier, dropout, vanishing.

The page draws every unit as the map or curve of its output, every weight as an edge, the fitted
curve or surface, and the losses. You can play, pause, step and rewind training, and change
penalties, dropout, the learning rate, units and layers while it runs. The page copies its settings
as a command, as TOML or as Python.

The server listens on this machine only and accepts only the address that it prints. The page works
offline. Needs fastmlp[playground].
"""

# A test compares them with those of the library, which imports NumPy.
LESSONS = ("two-units", "eight-units", "wide", "very-wide", "depth", "deep-and-wide", "repair",
           "l2", "l1", "classifier", "dropout", "vanishing")  # fmt: skip


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("data", required=False)
@click.option("--target", metavar="COLUMN", help="The column to predict.  [default: the last]")
@click.option(
    "--lesson",
    type=click.Choice(LESSONS),
    metavar="NAME",
    help="Begin with this lesson of the lecture; see the names below.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the server.  [default: one that is free]",
)
@click.option(
    "--browser/--no-browser",
    default=True,
    help="Whether to open the page in a browser.  [default: browser]",
)
@group(Reading, "reading")
@_options.threads
@_options.common
def command(
    data: str | None,
    target: str | None,
    lesson: str | None,
    port: int,
    browser: bool,
    reading: Reading,
    report: Messages,
) -> None:
    """Open a page on which a network is seen learning.

    DATA is a file with a table to train on; - is CSV from standard input. Without DATA, the page
    offers the lecture's data and some shapes. Ctrl-C ends the playground.
    """
    if data is None and (target is not None or reading.given):
        raise click.UsageError("--target and options of reading need DATA")
    from fastmlp import playgrounds

    playgrounds.check_installed()
    table = None if data is None else reading.table(data, report)
    with _options.library_call():
        playgrounds.playground(
            table, target, lesson=lesson, port=port, browser=browser, notebook=False
        )
