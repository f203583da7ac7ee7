"""One network trained on several ranks: the same bytes on 1, 2 and 4, and one error for all.

What the ranks run is in mpi_program.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastmlp import models

PROGRAM = Path(__file__).parents[1] / "support" / "mpi_program.py"
MPIEXEC = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(MPIEXEC) if MPIEXEC.exists() else shutil.which("mpiexec")
FASTMLP = [sys.executable, "-m", "fastmlp.cli"]
pytest.importorskip("mpi4py")
pytestmark = [
    pytest.mark.mpi,
    pytest.mark.reliability,
    pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec"),
    pytest.mark.timeout(600),
]

slow = pytest.mark.slow

# More ranks than processors, and root, are nothing that Open MPI allows by itself.
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "100",
}


def start(n_ranks, command, **options):
    launcher = [MPIEXEC, "-n", str(n_ranks)] if n_ranks else []
    return subprocess.Popen(
        [*launcher, *map(str, command)],
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        **options,
    )


def run(n_ranks, command, code=0, **options):
    """Run on so many ranks, 0 without mpiexec; return what was printed."""
    process = start(n_ranks, command, **options)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
    return out, err


def run_tasks(n_ranks, directory, *tasks, **options):
    directory.mkdir(exist_ok=True)
    return run(n_ranks, [sys.executable, PROGRAM, directory, *tasks], **options)


def error_of(err):
    """Return the one error line; what the launcher says beside it is the launcher's."""
    lines = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A Parquet file of a dozen row groups, and the same as CSV, beside nothing else."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    csv = pytest.importorskip("pyarrow.csv")
    directory = tmp_path_factory.mktemp("mpi")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((203, 5))
    columns = {f"x{k}": x[:, k] for k in range(5)} | {"y": x[:, 0] * 2 - x[:, 1] ** 2}
    data = pa.table(columns)
    pq.write_table(data, directory / "t.parquet", row_group_size=17)
    csv.write_csv(data, directory / "t.csv")
    columns["x3"] = [None if i == 190 else value for i, value in enumerate(x[:, 3])]
    pq.write_table(pa.table(columns), directory / "bad.parquet", row_group_size=17)
    return directory


@pytest.fixture(scope="module")
def alone(table):
    """What one process without MPI makes of everything."""
    run_tasks(0, table / "0", "arrays", "streams", "fast")
    return table / "0"


@pytest.fixture(scope="module")
def two(table):
    """What two ranks make of everything; one start, since each takes seconds."""
    run_tasks(2, table / "2", "arrays", "streams", "fast", "mismatches")
    return table / "2"


@pytest.mark.parametrize(
    "n_ranks", [pytest.param(1, marks=slow), 2, *(pytest.param(n, marks=slow) for n in (3, 4))]
)
def test_any_number_of_ranks_gives_the_same_bytes(table, alone, n_ranks, request):
    directory = table / str(n_ranks)
    if n_ranks == 2:
        request.getfixturevalue("two")
    else:  # the streams have 4 shards
        run_tasks(n_ranks, directory, *(["arrays"] if n_ranks == 3 else ["arrays", "streams"]))
    found = sorted({path.name for path in directory.glob("*.fmlp")} - {"fast.fmlp"})
    assert len(found) == {1: 11, 2: 10, 3: 1, 4: 10}[n_ranks]
    for name in found:
        assert (directory / name).read_bytes() == (alone / name).read_bytes(), name
        first = dict(np.load(directory / name.replace(".fmlp", ".0.npz")))
        assert len(first) > 9
        for rank in range(1, n_ranks):
            other = dict(np.load(directory / name.replace(".fmlp", f".{rank}.npz")))
            assert first.keys() == other.keys()
            assert all(first[key].tobytes() == other[key].tobytes() for key in first), name


@pytest.mark.parametrize("n_ranks", [3, *(pytest.param(n, marks=slow) for n in (2, 4))])
def test_exchanges_add(tmp_path, n_ranks):
    run_tasks(n_ranks, tmp_path, "exchanges")
    assert len(list(tmp_path.glob("exchanged.*"))) == n_ranks


def test_early_stopping_stopped_somewhere(alone):
    history = models.load_model(alone / "clipped.fmlp").history.history
    assert 1 < len(history["loss"]) < 12
    assert len(history["val_r2"]) == len(history["loss"])


def test_the_fast_way_differs_by_rounding_alone(alone, two):
    expected, found = (dict(np.load(d / "fast.0.npz")) for d in (alone, two))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-9)
    other = dict(np.load(two / "fast.1.npz"))
    assert all(found[key].tobytes() == other[key].tobytes() for key in found)


