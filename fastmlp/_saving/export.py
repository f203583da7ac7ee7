"""Writing a model in another program's format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._utils import arguments

if TYPE_CHECKING:
    from .._model.model import Model


TARGETS = {"onnx": ".onnx", "keras": ".keras", "torch": ".safetensors", "c": ".c"}


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
            raise arguments.unknown("format", arguments.shown(to), TARGETS)
        return arguments.lookup("format", to, {name: name for name in TARGETS})
    suffix = Path(arguments.path("path", path)).suffix.lower()
    for name, usual in TARGETS.items():
        if suffix == usual:
            return name
    raise ValueError(
        f"the format must be named, or follow from a suffix {', '.join(TARGETS.values())}. "
        f"Received: {str(path)!r}"
    )


def to_bytes(model: Model, to: str, name: str = "model") -> bytes:
    """Return what `export_model` writes.

    Parameters
    ----------
    model : Model
    to : {'onnx', 'keras', 'torch', 'c'}
    name : str
        Begins the names of the functions in a C file.

    Returns
    -------
    bytes
        Equal for equal models.
    """
    from .._model.model import Model

    arguments.instance("model", model, Model)
    to = target_of(".", arguments.instance("to", to, str))
    if to == "c":
        from .c import to_c

        return to_c(model, name)
    if to == "onnx":
        from .onnx import to_onnx

        return to_onnx(model)
    if to == "keras":
        from .keras_writer import to_keras

        return to_keras(model)
    from .torch import to_torch

    return to_torch(model)


def export_model(
    model: Model,
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
    model : Model
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
    from .._utils.atomic import write_atomically

    write_atomically(path, to_bytes(model, target_of(path, to), name), overwrite)
