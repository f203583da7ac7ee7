"""Read tables from files: detect the format, and read Parquet, Arrow and NumPy files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._utils import arguments
from .._utils.optional import require
from ..errors import DataError
from .cells import Cells
from .csv import read_csv, reason
from .excel import is_workbook, read_excel
from .frames import array_columns, as_table, checked_table, from_arrow
from .options import ReadingOptions
from .parquet_footer import FooterError, read_footer
from .table import Table

_SUFFIXES = {
    ".tsv": "TSV",
    ".tab": "TSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".feather": "Arrow",
    ".arrow": "Arrow",
    ".ipc": "Arrow",
    ".npy": "npy",
    ".npz": "npz",
    ".xlsx": "Excel",
    ".xlsm": "Excel",
}
_MARKS = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\x93NUMPY": "npy",
    b"PK\x03\x04": "npz",
}


def file_format(path: str | Path) -> str:
    """Detect a file's format by its first bytes, else by its suffix.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    {"CSV", "TSV", "Parquet", "Arrow", "npy", "npz", "Excel"}
        CSV for standard input, pipes, compressed text and unknown suffixes.

    Raises
    ------
    DataError
        If the file cannot be read, or its content does not match its suffix.
    """
    if arguments.path("path", path) == "-":
        return "CSV"
    expected = _SUFFIXES.get(Path(path).suffix.lower(), "CSV")
    try:
        if not Path(path).is_file():
            Path(path).stat()
            return expected if expected == "TSV" else "CSV"
        with Path(path).open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from error
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError(f"{path}: a workbook of the old format .xls; save it as .xlsx or CSV")
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return _kind_of_zip(path, expected) if name == "npz" else name
    if expected in ("CSV", "TSV"):
        return expected
    if not start:
        raise DataError(f"{path}: the file is empty; expected the format {expected}")
    if expected == "Arrow" and start.startswith(b"\xff\xff\xff\xff"):
        return "Arrow"  # the stream format, which has no mark
    marks = [mark for mark, name in _MARKS.items() if name == expected]
    raise DataError(
        f"{path}: not a file of the format {expected}: it begins with {start[:6]!r}, "
        f"expected {marks[0]!r}"
    )


def _kind_of_zip(path: str | Path, expected: str) -> str:
    """Tell arrays, a workbook and compressed text apart."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, RuntimeError):
        return "Excel" if expected == "Excel" else "npz"  # its reader says what is wrong
    if is_workbook(names):
        return "Excel"
    if expected in ("CSV", "TSV") and names and not any(n.endswith(".npy") for n in names):
        return expected
    return "Excel" if expected == "Excel" else "npz"


def read_table(
    path: str | Path,
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    header: bool | None = None,
    missing: str | Sequence[str] | None = None,
    dates: str | None = None,
    sheet: str | None = None,
    like: ReadingOptions | None = None,
) -> Table:
    """Read a table from a file.

    The format of a text file is detected as far as the options do not set it; `Table.notes` lists
    what was detected. A column that can be read in two ways raises an error, which shows two of its
    cells, when the column is used.

    Parameters
    ----------
    path : str or Path
        CSV, TSV and other text, also compressed (``.gz``, ``.bz2``, ``.xz``, ``.zip``), NumPy
        ``.npy`` or ``.npz``; with the extra ``data`` also Parquet, Arrow (Feather), Excel
        (``.xlsx``) and text compressed as ``.zst``. ``"-"`` is text from standard input. An
        ``.npy`` array's columns are ``x1`` to ``xk``, or its fields. An array of an ``.npz`` file
        is a column under the array's name, or several, numbered.
    delimiter : str, optional
        Separator of columns: one character, or ``"tab"``; a space means any white space.
    decimal : {".", ","}, optional
        Decimal separator.
    thousands : {",", ".", " ", "'", ""}, optional
        Thousands separator, ``""`` for none.
    encoding : str, optional
        Such as ``"utf-8"`` or ``"cp1252"``.
    comment : str, optional
        Lines that begin with this text are skipped; by default `#`, `%` or `//`, if the file begins
        with such a line.
    header : bool, optional
        Whether the first row contains the column names. If not, the columns are ``x1`` to ``xk``.
        By default it does, and a first row that looks like data is an error.
    missing : str or sequence of str, optional
        Words for a missing value, in addition to empty cells. By default ``NA``, ``N/A``, ``NaN``,
        ``null``, ``#N/A`` and ``<NA>``, which are always missing values in columns of numbers.
    dates : {"dmy", "mdy"}, optional
        Order of day and month in numeric dates.
    sheet : str, optional
        Sheet of a workbook; by default the first with a table.
    like : ReadingOptions, optional
        How another table was read (`Table.reading`). Its options are the defaults here, and the
        settings detected there are used where this file is ambiguous.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file cannot be read or is not a table; the message names the file and, where
        known, row, line and column.
    ValueError
        If an option has an unknown value.
    """
    options = ReadingOptions(
        delimiter, decimal, thousands, encoding, comment, header, missing, dates, sheet
    ).over(like)
    kind = file_format(path)
    if sheet is not None and kind != "Excel":
        raise DataError(f"{path}: --sheet names a sheet of a workbook (.xlsx), but this is {kind}")
    if kind in ("CSV", "TSV"):
        return read_csv(path, options=options)
    if kind == "Excel":
        return read_excel(path, options)
    readers: dict[str, Callable[[str | Path], Table]] = {
        "Parquet": _read_parquet,
        "Arrow": _read_arrow,
        "npy": _read_npy,
        "npz": _read_npz,
    }
    table = readers[kind](path)
    table.context.options = options
    return table


# ---- Arrow and Parquet -------------------------------------------------------------------------


