"""Steps whose batch goes forward and back in parts, beside the reference and on any threads."""

import itertools
import sys

import numpy as np
import pytest

from ..support import networks

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="the reference knows no parts")
CUTS = (0, 20, 33, 50)


def built(dtype, **options):
    """Return a network with 70 units that may die, and rows."""
    net = networks.compiled(dtype)(
        7, [130, 70, 40, 3], ["relu", "relu", "tanh", "softmax"], **options
    )
    networks.draw_parameters(net, 1)
    net.configure(loss="sparse_categorical_crossentropy", optimizer="adam",
                  metrics=["sparse_categorical_accuracy"])  # fmt: skip
    net.set_penalty(0, 1e-2, 1e-2)
    net.set_penalty(1, 1e-3, proximal=True)
    net.set_penalty(2, group=1e-3)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 7)).astype(dtype)
    return net, x, rng.integers(0, 3, (50, 1)).astype(dtype), (rng.random(50) + 0.5).astype(dtype)


def parts_of(net):
    return sys.modules[type(net).__module__].PartStep(net)


def in_parts(step, net, rows, cuts=CUTS, n_threads=1, each=False):
    """Return the sum of the parts' gradients, the loss and the sum of a metric."""
    x, y, weight = rows
    total, loss, metric, penalty = np.zeros(len(step.gradient()), net.dtype), 0.0, 0.0, 0.0
    options = {"n_threads": n_threads, "automatic": False}
    for a, b in itertools.pairwise(cuts):
        found, sums = step.forward(
            x[a:b], y[a:b], weight[a:b], n_batch=len(x), first_row=a, **options
        )
        for top in range(net.n_layers - 1, -1, -1) if each else [net.n_layers - 1]:
            step.backward(top, top if each else 0, level=1, penalty=a == 0)
        if a == 0:
            penalty = step.penalty()
        total += step.gradient(1)
        loss, metric = loss + found, metric + sums[0]
    return total, loss / len(x) + penalty, metric


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_add_up_to_the_gradient(dtype, each):
    net, *rows = built(dtype)
    expected_loss = net.gradients(*rows, n_threads=1)
    _, (expected_metric,) = net.evaluate(rows[0], rows[1], n_threads=1)
    step = parts_of(net)
    # The network's own block: a step has another, which gradients() must not overwrite.
    expected = np.frombuffer(net.weights_gradient(0).base, dtype)[: len(step.gradient())].copy()
    assert not step.gradient().any()
    step.begin(3)
    found, loss, metric = in_parts(step, net, rows, each=each)
    tolerance = 50 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert np.abs(expected).max() > 1e4 * tolerance
    assert loss == pytest.approx(expected_loss, rel=20 * float(np.finfo(dtype).eps))
    assert metric == pytest.approx(50 * expected_metric)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_and_dead_units_change_no_bit(dtype, monkeypatch):
    found = []
    for skip in "10":
        monkeypatch.setenv("FASTMLP_SKIP_DEAD", skip)
        for n_threads in (1, 2, 3):
            net, *rows = built(dtype, dropout=[0.0, 0.3, 0.2, 0.0])
            net.bias(0)[40:] = -100  # dead
            step = parts_of(net)
            step.begin(3)
            step.gradient()[...] = in_parts(step, net, rows, n_threads=n_threads)[0]
            assert step.apply(n_threads=n_threads, automatic=False) == -1
            found.append([step.gradient().tobytes(), *(a.tobytes() for a in step.state())])
    assert all(other == found[0] for other in found)


def test_dropout_is_that_of_the_rows_in_the_batch():
    net, *rows = built("float64", dropout=[0.3, 0.3, 0.3, 0.3])
    step = parts_of(net)
    step.begin(3)
    whole = in_parts(step, net, rows, (0, 50))[0]
    cut = in_parts(step, net, rows)[0]
    np.testing.assert_allclose(cut, whole, rtol=1e-9, atol=1e-12)
    step.begin(4)
    assert not np.allclose(in_parts(step, net, rows)[0], whole)


def test_a_gradient_by_outputs_goes_back_as_the_loss_does():
    net, x, y, weight = built("float64")
    step = parts_of(net)
    step.begin(3)
    expected = in_parts(step, net, (x, y, weight), (0, 50))[0]
    out = np.empty((50, 3))
    step.forward(x, None, None, out, n_batch=50, first_row=0, n_threads=1)
    np.testing.assert_allclose(out.sum(axis=1), 1)
    dy = np.zeros((50, 3))
    chosen = np.arange(50), y[:, 0].astype(int)
    dy[chosen] = -weight / out[chosen] / 50
    step.backward(3, 0, level=0, penalty=True, dy=dy)
    np.testing.assert_allclose(step.gradient(), expected, rtol=1e-6, atol=1e-9)


def test_a_step_that_is_not_finite_names_its_layer():
    net = built("float32")[0]
    step = parts_of(net)
    step.begin(3)
    step.gradient()[...] = 0
    step.gradient()[step.slices[2][0]] = np.nan
    assert step.apply(n_threads=1) == 2
    assert net.finite() == 2


def test_wrong_parts():
    net, x, y, _ = built("float32")
    step = parts_of(net)
    step.begin(0)
    with pytest.raises(ValueError, match="at least one row"):
        step.forward(x[:0], y[:0], n_batch=5, first_row=0, n_threads=1)
    with pytest.raises(ValueError, match=r"y must have shape \(50, 1\)"):
        step.forward(x, y[:40], n_batch=50, first_row=0, n_threads=1)
