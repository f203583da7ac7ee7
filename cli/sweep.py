"""`fastmlp sweep`: many configurations, scored on rows held out, in a resumable store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastmlp._utils.names import GROUPS, MEASURES, METHODS, OPTIMIZERS
from fastmlp.errors import printable

from . import _config, _data, _decided, _exports, _options, _ranking
from ._groups import group, option
from ._output import Messages, OutputOptions, print_json, refuse_standard_output

if TYPE_CHECKING:
    from fastmlp.sweeps import SweepResult

F = TypeVar("F", bound=Callable[..., Any])

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
  fastmlp sweep houses.csv --target price --units 64x2,256x3 -o s.db --model best.fmlp
  fastmlp sweep --lecture regression --units 8,64x2 --epochs 1000 --seeds 3

Every combination of the values is trained with each of the seeds and scored on validation rows:
those of --validation-split or --validation, or each of the --folds. A + joins the widths of one
network: 64+32. LOW..HIGH is a range to draw from; lambdas, learning rates and batch sizes are drawn
log-uniformly. The method halving trains all configurations for few epochs, keeps the best third
(--eta 3), trains them from scratch for three times as many epochs, and so on. The method optuna
needs fastmlp[optuna].

Below the ranking, the command prints the fastmlp train command for the best configuration with the
first seed. --model trains this network again and writes it: on the training rows, where it is
bitwise that of the sweep, or with --folds on all rows.

-o names the store, an SQLite file with a row for each run in its table "runs". Each run is written
when it is finished: after a kill, a crash or Ctrl-C, the same command resumes the sweep. A store
belongs to one set of data and settings; only --jobs, --threads and --cluster may change. --force
replaces the store of another sweep. Configurations are ranked by their mean over seeds and folds.

Runs are executed in parallel by the --threads of this process, by --jobs processes
(fastmlp[sklearn]) or on a Dask cluster (fastmlp[dask]); the results are the same.
"""


@dataclass
class SpaceOptions:
    """The options that say what is tried; lists are text, None where not given."""

    units: str | None = option(
        "--units",
        metavar="VALUES",
        help="Widths of the hidden layers: 16,64x3 are two networks, 64+32 is one of two "
        "widths, none a linear model.  [default: chosen by the number of rows; required for the "
        "lecture's data]",
    )
    activation: str | None = option(
        "--activation",
        metavar="VALUES",
        help="Activations of the hidden layers.  [default: silu; on the lecture's data relu]",
    )
    l1: str | None = option(
        "--l1", metavar="VALUES", help="L1 penalties on the weights of all layers.  [default: 0]"
    )
    l2: str | None = option(
        "--l2", metavar="VALUES", help="L2 penalties on the weights of all layers.  [default: 0]"
    )
    group_l1: str | None = option(
        "--group-l1",
        metavar="VALUES",
        help="Group penalties on the weights of all layers.  [default: 0]",
    )
    dropout: str | None = option(
        "--dropout",
        metavar="VALUES",
        help="Dropout rates after the hidden layers.  [default: 0.1; with few rows, and on the "
        "lecture's data, 0]",
    )
    optimizer_values: str | None = option(
        "--optimizer",
        metavar="VALUES",
        help=f"Optimizers: {', '.join(OPTIMIZERS)}.  [default: adamw; on the lecture's data adam]",
    )
    learning_rate_values: str | None = option(
        "--learning-rate",
        metavar="VALUES",
        help="Learning rates, at the maximum of the schedule.  [default: chosen by the task; on "
        "the lecture's data the optimizer's default]",
    )
    batch_size_values: str | None = option(
        "--batch-size",
        metavar="VALUES",
        help="Numbers of rows in a batch.  [default: chosen by the number of rows; on the "
        "lecture's data all]",
    )
    proximal: bool = option(
        "--proximal",
        is_flag=True,
        help="Use proximal steps for the L1 penalty, which make weights exactly zero.",
    )
    groups: str = option(
        "--groups",
        type=click.Choice(GROUPS, case_sensitive=False),
        default="units",
        help="What a group of --group-l1 is: the incoming weights of a unit, or the outgoing "
        "weights of an input.  [default: units]",
    )
    epochs: int | None = option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Number of passes over the training rows; with halving, in the last round.  "
        "[default: chosen by the number of rows; on the lecture's data 1000]",
    )
    method: str = option(
        "--method",
        type=click.Choice(METHODS),
        default="grid",
        show_default=True,
        help="Search method: all combinations, random draws, successive halving, or Optuna.",
    )
    samples: int | None = option(
        "--samples",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of configurations to try, for random and optuna.",
    )
    eta: int = option(
        "--eta",
        type=click.IntRange(min=2),
        default=3,
        show_default=True,
        help="Halving: keep 1/ETA of the configurations in each round, and train them ETA times "
        "as long.",
    )
    min_epochs: int | None = option(
        "--min-epochs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Halving: minimum number of epochs in the first round.",
    )
    seeds: int = option(
        "--seeds",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Number of networks for each configuration, with different seeds.",
    )
    seed: int | None = option(
        "--seed",
        **_options.seed_option(
            "Seed of the first network; it also draws the rows held out and the configurations.",
            most=2**62,
        ),
    )
    folds: int | None = option(
        "--folds",
        type=click.IntRange(min=2),
        metavar="K",
        help="Cross-validate with K folds, one run for each.",
    )
    measure: str | None = option(
        "--measure",
        type=click.Choice(MEASURES),
        help="Error measure to rank by.  [default: mse; for classes the deviance]",
    )

    def arguments(self, on_lecture: bool) -> dict[str, Any]:
        """Return the arguments of `fastmlp.sweep`, checked."""
        if self.units is None and on_lecture:
            raise click.UsageError("--units is missing: the networks to try, such as 16,64x2")
        names = ("proximal", "groups", "method", "samples", "eta", "min_epochs", "seeds", "folds",
                 "measure", "seed")  # fmt: skip
        found: dict[str, Any] = {name: getattr(self, name) for name in names}
        found["epochs"] = self.epochs or (1000 if on_lecture else None)
        if self.units is not None:
            found["units"] = [part.replace("+", ",") for part in self.units.split(",")]
        for name, text in (("activation", self.activation), ("optimizer", self.optimizer_values)):
            if text is not None:
                found[name] = [part.strip() for part in text.split(",")]
        for name in _RANGED:
            text = getattr(self, f"{name}_values", getattr(self, name, None))
            if text is not None:
                with _options.wrong_option(f"--{name.replace('_', '-')}"):
                    found[name] = _numbers(name, text)
        if on_lecture:
            found.setdefault("batch_size", None)
        return found


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


