"""Grids of lambdas and folds: what is given, what is drawn, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp._many import cross_validation
from fastmlp.errors import DataError
from fastmlp.paths import _grid

from .data import classes, regression


@pytest.mark.parametrize(
    ("lambdas", "text"),
    [
        ([], "at least one number. Received: an empty grid"),
        (0.1, "at least one number. Received: an array of shape ()"),
        ([0.1, 0.2, 0.1], "lambdas must differ. Received: 0.1 2 times"),
        ([0.1, -0.2], "finite and not negative. Received: -0.2"),
        ([0.1, np.nan], "finite and not negative. Received: nan"),
        ([0.1, 0.0], "above 0. Received: 0"),
        (["a"], "must be numbers"),
        ([[0.1, 0.2], [0.1, 0.2]], r"differ. Received: (0.1, 0.2) 2 times"),
        ([[0.1, 0.2], [0.2, 0.1]], "one path"),
        ([[0.1], [0.2]], "a column for each Dense layer, output included: 2"),
        ([[0.1, 0.2], [0.0, 0.0]], "must have a value above 0"),
    ],
)
def test_bad_lambdas(lambdas, text):
    with pytest.raises(ValueError) as error:
        fastmlp.path(*regression(), "4", lambdas=lambdas, verbose=0)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n_lambdas": 0}, "n_lambdas must be a positive integer"),
        ({"lambda_ratio": 1}, r"lambda_ratio must be a number in \(0, 1\)"),
        ({"layer_factors": [1.0]}, "one number per Dense layer, output included"),
        ({"layer_factors": [0.0, 0.0]}, "not all of them 0"),
        ({"layer_factors": [1.0, -1.0]}, "layer_factors must be a finite number of at least 0"),
        ({"layer_factors": [1, 1], "lambdas": [[1, 2]]}, "Received: layer_factors, and lambdas"),
        ({"penalty": "l3"}, "Unknown penalty: 'l3'"),
        ({"l1_ratio": 0.5, "penalty": "l2"}, "l1_ratio needs penalty='l1'"),
        ({"l1_ratio": 0}, "l1_ratio must be a number above 0"),
        ({"choose": "best"}, "Unknown choose: 'best'"),
        ({"measure": "deviance"}, "Unknown measure: 'deviance'. Known: mse"),
        ({"folds": 1}, "folds must be an integer of at least 2"),
        ({"folds": [0, 1]}, "an integer for each of the 80 rows"),
        ({"folds": np.zeros(80, int)}, "at least two values. Received: 0 for every row"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0"),
        ({"seed": -1}, "seed must be a non-negative integer"),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        fastmlp.path(*regression(), "4", **{"verbose": 0} | arguments)


@pytest.mark.parametrize(
    ("x", "y", "arguments", "text"),
    [
        (*regression(n=10), {"folds": 11}, "Received: folds=11 for 10 rows"),
        (np.eye(3), [[1, 2]] * 3, {}, "y must be one column"),
        (np.eye(3), [1, 2], {}, "2 rows for 3"),
        (np.eye(3), [1, 1, 1], {"task": "regression", "folds": 2}, "holds the number 1"),
        (np.eye(4), ["a", "a", "a", "a"], {"folds": 2}, "one class only"),
    ],
)
def test_bad_data(x, y, arguments, text):
    with pytest.raises(DataError, match=text):
        fastmlp.path(x, y, verbose=0, **arguments)


def test_a_fold_of_one_class_is_an_error():
    x, _ = regression(n=12)
    y = np.array(["a"] * 10 + ["b"] * 2)
    with pytest.raises(DataError, match=r"rows of one class only, 'a'.*use fewer folds"):
        fastmlp.path(x, y, folds=5, verbose=0)
    folds = np.repeat([0, 1, 2], 4)
    with pytest.raises(DataError, match="Fold 1 has rows of one class only, 'a'"):
        fastmlp.path(x, y, folds=folds, verbose=0)


def test_a_class_in_a_single_fold_is_an_error():
    x, _ = regression(n=12)
    y = np.array(["a", "b"] * 4 + ["c", "c", "b", "a"])
    with pytest.raises(DataError, match="Class 'c' is in fold 3 only"):
        fastmlp.path(x, y, folds=np.repeat([0, 1, 2], 4), verbose=0)


def test_a_grid_is_put_in_order():
    grid = _grid.given([0.1, 1, 0.01], [1, 0.5], 2)
    assert grid.lambdas.tolist() == [1, 0.1, 0.01]
    assert grid.by_layer.tolist() == [[1, 0.5], [0.1, 0.05], [0.01, 0.005]]
    grid = _grid.given([[0, 0.1], [1, 0.1], [1, 0.3]], None, 2)
    assert grid.by_layer.tolist() == [[1, 0.3], [1, 0.1], [0, 0.1]]
    assert (np.diff(grid.lambdas) < 0).all()


def test_a_drawn_grid_is_even_in_logarithm():
    grid = _grid.geometric(2.0, 1e-3, 4, np.ones(1))
    np.testing.assert_allclose(grid.lambdas, [2, 0.2, 0.02, 0.002])


def test_folds_are_equal_and_classes_spread_over_them():
    folds = cross_validation.assign_folds(4, None, [], 22, 0)
    assert sorted(np.bincount(folds)) == [5, 5, 6, 6]
    assert (folds != cross_validation.assign_folds(4, None, [], 22, 1)).any()
    _, y = classes(n=50, n_classes=3)
    names, codes = np.unique(y, return_inverse=True)
    folds = cross_validation.assign_folds(5, codes, list(names), 50, 0)
    counts = np.array([np.bincount(codes[folds == k]) for k in range(5)])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1
