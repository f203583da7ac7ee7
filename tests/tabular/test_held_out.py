"""Which rows are held out: shares of classes, whole groups, the latest rows, folds."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp.errors import DataError
from fastmlp.tabular import decide
from fastmlp.tabular._held_out import held_out

SINGLE = decide(1000, 5, "regression")
FOLDS = decide(100, 5, "regression")


def test_a_share_of_each_class():
    classes = np.repeat([0, 1], [900, 100])
    ((train, held),) = held_out(SINGLE, 1, 1000, classes=classes).pairs
    assert np.bincount(classes[held]).tolist() == [180, 20]
    assert sorted([*train, *held]) == list(range(1000))


def test_folds_hold_out_each_row_once_for_each_repeat():
    found = held_out(FOLDS, 1, 100, classes=np.arange(100) % 2)
    assert (found.folds, len(found.pairs)) == (5, 10)
    for repeat in (found.pairs[:5], found.pairs[5:]):
        assert sorted(np.concatenate([held for _, held in repeat])) == list(range(100))
        assert all(np.bincount(held % 2).tolist() == [10, 10] for _, held in repeat)
    assert not np.array_equal(found.pairs[0][1], found.pairs[5][1])


@pytest.mark.parametrize("decisions", [SINGLE, FOLDS])
def test_groups_stay_together(decisions):
    n = 1000 if decisions is SINGLE else 100
    groups = np.random.default_rng(3).integers(0, n // 10, n)
    found = held_out(decisions, 1, n, groups=groups)
    for train, held in found.pairs:
        assert not set(groups[train]) & set(groups[held])
        assert abs(len(held) / n - 0.2) < 0.05
    assert "roups" in found.how


def test_the_latest_rows_and_no_moment_on_both_sides():
    times = np.random.default_rng(4).integers(0, 50, 1000).astype(float)
    ((train, held),) = held_out(SINGLE, 1, 1000, times=times).pairs
    assert times[train].max() < times[held].min()
    assert abs(len(held) / 1000 - 0.2) < 0.05


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"groups": np.zeros(1000, int)}, "at least two groups"),
        ({"times": np.zeros(1000)}, "at least two moments"),
    ],
)
def test_columns_that_hold_one_value(columns, text):
    with pytest.raises(DataError, match=text):
        held_out(SINGLE, 1, 1000, **columns)
