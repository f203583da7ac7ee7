"""Train and score the networks of one configuration and fold, one for each seed."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _kernels, optimizers, threads
from .._many import stacks
from .._many.cross_validation import scores
from .._many.engines import Progress
from .._many.group import NetworkGroup
from .._model.architecture import parse_hidden
from .._model.clone import clone
from .._training import data
from ..errors import DivergedError
from ..models import Sequential, mlp
from ._space import Config

Array = NDArray[Any]


class ScaledSplit(NamedTuple):
    """Rows to train on and rows held out, as inputs and targets of a network.

    Parameters
    ----------
    x, y, held_x, held_y : ndarray
    scale : float
        The number that a regression target was divided by.
    """

    x: Array
    y: Array
    held_x: Array
    held_y: Array
    scale: float


@dataclass
class SweepSetup:
    """The data and options of all runs, sent to each worker once.

    Parameters
    ----------
    splits : list of ScaledSplit
        One for each fold.
    n_classes : int
        0 for regression.
    proximal : bool
    groups : str
        See `models.mlp`.
    """

    splits: list[ScaledSplit]
    n_classes: int
    proximal: bool = False
    groups: str = "units"

    def model(self, config: Config) -> Sequential:
        """Make the compiled network of a configuration, without weights."""
        n = self.n_classes
        model = mlp(
            parse_hidden(config["units"]),
            self.splits[0].x.shape[1],
            n if n > 2 else 1,
            config["activation"],
            ("linear", "", "sigmoid")[n] if n < 3 else "softmax",
            l1=config["l1"],
            l2=config["l2"],
            dropout=config["dropout"],
            group_l1=config["group_l1"],
            proximal=self.proximal and config["l1"] > 0,
            groups=self.groups,
            seed=0,
        )
        rule = type(optimizers.get(config["optimizer"]))
        loss = ("mean_squared_error", "", "binary_crossentropy")[n] if n < 3 else (
            "sparse_categorical_crossentropy"
        )  # fmt: skip
        model.compile(rule(config["learning_rate"]), loss)
        return model

    def train(self, group: RunGroup, progress: Progress) -> list[Outcome]:
        """Train and score the networks of a group."""
        return train_group(self, group, progress)

    def fitted(
        self, config: Config, epochs: int, rows: ScaledSplit, model: Sequential
    ) -> list[float]:
        """Fit a network of a configuration to the training rows; return the losses."""
        size = min(config["batch_size"], len(rows.x))
        history = model.fit(
            rows.x,
            rows.y,
            epochs=epochs,
            batch_size=size,
            shuffle=size < len(rows.x),
            verbose=0,
        )
        losses: list[float] = history.history["loss"]
        return losses


@dataclass
class RunGroup:
    """Runs of one configuration on one fold, with different seeds.

    Parameters
    ----------
    runs : list of int
        The runs' numbers.
    config : dict
    epochs : int
    fold : int
        From 0.
    seeds : list of int
    size : int
        Number of weights and biases of one network.
    """

    runs: list[int]
    config: Config
    epochs: int
    fold: int
    seeds: list[int]
    size: int = 0


@dataclass
class Outcome:
    """The result of a run.

    Parameters
    ----------
    run : int
    message : str or None
        If the run diverged, the reason.
    parameters : int
        Number of weights and biases.
    nonzero : int or None
        Number of nonzero weights.
    loss : float or None
        Loss of the last epoch, penalty included.
    train, held : list of float or None
        Each error measure on training rows, and on held-out rows.
    seconds : float
    isa, host : str
        Instruction set and name of the machine.
    """

    run: int
    message: str | None = None
    parameters: int = 0
    nonzero: int | None = None
    loss: float | None = None
    train: list[float] | None = None
    held: list[float] | None = None
    seconds: float = 0.0
    isa: str = field(default_factory=_kernels.isa)
    host: str = field(default_factory=socket.gethostname)


def train(setup: SweepSetup, group: RunGroup, progress: Progress) -> list[Outcome]:
    """Train and score the networks of a group; each gets the bits of training it alone."""
    return setup.train(group, progress)


def train_group(setup: SweepSetup, group: RunGroup, progress: Progress) -> list[Outcome]:
    """Train the networks of a group, as stacks where that is faster."""
    rows, n_seeds = setup.splits[group.fold], len(group.seeds)
    template = clone(setup.model(group.config))
    data.checked(template, rows.x, rows.y, None)
    batch_size = min(group.config["batch_size"], len(rows.x))
    plan = stacks.plan(template, n_seeds, batch_size, 1)
    if plan is None:
        return [
            _train_alone(setup, group, template, i, progress.of(i, n_seeds)) for i in range(n_seeds)
        ]
    outcomes: list[Outcome] = []
    for start in range(0, n_seeds, plan.size):
        indices = list(range(start, min(start + plan.size, n_seeds)))
        outcomes += _train_stack(setup, group, template, indices, plan, progress)
    return outcomes


def _train_stack(
    setup: SweepSetup, group: RunGroup, template: Sequential, indices: list[int],
    plan: stacks.StackPlan, progress: Progress,
) -> list[Outcome]:  # fmt: skip
    """Train some of a group's networks as a stack."""
    start, rows = time.perf_counter(), setup.splits[group.fold]
    n, total = len(rows.x), len(group.seeds)
    batch_size = min(group.config["batch_size"], n)
    seeds = [group.seeds[i] for i in indices]
    stacked = stacks.train(
        plan,
        template,
        seeds,
        stacks.StackRows(rows.x, rows.y, None),
        kept=np.array([group.epochs]),
        batch_size=batch_size,
        shuffle=batch_size < n,
        on_call=lambda done: progress.note(
            (indices[0] + len(indices) * done / group.epochs) / total
        ),
    )
    threads.raise_if_cancelled()
    networks = NetworkGroup(
        template, seeds, stacked.parameters, stacked.latest[:, None], [group.epochs], None, {}
    )
    outcomes = []
    for k, (i, predict) in enumerate(zip(indices, networks.predictors(), strict=True)):
        if not stacked.finite[k]:  # train it again, alone: that raises an error with the epoch
            outcomes.append(_train_alone(setup, group, template, i, progress.of(i, total)))
            continue
        outcome = Outcome(group.runs[i], parameters=template.count_params())
        outcome.loss = float(stacked.latest[k])
        outcome.nonzero = _count_nonzero([a[k] for a in stacked.parameters if a.ndim == 3])
        _score(setup, rows, predict, outcome)
        outcomes.append(outcome)
    seconds = (time.perf_counter() - start) / len(indices)
    for outcome in outcomes:
        outcome.seconds = outcome.seconds or seconds
    return outcomes


