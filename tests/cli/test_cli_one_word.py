"""One word has one meaning in every command: lecture, standardize, validation-split, seed, -o."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fastmlp import models, preprocessing, sweeps
from fastmlp.cli._app import COMMANDS, cli

DATA = Path(__file__).parents[1] / "data"
FEW = {
    "train": ("--epochs", 2),
    "ensemble": ("--epochs", 2, "--members", 2),
    "path": ("--epochs", 2, "--n-lambdas", 2, "--folds", 2),
    "sweep": ("--epochs", 2),
}


def document(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def rows(found):
    """Return what tells one data set from another, in any command's document."""
    return found.get("data") or found.get("settings", {}).get("data") or found["target"]


@pytest.mark.parametrize("command", FEW)
def test_the_lectures_data_have_the_same_names_everywhere(run, command):
    args = (command, "--units", "4", "--seed", 1, *FEW[command], "--json", "-q")
    expected = {}
    for task in ("regression", "classification"):
        expected[task] = document(run(*args, "--lecture", task))
        assert rows(document(run(*args, "--data", task))) == rows(expected[task])
        assert rows(document(run(*args, "lecture", "--lecture", task))) == rows(expected[task])
    assert rows(expected["regression"]) != rows(expected["classification"]) or command == "path"
    assert rows(document(run(*args, "lecture"))) == rows(expected["regression"])
    text = run(command, "--help").out
    assert "--lecture [regression|classification]" in text and "--data" not in text
    outcome = run(*args, "t.csv", "--lecture", "regression")
    assert outcome.code == 2 and "DATA is given as well" in outcome.error


@pytest.mark.parametrize("command", FEW)
def test_a_file_of_the_name_lecture_is_a_file(run, write, numbers, command, tmp_path):
    write("lecture", (tmp_path / numbers).read_text())
    found = document(run(command, "lecture", "--units", "4", *FEW[command], "--json", "-q"))
    assert rows(found) in ("lecture", "y") or rows(found)["rows"] < 50


def test_a_plot_of_the_lectures_data(run):
    for task in ("regression", "classification"):
        assert run("plot", "--kind", "data", "--lecture", task, "-o", f"{task}.svg").code == 0
        assert run("plot", "--kind", "data", "--data", task, "-o", f"old-{task}.svg").code == 0
    outcome = run("plot", "--kind", "data", "--lecture", "regression", "--data", "t.csv")
    assert outcome.code == 2 and "exclude each other" in outcome.error


def scale(path):
    state = preprocessing.Preprocessing.of(models.load_model(path))
    return [column.scale for column in state.columns], state.target.scale


@pytest.mark.parametrize("command", ["train", "ensemble"])
def test_tables_are_standardised_unless_told_otherwise(run, numbers, command):
    args = (command, numbers, "--units", "4", "--seed", 1, *FEW[command], "-q", "--force")
    for options, scaled in (((), True), (("--standardize",), True), (("--no-standardize",), False)):
        assert run(*args, *options, "-o", "m.fmlp").code == 0
        columns, target = scale("m.fmlp")
        assert all((value != 1) == scaled for value in (*columns, target))
    lecture = (command, "--units", "4", *FEW[command], "-q", "-o", "l.fmlp")
    assert run(*lecture).code == 0
    assert scale("l.fmlp") == ([1.0], 1.0)
    outcome = run(*lecture, "--force", "--standardize")
    assert outcome.code == 2 and "--standardize describes DATA" in outcome.error


def test_what_a_file_says_of_standardize_is_kept(run, write, numbers):
    write("old.toml", 'units = "4"\nstandardize = false\nepochs = 1\n')
    assert run("train", "--config", "old.toml", "-o", "l.fmlp").code == 0
    assert run("train", numbers, "--config", "old.toml", "-o", "t.fmlp").code == 0
    assert scale("t.fmlp") == ([1.0, 1.0], 1.0)
    assert "standardize = false" in run("summary", "t.fmlp", "--config").out
    assert run("train", numbers, "--units", "4", "--epochs", 1, "-o", "n.fmlp").code == 0
    assert "standardize = true" in run("summary", "n.fmlp", "--config").out
    assert "standardize" not in run("train", "--units", "4", "--print-config").out


@pytest.fixture
def rare(write):
    """A table with a rare class: 40 rows of a, 10 of b."""
    lines = [f"{i},{(7 * i) % 13},{'b' if i % 5 == 0 else 'a'}" for i in range(50)]
    return write("rare.csv", "u,v,kind\n" + "\n".join(lines) + "\n")


def test_classes_have_equal_shares_in_training_and_sweep(run, rare, monkeypatch):
    seen = []
    real = preprocessing.split

    def note(n, share, seed, classes=None):
        seen.append(real(n, share, seed, classes)[1])
        return real(n, share, seed, classes)

    monkeypatch.setattr("fastmlp.tabular._held_out.split", note)
    options = ("--units", "4", "--epochs", 1, "--seed", 3, "--validation-split", 0.2)
    assert run("train", rare, *options).code == 0
    assert run("sweep", rare, *options).code == 0
    np.testing.assert_array_equal(*seen)
    assert (np.count_nonzero(seen[0] % 5 == 0), len(seen[0])) == (2, 10)


def test_a_run_from_before_resumes_with_its_own_columns_and_rows(run, write, tmp_path):
    """It was killed in epoch 269 of 3000, when tables had no decisions; its whole run gave this."""
    lines = [f"{i * 7 % 50 / 10},{i % 3},{('often', 'rare')[i % 5 == 0]}" for i in range(50)]
    write("rare.csv", "a,b,kind\n" + "\n".join(lines) + "\n")
    (tmp_path / "run.fmlp").write_bytes((DATA / "earlier_run.fmlp").read_bytes())
    resumed = document(run("train", "--resume", "run.fmlp", "--json"))
    assert resumed["train"]["loss"] == pytest.approx(0.2649612710622954, rel=1e-4)
    assert resumed["val"]["loss"] == pytest.approx(0.18627753712409145, rel=1e-4)
    assert (resumed["train"]["accuracy"], resumed["val"]["accuracy"]) == (0.85, 0.9)


def test_a_store_from_before_is_continued_with_its_own_rows(run, rare, monkeypatch):
    real = preprocessing.split
    command = ("sweep", rare, "--units", "4", "--epochs", 1, "--seed", 3, "-o", "s.db", "--json")
    with monkeypatch.context() as before:
        before.setattr(
            "fastmlp.sweeps._sweep.split", lambda n, share, seed, classes: real(n, share, seed)
        )
        old = document(run(*command))
    again = document(run(*command))
    assert again["ranking"] == old["ranking"] and len(again["sessions"]) == 2
    assert run(*command, "--validation-split", 0.3).code == 4
    assert sweeps.load("s.db").settings["data"] == old["settings"]["data"]


def test_o_is_the_output_of_every_command():
    for name in COMMANDS:
        for param in cli.get_command(None, name).params:
            assert ("-o" in param.opts) == ("--output" in param.opts)
