"""A file's name means the old content or the new, whatever fails and whenever it is killed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fastmlp
from fastmlp import callbacks, interchange, layers, models, plots
from fastmlp._utils import atomic

from .drawn import ACTIVATIONS
from .entry_points import X, Y, shared, shared_ensemble

resource = pytest.importorskip("resource")
pytestmark = [
    pytest.mark.reliability,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files"),
]


def small(units):
    layers.reset_names()  # equal models make equal files
    return models.mlp(str(units), 3, 1, seed=1)


def train(path, epochs):
    """Keep a run, or go on with the one that is there and unfinished."""
    if path.exists() and not (begun := models.resume(path)).resumed.complete:
        begun.fit(X, Y, verbose=0)
        return
    model = small(4)
    model.compile("adam", "mean_squared_error")
    model.fit(
        X, Y, epochs=epochs, verbose=0, checkpoint=path, checkpoint_every="epoch", batch_size=4
    )


def save_best(path, epochs):
    model = small(4)
    model.compile("adam", "mean_squared_error")
    best = callbacks.ModelCheckpoint(path)
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=best)


def draw(path, width):
    figure = plots.plot_network(small(2 + width))
    plots.save(figure, path)


# Each writes a file, twice with different content.
WRITERS = {
    "model.fmlp": lambda path, i: small(4 + i).save(path),
    "ensemble.fmlp": lambda path, i: (shared() if i else shared_ensemble()).save(path),
    "model.onnx": lambda path, i: small(4 + i).export(path),
    "model.keras": lambda path, i: small(4 + i).export(path),
    "model.safetensors": lambda path, i: small(4 + i).export(path),
    "model.c": lambda path, i: small(4 + i).export(path),
    "run.fmlp": lambda path, i: train(path, 1 + i),
    "best.fmlp": lambda path, i: save_best(path, 1 + i),
    "network.svg": draw,
    "network.png": draw,
}
READERS = {".fmlp": models.load_model, ".keras": interchange.import_model,
           ".safetensors": interchange.import_model}  # fmt: skip


@contextlib.contextmanager
def largest_file(size):
    """Have the system cut off every file that grows beyond `size`: a short write, then EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Faults:
    """Makes the k-th system call that has to do with files fail; counts them.

    Calls are those that Python code makes by name; a write also fails halfway through.
    """

    NAMES = ("open", "fsync", "link", "replace", "unlink")

    def __init__(self, monkeypatch):
        self.calls, self.failing, self.code = 0, -1, 0
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))
        monkeypatch.setattr(atomic, "open", self._opened, raising=False)

    def arm(self, failing, code):
        self.calls, self.failing, self.code = 0, failing, code

    def _count(self):
        self.calls += 1
        return self.calls - 1 == self.failing

    def _wrapped(self, function):
        def call(*args, **options):
            if self._count():
                raise OSError(self.code, os.strerror(self.code))
            return function(*args, **options)

        return call

    def _opened(self, *args, **options):
        file = open(*args, **options)  # noqa: SIM115, PTH123
        return HalfWritten(file, self)


class HalfWritten:
    """A file whose write may stop halfway."""

    def __init__(self, file, faults):
        self._file, self._faults = file, faults

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        if self._faults._count():
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            raise OSError(self._faults.code, os.strerror(self._faults.code))
        return self._file.write(data)


def check(path, contents, others):
    """The file is one of these, it can be read, and nothing lies beside it."""
    assert contents is None or path.read_bytes() in contents
    assert {entry.name for entry in path.parent.iterdir()} == others
    if path.suffix in READERS:
        READERS[path.suffix](path)


