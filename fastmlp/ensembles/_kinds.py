"""Networks of one architecture and training, before they are trained."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._many.group import Group
from ..errors import DivergedError
from ..models import Sequential

_MAX_LOSSES = 4_000_000  # values of loss curves that are held


def _kept_epochs(epochs: int, members: int) -> np.ndarray:
    """Return the epochs, from 1, whose losses are kept: all, unless they are very many."""
    step = max(1, -(-epochs * members // _MAX_LOSSES))
    return np.arange(epochs, 0, -step)[::-1]


class Kind:
    """Networks of one architecture and lambda: what they learn, while they do."""

    def __init__(
        self, template: Sequential, seeds: list[int], folds: list[int] | None, epochs: int
    ):
        n = len(seeds)
        self.template, self.seeds, self.folds = template, seeds, folds
        self.parameters = [
            np.zeros((n, *shape), template.dtype)
            for layer in template.dense_layers
            for shape in layer.shapes
        ]
        self.kept = _kept_epochs(epochs, n)
        self.losses = np.full((n, len(self.kept)), np.nan)
        self.latest = np.full(n, np.nan)  # the last epoch's loss, even of one that is not kept
        self.done = np.zeros(n, np.int64)  # epochs
        self.errors: dict[int, DivergedError] = {}
        self.running: dict[int, Sequential] = {}

    def some(self, places: list[int]) -> Kind:
        """Return a kind of some of the networks, none of them trained."""
        folds = None if self.folds is None else [self.folds[i] for i in places]
        kind = Kind(self.template, [self.seeds[i] for i in places], folds, int(self.kept[-1]))
        kind.kept = self.kept
        kind.losses = np.full((len(places), len(self.kept)), np.nan)
        return kind

    def emptied(self) -> Kind:
        """Return this without room for what is learnt, to be sent to others."""
        kind = copy.copy(self)
        kind.parameters, kind.losses = [], np.empty((0, 0))
        return kind

    def take(self, places: list[int], learnt: Kind) -> None:
        """Take over what some of the networks learnt elsewhere."""
        for array, values in zip(self.parameters, learnt.parameters, strict=True):
            array[places] = values
        self.losses[places] = learnt.losses
        self.latest[places] = learnt.latest
        self.done[places] = learnt.done
        self.errors |= {places[i]: error for i, error in learnt.errors.items()}

    def epochs_done(self) -> int:
        """Count epochs over all networks, those that are being trained included."""
        total = int(self.done.sum())
        for model in list(self.running.values()):
            if model.history is not None:
                total += len(model.history.epoch)
        return total

    def keep(self, i: int, model: Sequential) -> None:
        """Take over what a model has learnt."""
        history = model.history.history["loss"] if model.history is not None else []
        for array, values in zip(self.parameters, model.get_weights(), strict=True):
            array[i] = values
        kept = self.kept[self.kept <= len(history)]
        self.losses[i, : len(kept)] = np.array(history)[kept - 1]
        self.latest[i] = history[-1] if history else np.nan
        self.done[i] = len(history)

    def group(self, epochs: int, config: dict[str, Any]) -> Group:
        """Return the networks that have had so many epochs."""
        kept = self.kept[self.kept <= epochs].tolist()
        losses = self.losses[:, : len(kept)]
        if not kept or kept[-1] < epochs:
            kept.append(epochs)
            losses = np.column_stack([losses, self.latest])
        group = Group(self.template, self.seeds, self.parameters, losses, kept, self.folds, config)
        enough = self.done >= epochs
        return group if enough.all() else group.pick(np.flatnonzero(enough).tolist())
