"""The same bits on any number of threads, on work that really was shared."""

import numpy as np
import pytest

from . import networks

THREADS = (1, 2, 3)
DTYPES = ("float32", "float64")
# units, activations, dropout by layer, loss, settings
CONFIGURATIONS = {
    "relu": ([130, 96, 1], ["relu", "relu", "linear"], [0, 0, 0], "mean_squared_error", {}),
    "dropout": (
        [130, 97, 5], ["relu", "gelu", "linear"], [0.1, 0.5, 0.2], "huber", {"optimizer": "rmsprop"}
    ),
    "classes": (
        [100, 64, 10], ["tanh", "softmax", "softmax"], [0, 0.3, 0],
        "sparse_categorical_crossentropy", {"optimizer": "adamw", "weight_decay": 0.01},
    ),
    "clipped": (
        [150, 3, 40], ["elu", "silu", "sigmoid"], [0, 0, 0.2], "binary_crossentropy",
        {"clip_norm": 0.01},
    ),
}  # fmt: skip


def build(name, dtype):
    units, activations, dropout, loss, settings = CONFIGURATIONS[name]
    net = networks.compiled(dtype)(20, units, activations, dropout=dropout)
    networks.draw_parameters(net, 1)
    net.configure(loss=loss, metrics=networks.METRICS[loss], **settings)
    for i in range(net.n_layers):
        net.set_penalty(i, l1=1e-4, l2=1e-3, bias_l2=1e-3)
    return net, networks.draw_data(2, 200, 20, units[-1], loss, dtype)


def train(name, dtype, n_threads):
    net, (x, y, weight) = build(name, dtype)
    n_metrics = len(net_metrics(name))
    results = networks.train(
        net, x, y, weight, epochs=2, n_metrics=n_metrics, batch_size=48, shuffle=True, seed=7,
        n_threads=n_threads,
    )  # fmt: skip
    return net, (x, y, weight), results


def net_metrics(name):
    return networks.METRICS[CONFIGURATIONS[name][3]]


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_training_has_the_same_bits(name, dtype):
    one, _, expected = train(name, dtype, 1)
    start = networks.parameters(build(name, dtype)[0])
    known = networks.parameters(one) | networks.slots(one)
    assert not any(same_bits(known[key], start[key]) for key in start)
    for n_threads in THREADS[1:]:
        net, _, results = train(name, dtype, n_threads)
        found = networks.parameters(net) | networks.slots(net)
        for key, value in known.items():
            assert same_bits(found[key], value), f"{key} on {n_threads} threads"
        for a, b in zip(results, expected, strict=True):
            assert same_bits(a, b), f"losses or metrics on {n_threads} threads"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_everything_else_has_the_same_bits(name, dtype):
    net, (x, y, weight), _ = train(name, dtype, 1)
    results = []
    for n_threads in THREADS:
        hidden = np.empty((len(x), CONFIGURATIONS[name][0][1]), dtype)
        options = {"n_threads": n_threads, "automatic": False}
        net.activations(x, 1, hidden, **options)
        loss, metrics = net.evaluate(x, y, weight, **options)
        value = net.gradients(x, y, weight, **options)
        gradients = networks.gradients(net)
        total = net.gradients(x, **options)
        results.append(
            [
                networks.predict(net, x, **options),
                hidden,
                np.array([loss, *metrics, value, total]),
                *gradients.values(),
                *networks.gradients(net).values(),
            ]
        )
    for found in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(found, results[0], strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_applying_gradients_has_the_same_bits(dtype):
    known = None
    for n_threads in THREADS:
        net, (x, y, weight) = build("clipped", dtype)
        net.gradients(x, y, weight, n_threads=n_threads, automatic=False)
        net.apply_gradients(n_threads=n_threads)
        found = networks.parameters(net) | networks.slots(net)
        known = known or found
        assert all(same_bits(found[key], known[key]) for key in known)


@pytest.mark.skipif(networks.is_reference(), reason="the reference has no threads")
@pytest.mark.parametrize("n_threads", THREADS)
def test_as_many_threads_work_as_were_asked_for(n_threads):
    """More threads than processors as well: an explicit count is obeyed."""
    net, (x, y, _) = build("relu", "float32")
    net.begin(x, y, batch_size=48, shuffle=True, seed=0)
    networks.run(net, 2, len(net_metrics("relu")), n_threads=n_threads)
    assert net.threads_used == n_threads


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 3, 4, 5, 10, 33])
def test_a_row_has_the_same_bits_in_any_company(n_outputs, dtype):
    n = 803
    net = networks.compiled(dtype)(9, [70, 3, n_outputs], ["relu", "softplus", "linear"])
    networks.draw_parameters(net, n_outputs)
    x, _, _ = networks.draw_data(0, n, 9, n_outputs, dtype=dtype)
    known = networks.predict(net, x)
    assert len(np.unique(known[:, 0])) > n / 2
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 96, 97, 193, 385, 802):
        for n_threads in THREADS if size in (1, 97, 802) else (1,):
            rows = rng.choice(n, size, replace=False)
            found = networks.predict(net, x[rows], n_threads=n_threads)
            assert same_bits(found, known[rows]), f"{size} rows, {n_threads} threads"


@pytest.mark.parametrize("dtype", DTYPES)
def test_work_space_fits_whatever_comes_next(dtype):
    """Rows and threads grow and shrink by turns, on one network, in every kind of call."""
    net, (x, y, weight) = build("dropout", dtype)
    known = networks.predict(net, x)
    rng = np.random.default_rng(3)
    for _ in range(40):
        n, n_threads = int(rng.integers(1, len(x) + 1)), int(rng.integers(1, 5))
        options = {"n_threads": n_threads, "automatic": False}
        net.evaluate(x[:n], y[:n], weight[:n], **options)
        assert same_bits(networks.predict(net, x[:n], **options), known[:n])
        n = int(rng.integers(1, len(x) + 1))
        net.gradients(x[:n], y[:n], **options)
    net.learning_rate = 0.0
    for n, n_threads in ((200, 1), (3, 3), (150, 2), (1, 4), (200, 1)):
        networks.train(
            net, x[:n], y[:n], epochs=1, n_metrics=len(net_metrics("dropout")),
            n_threads=n_threads, batch_size=n,
        )  # fmt: skip
