"""The text of a file: decompress it, and find out its encoding."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .._kernels import memory
from .._utils.optional import require
from ..errors import DataError

_MARKS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_BOMS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_CHUNK = 1 << 20
_SHARE = 4  # text may take this part of the memory: cells take several times as much
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_UNUSED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # bytes that CP1252 does not have
# Letters beyond ASCII in CP1252 are seldom neighbours, and its signs are not within words.
_LETTERS = re.compile(rb"[\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xd6\xd8-\xf6\xf8-\xff]+")
_SIGN = re.compile(
    rb"[A-Za-z\xc0-\xff]+"
    rb"[\x80\x82-\x84\x86-\x89\x8b\x98\x9b\xa1-\xa9\xac\xaf\xb1-\xb3\xb6\xb8\xb9\xbc-\xbf]+"
    rb"[A-Za-z\xc0-\xff]+"
)
_SEARCHED = 1 << 20  # bytes that are searched for odd words


class Text(NamedTuple):
    """Text as UTF-8 bytes, and the name of its encoding if that was a guess worth telling.

    `odd` is a word that makes the guess doubtful.
    """

    data: bytes
    encoding: str
    odd: str = ""


def compression(start: bytes) -> str | None:
    """Return the kind of compression that a file's first bytes tell, or None."""
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)


def decompressed(path: str | Path, kind: str, limit: int | None = None) -> bytes:
    """Return a file's content without its compression.

    Parameters
    ----------
    path : str or Path
    kind : str
        As `compression` returns it.
    limit : int, optional
        Return about this number of bytes at most.

    Raises
    ------
    DataError
        If the file is damaged, or its content would not fit into memory.
    """
    try:
        with Path(path).open("rb") as raw, _opened(raw, kind, path) as file:
            return read_all(file, str(path), limit, f"a {kind} file")
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError,
            RuntimeError) as error:  # fmt: skip
        raise DataError(f"{path}: damaged or cut off {kind} file: {error}") from error
    except OSError as error:
        if error.errno is not None and error.strerror:
            raise
        raise DataError(f"{path}: damaged or cut off {kind} file: {error}") from error


def _opened(raw: BinaryIO, kind: str, path: str | Path) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if kind == "bzip2":
        return bz2.BZ2File(raw)
    if kind == "xz":
        return lzma.LZMAFile(raw)
    if kind == "zip":
        archive = zipfile.ZipFile(raw)
        names = [info for info in archive.infolist() if not info.is_dir()]
        names = [info for info in names if not info.filename.startswith("__MACOSX/")]
        if len(names) != 1:
            raise DataError(
                f"{path}: the zip archive holds {len(names)} files; expected one table: unpack it"
            )
        return archive.open(names[0])
    return require("pyarrow", "data", f"{path}: reading zstd").CompressedInputStream(raw, "zstd")


def read_all(file: Any, source: str, limit: int | None = None, what: str = "the table") -> bytes:
    """Read a binary file to its end, unless it would not fit into memory."""
    most = memory.available() // _SHARE
    data = io.BytesIO()
    while limit is None or data.tell() < limit:
        chunk = file.read(_CHUNK)
        if not chunk:
            break
        data.write(chunk)
        if data.tell() > most:
            raise DataError(
                f"{source}: {what} of more than {most / 2**30:,.1f} GiB of text does not fit into "
                "the memory that is left; store it as Parquet, which can be streamed"
            )
    return data.getvalue()


def as_utf8(
    data: bytes, source: str, encoding: str | None = None, other: str | None = None
) -> Text:
    """Return text as UTF-8 bytes without byte order mark.

    Parameters
    ----------
    data : bytes
    source : str
    encoding : str, optional
        As the user gives it; detected by default.
    other : str, optional
        The encoding if it is not UTF-8 or UTF-16.

    Returns
    -------
    Text

    Raises
    ------
    DataError
        If the bytes are not text in the given encoding, or none can be detected.
    """
    if encoding is not None:
        for mark, name in _BOMS.items():  # a mark that agrees with the encoding
            if data.startswith(mark) and name.split("-")[1] in encoding.replace("-", ""):
                encoding = name
                break
        return Text(_decoded(data, source, encoding).encode(errors="replace"), "")
    for mark, name in _BOMS.items():
        if data.startswith(mark):
            if name == "utf-8-sig":
                while data.startswith(mark):  # some programs write it twice
                    data = data[3:]
                break
            shown = name.upper()
            return Text(_decoded(data, source, name).encode(errors="replace"), shown)
    wide = _without_mark(data)
    if wide is not None:
        return Text(_decoded(data, source, wide).encode(errors="replace"), wide.upper())
    at = data.find(b"\0")
    if at >= 0:
        raise DataError(
            f"{source}: line {_line(data, at)} holds a NUL byte; expected text: delete it, or name "
            "the encoding (--encoding utf-16)"
        )
    data = data.removesuffix(b"\x1a")  # the end of a file to CP/M and DOS
    try:
        data.decode()
        return Text(data, "")
    except UnicodeDecodeError as error:
        bad = error.start
    if other is not None:
        return Text(_decoded(data, source, other).encode(errors="replace"), "")
    if _MULTIBYTE.search(data):
        good = _MULTIBYTE.search(data)
        assert good is not None
        raise DataError(
            f"{source}: line {_line(data, bad)}: not UTF-8 text, while line "
            f"{_line(data, good.start())} is; save the file in one encoding, or name it "
            "(--encoding cp1252)"
        )
    unused = _UNUSED.search(data)
    if unused is not None:
        raise DataError(
            f"{source}: line {_line(data, unused.start())}: neither UTF-8 nor CP1252 text; name "
            "the encoding (--encoding)"
        )
    line = data.rfind(b"\n", 0, bad) + 1
    return Text(data.decode("cp1252").encode(), "CP1252", _odd_word(data[line : line + _SEARCHED]))


def _odd_word(data: bytes) -> str:
    """Return a word that CP1252 text hardly has; empty if there is none."""
    runs = [run.group() for run in _LETTERS.finditer(data)]
    longest = max(runs, key=len, default=b"")
    if len(longest) > 2 and 2 * len(runs) < sum(map(len, runs)):
        return longest.decode("cp1252")
    sign = _SIGN.search(data)
    return sign.group().decode("cp1252") if sign else ""


def _decoded(data: bytes, source: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, UnicodeError) as error:
        start = getattr(error, "start", 0)
        raise DataError(
            f"{source}: line {_line(data, start)}: not {encoding.removesuffix('-sig').upper()} "
            "text; name the encoding (--encoding)"
        ) from None


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _without_mark(data: bytes) -> str | None:
    """Recognise UTF-16 without a mark: nearly every second byte of its first text is zero."""
    start = data[:4096]
    start = start[: len(start) // 2 * 2]
    if len(start) < 4 or len(data) % 2:
        return None
    even, odd = start[::2].count(0), start[1::2].count(0)
    half = len(start) // 2
    if odd > 0.6 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.6 * half and odd < 0.1 * half:
        return "utf-16-be"
    return None
