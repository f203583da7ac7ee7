"""`fastmlp train` with penalties that make zeros, `fastmlp prune`, and what the summary shows."""

import json

import numpy as np
import pytest

from fastmlp import models

QUIET = ("--seed", 1, "-q")


@pytest.fixture
def table(write):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    y = np.sin(x[:, 0]) + 0.05 * rng.normal(size=120)
    rows = [",".join(f"{v:.5f}" for v in (*row, z)) for row, z in zip(x, y, strict=True)]
    return write("t.csv", "first,second,third,fourth,y\n" + "\n".join(rows) + "\n")


def train(run, table, *options):
    keep = ("-o", "m.fmlp", "--force", "--json")
    outcome = run("train", table, "--units", "12x2", "--epochs", 60, *keep, *QUIET, *options)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out), models.load_model("m.fmlp")


def test_exact_zeros(run, table):
    result, model = train(run, table, "--l1", 0.02)
    assert result["zeros"] == 0
    result, model = train(run, table, "--l1", 0.02, "--proximal")
    assert 0.2 < result["zeros"] < 1
    assert all(layer.kernel_regularizer.proximal for layer in model.dense_layers)
    text = run("summary", "m.fmlp").out
    assert "Zero" in text and "l1 proximal 0.02" in text and "%" in text
    layers = json.loads(run("summary", "m.fmlp", "--json").out)["layers"]
    assert layers[0]["proximal"] is True and layers[0]["l1"] == 0.02


def test_group_penalties_and_prune(run, table):
    result, model = train(
        run, table, "--group-l1", 0.02, "--groups", "inputs", "--activation", "tanh", "--polish"
    )
    assert result["group_l1"] == 0.02 and result["zeros"] > 0.2
    outcome = run("prune", "m.fmlp", "-o", "small.fmlp", "--json", "-q")
    assert outcome.code == 0
    document = json.loads(outcome.out)
    pruned = models.load_model("small.fmlp")
    assert document["parameters"]["after"] == pruned.count_params() < model.count_params()
    assert [row["after"] for row in document["units"]] == [
        layer.units for layer in pruned.dense_layers[:-1]
    ]
    assert "first" not in document["unused_inputs"]
    assert set(document["unused_inputs"]) <= {"second", "third", "fourth"}
    assert len(document["unused_inputs"]) >= 1
    before = run("predict", "m.fmlp", table).out.splitlines()[1:]
    after = run("predict", "small.fmlp", table).out.splitlines()[1:]
    np.testing.assert_allclose(np.array(after, float), np.array(before, float), atol=1e-5)
    text = run("prune", "m.fmlp", "-o", "again.fmlp")
    assert "parameters" in text.out and "no prediction depends on" in text.out
    assert "Wrote again.fmlp" in text.err
    shown = json.loads(run("summary", "m.fmlp", "--json").out)["layers"][0]
    assert (shown["group_l1"], shown["groups"]) == (0.02, "inputs")


def test_nothing_to_prune_is_told(run, table):
    train(run, table, "--epochs", 2)
    outcome = run("prune", "m.fmlp", "-o", "same.fmlp", "-q")
    assert outcome.code == 0
    assert outcome.err.startswith("Warning: Nothing could be removed: no weight is exactly zero.")
    assert len(outcome.err.splitlines()) == 1


def test_polish_is_noted(run, table):
    outcome = run("train", table, "--units", 3, "--activation", "tanh", "--l1", 0.05, "--epochs",
                  30, "--polish", "--seed", 1)  # fmt: skip
    assert outcome.code == 0
    assert "Polished: the conditions of an optimum hold, slack" in outcome.err
    assert "of weights zero" in outcome.out


def test_options_from_a_file(run, table, write):
    args = ("train", table, "--units", 4, "--group-l1", "0.01,0", "--groups", "inputs", "--polish")
    text = run(*args, "--print-config", "--seed", 1).out
    assert 'groups = "inputs"' in text and "polish = true" in text
    write("run.toml", text)
    assert run("train", "--config", "run.toml", "-o", "c.fmlp", "-q").code == 0
    layers = models.load_model("c.fmlp").dense_layers
    assert layers[0].kernel_regularizer.group == 0.01 and layers[1].kernel_regularizer is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--group-l1", "-1"), "group_l1 must be a finite number of at least 0"),
        (("--group-l1", "nan"), "group_l1 must be a finite number of at least 0"),
        (("--group-l1", "0.1", "--groups", "unit"), "'unit' is not one of 'units', 'inputs'"),
        (("--group-l1", "0.1", "--l2", "0.1"), "--group-l1 cannot be combined"),
        (("--proximal",), "--proximal requires --l1"),
        (("--groups", "inputs"), "--groups requires --group-l1"),
    ],
)
@pytest.mark.parametrize("command", ["train", "summary"])
def test_bad_options(run, command, options, message):
    outcome = run(command, "--units", 4, *options)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())


def test_prune_s_errors(run, table, write):
    train(run, table, "--l1", 0.02, "--proximal")
    assert run("prune", "m.fmlp").code == 2
    assert run("prune", "m.fmlp", "-o", "-").code == 2
    outcome = run("prune", "m.fmlp", "-o", "m.fmlp")
    assert outcome.code == 1 and "--force replaces it" in outcome.error
    assert run("prune", "m.fmlp", "-o", "m.fmlp", "--force").code == 0
    write("bad.fmlp", "no model")
    assert run("prune", "bad.fmlp", "-o", "x.fmlp").code == 4
    assert run("prune", "missing.fmlp", "-o", "x.fmlp").code == 4
