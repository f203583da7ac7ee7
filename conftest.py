"""Tests run against the installed package, never against the uncompiled sources beside them."""

import os
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent

# `python -m pytest` puts the working directory first on sys.path; from the checkout that would
# import fastmlp without its compiled kernels and without fastmlp.cli.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _CHECKOUT]

# The same for the interpreters that tests start: they put no working directory first.
os.environ["PYTHONSAFEPATH"] = "1"
