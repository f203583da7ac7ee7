"""Conformal intervals and sets: their coverage of new rows, and what a model file keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp.errors import DataError, ModelFileError
from fastmlp.tabular import Conformal, conformal

NEW = 10_000


def skewed(rng, n):
    x = rng.uniform(0, 3, n)
    return x, 2 * x + rng.exponential(1.0, n), 2 * x + 1


def heteroscedastic(rng, n):
    x = rng.uniform(0.1, 3, n)
    return x, x + x * rng.normal(size=n), x


def heavy_tailed(rng, n):
    x = rng.normal(size=n)
    return x, x + rng.standard_t(2, n), x


TABLES = [skewed, heteroscedastic, heavy_tailed]


def coverage(found, y, predicted):
    low, high = found.interval(predicted)
    return float(((low <= y) & (y <= high)).mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("table", TABLES)
def test_intervals_cover_new_rows(table, seed):
    rng = np.random.default_rng(seed)
    _, y, predicted = table(rng, 3000)
    found = conformal("regression", y, predicted, 0.9)
    _, y, predicted = table(rng, NEW)
    assert 0.88 <= coverage(found, y, predicted) <= 0.92


def test_a_narrower_interval_does_not_cover():
    # The negative control of the test above.
    rng = np.random.default_rng(0)
    _, y, predicted = heteroscedastic(rng, 3000)
    found = conformal("regression", y, predicted, 0.85)
    _, y, predicted = heteroscedastic(rng, NEW)
    assert coverage(found, y, predicted) < 0.88


def test_intervals_are_wide_where_errors_are_large_and_lopsided_where_they_are():
    rng = np.random.default_rng(1)
    x, y, predicted = heteroscedastic(rng, 3000)
    low, high = conformal("regression", y, predicted, 0.9).interval(predicted)
    assert (high - low)[x > 2].mean() > 3 * (high - low)[x < 0.5].mean()
    inside = (low <= y) & (y <= high)
    for part in (x < 1, x > 2):
        assert abs(inside[part].mean() - 0.9) < 0.03
    _, y, predicted = skewed(rng, 3000)
    low, high = conformal("regression", y, predicted, 0.9).interval(predicted)
    assert ((high - predicted) > 1.5 * (predicted - low)).all()


@pytest.mark.parametrize(("n", "level"), [(9, 0.9), (19, 0.9), (20, 0.9), (57, 0.8), (40, 0.95)])
def test_few_rows_cover_on_average(n, level):
    rng = np.random.default_rng(n)
    hits = []
    for _ in range(400):
        y = rng.normal(size=n)
        found = conformal("regression", y, np.zeros(n), level)
        hits.append(coverage(found, rng.normal(size=200), np.zeros(200)))
    # At least the level, at most one place of n + 1 more; four standard errors of the mean.
    assert level - 0.02 < np.mean(hits) < level + 1 / (n + 1) + 0.02


def test_too_few_rows():
    y = np.arange(8.0)
    with pytest.raises(DataError, match=r"intervals of 0.9 need at least 9 held-out rows.*8 rows"):
        conformal("regression", y, y, 0.9)
    with pytest.raises(ValueError, match=r"interval must be a number in \(0, 1\)"):
        conformal("regression", y, y, 90)


def test_several_targets_have_intervals_of_their_own():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(3000, 2)) * [1, 10]
    found = conformal("regression", y, np.zeros((3000, 2)), 0.9)
    low, high = found.interval(np.zeros((4, 2)))
    assert low.shape == (4, 2)
    np.testing.assert_allclose(high[0], [1.645, 16.45], rtol=0.15)
    np.testing.assert_allclose(low[0], [-1.645, -16.45], rtol=0.15)
    with pytest.raises(ValueError, match="predicted must have 2 outputs"):
        found.interval(np.zeros(4))


def test_equal_predictions_lie_in_one_bin():
    rng = np.random.default_rng(3)
    predicted = rng.integers(0, 3, 5000).astype(float)
    found = conformal("regression", predicted + rng.normal(size=5000), predicted, 0.9)
    assert found.edges == [[1.0, 2.0]]


def classes(rng, n, steepness, offset=0.0):
    z = steepness * rng.normal(size=n) + offset
    p = 1 / (1 + np.exp(-z))
    return (rng.uniform(size=n) < p).astype(int), p


@pytest.mark.parametrize("steepness", [0.5, 2.0, 8.0])
def test_sets_cover_new_rows_of_each_class(steepness):
    rng = np.random.default_rng(4)
    y, p = classes(rng, 6000, steepness)
    found = conformal("classification", y, p, 0.9)
    y, p = classes(rng, NEW, steepness)
    inside = found.sets(p)[np.arange(NEW), y]
    assert 0.88 <= inside.mean() <= 0.92
    for k in (0, 1):
        assert 0.87 <= inside[y == k].mean() <= 0.93


def test_a_class_of_few_rows_has_the_limit_of_all():
    rng = np.random.default_rng(5)
    p = rng.dirichlet([1, 1, 1], 1000)
    y = np.zeros(1000, int)
    y[:500], y[500:505] = 1, 2
    found = conformal("classification", y, p, 0.8)
    own = np.sort(p[np.arange(1000), y])
    assert found.limits[2] == own[int(1001 * 0.2) - 1] != found.limits[0]
    with pytest.raises(ValueError, match="predicted must have 3 classes"):
        found.sets(p[:, :2])


def test_intervals_are_kept_as_json():
    rng = np.random.default_rng(6)
    _, y, predicted = skewed(rng, 2000)
    yc, p = classes(rng, 500, 1)
    for found in (
        conformal("regression", y, predicted, 0.9),
        conformal("classification", yc, p, 0.9),
    ):
        assert Conformal.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"task": "clustering"},
        {"level": 1.5},
        {"level": "0.9"},
        {"edges": [[1.0]]},
        {"edges": [[2.0, 1.0]], "lower": [[0, 0, 0]], "upper": [[0, 0, 0]]},
        {"lower": [[float("nan")]]},
        {"lower": 3},
        {"edges": []},
        {"n_rows": -1},
    ],
)
def test_damaged_intervals(change):
    state = {"task": "regression", "level": 0.9, "edges": [[]], "lower": [[-1.0]],
             "upper": [[1.0]], "n_rows": 20}  # fmt: skip
    assert Conformal.from_dict(state).interval([2.0])[0][0] == 1.0
    with pytest.raises(ModelFileError, match=r"m\.fmlp: damaged intervals"):
        Conformal.from_dict(state | change, "m.fmlp")


def test_damaged_intervals_are_not_a_mapping():
    with pytest.raises(ModelFileError, match="damaged intervals"):
        Conformal.from_dict([1, 2])
