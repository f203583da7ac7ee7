"""An engine whose calls run in threads of this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from .. import pool
from .base import Engine, Workload
from .calls import heartbeat
from .progress import Progress


class Threads(Engine):
    """Threads of this process, one for each item in work."""

    name = "threads"
    here = True

    def __init__(self, n_threads: int) -> None:
        super().__init__(n_threads, 1)

    def _run(self, work: Workload) -> None:
        running: dict[int, Progress] = {}
        results: dict[int, Any] = {}

        def task(i: int) -> Callable[[], None]:
            def run() -> None:
                progress = running[i] = Progress()
                # An item alone runs in the calling thread, so another one shows its progress.
                lone = work.alone is not None and work.alone[i]
                with heartbeat(wait) if lone else contextlib.nullcontext():
                    results[i] = work.function(work.shared, work.items[i], progress)

            return run

        def done(i: int) -> None:
            del running[i]
            work.on_result(i, results.pop(i))
            wait()

        def wait() -> None:
            work.on_wait(sum(progress.done() for progress in list(running.values())))

        pool.run_many(
            [task(i) for i in range(len(work.items))],
            self.n_workers,
            on_done=done,
            on_wait=wait,
            alone=work.alone,
        )
