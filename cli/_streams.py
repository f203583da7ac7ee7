"""Standard streams that may be closed, of a poor encoding, or without a reader."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO


def open_missing() -> None:
    """Have all three standard streams, those that are closed from and to nowhere.

    Otherwise a file that is opened later would get the number of one, and whatever C code writes
    to standard error would end in it.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if descriptor > 2:
            os.close(descriptor)
            break
        os.set_inheritable(descriptor, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # Tables with names that the encoding lacks, as in a C locale.
        sys.stdout.reconfigure(errors="backslashreplace")


class Unbroken:
    """Standard error that drops what it cannot write: no reader, or a full disk.

    Parameters
    ----------
    stream : text file
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or write nowhere."""
        try:
            return self._stream.write(text)
        except OSError:
            forget(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or flush nowhere."""
        try:
            self._stream.flush()
        except OSError:
            forget(self._stream)


def forget(stream: TextIO) -> None:
    """Let whatever a stream still buffers, or is given later, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
