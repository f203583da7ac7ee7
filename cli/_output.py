"""Where results go: checks before the work, whole files after it, JSON, messages."""

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

if TYPE_CHECKING:
    from rich.console import Console

    from fastmlp.ensembles import Ensemble
    from fastmlp.models import Sequential


class Failure(click.ClickException):
    """A failure at run time, such as output that cannot be written: exit code 1."""

    exit_code = 1


@dataclass
class Messages:
    """Notes on standard error, as many as were asked for.

    Parameters
    ----------
    quiet : bool
        Nothing but errors.
    verbose : bool
        Details as well.
    """

    quiet: bool = False
    verbose: bool = False

    def note(self, text: str) -> None:
        """Say what was decided or done."""
        if not self.quiet:
            click.echo(printable(text), err=True)

    def detail(self, text: str) -> None:
        """Say more, for those who asked for it."""
        if self.verbose and not self.quiet:
            click.echo(printable(text), err=True)


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
    """Fail, before training, if a file of the model (or so many) could not be written."""
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
    """Save what was trained; if that fails, in the directory for temporary files, and say so."""
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
    """Collect text for a file that appears whole or not at all; - is standard output."""
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
    """Print one JSON document; what is not finite becomes null."""
    click.echo(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def console(least_width: int = 40) -> Console:
    """Return a Rich console for tables on standard output; numbers need `least_width`."""
    from rich.console import Console
    from rich.table import Table

    class Pipeable(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            for table in objects:
                if isinstance(table, Table):  # whose cells may be names from files
                    for column in table.columns:
                        column._cells = [
                            printable(cell) if isinstance(cell, str) else cell
                            for cell in column._cells
                        ]
            super().print(*objects, **options)

        def on_broken_pipe(self) -> None:  # Rich would end the process with code 1
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    width = Console(file=sys.stdout).width
    return Pipeable(file=sys.stdout, highlight=False, width=max(width, least_width))


def significant(value: float | None, digits: int = 6) -> str:
    """Format a figure for a table; nothing for None."""
    return "" if value is None else f"{value:.{digits}g}"
