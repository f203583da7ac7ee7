"""Each row of the table in docs/reliability.md names tests that exist and that its commands run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def rows():
    """Return the cells of each row."""
    text = (CHECKOUT / "docs" / "reliability.md").read_text(encoding="utf-8")
    lines = text[text.index("\n| test | number of cases |") + 1 :].split("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_a_row_names_tests_that_the_commands_run(row):
    assert len(row) == 4
    names = re.findall(r"`([\w./]+)(?: \w+)?`", row[3])
    names = [name for name in names if "/" in name or name.endswith(".py")]
    assert names
    for name in names:
        path = CHECKOUT / name if name.startswith("tests/") else HERE / name
        assert path.is_file(), name
        if "sanitizers" not in name:  # a build of its own runs those
            assert re.search(r"\bmark\.reliability\b", path.read_text(encoding="utf-8")), name
