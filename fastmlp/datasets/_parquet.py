"""Read Parquet files larger than memory in parts, and prepare each part for a network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._tables.files import damaged_parquet, file_format, open_parquet
from .._tables.frames import from_arrow, index_columns
from .._tables.table import Table, checked_names
from .._utils import arguments
from .._utils.optional import require
from ..errors import DataError
from ..preprocessing import Fitting, Preprocessing, missing_cells

MANY_VALUES = 2**28
_SAMPLE = 100_000  # values of a column for a median
_CHUNK_BYTES = 1 << 23  # numbers decoded at a time
_COLUMN_BYTES = 1 << 18  # of a column, read at a time
_BUFFER_BYTES = 1 << 26  # inputs shuffled together
_BUFFER_ROWS = 1 << 17

Arrays = tuple[np.ndarray, np.ndarray]


class ParquetStream:
    """The rows of a Parquet file, prepared for a network while they are read.

    Without `preprocessing`, it reads the file once to fit one. `streaming.fit` then reads the file
    once per epoch, `streaming.evaluate` and `streaming.predict` once. Memory holds at most two
    shuffle buffers and a part of a row group.

    Parameters
    ----------
    path : str or Path
    target : str or sequence of str, optional
        The column to predict, or several columns of numbers; the last one by default.
    task : {"regression", "classification"}, optional
        Decided from the target by default.
    preprocessing : Preprocessing, optional
        Used as it is, instead of fitting one to the file.
    drop : collection of str
        Columns to leave out, as for `Preprocessing.fit` or `Preprocessing.inputs`.
    categorical, keep, standardize, impute, indicator, max_categories, unknown, date_parts
        As for `Preprocessing.fit`, except that medians and quantiles of a column of more than
        100,000 values are computed from a random sample of 100,000, that numbers are an id only if
        they are in order, and that columns which give the target away, and rows that occur twice,
        are looked for in the first part that is read.
    target_transform
        As for `Preprocessing.fit`.
    buffer_rows : int, optional
        Rows that are shuffled together: 131072 by default, fewer if their inputs would take
        over 64 MiB as float32. There are two buffers: one to train on, one being filled.
    validation_split : float
        Share of the rows, drawn at random, that is left out here and is in `held_out`. Each row
        is drawn by itself, so that the classes have this share nearly, not exactly.
    split_seed : int, optional
        Seed of that draw; drawn if it is not given, and recorded in the attribute `split_seed`.
        To resume a run, give the seed that it had; give the ranks of MPI the same seed.

    Attributes
    ----------
    preprocessing : Preprocessing
    held_out : ParquetStream or None
        The rows that were drawn for validation.
    split_seed : int or None
        None if no rows are held out.
    n_rows : int
    reason : str
        Why this task was chosen.

    Raises
    ------
    DataError
        If the file cannot be read, or a column cannot be used; the message names both.
    """

    def __init__(
        self,
        path: str | Path,
        target: str | Sequence[str] | None = None,
        task: str | None = None,
        *,
        preprocessing: Preprocessing | None = None,
        categorical: Collection[str] = (),
        drop: Collection[str] = (),
        keep: Collection[str] = (),
        standardize: bool | str = True,
        impute: str | None = "median",
        indicator: bool = True,
        max_categories: int = 64,
        unknown: str = "ignore",
        date_parts: bool = False,
        target_transform: str | None = None,
        buffer_rows: int | None = None,
        validation_split: float = 0.0,
        split_seed: int | None = None,
    ) -> None:
        self.path = arguments.path("path", path)
        share = arguments.fraction("validation_split", validation_split)
        self.split_seed = arguments.seed(split_seed) if share else None
        if buffer_rows is not None:
            arguments.integer("buffer_rows", buffer_rows)
        self._buffer_rows = buffer_rows
        self._open()
        self.held_out: ParquetStream | None = None
        self._keeps: Callable[[np.ndarray], np.ndarray] | None = None
        self._draw: tuple[float, int, bool] | None = None  # the arguments of _keeps
        self._unseen: dict[str, int] = {}
        self._filled: dict[str, int] = {}
        self.n_rows = sum(self._sizes)
        self.reason = "it is given"
        if preprocessing is None:
            target = self.names[-1] if target is None else target
            whole = Table(self.path, dict.fromkeys(self.names, ()))
            for name in (*categorical, *drop, *keep):
                whole.require(name)
            fitting = Fitting(
                target,
                task,
                categorical=[name for name in categorical if name not in drop],
                keep=[name for name in keep if name not in drop],
                standardize=standardize,
                impute=impute,
                indicator=indicator,
                max_categories=max_categories,
                unknown=unknown,
                date_parts=date_parts,
                target_transform=target_transform,
                sample=_SAMPLE,
            )
            self._learn(fitting, [n for n in self.names if n not in drop], share)
            preprocessing = fitting.finish()
            preprocessing.dropped = [*drop, *preprocessing.dropped]
            self.reason = fitting.decision[1]
        else:
            preprocessing.check_names(self.names, self.path, drop)
        self.preprocessing = preprocessing
        if share:
            self._split(share)

    def _open(self) -> None:
        if file_format(self.path) != "Parquet":
            raise DataError(f"{self.path}: a stream must be a Parquet file")
        with open_parquet(self.path) as file:
            self._metadata = file.metadata
            index = index_columns(file.schema_arrow)
            every: list[str] = file.schema_arrow.names
        self.names = [name for name in every if name not in index] or every
        groups = self._metadata.num_row_groups
        self._sizes = [self._metadata.row_group(i).num_rows for i in range(groups)]
        self._starts = np.cumsum([0, *self._sizes]).tolist()
        checked_names(every, f"{self.path}: the schema")
        if not sum(self._sizes):
            raise DataError(f"{self.path}: there are columns but no rows")

    def _learn(self, fitting: Fitting, names: list[str], share: float) -> None:
        keeps = _drawn(share, self.split_seed or 0, False)
        for table in self.tables(names):
            rows = None
            if share:
                rows = np.flatnonzero(keeps(table.first_row + np.arange(table.n_rows)))
            fitting.add(table, rows)
            _require_targets(table, fitting.targets)

    def _split(self, share: float) -> None:
        seed = self.split_seed
        assert seed is not None
        kept, held_out = (self._drawn_rows(share, seed, held) for held in (False, True))
        other = object.__new__(ParquetStream)
        vars(other).update(vars(self) | held_out)
        vars(self).update(kept)
        self.held_out = other

    def _drawn_rows(self, share: float, seed: int, held: bool) -> dict[str, Any]:
        """Return the attributes of a stream of the rows that are held out, or of the others."""
        keeps, total, step = _drawn(share, seed, held), sum(self._sizes), 1 << 20
        n_rows = sum(
            int(keeps(np.arange(first, min(first + step, total))).sum())
            for first in range(0, total, step)
        )
        if not n_rows:
            raise DataError(
                f"{self.path}: {total} rows are too few to hold out a fraction of {share:g}"
            )
        return {"_keeps": keeps, "_draw": (share, seed, held), "n_rows": n_rows}

    # ---- sizes ----

    @property
    def n_inputs(self) -> int:
        """Inputs of the network."""
        return self.preprocessing.n_inputs

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one, or one for each class where there are over two."""
        return self.preprocessing.n_outputs

    @property
    def n_groups(self) -> int:
        """Row groups of the file."""
        return len(self._sizes)

    def buffer_rows(self, batch_size: int) -> int:
        """Return the number of rows that are shuffled together, a multiple of `batch_size`.

        Parameters
        ----------
        batch_size : int

        Returns
        -------
        int
        """
        wanted = self._buffer_rows
        if wanted is None:
            wanted = min(_BUFFER_ROWS, _BUFFER_BYTES // (4 * self.n_inputs))
        wanted = min(wanted, self.n_rows)
        return max(1, -(-wanted // batch_size)) * batch_size

    def kept_rows(self, group: int) -> int:
        """Return how many rows of a row group belong to this stream."""
        if self._keeps is None:
            return self._sizes[group]
        rows = self._starts[group] + np.arange(self._sizes[group])
        return int(self._keeps(rows).sum())

    def identity(self) -> dict[str, Any]:
        """Return shape and digest, by which a resumed run recognises its data.

        The digest covers the file's description (which has sizes and statistics of all columns in
        all row groups), the preprocessing, and how rows are drawn and shuffled. It does not cover
        the rows themselves.
        """
        import hashlib

        path = Path(self.path)
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            size = int.from_bytes(file.read(4), "little")
            file.seek(-8 - size, os.SEEK_END)
            state = hashlib.blake2b(file.read(), digest_size=16)
        fitted = json.dumps(self.preprocessing.to_dict(), sort_keys=True)
        size, buffer = path.stat().st_size, self.buffer_rows(1)
        state.update(f"{size} {self._draw} {buffer} {fitted}".encode())
        return {"shape": [self.n_rows, self.n_inputs], "digest": state.hexdigest()}

    # ---- rows ----

    def tables(self, names: Sequence[str], groups: Sequence[int] | None = None) -> Iterator[Table]:
        """Read columns in parts.

        Parameters
        ----------
        names : sequence of str
            The columns.
        groups : sequence of int, optional
            Row groups in the order wanted; all by default.

        Yields
        ------
        Table
        """
        pa = require("pyarrow", "data", f"{self.path}: reading Parquet")
        parquet = require("pyarrow.parquet", "data", f"{self.path}: reading Parquet")
        chunk = _chunk_rows(len(names))
        order = range(self.n_groups) if groups is None else groups
        try:
            # Page by page, so that a row group's column is never in memory as a whole.
            with parquet.ParquetFile(
                self.path, metadata=self._metadata, buffer_size=_COLUMN_BYTES, pre_buffer=False
            ) as file:
                for group in order:
                    first = self._starts[group]
                    for batch in file.iter_batches(
                        chunk, row_groups=[group], columns=list(names), use_threads=False
                    ):
                        if batch.num_rows:
                            batch.validate(full=True)
                            yield from_arrow(batch, self.path, first)
                        first += batch.num_rows
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise damaged_parquet(self.path, error) from error

    def arrays(
        self, dtype: str, groups: Sequence[int] | None = None, with_targets: bool = True
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Read inputs and targets in parts.

        Parameters
        ----------
        dtype : {"float32", "float64"}
        groups : sequence of int, optional
            Row groups in the order wanted; all by default.
        with_targets : bool
            Whether to read the targets; otherwise the file need not have the target column.

        Yields
        ------
        x : ndarray of shape (n, n_inputs)
        y : ndarray of shape (n, number of targets), or None
        """
        state = self.preprocessing
        wanted = {column.name for column in state.columns}
        if with_targets:
            wanted.update(target.name for target in state.all_targets)
        # The preprocessing raises the error for missing columns; it lists all names.
        names = [name for name in self.names if name in wanted]
        if len(names) < len(wanted):
            names = self.names
        self._unseen, self._filled = {}, {}
        for table in self.tables(names, groups):
            x = state.inputs(table, dtype, unseen=self._unseen, filled=self._filled)
            y = None
            if with_targets:
                _require_targets(table, [target.name for target in state.all_targets])
                y = state.targets(table, dtype)
            if self._keeps is not None:
                kept = self._keeps(table.first_row + np.arange(len(x)))
                x, y = x[kept], None if y is None else y[kept]
            if len(x):
                yield x, y

    @property
    def notes(self) -> list[str]:
        """What the last call of `arrays` found: unknown categories, missing cells filled in."""
        state = self.preprocessing
        found = state.unseen_note(self._unseen), state.filled_note(self._filled)
        return [note for note in found if note is not None]

    def kept(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows of the file, given by their numbers, belong to this stream."""
        return np.ones(len(rows), bool) if self._keeps is None else self._keeps(rows)

    def file_rows(self, places: Sequence[int]) -> list[int]:
        """Return the numbers in the file of rows of this stream; its length gives the file's."""
        if self._keeps is None:
            return list(places)
        counts = [self.kept_rows(group) for group in range(self.n_groups)]
        ends = np.cumsum(counts)
        found = []
        for place in places:
            if place == self.n_rows:
                found.append(self._starts[-1])
                continue
            group = int(np.searchsorted(ends, place, side="right"))
            rows = self._starts[group] + np.arange(self._sizes[group])
            found.append(int(rows[self._keeps(rows)][place - (ends[group] - counts[group])]))
        return found

    def part(self, first: int, last: int, n_rows: int, buffer_rows: int) -> ParquetStream:
        """Return the stream of those `n_rows` rows that are from `first` up to `last` in the file.

        It shuffles `buffer_rows` rows together.
        """
        part, keeps = object.__new__(ParquetStream), self._keeps

        def within(rows: np.ndarray) -> np.ndarray:
            inside = (rows >= first) & (rows < last)
            # Most row groups of a large file lie outside.
            return inside if keeps is None or not inside.any() else inside & keeps(rows)

        changed = {"_keeps": within, "_buffer_rows": buffer_rows, "n_rows": n_rows,
                   "held_out": None}  # fmt: skip
        vars(part).update(vars(self) | changed)
        return part

    def __repr__(self) -> str:
        return f"<ParquetStream {self.path!r}: {self.n_rows} rows, {self.n_inputs} inputs>"


def is_large(path: str | Path) -> bool:
    """Return whether a file should be streamed: Parquet with more than 2**28 values.

    Values are rows times columns; as float32 numbers, 2**28 take a gigabyte.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    bool
    """
    if file_format(path) != "Parquet":
        return False
    with open_parquet(path) as file:
        return bool(file.metadata.num_rows * file.metadata.num_columns > MANY_VALUES)


def read_head(path: str | Path) -> Table:
    """Read the first rows of a Parquet file: those that are decoded at a time.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Table
    """
    pa = require("pyarrow", "data", f"{path}: reading Parquet")
    try:
        with open_parquet(path, _COLUMN_BYTES) as file:
            chunk = _chunk_rows(file.metadata.num_columns)
            batches = (batch for batch in file.iter_batches(chunk) if batch.num_rows)
            batch = next(batches, pa.RecordBatch.from_pylist([], file.schema_arrow))
            batch.validate(full=True)
            return from_arrow(batch, str(path))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise damaged_parquet(path, error) from error


def _chunk_rows(n_columns: int) -> int:
    return max(1, _CHUNK_BYTES // (4 * max(1, n_columns)))


def _require_targets(table: Table, names: Sequence[str]) -> None:
    """Raise DataError for a missing target: a stream's rows are counted before they are read."""
    for name in names:
        table.require(name, "target column")
        missing = missing_cells(table, name)
        if missing.any():
            raise DataError(
                f"{table.where(int(np.argmax(missing)), name)}: the target is missing, and a "
                "stream needs one in every row; leave such rows out of the file, or read it into "
                "memory, which leaves them out (--no-stream)"
            )


def _drawn(share: float, seed: int, held: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that marks, by row number, the rows that are held out, or the others."""
    limit = np.uint64(int(share * 2**64))
    start = np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])

    def keeps(rows: np.ndarray) -> np.ndarray:
        return (_mixed(rows.astype(np.uint64) + start) < limit) == held

    return keeps


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Scramble 64-bit numbers: SplitMix64 (Steele, Lea & Flood, 2014)."""
    bits = bits * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def shuffled(seed: int, epoch: int, n: int) -> list[int]:
    """Return the order of `n` row groups in an epoch."""
    sequence = np.random.SeedSequence(seed, spawn_key=(epoch,))
    return np.random.default_rng(sequence).permutation(n).tolist()


def buffer_seed(seed: int, epoch: int, buffer: int) -> int:
    """Return the seed of the order of rows, and of dropout, in one buffer of one epoch."""
    sequence = np.random.SeedSequence(seed, spawn_key=(epoch, buffer))
    return int(sequence.generate_state(1, np.uint64)[0])
