"""Sparse and named columns, kinds of classes, routed weights."""

import numpy as np
import pytest
from scipy import sparse

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp.sklearn import MLPClassifier, MLPRegressor

from .samples import CLASSES, IRIS, LABELS, NAMES, SMALL, TWO, X, Y, assert_same

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
