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
    assert "left" in text and updates[0] == "100" and int(updates[-1]) >= 290
    assert "\x1b[?25h" in text.split(updates[-1])[-1]  # the cursor is back
    assert text.rstrip("\r").endswith("\x1b[2K")  # and the line is erased


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 200])
def test_a_bar_keeps_to_the_terminals_width_and_cuts_no_figure(clock, monkeypatch, columns):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    values = {"loss": 0.123456, "mae": 1e-9, "val_loss": 12.5, "val_mae": 1e7}
    with progress.ProgressLine("fit", 300) as line:
        for step in (1, 150, 299):
            clock.now += 2
            line.update(step, values)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue()).replace("\r", "\n")
    lines = [text.rstrip() for text in shown.split("\n") if text.strip()]
    assert lines
    assert all(len(text) <= columns for text in lines)
    if columns >= 60:
        assert all(text.startswith("fit: ") and " left" in text for text in lines)
        assert "━" in lines[-1]
    figures = [progress.figures({name: value}) for name, value in values.items()]
    for text in lines:
        rest = text
        for figure in figures:
            rest = rest.replace(figure, "")
        assert "loss" not in rest and "mae" not in rest and "…" not in rest
    if columns == 200:
        assert all(figure in lines[-1] for figure in figures)


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


class Notebook:
    """What a kernel's IPython offers, with the HTML that it is given."""

    def __init__(self, monkeypatch, kernel=True):
        import types

        shell = types.SimpleNamespace(**({"kernel": 1} if kernel else {}))
        module = types.ModuleType("IPython")
        module.get_ipython = lambda: shell
        display = types.ModuleType("IPython.display")
        self.shown = []
        display.HTML = lambda content: content
        display.display = self.display
        monkeypatch.setitem(__import__("sys").modules, "IPython", module)
        monkeypatch.setitem(__import__("sys").modules, "IPython.display", display)

    def display(self, content, display_id):
        assert display_id
        self.shown.append(content)
        return self

    def update(self, content):
        self.shown.append(content)


def test_a_notebook_has_one_bar_with_a_curve_which_goes_at_the_end(clock, monkeypatch):
    notebook = Notebook(monkeypatch)
    assert run(clock, io.StringIO(), monkeypatch, 3) == ""
    assert 7 <= len(notebook.shown) <= 10  # four a second, after the first
    assert "<progress" in notebook.shown[0] and "fit: 100/300 epochs" in notebook.shown[0]
    assert "<polyline" in notebook.shown[-2]
    assert notebook.shown[-1] == ""
    assert max(map(len, notebook.shown)) < 10_000


def test_ipython_in_a_terminal_is_no_notebook(clock, monkeypatch):
    notebook = Notebook(monkeypatch, kernel=False)
    assert len(run(clock, io.StringIO(), monkeypatch, 12).splitlines()) == 3
    assert not notebook.shown
