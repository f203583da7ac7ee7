"""Walking: the path on all rows and those without each fold, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import threads
from .._many import pool
from .._many.cross_validation import Part, Problem
from .._many.engines import Engine, Progress
from .._utils.progress import ProgressLine
from ._solvers import Array, Settings, State, Walker, walker
from ._sparsity import Description, described

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
    begun : Walker, optional
        That has come some way already.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        held: NDArray[np.bool_] | None,
        keep: bool,
        begun: Walker | None = None,
    ) -> None:
        self.problem, self.keep, self.room = problem, keep, _MAX_KEPT
        self.part: Part = problem.whole if held is None else problem.part(held)
        if begun is not None:
            begun.part = self.part
        self.walker: Walker = walker(settings, self.part) if begun is None else begun
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
        if size > self.room:
            return None
        self.room -= size
        return packed


class Sent(NamedTuple):
    """A track, on its way to a worker or back.

    Parameters
    ----------
    held : ndarray of bool or None
    keep : bool
    room : int
        For weights that are kept.
    lambdas : ndarray of shape (n_steps, n_layers)
        To walk along.
    walker : Walker or None
        Without its rows; None before the first step.
    steps : list of Step
        What came of it.
    """

    held: NDArray[np.bool_] | None
    keep: bool
    room: int
    lambdas: Array
    walker: Walker | None
    steps: list[Step]


def walk_sent(shared: tuple[Problem, Settings], sent: Sent, progress: Progress) -> Sent:
    """Walk a track, in a worker; its warm starts stay there."""
    track = Track(*shared, sent.held, sent.keep, sent.walker)
    track.room = sent.room
    for i, lambdas in enumerate(sent.lambdas):
        threads.raise_if_cancelled()
        track.advance(lambdas)
        progress.note((i + 1) / len(sent.lambdas))
    track.walker.part = None  # type: ignore[assignment]
    return sent._replace(walker=track.walker, room=track.room, steps=track.steps)


class Tracks:
    """Paths that are walked by the workers of an engine.

    Parameters
    ----------
    engine : Engine
    problem : Problem
    settings : Settings
    held : list of ndarray of bool or None
        A track for each.
    keep : list of bool

    Attributes
    ----------
    steps : list of list of Step
        Of each track.
    """

    def __init__(
        self,
        engine: Engine,
        problem: Problem,
        settings: Settings,
        held: list[NDArray[np.bool_] | None],
        keep: list[bool],
    ) -> None:
        self.engine, self._shared = engine, (problem, settings)
        nothing = np.empty((0, 0))
        self._sent = [
            Sent(h, k, _MAX_KEPT, nothing, None, []) for h, k in zip(held, keep, strict=True)
        ]
        self.steps: list[list[Step]] = [[] for _ in held]

    def walk(self, by_layer: Array, line: ProgressLine) -> KeyboardInterrupt | None:
        """Walk on along a grid; return the interruption, if there was one."""
        before = sum(map(len, self.steps))
        items = [sent._replace(lambdas=by_layer, steps=[]) for sent in self._sent]

        def take(i: int, sent: Sent) -> None:
            self._sent[i] = sent
            self.steps[i] += sent.steps

        def show(share: float) -> None:
            ended = sum(map(len, self.steps))
            line.update(min(ended, before + len(items) * len(by_layer)) + share * len(by_layer))

        try:
            self.engine.run(walk_sent, self._shared, items, take, show)
        except KeyboardInterrupt as stop:
            return stop
        return None


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
                    threads.raise_if_cancelled()
                    track.advance(lambdas)
                    count(lambdas)

        return run

    tasks = [task(tracks[i::n_workers]) for i in range(n_workers)]
    try:
        pool.run_many(tasks, total, alone=[n_workers == 1] * n_workers)
    except KeyboardInterrupt as stop:
        return stop
    return None
