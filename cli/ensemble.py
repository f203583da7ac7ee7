"""`fastmlp ensemble`: many networks trained side by side, kept in one file."""

from __future__ import annotations

import math
import signal
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _data, _options
from ._output import (
    check_model,
    check_output,
    check_outputs,
    console,
    keep,
    print_json,
    significant,
)
from ._training import Settings, _build, _check_combinations, _settings

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.ensembles import Ensemble
    from fastmlp.models import Sequential

EPILOG = """\b
Examples:
  fastmlp ensemble --units 256x5 --members 10 --epochs 100 --plot figures
  fastmlp ensemble lecture --units 16x1 --members 1000 -o thousand.fmlp
  fastmlp ensemble houses.csv --units 64x2 --target price --standardize --bootstrap -o bag.fmlp
  fastmlp ensemble houses.csv --units 64x2 --standardize --lambdas 0,0.001,0.01 --folds 5
  fastmlp ensemble iris.csv --units 16 --units 16x2 --members 5 --validation-split 0.2 --json
  fastmlp ensemble houses.csv --units 256x3 --members 50 --cluster tcp://scheduler:8786 -o e.fmlp
  fastmlp predict bag.fmlp new.csv           their mean, their spread, and the deviation to expect
  fastmlp plot thousand.fmlp --kind members  members grey, mean bold

Without DATA, or with the word lecture: the lecture's data, 1000 epochs, each batch all rows. With
DATA: 100 epochs, 32 rows a batch; DATA may be any file that `fastmlp train` reads into memory.

There is a network for every --units, every one of --lambdas, every fold and every seed; member i
of --members has the seed --seed + i, and the weights that this seed gives it alone. The file that
-o names works with predict, evaluate, summary and plot as a model's does.

The deviation of new observations is sqrt(spread^2 + noise^2): the members' spread, and noise
estimated on rows held out, which are those for validation or else those that a bootstrap sample
or a fold leaves out.

Ctrl-C ends training; -o then keeps the members that had all their epochs, or if there are none
those that had some. A member that diverges is left out.
"""


