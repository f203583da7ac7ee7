"""Files that are replaced in one step."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from . import _checks


def write_atomically(path: str | Path, data: bytes, overwrite: bool = True) -> None:
    """Write a file so that, whatever happens, its name means the old content or the new.

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
    overwrite = _checks.flag("overwrite", overwrite)
    target = Path(os.path.realpath(_checks.path("path", path)))  # a link stays a link
    temporary = target.with_name(f".fastmlp-{secrets.token_hex(8)}.tmp")
    directory = _opened_directory(target.parent)
    try:
        descriptor, named = _new_file(directory, temporary)
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if not named:
                # With a directory's descriptor, or the link to the file would itself be linked.
                os.link(f"/proc/self/fd/{file.fileno()}", temporary, src_dir_fd=directory)
        if overwrite:
            temporary.replace(target)
        else:
            os.link(temporary, target)  # fails if the name is taken, without a race
            temporary.unlink()
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
    """Open a directory, to have its entries on the disk; Windows opens none, nor needs it."""
    return None if os.name == "nt" else os.open(path, os.O_RDONLY)


def _new_file(directory: int | None, path: Path) -> tuple[int, bool]:
    """Open a new file and say whether it has a name: without, a killed process leaves nothing."""
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        with contextlib.suppress(OSError):  # of file systems that know no such files
            return os.open(".", os.O_WRONLY | os.O_TMPFILE, 0o666, dir_fd=directory), False
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666), True
