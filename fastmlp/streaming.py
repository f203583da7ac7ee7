"""Training, evaluation and prediction on a Parquet file that need not fit into memory.

    stream = datasets.ParquetStream("big.parquet", target="price", standardize=True)
    model = models.mlp([256, 256], stream.n_inputs, stream.n_outputs, seed=1)
    model.compile("adam", "mse")
    streaming.fit(model, stream, epochs=10, batch_size=256)

A background thread decodes and prepares the next buffer of rows while the kernels train on the
present one. Each epoch reads the row groups in a new order and shuffles every buffer; only the last
batch of an epoch may be smaller than the others. The order depends on the model's seed and the file
alone: the same seed gives the same bits on any number of threads.

Rows are shuffled within a buffer, and row groups within the file. In a file of few row groups, each
larger than a buffer, distant rows are never in the same batch: write such a file in random order,
or with smaller row groups.

Metrics that are not means over rows, such as the AUC, are reported for validation rows only. They
need memory for all predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._model.history import History
from ._training import data as _data
from ._training import evaluation, lifecycle
from ._training.arguments import Arguments, check_verbose
from ._training.fit import is_sharded
from ._training.loop import Run
from ._training.stream import StreamRows, StreamSession, checked_targets
from ._utils import arguments as _arguments
from ._utils import arrays
from ._utils.progress import ProgressLine
from .callbacks import Callback, as_list
from .datasets import ParquetStream, Prefetcher
from .errors import DataError
from .models import Sequential

if TYPE_CHECKING:
    from ._model.model import Attempt, Model
    from ._training.checkpoint import Checkpoint

__all__ = ["evaluate", "fit", "predict"]

_EVALUATED_ROWS = 1 << 14  # at a time


def _checked(model: Sequential, stream: Any) -> ParquetStream:
    """Check that a stream's columns fit a model; build a model that does not know its inputs."""
    if not isinstance(stream, ParquetStream):
        raise DataError(
            f"a stream must be a datasets.ParquetStream. Received: {arrays.describe(stream)}"
        )
    _arguments.instance("model", model, Sequential)
    if model.n_inputs is None:
        model.build(stream.n_inputs)  # the caller undoes it if anything else is wrong
    if model.n_inputs != stream.n_inputs:
        raise DataError(
            f"{stream.path}: its columns give {stream.n_inputs} inputs, the model has "
            f"{model.n_inputs}"
        )
    return stream


# ---- training ----------------------------------------------------------------------------------


class StreamRun(Run):
    """One call of fit on a stream: the same loop, over another session."""

    def __init__(
        self,
        model: Sequential,
        stream: ParquetStream,
        validation: Any,
        arguments: Arguments,
        callbacks: list[Callback],
        checkpoint: Checkpoint | None,
    ) -> None:
        rows: Any = StreamRows(stream)
        super().__init__(model, rows, validation, arguments, callbacks, checkpoint)
        self.session = StreamSession(
            self.session, stream, rows, model, arguments.epochs, len(self.counted)
        )

    def _sort_metrics(self) -> None:
        super()._sort_metrics()
        self.scored = []  # they would need the predictions for all rows

    def validation_values(self) -> list[float]:
        """Return the loss and the metrics of the validation rows."""
        if isinstance(self.validation, ParquetStream):
            return _evaluated(self.model, self.validation)
        return super().validation_values()


def fit(
    model: Sequential,
    stream: ParquetStream,
    batch_size: int = 32,
    epochs: int = 1,
    verbose: int | str = 1,
    callbacks: Callback | Sequence[Callback] | None = None,
    validation_data: Any = None,
    shuffle: bool = True,
    validation_freq: int | Sequence[int] = 1,
    checkpoint: str | Path | None = None,
    checkpoint_every: float | str | None = None,
    comm: Any = None,
    shards: int | None = None,
    fast_reduce: bool = False,
) -> History:
    """Train a model on a file, which is read once in each epoch; see `Sequential.fit`.

    The stream's preprocessing is kept with the model. A model from `models.resume` resumes its run
    to the same bits; this may read the file again from the epoch's first row group on.

    Parameters
    ----------
    model : Sequential
        Compiled.
    stream : ParquetStream
    batch_size : int
        Rows in each step; the last batch of an epoch may be smaller.
    epochs : int
    verbose : {0, 1, 2}
    callbacks : list of Callback, optional
    validation_data : ParquetStream, or tuple (x, y) or (x, y, sample_weight), optional
        By default the rows that the stream holds out, if there are any.
    shuffle : bool
        Whether each epoch uses the rows in a new order, shuffled within each buffer.
    validation_freq : int or list of int
        Number of epochs between two validations, or the epochs to validate after, counted from 1.
    checkpoint, checkpoint_every
        As for `Sequential.fit`.
    comm, shards, fast_reduce
        As for `Sequential.fit`; each process reads its shards of the file. Shards are contiguous
        rows: reading is fastest if each has some row groups of its own.

    Returns
    -------
    History
        The loss and the metrics of an epoch are means over its rows.

    Raises
    ------
    DataError
        If the data cannot be used.
    DivergedError
        As from `Sequential.fit`.
    """
    arguments = Arguments(
        batch_size=batch_size,
        epochs=epochs,
        verbose=verbose,
        shuffle=shuffle,
        validation_freq=validation_freq,
        shards=shards,
        fast_reduce=fast_reduce,
    )
    hooks = as_list(callbacks)
    _arguments.instance("model", model, Sequential)
    with model.accepting(fit=True) as attempt:
        return _fit(
            model, stream, arguments, hooks, attempt, validation_data=validation_data,
            checkpoint=checkpoint, checkpoint_every=checkpoint_every, comm=comm,
        )  # fmt: skip


