"""A reader of HDF5 as Keras writes it: groups, text attributes and whole arrays; nothing else.

Hostile files have crashed the HDF5 library, and a crash cannot be caught. This reader never follows
a reference out of the file, limits how many structures it reads, and returns no more bytes of
arrays than the file has. Arrays are views of the file's bytes.

The format: The HDF Group, "HDF5 File Format Specification Version 3.0", sections II to IV.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .untrusted import BadFileError, decoded

MAGIC = b"\x89HDF\r\n\x1a\n"
_LONGEST = 20_000_000  # bytes of a text
_STEPS = 200_000  # structures read in one file; a layer has about 50
_UNDEFINED = 2**64 - 1
_DATASPACE, _DATATYPE, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOLS = 1, 3, 8, 12, 16, 17
_FLOAT, _STRING, _VARIABLE = 1, 3, 9  # classes of types
# Bit offset and precision, place and size of exponent and mantissa, bias: as IEEE 754 has them.
_IEEE: dict[bytes, np.dtype] = {
    struct.pack("<HHBBBBI", 0, 32, 23, 8, 0, 23, 127): np.dtype("<f4"),
    struct.pack("<HHBBBBI", 0, 64, 52, 11, 0, 52, 1023): np.dtype("<f8"),
}


class _Type(NamedTuple):
    """A type: its class, bytes per value, and the NumPy type if it is a float."""

    kind: int
    size: int
    dtype: np.dtype | None
    text: bool


class _Attribute(NamedTuple):
    type: _Type
    shape: tuple[int, ...]
    data: memoryview


class HDF5File:
    """An HDF5 file in memory.

    Parameters
    ----------
    data : bytes or memoryview

    Raises
    ------
    BadFileError
        If it is damaged, or has what Keras does not write. The methods of nodes raise it, too.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._steps = 0
        self._left = len(self._data)
        if self._data[:8] != MAGIC:
            raise BadFileError("it is not an HDF5 file")
        version, offsets, lengths = self.unpack("<B4xBB", 8)
        if version != 0 or (offsets, lengths) != (8, 8):
            raise BadFileError("its HDF5 layout is not the one that Keras writes")
        base, end, root = self.unpack("<Q8xQ16xQ", 24)
        if base != 0:
            raise BadFileError("its HDF5 layout is not the one that Keras writes")
        if end > len(self._data):
            raise BadFileError("it is cut off")
        self.root = Node(self, root)

    def step(self) -> None:
        """Count one more structure that is read."""
        self._steps += 1
        if self._steps > _STEPS:
            raise BadFileError("it describes more than a model has")

    def at(self, place: int, size: int) -> memoryview:
        """Return bytes of the file."""
        if place < 0 or size < 0 or place + size > len(self._data):
            raise BadFileError("it is cut off, or points outside itself")
        return self._data[place : place + size]

    def unpack(self, form: str, place: int) -> tuple[int, ...]:
        """Return numbers at a place."""
        return struct.unpack(form, self.at(place, struct.calcsize(form)))

    def mark(self, place: int, mark: bytes) -> None:
        """Require a structure's mark at its place."""
        self.step()
        if self.at(place, 4) != mark:
            raise BadFileError(f"its HDF5 structure {mark.decode()} is damaged")

    def spend(self, size: int) -> None:
        """Count bytes of arrays: overlapping arrays could turn a small file into much memory."""
        self._left -= size
        if self._left < 0:
            raise BadFileError("its arrays overlap")

    def heap_object(self, place: int, index: int) -> memoryview:
        """Return an object of a global heap."""
        self.mark(place, b"GCOL")
        end = place + self.unpack("<Q", place + 8)[0]
        at = place + 16
        while at + 16 <= end:
            self.step()
            number, _, size = self.unpack("<HH4xQ", at)
            if number == index != 0:
                return self.at(at + 16, size)
            if number == 0:
                break
            at += 16 + _padded(size)
        raise BadFileError("a text in it is missing")


