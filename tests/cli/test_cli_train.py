"""`fastmlp train`: options, tables, files, divergence, interruption."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys

import numpy as np
import pytest

from fastmlp import datasets, models
from fastmlp.models import Sequential


def result(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


# ---- the lecture's data ----


def test_units_are_all_it_needs(run, tmp_path):
    outcome = run("train", "--units", "8x2", "--l1", "0.001")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "training" in outcome.out
    assert "validation" in outcome.out
    assert "97 parameters, 1000 epochs" in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_document(run):
    options = ("--l2", "0.1,0,0", "--epochs", 20, "--seed", 7)
    outcome = run("train", "--units", "8,4", *options, "--json")
    document = result(outcome)
    assert outcome.err == ""
    expected = {
        "task": "regression", "data": "lecture:regression", "target": "y", "units": [8, 4],
        "l1": 0, "l2": [0.1, 0, 0], "optimizer": "adam", "learning_rate": 0.001, "epochs": 20,
        "batch_size": 50, "seed": 7, "parameters": 57, "output": None,
    }  # fmt: skip
    assert {key: document[key] for key in expected} == expected
    assert document["train"]["loss"] > document["train"]["mse"]
    assert set(document["val"]) == {"loss", "mse"}


def test_a_seed_makes_a_run_reproducible_and_is_recorded_when_drawn(run):
    args = ("train", "--units", "8", "--epochs", 5, "--json", "--dropout", "0.5", "-o", "m.fmlp")
    drawn = result(run(*args))
    assert models.load_model("m.fmlp").seed == drawn["seed"]
    again = result(run(*args, "--seed", drawn["seed"], "--force"))
    assert again["train"] == drawn["train"]
    other = result(run(*args, "--seed", drawn["seed"] + 1, "--force"))
    assert other["train"] != drawn["train"]


def test_classification_data(run):
    document = result(
        run("train", "--data", "classification", "--units", "16", "--epochs", 50, "--json")
    )
    assert document["task"] == "classification"
    assert set(document["val"]) == {"loss", "accuracy"}


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adam", "adamw", "ADAM"])
def test_optimizers(run, optimizer):
    args = ("--units", 4, "--epochs", 2, "--optimizer", optimizer, "--learning-rate", "0.25")
    document = result(run("train", *args, "--json"))
    assert document["optimizer"] == optimizer.lower()
    assert document["learning_rate"] == 0.25


def test_validation_is_done_as_often_as_asked(run):
    args = ("train", "--units", "4", "--epochs", 40, "-q", "-o", "m.fmlp", "--force")
    for options, times in (((), 20), (("--validation-every", 10), 4)):
        run(*args, *options)
        history = models.load_model("m.fmlp").history.history
        assert len(history["loss"]) == 40
        assert len(history["val_loss"]) == times


def test_lecture_data_can_be_split_as_well(run):
    document = result(
        run("train", "--units", 4, "--epochs", 2, "--validation-split", 0.2, "--json")
    )
    assert document["batch_size"] == 40


# ---- options alone: exit code 2 ----


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--units", "0"], "units must be positive integers"),
        (["--units", "1024x"], "Received: units='1024x'"),
        (["--units", ""], "units must be"),
        ([], "Missing option '--units'"),
        (["--units", "4", "--l1", "-1"], "l1 must be a finite number of at least 0"),
        (["--units", "4", "--l2", "nan"], "l2 must be"),
        (["--units", "4", "--l2", ""], "l2 must be"),
        (["--units", "4", "--l2", "a"], "Received: 'a'"),
        (["--units", "4x5", "--l1", "1,2,3"], "1 or 6. Received: 3 values"),
        (["--units", "4", "--activation", "rellu"], "Did you mean 'relu'?"),
        (["--units", "4x3", "--activation", "relu,tanh"], "one per hidden layer"),
        (["--units", "4", "--dropout", "1"], "dropout must be a rate in [0, 1)"),
        (["--units", "4", "--dropout", "x"], "Received: 'x'"),
        (["--units", "4x2", "--dropout", "0.1,0.2,0.3"], "1 or 2"),
        (["--units", "4", "--optimizer", "adm"], "'adm' is not one of"),
        (["--units", "4", "--learning-rate", "nan"], "learning_rate must be"),
        (["--units", "4", "--learning-rate", "-1"], "learning_rate must be"),
        (["--units", "4", "--epochs", "0"], "--epochs"),
        (["--units", "4", "--threads", "0"], "--threads"),
        (["--units", "4", "--batch-size", "0"], "--batch-size"),
        (["--units", "4", "--seed", "-1"], "--seed"),
        (["--units", "4", "--validation-split", "1"], "--validation-split"),
        (["--units", "4", "--validation-every", "0"], "--validation-every"),
        (["--units", "4", "--target", "y"], "--target describes DATA"),
        (["--units", "4", "--standardize"], "--standardize describes DATA"),
        (["--units", "4", "--categorical", "y"], "--categorical describes DATA"),
        (["--units", "4", "-o", "-"], "a model cannot be written"),
        (["a.csv", "--units", "4", "--data", "regression"], "DATA is given as well"),
        (["-", "--units", "4", "--validation", "-"], "standard input"),
        (
            ["--units", "4", "--validation", "a.csv", "--validation-split", "0.1"],
            "exclude each other",
        ),
    ],
)
def test_wrong_options(run, args, text):
    outcome = run("train", *args)
    assert outcome.code == 2
    assert text in outcome.error
    assert outcome.out == ""


def test_wrong_options_come_before_wrong_files(run):
    assert run("train", "nowhere.csv", "--units", "0").code == 2


# ---- tables: exit code 4 ----


GOOD = "a,b,y\n1,2,3\n2,3,4.5\n3,5,6\n"


@pytest.mark.parametrize(
    ("content", "args", "text"),
    [
        (None, [], "t.csv: no such file or directory"),
        ("", [], "t.csv: the file is empty"),
        ("a,b,y\n", [], "no rows"),
        ("a,b,y\n1,2,3\n4,5\n", [], "row 2 (line 3) has 2 fields, expected 3"),
        ("a,a,y\n1,2,3\n", [], "names column 'a' twice"),
        ("a,b,y\n1,2,3\n2,x,4.5\n3,4,5\n", [], "row 2 (line 3), column 'b': 'x' is text"),
        (
            "a,b,y\n1,2,3\n2,nan,4.5\n",
            ["--impute", "none"],
            "row 2 (line 3), column 'b': the value is missing",
        ),
        ("a,b,y\n1,2,3\n2,1,NaN\n", [], "t.csv: 1 row with a target; expected at least two"),
        ("a,b,y\n1,2,3\n2,inf,4.5\n", [], "row 2 (line 3), column 'b': 'inf' is not a finite"),
        ("a,b,y\n1,2,3.5\n2,1,inf\n", [], "row 2 (line 3), column 'y': 'inf' is not a finite"),
        (
            "a,b,y\n1,2,3.5\n2,1e300,1\n",
            ["--no-standardize"],
            "row 2 (line 3), column 'b': '1e300' is too large",
        ),
        (GOOD, ["--target", "Y"], "no target column 'Y'. Did you mean 'y'? Columns: a, b, y"),
        (GOOD, ["--categorical", "c"], "no column 'c'"),
        (GOOD, ["--drop", "c"], "no column 'c'"),
        (GOOD, ["--drop", "a", "--drop", "b"], "there is no input column besides"),
        (GOOD, ["--validation", "v.csv"], "v.csv: no such file"),
        ("a,b,y\n1,2,k\n2,1,k\n", [], "column 'y' holds one class only ('k')"),
        ("a,b,y\n1,2,1\n2,1,1\n", [], "column 'y' holds one class only ('1')"),
        ("a,b,y\n1,2,k\n2,1,m\n", ["--task", "regression"], "'k' is text; a regression target"),
        ("a,y\n1,2.5\n", ["--validation-split", "0.5"], "too few"),
    ],
)
def test_wrong_tables(run, write, content, args, text):
    if content is not None:
        write("t.csv", content)
    outcome = run("train", "t.csv", "--units", 4, "--epochs", 1, *args)
    assert outcome.code == 4
    assert text in outcome.error
    assert outcome.err.count("\n") == 1  # the error and nothing else
    assert outcome.out == ""


# ---- tables ----


def test_regression_on_a_table(run, numbers):
    outcome = run("train", numbers, "--units", 8, "--epochs", 3, "--json")
    document = result(outcome)
    assert outcome.err == (
        "Target: 'y', the last column.\nTask: regression, because 'y' holds numbers.\n"
        "8 silu, adamw 0.0045, batches of 16, at most 3 epochs; 2 x 5-fold cross-validation "
        "chooses the epochs.\n"
        f"10 networks of the folds: best after {document['best_epoch']} of 3 epochs.\n"
    )
    assert (document["batch_size"], document["val"]) == (16, None)
    assert document["held_out"]["n_rows"] == 30
    assert run("train", numbers, "--units", 8, "--epochs", 3, "-q").err == ""
    named = run("train", numbers, "--units", 8, "--epochs", 3, "--target", "b")
    assert named.err.startswith("Task: regression, because 'b' holds numbers.\n")


def test_a_table_has_other_defaults(run, flowers):
    document = result(run("train", flowers, "--json"))
    decisions = document["decisions"]
    assert (decisions["epochs"], document["batch_size"]) == (128, 16)
    assert document["epochs"] == document["best_epoch"] <= 128
    assert document["units"] == [32, 32]


def test_standardised_training_reports_in_the_target_s_units(run, numbers):
    args = ("--units", 16, "--epochs", 400, "--learning-rate", 0.01, "--standardize", "--seed", 1,
            "--group-l1", 0)  # fmt: skip
    document = result(run("train", numbers, *args, "--json", "-o", "m.fmlp"))
    table = datasets.read_csv(numbers)
    variance = table.numbers("y").var()
    assert variance > 50
    assert document["train"]["mse"] < 0.05 * variance
    assert document["train"]["mse"] == pytest.approx(document["train"]["loss"] * variance, rel=1e-4)
    predicted = json.loads(run("predict", "m.fmlp", numbers, "--json").out)["prediction"]
    mse = np.mean((np.array(predicted) - table.numbers("y")) ** 2)
    assert mse == pytest.approx(document["train"]["mse"], rel=1e-3)
    evaluated = json.loads(run("evaluate", "m.fmlp", numbers, "--json").out)
    assert evaluated["mse"] == pytest.approx(document["train"]["mse"], rel=1e-5)


def test_two_classes(run, write):
    write("t.csv", "a,y\n" + "\n".join(f"{i},{5 if i > 9 else 7}" for i in range(20)) + "\n")
    outcome = run("train", "t.csv", "--units", 4, "--epochs", 2, "-v", "-o", "m.fmlp")
    assert "Task: classification, because 'y' holds only the whole numbers 5 and 7." in outcome.err
    assert "Classes: 5, 7." in outcome.err
    assert "Total params: 13" in outcome.err
    model = models.load_model("m.fmlp")
    assert model.loss.name == "binary_crossentropy"
    assert model.layers[-1].activation == "sigmoid"
    regression = run("train", "t.csv", "--units", 4, "--epochs", 2, "--task", "regression")
    assert "RMSE" in regression.out


def test_many_classes(run, flowers):
    outcome = run("train", flowers, "--units", 16, "--epochs", 60, "--learning-rate", 0.02,
                  "--seed", 3, "-o", "m.fmlp", "-v", "--json")  # fmt: skip
    document = result(outcome)
    assert document["train"]["accuracy"] > 0.9
    assert "because 'kind' holds text" in outcome.err
    assert "Column 'colour': 2 categories." in outcome.err
    assert "36 training rows, 0 validation rows, 4 inputs." in outcome.err
    model = models.load_model("m.fmlp")
    assert model.loss.name == "sparse_categorical_crossentropy"
    assert model.extras["preprocessing"]["target"]["labels"] == ["iris", "lily", "rose"]


def test_mixed_columns_and_missing_values_when_declared(run, write):
    write("t.csv", "zone,a,y\n1,1,3\nx,,4\n2,5,5.5\n")
    args = ("train", "t.csv", "--units", 4, "--epochs", 1)
    assert "'x' is text" in run(*args).error
    refused = run(*args, "--categorical", "zone", "--impute", "none")
    assert "the value is missing" in refused.error
    for impute in ("mean", "median"):
        outcome = run(*args, "--categorical", "zone", "--impute", impute, "-v")
        assert outcome.code == 0
        assert "5 inputs" in outcome.err
        assert f"Missing: a 33%; filled by the {impute}, with an indicator" in outcome.err
    assert "4 inputs" in run(*args, "--categorical", "zone", "--no-indicator", "-v").err
    assert run(*args, "--drop", "zone", "--impute", "mean", "-v").code == 0


def test_held_out_rows(run, numbers):
    args = ("train", numbers, "--units", 4, "--epochs", 4, "--seed", 1)
    outcome = run(*args, "--validation-split", 0.2, "-v", "--json")
    assert "24 training rows, 6 validation rows" in outcome.err
    assert result(outcome)["val"]["mse"] > 0
    outcome = run(*args, "--validation", numbers, "--validation-every", 2, "--json")
    document = result(outcome)
    assert document["val"] == document["train"]


def test_standard_input(run):
    piped = run("datasets", "regression_train").out
    outcome = run("train", "-", "--units", 4, "--epochs", 2, "-v", "--json", stdin=piped)
    assert result(outcome)["data"] == "-"
    assert "50 training rows" in outcome.err
    outcome = run("train", "-", "--units", 4, stdin="")
    assert outcome.code == 4
    assert outcome.error.startswith("Error: standard input: the file is empty")


# ---- files ----


def test_output_is_checked_before_training(run, write, monkeypatch, tmp_path):
    def never(*args, **options):
        raise AssertionError

    monkeypatch.setattr(Sequential, "fit", never)
    write("m.fmlp", "precious")
    (tmp_path / "figures").mkdir()
    write("figures/history.png", "precious")
    for path, text in (
        ("m.fmlp", "m.fmlp: the file exists; --force replaces it"),
        ("nowhere/m.fmlp", "nowhere: there is no such directory"),
        (".", "is a directory"),
    ):
        outcome = run("train", "--units", 4, "-o", path)
        assert outcome.code == 1
        assert text in outcome.error
        assert outcome.err.count("\n") == 1
    outcome = run("train", "--units", 4, "--plot", "figures")
    assert outcome.code == 1
    assert "figures/history.png: the file exists" in outcome.error
    assert (tmp_path / "m.fmlp").read_text() == "precious"


def test_output_that_fails_afterwards_is_a_failure_too(run, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Sequential, "save", full)
    outcome = run("train", "--units", 4, "--epochs", 1, "-o", "m.fmlp")
    assert outcome.code == 1
    assert outcome.error == "Error: m.fmlp: cannot be written: no space left on device"


@pytest.mark.parametrize(
    ("args", "figure"),
    [
        (["--units", "4"], "layers"),
        (["--units", "4", "--data", "classification"], "boundary"),
        (["numbers.csv", "--units", "4"], None),
    ],
)
def test_figures(run, numbers, monkeypatch, tmp_path, args, figure):
    from fastmlp import plots

    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.append(path.name))
    outcome = run("train", *args, "--epochs", 3, "--plot", "figures")
    assert outcome.code == 0
    expected = ["history", "network", "weights", *([figure] if figure else [])]
    assert drawn == [f"{name}.png" for name in expected]
    assert "to figures." in outcome.err


def test_dry_run(run, numbers, tmp_path):
    args = ("train", numbers, "--units", "8192x3", "--dry-run", "-o", "m.fmlp", "--plot", "figures")
    outcome = run(*args)
    assert outcome.code == 0
    values = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    parameters = 3 * 8192 + 2 * (8192 + 1) * 8192 + 8193
    assert values["parameters"] == f"{parameters:,}"
    assert values["weights"] == f"{parameters * 4 / 2**20:.1f} MiB"
    assert values["optimizer"] == f"{parameters * 8 / 2**30:.1f} GiB"
    assert values["steps"] == "256"  # 128 epochs of two batches
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.csv"]
    document = result(run(*args, "--json", "--optimizer", "sgd"))
    assert document["memory"]["weights"] == parameters * 4
    assert document["memory"]["total"] == sum(document["memory"].values()) / 2
    assert document["rows"] == 30


# ---- divergence and interruption ----


def test_divergence_names_the_epoch_and_keeps_the_last_good_weights(run):
    outcome = run("train", "--units", 8, "--learning-rate", "1e30", "-o", "m.fmlp")
    assert outcome.code == 3
    assert "training diverged in epoch 2: " in outcome.error
    assert "m.fmlp has the last good weights" in outcome.error
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    model = models.load_model("m.fmlp")
    assert all(np.isfinite(array).all() for array in model.get_weights())
    assert math.isfinite(json.loads(run("catalogue", "--list", "--json").out)["models"][0]["l1"])
    bare = run("train", "--units", 8, "--learning-rate", "1e30")
    assert bare.code == 3
    assert "last good weights" not in bare.error


def test_interruption_keeps_the_model(run, monkeypatch):
    fit = Sequential.fit

    def interrupted(model, *args, **options):
        fit(model, *args, **{**options, "epochs": 7})
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Sequential, "fit", interrupted)
    try:
        outcome = run("train", "--units", 8, "-o", "m.fmlp")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == "Interrupted after 7 epochs; m.fmlp has the model of these epochs.\n"
    assert len(models.load_model("m.fmlp").history.epoch) == 7
    assert run("train", "--units", 8).err == "Interrupted after 7 epochs.\n"


def test_a_real_signal(tmp_path):
    """Ctrl-C reaches a process whose shell had it start with the signal ignored, too."""
    command = [sys.executable, "-m", "fastmlp.cli", "train", "--units", "256x3", "--epochs",
               "10000000", "-o", str(tmp_path / "m.fmlp")]  # fmt: skip
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        assert process.stderr.readline().startswith("fit: ")  # training has begun
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1].startswith("Interrupted after ")
    assert "Traceback" not in err
    assert models.load_model(tmp_path / "m.fmlp").history.interrupted
