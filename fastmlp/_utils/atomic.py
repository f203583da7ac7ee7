"""Write files whole: a rename replaces the old file; devices and pipes are written into."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from . import arguments

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)
_OPEN_FILES = re.compile(r"/proc/(\d+)(/task/\d+)?/fd|/dev/fd")  # folders of descriptors


def write_atomically(path: str | Path, data: bytes, overwrite: bool = True) -> None:
    """Write a file so that its name always means the old content or the new, even after a crash.

    The new file has the old file's mode and, where permitted, its owner. A symbolic link stays a
    link; the file it points to is replaced. Other hard links keep the old content. What cannot be
    replaced (see `is_special`) is written into.

    Parameters
    ----------
    path : str or Path
    data : bytes
    overwrite : bool
        If False, an existing file is an error.

    Raises
    ------
    FileExistsError
        If the file exists and must not be overwritten.
    OSError
        If writing fails; the old file is intact then.
    """
    overwrite, path = arguments.flag("overwrite", overwrite), arguments.path("path", path)
    if not is_special(path):
        replace(path, data, overwrite)
    elif overwrite:
        _write_into(path, data)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)


def replace(
    path: str | Path,
    data: bytes,
    overwrite: bool = True,
    before: Callable[[int], None] = lambda descriptor: None,
) -> None:
    """Write a regular file as `write_atomically` does; call `before` while it has no name yet.

    Parameters
    ----------
    path, data, overwrite
        As for `write_atomically`.
    before : callable
        Called with the descriptor of the new file, before the rename.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = target.with_name(f".fastmlp-{os.urandom(8).hex()}.tmp")
    directory = _opened_directory(target.parent)
    try:
        descriptor, named = _new_file(directory, temporary)
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            _take_after(file.fileno(), target)
            os.fsync(file.fileno())
            if not named:
                # With a directory's descriptor, or the link to the file would itself be linked.
                os.link(f"/proc/self/fd/{file.fileno()}", temporary, src_dir_fd=directory)
            before(file.fileno())
        if overwrite:
            temporary.replace(target)
        else:
            _give_new_name(temporary, target)
        if directory is not None:
            os.fsync(directory)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        if directory is not None:
            os.close(directory)


def _opened_directory(path: Path) -> int | None:
    """Open a directory, to sync its entries to disk; None on Windows, which cannot and need not."""
    return None if os.name == "nt" else os.open(path, os.O_RDONLY)


def _new_file(directory: int | None, path: Path) -> tuple[int, bool]:
    """Open a new file; return whether it has a name. A killed process leaves no nameless file."""
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        with contextlib.suppress(OSError):  # a file system without nameless files
            return os.open(".", os.O_WRONLY | os.O_TMPFILE, 0o666, dir_fd=directory), False
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666), True


def _take_after(descriptor: int, target: Path) -> None:
    """Give a new file the owner, the access lists and the mode of the file that it replaces."""
    try:
        old = target.stat()
    except OSError:
        return
    if not stat.S_ISREG(old.st_mode) or not hasattr(os, "fchown"):
        return
    new, mode = os.fstat(descriptor), stat.S_IMODE(old.st_mode)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
            with contextlib.suppress(OSError):  # allowed for a group that the user is in
                os.fchown(descriptor, -1, old.st_gid)
    with contextlib.suppress(OSError):
        for name in os.listxattr(target) if hasattr(os, "listxattr") else ():
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(target, name))
    with contextlib.suppress(OSError):  # a file system without modes
        os.fchmod(descriptor, mode)


def _give_new_name(temporary: Path, target: Path) -> None:
    """Rename a file unless the new name exists, without a race."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        temporary.replace(target)
    else:
        temporary.unlink()


# ---- devices, pipes, open files ----------------------------------------------------------------


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether a path names a device, a pipe, a socket or an open file such as /dev/stdout.

    These are written into. A regular file, a directory and a path without a file are not special.
    """
    if _named_descriptor(os.fspath(path)) is not None:
        return True
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _named_descriptor(path: str) -> int | None:
    """Return the descriptor that a path such as /dev/fd/3 or a link to it means.

    For a descriptor of another process, return -1: the file must be opened.
    """
    if os.name == "nt":
        return None
    for _ in range(40):  # as many links as Linux follows
        folder, name = os.path.realpath(os.path.dirname(path)), os.path.basename(path)  # noqa: PTH119, PTH120
        if name.isdigit() and (found := _OPEN_FILES.fullmatch(folder)):
            return int(name) if found[1] in (None, str(os.getpid())) else -1
        if not os.path.islink(path):  # noqa: PTH114
            break
        path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118
    return None


