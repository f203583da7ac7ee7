"""Read Keras's files: .keras archives, .h5 models and .weights.h5. No code in them is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import regularizers
from ..layers import Dense, Dropout, Layer, activation_name
from . import hdf5
from .parts import MOST_LAYERS, Foreign, WrongArgumentError, activations
from .untrusted import BadFileError, of_type, parsed, take
from .zip import MAGIC, Archive

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_KINDS = ("InputLayer", "Dense", "Dropout", "Activation")
_MUST_BE_NONE = (
    "kernel_constraint",
    "bias_constraint",
    "activity_regularizer",
    "lora_rank",
    "quantization_config",
    "noise_shape",
)
Arrays = tuple[np.ndarray, np.ndarray | None]


@dataclass
class _Entry:
    """A layer of a configuration, and the name of its weights in files of version 3."""

    kind: str
    name: str
    config: dict[str, Any]
    stored: str
    before: list[str]


# ---- configuration -----------------------------------------------------------------------------


def _foreign(what: str) -> BadFileError:
    return BadFileError(
        f"it has {what}; only sequential models of the layers {', '.join(_KINDS)} can be imported"
    )


def _entries(config: dict[str, Any]) -> tuple[bool, list[_Entry]]:
    """Return whether layers are connected by name, and the layers in the file's order."""
    kind, body = take(config, "class_name", str), take(config, "config", dict)
    if kind not in ("Sequential", "Functional", "Model"):
        raise _foreign(f"a model of class {kind!r}")
    layers = take(body, "layers", list)
    if len(layers) > MOST_LAYERS:
        raise BadFileError(f"it has more than {MOST_LAYERS} layers")
    counts: dict[str, int] = {}
    entries = []
    for layer in layers:
        of_type("a layer", layer, dict)
        name, inner = take(layer, "class_name", str), take(layer, "config", dict)
        module, registered = layer.get("module"), layer.get("registered_name")
        own = module is not None and not re.match(r"(keras|tf_keras|tensorflow)\b", str(module))
        if name not in _KINDS or own or registered not in (None, name):
            raise _foreign(f"a layer of class {name if registered is None else registered!r}")
        for key in _MUST_BE_NONE:
            if inner.get(key) is not None:
                raise _foreign(f"a layer with {key}")
        place = counts[name] = counts.get(name, -1) + 1
        stored = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        entries.append(
            _Entry(
                name,
                take(inner, "name", str),
                inner,
                f"{stored}_{place}" if place else stored,
                _before(layer.get("inbound_nodes")) if kind != "Sequential" else [],
            )
        )
    return kind != "Sequential", entries


def _before(nodes: Any) -> list[str]:
    """Return the names of a layer's input layers."""
    found: list[str] = []
    for node in of_type("'inbound_nodes'", nodes, list):
        inputs = node.get("args") if isinstance(node, dict) else node
        for value in of_type("a node", inputs, list):
            if isinstance(value, dict):  # Keras 3
                history = take(take(value, "config", dict), "keras_history", list)
            else:
                history = of_type("a node", value, list)
            if not history:
                raise BadFileError("a node is empty")
            found.append(of_type("a node's layer", history[0], str))
    return found


def _chained(entries: list[_Entry]) -> list[_Entry]:
    """Sort layers that are connected by name."""
    after: dict[str, _Entry] = {}
    for entry in entries:
        source = entry.before[0] if entry.before else ""
        if len(entry.before) > 1 or source in after:
            raise _foreign("layers that branch or join")
        after[source] = entry
    order: list[_Entry] = []
    name = ""
    while name in after:
        order.append(after.pop(name))
        name = order[-1].name
    if after or not order or order[0].kind != "InputLayer":
        raise _foreign("layers that do not follow one another")
    return order


def _penalty(value: Any) -> regularizers.Regularizer | None:
    if value is None:
        return None
    if isinstance(value, str):
        return regularizers.get(value)
    of_type("a regularizer", value, dict)
    name, config = take(value, "class_name", str), take(value, "config", dict)
    if name not in ("L1", "L2", "L1L2"):
        raise _foreign(f"a regularizer of class {name!r}")
    return regularizers.get({"class_name": name, "config": config})


