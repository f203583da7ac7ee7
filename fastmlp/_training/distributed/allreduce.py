"""Add gradients across ranks, while those of earlier layers are still being computed."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from .ranks import Ranks, wait

_ENOUGH = 1 << 16  # numbers that justify an exchange of their own


def buckets(slices: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Group layers, the last one first, into exchanges that are large enough.

    Parameters
    ----------
    slices : list of (start, stop)
        Place of each layer's numbers in the gradient.

    Returns
    -------
    list of (top, bottom, start, stop)
        First and last layer of each group, and the place of their numbers.
    """
    found, top = [], len(slices) - 1
    for layer in range(len(slices) - 1, -1, -1):
        start, stop = slices[layer][0], slices[top][1]
        if stop - start >= _ENOUGH or layer == 0:
            found.append((top, layer, start, stop))
            top = layer - 1
    return found


def merges(leaf: int, last: bool) -> tuple[int, int]:
    """Return the level of a leaf in the fixed tree, and the number of sums that follow it.

    The tree is that of a binary counter: two neighbouring sums of the same size are added at
    once. If the number of leaves is not a power of two, the remaining sums are added from the
    right.

    Parameters
    ----------
    leaf : int
        Counted from 0.
    last : bool

    Returns
    -------
    level : int
        Number of sums waiting before the leaf.
    n_sums : int
        Each sum adds the highest level to the one below.
    """
    level = leaf.bit_count()
    if last:
        return level, level
    return level, (~leaf & (leaf + 1)).bit_length() - 1


def add(total: np.ndarray, other: np.ndarray) -> None:
    """Add in place; an overflow makes the step diverge, which the step notices."""
    with np.errstate(over="ignore", invalid="ignore"):
        total += other


def tree_sum(rows: Iterable[np.ndarray], out: np.ndarray) -> None:
    """Add rows in the fixed tree; they are overwritten.

    Parameters
    ----------
    rows : iterable of ndarray of shape (k,)
        One of them may be `out` itself.
    out : ndarray of shape (k,)
    """
    given = list(rows)
    waiting: list[np.ndarray] = []
    for leaf, row in enumerate(given):
        waiting.append(row)
        for _ in range(merges(leaf, leaf + 1 == len(given))[1]):
            right = waiting.pop()
            if right is out:  # a + b and b + a have the same bits
                waiting[-1], right = right, waiting[-1]
            add(waiting[-1], right)
    if waiting[0] is not out:
        out[...] = waiting[0]


def _private(comm: Any) -> tuple[Any, Any]:
    """Return two duplicates of a communicator, made once, that only this module uses."""
    global _key
    from mpi4py import MPI

    if _key is None:
        _key = MPI.Comm.Create_keyval()
    found = comm.Get_attr(_key)
    if found is None:
        found = comm.Dup(), comm.Dup()
        comm.Set_attr(_key, found)
    return found


_key: Any = None


class Exchange:
    """Adds a flat array's slices over all ranks, in place; this base class is for one rank."""

    def start(self, start: int, stop: int) -> None:
        """Begin with the numbers [start, stop), which must not change until `finish`."""

    def progress(self) -> None:
        """Continue the exchanges that have begun, without waiting."""

    def finish(self) -> None:
        """Wait until all sums are complete."""


class FastExchange(Exchange):
    """Exchange by MPI's own reduction, whose order of additions is not fixed.

    On one machine the processors themselves move the numbers, so that doing it during computation
    gains nothing: then one blocking reduction adds all numbers at the end.

    Parameters
    ----------
    ranks : Ranks
    array : ndarray
        Flat.
    overlap : bool, optional
        By default whether the ranks are on several machines.
    """

    def __init__(self, ranks: Ranks, array: np.ndarray, overlap: bool | None = None) -> None:
        from mpi4py import MPI

        self._array, self._mpi, self._comm = array, MPI, _private(ranks.comm)[0]
        if overlap is None:
            overlap = len(set(ranks.allgather(MPI.Get_processor_name()))) > 1
        self._overlap = overlap
        self._requests: list[Any] = []
        self._waiting: list[tuple[int, int]] = []

    def start(self, start: int, stop: int) -> None:
        """Begin with the numbers [start, stop)."""
        if not self._overlap:
            self._waiting.append((start, stop))
            return
        part = self._array[start:stop]
        self._requests.append(self._comm.Iallreduce(self._mpi.IN_PLACE, part))

    def progress(self) -> None:
        """Let MPI continue its requests."""
        if self._requests:
            self._mpi.Request.Testall(self._requests)

    def finish(self) -> None:
        """Wait until all sums are complete."""
        if self._waiting:  # the slices are adjacent, the last one first
            whole = self._array[self._waiting[-1][0] : self._waiting[0][1]]
            self._comm.Allreduce(self._mpi.IN_PLACE, whole)
            self._waiting.clear()
        wait(self._requests)
        self._requests.clear()


