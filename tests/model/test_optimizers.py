"""Optimizers: settings, names, and what the engine is told."""

import math

import numpy as np
import pytest

from fastmlp import layers, models, optimizers

ALL = [
    optimizers.SGD,
    optimizers.RMSprop,
    optimizers.Adagrad,
    optimizers.Adam,
    optimizers.AdamW,
]


@pytest.mark.parametrize("cls", ALL)
def test_learning_rate_comes_first(cls):
    assert cls(0.25).learning_rate == 0.25
    optimizer = cls()
    optimizer.learning_rate = np.float32(0.5)
    assert optimizer.learning_rate == 0.5 and type(optimizer.learning_rate) is float
    with pytest.raises(ValueError, match="learning_rate must be a finite number of at least 0"):
        optimizer.learning_rate = -1
    with pytest.raises(TypeError):
        cls(lr=0.1)


def test_defaults_are_kerass():
    assert optimizers.SGD().learning_rate == 0.01
    assert [cls().learning_rate for cls in ALL[1:]] == [0.001] * 4
    adam = optimizers.Adam()
    assert (adam.beta_1, adam.beta_2, adam.epsilon, adam.initial_step) == (0.9, 0.999, 1e-7, 0)
    assert optimizers.AdamW().weight_decay == 0.004
    assert optimizers.Adagrad().initial_accumulator_value == 0.1
    assert optimizers.RMSprop().rho == 0.9


@pytest.mark.parametrize("cls", ALL)
def test_names_and_configuration(cls):
    for identifier in (cls.__name__, cls.__name__.lower(), cls):
        assert type(optimizers.get(identifier)) is cls
    made = cls(0.3, clipvalue=2)
    assert optimizers.get(made) is made
    assert made.name == cls.__name__.lower()
    config = made.get_config()
    assert config["learning_rate"] == 0.3 and config["clipvalue"] == 2
    assert cls(**config).get_config() == cls.from_config(config).get_config() == config
    assert repr(made).startswith(cls.__name__ + "(learning_rate=0.3")


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Unknown optimizer: 'adm'. Did you mean 'adam'\?"):
        optimizers.get("adm")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.Adam("0.1"), "learning_rate must be a finite number"),
        (lambda: optimizers.Adam(math.inf), "learning_rate must be a finite number"),
        (lambda: optimizers.Adam(beta_1=1), r"beta_1 must be a number in \[0, 1\)"),
        (lambda: optimizers.Adam(beta_2=-0.1), r"beta_2 must be a number in \[0, 1\)"),
        (lambda: optimizers.Adam(epsilon=0), "epsilon must be a finite number above 0"),
        (lambda: optimizers.Adam(initial_step=-1), "initial_step must be a non-negative integer"),
        (lambda: optimizers.SGD(momentum=1.0), r"momentum must be a number in \[0, 1\)"),
        (lambda: optimizers.SGD(nesterov="yes"), "nesterov must be True or False"),
        (
            lambda: optimizers.SGD(global_clipnorm=0),
            "global_clipnorm must be a finite number above",
        ),
        (lambda: optimizers.SGD(clipvalue=-1), "clipvalue must be a finite number above 0"),
        (lambda: optimizers.Adam(clipnorm="1"), "clipnorm must be a finite number above 0"),
        (
            lambda: optimizers.AdamW(clipnorm=1.0, global_clipnorm=2.0),
            "clipnorm and global_clipnorm cannot be combined. Received: clipnorm=1.0",
        ),
        (lambda: optimizers.AdamW(weight_decay=-1), "weight_decay must be a finite number"),
        (lambda: optimizers.RMSprop(rho=1), r"rho must be a number in \[0, 1\)"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "initial_accumulator_value"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_base_class_has_no_rule():
    with pytest.raises(NotImplementedError):
        _ = optimizers.Optimizer().slots


# One step from weights 0 on y = x, x = 2: the gradient by the weight is -8, by the bias -4.
STEPS = [
    (optimizers.SGD(0.01), [0.08, 0.04]),
    (optimizers.SGD(0.01, momentum=0.5), [0.08, 0.04]),
    (optimizers.SGD(0.01, momentum=0.5, nesterov=True), [0.12, 0.06]),
    (optimizers.SGD(0.01, clipvalue=5.0), [0.05, 0.04]),
    (optimizers.SGD(0.01, global_clipnorm=1.0), [8 / math.sqrt(80) / 100, 4 / math.sqrt(80) / 100]),
    (optimizers.SGD(0.01, clipnorm=5.0), [0.05, 0.04]),
    (optimizers.RMSprop(0.01), [0.01 / math.sqrt(0.1)] * 2),
    (optimizers.Adagrad(0.01), [0.08 / math.sqrt(64.1), 0.04 / math.sqrt(16.1)]),
    (optimizers.Adam(0.01), [0.01, 0.01]),
    (
        optimizers.Adam(0.01, initial_step=1),
        [0.01 * math.sqrt((1 - 0.999**2) / 0.001) / (1 - 0.9**2) * 0.1] * 2,
    ),
    (optimizers.AdamW(0.01, weight_decay=0.5), [0.01, 0.01]),
]


@pytest.mark.parametrize(("optimizer", "expected"), STEPS, ids=lambda v: repr(v)[:40])
def test_first_step(optimizer, expected):
    dense = layers.Dense(1, input_shape=(1,), kernel_initializer="zeros")
    model = models.Sequential([dense], dtype="float64")
    model.compile(optimizer, "mse")
    model.fit([[2.0]], [2.0], verbose=0)
    (w, b) = dense.get_weights()
    np.testing.assert_allclose([w[0, 0], b[0]], expected, rtol=1e-6)


def test_weight_decay_shrinks_biases_as_well():
    model = models.Sequential([layers.Dense(1, input_shape=(1,))], dtype="float64")
    model.compile(optimizers.AdamW(0.01, weight_decay=0.5), "mse")
    model.set_weights([[[1.0]], [1.0]])
    model.fit([[1.0]], [2.0], verbose=0)  # exact already: no gradient, decay alone
    for array in model.get_weights():
        np.testing.assert_allclose(array, 1 - 0.01 * 0.5, rtol=1e-12)


def test_a_new_rate_counts_without_compiling_again():
    model = models.Sequential([layers.Dense(1, input_shape=(1,), kernel_initializer="zeros")])
    model.compile(optimizers.SGD(0.01), "mse")
    model.optimizer.learning_rate = 0.02
    model.fit([[2.0]], [2.0], verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], 0.16, rtol=1e-6)
