"""`fastmlp path`: networks for many lambdas, cross-validated, and the model of one of them."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastmlp._utils.names import ACTIVATIONS, CHOICES, MEASURES, PENALTIES

from . import _config, _data, _decided, _options, _training
from ._groups import group, option
from ._output import (
    Messages,
    OutputOptions,
    check_output,
    check_outputs,
    console,
    grid,
    keep,
    print_json,
    significant,
    write_bytes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastmlp.paths import PathResult

F = TypeVar("F", bound=Callable[..., Any])

FILES = ("path.csv", "model.fmlp", "cv.png", "path.png", "fits.png")

EPILOG = """\b
Examples:
  fastmlp path houses.csv --target price --units 64x2 -o houses --report houses.html
  fastmlp path houses.csv --target price --units none -o lasso
  fastmlp path iris.csv --target species --units 32 --penalty group --folds 10 -o iris
  fastmlp path houses.csv --target price --units 64x2 --lambdas 0.1,0.03,0.01,0.003
  fastmlp path houses.csv --target price --units 64x2 --layer-factors 1,1,0 --choose min
  fastmlp path houses.csv --target price --weight rooms --group street -o houses
  fastmlp path houses.csv --target price --units 256x3 --cluster tcp://scheduler:8786 -o houses
  fastmlp path --lecture regression --units 64x2 -o lecture

For each lambda, a network is fitted to all rows, and one for each fold of a cross-validation.
--group keeps the rows of a group in one fold; --weight applies to training and scores. The path
reports two lambdas: min has the smallest error, and 1se is the largest lambda whose error is within
one standard error of it. The penalty l1 makes weights exactly zero; group removes whole inputs and
hidden units; l2 only shrinks weights.

If the standard error is larger than the improvement over a constant, 1se would select a network
without weights; min is then used instead, with a warning. There are also warnings if the model is
empty or no better than a constant, and if the smallest error is at an end of the grid; extend the
grid with --lambda-ratio or --lambdas.

With -o, the command writes path.csv, with a row for each lambda; cv.png, the cross-validated error;
path.png, coefficients or norms against lambda; fits.png, the model at nine lambdas: its curve or
its regions over one or two inputs, otherwise its predictions of held-out rows; and model.fmlp, the
model of --choose, fitted to all rows.

With hidden layers, the path goes from the smallest lambda to the largest, and each fit starts from
the previous one (warm start). Without hidden layers (--units none), the solution is exact and
equals that of glmnet or scikit-learn; their lambda or alpha is half of lambda here, because their
loss is half the mean squared error.

