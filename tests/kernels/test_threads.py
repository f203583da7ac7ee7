"""The same bits on any number of threads, with dead units left out or not, and on every rerun."""

import numpy as np
import pytest

from fastmlp._kernels.formulas import ACTIVATIONS, LOSSES

from ..support import networks
from ..support.sampling import sampled
from ..support.trainings import CASES, build, same_bits, train

pytestmark = pytest.mark.reliability

THREADS = (1, 2, 3, 4)
DTYPES = ("float32", "float64")


def test_the_trainings_meet_every_kernel():
    cases = CASES.values()
    assert {name for case in cases for name in case.names} == set(ACTIVATIONS)
    assert {case.loss for case in cases} == set(LOSSES)
    used = {case.settings.get("optimizer", "adam") for case in cases}
    assert used == {setting["optimizer"] for setting in networks.OPTIMIZERS.values()}


@pytest.mark.skipif(networks.is_reference(), reason="the reference has no threads")
@pytest.mark.parametrize(("name", "dtype"), sampled(3, CASES, DTYPES))
def test_training_has_the_same_bits(monkeypatch, name, dtype):
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", "1")
    _, _, known = train(name, dtype, 1)
    start = networks.parameters(build(name, dtype)[0])
    assert not any(same_bits(known[key], value) for key, value in start.items())
    for skip in ("1", "0"):
        monkeypatch.setenv("FASTMLP_SKIP_DEAD", skip)
        for n_threads in THREADS:
            net, _, found = train(name, dtype, n_threads)
            # An explicit count is obeyed above the number of processors as well.
            assert net.threads_used == n_threads
            for key, value in known.items():
                assert same_bits(found[key], value), f"{key}: {n_threads} threads, skip={skip}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.dying])
def test_many_units_are_dead_in_that_test(name, dtype):
    """Otherwise leaving them out, or not, would show nothing."""
    net, (x, _, _), _ = train(name, dtype, 1)
    dead = []
    for i, width in enumerate(CASES[name].units[:-1]):
        hidden = np.empty((len(x), width), dtype)
        net.activations(x, i, hidden, n_threads=1)
        dead.append((hidden == 0).all(axis=0).mean() if width >= 64 else 0)
    assert 0.1 < max(dead) < 1


@pytest.mark.parametrize(("name", "dtype"), sampled(3, CASES, DTYPES))
def test_everything_else_has_the_same_bits(name, dtype):
    net, (x, y, weight), _ = train(name, dtype, 1)
    results = []
    for n_threads in THREADS:
        hidden = np.empty((len(x), CASES[name].units[0]), dtype)
        options = {"n_threads": n_threads, "automatic": False}
        net.activations(x, 0, hidden, **options)
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


@pytest.mark.parametrize(("name", "dtype"), sampled(3, CASES, DTYPES))
def test_divergence_is_found_in_the_same_place(name, dtype):
    """Where every thread finds numbers that are not finite."""
    found = set()
    for n_threads in (1, 3):
        net, (x, y, weight) = build(name, dtype, learning_rate=np.inf)
        net.begin(x, y, weight, batch_size=CASES[name].batch_size, shuffle=False, seed=7)
        networks.run(net, 1, len(networks.METRICS[CASES[name].loss]), n_threads=n_threads)
        found.add(net.diverged)
    assert len(found) == 1
    assert None not in found


@pytest.mark.parametrize("dtype", DTYPES)
def test_applying_gradients_has_the_same_bits(dtype):
    known = None
    for n_threads in THREADS:
        net, (x, y, weight) = build("clipped by norm", dtype)
        net.gradients(x, y, weight, n_threads=n_threads, automatic=False)
        net.apply_gradients(n_threads=n_threads)
        found = networks.parameters(net) | networks.slots(net)
        known = known or found
        assert all(same_bits(found[key], known[key]) for key in known)


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
    net, (x, y, weight) = build("dropout of inputs", dtype)
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
        networks.train(net, x[:n], y[:n], epochs=1, n_metrics=3, n_threads=n_threads, batch_size=n)
