"""Model files: safetensors for the arrays, JSON in its metadata for the rest. Data only, no code.

A file holds everything that a further `fit` needs to go on: architecture, weights, compilation,
the optimizer's state, seed and history; and `training_config` and `extras`. A checkpoint is such a
file with, besides, a run in it. What a file says is checked against its size before anything of
that size is allocated.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from .. import losses, metrics, optimizers
from .._model.model import Model
from .._utils import arguments
from .._utils.atomic import write_atomically
from ..errors import DataError, ModelFileError
from ..layers import Dense, made_layers
from . import history as _history
from . import kinds
from .untrusted import (
    MAX_HEADER,
    BadFileError,
    checksum,
    count,
    of_type,
    parsed,
    safetensors,
    safetensors_bytes,
    take,
    too_much,
)

_KEY, _CHECKSUM = "fastmlp", "checksum"  # in a file's metadata
VERSION = 1
_ENTRY = 1500  # bytes that reading an array's name and place may take


# ---- writing -----------------------------------------------------------------------------------

M = TypeVar("M", bound=Model)


def _arrays(model: Model, weights_only: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and a view of every array that a file keeps."""
    network = model.network
    slots: tuple[int, ...] = ()
    if model.optimizer and _step(model) and not weights_only:
        slots = model.optimizer.slots
    for i, layer in enumerate(model.dense_layers):
        yield f"layers.{i}.weights", network.weights(i)
        if layer.use_bias:
            yield f"layers.{i}.bias", network.bias(i)
        for s in slots:
            yield f"optimizer.{s}.{i}.weights", network.weights_slot(s, i)
            if layer.use_bias:
                yield f"optimizer.{s}.{i}.bias", network.bias_slot(s, i)


def _step(model: Model) -> int:
    """Return the optimizer's steps; 0 if it has yet to start, or to start anew."""
    return int(model.network.step) if model.configured else 0


def own_objects(model: Model) -> dict[str, Any]:
    """Return what the model was compiled with that is no part of fastmlp, by its name in a file.

    Parameters
    ----------
    model : Model

    Returns
    -------
    dict of str to class or function
        Losses, metrics, optimizers and schedules written in Python.
    """
    if model.optimizer is None or model.loss is None:
        return {}
    things = [model.optimizer, model.optimizer.schedule, model.loss, *model.metrics]
    own: dict[str, Any] = {}
    for thing in things:
        if isinstance(thing, losses.FunctionLoss):
            own[thing.name] = thing.function
        elif thing is not None and not type(thing).__module__.startswith("fastmlp."):
            own[type(thing).__name__] = type(thing)
    return own


def compilation(model: Model) -> dict[str, Any] | None:
    """Return loss, metrics and optimizer as plain JSON values; None before compile."""
    if model.optimizer is None or model.loss is None:
        return None
    own = sorted(own_objects(model))
    return {
        "optimizer": arguments.saved(model.optimizer),
        "loss": losses.saved(model.loss),
        "metrics": [arguments.saved(metric) for metric in model.metrics],
        **({"custom": own} if own else {}),
    }


def _described(model: Model, weights_only: bool) -> dict[str, Any]:
    """Return what a file says of a model, but for its history."""
    return {
        **model.get_config(),
        "version": VERSION,
        "n_fits": model.n_fits,
        "compile": None if weights_only else compilation(model),
        "step": 0 if weights_only else _step(model),
        "training_config": model.training_config,
        "extras": model.extras,
    }


