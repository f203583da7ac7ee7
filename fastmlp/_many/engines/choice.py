"""Pick the engine that the options ask for."""

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
    """Open the engine that the options ask for, and close it at the end of the block.

    Parameters
    ----------
    jobs : int or None
        Number of processes of this machine, through joblib. None: the workers that an active
        ``joblib.parallel_config`` names, or else threads of this process.
    cluster : str or None
        The address of a Dask scheduler.
    n_threads : int or None
        Kernel threads: the total if they are of this process, otherwise those of each worker.

    Yields
    ------
    Engine

    Raises
    ------
    ValueError
        If both are given, or the package that one needs is not installed.
    OSError
        If the scheduler cannot be reached.
    """
    threads.resolve(n_threads)  # raises if it is invalid
    if jobs is not None:
        arguments.integer("jobs", jobs)
    if cluster is not None:
        arguments.instance("cluster", cluster, str)
    if cluster is not None and jobs is not None:
        raise ValueError(
            "jobs (processes of this machine) and cluster exclude each other. Received: both"
        )
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
    """Return the threads of each worker: the number asked for, if any, or else the given one."""
    count, automatic = threads.resolve(n_threads)
    return max(1, otherwise) if automatic else count
