"""Export models to ONNX, Keras, PyTorch and C; import models of Keras and PyTorch.

`export_model` writes, `import_model` reads. Reading executes no code from a file: it takes arrays
and plain configuration, checks them against the file's size, and raises ModelFileError for
anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._saving.export import TARGETS, export_model, target_of, to_bytes
from ._saving.parts import Foreign, check_array
from ._saving.untrusted import BadFileError
from ._utils import arguments
from .layers import Dense, Layer, activation_name

if TYPE_CHECKING:
    from .models import Sequential

__all__ = [
    "TARGETS",
    "export_model",
    "from_bytes",
    "import_model",
    "target_of",
    "to_bytes",
    "torch_module",
]


def from_bytes(
    data: bytes,
    source: str = "the data",
    *,
    activation: str | Sequence[str] | None = None,
    output_activation: str | None = None,
    layers: Sequence[str] | None = None,
) -> Sequential:
    """Return the model in a file's content.

    Parameters
    ----------
    data : bytes
    source : str
        Name of the data in messages.
    activation, output_activation, layers
        As for `import_model`.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If anything is wrong with the data.
    ValueError
        If an argument is wrong.
    """
    from ._saving.fmlp import WRONG, unusable
    from ._saving.parts import WrongArgumentError

    _check_arguments(activation, output_activation, layers)
    arguments.instance("data", data, bytes)
    given = {"activation": activation, "output_activation": output_activation}
    read: Callable[..., Foreign]
    if data.startswith((b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")):
        from ._saving.keras_reader import from_keras as read

        if layers is not None:
            raise ValueError("layers is only for PyTorch's files. Received: a file of Keras")
    else:
        from ._saving.torch import from_torch as read

        given["layers"] = layers
    try:
        return assembled(*read(data, **given))
    except WrongArgumentError:
        raise
    except WRONG as error:
        raise unusable(source, error) from None


def _check_arguments(activation: Any, output: Any, layers: Any) -> None:
    for value in activation if isinstance(activation, (list, tuple)) else [activation]:
        activation_name(value)
    activation_name(output)
    if layers is not None:
        for name in arguments.items("layers", layers, "names"):
            if not isinstance(name, str):
                raise ValueError(f"layers must be a sequence of names. Received: {name!r} in it")


def import_model(
    path: str | Path,
    *,
    activation: str | Sequence[str] | None = None,
    output_activation: str | None = None,
    layers: Sequence[str] | None = None,
) -> Sequential:
    """Read a model of Keras or PyTorch.

    The format is detected from the content: a .keras archive, a Keras model in HDF5 (.h5), Keras
    weights (.weights.h5), or a PyTorch state_dict in safetensors. The model must be a sequence of
    Dense, Dropout, Activation and Input layers, in float32 or float64.

    Parameters
    ----------
    path : str or Path
    activation : str or sequence of str, optional
        Activation of the hidden layers, one for all or one each, for files that hold only weights;
        relu by default.
    output_activation : str, optional
        Likewise for the last layer; linear by default.
    layers : sequence of str, optional
        Names of a state_dict's linear layers in order. By default the order of the numbers in
        their names, or the only order in which their widths fit.

    Returns
    -------
    Sequential
        Not compiled.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or unsupported; the message names it.
    ValueError
        If an argument is wrong.
    """
    from ._saving.fmlp import read

    return from_bytes(
        read(path),
        str(path),
        activation=activation,
        output_activation=output_activation,
        layers=layers,
    )


def torch_module(model: Sequential) -> str:
    """Return the PyTorch expression of a module that can load the exported state_dict.

    Parameters
    ----------
    model : Sequential

    Returns
    -------
    str
        Such as ``torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.ReLU(), ...)``, with
        ``.double()`` at the end for a model of dtype float64.
    """
    from ._saving.torch import module_expression
    from .models import Sequential as _Sequential

    arguments.instance("model", model, _Sequential)
    return module_expression(model)


def assembled(
    layers: Sequence[Layer],
    n_inputs: int,
    arrays: Iterable[tuple[np.ndarray, np.ndarray | None]],
    name: str | None = None,
) -> Sequential:
    """Make a model from layers and arrays; all sizes are checked before any is allocated.

    Parameters
    ----------
    layers : sequence of Dense and Dropout
    n_inputs : int
        At least 1.
    arrays : iterable of (weights, bias)
        For each Dense layer, in order: (n_in, units), and (units,) or None. Their common type,
        float32 or float64, becomes the model's.
    name : str, optional

    Returns
    -------
    Sequential
        With seed 0, so that equal files make equal models.

    Raises
    ------
    BadFileError, ValueError
        If layers and arrays do not fit each other, or a value is not finite.
    """
    from .models import Sequential

    arrays = list(arrays)
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if not dense or not isinstance(layers[-1], Dense):
        raise BadFileError("its last layer is not dense" if dense else "it has no dense layer")
    if len(dense) != len(arrays):
        raise BadFileError(f"it has weights for {len(arrays)} of its {len(dense)} dense layers")
    kinds = {array.dtype for pair in arrays for array in pair if array is not None}
    if len(kinds) != 1 or (kind := kinds.pop()).name not in ("float32", "float64"):
        raise BadFileError("its weights must be all float32 or all float64")
    width = n_inputs
    for layer, (weights, bias) in zip(dense, arrays, strict=True):
        check_array(f"the weights of layer {layer.name!r}", weights, (width, layer.units))
        if (bias is not None) != layer.use_bias:
            raise BadFileError(f"the bias of layer {layer.name!r} is missing, or not expected")
        if bias is not None:
            check_array(f"the bias of layer {layer.name!r}", bias, (layer.units,))
        width = layer.units
    model = Sequential(layers, seed=0, dtype=kind.name, name=name)
    model.build((n_inputs,))
    network = model.materialise(draw=False)
    for i, (weights, bias) in enumerate(arrays):
        network.weights(i)[...] = weights
        if bias is not None:
            network.bias(i)[...] = bias
    return model
