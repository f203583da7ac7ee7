"""SIGINT and SIGTERM at random moments: soon over, exit codes by the book, nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from fastmlp import models, sweeps

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="sends signals"),
]

# Ctrl-C after a random time, while a network of five layers of 1024 units trains.
TRAINING = """
import json, os, random, signal, sys, threading, time
import numpy as np
from fastmlp import models
rng, random_ = np.random.default_rng(0), random.Random(2)
x = rng.normal(size=(1000, 20)).astype("f4"); y = np.sin(x[:, :1])
model = models.mlp("1024x5", 20, 1, seed=1)
model.compile("adam", "mean_squared_error")
model.fit(x[:50], y[:50], verbose=0)
waits = []
for _ in range(int(sys.argv[1])):
    sent = []
    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(random_.uniform(0.0, 0.3), send)
    try:
        timer.start()
        model.fit(x, y, batch_size=256, epochs=100_000, verbose=0)
    except KeyboardInterrupt:
        waits.append(time.monotonic() - sent[0])
    weights = model.get_weights()
    assert all(np.isfinite(a).all() for a in weights)
    assert np.isfinite(model.predict(x[:10], verbose=0)).all()
model.save(sys.argv[2])
print(json.dumps(waits))
"""


def test_ctrl_c_at_a_hundred_moments_of_a_large_training(tmp_path, capsys):
    path = tmp_path / "model.fmlp"
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, "100", str(path)],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    waits = json.loads(done.stdout)
    assert len(waits) == 100
    assert models.load_model(path).n_fits > 50  # not where a signal came before the first step
    with capsys.disabled():
        print(f"\n100 interrupts: {sorted(waits)[50]:.3f} s median, {max(waits):.3f} s longest")


def latest(directory):
    return max((entry.stat().st_mtime_ns for entry in directory.iterdir()), default=0)


def command(*arguments, directory, stop, delay):
    """Run a command, send it a signal some time after it first writes; return code and errors."""
    before = latest(directory)
    process = subprocess.Popen(
        [sys.executable, "-m", "fastmlp.cli", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while latest(directory) == before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(stop)
    error = process.communicate(timeout=100)[1]
    return process.returncode, error


def shell_code(code):
    """Return an exit code as a shell shows it: 128 and the signal's number for a signal."""
    return 128 - code if code < 0 else code


STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
TIMES = 5


@pytest.mark.parametrize("stop", STOPS)
def test_training_that_is_kept_goes_on(stop, tmp_path):
    rng = random.Random(stop)
    for i in range(TIMES):
        run = f"run{i}.fmlp"
        train = ["train", "--units", "64x3", "--epochs", "2000000", "--checkpoint", run,
                 "--checkpoint-every", "0.05", "-o", f"out{i}.fmlp", "-q"]  # fmt: skip
        code, error = command(*train, directory=tmp_path, stop=stop, delay=rng.uniform(0, 0.5))
        assert shell_code(code) == STOPS[stop], error
        assert "Traceback" not in error
        assert not models.resume(tmp_path / run).resumed.complete


@pytest.mark.parametrize("stop", STOPS)
def test_a_sweep_that_is_kept_goes_on(stop, tmp_path):
    rng, found = random.Random(stop), [0]
    arguments = ["sweep", "--data", "regression", "--units", "16,32,16x2", "--seeds", "100",
                 "--epochs", "50000", "-o", "sweep.db", "-q"]  # fmt: skip
    for _ in range(TIMES):
        code, error = command(*arguments, directory=tmp_path, stop=stop, delay=rng.uniform(0, 2))
        assert shell_code(code) == STOPS[stop], error
        assert "Traceback" not in error
        with contextlib.suppress(sweeps.StoreError):  # nothing is in it yet
            found.append(len(sweeps.load(tmp_path / "sweep.db").rows))
    assert found == sorted(found)
