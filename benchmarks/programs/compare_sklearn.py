"""Fit fastmlp's scikit-learn estimators and scikit-learn's own to the same tables.

    python benchmarks/programs/compare_sklearn.py -o results.json
    python benchmarks/programs/compare_sklearn.py --cases digits --seeds 0,1 -o results.json
    python benchmarks/programs/compare_sklearn.py --list

Both get the same parameters, rows and random_state, so that they start from the same weights. The
seed also determines the split. They take turns at going first, and only `fit` is timed. Scores are
R squared or accuracy on a quarter of the rows, held out. `verdict` is "equal" if the 95% confidence
interval (Student's t) of the score differences over the seeds contains 0. Results are added to an
existing file; a repeated case and seed replaces the old result.
"""

import argparse
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import recording
import sklearn
from scipy import stats
from sklearn import datasets, neural_network
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import fastmlp.sklearn


def california():
    """Return simulated data of the size of California's housing data: nonlinear, skewed, noisy."""
    rng = np.random.default_rng(1990)
    x = rng.gamma(2.0, 1.0, (20640, 8))
    place = np.exp(-((x[:, 6] - 2) ** 2) - (x[:, 7] - 2) ** 2)
    y = np.log1p(x[:, 0]) * (1 + place) + 0.3 * np.sin(2 * x[:, 1]) - 0.2 * x[:, 2] * (x[:, 3] > 2)
    return x, y + 0.3 * rng.standard_normal(len(y))


TABLES = {
    "diabetes": datasets.load_diabetes,
    "wine": datasets.load_wine,
    "cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "california": california,
}
REGRESSION = ("diabetes", "california")
# name: (table, parameters that differ from the defaults)
CASES = {
    "diabetes": ("diabetes", {}),
    "diabetes-early": ("diabetes", {"early_stopping": True}),
    "diabetes-lbfgs": ("diabetes", {"solver": "lbfgs", "alpha": 10.0}),
    "wine": ("wine", {}),
    "wine-lbfgs": ("wine", {"solver": "lbfgs"}),
    "cancer": ("cancer", {}),
    "cancer-sgd": ("cancer", {"solver": "sgd", "learning_rate": "adaptive"}),
    "digits": ("digits", {}),
    "digits-early": ("digits", {"early_stopping": True}),
    "digits-deep": ("digits", {"hidden_layer_sizes": (256, 256, 256)}),
    "california": ("california", {}),
    "california-early": ("california", {"early_stopping": True}),
    "california-float32": ("california", {}),
}
PAUSE = 0.3  # seconds, so that idle threads of the previous fit stop spinning
LIBRARIES = {"fastmlp": fastmlp.sklearn, "scikit-learn": neural_network}


def data(case, seed):
    """Return training and test rows, with columns of mean 0 and standard deviation 1."""
    name = CASES[case][0]
    loaded = TABLES[name]() if name == "california" else TABLES[name](return_X_y=True)
    strata = None if name in REGRESSION else loaded[1]
    x, x_test, y, y_test = train_test_split(*loaded, random_state=seed, stratify=strata)
    scaler = StandardScaler().fit(x)
    x, x_test = scaler.transform(x), scaler.transform(x_test)
    if name in REGRESSION:
        y, y_test = (y - y.mean()) / y.std(), (y_test - y.mean()) / y.std()
    if case.endswith("float32"):
        x, x_test = x.astype(np.float32), x_test.astype(np.float32)
    return x, x_test, y, y_test


def measure(case, seed):
    """Fit both; return a dict for each library."""
    table, parameters = CASES[case]
    kind = "MLPRegressor" if table in REGRESSION else "MLPClassifier"
    x, x_test, y, y_test = data(case, seed)
    names = list(LIBRARIES)
    measured = {}
    for name in names if seed % 2 else reversed(names):
        estimator = getattr(LIBRARIES[name], kind)(random_state=seed, max_iter=1000, **parameters)
        time.sleep(PAUSE)
        start = time.perf_counter()
        estimator.fit(x, y)
        seconds = time.perf_counter() - start
        measured[name] = {
            "case": case,
            "seed": seed,
            "library": name,
            "seconds": seconds,
            "iterations": estimator.n_iter_,
            "score": estimator.score(x_test, y_test),
        }
    return [measured[name] for name in names]


