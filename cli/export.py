"""`fastmlp export`: a model in a format of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _options
from ._output import check_output, print_json, write_bytes

if TYPE_CHECKING:
    from ._model import Loaded

FORMATS = ("onnx", "keras", "torch", "c")

EPILOG = """\b
Examples:
  fastmlp export price.fmlp --to onnx -o price.onnx     preprocessing included
  fastmlp export price.fmlp --to c --name price -o price.c
  fastmlp export price.fmlp --to keras -o price.keras   for keras.models.load_model
  fastmlp export price.fmlp --to torch -o price.safetensors
  fastmlp export price.fmlp -o price.onnx --force       the suffix says the format

ONNX: a model of a table has an input of shape (n, 1) for each column, of that name: a string for
a categorical column, else a double; dates are days since 1970-01-01, true and false 1 and 0. A
missing value is NaN or the empty string. Outputs are prediction, or label and probabilities. A
value that is missing and not imputed, or a category that training did not see, makes the outputs
of its row NaN. A model without a table has the input x and the output y.

C: one C99 file that needs the mathematics library alone. Its first comment says what goes in and
comes out: categories by their codes.

keras, torch: the network without the table's preprocessing. torch is a state_dict; a note shows
the module that loads it.

Needs the package onnx or, for Keras, h5py: pip install 'fastmlp[onnx,keras]'.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model")
@click.option(
    "--to",
    type=click.Choice(FORMATS, case_sensitive=False),
    help="The format.  [default: by the suffix .onnx, .keras, .safetensors or .c]",
)
@click.option("-o", "--output", metavar="FILE", required=True, help="Write to this file.")
@click.option(
    "--name", metavar="NAME", help="Begins the names of a C file's functions.  [default: model]"
)
@_options.force
@_options.as_json
@_options.common
def command(
    model: str,
    to: str | None,
    output: str,
    name: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write a model for ONNX, Keras, PyTorch or C.

    MODEL is a model file.
    """
    report = _options.messages(quiet, verbose)
    if as_json and output == "-":
        raise click.UsageError("--json and -o - both write to standard output")
    check_output(output, force)
    from fastmlp import interchange
    from fastmlp._saving.export import target_of, to_bytes
    from fastmlp.errors import DataError, ModelFileError

    from . import _model

    with _options.wrong_option("--to"):
        to = target_of(output, to)
    if name is not None and to != "c":
        raise click.UsageError(f"--name is for C. Received: --to {to}")
    loaded = _model.load(model)
    try:
        data = to_bytes(loaded.model, to, "model" if name is None else name)
    except (DataError, ModelFileError):
        raise
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--name'") from error
    write_bytes(output, data)
    if output != "-":
        report.note(f"Wrote {len(data):,} bytes to {output}.")
    document: dict[str, Any] = {"model": model, "to": to, "output": output, "bytes": len(data)}
    document["preprocessing"] = loaded.preprocessing is not None and to in ("onnx", "c")
    if to == "torch":
        document["module"] = interchange.torch_module(loaded.model)
        report.note(f"Load it into {document['module']}")
    _note_what_is_left_out(loaded, to, report)
    if as_json:
        print_json(document)


def _note_what_is_left_out(loaded: Loaded, to: str, report: Any) -> None:
    if loaded.preprocessing is not None and to in ("keras", "torch"):
        report.note(
            "The table's preprocessing is not in it: the network takes numbers as "
            "fastmlp.preprocessing makes them."
        )
