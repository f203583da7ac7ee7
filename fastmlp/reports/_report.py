"""`report`: one page about a model."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._utils import arguments
from .._utils.atomic import write_atomically
from ..tabular import TableFigures
from . import _drawings, _known, _measure, _page
from ._numbers import ReportNumbers
from ._subject import Subject

_REPEATS = 5  # shuffles of each column


class Report:
    """The report of a model; made by `report`.

    Parameters
    ----------
    numbers : ReportNumbers
    drawings : list of PageFigure
        For internal use.

    Attributes
    ----------
    numbers : ReportNumbers
        All numbers of the report.
    """

    def __init__(self, numbers: ReportNumbers, drawings: list[_drawings.PageFigure]) -> None:
        self.numbers, self._drawings = numbers, drawings

    @functools.cached_property
    def html(self) -> str:
        """The page. It needs Jinja2, which ``fastmlp[report]`` installs."""
        return _page.page(self.numbers, self._drawings)

    def save(self, path: str | Path, overwrite: bool = True) -> Path:
        """Write the page to a file.

        Parameters
        ----------
        path : str or Path
            Written atomically.
        overwrite : bool
            Whether to replace an existing file.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is False.
        OSError
            If the file cannot be written. An existing file is then unchanged.
        """
        path = Path(arguments.path("path", path))
        if not overwrite and path.exists():
            raise FileExistsError(f"{path}: the file exists; overwrite=True replaces it")
        write_atomically(path, self.html.encode())
        return path

    def __repr__(self) -> str:
        n = self.numbers
        table = f"{n.rows:,} rows" if n.rows else "no table"
        return f"<Report: {n.target!r}, {n.task}, {table}, {len(n.warnings)} warnings>"


def check_installed() -> None:
    """Raise DataError if a page cannot be made, because Jinja2 is not installed."""
    _page.templates()


def report(
    model: Any, data: Any = None, *, target: str | None = None, rows: bool = True, seed: int = 0
) -> Report:
    """Measure a model, on a table if there is one, and make a page of what is found.

    Parameters
    ----------
    model : TableModel, Sequential, Ensemble, PathResult or path
        What `fastmlp.fit` or `fastmlp.path` returned, any network, or its file.
    data : path, Table, data frame, Arrow table, array, mapping or tuple (x, y), optional
        Rows with the target. Of the table of the training only the rows that were held out are
        judged. A network that was trained on arrays takes x and y, or a table with its inputs in
        order. Without a table there are the figures of the training alone, but for the lecture's
        models, which are judged on the lecture's validation data.
    target : str, optional
        The target column of `data`. By default that of the training, or the last column if the
        network was trained on arrays.
    rows : bool
        Whether to show single rows. With False the page has no figure with a mark for each row,
        and no list of the worst rows.
    seed : int
        Random seed of shuffles and resamples. The same model, table and seed give the same bytes.

    Returns
    -------
    Report

    Raises
    ------
    ModelFileError
        If the model's file is missing or damaged.
    ValueError
        If the model is not built or, where there is a table, not compiled.
    DataError
        If the table lacks columns, no row has a target, or a classifier's outputs are not
        probabilities.
    """
    rows, seed = arguments.flag("rows", rows), arguments.integer("seed", seed, 0)
    subject = Subject.of(model)
    table = subject.own_table() if data is None else subject.table(data, target)
    numbers = _known.of_model(subject)
    if table is None:
        return Report(numbers, _drawings.of_model(subject))
    found, part, seen, notes = _measure.judged_rows(subject, table)
    if data is None:
        part = "rows of the lecture's validation data"
    numbers = replace(numbers, part=part, seen=seen, warnings=[*numbers.warnings, *notes])
    few: TableFigures = _measure.sampled(found, _REPEATS * len(found.features))
    importance = few.importance_of(seed, _REPEATS)
    numbers = _measure.on_table(numbers, subject, found, importance, rows=rows, seed=seed)
    drawings = _drawings.of_model(subject) + _drawings.on_table(found, importance, rows, seed)
    return Report(numbers, drawings)
