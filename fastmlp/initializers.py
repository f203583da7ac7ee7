"""Rules that draw initial weights and biases, under Keras's names.

Every initializer is called with a shape and returns an array. With a seed, it draws the same values
in every model; without one, it draws from the model's seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ._utils import arguments as _arguments
from ._utils.tf1_random import tf1_standard_normal

Seed: TypeAlias = "int | np.random.Generator | None"  # quoted: numpy.random is loaded when used
Shape = tuple[int, ...]
_PIECE = 1 << 22  # numbers drawn at a time


def _check_seed(seed: Any) -> Seed:
    if seed is None or isinstance(seed, np.random.Generator):
        return seed
    try:
        return _arguments.integer("seed", seed, 0)
    except ValueError:
        raise ValueError(
            "seed must be a non-negative integer, a numpy.random.Generator or None. "
            f"Received: seed={_arguments.shown(seed)}"
        ) from None


def _drawn(shape: Shape, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """Call `draw` piece by piece, so that Ctrl-C need not wait for all values."""
    n = math.prod(shape)
    values = np.empty(n)
    for start in range(0, n, _PIECE):
        values[start : start + _PIECE] = draw(min(_PIECE, n - start))
    return values.reshape(shape)


def _fans(shape: Shape) -> tuple[int, int]:
    """Return (inputs, outputs) of a unit; a vector counts as both."""
    return (shape[0], shape[0]) if len(shape) == 1 else (shape[0], shape[1])


class Initializer:
    """Base class: a subclass defines `draw`, which draws the values."""

    def __init__(self) -> None:
        self.seed: Seed = None

    def __call__(
        self,
        shape: Shape,
        dtype: str | np.dtype = "float32",
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Draw an array.

        Parameters
        ----------
        shape : tuple of int
            (n_in, n_out) for weights, (n_out,) for biases.
        dtype : {'float32', 'float64'}
            Values are drawn in float64 and rounded, so that both types share one stream.
        rng : numpy.random.Generator, optional
            Used if the initializer has no seed.

        Returns
        -------
        ndarray of that shape and type, C order
        """
        widths = _arguments.items("shape", shape, "one width or two")
        shape = tuple(_arguments.integer("a width in shape", n) for n in widths)
        if len(shape) not in (1, 2):
            raise ValueError(f"shape must hold one width or two. Received: shape={shape}")
        dtype = _arguments.dtype(dtype)
        if isinstance(self.seed, np.random.Generator):
            rng = self.seed
        elif self.seed is not None or rng is None:
            rng = np.random.default_rng(self.seed)
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(self.draw(shape, rng), dtype=dtype)
        if not (np.isfinite(values.min()) and np.isfinite(values.max())):
            raise ValueError(
                f"Initial values must be finite and fit into {np.dtype(dtype)}. "
                f"Received: {values.min()} to {values.max()} from {self!r}"
            )
        return values

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return values of that shape, drawn from `rng`."""
        raise NotImplementedError(f"{type(self).__name__} must define draw(shape, rng)")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; a Generator is left out."""
        config = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        if isinstance(config.get("seed"), np.random.Generator):
            config["seed"] = None
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Make an initializer from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Constant(Initializer):
    """Every value the same.

    Parameters
    ----------
    value : float
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = _arguments.number("value", value, "a finite number", lambda v: True)

    seed = None

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return the constant."""
        return np.full(shape, self.value)


class Zeros(Initializer):
    """Every value 0."""

    seed = None

    def __init__(self) -> None:
        pass

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """Every value 1."""

    seed = None

    def __init__(self) -> None:
        pass

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return ones."""
        return np.ones(shape)


class Identity(Initializer):
    """A multiple of the identity matrix; for weights only.

    Parameters
    ----------
    gain : float
    """

    seed = None

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _arguments.number("gain", gain, "a finite number", lambda v: True)

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return `gain` on the diagonal, 0 elsewhere."""
        n_in, n_out = _two_widths("Identity", shape)
        return self.gain * np.eye(n_in, n_out)


class RandomNormal(Initializer):
    """N(mean, stddev**2).

    With an int seed the values are those of Keras's RandomNormal on TensorFlow 1, to within
    the rounding of its mathematical library; drawn in float32 whatever the model's type.

    Parameters
    ----------
    mean, stddev : float
    seed : int, numpy.random.Generator, or None
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        self.mean = _arguments.number("mean", mean, "a finite number", lambda v: True)
        self.stddev = _arguments.non_negative("stddev", stddev)
        self.seed = _check_seed(seed)
        if isinstance(self.seed, int) and self.seed >= 1 << 64:
            raise ValueError(f"seed must be below 2**64. Received: seed={_arguments.shown(seed)}")

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return normals, from TensorFlow 1's stream if the seed is an int."""
        if isinstance(self.seed, int):
            normals = tf1_standard_normal(shape, self.seed)
            return normals * np.float32(self.stddev) + np.float32(self.mean)
        return _drawn(shape, lambda n: rng.normal(self.mean, self.stddev, n))


class RandomUniform(Initializer):
    """Uniform on [minval, maxval).

    Parameters
    ----------
    minval, maxval : float
    seed : int, numpy.random.Generator, or None
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        self.minval = _arguments.number("minval", minval, "a finite number", lambda v: True)
        self.maxval = _arguments.number(
            "maxval", maxval, f"a finite number of at least minval={minval}", lambda v: v >= minval
        )
        self.seed = _check_seed(seed)

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return uniform values."""
        return _drawn(shape, lambda n: rng.uniform(self.minval, self.maxval, n))


