"""Train a prepared table's network: the best epoch of the held-out rows, or of the folds."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._model.clone import clone
from .._utils.names import EFFORTS
from ..callbacks import Callback, EarlyStopping, Logs
from ..errors import DivergedError
from ..models import Sequential, mlp
from ._decisions import UNBOUNDED, Decisions, loss_object, schedule_over
from ._endings import BestEnding, Release, best_epoch, settle
from ._model import KEPT
from ._prepare import Arrays, Prepared
from ._start import set_start

_SHAPE_STEPS = 1 << 20  # of a schedule that follows the clock


# ---- the network -------------------------------------------------------------------------------


def network(
    prepared: Prepared, x: np.ndarray, y: np.ndarray, seed: int | None = None
) -> Sequential:
    """Make and compile the network that was decided, for these training rows.

    Parameters
    ----------
    prepared : Prepared
    x, y : ndarray
        Rows that the first weights are scaled on.
    seed : int, optional
        By default that of `prepared`.

    Returns
    -------
    Sequential
    """
    decisions, state = prepared.decisions, prepared.preprocessing
    seed = prepared.seed if seed is None else seed
    model = mlp(
        decisions.units,
        state.n_inputs,
        state.n_outputs,
        activation=decisions.activation,
        output_activation=output_activation(prepared),
        dropout=decisions.dropout,
        seed=seed,
        bins=decisions.bins,
        **_penalties(prepared),
    )
    if model.encoding is not None:
        model.encoding.edges = prepared.edges
    loss = loss_object(decisions.loss, state.n_outputs)
    model.compile(decisions.compiled_optimizer(prepared.n_rows or len(x)), loss, prepared.metrics)
    if decisions.start == "data":
        set_start(model, x, seed, _first_output(prepared, y).tolist())
    return model


def _penalties(prepared: Prepared) -> dict[str, Any]:
    """Return the arguments of `mlp` for the penalties given, or for the one that was decided."""
    if prepared.own_penalty:
        return prepared.penalties
    rest = [0.0] * len(prepared.decisions.units)
    return {"group_l1": [prepared.decisions.group_l1, *rest], "groups": "inputs"}


def output_activation(prepared: Prepared) -> str:
    """Return the activation of the last layer."""
    if prepared.task == "regression":
        return "softplus" if prepared.decisions.loss == "poisson" else "linear"
    return "sigmoid" if prepared.preprocessing.n_outputs == 1 else "softmax"


def _first_output(prepared: Prepared, y: np.ndarray) -> np.ndarray:
    """Return biases of the last layer that predict the mean, or the classes' shares."""
    n_outputs = prepared.preprocessing.n_outputs
    if prepared.task == "regression":
        poisson = prepared.decisions.loss == "poisson"
        return np.full(n_outputs, np.log(np.expm1(1.0)) if poisson else 0.0)
    counts = np.bincount(y[:, 0].astype(np.intp), minlength=max(2, n_outputs)) + 1.0
    logs = np.log(counts / counts.sum())
    return logs if n_outputs > 1 else logs[1:] - logs[:1]


def describe(prepared: Prepared, model: Any) -> None:
    """Keep the preparation and the decisions in a model.

    Parameters
    ----------
    prepared : Prepared
    model : Sequential or Ensemble
    """
    prepared.preprocessing.keep(model)
    model.extras["data"] = prepared.source
    if prepared.reading:
        model.extras["reading"] = prepared.reading
    decided: dict[str, Any] = model.extras.setdefault(KEPT, {})
    decided.update(
        version=1,
        decisions=prepared.decisions.to_dict(),
        seed=prepared.seed,
        twice=prepared.repeated > 0,
        notes=list(prepared.notes),
        n_rows=prepared.n_rows or len(prepared.y),
        profile=prepared.profile,
    )


# ---- callbacks ---------------------------------------------------------------------------------


class TimeLimit(Callback):
    """Train until a time has passed; the learning rate follows its schedule over that time.

    Parameters
    ----------
    seconds : float
    peak : float
        The highest learning rate.
    schedule : str
        See `Decisions`.
    """

    def __init__(self, seconds: float, peak: float, schedule: str) -> None:
        self.seconds, self.peak, self.schedule = seconds, peak, schedule
        self.spent = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._start = time.monotonic() - self.spent
        self._longest = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate of this epoch, that of its middle."""
        self._begun = time.monotonic()
        if self.schedule == "constant":
            return
        share = min(1.0, (self._begun + self._longest / 2 - self._start) / self.seconds)
        shape = schedule_over(self.schedule, self.peak, _SHAPE_STEPS)
        least = self.peak / 100  # a whole epoch at rate 0 would be lost
        self.model.optimizer.learning_rate = max(least, shape(int(share * _SHAPE_STEPS)))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stop if there is no time for another epoch."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._begun)
        self.spent = now - self._start
        if self.spent + self._longest > self.seconds:
            self.model.stop_training = True

    def get_state(self) -> dict[str, Any]:
        """Return the time spent."""
        return {"spent": self.spent}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from the time spent before."""
        self.spent = float(state["spent"])
        self._start = time.monotonic() - self.spent


