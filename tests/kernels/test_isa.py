"""Every instruction set this processor runs, each in a process of its own."""

import os
import pathlib
import platform
import subprocess
import sys

import pytest

from fastmlp import _kernels

HERE = pathlib.Path(__file__).parent
# Enough of test_network.py to meet every kernel.
SELECTION = "forward or gradients or one_step or hundred or over_their_range"


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


@pytest.mark.parametrize("isa", [i for i in _kernels.supported_isas() if i != _kernels.isa()])
def test_it_agrees_with_the_reference(isa):
    """The set in use is tested here, in this process; the others by the same tests."""
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-k", SELECTION]
    done = run(isa, "-m", "pytest", *options, str(HERE / "test_network.py"))
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("isa", ["avx3", "AVX2", "sse9 "])
def test_an_unknown_one_is_an_error(isa):
    done = run(isa, "-c", "from fastmlp import _kernels; _kernels.network_class('float32')")
    assert done.returncode == 1
    assert "ValueError: FASTMLP_ISA must be one of" in done.stderr
    assert f"Received: {isa!r}" in done.stderr


def test_one_that_this_processor_lacks_is_an_error():
    missing = [i for i in ("avx512", "neon") if i not in _kernels.supported_isas()]
    for isa in missing:
        done = run(isa, "-c", "from fastmlp import _kernels; _kernels.network_class('float32')")
        assert done.returncode == 1
        assert "on this processor" in done.stderr
