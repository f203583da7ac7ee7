"""`fastmlp catalogue`: train the lecture's networks and compare with the printed results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from . import _help, _options
from ._output import (
    Messages,
    OutputOptions,
    check_outputs,
    console,
    grid,
    open_text,
    print_json,
    significant,
)

if TYPE_CHECKING:
    from fastmlp.lecture import Entry, Result

EPILOG = """\b
Examples:
  fastmlp catalogue                          train all; a few minutes
  fastmlp catalogue --list                   print their names
  fastmlp catalogue model_2units_c model_8units
  fastmlp catalogue -o lecture               write figures, tables and models as well
  fastmlp catalogue --json > lecture.json
  fastmlp catalogue --epochs 20              a quick look at everything

model_somany_fixed is model_somany after the lecture's repair by hand, which makes the curve
smoother but not better. The lecture does not print the lambda of its L1 model:
regularized_l1_0.0001 has its results, and regularized_l1_0.001 is not in the lecture. The loss of
the unpenalised classifier depends on how probabilities near 0 and 1 were clipped.
"""


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from fastmlp import lecture

    return [CompletionItem(name) for name in lecture.CATALOGUE if name.startswith(incomplete)]


@click.command(cls=_help.Command, epilog=EPILOG)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=_complete)
@click.option("--list", "list_only", is_flag=True, help="Print the networks; train none.")
@click.option(
    "--epochs", type=click.IntRange(min=1), default=1000, show_default=True,
    help="Number of passes over the training rows.",
)  # fmt: skip
@_options.threads
@_options.output(metavar="DIR", help="Write figures, tables and models into this directory.")
@_options.common
def command(
    names: tuple[str, ...],
    list_only: bool,
    epochs: int,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Train the lecture's networks, and compare the results with the printed ones.

    NAME is a network; without it, all are trained. The table has the results of fastmlp, those
    that the lecture printed, and their relative difference.
    """
    entries = _chosen(names)
    if list_only:
        _list(entries, results.as_json)
        return
    check_outputs(results.output, _planned(entries) if results.output else (), results.force)
    trained: list[Result] = []
    try:
        _train(entries, epochs, results.output, report, trained)
    finally:  # after Ctrl-C as well
        if results.as_json:
            print_json({"models": [result.to_dict() for result in trained]})
        elif trained:
            _print_table(trained)
        if results.output and trained:
            _write_tables(Path(results.output) / "tables", trained)


