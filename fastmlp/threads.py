"""Choose how many threads the kernels use."""

from __future__ import annotations

import operator
import os
import sys
import threading
import time
from typing import Any

from ._kernels import cgroups, cpu, signals
from ._utils import arguments

MAX_THREADS = 1024

_explicit: int | None = None


class Worker(threading.local):
    """Settings of one Python thread, made where several threads train networks.

    Attributes
    ----------
    n_threads : int or None
        Threads for the kernels; takes precedence over all other settings.
    halt : threading.Event or None
        Once set, training in this thread ends as Ctrl-C ends it in the main thread.
    """

    n_threads: int | None = None
    halt: threading.Event | None = None


worker = Worker()


def halted() -> bool:
    """Return whether this thread's work was cancelled."""
    return worker.halt is not None and worker.halt.is_set()


def raise_if_cancelled() -> None:
    """Raise KeyboardInterrupt in a thread that has been told to stop."""
    if halted():
        raise KeyboardInterrupt


signals.halted = halted  # so that the kernels check it during a step


_counted: tuple[int, float] | None = None
_forked = False


def _after_fork_in_child() -> None:
    # A fork does not copy the OpenMP runtime's worker threads; waiting for them would hang.
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _checked(n: int) -> int:
    try:
        # The system may refuse more threads, and the OpenMP runtime would end the process.
        count = 0 if isinstance(n, bool) else operator.index(n)
        if 1 <= count <= MAX_THREADS:
            return count
    except TypeError:
        pass
    raise ValueError(
        f"The number of threads must be a positive integer, {MAX_THREADS} at most. "
        f"Received: {arguments.shown(n)}"
    )


def _quota_of(group: str) -> float | None:
    """Return the CPUs that one control group (version 2 or 1) allows; None without a limit."""
    together = cgroups.read(f"{group}/cpu.max")
    if together is None:
        cfs = f"{group}/cpu.cfs"
        read = cgroups.read
        together = f"{read(f'{cfs}_quota_us') or ''} {read(f'{cfs}_period_us') or ''}"
    try:
        quota, period = map(int, together.split())
        return quota / period if quota > 0 else None
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None


def _cgroup_quota() -> float | None:
    """Return the CPUs that the control groups allow; None without a limit."""
    quotas = [quota for group in cgroups.own("cpu") if (quota := _quota_of(group)) is not None]
    return min(quotas, default=None)


def available() -> int:
    """Count the processors that this process may use: its affinity, limited by its cgroup's quota.

    The system is asked at most once a second, because a prediction takes only microseconds.
    """
    global _counted
    now = time.monotonic()
    if _counted is None or now > _counted[1]:
        _counted = (_count(), now + 1.0)
    return _counted[0]


def _count() -> int:
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_quota()
    return count if quota is None else max(1, min(count, int(quota)))


def _from_environment() -> int | None:
    """Return the value of OMP_NUM_THREADS; None if it is not a positive integer."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    # The system may refuse more threads; Python cannot convert a number of 5,000 digits.
    return min(int(digits[:6]), MAX_THREADS) if digits else None


def _omp_default() -> int:
    """Return the OpenMP runtime's thread count in a new thread, which no caller has limited."""
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(cpu.omp_max_threads()))
    thread.start()
    thread.join()
    return counts[0]


def _limited_before() -> list[Any]:
    """Find the libraries that threadpoolctl limited before the kernels' runtime was loaded.

    threadpoolctl limits only loaded libraries, so their counts are used for this runtime as well.
    """
    threadpoolctl = sys.modules.get("threadpoolctl")
    if threadpoolctl is None or any(name.endswith("_NUM_THREADS") for name in os.environ):
        return []
    usual = min(available(), 64)  # OpenBLAS's default maximum
    libraries = threadpoolctl.ThreadpoolController().lib_controllers
    return [library for library in libraries if (library.num_threads or usual) < usual]


_omp_threads = _omp_default()
_witnesses = _limited_before()


def _automatic() -> int:
    count = _from_environment() or available()
    limit = cpu.omp_max_threads()
    # The runtime's default is not a limit: environment and affinity may have changed since.
    if limit != _omp_threads:
        count = min(count, limit)
    return min([count, *(library.num_threads for library in _witnesses)])


def resolve(n: int | None = None) -> tuple[int, bool]:
    """Choose the number of threads.

    In a thread that trains one of many networks it is `worker.n_threads`. Elsewhere the first of
    these that is set counts: the argument, `set_num_threads`, the environment variable
    ``OMP_NUM_THREADS`` (limited to 1024; ignored if it is not a positive integer). Otherwise there
    is one thread for each processor that this process may use. The argument and `set_num_threads`
    are exact. The other counts are maxima: small jobs use fewer threads, and a limit that the
    calling thread has set on the OpenMP runtime, as threadpoolctl does, applies.

    Parameters
    ----------
    n : int, optional
        An exact count, which may exceed the number of processors.

    Returns
    -------
    threads : int
        At least 1; 1 in a forked child, where the OpenMP runtime cannot run more.
    automatic : bool
        Whether the kernels may use fewer threads for small jobs.

    Raises
    ------
    ValueError
        If `n` is not a positive integer.
    """
    if worker.n_threads is not None:
        return worker.n_threads, False
    exact = _checked(n) if n is not None else _explicit
    if _forked:
        return 1, exact is None
    return (_automatic(), True) if exact is None else (exact, False)


def set_num_threads(n: int | None) -> None:
    """Set the number of threads for all later calls; ``None`` restores the automatic choice.

    Parameters
    ----------
    n : int or None
        An exact count, which may exceed the number of processors.

    Raises
    ------
    ValueError
        If `n` is neither None nor a positive integer.
    """
    global _explicit
    _explicit = None if n is None else _checked(n)


def get_num_threads() -> int:
    """Return the number of threads that the next call may use.

    Returns
    -------
    int
    """
    return resolve()[0]
