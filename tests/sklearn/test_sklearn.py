"""The scikit-learn estimators: beside scikit-learn's own, and what those lack."""

import copy
import importlib
import pickle
import sys
import warnings

import numpy as np
import pytest
from scipy import sparse

pytest.importorskip("sklearn")

import joblib
from sklearn import neural_network as peers
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_poisson_deviance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import fastmlp
from fastmlp import layers, models, optimizers, regularizers
from fastmlp.sklearn import MLPClassifier, MLPRegressor, _monitor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def standardized(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


X, Y = (standardized(a) for a in load_diabetes(return_X_y=True))
COUNTS = np.round(np.exp(Y))
IRIS, CLASSES = load_iris(return_X_y=True)
IRIS = standardized(IRIS)
TWO = (CLASSES == 1).astype(int)
LABELS = np.c_[CLASSES > 0, CLASSES == 1].astype(int)
NAMES = np.array(["setosa", "versicolor", "virginica"])[CLASSES]
SMALL = {"hidden_layer_sizes": (8,), "random_state": 0}
BOTH = pytest.mark.parametrize(
    ("kind", "x", "y"),
    [(MLPRegressor, X, Y), (MLPClassifier, IRIS, CLASSES)],
    ids=["regressor", "classifier"],
)


def parameters(estimator):
    return [np.array(a) for a in (*estimator.coefs_, *estimator.intercepts_)]


def assert_same(a, b):
    for left, right in zip(parameters(a), parameters(b), strict=True):
        assert left.tobytes() == right.tobytes()


def assert_close(a, b, **tolerance):
    for left, right in zip(parameters(a), parameters(b), strict=True):
        np.testing.assert_allclose(left, right, **tolerance)


# ---- beside scikit-learn's own -----------------------------------------------------------------


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


# ---- L-BFGS ------------------------------------------------------------------------------------


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


# ---- what scikit-learn's own lack --------------------------------------------------------------


@BOTH
def test_units_go_before_hidden_layer_sizes(kind, x, y):
    ours = kind(units="6x2,4", max_iter=2, random_state=0).fit(x, y)
    assert [w.shape[1] for w in ours.coefs_[:-1]] == [6, 6, 4]
    same = kind(hidden_layer_sizes=(6, 6, 4), max_iter=2, random_state=0).fit(x, y)
    assert_same(ours, same)
    assert_same(ours, kind(units=[6, 6, 4], max_iter=2, random_state=0).fit(x, y))


def test_a_grid_search_over_units_in_a_pipeline():
    grid = GridSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier(learning_rate_init=0.05, random_state=0)),
        {"mlpclassifier__units": ["1", "16x2"], "mlpclassifier__l2": [0, 0.01]},
        cv=2,
    )
    with joblib.parallel_backend("threading", n_jobs=2):
        grid.fit(IRIS, NAMES)
    assert grid.best_params_["mlpclassifier__units"] == "16x2"
    assert set(grid.predict(IRIS)) <= set(NAMES)