class TreeExchange(Exchange):
    """Exchange by one fixed tree of additions: MPI moves the numbers, this class adds them.

    Each rank receives all ranks' numbers for its part of a slice, adds them, and sends the sums
    to all. That moves as much as a ring does, 2 (size - 1) / size times the array.

    Parameters
    ----------
    ranks : Ranks
    array : ndarray
        Flat.
    """

    def __init__(self, ranks: Ranks, array: np.ndarray) -> None:
        from mpi4py import MPI

        self._array, self._mpi, self._ranks = array, MPI, ranks
        self._type = MPI.FLOAT if array.dtype.itemsize == 4 else MPI.DOUBLE
        # Two, because all ranks must begin the collective calls of a communicator in one order.
        self._scatter, self._gather = _private(ranks.comm)
        self._space: dict[tuple[int, int], np.ndarray] = {}
        self._scattering: deque[tuple[Any, int, int, np.ndarray]] = deque()
        self._gathering: list[Any] = []

    def _cuts(self, n: int) -> tuple[list[int], list[int]]:
        """Return counts and places of the parts of n numbers."""
        size = self._ranks.size
        step = -(-n // size)
        places = [min(n, rank * step) for rank in range(size + 1)]
        return [stop - start for start, stop in itertools.pairwise(places)], places[:-1]

    def start(self, start: int, stop: int) -> None:
        """Begin with the numbers [start, stop)."""
        counts, places = self._cuts(stop - start)
        own, size = self._ranks.rank, self._ranks.size
        mine = counts[own]
        rows = self._space.get((start, stop))
        if rows is None:
            rows = self._space[start, stop] = np.empty((size, mine), self._array.dtype)
        # A rank does not send to itself.
        sent = [0 if rank == own else count for rank, count in enumerate(counts)]
        got = [0 if rank == own else mine for rank in range(size)]
        request = self._scatter.Ialltoallv(
            [self._array[start:stop], sent, places, self._type],
            [rows, got, [rank * mine for rank in range(size)], self._type],
        )
        self._scattering.append((request, start, stop, rows))

    def progress(self) -> None:
        """Add the numbers that have arrived, and send the sums to all."""
        while self._scattering and self._scattering[0][0].Test():
            self._add()
        if self._gathering:
            self._mpi.Request.Testall(self._gathering)

    def finish(self) -> None:
        """Wait until all sums are complete."""
        while self._scattering:
            wait([self._scattering[0][0]])
            self._add()
        wait(self._gathering)
        self._gathering.clear()

    def _add(self) -> None:
        _, start, stop, rows = self._scattering.popleft()
        counts, places = self._cuts(stop - start)
        rank = self._ranks.rank
        first = start + places[rank]
        if counts[rank]:
            own = self._array[first : first + counts[rank]]
            tree_sum([own if i == rank else row for i, row in enumerate(rows)], own)
        request = self._gather.Iallgatherv(
            self._mpi.IN_PLACE, [self._array[start:stop], counts, places, self._type]
        )
        self._gathering.append(request)


def exchange_of(ranks: Ranks, array: np.ndarray, fast: bool) -> Exchange:
    """Return the exchange that adds an array over the ranks.

    Parameters
    ----------
    ranks : Ranks
    array : ndarray
    fast : bool
        Whether the order of additions may be that of MPI.
    """
    if ranks.size == 1:
        return Exchange()
    return FastExchange(ranks, array) if fast else TreeExchange(ranks, array)
