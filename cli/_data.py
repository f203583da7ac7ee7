"""What `fastmlp train` trains on: the lecture's data or a table, cut and preprocessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.preprocessing import Preprocessing

    from ._output import Messages

    Arrays = tuple[np.ndarray, np.ndarray]


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
    """

    target: str | None
    task: str | None
    categorical: tuple[str, ...]
    drop: tuple[str, ...]
    standardize: bool
    impute: str | None

    def first_given(self) -> str | None:
        """Return the first option that was given, for an error message."""
        values = vars(self).items()
        return next((name for name, value in values if value not in (None, (), False)), None)


@dataclass
class Data:
    """Arrays to train and validate on.

    Parameters
    ----------
    source : str
        The file's name, or 'lecture:regression' and the like.
    preprocessing : Preprocessing
    train : tuple (x, y)
    validation : tuple (x, y) or None
    notes : list of str
        What was decided that nobody asked for.
    """

    source: str
    preprocessing: Preprocessing
    train: Arrays
    validation: Arrays | None
    notes: list[str] = field(default_factory=list)


def read(
    path: str | None,
    lecture: str | None,
    columns: Columns,
    validation: str | None,
    share: float,
    seed: int,
    report: Messages,
) -> Data:
    """Read and preprocess what the options name.

    Parameters
    ----------
    path : str or None
        A CSV file; None for the lecture's data.
    lecture : str or None
        Which of the lecture's data.
    columns : Columns
    validation : str or None
        A CSV file to validate on.
    share : float
        Of the rows to hold out for validation.
    seed : int
        Of the draw of those rows.
    report : Messages

    Returns
    -------
    Data
    """
    if path is None:
        data = _lecture(lecture or "regression", share, seed)
    else:
        data = _table(path, columns, share, seed)
    if validation is not None:
        from fastmlp import datasets

        table = datasets.read_csv(validation)
        data.validation = (data.preprocessing.inputs(table), data.preprocessing.targets(table))
    # Said only now: of data that cannot be used, the error line says enough.
    for text in data.notes:
        report.note(text)
    for column in data.preprocessing.columns:
        if column.kind == "categorical":
            report.detail(f"Column '{column.name}': {len(column.categories)} categories.")
    if data.preprocessing.target.labels:
        report.detail(f"Classes: {', '.join(map(str, data.preprocessing.target.labels))}.")
    n_val = 0 if data.validation is None else len(data.validation[0])
    shape = data.train[0].shape
    report.detail(f"{shape[0]} training rows, {n_val} validation rows, {shape[1]} inputs.")
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

    table = datasets.read_csv(path)
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
        rows=rows,
    )
    x, y = state.inputs(table), state.targets(table)
    if rows is None or held is None:
        return Data(path, state, (x, y), None, notes)
    return Data(path, state, (x[rows], y[rows]), (x[held], y[held]), notes)


def check_streams(path: str | None, validation: str | None) -> None:
    """Refuse to read two tables from one standard input."""
    if path == "-" and validation == "-":
        raise click.UsageError("DATA and --validation cannot both be standard input")
