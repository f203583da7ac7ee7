"""Random networks, with and without a table's preprocessing, for tests of agreement."""

import datetime
import math

import numpy as np

from fastmlp import layers, models
from fastmlp.preprocessing import Preprocessing

COLOURS = ["red", "green", 'a "quoted", one', "été", "*/ int x; /*", "5", "back\\slash ??/"]
EPOCH = datetime.date(1970, 1, 1)


def network(rng, n_inputs=None, n_outputs=None, output=None, dtype=None, widest=64):
    """Draw a network of up to four hidden layers, its biases not zero."""
    model = models.Sequential(seed=int(rng.integers(1000)), dtype=dtype or pick(rng, DTYPES))
    model.add(layers.Input((n_inputs or int(rng.integers(1, 20)),)))
    for _ in range(rng.integers(0, 5)):
        model.add(dense(rng, int(rng.integers(1, widest + 1)), pick(rng, layers.ACTIVATIONS)))
        if rng.integers(4) == 0:
            model.add(layers.Dropout(0.25, seed=3))
    last = output or pick(rng, layers.ACTIVATIONS)
    model.add(dense(rng, n_outputs or int(rng.integers(1, 6)), last))
    return model


def encoded_network(rng, dtype, x=None, **last):
    """Draw a network that begins with bins of its inputs, of one input none; return it and rows."""
    if x is None:
        x = rng.normal(size=(300, int(rng.integers(2, 8)))) ** 3
        x[:, 0] = rng.integers(2, size=len(x))
    rest = network(rng, 1, dtype=dtype, **last)
    first = layers.PiecewiseLinear(int(rng.integers(2, 40)))
    model = models.Sequential([first], seed=rest.seed, dtype=dtype)
    for layer in rest.layers:
        model.add(type(layer)(**layer.get_config()))
    model.adapt(x)
    return model, np.concatenate([x, 10 * x, np.zeros_like(x), -x]).astype(dtype)


DTYPES = ("float32", "float32", "float64")


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def dense(rng, units, activation):
    penalty = pick(rng, [None, "l1", "l2", "l1_l2"])
    return layers.Dense(
        units,
        activation,
        use_bias=bool(rng.integers(4)),
        bias_initializer="random_normal",
        kernel_regularizer=penalty,
    )


def rows(rng, model, n=40):
    return rng.normal(size=(n, model.n_inputs)).astype(model.dtype)


def close(found, expected, tolerance):
    """Require agreement to `tolerance`, relative to outputs larger than 1; return the largest."""
    assert found.shape == expected.shape and np.isfinite(found).all()
    error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    assert error.max() <= tolerance
    return error.max()


# ---- tables --------------------------------------------------------------------------------------


def _cells(rng, kind, n, share):
    if kind == "numeric":
        cells = (rng.normal(size=n) * 3 + 10).tolist()
    elif kind == "boolean":
        cells = [bool(value) for value in rng.integers(2, size=n)]
    elif kind == "date":
        cells = [EPOCH + datetime.timedelta(int(d)) for d in rng.integers(0, 20000, size=n)]
    else:
        cells = [COLOURS[i] for i in rng.integers(len(COLOURS), size=n)]
        cells[: len(COLOURS)] = COLOURS  # each is seen in training
    for i in np.flatnonzero(rng.random(n) < share):
        if i >= len(COLOURS):
            cells[i] = None
    return cells


def table(rng, n=60):
    """Draw columns of every kind, some with missing cells; the target comes last."""
    missing = bool(rng.integers(2))
    kinds = [pick(rng, ["numeric", "boolean", "date", "categorical"]) for _ in range(4)]
    columns = {
        f"{kind} {i}": _cells(rng, kind, n, 0.2 if missing else 0.0)
        for i, kind in enumerate(["numeric", *kinds])
    }
    goal = pick(rng, ["regression", "two", "three", "numbers"])
    if goal == "regression":
        columns["y"] = (rng.normal(size=n) + 1).tolist()
    elif goal == "numbers":
        columns["y"] = rng.integers(3, size=n).tolist()
    else:
        labels = ["no", "yes", "*/ maybe"][: 3 if goal == "three" else 2]
        columns["y"] = [labels[i % len(labels)] for i in range(n)]
    return columns, missing, None if goal != "numbers" else "classification"


def goal_is_numbers(columns):
    """Return whether a table's target holds numbers that are not classes."""
    return isinstance(columns["y"][0], float)


def network_of_a_table(rng):
    """Draw a table and a network for it; return model, preprocessing, and the table's inputs."""
    columns, missing, task = table(rng)
    state = Preprocessing.fit(
        columns,
        "y",
        task,
        standardize=bool(rng.integers(2)) or task is None,
        impute=pick(rng, ["mean", "median"]) if missing else pick(rng, ["none", "median"]),
        indicator=bool(rng.integers(2)),
        max_categories=int(rng.integers(1, 4)),
        unknown=pick(rng, ["ignore", "error"]),
        date_parts=bool(rng.integers(2)),
        target_transform=pick(rng, [None, "quantile"])
        if task is None and goal_is_numbers(columns)
        else None,
    )
    last = "linear"
    if state.task == "classification":
        last = "sigmoid" if state.n_outputs == 1 else "softmax"
    model = network(rng, state.n_inputs, state.n_outputs, last)
    state.keep(model)
    return model, state, {name: cells for name, cells in columns.items() if name != "y"}


def encoded_table(rng, dtype, task=None):
    """Draw a table and a network with bins of its inputs; return what `network_of_a_table` does."""
    n = 80
    columns = {kind: _cells(rng, kind, n, 0.2) for kind in ("numeric", "boolean", "categorical")}
    columns["y"] = (rng.normal(size=n) + 1).tolist()
    if task is not None:
        columns["y"] = [["no", "yes"][i % 2] for i in range(n)]
    state = Preprocessing.fit(columns, "y", task, indicator=True, standardize="robust")
    x = state.inputs(columns, dtype)
    last = "linear" if task is None else "sigmoid"
    model, _ = encoded_network(rng, dtype, x, n_outputs=1, output=last)
    state.keep(model)
    return model, state, {name: cells for name, cells in columns.items() if name != "y"}


def as_number(cell):
    """Return a cell as the exported models take it, if it is no category."""
    if cell is None:
        return math.nan
    if isinstance(cell, datetime.date):
        return float((cell - EPOCH).days)
    return float(cell)


def outputs(model, state, columns):
    """Return what fastmlp predicts: values (n, 1), or labels and probabilities."""
    raw = model.predict(state.inputs(columns, model.dtype.name))
    if state.task == "regression":
        return None, state.values(raw).reshape(-1, 1)
    return state.classes(raw)
