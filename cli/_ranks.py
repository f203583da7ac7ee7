"""Commands that a launcher such as mpiexec starts in several processes, as ranks of MPI."""

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
from ._groups import option

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
_farewell: Any = None  # a communicator that only the barrier at the end uses


def launched() -> tuple[int, int]:
    """Return the rank of this process and the number of processes; (0, 1) if it is alone."""
    for rank, size in _VARIABLES:
        found = os.environ.get(rank, ""), os.environ.get(size, "")
        if all(text.isdecimal() for text in found):
            return int(found[0]), int(found[1])
    return 0, 1


def refuse(command: str) -> None:
    """Fail if a command that works in one process was started in several."""
    size = launched()[1]
    if size > 1:
        raise click.UsageError(
            f"'{command}' works in one process, and was started in {size}; of all commands only "
            "'train' works under a launcher such as mpiexec"
        )


def silence() -> None:
    """Print on rank 0 only."""
    if launched()[0] > 0:
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        sys.stdout = sys.stderr = nowhere


@dataclass
class Sharding:
    """The options of a training on several processes."""

    shards: int | None = option(
        "--shards",
        metavar="N",
        type=click.IntRange(min=1),
        help="Divide rows and batches into N shards. The result is the same for every number of "
        "processes that is N divided by a power of two.  [default: under mpiexec 4, or one for "
        "each process]",
    )
    fast_reduce: bool = option(
        "--fast-reduce",
        is_flag=True,
        help="Let MPI add the shards' gradients in its own order: faster, but the result depends "
        "on the number of processes.",
    )


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
        """What a result records of it."""
        if self.shards is None:
            return {}
        return {"ranks": self.ranks.size, "shards": self.shards}

    @contextmanager
    def first_alone(self) -> Iterator[bool]:
        """Yield whether this process is the one that writes; its error is raised in all."""
        with self.ranks.collectively():
            yield self.ranks.first

    def evaluate(self, model: Sequential, part: Any) -> dict[str, float]:
        """Return loss and metrics by name, on arrays or a stream that every rank has."""
        from fastmlp._training import distributed

        assert self.shards is not None
        values = distributed.evaluate(self.ranks, model, part, self.shards)
        return dict(zip(model.metrics_names, values, strict=True))


def team(sharding: Sharding, resumed: Sequential | None) -> Team:
    """Return the processes that were launched, with the shards that they train on.

    Parameters
    ----------
    sharding : Sharding
    resumed : Sequential or None
        The model of the run that is resumed.
    """
    ranks, shards, fast_reduce = begin(), sharding.shards, sharding.fast_reduce
    if ranks.size == 1 and shards is None:
        if fast_reduce:
            raise click.UsageError("--fast-reduce needs --shards, or several processes")
        return Team(ranks, None, False)
    from fastmlp._training import distributed

    run = None if resumed is None else resumed.resumed
    if run is not None and not run.is_sharded:
        raise click.UsageError("--resume: the run was begun in one process; resume it in one")
    with _options.wrong_option("--shards"):
        return Team(ranks, distributed.shards_for(ranks.size, shards, fast_reduce), fast_reduce)


def check_combinations(team: Team, polish: bool, data: str | None, validation: str | None) -> None:
    """Refuse what several processes cannot do."""
    if team.ranks.size == 1:
        return
    if polish:
        raise click.UsageError("--polish works in one process; polish the model that -o writes")
    if "-" in (data, validation):
        raise click.UsageError("several processes cannot share standard input; give a file")


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
    """Wait for the other ranks: a launcher kills them when it sees this one fail.

    Parameters
    ----------
    code : int
        The exit code.
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
