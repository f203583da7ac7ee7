"""Walking: the path on all rows and those without each fold, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _many, threads
from ..progress import ProgressLine
from ._problem import Part, Problem
from ._sparsity import Description, described
from ._walkers import Array, Settings, State, Walker, walker

_LARGE = 1_000_000  # weights from which on a network has all threads, and the others wait
_MAX_KEPT = 1 << 28  # numbers that are kept of all steps of a path


class Packed:
    """An array that may be mostly zeros."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.shape = array.shape
        places = np.flatnonzero(array)
        self.places = places.astype(np.uint32) if 3 * len(places) < array.size else None
        self.values = array if self.places is None else array.ravel()[places]

    @property
    def size(self) -> int:
        """How many numbers it takes."""
        return self.values.size + (0 if self.places is None else self.places.size)

    def unpacked(self) -> NDArray[Any]:
        """Return the array."""
        if self.places is None:
            return self.values
        array = np.zeros(self.shape, self.values.dtype)
        array.ravel()[self.places] = self.values
        return array


class Step(NamedTuple):
    """What a step of a path came to.

    Parameters
    ----------
    scores : ndarray
        Of the held-out rows, or, on the path of all rows, of all.
    description : Description or None
        Of the model, on the path of all rows.
    state : list of Packed or None
        Its weights, if they are kept.
    held : ndarray or None
        Outputs for the held-out rows in the target's units, if they are kept.
    """

    scores: Array
    held: NDArray[Any] | None = None
    description: Description | None = None
    state: list[Packed] | None = None


class Track:
    """A path, as far as it has been walked.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    held : ndarray of bool or None
        The rows that are held out; None for the path of all rows.
    keep : bool
        Whether weights, or predictions of held-out rows, are kept.
    """

    def __init__(
        self, problem: Problem, settings: Settings, held: NDArray[np.bool_] | None, keep: bool
    ) -> None:
        self.problem, self.keep, self._room = problem, keep, _MAX_KEPT
        self.part: Part = problem.whole if held is None else problem.part(held)
        self.walker: Walker = walker(settings, self.part)
        self.steps: list[Step] = []

    def advance(self, lambdas: Array) -> None:
        """Walk one step, at a lambda for each layer."""
        self.walker.fit(lambdas)
        part, walker = self.part, self.walker
        if part.held_x is not None and part.held_y is not None:
            outputs = walker.predict(part.held_x)
            scores = self.problem.scores(part, outputs, part.held_y)
            held = self.problem.in_units(part, outputs) if self.keep else None
            self.steps.append(Step(scores, held))
            return
        scores = self.problem.scores(part, walker.predict(part.x), part.y)
        state = self._packed(walker.state())
        self.steps.append(Step(scores, None, described(walker.model, part.x), state))

    def _packed(self, state: State) -> list[Packed] | None:
        """Return weights to keep; None if there is no room for them."""
        if not self.keep:
            return None
        packed = [Packed(array) for array in state]
        size = sum(array.size for array in packed)
        if size > self._room:
            return None
        self._room -= size
        return packed


def can_keep(n_values: int) -> bool:
    """Tell whether so many numbers of a path are to be held in memory."""
    return n_values <= _MAX_KEPT


def walk(
    tracks: list[Track], by_layer: Array, n_threads: int | None, line: ProgressLine
) -> KeyboardInterrupt | None:
    """Walk all tracks along a grid; return the interruption, if there was one.

    A worker has the same tracks from first to last, and takes a step on each in turn, so that
    they are about equally far when they are interrupted. Tracks share nothing: what comes out has
    the same bits for any number of workers.

    Parameters
    ----------
    tracks : list of Track
    by_layer : ndarray of shape (n_steps, n_layers)
        In the order of the walk.
    n_threads : int or None
        As `threads.resolve` takes it.
    line : ProgressLine
        Of as many units as there are steps on all tracks.
    """
    total = threads.resolve(n_threads)[0]
    large = any(track.walker.model.count_params() >= _LARGE for track in tracks)
    n_workers = 1 if large else min(total, len(tracks))
    lock, done = threading.Lock(), 0

    def count(lambdas: Array) -> None:
        nonlocal done
        with lock:
            done += 1
            line.update(done, {"lambda": float(lambdas.mean())})

    def task(own: list[Track]) -> Callable[[], Any]:
        def run() -> None:
            for lambdas in by_layer:
                for track in own:
                    threads.obey_halt()
                    track.advance(lambdas)
                    count(lambdas)

        return run

    tasks = [task(tracks[i::n_workers]) for i in range(n_workers)]
    try:
        _many.run_many(tasks, total, alone=[n_workers == 1] * n_workers)
    except KeyboardInterrupt as stop:
        return stop
    return None
