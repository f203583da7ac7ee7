"""A lock on a file that one process writes repeatedly."""

from __future__ import annotations

import contextlib
import os
import weakref

from . import atomic

try:
    import fcntl
except ImportError:  # Windows, which does not rename open files: a claim always succeeds there
    fcntl = None  # type: ignore[assignment]


class Claim:
    """A lock on a file that every write replaces. The system releases it after a crash.

    The file under the name is locked, and so is each new file before it takes the name. A process
    that opens the name and gets the lock is therefore the only one that writes it. On Windows, and
    on file systems without such locks, taking a claim always succeeds.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    forked : bool
        Whether this is a child's copy: the lock is its parent's.
    """

    def __init__(self, path: str) -> None:
        self.path, self.forked = path, False
        self._descriptor: int | None = None
        _all.add(self)

    def take(self) -> None:
        """Lock the file that now has the name, if there is one.

        Raises
        ------
        BlockingIOError
            If another run has locked it.
        OSError
            If it cannot be opened.
        """
        while fcntl is not None:
            try:
                found = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                self.release()
                return
            if self._descriptor is not None and _same(found, self._descriptor):
                os.close(found)
                return
            try:
                _lock(found)
            except OSError:
                os.close(found)
                raise
            self.release()
            self._descriptor = found
            if self._has_name(found):
                return

    def _has_name(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))  # noqa: PTH116
        except FileNotFoundError:
            return False

    def write(self, data: bytes) -> None:
        """Replace the file by a new one, and lock that.

        Raises
        ------
        BlockingIOError
            If another run has the file by now.
        OSError
            If writing fails; the old file is intact then.
        """
        self.take()
        new: list[int] = []

        def lock(descriptor: int) -> None:
            new.append(os.dup(descriptor))
            _lock(new[0])

        try:
            # Without a lock, do not replace a file that another run has begun in the meantime.
            own = fcntl is None or self._descriptor is not None
            atomic.replace(self.path, data, own, lock if fcntl else lambda descriptor: None)
        except BaseException:
            for descriptor in new:
                os.close(descriptor)
            raise
        if new:
            self.release()
            self._descriptor = new[0]

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def leave_to_parent(self) -> None:
        """Close a forked child's copy of the lock: the lock would outlive the parent."""
        self.forked = self._descriptor is not None or self.forked
        with contextlib.suppress(OSError):
            self.release()


def _lock(descriptor: int) -> None:
    """Lock an open file; BlockingIOError if another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without such locks
        return


def _same(a: int, b: int) -> bool:
    return os.path.samestat(os.fstat(a), os.fstat(b))


_all: weakref.WeakSet[Claim] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for claim in list(_all):
        claim.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
