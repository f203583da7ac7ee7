"""The paths on all rows and without each fold, fitted by the workers of an engine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import threads
from .._many import pool
from .._many.cross_validation import TableProblem
from .._many.engines import Engine, Progress
from .._utils.progress import ProgressLine
from ._solvers import Array, PathSettings, Solver, State, make_solver
from ._sparsity import Description, describe

_MAX_KEPT = 1 << 28  # numbers in memory, over all steps of a path


class Packed:
    """An array, stored by its nonzero values if most are zero."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.shape = array.shape
        indices = np.flatnonzero(array)
        self.indices = indices.astype(np.uint32) if 3 * len(indices) < array.size else None
        self.values = array if self.indices is None else array.ravel()[indices]

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "places" in state:  # a pickle of an earlier version
            state["indices"] = state.pop("places")
        vars(self).update(state)

    @property
    def size(self) -> int:
        """Count of the numbers that are stored."""
        return self.values.size + (0 if self.indices is None else self.indices.size)

    def unpacked(self) -> NDArray[Any]:
        """Return the array."""
        if self.indices is None:
            return self.values
        array = np.zeros(self.shape, self.values.dtype)
        array.ravel()[self.indices] = self.values
        return array


class Step(NamedTuple):
    """The result of fitting one lambda of a path.

    Parameters
    ----------
    scores : ndarray
        The scores of the held-out rows; on the path of all rows, those of all rows.
    held : ndarray or None
        Outputs for the held-out rows in the target's units, if they are kept.
    description : Description or None
        The model's description, on the path of all rows.
    state : list of Packed or None
        The model's weights, if they are kept.
    """

    scores: Array
    held: NDArray[Any] | None = None
    description: Description | None = None
    state: list[Packed] | None = None


class FoldPath:
    """The path on all rows, or without those of one fold, as far as it is fitted.

    Its pickle leaves out rows and steps: workers have the rows, and return the steps separately.

    Parameters
    ----------
    problem : TableProblem
    settings : PathSettings
    held : ndarray of bool or None
        The rows that are held out; None for the path on all rows.
    keep : bool
        Whether to keep weights, or predictions of held-out rows.
    """

    def __init__(
        self,
        problem: TableProblem,
        settings: PathSettings,
        held: NDArray[np.bool_] | None,
        keep: bool,
    ) -> None:
        self.held, self.keep, self.room = held, keep, _MAX_KEPT
        self.problem, self.settings = problem, settings
        self.solver: Solver | None = None
        self.steps: list[Step] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "problem": None, "steps": []}

    def start(self, problem: TableProblem) -> Solver:
        """Make the solver before the first step, or give it its rows in another process."""
        self.problem = problem
        if self.solver is None:
            self.solver = make_solver(self.settings, problem.split(self.held))
        elif not hasattr(self.solver, "split"):
            self.solver.split = problem.split(self.held)
        return self.solver

    def advance(self, lambdas: Array) -> None:
        """Fit one step, with a lambda for each layer."""
        solver, problem = self.start(self.problem), self.problem
        solver.fit(lambdas)
        split = solver.split
        if split.held_x is not None and split.held_y is not None:
            outputs = solver.predict(split.held_x)
            scores = problem.scores(split, outputs, split.held_y, split.held_weight)
            self.steps.append(Step(scores, problem.in_units(split, outputs) if self.keep else None))
            return
        scores = problem.scores(split, solver.predict(split.x), split.y, split.weight)
        state = self._packed(solver.state())
        self.steps.append(Step(scores, None, describe(solver.model, split.x), state))

    def _packed(self, state: State) -> list[Packed] | None:
        """Return the weights to keep, or None if they exceed the remaining room."""
        if not self.keep:
            return None
        packed = [Packed(array) for array in state]
        size = sum(array.size for array in packed)
        if size > self.room:
            return None
        self.room -= size
        return packed


class Task(NamedTuple):
    """Paths that one worker fits in turn, so that all are about equally far.

    Parameters
    ----------
    paths : list of FoldPath
    by_layer : ndarray of shape (n_steps, n_layers)
        The lambdas to fit, in order.
    """

    paths: list[FoldPath]
    by_layer: Array


def fit_task(
    problem: TableProblem, task: Task, progress: Progress
) -> list[tuple[FoldPath, list[Step]]]:
    """Fit paths along a grid; return each with its new steps."""
    before = [len(path.steps) for path in task.paths]
    progress.watch(lambda: sum(len(path.steps) for path in task.paths) - sum(before))
    for path in task.paths:
        path.start(problem)
    for lambdas in task.by_layer:
        for path in task.paths:
            threads.raise_if_cancelled()
            path.advance(lambdas)
    return [(path, path.steps[n:]) for path, n in zip(task.paths, before, strict=True)]


class FoldPaths:
    """All paths, fitted by the workers of an engine.

    In this process each worker takes turns on several paths, which keep the steps that are done
    when they are interrupted. Other workers fit and return whole paths. The results have the
    same bits for any number of workers.

    Parameters
    ----------
    engine : Engine
    problem : TableProblem
    paths : list of FoldPath
    """

    def __init__(self, engine: Engine, problem: TableProblem, paths: list[FoldPath]) -> None:
        self.engine, self.problem, self.paths = engine, problem, paths
        self._n_tasks = len(paths)
        if engine.here:
            sizes = [path.start(problem).model.count_params() for path in paths]
            # Large networks get all threads, one fit after the other.
            large = max(sizes) >= pool.LARGE
            self._n_tasks = 1 if large else min(engine.n_workers, len(paths))

    @property
    def steps(self) -> list[list[Step]]:
        """The finished steps of each path."""
        return [path.steps for path in self.paths]

    def fit(self, by_layer: Array, line: ProgressLine) -> KeyboardInterrupt | None:
        """Fit all paths along a grid; return the interruption, if there was one.

        Parameters
        ----------
        by_layer : ndarray of shape (n_steps, n_layers)
            In the order of fitting.
        line : ProgressLine
            Its unit is one step of one path.
        """
        n, n_tasks = len(self.paths), self._n_tasks
        before, finished = sum(map(len, self.steps)), 0

        def take(i: int, found: list[tuple[FoldPath, list[Step]]]) -> None:
            nonlocal finished
            for k, (path, steps) in zip(range(i, n, n_tasks), found, strict=True):
                finished += len(steps)
                if path is not self.paths[k]:  # it was fitted by another process
                    path.steps = self.paths[k].steps + steps
                    self.paths[k] = path

        def show(under_way: float) -> None:
            done = finished + under_way
            step = int(done / n) - 1
            values = {"lambda": float(by_layer[step].mean())} if step >= 0 else {}
            line.update(before + done, values)

        tasks = [Task(self.paths[i::n_tasks], by_layer) for i in range(n_tasks)]
        alone = [n_tasks == 1] * n_tasks
        try:
            self.engine.run(fit_task, self.problem, tasks, take, show, alone)
        except KeyboardInterrupt as stop:
            return stop
        return None


def can_keep(n_values: int) -> bool:
    """Return whether that many numbers of a path are to be kept in memory."""
    return n_values <= _MAX_KEPT
