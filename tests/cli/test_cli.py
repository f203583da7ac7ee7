"""The command line as a whole: help, version, exit codes, streams, speed of start."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest

import fastmlp
from fastmlp import _kernels, datasets, lecture
from fastmlp.cli import _app, _output, _streams
from fastmlp.cli.datasets import DESCRIPTIONS
from fastmlp.errors import DataError, DivergedError, ModelFileError

HEAVY = ("numpy", "matplotlib", "rich", "scipy")


def test_help_lists_commands_exit_codes_and_completion(run):
    outcome = run("--help")
    assert outcome.code == 0
    for command in _app.COMMANDS:
        assert f"  {command} " in outcome.out
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "130 "):
        assert f"\n  {code}" in outcome.out
    assert "fastmlp completion bash" in outcome.out


@pytest.mark.parametrize("command", _app.COMMANDS)
def test_each_help_has_worked_examples(run, command):
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert "Examples:" in outcome.out
    assert f"fastmlp {command}" in outcome.out.split("Examples:")[1]


def test_the_list_of_commands_says_what_each_says_of_itself(run):
    listed = run("--help").out
    for name, text in _app.COMMANDS.items():
        command = _app.cli.get_command(None, name)
        assert command.help.split("\n")[0] == text
        assert text in listed


def test_help_and_completion_import_nothing_heavy():
    script = f"""
import os, sys
from fastmlp.cli._app import COMMANDS, cli
def run(*args):
    try:
        cli.main(list(args))
    except SystemExit:
        pass
for args in [["--help"], *([name, "--help"] for name in COMMANDS), ["nonsense"]]:
    run(*args)
os.environ["_FASTMLP_COMPLETE"] = "bash_complete"
for words in ("tr", "catalogue mod", "train --units 64 --l1 3 --threads 2 --opt", "plot --kind l",
              "train --activation relu,t", "datasets reg", "predict a"):
    os.environ["COMP_WORDS"] = "fastmlp " + words
    os.environ["COMP_CWORD"] = str(len(words.split()))
    run()
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.splitlines()[-1] == "[]"
    for word in ("train", "model_8units", "--optimizer", "relu,tanh", "regression_train"):
        assert f"plain,{word}" in done.stdout
    assert "file,a" in done.stdout


def test_version_names_instruction_set_and_threads(run, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    outcome = run("--version")
    assert outcome.code == 0
    assert outcome.out == f"fastmlp {fastmlp.__version__}, {_kernels.isa()}, 3 threads\n"


def test_the_data_sets_described_are_the_librarys():
    assert tuple(DESCRIPTIONS) == datasets.NAMES


def test_unknown_command_names_the_nearest(run):
    outcome = run("trian")
    assert outcome.code == 2
    assert "Did you mean 'train'?" in outcome.error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("bad\n  table"), 4, "Error: bad table"),
        (ModelFileError("bad file"), 4, "Error: bad file"),
        (DivergedError("gone", epoch=1), 3, "Error: gone"),
        (PermissionError(13, "Permission denied", "x.csv"), 1, "Error: x.csv: permission denied"),
        (MemoryError("too much"), 1, "Error: not enough memory. too much"),
        (click.ClickException("no"), 1, "Error: no"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (KeyboardInterrupt("Interrupted early."), 130, "Interrupted early."),
        (EOFError(), 130, "Interrupted."),
    ],
)
def test_each_kind_of_trouble_has_its_exit_code(run, monkeypatch, error, code, text):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(lecture, "train", fail)
    outcome = run("catalogue", "model_8units")
    assert outcome.code == code
    assert outcome.err.splitlines() == [text]


def test_an_unexpected_error_is_one_line_that_says_where(run, monkeypatch):
    def fail(*args, **options):
        raise LookupError("who knows")

    monkeypatch.setattr(datasets, "load", fail)
    outcome = run("datasets", "regression_train")
    assert outcome.code == 1
    assert "unexpected LookupError at datasets.py:" in outcome.error
    assert "fastmlp doctor" in outcome.error


def test_quiet_and_verbose_exclude_each_other(run):
    outcome = run("datasets", "regression_train", "-q", "-v")
    assert outcome.code == 2


def test_a_reader_that_leaves_is_no_error():
    command = [sys.executable, "-m", "fastmlp.cli", "datasets", "classification_validation"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"x1,x2,y\n"
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


@pytest.fixture
def unread():
    """A pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream


def test_progress_that_nobody_reads_stops_no_training(unread):
    stream = _streams.PipeSafeStream(unread)
    assert stream.fileno() == unread.fileno()
    for _ in range(3):
        print("42/100 epochs", file=stream, flush=True)


def test_a_table_that_nobody_reads_is_a_broken_pipe(unread, monkeypatch):
    monkeypatch.setattr(sys, "stdout", unread)
    with pytest.raises(BrokenPipeError):
        _output.console().print("loss 0.1")
    _streams.forget(unread)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_error_line():
    command = [sys.executable, "-m", "fastmlp.cli", "datasets", "regression_train"]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "Error: no space left on device\n"


# ---- datasets ----


def test_datasets_lists_and_writes(run, tmp_path):
    listed = run("datasets")
    assert [line.split()[0] for line in listed.out.splitlines()] == list(datasets.NAMES)
    names = [entry["name"] for entry in json.loads(run("datasets", "--json").out)["datasets"]]
    assert names == list(datasets.NAMES)
    printed = run("datasets", "classification_train")
    assert printed.out.splitlines()[:2] == ["x1,x2,y", "-0.1280102,-0.94814754,1"]
    assert printed.err == ""
    outcome = run("datasets", "classification_train", "-o", "c.csv")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == "Wrote 100 rows to c.csv.\n"
    assert (tmp_path / "c.csv").read_text() == printed.out
    document = json.loads(run("datasets", "regression_curve", "--json").out)
    assert len(document["x"]) == len(document["y"]) == 101
    document = json.loads(run("datasets", "regression_train", "--json", "-o", "r.csv").out)
    assert document["rows"] == 50


def test_datasets_never_overwrites_unasked(run, write, tmp_path):
    write("c.csv", "precious")
    outcome = run("datasets", "regression_train", "-o", "c.csv")
    assert outcome.code == 1
    assert outcome.error == "Error: c.csv: the file exists; --force replaces it"
    assert (tmp_path / "c.csv").read_text() == "precious"
    assert run("datasets", "regression_train", "-o", "c.csv", "--force", "-q").err == ""
    assert (tmp_path / "c.csv").read_text().startswith("x,y\n")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nowhere/c.csv", "nowhere: there is no such directory"),
        (".", ".: is a directory, expected a file"),
        ("afile/c.csv", "afile: there is no such directory"),
        ("a\0b", "cannot be written"),
    ],
)
def test_unwritable_output_is_found_before_the_work(run, write, path, text):
    write("afile", "")
    outcome = run("datasets", "regression_train", "-o", path)
    assert outcome.code == 1
    assert text in outcome.error


def test_a_device_takes_output(run):
    assert run("datasets", "regression_train", "-o", "/dev/null", "--force").code == 0


def test_unknown_data_set_is_wrong_usage(run):
    outcome = run("datasets", "regresion_train")
    assert outcome.code == 2
    assert "regression_train" in outcome.error
