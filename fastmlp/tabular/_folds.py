"""`effort="high"`: a network for each fold of the rows, trained on the others, and their mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from .._many.group import NetworkGroup
from .._model.clone import clone
from .._saving import kinds
from .._utils.progress import ProgressLine
from ..callbacks import Callback, EarlyStopping, Logs
from ..errors import DivergedError
from ..models import Sequential
from ._calibration import scale_last_layer
from ._endings import BestEnding
from ._model import KEPT
from ._prepare import Prepared
from ._train import best_kept, describe, fit_rows, fold_seed, network


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
    rows, outputs : ndarray
        Positions of the rows held out, and the predictions of the networks that had not seen them.
    pairs : list of (ndarray, ndarray)
        Rows to train on and rows held out, of the networks that are trained.
    """

    def __init__(self, prepared: Prepared, note: Callable[[str], None] | None = None) -> None:
        self.prepared, self._note = prepared, note
        self.template = template(prepared)
        self.model: Any = None
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._trained: list[Sequential] = []
        self._folds: list[int] = []
        self._outputs: list[np.ndarray] = []

    @property
    def kept(self) -> dict[str, Any]:
        """What the model's file holds about table and training."""
        found: dict[str, Any] = self.model.extras[KEPT]
        return found

    @property
    def rows(self) -> np.ndarray:
        """Positions of the rows held out."""
        return np.concatenate([held for _, held in self.pairs])

    @property
    def outputs(self) -> np.ndarray:
        """Predictions of the networks for `rows`, as they are calibrated."""
        return np.concatenate(self._outputs)

    def run(self, verbose: int = 1) -> None:
        """Train; Ctrl-C leaves the mean of the networks so far in `model`, and is raised.

        A network whose training diverges is left out, unless all do.

        Parameters
        ----------
        verbose : {0, 1, 2}
        """
        pairs = self.prepared.held_out.pairs
        epochs, error = self.prepared.n_epochs, None
        try:
            with ProgressLine("fit", len(pairs) * epochs, enabled=verbose == 1) as line:
                for fold in range(len(pairs)):
                    try:
                        self._train(fold, [_Progress(line, fold * epochs)], verbose)
                    except DivergedError as found:
                        error = found
                        self._say(f"Network {fold + 1} is left out: {found}.")
        finally:
            if self._trained:
                self.model = self._mean()
        if error is not None and not self._trained:
            raise error

    def _say(self, text: str) -> None:
        if self._note is not None:
            self._note(text)

    def _train(self, fold: int, callbacks: list[Callback], verbose: int) -> None:
        prepared = self.prepared
        train, held = prepared.held_out.pairs[fold]
        rows, judging = prepared.taken(train), prepared.taken(held)
        model = network(prepared, *rows[:2], fold_seed(prepared.seed, fold))
        stop = best_kept(prepared, judging)
        try:
            fit_rows(
                model, prepared, rows, prepared.decisions, callbacks=[stop, *callbacks],
                validation=judging, verbose=2 if verbose == 2 else 0,
            )  # fmt: skip
        except KeyboardInterrupt:
            if not self._trained and _settled(stop, model):  # better than no model
                self._keep(fold, model, judging[0])
            raise
        except DivergedError:
            if not isinstance(stop, BestEnding) or not stop.again:
                raise
            stop.settle()
        self._keep(fold, model, judging[0])

    def _keep(self, fold: int, model: Sequential, x: np.ndarray) -> None:
        self._trained.append(model)
        self._folds.append(fold)
        self._outputs.append(model.predict(x, verbose=0))
        self.pairs.append(self.prepared.held_out.pairs[fold])

    def _mean(self) -> Any:
        """Return the ensemble of the networks that are trained."""
        models, prepared = self._trained, self.prepared
        curves = [np.array(model.history.history["loss"]) for model in models if model.history]
        most = max(map(len, curves))
        losses = np.array([np.pad(curve, (0, most - len(curve)), "edge") for curve in curves])
        group = NetworkGroup(
            self.template,
            [fold_seed(prepared.seed, fold) for fold in self._folds],
            [np.stack(arrays) for arrays in zip(*(m.get_weights() for m in models), strict=True)],
            losses,
            list(range(1, most + 1)),
            list(self._folds),
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
        for i, model in enumerate(self._trained):
            scale_last_layer(model, temperature)
            for array, values in zip(
                self.model.groups[0].parameters, model.get_weights(), strict=True
            ):
                array[i] = values


def template(prepared: Prepared) -> Sequential:
    """Return the compiled network that was decided, without trained weights."""
    plain = dataclasses.replace(
        prepared, decisions=dataclasses.replace(prepared.decisions, start="glorot")
    )
    x, y, _ = prepared.train
    return clone(network(plain, x, y, 0))


def _settled(stop: EarlyStopping, model: Sequential) -> bool:
    """Set the weights of the best epoch so far; return whether there is one."""
    if stop.best_weights is None:
        return False
    if isinstance(stop, BestEnding):
        return stop.settle()
    model.set_weights(stop.best_weights)
    return True


class _Progress(Callback):
    """Shows the epochs of all networks on one line."""

    def __init__(self, line: ProgressLine, before: int) -> None:
        self._line, self._before = line, before

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show one epoch more."""
        self._line.update(self._before + epoch + 1, logs)
