"""What a session trains, on which rows and how: plain values, checked, with limits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .._utils import arguments
from .._utils.names import ACTIVATIONS, GROUPS, OPTIMIZERS, PENALTIES

SETS = ("curve", "classes", "circle", "xor", "moons", "spiral")
STARTS = ("glorot", "he", "uniform", "normal")
HIDDEN = tuple(name for name in ACTIVATIONS if name != "softmax")
# What one browser may ask of this machine.
MOST_UNITS, MOST_LAYERS, MOST_WEIGHTS = 2048, 8, 1 << 23
MOST_ROWS, MOST_POINTS = 5000, 200
MOST_WORK = 1 << 30  # weights times rows of a batch: a step of about a tenth of a second
DEFAULTS = {
    "curve": {"rows": 50, "noise": 0.15},
    "classes": {"rows": 100, "noise": 0.0},
    **{name: {"rows": 200, "noise": 0.1} for name in SETS[2:]},
}
# Settings that take effect at once; any other one begins anew.
LIVE = ("activation", *PENALTIES, "groups", "proximal", "dropout", "rate", "optimizer")


def _between(name: str, value: Any, low: float, high: float) -> float:
    rule = f"a number from {low:g} to {high:g}"
    return arguments.number(name, value, rule, lambda v: low <= v <= high)


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return an integer between two bounds; 2.0 counts, as a browser may write it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return arguments.below(name, value, high + 1, low)


@dataclass(frozen=True)
class PlaySettings:
    """The settings of a session; every value is checked.

    Parameters
    ----------
    data : str
        'table', or one of `SETS`.
    rows, noise, data_seed
        Of simulated data. `data_seed` 0 draws the lecture's own rows for 'curve' and 'classes'.
    held_out : float
        Share of the rows held out. With 0, simulated data have further rows for that.
    target : str
        Of a table.
    inputs : tuple of str
        One or two columns of a table that the page draws over; empty for its first two.
    drop : tuple of str
        Columns of a table that are no inputs.
    units : tuple of int
        Widths of the hidden layers.
    activation : str
        Of the hidden layers.
    l1, l2, group : tuple of float
        Lambdas, one for each layer, output included. A layer with a group penalty has no other.
    proximal : bool
    groups : {'units', 'inputs'}
    dropout : float
        Rate behind each hidden layer.
    optimizer : str
    rate : float
    batch : int
        Rows of a batch; 0 for all rows.
    seed : int
        Of weights, row order, dropout and the rows held out.
    start : {'glorot', 'he', 'uniform', 'normal'}
        Law of the initial weights. 'uniform' draws weights and biases from [-1, 1] divided by the
        root of the layer's inputs, 'normal' from N(0, 0.05^2), as the lecture does; the others
        have biases of 0.

    Raises
    ------
    ValueError
        If a value is not possible, or exceeds what a page may ask for.
    """

    data: str = "classes"
    rows: int = 100
    noise: float = 0.0
    data_seed: int = 0
    held_out: float = 0.0
    target: str = ""
    inputs: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    units: tuple[int, ...] = (8, 8)
    activation: str = "relu"
    l1: tuple[float, ...] = (0.0,)
    l2: tuple[float, ...] = (0.0,)
    group: tuple[float, ...] = (0.0,)
    groups: str = "units"
    proximal: bool = True
    dropout: float = 0.0
    optimizer: str = "adam"
    rate: float = 0.01
    batch: int = 0
    seed: int = 1
    start: str = "glorot"

    def __post_init__(self) -> None:
        checked = {
            "data": arguments.one_of("data", self.data, ("table", *SETS)),
            "rows": whole("rows", self.rows, 4, MOST_ROWS),
            "noise": _between("noise", self.noise, 0, 1),
            "data_seed": whole("data_seed", self.data_seed, 0, (1 << 32) - 1),
            "held_out": _between("held_out", self.held_out, 0, 0.9),
            "target": self._target(),
            "inputs": self._names("inputs", 2),
            "drop": self._names("drop", 1000),
            "units": self._widths(),
            "activation": arguments.one_of("activation", self.activation, HIDDEN),
            "groups": arguments.one_of("groups", self.groups, GROUPS),
            "proximal": arguments.flag("proximal", self.proximal),
            "dropout": _between("dropout", self.dropout, 0, 0.95),
            "optimizer": arguments.one_of("optimizer", self.optimizer, OPTIMIZERS),
            "rate": _between("rate", self.rate, 0, 100),
            "batch": whole("batch", self.batch, 0, 1 << 20),
            "seed": whole("seed", self.seed, 0, (1 << 53) - 1),  # what a browser's numbers hold
            "start": arguments.one_of("start", self.start, STARTS),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        for name in PENALTIES:
            object.__setattr__(self, name, self._lambdas(name))

    def _target(self) -> str:
        if not isinstance(self.target, str) or len(self.target) > 1000:
            raise ValueError(f"target must be a column. Received: {self.target!r:.200}")
        return self.target

    def _names(self, name: str, most: int) -> tuple[str, ...]:
        names = arguments.items(name, getattr(self, name), "names of columns")
        if len(names) > most or not all(isinstance(column, str) for column in names):
            raise ValueError(f"{name} must be at most {most} columns. Received: {names!r:.200}")
        return tuple(names)

    def _widths(self) -> tuple[int, ...]:
        units = arguments.items("units", self.units, "widths of hidden layers")
        if not 1 <= len(units) <= MOST_LAYERS:
            raise ValueError(
                f"units must be 1 to {MOST_LAYERS} hidden layers. Received: {len(units)}"
            )
        widths = tuple(whole("units", width, 1, MOST_UNITS) for width in units)
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        if weights > MOST_WEIGHTS:
            raise ValueError(
                f"The hidden layers may have {MOST_WEIGHTS:,} weights. Received: {weights:,}"
            )
        return widths

    def _lambdas(self, name: str) -> tuple[float, ...]:
        value, n = getattr(self, name), len(self.units) + 1
        if isinstance(value, int | float):
            value = [value]
        values = [_between(name, v, 0, 100) for v in arguments.items(name, value, "lambdas")]
        if len(values) not in (1, n):
            raise ValueError(
                f"{name} must be one lambda, or one for each of {n} layers. "
                f"Received: {len(values)} lambdas"
            )
        return tuple(values * n if len(values) == 1 else values)

    def changed(self, **given: Any) -> PlaySettings:
        """Return settings with other values.

        Another number of layers gives new ones the lambdas of the last hidden layer; another data
        set brings its own number of rows and noise, where they are not given.
        """
        names = {field.name for field in fields(self)}
        for name in given:
            if name not in names:
                raise arguments.unknown("setting", name, names)
        if given.get("data", self.data) != self.data:
            given = {"inputs": (), "drop": (), **DEFAULTS.get(str(given["data"]), {}), **given}
        if "units" in given:
            n = len(arguments.items("units", given["units"], "widths of hidden layers"))
            for name in PENALTIES:
                hidden, last = getattr(self, name)[:-1], getattr(self, name)[-1]
                given.setdefault(name, (*(hidden + hidden[-1:] * n)[:n], last))
        return replace(self, **given)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Any) -> PlaySettings:
        """Make settings from a mapping of some of their names to values."""
        if not isinstance(values, Mapping) or not all(isinstance(k, str) for k in values):
            raise ValueError(f"settings must be a mapping. Received: {arguments.shown(values)}")
        return cls().changed(**values)


def finite(value: Any) -> float | None:
    """Return a number as JSON can hold it; None for what is not finite."""
    return float(value) if math.isfinite(value) else None
