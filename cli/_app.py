"""The group of commands: lazy loading, and one exit code for each kind of error."""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TextIO, cast

import click

from fastmlp.errors import DataError, DivergedError, ModelFileError, ModelWarning, printable

from . import _help, _ranks, _synonyms
from ._errors import BAD_FILE, DIVERGED, INTERRUPTED, RUN_TIME, USAGE, _fail, describe
from ._file_types import with_files
from ._streams import PipeSafeStream, forget

_NO_EFFECT = "No effect of "  # as the library's warnings of unused options begin

# Their first sentences are repeated here, so that the list imports no command.
COMMANDS = {
    "train": "Train one network.",
    "path": "Fit a network for many lambdas, cross-validate, and choose one.",
    "sweep": "Train many configurations, and rank them.",
    "ensemble": "Train an ensemble of many networks.",
    "predict": "Write a model's predictions for a table.",
    "evaluate": "Print a model's metrics on a table.",
    "compare": "Print several models' metrics on a table, side by side.",
    "inspect": "Explain a model: feature importance, or per-layer diagnostics.",
    "plot": "Draw figures of a model, or of data.",
    "report": "Write a report about a model: metrics, feature importance, errors.",
    "summary": "Print the layers of a network.",
    "prune": "Remove unused units from a model; its predictions stay the same.",
    "export": "Write a model for ONNX, Keras, PyTorch or C.",
    "import": "Read a model from a Keras or PyTorch file.",
    "catalogue": "Train the lecture's networks, and compare the results with the printed ones.",
    "playground": "Open a page on which a network is seen learning.",
    "datasets": "Write the lecture's data as CSV.",
    "bench": "Compare the speed with other libraries.",
    "doctor": "Check the installation, and print the facts for a bug report.",
    "completion": "Print a shell's completion script.",
}
# The sections of the list, by the first command of each.
_SECTIONS = {
    "train": "Train",
    "predict": "Use and explain a model",
    "prune": "Convert a model",
    "catalogue": "The lecture on regularisation",
    "bench": "This installation",
}


def sections() -> dict[str, dict[str, str]]:
    """Return the commands and what each does, by section."""
    found: dict[str, dict[str, str]] = {}
    title = ""
    for name, text in COMMANDS.items():
        title = _SECTIONS.get(name, title)
        found.setdefault(title, {})[name] = text
    return found


_MODULES = {"import": "import_"}  # where a command's name cannot be its module's
_UNDER_MPI = ("train", "doctor")  # what mpiexec may start in several processes


class Commands(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order the help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = f".{_MODULES.get(cmd_name, cmd_name)}"
        command: click.Command = importlib.import_module(module, __package__).command
        return with_files(command)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, then the options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show examples, the exit codes, and how to complete words in a shell."""
        with formatter.section("Examples"):
            _help.write_examples(formatter, list(EXAMPLES))
        with formatter.section("Exit codes"):
            formatter.write_dl(CODES)
        with formatter.section("Shell completion (bash, zsh or fish)"):
            _help.write_examples(formatter, ['eval "$(fastmlp completion bash)"'])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in the help, section by section."""
        width = max(map(len, COMMANDS))
        for title, commands in sections().items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = _synonyms.commands(args[0]) or difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = " or ".join(f"'{name}'" for name in near)
            hint = f" Did you mean {meant}?" if near else ""
            ctx.fail(f"there is no command '{args[0]}'.{hint}")
        if args and args[0] in COMMANDS and args[0] not in _UNDER_MPI:
            _ranks.refuse(args[0])
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and end the process with the exit code that the help documents."""
        prog_name = prog_name or "fastmlp"
        if os.environ.get("_FASTMLP_COMPLETE"):
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        sys.exit(self._run(list(sys.argv[1:] if args is None else args), prog_name, extra))

    def _run(self, args: list[str], prog_name: str, extra: dict[str, Any]) -> int:
        streams, show = (sys.stdout, sys.stderr), warnings.showwarning
        sys.stderr = cast("TextIO", PipeSafeStream(sys.stderr))
        _ranks.silence()
        warnings.showwarning = _warn
        try:
            code = self._guarded(args, prog_name, extra)
            _ranks.leave(code)
            return code
        finally:
            sys.stdout, sys.stderr = streams
            warnings.showwarning = show

    def _guarded(self, args: list[str], prog_name: str, extra: dict[str, Any]) -> int:
        try:
            try:
                with _warnings_shown(), self.make_context(prog_name, args, **extra) as ctx:
                    self.invoke(ctx)
            finally:
                sys.stdout.flush()
        except click.exceptions.Exit as end:
            return end.exit_code
        except (click.Abort, KeyboardInterrupt, EOFError) as stop:
            click.echo(str(stop) or "Interrupted.", err=True)
            return INTERRUPTED
        except click.ClickException as error:
            if not isinstance(error, click.UsageError):
                return _fail(error.format_message(), error.exit_code)
            text = io.StringIO()
            error.show(text)
            click.echo(printable(text.getvalue()), nl=False, err=True)
            return error.exit_code
        except DivergedError as error:
            return _fail(str(error), DIVERGED)
        except (DataError, ModelFileError) as error:
            return _fail(str(error), BAD_FILE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader has closed the pipe, which is not an error
                forget(sys.stdout)
                return 0
            if not error.filename:
                forget(sys.stdout)  # otherwise its buffer would fail again at the end
            return _fail(describe(error), RUN_TIME)
        except Exception as error:
            if "FASTMLP_ISA" in str(error):  # an instruction set that this machine lacks
                return _fail(str(error), USAGE)
            return _fail(describe(error), RUN_TIME)
        return 0


@contextlib.contextmanager
def _warnings_shown() -> Iterator[None]:
    """Print each warning about a model, or an option without effect, in a line of its own."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, *arguments: Any, **named: Any) -> None:
            if isinstance(message, ModelWarning) or str(message).startswith(_NO_EFFECT):
                click.echo(f"Warning: {' '.join(str(message).split())}", err=True)
            else:
                others(message, *arguments, **named)

        warnings.filterwarnings("always", _NO_EFFECT, UserWarning)
        warnings.filterwarnings("always", category=ModelWarning)
        warnings.showwarning = show
        yield


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    import fastmlp
    from fastmlp import _kernels

    threads = fastmlp.get_num_threads()
    plural = "" if threads == 1 else "s"
    click.echo(f"fastmlp {fastmlp.__version__}, {_kernels.isa()}, {threads} thread{plural}")
    ctx.exit()


EXAMPLES = (
    "fastmlp train my.csv --target price -o my.fmlp",
    "fastmlp predict my.fmlp new.csv -o predictions.csv",
    "fastmlp path my.csv --target price -o path",
    "fastmlp sweep my.csv --target price --units 16,64x2 --l2 0,1e-4 -o sweep.db",
    "fastmlp ensemble my.csv --target price --bootstrap -o bag.fmlp",
    "fastmlp catalogue  train every network of the lecture",
)
CODES = (
    ("0", "success"),
    ("1", "failure at run time; also if an output file exists and --force is not given"),
    ("2", "wrong options"),
    ("3", "training diverged"),
    ("4", "wrong data or model file"),
    ("130", "interrupted"),
)


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print version, instruction set and number of threads.",
)
def cli() -> None:
    """Train neural networks on tables, fast, on any CPU.

    COMMAND --help describes a command. Results go to standard output, progress and warnings to
    standard error. A file name of - is standard input or output.
    """
    # A shell starts background jobs with SIGINT ignored; one that is sent should still work.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