Numeric columns and a regression target are standardised unless --no-standardize is given; lambda
refers to the standardised columns. Ctrl-C stops the path; -o then contains the table of the
finished lambdas and the model chosen among them, without figures.
"""


@dataclass
class Fits:
    """The options that say which networks are fitted, and how; lists are text."""

    units: str | None = option(
        "--units",
        metavar="WIDTHS",
        help="Widths of the hidden layers: 64x2, or 64,32; none for a linear or logistic model.  "
        "[default: 64x2, with fewer than 150 rows 32x2; required for the lecture's data]",
    )
    penalty: str = option(
        "--penalty",
        type=click.Choice(PENALTIES),
        default="l1",
        show_default=True,
        help="Penalty on the weights that lambda multiplies.",
    )
    n_lambdas: int = option(
        "--n-lambdas",
        type=click.IntRange(min=1),
        default=50,
        show_default=True,
        metavar="N",
        help="Number of lambdas, from the smallest that makes every weight zero downwards.",
    )
    lambdas: str | None = option(
        "--lambdas",
        metavar="NUMBERS",
        help="Explicit lambdas: 0.1,0.01,0.001; with one value for each layer, output included: "
        "0.1:0.2,0.01:0.02.",
    )
    lambda_ratio: float | None = option(
        "--lambda-ratio",
        type=float,
        metavar="RATIO",
        help="Smallest lambda as a share of the largest.  [default: 0.001; without hidden layers "
        "0.0001, or 0.01 if inputs outnumber rows; for l2 a tenth of that]",
    )
    layer_factors: str | None = option(
        "--layer-factors",
        metavar="NUMBERS",
        help="Factors by which each layer, output included, multiplies lambda; 0 for no penalty.",
    )
    l1_ratio: float = option(
        "--l1-ratio",
        type=float,
        default=1.0,
        metavar="RATIO",
        help="Below 1, the penalty l1 becomes the elastic net: lambda (ratio sum |w| + "
        "(1 - ratio)/2 sum w^2).",
    )
    folds: int = option(
        "--folds",
        type=click.IntRange(min=2),
        default=5,
        show_default=True,
        metavar="K",
        help="Number of folds of the cross-validation.",
    )
    choose: str = option(
        "--choose",
        type=click.Choice(CHOICES),
        default="1se",
        show_default=True,
        help="Rule that chooses the lambda of the model.",
    )
    measure: str | None = option(
        "--measure",
        type=click.Choice(MEASURES),
        help="Error measure of the cross-validation.  [default: mse; for classes the deviance]",
    )
    activation: str | None = option(
        "--activation",
        metavar="NAMES",
        shell_complete=_options.complete_names(ACTIVATIONS),
        help="Activation of the hidden layers, one for all or one for each: "
        f"{', '.join(ACTIVATIONS)}.  [default: silu; on the lecture's data relu]",
    )
    epochs: int | None = option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Epochs for each lambda; the first lambda has five times as many.  [default: 200; "
        "with several batches as many as make 1000 steps, at least 2]",
    )
    learning_rate: float | None = option(
        "--learning-rate", type=float, help="Adam's learning rate.  [default: 0.01]"
    )
    batch_size: int | None = option(
        "--batch-size",
        type=click.IntRange(min=1),
        help="Number of rows in a batch.  [default: all; 256 if there are more than 2048]",
    )
    seed: int | None = option(
        "--seed", **_options.seed_option("Seed for folds and initial weights.")
    )

    def arguments(self, on_lecture: bool) -> dict[str, Any]:
        """Return the arguments of `fastmlp.path`, checked."""
        from fastmlp._model.architecture import parse_layer_values
        from fastmlp.paths import parse_hidden

        if self.units is None and on_lecture:
            raise click.UsageError("Missing option '--units', which the lecture's data need")
        hidden = None
        with _options.wrong_option("--units"):
            hidden = None if self.units is None else parse_hidden(self.units)
        activation: Any = self.activation
        if activation is not None:
            with _options.wrong_option("--activation"):
                names = _training.activation_names(activation)
                activation = names[0] if len(names) == 1 else names
                if hidden is not None:
                    names = parse_layer_values("activation", names, len(hidden), "hidden layer")
                    activation = names or activation
        return {
            **vars(self),
            "units": hidden,
            "activation": activation,
            "lambdas": _grid(self.lambdas),
            "layer_factors": _options.numbers("--layer-factors", self.layer_factors),
            "learning_rate": 0.01 if self.learning_rate is None else self.learning_rate,
            "seed": _options.given_seed(self.seed),
        }


def _grid(text: str | None) -> Any:
    """Return lambdas, or a list of them for each step, one for each layer."""
    if text is None or ":" not in text:
        return _options.numbers("--lambdas", text)
    return [_options.numbers("--lambdas", step, ":") for step in text.split(",")]


class PathCommand(_config.Configured):
    """A command that says why it does not take an option of train."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read options; explain those that only train has."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from fastmlp.paths import REFUSED

            name = error.option_name.lstrip("-").replace("-", "_")
            if name not in REFUSED:
                raise
            why = f"{error.option_name} is not an option of path: {REFUSED[name]}"
            raise click.UsageError(why, ctx) from error


