"""`fastmlp compare`: several models on one table."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp import models


@pytest.fixture
def trained(run, numbers):
    """Three models of one table, the first of them hardly trained."""
    options = {
        "poor": ("--epochs", 1, "--seed", 1, "--no-standardize"),
        "good": ("--epochs", 300, "--seed", 1),
        "fair": ("--epochs", 40, "--seed", 2, "--l2", "0.01"),
    }
    for name, args in options.items():
        args = (*args, "--validation-split", 0, "-o", f"{name}.fmlp", "-q")
        outcome = run("train", numbers, "--units", 8, *args)
        assert outcome.code == 0, outcome.err
    return ["poor.fmlp", "good.fmlp", "fair.fmlp"]


def compared(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_models_are_sorted_and_the_best_is_marked(run, numbers, trained):
    document = compared(run("compare", *trained, numbers, "--json"))
    head = {key: document[key] for key in ("data", "rows", "target", "task", "sorted_by")}
    assert head == {
        "data": numbers, "rows": 30, "target": "y", "task": "regression", "sorted_by": "mse",
    }  # fmt: skip
    rows = document["models"]
    assert [row["model"] for row in rows] == ["good.fmlp", "fair.fmlp", "poor.fmlp"]
    assert [row["mse"] for row in rows] == sorted(row["mse"] for row in rows)
    assert [row["r2"] for row in rows] == sorted((row["r2"] for row in rows), reverse=True)
    assert document["best"] == {key: ["good.fmlp"] for key in ("mse", "mae", "r2")}
    out = run("compare", *trained, numbers).out
    lines = {name: next(line for line in out.splitlines() if name in line) for name in trained}
    assert lines["good.fmlp"].count("*") == 3
    assert "*" not in lines["fair.fmlp"] + lines["poor.fmlp"]
    assert out.index("good.fmlp") < out.index("fair.fmlp") < out.index("poor.fmlp")
    assert out.endswith("* best\n")


def test_figures_are_those_of_evaluate_in_the_targets_units(run, numbers, trained):
    rows = {row["model"]: row for row in
            compared(run("compare", *trained, numbers, "--json"))["models"]}  # fmt: skip
    for path in trained:
        alone = json.loads(run("evaluate", path, numbers, "--json").out)
        assert rows[path]["mse"] == pytest.approx(alone["mse"], rel=1e-5)
        assert rows[path]["parameters"] == models.load_model(path).count_params()
    predictions = json.loads(run("predict", "good.fmlp", numbers, "--json").out)["prediction"]
    y = np.array([a - 2 * ((7 * a) % 11) + 1 for a in range(30)])
    error = np.array(predictions) - y
    assert rows["good.fmlp"]["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    assert rows["good.fmlp"]["r2"] == pytest.approx(1 - np.mean(error**2) / y.var(), rel=1e-5)


def test_the_best_of_equals_are_all_marked(run, numbers, trained):
    document = compared(run("compare", "good.fmlp", "good.fmlp", numbers, "--json"))
    assert document["best"]["mse"] == ["good.fmlp", "good.fmlp"]
    assert run("compare", "good.fmlp", "good.fmlp", numbers).out.count("*") == 7


def test_classifiers_with_preprocessing_of_their_own(run, flowers):
    for name, options in {"a": ("--drop", "colour"), "b": ("--standardize", "--units", 16)}.items():
        args = ("--units", 8, "--epochs", 60, "--seed", 1, "--group-l1", 0, *options)
        assert run("train", flowers, *args, "-o", f"{name}.fmlp", "-q").code == 0
    document = compared(run("compare", "a.fmlp", "b.fmlp", flowers, "--sort", "log_loss", "--json"))
    losses = [row["log_loss"] for row in document["models"]]
    assert losses == sorted(losses)
    for row in document["models"]:
        alone = json.loads(run("evaluate", row["model"], flowers, "--json").out)
        assert row["accuracy"] == pytest.approx(alone["accuracy"])
        assert row["log_loss"] == pytest.approx(alone["loss"], rel=1e-4)


def test_two_classes(run):
    run("datasets", "classification_train", "-o", "c.csv")
    run("train", "c.csv", "--units", 4, "--epochs", 20, "--group-l1", 0, "-o", "m.fmlp", "-q")
    row = compared(run("compare", "m.fmlp", "c.csv", "--json"))["models"][0]
    alone = json.loads(run("evaluate", "m.fmlp", "c.csv", "--json").out)
    assert row["accuracy"] == pytest.approx(alone["accuracy"])
    assert row["log_loss"] == pytest.approx(alone["loss"], rel=1e-5)


def test_a_constant_target_has_no_share_that_is_explained(run, write, trained):
    write("flat.csv", "a,b,y\n1,2,3\n2,3,3\n")
    document = compared(run("compare", "good.fmlp", "flat.csv", "--json"))
    assert document["models"][0]["r2"] == 0
    assert document["best"]["r2"] == ["good.fmlp"]


def test_data_may_come_from_standard_input(run, tmp_path, numbers, trained):
    text = (tmp_path / numbers).read_text()
    document = compared(run("compare", *trained, "-", "--json", stdin=text))
    assert (document["rows"], document["data"]) == (30, "-")


# ---- what does not fit -------------------------------------------------------------------------


def test_a_model_that_does_not_fit_is_named(run, write, trained):
    write("other.csv", "a,c,y\n1,2,3\n2,3,4\n")
    outcome = run("compare", *trained, "other.csv")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.error.startswith(
        "Error: model poor.fmlp does not fit: other.csv: there is no input column 'b'."
    )
    models.mlp([3], 5, 1).save("plain.fmlp")
    outcome = run("compare", "good.fmlp", "plain.fmlp", "numbers.csv")
    assert outcome.code == 4
    assert "plain.fmlp" in outcome.error and "good.fmlp" not in outcome.error


def test_tasks_and_targets_must_be_the_same(run, flowers, numbers, trained):
    run("train", flowers, "--units", 4, "--epochs", 1, "-o", "kind.fmlp", "-q")
    outcome = run("compare", "good.fmlp", "kind.fmlp", numbers)
    assert outcome.code == 4
    assert "kind.fmlp does not fit: it is for classification, good.fmlp" in outcome.error
    run("train", numbers, "--units", 4, "--epochs", 1, "--target", "a", "-o", "a.fmlp", "-q")
    outcome = run("compare", "good.fmlp", "a.fmlp", numbers)
    assert outcome.code == 4
    assert "a.fmlp does not fit: it predicts 'a', good.fmlp 'y'; --target" in outcome.error


def test_target_names_another_column(run, write, trained):
    write("renamed.csv", "a,b,z\n1,2,3\n2,3,4\n")
    assert run("compare", *trained, "renamed.csv").code == 4
    document = compared(run("compare", *trained, "renamed.csv", "--target", "z", "--json"))
    assert document["target"] == "z"


def test_wrong_usage(run, numbers, trained):
    assert run("compare").code == 2
    outcome = run("compare", numbers)
    assert outcome.code == 2
    assert "Missing argument" in outcome.err
    outcome = run("compare", *trained, numbers, "--sort", "accuracy")
    assert outcome.code == 2
    assert "accuracy is not a metric of regression; expected one of mse, mae, r2" in outcome.error
    assert run("compare", "absent.fmlp", numbers).code == 4
