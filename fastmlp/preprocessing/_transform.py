"""Apply a preprocessing: impute, scale, and encode categories."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tables.blocks import MOST_VALUES, blocks
from .._tables.cells import day
from .._tables.table import Table, is_finite
from ..errors import DataError
from ._columns import Column, Target, clipped


def refuse_missing(table: Table, name: str, missing: np.ndarray, what: str = "the value") -> None:
    if not missing.any():
        return
    row = int(np.argmax(missing))
    held = table.held(row, name)
    shown = f" ('{held}')" if held else ""
    advice = "" if what == "the target" else "; fill it in or have it imputed"
    raise DataError(f"{table.where(row, name)}: {what} is missing{shown}{advice}")


_KINDS = {"number": "numeric", "boolean": "boolean", "date": "date"}


_TRAINED_ON = {"numeric": "numbers", "boolean": "true and false", "date": "dates"}


_IS = {"number": "a number", "boolean": "true or false", "date": "a date", "text": "text"}


def filled_values(table: Table, column: Column) -> tuple[np.ndarray, np.ndarray | None]:
    """Return numbers, 0 and 1 or days, with missing ones imputed; and which were missing."""
    name = column.name
    kind = table.kind(name)
    if _KINDS.get(kind) == column.kind:
        values = table.columns[name].floats()
        if is_finite(values):
            return values, None
    if kind == "text":
        values = _days(table, column)
        if column.kind == "date":
            kind = "date"
    else:
        values = table.values(name)
    missing = np.isnan(values)
    # A numeric column accepts booleans as 0 and 1, a boolean column the numbers 0 and 1.
    if kind == "number" and column.kind == "boolean":
        _refuse_unfit(table, column, ~(missing | (values == 0) | (values == 1)))
    elif _KINDS.get(kind) != column.kind and (kind, column.kind) != ("boolean", "numeric"):
        _refuse_unfit(table, column, ~missing)
    if column.fill is None:
        refuse_missing(table, name, missing)
    return np.where(missing, column.fill or 0.0, values), missing


def write_numbers(table: Table, columns: Sequence[Column], xt: np.ndarray) -> list[bool]:
    """Write the inputs of columns of the expected kind without missing cells, many at once.

    Parameters
    ----------
    table : Table
        It has all columns.
    columns : sequence of Column
    xt : ndarray of shape (n_inputs, n_rows)
        Gets the inputs; those that mark missing cells stay 0.

    Returns
    -------
    list of bool
        Whose inputs were written. All others are left to `filled_values`, which explains errors.
    """
    widths = [column.width for column in columns]
    starts = np.cumsum([0, *widths[:-1]])
    plain = [
        i for i, column in enumerate(columns)
        if not column.date_parts and _KINDS.get(table.columns[column.name].kind) == column.kind
    ]  # fmt: skip
    means = np.array([columns[i].mean for i in plain]) + 0.0  # -0 would change a -0
    scales = np.array([columns[i].scale for i in plain])
    clips = np.array([columns[i].clip for i in plain])
    written = np.zeros(len(columns), bool)
    if len(plain) < 2 or table.n_rows > MOST_VALUES // 2:
        return written.tolist()
    for part, values in blocks([table.columns[columns[i].name] for i in plain]):
        # Less 0 and divided by 1, numbers keep their bits.
        z = (values - means[part, np.newaxis]) / scales[part, np.newaxis]
        drawn_in = clips[part] > 0
        if drawn_in.all():
            z = clipped(z, clips[part, np.newaxis])
        elif drawn_in.any():
            z[drawn_in] = clipped(z[drawn_in], clips[part][drawn_in, np.newaxis])
        whole = np.isfinite(values.sum(axis=1))
        places = np.array(plain[part])[whole]
        xt[starts[places]] = z[whole]
        written[places] = True
    return written.tolist()


def _days(table: Table, column: Column) -> np.ndarray:
    """Return dates stored as text in a file with types; any other text is an error."""
    codes, texts = table.coded(column.name)
    days = np.full(len(texts) + 1, np.nan)  # the last one for missing cells
    for i, text in enumerate(texts if column.kind == "date" else ()):
        with contextlib.suppress(ValueError):
            days[i] = day(text)
    values = days[codes]
    _refuse_unfit(table, column, (codes >= 0) & np.isnan(values))
    return values


def _refuse_unfit(table: Table, column: Column, unfit: np.ndarray) -> None:
    if unfit.any():
        row, name = int(np.argmax(unfit)), column.name
        raise DataError(
            f"{table.where(row, name)}: '{table.held(row, name)}' is {_IS[table.kind(name)]}; "
            f"the model was trained on {_TRAINED_ON[column.kind]}"
        )


def category_codes(table: Table, column: Column) -> tuple[np.ndarray, np.ndarray, int]:
    """Return each row's category code, which cells were missing, and how many were unknown.

    Returns
    -------
    codes : ndarray of int
        Places among the categories, with missing cells filled in; -1 for no category.
    missing : ndarray of bool
    n_unknown : int
        Cells whose category training did not see, and that were not an error.
    """
    codes, texts = table.coded(column.name, declared="NA" in column.categories)
    missing = codes < 0
    if column.fill is None:
        refuse_missing(table, column.name, missing)
    known = {category: i for i, category in enumerate(column.categories)}
    found = [known.get(text, -1) for text in texts]
    if -1 in found:
        # Typed values may be written differently: 1 and 1.0, true and True.
        kind = table.columns[column.name].kind
        readers: dict[str, Callable[[str], Any]] = {"number": float, "boolean": str.lower}
        read = readers.get(kind)
        if read is not None:
            typed = _by_value(column.categories, read)
            found = [typed.get(read(t), -1) if i < 0 else i
                     for t, i in zip(texts, found, strict=True)]  # fmt: skip
    n_unknown = 0
    if -1 in found and column.other:
        rest = len(column.categories)
        found = [rest if code < 0 else code for code in found]
    elif -1 in found:
        unknown = np.array([*found, 0], np.int64)[codes] < 0  # the 0: missing ones are known
        n_unknown = int(unknown.sum())
        if column.unknown == "error":
            row = int(np.argmax(unknown))
            raise DataError(
                f"{table.where(row, column.name)}: the category '{table.held(row, column.name)}' "
                f"was not seen in training; known are {listed(column.categories)}"
            )
    fill = known.get(column.fill, -1) if isinstance(column.fill, str) else 0
    return np.array([*found, fill], np.int64)[codes], missing, n_unknown


def _by_value(categories: Sequence[str], read: Callable[[str], Any]) -> dict[Any, int]:
    values: dict[Any, int] = {}
    for i, category in enumerate(categories):
        with contextlib.suppress(ValueError):
            values.setdefault(read(category), i)
    return values


def spellings(category: str) -> list[str]:
    """Return ways to write a category that is a number or a truth value: "1.0" is "1".

    Parameters
    ----------
    category : str

    Returns
    -------
    list of str
        Texts that `category_codes` takes for the category; empty for other text.
    """
    if category.lower() in ("true", "false"):
        return [category.lower(), category.title(), category.upper()]
    try:
        value = float(category)
    except ValueError:
        return []
    whole = [str(int(value))] if value.is_integer() and abs(value) < 2**53 else []
    return [str(value), *whole] if math.isfinite(value) else []


def target_codes(table: Table, target: Target, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the index of each row's class among the labels; -1 for rows that are not asked for."""
    name, labels = target.name, target.labels
    codes, texts = table.coded(name)
    asked = np.ones(len(codes), bool)
    if rows is not None:
        asked[:] = False
        asked[rows] = True
    refuse_missing(table, name, (codes < 0) & asked, "the target")
    by_text: dict[str, int] = {str(label): i for i, label in enumerate(labels)}
    by_number = {label: i for i, label in enumerate(labels) if not isinstance(label, str)}
    lower = {text.lower(): i for text, i in by_text.items()}
    boolean = table.columns[name].kind == "boolean"
    found = []
    for text in texts:
        code = by_text.get(text)
        if code is None and by_number:  # 1.0 is the class 1
            try:
                code = by_number.get(float(text))
            except ValueError:
                code = None
        if code is None and boolean:
            code = lower.get(text.lower())
        found.append(-1 if code is None else code)
    result = np.array([*found, -1], np.int64)[codes]
    unfit = (result < 0) & asked
    if unfit.any():
        row = int(np.argmax(unfit))
        raise DataError(
            f"{table.where(row, name)}: '{table.held(row, name)}' is not one of the classes "
            f"{listed([str(label) for label in labels])}"
        )
    return result


def cast(values: np.ndarray, dtype: str, table: Table, name: str) -> np.ndarray:
    most = np.finfo(dtype).max
    if -most <= values.min() and values.max() <= most:
        return values.astype(dtype)
    row = int(np.argmax(np.abs(values) > most))
    raise DataError(
        f"{table.where(row, name)}: '{table.held(row, name)}' is too large for "
        f"{dtype}; standardising brings it into range"
    )


def listed(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
