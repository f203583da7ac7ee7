"""`fastmlp train`: one network, on the lecture's data or on a table."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from . import _config, _data, _options, _ranks, _report, _resume, _training
from ._figures import Drawing
from ._groups import group
from ._output import (
    Messages,
    OutputOptions,
    check_model,
    check_outputs,
    keep,
    print_json,
    refuse_standard_output,
)
from ._training import ALL_ROWS, NetworkOptions, Settings, TrainingOptions, build

if TYPE_CHECKING:
    from fastmlp.models import Sequential

EPILOG = """\b
Examples:
  fastmlp train --units 1024x5 --l1 0.001
  fastmlp train --units 1024x5 --l1 0.001 --proximal -o sparse.fmlp
  fastmlp train houses.csv --units 64,32 --group-l1 0.01 --groups inputs --polish
  fastmlp train --lecture classification --units 64x2 --plot figures
  fastmlp train houses.csv --units 64,32 --target price -o houses.fmlp
  fastmlp train iris.csv --units 16 --target species --validation-split 0.2 --seed 1
  fastmlp train new.csv --units 64 --categorical zone --impute median --validation test.csv
  fastmlp train big.parquet --units 256x3 --target y --stream --batch-size 256
  fastmlp train --units 8192x3 --dry-run
  fastmlp train --units 64 --seed 1 --print-config > run.toml
  fastmlp train --config run.toml --epochs 500
  fastmlp train big.csv --units 1024x5 --checkpoint run.fmlp --checkpoint-every 300
  fastmlp train --resume run.fmlp -o big.fmlp
  mpiexec -n 4 fastmlp train big.parquet --units 1024x5 --target y --batch-size 2048 -o big.fmlp
  mpiexec -n 2 fastmlp train big.csv --units 256x3 --shards 8 --checkpoint run.fmlp
  mpiexec -n 8 fastmlp train big.parquet --units 1024x5 --batch-size 4096 --fast-reduce

Without DATA, or with the word lecture, the lecture's data are used as they are, for 1000 epochs of
one batch. With DATA, training takes 100 epochs of batches of 32 rows, and numbers are standardised.

DATA may be CSV, TSV (.tsv), NumPy .npy or .npz, and with fastmlp[data] installed Parquet, Arrow or
Feather. Text columns are categorical, with one input for each category. True and false become 1
and 0. Dates, and text such as 2024-05-31, become days, which are always standardised. A cell that
is empty or holds NA, N/A, NaN or null is missing.

With --stream a Parquet file is read anew for every epoch instead of being held in memory; its rows
are shuffled in a buffer. A file of more than 2^28 values, rows times columns, is streamed by
default.

In a TOML file a key is the name of an option, such as batch-size; the key data stands for DATA.
Paths in it are relative to the directory in which the command runs.

Ctrl-C ends training; -o then has the model of the epochs that are done. If training diverges, -o
has the last good weights.

A run with --checkpoint can be killed at any moment; --resume continues it and gives the same bits
as a run without a break. It reads the same data again; give -o, --plot and the like anew. The file
is a model file, too.

