"""Make a session's network, and change it while it keeps what it has learnt."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import initializers, layers, optimizers, regularizers
from ..models import Sequential
from ._data import PlayData
from ._settings import MOST_WORK, PlaySettings

Array = np.ndarray
Edit = Callable[[list[list[Array]]], list[list[Array]]]


def make(settings: PlaySettings, data: PlayData) -> Sequential:
    """Make the network of a session, compiled; its weights are drawn on first use.

    Parameters
    ----------
    settings : PlaySettings
    data : PlayData

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If a step would take too long for a page that is to answer at once.
    """
    state = data.preprocessing
    widths = [state.n_inputs, *settings.units, state.n_outputs]
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    rows = min(settings.batch or len(data.x), len(data.x))
    if weights * rows > MOST_WORK:
        raise ValueError(
            f"A step may have {MOST_WORK:,} weights times rows: choose smaller batches or fewer "
            f"units. Received: {weights:,} weights and batches of {rows:,} rows"
        )
    model = Sequential([layers.Input((state.n_inputs,))], seed=settings.seed, name="playground")
    for i, width in enumerate(settings.units):
        model.add(_dense(settings, i, widths[i], width, settings.activation))
        if settings.dropout:
            model.add(layers.Dropout(settings.dropout, name=f"dropout_{i + 1}"))
    if data.task == "regression":
        last, loss = "linear", "mean_squared_error"
    elif state.n_outputs == 1:
        last, loss = "sigmoid", "binary_crossentropy"
    else:
        last, loss = "softmax", "sparse_categorical_crossentropy"
    model.add(_dense(settings, len(settings.units), widths[-2], state.n_outputs, last))
    model.compile(optimizer_of(settings), loss)
    state.keep(model)
    return model


def optimizer_of(settings: PlaySettings) -> optimizers.Optimizer:
    """Return the optimizer that settings name, at their rate."""
    return optimizers.get(
        {"class_name": settings.optimizer, "config": {"learning_rate": settings.rate}}
    )


def penalty_of(settings: PlaySettings, i: int) -> regularizers.Regularizer | None:
    """Return the penalty of layer i; None if its lambdas are 0."""
    if settings.group[i]:
        return regularizers.GroupL1(settings.group[i], settings.groups)
    if settings.l1[i] or settings.l2[i]:
        return regularizers.L1L2(settings.l1[i], settings.l2[i], settings.proximal)
    return None


def starts(settings: PlaySettings, n_in: int) -> tuple[Any, Any]:
    """Return the initializers of a layer's weights and biases."""
    if settings.start == "uniform":
        a = float(n_in**-0.5)
        return initializers.RandomUniform(-a, a), initializers.RandomUniform(-a, a)
    if settings.start == "normal":
        return initializers.RandomNormal(), initializers.RandomNormal()
    return {"glorot": "glorot_uniform", "he": "he_normal"}[settings.start], "zeros"


def _dense(settings: PlaySettings, i: int, n_in: int, units: int, activation: str) -> layers.Dense:
    weights, biases = starts(settings, n_in)
    return layers.Dense(
        units, activation, kernel_initializer=weights, bias_initializer=biases,
        kernel_regularizer=penalty_of(settings, i), name=f"dense_{i + 1}",
    )  # fmt: skip


def apply_live(model: Sequential, settings: PlaySettings) -> None:
    """Set the settings that need no new network: penalties, rate, dropout, activation."""
    dense = model.dense_layers
    for i, layer in enumerate(dense):
        layer.kernel_regularizer = penalty_of(settings, i)
        if i < len(dense) - 1:
            layer.activation = settings.activation
    for other in model.layers:
        if isinstance(other, layers.Dropout):
            other.rate = settings.dropout
    assert model.optimizer is not None
    model.optimizer.learning_rate = settings.rate


# ---- parameters and their moments --------------------------------------------------------------


