"""Check that training does not slow down when units die and weights become denormal.

    python benchmarks/programs/dying_units.py -o benchmarks/results/dying_units.json

Penalties and momentum shrink weights and moments towards zero without end. Two layers of 64 units
train for 5000 epochs with an L2 penalty that makes all weights vanish. The first and the last
thousand epochs are timed. For comparison a product of denormal numbers is timed in NumPy.
"""

import argparse
import datetime
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import recording

from fastmlp import models


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def run(optimizer, seed):
    """Return microseconds per epoch at the start and at the end, and the nonzero weights."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(64, 8)).astype("f4"), rng.normal(size=(64, 1)).astype("f4")
    model = models.mlp("64x2", 8, 1, l2=0.5, seed=seed)
    model.compile(optimizer, "mse")
    if optimizer == "sgd":
        model.optimizer.learning_rate = 0.05

    def fit(epochs):
        model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)

    fit(1)
    first = seconds(fit, 1000)
    fit(3000)
    last = seconds(fit, 1000)
    weights = np.concatenate([a.ravel() for a in model.get_weights()])
    tiny = np.finfo("f4").tiny
    assert not ((np.abs(weights) < tiny) & (weights != 0)).any()
    return 1e3 * first, 1e3 * last, int(np.count_nonzero(weights))


def numpys_ratio():
    """Return the time of a NumPy product of denormal numbers relative to normal numbers."""
    usual, small = np.full(100_000, 0.5, "f4"), np.full(100_000, 1e-39, "f4")
    times = [min(seconds(np.multiply, a, usual) for _ in range(50)) for a in (small, usual)]
    return times[0] / times[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--windows", type=int, default=5, help="networks for each optimizer")
    options = parser.parse_args()
    rows = []
    for optimizer in ("sgd", "adam", "rmsprop"):
        found = [run(optimizer, seed) for seed in range(options.windows)]
        first, last, left = (statistics.median(column) for column in zip(*found, strict=True))
        rows.append({"optimizer": optimizer, "first": first, "last": last, "nonzero": left})
        print(
            f"{optimizer}: the last thousand epochs take {last / first:.2f} of the first's time; "
            f"{left:.0f} numbers are left"
        )
    ratio = numpys_ratio()
    print(f"NumPy multiplies such numbers in {ratio:.1f} times the usual time")
    if options.output is not None:
        document = {
            "machine": recording.machine(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "settings": {"units": [64, 64], "rows": 64, "inputs": 8, "windows": options.windows},
            "microseconds an epoch": rows,
            "numpy": ratio,
        }
        recording.write(options.output, document)
        print(f"Wrote {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
