"""The estimators on sparse matrices: the results of arrays, without making them dense."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from fastmlp.sklearn import MLPClassifier, MLPRegressor

FORMS = (sparse.csr_matrix, sparse.csc_array)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = np.where(rng.random((150, 90)) < 0.08, rng.random((150, 90)), 0)
    return x, x[:, :30].sum(axis=1) - x[:, 30:60].sum(axis=1)


def outcome(estimator, x, y, method="fit", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        getattr(estimator, method)(x, y, **options)
    curves = getattr(estimator, "loss_curve_", None), getattr(estimator, "validation_scores_", None)
    weights = [w.tobytes() for w in [*estimator.coefs_, *estimator.intercepts_]]
    return curves, weights, estimator.loss_, estimator.predict(x).tobytes(), estimator.score(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True, "dropout": 0.2, "l1": 1e-3},
        {"solver": "lbfgs", "alpha": 1e-2},
        {"solver": "sgd", "learning_rate": "adaptive", "hidden_layer_sizes": ()},
    ],
)
def test_the_results_are_those_of_arrays(data, options, dtype):
    x, y = data
    x = x.astype(dtype)
    for make, target in ((MLPRegressor, y), (MLPClassifier, np.digitize(y, [-0.5, 0.5]))):
        settings = {"random_state": 0, "max_iter": 6, "hidden_layer_sizes": (20,), **options}
        expected = outcome(make(**settings), x, target)
        for form in FORMS:
            assert outcome(make(**settings), form(x), target) == expected


def test_epochs_one_by_one_with_validation_data(data):
    x, y = data
    labels = (y > 0).astype(int)
    found = []
    for form in (np.asarray, *FORMS):
        model = MLPClassifier(random_state=0, class_weight={0: 1, 1: 2})
        for _ in range(2):
            found.append(
                outcome(model, form(x[:100]), labels[:100], "partial_fit", classes=[0, 1],
                        X_val=form(x[100:]), y_val=labels[100:], sample_weight=np.arange(100) % 4)
            )  # fmt: skip
    assert found[2:4] == found[4:] == found[:2]


@pytest.fixture
def sparse_alone(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("made dense")

    for form in (sparse.csr_array, sparse.csr_matrix, sparse.csc_array):
        for method in ("toarray", "todense"):
            monkeypatch.setattr(form, method, refuse)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_nothing_is_made_dense(data, sparse_alone, solver):
    x, y = data
    for form in FORMS:
        given = form(x)
        outcome(MLPRegressor(solver=solver, max_iter=3, random_state=0), given, y)
    with pytest.raises(AssertionError, match="made dense"):
        MLPRegressor(standardize=True).fit(given, y)


def test_standardize_makes_it_dense(data):
    """Centred columns have no zeros."""
    x, y = data
    settings = {"random_state": 0, "max_iter": 3, "standardize": True}
    expected = outcome(MLPRegressor(**settings), x, y)
    assert outcome(MLPRegressor(**settings), sparse.csr_matrix(x), y) == expected


def test_texts():
    texts = [f"{word} apple pear {'good' if i % 2 else 'bad'} {i % 7}"
             for i, word in enumerate(["red", "green", "blue"] * 20)]  # fmt: skip
    labels = ["yes" if i % 2 else "no" for i in range(60)]
    model = make_pipeline(TfidfVectorizer(), MLPClassifier(max_iter=60, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(texts, labels)
    assert model.score(texts, labels) == 1
    assert model.predict(["a good plum"]).tolist() == ["yes"]
