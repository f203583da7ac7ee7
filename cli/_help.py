"""The help of a command: options in sections, six examples, and all of it with --help-all.

`SECTIONS` says for every option in which section it stands, and whether `--help` shows it. Both
help texts end lines at the width of the terminal; long examples continue on a second line.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection, Iterator
from typing import Any, cast

import click

from . import _synonyms

# For each section: the options that --help shows, and those that only --help-all shows, in the
# order of the help. A command has some of them.
SECTIONS: dict[str, tuple[str, str]] = {
    "Options": (
        "--kind --layers --metric --repeats --column --row --layer --part --loss --sort --rows "
        "--threshold --id --keep-columns --to --name --activation --output-activation --list "
        "--peers --cases --lesson --port --browser",
        "",
    ),
    "Data": (
        "--target --task --data --lecture --categorical --drop --weight",
        "--keep --standardize --impute --indicator --max-categories --unknown --date-parts "
        "--target-transform --bins --delimiter --decimal --thousands --encoding --comment --header "
        "--missing --dates --sheet --stream --buffer-rows",
    ),
    "Network": ("--units --inputs --outputs --activation --dropout", ""),
    "Penalty": (
        "--penalty --lambdas --n-lambdas --choose --l1 --l2 --proximal",
        "--group-l1 --groups --lambda-ratio --layer-factors --l1-ratio",
    ),
    "Search": ("--method --samples --seeds", "--eta --min-epochs --top"),
    "Training": (
        "--members --bootstrap --loss --epochs --learning-rate --batch-size --optimizer "
        "--class-weight --patience --max-time --effort --seed --checkpoint --resume",
        "--schedule --clip --polish --find-rate --checkpoint-every",
    ),
    "Validation": (
        "--validation-split --validation --folds --measure --group --time --refit --interval "
        "--threshold",
        "--cost --metric --validation-every",
    ),
    "Figure": ("--title --size --dpi --theme", ""),
    "Output": (
        "--output --plot --report --show --export --model --force --json --quiet --verbose "
        "--config --print-config --help --help-all",
        "--dry-run",
    ),
    "Many machines": ("--threads --jobs --cluster --shards", "--fast-reduce"),
}
# Options that mean something else in commands that train.
TRAINING_ONLY = frozenset({"--activation", "--loss", "--metric", "--threshold"})
N_EXAMPLES = 6
Pair = tuple[str, str]
_FEW = 11  # options that need no sections
_TERMS = 24  # width of the column with the options' names
_NUMBERS = dict.fromkeys(("integer", "integer range"), "N") | dict.fromkeys(
    ("float", "float range"), "NUMBER"
)
_EXAMPLES, _ALL = "Examples:", "fastmlp.help_all"


class Command(click.Command):
    """A command with such a help; a wrong option is answered with the right one."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        for param in self.params:
            if isinstance(param, click.Option) and param.metavar is None:
                param.metavar = _NUMBERS.get(param.type.name)
        self._help_all = click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_all,
            help="Show all options, examples and details, and exit.",
        )

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, those for help included."""
        return [*super().get_params(ctx), self._help_all]

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Parse the command line; suggest the option that an unknown one means."""
        try:
            return super().make_context(*args, **named)
        except click.NoSuchOption as error:
            written, ctx = error.option_name, error.ctx
            message = f"No such option '{written}'. {self._instead(ctx, written)}".strip()
            raise click.NoSuchOption(written, message, ctx=ctx) from error

    def _instead(self, ctx: click.Context | None, written: str) -> str:
        """Return what a user may mean by an option that the command lacks."""
        names = [name for param in self.params for name in (*param.opts, *param.secondary_opts)]
        near = _synonyms.options(written, names)
        if not near and ctx is not None and ctx.parent is not None:
            everywhere = [name for texts in SECTIONS.values() for name in " ".join(texts).split()]
            for option in _synonyms.options(written, everywhere)[:1]:
                others = " and ".join(", ".join(_commands(ctx.parent, option)).rsplit(", ", 1))
                return f"{'It' if option == written else option} is an option of {others}."
        near = near or difflib.get_close_matches(written, names, n=2, cutoff=0.7)
        return f"Did you mean {' or '.join(near)}?" if near else ""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections = self.sections(ctx, all_of_them(ctx))
        shown = [entry for entries in sections.values() for entry in entries]
        width = min(_TERMS, max(len(term) for term, _ in shown))
        for title, entries in sections.items():
            with formatter.section(title):
                # Padded, so that the sections have one width.
                rows = [(term.ljust(width), text) for term, text in entries]
                formatter.write_dl(rows, col_max=_TERMS)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and what the command does in detail."""
        everything = all_of_them(ctx)
        before, examples, after = self.parts()
        formatter.write_paragraph()
        with formatter.indentation():
            for title, pairs in map(list_of, before):
                formatter.write_text(f"{title}:")
                with formatter.indentation():
                    formatter.write_dl(pairs)
                formatter.write_paragraph()
            if examples:
                formatter.write_text(_EXAMPLES)
                with formatter.indentation():
                    write_examples(formatter, examples if everything else examples[:N_EXAMPLES])
                formatter.write_paragraph()
            for text in after if everything or not self._hidden() else after[:1]:
                formatter.write_text(text)
                formatter.write_paragraph()
            if not everything and (more := self._rest(ctx)):
                formatter.write_text(f"For {more}: {ctx.command_path} --help-all")

    def parts(self) -> tuple[list[str], list[str], list[str]]:
        """Return the paragraphs before the examples, the examples, and the paragraphs after."""
        paragraphs = inspect.cleandoc(self.epilog or "").split("\n\n")
        at = next((i for i, text in enumerate(paragraphs) if _EXAMPLES in text), None)
        if at is None:
            return [], [], [text for text in paragraphs if text]
        lines = paragraphs[at].split(f"{_EXAMPLES}\n")[1]
        # A line that is indented further continues the one before.
        examples = [" ".join(text.split("\\\n")) for text in re.split(r"\n {2}(?! )", f"\n{lines}")]
        return paragraphs[:at], [text for text in examples if text.strip()], paragraphs[at + 1 :]

    def sections(self, ctx: click.Context, everything: bool) -> dict[str, list[Pair]]:
        """Return what the help says of each option, by section."""
        records = {
            max(param.opts, key=len): record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        }
        if not everything and self._rest(ctx) is None:
            del records["--help-all"]
        placed = _placed(records, everything)
        return _joined({title: [records[n] for n in names] for title, names in placed.items()})

    def _hidden(self) -> int:
        """Return the number of options that only --help-all shows."""
        own = [max(param.opts, key=len) for param in self.params]
        n_all, n_few = (sum(map(len, _placed(own, every).values())) for every in (True, False))
        return n_all - n_few

    def _rest(self, ctx: click.Context) -> str | None:
        """Return what only --help-all shows, in words; None for nothing."""
        hidden, (_, examples, after) = self._hidden(), self.parts()
        n_examples = len(examples) - N_EXAMPLES
        found = [_counted(hidden, "more option")] if hidden else []
        found += [_counted(n_examples, "more example")] if n_examples > 0 else []
        found += ["details"] if hidden and len(after) > 1 else []
        return ", ".join(found[:-1]) + " and " * (len(found) > 1) + found[-1] if found else None


def _commands(ctx: click.Context, option: str) -> list[str]:
    """Return the names of the commands that have an option."""
    group = cast("click.Group", ctx.command)
    return [
        name
        for name in group.list_commands(ctx)
        if (command := group.get_command(ctx, name)) is not None
        and any(option in param.opts for param in command.params)
    ]


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _placed(names: Collection[str], everything: bool) -> dict[str, list[str]]:
    """Return those of the options that the help shows, by section."""
    found: dict[str, list[str]] = {}
    left = dict.fromkeys(names)
    trains = "--units" in left
    for title, (main, more) in SECTIONS.items():
        for name in f"{main} {more if everything else ''}".split():
            if name in left and not (title == "Options" and trains and name in TRAINING_ONLY):
                found.setdefault(title, []).append(name)
                del left[name]
        for name in more.split() if title != "Options" else ():
            left.pop(name, None)
    return found


def _joined(found: dict[str, list[Pair]]) -> dict[str, list[Pair]]:
    """Put few options into one list, and options that are alone in their section together."""
    own = found.pop("Options", [])
    if len(own) + sum(map(len, found.values())) <= _FEW:
        found["Output"] = found.pop("Output", [])  # last
        return {"Options": own + [entry for entries in found.values() for entry in entries]}
    alone = [title for title, entries in found.items() if len(entries) == 1]
    own += [entry for title in alone for entry in found.pop(title)]
    return {"Options": own, **found} if own else found


def all_of_them(ctx: click.Context) -> bool:
    """Return whether the help has everything."""
    return bool(ctx.meta.get(_ALL))


def _show_all(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


def list_of(text: str) -> tuple[str, list[Pair]]:
    """Return the title of a list in the epilog, and its names with what they mean."""
    title, *lines = text.removeprefix("\b\n").split("\n")
    return title.rstrip(":"), [cast("Pair", tuple(line.split(None, 1))) for line in lines]


def write_examples(formatter: click.HelpFormatter, examples: list[str]) -> None:
    """Write commands, as `example_lines` lays them out."""
    indent = " " * formatter.current_indent
    for line in example_lines(examples, formatter.width - formatter.current_indent):
        formatter.write(f"{indent}{line}\n")


def example_lines(examples: list[str], width: int) -> list[str]:
    """Return commands as lines that a shell takes, with what each does as a comment.

    A command that is too long continues on the next line. Two spaces separate a command and what
    it does.
    """
    pairs = [cast("Pair", tuple(re.split(r" {2,}", text, maxsplit=1))) for text in examples]
    pairs = [pair if len(pair) == 2 else (*pair, "") for pair in pairs]
    fitting = [first for first, text in pairs if text and len(f"{first}  # {text}") <= width]
    found: list[str] = []
    column = max(map(len, fitting), default=0)
    for command, text in pairs:
        if not text:
            found += _lines(command, width)
        elif len(line := f"{command.ljust(column)}  # {text}") <= width:
            found.append(line)
        else:
            found += [f"# {text}", *_lines(command, width)]
    return found


def _lines(example: str, width: int) -> Iterator[str]:
    indent = ""
    while len(indent + example) > width:
        at = max(example.rfind(" --", 1, width - len(indent) - 1),
                 example.rfind(" -o ", 1, width - len(indent) - 1))  # fmt: skip
        if at <= 0:
            at = example.rfind(" ", 1, width - len(indent) - 1)
        if at <= 0:
            break
        yield f"{indent}{example[:at].rstrip()} \\"
        indent, example = "    ", example[at:].strip()
    yield indent + example
