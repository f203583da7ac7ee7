"""`fastmlp datasets`: the lecture's data as CSV."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from . import _help, _options
from ._output import Messages, OutputOptions, open_text, print_json

EPILOG = """\b
Examples:
  fastmlp datasets                                  list the data sets
  fastmlp datasets regression_train                 print one
  fastmlp datasets classification_train -o train.csv
  fastmlp datasets regression_train | fastmlp train - --units 64x2 --epochs 1000
"""

# A test compares the names with those of the library, which imports NumPy.
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


@click.command(cls=_help.Command, epilog=EPILOG)
@click.argument(
    "name",
    metavar="[NAME]",
    required=False,
    type=click.Choice(list(DESCRIPTIONS)),
    shell_complete=_complete,
)
@_options.output(
    metavar="CSV", default="-", help="Write the data to this CSV file.  [default: print them]"
)
@_options.common
def command(name: str | None, results: OutputOptions, report: Messages) -> None:
    """Write the lecture's data as CSV.

    NAME is a data set; without it, the data sets are listed.
    """
    if name is None:
        _list(results.as_json)
        return
    results.check()
    _write(name, results.file, results.as_json, report)


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
