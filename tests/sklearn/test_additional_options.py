"""Options that scikit-learn's estimators lack."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.metrics import mean_poisson_deviance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import layers, models, optimizers, regularizers
from fastmlp.sklearn import MLPClassifier, MLPRegressor

from .samples import (
    BOTH,
    CLASSES,
    COUNTS,
    IRIS,
    LABELS,
    NAMES,
    SMALL,
    X,
    Y,
    assert_close,
    assert_same,
    parameters,
    standardized,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
