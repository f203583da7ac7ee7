"""A user's program, for mypy --strict; `assert_type` says what a reader's editor would show."""

from pathlib import Path
from typing import assert_type

import matplotlib.figure
import numpy as np

import fastmlp
from fastmlp import (
    backend,
    callbacks,
    datasets,
    ensembles,
    errors,
    initializers,
    inspection,
    interchange,
    layers,
    lecture,
    losses,
    metrics,
    models,
    optimizers,
    paths,
    plots,
    regularizers,
    schedules,
    sweeps,
)
from fastmlp._saving.export import to_bytes
from fastmlp.preprocessing import Preprocessing


class Count(callbacks.Callback):
    """Counts epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add one."""
        self.epochs = epoch + 1


def train(x: np.ndarray, y: np.ndarray, penalty: float) -> models.Sequential:
    """Train a small network in every way that has a name."""
    model = models.Sequential(seed=1, dtype="float64")
    model.add(layers.Input((1,)))
    model.add(
        layers.Dense(
            8,
            activation="relu",
            kernel_initializer=initializers.RandomNormal(seed=3),
            kernel_regularizer=regularizers.l1_l2(l1=penalty, l2=penalty),
        )
    )
    model.add(layers.Dropout(0.1))
    model.add(layers.Dense(1, kernel_regularizer=regularizers.l2(penalty)))
    rate = schedules.ExponentialDecay(0.01, decay_steps=100, decay_rate=0.9)
    model.compile(
        optimizer=optimizers.Adam(learning_rate=rate),
        loss=losses.MeanSquaredError(),
        metrics=[metrics.MeanAbsoluteError(), "mean_squared_error"],
    )
    count = Count()
    history = model.fit(
        x,
        y,
        batch_size=10,
        epochs=3,
        verbose=0,
        validation_split=0.2,
        callbacks=[callbacks.EarlyStopping(patience=2, restore_best_weights=True), count],
    )
    assert_type(history, callbacks.History)
    assert_type(history.history, dict[str, list[float]])
    assert_type(count.epochs, int)
    return model


def look(model: models.Sequential, x: np.ndarray, y: np.ndarray, directory: Path) -> float:
    """Predict, look inside, draw and keep."""
    assert_type(model.predict(x), np.ndarray)
    assert_type(model.activations(x), list[np.ndarray])
    assert_type(model.gradients(x, y), list[tuple[np.ndarray, np.ndarray]])
    assert_type(model.layers[0].get_weights(), list[np.ndarray])
    assert_type(model.count_params(), int)
    hidden = backend.function([model.layers[0].input], [model.layers[0].output])
    assert_type(hidden([x]), list[np.ndarray])

    importance = inspection.permutation_importance(model, x, y, seed=0)
    figure = plots.plot_importance(importance)
    assert_type(figure, matplotlib.figure.Figure)
    assert_type(plots.plot_layers(model, hidden_legend=True), matplotlib.figure.Figure)
    assert_type(plots.save(figure, directory / "importance.png"), Path)

    path = directory / "model.fmlp"
    model.save(path)
    try:
        again = models.load_model(path)
    except errors.ModelFileError as error:
        raise SystemExit(str(error)) from None
    assert_type(again, models.Sequential)
    again.export(directory / "model.safetensors")
    assert_type(to_bytes(again, "c"), bytes)
    assert_type(interchange.import_model(directory / "model.safetensors"), models.Sequential)
    return float(np.abs(again.predict(x) - model.predict(x)).max())


def choose(x: np.ndarray, y: np.ndarray) -> int:
    """Train many networks at once, and for many penalties; make the sparse one small."""
    bag = fastmlp.ensemble(x, y, "8", 3, epochs=2, bootstrap=True, seed=1, verbose=0)
    assert_type(bag, ensembles.Ensemble)
    assert_type(bag[0], models.Sequential)
    assert_type(bag.quantiles(x, [0.1, 0.9], noise=True), np.ndarray)
    assert_type(bag.seeds, list[int])
    result = fastmlp.path(
        x, y, "4", penalty="l1", n_lambdas=3, folds=2, epochs=2, seed=1, verbose=0
    )
    assert_type(result, paths.PathResult)
    assert_type(result.lambda_1se, float)
    assert_type(result.plot_cv(), matplotlib.figure.Figure)
    assert_type(result.model, models.Sequential)
    tried = fastmlp.sweep(
        x, y, ["4", "8"], l2=sweeps.LogUniform(1e-6, 1e-2), method="random", samples=2,
        epochs=2, verbose=0,
    )  # fmt: skip
    assert_type(tried, sweeps.SweepResult)
    assert_type(tried.plot(), matplotlib.figure.Figure)
    table = {"x": x.ravel().tolist(), "y": y.ravel().tolist()}
    state = Preprocessing.fit(table, "y", standardize=True)
    assert_type(state, Preprocessing)
    assert_type(state.inputs(table), np.ndarray)
    assert_type(result.model.prune(), models.Sequential)
    return len(bag)


def main(directory: Path) -> None:
    """Run it all."""
    fastmlp.set_num_threads(1)
    assert_type(fastmlp.get_num_threads(), int)
    assert_type(fastmlp.__version__, str)
    x, y = datasets.regression_train()
    model = train(x, y, 1e-4)
    difference = look(model, x, y, directory)
    small = models.mlp("8x2", n_inputs=1, n_outputs=1, l2=[0.0, 0.01, 0.0])
    assert_type(small, models.Sequential)
    result = lecture.train(lecture.CATALOGUE["model_8units"], epochs=2)
    assert_type(result, lecture.Result)
    print(difference, small.count_params(), result.train["mse"] > 0, choose(x, y))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
