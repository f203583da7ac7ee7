"""Free memory: the least of what the machine, control groups and process limits leave."""

from __future__ import annotations

import os
import sys

from . import cgroups

# Smaller requests are not checked.
ENOUGH_TO_ASK = 1 << 26


def _fields(path: str, unit: int = 1) -> dict[str, int]:
    """Return the numbers of a file of names and numbers, such as /proc/meminfo."""
    found = {}
    for line in (cgroups.read(path) or "").splitlines():
        words = line.replace(":", " ").split()
        if len(words) > 1 and words[1].isdigit():
            found[words[0]] = int(words[1]) * unit
    return found


def _machine() -> int | None:
    """Return the free bytes of the machine; None if unknown."""
    fields = _fields("/proc/meminfo", 1024)
    if "MemAvailable" in fields:
        return fields["MemAvailable"] + fields.get("SwapFree", 0)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _number(path: str) -> int | None:
    text = (cgroups.read(path) or "").strip()
    return int(text) if text.isdigit() else None  # "max", or no such file


def _left_in_group(group: str) -> int | None:
    """Return the free bytes of a control group (version 1 or 2); None without a limit."""
    for limits, usage, cached in (
        (("memory.max", "memory.high"), "memory.current", "inactive_file"),
        (("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file"),
    ):
        found = [n for name in limits if (n := _number(f"{group}/{name}")) is not None]
        if found:
            # Usage includes cached files, whose pages are freed on demand.
            used = _number(f"{group}/{usage}") or 0
            used -= min(used, _fields(f"{group}/memory.stat").get(cached, 0))
            return max(min(found) - used, 0)
    return None


def _left_in_process() -> int | None:
    """Return the bytes that RLIMIT_AS and RLIMIT_DATA leave; None without a limit."""
    try:
        import resource
    except ImportError:
        return None
    limits = [
        limit
        for name in ("RLIMIT_AS", "RLIMIT_DATA")
        if (limit := resource.getrlimit(getattr(resource, name))[0]) != resource.RLIM_INFINITY
    ]
    if not limits or sys.platform != "linux":
        return min(limits, default=None)
    pages = (cgroups.read("/proc/self/statm") or "0").split()
    return max(min(limits) - int(pages[0]) * resource.getpagesize(), 0)


def available() -> int:
    """Return how many bytes this process can still allocate; 2**60 if unknown."""
    found = [_machine(), _left_in_process()]
    found += [_left_in_group(group) for group in cgroups.own("memory")]
    return min((n for n in found if n is not None), default=1 << 60)


def require(n_bytes: float, what: str, of: str, help: str = "") -> None:
    """Raise MemoryError if this much memory is not free: the system would kill the process.

    Parameters
    ----------
    n_bytes : float
    what, of : str
        Subject of the message: `what` of `of` needs the memory.
    help : str, optional
        End of the message: how to need less.
    """
    if n_bytes < ENOUGH_TO_ASK:
        return
    left = available()
    if n_bytes > left:
        raise MemoryError(
            f"{what[0].upper()}{what[1:]} of {of} must fit into the memory that is left, "
            f"{left:,.0f} bytes. Received: a need of {n_bytes:,.0f} bytes" + (help and f"; {help}")
        )
