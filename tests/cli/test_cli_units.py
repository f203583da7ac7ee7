"""Predictions and figures of a table's target in its own units, from the command line."""

import io
import json

import numpy as np
import pytest

from fastmlp import models
from fastmlp.preprocessing import Preprocessing

X = np.arange(300.0)
Y = 1234567890 + 10 * X  # a few numbers in float32


@pytest.fixture
def line(tmp_path):
    """Write a network that is the line itself, and its table."""
    state = Preprocessing.fit({"x": X, "y": Y}, "y", "regression", standardize="deviation")
    model = models.mlp([], 1, 1)
    model.set_weights([[[1.0]], [1e-3]])
    model.compile("sgd", "mse", ["mse", "mae", "rmse", "r2"])
    state.keep(model)
    model.save(tmp_path / "m.fmlp")
    rows = ["x,y", *(f"{x},{y}" for x, y in zip(X, Y, strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    return state.target.scale


def close(found):
    assert len(set(found)) == len(Y)
    np.testing.assert_allclose(found, Y, rtol=0, atol=1)


def test_predictions_as_csv_and_as_json(run, line):
    close(np.loadtxt(io.StringIO(run("predict", "m.fmlp", "t.csv", "-q").out), skiprows=1))
    close(json.loads(run("predict", "m.fmlp", "t.csv", "-q", "--json").out)["prediction"])


def test_an_ensemble_with_its_spread(run, line):
    train = ("ensemble", "t.csv", "--target", "y", "--units", "8", "--members", "3")
    assert run(*train, "--epochs", "20", "--standardize", "-q", "-o", "e.fmlp").code == 0
    table = np.loadtxt(
        io.StringIO(run("predict", "e.fmlp", "t.csv", "-q").out), skiprows=1, delimiter=","
    )
    assert all(len(np.unique(column)) > 250 for column in table.T)


def test_every_error_is_in_the_targets_units(run, line):
    found = json.loads(run("evaluate", "m.fmlp", "t.csv", "--json").out)
    assert found["mae"] == pytest.approx(1e-3 * line, rel=1e-3)
    assert found["rmse"] == pytest.approx(found["mae"], rel=1e-3)
    assert found["mse"] == pytest.approx(found["rmse"] ** 2, rel=1e-6)
    compared = json.loads(run("compare", "m.fmlp", "t.csv", "--json").out)["models"][0]
    for name in ("mse", "mae", "r2"):
        assert compared[name] == pytest.approx(found[name], rel=1e-6)


def test_a_constant_target_has_no_less_than_nothing_explained(run, line, tmp_path):
    rows = ["x,y", *(f"{x},{1234567890.1}" for x in X[:10])]
    (tmp_path / "c.csv").write_text("\n".join(rows))
    for command in (("evaluate",), ("compare",)):
        found = json.loads(run(*command, "m.fmlp", "c.csv", "--json").out)
        assert found.get("r2", found.get("models", [{}])[0].get("r2")) == 0


def test_cross_entropies_of_evaluate_and_compare_are_one(run, tmp_path):
    for labels in (["a", "b"], ["a", "b", "c"]):
        x = np.linspace(-3, 3, 30)
        names = [labels[i % len(labels)] for i in range(30)]
        state = Preprocessing.fit({"x": x, "y": names}, "y")
        k = state.n_outputs
        model = models.mlp([8], 1, k, output_activation="sigmoid" if k == 1 else "softmax", seed=1)
        model.set_weights([100 * w for w in model.get_weights()])  # sure, and often wrong
        model.compile(
            "adam",
            "binary_crossentropy" if k == 1 else "sparse_categorical_crossentropy",
            ["accuracy", "log_loss"],
        )
        state.keep(model)
        model.save(tmp_path / "k.fmlp")
        rows = ["x,y", *(f"{a},{b}" for a, b in zip(x, names, strict=True))]
        (tmp_path / "k.csv").write_text("\n".join(rows))
        found = json.loads(run("evaluate", "k.fmlp", "k.csv", "--json").out)
        compared = json.loads(run("compare", "k.fmlp", "k.csv", "--json").out)["models"][0]
        assert found["loss"] == pytest.approx(found["log_loss"], rel=1e-9)
        assert compared["log_loss"] == pytest.approx(found["loss"], rel=1e-6)
        assert compared["accuracy"] == pytest.approx(found["accuracy"])
        assert 1 < found["loss"] < 16.2
