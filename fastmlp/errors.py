"""The errors and warnings that fastmlp defines, so that callers can tell one kind from another."""

from __future__ import annotations

import re

_LONGEST_NAME = 200  # characters of a quoted text
_LONGEST = 2000  # characters of a message


def printable(text: str) -> str:
    """Return a text that is safe to print, even if parts of it come from an untrusted file.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Control characters, which could change a terminal, are escaped as in Python. A very long
        text in quotes is cut, and so is a very long message.
    """
    if not text.isascii() or not text.isprintable():
        # Not "unicode_escape": a file must not make Python import a codec.
        text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    if len(text) > _LONGEST_NAME:
        text = re.sub(rf"'[^']{{{_LONGEST_NAME},}}'", _cut, text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 500]}...{text[-400:]} ({len(text):,} characters)"
    return text


def _cut(quoted: re.Match[str]) -> str:
    name = quoted[0][1:-1]
    return f"'{name[:_LONGEST_NAME]}...' ({len(name):,} characters)"


class _PrintableError(ValueError):
    """An error whose message may quote a file."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(printable(part) if isinstance(part, str) else part for part in args))


class DataError(_PrintableError):
    """Data cannot be used: wrong shape or type, not finite, empty, or a bad table."""


class ModelFileError(_PrintableError):
    """A model file is damaged, or is not one; the message names the file."""


class ModelWarning(UserWarning):
    """A fitted model is of little use, or differs from the requested one."""


class RankError(RuntimeError):
    """Another process that trains the same network has failed; the message says why."""


class DivergedError(RuntimeError):
    """Training reached a loss, weight or optimizer moment that is not finite.

    The model holds the weights of the latest finite snapshot when this is raised.

    Parameters
    ----------
    message : str
    epoch : int
        The epoch in which it happened, counted from 1.
    layer : str or None
        Name of the first Dense layer with such a value; None if only the loss has one.
    """

    def __init__(self, message: str, *, epoch: int = 0, layer: str | None = None) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.layer = layer
