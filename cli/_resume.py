"""Resumable runs: `--checkpoint`, `--checkpoint-every` and `--resume`.

A checkpoint holds, among the model's extras, the options that its run was started with. With
`--resume` the command takes them as if they came from a configuration file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import _config, _ranks
from ._groups import option
from ._output import Failure, OutputOptions, _io_failures, check_output, refuse_standard_output

if TYPE_CHECKING:
    from fastmlp.models import Sequential

F = TypeVar("F", bound=Callable[..., Any])

_RUN = "fastmlp.resumed"  # in the context: which checkpoint, and its model
# Options that a resumed run is given anew: a file must not choose which files are written.
_ANEW = frozenset(
    {"resume", "output", "figures", "force", "as_json", "quiet", "verbose", "threads"}
    | {"checkpoint_every"}
)


def _checked_every(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not ctx.resilient_parsing:
        from fastmlp._training.run_state import parse_every

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
                continue  # it may be given, or is not given
            name = max(param.opts, key=len) if param.opts[0][0] == "-" else param.opts[0].upper()
            raise click.UsageError(
                f"--resume continues the run in {path} as it was started; {name} cannot be given "
                "with it",
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
    """Return the model of the run that the command resumes, if it does."""
    run = click.get_current_context().meta.get(_RUN)
    return None if run is None else run[1]


@dataclass
class Checkpoints:
    """The options that say where and when a run is saved."""

    checkpoint: str | None = option(
        "--checkpoint",
        metavar="FILE",
        help="Save checkpoints in this file, from which --resume continues after a crash, a kill "
        "or Ctrl-C.",
    )
    checkpoint_every: str | None = option(
        "--checkpoint-every",
        metavar="TIME",
        callback=_checked_every,
        help="Interval between checkpoints: seconds, or a number of epochs such as '10 epochs'.  "
        "[default: 60]",
    )

    def check(self, results: OutputOptions) -> None:
        """Fail, before any work is done, if a checkpoint could not be written."""
        if self.checkpoint is None:
            if self.checkpoint_every is not None and model() is None:
                raise click.UsageError("--checkpoint-every needs --checkpoint")
            return
        refuse_standard_output(self.checkpoint, "a checkpoint", "--checkpoint")
        path, output = Path(self.checkpoint), results.output
        if output is not None and Path(output).resolve() == path.resolve():
            raise click.UsageError("--checkpoint and --output must name different files")
        from fastmlp._utils.atomic import is_special

        with _io_failures(self.checkpoint):
            if is_special(self.checkpoint):
                raise Failure(
                    f"{path}: is not a regular file, from which a checkpoint could be read again"
                )
        check_output(self.checkpoint, results.force)

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `fit`; `check` has taken care of --force."""
        checkpoint: Any = self.checkpoint
        if checkpoint is not None:
            from fastmlp._training.checkpoint import Replacing

            checkpoint = Replacing(checkpoint)
        return {"checkpoint": checkpoint, "checkpoint_every": self.checkpoint_every}

    @property
    def hint(self) -> str:
        """The end of a message that says how to resume; empty if there is no checkpoint."""
        run = click.get_current_context().meta.get(_RUN)
        path = self.checkpoint if run is None else run[0]
        kept = path is not None and Path(path).exists()  # it may have been impossible to write
        return f"; --resume {path} continues" if kept else ""


resume: Callable[[F], F] = click.option(
    "--resume",
    metavar="FILE",
    expose_value=False,
    help="Continue the run from this checkpoint; the result is that of an uninterrupted run.",
)
