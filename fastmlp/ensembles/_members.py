"""Networks of one ensemble as a sequence: its length, its items, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .._many.group import Group
from .._model.history import History

if TYPE_CHECKING:
    from ..losses import Loss
    from ..metrics import Metric
    from ..models import Sequential
    from ..optimizers import Optimizer


class Members:
    """Trained networks, group after group, each a Sequential model of its own.

    Parameters
    ----------
    groups : list of Group
        At least one network in all.
    """

    def __init__(self, groups: list[Group]) -> None:
        self.groups = [group for group in groups if len(group)]
        if not self.groups:
            raise ValueError("An ensemble needs at least one network. Received: none")

    @property
    def _first(self) -> Sequential:
        return self.groups[0].template

    @property
    def n_inputs(self) -> int:
        """Width of a row of x."""
        assert self._first.n_inputs is not None
        return self._first.n_inputs

    @property
    def n_outputs(self) -> int:
        """Width of a row of the output."""
        assert self._first.n_outputs is not None
        return self._first.n_outputs

    @property
    def dtype(self) -> np.dtype:
        """Of weights and predictions."""
        return self._first.dtype

    @property
    def loss(self) -> Loss | None:
        """What every member was trained on."""
        return self._first.loss

    @property
    def metrics(self) -> list[Metric]:
        """What `evaluate` reports beside the loss."""
        return self._first.metrics

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns: 'loss', then the metrics."""
        return self._first.metrics_names

    @property
    def seeds(self) -> list[int]:
        """Every member's seed."""
        return [seed for group in self.groups for seed in group.seeds]

    @property
    def seed(self) -> int:
        """The first member's seed."""
        return self.groups[0].seeds[0]

    @property
    def optimizer(self) -> Optimizer | None:
        """What every member was trained with."""
        return self._first.optimizer

    @property
    def losses(self) -> np.ndarray:
        """Every member's latest training loss, penalty included."""
        return np.concatenate([group.losses[:, -1] for group in self.groups])

    @property
    def history(self) -> History:
        """The members' mean training loss, by epoch."""
        history = History()
        history.epoch = [epoch - 1 for epoch in self.groups[0].epochs]
        curves = np.concatenate([group.losses for group in self.groups])
        history.history = {"loss": curves.mean(0).tolist()}
        return history

    def count_params(self) -> int:
        """Return the number of weights and biases of all members."""
        return sum(len(group) * group.template.count_params() for group in self.groups)

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def __getitem__(self, i: int) -> Sequential:
        place = i + len(self) if i < 0 else i
        for group in self.groups:
            if 0 <= place < len(group):
                return group.member(place)
            place -= len(group)
        raise IndexError(f"The ensemble has members 0 to {len(self) - 1}. Received: {i}")

    def __iter__(self) -> Iterator[Sequential]:
        return (group.member(i) for group in self.groups for i in range(len(group)))
