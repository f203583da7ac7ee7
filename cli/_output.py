"""Output: checks before the work, files written whole after it, JSON, messages."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from fastmlp.errors import printable

from ._groups import option

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fastmlp.ensembles import Ensemble
    from fastmlp.models import Sequential


class Failure(click.ClickException):
    """A failure at run time, such as output that cannot be written: exit code 1."""

    exit_code = 1


@dataclass
class Messages:
    """Notes on standard error, as many as were asked for."""

    quiet: bool = option("-q", "--quiet", is_flag=True, help="Print no notes and no progress.")
    verbose: bool = option("-v", "--verbose", is_flag=True, help="Print more notes.")

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise click.UsageError("--quiet and --verbose exclude each other")

    @property
    def verbosity(self) -> int:
        """The library's argument `verbose`."""
        return 0 if self.quiet else 1

    def note(self, text: str) -> None:
        """Print what was decided or done."""
        if not self.quiet:
            click.echo(printable(text), err=True)

    def notes(self, *texts: str | None) -> None:
        """Print notes; None is nothing to say."""
        for text in texts:
            if text is not None:
                self.note(text)

    def detail(self, text: str) -> None:
        """Print a detail, if --verbose asks for it."""
        if self.verbose and not self.quiet:
            click.echo(printable(text), err=True)


@dataclass
class OutputOptions:
    """Where a command's results go: the file or directory of -o, and standard output."""

    output: str | None = option("-o", "--output")
    force: bool = option("--force", is_flag=True, help="Replace output files that exist.")
    as_json: bool = option(
        "--json", is_flag=True, help="Print one JSON document instead of tables."
    )

    @property
    def file(self) -> str:
        """The file of a -o that is required, or has a default."""
        assert self.output is not None
        return self.output

    def check(self) -> None:
        """Fail, before any work is done, if the file could not be written afterwards."""
        check_output(self.output, self.force)


def refuse_standard_output(path: str | None, what: str, option: str = "--output") -> None:
    """Fail if a file that must be a file is standard output."""
    if path == "-":
        raise click.BadParameter(
            f"{what} cannot be written to standard output; give a file name",
            param_hint=f"'{option}'",
        )


def check_output(path: str | None, force: bool) -> None:
    """Fail, before any work is done, if a file could not be written afterwards."""
    if path is None or path == "-":
        return
    from fastmlp._utils import atomic

    with _io_failures(path):
        if Path(path).is_dir():
            raise Failure(f"{path}: is a directory, expected a file")
        if Path(path).exists() and not force:
            does = "writes into it" if atomic.is_special(path) else "replaces it"
            raise Failure(f"{path}: the file exists; --force {does}")
        atomic.check(path)


def check_model(path: str | None, model: Sequential, epochs: int, members: int = 1) -> None:
    """Fail, before training, if there is no room for a file of the model or of its members."""
    if path is None:
        return
    from fastmlp._saving import fmlp
    from fastmlp._utils import atomic

    with _io_failures(path):
        size = fmlp.room_needed(model, epochs, weights_only=members > 1)
        atomic.check(path, members * size)


def check_outputs(
    directory: str | None, names: Iterable[str], force: bool, create: bool = True
) -> None:
    """Fail, before any work is done, if files could not be written in a directory afterwards."""
    if directory is None:
        return
    top = Path(directory)
    with _io_failures(directory):
        if top.exists() and not top.is_dir():
            raise Failure(f"{directory}: is a file, expected a directory")
        names = list(names)
        for name in names:
            if (top / name).is_dir():
                raise Failure(f"{top / name}: is a directory, expected a file")
            if (top / name).exists() and not force:
                raise Failure(f"{top / name}: the file exists; --force replaces it")
        if create:
            from fastmlp._utils import atomic

            for folder in dict.fromkeys([top, *((top / name).parent for name in names)]):
                if not folder.exists():
                    folder.mkdir(parents=True)
                atomic.check_directory(folder)
            for name in names:
                if (top / name).exists():
                    atomic.check(top / name)


@contextlib.contextmanager
def _io_failures(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        place = getattr(error, "filename", None) or path
        if place != path and str(place) in path:  # the directory, say
            reason = f"{place}: {reason}"
        raise Failure(f"{path}: cannot be written: {reason[:1].lower()}{reason[1:]}") from error


def keep(made: Sequential | Ensemble, path: str) -> None:
    """Save what was trained; if that fails, save it among the temporary files and say so."""
    try:
        made.save(path)
    except OSError as error:
        try:
            with _io_failures(path):
                raise
        except Failure as failure:
            import secrets
            import tempfile

            place = Path(tempfile.gettempdir()) / f"fastmlp-{secrets.token_hex(4)}.fmlp"
            try:
                made.save(place)
            except OSError:
                raise failure from error
            raise Failure(f"{failure.message}; {place} has what was trained") from error


@contextlib.contextmanager
def open_text(path: str) -> Iterator[TextIO]:
    """Collect text for a file that is written whole or not at all; - is standard output."""
    text = io.StringIO(newline="")
    yield text
    write_bytes(path, text.getvalue().encode())


def write_bytes(path: str, data: bytes) -> None:
    """Write a whole file, replacing an old one in one step; - is standard output."""
    if path == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    from fastmlp._utils.atomic import write_atomically

    with _io_failures(path):
        write_atomically(path, data)


def print_json(document: Any) -> None:
    """Print one JSON document; numbers that are not finite become null."""
    click.echo(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def console(least_width: int = 40) -> Console:
    """Return a Rich console for tables on standard output, `least_width` wide at least."""
    from rich.console import Console

    class Pipeable(Console):
        def on_broken_pipe(self) -> None:  # Rich would end the process with code 1
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    width = Console(file=sys.stdout).width
    return Pipeable(file=sys.stdout, highlight=False, width=max(width, least_width))


def grid(padding: Any = (0, 1)) -> Table:
    """Return an empty table; control characters in its cells, which files may have, are escaped."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    class PrintableTable(Table):
        def add_row(self, *cells: Any, **row: Any) -> None:
            shown = (printable(cell) if isinstance(cell, str) else cell for cell in cells)
            super().add_row(*shown, **row)

    return PrintableTable(box=SIMPLE_HEAD, pad_edge=False, padding=padding)


def significant(value: float | None, digits: int = 6) -> str:
    """Format a number for a table; None becomes empty text."""
    return "" if value is None else f"{value:.{digits}g}"
