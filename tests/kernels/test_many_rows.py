"""Small networks on batches of many rows, which are taken in parts: see parts.pxi."""

import numpy as np
import pytest

from ..support import networks
from ..support.trainings import same_bits

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="the reference has no parts")


def nets(dtype, units, names, n_inputs=6, dropout=None, **settings):
    """Return a compiled network and its reference, alike."""
    made = []
    for cls in (networks.compiled(dtype), networks.reference("float64")):
        net = cls(n_inputs, units, names, dropout=dropout)
        net.configure(loss="mean_squared_error", **settings)
        made.append(net)
    networks.draw_parameters(made[0], 3)
    networks.copy_parameters(*made)
    return made


@pytest.mark.parametrize("optimizer", networks.OPTIMIZERS)
def test_training_agrees_with_the_reference(optimizer):
    """In double precision, where rounding stays small over some steps."""
    settings = networks.OPTIMIZERS[optimizer]
    pair = nets("float64", [20, 70, 3], ["tanh", "relu", "linear"], **settings)
    x, y, weight = networks.draw_data(2, 333, 6, 3)
    losses = []
    for net in pair:
        for i in range(3):
            net.set_penalty(i, l1=1e-3, l2=1e-2, bias_l2=1e-2)
        # Batches of 150, 150 and 33 rows: the last one is too small for parts.
        losses.append(networks.train(net, x, y, weight, epochs=3, batch_size=150)[0])
    assert pair[0].in_parts(150) and not pair[0].in_parts(33)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-11)
    for key, value in networks.parameters(pair[1]).items():
        np.testing.assert_allclose(
            networks.parameters(pair[0])[key], value, rtol=1e-9, atol=1e-11, err_msg=key
        )


@pytest.mark.parametrize("n", [128, 129, 191, 1024, 1025, 2000])
def test_every_row_counts_once(n):
    """One step of plain gradient descent; parts may be uneven, and as many as there can be."""
    pair = nets("float64", [33, 1], ["relu", "linear"], optimizer="sgd", learning_rate=1.0)
    x, y, weight = networks.draw_data(5, n, 6, 1)
    for net in pair:
        networks.train(net, x, y, weight, epochs=1)
    assert pair[0].in_parts(n)
    for key, value in networks.parameters(pair[1]).items():
        np.testing.assert_allclose(networks.parameters(pair[0])[key], value, rtol=1e-11, atol=1e-12)


def test_it_goes_for_small_networks_on_many_rows_alone():
    net, _ = nets("float32", [8, 1], ["relu", "linear"])
    assert [n for n in (1, 127, 128, 10**6) if net.in_parts(n)] == [128, 10**6]
    net, _ = nets("float32", [256, 256, 1], ["relu"] * 3)
    assert [n for n in (255, 256, 10**6) if net.in_parts(n)] == [256, 10**6]
    assert not nets("float32", [256, 256, 1], ["relu"] * 3, n_inputs=2)[0].in_parts(10**6)
    assert not nets("float32", [500, 600, 1], ["relu"] * 3)[0].in_parts(10**6)
    assert not nets("float32", [8, 1], ["relu", "linear"], n_inputs=1)[0].in_parts(10**4)


def test_dropout_is_that_of_the_batch():
    """A row's mask depends on its place in the batch; a loss of one's own takes the batch whole."""
    x, y, _ = networks.draw_data(6, 300, 6, 1)
    found = []
    for whole in (False, True):
        net, _ = nets(
            "float64", [40, 20, 1], ["elu", "relu", "linear"], dropout=[0.3, 0.5, 0.1],
            optimizer="sgd", learning_rate=0.1,
        )  # fmt: skip
        net.begin(x, y, batch_size=300, shuffle=False, seed=11)
        if whole:
            out = np.empty((300, 1))
            for _ in range(3):
                net.train_forward(x, out, n_threads=1)
                net.train_backward(2 * (out - y) / 300, n_threads=1)
                net.apply_gradients(n_threads=1)
        else:
            assert networks.run(net, 3)[0] == 3
        found.append(networks.parameters(net))
    for key, value in found[0].items():
        np.testing.assert_allclose(found[1][key], value, rtol=1e-10, atol=1e-12, err_msg=key)


def test_rows_may_come_in_any_order():
    x, y, weight = networks.draw_data(6, 300, 6, 1)
    found = []
    for shuffle in (False, True):
        net, _ = nets("float64", [40, 1], ["relu", "linear"], optimizer="sgd", learning_rate=0.1)
        networks.train(net, x, y, weight, epochs=2, shuffle=shuffle, seed=11)
        found.append(networks.parameters(net))
    for key, value in found[0].items():
        np.testing.assert_allclose(found[1][key], value, rtol=1e-10, atol=1e-12, err_msg=key)
    assert any(not same_bits(found[1][key], value) for key, value in found[0].items())


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4, 8])
def test_a_run_that_stops_in_mid_epoch_goes_on(n_threads):
    x, y, _ = networks.draw_data(7, 700, 6, 2, dtype="float32")
    known = None
    for steps in (0, 1):
        net, _ = nets("float32", [70, 20, 2], ["relu", "tanh", "linear"])
        net.begin(x, y, batch_size=256, shuffle=True, seed=3)
        while net.epoch < 3:
            networks.run(net, 3 - net.epoch, n_threads=n_threads, max_steps=steps)
        found = networks.parameters(net) | networks.slots(net)
        known = known or found
        assert all(same_bits(found[key], value) for key, value in known.items())


def test_what_is_not_finite_names_its_layer():
    x, y, _ = networks.draw_data(8, 200, 6, 1, dtype="float32")
    for layer in range(3):
        net, _ = nets("float32", [20, 20, 1], ["relu", "relu", "linear"])
        networks.train(net, x, y, epochs=1)
        net.weights_slot(1, layer)[0, 0] = np.inf
        net.begin(x, y, batch_size=200, shuffle=False, seed=0)
        assert networks.run(net, 2)[0] == 0
        assert net.diverged == (0, layer)
