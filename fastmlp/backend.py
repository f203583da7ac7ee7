"""Functions from a model's input to the outputs of its layers, like those of Keras's backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import threads
from ._kernels.formulas import piecewise_linear
from ._utils import arguments
from ._utils.arrays import inputs as checked_inputs
from .layers import Handle, reset_names

if TYPE_CHECKING:
    from ._kernels.interface import Network


def activations_of(network: Network, x: np.ndarray, dense_index: int) -> np.ndarray:
    """Return the output of a dense layer, (n, its units).

    Index -1 gives the input of the first one: x itself, or its encoding; -2 gives x.
    """
    if dense_index == -1 and network.encoding is not None:
        return piecewise_linear(x, *network.encoding)
    if dense_index < 0:
        return x.copy()
    n_threads, automatic = threads.resolve()
    width = network.weights(dense_index).shape[1]
    out = np.empty((len(x), width), network.dtype)
    network.activations(x, dense_index, out, n_threads=n_threads, automatic=automatic)
    return out


def function(
    inputs: Handle | Sequence[Handle], outputs: Handle | Sequence[Handle]
) -> Callable[[Any], list[np.ndarray]]:
    """Make a function from a model's input to outputs of its layers.

    Parameters
    ----------
    inputs : list of one handle
        ``[model.layers[0].input]``.
    outputs : list of handles
        Such as ``[model.layers[1].output]``.

    Returns
    -------
    callable
        Takes a list with one array x of shape (n, k), and returns a list with one array for
        each of `outputs`. It uses the weights that the model has when it is called.

    Raises
    ------
    ValueError
        If `inputs` is not the input of the model that `outputs` belong to.
    """
    what = "layer.input and layer.output"
    given = [inputs] if isinstance(inputs, Handle) else arguments.items("inputs", inputs, what)
    wanted = [outputs] if isinstance(outputs, Handle) else arguments.items("outputs", outputs, what)
    for handle in (*given, *wanted):
        if not isinstance(handle, Handle):
            raise ValueError(
                "inputs and outputs must be lists of layer.input and layer.output. "
                f"Received: {handle!r}"
            )
    if len(given) != 1 or not given[0].is_model_input:
        raise ValueError(
            "inputs must be the model's input, [model.layers[0].input]. "
            f"Received: {[handle.name for handle in given]}"
        )
    for handle in wanted:
        if handle.network is not given[0].network:
            raise ValueError(
                f"inputs and outputs must belong to one model. Received: {given[0].name!r} and "
                f"{handle.name!r} of two"
            )

    def call(arrays: Any) -> list[np.ndarray]:
        values = arrays if isinstance(arrays, (list, tuple)) else [arrays]
        if len(values) != 1:
            raise ValueError(
                f"The function takes a list of one array. Received: {len(values)} values"
            )
        network = given[0].network
        x = checked_inputs(values[0], network.n_inputs, network.dtype)
        return [activations_of(network, x, handle.dense_index) for handle in wanted]

    return call


def clear_session() -> None:
    """Restart the numbering of the names of layers and models: 'dense', 'dense_1', ..."""
    reset_names()
