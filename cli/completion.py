"""`fastmlp completion`: the script with which a shell completes commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from . import _help

EPILOG = """\b
Examples:
  eval "$(fastmlp completion bash)"                  in this shell
  fastmlp completion bash >> ~/.bashrc               in every bash
  fastmlp completion zsh >> ~/.zshrc                 in every zsh
  fastmlp completion fish > ~/.config/fish/completions/fastmlp.fish
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a shell's completion script.

    With it the shell completes commands, options, files, and the names of activations,
    optimizers, networks of the lecture and kinds of figure.
    """
    from ._app import cli

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(cli, {}, "fastmlp", "_FASTMLP_COMPLETE").source())
