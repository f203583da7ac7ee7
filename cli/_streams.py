"""Standard streams whose reader may leave."""

from __future__ import annotations

import contextlib
import os
from typing import Any, TextIO


class Unbroken:
    """Standard error, but training goes on when nobody reads it any more.

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
        except BrokenPipeError:
            forget(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or flush nowhere."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            forget(self._stream)


def forget(stream: TextIO) -> None:
    """Let whatever a stream still buffers, or is given later, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
