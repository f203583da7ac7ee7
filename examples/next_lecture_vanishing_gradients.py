"""Next lecture: networks of 13, 14 and 15 layers, and why the deepest does not train.

Before training, the largest entry of the gradient of the summed output with respect to each
layer's weights shrinks by a factor of about ten per layer, from the output back to the input. The
first layers of a deep network hardly change in training.
"""

import argparse
from pathlib import Path

import numpy as np

from fastmlp import datasets, initializers, layers, models, plots
from fastmlp.plots import plot_layers

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=1000, help="epochs of every fit (1000)")
parser.add_argument("-o", dest="directory", type=Path, default=Path("next_lecture"))
args = parser.parse_args()
args.directory.mkdir(parents=True, exist_ok=True)

train_x, train_y = datasets.regression_train()
val_x, val_y = datasets.simulate(10000, 6315)


def build_model(n_layers):
    """Build and compile a network of n_layers hidden layers of 32 units."""
    np.random.seed(65392)
    b_init_seeds = np.random.randint(1, 1e6, size=n_layers + 1)
    w_init_seeds = np.random.randint(1, 1e6, size=n_layers + 1)
    model = models.Sequential()
    for i in range(n_layers + 1):
        model.add(
            layers.Dense(
                32 if i < n_layers else 1,
                activation="relu" if i < n_layers else "linear",
                input_shape=(1,) if i == 0 else None,
                bias_initializer=initializers.RandomNormal(seed=b_init_seeds[i]),
                kernel_initializer=initializers.RandomNormal(seed=w_init_seeds[i]),
            )
        )
    model.compile(optimizer="adam", loss="mean_squared_error")
    return model


# Largest entries of d(sum of outputs) / d(weights), layer by layer, before training.
fresh = [build_model(n_layers) for n_layers in (13, 14, 15)]
print("layer   largest gradient (13, 14, 15 hidden layers, freshly initialised)")
gradients = [[dw.max() for dw, db in model.gradients(train_x)] for model in fresh]
for i in range(16):
    row = "".join(f"{g[i]:14.3e}" if i < len(g) else " " * 14 for g in gradients)
    print(f"{i + 1:5}{row}")
plots.save(plots.plot_gradients(fresh), args.directory / "vanishing_gradients.png")

print(f"\n{'layers':8}{'train mse':>12}{'val mse':>12}{'range of the fitted curve':>29}")
for model in fresh:
    n_layers = len(model.layers) - 1
    model.fit(train_x, train_y, epochs=args.epochs, batch_size=train_x.shape[0], verbose=0)
    train_mse = model.evaluate(train_x, train_y, verbose=0)
    val_mse = model.evaluate(val_x, val_y, verbose=0)
    spread = np.ptp(model.predict(datasets.grid(), verbose=0))
    print(f"{n_layers:<8}{train_mse:12.5f}{val_mse:12.5f}{spread:29.5f}")
    figure = plot_layers(model, hidden_legend=False, include_hidden=False)
    plots.save(figure, args.directory / f"model_{n_layers}layers.png")
