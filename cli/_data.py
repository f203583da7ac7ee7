"""What commands work on: the lecture's data, or a table, cut and preprocessed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

    from fastmlp._training.distributed import Ranks
    from fastmlp.datasets import ParquetStream, Table
    from fastmlp.preprocessing import Preprocessing

    from ._model import Loaded
    from ._output import Messages

    Arrays = tuple[np.ndarray, np.ndarray]
    Part = Arrays | ParquetStream


@dataclass
class Columns:
    """The options that say what a table's columns are.

    Parameters
    ----------
    target : str or None
        None: the last column.
    task : str or None
        None: decided from the target.
    categorical, drop : tuple of str
    standardize : bool
    impute : str or None
    indicator : bool
    """

    target: str | None
    task: str | None
    categorical: tuple[str, ...]
    drop: tuple[str, ...]
    standardize: bool
    impute: str | None
    indicator: bool

    def first_given(self) -> str | None:
        """Return the first option that was given, for an error message."""
        values = vars(self).items()
        return next((name for name, value in values if value not in (None, (), False)), None)


@dataclass
class Streaming:
    """The options that say whether and how a file is streamed.

    Parameters
    ----------
    stream : bool or None
        None: if it is large.
    buffer_rows : int or None
    """

    stream: bool | None = None
    buffer_rows: int | None = None

    def wanted(self, path: str) -> bool:
        """Say whether to stream this file."""
        from fastmlp import datasets

        return datasets.is_large(path) if self.stream is None else self.stream

    def first_given(self) -> str | None:
        """Return the first option that was given, for an error message."""
        if self.stream is not None:
            return "stream" if self.stream else "no-stream"
        return None if self.buffer_rows is None else "buffer-rows"


@dataclass
class Data:
    """Rows to train and validate on.

    Parameters
    ----------
    source : str
        The file's name, or 'lecture:regression' and the like.
    preprocessing : Preprocessing
    train : tuple (x, y), or ParquetStream
    validation : tuple (x, y), ParquetStream or None
    notes : list of str
        What was decided that nobody asked for.
    """

    source: str
    preprocessing: Preprocessing
    train: Part
    validation: Part | None
    notes: list[str] = field(default_factory=list)

    @property
    def stream(self) -> ParquetStream | None:
        """The training rows, if they are streamed."""
        return None if isinstance(self.train, tuple) else self.train

    @property
    def n_rows(self) -> int:
        """The number of training rows."""
        return _n_rows(self.train)

    def sample(self) -> Arrays:
        """Return training rows to draw: all that are in memory, the first of a stream."""
        if isinstance(self.train, tuple):
            return self.train
        x, y = next(self.train.arrays("float32"))
        assert y is not None
        return x, y

    def nbytes(self, batch_size: int) -> int:
        """Return the memory that the rows take, of a stream its buffers."""
        total = 0
        for part in (self.train, self.validation):
            if isinstance(part, tuple):
                total += sum(array.nbytes for array in part)
            elif part is not None and part is self.train:
                total += 2 * part.buffer_rows(batch_size) * (part.n_inputs + 1) * 4
        return total


def _n_rows(part: Part | None) -> int:
    if part is None:
        return 0
    return len(part[0]) if isinstance(part, tuple) else part.n_rows


def read(
    path: str | None,
    lecture: str | None,
    columns: Columns,
    streaming: Streaming,
    validation: str | None,
    share: float,
    seed: int,
    report: Messages,
    ranks: Ranks | None = None,
) -> Data:
    """Read and preprocess what the options name.

    Parameters
    ----------
    path : str or None
        A file with a table; None for the lecture's data.
    lecture : str or None
        Which of the lecture's data.
    columns : Columns
    streaming : Streaming
    validation : str or None
        A file to validate on.
    share : float
        Of the rows to hold out for validation.
    seed : int
        Of the draw of those rows.
    report : Messages
    ranks : Ranks, optional
        All of which read; one that cannot is an error of all.

    Returns
    -------
    Data
    """
    from fastmlp._training.distributed import Ranks

    ranks = Ranks() if ranks is None else ranks
    with ranks.collectively():
        stream = path is not None and streaming.wanted(path)
        if path is None:
            data = _lecture(lecture or "regression", share, seed)
        elif not stream:
            data = _table(path, columns, share, seed)
    if path is not None and stream:
        data = _streamed(path, columns, share, seed, streaming.buffer_rows, ranks)
    with ranks.collectively():
        if validation is not None:
            data.validation = prepared(validation, data.preprocessing, columns.drop)
    # Said only now: of data that cannot be used, the error line says enough.
    for text in data.notes:
        report.note(text)
    for column in data.preprocessing.columns:
        if column.kind == "categorical":
            report.detail(f"Column '{column.name}': {len(column.categories)} categories.")
    if data.preprocessing.target.labels:
        report.detail(f"Classes: {', '.join(map(str, data.preprocessing.target.labels))}.")
    report.detail(
        f"{data.n_rows} training rows, {_n_rows(data.validation)} validation rows, "
        f"{data.preprocessing.n_inputs} inputs."
    )
    return data


def _lecture(task: str, share: float, seed: int) -> Data:
    from fastmlp import lecture, preprocessing

    (x, y), validation = lecture.data(task)
    state = lecture.preprocessing(task)
    if share:
        rows, held = preprocessing.split(len(x), share, seed)
        return Data(f"lecture:{task}", state, (x[rows], y[rows]), (x[held], y[held]))
    return Data(f"lecture:{task}", state, (x, y), validation)


def _table(path: str, columns: Columns, share: float, seed: int) -> Data:
    from fastmlp import datasets
    from fastmlp.preprocessing import Preprocessing, choose_task, split

    table = datasets.read_table(path)
    target = table.names[-1] if columns.target is None else columns.target
    notes = []
    if columns.target is None:
        notes.append(f"Target: '{target}', the last column.")
    task = columns.task
    if task is None:
        task, reason = choose_task(table, target, columns.categorical)
        notes.append(f"Task: {task}, because {reason}.")
    rows = held = None
    if share:
        rows, held = split(table.n_rows, share, seed)
    state = Preprocessing.fit(
        table,
        target,
        task,
        categorical=columns.categorical,
        drop=columns.drop,
        standardize=columns.standardize,
        impute=columns.impute,
        indicator=columns.indicator,
        rows=rows,
    )
    x, y = state.inputs(table), state.targets(table)
    if rows is None or held is None:
        return Data(path, state, (x, y), None, notes)
    return Data(path, state, (x[rows], y[rows]), (x[held], y[held]), notes)


def _streamed(
    path: str, columns: Columns, share: float, seed: int, buffer_rows: int | None, ranks: Ranks
) -> Data:
    from fastmlp.datasets import ParquetStream
    from fastmlp.preprocessing import Preprocessing

    notes = [f"{path} is streamed, not held in memory."]
    options: dict[str, Any] = {
        "buffer_rows": buffer_rows, "validation_split": share, "split_seed": seed
    }  # fmt: skip
    stream = learnt = None
    with ranks.collectively():
        if ranks.first:  # learns from the whole file; the others hear of it
            stream = ParquetStream(
                path,
                columns.target,
                columns.task,
                categorical=columns.categorical,
                drop=columns.drop,
                standardize=columns.standardize,
                impute=columns.impute,
                indicator=columns.indicator,
                **options,
            )
            learnt = stream.preprocessing.to_dict(), stream.reason
    learnt = ranks.broadcast(learnt)
    assert learnt is not None
    with ranks.collectively():
        if stream is None:
            state = Preprocessing.from_dict(learnt[0])
            stream = ParquetStream(path, preprocessing=state, **options)
            stream.reason = learnt[1]
    state = stream.preprocessing
    if columns.target is None:
        notes.append(f"Target: '{state.target.name}', the last column.")
    if columns.task is None:
        notes.append(f"Task: {state.task}, because {stream.reason}.")
    return Data(path, state, stream, stream.held_out, notes)


def table(
    path: str | None, lecture: str | None, target: str | None, options: dict[str, Any],
    report: Messages,
) -> tuple[Table, str, str]:  # fmt: skip
    """Read the table that the options name, and decide what to predict.

    Parameters
    ----------
    path : str or None
        A file with a table; None for the lecture's data.
    lecture : str or None
        Which of the lecture's data.
    target : str or None
        None: the last column.
    options : dict
        Among them task, None if it is to be decided from the target, and categorical.
    report : Messages

    Returns
    -------
    table : Table
    target : str
    task : str
    """
    from fastmlp import datasets
    from fastmlp.preprocessing import choose_task

    found = lecture_table(str(lecture), "train") if path is None else datasets.read_table(path)
    if target is None:
        target = found.names[-1]
        if path is not None:
            report.note(f"Target: '{target}', the last column.")
    task = options["task"] or lecture
    if task is None:
        task, reason = choose_task(found, target, options["categorical"])
        report.note(f"Task: {task}, because {reason}.")
    return found, target, task


def lecture_table(task: str, part: str) -> Table:
    """Return the lecture's data for a task, 'train' or 'validation', as a table."""
    from fastmlp import datasets

    names, x, y = datasets.load(f"{task}_{part}")
    columns = dict(zip(names, [*x.T, y[:, 0]], strict=True))
    return datasets.as_table(columns, f"lecture:{task}")