def test_penalties_dropout_and_activations_by_layer_are_those_of_a_model():
    options = {"l1": [0.01, 0, 0.02], "l2": [0.1, 0.2, 0], "activation": ["tanh", "elu"],
               "dropout": [0.5, 0.0]}  # fmt: skip
    ours = MLPRegressor(units="6,5", max_iter=5, random_state=0, **options).fit(X, Y)
    start = MLPRegressor(units="6,5", max_iter=1, random_state=0, learning_rate_init=1e-300)
    start.set_params(**options).fit(X, Y)
    model = models.Sequential(
        [
            layers.Input((X.shape[1],)),
            layers.Dense(6, "tanh", kernel_regularizer=regularizers.L1L2(0.01, 0.1)),
            layers.Dropout(0.5),
            layers.Dense(5, "elu", kernel_regularizer=regularizers.L1L2(0, 0.2)),
            layers.Dense(1, kernel_regularizer=regularizers.L1L2(0.02, 0)),
        ],
        seed=start._model.seed,
        dtype="float64",
    )
    for layer, w, b in zip(model.dense_layers, start.coefs_, start.intercepts_, strict=True):
        layer.set_weights((w, b))
    model.compile(optimizers.Adam(0.001, epsilon=1e-8), "mse")
    halved = np.full(len(X), 0.5)  # scikit-learn's loss is half the squared error
    history = model.fit(X, Y, batch_size=200, epochs=5, verbose=0, sample_weight=halved)
    assert ours.loss_curve_ == history.history["loss"]
    for layer, w in zip(model.dense_layers, ours.coefs_, strict=True):
        assert np.array_equal(layer.get_weights()[0], w)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(
    ("kind", "x", "y", "solver"),
    [
        (MLPRegressor, X, Y, "adam"),
        (MLPRegressor, X, COUNTS, "lbfgs"),
        (MLPClassifier, IRIS, CLASSES, "sgd"),
        (MLPClassifier, IRIS, LABELS, "lbfgs"),
    ],
)
def test_a_weight_of_k_is_a_row_k_times(kind, x, y, solver, standardize):
    times = np.random.default_rng(0).integers(0, 4, len(x))
    options = SMALL | {"solver": solver, "max_iter": 12, "alpha": 5.0, "batch_size": 10**6,
                       "standardize": standardize}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weighted = kind(**options).fit(3 * x + 1, y, sample_weight=times)
        repeated = kind(**options).fit(np.repeat(3 * x + 1, times, 0), np.repeat(y, times, 0))
        unweighted = kind(**options).fit(3 * x + 1, y)
        constant = kind(**options).fit(3 * x + 1, y, sample_weight=7.0 / 7)
    tolerance = {"rtol": 1e-5, "atol": 1e-7} if solver == "lbfgs" else {"rtol": 1e-8, "atol": 1e-9}
    assert_close(weighted, repeated, **tolerance)
    assert_close(constant, unweighted, **tolerance)
    assert np.abs(parameters(weighted)[0] - parameters(unweighted)[0]).max() > 1e-4


def test_class_weights_multiply_sample_weights():
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.5, 2, len(IRIS))
    by_class = {"setosa": 1.0, "versicolor": 5.0, "virginica": 0.5}
    options = SMALL | {"max_iter": 10}
    ours = MLPClassifier(**options, class_weight=by_class).fit(IRIS, NAMES, weight)
    product = weight * np.array([by_class[name] for name in NAMES])
    assert_close(ours, MLPClassifier(**options).fit(IRIS, NAMES, product), rtol=1e-12)
    few = np.r_[0:50, 50:60]
    balanced = MLPClassifier(**options, class_weight="balanced").fit(IRIS[few], NAMES[few])
    product = np.where(CLASSES[few] == 0, 60 / 100, 60 / 20)
    assert_close(balanced, MLPClassifier(**options).fit(IRIS[few], NAMES[few], product), rtol=1e-12)


def test_standardize_is_undone_in_predictions():
    options = SMALL | {"max_iter": 30}
    mean, scale = np.array([100.0, -5]), np.array([7.0, 0.01])
    y = np.c_[Y, Y**2]
    inside = MLPRegressor(**options, standardize=True).fit(50 * X - 3, y * scale + mean)
    columns = standardized(y)
    outside = MLPRegressor(**options).fit(X, columns)
    assert_close(inside, outside, rtol=1e-6, atol=1e-9)
    back = (outside.predict(X) * y.std(axis=0) + y.mean(axis=0)) * scale + mean
    np.testing.assert_allclose(inside.predict(50 * X - 3), back, rtol=1e-7)
    counts = MLPRegressor("poisson", **options, standardize=True).fit(X, COUNTS)
    assert counts.predict(X).min() > 0 and not hasattr(counts, "y_mean_")


