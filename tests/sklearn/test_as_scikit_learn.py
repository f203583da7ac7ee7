"""The estimators beside scikit-learn's own, which they follow to rounding error."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network as peers
from sklearn.utils.estimator_checks import check_estimator

import fastmlp
from fastmlp.sklearn import MLPClassifier, MLPRegressor

from .samples import (
    CLASSES,
    COUNTS,
    IRIS,
    LABELS,
    SMALL,
    TWO,
    X,
    Y,
    assert_close,
    assert_same,
    parameters,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", [MLPRegressor, MLPClassifier])
def test_scikit_learns_checks(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(kind())


@pytest.mark.parametrize("kind", ["MLPRegressor", "MLPClassifier"])
def test_parameters_are_scikit_learns_and_some_more(kind):
    theirs = getattr(peers, kind)().get_params()
    ours = getattr(fastmlp.sklearn, kind)().get_params()
    assert {name: ours[name] for name in theirs} == theirs
    more = {"units", "l1", "l2", "dropout", "standardize", "class_weight"}
    assert ours.keys() - theirs.keys() <= more | {"loss"}  # they have it since 1.7


@pytest.mark.parametrize(
    ("kind", "x", "y"),
    [
        ("MLPRegressor", X, Y),
        ("MLPRegressor", X, np.c_[Y, Y**2, X[:, 0]]),
        ("MLPClassifier", IRIS, CLASSES),
        ("MLPClassifier", IRIS, TWO),
        ("MLPClassifier", IRIS, LABELS),
    ],
    ids=["regression", "outputs", "classes", "binary", "labels"],
)
@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0.1, "hidden_layer_sizes": (20, 10)},
        {"activation": "logistic", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6},
        {"activation": "tanh", "solver": "sgd", "learning_rate_init": 0.01, "alpha": 1},
        {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling"},
        {"solver": "sgd", "momentum": 0, "activation": "identity", "learning_rate": "adaptive"},
        {"early_stopping": True, "validation_fraction": 0.2, "learning_rate_init": 0.01},
        {"tol": 0.01, "n_iter_no_change": 2},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_a_full_batch_follows_scikit_learn_to_rounding(kind, x, y, options):
    # One path of weights from one random_state: losses, stops, splits and schedules agree.
    options = {"hidden_layer_sizes": 12, "max_iter": 60, "random_state": 3} | options
    options["batch_size"] = len(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both cut batch_size when rows are held out
        theirs = getattr(peers, kind)(**options).fit(x, y)
        ours = getattr(fastmlp.sklearn, kind)(**options).fit(x, y)
    assert ours.n_iter_ == theirs.n_iter_ and ours.t_ == theirs.t_
    assert ours.out_activation_ == theirs.out_activation_
    assert (ours.n_layers_, ours.n_outputs_) == (theirs.n_layers_, theirs.n_outputs_)
    # Where several outputs are reported by their mean, the penalty is that of the epoch's end.
    rtol = 2e-3 if kind == "MLPRegressor" and np.ndim(y) == 2 else 1e-10
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    if "early_stopping" in options:
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=1e-9)
        assert ours.best_loss_ is None
        assert ours.best_validation_score_ == max(ours.validation_scores_)
    else:
        assert ours.validation_scores_ is None and ours.best_validation_score_ is None
        assert ours.best_loss_ == min(ours.loss_curve_)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=1e-8)


def test_float32_follows_scikit_learn_to_its_own_rounding():
    options = SMALL | {"max_iter": 20, "batch_size": len(X)}
    x = X.astype(np.float32)
    theirs, ours = peers.MLPRegressor(**options).fit(x, Y), MLPRegressor(**options).fit(x, Y)
    assert all(a.dtype == np.float32 for a in parameters(ours))
    assert ours.predict(x).dtype == np.float32
    assert_close(ours, theirs, atol=1e-5)
    assert MLPRegressor(**options).fit(x.astype(np.float16), Y).coefs_[0].dtype == np.float64


@pytest.mark.skipif(
    "loss" not in peers.MLPRegressor().get_params(), reason="scikit-learn has it since 1.7"
)
@pytest.mark.parametrize("y", [COUNTS, np.c_[COUNTS, COUNTS[::-1]]], ids=["one", "two"])
def test_poisson_follows_scikit_learn(y):
    options = {"loss": "poisson", "max_iter": 40, "batch_size": len(X), "alpha": 0.1} | SMALL
    theirs = peers.MLPRegressor(**options).fit(X, y)
    ours = MLPRegressor(**options).fit(X, y)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
    assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    assert ours.out_activation_ == "exp"


def test_alpha_is_divided_by_the_batches_rows_where_they_differ():
    # 200 rows and 1: the second batch's penalty is divided by 1, not by 200.
    options = SMALL | {"max_iter": 1, "solver": "sgd", "momentum": 0, "learning_rate_init": 1e-6,
                       "alpha": 1.0, "shuffle": False}  # fmt: skip
    start = MLPRegressor(**options | {"learning_rate_init": 1e-300}).fit(X[:201], Y[:201])
    for change in ({}, {"alpha": 1e-4}):
        theirs = peers.MLPRegressor(**options).fit(X[:201], Y[:201])
        ours = MLPRegressor(**options | change).fit(X[:201], Y[:201])
        step = [a - b for a, b in zip(parameters(theirs), parameters(start), strict=True)]
        off = [a - b for a, b in zip(parameters(theirs), parameters(ours), strict=True)]
        ratio = np.linalg.norm(np.concatenate([a.ravel() for a in off])) / np.linalg.norm(
            np.concatenate([a.ravel() for a in step])
        )
        assert ratio < 1e-4 if not change else ratio > 0.1


def test_initial_weights_are_drawn_as_scikit_learn_draws_them():
    options = {"hidden_layer_sizes": (7, 5), "random_state": 9, "learning_rate_init": 1e-300,
               "max_iter": 1}  # fmt: skip
    for activation in ("relu", "logistic"):
        theirs = peers.MLPRegressor(activation=activation, **options).fit(X, Y)
        assert_same(MLPRegressor(activation=activation, **options).fit(X, Y), theirs)
    mixed = MLPRegressor(activation=["tanh", "sigmoid"], **options).fit(X, Y)
    limits = [np.sqrt(f / sum(w.shape)) for f, w in zip((6, 2, 2), mixed.coefs_, strict=True)]
    for limit, weights in zip(limits, mixed.coefs_, strict=True):
        assert np.abs(weights).max() <= limit


# ---- messages that other programs look for -----------------------------------------------------


def test_huge_values_end_as_in_scikit_learn():
    x = np.finfo(np.float64).max * np.random.default_rng(0).uniform(size=(10, 2))
    text = (
        "Solver produced non-finite parameter weights. The input data may contain large values and "
        "need to be preprocessed."
    )
    with pytest.raises(ValueError, match=text):
        MLPRegressor().fit(x, np.arange(10.0))


@pytest.mark.parametrize("names", [[0, 1], ["ash", "elm"]])
def test_the_error_of_a_class_of_one_row(names):
    y = [names[0]] * 3 + [names[1]]
    texts = []
    for kind in (peers.MLPClassifier, MLPClassifier):
        with pytest.raises(ValueError, match="The least populated class") as caught:
            kind(early_stopping=True).fit([[1, 2], [2, 3], [3, 4], [4, 5]], y)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_the_networks_seed_has_all_bits_that_a_model_takes():
    options = {"max_iter": 1, "hidden_layer_sizes": (1,)}
    seeds = [MLPRegressor(**options, random_state=i).fit(X, Y)._model.seed for i in range(8)]
    assert max(seeds).bit_length() == 32 and len(set(seeds)) == 8
