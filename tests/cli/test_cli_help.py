"""The help: sections, examples, width, and the answers to words from other programs."""

from __future__ import annotations

import re

import click
import pytest

from fastmlp.cli import _app, _help, _synonyms

CONTEXT = click.Context(_app.cli, info_name="fastmlp")
ISSUE = ("Data", "Network", "Penalty", "Training", "Validation", "Output", "Many machines")


def command_of(name):
    return _app.cli.get_command(CONTEXT, name)


def titles(text):
    return re.findall(r"^([A-Z][a-z ]+):$", text, re.MULTILINE)


def shown_options(text):
    return set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", _app.COMMANDS)
def test_every_option_has_one_place(name):
    command = command_of(name)
    assert isinstance(command, _help.Command), f"{name}: give click.command cls=_help.Command"
    placed = [name for texts in _help.SECTIONS.values() for name in " ".join(texts).split()]
    twice = {name for name in placed if placed.count(name) > 1}
    assert twice == _help.TRAINING_ONLY
    for param in command.params:
        if isinstance(param, click.Option):
            assert max(param.opts, key=len) in placed, "name it in cli/_help.py: SECTIONS"


@pytest.mark.parametrize("name", _app.COMMANDS)
def test_help_all_has_what_help_leaves_out(run, name):
    few, everything = run(name, "--help").out, run(name, "--help-all").out
    declared = {
        max(param.opts, key=len)
        for param in command_of(name).params
        if param.param_type_name == "option"
    }
    assert declared <= shown_options(everything)
    assert shown_options(few) <= shown_options(everything) | {"--help-all"}
    left_out = len(declared - shown_options(few))
    more = re.search(r"For (?:(\d+) more options?)?.*: fastmlp", few)
    assert left_out == int((more and more[1]) or 0)
    assert few.count("\n    fastmlp ") <= _help.N_EXAMPLES
    assert ("--help-all" in few) == (more is not None)


def test_the_sections_of_training(run):
    assert titles(run("train", "--help").out) == list(ISSUE)
    assert titles(run("ensemble", "--help").out) == list(ISSUE)
    assert "Search" in titles(run("sweep", "--help").out)
    assert "Figure" in titles(run("plot", "--help").out)
    assert titles(run("prune", "--help").out) == ["Options"]
    # Of a model that exists, these are not about a network or its training.
    for name in ("evaluate", "inspect", "predict", "import"):
        found = titles(run(name, "--help").out)
        assert not set(found) & {"Network", "Training", "Validation"}, name


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["", *_app.COMMANDS])
def test_no_line_is_wider_than_the_terminal(run, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for option in ("--help", "--help-all") if name else ("--help",):
        text = run(*name.split(), option).out
        long = [line for line in text.splitlines() if len(line) > width]
        assert not long
        assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_a_long_example_can_be_pasted(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = run("train", "--help-all").out.split("Examples:\n")[1].split("\n\n")[0]
    joined = re.sub(r" \\\n\s+", " ", text)
    assert "\\\n" in text and "\\" not in joined
    assert [line.strip() for line in joined.splitlines()] == command_of("train").parts()[1]


@pytest.mark.parametrize(
    ("command", "written", "meant"),
    [
        ("train", "--lr", "--learning-rate"),
        ("train", "--learning_rate", "--learning-rate"),
        ("train", "--hidden", "--units"),
        ("train", "--hidden-layer-sizes", "--units"),
        ("train", "--normalize", "--standardize"),
        ("train", "--early-stopping", "--patience"),
        ("train", "--alpha", "--l2"),
        ("path", "--alpha", "--penalty"),
        ("train", "--max-iter", "--epochs"),
        ("ensemble", "--n-estimators", "--members"),
        ("sweep", "--cv", "--folds"),
        ("predict", "--sep", "--delimiter"),
        ("train", "--epoch", "--epochs"),
    ],
)
def test_words_for_options(run, command, written, meant):
    outcome = run(command, "x.csv", written, "3")
    assert outcome.code == 2
    assert outcome.error == f"Error: No such option '{written}'. Did you mean {meant}?"


def test_an_option_of_other_commands(run):
    outcome = run("evaluate", "m.fmlp", "x.csv", "--units", "3")
    expected = "It is an option of train, path, sweep, ensemble and summary."
    assert outcome.error.endswith(expected)
    outcome = run("evaluate", "m.fmlp", "x.csv", "--solver", "sgd")
    assert outcome.error.endswith("--optimizer is an option of train, sweep and ensemble.")
    assert run("train", "--xyzzy").error == "Error: No such option '--xyzzy'."


def test_words_for_options_in_a_file(run, write):
    write("run.toml", "lr = 0.1\n")
    outcome = run("train", "--config", "run.toml")
    assert "there is no option 'lr'. Did you mean 'learning-rate'?" in outcome.error


@pytest.mark.parametrize(
    ("written", "meant"),
    [("fit", "'train'"), ("explain", "'inspect' or 'report'"), ("score", "'evaluate'"),
     ("tune", "'sweep'"), ("Lasso", "'path'"), ("infer", "'predict'")],
)  # fmt: skip
def test_words_for_commands(run, written, meant):
    outcome = run(written, "x.csv")
    assert outcome.code == 2
    assert outcome.error == f"Error: there is no command '{written}'. Did you mean {meant}?"


def test_words_mean_something_that_exists():
    known = {
        opt for name in _app.COMMANDS for p in command_of(name).params
        for opt in (*p.opts, *p.secondary_opts)
    }  # fmt: skip
    for word, meant in _synonyms._table(_synonyms._OPTIONS).items():
        assert set(meant) <= known, word
    for word, meant in _synonyms._table(_synonyms._COMMANDS).items():
        assert set(meant) <= set(_app.COMMANDS), word
        assert word not in _app.COMMANDS


def test_the_sections_of_the_list_of_commands(run):
    text = run("--help").out
    assert set(_app._SECTIONS) <= set(_app.COMMANDS)
    assert titles(text)[: len(_app._SECTIONS)] == list(_app._SECTIONS.values())
    assert next(iter(_app.COMMANDS)) in _app._SECTIONS
