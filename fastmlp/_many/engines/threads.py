"""Work done by this process, a thread for each item."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from .. import pool
from .base import Engine, OnResult, OnWait
from .calls import Function, beating
from .share import Progress


class Threads(Engine):
    """Threads of this process, among which small pieces are shared out."""

    name = "threads"
    here = True

    def __init__(self, n_threads: int) -> None:
        super().__init__(n_threads, 1)

    def run(
        self,
        function: Function,
        shared: Any,
        items: Sequence[Any],
        on_result: OnResult,
        on_wait: OnWait,
        alone: Sequence[bool] | None = None,
    ) -> None:
        """Call the function for every item; see `Engine.run`."""
        running: dict[int, Progress] = {}
        results: dict[int, Any] = {}

        def task(i: int) -> Callable[[], None]:
            def run() -> None:
                progress = running[i] = Progress()
                # The calling thread shows nothing while it works itself.
                lone = alone is not None and alone[i]
                try:
                    with beating(wait) if lone else contextlib.nullcontext():
                        results[i] = function(shared, items[i], progress)
                finally:
                    del running[i]

            return run

        def wait() -> None:
            on_wait(sum(progress.share() for progress in list(running.values())))

        pool.run_many(
            [task(i) for i in range(len(items))],
            self.n_workers,
            on_done=lambda i: on_result(i, results.pop(i)),
            on_wait=wait,
            alone=alone,
        )