def _write_into(path: str, data: bytes) -> None:
    descriptor = _named_descriptor(path)
    if descriptor is None and stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116
        import socket

        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(data)
        return
    if descriptor in (1, 2):
        stream = sys.stdout if descriptor == 1 else sys.stderr
        if stream is not None:  # earlier output comes first
            stream.flush()
    opened = (
        os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
        if descriptor is None or descriptor < 0
        else os.dup(descriptor)  # shares the position: writes continue there
    )
    try:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(opened, rest) :]
            except BlockingIOError:
                import select

                select.select([], [opened], [])
    finally:
        os.close(opened)


# ---- checks before work begins -----------------------------------------------------------------


def check(path: str | Path, size: int = 0) -> None:
    """Raise now what would make `write_atomically` fail later.

    Parameters
    ----------
    path : str or Path
    size : int
        Bytes to be written.

    Raises
    ------
    OSError
        If the path is a directory or protected, if its directory does not exist or takes no new
        files, or if the disk has not enough room.
    """
    path = arguments.path("path", path)
    if is_special(path):
        _check_special(path)
        return
    target = Path(os.path.realpath(path))
    if path.endswith(("/", os.sep)) or target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory, expected a file", path)
    written = Path(path).parent  # as given, unless a link points to another directory
    same = os.path.realpath(written) == str(target.parent)
    check_directory(written if same else target.parent)
    if target.exists():  # OSError if its name is too long
        _check_replaceable(target, path)
    _check_room(target.parent, size, path)


def check_directory(path: Path) -> None:
    """Raise unless new files can be written in a directory.

    Raises
    ------
    OSError
    """
    if not path.is_dir():
        code = errno.ENOTDIR if path.exists() else errno.ENOENT
        raise OSError(code, "there is no such directory", str(path))
    # Permission bits are not enough: the file system may be read-only, the user may be root.
    probe = path / f".fastmlp-{os.urandom(8).hex()}.tmp"
    directory = None
    try:
        directory = _opened_directory(path)
        descriptor, named = _new_file(directory, probe)
        os.close(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        if directory is not None:
            os.close(directory)
    if named:
        probe.unlink()


def _check_special(path: str) -> None:
    descriptor = _named_descriptor(path)
    if descriptor is None or descriptor < 0:
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return
    import fcntl

    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    except OSError as error:
        raise OSError(error.errno, "is not open", path) from None
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "is open for reading only", path)


def _check_replaceable(target: Path, path: str) -> None:
    """Raise if a file cannot be replaced though its directory takes new ones."""
    try:
        os.close(os.open(target, os.O_WRONLY))
    except OSError as error:
        # EACCES and ETXTBSY do not prevent a rename.
        if error.errno in (errno.EPERM, errno.EROFS):  # EPERM: immutable, or append-only
            raise OSError(error.errno, error.strerror, path) from None
    if not hasattr(os, "geteuid"):
        return
    folder, user = target.parent.stat(), os.geteuid()
    others = user not in (0, folder.st_uid, target.stat().st_uid)
    if others and folder.st_mode & stat.S_ISVTX:  # such as /tmp
        raise PermissionError(errno.EPERM, "another user's file in a sticky directory", path)
    if _is_mounted(target):
        raise OSError(errno.EBUSY, "is a mount point, which cannot be replaced", path)


def _is_mounted(target: Path) -> bool:
    """Return whether a file is a mount point, as containers make of single files."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    name = os.fsencode(target).replace(b"\\", b"\\134").replace(b" ", b"\\040")
    return any(line.split(b" ", 5)[4] == name for line in lines)


def _check_room(parent: Path, size: int, path: str) -> None:
    if not size or not hasattr(os, "statvfs"):
        return
    import resource

    there, most = os.statvfs(parent), resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    free = there.f_bavail * there.f_frsize
    if there.f_blocks and free < size:  # no blocks: a file system that does not count them
        text = f"{os.strerror(errno.ENOSPC)}: {size:,} bytes are needed, {free:,} are free"
        raise OSError(errno.ENOSPC, text, path)
    if most not in (resource.RLIM_INFINITY, -1) and most < size:
        text = f"{os.strerror(errno.EFBIG)}: {size:,} bytes are needed, a file may have {most:,}"
        raise OSError(errno.EFBIG, text, path)
