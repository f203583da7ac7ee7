"""Timings of the compiled kernels by themselves, each after a check against the reference.

pytest benchmarks -o addopts= --import-mode=importlib --benchmark-only
"""

import numpy as np
import pytest

from fastmlp import _kernels
from fastmlp._kernels.reference import ReferenceNetwork

# rows, inputs, units; relu between them, linear at the end
SHAPES = {
    "50x1-2-1": (50, 1, [2, 1]),
    "50x1-1024-1": (50, 1, [1024, 1]),
    "50x1-1024x5-1": (50, 1, [1024] * 5 + [1]),
    "32x64-256x3-1": (32, 64, [256] * 3 + [1]),
    "256x64-256x3-10": (256, 64, [256] * 3 + [10]),
    "1x64-256x3-1": (1, 64, [256] * 3 + [1]),
}
THREADS = (1, 2)
ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid", "softplus")


def build(shape, dtype="float32", hidden="relu", **settings):
    n, n_inputs, units = shape
    activations = [hidden] * (len(units) - 1) + ["linear"]
    net = _kernels.network_class(dtype)(n_inputs, units, activations)
    ref = ReferenceNetwork(n_inputs, units, activations, dtype="float64")
    rng = np.random.default_rng(0)
    for each in (net, ref):
        each.configure(loss="mean_squared_error", **settings)
    for i in range(net.n_layers):
        scale = 1 / np.sqrt(len(net.weights(i)))
        net.weights(i)[...] = scale * rng.standard_normal(net.weights(i).shape)
        ref.weights(i)[...] = net.weights(i)
    x = rng.standard_normal((n, n_inputs)).astype(dtype)
    y = rng.standard_normal((n, units[-1])).astype(dtype)
    return net, ref, x, y


def assert_close(found, expected):
    """Wrong kernels are off by much more than rounding; test_network.py has the sharp bounds."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(scale, 1e-3))


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("name", SHAPES)
def test_predict(benchmark, name, n_threads):
    net, ref, x, _ = build(SHAPES[name])
    found, expected = (
        np.empty((len(x), net.n_outputs), "float32"),
        np.empty((len(x), net.n_outputs)),
    )
    net.predict(x, found, n_threads=n_threads, automatic=False)
    ref.predict(x.astype("float64"), expected, n_threads=1)
    assert_close(found, expected)
    benchmark(net.predict, x, found, n_threads=n_threads, automatic=False)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("name", SHAPES)
def test_gradients(benchmark, name, n_threads):
    net, ref, x, y = build(SHAPES[name])
    net.gradients(x, y, n_threads=n_threads, automatic=False)
    ref.gradients(x.astype("float64"), y.astype("float64"), n_threads=1)
    for i in range(net.n_layers):
        assert_close(net.weights_gradient(i), ref.weights_gradient(i))
    benchmark(net.gradients, x, y, n_threads=n_threads, automatic=False)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("name", SHAPES)
def test_adam_step(benchmark, name, n_threads):
    """Forward, backward and update; a benchmark of one call to `run` for ten steps."""
    net, ref, x, y = build(SHAPES[name], optimizer="adam", learning_rate=1e-4)
    losses, metrics = np.zeros(10), np.zeros((10, 0))
    sessions = ((net, x, y), (ref, x.astype("float64"), y.astype("float64")))
    for each, inputs, targets in sessions:
        each.begin(inputs, targets, batch_size=len(x), shuffle=False, seed=0)
        options = {"n_threads": n_threads, "automatic": False, "max_seconds": 100.0}
        assert each.run(2, losses, metrics, **options) == 2
    for i in range(net.n_layers):
        assert_close(net.weights(i), ref.weights(i))
    benchmark(net.run, 10, losses, metrics, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_activation(benchmark, hidden, dtype):
    net, ref, x, _ = build((256, 16, [512, 1]), dtype, hidden)
    found, expected = np.empty((256, 512), dtype), np.empty((256, 512))
    net.activations(x, 0, found, n_threads=1)
    ref.activations(x.astype("float64"), 0, expected, n_threads=1)
    assert_close(found, expected)
    benchmark(net.activations, x, 0, found, n_threads=1)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adam", "adamw"])
def test_update(benchmark, optimizer):
    net, ref, _, _ = build((1, 512, [512, 512]), optimizer=optimizer, learning_rate=1e-6)
    rng = np.random.default_rng(1)
    for i in range(2):
        gradient = rng.standard_normal((512, 512))
        net.weights_gradient(i)[...] = gradient
        ref.weights_gradient(i)[...] = gradient
    for each in (net, ref):
        each.apply_gradients(n_threads=1)
    for i in range(2):
        assert_close(net.weights(i), ref.weights(i))
    benchmark(net.apply_gradients, n_threads=1)