@click.command(cls=_config.Configured, epilog=EPILOG)
@_options.file_argument("data", required=False)
@group(SpaceOptions, "space")
@_data.source("Use the lecture's data instead of DATA.")
@_data.held_out(None, "  [default: 0.2; with fewer than 500 rows 5-fold cross-validation]")
@_decided.shared_options(*_decided.SHARED)
@_options.workers
@group(_exports.Exports, "exports")
@_options.output(
    metavar="STORE",
    help="Write the runs to this SQLite file. With --show: write the figure to this file.",
)
@_options.common
def command(
    space: SpaceOptions,
    source: _data.Source,
    held_out: _data.Validation,
    options: _decided.SharedOptions,
    workers: _options.Workers,
    exports: _exports.Exports,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Train many configurations, and rank them.

    DATA is a file with a table; - is CSV from standard input. The word lecture stands for the
    lecture's data.
    """
    start = time.perf_counter()
    seconds: float | None = None
    training: dict[str, Any] | None = None
    if exports.show is not None:
        result = _shown(exports, source, space.measure, results)
    else:
        swept = _swept(space, source, held_out, options, workers, exports, results, report)
        if swept is None:
            return
        result, seconds = swept, time.perf_counter() - start
        training = _exports.options(result, space, source, held_out, options)
        if exports.model is not None:
            with _options.library_call():
                _exports.write(result, exports.model, training, source.name, report)
    exports.write(result, space.measure, report)
    line = None if training is None else _exports.command_line(training, exports.model is None)
    if results.as_json:
        store = exports.show or results.output
        document = _ranking.document(result, space.measure, store, seconds)
        print_json({**document, "command": line, "model": exports.model})
        return
    _ranking.print_table(result, space.measure, exports.top, seconds)
    if line is not None:
        click.echo(f"The first rank's network: {printable(line)}")


def _shown(
    exports: _exports.Exports, source: _data.Source, measure: str | None, results: OutputOptions
) -> SweepResult:
    """Read the store of --show."""
    from fastmlp import sweeps

    if source.data is not None or source.lecture is not None:
        raise click.UsageError("--show reads a store; DATA and --lecture are for a new sweep")
    if exports.model is not None:
        raise click.UsageError(
            "--model needs the rows, which a store does not have; repeat the command of the sweep "
            "with --model, which trains no run again"
        )
    if results.output is not None and exports.figure is not None:
        raise click.UsageError("with --show, -o and --plot both name the figure; give one of them")
    exports.figure = exports.figure or results.output
    exports.check(results.force)
    result = sweeps.load(str(exports.show))
    if measure is not None and measure not in result.measures:
        raise click.BadParameter(
            f"the runs were scored by {', '.join(result.measures)}. Received: {measure}",
            param_hint="'--measure'",
        )
    return result


def _swept(
    space: SpaceOptions,
    source: _data.Source,
    held_out: _data.Validation,
    options: _decided.SharedOptions,
    workers: _options.Workers,
    exports: _exports.Exports,
    results: OutputOptions,
    report: Messages,
) -> SweepResult | None:
    """Sweep; None if only the configuration was to be printed."""
    from fastmlp import sweeps

    arguments = space.arguments(source.data is None)
    source.require()
    source.one_target("sweep")
    held_out.refuse_one_stream(source.data)
    if space.folds is not None and (held_out.validation or held_out.validation_split is not None):
        given = "--validation" if held_out.validation else "--validation-split"
        raise click.UsageError(f"{given} and --folds exclude each other")
    if space.seed is None:
        arguments["seed"] = sweeps.seed_for(results.output, results.force)
    if _config.print_wanted():
        click.echo(_configuration(space, arguments, source, held_out, options), nl=False)
        return None
    exports.check(results.force)
    refuse_standard_output(results.output, "a store")
    if source.data is None:
        options.refuse("is for DATA, which is not given")
        data: dict[str, Any] = _lecture(source, held_out, space.folds)
    else:
        data = {
            "x": source.data, "target": source.target[0] if source.target else None,
            **_decided.table_keywords(source), **options.keywords,
            "validation": held_out.validation,
        }  # fmt: skip
    data["validation_split"] = held_out.validation_split
    try:
        with _options.library_call():
            return sweeps.sweep(
                **data,
                **arguments,
                **vars(workers),
                store=results.output,
                overwrite=results.force,
                verbose=report.verbosity,
            )
    except sweeps.SweepInterrupted as stop:
        kept = "" if results.output is None else f" {results.output} has them; run the same "
        kept += "command to continue." if kept else ""
        raise KeyboardInterrupt(f"{stop}{kept}") from None


def _configuration(
    space: SpaceOptions,
    arguments: dict[str, Any],
    source: _data.Source,
    held_out: _data.Validation,
    options: _decided.SharedOptions,
) -> str:
    """Return the options of the sweep, with every decision, as a TOML file."""
    if source.data is None:
        run = _config.resolved(
            seed=arguments["seed"], epochs=arguments["epochs"], standardize=True,
            activation="relu", dropout="0", optimizer_values="adam",
        )  # fmt: skip
        return _config.to_toml(run)
    keywords = {**_decided.table_keywords(source), **options.keywords}
    keywords |= {"validation": held_out.validation, "epochs": space.epochs}
    keywords["validation_split"] = held_out.validation_split if space.folds is None else 0.0
    prepared = _decided.prepared(source.data, source, arguments["seed"], keywords)
    state, decided = prepared.preprocessing, _decided.resolved(prepared)
    for name in ("group_l1", "groups"):  # 0 here would be a choice
        decided.pop(name, None)
    for name in ("optimizer", "learning_rate", "batch_size"):
        decided[f"{name}_values"] = str(decided.pop(name))
    if space.optimizer_values is not None:  # each has its own rate
        del decided["learning_rate_values"]
    run = _config.resolved(
        **decided, **_decided.described(source), target=[state.target.name], task=state.task,
        seed=arguments["seed"], measure="deviance" if state.target.labels else "mse",
    )  # fmt: skip
    if held_out.validation is not None or space.folds is not None:
        run.pop("validation-split", None)
    return _decided.comments(prepared) + _config.to_toml(run)


def _lecture(source: _data.Source, held_out: _data.Validation, folds: int | None) -> dict[str, Any]:
    """Return the arguments of `fastmlp.sweep` for the lecture's data."""
    task = str(source.lecture)
    x, y = _data.lecture_arrays(task, "train")
    found: dict[str, Any] = {"x": x, "y": y, "task": task, "impute": None, "indicator": False}
    found["standardize"] = source.standardize is not False
    if held_out.validation is not None:
        raise click.UsageError(
            "--validation is for DATA; the lecture's data have rows of their own"
        )
    if held_out.validation_split is None and folds is None:
        found["validation_data"] = _data.lecture_arrays(task, "validation")
    return found
