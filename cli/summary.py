"""`fastmlp summary`: a network's layers as a table."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from . import _options
from ._output import print_json

if TYPE_CHECKING:
    from fastmlp.models import Sequential

EPILOG = """\b
Examples:
  fastmlp summary                                  the lecture's classifier
  fastmlp summary --units 64,32 --inputs 10 --outputs 3
  fastmlp summary --units 1024x5 --l2 0,0,0.1,0.1,0.1,0.01
  fastmlp summary my.fmlp                          a saved model
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model", required=False)
@_options.units(required=False)
@click.option("--inputs", type=click.IntRange(min=1), help="Inputs.  [default: 2]")
@click.option("--outputs", type=click.IntRange(min=1), help="Outputs.  [default: 1]")
@_options.penalties
@_options.activation
@_options.dropout
@_options.as_json
def command(model: str | None, as_json: bool, **options: Any) -> None:
    """Print the layers of a network.

    Of the MODEL file, or of a network to be, from its --units.

    With nothing at all: five hidden layers of 1024 units on two inputs.
    """
    if model is None:
        network = _build(**options)
    else:
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise click.UsageError(f"--{given[0]} describes a network to be; MODEL is one already")
        from . import _model

        network = _model.load(model).model
    if as_json:
        print_json(_document(network))
        return
    from fastmlp.summary import summary_text

    # Off a terminal, wide enough for everything; COLUMNS is obeyed by both.
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None
    click.echo(summary_text(network, width))


def _build(
    units: str | None,
    inputs: int | None,
    outputs: int | None,
    l1: str | None,
    l2: str | None,
    activation: str | None,
    dropout: str | None,
) -> Sequential:
    from fastmlp import models

    n_outputs = outputs or 1
    network = _options.parse_network(units or "1024x5", l1, l2, activation, dropout)
    return models.mlp(
        n_inputs=inputs or 2,
        n_outputs=n_outputs,
        # As the lecture's classifier, which is what stands here by default.
        output_activation="linear" if units or n_outputs > 1 else "sigmoid",
        **network,
    )


def _document(model: Sequential) -> dict[str, Any]:
    from fastmlp.layers import Dense

    layers = []
    for layer in model.layers:
        document: dict[str, Any] = {
            "name": layer.name,
            "type": type(layer).__name__,
            "outputs": layer.n_outputs,
            "parameters": layer.count_params(),
        }
        if isinstance(layer, Dense):
            penalty = layer.kernel_regularizer
            document["activation"] = layer.activation
            document["l1"] = float(penalty.l1) if penalty is not None else 0.0
            document["l2"] = float(penalty.l2) if penalty is not None else 0.0
        layers.append(document)
    return {"name": model.name, "layers": layers, "parameters": model.count_params()}
