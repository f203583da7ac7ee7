"""Thresholds and temperatures, chosen on rows that a classifier was not trained on."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastmlp
from fastmlp import models
from fastmlp.errors import DataError, ModelFileError
from fastmlp.tabular import (
    Quality,
    Threshold,
    best_threshold,
    parse_costs,
    scale_last_layer,
    temperature,
)
from fastmlp.tabular._calibration import scaled


def drawn(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, n)
    return (rng.uniform(size=n) < p).astype(int), p


def cost(y, p, value, fp=1.0, fn=1.0):
    chosen = p > value
    return fp * (chosen & (y == 0)).sum() + fn * (~chosen & (y == 1)).sum()


@pytest.mark.parametrize(("fp", "fn"), [(1, 1), (1, 10), (5, 1)])
def test_the_threshold_costs_least(fp, fn):
    y, p = drawn()
    found = best_threshold(y, p, cost_fp=fp, cost_fn=fn)
    grid = np.r_[0, np.sort(p), 1]
    assert cost(y, p, found.value, fp, fn) == min(cost(y, p, t, fp, fn) for t in grid)
    assert found.value == pytest.approx(fp / (fp + fn), abs=0.15)  # p is calibrated
    assert found.rule == f"cost fp:{fp},fn:{fn}"
    assert best_threshold(y, np.c_[1 - p, p], cost_fp=fp, cost_fn=fn) == found


def test_rules_are_made_largest():
    sk = pytest.importorskip("sklearn.metrics")
    y, p = drawn(120)
    rules = {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "f1": sk.f1_score,
    }
    for rule, score in rules.items():
        found = best_threshold(y, p, rule)
        best = max(score(y, p > t) for t in np.r_[0, np.sort(p)[:-1]])
        assert score(y, found.codes(p)) == pytest.approx(best, abs=1e-12)
        assert found.precision == pytest.approx(sk.precision_score(y, found.codes(p)))
        assert found.recall == pytest.approx(sk.recall_score(y, found.codes(p)))
        matrix = sk.confusion_matrix(y, found.codes(p))
        assert (found.false_positives, found.false_negatives) == (matrix[0, 1], matrix[1, 0])


def test_the_threshold_lies_in_the_middle_of_a_gap():
    assert best_threshold([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).value == pytest.approx(0.5)
    # Equal probabilities are not cut.
    assert best_threshold([0, 1, 1, 1], [0.3, 0.3, 0.3, 0.9]).value == pytest.approx(0.15)


def test_a_given_threshold():
    found = best_threshold([0, 1], [0.2, 0.4], 0.3)
    assert found.value == 0.3 and found.recall == 1.0
    np.testing.assert_array_equal(found.codes([0.3, 0.31]), [0, 1])


def test_thresholds_that_cannot_be_chosen():
    y, p = drawn(100)
    with pytest.raises(ValueError, match="threshold must be a number in"):
        best_threshold(y, p, 1.5)
    with pytest.raises(ValueError, match="Did you mean 'f1'"):
        best_threshold(y, p, "f2")
    with pytest.raises(DataError, match="needs two classes"):
        best_threshold(y, np.c_[p, p, p])
    with pytest.raises(DataError, match="one class only"):
        best_threshold(np.zeros(100), p)
    with pytest.raises(ValueError, match="cost_fn must be a finite number above 0"):
        best_threshold(y, p, cost_fn=-1)


def test_costs():
    assert parse_costs("fp:1,fn:10") == (1.0, 10.0)
    assert parse_costs(" fn:2.5 ") == (1.0, 2.5)
    for text in ("fp", "fp:x", "fp:1,fp:2", "tp:1", "fn:0", "fn:inf", ""):
        with pytest.raises(ValueError, match="costs must be such as fp:1,fn:10"):
            parse_costs(text)


def test_thresholds_are_kept_as_json():
    found = best_threshold(*drawn(200), "f1")
    state = json.loads(json.dumps(found.to_dict()))
    assert Threshold.from_dict(state) == found
    for change in ({"value": 2}, {"rule": None}, {"recall": "x"}, {"false_positives": -1}):
        with pytest.raises(ModelFileError, match=r"m\.fmlp: damaged threshold"):
            Threshold.from_dict(state | change, "m.fmlp")


# ---- temperature ----


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_temperature_undoes_what_made_probabilities_wrong(factor):
    y, p = drawn()
    wrong = scaled(p, 1 / factor)  # logits times the factor
    assert temperature(y, wrong) == pytest.approx(factor, rel=0.15)
    exact = (wrong > 1e-6) & (wrong < 1 - 1e-6)  # beyond, logits are clipped
    np.testing.assert_allclose(scaled(wrong, factor)[exact], p[exact], atol=1e-6)


def test_temperature_is_one_unless_it_helps():
    for seed in range(10):
        y, p = drawn(300, seed)
        assert temperature(y, p) == 1.0 or temperature(y, p) == pytest.approx(1, abs=0.3)
    assert sum(temperature(*drawn(300, seed)) == 1.0 for seed in range(10)) >= 6
    assert temperature([0, 1], [0.1, 0.9]) == 1.0  # too few rows


@pytest.mark.parametrize("k", [1, 3])
def test_the_last_layer_takes_the_temperature(k):
    model = classifier(k)
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("f4")
    before = model.predict(x, verbose=0)
    scale_last_layer(model, 2.0)
    np.testing.assert_allclose(model.predict(x, verbose=0), scaled(before, 2.0), atol=1e-6)
    assert np.abs(model.predict(x, verbose=0) - before).max() > 0.01


def classifier(k):
    last = "sigmoid" if k == 1 else "softmax"
    stack = [
        fastmlp.layers.Dense(8, "relu", input_shape=(4,)),
        fastmlp.layers.Dense(k, last, bias_initializer="random_normal"),
    ]
    return models.Sequential(stack, seed=1)


def test_a_linear_last_layer_has_no_temperature():
    model = models.Sequential([fastmlp.layers.Dense(1, input_shape=(4,))])
    with pytest.raises(ValueError, match=r"activation sigmoid or softmax\. Received: 'linear'"):
        scale_last_layer(model, 2.0)
    with pytest.raises(ModelFileError, match="damaged temperature"):
        Quality.from_dict({"temperature": 0})