Under mpiexec, and with fastmlp[mpi] installed, several processes train one network. Rows and
batches are cut into --shards, which the processes share; each process reads its own part of a
streamed file. The result has the same bits on 1, 2 or 4 processes, unless --fast-reduce is given.
Only rank 0 writes files and prints; if any process fails, all stop.
"""


@click.command(cls=_resume.Resumable, epilog=EPILOG)
@_options.file_argument("data", required=False)
@_training.units(required=True)
@_training.network
@click.option(
    "--polish",
    is_flag=True,
    help="After the last epoch, optimise on all rows at once until convergence.",
)
@_training.training("Seed for initial weights, row order, dropout and the split.")
@_options.threads
@_data.source("The lecture's data to train on, if DATA is not given.  [default: regression]")
@_data.held_out()
@click.option(
    "--validation-every",
    metavar="N",
    type=click.IntRange(min=1),
    help="Validate every N epochs.  [default: 1; on the lecture's data 20 times in all]",
)
@group(_data.Streaming, "streaming")
@group(_ranks.Sharding, "sharding")
@group(_resume.Checkpoints, "checkpoints")
@_resume.resume
@click.option("--plot", "figures", metavar="DIR", help="Write figures into this directory.")
@click.option("--dry-run", is_flag=True, help="Check everything and print sizes; do not train.")
@_options.output(metavar="MODEL", help="Write the model to this file.")
@_options.common
def command(
    units: str,
    network: NetworkOptions,
    polish: bool,
    training: TrainingOptions,
    source: _data.Source,
    held_out: _data.Validation,
    validation_every: int | None,
    streaming: _data.Streaming,
    sharding: _ranks.Sharding,
    checkpoints: _resume.Checkpoints,
    figures: str | None,
    dry_run: bool,
    results: OutputOptions,
    report: Messages,
) -> None:
    """Train one network.

    DATA is a file with a table; - is CSV from standard input. Without it, or with the word
    lecture, the network is trained on the lecture's data.
    """
    source.refuse_descriptions(streaming)
    refuse_standard_output(results.output, "a model")
    held_out.refuse_one_stream(source.data)
    arguments = network.arguments(units)
    resumed = _resume.model()
    team = _ranks.team(sharding, resumed)
    _ranks.check_combinations(team, polish, source.data, held_out.validation)
    settings = training.settings(source, validation_every)
    settings.seed = team.ranks.broadcast(settings.seed)
    run = _resolved(settings, source, team.shards)
    if _config.print_wanted():
        click.echo(_config.to_toml(run), nl=False)
        return
    with team.first_alone() as first:
        if first:
            results.check()
            checkpoints.check(results)
    by_class = resumed is None or resumed.extras.get("split") == "by class"
    data = _data.read(source, streaming, held_out, settings.seed, report, team.ranks, by_class)
    if polish and data.stream is not None:
        raise click.UsageError("--polish needs all rows in memory; they are streamed")
    if source.data is not None:
        target = data.preprocessing.target.name
        run = {**run, "target": target, "task": data.preprocessing.task}
    model = resumed or build(arguments, data, settings)
    model.extras.setdefault(_config.KEPT, run)
    if by_class and held_out.validation_split and data.preprocessing.target.labels:
        model.extras["split"] = "by class"
    drawing: Drawing | None = None
    with team.first_alone() as first:
        if first:
            check_model(results.output, model, settings.epochs)
            if figures is not None:
                drawing = _drawing(model, data)
                check_outputs(figures, drawing.files, results.force, create=not dry_run)
    settings.batch_size = min(settings.batch_size, data.n_rows)
    if dry_run:
        _report.print_sizes(model, data, settings, results.as_json)
        return
    if report.verbose:
        model.summary(print_fn=report.detail)
    start = time.perf_counter()
    output = results.output if team.ranks.first else None
    with _kept(model, output, checkpoints):
        _fit(model, data, settings, report, **checkpoints.arguments, **team.arguments)
        if polish:
            _polish(model, data, report)
    seconds = time.perf_counter() - start
    with team.first_alone():
        if output is not None:
            keep(model, output)
            report.note(f"Wrote {output}.")
    scored = _report.result(model, data, settings, seconds, report.quiet, team)
    if not team.ranks.first:
        return
    if drawing is not None:
        drawing.save(str(figures))
        report.note(f"Wrote {', '.join(drawing.files)} to {figures}.")
    if results.as_json:
        print_json({**scored, "output": results.output})
    else:
        _report.print_table(scored, data.preprocessing.target.scale != 1)


def _resolved(settings: Settings, source: _data.Source, shards: int | None) -> dict[str, Any]:
    """Return the options, with what was decided where they were not given."""
    whole = settings.batch_size == ALL_ROWS
    return _config.resolved(
        epochs=settings.epochs,
        batch_size=None if whole else settings.batch_size,
        validation_every=settings.validation_every,
        seed=settings.seed,
        learning_rate=settings.optimizer.learning_rate,
        standardize=None if source.data is None else True,
        shards=shards,
    )


def _drawing(model: Sequential, data: _data.Data) -> Drawing:
    # The lecture's figures show its true curve as well.
    train = None if data.source.startswith("lecture:") else data.sample()
    return Drawing(model, data.preprocessing, train)


def _fit(
    model: Sequential, data: _data.Data, settings: Settings, report: Messages, **keeping: Any
) -> None:
    options: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "epochs": settings.epochs,
        "verbose": report.verbosity,
        "shuffle": settings.batch_size < data.n_rows,
        "validation_data": data.validation,
        "validation_freq": settings.validation_every,
    }
    if isinstance(data.train, tuple):
        x, y = data.train
        model.fit(x, y, **options, **keeping)
    else:
        from fastmlp import streaming

        streaming.fit(model, data.train, **options, **keeping)


def _polish(model: Sequential, data: _data.Data, report: Messages) -> None:
    assert isinstance(data.train, tuple)
    x, y = data.train
    polished = model.polish(x, y, verbose=report.verbosity)
    report.note(
        f"Polished: {polished.message}, slack {polished.slack:.1e} after "
        f"{polished.n_iter} iterations."
    )


@contextlib.contextmanager
def _kept(
    model: Sequential, output: str | None, checkpoints: _resume.Checkpoints
) -> Iterator[None]:
    """Save the model if training is interrupted or diverges; the message says where."""
    from fastmlp.errors import DivergedError

    try:
        yield
    except KeyboardInterrupt:
        done = len(model.history.epoch) if model.history else 0
        kept = ""
        if output is not None:
            # A second Ctrl-C must not lose what the first one saves.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            keep(model, output)
            kept = f"; {output} has the model of these epochs"
        raise KeyboardInterrupt(
            f"Interrupted after {done} epochs{kept}{checkpoints.hint}."
        ) from None
    except DivergedError as error:
        what = "the loss" if error.layer is None else f"a weight or moment of layer '{error.layer}'"
        message = f"training diverged in epoch {error.epoch}: {what} is not finite"
        if output is not None:
            keep(model, output)
            message += f"; {output} has the last good weights"
        message += "; try a smaller --learning-rate"
        raise DivergedError(message, epoch=error.epoch, layer=error.layer) from error
