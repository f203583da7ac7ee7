"""Options that several commands share, and the lists that shells complete."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ._groups import group, option
from ._output import Failure, Messages, OutputOptions

F = TypeVar("F", bound=Callable[..., Any])


common: Callable[[F], F] = group(Messages, "report")


def _use_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and not ctx.resilient_parsing:
        import fastmlp

        try:
            fastmlp.set_num_threads(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return value


threads: Callable[[F], F] = click.option(
    "--threads",
    type=click.IntRange(min=1),
    expose_value=False,
    callback=_use_threads,
    help="Number of threads.  [default: at most OMP_NUM_THREADS, or one for each processor that "
    "this process may use]",
)


@dataclass
class Workers:
    """Where networks are trained: in this process, in others, or on a cluster."""

    jobs: int | None = option(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Use N worker processes, each with --threads threads.  [default: train in this "
        "process]",
    )
    cluster: str | None = option(
        "--cluster",
        metavar="ADDRESS",
        help="Use the workers of a Dask cluster, such as tcp://scheduler:8786, each with "
        "--threads threads.  [default: this machine]",
    )


def workers(function: F) -> F:
    """Add --threads, --jobs and --cluster; the latter two as the argument workers."""
    return threads(group(Workers, "workers")(function))


as_json: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of tables."
)
force: Callable[[F], F] = click.option(
    "--force", is_flag=True, help="Replace output files that exist."
)


def output(**attributes: Any) -> Callable[[F], F]:
    """Add -o with these attributes, --force and --json, as the argument results."""
    return group(OutputOptions, "results", output=attributes)


target: Callable[[F], F] = click.option(
    "--target",
    metavar="COLUMN",
    help="Target column of DATA.  [default: the target of the training]",
)
drop: Callable[[F], F] = click.option(
    "--drop",
    metavar="COLUMN",
    multiple=True,
    help="Ignore this column of DATA, which training did not have; repeatable.",
)


class HiddenAlias(click.Option):
    """An option with an older name, which parses as before and stands in no help.

    Parameters
    ----------
    *arguments, **named
        Of `click.Option`.
    alias : str
        The older name, with its dashes.
    """

    def __init__(self, *arguments: Any, alias: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.alias = alias

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser know both names."""
        super().add_to_parser(parser, ctx)
        parser.add_option(obj=self, opts=[self.alias], dest=self.name, action="store", nargs=1)


class SeedRange(click.IntRange):
    """The numbers that a seed may be; the help does not print their limit of 19 digits."""

    def _describe_range(self) -> str:
        return f"x>={self.min}"


def seed_option(text: str = "", most: int = 2**63 - 1) -> dict[str, Any]:
    """Return the attributes of --seed; `text` says what it is for."""
    help_text = f"{text}  [default: random; it is recorded]"
    return {"type": SeedRange(min=0, max=most), "help": help_text}


def given_seed(seed: int | None) -> int:
    """Return the seed, drawn if none was given."""
    import secrets

    return secrets.randbits(31) if seed is None else seed


# ---- arguments and names -----------------------------------------------------------------------


def file_argument(name: str, required: bool = True) -> Callable[[F], F]:
    """Add an argument that names a file, completed as one; the library checks that it exists."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]

    return click.argument(name, required=required, shell_complete=complete)


def complete_names(
    names: tuple[str, ...],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Complete the last of a comma-separated list of names."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + name) for name in names if name.startswith(last)]

    return complete


# ---- errors ------------------------------------------------------------------------------------


@contextlib.contextmanager
def library_call() -> Iterator[None]:
    """Turn the library's errors about arguments into exit code 2, those of workers into 1."""
    from fastmlp.errors import DataError, DivergedError, ModelFileError

    try:
        yield
    except (DataError, DivergedError, ModelFileError):
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except (ConnectionError, RuntimeError) as error:
        raise Failure(str(error)) from error


@contextlib.contextmanager
def wrong_option(hint: str) -> Iterator[None]:
    """Turn the library's error about a value into Click's, with exit code 2."""
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"'{hint}'") from error


def numbers(option: str, text: str | None, between: str = ",") -> list[float] | None:
    """Read the numbers of an option; None if it is not given."""
    if text is None:
        return None
    with wrong_option(option):
        try:
            return [float(part) for part in text.split(between)] if text.strip() else []
        except ValueError:
            what = "commas" if between == "," else "colons"
            raise ValueError(f"expected numbers with {what} between. Received: {text!r}") from None
