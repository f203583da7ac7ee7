"""Fuzzing: minutes of damaged files for each reader, or seconds of them where time is short."""

from __future__ import annotations

import os
import sys

import pytest

from ..saving.test_hostile import FORMATS, sound, watched

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.soak,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
# Of the processor, for each format: five of models take 35 minutes, six of tables 6.
SECONDS = int(os.environ.get("FASTMLP_FUZZ_SECONDS", "420"))


@pytest.mark.parametrize("kind", FORMATS)
def test_mutants_of_model_files(tmp_path, kind, capsys):
    report = watched(tmp_path, sound(kind), "fuzz", 10**9, SECONDS)
    assert report["seconds"] >= SECONDS
    assert min(report["models"], report["refused"]) > 0
    assert report["models"] + report["refused"] > 200 * SECONDS
    with capsys.disabled():
        print(f"\n{kind}: {report}")
