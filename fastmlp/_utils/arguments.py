"""Checks of single arguments, and the lookup of names. Error messages show what was received."""

from __future__ import annotations

import inspect
import math
import numbers
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, TypeVar

T = TypeVar("T")


def integer(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`; the error states the rule."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        rule = {0: "a non-negative integer", 1: "a positive integer"}.get(
            minimum, f"an integer of at least {minimum}"
        )
        raise ValueError(f"{name} must be {rule}. Received: {name}={shown(value)}")
    return int(value)


def below(name: str, value: Any, limit: int, minimum: int = 1, words: str = "") -> int:
    """Return `value` as an int from `minimum` to below `limit`, written `words` in messages."""
    result = integer(name, value, minimum)
    if result >= limit:
        raise ValueError(
            f"{name} must be below {words or f'{limit:,}'}. Received: {name}={shown(value)}"
        )
    return result


def seed(value: Any, limit: int | None = None, words: str = "") -> int:
    """Return a seed, checked; None: drawn, so that every call gives other numbers."""
    if value is None:
        return int.from_bytes(os.urandom(4))
    return integer("seed", value, 0) if limit is None else below("seed", value, limit, 0, words)


def batch_size(value: Any) -> int:
    """Return a number of rows that fits into the kernels' integers."""
    return below("batch_size", value, 1 << 31, words="2**31")


def number(name: str, value: Any, rule: str, allowed: Callable[[float], bool]) -> float:
    """Return `value` as a finite float for which `allowed` holds; `rule` is that in words."""
    if not isinstance(value, bool) and isinstance(value, numbers.Real):
        try:
            result = float(value)
        except OverflowError:  # of an integer or fraction beyond the floats
            result = math.inf
        if math.isfinite(result) and allowed(result):
            return result
    raise ValueError(f"{name} must be {rule}. Received: {name}={shown(value)}")


def non_negative(name: str, value: Any) -> float:
    """Return `value` as a finite float of at least 0."""
    return number(name, value, "a finite number of at least 0", lambda v: v >= 0)


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1)."""
    return number(name, value, "a number in [0, 1)", lambda v: 0 <= v < 1)


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; 0, 1 and NumPy's booleans count."""
    # Arrays have lengths, but no truth value.
    if not hasattr(value, "__len__") and value in (True, False):
        return bool(value)
    raise ValueError(f"{name} must be True or False. Received: {name}={shown(value)}")


def verbosity(value: Any) -> int:
    """Return `verbose` as 0, 1 or 2; True and False count as 1 and 0."""
    if not hasattr(value, "__len__") and value in (0, 1, 2):
        return int(value)
    raise ValueError(f"verbose must be 0, 1 or 2. Received: verbose={shown(value)}")


def label(name: Any) -> str | None:
    """Return a name given to something; None stays None."""
    if name is not None and (not isinstance(name, str) or not name or not name.isprintable()):
        raise ValueError(
            f"name must be a non-empty string on one line. Received: name={shown(name)}"
        )
    return name


def one_of(name: str, value: Any, known: Iterable[str]) -> str:
    """Return `value` if it is a known name; otherwise the error suggests the nearest."""
    if isinstance(value, str) and value in known:
        return value
    raise unknown(name, value if isinstance(value, str) else shown(value), known)


def items(name: str, value: Any, what: str, ordered: bool = True) -> list[Any]:
    """Return the items of a list, tuple, array or other iterable; refuse text and mappings."""
    wrong = (str, bytes, Mapping, type, *((Set,) if ordered else ()))
    array = getattr(value, "ndim", 1)
    if isinstance(value, Iterable) and not isinstance(value, wrong) and array:
        return list(value)
    raise ValueError(f"{name} must be a sequence of {what}. Received: {name}={shown(value)}")


def path(name: str, value: Any) -> str:
    """Return a path as text."""
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, str) and text and "\0" not in text:
            return text
    raise ValueError(
        f"{name} must be a str or Path, not empty and without a zero byte. "
        f"Received: {name}={shown(value)}"
    )


def instance(name: str, value: Any, kind: type[T]) -> T:
    """Return `value` if it is an object of that class."""
    if isinstance(value, kind):
        return value
    raise ValueError(f"{name} must be a {kind.__name__}. Received: {name}={shown(value)}")


def function(name: str, value: Any) -> Any:
    """Return `value` if it can be called."""
    if callable(value):
        return value
    raise ValueError(f"{name} must be a function. Received: {name}={shown(value)}")


def shown(value: Any, limit: int = 200) -> str:
    """Return `value` as text for messages; a long text is cut, and its length added."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def dtype(value: Any) -> Any:
    """Return the NumPy dtype that `value` means, which must be float32 or float64."""
    import numpy as np

    known = ("float32", "float64")
    try:
        # NumPy compiles other text, which may come from a file.
        plain = not isinstance(value, str) or re.fullmatch(r"[<>=|]?[a-z]+[0-9]*", value)
        result = np.dtype(value) if plain and value is not None else None
    except (TypeError, ValueError):
        result = None
    if result is None or result.name not in known:
        given = value if isinstance(value, str) else shown(value)
        raise unknown("dtype", given if result is None else result.name, known)
    return result.newbyteorder("=")


def snake_case(name: str) -> str:
    """Turn ``MeanSquaredError`` into ``mean_squared_error``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """Make the error for an unknown name; it suggests the nearest known one."""
    import difflib

    names = sorted(known)
    name = name if len(name) <= 200 else f"{name[:200]}..."
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return ValueError(f"Unknown {kind}: {name!r}. {hint}Known: {', '.join(names)}")


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Find `name` in `table`, whose keys are in lower case; class names count as well."""
    for key in (name, name.lower(), snake_case(name)):
        if key in table:
            return table[key]
    raise unknown(kind, name, table)


def from_saved(cls: Callable[..., T], config: Any) -> T:
    """Make an object of a class from its saved arguments.

    Parameters
    ----------
    cls : class
    config : object
        What its `get_config` returned.

    Raises
    ------
    ValueError
        If it is not a mapping, or the class does not take what it holds.
    """
    name = getattr(cls, "__name__", str(cls))
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise ValueError(
            f"The config of {name} must be a mapping of its arguments by name. "
            f"Received: {shown(config)}"
        )
    try:
        return cls(**config)
    except (TypeError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        reason = str(error).removeprefix(f"{name}.__init__() ")
        raise ValueError(
            f"{name} cannot be made from its config: {reason}. Received: {shown(dict(config))}"
        ) from error


def resolve(kind: str, identifier: Any, base: type[T], table: Mapping[str, type[T]]) -> T:
    """Return an instance of `base` for a name, a class, an instance or a saved configuration."""
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, str):
        return lookup(kind, identifier, table)()
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    if isinstance(identifier, Mapping):
        name = identifier.get("class_name")
        if set(identifier) == {"class_name", "config"} and isinstance(name, str):
            return from_saved(lookup(kind, name, table), identifier["config"])
        raise ValueError(
            f"{kind} must be a name, or a class or object of the kind {base.__name__}, or be saved "
            "as a dict with the keys 'class_name', a name, and 'config'. "
            f"Received: {shown(identifier)}"
        )
    raise ValueError(
        f"{kind} must be a name, or a class or object of the kind {base.__name__}. "
        f"Received: {shown(identifier)}"
    )


def saved(thing: Any) -> dict[str, Any]:
    """Return an object's class and arguments as plain JSON values, for `resolve`."""
    return {"class_name": type(thing).__name__, "config": thing.get_config()}


def warn_unused(reason: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Warn of arguments that have no effect and differ from their defaults.

    Parameters
    ----------
    reason : str
        Why they have no effect.
    given, defaults : mapping of str to value
        By name; `defaults` may hold more.
    """
    unused = [name for name, value in given.items() if _differs(value, defaults[name])]
    if unused:
        shown_values = ", ".join(f"{name}={shown(given[name])}" for name in unused)
        warn(f"No effect of {shown_values}: {reason}")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, with the line outside of this package that called it."""
    warnings.warn(message, category, stacklevel=caller_level())


def _differs(value: Any, default: Any) -> bool:
    if value is default:
        return False
    try:
        return bool(value != default)
    except ValueError:  # an array has no truth value
        return True


def caller_level() -> int:
    """Return the `stacklevel` of the first caller that is not of this package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and _package(frame) == "fastmlp":
        frame, level = frame.f_back, level + 1
    return level


def _package(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", "")).split(".")[0]


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's arguments, by name."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
