"""The fit loop of several processes: what they agree on before it, in it and after it."""

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
from ..resume import Resumed
from ..stream import StreamRows
from .agreement import check_same, described
from .evaluation import evaluate
from .ranks import Delivered, Ranks, Signals, as_ranks
from .session import Session
from .shards import ArrayShard, Plan, Shard, StreamShard, cut_stream, merged, moments_of

if TYPE_CHECKING:
    from ..._model.model import Attempt, Model

_SHARDS = 4
Data = tuple[Rows | ParquetStream, Rows | ParquetStream | None]


# ---- what only rank 0 does, and what it decides --------------------------------------------------


class _Elsewhere(Callback):
    """Stands on other ranks for a callback that writes files: hooks of the same names do nothing.

    Parameters
    ----------
    callback : Callback
    """

    def __init__(self, callback: Callback) -> None:
        for name in HOOKS:
            if overriding([callback], name):
                setattr(self, name, lambda *arguments, **named: None)


class _Decisions(Callback):
    """Called after all others: what rank 0's callbacks have decided holds everywhere.

    Parameters
    ----------
    ranks : Ranks
    model : Model
    """

    epoch_period = 1 << 60  # asks for no epoch of its own

    def __init__(self, ranks: Ranks, model: Model) -> None:
        self._ranks, self._trained = ranks, model

    def _agree(self) -> None:
        optimizer = self._trained.optimizer
        assert optimizer is not None
        rate = None if optimizer.schedule is not None else optimizer.learning_rate
        decided = self._ranks.share((self._trained.stop_training, rate))
        self._trained.stop_training = decided[0]
        if rate is not None and decided[1] != rate:
            optimizer.learning_rate = decided[1]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take over the rate."""
        self._agree()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Take over the rate, and whether to stop."""
        self._agree()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Take over the rate."""
        self._agree()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Take over the rate, and whether to stop."""
        self._agree()


def _callbacks_of(ranks: Ranks, callbacks: list[Callback]) -> list[Callback]:
    if ranks.first:
        return callbacks
    writers = (ModelCheckpoint, CSVLogger)
    return [_Elsewhere(c) if isinstance(c, writers) else c for c in callbacks]


# ---- how many shards ----------------------------------------------------------------------------


def shards_for(size: int, shards: int | None, fast_reduce: bool) -> int:
    """Return the number of shards: as asked for, if so many ranks can have them.

    Parameters
    ----------
    size : int
        Of the communicator.
    shards : int or None
        None: 4, the same on 1, 2 and 4 ranks; or one a rank.
    fast_reduce : bool
        Whether sums need no order.

    Raises
    ------
    ValueError
        If they cannot: each has equally many, and for the sums' order a power of two.
    """
    if shards is None:
        shards = _SHARDS if _SHARDS % size == 0 else size
    each = shards // size
    if shards % size or (not fast_reduce and size > 1 and each & (each - 1)):
        rule = "a multiple of it" if fast_reduce else "it times a power of two"
        raise ValueError(
            f"shards must suit the number of ranks, {size}: {rule}. Received: shards={shards}"
        )
    return shards


# ---- the loop ----------------------------------------------------------------------------------


