"""Numbers as people write them: decimal commas, thousands separators, percent and currency signs.

A column is settled as a whole: all of its cells must fit one way to write numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

_PLAIN_SIGNS = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ",
        "\u2019": "'", "\u02bc": "'",
    }
)  # fmt: skip
_SIGN = (
    r"US\$|R\$|C\$|A\$|\$|€|£|¥|₹|₽|₺|₩|₪|฿|USD|EUR|GBP|CHF|JPY|SEK|NOK|DKK|PLN|CAD|AUD|INR|CNY"
    r"|Fr\.|kr\.?|zł|Kč|Ft|Rs\.?"
)
_CELL = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+-])?\s*(?P<before>{_SIGN})?\s*(?P<sign2>[+-])?"
    r"(?P<core>[\d.,' ]*\d[\d.,']*(?:[eE][+-]?\d+)?)"
    rf"\s*(?P<after>{_SIGN}|%)?\s*(?P<trail>-)?(?P<close>\))?"
)
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_SEPARATORS = ("", ",", ".", " ", "'")
_NAMES = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}


class Written(NamedTuple):
    """A cell's parts: the digits with separators, its sign, and what stands around them."""

    core: str
    negative: bool
    mark: str
    in_parentheses: bool


class Style(NamedTuple):
    """How the numbers of a column are written.

    Attributes
    ----------
    decimal, thousands : str
        "" if no cell shows one.
    mark : str
        "%", a currency sign, or "".
    parentheses : bool
        Whether some negative numbers stand in parentheses.
    plain : bool
        Whether Python reads each cell the same way.
    """

    decimal: str
    thousands: str
    mark: str
    parentheses: bool
    plain: bool


class Numbers(NamedTuple):
    """A settled column: the value of each text, and the style."""

    values: list[float]
    style: Style


class Conflict(NamedTuple):
    """Two cells (indices of texts) that show why a column cannot be settled, and the remedy."""

    first: int
    second: int
    why: str
    remedy: str


def written(text: str) -> Written | None:
    """Take a cell apart; None if it is not a number in any way of writing."""
    found = _CELL.fullmatch(text.translate(_PLAIN_SIGNS).strip())
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    signs = [s for s in (found["sign"], found["sign2"], found["trail"], found["open"]) if s]
    if len(signs) > 1 or (found["before"] and found["after"]):
        return None
    core = found["core"]
    if core[0] in " '" or not any(_fits(core, d, t) for d in ".," for t in _SEPARATORS if t != d):
        return None
    negative = bool(signs) and signs[0] != "+"
    return Written(core, negative, found["before"] or found["after"] or "", bool(found["open"]))


_patterns: dict[tuple[str, str], re.Pattern[str]] = {}


def _fits(core: str, decimal: str, thousands: str) -> bool:
    pattern = _patterns.get((decimal, thousands))
    if pattern is None:
        d, t = re.escape(decimal), re.escape(thousands)
        whole = r"\d+"
        if thousands:  # by threes, or as in India
            whole = rf"(?:[1-9]\d{{0,2}}(?:{t}\d{{3}})+|[1-9]\d?(?:{t}\d{{2}})+{t}\d{{3}}|\d+)"
        pattern = re.compile(rf"(?:{whole}(?:{d}\d*)?|{d}\d+){_EXPONENT}")
        _patterns[decimal, thousands] = pattern
    return pattern.fullmatch(core) is not None


def is_number(text: str) -> bool:
    """Return whether a cell is a number in some way of writing."""
    return written(text) is not None


def certain_decimal(texts: Sequence[str]) -> str | None:
    """Return the decimal separator that a column's cells allow only, or None."""
    cores = [cell.core for cell in map(written, texts) if cell is not None]
    if len(cores) != len(texts) or not any(mark in core for core in cores for mark in ".,"):
        return None
    possible = [d for d in ".," if _thousands(cores, d, None) is not None]
    return possible[0] if len(possible) == 1 else None


def _thousands(cores: Sequence[str], decimal: str, wanted: str | None) -> str | None:
    """Return the thousands separator with which all cells fit, "" for none; None if none does."""
    for mark in _SEPARATORS if wanted is None else ("", wanted):
        if mark != decimal and all(_fits(core, decimal, mark) for core in cores):
            return mark
    return None


