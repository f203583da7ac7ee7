"""`fastmlp import`: a model from a Keras or PyTorch file."""

from __future__ import annotations

import click

from fastmlp._utils.names import ACTIVATIONS

from . import _help, _options
from ._output import Messages, OutputOptions, print_json, write_bytes

EPILOG = """\b
Examples:
  fastmlp import old.keras -o new.fmlp
  fastmlp import old.h5 -o new.fmlp && fastmlp summary new.fmlp
  fastmlp import old.weights.h5 --activation tanh --output-activation sigmoid -o new.fmlp
  fastmlp import old.safetensors --activation relu,tanh -o new.fmlp
  fastmlp import old.safetensors --layers body.fc,body.out,head -o new.fmlp

FILE may be a .keras archive, a Keras model in HDF5 (.h5), Keras weights (.weights.h5) or the
state_dict of a PyTorch module in safetensors; the content decides, not the suffix. The layers must
form a sequence of Dense (Linear), Dropout, Activation and Input. Nothing in FILE is executed.

A file of weights does not have the activations: give --activation and --output-activation. The
model is not compiled: `fastmlp predict` takes it as it is; in Python, compile it before fit.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("file")
@click.option(
    "--activation",
    metavar="NAMES",
    shell_complete=_options.complete_names(ACTIVATIONS),
    help="Activation of the hidden layers, one for all or one for each, if FILE has weights only.  "
    "[default: relu]",
)
@click.option(
    "--output-activation",
    metavar="NAME",
    shell_complete=_options.complete_names(ACTIVATIONS),
    help="Activation of the last layer, if FILE has weights only.  [default: linear]",
)
@click.option(
    "--layers",
    metavar="NAMES",
    help="Linear layers of a state_dict in order, with commas between.  [default: by the numbers "
    "in their names, or by their widths]",
)
@_options.output(metavar="MODEL", required=True, help="Write the model to this file.")
@_options.common
def command(
    file: str,
    activation: str | None,
    output_activation: str | None,
    layers: str | None,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Read a model from a Keras or PyTorch file.

    FILE is the file; a .fmlp model is written.
    """
    if results.as_json and results.file == "-":
        raise click.UsageError("--json and -o - both write to standard output")
    results.check()
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
    write_bytes(results.file, fmlp.to_bytes(model))
    found = [f"{layer.units} {layer.activation}" for layer in model.dense_layers]
    if results.file != "-":
        report.note(f"Wrote {results.file}: {model.n_inputs} inputs, then {', '.join(found)}.")
    if results.as_json:
        print_json(
            {
                "file": file,
                "output": results.file,
                "inputs": model.n_inputs,
                "units": [layer.units for layer in model.dense_layers],
                "activations": [layer.activation for layer in model.dense_layers],
                "parameters": model.count_params(),
                "dtype": model.dtype.name,
            }
        )


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]
