"""Methods, which choose the configurations of a sweep: grid, random, successive halving, Optuna.

A method is a generator of rounds. After each round it is sent the score of every configuration: the
mean over seeds and folds, infinite if training diverged. It depends on nothing else but its
arguments, so that an interrupted sweep continues with the same plan.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from .._utils.optional import require
from ._space import Config, LogUniform, Space, Uniform, rounded

_GENERATION = 5  # configurations that Optuna proposes before it gets their scores


class Round(NamedTuple):
    """Configurations to train for the same number of epochs.

    Parameters
    ----------
    configs : list of Config
    epochs : int
    """

    configs: list[Config]
    epochs: int


Rounds = Generator[Round, Sequence[float], None]


class SweepPlan(NamedTuple):
    """The rounds of a sweep.

    Parameters
    ----------
    rounds : generator of Round
    total : int
        Number of configurations over all rounds; one in several rounds is counted in each.
    facts : dict
        What the plan depends on besides the space, as plain JSON values.
    """

    rounds: Rounds
    total: int
    facts: dict[str, Any]


def plan(
    method: str,
    space: Space,
    epochs: int,
    seed: int,
    samples: int | None,
    eta: int,
    min_epochs: int | None,
) -> SweepPlan:
    """Return the plan of a method; see `sweep` for the arguments.

    Raises
    ------
    ValueError
        If the arguments do not suit the method.
    """
    if method == "optuna":
        if samples is None:
            raise ValueError("method='optuna' needs samples, the number of configurations to try")
        facts = {"samples": samples, "optuna": import_optuna().__version__}
        return SweepPlan(_optuna(space, epochs, seed, samples), samples, facts)
    if method == "random" and samples is None:
        raise ValueError("method='random' needs samples, the number of configurations to draw")
    if method == "grid" and samples is not None:
        raise ValueError("samples needs method='random', 'halving' or 'optuna'. Received: grid")
    configs = space.grid() if samples is None else space.drawn(samples, seed)
    facts = {} if samples is None else {"samples": samples}
    if method != "halving":
        return SweepPlan(_once(configs, epochs), len(configs), facts)
    steps = rungs(len(configs), epochs, eta, min_epochs)
    total = sum(n for n, _ in steps)
    return SweepPlan(_halving(configs, steps), total, {**facts, "eta": eta, "rungs": steps})


def _once(configs: list[Config], epochs: int) -> Rounds:
    yield Round(configs, epochs)


# ---- successive halving ------------------------------------------------------------------------


def rungs(n: int, epochs: int, eta: int, min_epochs: int | None) -> list[list[int]]:
    """Return the number of configurations and of epochs of each rung of successive halving.

    Each rung has 1/eta of the configurations of the one before, rounded up, and eta times its
    epochs.

    Parameters
    ----------
    n : int
    epochs : int
        Epochs of the last rung.
    eta : int
    min_epochs : int or None
        Least number of epochs of the first rung.

    Returns
    -------
    list of [int, int]
        Configurations and epochs.
    """
    sizes = [n]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // eta))
    least = 1 if min_epochs is None else min_epochs
    while len(sizes) > 1 and math.ceil(epochs / eta ** (len(sizes) - 1)) < least:
        sizes.pop()  # fewer rungs, so that the last one has several configurations
    last = len(sizes) - 1
    return [[size, math.ceil(epochs / eta ** (last - i))] for i, size in enumerate(sizes)]


def _halving(configs: list[Config], steps: list[list[int]]) -> Rounds:
    for size, epochs in steps:
        configs = configs[:size]
        found = yield Round(configs, epochs)
        order = sorted(range(len(configs)), key=lambda i: (found[i], i))
        configs = [configs[i] for i in order]


# ---- Optuna ------------------------------------------------------------------------------------


def import_optuna() -> Any:
    """Import Optuna, or raise an error that says how to install it."""
    return require("optuna", "optuna", "method='optuna'")


def _optuna(space: Space, epochs: int, seed: int, samples: int) -> Rounds:
    optuna = import_optuna()
    distributions = {
        name: _distribution(optuna, name, space.choices[name]) for name in space.varied
    }
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        for start in range(0, samples, _GENERATION):
            trials = [study.ask(distributions) for _ in range(min(_GENERATION, samples - start))]
            found = yield Round([_config(space, trial.params) for trial in trials], epochs)
            for trial, score in zip(trials, found, strict=True):
                if math.isfinite(score):
                    study.tell(trial, score)
                else:
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _distribution(optuna: Any, name: str, values: list[Any] | Uniform) -> Any:
    kinds = optuna.distributions
    if not isinstance(values, Uniform):
        return kinds.CategoricalDistribution(values)
    log = isinstance(values, LogUniform)
    if name == "batch_size":
        return kinds.IntDistribution(int(values.low), int(values.high), log=log)
    return kinds.FloatDistribution(values.low, values.high, log=log)


def _config(space: Space, params: dict[str, Any]) -> Config:
    made = {}
    for name, values in space.choices.items():
        if isinstance(values, Uniform):
            made[name] = rounded(name, params[name], values)
        else:
            made[name] = params.get(name, values[0])
    return space.completed(made)