def test_what_differs_between_ranks_is_an_error_on_all(two):
    said = [(two / f"said.{rank}").read_text().splitlines() for rank in range(2)]
    for first, second in zip(*said, strict=True):
        # A rank's own error names no rank.
        assert first.split(" (rank")[0] == second.split(" (rank")[0]
    patterns = [
        "DataError: x must be the same on all ranks. Received: another on rank 1",
        "rank 1 of 2 than on rank 0: shape (202, 5) instead of shape (203, 5)",
        "DataError: The arguments of fit must be the same on all ranks",
        "DataError: The model must be the same on all ranks",
        "DataError: y must have as many rows as its x",
        "ValueError: shards must fit the number of ranks, 2",
        "DataError: x must be finite",
        "ValueError: monitor must be one of",
        "DataError: this row is bad",
        "DivergedError: ",
    ]
    assert len(said[0]) == len(patterns)
    for line, pattern in zip(said[0], patterns, strict=True):
        assert pattern in line


@slow
def test_rank_0_writes_speaks_and_decides(tmp_path):
    out, _ = run_tasks(2, tmp_path, "writers")
    assert "printed by rank 0" in out
    assert "printed by rank 1" not in out
    assert out.count("Epoch 2/9") == 1
    written = sorted(path.name for path in tmp_path.glob("epoch-*"))
    assert written == [f"epoch-{epoch}-0.fmlp" for epoch in (1, 2, 3)]
    assert (tmp_path / "log-0.csv").exists()
    assert not (tmp_path / "log-1.csv").exists()
    first, second = (dict(np.load(tmp_path / f"writers.{rank}.npz")) for rank in range(2))
    assert len(first["loss"]) == 3
    assert all(first[key].tobytes() == second[key].tobytes() for key in first)
    alone = tmp_path / "alone"
    alone.mkdir()
    run_tasks(1, alone, "writers")  # penalties and dropout rates are rank 0's, too
    expected = dict(np.load(alone / "writers.0.npz"))
    assert all(first[key].tobytes() == expected[key].tobytes() for key in expected)


@slow
def test_divergence_leaves_all_with_one_snapshot(tmp_path):
    run_tasks(2, tmp_path, "diverging")
    assert "diverged in epoch 1" in (tmp_path / "diverged").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    run_tasks(0, directory, "whole", "resumed")
    return (directory / "resumed.fmlp").read_bytes()


@slow
@pytest.mark.parametrize("how", ["kill", "raise"])
def test_a_rank_that_fails_ends_all_and_the_run_goes_on(tmp_path, whole, how):
    began = time.monotonic()
    process = start(2, [sys.executable, PROGRAM, tmp_path, how])
    _, err = process.communicate(timeout=120)
    assert process.returncode not in (0, None)
    if how == "raise":
        assert err.count("Error: RuntimeError: nobody expects this (rank 1 of 2)") == 1
    assert time.monotonic() - began < 60
    wait_for_end(tmp_path)
    assert models.load_model(tmp_path / "run.fmlp").predict(np.zeros((3, 5)), verbose=0).shape
    run_tasks(4 if how == "kill" else 0, tmp_path, "resumed")
    assert (tmp_path / "resumed.fmlp").read_bytes() == whole


def wait_for_end(directory, seconds=10):
    """Require that no process that was started on a directory runs on."""
    deadline = time.monotonic() + seconds
    while processes_on(directory):
        assert time.monotonic() < deadline, processes_on(directory)
        time.sleep(0.05)


def processes_on(directory):
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(directory).encode() in words and int(entry.parent.name) != os.getpid():
            found.append(int(entry.parent.name))
    return found


# ---- the command line --------------------------------------------------------------------------

TRAIN = ["--units", "40,20", "--standardize", "--epochs", "3", "--batch-size", "32", "--seed", "1",
         "--dropout", "0.1"]  # fmt: skip


@slow
@pytest.mark.parametrize("data", [["t.parquet", "--stream", "--buffer-rows", "50"], ["t.csv"]])
def test_the_command_gives_the_same_bytes(table, data):
    found, printed = [], []
    for n_ranks, extra in ((0, ["--shards", "4"]), (1, ["--shards", "4"]), (2, []), (4, [])):
        command = [*FASTMLP, "train", *data, *TRAIN, *extra, "--validation-split", "0.2", "-o",
                   "out.fmlp", "--force", "--json"]  # fmt: skip
        out, err = run(n_ranks, command, cwd=table)
        assert err.count("Wrote out.fmlp") == 1
        document = json.loads(out)
        assert document["ranks"] == max(n_ranks, 1)
        printed.append((document["train"], document["val"]))
        found.append((table / "out.fmlp").read_bytes())
    assert len(set(found)) == 1
    assert printed[2] == printed[3]
    assert printed[0][0]["loss"] == pytest.approx(printed[2][0]["loss"], rel=1e-6)


