"""Networks of a few units, whose vectors run along the rows of the batch."""

import numpy as np
import pytest

from fastmlp import _kernels

from ..support import networks

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="this is about compiled kernels")

EPOCHS = 12
TOLERANCE = {"float32": {"rtol": 2e-4, "atol": 2e-6}, "float64": {"rtol": 1e-10, "atol": 1e-13}}


def trained(make, dtype, n_in, units, activation, *, optimizer="adam", n=50, batch_size=50,
            weighted=False, lambdas=(0, 0), use_bias=True, metrics=(), n_threads=1):  # fmt: skip
    net = make(n_in, [units, 1], [activation, "linear"], use_bias=[True, use_bias])
    networks.draw_parameters(net, 2, low=0.2)
    if not use_bias:
        net.bias(1)[...] = 0
    for i in range(2):
        net.set_penalty(i, *lambdas, *lambdas)
    net.configure(
        loss="mean_squared_error", metrics=metrics, **networks.OPTIMIZERS[optimizer],
        learning_rate=0.01,
    )  # fmt: skip
    x, y, weight = networks.draw_data(4, n, n_in, 1, dtype=dtype)
    losses, values = networks.train(
        net, x, y, weight if weighted else None, epochs=EPOCHS, batch_size=batch_size,
        n_metrics=len(metrics), n_threads=n_threads,
    )  # fmt: skip
    found = networks.parameters(net) | networks.slots(net)
    return net, found | {"losses": losses, "metrics": values}


CASES = {
    "lecture": (1, 2, "relu", {}),
    "one unit": (1, 1, "tanh", {"weighted": True}),
    "two inputs": (2, 2, "tanh", {"optimizer": "rmsprop", "batch_size": 7}),
    "another activation": (2, 2, "gelu", {"optimizer": "momentum", "n": 31, "batch_size": 31}),
    "penalties": (1, 2, "relu", {"lambdas": (1e-2, 1e-2), "optimizer": "adamw"}),
    "single rows": (2, 1, "sigmoid", {"n": 9, "batch_size": 1, "optimizer": "adagrad"}),
    "no bias": (1, 2, "relu", {"use_bias": False, "metrics": ("mean_absolute_error",)}),
}


def most_units(dtype):
    """Return how many units a tiny network has at most: half as many as a vector has numbers."""
    size = {"avx2": 32, "avx512": 64}.get(_kernels.isa(), 16)
    return min(size // np.dtype(dtype).itemsize // 2, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_it_agrees_with_the_reference(name, dtype):
    n_in, units, activation, options = CASES[name]
    shape = (dtype, n_in, units, activation)
    net, found = trained(networks.compiled(dtype), *shape, **options)
    assert net.regime == ("tiny" if units <= most_units(dtype) else "shallow")
    _, known = trained(networks.reference(dtype), *shape, **options)
    for key, value in known.items():
        np.testing.assert_allclose(found[key], value, **TOLERANCE[dtype], err_msg=key)


@pytest.mark.parametrize("units", [3, 4])
@pytest.mark.parametrize("n_in", [1, 2])
def test_up_to_four_units_where_vectors_are_long(n_in, units):
    net, found = trained(networks.compiled("float32"), "float32", n_in, units, "relu")
    assert net.regime == ("tiny" if units <= most_units("float32") else "shallow")
    _, known = trained(networks.reference("float32"), "float32", n_in, units, "relu")
    for key, value in known.items():
        np.testing.assert_allclose(found[key], value, **TOLERANCE["float32"], err_msg=key)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(n_threads):
    shape = ("float32", 1, 2, "relu")
    _, known = trained(networks.compiled("float32"), *shape, batch_size=13)
    net, found = trained(networks.compiled("float32"), *shape, batch_size=13, n_threads=n_threads)
    assert net.threads_used == n_threads
    for key, value in known.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_metrics_change_no_bit():
    shape = ("float32", 1, 2, "relu")
    _, known = trained(networks.compiled("float32"), *shape)
    _, found = trained(networks.compiled("float32"), *shape, metrics=("mean_squared_error",))
    for key in known.keys() - {"metrics"}:
        np.testing.assert_array_equal(found[key], known[key], err_msg=key)
    np.testing.assert_allclose(found["metrics"][:, 0], found["losses"], rtol=1e-6)
