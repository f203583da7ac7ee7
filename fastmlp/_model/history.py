"""The losses and metrics of a training, epoch by epoch."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._utils import cards
from ..metrics import larger_is_better


class History:
    """Losses and metrics that training reported.

    Attributes
    ----------
    epoch : list of int
        Epochs done, counted from 0.
    history : dict of str to list of float
        For 'loss' and every metric a value for each epoch; for the 'val_' keys one for each
        validation.
    params : dict
        Settings of the training. Unless it was validated after each epoch, 'validation_freq' is
        the number of epochs between validations, or the epochs, from 1, after which it was.
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

    @property
    def validated(self) -> Sequence[int]:
        """The epochs, from 1, after which the model was validated."""
        frequency, n_epochs = self.params.get("validation_freq"), len(self.epoch)
        if isinstance(frequency, int):
            return range(frequency, n_epochs + 1, frequency)
        if frequency is not None:
            return sorted(epoch for epoch in frequency if epoch <= n_epochs)
        found = max((len(v) for k, v in self.history.items() if k.startswith("val_")), default=0)
        every = max(1, n_epochs // max(1, found))
        return range(every, n_epochs + 1, every)[:found]

    def best(self, name: str) -> tuple[int, float] | None:
        """Return the epoch, from 1, at which a value was best, and the value.

        Parameters
        ----------
        name : str
            A name in `history`, such as 'val_loss'.

        Returns
        -------
        tuple of int and float, or None
            None if the name has no finite value.
        """
        values = np.asarray(self.history.get(name, ()), np.float64)
        if not np.isfinite(values).any():
            return None
        values = np.where(np.isfinite(values), values, np.nan)
        index = int(np.nanargmax(values) if larger_is_better(name) else np.nanargmin(values))
        at = self.validated[index] if name.startswith("val_") else self.epoch[index] + 1
        return at, float(values[index])

    def __repr__(self) -> str:
        lists = {key: values for key, values in self.history.items() if values}
        shown = [f"{key} {values[-1]:.4g}" for key, values in lists.items()]
        best = self.best("val_loss")
        if best is not None:
            shown.append(f"best val_loss {best[1]:.4g} in epoch {best[0]}")
        n = len(self.epoch)
        head = f"{n} epoch{'' if n == 1 else 's'}{', interrupted' if self.interrupted else ''}"
        return f"<History: {', '.join([head, *shown[:8]])}{', ...' if len(shown) > 8 else ''}>"

    def _repr_html_(self) -> str:
        """Return curves of loss and metrics, for notebooks."""
        lists, parts = self.history, []
        epochs = [epoch + 1 for epoch in self.epoch]
        for name in [key for key in lists if not key.startswith("val_")][:6]:
            series: list[tuple[str, Sequence[float], Sequence[float], str]]
            series = [(name, epochs, lists[name], cards.BLUE)]
            marks = []
            if lists.get(f"val_{name}"):
                series.append((f"val_{name}", self.validated, lists[f"val_{name}"], cards.RED))
                best = self.best(f"val_{name}")
                if best is not None:
                    marks.append((float(best[0]), f"best: {best[1]:.4g}, epoch {best[0]}"))
            log = False if larger_is_better(name) else None
            parts.append(cards.curves(series, label="epoch", marks=marks, log_y=log))
        n = len(epochs)
        detail = f"{n:,} epoch{'' if n == 1 else 's'}{', interrupted' if self.interrupted else ''}"
        return cards.card("History", detail, *parts)

    def append(self, logs: Mapping[str, float]) -> None:
        """Add one value to each list that `logs` names."""
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))


class ContinuedHistory(History):
    """The history of a model that is being trained again: earlier epochs, and those of this run.

    Parameters
    ----------
    past : History
        Of all earlier calls of `fit`.
    current : History
        Of this one, which grows.
    """

    def __init__(self, past: History, current: History) -> None:
        super().__init__()
        self.past, self.current = past, current
        self.params = current.params

    @property
    def epoch(self) -> list[int]:
        """Epochs done, counted from 0."""
        n_past = len(self.past.epoch)
        return [*self.past.epoch, *(n_past + epoch for epoch in self.current.epoch)]

    @epoch.setter
    def epoch(self, epochs: list[int]) -> None:
        raise AttributeError("epoch of a history in training is set by fit")

    @property
    def history(self) -> dict[str, list[float]]:
        """A value for each epoch, or of 'val_' keys for each validation, by name."""
        lists = {key: list(values) for key, values in self.past.history.items()}
        self._add_to(lists)
        return lists

    @history.setter
    def history(self, lists: dict[str, list[float]]) -> None:
        raise AttributeError("history of a history in training is set by fit")

    def _add_to(self, lists: dict[str, list[float]]) -> None:
        """Append this run's values; NaN for epochs in which a value was not measured."""
        past, current = self.past, self.current
        lengths = len(past.epoch), len(past.validated)
        further = len(current.epoch), len(current.validated)
        for key in {**lists, **current.history}:
            of_validation = key.startswith("val_")
            values = lists.setdefault(key, [math.nan] * lengths[of_validation])
            values += current.history.get(key, [math.nan] * further[of_validation])

    def merged(self, copy: bool = False) -> History:
        """Return the history of all epochs; no longer a view."""
        past, current = self.past, self.current
        whole = past if isinstance(past, _WholeHistory) and not copy else _WholeHistory.of(past)
        params = current.params | {"epochs": len(past.epoch) + len(current.epoch)}
        n_past, now = len(past.epoch), current.params.get("validation_freq", 1)
        before = past.params.get("validation_freq", 1)
        regular = isinstance(now, int) and before == now and n_past % now == 0
        if not (regular and bool(past.validated) == bool(current.validated)):
            params["validation_freq"] = [*past.validated, *(n_past + e for e in current.validated)]
        epochs = self.epoch
        self._add_to(whole.history)
        whole.epoch, whole.params, whole.interrupted = epochs, params, current.interrupted
        return whole


class _WholeHistory(History):
    """A history that the model alone holds, and to which it may append."""

    @classmethod
    def of(cls, history: History) -> _WholeHistory:
        whole = cls()
        whole.epoch = list(history.epoch)
        whole.history = {key: list(values) for key, values in history.history.items()}
        whole.params, whole.interrupted = dict(history.params), history.interrupted
        return whole


def split_history(
    whole: History, n_past: int, lengths: Mapping[str, int]
) -> tuple[History, History]:
    """Return a history's earlier epochs, and the rest.

    Parameters
    ----------
    whole : History
    n_past : int
        Epochs of the first part.
    lengths : mapping of str to int
        Number of values of each name in it.
    """
    past, rest = _WholeHistory(), History()
    past.epoch = whole.epoch[:n_past]
    past.history = {key: whole.history[key][:length] for key, length in lengths.items()}
    rest.epoch = [epoch - n_past for epoch in whole.epoch[n_past:]]
    rest.history = {
        key: values[lengths.get(key, n_past) :] for key, values in whole.history.items()
    }
    return past, rest