def to_bytes(
    model: Model,
    run: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None,
    weights_only: bool = False,
) -> bytes:
    """Return what `save_model` writes.

    Parameters
    ----------
    model : Model
        Built; its weights are drawn if they were not yet.
    run : tuple (dict, dict of str to ndarray), optional
        Where a run stands: plain JSON values, and arrays whose names begin with 'run.'.
    weights_only : bool
        Whether compilation, the optimizer's state and the history are left out.

    Returns
    -------
    bytes
        Equal for equal models.

    Raises
    ------
    ValueError
        If `extras`, `training_config` or a configuration hold anything but plain JSON values.
    """
    if model.configured:
        model.ready()  # the optimizer's state follows its settings
    with model.network.lock:  # between two steps, if another thread trains it
        arrays = dict(_arrays(model, weights_only))
        history, kept = _history.to_description(None if weights_only else model.history)
        table = _described(model, weights_only) | {"history": history}
        _require_readable(table)
        arrays |= kept
        if run is not None:
            table["run"] = run[0]
            arrays |= run[1]
        return packed(arrays, table)


def packed(arrays: dict[str, np.ndarray], table: dict[str, Any]) -> bytes:
    """Return a file's content: arrays, and a description in plain, finite JSON values."""
    text = _checked_text(table, len(arrays), sum(array.nbytes for array in arrays.values()))
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors_bytes(whole, {_CHECKSUM: checksum(text, whole), _KEY: text})


def _checked_text(table: dict[str, Any], n_arrays: int, n_bytes: int) -> str:
    """Return a description as JSON; ValueError if a file with it could not be read again."""
    try:
        text = json.dumps(table, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            "model.extras, model.training_config and what get_config returns must hold plain, "
            f"finite JSON values. Received: {error}"
        ) from None
    header = len(text) + text.count('"') + text.count("\\") + _ENTRY * n_arrays  # once escaped
    if header > MAX_HEADER or too_much(text, len(text) + n_bytes - _ENTRY * n_arrays):
        raise ValueError(
            "a model's layers, extras and training_config must be few enough to be read again. "
            f"Received: {len(text):,} characters of JSON in all"
        )
    return text


def room_needed(model: Model, epochs: int = 0, weights_only: bool = False) -> int:
    """Return how many bytes a file of a model will have once it has been trained, or a few less.

    Parameters
    ----------
    model : Model
        Built.
    epochs : int
        That a history will have.
    weights_only : bool
        As for `save_model`.

    Raises
    ------
    ValueError
        If such a file could not be written, or not be read again.
    """
    shapes = [shape for layer in model.dense_layers for shape in layer.shapes]
    n_slots = 0 if weights_only or model.optimizer is None else len(model.optimizer.slots)
    n_values = sum(math.prod(shape) for shape in shapes) * (1 + n_slots)
    n_bytes = n_values * model.dtype.itemsize
    text = _checked_text(_described(model, weights_only), len(shapes) * (1 + n_slots), n_bytes)
    return n_bytes + len(text) + (0 if weights_only else 8 * epochs)


def _require_readable(table: Mapping[str, Any]) -> None:
    """Refuse settings, of an initializer say, that reading the file would refuse."""
    compiled = table["compile"]
    try:
        made_layers(table["layers"])
        if compiled is not None and "custom" not in compiled:
            optimizers.get(compiled["optimizer"])
            losses.get(compiled["loss"])
            names = ["loss", *(metrics.get(metric).name for metric in compiled["metrics"])]
            if len(set(names)) < len(names):
                raise ValueError(f"Names of metrics must differ. Received: {', '.join(names)}")
    except (BadFileError, DataError, ValueError, TypeError) as error:
        raise ValueError(
            f"Model {table['name']!r} has a setting with which its file could not be read: {error}"
        ) from None


def save_model(
    model: Model, path: str | Path, overwrite: bool = True, weights_only: bool = False
) -> None:
    """Write a model to a file, atomically.

    Parameters
    ----------
    model : Model
    path : str or Path
    overwrite : bool
        If False, an existing file is an error (FileExistsError).
    weights_only : bool
        Whether compilation, the optimizer's state and the history are left out.
    """
    write_atomically(path, to_bytes(model, weights_only=weights_only), overwrite)


