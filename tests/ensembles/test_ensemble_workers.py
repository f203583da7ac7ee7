"""Ensembles trained by other processes: the bytes of those trained here."""

import numpy as np
import pytest

import fastmlp

pytest.importorskip("joblib")


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    return x, x[:, :1] - np.abs(x[:, 1:2])


OPTIONS = {"epochs": 4, "batch_size": 8, "seed": 3, "verbose": 0}


@pytest.mark.parametrize(
    "options",
    [
        {"units": ["4", "300"], "members": 5, "bootstrap": True},
        {"units": "4,4", "members": 3, "folds": 3, "lambdas": [0.0, 0.01]},
        {"units": "8", "members": 20, "validation_split": 0.2},
    ],
)
def test_two_processes_give_the_ensemble_of_one(options):
    x, y = data()
    here = fastmlp.ensemble(x, y, **options, **OPTIONS)
    there = fastmlp.ensemble(x, y, **options, **OPTIONS, jobs=2)
    assert len(there) == len(here)
    for one, other in zip(here, there, strict=True):
        assert [w.tobytes() for w in one.get_weights()] == [
            w.tobytes() for w in other.get_weights()
        ]
        assert one.history.history == other.history.history
    np.testing.assert_array_equal(here.noise_sd, there.noise_sd)


def test_members_that_diverge_elsewhere_are_left_out():
    x, y = data()
    model = fastmlp.models.mlp("4", 3, 1)
    model.compile(fastmlp.optimizers.SGD(1e30), "mse")
    good = fastmlp.models.mlp("5", 3, 1)
    good.compile("adam", "mse")
    with pytest.warns(RuntimeWarning, match="is left out"):
        made = fastmlp.ensemble(x, y, [model, good], 3, **OPTIONS, jobs=2)
    assert len(made) == 3
    assert [entry["seed"] for entry in made.diverged] == [3, 4, 5]
