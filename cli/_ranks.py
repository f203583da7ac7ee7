"""Commands that a launcher such as mpiexec has started several times, to work as one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import _options

if TYPE_CHECKING:
    from fastmlp._training.distributed import Ranks
    from fastmlp.models import Sequential

F = TypeVar("F", bound=Callable[..., Any])

# Where launchers say which of how many processes this is: Open MPI; MPICH, Intel MPI and
# Slurm's PMI; MVAPICH; Slurm's PMIx.
_VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("PMIX_RANK", "SLURM_NTASKS"),
)
_PATIENCE = 5.0  # seconds
_begun: Ranks | None = None
_farewell: Any = None  # a communicator for nothing but leaving


def launched() -> tuple[int, int]:
    """Return the rank of this process and the number of processes; (0, 1) if it is alone."""
    for rank, size in _VARIABLES:
        found = os.environ.get(rank, ""), os.environ.get(size, "")
        if all(text.isdecimal() for text in found):
            return int(found[0]), int(found[1])
    return 0, 1


def refuse(command: str) -> None:
    """Fail if a command was started several times that works alone."""
    size = launched()[1]
    if size > 1:
        raise click.UsageError(
            f"'{command}' works in one process, and was started in {size}; of a launcher such as "
            "mpiexec only 'train' makes use"
        )


def silence() -> None:
    """Let rank 0 speak for all."""
    if launched()[0] > 0:
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        sys.stdout = sys.stderr = nowhere


def options(function: F) -> F:
    """Add --shards and --fast-reduce."""
    return _options._combine(
        click.option(
            "--shards",
            metavar="N",
            type=click.IntRange(min=1),
            help="Cut rows and batches into so many, for the same bits on any number of "
            "processes that divides it by a power of two.  [default: under mpiexec 4, or one a "
            "process]",
        ),
        click.option(
            "--fast-reduce",
            is_flag=True,
            help="Let MPI add the shards' gradients in its own order: faster, other bits on "
            "another number of processes.",
        ),
    )(function)


@dataclass
class Team:
    """The processes that train together, and the options that say how.

    Parameters
    ----------
    ranks : Ranks
    shards : int or None
        None: the network trains by itself.
    fast_reduce : bool
    """

    ranks: Ranks
    shards: int | None
    fast_reduce: bool

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `fit`."""
        if self.shards is None:
            return {}
        return {"comm": self.ranks, "shards": self.shards, "fast_reduce": self.fast_reduce}

    @property
    def described(self) -> dict[str, Any]:
        """What a result tells of it."""
        if self.shards is None:
            return {}
        return {"ranks": self.ranks.size, "shards": self.shards}

    @contextmanager
    def first_alone(self) -> Iterator[bool]:
        """Within it tell whether this process is the one that writes; its error is everyone's."""
        with self.ranks.collectively():
            yield self.ranks.first

    def evaluate(self, model: Sequential, part: Any) -> dict[str, float]:
        """Return loss and metrics by name, of arrays or a stream that all have."""
        from fastmlp._training import distributed

        assert self.shards is not None
        values = distributed.evaluate(self.ranks, model, part, self.shards)
        return dict(zip(model.metrics_names, values, strict=True))


def team(shards: int | None, fast_reduce: bool, resumed: Sequential | None) -> Team:
    """Return the processes that were launched, with the shards that they train on.

    Parameters
    ----------
    shards : int or None
    fast_reduce : bool
    resumed : Sequential or None
        The model of the run that they go on with.
    """
    ranks = begin()
    if ranks.size == 1 and shards is None:
        if fast_reduce:
            raise click.UsageError("--fast-reduce needs --shards, or several processes")
        return Team(ranks, None, False)
    from fastmlp._training import distributed

    run = None if resumed is None else resumed.resumed
    if run is not None and not run.is_sharded:
        raise click.UsageError("--resume: the run was begun in one process, and goes on in one")
    with _options.wrong_option("--shards"):
        return Team(ranks, distributed.shards_for(ranks.size, shards, fast_reduce), fast_reduce)


def check_combinations(team: Team, polish: bool, data: str | None, validation: str | None) -> None:
    """Refuse what several processes cannot do."""
    if team.ranks.size == 1:
        return
    if polish:
        raise click.UsageError("--polish works in one process, on the model that -o keeps")
    if "-" in (data, validation):
        raise click.UsageError("standard input is one process's alone; several need a file")


def begin() -> Ranks:
    """Return the processes that were launched together; or this one alone."""
    global _begun, _farewell
    from fastmlp._training.distributed import Ranks

    rank, size = launched()
    if size == 1:
        return Ranks()
    if _begun is not None:
        return _begun
    try:
        from mpi4py import MPI
    except ImportError:
        raise click.ClickException(
            f"{size} processes were started, which needs mpi4py: pip install 'fastmlp[mpi]'"
        ) from None
    except RuntimeError as error:  # it finds no MPI library
        raise click.ClickException(f"mpi4py cannot be used: {error}") from None
    comm = MPI.COMM_WORLD
    if (comm.Get_rank(), comm.Get_size()) != (rank, size):
        raise click.ClickException(
            f"the launcher started {size} processes, mpi4py sees {comm.Get_size()}: they belong "
            "to different MPI libraries"
        )
    _farewell = comm.Dup()
    _begun = Ranks(comm, describe=_line)
    return _begun


def _line(error: BaseException) -> str:
    from ._errors import describe

    return describe(error)


def leave(code: int) -> None:
    """Wait for the others, for a launcher that sees one process fail kills those that still speak.

    Parameters
    ----------
    code : int
        The exit code to come.
    """
    rank, size = launched()
    if size == 1 or (code == 0 and _farewell is None):
        return
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        time.sleep(1.0 if rank else 0.0)
        return
    comm = MPI.COMM_WORLD if _farewell is None else _farewell
    request, deadline = comm.Ibarrier(), time.monotonic() + _PATIENCE
    while not request.Test():
        if code and time.monotonic() > deadline:
            comm.Abort(code)
        time.sleep(0.01)