def opened(
    path: str, loaded: Loaded, target: str | None, with_target: bool, drop: Collection[str]
) -> tuple[Preprocessing, Table | ParquetStream]:
    """Open a table for a saved model: read it, or stream it if it is large.

    Parameters
    ----------
    path : str
    loaded : Loaded
    target : str or None
        The target column as the user names it.
    with_target : bool
        Whether the target is needed.
    drop : collection of str
        Columns of the table to leave out.

    Returns
    -------
    preprocessing : Preprocessing
    rows : Table or ParquetStream
    """
    from fastmlp import datasets

    if not datasets.is_large(path):
        table = datasets.read_table(path)
        return loaded.for_table(table, target, with_target, drop), table
    state = loaded.for_table(datasets.read_head(path), target, with_target, drop)
    return state, datasets.ParquetStream(path, preprocessing=state)


def prepared(path: str, state: Preprocessing, drop: Collection[str]) -> Part:
    """Read a table as inputs and targets, or stream it if it is large."""
    from fastmlp import datasets

    if datasets.is_large(path):
        return datasets.ParquetStream(path, preprocessing=state, drop=drop)
    table = datasets.read_table(path)
    y = state.targets(table)  # first: that it is missing says more than that another is extra
    return state.inputs(table, drop=drop), y


def check_source(path: str | None, lecture: str | None) -> None:
    """Refuse anything but one of the two: a table, or the lecture's data."""
    if (path is None) == (lecture is None):
        raise click.UsageError("give either DATA or --data, the lecture's")


def check_streams(path: str | None, validation: str | None) -> None:
    """Refuse to read two tables from one standard input."""
    if path == "-" and validation == "-":
        raise click.UsageError("DATA and --validation cannot both be standard input")
