"""Runs that are kept: `--checkpoint`, `--checkpoint-every`, and `--resume`.

A checkpoint holds, among the model's extras, the options that its run was started with. With
`--resume` they are the command's, as if they came from a configuration file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import _config, _options, _ranks
from ._output import Failure, _io_failures, check_output

if TYPE_CHECKING:
    from fastmlp.models import Sequential

F = TypeVar("F", bound=Callable[..., Any])

_RUN = "fastmlp.resumed"  # in the context: which checkpoint, and its model
# What a run is continued with anew. A file is not to choose which files are written.
_ANEW = frozenset(
    {"resume", "output", "figures", "force", "as_json", "quiet", "verbose", "threads"}
    | {"checkpoint_every"}
)


def options(function: F) -> F:
    """Add --checkpoint, --checkpoint-every and --resume."""
    return _options._combine(
        click.option(
            "--checkpoint",
            metavar="FILE",
            help="Keep the run in this file, so that --resume goes on with it after a crash, a "
            "kill or Ctrl-C.",
        ),
        click.option(
            "--checkpoint-every",
            metavar="TIME",
            callback=_checked_every,
            help="How often: seconds, or such as '10 epochs'.  [default: 60]",
        ),
        click.option(
            "--resume",
            metavar="FILE",
            expose_value=False,
            help="Go on with the run in this checkpoint, to the result that it would have had "
            "without a break.",
        ),
    )(function)


def _checked_every(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not ctx.resilient_parsing:
        from fastmlp._training.checkpoint import parse_every

        try:
            parse_every(value)
        except ValueError:
            raise click.BadParameter(
                f"expected seconds, 'epoch' or such as '10 epochs'. Received: {value!r}", ctx, param
            ) from None
    return value


class Resumable(_config.Configured):
    """A command that, with --resume, takes its options from a checkpoint."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the checkpoint that the command line names, before defaults are looked up."""
        if not ctx.resilient_parsing:
            given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            path = given.get("resume")
            if isinstance(path, str) and not self.help_wanted(ctx, given):
                self._refuse_others(ctx, given, path)
                ctx.default_map = self._kept_options(ctx, path)
        return super().parse_args(ctx, args)

    def _refuse_others(self, ctx: click.Context, given: dict[str, Any], path: str) -> None:
        for param in self.params:
            value = given.get(str(param.name))
            if param.name in _ANEW or not isinstance(value, (str, bool, int, float, list)):
                continue  # it may be given, or was not
            name = max(param.opts, key=len) if param.opts[0][0] == "-" else param.opts[0].upper()
            raise click.UsageError(
                f"--resume goes on with the run in {path} as it was started; {name} cannot be "
                "given with it",
                ctx,
            )

    def _kept_options(self, ctx: click.Context, path: str) -> dict[str, Any]:
        from fastmlp import models
        from fastmlp.errors import ModelFileError

        with _ranks.begin().collectively():
            model = models.resume(path)
        kept = _config.checked(model.extras.get(_config.KEPT), path)
        table, values = self.keys(), {}
        try:
            for key, value in kept.items():
                param = table[key]
                if param.name not in _ANEW | {"checkpoint", "dry_run"}:
                    values[str(param.name)] = _config.as_given(param, value)
                    param.type_cast_value(ctx, values[str(param.name)])
        except (KeyError, click.BadParameter):
            raise ModelFileError(f"{path}: damaged configuration") from None
        ctx.meta[_RUN] = path, model
        return values


def model() -> Sequential | None:
    """Return the model of the run that the command goes on with, if it does."""
    run = click.get_current_context().meta.get(_RUN)
    return None if run is None else run[1]


def check(checkpoint: str | None, every: str | None, output: str | None, force: bool) -> None:
    """Fail, before any work is done, if a checkpoint could not be written."""
    if checkpoint is None:
        if every is not None and model() is None:
            raise click.UsageError("--checkpoint-every needs --checkpoint")
        return
    if checkpoint == "-":
        raise click.BadParameter("a checkpoint goes to a file", param_hint="'--checkpoint'")
    if output is not None and Path(output).resolve() == Path(checkpoint).resolve():
        raise click.UsageError("--checkpoint and --output must name different files")
    from fastmlp._utils.atomic import is_special

    with _io_failures(checkpoint):
        if is_special(checkpoint):
            raise Failure(
                f"{checkpoint}: is not a regular file, as a checkpoint must be to be read again"
            )
    check_output(checkpoint, force)


def arguments(checkpoint: str | None, every: str | None) -> dict[str, Any]:
    """Return the arguments of `fit` that the options stand for; `check` has seen to --force."""
    if checkpoint is not None:
        from fastmlp._training.checkpoint import Replacing

        checkpoint = Replacing(checkpoint)
    return {"checkpoint": checkpoint, "checkpoint_every": every}


def hint(checkpoint: str | None) -> str:
    """Say, at the end of a message, how the run goes on; nothing if it is not kept."""
    run = click.get_current_context().meta.get(_RUN)
    path = checkpoint if run is None else run[0]
    kept = path is not None and Path(path).exists()  # it may have been impossible to write
    return f"; --resume {path} goes on" if kept else ""
