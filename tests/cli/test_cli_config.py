"""`--config`, `--print-config`, and the configuration that a model keeps."""

from __future__ import annotations

import json
import tomllib

import click
import numpy as np
import pytest

from fastmlp import models
from fastmlp.cli import _app, _config
from fastmlp.models import Sequential


def printed(outcome):
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    return tomllib.loads(outcome.out)


RUN = """\
units = [8, 4]
l1 = 0.001
l2 = [0.1, 0, 0]
activation = ["relu", "tanh"]
epochs = 5
learning_rate = 1
standardize = true
drop = []
threads = 1
"""


# ---- what comes from where ---------------------------------------------------------------------


def test_every_option_may_come_from_the_file(run, write, numbers):
    write("run.toml", RUN + 'data = "numbers.csv"\ntarget = "a"\ncategorical = ["b"]\n')
    found = printed(run("train", "--config", "run.toml", "--print-config"))
    expected = {
        "data": "numbers.csv", "units": "8,4", "l1": "0.001", "l2": "0.1,0,0",
        "activation": "relu,tanh", "epochs": 5, "learning-rate": 1, "standardize": True,
        "threads": 1, "target": ["a"], "categorical": ["b"], "optimizer": "adamw",
        "batch-size": 16, "validation-every": 1, "impute": "median", "quiet": False,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert not {"drop", "config", "print-config", "help", "lecture", "force"} & set(found)


def test_every_parameter_of_train_has_a_key():
    command = _app.cli.get_command(None, "train")
    keys = command.keys()
    alone = {"config", "print_config", "resume"}
    assert {param.name for param in keys.values()} == {p.name for p in command.params} - alone
    assert len(keys) == len(set(map(id, keys.values())))
    assert {"data", "lecture", "batch-size", "plot", "json", "threads"} <= set(keys)
    assert isinstance(keys["data"], click.Argument)
    for key, param in keys.items():
        assert key == "lecture" or key == param.name or f"--{key}" in param.opts


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(run, write):
    write("run.toml", 'units = "4"\nepochs = 5\noptimizer = "sgd"\nseed = 3\n')
    args = ("train", "--config", "run.toml", "--epochs", 7, "--units", 16, "--print-config")
    found = printed(run(*args))
    assert (found["units"], found["epochs"], found["optimizer"]) == ("16", 7, "sgd")
    assert (found["seed"], found["learning-rate"]) == (3, 0.01)
    assert found["validation-split"] == 0


def test_a_file_may_give_data_and_the_command_line_other_data(run, write, numbers, flowers):
    write("run.toml", 'units = 4\ndata = "numbers.csv"\nepochs = 1\n')
    assert json.loads(run("train", "--config", "run.toml", "--json").out)["data"] == "numbers.csv"
    outcome = run("train", flowers, "--config", "run.toml", "--json")
    assert json.loads(outcome.out)["data"] == "flowers.csv"
    write("lecture.toml", 'units = 4\nlecture = "classification"\nepochs = 1\n')
    outcome = run("train", "--config", "lecture.toml", "--json")
    assert json.loads(outcome.out)["data"] == "lecture:classification"


def test_standard_input_may_be_the_file_but_not_the_data_as_well(run, numbers):
    outcome = run("train", "--config", "-", "--print-config", stdin="units = 4\nepochs = 2\n")
    assert printed(outcome)["epochs"] == 2
    for args, text in ((["-"], "units = 4"), ([], 'units = 4\ndata = "-"')):
        outcome = run("train", *args, "--config", "-", stdin=text)
        assert outcome.code == 2
        assert "standard input cannot be both --config and data" in outcome.err


def test_numbers_of_the_file_mean_what_they_do_on_the_command_line(run, write):
    write("run.toml", "units = [8, 4]\nl1 = 1e-5\ndropout = 0.25\nseed = 1\nepochs = 3\n")
    options = ("--units", "8,4", "--l1", "1e-5", "--dropout", "0.25", "--seed", 1, "--epochs", 3)
    by_file = json.loads(run("train", "--config", "run.toml", "--json").out)
    by_line = json.loads(run("train", *options, "--json").out)
    assert {**by_file, "seconds": 0} == {**by_line, "seconds": 0}


# ---- what is printed reproduces the run --------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ("--units", "8", "--epochs", 4),
        ("--units", "8", "--epochs", 4, "--data", "classification", "--validation-split", 0.2),
        ("numbers.csv", "--units", "8,4", "--l1", "0.1,0,0", "--dropout", 0.5, "--epochs", 4,
         "--standardize", "--optimizer", "SGD", "--batch-size", 7, "--validation-split", 0.2),
        ("flowers.csv", "--units", "4", "--epochs", 2, "--target", "kind", "--drop", "width",
         "--categorical", "height"),
    ],
)  # fmt: skip
def test_the_printed_configuration_reproduces_the_run(run, write, numbers, flowers, args):
    text = run("train", *args, "--print-config").out  # its seed is drawn here
    write("run.toml", text)
    outcome = run("train", "--config", "run.toml", "-o", "a.fmlp", "-q")
    assert outcome.code == 0, outcome.err
    assert run("train", *args, "--print-config").out != text
    assert run("train", "--config", "run.toml", "--print-config").out == text
    again = run("summary", "a.fmlp", "--config")
    write("again.toml", again.out)
    run("train", "--config", "again.toml", "-o", "b.fmlp", "-q")
    a, b = (models.load_model(name).get_weights() for name in ("a.fmlp", "b.fmlp"))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def test_printing_does_nothing_else(run, numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(Sequential, "fit", None)
    found = printed(run("train", numbers, "--units", 4, "-o", "m.fmlp", "--print-config"))
    assert (found["data"], found["output"]) == (numbers, "m.fmlp")
    assert [path.name for path in tmp_path.iterdir()] == [numbers]


def test_decisions_about_a_table_need_it(run):
    outcome = run("train", "absent.csv", "--print-config")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == "Error: absent.csv: no such file or directory\n"


def test_wrong_options_are_not_printed(run):
    outcome = run("train", "--units", "4", "--l1", "-1", "--print-config")
    assert (outcome.code, outcome.out) == (2, "")


# ---- what a model keeps ------------------------------------------------------------------------


def test_a_model_keeps_what_was_decided(run, numbers):
    run("train", numbers, "--units", "4", "--epochs", 2, "-o", "m.fmlp", "-q")
    model = models.load_model("m.fmlp")
    kept = model.extras[_config.KEPT]
    assert kept["seed"] == model.seed
    assert (kept["target"], kept["task"]) == (["y"], "regression")
    assert (kept["batch-size"], kept["epochs"]) == (16, 2)
    assert printed(run("summary", "m.fmlp", "--config")) == kept
    assert json.loads(run("summary", "m.fmlp", "--config", "--json").out) == kept


def test_of_a_model_from_python_what_it_knows(run):
    model = models.mlp([3], 2, 1, seed=5)
    model.compile("sgd", "mse", ["mae"])
    model.fit(np.ones((4, 2)), np.ones(4), epochs=3, verbose=0)
    model.save("m.fmlp")
    found = printed(run("summary", "m.fmlp", "--config"))
    assert (found["seed"], found["optimizer"], found["epochs"]) == (5, "sgd", 3)
    assert (found["loss"], found["metrics"]) == ("mean_squared_error", ["mae"])
    models.mlp([3], 2, 1, seed=6).save("plain.fmlp")
    assert printed(run("summary", "plain.fmlp", "--config")) == {"seed": 6, "dtype": "float32"}


@pytest.mark.parametrize(
    "kept", [[], "text", {"a b": 1}, {"a\nb": 1}, {"a": {"b": 1}}, {"a": [[1]]}, {"a": None}]
)
def test_a_configuration_that_is_none_is_a_damaged_file(run, kept):
    model = models.mlp([3], 2, 1)
    model.extras[_config.KEPT] = kept
    model.save("m.fmlp")
    outcome = run("summary", "m.fmlp", "--config")
    assert outcome.code == 4
    assert outcome.error == "Error: m.fmlp: damaged configuration"


def test_the_configuration_is_of_a_model(run):
    outcome = run("summary", "--config")
    assert outcome.code == 2
    assert "--config needs a MODEL file" in outcome.err


# ---- errors name file and key ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "run.toml: there is no option 'epoch'. Did you mean 'epochs'?"),
        ("zzz = 3", "run.toml: there is no option 'zzz'."),
        ("config = 'a'", "there is no option 'config'. It can only be given on the command line."),
        ("print-config = true", "'print-config'. It can only be given on the command line."),
        ("resume = 'a'", "there is no option 'resume'. It can only be given on the command line."),
        ("help = true", "run.toml: there is no option 'help'."),
        ("[model]\nepochs = 3", "run.toml: there is no option 'model'."),
        ("batch-size = 3\nbatch_size = 3", "run.toml: the key 'batch-size' occurs twice"),
        ('epochs = "ten"', "'epochs' in run.toml: expected a whole number. Received: \"ten\""),
        ("epochs = 2.5", "'epochs' in run.toml: expected a whole number. Received: 2.5"),
        ("epochs = true", "'epochs' in run.toml: expected a whole number. Received: true"),
        ("epochs = 0", "'epochs' in run.toml: 0 is not in the range x>=1."),
        ("batch_size = 0", "'batch_size' in run.toml: 0 is not in the range x>=1."),
        ('learning-rate = "x"', "'learning-rate' in run.toml: expected a number."),
        ("learning-rate = -1.0", "'learning-rate' in run.toml: learning_rate must be"),
        ("learning-rate = nan", "'learning-rate' in run.toml: learning_rate must be"),
        ("standardize = 1", "'standardize' in run.toml: expected true or false. Received: 1"),
        ('drop = "a"', "'drop' in run.toml: expected an array. Received: \"a\""),
        ("drop = [1]", "'drop' in run.toml: expected text in quotes. Received: [1]"),
        ("target = 3", "'target' in run.toml: expected text in quotes. Received: 3"),
        ("l1 = true", "'l1' in run.toml: expected text, a number, or an array of these."),
        ("l1 = [[1]]", "'l1' in run.toml: expected text, a number, or an array of these."),
        ("l1 = {a = 1}", "Received: a table"),
        ("l1 = [1, 2, 3, 4]", "'l1' in run.toml: l1 must hold one value"),
        ("units = 0", "'units' in run.toml: units must be positive integers"),
        ('activation = "rellu"', "'activation' in run.toml: Unknown activation: 'rellu'."),
        ('optimizer = "adm"', "'optimizer' in run.toml: 'adm' is not one of"),
        ("seed = 2020-02-17", "'seed' in run.toml: expected a whole number. Received: 2020-02-17"),
        ("threads = 0", "'threads' in run.toml: 0 is not in the range x>=1."),
        ('output = "-"', "'output' in run.toml: a model cannot be written"),
        ('target = "y"', "DATA, which is not given (run.toml has 'target')"),
        ('data = "a.csv"\nlecture = "regression"', "(run.toml has 'data' and 'lecture')"),
        ("epochs = ", "'--config': run.toml: not a TOML file: Invalid value (at line 1"),
        ("epochs = 1\nepochs = 2", "'--config': run.toml: not a TOML file: Cannot overwrite"),
        (b"a = '\xff'", "'--config': run.toml: not UTF-8 text"),
    ],
)
def test_what_is_wrong_in_the_file_is_one_error(run, write, text, message):
    content = text if isinstance(text, bytes) or "units" in text else f"{text}\n"
    write("run.toml", content)
    # The command line has what is needed beside it, so that this is all that is wrong.
    needed = () if "units" in str(text) else ("--units", "4x2")
    outcome = run("train", *needed, "--config", "run.toml")
    assert outcome.code == 2
    assert outcome.out == ""
    assert message in outcome.error


