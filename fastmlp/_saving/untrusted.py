"""Parse untrusted JSON and safetensors within memory limits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

MAX_HEADER = 60_000_000  # bytes
_MAX_WIDE = 8_000_000  # bytes of text that is not ASCII: decoding takes four times as much
_TYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}

# Memory, in bytes, that Python's objects take for a character of JSON: measured, rounded up.
_COSTS = {"{": 200, "[": 64, ",": 36, ":": 150, '"': 15}
_SPARE = 48 << 20  # bytes; a parsed text may take these and the size of its file


class BadFileError(Exception):
    """Something is wrong with a file; becomes a ModelFileError that names the file."""


# ---- JSON --------------------------------------------------------------------------------------


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise BadFileError("a name in it occurs twice")
    return result


def _no_constant(text: str) -> Any:
    raise BadFileError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise BadFileError(f"{text[:40]} is not a number that a double can hold")
    return value


def too_much(text: str, size: int) -> bool:
    """Return whether a JSON text could take much more memory than its file, of `size` bytes."""
    return len(text) + sum(weight * text.count(s) for s, weight in _COSTS.items()) > size + _SPARE


def decoded(raw: bytes | memoryview, what: str) -> str:
    """Return UTF-8 as text, or raise BadFileError."""
    try:
        return str(raw, "ascii")
    except UnicodeDecodeError:
        if len(raw) > _MAX_WIDE:
            raise BadFileError(f"{what} is long, and not ASCII") from None
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise BadFileError(f"{what} is not UTF-8") from None


def parsed(text: str | bytes | memoryview, size: int, what: str = "its header") -> dict[str, Any]:
    """Return the dictionary that a file's JSON text describes.

    Parameters
    ----------
    text : str, bytes or memoryview
    size : int
        Bytes of the whole file, which limit the memory that the text may take.
    what : str
        Name of the text, to begin messages with.

    Raises
    ------
    BadFileError
        If it is not JSON or not a dictionary, has a name twice, or would take much more memory
        than the file.
    """
    if not isinstance(text, str):
        text = decoded(text, what)
    if too_much(text, size):
        raise BadFileError(f"{what} describes more than a model has")
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        raise BadFileError(f"{what} is not JSON") from None
    return of_type(what, value, dict)


def loads(text: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    BadFileError
        If it has a name twice, NaN, an infinity, or a number beyond the doubles such as 1e999.
    ValueError, RecursionError
        If it is not JSON.
    """
    return json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
    )


def of_type(what: str, value: Any, kind: type) -> Any:
    """Return `value` if it is of that type; a bool is not an int."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadFileError(f"{what} must be of type {kind.__name__}, not {type(value).__name__}")
    return value


def take(table: Mapping[str, Any], key: str, kind: type) -> Any:
    """Return ``table[key]`` if it is there and of that type."""
    if key not in table:
        raise BadFileError(f"{key!r} is missing")
    return of_type(repr(key), table[key], kind)


def count(table: Mapping[str, Any], key: str, least: int = 0) -> int:
    """Return ``table[key]`` if it is an integer of at least `least`."""
    value = take(table, key, int)
    if not least <= value < 2**63:
        raise BadFileError(f"{key!r} must be at least {least} and below 2**63")
    return value


# ---- safetensors -------------------------------------------------------------------------------


def _tensor(name: str, entry: Any, data: memoryview) -> tuple[int, int, np.ndarray]:
    """Return an array's begin and end in the data, and a view of it."""
    entry = of_type(f"the entry of {name!r}", entry, dict)
    kind, shape, span = (take(entry, "dtype", str), take(entry, "shape", list),
                         take(entry, "data_offsets", list))  # fmt: skip
    if kind not in _TYPES:
        raise BadFileError(f"array {name!r} has the unknown type {kind!r}")
    for number in (*shape, *span):
        if of_type(f"a number of {name!r}", number, int) < 0:
            raise BadFileError(f"array {name!r} has a negative size or place")
    size = math.prod(shape) * _TYPES[kind].itemsize
    if len(span) != 2 or span[1] > len(data) or span[1] - span[0] != size:
        raise BadFileError(f"the size of array {name!r} does not match its shape or the file")
    return span[0], span[1], np.frombuffer(data[span[0] : span[1]], _TYPES[kind]).reshape(shape)


def checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return a digest of a description and of arrays: names, types, shapes and values.

    Parameters
    ----------
    text : str
    arrays : mapping of str to ndarray
        Arrays in C order; the mapping's order does not matter.

    Returns
    -------
    str
        32 hexadecimal digits, of BLAKE2b.
    """
    import hashlib

    state = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        entry = f"\n{name} {array.dtype.str} {array.shape}\n"
        state.update(entry.encode(errors="surrogatepass"))
        state.update(array.reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def safetensors_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file of float32 and float64 arrays; equal for equal arguments.

    The safetensors library writes several metadata keys in an arbitrary order.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        In C order.
    metadata : mapping of str to str

    Returns
    -------
    bytes
    """
    names = {np.dtype(kind): name for name, kind in _TYPES.items()}
    # The wider type first: the format requires aligned arrays.
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    at = 0
    for name in order:
        array = arrays[name]
        end = at + array.nbytes
        entry = {"dtype": names[array.dtype], "shape": list(array.shape)}
        header[name] = {**entry, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    # Flattened: an array without dimensions or elements has no byte buffer to join.
    values = [arrays[name].reshape(-1).view(np.uint8).data for name in order]
    return b"".join([len(text).to_bytes(8, "little"), text, *values])


def safetensors(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Split a safetensors file into its metadata and its arrays, views of `data`.

    Raises
    ------
    BadFileError
        If it is damaged, or an array is neither float32 nor float64.
    """
    if len(data) < 8:
        raise BadFileError("it is too short")
    length = int.from_bytes(data[:8], "little")
    if length > min(len(data) - 8, MAX_HEADER):
        raise BadFileError("it is cut off, or not a model file")
    header = parsed(memoryview(data)[8 : 8 + length], len(data))
    metadata = of_type("its metadata", header.pop("__metadata__", {}), dict)
    body = memoryview(data)[8 + length :]
    tensors = {name: _tensor(name, entry, body) for name, entry in header.items()}
    end = 0
    for start, stop, _ in sorted(tensors.values(), key=lambda t: t[:2]):
        if start != end:
            raise BadFileError("its arrays overlap or leave gaps")
        end = stop
    if end != len(body):
        raise BadFileError("its arrays do not fill it")
    return metadata, {name: t[2] for name, t in tensors.items()}