@click.command(cls=PathCommand, epilog=EPILOG)
@_options.file_argument("data", required=False)
@group(Fits, "fits")
@_decided.shared_options("group", "weight")
@_options.workers
@_data.source("Use the lecture's data instead of DATA.")
@_options.output(metavar="DIR", help="Write table, figures and model into this directory.")
@click.option(
    "--report",
    "page",
    metavar="FILE",
    help="Write a page about the chosen model, HTML, to this file.",
)
@_options.common
def command(
    fits: Fits,
    options: _decided.SharedOptions,
    workers: _options.Workers,
    source: _data.Source,
    results: OutputOptions,
    page: str | None,
    report: Messages,
) -> None:
    """Fit a network for many lambdas, cross-validate, and choose one.

    DATA is a file with a table; - is CSV from standard input. The word lecture stands for the
    lecture's data.
    """
    on_lecture = source.data is None
    arguments = fits.arguments(on_lecture)
    source.require()
    source.one_target("path")
    if on_lecture:
        options.refuse("is for DATA, which is not given")
    if _config.print_wanted():
        click.echo(_configuration(fits, arguments, source), nl=False)
        return
    check_outputs(results.output, FILES if results.output else (), results.force)
    if page is not None:
        if source.data == "-":
            raise click.UsageError("--report needs DATA to be a file, which is read again")
        from fastmlp import reports

        reports.check_installed()
        check_output(page, results.force)
    start = time.perf_counter()
    run = _config.resolved(
        seed=arguments["seed"], learning_rate=arguments["learning_rate"], standardize=True
    )
    writer = ResultWriter(results.output, run, source.name, report)
    from fastmlp.paths import path

    with writer.interrupted(), _options.library_call():
        result = path(
            **_rows(source), **options.keywords, **arguments, **vars(workers),
            verbose=report.verbosity,
        )  # fmt: skip
    target = result.preprocessing.target.name
    writer.write(result)
    if page is not None:
        # On the lecture's data the library's path knows arrays alone.
        result.model.extras["data"] = source.name
        write_bytes(page, reports.report(result, source.data).html.encode())
        report.note(f"Wrote {page}.")
    seconds = time.perf_counter() - start
    if results.as_json:
        print_json(_document(result, target, seconds, results.output))
    else:
        _print_table(result, seconds)


def _rows(source: _data.Source) -> dict[str, Any]:
    """Return the arguments of `fastmlp.path` that name and describe the data."""
    if source.data is None:
        x, y = _data.lecture_arrays(str(source.lecture), "train")
        return {"x": x, "y": y, "task": source.lecture, "impute": None, "indicator": False,
                "standardize": source.standardize is not False}  # fmt: skip
    target = source.target[0] if source.target else None
    return {"x": source.data, "target": target, **_decided.table_keywords(source)}


def _configuration(fits: Fits, arguments: dict[str, Any], source: _data.Source) -> str:
    """Return the options of the path, with every decision, as a TOML file."""
    from fastmlp import paths, tabular
    from fastmlp.preprocessing import choose_task, usable_rows

    decided: dict[str, Any] = {"activation": "relu"}
    notes: list[str] = []
    if source.data is not None:
        table = source.reading.table(source.data)
        target = source.target[0] if source.target else table.names[-1]
        table.require(target, "target column")
        task = source.task or choose_task(table, target, source.categorical)[0]
        n = len(usable_rows(table, target)[0])
        units = tabular.path_units(table.n_rows) if fits.units is None else arguments["units"]
        steps = paths.lengths(n, fits.batch_size, fits.epochs, None)
        decided = {
            "units": tabular.shown_units(tuple(units)) or "none", "activation": "silu",
            "target": [target], "task": task,
            "measure": "mse" if task == "regression" else "deviance",
            "epochs": steps["epochs"], "batch_size": steps["batch_size"],
            **_decided.described(source),
        }  # fmt: skip
        notes = [*table.notes, f"{n} rows."]
    run = _config.resolved(
        seed=arguments["seed"],
        learning_rate=arguments["learning_rate"],
        **{"standardize": True, **decided},
    )
    lines = [f"# {' '.join(note.split())}\n" for note in notes]
    return "".join(lines) + _config.to_toml(run)


# ---- files -------------------------------------------------------------------------------------


