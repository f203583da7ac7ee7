"""Sessions: the steps of fit, events, replay, rewinding, warm starts and limits."""

import json
import resource

import numpy as np
import pytest

from fastmlp import playgrounds
from fastmlp.playgrounds import _network, _session
from fastmlp.playgrounds._data import PlayTable
from fastmlp.playgrounds._session import PlaySession
from fastmlp.playgrounds._settings import PlaySettings

from .conftest import bits, session_of, table

KINDS = [
    {"data": "classes", "units": [16, 16]},
    {"data": "curve", "units": [8], "batch": 16, "start": "uniform", "l1": 0.001},
    {"data": "moons", "dropout": 0.2, "batch": 32, "optimizer": "sgd", "held_out": 0.3},
    {"data": "spiral", "group": 0.001, "activation": "tanh", "start": "normal"},
]


@pytest.mark.parametrize("settings", KINDS)
def test_played_epochs_are_those_of_fit(settings):
    session = session_of(**settings)
    for _ in range(3):
        session.advance(2, seconds=0.001)
    n = 6
    session.advance(n * session.n_batches - session.steps)
    model = _network.make(session.settings, session.data)
    rows = len(session.data.x)
    before = b"".join(a.tobytes() for a in model.get_weights())
    batch = session.settings.batch or rows
    model.fit(session.data.x, session.data.y, batch_size=batch, epochs=n, verbose=0)
    fitted = b"".join(a.tobytes() for a in model.get_weights())
    assert before != fitted == bits(session)
    assert session.epoch == n


def event_of(rng, session):
    """Return a random control event; a few are not possible."""
    layer = int(rng.integers(len(session.settings.units)))
    at = [float(rng.uniform(-0.9, 0.9)) for _ in session.data.axes]
    live = [
        {"l1": 10 ** float(rng.uniform(-6, -3)), "group": 0}, {"l1": 0, "group": 1e-3},
        {"rate": 10 ** float(rng.uniform(-4, -1.7))}, {"dropout": rng.choice([0, 0.1, 0.3]).item()},
        {"optimizer": str(rng.choice(["sgd", "adam", "rmsprop"]))},
        {"activation": str(rng.choice(["relu", "tanh", "silu"]))}, {"l2": 1e-4},
        {"proximal": False},
    ]  # fmt: skip
    return [
        {"do": "set", "values": live[rng.integers(len(live))]},
        {"do": "add_units", "layer": layer, "count": int(rng.integers(1, 4))},
        {"do": "remove_unit", "layer": layer},
        {"do": "add_layer", "after": layer},
        {"do": "remove_layer", "layer": layer},
        {"do": "point", "at": at, "value": int(rng.integers(2))},
    ][rng.integers(6)]