def _chosen(names: tuple[str, ...]) -> list[Entry]:
    import difflib

    from fastmlp import lecture

    for name in names:
        if name not in lecture.CATALOGUE:
            near = difflib.get_close_matches(name, lecture.CATALOGUE, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.BadParameter(
                f"there is no network '{name}'.{hint} `fastmlp catalogue --list` prints all",
                param_hint="'NAME'",
            )
    return [entry for name, entry in lecture.CATALOGUE.items() if not names or name in names]


def _list(entries: list[Entry], as_json: bool) -> None:
    if as_json:
        keys = ("name", "task", "l1", "l2")
        print_json(
            {
                "models": [
                    {**{k: getattr(e, k) for k in keys}, "units": list(e.units)} for e in entries
                ]
            }
        )
        return
    for entry in entries:
        units = ", ".join(map(str, entry.units))
        lambdas = [f", {k} {getattr(entry, k):g}" for k in ("l1", "l2") if getattr(entry, k)]
        repaired = ", repaired" if entry.repairs else ""
        click.echo(f"{entry.name:<23} {entry.task}, units {units}{''.join(lambdas)}{repaired}")


def _train(
    entries: list[Entry],
    epochs: int,
    output: str | None,
    report: Messages,
    results: list[Result],
) -> None:
    from fastmlp import lecture

    from ._progress import EpochLine

    needed = {entry.repairs for entry in entries}
    bases: dict[str, Result] = {}
    for number, entry in enumerate(entries, 1):
        line = EpochLine(f"[{number}/{len(entries)}] {entry.name}", epochs, not report.quiet)
        with line:
            result = lecture.train(
                entry,
                epochs,
                curves=output is not None,
                callbacks=line.callbacks(entry),
                base=bases.get(entry.repairs or ""),
            )
        if output is not None:
            _keep(result, Path(output))
        results.append(result)
        if entry.name in needed:
            bases[entry.name] = result
        figures = f"train {entry.metric} {significant(result.train[entry.metric], 4)}, "
        figures += f"val {entry.metric} {significant(result.val[entry.metric], 4)}"
        report.note(f"[{number}/{len(entries)}] {entry.name}: {figures}, {result.seconds:.3g} s")


# ---- the table ----


def _print_table(results: list[Result]) -> None:

    from fastmlp import lecture

    # One space between columns: the longest names and figures then fit 80 characters.
    table = grid(padding=0)
    table.add_column("network", overflow="fold")
    table.add_column("figure", overflow="fold")
    for name in ("fastmlp", "lecture", "difference", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    last = None
    for row in lecture.rows(results):
        first = row.name != last
        if first and last is not None:
            table.add_section()
        table.add_row(
            row.name if first else "",
            row.figure,
            significant(row.value),
            significant(row.lecture),
            _percent(row.difference),
            significant(row.seconds, 3) if first else "",
        )
        last = row.name
    out = console(least_width=56)
    out.print(table)
    for result in results:
        if result.repair is not None:
            out.print(_repair_text(result.repair))


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{100 * share:+.0f}%" if abs(share) >= 0.1 else f"{100 * share:+.3f}%"


def _repair_text(repair: dict[str, Any]) -> str:
    step, mse = repair["largest_step"], repair["val_mse"]
    return (
        f"The repair changed {repair['weights_changed']} of {repair['weights']} first-layer "
        f"weights. Largest step of the curve in [0.52, 1]: {step['before']:.3g} before, "
        f"{step['after']:.3g} after. Validation mse: {mse['before']:.4g} before, "
        f"{mse['after']:.4g} after."
    )


# ---- files ----


def _planned(entries: list[Entry]) -> list[str]:
    from fastmlp import lecture

    names = [f"figures/{task}_data.png" for task in ("regression", "classification")]
    names += ["tables/catalogue.csv", "tables/performance.csv"]
    for entry in entries:
        names.append(f"models/{entry.name}.fmlp")
        names += [f"figures/{figure}.png" for figure in lecture.figures(entry)]
        if entry.task == "classification":
            names.append(f"tables/{entry.name}_layers.csv")
        if entry.repairs is not None:
            names.append("tables/repair.csv")
    return names


def _keep(result: Result, directory: Path) -> None:
    from fastmlp import lecture, plots

    for name in ("figures", "models", "tables"):
        (directory / name).mkdir(exist_ok=True)
    result.model.save(directory / "models" / f"{result.entry.name}.fmlp")
    for name, draw_data in lecture.data_figures().items():
        path = directory / "figures" / f"{name}.png"
        if name.startswith(result.entry.task) and not path.exists():
            plots.save(draw_data(), path)
    for name, draw in lecture.figures(result.entry).items():
        plots.save(draw(result), directory / "figures" / f"{name}.png")


def _write_tables(directory: Path, results: list[Result]) -> None:
    from fastmlp import lecture

    header = ["name", "figure", "fastmlp", "lecture", "relative_difference", "seconds"]
    rows: list[list[Any]] = [
        [row.name, row.figure, row.value, row.lecture, row.difference, row.seconds]
        for row in lecture.rows(results)
    ]
    _write(directory / "catalogue.csv", header, rows)
    regression = [result for result in results if result.entry.task == "regression"]
    performance = [[r.entry.name, r.train["mse"], r.val["mse"]] for r in regression]
    _write(directory / "performance.csv", ["name", "train_mse", "val_mse"], performance)
    for result in results:
        if result.entry.task == "classification":
            layers = [
                [layer.name, type(layer).__name__, layer.n_outputs, layer.count_params()]
                for layer in result.model.layers
            ]
            header = ["layer", "type", "outputs", "parameters"]
            _write(directory / f"{result.entry.name}_layers.csv", header, layers)
        if result.repair is not None:
            repair = result.repair
            changes = [
                [key, repair[key]["before"], repair[key]["after"]]
                for key in ("largest_step", "train_mse", "val_mse")
            ]
            changes.append(["weights_changed", 0, repair["weights_changed"]])
            _write(directory / "repair.csv", ["figure", "before", "after"], changes)


def _write(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    from fastmlp import datasets

    with open_text(str(path)) as file:
        datasets.write_csv(file, header, list(zip(*rows, strict=True)) or [[] for _ in header])
