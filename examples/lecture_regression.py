"""The lecture's regression examples, section by section.

Networks of one to five hidden layers are fitted to 50 points, drawn layer by layer, and compared.
The largest is repaired by hand, then trained again with penalties. Only the import lines differ
from the lecture's listings. The five-layer networks take nearly all of the time; `--wide 128` gives
similar figures in a fraction of it.
"""

import argparse
import copy
from pathlib import Path

import numpy as np

from fastmlp import datasets, initializers, layers, models, plots, regularizers
from fastmlp.plots import plot_layer_activations_facetted, plot_layers

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=1000, help="epochs of every fit (1000)")
parser.add_argument("--wide", type=int, default=1024, help="units of the wide layers (1024)")
parser.add_argument("-o", dest="directory", type=Path, default=Path("lecture_regression"))
args = parser.parse_args()
args.directory.mkdir(parents=True, exist_ok=True)
wide = args.wide

# 0.0.1 Data generation
train_x, train_y = datasets.regression_train()
val_x, val_y = datasets.regression_validation()
plots.save(plots.plot_regression_data(), args.directory / "data.png")


def fit_model_ex1(hidden_units, b_init_seeds, w_init_seeds):
    """Fit a network of relu layers, each with seeds of its own, to the training data."""
    model = models.Sequential()
    for i, units in enumerate(hidden_units):
        b_initializer = initializers.RandomNormal(seed=b_init_seeds[i])
        w_initializer = initializers.RandomNormal(seed=w_init_seeds[i])
        if i == 0:
            model.add(
                layers.Dense(
                    units,
                    activation="relu",
                    input_shape=(1,),
                    bias_initializer=b_initializer,
                    kernel_initializer=w_initializer,
                )
            )
        else:
            model.add(
                layers.Dense(
                    units,
                    activation="relu",
                    bias_initializer=b_initializer,
                    kernel_initializer=w_initializer,
                )
            )
    # add output layer
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[-1])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[-1])
    model.add(
        layers.Dense(
            1,
            activation="linear",
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
        )
    )
    # compile and fit model
    model.compile(optimizer="adam", loss="mean_squared_error")
    model.fit(train_x, train_y, epochs=args.epochs, batch_size=train_x.shape[0], verbose=0)
    return model


# 0.0.2 to 0.0.7: name, hidden units, seed, whether the units are named in a legend
LISTINGS = [
    ("model_2units_a", [2], 87462, True),
    ("model_2units_b", [2], 874625, True),
    ("model_2units_c", [2], 8746257, True),
    ("model_8units", [8], 8746, True),
    ("model_128units", [128], 8746, False),
    ("model_1024units", [wide], 8746, False),
    ("model_8192units", [8 * wide], 8746, False),
    ("model_1layer", [16], 8746, True),
    ("model_2layers", [16, 16], 8746, False),
    ("model_3layers", [16, 16, 16], 8746, False),
    ("model_4layers", [16, 16, 16, 16], 8746, False),
    ("model_somany", [wide, wide, wide, wide, wide], 8746, False),
]
fitted = {}
for name, hidden_units, seed, hidden_legend in LISTINGS:
    np.random.seed(seed)
    b_init_seeds = np.random.randint(1, 1e6, size=sum(hidden_units) + 1)
    w_init_seeds = np.random.randint(1, 1e6, size=sum(hidden_units) + 1)
    fitted[name] = fit_model_ex1(hidden_units, b_init_seeds, w_init_seeds)
    figure = plot_layers(fitted[name], hidden_legend=hidden_legend)
    plots.save(figure, args.directory / f"{name}.png")

model_somany = fitted["model_somany"]
for layer in range(5):
    figure = plot_layer_activations_facetted(model_somany, layer)
    plots.save(figure, args.directory / f"model_somany_layer{layer + 1}.png")

# 0.0.8 How are these models doing in terms of training and validation set performance?
print(f"{'':18}{'train_mse':>12}{'val_mse':>12}")
for name, model in fitted.items():
    if name in ("model_2units_a", "model_2units_b"):
        continue
    train_mse = model.evaluate(train_x, train_y, verbose=0)
    val_mse = model.evaluate(val_x, val_y, verbose=0)
    print(f"{name:18}{train_mse:12.6g}{val_mse:12.6g}")

# 0.0.9 How can we fix up that last model?
figure = plot_layers(model_somany, hidden_legend=False, include_hidden=False)
plots.save(figure, args.directory / "model_somany_before.png")
before = copy.deepcopy(model_somany)

