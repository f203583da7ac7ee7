"""Data sets: the lecture's simulated data, and tables from files and frames.

`read_table` reads a file of any format, `as_table` takes a data frame, an Arrow table or arrays,
and `preprocessing.Preprocessing` turns the table into a network's inputs and targets. A
`ParquetStream` reads files that do not fit into memory; see `streaming`.

_simulated  the lecture's data
_parquet    Parquet files larger than memory
_prefetch   reading the next rows while the kernels train
"""

from __future__ import annotations

from .._tables.csv import read_csv, write_csv
from .._tables.files import read_table
from .._tables.frames import as_table
from .._tables.options import ReadingOptions
from .._tables.table import Table
from ._parquet import ParquetStream, buffer_seed, is_large, read_head, shuffled
from ._prefetch import Buffer, Prefetcher
from ._simulated import (
    NAMES,
    classification_train,
    classification_true_probability,
    classification_validation,
    grid,
    load,
    regression_train,
    regression_true_function,
    regression_validation,
    simulate,
    simulate_classification,
)

__all__ = [
    "NAMES",
    "Buffer",
    "ParquetStream",
    "Prefetcher",
    "ReadingOptions",
    "Table",
    "as_table",
    "buffer_seed",
    "classification_train",
    "classification_true_probability",
    "classification_validation",
    "grid",
    "is_large",
    "load",
    "read_csv",
    "read_head",
    "read_table",
    "regression_train",
    "regression_true_function",
    "regression_validation",
    "shuffled",
    "simulate",
    "simulate_classification",
    "write_csv",
]
