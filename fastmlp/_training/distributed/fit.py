"""The fit loop on all ranks: common arguments, callbacks on rank 0, the same errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._model.compatibility import metric_kind
from ..._model.history import History
from ...callbacks import HOOKS, Callback, CSVLogger, Logs, ModelCheckpoint, overriding
from ...datasets import ParquetStream
from ...errors import DivergedError
from ...metrics import R2Score
from .. import data as _data
from .. import lifecycle
from ..arguments import Arguments
from ..checkpoint import Checkpoint
from ..data import Rows
from ..loop import Keeper, Run, Stored
from ..stream import StreamRows
from .agreement import check_same, describe
from .evaluation import evaluate
from .ranks import InterruptedEverywhere, Ranks, RankSignals, as_ranks
from .session import ShardedSession
from .shards import ArrayShard, Shard, ShardPlan, StreamShard, cut_stream, merged, moments_of

if TYPE_CHECKING:
    from ..._model.model import Attempt, Model

_SHARDS = 4
Data = tuple[Rows | ParquetStream, Rows | ParquetStream | None]


# ---- callbacks that only rank 0 runs, and its decisions -----------------------------------------


class _SilentCallback(Callback):
    """Replaces a callback that writes files on other ranks: the same hooks do nothing.

    Parameters
    ----------
    callback : Callback
    """

    def __init__(self, callback: Callback) -> None:
        for name in HOOKS:
            if overriding([callback], name):
                setattr(self, name, lambda *arguments, **named: None)


class _RankZeroDecides(Callback):
    """Callback after all others: broadcast the decisions of rank 0's callbacks.

    Parameters
    ----------
    ranks : Ranks
    model : Model
    """

    epoch_period = 1 << 60  # needs no epochs of its own

    def __init__(self, ranks: Ranks, model: Model) -> None:
        self._ranks, self._trained = ranks, model

    def _broadcast(self) -> None:
        model, optimizer = self._trained, self._trained.optimizer
        assert optimizer is not None
        rate = None if optimizer.schedule is not None else optimizer.learning_rate
        decided = self._ranks.broadcast((model.stop_training, rate, _layer_settings(model)))
        model.stop_training = decided[0]
        if rate is not None and decided[1] != rate:
            optimizer.learning_rate = decided[1]
        for layer, now, wanted in zip(
            model.layers, _layer_settings(model), decided[2], strict=True
        ):
            for name, value in wanted.items():
                if repr(value) != repr(now[name]):
                    setattr(layer, name, value)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Broadcast learning rate, penalties and dropout rates."""
        self._broadcast()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Broadcast them, and whether to stop."""
        self._broadcast()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Broadcast learning rate, penalties and dropout rates."""
        self._broadcast()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Broadcast them, and whether to stop."""
        self._broadcast()


_CHANGEABLE = ("kernel_regularizer", "bias_regularizer", "rate", "trainable")


def _layer_settings(model: Model) -> list[dict[str, Any]]:
    """Return the settings of each layer that a callback may change while training."""
    return [
        {name: getattr(layer, name) for name in _CHANGEABLE if hasattr(layer, name)}
        for layer in model.layers
    ]


def _callbacks_of(ranks: Ranks, callbacks: list[Callback]) -> list[Callback]:
    if ranks.first:
        return callbacks
    writers = (ModelCheckpoint, CSVLogger)
    return [_SilentCallback(c) if isinstance(c, writers) else c for c in callbacks]


# ---- how many shards ----------------------------------------------------------------------------


def shards_for(size: int, shards: int | None, fast_reduce: bool) -> int:
    """Return the number of shards, checked against the number of ranks.

    Parameters
    ----------
    size : int
        Number of ranks.
    shards : int or None
        None means 4, the same on 1, 2 and 4 ranks; otherwise one for each rank.
    fast_reduce : bool
        Whether the order of additions may vary.

    Raises
    ------
    ValueError
        If the ranks cannot have equally many, or not a power of two where the order is fixed.
    """
    if shards is None:
        shards = _SHARDS if _SHARDS % size == 0 else size
    each = shards // size
    if shards % size or (not fast_reduce and size > 1 and each & (each - 1)):
        rule = "a multiple of it" if fast_reduce else "it times a power of two"
        raise ValueError(
            f"shards must fit the number of ranks, {size}: {rule}. Received: shards={shards}"
        )
    return shards


# ---- the loop ----------------------------------------------------------------------------------


class ShardedRun(Run):
    """One call of fit on all ranks: the same loop, over shards.

    Parameters
    ----------
    ranks : Ranks
    model, arguments, callbacks, checkpoint
        As for `Run`.
    data : tuple
        Rows or a stream to train on, and rows, a stream or None to validate on.
    """

    session: ShardedSession

    def __init__(
        self,
        ranks: Ranks,
        model: Model,
        data: Data,
        arguments: Arguments,
        callbacks: list[Callback],
        checkpoint: Checkpoint | None,
    ) -> None:
        assert arguments.shards is not None
        self.ranks, self.data = ranks, data
        self.signals = RankSignals(ranks.size > 1)
        if checkpoint is not None:
            checkpoint.writes, checkpoint.interrupts = ranks.first, self.signals
        train, validation = data
        rows: Any = StreamRows(train) if isinstance(train, ParquetStream) else train
        self.plan = ShardPlan(len(rows.x), arguments.batch_size, arguments.shards)
        callbacks = _callbacks_of(ranks, callbacks)
        super().__init__(model, rows, validation, arguments, callbacks, checkpoint)
        if not ranks.first:
            self.verbose, self.line = 0, type(self.line)("fit", 1, enabled=False)
        for hooks in (self.epoch_hooks, self.batch_hooks):
            if hooks and ranks.size > 1:
                hooks.append(_RankZeroDecides(ranks, model))
        assert model.loss is not None
        kind = metric_kind(model.loss, rows.y, self.network.n_outputs)
        names = [metric.engine_name(kind, self.network.n_outputs) for metric in self.counted]
        self.session = ShardedSession(
            ranks, self.network, model.loss, [name for name in names if name is not None],
            self.plan, self.signals, arguments.fast_reduce,
        )  # fmt: skip

    def _sort_metrics(self) -> None:
        super()._sort_metrics()
        if isinstance(self.data[0], ParquetStream):
            self.scored = []  # they would need the predictions for all rows

    def _rows_at_a_time(self) -> int:
        assert self.arguments.shards is not None
        return -(-super()._rows_at_a_time() // self.arguments.shards)

    def begin(self, seed: int, resumed: Stored | None) -> None:
        """Begin a session with rank 0's weights, on this rank's rows."""
        with self.ranks.collectively():
            streams = self._cut(seed)
        self._read_moments(streams)
        self.ranks.broadcast_arrays(self.session.step.state())
        self.network.step = self.ranks.broadcast(self.network.step)
        with self.ranks.collectively():
            super().begin(seed, resumed)

    def _cut(self, seed: int) -> list[ParquetStream]:
        """Make this rank's shards; return their streams if rows are streamed."""
        train, own, plan = self.data[0], self.session.own, self.plan
        whole = plan.n_batches == 1  # a sum over all rows has no order
        order = seed if self.arguments.shuffle and not whole else None
        shards: list[Shard] = []
        if isinstance(train, Rows):
            shards += [ArrayShard(train, plan, index, order) for index in own]
            streams = []
        else:
            model = self.model
            streams = cut_stream(train, plan.starts, list(own))
            shards += [
                StreamShard(stream, plan, index, order, self.epochs, model.dtype,
                            lambda y: _data.targets(model, y, len(y)))
                for stream, index in zip(streams, own, strict=True)
            ]  # fmt: skip
        self.session.shards = shards
        return streams

    def _read_moments(self, streams: list[ParquetStream]) -> None:
        """Read the targets' mean and deviation if a metric needs them."""
        streamed = isinstance(self.data[0], ParquetStream)
        if not streamed or not any(isinstance(metric, R2Score) for metric in self.counted):
            return
        found = []
        with self.ranks.collectively():
            found = [moments_of(stream, self.model.dtype.name).state for stream in streams]
        everyone = [state for states in self.ranks.allgather(found) for state in states]
        self.rows.moments = merged(everyone)

    def begin_callbacks(self, resumed: Stored | None) -> None:
        """Call the callbacks' hooks for the beginning of training, or for its resumption."""
        with self.ranks.collectively():
            super().begin_callbacks(resumed)

    def run_to_end(
        self, hooks: list[Callback], keeper: Keeper | None, resumed: Stored | None
    ) -> None:
        """Train to the end; only rank 0 prints."""
        quiet = nullcontext() if self.ranks.first else redirect_stdout(_NullStream())
        with quiet, nullcontext() if keeper else self.signals:
            super().run_to_end(hooks, keeper, resumed)

    def checkpoint_if_due(self) -> None:
        """Write a checkpoint if one is due; the run can be resumed from this point."""
        super().checkpoint_if_due()
        if self.signals.waiting:
            self.signals.deliver()

    def validation_values(self) -> list[float]:
        """Return the loss and the metrics of the validation rows."""
        assert self.data[1] is not None and self.arguments.shards is not None
        shards = self.arguments.shards
        return evaluate(self.ranks, self.model, self.data[1], shards, self.test_batch_hooks)

    def divergence(self, epoch: int, index: int) -> DivergedError:
        """Put rank 0's snapshot back on all ranks; return the error."""
        error = super().divergence(epoch, index)
        self.ranks.broadcast_arrays(self.session.step.state()[:1])
        return error


