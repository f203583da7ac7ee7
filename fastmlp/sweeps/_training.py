"""One piece of a sweep's work: networks of one configuration, a seed each, trained and scored."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _kernels, optimizers, threads
from .._many import pool, stacks
from .._many.cross_validation import scores
from .._many.engines import Progress
from .._many.group import Group
from .._model.architecture import parse_hidden
from .._model.clone import clone
from .._training import data
from ..errors import DivergedError
from ..models import Sequential, mlp
from ._space import Config

Array = NDArray[Any]


class Rows(NamedTuple):
    """Rows to train on, and those held out, as the network takes them.

    Parameters
    ----------
    x, y, held_x, held_y : ndarray
    scale : float
        Of a regression's target, by which it was divided.
    """

    x: Array
    y: Array
    held_x: Array
    held_y: Array
    scale: float


@dataclass
class Work:
    """What all pieces share; it is sent to each worker once.

    Parameters
    ----------
    parts : list of Rows
        One for each fold.
    n_classes : int
        0 for regression.
    proximal : bool
    groups : str
        See `models.mlp`.
    """

    parts: list[Rows]
    n_classes: int
    proximal: bool = False
    groups: str = "units"

    def model(self, config: Config) -> Sequential:
        """Make a compiled network without weights."""
        n = self.n_classes
        model = mlp(
            parse_hidden(config["units"]),
            self.parts[0].x.shape[1],
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


@dataclass
class Piece:
    """Runs of one configuration on one fold, which differ in their seeds.

    Parameters
    ----------
    runs : list of int
        Their numbers.
    config : dict
    epochs : int
    fold : int
        From 0.
    seeds : list of int
    size : int
        Weights and biases of one network.
    """

    runs: list[int]
    config: Config
    epochs: int
    fold: int
    seeds: list[int]
    size: int = 0


@dataclass
class Outcome:
    """What became of a run.

    Parameters
    ----------
    run : int
    message : str or None
        Why it diverged, if it did.
    parameters : int
        Weights and biases.
    nonzero : int or None
        Weights that are not zero.
    loss : float or None
        Of the last epoch, with its penalty.
    train, held : list of float or None
        Each measure.
    seconds : float
    isa, host : str
        Where.
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


def train(work: Work, piece: Piece, progress: Progress) -> list[Outcome]:
    """Train and score the networks of a piece; each has the bits that it has alone.

    Tiny ones go through the kernels side by side, the others one after the other.
    """
    rows = work.parts[piece.fold]
    template = clone(work.model(piece.config))
    data.checked(template, rows.x, rows.y, None)
    n = len(rows.x)
    size = min(piece.config["batch_size"], n)
    how = stacks.plan(template, len(piece.seeds), size, 1)
    if how is None:
        return [
            _alone(work, piece, template, i, progress.of(i, len(piece.seeds)))
            for i in range(len(piece.seeds))
        ]
    found: list[Outcome] = []
    for start in range(0, len(piece.seeds), how.size):
        places = list(range(start, min(start + how.size, len(piece.seeds))))
        found += _stacked(work, piece, template, places, how, progress)
    return found


def _stacked(
    work: Work, piece: Piece, template: Sequential, places: list[int], how: stacks.Plan,
    progress: Progress,
) -> list[Outcome]:  # fmt: skip
    """Train some of a piece's networks side by side."""
    start, rows = time.perf_counter(), work.parts[piece.fold]
    n, total = len(rows.x), len(piece.seeds)
    size = min(piece.config["batch_size"], n)
    stacked = stacks.train(
        how,
        template,
        [piece.seeds[i] for i in places],
        stacks.Rows(rows.x, rows.y, None),
        kept=np.array([piece.epochs]),
        batch_size=size,
        shuffle=size < n,
        on_call=lambda done: progress.note((places[0] + len(places) * done / piece.epochs) / total),
    )
    threads.raise_if_cancelled()
    group = Group(template, [piece.seeds[i] for i in places], stacked.parameters,
                  stacked.latest[:, None], [piece.epochs], None, {})  # fmt: skip
    found = []
    for k, (place, predict) in enumerate(zip(places, group.predictors(), strict=True)):
        if not stacked.finite[k]:  # alone it says where it went wrong
            found.append(_alone(work, piece, template, place, progress.of(place, total)))
            continue
        outcome = Outcome(piece.runs[place], parameters=template.count_params())
        outcome.loss = float(stacked.latest[k])
        weights = [array[k] for array in stacked.parameters if array.ndim == 3]
        outcome.nonzero = sum(int(np.count_nonzero(w)) for w in weights)
        _score(work, rows, predict, outcome)
        found.append(outcome)
    seconds = (time.perf_counter() - start) / len(places)
    for outcome in found:
        outcome.seconds = outcome.seconds or seconds
    return found


def _alone(
    work: Work, piece: Piece, template: Sequential, place: int, progress: Progress
) -> Outcome:
    """Train one of a piece's networks."""
    threads.raise_if_cancelled()
    start, rows = time.perf_counter(), work.parts[piece.fold]
    model = clone(template, piece.seeds[place])
    size = min(piece.config["batch_size"], len(rows.x))
    arguments = {"epochs": piece.epochs, "batch_size": size, "shuffle": size < len(rows.x)}
    outcome = Outcome(piece.runs[place], parameters=template.count_params())

    def share() -> float:
        return len(model.history.epoch) / piece.epochs if model.history is not None else 0.0

    progress.watch(share)
    try:
        history = pool.Job(model, rows.x, rows.y, arguments).fit()
    except DivergedError as error:
        where = "" if error.layer is None else f", layer '{error.layer}'"
        outcome.message = f"diverged in epoch {error.epoch}{where}"
    else:
        outcome.loss = float(history.history["loss"][-1])
        weights = [layer.get_weights()[0] for layer in model.dense_layers]
        outcome.nonzero = sum(int(np.count_nonzero(w)) for w in weights)
        _score(work, rows, lambda x: model.predict(x, verbose=0), outcome)
    outcome.seconds = time.perf_counter() - start
    return outcome


def _score(work: Work, rows: Rows, predict: Any, outcome: Outcome) -> None:
    """Add the measures; what is not finite counts as diverged."""
    both = [
        scores(work.n_classes, rows.scale, predict(x), y)
        for x, y in ((rows.x, rows.y), (rows.held_x, rows.held_y))
    ]
    if not all(np.isfinite(values).all() for values in both):
        outcome.message, outcome.loss = "predictions are not finite", None
        return
    outcome.train, outcome.held = (values.tolist() for values in both)