@BOTH
def test_own_validation_data(kind, x, y):
    order = np.random.default_rng(0).permutation(len(x))
    train, held = order[:100], order[100:140]
    options = SMALL | {"max_iter": 40, "learning_rate_init": 0.01}
    ours = kind(**options).fit(x[train], y[train], X_val=x[held], y_val=y[held])
    assert_same(ours, kind(**options).fit(x[train], y[train]))  # recorded, and no more
    assert len(ours.validation_scores_) == len(ours.validation_loss_curve_) == ours.n_iter_
    assert ours.validation_scores_[-1] == pytest.approx(ours.score(x[held], y[held]))
    if kind is MLPRegressor:
        loss = 0.5 * np.mean((ours.predict(x[held]) - y[held]) ** 2)
    else:
        loss = -ours.predict_log_proba(x[held])[range(40), y[held]].mean()
    assert ours.validation_loss_curve_[-1] == pytest.approx(loss)
    if kind is MLPRegressor:
        counts = kind("poisson", **options).fit(x, COUNTS, X_val=x, y_val=COUNTS)
        loss = mean_poisson_deviance(COUNTS, counts.predict(x)) / 2
        assert counts.validation_loss_curve_[-1] == pytest.approx(loss)
    stopped = kind(**options, early_stopping=True, n_iter_no_change=3)
    stopped.fit(x[train], y[train], X_val=x[held], y_val=y[held])
    assert stopped.score(x[held], y[held]) == pytest.approx(max(stopped.validation_scores_))


@BOTH
def test_partial_fit_stops_early_and_puts_the_best_weights_back(kind, x, y):
    order = np.random.default_rng(0).permutation(len(x))
    train, held = order[:80], order[80:]
    ours = kind(**SMALL, early_stopping=True, learning_rate_init=0.1, n_iter_no_change=3)
    more = {} if kind is MLPRegressor else {"classes": [0, 1, 2]}
    calls = 0
    while calls < 300 and not getattr(ours, "converged_", False):
        ours.partial_fit(x[train], y[train], **more, X_val=x[held], y_val=y[held])
        calls += 1
    scores = ours.validation_scores_
    assert 4 < calls == len(scores) < 300
    best = int(np.argmax(scores))
    assert best < calls - 1
    assert ours.score(x[held], y[held]) == pytest.approx(scores[best])
    short = kind(**SMALL, early_stopping=True, learning_rate_init=0.1, n_iter_no_change=99)
    for _ in range(best + 1):
        short.partial_fit(x[train], y[train], **more, X_val=x[held], y_val=y[held])
    assert_same(ours, short)
    ours.partial_fit(x[train], y[train], X_val=x[held], y_val=y[held])
    assert not ours.converged_ and len(ours.validation_scores_) == calls + 1


@BOTH
def test_every_call_of_partial_fit_holds_out_the_same_rows(kind, x, y):
    ours = kind(**SMALL, early_stopping=True, learning_rate_init=1e-300)
    more = {} if kind is MLPRegressor else {"classes": [0, 1, 2]}
    for _ in range(3):
        ours.partial_fit(x, y, **more)
    assert len(set(ours.validation_scores_)) == 1
    ours.partial_fit(x[::-1], y[::-1])
    assert len(set(ours.validation_loss_curve_)) == 2


@BOTH
def test_partial_fit_after_fit_with_early_stopping(kind, x, y):
    ours = kind(**SMALL, early_stopping=True, max_iter=5).fit(x, y)
    ours.partial_fit(x, y)
    assert len(ours.validation_scores_) == 6 and ours.n_iter_ == 1


# ---- partial_fit, warm_start, pickles ----------------------------------------------------------


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
    with pytest.raises(ValueError, match=r"warm_start needs the classes .* Received: \[0 1\] in y"):
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


