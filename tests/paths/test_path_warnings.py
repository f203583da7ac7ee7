"""What a path warns of: an empty or useless model, a gain within one standard error, ends."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmlp
from fastmlp.errors import ModelWarning

OPTIONS = {"folds": 5, "seed": 0, "verbose": 0}


def skewed(n=120):
    """A target with a long tail, whose error varies more between folds than a model gains."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    return x, np.exp(1.5 * rng.normal(size=n) + 0.8 * x[:, 0])


def linear(n=120, noise=0.1, p=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    return x, x[:, 0] + noise * rng.normal(size=n)


@pytest.mark.parametrize("units", [None, "6"])
def test_min_is_chosen_where_the_standard_error_is_more_than_the_gain(units):
    more = {} if units is None else {"epochs": 60}
    with pytest.warns(ModelWarning, match="'1se' would lose the gain over a constant"):
        result = fastmlp.path(*skewed(), units, n_lambdas=12, **more, **OPTIONS)
    least = result.index_min
    assert result.cv_mean[least] < result.null_score < result.cv_mean[least] + result.cv_se[least]
    assert result.n_nonzero[result.index_1se] == 0
    assert (result.choose, result.chosen, result.index) == ("1se", "min", least)
    assert result.n_nonzero[result.index] > 0
    assert np.ptp(result.predict(skewed()[0])) > 0
    assert result.model.extras["path"]["lambda"] == result.lambda_min < result.lambda_1se
    assert len(result.warnings) == 1 and f"{result.null_score:.5g}" in result.warnings[0]


def test_min_that_was_asked_for_needs_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fastmlp.path(*skewed(), n_lambdas=12, choose="min", **OPTIONS)
    assert (result.chosen, result.warnings) == ("min", [])


def test_1se_stays_where_it_has_most_of_the_gain():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fastmlp.path(*linear(), **OPTIONS)
    assert result.chosen == "1se"
    assert result.index == result.index_1se < result.index_min


@pytest.mark.parametrize("choose", ["1se", "min"])
def test_an_empty_model_is_told(choose):
    x, _ = linear()
    y = np.random.default_rng(1).normal(size=len(x))
    with pytest.warns(ModelWarning, match=r"The chosen model is empty.*predicts a constant"):
        result = fastmlp.path(x, y, choose=choose, **OPTIONS)
    assert result.n_nonzero[result.index] == 0
    assert result.chosen == choose
    assert len(result.warnings) == 1


def test_a_model_no_better_than_a_constant_and_the_largest_lambda():
    x, y = linear(40, 2, 30)
    with pytest.warns(ModelWarning) as caught:
        result = fastmlp.path(x, y, lambdas=[1e-2, 1e-3], **OPTIONS)
    assert result.index == 0 and result.cv_mean[0] > result.null_score
    assert [str(w.message) for w in caught] == result.warnings
    assert result.warnings[0].startswith("The chosen model is no better than a constant: mse")
    assert "least error is at the largest lambda, 0.01, an end of the grid" in result.warnings[1]


def test_the_smallest_lambda_is_told_with_whether_the_error_still_falls():
    with pytest.warns(ModelWarning, match=r"smallest lambda, 0\.1.*smaller ones may be better"):
        result = fastmlp.path(*linear(), lambdas=[1, 0.1], **OPTIONS)
    assert result.index_min == 1
    with pytest.warns(ModelWarning, match="about the same at 0.0001: the penalty gains little"):
        x, _ = linear()
        fastmlp.path(x, x.sum(axis=1) + 0.001 * linear()[1], lambdas=[1e-3, 1e-4, 1e-5], **OPTIONS)


def test_one_lambda_has_no_ends():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fastmlp.path(*linear(), lambdas=[0.1], **OPTIONS).warnings == []


def test_l2_shrinks_to_no_gain_without_an_empty_model():
    with pytest.warns(ModelWarning, match="'1se' would lose the gain"):
        result = fastmlp.path(*skewed(), penalty="l2", n_lambdas=12, **OPTIONS)
    assert (result.n_nonzero > 0).all()
    assert result.chosen == "min"


def test_classes():
    x, _ = linear()
    y = np.random.default_rng(1).integers(0, 2, len(x))
    with pytest.warns(ModelWarning, match=r"predicts a constant \(deviance 1\.3"):
        fastmlp.path(x, y, n_lambdas=8, **OPTIONS)
