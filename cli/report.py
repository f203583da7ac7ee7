"""`fastmlp report`: one page about a model."""

from __future__ import annotations

from pathlib import Path

import click

from . import _options
from ._groups import group
from ._output import Messages, check_output, write_bytes
from ._reading import Reading, of_model

EPILOG = """\b
Examples:
  fastmlp report my.fmlp test.csv
  fastmlp report my.fmlp test.csv -o report.html --no-rows
  fastmlp report my.fmlp
  fastmlp report lecture/classifier_l2_0.001.fmlp
  fastmlp path my.csv --target price -o houses --report houses.html
  fastmlp train my.csv --target price -o my.fmlp --report report.html

The page is one HTML file that a browser opens from disk, without a request to anywhere. It has the
model's card, how good it is beside a constant and a linear model, with a slider for the threshold
of two classes and its costs, the training, the path of lambdas if the model was chosen from one,
what the model uses, its layers or members, how the columns of DATA differ from those of the
training (PSI and KS), where it fails, and the settings that train it again.

Without DATA it has the figures of the training alone; a model of the lecture's data is judged on
the lecture's validation data. Of the table of the training only the rows that were held out are
judged. A model that was trained on arrays takes a table with its inputs in order. The same model,
table and seed give the same bytes. fastmlp[report] must be installed.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data", required=False)
@_options.drop
@_options.target
@group(Reading, "reading")
@click.option(
    "--rows/--no-rows",
    "rows",
    default=True,
    help="Whether to show single rows: the worst ones, and figures with a mark for each.  "
    "[default: --rows]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Seed for shuffles and resamples.")  # fmt: skip
@_options.threads
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the page to this file.  [default: MODEL_report.html]",
)
@_options.force
@_options.common
def command(
    model: str,
    data: str | None,
    drop: tuple[str, ...],
    target: str | None,
    reading: Reading,
    rows: bool,
    seed: int,
    output: str | None,
    force: bool,
    report: Messages,
) -> None:
    """Write one page about a model: how good it is, what it uses, where it fails.

    MODEL is a model file, of any model. DATA is a file with a table that has the
    target; - is CSV from standard input.
    """
    output = output or f"{Path(model).stem}_report.html"
    if data is None and (drop or target is not None):
        raise click.UsageError(f"{'--drop' if drop else '--target'} needs DATA")
    check_output(output, force)
    from fastmlp import models, reports

    reports.check_installed()
    found = models.load_model(model)
    table = None
    if data is not None:
        table = reading.table(data, report, of_model(found)).without(drop)
    page = reports.report(found, table, target=target, rows=rows, seed=seed)
    write_bytes(output, page.html.encode())
    for note in page.numbers.warnings:
        report.note(note)
    if output != "-":
        report.note(f"Wrote {output}.")
