"""Networks of one architecture and compilation, kept as arrays: what an ensemble is made of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import threads
from .._model.clone import clone
from .._model.history import History

if TYPE_CHECKING:
    from ..models import Sequential

_SHORT = 400_000  # multiplications that are not worth a second thread


class Group:
    """Trained networks that differ in their seeds and rows only.

    Parameters
    ----------
    template : Sequential
        Their architecture and compilation.
    seeds : list of int
        One a network.
    parameters : list of ndarray
        (networks, ...): of layer after layer weights, then biases if it has any.
    losses : ndarray of shape (networks, epochs kept)
        Training loss, penalty included.
    epochs : list of int
        The epochs, from 1, that `losses` are of.
    folds : list of int, or None
        The part of the rows, from 0, that each was not trained on.
    training_config : dict
        As `Sequential.training_config`.
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

    def pick(self, places: list[int]) -> Group:
        """Return a group of some of the networks."""
        folds = None if self.folds is None else [self.folds[i] for i in places]
        return Group(
            self.template,
            [self.seeds[i] for i in places],
            [array[places] for array in self.parameters],
            self.losses[places],
            self.epochs,
            folds,
            self.training_config,
        )

    def member(self, i: int) -> Sequential:
        """Return one network as a model of its own; its optimizer would start anew."""
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

    def predictors(
        self, places: Iterable[int] | None = None
    ) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
        """Yield, for one network after the other, what turns inputs into its outputs.

        A row's outputs have the bits that the network's own model gives it, and whoever else
        predicts with the ensemble at the same time.
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
            with network.lock:  # other threads need it for other members
                for view, array in zip(views, self.parameters, strict=True):
                    view[...] = array[i]
                network.predict(x, out, n_threads=n_threads, automatic=automatic)
            return out

        for i in range(len(self)) if places is None else places:
            yield functools.partial(predict, i)
