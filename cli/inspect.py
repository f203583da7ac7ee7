"""`fastmlp inspect`: importance of the columns, or a diagnosis of the layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from . import _help, _options
from ._groups import group
from ._output import Messages, OutputOptions, check_outputs, console, grid, print_json, significant
from ._reading import Reading, of_model

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from fastmlp.inspection import Importance, LayerReport
    from fastmlp.preprocessing import Preprocessing

    from ._model import Loaded

# For completion; a test compares them with the library's, which imports NumPy.
METRICS = ("mse", "mae", "rmse", "r2", "accuracy", "log_loss", "auc", "precision", "recall")
MOST_PANELS = 12
MOST_ROWS = 5000  # of the dependence figure; a mean over more rows looks the same

EPILOG = """\b
Examples:
  fastmlp inspect my.fmlp test.csv
  fastmlp inspect my.fmlp test.csv --metric mae --repeats 30 -o figures
  fastmlp inspect my.fmlp train.csv --layers
  fastmlp datasets regression_train | fastmlp inspect lecture.fmlp - --layers --json

The importance of a column is how much worse the metric becomes when the values of the column are
shuffled among the rows. A categorical column is shuffled as a whole; correlated columns share their
importance. With -o the command writes importance.png, and dependence.png, which shows how the mean
prediction over at most 5000 rows depends on each of the 12 most important columns.

With --layers the command diagnoses each dense layer. It prints the share of units that are zero for
every row (dead) or at the ends of their range (saturated), mean and standard deviation of the
activations, the norms of the weights, |w|, and of the gradient of the loss, |dw|, their ratio, the
share of the error signal at the output that reaches the layer, and the problems in words. With -o
it writes layers.png.
"""


def _complete_metric(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(name) for name in METRICS if name.startswith(incomplete)]


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data")
@_options.target
@_options.drop
@group(Reading, "reading")
@click.option(
    "--layers",
    is_flag=True,
    help="Diagnose the layers instead of measuring the importance of columns.",
)
@click.option(
    "--metric",
    metavar="NAME",
    shell_complete=_complete_metric,
    help=f"Metric of the importance: {', '.join(METRICS)} and others.  "
    "[default: the model's first metric, otherwise its loss]",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Number of shuffles of each column.",
)
@click.option("--seed", **_options.seed_option("Seed for the shuffles."))
@_options.threads
@_options.output(metavar="DIR", help="Write figures into this directory.")
@_options.common
def command(
    model: str,
    data: str,
    target: str | None,
    drop: tuple[str, ...],
    reading: Reading,
    layers: bool,
    metric: str | None,
    repeats: int,
    seed: int | None,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Explain a model: feature importance, or per-layer diagnostics.

    MODEL is a model file. DATA is a file with a table; - is CSV from standard input.
    """
    if layers and metric is not None:
        raise click.UsageError("--metric cannot be combined with --layers")
    names = ["layers.png"] if layers else ["importance.png", "dependence.png"]
    check_outputs(results.output, names, results.force)
    from fastmlp import inspection
    from fastmlp.errors import ModelFileError
    from fastmlp.preprocessing import usable_rows

    from . import _model

    loaded = _model.load(model)
    if loaded.model.loss is None:
        raise ModelFileError(f"{model}: the model was saved without a loss, before compile")
    table = reading.table(data, report, of_model(loaded.model))
    state = loaded.for_table(table, target, True, drop)
    dtype = loaded.model.dtype.name
    rows, note = usable_rows(table, [goal.name for goal in state.all_targets])
    report.notes(note)
    y = state.targets(table, dtype, rows)
    x = state.inputs(table, dtype)[rows]
    report.detail(f"{len(rows)} rows, target '{state.target.name}'.")
    document: dict[str, Any] = {"model": model, "data": data, "rows": len(rows)}
    if layers:
        found = inspection.layer_report(loaded.model, x, y)
        if results.as_json:
            print_json({**document, **found.to_dict()})
        else:
            _print_layers(found)
        figures = {"layers.png": lambda: _layers_figure(found)}
    else:
        importance = _importance(loaded, state, x, y, metric, repeats, seed)
        if results.as_json:
            print_json({**document, **_described(importance)})
        else:
            _print_importance(importance)
        figures = {
            "importance.png": lambda: _importance_figure(importance),
            "dependence.png": lambda: _dependence_figure(loaded, state, x, importance),
        }
    if results.output is not None:
        _save(figures, results.output, report)


# ---- columns -----------------------------------------------------------------------------------


