"""Dates and times of day as people write them. A column is settled as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

from .numerals import Conflict

_EPOCH = date(1970, 1, 1).toordinal()
_MICROSECONDS = 86_400_000_000  # of a day
# By the first three letters: English, and German where it differs.
_MONTHS = {
    name: month
    for month, names in enumerate(
        ["jan jän", "feb", "mar mär", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt",
         "nov", "dec dez"], 1
    )
    for name in names.split()
}  # fmt: skip
_LONG = re.compile(
    "january?|jänner|february?|march|märz|april|june?|juni|july?|juli|august|sept(ember)?"
    "|[ok]ctober|oktober|november|de[cz]ember|...",
)
_NAME = r"(?P<name>[A-Za-zä]{3,9})\.?"
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?\s+)?"
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
)
_REST = r"(?:[T ,]\s*(?P<clock>\S.*))?"
_DATES = [
    re.compile(pattern + _REST)
    for pattern in (
        r"(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})",
        r"(?P<a>\d{1,2})(?P<s>[-/.])(?P<b>\d{1,2})(?P=s)(?P<y>\d{4}|\d{2})",
        rf"{_WEEKDAY}(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?[\s/-]?\s*{_NAME}[\s,/-]\s*"
        r"(?P<y>\d{4}|\d{2})",
        rf"{_WEEKDAY}{_NAME}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})",
        rf"{_NAME}[\s/-]\s*(?P<y>\d{{4}})",
        r"(?P<y>\d{4})-(?P<m>\d{2})",
        r"(?P<y>\d{4})-(?P<n>\d{3})",
        r"(?P<y>\d{4})-?W(?P<w>\d{2})(?:-?(?P<e>[1-7]))?",
    )
] + [re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:T(?P<clock>\d.*))")]


class Moment(NamedTuple):
    """A date whose order of day and month may be open.

    Attributes
    ----------
    year : int
    first, second : int
        Month and day; or, if `separator` is not empty, two numbers in the order written.
    separator : str
    microseconds : int
        Since midnight UTC.
    """

    year: int
    first: int
    second: int
    separator: str
    microseconds: int


class Days(NamedTuple):
    """A settled column of dates, or of times of day.

    Attributes
    ----------
    values : list of float
        Days since 1970-01-01; hours since midnight for times.
    order : {"", "dmy", "mdy"}
        Of day and month, "" if no cell leaves it open.
    shows : int or None
        A cell that proves the order.
    times : bool
    short_years : bool
        Whether years have two digits.
    """

    values: list[float]
    order: str = ""
    shows: int | None = None
    times: bool = False
    short_years: bool = False


def _clock(text: str, alone: bool = False) -> int | None:
    """Return microseconds since midnight UTC; `alone`: a time without a date needs a colon."""
    found = _CLOCK.fullmatch(text)
    if found is None or (alone and ":" not in text and not found["half"]):
        return None
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    second = int(found["second"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"] in "Pp" else 0)
    if minute > 59 or second > 60 or hour > 24 or (hour == 24 and (minute or second)):
        return None
    if found["minute"] is None and not found["half"] and len(found["hour"]) == 1:
        return None
    result = ((hour * 60 + minute) * 60 + second) * 10**6
    result += int((found["part"] or "0").ljust(6, "0")[:6])
    zone = found["zone"]
    if zone and zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        shift = (int(digits[:2]) * 60 + int(digits[2:])) * 60 * 10**6
        result -= shift if zone[0] == "+" else -shift
    return result


def moment(text: str) -> Moment | None:
    """Take a cell apart as a date with or without a time; None if it is not one."""
    for pattern in _DATES:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        part = found.groupdict()
        clock = 0
        if part["clock"]:
            hours = _clock(part["clock"].strip())
            if hours is None:
                continue
            clock = hours
        year = int(part["y"])
        if len(part["y"]) == 2:
            year += 1900 if year > 68 else 2000
        if "a" in part:
            return Moment(year, int(part["a"]), int(part["b"]), part["s"], clock)
        try:
            if "name" in part:
                name = part["name"].lower()
                month = _MONTHS.get(name[:3])
                if month is None or not _LONG.fullmatch(name):
                    continue
                day = date(year, month, int(part.get("d") or 1))
            elif "n" in part:
                first = date(year, 1, 1).toordinal()
                day = date.fromordinal(first + int(part["n"]) - 1)
                if int(part["n"]) < 1 or day.year != year:
                    continue
            elif "w" in part:
                day = date.fromisocalendar(year, int(part["w"]), int(part["e"] or 1))
            else:
                day = date(year, int(part["m"]), int(part.get("d") or 1))
        except ValueError:
            continue
        return Moment(year, day.month, day.day, "", clock)
    return None


def _days(found: Moment, order: str) -> float | None:
    month, day = found.first, found.second
    if found.separator and order == "dmy":
        month, day = day, month
    try:
        days = date(found.year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    return (days * _MICROSECONDS + found.microseconds) / _MICROSECONDS


def names_month(text: str) -> bool:
    """Return whether a text begins with a month's name."""
    return text[:3].lower() in _MONTHS


def is_date(text: str) -> bool:
    """Return whether a cell is a date or a time of day in some way of writing."""
    found = moment(text)
    if found is None:
        return _clock(text, alone=True) is not None
    return any(_days(found, order) is not None for order in ("dmy", "mdy"))


def day(text: str) -> float:
    """Return days since 1970-01-01 for a date with one meaning, or raise ValueError.

    A time without a zone is UTC.
    """
    settled = settle([text])
    if not isinstance(settled, Days) or settled.times:
        raise ValueError
    return settled.values[0]


def settle(
    texts: Sequence[str],
    order: str | None = None,
    evidence: Callable[[], str | None] = lambda: None,
) -> Days | Conflict | None:
    """Find the one way in which all cells are dates, or times of day.

    Parameters
    ----------
    texts : sequence of str
        Distinct cells, none missing.
    order : {"dmy", "mdy"}, optional
        As the user gives it.
    evidence : callable
        Returns the order that the file's other columns show, or None.

    Returns
    -------
    Days, Conflict or None
        None if a cell is not a date.
    """
    found: list[Moment] = []
    for text in texts:
        each = moment(text)
        if each is None:
            return _times(texts) if not found else None
        if each.separator and each.first > 12 and each.second > 12:
            return None
        found.append(each)
    open_cells = [i for i, each in enumerate(found) if each.separator]
    short = any(re.match(r"\d{1,2}\D.*\D\d{2}(\s|$)", texts[i]) and not re.match(
        r"\d{1,2}\D\d{1,2}\D\d{4}", texts[i]) for i in open_cells)  # fmt: skip
    chosen, shows = "", None
    if open_cells:
        proof = {
            "dmy": [i for i in open_cells if found[i].first > 12],
            "mdy": [i for i in open_cells if found[i].second > 12],
        }
        if proof["dmy"] and proof["mdy"]:
            return Conflict(
                proof["dmy"][0],
                proof["mdy"][0],
                "have day and month in different orders",
                "correct one of them, or declare the column categorical (--categorical)",
            )
        proved = next((name for name, cells in proof.items() if cells), None)
        if order and proved and order != proved:
            i = proof[proved][0]
            return Conflict(
                i, open_cells[0], f"do not fit --dates {order}", f"give --dates {proved}"
            )
        shows = proof[proved][0] if proved else None
        chosen = proved or order or ""
        if not chosen and all(found[i].separator == "." for i in open_cells):
            chosen = "dmy"
        if not chosen and all(found[i].first == found[i].second for i in open_cells):
            chosen = "dmy"
        if not order and short and not evidence():
            conflict = _year_first(found, open_cells)
            if conflict is not None:
                return conflict
        if not chosen:
            chosen = evidence() or ""
        if not chosen:
            differ = [i for i in open_cells if found[i].first != found[i].second]
            return Conflict(
                differ[0],
                differ[-1],
                "may have the day or the month first",
                "say which with --dates dmy or --dates mdy",
            )
    values = []
    for each in found:
        value = _days(each, chosen)
        if value is None:
            return None
        values.append(value)
    return Days(values, chosen, shows, short_years=short)


def _year_first(found: Sequence[Moment], cells: Sequence[int]) -> Conflict | None:
    """Return a conflict if dates such as 24-01-31 may begin with the year."""
    first, last = [found[i].first for i in cells], [found[i].year % 100 for i in cells]
    if any(found[i].separator == "." or found[i].second > 12 for i in cells):
        return None
    few, many = len(set(first)), len(set(last))
    if not all(1 <= each <= 31 for each in last) or few > many:
        return None  # days change more often than years
    if few == many and found[cells[0]].separator == "/":
        return None
    return Conflict(
        cells[0],
        cells[-1],
        "may begin with the year or the day",
        "write years with four digits, or say the order with --dates dmy or --dates mdy",
    )


def _times(texts: Sequence[str]) -> Days | None:
    hours = []
    for text in texts:
        each = _clock(text, alone=True)
        if each is None:
            return None
        hours.append(each / 3.6e9)
    return Days(hours, times=True)
