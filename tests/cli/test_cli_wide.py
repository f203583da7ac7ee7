"""Commands on a table of 60,000 columns."""

from __future__ import annotations

import time

import numpy as np
import pytest

N = 60_000


def table(n_rows):
    values = np.random.default_rng(0).integers(0, 100, (n_rows, N))
    lines = [",".join([*(f"column_number_{i}" for i in range(N)), "y"])]
    lines += [",".join(map(str, [*row, row[0] + row[1]])) for row in values]
    return "\n".join(lines) + "\n"


@pytest.fixture
def wide(write):
    return write("wide.csv", table(6))


@pytest.mark.slow
@pytest.mark.reliability
def test_train_and_predict(run, wide, tmp_path):
    begun = time.monotonic()
    outcome = run("train", wide, "--units", 2, "--epochs", 2, "--standardize", "--seed", 1, "-q",
                  "--checkpoint", "c.fmlp", "-o", "m.fmlp")  # fmt: skip
    assert outcome.code == 0, outcome.err
    predicted = [run("predict", name, wide, "-q").out for name in ("m.fmlp", "c.fmlp")]
    assert predicted[0] == predicted[1] and len(predicted[0].splitlines()) == 7
    assert run("train", "--resume", "c.fmlp", "-q").code == 0
    assert time.monotonic() - begun < 60


@pytest.mark.slow
@pytest.mark.reliability
def test_other_commands(run, wide):
    begun = time.monotonic()
    common = (wide, "--target", "y", "-q")
    assert (
        run("ensemble", *common, "--units", 2, "--epochs", 1, "--members", 2, "-o", "e").code == 0
    )
    assert run("predict", "e", wide, "-q").code == 0
    sweep = ("sweep", *common, "--units", "2", "--epochs", 1, "-o", "s.db")
    refused = run(*sweep)  # by default, no row of six is held out
    assert refused.code == 2 and "give validation_split above 0" in refused.err
    swept = run(*sweep, "--validation-split", 0.34)
    assert swept.code == 0, swept.err
    outcome = run("path", *common, "--units", "2", "--epochs", 1, "--n-lambdas", 2, "--folds", 2,
                  "-o", "p")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert run("predict", "p/model.fmlp", wide, "-q").code == 0
    assert run("evaluate", "p/model.fmlp", wide, "-q").code == 0
    assert run("prune", "p/model.fmlp", "-o", "pruned").code == 0
    assert time.monotonic() - begun < 250
