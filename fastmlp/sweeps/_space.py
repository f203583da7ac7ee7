"""The search space of a sweep: a list of values, or a range, for each parameter."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import layers, optimizers
from .._model.architecture import parse_units
from .._utils import arguments

Config = dict[str, Any]

_MAX_CONFIGS = 1_000_000
_DRAWS = 1000  # for each configuration, before giving up on one that differs from the others
_DIGITS = 3  # significant digits of drawn numbers, so that they are easy to type


@dataclass(frozen=True)
class Uniform:
    """A range with a uniform distribution.

    Parameters
    ----------
    low, high : float
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        arguments.number("low", self.low, "a finite number", lambda v: True)
        arguments.number("high", self.high, "a number above low", lambda v: v > self.low)

    def at(self, share: float) -> float:
        """Return the number at a share of the way from low to high."""
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class LogUniform(Uniform):
    """A range with a distribution that is uniform in the logarithm.

    Parameters
    ----------
    low, high : float
        Above 0.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.number("low", self.low, "a number above 0", lambda v: v > 0)

    def at(self, share: float) -> float:
        """Return the number at a share of the way from low to high, in the logarithm."""
        return math.exp(math.log(self.low) + share * math.log(self.high / self.low))


def _units(value: Any) -> str:
    """Return hidden layers' widths as text such as '64x3', '64,32' or 'none'."""
    if value is None or (isinstance(value, str) and value.strip().lower() in ("none", "")):
        return "none"
    if isinstance(value, str):
        widths = parse_units(value)
    else:
        given = arguments.items(
            "units",
            [value] if isinstance(value, numbers.Integral) else value,
            "widths of hidden layers",
        )
        widths = [arguments.integer("units", width) for width in given]
    runs = [(width, len(list(same))) for width, same in itertools.groupby(widths)]
    return ",".join(f"{w}x{n}" if n > 1 else str(w) for w, n in runs) or "none"


def _optimizer(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"optimizer must be a name. Received: optimizer={value!r}")
    return optimizers.get(value).name


def _rate(value: Any) -> float | None:
    rule = "a finite number above 0"
    if value is None:
        return None
    return arguments.number("learning_rate", value, rule, lambda v: v > 0)


def _batch_size(value: Any) -> int | None:
    return None if value is None else arguments.batch_size(value)


# In the order of a grid; the first parameter changes slowest.
PARAMETERS: dict[str, Callable[[Any], Any]] = {
    "units": _units,
    "activation": layers.activation_name,
    "l1": lambda value: arguments.non_negative("l1", value),
    "l2": lambda value: arguments.non_negative("l2", value),
    "group_l1": lambda value: arguments.non_negative("group_l1", value),
    "dropout": lambda value: arguments.fraction("dropout", value),
    "optimizer": _optimizer,
    "learning_rate": _rate,
    "batch_size": _batch_size,
}
RANGES = ("l1", "l2", "group_l1", "dropout", "learning_rate", "batch_size")