def _fit(
    model: Sequential,
    stream: ParquetStream,
    arguments: Arguments,
    hooks: list[Callback],
    attempt: Attempt,
    *,
    validation_data: Any,
    checkpoint: Any,
    checkpoint_every: Any,
    comm: Any,
) -> History:
    def prepare(arguments: Arguments) -> tuple[Any, Any]:
        train = _checked(model, stream)
        held = train.held_out if validation_data is None else validation_data
        if isinstance(held, ParquetStream):
            held = _checked(model, held)
        elif held is not None:
            held = _data.validation_rows(model, held)
        if held is None:
            given = {"validation_freq": arguments.validation_freq}
            reason = "there are no rows for validation"
            _arguments.warn_unused(reason, given, Arguments().to_dict())
        model.ready()
        return train, held

    if is_sharded(model, arguments, comm):
        from ._training import distributed

        def prepare_and_keep(arguments: Arguments) -> tuple[Any, Any]:
            data = prepare(arguments)
            stream.preprocessing.keep(model)
            return data

        return distributed.fit(
            comm, model, prepare_and_keep, arguments, hooks, attempt, checkpoint, checkpoint_every
        )
    stream, validation = prepare(arguments)

    def make(arguments: Arguments, hooks: list[Callback], keeper: Checkpoint | None) -> Run:
        stream.preprocessing.keep(model)
        return StreamRun(model, stream, validation, arguments, hooks, keeper)

    return lifecycle.run_to_end(
        model, make, arguments, hooks, attempt, (stream, validation), checkpoint, checkpoint_every
    )


# ---- evaluation and prediction -----------------------------------------------------------------


def _evaluated(model: Model, stream: ParquetStream, verbose: int | str = 0) -> list[float]:
    """Return [loss with penalty, metrics...] of the rows of a stream."""
    totals = evaluation.RunningTotals(model)
    size = min(stream.n_rows, _EVALUATED_ROWS)
    prefetcher = Prefetcher(
        stream, size, model.dtype, lambda epoch: None, range(1), checked_targets(model)
    )
    line = ProgressLine("evaluate", stream.n_rows, "rows", enabled=verbose in (1, "auto"))
    with line, prefetcher:
        while totals.n_rows < stream.n_rows:
            buffer = prefetcher.get()
            totals.add(buffer.x[: buffer.n], buffer.y[: buffer.n])
            line.update(totals.n_rows)
            prefetcher.release(buffer)
    return totals.results()


def evaluate(
    model: Sequential, stream: ParquetStream, verbose: int | str = 1, return_dict: bool = False
) -> Any:
    """Return the loss, penalty included, and the metrics of a model on a file.

    Parameters
    ----------
    model : Sequential
        Compiled.
    stream : ParquetStream
    verbose : {0, 1, 2}
    return_dict : bool

    Returns
    -------
    float, or list of float
        As from `Sequential.evaluate`.
    """
    check_verbose(verbose)
    _arguments.instance("model", model, Sequential)
    with model.accepting():
        values = _evaluated(model, _checked(model, stream), verbose)
    return evaluation.reported(model.metrics_names, values, return_dict)


def predict(
    model: Sequential, stream: ParquetStream, verbose: int | str = 1
) -> Iterator[np.ndarray]:
    """Return a model's outputs for a file, part by part in the file's order.

    Parameters
    ----------
    model : Sequential
    stream : ParquetStream
    verbose : {0, 1, 2}

    Yields
    ------
    ndarray of shape (n, n_outputs)
    """
    check_verbose(verbose)
    _arguments.instance("model", model, Sequential)
    with model.accepting():
        checked = _checked(model, stream)
        model.ready(trained=False)
    return _predicted(model, checked, verbose in (1, "auto"))


def _predicted(model: Sequential, stream: ParquetStream, shown: bool) -> Iterator[np.ndarray]:
    n_rows = 0
    with ProgressLine("predict", stream.n_rows, "rows", enabled=shown) as line:
        for x, _ in stream.arrays(model.dtype.name, with_targets=False):
            yield evaluation.predict(model, x)
            n_rows += len(x)
            line.update(n_rows)
