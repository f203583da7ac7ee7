"""`fastmlp predict`: a model's predictions for a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _help, _options
from ._groups import group
from ._model import Carried
from ._output import Messages, OutputOptions, open_text, print_json
from ._reading import Reading

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.datasets import ParquetStream, Table
    from fastmlp.models import Sequential
    from fastmlp.preprocessing import Preprocessing
    from fastmlp.tabular import Quality

EPILOG = """\b
Examples:
  fastmlp predict my.fmlp new.csv                     print predictions as CSV
  fastmlp predict my.fmlp new.csv -o predictions.csv
  fastmlp predict my.fmlp new.csv --id customer -o predictions.csv
  fastmlp predict my.fmlp new.csv --keep-columns -o all.csv
  fastmlp predict ill.fmlp new.csv --threshold 0.3
  fastmlp predict my.fmlp new.parquet --drop id -o predictions.csv
  cut -d, -f1,2 new.csv | fastmlp predict my.fmlp - | head

A regression model writes the column prediction, in the target's units; with several targets,
prediction_NAME for each. A classifier writes the label, as in the training data, and a probability
for each class. With two classes, the second one is predicted if its probability reaches the
threshold that training chose (--threshold, --cost), by default 0.5.

A model that was trained with --interval also writes the prediction interval, as columns lower and
upper, or for a classifier the prediction set, as column set with the plausible labels separated by
|. The set is empty for a row that is unlike most rows of every class.

An ensemble for regression also writes the column spread, the standard deviation of its members'
predictions, and, if rows were held out, sd, the standard deviation of a new observation.

DATA may have any format that `fastmlp train` reads. It must have the input columns of the model, in
any order. The target and columns that training dropped are ignored; other columns are an error,
unless --drop or --id names them or --keep-columns is given.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model")
@_options.file_argument("data")
@_options.drop
@group(Reading, "reading")
@group(Carried, "carried")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Of two classes, predict the second if its probability is above P.  [default: what "
    "training chose, otherwise 0.5]",
)
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
    carried: Carried,
    threshold: float | None,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Write a model's predictions for a table.

    MODEL is a model file. DATA is a file with a table; - is CSV from standard input.
    """
    results.check()
    from fastmlp import datasets
    from fastmlp.errors import DataError

    from . import _data, _model

    loaded = _model.load(model, ensembles=True)
    loaded.carried = carried
    preprocessing, rows = _data.opened(
        data, loaded, None, with_target=False, drop=drop, reading=reading, report=report
    )
    if threshold is not None and len(preprocessing.target.labels) != 2:
        raise DataError(f"{model}: --threshold needs a model of two classes")
    columns = {}
    if carried.wanted:
        if not isinstance(rows, datasets.Table):
            raise DataError(
                f"{data}: --id and --keep-columns need all rows in memory, for which the file is "
                "too large"
            )
        columns = {name: rows.text(name) for name in carried.names(rows, drop)}
    quality = loaded.quality(preprocessing)
    outputs = _outputs(loaded.model, preprocessing, rows, report)
    found = _columns(preprocessing, outputs, quality, threshold)
    found |= _uncertainty(loaded.model, preprocessing, rows)
    for name in found:
        if name in columns:
            raise DataError(
                f"{data}: column '{name}' has the name of a column of predictions; leave it out "
                f"with --drop {name}, or rename it"
            )
    columns |= found
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
        parts = list(streaming.predict(model, rows, verbose=report.verbosity))
        report.notes(*rows.notes)
        return np.concatenate(parts)
    unseen: dict[str, int] = {}
    filled: dict[str, int] = {}
    x = preprocessing.inputs(rows, model.dtype.name, unseen=unseen, filled=filled)
    report.notes(preprocessing.unseen_note(unseen), preprocessing.filled_note(filled))
    return model.predict(x, verbose=report.verbosity)


def _columns(
    preprocessing: Preprocessing, outputs: np.ndarray, quality: Quality, threshold: float | None
) -> dict[str, Any]:
    interval = quality.interval
    columns: dict[str, Any]
    if preprocessing.task == "regression":
        ends = _ends(preprocessing)
        values = preprocessing.values(outputs)
        by_target = values.reshape(len(values), -1).T
        columns = {f"prediction{end}": v for end, v in zip(ends, by_target, strict=True)}
        if interval is not None:
            low, high = (side.reshape(len(values), -1).T for side in interval.interval(values))
            for end, lower, upper in zip(ends, low, high, strict=True):
                columns |= {f"lower{end}": lower, f"upper{end}": upper}
        return columns
    from fastmlp.tabular import Threshold

    labels, probabilities = preprocessing.classes(outputs)
    known = preprocessing.target.labels
    chosen = quality.threshold if threshold is None else Threshold(threshold)
    if chosen is not None:
        labels = [known[code] for code in chosen.codes(probabilities)]
    columns = {"prediction": labels}
    for label, column in zip(known, probabilities.T, strict=True):
        columns[f"probability_{label}"] = column
    if interval is not None:
        names = [str(label) for label in known]
        columns["set"] = [
            "|".join(name for name, inside in zip(names, row, strict=True) if inside)
            for row in interval.sets(outputs)
        ]
    return columns


def _ends(preprocessing: Preprocessing) -> list[str]:
    """Return what follows the names of columns of predictions, for each target."""
    names = [target.name for target in preprocessing.all_targets]
    return [""] if len(names) == 1 else [f"_{name}" for name in names]


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
    x = preprocessing.inputs(rows, model.dtype.name)
    if not preprocessing.has_unit:  # the noise is known for the network's own numbers only
        values = preprocessing.values(model.predictions(x, verbose=0))
        deviation = values.std(axis=0, ddof=1).reshape(len(x), -1).T
        return {
            f"spread{end}": one for end, one in zip(_ends(preprocessing), deviation, strict=True)
        }
    scale = preprocessing.target.scale
    spread = model.spread(x, verbose=0)[:, 0].astype(np.float64)
    columns = {"spread": spread * scale}
    if model.noise_sd is not None:
        columns["sd"] = np.sqrt(spread**2 + model.noise_sd[0] ** 2) * scale
    if not preprocessing.target.is_scaled:
        columns = {name: column.astype(model.dtype) for name, column in columns.items()}
    return columns


def _plain(value: Any) -> Any:
    # Through text, so that a float32 keeps its few digits.
    return value if isinstance(value, int | float | str) else float(str(value))
