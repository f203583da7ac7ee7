"""The directive `command-reference`: every command with its options and examples."""

import re

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from fastmlp.cli import _app, _help


def _paragraph(text):
    """Return a paragraph in which options are code, as is what stands in backquotes."""
    made = nodes.paragraph()
    for part in re.split(r"(`[^`]+`|(?<![\w-])--?[a-z][\w-]*)", " ".join(text.split())):
        is_code = part[:1] in ("-", "`") and len(part) > 1
        made += nodes.literal("", part.strip("`")) if is_code else nodes.Text(part)
    return made


def _definitions(pairs):
    """Return a list of options, or of names, and what they mean."""
    made = nodes.definition_list(classes=["fastmlp-options"])
    for term, text in pairs:
        name = nodes.term("", "", nodes.literal("", term))
        made += nodes.definition_list_item("", name, nodes.definition("", _paragraph(text)))
    return made


def _block(lines):
    text = "\n".join(lines)
    return nodes.literal_block(text, text, language="console")


def _link(name):
    text = nodes.literal("", name)
    return nodes.reference("", "", text, refid=f"fastmlp-{name}", internal=True)


class CommandReference(SphinxDirective):
    """Shows what --help-all prints of every command, in the order of the program's list."""

    def run(self):
        """Return the list of commands, and a section for each."""
        with click.Context(_app.cli, info_name="fastmlp", **_app.cli.context_settings) as top:
            made = []
            for title, commands in _app.sections().items():
                made.append(nodes.rubric("", title))
                rows = nodes.definition_list(classes=["fastmlp-options"])
                for name, text in commands.items():
                    rows += nodes.definition_list_item(
                        "", nodes.term("", "", _link(name)), nodes.definition("", _paragraph(text))
                    )
                made.append(rows)
            made += [nodes.rubric("", "Exit codes"), _definitions(_app.CODES)]
            return made + [self._section(name, top) for name in _app.COMMANDS]

    def _section(self, name, top):
        command = _app.cli.get_command(top, name)
        with click.Context(command, info_name=name, parent=top) as context:
            usage = " ".join(command.collect_usage_pieces(context))
            before, examples, after = command.parts()
            made = nodes.section(ids=[f"fastmlp-{name}"], names=[f"fastmlp {name}"])
            made += nodes.title(text=name)
            made += [_paragraph(text) for text in command.help.split("\n\n")]
            made += _block([f"fastmlp {name} {usage}"])
            made += nodes.rubric("", "Examples")
            made += _block(_help.example_lines(examples, 76))
            for title, pairs in command.sections(context, everything=True).items():
                made += [nodes.rubric("", title), _definitions(pairs)]
            for text in before:
                title, pairs = _help.list_of(text)
                made += [nodes.rubric("", title), _definitions(pairs)]
            if after:
                made += nodes.rubric("", "Details")
                made += [_paragraph(text) for text in after]
        return made


def setup(app):
    """Register the directive."""
    app.add_directive("command-reference", CommandReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
