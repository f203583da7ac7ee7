"""A training history in a model's file: JSON, or arrays if it is long."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._model.history import ContinuedHistory, History
from .untrusted import BadFileError, of_type, take

_MOST_VALUES = 100_000  # as JSON; arrays are a third as large and much faster to write
_BLOCK = 1 << 20  # values
_DOUBLE = np.dtype("<f8")


def plain(value: float) -> float | str:
    """Return a float for JSON, which lacks some: 'inf', '-inf' and 'nan' become strings."""
    return value if math.isfinite(value) else str(value)


def to_description(
    history: History | None,
) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """Return the description of a history and its arrays, for a file.

    Parameters
    ----------
    history : History or None

    Returns
    -------
    table : dict or None
        Plain JSON values. A long history's has only the names.
    arrays : dict of str to ndarray
        For a long history: 'history.epoch', and 'history.0' and so on for the names in order.
    """
    if history is None:
        return None, {}
    if isinstance(history, ContinuedHistory):
        history = history.merged(copy=True)
    rest = {"params": history.params, "interrupted": history.interrupted}
    lists = history.history
    if sum(map(len, lists.values())) <= _MOST_VALUES:
        values = {key: [plain(v) for v in values] for key, values in lists.items()}
        return {"epoch": history.epoch, "history": values, **rest}, {}
    names = sorted(lists)
    arrays = {f"history.{i}": np.array(lists[name], _DOUBLE) for i, name in enumerate(names)}
    arrays["history.epoch"] = np.array(history.epoch, _DOUBLE)
    return {"history": names, **rest}, arrays


def from_description(table: Any, arrays: dict[str, np.ndarray]) -> History | None:
    """Return the history that a file describes.

    Parameters
    ----------
    table : object
        The description, parsed from JSON.
    arrays : dict of str to ndarray
        All arrays of the file; those of the history are removed.

    Returns
    -------
    History or None
        A long history makes its lists on first access: they take four times as much memory as
        the arrays.

    Raises
    ------
    BadFileError, ValueError, TypeError
        If the description is wrong.
    """
    if table is None:
        return None
    of_type("'history'", table, dict)
    history = History()
    if isinstance(table.get("history"), list):
        history.keep(*_long(table["history"], arrays))
    else:
        history.epoch = [of_type("an epoch", e, int) for e in take(table, "epoch", list)]
        history.history = {
            key: [float(value) for value in of_type(f"the history of {key!r}", values, list)]
            for key, values in take(table, "history", dict).items()
        }
    history.params = take(table, "params", dict)
    history.interrupted = take(table, "interrupted", bool)
    return history


def _long(
    names: list[Any], arrays: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    def row(key: str) -> np.ndarray:
        array = arrays.pop(key, None)
        if array is None or array.ndim != 1 or array.dtype != _DOUBLE:
            raise BadFileError(f"array {key!r} is missing, or not a row of float64")
        return array.copy()

    epoch = row("history.epoch")
    for start in range(0, len(epoch), _BLOCK):  # in blocks, to need little memory
        part = epoch[start : start + _BLOCK]
        if not ((part >= 0) & (part < 2**53) & (part == np.floor(part))).all():
            raise BadFileError("an epoch of its history is not a whole number")
    found = {
        of_type("a name of the history", name, str): row(f"history.{i}")
        for i, name in enumerate(names)
    }
    if len(found) != len(names):
        raise BadFileError("its history has a name twice")
    return epoch, found
