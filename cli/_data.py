"""Data of the commands: the lecture's, or a table that is split and preprocessed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastmlp._utils.names import TASKS

from . import _options
from ._groups import group, option
from ._reading import Reading, of_model

if TYPE_CHECKING:
    import numpy as np

    from fastmlp._training.distributed import Ranks
    from fastmlp.datasets import ParquetStream, ReadingOptions, Table
    from fastmlp.preprocessing import Preprocessing

    from ._model import Loaded
    from ._output import Messages

    Arrays = tuple[np.ndarray, np.ndarray]
    Part = Arrays | ParquetStream

F = TypeVar("F", bound=Callable[..., Any])

SHARE = "Share of the rows to hold out for validation, drawn at random and stratified by class."
LECTURE = "lecture"  # as DATA: the lecture's data, unless a file has this name


# ---- options -----------------------------------------------------------------------------------


@dataclass
class Source:
    """The options that name the data and describe its columns."""

    data: str | None  # a file with a table; None: the lecture's data
    reading: Reading
    lecture: str | None = option(
        "--lecture", type=click.Choice(TASKS), cls=_options.HiddenAlias, alias="--data"
    )
    target: tuple[str, ...] = option(
        "--target",
        metavar="COLUMN",
        multiple=True,
        help="Column to predict; repeatable for numeric columns, which one network predicts "
        "together.  [default: the last column]",
    )
    task: str | None = option(
        "--task",
        type=click.Choice(TASKS),
        help="Whether to predict numbers or classes.  [default: classification if the target is "
        "text or has two integer values]",
    )
    categorical: tuple[str, ...] = option(
        "--categorical",
        metavar="COLUMN",
        multiple=True,
        help="Treat a column as categorical; repeatable.",
    )
    drop: tuple[str, ...] = option(
        "--drop", metavar="COLUMN", multiple=True, help="Ignore a column; repeatable."
    )
    keep: tuple[str, ...] = option(
        "--keep",
        metavar="COLUMN",
        multiple=True,
        help="Use this column even if it looks like an id or is constant, and would be left out; "
        "repeatable.",
    )
    standardize: bool | None = option(  # None: a table is standardised
        "--standardize/--no-standardize",
        default=None,
        help="Scale the numeric columns of DATA by median and interquartile range, limit "
        "outliers, and scale a regression target to mean 0 and standard deviation 1. Predictions "
        "and errors stay in the target's units.  [default: standardize]",
    )
    impute: str | None = option(
        "--impute",
        type=click.Choice(["median", "mean", "none"]),
        help="Replace missing numbers by the column's median or mean; missing categories are a "
        "separate category. With none, missing values are an error.  [default: median]",
    )
    indicator: bool | None = option(  # None: as far as missing values are imputed
        "--indicator/--no-indicator",
        default=None,
        help='Add a 0/1 input "was missing" for each column with missing values.  '
        "[default: indicator]",
    )
    max_categories: int | None = option(
        "--max-categories",
        metavar="N",
        type=click.IntRange(min=1),
        help="Keep the N most frequent categories of a column, and merge all others into "
        '"other".  [default: 64]',
    )
    unknown: str | None = option(
        "--unknown",
        type=click.Choice(["ignore", "error"]),
        help="What predict does with a category that is not in the training data: ignore sets "
        "all inputs of the column to 0 and prints the number of such cells.  [default: ignore]",
    )
    date_parts: bool = option(
        "--date-parts",
        is_flag=True,
        help="Add day of the year, month, weekday and hour of dates as inputs.",
    )
    target_transform: str | None = option(
        "--target-transform",
        type=click.Choice(["log", "sqrt", "quantile"]),
        help="Train on the logarithm, the square root or the normal score of a regression "
        "target; predictions are transformed back to its units.",
    )

    def __post_init__(self) -> None:
        if self.data == LECTURE and not Path(LECTURE).exists():
            self.data, self.lecture = None, self.lecture or TASKS[0]
        if self.data is not None and self.lecture is not None:
            raise click.UsageError(
                f"--lecture {self.lecture} is the lecture's data; DATA is given as well"
            )
        if self.indicator and self.impute == "none":
            raise click.UsageError(
                "--indicator needs --impute median or mean; with none, missing values are an error"
            )

    @property
    def name(self) -> str:
        """The file's name, or 'lecture:regression' and the like."""
        return f"lecture:{self.lecture or TASKS[0]}" if self.data is None else self.data

    @property
    def described(self) -> dict[str, Any]:
        """Arguments of `Preprocessing.fit`."""
        return {
            "categorical": self.categorical,
            "drop": self.drop,
            "keep": self.keep,
            "standardize": self.standardize is not False,
            "impute": self.impute or "median",
            "indicator": self.indicator is not False,
            "max_categories": self.max_categories or 64,
            "unknown": self.unknown or "ignore",
            "date_parts": self.date_parts,
            "target_transform": self.target_transform,
        }

    def require(self) -> None:
        """Fail if no data is named."""
        if self.data is self.lecture is None:
            raise click.UsageError("give either DATA or --lecture")

    def refuse_descriptions(self, streaming: Streaming) -> None:
        """Fail if options describe DATA, which is not given."""
        described = ("target", "task", *self.described)
        given = [name for name in described if getattr(self, name)] + streaming.given
        given += self.reading.given
        if self.data is None and given:
            flag = given[0].replace("_", "-")
            raise click.UsageError(f"--{flag} describes DATA, which is not given")

    def one_target(self, command: str) -> None:
        """Fail if several targets are given to a command that takes one."""
        if len(self.target) > 1:
            raise click.UsageError(f"{command} takes one --target. Received: {len(self.target)}")

    def decided(self, target: str, task: str, reason: str) -> list[str]:
        """Return notes on target and task, as far as they were not given."""
        if self.data is None:
            return []
        notes = []
        if not self.target:
            notes.append(f"Target: '{target}', the last column.")
        if self.task is None:
            notes.append(f"Task: {task}, because {reason}.")
        return notes


