from __future__ import annotations

import io
import sys
from typing import NamedTuple

import pytest

import fastmlp
from fastmlp import plots
from fastmlp.cli._app import cli


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def error(self):
        """The one error line, of which exit codes 1, 3 and 4 promise exactly one."""
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run the command line in this process, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    # Wide enough for paths; what narrow terminals do has tests of its own.
    monkeypatch.setenv("COLUMNS", "100")
    save = plots.save

    def rough(figure, path, dpi=150):
        # How figures look is tested in tests/plots: here without layout and ticks, of few pixels.
        figure.set_layout_engine("none")
        for ax in figure.axes:
            ax.set_axis_off()
        return save(figure, path, dpi=20)

    monkeypatch.setattr(plots, "save", rough)

    def call(*args, stdin=None):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(arg) for arg in args])
        return Outcome(end.value.code, *capsys.readouterr())

    yield call
    fastmlp.set_num_threads(None)


_FILES: dict[tuple, bytes] = {}


@pytest.fixture
def kept(run, tmp_path):
    """Run a command that writes a file, once for all tests that ask for the same."""

    def make(name, *args):
        if args not in _FILES:
            outcome = run(*args, "-o", name)
            assert outcome.code == 0, outcome.err
            _FILES[args] = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(_FILES[args])
        return name

    return make


@pytest.fixture
def write(tmp_path):
    """Write a file into the test's directory, and return its name."""

    def make(name, content):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return name

    return make


@pytest.fixture
def numbers(write):
    """A regression table: y = a - 2 b + 1, 30 rows, values up to a hundred."""
    rows = [(i, (7 * i) % 11) for i in range(30)]
    lines = [f"{a},{b},{a - 2 * b + 1}" for a, b in rows]
    return write("numbers.csv", "a,b,y\n" + "\n".join(lines) + "\n")


@pytest.fixture
def flowers(write):
    """A table of three classes, with a text column beside two numeric ones."""
    lines = []
    for i in range(36):
        kind = ("rose", "lily", "iris")[i % 3]
        colour = ("red", "white")[i % 2]
        lines.append(f"{i % 3 + 0.01 * i:.2f},{(i * 5) % 7},{colour},{kind}")
    return write("flowers.csv", "height,width,colour,kind\n" + "\n".join(lines) + "\n")
