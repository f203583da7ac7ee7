"""`fastmlp ensemble`, and the other commands on its file."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import datasets, models, tabular

FEW = ("--units", "8", "--members", "4", "--epochs", "20", "--seed", "3")


@pytest.fixture
def table(tmp_path):
    """A table of one numeric input and a target far from 0."""
    path = tmp_path / "houses.csv"
    rng = np.random.default_rng(0)
    area = rng.uniform(50, 200, 80)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["area", "price"])
        writer.writerows(zip(area, 3000 * area + rng.normal(0, 20000, 80), strict=True))
    return str(path)


@pytest.fixture
def bag(run, table, tmp_path):
    path = tmp_path / "bag.fmlp"
    arguments = ("--standardize", "--bootstrap", "-q", "-o", str(path))
    result = run("ensemble", table, *FEW, *arguments)
    assert result.code == 0, result.err
    return str(path)


@pytest.mark.parametrize("data", [(), ("lecture",)])
def test_lecture(run, data, tmp_path):
    path = tmp_path / "e.fmlp"
    figures = tmp_path / "figures"
    result = run("ensemble", *data, *FEW, "--json", "-o", str(path), "--plot", str(figures))
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert document["members"] == 4 and document["seed"] == 3
    assert document["batch_size"] == 50 and document["output"] == str(path)
    made = models.load_model(path)
    x, y = datasets.regression_train()
    assert document["train"]["ensemble"]["mse"] == made.evaluate(x, y, verbose=0)[1]
    assert document["noise_sd"] == pytest.approx(made.noise_sd[0])
    model = models.mlp("8", 1, 1, seed=5)
    model.compile("adam", "mse")
    model.fit(x, y, epochs=20, batch_size=50, verbose=0)
    assert made[2].predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()
    assert (figures / "members.png").read_bytes().startswith(b"\x89PNG")


def test_table_of_results(run):
    result = run("ensemble", *FEW, "--units", "4x2", "--lambdas", "0,0.1", "-q")
    assert result.code == 0, result.err
    assert "members, on average" in result.out and "best member" in result.out
    assert "4,4" in result.out and "16 members" in result.out
    assert result.err == ""


def test_classes(run, tmp_path):
    path = str(tmp_path / "e.fmlp")
    result = run("ensemble", "--data", "classification", *FEW, "--json", "-o", path)
    document = json.loads(result.out)
    assert set(document["train"]["ensemble"]) == {"loss", "accuracy"}
    assert document["noise_sd"] is None
    assert models.load_model(path)[0].layers[-1].activation == "sigmoid"


def test_predict_writes_mean_spread_and_deviation_in_the_targets_units(run, bag, table):
    result = run("predict", bag, table)
    assert result.code == 0, result.err
    rows = list(csv.DictReader(result.out.splitlines()))
    assert list(rows[0]) == ["prediction", "spread", "sd"]
    found = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    assert 100_000 < found["prediction"].mean() < 700_000
    assert (found["spread"] > 0).all() and (found["sd"] > found["spread"]).all()
    made = models.load_model(bag)
    scale = made.extras["preprocessing"]["target"]["scale"]
    noise = made.noise_sd[0] * scale
    np.testing.assert_allclose(found["sd"], np.hypot(found["spread"], noise), rtol=1e-4)


def test_other_commands_take_the_file(run, bag, table, tmp_path):
    result = run("evaluate", bag, table, "--json")
    assert json.loads(result.out)["mse"] > 1e6  # in the target's units
    assert "4 members" in run("summary", bag).out
    document = json.loads(run("summary", bag, "--json").out)
    assert document["groups"][0]["seeds"] == [3, 4, 5, 6]
    assert "epochs = 20" in run("summary", bag, "--config").out
    for kind in ("members", "history"):
        path = tmp_path / f"{kind}.png"
        result = run("plot", bag, "--kind", kind, "--data", table, "-o", str(path))
        assert result.code == 0, result.err
        assert path.read_bytes().startswith(b"\x89PNG")
    result = run("compare", bag, bag, table, "--json")
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--units", "8x"), 2, "units must be positive integers"),
        ((), 2, "Missing option '--units'"),
        (("--units", "8", "--members", "0"), 2, "--members"),
        (("--units", "8", "--lambdas", "0,-1"), 2, "at least 0"),
        (("--units", "8", "--lambdas", ""), 2, "lambdas must be numbers"),
        (("--units", "8", "--lambdas", "1,1.0"), 2, "1 twice"),
        (("--units", "8", "--lambdas", "0,1", "--l1", "1"), 2, "--lambdas cannot be combined"),
        (("--units", "8", "--folds", "3", "--bootstrap"), 2, "exclude each other"),
        (("--units", "8", "--folds", "51"), 2, "more than the 50 rows"),
        (("--units", "8", "--folds", "1"), 2, "--folds"),
        (("--units", "8", "--learning-rate", "-1"), 2, "learning_rate"),
        (("--units", "8", "-o", "-"), 2, "an ensemble cannot be written"),
        (("nothing.csv", "--units", "8"), 4, "nothing.csv"),
        (("--units", "8", "--standardize"), 2, "--standardize describes DATA"),
        (("--units", "8", "-o", "no/such/dir.fmlp"), 1, "no such directory"),
        (("--units", "8", "--optimizer", "sgd", "--learning-rate", "1e30"), 3, "diverged"),
    ],
)
def test_trouble_is_one_clear_line(run, arguments, code, message):
    result = run("ensemble", *arguments)
    assert result.code == code
    assert message in " ".join(result.err.split())
    assert "Traceback" not in result.err
    assert result.out == ""


def test_single_network_commands_refuse_it(run, bag, table):
    for arguments in (("inspect", bag, table), ("plot", bag, "--kind", "layers", "--data", table)):
        result = run(*arguments)
        assert result.code == 4
        assert "ensemble" in result.err


def test_members_need_an_ensemble(run, tmp_path):
    path = str(tmp_path / "m.fmlp")
    run("train", "--units", "4", "--epochs", "1", "-q", "-o", path)
    result = run("plot", path, "--kind", "members")
    assert result.code == 4 and "one network" in result.err


def test_an_existing_file_is_kept_without_force(run, bag, table):
    before = models.load_model(bag).seeds
    result = run("ensemble", *FEW, "-o", bag)
    assert result.code == 1 and "--force" in result.err
    assert models.load_model(bag).seeds == before


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_usable(tmp_path):
    path = tmp_path / "e.fmlp"
    command = [sys.executable, "-m", "fastmlp.cli", "ensemble", "--units", "8x2", "--members", "6"]
    command += ["--epochs", "100000000", "--threads", "2", "-o", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    # The first line of progress says that training is under way.
    assert "members" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - start < 20
    assert process.returncode == 130
    assert errors.strip().startswith("Interrupted: 2 members had") and str(path) in errors
    left = models.load_model(path)
    assert len(left) == 2 and left.interrupted
    assert isinstance(left, fastmlp.ensembles.Ensemble)
    assert left.extras["data"] == "lecture:regression"


def test_a_table_needs_no_options_and_every_decision_is_printed(run, write):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(520, 2))
    rows = [f"{a:.3f};{b:.3f};{'pq'[i % 2]};{a * b:.3f}" for i, (a, b) in enumerate(x)]
    write("t.csv", "a;b;zone;y\n" + "\n".join(rows) + "\n")
    args = ("ensemble", "t.csv", "--members", 2, "--epochs", 2, "--seed", 1)
    printed = run(*args, "--print-config").out
    units = tabular.shown_units(tabular.decide(520, 4, "regression").units)
    for line in (f'units = ["{units}"]', 'activation = "silu"', "epochs = 2", 'target = ["y"]',
                 'schedule = "cycles"', "validation-split = 0.2"):  # fmt: skip
        assert line in printed, line
    write("run.toml", printed)
    outcome = run("ensemble", "--config", "run.toml", "-o", "e.fmlp", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["members"] == 2 and result["held_out"]["n_rows"] == 104
    assert run("train", "t.csv", "--epochs", 2, "--seed", 1, "-q", "-o", "one.fmlp").code == 0
    one, first = models.load_model("one.fmlp"), models.load_model("e.fmlp")[0]
    for a, b in zip(one.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert run("predict", "e.fmlp", "t.csv").code == 0
    refused = run("ensemble", "--lecture", "regression", "--units", 4, "--clip", 1)
    assert refused.code == 2 and "--clip is for DATA" in refused.err
