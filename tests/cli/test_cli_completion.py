"""Shell completion, by the protocol that the scripts use."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fastmlp import lecture
from fastmlp._utils import names
from fastmlp.cli import _figures, inspect
from fastmlp.cli._app import COMMANDS, cli


def complete(words, incomplete=""):
    """Return what bash would be offered after these words."""
    args = ["fastmlp", *words.split(), incomplete]
    environment = {
        "_FASTMLP_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(args),
        "COMP_CWORD": str(len(args) - 1),
    }
    result = CliRunner().invoke(cli, [], prog_name="fastmlp", env=environment)
    return [tuple(line.split(",", 1)) for line in result.output.splitlines()]


def plain(words, incomplete=""):
    found = complete(words, incomplete)
    assert {kind for kind, _ in found} <= {"plain"}
    return [value for _, value in found]


def test_commands():
    assert set(plain("")) == set(COMMANDS)
    assert plain("", "comp") == ["compare", "completion"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train --activation", names.ACTIVATIONS),
        ("train --optimizer", names.OPTIMIZERS),
        ("train --task", ("regression", "classification")),
        ("catalogue", tuple(lecture.CATALOGUE)),
        ("plot --kind", tuple(_figures.KINDS)),
        ("inspect m.fmlp d.csv --metric", inspect.METRICS),
        ("compare a.fmlp d.csv --sort", ("mse", "mae", "r2", "accuracy", "log_loss")),
        ("completion", ("bash", "zsh", "fish")),
    ],
)
def test_names(words, expected):
    assert sorted(plain(words)) == sorted(expected)
    assert plain(words, expected[-1][:3])


@pytest.mark.parametrize(
    "words",
    [
        "train", "predict", "predict m.fmlp", "evaluate m.fmlp", "summary", "plot",
        "compare", "compare a.fmlp", "compare a.fmlp b.fmlp", "inspect m.fmlp",
        "train --config", "train --validation", "train -o", "train --output",
        "train --checkpoint", "train --resume", "bench -o", "predict m.fmlp d.csv -o",
        "plot --data", "plot -o", "datasets -o",
    ],
)  # fmt: skip
def test_files(words):
    assert complete(words, "da") == [("file", "da")]


@pytest.mark.parametrize("words", ["train --plot", "catalogue -o", "inspect m.fmlp d.csv -o"])
def test_directories(words):
    assert complete(words, "fi") == [("dir", "fi")]


def test_options():
    assert {"--config", "--print-config", "--units"} <= set(plain("train", "--"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_of_the_shell(run, shell):
    outcome = run("completion", shell)
    assert outcome.code == 0
    assert f"_FASTMLP_COMPLETE={shell}_complete" in outcome.out
    assert run("completion").code == 2
    assert "'tcsh' is not one of" in run("completion", "tcsh").err


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script():
    script = f"""
eval "$({sys.executable} -m fastmlp.cli completion bash)"
COMP_WORDS=({sys.executable} completion fi) COMP_CWORD=2
env() {{ shift 3; command env COMP_WORDS="x completion fi" COMP_CWORD=2 \
_FASTMLP_COMPLETE=bash_complete {sys.executable} -m fastmlp.cli; }}
_fastmlp_completion fastmlp
echo "${{COMPREPLY[*]}}"
complete -p fastmlp
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "fish"
    assert "-F _fastmlp_completion fastmlp" in lines[1]