def source(lecture: str) -> Callable[[F], F]:
    """Add --lecture, whose help is given, and the options of a table's file and columns."""

    def decorate(function: F) -> F:
        return group(Reading, "reading")(
            group(Source, "source", lecture={"help": lecture})(function)
        )

    return decorate


@dataclass
class Validation:
    """The options that say which rows are held out: a share of the rows, or a file."""

    validation_split: float | None = option(
        "--validation-split",
        type=click.FloatRange(0, 1, max_open=True),
        help=SHARE,
    )
    validation: str | None = option(
        "--validation", metavar="DATA", help="Validate on this file instead."
    )

    def __post_init__(self) -> None:
        if self.validation is not None and self.validation_split:
            raise click.UsageError("--validation and --validation-split exclude each other")

    def refuse_one_stream(self, data: str | None) -> None:
        """Fail if two tables would be read from one standard input."""
        if data == self.validation == "-":
            raise click.UsageError("DATA and --validation cannot both be standard input")


def held_out(share: float | None = 0.0, more: str = "") -> Callable[[F], F]:
    """Add --validation-split, by default `share`, and --validation."""
    split = {"default": share, "help": f"{SHARE}{more}"}
    return group(Validation, "held_out", validation_split=split)


@dataclass
class Streaming:
    """The options that say whether and how a file is streamed."""

    stream: bool | None = option(  # None: if it is large
        "--stream/--no-stream",
        default=None,
        help="Read a Parquet file again in each epoch, instead of holding it in memory.  "
        "[default: stream files of more than 2^28 values]",
    )
    buffer_rows: int | None = option(
        "--buffer-rows",
        metavar="N",
        type=click.IntRange(min=1),
        help="With --stream: size of the shuffle buffer, in rows.  [default: 131072, at most 64 "
        "MiB]",
    )

    def wanted(self, path: str) -> bool:
        """Return whether to stream this file."""
        from fastmlp import datasets

        return datasets.is_large(path) if self.stream is None else self.stream

    @property
    def given(self) -> list[str]:
        """The options that were given, for an error message."""
        stream = {None: [], True: ["stream"], False: ["no-stream"]}[self.stream]
        return stream + ([] if self.buffer_rows is None else ["buffer-rows"])


