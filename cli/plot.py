"""`fastmlp plot`: figures of a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from fastmlp._utils.names import TASKS

from . import _help, _options
from ._figures import FORMATS, KINDS, TABLE_KINDS
from ._output import Messages, _io_failures, check_output, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastmlp.datasets import Table
    from fastmlp.preprocessing import Preprocessing

    from ._model import Loaded

EPILOG = f"""\b
Kinds:
{chr(10).join(f"  {kind:<16} {text}" for kind, text in KINDS.items())}

\b
Examples:
  fastmlp plot my.fmlp --kind history
  fastmlp plot my.fmlp --kind layers --data train.csv -o layers.svg
  fastmlp plot lecture.fmlp --kind facets --layer 5
  fastmlp plot my.fmlp --kind roc --data test.csv --theme dark --size 16:9
  fastmlp plot my.fmlp --kind explain --data test.csv --row 12
  fastmlp plot my.fmlp --kind interaction --data test.csv --column age --column income
  fastmlp plot ensemble.fmlp --kind members
  fastmlp plot --kind data --lecture classification -o points.png

A model of the lecture's data is drawn with these data. For a model of your own data, most kinds
need a table, --data; history, network and weights do not. The suffix of the file chooses the
format: {", ".join(FORMATS)}.
"""


def _complete_kind(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [
        CompletionItem(kind, help=text)
        for kind, text in KINDS.items()
        if kind.startswith(incomplete)
    ]


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model", required=False)
@click.option(
    "--kind",
    required=True,
    type=click.Choice(list(KINDS)),
    metavar="KIND",
    shell_complete=_complete_kind,
    help="Figure to draw, one of the kinds listed below.",
)
@click.option("--data", metavar="DATA", help="Table whose rows are drawn.")
@click.option("--lecture", type=click.Choice(TASKS), help="Draw the lecture's data.")
@_options.drop
@click.option(
    "--layer",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Layer for facets and units, counted from 1.",
)
@click.option(
    "--column",
    "columns",
    metavar="COLUMN",
    multiple=True,
    help="Column for residuals, dependence, interaction and boundary; repeatable.  [default: the "
    "most important]",
)
@click.option(
    "--row",
    type=int,
    default=0,
    show_default=True,
    help="Row of DATA for explain, counted from 0.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Seed for shuffles and background rows.")  # fmt: skip
@click.option("--title", metavar="TEXT", help="Title above the figure.")
@click.option(
    "--size",
    metavar="SIZE",
    help="Aspect ratio such as 16:9, or width and height in inches such as 8x5.",
)
@click.option(
    "--dpi",
    type=click.IntRange(min=20, max=1200),
    default=150,
    show_default=True,
    help="Resolution in pixels per inch.",
)
@click.option(
    "--theme",
    type=click.Choice(["light", "dark", "print"]),
    default="light",
    show_default=True,
    help="Colours of background and lines; print uses black instead of grey.",
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
    columns: tuple[str, ...],
    row: int,
    seed: int,
    title: str | None,
    size: str | None,
    dpi: int,
    theme: str,
    output: str | None,
    force: bool,
    report: Messages,
) -> None:
    """Draw figures of a model, or of data.

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
    if size is not None:
        from fastmlp.plots import parse_size

        try:
            parse_size(size)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="'--size'") from error
    layout = {"title": title, "size": size, "theme": theme}
    of_table = {"columns": columns, "row": row, "seed": seed}
    name = kind if kind not in ("facets", "units") else f"{kind}_layer{layer}"
    stem = Path(model or data or lecture or TASKS[0]).stem
    output = output or f"{stem}_{name}.png"
    known = output == "-" or Path(output).suffix.lower() in FORMATS
    if not known and not atomic.is_special(output):
        raise click.BadParameter(
            f"{output}: the suffix must be one of {', '.join(FORMATS)}", param_hint="'--output'"
        )
    check_output(output, force)
    figure = (
        _draw_data(data, lecture, drop, layout)
        if model is None
        else _draw_model(model, kind, data, lecture, drop, layer, of_table, layout)
    )
    _save(figure, output, dpi)
    if output != "-":
        report.note(f"Wrote {output}.")


def _draw_model(
    path: str,
    kind: str,
    data: str | None,
    lecture: str | None,
    drop: tuple[str, ...],
    layer: int,
    of_table: dict[str, Any],
    layout: dict[str, Any],
) -> Figure:
    from fastmlp import lecture as library
    from fastmlp.datasets import read_table
    from fastmlp.errors import DataError

    from . import _model
    from ._figures import Drawing
    from ._reading import of_model

    loaded = _model.load(path, ensembles=True)
    own = not str(loaded.model.extras.get("data", "")).startswith("lecture:")
    over_data = kind in ("layers", "facets", "boundary", "changepoints", "members", "contributions",
                         "units")  # fmt: skip
    if kind in TABLE_KINDS and data is None:
        raise click.UsageError(f"--kind {kind} needs --data, a table with the target")
    train = state = table = None
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
        if (
            table is not None
            and state is not None
            and (kind in TABLE_KINDS or (kind == "boundary" and _two_of_more(loaded, of_table)))
        ):
            return _on_table(loaded, state, table, kind, of_table, layout)
        return Drawing(loaded.model, loaded.preprocessing, train).draw(kind, layer, **layout)
    except ValueError as error:
        raise DataError(f"{path}: no {kind} figure of this model: {error}") from error


def _two_of_more(loaded: Loaded, of_table: dict[str, Any]) -> bool:
    """Whether a boundary is drawn as that of any model: not as one network's on its two inputs."""
    from fastmlp.ensembles import Ensemble

    wide = loaded.preprocessing is not None and len(loaded.preprocessing.columns) > 2
    return wide or bool(of_table["columns"]) or isinstance(loaded.model, Ensemble)


def _on_table(
    loaded: Loaded,
    state: Preprocessing,
    table: Table,
    kind: str,
    of_table: dict[str, Any],
    layout: dict[str, Any],
) -> Figure:
    from fastmlp.tabular import TableFigures

    found = TableFigures(loaded.model, state, table, loaded.quality(state))
    return found.draw(kind, **of_table, **layout)


def _draw_data(
    data: str | None, lecture: str | None, drop: tuple[str, ...], layout: dict[str, Any]
) -> Figure:
    from fastmlp import plots
    from fastmlp.datasets import read_table
    from fastmlp.errors import DataError
    from fastmlp.preprocessing import Preprocessing, choose_task

    if data is None:
        classify = lecture == "classification"
        draw = plots.plot_classification_data if classify else plots.plot_regression_data
        return draw(**layout)
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
        return plots.plot_regression_data(x, y, x_label=names[0], y_label=target, **layout)
    labels = [str(label) for label in state.target.labels]
    return plots.plot_classification_data(
        x, y, class_names=labels, x1_label=names[0], x2_label=names[1], **layout
    )


def _save(figure: Figure, output: str, dpi: int) -> None:
    import tempfile

    from fastmlp import plots

    if output != "-":
        with _io_failures(output):
            plots.save(figure, output, dpi)
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "figure.png"
        plots.save(figure, path, dpi)
        write_bytes("-", path.read_bytes())