# ---- data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_x_is_the_dense_one(container, monkeypatch):
    x = np.where(np.abs(IRIS) > 0.5, IRIS, 0)
    dense = MLPClassifier(**SMALL, max_iter=5).fit(x, CLASSES)
    ours = MLPClassifier(**SMALL, max_iter=5).fit(container(x), CLASSES)
    assert_same(dense, ours)
    monkeypatch.setattr("fastmlp.sklearn._fitted._DENSE_ENTRIES", 40)  # ten rows at a time
    assert np.array_equal(ours.predict_proba(container(x)), dense.predict_proba(x))


@pytest.mark.parametrize("y", [CLASSES, NAMES, TWO, NAMES[:100], LABELS], ids=str)
def test_probabilities_and_classes(y):
    x = IRIS[: len(y)]
    ours = MLPClassifier(**SMALL, max_iter=300, learning_rate_init=0.02).fit(x, y)
    p = ours.predict_proba(x)
    np.testing.assert_allclose(ours.predict_log_proba(x), np.log(p))
    predicted = ours.predict(x)
    assert predicted.shape == np.shape(y) and predicted.dtype.kind == np.asarray(y).dtype.kind
    assert ours.score(x, y) > 0.9
    if y is LABELS:
        assert p.shape == y.shape and np.array_equal(predicted, (p > 0.5).astype(int))
    else:
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert np.array_equal(ours.classes_, np.unique(y))
        assert np.array_equal(predicted, ours.classes_[p.argmax(axis=1)])


def test_a_single_class_and_sparse_labels():
    one = MLPClassifier(**SMALL, max_iter=2).fit(IRIS, ["only"] * len(IRIS))
    assert set(one.predict(IRIS)) == {"only"}
    assert np.array_equal(one.predict_proba(IRIS), np.ones((len(IRIS), 1)))
    x, y = make_multilabel_classification(n_samples=40, random_state=0)
    dense = MLPClassifier(**SMALL, max_iter=2).fit(x, y)
    assert_same(dense, MLPClassifier(**SMALL, max_iter=2).fit(x, sparse.csr_matrix(y)))


def test_names_of_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS, columns=list("abcd"))
    ours = MLPClassifier(**SMALL, max_iter=3, early_stopping=True).fit(frame, CLASSES)
    assert list(ours.feature_names_in_) == list("abcd")
    with pytest.warns(UserWarning, match="valid feature names"):
        ours.predict(IRIS)
    pipe = make_pipeline(StandardScaler(), clone(ours)).set_output(transform="pandas")
    pipe.fit(frame, CLASSES)
    assert len(pipe[-1].feature_names_in_) == 4
    pipe.predict(frame)


def test_sample_weights_are_routed():
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        inner = MLPRegressor(**SMALL, max_iter=3).set_fit_request(sample_weight=True)
        inner.set_score_request(sample_weight=False)
        grid = GridSearchCV(inner, {"alpha": [0.1, 1]}, cv=2)
        weight = np.where(np.arange(len(X)) < 200, 1.0, 0.001)
        grid.fit(X, Y, sample_weight=weight)
    assert_same(grid.best_estimator_, clone(grid.best_estimator_).fit(X, Y, sample_weight=weight))


# ---- messages ----------------------------------------------------------------------------------


def test_not_converged_and_converged(capsys):
    with pytest.warns(ConvergenceWarning, match="not converged after max_iter=3 epochs"):
        ours = MLPRegressor(**SMALL, max_iter=3, verbose=True).fit(X, Y)
    assert not ours.converged_
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Iteration {i + 1}, loss = {v:.8f}" for i, v in enumerate(ours.loss_curve_)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = MLPRegressor(**SMALL, tol=10, verbose=True).fit(X, Y)
    assert ours.converged_ and ours.n_iter_ == 12
    assert "has not improved by tol=10 for more than 10 epochs" in capsys.readouterr().out
    options = {"early_stopping": True, "max_iter": 2, "verbose": True}
    with pytest.warns(ConvergenceWarning):
        ours = MLPClassifier(**SMALL, **options).fit(IRIS, CLASSES)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1::2] == [f"Validation score: {score:f}" for score in ours.validation_scores_]


