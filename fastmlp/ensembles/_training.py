"""Train the networks of an ensemble: the rows of each, stacks of small ones, results and noise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .. import threads
from .._many import pool, stacks
from .._many.engines import Engine, Progress
from .._model.clone import clone
from .._training.arguments import Arguments
from .._training.data import Rows
from .._utils.progress import ProgressLine
from ..errors import DivergedError
from ..models import Sequential
from ._architecture import Architecture
from ._ensemble import Ensemble


class MemberChunk(NamedTuple):
    """Networks of one architecture that a worker trains together.

    Parameters
    ----------
    architecture : int
        Its index.
    members : list of int
        The networks' indices in it.
    """

    architecture: int
    members: list[int]


class Training:
    """The networks of every architecture, seed and fold; run once.

    Parameters
    ----------
    templates : list of Sequential
    seeds : list of int
    rows : Rows
    validation : Rows or None
        Held out.
    arguments : Arguments
    bootstrap : bool
    parts : list of ndarray, or None
        The rows that each fold holds out.
    """

    def __init__(
        self,
        templates: list[Sequential],
        seeds: list[int],
        rows: Rows,
        validation: Rows | None,
        arguments: Arguments,
        bootstrap: bool,
        parts: list[np.ndarray] | None,
    ) -> None:
        self.rows, self.validation, self.arguments = rows, validation, arguments
        self.bootstrap, self.parts = bootstrap, parts
        n_folds = 1 if parts is None else len(parts)
        of_folds = [fold for fold in range(n_folds) for _ in seeds]
        self.architectures = [
            Architecture(
                model, seeds * n_folds, None if parts is None else of_folds, arguments.epochs
            )
            for model in templates
        ]
        self.total = len(of_folds) * len(self.architectures)
        self._everyone = np.arange(len(rows.x))

    def rows_of(self, architecture: Architecture, i: int) -> np.ndarray | None:
        """Return the indices of the rows that a network is trained on; None for all."""
        if self.bootstrap:
            n = len(self.rows.x)
            sequence = np.random.SeedSequence(architecture.seeds[i], spawn_key=(2,))
            return np.random.default_rng(sequence).integers(0, n, n)
        if self.parts is not None and architecture.folds is not None:
            return np.setdiff1d(self._everyone, self.parts[architecture.folds[i]])
        return None

    def run(self, engine: Engine) -> None:
        """Train all networks on an engine; each gets the bits of training it alone.

        In this process, networks write to this object, so that an interruption leaves the epochs
        that were done. Other workers return whole chunks.
        """
        chunks = self._chunks(engine.n_workers)
        shared, done = self if engine.here else self._without_results(), 0

        def take(i: int, trained: Architecture | None) -> None:
            nonlocal done
            k, members = chunks[i]
            if trained is not None:
                self.architectures[k].take(members, trained)
            done += len(members)

        shown = self.arguments.verbose == 1
        with ProgressLine("ensemble", self.total, "members", enabled=shown) as line:
            engine.run(
                train,
                shared,
                chunks,
                take,
                lambda under_way: line.update(done + under_way),
                [self.architectures[k].template.count_params() >= pool.LARGE for k, _ in chunks],
            )

    def _without_results(self) -> Training:
        """Return a copy to send to workers."""
        found = copy.copy(self)
        found.architectures = [each.without_results() for each in self.architectures]
        found.validation = None
        return found

    def _chunks(self, n_workers: int) -> list[MemberChunk]:
        """Divide the networks into stacks, or single networks where those are faster."""
        chunks = []
        for k, architecture in enumerate(self.architectures):
            by_rows: dict[int, list[int]] = {}
            for i in range(len(architecture.seeds)):
                n = len(self.rows.x)
                if self.parts is not None and architecture.folds is not None:
                    n -= len(self.parts[architecture.folds[i]])
                by_rows.setdefault(n, []).append(i)
            for n, members in by_rows.items():
                batch_size = min(self.arguments.batch_size, n)
                plan = stacks.plan(architecture.template, len(members), batch_size, n_workers)
                size = 1 if plan is None else plan.size
                starts = range(0, len(members), size)
                chunks += [MemberChunk(k, members[start : start + size]) for start in starts]
        return chunks

    def train(self, architecture: Architecture, members: list[int]) -> None:
        """Train networks that have equally many rows, in this thread."""
        n = len(self.rows.x)
        if self.parts is not None and architecture.folds is not None:
            n -= len(self.parts[architecture.folds[members[0]]])
        batch_size = min(self.arguments.batch_size, n)
        plan = stacks.plan(architecture.template, len(members), batch_size, 1)
        if plan is not None:
            self._train_stack(architecture, members, plan)
            return
        for i in members:
            threads.raise_if_cancelled()
            self._train_alone(architecture, i)

    def _train_alone(self, architecture: Architecture, i: int) -> None:
        model = clone(architecture.template, architecture.seeds[i])
        chosen = self.rows_of(architecture, i)
        x, y, weight = (
            array if chosen is None or array is None else array[chosen] for array in self.rows
        )
        architecture.running[i] = model
        try:
            model.fit(
                x,
                y,
                epochs=self.arguments.epochs,
                batch_size=self.arguments.batch_size,
                shuffle=self.arguments.shuffle,
                sample_weight=weight,
                verbose=0,
            )
        except DivergedError as error:
            architecture.errors[i] = error
        finally:
            del architecture.running[i]
            if i not in architecture.errors and model.history is not None:
                architecture.keep(i, model)

    def _train_stack(
        self, architecture: Architecture, members: list[int], plan: stacks.StackPlan
    ) -> None:
        x, y, weight = self.rows
        x = np.asarray(x)
        rows = stacks.StackRows(x, y, weight)
        if self.bootstrap or self.parts is not None:
            chosen = np.array([self.rows_of(architecture, i) for i in members])
            weight = None if weight is None else weight[chosen]
            rows = stacks.StackRows(x[chosen], y[chosen], weight)

        def note(done: int) -> None:
            architecture.done[members] = done

        found = stacks.train(
            plan,
            architecture.template,
            [architecture.seeds[i] for i in members],
            rows,
            kept=architecture.kept,
            batch_size=self.arguments.batch_size,
            shuffle=self.arguments.shuffle,
            on_call=note,
        )
        for array, values in zip(architecture.parameters, found.parameters, strict=True):
            array[members] = values
        architecture.losses[members, : found.losses.shape[1]] = found.losses
        architecture.latest[members] = found.latest
        for i, finite in zip(members, found.finite, strict=True):
            if not finite:  # train it again, alone: that raises an error with the epoch
                architecture.done[i] = 0
                self._train_alone(architecture, i)

    # ---- results ----

    def ensemble(self, partial: bool = False) -> Ensemble | None:
        """Return an ensemble of the fully trained networks, with its noise.

        With `partial`, if no network is fully trained, return the networks that have at least one
        epoch, or None.
        """
        epochs = self.arguments.epochs
        done = np.concatenate([each.done for each in self.architectures])
        if partial and not (done == epochs).any():
            if not done.any():
                return None
            epochs = int(done[done > 0].min())
        config = {
            "epochs": epochs,
            "batch_size": self.arguments.batch_size,
            "shuffle": self.arguments.shuffle,
            "samples": len(self.rows.x),
        }
        groups = [each.group(epochs, config) for each in self.architectures]
        errors = [
            (each.seeds[i], each.errors[i])
            for each in self.architectures
            for i in sorted(each.errors)
        ]
        if not any(map(len, groups)):
            raise errors[0][1]
        made = Ensemble(groups)
        made.interrupted = partial
        made.diverged = [{"seed": seed, "message": str(error)} for seed, error in errors]
        self._estimate_noise(made)
        return made

    def _estimate_noise(self, made: Ensemble) -> None:
        """Estimate the noise on held-out rows, if any; see `Ensemble.predictive_sd`."""
        validation = self.validation
        assert made.loss is not None
        if made.loss.name.endswith("crossentropy") or len(made) < 2:
            return
        source = "validation rows"
        if validation is None and self.bootstrap:
            source = "out-of-bag rows"
        elif validation is None and self.parts is not None:
            source = "held-out folds"
        elif validation is None:
            return
        rows = self.rows if validation is None else validation
        n, k = len(rows.x), made.n_outputs
        if rows.y.shape[1] != k:
            return
        count = np.zeros((n, 1))
        first = np.zeros((n, k))  # sums of errors, not of outputs: their squares do not cancel
        second = np.zeros((n, k))
        for architecture in self.architectures:
            kept = np.flatnonzero(architecture.done >= made.training_config["epochs"]).tolist()
            for i, predict in zip(kept, self._predictors(made, architecture), strict=True):
                held = np.arange(n)
                if validation is None:
                    chosen = self.rows_of(architecture, i)
                    assert chosen is not None
                    held = np.setdiff1d(held, chosen)
                if len(held):
                    error = predict(rows.x[held]).astype(np.float64) - rows.y[held]
                    count[held] += 1
                    first[held] += error
                    second[held] += error**2
        seen = count[:, 0] > 0
        if not seen.any():
            return
        count, first, second = count[seen], first[seen], second[seen]
        mean = first / count
        # The spread of a single member counts as 0.
        spread = np.maximum(second - count * mean**2, 0) / np.maximum(count - 1, 1)
        made.noise_sd = np.sqrt(np.maximum((mean**2 - spread).mean(0), 0))
        made.noise_source = source

    def _predictors(
        self, made: Ensemble, architecture: Architecture
    ) -> Iterator[Callable[..., np.ndarray]]:
        for group in made.groups:
            if group.template is architecture.template:
                yield from group.predictors()


def train(training: Training, chunk: MemberChunk, progress: Progress) -> Architecture | None:
    """Train a chunk; return its networks unless their results are in `training`."""
    architecture, members = training.architectures[chunk.architecture], chunk.members
    here = bool(architecture.parameters)
    if not here:
        architecture, members = architecture.subset(members), list(range(len(members)))
    progress.watch(lambda: architecture.epochs_done(members) / training.arguments.epochs)
    threads.raise_if_cancelled()
    training.train(architecture, members)
    threads.raise_if_cancelled()
    return None if here else architecture
