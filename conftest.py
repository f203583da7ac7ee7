"""Tests run against the installed package, never against the uncompiled sources beside them."""

import gc
import os
import sys
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parent

# `python -m pytest` puts the working directory first on sys.path; from the checkout that would
# import fastmlp without its compiled kernels and without fastmlp.cli.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _CHECKOUT]

# The same for the interpreters that tests start: they put no working directory first.
os.environ["PYTHONSAFEPATH"] = "1"
# Threads of NumPy's BLAS wait in loops, which takes seconds where something else runs.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# So do those of the kernels where they share processors with another process of the tests: there,
# only tests that ask for several threads have them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run the default tests in a process for each processor, but at most in four.

    Anything that a caller chose runs in one: a few tests are done before other processes have
    started, and a longer choice, such as ``-m reliability``, measures times and memory.
    ``-n 0`` and ``-n N`` say otherwise.
    """
    chosen = config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.option.keyword
    if chosen or config.option.markexpr != "not slow and not soak":
        return 0
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return min(count, 4) if count > 1 else 0


def pytest_collection():
    """Let no collection of garbage go through the modules and tests that are being loaded."""
    gc.disable()


def pytest_collection_finish():
    """Nor any later one: with a million objects it would take a tenth of the tests' time."""
    gc.freeze()
    gc.enable()
