"""Read zip archives as Keras writes them: few members, mostly uncompressed; views, not copies."""

from __future__ import annotations

import struct
import zlib

from .untrusted import BadFileError

MAGIC = b"PK\x03\x04"
_MOST_MEMBERS = 1000
_SPARE = 16 << 20  # bytes; decompressed members may have these and a quarter of the file's size
_STORED, _DEFLATED = 0, 8


def _unpack(form: str, data: memoryview, place: int) -> tuple[int, ...]:
    if place < 0 or place + struct.calcsize(form) > len(data):
        raise BadFileError("it is cut off, or points outside itself")
    return struct.unpack_from(form, data, place)


class Archive:
    """A zip archive in memory.

    Parameters
    ----------
    data : bytes

    Attributes
    ----------
    names : list of str
        The members.

    Raises
    ------
    BadFileError
        If it is damaged.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._spare = len(data) // 4 + _SPARE
        end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65557))
        if end < 0:
            raise BadFileError("it is cut off, or not a zip archive")
        count, _, place, comment = _unpack("<HIIH", self._data, end + 10)
        if end + 22 + comment != len(data):
            raise BadFileError("it is cut off, or not a zip archive")
        if count > _MOST_MEMBERS:
            raise BadFileError(f"it has more than {_MOST_MEMBERS} members, or is a zip64 archive")
        self._entries: dict[str, tuple[int, ...]] = {}
        for _ in range(count):
            mark, *entry = _unpack("<I4xHH4xIIIHHH8xI", self._data, place)
            lengths = entry[5:8]
            name = bytes(self._data[place + 46 : place + 46 + lengths[0]]).decode(
                "utf-8", "replace"
            )
            if mark != 0x02014B50 or len(name) == 0:
                raise BadFileError("its directory is damaged")
            if name in self._entries:
                raise BadFileError(f"the member {name!r} occurs twice")
            self._entries[name] = (*entry[:5], entry[8])
            place += 46 + sum(lengths)

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return list(self._entries)

    def read(self, name: str) -> memoryview:
        """Return a member's content; a view of the archive if it is uncompressed.

        Raises
        ------
        BadFileError
            If it is missing, damaged, encrypted or compressed too much.
        """
        if name not in self._entries:
            raise BadFileError(f"it has no member {name!r}")
        flags, method, checksum, packed, size, place = self._entries[name]
        mark, *lengths = _unpack("<I22xHH", self._data, place)
        start = place + 30 + sum(lengths)
        content = self._data[start : start + packed]
        if mark != 0x04034B50 or len(content) < packed:
            raise BadFileError(f"its member {name!r} is damaged")
        if flags & 1 or method not in (_STORED, _DEFLATED):
            raise BadFileError(f"its member {name!r} is encrypted, or packed in an unknown way")
        if method == _DEFLATED:
            content = self._inflated(name, content, size)
        if len(content) != size or zlib.crc32(content) != checksum:
            raise BadFileError(f"its member {name!r} is damaged: the checksum is wrong")
        return content

    def _inflated(self, name: str, content: memoryview, size: int) -> memoryview:
        self._spare -= size + len(content)
        if self._spare < 0:
            raise BadFileError(f"its member {name!r} is compressed too much")
        try:
            return memoryview(zlib.decompressobj(-15).decompress(content, size + 1))
        except zlib.error:
            raise BadFileError(f"its member {name!r} is damaged") from None