class _NullStream:
    """Discards what other ranks print."""

    def write(self, text: str) -> int:
        """Discard the text."""
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def fit(
    comm: Any,
    model: Model,
    prepare: Callable[[Arguments], Data],
    arguments: Arguments,
    callbacks: list[Callback],
    attempt: Attempt,
    checkpoint: str | Path | None,
    checkpoint_every: float | str | None,
) -> History:
    """Train a model on all ranks; see `Sequential.fit`.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, Ranks or None
    model : Model
        Compiled; all ranks begin with rank 0's weights.
    prepare : callable
        Returns the data for given arguments: rows or a stream to train on, and rows, a stream or
        None to validate on.
    arguments : Arguments
    callbacks : list of Callback
        Called on all ranks, except those that write files; rank 0's decisions are broadcast.
    attempt : Attempt
        Accepted when training begins.
    checkpoint, checkpoint_every
        As for `Sequential.fit`; rank 0 writes.

    Returns
    -------
    History
        The same on all ranks.
    """
    ranks = as_ranks(comm)
    with ranks.limited_threads():
        with ranks.collectively():
            arguments = _with_shards(ranks, model, arguments)
            data = prepare(arguments)
            found = describe(model, arguments, data) if ranks.size > 1 else {}
        check_same(ranks, found)
        model.seed, model.n_fits = ranks.broadcast((model.seed, model.n_fits))
        return _run_to_end(
            ranks, model, data, arguments, callbacks, attempt, checkpoint, checkpoint_every
        )


