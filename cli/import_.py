"""`fastmlp import`: a model from a file of Keras or PyTorch."""

from __future__ import annotations

import click

from . import _options
from ._output import check_output, print_json, write_bytes

EPILOG = """\b
Examples:
  fastmlp import old.keras -o new.fmlp
  fastmlp import old.h5 -o new.fmlp && fastmlp summary new.fmlp
  fastmlp import old.weights.h5 --activation tanh --output-activation sigmoid -o new.fmlp
  fastmlp import old.safetensors --activation relu,tanh -o new.fmlp
  fastmlp import old.safetensors --layers body.fc,body.out,head -o new.fmlp

FILE may be a .keras archive, a Keras model in HDF5 (.h5), Keras weights (.weights.h5) or the
state_dict of a PyTorch module in safetensors; its content tells which. Layers must follow one
another and be Dense (Linear), Dropout, Activation or Input. Nothing in FILE is executed.

Weights alone carry no activations: say them with --activation and --output-activation. The model
is not compiled: fastmlp predict takes it as it is, from Python it is compiled before fit.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("file")
@click.option("-o", "--output", metavar="MODEL", required=True, help="Write the model here.")
@click.option(
    "--activation",
    metavar="NAMES",
    shell_complete=_options.complete_names(_options.ACTIVATIONS),
    help="Of hidden layers, one for all or one a layer, where FILE has weights alone.  "
    "[default: relu]",
)
@click.option(
    "--output-activation",
    metavar="NAME",
    shell_complete=_options.complete_names(_options.ACTIVATIONS),
    help="Likewise of the last layer.  [default: linear]",
)
@click.option(
    "--layers",
    metavar="NAMES",
    help="Of a state_dict: its linear layers in order, commas between.  [default: by the numbers "
    "in their names, or as their widths fit]",
)
@_options.force
@_options.as_json
@_options.common
def command(
    file: str,
    output: str,
    activation: str | None,
    output_activation: str | None,
    layers: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Make a model of a file of Keras or PyTorch.

    FILE is what they saved.
    """
    report = _options.messages(quiet, verbose)
    if as_json and output == "-":
        raise click.UsageError("--json and -o - both write to standard output")
    check_output(output, force)
    from fastmlp import interchange
    from fastmlp._saving import fmlp
    from fastmlp.errors import ModelFileError

    try:
        model = interchange.import_model(
            file,
            activation=_split(activation),
            output_activation=output_activation,
            layers=_split(layers),
        )
    except ModelFileError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    write_bytes(output, fmlp.to_bytes(model))
    found = [f"{layer.units} {layer.activation}" for layer in model.dense_layers]
    if output != "-":
        report.note(f"Wrote {output}: {model.n_inputs} inputs, then {', '.join(found)}.")
    if as_json:
        print_json(
            {
                "file": file,
                "output": output,
                "inputs": model.n_inputs,
                "units": [layer.units for layer in model.dense_layers],
                "activations": [layer.activation for layer in model.dense_layers],
                "parameters": model.count_params(),
                "dtype": model.dtype.name,
            }
        )


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]
