"""Coordinate descent and its matrix against their specification in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp._kernels import formulas
from fastmlp._kernels.descent import coordinate_descent, gram


def problem(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * n + 5, n))
    return x.T @ x / len(x), rng.normal(size=n)


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8, 103])
@pytest.mark.parametrize("n_in", [1, 2, 7])
def test_gram(rows, n_in):
    rng = np.random.default_rng(rows)
    x, weight = rng.normal(size=(rows, n_in)), rng.uniform(size=rows)
    out = np.zeros((n_in, n_in))
    gram(x, weight, out)
    error = (rows + 2) * np.finfo(float).eps * formulas.gram(np.abs(x), weight)
    assert (np.abs(out - formulas.gram(x, weight)) <= error).all()
    assert (out == out.T).all()


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.2, 0.0), (0.2, 0.3), (0.0, 0.3), (9, 0)])
def test_one_sweep_is_the_specification(size, l1, l2):
    hessian, slope = problem(6)
    w, expected = np.linspace(-1, 1, 6), np.linspace(-1, 1, 6)
    wanted = slope.copy()
    assert not coordinate_descent(hessian, w, slope, l1, l2, size, 0.0, 1)
    formulas.coordinate_descent(hessian, expected, wanted, l1, l2, size, 1)
    np.testing.assert_allclose(w, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(slope, wanted, rtol=1e-12, atol=1e-14)
    assert (w == 0).tolist() == (expected == 0).tolist()


@pytest.mark.parametrize(("size", "l1"), [(1, 0.3), (3, 1.0)])
def test_it_comes_to_rest_at_the_minimum(size, l1):
    hessian, target = problem(9, seed=1)
    w, slope = np.zeros(9), target.copy()
    assert coordinate_descent(hessian, w, slope, l1, 0.1, size, 1e-15, 10_000)
    slope = target - hessian @ w - 2 * 0.1 * w
    for j in range(0, 9, size):
        group, pull = w[j : j + size], slope[j : j + size]
        if group.any():
            np.testing.assert_allclose(pull, l1 * group / np.linalg.norm(group), atol=1e-13)
        else:
            assert np.linalg.norm(pull) <= l1
    assert 0 < np.count_nonzero(w) < 9


def test_a_constant_column_stays_zero():
    hessian, w = np.zeros((2, 2)), np.zeros(2)
    hessian[0, 0] = 1
    assert coordinate_descent(hessian, w, np.array([1.0, 0.0]), 0.0, 0.0, 1, 1e-12, 10)
    assert w.tolist() == [1, 0]


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"Received: w of shape \(2,\)"):
        coordinate_descent(np.eye(3), np.zeros(2), np.zeros(2), 0, 0, 1, 0, 1)
    with pytest.raises(ValueError, match="size=2"):
        coordinate_descent(np.eye(3), np.zeros(3), np.zeros(3), 0, 0, 2, 0, 1)
    with pytest.raises(ValueError, match="weight of 1 rows"):
        gram(np.zeros((2, 2)), np.zeros(1), np.zeros((2, 2)))
