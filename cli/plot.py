"""`fastmlp plot`: figures of a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from . import _options
from ._figures import FORMATS, KINDS
from ._output import _io_failures, check_output, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LECTURE = ("regression", "classification")

EPILOG = f"""\b
Kinds:
{chr(10).join(f"  {kind:<13} {text}" for kind, text in KINDS.items())}

\b
Examples:
  fastmlp plot my.fmlp --kind history
  fastmlp plot my.fmlp --kind layers --data train.csv -o layers.svg
  fastmlp plot lecture.fmlp --kind facets --layer 5
  fastmlp plot ensemble.fmlp --kind members
  fastmlp plot --kind data --data classification -o points.png

A model of the lecture's data is drawn with them. For a model of your own data, layers, facets,
boundary, changepoints and members need --data, the table whose rows are to be shown. The file's
suffix says the format: {", ".join(FORMATS)}.
"""


def _complete_kind(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [
        CompletionItem(kind, help=text)
        for kind, text in KINDS.items()
        if kind.startswith(incomplete)
    ]


@click.command(epilog=EPILOG)
@_options.file_argument("model", required=False)
@click.option(
    "--kind",
    required=True,
    type=click.Choice(list(KINDS)),
    metavar="KIND",
    shell_complete=_complete_kind,
    help="Which figure; see below.",
)
@click.option(
    "--data",
    metavar="DATA",
    help="Data to draw: a file with a table, or the lecture's regression or classification data.",
)
@_options.drop
@click.option(
    "--layer", type=click.IntRange(min=1), default=1, show_default=True, help="Layer of facets."
)
@click.option(
    "-o", "--output", metavar="FILE", help="The figure's file.  [default: MODEL_KIND.png]"
)
@_options.force
@_options.common
def command(
    model: str | None,
    kind: str,
    data: str | None,
    drop: tuple[str, ...],
    layer: int,
    output: str | None,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Draw a model, or data.

    MODEL is a model file; KIND says what to draw of it.
    """
    report = _options.messages(quiet, verbose)
    from fastmlp._utils import atomic

    if (kind == "data") == (model is not None):
        text = "shows data, not a MODEL" if kind == "data" else "needs a MODEL"
        raise click.UsageError(f"--kind {kind} {text}")
    name = kind if kind != "facets" else f"facets_layer{layer}"
    stem = Path(data or "regression").stem if model is None else Path(model).stem
    output = output or f"{stem}_{name}.png"
    known = output == "-" or Path(output).suffix.lower() in FORMATS
    if not known and not atomic.is_special(output):
        raise click.BadParameter(
            f"{output}: the suffix must be one of {', '.join(FORMATS)}", param_hint="'--output'"
        )
    check_output(output, force)
    figure = (
        _draw_data(data, drop) if model is None else _draw_model(model, kind, data, drop, layer)
    )
    _save(figure, output)
    if output != "-":
        report.note(f"Wrote {output}.")


def _draw_model(
    path: str, kind: str, data: str | None, drop: tuple[str, ...], layer: int
) -> Figure:
    from fastmlp import lecture
    from fastmlp.datasets import read_table
    from fastmlp.errors import DataError

    from . import _model
    from ._figures import Drawing

    loaded = _model.load(path, ensembles=True)
    own = not str(loaded.model.extras.get("data", "")).startswith("lecture:")
    over_data = kind in ("layers", "facets", "boundary", "changepoints", "members")
    train = None
    if data in LECTURE and data is not None:
        train = lecture.data(data)[0]
    elif data is not None:
        table = read_table(data)
        state = loaded.for_table(table, None, True, drop)
        loaded.preprocessing = state
        dtype = loaded.model.dtype.name
        y = state.targets(table, dtype)
        train = (state.inputs(table, dtype), y)
    elif over_data and own and loaded.preprocessing is not None:
        raise click.UsageError(f"--kind {kind} needs --data for a model of your own data")
    try:
        return Drawing(loaded.model, loaded.preprocessing, train).draw(kind, layer)
    except ValueError as error:
        raise DataError(f"{path}: no {kind} figure of this model: {error}") from error


def _draw_data(data: str | None, drop: tuple[str, ...]) -> Figure:
    from fastmlp import plots
    from fastmlp.datasets import read_table
    from fastmlp.errors import DataError
    from fastmlp.preprocessing import Preprocessing, choose_task

    if data is None or data == "regression":
        return plots.plot_regression_data()
    if data == "classification":
        return plots.plot_classification_data()
    table = read_table(data)
    target = next((name for name in table.names[::-1] if name not in drop), table.names[-1])
    task, _ = choose_task(table, target)
    state = Preprocessing.fit(table, target, task, drop=drop)
    expected = 1 if task == "regression" else 2
    if [column.kind for column in state.columns] != ["numeric"] * expected:
        raise DataError(
            f"{data}: a figure of {task} data needs {expected} numeric input column"
            f"{'s' if expected > 1 else ''} and the target. Columns: {', '.join(table.names)}"
        )
    x, y = state.inputs(table), state.targets(table)
    names = [column.name for column in state.columns]
    if task == "regression":
        return plots.plot_regression_data(x, y, x_label=names[0], y_label=target)
    labels = [str(label) for label in state.target.labels]
    return plots.plot_classification_data(
        x, y, class_names=labels, x1_label=names[0], x2_label=names[1]
    )


def _save(figure: Figure, output: str) -> None:
    import tempfile

    from fastmlp import plots

    if output != "-":
        with _io_failures(output):
            plots.save(figure, output)
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "figure.png"
        plots.save(figure, path)
        write_bytes("-", path.read_bytes())
