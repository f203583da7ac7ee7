"""The directive `command-reference`: the help of the program, and a section for each command."""

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from fastmlp.cli import _help
from fastmlp.cli._app import cli

WIDTH = 80


def _block(command, context):
    """Return a command's help as a literal block."""
    with context:
        text = _help.show_all(context)
    return nodes.literal_block(text, text, language="text")


class CommandReference(SphinxDirective):
    """Shows every command's help, in the order in which the program lists them."""

    def run(self):
        """Return a literal block, and a section for each command."""
        options = {**cli.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
        top = click.Context(cli, info_name="fastmlp", **options)
        made = [_block(cli, top)]
        for name in cli.list_commands(top):
            command = cli.get_command(top, name)
            section = nodes.section(ids=[f"fastmlp-{name}"], names=[f"fastmlp {name}"])
            section += nodes.title(text=name)
            section += _block(
                command, click.Context(command, info_name=name, parent=top, **options)
            )
            made.append(section)
        return made


def setup(app):
    """Register the directive."""
    app.add_directive("command-reference", CommandReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
