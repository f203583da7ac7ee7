"""Choose lambda with cross-validated paths of the lecture's penalised networks.

The lecture chose its lambdas by hand. Here fifty lambdas are fitted, from the smallest up, and ten
folds estimate the error on new rows. The L1 penalty makes weights exactly zero. With growing lambda
the fitted curve changes from wiggles to the true function to a constant.
"""

import argparse
from pathlib import Path

import numpy as np

import fastmlp
from fastmlp import datasets, plots

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=500, help="epochs for each lambda (500)")
parser.add_argument("--units", default="64x2", help="hidden layers (64x2)")
parser.add_argument("--lambdas", type=int, default=50, help="number of lambdas (50)")
parser.add_argument("-o", dest="directory", type=Path, default=Path("lambda_path"))
args = parser.parse_args()
args.directory.mkdir(parents=True, exist_ok=True)

x, y = datasets.regression_train()
val_x, val_y = datasets.regression_validation()
options = {"n_lambdas": args.lambdas, "folds": 10, "epochs": args.epochs, "seed": 0, "verbose": 1}

print(f"{'':18}{'lambda':>10}{'cv mse':>10}{'val mse':>10}{'weights':>9}{'units':>7}")
for penalty in ("l1", "l2"):
    result = fastmlp.path(x, y, args.units, penalty=penalty, **options)
    for name, i in (("min", result.index_min), ("1se", result.index_1se), ("least", -1)):
        val_mse = np.mean((result.predict(val_x, i) - val_y[:, 0]) ** 2)
        print(
            f"{penalty + ', lambda ' + name:18}{result.lambdas[i]:10.2g}{result.cv_mean[i]:10.4f}"
            f"{val_mse:10.4f}{result.n_nonzero[i]:9d}{result.n_live[i]:7d}"
        )
    for kind in ("cv", "path", "fits"):
        draw = getattr(result, f"plot_{kind}")
        plots.save(draw(), args.directory / f"{penalty}_{kind}.png")
