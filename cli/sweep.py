"""`fastmlp sweep`: many configurations, scored on rows held out, in a store that survives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _config, _data, _options, _ranking
from ._output import check_output, print_json

if TYPE_CHECKING:
    from fastmlp.sweeps import SweepResult

    from ._output import Messages

# Restated here, and compared by a test, because the library's own lists come with NumPy.
METHODS = ("grid", "random", "halving", "optuna")
MEASURES = ("mse", "deviance", "misclassification")
_RANGED = ("l1", "l2", "group_l1", "dropout", "learning_rate", "batch_size")

EPILOG = """\b
Examples:
  fastmlp sweep houses.csv --target price --units 16x1,16x2,64x3 --l2 0,1e-4,1e-3 --seeds 5 -o s.db
  fastmlp sweep --show s.db -o sweep.png
  fastmlp sweep houses.csv --units 64x2,64+32 --l2 1e-6..1e-2 --learning-rate 1e-4..1e-2 \\
      --method random --samples 50 -o s.db
  fastmlp sweep houses.csv --units 16,64x2,256x3 --l1 0,1e-4,1e-3 --proximal \\
      --method halving --epochs 270 -o s.db
  fastmlp sweep iris.csv --target species --units 8,16x2 --folds 5 --jobs 2 -o s.db
  fastmlp sweep houses.csv --units 64x2,256x3 --seeds 3 -o s.db --cluster tcp://scheduler:8786
  fastmlp sweep --show s.db --export runs.parquet
  fastmlp sweep --data regression --units 8,64x2 --epochs 1000 --seeds 3

Every combination of the values is trained, with each of the seeds, and scored on rows held out:
those of --validation-split, --validation or, one after the other, --folds. A + joins unlike widths,
and LOW..HIGH is a range to draw from; lambdas, learning rates and batch sizes are drawn by their
order of magnitude. halving trains all for few epochs and each time lets the best third (--eta 3) go
on to three times as many, anew. optuna needs fastmlp[optuna].

STORE is one SQLite file, whatever its suffix, with a row for each run in the table runs. A run is
written as soon as it is finished: after a kill, a crash or Ctrl-C the same command goes on with the
rest. It is recognised by its data and settings; --jobs, --threads and --cluster may change. --force
replaces another sweep's store. Ranks are by the mean over seeds and folds.

