"""`fastmlp train`: one network, on the lecture's data or on a table."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from . import _config, _data, _decided, _options, _ranks, _report, _resume, _training
from ._figures import Drawing
from ._groups import group
from ._jobs import FoldsJob, Given, Job, PlainJob, StreamJob, TableJob
from ._output import (
    Messages,
    OutputOptions,
    check_model,
    check_output,
    check_outputs,
    keep,
    print_json,
    refuse_standard_output,
    write_bytes,
)
from ._training import NetworkOptions, TrainingOptions

if TYPE_CHECKING:
    from fastmlp.models import Sequential

UNITS = (
    "Widths of the hidden layers: 1024x5, or 64,32,16.  [default: chosen by the number of rows; "
    "required for the lecture's data]"
)
EPILOG = """\b
Examples:
  fastmlp train houses.csv --target price
  fastmlp train houses.csv --target price --interval 0.9 -o houses.fmlp
  fastmlp train houses.csv --target price --effort high -o houses.fmlp
  fastmlp train patients.csv --target ill --group patient --cost fp:1,fn:10 -o ill.fmlp
  fastmlp train sales.csv --target sold --time day --loss quantile:0.9 --refit -o sales.fmlp
  fastmlp train sales.csv --target sold --max-time 10m -o sales.fmlp
  fastmlp train houses.csv --target price --report houses.html
  fastmlp train houses.csv --target price --find-rate --plot figures
  fastmlp train --units 1024x5 --l1 0.001
  fastmlp train --units 1024x5 --l1 0.001 --proximal -o sparse.fmlp
  fastmlp train houses.csv --units 64,32 --group-l1 0.01 --groups inputs --polish
  fastmlp train --lecture classification --units 64x2 --plot figures
  fastmlp train iris.csv --units 16 --target species --validation-split 0.2 --seed 1
  fastmlp train new.csv --categorical zone --impute none --validation test.csv
  fastmlp train big.parquet --units 256x3 --target y --stream --batch-size 256
  fastmlp train --units 8192x3 --dry-run
  fastmlp train --units 64 --seed 1 --print-config > run.toml
  fastmlp train --config run.toml --epochs 500
  fastmlp train big.csv --units 1024x5 --checkpoint run.fmlp --checkpoint-every 300
  fastmlp train --resume run.fmlp -o big.fmlp
  mpiexec -n 4 fastmlp train big.parquet --units 1024x5 --target y --batch-size 2048 -o big.fmlp
  mpiexec -n 2 fastmlp train big.csv --units 256x3 --shards 8 --checkpoint run.fmlp
  mpiexec -n 8 fastmlp train big.parquet --units 1024x5 --batch-size 4096 --fast-reduce

With DATA, everything that you do not set is chosen from the table and printed: column types,
treatment of missing values, validation rows, network and training settings. The weights of the
epoch with the smallest validation loss are kept. At the end, a table compares the network with a
constant and a linear model on the validation rows. --print-config prints all settings.

Without DATA, or with the word lecture, the network is trained on the lecture's data without
preprocessing, for 1000 epochs of one batch each.

DATA may be CSV, TSV (.tsv), NumPy .npy or .npz, and with fastmlp[data] installed Parquet, Arrow or
Feather. Text columns are categorical, with one input for each category. True and false become 1 and
0. Dates, and text such as 2024-05-31, become days, which are always standardised. A cell that is
empty or holds NA, N/A, NaN or null is missing.

With --stream, a Parquet file is read again in each epoch instead of being held in memory; its rows
are shuffled in a buffer. Files of more than 2^28 values (rows times columns) are streamed by
default.

In a TOML file, a key is the name of an option, such as batch-size; the key data is DATA. Paths in
it are relative to the working directory.

Ctrl-C stops training; -o then contains the model after the finished epochs. If training diverges,
-o contains the last finite weights.

A run with --checkpoint can be killed at any moment; --resume continues it, and the result is
bitwise that of an uninterrupted run. It reads the same data again; repeat -o, --plot and other
output options. The checkpoint is also a model file.

