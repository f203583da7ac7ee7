"""`fastmlp path`: a network for many lambdas, cross-validated; choose one, refit."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _config, _data, _options
from ._output import Messages, check_outputs, console, keep, print_json, significant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastmlp.datasets import Table
    from fastmlp.paths import PathResult

# Restated here, and compared by a test, because the library's own lists come with NumPy.
PENALTIES = ("l1", "l2", "group")
CHOICES = ("1se", "min")
MEASURES = ("mse", "deviance", "misclassification")
FILES = ("path.csv", "model.fmlp", "cv.png", "path.png", "fits.png")

EPILOG = """\b
Examples:
  fastmlp path houses.csv --target price --units 64x2 -o houses
  fastmlp path houses.csv --target price --units none -o lasso
  fastmlp path iris.csv --target species --units 32 --penalty group --folds 10 -o iris
  fastmlp path houses.csv --target price --units 64x2 --lambdas 0.1,0.03,0.01,0.003
  fastmlp path houses.csv --target price --units 64x2 --layer-factors 1,1,0 --choose min
  fastmlp path houses.csv --target price --units 256x3 --cluster tcp://scheduler:8786 -o houses
  fastmlp path --data regression --units 64x2 -o lecture

Every lambda's network is fitted to all rows and, for each fold, to all rows but the fold's, by
which it is scored. Two lambdas come out: min has the least error, 1se is the largest within one
standard error of it. l1 makes weights exactly zero; group removes whole inputs and hidden units;
l2 only shrinks.

With -o: path.csv, one row for each lambda; cv.png, the error; path.png, coefficients or norms
against lambda; fits.png, the model at nine lambdas: its curve or regions over one or two inputs,
otherwise what it predicted of held-out rows; model.fmlp, the model of --choose, fitted to all
rows.

With hidden layers the path goes from the smallest lambda to the largest, each network beginning
with the weights of the last one. Without (--units none) it is exact, and the same as glmnet's or
scikit-learn's: their lambda or alpha is half of lambda here, for the loss here is the mean squared
error and theirs half of it.

Numbers and a regression's target are standardised unless --no-standardize; lambda belongs to that
scale. Ctrl-C ends the path; with -o, the table of the lambdas up to there is kept, and the model
chosen among them, without figures.
"""


@click.command(cls=_config.Configured, epilog=EPILOG)
@_options.file_argument("data", required=False)
@click.option(
    "--units",
    required=True,
    metavar="WIDTHS",
    help="Hidden layers' widths: 64x2, or 64,32; none for a linear or logistic model.",
)
@click.option("--penalty", type=click.Choice(PENALTIES), default="l1", show_default=True)
@click.option(
    "--n-lambdas", type=click.IntRange(min=1), default=50, show_default=True, metavar="N",
    help="From the smallest lambda that leaves nothing of the network, downwards.",
)  # fmt: skip
@click.option(
    "--lambdas",
    metavar="NUMBERS",
    help="A grid of your own: 0.1,0.01,0.001; or one for each layer, output included: "
    "0.1:0.2,0.01:0.02.",
)
@click.option(
    "--lambda-ratio",
    type=float,
    metavar="RATIO",
    help="The smallest lambda as a share of the largest.  [default: 0.001; without hidden layers "
    "0.0001, or 0.01 if inputs outnumber rows, for l2 a tenth]",
)
@click.option(
    "--layer-factors",
    metavar="NUMBERS",
    help="By which each layer, output included, multiplies lambda; 0: no penalty.",
)
@click.option(
    "--l1-ratio",
    type=float,
    default=1.0,
    metavar="RATIO",
    help="Below 1, l1 is the elastic net: lambda (ratio sum |w| + (1 - ratio)/2 sum w^2).",
)
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, metavar="N")
@click.option(
    "--choose", type=click.Choice(CHOICES), default="1se", show_default=True,
    help="The lambda of the model that is kept.",
)  # fmt: skip
@click.option(
    "--measure",
    type=click.Choice(MEASURES),
    help="The error to compare by.  [default: mse; for classes the deviance]",
)
@_options.activation
@click.option(
    "--epochs", type=click.IntRange(min=1), help="For each lambda; five times as many before the "
    "first.  [default: 200; with batches 1000 steps' worth, at least 2]",
)  # fmt: skip
@click.option("--learning-rate", type=float, help="Adam's.  [default: 0.01]")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="[default: all rows; 256 if there are more than 2048]",
)
@_options.seed("Of folds and weights.")
@_options.threads
@_options.jobs
@_options.cluster
@_options.lecture("The lecture's data, instead of DATA.")
@_options.columns(standardized=True)
@click.option("-o", "--output", metavar="DIR", help="Write table, figures and model there.")
@_options.force
@_options.as_json
@_options.common
def command(
    data: str | None,
    target: str | None,
    units: str,
    lambdas: str | None,
    layer_factors: str | None,
    activation: str | None,
    epochs: int | None,
    learning_rate: float | None,
    seed: int | None,
    lecture: str | None,
    output: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Fit a network for many lambdas, cross-validate, and choose one.

    DATA is a file with a table; - is CSV from standard input.
    """
    report = _options.messages(quiet, verbose)
    arguments = _arguments(units, lambdas, layer_factors, activation, epochs, learning_rate)
    _data.check_source(data, lecture)
    _options.check_columns(options["impute"], options["indicator"])
    seed = _options.given_seed(seed)
    run = _config.resolved(
        seed=seed,
        learning_rate=arguments["learning_rate"],
    )
    if _config.print_wanted():
        click.echo(_config.to_toml(run), nl=False)
        return
    check_outputs(output, FILES if output else (), force)
    table, target, options["task"] = _data.table(data, lecture, target, options, report)
    start = time.perf_counter()
    keeping = _Keeping(output, {**run, "target": target}, data or f"lecture:{lecture}", report)
    with keeping.interrupted():
        result = _fitted(table, target, {**arguments, **options, "seed": seed}, quiet)
    keeping.keep(result)
    seconds = time.perf_counter() - start
    if as_json:
        print_json(_document(result, target, seconds, output))
    else:
        _print_table(result, seconds)


