"""Workloads, peers that compute the same, processes that take turns."""

import dataclasses
import json
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastmlp import bench, datasets
from fastmlp.bench import cases, clock, turns
from fastmlp.bench.peers import PEERS, FastMLP, PeerWorkload

TINY = {"windows": 2, "seconds": 0.001}


def small(name):
    """Return a case with few rows and narrow layers."""
    case = bench.CASES[name]
    rows = case.rows if case.data != "drawn" else min(case.rows, 40)
    return dataclasses.replace(
        case,
        rows=rows,
        hidden=tuple(min(width, 11) for width in case.hidden),
        batch=min(case.batch, 16) if case.data == "drawn" else rows,
    )


# ---- cases and names ----


@pytest.mark.parametrize(
    ("name", "text", "flops"),
    [
        ("tiny2", "1-2-1, 50 rows, all a batch", 50 * (4 * 2 + 6 * 2)),
        (
            "lecture-l1",
            "1-1024x5-1, 50 rows, all a batch, l1 0.001",
            50 * (4 * 1024 + 6 * (4 * 1024**2 + 1024)),
        ),
        (
            "table-32",
            "64-256x3-1, 20,000 rows, 32 a batch, l2 0.0001",
            32 * (4 * 64 * 256 + 6 * (2 * 256**2 + 256)),
        ),
        ("predict-1", "64-256x3-1, 1 row, prediction", 2 * (64 * 256 + 2 * 256**2 + 256)),
    ],
)
def test_what_a_case_is(name, text, flops):
    assert str(bench.CASES[name]) == text
    assert bench.CASES[name].flops == flops


def test_widths_that_differ_are_all_named():
    assert bench.Case(1, 2, (8, 8, 4, 8), 1).network == "2-8x2-4-8-1"


@pytest.mark.parametrize("name", bench.CASES)
def test_data_have_the_rows_and_columns_of_the_case(name):
    case = small(name)
    work = PeerWorkload(case)
    n = case.rows
    if case.what == "train" and not case.full_batch:
        n -= case.rows % case.batch  # whole batches only
    assert work.x.shape == (n, case.inputs)
    assert work.y.shape == (n, 1)
    assert {a.dtype for a in (work.x, work.y, *work.weights, *work.biases)} == {np.dtype("f4")}
    assert [w.shape for w in work.weights] == list(
        zip(case.widths[:-1], case.widths[1:], strict=True)
    )


def test_lecture_cases_have_the_lecture_s_data_and_weights_that_were_trained():
    work = PeerWorkload(small("lecture"))
    np.testing.assert_array_equal(work.x, datasets.regression_train()[0])
    fresh = PeerWorkload(dataclasses.replace(work.case, data="drawn"))
    moved = [np.abs(a - b).max() for a, b in zip(work.weights, fresh.weights, strict=True)]
    assert min(moved) > 0.01  # a hundred steps of 0.001
    again = PeerWorkload(work.case)
    for a, b in zip(work.weights + work.biases, again.weights + again.biases, strict=True):
        np.testing.assert_array_equal(a, b)


def test_minibatches_are_each_row_once_an_epoch():
    work = PeerWorkload(small("table-32"))
    batches = work.batches()
    for _ in range(2):
        epoch = [next(batches) for _ in range(work.case.steps_per_epoch)]
        assert {len(rows) for rows in epoch} == {16}
        assert sorted(np.concatenate(epoch)) == list(range(32))


def test_names_are_read_and_the_nearest_is_named():
    assert bench.parse_cases("lecture, tiny2,lecture") == ["lecture", "tiny2"]
    assert bench.parse_cases("all") == list(bench.CASES)
    assert bench.parse_peers("numpy") == ["fastmlp", "numpy"]
    assert bench.parse_peers("numpy,fastmlp") == ["fastmlp", "numpy"]
    assert bench.parse_peers("all") == bench.installed()
    assert bench.installed()[:2] == ["fastmlp", "numpy"]
    with pytest.raises(ValueError, match=r"Unknown case: 'lectur'. Did you mean 'lecture'?"):
        bench.parse_cases("tiny2,lectur")
    with pytest.raises(ValueError, match=r"Unknown peer: 'pytorch'. Did you mean 'torch'?"):
        bench.parse_peers("pytorch")
    with pytest.raises(ValueError, match="Unknown case: ''"):
        bench.parse_cases("")


def test_what_is_missing_is_said(monkeypatch):
    here = {"keras", "numpy", "fastmlp"}
    util = SimpleNamespace(find_spec=lambda name: name if name in here else None)
    monkeypatch.setattr(cases.importlib, "util", util)
    with pytest.raises(ValueError, match="scikit-learn is not installed: pip install scikit-learn"):
        bench.parse_peers("numpy,sklearn")
    with pytest.raises(ValueError, match="keras needs one of tensorflow, jax, torch"):
        bench.parse_peers("keras")
    assert bench.installed() == ["fastmlp", "numpy"]
    here.add("jax")
    assert bench.installed() == ["fastmlp", "numpy", "jax", "keras"]