class _HeldOutCurve(Callback):
    """Keeps the predictions of every epoch for a fold's held-out rows, and their loss."""

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        self._rows = x, y, weight
        self.outputs: list[np.ndarray] = []
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        x, y, weight = self._rows
        self.outputs.append(self.model.predict(x, verbose=0))
        self.losses.append(self.model.loss(y, self.outputs[-1], weight))


def best_kept(prepared: Prepared, held: Arrays) -> EarlyStopping:
    """Return the callback that keeps the best epoch on rows held out, of both endings if there are.

    Parameters
    ----------
    prepared : Prepared
    held : tuple (x, y, weight)
    """
    decisions = prepared.decisions
    if not prepared.repeated:
        return best_epoch(decisions.patience)
    return BestEnding(
        decisions.epochs, prepared.repeated, decisions.group_l1, _judging(prepared, held),
        cautious=decisions.effort == EFFORTS[0],
    )  # fmt: skip


# ---- training ----------------------------------------------------------------------------------


@dataclass
class Chosen:
    """The epochs that a cross-validation chose, and its predictions.

    Parameters
    ----------
    epochs : int
    loss : float
        Mean held-out loss after this number of epochs.
    rows : ndarray of int
        Positions of the rows held out: each once for each repeat.
    outputs : ndarray of shape (len(rows), n_outputs)
        Predictions of the network that had not seen the row.
    """

    epochs: int
    loss: float
    rows: np.ndarray
    outputs: np.ndarray


def cross_validated(prepared: Prepared, note: Callable[[str], None] | None = None) -> Chosen:
    """Train a network on every fold's other rows; return the best number of epochs."""
    decisions, curves = prepared.decisions, []
    rows = np.concatenate([held for _, held in prepared.held_out.pairs])
    for number, (train, held) in enumerate(prepared.held_out.pairs):
        x, y, weight = prepared.taken(train)
        model = network(prepared, x, y, fold_seed(prepared.seed, number))
        curve = _HeldOutCurve(*_judging(prepared, prepared.taken(held)))
        fit_rows(model, prepared, (x, y, weight), decisions, callbacks=[curve], verbose=0)
        curves.append(curve)
    sizes = np.array([len(held) for _, held in prepared.held_out.pairs], float)
    done = min(len(curve.losses) for curve in curves)
    losses = np.array([curve.losses[:done] for curve in curves])
    mean = sizes @ losses / sizes.sum() if done == 1 else (losses.T * sizes).sum(1) / sizes.sum()
    best = int(np.argmin(mean))
    if note is not None:
        n = len(curves)
        note(f"{n} networks of the folds: best after {best + 1} of {decisions.epochs} epochs.")
    outputs = np.concatenate([curve.outputs[best] for curve in curves])
    return Chosen(best + 1, float(mean[best]), rows, outputs)


