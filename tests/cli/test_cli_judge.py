"""What `fastmlp evaluate` and `predict` do with held-out rows, intervals and thresholds."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from fastmlp import models
from fastmlp.tabular import Quality, bootstrap, scores

N = 600


def table(kind, n=N, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.uniform(0.2, 2, n)
    name = rng.choice(["p", "q"], n)
    value = 3 * a + (name == "p") + b * rng.normal(size=n)
    y = {
        "y": [f"{v:.4f}" for v in value],
        "ill": np.where(value > 1, "yes", "no"),
        "size": [("small", "middle", "large")[i] for i in np.digitize(value, [-1, 1])],
    }[kind]
    return ["a,b,name," + kind] + [
        f"{i:.5f},{j:.5f},{k},{v}" for i, j, k, v in zip(a, b, name, y, strict=True)
    ]


@pytest.fixture
def trained(run, write):
    def train(kind, *options, n=N):
        write("t.csv", "\n".join(table(kind, n)) + "\n")
        outcome = run("train", "t.csv", "--target", kind, "--units", "8", "--epochs", "5",
                      "--seed", "1", *options, "-o", "m.fmlp")  # fmt: skip
        assert outcome.code == 0, outcome.err
        write("new.csv", "\n".join(table(kind, 2000, seed=9)) + "\n")
        return outcome

    return train


def document(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def rows_of(outcome):
    assert outcome.code == 0, outcome.err
    return list(csv.DictReader(io.StringIO(outcome.out)))


def test_two_classes(run, trained):
    outcome = trained("ill", "--cost", "fp:1,fn:10")
    for name in (
        "AUC",
        "PR-AUC (yes)",
        "log loss",
        "Brier score",
        "accuracy",
        "network",
        "logistic",
    ):
        assert name in outcome.out
    found = document(run("evaluate", "m.fmlp", "new.csv", "--json", "-q"))
    p = np.array(
        [float(r["probability_yes"]) for r in rows_of(run("predict", "m.fmlp", "new.csv"))]
    )
    with Path("new.csv").open(newline="") as file:
        y = np.array([row["ill"] == "yes" for row in csv.DictReader(file)])
    for name, value in scores("classification", y, p).items():
        assert found[name] == pytest.approx(value, rel=1e-5)
    for name, (low, high) in bootstrap("classification", y, p).items():
        assert found["intervals"][name] == pytest.approx([low, high], rel=1e-4)
    assert found["rarer"] == "yes"
    assert "PR-AUC (yes)" in run("evaluate", "m.fmlp", "new.csv", "-q").out
    assert [row["class"] for row in found["per_class"]] == ["no", "yes"]
    assert found["seen"] == {"rows": 0, "exact": True}
    threshold = found["threshold"]
    assert threshold["rule"] == "cost fp:1,fn:10" and threshold["value"] < 0.4
    assert threshold["false_negatives"] == (y & (p <= threshold["value"])).sum()
    text = run("evaluate", "m.fmlp", "new.csv").out
    assert "Threshold 0." in text and re.search(r"AUC +0\.9\d+ +0\.9\d+ to 0\.9\d+", text)


def test_the_rows_of_the_training_are_known(run, trained, write):
    outcome = trained("y")
    closing = re.search(r"RMSE +([\d.]+)", outcome.out)[1]
    whole = run("evaluate", "m.fmlp", "t.csv", "--json")
    assert document(whole)["seen"] == {"rows": 480, "exact": True}
    assert "The model was trained on 480 of these 600 rows" in whole.err
    held = run("evaluate", "m.fmlp", "t.csv", "--part", "held-out", "--json")
    found = document(held)
    assert (found["rows"], found["part"], found["seen"]["rows"]) == (120, "held-out", 0)
    assert "was trained on" not in held.err
    kept = Quality.of(models.load_model("m.fmlp")).held_out
    for name in ("r2", "rmse", "mae"):
        assert found[name] == pytest.approx(kept.network[name], rel=1e-5)
    assert float(closing) == pytest.approx(found["rmse"], abs=0.06)
    # Rows and columns in another order are the same rows.
    rows = [line.split(",") for line in table("y")]
    rows = [[*row[2:], *row[:2]] for row in rows]
    write("u.csv", "\n".join(map(",".join, [rows[0], *rows[:0:-1]])))
    other = document(run("evaluate", "m.fmlp", "u.csv", "--part", "held-out", "--json"))
    assert other["rows"] == 120 and other["rmse"] == pytest.approx(found["rmse"], rel=1e-6)


def test_parts_that_there_are_not(run, trained, numbers):
    trained("y")
    outcome = run("evaluate", "m.fmlp", "new.csv", "--part", "held-out")
    assert outcome.code == 4 and "none of these rows was held out" in outcome.error
    assert run("evaluate", "m.fmlp", "new.csv", "--part", "test").code == 2
    trained("y", "--refit", "--force")
    outcome = run("evaluate", "m.fmlp", "t.csv", "--part", "held-out")
    assert outcome.code == 4 and "no rows were held out" in outcome.error
    trained("y", "--force", n=60)
    outcome = run("evaluate", "m.fmlp", "t.csv", "--part", "held-out")
    assert outcome.code == 4 and "cross-validation and trained on all rows" in outcome.error


def test_missing_targets_are_left_out(run, trained, write):
    trained("y")
    lines = table("y", 100, seed=3)
    whole = document(run("evaluate", "m.fmlp", write("w.csv", "\n".join(lines)), "--json"))
    gaps = [lines[0], "1,1,p,", *lines[1:], "2,1,q,NA"]
    outcome = run("evaluate", "m.fmlp", write("g.csv", "\n".join(gaps)), "--json")
    assert document(outcome)["rows"] == 100
    assert document(outcome)["rmse"] == pytest.approx(whole["rmse"])
    assert "2" in outcome.err and "target" in outcome.err


def test_intervals_of_numbers(run, trained):
    trained("y", "--interval", "0.9", n=3000)
    rows = rows_of(run("predict", "m.fmlp", "new.csv", "--keep-columns"))
    assert list(rows[0]) == ["a", "b", "name", "y", "prediction", "lower", "upper"]
    y, low, high = (np.array([float(r[k]) for r in rows]) for k in ("y", "lower", "upper"))
    inside = ((low <= y) & (y <= high)).mean()
    # 600 rows were held out, and 2000 are new: the share has a standard error of 0.014.
    assert 0.9 - 3 * 0.014 < inside < 0.9 + 3 * 0.014
    found = document(run("evaluate", "m.fmlp", "new.csv", "--json"))["interval"]
    assert found["coverage"] == pytest.approx(inside) and found["level"] == 0.9
    assert "Intervals of 0.9: hold 0." in run("evaluate", "m.fmlp", "new.csv").out
    as_json = document(run("predict", "m.fmlp", "new.csv", "--json"))
    assert as_json["lower"] == pytest.approx(low)


def test_sets_of_classes(run, trained):
    trained("size", "--interval", "0.8", n=2000)
    rows = rows_of(run("predict", "m.fmlp", "new.csv", "--keep-columns"))
    inside = np.mean([r["size"] in r["set"].split("|") for r in rows])
    assert 0.74 < inside < 0.86  # 400 rows were held out: a standard error of 0.02
    found = document(run("evaluate", "m.fmlp", "new.csv", "--json"))
    assert found["interval"]["coverage"] == pytest.approx(inside)
    assert list(found["intervals"]) == [
        "log_loss", "accuracy", "balanced_accuracy", "macro_f1", "base_rate"
    ]  # fmt: skip
    assert "Sets of 0.8" in run("evaluate", "m.fmlp", "new.csv").out
    outcome = run("predict", "m.fmlp", "new.csv", "--threshold", "0.3")
    assert outcome.code == 4 and "--threshold needs a model of two classes" in outcome.error


def test_thresholds_of_predict(run, trained):
    trained("ill", "--threshold", "0.2")
    for options, threshold in (((), 0.2), (("--threshold", "0.7"), 0.7)):
        rows = rows_of(run("predict", "m.fmlp", "new.csv", *options))
        chosen = [(float(row["probability_yes"]) > threshold) for row in rows]
        assert [row["prediction"] == "yes" for row in rows] == chosen
        assert any(chosen) and not all(chosen)
    assert run("predict", "m.fmlp", "new.csv", "--threshold", "1.5").code == 2


def test_columns_that_go_with_the_predictions(run, trained, write):
    trained("y")
    plain = run("predict", "m.fmlp", write("p.csv", "name,b,a\nq,1,2\np,0.5,0.1\n")).out
    text = "key,name,b,a,note\nx 1,q,1,2,\ny,p,0.5,0.1,hello\n"  # another order, no target
    write("i.csv", text)
    found = rows_of(run("predict", "m.fmlp", "i.csv", "--id", "key", "--id", "a", "--drop", "note"))
    assert list(found[0]) == ["key", "a", "prediction"]
    assert [row["key"] for row in found] == ["x 1", "y"] and found[1]["a"] == "0.1"
    assert [row["prediction"] for row in found] == plain.split()[1:]
    found = rows_of(run("predict", "m.fmlp", "i.csv", "--keep-columns"))
    assert list(found[0]) == ["key", "name", "b", "a", "note", "prediction"]
    assert [row["note"] for row in found] == ["", "hello"]
    found = rows_of(run("predict", "m.fmlp", "i.csv", "--keep-columns", "--drop", "note"))
    assert list(found[0]) == ["key", "name", "b", "a", "prediction"]
    assert "'key'" in run("predict", "m.fmlp", "i.csv").error
    outcome = run("predict", "m.fmlp", "i.csv", "--id", "kez", "--drop", "note")
    assert "there is no column 'kez'. Did you mean 'key'?" in outcome.error
    assert run("predict", "m.fmlp", "i.csv", "--id", "key", "--keep-columns").code == 2
    write("c.csv", "prediction,name,b,a\n1,q,1,2\n")
    outcome = run("predict", "m.fmlp", "c.csv", "--id", "prediction")
    assert outcome.code == 4 and "has the name of a column of predictions" in outcome.error


def test_columns_of_models_without_names(run, write):
    model = models.mlp([4], 2, 1, seed=1)
    model.compile("adam", "mse")
    model.save("u.fmlp")
    plain = run("predict", "u.fmlp", write("p.csv", "b,a\n1,2\n3,4\n")).out
    write("i.csv", "b,key,a\n1,x,2\n3,y,4\n")
    rows = rows_of(run("predict", "u.fmlp", "i.csv", "--id", "key"))
    assert [row["key"] for row in rows] == ["x", "y"]
    assert [row["prediction"] for row in rows] == plain.split()[1:]


def test_a_loss_for_a_model_without_one(run, write, tmp_path):
    model = models.mlp([4], 2, 1, seed=1)
    model.save(tmp_path / "u.fmlp")
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.3f},{a:.3f}" for a, b in rng.normal(size=(50, 2))]
    write("d.csv", "\n".join(["a,b,y", *lines]))
    outcome = run("evaluate", "u.fmlp", "d.csv")
    assert "saved without a loss" in outcome.error and "--loss" in outcome.error
    found = document(run("evaluate", "u.fmlp", "d.csv", "--loss", "mse", "--json"))
    assert found["loss"] == pytest.approx(found["rmse"] ** 2, rel=1e-5)
    found = document(run("evaluate", "u.fmlp", "d.csv", "--loss", "quantile:0.9", "--json"))
    assert found["loss"] == pytest.approx(found["pinball_loss"], rel=1e-5)
    outcome = run("evaluate", "u.fmlp", "d.csv", "--loss", "msee")
    assert outcome.code == 2 and "Unknown loss: 'msee'" in outcome.err
    assert run("evaluate", "u.fmlp", "d.csv", "--loss", "quantile:2").code == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"interval": {"task": "classification", "level": 0.9, "limits": [0.1, 0.2], "n_rows": 9}},
        {"interval": {"task": "regression", "level": 0.9, "edges": [[], []],
                      "lower": [[0], [0]], "upper": [[0], [0]], "n_rows": 9}},
        {"threshold": {"value": 0.5, "rule": "f1", "precision": 0, "recall": 0,
                       "false_positives": 0, "false_negatives": 0}},
        {"digest": 5},
    ],
)  # fmt: skip
def test_damaged_files(run, trained, damage):
    trained("y")
    model = models.load_model("m.fmlp")
    model.extras["table"] |= damage
    model.save("bad.fmlp")
    for command in ("predict", "evaluate"):
        outcome = run(command, "bad.fmlp", "new.csv")
        assert outcome.code == 4 and "bad.fmlp: damaged" in outcome.error
