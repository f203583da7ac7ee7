"""Parse the widths of layers, and values for each layer."""

from __future__ import annotations

import numbers
import re
from typing import Any

from .._utils import arguments

MAX_LAYERS = 2000  # a model's file can describe no more


def parse_units(text: str) -> list[int]:
    """Parse ``"1024x5"``, ``"64,32,16"`` or a mixture as widths of hidden layers.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If a part is neither a positive integer nor two of them with an x between.
    """
    units: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:x\s*(\d{1,9})\s*)?", part, re.ASCII)
        width, times = (int(match[1]), int(match[2] or 1)) if match else (0, 0)
        if not width or not times:
            raise ValueError(
                "units must be positive integers such as 64,32,16 or 1024x5. "
                f"Received: units={text!r}"
            )
        if len(units) + times > MAX_LAYERS:
            raise ValueError(f"units must be {MAX_LAYERS} layers at most. Received: {text!r}")
        units += [width] * times
    return units


def parse_layer_values(name: str, values: Any, n: int, what: str) -> list[Any]:
    """Return a value for each of `n` layers, from a single value or a list of `n`.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    values : object or sequence
    n : int
    what : str
        Kind of layer, for messages.

    Returns
    -------
    list of length `n`
    """
    given = list(values) if isinstance(values, (list, tuple)) else [values]
    if len(given) == 1:
        return given * n
    if len(given) != n:
        raise ValueError(
            f"{name} must hold one value, or one per {what}: 1 or {n}. "
            f"Received: {len(given)} values, {name}={given}"
        )
    return given


def parse_hidden(units: Any) -> list[int]:
    """Return hidden layers' widths; none for None, "none" and ()."""
    if units is None or (isinstance(units, str) and units.strip().lower() in ("none", "")):
        return []
    if isinstance(units, str):
        return parse_units(units)
    if isinstance(units, numbers.Integral):
        units = [units]
    given = arguments.items("units", units, "widths of hidden layers")
    if len(given) > MAX_LAYERS:
        raise ValueError(f"units must be {MAX_LAYERS} layers at most. Received: {len(given)}")
    return [arguments.integer("units", width) for width in given]
