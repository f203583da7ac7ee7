"""`fastmlp prune`: the smaller model that predicts the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _options
from ._output import _io_failures, check_output, console, print_json

if TYPE_CHECKING:
    from ._model import Loaded

EPILOG = """\b
Examples:
  fastmlp train --units 1024x5 --l1 0.001 --proximal -o sparse.fmlp
  fastmlp prune sparse.fmlp -o small.fmlp
  fastmlp prune price.fmlp -o price.fmlp --force --json

Units without outgoing weights are left out, for nothing sees them, and so are units without
incoming weights, for they are constants, which join the biases of the next layer. A table keeps
all of its columns; those that no prediction depends on are named.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model")
@click.option("-o", "--output", metavar="FILE", required=True, help="Write to this file.")
@_options.force
@_options.as_json
@_options.common
def command(
    model: str, output: str, force: bool, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Write the smaller model that predicts the same.

    MODEL is a model file.
    """
    report = _options.messages(quiet, verbose)
    if output == "-":
        raise click.BadParameter("a model goes to a file", param_hint="'--output'")
    check_output(output, force)
    from . import _model

    loaded = _model.load(model)
    pruned = loaded.model.prune()
    with _io_failures(output):
        pruned.save(output)
    report.note(f"Wrote {output}.")
    document = _document(loaded, pruned.extras["pruned"])
    if as_json:
        print_json({"model": model, "output": output, **document})
    else:
        _print_table(document)


def _document(loaded: Loaded, pruned: dict[str, Any]) -> dict[str, Any]:
    unused = pruned["unused_inputs"]
    if loaded.preprocessing is not None:
        names = loaded.preprocessing.input_names
        unused = [names[i] for i in unused]
    return {
        "units": [{"layer": name, "before": pair[0], "after": pair[1]}
                  for name, pair in pruned["units"].items()],
        "parameters": {"before": pruned["parameters"][0], "after": pruned["parameters"][1]},
        "unused_inputs": unused,
    }  # fmt: skip


def _print_table(document: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in document["units"]:
        table.add_row(f"units of {row['layer']}", f"{row['before']:,}", f"{row['after']:,}")
    both = document["parameters"]
    table.add_row("parameters", f"{both['before']:,}", f"{both['after']:,}")
    out = console()
    out.print(table)
    if document["unused_inputs"]:
        unused = ", ".join(map(str, document["unused_inputs"]))
        out.print(f"Inputs that no prediction depends on: {unused}")
