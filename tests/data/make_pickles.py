"""Make pickles/: pickles and model files of an earlier version, which later ones must read.

    python tests/data/make_pickles.py

The files in the repository were made before the modules of fastmlp moved into packages. Do not
make them anew with a later version: they would name its modules. Add to `objects` what a later
version adds, and make only that. `values.json` holds what `figures` returns for each object.
"""

import contextlib
import json
import os
import pathlib
import pickle

import numpy as np

import fastmlp
from fastmlp import (
    callbacks,
    datasets,
    initializers,
    inspection,
    layers,
    lecture,
    losses,
    metrics,
    models,
    optimizers,
    preprocessing,
    regularizers,
    schedules,
    sklearn,
    sweeps,
)

FOLDER = pathlib.Path(__file__).with_name("pickles")
X = np.linspace(-1, 1, 40).reshape(20, 2)
Y = np.sin(3 * X[:, :1]) + X[:, 1:]
CLASSES = np.where(Y[:, 0] > 0, "ash", "elm")
TABLE = {"width": X[:, 0], "height": X[:, 1], "tree": list(CLASSES)}
SMALL = {"hidden_layer_sizes": (3,), "max_iter": 3, "random_state": 1}


def trained(**arguments):
    model = models.mlp("4x2", 2, 1, seed=3, l2=0.01, **arguments)
    model.compile(optimizers.AdamW(schedules.StepDecay(0.01, 5)), "huber", ["mae", metrics.AUC()])
    model.fit(X, abs(Y) / 4, epochs=3, batch_size=8, verbose=0)
    return model


def unbuilt():
    model = models.Sequential(
        [layers.Dense(3, "relu", kernel_regularizer="l1_l2"), layers.Dropout(0.5), layers.Dense(1)],
        seed=5,
        name="unbuilt",
    )
    model.compile("rmsprop", losses.Huber(0.5), [metrics.R2Score()])
    return model


def bagged():
    return fastmlp.ensemble(X, Y, "3", 3, epochs=2, seed=1, threads=1, verbose=0)


def table_model():
    fitted = preprocessing.Preprocessing.fit(TABLE, "tree", standardize=True)
    model = models.mlp("3", 2, 1, seed=1, output_activation="sigmoid")
    model.compile("sgd", "binary_crossentropy", ["accuracy"])
    x, y = fitted.inputs(TABLE), fitted.targets(TABLE)
    model.fit(x, y, epochs=2, verbose=0)
    fitted.keep(model)
    return model, fitted, x, y


def of_columns(function):
    model, fitted, x, y = table_model()
    return function(model, fitted, x, y)


def results_of_sweep():
    return fastmlp.sweep(
        X,
        Y,
        ["2", "3"],
        learning_rate=sweeps.LogUniform(0.001, 0.1),
        epochs=2,
        method="random",
        samples=3,
        validation_split=0.25,
        threads=1,
        verbose=0,
    )


def path(units, **arguments):
    return fastmlp.path(X, Y[:, 0], units, n_lambdas=3, folds=2, threads=1, verbose=0, **arguments)


def objects():
    """Return a function that makes each object, by the name of its file."""
    return {
        "model": trained,
        "model64": lambda: trained(dtype="float64"),
        "unbuilt": unbuilt,
        "table_model": lambda: table_model()[0],
        "ensemble": bagged,
        "layers": lambda: [
            *trained().layers,
            layers.Dense(2, "tanh", kernel_regularizer=regularizers.GroupL1(0.1),
                         kernel_initializer=initializers.HeNormal(4)),
        ],
        "history": lambda: trained().history,
        "callbacks": lambda: [
            callbacks.Callback(), callbacks.EarlyStopping(patience=2),
            callbacks.ReduceLROnPlateau(), callbacks.TerminateOnNaN(),
            callbacks.ModelCheckpoint("best.fmlp"), callbacks.CSVLogger("epochs.csv"),
            callbacks.LambdaCallback(on_epoch_end=print),
            callbacks.LearningRateScheduler(max),
        ],
        "losses": lambda: [losses.get(name) for name in LOSSES] + [losses.FunctionLoss(max)],
        "metrics": lambda: [metrics.get(name) for name in METRICS],
        "optimizers": lambda: [
            optimizers.SGD(schedules.CosineDecay(0.1, 100), momentum=0.5), optimizers.RMSprop(),
            optimizers.Adagrad(), optimizers.Adam(clipnorm=1.0), optimizers.AdamW(),
        ],
        "schedules": lambda: [
            schedules.ExponentialDecay(0.1, 10, 0.5), schedules.StepDecay(0.1, 10),
            schedules.InverseTimeDecay(0.1, 10, 0.5), schedules.PolynomialDecay(0.1, 10),
            schedules.PiecewiseConstantDecay([3], [0.1, 0.01]), schedules.CosineDecay(0.1, 10),
        ],
        "regularizers": lambda: [regularizers.L1(), regularizers.L2(0.5),
                                 regularizers.L1L2(0.1, 0.2), regularizers.GroupL1()],
        "initializers": lambda: [initializers.get(name) for name in INITIALIZERS]
        + [initializers.TruncatedNormal(seed=2), initializers.VarianceScaling(2.0)],
        "preprocessing": lambda: table_model()[1],
        "table": lambda: datasets.as_table(
            {**TABLE, "day": np.array(["2024-02-29"] * 20, "datetime64[D]"),
             "wet": [True, False] * 10, "mixed": [1, "a"] * 10}
        ),
        "table_of_text": lambda: datasets.read_csv("table.csv"),
        "polish": lambda: trained().polish(X, abs(Y) / 4, max_iter=3, verbose=0),
        "features": lambda: of_columns(lambda m, p, x, y: inspection.features(p)),
        "importance": lambda: of_columns(
            lambda m, p, x, y: inspection.permutation_importance(
                m, x, y, 2, features=inspection.features(p))),
        "dependence": lambda: of_columns(
            lambda m, p, x, y: inspection.partial_dependence(m, x, 0, 5)),
        "layer_report": lambda: of_columns(lambda m, p, x, y: inspection.layer_report(m, x, y)),
        "linear_path": lambda: path(None),
        "network_path": lambda: path("3", epochs=2, first_epochs=3),
        "sweep": results_of_sweep,
        "ranges": lambda: [sweeps.Uniform(0, 1), sweeps.LogUniform(0.1, 1)],
        "lecture": lambda: [lecture.CATALOGUE[name] for name in sorted(lecture.CATALOGUE)[:2]],
        "regressor": lambda: sklearn.MLPRegressor(**SMALL, early_stopping=True).fit(X, Y[:, 0]),
        "classifier": lambda: sklearn.MLPClassifier(**SMALL).fit(X, CLASSES),
        "lbfgs": lambda: sklearn.MLPRegressor(**SMALL, solver="lbfgs").fit(X, Y[:, 0]),
        "errors": lambda: [fastmlp.errors.DataError("bad"), fastmlp.errors.ModelFileError("bad"),
                           fastmlp.errors.RankError("bad"), fastmlp.errors.DivergedError("bad")],
    }  # fmt: skip


