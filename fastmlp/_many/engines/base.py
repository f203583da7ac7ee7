"""The base class of engines, and the work that an engine is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .calls import Function


class Workload(NamedTuple):
    """The arguments of `Engine.run`, which describes them."""

    function: Function
    shared: Any
    items: Sequence[Any]
    on_result: Callable[[int, Any], None]
    on_wait: Callable[[float], None]
    alone: Sequence[bool] | None = None


class Engine:
    """Calls a function for many items.

    Parameters
    ----------
    n_workers : int
        Number of items in work at a time.
    n_threads : int
        Kernel threads of each worker.

    Attributes
    ----------
    name : str
        Shown to users.
    here : bool
        Whether the calls run in this process, so that they may write to the caller's objects.
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
        on_result: Callable[[int, Any], None],
        on_wait: Callable[[float], None],
        alone: Sequence[bool] | None = None,
    ) -> None:
        """Call ``function(shared, item, progress)`` for every item.

        Parameters
        ----------
        function : callable
            Defined in a module, so that other processes can import it.
        shared : object
            Sent to each worker once.
        items : sequence
        on_result : callable
            Called in the calling thread with the index of an item and its result, in any order.
        on_wait : callable
            Called ten times a second, and after results, with the sum of what unfinished items
            have noted as their progress.
        alone : sequence of bool, optional
            For each item, whether it should have the machine to itself.

        Raises
        ------
        BaseException
            The exception of the first call that failed. The other calls are stopped.
        """
        self._run(Workload(function, shared, items, on_result, on_wait, alone))

    def _run(self, work: Workload) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Release the workers."""
