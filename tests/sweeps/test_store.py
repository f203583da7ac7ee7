"""The store: kills, resumption, other sweeps, damage."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import sweeps
from fastmlp.sweeps import StoreError, _store

from .data import QUICK, regression, small

SWEEP = """
import sys, time
import numpy as np
import fastmlp
from fastmlp.sweeps import _training

rng = np.random.default_rng(0)
x = rng.normal(size=(60, 3))
y = x[:, 0] - np.abs(x[:, 1])
options = {"epochs": int(sys.argv[3]), "jobs": int(sys.argv[4]) or None}
print("ready", flush=True)
result = fastmlp.sweep(
    x, y, ["4", "8", "16", "8x2", "16x2"], l2=[0.0, 1e-4, 1e-3, 1e-2], seeds=int(sys.argv[2]),
    batch_size=16, seed=0, verbose=0, store=sys.argv[1], **options,
)
print(len(result), flush=True)
"""


def started(store, seeds, epochs, jobs=0):
    args = [sys.executable, "-c", SWEEP, str(store), str(seeds), str(epochs), str(jobs)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True)


def all_rows(store):
    with sqlite3.connect(store) as connection:
        rows = connection.execute("SELECT * FROM runs ORDER BY run").fetchall()
    connection.close()
    return rows


def killed_and_resumed(tmp_path, seeds, epochs, kills, jobs=0):
    """Kill a sweep again and again, at random moments; return its rows and those of one at ease."""
    rng = random.Random(seeds + kills)
    store, seen = tmp_path / "killed.db", []
    whole = started(tmp_path / "whole.db", seeds, epochs, jobs)
    begin = time.monotonic()
    assert whole.communicate()[0].split()[-1] == str(20 * seeds)
    duration = time.monotonic() - begin
    for i in range(kills):
        process = started(store, seeds, epochs, jobs)
        process.stdout.readline()
        time.sleep(rng.random() * 2 * duration / kills)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if store.exists() and store.stat().st_size and i % 2:
            rows = {row[0]: row for row in all_rows(store)}
            assert set(seen) <= set(rows.values())  # nothing that was finished is lost
            seen = list(rows.values())
    last = started(store, seeds, epochs, jobs)
    assert last.communicate()[0].split()[-1] == str(20 * seeds)
    assert last.returncode == 0
    return all_rows(store), all_rows(tmp_path / "whole.db")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_sweep_goes_on(tmp_path):
    rows, whole = killed_and_resumed(tmp_path, 2, 20, 1)
    assert len(rows) == 40
    assert rows == whole


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("jobs", [0, 2])
def test_200_runs_killed_10_times(tmp_path, jobs):
    rows, whole = killed_and_resumed(tmp_path, 10, 400, 10, jobs)
    assert [row[0] for row in rows] == list(range(1, 201))  # exactly 200, none twice
    assert len({row[2:14] for row in rows}) == 200
    assert rows == whole


def test_a_finished_sweep_trains_nothing_again(tmp_path, monkeypatch):
    store = tmp_path / "no.suffix"
    first = small(store=store)
    monkeypatch.setattr("fastmlp.sweeps._scheduler.train", None)  # whoever calls it fails
    again = small(store=store)
    assert again.rows == first.rows
    assert len(again.sessions) == 2
    assert sweeps.load(store).rows == first.rows


def test_halving_and_optuna_go_on_where_they_were(tmp_path, monkeypatch):
    methods = [{"method": "halving", "epochs": 9}]
    with pytest.MonkeyPatch.context() as patch:
        try:
            import optuna  # noqa: F401
        except ImportError:
            pass
        else:
            methods.append({"method": "optuna", "samples": 7})
        for i, options in enumerate(methods):
            whole = small(units=("2", "4", "8"), seeds=2, **options)
            trained = []
            train = sweeps._scheduler.train

            def some(work, piece, progress, trained=trained, train=train):
                if len(trained) == 5:
                    raise KeyboardInterrupt
                trained.append(piece)
                return train(work, piece, progress)

            patch.setattr("fastmlp.sweeps._scheduler.train", some)
            store = tmp_path / f"{i}.db"
            with pytest.raises(sweeps.SweepInterrupted) as stop:
                small(units=("2", "4", "8"), seeds=2, store=store, threads=1, **options)
            assert 0 < len(stop.value.result) < len(whole)
            patch.setattr("fastmlp.sweeps._scheduler.train", train)
            resumed = small(units=("2", "4", "8"), seeds=2, store=store, **options)
            assert resumed.rows == whole.rows


def test_costs_are_kept_apart_from_rows(tmp_path):
    store = tmp_path / "s.db"
    small(store=store, threads=2)
    with sqlite3.connect(store) as connection:
        costs = connection.execute("SELECT run, session, seconds, threads, isa FROM costs")
        costs = costs.fetchall()
        facts = json.loads(connection.execute("SELECT facts FROM sessions").fetchone()[0])
        names = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    connection.close()
    assert len(costs) == 12 and all(seconds > 0 for _, _, seconds, _, _ in costs)
    assert (facts["workers"], facts["threads"], facts["version"]) == (2, 1, fastmlp.__version__)
    assert not {"seconds", "started", "host", "threads"} & set(names)


# ---- other sweeps, other files -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": ("4", "8")}, "units 4, 8x2 there, 4, 8 now"),
        ({"l2": (0.0, 0.1)}, "l2 0, 0.01 there, 0, 0.1 now"),
        ({"seeds": 4}, "seeds 3 there, 4 now"),
        ({"seed": 6}, "other training rows; other held-out rows; seed 5 there, 6 now"),
        ({"epochs": 4}, "epochs 3 there, 4 now"),
        ({"method": "halving"}, "method grid there, halving now"),
        ({"batch_size": 8}, "batch_size 16 there, 8 now"),
        ({"standardize": False}, "other training rows; other held-out rows"),
        ({"validation_split": 0.3}, "rows 48 there, 42 now; rows held out 12 there, 18 now"),
    ],
)
def test_a_store_of_another_sweep_says_what_differs(tmp_path, options, message):
    store = tmp_path / "s.db"
    small(store=store)
    before = store.read_bytes()
    with pytest.raises(StoreError, match=r"s\.db: written by another sweep: ") as error:
        small(store=store, **options)
    assert message in str(error.value)
    assert store.read_bytes() == before
    replaced = small(store=store, overwrite=True, **options)
    assert sweeps.load(store).rows == replaced.rows


def test_other_data_of_the_same_shape(tmp_path):
    x, y = regression()
    store = tmp_path / "s.db"
    fastmlp.sweep(x, y, "4", store=store, **QUICK)
    y[0] += 0.5
    with pytest.raises(StoreError, match="other training rows"):
        fastmlp.sweep(x, y, "4", store=store, **QUICK)


def test_files_that_are_no_store(tmp_path):
    store = tmp_path / "s.db"
    for content in (b"no store at all, but some text\n" * 9, b"SQLite format 3\0" + bytes(4080)):
        store.write_bytes(content)
        for use in (sweeps.load, lambda path: small(store=path)):
            with pytest.raises(StoreError, match=r"s\.db: damaged, or not a store|an SQLite file"):
                use(store)
        assert store.read_bytes() == content
    store.unlink()
    with sqlite3.connect(store) as connection:
        connection.execute("CREATE TABLE others (a)")
    connection.close()
    with pytest.raises(StoreError, match="an SQLite file, but not a store of fastmlp sweep"):
        small(store=store)
    assert len(small(store=store, overwrite=True)) == 12


def test_an_empty_file_becomes_a_store(tmp_path):
    store = tmp_path / "s.db"
    store.touch()
    with pytest.raises(StoreError, match="it is empty"):
        sweeps.load(store)
    assert len(small(store=store)) == 12


def test_a_store_cut_or_garbled_anywhere_is_one_error_or_as_it_was(tmp_path):
    store = tmp_path / "s.db"
    whole = small(store=store)
    good, rng = store.read_bytes(), np.random.default_rng(1)
    for i in range(150):
        bad = bytearray(good)
        if i % 3 == 0:
            bad = bad[: rng.integers(1, len(good))]
        else:
            for at in rng.integers(0, len(good), rng.integers(1, 60)):
                bad[at] = rng.integers(256)
        store.write_bytes(bad)
        try:
            found = sweeps.load(store)
            found.ranking()
        except StoreError as error:
            assert "s.db" in str(error)
        else:  # a change of a number that nobody can tell, or of what is unused
            assert len(found) <= len(whole)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE runs SET val_mse = 'low' WHERE run = 3", "run 3 has val_mse 'low'"),
        ("UPDATE runs SET loss = NULL WHERE run = 4", "run 4 has loss None"),
        ("UPDATE costs SET seconds = 'long'", "the time of a run is not a number"),
        ("UPDATE sessions SET facts = '{}'", "damaged sessions"),
        ("UPDATE about SET value = '{}' WHERE key = 'settings'", "damaged settings"),
        ("DELETE FROM about", "damaged settings"),
        ("DROP TABLE runs", "no such table: runs"),
        ("ALTER TABLE runs DROP COLUMN nonzero", "no such column"),
        ("PRAGMA user_version = 7", "the store has format 7, expected 1"),
    ],
)
def test_damage_inside(tmp_path, statement, message):
    store = tmp_path / "s.db"
    small(store=store)
    with sqlite3.connect(store) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StoreError, match=message):
        sweeps.load(store)


def test_runs_that_do_not_belong_are_seen(tmp_path):
    store = tmp_path / "s.db"
    small(store=store)
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE runs SET seed = 99 WHERE run = 2")
    connection.close()
    with pytest.raises(StoreError, match="damaged"):
        small(store=store)


def test_one_sweep_writes_at_a_time(tmp_path):
    store = tmp_path / "s.db"
    settings = small().settings
    with (
        _store.Store.created(store, settings),
        pytest.raises(StoreError, match="another sweep is writing"),
    ):
        _store.Store.created(store, settings)
    _store.Store.created(store, settings).close()


def test_places_where_no_store_can_be(tmp_path):
    with pytest.raises(IsADirectoryError):
        small(store=tmp_path)
    with pytest.raises(FileNotFoundError, match="no such directory"):
        small(store=tmp_path / "none" / "s.db")
    with pytest.raises(FileNotFoundError):
        sweeps.load(tmp_path / "none.db")


@pytest.mark.parametrize("again", [True, False])
def test_a_full_disk_is_a_warning_and_nothing_is_lost(tmp_path, monkeypatch, again):
    store = tmp_path / "s.db"
    write, calls = _store.Store._write, []

    def limited(self, rows, costs):
        calls.append(rows)
        pages = self._value("PRAGMA page_count")
        full = len(calls) == 3 or (len(calls) > 3 and not again)
        self._value(f"PRAGMA max_page_count = {pages if full else 1 << 20}")
        if full:
            rows = [{**row, "message": "x" * 100_000} for row in rows]
        write(self, rows, costs)

    monkeypatch.setattr(_store.Store, "_write", limited)
    with pytest.warns(RuntimeWarning, match=r"s\.db.*full.*runs will be written"):
        made = small(store=store, units=("4", "300"), threads=1)
    monkeypatch.undo()
    expected = small(units=("4", "300")).rows
    assert made.rows == expected  # also those that the store does not have
    kept = sweeps.load(store).rows
    assert kept and (kept == expected) == again
    assert small(store=store, units=("4", "300")).rows == expected
    assert [row for row in expected if row in kept] == kept


# ---- copies ------------------------------------------------------------------------------------


def test_export(tmp_path):
    import csv

    result = small()
    result.export(tmp_path / "runs.csv")
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert len(rows) == 12
    assert [float(row["val_mse"]) for row in rows] == [row["val_mse"] for row in result.rows]
    pq = pytest.importorskip("pyarrow.parquet")
    result.export(tmp_path / "runs.parquet")
    table = pq.read_table(tmp_path / "runs.parquet").to_pydict()
    assert table["val_mse"] == [row["val_mse"] for row in result.rows]
    assert table["units"] == [row["units"] for row in result.rows]
    assert list(table)[-1] == "seconds"
    with pytest.raises(ValueError, match=r"must end in \.parquet or \.csv"):
        result.export(tmp_path / "runs.xlsx")
