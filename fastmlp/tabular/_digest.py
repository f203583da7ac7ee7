"""Which rows a model has seen: hashes of the rows, few enough for a model file."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._utils import arguments
from .._utils.sparse import is_sparse
from ..errors import ModelFileError

_BYTES = 5  # of each hash: two different rows have the same one in 10**12 cases
_MOST_HASHES = 16_384  # of the training rows, and as many of the held-out ones: 80 KiB
_MOST_MARKED = 2**23  # rows of a file whose held-out rows are marked one by one: 1 MiB
_CHUNK = 2**18  # values that are hashed at once
_SEED = 20_180_913


def row_hashes(x: Any, y: Any) -> np.ndarray:
    """Return a hash of each row, by its inputs and targets alone.

    Parameters
    ----------
    x : array-like or sparse matrix of shape (n, n_inputs)
        The network's inputs, which are compared as float32.
    y : array-like of shape (n,) or (n, n_outputs)

    Returns
    -------
    ndarray of shape (n,), uint64
        Below 2**40.
    """
    n, width = x.shape
    y = np.asarray(y, np.float32).reshape(n, -1)
    factors = np.random.default_rng(_SEED).integers(
        1, 2**63, width + y.shape[1], np.uint64
    ) * np.uint64(2) + np.uint64(1)
    result = np.empty(n, np.uint64)
    step = max(1, _CHUNK // max(1, width))
    for start in range(0, n, step):
        part = x[start : start + step]
        part = part.toarray() if is_sparse(part) else part
        row = np.concatenate([np.asarray(part, np.float32), y[start : start + step]], axis=1)
        row = row + np.float32(0)  # -0 becomes 0
        bits = np.ascontiguousarray(row).view(np.uint32).astype(np.uint64)
        mixed = bits @ factors  # modulo 2**64
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        result[start : start + step] = mixed >> np.uint64(64 - 8 * _BYTES)
    return result


@dataclass
class Hashes:
    """Distinct hashes of rows, all of them or those below a limit.

    Parameters
    ----------
    kept : ndarray of uint64
        Sorted.
    limit : int
        Hashes from this on are not kept: below it lies a random part of the rows.
    n_rows : int
    """

    kept: np.ndarray
    limit: int
    n_rows: int

    @classmethod
    def of(cls, hashes: np.ndarray) -> Hashes:
        """Keep hashes of rows, at most 16,384."""
        distinct = np.unique(hashes)
        limit = 1 << 8 * _BYTES
        if len(distinct) > _MOST_HASHES:
            limit = int(distinct[_MOST_HASHES])
            distinct = distinct[:_MOST_HASHES]
        return cls(distinct, limit, len(hashes))

    @property
    def complete(self) -> bool:
        """Whether no hash was left out."""
        return self.limit == 1 << 8 * _BYTES

    def known(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows are among these, and which rows can be compared at all.

        Returns
        -------
        known, compared : ndarrays of bool, shape (n,)
        """
        compared = hashes < np.uint64(self.limit)
        if not len(self.kept):
            return np.zeros(len(hashes), bool), compared
        place = np.minimum(np.searchsorted(self.kept, hashes), len(self.kept) - 1)
        return (self.kept[place] == hashes) & compared, compared

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        little = self.kept.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :_BYTES]
        return {
            "hashes": base64.b64encode(little.tobytes()).decode("ascii"),
            "limit": self.limit,
            "n_rows": self.n_rows,
        }

    @classmethod
    def from_dict(cls, state: Any) -> Hashes:
        """Restore from an untrusted JSON document; raise ValueError or KeyError."""
        if not isinstance(state, dict) or not isinstance(state["hashes"], str):
            raise ValueError(f"{arguments.shown(state)} is not a mapping of hashes")
        raw = np.frombuffer(base64.b64decode(state["hashes"], validate=True), np.uint8)
        if len(raw) % _BYTES or len(raw) > _BYTES * _MOST_HASHES:
            raise ValueError(f"there are {len(raw)} bytes of hashes")
        wide = np.zeros((len(raw) // _BYTES, 8), np.uint8)
        wide[:, :_BYTES] = raw.reshape(-1, _BYTES)
        kept = wide.view("<u8").ravel().astype(np.uint64)
        limit = arguments.integer("limit", state["limit"], 0)
        n_rows = arguments.integer("n_rows", state["n_rows"], 0)
        if limit > 1 << 8 * _BYTES or (np.diff(kept.astype(np.int64)) <= 0).any():
            raise ValueError("hashes do not rise, or their limit is too large")
        return cls(kept, limit, n_rows)


@dataclass
class RowDigest:
    """The rows that a model was trained on, and those that were held out, as a file keeps them.

    Parameters
    ----------
    train : Hashes
    held_out : Hashes
    order : int
        A hash of all rows in their order.
    marks : ndarray of bool, optional
        Which rows of the file were held out, in its order.
    """

    train: Hashes
    held_out: Hashes
    order: int
    marks: np.ndarray | None = None

    @classmethod
    def of(cls, x: Any, y: Any, held_out: Any = ()) -> RowDigest:
        """Return the digest of a table's rows.

        Parameters
        ----------
        x : array-like or sparse matrix of shape (n, n_inputs)
            The network's inputs of all rows.
        y : array-like of shape (n,) or (n, n_outputs)
            The network's targets.
        held_out : array-like of int
            The rows that the final model was not trained on.

        Returns
        -------
        RowDigest
        """
        return cls.of_hashes(row_hashes(x, y), held_out)

    @classmethod
    def of_hashes(cls, hashes: np.ndarray, held_out: Any = ()) -> RowDigest:
        """Return the digest of rows by their hashes."""
        marks = np.zeros(len(hashes), bool)
        marks[np.asarray(held_out, np.intp)] = True
        keep = marks.any() and len(marks) <= _MOST_MARKED
        return cls(
            Hashes.of(hashes[~marks]), Hashes.of(hashes[marks]), _ordered(hashes),
            marks if keep else None,
        )  # fmt: skip

    def held_out_rows(self, hashes: np.ndarray) -> np.ndarray:
        """Return the indices of the rows that were held out from training.

        Parameters
        ----------
        hashes : ndarray of uint64
            `row_hashes` of a table.

        Returns
        -------
        ndarray of int
            All of them if the table is the one that was trained on; otherwise those that are
            recognised, of very many a random part.
        """
        same = self.marks is not None and len(hashes) == len(self.marks)
        if self.marks is not None and same and _ordered(hashes) == self.order:
            return np.flatnonzero(self.marks)
        known, _ = self.held_out.known(hashes)
        seen, _ = self.train.known(hashes)
        return np.flatnonzero(known & ~seen)

    def seen(self, hashes: np.ndarray) -> tuple[int, bool]:
        """Return how many rows the model was trained on, and whether that number is exact.

        Parameters
        ----------
        hashes : ndarray of uint64

        Returns
        -------
        n_seen : int
            Estimated from a random part of the rows if there are very many.
        exact : bool
        """
        known, compared = self.train.known(hashes)
        if self.train.complete:
            return int(known.sum()), True
        share = known.sum() / compared.sum() if compared.any() else 0.0
        return round(share * len(hashes)), False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        state: dict[str, Any] = {
            "train": self.train.to_dict(),
            "held_out": self.held_out.to_dict(),
            "order": self.order,
        }
        if self.marks is not None:
            packed = zlib.compress(np.packbits(self.marks).tobytes(), 9)
            state["marks"] = base64.b64encode(packed).decode("ascii")
            state["n_marks"] = len(self.marks)
        return state

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> RowDigest:
        """Restore from an untrusted JSON document.

        Raises
        ------
        ModelFileError
            If the document is damaged.
        """
        try:
            if not isinstance(state, dict):
                raise ValueError(f"{arguments.shown(state)} is not a mapping")
            train, held = Hashes.from_dict(state["train"]), Hashes.from_dict(state["held_out"])
            order = arguments.integer("order", state["order"], 0)
            marks = _marks(state) if "marks" in state else None
            return cls(train, held, order, marks)
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
            raise ModelFileError(f"{source}: damaged digest of rows: {error}") from error


def _ordered(hashes: np.ndarray) -> int:
    """Return a hash of hashes in their order, below 2**40."""
    place = np.arange(1, len(hashes) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (hashes + np.uint64(1)) * (place | np.uint64(1))
    mixed ^= mixed >> np.uint64(29)
    total = int(mixed.sum(dtype=np.uint64))
    return (total ^ (total >> 24)) & ((1 << 40) - 1)


def _marks(state: dict[str, Any]) -> np.ndarray:
    n = arguments.integer("n_marks", state["n_marks"])
    if n > _MOST_MARKED or not isinstance(state["marks"], str):
        raise ValueError(f"there are {n} marks")
    unpack = zlib.decompressobj()
    raw = unpack.decompress(base64.b64decode(state["marks"], validate=True), (n + 7) // 8 + 1)
    if len(raw) != (n + 7) // 8:
        raise ValueError("marks do not fit their number")
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=n).astype(bool)
