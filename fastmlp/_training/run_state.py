"""A run's state as JSON values and arrays, and digests that identify its data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._saving.untrusted import BadFileError, take
from .._utils import arguments
from .._utils.sparse import CsrRows, Inputs
from ..callbacks import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from .data import Rows

if TYPE_CHECKING:
    from ..callbacks import Callback

NAMES = ("x", "y", "sample_weight")

# Callbacks that a checkpoint may make again: they hold plain values and write no files. Others
# must be given again, so that a file cannot choose which files are written.
REMADE: dict[str, type[Callback]] = {
    cls.__name__: cls for cls in (EarlyStopping, ReduceLROnPlateau, TerminateOnNaN)
}


def parse_every(value: Any) -> tuple[float | None, int | None]:
    """Return seconds, or epochs, between two checkpoints.

    Parameters
    ----------
    value : float or str
        Seconds, also as '90' or '90 s'; 'epoch', or '10 epochs'.

    Returns
    -------
    seconds : float or None
    epochs : int or None

    Raises
    ------
    ValueError
        If it is neither.
    """
    match = None
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(?:(\d{1,9})?\s*epochs?|(\d{1,12}(?:\.\d*)?)\s*s?)\s*", value)
    if match and match[2] is None:
        return None, arguments.integer("checkpoint_every", int(match[1] or 1))
    try:
        rule = "seconds, above 0, or a text such as 'epoch' or '10 epochs'"
        number = float(match[2]) if match else value
        return arguments.number("checkpoint_every", number, rule, lambda v: v > 0), None
    except ValueError:
        raise ValueError(
            f"checkpoint_every must be {rule}. Received: checkpoint_every={arguments.shown(value)}"
        ) from None


def digest(array: Inputs | None) -> dict[str, Any] | None:
    """Return an array's shape and a digest of its type, shape and values; None for None."""
    import hashlib

    if array is None:
        return None
    state = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=16)
    for part in array.parts() if isinstance(array, CsrRows) else (array,):
        state.update(np.ascontiguousarray(part).data)
    return {"shape": list(array.shape), "digest": state.hexdigest()}


def describe_data(rows: Any, validation: Any) -> dict[str, Any]:
    """Return the digests of all arrays, or of files, by the names that messages use.

    Parameters
    ----------
    rows, validation : Rows or ParquetStream
        `validation` may be None.
    """
    parts: dict[str, Any] = {}
    for prefix, data in (("", rows), ("validation ", validation)):
        digests: list[Any] = [None] * len(NAMES)
        if isinstance(data, Rows):
            digests = [digest(array) for array in data]
        elif data is not None:
            digests[0] = data.identity()
        parts |= {prefix + name: part for name, part in zip(NAMES, digests, strict=True)}
    return parts


def encode(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """Return `value` as JSON values, and put its arrays into `arrays`; `decode` is the inverse."""
    if isinstance(value, np.ndarray):
        if value.dtype.str not in ("<f4", "<f8"):
            raise ValueError(
                "A checkpoint keeps arrays of float32 or float64. "
                f"Received: {value.dtype} in the state of a callback"
            )
        arrays[name] = np.ascontiguousarray(value)
        return {"array": name}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(
                "get_state of a callback must return a dict whose keys are strings. "
                f"Received: {arguments.shown(value)}"
            )
        return {"dict": {k: encode(v, arrays, f"{name}.{k}") for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [encode(part, arrays, f"{name}.{i}") for i, part in enumerate(value)]
    if isinstance(value, (float, np.floating)):
        return {"float": str(value)} if not math.isfinite(value) else float(value)
    if isinstance(value, np.integer):
        return int(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise ValueError(
        "get_state of a callback must return plain values or arrays. "
        f"Received: {arguments.shown(value)}"
    )


def decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the value that `encode` was given."""
    if isinstance(value, list):
        return [decode(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"array"}:
        name = take(value, "array", str)
        if name not in arrays:
            raise BadFileError(f"array {name!r} is missing")
        return np.array(arrays[name])
    if value.keys() == {"float"}:
        return float(take(value, "float", str))
    return {key: decode(part, arrays) for key, part in take(value, "dict", dict).items()}
