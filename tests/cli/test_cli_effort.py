"""`fastmlp train --effort high`: the mean of a network for each fold."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastmlp
from fastmlp import TableModel, models
from fastmlp.ensembles import Ensemble

QUICK = ("--units", "16", "--epochs", "8", "--seed", "1", "--effort", "high")


@pytest.fixture
def flats(write):
    rng = np.random.default_rng(2)
    area, zone = rng.uniform(40, 200, 300), rng.choice(["a", "b"], 300)
    price = 2 * area + 30 * (zone == "b") + rng.normal(0, 5, 300)
    lines = (f"{a:.4f},{z},{p:.4f}" for a, z, p in zip(area, zone, price, strict=True))
    return write("flats.csv", "area,zone,price\n" + "\n".join(lines) + "\n")


def test_the_command_and_the_function_give_the_same_model(run, flats):
    outcome = run("train", flats, "--target", "price", *QUICK, "-o", "m.fmlp")
    assert outcome.code == 0
    assert "300 rows, 5-fold cross-validation; the mean of 5 networks of at most 12 epochs" in (
        " ".join(outcome.out.split())
    )
    written = models.load_model("m.fmlp")
    assert isinstance(written, Ensemble)
    model = fastmlp.fit(flats, "price", units="16", epochs=8, seed=1, effort="high", verbose=0)
    assert np.array_equal(TableModel.load("m.fmlp").predict(flats), model.predict(flats))
    assert written.extras["table"] == model.network.extras["table"]
    for command in ("predict", "evaluate", "summary"):
        file = () if command == "summary" else (flats,)
        assert run(command, "m.fmlp", *file).code == 0, command


def test_results_and_configuration(run, flats, write):
    printed = run("train", flats, "--target", "price", *QUICK, "--print-config").out
    assert 'effort = "high"' in printed and "validation-split" not in printed
    write("run.toml", printed)
    found = json.loads(run("train", "--config", "run.toml", "--json").out)
    assert (found["networks"], found["epochs"], found["decisions"]["effort"]) == (5, 12, "high")
    assert found["held_out"]["how"] == "5-fold cross-validation"
    normal = run("train", flats, "--target", "price", *QUICK[:-2], "--print-config").out
    assert "effort" not in normal


def test_figures_are_those_of_an_ensemble(run, flats, tmp_path):
    outcome = run("train", flats, "--target", "price", *QUICK, "--plot", "figures")
    assert outcome.code == 0 and "Wrote history.png to figures." in outcome.err
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["history.png"]


@pytest.mark.parametrize("kind", ["predicted", "importance", "explain"])
def test_a_saved_one_is_drawn_on_a_table(run, flats, kind):
    assert run("train", flats, "--target", "price", *QUICK, "-q", "-o", "five.fmlp").code == 0
    outcome = run("plot", "five.fmlp", "--kind", kind, "--data", flats, "-o", "figure.png")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("kind", ["roc", "boundary"])
def test_an_ensemble_of_classes_is_drawn_on_a_table(run, write, kind):
    rows = "".join(f"{i % 7},{i % 5},{'no' if i % 3 else 'yes'}\n" for i in range(60))
    table = write("t.csv", "a,b,y\n" + rows)
    options = ("--units", "4", "--epochs", 2, "--members", 2, "-q")
    assert run("ensemble", table, "--target", "y", *options, "-o", "e.fmlp").code == 0
    outcome = run("plot", "e.fmlp", "--kind", kind, "--data", table, "-o", "figure.png")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--polish",), "--polish is for one network"),
        (("--checkpoint", "c.fmlp"), "--checkpoint is for one network"),
        (("--find-rate",), "--find-rate is for one network"),
        (("--shards", "2"), "--shards, or several ranks, is for one network"),
        (("--refit",), "effort='high' and refit exclude each other"),
        (("--validation-split", "0.2"), "effort='high' and validation_split exclude each other"),
        (("--max-time", "9s"), "effort='high' and max_time exclude each other"),
        (("--time", "area"), "effort='high' and time exclude each other"),
    ],
)
def test_what_is_about_one_network_is_refused(run, flats, options, words):
    outcome = run("train", flats, "--target", "price", *QUICK, *options, "-o", "m.fmlp")
    assert outcome.code == 2 and words in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err


def test_effort_is_for_tables(run):
    outcome = run("train", "--units", "4", "--effort", "high")
    assert outcome.code == 2 and "--effort is for DATA, which is not given" in outcome.err
