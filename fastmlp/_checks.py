"""Checks of single arguments, and the lookup of names. Messages say what arrived."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def integer(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`, or say what it should have been."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        rule = {0: "a non-negative integer", 1: "a positive integer"}.get(
            minimum, f"an integer of at least {minimum}"
        )
        raise ValueError(f"{name} must be {rule}. Received: {name}={value!r}")
    return int(value)


def number(name: str, value: Any, rule: str, allowed: Callable[[float], bool]) -> float:
    """Return `value` as a finite float for which `allowed` holds; `rule` says it in words."""
    if not isinstance(value, bool) and isinstance(value, numbers.Real):
        result = float(value)
        if math.isfinite(result) and allowed(result):
            return result
    raise ValueError(f"{name} must be {rule}. Received: {name}={value!r}")


def non_negative(name: str, value: Any) -> float:
    """Return `value` as a finite float of at least 0."""
    return number(name, value, "a finite number of at least 0", lambda v: v >= 0)


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1)."""
    return number(name, value, "a number in [0, 1)", lambda v: 0 <= v < 1)


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; 0, 1 and NumPy's booleans count."""
    if value in (True, False):
        return bool(value)
    raise ValueError(f"{name} must be True or False. Received: {name}={value!r}")


def snake_case(name: str) -> str:
    """Turn ``MeanSquaredError`` into ``mean_squared_error``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """Make the error for a name that is not known, with the nearest one that is."""
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return ValueError(f"Unknown {kind}: {name!r}. {hint}Known: {', '.join(names)}")


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Find `name` in `table`, whose keys are in lower case; class names count as well."""
    for key in (name, name.lower(), snake_case(name)):
        if key in table:
            return table[key]
    raise unknown(kind, name, table)


def resolve(kind: str, identifier: Any, base: type[T], table: Mapping[str, type[T]]) -> T:
    """Return an instance of `base` for a name, a class, an instance or a saved configuration."""
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, str):
        return lookup(kind, identifier, table)()
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    if isinstance(identifier, dict) and set(identifier) == {"class_name", "config"}:
        return lookup(kind, str(identifier["class_name"]), table)(**identifier["config"])
    raise ValueError(
        f"{kind} must be a name, or a class or object of the kind {base.__name__}. "
        f"Received: {identifier!r}"
    )


def saved(thing: Any) -> dict[str, Any]:
    """Return what `resolve` makes the same thing from; plain JSON values."""
    return {"class_name": type(thing).__name__, "config": thing.get_config()}
