"""`fit`: from a table to a model that knows it, in one call."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from .. import threads as threads_module
from .._utils import arguments
from .._utils.progress import say
from ._answers import Wanted, answer, answer_folds, check_answers, choose
from ._answers import refit as refit_on_all
from ._folds import FoldsTraining
from ._model import TableModel
from ._prepare import Prepared, prepared
from ._train import TableTraining


def fit(
    data: Any,
    target: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    # The file
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    header: bool | None = None,
    missing: str | Sequence[str] | None = None,
    dates: str | None = None,
    sheet: str | None = None,
    # Its columns
    categorical: str | Collection[str] = (),
    drop: str | Collection[str] = (),
    keep: str | Collection[str] = (),
    standardize: bool = True,
    impute: str = "median",
    indicator: bool = True,
    max_categories: int = 64,
    unknown: str = "ignore",
    date_parts: bool = False,
    target_transform: str | None = None,
    # The rows
    weight: str | None = None,
    group: str | None = None,
    time: str | None = None,
    validation_split: float | None = None,
    validation: Any = None,
    refit: bool = False,
    # The network
    units: str | Sequence[int] | None = None,
    bins: int | None = None,
    activation: str | None = None,
    dropout: float | None = None,
    l1: float | Sequence[float] | None = None,
    l2: float | Sequence[float] | None = None,
    group_l1: float | Sequence[float] | None = None,
    groups: str = "units",
    proximal: bool = False,
    # Its training
    optimizer: str | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    clip: float | None = None,
    max_time: float | str | None = None,
    loss: str | None = None,
    metrics: str | Sequence[str] | None = None,
    class_weight: str | Mapping[Any, float] | None = None,
    effort: str = "normal",
    # Its answers
    interval: float | None = None,
    threshold: float | str | None = None,
    cost: str | Mapping[str, float] | None = None,
    seed: int | None = None,
    threads: int | None = None,
    verbose: int = 1,
) -> TableModel:
    """Train a network on a table; whatever is not given is decided from the table.

    Rows are held out (a fifth of them, the same share of each class; below 500 rows repeated
    cross-validation), the network of the epoch that is best on them is kept, and its figures on
    them say how good it is.

    Parameters
    ----------
    data : path, Table, data frame, Arrow table, array or mapping
        Frames of pandas, polars and others that narwhals supports.
    target : str or sequence of str, optional
        The column to predict, or several columns of numbers. By default the last.
    task : {"regression", "classification"}, optional
        By default decided from the target: text, and two whole numbers, are classes.
    delimiter, decimal, thousands, encoding, comment, header, missing, dates, sheet : optional
        How to read a file; see `datasets.read_table`.
    categorical, drop, keep : str or collection of str
        Columns to take as categories, to leave out, and to keep although they look like ids.
    standardize, impute, indicator, max_categories, unknown, date_parts, target_transform
        See `Preprocessing.fit`.
    weight : str, optional
        A column with the weight of each row. It is not an input.
    group : str, optional
        A column whose equal values stay together: held out, or trained on. It is not an input.
    time : str, optional
        A column of numbers or dates; the rows with the latest are held out.
    validation_split : float, optional
        Share of the rows to hold out; 0 for none.
    validation : path or table, optional
        Rows to use as the ones held out.
    refit : bool
        Whether to train anew on all rows, for the number of epochs that was best.
    units : str or sequence of int, optional
        Widths of the hidden layers, such as "256x3".
    bins : int, optional
        Bins of every input; see `layers.PiecewiseLinear`. 0 for none.
    activation, dropout, l1, l2, group_l1, groups, proximal
        See `models.mlp`. By default a small group penalty on the encoded inputs; with any of
        `l1`, `l2` and `group_l1` given, 0 included, only what is given.
    optimizer : str, optional
    learning_rate : float, optional
        The highest of the schedule.
    schedule : {"cycles", "cosine", "linear", "constant"}, optional
        The learning rate over the epochs; see `schedules.CosineCycles` for the first.
    batch_size, epochs : int, optional
        `epochs` is the largest number of them.
    patience : int, optional
        Stop after this number of epochs without a better loss on the rows held out.
    clip : float, optional
        Scale down gradients to this Euclidean norm.
    max_time : float or str, optional
        Train for this time, in seconds or such as "10m", instead of a number of epochs.
    loss : str, optional
        "mse", "mae", "huber", "huber:2", "poisson", "quantile:0.9"; of classes "log_loss".
    metrics : str or list of str, optional
        Reported for each epoch beside the loss.
    class_weight : "balanced" or mapping of class to weight, optional
        Weights of the classes in training.
    effort : {"normal", "high"}
        "high": the mean of five networks, each trained without a fifth of the rows and judged by
        it; several times the work for a smaller error. Not with `validation`, `validation_split`,
        `time`, `max_time` and `refit`.
    interval : float, optional
        Level of prediction intervals or sets, such as 0.9, from the rows held out.
    threshold : float or "best", optional
        Probability of the second class from which it is predicted.
    cost : mapping, optional
        What a false positive and a false negative cost, ``{"fp": 1, "fn": 10}``: the threshold is
        the one of least cost on the rows held out.
    seed : int, optional
        Fixes the rows held out, weights, row order and dropout. The same seed gives the same
        bits on any number of threads.
    threads : int, optional
        By default as `set_num_threads` has set.
    verbose : {0, 1, 2}
        0: silent. 1: what was found and decided, on stderr, and a progress line. 2: also a line
        on stdout for each epoch.

    Returns
    -------
    TableModel

    Raises
    ------
    DataError
        If the table cannot be used; the message names the cell or the column.
    ValueError
        If an argument cannot be used.
    DivergedError
        If training diverges.
    """
    options = dict(locals())
    for name in ("data", "target", "threads", "verbose", "refit", "interval", "threshold", "cost"):
        del options[name]
    verbose, again = arguments.verbosity(verbose), arguments.flag("refit", refit)
    note = _say if verbose else _silent
    with _threads_set(threads):
        found = prepared(data, target, **options)
        wanted = Wanted(interval, threshold, cost)
        check_answers(found, wanted, again)
        for line in found.notes:
            note(line)
        note(found.sentence())
        if found.decisions.effort == "high":
            return _of_folds(found, wanted, note, verbose)
        training = TableTraining(found, note=note)
        if training.cross_validates:
            choose(training, wanted)
        try:
            training.run(verbose)
        except KeyboardInterrupt:
            if training.best is None:
                raise
            note("Interrupted; the model is that of the best epoch so far.")
            again = False
        answer(training, wanted)
        if again:
            refit_on_all(training, verbose)
    return TableModel(training.model)


def _of_folds(
    found: Prepared, wanted: Wanted, note: Callable[[str], None], verbose: int
) -> TableModel:
    """Train a network for each fold; return their mean."""
    training = FoldsTraining(found, note)
    try:
        training.run(verbose)
    except KeyboardInterrupt:
        if training.model is None:
            raise
        n = len(training.model)
        note(f"Interrupted; the model is the mean of the {n} networks so far.")
    answer_folds(training, wanted)
    return TableModel(training.model)


def _say(text: str) -> None:
    say(text, sys.stderr)


def _silent(text: str) -> None:
    pass


@contextlib.contextmanager
def _threads_set(n: int | None) -> Iterator[None]:
    """Let the kernels use n threads in this thread of Python."""
    if n is None:
        yield
        return
    before = threads_module.worker.n_threads
    threads_module.worker.n_threads = arguments.integer("threads", n)
    try:
        yield
    finally:
        threads_module.worker.n_threads = before