def verdict(ours, theirs):
    """Compare paired scores; return the verdict, mean difference and half width of the interval."""
    differences = np.subtract(ours, theirs)
    mean, n = float(differences.mean()), len(differences)
    if n < 2:
        return "unknown", mean, None
    half = float(stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n))
    return ("equal" if abs(mean) <= half else "better" if mean > 0 else "worse"), mean, half


def summarise(runs):
    """Return one row for each case."""
    rows = []
    for case in CASES:
        ours, theirs = (
            sorted(
                (r for r in runs if r["case"] == case and r["library"] == name),
                key=lambda r: r["seed"],
            )
            for name in LIBRARIES
        )
        if not ours:
            continue
        word, mean, half = verdict([r["score"] for r in ours], [r["score"] for r in theirs])
        seconds = [statistics.median(r["seconds"] for r in side) for side in (ours, theirs)]
        steps = [statistics.median(r["iterations"] for r in side) for side in (ours, theirs)]
        rows.append(
            {
                "case": case,
                "seeds": len(ours),
                "seconds": seconds[0],
                "sklearn_seconds": seconds[1],
                "ratio": seconds[1] / seconds[0],
                "ratio_per_iteration": seconds[1] / steps[1] / (seconds[0] / steps[0]),
                "iterations": steps[0],
                "sklearn_iterations": steps[1],
                "score": statistics.mean(r["score"] for r in ours),
                "sklearn_score": statistics.mean(r["score"] for r in theirs),
                "difference": mean,
                "half_width": half,
                "verdict": word,
            }
        )
    return rows


def table(rows):
    lines = [
        f"{'case':20}{'fastmlp s':>11}{'sklearn s':>11}{'ratio':>7}{'per it.':>9}"
        f"{'it.':>7}{'sklearn':>9}{'score':>9}{'sklearn':>9}  verdict"
    ]
    lines += [
        f"{r['case']:20}{r['seconds']:>11.3f}{r['sklearn_seconds']:>11.3f}{r['ratio']:>7.1f}"
        f"{r['ratio_per_iteration']:>9.1f}{r['iterations']:>7.0f}{r['sklearn_iterations']:>9.0f}"
        f"{r['score']:>9.4f}{r['sklearn_score']:>9.4f}  {r['verdict']}"
        for r in rows
    ]
    return "\n".join(lines)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="comma-separated")
    parser.add_argument("-o", "--output", type=Path, metavar="JSON", help="file to add results to")
    parser.add_argument("--list", action="store_true", help="print the cases, then exit")
    options = parser.parse_args(arguments)
    options.cases = options.cases.split(",")
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; see --list")
    return options


def main():
    options = parse()
    if options.list:
        print("\n".join(f"{name:20}{table}, {more}" for name, (table, more) in CASES.items()))
        return
    warnings.simplefilter("ignore")
    about = recording.machine() | {"scikit-learn": sklearn.__version__, "numpy": np.__version__}
    measure("wine", 0)  # warm-up of both libraries
    runs = []
    for case in options.cases:
        for seed in options.seeds:
            print(f"{case}, seed {seed}", file=sys.stderr)
            runs += measure(case, seed)
    if options.output and options.output.is_file():
        new = {(r["case"], r["seed"]) for r in runs}
        runs = [r for r in recording.read(options.output)["runs"]
                if (r["case"], r["seed"]) not in new] + runs  # fmt: skip
    rows = summarise(runs)
    print(table(rows))
    if options.output:
        recording.write(options.output, {"machine": about, "results": rows, "runs": runs})


if __name__ == "__main__":
    main()