LOSSES = ["mse", "mae", "huber", "poisson", "binary_crossentropy", "categorical_crossentropy",
          "sparse_categorical_crossentropy"]  # fmt: skip
METRICS = ["mse", "mae", "rmse", "accuracy", "binary_accuracy", "categorical_accuracy",
           "sparse_categorical_accuracy", "huber", "poisson", "auc", "precision", "recall",
           "r2_score", "top_k_categorical_accuracy", "log_loss", "binary_crossentropy",
           ]  # fmt: skip
INITIALIZERS = ["zeros", "ones", "identity", "random_normal", "random_uniform", "glorot_uniform",
                "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
                "orthogonal"]  # fmt: skip


def figures(thing):
    """Return what tells an object from others, in plain JSON values."""
    if isinstance(thing, list):
        return [figures(part) for part in thing]
    kind = type(thing).__name__
    if hasattr(thing, "get_params"):
        result = np.asarray(thing.predict(X)).tolist()
    elif hasattr(thing, "predict") and getattr(thing, "built", True):
        result = np.asarray(thing.predict(X, **({} if kind == "PathResult" else {"verbose": 0})))
        result = result.tolist()
    elif kind == "Table":
        result = {name: [thing.columns[name].kind, thing.text(name)] for name in thing.names}
    elif hasattr(thing, "ranking"):
        result = [[rank.config, rank.mean] for rank in thing.ranking()]
    elif hasattr(thing, "get_config"):
        result = thing.get_config()
    elif hasattr(thing, "to_dict"):
        result = thing.to_dict()
    elif kind == "History":
        result = [thing.epoch, thing.history]
    elif kind in ("Importance", "PartialDependence"):
        result = {name: np.asarray(value).tolist() for name, value in vars(thing).items()
                  if isinstance(value, np.ndarray)}  # fmt: skip
    elif kind in ("Feature", "Uniform", "LogUniform", "Entry") or isinstance(thing, Exception):
        result = repr(thing)
    else:
        result = sorted(name for name in vars(thing) if not name.startswith("_"))
    return [kind, json.loads(json.dumps(result, default=str))]


class Stop(callbacks.Callback):
    """Interrupts a run after some epochs."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.after:
            raise KeyboardInterrupt


def fitted(**arguments):
    model = models.mlp("4", 2, 1, seed=7)
    model.compile("adam", "mse")
    with contextlib.suppress(KeyboardInterrupt):
        model.fit(X, Y, epochs=6, batch_size=8, verbose=0, **arguments)
    return model


def main():
    FOLDER.mkdir(exist_ok=True)
    os.chdir(FOLDER)  # so that no pickle holds the name of a folder
    pathlib.Path("table.csv").write_text("a,b,c\n1,x,2024-01-01\n2.5,y,2024-01-02\n,x,\n")
    values = {}
    for name, make in objects().items():
        thing = make()
        pathlib.Path(f"{name}.pickle").write_bytes(pickle.dumps(thing, protocol=4))
        values[name] = figures(thing)
    trained().save("model.fmlp")
    bagged().save("ensemble.fmlp")
    fitted(checkpoint="checkpoint.fmlp", callbacks=[Stop(after=2)])
    values["resumed"] = figures(fitted())
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    pathlib.Path("values.json").write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
