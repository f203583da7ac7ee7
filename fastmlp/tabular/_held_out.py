"""Which rows are held out: a stratified share, whole groups, the latest rows, or folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._tables.table import Table
from ..errors import DataError
from ..preprocessing import split
from ._decisions import Decisions


@dataclass
class HeldOutRows:
    """Pairs of rows to train on and rows held out: one pair, or those of the folds.

    Parameters
    ----------
    pairs : list of (ndarray, ndarray)
        Positions among the rows given, each in increasing order; none if nothing is held out.
    folds : int
        Of each repeat of a cross-validation; 0 if there is one part only.
    how : str
        In words, for a note; empty if there is nothing to say.
    """

    pairs: list[tuple[np.ndarray, np.ndarray]]
    folds: int = 0
    how: str = ""


def held_out(
    decisions: Decisions,
    seed: int,
    n_rows: int,
    *,
    classes: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> HeldOutRows:
    """Choose the rows to hold out.

    Parameters
    ----------
    decisions : Decisions
        Its share, or its folds.
    seed : int
    n_rows : int
    classes : ndarray of int, optional
        Each row's class: each part gets the same share of each.
    groups : ndarray of int, optional
        Each row's group: a group is held out as a whole or not at all.
    times : ndarray of float, optional
        The rows with the largest values are held out.

    Returns
    -------
    HeldOutRows

    Raises
    ------
    DataError
        If there are too few rows or groups.
    """
    share = decisions.validation_split
    if times is not None and (share or decisions.folds):
        return _latest(times, share or 0.2)
    if groups is not None and (share or decisions.folds):
        return _by_group(groups, decisions, seed)
    if decisions.folds:
        pairs = []
        for repeat in range(decisions.repeats):
            pairs += _folds(_fold_of_each(n_rows, decisions.folds, [seed, repeat], classes))
        return HeldOutRows(pairs, decisions.folds)
    if share:
        return HeldOutRows([split(n_rows, share, seed, classes)])
    return HeldOutRows([])


def _latest(times: np.ndarray, share: float) -> HeldOutRows:
    n = len(times)
    order = np.argsort(times, kind="stable")
    first = times[order[min(n - 1, round(n * (1 - share)))]]
    late = times >= first  # rows of one moment stay together
    if late.all():
        late = times > first
    if not late.any() or late.all():
        raise DataError(
            "the time column must hold at least two moments, so that the latest rows can be held "
            "out. Received: the same in every row"
        )
    how = f"The latest {late.sum():,} rows are held out."
    return HeldOutRows([(np.flatnonzero(~late), np.flatnonzero(late))], how=how)


def _by_group(groups: np.ndarray, decisions: Decisions, seed: int) -> HeldOutRows:
    _, codes = np.unique(groups, return_inverse=True)
    counts = np.bincount(codes)
    if len(counts) < 2:
        raise DataError(
            "the group column must hold at least two groups, so that some can be held out. "
            "Received: one group"
        )
    order = np.random.default_rng(seed).permutation(len(counts))
    if decisions.folds:
        folds, pairs = min(decisions.folds, len(counts)), []
        for repeat in range(decisions.repeats):
            pairs += _folds(_balanced(counts, folds, [seed, repeat])[codes])
        how = f"Groups: {len(counts):,}, each within one fold."
        return HeldOutRows(pairs, folds, how)
    wanted = decisions.validation_split * len(codes)
    chosen = np.zeros(len(counts), bool)
    total = 0
    for group in order.tolist():
        # Closer to the share with this group than without it.
        if abs(total + counts[group] - wanted) < abs(total - wanted):
            chosen[group] = True
            total += int(counts[group])
    if not chosen.any() or chosen.all():
        chosen[:] = False
        chosen[int(np.argmin(counts))] = True
    held = chosen[codes]
    how = f"{chosen.sum():,} of {len(counts):,} groups are held out, {held.sum():,} rows."
    return HeldOutRows([(np.flatnonzero(~held), np.flatnonzero(held))], how=how)


def folds_of_groups(table: Table, name: str, rows: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each of some rows, where those of one group stay together.

    Parameters
    ----------
    table : Table
    name : str
        The column of groups.
    rows : ndarray of int
    folds, seed : int

    Returns
    -------
    ndarray of int, of shape (len(rows),)
    """
    _, codes = np.unique(column_codes(table, name, "group")[rows], return_inverse=True)
    counts = np.bincount(codes)
    if len(counts) < folds:
        raise DataError(
            f"the group column must hold as many groups as there are folds. Received: "
            f"{len(counts)} groups for {folds} folds"
        )
    return _balanced(counts, folds, [seed, 0])[codes]


def _balanced(counts: np.ndarray, folds: int, seed: Any) -> np.ndarray:
    """Return the fold of each group: the largest first, each into the fold of fewest rows."""
    drawn = np.random.default_rng(seed).permutation(len(counts))
    order = drawn[np.argsort(-counts[drawn], kind="stable")]
    rows, fold = np.zeros(folds, np.int64), np.zeros(len(counts), np.int64)
    for group in order.tolist():
        fold[group] = int(np.argmin(rows))
        rows[fold[group]] += counts[group]
    return fold


def _fold_of_each(n: int, folds: int, seed: Any, classes: np.ndarray | None) -> np.ndarray:
    """Return the fold of each row; within each class folds differ by one row at most."""
    order = np.random.default_rng(seed).permutation(n)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    fold = np.empty(n, np.int64)
    fold[order] = np.arange(n) % folds
    return fold


def _folds(fold: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    numbers = range(int(fold.max()) + 1)
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in numbers]


def column_codes(table: Table, name: str, option: str) -> np.ndarray:
    """Return a column as group numbers; a missing cell is an error that names the option."""
    table.require(name, f"{option} column")
    codes = table.coded(name).codes
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise DataError(f"{table.where(row, name)}: the {option} is missing")
    return np.asarray(codes)


def column_numbers(table: Table, name: str, option: str) -> np.ndarray:
    """Return a column of numbers or dates; any other, or a missing cell, is an error."""
    table.require(name, f"{option} column")
    kind = table.kind(name)
    if kind not in ("number", "date", "time"):
        raise DataError(
            f"{table.source}: column '{name}', the {option}, holds {kind}; expected numbers"
            + (" or dates" if option == "time" else "")
        )
    values = table.values(name)
    if np.isnan(values).any():
        row = int(np.argmax(np.isnan(values)))
        raise DataError(f"{table.where(row, name)}: the {option} is missing")
    return values