def _arguments(
    units: str,
    lambdas: str | None,
    layer_factors: str | None,
    activation: str | None,
    epochs: int | None,
    learning_rate: float | None,
) -> dict[str, Any]:
    """Return arguments of `paths.path` from options that hold lists, or have no default."""
    from fastmlp import layers
    from fastmlp._model.architecture import parse_layer_values
    from fastmlp.paths import parse_hidden

    with _options.wrong_option("--units"):
        hidden = parse_hidden(units)
    with _options.wrong_option("--activation"):
        names = [layers.activation_name(n.strip()) for n in (activation or "relu").split(",")]
        names = parse_layer_values("activation", names, len(hidden), "hidden layer")
    return {
        "units": hidden,
        "activation": names or activation or "relu",
        "lambdas": _grid(lambdas),
        "layer_factors": _numbers("--layer-factors", layer_factors),
        "epochs": epochs,
        "learning_rate": 0.01 if learning_rate is None else learning_rate,
    }


def _numbers(option: str, text: str | None, between: str = ",") -> list[float] | None:
    if text is None:
        return None
    with _options.wrong_option(option):
        try:
            return [float(part) for part in text.split(between)] if text.strip() else []
        except ValueError:
            what = "commas" if between == "," else "colons"
            raise ValueError(f"expected numbers with {what} between. Received: {text!r}") from None


def _grid(text: str | None) -> Any:
    """Return lambdas, or a list of them for each step, one a layer."""
    if text is None or ":" not in text:
        return _numbers("--lambdas", text)
    return [_numbers("--lambdas", step, ":") for step in text.split(",")]


def _fitted(table: Table, target: str, arguments: dict[str, Any], quiet: bool) -> PathResult:
    from fastmlp.paths import path

    with _options.library_call():
        return path(table, target, verbose=0 if quiet else 1, **arguments)


# ---- files -------------------------------------------------------------------------------------


class _Keeping:
    """Writes what a path came to, also after Ctrl-C."""

    def __init__(
        self, output: str | None, run: dict[str, Any], source: str, report: Messages
    ) -> None:
        self.output, self.run, self.source, self.report = output, run, source, report

    @contextlib.contextmanager
    def interrupted(self) -> Any:
        """Keep what there is when Ctrl-C ends the path."""
        from fastmlp.paths import PathInterrupted

        try:
            yield
        except PathInterrupted as stop:
            kept = ""
            if self.output is not None:
                # A second Ctrl-C, out of impatience, must not lose what the first one keeps.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self.keep(stop.result)
                kept = f" {self.output} has the table and the model up to there."
            raise KeyboardInterrupt(f"{stop}{kept}") from None

    def keep(self, result: PathResult) -> None:
        """Write table, model and figures; the model before what takes longer."""
        if self.output is None:
            return
        from ._output import _io_failures

        directory, written = Path(self.output), []
        with _io_failures(self.output):
            if result.interrupted and not result.kept(result.index):
                self.report.note("No model.fmlp: the network is too large to keep for each lambda.")
            else:
                model = result.model
                model.extras |= {_config.KEPT: self.run, "data": self.source}
                keep(model, str(directory / "model.fmlp"))
                written.append("model.fmlp")
            result.to_csv(directory / "path.csv")
            written.insert(0, "path.csv")
            if not result.interrupted:  # whoever presses Ctrl-C is not to wait for figures
                written += self._draw(result, directory)
        self.report.note(f"Wrote {', '.join(written)} to {self.output}.")

    def _draw(self, result: PathResult, directory: Path) -> list[str]:
        """Write the figures; return the names of those that there are."""
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
        "lambda": float(result.lambdas[result.index]),
        "null": result.null_score,
        "path": {name: list(map(_plain, column)) for name, column in result.columns().items()},
        "seconds": seconds,
        "output": output,
    }


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _print_table(result: PathResult, seconds: float) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid

    grid = Grid(box=SIMPLE_HEAD, pad_edge=False)
    places = {"min": result.index_min, "1se": result.index_1se}
    grid.add_column("")
    for name in places:
        mark = " (kept)" if name == result.choose else ""
        grid.add_column(name + mark, justify="right", no_wrap=True)
    at = list(places.values())
    grid.add_row("lambda", *(significant(lam, 4) for lam in result.lambdas[at]))
    for measure in result.fold_scores:
        mean, se = result.cv(measure)
        grid.add_row(measure, *(significant(value, 5) for value in mean[at]))
        grid.add_row("  standard error", *(significant(value, 3) for value in se[at]))
    counts = {"nonzero weights": result.n_nonzero}
    counts |= {"live hidden units": result.n_live} if result.units else {}
    for label, column in (counts | {"inputs in use": result.n_inputs}).items():
        grid.add_row(label, *(f"{value:,}" for value in column[at]))
    out = console()
    out.print(grid)
    out.print(
        f"{len(result.lambdas)} lambdas from {result.lambdas[-1]:.3g} to {result.lambdas[0]:.3g}, "
        f"{len(result.fold_sizes)} folds, {result.measure} without inputs "
        f"{significant(result.null_score, 5)}, {seconds:.3g} s, seed {result.seed}"
    )
