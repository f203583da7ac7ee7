"""Time paths of lambdas: of a network with `fastmlp path`, and of the lasso and scikit-learn's.

    python benchmarks/programs/paths.py -o results.json
    python benchmarks/programs/paths.py --from results.json

The data are scikit-learn's diabetes data, 442 rows of 10 inputs. The network has two hidden layers
of 64 units. `fastmlp path` fits 50 lambdas and 5 folds; the time is that of the whole process,
including table, figures and model. The lasso has the same 50 lambdas and the same folds in both
libraries, standardised by the training rows of each fold. scikit-learn's tolerance is set so that
its coefficients agree to 1e-6 with fastmlp's, which are exact to rounding. They take turns.
"""

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import recording

UNITS, N_LAMBDAS, FOLDS = "64x2", 50, 5


def write_table(directory):
    from sklearn.datasets import load_diabetes

    data = load_diabetes()
    path = directory / "diabetes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*data.feature_names, "y"])
        writer.writerows(np.column_stack([data.data, data.target]).tolist())
    return path


def time_command(table, directory):
    command = [sys.executable, "-m", "fastmlp.cli", "path", str(table), "--target", "y"]
    command += ["--units", UNITS, "--n-lambdas", str(N_LAMBDAS), "--folds", str(FOLDS)]
    command += ["--seed", "0", "-o", str(directory / "out"), "--force", "-q"]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def scaled(x, y, rows):
    means, scales = x[rows].mean(axis=0), x[rows].std(axis=0)
    return (x - means) / scales, (y - y[rows].mean()) / y[rows].std()


def sklearn_path(x, y, lambdas, folds, tol):
    """Fit the same lasso path as fastmlp; return the coefficients on all rows."""
    from sklearn.linear_model import lasso_path

    everything = np.ones(len(y), bool)
    for held in [*(folds == k for k in range(FOLDS)), ~everything]:
        z, t = scaled(x, y, ~held)
        _, weights, _ = lasso_path(
            z[~held], t[~held], alphas=lambdas / 2, tol=tol, max_iter=100_000
        )
        if held.any():
            np.square(z[held] @ weights - t[held][:, None]).mean(axis=0)
    return weights.T


def time_lasso(rounds):
    from sklearn.datasets import load_diabetes

    import fastmlp

    x, y = load_diabetes(return_X_y=True)
    ours = fastmlp.path(x, y, n_lambdas=N_LAMBDAS, folds=FOLDS, seed=0, verbose=0)
    exact = ours.coefficients[:, :, 0]
    tol = 1e-4
    while np.abs(sklearn_path(x, y, ours.lambdas, ours.folds, tol) - exact).max() > 1e-6:
        tol /= 10
    seconds = {"fastmlp": [], "scikit-learn": []}
    for _ in range(rounds):
        start = time.perf_counter()
        fastmlp.path(x, y, lambdas=ours.lambdas, folds=ours.folds, verbose=0)
        middle = time.perf_counter()
        sklearn_path(x, y, ours.lambdas, ours.folds, tol)
        seconds["fastmlp"].append(middle - start)
        seconds["scikit-learn"].append(time.perf_counter() - middle)
    return {"seconds": seconds, "sklearn_tol": tol}


def measure(rounds):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        table = write_table(directory)
        command = [time_command(table, directory) for _ in range(rounds)]
    return {
        "settings": {"units": UNITS, "n_lambdas": N_LAMBDAS, "folds": FOLDS, "rounds": rounds},
        "machine": recording.machine(),
        "network_command_seconds": command,
        "lasso": time_lasso(5 * rounds),
    }


def report(document):
    command = document["network_command_seconds"]
    print(f"network, {UNITS}, command: {statistics.median(command):.2f} s")
    lasso = {k: statistics.median(v) for k, v in document["lasso"]["seconds"].items()}
    for library, seconds in lasso.items():
        print(f"lasso, {library}: {1000 * seconds:.1f} ms")
    print(f"lasso, fastmlp / scikit-learn: {lasso['fastmlp'] / lasso['scikit-learn']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--from", dest="source", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    document = recording.read(options.source) if options.source else measure(options.rounds)
    report(document)
    if options.output:
        recording.write(options.output, document)


if __name__ == "__main__":
    main()
