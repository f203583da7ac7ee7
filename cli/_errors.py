"""Errors as one line, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import click

from fastmlp.errors import DataError, DivergedError, ModelFileError, RankError, printable

RUN_TIME, USAGE, DIVERGED, BAD_FILE, INTERRUPTED = 1, 2, 3, 4, 130


def _fail(message: str, code: int) -> int:
    click.echo(f"Error: {printable(' '.join(message.split()))}", err=True)
    return code


def describe(error: BaseException) -> str:
    """Return one line that describes an error."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{(error.strerror or str(error)).lower()}"
    if isinstance(error, MemoryError):
        return f"not enough memory. {error}"
    if isinstance(error, (DataError, ModelFileError, DivergedError, RankError)):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted"
    return _unexpected(error)


def _unexpected(error: BaseException) -> str:
    """Return one line with what a bug report needs of an unexpected error."""
    place, trace = "", error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_globals.get("__name__", "").startswith("fastmlp."):
            place = f" at {Path(frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return (
        f"unexpected {type(error).__name__}{place}: {error} "
        "(please report this, with what `fastmlp doctor` prints)"
    )
