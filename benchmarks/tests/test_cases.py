"""Timings of the cases that compare_peers.py compares, through the public interface.

pytest benchmarks/tests/test_cases.py -o addopts= --import-mode=importlib --benchmark-only
"""

import dataclasses

import numpy as np
import pytest
from reference import ReferenceNetwork

from fastmlp.bench import CASES
from fastmlp.bench.peers import EPSILON, RATE, FastMLP, PeerWorkload

STEPS = 3


def small(case):
    """Return the same case with few rows and narrow layers; every step takes all rows."""
    rows = case.rows if case.data != "drawn" else min(case.rows, 40)
    hidden = tuple(min(width, 19) for width in case.hidden)
    batch = rows if case.what == "train" else 0
    return dataclasses.replace(case, rows=rows, hidden=hidden, batch=batch)


def reference(work):
    case = work.case
    last = "sigmoid" if case.loss == "bce" else "linear"
    activations = ["relu"] * len(case.hidden) + [last]
    net = ReferenceNetwork(case.inputs, case.widths[1:], activations, dtype="float64")
    loss = "binary_crossentropy" if case.loss == "bce" else "mean_squared_error"
    net.configure(loss=loss, optimizer="adam", learning_rate=RATE, epsilon=EPSILON)
    for i, (w, b) in enumerate(zip(work.weights, work.biases, strict=True)):
        net.weights(i)[...], net.bias(i)[...] = w, b
        net.set_penalty(i, case.l1, case.l2)
    return net


def check(case):
    """Compare fastmlp with the reference: movements of the weights, or predictions."""
    work = PeerWorkload(case)
    peer, net = FastMLP(work), reference(work)
    x, y = work.x.astype("float64"), work.y.astype("float64")
    if case.what == "train":
        assert peer.train(STEPS) == STEPS
        net.begin(x, y, batch_size=len(x), shuffle=False, seed=0)
        net.run(STEPS, np.zeros(STEPS), np.zeros((STEPS, 0)), n_threads=1, max_seconds=100.0)
        for i, layer in enumerate(peer.net.layers):
            found, bias = layer.get_weights()
            # A step moves a weight by about the rate.
            np.testing.assert_allclose(found, net.weights(i), rtol=1e-6, atol=0.02 * RATE)
            np.testing.assert_allclose(bias, net.bias(i), rtol=1e-6, atol=0.02 * RATE)
            assert np.abs(net.weights(i) - work.weights[i]).max() > 0.5 * RATE
    expected = np.empty((len(x), case.outputs))
    net.predict(x, expected, n_threads=1)
    np.testing.assert_allclose(peer.predict(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_case(benchmark, name):
    check(small(CASES[name]))
    peer = FastMLP(PeerWorkload(CASES[name]))
    benchmark.extra_info["case"] = str(CASES[name])
    if CASES[name].what == "predict":
        benchmark(peer.predict)
    else:
        done = benchmark(peer.train, 1)
        benchmark.extra_info["steps"] = done