def _truncated_normal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Draw standard normals; what lies beyond 2 is drawn again."""
    values = _drawn(shape, rng.standard_normal)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = rng.standard_normal(int(outside.sum()))
        outside = np.abs(values) > 2
    return values


class TruncatedNormal(Initializer):
    """N(mean, stddev**2) without what lies more than two standard deviations from the mean.

    Parameters
    ----------
    mean, stddev : float
        Of the normal distribution before the cut.
    seed : int, numpy.random.Generator, or None
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        self.mean = _arguments.number("mean", mean, "a finite number", lambda v: True)
        self.stddev = _arguments.non_negative("stddev", stddev)
        self.seed = _check_seed(seed)

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return truncated normals."""
        return self.mean + self.stddev * _truncated_normal(shape, rng)


_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
# Standard deviation of a standard normal cut at -2 and 2.
_TRUNCATED_STD = 0.87962566103423978


class VarianceScaling(Initializer):
    """Draw values whose variance is scale / n.

    n is the number of inputs of a unit (``fan_in``), of outputs (``fan_out``), or their mean
    (``fan_avg``).

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {'fan_in', 'fan_out', 'fan_avg'}
    distribution : {'truncated_normal', 'untruncated_normal', 'uniform'}
    seed : int, numpy.random.Generator, or None
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
    ) -> None:
        self.scale = _arguments.number("scale", scale, "a finite number above 0", lambda v: v > 0)
        _arguments.one_of("mode", mode, _MODES)
        if isinstance(distribution, str) and distribution == "normal":
            distribution = "truncated_normal"
        _arguments.one_of("distribution", distribution, _DISTRIBUTIONS)
        self.mode = mode
        self.distribution = distribution
        self.seed = _check_seed(seed)

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return values of variance scale / n."""
        fan_in, fan_out = _fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        std = math.sqrt(self.scale / n)
        if self.distribution == "uniform":
            limit = math.sqrt(3) * std
            return _drawn(shape, lambda n: rng.uniform(-limit, limit, n))
        if self.distribution == "untruncated_normal":
            return std * _drawn(shape, rng.standard_normal)
        return std / _TRUNCATED_STD * _truncated_normal(shape, rng)


class _Scaled(VarianceScaling):
    """A VarianceScaling with fixed settings; the seed is its only argument."""

    rule: tuple[float, str, str]

    def __init__(self, seed: Seed = None) -> None:
        super().__init__(*self.rule, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": super().get_config()["seed"]}


class GlorotUniform(_Scaled):
    """Uniform on [-a, a] with a = sqrt(6 / (n_in + n_out)).

    Parameters
    ----------
    seed : int, numpy.random.Generator, or None

    References
    ----------
    Glorot & Bengio (2010), AISTATS, eq. 16.
    """

    rule = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (n_in + n_out).

    Parameters
    ----------
    seed : int, numpy.random.Generator, or None

    References
    ----------
    Glorot & Bengio (2010), AISTATS.
    """

    rule = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform on [-a, a] with a = sqrt(6 / n_in).

    Parameters
    ----------
    seed : int, numpy.random.Generator, or None

    References
    ----------
    He et al. (2015), ICCV.
    """

    rule = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / n_in.

    Parameters
    ----------
    seed : int, numpy.random.Generator, or None

    References
    ----------
    He et al. (2015), ICCV.
    """

    rule = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform on [-a, a] with a = sqrt(3 / n_in).

    Parameters
    ----------
    seed : int, numpy.random.Generator, or None
    """

    rule = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / n_in.

    Parameters
    ----------
    seed : int, numpy.random.Generator, or None
    """

    rule = (1.0, "fan_in", "truncated_normal")


def _two_widths(name: str, shape: Shape) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(f"{name} draws matrices only. Received: shape={shape}")
    return shape[0], shape[1]


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    Parameters
    ----------
    gain : float
    seed : int, numpy.random.Generator, or None
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        self.gain = _arguments.number("gain", gain, "a finite number", lambda v: True)
        self.seed = _check_seed(seed)

    def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return an orthogonal matrix, drawn uniformly from all of them."""
        n_in, n_out = _two_widths("Orthogonal", shape)
        q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
        q *= np.sign(np.diag(r))  # makes the factorisation unique, and so the distribution uniform
        return self.gain * (q if n_in >= n_out else q.T)


zeros = Zeros
ones = Ones
constant = Constant
identity = Identity
random_normal = normal = RandomNormal
random_uniform = uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
he_uniform = HeUniform
he_normal = HeNormal
lecun_uniform = LecunUniform
lecun_normal = LecunNormal
orthogonal = Orthogonal

_TABLE: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "identity": Identity,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
}


def get(identifier: Any) -> Initializer:
    """Return the initializer that `identifier` names.

    Parameters
    ----------
    identifier : str, Initializer class or object

    Returns
    -------
    Initializer

    Raises
    ------
    ValueError
        If the name is unknown; the message suggests the nearest.
    """
    return _arguments.resolve("initializer", identifier, Initializer, _TABLE)
