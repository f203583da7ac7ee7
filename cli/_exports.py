"""What is made of a sweep: copies of its runs, a figure, the winner and the command for it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _config, _data, _decided
from ._groups import option
from ._output import Messages, _io_failures, check_output, keep, refuse_standard_output

if TYPE_CHECKING:
    from fastmlp.sweeps import SweepResult


@dataclass
class Exports:
    """The options that show a store, and the files that are made from it."""

    show: str | None = option(
        "--show", metavar="STORE", help="Print what a store holds; train nothing."
    )
    export: str | None = option(
        "--export", metavar="FILE", help="Copy the runs to a .parquet or .csv file."
    )
    figure: str | None = option(
        "--plot", metavar="FILE", help="Draw ranks and parameters: .png, .svg or .pdf."
    )
    model: str | None = option(
        "--model",
        metavar="FILE",
        help="Train the best configuration again and write it to this model file; on the "
        "training rows, or with --folds on all rows.",
    )
    top: int = option(
        "--top",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        help="Number of configurations to print.",
    )

    def check(self, force: bool) -> None:
        """Fail, before any work is done, if a file could not be written afterwards."""
        from fastmlp._utils.atomic import is_special

        for path, flag, suffixes in (
            (self.export, "--export", (".parquet", ".csv")),
            (self.figure, "--plot", (".png", ".svg", ".pdf")),
        ):
            if path is None:
                continue
            if Path(path).suffix.lower() not in suffixes and not is_special(path):
                raise click.BadParameter(
                    f"must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}. Received: {path}",
                    param_hint=f"'{flag}'",
                )
            if path.lower().endswith(".parquet"):
                from fastmlp._utils.optional import require

                require("pyarrow", "data", "Parquet")
        refuse_standard_output(self.model, "a model", "--model")
        for path in (self.export, self.figure, self.model):
            check_output(path, force)

    def write(self, result: SweepResult, measure: str | None, report: Messages) -> None:
        """Write the files."""
        if self.export is not None:
            with _io_failures(self.export):
                result.export(self.export)
            report.note(f"Wrote {self.export}.")
        if self.figure is not None:
            from fastmlp import plots

            with _io_failures(self.figure):
                plots.save(result.plot(measure), self.figure)
            report.note(f"Wrote {self.figure}.")


def options(
    result: SweepResult,
    space: Any,
    source: _data.Source,
    held_out: _data.Validation,
    more: _decided.SharedOptions,
) -> dict[str, Any] | None:
    """Return the options of `fastmlp train` for the network of the first rank.

    Parameters
    ----------
    result : SweepResult
    space : SpaceOptions
        Those of the command.
    source : Source
        The data of the sweep.
    held_out : Validation
    more : SharedOptions

    Returns
    -------
    dict or None
        By the keys of a TOML file; what was not chosen is decided by `train` as it was here. None
        if nothing has finished, or if `train` does not train such a network: it has no hidden
        layers, or the lecture's data were standardised.
    """
    if not result.finished or result.best["units"] == "none":
        return None
    on_lecture = source.data is None
    if on_lecture and source.standardize is not False:
        return None
    # With --folds, more rows are trained on than `train` decides by.
    everything = on_lecture or space.folds is not None
    rank, settings = result.ranking()[0], result.settings
    found: dict[str, Any] = {} if on_lecture else {"data": source.data}
    found |= _decided.given_options(source, source.reading, more)
    if on_lecture:
        found.pop("standardize", None)
    for name, value in rank.config.items():
        chosen = getattr(space, f"{name}_values", getattr(space, name, None))
        if (everything or chosen is not None) and value not in (0, None):
            found[name.replace("_", "-")] = value if name == "batch_size" else str(value)
    if rank.config["l1"] and settings["proximal"]:
        found["proximal"] = True
    if rank.config["group_l1"]:
        found["groups"] = settings["groups"]
    if everything or space.epochs is not None or settings["method"] == "halving":
        found["epochs"] = rank.epochs
    return found | {"seed": settings["seed"], **_decided.given_options(held_out)}


def command_line(found: dict[str, Any], writes: bool) -> str:
    """Write options as a command; `writes` says whether it writes a file."""
    words = ["fastmlp", "train"]
    words += [found["data"]] if "data" in found else []
    for key, value in found.items():
        if key == "data":
            continue
        if isinstance(value, bool):
            words.append(f"--{key}" if value else f"--no-{key}")
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{key}", str(one)]
    return shlex.join([*words, *(["-o", "best.fmlp"] if writes else [])])


def write(
    result: SweepResult, path: str, run: dict[str, Any] | None, source: str, report: Messages
) -> None:
    """Train the winner anew, and write its file.

    Parameters
    ----------
    result : SweepResult
    path : str
    run : dict or None
        Its options, which the file keeps.
    source : str
        The data's name.
    report : Messages
    """
    if not result.finished:
        report.note(f"No {path}: every configuration diverged.")
        return
    model = result.model
    model.extras["data"] = source
    if run is not None:
        model.extras[_config.KEPT] = run
    keep(model, path)
    report.note(f"Wrote {path}, the network of the first rank.")
