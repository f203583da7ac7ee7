"""`fastmlp evaluate`: a model's loss and metrics on a table."""

from __future__ import annotations

import click

from . import _options
from ._groups import group
from ._output import Messages, print_json, significant
from ._reading import Reading

EPILOG = """\b
Examples:
  fastmlp evaluate my.fmlp test.csv
  fastmlp evaluate my.fmlp test.csv --json
  fastmlp evaluate my.fmlp test.parquet
  fastmlp datasets regression_validation | fastmlp evaluate lecture.fmlp -

DATA needs the columns that the model was trained on, and the target. Other columns are an error,
unless training dropped them or --drop names them. If the model's inputs have no names, because it
was trained on arrays in Python, every column but the target is an input, in order.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data")
@_options.target
@_options.drop
@group(Reading, "reading")
@_options.threads
@_options.as_json
@_options.common
def command(
    model: str,
    data: str,
    target: str | None,
    drop: tuple[str, ...],
    reading: Reading,
    as_json: bool,
    report: Messages,
) -> None:
    """Print a model's loss and metrics on a table.

    MODEL is a model file. DATA is a file with a table; - is CSV from standard input.
    """
    from fastmlp import datasets
    from fastmlp.ensembles import Ensemble
    from fastmlp.errors import DataError, ModelFileError

    from . import _data, _model
    from ._evaluate import scores

    loaded = _model.load(model, ensembles=True)
    if loaded.model.loss is None:
        raise ModelFileError(f"{model}: the model was saved without a loss, before compile")
    preprocessing, rows = _data.opened(
        data, loaded, target, with_target=True, drop=drop, reading=reading, report=report
    )
    report.detail(f"{rows.n_rows} rows, target '{preprocessing.target.name}'.")
    if isinstance(rows, datasets.Table):
        dtype = loaded.model.dtype.name
        y = preprocessing.targets(rows, dtype)
        part: _data.Part = preprocessing.inputs(rows, dtype), y
    elif isinstance(loaded.model, Ensemble):
        raise DataError(
            f"{data}: an ensemble is evaluated in memory, for which the file is too large"
        )
    else:
        part = rows
    values = scores(loaded.model, preprocessing, part, report.quiet)
    if as_json:
        print_json({"model": model, "data": data, "rows": rows.n_rows, **values})
        return
    click.echo(f"{'rows':<10} {rows.n_rows}")
    for name, value in values.items():
        click.echo(f"{name:<10} {significant(value)}")