def _read_arrow(path: str | Path) -> Table:
    pa = require("pyarrow", "data", f"{path}: reading Arrow")
    try:
        with pa.OSFile(str(path)) as file:
            stream = file.read(6) != b"ARROW1"
            file.seek(0)
            table = (pa.ipc.open_stream if stream else pa.ipc.open_file)(file).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: damaged or cut off Arrow file: {first_line(error)}") from error
    return from_arrow(table, str(path))


def _read_parquet(path: str | Path) -> Table:
    pa = require("pyarrow", "data", f"{path}: reading Parquet")
    with open_parquet(path) as file:
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        refuse_oversize(path, f"{rows:,} rows of {columns} columns", 8 * rows * columns)
        try:
            table = file.read()
            table.validate(full=True)  # the pages' codes and texts
            return from_arrow(table, str(path))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise damaged_parquet(path, error) from error


def open_parquet(path: str | Path, buffer_size: int = 0) -> Any:
    """Open a Parquet file after checking that its description fits its size.

    Parameters
    ----------
    path : str or Path
    buffer_size : int
        Bytes of each column to read at a time; 0: a row group's column as a whole.

    Returns
    -------
    pyarrow.parquet.ParquetFile

    Raises
    ------
    DataError
        If it cannot be read, is cut off, or declares more than it can hold.
    """
    pa = require("pyarrow", "data", f"{path}: reading Parquet")
    parquet = require("pyarrow.parquet", "data", f"{path}: reading Parquet")
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as raw:
            raw.seek(max(0, size - 4))
            if raw.read() != b"PAR1" or size < 12:
                raise DataError(
                    f"{path}: the Parquet file is cut off or damaged: {size:,} bytes that do not "
                    "end with b'PAR1'"
                )
        _check_parquet(size, path)
        file = parquet.ParquetFile(path, buffer_size=buffer_size, pre_buffer=False)
        try:
            file.schema_arrow.names  # noqa: B018  # decoded on access
        except BaseException:
            file.close()
            raise
        return file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise damaged_parquet(path, error) from error


def _check_parquet(size: int, path: str | Path) -> None:
    """Compare what the description declares with the file, without pyarrow; see `read_footer`."""
    damaged = f"{path}: the Parquet file is cut off or damaged: "
    try:
        n_rows, groups = read_footer(path)
    except FooterError as error:
        raise DataError(f"{damaged}{error}") from None
    for i, group in enumerate(groups):
        for column in group.chunks if group.n_rows else ():
            if column.start < 4 or column.length < 0 or column.start + column.length > size:
                raise DataError(
                    f"{damaged}column '{column.name}' of row group {i + 1} should be "
                    f"{column.length:,} bytes at {column.start:,}, but the file has {size:,}"
                )
    declared = sum(group.n_rows for group in groups)
    if declared != n_rows or any(group.n_rows < 0 for group in groups):
        raise DataError(
            f"{path}: the Parquet file is damaged: it declares {n_rows:,} rows, its row groups "
            f"{declared:,}"
        )


def damaged_parquet(path: str | Path, error: Exception) -> DataError:
    """Make the error for a Parquet file that pyarrow cannot read."""
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{path}: {reason(error)}")
    return DataError(f"{path}: damaged or cut off Parquet file: {first_line(error)}")


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def refuse_oversize(path: str | Path, what: str, n_bytes: int) -> None:
    """Raise DataError if data would not fit into this machine's memory, before reading any."""
    if not hasattr(os, "sysconf"):  # Windows: reading too much raises MemoryError
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if n_bytes > memory:
        raise DataError(
            f"{path}: it declares {what}, {n_bytes / 2**30:,.1f} GiB as numbers; this machine has "
            f"{memory / 2**30:,.1f} GiB of memory"
        )


# ---- NumPy -------------------------------------------------------------------------------------


def _read_npy(path: str | Path) -> Table:
    try:
        # Mapped: NumPy checks the declared size against the file before allocating.
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        return as_table(array, str(path))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # NumPy evaluates the header: many kinds of errors
        raise _bad_numpy(path, "array", error) from error


def _read_npz(path: str | Path) -> Table:
    columns: list[tuple[str, Cells]] = []
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                _check_member(archive, name, path)
                array = arrays[name]
                if not isinstance(array, np.ndarray):
                    raise DataError(f"{path}: '{name}' is not an array")
                columns += array_columns(name, array, f"{path}: array '{name}'")
        return checked_table(str(path), [name for name, _ in columns], [c for _, c in columns])
    except (DataError, MemoryError):
        raise
    except Exception as error:  # from zipfile, zlib and NumPy, which evaluates headers
        raise _bad_numpy(path, "archive of arrays", error) from error


def _check_member(archive: zipfile.ZipFile, name: str, path: str | Path) -> None:
    """Compare the size that an array's header declares with the file, before allocating."""
    member = name if name in archive.namelist() else f"{name}.npy"
    info = archive.getinfo(member)
    refuse_oversize(path, f"an array '{name}' of {info.file_size:,} bytes", info.file_size)
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version > (1, 0):  # version 3 differs only in the encoding of names
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        declared = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if declared > info.file_size and not dtype.hasobject:
            raise DataError(
                f"{path}: array '{name}' declares the shape {shape} of {dtype}, {declared:,} "
                f"bytes, but the file holds {info.file_size:,} of it"
            )


def _bad_numpy(path: str | Path, what: str, error: Exception) -> DataError:
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{path}: {reason(error)}")
    text = first_line(error)
    if "allow_pickle" in text or "Python objects" in text:
        text = "it holds Python objects; expected numbers"
    elif "mmap length" in text:
        text = "its header declares more than the file holds"
    return DataError(f"{path}: not a usable NumPy {what}: {text}")