def test_importing_loads_no_numpy():
    code = "import fastmlp.bench, sys; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


# ---- peers ----


@pytest.mark.parametrize("name", bench.CASES)
@pytest.mark.parametrize(
    "peer", ["numpy", *(pytest.param(n, marks=pytest.mark.frameworks) for n in list(PEERS)[2:])]
)
@pytest.mark.filterwarnings("ignore")  # of the others
def test_peers_compute_the_same(peer, name):
    reason = cases.missing(peer)
    if reason:
        pytest.skip(reason)
    case = small(name)
    if case.what == "train":  # the orders of rows differ
        case = dataclasses.replace(case, batch=case.rows)
    work = PeerWorkload(case)
    ours = FastMLP(work)
    if peer == "sklearn" and case.l1:
        with pytest.raises(NotImplementedError, match="no L1 penalty"):
            PEERS[peer](work)
        return
    if peer in ("litert", "openvino") and case.what == "train":
        with pytest.raises(NotImplementedError, match="for prediction only"):
            PEERS[peer](work)
        return
    theirs = PEERS[peer](work)
    before = ours.predict().ravel()
    np.testing.assert_allclose(theirs.predict().ravel(), before, rtol=1e-5, atol=1e-6)
    if case.what == "train":
        assert ours.train(20) == theirs.train(20) == 20
        after = ours.predict().ravel()
        assert np.abs(after - before).max() > 5e-3
        np.testing.assert_allclose(theirs.predict().ravel(), after, atol=2e-4)


@pytest.mark.parametrize("peer", ["fastmlp", "numpy"])
def test_minibatch_training_counts_its_steps_and_learns(peer):
    work = PeerWorkload(small("table-32"))
    made = PEERS[peer](work)
    assert made.train(3) in (3, 4)  # whole epochs of two steps where there is a `fit`
    before = np.mean((made.predict() - work.y) ** 2)
    made.train(200)
    assert np.mean((made.predict() - work.y) ** 2) < before


# ---- timing ----


@pytest.mark.parametrize(("each", "expected"), [(1e-6, 100_000), (0.03, 3), (0.5, 1)])
def test_work_fills_a_window(monkeypatch, each, expected):
    now, amounts = [0.0], []

    def run(amount):
        amounts.append(amount)
        now[0] += 1e-4 + amount * each  # a call costs something too
        return amount

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    amount, found = clock.repetitions(run, 0.1)
    assert amount == pytest.approx(expected, rel=0.15)
    assert found == pytest.approx(each, rel=0.15)
    assert amounts[::2] == amounts[1::2]  # each once without the clock
    assert max(amounts) <= amount


def test_seconds_each_divides_by_what_was_done(monkeypatch):
    now = iter([1.0, 3.0])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(now))
    assert clock.seconds_each(lambda amount: 2 * amount, 5) == 0.2


# ---- turns ----


class Fake:
    """A library that answers, or fails in one turn."""

    def __init__(self, peer, log, microseconds=1.0, fails_in=None):
        self.peer, self.log = peer, log
        self.microseconds, self.fails_in, self.turn = microseconds, fails_in, -1

    def ask(self):
        self.turn += 1
        self.log.append(self.peer)
        if self.turn == self.fails_in:
            raise turns._MeasurementError("broke")
        if self.turn == 0:
            return {"version": "1", "backend": None, "repetitions": 7, "sample": [0.0, 2.0]}
        return {"microseconds": self.microseconds * self.turn, "peak_rss_mb": self.turn}


def take_turns(processes, windows, first=0, patience=math.inf):
    timings = {p.peer: bench.Timing("tiny2", p.peer) for p in processes}
    progress = list(turns._round(processes, timings, windows, patience, first))
    turns._finish(list(timings.values()))
    return timings, progress


def test_another_library_starts_each_turn():
    log = []
    processes = [Fake(name, log) for name in "abc"]
    _, progress = take_turns(processes, windows=2, first=1)
    assert "".join(log) == "bcacababc"
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_medians_and_ratios():
    timings, _ = take_turns([Fake("fastmlp", [], 2.0), Fake("numpy", [], 10.0)], windows=3)
    ours, theirs = timings.values()
    assert theirs.windows == [10.0, 20.0, 30.0]
    assert (ours.microseconds, theirs.microseconds) == (4.0, 20.0)
    assert (ours.ratio, theirs.ratio) == (1.0, 5.0)
    assert ours.gflops == bench.CASES["tiny2"].flops / 4.0 / 1e3
    row = theirs.to_dict()
    assert (row["lowest"], row["highest"], row["peak_rss_mb"]) == (10.0, 30.0, 3)
    assert row["difference"] == 0.0
    json.dumps(row, allow_nan=False)


