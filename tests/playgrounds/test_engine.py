"""The engine: frames, controls, a page that is slow, and messages of any kind."""

import json
import time

import numpy as np
import pytest

from fastmlp import models
from fastmlp.playgrounds import _engine, _frames, _recipe
from fastmlp.playgrounds._data import PlayTable
from fastmlp.playgrounds._session import PlaySession

from .conftest import bits, session_of, table


def test_frames_are_packed_and_unpacked():
    arrays = {"a": np.arange(5, dtype=np.int8), "b": np.float32([[1, 2], [3, 4]])}
    frame = _frames.pack({"kind": "x", "text": "§"}, arrays)
    assert frame[:4] == b"FMPG" and frame[4:6] == b"\1\0"
    head, found = _frames.unpack(frame)
    assert head == {"kind": "x", "text": "§"}
    assert all((found[name] == arrays[name]).all() for name in arrays)
    text = int.from_bytes(frame[8:12], "little")
    assert (12 + text) % 8 == 0
    for bad in (b"", b"FMP", b"XXXX" + frame[4:], frame[:4] + b"\2" + frame[5:]):
        with pytest.raises(ValueError, match="frame must"):
            _frames.unpack(bad)


def test_a_frame_has_what_is_visible_and_no_more():
    session = session_of(data="classes", units=[100, 8])
    view = _frames.PlayView.from_dict({"first": [64], "selected": [1, 3]})
    head, arrays = _frames.draw(session, view)
    assert arrays["maps0"].shape == (36, 625) and arrays["w0"].shape == (2, 36)
    assert arrays["w1"].shape == (36, 8) and arrays["fit"].shape == (101 * 101,)
    assert [layer.get("first") for layer in head["layers"]] == [64, 0, 0]
    w = session.model.dense_layers[1].get_weights()[0]
    assert (arrays["w1"] == w[64:]).all()
    x = session.data.inputs([0, 1], _frames._grid(session, [0, 1], 25), {})
    own = session.model.activations(x)[0][:, 64:]
    largest = np.abs(own).max(axis=0)
    near = arrays["maps0"].T * largest / 127
    np.testing.assert_allclose(near, own, atol=largest.max() / 127)
    fit = session.model.predict(
        session.data.inputs([0, 1], _frames._grid(session, [0, 1], 101), {})
    )
    np.testing.assert_allclose(arrays["fit"] / 65535, fit[:, 0], atol=1e-5)


def test_a_unit_s_contribution_is_the_fit_minus_the_fit_without_it():
    session = session_of(data="curve", units=[6], start="uniform")
    session.advance(20)
    before = bits(session)
    head, arrays = _frames.draw(session, _frames.PlayView(selected=(0, 2)))
    assert bits(session) == before
    (w, b), (v, _) = (layer.get_weights() for layer in session.model.dense_layers)
    x = np.linspace(-2, 2, 64)
    expected = np.maximum(x * w[0, 2] + b[2], 0) * v[2, 0]
    np.testing.assert_allclose(arrays["contribution"], expected, atol=1e-5)
    assert head["unit"]["turn"] == pytest.approx(-b[2] / w[0, 2], rel=1e-5)


def test_dead_units_and_zeros_are_counted():
    session = session_of(data="curve", units=[4])
    (w, b), out = (layer.get_weights() for layer in session.model.dense_layers)
    w[0], b[:] = [1, 1, 0, -1], [0, -5, 1, 0]  # the second is below zero everywhere
    session.model.set_weights([w, b, *out])
    head, arrays = _frames.draw(session, _frames.PlayView())
    assert arrays["dead0"].tolist() == [0, 1, 1, 0]
    assert head["layers"][0]["live"] == 2 and head["layers"][0]["nonzero"] == 3


