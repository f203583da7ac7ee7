"""Sweeps and paths by processes and by a Dask cluster: the same bytes, whoever is lost."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import fastmlp
from fastmlp._many import engines
from fastmlp.sweeps._store import Store

from .data import small
from .test_store import all_rows

joblib = pytest.importorskip("joblib")


def data(n):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 6))
    return x, np.sin(x[:, 0]) - np.abs(x[:, 1]) + 0.1 * rng.normal(size=n)


def swept(store, n=60, epochs=3, seeds=2, **options):
    x, y = data(n)
    given = {"l2": [0.0, 1e-3], "seeds": seeds, "epochs": epochs, "seed": 2, "verbose": 0}
    units = ["4", "16x2", "300"]
    return fastmlp.sweep(x, y, units, batch_size=32, store=store, **given, **options)


@pytest.fixture(scope="module", autouse=True)
def functions():
    """Return a module that workers can import, unlike a test's."""
    directory = str(Path(__file__).parent / "in_workers")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(directory)
        patch.setenv("PYTHONPATH", directory)
        end_processes()  # those that are there already have another path
        yield importlib.import_module("functions_in_workers")
    end_processes()


def end_processes():
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def arrivals(directory):
    return [path.read_text() for path in Path(directory).glob("arrived-*")]


def collected(engine, function, shared, n):
    found, shares = {}, []
    engine.run(function, shared, list(range(n)), found.__setitem__, shares.append)
    return [found[i] for i in range(n)], shares


# ---- processes ---------------------------------------------------------------------------------


def test_two_processes_give_the_rows_of_one(tmp_path):
    swept(tmp_path / "one.db")
    result = swept(tmp_path / "two.db", jobs=2)
    assert all_rows(tmp_path / "two.db") == all_rows(tmp_path / "one.db")
    assert (result.sessions[0]["engine"], result.sessions[0]["jobs"]) == ("processes", 2)


def test_joblibs_configuration_is_obeyed():
    rows = small().rows
    with joblib.parallel_config(backend="threading", n_jobs=2):
        result = small()
    assert result.sessions[0]["engine"] == "joblib" and result.rows == rows
    with joblib.parallel_config(n_jobs=2):
        assert small().sessions[0]["workers"] == 2
    assert small().sessions[0]["engine"] == "threads"


def test_processes_get_the_data_once_and_their_threads(tmp_path, functions):
    with engines.engine(2, None, 1) as engine:
        found, shares = collected(engine, functions.add, functions.Counted(tmp_path), 6)
    assert [value for value, _, _ in found] == list(range(6))
    assert len({pid for _, pid, _ in found}) == 2
    assert {threads for _, _, threads in found} == {1}
    assert arrivals(tmp_path) == ["x", "x"]
    assert max(shares) > 0.3  # the workers told how far they are
    with engines.engine(2, None, 3) as engine:
        assert collected(engine, functions.add, functions.Counted(tmp_path), 2)[0][0][2] == 3


def test_a_lost_process_is_replaced(tmp_path, functions):
    with engines.engine(2, None, 1) as engine:
        assert collected(engine, functions.end_the_worker_once, tmp_path, 8)[0] == [
            i * i for i in range(8)
        ]
        with pytest.raises(RuntimeError, match="end before their work is done"):
            collected(engine, functions.end_every_worker, tmp_path, 2)


def test_errors_come_from_workers_as_they_are(functions):
    for jobs in (None, 2):
        with (
            engines.engine(jobs, None, 1) as engine,
            pytest.raises(ZeroDivisionError, match=r"item \d"),
        ):
            collected(engine, functions.wrong, None, 4)


def test_without_joblib_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'fastmlp\[sklearn\]'"):
        small(jobs=2)


