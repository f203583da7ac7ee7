"""The solver without epochs."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network as peers
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from fastmlp.sklearn import MLPClassifier, MLPRegressor

from .samples import CLASSES, IRIS, SMALL, X, Y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lbfgs_reaches_what_scikit_learn_reaches(dtype):
    options = {"solver": "lbfgs", "hidden_layer_sizes": 3, "activation": "tanh", "alpha": 1.0,
               "max_iter": 2000, "tol": 1e-6, "random_state": 1}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of options that newer SciPy deprecates
        theirs = peers.MLPRegressor(**options).fit(X, Y)
    ours = MLPRegressor(**options).fit(X.astype(dtype), Y)
    assert ours.converged_ and ours.coefs_[0].dtype == dtype
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-3)
    assert not hasattr(ours, "loss_curve_") and not hasattr(ours, "partial_fit")


def test_lbfgs_without_hidden_layers_is_the_elastic_net_with_its_zeros():
    l1, l2 = 0.05, 0.02
    net = ElasticNet(alpha=l1 + 2 * l2, l1_ratio=l1 / (l1 + 2 * l2), tol=1e-12).fit(X, Y)
    ours = MLPRegressor(
        hidden_layer_sizes=(), solver="lbfgs", l1=l1, l2=l2, tol=1e-9, max_iter=1000
    ).fit(X, Y)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], net.coef_, atol=1e-5)
    zeros = ours.coefs_[0][:, 0] == 0
    assert 0 < zeros.sum() < len(zeros)
    assert np.array_equal(zeros, net.coef_ == 0)
    expected = 0.5 * np.mean((Y - net.predict(X)) ** 2)
    expected += l1 * np.abs(net.coef_).sum() + l2 * np.square(net.coef_).sum()
    assert ours.loss_ == pytest.approx(expected, rel=1e-6)


def test_lbfgs_makes_hidden_weights_exactly_zero():
    options = {"solver": "lbfgs", "hidden_layer_sizes": 6, "max_iter": 500, "random_state": 0}
    dense = MLPClassifier(**options).fit(IRIS, CLASSES)
    lasso = MLPClassifier(**options, l1=[0.02, 0]).fit(IRIS, CLASSES)
    assert (dense.coefs_[0] != 0).all()
    assert (lasso.coefs_[0] == 0).any() and (lasso.coefs_[1] != 0).all()


def test_lbfgs_limits_warn():
    for limit in ({"max_iter": 3}, {"max_fun": 4}):
        with pytest.warns(ConvergenceWarning, match="L-BFGS has not converged after"):
            ours = MLPRegressor(solver="lbfgs", **SMALL, **limit).fit(X, Y)
        assert ours.n_iter_ <= 4 and not ours.converged_


def test_lbfgs_prints(capsys):
    ours = MLPRegressor(solver="lbfgs", max_iter=3, verbose=True, **SMALL).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[-1] == f"Iteration 3, loss = {ours.loss_:.8f}"