(w, b) = model_somany.layers[0].get_weights()
orig_w = w.copy()

change_pt = -b / orig_w
inds_to_fix = np.where(np.logical_and(change_pt >= 0.5, change_pt <= 1.0))
w[inds_to_fix] = orig_w[inds_to_fix] * 0.1

model_somany.layers[0].set_weights((w, b))

figure = plot_layers(model_somany, hidden_legend=False, include_hidden=False)
plots.save(figure, args.directory / "model_somany_after.png")
# Not in the lecture: the curve is smoother now, and the validation error has grown.
figure = plots.plot_change_points(before, model_somany)
plots.save(figure, args.directory / "model_somany_change_points.png")
print(
    f"\nThe repair changed {len(inds_to_fix[0])} of {w.size} weights; validation mse "
    f"{before.evaluate(val_x, val_y, verbose=0):.4f} before, "
    f"{model_somany.evaluate(val_x, val_y, verbose=0):.4f} after"
)

# 0.0.10 Regularizing the model from the start
np.random.seed(8746)
b_init_seeds = np.random.randint(1, 1e6, size=6)
w_init_seeds = np.random.randint(1, 1e6, size=6)


def fit_l2(penalty):
    """0.0.11 and 0.0.12: the same squared penalty on all layers, written out."""
    regularized_model = models.Sequential()
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[0])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[0])
    regularized_model.add(
        layers.Dense(
            wide,
            activation="relu",
            input_shape=(1,),
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
            kernel_regularizer=regularizers.l2(penalty),
        )
    )
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[1])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[1])
    regularized_model.add(
        layers.Dense(
            wide,
            activation="relu",
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
            kernel_regularizer=regularizers.l2(penalty),
        )
    )
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[2])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[2])
    regularized_model.add(
        layers.Dense(
            wide,
            activation="relu",
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
            kernel_regularizer=regularizers.l2(penalty),
        )
    )
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[3])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[3])
    regularized_model.add(
        layers.Dense(
            wide,
            activation="relu",
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
            kernel_regularizer=regularizers.l2(penalty),
        )
    )
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[4])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[4])
    regularized_model.add(
        layers.Dense(
            wide,
            activation="relu",
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
            kernel_regularizer=regularizers.l2(penalty),
        )
    )
    # add output layer
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[5])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[5])
    regularized_model.add(
        layers.Dense(
            1,
            activation="linear",
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
            kernel_regularizer=regularizers.l2(penalty),
        )
    )
    # compile and fit model
    regularized_model.compile(
        optimizer="adam", loss="mean_squared_error", metrics=["mean_squared_error"]
    )
    regularized_model.fit(
        train_x, train_y, epochs=args.epochs, batch_size=train_x.shape[0], verbose=0
    )
    return regularized_model


def fit_l1(penalty):
    """0.1 L1 regularization: identical but for regularizers.l1; here as a loop."""
    regularized_model = models.Sequential()
    for i, (units, activation) in enumerate([(wide, "relu")] * 5 + [(1, "linear")]):
        regularized_model.add(
            layers.Dense(
                units,
                activation=activation,
                input_shape=(1,) if i == 0 else None,
                bias_initializer=initializers.RandomNormal(seed=b_init_seeds[i]),
                kernel_initializer=initializers.RandomNormal(seed=w_init_seeds[i]),
                kernel_regularizer=regularizers.l1(penalty),
            )
        )
    regularized_model.compile(
        optimizer="adam", loss="mean_squared_error", metrics=["mean_squared_error"]
    )
    regularized_model.fit(
        train_x, train_y, epochs=args.epochs, batch_size=train_x.shape[0], verbose=0
    )
    return regularized_model


for name, fit, penalty in [
    ("regularized_l2_0.01", fit_l2, 0.01),
    ("regularized_l2_0.001", fit_l2, 0.001),
    # The lecture prints no lambda here; with this one its four figures come back.
    ("regularized_l1_0.0001", fit_l1, 0.0001),
]:
    regularized_model = fit(penalty)
    figure = plot_layers(regularized_model, hidden_legend=False, include_hidden=False)
    plots.save(figure, args.directory / f"{name}.png")
    plots.save(plots.plot_weights(regularized_model), args.directory / f"{name}_weights.png")
    print(f"\n{name}: [loss, mean_squared_error] on training and validation data")
    print(regularized_model.evaluate(train_x, train_y))
    print(regularized_model.evaluate(val_x, val_y))
