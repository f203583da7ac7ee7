"""Objects whose settings are checked at every assignment; training reads changes as it goes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

_numbers = itertools.count(1)
_latest = 0


def latest() -> int:
    """Return the number of the latest change of any setting in this process."""
    return _latest


class Configurable:
    """Base class of layers, optimizers, losses and penalties.

    A class of fastmlp has only the settings in its `rules`: assigning to a misspelt name raises
    AttributeError. Subclasses outside fastmlp may have other attributes.

    Attributes
    ----------
    rules : dict of str to function
        The check of each setting: called with name and value, it returns the value to keep.
        Rules of base classes apply as well.
    """

    rules: ClassVar[dict[str, Callable[[str, Any], Any]]] = {}
    _rules: ClassVar[dict[str, Callable[[str, Any], Any]]] = {}
    _is_own: ClassVar[bool] = True
    _read_live: ClassVar[frozenset[str]] = frozenset()  # read by training at every step

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        inherited: dict[str, Callable[[str, Any], Any]] = {}
        for base in reversed(cls.__mro__):
            inherited |= vars(base).get("rules", {})
        cls._rules = inherited
        cls._is_own = cls.__module__.split(".")[0] == "fastmlp"

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        rule = self._rules.get(name)
        if rule is not None:
            value = rule(name, value)
        elif self._is_own:
            known = getattr(type(self), name, None)
            if not isinstance(known, property) or known.fset is None:
                raise AttributeError(self._no_setting(name))
        self._set(name, value)
        if name not in self._read_live:
            global _latest
            _latest = next(_numbers)

    def _set(self, name: str, value: Any) -> None:
        """Keep a value that has been checked."""
        object.__setattr__(self, name, value)

    def _no_setting(self, name: str) -> str:
        settings = sorted(
            name
            for name in {*self._rules, *dir(type(self))}
            if name in self._rules or _is_settable(getattr(type(self), name, None))
        )
        kind = type(self).__name__
        if hasattr(type(self), name):
            return (
                f"{name!r} of {kind} follows from its settings and cannot be set. Set one of "
                f"{', '.join(settings) or 'none: it has no settings'}"
            )
        return f"{kind} has no setting {name!r}. It has: {', '.join(settings) or 'none'}"


def _is_settable(attribute: Any) -> bool:
    return isinstance(attribute, property) and attribute.fset is not None
