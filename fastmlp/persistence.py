"""Model files: safetensors for the arrays, JSON in its metadata for the rest. Data only, no code.

A file holds everything that a further `fit` needs to go on: architecture, weights, compilation,
the optimizer's state, seed and history; and `training_config` and `extras`. What a file says is
checked against its size before anything of that size is allocated.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks
from .callbacks import History
from .errors import DataError, ModelFileError
from .layers import Dense, Dropout, Layer

if TYPE_CHECKING:
    from .models import Sequential

_KEY = "fastmlp"  # one metadata key: the library would write several in an order of its own
_VERSION = 1
_MAX_HEADER = 100_000_000  # bytes; the safetensors library reads no longer ones
_TYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_LAYERS: dict[str, type[Layer]] = {"Dense": Dense, "Dropout": Dropout}


# ---- writing -----------------------------------------------------------------------------------


def write_atomically(path: str | Path, data: bytes, overwrite: bool = True) -> None:
    """Write a file so that, whatever happens, its name means the old content or the new.

    Parameters
    ----------
    path : str or Path
    data : bytes
    overwrite : bool
        If False, an existing file is an error.

    Raises
    ------
    FileExistsError
        If the file exists and must not be overwritten.
    OSError
        If writing fails; the old file is intact then.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(target)
        else:
            os.link(temporary, target)  # fails if the name is taken, without a race
            temporary.unlink()
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _arrays(model: Sequential) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and a view of every array that a file keeps."""
    network = model.network
    slots = model.optimizer.slots if model.optimizer and _step(model) else ()
    for i, layer in enumerate(model.dense_layers):
        yield f"layers.{i}.weights", network.weights(i)
        if layer.use_bias:
            yield f"layers.{i}.bias", network.bias(i)
        for s in slots:
            yield f"optimizer.{s}.{i}.weights", network.weights_slot(s, i)
            if layer.use_bias:
                yield f"optimizer.{s}.{i}.bias", network.bias_slot(s, i)


def _step(model: Sequential) -> int:
    """Return the optimizer's steps; 0 if it has yet to start, or to start anew."""
    return int(model.network.step) if model.configured else 0


def _described(model: Sequential) -> dict[str, Any]:
    saved = _checks.saved
    compiled = model.optimizer is not None and model.loss is not None
    history = model.history
    return {
        "version": _VERSION,
        "name": model.name,
        "dtype": model.dtype.name,
        "seed": model.seed,
        "n_fits": model.n_fits,
        "n_inputs": model.n_inputs,
        "layers": [saved(layer) for layer in model.layers],
        "compile": {
            "optimizer": saved(model.optimizer),
            "loss": saved(model.loss),
            "metrics": [saved(metric) for metric in model.metrics],
        }
        if compiled
        else None,
        "step": _step(model),
        "history": None
        if history is None
        else {
            "epoch": history.epoch,
            # A string where JSON has no number: 'inf', 'nan'.
            "history": {
                key: [v if math.isfinite(v) else str(v) for v in values]
                for key, values in history.history.items()
            },
            "params": history.params,
            "interrupted": history.interrupted,
        },
        "training_config": model.training_config,
        "extras": model.extras,
    }


def to_bytes(model: Sequential) -> bytes:
    """Return what `save_model` writes.

    Parameters
    ----------
    model : Sequential
        Built; its weights are drawn if they were not yet.

    Returns
    -------
    bytes
        Equal for equal models.

    Raises
    ------
    ValueError
        If `extras` or `training_config` hold anything but plain JSON values.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(view) for name, view in _arrays(model)}
    try:
        text = json.dumps(_described(model), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            "model.extras and model.training_config must hold plain, finite JSON values. "
            f"Received: {error}"
        ) from None
    return save(arrays, {_KEY: text})


def save_model(model: Sequential, path: str | Path, overwrite: bool = True) -> None:
    """Write a model to a file, atomically.

    Parameters
    ----------
    model : Sequential
    path : str or Path
    overwrite : bool
        If False, an existing file is an error (FileExistsError).
    """
    write_atomically(path, to_bytes(model), overwrite)


# ---- reading -----------------------------------------------------------------------------------


class _BadFileError(Exception):
    """Says what is wrong with a file; becomes a ModelFileError that names it."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise _BadFileError("a name in it occurs twice")
    return result


def _no_constant(text: str) -> Any:
    raise _BadFileError(f"{text} is no JSON number")


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _BadFileError("its header is not JSON") from None
    return _of_type("its header", value, dict)


