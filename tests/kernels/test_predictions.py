"""Predictions leave out inactive units and put rows in order, with the bits of all products."""

import numpy as np
import pytest

from ..support import networks

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="the reference computes everything")
DTYPES = ("float32", "float64")
# Inputs, widths: in order by two inputs; by lists of tiles in any order; single rows alone.
SHAPES = {"sorted": (2, [320, 330, 3]), "tiles": (30, [1010, 1000, 1]), "small": (9, [70, 65, 2])}


def drawn(shape, dtype):
    """A network of which many units are inactive."""
    n_inputs, units = SHAPES[shape]
    net = networks.compiled(dtype)(n_inputs, units, ["relu"] * (len(units) - 1) + ["linear"])
    networks.draw_parameters(net, 5)
    for layer in range(net.n_layers - 1):
        net.bias(layer)[...] -= 0.4
    return net


def predicted(net, x, n_threads=1):
    out = np.full((len(x), net.n_outputs), np.nan, net.dtype)
    net.predict(x, out, n_threads=n_threads, automatic=False)
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 5, 7, 100, 1000])
def test_leaving_out_and_sorting_change_no_bit(monkeypatch, shape, dtype, n):
    x = np.random.default_rng(n).normal(size=(n, SHAPES[shape][0])).astype(dtype)
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", "0")
    expected = predicted(drawn(shape, dtype), x)
    monkeypatch.setenv("FASTMLP_SKIP_DEAD", "1")
    net = drawn(shape, dtype)
    for n_threads in (1, 2, 3):
        np.testing.assert_array_equal(predicted(net, x, n_threads), expected)
    short = net.predict_short(x, 1e12)
    assert (short is None) == (n > 384)
    if short is not None:
        np.testing.assert_array_equal(short, expected)
    hidden = np.empty((n, net.weights(1).shape[1]), dtype)
    net.activations(x, 1, hidden, n_threads=2, automatic=False)
    assert (hidden == 0).mean() > 0.2
    monkeypatch.setenv("FASTMLP_ORDER", "0")
    np.testing.assert_array_equal(predicted(net, x), expected)


def test_rows_are_sorted_where_inputs_are_few():
    assert drawn("sorted", "float32").sorted_rows > 10_000
    assert drawn("small", "float32").sorted_rows == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("n", [1, 100])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_bad_weight_of_an_inactive_unit_reaches_the_output(shape, n, bad):
    net = drawn(shape, "float32")
    x = np.zeros((n, SHAPES[shape][0]), "f4")
    net.bias(0)[:9] = -1
    assert np.isfinite(predicted(net, x)).all()  # the weights are now known to be finite
    net.weights(1)[3, 0] = bad
    assert np.isnan(net.predict_short(x, 1e12)).any()
    view = net.weights(1)
    view[3, 0] = 0
    assert np.isfinite(predicted(net, x)).all()
    view[3, 0] = bad  # by a view that was there before the last look
    assert np.isnan(predicted(net, x)).any()


def test_training_and_putting_back_are_noticed():
    net = drawn("small", "float32")
    net.configure(loss="mean_squared_error", optimizer="sgd", learning_rate=1e30)
    x = np.random.default_rng(0).normal(size=(20, 9)).astype("f4")
    net.keep()
    assert np.isfinite(predicted(net, x[:1])).all()
    net.begin(x, x[:, :2].copy(), batch_size=20, shuffle=False, seed=0)
    net.run(3, np.zeros(3), np.zeros((3, 0)), n_threads=1)
    assert net.diverged is not None
    assert not np.isfinite(predicted(net, x[:1])).all()
    net.put_back()
    assert np.isfinite(predicted(net, x[:1])).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype("f8"),
        lambda x: x[:, ::-1],
        lambda x: x[:, :5],
        lambda x: x[0],
        lambda x: x[:0],
        lambda x: x.tolist(),
        lambda x: np.asfortranarray(x),
        lambda x: np.where(x == x[3, 3], np.nan, x),
        lambda x: np.where(x == x[3, 3], np.inf, x),
        lambda x: np.ma.masked_array(x),
        lambda x: np.repeat(x, 100, 0),
    ],
)
def test_other_inputs_are_left_to_the_caller(change):
    net = drawn("small", "float32")
    x = np.random.default_rng(0).normal(size=(8, 9)).astype("f4")
    assert net.predict_short(x, 1e6) is not None
    assert net.predict_short(change(x), 1e6) is None
    assert net.predict_short(x, 100) is None
