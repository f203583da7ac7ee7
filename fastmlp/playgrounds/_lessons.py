"""The lessons: each a preset, a question and a sentence; see lessons.json."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from .._utils import arguments


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("lessons.json")
    return {item["name"]: item for item in json.loads(path.read_text("utf-8"))}


def lessons() -> list[dict[str, Any]]:
    """Return the lessons in their order.

    Returns
    -------
    list of dict
        With 'name', 'title', 'question', 'answer', 'settings' and 'speed', epochs a second; some
        with 'other', the settings of B that differ from those of A.
    """
    return list(_table().values())


def lesson(name: str) -> dict[str, Any]:
    """Return a lesson.

    Parameters
    ----------
    name : str

    Returns
    -------
    dict
        See `lessons`.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    return _table()[arguments.one_of("lesson", name, _table())]