def _activation(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise _foreign("an activation that is not a plain name")
    return activation_name(value)


def _declared_width(config: dict[str, Any]) -> int | None:
    """Return the width of an input layer, or of the input that a first layer declares."""
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if shape is None:
        return None
    of_type("an input's shape", shape, list)
    if len(shape) != 2:
        raise _foreign(f"an input of {max(0, len(shape) - 1)} dimensions")
    return None if shape[1] is None else of_type("an input's width", shape[1], int)


def _layers(entries: list[_Entry]) -> tuple[int | None, list[Layer], list[_Entry]]:
    """Return the declared width of the input, the layers, and the entries of the dense ones."""
    width: int | None = None
    layers: list[Layer] = []
    dense: list[_Entry] = []
    for place, entry in enumerate(entries):
        config = entry.config
        if entry.kind == "InputLayer" and (place or config.get("sparse") or config.get("ragged")):
            raise _foreign("an input that is not the first layer, or sparse")
        if place == 0:
            width = _declared_width(config)
        if entry.kind == "Dense":
            layers.append(
                Dense(
                    take(config, "units", int),
                    _activation(config.get("activation")),
                    use_bias=take(config, "use_bias", bool),
                    kernel_regularizer=_penalty(config.get("kernel_regularizer")),
                    bias_regularizer=_penalty(config.get("bias_regularizer")),
                    name=entry.name,
                    trainable=config.get("trainable", True),
                )
            )
            dense.append(entry)
        elif entry.kind == "Dropout":
            layers.append(Dropout(config.get("rate", -1), config.get("seed"), name=entry.name))
        elif entry.kind == "Activation":
            before = layers[-1] if layers else None
            if not isinstance(before, Dense) or before.activation != "linear":
                raise _foreign("an Activation that does not follow a linear Dense")
            before.activation = _activation(config.get("activation"))
    return width, layers, dense


# ---- weights -----------------------------------------------------------------------------------


def _pair(where: str, arrays: Sequence[np.ndarray]) -> Arrays:
    if len(arrays) not in (1, 2):
        raise BadFileError(f"it has {len(arrays)} arrays for {where!r}, which is not dense")
    return arrays[0], arrays[1] if len(arrays) == 2 else None


def _numbered(group: hdf5.Node, name: str) -> list[np.ndarray]:
    """Return the arrays 0, 1, ... of a layer in a file of version 3."""
    held = group.get(f"{name}/vars")
    places = held.members() if held is not None else {}
    if places.keys() != {str(i) for i in range(len(places))}:
        raise BadFileError(f"the arrays of {name!r} are not numbered from 0")
    return [node.array() for i in range(len(places)) if held and (node := held.get(str(i)))]


def _layers_group(root: hdf5.Node) -> hdf5.Node | None:
    return root.get("layers") or root.get("_layer_checkpoint_dependencies")


def _named(group: hdf5.Node, name: str) -> list[np.ndarray]:
    """Return the arrays of a layer in a file of the older kind, which lists their names."""
    held = group.get(name)
    names = held.texts("weight_names") if held is not None else None
    if held is None or names is None:
        raise BadFileError(f"the weights of layer {name!r} are missing")
    arrays = []
    for text in names:
        node = held.get(text)
        if node is None:
            raise BadFileError(f"the array {text!r} is missing")
        arrays.append(node.array())
    return arrays


# ---- whole models and weights alone ------------------------------------------------------------


def _whole(config: dict[str, Any], weights: Any) -> Foreign:
    """Assemble a model from its configuration; `weights` returns a layer's arrays."""
    connected, entries = _entries(config)
    width, layers, dense = _layers(_chained(entries) if connected else entries)
    pairs = [_pair(entry.name, weights(entry)) for entry in dense]
    if pairs and pairs[0][0].ndim == 2:
        found = pairs[0][0].shape[0]
        if width not in (None, found) or found < 1:
            raise BadFileError(f"its input has {width} columns, its weights are for {found}")
        width = found
    name = config["config"].get("name")
    return Foreign(layers, width or 0, pairs, name if isinstance(name, str) else None)


def _archive(data: bytes) -> Foreign:
    archive = Archive(data)
    config = parsed(archive.read(_CONFIG), len(data), _CONFIG)
    file = hdf5.HDF5File(archive.read(_WEIGHTS))
    group = _layers_group(file.root)
    if group is None:
        raise BadFileError(f"{_WEIGHTS} holds no layers")
    return _whole(config, lambda entry: _numbered(group, entry.stored))


def _weights_alone(
    root: hdf5.Node, activation: str | Sequence[str] | None, output: str | None
) -> Foreign:
    """Assemble a model from a file that has weights and names, but no configuration."""
    names = root.texts("layer_names")
    group = root if names is not None else _layers_group(root)
    if group is None:
        raise BadFileError("it is an HDF5 file, but not written by Keras")
    if names is not None:
        found = [(name, _named(group, name)) for name in names]
        pairs = [_pair(name, arrays) for name, arrays in found if arrays]
    else:
        pairs = [_pair(name, _numbered(group, name)) for name in _dense_names(group)]
    if not pairs:
        raise BadFileError("it holds no weights")
    if len(pairs) > MOST_LAYERS or any(weights.ndim != 2 for weights, _ in pairs):
        raise BadFileError("its weights are not those of dense layers")
    chosen = activations(activation, output, len(pairs))
    layers = [
        Dense(weights.shape[1], function, use_bias=bias is not None)
        for (weights, bias), function in zip(pairs, chosen, strict=True)
    ]
    return Foreign(layers, pairs[0][0].shape[0], pairs)


def _dense_names(group: hdf5.Node) -> Iterator[str]:
    """Yield dense, dense_1, ... and refuse other layers with weights."""
    names = group.members()
    for name in names:
        if not re.fullmatch(r"(dense|dropout|activation|input_layer)(_\d{1,6})?", name):
            raise _foreign(f"a layer {name!r}")
    count = sum(name.startswith("dense") for name in names)
    for i in range(count):
        yield f"dense_{i}" if i else "dense"


def from_keras(
    data: bytes,
    activation: str | Sequence[str] | None = None,
    output_activation: str | None = None,
) -> Foreign:
    """Return the model in a Keras file.

    Parameters
    ----------
    data : bytes
        Content of a .keras archive, or of an HDF5 file with a model (.h5) or weights (.weights.h5).
    activation, output_activation : optional
        As for `from_torch`; only for files of weights, which have no activations.

    Returns
    -------
    Foreign
        With names, penalties and dropout.

    Raises
    ------
    BadFileError, ValueError
        If anything is wrong with the file, or it has layers that fastmlp does not have.
    """
    root = None
    if not data.startswith(MAGIC):
        root = hdf5.HDF5File(data).root
        text = root.text("model_config")
        if text is None:
            return _weights_alone(root, activation, output_activation)
    if activation is not None or output_activation is not None:
        raise WrongArgumentError(
            "activations are only for files of weights. Received: a whole Keras model"
        )
    if root is None:
        return _archive(data)
    group = root.get("model_weights")
    if group is None:
        raise BadFileError("'model_weights' is missing")
    config = parsed(str(text), len(data), "its model_config")
    return _whole(config, lambda entry: _named(group, entry.name))
