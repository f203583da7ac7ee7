"""Paths over tables: the words of `fastmlp.fit`, and what is decided."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import models, paths, tabular
from fastmlp.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::fastmlp.errors.ModelWarning")

QUICK = {"n_lambdas": 3, "folds": 3, "epochs": 10, "seed": 0, "verbose": 0}
LINEAR = {"n_lambdas": 3, "folds": 3, "seed": 0, "verbose": 0}


def table(n=90):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    zone = rng.choice(["p", "q", "r"], n)
    x[0, 0] = 1e4  # an outlier
    return {"a": x[:, 0], "b": x[:, 1], "zone": zone, "y": 5 + x[:, 1] + (zone == "p")}


def test_units_activation_and_scaling_are_decided():
    data = table()
    result = fastmlp.path(data, **QUICK)
    assert tuple(result.units) == tabular.path_units(90) == (32, 32)
    assert tabular.path_units(10_000) == (64, 64)
    assert result.model.dense_layers[0].activation == "silu"
    assert [column.clip for column in result.preprocessing.columns[:2]] == [3.0, 3.0]
    assert result.preprocessing.target.name == "y"
    plain = fastmlp.path(data, target="y", units="none", **LINEAR)
    assert plain.units == [] and [c.clip for c in plain.preprocessing.columns[:2]] == [0.0, 0.0]
    array = fastmlp.path(np.c_[data["a"], data["b"]], data["y"], **LINEAR)  # as ever
    assert array.units == [] and "table" not in array.model.extras


def test_a_file_says_the_same_and_its_model_keeps_how_it_was_read(tmp_path):
    data = table()
    file = tmp_path / "t.csv"
    rows = zip(*data.values(), strict=True)
    lines = [";".join(str(v).replace(".", ",") for v in row) for row in rows]
    file.write_text("a;b;zone;y\n" + "\n".join(lines) + "\n")
    one = fastmlp.path(str(file), "y", "4", delimiter=";", **QUICK)
    other = fastmlp.path(data, "y", "4", **QUICK)
    np.testing.assert_array_equal(one.cv_mean, other.cv_mean)
    one.model.save(tmp_path / "m.fmlp")
    extras = models.load_model(tmp_path / "m.fmlp").extras
    assert extras["reading"]["delimiter"] == ";"
    assert extras["table"]["n_rows"] == 90


def test_the_model_keeps_its_cross_validated_figures():
    result = fastmlp.path(table(), "y", "none", **LINEAR)
    held = tabular.Quality.of(result.model).held_out
    assert held.how == "3-fold cross-validation" and held.n_rows == 90
    assert held.network["rmse"] ** 2 == pytest.approx(result.cv_mean[result.index], rel=1e-4)
    assert held.constant["rmse"] ** 2 == pytest.approx(result.null_score, rel=1e-4)
    classes = fastmlp.path(table(), target="zone", units="none", **LINEAR)
    held = tabular.Quality.of(classes.model).held_out
    assert 2 * held.network["log_loss"] == pytest.approx(classes.cv_mean[classes.index], rel=1e-4)


def test_groups_stay_in_one_fold():
    data = table()
    data["owner"] = [f"o{i % 9}" for i in range(90)]
    result = fastmlp.path(data, "y", "none", group="owner", **LINEAR)
    folds = {owner: set(result.folds[np.array(data["owner"]) == owner]) for owner in data["owner"]}
    assert all(len(found) == 1 for found in folds.values())
    assert np.bincount(result.folds).tolist() == [30, 30, 30]
    assert "owner" not in " ".join(result.input_names)
    with pytest.raises(DataError, match="3 groups for 4 folds"):
        fastmlp.path(table(), "y", "none", group="zone", **{**LINEAR, "folds": 4})


def test_wrong_words():
    data = table()
    x = np.c_[data["a"], data["b"]]
    with pytest.raises(TypeError, match=r"path\(\) has no argument 'wieght'"):
        fastmlp.path(data, "y", wieght="b", **LINEAR)
    with pytest.raises(ValueError, match="group describes a table whose target is named"):
        fastmlp.path(x, data["y"], group="zone", **LINEAR)
    with pytest.raises(ValueError, match="delimiter says how to read a file"):
        fastmlp.path(data, "y", delimiter=";", **LINEAR)
    with pytest.raises(ValueError, match="a path takes one target"):
        fastmlp.path(data, target=["y", "a"], **LINEAR)


def weighted(target):
    """Return a table with whole weights, and the same one with rows repeated instead."""
    rng = np.random.default_rng(1)
    n = 60
    a, b = rng.normal(size=(2, n))
    y = {"y": 5 + a + rng.normal(size=n), "zone": np.array(["p", "q", "r"])[rng.integers(0, 3, n)],
         "side": np.where(a + rng.normal(size=n) > 0, "left", "right")}[target]  # fmt: skip
    data = {"a": a, "b": b, target: y}
    weight = rng.integers(1, 4, n)
    rows = np.repeat(np.arange(n), weight)
    folds = np.arange(n) % 3
    repeated = {name: column[rows] for name, column in data.items()}
    return {**data, "w": weight}, folds, repeated, folds[rows]


@pytest.mark.parametrize("units", ["none", "4"])
@pytest.mark.parametrize("target", ["y", "side", "zone"])
def test_a_weight_of_two_is_a_row_twice(target, units):
    data, folds, repeated, repeated_folds = weighted(target)
    words = {"units": units, "standardize": False, "seed": 0, "verbose": 0,
             "target": target, "choose": "min"}  # fmt: skip
    if units == "none":
        words["n_lambdas"] = 4
    else:
        words |= {"epochs": 30, "batch_size": 500, "lambdas": [0.1, 0.01]}
    one = fastmlp.path(data, weight="w", folds=folds, **words)
    other = fastmlp.path(repeated, folds=repeated_folds, **words)
    plain = fastmlp.path(data, drop=["w"], folds=folds, **words)
    accuracy = 1e-6 if units == "none" else 1e-3
    np.testing.assert_allclose(one.lambdas, other.lambdas, rtol=accuracy)
    np.testing.assert_allclose(one.cv_mean, other.cv_mean, rtol=accuracy)
    np.testing.assert_allclose(one.cv_se, other.cv_se, rtol=10 * accuracy)
    assert one.null_score == pytest.approx(other.null_score)
    assert abs(plain.cv_mean / one.cv_mean - 1).max() > 0.01
    x = np.random.default_rng(2).normal(size=(50, 2))
    found, wanted = (result.model.predict(x, verbose=0) for result in (one, other))
    np.testing.assert_allclose(found, wanted, rtol=10 * accuracy, atol=accuracy)
    held = tabular.Quality.of(one.model).held_out
    again = tabular.Quality.of(other.model).held_out
    assert held.network == pytest.approx(again.network, rel=10 * accuracy)
    assert held.constant == pytest.approx(again.constant)
    assert [column.name for column in one.preprocessing.columns] == ["a", "b"]


def test_weights_that_cannot_be_used():
    data = table()
    with pytest.raises(DataError, match="no weight column 'w'"):
        fastmlp.path(data, "y", "none", weight="w", **LINEAR)
    with pytest.raises(DataError, match="at least 0, and not only 0"):
        fastmlp.path(data, "y", "none", weight="b", **LINEAR)
    data["w"] = np.where(np.arange(90) < 30, 0.0, 1.0)
    with pytest.raises(DataError, match="all rows of a fold, or all others, have weight 0"):
        fastmlp.path(data, "y", "none", weight="w", **{**LINEAR, "folds": np.arange(90) // 30})


@pytest.mark.parametrize("name", ["validation_split", "validation", "patience", "schedule", "loss"])
def test_words_of_fit_that_a_path_does_not_take_say_why(name):
    with pytest.raises(ValueError, match=rf"path\(\) does not take {name}: .*lambda"):
        fastmlp.path(table(), "y", **{name: 1}, **QUICK)
    assert name in paths.REFUSED