def test_play_pause_step_and_reset(page):
    shown = page(data="classes", units=[8])
    hello, _ = shown.wait("hello")
    assert len(hello["lessons"]) == 12
    data, arrays = shown.wait("data")
    assert data["over"] == ["x1", "x2"] and arrays["points"].shape == (100, 3)
    first, _ = shown.wait("frame")
    assert first["steps"] == 0 and first["curve_from"] == 0
    shown.send("step", epochs=10)
    head, _ = shown.wait("frame", lambda head: head["steps"] == 10)
    shown.send("play")
    head, _ = shown.wait("frame", lambda head: head["playing"] and head["steps"] > 15)
    shown.send("pause")
    head, _ = shown.wait("frame", lambda head: not head["playing"])
    shown.send("rewind", place=0)
    head, _ = shown.wait("frame", lambda head: head["steps"] == 0)
    assert head["frames"] > 2 and head["place"] == 0
    shown.send("reset")
    shown.wait("data")


def test_frames_are_dropped_and_training_is_not_blocked(page):
    shown = page(slow=True, data="classes", units=[8])
    shown.send("speed", speed=0)
    shown.send("play")
    session = shown.engine.sessions["a"]
    shown.wait("frame")
    shown.wait("frame")
    before = session.steps
    time.sleep(0.3)
    assert session.steps > before + 100
    assert not [head for head, _ in shown.answers if head["kind"] == "frame"]
    shown.send("seen")
    head, _ = shown.wait("frame")
    assert head["steps"] > before + 100


def test_drawing_takes_at_most_thirty_percent(page, monkeypatch):
    drawn, own = [], _frames.draw

    def slow(session, view):
        drawn.append(time.monotonic())
        time.sleep(0.03)
        return own(session, view)

    monkeypatch.setattr(_engine._frames, "draw", slow)
    shown = page(data="classes", units=[8])
    shown.send("play")
    shown.wait("frame", lambda head: head["playing"])
    while len(drawn) < 6:
        time.sleep(0.02)
    gaps = np.diff(drawn[1:])
    assert gaps.min() >= 0.1 - 0.002


def test_divergence_is_told_and_a_rewind_goes_on(page):
    shown = page(data="curve", units=[8], optimizer="sgd", start="uniform")
    shown.send("view", view={"selected": [0, 1]})
    shown.send("step", epochs=5)
    shown.wait("frame", lambda head: head["steps"] == 5)
    shown.send("set", values={"rate": 100})
    shown.send("play")
    assert "diverged" in shown.wait("error")[0]["text"]
    head, _ = shown.wait("frame", lambda head: head["diverged"])
    assert not head["playing"]
    shown.send("rewind", place=0)
    shown.wait("frame", lambda head: not head["diverged"])
    shown.send("step", epochs=2)
    shown.wait("frame", lambda head: head["steps"] == 2)
    texts = [head["text"] for head, _ in shown.answers if head["kind"] == "error"]
    assert not [text for text in texts if _engine._FAULT in text]


def test_a_network_that_is_not_visible_is_not_computed():
    session = session_of(data="xor", units=[4])
    head, arrays = _frames.draw(session, _frames.PlayView.from_dict({"network": False}))
    assert set(arrays) == {"fit"} and head["layers"][0]["live"] <= 4


def test_nothing_is_trained_while_no_page_is_open(page):
    shown = page(data="classes", units=[8])
    shown.send("play")
    shown.wait("frame", lambda head: head["steps"] > 2)
    shown.engine.attach(None)
    time.sleep(0.1)
    steps = shown.engine.sessions["a"].steps
    time.sleep(0.1)
    assert shown.engine.sessions["a"].steps == steps


def test_two_settings_are_compared_from_one_seed(page):
    shown = page(data="curve", units=[8], start="uniform")
    shown.send("step", epochs=20)
    shown.wait("frame", lambda head: head["steps"] == 20)
    shown.send("compare", on=True)
    shown.send("set", side="b", values={"l2": 0.01})
    shown.send("step", epochs=50)
    for side in ("a", "b"):
        shown.wait("frame", lambda head, s=side: head["side"] == s and head["steps"] == 50)
    a, b = (shown.engine.sessions[side] for side in ("a", "b"))
    assert bits(a) != bits(b) and a.start == b.start
    assert bits(b) == bits(PlaySession.replayed(b.record()))
    shown.send("compare", on=False, keep="b")
    shown.wait("compared")
    shown.wait("frame")
    assert shown.engine.sessions == {"a": b}


@pytest.mark.parametrize("name", [lesson["name"] for lesson in _engine.lessons()])
def test_lessons_open(name, page):
    if name in ("deep-and-wide", "very-wide"):
        pytest.skip("large: opened by the browser's test")
    shown = page(lesson=name)
    hello, _ = shown.wait("hello")
    assert hello["lesson"] == name
    lesson = _engine.lesson(name)
    for side in ("a", "b") if "other" in lesson else ("a",):
        data, _ = shown.wait("data", lambda head, s=side: head["side"] == s)
        wanted = lesson["settings"] | (lesson.get("other", {}) if side == "b" else {})
        for key, value in wanted.items():
            got = data["settings"][key]
            assert got == value or got == [value] * len(got)
    shown.send("step", epochs=2)
    head, _ = shown.wait("frame", lambda head: head["steps"] == 2)
    assert not head["diverged"]


def test_the_command_line_names_the_lessons():
    from fastmlp.cli.playground import LESSONS

    assert [lesson["name"] for lesson in _engine.lessons()] == list(LESSONS)


def test_twenty_members_and_a_path(page):
    shown = page(data="curve", units=[8], start="uniform", batch=16)
    shown.send("step", epochs=10)
    shown.wait("frame", lambda head: head["epoch"] == 10)
    session = shown.engine.sessions["a"]
    shown.send("members")
    head, arrays = shown.wait("members")
    assert head["n"] == 20 and arrays["curves"].shape == (20, 201)
    own = _frames.outputs_on_grid(session, _frames.PlayView())
    np.testing.assert_array_equal(arrays["curves"][0], own.astype(np.float32))
    third = PlaySession.replayed(session.record(), seed=3)
    np.testing.assert_array_equal(
        arrays["curves"][2], _frames.outputs_on_grid(third, _frames.PlayView())
    )
    shown.send("path", penalty="l1")
    head, _ = shown.wait("path")
    assert len(head["lambdas"]) == len(head["loss"]) == 11
    assert head["nonzero"][0] > 0.8 > 0.6 > head["nonzero"][-1]
    assert head["loss"][-1] > head["loss"][0]


def test_a_trial_is_cancelled(page):
    shown = page(data="classes", units=[64, 64, 64], rows=1000)
    shown.send("step", epochs=30)
    shown.wait("frame", lambda head: head["epoch"] == 30)
    shown.engine.sessions["a"].steps += 100_000  # so that the repetitions would take long
    shown.send("members")
    shown.wait("progress", lambda head: head["done"] == 0)
    shown.send("cancel")
    shown.wait("progress", lambda head: head["done"] == head["total"], seconds=3)
    assert not [head for head, _ in shown.answers if head["kind"] == "members"]


def test_a_model_is_saved_with_its_preprocessing(page, tmp_path):
    shown = page(data="table", table=PlayTable(table(), "price"), held_out=0.2)
    shown.send("file", kind="model")
    head, arrays = shown.wait("file")
    path = tmp_path / head["name"]
    path.write_bytes(arrays["content"].tobytes())
    model = models.load_model(path)
    session = shown.engine.sessions["a"]
    x = session.data.x
    assert (model.predict(x, verbose=0) == session.model.predict(x, verbose=0)).all()
    assert model.extras["preprocessing"]["task"] == "regression"
    shown.send("file", kind="rows")
    assert "your table" in shown.wait("error")[0]["text"]


@pytest.mark.parametrize(
    "settings",
    [
        {"data": "curve", "units": [8], "start": "uniform", "l1": 0.001, "batch": 16},
        {"data": "moons", "units": [6, 4], "held_out": 0.25, "dropout": 0.1, "start": "normal"},
        {"data": "classes", "group": [0.01, 0, 0], "start": "he", "optimizer": "rmsprop"},
    ],
)
def test_the_copy_in_python_gives_the_same_bits(settings):
    session = session_of(**settings)
    session.advance(7 * session.n_batches)
    names = {}
    exec(_recipe.recipe(session, "python").replace("epochs=7", "epochs=7, verbose=0"), names)
    assert b"".join(a.tobytes() for a in names["model"].get_weights()) == bits(session)


