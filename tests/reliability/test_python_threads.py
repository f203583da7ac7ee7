"""Threads of Python: one model that they share, while it rests and while one of them trains it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig

import pytest

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

# One thread trains a model; others ask it everything, and try to train it as well. Programs of
# their own, for a mistake here ends the process.
TRAINED = """
import json, pickle, sys, threading, warnings
warnings.simplefilter("ignore")
import numpy as np
import fastmlp
from fastmlp import losses, models
from fastmlp.inspection import layer_report
fastmlp.set_num_threads(2)
rng = np.random.default_rng(0)
x = rng.normal(size=(3000, 20)).astype("f4"); y = x[:, :1] ** 2
def squares(y_true, y_pred):
    return ((y_pred - y_true) ** 2)[:, 0], 2 * (y_pred - y_true)
kind, rounds = sys.argv[1], int(sys.argv[2])
options = {"shards": 2} if kind == "shards" else {}
loss = losses.FunctionLoss(squares) if kind == "python" else "mean_squared_error"
def made():
    model = models.mlp("128x3", 20, 1, l1=1e-4, seed=1)
    model.compile("adam", loss)
    return model
def fit(model):
    model.fit(x, y, batch_size=200, epochs=12, verbose=0, **options)
    return b"".join(a.tobytes() for a in model.get_weights())
alone = fit(made())
questions = [
    lambda m, a: m.predict(a), lambda m, a: m.activations(a), lambda m, a: m.get_weights(),
    lambda m, a: pickle.dumps(m),
    lambda m, a: m.evaluate(a, a[:, :1], verbose=0),
]
if kind != "python":
    questions += [lambda m, a: m.gradients(a[:500], a[:500, :1]),
                  lambda m, a: layer_report(m, a[:500], a[:500, :1])]
counts, errors, refused = {"asked": 0, "same": 0}, set(), set()
def ask(model, over, number):
    rng = np.random.default_rng(number)
    while not over.is_set():
        for question in questions:
            try:
                question(model, x[: rng.integers(1, len(x))])
                counts["asked"] += 1
            except BaseException as error:
                errors.add(repr(error))
        try:
            fit(model)
            errors.add("two threads trained one model")
        except RuntimeError as error:
            refused.add(str(error))
for _ in range(rounds):
    model, over = made(), threading.Event()
    model.network.trainer.acquire()  # else one of the others might be the first to train
    others = [threading.Thread(target=ask, args=(model, over, number)) for number in range(3)]
    for thread in others:
        thread.start()
    counts["same"] += fit(model) == alone
    over.set()
    for thread in others:
        thread.join()
    model.network.trainer.release()
print(json.dumps({"counts": counts, "errors": sorted(errors), "refused": sorted(refused)}))
"""

# Eight threads ask one ensemble, of networks that are trained side by side and of one that is not.
ENSEMBLE = """
import json, sys, threading
import numpy as np
from fastmlp import ensembles
rng = np.random.default_rng(0)
x = rng.normal(size=(500, 5)).astype("f4"); y = x[:, :1] ** 2
made = ensembles.ensemble(x, y, ["16x2", "300"], members=3, epochs=3, seed=0, verbose=0)
expected = {n: made.predict(x[:n], verbose=0).tobytes() for n in range(1, 500, 37)}
wrong, asked = [], []
def ask(number):
    rng = np.random.default_rng(number)
    for _ in range(100):
        n = int(rng.choice(list(expected)))
        if made.predict(x[:n], verbose=0).tobytes() != expected[n]:
            wrong.append(n)
        asked.append(n)
threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([len(asked), len(wrong)]))
"""

# A thread predicts, or trains, while another one forks: the child has its locks and not the thread.
FORKED = """
import json, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from fastmlp import models
x = np.random.default_rng(0).normal(size=(3000, 20)).astype("f4"); y = x[:, :1]
def made():
    model = models.mlp("256x3", 20, 1, seed=1)
    model.compile("adam", "mse")
    return model
def fit(model, epochs=1):
    model.fit(x, y, batch_size=300, epochs=epochs, verbose=0)
    return model.predict(x[:10])
model = made()
expected = fit(model)
over = threading.Event()
def work():
    while not over.is_set():
        fit(model, 20) if sys.argv[1] == "fit" else model.predict(x)
thread = threading.Thread(target=work)
thread.start()
right = 0
for _ in range(int(sys.argv[2])):
    time.sleep(0.005)
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs dies of it
        found = model.predict(x[:10])
        same = np.isfinite(found).all() if sys.argv[1] == "fit" else (found == expected).all()
        os._exit(not (same and (fit(made()) == expected).all()))
    right += os.waitpid(child, 0)[1] == 0
over.set()
thread.join()
print(json.dumps(right))
"""


def run(program, *arguments, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("kind", "rounds"), [("engine", 10), ("python", 2), ("shards", 2)])
def test_a_model_that_one_thread_trains_answers_others(kind, rounds, tmp_path):
    """Training has the bits that it has alone, and no second thread trains meanwhile."""
    found = run(TRAINED, kind, str(rounds), tmp_path=tmp_path)
    assert found["errors"] == []
    assert found["counts"]["same"] == rounds
    assert found["counts"]["asked"] > 100
    assert found["refused"]
    assert all("is trained by one thread at a time" in message for message in found["refused"])


def test_an_ensemble_shared_by_eight_threads(tmp_path):
    assert run(ENSEMBLE, tmp_path=tmp_path) == [800, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("what", ["predict", "fit"])
def test_forks_while_another_thread_has_the_model(what, tmp_path):
    assert run(FORKED, what, "50", tmp_path=tmp_path) == 50


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="Python with a global lock"
)
def test_the_kernels_do_not_ask_for_the_global_lock(tmp_path):
    program = (
        "import json, sys\nfrom fastmlp import models\n"
        "models.mlp('8', 2, 1).network\nprint(json.dumps(sys._is_gil_enabled()))"
    )
    assert run(program, tmp_path=tmp_path) is False