def test_patience_leaves_three_windows():
    timings, _ = take_turns([Fake("fastmlp", []), Fake("numpy", [])], windows=9, patience=0.0)
    assert [len(timing.windows) for timing in timings.values()] == [3, 3]


@pytest.mark.parametrize("turn", [0, 2])
def test_a_library_that_fails_stops_no_other(turn):
    log = []
    processes = [Fake("fastmlp", log), Fake("numpy", log, fails_in=turn), Fake("jax", log)]
    timings, progress = take_turns(processes, windows=3)
    assert log.count("numpy") == turn + 1
    assert timings["numpy"].to_dict() == {"case": "tiny2", "peer": "numpy", "error": "broke"}
    assert len(timings["jax"].windows) == 3
    assert timings["jax"].ratio == 1.0
    assert progress[-1] == 1.0


def test_without_a_figure_of_fastmlp_there_are_no_ratios():
    timings, _ = take_turns([Fake("fastmlp", [], fails_in=1), Fake("numpy", [])], windows=2)
    assert timings["numpy"].ratio is None
    assert timings["numpy"].to_dict()["ratio"] is None


@pytest.mark.parametrize(
    ("sample", "difference"), [([0.0, 1.5], 0.25), ([float("nan"), 2.0], None)]
)
def test_differences_are_relative_to_the_spread(sample, difference):
    timings = [bench.Timing("tiny2", p, windows=[1.0]) for p in ("fastmlp", "numpy")]
    timings[0].sample, timings[1].sample = [0.0, 2.0], sample
    turns._finish(timings)
    assert timings[1].difference == difference


def test_real_processes():
    progress = []
    found = list(bench.compare(["tiny2"], ["fastmlp", "numpy"], progress=progress.append, **TINY))
    assert len(found) == 1
    for timing, peer in zip(found[0], ("fastmlp", "numpy"), strict=True):
        assert (timing.case, timing.peer, timing.error) == ("tiny2", peer, None)
        assert len(timing.windows) == 2
        assert min(timing.windows) > 0
        assert timing.version
        assert timing.repetitions >= 1
        assert timing.difference < 1e-4
        assert 5 < timing.peak_rss_mb < 5000
    assert progress == sorted(progress)
    assert progress[-1] == 1


def process(peer="numpy", case="tiny2", timeout=60.0, threads=None):
    return turns._Process(peer, case, 0.001, threads, timeout)


def test_no_answer_in_time_is_an_error():
    with (
        process(timeout=0.01) as waiting,
        pytest.raises(turns._MeasurementError, match=r"no result within 0\.01 s"),
    ):
        waiting.ask()


def test_a_process_that_dies_is_an_error():
    with process() as dying:
        dying._process.kill()
        with pytest.raises(turns._MeasurementError, match="the process ended with code -9"):
            dying.ask()


def test_an_error_in_the_process_is_one_line():
    with (
        process(case="lecture-l1", peer="nobody") as wrong,
        pytest.raises(turns._MeasurementError, match="nobody"),
    ):
        wrong.ask()


def test_interruption_leaves_no_process_behind(monkeypatch):
    started = []
    popen = subprocess.Popen

    def start(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    def interrupt(done):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        list(bench.compare(["tiny2"], ["fastmlp", "numpy"], progress=interrupt, **TINY))
    assert len(started) == 2
    assert all(p.poll() is not None for p in started)


def run_peer(body, requests=2):
    """Run the measuring side with a peer of our own; return its answers."""
    code = f"""
import os
from fastmlp.bench import __main__ as side
class Peer:
    def __init__(self, work): self.work = work
    def train(self, steps):
        {body}
        return steps
    def predict(self): return self.work.y
side.PEERS["numpy"] = Peer
side.main("numpy", "tiny2", "1e-4")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n" * requests, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_a_library_prints_is_no_answer():
    ready, window = run_peer("print('noise', flush=True); os.write(1, b'more')")
    assert ready["repetitions"] >= 1
    assert window["microseconds"] > 0


def test_every_request_has_an_answer_even_an_error():
    assert run_peer("raise MemoryError") == [{"error": "MemoryError"}] * 2


def test_threads_are_set_for_every_library(monkeypatch):
    seen = {}

    def start(*args, env, **options):
        seen.update(env)
        raise InterruptedError

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(InterruptedError):
        process(threads=5)
    assert {seen[name] for name in turns.THREAD_VARIABLES} == {"5"}


def test_the_machine_is_described():
    about = bench.machine()
    json.dumps(about, allow_nan=False)
    assert about["processors_usable"] >= 1
    assert about["processor"]
    assert about["compiler"].startswith(("GCC", "clang"))
