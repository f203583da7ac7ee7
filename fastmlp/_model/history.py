"""The losses and metrics of a training, epoch by epoch."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np


class History:
    """Losses and metrics that training reported.

    Attributes
    ----------
    epoch : list of int
        Epochs done, counted from 0.
    history : dict of str to list of float
        For 'loss' and every metric a value for each epoch; for the 'val_' keys one for each
        validation.
    interrupted : bool
        Whether Ctrl-C ended training.
    """

    def __init__(self) -> None:
        self._epoch: list[int] = []
        self._lists: dict[str, list[float]] = {}
        self._kept: tuple[np.ndarray, dict[str, np.ndarray]] | None = None
        self.params: dict[str, Any] = {}
        self.interrupted = False

    @property
    def epoch(self) -> list[int]:
        """Epochs done, counted from 0."""
        self._unfold()
        return self._epoch

    @epoch.setter
    def epoch(self, epochs: list[int]) -> None:
        self._unfold()
        self._epoch = epochs

    @property
    def history(self) -> dict[str, list[float]]:
        """A value for each epoch, or of 'val_' keys for each validation, by name."""
        self._unfold()
        return self._lists

    @history.setter
    def history(self, lists: dict[str, list[float]]) -> None:
        self._unfold()
        self._lists = lists

    def keep(self, epoch: np.ndarray, values: dict[str, np.ndarray]) -> None:
        """Store epochs and values as arrays, which become lists when they are first read."""
        self._kept = (epoch, values)

    def _unfold(self) -> None:
        if self._kept is not None:
            (epoch, values), self._kept = self._kept, None
            self._epoch = epoch.astype(np.int64).tolist()
            self._lists = {key: array.tolist() for key, array in values.items()}

    def set_params(self, params: dict[str, Any]) -> None:
        """Remember the settings of this training."""
        self.params = params

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "model"}

    def set_model(self, model: Any) -> None:
        """Remember the model by a weak reference: the model holds its history."""
        self.model = weakref.proxy(model)

    def append(self, logs: Mapping[str, float]) -> None:
        """Add one value to each list that `logs` names."""
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
