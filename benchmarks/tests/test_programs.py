"""The benchmark programs run, write their file and draw it. The machine's peak is a fixture."""

import importlib
import json
import os
import sys
from pathlib import Path

import pytest

from fastmlp import _kernels, bench, threads

BENCHMARKS = Path(__file__).parents[1]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Run a program by its name, in a directory of its own."""
    monkeypatch.syspath_prepend(BENCHMARKS / "programs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(name, *arguments):
        module = importlib.import_module(name)
        monkeypatch.setattr("sys.argv", [name, *arguments])
        module.main()
        return module

    return run


@pytest.fixture
def peak(monkeypatch):
    """A machine of 100 GFLOP/s a thread."""
    asked = []

    def peak_flops(n_threads, seconds):
        asked.append(n_threads)
        return 1e11 * n_threads

    kernels = sys.modules[_kernels.network_class("float32").__module__]
    monkeypatch.setattr(kernels, "peak_flops", peak_flops)
    return asked


GRID = ("--units", "2,64", "--batches", "1,8", "--layers", "1,2", "--seconds", "0.001")


def test_roofline(program, peak, capsys, tmp_path):
    module = program("roofline", *GRID, "--threads", "2", "-o", "r.json", "--chart", "r.png")
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["peak_gflops"] == {"1": 100.0, "2": 200.0}
    assert document["threads"] == 2
    assert set(peak) == {1, 2}
    rows = document["results"]
    assert len(rows) == 2 * 2 * 2 * 2
    for row in rows:
        flops = module.Point(row["units"], row["batch"], row["layers"], 1).case.flops
        assert row["gflops"] == pytest.approx(flops / row["microseconds"] / 1e3, rel=0.01, abs=1e-4)
        assert row["microseconds"] > 0.05  # nothing is done in less
    assert (tmp_path / "r.png").read_bytes().startswith(PNG)
    printed = capsys.readouterr().out
    assert "peak GFLOP/s: 100 with 1 thread, 200 with 2 threads" in printed
    assert printed.count("dense") == 4
    program("roofline", "--from", "r.json", "--chart", "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "r.png").read_bytes()
    assert capsys.readouterr().out == printed


def test_roofline_takes_the_higher_peak_and_warns_of_a_busy_machine(
    program, peak, capsys, tmp_path, monkeypatch
):
    module = program("roofline", *GRID)
    assert capsys.readouterr().err == ""
    tries = iter([0.1, 0.2])
    monkeypatch.setattr(module, "measured_peak", lambda n_threads: next(tries))
    program("roofline", *GRID, "-o", "r.json")
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["peak_gflops"] == {"1": 0.2}
    assert "without leaving work out are above the peak of 0" in capsys.readouterr().err


def test_roofline_leaves_out_what_is_too_large_or_too_slow(program, peak):
    module = program("roofline", *GRID)
    point = module.Point(units=8192, batch=32, layers=16, inputs=1)
    assert point.weights == 2 * 8192 + 15 * 8192**2
    assert "GiB" in point.reason_to_leave_out(peak=1e11, limit=1e9, memory=2**30)
    assert " s" in point.reason_to_leave_out(peak=1e11, limit=1.0, memory=2**60)
    assert point.reason_to_leave_out(peak=1e11, limit=1e9, memory=2**60) is None


def test_roofline_counts_as_the_cases_do(program, peak):
    module = program("roofline", *GRID)
    for name in ("units-1024", "lecture"):
        case = bench.CASES[name]
        point = module.Point(case.hidden[0], case.batch, len(case.hidden), case.inputs)
        assert point.case.flops == case.flops


def test_compare_peers(program, capsys, tmp_path):
    options = ["--cases", "tiny2,units-16x4", "--peers", "numpy", "--rounds", "1"]
    options += ["--windows", "2", "--seconds", "0.001", "-o", "c.json", "--chart", "c.png"]
    program("compare_peers", *options)
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["settings"] == {"threads": None, "rounds": 1, "windows": 2, "seconds": 0.001}
    assert set(document["machine"]["flags"].split()) > {"-O3", "-ffp-contract=off"}
    assert all(flag.startswith("-") for flag in document["machine"]["flags"].split())
    named = [(row["case"], row["peer"]) for row in document["results"]]
    assert named == [(c, p) for c in ("tiny2", "units-16x4") for p in ("fastmlp", "numpy")]
    assert all(len(row["windows"]) == 2 for row in document["results"])
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)
    printed = capsys.readouterr().out
    program("compare_peers", "--from", "c.json", "--chart", "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    assert capsys.readouterr().out == printed


def test_compare_peers_draws_a_library_that_failed(program, tmp_path):
    module = program("compare_peers", "--list")
    good = {"case": "tiny2", "peer": "fastmlp", "microseconds": 1.0, "ratio": 1.0}
    failed = {"case": "tiny2", "peer": "numpy", "error": "no memory"}
    machine = {"processor": "P", "processors_usable": 1, "fastmlp": "1", "instruction_set": "i",
               "date": "2020-01-01"}  # fmt: skip
    document = {"machine": machine, "settings": {"threads": 1}, "results": [good, failed]}
    texts = [text.get_text() for text in module.chart(document).axes[0].texts]
    assert texts == ["1 µs", "NumPy: no memory"]


def test_compare_peers_names_what_it_does_not_know(program, capsys):
    for options in (["--cases", "tiny3"], ["--peers", "pytorch"]):
        with pytest.raises(SystemExit) as end:
            program("compare_peers", *options)
        assert end.value.code == 2
        assert "Did you mean" in capsys.readouterr().err


def test_many_networks(program, capsys, tmp_path, monkeypatch):
    module = importlib.import_module("many_networks")
    monkeypatch.setattr(module, "installed", lambda name: False)
    program("many_networks", "--members", "20", "--epochs", "5", "--turns", "2", "-o", "m.json")
    document = json.loads((tmp_path / "m.json").read_text())
    assert document["settings"]["members"] == 20
    assert "-O3" in document["machine"]["flags"]
    result = document["results"]["fastmlp"]
    assert len(result["seconds"]) == 2 and 0 < result["mean_loss"] < 1
    assert "20 networks of 1-16-1" in capsys.readouterr().out


def test_threads_are_a_limit(program, peak, tmp_path):
    program("roofline", *GRID, "--threads", "1", "-o", "r.json")
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert threads.resolve() == (1, True)
    assert json.loads((tmp_path / "r.json").read_text())["peak_gflops"] == {"1": 100.0}


def test_thread_choice(program, monkeypatch, capsys):
    module = importlib.import_module("thread_choice")
    monkeypatch.setattr(module, "UNITS", (2, 64))
    monkeypatch.setattr(module, "ROWS", (100,))
    monkeypatch.setattr(module, "TABLES", (("8", 2, 16),))
    options = ("--windows", "1", "--seconds", "0.001", "--long", "0.001")
    program("thread_choice", *options, "-o", "t.json")
    tables = json.loads(Path("t.json").read_text())["seconds of tables"]
    assert set(tables) == {"beside 0 busy", "beside 1 busy"}
    assert all(row[n] > 0 for found in tables.values() for row in found for n in ("one", "all"))
    rows = json.loads(Path("t.json").read_text())["microseconds an epoch"]
    assert [row["units"] for row in rows] == [2, 64]
    assert all(row["automatic"] > 0 and row["one"] > 0 for row in rows)
    assert capsys.readouterr().out.count(" of one thread's time") == 3


def test_dying_units(program, capsys):
    program("dying_units", "--windows", "1", "-o", "d.json")
    rows = json.loads(Path("d.json").read_text())["microseconds an epoch"]
    assert [row["optimizer"] for row in rows] == ["sgd", "adam", "rmsprop"]
    assert all(row["first"] > 0 and row["last"] > 0 for row in rows)
    assert capsys.readouterr().out.count(" of the first's time") == 3


@pytest.mark.filterwarnings("ignore:Nothing could be removed")
def test_compare_penalties(program, capsys):
    program(
        "compare_penalties", "--units", "16x2", "--epochs", "30", "--rounds", "1", "-o", "p.json"
    )
    document = json.loads(Path("p.json").read_text())
    assert document["ways"]["subgradient"]["zeros"] == 0
    assert document["ways"]["proximal"]["loss"] < document["ways"]["subgradient"]["loss"]
    assert all(row["prune_difference"] < 1e-6 for row in document["ways"].values())
    capsys.readouterr()
    program("compare_penalties", "--from", "p.json")
    assert "proximal" in capsys.readouterr().out


def test_paths(program, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    import paths

    monkeypatch.setattr(paths, "UNITS", "4")
    monkeypatch.setattr(paths, "N_LAMBDAS", 3)
    program("paths", "--rounds", "1", "-o", "out/paths.json")
    document = json.loads(Path("out/paths.json").read_text())
    assert len(document["network_command_seconds"]) == 1
    assert len(document["lasso"]["seconds"]["scikit-learn"]) == 5
    capsys.readouterr()
    program("paths", "--from", "out/paths.json")
    assert "lasso, fastmlp / scikit-learn" in capsys.readouterr().out


def test_ranks(program, capsys, monkeypatch, tmp_path):
    pytest.importorskip("mpi4py")
    if not Path(sys.executable).with_name("mpiexec").exists():
        pytest.skip("there is no mpiexec beside Python")
    monkeypatch.setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
    program("ranks", "--only", "256x3", "--turns", "2", "-o", "r.json")
    entries = json.loads((tmp_path / "r.json").read_text())["steps"]
    assert [entry["how"] for entry in entries] == ["plain", "fast", "tree"] * 2
    assert len({entry["loss"] for entry in entries if entry["how"] == "tree"}) == 1
    assert "256x3" in capsys.readouterr().out


def test_scaling(program, capsys, tmp_path):
    results = BENCHMARKS / "results" / "ranks.json"
    module = program("scaling", str(results), "--chart", "s.png")
    assert (tmp_path / "s.png").read_bytes().startswith(PNG)
    assert "1024x5       fast" in capsys.readouterr().out
    found = module.check(json.loads(results.read_text()))
    assert len(found) == 10
    assert all(abs(predicted - seen) < 0.15 for _, _, predicted, seen in found)
    costs = module.costs_of(json.loads(results.read_text()), [1024] * 5)
    shares = [module.strong(costs, module.ETHERNET, n, 4096) for n in module.SIZES]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
