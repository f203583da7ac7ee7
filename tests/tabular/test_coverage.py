"""Intervals and sets of trained networks cover 10,000 new rows as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp import tabular

NEW = 10_000


def table(kind, n, seed):
    rng = np.random.default_rng([seed, len(kind)])
    a, b, c = rng.normal(size=n), rng.uniform(0, 2, n), rng.choice(["p", "q", "r"], n)
    mean = np.sin(2 * a) + 2 * b + (c == "p")
    noise = {
        "skewed": lambda: rng.lognormal(0, 0.8, n),
        "heteroscedastic": lambda: (0.1 + b) * rng.normal(size=n),
        "heavy-tailed": lambda: rng.standard_t(2, n),
        "classes": lambda: rng.logistic(size=n) - 2.5,
    }[kind]()
    y = mean + noise
    if kind == "classes":
        y = np.where(y > 0, "yes", "no")
    return {"a": a, "b": b, "c": c, "y": y}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["skewed", "heteroscedastic", "heavy-tailed", "classes"])
@pytest.mark.parametrize("seed", range(3))
def test_intervals_of_networks_cover_new_rows(kind, seed):
    model = tabular.fit(
        table(kind, 10_000, seed), "y", interval=0.9, units="32,32", epochs=8, seed=seed, verbose=0
    )
    new = table(kind, NEW, seed + 100)
    found = model.predict_interval({name: new[name] for name in "abc"})
    if kind == "classes":
        codes = (new["y"] == model.classes[1]).astype(int)
        inside = found[np.arange(NEW), codes]
    else:
        low, high = found
        inside = (low <= new["y"]) & (new["y"] <= high)
        # Narrower than what is between the quantiles of y itself.
        whole = np.diff(np.quantile(new["y"], [0.05, 0.95]))[0]
        assert np.median(high - low) < whole
    assert 0.88 <= inside.mean() <= 0.92
