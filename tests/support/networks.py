"""Networks and data for the tests of the kernels."""

import functools

import numpy as np

from fastmlp import _kernels
from fastmlp._kernels.formulas import ACTIVATIONS, LOSSES
from fastmlp.layers import PiecewiseLinear

from .reference import ReferenceNetwork

# Which last activations a loss makes sense with; those after the fused one go through the clip.
LAST = {
    "mean_squared_error": ACTIVATIONS,
    "mean_absolute_error": ACTIVATIONS,
    "huber": ACTIVATIONS,
    "poisson": ("softplus", "sigmoid", "softmax"),
    "binary_crossentropy": ("sigmoid", "softmax"),
    "categorical_crossentropy": ("softmax", "sigmoid"),
    "sparse_categorical_crossentropy": ("softmax", "sigmoid"),
}
PAIRS = [(loss, last) for loss in LOSSES for last in LAST[loss]]
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    "rmsprop": {"optimizer": "rmsprop"},
    "adagrad": {"optimizer": "adagrad"},
    "adam": {"optimizer": "adam"},
    "adam_counted": {"optimizer": "adam", "initial_step": 1, "beta_1": 0.8, "beta_2": 0.99},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
}
METRICS = {
    "mean_squared_error": ("mean_absolute_error", "mean_squared_error", "huber"),
    "mean_absolute_error": ("mean_squared_error",),
    "huber": ("mean_squared_error",),
    "poisson": ("poisson", "mean_squared_error"),
    "binary_crossentropy": ("binary_accuracy", "binary_crossentropy"),
    "categorical_crossentropy": ("categorical_accuracy", "categorical_crossentropy"),
    "sparse_categorical_crossentropy": (
        "sparse_categorical_accuracy",
        "sparse_categorical_crossentropy",
    ),
}


def reference(dtype):
    return functools.partial(ReferenceNetwork, dtype=dtype)


def compiled(dtype):
    return _kernels.network_class(dtype)


def draw_parameters(net, seed, low=0.0):
    """Fill a network: |weights| between low and 1 over the square root of the layer's inputs."""
    rng = np.random.default_rng(seed)
    for i in range(net.n_layers):
        for view, n_in in ((net.weights(i), len(net.weights(i))), (net.bias(i), 4)):
            size = rng.uniform(low, 1.0, view.shape) * np.sqrt(3.0 / n_in)
            view[...] = size * rng.choice([-1, 1], view.shape)


def copy_parameters(source, target):
    for i in range(source.n_layers):
        target.weights(i)[...] = source.weights(i)
        target.bias(i)[...] = source.bias(i)


def parameters(net):
    """Copies of all weights and biases, by name."""
    named = {f"weights {i}": np.array(net.weights(i)) for i in range(net.n_layers)}
    return named | {f"bias {i}": np.array(net.bias(i)) for i in range(net.n_layers)}


def gradients(net):
    named = {f"weights {i}": np.array(net.weights_gradient(i)) for i in range(net.n_layers)}
    return named | {f"bias {i}": np.array(net.bias_gradient(i)) for i in range(net.n_layers)}


def slots(net):
    named = {}
    for s in range(2):
        for i in range(net.n_layers):
            named[f"weights slot {s} {i}"] = np.array(net.weights_slot(s, i))
            named[f"bias slot {s} {i}"] = np.array(net.bias_slot(s, i))
    return named


def draw_data(seed, n, n_inputs, n_outputs, loss="mean_squared_error", dtype="float64"):
    """Return x, y, sample_weight; y is something the loss can be taken of."""
    rng = np.random.default_rng([seed, n, n_inputs, n_outputs])
    x = rng.normal(size=(n, n_inputs))
    weight = rng.choice([0.5, 1.0, 2.0], n)
    if loss == "poisson":
        y = rng.poisson(2.0, (n, n_outputs))
    elif loss == "binary_crossentropy":
        y = rng.choice([0.0, 0.25, 1.0], (n, n_outputs))
    elif loss == "categorical_crossentropy":
        y = rng.dirichlet(np.ones(n_outputs), n)
    elif loss == "sparse_categorical_crossentropy":
        y = rng.integers(n_outputs, size=(n, 1))
    else:
        y = rng.normal(size=(n, n_outputs))
    return tuple(np.ascontiguousarray(v, dtype=dtype) for v in (x, y, weight))


def draw_edges(counts, seed=0):
    """Return edges of bins for columns with so many: float32 numbers, 0 among three or more."""
    rng = np.random.default_rng(seed)
    found = []
    for n in counts:
        edges = np.sort(rng.choice(np.arange(-600, 600), n, replace=False)) / 256.0
        if n > 2:
            edges[np.abs(edges).argmin()] = 0
        found.append(edges)
    return found


def encoding(edges, dtype):
    """Return the arrays that a network takes for these edges; None for None."""
    return None if edges is None else PiecewiseLinear(edges=edges).kernel_arrays(np.dtype(dtype))


def draw_numbers(seed, n, edges, dtype):
    """Return numbers within bins and outside, half of them on edges, beside edges, or a zero."""
    rng = np.random.default_rng([seed, n, len(edges)])
    x = rng.normal(size=(n, len(edges))).astype(dtype)
    for column, own in zip(x.T, edges, strict=True):
        on = np.array([*own, *own[-1:], 0], dtype)
        beside = np.nextafter(on, np.array([[9], [-9]], dtype))
        special = np.array([*on, *rng.choice(beside.ravel(), len(on)), -0.0, 9, -9], dtype)
        planted = rng.random(n) < 0.5
        column[planted] = rng.choice(special, planted.sum())
    return x


def run(net, epochs, n_metrics=0, *, n_threads=1, automatic=False, **limits):
    """Call run() with room for `epochs` epochs; return (epochs ended, losses, metrics)."""
    losses, metrics = np.full(epochs, np.nan), np.full((epochs, n_metrics), np.nan)
    # Longer than a paused machine, or an emulated one, keeps a test waiting.
    limits = {"max_seconds": 3600.0} | limits
    ended = net.run(epochs, losses, metrics, n_threads=n_threads, automatic=automatic, **limits)
    return ended, losses[:ended], metrics[:ended]


def train(net, x, y, weight=None, *, epochs, batch_size=None, shuffle=False, seed=0, **options):
    """Train for whole epochs in a session of its own; return (losses, metrics)."""
    net.begin(x, y, weight, batch_size=batch_size or len(x), shuffle=shuffle, seed=seed)
    ended, losses, metrics = run(net, epochs, **options)
    assert ended == epochs, f"{ended} of {epochs} epochs ended; diverged: {net.diverged}"
    net.end()
    return losses, metrics


def predict(net, x, *, n_threads=1, automatic=False):
    out = np.full((len(x), net.n_outputs), np.nan, net.dtype)
    net.predict(x, out, n_threads=n_threads, automatic=automatic)
    return out


def is_reference():
    """Say whether the reference stands in for compiled kernels."""
    return _kernels.isa() == "reference"
