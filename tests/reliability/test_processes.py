"""Processes: forks of a parent that trained, workers of every kind, and limits on processors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks"),
]

COMMON = """
import json, os, signal, sys, tempfile, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import numpy as np
import fastmlp
from fastmlp import models, threads
rng = np.random.default_rng(0)
x = rng.normal(size=(600, 20)).astype("f4"); y = x[:, :1] ** 2
def made(seed=1):
    model = models.mlp("128x3", 20, 1, seed=seed)
    model.compile("adam", "mean_squared_error")
    return model
def trained(epochs=2):
    model = made()
    model.fit(x, y, batch_size=200, epochs=epochs, verbose=0)
    return model
def bits(model):
    return b"".join(a.tobytes() for a in model.get_weights()) + model.predict(x).tobytes()
"""

FORKS = (
    COMMON
    + """
fastmlp.set_num_threads(3)
parent = trained()
assert parent.network.threads_used == 3
expected = bits(parent)
file = Path(tempfile.mkdtemp()) / "model.fmlp"
parent.save(file)
work = {"fit": lambda: bits(trained()) == expected,
        "predict": lambda: bits(parent) == expected,
        "load": lambda: bits(models.load_model(file)) == expected}
result = {}
for name, check in work.items():
    result[name] = {"same": 0, "other": 0, "hung": 0}
    for _ in range(int(sys.argv[1])):
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # a child that hangs dies of it
            code = 2
            try:
                code = 0 if check() else 1
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        outcome = {0: "same", -signal.SIGALRM: "hung"}.get(code, "other")
        result[name][outcome] += 1
assert bits(trained()) == expected and parent.network.threads_used
print(json.dumps(result))
"""
)

# A server that loads before it forks: eight workers answer at the same time, from one model.
PRELOAD = (
    COMMON
    + """
fastmlp.set_num_threads(2)
model = trained()
expected = model.predict(x).tobytes()
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        code = 2
        try:
            same = all(model.predict(x).tobytes() == expected for _ in range(100))
            code = 0 if same else 1
        finally:
            os._exit(code)
    children.append(child)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children]))
"""
)

# Workers of multiprocessing, started after the parent has trained on three threads.
POOL = (
    COMMON
    + """
import multiprocessing
def done(task):
    name, model, file, expected = task
    if name == "fit":
        return bits(trained()) == expected
    return bits(model if name == "predict" else models.load_model(file)) == expected
if __name__ == "__main__":
    fastmlp.set_num_threads(3)
    parent = trained()
    assert parent.network.threads_used == 3
    expected = bits(parent)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "model.fmlp"
        parent.save(file)
        tasks = [(name, parent, file, expected)
                 for name in ("fit", "predict", "load") for _ in range(100)]
        with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:
            found = pool.map_async(done, tasks, chunksize=5).get(200)  # one that hangs: an error
    print(json.dumps({"tasks": len(found), "same": sum(found)}))
"""
)

LOKY = (
    COMMON
    + """
import joblib
def work(_):
    return trained().predict(x).tobytes(), threads.resolve()[0]
if __name__ == "__main__":
    expected = trained().predict(x).tobytes()
    done = joblib.Parallel(4)(joblib.delayed(work)(i) for i in range(12))
    print(json.dumps({"same": sum(got == expected for got, _ in done),
                      "threads": max(n for _, n in done), "cpus": threads.available()}))
"""
)

AFFINITY = (
    COMMON
    + """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
model = trained()
print(json.dumps({"threads": threads.resolve()[0], "used": model.network.threads_used}))
"""
)

# A sweep of two processes, which share a directory of temporary files.
SWEEP = """
import numpy as np, fastmlp
x = np.random.default_rng(0).normal(size=(60, 3))
if __name__ == "__main__":
    fastmlp.sweep(x, x[:, 0], ["16", "32"], epochs=100_000, seeds=20, jobs=2, verbose=0)
"""

# Eight threads of Python ask one model everything that a fitted model answers at the same time;
# every other one also fits models of its own in between.
SHARED = (
    COMMON
    + """
