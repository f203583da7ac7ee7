"""Say which columns may mean something else than what they are read as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .blocks import blocks
from .dates import names_month
from .numerals import shown

_PADDED = r"^\s*[+-]?0[0-9]"
_CODE = re.compile(r"[A-Za-z]+[-_ ]?\d+")
_NINES = re.compile(r"-9+|9{2,}|-1")
_LIMITS = {float(sign * (1 << bits) + one) for bits in (15, 31) for sign, one in ((-1, 0), (1, -1))}
_MANY_NINES = 1e15  # from here on, the digits are looked at
_APART = np.array(
    sorted({*_LIMITS, -1.0, *(-(10.0**n - 1) for n in range(1, 16)),
            *(10.0**n - 1 for n in range(2, 16))})
)  # fmt: skip
_FIRST_DAY, _LAST_DAY = 19000101, 21001231
_FEWEST = 10  # other numbers
_DISTINCT = 10
_MOST_EXACT = 2.0**53  # beyond it, float64 skips whole numbers


def sentences(source: str, columns: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each kind of doubt.

    Parameters
    ----------
    source : str
    columns : mapping of str to Cells

    Returns
    -------
    list of str
    """
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    ordinary = _ordinary(columns)
    for name, cells in columns.items():
        for kind, example in _of_column(cells, ordinary.get(name)):
            key = kind, example if kind == "sentinel" else ""
            found.setdefault(key, []).append((name, example))
    result = []
    for kind, text in _SENTENCES.items():
        for own in (columns for key, columns in found.items() if key[0] == kind):
            names, example = [name for name, _ in own], own[0][1]
            said = text.format(names=shown(names), example=example, name=names[0])
            result.append(f"{source}: {said}")
    return result


_SENTENCES = {
    "padded": "{names}: numbers with leading zeros, such as '{example}'; if they are codes, add "
    "--categorical {name}.",
    "dates": "{names}: numbers that look like dates, such as {example}, are read as numbers; write "
    "2024-01-31 to have dates.",
    "sentinel": "{names}: {example} lies apart from all other numbers; if it means missing, add "
    "--missing {example}.",
    "rounded": "{names}: whole numbers of more than 15 digits, such as {example}, are rounded; if "
    "they are codes, add --categorical {name}.",
    "digits": "{names}: text with digits, such as '{example}', is read as categories; write plain "
    "numbers or dates if it means such.",
}


def _ordinary(columns: Mapping[str, Any]) -> dict[str, bool]:
    """Return the columns of plain numbers whose values give no doubt; True: they are all whole.

    For many columns at once: what is left to look at one by one is rare.
    """
    plain = {name: cells for name, cells in columns.items() if _is_plain(cells)}
    names, found = list(plain), {}
    for places, values in blocks(list(plain.values())):
        if len(values) == 1:  # of a long table; most columns are told by their first numbers
            continue
        low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
        largest = np.maximum(np.abs(low), np.abs(high))
        whole = ((values == np.floor(values)) | np.isnan(values)).all(axis=1)
        doubtful = ~np.isfinite(largest)
        if values.shape[1] > _FEWEST:  # fewer rows have no sentinel
            doubtful |= (largest >= _MANY_NINES) | np.isin(low, _APART) | np.isin(high, _APART)
        doubtful |= whole & (
            (largest > _MOST_EXACT) | ((low >= _FIRST_DAY) & (high <= _LAST_DAY))
        )  # fmt: skip
        for name, looks, is_whole in zip(
            names[places], doubtful.tolist(), whole.tolist(), strict=True
        ):
            if not looks:
                found[name] = is_whole
    return found


def _is_plain(cells: Any) -> bool:
    return cells.kind == "number" and cells.how is not None and getattr(cells.how, "plain", False)


def _of_column(cells: Any, whole: bool | None) -> Iterator[tuple[str, str]]:
    kind = cells.kind
    if kind == "number":
        if whole is None:
            if _is_plain(cells):
                yield from _of_numbers(cells)
        elif whole and (padded := cells.first_match(_PADDED)) is not None:
            yield "padded", padded.strip()
    elif kind == "text":
        texts = [text for text in cells.sample() if not cells.context.is_missing(text, True)]
        alike = [text for text in texts if _has_digits(text.strip())]
        if alike and 10 * len(alike) >= 9 * len(texts):
            yield "digits", alike[0].strip()


def _of_numbers(cells: Any) -> Iterator[tuple[str, str]]:
    values = cells.floats()
    row = _sentinel(values)
    if row is not None:
        yield "sentinel", cells.held(row)
    for part in (values[:1000], values):
        present = part[~np.isnan(part)]
        if not len(present) or not (present == np.floor(present)).all():
            return
    padded = cells.first_match(_PADDED)
    if padded is not None:
        yield "padded", padded.strip()
    low, high = float(present.min()), float(present.max())
    if max(-low, high) > _MOST_EXACT and np.isfinite(high - low):
        yield "rounded", cells.held(int(np.nanargmax(np.abs(values))))
    if low >= _FIRST_DAY and high <= _LAST_DAY:
        month, day = present // 100 % 100, present % 100
        if ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
            yield "dates", cells.held(int(np.nanargmax(values)))


def _sentinel(values: np.ndarray) -> int | None:
    """Return a row of a number that may mean missing: often there, and apart from the rest."""
    present = values[np.isfinite(values)]
    if not len(present):
        return None
    for value in (present.min(), present.max()):
        if not (value in _LIMITS or _NINES.fullmatch(f"{value:.0f}")) or value != np.round(value):
            continue
        rest = present[present != value]
        if 100 * (len(present) - len(rest)) < len(present) or len(rest) < _FEWEST:
            continue
        low, high = rest.min(), rest.max()
        apart = max(low - value, value - high) > high - low
        if (value < 0 <= low and len(np.unique(rest)) > _DISTINCT) or (apart and high > low):
            return int(np.argmax(values == value))
    return None


def _has_digits(text: str) -> bool:
    """Return whether a text may mean a number or a date: it has digits, and is not a code."""
    digits = sum(map(str.isdigit, text))
    if not digits or (_CODE.fullmatch(text) and not names_month(text)):
        return False
    return text[0].isdigit() or 3 * digits >= len(text.replace(" ", ""))
