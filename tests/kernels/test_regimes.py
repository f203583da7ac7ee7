"""Different routes through the kernels give the same bits."""

import numpy as np
import pytest

from . import networks

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="the reference has one route")

DTYPES = ("float32", "float64")
# inputs, units, activations, dropout by layer, loss
NETWORKS = {
    "shallow": (2, [37, 3], ["relu", "linear"], [0, 0], "mean_squared_error"),
    "shallow, one unit": (1, [1, 1], ["tanh", "sigmoid"], [0, 0], "binary_crossentropy"),
    "shallow, wide": (4, [517, 1], ["gelu", "linear"], [0, 0], "mean_squared_error"),
    "deep": (9, [96, 130, 64, 70, 1], ["relu"] * 4 + ["linear"], [0] * 5, "mean_squared_error"),
    "dropout": (3, [100, 128, 65, 10], ["relu"] * 3 + ["softmax"], [0, 0.6, 0.5, 0.2],
                "categorical_crossentropy"),
    "leaky": (5, [96, 96, 2], ["leaky_relu", "elu", "linear"], [0, 0.3, 0], "huber"),
}  # fmt: skip


def trained(name, dtype, batch_size=48, weights=None, n_threads=1, n=100, epochs=4, **settings):
    """Train 4 epochs; return parameters and losses, and the network."""
    n_inputs, units, activations, dropout, loss = NETWORKS[name]
    net = networks.compiled(dtype)(n_inputs, units, activations, dropout=dropout)
    networks.draw_parameters(net, 3)
    for i in range(net.n_layers):
        # Shifted so that, as in a trained network, many units are off in every row.
        net.bias(i)[...] -= np.linspace(0, 3, units[i], dtype=dtype)
        net.set_penalty(i, l1=1e-3 * (i % 2), l2=1e-3, bias_l2=1e-4)
    if weights is not None:
        weights(net)
    net.configure(loss=loss, learning_rate=0.003, **settings)
    x, y, sample_weight = networks.draw_data(5, n, n_inputs, units[-1], loss, dtype)
    net.begin(x, y, sample_weight, batch_size=batch_size, shuffle=True, seed=11)
    losses = np.zeros(epochs)
    done = 0
    while done < epochs and net.diverged is None:
        room = np.zeros((epochs - done, 0))
        done += net.run(epochs - done, losses[done:], room, n_threads=n_threads, automatic=False)
    found = networks.parameters(net) | networks.slots(net)
    return {**found, "losses": losses}, net


def assert_same_bits(found, known):
    assert found.keys() == known.keys()
    for key, value in known.items():
        assert np.ascontiguousarray(found[key]).tobytes() == np.ascontiguousarray(value).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_stored_gradients_and_fused_updates(name, dtype):
    """A norm that is never reached sends gradients through the flat buffer, and changes nothing."""
    known, _ = trained(name, dtype)
    found, _ = trained(name, dtype, clip_norm=1e30)
    losses = found.pop("losses"), known.pop("losses")
    # The penalty's value is summed in another order there.
    np.testing.assert_allclose(*losses, rtol=1e-6 if dtype == "float32" else 1e-14)
    assert_same_bits(found, known)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "adagrad", "adamw"])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_a_shallow_network_on_several_threads(optimizer, n_threads, dtype):
    known, _ = trained("shallow, wide", dtype, optimizer=optimizer)
    found, net = trained("shallow, wide", dtype, optimizer=optimizer, n_threads=n_threads)
    assert net.threads_used == n_threads
    assert_same_bits(found, known)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [7, 48, 100])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", ["deep", "dropout", "leaky"])
def test_leaving_out_dead_units_changes_no_bit(monkeypatch, name, n_threads, batch_size, dtype):
    options = {"batch_size": batch_size, "n_threads": n_threads}
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", "0")
    known, _ = trained(name, dtype, **options)
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", "1")
    found, _ = trained(name, dtype, **options)
    assert_same_bits(found, known)


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_units_are_dead_in_that_test(dtype):
    """Otherwise it would show nothing."""
    _, net = trained("deep", dtype)
    x, _, _ = networks.draw_data(5, 100, 9, 1, "mean_squared_error", dtype)
    hidden = np.empty((100, 130), dtype)
    net.activations(x, 1, hidden, n_threads=1)
    assert 0.2 < (hidden == 0).all(axis=0).mean() < 0.9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_leaving_out_hides_no_bad_weight(monkeypatch, layer, bad):
    """A weight that is not finite is noticed even where a dead unit would keep it unused."""

    def spoil(net):
        net.weights(layer)[0, 0] = bad

    outcomes = []
    for skip in ("0", "1"):
        monkeypatch.setenv("FASTMLP_SKIP_DEAD", skip)
        _, net = trained("deep", "float32", weights=spoil)
        outcomes.append(net.diverged)
    assert outcomes[0] is not None
    assert outcomes[0] == outcomes[1]
