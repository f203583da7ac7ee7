"""`fastmlp export`: a model in the format of another library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _help, _options
from ._output import Messages, OutputOptions, print_json, write_bytes

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

onnx: the model of a table has an input of shape (n, 1) for each column, with its name: strings for
a categorical column, doubles for others. Dates are days since 1970-01-01; true and false are 1 and
0; a missing value is NaN or the empty string. The outputs are prediction, or label and
probabilities. They are NaN for a row with a missing value that is not imputed, or with a category
that training did not see. The model of arrays has the input x and the output y.

c: one C99 file that needs only the mathematics library. Its first comment describes inputs and
outputs; categories are given by their codes.

keras and torch: the network without the preprocessing of the table. The format torch is a
state_dict; a note shows the module that loads it.

An ensemble is exported to onnx and c, as the mean of its members.

Exports to onnx and keras need packages: pip install 'fastmlp[onnx,keras]'.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model")
@click.option(
    "--to",
    type=click.Choice(FORMATS, case_sensitive=False),
    help="Format of the file.  [default: by the suffix .onnx, .keras, .safetensors or .c]",
)
@click.option(
    "--name", metavar="NAME", help="Prefix of the names of a C file's functions.  [default: model]"
)
@_options.output(metavar="FILE", required=True, help="Write the exported model to this file.")
@_options.common
def command(
    model: str,
    to: str | None,
    name: str | None,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Write a model for ONNX, Keras, PyTorch or C.

    MODEL is the file of a model or an ensemble.
    """
    if results.as_json and results.file == "-":
        raise click.UsageError("--json and -o - both write to standard output")
    results.check()
    from fastmlp import interchange
    from fastmlp._saving.export import target_of, to_bytes
    from fastmlp.errors import DataError, ModelFileError

    from . import _model

    with _options.wrong_option("--to"):
        to = target_of(results.file, to)
    if name is not None and to != "c":
        raise click.UsageError(f"--name needs --to c. Received: --to {to}")
    loaded = _model.load(model, ensembles=True)
    try:
        data = to_bytes(loaded.model, to, "model" if name is None else name)
    except (DataError, ModelFileError):
        raise
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--name'") from error
    write_bytes(results.file, data)
    if results.file != "-":
        report.note(f"Wrote {len(data):,} bytes to {results.file}.")
    document: dict[str, Any] = {
        "model": model,
        "to": to,
        "output": results.file,
        "bytes": len(data),
    }
    document["preprocessing"] = loaded.preprocessing is not None and to in ("onnx", "c")
    if to == "torch":
        document["module"] = interchange.torch_module(loaded.model)
        report.note(f"Load it into {document['module']}")
    _note_missing_preprocessing(loaded, to, report)
    if results.as_json:
        print_json(document)


def _note_missing_preprocessing(loaded: Loaded, to: str, report: Any) -> None:
    if loaded.preprocessing is not None and to in ("keras", "torch"):
        report.note(
            "The file has no preprocessing: give the network the numbers that "
            "fastmlp.preprocessing makes of a table."
        )
