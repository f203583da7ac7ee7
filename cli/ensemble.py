"""`fastmlp ensemble`: many networks trained side by side, in one file."""

from __future__ import annotations

import math
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastmlp._utils.names import PENALTIES

from . import _config, _data, _decided, _members, _options, _training
from ._groups import group, option
from ._output import (
    Messages,
    OutputOptions,
    check_model,
    check_outputs,
    console,
    grid,
    keep,
    print_json,
    refuse_standard_output,
    significant,
)
from ._training import NetworkOptions, Settings, TrainingOptions, build

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.ensembles import Ensemble
    from fastmlp.models import Sequential

F = TypeVar("F", bound=Callable[..., Any])

EPILOG = """\b
Examples:
  fastmlp ensemble --units 256x5 --members 10 --epochs 100 --plot figures
  fastmlp ensemble lecture --units 16x1 --members 1000 -o thousand.fmlp
  fastmlp ensemble houses.csv --units 64x2 --target price --bootstrap -o bag.fmlp
  fastmlp ensemble houses.csv --units 64x2 --lambdas 0,0.001,0.01 --folds 5
  fastmlp ensemble iris.csv --units 16 --units 16x2 --members 5 --validation-split 0.2 --json
  fastmlp ensemble houses.csv --units 256x3 --members 50 --cluster tcp://scheduler:8786 -o e.fmlp
  fastmlp predict bag.fmlp new.csv           mean, spread and standard deviation of predictions
  fastmlp plot thousand.fmlp --kind members  members grey, mean bold

With DATA, every member is trained as `fastmlp train` does: everything that you do not set is chosen
from the table, and the epoch with the smallest validation loss is kept. Without DATA, or with the
word lecture, the networks are trained on the lecture's data without preprocessing, for 1000 epochs
of one batch each.

There is one network for each combination of --units, --lambdas, fold and seed. Member i of
--members has the seed --seed + i, and the same weights as a network trained alone with this seed.
The commands predict, evaluate, compare, export, summary and plot accept the file of -o like a model
file.

The standard deviation of a new observation is sqrt(spread^2 + noise^2): the standard deviation of
the members' predictions, and the noise, which is estimated on validation rows or on the rows that a
bootstrap sample or a fold leaves out.

Ctrl-C stops training; -o then contains the finished members, or, if there are none, the unfinished
ones. A member that diverges is left out.
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


@dataclass
class MemberOptions:
    """The options that say which networks there are."""

    units: tuple[str, ...] = option(
        "--units",
        multiple=True,
        metavar="WIDTHS",
        help="Widths of the hidden layers: 1024x5, or 64,32,16; repeatable.  [default: chosen by "
        "the number of rows; required for the lecture's data]",
    )
    members: int = option(
        "--members",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        help="Number of networks for each architecture, lambda and fold, with different seeds.",
    )
    lambdas: list[float] | None = option(  # noqa: RUF009
        "--lambdas",
        metavar="LAMBDAS",
        callback=_parsed_lambdas,
        help="Train networks with each of these penalties on the weights of all layers: "
        "0,0.001,0.01.",
    )
    penalty: str = option(
        "--penalty",
        type=click.Choice(PENALTIES[:2]),
        default="l2",
        show_default=True,
        help="Penalty that --lambdas applies to.",
    )
    bootstrap: bool = option(
        "--bootstrap",
        is_flag=True,
        help="Bagging: train each network on rows drawn with replacement.",
    )
    folds: int | None = option(
        "--folds",
        type=click.IntRange(min=2),
        metavar="K",
        help="Cross-validation: divide the rows into K parts, and train networks on all parts "
        "but one.",
    )

    def __post_init__(self) -> None:
        if self.bootstrap and self.folds is not None:
            raise click.UsageError("--bootstrap and --folds exclude each other")

    def networks(self, network: NetworkOptions) -> list[dict[str, Any]]:
        """Return the arguments of `models.mlp`, for each architecture and lambda."""
        kinds = [network]
        if self.lambdas is not None:
            if not network.l1 is network.l2 is network.group_l1 is None:
                raise click.UsageError("--lambdas cannot be combined with --l1, --l2 or --group-l1")
            kinds = [
                replace(
                    network,
                    **{self.penalty: repr(value)},
                    proximal=network.proximal if value else None,
                )
                for value in self.lambdas
            ]
        return [kind.arguments(units) for units in self.units or ("1",) for kind in kinds]


@click.command(cls=_config.Configured, epilog=EPILOG)
@_options.file_argument("data", required=False)
@group(MemberOptions, "chosen")
@_training.network_with(**_decided.NETWORK)
@_training.training(
    "Seed of the first member; it also draws the split.", 2**62, changes=_decided.TRAINING
)
@_decided.shared_options(*_decided.SHARED)
@_options.workers
@_data.source("The lecture's data to train on, if DATA is not given.  [default: regression]")
@_data.held_out(
    None, "  [default: 0.2; with fewer than 500 rows cross-validation chooses the number of epochs]"
)
@click.option("--plot", "figures", metavar="DIR", help="Write figures into this directory.")
@_options.output(metavar="FILE", help="Write the ensemble to this file.")
@_options.common
def command(
    chosen: MemberOptions,
    network: NetworkOptions,
    training: TrainingOptions,
    options: _decided.SharedOptions,
    workers: _options.Workers,
    source: _data.Source,
    held_out: _data.Validation,
    figures: str | None,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Train an ensemble of many networks.

    DATA is a file with a table; - is CSV from standard input. Without it, or with the word
    lecture, the networks are trained on the lecture's data.
    """
    source.refuse_descriptions(_data.Streaming())
    refuse_standard_output(results.output, "an ensemble")
    held_out.refuse_one_stream(source.data)
    networks = chosen.networks(network)
    if not _config.print_wanted():
        results.check()
    members: _members.MembersJob | None = None
    if source.data is None:
        options.refuse("is for DATA, which is not given")
        if not chosen.units:
            raise click.UsageError("Missing option '--units', which the lecture's data need")
        settings = training.settings(source)
        if _config.print_wanted():
            click.echo(_plain_configuration(settings), nl=False)
            return
        data = _data.read(source, _data.Streaming(stream=False), held_out, settings.seed, report)
        if chosen.folds is not None and chosen.folds > data.n_rows:
            raise click.UsageError(f"--folds {chosen.folds} is more than the {data.n_rows} rows")
        settings.batch_size = min(settings.batch_size, data.n_rows)
        models = [build(network, data, settings) for network in networks]
        check_model(results.output, models[0], 0, chosen.members * (chosen.folds or 1))
    else:
        with _options.library_call():
            members = _members.MembersJob(chosen, network, training, options, source, held_out)
        if _config.print_wanted():
            click.echo(members.configuration(), nl=False)
            return
        data, models = members.data, []
    names = ["members.png"] if figures and _is_curve(data) else []
    check_outputs(figures, names, results.force)
    start = time.perf_counter()
    with _options.library_call():
        if members is None:
            made = _fit(models, data, settings, chosen, workers, results.output, report)
        else:
            made = members.train(workers, results.output, report)
            settings = members.settings(made)
    seconds = time.perf_counter() - start
    for entry in made.diverged:
        report.note(f"The network of seed {entry['seed']} is left out: {entry['message']}")
    if results.output is not None:
        keep(made, results.output)
        report.note(f"Wrote {results.output}.")
    result = _result(made, data, settings, seconds, report.quiet)
    if members is not None:
        result["held_out"] = members.figures(made, results.as_json)
    if names:
        from fastmlp import plots

        from ._figures import Drawing

        known = None if data.source.startswith("lecture:") else data.sample()
        figure = Drawing(made, data.preprocessing, known).draw("members")
        plots.save(figure, Path(str(figures)) / names[0])
        report.note(f"Wrote {names[0]} to {figures}.")
    elif figures:
        report.note("No figure: a figure of the members needs one numeric input.")
    if results.as_json:
        print_json({**result, "output": results.output})
    else:
        _print_table(result, data.preprocessing.target.is_scaled)


