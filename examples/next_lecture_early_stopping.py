"""Next lecture: narrower networks, loss curves, and early stopping.

512x5 and 256x5 fit the training data better and better, but their validation error rises again
after a while. Two ways keep the better network: stop after 100 epochs, as the curves suggest, or
let a callback choose the epoch.
"""

import argparse
from pathlib import Path

import numpy as np

from fastmlp import callbacks, datasets, initializers, layers, models, plots
from fastmlp.plots import plot_layers

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=1000, help="epochs of the long fits (1000)")
parser.add_argument("--units", type=int, default=512, help="units of the wide layers (512)")
parser.add_argument("-o", dest="directory", type=Path, default=Path("next_lecture"))
args = parser.parse_args()
args.directory.mkdir(parents=True, exist_ok=True)

train_x, train_y = datasets.regression_train()
val_x, val_y = datasets.simulate(10000, 6315)


def build_model(hidden_units):
    """Build and compile a network of relu layers whose weights start from the lecture's seed."""
    np.random.seed(65392)
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
    return model


def report(name, model):
    """Draw a fitted network's curve and print its errors."""
    figure = plot_layers(model, hidden_legend=False, include_hidden=False)
    plots.save(figure, args.directory / f"{name}.png")
    train_mse = model.evaluate(train_x, train_y, verbose=0)
    val_mse = model.evaluate(val_x, val_y, verbose=0)
    print(f"{name:22}{train_mse:12.5f}{val_mse:12.5f}")


narrow = args.units // 2
print(f"{'':22}{'train mse':>12}{'val mse':>12}")
for units in (args.units, narrow):
    model = build_model([units] * 5)
    # 10,000 validation points take longer than a step on 50 points, so validate now and then.
    every = max(1, args.epochs // 100)
    history = model.fit(
        train_x,
        train_y,
        epochs=args.epochs,
        batch_size=train_x.shape[0],
        validation_data=(val_x, val_y),
        validation_freq=every,
        verbose=0,
    )
    report(f"model_{units}x5", model)
    at = range(every, args.epochs + 1, every)
    figure = plots.plot_history(history, validation_epochs=at)
    plots.save(figure, args.directory / f"model_{units}x5_loss.png")

# Early stopping by hand: the curves are lowest near epoch 100.
model = build_model([narrow] * 5)
early = min(100, args.epochs)
model.fit(train_x, train_y, epochs=early, batch_size=train_x.shape[0], verbose=0)
report(f"model_{narrow}x5_stopped", model)

# The same with a callback: stop after 50 epochs without improvement, restore the best weights.
model = build_model([narrow] * 5)
early_stopping = callbacks.EarlyStopping(monitor="val_loss", patience=50, restore_best_weights=True)
history = model.fit(
    train_x,
    train_y,
    epochs=args.epochs,
    batch_size=train_x.shape[0],
    validation_data=(val_x, val_y),
    callbacks=[early_stopping],
    verbose=0,
)
report(f"model_{narrow}x5_callback", model)
figure = plots.plot_history(history)
plots.save(figure, args.directory / f"model_{narrow}x5_callback_loss.png")
print(f"EarlyStopping ended training after {len(history.epoch)} epochs")
