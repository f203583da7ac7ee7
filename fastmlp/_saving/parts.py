"""What every format needs: a model taken apart, and a model put together from foreign arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._model.architecture import parse_layer_values
from .._utils.arrays import describe
from ..errors import ModelFileError
from ..layers import Layer, activation_name
from .untrusted import BadFileError

if TYPE_CHECKING:
    from .._model.model import Model
    from ..preprocessing import Preprocessing


MOST_LAYERS = 4096  # of a file to import: each costs memory even if it is tiny


class WrongArgumentError(ValueError):
    """What a caller said does not fit the file, which is not the file's fault."""


@dataclass(frozen=True)
class DensePart:
    """One dense layer: activation(x @ weights + bias).

    Parameters
    ----------
    weights : ndarray of shape (n_in, units)
    bias : ndarray of shape (units,), or None
    activation : str
    name : str
    """

    weights: np.ndarray
    bias: np.ndarray | None
    activation: str
    name: str


class Foreign(NamedTuple):
    """What a foreign file says of a model; `interchange` makes the model of it.

    Attributes
    ----------
    layers : list of Layer
        Dense and Dropout.
    n_inputs : int
    arrays : list of (weights, bias or None)
        Of each Dense layer.
    name : str or None
    """

    layers: list[Layer]
    n_inputs: int
    arrays: list[tuple[np.ndarray, np.ndarray | None]]
    name: str | None = None


def parts(model: Model) -> list[DensePart]:
    """Return the dense layers of a model, their arrays as views.

    Parameters
    ----------
    model : Model
        Built; its weights are drawn if they were not yet.
    """
    from .._model.model import Model

    if not isinstance(model, Model):
        raise ValueError(f"model must be a Sequential. Received: {describe(model)}")
    network = model.network
    return [
        DensePart(network.weights(i), network.bias(i) if layer.use_bias else None,
             layer.activation, layer.name)
        for i, layer in enumerate(model.dense_layers)
    ]  # fmt: skip


def preprocessing_of(model: Model) -> Preprocessing | None:
    """Return the preprocessing that a model's file keeps; None if there is none.

    Raises
    ------
    ModelFileError
        If it is damaged, or does not fit the network.
    """
    from ..preprocessing import Preprocessing

    if "preprocessing" not in model.extras:
        return None
    state = Preprocessing.of(model)
    if (state.n_inputs, state.n_outputs) != (model.n_inputs, model.n_outputs):
        raise ModelFileError(
            f"model {model.name!r}: its preprocessing gives {state.n_inputs} inputs and "
            f"{state.n_outputs} outputs, its network has {model.n_inputs} and {model.n_outputs}"
        )
    return state


def activations(hidden: str | Sequence[str] | None, output: str | None, n_layers: int) -> list[str]:
    """Return the activation of each dense layer that a user gave.

    Parameters
    ----------
    hidden : str or sequence of str, optional
        Of the hidden layers, one for all or one each; relu by default.
    output : str, optional
        Linear by default.
    n_layers : int

    Returns
    -------
    list of str
    """
    given = ["relu"] if hidden is None else [hidden] if isinstance(hidden, str) else list(hidden)
    names = [activation_name(name) for name in given]
    if n_layers == 1:
        if hidden is not None:
            raise WrongArgumentError(
                f"activation is of hidden layers, and the file has none. Received: {hidden!r}"
            )
        return [activation_name(output)]
    try:
        spread = parse_layer_values("activation", names, n_layers - 1, "hidden layer")
    except ValueError as error:
        raise WrongArgumentError(str(error)) from None
    return [*spread, activation_name(output)]


def check_array(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise BadFileError(f"{what} must have shape {shape}, not {array.shape}")
    # Least and largest, not isfinite(): that would make an array of its own. NaN wins in both.
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise BadFileError(f"{what} holds a value that is not finite")