import threading
fastmlp.set_num_threads(2)
model = trained()
path = Path(tempfile.mkdtemp()) / "model.fmlp"
model.save(path)
questions = {
    "predict": lambda m, a, b: m.predict(x[a:b]).tobytes(),
    "activations": lambda m, a, b: b"".join(v.tobytes() for v in m.activations(x[a:b])),
    "evaluate": lambda m, a, b: repr(m.evaluate(x[a:b], y[a:b], verbose=0)),
    "gradients": lambda m, a, b: b"".join(v.tobytes() for p in m.gradients(x[a:b], y[a:b])
                                          for v in p),
    "save": lambda m, a, b: str(m.save(path.with_name(f"{threading.get_ident()}.fmlp"))),
    "load": lambda m, a, b: models.load_model(path).predict(x[a:b]).tobytes(),
}
parts = range(0, 600, 50)
expected = {(name, i): ask(model, i, i + 50) for name, ask in questions.items() for i in parts}
fitted = {seed: None for seed in range(4)}
def fit(seed):
    own = made(seed)
    own.fit(x, y, batch_size=200, epochs=2, verbose=0, validation_split=0.25)
    return bits(own)
for seed in fitted:
    fitted[seed] = fit(seed)
wrong, asked, errors = [], [], []
together = threading.Barrier(8)
def work(number):
    rng = np.random.default_rng(number)
    try:
        together.wait()
        for _ in range(int(sys.argv[1])):
            if number % 2:
                seed = number // 2
                if fit(seed) != fitted[seed]:
                    wrong.append(("fit", seed))
                asked.append("fit")
            for key in rng.permutation(len(expected)):
                name, i = list(expected)[key]
                if questions[name](model, i, i + 50) != expected[name, i]:
                    wrong.append((name, i))
                asked.append(name)
    except BaseException as error:
        errors.append(repr(error))
        raise
started = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in started:
    thread.start()
for thread in started:
    thread.join()
print(json.dumps({"asked": {n: asked.count(n) for n in sorted(set(asked))},
                  "wrong": wrong, "errors": errors}))
"""
)


def run(program, *arguments, tmp_path, timeout=280):
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_hundred_forks_each_fit_predict_and_load(tmp_path):
    found = run(FORKS, "100", tmp_path=tmp_path)
    assert found == {
        name: {"same": 100, "other": 0, "hung": 0} for name in ("fit", "predict", "load")
    }


def test_workers_forked_from_a_server_that_has_loaded_the_model(tmp_path):
    assert run(PRELOAD, tmp_path=tmp_path) == [0] * 8


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_workers_fits_predicts_and_loads(method, tmp_path):
    assert run(POOL, method, tmp_path=tmp_path) == {"tasks": 300, "same": 300}


def test_joblib_workers_do_not_ask_for_more_threads_than_there_are(tmp_path):
    pytest.importorskip("joblib")
    found = run(LOKY, tmp_path=tmp_path)
    assert found["same"] == 12
    assert 4 * found["threads"] <= max(4, found["cpus"])


def test_one_processor_by_affinity_means_one_thread(tmp_path):
    assert run(AFFINITY, tmp_path=tmp_path) == {"threads": 1, "used": 1}


def test_a_model_shared_by_eight_threads_of_python(tmp_path):
    found = run(SHARED, "20", tmp_path=tmp_path)
    assert found["wrong"] == found["errors"] == []
    each = 8 * 20 * 12
    assert found["asked"] == {
        "activations": each, "evaluate": each, "fit": 80, "gradients": each, "load": each,
        "predict": each, "save": each,
    }  # fmt: skip


# When the data have been written, which no worker can have read; or when training is under way.
@pytest.mark.parametrize("moment", ["shared", "progress"])
@pytest.mark.parametrize("stop", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_sweep_that_is_stopped_leaves_no_temporary_files(stop, moment, tmp_path):
    pytest.importorskip("joblib")
    directory, script = tmp_path / "temporary", tmp_path / "program.py"
    directory.mkdir()
    script.write_text(SWEEP)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "TMPDIR": str(directory)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not any(np.fromfile(f, "u1").any() for f in directory.glob(f"fastmlp-*/{moment}")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(getattr(signal, stop))
    process.wait(60)
    give_up = time.monotonic() + 30
    while (left := list(directory.glob("fastmlp-*"))) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert left == []