def play(session, n, seed):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        try:
            session.apply(event_of(rng, session))
        except ValueError as error:
            assert "at least one" in str(error) or "at most" in str(error)
        session.advance(int(rng.integers(0, 4)))
        session.keep_frame()
        if rng.uniform() < 0.05 and len(session.frames) > 3:
            last = min(len(session.frames), 300) - 1
            session.rewind(last - int(rng.integers(1, 3)))


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_random_events_replay_to_the_same_bits(n):
    session = session_of(data="circle", units=[6, 5], batch=32)
    play(session, 20, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    play(session, n, 1)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    record = json.loads(json.dumps(session.record()))
    again = PlaySession.replayed(record)
    assert len(record["events"]) > n / 4 and session.steps > n / 2
    assert again.settings == session.settings and bits(again) == bits(session)
    assert again.epoch == session.epoch
    print(f"grown {grown:.1f} MB")
    assert grown < 50
    assert bits(PlaySession.replayed(record, seed=5)) != bits(session)


def test_rewinding_returns_to_the_bits_of_a_frame_and_training_goes_on_alike(monkeypatch):
    session = session_of(data="xor", units=[8], batch=64)
    seen = []
    for i in range(12):
        session.advance(3)
        if i == 4:
            session.apply({"do": "add_units", "layer": 0, "count": 2})
        if i == 7:
            session.apply({"do": "point", "at": [0.1, 0.2], "value": 1})
        session.keep_frame()
        seen.append((bits(session), session.settings, session.epoch, len(session.data.x)))
    for place in (11, 2, 6, 9, 1):
        session.rewind(place + 1)
        now = bits(session), session.settings, session.epoch, len(session.data.x)
        assert now == seen[place]
        assert session.place == place + 1
    assert len(session.frames) == 13  # later frames wait until training takes another course
    session.rewind(5)
    assert session.events == [{"do": "add_units", "layer": 0, "count": 2, "step": 15}]
    session.advance(3)
    session.keep_frame()
    assert len(session.frames) == 7 and bits(session) == seen[5][0]


def test_frames_without_weights_are_computed_from_those_before(monkeypatch):
    session = session_of(data="classes", units=[8, 8])
    monkeypatch.setattr(_session, "_FRAME_BYTES", 4 * session.frames[0].nbytes)
    monkeypatch.setattr(_session, "MOST_FRAMES", 20)
    seen = {}
    for _ in range(70):
        session.advance(2)
        session.keep_frame()
        seen[session.steps] = bits(session)
    kept = [frame for frame in session.frames if frame.parts is not None]
    assert 3 <= len(kept) <= 5 and len(session.frames) < 50
    for place in (0, 7, 13, 19):
        session.rewind(place)
        assert bits(session) == seen[session.steps]
        assert session.steps == 140 - 2 * (19 - place)


@pytest.mark.parametrize("data", ["curve", "moons"])
def test_added_units_and_layers_change_nothing_yet(data):
    session = session_of(data=data, units=[8, 8], start="uniform")
    session.advance(30)
    before = session.model.predict(session.data.x, verbose=0)
    for event in ({"do": "add_units", "layer": 0, "count": 3}, {"do": "add_layer", "after": 1}):
        session.apply(event)
        after = session.model.predict(session.data.x, verbose=0)
        np.testing.assert_allclose(after, before, atol=2e-6)
    assert session.settings.units == (11, 8, 8) and len(session.settings.l1) == 4
    step = session.model.network.step
    session.advance(1)
    assert session.model.network.step == step + 1 == 31  # the optimizer's state goes on
    new = session.model.dense_layers[1].get_weights()[0][8:]
    assert (new != 0).any()  # new units learn


def test_a_removed_unit_is_the_one_that_is_named():
    session = session_of(data="xor", units=[6])
    w, b = session.model.dense_layers[0].get_weights()
    session.apply({"do": "remove_unit", "layer": 0, "unit": 2})
    kept = session.model.dense_layers[0].get_weights()
    assert (kept[0] == np.delete(w, 2, 1)).all() and (kept[1] == np.delete(b, 2)).all()


def test_penalties_act_at_once_and_give_exact_zeros():
    session = session_of(data="curve", units=[32], start="uniform")
    session.advance(50)
    session.apply({"do": "set", "values": {"l1": 0.05}})
    session.advance(300)
    assert np.count_nonzero(session.model.get_weights()[0]) < 16
    assert session.losses()[2] == pytest.approx(session.model.network.penalty())


BAD = [
    ({"do": "set", "values": {"rate": float("nan")}}, "rate must be"),
    ({"do": "set", "values": {"rate": True}}, "rate must be"),
    ({"do": "set", "values": {"units": [3]}}, "live setting"),
    ({"do": "set", "values": {"l1": [1, 2]}}, "one lambda"),
    ({"do": "set", "values": {}}, "values must be"),
    ({"do": "start", "settings": {"units": [4096]}}, "units must be"),
    ({"do": "start", "settings": {"units": [2048] * 8}}, "may have"),
    ({"do": "start", "settings": {"units": [8] * 9}}, "1 to 8"),
    ({"do": "start", "settings": {"units": [2000, 2000], "rows": 5000}}, "smaller batches"),
    ({"do": "start", "settings": {"rows": 10**9}}, "rows"),
    ({"do": "start", "settings": {"data": "/etc/passwd"}}, "data"),
    ({"do": "start", "settings": {"data": "table"}}, "needs a table"),
    ({"do": "start", "settings": {"nonsense": 1}}, "nonsense"),
    ({"do": "add_units", "layer": 2}, "layer must be"),
    ({"do": "add_units", "layer": 0, "count": 5000}, "count"),
    ({"do": "point", "at": [0.1], "value": 1}, "2 numbers"),
    ({"do": "point", "at": [5, 0], "value": 1}, "from -1 to 1"),
    ({"do": "point", "at": [0, 0], "value": 2}, "value"),
    ({"do": "repair"}, "one input"),
    ({"do": "delete"}, "event"),
    ({}, "event"),
]


@pytest.mark.parametrize(("event", "message"), BAD)
def test_what_is_not_possible_is_refused_and_changes_nothing(event, message):
    session = session_of(data="classes", units=[8, 8])
    session.advance(5)
    before = bits(session), session.settings, session.record()
    with pytest.raises(ValueError, match=message):
        session.apply(event)
    assert (bits(session), session.settings, session.record()) == before
    session.advance(1)


def test_divergence_is_held_and_a_rewind_helps():
    session = session_of(data="curve", units=[8], optimizer="sgd", start="uniform")
    session.advance(5)
    session.keep_frame()
    kept = bits(session)
    session.apply({"do": "set", "values": {"rate": 100}})
    session.advance(200)
    assert session.diverged and session.advance(10) == 0
    session.keep_frame()
    session.rewind(len(session.frames) - 1)
    assert not session.diverged and bits(session) == kept
    assert session.settings.rate == 0.01
    assert session.advance(3) == 3


def test_reset_and_another_start():
    session = session_of(data="circle", units=[8])
    first = bits(session)
    session.apply({"do": "point", "at": [0, 0], "value": 0})
    session.advance(9)
    session.apply({"do": "reset"})
    assert bits(session) == first and session.steps == 0 and len(session.points) == 1
    session.apply({"do": "start", "settings": {"seed": 2}})
    assert bits(session) != first and session.events == []
    session.apply({"do": "start", "settings": {"data": "curve"}})
    assert session.settings.rows == 50 and session.settings.noise == 0.15


@pytest.mark.parametrize("target", ["price", "kind"])
def test_a_table(target):
    own = PlayTable(table(), target)
    session = PlaySession(PlaySettings(data="table", held_out=0.2), own)
    session.advance(150)
    loss, held, _ = session.losses()
    assert loss < 0.5 and held < 0.9 and len(session.data.x_held) == 60
    assert session.data.drawn_over(()) == [0, 1]
    again = PlaySession.replayed(session.record(), own)
    assert bits(again) == bits(session)
    session.apply({"do": "start", "settings": {"target": "income", "inputs": ["price"]}})
    assert session.data.task == "regression" and session.steps == 0
    chosen = {"target": "price", "drop": ["age", "city"], "inputs": []}
    session.apply({"do": "start", "settings": chosen})
    names = [axis.name for axis in session.data.axes]
    assert names == ["income", "kind"] and session.data.preprocessing.n_inputs == 4
    with pytest.raises(ValueError, match="Unknown column"):
        session.apply({"do": "start", "settings": {"drop": ["agE"]}})
    session.apply({"do": "start", "settings": {"drop": []}})
    with pytest.raises(ValueError, match="which has categories"):
        session.apply({"do": "start", "settings": {"inputs": ["city"]}})


def test_the_lecture_s_rows():
    from fastmlp import datasets

    for name, own in (("curve", datasets.regression_train()),
                      ("classes", datasets.classification_train())):  # fmt: skip
        session = session_of(data=name)
        assert (session.data.x == own[0]).all() and (session.data.y == own[1]).all()
    x, y = playgrounds.training_rows("curve", noise=0.0)
    np.testing.assert_allclose(y, datasets.regression_true_function(x), atol=1e-6)


def test_a_recording_is_replayed_from_its_file(tmp_path):
    session = session_of(data="moons", units=[6])
    session.advance(10)
    session.apply({"do": "set", "values": {"l2": 0.01}})
    session.advance(10)
    path = tmp_path / "recording.json"
    path.write_text(json.dumps(session.record()))
    model = playgrounds.replay(path)
    assert b"".join(a.tobytes() for a in model.get_weights()) == bits(session)
    path.write_text("{}")
    with pytest.raises(ValueError, match="record must be"):
        playgrounds.replay(path)
