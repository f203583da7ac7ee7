"""What every format needs: a model taken apart, and a model put together from foreign arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._arrays import describe
from .._untrusted import BadFileError
from ..errors import ModelFileError
from ..layers import Dense, Layer, activation_name
from ..mlp import parse_layer_values

if TYPE_CHECKING:
    from ..models import Sequential
    from ..preprocessing import Preprocessing


MOST_LAYERS = 4096  # of a file to import: each costs memory even if it is tiny


class WrongArgumentError(ValueError):
    """What a caller said does not fit the file, which is not the file's fault."""


@dataclass(frozen=True)
class Part:
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


def parts(model: Sequential) -> list[Part]:
    """Return the dense layers of a model, their arrays as views.

    Parameters
    ----------
    model : Sequential
        Built; its weights are drawn if they were not yet.
    """
    from ..models import Sequential

    if not isinstance(model, Sequential):
        raise ValueError(f"model must be a Sequential. Received: {describe(model)}")
    network = model.network
    return [
        Part(network.weights(i), network.bias(i) if layer.use_bias else None,
             layer.activation, layer.name)
        for i, layer in enumerate(model.dense_layers)
    ]  # fmt: skip


def preprocessing_of(model: Sequential) -> Preprocessing | None:
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


def _check_array(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise BadFileError(f"{what} must have shape {shape}, not {array.shape}")
    # Least and largest, not isfinite(): that would make an array of its own. NaN wins in both.
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise BadFileError(f"{what} holds a value that is not finite")


def assembled(
    layers: Sequence[Layer],
    n_inputs: int,
    arrays: Iterable[tuple[np.ndarray, np.ndarray | None]],
    name: str | None = None,
) -> Sequential:
    """Make a model of layers and arrays; nothing of their size is allocated before all is checked.

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
        If they do not fit each other, or a value is not finite.
    """
    from ..models import Sequential

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
        _check_array(f"the weights of layer {layer.name!r}", weights, (width, layer.units))
        if (bias is not None) != layer.use_bias:
            raise BadFileError(f"layer {layer.name!r} has a bias too many or too few")
        if bias is not None:
            _check_array(f"the bias of layer {layer.name!r}", bias, (layer.units,))
        width = layer.units
    model = Sequential(layers, seed=0, dtype=kind.name, name=name)
    model.build((n_inputs,))
    network = model.materialise(draw=False)
    for i, (weights, bias) in enumerate(arrays):
        network.weights(i)[...] = weights
        if bias is not None:
            network.bias(i)[...] = bias
    return model