def _plain_configuration(settings: Settings) -> str:
    """Return the options of a run on the lecture's data as a TOML file."""
    run = _config.resolved(
        epochs=settings.epochs, seed=settings.seed, optimizer=settings.optimizer.name,
        learning_rate=settings.learning_rate, activation="relu", dropout="0",
    )  # fmt: skip
    return _config.to_toml(run)


def _is_curve(data: _data.Data) -> bool:
    """Return whether the members can be drawn as curves over one input."""
    state = data.preprocessing
    numeric = all(column.kind == "numeric" for column in state.columns)
    return state.n_inputs == 1 and numeric and state.task == "regression"


def _fit(
    models: list[Sequential],
    data: _data.Data,
    settings: Settings,
    chosen: MemberOptions,
    workers: _options.Workers,
    output: str | None,
    report: Messages,
) -> Ensemble:
    """Train; if training is interrupted, save what there is, and say so."""
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
                chosen.members,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                shuffle=settings.batch_size < data.n_rows,
                bootstrap=chosen.bootstrap,
                folds=chosen.folds,
                validation_data=data.validation,
                seed=settings.seed,
                verbose=report.verbosity,
                **vars(workers),
            )
    except KeyboardInterrupt as stop:
        # A second Ctrl-C must not lose what the first one saves.
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


def _scores_of_members(made: Ensemble, data: _data.Data, part: Any) -> tuple[list[str], np.ndarray]:
    """Return every member's loss and metrics on rows, errors in the target's units."""
    from ._evaluate import SHORT, in_units
    from ._model import unit_factor

    names = [SHORT.get(name, name) for name in made.metrics_names]
    x, y = part
    table = made.evaluate_members(x, y, verbose=0)
    if not data.preprocessing.has_unit:
        for row, outputs in zip(table, made.predictions(x, verbose=0), strict=True):
            for metric in made.metrics:
                column = made.metrics_names.index(metric.name)
                row[column] = in_units(metric, data.preprocessing)(y, outputs)
    table *= [unit_factor(name, data.preprocessing) for name in names]
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
        names, table = _scores_of_members(made, data, rows)
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
    state = data.preprocessing
    noise = made.noise_sd if state.has_unit else None
    return {
        "task": data.preprocessing.task,
        "data": data.source,
        "target": data.preprocessing.target.name,
        "members": len(made),
        "kinds": kinds,
        "optimizer": settings.optimizer.name,
        "learning_rate": settings.learning_rate,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        **figures,
        "noise_sd": None if noise is None else float(noise[0] * state.target.scale),
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

    shown = {
        title: result[part]
        for part, title in (("train", "training"), ("val", "validation"))
        if result[part] is not None
    }
    keys = list(shown["training"]["ensemble"])
    if result["task"] == "regression" and not scaled:
        keys = keys[1:]  # the loss without a penalty is the mean squared error
    table = grid()
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
    table = grid()
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
