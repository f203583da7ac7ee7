"""Pruning: remove units with no outgoing or no incoming nonzero weights."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .._kernels.formulas import activation_forward
from .._utils import arguments
from ..errors import ModelWarning
from ..layers import Dense, Layer
from .summary import zero_share

if TYPE_CHECKING:
    from .model import Model

M = TypeVar("M", bound="Model")
Array = np.ndarray


class _Net:
    """Weights and biases in float64, and masks of the inputs and units that remain.

    `keep[0]` is the mask of the first layer's rows, `keep[h + 1]` that of dense layer h's units.
    """

    def __init__(self, model: Model) -> None:
        network = model.network
        self.dense = model.dense_layers
        layers = range(len(self.dense))
        self.w = [np.array(network.weights(h), np.float64) for h in layers]
        self.b = [np.array(network.bias(h), np.float64) for h in layers]
        self.keep = [np.ones(len(self.w[0]), bool), *(np.ones(len(b), bool) for b in self.b)]
        self.folded = [layer.use_bias for layer in self.dense]

    def shrink(self) -> None:
        """Remove units until no unit without use is left."""
        while any([self._shrink_layer(h) for h in range(len(self.w) - 1)]):
            pass

    def _shrink_layer(self, h: int) -> bool:
        """Remove a hidden layer's units without use; return whether there were any."""
        keep = self.keep[h + 1]
        if self.dense[h].activation == "softmax":  # every unit counts in the sum of all
            return False
        no_outgoing = np.logical_not(self.w[h + 1][:, self.keep[h + 2]].any(axis=1))
        no_incoming = np.logical_not(self.w[h][self.keep[h]].any(axis=0))
        idle = keep & (no_outgoing | no_incoming)
        if not idle.any() or (keep.sum() == 1 and no_outgoing[keep].all()):
            return False
        constant = np.flatnonzero(idle & ~no_outgoing)
        if len(constant):
            outputs = activation_forward(self.dense[h].activation, self.b[h][constant])
            self.b[h + 1] += outputs @ self.w[h + 1][constant]
            self.w[h + 1][constant] = 0
            self.folded[h + 1] = True
        if idle.sum() == keep.sum():  # a layer keeps at least one unit
            first = np.flatnonzero(keep)[0]
            idle[first] = False
            self.w[h][:, first] = self.w[h + 1][first] = 0  # a unit without use
        keep[idle] = False
        return True

    @property
    def used(self) -> Array:
        """Mask of the first layer's rows that predictions depend on."""
        return np.asarray(self.w[0][:, self.keep[1]].any(axis=1))


def prune(model: M, inputs: bool) -> M:
    """Return the smaller model; see `Sequential.prune`."""
    net = _Net(model)
    net.shrink()
    used = kept = model.by_input(net.used)
    if inputs and not used.any():
        kept = np.arange(len(used)) == 0
    elif not inputs:
        kept = np.ones(len(used), bool)
    encoding = model.kernel_encoding(model.dtype)
    net.keep[0] = kept if encoding is None else np.repeat(kept, np.diff(encoding[0]))
    pruned = _smaller(model, net, kept)
    _copy_state(model, pruned, net)
    pruned.extras["pruned"] = {
        "units": {
            layer.name: [len(keep), int(keep.sum())]
            for layer, keep in zip(net.dense[:-1], net.keep[1:-1], strict=True)
        },
        "inputs": np.flatnonzero(kept).tolist(),
        "unused_inputs": np.flatnonzero(~used).tolist(),
        "parameters": [model.count_params(), pruned.count_params()],
    }
    if (text := _nothing_removed(model, pruned)) is not None:
        arguments.warn(text, ModelWarning)
    if not kept.all():
        pruned.extras.pop("preprocessing", None)  # it produces all inputs
    return pruned


def _nothing_removed(model: Model, pruned: Model) -> str | None:
    """Return why nothing was removed, and which penalty would change that; None if it was."""
    if pruned.n_inputs != model.n_inputs or any(
        before.units != after.units
        for before, after in zip(model.dense_layers, pruned.dense_layers, strict=True)
    ):
        return None
    if len(model.dense_layers) == 1:
        return "Nothing could be removed: the model has no hidden units"
    zeros = zero_share(model)
    if not zeros:
        return (
            "Nothing could be removed: no weight is exactly zero. Train with a group penalty, or "
            "with an L1 penalty by proximal steps, which make zeros"
        )
    return (
        f"Nothing could be removed: {zeros:.2%} of the weights are zero, but no hidden unit has "
        "only zeros on one side, apart from one that its layer must keep. A group penalty makes "
        "all weights of a unit zero together"
    )


def _smaller(model: M, net: _Net, kept: Array) -> M:
    """Return a model of the remaining units and of the inputs to keep, with their weights."""
    made: list[Layer] = []
    h = 0
    for layer in model.layers:
        config = copy.deepcopy(layer.get_config())
        if isinstance(layer, Dense):
            config["units"], config["use_bias"] = int(net.keep[h + 1].sum()), net.folded[h]
            h += 1
        elif layer is model.encoding:
            config["edges"] = list(itertools.compress(config["edges"], kept))
        made.append(type(layer)(**config))
    pruned = type(model)(made, seed=model.seed, dtype=model.dtype.name, name=model.name)
    pruned.build((int(kept.sum()),))
    network = pruned.materialise(draw=False)
    for h in range(len(net.w)):
        network.weights(h)[...] = net.w[h][np.ix_(net.keep[h], net.keep[h + 1])]
        network.bias(h)[...] = net.b[h][net.keep[h + 1]]
    return pruned


def _copy_state(model: Model, pruned: Model, net: _Net) -> None:
    """Copy what a further fit continues from: compilation, the optimizer's state, the history."""
    pruned.history, pruned.n_fits = copy.copy(model.history), model.n_fits
    if pruned.history is not None:
        pruned.history.set_model(pruned)
    pruned.training_config = copy.deepcopy(model.training_config)
    pruned.extras = copy.deepcopy(model.extras)
    pruned.missing = list(model.missing)
    if model.optimizer is None or model.loss is None:
        return
    pruned.compile(copy.deepcopy(model.optimizer), model.loss, list(model.metrics))
    if not model.configured:
        return
    network, old = pruned.ready(), model.network
    network.step = old.step
    for s in model.optimizer.slots:
        for h, layer in enumerate(net.dense):
            kept: Any = np.ix_(net.keep[h], net.keep[h + 1])
            network.weights_slot(s, h)[...] = old.weights_slot(s, h)[kept]
            if layer.use_bias:
                network.bias_slot(s, h)[...] = old.bias_slot(s, h)[net.keep[h + 1]]
