"""Data and comparisons that the tests of the estimators share."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

from fastmlp.sklearn import MLPClassifier, MLPRegressor


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
