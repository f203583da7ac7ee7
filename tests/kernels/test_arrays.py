"""Views into the padded parameters, what padding may not do, and arrays of the wrong kind."""

import numpy as np
import pytest

from ..support import networks


@pytest.fixture(params=["compiled", "reference"])
def make(request):
    return getattr(networks, request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65]


@pytest.mark.parametrize("width", WIDTHS)
def test_views_give_back_what_was_put_in(width, make, dtype):
    net = make(dtype)(width, [width, 3, width], ["relu"] * 3)
    net.configure(loss="mean_squared_error")
    rng = np.random.default_rng(width)
    views = [net.weights(i) for i in range(3)] + [net.bias(i) for i in range(3)]
    for i in range(3):
        views += [net.weights_slot(0, i), net.bias_slot(1, i), net.weights_gradient(i)]
    given = [rng.normal(size=v.shape).astype(dtype) for v in views]
    for view, value in zip(views, given, strict=True):
        view[...] = value
    for view, value in zip(views, given, strict=True):
        assert view.dtype == dtype
        assert (np.asarray(view) == value).all()
    net.weights(1)[0, 2] = 7
    assert views[1][0, 2] == 7, "a view looks at the weights themselves"
    x = rng.normal(size=(1, width)).astype(dtype)
    out = np.empty((1, width), dtype)
    net.activations(x, 0, out, n_threads=1)
    expected = np.maximum(x.astype("float64") @ given[0] + given[3], 0)
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-4)


def test_a_view_outlives_its_network(make, dtype):
    net = make(dtype)(40, [50], ["relu"])
    net.weights(0)[...] = 3
    view = net.weights(0)
    del net
    [make(dtype)(40, [50], ["relu"]) for _ in range(20)]
    assert (view == 3).all()


@pytest.mark.skipif(networks.is_reference(), reason="the reference has no padding")
@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "softmax", "relu", "elu"])
@pytest.mark.parametrize("width", WIDTHS)
def test_padding_stays_zero(width, activation, dtype):
    """Functions with f(0) != 0 make something of padding; the weights must not learn from it."""
    net = networks.compiled(dtype)(width, [width, 3, width], [activation] * 2 + ["linear"])
    networks.draw_parameters(net, width, low=0.1)
    net.configure(loss="mean_squared_error", optimizer="adamw", weight_decay=0.1, learning_rate=0.1)
    net.set_penalty(0, l1=0.1, l2=0.1, bias_l1=0.1, bias_l2=0.1)
    x, y, weight = networks.draw_data(width, 19, width, width, dtype=dtype)
    networks.train(net, x, y, weight, epochs=5, batch_size=7)
    networks.predict(net, x)
    networks.train(net, x[:3], y[:3], epochs=2)
    assert not any(block.any() for block in net.padding())


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("activation", ["relu", "tanh", "softmax", "linear", "silu"])
@pytest.mark.parametrize("n", [5, 16, 33, 130])
def test_a_bad_row_spoils_no_other(n, activation, bad, make, dtype):
    net = make(dtype)(9, [17, 3, 5], [activation] * 3)
    networks.draw_parameters(net, n)
    x, _, _ = networks.draw_data(0, n, 9, 5, dtype=dtype)
    known = networks.predict(net, x)
    spoiled = x.copy()
    rows = np.unique([0, n // 2, n - 1])
    spoiled[rows] = bad
    found = networks.predict(net, spoiled)
    good = np.setdiff1d(np.arange(n), rows)
    if make is networks.reference:
        np.testing.assert_allclose(found[good], known[good], rtol=1e-4)
    else:
        assert found[good].tobytes() == known[good].tobytes()
    if np.isnan(bad):
        assert np.isnan(found[rows]).all(), "a NaN must survive to be noticed"


@pytest.mark.skipif(networks.is_reference(), reason="the reference takes what NumPy takes")
def test_arrays_of_another_kind_are_errors():
    net = networks.compiled("float32")(3, [4, 2], ["relu", "linear"])
    net.configure(loss="mean_squared_error")
    x, y, weight = networks.draw_data(0, 6, 3, 2, dtype="float32")
    out = np.empty((6, 2), "float32")
    sessions = {"batch_size": 2, "shuffle": True, "seed": 0}
    for wrong in (x.astype("float64"), x[:, :2].copy(), x[0], np.asfortranarray(x)):
        with pytest.raises(ValueError):
            net.predict(wrong, out, n_threads=1)
        with pytest.raises(ValueError):
            net.begin(wrong, y, **sessions)
        with pytest.raises(ValueError):
            net.gradients(wrong, y, n_threads=1)
    for wrong in (y[:5], y[:, :1].copy(), y.astype("float64")):
        with pytest.raises(ValueError):
            net.begin(x, wrong, **sessions)
        with pytest.raises(ValueError):
            net.evaluate(x, wrong, n_threads=1)
    with pytest.raises(ValueError):
        net.predict(x, out[:5], n_threads=1)
    with pytest.raises(ValueError):
        net.begin(x, y, weight[:5], **sessions)
    with pytest.raises(IndexError):
        net.weights(2)
