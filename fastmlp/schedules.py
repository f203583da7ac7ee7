"""Learning rates as functions of the optimizer's step, under Keras's names.

A schedule replaces the number: ``Adam(learning_rate=CosineDecay(0.001, 10_000))``. It is called
with the number of steps that the optimizer has already made, 0 for the first step.

The arithmetic of each schedule is its method `rates`; `_training/rates.py` applies it in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._utils import arguments as _arguments

__all__ = [
    "CosineCycles",
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "StepDecay",
    "get",
]


class LearningRateSchedule:
    """Base class: a subclass defines `rates`, which returns the rate of each step.

    Parameters
    ----------
    name : str, optional
        Stored, but not used.
    """

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise ValueError(
                f"name must be a text or None. Received: name={_arguments.shown(name)}"
            )
        self.name = name

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rates of `steps`, a float64 array; they must be finite and at least 0."""
        raise NotImplementedError(f"{type(self).__name__} must define rates(steps)")

    def __call__(self, step: Any) -> Any:
        """Return the rate of one step, or of each of an array of steps.

        Parameters
        ----------
        step : int or array-like of int
            Steps already made; 0 for the first step.

        Returns
        -------
        float, or ndarray of float64
        """
        steps = np.asarray(step, np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            values = np.asarray(self.rates(np.atleast_1d(steps)), np.float64)
        if values.shape != np.atleast_1d(steps).shape:
            raise ValueError(
                f"{type(self).__name__}.rates must return one rate per step. "
                f"Received: shape {values.shape} for {steps.size} steps"
            )
        if not (np.isfinite(values).all() and (values >= 0).all()):
            bad = int(np.argmin(np.isfinite(values) & (values >= 0)))
            raise ValueError(
                "A learning rate must be finite and at least 0. Received: "
                f"{values[bad]} from {self!r} at step {int(np.atleast_1d(steps)[bad])}"
            )
        return float(values[0]) if steps.ndim == 0 else values

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """Make a schedule from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def __repr__(self) -> str:
        arguments = (f"{k}={v!r}" for k, v in self.get_config().items() if k != "name")
        return f"{type(self).__name__}({', '.join(arguments)})"


def _positive(name: str, value: Any) -> float:
    return _arguments.number(name, value, "a finite number above 0", lambda v: v > 0)


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Steps in which the rate falls by the factor `decay_rate`.
    decay_rate : float
    staircase : bool
        Whether to round the exponent down, so that the rate falls every `decay_steps` steps.
    name : str, optional
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = _arguments.non_negative(
            "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps = _arguments.integer("decay_steps", decay_steps)
        self.decay_rate = _positive("decay_rate", decay_rate)
        self.staircase = _arguments.flag("staircase", staircase)

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rate of each step."""
        power = steps / self.decay_steps
        if self.staircase:
            power = np.floor(power)
        return self.initial_learning_rate * self.decay_rate**power


class StepDecay(LearningRateSchedule):
    """initial_learning_rate * drop ** floor(step / steps_per_drop).

    Parameters
    ----------
    initial_learning_rate : float
    steps_per_drop : int
    drop : float
        The factor at each drop.
    name : str, optional
    """

    def __init__(
        self,
        initial_learning_rate: float,
        steps_per_drop: int,
        drop: float = 0.5,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = _arguments.non_negative(
            "initial_learning_rate", initial_learning_rate
        )
        self.steps_per_drop = _arguments.integer("steps_per_drop", steps_per_drop)
        self.drop = _positive("drop", drop)

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rate of each step."""
        return self.initial_learning_rate * self.drop ** np.floor(steps / self.steps_per_drop)


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    decay_rate : float
    staircase : bool
        Whether to round step / decay_steps down.
    name : str, optional
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = _arguments.non_negative(
            "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps = _arguments.integer("decay_steps", decay_steps)
        self.decay_rate = _arguments.non_negative("decay_rate", decay_rate)
        self.staircase = _arguments.flag("staircase", staircase)

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rate of each step."""
        time = steps / self.decay_steps
        if self.staircase:
            time = np.floor(time)
        return self.initial_learning_rate / (1.0 + self.decay_rate * time)


class PolynomialDecay(LearningRateSchedule):
    """(initial - end) * (1 - step / decay_steps) ** power + end; after `decay_steps`, `end`.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
    end_learning_rate : float
    power : float
    cycle : bool
        Whether to restart the decay instead of staying at the end: `decay_steps` is replaced by
        its smallest multiple that is not below the step.
    name : str, optional
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = _arguments.non_negative(
            "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps = _arguments.integer("decay_steps", decay_steps)
        self.end_learning_rate = _arguments.non_negative("end_learning_rate", end_learning_rate)
        self.power = _positive("power", power)
        self.cycle = _arguments.flag("cycle", cycle)

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rate of each step."""
        if self.cycle:
            total = self.decay_steps * np.maximum(1.0, np.ceil(steps / self.decay_steps))
        else:
            total = np.full_like(steps, self.decay_steps)
        left = 1.0 - np.minimum(steps, total) / total
        span = self.initial_learning_rate - self.end_learning_rate
        return span * left**self.power + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1], and so on.

    Parameters
    ----------
    boundaries : sequence of int
        Steps, ascending.
    values : sequence of float
        One more than boundaries.
    name : str, optional
    """

    def __init__(
        self, boundaries: Sequence[int], values: Sequence[float], name: str | None = None
    ) -> None:
        super().__init__(name)
        steps = _arguments.items("boundaries", boundaries, "steps")
        rates = _arguments.items("values", values, "learning rates")
        self.boundaries = [_arguments.integer("a boundary", step, 0) for step in steps]
        self.values = [_arguments.non_negative("a value", value) for value in rates]
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError(f"boundaries must ascend. Received: boundaries={self.boundaries}")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                "values must be one more than boundaries. "
                f"Received: {len(self.values)} values and {len(self.boundaries)} boundaries"
            )

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rate of each step."""
        return np.asarray(self.values)[np.searchsorted(self.boundaries, steps)]


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate down to alpha times it, optionally after a warm-up.

    With t = min(step, decay_steps) / decay_steps the rate is
    initial_learning_rate * ((1 - alpha) * (1 + cos(pi * t)) / 2 + alpha). With a warm-up the rate
    first rises linearly from `initial_learning_rate` to `warmup_target`, where the cosine starts.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Steps of the cosine, without those of the warm-up.
    alpha : float
        The last rate divided by the rate at which the cosine starts; in [0, 1].
    name : str, optional
    warmup_target : float, optional
        None: no warm-up.
    warmup_steps : int

    References
    ----------
    Loshchilov & Hutter (2017), ICLR, eq. 5, without restarts.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str | None = None,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = _arguments.non_negative(
            "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps = _arguments.integer("decay_steps", decay_steps)
        self.alpha = _arguments.number("alpha", alpha, "a number in [0, 1]", lambda v: 0 <= v <= 1)
        self.warmup_target = (
            None
            if warmup_target is None
            else _arguments.non_negative("warmup_target", warmup_target)
        )
        self.warmup_steps = _arguments.integer("warmup_steps", warmup_steps, 0)
        if self.warmup_steps and self.warmup_target is None:
            raise ValueError(
                "warmup_steps requires warmup_target, the rate to rise to. "
                f"Received: warmup_steps={warmup_steps}, warmup_target=None"
            )

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rate of each step."""
        first = self.initial_learning_rate
        top = first if self.warmup_target is None else self.warmup_target
        time = np.clip(steps - self.warmup_steps, 0, self.decay_steps) / self.decay_steps
        cosine = top * ((1 - self.alpha) * 0.5 * (1 + np.cos(np.pi * time)) + self.alpha)
        if not self.warmup_steps:
            return cosine
        rise = first + (top - first) * steps / self.warmup_steps
        return np.where(steps < self.warmup_steps, rise, cosine)


class CosineCycles(LearningRateSchedule):
    """Whole cosine waves between 0 and a peak, each twice as long as the one before.

    With t = min(step, total_steps) / total_steps the rate is
    peak / 2 * (1 - cos(2 * pi * log2(1 + (2**cycles - 1) * t))), which is 0 at both ends. The
    last wave takes half of the steps; where training ends a wave early, an earlier one has ended
    before at rate 0. Steps after `total_steps` have rate 0, or with `again` the rates of the last
    `again` steps a second time.

    Parameters
    ----------
    peak : float
    total_steps : int
    cycles : int
    name : str, optional
    again : int
        At most `total_steps`.

    References
    ----------
    Holzmueller, Grinsztajn & Steinwart (2024), NeurIPS, section 3.
    """

    def __init__(
        self,
        peak: float,
        total_steps: int,
        cycles: int = 4,
        name: str | None = None,
        again: int = 0,
    ) -> None:
        super().__init__(name)
        self.peak = _arguments.non_negative("peak", peak)
        self.total_steps = _arguments.integer("total_steps", total_steps)
        self.cycles = _arguments.below("cycles", cycles, 31)
        self.again = _arguments.integer("again", again, 0)
        if self.again > self.total_steps:
            raise ValueError(
                f"again must be at most total_steps, {self.total_steps}. Received: again={again}"
            )

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """Return the rate of each step."""
        steps = np.where(steps >= self.total_steps, steps - self.again, steps)
        time = np.minimum(steps, self.total_steps) / self.total_steps
        waves = np.log2(1 + (2**self.cycles - 1) * time)
        return np.maximum(self.peak * 0.5 * (1 - np.cos(2 * np.pi * waves)), 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        config = super().get_config()
        if not config["again"]:  # the default, left out so that earlier versions read the rest
            del config["again"]
        return config


_CLASSES: tuple[type[LearningRateSchedule], ...] = (
    ExponentialDecay,
    StepDecay,
    InverseTimeDecay,
    PolynomialDecay,
    PiecewiseConstantDecay,
    CosineDecay,
    CosineCycles,
)
_TABLE = {_arguments.snake_case(cls.__name__): cls for cls in _CLASSES}


def get(identifier: Any, custom: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """Return the schedule that `identifier` describes.

    Parameters
    ----------
    identifier : LearningRateSchedule or dict
        A schedule, or {'class_name': ..., 'config': ...} as a saved optimizer holds it.
    custom : mapping of str to class, optional
        Schedules that are not part of fastmlp, by name.

    Returns
    -------
    LearningRateSchedule

    Raises
    ------
    ValueError
        If it is neither; the message suggests the nearest name.
    """
    if isinstance(identifier, (dict, LearningRateSchedule)):
        table = {**_TABLE, **(custom or {})}
        return _arguments.resolve("schedule", identifier, LearningRateSchedule, table)
    raise ValueError(
        "schedule must be an object of optimizers.schedules, such as CosineDecay(0.001, 10_000). "
        f"Received: {_arguments.shown(identifier)}"
    )
