"""Import packages of extras when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import DataError


def require(name: str, extra: str, what: str) -> Any:
    """Import a module of an extra; the error tells how to install it.

    Parameters
    ----------
    name, extra : str
    what : str
        What needs it: the beginning of the message.

    Raises
    ------
    DataError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise DataError(
            f"{what} needs {package}, which is not installed: pip install 'fastmlp[{extra}]'"
        ) from error
