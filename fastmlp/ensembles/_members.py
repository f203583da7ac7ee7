"""The data of an ensemble: a sequence of models, and what describes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._many.group import NetworkGroup
from .._model.history import History
from .._utils import cards

if TYPE_CHECKING:
    from ..losses import Loss
    from ..metrics import Metric
    from ..models import Sequential
    from ..optimizers import Optimizer


_SHOWN = 8  # architectures on a notebook's card


class Members:
    """A sequence of trained networks, and all else that an ensemble's file holds.

    `Ensemble`, which adds predictions to it, describes the parameters.
    """

    def __init__(
        self,
        groups: list[NetworkGroup],
        noise_sd: np.ndarray | None = None,
        noise_source: str | None = None,
        name: str = "ensemble",
    ) -> None:
        self.groups = [group for group in groups if len(group)]
        if not self.groups:
            raise ValueError("An ensemble needs at least one network. Received: none")
        self.noise_sd, self.noise_source, self.name = noise_sd, noise_source, name
        self.training_config: dict[str, Any] = dict(self.groups[0].training_config)
        self.extras: dict[str, Any] = {}
        self.diverged: list[dict[str, Any]] = []
        self.interrupted = False

    def __repr__(self) -> str:
        return f"<Ensemble {self.name!r}: {len(self)} members, {self.n_inputs} inputs>"

    def _repr_html_(self) -> str:
        """Return the members' losses and a table of architectures, for notebooks."""
        epochs = [float(epoch) for epoch in self.groups[0].epochs]
        same = all(np.array_equal(group.epochs, self.groups[0].epochs) for group in self.groups)
        drawn = ""
        if same and len(epochs) > 1:
            curves = np.concatenate([group.losses for group in self.groups])
            low, middle, high = np.quantile(curves, (0.1, 0.5, 0.9), axis=0).tolist()
            grey = "rgba(128,128,128,.7)"
            drawn = cards.curves(
                [("10% of members", epochs, low, grey), ("median loss", epochs, middle, cards.BLUE),
                 ("90%", epochs, high, grey)], label="epoch",
            )  # fmt: skip
        rows = [
            [
                ", ".join(str(layer.units) for layer in group.template.dense_layers), len(group),
                f"{group.template.count_params():,}",
                f"{group.losses[:, -1].min():.4g} to {group.losses[:, -1].max():.4g}",
            ]
            for group in self.groups[:_SHOWN]
        ]  # fmt: skip
        head = ["units", "members", "parameters of each", "last loss"]
        detail = f"{len(self):,} members, {self.n_inputs:,} inputs, {self.count_params():,} weights"
        left = len(self.groups) - len(rows)
        return cards.card(
            f"Ensemble {self.name}", detail, drawn, cards.table(head, rows),
            f"{left:,} architectures are not shown" if left else "",
        )  # fmt: skip

    @property
    def _first(self) -> Sequential:
        return self.groups[0].template

    @property
    def n_inputs(self) -> int:
        """Number of columns of x."""
        assert self._first.n_inputs is not None
        return self._first.n_inputs

    @property
    def n_outputs(self) -> int:
        """Number of columns of the output."""
        assert self._first.n_outputs is not None
        return self._first.n_outputs

    @property
    def dtype(self) -> np.dtype:
        """Type of weights and predictions."""
        return self._first.dtype

    @property
    def loss(self) -> Loss | None:
        """The loss that every member was trained on."""
        return self._first.loss

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that `evaluate` returns after the loss."""
        return self._first.metrics

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `evaluate` returns: 'loss', then the metrics."""
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
        """The optimizer that every member was trained with."""
        return self._first.optimizer

    @property
    def losses(self) -> np.ndarray:
        """Every member's last training loss, penalty included."""
        return np.concatenate([group.losses[:, -1] for group in self.groups])

    @property
    def history(self) -> History:
        """The members' mean training loss at each epoch."""
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
        left = i + len(self) if i < 0 else i
        for group in self.groups:
            if 0 <= left < len(group):
                return group.member(left)
            left -= len(group)
        raise IndexError(f"The ensemble has members 0 to {len(self) - 1}. Received: {i}")

    def __iter__(self) -> Iterator[Sequential]:
        return (group.member(i) for group in self.groups for i in range(len(group)))
