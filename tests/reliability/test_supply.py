"""What is installed: few dependencies with bounds, and a source distribution of the same bytes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.reliability
CHECKOUT = Path(__file__).parents[2]


def test_dependencies_are_few_and_have_bounds():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"]
    assert len(needed) <= 6
    assert all(re.fullmatch(r"[a-z]+>=\d[\d.]*,<\d+", line) for line in needed)
    extras = project["optional-dependencies"]
    for line in [*needed, *(d for name in extras if name != "test" for d in extras[name])]:
        assert re.match(r"[a-z0-9-]+>=\d", line), line


@pytest.mark.slow
def test_the_source_distribution_has_the_same_bytes_each_time(tmp_path, monkeypatch):
    build = pytest.importorskip("scikit_build_core.build")
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a checkout")
    monkeypatch.chdir(CHECKOUT)
    found = []
    for name in "ab":
        (tmp_path / name).mkdir()
        file = build.build_sdist(str(tmp_path / name))
        found.append((file, (tmp_path / name / file).read_bytes()))
    assert found[0] == found[1]
