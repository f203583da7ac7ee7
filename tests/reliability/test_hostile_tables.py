"""Damaged tables, sweep stores and checkpoints: one typed error each; no process is ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import models
from fastmlp._tables.files import read_table
from fastmlp._tables.parquet_footer import read_footer
from fastmlp.errors import DataError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
feather = pytest.importorskip("pyarrow.feather")
pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads what it used"),
]
N = 50


def table():
    return pa.table(
        {
            "a": np.arange(N) * 0.5,
            "b": pa.array([None if i % 7 == 0 else i for i in range(N)]),
            "c": pa.array([["x", "y", "zz"][i % 3] for i in range(N)]).dictionary_encode(),
            "d": pa.array([str(i % 5) + "z" for i in range(N)]),
            "e": pa.array([i % 2 == 0 for i in range(N)]),
            "f": pa.array(np.arange(N), pa.int32()).cast(pa.date32()),
            "y": np.arange(N, dtype="f4"),
        }
    )


def parquets(directory):
    for i, options in enumerate(
        [
            {},
            {"compression": "none", "write_page_index": True, "store_schema": False},
            {"compression": "zstd", "row_group_size": 20, "data_page_version": "2.0"},
            {"compression": "gzip", "use_dictionary": False},
        ]
    ):
        parquet.write_table(table(), directory / f"{i}.parquet", **options)


def arrows(directory):
    feather.write_feather(table(), directory / "0.feather")
    feather.write_feather(table(), directory / "1.feather", compression="zstd")
    with pa.ipc.new_stream(str(directory / "2.arrow"), table().schema) as stream:
        stream.write_table(table())


def npys(directory):
    np.save(directory / "0.npy", np.ones((30, 3)))
    np.save(directory / "1.npy", np.zeros(30, [("a", "f8"), ("b", "i4"), ("c", "U5")]))


def npzs(directory):
    columns = {"a": np.arange(30.0), "b": np.ones((30, 2)), "c": np.array(list("xyz") * 10)}
    np.savez(directory / "0.npz", **columns)
    np.savez_compressed(directory / "1.npz", **columns)


def stores(directory):
    x = np.arange(12.0).reshape(-1, 1)
    fastmlp.sweep(x, x, ["2", "3"], epochs=1, seeds=2, verbose=0, store=directory / "0.db")


def runs(directory):
    x = np.arange(12.0).reshape(-1, 1)
    for i, options in enumerate([{}, {"validation_split": 0.25, "shuffle": False}]):
        model = models.mlp([3], 1, 1, seed=1)
        model.compile("adam", "mse")
        stop = fastmlp.callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
        model.fit(
            x,
            x,
            epochs=2,
            verbose=0,
            checkpoint=directory / f"{i}.fmlp",
            callbacks=[stop],
            **options,
        )


KINDS = {"parquet": parquets, "arrow": arrows, "npy": npys, "npz": npzs, "store": stores,
         "checkpoint": runs}  # fmt: skip


def watched(directory, kind, start, stop):
    directory = directory / kind
    directory.mkdir()
    KINDS[kind](directory)
    script = Path(__file__).with_name("hostile_tables.py")
    done = subprocess.run(
        [sys.executable, str(script), str(directory), str(start), str(stop)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["wrong"] == []
    assert report["read"] + report["refused"] == stop - start
    assert report["refused"] > (stop - start) // 10
    return report


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files(tmp_path, kind):
    watched(tmp_path, kind, 0, 20)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_mutated_files(tmp_path, kind):
    watched(tmp_path, kind, 1000, 11_000)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 29])
def test_no_byte_of_a_parquet_footer_ends_the_process(tmp_path, step):
    """Lists of statistics, for one, have other lengths then than the columns' kinds ask for."""
    parquet.write_table(table(), tmp_path / "sound.parquet")
    data = (tmp_path / "sound.parquet").read_bytes()
    first = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    program = f"""
import sys
from fastmlp.datasets import ParquetStream, read_table
from fastmlp.errors import DataError
path, read = sys.argv[1], 0
data = open(path, "rb").read()
for at in range({first}, len(data) - 8, {step}):
    changed = bytearray(data)
    changed[at] = (changed[at] + 16) % 256  # a list is one longer, or a field another
    open(path, "wb").write(changed)
    for reader in (read_table, lambda path: ParquetStream(path, "y", impute="mean")):
        try:
            reader(path)
            read += 1
        except DataError:
            pass
print(read)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "sound.parquet")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) > 300 // step


def test_our_reading_of_the_footer_agrees_with_pyarrows(tmp_path):
    parquets(tmp_path)
    for path in tmp_path.iterdir():
        n_rows, groups = read_footer(path)
        metadata = parquet.ParquetFile(path).metadata
        assert n_rows == metadata.num_rows and len(groups) == metadata.num_row_groups
        for i, group in enumerate(groups):
            theirs = metadata.row_group(i)
            assert group.n_rows == theirs.num_rows and len(group.chunks) == theirs.num_columns
            for j, chunk in enumerate(group.chunks):
                column = theirs.column(j)
                starts = [column.data_page_offset, column.dictionary_page_offset]
                assert chunk.start == min(start for start in starts if start is not None)
                assert chunk.length == column.total_compressed_size
                assert chunk.name == column.path_in_schema


@pytest.mark.parametrize(
    "data", [b"", b"\x4c" * 100, b"\x1c" * 100, b"\xff" * 100, b"\x19\xff" * 50]
)
def test_a_footer_that_is_none(tmp_path, data):
    path = tmp_path / "bad.parquet"
    path.write_bytes(b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match=r"bad\.parquet: the Parquet file is cut off or damaged"):
        read_table(path)
