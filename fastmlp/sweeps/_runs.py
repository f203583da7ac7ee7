"""From a method's rounds to numbered runs, to pieces of work, and back to scores."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._many import pool, stacks
from .._many.engines import Engine
from .._model.clone import clone
from ._methods import Plan, Round
from ._schema import KEY, StoreError
from ._space import PARAMETERS, Config
from ._store import Store
from ._training import Outcome, Piece, Work, train


class Run(NamedTuple):
    """One network to train.

    Parameters
    ----------
    number : int
        From 1, in the order of the plan.
    round : int
        From 1.
    config : dict
    epochs : int
    seed : int
    fold : int
        From 1.
    """

    number: int
    round: int
    config: Config
    epochs: int
    seed: int
    fold: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes the run what it is; the store has it once."""
        return _key(self.config, self.epochs, self.seed, self.fold)


def _key(config: Config, epochs: int, seed: int, fold: int) -> tuple[Any, ...]:
    return (*config.values(), epochs, seed, fold)


class Conductor:
    """Goes through a plan: has done what the store does not have, and tells the scores.

    Parameters
    ----------
    work : Work
    plan : Plan
    seeds : list of int
    store : Store
    measure : int
        The place, among the measures, of the one that the method hears.
    engine : Engine
    show : callable
        Told how many runs are done, with those under way in parts, and the best score so far.
    """

    def __init__(
        self,
        work: Work,
        plan: Plan,
        seeds: list[int],
        store: Store,
        measure: int,
        engine: Engine,
        show: Callable[[float, dict[str, float]], None],
    ) -> None:
        self.work, self.plan, self.seeds, self.store = work, plan, seeds, store
        self.engine, self._tell = engine, show
        self._column = f"val_{store.settings['measures'][measure]}"
        self._stored = {tuple(row[name] for name in KEY): row for row in store.rows()}
        self._planned: dict[tuple[Any, ...], Run] = {}
        self._round = 0
        self.done = 0

    def conduct(self) -> None:
        """Go through the plan."""
        rounds: Any = self.plan.rounds
        scores = None
        try:
            while True:
                scores = self._do(rounds.send(scores))
        except StopIteration:
            pass
        finally:
            rounds.close()
        strangers = self._stored.keys() - self._planned.keys()
        if strangers:
            raise StoreError(f"{self.store.name}: damaged: it has runs that are not of its sweep")

    def _show(self, done: float) -> None:
        scores = [row[self._column] for row in self._stored.values() if row["status"] == "done"]
        self._tell(done, {f"best {self._column[4:]}": min(scores)} if scores else {})

    def _do(self, step: Round) -> list[float]:
        """Have a round's missing runs done; return the score of each of its configurations."""
        runs = self._numbered(step)
        new = list({run.key: run for run in runs}.values())
        missing = [run for run in new if run.key not in self._stored]
        self.done += len(runs) - len(missing)
        self._show(self.done)
        by_number = {run.number: run for run in missing}
        pieces = self._pieces(missing)
        self.engine.run(
            train,
            self.work,
            pieces,
            lambda i, outcomes: self._keep(pieces[i], outcomes, by_number),
            lambda share: self._show(self.done + share),
            [piece.size >= pool.LARGE for piece in pieces],
        )
        return [self._score(config, step.epochs) for config in step.configs]

    def _numbered(self, step: Round) -> list[Run]:
        """Return a round's runs; one that an earlier round had keeps its number."""
        self._round += 1
        runs = []
        folds = range(1, len(self.work.parts) + 1)
        for config, seed, fold in itertools.product(step.configs, self.seeds, folds):
            key = _key(config, step.epochs, seed, fold)
            run = self._planned.get(key)
            if run is None:
                number = len(self._planned) + 1
                run = Run(number, self._round, config, step.epochs, seed, fold)
                self._planned[key] = run
                stored = self._stored.get(key)
                if stored is not None and stored["run"] != number:
                    raise StoreError(f"{self.store.name}: damaged: run {number} has another number")
            runs.append(run)
        return runs

    def _pieces(self, runs: Sequence[Run]) -> list[Piece]:
        """Put runs that differ in their seeds together where a kernel takes them side by side.

        The largest come first, so that none is left to one worker in the end.
        """
        groups: dict[tuple[Any, ...], list[Run]] = {}
        for run in runs:
            groups.setdefault(_key(run.config, run.epochs, 0, run.fold), []).append(run)
        pieces: list[Piece] = []
        for group in groups.values():
            first = group[0]
            template = clone(self.work.model(first.config))
            rows = min(first.config["batch_size"], len(self.work.parts[first.fold - 1].x))
            share = max(1, self.engine.n_workers // len(groups))
            how = stacks.plan(template, len(group), rows, share)
            size = 1 if how is None else how.size
            for start in range(0, len(group), size):
                some = group[start : start + size]
                pieces.append(
                    Piece([run.number for run in some], first.config, first.epochs,
                          first.fold - 1, [run.seed for run in some], template.count_params())
                )  # fmt: skip
        return sorted(pieces, key=lambda p: -p.size * p.epochs * len(p.seeds))

    def _keep(self, piece: Piece, outcomes: list[Outcome], runs: dict[int, Run]) -> None:
        """Write what became of a piece."""
        rows, costs = [], []
        measures = self.store.settings["measures"]
        for outcome in outcomes:
            row = _row(runs[outcome.run], outcome, measures)
            rows.append(row)
            costs.append(
                {"run": outcome.run, "seconds": outcome.seconds, "isa": outcome.isa,
                 "threads": self.engine.n_threads, "host": outcome.host}
            )  # fmt: skip
        self.store.add(rows, costs)
        for row in rows:
            self._stored[tuple(row[name] for name in KEY)] = row
        self.done += len(rows)
        self._show(self.done)

    def _score(self, config: Config, epochs: int) -> float:
        """Return a configuration's mean score; infinite if a run has none."""
        folds = range(1, len(self.work.parts) + 1)
        found = [
            self._stored[_key(config, epochs, seed, fold)][self._column]
            for seed, fold in itertools.product(self.seeds, folds)
        ]
        return math.inf if None in found else float(np.mean(found))


def _row(run: Run, outcome: Outcome, measures: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.number, "round": run.round}
    row |= {name: run.config[name] for name in PARAMETERS}
    row |= {"epochs": run.epochs, "seed": run.seed, "fold": run.fold}
    row |= {
        "status": "done" if outcome.message is None else "diverged",
        "message": outcome.message,
        "parameters": outcome.parameters,
        "nonzero": outcome.nonzero,
        "loss": outcome.loss,
    }
    nothing = [None] * len(measures)
    for part, values in (("train", outcome.train), ("val", outcome.held)):
        for name, value in zip(measures, values or nothing, strict=True):
            row[f"{part}_{name}"] = value
    return row
