"""Trainings of all kinds beside an independent implementation, and beside one another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from fastmlp import _kernels

from . import run, trial, truth
from .draws import draw

HERE = Path(__file__).parent
pytestmark = pytest.mark.reliability
# Chosen to reach every regime in little time, on a processor with AVX-512; 2, 12 and 21 besides
# for the padding of ordered rows.
SAMPLE = (2, 12, 21, 187, 190, 216, 233, 234, 245, 249, 254, 292, 300, 301, 315, 318, 334, 340, 353,
          369, 378, 395)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread_of_blas():
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


def test_philox_has_the_published_words():
    """Known answers of Random123, for a counter and key of zeros and of ones."""
    words = [int(word) for word in truth.philox((0, 0, 0, 0), 0)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 0xFFFFFFFF
    words = [int(word) for word in truth.philox((ones,) * 4, 0xFFFFFFFFFFFFFFFF)]
    assert words == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_there_are_as_many_regimes_as_the_documentation_says():
    assert len(set(run.REGIMES)) == 107


def test_a_sample_of_draws():
    results = [trial.attempt(draw(number)) for number in SAMPLE]
    missing = run.missing(results, 1)
    # Elsewhere vectors have other lengths, and other kernels serve some of the draws.
    assert len(missing) <= (0 if "avx512" in _kernels.supported_isas() else 8), missing


@pytest.mark.parametrize("number", [1, 4])
def test_a_number_that_is_ten_tolerances_off_is_found(number):
    it = draw(number)
    true, doubts = trial.expected(it)
    allowed = trial.tolerances(it, true, doubts)
    found, _ = trial.trained(it, trial.variants(it)[0][0])
    assert trial.distance(found, true, allowed)[0] < 1
    for name in [name for name in found if np.isfinite(allowed[name]).all()]:
        wrong = found[name].astype(np.float64)
        wrong.flat[-1] += 10 * max(np.max(allowed[name]), 1e-30)  # 0 where all is 0
        ratio, where = trial.distance({**found, name: wrong}, true, allowed)
        assert ratio > 1 and where == name


def test_a_bit_and_a_number_in_the_padding_are_found():
    it = draw(2)
    found, _ = trial.trained(it, trial.variants(it)[0][0])
    wrong = {name: array.copy() for name, array in found.items()}
    name = next(iter(wrong))
    wrong[name].view(np.uint8).flat[0] ^= 1
    trial.require_same(found, found, "itself")
    with pytest.raises(trial.DifferenceError, match=name):
        trial.require_same(wrong, found, "another")

    class Spoilt:
        def padding(self):
            return [np.zeros(3), np.array([0.0, np.nan])]

    with pytest.raises(trial.DifferenceError, match="padding"):
        trial._require_zero_padding(Spoilt())


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(2 * 5400)
def test_ten_thousand_draws(tmp_path):
    """In two processes; with FASTMLP_DRAWS_DIR, what is done there already is not done again."""
    count = int(os.environ.get("FASTMLP_DRAWS", "10000"))
    directory = Path(os.environ.get("FASTMLP_DRAWS_DIR", tmp_path))
    directory.mkdir(parents=True, exist_ok=True)
    halves = [(0, count // 2), (count // 2, count)]
    files = [directory / f"draws-{first}-{stop}.jsonl" for first, stop in halves]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, "-m", "differential.run"]
    processes = [
        subprocess.Popen([*command, str(first), str(stop), file], env=environment)
        for (first, stop), file in zip(halves, files, strict=True)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    results = run.lines(*directory.glob("*.jsonl")).values()
    print(run.table(results))
    run.require_sound(results, count)
