"""What is made of a sweep: copies of its runs, a figure, the winner and the command for it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _config, _data
from ._groups import option
from ._output import Messages, _io_failures, check_output, keep, refuse_standard_output

if TYPE_CHECKING:
    from fastmlp.sweeps import Rank, SweepResult


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
        help="Write the network of the first rank to this model file; it is trained anew, on the "
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
    result: SweepResult, source: _data.Source, held_out: _data.Validation
) -> dict[str, Any] | None:
    """Return the options of `fastmlp train` for the network of the first rank.

    Parameters
    ----------
    result : SweepResult
    source : Source
        The data of the sweep.
    held_out : Validation

    Returns
    -------
    dict or None
        By the keys of a TOML file. None if nothing has finished, or if `train` does not train such
        a network: it has no hidden layers, or the lecture's data were standardised.
    """
    if not result.finished or result.best["units"] == "none":
        return None
    if source.data is None and source.standardize is not False:
        return None
    found: dict[str, Any] = {"data": source.data} if source.data is not None else {}
    for name in ("lecture", "target", "task", "categorical", "drop", "impute", "indicator"):
        value = getattr(source, name)
        if value not in (None, (), False):
            found[name] = list(value) if isinstance(value, tuple) else value
    if source.standardize is False and source.data is not None:
        found["standardize"] = False
    found |= _network(result.ranking()[0], result)
    return found | _rows(result, source, held_out)


def _network(rank: Rank, result: SweepResult) -> dict[str, Any]:
    """Return the options that say what is trained, and how."""
    config, settings = rank.config, result.settings
    found: dict[str, Any] = {"units": config["units"], "activation": config["activation"]}
    for name in ("l1", "l2", "group_l1", "dropout"):
        if config[name]:
            found[name.replace("_", "-")] = str(config[name])
    if config["l1"] and settings["proximal"]:
        found["proximal"] = True
    if config["group_l1"]:
        found["groups"] = settings["groups"]
    return found | {
        "optimizer": config["optimizer"],
        "learning-rate": config["learning_rate"],
        "epochs": rank.epochs,
        "batch-size": config["batch_size"],
        "seed": settings["seed"],
    }


def _rows(result: SweepResult, source: _data.Source, held_out: _data.Validation) -> dict[str, Any]:
    """Return the option that says which rows are held out."""
    from fastmlp.sweeps import SHARE

    if held_out.validation is not None:
        return {"validation": held_out.validation}
    if held_out.validation_split is not None:
        return {"validation-split": held_out.validation_split}
    folded = len({row["fold"] for row in result.rows}) > 1
    own = source.data is None  # the lecture's data have validation rows of their own
    return {} if folded or own else {"validation-split": SHARE}


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
