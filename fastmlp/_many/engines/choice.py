"""Which engine the options ask for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from ... import threads
from ..._utils import arguments
from ..._utils.optional import require
from .base import Engine
from .processes import Joblib, Processes
from .threads import Threads


@contextlib.contextmanager
def engine(jobs: int | None, cluster: str | None, n_threads: int | None) -> Iterator[Engine]:
    """Choose who does the work.

    Parameters
    ----------
    jobs : int or None
        Processes of this machine, through joblib; None: as ``joblib.parallel_config`` says where
        it is in force, otherwise threads of this process.
    cluster : str or None
        The address of a Dask scheduler.
    n_threads : int or None
        Threads of the kernels: in all for threads of this process, otherwise for each worker.

    Yields
    ------
    Engine

    Raises
    ------
    ValueError
        If both are given, or what they need is not installed.
    OSError
        If the scheduler cannot be reached.
    """
    threads.resolve(n_threads)  # which checks it
    if jobs is not None:
        arguments.integer("jobs", jobs)
    if cluster is not None:
        arguments.instance("cluster", cluster, str)
    if cluster is not None and jobs is not None:
        raise ValueError("jobs are processes of this machine; with a cluster there are none")
    made = _chosen(jobs, cluster, n_threads)
    try:
        yield made
    finally:
        made.close()


def _chosen(jobs: int | None, cluster: str | None, n_threads: int | None) -> Engine:
    if cluster is not None:
        from .dask import Dask

        return Dask.connected(cluster, _each(n_threads, 1))
    if jobs is not None and jobs > 1:
        require("joblib", "sklearn", "work in several processes")
    if "joblib" in sys.modules and (jobs is None or jobs > 1):
        from joblib.parallel import get_active_backend

        backend, n_jobs = get_active_backend()
        kind = type(backend).__name__
        if kind == "DaskDistributedBackend":
            from .dask import Dask

            return Dask(backend.client, _each(n_threads, 1))
        wanted = jobs or backend.effective_n_jobs(n_jobs)
        local = kind in ("LokyBackend", "SequentialBackend")
        if jobs is not None or wanted > 1 or not local:
            each = _each(n_threads, threads.resolve()[0] // wanted)
            return (Processes if local else Joblib)(wanted, each)
    return Threads(threads.resolve(n_threads)[0])


def _each(n_threads: int | None, otherwise: int) -> int:
    """Return how many threads each worker has: those that were asked for, here or for all."""
    count, automatic = threads.resolve(n_threads)
    return max(1, otherwise) if automatic else count