def _listed(name: str, given: Any) -> list[Any]:
    """Return the values of a parameter as a list."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        return [given]
    if name == "units" and given and all(isinstance(v, numbers.Integral) for v in given):
        return [given]  # one architecture, as everywhere else
    return list(given)


class Space:
    """Every combination of the parameters' values.

    Parameters
    ----------
    rate : callable, optional
        Returns the learning rate of a configuration that has none; by default the optimizer's.
    **given
        For each of PARAMETERS, a value, a list of values, or for numbers a Uniform or LogUniform.

    Attributes
    ----------
    choices : dict of str to list, Uniform or LogUniform
        By parameter.
    """

    def __init__(self, rate: Callable[[Config], float] | None = None, **given: Any) -> None:
        self._rate = rate or _own_rate
        self.choices: dict[str, list[Any] | Uniform] = {}
        for name, check in PARAMETERS.items():
            values = given[name]
            if isinstance(values, Uniform):
                self.choices[name] = _checked_range(name, values, check)
                continue
            found = [check(value) for value in _listed(name, values)]
            if not found:
                raise ValueError(f"{name} must hold at least one value. Received: {name}=[]")
            for i, value in enumerate(found):
                if value in found[:i]:
                    raise ValueError(f"The values of {name} must differ. Received: {value} twice")
            self.choices[name] = found
        if self._may_be("group_l1") and (self._may_be("l1") or self._may_be("l2")):
            raise ValueError("group_l1 excludes l1 and l2. Received: values above 0 of both")

    def _may_be(self, name: str) -> bool:
        """Return whether a penalty can be above 0."""
        values = self.choices[name]
        return isinstance(values, Uniform) or any(values)

    @property
    def ranges(self) -> list[str]:
        """The parameters that have a range."""
        return [name for name, values in self.choices.items() if isinstance(values, Uniform)]

    @property
    def varied(self) -> list[str]:
        """The parameters that have more than one value."""
        return [
            name
            for name, values in self.choices.items()
            if isinstance(values, Uniform) or len(values) > 1
        ]

    @property
    def size(self) -> float:
        """The number of configurations, infinite with a range."""
        return math.prod(
            math.inf if isinstance(values, Uniform) else len(values)
            for values in self.choices.values()
        )

    def resolve_batches(self, n_rows: int) -> None:
        """Replace the batch size None, for all rows, by their number."""
        sizes = self.choices["batch_size"]
        if isinstance(sizes, list):
            self.choices["batch_size"] = [n_rows if size is None else size for size in sizes]

    def to_dict(self) -> dict[str, Any]:
        """Return the space as plain JSON values."""
        return {
            name: f"{type(values).__name__}({values.low:g}, {values.high:g})"
            if isinstance(values, Uniform)
            else values
            for name, values in self.choices.items()
        }

    def grid(self) -> list[Config]:
        """Return all configurations.

        Raises
        ------
        ValueError
            If there is a range, or too many of them.
        """
        if self.ranges:
            raise ValueError(
                f"A grid takes lists of values. Received: a range for {self.ranges[0]}; give "
                "samples to draw from it"
            )
        if self.size > _MAX_CONFIGS:
            raise ValueError(
                f"A sweep has at most {_MAX_CONFIGS:,} configurations. Received: {self.size:,}"
            )
        return list(self._products())

    def _products(self) -> Iterator[Config]:
        lists = [values for values in self.choices.values() if isinstance(values, list)]
        for values in itertools.product(*lists):
            yield self.completed(dict(zip(self.choices, values, strict=True)))

    def drawn(self, n: int, seed: int) -> list[Config]:
        """Draw different configurations.

        Parameters
        ----------
        n : int
        seed : int

        Returns
        -------
        list of Config

        Raises
        ------
        ValueError
            If there are fewer.
        """
        if n > self.size:
            raise ValueError(
                f"samples must not be more than the configurations there are. Received: {n} of "
                f"{int(self.size)}"
            )
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4,)))
        if not self.ranges and self.size <= _MAX_CONFIGS:
            all_of_them = self.grid()
            return [all_of_them[i] for i in rng.choice(len(all_of_them), n, replace=False)]
        found: dict[tuple[Any, ...], Config] = {}
        for _ in range(_DRAWS * n):
            config = self.config({name: float(rng.random()) for name in self.choices})
            found.setdefault(tuple(config.values()), config)
            if len(found) == n:
                return list(found.values())
        raise ValueError(f"samples={n} is more than the number of different values in the ranges")

    def config(self, shares: dict[str, float]) -> Config:
        """Return the configuration at a share in [0, 1) of each parameter's values."""
        made = {}
        for name, values in self.choices.items():
            share = shares[name]
            if isinstance(values, Uniform):
                made[name] = rounded(name, values.at(share), values)
            else:
                made[name] = values[int(share * len(values))]
        return self.completed(made)

    def completed(self, config: Config) -> Config:
        """Set the learning rate if none is given."""
        if config["learning_rate"] is None:
            config["learning_rate"] = self._rate(config)
        return config


def _own_rate(config: Config) -> float:
    return float(optimizers.get(config["optimizer"]).learning_rate)


def _checked_range(name: str, values: Uniform, check: Callable[[Any], Any]) -> Uniform:
    if name not in RANGES:
        raise ValueError(f"{name} takes a list of values, not a range. Received: {values}")
    for end in (values.low, values.high):
        check(int(end) if name == "batch_size" else end)
    return values


def rounded(name: str, value: float, values: Uniform) -> float | int:
    """Round a number from a range to few digits, within the range."""
    if name == "batch_size":
        return min(max(round(value), math.ceil(values.low)), math.floor(values.high))
    return min(max(float(f"{value:.{_DIGITS}g}"), values.low), values.high)