Runs go side by side on --threads of this process, on --jobs processes (fastmlp[sklearn]), or on a
Dask cluster (fastmlp[dask]); the rows are the same.
"""


def _listed(name: str, help_text: str, default: str | None = None) -> Any:
    """Return an option that takes several values with commas between."""
    return click.option(
        f"--{name.replace('_', '-')}",
        f"{name}_values" if name in ("learning_rate", "batch_size", "optimizer") else name,
        metavar="VALUES",
        default=default,
        help=help_text,
    )


@click.command(cls=_config.Configured, epilog=EPILOG)
@_options.file_argument("data", required=False)
@_listed("units", "Hidden layers' widths: 16,64x3 are two networks, 64+32 one of two widths, "
         "none a linear model.")  # fmt: skip
@_listed("activation", "Of hidden layers.  [default: relu]")
@_listed("l1", "L1 penalties on the weights of all layers.  [default: 0]")
@_listed("l2", "L2 penalties, likewise.")
@_listed("group_l1", "Group penalties, likewise.")
@_listed("dropout", "Rates after hidden layers.  [default: 0]")
@_listed("optimizer", f"{', '.join(_options.OPTIMIZERS)}.  [default: adam]")
@_listed("learning_rate", "[default: the optimizer's]")
@_listed("batch_size", "[default: 32; of the lecture's data all]")
@click.option("--proximal", is_flag=True, help="Take --l1 by proximal steps: exact zeros.")
@click.option(
    "--groups",
    type=click.Choice(_options.GROUPS, case_sensitive=False),
    default="units",
    help="What --group-l1 is about.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="[default: 100; of the lecture's data 1000]"
)
@click.option("--method", type=click.Choice(METHODS), default="grid", show_default=True)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Configurations to draw, or for optuna to try.",
)
@click.option(
    "--eta",
    type=click.IntRange(min=2),
    default=3,
    show_default=True,
    help="halving: 1 in so many goes on to so many times the epochs.",
)
@click.option(
    "--min-epochs", type=click.IntRange(min=1), metavar="N", help="halving: of the first rung."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Networks of each configuration.",
)
@_options.seed("The first one; also of rows held out, and of what is drawn.", most=2**62)
@_options.columns(standardized=True)
@_options.held_out(None, "  [default: 0.2]")
@click.option(
    "--folds", type=click.IntRange(min=2), metavar="K", help="Cross-validate: a run for each fold."
)
@click.option(
    "--measure",
    type=click.Choice(MEASURES),
    help="What ranks.  [default: mse; for classes the deviance]",
)
@_options.lecture("The lecture's data, instead of DATA.")
@click.option(
    "-o",
    "--output",
    metavar="STORE",
    help="Keep the runs in this SQLite file; with --show, the figure's.",
)
@_options.threads
@_options.jobs
@_options.cluster
@click.option("--show", metavar="STORE", help="Show what is in a store; do nothing else.")
@click.option("--export", metavar="FILE", help="Copy the runs to a .parquet or .csv file.")
@click.option("--plot", "figure", metavar="FILE", help="Draw ranks and parameters: .png, .svg.")
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, help="Ranks to print."
)
@_options.force
@_options.as_json
@_options.common
def command(
    data: str | None,
    lecture: str | None,
    seed: int | None,
    output: str | None,
    jobs: int | None,
    cluster: str | None,
    show: str | None,
    export: str | None,
    figure: str | None,
    top: int,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Train many configurations, and rank them.

    DATA is a file with a table; - is CSV from standard input.
    """
    report = _options.messages(quiet, verbose)
    start = time.perf_counter()
    if show is not None:
        if data is not None or lecture is not None:
            raise click.UsageError("--show shows a store; DATA and --data are for a new sweep")
        if output is not None and figure is not None:
            raise click.UsageError("with --show, -o is the figure, as --plot is: give one of them")
        figure = figure or output
        _check_files(export, figure, force)
        from fastmlp import sweeps

        result = sweeps.load(show)
        options["measure"] = _fitting(result, options["measure"])
    else:
        swept = _swept(data, lecture, seed, output, jobs, cluster, export, figure, force, report,
                        options, 0 if quiet else 1)  # fmt: skip
        if swept is None:
            return
        result = swept
    seconds = None if show is not None else time.perf_counter() - start
    _write_files(result, options["measure"], export, figure, report)
    if as_json:
        print_json(_ranking.document(result, options["measure"], show or output, seconds))
    else:
        _ranking.print_table(result, options["measure"], top, seconds)


def _swept(
    data: str | None,
    lecture: str | None,
    seed: int | None,
    output: str | None,
    jobs: int | None,
    cluster: str | None,
    export: str | None,
    figure: str | None,
    force: bool,
    report: Messages,
    options: dict[str, Any],
    verbose: int,
) -> SweepResult | None:
    """Sweep; None if only the configuration was to be printed."""
    if options["units"] is None:
        raise click.UsageError("--units is missing: the networks to try, such as 16,64x2")
    _data.check_source(data, lecture)
    _options.check_columns(options["impute"], options["indicator"])
    _data.check_streams(data, options["validation"])
    seed = _kept_seed(output, force) if seed is None else seed
    seed = _options.given_seed(seed)
    arguments = _arguments(options, lecture is not None)
    run = _config.resolved(seed=seed, epochs=arguments["epochs"])
    if _config.print_wanted():
        click.echo(_config.to_toml(run), nl=False)
        return None
    _check_files(export, figure, force)
    if output == "-":
        raise click.BadParameter("a store goes to a file", param_hint="'--output'")
    table, target, arguments["task"] = _data.table(
        data, lecture, options["target"], options, report
    )
    arguments["validation_data"] = _validation(lecture, options)
    arguments |= {"seed": seed, "store": output, "overwrite": force, "verbose": verbose}
    return _run(table, target, {**arguments, "jobs": jobs, "cluster": cluster}, output)


def _run(table: Any, target: str, arguments: dict[str, Any], output: str | None) -> SweepResult:
    from fastmlp import sweeps

    try:
        with _options.library_call():
            return sweeps.sweep(table, target, **arguments)
    except sweeps.SweepInterrupted as stop:
        kept = "" if output is None else f" {output} has them; the same command goes on."
        raise KeyboardInterrupt(f"{stop}{kept}") from None


def _kept_seed(output: str | None, force: bool) -> int | None:
    """Return the seed of the sweep in a store, which was drawn when it began."""
    if output is None or not Path(output).is_file() or not Path(output).stat().st_size:
        return None
    from fastmlp import sweeps
    from fastmlp.sweeps import EmptyStoreError

    try:
        return int(sweeps.load(output).settings["seed"])
    except EmptyStoreError:
        return None
    except sweeps.StoreError:
        if force:
            return None
        raise


