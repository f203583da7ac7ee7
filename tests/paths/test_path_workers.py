"""Paths by processes and by a cluster: the bits of one process, extensions included."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp.errors import DivergedError

from .data import classes, regression

# Cases without hidden layers take the options of those with some.
pytestmark = pytest.mark.filterwarnings(
    "ignore:No effect of:UserWarning", "ignore:The least error:fastmlp.errors.ModelWarning"
)

pytest.importorskip("joblib")


def same(a, b):
    assert len(a.lambdas) == len(b.lambdas)
    np.testing.assert_array_equal(a.lambdas, b.lambdas)
    np.testing.assert_array_equal(a.cv_mean, b.cv_mean)
    np.testing.assert_array_equal(a.n_nonzero, b.n_nonzero)
    for i in range(len(a.lambdas)):
        for one, other in zip(
            a.model_at(i).get_weights(), b.model_at(i).get_weights(), strict=True
        ):
            assert one.tobytes() == other.tobytes()


OPTIONS = {"n_lambdas": 4, "folds": 3, "epochs": 10, "seed": 1, "verbose": 0}


@pytest.mark.parametrize("units", ["6x2", "none"])
def test_two_processes_give_the_path_of_one(units):
    x, y = regression()
    same(
        fastmlp.path(x, y, units, **OPTIONS, jobs=2),
        fastmlp.path(x, y, units, **OPTIONS),
    )


def test_a_path_that_is_extended_goes_on_from_what_came_back(monkeypatch):
    x, y = classes()
    options = {**OPTIONS, "batch_size": 7, "epochs": 2}
    monkeypatch.setattr("fastmlp.paths._path.largest_lambda", lambda *_: 0.05)
    here = fastmlp.path(x, y, "6", **options)
    assert here.lambdas[0] > 0.06  # it was extended
    same(fastmlp.path(x, y, "6", **options, jobs=2), here)


def test_a_path_that_diverges_in_a_worker_says_so():
    x, y = regression()
    with pytest.raises(DivergedError, match="diverged at lambda") as error:
        fastmlp.path(x, y, "6", lambdas=[0.1], folds=2, learning_rate=1e37, verbose=0, jobs=2)
    assert error.value.epoch >= 1