def _parsed_lambdas(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> list[float] | None:
    if value is None or ctx.resilient_parsing:
        return None
    found = []
    for text in value.split(","):
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < math.inf:
            raise click.BadParameter(
                f"lambdas must be numbers of at least 0, with commas. Received: {text.strip()!r}"
            )
        if number in found:
            raise click.BadParameter(f"lambdas must differ. Received: {number:g} twice")
        found.append(number)
    return found


@click.command(epilog=EPILOG)
@_options.file_argument("data", required=False)
@click.option(
    "--units",
    required=True,
    multiple=True,
    metavar="WIDTHS",
    help="Hidden layers' widths: 1024x5, or 64,32,16; repeatable.",
)
@click.option(
    "--members",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Networks of each kind, with different seeds.",
)
@_options.penalties
@click.option(
    "--lambdas",
    metavar="LAMBDAS",
    callback=_parsed_lambdas,
    help="Networks with each of these penalties on the weights of all layers: 0,0.001,0.01.",
)
@click.option(
    "--penalty",
    type=click.Choice(["l1", "l2"]),
    default="l2",
    show_default=True,
    help="What --lambdas are of.",
)
@_options.activation
@_options.dropout
@click.option(
    "--bootstrap", is_flag=True, help="Bagging: train each on rows drawn with replacement."
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Cut the rows into K parts; train networks on all but each.",
)
@_options.training
@_options.seed("Of the first member.", most=2**62)
@_options.threads
@_options.jobs
@_options.cluster
@_options.lecture("Which of the lecture's data, without DATA.  [default: regression]")
@_options.columns()
@_options.held_out()
@click.option("-o", "--output", metavar="FILE", help="Keep the ensemble in this file.")
@click.option("--plot", "figures", metavar="DIR", help="Write figures into this directory.")
@_options.force
@_options.as_json
@_options.common
def command(
    data: str | None,
    units: tuple[str, ...],
    members: int,
    l1: str | None,
    l2: str | None,
    proximal: bool | None,
    group_l1: str | None,
    groups: str | None,
    lambdas: list[float] | None,
    penalty: str,
    activation: str | None,
    dropout: str | None,
    bootstrap: bool,
    folds: int | None,
    optimizer: str,
    learning_rate: float | None,
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    lecture: str | None,
    validation_split: float,
    validation: str | None,
    output: str | None,
    figures: str | None,
    jobs: int | None,
    cluster: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **columns: Any,
) -> None:
    """Train many networks side by side.

    DATA is a file with a table (- is CSV from standard input); without it, or with the word
    lecture, the lecture's data.
    """
    report = _options.messages(quiet, verbose)
    if data == "lecture" and not Path(data).exists():
        data = None
    chosen, in_memory = _data.Columns(**columns), _data.Streaming(stream=False)
    _check_combinations(
        data, lecture, chosen, _data.Streaming(), validation, validation_split, output
    )
    if bootstrap and folds is not None:
        raise click.UsageError("--bootstrap and --folds exclude each other")
    if lambdas is not None and not l1 is l2 is group_l1 is None:
        raise click.UsageError("--lambdas stands for --l1, --l2 and --group-l1: give one or others")
    kinds: list[dict[str, Any]] = [{"l1": l1, "l2": l2, "proximal": proximal}]
    if lambdas is not None:
        kinds = [
            {"l1": None, "l2": None, penalty: repr(value), "proximal": proximal if value else None}
            for value in lambdas
        ]
    networks = [
        _options.parse_network(
            one, activation=activation, dropout=dropout, group_l1=group_l1, groups=groups, **kind
        )
        for one in units
        for kind in kinds
    ]
    settings = _settings(data is None, optimizer, learning_rate, epochs, batch_size, None, seed)
    check_output(output, force)
    read = _data.read(
        data, lecture, chosen, in_memory, validation, validation_split, settings.seed, report
    )
    if folds is not None and folds > read.n_rows:
        raise click.UsageError(f"--folds {folds} is more than the {read.n_rows} rows")
    settings.batch_size = min(settings.batch_size, read.n_rows)
    models = [_build(network, read, settings) for network in networks]
    check_model(output, models[0], 0, members * (folds or 1))
    names = ["members.png"] if figures and _curve(read, models[0]) else []
    check_outputs(figures, names, force)
    start = time.perf_counter()
    with _options.library_call():
        made = _fit(models, read, settings, members, bootstrap, folds, output, quiet, jobs, cluster)
    seconds = time.perf_counter() - start
    for entry in made.diverged:
        report.note(f"The network of seed {entry['seed']} is left out: {entry['message']}")
    if output is not None:
        keep(made, output)
        report.note(f"Wrote {output}.")
    result = _result(made, read, settings, seconds, quiet)
    if names:
        from fastmlp import plots

        from ._figures import Drawing

        known = None if read.source.startswith("lecture:") else read.sample()
        figure = Drawing(made, read.preprocessing, known).draw("members")
        plots.save(figure, Path(str(figures)) / names[0])
        report.note(f"Wrote {names[0]} to {figures}.")
    elif figures:
        report.note("No figure: the picture of the members needs one numeric input.")
    if as_json:
        print_json({**result, "output": output})
    else:
        _print_table(result, read.preprocessing.target.scale != 1)


def _curve(data: _data.Data, model: Sequential) -> bool:
    """Whether the members can be drawn as curves over one input."""
    state = data.preprocessing
    numeric = all(column.kind == "numeric" for column in state.columns)
    return model.n_inputs == 1 and numeric and state.task == "regression"


def _fit(
    models: list[Sequential],
    data: _data.Data,
    settings: Settings,
    members: int,
    bootstrap: bool,
    folds: int | None,
    output: str | None,
    quiet: bool,
    jobs: int | None,
    cluster: str | None,
) -> Ensemble:
    """Train; if that is interrupted, keep what there is, and say so."""
    import fastmlp

    x, y = data.train  # type: ignore[misc]
    extras = dict(models[0].extras)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of members that diverge
            made = fastmlp.ensemble(
                x,
                y,
                models,
                members,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                shuffle=settings.batch_size < data.n_rows,
                bootstrap=bootstrap,
                folds=folds,
                validation_data=data.validation,
                seed=settings.seed,
                jobs=jobs,
                cluster=cluster,
                verbose=0 if quiet else 1,
            )
    except KeyboardInterrupt as stop:
        # A second Ctrl-C, out of impatience, must not lose what the first one keeps.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        partial = getattr(stop, "ensemble", None)
        kept = "no member had an epoch"
        if partial is not None:
            kept = f"{len(partial)} members had {partial.training_config['epochs']} epochs"
            if output is not None:
                partial.extras |= extras
                keep(partial, output)
                kept += f"; {output} has them"
        raise KeyboardInterrupt(f"Interrupted: {kept}.") from None
    made.extras |= extras
    return made


def _members(made: Ensemble, data: _data.Data, part: Any) -> tuple[list[str], np.ndarray]:
    """Return every member's figures for a part of the rows, errors in the target's units."""
    from ._evaluate import SHORT
    from ._model import unit_factor

    names = [SHORT.get(name, name) for name in made.metrics_names]
    x, y = part
    table = made.evaluate_members(x, y, verbose=0)
    table *= [unit_factor(name, data.preprocessing.target.scale) for name in names]
    return names, table


def _result(
    made: Ensemble, data: _data.Data, settings: Settings, seconds: float, quiet: bool
) -> dict[str, Any]:
    from ._evaluate import scores

    parts = {"train": data.train, "val": data.validation}
    figures: dict[str, Any] = {}
    kinds: list[dict[str, Any]] = [
        {
            "units": group.units,
            "l1": _first_lambda(group.template, "l1"),
            "l2": _first_lambda(group.template, "l2"),
            "members": len(group),
            "parameters": group.template.count_params(),
        }
        for group in made.groups
    ]
    for part, rows in parts.items():
        if rows is None:
            figures[part] = None
            continue
        names, table = _members(made, data, rows)
        figures[part] = {
            "ensemble": scores(made, data.preprocessing, rows, quiet),  # type: ignore[arg-type]
            "members_mean": dict(zip(names, table.mean(0).tolist(), strict=True)),
            "members_best": {n: _best(n, c) for n, c in zip(names, table.T, strict=True)},
        }
        start = 0
        for kind in kinds:
            own = table[start : start + kind["members"]]
            kind[part] = dict(zip(names, own.mean(0).tolist(), strict=True))
            start += kind["members"]
    scale = data.preprocessing.target.scale
    return {
        "task": data.preprocessing.task,
        "data": data.source,
        "target": data.preprocessing.target.name,
        "members": len(made),
        "kinds": kinds,
        "optimizer": settings.optimizer.name,
        "learning_rate": settings.optimizer.learning_rate,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        **figures,
        "noise_sd": None if made.noise_sd is None else float(made.noise_sd[0] * scale),
        "noise_source": made.noise_source,
        "diverged": made.diverged,
        "seconds": seconds,
    }


def _first_lambda(model: Sequential, name: str) -> float | list[float]:
    values = [float(getattr(x.kernel_regularizer, name, 0.0)) for x in model.dense_layers]
    return values[0] if len(set(values)) == 1 else values


def _best(name: str, values: np.ndarray) -> float:
    return float(values.max() if "accuracy" in name else values.min())


def _print_table(result: dict[str, Any], scaled: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = {
        title: result[part]
        for part, title in (("train", "training"), ("val", "validation"))
        if result[part] is not None
    }
    keys = list(shown["training"]["ensemble"])
    if result["task"] == "regression" and not scaled:
        keys = keys[1:]  # the loss without a penalty is the mean squared error
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for title in shown:
        for key in keys:
            name = "loss (standardised)" if scaled and key == "loss" else key
            table.add_column(f"{title} {name}", justify="right")
    for row, label in (
        ("ensemble", "ensemble"),
        ("members_mean", "members, on average"),
        ("members_best", "best member"),
    ):
        table.add_row(label, *(significant(p[row][k]) for p in shown.values() for k in keys))
    out = console()
    out.print(table)
    if len(result["kinds"]) > 1:
        out.print(_kinds_table(result, keys[-1]))
    noise = result["noise_sd"]
    if noise is not None:
        out.print(f"noise: standard deviation {significant(noise)}, from {result['noise_source']}")
    out.print(
        f"{result['members']:,} members, {result['epochs']} epochs, {result['seconds']:.3g} s, "
        f"seeds from {result['seed']}"
    )


def _kinds_table(result: dict[str, Any], key: str) -> Any:
    """Return a table of members' averages by architecture and lambda."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    parts = [part for part in ("train", "val") if result[part] is not None]
    for title in ("units", "l1", "l2", "members", *(f"{part} {key}" for part in parts)):
        table.add_column(title, justify="left" if title == "units" else "right")
    for kind in result["kinds"]:
        lambdas = (
            ", ".join(f"{v:g}" for v in ([x] if isinstance(x, float) else x))
            for x in (kind["l1"], kind["l2"])
        )
        table.add_row(
            ",".join(map(str, kind["units"])),
            *lambdas,
            str(kind["members"]),
            *(significant(kind[part][key]) for part in parts),
        )
    return table
