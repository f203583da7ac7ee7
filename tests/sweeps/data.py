"""Data and small sweeps that the tests share."""

from __future__ import annotations

import numpy as np

import fastmlp
from fastmlp import sweeps


def regression(n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, x[:, 0] - np.abs(x[:, 1]) + 0.1 * rng.normal(size=n)


def classes(n=60, k=3, seed=0):
    x, y = regression(n, seed)
    return x, np.array(["ash", "elm", "oak", "yew"])[np.argsort(np.argsort(y)) * k // n]


QUICK = {"epochs": 3, "batch_size": 16, "verbose": 0, "seed": 5}


def small(units=("4", "8x2"), l2=(0.0, 0.01), seeds=3, **options):
    """Run 12 tiny networks unless told otherwise."""
    x, y = regression()
    given = {
        "units": list(units),
        "l2": l2 if isinstance(l2, sweeps.Uniform) else list(l2),
        "seeds": seeds,
        **QUICK,
        **options,
    }
    return fastmlp.sweep(x, y, **given)
