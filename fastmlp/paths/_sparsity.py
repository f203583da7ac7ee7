"""The sparsity of a network: nonzero weights, used inputs and live units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels import formulas
from ..models import Sequential

Array = NDArray[np.float64]

# A unit is live if its contribution to the next layer varies over the rows by more than this (root
# mean square). An L2 penalty makes weights small, but not zero.
_ALIVE = 1e-6


@dataclass
class Description:
    """A model at one step of a path.

    Parameters
    ----------
    n_nonzero : int
        Number of nonzero weights, without biases.
    n_live : list of int
        Number of live units of each hidden layer. A unit is live if its output varies over the
        rows, and nonzero weights connect it to an output.
    n_inputs : int
        Number of inputs that nonzero weights connect to an output.
    norms : list of ndarray
        For each Dense layer, the norms of the weights from each of its inputs: those from the
        network's inputs, then from the units of each hidden layer. 0 for unused inputs and dead
        units.
    weights : ndarray of shape (n_inputs, n_outputs) or None
        The weights of a model without hidden layers.
    """

    n_nonzero: int
    n_live: list[int]
    n_inputs: int
    norms: list[Array]
    weights: Array | None = None


def describe(model: Sequential, x: NDArray[Any]) -> Description:
    """Describe a model from its weights, and from its units' outputs for some rows."""
    weights = [layer.get_weights()[0].astype(np.float64) for layer in model.dense_layers]
    outputs = model.activations(x)[:-1] if len(weights) > 1 else []
    outputs = [output for layer, output in zip(model.layers, outputs, strict=False)
               if layer in model.dense_layers]  # fmt: skip
    squares = [np.square(w).sum(axis=1) for w in weights]
    norms = [np.sqrt(sums) for sums in squares]
    live = [np.ones(weights[-1].shape[1], dtype=bool)]
    for h in reversed(range(len(weights))):
        leads = (weights[h][:, live[0]] != 0).any(axis=1)
        if h:
            spread = outputs[h - 1].std(axis=0, dtype=np.float64)
            leads &= spread * norms[h] > _ALIVE
        live.insert(0, leads)
    live.pop()
    live[0], norms[0] = model.by_input(live[0]), np.sqrt(model.by_input(squares[0]))
    return Description(
        sum(int(np.count_nonzero(w)) for w in weights),
        [int(units.sum()) for units in live[1:]],
        int(live[0].sum()),
        [np.where(units, norm, 0.0) for units, norm in zip(live, norms, strict=True)],
        weights[0] if len(weights) == 1 else None,
    )


def zero_unused_weights(model: Sequential) -> None:
    """Set weights to zero that predictions do not depend on.

    If a unit has no outgoing weights, its incoming weights become zero. If it has no incoming
    weights, its output is constant: the constant is added to the biases of the next layer, and its
    outgoing weights become zero. Predictions change by rounding only, and an L1 or group penalty
    falls. Training would do the same, but slowly, because only the penalty has a gradient there.
    Softmax units depend on one another and are not changed.
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