# ---- rows --------------------------------------------------------------------------------------


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
        What was decided because no option says it.
    reading : ReadingOptions, optional
        How the table was read.
    """

    source: str
    preprocessing: Preprocessing
    train: Part
    validation: Part | None
    notes: list[str] = field(default_factory=list)
    reading: ReadingOptions | None = None

    @property
    def stream(self) -> ParquetStream | None:
        """The training rows, if they are streamed."""
        return None if isinstance(self.train, tuple) else self.train

    @property
    def n_rows(self) -> int:
        """The number of training rows."""
        return n_rows(self.train)

    def sample(self) -> Arrays:
        """Return training rows to draw: all that are in memory, the first of a stream."""
        if isinstance(self.train, tuple):
            return self.train
        x, y = next(self.train.arrays("float32"))
        assert y is not None
        return x, y

    def nbytes(self, batch_size: int) -> int:
        """Return the memory that the rows take, or that a stream's buffers take."""
        total = 0
        for part in (self.train, self.validation):
            if isinstance(part, tuple):
                total += sum(array.nbytes for array in part)
            elif part is not None and part is self.train:
                total += 2 * part.buffer_rows(batch_size) * (part.n_inputs + 1) * 4
        return total


def n_rows(part: Part | None) -> int:
    """Return the number of rows of arrays or a stream; 0 for None."""
    if part is None:
        return 0
    return len(part[0]) if isinstance(part, tuple) else part.n_rows


def read(
    source: Source,
    streaming: Streaming,
    held_out: Validation,
    seed: int,
    report: Messages,
    ranks: Ranks | None = None,
    by_class: bool = True,
    kept: Preprocessing | None = None,
) -> Data:
    """Read and preprocess the data that the options name.

    Parameters
    ----------
    source : Source
    streaming : Streaming
    held_out : Validation
    seed : int
        Seed of the draw of the rows held out.
    report : Messages
    ranks : Ranks, optional
        The processes that read together; an error of one is raised in all.
    by_class : bool
        Whether the same share of each class is held out; False for runs that were begun before
        this was so.
    kept : Preprocessing, optional
        That of a run begun by an earlier version, which is resumed; by default it is fitted.

    Returns
    -------
    Data
    """
    from fastmlp._training.distributed import Ranks

    ranks = Ranks() if ranks is None else ranks
    share, path = held_out.validation_split or 0.0, source.data
    with ranks.collectively():
        stream = path is not None and streaming.wanted(path)
        if path is None:
            data = _lecture(source, share, seed, by_class)
        elif not stream:
            data = _table(source, share, seed, by_class, kept)
    if path is not None and stream:
        data = _streamed(source, share, seed, streaming.buffer_rows, ranks, kept)
    with ranks.collectively():
        if held_out.validation is not None:
            data.validation = prepared(
                held_out.validation, data.preprocessing, source.drop, source.reading, data.reading,
                data.notes,
            )  # fmt: skip
    # Only now: if the data cannot be used, the error line is enough.
    for text in data.notes:
        report.note(text)
    for column in data.preprocessing.columns:
        if column.kind == "categorical":
            report.detail(f"Column '{column.name}': {len(column.categories)} categories.")
    if data.preprocessing.target.labels:
        report.detail(f"Classes: {', '.join(map(str, data.preprocessing.target.labels))}.")
    report.detail(
        f"{data.n_rows} training rows, {n_rows(data.validation)} validation rows, "
        f"{data.preprocessing.n_inputs} inputs."
    )
    return data


def _lecture(source: Source, share: float, seed: int, by_class: bool) -> Data:
    from fastmlp import lecture, preprocessing

    task = source.lecture or TASKS[0]
    (x, y), validation = lecture.data(task)
    state = lecture.preprocessing(task)
    if share:
        classes = y[:, 0] if by_class and task == "classification" else None
        rows, held = preprocessing.split(len(x), share, seed, classes)
        return Data(source.name, state, (x[rows], y[rows]), (x[held], y[held]))
    return Data(source.name, state, (x, y), validation)


def _table(
    source: Source, share: float, seed: int, by_class: bool, kept: Preprocessing | None
) -> Data:
    from fastmlp.preprocessing import Preprocessing, split, usable_rows

    table, target, task, notes = _read_table(source)
    targets = source.target or [target]
    usable, _ = usable_rows(table, targets)
    rows = held = None
    if share:
        classes = None
        if by_class and task == "classification":
            classes = table.coded(target).codes[usable]
        rows, held = split(len(usable), share, seed, classes)
    state = kept or Preprocessing.fit(
        table, targets, task, rows=None if rows is None else usable[rows], **source.described
    )
    x, y = state.inputs(table)[usable], state.targets(table, rows=usable)
    data = Data(source.name, state, (x, y), None, notes + state.notes, table.reading)
    if rows is not None and held is not None:
        data.train, data.validation = (x[rows], y[rows]), (x[held], y[held])
    return data


