"""The losses and metrics of a training, epoch by epoch."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from .model import Model


class History:
    """What training reported.

    Attributes
    ----------
    epoch : list of int
        Epochs done, from 0.
    history : dict of str to list of float
        One value an epoch for 'loss' and every metric; for the 'val_' keys one a validation.
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
        """Epochs done, from 0."""
        self._unfold()
        return self._epoch

    @epoch.setter
    def epoch(self, epochs: list[int]) -> None:
        self._unfold()
        self._epoch = epochs

    @property
    def history(self) -> dict[str, list[float]]:
        """One value an epoch for 'loss' and every metric; for 'val_' keys one a validation."""
        self._unfold()
        return self._lists

    @history.setter
    def history(self, lists: dict[str, list[float]]) -> None:
        self._unfold()
        self._lists = lists

    def keep(self, epoch: np.ndarray, values: dict[str, np.ndarray]) -> None:
        """Take epochs and values as arrays, and make lists of them when one is looked at."""
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

    def set_model(self, model: Model) -> None:
        """Remember the model, weakly: it holds its history itself."""
        self.model = cast("Model", weakref.proxy(model))

    def append(self, logs: Mapping[str, float]) -> None:
        """Add one value to each list that `logs` names."""
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
