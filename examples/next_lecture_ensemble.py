"""Next lecture: an ensemble of ten 256x5 networks, each stopped after 100 epochs.

The members differ only in their initial weights. The mean of their predictions has a smaller
validation error than the members have on average, and than most members have alone.
"""

import argparse
from pathlib import Path

import numpy as np

import fastmlp
from fastmlp import datasets, initializers, layers, models, plots

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=100, help="epochs of every member (100)")
parser.add_argument("--units", type=int, default=256, help="units of each hidden layer (256)")
parser.add_argument("--members", type=int, default=10)
parser.add_argument("-o", dest="directory", type=Path, default=Path("next_lecture"))
args = parser.parse_args()
args.directory.mkdir(parents=True, exist_ok=True)

train_x, train_y = datasets.regression_train()
val_x, val_y = datasets.simulate(10000, 6315)
hidden_units = [args.units] * 5

np.random.seed(65392)
networks = []
for _ in range(args.members):
    b_init_seeds = np.random.randint(1, 1e6, size=len(hidden_units) + 1)
    w_init_seeds = np.random.randint(1, 1e6, size=len(hidden_units) + 1)
    model = models.Sequential()
    for i, units in enumerate([*hidden_units, 1]):
        model.add(
            layers.Dense(
                units,
                activation="relu" if i < len(hidden_units) else "linear",
                input_shape=(1,) if i == 0 else None,
                bias_initializer=initializers.RandomNormal(seed=b_init_seeds[i]),
                kernel_initializer=initializers.RandomNormal(seed=w_init_seeds[i]),
            )
        )
    model.compile(optimizer="adam", loss="mean_squared_error")
    networks.append(model)

# Train one member of each network.
ensemble = fastmlp.ensemble(
    train_x, train_y, networks, members=1, epochs=args.epochs, batch_size=None, seed=0
)

parts = ((train_x, train_y), (val_x, val_y))
errors = np.column_stack([ensemble.evaluate_members(x, y)[:, 0] for x, y in parts])
print(f"{'':12}{'train mse':>12}{'val mse':>12}")
for j, (train_mse, val_mse) in enumerate(errors):
    print(f"member {j + 1:<5}{train_mse:12.5f}{val_mse:12.5f}")
print(f"{'their mean':12}{errors[:, 0].mean():12.5f}{errors[:, 1].mean():12.5f}")
train_mse, val_mse = (ensemble.evaluate(x, y) for x, y in parts)
print(f"{'ensemble':12}{train_mse:12.5f}{val_mse:12.5f}")
plots.save(plots.plot_ensemble(ensemble), args.directory / "ensemble.png")
