"""`fastmlp path`: files, tables, errors, interruption."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from fastmlp import models

QUICK = ("--n-lambdas", 5, "--folds", 3, "--epochs", 20, "--seed", 1)


def document(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_files_and_table(run, numbers, tmp_path):
    outcome = run("path", numbers, "--target", "y", "--units", "6,4", *QUICK, "-o", "out")
    assert outcome.code == 0, outcome.err
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["cv.png", "fits.png", "model.fmlp", "path.csv", "path.png"]
    assert outcome.err.splitlines()[-1] == (
        "Wrote path.csv, model.fmlp, cv.png, path.png, fits.png to out."
    )
    assert re.search(r"min +1se \(kept\)", outcome.out)
    assert "live hidden units" in outcome.out
    assert "5 lambdas" in outcome.out
    rows = table(tmp_path / "out" / "path.csv")
    assert len(rows) == 5
    assert {choice for row in rows for choice in row["choice"].split()} == {"min", "1se"}
    kept = next(float(row["lambda"]) for row in rows if "1se" in row["choice"])
    model = models.load_model("out/model.fmlp")
    assert model.extras["path"]["lambda"] == kept
    assert model.extras["config"]["units"] == "6,4"
    again = run("predict", "out/model.fmlp", numbers)
    assert again.code == 0, again.err
    assert len(again.out.splitlines()) == 31


def test_json_without_hidden_layers(run, flowers):
    args = ("path", flowers, "--target", "kind", "--units", "none", *QUICK, "--json")
    result = document(run(*args))
    assert (result["task"], result["units"], result["measure"]) == (
        "classification", [], "deviance",
    )  # fmt: skip
    assert len(result["path"]["cv_misclassification"]) == 5
    assert result["lambda"] == result["lambda_1se"] >= result["lambda_min"]
    least = document(run(*args, "--choose", "min"))
    assert least["lambda"] == least["lambda_min"] == result["lambda_min"]
    assert document(run(*args, "--threads", 3))["path"] == result["path"]


def test_lecture_data_and_a_grid_of_ones_own(run, tmp_path):
    outcome = run(
        "path", "--data", "regression", "--units", "4", "--lambdas", "0.1,0.01", "--folds", 2,
        "--epochs", 5, "--penalty", "group", "--layer-factors", "1,0.5", "-o", "out", "-q",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert all(line.startswith("Warning: ") for line in outcome.err.splitlines())
    rows = table(tmp_path / "out" / "path.csv")
    assert [row["lambda"] for row in rows] == ["0.1", "0.01"]
    assert [row["lambda_2"] for row in rows] == ["0.05", "0.005"]


def test_a_grid_for_each_layer(run, numbers):
    args = ("path", numbers, "--target", "y", "--units", 3, "--epochs", 2, "--folds", 2, "--json")
    result = document(run(*args, "--lambdas", "0.1:0.2,0.01:0.2"))
    assert result["path"]["lambda_1"] == [0.1, 0.01]
    assert result["path"]["lambda_2"] == [0.2, 0.2]


def test_a_drawn_seed_is_recorded_and_configuration_printed(run, numbers):
    args = ("path", numbers, "--target", "y", "--units", "none", "--n-lambdas", 4, "--json")
    first = document(run(*args))
    assert document(run(*args, "--seed", first["seed"]))["path"] == first["path"]
    printed = run("path", numbers, "--units", "8", "--lambdas", "0.1,1", "--print-config")
    assert 'lambdas = "0.1,1"' in printed.out
    assert "learning-rate = 0.01" in printed.out
    assert "seed = " in printed.out


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--units", "0"], "units must be positive integers"),
        (["--units", "8", "--activation", "rellu"], "Did you mean 'relu'?"),
        (["--units", "none", "--lambdas", ""], "at least one number. Received: an empty grid"),
        (["--units", "none", "--lambdas", "1,a"], "numbers with commas between"),
        (["--units", "2", "--lambdas", "1:2,1:a"], "numbers with colons between"),
        (["--units", "2", "--lambdas", "1:2,2:1"], "must form one path"),
        (["--units", "2", "--lambdas", "1:2,2"], "must be numbers"),
        (["--units", "none", "--lambdas", "1,1"], "must differ. Received: 1 2 times"),
        (["--units", "none", "--lambdas", "1,-1"], "not negative. Received: -1"),
        (["--units", "none", "--n-lambdas", "0"], "--n-lambdas"),
        (["--units", "none", "--folds", "1"], "--folds"),
        (["--units", "none", "--layer-factors", "1,2"], "one number per Dense layer"),
        (["--units", "none", "--measure", "deviance"], "Unknown measure"),
        (["--units", "none", "--penalty", "l3"], "'l3' is not one of"),
        (["--units", "none", "--indicator", "--impute", "none"], "--indicator needs --impute"),
        (["--units", "none", "--data", "regression"], "DATA is given as well"),
        (["--loss", "mae"], "--loss is not an option of path: lambda is measured in"),
    ],
)
def test_wrong_options(run, numbers, args, text):
    outcome = run("path", numbers, "--target", "y", *args)
    assert outcome.code == 2
    assert text in outcome.err


@pytest.mark.parametrize(
    ("name", "content", "args", "text"),
    [
        ("a.csv", "x,y\n1,2\n2,3\n3,5\n", ["--folds", "4"], "folds=4 for 3 rows"),
        ("a.csv", "x,y\n1,a\n2,b\n3,a\n4,a\n", ["--folds", "2"], "rows of one class only, 'a'"),
        ("a.csv", "x,y\n1,a\n2,a\n3,a\n", [], "one class only"),
        ("a.csv", "x,y\n1,2\n2,2\n3,2\n", ["--task", "regression"], "holds the number 2"),
        ("a.csv", "x,y\n1,2\n1,3\n1,5\n1,6\n", ["--folds", "2"], "No input varies"),
        ("a.csv", "x,y\n1,2\n,3\n", ["--impute", "none", "--folds", "2"], "missing"),
        ("b.csv", None, [], "b.csv"),
    ],
)
def test_wrong_data(run, write, name, content, args, text):
    if content is not None:
        write(name, content)
    outcome = run("path", name, "--target", "y", "--units", "none", *args)
    assert outcome.code == 4
    assert text in outcome.error


def test_files_are_not_replaced_unless_asked(run, numbers, tmp_path):
    args = ("path", numbers, "--target", "y", "--units", "none", "--n-lambdas", 2, "-o", "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cv.png").write_bytes(b"mine")
    outcome = run(*args)
    assert outcome.code == 1
    assert "cv.png: the file exists" in outcome.error
    assert (tmp_path / "out" / "cv.png").read_bytes() == b"mine"
    assert run(*args, "--force").code == 0


def test_ctrl_c_keeps_the_path_up_to_there(tmp_path):
    args = ["path", "--data", "regression", "--units", "64x2", "--n-lambdas", "50", "--lambdas"]
    grid = ",".join(str(1e-4 * 1.02**i) for i in range(400))
    process = subprocess.Popen(
        [sys.executable, "-m", "fastmlp.cli", *args, grid, "-o", "out", "--epochs", "100"],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip
    for line in process.stderr:  # progress, from the first second on
        if int((re.match(r"path: (\d+)/", line) or [0, 0])[1]) >= 12:
            break
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130, err
    assert re.search(r"Interrupted after \d+ of 400 lambdas. out has the table and the model", err)
    assert "Traceback" not in err
    done = int(re.search(r"after (\d+) of", err)[1])
    rows = (tmp_path / "out" / "path.csv").read_text().splitlines()
    assert len(rows) == done + 1
    assert models.load_model(tmp_path / "out" / "model.fmlp").n_inputs == 1


def test_options_without_effect_are_named(run):
    args = ["path", "--data", "regression", "--units", "none", "--epochs", "20", "--folds", "2"]
    outcome = run(*args, "--n-lambdas", "2")
    assert outcome.code == 0
    warning = "Warning: No effect of epochs=20: a model without hidden layers is solved"
    assert warning in outcome.err


def test_a_standard_error_larger_than_the_gain_is_told(run, write):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = np.exp(1.5 * rng.normal(size=120) + 0.8 * x[:, 0])
    rows = [",".join(f"{v:.6g}" for v in (*row, z)) for row, z in zip(x, y, strict=True)]
    write("skewed.csv", "a,b,c,y\n" + "\n".join(rows) + "\n")
    args = ("path", "skewed.csv", "--target", "y", "--units", "none", "--n-lambdas", 8, "--seed", 1)
    outcome = run(*args)
    assert outcome.code == 0, outcome.err
    assert "Warning: '1se' would lose the gain over a constant" in outcome.err
    assert re.search(r"min \(kept\) +1se *\n", outcome.out)
    result = document(run(*args, "--json"))
    assert (result["choose"], result["chosen"]) == ("1se", "min")
    assert result["lambda"] == result["lambda_min"] < result["lambda_1se"]
    assert len(result["warnings"]) == 1


def test_the_end_of_the_grid_is_told(run, numbers):
    args = ("path", numbers, "--target", "y", "--units", "none", "--lambdas", "1,0.5", "--folds", 2)
    err = run(*args, "--seed", 1).err
    assert "Warning: The least error is at the smallest lambda, 0.5, an end of the grid" in err


def test_a_table_needs_no_options_and_every_decision_is_printed(run, write):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 2))
    rows = [f"{a:.3f};{b:.3f};{'pq'[i % 2]};{a * b:.3f}" for i, (a, b) in enumerate(x)]
    write("t.csv", "a;b;zone;y\n" + "\n".join(rows) + "\n")
    printed = run("path", "t.csv", "--seed", 1, "--print-config").out
    for line in ('units = "64x2"', 'activation = "silu"', "epochs = 200", "batch-size = 160",
                 'target = ["y"]', 'task = "regression"', 'impute = "median"', 'measure = "mse"',
                 "# t.csv: semicolons"):  # fmt: skip
        assert line in printed, line
    outcome = run("path", "t.csv", *QUICK, "-o", "out")
    assert "semicolons" in outcome.err and "Target: 'y', the last column." in outcome.err
    text = run("summary", "out/model.fmlp").out
    assert "scaled by median" in text and "160 rows, 3-fold cross-validation" in text
    assert run("predict", "out/model.fmlp", "t.csv").code == 0  # reads it alike
    missing = run("path", "--lecture", "regression")
    assert missing.code == 2 and "Missing option '--units'" in missing.err


def test_rows_are_weighted_and_options_of_train_are_refused(run, flowers):
    args = ("path", flowers, "--units", "none", *QUICK, "--json")
    plain = document(run(*args, "--drop", "width"))
    weighted = document(run(*args, "--weight", "width", "-o", "out"))
    assert weighted["null"] != plain["null"]
    outcome = run("evaluate", "out/model.fmlp", flowers)
    assert outcome.code == 0, outcome.err
    outcome = run("path", flowers, "--patience", 3)
    assert outcome.code == 2
    assert "--patience is not an option of path: each lambda gets the same epochs" in outcome.err
    outcome = run("path", flowers, "--validation-split", 0.2)
    assert outcome.code == 2 and "each lambda is scored in the folds" in outcome.err
    outcome = run("path", flowers, "--weight", "colour")
    assert outcome.code == 4 and "'colour', the weight, holds text" in outcome.err
