"""The lecture's classification example: five layers of 1024 units, with and without a penalty.

The data are 100 points of two classes. The unpenalised network separates every point; the decision
boundaries of the penalised networks are smoother. Only the import lines differ from the lecture's.
"""

import argparse
from pathlib import Path

import numpy as np

from fastmlp import datasets, initializers, layers, models, plots, regularizers
from fastmlp.plots import plot_decision_boundary

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=1000, help="epochs of every fit (1000)")
parser.add_argument("--units", type=int, default=1024, help="units of each hidden layer (1024)")
parser.add_argument("-o", dest="directory", type=Path, default=Path("lecture_classification"))
args = parser.parse_args()
args.directory.mkdir(parents=True, exist_ok=True)

# 0.2.1 Data generation
train_x, train_y = datasets.classification_train()
val_x, val_y = datasets.classification_validation()
plots.save(plots.plot_classification_data(train_x, train_y), args.directory / "data.png")


def fit_classifier(penalty=None):
    """Fit five relu layers and a sigmoid; a penalty, if there is one, is on every layer."""
    np.random.seed(8746)
    b_init_seeds = np.random.randint(1, 1e6, size=6)
    w_init_seeds = np.random.randint(1, 1e6, size=6)
    model = models.Sequential()
    for i in range(5):
        model.add(
            layers.Dense(
                args.units,
                activation="relu",
                input_shape=(2,) if i == 0 else None,
                bias_initializer=initializers.RandomNormal(seed=b_init_seeds[i]),
                kernel_initializer=initializers.RandomNormal(seed=w_init_seeds[i]),
                kernel_regularizer=regularizers.l2(penalty) if penalty else None,
            )
        )
    # add output layer
    model.add(
        layers.Dense(
            1,
            activation="sigmoid",
            bias_initializer=initializers.RandomNormal(seed=b_init_seeds[5]),
            kernel_initializer=initializers.RandomNormal(seed=w_init_seeds[5]),
            kernel_regularizer=regularizers.l2(penalty) if penalty else None,
        )
    )
    # compile and fit model
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(train_x, train_y, epochs=args.epochs, batch_size=train_x.shape[0], verbose=0)
    return model


# 0.2.2 Unpenalized model, 0.2.3 penalty 0.001, 0.2.4 penalty 0.01
for name, penalty in [("unpenalized", None), ("l2_0.001", 0.001), ("l2_0.01", 0.01)]:
    model = fit_classifier(penalty)
    model.summary()
    figure = plot_decision_boundary(model, None, (-1.0, 1.0), (-1.0, 1.0), 201, train_x, train_y)
    plots.save(figure, args.directory / f"classifier_{name}.png")
    print(f"{name}: validation [loss, accuracy] {model.evaluate(val_x, val_y)}\n")
