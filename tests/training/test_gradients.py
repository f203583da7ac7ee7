"""Compiled gradients against central differences: 200 random networks in float64."""

import numpy as np
import pytest

from fastmlp._kernels.formulas import ACTIVATIONS, LOSSES

from ..support import networks
from ..support.differences import assert_gradients_match, central_difference, kink_distance

pytestmark = pytest.mark.reliability

STEP = 1e-4
NETWORKS = 200
LAMBDAS = {"none": (0, 0), "l1": (0.01, 0), "l2": (0, 0.02), "both": (0.02, 0.01)}


def draw(index):
    """Return (compiled, its twin, x, y, weight): a network away from kinks, and data for it."""
    rng = np.random.default_rng(index)
    loss, last = networks.PAIRS[index % len(networks.PAIRS)]
    n_layers = int(rng.integers(1, 5))
    units = [int(u) for u in rng.integers(1, 9, n_layers)]
    if loss.endswith("crossentropy") and (loss[0] != "b" or last == "softmax"):
        units[-1] += 1  # one class alone has probability 1
    n_inputs, n = int(rng.integers(1, 7)), int(rng.integers(1, 8))
    hidden = [ACTIVATIONS[(index // 3 + i) % len(ACTIVATIONS)] for i in range(n_layers - 1)]
    use_bias = [bool(b) for b in rng.random(n_layers) < 0.8]
    make = (n_inputs, units, [*hidden, last])
    nets = [m("float64")(*make, use_bias=use_bias) for m in (networks.compiled, networks.reference)]
    kinds = [list(LAMBDAS)[(index + i) % 4] for i in range(n_layers)]
    for net in nets:
        net.configure(loss=loss, huber_delta=0.7)
        for i, kind in enumerate(kinds):
            bias = LAMBDAS[kind] if use_bias[i] and index % 2 else (0, 0)
            net.set_penalty(i, *LAMBDAS[kind], *bias)
    for seed in range(500):
        networks.draw_parameters(nets[0], [index, seed], low=0.1)
        for i, used in enumerate(use_bias):
            if not used:
                nets[0].bias(i)[...] = 0
        networks.copy_parameters(*nets)
        data = networks.draw_data(index + 1000 * seed, n, n_inputs, units[-1], loss)
        if kink_distance(nets[1], *data[:2]) > 100 * STEP:
            return *nets, *data
    raise AssertionError("every draw is at a kink")


def test_the_networks_cover_everything():
    drawn = [draw(i)[1] for i in range(NETWORKS)]
    assert {net._settings["loss"] for net in drawn} == set(LOSSES)
    assert {net._activations[-1] for net in drawn} == set(ACTIVATIONS)
    assert {name for net in drawn for name in net._activations[:-1]} == set(ACTIVATIONS)
    penalties = {tuple(bool(v) for v in p) for net in drawn for p in net._penalties}
    assert len(penalties) >= 7


@pytest.mark.parametrize("index", range(NETWORKS))
def test_gradients_match_differences(index):
    net, twin, x, y, weight = draw(index)
    weight = weight if index % 3 else None
    assert_gradients_match(net, x, y, weight, STEP, use_bias=twin._use_bias)


@pytest.mark.parametrize("index", range(0, NETWORKS, 10))
def test_gradients_of_the_summed_output_match_differences(index):
    net, _, x, _, _ = draw(index)
    net.gradients(x, n_threads=1)
    found = [np.array(net.weights_gradient(i)) for i in range(net.n_layers)]
    for i, gradient in enumerate(found):
        numeric = central_difference(lambda: networks.predict(net, x).sum(), net.weights(i), STEP)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


def test_a_wrong_gradient_is_noticed():
    net, _, x, y, weight = draw(3)
    with pytest.raises(AssertionError, match="off by"):
        assert_gradients_match(net, x, y, weight, STEP, spoil=1 + 2e-6)