def _importance(
    loaded: Loaded,
    state: Preprocessing,
    x: np.ndarray,
    y: np.ndarray,
    metric: str | None,
    repeats: int,
    seed: int | None,
) -> Importance:
    """Measure the columns' importance, in the target's units."""
    import dataclasses

    from fastmlp import inspection, metrics
    from fastmlp.errors import DataError

    from . import _model
    from ._evaluate import SHORT, in_units

    columns = inspection.features(state)
    try:
        chosen: Any = metric
        if not state.has_unit and (metric is not None or loaded.model.metrics):
            named = loaded.model.metrics[0] if metric is None else metrics.get(metric)
            chosen = in_units(named, state)
        found = inspection.permutation_importance(
            loaded.model, x, y, repeats, chosen, seed, columns
        )
    except ValueError as error:
        if metric is None or isinstance(error, DataError):
            raise
        raise click.BadParameter(str(error), param_hint="'--metric'") from error
    factor = _model.unit_factor(found.metric, state)
    return dataclasses.replace(
        found,
        repeats=found.repeats * factor,
        baseline=found.baseline * factor,
        metric=SHORT.get(found.metric, found.metric),
    )


def _described(importance: Importance) -> dict[str, Any]:
    mean, deviation = importance.mean, importance.std
    return {
        "metric": importance.metric,
        "value": importance.baseline,
        "larger_is_better": importance.larger_is_better,
        "repeats": importance.repeats.shape[1],
        "seed": importance.seed,
        "columns": [
            {
                "column": importance.names[i],
                "importance": float(mean[i]),
                "deviation": float(deviation[i]),
            }
            for i in importance.order
        ],
    }


def _print_importance(importance: Importance) -> None:
    from rich.markup import escape

    change = "fall" if importance.larger_is_better else "rise"
    table = grid()
    table.add_column("column", overflow="fold")
    table.add_column(f"{change} of {importance.metric}", justify="right", no_wrap=True)
    table.add_column("deviation", justify="right", no_wrap=True)
    for row in _described(importance)["columns"]:
        figures = (significant(row[key], 4) for key in ("importance", "deviation"))
        table.add_row(escape(row["column"]), *figures)
    out = console()
    out.print(table)
    repeats = importance.repeats.shape[1]
    plural = "" if repeats == 1 else "s"
    out.print(
        f"{importance.metric} {significant(importance.baseline)}, "
        f"{repeats} shuffle{plural} of each column, seed {importance.seed}"
    )


def _importance_figure(importance: Importance) -> Figure:
    from fastmlp import plots

    return plots.plot_importance(importance)


def _dependence_figure(
    loaded: Loaded, state: Preprocessing, x: np.ndarray, importance: Importance
) -> Figure:
    """Draw the dependence on the most important columns, in the table's units."""
    import numpy as np

    from fastmlp import inspection, plots

    kept = np.unique(np.linspace(0, len(x) - 1, MOST_ROWS).round().astype(int))

    def in_own_units(outputs: np.ndarray) -> np.ndarray:
        return outputs if state.task == "classification" else state.values(outputs)

    columns = inspection.features(state)
    shown = [
        inspection.partial_dependence(loaded.model, x[kept], columns[i], postprocess=in_own_units)
        for i in importance.order[:MOST_PANELS]
    ]
    label, names = f"predicted {state.target.name}", None
    if state.task == "classification":
        names = [str(name) for name in state.target.labels]
        label = "probability" if len(names) > 2 else f"probability of {names[1]}"
    title = None
    if len(shown) < len(columns):
        title = f"The {MOST_PANELS} most important of {len(columns)} columns"
    return plots.plot_partial_dependence(shown, y_label=label, output_names=names, title=title)


# ---- layers ------------------------------------------------------------------------------------


def _print_layers(found: LayerReport) -> None:
    from rich.markup import escape

    table = grid(padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold")
    saturable = any(layer.saturated is not None for layer in found.layers)
    heads = ("dead", *(("saturated",) if saturable else ()), "mean", "std", "|w|", "|dw|",
             "ratio", "signal")  # fmt: skip
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", min_width=9)
    for layer in found.layers:
        shares = [layer.dead, *([layer.saturated] if saturable else [])]
        sizes = (layer.mean, layer.std, layer.weight_norm, layer.gradient_norm, layer.ratio,
                 layer.error_signal)  # fmt: skip
        table.add_row(
            escape(layer.name),
            *("" if share is None else f"{share:.0%}" for share in shares),
            *(significant(size, 2) for size in sizes),
            layer.verdict,
        )
    out = console(least_width=80)
    out.print(table)
    out.print(escape(found.verdict))


def _layers_figure(found: LayerReport) -> Figure:
    from fastmlp import plots

    return plots.plot_layer_report(found)


def _save(figures: dict[str, Any], output: str, report: Messages) -> None:
    from fastmlp import plots

    for name, draw in figures.items():
        plots.save(draw(), Path(output) / name)
    report.note(f"Wrote {', '.join(figures)} to {output}.")
