"""Files that are no table to train on, each with words that its error must have.

A maker writes the file and is called with its path. `options` are those of `Preprocessing.fit`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Bad(NamedTuple):
    name: str
    file: str
    make: Callable[[Path], Any]
    text: str
    options: dict[str, Any] = {}  # noqa: RUF012
    target: str = "y"


def content(data: str | bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else data.encode())


def parquet(table: Callable[[Any], Any], **options: Any) -> Callable[[Path], Any]:
    def make(path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet as pq

        pq.write_table(table(pa), path, **options)

    return make


def changed(make: Callable[[Path], Any], change: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    def both(path: Path) -> None:
        make(path)
        path.write_bytes(change(path.read_bytes()))

    return both


def plain(pa: Any) -> Any:
    return pa.table({"a": np.arange(1000.0), "k": ["u", "v"] * 500, "y": np.arange(1000.0)})


def ten_gigabytes_of_parquet(path: Path) -> None:
    """Write the description of 1280 row groups of 8 MB, and none of them."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    table = pa.table({"a": np.arange(2.0**19), "y": np.arange(2.0**19)})
    pq.write_table(table, path, use_dictionary=False, compression="none")
    metadata = pq.read_metadata(path)
    for _ in range(8):
        metadata.append_row_groups(metadata)
    five = pq.read_metadata(path)
    for _ in range(5):
        five.append_row_groups(metadata)
    assert five.num_rows * 2 * 8 > 10**10
    five.write_metadata_file(path)


def arrow(path: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, plain(pa).schema) as writer:
        writer.write_table(plain(pa))


def npy(array: Any) -> Callable[[Path], Any]:
    return lambda path: np.save(path, array, allow_pickle=True)


def ten_gigabytes_of_npy() -> bytes:
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1_250_000, 1000)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + bytes(80)


