"""The control groups of this process."""

from __future__ import annotations

ROOT = "/sys/fs/cgroup"
MEMBERSHIP = "/proc/self/cgroup"


def read(path: str) -> str | None:
    """Return a small file's text; None if it cannot be read."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            return file.read()
    except (OSError, ValueError):
        return None


def own(controller: str) -> list[str]:
    """Return the directories of this process's control groups and of their parents."""
    found = {ROOT: None, f"{ROOT}/{controller}": None}  # a container shows only these
    for line in (read(MEMBERSHIP) or "").splitlines():
        fields = line.split(":", 2)
        if len(fields) != 3:
            continue
        _, controllers, path = fields
        if not controllers or controller in controllers.split(","):
            base = f"{ROOT}/{controller}" if controllers else ROOT
            for name in filter(None, path.split("/")):
                base = f"{base}/{name}"
                found[base] = None
    return list(found)
