"""The progress line, on a clock and a terminal of the test's own."""

import io
import re

import pytest

from fastmlp._utils import progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(progress, "time", fake)
    return fake


def run(clock, stream, monkeypatch, seconds, every=0.01, **options):
    monkeypatch.setattr("sys.stderr", stream)
    steps = round(seconds / every)
    with progress.ProgressLine("fit", steps, "epochs", **options) as line:
        for step in range(1, steps + 1):
            clock.now += every
            line.update(step, {"loss": 1 / step})
    return stream.getvalue()


def test_figures_and_durations():
    assert progress.figures({"loss": 0.5, "mae": 1e-5}) == "loss: 0.5000  mae: 1.0000e-05"
    assert progress.figures({"a": 0.0, "b": 2e6}, " - ") == "a: 0.0000 - b: 2.0000e+06"
    assert progress.duration(41.6) == "42 s"
    assert progress.duration(185) == "3 min 05 s"
    assert progress.duration(7805) == "2 h 10 min"


def test_short_work_shows_nothing(clock, monkeypatch):
    for stream in (io.StringIO(), Terminal()):
        assert run(clock, stream, monkeypatch, 0.9) == ""


def test_work_that_time_ends_has_no_total(clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with progress.ProgressLine("fit", 1 << 30) as line:
        for step in (1, 2, 3):
            clock.now += 6
            line.update(step)
    assert stream.getvalue().splitlines() == [f"fit: {n} epochs  {6 * n} s" for n in (1, 2, 3)]


def test_plain_lines_off_a_terminal(clock, monkeypatch):
    lines = run(clock, io.StringIO(), monkeypatch, 12).splitlines()
    assert len(lines) == 3  # after 1, 6 and 11 seconds
    assert re.fullmatch(r"fit: \d+/1200 epochs  11 s left  loss: \S+", lines[0])
    assert "\x1b" not in "".join(lines)


def test_a_live_line_on_a_terminal(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    text = run(clock, Terminal(), monkeypatch, 3)
    updates = re.findall(r"fit: (\d+)/300 epochs", text)
    assert 15 <= len(updates) <= 21 + 2  # ten a second after the first, and the end's
    assert "left" in text and updates[0] == "100" and updates[-1] == "300"
    assert text.endswith("\x1b[?25h")  # the cursor is back


def test_no_color_is_obeyed(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    text = run(clock, Terminal(), monkeypatch, 2)
    assert "epochs" in text and not re.search(r"\x1b\[[0-9;]*(3[0-9]|38;)[0-9;]*m", text)


def test_disabled(clock, monkeypatch):
    assert run(clock, io.StringIO(), monkeypatch, 12, enabled=False) == ""


def test_the_end_says_how_long_it_took(clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    line = progress.ProgressLine("predict", 10, "rows")
    clock.now += 65
    line.update(10)
    assert stream.getvalue() == "predict: 10/10 rows  1 min 05 s\n"
    line.close()