def test_adaptive_learning_rate_ends_small(capsys):
    ours = MLPRegressor(**SMALL, solver="sgd", learning_rate="adaptive", tol=1, verbose=1)
    ours.fit(X, Y)
    assert ours.converged_ and ours._optimizer.learning_rate == pytest.approx(1e-3 / 5**5)
    assert capsys.readouterr().out.count("learning rate lowered") == 5


@BOTH
def test_ctrl_c_keeps_the_model(kind, x, y, monkeypatch):
    note = _monitor.TrainingMonitor.note

    def interrupted(self, loss):
        note(self, loss)
        if self.estimator.n_iter_ == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(_monitor.TrainingMonitor, "note", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        ours = kind(**SMALL, verbose=True).fit(x, y)
    monkeypatch.undo()
    assert_same(ours, kind(**SMALL, max_iter=4).fit(x, y))


@pytest.mark.parametrize("options", [
    {"tol": 1e-3},
    {"tol": 0.5, "n_iter_no_change": 3},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 5},
    {"tol": 0.0, "n_iter_no_change": float("inf"), "max_iter": 50},
])  # fmt: skip
def test_epochs_that_cannot_be_the_last_pass_unseen(options, monkeypatch):
    """Fewer looks, and no other result: a fit that prints its epochs looks at each."""
    looks = []
    end = _monitor.TrainingMonitor.on_epoch_end
    monkeypatch.setattr(
        _monitor.TrainingMonitor,
        "on_epoch_end",
        lambda self, *args: [looks.append(1), end(self, *args)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        each = MLPRegressor(**SMALL | options, verbose=True).fit(X, Y)
        assert len(looks) == each.n_iter_
        looks.clear()
        few = MLPRegressor(**SMALL | options).fit(X, Y)
    assert 1 <= len(looks) <= each.n_iter_ / 2
    assert few.n_iter_ == each.n_iter_ and few.converged_ == each.converged_
    assert few.loss_curve_ == each.loss_curve_ and few.best_loss_ == each.best_loss_
    assert_same(few, each)


def test_divergence():
    options = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1e6}
    with pytest.raises(ValueError, match=r"Training diverged in epoch \d+: .*or scaled data"):
        MLPRegressor(**SMALL, **options).fit(X, Y)
    options |= {"learning_rate_init": 3.0, "early_stopping": True}
    with pytest.warns(ConvergenceWarning, match=r"Training diverged .* The best weights are kept"):
        ours = MLPRegressor(**SMALL, **options).fit(X, Y)
    assert np.isnan(ours.validation_scores_[-1]) and len(ours.validation_scores_) == ours.n_iter_
    assert np.isfinite(ours.predict(X)).all()
    with pytest.raises(ValueError, match="not finite"):
        MLPRegressor(solver="lbfgs", **SMALL).fit(1e300 * X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must hold positive integers"),
        ({"hidden_layer_sizes": "3"}, r"hidden_layer_sizes must hold positive integers"),
        ({"units": "3xx"}, "units must be positive integers such as"),
        ({"units": [2.5]}, "units must hold positive integers"),
        ({"activation": "rleu"}, "Unknown activation: 'rleu'. Did you mean 'relu'?"),
        ({"activation": ["relu", "tanh", "elu"]}, "one per hidden layer: 1 or 1. Received: 3"),
        ({"activation": 3}, "activation must be a name, or a list of them"),
        ({"solver": "adamw"}, "Unknown solver: 'adamw'. Did you mean 'adam'?"),
        ({"alpha": -1}, "alpha must be a finite number of at least 0. Received: alpha=-1"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"batch_size": "all"}, "batch_size must be a positive integer"),
        ({"learning_rate": "optimal"}, "Unknown learning_rate: 'optimal'"),
        ({"learning_rate_init": 0.0}, "learning_rate_init must be a finite number above 0"),
        ({"momentum": 1.1}, r"momentum must be a number in \[0, 1\]"),
        ({"beta_2": 1}, r"beta_2 must be a number in \[0, 1\)"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be a number in \[0, 1\)"),
        ({"n_iter_no_change": 1.5}, "n_iter_no_change must be a positive integer"),
        ({"early_stopping": "auto"}, "early_stopping must be True or False"),
        ({"l1": -0.1}, "l1 must be a finite number of at least 0"),
        ({"l2": [1, 2, 3]}, "l2 must hold one value .* 1 or 2. Received: 3 values"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\)"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout needs solver='adam' or 'sgd'"),
    ],
)
@pytest.mark.parametrize("kind", [MLPRegressor, MLPClassifier])
def test_bad_arguments(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**({"hidden_layer_sizes": 4} | options)).fit(IRIS, TWO)


