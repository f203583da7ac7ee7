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


# The same while a path walks along its lambdas, and while a sweep keeps its runs in a store.
MANY = """
import json, os, random, signal, sys, threading, time
import numpy as np
import fastmlp
from fastmlp import paths, sweeps
what, times, directory, jobs = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]) or None
rng, random_ = np.random.default_rng(0), random.Random(3)
x = rng.normal(size=(300, 5)); y = np.sin(x[:, 0])
store = os.path.join(directory, "sweep.db")
def work():
    if what == "path":
        fastmlp.path(x, y, "32x2", lambdas=np.geomspace(1e-3, 1, 5000), epochs=40, jobs=jobs,
                     verbose=0)
    else:
        fastmlp.sweep(x, y, ["16", "32", "16x2"], l2=[0.0, 1e-3], seeds=2000, epochs=1000,
                      jobs=jobs, verbose=0, store=store)
waits, found = [], [0]
def send():
    waits.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
for _ in range(times):
    timer = threading.Timer(random_.uniform(0.1, 3.0 if jobs else 0.6), send)
    timer.start()
    try:
        work()
        raise SystemExit("it came to its end")
    except paths.PathInterrupted as stop:
        waits[-1] = time.monotonic() - waits[-1]
        assert len(stop.result.lambdas) > 0 and np.isfinite(stop.result.predict(x)).all()
        found.append(1)
    except sweeps.SweepInterrupted as stop:
        waits[-1] = time.monotonic() - waits[-1]
        assert len(stop.result) == len(sweeps.load(store).rows)
        found.append(len(stop.result))
    except KeyboardInterrupt:  # before anything was finished
        waits[-1] = time.monotonic() - waits[-1]
assert what == "path" or found == sorted(found)
print(json.dumps({"waits": waits, "kept": len(found) - 1}))
"""


def interrupted(program, *arguments):
    """Run a program that interrupts itself; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


SECONDS = 1.0  # within which Ctrl-C ends any work
ATTEMPTS = 3  # a machine that is held up may miss it by itself


def tell(capsys, what, waits):
    """Print the figures for docs/reliability.md."""
    waits = sorted(waits)
    with capsys.disabled():
        print(f"\n{what}: {len(waits)} interrupts, {waits[len(waits) // 2]:.3f} s median, "
              f"{waits[-1]:.3f} s longest")  # fmt: skip


def within_a_second(capsys, what, measure):
    """Measure how long interrupts take; again only if one took longer than was promised."""
    for _ in range(ATTEMPTS):
        waits = measure()
        tell(capsys, what, waits)
        if max(waits) < SECONDS:
            return
    raise AssertionError(f"{what}: ended after {max(waits):.2f} s")


def test_ctrl_c_at_a_hundred_moments_of_a_large_training(tmp_path, capsys):
    path = tmp_path / "model.fmlp"

    def measure():
        waits = interrupted(TRAINING, 100, path)
        assert len(waits) == 100
        assert models.load_model(path).n_fits > 50  # not where a signal came before the first step
        return waits

    within_a_second(capsys, "5 x 1024 training", measure)


@pytest.mark.parametrize(("jobs", "times"), [(0, 100), (2, 20)])
@pytest.mark.parametrize("what", ["path", "sweep"])
def test_ctrl_c_at_random_moments_of_many_networks(what, jobs, times, tmp_path, capsys):
    if jobs:
        pytest.importorskip("joblib")

    def measure():
        found = interrupted(MANY, what, times, tmp_path, jobs)
        assert len(found["waits"]) == times
        # A path in a process of its own tells of its lambdas once it is at its end.
        assert found["kept"] > 0 or (what, jobs) == ("path", 2)
        return found["waits"]

    within_a_second(capsys, f"{what}, {jobs or 'no'} processes", measure)


def latest(directory):
    """Return when anything in a directory was last written."""
    found = [0]
    for entry in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a temporary file may be gone by now
            found.append(entry.stat().st_mtime_ns)
    return max(found)


WAITS: list[float] = []  # until commands had ended


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
    begin = time.monotonic()
    process.wait(100)
    WAITS.append(time.monotonic() - begin)
    error = process.communicate(timeout=100)[1]
    return process.returncode, error


def shell_code(code):
    """Return an exit code as a shell shows it: 128 and the signal's number for a signal."""
    return 128 - code if code < 0 else code


STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
TIMES = 10


@pytest.fixture(autouse=True)
def commands_end_soon(request, capsys):
    WAITS.clear()
    yield
    if WAITS:
        tell(capsys, request.node.name, WAITS)
        # Of ten one may fall into a moment at which the machine is held up.
        assert sorted(WAITS)[-1 - len(WAITS) // 10] < SECONDS


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


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("stop", STOPS)
def test_a_sweep_that_is_kept_goes_on(stop, jobs, tmp_path):
    rng, found = random.Random(stop), [0]
    arguments = ["sweep", "--data", "regression", "--units", "16,32,16x2", "--seeds", "100",
                 "--epochs", "200000", "-o", "sweep.db", "-q", "--jobs", str(jobs)]  # fmt: skip
    for _ in range(TIMES):
        code, error = command(*arguments, directory=tmp_path, stop=stop, delay=rng.uniform(0, 2))
        assert shell_code(code) == STOPS[stop], error
        assert "Traceback" not in error
        with contextlib.suppress(sweeps.StoreError):  # nothing is in it yet
            found.append(len(sweeps.load(tmp_path / "sweep.db").rows))
    assert found == sorted(found)


@pytest.mark.parametrize("stop", STOPS)
def test_a_path_leaves_whole_files_or_none(stop, tmp_path):
    """It writes them at its end, or when it is interrupted; SIGTERM gives it no time to."""
    rng, kept = random.Random(stop), 0
    grid = ",".join(str(1e-4 * 1.002**i) for i in range(4000))
    for i in range(TIMES):
        arguments = ["path", "--data", "regression", "--units", "16x2", "--epochs", "100",
                     "--lambdas", grid, "--folds", "2", "-o", f"path{i}"]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "fastmlp.cli", *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        )  # fmt: skip
        process.stderr.readline()  # its first word of progress
        time.sleep(rng.uniform(0, 1.0))
        process.send_signal(stop)
        begin = time.monotonic()
        error = process.communicate(timeout=100)[1]
        WAITS.append(time.monotonic() - begin)
        assert shell_code(process.returncode) == STOPS[stop], error
        assert "Traceback" not in error
        if (tmp_path / f"path{i}" / "model.fmlp").exists():
            assert models.load_model(tmp_path / f"path{i}" / "model.fmlp").n_inputs == 1
            kept += 1
    assert kept > 0 if stop == signal.SIGINT else kept == 0
