"""`fastmlp evaluate`: a model's loss and metrics on a table."""

from __future__ import annotations

import click

from . import _options
from ._output import print_json, significant

EPILOG = """\b
Examples:
  fastmlp evaluate my.fmlp test.csv
  fastmlp evaluate my.fmlp test.csv --json
  fastmlp datasets regression_validation | fastmlp evaluate lecture.fmlp -

The file needs the columns that the model was trained on, and the target; others are ignored.
Of a model whose inputs have no names (one saved from Python), every column but the target is an
input, in order.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data")
@_options.target
@_options.threads
@_options.as_json
@_options.common
def command(
    model: str, data: str, target: str | None, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Print a model's loss and metrics on a table.

    MODEL is a model file, DATA a CSV file with a header (- is standard input).
    """
    report = _options.messages(quiet, verbose)
    from fastmlp import datasets
    from fastmlp.errors import ModelFileError

    from . import _model

    loaded = _model.load(model)
    if loaded.model.loss is None:
        raise ModelFileError(f"{model}: the model was saved without a loss, before compile")
    table = datasets.read_csv(data)
    preprocessing = loaded.for_table(table, target, with_target=True)
    report.detail(f"{table.n_rows} rows, target '{preprocessing.target.name}'.")
    dtype = loaded.model.dtype.name
    x, y = preprocessing.inputs(table, dtype), preprocessing.targets(table, dtype)
    values = _model.figures(loaded.model, preprocessing, x, y, quiet)
    if as_json:
        print_json({"model": model, "data": data, "rows": table.n_rows, **values})
        return
    click.echo(f"{'rows':<10} {table.n_rows}")
    for name, value in values.items():
        click.echo(f"{name:<10} {significant(value)}")
