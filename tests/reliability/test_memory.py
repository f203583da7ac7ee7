"""Memory: what is done a thousand times needs no more of it than what is done once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

MEGABYTE = 1 << 20

# `rounds` calls of `once`, a tenth of them before counting begins: caches fill, and the allocator
# takes what it will need. Printed: bytes by which resident memory grew from then on.
PROGRAM = """
import gc, json, os, sys, tempfile, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import numpy as np
import fastmlp
from fastmlp import models

fastmlp.set_num_threads({threads})
rng = np.random.default_rng(0)
x = rng.normal(size=(256, 8)).astype("float32")
y = x[:, :1] ** 2
def made(units, dtype="float32", **kwargs):
    model = models.mlp(units, 8, 1, dtype=dtype, seed=1, **kwargs)
    model.compile("adam", "mean_squared_error", metrics=["mean_absolute_error"])
    return model
def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def grown(rounds, once):
    for i in range(rounds // 10):
        once(i)
    before = resident()
    for i in range(rounds):
        once(i)
    return resident() - before

{work}
"""

# Networks of every kind of loop, in both types, asked for one row and for a few.
PREDICTS = """
result = {}
for units in ("4", "32", "64x3"):
    for dtype in ("float32", "float64"):
        model = made(units, dtype)
        model.fit(x, y, epochs=2, verbose=0)
        for rows in (1, 7):
            def once(i):
                model.predict(x[i % 200 : i % 200 + rows])
            result[f"{units} {dtype} {rows}"] = grown(ROUNDS, once)
print(json.dumps(result))
"""

FITS = """
result = {}
kept = made("64x3", dropout=0.1)
def again(i):
    kept.fit(x, y, epochs=1, batch_size=64, validation_split=0.2, verbose=0)
def anew(i):
    model = made(("4", "32", "64x3")[i % 3], ("float32", "float64")[i % 2])
    model.fit(x, y, sample_weight=np.ones(256), epochs=1, batch_size=(64, 256)[i % 2], verbose=0)
    model.evaluate(x, y, verbose=0)
    model.activations(x[:3])
def diverges(i):
    model = models.mlp("32", 8, 1, seed=1)
    model.compile(fastmlp.optimizers.SGD(1e30), "mean_squared_error")
    try:
        model.fit(x, y, epochs=3, verbose=0)
    except fastmlp.errors.DivergedError:
        return
    raise AssertionError("it should have diverged")
def refused(i):
    try:
        kept.fit(x[:, :5], y, epochs=1, verbose=0)
    except ValueError:
        return
    raise AssertionError("it should have been refused")
for once in (again, anew, diverges, refused):
    result[once.__name__] = grown(ROUNDS, once)
print(json.dumps(result))
"""

FILES = """
result = {}
file = Path(tempfile.mkdtemp()) / "model.fmlp"
model = made("64x3")
model.fit(x, y, epochs=2, verbose=0)
expected = model.predict(x).tobytes()
def stored(i):
    model.save(file)
    assert models.load_model(file).predict(x).tobytes() == expected
def damaged(i):
    whole = file.read_bytes()
    file.write_bytes(whole[: 10 + i % (len(whole) - 10)])
    try:
        models.load_model(file)
    except fastmlp.errors.ModelFileError:
        file.write_bytes(whole)
        return
    raise AssertionError("it should have been refused")
def checkpointed(i):
    other = made("32")
    other.fit(x, y, epochs=2, verbose=0, checkpoint=file.with_name("run.fmlp"))
for once in (stored, damaged, checkpointed):
    result[once.__name__] = grown(ROUNDS, once)
print(json.dumps(result))
"""

# Stacks of networks, and ensembles that are saved: they have blocks of their own.
MANY = """
result = {}
file = Path(tempfile.mkdtemp()) / "many.fmlp"
def side_by_side(i):
    return fastmlp.ensemble(x, y, ("4", "16x2")[i % 2], 5, epochs=2, batch_size=64, verbose=0)
def saved(i):
    side_by_side(i).save(file)
    models.load_model(file).predict(x, verbose=0)
for once in (side_by_side, saved):
    result[once.__name__] = grown(ROUNDS, once)
print(json.dumps(result))
"""


def growth(work, rounds, tmp_path, threads=1, timeout=280):
    script = tmp_path / "program.py"
    text = PROGRAM.replace("{threads}", str(threads)).replace("{work}", work)
    script.write_text(text.replace("ROUNDS", str(rounds)))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return json.loads(done.stdout)


def test_a_hundred_thousand_predictions(tmp_path):
    found = growth(PREDICTS, -(-100_000 // 12), tmp_path)
    assert len(found) == 12
    assert max(found.values()) < MEGABYTE, found
    assert sum(found.values()) < MEGABYTE, found


def test_fits_of_one_model_and_of_new_ones(tmp_path):
    found = growth(FITS, 1000, tmp_path)
    assert max(found.values()) < MEGABYTE, found


def test_fits_on_three_threads(tmp_path):
    found = growth(FITS, 300, tmp_path, threads=3)
    assert max(found.values()) < MEGABYTE, found


def test_files_saved_loaded_and_refused(tmp_path):
    found = growth(FILES, 500, tmp_path)
    assert max(found.values()) < MEGABYTE, found


def test_ensembles(tmp_path):
    found = growth(MANY, 300, tmp_path, threads=2)
    assert max(found.values()) < MEGABYTE, found


def test_a_leak_would_be_noticed(tmp_path):
    """A hundred numbers kept by each call are more than the bar allows."""
    leaks = """
kept = []
print(json.dumps({"leaks": grown(ROUNDS, lambda i: kept.append(np.ones(100)))}))
"""
    assert growth(leaks, 2000, tmp_path)["leaks"] > MEGABYTE