def ten_gigabytes_of_npz(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", ten_gigabytes_of_npy())


def npz(**arrays: Any) -> Callable[[Path], Any]:
    return lambda path: np.savez(path, **arrays)


def loop(path: Path) -> None:
    path.symlink_to(path)


GOOD = "a,k,y\n1,u,1.5\n2,v,2.5\n3,u,3.5\n"
CUT = "the Parquet file is cut off or damaged"

TEXT = [
    Bad("no file", "t.csv", lambda path: None, "t.csv: no such file or directory"),
    Bad("directory", "t.csv", Path.mkdir, "t.csv: is a directory"),
    Bad("unreadable", "t.csv", loop, "t.csv: too many levels of symbolic links"),
    Bad("empty", "t.csv", content(""), "t.csv: the file is empty; expected a header row"),
    Bad("no rows", "t.csv", content("a,y\n"), "t.csv: there is a header but no rows"),
    Bad("one row", "t.csv", content("a,y\n1,2.5\n"), "t.csv: 1 row; expected at least two"),
    Bad("no header", "t.csv", content("1,2\n3,4\n"), "the first row holds numbers (1, 2)"),
    Bad("double header", "t.csv", content("y,a,a\n1,2,3\n"), "names column 'a' twice, as co"),
    Bad("unnamed column", "t.csv", content("y,\n1,2\n"), "column 2 has no name"),
    Bad("short row", "t.csv", content("a,y\n1,2\n3\n"), "row 2 (line 3) has 1 fields, expected 2"),
    Bad("long row", "t.csv", content("a,y\n1,2,3\n"), "row 1 (line 2) has 3 fields, expected 2"),
    Bad("NUL", "t.csv", content(b"a,y\n1\0,1\n"), "line 2 holds a NUL byte"),
    Bad(
        "two encodings",
        "t.csv",
        content(b"a,y\n\xc3\xa9,1\n\xe9,2\n"),
        "line 3: not UTF-8 text, while line 2 is; save the file in one encoding, or name it (--enc",
    ),
    Bad("open quote", "t.csv", content('a,y\n1,"2\n'), "row 1 (line 2): a quoted field is not"),
    Bad("mixed", "t.csv", content("a,y\n1,1\nx,2\n3,3\n"), "row 2 (line 3), column 'a': 'x' is"),
    Bad("infinite", "t.csv", content("a,y\n1,1\n-inf,2\n"), "column 'a': '-inf' is not a finite"),
    Bad(
        "missing",
        "t.csv",
        content("a,y\n1,1.5\n,2\n"),
        "line 3), column 'a': the value is miss",
        {"impute": "none"},
    ),
    Bad(
        "all missing",
        "t.csv",
        content("a,y\n,1.5\nNA,2\n"),
        "column 'a' has no values, and there is no other input",
    ),
    Bad(
        "too large",
        "t.csv",
        content("a,y\n1,1.5\n1e39,2\n"),
        "'1e39' is too large for float32",
        {"standardize": False},
    ),
    Bad(
        "classes",
        "t.csv",
        content("a,y\n" + "".join(f"{i},c{i}\n" for i in range(1001))),
        "column 'y' has more than 1000 classes",
    ),
    Bad("no target", "t.csv", content(GOOD), "no target column 'Y'. Did you mean 'y'?", target="Y"),
    Bad("target missing", "t.csv", content("a,y\n1,1.5\n2,\n"), "t.csv: 1 row with a target"),
    Bad("target constant", "t.csv", content("a,y\n1,2.5\n2,2.5\n"), "the number 2.5 in every row"),
    Bad("one class", "t.csv", content("a,y\n1,u\n2,u\n"), "column 'y' holds one class only ('u')"),
    Bad(
        "target dates",
        "t.csv",
        content("a,y\n1,2024-05-31\n2,2024-06-01\n"),
        "the target holds dates",
    ),
    Bad(
        "target text",
        "t.csv",
        content("a,y\n1,u\n2,v\n"),
        "row 1 (line 2), column 'y': 'u' is text",
        {"task": "regression"},
    ),
    Bad("no inputs", "t.csv", content("y\n1\n2\n"), "there is no input column besides 'y'"),
]

NUMPY = [
    Bad("npy of 10 GB", "t.npy", content(ten_gigabytes_of_npy()), "declares more than the file"),
    Bad("npy cut", "t.npy", changed(npy(np.ones((9, 2))), lambda b: b[:-1]), "more than the file"),
    Bad("npy header cut", "t.npy", changed(npy(np.ones(9)), lambda b: b[:30]), "not a usable"),
    Bad("npy empty", "t.npy", content(""), "t.npy: the file is empty"),
    Bad("npy of text", "t.npy", content(GOOD), "not a file of the format npy"),
    Bad("npy of objects", "t.npy", npy(np.array([[1], None], object)), "it holds Python objects"),
    Bad("npy of no rows", "t.npy", npy(np.ones((0, 3))), "there are columns but no rows"),
    Bad("npy of 3 axes", "t.npy", npy(np.ones((2, 2, 2))), "shape (rows, columns). Received: (2,"),
    Bad("npy of NaN", "t.npy", npy(np.array([[1, np.nan], [2, np.nan]])),
        "no row has a value of the target 'x2'", target="x2"),
    Bad("npy infinite", "t.npy", npy(np.array([[1, 1.5], [np.inf, 2]])), "row 2, column 'x1'",
        target="x2"),
    Bad("npz uneven", "t.npz", npz(x=np.ones((3, 2)), y=np.ones(2)), "column 'y' has 2 rows"),
    Bad("npz cut", "t.npz", changed(npz(y=np.ones(9)), lambda b: b[:-30]), "not a usable NumPy"),
    Bad("npz of objects", "t.npz", npz(y=np.array([None])), "it holds Python objects"),
    Bad("npz of 10 GB", "t.npz", ten_gigabytes_of_npz, "declares the shape (1250000, 1000)"),
]  # fmt: skip

PARQUET = [
    Bad("Parquet cut", "t.parquet", changed(parquet(plain), lambda b: b[:-9]), CUT),
    Bad("Parquet hollow", "t.parquet", changed(parquet(plain), lambda b: b[:50] + b[-2000:]), CUT),
    Bad(
        "Parquet page",
        "t.parquet",
        changed(parquet(plain), lambda b: b[:80] + b"\xff" * 60 + b[140:]),
        "damaged or cut off Parquet file",
    ),
    Bad("Parquet of 10 GB", "t.parquet", ten_gigabytes_of_parquet, "should be 4,19"),
    Bad("Parquet empty", "t.parquet", content(""), "t.parquet: the file is empty"),
    Bad("Parquet of text", "t.parquet", content(GOOD), "not a file of the format Parquet"),
    Bad(
        "Parquet of no rows",
        "t.parquet",
        parquet(lambda pa: plain(pa).slice(0, 0)),
        "there are columns but no rows",
    ),
    Bad("Parquet one row", "t.parquet", parquet(lambda pa: plain(pa).slice(0, 1)), "1 row; expect"),
    Bad(
        "Parquet double",
        "t.parquet",
        parquet(lambda pa: pa.Table.from_arrays([pa.array([1, 2])] * 2, ["y", "y"])),
        "names column 'y' twice",
    ),
    Bad(
        "Parquet lists",
        "t.parquet",
        parquet(lambda pa: pa.table({"a": [[1], [2]], "y": [1.5, 2]})),
        "column 'a' has the type list<",
    ),
    Bad(
        "Parquet infinite",
        "t.parquet",
        parquet(lambda pa: plain(pa).set_column(0, "a", pa.array([np.inf] * 1000))),
        "row 1, column 'a': 'inf' is not a finite number",
    ),
    Bad(
        "Parquet null",
        "t.parquet",
        parquet(lambda pa: plain(pa).set_column(0, "a", pa.array([*range(999), None]))),
        "row 1000, column 'a': the value is missing",
        {"impute": "none"},
    ),
]  # fmt: skip

ARROW = [
    Bad("Arrow cut", "t.arrow", changed(arrow, lambda b: b[:-9]), "damaged or cut off Arrow file"),
    Bad("Arrow hollow", "t.feather", changed(arrow, lambda b: b[:400] + b[-400:]), "cut off Arrow"),
    Bad("Arrow of text", "t.arrow", content(GOOD), "not a file of the format Arrow"),
]

WITHOUT_EXTRA = [*TEXT, *NUMPY]
WITH_EXTRA = [*PARQUET, *ARROW]

# For a model of TRAINED's columns: what another table may have wrong.
TRAINED = (
    "a,k,flag,day,y\n1,u,true,2024-05-30,1.5\n2,v,false,2024-05-31,2.5\n3,u,true,2024-06-02,3.5\n"
)
MISFITS = [
    ("a,k,flag,day,id\n1,u,true,2024-05-30,7\n", "column 'id' was not there in training; leave"),
    ("a,k,flag,day\n1,w,true,2024-05-30\n", "the category 'w' was not seen in training"),
    ("a,flag,day\n1,true,2024-05-30\n", "there is no input column 'k'"),
    ("A,k,flag,day\n1,u,true,2024-05-30\n", "there is no input column 'a'. Did you mean 'A'?"),
    ("x,y\n1,2\n", "there are no input columns 'a', 'k', 'flag', 'day'"),
    ("a,k,flag,day\nx,u,true,2024-05-30\n", "'x' is text; the model was trained on numbers"),
    ("a,k,flag,day\n2024-05-30,u,true,2024-05-30\n", "'2024-05-30' is a date; the model was"),
    ("a,k,flag,day\n1,u,yes,2024-05-30\n", "'yes' is text; the model was trained on true and f"),
    ("a,k,flag,day\n1,u,1,2024-05-30\n1,u,2,2024-05-30\n", "line 3), column 'flag': '2' is a num"),
    ("a,k,flag,day\n1,u,true,31.5\n", "'31.5' is a number; the model was trained on dates"),
    ("a,k,flag,day\n1,u,true,2024\n", "'2024' is a number; the model was trained on dat"),
    ("a,k,flag,day\n,u,true,2024-05-30\n", "column 'a': the value is missing"),
    ("a,k,flag,day\n1,NA,true,2024-05-30\n", "column 'k': the value is missing ('NA')"),
    ("a,k,flag,day\n1,u,,2024-05-30\n", "column 'flag': the value is missing"),
    ("a,k,flag,day\n1,u,true,null\n", "column 'day': the value is missing ('null')"),
]
