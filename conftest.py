"""Tests run against the installed package, never against the uncompiled sources beside them."""

import gc
import os
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent

# `python -m pytest` puts the working directory first on sys.path; from the checkout that would
# import fastmlp without its compiled kernels and without fastmlp.cli.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _CHECKOUT]

# The same for the interpreters that tests start: they put no working directory first.
os.environ["PYTHONSAFEPATH"] = "1"
# Threads of NumPy's BLAS wait in loops, which takes seconds where something else runs.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_collection():
    """Let no collection of garbage go through the modules and tests that are being loaded."""
    gc.disable()


def pytest_collection_finish():
    """Nor any later one: with a million objects it would take a tenth of the tests' time."""
    gc.freeze()
    gc.enable()
