"""What is left of a network: nonzero weights, inputs that are used, units that live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels import formulas
from ..models import Sequential

Array = NDArray[np.float64]

# By how much a unit's contribution to the next layer has to vary over the rows (root mean square)
# for the unit to live. Under an L2 penalty weights tend to zero and never get there.
_ALIVE = 1e-6


@dataclass
class Description:
    """A model at one step of a path.

    Parameters
    ----------
    n_nonzero : int
        Weights that are not zero; biases are not counted.
    n_live : list of int
        Live units of each hidden layer: their output varies over the rows, and nonzero weights
        lead from them to an output.
    n_inputs : int
        Inputs from which nonzero weights lead to an output.
    norms : list of ndarray
        For each Dense layer the norm of each of its inputs' weights: inputs of the network
        first, then the units of each hidden layer. 0 for what does not live.
    weights : ndarray of shape (n_inputs, n_outputs) or None
        Of a model without hidden layers.
    """

    n_nonzero: int
    n_live: list[int]
    n_inputs: int
    norms: list[Array]
    weights: Array | None = None


def described(model: Sequential, x: NDArray[Any]) -> Description:
    """Describe a model by its weights, and by its units' outputs for some rows."""
    weights = [layer.get_weights()[0].astype(np.float64) for layer in model.dense_layers]
    outputs = model.activations(x)[:-1] if len(weights) > 1 else []
    outputs = [output for layer, output in zip(model.layers, outputs, strict=False)
               if layer in model.dense_layers]  # fmt: skip
    norms = [np.sqrt(np.square(w).sum(axis=1)) for w in weights]
    live = [np.ones(weights[-1].shape[1], dtype=bool)]
    for h in reversed(range(len(weights))):
        leads = (weights[h][:, live[0]] != 0).any(axis=1)
        if h:
            spread = outputs[h - 1].std(axis=0, dtype=np.float64)
            leads &= spread * norms[h] > _ALIVE
        live.insert(0, leads)
    live.pop()
    return Description(
        sum(int(np.count_nonzero(w)) for w in weights),
        [int(units.sum()) for units in live[1:]],
        int(live[0].sum()),
        [np.where(units, norm, 0.0) for units, norm in zip(live, norms, strict=True)],
        weights[0] if len(weights) == 1 else None,
    )


def tidy(model: Sequential) -> None:
    """Set weights to zero that no prediction depends on, of a network with an L1 or group penalty.

    A unit that nothing leads from needs no weights to it. One that nothing leads to is a constant,
    which goes to the biases after it. The loss stays, to rounding, and the penalty falls; training
    would do the same, but slowly: what has no gradient is pulled by the penalty alone. Units of a
    softmax depend on one another and stay.
    """
    layers = model.dense_layers
    network = model.network
    separate = [i for i in range(len(layers) - 1) if layers[i].activation != "softmax"]
    for i in reversed(separate):
        idle = ~(network.weights(i + 1) != 0).any(axis=1)
        network.weights(i)[:, idle] = 0
    for i in separate:
        constant = ~(network.weights(i) != 0).any(axis=0)
        after = network.weights(i + 1)
        if not after[constant].any():
            continue
        values = formulas.activation_forward(layers[i].activation, network.bias(i)[None])[0]
        network.bias(i + 1)[...] += values[constant] @ after[constant]
        after[constant] = 0
