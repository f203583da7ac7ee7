"""Model files: arrays in safetensors, a JSON description in its metadata. Data only, no code.

A file holds all that a later `fit` needs to continue: architecture, weights, compilation, the
optimizer's state, seed and history; also `training_config` and `extras`. A checkpoint is such a
file that also holds the state of a run. Sizes in a file are checked against the file's size before
anything is allocated.
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
_ENTRY = 1500  # bytes of memory to read an array's name and place, at most


# ---- writing -----------------------------------------------------------------------------------

M = TypeVar("M", bound=Model)


def _arrays(model: Model, weights_only: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and a view of every array in a file."""
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
    """Return the steps that the optimizer has made; 0 if it starts or restarts."""
    return int(model.network.step) if model.configured else 0


def own_objects(model: Model) -> dict[str, Any]:
    """Return the losses, metrics, optimizers and schedules that are not part of fastmlp.

    Parameters
    ----------
    model : Model

    Returns
    -------
    dict of str to class or function
        Those that the model was compiled with, by their names in a file.
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
    """Return a model's description, without its history."""
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
    """Return the content of the file that `save_model` writes.

    Parameters
    ----------
    model : Model
        Built; its weights are drawn if they were not yet.
    run : tuple (dict, dict of str to ndarray), optional
        The state of a run: plain JSON values, and arrays whose names begin with 'run.'.
    weights_only : bool
        Whether compilation, the optimizer's state and the history are left out.

    Returns
    -------
    bytes
        Equal for equal models.

    Raises
    ------
    ValueError
        If `extras`, `training_config` or a configuration holds other than plain JSON values.
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
    """Return a file's content, from arrays and a description in plain, finite JSON values."""
    text = _checked_text(table, len(arrays), sum(array.nbytes for array in arrays.values()))
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return safetensors_bytes(whole, {_CHECKSUM: checksum(text, whole), _KEY: text})


def _checked_text(table: dict[str, Any], n_arrays: int, n_bytes: int) -> str:
    """Return a description as JSON; ValueError if it is too large to be read again."""
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
    """Return the size in bytes, or slightly less, that a model's file will have after training.

    Parameters
    ----------
    model : Model
        Built.
    epochs : int
        Epochs that the history will have.
    weights_only : bool
        As for `save_model`.

    Raises
    ------
    ValueError
        If the file could not be written, or could not be read again.
    """
    shapes = [shape for layer in model.dense_layers for shape in layer.shapes]
    n_slots = 0 if weights_only or model.optimizer is None else len(model.optimizer.slots)
    n_values = sum(math.prod(shape) for shape in shapes) * (1 + n_slots)
    n_bytes = n_values * model.dtype.itemsize
    text = _checked_text(_described(model, weights_only), len(shapes) * (1 + n_slots), n_bytes)
    return n_bytes + len(text) + (0 if weights_only else 8 * epochs)


def _require_readable(table: Mapping[str, Any]) -> None:
    """Refuse settings that reading the file would refuse, such as an initializer's."""
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
    # Last, because it takes longest. Files of early versions have no checksum.
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
    """Return a file's array; BadFileError if missing, not finite, or of another shape or type."""
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
    """Compile a model from a description; return False if `custom` lacks an object for it."""
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
    """Return the model that a description describes, without weights."""
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
    """Split a file's content, and check its version."""
    table, arrays = _read(data)
    version = take(table, "version", int)
    if version != VERSION:
        raise BadFileError(f"it has format version {version}; this fastmlp reads version {VERSION}")
    return table, arrays


def read_model(
    data: bytes, cls: type[M], custom: Mapping[str, Any]
) -> tuple[M, Any, dict[str, np.ndarray]]:
    """Return a file's model, its description of a run, and the run's arrays.

    Raises
    ------
    BadFileError, DataError, ValueError, TypeError, OverflowError
        If anything is wrong with the file.
    """
    return _read_model(*_described_arrays(data), cls, custom)


def _read_model(
    table: dict[str, Any],
    arrays: dict[str, np.ndarray],
    cls: type[M],
    custom: Mapping[str, Any],
) -> tuple[M, Any, dict[str, np.ndarray]]:
    if "kind" in table:
        raise BadFileError(f"it does not hold a single model; its kind is {table['kind']!r}")
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
    """Return a file's description of a run, without making the model; None if it has no run.

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
            raise ModelFileError(f"{path} is not a usable model file: it is not a regular file")
        return Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(f"Cannot read model file {path}: {reason}") from None


def unusable(name: str, error: Exception) -> ModelFileError:
    """Make the error for a damaged or wrong file."""
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
    """Return the model in a file's content, or the ensemble if it is the file of one.

    Parameters
    ----------
    data : bytes
    cls : type
        `Model`, or the subclass to make.
    name : str
        Name of the data in messages.
    custom_objects : mapping of str to function or class, optional
        Objects that are not part of fastmlp, by name; see `models.load_model`.

    Returns
    -------
    object of the class `cls`, or Ensemble

    Raises
    ------
    ModelFileError
        If anything is wrong with the data.
    """
    custom = custom_table(custom_objects)
    try:
        table, arrays = _described_arrays(data)
        if "kind" in table:
            return cast("M", kinds.reader(table["kind"])(table, arrays, custom))
        return _read_model(table, arrays, cls, custom)[0]
    except WRONG as error:
        raise unusable(name, error) from None
