"""What does not fit into memory is refused before it is begun, and work space stays small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastmlp import models
from fastmlp._kernels import cgroups, memory

pytestmark = pytest.mark.reliability
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
GIB = 1 << 30

# Control groups of both versions, nested or as a container sees them: files, /proc/self/cgroup,
# bytes left.
GROUPS = {
    "container": (
        {"memory.max": "1000000", "memory.current": "400000",
         "memory.stat": "inactive_file 100000"},
        "0::/", 700_000,
    ),
    "service": (
        {"a/memory.max": "800000", "a/memory.current": "100000", "a/b/memory.max": "max",
         "a/b/memory.current": "100000"},
        "0::/a/b", 700_000,
    ),
    "soft limit": (
        {"a/memory.max": "900000", "a/memory.high": "500000", "a/memory.current": "100000"},
        "0::/a", 400_000,
    ),
    "version 1": (
        {"memory/memory.limit_in_bytes": "9223372036854771712",
         "memory/memory.usage_in_bytes": "900000",
         "memory/a/memory.limit_in_bytes": "600000", "memory/a/memory.usage_in_bytes": "500000",
         "memory/a/memory.stat": "cache 9\ntotal_inactive_file 50000"},
        "3:cpu:/b\n1:memory:/a\n0::/", 150_000,
    ),
    "none": ({"memory.max": "max", "memory.current": "5"}, "0::/", None),
    "used up": ({"memory.max": "100", "memory.current": "200"}, "0::/", 0),
    "nonsense": ({"memory.max": "much"}, "nonsense\n0::/a", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", GROUPS)
def test_limits_of_control_groups_are_found_wherever_they_are_set(kind, tmp_path, monkeypatch):
    files, own, expected = GROUPS[kind]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    read = cgroups.read
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path))
    monkeypatch.setattr(
        cgroups, "read", lambda path: own if path == cgroups.MEMBERSHIP else read(path)
    )
    monkeypatch.setattr(memory, "_machine", lambda: None)
    monkeypatch.setattr(memory, "_left_in_process", lambda: None)
    assert memory.available() == (1 << 60 if expected is None else expected)


def model_of(units, n_inputs=8, **more):
    model = models.mlp(units, n_inputs, 1, seed=1, **more)
    model.compile("adam", "mean_squared_error")
    return model


@pytest.mark.parametrize("what", ["fit", "gradients"])
def test_what_a_whole_batch_needs_is_refused_before_it_begins(what, monkeypatch):
    x = np.zeros((40_000, 8), "f4")
    model = model_of("1024x4")
    before = [array.copy() for array in model.get_weights()]
    monkeypatch.setattr(memory, "available", lambda: 2 * GIB // 5)
    with pytest.raises(MemoryError, match=r"the memory that is left, 429,\d{3},\d{3}"):
        if what == "fit":
            model.fit(x, x[:, :1], batch_size=len(x), verbose=0)
        else:
            model.gradients(x, x[:, :1])
    assert all(map(np.array_equal, before, model.get_weights()))
    model.fit(x[:100], x[:100, :1], batch_size=50, verbose=0)  # a smaller batch fits


def test_weights_and_copies_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: GIB // 2)
    with pytest.raises(MemoryError, match=r"fit into memory, .* Received: 100,\d+,\d+ weights"):
        model_of("10000x2").get_weights()
    with pytest.raises(MemoryError, match="copy of x as float64"):
        model_of("2", dtype="float64").predict(np.zeros((10_000_000, 8), "f4"), verbose=0)


@pytest.mark.parametrize(
    ("units", "batch_size"),
    [
        pytest.param(units, n, marks=[pytest.mark.slow] * (n > 1000 and len(units) == 5))
        for units in ("3", "300", "4x2", "64x3", "600x2", "520x3")
        for n in (64, 1000, 20_000)
    ],
)
def test_the_need_that_is_worked_out_is_what_training_then_holds(units, batch_size):
    n = 20_000
    x = np.random.default_rng(0).normal(size=(n, 8)).astype("f4")
    for activation, dropout in (("relu", 0.0), ("tanh", 0.2)):
        model = model_of(units, activation=activation, dropout=dropout)
        network, n_threads = model.ready(), 2
        held = network.nbytes
        needed = network.training_bytes(n, batch_size, n_threads=n_threads, automatic=False)
        network.begin(x, x[:, :1].copy(), batch_size=batch_size, shuffle=True, seed=1)
        network.keep()
        losses = np.empty(1)
        network.run(1, losses, np.empty((1, 0)), n_threads=n_threads, automatic=False, max_steps=1)
        grown = network.nbytes - held + 8 * n
        assert 0.98 * grown - 200_000 < needed < 1.1 * grown + 600_000, (activation, dropout)
        network.end()


TRAIN = """
import resource, sys
import numpy as np
import fastmlp
from fastmlp import models
units, rows, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fastmlp.set_num_threads(threads)
x = np.random.default_rng(0).normal(size=(rows, 4)).astype("f4")
y = x[:, :1].copy()
model = models.mlp(units, 4, 1, seed=1)
model.compile("adam", "mean_squared_error")
model.fit(x[:100], y[:100], verbose=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model.fit(x, y, batch_size=rows, verbose=0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def run_python(code, *arguments, prelude=""):
    return subprocess.run(
        [sys.executable, "-c", prelude + code, *map(str, arguments)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def peak(units, rows, n_threads):
    """Return how many bytes a training on one whole batch adds to a process's peak."""
    done = run_python(TRAIN, units, rows, n_threads)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@linux
def test_the_work_space_of_a_whole_batch_does_not_grow_with_rows_times_threads():
    rows = 500_000
    one, eight = peak("4x2", rows, 1), peak("4x2", rows, 8)
    assert eight < 600e6  # 1.6 GB once
    # Rows under way in parts; none of it is the whole batch's for each thread.
    assert eight - one < 8 * rows / 16 * 2000
    shallow = peak("512", rows, 8)
    assert shallow < 600e6  # hidden outputs of all rows would be 1 GB for each array


@linux
@pytest.mark.slow
def test_an_address_space_that_is_limited_is_a_memory_error():
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
    done = run_python(TRAIN, "1024x4", 300_000, 2, prelude=limit)
    assert done.returncode == 1
    assert "MemoryError: Training of model" in done.stderr
    assert "a smaller batch_size" in done.stderr


@linux
@pytest.mark.parametrize("version", [1, 2])
def test_a_real_control_group_is_a_memory_error_and_no_kill(version):
    """The kernel would end the process with SIGKILL."""
    root = Path("/sys/fs/cgroup/memory" if version == 1 else "/sys/fs/cgroup")
    group = root / f"fastmlp-{os.getpid()}"
    limit = group / ("memory.limit_in_bytes" if version == 1 else "memory.max")
    try:
        group.mkdir()
    except OSError:
        pytest.skip(f"control groups of version {version} cannot be made here")
    try:
        if not limit.exists():
            pytest.skip(f"there are no control groups of version {version} here")
        limit.write_text(str(600 << 20))
        prelude = (
            "import os, pathlib\n"
            f"pathlib.Path('{group}/cgroup.procs').write_text(str(os.getpid()))\n"
        )
        small = run_python(TRAIN, "64x2", 10_000, 2, prelude=prelude)
        assert small.returncode == 0, small.stderr
        large = run_python(TRAIN, "1024x4", 60_000, 2, prelude=prelude)
        assert large.returncode == 1, large.stderr
        assert "MemoryError: Training of model" in large.stderr
    finally:
        group.rmdir()


def test_predictions_of_many_rows_take_the_work_space_of_few():
    x = np.zeros((200_000, 8), "f4")
    model = model_of("64x2")
    held = []
    for n in (2_000, 200_000):
        model.predict(x[:n], verbose=0)
        model.evaluate(x[:n], x[:n, :1], verbose=0)
        held.append(model.network.nbytes)
    assert held[0] == held[1]


def test_available_is_a_sum_of_this_machine():
    assert 0 < memory.available() < 1 << 60
