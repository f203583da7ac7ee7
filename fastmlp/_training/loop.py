"""The fit loop: runs as many epochs per kernel call as callbacks and validation allow."""

from __future__ import annotations

import contextlib
import numbers
import os
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import threads
from .._kernels import memory
from .._model.compatibility import metric_kind
from .._model.history import ContinuedHistory, History
from .._utils.interrupts import Interrupts
from .._utils.progress import ProgressLine, figures, say
from .._utils.sparse import CsrRows
from ..callbacks import Callback, Logs, TerminateOnNaN, overriding
from ..errors import DivergedError
from . import evaluation
from .arguments import Arguments
from .python_loss import PythonSession
from .rates import Rates
from .thread_choice import ThreadChoice

if TYPE_CHECKING:
    from .._model.model import Attempt, Model
    from .session import Session

_SNAPSHOT_SECONDS = 1.0
_CALL_SECONDS = 0.1  # the longest time that a signal waits
_MAX_EPOCHS = 1 << 16  # of one call: bounds the arrays that receive the losses


class Stored(Protocol):
    """The run that a run resumes, as the loop sees it; implemented by `resume.Resumed`."""

    states: list[dict[str, Any]]

    def restore(self, run: Run) -> History | None:
        """Set the position and the history of a run that has begun; return that of earlier ones."""


class Keeper(Protocol):
    """A run's checkpoint, as the loop sees it; implemented by `checkpoint.Checkpoint`."""

    writes: bool
    epochs: int | None
    interrupts: Interrupts

    def claim(self, run: Run) -> None:
        """Refuse a file that this run cannot write, before training."""

    def write_if_due(self, run: Run) -> None:
        """Write if a checkpoint is due, or if Ctrl-C was pressed."""