# ---- options -----------------------------------------------------------------------------------


def _arguments(options: dict[str, Any], on_lecture: bool) -> dict[str, Any]:
    """Return the arguments of `sweeps.sweep` that options stand for."""
    names = ("proximal", "groups", "method", "samples", "eta", "min_epochs", "seeds", "folds",
             "measure", "standardize", "categorical", "drop", "impute", "indicator",
             "validation_split")  # fmt: skip
    arguments = {name: options[name] for name in names}
    arguments["epochs"] = options["epochs"] or (1000 if on_lecture else 100)
    with _options.wrong_option("--units"):
        arguments["units"] = [part.replace("+", ",") for part in options["units"].split(",")]
    for name in ("activation", "optimizer"):
        text = options["optimizer_values" if name == "optimizer" else name]
        if text is not None:
            arguments[name] = [part.strip() for part in text.split(",")]
    for name in _RANGED:
        text = options.get(f"{name}_values", options.get(name))
        if text is not None:
            with _options.wrong_option(f"--{name.replace('_', '-')}"):
                arguments[name] = _numbers(name, text)
    if on_lecture:
        arguments.setdefault("batch_size", None)
    return arguments


def _numbers(name: str, text: str) -> Any:
    """Read numbers with commas between, or LOW..HIGH."""
    from fastmlp.sweeps import LogUniform, Uniform

    ends = text.split("..")
    kind = int if name == "batch_size" else float
    try:
        if len(ends) == 2:
            return (Uniform if name == "dropout" else LogUniform)(*map(float, ends))
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        if "low" in str(error) or "high" in str(error):
            raise ValueError(f"a range is LOW..HIGH with 0 < LOW < HIGH. Received: {text!r}") from (
                error
            )
        what = "whole numbers" if kind is int else "numbers"
        raise ValueError(
            f"expected {what} with commas between, or LOW..HIGH. Received: {text!r}"
        ) from None


def _validation(lecture: str | None, options: dict[str, Any]) -> Any:
    """Return the table to score on, if it is one of its own."""
    from fastmlp import datasets

    if options["validation"] is not None:
        if options["validation_split"] is not None or options["folds"] is not None:
            raise click.UsageError(
                "--validation goes without --validation-split and without --folds"
            )
        return datasets.read_table(options["validation"])
    if options["validation_split"] is not None and options["folds"] is not None:
        raise click.UsageError("--validation-split and --folds exclude each other")
    own = options["validation_split"] is None and options["folds"] is None
    return _data.lecture_table(lecture, "validation") if lecture and own else None


def _fitting(result: SweepResult, measure: str | None) -> str | None:
    if measure is not None and measure not in result.measures:
        raise click.BadParameter(
            f"the runs were scored by {', '.join(result.measures)}. Received: {measure}",
            param_hint="'--measure'",
        )
    return measure


# ---- files -------------------------------------------------------------------------------------


def _check_files(export: str | None, figure: str | None, force: bool) -> None:
    """Fail, before any work is done, if a file could not be written afterwards."""
    from fastmlp._utils.atomic import is_special

    def fits(path: str, suffixes: tuple[str, ...]) -> bool:
        return Path(path).suffix.lower() in suffixes or is_special(path)

    if export is not None and not fits(export, (".parquet", ".csv")):
        raise click.BadParameter(
            f"must end in .parquet or .csv. Received: {export}", param_hint="'--export'"
        )
    if figure is not None and not fits(figure, (".png", ".svg", ".pdf")):
        raise click.BadParameter(
            f"must end in .png, .svg or .pdf. Received: {figure}", param_hint="'--plot'"
        )
    if export is not None and export.lower().endswith(".parquet"):
        from fastmlp._utils.optional import require

        require("pyarrow", "data", "Parquet")
    for path in (export, figure):
        check_output(path, force)


def _write_files(
    result: SweepResult, measure: str | None, export: str | None, figure: str | None,
    report: Messages,
) -> None:  # fmt: skip
    from ._output import _io_failures

    if export is not None:
        with _io_failures(export):
            result.export(export)
        report.note(f"Wrote {export}.")
    if figure is not None:
        from fastmlp import plots

        with _io_failures(figure):
            plots.save(result.plot(measure), figure)
        report.note(f"Wrote {figure}.")