def _read_table(source: Source) -> tuple[Table, str, str, list[str]]:
    """Return the table, the target, the task, and notes on what was decided."""
    from fastmlp.preprocessing import choose_task

    if source.data is None:
        table = lecture_table(str(source.lecture), "train")
    else:
        table = source.reading.table(source.data)
    target = source.target[0] if source.target else table.names[-1]
    for name in source.target or [target]:
        table.require(name, "target column")
    task, reason = source.task or source.lecture, ""
    if task is None:
        task, reason = choose_task(table, target, source.categorical)
    return table, target, task, table.notes + source.decided(target, task, reason)


def _streamed(
    source: Source,
    share: float,
    seed: int,
    buffer_rows: int | None,
    ranks: Ranks,
    kept: Preprocessing | None,
) -> Data:
    from fastmlp.datasets import ParquetStream
    from fastmlp.preprocessing import Preprocessing

    path = str(source.data)
    options: dict[str, Any] = {
        "buffer_rows": buffer_rows, "validation_split": share, "split_seed": seed
    }  # fmt: skip
    stream = None
    learnt = None if kept is None else (kept.to_dict(), "the run was begun so")
    with ranks.collectively():
        if (
            ranks.first and kept is None
        ):  # it reads the whole file, and sends the others what it learnt
            stream = ParquetStream(
                path, source.target or None, source.task, **source.described, **options
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
    notes = [f"{path} is streamed, not held in memory."]
    notes += source.decided(state.target.name, state.task, stream.reason) + state.notes
    return Data(path, state, stream, stream.held_out, notes)


def table(source: Source, report: Messages) -> tuple[Table, str, str]:
    """Read the table that the options name, and decide what to predict.

    Parameters
    ----------
    source : Source
    report : Messages

    Returns
    -------
    table : Table
    target : str
    task : str
    """
    found, target, task, notes = _read_table(source)
    for text in notes:
        report.note(text)
    return found, target, task


def lecture_arrays(task: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the lecture's data for a task, 'train' or 'validation', as arrays x and y."""
    from fastmlp import datasets

    _, x, y = datasets.load(f"{task}_{part}")
    return x, y[:, 0]


def lecture_table(task: str, part: str) -> Table:
    """Return the lecture's data for a task, 'train' or 'validation', as a table."""
    from fastmlp import datasets

    names, x, y = datasets.load(f"{task}_{part}")
    columns = dict(zip(names, [*x.T, y[:, 0]], strict=True))
    return datasets.as_table(columns, f"lecture:{task}")


def opened(
    path: str,
    loaded: Loaded,
    target: str | None,
    with_target: bool,
    drop: Collection[str],
    reading: Reading,
    report: Messages,
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
    reading : Reading
    report : Messages

    Returns
    -------
    preprocessing : Preprocessing
    rows : Table or ParquetStream
    """
    from fastmlp import datasets

    if not datasets.is_large(path):
        table = reading.table(path, report, of_model(loaded.model))
        return loaded.for_table(table, target, with_target, drop), table
    state = loaded.for_table(datasets.read_head(path), target, with_target, drop)
    return state, datasets.ParquetStream(path, preprocessing=state)


def prepared(
    path: str,
    state: Preprocessing,
    drop: Collection[str],
    reading: Reading,
    like: ReadingOptions | None,
    notes: list[str],
) -> Part:
    """Read a table as inputs and targets, or stream it if it is large.

    Rows without a target are left out; `notes` gets a sentence about them.
    """
    from fastmlp import datasets, preprocessing

    if datasets.is_large(path):
        return datasets.ParquetStream(path, preprocessing=state, drop=drop)
    table = reading.table(path, like=like)
    # First: that the target is missing says more than that another column is extra.
    rows, note = preprocessing.usable_rows(table, [t.name for t in state.all_targets])
    if note is not None:
        notes.append(f"{path}: {note}")
    return state.inputs(table, drop=drop)[rows], state.targets(table, rows=rows)