def _with_shards(ranks: Ranks, model: Model, arguments: Arguments) -> Arguments:
    """Return the arguments, or those of a resumed run, with the number of shards set."""
    if model.resumed is not None:
        if arguments.shards is None and not model.resumed.is_sharded:
            raise ValueError(
                f"The run in {model.resumed.path} was begun without shards and must be resumed "
                "without comm. Received: comm"
            )
        arguments = model.resumed.arguments(arguments)
    arguments.shards = shards_for(ranks.size, arguments.shards, arguments.fast_reduce)
    return arguments


def _run_to_end(
    ranks: Ranks,
    model: Model,
    data: Data,
    arguments: Arguments,
    callbacks: list[Callback],
    attempt: Attempt,
    checkpoint: Any,
    checkpoint_every: Any,
) -> History:
    """Train; an error on one rank that the others do not raise themselves ends them as well."""
    begun = False

    def make(arguments: Arguments, hooks: list[Callback], keeper: Checkpoint | None) -> Run:
        nonlocal begun
        begun = True
        with ranks.collectively():
            return ShardedRun(ranks, model, data, arguments, hooks, keeper)

    try:
        return lifecycle.run_to_end(
            model, make, arguments, callbacks, attempt, data, checkpoint, checkpoint_every
        )
    except BaseException as error:
        if not begun:  # the others wait in `make`, where they raise it
            ranks.raise_everywhere(error)
        if error is ranks.raised or isinstance(error, (DivergedError, InterruptedEverywhere)):
            raise
        ranks.abort(error)