def fold_seed(seed: int, number: int) -> int:
    """Return the seed of the network of a fold."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _judging(prepared: Prepared, rows: Arrays) -> Arrays:
    """Return held-out rows with the weights that training gives their classes."""
    x, y, weight = rows
    if prepared.class_weight is None:
        return rows
    classes = np.array([prepared.class_weight[k] for k in range(len(prepared.class_weight))])
    by_class = classes[y[:, 0].astype(np.intp)].astype(np.float32)
    return x, y, by_class if weight is None else by_class * weight


def fit_rows(
    model: Sequential,
    prepared: Prepared,
    rows: Arrays,
    decisions: Decisions,
    *,
    callbacks: list[Callback],
    validation: Arrays | None = None,
    epochs: int | None = None,
    verbose: int = 1,
    **keeping: Any,
) -> None:
    """Fit a network to rows, with the batches and epochs that were decided.

    Where the callbacks have a `BestEnding`, the last epochs are run twice; if they diverge the
    second time, the first stands.
    """
    x, y, weight = rows
    ending = next((stop for stop in callbacks if isinstance(stop, BestEnding)), None)
    if epochs is None:
        epochs = decisions.epochs + (prepared.repeated if ending is not None else 0)
    if validation is not None:
        validation = _judging(prepared, validation)
        keeping["validation_data"] = validation if validation[2] is not None else validation[:2]
    batch = min(decisions.batch_size, len(x))
    try:
        model.fit(
            x, y, batch_size=batch, epochs=epochs, verbose=verbose,
            shuffle=batch < len(x), sample_weight=weight, class_weight=prepared.class_weight,
            callbacks=callbacks, **keeping,
        )  # fmt: skip
    except DivergedError:
        if ending is None or not ending.again:
            raise
        ending.settle()


def template(prepared: Prepared) -> Sequential:
    """Return the compiled network that was decided, without trained weights."""
    plain = dataclasses.replace(
        prepared, decisions=dataclasses.replace(prepared.decisions, start="glorot")
    )
    x, y, _ = prepared.train
    return clone(network(plain, x, y, 0))


class TableTraining:
    """The training of a prepared table's network, in steps that a command can run one by one.

    Parameters
    ----------
    prepared : Prepared
    resumed : Sequential, optional
        A model of `models.resume`, whose run continues.
    note : callable, optional
        Called with a line about what was found on the way.
    """

    def __init__(
        self,
        prepared: Prepared,
        resumed: Sequential | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.prepared, self._note = prepared, note
        self.chosen: Chosen | None = None
        self._stop: EarlyStopping | None = None
        self.train, self.held = prepared.train, prepared.held
        self.model = network(prepared, *self.train[:2]) if resumed is None else resumed
        if resumed is None:
            describe(prepared, self.model)
        else:  # they were chosen when the run began
            begun = Decisions.from_dict(self.kept["decisions"])
            prepared.decisions = dataclasses.replace(
                prepared.decisions, bins=begun.bins, group_l1=begun.group_l1
            )
            prepared.twice = self.kept.get("twice", False)

    @property
    def callbacks(self) -> list[Callback]:
        """The callbacks of the run; a resumed one is given the same."""
        return self.stream_callbacks(self.held is not None)

    def stream_callbacks(self, validated: bool) -> list[Callback]:
        """Return the callbacks of a run whose rows held out are not in memory, if there are any."""
        decisions = self.prepared.decisions
        found: list[Callback] = []
        if self.prepared.max_time is not None:
            limit = self.prepared.max_time
            found.append(TimeLimit(limit, decisions.learning_rate, decisions.schedule))
        if self.held is not None:
            self._stop = best_kept(self.prepared, self.held)
        elif validated:
            self._stop = best_epoch(decisions.patience)
        return found if self._stop is None else [*found, self._stop]

    @property
    def cross_validates(self) -> bool:
        """Whether folds must choose the epochs before `run`."""
        return bool(self.prepared.decisions.folds) and self.kept.get("best_epoch") is None

    @property
    def kept(self) -> dict[str, Any]:
        """What the model's file holds about table and training."""
        found: dict[str, Any] = self.model.extras[KEPT]
        return found

    def choose(self) -> Chosen:
        """Run the cross-validation."""
        self.chosen = cross_validated(self.prepared, self._note)
        self.kept["best_epoch"] = self.chosen.epochs
        return self.chosen

    def run(self, verbose: int = 1, **keeping: Any) -> None:
        """Train; Ctrl-C and divergence leave the best epoch so far in the model, and are raised.

        Parameters
        ----------
        verbose : {0, 1, 2}
        **keeping
            Arguments of `Sequential.fit` about checkpoints and processes.
        """
        callbacks = self.callbacks
        with self.best_kept():
            fit_rows(
                self.model, self.prepared, self.train, self.prepared.decisions,
                callbacks=callbacks, validation=self.held, verbose=verbose,
                epochs=self.kept.get("best_epoch") if self.held is None else None, **keeping,
            )  # fmt: skip
        if self.released and self._note is not None:
            self._note(
                "The last epochs are better without the group penalty, on the rows held out; those "
                "are kept."
            )

    @contextlib.contextmanager
    def best_kept(self) -> Iterator[None]:
        """Set the weights of the best epoch so far if Ctrl-C ends what is done within."""
        try:
            yield
        except KeyboardInterrupt:
            if self._stop is not None:
                settle(self._stop, self.model)
            raise

    @property
    def best(self) -> int | None:
        """The epoch, from 1, whose weights the network has; None if nothing was held out."""
        if self._stop is not None and self._stop.best_weights is not None:
            return self._stop.best_epoch + 1
        best: int | None = self.kept.get("best_epoch")
        history = self.model.history
        values = [] if history is None else history.history.get("val_loss", [])
        if best is None and self._stop is not None and history is not None and values:
            # A run that was at its end when it was resumed.
            return int(np.argmin(values) + 1) * (len(history.epoch) // len(values))
        return best

    @property
    def released(self) -> bool:
        """Whether the weights kept are of epochs without the group penalty, see `_endings`."""
        best, epochs = self.best, self.prepared.decisions.epochs
        return self.prepared.repeated > 0 and best is not None and best > epochs

    def refit(self, verbose: int = 1) -> None:
        """Train anew on all rows, for the best number of epochs."""
        if self.held is None or self.best is None:
            return
        prepared, epochs = self.prepared, self.best
        callbacks: list[Callback] = []
        if self.released:
            callbacks = [Release(prepared.decisions.epochs - prepared.repeated)]
            epochs -= prepared.repeated
        x, y, weight = prepared.taken()
        history = self.model.history
        extras = self.model.extras
        self.model = network(prepared, x, y)
        self.model.extras = extras
        decisions = prepared.decisions
        if decisions.epochs >= UNBOUNDED:  # time was the limit: the schedule spans these epochs
            decisions = dataclasses.replace(decisions, epochs=epochs)
            optimizer = decisions.compiled_optimizer(len(x))
            self.model.compile(optimizer, self.model.loss, self.model.metrics)
        fit_rows(self.model, prepared, (x, y, weight), decisions, callbacks=callbacks,
                 epochs=epochs, verbose=verbose)  # fmt: skip
        self.model.history = history
