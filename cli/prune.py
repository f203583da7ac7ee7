"""`fastmlp prune`: a smaller model with the same predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _help, _options
from ._output import (
    Messages,
    OutputOptions,
    _io_failures,
    console,
    grid,
    print_json,
    refuse_standard_output,
)

if TYPE_CHECKING:
    from ._model import Loaded

EPILOG = """\b
Examples:
  fastmlp train --units 1024x5 --l1 0.001 --proximal -o sparse.fmlp
  fastmlp prune sparse.fmlp -o small.fmlp
  fastmlp prune price.fmlp -o price.fmlp --force --json

Units whose outgoing weights are all zero are removed. So are units whose incoming weights are all
zero: their output is a constant, which is added to the biases of the next layer. The model still
takes all columns of its table; the command prints those that no prediction depends on.

Where nothing could be removed, a warning says why. Without --proximal or --group-l1, training makes
weights small, but not zero.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model")
@_options.output(metavar="FILE", required=True, help="Write the smaller model to this file.")
@_options.common
def command(model: str, results: OutputOptions, report: Messages) -> None:
    """Remove unused units from a model; its predictions stay the same.

    MODEL is a model file.
    """
    refuse_standard_output(results.file, "a model")
    results.check()
    from . import _model

    loaded = _model.load(model)
    pruned = loaded.model.prune()
    with _io_failures(results.file):
        pruned.save(results.file)
    report.note(f"Wrote {results.file}.")
    document = _document(loaded, pruned.extras["pruned"])
    if results.as_json:
        print_json({"model": model, "output": results.file, **document})
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

    table = grid()
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