# ---- Dask --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two processes."""
    distributed = pytest.importorskip("distributed")
    # It sets its workers' number of threads for this process as well.
    with (
        mock.patch.dict(os.environ),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
def all_workers(request):
    """Let workers that a test killed come back before the next one."""
    yield
    if "cluster" in request.fixturenames:
        made, give_up = request.getfixturevalue("cluster"), time.monotonic() + 30
        while len(made.scheduler.workers) < 2 and time.monotonic() < give_up:
            time.sleep(0.05)


def test_a_cluster_gives_the_rows_of_one_process(tmp_path, cluster):
    from distributed import Client

    swept(tmp_path / "one.db")
    result = swept(tmp_path / "dask.db", cluster=cluster.scheduler_address)
    assert result.sessions[0]["engine"] == "dask" and result.sessions[0]["workers"] == 2
    assert all_rows(tmp_path / "dask.db") == all_rows(tmp_path / "one.db")
    with Client(cluster), joblib.parallel_config(backend="dask"):
        result = swept(tmp_path / "config.db")
    assert result.sessions[0]["engine"] == "dask"
    assert all_rows(tmp_path / "config.db") == all_rows(tmp_path / "one.db")


def test_a_cluster_gets_the_data_once_and_its_threads(tmp_path, cluster, functions):
    with engines.engine(None, cluster.scheduler_address, 2) as engine:
        found, shares = collected(engine, functions.add, functions.Counted(tmp_path), 6)
    assert [value for value, _, _ in found] == list(range(6))
    assert len({pid for _, pid, _ in found}) == 2
    assert {threads for _, _, threads in found} == {2}
    assert arrivals(tmp_path) == ["x", "x"]
    assert max(shares) > 0.3


def test_a_lost_workers_items_are_done_elsewhere(tmp_path, cluster, functions):
    with engines.engine(None, cluster.scheduler_address, 1) as engine:
        assert collected(engine, functions.end_the_worker_once, tmp_path, 8)[0] == [
            i * i for i in range(8)
        ]


def test_an_error_in_a_cluster_comes_as_it_is(cluster, functions):
    with (
        engines.engine(None, cluster.scheduler_address, 1) as engine,
        pytest.raises(ZeroDivisionError, match=r"item \d"),
    ):
        collected(engine, functions.wrong, None, 4)


def killed_in_mid_sweep(tmp_path, cluster, **options):
    """Kill a worker once a sweep has done a quarter of its runs; compare with one at ease."""
    total = len(swept(tmp_path / "one.db", **options))
    killed, add = [], Store.add

    def add_and_kill(self, rows, costs):
        add(self, rows, costs)
        if not killed and len(self.rows()) >= total / 4:
            worker = next(iter(cluster.workers.values()))
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(len(self.rows()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "add", add_and_kill)
        swept(tmp_path / "dask.db", cluster=cluster.scheduler_address, **options)
    assert total / 4 <= killed[0] < total
    assert all_rows(tmp_path / "dask.db") == all_rows(tmp_path / "one.db")
    return total


@pytest.mark.slow
def test_a_worker_killed_in_mid_sweep(tmp_path, cluster):
    assert killed_in_mid_sweep(tmp_path, cluster, n=400, epochs=30, seeds=4) == 24


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_serial_two_processes_and_a_cluster_with_a_worker_killed(tmp_path, cluster):
    options = {"n": 1000, "epochs": 60, "seeds": 20}
    assert killed_in_mid_sweep(tmp_path, cluster, **options) == 120
    swept(tmp_path / "serial.db", threads=1, **options)
    swept(tmp_path / "two.db", jobs=2, **options)
    rows = all_rows(tmp_path / "one.db")
    assert rows == all_rows(tmp_path / "serial.db") == all_rows(tmp_path / "two.db")


@pytest.mark.slow
def test_a_path_on_a_cluster_is_the_path_of_one_process(cluster):
    x, y = data(80)
    options = {"n_lambdas": 4, "folds": 3, "epochs": 10, "seed": 1, "verbose": 0}
    here = fastmlp.path(x, y, "6x2", **options)
    there = fastmlp.path(x, y, "6x2", **options, cluster=cluster.scheduler_address)
    np.testing.assert_array_equal(there.lambdas, here.lambdas)
    np.testing.assert_array_equal(there.cv_mean, here.cv_mean)
    for one, other in zip(there.model.get_weights(), here.model.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.slow
def test_an_ensemble_on_a_cluster_is_the_ensemble_of_one_process(cluster):
    x, y = data(80)
    options = {"members": 4, "bootstrap": True, "epochs": 3, "seed": 1, "verbose": 0}
    here = fastmlp.ensemble(x, y, "300", **options)
    there = fastmlp.ensemble(x, y, "300", **options, cluster=cluster.scheduler_address)
    assert there.predictions(x, 0).tobytes() == here.predictions(x, 0).tobytes()


@pytest.mark.parametrize("how", ["distributed", "joblib"])
def test_the_cluster_stops_with_the_caller(tmp_path, cluster, functions, how):
    where = {"distributed": (None, cluster.scheduler_address), "joblib": (2, None)}[how]

    def stop(share):
        if len(list(tmp_path.glob("alive-*"))) >= 2:
            raise KeyboardInterrupt

    with engines.engine(*where, 1) as engine:
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            engine.run(functions.wait_for_ever, str(tmp_path), [0, 1, 2, 3], print, stop)
    assert time.monotonic() - begin < 60
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        before = [path.stat().st_mtime_ns for path in tmp_path.glob("alive-*")]
        time.sleep(0.5)
        if before == [path.stat().st_mtime_ns for path in tmp_path.glob("alive-*")]:
            break
    else:
        raise AssertionError("the workers still work")
    assert len(before) >= 2


def test_addresses_without_a_scheduler():
    pytest.importorskip("distributed")
    for address in ("8786", "http://a:1", "tcp://", "tcp://["):
        with pytest.raises(ValueError, match="cluster must be a scheduler's address"):
            small(cluster=address)


def test_nobody_answers(monkeypatch):
    pytest.importorskip("distributed")
    from fastmlp._many.engines import dask

    assert dask.CONNECT_SECONDS + 2 <= 15
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 0.5)
    begin = time.monotonic()
    with pytest.raises(ConnectionError, match=r"tcp://127\.0\.0\.1:1: no Dask scheduler answers"):
        small(cluster="tcp://127.0.0.1:1")
    assert time.monotonic() - begin < 15


def test_a_worker_is_no_scheduler(cluster):
    address = next(iter(cluster.scheduler.workers))
    with pytest.raises(ConnectionError, match="is a Dask worker, not a scheduler"):
        small(cluster=address)


def test_a_cluster_without_workers(monkeypatch):
    distributed = pytest.importorskip("distributed")
    from fastmlp._many.engines import dask

    monkeypatch.setattr(dask, "WORKERS_SECONDS", 0.5)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(ConnectionError, match=r"the scheduler has had no workers for 0\.5 seconds"),
    ):
        small(cluster=empty.scheduler_address)


def test_workers_with_another_fastmlp(monkeypatch, cluster):
    from fastmlp._many.engines import dask

    monkeypatch.setattr(dask, "__version__", "9.9")
    with pytest.raises(RuntimeError, match=r"the worker has fastmlp .*, expected 9\.9 as here"):
        small(cluster=cluster.scheduler_address)


def test_without_dask_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'fastmlp\[dask\]'"):
        small(cluster="tcp://localhost:8786")
