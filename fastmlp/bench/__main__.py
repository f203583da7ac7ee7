"""Measure one library on one case in this process: ``python -m fastmlp.bench PEER CASE SECONDS``.

Each input line is answered with one line of JSON. The first answer comes when the library is warm
and the amount of work for SECONDS is known. Each further answer is a measurement. The process ends
at the end of its input.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from . import clock
from .cases import CASES, LIBRARIES, Case
from .peers import PEERS, Peer, PeerWorkload

CHECKED_STEPS = 5
CHECKED_ROWS = 20
LONG = 0.2  # seconds; cold caches do not matter for longer work
IDLE = 0.1  # share of a processor that idle threads use at most


class Measurement:
    """A library after warming up, with the number of repetitions that fill a window.

    Parameters
    ----------
    name : str
        One of `LIBRARIES`.
    case : Case
    seconds : float
        Length of a window.
    """

    def __init__(self, name: str, case: Case, seconds: float) -> None:
        self.name = name
        peer = PEERS[name](PeerWorkload(case))
        self.sample = _sample(peer, case)
        self._run = peer.train if case.what == "train" else _repeated(peer.predict)
        self.repetitions, each = clock.repetitions(self._run, seconds)
        # Untimed work before each window, because other processes have used the caches.
        self._untimed = max(1, self.repetitions // 10) if each < LONG else 0
        for amount in (self._untimed, self.repetitions):
            if amount > 1:
                self._run(amount)  # JAX compiles for each amount

    def about(self) -> dict[str, Any]:
        """Return version, backend, repetitions and sample."""
        return {
            "version": importlib.metadata.version(LIBRARIES[self.name]),
            "backend": os.environ.get("KERAS_BACKEND") if self.name == "keras" else None,
            "repetitions": self.repetitions,
            "sample": self.sample,
        }

    def window(self) -> dict[str, Any]:
        """Measure one window."""
        if self._untimed:
            self._run(self._untimed)
        microseconds = 1e6 * clock.seconds_each(self._run, self.repetitions)
        return {"microseconds": microseconds, "peak_rss_mb": _peak_rss_mb()}


def _settle() -> None:
    """Wait until this process's idle threads stop spinning, before the next process runs."""
    for _ in range(100):
        wall, cpu = time.perf_counter(), time.process_time()
        time.sleep(0.01)
        if time.process_time() - cpu < IDLE * (time.perf_counter() - wall):
            return


def _sample(peer: Peer, case: Case) -> list[float]:
    """Return outputs that show whether libraries compute the same results."""
    if case.full_batch:  # with minibatches the order of rows differs
        peer.train(CHECKED_STEPS)
    outputs = peer.predict().ravel()[:CHECKED_ROWS]
    return [float(value) for value in outputs]


def _repeated(predict: Callable[[], Any]) -> clock.Run:
    def run(calls: int) -> int:
        for _ in range(calls):
            predict()
        return calls

    return run


def _peak_rss_mb() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def main(name: str, case_name: str, seconds: str) -> None:
    """Answer input lines until the input ends."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    measurement: Measurement | None = None
    for _ in sys.stdin:
        try:
            if measurement is None:
                measurement = Measurement(name, CASES[case_name], float(seconds))
                answer = measurement.about()
            else:
                answer = measurement.window()
        except Exception as error:
            answer = {"error": str(error) or type(error).__name__}
        _settle()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
