"""Write a model in another program's format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._utils import arguments
from .._utils.arrays import describe
from .._utils.atomic import write_atomically
from ..errors import DataError
from .parts import Grouped

if TYPE_CHECKING:
    from .._model.model import Model


TARGETS = {"onnx": ".onnx", "keras": ".keras", "torch": ".safetensors", "c": ".c"}


def target_of(path: str | Path, to: str | None = None) -> str:
    """Return the format to write: `to`, or by default the one that the file's suffix names.

    Parameters
    ----------
    path : str or Path
    to : {'onnx', 'keras', 'torch', 'c'}, optional

    Raises
    ------
    ValueError
        If `to` is not one of them, or if the suffix names no format.
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


def to_bytes(model: Model | Grouped, to: str, name: str = "model") -> bytes:
    """Return the content of the file that `export_model` writes.

    Parameters
    ----------
    model : Sequential or Ensemble
    to : {'onnx', 'keras', 'torch', 'c'}
    name : str
        Prefix of the functions' names in a C file.

    Returns
    -------
    bytes
        Equal for equal models.

    Raises
    ------
    ValueError
        If the format is unknown.
    DataError
        If the format cannot hold the model, or a package for it is not installed.
    """
    from .._model.model import Model

    if not isinstance(model, (Model, Grouped)):
        raise ValueError(f"model must be a Sequential or an Ensemble. Received: {describe(model)}")
    to = target_of(".", arguments.instance("to", to, str))
    if to == "c":
        from .c import to_c

        return to_c(model, name)
    if to == "onnx":
        from .onnx import to_onnx

        return to_onnx(model)
    if not isinstance(model, Model):
        library = "Keras" if to == "keras" else "PyTorch"
        raise DataError(
            f"a file for {library} holds a single network. Received: an ensemble of {len(model)}. "
            "Export it to ONNX or C, or one of its members: ensemble[0].export(path)"
        )
    if to == "keras":
        from .keras_writer import to_keras

        return to_keras(model)
    from .torch import to_torch

    return to_torch(model)


def export_model(
    model: Model | Grouped,
    path: str | Path,
    to: str | None = None,
    overwrite: bool = True,
    name: str = "model",
) -> None:
    """Write a model in another program's format, atomically.

    ONNX and C files include the preprocessing of a model that was trained on a table; Keras and
    PyTorch files hold only the network. An ensemble is exported to ONNX and C: the file computes
    the mean of the members' outputs, as `Ensemble.predict` does.

    Parameters
    ----------
    model : Sequential or Ensemble
        Built.
    path : str or Path
    to : {'onnx', 'keras', 'torch', 'c'}, optional
        By default the format of the suffix: .onnx, .keras, .safetensors or .c.
    overwrite : bool
        If False, an existing file is an error (FileExistsError).
    name : str
        Prefix of the functions' names in a C file.

    Raises
    ------
    ValueError
        If the format is unknown.
    DataError
        If the format cannot hold the model, as those of Keras and PyTorch an ensemble, or a package
        for it is not installed: onnx, or h5py for Keras.
    """
    write_atomically(path, to_bytes(model, target_of(path, to), name), overwrite)