class Run:
    """One call of fit, from its first step to its last.

    Parameters
    ----------
    model : Model
    rows : Rows or StreamRows
    validation : Rows, ParquetStream or None
    arguments : Arguments
    callbacks : list of Callback
    checkpoint : Keeper or None

    Attributes
    ----------
    session : Session
        The network itself, or a session that makes its steps.
    done : int
        Epochs done.
    within : bool
        Whether the hooks before the present epoch have been called.
    logs : dict
        Of the latest epoch.
    complete : bool
        Whether the hooks after the last epoch have been called.
    """

    session: Session

    def __init__(
        self,
        model: Model,
        rows: Any,
        validation: Any,
        arguments: Arguments,
        callbacks: list[Callback],
        checkpoint: Keeper | None,
    ) -> None:
        self.model, self.network, self.arguments = model, model.ready(), arguments
        self.rows, self.validation = rows, validation
        self.epochs, self.verbose = arguments.epochs, arguments.verbose
        self.n_batches = -(-len(rows.x) // arguments.batch_size)
        self.done = self.before = 0  # epochs in all; before the latest call of the session
        self.within = self.complete = False
        self.attempt: Attempt | None = None
        self._process = os.getpid()
        self.logs: Logs = {}
        self.seed = 0
        self.epochs_before = model.training_config.get("epochs", 0)
        self.n_threads, self.automatic = threads.resolve()
        # Processes that share a step wait for each other, whatever their threads.
        self.choice = ThreadChoice(self.n_threads, self.automatic and arguments.shards is None)
        self._sort_metrics()
        self._require_memory()
        self.loss_buffer = np.empty(min(self.epochs, _MAX_EPOCHS))
        self.metric_buffer = np.empty((len(self.loss_buffer), len(self.counted)))
        self.history = self._new_history()
        self.callbacks = callbacks
        self.epoch_hooks = overriding(callbacks, "on_epoch_begin", "on_epoch_end")
        self.batch_hooks = overriding(callbacks, "on_train_batch_begin", "on_train_batch_end",
                                      "on_batch_begin", "on_batch_end")  # fmt: skip
        self.test_hooks = overriding(callbacks, "on_test_begin", "on_test_end")
        self.test_batch_hooks = evaluation.batch_hooks(callbacks, "test")
        self.checkpoint = checkpoint
        if checkpoint is not None:
            checkpoint.claim(self)
        self.rates = Rates(self.network)
        self.network.keep(self.n_threads)
        self.snapshot_time = time.monotonic()
        self.line = ProgressLine("fit", self.epochs, "epochs", enabled=self.verbose == 1)

    def _sort_metrics(self) -> None:
        """Separate metrics that the session computes from those that need all predictions."""
        model, loss, n_outputs = self.model, self.model.loss, self.network.n_outputs
        assert loss is not None
        kind = metric_kind(loss, self.rows.y, n_outputs)
        named = [(metric, metric.engine_name(kind, n_outputs)) for metric in model.metrics]
        self.counted = [metric for metric, name in named if name is not None]
        self.scored = [metric for metric, name in named if name is None and metric.on_training]
        self.session = self.network
        if loss.in_python:
            self.session = PythonSession(self.network, loss, [n for _, n in named if n])

    def _require_memory(self) -> None:
        """Refuse training that exceeds the free memory: the system would kill the process."""
        arguments, n_rows = self.arguments, len(self.rows.x)
        rows = self._rows_at_a_time()
        needed = self.network.training_bytes(
            n_rows,
            rows,
            n_threads=self.n_threads,
            automatic=self.automatic,
            shuffle=arguments.shuffle and arguments.batch_size < n_rows,
            stored=arguments.shards is not None or self.session is not self.network,
            x=self.rows.x if isinstance(self.rows.x, CsrRows) else None,
        )
        memory.require(
            needed,
            "training",
            f"model {self.model.name!r} on batches of {rows:,} rows",
            "a smaller batch_size or fewer units need less",
        )

    def _rows_at_a_time(self) -> int:
        return min(self.arguments.batch_size, len(self.rows.x))

    def _new_history(self) -> History:
        history, names = History(), self.model.metrics_names
        reported = {"loss", *(metric.name for metric in [*self.counted, *self.scored])}
        self.keys = [name for name in names if name in reported]  # for the training rows
        history.history = {key: [] for key in self.keys}
        if self.validation is not None:
            history.history |= {"val_" + name: [] for name in names}
        history.params = {
            "epochs": self.epochs,
            "batch_size": self.arguments.batch_size,
            "steps": self.n_batches,
            "samples": len(self.rows.x),
            "verbose": self.verbose,
            "metrics": list(history.history),
        }
        if self.validation is not None and self.arguments.validation_freq != 1:
            history.params["validation_freq"] = self.arguments.to_dict()["validation_freq"]
        history.set_model(self.model)
        return history

    def begin(self, seed: int, resumed: Stored | None) -> None:
        """Begin a session on the rows, or resume one from its position."""
        model, arguments, self.seed = self.model, self.arguments, seed
        self.session.begin(
            *self.rows,
            batch_size=arguments.batch_size,
            # A sum over all rows has no order.
            shuffle=arguments.shuffle and arguments.batch_size < len(self.rows.x),
            seed=seed,
        )
        for callback in self.callbacks:
            callback.set_params(self.history.params)
            callback.set_model(model)
        past = model.history
        if resumed is None:
            model.n_fits += 1
            model.stop_training = False
        else:
            past = resumed.restore(self)
        if past is None or not past.epoch:
            model.history = self.history
        else:
            model.history = ContinuedHistory(past, self.history)
            model.history.set_model(model)
        self.update_config()

    def keep_history(self) -> None:
        """Append the run's history to that of the model's earlier ones."""
        if isinstance(self.model.history, ContinuedHistory):
            self.model.history = self.model.history.merged()
            self.model.history.set_model(self.model)

    @property
    def forked(self) -> bool:
        """Whether this process was forked from the one that trains."""
        return os.getpid() != self._process

    def train(self, resumed: Stored | None) -> None:
        """Train to the last epoch, or until a callback stops it."""
        self.begin_callbacks(resumed)
        if self.attempt is not None:
            self.attempt.accepted = True
        self.checkpoint_if_due()
        while self.done < self.epochs and not self.model.stop_training:
            goal = self.next_stop()
            for callback in [] if self.within else self.epoch_hooks:
                callback.on_epoch_begin(self.done, {})
            self.within = True
            self.train_until(goal)
            if self.done < goal:
                break
            self.end_epoch(goal)
            self.checkpoint_if_due()
        self.end_callbacks()

    def begin_callbacks(self, resumed: Stored | None) -> None:
        """Call the callbacks' hooks for the beginning of training, or for its resumption."""
        for callback in self.callbacks:  # before any of them opens a file, for example
            callback.check()
        for i, callback in enumerate(self.callbacks):
            if resumed is None:
                callback.on_train_begin({})
            else:
                callback.on_train_resume(resumed.states[i])

    def run_to_end(
        self, hooks: list[Callback], keeper: Keeper | None, resumed: Stored | None
    ) -> None:
        """Train to the end; after Ctrl-C or divergence leave a consistent history."""
        try:
            with self.line, keeper.interrupts if keeper else contextlib.nullcontext():
                self.train(resumed)
        except KeyboardInterrupt:
            self.record()
            self.history.interrupted = True
            raise
        except DivergedError as error:
            ends = [callback for callback in hooks if isinstance(callback, TerminateOnNaN)]
            if not ends:
                raise
            ends[0].terminate(error)
            self.end_callbacks()

    def end_callbacks(self) -> None:
        """Call the callbacks' hooks for the end of training; write the last checkpoint."""
        for callback in self.callbacks:
            callback.on_train_end(dict(self.logs))
        self.complete = True
        self.checkpoint_if_due()

    def checkpoint_if_due(self) -> None:
        """Write a checkpoint if one is due; the run can be resumed from this point."""
        if self.checkpoint is not None:
            self.checkpoint.write_if_due(self)

    def next_stop(self) -> int:
        """Return the number of epochs done when a callback or validation comes next."""
        if self.scored:
            return self.done + 1
        stop = min([self.epochs, *(self.done + c.epoch_period for c in self.epoch_hooks)])
        if self.checkpoint is not None and self.checkpoint.epochs is not None:
            stop = min(stop, _next_multiple(self.done, self.checkpoint.epochs))
        freq = self.arguments.validation_freq
        if self.validation is None:
            return stop
        if isinstance(freq, int):
            return min(stop, _next_multiple(self.done, freq))
        return min(stop, min((e for e in freq if e > self.done), default=stop))

    def due(self, epoch: int) -> bool:
        """Return whether to validate after this number of epochs."""
        freq = self.arguments.validation_freq
        if self.validation is None:
            return False
        return epoch % freq == 0 if isinstance(freq, int) else epoch in freq

    def train_until(self, goal: int) -> None:
        """Train until `goal` epochs are done, or until a batch hook stops it."""
        while self.done < goal:
            if not self.batch_hooks:
                self.advance(min(goal - self.done, len(self.loss_buffer)), goal)
            else:
                batch = self.session.batch
                for callback in self.batch_hooks:
                    callback.on_train_batch_begin(batch, {})
                ended = self.advance(1, goal, max_steps=1)
                loss = self.loss_buffer[0] if ended else self.session.running_loss
                for callback in self.batch_hooks:
                    callback.on_train_batch_end(batch, {"loss": float(loss)})
                if self.model.stop_training:
                    return
            if self.done < goal:  # after a whole epoch its hooks come first
                self.checkpoint_if_due()

    def advance(self, n_epochs: int, goal: int, max_steps: int = 0) -> int:
        """Train on for at most `n_epochs` epochs; record those that ended, return how many."""
        session = self.session
        if self.forked:
            raise RuntimeError(
                f"Training of model {self.model.name!r} continues in the process that began it. "
                "Received: a child process, forked in a callback, that returned from the callback; "
                "let it end with os._exit"
            )
        self.model.ready()  # sets settings that have changed in the network
        optimizer = self.model.optimizer
        assert optimizer is not None
        max_steps = self.rates.prepare(optimizer, max_steps)
        self.before, steps = session.epoch, self._steps()
        n_threads, seconds = self.choice.next_call(_CALL_SECONDS)
        start = time.perf_counter()
        ended = session.run(
            n_epochs,
            self.loss_buffer,
            self.metric_buffer,
            n_threads=n_threads,
            automatic=self.automatic,
            max_seconds=seconds,
            max_steps=max_steps,
        )
        self.choice.took(self._steps() - steps, time.perf_counter() - start)
        self.record()
        threads.raise_if_cancelled()
        if self.verbose == 2:
            self.print_epochs(ended, goal)
        if session.diverged is not None:
            raise self.divergence(*session.diverged)
        if time.monotonic() - self.snapshot_time >= _SNAPSHOT_SECONDS:
            self.take_snapshot()
        if self.verbose == 1:
            values = {k: v[-1] for k, v in self.history.history.items() if v}
            self.line.update(self.done + session.batch / self.n_batches, values)
        return ended

    def _steps(self) -> int:
        return self.session.epoch * self.n_batches + self.session.batch

    def take_snapshot(self) -> None:
        """Copy the weights, if they and the optimizer's moments are finite."""
        if self.network.finite(self.n_threads) < 0:
            self.network.keep(self.n_threads)
        self.snapshot_time = time.monotonic()

    def record(self) -> None:
        """Append the losses and metrics that the latest call of the session wrote to the history.

        After Ctrl-C it appends those that are missing.
        """
        epoch, lists = self.session.epoch, self.history.history

        def new(key: str, buffer: np.ndarray) -> np.ndarray:
            return buffer[len(lists[key]) - self.before : epoch - self.before]

        lists["loss"] += new("loss", self.loss_buffer).tolist()
        for metric, buffer in zip(self.counted, self.metric_buffer.T, strict=True):
            means = new(metric.name, buffer)
            if len(means):
                lists[metric.name] += metric.finish(means, self.rows.y).tolist()
        self.history.epoch += range(len(self.history.epoch), epoch)
        self.done = epoch

    def end_epoch(self, goal: int) -> None:
        """Score, validate, print and call the hooks after an epoch."""
        if self.scored:
            self.history.append(evaluation.scores(self.model, self.scored, self.rows))
        lists = self.history.history
        logs = {key: lists[key][-1] for key in self.keys}
        if self.due(goal):
            logs |= self.validate()
        self.print_epoch(goal, logs)
        self.logs = logs
        self.update_config()
        if self.epoch_hooks:
            self.logs = dict(logs)
            for callback in self.epoch_hooks:
                callback.on_epoch_end(goal - 1, self.logs)
            for key in self.logs.keys() - logs.keys():
                if isinstance(self.logs[key], numbers.Real):
                    self.history.append({key: self.logs[key]})
        self.within = False

    def print_epochs(self, ended: int, goal: int) -> None:
        """Print the epochs that just ended, except the goal, which is validated first."""
        lists = self.history.history
        for epoch in range(self.done - ended, min(self.done, goal - 1)):
            self.print_epoch(epoch + 1, {key: lists[key][epoch] for key in self.keys})

    def print_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Print an epoch's line if `verbose` is 2."""
        if self.verbose == 2:
            say(f"Epoch {epoch}/{self.epochs} - {figures(logs, ' - ')}")

    def validate(self) -> dict[str, float]:
        """Evaluate on the validation rows; return the logs."""
        for callback in self.test_hooks:
            callback.on_test_begin({})
        values = self.validation_values()
        named = dict(zip(self.model.metrics_names, values, strict=True))
        logs = {"val_" + key: value for key, value in named.items()}
        self.history.append(logs)
        for callback in self.test_hooks:
            callback.on_test_end(dict(named))
        return logs

    def validation_values(self) -> list[float]:
        """Return the loss and the metrics of the validation rows."""
        return evaluation.evaluate_rows(self.model, self.validation, hooks=self.test_batch_hooks)

    def divergence(self, epoch: int, index: int) -> DivergedError:
        """Put the snapshot of the weights back; return the error that describes the divergence."""
        self.network.put_back()
        self.model.discard_optimizer_state()  # its moments may not be finite
        layer = self.model.dense_layers[index].name if index >= 0 else None
        what = "the loss" if layer is None else f"a weight or moment of layer {layer!r}"
        return DivergedError(
            f"Training diverged in epoch {epoch + 1}: {what} is no longer finite. The model has "
            "the latest finite snapshot of its weights; try a smaller learning rate",
            epoch=epoch + 1,
            layer=layer,
        )

    def update_config(self) -> None:
        """Set the model's `training_config`."""
        self.model.training_config |= {
            "epochs": self.epochs_before + self.done,
            "batch_size": self.arguments.batch_size,
            "shuffle": self.arguments.shuffle,
            "samples": len(self.rows.x),
        }
        if self.arguments.shards is not None:
            self.model.training_config["shards"] = self.arguments.shards


def _next_multiple(done: int, step: int) -> int:
    return (done // step + 1) * step