def both_contents(path, write):
    """Return what the file holds once the first is written, which then stays, and the second."""
    write(path, 1)
    new = path.read_bytes()
    path.unlink()
    write(path, 0)
    return path.read_bytes(), new


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_may_not_grow(name, tmp_path):
    path, write = tmp_path / name, WRITERS[name]
    old, new = both_contents(path, write)
    tried = 0
    for size in sorted({0, 1, 8, 100, len(new) // 4, len(new) // 2, len(new) - 1}):
        if size < len(new):
            # What a run cannot write on its way is a warning, an error here.
            with largest_file(size), pytest.raises((OSError, RuntimeWarning)) as info:
                write(path, 1)
            if isinstance(info.value, OSError):
                assert info.value.errno == errno.EFBIG
            else:
                assert name.startswith(("run", "best")) and name in str(info.value)
            # A run writes on its way as well; such a file may have been small enough.
            check(path, None if name.startswith(("run", "best")) else {old}, {name})
            tried += 1
    assert tried >= 5
    write(path, 1)
    check(path, {new}, {name})


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("name", [name for name in WRITERS if name.startswith(("model", "ens"))])
def test_every_call_that_may_fail(name, code, tmp_path, monkeypatch):
    """Of `write_atomically`, which all of these come down to."""
    path, write = tmp_path / name, WRITERS[name]
    old, new = both_contents(path, write)
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        faults.arm(-1, code)
        write(path, 1)
        n_calls = faults.calls
        assert n_calls >= 6  # two files opened, a write, two syncs, a name and its place
        failed = 0
        for k in range(n_calls):
            faults.arm(-1, code)
            atomic.write_atomically(path, old)
            faults.arm(k, code)
            try:
                write(path, 1)
            except OSError as error:
                assert error.errno == code
                failed += 1
            faults.arm(-1, code)
            check(path, {old, new}, {name})
    assert failed >= n_calls - 1  # a file without a name is not to be had everywhere


def test_a_file_system_without_nameless_files(tmp_path, monkeypatch):
    """Where O_TMPFILE is not known a named file is written, and goes away on failure."""
    monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "model.fmlp"
    WRITERS["model.fmlp"](path, 0)
    old = path.read_bytes()
    for size in (0, 1, 100, len(old) // 2):
        with largest_file(size), pytest.raises(OSError):
            WRITERS["model.fmlp"](path, 1)
        check(path, {old}, {"model.fmlp"})


def test_a_full_disk_while_a_sweep_is_kept(tmp_path):
    """The store keeps the runs that it has, and the sweep goes on from them."""
    store = tmp_path / "sweep.db"
    whole = fastmlp.sweep(X, Y, ["2", "3", "4"], epochs=2, seeds=4, seed=0, verbose=0, threads=1)
    stopped = 0
    for size in (0, 4096, 16_384, 28_672, 36_864):
        with largest_file(size):
            try:
                fastmlp.sweep(
                    X,
                    Y,
                    ["2", "3", "4"],
                    epochs=2,
                    seeds=4,
                    seed=0,
                    verbose=0,
                    threads=1,
                    store=store,
                )
            except (OSError, ValueError, RuntimeWarning) as error:
                assert str(error)
                stopped += 1
    assert stopped >= 2
    again = fastmlp.sweep(
        X, Y, ["2", "3", "4"], epochs=2, seeds=4, seed=0, verbose=0, threads=1, store=store
    )
    assert again.columns().keys() == whole.columns().keys()
    for key in ("units", "seed", "mse"):
        if key in whole.columns():
            assert list(again.columns()[key]) == list(whole.columns()[key])


def test_a_thousand_architectures_come_back_with_the_same_bits(tmp_path):
    path = tmp_path / "model.fmlp"
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        widths = [int(w) for w in rng.integers(1, 40, rng.integers(1, 6))]
        activations = [str(name) for name in rng.choice(ACTIVATIONS, len(widths))]
        last = str(rng.choice(["linear", "sigmoid", "softplus", "tanh"]))
        model = models.mlp(
            widths, int(rng.integers(1, 12)), int(rng.integers(1, 5)), activations, last,
            l1=float(rng.choice([0, 0.01])), l2=float(rng.choice([0, 0.02])),
            dropout=float(rng.choice([0, 0.3])), seed=seed,
            dtype=str(rng.choice(["float32", "float64"])),
        )  # fmt: skip
        x = rng.normal(size=(5, model.n_inputs))
        expected = model.predict(x, verbose=0)
        model.save(path, overwrite=True)
        again = models.load_model(path)
        assert again.predict(x, verbose=0).tobytes() == expected.tobytes(), seed
        pairs = zip(again.get_weights(), model.get_weights(), strict=True)
        assert all(a.tobytes() == b.tobytes() for a, b in pairs), seed


# ---- kills ---------------------------------------------------------------------------------------

# Forks a child that writes two contents by turns, kills it at a random moment, reads what is left.
KILLS = """
import json, os, random, signal, sys, time
from pathlib import Path
from fastmlp import models
directory, n_kills = Path(sys.argv[1]), int(sys.argv[2])
path = directory / "model.fmlp"
contents = []
for units in ("64x2", "80x2"):
    model = models.mlp(units, 20, 1, seed=1)
    model.save(path)
    contents.append((model, path.read_bytes()))
rng, corrupt, seen = random.Random(1), 0, [0, 0]
for turn in range(n_kills):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"!")
        while True:
            for model, _ in contents[turn % 2 :] + contents[: turn % 2]:
                model.save(path)
    os.read(reader, 1)
    time.sleep(rng.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader), os.close(writer)
    data = path.read_bytes()
    which = [i for i, (_, content) in enumerate(contents) if content == data]
    corrupt += not which
    for i in which:
        seen[i] += 1
    models.load_model(path)
left = [entry.name for entry in directory.iterdir() if entry != path]
for name in left:  # between two system calls a whole file may have a name of its own
    models.load_model(directory / name)
print(json.dumps({"kills": n_kills, "corrupt": corrupt, "seen": seen, "left": len(left)}))
"""


def test_two_hundred_kills_while_saving(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLS, str(tmp_path), "200"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == 200 and found["corrupt"] == 0
    assert min(found["seen"]) > 20  # both contents were met: kills fell between writings
    assert found["left"] <= 20
