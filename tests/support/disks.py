"""A disk that is really full, and nodes of one's own, for tests of what is written."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
import threading

import pytest


@contextlib.contextmanager
def small_disk(path, size="1m", options=""):
    """Mount a file system of that size; skip the test where that is not allowed."""
    if sys.platform != "linux":
        pytest.skip("mounts a tmpfs, on Linux only")
    path.mkdir()
    library = ctypes.CDLL(None, use_errno=True)
    wanted = f"size={size}{options}".encode()
    if library.mount(b"none", os.fsencode(path), b"tmpfs", 0, wanted):
        pytest.skip(f"no tmpfs may be mounted: {os.strerror(ctypes.get_errno())}")
    try:
        yield path
    finally:
        assert library.umount2(os.fsencode(path), 2) == 0  # also while a file is open


def fill(disk):
    """Write a file until the disk has no byte left; return its path."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    assert os.statvfs(disk).f_bavail == 0
    return filler


def make_null(path):
    """Make a node of the null device; skip the test where that is not allowed."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with path.open("wb"):
            pass
    except (OSError, AttributeError) as error:
        path.unlink(missing_ok=True)
        pytest.skip(f"no device can be made: {error}")
    return path


class Reader(threading.Thread):
    """Reads what is written into a new pipe with a name."""

    def __init__(self, path):
        super().__init__(daemon=True)
        os.mkfifo(path)
        self.data = b""
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._end, True)
        self._kept = os.open(path, os.O_WRONLY)  # or it would end between two writers
        self.start()

    def run(self):
        with os.fdopen(self._end, "rb") as file:
            self.data = file.read()

    def finish(self):
        """Return what was written."""
        os.close(self._kept)
        self.join(20)
        assert not self.is_alive()
        return self.data