# ---- reading -----------------------------------------------------------------------------------


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Split a file's content into the description and the arrays, views of `data`."""
    metadata, arrays = safetensors(data)
    if not isinstance(metadata.get(_KEY), str):
        raise BadFileError("it is a safetensors file, but not of fastmlp")
    table = parsed(metadata[_KEY], len(data))
    # Last, as it is the check that takes longest. Files of before have none.
    if _CHECKSUM in metadata and metadata[_CHECKSUM] != checksum(metadata[_KEY], arrays):
        raise BadFileError(
            "it is damaged: its content does not match its checksum. Use another copy of it"
        )
    return table, arrays


def _expected_shapes(model: Model, step: int) -> dict[str, tuple[int, ...]]:
    slots = model.optimizer.slots if model.optimizer and step else ()
    shapes = {}
    for i, layer in enumerate(model.dense_layers):
        for part, shape in zip(("weights", "bias"), layer.shapes, strict=False):
            shapes[f"layers.{i}.{part}"] = shape
            shapes |= {f"optimizer.{s}.{i}.{part}": shape for s in slots}
    return shapes


def checked_array(
    name: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Return a file's array if it is there, finite, and of that shape and type."""
    if name not in arrays:
        raise BadFileError(f"its arrays do not match its layers: {name!r} is missing")
    array = arrays[name]
    if array.shape != shape or array.dtype != dtype:
        raise BadFileError(
            f"array {name!r} must be {shape} of {dtype}, not {array.shape} of {array.dtype}"
        )
    if not np.isfinite(array).all():
        raise BadFileError(f"array {name!r} holds a value that is not finite")
    return array


def _check_arrays(model: Model, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Require exactly the arrays that the architecture needs, before any is copied."""
    expected = _expected_shapes(model, step)
    if expected.keys() != arrays.keys():
        odd = sorted(expected.keys() ^ arrays.keys())
        raise BadFileError(f"its arrays do not match its layers: {odd[0]!r} is missing or too many")
    for name in arrays:
        checked_array(name, arrays, expected[name], model.dtype)
    for s in model.optimizer.square_slots if model.optimizer else ():
        for name, array in arrays.items():
            if name.startswith(f"optimizer.{s}.") and array.min() < 0:
                raise BadFileError(f"array {name!r} holds a mean square below 0")


_OPTIMIZER_ARRAY = re.compile(r"optimizer\.[01]\.\d+\.(weights|bias)")


def compile_as(model: Model, table: Any, custom: Mapping[str, Any]) -> bool:
    """Compile as the file says; False if that takes something which `custom` does not have."""
    of_type("'compile'", table, dict)
    names = [of_type("a name in 'custom'", name, str) for name in table.get("custom", ())]
    model.missing = sorted(set(names) - custom.keys())
    if model.missing:
        return False
    own = {name: custom[name] for name in names}
    optimizer, loss = (take(table, key, dict) for key in ("optimizer", "loss"))
    model.compile(
        optimizers.get(optimizer, own),
        losses.get(loss, own),
        [metrics.get(metric, own) for metric in take(table, "metrics", list)],
    )
    return True


def described_model(cls: type[M], table: Mapping[str, Any], n_arrays: int) -> M:
    """Return the model, without weights, whose architecture a description holds."""
    layers = made_layers(take(table, "layers", list))
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if not dense or not isinstance(layers[-1], Dense) or len(dense) > n_arrays:
        raise BadFileError("its layers make no network, or do not match its arrays")
    model = cls(
        layers,
        seed=take(table, "seed", int),
        dtype=take(table, "dtype", str),
        name=take(table, "name", str),
    )
    model.build((count(table, "n_inputs", 1),))
    return model


def _described_arrays(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Split a file's content, of a version that is known."""
    table, arrays = _read(data)
    version = take(table, "version", int)
    if version != VERSION:
        raise BadFileError(f"it has format version {version}; this fastmlp reads version {VERSION}")
    return table, arrays


def read_model(
    data: bytes, cls: type[M], custom: Mapping[str, Any]
) -> tuple[M, Any, dict[str, np.ndarray]]:
    """Return a file's model, what it says of a run, and the arrays of that.

    Raises
    ------
    BadFileError, DataError, ValueError, TypeError, OverflowError
        Whatever is wrong with it.
    """
    return _read_model(*_described_arrays(data), cls, custom)


def _read_model(
    table: dict[str, Any],
    arrays: dict[str, np.ndarray],
    cls: type[M],
    custom: Mapping[str, Any],
) -> tuple[M, Any, dict[str, np.ndarray]]:
    if "kind" in table:
        raise BadFileError(f"it holds no single model, but is of the kind {table['kind']!r}")
    model = described_model(cls, table, len(arrays))
    compiled, step, run = table.get("compile"), count(table, "step"), table.get("run")
    model.history = _history.from_description(table.get("history"), arrays)
    of_run = {}
    if run is not None:
        of_type("'run'", run, dict)
        of_run = {name: arrays.pop(name) for name in list(arrays) if name.startswith("run.")}
    if compiled is not None:
        if not compile_as(model, compiled, custom):
            step = 0
            arrays = {k: v for k, v in arrays.items() if not _OPTIMIZER_ARRAY.fullmatch(k)}
    elif step:
        raise BadFileError("'step' is set though nothing is compiled")
    _check_arrays(model, step, arrays)
    model.n_fits = count(table, "n_fits")
    model.training_config = take(table, "training_config", dict)
    model.extras = take(table, "extras", dict)
    model.materialise(draw=False)
    if model.optimizer is not None:
        model.ready().step = step
    for name, view in _arrays(model):
        view[...] = arrays[name]
    return model, run, of_run


def run_table(data: bytes) -> dict[str, Any] | None:
    """Return what a file's content says of a run, without making the model; None if it has none.

    Raises
    ------
    BadFileError, ValueError, TypeError, OverflowError
        If it is not a usable model file.
    """
    run = _described_arrays(data)[0].get("run")
    return None if run is None else of_type("'run'", run, dict)


def read(path: str | Path) -> bytes:
    """Return a file's content.

    Raises
    ------
    ModelFileError
        If it cannot be read; the message names it.
    """
    arguments.path("path", path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            raise ModelFileError(f"{path} is not a usable model file: it is no regular file")
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(f"Cannot read model file {path}: {reason}") from None


def unusable(name: str, error: Exception) -> ModelFileError:
    """Make the error for a file with which something is wrong."""
    return ModelFileError(f"{name} is not a usable model file: {error}")


WRONG = (BadFileError, DataError, ValueError, TypeError, OverflowError)  # what `read_model` raises


def custom_table(custom_objects: Any) -> Mapping[str, Any]:
    """Return `custom_objects` if it is a mapping; None is an empty one."""
    if custom_objects is None or isinstance(custom_objects, Mapping):
        return custom_objects or {}
    raise ValueError(
        "custom_objects must be a mapping of names to functions or classes. "
        f"Received: {arguments.shown(custom_objects)}"
    )


def from_bytes(
    data: bytes,
    cls: type[M],
    name: str = "the data",
    custom_objects: Mapping[str, Any] | None = None,
) -> M:
    """Return the model that `to_bytes` wrote, or the Ensemble whose file it is.

    Parameters
    ----------
    data : bytes
    cls : type
        `Model`, or the subclass to make.
    name : str
        Where they came from, for messages.
    custom_objects : mapping of str to function or class, optional
        What is written in Python, by name; see `models.load_model`.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If anything is wrong with them.
    """
    custom = custom_table(custom_objects)
    try:
        table, arrays = _described_arrays(data)
        if table.get("kind") == "ensemble":
            return cast("M", kinds.reader("ensemble")(table, arrays, custom))
        return _read_model(table, arrays, cls, custom)[0]
    except WRONG as error:
        raise unusable(name, error) from None
