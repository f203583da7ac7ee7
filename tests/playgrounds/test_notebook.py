"""The page in a notebook: its one module, and messages through the widget."""

import re

import numpy as np
import pytest

import fastmlp
from fastmlp.playgrounds import _widget
from fastmlp.playgrounds._frames import unpack

from .conftest import table


def test_modules_stand_behind_those_they_import():
    seen = set()
    for name, text in _widget.modules():
        if not name.startswith("vendor/"):
            for other in re.findall(r'from "\./([^"]+)"|import "\./([^"]+)"', text):
                assert "".join(other) in seen, (name, other)
        seen.add(name)
    assert {"app.js", "draw.js", "vendor/preact.mjs", "vendor/d3-contour.min.js"} <= seen
    text = _widget.module_text()
    assert "export default" in text and ".fmp .net" in text and "html body" not in text


@pytest.fixture
def widget():
    pytest.importorskip("anywidget")
    made = fastmlp.playground(table(120), "price", notebook=True)
    yield made
    made.close()


def test_the_widget_carries_controls_and_frames(widget, monkeypatch):
    import queue

    frames = queue.Queue()
    monkeypatch.setattr(
        type(widget), "send", lambda self, head, buffers: frames.put(unpack(buffers[0]))
    )

    def wait(kind, steps=0):
        while True:
            head, arrays = frames.get(timeout=10)
            if head["kind"] == "frame":
                say({"do": "seen"})
            if head["kind"] == kind and head.get("steps", 0) >= steps:
                return head, arrays

    def say(message):
        widget._handle_custom_msg(message, [])

    say({"do": "open"})
    wait("hello")
    data, arrays = wait("data")
    assert data["target"] == "price" and arrays["points"].dtype == np.float32
    say({"do": "step", "epochs": 3})
    wait("frame", steps=3)
    say("nonsense")
    assert wait("error")
    say({"do": "leave"})


def test_closing_the_widget_ends_the_engine(widget):
    widget.close()
    assert not widget.engine._thread.is_alive()