class Run(lifecycle.Run):
    """One call of fit on all ranks: the same loop, over shards.

    Parameters
    ----------
    ranks : Ranks
    model, arguments, callbacks, checkpoint
        As for `training.Run`.
    data : tuple
        Rows or a stream, to train on and to validate on; the latter may be None.
    """

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
        self.signals = Signals(ranks.size > 1)
        if checkpoint is not None:
            checkpoint.writes, checkpoint.interrupts = ranks.first, self.signals
        train, validation = data
        rows: Any = StreamRows(train) if isinstance(train, ParquetStream) else train
        self.plan = Plan(len(rows.x), arguments.batch_size, arguments.shards)
        callbacks = _callbacks_of(ranks, callbacks)
        held: Any = validation
        super().__init__(model, rows, held, arguments, callbacks, checkpoint)
        if not ranks.first:
            self.verbose, self.line = 0, type(self.line)("fit", 1, enabled=False)
        for hooks in (self.epoch_hooks, self.batch_hooks):
            if hooks and ranks.size > 1:
                hooks.append(_Decisions(ranks, model))
        assert model.loss is not None
        kind = metric_kind(model.loss, rows.y, self.network.n_outputs)
        names = [metric.engine_name(kind, self.network.n_outputs) for metric in self.counted]
        self.session: Session = Session(
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

    def begin(self, seed: int, resumed: Resumed | None) -> None:
        """Begin with rank 0's weights and rows of its own."""
        with self.ranks.together():
            streams = self._cut(seed)
        self._learn_targets(streams)
        self.ranks.spread(self.session.step.state())
        self.network.step = self.ranks.share(self.network.step)
        with self.ranks.together():
            super().begin(seed, resumed)

    def _cut(self, seed: int) -> list[ParquetStream]:
        """Make this rank's shards; return their streams, if rows are streamed."""
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

    def _learn_targets(self, streams: list[ParquetStream]) -> None:
        """Read what a metric asks of the targets, if one does."""
        streamed = isinstance(self.data[0], ParquetStream)
        if not streamed or not any(isinstance(metric, R2Score) for metric in self.counted):
            return
        found = []
        with self.ranks.together():
            found = [moments_of(stream, self.model.dtype.name).state for stream in streams]
        everyone = [state for states in self.ranks.gather(found) for state in states]
        self.rows.moments = merged(everyone)  # type: ignore[attr-defined]

    def begin_callbacks(self, resumed: Resumed | None) -> None:
        """Tell the callbacks that training begins, or goes on."""
        with self.ranks.together():
            super().begin_callbacks(resumed)

    def carry_out(
        self, hooks: list[Callback], keeper: Checkpoint | None, resumed: Resumed | None
    ) -> None:
        """Train to the end, where only rank 0 speaks."""
        quiet = nullcontext() if self.ranks.first else redirect_stdout(_Nowhere())
        with quiet, nullcontext() if keeper else self.signals:
            super().carry_out(hooks, keeper, resumed)

    def rest(self) -> None:
        """Pass a point at which the run could be left, and gone on with later."""
        super().rest()
        if self.signals.waiting:
            self.signals.deliver()

    def validated(self) -> list[float]:
        """Return the loss and the metrics of the validation rows."""
        assert self.data[1] is not None and self.arguments.shards is not None
        shards = self.arguments.shards
        return evaluate(self.ranks, self.model, self.data[1], shards, self.test_batch_hooks)

    def divergence(self) -> DivergedError:
        """Put rank 0's snapshot back on all, and make the error that says what happened."""
        error = super().divergence()
        self.ranks.spread(self.session.step.state()[:1])
        return error


class _Nowhere:
    """Takes what other ranks print."""

    def write(self, text: str) -> int:
        """Take it."""
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
        Compiled; it begins with rank 0's weights everywhere.
    prepare : callable
        Makes data of arguments: rows or a stream, to train on and, or None, to validate on.
    arguments : Arguments
    callbacks : list of Callback
        Called on all ranks, but that rank 0 alone writes files, and that its decisions hold.
    attempt : Attempt
        Is told when training begins.
    checkpoint, checkpoint_every
        As for `Sequential.fit`; rank 0 writes.

    Returns
    -------
    History
        The same on all ranks.
    """
    ranks = as_ranks(comm)
    with ranks.limited_threads():
        with ranks.together():
            arguments = _settled(ranks, model, arguments)
            data = prepare(arguments)
            found = described(model, arguments, data) if ranks.size > 1 else {}
        check_same(ranks, found)
        model.seed, model.n_fits = ranks.share((model.seed, model.n_fits))
        return _carried_out(
            ranks, model, data, arguments, callbacks, attempt, checkpoint, checkpoint_every
        )


def _settled(ranks: Ranks, model: Model, arguments: Arguments) -> Arguments:
    """Return the arguments, those of a run that is resumed, with a number of shards."""
    if model.resumed is not None:
        if arguments.shards is None and not model.resumed.is_sharded:
            raise ValueError(
                f"The run in {model.resumed.path} was begun without shards, and goes on without "
                "comm. Received: comm"
            )
        arguments = model.resumed.arguments(arguments)
    arguments.shards = shards_for(ranks.size, arguments.shards, arguments.fast_reduce)
    return arguments


def _carried_out(
    ranks: Ranks,
    model: Model,
    data: Data,
    arguments: Arguments,
    callbacks: list[Callback],
    attempt: Attempt,
    checkpoint: Any,
    checkpoint_every: Any,
) -> History:
    """Train; an error that the other ranks do not know of by themselves ends them as well."""
    begun = False

    def made(arguments: Arguments, hooks: list[Callback], keeper: Checkpoint | None) -> Run:
        nonlocal begun
        begun = True
        with ranks.together():
            return Run(ranks, model, data, arguments, hooks, keeper)

    try:
        return lifecycle.carried_out(
            model, made, arguments, callbacks, attempt, data, checkpoint, checkpoint_every
        )
    except BaseException as error:
        if not begun:  # where the others wait, in `made`, they hear of it
            ranks.agree(error)
        if error is ranks.agreed or isinstance(error, (DivergedError, Delivered)):
            raise
        ranks.abort(error)
