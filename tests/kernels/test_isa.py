"""Every instruction set this processor runs, each in a process of its own."""

import os
import pathlib
import platform
import subprocess
import sys

import pytest

from fastmlp import _kernels

HERE = pathlib.Path(__file__).parent
# Enough of test_network.py to meet every kernel, and of test_threads.py to cut them up.
MANY = "forward or gradients or one_step or hundred or over_their_range"
MANY += " or (training_has and (shallow or wide or odd or low))"
FEW = "gradients_of or (one_step and adam) or over_their_range or (training_has and shallow)"
BINS = "on_bins and (outputs_losses or one_step_on_bins and adam or unit)"
SPARSE = "outputs_losses_and_gradients_have and (wide or unit)"
FEW += f" or ({SPARSE}) or ({BINS})"
MANY += f" or ({SPARSE}) or training_has_the_bits or on_bins or formed_bins"
OTHERS = [i for i in _kernels.supported_isas() if i != _kernels.isa()]


def run(isa, *arguments):
    environment = os.environ | {"FASTMLP_ISA": isa}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=HERE.parent.parent,
    )


def test_the_best_one_is_chosen():
    if not os.environ.get("FASTMLP_ISA"):
        assert _kernels.isa() == _kernels.supported_isas()[0]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other names on other processors")
def test_supported_ones_are_those_of_the_processor():
    info = pathlib.Path("/proc/cpuinfo")
    if not info.is_file():
        pytest.skip("this system does not tell its processor's flags")
    flags = set(info.read_text().split())
    supported = _kernels.supported_isas()
    assert supported[-1] == "baseline"
    assert ("avx2" in supported) == ({"avx2", "fma"} <= flags)
    assert ("avx512" in supported) == ({"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= flags)


@pytest.mark.parametrize("isa", _kernels.supported_isas())
def test_it_is_used_when_asked_for(isa):
    script = (
        "from fastmlp import _kernels as k;"
        "print(k.isa(), *(k.network_class(d).__module__ for d in ('float32', 'float64')))"
    )
    done = run(isa, "-c", script)
    assert done.returncode == 0, done.stderr
    name, *modules = done.stdout.split()
    assert name == isa
    assert all(isa in module for module in modules)


@pytest.mark.parametrize(
    ("isa", "selection"),
    [pytest.param(isa, FEW, id=isa) for isa in OTHERS]
    + [pytest.param(isa, MANY, id=f"{isa}-more", marks=pytest.mark.slow) for isa in OTHERS],
)
def test_it_agrees_with_the_reference(isa, selection):
    """The set in use is tested here, in this process; the others by the same tests."""
    options = ["-q", "-p", "no:cacheprovider", "--assert=plain"]
    names = ("network", "threads", "sparse", "encoded")
    files = [str(HERE / f"test_{name}.py") for name in names]
    done = run(isa, "-m", "pytest", *options, "-k", selection, *files)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


LACKING = [isa for isa in ("avx512", "avx2", "neon") if isa not in _kernels.supported_isas()]


@pytest.mark.parametrize("isa", ["avx3", "AVX2", "sse9 ", *LACKING])
def test_one_that_is_unknown_or_lacking_is_an_error(isa):
    done = run(isa, "-c", "from fastmlp import models; models.Sequential()")
    assert done.returncode == 1
    supported = ", ".join(_kernels.supported_isas())
    assert done.stderr.splitlines()[-1] == (
        f"ValueError: FASTMLP_ISA must be one of {supported} on this processor. Received: {isa!r}"
    )


@pytest.mark.parametrize(
    ("isa", "command"),
    [(isa, "--version") for isa in ("avx3", *LACKING[:1])]
    + [("avx3", "train --units 4 --epochs 1"),
       pytest.param("avx3", "doctor", marks=pytest.mark.slow)],  # imports all that there is
)  # fmt: skip
def test_the_command_line_says_so_in_one_line(isa, command):
    done = run(isa, "-m", "fastmlp.cli", *command.split())
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: FASTMLP_ISA must be one of ")
    assert line.endswith(f"Received: {isa!r}")


def test_what_needs_no_kernels_does_not_ask():
    done = run("avx3", "-m", "fastmlp.cli", "--help")
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout


def test_an_empty_one_is_none():
    done = run("", "-c", "from fastmlp import _kernels; print(_kernels.isa())")
    assert done.stdout.split() == [_kernels.supported_isas()[0]], done.stderr
