"""`effort="high"`: a network for each fold of the rows, trained on the others, and their mean.

The networks are trained on a thread each.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .._many import pool
from .._many.group import NetworkGroup
from .._saving import kinds
from .._utils.progress import ProgressLine
from ..callbacks import Callback, Logs
from ..errors import DivergedError
from ..models import Sequential
from ._calibration import scale_last_layer
from ._endings import settle
from ._model import KEPT
from ._prepare import Prepared
from ._train import best_kept, describe, fit_rows, fold_seed, network, template


class FoldsTraining:
    """The training of a network for each fold; each is judged by the rows of its fold.

    Parameters
    ----------
    prepared : Prepared
        Its decisions have the effort "high".
    note : callable, optional
        Called with a line about what was found on the way.

    Attributes
    ----------
    template : Sequential
        The compiled network, without trained weights.
    model : Ensemble
        The trained networks; after `run`.
    """

    def __init__(self, prepared: Prepared, note: Callable[[str], None] | None = None) -> None:
        self.prepared, self._note = prepared, note
        self.template = template(prepared)
        self.model: Any = None
        self._done: dict[int, _Trained] = {}
        self._begun: dict[int, _Trained] = {}  # interrupted networks
        self._epochs: collections.Counter[int] = collections.Counter()

    @property
    def kept(self) -> dict[str, Any]:
        """What the model's file holds about table and training."""
        found: dict[str, Any] = self.model.extras[KEPT]
        return found

    @property
    def _trained(self) -> list[_Trained]:
        """The networks of the model, in the order of their folds."""
        done = self._done or {fold: self._begun[fold] for fold in sorted(self._begun)[:1]}
        return [done[fold] for fold in sorted(done)]

    @property
    def pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to train on and rows held out, of each network of the model."""
        return [self.prepared.held_out.pairs[one.fold] for one in self._trained]

    @property
    def rows(self) -> np.ndarray:
        """Positions of the rows held out."""
        return np.concatenate([held for _, held in self.pairs])

    @property
    def outputs(self) -> np.ndarray:
        """Predictions for `rows` of the networks that had not seen them, not calibrated."""
        return np.concatenate([one.outputs for one in self._trained])

    def run(self, verbose: int = 1) -> None:
        """Train; Ctrl-C leaves the mean of the networks so far in `model`, and is raised.

        A network whose training diverges is left out, unless all do.

        Parameters
        ----------
        verbose : {0, 1, 2}
        """
        n, each = len(self.prepared.held_out.pairs), self.prepared.n_epochs
        tasks = [functools.partial(self._train, fold) for fold in range(n)]
        large = self.template.count_params() >= pool.LARGE
        try:
            with ProgressLine("fit", n * each, enabled=verbose == 1) as line:

                def waited() -> None:
                    line.update(self._epochs.total())

                found = pool.run_many(tasks, on_wait=waited, alone=[large] * n)
        finally:
            if self._trained:
                self.model = self._mean()
        for fold, error in enumerate(found):
            if error is None:
                continue
            if not self._done:
                raise error
            self._say(f"Network {fold + 1} of {n} is left out: {error}.")
        for fold in self._done if verbose == 2 else ():
            self._say(f"Network {fold + 1} of {n}: best epoch {self._done[fold].best} of {each}.")

    def _say(self, text: str) -> None:
        if self._note is not None:
            self._note(text)

    def _train(self, fold: int) -> DivergedError | None:
        """Train the network of a fold; return the error if it diverges."""
        prepared = self.prepared
        train, held = prepared.held_out.pairs[fold]
        rows, judging = prepared.taken(train), prepared.taken(held)
        model = network(prepared, *rows[:2], fold_seed(prepared.seed, fold))
        stop = best_kept(prepared, judging)
        try:
            fit_rows(
                model, prepared, rows, prepared.decisions,
                callbacks=[stop, _Count(self._epochs, fold)], validation=judging, verbose=0,
            )  # fmt: skip
        except KeyboardInterrupt:
            if settle(stop, model):
                self._begun[fold] = _Trained(fold, model, judging[0], stop.best_epoch + 1)
            raise
        except DivergedError as error:
            return error
        self._done[fold] = _Trained(fold, model, judging[0], stop.best_epoch + 1)
        return None

    def _mean(self) -> Any:
        """Return the ensemble of the networks that are trained."""
        prepared, folds = self.prepared, [one.fold for one in self._trained]
        models = [one.model for one in self._trained]
        curves = [np.array(model.history.history["loss"]) for model in models if model.history]
        most = max(map(len, curves))
        losses = np.array([np.pad(curve, (0, most - len(curve)), "edge") for curve in curves])
        group = NetworkGroup(
            self.template,
            [fold_seed(prepared.seed, fold) for fold in folds],
            [np.stack(arrays) for arrays in zip(*(m.get_weights() for m in models), strict=True)],
            losses,
            list(range(1, most + 1)),
            folds,
            {"epochs": most, "batch_size": prepared.decisions.batch_size},
        )
        noise = None
        if prepared.task == "regression":
            errors = prepared.y[self.rows].astype(np.float64) - self.outputs
            noise = np.sqrt(np.square(errors).mean(axis=0))
        made = kinds.maker("ensemble")([group], noise, None if noise is None else "held-out folds")
        made.interrupted = len(models) < len(prepared.held_out.pairs)
        describe(prepared, made)
        return made

    def scale(self, temperature: float) -> None:
        """Divide the last layer of every network by a temperature."""
        stacked = self.model.groups[0].parameters
        for i, one in enumerate(self._trained):
            scale_last_layer(one.model, temperature)
            for array, values in zip(stacked, one.model.get_weights(), strict=True):
                array[i] = values


class _Trained:
    """The network of a fold, and its predictions for the fold's rows x."""

    def __init__(self, fold: int, model: Sequential, x: np.ndarray, best: int) -> None:
        self.fold, self.model, self.best = fold, model, best
        self.outputs = model.predict(x, verbose=0)


class _Count(Callback):
    """Counts the epochs of a fold's network."""

    def __init__(self, counts: collections.Counter[int], fold: int) -> None:
        self._counts, self._fold = counts, fold

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Count one epoch more."""
        self._counts[self._fold] = epoch + 1
