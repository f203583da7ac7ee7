"""`fastmlp datasets`: the lecture's data as CSV."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from . import _options
from ._output import Messages, check_output, open_text, print_json

EPILOG = """\b
Examples:
  fastmlp datasets                                  list the data sets
  fastmlp datasets regression_train                 print one
  fastmlp datasets classification_train -o train.csv
  fastmlp datasets regression_train | fastmlp train - --units 64x2 --epochs 1000
"""

# Restated here, and compared by a test, because the library's own list comes with NumPy.
DESCRIPTIONS = {
    "regression_train": "50 rows: x, and y = 0.2 cos(5x) - 0.25 x^2 + noise",
    "regression_validation": "1000 rows of the same",
    "regression_curve": "the true curve at the 101 points of the lecture's figures",
    "classification_train": "100 rows: x1, x2, and y, 0 or 1",
    "classification_validation": "10000 rows of the same",
}


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=text)
        for name, text in DESCRIPTIONS.items()
        if name.startswith(incomplete)
    ]


@click.command(epilog=EPILOG)
@click.argument(
    "name",
    metavar="[NAME]",
    required=False,
    type=click.Choice(list(DESCRIPTIONS)),
    shell_complete=_complete,
)
@click.option("-o", "--output", metavar="CSV", default="-", help="Write to this file.")
@_options.force
@_options.as_json
@_options.common
def command(
    name: str | None, output: str, force: bool, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Write the lecture's data as CSV.

    NAME is a data set; without it, they are listed.
    """
    report = _options.messages(quiet, verbose)
    if name is None:
        _list(as_json)
        return
    check_output(output, force)
    _write(name, output, as_json, report)


def _list(as_json: bool) -> None:
    if as_json:
        print_json({"datasets": [{"name": n, "text": t} for n, t in DESCRIPTIONS.items()]})
        return
    width = max(map(len, DESCRIPTIONS))
    for name, text in DESCRIPTIONS.items():
        click.echo(f"{name:<{width}}  {text}")


def _write(name: str, output: str, as_json: bool, report: Messages) -> None:
    from fastmlp import datasets

    names, x, y = datasets.load(name)
    columns = [*x.T, y[:, 0]]
    if as_json and output == "-":
        print_json({n: [float(str(v)) for v in c] for n, c in zip(names, columns, strict=True)})
        return
    if name.startswith("classification"):
        columns[-1] = y[:, 0].astype(int)
    with open_text(output) as file:
        datasets.write_csv(file, names, columns)
    if output != "-":
        report.note(f"Wrote {len(x)} rows to {output}.")
        if as_json:
            print_json({"name": name, "rows": len(x), "columns": list(names), "output": output})
