"""What reads and makes which kind of model: the one place in the package that imports upward.

A model's file has no kind. The module of a kind is imported when such a model is read or made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .untrusted import BadFileError

_MODULES = {"ensemble": "fastmlp.ensembles"}
_READERS = {"ensemble": "read_ensemble"}
_CLASSES = {"ensemble": "Ensemble"}


def reader(kind: Any) -> Callable[..., Any]:
    """Return the function that makes an object from a file of this kind.

    It is called with the file's description, its arrays and the custom objects.

    Raises
    ------
    BadFileError
        If this version does not know the kind.
    """
    if not isinstance(kind, str) or kind not in _READERS:
        raise BadFileError(f"it is of a kind that this fastmlp does not know, {kind!r}")
    function: Callable[..., Any] = getattr(importlib.import_module(_MODULES[kind]), _READERS[kind])
    return function


def maker(kind: str) -> Callable[..., Any]:
    """Return the class of models of this kind."""
    made: Callable[..., Any] = getattr(importlib.import_module(_MODULES[kind]), _CLASSES[kind])
    return made
