"""Run processes that measure one library each, in turns."""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cases import CASES

# Environment variables for the number of threads, read when libraries start.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "PJRT_NPROC",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
_LEAST_WINDOWS = 3


@dataclass
class Timing:
    """The time of one library on one case.

    Parameters
    ----------
    case, peer : str
    error : str or None
        Reason for a missing measurement.
    version, backend : str or None
    windows : list of float
        Microseconds of a step or prediction in each window.
    repetitions : int
        Steps or predictions of a window.
    peak_rss_mb : int or None
        Peak memory of the process.
    sample : list of float
        Outputs for the first rows, after a few steps.
    ratio : float or None
        Median divided by fastmlp's. Above 1 is slower than fastmlp.
    difference : float or None
        Largest difference of the outputs from fastmlp's, relative to their spread. None if an
        output is not finite.
    """

    case: str
    peer: str
    error: str | None = None
    version: str | None = None
    backend: str | None = None
    windows: list[float] = field(default_factory=list)
    repetitions: int = 0
    peak_rss_mb: int | None = None
    sample: list[float] = field(default_factory=list)
    ratio: float | None = None
    difference: float | None = None

    @property
    def microseconds(self) -> float:
        """Median of the windows."""
        return statistics.median(self.windows)

    @property
    def gflops(self) -> float:
        """Billions of operations per second, including operations that fastmlp skips."""
        return CASES[self.case].flops / self.microseconds / 1e3

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        if self.error is not None:
            return {"case": self.case, "peer": self.peer, "error": self.error}
        return {
            "case": self.case,
            "peer": self.peer,
            "version": self.version,
            "backend": self.backend,
            "microseconds": round(self.microseconds, 3),
            "lowest": round(min(self.windows), 3),
            "highest": round(max(self.windows), 3),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "gflops": round(self.gflops, 2),
            "difference": self.difference,
            "peak_rss_mb": self.peak_rss_mb,
            "repetitions": self.repetitions,
            "windows": [round(value, 3) for value in self.windows],
        }


class _MeasurementError(Exception):
    """A process has no measurement."""


class _Process:
    """A process that measures a library on a case; a context manager."""

    def __init__(
        self, peer: str, case: str, seconds: float, threads: int | None, timeout: float
    ) -> None:
        self.peer, self._timeout = peer, timeout
        environment = os.environ.copy()
        if threads is not None:
            environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
        # A file, because nothing reads a pipe while the process runs.
        with contextlib.ExitStack() as opened:
            self._errors = opened.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(
                # -P: do not import from the working directory.
                [sys.executable, "-P", "-m", __package__, peer, case, str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                text=True,
            )
            opened.pop_all()

    def ask(self) -> dict[str, Any]:
        """Return the process's next answer, or raise `_MeasurementError`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._timeout, give_up)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write("\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if late.is_set():
            raise _MeasurementError(f"no result within {self._timeout:g} s")
        if not line:
            raise _MeasurementError(self._last_error())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _MeasurementError(answer["error"])
        return answer

    def _last_error(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"the process ended with code {code}"

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *trouble: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def compare(
    cases: Sequence[str],
    peers: Sequence[str],
    *,
    rounds: int = 1,
    windows: int = 5,
    seconds: float = 0.1,
    threads: int | None = None,
    timeout: float = 600.0,
    patience: float = math.inf,
    progress: Callable[[float], object] | None = None,
) -> Iterator[list[Timing]]:
    """Measure libraries on cases; yield the timings of each case.

    Each library runs in its own process. The processes of a case take turns of one window,
    starting with another library in each turn, so that noise affects all libraries equally.
    Waiting processes are idle.

    Parameters
    ----------
    cases, peers : sequence of str
        See `parse_cases` and `parse_peers`. Ratios are relative to the first peer.
    rounds : int
        Number of times that each case is measured in new processes.
    windows : int
        Number of turns in a round.
    seconds : float
        Length of a window.
    threads : int, optional
        Threads of every library. Default: each library's own choice.
    timeout : float
        Largest number of seconds for the preparation of a library, and for a window.
    patience : float
        Seconds after which a round ends, if every library has had three windows.
    progress : callable, optional
        Called with the number of cases done, including the finished fraction of the present one.

    Yields
    ------
    list of Timing
        One for each peer, in the order of `peers`.
    """
    report = progress or (lambda done: None)
    for index, case in enumerate(cases):
        timings = {peer: Timing(case, peer) for peer in peers}
        for k in range(rounds):
            with contextlib.ExitStack() as stack:
                processes = [
                    stack.enter_context(_Process(peer, case, seconds, threads, timeout))
                    for peer in peers
                ]
                for step in _round(processes, timings, windows, patience, first=k):
                    report(index + (k + step) / rounds)
        _finish(list(timings.values()))
        report(index + 1)
        yield list(timings.values())


def _round(
    processes: list[_Process],
    timings: dict[str, Timing],
    windows: int,
    patience: float,
    first: int,
) -> Iterator[float]:
    """Prepare processes and run them in turns; yield the finished share of the round."""
    active, begin = list(processes), time.monotonic()
    for turn in range(windows + 1):
        if turn > _LEAST_WINDOWS and time.monotonic() - begin > patience:
            break
        start = (first + turn) % len(processes)
        order = processes[start:] + processes[:start]
        for place, process in enumerate(order):
            if process in active:
                timing = timings[process.peer]
                try:
                    _record(process.ask(), timing, ready=turn == 0)
                except _MeasurementError as reason:
                    timing.error = timing.error or str(reason)
                    active.remove(process)
            yield (turn + (place + 1) / len(order)) / (windows + 1)


def _record(answer: dict[str, Any], timing: Timing, ready: bool) -> None:
    if ready:
        for name in ("version", "backend", "repetitions", "sample"):
            setattr(timing, name, answer[name])
    else:
        timing.windows.append(answer["microseconds"])
        peaks = [p for p in (timing.peak_rss_mb, answer["peak_rss_mb"]) if p is not None]
        timing.peak_rss_mb = max(peaks, default=None)


def _finish(timings: list[Timing]) -> None:
    """Set ratios and differences relative to the first timing."""
    base = timings[0]
    if base.error is not None:
        return
    # A constant output has no spread to compare with.
    spread = max(max(base.sample) - min(base.sample), 0.1)
    for timing in timings:
        if timing.error is None:
            timing.ratio = timing.microseconds / base.microseconds
            pairs = zip(timing.sample, base.sample, strict=True)
            difference = max(abs(a - b) for a, b in pairs) / spread
            timing.difference = difference if math.isfinite(difference) else None
