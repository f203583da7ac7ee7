"""Which configurations a sweep tries, and when: grid, random, successive halving, Optuna.

A method is a generator of rounds. It is sent the score of every configuration of a round, the
mean over seeds and folds, infinite where training diverged; all else follows from what it is made
with, so that a sweep that was killed is planned again as it was.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from .._utils.optional import require
from ._space import Config, LogUniform, Space, Uniform, completed, rounded

METHODS = ("grid", "random", "halving", "optuna")
_GENERATION = 5  # configurations that Optuna proposes before it hears what became of them


class Round(NamedTuple):
    """Configurations to be tried alike.

    Parameters
    ----------
    configs : list of Config
    epochs : int
    """

    configs: list[Config]
    epochs: int


Rounds = Generator[Round, Sequence[float], None]


class Plan(NamedTuple):
    """How a sweep goes on.

    Parameters
    ----------
    rounds : generator of Round
    total : int
        Configurations over all rounds, one that comes in several counted in each.
    facts : dict
        What the plan depends on besides the space; plain JSON values.
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
) -> Plan:
    """Return the plan of a method; see `sweep` for the arguments, which are checked.

    Raises
    ------
    ValueError
        If the method cannot do with them.
    """
    if method == "optuna":
        if samples is None:
            raise ValueError("method='optuna' needs samples, the configurations to try")
        facts = {"samples": samples, "optuna": import_optuna().__version__}
        return Plan(_optuna(space, epochs, seed, samples), samples, facts)
    if method == "random" and samples is None:
        raise ValueError("method='random' needs samples, the configurations to draw")
    if method == "grid" and samples is not None:
        raise ValueError("samples goes with method='random', 'halving' or 'optuna'. Received: grid")
    configs = space.grid() if samples is None else space.drawn(samples, seed)
    facts = {} if samples is None else {"samples": samples}
    if method != "halving":
        return Plan(_once(configs, epochs), len(configs), facts)
    steps = rungs(len(configs), epochs, eta, min_epochs)
    total = sum(n for n, _ in steps)
    return Plan(_halving(configs, steps), total, {**facts, "eta": eta, "rungs": steps})


def _once(configs: list[Config], epochs: int) -> Rounds:
    yield Round(configs, epochs)


# ---- successive halving ------------------------------------------------------------------------


def rungs(n: int, epochs: int, eta: int, min_epochs: int | None) -> list[list[int]]:
    """Return how many configurations are trained for how many epochs, from many to few.

    Each rung has 1/eta of the configurations of the one before, rounded up, and eta times its
    epochs; the last one has all of them.

    Parameters
    ----------
    n : int
    epochs : int
        Of the last rung.
    eta : int
    min_epochs : int or None
        Of the first rung at least.

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
        sizes.pop()  # fewer rungs: the last one then holds more than one configuration
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
    """Import Optuna, or say how to install it."""
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
    return completed(made)