def read(model: Sequential) -> list[list[Array]]:
    """Return copies of weights and biases: the values first, then each moment of the optimizer.

    Returns
    -------
    list of list of ndarray
        Of each part [w, b, w, b, ...].
    """
    network = model.ready()
    assert model.optimizer is not None
    n = range(network.n_layers)
    with network.lock:
        parts = [[a.copy() for i in n for a in (network.weights(i), network.bias(i))]]
        for slot in model.optimizer.slots:
            pairs = [(network.weights_slot(slot, i), network.bias_slot(slot, i)) for i in n]
            parts.append([np.array(a) for pair in pairs for a in pair])
    return parts


def write(model: Sequential, parts: list[list[Array]], step: int) -> None:
    """Set what `read` returned, and the optimizer's number of steps.

    Moments beyond those of the model's optimizer are left out; those that are missing stay 0.
    """
    model.materialise(draw=False)
    network = model.ready()
    assert model.optimizer is not None
    with network.lock:
        network.writes += 1
        for i in range(network.n_layers):
            network.weights(i)[...], network.bias(i)[...] = parts[0][2 * i : 2 * i + 2]
        for slot, part in zip(model.optimizer.slots, parts[1:], strict=False):
            for i in range(network.n_layers):
                network.weights_slot(slot, i)[...] = part[2 * i]
                network.bias_slot(slot, i)[...] = part[2 * i + 1]
        network.step = step


def with_units(layer: int, fresh: Array, bias: Array) -> Edit:
    """Return an edit that adds units whose outgoing weights are 0, so that nothing changes yet.

    Parameters
    ----------
    layer : int
    fresh : ndarray of shape (n_in, units)
        Incoming weights.
    bias : ndarray of shape (units,)
    """

    def edit(parts: list[list[Array]]) -> list[list[Array]]:
        for number, part in enumerate(parts):
            first = number == 0  # the values; moments begin at 0
            w, b, v = part[2 * layer], part[2 * layer + 1], part[2 * layer + 2]
            part[2 * layer] = np.hstack([w, fresh if first else np.zeros_like(fresh)])
            part[2 * layer + 1] = np.concatenate([b, bias if first else np.zeros_like(bias)])
            part[2 * layer + 2] = np.vstack([v, np.zeros((len(bias), v.shape[1]), v.dtype)])
        return parts

    return edit


def without_units(layer: int, keep: Array) -> Edit:
    """Return an edit that keeps some units of a layer."""

    def edit(parts: list[list[Array]]) -> list[list[Array]]:
        for part in parts:
            part[2 * layer] = part[2 * layer][:, keep]
            part[2 * layer + 1] = part[2 * layer + 1][keep]
            part[2 * layer + 2] = part[2 * layer + 2][keep]
        return parts

    return edit


def with_layer(after: int) -> Edit:
    """Return an edit that inserts an identity behind hidden layer `after`, of the same width.

    What ReLU passes on stays as it is; other activations bend it a little.
    """

    def edit(parts: list[list[Array]]) -> list[list[Array]]:
        for number, part in enumerate(parts):
            n, dtype = len(part[2 * after + 1]), part[0].dtype
            w = np.eye(n, dtype=dtype) if number == 0 else np.zeros((n, n), dtype)
            part[2 * after + 2 : 2 * after + 2] = [w, np.zeros(n, dtype)]
        return parts

    return edit


def without_layer(layer: int) -> Edit:
    """Return an edit that removes a hidden layer; the next one takes its weights as if linear."""

    def edit(parts: list[list[Array]]) -> list[list[Array]]:
        for number, part in enumerate(parts):
            w, b, v, c = part[2 * layer : 2 * layer + 4]
            if number == 0:
                joined, bias = w @ v, b @ v + c
            else:
                joined, bias = np.zeros((len(w), v.shape[1]), w.dtype), np.zeros_like(c)
            part[2 * layer : 2 * layer + 4] = [joined.astype(w.dtype), bias.astype(w.dtype)]
        return parts

    return edit
