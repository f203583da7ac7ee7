"""How many threads the kernels are given."""

import os
import subprocess
import sys

import pytest

import fastmlp
from fastmlp import threads


@pytest.fixture(autouse=True)
def automatic(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    fastmlp.set_num_threads(None)


def test_automatic_is_what_the_process_may_use():
    assert threads.resolve() == (threads.available(), True)
    assert 1 <= threads.available() <= len(os.sched_getaffinity(0))


def test_order_of_precedence(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert threads.resolve() == (5, True)
    fastmlp.set_num_threads(7)
    assert threads.resolve() == (7, False)
    assert fastmlp.get_num_threads() == 7
    assert threads.resolve(3) == (3, False)


@pytest.mark.parametrize("text", ["", "zero", "0", "-2"])
def test_an_unusable_environment_variable_is_ignored(monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert threads.resolve() == (threads.available(), True)


@pytest.mark.parametrize("count", [0, -1, 1.5, "two", True])
def test_a_bad_count_is_refused(count):
    with pytest.raises(ValueError, match="must be a positive integer"):
        fastmlp.set_num_threads(count)


def test_quota_caps_the_automatic_count(monkeypatch):
    monkeypatch.setattr(threads, "_counted", None)
    monkeypatch.setattr(threads, "_cgroup_quota", lambda: 0.5)
    assert threads.available() == 1
    monkeypatch.setattr(threads, "_counted", None)


def test_affinity_caps_the_automatic_count():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from fastmlp import threads; print(threads.resolve())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(1, True)", done.stderr


def test_a_forked_child_trains_on_one_thread():
    code = """
import os, warnings
import numpy as np
from fastmlp import models, threads
warnings.simplefilter("ignore", DeprecationWarning)
x = np.linspace(-1, 1, 600, dtype="float32").reshape(-1, 1)
def fit():
    model = models.mlp([300, 300], 1, 1, seed=1)
    model.compile(optimizer="adam", loss="mse")
    model.fit(x, x, epochs=3, batch_size=600, verbose=0)
    return model.predict(x, verbose=0).tobytes()
before = fit()
pid = os.fork()
if pid == 0:
    os._exit(0 if threads.resolve(4)[0] == 1 and fit() == before else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr
