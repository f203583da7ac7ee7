"""Parts of dates as points on a circle: the place in the year, the month, the week and the day.

The same steps, all of them on floats, are in `_saving/onnx.py` and `_saving/c.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DAYS_OF_YEAR = 365.2425
MARCH_1 = 59  # days since January 1


def turns(days: np.ndarray, part: str) -> np.ndarray:
    """Return a part of a date in turns of its circle.

    Parameters
    ----------
    days : ndarray
        Since 1970-01-01, with the time as a fraction.
    part : {"year", "month", "weekday", "hour"}
        Turns since January 1 of some year, since January, since Monday, or since midnight.

    Returns
    -------
    ndarray
    """
    whole = np.floor(days)
    if part == "hour":
        return days - whole
    if part == "weekday":
        return (whole + 3) / 7  # 1970-01-01 was a Thursday
    # Years that begin in March, in eras of 400 years: the leap day comes last.
    since = whole + 719468
    of_era = since - np.floor(since / 146097) * 146097
    leap_days = np.floor(of_era / 1460) - np.floor(of_era / 36524) + np.floor(of_era / 146096)
    year = np.floor((of_era - leap_days) / 365)
    of_year = of_era - (365 * year + np.floor(year / 4) - np.floor(year / 100))
    if part == "year":
        return (of_year + MARCH_1) / DAYS_OF_YEAR
    return (np.floor((5 * of_year + 2) / 153) + 2) / 12


def waves(days: np.ndarray, parts: Sequence[str]) -> list[np.ndarray]:
    """Return the sine and the cosine of each part.

    Parameters
    ----------
    days : ndarray
    parts : sequence of {"year", "month", "weekday", "hour"}

    Returns
    -------
    list of ndarray
    """
    result = []
    for part in parts:
        of_circle = turns(days, part)
        angle = 2 * np.pi * (of_circle - np.floor(of_circle))
        result += [np.sin(angle), np.cos(angle)]
    return result
