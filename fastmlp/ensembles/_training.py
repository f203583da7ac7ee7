"""The networks of an ensemble while they learn: on which rows, side by side or with all threads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import threads
from .. import threads as _threads
from .._many import pool, stacks
from .._many.engines import Engine, Progress
from .._model.clone import clone
from .._training.arguments import Arguments
from .._training.data import Rows
from .._utils.progress import ProgressLine
from ..callbacks import Callback, Logs
from ..errors import DivergedError
from ..models import Sequential
from ._ensemble import Ensemble
from ._kinds import Kind

if TYPE_CHECKING:
    from ._kinds import Kind


class _Tick(Callback):
    """Shows how far a large network, which trains in the main thread, has come."""

    def __init__(self, show: Callable[[], None]) -> None:
        self._show = show

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._show()


class Training:
    """Networks of every kind, seed and fold; run once.

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
        self.kinds = [
            Kind(model, seeds * n_folds, None if parts is None else of_folds, arguments.epochs)
            for model in templates
        ]
        self.total = len(of_folds) * len(self.kinds)
        self._everyone = np.arange(len(rows.x))

    def chosen(self, kind: Kind, i: int) -> np.ndarray | None:
        """Return the rows that a network is trained on; None for all."""
        if self.bootstrap:
            n = len(self.rows.x)
            sequence = np.random.SeedSequence(kind.seeds[i], spawn_key=(2,))
            return np.random.default_rng(sequence).integers(0, n, n)
        if self.parts is not None and kind.folds is not None:
            return np.setdiff1d(self._everyone, self.parts[kind.folds[i]])
        return None

    def run(self, threads: int | None, workers: Engine) -> None:
        """Train them all, here or by other processes."""
        tasks: list[Callable[[], None]] = []
        alone: list[bool] = []
        label = "ensemble"
        with ProgressLine(
            label, self.total, "members", enabled=self.arguments.verbose == 1
        ) as line:
            if not workers.here:
                run(self, workers, line)
                return

            def show(_: Any = None) -> None:
                line.update(sum(k.epochs_done() for k in self.kinds) / self.arguments.epochs)

            n_threads = _threads.resolve(threads)[0]
            for kind in self.kinds:
                large = kind.template.count_params() >= pool.LARGE
                for task in self._tasks(kind, n_threads, _Tick(show) if large else None):
                    tasks.append(task)
                    alone.append(large)
            pool.run_many(tasks, threads, on_done=show, on_wait=show, alone=alone)

    def _tasks(
        self, kind: Kind, n_threads: int, tick: _Tick | None
    ) -> Iterator[Callable[[], None]]:
        """Yield functions that train one network, or one stack of them."""
        by_rows: dict[int, list[int]] = {}
        for i in range(len(kind.seeds)):
            size = len(self.rows.x)
            if self.parts is not None and kind.folds is not None:
                size -= len(self.parts[kind.folds[i]])
            by_rows.setdefault(size, []).append(i)
        for n, places in by_rows.items():
            batch_size = min(self.arguments.batch_size, n)
            how = stacks.plan(kind.template, len(places), batch_size, n_threads)
            if how is None:
                yield from (partial(self._train, kind, i, tick) for i in places)
                continue
            for start in range(0, len(places), how.size):
                yield partial(self._train_stack, kind, places[start : start + how.size], how)

    def _train(self, kind: Kind, i: int, tick: _Tick | None = None) -> None:
        model, chosen = clone(kind.template, kind.seeds[i]), self.chosen(kind, i)
        x, y, weight = (
            array if chosen is None or array is None else array[chosen] for array in self.rows
        )
        arguments = {
            "epochs": self.arguments.epochs,
            "batch_size": self.arguments.batch_size,
            "shuffle": self.arguments.shuffle,
            "sample_weight": weight,
            "callbacks": tick,
        }
        kind.running[i] = model
        try:
            pool.Job(model, x, y, arguments).fit()
        except DivergedError as error:
            kind.errors[i] = error
        finally:
            del kind.running[i]
            if i not in kind.errors and model.history is not None:
                kind.keep(i, model)

    def _train_stack(self, kind: Kind, places: list[int], how: stacks.Plan) -> None:
        rows = stacks.Rows(*self.rows)
        if self.bootstrap or self.parts is not None:
            chosen = np.array([self.chosen(kind, i) for i in places])
            rows = stacks.Rows(*(None if a is None else a[chosen] for a in self.rows))  # type: ignore[arg-type]

        def note(done: int) -> None:
            kind.done[places] = done

        found = stacks.train(
            how,
            kind.template,
            [kind.seeds[i] for i in places],
            rows,
            kept=kind.kept,
            batch_size=self.arguments.batch_size,
            shuffle=self.arguments.shuffle,
            on_call=note,
        )
        for array, values in zip(kind.parameters, found.parameters, strict=True):
            array[places] = values
        kind.losses[places, : found.losses.shape[1]] = found.losses
        kind.latest[places] = found.latest
        for i, finite in zip(places, found.finite, strict=True):
            if not finite:  # alone it says where it went wrong
                kind.done[i] = 0
                self._train(kind, i)

    # ---- what comes of it ----

    def ensemble(self, some: bool = False) -> Ensemble | None:
        """Return the networks that have all their epochs, with the noise.

        With `some` those that have some, if there are no others; None if there are none.
        """
        epochs = self.arguments.epochs
        done = np.concatenate([kind.done for kind in self.kinds])
        if some and not (done == epochs).any():
            if not done.any():
                return None
            epochs = int(done[done > 0].min())
        config = {
            "epochs": epochs,
            "batch_size": self.arguments.batch_size,
            "shuffle": self.arguments.shuffle,
            "samples": len(self.rows.x),
        }
        groups = [kind.group(epochs, config) for kind in self.kinds]
        errors = [(kind, i) for kind in self.kinds for i in sorted(kind.errors)]
        if not any(map(len, groups)):
            raise errors[0][0].errors[errors[0][1]]
        made = Ensemble(groups)
        made.interrupted = some
        made.diverged = [
            {"seed": kind.seeds[i], "message": str(kind.errors[i])} for kind, i in errors
        ]
        self._estimate_noise(made)
        return made

    def _estimate_noise(self, made: Ensemble) -> None:
        """Set the noise from held-out rows, if there are any; see `Ensemble.predictive_sd`."""
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
        first = np.zeros((n, k))  # of differences from y: their squares do not cancel
        second = np.zeros((n, k))
        for kind, group in zip(self.kinds, self._kept(made), strict=True):
            for i, predict in zip(group, self._predictors(made, kind), strict=True):
                held = np.arange(n)
                if validation is None:
                    chosen = self.chosen(kind, i)
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
        # One member has no spread: there the noise takes it all.
        spread = np.maximum(second - count * mean**2, 0) / np.maximum(count - 1, 1)
        made.noise_sd = np.sqrt(np.maximum((mean**2 - spread).mean(0), 0))
        made.noise_source = source

    def _kept(self, made: Ensemble) -> Iterator[Sequence[int]]:
        """Yield, for each kind, the places of the networks that are in the ensemble."""
        epochs = made.training_config["epochs"]
        for kind in self.kinds:
            yield np.flatnonzero(kind.done >= epochs).tolist()

    def _predictors(self, made: Ensemble, kind: Kind) -> Iterator[Callable[..., np.ndarray]]:
        for group in made.groups:
            if group.template is kind.template:
                yield from group.predictors()