def _train_alone(
    setup: SweepSetup, group: RunGroup, template: Sequential, i: int, progress: Progress
) -> Outcome:
    """Train one of a group's networks."""
    threads.raise_if_cancelled()
    start, rows = time.perf_counter(), setup.splits[group.fold]
    model = clone(template, group.seeds[i])
    outcome = Outcome(group.runs[i], parameters=template.count_params())

    def share() -> float:
        return len(model.history.epoch) / group.epochs if model.history is not None else 0.0

    progress.watch(share)
    try:
        losses = setup.fitted(group.config, group.epochs, rows, model)
    except DivergedError as error:
        where = "" if error.layer is None else f", layer '{error.layer}'"
        outcome.message = f"diverged in epoch {error.epoch}{where}"
    else:
        outcome.loss = float(losses[-1])
        outcome.nonzero = _count_nonzero([layer.get_weights()[0] for layer in model.dense_layers])
        _score(setup, rows, lambda x: model.predict(x, verbose=0), outcome)
    outcome.seconds = time.perf_counter() - start
    return outcome


def _count_nonzero(weights: list[Array]) -> int:
    return sum(int(np.count_nonzero(w)) for w in weights)


def _score(setup: SweepSetup, rows: ScaledSplit, predict: Any, outcome: Outcome) -> None:
    """Set the scores; if one is not finite, the run counts as diverged."""
    both = [
        scores(setup.n_classes, rows.scale, predict(x), y)
        for x, y in ((rows.x, rows.y), (rows.held_x, rows.held_y))
    ]
    if not all(np.isfinite(values).all() for values in both):
        outcome.message, outcome.loss = "predictions are not finite", None
        return
    outcome.train, outcome.held = (values.tolist() for values in both)
