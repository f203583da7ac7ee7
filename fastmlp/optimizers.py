"""Update rules. An optimizer object holds settings; the network holds its state.

The arithmetic of a step is in `_kernels/simd/optimizers.h`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import schedules
from ._utils import arguments as _arguments
from ._utils.names import OPTIMIZERS
from ._utils.settings import Configurable

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]


def _optional_positive(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    return _arguments.number(name, value, "a finite number above 0, or None", lambda v: v > 0)


def _positive(name: str, value: float) -> float:
    return _arguments.number(name, value, "a finite number above 0", lambda v: v > 0)


def _step(name: str, value: int) -> int:
    return _arguments.below(name, value, 1 << 53, 0, "2**53")


class Optimizer(Configurable):
    """Base class: a learning rate and, optionally, clipping of gradients.

    Every setting can be assigned at any time: ``optimizer.clipnorm = 1``. Training uses it from
    its next step on, and keeps the optimizer's state.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        A schedule from `schedules` gives each step of the optimizer its rate.
    global_clipnorm : float, optional
        Scale down the gradient of all weights and biases together to this Euclidean norm.
    clipvalue : float, optional
        Clip each entry of the gradient to [-clipvalue, clipvalue].
    clipnorm : float, optional
        Scale down the gradient of each layer's weights, and of its biases, to this Euclidean norm
        separately. Cannot be combined with global_clipnorm.
    """

    rule: str
    rules = {  # noqa: RUF012
        "global_clipnorm": _optional_positive,
        "clipvalue": _optional_positive,
        "clipnorm": _optional_positive,
    }
    _read_live = frozenset({"learning_rate"})

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        *,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.global_clipnorm = global_clipnorm
        self.clipvalue = clipvalue
        self.clipnorm = clipnorm

    def _set(self, name: str, value: Any) -> None:
        pair = ("clipnorm", "global_clipnorm")
        if name in pair and value is not None:
            given = {key: value if key == name else vars(self).get(key) for key in pair}
            if None not in given.values():
                raise ValueError(
                    "clipnorm and global_clipnorm cannot be combined. Received: "
                    + ", ".join(f"{key}={number!r}" for key, number in given.items())
                )
        super()._set(name, value)

    @property
    def learning_rate(self) -> Any:
        """Step size, finite and at least 0; or its schedule."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, (schedules.LearningRateSchedule, dict)):
            self._learning_rate: Any = schedules.get(value)
        else:
            self._learning_rate = _arguments.non_negative("learning_rate", value)

    @property
    def schedule(self) -> schedules.LearningRateSchedule | None:
        """The schedule of the learning rate; None if the rate is a number."""
        rate = self._learning_rate
        return rate if isinstance(rate, schedules.LearningRateSchedule) else None

    def rates(self, first_step: int, n_steps: int) -> np.ndarray:
        """Return the learning rates of `n_steps` steps, after the first `first_step` steps."""
        if self.schedule is None:
            return np.full(n_steps, self._learning_rate, np.float64)
        rates: np.ndarray = self.schedule(np.arange(first_step, first_step + n_steps))
        return rates

    @property
    def name(self) -> str:
        """The rule's name, in lower case."""
        return self.rule

    @property
    def slots(self) -> tuple[int, ...]:
        """Which of the network's two state arrays per parameter the rule uses."""
        raise NotImplementedError

    @property
    def square_slots(self) -> tuple[int, ...]:
        """Those of `slots` that hold squares, which are at least 0."""
        return self.slots[-1:]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        config = {key.lstrip("_"): value for key, value in vars(self).items()}
        if self.schedule is not None:
            config["learning_rate"] = _arguments.saved(self.schedule)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """Make an optimizer from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def engine_options(self) -> dict[str, Any]:
        """Return the settings under the names that the network's `configure` takes."""
        options = self.get_config()
        return {
            "optimizer": self.rule,
            "clip_norm": options.pop("global_clipnorm") or 0.0,
            "clip_array_norm": options.pop("clipnorm") or 0.0,
            "clip_value": options.pop("clipvalue") or 0.0,
            **options,
            "learning_rate": float(self.rates(0, 1)[0]),
        }

    def __repr__(self) -> str:
        config = self.get_config() | {"learning_rate": self.learning_rate}
        arguments = ", ".join(f"{key}={value!r}" for key, value in config.items())
        return f"{type(self).__name__}({arguments})"