class Node:
    """A group or an array of a file.

    Parameters
    ----------
    file : HDF5File
    place : int
        Of its object header.
    """

    def __init__(self, file: HDF5File, place: int) -> None:
        self._file = file
        self._messages = list(self._read_messages(place))

    def _read_messages(self, place: int) -> Iterator[tuple[int, memoryview]]:
        file = self._file
        version, length = file.unpack("<B7xI", place)
        if version != 1:
            raise BadFileError("an object header in it is damaged, or not as Keras writes it")
        blocks, seen = [(place + 16, length)], {place + 16}
        for at, size in blocks:  # grows
            block = file.at(at, size)
            start = 0
            while start + 8 <= size:
                file.step()
                kind, length, flags = struct.unpack_from("<HHB", block, start)
                body = block[start + 8 : start + 8 + length]
                if len(body) < length:
                    raise BadFileError("an object header in it is damaged")
                start += 8 + length
                if flags & 2:  # the body lies elsewhere
                    raise BadFileError("it shares descriptions, which Keras does not write")
                if kind == _CONTINUATION:
                    following = _unpacked("<QQ", body)
                    if following[0] in seen:
                        raise BadFileError("an object header in it goes in circles")
                    seen.add(following[0])
                    blocks.append((following[0], following[1]))
                else:
                    yield kind, body

    def _message(self, kind: int) -> memoryview | None:
        return next((body for found, body in self._messages if found == kind), None)

    # ---- groups ----

    def members(self) -> dict[str, int]:
        """Return the place of each member of a group; nothing for an array."""
        body = self._message(_SYMBOLS)
        if body is None:
            return {}
        tree, heap = _unpacked("<QQ", body)
        file = self._file
        file.mark(heap, b"HEAP")
        size, _, place = file.unpack("<QQQ", heap + 8)
        names = file.at(place, size)
        found: dict[str, int] = {}
        for leaf in self._leaves(tree):
            file.mark(leaf, b"SNOD")
            for i in range(file.unpack("<H", leaf + 6)[0]):
                file.step()
                name, header = file.unpack("<QQ", leaf + 8 + 40 * i)
                found[_name(names, name)] = header
        return found

    def _leaves(self, tree: int) -> Iterator[int]:
        waiting, seen = [tree], {tree}
        while waiting:
            node = waiting.pop()
            self._file.mark(node, b"TREE")
            kind, level, used = self._file.unpack("<BBH", node + 4)
            if kind != 0:
                raise BadFileError("a group in it is damaged")
            for i in range(used):
                self._file.step()
                child = self._file.unpack("<Q", node + 32 + 16 * i)[0]
                if child in seen:
                    raise BadFileError("a group in it goes in circles")
                seen.add(child)
                if level:
                    waiting.append(child)
                else:
                    yield child

    def get(self, path: str) -> Node | None:
        """Return what lies under a path such as 'layers/dense', or None."""
        node = self
        for name in path.split("/"):
            place = node.members().get(name)
            if place is None:
                return None
            node = Node(self._file, place)
        return node

    # ---- arrays ----

    def array(self) -> np.ndarray:
        """Return an array of float32 or float64, a view of the file."""
        bodies = [self._message(kind) for kind in (_DATASPACE, _DATATYPE, _LAYOUT)]
        space, kind, layout = bodies
        if space is None or kind is None or layout is None:
            raise BadFileError("an array in it is damaged")
        shape, dtype = _shape(space), _type(kind).dtype
        if dtype is None:
            raise BadFileError("an array in it is neither float32 nor float64")
        size = math.prod(shape) * dtype.itemsize
        version, storage = _unpacked("<BB", layout)
        if version != 3 or storage not in (0, 1):
            raise BadFileError("an array in it is cut into chunks, which Keras does not write")
        if storage == 0:
            data = layout[4 : 4 + _unpacked("<H", layout[2:])[0]]
        else:
            place, length = _unpacked("<QQ", layout[2:])
            data = self._file.at(0 if place == _UNDEFINED and not size else place, length)
        if len(data) != size:
            raise BadFileError("the size of an array in it does not match its shape")
        self._file.spend(size)
        return np.frombuffer(data, dtype).reshape(shape)

    # ---- attributes ----

    def _attribute(self, wanted: str) -> _Attribute | None:
        for kind, body in self._messages:
            if kind == _ATTRIBUTE:
                self._file.step()
                name, attribute = _attribute(body)
                if name == wanted:
                    return attribute
        return None

    def texts(self, name: str) -> list[str] | None:
        """Return an attribute of texts as a list, or None if no attribute has that name."""
        attribute = self._attribute(name)
        if attribute is None:
            return None
        kind, count = attribute.type, math.prod(attribute.shape)
        if count == 0:
            return []
        if not kind.text or kind.size < 1 or count * kind.size > len(attribute.data):
            raise BadFileError(f"its attribute {name!r} is not text")
        found = []
        for start in range(0, count * kind.size, kind.size):
            self._file.step()
            raw = attribute.data[start : start + kind.size]
            if kind.kind == _VARIABLE:
                length, place, index = _unpacked("<IQI", raw)
                raw = self._file.heap_object(place, index)[:length]
                self._file.spend(len(raw))
            found.append(_decoded(raw))
        return found

    def text(self, name: str) -> str | None:
        """Return an attribute that is one text, or None if no attribute has that name."""
        found = self.texts(name)
        if found is not None and len(found) != 1:
            raise BadFileError(f"its attribute {name!r} is not one text")
        return found[0] if found else None


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8