Under mpiexec, and with fastmlp[mpi] installed, several processes train one network. Rows and
batches are divided into --shards, which are distributed over the processes; each process reads its
own part of a streamed file. The result is bitwise the same on 1, 2 or 4 processes, unless
--fast-reduce is given. Only rank 0 writes files and prints; if any process fails, all stop.
"""


_NEEDS_FILE = "--report needs DATA, the file of a table that fits into memory"


@click.command(cls=_resume.Resumable, epilog=EPILOG)
@_options.file_argument("data", required=False)
@_training.units(required=False, help_text=UNITS)
@_training.network_with(**_decided.NETWORK)
@click.option(
    "--polish",
    is_flag=True,
    help="After the last epoch, optimise on full batches until convergence.",
)
@_training.training(
    "Seed for initial weights, row order, dropout and the split.", changes=_decided.TRAINING
)
@_decided.table_options
@_options.threads
@_data.source("The lecture's data to train on, if DATA is not given.  [default: regression]")
@_data.held_out(
    None,
    "  [default: 0.2; with fewer than 500 rows repeated cross-validation; on the lecture's data 0]",
)
@click.option(
    "--validation-every",
    metavar="N",
    type=click.IntRange(min=1),
    help="Validate every N epochs.  [default: 1; on the lecture's data 20 times in total]",
)
@group(_data.Streaming, "streaming")
@group(_ranks.Sharding, "sharding")
@group(_resume.Checkpoints, "checkpoints")
@_resume.resume
@click.option("--plot", "figures", metavar="DIR", help="Write figures into this directory.")
@click.option(
    "--report", "page", metavar="FILE", help="Write a report about the model (HTML) to this file."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check data and options and print the sizes of network and data; do not train.",
)
@_options.output(metavar="MODEL", help="Write the model to this file.")
@_options.common
def command(
    units: str | None,
    network: NetworkOptions,
    polish: bool,
    training: TrainingOptions,
    options: _decided.TableOptions,
    source: _data.Source,
    held_out: _data.Validation,
    validation_every: int | None,
    streaming: _data.Streaming,
    sharding: _ranks.Sharding,
    checkpoints: _resume.Checkpoints,
    figures: str | None,
    page: str | None,
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
    if page is not None and source.data == "-":
        raise click.UsageError(_NEEDS_FILE)
    held_out.refuse_one_stream(source.data)
    if units is not None:
        network.arguments(units)
    resumed = _resume.model()
    team = _ranks.team(sharding, resumed)
    _ranks.check_combinations(team, polish, source.data, held_out.validation)
    settings = training.settings(source, validation_every)
    settings.seed = team.ranks.broadcast(settings.seed)
    given = Given(
        units, network, training, options, source, held_out, streaming, validation_every,
        checkpoints, polish, team, report, dry_run,
    )  # fmt: skip
    if source.data is None or (resumed is not None and "table" not in resumed.extras):
        kind: type[Job] = PlainJob
    else:
        with team.ranks.collectively():
            kind = FoldsJob if options.effort == "high" else TableJob
            if streaming.wanted(source.data):
                kind = StreamJob
    kind.check(given)
    if not _config.print_wanted():
        with team.first_alone() as first:
            if first:
                results.check()
                checkpoints.check(results)
    job = kind(given, settings, resumed)
    if _config.print_wanted():
        click.echo(job.configuration(), nl=False)
        return
    if options.find_rate:
        files = {"-o": results.output, "--checkpoint": checkpoints.checkpoint, "--report": page}
        for flag, file in files.items():
            if file is not None:
                raise click.UsageError(f"--find-rate does not train: there is nothing for {flag}")
        job.find_rate(figures, results)
        return
    drawing: Drawing | None = None
    with team.first_alone() as first:
        if first:
            check_model(results.output, job.model, job.settings.epochs)
            if figures is not None:
                drawing = _drawing(job.model, job.data)
                check_outputs(figures, drawing.files, results.force, create=not dry_run)
    if page is not None:
        _check_page(page, job, results.force)
    job.settings.batch_size = min(job.settings.batch_size, job.data.n_rows)
    if dry_run:
        _report.print_sizes(job.model, job.data, job.settings, results.as_json)
        return
    if report.verbose:
        job.model.summary(print_fn=report.detail)
    start = time.perf_counter()
    output = results.output if team.ranks.first else None
    with _kept(job, output, checkpoints):
        job.train()
    seconds = time.perf_counter() - start
    with team.first_alone():
        if output is not None:
            keep(job.model, output)
            report.note(f"Wrote {output}.")
    scored = job.result(seconds)
    if not team.ranks.first:
        return
    if drawing is not None:
        drawing.model = job.model
        drawing.save(str(figures))
        report.note(f"Wrote {', '.join(drawing.files)} to {figures}.")
    if page is not None:
        _write_page(page, job)
        report.note(f"Wrote {page}.")
    if results.as_json:
        print_json({**scored, "output": results.output})
    else:
        job.print_result(scored, results.output)


def _check_page(page: str, job: Job, force: bool) -> None:
    """Fail, before training, if there could be no report afterwards."""
    if isinstance(job, StreamJob):
        raise click.UsageError(_NEEDS_FILE)
    from fastmlp import reports

    reports.check_installed()
    check_output(page, force)


def _write_page(page: str, job: Job) -> None:
    from fastmlp import reports

    found = reports.report(job.model, job.given.source.data)
    write_bytes(page, found.html.encode())


def _drawing(model: Sequential, data: _data.Data) -> Drawing:
    # The lecture's figures show its true curve as well.
    train = None if data.source.startswith("lecture:") else data.sample()
    return Drawing(model, data.preprocessing, train)


@contextlib.contextmanager
def _kept(job: Job, output: str | None, checkpoints: _resume.Checkpoints) -> Iterator[None]:
    """Save the model if training is interrupted or diverges; the message says where."""
    from fastmlp.errors import DivergedError

    try:
        yield
    except KeyboardInterrupt:
        model = job.model
        done = len(model.history.epoch) if model.history else 0
        kept = ""
        if output is not None:
            # A second Ctrl-C must not lose what the first one saves.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if done:
                job.finish_early()
            keep(model, output)
            kept = f"; {output} has the model of these epochs"
        raise KeyboardInterrupt(
            f"Interrupted after {done} epochs{kept}{checkpoints.hint}."
        ) from None
    except DivergedError as error:
        what = "the loss" if error.layer is None else f"a weight or moment of layer '{error.layer}'"
        message = f"training diverged in epoch {error.epoch}: {what} is not finite"
        if output is not None:
            keep(job.model, output)
            message += f"; {output} has the last good weights"
        message += "; try a smaller --learning-rate"
        raise DivergedError(message, epoch=error.epoch, layer=error.layer) from error