def test_bad_data_and_calls():
    with pytest.raises(ValueError, match=r"the first argument, must be a name. Received: .*\(3,"):
        MLPRegressor((3, 4)).fit(X, Y)
    with pytest.raises(ValueError, match=r"Unknown loss: 'poison'. Did you mean 'poisson'"):
        MLPRegressor("poison").fit(X, Y)
    with pytest.raises(ValueError, match=r"y must be at least 0 .* for loss='poisson'. Received"):
        MLPRegressor("poisson").fit(X, Y)
    with pytest.raises(ValueError, match=r"together. Received: y_val=None"):
        MLPRegressor().fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match=r"as many columns as y, 1. Received: 2"):
        MLPRegressor().fit(X, Y, X_val=X, y_val=np.c_[Y, Y])
    with pytest.raises(ValueError, match="X_val needs solver='adam' or 'sgd'"):
        MLPRegressor(solver="lbfgs").fit(X, Y, X_val=X, y_val=Y)
    with pytest.raises(ValueError, match=r"validation set is too small.* of 5 rows"):
        MLPRegressor(early_stopping=True).fit(X[:5], Y[:5])
    with pytest.raises(ValueError, match="must not all be zero"):
        MLPRegressor().fit(X, Y, sample_weight=np.zeros(len(X)))
    messages = set()
    for row in range(9):  # one row has weight: it is trained on, or it is held out
        with pytest.raises(ValueError, match="must not all be zero") as caught:
            MLPRegressor(**SMALL, early_stopping=True, validation_fraction=0.3).fit(
                X[:9], Y[:9], sample_weight=np.arange(9) == row
            )
        messages.add(str(caught.value))
    assert len(messages) == 2
    with pytest.raises(ValueError, match="sample_weight must be at least 0"):
        MLPRegressor().fit(X, Y, sample_weight=-np.ones(len(X)))
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        MLPClassifier().partial_fit(IRIS, CLASSES)
    ours = MLPClassifier(**SMALL).partial_fit(IRIS, CLASSES, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"classes must be those of the first call, \[0 1 2\]"):
        ours.partial_fit(IRIS, CLASSES, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y must hold classes of \[0 1 2\]. Received: \[7\]"):
        ours.partial_fit(IRIS, np.full(len(IRIS), 7))
    with pytest.raises(ValueError, match="class_weight='balanced' needs all of y"):
        MLPClassifier(class_weight="balanced").partial_fit(IRIS, TWO, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y must be classes of shape \(n,\), or labels"):
        MLPClassifier().fit(IRIS, np.c_[CLASSES, CLASSES])
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(IRIS)
    with pytest.warns(UserWarning, match="batch_size=1000 is reduced to the 150 rows"):
        MLPClassifier(**SMALL, batch_size=1000, max_iter=1).fit(IRIS, CLASSES)


def test_without_scikit_learn_one_clear_error(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fastmlp.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn.*pip install 'fastmlp\[sklearn\]'"):
        importlib.import_module("fastmlp.sklearn")
