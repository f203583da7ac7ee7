"""How many threads the kernels are given, and that processes may be forked around them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastmlp
from fastmlp import threads
from fastmlp._kernels import cgroups

slow = pytest.mark.slow


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


@pytest.mark.reliability
def test_quota_caps_the_automatic_count(monkeypatch):
    monkeypatch.setattr(threads, "_counted", None)
    monkeypatch.setattr(threads, "_cgroup_quota", lambda: 0.5)
    assert threads.available() == 1
    monkeypatch.setattr(threads, "_counted", None)


# Version 2 as a container sees it and as a service does, version 1 likewise, and no limit.
GROUPS = {
    "container": ({"cpu.max": "150000 100000"}, "0::/", 1.5),
    "service": (
        {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"},
        "0::/a/b",
        3.0,
    ),
    "version 1": (
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
         "cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"},
        "3:memory:/b\n1:cpu,cpuacct:/a\n0::/", 0.5,
    ),
    "none": ({"cpu.max": "max 100000"}, "0::/", None),
    "nonsense": ({"cpu.max": "some many", "cpu/cpu.cfs_quota_us": "\u00e9"}, "0::/a", None),
}  # fmt: skip


@pytest.mark.reliability
@pytest.mark.parametrize("kind", GROUPS)
def test_quotas_are_found_wherever_they_are_set(kind, tmp_path, monkeypatch):
    files, own, expected = GROUPS[kind]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
    read = cgroups.read
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path))
    monkeypatch.setattr(
        cgroups, "read", lambda path: own if path == "/proc/self/cgroup" else read(path)
    )
    assert threads._cgroup_quota() == expected


def run_python(*arguments, **environment):
    """Run a process of its own, without any *_NUM_THREADS but those given; return its lines."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=kept | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.reliability
def test_a_real_control_group_caps_the_automatic_count():
    group = Path(f"/sys/fs/cgroup/cpu/fastmlp-{os.getpid()}")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("control groups of version 1 cannot be made here")
    try:
        (group / "cpu.cfs_quota_us").write_text("130000")
        (group / "cpu.cfs_period_us").write_text("100000")
        code = (
            "import os, pathlib;"
            f"pathlib.Path('{group}/cgroup.procs').write_text(str(os.getpid()));"
            "from fastmlp import threads; print(threads.resolve(), threads._cgroup_quota())"
        )
        assert run_python("-c", code) == ["(1, True) 1.3"]
    finally:
        group.rmdir()


@pytest.mark.reliability
def test_affinity_caps_the_automatic_count():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from fastmlp import threads; print(threads.resolve())"
    )
    assert run_python("-c", code) == ["(1, True)"]


# Work that is large enough to share.
FIT = """
import numpy as np
from fastmlp import models
x = np.linspace(-1, 1, 600, dtype="float32").reshape(-1, 1)
def fit():
    model = models.mlp([300, 300], 1, 1, seed=1)
    model.compile(optimizer="adam", loss="mse")
    model.fit(x, x, epochs=1, batch_size=600, verbose=0)
    return model
def used():
    return fit().materialise().threads_used
def predicted(model):
    return model.predict(x, verbose=0).tobytes()
"""


def test_omp_num_threads_is_used():
    assert run_python("-c", FIT + "print(used())", OMP_NUM_THREADS="3") == ["3"]


@pytest.mark.parametrize("early", [True, False], ids=["loaded", "not loaded"])
def test_threadpoolctl_limits_the_automatic_count(early):
    """Also when the kernels are loaded under the limit; `import fastmlp` alone suffices before."""
    code = f"""
import fastmlp
from threadpoolctl import threadpool_limits
{FIT if early else ""}
with threadpool_limits(2):
    {"" if early else f"exec({FIT!r}, globals())"}
    print(fastmlp.get_num_threads(), used())
    with threadpool_limits(1):
        print(fastmlp.get_num_threads(), used())
        fastmlp.set_num_threads(3)
        print(fastmlp.get_num_threads(), used())
        fastmlp.set_num_threads(None)
print(fastmlp.get_num_threads(), used())
with threadpool_limits(9):
    print(fastmlp.get_num_threads(), used())
"""
    # An explicit count is obeyed above the limit; a limit above the count raises nothing.
    assert run_python("-c", code, OMP_NUM_THREADS="4") == ["2 2", "1 1", "3 3", "4 4", "4 4"]


@pytest.mark.skipif(threads.available() < 2, reason="one processor: nothing to limit")
def test_a_limit_from_before_the_import_holds_while_it_lasts():
    code = """
import numpy
from threadpoolctl import threadpool_limits
with threadpool_limits(1):
    from fastmlp import threads
    print(threads.resolve())
print(threads.resolve() == (threads.available(), True))
"""
    assert run_python("-c", code) == ["(1, True)", "True"]


def test_threads_that_blas_is_given_by_the_environment_limit_nothing():
    code = """
import numpy, threadpoolctl
from fastmlp import threads
print(threads.resolve() == (threads.available(), True))
"""
    assert run_python("-c", code, OPENBLAS_NUM_THREADS="1") == ["True"]


@pytest.mark.reliability
def test_a_forked_child_trains_on_one_thread():
    code = f"""
import os, warnings
from fastmlp import threads
warnings.simplefilter("ignore", DeprecationWarning)
{FIT}
model = fit()
before = predicted(model)
assert model.materialise().threads_used == 3
def same():
    return predicted(model) == predicted(fit()) == before
pid = os.fork()
if pid == 0:
    os._exit(0 if threads.resolve(4)[0] == 1 and same() and used() == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), same(), used())
"""
    assert run_python("-c", code, OMP_NUM_THREADS="3") == ["0 True 3"]


# A worker is sent a model; it and what the worker trains itself must predict as they do here.
WORKERS = f"""
import sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
{FIT}
def work(received):
    return predicted(received) == predicted(fit())
"""


@pytest.mark.reliability
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=slow), "forkserver"])
def test_worker_processes_train_and_predict(method, tmp_path):
    """Forked before this process has shared work out, and after."""
    script = tmp_path / "workers.py"
    script.write_text(f"""{WORKERS}
import multiprocessing
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with context.Pool(2) as early:
        model = fit()
        assert model.materialise().threads_used == 2
        with context.Pool(2) as late:
            for pool in (early, late):
                print(pool.map(work, [model] * 3, chunksize=1))
        assert used() == 2
""")
    assert run_python(str(script), OMP_NUM_THREADS="2") == ["[True, True, True]"] * 2


@pytest.mark.reliability
@pytest.mark.parametrize(
    "backend", ["loky", pytest.param("multiprocessing", marks=slow), "threading"]
)
def test_joblib_workers_train_and_predict(backend, tmp_path):
    pytest.importorskip("joblib")
    script = tmp_path / "workers.py"
    script.write_text(f"""{WORKERS}
import joblib
if __name__ == "__main__":
    model = fit()
    jobs = joblib.Parallel(2, backend={backend!r})
    print(jobs(joblib.delayed(work)(model) for _ in range(3)))
""")
    assert run_python(str(script)) == ["[True, True, True]"]