def test_a_file_that_cannot_be_read(run, tmp_path):
    for name in ("absent.toml", "."):
        outcome = run("train", "--units", "4", "--config", name)
        assert outcome.code == 2
        assert f"'--config': {name}: " in outcome.error


def test_the_command_line_is_blamed_for_its_own(run, write):
    write("run.toml", 'units = "4"\nepochs = 3\n')
    outcome = run("train", "--config", "run.toml", "--l1", "-1")
    assert "'--l1'" in outcome.error and "run.toml" not in outcome.error
    outcome = run("train", "--config", "run.toml", "--epochs", "0")
    assert "'--epochs'" in outcome.error and "run.toml" not in outcome.error


def test_help_needs_no_file(run):
    outcome = run("train", "--config", "absent.toml", "--help")
    assert outcome.code == 0
    assert "--print-config" in outcome.out


# ---- the text of a file ------------------------------------------------------------------------


def test_toml_says_what_it_was_given():
    run = {
        "text": 'a "quoted" \\ back\nline\ttab \x00 \x1f \x7f é ∞ 🙂',
        "yes": True,
        "whole": 2**63 - 1,
        "number": 1e-300,
        "large": float("inf"),
        "list": ["a", "b,c"],
        "empty": [],
    }
    assert tomllib.loads(_config.to_toml(run)) == run