def _unpacked(form: str, data: memoryview) -> tuple[int, ...]:
    if len(data) < struct.calcsize(form):
        raise BadFileError("a description in it is cut off")
    return struct.unpack_from(form, data)


def _decoded(raw: memoryview) -> str:
    """Return a text, up to its first zero."""
    if len(raw) > _LONGEST:
        raise BadFileError("a text in it is longer than a model's")
    return decoded(raw, "a text in it").partition("\0")[0]


def _name(names: memoryview, place: int) -> str:
    """Return a member's name from its group's heap."""
    end = bytes(names[place : place + 1024]).find(0)
    if end < 1:
        raise BadFileError("a name in it is damaged")
    return _decoded(names[place : place + end])


def _shape(body: memoryview) -> tuple[int, ...]:
    version, rank, _, null = _unpacked("<BBBB", body)
    if version not in (1, 2) or rank > 2:
        raise BadFileError("an array in it has more than two dimensions, or is damaged")
    if version == 2 and null == 2:
        return (0,)
    return _unpacked(f"<{rank}Q", body[8 if version == 1 else 4 :])


def _type(body: memoryview) -> _Type:
    kind, bits, size = _unpacked("<BB2xI", body)
    kind &= 15
    dtype = None
    if kind == _FLOAT and bits & 0x41 == 0:  # little-endian
        dtype = _IEEE.get(bytes(body[8:20]))
        if dtype is not None and dtype.itemsize != size:
            dtype = None
    text = kind == _STRING or (kind == _VARIABLE and bits & 15 == 1 and size == 16)
    return _Type(kind, size, dtype, text)


def _attribute(body: memoryview) -> tuple[str, _Attribute]:
    """Split an attribute into its name, and its type, shape and bytes."""
    version, *sizes = _unpacked("<BxHHH", body)
    if version not in (1, 2, 3):
        raise BadFileError("an attribute in it is damaged")
    at, pieces = 9 if version == 3 else 8, []
    for size in sizes:
        pieces.append(body[at : at + size])
        if len(pieces[-1]) < size:
            raise BadFileError("an attribute in it is cut off")
        at += _padded(size) if version == 1 else size
    name, kind, space = pieces
    text = _decoded(name)
    return text, _Attribute(_type(kind), _shape(space), body[at:])
