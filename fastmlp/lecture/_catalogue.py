"""The lecture's networks: architectures, seeds, and the values that the lecture printed.

`CATALOGUE` has them in the lecture's order. `train` fits one; `repair` smooths one by hand.
Importing this module does not import NumPy, because the command line completes names from it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._utils import arguments
from .._utils.names import TASKS

if TYPE_CHECKING:
    import numpy as np

    from ..models import Sequential
    from ..preprocessing import Preprocessing

EPOCHS = 1000
REPAIR_INTERVAL = (0.5, 1.0)
REPAIR_FACTOR = 0.1
# Steps of the repaired curve are measured between the grid points in this interval.
STEP_INTERVAL = (0.52, 1.0)


@dataclass(frozen=True)
class Entry:
    """One network of the lecture.

    Parameters
    ----------
    name : str
        Name in the lecture's table.
    task : {"regression", "classification"}
    units : tuple of int
        Hidden layers' widths.
    l1, l2 : float
        Penalty on the weights of every layer, output included.
    seed : int
        Seed of NumPy's legacy generator, which draws the seeds of the initializers.
    seeds : int
        Number of seeds drawn for biases, and then again for weights. Hidden layer i uses seed i,
        the output layer the last.
    initial_step : int
        Initial step count in Adam's bias correction.
    lecture : dict
        Values that the lecture printed: some of train_loss, train_mse, val_loss, val_mse,
        val_accuracy.
    rtol, rtol_loss, rtol_train_mse, atol_accuracy : float or None
        Tolerances of a rerun: of losses and mean squared errors; of the training loss with
        penalty; of the training mean squared error, if it differs from `rtol`; of accuracy. None:
        not compared.
    repairs : str or None
        Name of the entry of which this is the repaired copy.
    """

    name: str
    task: str
    units: tuple[int, ...]
    l1: float
    l2: float
    seed: int
    seeds: int
    initial_step: int
    lecture: dict[str, float]
    rtol: float | None = None
    rtol_loss: float | None = None
    rtol_train_mse: float | None = None
    atol_accuracy: float | None = None
    repairs: str | None = None

    @property
    def metric(self) -> str:
        """The metric beside the loss: 'mse' or 'accuracy'."""
        return "mse" if self.task == "regression" else "accuracy"


def _read_catalogue() -> dict[str, Entry]:
    text = (Path(__file__).with_name("lecture.json")).read_text(encoding="utf-8")
    entries = [Entry(**{**item, "units": tuple(item["units"])}) for item in json.loads(text)]
    return {entry.name: entry for entry in entries}


CATALOGUE: dict[str, Entry] = _read_catalogue()


@dataclass
class Result:
    """A trained network of the lecture with its losses and metrics.

    Parameters
    ----------
    entry : Entry
    model : Sequential
    epochs : int
    parameters : int
    train, val : dict
        'loss' and the entry's metric, from `evaluate` after the last epoch.
    seconds : float
        Duration of training, or of the repair.
    repair : dict or None
        Weights changed by the repair, and errors before and after.
    before : Sequential or None
        The network before its repair.
    """

    entry: Entry
    model: Sequential
    epochs: int
    parameters: int
    train: dict[str, float]
    val: dict[str, float]
    seconds: float
    repair: dict[str, Any] | None = None
    before: Sequential | None = None

    @property
    def lecture(self) -> dict[str, float | None]:
        """The lecture's values, None for those that it does not print."""
        names = [
            f"{part}_{key}" for part in ("train", "val") for key in ("loss", self.entry.metric)
        ]
        return {name: self.entry.lecture.get(name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a JSON document.

        Returns
        -------
        dict
        """
        entry = self.entry
        document = {
            "name": entry.name,
            "task": entry.task,
            "units": list(entry.units),
            "l1": entry.l1,
            "l2": entry.l2,
            "epochs": self.epochs,
            "parameters": self.parameters,
            "train": self.train,
            "val": self.val,
            "lecture": self.lecture,
            "seconds": self.seconds,
        }
        return document if self.repair is None else {**document, "repair": self.repair}


def _task(task: str) -> str:
    return arguments.one_of("task", task, TASKS)


def data(task: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the lecture's data of a task.

    Parameters
    ----------
    task : {"regression", "classification"}

    Returns
    -------
    train, validation : tuples (x, y)
    """
    from .. import datasets

    if _task(task) == "regression":
        return datasets.regression_train(), datasets.regression_validation()
    return datasets.classification_train(), datasets.classification_validation()


def preprocessing(task: str) -> Preprocessing:
    """Return a `Preprocessing` with the column names of the lecture's data.

    Parameters
    ----------
    task : {"regression", "classification"}

    Returns
    -------
    Preprocessing
    """
    from ..preprocessing import Preprocessing

    if _task(task) == "regression":
        return Preprocessing.plain(["x"], "y", task)
    return Preprocessing.plain(["x1", "x2"], "y", task, [0, 1])


def build(entry: Entry) -> Sequential:
    """Build and compile a network of the lecture with its initial weights.

    Parameters
    ----------
    entry : Entry

    Returns
    -------
    Sequential
    """
    import numpy as np

    from .. import initializers, layers, models, optimizers, regularizers

    arguments.instance("entry", entry, Entry)
    rng = np.random.RandomState(entry.seed)
    bias_seeds = rng.randint(1, 1_000_000, size=entry.seeds)
    weight_seeds = rng.randint(1, 1_000_000, size=entry.seeds)
    classify = entry.task == "classification"
    hidden = [(width, "relu", i) for i, width in enumerate(entry.units)]
    output = (1, "sigmoid" if classify else "linear", -1)
    penalised = entry.l1 > 0 or entry.l2 > 0
    model = models.Sequential(name=entry.name)
    model.add(layers.Input(shape=(2 if classify else 1,)))
    for number, (width, activation, i) in enumerate([*hidden, output], 1):
        model.add(
            layers.Dense(
                width,
                activation=activation,
                bias_initializer=initializers.RandomNormal(seed=int(bias_seeds[i])),
                kernel_initializer=initializers.RandomNormal(seed=int(weight_seeds[i])),
                kernel_regularizer=regularizers.L1L2(entry.l1, entry.l2) if penalised else None,
                name=f"dense_{number}",
            )
        )
    model.compile(
        optimizer=optimizers.Adam(initial_step=entry.initial_step),
        loss="binary_crossentropy" if classify else "mean_squared_error",
        metrics=["accuracy" if classify else "mean_squared_error"],
    )
    model.extras["preprocessing"] = preprocessing(entry.task).to_dict()
    model.extras["data"] = f"lecture:{entry.task}"
    return model


def _evaluate(model: Sequential, entry: Entry) -> tuple[dict[str, float], dict[str, float]]:
    figures = []
    for x, y in data(entry.task):
        loss, metric = model.evaluate(x, y, verbose=0)
        figures.append({"loss": float(loss), entry.metric: float(metric)})
    return figures[0], figures[1]


def train(
    entry: Entry,
    epochs: int = EPOCHS,
    *,
    curves: bool = False,
    callbacks: Sequence[Any] = (),
    base: Result | None = None,
) -> Result:
    """Train a network like the lecture, with Adam and all rows in each batch.

    Parameters
    ----------
    entry : Entry
    epochs : int
    curves : bool
        Whether to evaluate on the validation data for the loss curves, at 20 epochs, or at 10 for
        the classifiers with their 10,000 rows.
    callbacks : sequence of Callback
    base : Result, optional
        Trained network to repair, for an entry with `repairs`. Default: train it first.

    Returns
    -------
    Result
    """
    arguments.instance("entry", entry, Entry)
    epochs, curves = arguments.integer("epochs", epochs), arguments.flag("curves", curves)
    if entry.repairs is not None:
        if base is None:
            base = train(CATALOGUE[entry.repairs], epochs, curves=curves, callbacks=callbacks)
        return _repaired(entry, base)
    model = build(entry)
    points = 20 if entry.task == "regression" else 10
    (x, y), validation = data(entry.task)
    start = time.perf_counter()
    model.fit(
        x,
        y,
        batch_size=len(x),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=list(callbacks),
        validation_data=validation if curves else None,
        validation_freq=max(1, -(-epochs // points)) if curves else 1,
    )
    seconds = time.perf_counter() - start
    parameters = model.count_params()
    return Result(entry, model, epochs, parameters, *_evaluate(model, entry), seconds)


def repair(model: Sequential) -> tuple[Sequential, dict[str, Any]]:
    """Smooth a fitted curve by changing weights of its first layer, like the lecture.

    A unit's change point, ``-b / w``, is where it turns on. Weights whose change point lies in
    [0.5, 1] are multiplied by 0.1. The curve's steps there shrink, but the validation error grows
    because the later layers were fitted to the unchanged units.

    Parameters
    ----------
    model : Sequential
        Trained, with one input. It is not changed.

    Returns
    -------
    repaired : Sequential
    report : dict
        Number of 'weights' in the first layer, number of 'weights_changed', and 'largest_step' of
        the curve between neighbouring grid points in [0.52, 1], 'before' and 'after'.

    Raises
    ------
    ValueError
        If the model does not have one input.
    """
    import copy

    import numpy as np

    w, b = model.layers[0].get_weights()
    if w.shape[0] != 1:
        raise ValueError(f"the repair needs a model of one input. Received: {w.shape[0]} inputs")
    low, high = REPAIR_INTERVAL
    with np.errstate(divide="ignore", invalid="ignore"):
        change_points = -b / w[0]
    chosen = (change_points >= low) & (change_points <= high)
    w[0, chosen] *= REPAIR_FACTOR
    repaired = copy.deepcopy(model)
    repaired.layers[0].set_weights((w, b))
    report = {
        "weights": int(w.size),
        "weights_changed": int(chosen.sum()),
        "largest_step": {"before": largest_step(model), "after": largest_step(repaired)},
    }
    return repaired, report


def largest_step(model: Sequential) -> float:
    """Return a fitted curve's largest step between neighbouring grid points in [0.52, 1].

    Parameters
    ----------
    model : Sequential

    Returns
    -------
    float
    """
    import numpy as np

    from .. import datasets

    x = datasets.grid()
    low, high = STEP_INTERVAL
    inside = (x[:, 0] > low - 0.01) & (x[:, 0] < high + 0.01)
    return float(np.abs(np.diff(model.predict(x[inside], verbose=0)[:, 0])).max())


def _repaired(entry: Entry, base: Result) -> Result:
    start = time.perf_counter()
    model, report = repair(base.model)
    train_figures, val_figures = _evaluate(model, entry)
    seconds = time.perf_counter() - start
    report["train_mse"] = {"before": base.train["mse"], "after": train_figures["mse"]}
    report["val_mse"] = {"before": base.val["mse"], "after": val_figures["mse"]}
    return Result(
        entry,
        model,
        base.epochs,
        base.parameters,
        train_figures,
        val_figures,
        seconds,
        repair=report,
        before=base.model,
    )


# ---- tables ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One row of the catalogue's table."""

    name: str
    figure: str
    value: float
    lecture: float | None
    seconds: float = field(compare=False)

    @property
    def difference(self) -> float | None:
        """Relative difference from the lecture's value; None if it prints none."""
        return None if self.lecture is None else self.value / self.lecture - 1


def rows(results: Iterable[Result]) -> Iterator[Row]:
    """Yield the rows of a table: one for each value of each network.

    The loss of a regression network without penalty is left out: it is its mean squared error.

    Parameters
    ----------
    results : iterable of Result

    Yields
    ------
    Row
    """
    for result in results:
        entry = result.entry
        same = entry.task == "regression" and not (entry.l1 or entry.l2)
        for part, figures in (("train", result.train), ("val", result.val)):
            for key in (entry.metric,) if same else ("loss", entry.metric):
                printed = entry.lecture.get(f"{part}_{key}")
                yield Row(entry.name, f"{part} {key}", figures[key], printed, result.seconds)
