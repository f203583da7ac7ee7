"""`fastmlp bench`: what it prints and writes, and how it ends."""

from __future__ import annotations

import json

import pytest

import fastmlp.cli.bench as cli_bench
from fastmlp import bench
from fastmlp.bench import cases as bench_cases

CASES = "tiny2,units-16x4"


@pytest.fixture
def quick(monkeypatch):
    """Windows too short for good figures, and enough for a test."""
    monkeypatch.setattr(cli_bench, "WINDOWS", 2)
    monkeypatch.setattr(cli_bench, "SECONDS", 0.001)


def timing(case, peer, microseconds=None, error=None):
    windows = [] if microseconds is None else [microseconds]
    ratio = None if error else 1.0
    return bench.Timing(case, peer, error=error, windows=windows, ratio=ratio, version="1")


@pytest.fixture
def measured(monkeypatch):
    """Replace the measurement by what a test gives; keep what it was asked for."""
    asked = {}

    def replace(*results):
        def compare(cases, peers, **options):
            asked.update(options, cases=cases, peers=peers)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
                yield result

        monkeypatch.setattr(bench, "compare", compare)
        return asked

    return replace


def test_measures_and_prints_a_table(run, quick):
    outcome = run("bench", "--cases", CASES)
    assert outcome.code == 0, outcome.err
    rows = [line.split() for line in outcome.out.splitlines()]
    figures = {}
    for row in rows:
        if row and row[0] in CASES.split(","):
            case = row.pop(0)
        if row and row[0] in ("fastmlp", "numpy"):
            figures[case, row[0]] = row[1:]
    assert len(figures) == 4
    for (_, peer), (time, unit, ratio, gflops) in figures.items():
        assert float(time) > 0
        assert unit in ("us", "ms")
        assert float(gflops) > 0
        assert ratio == "1.00" if peer == "fastmlp" else float(ratio) > 0


def test_json_is_one_document_and_so_is_the_file(run, quick, tmp_path):
    outcome = run("bench", "--cases", "tiny2", "--json", "-o", "b.json", "--threads", "1")
    assert outcome.code == 0, outcome.err
    assert outcome.err.endswith("Wrote b.json.\n")  # after a line of progress if slow
    document = json.loads(outcome.out)
    assert document == json.loads((tmp_path / "b.json").read_text())
    assert document["settings"] == {"threads": 1, "rounds": 1, "windows": 2, "seconds": 0.001}
    assert [row["peer"] for row in document["results"]] == ["fastmlp", "numpy"]
    assert all(len(row["windows"]) == 2 for row in document["results"])
    assert document["machine"]["instruction_set"]


def test_a_file_called_minus_is_standard_output(run, measured):
    measured([timing("tiny2", "fastmlp", 2.0), timing("tiny2", "numpy", 4.0)])
    outcome = run("bench", "--cases", "tiny2", "-o", "-")
    assert [row["microseconds"] for row in json.loads(outcome.out)["results"]] == [2.0, 4.0]


def test_defaults_are_all_cases_and_numpy(run, measured):
    asked = measured()
    assert run("bench", "--json").code == 0
    assert asked["cases"] == list(bench.CASES)
    assert asked["peers"] == ["fastmlp", "numpy"]
    assert asked["threads"] is None
    run("bench", "--json", "--cases", CASES, "--peers", "all", "--threads", "3")
    assert (asked["cases"], asked["peers"]) == (CASES.split(","), bench.installed())
    assert asked["threads"] == 3


def test_list_names_cases_and_libraries(run):
    outcome = run("bench", "--list")
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines[: len(bench.CASES)]] == list(bench.CASES)
    assert "1-1024x5-1, 50 rows, all a batch, l1 0.001" in outcome.out
    assert lines[-1] == f"installed: {', '.join(bench.installed())}"
    document = json.loads(run("bench", "--list", "--json").out)
    assert document["cases"]["tiny2"]["network"] == "1-2-1"
    assert document["peers"]["numpy"] is True


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--cases", "tiny3"), "Unknown case: 'tiny3'. Did you mean 'tiny2'?"),
        (("--peers", "numpi"), "Unknown peer: 'numpi'. Did you mean 'numpy'?"),
        (("--threads", "0"), "'--threads'"),
        (("-q", "-v"), "exclude each other"),
    ],
)
def test_wrong_options_are_wrong_usage(run, options, text):
    outcome = run("bench", *options)
    assert outcome.code == 2
    assert text in outcome.error
    assert outcome.out == ""


def test_a_library_that_is_not_installed_is_wrong_usage(run, monkeypatch):
    find_spec = bench_cases.importlib.util.find_spec
    monkeypatch.setattr(
        bench_cases.importlib.util,
        "find_spec",
        lambda name: None if name == "torch" else find_spec(name),
    )
    outcome = run("bench", "--peers", "numpy,torch")
    assert outcome.code == 2
    assert "torch is not installed: pip install torch" in outcome.error


def test_an_existing_file_is_found_before_the_work(run, write, measured):
    asked = measured()
    write("b.json", "precious")
    outcome = run("bench", "-o", "b.json")
    assert outcome.code == 1
    assert outcome.error == "Error: b.json: the file exists; --force replaces it"
    assert not asked
    assert run("bench", "-o", "b.json", "--force").code == 0


def test_interruption_prints_what_is_done(run, measured, tmp_path):
    first = [timing("tiny2", "fastmlp", 2.0), timing("tiny2", "numpy", 123456.0)]
    measured(first, KeyboardInterrupt())
    outcome = run("bench", "--cases", CASES, "-o", "b.json")
    assert outcome.code == 130
    assert outcome.err.endswith("Interrupted after 1 of 2 cases.\n")
    assert "123 ms" in outcome.out
    assert not (tmp_path / "b.json").exists()
    measured(KeyboardInterrupt())
    outcome = run("bench", "--cases", CASES)
    assert (outcome.code, outcome.out) == (130, "")


def test_a_peer_that_fails_is_said_and_no_failure(run, measured):
    rows = [timing("lecture-l1", "fastmlp", 2.0), timing("lecture-l1", "sklearn", error="no [L1]")]
    measured(rows)
    outcome = run("bench", "--cases", "lecture-l1")
    assert outcome.code == 0
    assert "lecture-l1, sklearn: no [L1]" in outcome.out


def test_a_failure_of_fastmlp_is_one(run, measured):
    rows = [timing("tiny2", "fastmlp", error="no memory"), timing("tiny2", "numpy", 2.0)]
    measured(rows)
    outcome = run("bench", "--cases", "tiny2")
    assert outcome.code == 1
    assert outcome.error == "Error: fastmlp has no figure for tiny2: no memory"


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0.61234, "0.612 us"), (99.96, "100 us"), (999.7, "1000 us"), (1500, "1.5 ms"), (2e6, "2 s")],
)
def test_times_have_three_digits_and_a_unit(microseconds, text):
    assert cli_bench._time(microseconds) == text


def test_details_and_progress_are_as_many_as_asked_for(run, measured):
    measured([timing("tiny2", "fastmlp", 2.0), timing("tiny2", "numpy", 4.0)])
    assert run("bench", "--cases", "tiny2", "-q").err == ""
    assert "instruction_set" in run("bench", "--cases", "tiny2", "-v").err
