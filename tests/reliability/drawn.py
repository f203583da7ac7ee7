"""Hypothesis strategies: architectures, data, and models with weights of a natural size."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastmlp import layers, models, regularizers

SMOOTH = ("linear", "gelu", "silu", "tanh", "sigmoid", "softplus", "softmax")
ACTIVATIONS = (*SMOOTH, "relu", "leaky_relu", "elu")
# Losses, with what the last layer may be and how many outputs there are at least.
LOSSES = {
    "mean_squared_error": ("linear", 1),
    "huber": ("tanh", 1),
    "poisson": ("softplus", 1),
    "binary_crossentropy": ("sigmoid", 1),
    "categorical_crossentropy": ("softmax", 2),
    "sparse_categorical_crossentropy": ("softmax", 2),
}


def _penalty(draw: Any, rng: np.random.Generator) -> Any:
    kind = draw(st.sampled_from(["none", "l1", "l2", "both", "groups"]))
    return {
        "none": None,
        "l1": regularizers.L1(0.01),
        "l2": regularizers.L2(0.02),
        "both": regularizers.L1L2(0.01, 0.03),
        "groups": regularizers.GroupL1(0.02, draw(st.sampled_from(["units", "inputs"]))),
    }[kind]


@st.composite
def cases(
    draw: Any,
    activations: tuple[str, ...] = ACTIVATIONS,
    losses: tuple[str, ...] = tuple(LOSSES),
    dtypes: tuple[str, ...] = ("float64",),
    hidden: tuple[int, int] = (0, 3),
    penalties: bool = True,
) -> tuple[models.Sequential, np.ndarray, np.ndarray, np.ndarray | None]:
    """Draw a compiled model, x, y and weights of rows or None."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    loss = draw(st.sampled_from(losses))
    last, fewest = LOSSES[loss]
    n_inputs, n = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    n_outputs = draw(st.integers(fewest, 5))
    widths = draw(st.lists(st.integers(2, 33), min_size=hidden[0], max_size=hidden[1]))
    model = models.Sequential([layers.Input((n_inputs,))], 1, draw(st.sampled_from(dtypes)))
    for width in [*widths, n_outputs]:
        is_last = len(model.layers) == len(widths)
        model.add(
            layers.Dense(
                width,
                last if is_last else draw(st.sampled_from(activations)),
                use_bias=draw(st.booleans()),
                kernel_regularizer=_penalty(draw, rng) if penalties else None,
            )
        )
    model.compile("sgd", loss)
    # Nowhere near zero, where L1 has its kink.
    model.set_weights(
        [
            rng.uniform(0.2, 1.2, a.shape) * rng.choice([-1, 1], a.shape) / np.sqrt(len(a))
            for a in model.get_weights()
        ]
    )
    x, y = rng.normal(size=(n, n_inputs)), targets(rng, loss, n, n_outputs)
    weight = rng.uniform(0, 2, n) if draw(st.booleans()) else None
    return model, x, y, weight


def targets(rng: np.random.Generator, loss: str, n: int, k: int) -> np.ndarray:
    if loss.startswith("sparse"):
        return rng.integers(0, k, n)
    if loss.startswith("categorical"):
        return np.eye(k)[rng.integers(0, k, n)]
    if loss.startswith("binary"):
        return rng.integers(0, 2, (n, k)).astype(float)
    return rng.poisson(3, (n, k)).astype(float) if loss == "poisson" else rng.normal(size=(n, k))
