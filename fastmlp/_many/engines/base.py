"""The choice of an engine, and those of this machine: threads, and joblib's workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .calls import Function

OnResult = Callable[[int, Any], None]
OnWait = Callable[[float], None]


class Engine:
    """Does pieces of work.

    Parameters
    ----------
    n_workers : int
        How many pieces are done at a time.
    n_threads : int
        Of the kernels, for each worker.

    Attributes
    ----------
    name : str
        For people.
    here : bool
        Whether the work is done in this process.
    """

    name = ""
    here = False

    def __init__(self, n_workers: int, n_threads: int) -> None:
        self.n_workers, self.n_threads = n_workers, n_threads

    def run(
        self,
        function: Function,
        shared: Any,
        items: Sequence[Any],
        on_result: OnResult,
        on_wait: OnWait,
        alone: Sequence[bool] | None = None,
    ) -> None:
        """Call ``function(shared, item, progress)`` for every item.

        Parameters
        ----------
        function : callable
            Of a module, so that other processes find it.
        shared : object
            Sent to each worker once.
        items : sequence
        on_result : callable
            Told the place of an item and its result, in the calling thread, in any order.
        on_wait : callable
            Told ten times a second how much of the items is under way, in items.
        alone : sequence of bool, optional
            For each item whether it had better have the machine to itself.

        Raises
        ------
        BaseException
            What the first call raised that failed; the others are stopped.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the workers."""


# ---- the choice --------------------------------------------------------------------------------
