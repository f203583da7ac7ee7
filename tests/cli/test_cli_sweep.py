"""`fastmlp sweep`: runs, resumption, ranks, files, errors, interruption."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from fastmlp import models, sweeps, tabular
from fastmlp.cli import sweep as sweep_command
from fastmlp.sweeps import _space

# Few rows have folds, unless a share is held out.
SHARE = ("--validation-split", 0.2)
GRID = ("--units", "4,8x2", "--l2", "0,1e-3", "--seeds", 2, "--epochs", 3, "--seed", 1, *SHARE)


def document(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_the_ranges_are_the_librarys():
    assert sweep_command._RANGED == _space.RANGES


def test_a_sweep_and_what_it_shows(run, numbers, tmp_path):
    outcome = run("sweep", numbers, "--target", "y", *GRID, "-o", "s.store", "--plot", "s.png",
                  "--export", "runs.csv")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "8 runs" in outcome.out and "seeds from 1" in outcome.out
    lines = outcome.out.splitlines()
    assert lines[1].split() == ["units", "l2", "mse", "sd", "training", "nonzero", "runs"]
    assert [line.split()[0] for line in lines[3:7]] == ["1", "2", "3", "4"]
    assert outcome.err.splitlines()[-2:] == ["Wrote runs.csv.", "Wrote s.png."]
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 9
    with sqlite3.connect("s.store") as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (8,)
    connection.close()
    shown = run("sweep", "--show", "s.store", "--top", 2)
    assert shown.code == 0, shown.err
    assert [x.split() for x in shown.out.splitlines()[3:5]] == [x.split() for x in lines[3:5]]
    assert "2 more configurations" in shown.out
    drawn = run("sweep", "--show", "s.store", "-o", "again.png")
    assert drawn.err == "Wrote again.png.\n"
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "s.png").read_bytes()
    result = document(run("sweep", "--show", "s.store", "--json"))
    assert (result["runs"], result["total"], result["store"]) == (8, 8, "s.store")
    scores = [rank["mean"] for rank in result["ranking"]]
    assert scores == sorted(scores)


def test_the_same_command_goes_on_and_keeps_its_seed(run, numbers):
    options = ("--units", "4", "--epochs", 2, "--json", "-q", *SHARE)
    first = document(run("sweep", numbers, *options, "-o", "s.db"))
    again = document(run("sweep", numbers, *options, "-o", "s.db"))
    assert again["ranking"] == first["ranking"]
    assert again["settings"]["seed"] == first["settings"]["seed"]
    assert len(again["sessions"]) == 2
    other = run("sweep", numbers, *options, "-o", "s.db", "--seeds", 2)
    assert other.code == 4
    assert other.error == "Error: s.db: written by another sweep: seeds 1 there, 2 now"
    replaced = document(run("sweep", numbers, *options, "-o", "s.db", "--seeds", 2, "--force"))
    assert replaced["runs"] == 2


def test_a_run_is_what_train_gives(run, numbers):
    swept = document(run("sweep", numbers, "--target", "y", *GRID, "-o", "s.db", "--json"))
    best = next(r for r in swept["ranking"] if r["config"]["units"] == "8x2")
    trained = document(
        run("train", numbers, "--target", "y", "--units", "8x2", "--l2", best["config"]["l2"],
            "--epochs", 3, "--seed", 1, "--standardize", "--validation-split", 0.2, "--json")
    )  # fmt: skip
    rows = sweeps.load("s.db").rows
    row = next(r for r in rows if r["seed"] == 1 and r["units"] == "8x2"
               and r["l2"] == best["config"]["l2"])  # fmt: skip
    assert row["val_mse"] == pytest.approx(trained["val"]["mse"], rel=1e-6)
    assert row["train_mse"] == pytest.approx(trained["train"]["mse"], rel=1e-6)


def same_weights(one, other):
    one, other = models.load_model(one), models.load_model(other)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    return one


@pytest.mark.parametrize(
    "more",
    [
        ("--l1", "0.01", "--proximal", "--validation-split", "0.3", "--drop", "b"),
        ("--group-l1", "0.01", "--groups", "inputs", "--no-standardize", "--activation", "tanh"),
        ("--dropout", "0.1", "--optimizer", "sgd", "--validation", "numbers.csv"),
        ("--folds", "3", "--l2", "1e-3", "--task", "regression", "--impute", "mean"),
        ("--method", "halving", "--epochs", "9", "--batch-size", "8", "--learning-rate", "0.01"),
    ],
)
def test_the_printed_command_trains_the_winner(run, numbers, more):
    args = ("sweep", numbers, "--target", "y", "--units", "4,6+3", "--seeds", 2, "--epochs", 3,
            "--seed", 5, *more)  # fmt: skip
    plain = run(*args)
    assert plain.code == 0, plain.err
    line = plain.out.splitlines()[-1].removeprefix("The first rank's network: ")
    words = shlex.split(line)
    assert words[:3] == ["fastmlp", "train", numbers] and words[-2:] == ["-o", "best.fmlp"]
    outcome = run(*args, "--model", "kept.fmlp", "--json")
    assert "Wrote kept.fmlp, the network of the first rank.\n" in outcome.err
    result = document(outcome)
    assert result["command"] == line.removesuffix(" -o best.fmlp")
    trained = run(*words[1:])
    assert trained.code == 0, trained.err
    model = same_weights("best.fmlp", "kept.fmlp")
    assert model.n_inputs == (1 if "--drop" in more else 2)
    kept = models.load_model("kept.fmlp").extras
    best = result["ranking"][0]
    assert kept["sweep"]["config"] == best["config"]
    assert kept["sweep"]["held_out"] == best["mean"]
    assert run("predict", "kept.fmlp", numbers).code == 0
    assert f'units = "{best["config"]["units"]}"' in run("summary", "kept.fmlp", "--config").out


def test_the_winner_of_the_lecture_and_of_classes(run, flowers):
    args = ("sweep", "--lecture", "classification", "--units", "3", "--epochs", 4, "--seed", 2)
    assert "first rank" not in run(*args).out  # train does not standardise the lecture's data
    outcome = run(*args, "--no-standardize", "--model", "a.fmlp")
    line = outcome.out.splitlines()[-1].removeprefix("The first rank's network: ")
    assert run(*shlex.split(line)[1:], "-o", "b.fmlp").code == 0
    same_weights("a.fmlp", "b.fmlp")
    outcome = run("sweep", flowers, "--target", "kind", "--units", "3", "--epochs", 4, "--seed", 2,
                  "--model", "c.fmlp")  # fmt: skip
    line = outcome.out.splitlines()[-1].removeprefix("The first rank's network: ")
    assert run(*shlex.split(line)[1:], "-o", "d.fmlp").code == 0
    same_weights("c.fmlp", "d.fmlp")


def test_a_store_goes_on_to_the_winners_file(run, numbers):
    args = ("sweep", numbers, "--units", "4", "--epochs", 2, "--seed", 1, "-o", "s.db")
    assert run(*args).code == 0
    assert run(*args, "--model", "m.fmlp").code == 0
    assert models.load_model("m.fmlp").n_inputs == 2
    again = run(*args, "--model", "m.fmlp")
    assert again.code == 1 and "m.fmlp: the file exists" in again.error
    shown = run("sweep", "--show", "s.db", "--model", "n.fmlp")
    assert shown.code == 2 and "--model needs the rows" in shown.err
    assert "first rank" not in run("sweep", "--show", "s.db").out
    refused = run(*args, "--model", "-")
    assert refused.code == 2 and "a model cannot be written to standard output" in refused.err


def test_a_winner_without_hidden_layers_is_kept_but_has_no_command(run, numbers):
    outcome = run("sweep", numbers, "--units", "none", "--epochs", 2, "--model", "m.fmlp")
    assert outcome.code == 0, outcome.err
    assert "first rank's network" not in outcome.out
    assert len(models.load_model("m.fmlp").layers) == 1


def test_a_table_needs_no_options_and_every_decision_is_printed(run, write):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(520, 2))
    rows = [f"{a:.3f};{b:.3f};{'pq'[i % 2]};{a * b:.3f}" for i, (a, b) in enumerate(x)]
    write("t.csv", "a;b;zone;y\n" + "\n".join(rows) + "\n")
    args = ("sweep", "t.csv", "--epochs", 2, "--seed", 1)
    outcome = run(*args, "--json")
    assert "semicolons" in outcome.err and "Target: 'y', the last column." in outcome.err
    result = document(outcome)
    assert result["command"] == "fastmlp train t.csv --epochs 2 --seed 1 -o best.fmlp"
    config = result["ranking"][0]["config"]
    units = tabular.shown_units(tabular.decide(520, 4, "regression").units)
    assert (config["units"], config["optimizer"], config["activation"]) == (
        units, "adamw", "silu",
    )  # fmt: skip
    printed = run(*args, "--optimizer", "adam,sgd", "--print-config").out
    lines = (
        f'units = "{units}"', 'activation = "silu"', 'batch-size = "32"', "epochs = 2",
        'optimizer = "adam,sgd"', 'target = ["y"]', 'schedule = "cycles"', 'impute = "median"',
        "validation-split = 0.2", "# Initial weights: data",
    )  # fmt: skip
    for line in lines:
        assert line in printed, line
    assert "learning-rate" not in printed  # each optimizer has its own
    write("again.toml", printed)
    again = document(run("sweep", "--config", "again.toml", "--json"))
    assert {r["config"]["optimizer"] for r in again["ranking"]} == {"adam", "sgd"}


def test_ranges_methods_and_the_lecture(run):
    drawn = document(
        run("sweep", "--data", "regression", "--units", "4,6+3", "--l2", "1e-6..1e-2",
            "--learning-rate", "0.001..0.1", "--dropout", "0..0.5", "--method", "random",
            "--samples", 5, "--epochs", 2, "--seed", 3, "--json")
    )  # fmt: skip
    assert len(drawn["ranking"]) == 5
    assert {rank["config"]["units"] for rank in drawn["ranking"]} <= {"4", "6,3"}
    assert drawn["settings"]["data"]["rows"] == 50
    assert drawn["ranking"][0]["config"]["batch_size"] == 50
    halved = run("sweep", "--data", "classification", "--units", "2,4,8", "--method", "halving",
                 "--epochs", 9, "--seed", 3)  # fmt: skip
    assert halved.code == 0, halved.err
    assert "epochs" in halved.out and "deviance" in halved.out
    folded = document(run("sweep", "--data", "regression", "--units", "4", "--folds", 3,
                          "--epochs", 2, "--json"))  # fmt: skip
    assert folded["runs"] == 3


def test_options_from_a_file(run, write, numbers):
    write("run.toml", 'units = ["4", "8x2"]\nl2 = [0, 1e-3]\nlearning-rate = [0.01]\nepochs = 2\n'
          'data = "numbers.csv"\nseeds = 2\nseed = 7\n')  # fmt: skip
    result = document(run("sweep", "--config", "run.toml", "--json"))
    assert result["runs"] == 40  # five folds
    text = run("sweep", "--config", "run.toml", "--print-config").out
    write("again.toml", text)
    again = document(run("sweep", "--config", "again.toml", "--json"))
    assert again["settings"] == result["settings"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--lecture", "regression"), "--units is missing"),
        (("--lecture", "regression", "--units", "4", "--clip", "1"), "--clip is for DATA"),
        (("numbers.csv", "--units", "4", "--group", "a", "--time", "b"), "exclude each other"),
        (("numbers.csv", "--units", "4", "--loss", "quantile:0.9"), "ranks by the squared error"),
        (("numbers.csv", "--loss", "log_loss"), "loss of a regression must be mse"),
        (("numbers.csv", "--validation-split", "0"), "a sweep is scored on rows held out"),
        (("--units", "4"), "give either DATA or --lecture"),
        (("numbers.csv", "--units", "4", "--data", "regression"), "DATA is given as well"),
        (("numbers.csv", "--units", "4,q"), "units must be positive integers"),
        (("numbers.csv", "--units", "4", "--l2", "a"), "expected numbers with commas between"),
        (("numbers.csv", "--units", "4", "--l2", "1..0"), "a range is LOW..HIGH"),
        (("numbers.csv", "--units", "4", "--l2", "0..1"), "a range is LOW..HIGH"),
        (("numbers.csv", "--units", "4", "--batch-size", "2.5"), "expected whole numbers"),
        (("numbers.csv", "--units", "4", "--l2", "1e-3..1"), "to draw from it"),
        (("numbers.csv", "--units", "4,4"), "The values of units must differ"),
        (("numbers.csv", "--units", "4", "--method", "random"), "needs samples"),
        (("numbers.csv", "--units", "4", "--optimizer", "adamm"), "Did you mean 'adam'"),
        (("numbers.csv", "--units", "4", "--indicator", "--impute", "none"), "--indicator needs"),
        (("numbers.csv", "--units", "4", "--export", "a.xls"), "must end in .parquet or .csv"),
        (("numbers.csv", "--units", "4", "--plot", "a.gif"), "must end in .png"),
        (
            ("numbers.csv", "--units", "4", "-o", "-"),
            "a store cannot be written to standard output",
        ),
        (("numbers.csv", "--units", "4", "--folds", 3, "--validation-split", 0.1), "exclude"),
        (("numbers.csv", "--units", "4", "--measure", "deviance"), "Unknown measure"),
        (("numbers.csv", "--show", "s.db"), "--show reads a store"),
        (("--show", "s.db", "-o", "a.png", "--plot", "b.png"), "give one of them"),
        (("numbers.csv", "--units", "4", "--jobs", 2, "--cluster", "tcp://a:1"), "exclude each"),
    ],
)
def test_usage_errors(run, numbers, args, message):
    outcome = run("sweep", *args)
    assert outcome.code == 2, outcome.err
    assert message in " ".join(outcome.err.split())


def test_bad_files(run, write, numbers):
    write("text.db", "no store\n" * 99)
    for args in (("--show", "text.db"), (numbers, "--units", "4", "-o", "text.db")):
        outcome = run("sweep", *args)
        assert outcome.code == 4
        assert "text.db: damaged, or not a store of fastmlp sweep" in outcome.error
    assert run("sweep", "--show", "none.db").code == 1
    assert run("sweep", numbers, "--units", "4", "-o", "none/s.db").error == (
        "Error: none: there is no such directory"
    )
    assert run("sweep", numbers, "--units", "4", "-o", ".").code == 1
    assert run("sweep", "none.csv", "--units", "4").code == 4
    assert run("sweep", numbers, "--units", "4", "--target", "z").code == 4


def test_existing_files_are_not_replaced(run, numbers, write):
    write("runs.csv", "precious")
    outcome = run("sweep", numbers, *GRID, "-o", "s.db", "--export", "runs.csv")
    assert outcome.code == 1
    assert outcome.error == "Error: runs.csv: the file exists; --force replaces it"


def test_a_scheduler_that_does_not_answer(run, numbers, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("fastmlp._many.engines.dask.CONNECT_SECONDS", 0.3)
    address = "tcp://127.0.0.1:1"
    for args in (
        ("sweep", "--units", "none"),
        ("path", "--units", "none", "--n-lambdas", 2, "--folds", 2),
        ("ensemble", "--units", "4", "--epochs", 2),
    ):
        outcome = run(*args, numbers, "--cluster", address)
        assert outcome.code == 1
        assert outcome.error == f"Error: {address}: no Dask scheduler answers within 0.3 seconds"
    for name in ("sweep", "path", "ensemble"):
        wrong = run(name, numbers, "--units", "4", "--cluster", "scheduler")
        assert wrong.code == 2
        assert "cluster must be a scheduler's address such as tcp://host:8786" in wrong.err


def started(tmp_path, *args):
    (tmp_path / "d.csv").write_text(
        "a,b,y\n" + "".join(f"{i},{i * i % 17},{i % 5}\n" for i in range(200))
    )
    command = [sys.executable, "-m", "fastmlp.cli", "sweep", "d.csv", "--seed", "1", "-o", "s.db",
               *map(str, args)]  # fmt: skip
    return subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def interrupted(tmp_path, *args):
    """Press Ctrl-C, as a terminal does, once a few runs are done; return what came of it."""
    process = started(tmp_path, *args)
    store, give_up = tmp_path / "s.db", time.monotonic() + 60
    while time.monotonic() < give_up:
        time.sleep(0.05)
        try:
            if len(sweeps.load(store).rows) >= 3:
                break
        except (FileNotFoundError, sweeps.StoreError):
            continue
    os.killpg(process.pid, signal.SIGINT)
    begin = time.monotonic()
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err, time.monotonic() - begin


LONG = (
    "--units",
    "16,16x2,32x2,64x2",
    "--l2",
    "0,1e-4,1e-3",
    "--seeds",
    10,
    "--epochs",
    600,
    *SHARE,
)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("jobs", [(), pytest.param(("--jobs", 2), marks=pytest.mark.slow)])
def test_ctrl_c_leaves_a_store_that_goes_on(run, tmp_path, jobs):
    code, out, err, seconds = interrupted(tmp_path, *LONG, *jobs)
    assert (code, out) == (130, ""), err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("Interrupted after ") and last.endswith(
        "of 120 runs. s.db has them; run the same command to continue."
    )
    rows = sweeps.load(tmp_path / "s.db").rows
    assert f"Interrupted after {len(rows)} of" in last
    assert seconds < 10  # it is within one, but for machines that are busy
    shown = run("sweep", "--show", "s.db")
    assert f"{len(rows)} of 120 runs" in shown.out
