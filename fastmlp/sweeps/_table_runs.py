"""Sweeps over a table: every run is a training as `fastmlp.fit` does it, scored on its own rows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import tabular, threads
from .._many import cross_validation
from .._many.engines import Progress
from .._model.architecture import parse_hidden
from .._model.clone import clone
from .._utils import arguments
from .._utils.names import MEASURES
from ..errors import DivergedError
from ..models import Sequential
from ..tabular import Decisions, Prepared
from ._result import Rank
from ._space import PARAMETERS, Config
from ._training import Outcome, RunGroup, ScaledSplit, SweepSetup

# Keywords of `fastmlp.fit` that hold for every run.
KEYWORDS = (
    *tabular.READING, "keep", "max_categories", "unknown", "date_parts", "target_transform",
    "weight", "group", "time", "bins", "schedule", "patience", "clip", "loss", "class_weight",
)  # fmt: skip
_DECIDED = ("units", "activation", "dropout", "optimizer", "batch_size")


@dataclass
class TableSetup(SweepSetup):
    """The data and options of all runs on a table.

    Parameters
    ----------
    prepared : Prepared
    fixed : dict
        Decisions that the user has made for all runs, by the names of `tabular.decide`.
    pairs : list of (ndarray, ndarray)
        Rows to train on and rows held out, for each fold; empty if other rows are held out.
    own_penalty : bool
        Whether the user has chosen penalties, of which 0 is one.
    """

    prepared: Prepared = field(kw_only=True)
    fixed: dict[str, Any] = field(kw_only=True)
    pairs: list[tuple[np.ndarray, np.ndarray]] = field(kw_only=True)
    own_penalty: bool = field(kw_only=True)

    def decisions(self, config: Config, epochs: int) -> Decisions:
        """Return what is decided for a configuration."""
        prepared, base = self.prepared, self.prepared.decisions
        given = {name: config[name] for name in PARAMETERS if name in tabular.DECIDED}
        given |= {"units": tuple(parse_hidden(config["units"])), "epochs": epochs, **self.fixed}
        n, state = len(prepared.y), prepared.preprocessing
        held = {name: getattr(base, name) for name in ("validation_split", "folds", "repeats")}
        if prepared.validation is not None:
            given["own_rows"] = True
        elif base.validation_split:
            given["validation_split"] = base.validation_split
        made = tabular.decide(n, state.n_inputs, state.task, given)
        return dataclasses.replace(made, **held)

    def configured(self, config: Config, epochs: int) -> Prepared:
        """Return the table with the decisions of a configuration."""
        penalties = {} if not self.own_penalty else {
            "l1": config["l1"], "l2": config["l2"], "group_l1": config["group_l1"],
            "groups": self.groups, "proximal": self.proximal and config["l1"] > 0,
        }  # fmt: skip
        made = self.decisions(config, epochs)
        return dataclasses.replace(self.prepared, decisions=made, penalties=penalties)

    def model(self, config: Config) -> Sequential:
        """Make the compiled network of a configuration, without trained weights."""
        prepared = self.configured(config, 1)
        plain = dataclasses.replace(prepared.decisions, start="glorot", schedule="constant")
        model = tabular.network(
            dataclasses.replace(prepared, decisions=plain), prepared.x, prepared.y, 0
        )
        return clone(model)

    def part(self, fold: int) -> tuple[Any, Any]:
        """Return rows to train on and rows held out: inputs, targets and weights of both."""
        if not self.pairs:
            return self.prepared.taken(), self.prepared.validation
        train, held = self.pairs[fold]
        return self.prepared.taken(train), self.prepared.taken(held)

    def train(self, group: RunGroup, progress: Progress) -> list[Outcome]:
        """Train and score the networks of a group."""
        n = len(group.seeds)
        return [self._train(group, i, progress.of(i, n)) for i in range(n)]

    def _train(self, group: RunGroup, i: int, progress: Progress) -> Outcome:
        threads.raise_if_cancelled()
        start = time.perf_counter()
        prepared = self.configured(group.config, group.epochs)
        train, held = self.part(group.fold)
        model = tabular.network(prepared, train[0], train[1], group.seeds[i])
        outcome = Outcome(group.runs[i], parameters=model.count_params())

        def share() -> float:
            return len(model.history.epoch) / prepared.n_epochs if model.history else 0.0

        progress.watch(share)
        stop = tabular.best_kept(prepared, held)
        try:
            tabular.fit_rows(
                model, prepared, train, prepared.decisions, callbacks=[stop], validation=held,
                verbose=0,
            )  # fmt: skip
        except DivergedError as error:
            where = "" if error.layer is None else f", layer '{error.layer}'"
            outcome.message = f"diverged in epoch {error.epoch}{where}"
        else:
            assert model.history is not None
            outcome.loss = float(model.history.history["loss"][stop.best_epoch])
            outcome.nonzero = sum(
                int(np.count_nonzero(layer.get_weights()[0])) for layer in model.dense_layers
            )
            self._score(model, (train, held), outcome)
        outcome.seconds = time.perf_counter() - start
        return outcome

    def _score(self, model: Sequential, parts: tuple[Any, Any], outcome: Outcome) -> None:
        both = [self.scores(model.predict(x, verbose=0), y, weight) for x, y, weight in parts]
        if not all(np.isfinite(values).all() for values in both):
            outcome.message, outcome.loss = "predictions are not finite", None
            return
        outcome.train, outcome.held = (values.tolist() for values in both)

    def scores(self, outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return each error measure: for regression in the target's units."""
        if self.n_classes:
            return cross_validation.scores(self.n_classes, 1.0, outputs, y, weight)
        state = self.prepared.preprocessing
        found, wanted = (state.values(array)[:, None] for array in (outputs, y))
        return cross_validation.scores(0, 1.0, found, wanted, weight)


