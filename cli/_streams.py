"""Standard streams that are closed, have a limited encoding, or have no reader."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO


def open_missing() -> None:
    """Open the standard streams that are closed on the null device.

    Otherwise a file that is opened later would get the descriptor of one, and C code that writes
    to standard error would write into this file.
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
        # For tables with names that the encoding lacks, as in a C locale.
        sys.stdout.reconfigure(errors="backslashreplace")


class PipeSafeStream:
    """Standard error that drops what it cannot write, without a reader or on a full disk.

    Parameters
    ----------
    stream : text file
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        try:
            return self._stream.write(text)
        except OSError:
            forget(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop the buffer."""
        try:
            self._stream.flush()
        except OSError:
            forget(self._stream)


def forget(stream: TextIO) -> None:
    """Redirect a stream, with what it still buffers, to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
