"""The formulas and the reference network against central differences, in float64."""

import numpy as np
import pytest

from fastmlp._kernels import formulas
from fastmlp._kernels.formulas import ACTIVATIONS, LOSSES, METRICS

from ..support import networks
from ..support.differences import assert_gradients_match, central_difference, kink_distance
from ..support.reference import ReferenceNetwork

STEP = 1e-4
PENALTIES = {
    "none": {},
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.02},
    "both": {"l1": 0.01, "l2": 0.02, "bias_l1": 0.03, "bias_l2": 0.04},
}


def grid(seed, shape=(5, 4)):
    """Normal numbers, none within 10 steps of 0."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=shape) * 2
    return z + np.sign(z) * 10 * STEP


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_backward(name):
    z, da = grid(0), grid(1)
    a = formulas.activation_forward(name, z)
    numeric = central_difference(lambda: (formulas.activation_forward(name, z) * da).sum(), z, STEP)
    np.testing.assert_allclose(
        formulas.activation_backward(name, z, a, da), numeric, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("relu", {-2.0: 0.0, 0.0: 0.0, 3.0: 3.0}),
        ("leaky_relu", {-2.0: -0.4, 3.0: 3.0}),
        ("elu", {-1.0: np.exp(-1) - 1, 2.0: 2.0}),
        ("gelu", {1.0: 0.8413447460685429, -1.0: -0.15865525393145707}),
        ("silu", {1.0: 0.7310585786300049, 0.0: 0.0}),
        ("tanh", {0.5: 0.46211715726000976}),
        ("sigmoid", {0.0: 0.5, -800.0: 0.0, 800.0: 1.0}),
        ("softplus", {0.0: np.log(2), 800.0: 800.0, -800.0: 0.0}),
    ],
)
def test_activation_values(name, points):
    z = np.array([list(points)])
    expected = np.array([list(points.values())])
    np.testing.assert_allclose(formulas.activation_forward(name, z), expected, rtol=1e-14)


@pytest.mark.parametrize("delta", [0.5, 2.0])
@pytest.mark.parametrize(("loss", "last"), networks.PAIRS)
def test_loss_backward(loss, last, delta):
    z = grid(2)
    _, y, _ = networks.draw_data(3, *z.shape, z.shape[1], loss)
    a = formulas.activation_forward(last, z)

    def value():
        outputs = formulas.activation_forward(last, z)
        return formulas.loss_rows(loss, last, y, z, outputs, delta).sum()

    numeric = central_difference(value, z, STEP)
    analytic = formulas.loss_backward(loss, last, y, z, a, delta)
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_penalty_gradient(l1, l2):
    w = grid(4)
    numeric = central_difference(lambda: formulas.penalty_value(w, l1, l2), w, STEP)
    np.testing.assert_allclose(formulas.penalty_gradient(w, l1, l2), numeric, rtol=1e-6)
    assert (formulas.penalty_gradient(np.zeros(3), l1, l2) == 0).all()


def test_penalty_value_is_the_stated_sum():
    assert formulas.penalty_value(np.array([1.0, -2.0]), 0.5, 0.25) == 0.5 * 3 + 0.25 * 5


# Each activation with one of the losses, in turn, and each loss with two; then all with all.
MATCHED = {(loss, a) for i, a in enumerate(ACTIVATIONS) for j, loss in enumerate(LOSSES)
           if (i - j) % min(len(LOSSES), len(ACTIVATIONS)) < 2}  # fmt: skip


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(
    ("loss", "hidden"),
    [
        pytest.param(loss, a, marks=[] if (loss, a) in MATCHED else [pytest.mark.slow])
        for loss in LOSSES
        for a in ACTIVATIONS
    ],
)
def test_network_gradients(loss, hidden, penalty):
    last = networks.LAST[loss][ACTIVATIONS.index(hidden) % len(networks.LAST[loss])]
    net = ReferenceNetwork(3, [4, 3, 2], [hidden, hidden, last], dtype="float64")
    net.configure(loss=loss, huber_delta=0.7)
    for i in range(3):
        net.set_penalty(i, **PENALTIES[penalty])
    for seed in range(20):
        networks.draw_parameters(net, seed, low=0.1)
        x, y, weight = networks.draw_data(seed, 5, 3, 2, loss)
        if kink_distance(net, x, y) > 100 * STEP:
            break
    else:
        pytest.fail("every draw is at a kink")
    assert_gradients_match(net, x, y, weight, STEP)


def test_gradient_of_the_summed_output():
    net = ReferenceNetwork(3, [4, 2], ["tanh", "softplus"], dtype="float64")
    net.set_penalty(0, l2=0.5)  # not part of the output
    networks.draw_parameters(net, 0)
    x, _, _ = networks.draw_data(0, 5, 3, 2)
    assert net.gradients(x, n_threads=1) == pytest.approx(networks.predict(net, x).sum())
    analytic = net.weights_gradient(0).copy()
    numeric = central_difference(lambda: networks.predict(net, x).sum(), net.weights(0), STEP)
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-9)


def test_differences_notice_a_wrong_gradient():
    net = ReferenceNetwork(3, [4, 2], ["tanh", "linear"], dtype="float64")
    net.configure(loss="mean_squared_error")
    networks.draw_parameters(net, 0)
    x, y, weight = networks.draw_data(0, 5, 3, 2)
    assert_gradients_match(net, x, y, weight, STEP)
    with pytest.raises(AssertionError, match="weights 0"):
        assert_gradients_match(net, x, y, weight, STEP, spoil=1 + 1e-5)


def test_losses_by_hand():
    y, a = np.array([[1.0, 0.0]]), np.array([[0.8, 0.4]])
    one = {loss: formulas.loss_rows(loss, "linear", y, a, a, 0.3)[0] for loss in LOSSES[:-1]}
    assert one["mean_squared_error"] == pytest.approx((0.04 + 0.16) / 2)
    assert one["mean_absolute_error"] == pytest.approx(0.3)
    assert one["huber"] == pytest.approx((0.5 * 0.04 + 0.3 * (0.4 - 0.15)) / 2)
    assert one["poisson"] == pytest.approx((0.8 - np.log(0.8) + 0.4) / 2)
    assert one["binary_crossentropy"] == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert one["categorical_crossentropy"] == pytest.approx(-np.log(0.8 / 1.2))
    sparse = formulas.loss_rows(LOSSES[-1], "linear", np.array([[0.0]]), a, a)
    assert sparse[0] == pytest.approx(-np.log(0.8 / 1.2))


def test_cross_entropies_from_logits_agree_with_those_of_probabilities():
    z = grid(5)
    for loss, last in (("binary_crossentropy", "sigmoid"), ("categorical_crossentropy", "softmax")):
        _, y, _ = networks.draw_data(5, *z.shape, z.shape[1], loss)
        a = formulas.activation_forward(last, z)
        np.testing.assert_allclose(
            formulas.loss_rows(loss, last, y, z, a, smooth=True),
            formulas.loss_rows(loss, last, y, z, a),
            rtol=1e-12,
        )
        far = 1000 * z  # probabilities round to 0 and 1 here; logits still tell
        a = formulas.activation_forward(last, far)
        smooth = formulas.loss_rows(loss, last, y, far, a, smooth=True)
        assert np.isfinite(smooth).all() and smooth.max() > 100
        most = -np.log(formulas.FLOOR) * y.sum(axis=1).max()
        assert formulas.loss_rows(loss, last, y, far, a).max() <= most


def test_metrics_by_hand():
    a = np.array([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]])
    y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    values = {m: formulas.metric_rows(m, "linear", y, a, a) for m in METRICS[-3:-1]}
    assert values["binary_accuracy"].tolist() == [1.0, 0.5, 0.5]
    assert values["categorical_accuracy"].tolist() == [1.0, 0.0, 0.0]
    classes = np.array([[0.0], [0.0], [0.0]])
    sparse = formulas.metric_rows("sparse_categorical_accuracy", "linear", classes, a, a)
    assert sparse.tolist() == [1.0, 1.0, 0.0]


def test_optimizers_by_hand():
    g = np.array([3.0, -4.0])
    w, v = np.array([1.0, 1.0]), np.array([0.5, 0.0])
    formulas.sgd_update(w, g, v, lr=0.1, momentum=0.9, nesterov=False)
    np.testing.assert_allclose(v, [0.15, 0.4])
    np.testing.assert_allclose(w, [1.15, 1.4])
    w, v = np.array([1.0, 1.0]), np.array([0.5, 0.0])
    formulas.sgd_update(w, g, v, lr=0.1, momentum=0.9, nesterov=True)
    np.testing.assert_allclose(w, [1 + 0.9 * 0.15 - 0.3, 1 + 0.9 * 0.4 + 0.4])
    w, v = np.array([1.0, 1.0]), np.zeros(2)
    formulas.rmsprop_update(w, g, v, lr=0.1, rho=0.75, epsilon=0.5)
    np.testing.assert_allclose(w, [1 - 0.3 / 2.0, 1 + 0.4 / 2.5])
    w, v = np.array([1.0, 1.0]), np.array([7.0, 9.0])
    formulas.adagrad_update(w, g, v, lr=0.1, epsilon=0.0)
    np.testing.assert_allclose(w, [1 - 0.3 / 4, 1 + 0.4 / 5])
    w, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
    formulas.adam_update(w, g, m, v, lr=0.1, betas=(0.9, 0.999), epsilon=0.0, t=1, weight_decay=0.0)
    np.testing.assert_allclose(w, [0.9, 1.1])  # the first step is the rate, whatever g
    w, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
    formulas.adam_update(w, g, m, v, lr=0.1, betas=(0.9, 0.999), epsilon=0.0, t=1, weight_decay=0.5)
    np.testing.assert_allclose(w, [0.95 - 0.1, 0.95 + 0.1])


def test_clipping_by_hand():
    gradients = [np.array([3.0]), np.array([[-4.0]])]
    scaled = formulas.clip_gradients(gradients, 1.0, 0.0, 0.0)
    np.testing.assert_allclose([scaled[0][0], scaled[1][0, 0]], [0.6, -0.8])
    cut = formulas.clip_gradients(gradients, 1.0, 0.0, 0.7)
    np.testing.assert_allclose([cut[0][0], cut[1][0, 0]], [0.6, -0.7])
    alone = formulas.clip_gradients(gradients, 0.0, 3.5, 0.0)
    np.testing.assert_allclose([alone[0][0], alone[1][0, 0]], [3.0, -3.5])
    assert formulas.clip_gradients(gradients, 6.0, 0.0, 0.0)[0] is gradients[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_stays_in_the_dtype(dtype):
    net = ReferenceNetwork(3, [4, 2], ["gelu", "softmax"], dtype=dtype, dropout=[0.1, 0.5])
    net.configure(loss="categorical_crossentropy", metrics=["categorical_accuracy"])
    net.set_penalty(0, l1=0.1, l2=0.1)
    networks.draw_parameters(net, 0)
    x, y, weight = networks.draw_data(0, 5, 3, 2, "categorical_crossentropy", dtype)
    networks.train(net, x, y, weight, epochs=2, n_metrics=1, batch_size=2, shuffle=True)
    inputs, z, a = net._forward(x)
    for array in (*inputs, *z, *a, net.weights(0), net._loss_derivative(y, z[-1], a[-1], weight)):
        assert array.dtype == dtype


def test_unknown_names_and_bad_sizes_are_errors():
    with pytest.raises(ValueError, match="Received: activation='sinus'"):
        ReferenceNetwork(1, [1], ["sinus"])
    with pytest.raises(ValueError, match=r"units=\[0\]"):
        ReferenceNetwork(1, [0], ["relu"])
    net = ReferenceNetwork(1, [1], ["relu"])
    with pytest.raises(ValueError, match="Received: loss='cubic'"):
        net.configure(loss="cubic")
    with pytest.raises(ValueError, match="Received: optimizer='lbfgs'"):
        net.configure(loss="huber", optimizer="lbfgs")
    with pytest.raises(ValueError, match="Received: metric='auc'"):
        net.configure(loss="huber", metrics=["auc"])
