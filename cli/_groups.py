"""Groups of options: a dataclass declares them, and the command gets their values as one object."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def option(*flags: str, **attributes: Any) -> Any:
    """Declare a field of a group; the arguments are those of `click.option`, without the name."""
    unset: Any = False if attributes.get("is_flag") else () if attributes.get("multiple") else None
    return dataclasses.field(
        default=attributes.get("default", unset),
        metadata={"flags": flags, "attributes": attributes},
    )


def group(kind: type, argument: str, **changes: dict[str, Any]) -> Callable[[F], F]:
    """Return a decorator that adds a group's options to a command.

    Parameters
    ----------
    kind : dataclass
        Its fields are declared by `option`; a field without one is filled by an option or argument
        that is added elsewhere.
    argument : str
        The command's argument that takes the object.
    **changes : dict
        By the names of fields: attributes that differ in this command.
    """
    fields = dataclasses.fields(kind)

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def gathered(**values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields}
            return function(**values, **{argument: kind(**own)})

        decorated: Any = gathered
        for field in reversed(fields):
            if "flags" in field.metadata:
                attributes = {**field.metadata["attributes"], **changes.get(field.name, {})}
                add = click.option(*field.metadata["flags"], field.name, **attributes)
                decorated = add(decorated)
        result: F = decorated
        return result

    return decorate
