"""`fastmlp predict`: a model's predictions for a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _options
from ._groups import group
from ._output import Messages, OutputOptions, open_text, print_json
from ._reading import Reading

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.datasets import ParquetStream, Table
    from fastmlp.models import Sequential
    from fastmlp.preprocessing import Preprocessing

EPILOG = """\b
Examples:
  fastmlp predict my.fmlp new.csv                     print predictions as CSV
  fastmlp predict my.fmlp new.csv -o predictions.csv
  fastmlp predict my.fmlp new.parquet --drop id -o predictions.csv
  cut -d, -f1,2 new.csv | fastmlp predict my.fmlp - | head

A regression model writes one column, prediction, in the target's units. A classifier writes the
label, as it was in the training data, and a probability for each class. An ensemble for regression
adds the column spread, the standard deviation of its members, and if rows were held out sd, the
standard deviation of a new observation.

DATA may have any format that `fastmlp train` reads; it need not be that of the training data. It
needs the columns that the model was trained on. The target, and columns that training dropped, are
ignored; other columns are an error, unless --drop names them.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data")
@_options.drop
@group(Reading, "reading")
@_options.threads
@_options.output(
    metavar="CSV", default="-", help="Write predictions to this CSV file.  [default: print them]"
)
@_options.common
def command(
    model: str,
    data: str,
    drop: tuple[str, ...],
    reading: Reading,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Write a model's predictions for a table.

    MODEL is a model file. DATA is a file with a table; - is CSV from standard input.
    """
    results.check()
    from fastmlp import datasets

    from . import _data, _model

    loaded = _model.load(model, ensembles=True)
    preprocessing, rows = _data.opened(
        data, loaded, None, with_target=False, drop=drop, reading=reading, report=report
    )
    outputs = _outputs(loaded.model, preprocessing, rows, report)
    columns = _columns(preprocessing, outputs)
    columns |= _uncertainty(loaded.model, preprocessing, rows)
    if results.as_json and results.file == "-":
        print_json({name: [_plain(value) for value in c] for name, c in columns.items()})
        return
    with open_text(results.file) as file:
        datasets.write_csv(file, list(columns), list(columns.values()))
    if results.file != "-":
        report.note(f"Wrote {len(outputs)} predictions to {results.file}.")
        if results.as_json:
            document = {
                "model": model,
                "data": data,
                "rows": len(outputs),
                "output": results.file,
            }
            print_json(document)


def _outputs(
    model: Sequential, preprocessing: Preprocessing, rows: Table | ParquetStream, report: Messages
) -> np.ndarray:
    import numpy as np

    from fastmlp import datasets, streaming

    if isinstance(rows, datasets.ParquetStream):
        return np.concatenate(list(streaming.predict(model, rows, verbose=report.verbosity)))
    return model.predict(preprocessing.inputs(rows, model.dtype.name), verbose=report.verbosity)


def _columns(preprocessing: Preprocessing, outputs: np.ndarray) -> dict[str, Any]:
    if preprocessing.task == "regression":
        return {"prediction": preprocessing.values(outputs)}
    labels, probabilities = preprocessing.classes(outputs)
    columns: dict[str, Any] = {"prediction": labels}
    for label, column in zip(preprocessing.target.labels, probabilities.T, strict=True):
        columns[f"probability_{label}"] = column
    return columns


def _uncertainty(
    model: Any, preprocessing: Preprocessing, rows: Table | ParquetStream
) -> dict[str, np.ndarray]:
    """Return the spread of an ensemble's members, and the deviation of a new observation."""
    import numpy as np

    from fastmlp import datasets
    from fastmlp.ensembles import Ensemble

    if (
        not isinstance(model, Ensemble)
        or preprocessing.task != "regression"
        or isinstance(rows, datasets.ParquetStream)
        or len(model) < 2
    ):
        return {}
    scale = preprocessing.target.scale
    found = model.spread(preprocessing.inputs(rows, model.dtype.name), verbose=0)[:, 0]
    spread = found.astype(np.float64)
    columns = {"spread": spread * scale}
    if model.noise_sd is not None:
        columns["sd"] = np.sqrt(spread**2 + model.noise_sd[0] ** 2) * scale
    if not preprocessing.target.is_scaled:
        columns = {name: column.astype(model.dtype) for name, column in columns.items()}
    return columns


def _plain(value: Any) -> Any:
    # Through text, so that a float32 keeps its few digits.
    return value if isinstance(value, int | float | str) else float(str(value))
