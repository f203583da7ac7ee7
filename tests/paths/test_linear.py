"""Paths without hidden layers: exact, and what scikit-learn finds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastmlp
from fastmlp.errors import DataError
from fastmlp.paths._linear import LinearModel, Penalty

from .data import classes, regression

pytestmark = pytest.mark.filterwarnings("ignore:The least error:fastmlp.errors.ModelWarning")


def optimality(model, lam):
    """Return by how much the conditions for a minimum are missed."""
    residuals = model._residuals(model.outputs())
    slope = model._slope(residuals) - 2 * lam * model.penalty.l2 * model.w
    l1, w = lam * model.penalty.l1, model.w
    slack = np.abs(residuals.mean(axis=0)).max()
    if model.penalty.grouped:
        l1 *= np.sqrt(w.shape[1])
        norms = np.linalg.norm(w, axis=1, keepdims=True)
        zero = norms[:, 0] == 0
        free = np.linalg.norm(slope[zero], axis=1) - l1
        bound = slope[~zero] - l1 * w[~zero] / norms[~zero]
    else:
        zero = w == 0
        free, bound = np.abs(slope[zero]) - l1, slope[~zero] - l1 * np.sign(w[~zero])
    return max(slack, free.max(initial=0), np.abs(bound).max(initial=0))


def diabetes():
    datasets = pytest.importorskip("sklearn.datasets")
    return datasets.load_diabetes(return_X_y=True)


@pytest.mark.reliability
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_the_path_is_that_of_elastic_net(l1_ratio):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = diabetes()
    result = fastmlp.path(x, y, n_lambdas=20, folds=2, l1_ratio=l1_ratio, seed=0, verbose=0)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = (y - y.mean()) / y.std()
    assert len(result.lambdas) == 20
    for lam, w in zip(result.lambdas, result.coefficients, strict=True):
        net = linear_model.ElasticNet(lam / 2, l1_ratio=l1_ratio, tol=1e-12, max_iter=1_000_000)
        np.testing.assert_allclose(w[:, 0], net.fit(x, y).coef_, atol=1e-8)
    assert result.n_nonzero[0] == 0
    assert result.n_nonzero[1] > 0


def test_ridge_is_that_of_elastic_net_without_l1():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = diabetes()
    result = fastmlp.path(x, y, penalty="l2", n_lambdas=5, folds=2, seed=0, verbose=0)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    t = (y - y.mean()) / y.std()
    for lam, w in zip(result.lambdas, result.coefficients, strict=True):
        ridge = linear_model.Ridge(lam * len(z)).fit(z, t)
        np.testing.assert_allclose(w[:, 0], ridge.coef_, atol=1e-10)


def test_without_standardisation_lambda_belongs_to_the_data():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = regression()
    result = fastmlp.path(x, y, n_lambdas=6, folds=2, standardize=False, seed=0, verbose=0)
    for lam, w in zip(result.lambdas, result.coefficients, strict=True):
        net = linear_model.Lasso(lam / 2, tol=1e-12).fit(x, y)
        np.testing.assert_allclose(w[:, 0], net.coef_, atol=1e-8)


@pytest.mark.parametrize("penalty", [Penalty(1, 0), Penalty(0.5, 0.25), Penalty(1, 0, True)])
@pytest.mark.parametrize("n_classes", [0, 2, 3, 4])
def test_optimality(penalty, n_classes):
    rng = np.random.default_rng(n_classes)
    x = rng.normal(size=(60, 5)) + 1
    score = x[:, :1] + x[:, 1:2] + rng.normal(size=(60, 1))
    edges = np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1]) if n_classes else []
    y = np.digitize(score, edges).astype(float) if n_classes else score
    model = LinearModel(x, y, n_classes, penalty)
    largest = model.largest_lambda()
    for share in (1.0, 0.999, 0.5, 0.1, 0.01, 0.001):
        model.fit(largest * share)
        assert optimality(model, largest * share) < 1e-9
        assert model.w.any() == (share < 1)


def test_inputs_that_say_the_same_share_their_weight_or_one_has_it():
    x, y = regression()
    doubled = np.column_stack([x, x[:, 0]])
    both = fastmlp.path(doubled, y, lambdas=[0.1, 0.01], l1_ratio=0.5, folds=2, seed=0, verbose=0)
    w = both.coefficients[:, :, 0]
    np.testing.assert_allclose(w[:, 0], w[:, -1], rtol=1e-6)
    lasso = fastmlp.path(doubled, y, lambdas=[0.1, 0.01], folds=2, seed=0, verbose=0).coefficients
    single = fastmlp.path(x, y, lambdas=[0.1, 0.01], folds=2, seed=0, verbose=0).coefficients
    np.testing.assert_allclose(lasso[:, 0] + lasso[:, -1], single[:, 0], atol=1e-9)


def test_logistic_path_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = classes()
    result = fastmlp.path(x, y, n_lambdas=4, lambda_ratio=0.01, folds=2, seed=0, verbose=0)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    for lam, w in zip(result.lambdas[1:], result.coefficients[1:], strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the names of its arguments, release by release
            model = linear_model.LogisticRegression(
                penalty="l1", C=1 / (lam * len(z)), solver="saga", tol=1e-10, max_iter=100_000
            ).fit(z, y)
        np.testing.assert_allclose(w[:, 0], model.coef_[0], atol=1e-5)


def test_separable_classes_are_an_error_once_weights_run_away():
    x = np.array([[-1.0], [-1.0], [1.0], [1.0]])
    model = LinearModel(x, (x > 0).astype(float), 2, Penalty(1, 0))
    model.fit(1e-3)
    assert 1 < model.w[0, 0] < 20
    model = LinearModel(x, (x > 0).astype(float), 2, Penalty(1, 0))
    try:
        model.fit(1e-300)
    except DataError as error:
        assert "separable" in str(error)
    assert np.isfinite(model.w).all()


def test_more_inputs_than_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 50))
    y = x[:, 3] + 0.1 * rng.normal(size=20)
    result = fastmlp.path(x, y, folds=4, seed=0, verbose=0)
    assert result.lambdas[-1] == pytest.approx(result.lambdas[0] / 100)
    assert result.n_nonzero.max() <= 20
    assert 3 in np.flatnonzero(result.coefficients[result.index_1se])


def test_no_input_that_varies_is_an_error():
    x, y = np.ones((20, 2)), np.arange(20.0)
    with pytest.raises(DataError, match="No input varies with the target"):
        fastmlp.path(x, y, seed=0, verbose=0)
