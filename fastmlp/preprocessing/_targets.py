"""Targets: transforms of numbers, and rows that have a target."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from .._tables.frames import as_table
from .._tables.table import Table
from .._utils import arguments
from ..errors import DataError

_KNOTS = 1000


def normal_scores(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return numbers in increasing order, and the normal score of each one's quantile.

    Equal numbers share the score of their mean rank. Of many numbers, 1000 quantiles are taken.
    """
    distinct, counts = np.unique(values, return_counts=True)
    ends = np.cumsum(counts)
    shares = (ends - counts / 2) / len(values)  # in the middle of each number's ranks
    if len(distinct) > _KNOTS:
        wanted = np.linspace(shares[0], shares[-1], _KNOTS)
        places = np.unique(np.searchsorted(shares, wanted).clip(0, len(shares) - 1))
        distinct, shares = distinct[places], shares[places]
    normal = NormalDist()
    return tuple(distinct.tolist()), tuple(normal.inv_cdf(share) for share in shares.tolist())


def refuse_negative(table: Table, name: str, transform: str) -> None:
    """Raise DataError for the first number below 0."""
    row = int(np.argmax(table.values(name) < 0))
    raise DataError(
        f"{table.where(row, name)}: '{table.held(row, name)}' is below 0, which target_transform "
        f"{transform} (--target-transform {transform}) cannot take; quantile can"
    )


def missing_cells(table: Table, name: str) -> np.ndarray:
    """Return which cells of a column are missing."""
    cells = table.columns[name]
    if cells.kind in ("number", "boolean", "date"):
        return np.isnan(cells.floats())
    codes: np.ndarray = table.coded(name).codes
    return codes < 0


def target_names(target: Any) -> list[str]:
    """Return the names of one target or several."""
    if isinstance(target, str):
        return [target]
    names = [
        arguments.instance("a column in target", name, str)
        for name in arguments.items("target", target, "names of columns")
    ]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"target must hold different names. Received: {names}")
    return names


def usable_rows(table: Any, target: str | Sequence[str]) -> tuple[np.ndarray, str | None]:
    """Return the rows that have a target, and a note about the others.

    Parameters
    ----------
    table : Table, data frame, Arrow table, array or mapping
        What `datasets.as_table` takes.
    target : str or sequence of str
        Of several targets, a row must have all.

    Returns
    -------
    rows : ndarray of int
        In increasing order.
    note : str or None
        None if all rows have a target.

    Raises
    ------
    DataError
        If the column does not exist, or no row has a target.
    """
    table, names = as_table(table), target_names(target)
    missing = np.zeros(table.n_rows, bool)
    for name in names:
        table.require(name, "target column")
        missing |= missing_cells(table, name)
    if not missing.any():
        return np.arange(table.n_rows), None
    rows = np.flatnonzero(~missing)
    if not len(rows):
        raise no_target(table.source, names)
    return rows, without_target(table.n_rows - len(rows), names)


def no_target(source: str, names: Sequence[str]) -> DataError:
    """Make the error for a table without any target."""
    shown = " and ".join(f"'{name}'" for name in names)
    return DataError(f"{source}: no row has a value of the target {shown}")


def without_target(n: int, names: Sequence[str]) -> str:
    """Return a sentence about `n` rows whose target is missing."""
    shown = " or ".join(f"'{name}'" for name in names)
    rows = "1 row has" if n == 1 else f"{n} rows have"
    return f"{rows} no value of the target {shown} and {'is' if n == 1 else 'are'} left out."
