"""Next lecture: dropout between the layers of 1024x5, at rates 0.2 and 0.05."""

import argparse
from pathlib import Path

import numpy as np

from fastmlp import datasets, initializers, layers, models, plots
from fastmlp.plots import plot_layers

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=1000, help="epochs of every fit (1000)")
parser.add_argument("--units", type=int, default=1024, help="units of each hidden layer (1024)")
parser.add_argument("-o", dest="directory", type=Path, default=Path("next_lecture"))
args = parser.parse_args()
args.directory.mkdir(parents=True, exist_ok=True)

train_x, train_y = datasets.regression_train()
val_x, val_y = datasets.simulate(10000, 6315)

print(f"{'dropout':10}{'train mse':>12}{'val mse':>12}")
for rate in (0.2, 0.05):
    np.random.seed(65392)
    b_init_seeds = np.random.randint(1, 1e6, size=6)
    w_init_seeds = np.random.randint(1, 1e6, size=6)
    # The seed also determines which units are dropped; without it each run differs.
    model = models.Sequential(seed=65392)
    for i in range(5):
        model.add(
            layers.Dense(
                args.units,
                activation="relu",
                input_shape=(1,) if i == 0 else None,
                bias_initializer=initializers.RandomNormal(seed=b_init_seeds[i]),
                kernel_initializer=initializers.RandomNormal(seed=w_init_seeds[i]),
            )
        )
        model.add(layers.Dropout(rate=rate))
    model.add(
        layers.Dense(
            1,
            activation="linear",
            bias_initializer=initializers.RandomNormal(seed=b_init_seeds[5]),
            kernel_initializer=initializers.RandomNormal(seed=w_init_seeds[5]),
        )
    )
    model.compile(optimizer="adam", loss="mean_squared_error")
    model.fit(train_x, train_y, epochs=args.epochs, batch_size=train_x.shape[0], verbose=0)
    train_mse = model.evaluate(train_x, train_y, verbose=0)
    val_mse = model.evaluate(val_x, val_y, verbose=0)
    print(f"{rate:<10}{train_mse:12.5f}{val_mse:12.5f}")
    figure = plot_layers(model, hidden_legend=False, include_hidden=False)
    plots.save(figure, args.directory / f"dropout_{rate}.png")
    plots.save(plots.plot_network(model), args.directory / f"dropout_{rate}_network.png")
