"""The networks of one architecture and compilation, while they are trained."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._many.group import NetworkGroup
from ..errors import DivergedError
from ..models import Sequential

_MAX_LOSSES = 4_000_000  # values of loss curves that are kept


def _kept_epochs(epochs: int, members: int) -> np.ndarray:
    """Return the epochs, from 1, whose losses are kept: all, unless they are very many."""
    step = max(1, -(-epochs * members // _MAX_LOSSES))
    return np.arange(epochs, 0, -step)[::-1]


class Architecture:
    """Networks that differ in their seeds and rows only, and the results of their training.

    Parameters
    ----------
    template : Sequential
        Architecture and compilation.
    seeds : list of int
        One for each network.
    folds : list of int or None
        The fold that each network is not trained on.
    epochs : int
    """

    def __init__(
        self, template: Sequential, seeds: list[int], folds: list[int] | None, epochs: int
    ):
        n = len(seeds)
        self.template, self.seeds, self.folds = template, seeds, folds
        self.index = 0  # among the architectures
        self.parameters = [
            np.zeros((n, *shape), template.dtype)
            for layer in template.dense_layers
            for shape in layer.shapes
        ]
        self.kept = _kept_epochs(epochs, n)
        self.losses = np.full((n, len(self.kept)), np.nan)
        self.latest = np.full(n, np.nan)  # loss of the last epoch, even if that is not kept
        self.done = np.zeros(n, np.int64)  # epochs
        self.errors: dict[int, DivergedError] = {}
        self.running: dict[int, Sequential] = {}

    def subset(self, indices: list[int]) -> Architecture:
        """Return some of the networks, untrained, with result arrays of their own."""
        folds = None if self.folds is None else [self.folds[i] for i in indices]
        epochs = int(self.kept[-1])
        found = Architecture(self.template, [self.seeds[i] for i in indices], folds, epochs)
        found.kept, found.index = self.kept, self.index
        found.losses = np.full((len(indices), len(self.kept)), np.nan)
        return found

    def without_results(self) -> Architecture:
        """Return a copy without result arrays, to send to workers."""
        found = copy.copy(self)
        found.parameters, found.losses = [], np.empty((0, 0))
        return found

    def take(self, indices: list[int], trained: Architecture) -> None:
        """Copy the results of networks that were trained as a `subset`."""
        for array, values in zip(self.parameters, trained.parameters, strict=True):
            array[indices] = values
        self.losses[indices] = trained.losses
        self.latest[indices] = trained.latest
        self.done[indices] = trained.done
        self.errors |= {indices[i]: error for i, error in trained.errors.items()}

    def epochs_done(self, indices: list[int]) -> int:
        """Count the epochs of some networks, those in training included."""
        total = int(self.done[indices].sum())
        for i in indices:
            model = self.running.get(i)
            if model is not None and model.history is not None:
                total += len(model.history.epoch)
        return total

    def keep(self, i: int, model: Sequential) -> None:
        """Copy the results of a trained model."""
        history = model.history.history["loss"] if model.history is not None else []
        for array, values in zip(self.parameters, model.get_weights(), strict=True):
            array[i] = values
        kept = self.kept[self.kept <= len(history)]
        self.losses[i, : len(kept)] = np.array(history)[kept - 1]
        self.latest[i] = history[-1] if history else np.nan
        self.done[i] = len(history)

    def group(self, epochs: int, config: dict[str, Any]) -> NetworkGroup:
        """Return the networks that were trained for at least `epochs`."""
        kept = self.kept[self.kept <= epochs].tolist()
        losses = self.losses[:, : len(kept)]
        if not kept or kept[-1] < epochs:
            kept.append(epochs)
            losses = np.column_stack([losses, self.latest])
        group = NetworkGroup(
            self.template, self.seeds, self.parameters, losses, kept, self.folds, config
        )
        enough = self.done >= epochs
        return group if enough.all() else group.subset(np.flatnonzero(enough).tolist())
