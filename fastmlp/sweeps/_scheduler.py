"""The scheduler of a sweep: a method's rounds as numbered runs, trained by an engine."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._many import pool, stacks
from .._many.engines import Engine
from .._model.clone import clone
from ._methods import Round, SweepPlan
from ._schema import KEY, StoreError
from ._space import PARAMETERS, Config
from ._store import Store
from ._training import Outcome, RunGroup, SweepSetup, train


class SweepRun(NamedTuple):
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
        """What identifies the run; unique in the store."""
        return _key(self.config, self.epochs, self.seed, self.fold)


def _key(config: Config, epochs: int, seed: int, fold: int) -> tuple[Any, ...]:
    return (*config.values(), epochs, seed, fold)


class Scheduler:
    """Trains the runs of a plan that are not in the store, and sends the method their scores.

    Parameters
    ----------
    setup : SweepSetup
    plan : SweepPlan
    seeds : list of int
    store : Store
    measure : str
        The error measure that the method gets.
    engine : Engine
    show : callable
        Called with the number of runs done, a fraction for those in work, and the best score.
    """

    def __init__(
        self,
        setup: SweepSetup,
        plan: SweepPlan,
        seeds: list[int],
        store: Store,
        measure: str,
        engine: Engine,
        show: Callable[[float, dict[str, float]], None],
    ) -> None:
        self.setup, self.plan, self.seeds, self.store = setup, plan, seeds, store
        self.engine, self.show, self.measure = engine, show, measure
        self._column = f"val_{measure}"
        self._stored = {tuple(row[name] for name in KEY): row for row in store.rows()}
        self._planned: dict[tuple[Any, ...], SweepRun] = {}
        self._round = 0
        self.done = 0

    def run(self) -> None:
        """Run the rounds of the plan."""
        rounds: Any = self.plan.rounds
        scores = None
        try:
            while True:
                scores = self._run_round(rounds.send(scores))
        except StopIteration:
            pass
        finally:
            rounds.close()
        unplanned = self._stored.keys() - self._planned.keys()
        if unplanned:
            raise StoreError(f"{self.store.name}: damaged: it has runs of another sweep")

    def _show(self, done: float) -> None:
        scores = [row[self._column] for row in self._stored.values() if row["status"] == "done"]
        self.show(done, {f"best {self.measure}": min(scores)} if scores else {})

    def _run_round(self, step: Round) -> list[float]:
        """Train a round's missing runs; return the score of each of its configurations."""
        runs = self._numbered(step)
        new = list({run.key: run for run in runs}.values())
        missing = [run for run in new if run.key not in self._stored]
        self.done += len(runs) - len(missing)
        self._show(self.done)
        by_number = {run.number: run for run in missing}
        groups = self._groups(missing)
        self.engine.run(
            train,
            self.setup,
            groups,
            lambda _, outcomes: self._keep(outcomes, by_number),
            lambda under_way: self._show(self.done + under_way),
            [group.size >= pool.LARGE for group in groups],
        )
        return [self._score(config, step.epochs) for config in step.configs]

    def _numbered(self, step: Round) -> list[SweepRun]:
        """Return a round's runs; one of an earlier round keeps its number."""
        self._round += 1
        runs = []
        folds = range(1, len(self.setup.splits) + 1)
        for config, seed, fold in itertools.product(step.configs, self.seeds, folds):
            key = _key(config, step.epochs, seed, fold)
            run = self._planned.get(key)
            if run is None:
                number = len(self._planned) + 1
                run = SweepRun(number, self._round, config, step.epochs, seed, fold)
                self._planned[key] = run
                stored = self._stored.get(key)
                if stored is not None and stored["run"] != number:
                    raise StoreError(f"{self.store.name}: damaged: run {number} has another number")
            runs.append(run)
        return runs

    def _groups(self, runs: Sequence[SweepRun]) -> list[RunGroup]:
        """Group runs that differ in their seeds only, if they can be trained as a stack.

        The largest groups come first, so that no worker is left with one at the end.
        """
        alike: dict[tuple[Any, ...], list[SweepRun]] = {}
        for run in runs:
            alike.setdefault(_key(run.config, run.epochs, 0, run.fold), []).append(run)
        groups: list[RunGroup] = []
        for found in alike.values():
            first = found[0]
            template = clone(self.setup.model(first.config))
            rows = min(first.config["batch_size"], len(self.setup.splits[first.fold - 1].x))
            share = max(1, self.engine.n_workers // len(alike))
            plan = stacks.plan(template, len(found), rows, share)
            size = 1 if plan is None else plan.size
            for start in range(0, len(found), size):
                part = found[start : start + size]
                groups.append(
                    RunGroup([run.number for run in part], first.config, first.epochs,
                             first.fold - 1, [run.seed for run in part], template.count_params())
                )  # fmt: skip
        return sorted(groups, key=lambda g: -g.size * g.epochs * len(g.seeds))

    def _keep(self, outcomes: list[Outcome], runs: dict[int, SweepRun]) -> None:
        """Write the outcomes of a group of runs to the store."""
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

    def _score(self, config: Config, epochs: int) -> float:
        """Return a configuration's mean score, infinite if a run diverged."""
        folds = range(1, len(self.setup.splits) + 1)
        found = [
            self._stored[_key(config, epochs, seed, fold)][self._column]
            for seed, fold in itertools.product(self.seeds, folds)
        ]
        return math.inf if None in found else float(np.mean(found))


def _row(run: SweepRun, outcome: Outcome, measures: Sequence[str]) -> dict[str, Any]:
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
    missing = [None] * len(measures)
    for part, values in (("train", outcome.train), ("val", outcome.held)):
        for name, value in zip(measures, values or missing, strict=True):
            row[f"{part}_{name}"] = value
    return row
