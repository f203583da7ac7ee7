"""Updates of rows that nobody reads wait, and are made later with the same bits."""

import numpy as np
import pytest

from ..support import networks
from ..support.sampling import sampled

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="the reference makes each at once")

N_METRICS = len(networks.METRICS["mean_squared_error"])
UNITS = [256, 256, 128, 1]


def network(dtype, waiting, monkeypatch, *, lambdas=(0.0, 0.0), activation="relu", **settings):
    """A network of which about half of the hidden units are dead, and its data."""
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", str(int(waiting)))
    rng = np.random.default_rng(3)
    net = networks.compiled(dtype)(1, UNITS, [activation] * 3 + ["linear"])
    for i in range(net.n_layers):
        net.weights(i)[...] = rng.normal(0, 0.05, net.weights(i).shape)
        net.bias(i)[...] = rng.normal(0, 0.05, net.bias(i).shape)
        net.set_penalty(i, *lambdas)
        if i < 3:
            net.bias(i)[::2] = -5
    net.configure(
        loss="mean_squared_error",
        metrics=networks.METRICS["mean_squared_error"],
        **({"optimizer": "adam"} | settings),
    )
    x = rng.uniform(-2, 2, (30, 1)).astype(dtype)
    return net, (x, np.cos(x))


def trained(calls, dtype, waiting, monkeypatch, *, batch_size=30, **options):
    """Losses, metrics and all that is left behind, after calls of so many steps each."""
    net, (x, y) = network(dtype, waiting, monkeypatch, **options)
    net.begin(x, y, batch_size=batch_size, shuffle=batch_size < 30, seed=5)
    losses, metrics = [], []
    for steps in calls:
        _, *found = networks.run(net, 100, N_METRICS, max_steps=steps, n_threads=2)
        losses.append(found[0])
        metrics.append(found[1])
        assert net.window == (8 if waiting and options.get("activation") != "tanh" else 1)
    left = networks.parameters(net) | networks.slots(net)
    return left | {
        "losses": np.concatenate(losses),
        "metrics": np.concatenate(metrics),
        "progress": np.array(net.progress[:5]),
    }


SETTINGS = [
    {"optimizer": "adam"},
    {"optimizer": "adamw", "weight_decay": 0.01},
    {"optimizer": "rmsprop"},
    {"optimizer": "adagrad"},
    {"optimizer": "sgd", "momentum": 0.9},
    {"batch_size": 7},
    {"activation": "tanh"},
]


@pytest.mark.parametrize(
    ("settings", "lambdas", "dtype"),
    sampled(2, SETTINGS, [(0, 0), (1e-3, 1e-2)], ["float32", "float64"]),
)
def test_waiting_changes_no_bit(settings, lambdas, dtype, monkeypatch):
    calls = [3, 1, 8, 13, 20]  # ends within a window, and at its end
    known, found = (
        trained(calls, dtype, waiting, monkeypatch, lambdas=lambdas, **settings)
        for waiting in (False, True)
    )
    assert len(known["losses"]) == (45 if "batch_size" not in settings else 9)
    for key, value in known.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_rows_wait_only_while_they_are_dead(monkeypatch):
    """Half of the rows can wait: the test above would be empty without."""
    net, (x, _) = network("float32", True, monkeypatch)
    out = np.empty((len(x), 256), np.float32)
    for layer in (0, 1):
        net.activations(x, layer, out, n_threads=1)
        assert 64 < (out == 0).all(axis=0).sum() < 200


@pytest.mark.parametrize("steps_a_call", [1, 100])
def test_divergence_of_a_row_that_waits(steps_a_call, monkeypatch):
    """It is noticed later, but told as of the step at which it came about."""
    outcomes = []
    for waiting in (False, True):
        net, (x, y) = network(
            "float32", waiting, monkeypatch, optimizer="sgd", learning_rate=1.0, lambdas=(0, 50.0)
        )
        net.weights(1)[::2] *= 1e12  # of dead units: their penalty overflows first
        net.begin(x, y, batch_size=30, shuffle=False, seed=5)
        losses = []
        for _ in range(40):
            _, found, _ = networks.run(net, 100, N_METRICS, max_steps=steps_a_call)
            losses.extend(found)
        # Which layer is named first may differ: zero times a weight that is infinite is left out.
        outcomes.append((net.diverged[0], net.epoch, losses))
    assert outcomes[0] == outcomes[1]
    assert 2 <= outcomes[0][1] < 20
