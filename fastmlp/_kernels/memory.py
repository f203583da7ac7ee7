"""How much memory there is: what the machine, control groups and limits of the process leave."""

from __future__ import annotations

import os
import sys

from . import cgroups

# Smaller requests are not worth the look.
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
    """Bytes that the machine can give without ending a process; None where nothing says it."""
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
    """Bytes that one control group, of version 2 or 1, has left; None where it sets no limit."""
    for limits, usage, cached in (
        (("memory.max", "memory.high"), "memory.current", "inactive_file"),
        (("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file"),
    ):
        found = [n for name in limits if (n := _number(f"{group}/{name}")) is not None]
        if found:
            # Files that were read or written are in it; such pages go when they are wanted.
            used = _number(f"{group}/{usage}") or 0
            used -= min(used, _fields(f"{group}/memory.stat").get(cached, 0))
            return max(min(found) - used, 0)
    return None


def _left_in_process() -> int | None:
    """Bytes that the process may still map, by RLIMIT_AS; None where there is no limit."""
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
    """Return how many bytes this process can still get; many where the system does not tell."""
    found = [_machine(), _left_in_process()]
    found += [_left_in_group(group) for group in cgroups.own("memory")]
    return min((n for n in found if n is not None), default=1 << 60)


def require(n_bytes: float, what: str, of: str, help: str = "") -> None:
    """Raise MemoryError if so much memory cannot be had: the system would end the process.

    Parameters
    ----------
    n_bytes : float
    what, of : str
        What needs it, and of what: for the message.
    help : str, optional
        What would need less.
    """
    if n_bytes < ENOUGH_TO_ASK:
        return
    left = available()
    if n_bytes > left:
        raise MemoryError(
            f"{what[0].upper()}{what[1:]} of {of} must fit into the memory that is left, "
            f"{left:,.0f} bytes. Received: a need of {n_bytes:,.0f} bytes" + (help and f"; {help}")
        )
