"""`fastmlp evaluate`: how good a model is on a table."""

from __future__ import annotations

import math
from typing import Any

import click

from . import _help, _options
from ._groups import group
from ._output import Messages, console, grid, print_json, significant
from ._reading import Reading

EPILOG = """\b
Examples:
  fastmlp evaluate my.fmlp test.csv
  fastmlp evaluate my.fmlp test.csv --json
  fastmlp evaluate my.fmlp train.csv --part held-out
  fastmlp evaluate imported.fmlp test.parquet --loss mse
  fastmlp datasets regression_validation | fastmlp evaluate lecture.fmlp -

Prints the loss, the metrics of the training, and the metrics of the task: for two classes AUC,
PR-AUC of the class that was rarer in training, log loss, Brier score, accuracy and base rate (the
frequency of the most frequent class); for more classes log loss, accuracy, balanced accuracy and
macro F1; for regression R2, RMSE and MAE. Each has a 95% bootstrap confidence interval, with a
fixed seed, and is rounded accordingly. A table of the classes follows. A note says if the model was
trained on some of the rows.

DATA must have the input columns of the model, in any order, and the target; rows without a target
are left out. Additional columns are an error, unless training dropped them or --drop names them. If
the inputs of the model have no names, because it was trained on arrays in Python, all columns
except the target are inputs, in order.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data")
@_options.target
@_options.drop
@group(Reading, "reading")
@click.option(
    "--part",
    type=click.Choice(["all", "held-out"]),
    default="all",
    help="Rows of DATA to score: all, or only those that were held out when the model was "
    "trained on DATA.  [default: all]",
)
@click.option(
    "--loss",
    metavar="NAME",
    help="Loss to report, such as mse or log_loss, for a model that was saved or imported "
    "without one.  [default: the loss of the training]",
)
@_options.threads
@_options.as_json
@_options.common
def command(
    model: str,
    data: str,
    target: str | None,
    drop: tuple[str, ...],
    reading: Reading,
    part: str,
    loss: str | None,
    as_json: bool,
    report: Messages,
) -> None:
    """Print a model's metrics on a table.

    MODEL is a model file. DATA is a file with a table; - is CSV from standard input.
    """
    from fastmlp import datasets
    from fastmlp.ensembles import Ensemble
    from fastmlp.errors import DataError, ModelFileError

    from . import _data, _judge, _model
    from ._evaluate import scores, with_loss

    loaded = _model.load(model, ensembles=True)
    if loss is not None:
        with_loss(loaded.model, loss)
    if loaded.model.loss is None:
        raise ModelFileError(
            f"{model}: the model was saved without a loss, before compile; --loss names one"
        )
    preprocessing, table = _data.opened(
        data, loaded, target, with_target=True, drop=drop, reading=reading, report=report
    )
    quality = loaded.quality(preprocessing)
    names = "', '".join(t.name for t in preprocessing.all_targets)
    report.detail(f"{table.n_rows} rows, target '{names}'.")
    if isinstance(loaded.model, Ensemble) and not isinstance(table, datasets.Table):
        raise DataError(
            f"{data}: an ensemble is evaluated in memory, for which the file is too large"
        )
    rows = _judge.predicted(loaded, preprocessing, table)
    if part == "held-out":
        rows = _judge.held_out(rows, quality, model, data)
    for note in rows.notes:
        report.note(note)
    if rows.x is not None:
        arrays: Any = rows.x, rows.y
    elif part == "all":
        arrays = table
    else:
        raise DataError(f"{data}: --part held-out needs all rows in memory; the file is too large")
    found = scores(loaded.model, preprocessing, arrays, report.quiet)
    judged = _judge.document(loaded, preprocessing, rows, quality, report)
    figures = {**found, **{k: v for k, v in judged.pop("scores").items() if k not in found}}
    if as_json:
        where = {"model": model, "data": data, "rows": len(rows.y)}
        print_json({**where, **({"part": part} if part != "all" else {}), **figures, **judged})
        return
    _print(len(rows.y), figures, judged)


def _print(n_rows: int, figures: dict[str, float], judged: dict[str, Any]) -> None:
    from fastmlp.tabular import rounded, shown_name

    intervals = judged["intervals"]
    table, out = grid(), console()
    for name in ("", str(n_rows), "95% interval"):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    table.columns[0].header = "rows"
    for name, value in figures.items():
        low, high = intervals.get(name, (math.nan, math.nan))
        # A normal figure lies within 1.96 standard errors in 95 of 100 cases.
        error = (high - low) / 3.92
        if math.isfinite(error):
            shown = rounded(value, error)
            between = f"{rounded(low, error)} to {rounded(high, error)}" if error else ""
        else:
            shown, between = significant(value), ""
        table.add_row(shown_name(name, judged.get("rarer", "")), shown, between)
    out.print(table)
    if "per_class" in judged:
        _print_rows(judged["per_class"])
    if "per_target" in judged:
        _print_rows([{"target": name, **row} for name, row in judged["per_target"].items()])
    if "threshold" in judged:
        t = judged["threshold"]
        out.print(
            f"Threshold {t['value']:.3g} ({t['rule']}): precision {t['precision']:.3g}, recall "
            f"{t['recall']:.3g}, {t['false_positives']:,} false positives, "
            f"{t['false_negatives']:,} false negatives"
        )
    if "interval" in judged:
        i = judged["interval"]
        size = (
            f"mean width {i['width']:.4g}" if "width" in i else f"{i['classes']:.3g} classes a set"
        )
        kind = "Intervals" if "width" in i else "Sets"
        out.print(f"{kind} of {i['level']:g}: hold {i['coverage']:.3g} of the rows, {size}")


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from fastmlp.tabular import shown_name

    table = grid()
    for j, name in enumerate(rows[0]):
        table.add_column(shown_name(name), justify="right" if j else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(significant(v, 3) if isinstance(v, float) else str(v)
                        for v in row.values()))  # fmt: skip
    console().print(table)