class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum*v - rate*g; w += v.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    momentum : float
        In [0, 1).
    nesterov : bool
        The step is then momentum*v - rate*g with the new v.
    global_clipnorm, clipvalue, clipnorm
        See `Optimizer`.
    """

    rule = "sgd"
    rules = {"momentum": _arguments.fraction, "nesterov": _arguments.flag}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate, global_clipnorm=global_clipnorm, clipvalue=clipvalue, clipnorm=clipnorm
        )
        self.momentum = momentum
        self.nesterov = nesterov

    @property
    def slots(self) -> tuple[int, ...]:
        """The velocity if momentum is not 0, else none."""
        return (0,) if self.momentum else ()

    @property
    def square_slots(self) -> tuple[int, ...]:
        """None, because a velocity can be negative."""
        return ()


class RMSprop(Optimizer):
    """Gradients divided by a running root mean square: w -= rate * g / (sqrt(v) + epsilon).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    rho : float
        v = rho*v + (1 - rho)*g**2; in [0, 1).
    epsilon : float
    global_clipnorm, clipvalue, clipnorm
        See `Optimizer`.
    """

    rule = "rmsprop"
    rules = {"rho": _arguments.fraction, "epsilon": _positive}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        *,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate, global_clipnorm=global_clipnorm, clipvalue=clipvalue, clipnorm=clipnorm
        )
        self.rho = rho
        self.epsilon = epsilon

    @property
    def slots(self) -> tuple[int, ...]:
        """The mean square."""
        return (1,)


class Adagrad(Optimizer):
    """Gradients divided by the root of their summed squares: w -= rate * g / sqrt(a + epsilon).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    initial_accumulator_value : float
        Initial value of the sum a of squares.
    epsilon : float
    global_clipnorm, clipvalue, clipnorm
        See `Optimizer`.
    """

    rule = "adagrad"
    rules = {  # noqa: RUF012
        "initial_accumulator_value": _arguments.non_negative,
        "epsilon": _positive,
    }

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate, global_clipnorm=global_clipnorm, clipvalue=clipvalue, clipnorm=clipnorm
        )
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    @property
    def slots(self) -> tuple[int, ...]:
        """The sum of squares."""
        return (0,)

    def engine_options(self) -> dict[str, Any]:
        """Return the settings under the names that the network's `configure` takes."""
        options = super().engine_options()
        options["initial_accumulator"] = options.pop("initial_accumulator_value")
        return options


class Adam(Optimizer):
    """Adam: w -= rate_t * m / (sqrt(v) + epsilon).

    rate_t = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t), with t counted from
    `initial_step` + 1.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    beta_1, beta_2 : float
        Decay of the mean m of gradients and of the mean v of their squares; in [0, 1).
    epsilon : float
    initial_step : int
        Steps that the bias correction counts before the first step.
    global_clipnorm, clipvalue, clipnorm
        See `Optimizer`.

    References
    ----------
    Kingma & Ba (2015), ICLR, section 2, the last paragraph's form.
    """

    rule = "adam"
    rules = {  # noqa: RUF012
        "beta_1": _arguments.fraction,
        "beta_2": _arguments.fraction,
        "epsilon": _positive,
        "initial_step": _step,
    }

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        initial_step: int = 0,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate, global_clipnorm=global_clipnorm, clipvalue=clipvalue, clipnorm=clipnorm
        )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.initial_step = initial_step

    @property
    def slots(self) -> tuple[int, ...]:
        """The mean of gradients and the mean of their squares."""
        return (0, 1)


class AdamW(Adam):
    """Adam with decoupled weight decay: before each step, w -= rate * weight_decay * w.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
    weight_decay : float
    beta_1, beta_2, epsilon, initial_step, global_clipnorm, clipvalue, clipnorm
        See `Adam`.

    References
    ----------
    Loshchilov & Hutter (2019), ICLR.
    """

    rule = "adamw"
    rules = {"weight_decay": _arguments.non_negative}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        initial_step: int = 0,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            initial_step=initial_step,
            global_clipnorm=global_clipnorm,
            clipvalue=clipvalue,
            clipnorm=clipnorm,
        )
        self.weight_decay = weight_decay


_CLASSES: tuple[type[Optimizer], ...] = (SGD, RMSprop, Adagrad, Adam, AdamW)
_TABLE: dict[str, type[Optimizer]] = dict(zip(OPTIMIZERS, _CLASSES, strict=True))


def get(identifier: Any, custom: Mapping[str, Any] | None = None) -> Optimizer:
    """Return the optimizer that `identifier` names.

    Parameters
    ----------
    identifier : str, Optimizer class or object, or saved configuration
    custom : mapping of str to class, optional
        Optimizers and schedules that are not part of fastmlp, by name.

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError
        If the name is unknown; the message suggests the nearest.
    """
    if custom and isinstance(identifier, dict) and isinstance(identifier.get("config"), dict):
        config = identifier["config"]
        if isinstance(config.get("learning_rate"), dict):
            schedule = schedules.get(config["learning_rate"], custom)
            identifier = {**identifier, "config": {**config, "learning_rate": schedule}}
    return _arguments.resolve("optimizer", identifier, Optimizer, {**_TABLE, **(custom or {})})
