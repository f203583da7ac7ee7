"""Public entry points, each with good arguments and the kinds of those that are to be spoilt.

A kind that ends in '?' may also be None.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fastmlp
from fastmlp import (
    callbacks,
    datasets,
    initializers,
    inspection,
    interchange,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    preprocessing,
    regularizers,
    schedules,
    sweeps,
)
from fastmlp._saving.export import export_model, to_bytes
from fastmlp.errors import ModelWarning

ROWS = 8
# Eighths: the same numbers in every type of float.
X = np.random.default_rng(0).integers(-12, 13, (ROWS, 3)).astype(np.float32) / 8
Y = np.float32(X[:, :1] / 2 + 0.25)
CLASSES = np.arange(ROWS) % 2
WEIGHTS = np.arange(1, ROWS + 1, dtype=np.float32) / 4


@dataclass
class Entry:
    """A function, arguments that it takes, and what kinds they are of."""

    name: str
    call: Callable[..., Any]
    good: Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]
    kinds: dict[str, str]
    # Values that, against what the kind says, are to be taken: documented in docs/reliability.md.
    taken: dict[str, set[str]] = field(default_factory=dict)

    def arguments(self, directory: Path) -> dict[str, Any]:
        return dict(self.good(directory) if callable(self.good) else self.good)


ENTRIES: list[Entry] = []


def entry(name: str, call: Any, good: Any, kinds: dict[str, str], /, **taken: set[str]) -> None:
    ENTRIES.append(Entry(name, call, good, kinds, taken))


def trained(loss: str = "mean_squared_error", activation: str = "linear") -> models.Sequential:
    model = models.mlp("4", 3, 1, seed=1, output_activation=activation)
    model.compile("adam", loss)
    y = CLASSES if loss.startswith("binary") else Y
    model.fit(X, y, epochs=2, verbose=0)
    return model


@functools.cache
def shared() -> models.Sequential:
    """Return a model for what must not change it."""
    return trained()


@functools.cache
def shared_ensemble() -> Any:
    return fastmlp.ensemble(X, Y, "2", members=2, epochs=1, seed=1, verbose=0, bootstrap=True)


COUNT, COUNT0 = "positive integer", "integer of at least 0"
POSITIVE, NOT_NEGATIVE, FRACTION = "number above 0", "number of at least 0", "number in [0, 1)"

# ---- layers and what they are made of ------------------------------------------------------------

entry(
    "layers.Dense", layers.Dense, {"units": 4, "input_dim": 3},
    {"units": COUNT, "activation": "name?", "use_bias": "flag", "kernel_initializer": "name",
     "bias_initializer": "name", "kernel_regularizer": "name?", "bias_regularizer": "name?",
     "input_dim": COUNT + "?", "name": "label?"},
)  # fmt: skip
entry("layers.Dense by shape", layers.Dense, {"units": 4, "input_shape": (3,)},
      {"input_shape": "shape of a row"})  # fmt: skip
entry("layers.Dropout", layers.Dropout, {"rate": 0.5},
      {"rate": FRACTION, "seed": COUNT0 + "?", "name": "label?"})  # fmt: skip
entry("layers.Input", layers.Input, {"shape": (3,)}, {"shape": "shape of a row", "name": "label?"})

for rule in ("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform",
             "LecunNormal"):  # fmt: skip
    entry(f"initializers.{rule}", getattr(initializers, rule), {"seed": 1}, {"seed": COUNT0 + "?"})
entry("initializers.Constant", initializers.Constant, {}, {"value": "number"})
entry("initializers.Identity", initializers.Identity, {}, {"gain": "number"})
entry("initializers.Orthogonal", initializers.Orthogonal, {},
      {"gain": "number", "seed": COUNT0 + "?"})  # fmt: skip
entry("initializers.RandomNormal", initializers.RandomNormal, {},
      {"mean": "number", "stddev": NOT_NEGATIVE, "seed": COUNT0 + "?"})  # fmt: skip
entry("initializers.TruncatedNormal", initializers.TruncatedNormal, {},
      {"mean": "number", "stddev": NOT_NEGATIVE, "seed": COUNT0 + "?"})  # fmt: skip
entry("initializers.RandomUniform", initializers.RandomUniform, {},
      {"minval": "number", "maxval": "number", "seed": COUNT0 + "?"})  # fmt: skip
entry("initializers.VarianceScaling", initializers.VarianceScaling, {},
      {"scale": POSITIVE, "mode": "name", "distribution": "name",
       "seed": COUNT0 + "?"})  # fmt: skip
entry("initializers.get", initializers.get, {"identifier": "zeros"}, {"identifier": "name"})
entry("an initializer's call", initializers.GlorotUniform(1), {"shape": (3, 2)},
      {"shape": "shape of an array", "dtype": "name"}, shape={"list", "array"})  # fmt: skip

entry("regularizers.L1", regularizers.L1, {}, {"l1": NOT_NEGATIVE, "proximal": "flag"})
entry("regularizers.L2", regularizers.L2, {}, {"l2": NOT_NEGATIVE})
entry("regularizers.L1L2", regularizers.L1L2, {},
      {"l1": NOT_NEGATIVE, "l2": NOT_NEGATIVE, "proximal": "flag"})  # fmt: skip
entry("regularizers.GroupL1", regularizers.GroupL1, {}, {"v": NOT_NEGATIVE, "groups": "name"})
entry("regularizers.get", regularizers.get, {"identifier": "l2"}, {"identifier": "name?"})

_CLIPS = {
    "global_clipnorm": POSITIVE + "?",
    "clipvalue": POSITIVE + "?",
    "clipnorm": POSITIVE + "?",
}
entry("optimizers.SGD", optimizers.SGD, {},
      {"learning_rate": "rate", "momentum": FRACTION, "nesterov": "flag", **_CLIPS})  # fmt: skip
for rule in ("Adam", "AdamW"):
    entry(f"optimizers.{rule}", getattr(optimizers, rule), {},
          {"learning_rate": "rate", "beta_1": FRACTION, "beta_2": FRACTION, "epsilon": POSITIVE,
           "initial_step": COUNT0, **_CLIPS,
           **({"weight_decay": NOT_NEGATIVE} if rule == "AdamW" else {})})  # fmt: skip
entry("optimizers.RMSprop", optimizers.RMSprop, {},
      {"learning_rate": "rate", "rho": FRACTION, "epsilon": POSITIVE, **_CLIPS})  # fmt: skip
entry("optimizers.Adagrad", optimizers.Adagrad, {},
      {"learning_rate": "rate", "initial_accumulator_value": NOT_NEGATIVE, "epsilon": POSITIVE,
       **_CLIPS})  # fmt: skip
entry("optimizers.get", optimizers.get, {"identifier": "adam"}, {"identifier": "name"})

_TEXTS = {"text", "empty_text"}  # a schedule's name is kept and used for nothing
_DECAY = {"initial_learning_rate": 0.1, "decay_steps": 10}
_DECAYS = {"initial_learning_rate": NOT_NEGATIVE, "decay_steps": COUNT, "name": "name?"}
entry("schedules.ExponentialDecay", schedules.ExponentialDecay, _DECAY | {"decay_rate": 0.5},
      _DECAYS | {"decay_rate": POSITIVE, "staircase": "flag"}, name=_TEXTS)  # fmt: skip
entry("schedules.InverseTimeDecay", schedules.InverseTimeDecay, _DECAY | {"decay_rate": 0.5},
      _DECAYS | {"decay_rate": NOT_NEGATIVE, "staircase": "flag"}, name=_TEXTS)  # fmt: skip
entry("schedules.PolynomialDecay", schedules.PolynomialDecay, _DECAY,
      _DECAYS | {"end_learning_rate": NOT_NEGATIVE, "power": POSITIVE,
                 "cycle": "flag"}, name=_TEXTS)  # fmt: skip
entry("schedules.CosineDecay", schedules.CosineDecay, _DECAY | {"warmup_target": 0.2},
      _DECAYS | {"alpha": FRACTION, "warmup_target": NOT_NEGATIVE + "?",
                 "warmup_steps": COUNT0}, alpha={"one"}, name=_TEXTS)  # fmt: skip
entry("schedules.StepDecay", schedules.StepDecay,
      {"initial_learning_rate": 0.1, "steps_per_drop": 3},
      {"initial_learning_rate": NOT_NEGATIVE, "steps_per_drop": COUNT, "drop": POSITIVE,
       "name": "name?"}, name=_TEXTS)  # fmt: skip
entry("schedules.PiecewiseConstantDecay", schedules.PiecewiseConstantDecay,
      {"boundaries": [3], "values": [0.1, 0.2]},
      {"boundaries": "steps", "values": "rates"}, values={"list", "array"})  # fmt: skip
entry("schedules.get", schedules.get, {"identifier": schedules.CosineDecay(0.1, 3)},
      {"identifier": "name"})  # fmt: skip

# ---- callbacks -----------------------------------------------------------------------------------

_MONITOR = {"monitor": "monitor", "mode": "name", "verbose": "verbose"}
entry("callbacks.EarlyStopping", callbacks.EarlyStopping, {},
      {**_MONITOR, "min_delta": "number", "patience": COUNT0, "baseline": "number?",
       "restore_best_weights": "flag", "start_from_epoch": COUNT0})  # fmt: skip
entry("callbacks.ReduceLROnPlateau", callbacks.ReduceLROnPlateau, {},
      {**_MONITOR, "factor": "number in (0, 1)", "patience": COUNT0, "min_delta": "number",
       "cooldown": COUNT0, "min_lr": NOT_NEGATIVE})  # fmt: skip
entry("callbacks.ModelCheckpoint", callbacks.ModelCheckpoint, {"filepath": "best.fmlp"},
      {**_MONITOR, "save_best_only": "flag", "save_weights_only": "flag", "save_freq": "frequency",
       "initial_value_threshold": "number?", "filepath": "path"})  # fmt: skip
entry("callbacks.CSVLogger", callbacks.CSVLogger, {"filename": "log.csv"},
      {"filename": "path", "separator": "separator", "append": "flag"})  # fmt: skip
entry("callbacks.LearningRateScheduler", callbacks.LearningRateScheduler,
      {"schedule": lambda epoch: 0.1}, {"schedule": "callable", "verbose": "verbose"})  # fmt: skip
entry("callbacks.LambdaCallback", callbacks.LambdaCallback, {},
      {"on_epoch_end": "callable?", "on_train_batch_begin": "callable?"})  # fmt: skip

# ---- losses and metrics --------------------------------------------------------------------------

entry("losses.get", losses.get, {"identifier": "mse"}, {"identifier": "name"},
      identifier={"function"})  # fmt: skip
entry("losses.Huber", losses.Huber, {}, {"delta": POSITIVE})
entry("metrics.get", metrics.get, {"identifier": "mse"}, {"identifier": "name"})
entry("metrics.Precision", metrics.Precision, {},
      {"thresholds": "number in (0, 1)", "name": "label?", "on_training": "flag"},
      thresholds={"zero", "one", "two", "minus_one"})  # fmt: skip
entry("metrics.TopKAccuracy", metrics.TopKAccuracy, {}, {"k": COUNT, "name": "label?"})
entry("metrics.AUC", metrics.AUC, {}, {"name": "label?", "on_training": "flag"})

_PAIR = {"y_true": Y, "y_pred": Y / 2 + 0.5}
_CHANCES = {"y_true": CLASSES, "y_pred": np.tile(np.float32([0.25, 0.75]), (ROWS, 1))}
for name in ("mean_squared_error", "mean_absolute_error", "huber", "poisson",
             "binary_crossentropy", "root_mean_squared_error", "r2_score",
             "binary_accuracy", "precision", "recall"):  # fmt: skip
    module = metrics if hasattr(metrics, name) else losses
    entry(f"metrics.{name}", getattr(module, name), _PAIR,
          {"y_true": "numbers", "y_pred": "numbers"})  # fmt: skip
for name in ("sparse_categorical_crossentropy", "sparse_categorical_accuracy",
             "sparse_top_k_categorical_accuracy"):  # fmt: skip
    entry(f"metrics.{name}", getattr(metrics, name), _CHANCES,
          {"y_true": "class indices", "y_pred": "numbers"},
          y_pred={"too many columns"})  # fmt: skip
entry("MeanSquaredError's call", losses.MeanSquaredError(), {**_PAIR, "sample_weight": WEIGHTS},
      {"y_true": "numbers", "y_pred": "numbers",
       "sample_weight": "weights as numbers"})  # fmt: skip
entry("an AUC's call", metrics.AUC(),
      {"y_true": CLASSES, "y_pred": X[:, 0], "sample_weight": WEIGHTS},
      {"y_true": "numbers", "y_pred": "numbers", "sample_weight": "weights as numbers"},
      y_pred={"too many columns"})  # fmt: skip

# ---- models --------------------------------------------------------------------------------------

entry("models.Sequential", models.Sequential, {},
      {"layers": "layers?", "seed": COUNT0 + "?", "dtype": "name", "name": "label?"})  # fmt: skip
entry("Sequential.add", lambda **a: models.Sequential(seed=1).add(**a),
      lambda tmp: {"layer": layers.Dense(3)}, {"layer": "anything"})  # fmt: skip
entry("Sequential.build", lambda **a: models.Sequential([layers.Dense(3)], seed=1).build(**a),
      {"input_shape": (3,)}, {"input_shape": "shape of a row"})  # fmt: skip
entry(
    "models.mlp", models.mlp, {"units": "4", "n_inputs": 3, "n_outputs": 1, "seed": 1},
    {"units": "widths", "n_inputs": COUNT, "n_outputs": COUNT, "activation": "name?",
     "output_activation": "name?", "l1": "penalties", "l2": "penalties", "dropout": "penalties",
     "seed": COUNT0 + "?", "dtype": "name", "proximal": "flag", "group_l1": "penalties",
     "groups": "name"},
)  # fmt: skip


def _compile(**arguments: Any) -> Any:
    models.mlp("4", 3, 1, seed=1).compile(**arguments)


entry("Sequential.compile", _compile, {"optimizer": "adam", "loss": "mse"},
      {"optimizer": "name", "loss": "name or function", "metrics": "metrics?"},
      loss={"function"})  # fmt: skip


def _fit(**arguments: Any) -> Any:
    model = models.mlp("4", 3, 1, seed=1)
    model.compile("adam", "mean_squared_error")
    model.fit(**{"verbose": 0, **arguments})
    return model.get_weights()


def _fit_classes(**arguments: Any) -> Any:
    model = models.mlp("4", 3, 1, output_activation="sigmoid", seed=1)
    model.compile("adam", "binary_crossentropy")
    model.fit(X, CLASSES, verbose=0, **arguments)


entry(
    "Sequential.fit", _fit, {"x": X, "y": Y, "sample_weight": WEIGHTS, "validation_data": (X, Y)},
    {"x": "x", "y": "y", "sample_weight": "weights of rows", "batch_size": COUNT + "?",
     "epochs": COUNT, "verbose": "verbose", "callbacks": "callbacks",
     "validation_split": FRACTION, "validation_data": "x and y", "shuffle": "flag",
     "validation_freq": "epochs to validate", "shards": COUNT + "?", "fast_reduce": "flag"},
    x={"sparse"},
)  # fmt: skip
entry("Sequential.fit, classes", _fit_classes, {"class_weight": {0: 2.0}},
      {"class_weight": "weights of classes"})  # fmt: skip
entry("Sequential.fit, checkpoint", _fit,
      lambda tmp: {"x": X, "y": Y, "checkpoint": tmp / "run.fmlp", "checkpoint_every": 1.0},
      {"checkpoint": "file to write?", "checkpoint_every": "period?"})  # fmt: skip


def _of(method: str) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        return getattr(shared(), method)(**arguments)

    return call


_ROWS = {"x": X, "y": Y, "sample_weight": WEIGHTS, "verbose": 0}
_ROW_KINDS = {"x": "x", "y": "y", "sample_weight": "weights of rows", "verbose": "verbose"}
entry("Sequential.evaluate", _of("evaluate"), _ROWS,
      {**_ROW_KINDS, "batch_size": COUNT + "?", "callbacks": "callbacks",
       "return_dict": "flag"}, x={"sparse"})  # fmt: skip
entry("Sequential.predict", _of("predict"), {"x": X, "verbose": 0},
      {"x": "x", "verbose": "verbose", "batch_size": COUNT + "?",
       "callbacks": "callbacks"}, x={"sparse"})  # fmt: skip
entry("Sequential.activations", _of("activations"), {"x": X}, {"x": "x"}, x={"sparse"})
entry("Sequential.gradients", _of("gradients"), {"x": X, "y": Y, "sample_weight": WEIGHTS},
      {"x": "x", "y": "y?", "sample_weight": "weights of rows"}, x={"sparse"})  # fmt: skip


def _pruned(**arguments: Any) -> Any:
    with warnings.catch_warnings():  # nothing is zero
        warnings.filterwarnings("ignore", category=ModelWarning)
        return trained().prune(**arguments)


entry("Sequential.polish", lambda **a: trained().polish(**a), {**_ROWS, "max_iter": 3},
      {**_ROW_KINDS, "tol": POSITIVE + "?", "max_iter": COUNT}, x={"sparse"})  # fmt: skip
entry("Sequential.prune", _pruned, {}, {"inputs": "flag"})
entry("Sequential.get_layer", _of("get_layer"), {"name": shared().layers[0].name},
      {"name": "name"})  # fmt: skip
entry("Sequential.get_layer by index", _of("get_layer"), {"index": 0}, {"index": COUNT0 + "?"},
      index={"minus_one"})  # fmt: skip
entry("Sequential.set_weights", _of("set_weights"), {"weights": shared().get_weights()},
      {"weights": "arrays of weights"})  # fmt: skip
entry("Dense.set_weights", lambda **a: shared().layers[0].set_weights(**a),
      {"weights": shared().layers[0].get_weights()}, {"weights": "arrays of weights"})  # fmt: skip
entry("Sequential.summary", lambda **a: shared().summary(print_fn=len, **a), {},
      {"line_length": COUNT + "?", "verbose": "flag"})  # fmt: skip

# ---- files ---------------------------------------------------------------------------------------


def _saved(name: str = "model.fmlp") -> Callable[[Path], dict[str, Any]]:
    def good(tmp: Path) -> dict[str, Any]:
        if name.endswith(".fmlp"):
            shared().save(tmp / name)
        else:
            shared().export(tmp / name)
        return {"path": tmp / name}

    return good


def _run(tmp: Path) -> dict[str, Any]:
    trained().fit(X, Y, verbose=0, checkpoint=tmp / "kept.fmlp")
    return {"path": tmp / "kept.fmlp"}


entry("Sequential.save", _of("save"), lambda tmp: {"path": tmp / "new.fmlp"},
      {"path": "file to write", "overwrite": "flag"})  # fmt: skip
entry("models.load_model", models.load_model, _saved(),
      {"path": "file to read", "custom_objects": "custom objects?"})  # fmt: skip
entry("models.resume", models.resume, _run,
      {"path": "file to read", "custom_objects": "custom objects?"})  # fmt: skip
for suffix in ("onnx", "keras", "safetensors", "c"):
    entry(f"export to .{suffix}", _of("export"),
          lambda tmp, suffix=suffix: {"path": tmp / f"new.{suffix}"},
          {"path": "file to write", "to": "name?", "overwrite": "flag"})  # fmt: skip
entry("interchange.to_bytes", to_bytes, {"model": shared(), "to": "c"},
      {"model": "model", "to": "name", "name": "label"}, name={"text"})  # fmt: skip
entry("interchange.export_model", export_model,
      lambda tmp: {"model": shared(), "path": tmp / "model.c"}, {"model": "model"})  # fmt: skip
entry("interchange.torch_module", interchange.torch_module, {"model": shared()},
      {"model": "model"})  # fmt: skip
for suffix in ("keras", "safetensors"):
    entry(f"import of .{suffix}", interchange.import_model, _saved(f"model.{suffix}"),
          {"path": "file to read"})  # fmt: skip
entry("interchange.import_model", interchange.import_model, _saved("model.safetensors"),
      {"activation": "name?", "output_activation": "name?", "layers": "names?"})  # fmt: skip
entry("interchange.from_bytes", interchange.from_bytes,
      lambda tmp: {"data": to_bytes(shared(), "torch")},
      {"data": "content"})  # fmt: skip


def _table(tmp: Path) -> dict[str, Any]:
    (tmp / "table.csv").write_text("a,y\n1,2\n3,4\n5,7\n")
    return {"path": tmp / "table.csv"}


# The beginning of a table is a table.
entry("datasets.read_table", datasets.read_table, _table, {"path": "file to read"},
      path={"beginning only"})  # fmt: skip
entry(
    "datasets.read_csv",
    datasets.read_csv,
    _table,
    {"path": "file to read", "delimiter": "separator"},
    path={"beginning only"},
)
entry("datasets.as_table", datasets.as_table, {"data": X}, {"data": "table"})
entry("datasets.load", datasets.load, {"name": "regression_train"}, {"name": "name"})
entry("datasets.simulate", datasets.simulate, {"n": 3, "seed": 1}, {"n": COUNT, "seed": COUNT0})
entry("datasets.simulate_classification", datasets.simulate_classification, {"n": 3, "seed": 1},
      {"n": COUNT, "seed": COUNT0})  # fmt: skip

# ---- preprocessing -------------------------------------------------------------------------------

entry("Preprocessing.fit", preprocessing.Preprocessing.fit,
      {"table": X, "target": "x1", "impute": "none", "indicator": False},
      {"table": "a table's x", "target": "name", "task": "name?", "categorical": "names of columns",
       "drop": "names of columns", "standardize": "flag", "impute": "name?",
              "indicator": "flag"}, table={"huge"})  # fmt: skip
entry("Preprocessing.inputs",
      lambda **a: preprocessing.Preprocessing.fit(X, "x1", impute="none").inputs(**a), {"table": X},
      {"table": "a table's x", "dtype": "name"}, table={"one row", "huge"})  # fmt: skip
entry("Preprocessing.targets",
      lambda **a: preprocessing.Preprocessing.fit(X, "x1").targets(**a), {"table": X},
      {"table": "a table's x"}, table={"one row"})  # fmt: skip
entry("Preprocessing.from_dict", preprocessing.Preprocessing.from_dict,
      {"state": preprocessing.Preprocessing.fit(X, "x1").to_dict()},
      {"state": "content"})  # fmt: skip
entry("preprocessing.split", preprocessing.split, {"n": 8, "fraction": 0.25, "seed": 1},
      {"n": "integer of at least 2", "fraction": "number in (0, 1)", "seed": COUNT0})  # fmt: skip

# ---- inspection ----------------------------------------------------------------------------------

entry("permutation_importance", inspection.permutation_importance,
      {"model": shared(), "x": X, "y": Y},
      {"model": "model", "x": "x", "y": "y", "n_repeats": COUNT,
       "metric": "name or function?", "seed": COUNT0 + "?",
       "features": "features of columns?"})  # fmt: skip
entry("partial_dependence", inspection.partial_dependence,
      {"model": shared(), "x": X, "features": 0},
      {"model": "model", "x": "x", "features": "features", "grid": "grid",
       "postprocess": "callable?"})  # fmt: skip
entry("layer_report", inspection.layer_report, {"model": shared(), "x": X, "y": Y},
      {"model": "model", "x": "x", "y": "y?"})  # fmt: skip

# ---- many networks -------------------------------------------------------------------------------


def _ensemble(**arguments: Any) -> Any:
    made = fastmlp.ensemble(**{"members": 2, "epochs": 1, "seed": 1, "verbose": 0, **arguments})
    return made.predict(X, verbose=0)


entry(
    "ensemble", _ensemble,
    {"x": X, "y": Y, "units": "2", "sample_weight": WEIGHTS, "validation_data": (X, Y)},
    {"x": "x", "y": "y", "units": "widths", "members": COUNT, "activation": "name?",
     "output_activation": "name?", "l1": "penalties?", "l2": "penalties?", "dropout": "penalties?",
     "lambdas": "lambdas", "penalty": "name", "optimizer": "name?", "loss": "name or function?",
     "metrics": "metrics?", "epochs": COUNT + "?", "batch_size": COUNT + "?", "shuffle": "flag",
     "sample_weight": "weights of rows", "bootstrap": "flag", "folds": "folds",
     "validation_split": FRACTION + "?", "validation_data": "x and y", "seed": COUNT0 + "?",
     "dtype": "name", "jobs": COUNT + "?", "cluster": "address?", "threads": COUNT + "?",
     "verbose": "verbose"},
    lambdas={"of_zero"}, units={"nested"},
)  # fmt: skip
entry("ensemble, seeds", lambda **a: fastmlp.ensemble(X, Y, "2", epochs=1, verbose=0, **a),
      {"seeds": [1, 2]}, {"seeds": "seeds"})  # fmt: skip


def _of_ensemble(method: str) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        return getattr(shared_ensemble(), method)(**arguments)

    return call


for method in ("predict", "predictions", "spread", "predictive_sd"):
    entry(f"Ensemble.{method}", _of_ensemble(method), {"x": X, "verbose": 0},
          {"x": "x", "verbose": "verbose"})  # fmt: skip
entry("Ensemble.quantiles", _of_ensemble("quantiles"), {"x": X, "verbose": 0},
      {"q": "levels", "noise": "flag"})  # fmt: skip
entry("Ensemble.evaluate", _of_ensemble("evaluate"), _ROWS,
      {**_ROW_KINDS, "batch_size": COUNT + "?"})  # fmt: skip
entry("Ensemble.save", _of_ensemble("save"), lambda tmp: {"path": tmp / "new.fmlp"},
      {"path": "file to write"})  # fmt: skip
entry("Ensemble.export", _of_ensemble("export"), lambda tmp: {"path": tmp / "new.c"},
      {"path": "file to write", "to": "name?", "overwrite": "flag", "name": "label"},
      name={"text"})  # fmt: skip

_TABLE_KINDS = {
    "x": "a table's x", "y": "a table's y", "standardize": "flag", "task": "name?",
    "categorical": "names of columns", "drop": "names of columns", "impute": "name?",
    "indicator": "flag", "measure": "name?", "seed": COUNT0 + "?", "threads": COUNT + "?",
    "verbose": "verbose",
    "jobs": COUNT + "?", "cluster": "address?",
}  # fmt: skip


def _path(**arguments: Any) -> Any:
    settings = {"n_lambdas": 2, "folds": 2, "verbose": 0, "epochs": 1, "first_epochs": 1}
    with warnings.catch_warnings():
        # Without hidden layers epochs and batches are not used: they are tried as arguments only.
        warnings.filterwarnings("ignore", "No effect of", UserWarning)
        warnings.filterwarnings("ignore", category=ModelWarning)
        return fastmlp.path(**{**settings, **arguments})


entry(
    "path", _path, {"x": X, "y": Y},
    {**_TABLE_KINDS, "units": "widths?", "penalty": "name", "n_lambdas": COUNT,
     "lambdas": "lambdas", "lambda_ratio": "number in (0, 1)?", "l1_ratio": "number in (0, 1)",
     "folds": "folds", "choose": "name", "activation": "name?", "epochs": COUNT + "?",
     "first_epochs": COUNT + "?", "batch_size": COUNT + "?", "learning_rate": POSITIVE},
    units={"empty_text"}, activation={"no_list"}, l1_ratio={"one"}, x={"huge"},
)  # fmt: skip


def _sweep(**arguments: Any) -> Any:
    return fastmlp.sweep(**{"units": "2", "epochs": 1, "verbose": 0, "threads": 1, **arguments})


entry(
    "sweep", _sweep, {"x": X, "y": Y, "validation_split": 0.25},
    {**_TABLE_KINDS, "units": "widths", "activation": "name?", "l1": "number of at least 0?",
     "l2": "number of at least 0?", "group_l1": "number of at least 0?", "dropout": FRACTION + "?",
     "optimizer": "name?", "learning_rate": POSITIVE + "?", "batch_size": COUNT + "?",
     "epochs": COUNT + "?", "proximal": "flag", "groups": "name", "method": "name",
     "samples": COUNT + "?", "eta": "integer of at least 2", "min_epochs": COUNT + "?",
     "seeds": COUNT, "validation_split": "number in (0, 1)?", "overwrite": "flag"},
    # A list, or an array, holds the values to try.
    units={"empty_text", "nested", "nothings"}, batch_size={"list", "array"},
    l1={"list", "array"}, l2={"list", "array"}, group_l1={"list", "array"},
    learning_rate={"list", "array"}, x={"huge"},
)  # fmt: skip
entry("sweep, store", _sweep, lambda tmp: {"x": X, "y": Y, "store": tmp / "new.db"},
      {"store": "file to write?"})  # fmt: skip


def _store(tmp: Path) -> dict[str, Any]:
    _sweep(x=X, y=Y, store=tmp / "kept.db", overwrite=True)
    return {"path": tmp / "kept.db"}


entry("sweeps.load", sweeps.load, _store, {"path": "store to read"})
entry("sweeps.Uniform", sweeps.Uniform, {"low": 0.0, "high": 1.0},
      {"low": "number", "high": "number"})  # fmt: skip
entry("sweeps.LogUniform", sweeps.LogUniform, {"low": 0.1, "high": 1.0},
      {"low": POSITIVE, "high": POSITIVE})  # fmt: skip
entry("set_num_threads", fastmlp.set_num_threads, {"n": None}, {"n": COUNT + "?"})


# ---- estimators ----------------------------------------------------------------------------------


def _regressor(**arguments: Any) -> Any:
    from fastmlp.sklearn import MLPRegressor

    data = {name: arguments.pop(name, good) for name, good in (("X", X), ("y", Y[:, 0]))}
    weight = arguments.pop("sample_weight", None)
    settings = {"units": "2", "max_iter": 3, "batch_size": 4, "random_state": 1, "tol": 0.0}
    with warnings.catch_warnings():  # three epochs are none to converge in
        warnings.simplefilter("ignore")
        made = MLPRegressor(**{**settings, **arguments}).fit(**data, sample_weight=weight)
    return made.predict(X)


def _classifier(**arguments: Any) -> Any:
    from fastmlp.sklearn import MLPClassifier

    settings = {"units": "2", "max_iter": 3, "batch_size": 4, "random_state": 1, "tol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPClassifier(**settings).fit(**arguments).predict_proba(X)


_SETTINGS = {
    "units": "widths?", "activation": "name", "solver": "name", "alpha": NOT_NEGATIVE,
    "batch_size": COUNT, "learning_rate": "name", "learning_rate_init": POSITIVE,
    "power_t": NOT_NEGATIVE, "max_iter": COUNT, "shuffle": "flag", "tol": NOT_NEGATIVE,
    "warm_start": "flag", "momentum": FRACTION, "nesterovs_momentum": "flag",
    "early_stopping": "flag", "validation_fraction": FRACTION, "beta_1": FRACTION,
    "beta_2": FRACTION, "epsilon": POSITIVE, "n_iter_no_change": COUNT, "max_fun": COUNT,
    "l1": "penalties", "l2": "penalties?", "dropout": "penalties", "standardize": "flag",
}  # fmt: skip
entry("MLPRegressor.fit", _regressor, {"X": X, "y": Y[:, 0], "sample_weight": WEIGHTS},
      {"X": "X of scikit-learn", "y": "y of scikit-learn", "sample_weight": "weights of rows",
       **_SETTINGS},
      momentum={"one"}, n_iter_no_change={"inf"},
      sample_weight={"no axis", "a number", "huge"})  # fmt: skip
entry("MLPClassifier.fit", _classifier, {"X": X, "y": CLASSES, "sample_weight": WEIGHTS},
      {"X": "X of scikit-learn", "sample_weight": "weights of rows"},
      sample_weight={"no axis", "a number", "huge"})  # fmt: skip


def _predict(**arguments: Any) -> Any:
    from fastmlp.sklearn import MLPRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPRegressor(units="2", max_iter=3).fit(X, Y[:, 0]).predict(**arguments)


entry("MLPRegressor.predict", _predict, {"X": X}, {"X": "X of scikit-learn"}, X={"one row"})