@slow
def test_a_file_that_one_rank_lacks(table, tmp_path):
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    shutil.copy(table / "t.parquet", tmp_path / "0")
    shutil.copy(table / "t.csv", tmp_path / "0")
    for data in ("t.parquet --stream", "t.csv"):
        command = f"cd $OMPI_COMM_WORLD_RANK && exec {' '.join(FASTMLP)} train {data} --units 8"
        _, err = run(2, ["sh", "-c", command], code=4, cwd=tmp_path)
        name = data.split()[0]
        assert error_of(err).startswith(f"Error: {name}: no such file or directory (rank 1 of 2")


def test_a_bad_row_that_one_rank_reads(table, tmp_path):
    """It is in the last shard; the first rank would not see it."""
    model = tmp_path / "good.fmlp"
    run(0, [*FASTMLP, "train", "t.parquet", *TRAIN, "-o", model], cwd=table)
    command = [*FASTMLP, "train", "bad.parquet", "--stream", "--impute", "none", *TRAIN]
    _, err = run(2, command, code=4, cwd=table)
    assert "x3" in error_of(err)
    assert "missing" in error_of(err)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "t.csv", *TRAIN, "--shards", "3"], 2, "shards must fit the number of ranks, 2"),
        (["ensemble", "t.csv", "--units", "3"], 2, "'ensemble' works in one process"),
        (["train", "t.csv", *TRAIN, "--optimizer", "sgd", "--learning-rate", "1e9"], 3, "diverged"),
        *(
            pytest.param(*case, marks=slow)
            for case in (
                (["train", "t.csv", *TRAIN, "--polish"], 2, "--polish works in one process"),
                (["train", "-", *TRAIN], 2, "several processes cannot share standard input"),
                (["train", "t.csv", "--unit", "3"], 2, "No such option '--unit'"),
                (["path", "t.csv", "--units", "3", "-o", "p"], 2, "'path' works in one process"),
                (["train", "t.csv", *TRAIN, "-o", "t.parquet"], 1, "the file exists"),
                (["train", "none.csv", *TRAIN], 4, "none.csv: no such file or directory"),
                (["train", "--resume", "none.fmlp"], 4, "none.fmlp"),
            )
        ),
    ],
)
def test_errors_are_one_message_and_a_code(table, arguments, code, message):
    _, err = run(2, [*FASTMLP, *arguments], code=code, cwd=table)
    assert message in error_of(err)


@slow
def test_a_killed_command_is_resumed_on_other_ranks(table, tmp_path):
    options = ["--units", "64x3", "--epochs", "400", "--seed", "1", "--dropout", "0.1"]
    run(2, [*FASTMLP, "train", "t.csv", *options, "-o", tmp_path / "whole.fmlp"], cwd=table)
    kept = tmp_path / "run.fmlp"
    often = ["--checkpoint", kept, "--checkpoint-every", "0.1"]
    process = start(2, [*FASTMLP, "train", "t.csv", *options, *often], cwd=table)
    while not kept.exists():
        time.sleep(0.01)
    time.sleep(0.3)
    ranks = [pid for pid in processes_on(kept) if Path(f"/proc/{pid}").exists()
             and b"fastmlp.cli" in Path(f"/proc/{pid}/cmdline").read_bytes()
             and pid != process.pid]  # fmt: skip
    assert len(ranks) == 2
    os.kill(max(ranks), signal.SIGKILL)
    process.communicate(timeout=10)
    assert process.returncode != 0
    wait_for_end(kept)
    assert models.load_model(kept).history.epoch
    run(1, [*FASTMLP, "train", "--resume", kept, "-o", tmp_path / "resumed.fmlp"], cwd=table)
    found, expected = (
        models.load_model(tmp_path / f"{name}.fmlp") for name in ("resumed", "whole")
    )
    assert found.history.history == expected.history.history
    for a, b in zip(found.get_weights(), expected.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


@slow
def test_ctrl_c_at_the_launcher_leaves_a_run_to_go_on_with(table, tmp_path):
    kept = tmp_path / "run.fmlp"
    options = ["--units", "64x3", "--epochs", "100000", "--seed", "1", "--checkpoint", kept]
    process = start(2, [*FASTMLP, "train", "t.csv", *options], cwd=table)
    while not kept.exists():
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    wait_for_end(kept)
    assert models.resume(kept).resumed is not None


@slow
def test_mpi4py_of_another_mpi_is_noticed(table):
    """What happens where mpiexec and mpi4py do not belong together: each process is alone."""
    environment = "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=4"
    command = f"{environment} exec {' '.join(FASTMLP)} train t.csv --units 8"
    _, err = run(0, ["sh", "-c", command], code=1, cwd=table)
    assert "the launcher started 4 processes, mpi4py sees 1" in error_of(err)