class Piece(NamedTuple):
    """Some networks of one kind.

    Parameters
    ----------
    kind : int
    places : list of int
        Among those of the kind.
    """

    kind: int
    places: list[int]


def run(training: Training, engine: Engine, line: ProgressLine) -> None:
    """Have all networks trained by an engine's workers; each has the bits that it has alone.

    Parameters
    ----------
    training : Training
        Its kinds get what came of it.
    engine : Engine
    line : ProgressLine
        Of as many units as there are networks.
    """
    pieces = [
        Piece(k, places)
        for k, kind in enumerate(training.kinds)
        for places in _cut(training, kind, engine.n_workers)
    ]
    sent = copy.copy(training)
    sent.kinds, sent.validation = [kind.emptied() for kind in training.kinds], None
    done = 0

    def take(i: int, learnt: Kind) -> None:
        nonlocal done
        piece = pieces[i]
        training.kinds[piece.kind].take(piece.places, learnt)
        done += len(piece.places)

    engine.run(train, sent, pieces, take, lambda share: line.update(done + share))


def _cut(training: Training, kind: Kind, n_workers: int) -> list[list[int]]:
    """Cut a kind into pieces: what a kernel trains side by side, or one network."""
    n, rows = len(kind.seeds), len(training.rows.x)
    batch_size = min(training.arguments.batch_size, rows)
    how = stacks.plan(kind.template, n, batch_size, n_workers)
    size = 1 if how is None else how.size
    return [list(range(start, min(start + size, n))) for start in range(0, n, size)]


def train(training: Training, piece: Piece, progress: Progress) -> Kind:
    """Train a piece, in a worker."""
    kind = training.kinds[piece.kind].some(piece.places)
    total = training.arguments.epochs * len(piece.places)
    progress.watch(lambda: kind.epochs_done() / total)
    for task in training._tasks(kind, 1, None):
        threads.raise_if_cancelled()
        task()
    threads.raise_if_cancelled()
    return kind
