"""Write Keras's .keras file."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from .._utils.optional import require
from ..errors import DataError
from ..layers import Dense, Dropout, Layer
from .parts import DensePart, parts

if TYPE_CHECKING:
    from .._model.model import Model
    from ..regularizers import Regularizer

_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal models make equal files


def _object(module: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def _penalty(penalty: Regularizer | None) -> dict[str, Any] | None:
    if penalty is None or not (penalty.l1 or penalty.l2):  # Keras has none for groups of weights
        return None
    return _object("keras.regularizers", "L1L2", {"l1": penalty.l1, "l2": penalty.l2})


def _layer(layer: Layer, dtype: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {"name": layer.name, "trainable": layer.trainable, "dtype": dtype}
    if isinstance(layer, Dense):
        config |= {
            "units": layer.units,
            "activation": layer.activation,
            "use_bias": layer.use_bias,
            "kernel_initializer": _object("keras.initializers", "GlorotUniform", {"seed": None}),
            "bias_initializer": _object("keras.initializers", "Zeros", {}),
            "kernel_regularizer": _penalty(layer.kernel_regularizer),
            "bias_regularizer": _penalty(layer.bias_regularizer),
            "kernel_constraint": None,
            "bias_constraint": None,
        }
    elif isinstance(layer, Dropout):
        config |= {"rate": layer.rate, "seed": layer.seed, "noise_shape": None}
    entry = _object("keras.layers", type(layer).__name__, config)
    return entry | {"build_config": {"input_shape": [None, layer.n_inputs]}}


def _config(model: Model) -> dict[str, Any]:
    name, shape = model.dtype.name, [None, model.n_inputs]
    dtype = _object("keras", "DTypePolicy", {"name": name})
    first = {"batch_shape": shape, "dtype": name, "sparse": False, "name": "input_layer"}
    layers = [_object("keras.layers", "InputLayer", first)]
    layers += [_layer(layer, dtype) for layer in model.layers]
    config = {"name": model.name, "trainable": True, "dtype": dtype, "layers": layers,
              "build_input_shape": shape}  # fmt: skip
    return _object("keras", "Sequential", config) | {"build_config": {"input_shape": shape}}


def _weights(network: list[DensePart]) -> bytes:
    h5py = require("h5py", "keras", "exporting to Keras")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("vars")
        for i, part in enumerate(network):
            group = file.create_group(f"layers/{f'dense_{i}' if i else 'dense'}/vars")
            group.attrs["name"] = part.name
            group.create_dataset("0", data=part.weights)
            if part.bias is not None:
                group.create_dataset("1", data=part.bias)
    return buffer.getvalue()


def to_keras(model: Model) -> bytes:
    """Write a model as Keras 3 does, for ``keras.models.load_model``.

    The file holds layers, names, L1 and L2 penalties, dropout and weights. It does not hold
    compilation, history, preprocessing and group penalties; initializers become Keras's defaults.

    Parameters
    ----------
    model : Model

    Returns
    -------
    bytes
        A .keras archive.

    Raises
    ------
    DataError
        If the package h5py is not installed, or the model has a PiecewiseLinear.
    """
    network = parts(model)
    if model.encoding is not None:
        raise DataError(
            "Keras has no layer for the bins of PiecewiseLinear: export to ONNX, C or PyTorch. "
            f"Received: a model whose first layer {model.encoding.name!r} is one"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (
            ("metadata.json", json.dumps({"keras_version": "3.0.0"}).encode()),
            ("config.json", json.dumps(_config(model)).encode()),
            ("model.weights.h5", _weights(network)),
        ):
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
    return buffer.getvalue()
