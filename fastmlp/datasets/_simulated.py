"""The lecture's simulated data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._utils import arguments

Arrays = tuple[np.ndarray, np.ndarray]


def regression_true_function(x: np.ndarray) -> np.ndarray:
    """Evaluate the lecture's true curve, ``0.2 cos(5x) - 0.25 x**2``.

    Parameters
    ----------
    x : ndarray of any shape

    Returns
    -------
    ndarray of the same shape
    """
    return 0.2 * np.cos(5 * x) - 0.25 * x**2


def classification_true_probability(x: np.ndarray) -> np.ndarray:
    """Evaluate the lecture's true probability, ``1 / (1 + exp(5 - 7 x1**2 - 25 x2**2))``.

    Parameters
    ----------
    x : ndarray of shape (n, 2)

    Returns
    -------
    ndarray of shape (n,)
        Of class 1.
    """
    return np.asarray(1 / (1 + np.exp(5 - 7 * x[:, 0] ** 2 - 25 * x[:, 1] ** 2)))


def _checked(n: int, seed: int) -> tuple[int, int]:
    n, seed = arguments.integer("n", n), arguments.integer("seed", seed, 0)
    if seed >= 1 << 32:
        raise ValueError(f"seed must be below 2**32, for this generator. Received: seed={seed}")
    return n, seed


def simulate(n: int, seed: int) -> Arrays:
    """Draw the lecture's regression data.

    Parameters
    ----------
    n : int
        Rows.
    seed : int
        Seed of NumPy's legacy generator, which the lecture used.

    Returns
    -------
    x, y : float32 ndarrays of shape (n, 1)
        x is uniform on [-2, 2]; y is the true curve plus normal noise of deviation 0.15.
    """
    n, seed = _checked(n, seed)
    rng = np.random.RandomState(seed)
    x = 4 * rng.random_sample((n, 1)) - 2
    y = regression_true_function(x) + 0.15 * rng.standard_normal((n, 1))
    return x.astype(np.float32), y.astype(np.float32)


def simulate_classification(n: int, seed: int) -> Arrays:
    """Draw the lecture's classification data.

    Parameters
    ----------
    n : int
        Rows.
    seed : int
        Seed of NumPy's legacy generator, which the lecture used.

    Returns
    -------
    x : float32 ndarray of shape (n, 2)
        Uniform on the square [-1, 1] x [-1, 1].
    y : float32 ndarray of shape (n, 1)
        1 with probability ``1 / (1 + exp(5 - 7 x1**2 - 25 x2**2))``, otherwise 0.
    """
    n, seed = _checked(n, seed)
    rng = np.random.RandomState(seed)
    x = 2 * rng.random_sample((n, 2)) - 1
    p = classification_true_probability(x)
    y = rng.binomial(1, p).reshape(n, 1)
    return x.astype(np.float32), y.astype(np.float32)


def regression_train() -> Arrays:
    """Return the lecture's 50 training rows.

    Returns
    -------
    x, y : float32 ndarrays of shape (50, 1)
    """
    return simulate(50, 986)


def regression_validation() -> Arrays:
    """Return the lecture's 1000 validation rows.

    Returns
    -------
    x, y : float32 ndarrays of shape (1000, 1)
    """
    return simulate(1000, 6315)


def grid() -> np.ndarray:
    """Return the 101 points on [-2, 2] at which the lecture draws curves.

    Returns
    -------
    float32 ndarray of shape (101, 1)
    """
    return np.linspace(-2, 2, 101, dtype=np.float32).reshape(-1, 1)


def classification_train() -> Arrays:
    """Return the lecture's 100 training points.

    Returns
    -------
    x : float32 ndarray of shape (100, 2)
    y : float32 ndarray of shape (100, 1)
        65 ones, 35 zeros.
    """
    return simulate_classification(100, 2)


def classification_validation() -> Arrays:
    """Return 10,000 points of the same distribution as the lecture's training points.

    The lecture's own validation points are lost. On these, the best possible accuracy is 0.9211.

    Returns
    -------
    x : float32 ndarray of shape (10000, 2)
    y : float32 ndarray of shape (10000, 1)
    """
    return simulate_classification(10_000, 3)


def _true_curve() -> Arrays:
    x = grid()
    return x, regression_true_function(x)


_SETS: dict[str, tuple[Callable[[], Arrays], tuple[str, ...]]] = {
    "regression_train": (regression_train, ("x", "y")),
    "regression_validation": (regression_validation, ("x", "y")),
    "regression_curve": (_true_curve, ("x", "y")),
    "classification_train": (classification_train, ("x1", "x2", "y")),
    "classification_validation": (classification_validation, ("x1", "x2", "y")),
}


NAMES = tuple(_SETS)


def load(name: str) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return one of the lecture's data sets by its name.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    names : tuple of str
        The columns' names; the target is the last.
    x, y : float32 ndarrays of shapes (n, inputs) and (n, 1)

    Raises
    ------
    ValueError
        If there is no such data set.
    """
    if not isinstance(name, str) or name not in _SETS:
        raise ValueError(f"name must be one of {', '.join(NAMES)}. Received: {name!r}")
    function, names = _SETS[name]
    return names, *function()