class ResultWriter:
    """Writes table, model and figures of a path, also after Ctrl-C.

    Parameters
    ----------
    output : str or None
        The directory; None to write nothing.
    run : dict
        The options, which the model's file keeps.
    source : str
        The data's name.
    report : Messages
    """

    def __init__(
        self, output: str | None, run: dict[str, Any], source: str, report: Messages
    ) -> None:
        self.output, self.run, self.source, self.report = output, run, source, report

    @contextlib.contextmanager
    def interrupted(self) -> Any:
        """Write what there is when Ctrl-C ends the path."""
        from fastmlp.paths import PathInterrupted

        try:
            yield
        except PathInterrupted as stop:
            kept = ""
            if self.output is not None:
                # A second Ctrl-C must not lose what the first one saves.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self.write(stop.result)
                kept = f" {self.output} has the table and the model of these."
            raise KeyboardInterrupt(f"{stop}{kept}") from None

    def write(self, result: PathResult) -> None:
        """Write table, model and figures; the model first, because the others take longer."""
        if self.output is None:
            return
        from ._output import _io_failures

        directory, written = Path(self.output), []
        with _io_failures(self.output):
            if result.interrupted and not result.kept(result.index):
                self.report.note("No model.fmlp: the network is too large to keep for each lambda.")
            else:
                model = result.model
                target = result.preprocessing.target.name
                run = {**self.run, "target": [target], "task": result.preprocessing.task}
                model.extras |= {_config.KEPT: run, "data": self.source}
                keep(model, str(directory / "model.fmlp"))
                written.append("model.fmlp")
            result.to_csv(directory / "path.csv")
            written.insert(0, "path.csv")
            if not result.interrupted:  # after Ctrl-C nobody should wait for figures
                written += self._draw(result, directory)
        self.report.note(f"Wrote {', '.join(written)} to {self.output}.")

    def _draw(self, result: PathResult, directory: Path) -> list[str]:
        """Write the figures; return their names."""
        from fastmlp import plots

        figures: dict[str, Callable[[], Figure]] = {
            "cv.png": result.plot_cv,
            "path.png": result.plot_path,
            "fits.png": result.plot_fits,
        }
        written = []
        for name, draw in figures.items():
            try:
                plots.save(draw(), directory / name)
                written.append(name)
            except ValueError as error:  # such as too many rows to draw
                self.report.note(f"No {name}: {error}")
        return written


# ---- results -----------------------------------------------------------------------------------


def _document(
    result: PathResult, target: str, seconds: float, output: str | None
) -> dict[str, Any]:
    from fastmlp import __version__

    return {
        "version": __version__,
        "task": result.preprocessing.task,
        "target": target,
        "units": result.units,
        "penalty": result.penalty,
        "measure": result.measure,
        "folds": len(result.fold_sizes),
        "seed": result.seed,
        "lambda_min": result.lambda_min,
        "lambda_1se": result.lambda_1se,
        "choose": result.choose,
        "chosen": result.chosen,
        "lambda": float(result.lambdas[result.index]),
        "null": result.null_score,
        "warnings": result.warnings,
        "path": {name: list(map(_plain, column)) for name, column in result.columns().items()},
        "seconds": seconds,
        "output": output,
    }


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _print_table(result: PathResult, seconds: float) -> None:

    table = grid()
    places = {"min": result.index_min, "1se": result.index_1se}
    table.add_column("")
    for name in places:
        mark = " (kept)" if name == result.chosen else ""
        table.add_column(name + mark, justify="right", no_wrap=True)
    at = list(places.values())
    table.add_row("lambda", *(significant(lam, 4) for lam in result.lambdas[at]))
    for measure in result.fold_scores:
        mean, se = result.cv(measure)
        table.add_row(measure, *(significant(value, 5) for value in mean[at]))
        table.add_row("  standard error", *(significant(value, 3) for value in se[at]))
    counts = {"nonzero weights": result.n_nonzero}
    counts |= {"live hidden units": result.n_live} if result.units else {}
    for label, column in (counts | {"inputs in use": result.n_inputs}).items():
        table.add_row(label, *(f"{value:,}" for value in column[at]))
    out = console()
    out.print(table)
    out.print(
        f"{len(result.lambdas)} lambdas from {result.lambdas[-1]:.3g} to {result.lambdas[0]:.3g}, "
        f"{len(result.fold_sizes)} folds, {result.measure} without inputs "
        f"{significant(result.null_score, 5)}, {seconds:.3g} s, seed {result.seed}"
    )
