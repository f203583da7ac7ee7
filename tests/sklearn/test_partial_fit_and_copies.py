"""Fits that go on from earlier ones, pickles, copies, and weights that users set."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone

import fastmlp
from fastmlp.sklearn import MLPClassifier, MLPRegressor

from .samples import BOTH, CLASSES, COUNTS, IRIS, SMALL, X, Y, assert_same, parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fits_are_one_fit(kind, x, y, solver):
    options = SMALL | {"shuffle": False, "solver": solver, "batch_size": 64}
    whole = kind(**options, max_iter=6).fit(x, y)
    parts = kind(**options)
    more = {} if kind is MLPRegressor else {"classes": [2, 1, 0]}
    for _ in range(6):
        parts.partial_fit(x, y, **more)
    assert_same(whole, parts)
    assert whole.loss_curve_ == parts.loss_curve_ and whole.t_ == parts.t_


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_pickles_and_copies_are_the_same_estimator(kind, x, y, solver, tmp_path):
    ours = kind(**SMALL, solver=solver, max_iter=3, standardize=True, dropout=0.0).fit(x, y)
    joblib.dump(ours, tmp_path / "model.joblib")
    copies = [
        pickle.loads(pickle.dumps(ours)),
        joblib.load(tmp_path / "model.joblib"),
        copy.deepcopy(ours),
    ]
    for other in copies:
        assert_same(ours, other)
        assert np.array_equal(ours.predict(x), other.predict(x))
    if solver != "lbfgs":
        ours.partial_fit(x, y)
        for other in copies:  # with the optimizer's state, and the same order of rows
            assert_same(ours, other.partial_fit(x, y))
    assert not hasattr(clone(ours), "coefs_")


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warm_start_goes_on_and_fit_starts_anew(kind, x, y, solver):
    options = SMALL | {"solver": solver, "max_iter": 5}
    ours = kind(**options, warm_start=True).fit(x, y)
    first, loss = parameters(ours), ours.loss_
    ours.fit(x, y)
    assert ours.loss_ < loss and ours.n_iter_ <= 5
    ours.set_params(warm_start=False).fit(x, y)
    for a, b in zip(first, parameters(ours), strict=True):
        assert np.array_equal(a, b)


def test_warm_start_cannot_change_the_network():
    ours = MLPClassifier(**SMALL, warm_start=True, max_iter=2).fit(IRIS, CLASSES)
    with pytest.raises(
        ValueError, match=r"same classes .* Previously got \[0 1 2\], `y` has \[0 1\]"
    ):
        ours.fit(IRIS[:100], CLASSES[:100])
    with pytest.raises(ValueError, match=r"must fit the layers' widths \[4, 9, 3\]"):
        ours.set_params(hidden_layer_sizes=9).fit(IRIS, CLASSES)


def test_weights_can_be_changed_and_replaced():
    ours = MLPRegressor(**SMALL, max_iter=2).fit(X, Y)
    before = ours.predict(X)
    ours.intercepts_[-1] += 1
    np.testing.assert_allclose(ours.predict(X), before + 1)
    ours.coefs_ = [np.zeros_like(w) for w in ours.coefs_]
    ours.intercepts_[0][:] = 0
    np.testing.assert_allclose(ours.predict(X), ours.intercepts_[-1][0])
    ours.coefs_[0] = np.zeros((3, 3))
    with pytest.raises(ValueError, match=r"keep their shapes. Received: shape \(3, 3\)"):
        ours.predict(X)
    counts = MLPRegressor("poisson", **SMALL, max_iter=2).fit(X, COUNTS)
    before = counts.predict(X)
    counts.intercepts_[-1] += np.log(2)
    np.testing.assert_allclose(counts.predict(X), 2 * before)


def test_weights_can_be_put_into_an_estimator_that_was_never_fitted():
    source = MLPClassifier(**SMALL, max_iter=20).fit(IRIS, CLASSES)
    ours = MLPClassifier(**SMALL)
    for name in ("coefs_", "intercepts_", "classes_", "n_outputs_", "out_activation_",
                 "n_features_in_"):  # fmt: skip
        setattr(ours, name, copy.deepcopy(getattr(source, name)))
    assert np.array_equal(ours.predict_proba(IRIS), source.predict_proba(IRIS))
    ours.partial_fit(IRIS, CLASSES)
    assert len(ours.loss_curve_) == 1 and ours.loss_ < source.loss_


@BOTH
def test_one_random_state_gives_the_same_bits_on_any_number_of_threads(kind, x, y):
    ours = []
    try:
        for n_threads in (1, 2, 3):
            fastmlp.set_num_threads(n_threads)
            ours.append(
                kind(units="70x2", max_iter=3, batch_size=50, dropout=0.2, random_state=4).fit(x, y)
            )
    finally:
        fastmlp.set_num_threads(None)
    assert_same(ours[0], ours[1])
    assert_same(ours[0], ours[2])
    other = kind(units="70x2", max_iter=3, batch_size=50, dropout=0.2, random_state=5).fit(x, y)
    assert not np.array_equal(ours[0].coefs_[0], other.coefs_[0])
