"""`fastmlp playground`: its options reach the function."""

import pytest
from click.testing import CliRunner

from fastmlp import playgrounds
from fastmlp.cli._app import cli


@pytest.fixture
def opened(monkeypatch):
    calls = []
    monkeypatch.setattr(playgrounds, "check_installed", lambda: None)
    monkeypatch.setattr(
        playgrounds, "playground", lambda *args, **named: calls.append((args, named))
    )
    return calls


def test_options_reach_the_function(opened, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    words = ["playground", str(path), "--target", "a", "--port", "8123", "--no-browser"]
    result = CliRunner().invoke(cli, [*words, "--lesson", "l1"])
    assert result.exit_code == 0, result.output
    ((table, target), named), = opened  # fmt: skip
    assert table.names == ["a", "b"] and target == "a"
    assert named == {"lesson": "l1", "port": 8123, "browser": False, "notebook": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "y"], "need DATA"),
        (["--lesson", "l3"], "l3"),
        (["--port", "99999"], "99999"),
    ],
)
def test_wrong_options(opened, words, message):
    result = CliRunner().invoke(cli, ["playground", *words])
    assert result.exit_code == 2 and message in result.output and opened == []


def test_a_column_that_is_not_there(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    pytest.importorskip("uvicorn")
    result = CliRunner().invoke(cli, ["playground", str(path), "--target", "c", "--no-browser"])
    assert result.exit_code == 2 and "'c'" in result.output