class TableWinner:
    """Trains the network of the first rank as `fastmlp.fit` does, with its answers.

    Parameters
    ----------
    setup : TableSetup
        Of the rows that `fit` holds out.
    """

    def __init__(self, setup: TableSetup) -> None:
        self.setup = setup

    def trained(self, rank: Rank) -> Sequential:
        """Train the network of a configuration."""
        training = tabular.TableTraining(self.setup.configured(rank.config, rank.epochs))
        wanted = tabular.Wanted()
        if training.cross_validates:
            tabular.choose(training, wanted)
        training.run(0)
        tabular.answer(training, wanted)
        return training.model


@dataclass
class TableWork:
    """What a sweep over a table needs, before its space is complete.

    Parameters
    ----------
    prepared : Prepared
    keywords : dict
        Those of `tabular.prepared`.
    folds : object
        As `sweep` takes it.
    seed : int
    """

    data: Any
    target: Any
    keywords: dict[str, Any]
    folds: Any
    seed: int

    def __post_init__(self) -> None:
        keywords = dict(self.keywords)
        if str(keywords.get("loss", "")).startswith("quantile"):
            raise ValueError(
                "a sweep ranks by the squared error, which a quantile does not make small. "
                f"Received: loss={keywords['loss']!r}"
            )
        if self.folds is not None:
            for name in ("validation_split", "validation", "group", "time"):
                if keywords.get(name) is not None:
                    raise ValueError(f"{name} and folds exclude each other. Received: both")
            keywords["validation_split"] = 0.0
        self.prepared = tabular.prepared(self.data, self.target, seed=self.seed, **keywords)
        if len(self.prepared.targets) > 1:
            raise ValueError(f"a sweep takes one target. Received: {self.prepared.targets}")
        self.labels = list(self.prepared.preprocessing.target.labels)
        self.measures = list(MEASURES[1:] if self.labels else MEASURES[:1])
        self.pairs = self._pairs()

    def _pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        prepared, found = self.prepared, self.prepared.held_out
        if self.folds is not None:
            codes = prepared.y[:, 0].astype(np.int64) if self.labels else None
            n = len(prepared.y)
            fold = cross_validation.assign_folds(self.folds, codes, self.labels, n, self.seed)
            return [
                (np.flatnonzero(fold != k), np.flatnonzero(fold == k))
                for k in range(int(fold.max()) + 1)
            ]
        if prepared.validation is None and not found.pairs:
            raise ValueError(
                "a sweep is scored on rows held out, and none are: give validation_split above 0, "
                "validation or folds"
            )
        return found.pairs[: found.folds] if found.folds else found.pairs

    def defaults(self) -> dict[str, Any]:
        """Return what is decided for the parameters of the space."""
        decisions = self.prepared.decisions
        found: dict[str, Any] = {name: getattr(decisions, name) for name in _DECIDED}
        found |= dict.fromkeys(("l1", "l2", "group_l1"), 0.0)
        return {**found, "units": tabular.shown_units(decisions.units) or "none"}

    def rate(self, config: Mapping[str, Any]) -> float:
        """Return the learning rate that is decided for a configuration without one."""
        given = {"optimizer": config["optimizer"], "units": tuple(parse_hidden(config["units"]))}
        state, n = self.prepared.preprocessing, len(self.prepared.y)
        return tabular.decide(n, state.n_inputs, state.task, given).learning_rate

    def setup(self, proximal: bool, groups: str, own_penalty: bool) -> TableSetup:
        """Return the data and options of all runs."""
        splits = []
        prepared = self.prepared
        for k in range(len(self.pairs) or 1):
            train, held = (
                (prepared.taken(), prepared.validation)
                if not self.pairs
                else map(prepared.taken, self.pairs[k])
            )
            assert held is not None
            splits.append(ScaledSplit(train[0], train[1], held[0], held[1], 1.0))
        return TableSetup(
            splits, len(self.labels), proximal, groups, prepared=prepared, fixed=self.fixed(),
            pairs=self.pairs, own_penalty=own_penalty,
        )  # fmt: skip

    def fixed(self) -> dict[str, Any]:
        """Return the decisions that the user has made for all runs."""
        names = ("bins", "schedule", "patience", "clip", "loss")
        return {n: self.keywords[n] for n in names if self.keywords.get(n) is not None}

    def winner(self, setup: TableSetup) -> TableWinner:
        """Return what trains the network of the first rank."""
        if self.folds is not None:  # `fit` has no such folds: it holds out rows of its own
            whole = tabular.prepared(self.data, self.target, seed=self.seed, **self.keywords)
            setup = dataclasses.replace(setup, prepared=whole, pairs=[])
        return TableWinner(setup)

    def facts(self) -> dict[str, Any]:
        """Return what the decisions depend on besides the space, for the store."""
        decisions = self.prepared.decisions.to_dict()
        kept = ("start", "bins", "schedule", "patience", "clip", "loss")
        return {name: decisions[name] for name in kept}

    def digests(self, setup: TableSetup) -> dict[str, Any]:
        """Return the sizes and digests that identify the data."""
        training, held = hashlib.sha256(), hashlib.sha256()
        training.update(json.dumps(self.labels, default=str).encode())
        training.update(json.dumps(self.prepared.class_weight).encode())
        for k in range(len(setup.splits)):
            for digest, arrays in zip((training, held), setup.part(k), strict=True):
                for array in arrays:
                    if array is not None:
                        digest.update(repr(array.shape).encode())
                        digest.update(np.ascontiguousarray(array).tobytes())
        return {
            "rows": len(setup.splits[0].x),
            "held-out rows": sum(len(split.held_x) for split in setup.splits),
            "training rows digest": training.hexdigest(),
            "held-out rows digest": held.hexdigest(),
        }


def check_keywords(given: Mapping[str, Any], is_table: bool) -> None:
    """Raise for keywords that nothing knows, or that describe a table where arrays are given."""
    for name in given:
        if name not in KEYWORDS and name != "validation":
            raise TypeError(f"sweep() has no argument {name!r}")
        if not is_table and given[name] is not None:
            raise ValueError(
                f"{name} describes a table whose target is named. "
                f"Received: {name}={arguments.shown(given[name])}, and y as an array"
            )