def test_the_copy_in_python_of_a_table(tmp_path):
    path = tmp_path / "rows.csv"
    rows = table(80)
    lines = [",".join(rows)] + [",".join(map(str, row)) for row in zip(*rows.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    own = PlayTable(str(path), "price")
    from fastmlp.playgrounds._settings import PlaySettings

    session = PlaySession(PlaySettings(data="table", held_out=0.25, drop=("city",)), own)
    assert "--drop city" in _recipe.recipe(session, "command")
    session.advance(5)
    names = {}
    exec(_recipe.recipe(session, "python").replace("epochs=5", "epochs=5, verbose=0"), names)
    assert b"".join(a.tobytes() for a in names["model"].get_weights()) == bits(session)


@pytest.mark.slow
def test_copies_as_command_and_toml_train(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from fastmlp.cli import main
    from fastmlp.cli._app import cli

    assert main
    monkeypatch.chdir(tmp_path)
    session = session_of(data="moons", units=[6, 4], held_out=0.25, l1=0.001, dropout=0.1)
    session.advance(5)
    (tmp_path / "rows.csv").write_bytes(_engine._rows_file(session))
    command = _recipe.recipe(session, "command")
    (tmp_path / "run.toml").write_text(_recipe.recipe(session, "toml"))
    import shlex

    words = shlex.split(command, comments=True)
    assert words[:2] == ["fastmlp", "train"]
    for args in (words[1:], ["train", "--config", "run.toml"]):
        result = CliRunner().invoke(cli, args)
        assert result.exit_code == 0, result.output


def junk(rng):
    """Return a message as a broken page might send it."""
    names = ["set", "start", "view", "rewind", "point", "add_units", "remove_unit", "add_layer",
             "remove_layer", "compare", "speed", "step", "lesson", "copy", "file", "hello", "play",
             "pause", "reset", "seen", "cancel", "repair", "__init__", "", "do"]  # fmt: skip
    values = [None, True, -1, 0, 1, 3, 1e308, -1e308, 2**70, "", "x" * 300, "a", "b", [], {}, [1],
              [[]], {"l1": 1}, {"units": []}, {"units": [1, 2]}, {"rate": 1e9},
              {"data": "curve"}, {"first": [1, 2], "selected": [0, 0]}, {"held": {"x": 1e400}},
              float("nan")]  # fmt: skip
    keys = ["side", "values", "settings", "view", "place", "layer", "unit", "after", "count", "at",
            "value", "on", "keep", "epochs", "speed", "name", "form", "kind", "id"]  # fmt: skip
    kind = rng.integers(10)
    if kind == 0:
        return bytes(rng.integers(0, 256, rng.integers(0, 200), dtype=np.uint8))
    if kind == 1:
        return "[" * int(rng.integers(1, 50_000))
    message = {"do": names[rng.integers(len(names))]}
    for _ in range(rng.integers(4)):
        message[keys[rng.integers(len(keys))]] = values[rng.integers(len(values))]
    text = json.dumps(message)
    if kind == 2:
        cut = int(rng.integers(len(text)))
        return text[:cut] + chr(int(rng.integers(1, 0xD7FF))) + text[cut + 1 :]
    return text


@pytest.mark.parametrize("n", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_message_ends_the_engine(page, n):
    shown = page(data="xor", units=[4])
    rng = np.random.default_rng(n)
    faults = []
    for i in range(n):
        shown.engine.control(junk(rng))
        if i % 50 == 49:
            shown.send("lesson", name="eight-units")
            shown.wait("lesson", lambda head: head["name"] == "eight-units", seconds=20)
            faults += [head["text"] for head, _ in shown.answers
                       if head["kind"] == "error" and _engine._FAULT in head["text"]]  # fmt: skip
            shown.answers.clear()
    assert faults == []
    shown.send("step", epochs=3)
    shown.wait("frame", lambda head: head["steps"] == 3)
