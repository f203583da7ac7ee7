"""Data that several tests of paths take."""

from __future__ import annotations

import numpy as np


def regression(n=80, p=6, seed=0):
    """Three of the inputs matter, one of them by a curve."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    y = 3 * x[:, 0] - 2 * x[:, 1] + np.abs(x[:, 2]) + 0.5 * rng.normal(size=n) + 10
    return x, y


def classes(n=90, p=5, n_classes=2, seed=0):
    """Classes along the first input, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    score = x[:, 0] + 0.4 * rng.normal(size=n)
    codes = np.digitize(score, np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1]))
    return x, np.array([f"class{c}" for c in codes])