def _of_type(what: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _BadFileError(f"{what} must be of type {kind.__name__}, not {type(value).__name__}")
    return value


def _take(table: Mapping[str, Any], key: str, kind: type) -> Any:
    if key not in table:
        raise _BadFileError(f"{key!r} is missing")
    return _of_type(repr(key), table[key], kind)


def _count(table: Mapping[str, Any], key: str, least: int = 0) -> int:
    value = _take(table, key, int)
    if not least <= value < 2**63:
        raise _BadFileError(f"{key!r} must be at least {least} and below 2**63")
    return value


def _tensor(name: str, entry: Any, data: memoryview) -> tuple[int, int, np.ndarray]:
    """Return where an array begins and ends in the data, and a view of it."""
    entry = _of_type(f"the entry of {name!r}", entry, dict)
    kind, shape, span = (_take(entry, "dtype", str), _take(entry, "shape", list),
                         _take(entry, "data_offsets", list))  # fmt: skip
    if kind not in _TYPES:
        raise _BadFileError(f"array {name!r} has the unknown type {kind!r}")
    for number in (*shape, *span):
        if _of_type(f"a number of {name!r}", number, int) < 0:
            raise _BadFileError(f"array {name!r} has a negative size or place")
    size = math.prod(shape) * _TYPES[kind].itemsize
    if len(span) != 2 or span[1] > len(data) or span[1] - span[0] != size:
        raise _BadFileError(f"the size of array {name!r} does not match its shape or the file")
    return span[0], span[1], np.frombuffer(data[span[0] : span[1]], _TYPES[kind]).reshape(shape)


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Split a file's content into the description and the arrays, views of `data`."""
    if len(data) < 8:
        raise _BadFileError("it is too short")
    length = int.from_bytes(data[:8], "little")
    if length > min(len(data) - 8, _MAX_HEADER):
        raise _BadFileError("it is cut off, or no model file at all")
    header = _parsed(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
        raise _BadFileError("it is a safetensors file, but not of fastmlp")
    body = memoryview(data)[8 + length :]
    tensors = {name: _tensor(name, entry, body) for name, entry in header.items()}
    end = 0
    for start, stop, _ in sorted(tensors.values(), key=lambda t: t[:2]):
        if start != end:
            raise _BadFileError("its arrays overlap or leave gaps")
        end = stop
    if end != len(body):
        raise _BadFileError("its arrays do not fill it")
    return _parsed(metadata[_KEY]), {name: t[2] for name, t in tensors.items()}


def _layers(table: Mapping[str, Any]) -> list[Layer]:
    made = []
    for entry in _take(table, "layers", list):
        _of_type("a layer", entry, dict)
        name, config = _take(entry, "class_name", str), _take(entry, "config", dict)
        if name not in _LAYERS:
            raise _BadFileError(f"there is no layer {name!r}")
        made.append(_LAYERS[name](**config))
    return made


def _expected_shapes(model: Sequential, step: int) -> dict[str, tuple[int, ...]]:
    slots = model.optimizer.slots if model.optimizer and step else ()
    shapes = {}
    for i, layer in enumerate(model.dense_layers):
        for part, shape in zip(("weights", "bias"), layer.shapes, strict=False):
            shapes[f"layers.{i}.{part}"] = shape
            shapes |= {f"optimizer.{s}.{i}.{part}": shape for s in slots}
    return shapes


def _check_arrays(model: Sequential, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Require exactly the arrays that the architecture needs, before any is copied."""
    expected = _expected_shapes(model, step)
    if expected.keys() != arrays.keys():
        odd = sorted(expected.keys() ^ arrays.keys())
        raise _BadFileError(
            f"its arrays do not match its layers: {odd[0]!r} is missing or too many"
        )
    kind = model.dtype
    for name, array in arrays.items():
        if array.shape != expected[name] or array.dtype != kind:
            raise _BadFileError(
                f"array {name!r} must be {expected[name]} of {kind}, "
                f"not {array.shape} of {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise _BadFileError(f"array {name!r} holds a value that is not finite")
    for s in model.optimizer.square_slots if model.optimizer else ():
        for name, array in arrays.items():
            if name.startswith(f"optimizer.{s}.") and array.min() < 0:
                raise _BadFileError(f"array {name!r} holds a mean square below 0")


def _history(table: Any) -> History | None:
    if table is None:
        return None
    _of_type("'history'", table, dict)
    history = History()
    history.epoch = [_of_type("an epoch", e, int) for e in _take(table, "epoch", list)]
    history.history = {
        key: [float(value) for value in _of_type(f"the history of {key!r}", values, list)]
        for key, values in _take(table, "history", dict).items()
    }
    history.params = _take(table, "params", dict)
    history.interrupted = _take(table, "interrupted", bool)
    return history


def _made(data: bytes) -> Sequential:
    from .models import Sequential

    table, arrays = _read(data)
    version = _take(table, "version", int)
    if version != _VERSION:
        raise _BadFileError(
            f"it has format version {version}; this fastmlp reads version {_VERSION}"
        )
    layers = _layers(table)
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if not dense or not isinstance(layers[-1], Dense) or len(dense) > len(arrays):
        raise _BadFileError("its layers make no network, or do not match its arrays")
    model = Sequential(
        layers,
        seed=_take(table, "seed", int),
        dtype=_take(table, "dtype", str),
        name=_take(table, "name", str),
    )
    model.build((_count(table, "n_inputs", 1),))
    compiled, step = table.get("compile"), _count(table, "step")
    if compiled is not None:
        _of_type("'compile'", compiled, dict)
        optimizer, loss = (_take(compiled, key, dict) for key in ("optimizer", "loss"))
        model.compile(optimizer, loss, _take(compiled, "metrics", list))
    elif step:
        raise _BadFileError("'step' is set though nothing is compiled")
    _check_arrays(model, step, arrays)
    model.n_fits = _count(table, "n_fits")
    model.history = _history(table.get("history"))
    model.training_config = _take(table, "training_config", dict)
    model.extras = _take(table, "extras", dict)
    model.materialise(draw=False)
    if compiled is not None:
        model.ready().step = step
    for name, view in _arrays(model):
        view[...] = arrays[name]
    return model


def from_bytes(data: bytes, name: str = "the data") -> Sequential:
    """Return the model that `to_bytes` wrote.

    Parameters
    ----------
    data : bytes
    name : str
        Where they came from, for messages.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If anything is wrong with them.
    """
    try:
        return _made(data)
    except (_BadFileError, DataError, ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{name} is not a usable model file: {error}") from None


def load_model(path: str | Path) -> Sequential:
    """Read a model from a file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or no model; the message names it.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            raise ModelFileError(f"{path} is not a usable model file: it is no regular file")
        data = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(f"Cannot read model file {path}: {reason}") from None
    return from_bytes(data, str(path))
