"""Parameters that name files, with shell completion by suffix."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

# The metavar of an option, and the kind of names that a shell offers for it.
_OFFERED = dict.fromkeys(("CSV", "DATA", "FILE", "JSON", "MODEL"), "file") | {"DIR": "dir"}


class _Name(click.types.StringParamType):
    """Text that names a file or directory."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Let the shell complete names of files."""
        return [CompletionItem(incomplete, type=self.kind)]


FILE = _Name("file")


def with_files(command: click.Command) -> click.Command:
    """Let a shell complete file names for options whose metavar is that of a file."""
    for param in command.params:
        if param.type is click.STRING and param.metavar in _OFFERED:
            param.type = _Name(_OFFERED[param.metavar])
    return command
