"""`fastmlp plot`: figures of a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from fastmlp._utils.names import TASKS

from . import _options
from ._figures import FORMATS, KINDS
from ._output import Messages, _io_failures, check_output, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPILOG = f"""\b
Kinds:
{chr(10).join(f"  {kind:<13} {text}" for kind, text in KINDS.items())}

\b
Examples:
  fastmlp plot my.fmlp --kind history
  fastmlp plot my.fmlp --kind layers --data train.csv -o layers.svg
  fastmlp plot lecture.fmlp --kind facets --layer 5
  fastmlp plot ensemble.fmlp --kind members
  fastmlp plot --kind data --lecture classification -o points.png

The figure of a model of the lecture's data shows these data. For a model of your own data, layers,
facets, boundary, changepoints and members need --data, the table whose rows are shown. The suffix
of the file decides the format: {", ".join(FORMATS)}.
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
    help="Figure to draw, one of the kinds listed below.",
)
@click.option("--data", metavar="DATA", help="Draw the rows of this file, which has a table.")
@click.option("--lecture", type=click.Choice(TASKS), help="Draw the lecture's data.")
@_options.drop
@click.option(
    "--layer",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Layer that facets shows, counted from 1.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the figure to this file.  [default: MODEL_KIND.png]",
)
@_options.force
@_options.common
def command(
    model: str | None,
    kind: str,
    data: str | None,
    lecture: str | None,
    drop: tuple[str, ...],
    layer: int,
    output: str | None,
    force: bool,
    report: Messages,
) -> None:
    """Draw a model, or data.

    MODEL is a model file.
    """
    if data in TASKS and not Path(str(data)).exists():  # as `--lecture` was spelt before
        data, lecture = None, data
    if data is not None and lecture is not None:
        raise click.UsageError("--data and --lecture exclude each other")
    from fastmlp._utils import atomic

    if (kind == "data") == (model is not None):
        text = "takes no MODEL" if kind == "data" else "needs a MODEL"
        raise click.UsageError(f"--kind {kind} {text}")
    name = kind if kind != "facets" else f"facets_layer{layer}"
    stem = Path(model or data or lecture or TASKS[0]).stem
    output = output or f"{stem}_{name}.png"
    known = output == "-" or Path(output).suffix.lower() in FORMATS
    if not known and not atomic.is_special(output):
        raise click.BadParameter(
            f"{output}: the suffix must be one of {', '.join(FORMATS)}", param_hint="'--output'"
        )
    check_output(output, force)
    figure = (
        _draw_data(data, lecture, drop)
        if model is None
        else _draw_model(model, kind, data, lecture, drop, layer)
    )
    _save(figure, output)
    if output != "-":
        report.note(f"Wrote {output}.")


def _draw_model(
    path: str,
    kind: str,
    data: str | None,
    lecture: str | None,
    drop: tuple[str, ...],
    layer: int,
) -> Figure:
    from fastmlp import lecture as library
    from fastmlp.datasets import read_table
    from fastmlp.errors import DataError

    from . import _model
    from ._figures import Drawing
    from ._reading import of_model

    loaded = _model.load(path, ensembles=True)
    own = not str(loaded.model.extras.get("data", "")).startswith("lecture:")
    over_data = kind in ("layers", "facets", "boundary", "changepoints", "members")
    train = None
    if lecture is not None:
        train = library.data(lecture)[0]
    elif data is not None:
        table = read_table(data, like=of_model(loaded.model))
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


def _draw_data(data: str | None, lecture: str | None, drop: tuple[str, ...]) -> Figure:
    from fastmlp import plots
    from fastmlp.datasets import read_table
    from fastmlp.errors import DataError
    from fastmlp.preprocessing import Preprocessing, choose_task

    if data is None:
        classify = lecture == "classification"
        return plots.plot_classification_data() if classify else plots.plot_regression_data()
    table = read_table(data)
    target = next((name for name in table.names[::-1] if name not in drop), table.names[-1])
    task, _ = choose_task(table, target)
    keep = [name for name in table.names if name != target]  # also what holds one number
    state = Preprocessing.fit(table, target, task, drop=drop, keep=keep, standardize=False)
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
