"""`fastmlp compare`: several models on one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _help, _options
from ._file_types import FILE
from ._groups import group
from ._output import Messages, console, grid, print_json, significant
from ._reading import Reading, of_model

if TYPE_CHECKING:
    from fastmlp.datasets import Table
    from fastmlp.preprocessing import Preprocessing

    from ._model import Loaded

# By task; the first is the one to sort by.
METRICS = {"regression": ("mse", "mae", "r2"), "classification": ("accuracy", "log_loss")}
LARGER_IS_BETTER = ("r2", "accuracy")

EPILOG = """\b
Examples:
  fastmlp compare small.fmlp large.fmlp test.csv
  fastmlp compare models/*.fmlp test.csv --target price
  fastmlp compare models/*.fmlp test.csv --drop id --sort mae --json

Each model preprocesses the table as in its training; --drop ignores a column that a model was not
trained on. The metrics are computed from predictions in the target's units, without penalties, so
that models with different losses can be compared. For regression they are the mean squared error,
the mean absolute error and the coefficient of determination; for classification the accuracy and
the mean negative log-probability of the true class.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@click.argument("models", nargs=-1, required=True, type=FILE)
@_options.file_argument("data")
@_options.target
@_options.drop
@group(Reading, "reading")
@click.option(
    "--sort",
    type=click.Choice([name for names in METRICS.values() for name in names]),
    help="Metric to sort by, best first.  [default: mse or accuracy]",
)
@_options.threads
@_options.as_json
@_options.common
def command(
    models: tuple[str, ...],
    data: str,
    target: str | None,
    drop: tuple[str, ...],
    reading: Reading,
    sort: str | None,
    as_json: bool,
    report: Messages,
) -> None:
    """Print several models' metrics on a table, side by side.

    MODELS are model files. DATA is a file with a table; - is CSV from standard input. The best
    value of each metric is marked.
    """
    from . import _model

    loaded = [_model.load(path, ensembles=True) for path in models]
    table = reading.table(data, report, of_model(loaded[0].model))
    fitted = [_fitted(one, table, target, drop) for one in loaded]
    task, name = _common(models, fitted)
    names = METRICS[task]
    if sort is not None and sort not in names:
        raise click.BadParameter(
            f"{sort} is not a metric of {task}; expected one of {', '.join(names)}",
            param_hint="'--sort'",
        )
    report.detail(f"{table.n_rows} rows, target '{name}'.")
    rows: list[dict[str, Any]] = [
        {"model": one.path, "parameters": one.model.count_params(), **_figures(one, state, table)}
        for one, state in zip(loaded, fitted, strict=True)
    ]
    by = sort or names[0]
    rows.sort(key=lambda row: row[by], reverse=by in LARGER_IS_BETTER)
    best = {key: _best(key)(row[key] for row in rows) for key in names}
    if as_json:
        winners = {key: [row["model"] for row in rows if row[key] == best[key]] for key in names}
        head = {"data": data, "rows": table.n_rows, "target": name, "task": task}
        print_json({**head, "sorted_by": by, "models": rows, "best": winners})
        return
    _print_table(rows, best)


def _best(metric: str) -> Any:
    return max if metric in LARGER_IS_BETTER else min


def _fitted(
    loaded: Loaded, table: Table, target: str | None, drop: tuple[str, ...]
) -> Preprocessing:
    from fastmlp.errors import DataError

    state = loaded.preprocessing
    inputs = {column.name for column in state.columns} if state is not None else set()
    try:
        # A column may be an input of one model and not of another.
        return loaded.for_table(table, target, True, [n for n in drop if n not in inputs])
    except DataError as error:
        raise DataError(_misfit(loaded, error)) from error


def _misfit(loaded: Loaded, error: Exception) -> str:
    text = str(error)
    # The error of a model without names names it already.
    return text if loaded.path in text else f"model {loaded.path} does not fit: {text}"


def _common(models: tuple[str, ...], fitted: list[Preprocessing]) -> tuple[str, str]:
    """Return the task and the target that all models have."""
    from fastmlp.errors import DataError

    first = fitted[0]
    for path, state in zip(models, fitted, strict=True):
        if state.task != first.task:
            raise DataError(
                f"model {path} does not fit: it is for {state.task}, {models[0]} for {first.task}"
            )
        if state.target.name != first.target.name:
            raise DataError(
                f"model {path} does not fit: it predicts '{state.target.name}', {models[0]} "
                f"'{first.target.name}'; --target names one column for all"
            )
    return first.task, first.target.name


def _figures(loaded: Loaded, state: Preprocessing, table: Table) -> dict[str, float]:
    """Return a model's metrics, computed from its predictions in the target's units."""
    import numpy as np

    from fastmlp import metrics
    from fastmlp.errors import DataError
    from fastmlp.preprocessing import usable_rows

    try:
        rows, _ = usable_rows(table, [target.name for target in state.all_targets])
        y = state.targets(table, "float64", rows)
        x = state.inputs(table, loaded.model.dtype.name)[rows]
    except DataError as error:
        raise DataError(_misfit(loaded, error)) from error
    outputs = loaded.model.predict(x, verbose=0).astype(np.float64)
    if state.task == "classification":
        _, probabilities = state.classes(outputs)
        y = y[:, 0]
        right = metrics.sparse_categorical_accuracy(y, probabilities)
        loss = metrics.sparse_categorical_crossentropy(y, probabilities)
        return {"accuracy": float(right.mean()), "log_loss": float(loss.mean())}
    y, outputs = (state.values(a).reshape(len(a), -1) for a in (y, outputs))
    return {
        "mse": float(metrics.mean_squared_error(y, outputs).mean()),
        "mae": float(metrics.mean_absolute_error(y, outputs).mean()),
        "r2": metrics.r2_score(y, outputs),
    }


def _print_table(rows: list[dict[str, Any]], best: dict[str, float]) -> None:

    table = grid()
    table.add_column("model", overflow="fold")
    table.add_column("parameters", justify="right", no_wrap=True)
    for name in best:
        table.add_column(f"{name} ", justify="right", no_wrap=True)
    for row in rows:
        cells = [
            f"[bold]{significant(row[name])}*[/bold]"
            if row[name] == value
            else f"{significant(row[name])} "
            for name, value in best.items()
        ]
        table.add_row(row["model"].replace("[", r"\["), f"{row['parameters']:,}", *cells)
    out = console(least_width=64)
    out.print(table)
    out.print("* best")
