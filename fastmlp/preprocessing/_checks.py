"""Warnings about a table: columns that give the target away, and rows that occur twice."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from .._tables.blocks import blocks
from .._tables.table import Table
from ._targets import missing_cells

_SMALL = 1000  # rows on which a column is tried before all are
_MOST = 50_000  # rows on which a column is tried
_FEWEST = 30  # rows; of fewer, a column may predict the target by chance
_PER_LEVEL = 5  # rows of each category, at least on average
_MOST_CELLS = 1 << 28  # of which rows are compared
_CORRELATION = 0.9995
_FEWEST_MOVES = 20  # of numbers that rise or fall together but once, as 1 / x does at 0


def warnings(
    table: Table, inputs: Sequence[str], targets: Mapping[str, str], rows: np.ndarray | None
) -> list[str]:
    """Return warnings about a table.

    Parameters
    ----------
    table : Table
    inputs : sequence of str
    targets : mapping of str to {"regression", "classification"}
    rows : ndarray of int or None
        Those with a target that are for training.

    Returns
    -------
    list of str
    """
    found = []
    for name, task in targets.items():
        leaks = _leaks(table, inputs, name, task, rows)
        if leaks:
            shown = ", ".join(f"'{leak}'" for leak in leaks)
            alone = "predicts" if len(leaks) == 1 else "each predict"
            found.append(
                f"Warning: {shown} {alone} the target '{name}' all by "
                f"{'itself' if len(leaks) == 1 else 'themselves'}: is it known before the target "
                f"is? If not, leave it out (--drop {shlex.quote(leaks[0])})."
            )
    n_twice = _n_repeated(table, [*inputs, *targets])
    if n_twice:
        rows_are = "row occurs" if n_twice == 1 else "rows occur"
        found.append(
            f"Warning: {n_twice} {rows_are} more than once in the table (inputs and target alike); "
            "copies on both sides of a split make held-out scores too good."
        )
    return found


# ---- columns that give the target away ---------------------------------------------------------


def _leaks(
    table: Table, inputs: Sequence[str], target: str, task: str, rows: np.ndarray | None
) -> list[str]:
    usable = ~missing_cells(table, target)
    if rows is not None:
        chosen = np.zeros(table.n_rows, bool)
        chosen[rows] = True
        usable &= chosen
    places = np.flatnonzero(usable)
    if len(places) < _FEWEST:
        return []
    places = places[np.linspace(0, len(places) - 1, min(len(places), _MOST)).astype(np.int64)]
    few = np.linspace(0, len(places) - 1, min(len(places), _SMALL)).astype(np.int64)
    y = table.coded(target).codes if task == "classification" else table.values(target)
    y = y[places]
    if (y == y[0]).all():
        return []
    gives_away = _gives_class_away if task == "classification" else _gives_number_away
    leaks = []
    for name in inputs:
        numeric = table.columns[name].kind in ("number", "date")
        if numeric:
            x: np.ndarray = table.columns[name].floats()[places]
        else:
            x = table.coded(name).codes[places]
        if gives_away(x[few], y[few], numeric) and gives_away(x, y, numeric):
            leaks.append(name)
    return leaks


def _gives_number_away(x: np.ndarray, y: np.ndarray, numeric: bool) -> bool:
    if not numeric:
        return _determines(x, y)
    present = np.isfinite(x)
    x, y = x[present], y[present]
    if len(x) < _FEWEST or 2 * len(x) < len(present) or x.min() == x.max() or y.min() == y.max():
        return False
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    dx, dy = x - x.mean(), y - y.mean()
    size = float(np.sqrt((dx @ dx) * (dy @ dy)))
    if size > 0 and abs(float(dx @ dy)) > _CORRELATION * size:
        return True
    order = np.lexsort((y, x))
    steps_x, steps_y = np.diff(x[order]), np.diff(y[order])
    if not ((steps_x > 0) == (steps_y != 0)).all():
        return False  # not one-to-one
    moves = steps_y[steps_x > 0]
    n_other = min(int((moves > 0).sum()), int((moves < 0).sum()))
    return n_other <= (len(moves) >= _FEWEST_MOVES) and len(moves) >= _PER_LEVEL


def _gives_class_away(x: np.ndarray, y: np.ndarray, numeric: bool) -> bool:
    if not numeric:
        return _determines(x, y)
    present = np.isfinite(x)
    x, y = x[present], y[present]
    if len(x) < _FEWEST or 2 * len(x) < len(present):
        return False
    counts = np.bincount(y)
    counts = counts[counts > 0]
    if len(counts) < 2 or counts.min() < _PER_LEVEL:
        return False
    order = np.lexsort((y, x))
    changes = np.diff(y[order]) != 0
    # As many changes as classes are parted by, and none between equal numbers.
    return int(changes.sum()) == len(counts) - 1 and bool((np.diff(x[order])[changes] > 0).all())


def _determines(codes: np.ndarray, y: np.ndarray) -> bool:
    """Return whether each category has one target, and there are enough rows of each to tell."""
    codes, y = np.unique(codes, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]
    n_levels, n_values = int(codes.max()) + 1, int(y.max()) + 1
    if n_values < 2 or n_levels < 2 or len(y) < _PER_LEVEL * n_levels:
        return False
    pairs = np.unique(codes * n_values + y)
    return len(pairs) == n_levels


# ---- rows that occur twice ---------------------------------------------------------------------


def _n_repeated(table: Table, names: Sequence[str]) -> int:
    """Return how many rows are equal to an earlier row, told by a hash of 64 bits."""
    n = table.n_rows
    if n * len(names) > _MOST_CELLS or n < 2:
        return 0
    # Three columns first, which tell all rows of most tables apart.
    hashes = _hashed(table, names[:3], 0)
    if len(names) > 3 and (n <= 1000 or len(np.unique(hashes)) < n):
        hashes += _hashed(table, names[3:], 3)
    return n - len(np.unique(hashes))


def _hashed(table: Table, names: Sequence[str], first: int) -> np.ndarray:
    """Return a sum for each row over its cells, which are mixed with the columns' places."""
    places = np.arange(first, first + len(names), dtype=np.uint64)
    salts = _mixed(places + np.uint64(0x9E3779B97F4A7C15))
    numbers = []
    hashes = np.zeros(table.n_rows, np.uint64)
    for place, name in enumerate(names):
        if table.columns[name].kind in ("number", "boolean", "date"):
            numbers.append(place)
        else:
            bits = table.coded(name).codes.astype(np.int64).view(np.uint64)
            hashes += _mixed(bits + salts[place])
    for part, values in blocks([table.columns[names[place]] for place in numbers]):
        bits = (values + 0.0).view(np.uint64)  # -0 is 0
        hashes += _mixed(bits + salts[numbers[part], np.newaxis]).sum(axis=0, dtype=np.uint64)
    return hashes


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Return the bits mixed as in SplitMix64."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
