"""Paths over tables: the words of `fastmlp.fit`, and what is decided."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import models, tabular
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
