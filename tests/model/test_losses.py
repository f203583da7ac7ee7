"""Losses as functions, and as training and evaluation report them."""

import math

import numpy as np
import pytest

from fastmlp import layers, losses, models

P = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
ONE_HOT = np.array([[1, 0, 0], [0, 0, 1]])

VALUES = [
    (losses.mean_squared_error, [[1, 2], [3, 4]], [[1, 4], [0, 0]], [2, 12.5]),
    (losses.mean_absolute_error, [[1, 2], [3, 4]], [[1, 4], [0, 0]], [1, 3.5]),
    (losses.huber, [0.0, 0.0, 0.0], [0.5, -1.0, 3.0], [0.125, 0.5, 2.5]),
    (losses.poisson, [2.0, 0.0], [math.e, 1.5], [math.e - 2, 1.5]),
    (losses.binary_crossentropy, [1, 0], [0.25, 0.25], [-math.log(0.25), -math.log(0.75)]),
    (losses.categorical_crossentropy, ONE_HOT, P, [-math.log(0.7), -math.log(0.4)]),
    (losses.sparse_categorical_crossentropy, [0, 2], P, [-math.log(0.7), -math.log(0.4)]),
    (losses.sparse_categorical_crossentropy, [[0], [2]], P, [-math.log(0.7), -math.log(0.4)]),
]


@pytest.mark.parametrize(("function", "true", "pred", "expected"), VALUES)
def test_rows(function, true, pred, expected):
    np.testing.assert_allclose(function(true, pred), expected, rtol=1e-6)


@pytest.mark.parametrize(("function", "true", "pred", "expected"), VALUES)
def test_classes_average_over_rows_and_weigh(function, true, pred, expected):
    loss = losses.get(function)
    assert loss.name == function.__name__
    assert loss(true, pred) == pytest.approx(np.mean(expected), rel=1e-6)
    weights = np.arange(1.0, len(expected) + 1)
    assert loss(true, pred, weights) == pytest.approx(np.mean(weights * expected), rel=1e-6)


def test_huber_takes_its_delta():
    assert losses.Huber(2.0)([0.0], [3.0]) == pytest.approx(2 * (3 - 1))
    assert losses.Huber(2.0).get_config() == {"delta": 2.0}
    assert repr(losses.Huber(2.0)) == "Huber(delta=2.0)"
    with pytest.raises(ValueError, match="delta must be a finite number above 0"):
        losses.Huber(0)


def test_probabilities_are_clipped_as_in_keras():
    assert losses.binary_crossentropy([1.0], [0.0])[0] == pytest.approx(-math.log(1e-7))
    assert losses.categorical_crossentropy([[1, 0]], [[0, 1]])[0] == pytest.approx(-math.log(1e-7))


def test_names():
    assert losses.mse is losses.MSE is losses.mean_squared_error
    for name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError", losses.MeanSquaredError):
        assert losses.get(name).name == "mean_squared_error"
    assert losses.get("mae").name == losses.get("MAE").name == "mean_absolute_error"
    assert losses.get("huber_loss").name == losses.get("Huber").name == "huber"
    assert losses.get("bce").name == "binary_crossentropy"
    made = losses.Poisson()
    assert losses.get(made) is made


def test_unknown_losses():
    with pytest.raises(
        ValueError, match=r"'mean_square_error'. Did you mean 'mean_squared_error'\?"
    ):
        losses.get("mean_square_error")
    with pytest.raises(
        ValueError, match="loss must be a name, or a class or object of the kind Loss"
    ):
        losses.get(3)


def test_shapes_never_broadcast():
    with pytest.raises(ValueError, match=r"y_true of shape \(3, 1\), y_pred of shape \(2, 1\)"):
        losses.mean_squared_error([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="class indices"):
        losses.sparse_categorical_crossentropy([1, 2, 3], [[0.5, 0.5]])


CASES = [
    ("mean_squared_error", "linear", 2),
    ("mean_absolute_error", "tanh", 2),
    (losses.Huber(0.3), "linear", 2),
    ("poisson", "softplus", 2),
    ("binary_crossentropy", "sigmoid", 2),
    ("binary_crossentropy", "sigmoid", 1),
    ("categorical_crossentropy", "softmax", 3),
    ("sparse_categorical_crossentropy", "softmax", 3),
]


@pytest.mark.parametrize(("loss", "activation", "k"), CASES)
def test_evaluate_agrees_with_the_formula(loss, activation, k):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 4))
    classes = rng.integers(0, k, 40)
    model = models.Sequential(
        [layers.Dense(5, "tanh", input_shape=(4,)), layers.Dense(k, activation)],
        seed=1,
        dtype="float64",
    )
    model.compile("adam", loss)
    loss = model.loss
    y = {
        "poisson": rng.poisson(2, (40, k)),
        "binary_crossentropy": rng.integers(0, 2, (40, k)),
        "categorical_crossentropy": np.eye(k)[classes],
        "sparse_categorical_crossentropy": classes,
    }.get(loss.name, rng.normal(size=(40, k)))
    weight = rng.uniform(0, 2, 40)
    pred = model.predict(x)
    assert model.evaluate(x, y) == pytest.approx(loss(y, pred), rel=1e-10)
    assert model.evaluate(x, y, sample_weight=weight) == pytest.approx(
        loss(y, pred, weight), rel=1e-10
    )


