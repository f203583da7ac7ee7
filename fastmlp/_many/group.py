"""Trained networks of one architecture and compilation, with their weights in stacked arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import threads
from .._model.clone import clone
from .._model.history import History

if TYPE_CHECKING:
    from ..models import Sequential

_SHORT = 400_000  # multiplications below which a second thread does not pay


class NetworkGroup:
    """Trained networks that differ in their seeds and rows only.

    Parameters
    ----------
    template : Sequential
        Their architecture and compilation.
    seeds : list of int
        One for each network.
    parameters : list of ndarray
        For each layer, the weights, then the biases if it has any, of shape (networks, ...).
    losses : ndarray of shape (networks, epochs kept)
        Training loss, penalty included.
    epochs : list of int
        The epochs, from 1, of the columns of `losses`.
    folds : list of int, or None
        The fold, from 0, that each network was not trained on.
    training_config : dict
        See `Sequential.training_config`.
    """

    def __init__(
        self,
        template: Sequential,
        seeds: list[int],
        parameters: list[np.ndarray],
        losses: np.ndarray,
        epochs: list[int],
        folds: list[int] | None,
        training_config: dict[str, Any],
    ) -> None:
        self.template, self.seeds, self.parameters = template, seeds, parameters
        self.losses, self.epochs, self.folds = losses, epochs, folds
        self.training_config = training_config
        self._network: Any = None

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def units(self) -> list[int]:
        """Widths of the hidden layers."""
        return [layer.units for layer in self.template.dense_layers[:-1]]

    def subset(self, indices: list[int]) -> NetworkGroup:
        """Return a group of some of the networks."""
        folds = None if self.folds is None else [self.folds[i] for i in indices]
        return NetworkGroup(
            self.template,
            [self.seeds[i] for i in indices],
            [array[indices] for array in self.parameters],
            self.losses[indices],
            self.epochs,
            folds,
            self.training_config,
        )

    def member(self, i: int) -> Sequential:
        """Return one network as a model, without the state of its optimizer."""
        model = clone(self.template, self.seeds[i])
        model.materialise(draw=False)
        model.set_weights([array[i] for array in self.parameters])
        model.n_fits = 1
        model.training_config = dict(self.training_config)
        history = History()
        history.epoch = [epoch - 1 for epoch in self.epochs]
        history.history = {"loss": self.losses[i].tolist()}
        history.set_model(model)
        model.history = history
        return model

    def predictors(self) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
        """Yield for each network a function that returns its outputs.

        Outputs equal, bit for bit, those of the network's own model. Several threads may call
        the functions at a time.
        """
        network, dtype = self._network, self.template.dtype
        if network is None:
            network = self._network = clone(self.template).materialise(draw=False)
        views = []
        for at, layer in enumerate(self.template.dense_layers):
            views.append(network.weights(at))
            if layer.use_bias:
                views.append(network.bias(at))
        size = self.template.count_params()

        def predict(i: int, x: np.ndarray) -> np.ndarray:
            out = np.empty((len(x), network.n_outputs), dtype)
            short = len(x) * size < _SHORT
            n_threads, automatic = (1, True) if short else threads.resolve()
            with network.lock:  # another thread may use it for another member
                for view, array in zip(views, self.parameters, strict=True):
                    view[...] = array[i]
                network.predict(x, out, n_threads=n_threads, automatic=automatic)
            return out

        for i in range(len(self)):
            yield functools.partial(predict, i)
