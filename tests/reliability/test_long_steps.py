"""Ctrl-C in the midst of one long step: over within a second, and the model is as before it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastmlp import initializers, models
from fastmlp._kernels import memory
from fastmlp.layers import Dense, Input

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(sys.platform != "linux", reason="sends signals"),
]

SECONDS = 1.0  # within which Ctrl-C ends any work
ATTEMPTS = 3  # a machine that is held up may miss it by itself

# Work that takes several seconds between two instructions of Python, or would if nobody looked.
PROGRAM = """
import json, os, signal, sys, threading, time
import numpy as np
import fastmlp
from fastmlp import layers, losses, models, optimizers
what, delay, path = sys.argv[1], float(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
ROWS = {"fit": 16000, "clipped": 16000, "dropout": 16000, "in parts": 200_000,
        "shallow": 4_000_000, "in python": 16000, "stacked": 1_000_000, "checkpoint": 16000,
        "float64": 8000, "small": 8000}.get(what, 16000)
UNITS = {"in parts": "250x4", "shallow": "2000", "stacked": "32x4"}.get(what, "1024x6")
x = rng.normal(size=(ROWS, 2 if what == "shallow" else 8)).astype("f4")
y = np.sin(x[:, :1])

def squares(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean(1), 2 * (y_pred - y_true)

def made():
    if what == "encoded":
        chain = [layers.PiecewiseLinear(8), *[layers.Dense(1024, "relu") for _ in range(6)]]
        model = models.Sequential([*chain, layers.Dense(1)], seed=1)
        model.compile("adam", "mean_squared_error")
        return model
    model = models.mlp(UNITS, x.shape[1], 1, seed=1, dropout=0.2 if what == "dropout" else 0,
                       dtype="float64" if what == "float64" else "float32")
    rule = optimizers.Adam(clipnorm=1.0) if what == "clipped" else "adam"
    model.compile(rule, squares if what == "in python" else "mean_squared_error")
    return model

def fit(model, epochs=1000, **more):
    return model.fit(x, y, batch_size=ROWS, epochs=epochs, verbose=0, **more)

model = made()
if what not in ("stacked", "checkpoint"):
    model.fit(x[:64], y[:64], verbose=0)
before = [array.copy() for array in model.get_weights()]
work = {
    "gradients": lambda: [model.gradients(x, y) for _ in range(20)],
    "layer_report": lambda: [fastmlp.inspection.layer_report(model, x, y) for _ in range(20)],
    "predict": lambda: [model.network.predict(x, np.empty((ROWS, 1), "f4"), n_threads=1)
                        for _ in range(20)],
    "evaluate": lambda: [model.network.evaluate(x, y, n_threads=1) for _ in range(20)],
    "stacked": lambda: fastmlp.ensemble(x, y, UNITS, members=8, epochs=100, verbose=0, seed=1),
    "checkpoint": lambda: fit(model, 6, checkpoint=path),
}.get(what, lambda: fit(model))
sent = []
def send():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
timer = threading.Timer(delay, send)
timer.start()
try:
    work()
    raise SystemExit("it came to its end")
except KeyboardInterrupt:
    waited = time.monotonic() - sent[0]
weights = model.get_weights()
found = {"waited": waited, "finite": all(bool(np.isfinite(a).all()) for a in weights),
         "steps": model.network.step, "handler": signal.getsignal(signal.SIGINT) is
         signal.default_int_handler}
if what in ("fit", "small", "dropout", "encoded"):
    # The weights are those after the steps that were made: made again, they are the same.
    again = made()
    again.fit(x[:64], y[:64], verbose=0)
    done = model.history.history["loss"][1:]  # of the interrupted fit
    found["interrupted"] = model.history.interrupted
    if done:
        fit(again, len(done))
    found["same"] = all(map(np.array_equal, weights, again.get_weights()))
    model.fit(x[:64], y[:64], verbose=0)
    found["later"] = bool(np.isfinite(model.get_weights()[0]).all())
elif what == "checkpoint":
    on = models.resume(path)
    on.fit(x, y)
    whole = made()
    fit(whole, 6)
    found["same"] = all(map(np.array_equal, on.get_weights(), whole.get_weights()))
elif what in ("gradients", "layer_report", "predict", "evaluate"):
    found["same"] = all(map(np.array_equal, weights, before))
print(json.dumps(found))
"""


def interrupted(what, delay, path="", **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what, str(delay), str(path)],
        capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_time(what, tmp_path, delay=1.0):
    """Interrupt once; again only if the machine was held up. Return what was found."""
    for i in range(ATTEMPTS):
        found = interrupted(what, delay, tmp_path / f"run{i}.fmlp")
        if found["waited"] < SECONDS:
            return found
    raise AssertionError(f"{what}: ended after {found['waited']:.2f} s")


def check(found):
    assert found["finite"] and found["handler"]
    assert found.get("same", True) and found.get("later", True)
    assert found.get("interrupted", True)


def test_ctrl_c_in_the_midst_of_a_step_leaves_the_weights_before_it(tmp_path):
    check(in_time("small", tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("delay", [1.5, 2.5])
@pytest.mark.parametrize(
    "what",
    ["fit", "clipped", "dropout", "encoded", "float64", "in parts", "shallow", "in python",
     "gradients", "layer_report", "predict", "evaluate", "stacked"],
)  # fmt: skip
def test_ctrl_c_ends_any_work_within_a_second(what, delay, tmp_path):
    check(in_time(what, tmp_path, delay))


@pytest.mark.slow
def test_a_checkpoint_of_an_interrupted_step_resumes_to_the_same_bits(tmp_path):
    check(in_time("checkpoint", tmp_path, 3.0))


@pytest.mark.parametrize("work", ["fit", "gradients", "loss in Python"])
def test_ctrl_c_ends_the_allocation_of_work_space(work, monkeypatch):
    x = np.zeros((8000, 8), np.float32)
    y = x[:, :1]
    model = models.mlp("512x3", 8, 1, seed=1)
    squares = lambda t, p: (((t - p) ** 2).mean(1), 2 * (p - t))  # noqa: E731
    model.compile("adam", squares if work == "loss in Python" else "mean_squared_error")
    model.fit(x[:64], y[:64], verbose=0)
    step, held = model.network.step, model.network.nbytes
    require, asked = memory.require, []

    def interrupt(n_bytes, *more):
        if more[0] == "work space" and n_bytes > 50e6 and not asked:
            asked.append(n_bytes)
            os.kill(os.getpid(), signal.SIGINT)
        require(n_bytes, *more)

    monkeypatch.setattr(memory, "require", interrupt)
    with pytest.raises(KeyboardInterrupt):
        if work == "gradients":
            model.gradients(x, y)
        else:
            model.fit(x, y, batch_size=8000, epochs=3, verbose=0)
    assert asked and model.network.step == step
    assert model.network.nbytes < held + 0.5 * asked[0]
    model.fit(x, y, batch_size=8000, epochs=1, verbose=0)
    assert model.network.step == step + 1


# ---- other signals -------------------------------------------------------------------------------


class Signalling(initializers.Initializer):
    """Calls a function, such as one that sends a signal, before it draws."""

    def __init__(self, function):
        super().__init__()
        self.seed, self.function = np.random.default_rng(2), function

    def draw(self, shape, rng):
        self.function()
        return rng.normal(size=shape)


def undrawn(function):
    dense = [Dense(n, "relu", kernel_initializer=Signalling(function)) for n in (8, 8, 1)]
    return models.Sequential([Input((4,)), *dense], seed=1)


@pytest.fixture
def on_signal():
    """Set the handler of SIGUSR1, as a program does that saves its model when a signal says so."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_uses_a_model_whose_weights_are_being_drawn(on_signal):
    x, seen = np.ones((5, 4), np.float32), []
    model = undrawn(lambda: signal.raise_signal(signal.SIGUSR1))
    handler = lambda number, frame: seen.append(model.predict(x, verbose=0))  # noqa: E731
    on_signal(handler)
    weights = model.get_weights()
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert len(seen) == 3
    alone = undrawn(lambda: None)
    assert all(map(np.array_equal, weights, alone.get_weights()))
    assert all(np.array_equal(found, alone.predict(x, verbose=0)) for found in seen)


def test_a_handler_that_uses_a_model_whose_weights_another_thread_draws(on_signal):
    x, seen, begun, main = np.ones((5, 4), np.float32), [], threading.Event(), threading.get_ident()

    def send():
        begun.set()
        for _ in range(300):
            time.sleep(0.001)
            signal.pthread_kill(main, signal.SIGUSR1)

    model = undrawn(send)
    on_signal(lambda number, frame: seen.append(model.predict(x, verbose=0)))
    thread = threading.Thread(target=model.get_weights)
    thread.start()
    begun.wait()
    expected = model.predict(x, verbose=0)
    thread.join()
    assert seen and all(np.array_equal(found, expected) for found in seen)
    assert np.array_equal(expected, undrawn(lambda: None).predict(x, verbose=0))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads
def test_a_child_forked_while_another_thread_draws_weights():
    begun, over, parent = threading.Event(), threading.Event(), os.getpid()

    def wait():
        if os.getpid() == parent:
            begun.set()
            over.wait(60)

    model = undrawn(wait)
    thread = threading.Thread(target=model.get_weights)
    thread.start()
    begun.wait()
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # a child that hangs dies of it
        try:
            model.get_weights()
        finally:
            os._exit(not model.drawn)
    status = os.waitpid(child, 0)[1]
    over.set()
    thread.join()
    assert status == 0 and model.drawn


def test_ctrl_c_ends_the_drawing_of_weights(on_signal):
    handler, calls = lambda number, frame: None, []
    on_signal(handler)

    def interrupt():
        calls.append(model.drawn)
        signal.raise_signal(signal.SIGINT)

    model = undrawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.get_weights()
    assert calls == [False] and not model.drawn
    assert signal.getsignal(signal.SIGUSR1) is handler


HANDLERS = """
import json, os, signal, sys, threading, time
import numpy as np
from fastmlp import models
x = np.random.default_rng(0).normal(size=(6000, 8)).astype("f4"); y = np.sin(x[:, :1])
def made():
    model = models.mlp("1024x4", 8, 1, seed=1)
    model.compile("adam", "mean_squared_error")
    return model
def fit(model):
    return model.fit(x, y, batch_size=6000, epochs=4, verbose=0)
whole = made()
fit(whole)
model, seen = made(), []
def look(number, frame):  # as a program does that saves its model when a signal says so
    seen.append(model.predict(x[:10], verbose=0))
    assert signal.getsignal(signal.SIGALRM) is look
signal.signal(signal.SIGALRM, look)
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
fit(model)
signal.setitimer(signal.ITIMER_REAL, 0)
class Late(Exception): pass
def late(number, frame):
    raise Late
signal.signal(signal.SIGALRM, late)
other = made()
other.fit(x, y, batch_size=6000, epochs=1, verbose=0)  # it has its memory then
signal.setitimer(signal.ITIMER_REAL, 0.3)
begin = time.monotonic()
try:
    other.fit(x, y, batch_size=6000, epochs=1000, verbose=0)
except Late:
    waited = time.monotonic() - begin - 0.3
print(json.dumps({
    "seen": len(seen), "waited": waited,
    "same": all(map(np.array_equal, whole.get_weights(), model.get_weights()))}))
"""


@pytest.mark.slow
def test_handlers_that_do_not_raise_change_no_bit_and_timers_do_not_stop_it():
    for _ in range(ATTEMPTS):
        done = subprocess.run(
            [sys.executable, "-c", HANDLERS], capture_output=True, text=True, timeout=200,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["same"] and found["seen"] > 0
        if found["waited"] < SECONDS:
            return
    raise AssertionError(f"ended after {found['waited']:.2f} s")