def test_a_cross_entropy_saturates_and_its_gradient_does_not():
    model = models.Sequential([layers.Dense(1, "sigmoid", input_shape=(1,))], dtype="float64")
    model.compile("sgd", "binary_crossentropy")
    model.set_weights([[[1.0]], [0.0]])
    assert model.evaluate([[-100.0]], [1]) == pytest.approx(-math.log(1e-7))
    assert model.gradients([[-100.0]], [1])[0][0] == pytest.approx(100)  # (p - 1) * x


def test_outputs_are_scaled_to_sum_to_one_before_the_clip():
    rows = [[0.9, 0.9, 0.2], [0, 0, 0], [3, 1, 0], [2, -1, 0], [1, -1, 0], [np.nan, 1, 0]]
    clip = -np.log([0.45, 1e-7, 1e-7, 1e-7, 1e-7, np.nan])
    found = losses.categorical_crossentropy(np.eye(3)[[1, 0, 2, 1, 1, 1]], rows)
    np.testing.assert_allclose(found, clip, rtol=1e-12)
    found = losses.sparse_categorical_crossentropy([1, 0, 2, 1, 1, 1], rows)
    np.testing.assert_allclose(found, clip, rtol=1e-12)
    assert losses.categorical_crossentropy([[1, 0]], [[5, 0]])[0] == pytest.approx(1e-7)


# ---- losses written in Python ----


def squares(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


class Pinball(losses.Loss):
    def __init__(self, share=0.5):
        self.share = share

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        rows = np.maximum(self.share * error, (self.share - 1) * error).mean(axis=1)
        return rows, np.where(error > 0, -self.share, 1 - self.share) / error.shape[1]


def test_a_loss_may_be_a_function_or_a_class():
    made = losses.get(squares)
    assert made.get_config() == {} and losses.saved(made)["class_name"] == "squares"
    assert made.name == "squares" and made.in_python and repr(made) == "FunctionLoss(squares)"
    assert made([1, 2], [2, 4]) == 2.5
    assert made([1, 2], [2, 4], [1, 3]) == (1 + 3 * 4) / 2
    pinball = losses.get(Pinball(0.9))
    assert pinball.name == "pinball" and pinball.in_python
    assert pinball([1.0, 1.0], [0.0, 2.0]) == pytest.approx((0.9 + 0.1) / 2)
    assert Pinball.from_config(pinball.get_config()).share == 0.9
    assert losses.get(Pinball).share == 0.5
    assert not losses.get("mse").in_python
    with pytest.raises(NotImplementedError, match=r"MeanSquaredError must define call"):
        losses.MeanSquaredError().call(np.zeros((1, 1)), np.zeros((1, 1)))


@pytest.mark.parametrize("cls", [type(losses.get(name)) for name in ("mse", "huber", "poisson")])
def test_configurations_round_trip(cls):
    made = cls()
    assert repr(cls.from_config(made.get_config())) == repr(made)
    assert repr(losses.get(losses.saved(made))) == repr(made)


@pytest.mark.parametrize(
    ("result", "received"),
    [
        (lambda t, p: np.square(t - p).mean(axis=1), r"Received: ndarray of shape \(4,\)"),
        (lambda t, p: 1.0, "Received: float"),
        (lambda t, p: None, "Received: NoneType"),
        (lambda t, p: (1.0, p), r"Received: float, ndarray of shape \(4, 2\)"),
        (
            lambda t, p: (np.zeros(4), np.zeros(4)),
            r"Received: ndarray of shape \(4,\), ndarray of shape \(4,\)",
        ),
        (lambda t, p: (np.zeros(4), p, p), "Received: tuple"),
        (lambda t, p: (["a"] * 4, p), r"Received: list, ndarray of shape \(4, 2\)"),
        (lambda t, p: (np.zeros((2, 2)), p), r"Received: ndarray of shape \(2, 2\), ndarray"),
    ],
)
def test_what_a_loss_must_return(result, received):
    rule = (
        r"must return \(values, gradient\): one value per row, of shape \(4,\), and its gradient "
        r"by the outputs, of shape \(4, 2\)\. "
    )
    with pytest.raises(ValueError, match=rule + received):
        losses.get(result)(np.zeros((4, 2)), np.zeros((4, 2)))
