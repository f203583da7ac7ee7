"""Statistics of many columns at once: the numbers of `_statistics`, with few calls of NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._tables.blocks import MOST_VALUES, blocks
from .._tables.table import Table
from ._statistics import HUGE, QUARTILES, CategoryLearner, NumberLearner, Rows, Sample

_TINY = 1e-140  # squares of smaller numbers could be 0


def add_all(learners: Sequence[NumberLearner | CategoryLearner], table: Table, rows: Rows) -> None:
    """Add a table to the learners of its columns, as the `add` of each would.

    Numbers without missing cells are taken many columns at once. Every sum is over one column, in
    the order of its rows.

    Parameters
    ----------
    learners : sequence of NumberLearner or CategoryLearner
    table : Table
    rows : ndarray of int or None
        The training rows; None: all.
    """
    known = _plain(learners, table, rows)
    for learner in learners:
        if isinstance(learner, NumberLearner) and learner.name in known:
            learner.add_plain(table.n_rows, *known[learner.name])
        else:
            learner.add(table, rows)


def _plain(
    learners: Sequence[NumberLearner | CategoryLearner], table: Table, rows: Rows
) -> dict[str, tuple[float, float, np.ndarray, tuple[float, float, float, float]]]:
    """Return arguments of `add_plain` by the names of the columns for which there are any."""
    if 2 * table.n_rows > MOST_VALUES or (rows is not None and not len(rows)):
        return {}
    plain = [
        one for one in learners
        if isinstance(one, NumberLearner) and one.is_plain
        and table.columns[one.name].kind in ("number", "boolean")
    ]  # fmt: skip
    known = {}
    for places, values in blocks([table.columns[one.name] for one in plain]):
        lowest, highest = values.min(axis=1), values.max(axis=1)
        # Not values[:, rows]: its memory has another order, and so would the sums.
        training = values if rows is None else np.take(values, rows, axis=1)
        low, high = training.min(axis=1), training.max(axis=1)
        largest = np.maximum(-low, high)
        # `add` has more care for others. A missing cell makes a comparison false.
        fit = (largest <= HUGE) & ((largest >= _TINY) | (largest == 0))
        fit &= np.isfinite(lowest) & np.isfinite(highest)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            mean, deviation = training.mean(axis=1), training.std(axis=1)
        of_all = zip(lowest.tolist(), highest.tolist(), strict=True)
        parts = zip(low.tolist(), high.tolist(), mean.tolist(), deviation.tolist(), strict=True)
        for learner, is_fit, ends, numbers, part in zip(
            plain[places], fit.tolist(), of_all, training, parts, strict=True
        ):
            if is_fit:
                known[learner.name] = (*ends, numbers, part)
    return known


def summarise(samples: Sequence[Sample], median: bool, quartiles: bool) -> None:
    """Compute what samples will be asked for, many of one size at once.

    Parameters
    ----------
    samples : sequence of Sample
        They remember the results.
    median, quartiles : bool
        What to compute.
    """
    by_size: dict[int, list[Sample]] = {}
    for sample in samples:
        if 0 < 2 * sample.size <= MOST_VALUES:
            by_size.setdefault(sample.size, []).append(sample)
    for size, alike in by_size.items():
        step = MOST_VALUES // size
        for start in range(0, len(alike), step):
            values = np.array([sample.values() for sample in alike[start : start + step]])
            usual = np.flatnonzero(np.abs(values).max(axis=1) <= HUGE)
            values, n = values[usual], len(usual)
            middle = np.median(values, axis=1).tolist() if median else [None] * n
            parts = np.quantile(values, QUARTILES, axis=1).T.tolist() if quartiles else [None] * n
            for i, one, three in zip(usual.tolist(), middle, parts, strict=True):
                alike[start + i].remember(one, three)
