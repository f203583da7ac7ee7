"""Timings of the compiled kernels by themselves, each after a check against the reference.

pytest benchmarks/tests/test_kernels.py -o addopts= --import-mode=importlib --benchmark-only
"""

import numpy as np
import pytest
from reference import ReferenceNetwork

from fastmlp import _kernels
from fastmlp._kernels.formulas import ACTIVATIONS, LOSSES, OPTIMIZERS

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
ONE_STEP = {"n_threads": 1, "max_seconds": 100.0}
METRICS = ("mean_squared_error", "mean_absolute_error")


def build(shape, dtype="float32", hidden="relu", last="linear", dropout=None, **settings):
    n, n_inputs, units = shape
    activations = [hidden] * (len(units) - 1) + [last]
    net = _kernels.network_class(dtype)(n_inputs, units, activations, dropout=dropout)
    ref = ReferenceNetwork(n_inputs, units, activations, dropout=dropout, dtype="float64")
    rng = np.random.default_rng(0)
    for each in (net, ref):
        each.configure(**{"loss": "mean_squared_error"} | settings)
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


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
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


@pytest.mark.parametrize("clip", ["clip_norm", "clip_value"])
def test_clipped_update(benchmark, clip):
    net, ref, x, y = build(SHAPES["50x1-1024-1"], optimizer="sgd", **{clip: 0.01})
    net.gradients(x, y, n_threads=1)
    for i in range(net.n_layers):
        ref.weights_gradient(i)[...] = net.weights_gradient(i)
        ref.bias_gradient(i)[...] = net.bias_gradient(i)
    for each in (net, ref):
        each.apply_gradients(n_threads=1)
    for i in range(net.n_layers):
        assert_close(net.weights(i), ref.weights(i))
    benchmark(net.apply_gradients, n_threads=1)


@pytest.mark.parametrize("loss", LOSSES)
def test_evaluate(benchmark, loss):
    """The loss and two metrics of 10,000 rows, through a small network."""
    last = {"binary_crossentropy": "sigmoid", "poisson": "softplus"}.get(loss, "linear")
    sparse = loss.startswith("sparse")
    last = "softmax" if "categorical" in loss else last
    metrics = (loss,) if sparse else METRICS
    net, ref, x, y = build((10_000, 16, [32, 8]), last=last, loss=loss, metrics=metrics)
    y = np.arange(len(x), dtype="float32")[:, None] % 8 if sparse else np.abs(y) % 1
    found = net.evaluate(x, y, n_threads=1)
    expected = ref.evaluate(x.astype("float64"), y.astype("float64"), n_threads=1)
    np.testing.assert_allclose(np.hstack(found), np.hstack(expected), rtol=1e-5)
    benchmark(net.evaluate, x, y, n_threads=1)


@pytest.mark.parametrize("penalty", ["none", "l1", "l2", "l1_l2"])
def test_penalised_step(benchmark, penalty):
    net, ref, x, y = build(SHAPES["32x64-256x3-1"], learning_rate=1e-4)
    for each in (net, ref):
        for i in range(net.n_layers):
            each.set_penalty(i, 0.01 * ("l1" in penalty), 0.01 * ("l2" in penalty))
    assert net.penalty() == pytest.approx(ref.penalty(), rel=1e-5)
    step(net, ref, x, y)
    benchmark(net.run, 1, np.zeros(1), np.zeros((1, 0)), **ONE_STEP)


def step(net, ref, x, y):
    """Make one step with each on all rows, and compare; the session stays open."""
    for each, inputs, targets in ((net, x, y), (ref, x.astype("float64"), y.astype("float64"))):
        each.begin(inputs, targets, batch_size=len(x), shuffle=False, seed=0)
        assert each.run(1, np.zeros(1), np.zeros((1, 0)), **ONE_STEP) == 1
    for i in range(net.n_layers):
        assert_close(net.weights(i), ref.weights(i))


@pytest.mark.parametrize("skip", ["0", "1"])
def test_step_with_dead_units(benchmark, skip, monkeypatch):
    """Three quarters of the hidden units are inactive for every row."""
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", skip)
    net, ref, x, y = build(SHAPES["50x1-1024x5-1"], learning_rate=1e-6)
    for each in (net, ref):
        for i in range(net.n_layers - 1):
            each.bias(i)[256:] = -100
    step(net, ref, x, y)
    benchmark(net.run, 1, np.zeros(1), np.zeros((1, 0)), **ONE_STEP)


def test_step_with_dropout(benchmark):
    """Each draws its own masks; they agree without, and with dropout the loss is another one."""
    net, ref, x, y = build(SHAPES["32x64-256x3-1"], dropout=[0.0, 0.5, 0.5, 0.5])
    losses = np.zeros(1)
    loss, _ = net.evaluate(x, y, n_threads=1)
    expected, _ = ref.evaluate(x.astype("float64"), y.astype("float64"), n_threads=1)
    assert loss == pytest.approx(expected, rel=1e-5)
    net.begin(x, y, batch_size=len(x), shuffle=False, seed=0)
    net.run(1, losses, np.zeros((1, 0)), **ONE_STEP)
    assert losses[0] != pytest.approx(loss, rel=1e-3)
    benchmark(net.run, 1, losses, np.zeros((1, 0)), **ONE_STEP)


def test_shuffled_epoch(benchmark):
    """An epoch in minibatches; at a rate too small to move a weight, its loss is that of all."""
    net, ref, x, y = build((5000, 64, [64, 1]), optimizer="sgd", learning_rate=1e-30)
    losses = np.zeros(1)
    net.begin(x, y, batch_size=32, shuffle=True, seed=0)
    net.run(1, losses, np.zeros((1, 0)), **ONE_STEP)
    expected, _ = ref.evaluate(x.astype("float64"), y.astype("float64"), n_threads=1)
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    benchmark(net.run, 1, losses, np.zeros((1, 0)), **ONE_STEP)
