"""Which function reads which kind of file: the one place in the package that imports upward.

A model's file has no kind. The function is called with the file's description, its arrays and the
custom objects; its module is imported when such a file is read.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .untrusted import BadFileError

_READERS = {"ensemble": ("fastmlp.ensembles", "read_ensemble")}


def reader(kind: Any) -> Callable[..., Any]:
    """Return the function that makes an object from a file of this kind.

    Raises
    ------
    BadFileError
        If this version does not know the kind.
    """
    if not isinstance(kind, str) or kind not in _READERS:
        raise BadFileError(f"it is of a kind that this fastmlp does not know, {kind!r}")
    module, name = _READERS[kind]
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