def settle(
    texts: Sequence[str],
    decimal: str | None = None,
    thousands: str | None = None,
    evidence: Callable[[], str | None] = lambda: None,
) -> Numbers | Conflict | None:
    """Find the one way in which all cells are numbers.

    Parameters
    ----------
    texts : sequence of str
        Distinct cells, none missing.
    decimal, thousands : str, optional
        As the user gives them.
    evidence : callable
        Returns the decimal separator that the file's other columns show, or None.

    Returns
    -------
    Numbers, Conflict or None
        None if a cell is not a number.
    """
    cells = []
    for text in texts:
        cell = written(text)
        if cell is None:
            return None
        cells.append(cell)
    cores = [cell.core for cell in cells]
    conflict = _marks_conflict(cells)
    if conflict is not None:
        return conflict
    allowed = [d for d in ".," if decimal in (None, d) and thousands != d]
    fits = {d: t for d in allowed if (t := _thousands(cores, d, thousands)) is not None}
    if not fits:
        return _unfit(cores, allowed, decimal, thousands)
    chosen = next(iter(fits))
    if len(fits) == 2 and any(mark in core for core in cores for mark in ".,"):
        found = _by_column(cores) or evidence()
        if found is None:
            odd = [i for i, core in enumerate(cores) if "." in core or "," in core]
            mark = "," if "," in cores[odd[0]] else "."
            name = {",": "comma", ".": "point"}[mark]
            return Conflict(
                odd[0],
                odd[-1],
                f"may have a {name} before decimals or between thousands",
                "say which with --decimal . or --decimal ,",
            )
        chosen = found
    mark = fits[chosen]
    values = []
    for cell in cells:
        core = cell.core.replace(mark, "") if mark else cell.core
        value = float(core.replace(",", "."))
        values.append(-value if cell.negative else value)
    style = Style(
        chosen if any(chosen in core for core in cores) else "",
        mark,
        next((cell.mark for cell in cells if cell.mark), ""),
        any(cell.in_parentheses for cell in cells),
        False,
    )
    return Numbers(values, style)


def _marks_conflict(cells: Sequence[Written]) -> Conflict | None:
    marks = [cell.mark for cell in cells]
    distinct = dict.fromkeys(mark for mark in marks if mark)
    if len(distinct) > 1:
        one, two = list(distinct)[:2]
        return Conflict(
            marks.index(one), marks.index(two), "have different units", "write all in one unit"
        )
    if "%" in distinct and "" in marks:
        return Conflict(
            marks.index("%"),
            marks.index(""),
            "are a percentage and a plain number",
            "write all in one unit",
        )
    return None


def _unfit(
    cores: Sequence[str], allowed: list[str], decimal: str | None, thousands: str | None
) -> Conflict:
    """Return two cells that do not fit one way of writing."""
    given = [("--decimal", decimal), ("--thousands", thousands)]
    options = " ".join(f"{name} {value!r}" for name, value in given if value is not None)
    if options:
        for i, core in enumerate(cores):
            if not any(_fits(core, d, t) for d in allowed
                       for t in (_SEPARATORS if thousands is None else ("", thousands))
                       if t != d):  # fmt: skip
                j = next((j for j in range(len(cores)) if j != i), i)
                return Conflict(i, j, f"do not both fit {options}", "give another, or correct them")
    fits = {
        d: [any(_fits(core, d, t) for t in _SEPARATORS if t != d) for core in cores] for d in ".,"
    }
    first = second = 0
    for d, other in ((".", ","), (",", ".")):
        if not all(fits[d]) and not all(fits[other]):
            first, second = fits[d].index(False), fits[other].index(False)
    if first == second:
        for mark in _SEPARATORS[1:]:
            have = [mark in core for core in cores]
            if any(have) and not all(have):
                first, second = have.index(True), have.index(False)
                break
    if first == second:
        second = len(cores) - 1 - first
    return Conflict(
        min(first, second),
        max(first, second),
        "write numbers in different ways",
        "correct one of them, or declare the column categorical (--categorical)",
    )


def _by_column(cores: Sequence[str]) -> str | None:
    """Tell a decimal separator from thousands by the cells without separator."""
    marks = {mark for core in cores for mark in ".," if mark in core}
    if len(marks) != 1:
        return None
    (mark,) = marks
    bare = [len(core) for core in cores if core.isdigit()]
    if any(length > 3 for length in bare):
        return mark  # 1234 is written without a separator
    if bare and len(cores) - len(bare) >= 3:
        return "." if mark == "," else ","
    return None


def described(styles: dict[str, Style]) -> list[str]:
    """Return clauses that name what was read besides decimals, each with its columns."""
    found: dict[str, list[str]] = {}
    for name, style in styles.items():
        if style.thousands:
            found.setdefault(f"{_NAMES[style.thousands]} between thousands", []).append(name)
        if style.mark == "%":
            found.setdefault("percent signs, left out", []).append(name)
        elif style.mark:
            found.setdefault(f"the currency sign {style.mark}, left out", []).append(name)
        if style.parentheses:
            found.setdefault("negative numbers in parentheses", []).append(name)
    return [f"{what} ({shown(names)})" for what, names in found.items()]


def shown(names: Sequence[str], most: int = 3) -> str:
    """List a few names in quotes."""
    text = ", ".join(f"'{name}'" for name in names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text
