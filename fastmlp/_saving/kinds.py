"""Which module reads which kind of file: the one place where an import points upward.

A file of a single model has no kind. The module is loaded when such a file is read, and has a
function ``made(table, arrays, custom)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .untrusted import BadFileError

_MODULES = {"ensemble": "fastmlp.ensembles"}


def reader(kind: Any) -> Callable[..., Any]:
    """Return the function that makes an object from the content of a file of this kind.

    Raises
    ------
    BadFileError
        If this version knows no such kind.
    """
    if kind not in _MODULES:
        raise BadFileError(f"it is of a kind that this fastmlp does not know, {kind!r}")
    made: Callable[..., Any] = importlib.import_module(_MODULES[kind]).made
    return made
