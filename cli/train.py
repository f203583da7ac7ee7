"""`fastmlp train`: one network, on the lecture's data or on a table."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _config, _data, _options, _ranks, _report, _resume
from ._output import check_model, check_output, check_outputs, keep, print_json
from ._training import Settings, _build, _check_combinations, _settings

if TYPE_CHECKING:
    from fastmlp.models import Sequential

EPILOG = """\b
Examples:
  fastmlp train --units 1024x5 --l1 0.001
  fastmlp train --units 1024x5 --l1 0.001 --proximal -o sparse.fmlp
  fastmlp train houses.csv --units 64,32 --group-l1 0.01 --groups inputs --standardize --polish
  fastmlp train --data classification --units 64x2 --plot figures
  fastmlp train houses.csv --units 64,32 --target price --standardize -o houses.fmlp
  fastmlp train iris.csv --units 16 --target species --validation-split 0.2 --seed 1
  fastmlp train new.csv --units 64 --categorical zone --impute median --validation test.csv
  fastmlp train big.parquet --units 256x3 --target y --standardize --stream --batch-size 256
  fastmlp train --units 8192x3 --dry-run
  fastmlp train --units 64 --seed 1 --print-config > run.toml
  fastmlp train --config run.toml --epochs 500
  fastmlp train big.csv --units 1024x5 --checkpoint run.fmlp --checkpoint-every 300
  fastmlp train --resume run.fmlp -o big.fmlp
  mpiexec -n 4 fastmlp train big.parquet --units 1024x5 --target y --batch-size 2048 -o big.fmlp
  mpiexec -n 2 fastmlp train big.csv --units 256x3 --shards 8 --checkpoint run.fmlp
  mpiexec -n 8 fastmlp train big.parquet --units 1024x5 --batch-size 4096 --fast-reduce

Without DATA: the lecture's data, 1000 epochs, each batch all rows. With DATA: 100 epochs, 32 rows
a batch. DATA may be CSV, TSV (.tsv), NumPy .npy or .npz, and with fastmlp[data] installed Parquet,
Arrow or Feather. Text columns are categorical, one input for each category; true and false are 1
and 0; dates, and text such as 2024-05-31, are days, standardised. A cell that is empty or holds NA,
N/A, NaN or null is missing.

With --stream a Parquet file is read anew for every epoch, not held in memory; rows are shuffled in
a buffer. A file of more than 2^28 values, rows times columns, is streamed by itself.

In a TOML file a key is the name of an option, such as batch-size; data is DATA, and lecture is
--data. Files in it are found from where the command runs.

Ctrl-C ends training; the model up to there is kept where -o says. If training diverges, the last
good weights are.

A run with --checkpoint can be killed at any moment; --resume goes on with it, to the same bits.
It reads the same data again; -o, --plot and the like are given anew. The file can be used as a
model, too.

