"""`fastmlp report`: one page about a model."""

from __future__ import annotations

from pathlib import Path

import click

from . import _help, _options
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

The report is one HTML file that works offline. It contains a model card, the metrics compared with
a constant and a linear model, a slider for threshold and costs (two classes), the learning curves,
the path of lambdas if the model was chosen from one, feature importance, layers or members, the
drift of the columns of DATA from the training data (PSI and KS), the largest errors, and the
settings that reproduce the training.

Without DATA, it contains the metrics of the training only; a model of the lecture's data is scored
on the lecture's validation data. If DATA is the training table, only the rows that were held out
are scored. A model that was trained on arrays takes a table with its inputs in order. The same
model, table and seed give the same file, byte for byte. Needs fastmlp[report].
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data", required=False)
@_options.drop
@_options.target
@group(Reading, "reading")
@click.option(
    "--rows/--no-rows",
    "rows",
    default=True,
    help="Whether to show single rows: the largest errors, and figures with a mark for each "
    "row.  [default: rows]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Seed for shuffles and resamples.")  # fmt: skip
@_options.threads
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the report to this file.  [default: MODEL_report.html]",
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
    """Write a report about a model: metrics, feature importance, errors.

    MODEL is a file of any model. DATA is a file with a table that has the target; - is CSV from
    standard input.
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
