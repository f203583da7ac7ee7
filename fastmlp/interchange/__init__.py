"""Models to and from the files of others: ONNX, Keras, PyTorch and C.

`export_model` writes, `import_model` reads. Reading runs no code of a file's: it takes arrays and
plain configuration, checks them against the file's size, and refuses the rest with one error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _checks

if TYPE_CHECKING:
    from ..models import Sequential

__all__ = [
    "TARGETS",
    "export_model",
    "from_bytes",
    "import_model",
    "target_of",
    "to_bytes",
    "torch_module",
]

TARGETS = {"onnx": ".onnx", "keras": ".keras", "torch": ".safetensors", "c": ".c"}


# ---- writing -----------------------------------------------------------------------------------


def target_of(path: str | Path, to: str | None = None) -> str:
    """Return the format to write, by the file's suffix if it is not named.

    Parameters
    ----------
    path : str or Path
    to : {'onnx', 'keras', 'torch', 'c'}, optional

    Raises
    ------
    ValueError
        If it is none of them, or the suffix does not tell.
    """
    if to is not None:
        if not isinstance(to, str):
            raise _checks.unknown("format", _checks.shown(to), TARGETS)
        return _checks.lookup("format", to, {name: name for name in TARGETS})
    suffix = Path(_checks.path("path", path)).suffix.lower()
    for name, usual in TARGETS.items():
        if suffix == usual:
            return name
    raise ValueError(
        f"the format must be named, or follow from a suffix {', '.join(TARGETS.values())}. "
        f"Received: {str(path)!r}"
    )


def to_bytes(model: Sequential, to: str, name: str = "model") -> bytes:
    """Return what `export_model` writes.

    Parameters
    ----------
    model : Sequential
    to : {'onnx', 'keras', 'torch', 'c'}
    name : str
        Begins the names of the functions in a C file.

    Returns
    -------
    bytes
        Equal for equal models.
    """
    from ..models import Sequential as _Sequential

    _checks.instance("model", model, _Sequential)
    to = target_of(".", _checks.instance("to", to, str))
    if to == "c":
        from ._c import to_c

        return to_c(model, name)
    if to == "onnx":
        from ._onnx import to_onnx

        return to_onnx(model)
    if to == "keras":
        from ._keras_file import to_keras

        return to_keras(model)
    from ._torch import to_torch

    return to_torch(model)


def export_model(
    model: Sequential,
    path: str | Path,
    to: str | None = None,
    overwrite: bool = True,
    name: str = "model",
) -> None:
    """Write a model for others to use, atomically.

    ONNX and C files take in the preprocessing that a model of a table keeps; Keras and PyTorch
    files hold the network alone.

    Parameters
    ----------
    model : Sequential
        Built.
    path : str or Path
    to : {'onnx', 'keras', 'torch', 'c'}, optional
        By default what the suffix says: .onnx, .keras, .safetensors or .c.
    overwrite : bool
        If False, an existing file is an error (FileExistsError).
    name : str
        Begins the names of the functions in a C file.

    Raises
    ------
    ValueError
        If the format is none of these, or cannot hold the model.
    DataError
        If the format needs a package that is not installed: onnx, or h5py for Keras.
    """
    from .._atomic import write_atomically

    write_atomically(path, to_bytes(model, target_of(path, to), name), overwrite)


# ---- reading -----------------------------------------------------------------------------------


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
        Where they came from, for messages.
    activation, output_activation, layers
        As for `import_model`.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If anything is wrong with them.
    ValueError
        If an argument is.
    """
    from ..persistence import WRONG, unusable
    from ._parts import WrongArgumentError

    _check_arguments(activation, output_activation, layers)
    _checks.instance("data", data, bytes)
    given = {"activation": activation, "output_activation": output_activation}
    read: Callable[..., Sequential]
    if data.startswith((b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")):
        from ._keras import from_keras as read

        if layers is not None:
            raise ValueError("layers is for files of PyTorch. Received: one of Keras")
    else:
        from ._torch import from_torch as read

        given["layers"] = layers
    try:
        return read(data, **given)
    except WrongArgumentError:
        raise
    except WRONG as error:
        raise unusable(source, error) from None


def _check_arguments(activation: Any, output: Any, layers: Any) -> None:
    from ..layers import activation_name

    for value in activation if isinstance(activation, (list, tuple)) else [activation]:
        activation_name(value)
    activation_name(output)
    if layers is not None:
        for name in _checks.items("layers", layers, "names"):
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

    The content tells what a file is: a .keras archive, a Keras model in HDF5 (.h5), Keras weights
    (.weights.h5), or a PyTorch state_dict in safetensors. Only the layers Dense, Dropout,
    Activation and Input, in a row, can be read, and float32 or float64.

    Parameters
    ----------
    path : str or Path
    activation : str or sequence of str, optional
        For files of weights alone: of the hidden layers, one for all or one each. relu by default.
    output_activation : str, optional
        Likewise of the last layer; linear by default.
    layers : sequence of str, optional
        Of a state_dict: the linear layers' names in order. By default the order of the numbers in
        their names, or the only one in which their widths fit.

    Returns
    -------
    Sequential
        Not compiled.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, or holds anything else; the message names it.
    ValueError
        If an argument is wrong.
    """
    from ..persistence import read

    return from_bytes(
        read(path),
        str(path),
        activation=activation,
        output_activation=output_activation,
        layers=layers,
    )


def torch_module(model: Sequential) -> str:
    """Return the PyTorch expression of a module that loads an exported state_dict.

    Parameters
    ----------
    model : Sequential

    Returns
    -------
    str
        Such as ``torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.ReLU(), ...)``; for a model
        of dtype float64 with ``.double()`` at the end.
    """
    from ..models import Sequential as _Sequential
    from ._torch import spelled

    _checks.instance("model", model, _Sequential)
    return spelled(model)