Under mpiexec, and with fastmlp[mpi] installed, several processes train one network. Rows and every
batch are cut into --shards, which the processes share; a streamed file is read by all, each its own
part. The result has the same bits on 1, 2 or 4 processes, unless --fast-reduce is given. The first
process writes files and speaks; if one fails, all end.
"""


@click.command(cls=_resume.Resumable, epilog=EPILOG)
@_options.file_argument("data", required=False)
@_options.units(required=True)
@_options.penalties
@_options.activation
@_options.dropout
@click.option(
    "--polish",
    is_flag=True,
    help="After the last epoch go on to an optimum on all rows at once, without batches.",
)
@_options.training
@_options.seed("Of weights, order, dropout and split.")
@_options.threads
@_options.lecture("Which of the lecture's data, without DATA.  [default: regression]")
@_options.columns()
@_options.held_out()
@click.option(
    "--validation-every",
    metavar="N",
    type=click.IntRange(min=1),
    help="Validate every N epochs.  [default: 1; on the lecture's data, 20 times in all]",
)
@click.option(
    "--stream/--no-stream",
    default=None,
    help="Read a Parquet file anew for every epoch, or hold it in memory.  "
    "[default: stream more than 2^28 values]",
)
@click.option(
    "--buffer-rows",
    metavar="N",
    type=click.IntRange(min=1),
    help="With --stream: rows that are shuffled together.  [default: 131072, or 64 MiB of them]",
)
@_ranks.options
@click.option("-o", "--output", metavar="MODEL", help="Keep the model in this file.")
@click.option("--plot", "figures", metavar="DIR", help="Write figures into this directory.")
@_resume.options
@_options.force
@click.option("--dry-run", is_flag=True, help="Check everything, show sizes, do not train.")
@_options.as_json
@_options.common
def command(
    data: str | None,
    units: str,
    l1: str | None,
    l2: str | None,
    activation: str | None,
    dropout: str | None,
    proximal: bool | None,
    group_l1: str | None,
    groups: str | None,
    polish: bool,
    optimizer: str,
    learning_rate: float | None,
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    lecture: str | None,
    validation_split: float,
    validation: str | None,
    validation_every: int | None,
    stream: bool | None,
    buffer_rows: int | None,
    shards: int | None,
    fast_reduce: bool,
    output: str | None,
    figures: str | None,
    checkpoint: str | None,
    checkpoint_every: str | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **columns: Any,
) -> None:
    """Train one network.

    DATA is a file with a table (- is CSV from standard input); without it, the lecture's data.
    """
    report = _options.messages(quiet, verbose)
    chosen, streaming = _data.Columns(**columns), _data.Streaming(stream, buffer_rows)
    _check_combinations(data, lecture, chosen, streaming, validation, validation_split, output)
    network = _options.parse_network(units, l1, l2, activation, dropout, proximal, group_l1, groups)
    team = _ranks.team(shards, fast_reduce, _resume.model())
    _ranks.check_combinations(team, polish, data, validation)
    settings = _settings(
        data is None, optimizer, learning_rate, epochs, batch_size, validation_every,
        team.ranks.broadcast(_options.given_seed(seed)),
    )  # fmt: skip
    run = _resolved(settings, team.shards)
    if _config.print_wanted():
        click.echo(_config.to_toml(run), nl=False)
        return
    with team.first_alone() as first:
        if first:
            check_output(output, force)
            _resume.check(checkpoint, checkpoint_every, output, force)
    read = _data.read(
        data, lecture, chosen, streaming, validation, validation_split, settings.seed, report,
        team.ranks,
    )  # fmt: skip
    if polish and read.stream is not None:
        raise click.UsageError("--polish takes all rows at once, none that are streamed")
    if data is not None:
        target = read.preprocessing.target.name
        run = {**run, "target": target, "task": read.preprocessing.task}
    model = _resume.model() or _build(network, read, settings)
    model.extras.setdefault(_config.KEPT, run)
    with team.first_alone() as first:
        if first:
            check_model(output, model, settings.epochs)
    plots: dict[str, str] = {}
    with team.first_alone() as first:
        if first and figures:
            drawing = _drawing(model, read)
            plots = {f"{kind}.png": kind for kind in drawing.fitting()}
            check_outputs(figures, plots, force, create=not dry_run)
    settings.batch_size = min(settings.batch_size, read.n_rows)
    if dry_run:
        _report.print_sizes(model, read, settings, as_json)
        return
    if verbose:
        model.summary(print_fn=report.detail)
    start = time.perf_counter()
    keeping = _resume.arguments(checkpoint, checkpoint_every)
    with _kept(model, output if team.ranks.first else None, checkpoint):
        _fit(model, read, settings, quiet, **keeping, **team.arguments)
        if polish:
            assert isinstance(read.train, tuple)
            x, y = read.train
            polished = model.polish(x, y, verbose=0 if quiet else 1)
            report.note(
                f"Polished: {polished.message}, slack {polished.slack:.1e} after "
                f"{polished.n_iter} iterations."
            )
    seconds = time.perf_counter() - start
    with team.first_alone() as first:
        if first and output is not None:
            keep(model, output)
            report.note(f"Wrote {output}.")
    result = {**_report.result(model, read, settings, seconds, quiet, team), **team.described}
    if not team.ranks.first:
        return
    for name, kind in plots.items():
        from fastmlp import plots as library

        assert figures is not None
        library.save(drawing.draw(kind), Path(figures) / name)
    if figures:
        report.note(f"Wrote {', '.join(plots)} to {figures}.")
    if as_json:
        print_json({**result, "output": output})
    else:
        _report.print_table(result, read.preprocessing.target.scale != 1)


def _resolved(settings: Settings, shards: int | None) -> dict[str, Any]:
    """Return the options, with what was decided where they were not given."""
    whole = settings.batch_size == 2**31  # all rows, however many
    return _config.resolved(
        epochs=settings.epochs,
        batch_size=None if whole else settings.batch_size,
        validation_every=settings.validation_every,
        seed=settings.seed,
        learning_rate=settings.optimizer.learning_rate,
        shards=shards,
    )


def _drawing(model: Sequential, data: _data.Data) -> Any:
    from ._figures import Drawing

    # The lecture's figures show its true curve as well.
    train = None if data.source.startswith("lecture:") else data.sample()
    return Drawing(model, data.preprocessing, train)


def _fit(
    model: Sequential, data: _data.Data, settings: Settings, quiet: bool, **keeping: Any
) -> None:
    options: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "epochs": settings.epochs,
        "verbose": 0 if quiet else 1,
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


@contextlib.contextmanager
def _kept(model: Sequential, output: str | None, checkpoint: str | None) -> Iterator[None]:
    """Keep the model if training is interrupted or diverges, and say so."""
    from fastmlp.errors import DivergedError

    try:
        yield
    except KeyboardInterrupt:
        done = len(model.history.epoch) if model.history else 0
        kept = ""
        if output is not None:
            # A second Ctrl-C, out of impatience, must not lose what the first one keeps.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            keep(model, output)
            kept = f"; {output} has the model up to there"
        hint = _resume.hint(checkpoint)
        raise KeyboardInterrupt(f"Interrupted after {done} epochs{kept}{hint}.") from None
    except DivergedError as error:
        what = "the loss" if error.layer is None else f"a weight or moment of layer '{error.layer}'"
        message = f"training diverged in epoch {error.epoch}: {what} is not finite"
        if output is not None:
            keep(model, output)
            message += f"; {output} has the last good weights"
        message += "; try a smaller --learning-rate"
        raise DivergedError(message, epoch=error.epoch, layer=error.layer) from error
