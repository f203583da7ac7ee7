"""Where files are written: what is replaced, what is written into, and what is refused before."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from fastmlp import layers, models, plots, sweeps
from fastmlp._utils import atomic

from ..support.disks import Reader, fill, make_null, small_disk

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(os.name == "nt", reason="has neither modes nor devices"),
]
root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may do that"
)


def small():
    layers.reset_names()
    return models.mlp("3", 2, 1, seed=1)


# What Python has that writes a file.
WRITERS = {
    "save": lambda path: small().save(path),
    "export": lambda path: small().export(path, to="c"),
    "figure": lambda path: plots.save(plots.plot_network(small()), path),
    "bytes": lambda path: atomic.write_atomically(path, b"content"),
}


# ---- an old file's properties ----


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755, 0o2664])
def test_an_overwritten_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(mode)
    atomic.write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == mode


@root
def test_an_overwritten_file_keeps_its_owner(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    path.chmod(0o4640)
    atomic.write_atomically(path, b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 2345, 0o4640)


def test_an_owner_that_cannot_be_kept_gives_no_rights_away(tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(0o4755)
    real = type(path).stat

    def others(self, **options):
        found = list(real(self, **options))
        found[4] += self == path  # as if another user's
        return os.stat_result(found)

    def refuse(*args):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(type(path), "stat", others)
    monkeypatch.setattr(os, "fchown", refuse)
    atomic.write_atomically(path, b"new")
    monkeypatch.undo()
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_extended_attributes_are_kept(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.note", b"mine")
    except (OSError, AttributeError) as error:
        pytest.skip(f"no extended attributes here: {error}")
    atomic.write_atomically(path, b"new")
    assert os.getxattr(path, "user.note") == b"mine"


def test_another_hard_link_keeps_the_old_content(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"old")
    os.link(path, other)
    atomic.write_atomically(path, b"new")
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old")


def test_links_lead_to_the_file_also_where_there_is_none_yet(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("d/c")
    for content in (b"1", b"2"):
        atomic.write_atomically(tmp_path / "a", content)
        assert (tmp_path / "d" / "c").read_bytes() == content
    assert (tmp_path / "a").is_symlink() and (tmp_path / "b").is_symlink()


def test_a_new_file_where_there_are_no_hard_links(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)

    def refuse(*args, **options):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    atomic.write_atomically(tmp_path / "m", b"new", overwrite=False)
    with pytest.raises(FileExistsError):
        atomic.write_atomically(tmp_path / "m", b"newer", overwrite=False)
    assert (tmp_path / "m").read_bytes() == b"new" and len(list(tmp_path.iterdir())) == 1


# ---- what cannot be replaced ----


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_device_stays(tmp_path, writer, linked):
    node = make_null(tmp_path / "node")
    path = tmp_path / "link" if linked else node
    if linked:
        path.symlink_to(node)
    for _ in range(2):
        WRITERS[writer](path)
    assert stat.S_ISCHR(node.lstat().st_mode) and path.is_symlink() == linked
    assert len(list(tmp_path.iterdir())) == 1 + linked


@pytest.mark.parametrize("writer", WRITERS)
def test_a_pipe_and_a_socket_get_the_content(tmp_path, writer):
    write = WRITERS[writer]
    write(tmp_path / "file.png" if writer == "figure" else tmp_path / "file")
    expected = next(tmp_path.iterdir()).read_bytes()
    reader = Reader(tmp_path / "pipe")
    write(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    got = [reader.finish()]
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.listen(1)

    def receive():
        with server, server.accept()[0] as connection, connection.makefile("rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=receive)
    thread.start()
    write(tmp_path / "s")
    thread.join(20)
    assert stat.S_ISSOCK((tmp_path / "s").stat().st_mode)
    assert got == [expected] * 2


def test_an_open_descriptor_goes_on_where_it_is(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"before ")
    before = path.stat().st_ino
    with path.open("ab") as file:
        (tmp_path / "link").symlink_to(f"/dev/fd/{file.fileno()}")
        for name in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}",
                     tmp_path / "link"):  # fmt: skip
            atomic.check(name)
            atomic.write_atomically(name, b"x")
    assert path.read_bytes() == b"before xxx" and path.stat().st_ino == before
    with path.open("rb") as file, pytest.raises(OSError, match="reading only"):
        atomic.check(f"/dev/fd/{file.fileno()}")
    with pytest.raises(OSError, match="not open"):
        atomic.check("/dev/fd/999")


@pytest.mark.parametrize("to", ["file", "pipe"])
def test_standard_output_is_written_into(tmp_path, to):
    program = (
        "from fastmlp._utils.atomic import write_atomically as w; print('first');"
        "w('/dev/stdout', b'second\\n'); print('third')"
    )
    command = [sys.executable, "-c", program]
    if to == "pipe":
        out = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    else:
        with (tmp_path / "out").open("wb") as file:
            subprocess.run(command, stdout=file, check=True)
        out = (tmp_path / "out").read_bytes()
    assert out == b"first\nsecond\nthird\n"


def test_a_slow_reader_of_a_pipe_that_does_not_block(tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data, got = os.urandom(1 << 20), []

    def receive():
        with os.fdopen(reader, "rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=receive)
    thread.start()
    atomic.write_atomically(f"/dev/fd/{writer}", data)
    os.close(writer)
    thread.join(20)
    assert got == [data]


def test_a_device_is_an_existing_file_and_no_store(tmp_path):
    node = make_null(tmp_path / "node")
    with pytest.raises(FileExistsError):
        small().save(node, overwrite=False)
    x = [[float(i)] for i in range(20)]
    for overwrite in (False, True):
        with pytest.raises(OSError, match="not a regular file"):
            sweeps.sweep(x, x, ["2"], epochs=1, store=node, overwrite=overwrite, verbose=0)
    assert stat.S_ISCHR(node.lstat().st_mode) and len(list(tmp_path.iterdir())) == 1


# ---- what can be known beforehand ----


def refused(path, size=0):
    with pytest.raises(OSError) as info:
        atomic.check(path, size)
    return info.value.errno


def test_what_check_refuses_and_writing_would(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("loop")
    bad = {
        tmp_path / "d": errno.EISDIR,
        tmp_path / "none" / "m": errno.ENOENT,
        tmp_path / "f" / "m": errno.ENOTDIR,
        tmp_path / ("n" * 300): errno.ENAMETOOLONG,
        tmp_path / "loop": errno.ELOOP,
    }
    for path, code in bad.items():
        assert refused(path) == code, path
        with pytest.raises(OSError):
            atomic.write_atomically(path, b"new")
    assert refused(f"{tmp_path}/new/") == errno.EISDIR
    assert {p.name for p in tmp_path.iterdir()} == {"d", "f", "loop"}
    for path in (tmp_path / "new", tmp_path / "f"):
        atomic.check(path, 1000)
    assert (tmp_path / "f").read_bytes() == b"old" and not (tmp_path / "new").exists()


def test_a_disk_without_room_and_one_that_is_read_only(tmp_path):
    with small_disk(tmp_path / "disk", "256k") as disk:
        (disk / "old").write_bytes(b"old")
        atomic.check(disk / "m", 100_000)
        assert refused(disk / "m", 1_000_000) == errno.ENOSPC
        filler = fill(disk)
        for path in (disk / "m", disk / "old"):
            assert refused(path, 10_000) == errno.ENOSPC
            with pytest.raises(OSError, match="No space"):
                atomic.write_atomically(path, bytes(10_000))
        assert {p.name for p in disk.iterdir()} == {"old", "filler"}
        assert (disk / "old").read_bytes() == b"old"
        filler.unlink()
        atomic.write_atomically(disk / "old", bytes(10_000))
    with small_disk(tmp_path / "fixed", "256k", ",nr_inodes=1") as disk:
        assert refused(disk / "m") == errno.ENOSPC  # it takes no new file


def test_the_largest_file_that_is_allowed(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        atomic.check(tmp_path / "m", 4000)
        assert refused(tmp_path / "m", 6000) == errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@root
def test_a_file_that_is_mounted_over(tmp_path):
    import ctypes

    path, other = tmp_path / "with space", tmp_path / "other"
    path.write_bytes(b"old")
    other.write_bytes(b"other")
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(other), os.fsencode(path)
    if library.mount(*names, None, 4096, None):  # bind
        pytest.skip("nothing may be mounted")
    try:
        assert refused(path) == errno.EBUSY
    finally:
        library.umount2(names[1], 2)
    atomic.check(path)


@root
def test_a_directory_and_a_file_of_others(tmp_path):
    """Tried as another user, in a child."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    (tmp_path / "closed").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "shared" / "m").write_bytes(b"old")
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            os.setuid(12345)
            assert refused(tmp_path / "closed" / "m") == errno.EACCES
            assert refused(tmp_path / "shared" / "m") == errno.EPERM
            atomic.check(tmp_path / "shared" / "new")
            code = 0
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
