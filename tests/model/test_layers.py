"""Layers: arguments, names, widths, and weights in and out."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import erf, expit

from fastmlp import backend, layers, models, regularizers
from fastmlp.errors import DataError

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.2 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "gelu": lambda z: z * (1 + erf(z / math.sqrt(2))) / 2,
    "silu": lambda z: z * expit(z),
    "tanh": np.tanh,
    "sigmoid": expit,
    "softplus": lambda z: np.log1p(np.exp(z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_activations(name):
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(9, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
    dense = layers.Dense(4, activation=name, input_shape=(3,))
    model = models.Sequential([dense], dtype="float64")
    dense.set_weights((w, b))
    np.testing.assert_allclose(model.predict(x), ACTIVATIONS[name](x @ w + b), rtol=1e-12)


def test_activation_names():
    assert layers.Dense(1).activation == layers.Dense(1, None).activation == "linear"
    assert layers.Dense(1, "ReLU").activation == "relu"
    assert layers.Dense(1, "swish").activation == "silu"
    with pytest.raises(ValueError, match=r"Unknown activation: 'rleu'. Did you mean 'relu'\?"):
        layers.Dense(1, "rleu")
    with pytest.raises(ValueError, match=r"activation must be a name or None. Received: 3"):
        layers.Dense(1, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dense(0), "units must be a positive integer. Received: units=0"),
        (lambda: layers.Dense(2.0), "units must be a positive integer. Received: units=2.0"),
        (lambda: layers.Dense(True), "units must be a positive integer. Received: units=True"),
        (lambda: layers.Dense(2**31), r"units must be below 2\*\*31"),
        (lambda: layers.Dense(1, use_bias=2), "use_bias must be True or False"),
        (lambda: layers.Dense(1, input_shape=(2, 3)), "a tuple of one number"),
        (lambda: layers.Dense(1, input_shape="2"), "a tuple of one number"),
        (lambda: layers.Dense(1, input_shape=(0,)), r"input_shape\[0\] must be a positive integer"),
        (lambda: layers.Dense(1, input_dim=-1), "input_dim must be a positive integer"),
        (lambda: layers.Dense(1, input_shape=(2,), input_dim=3), "must agree"),
        (lambda: layers.Dense(1, name=""), "name must be a non-empty string"),
        (lambda: layers.Dense(1, name="a\nb"), "name must be a non-empty string on one line"),
        (lambda: layers.Dropout(1.0), r"rate must be a number in \[0, 1\). Received: rate=1.0"),
        (lambda: layers.Dropout(-0.1), r"rate must be a number in \[0, 1\)"),
        (lambda: layers.Dropout(0.1, seed=-1), "seed must be a non-negative integer"),
        (lambda: layers.Input(shape=()), "a tuple of one number"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_widths_of_numpy_integers_count():
    dense = layers.Dense(np.int64(3), input_shape=np.int32(2))
    assert dense.units == 3 and type(dense.units) is int and dense.n_inputs == 2


def test_names_are_numbered_as_in_keras():
    backend.clear_session()
    assert [layers.Dense(1).name for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert layers.Dropout(0.5).name == "dropout"
    assert layers.Dense(1, name="out").name == "out"
    assert models.Sequential().name == "sequential"
    assert models.Sequential().name == "sequential_1"


def test_names_in_a_model_differ():
    backend.clear_session()
    model = models.Sequential([layers.Dense(1, name="dense_1"), layers.Dense(1)])
    backend.clear_session()
    model.add(layers.Dense(1))
    model.add(layers.Dense(1))
    assert [layer.name for layer in model.layers] == ["dense_1", "dense", "dense_2", "dense_3"]
    with pytest.raises(ValueError, match=r"Names of layers must differ. Received: 'dense_1' twice"):
        model.add(layers.Dense(1, name="dense_1"))


@pytest.mark.parametrize(
    "first",
    [
        [layers.Dense(4, input_shape=(3,))],
        [layers.Dense(4, input_dim=3)],
        [layers.Input(shape=(3,)), layers.Dense(4)],
        [layers.InputLayer((3,)), layers.Dense(4, input_shape=(3,))],
        [layers.Input((3,)), layers.Dropout(0.1), layers.Dense(4)],
    ],
)
def test_ways_to_say_how_wide_the_input_is(first):
    model = models.Sequential([*first, layers.Dense(2)])
    assert model.built and model.n_inputs == 3
    assert model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert [w.shape for w in model.get_weights()] == [(3, 4), (4,), (4, 2), (2,)]
    assert not any(isinstance(layer, layers.InputLayer) for layer in model.layers)


def test_width_is_learned_from_the_first_data():
    model = models.Sequential([layers.Dropout(0.1), layers.Dense(4), layers.Dense(2)])
    assert not model.built and model.layers[1].get_weights() == []
    assert model.layers[1].count_params() == 0 and model.layers[0].output_shape == (None, None)
    model.predict(np.zeros((5, 3)))
    assert model.built and model.layers[1].input_shape == (None, 3)
    assert model.layers[1].output_shape == (None, 4)


def test_get_weights_copies_and_set_weights_checks():
    dense = layers.Dense(2, input_shape=(3,))
    model = models.Sequential([dense])
    w, b = dense.get_weights()
    assert w.shape == (3, 2) and b.shape == (2,) and w.flags.c_contiguous
    w[...] = 7
    assert not (dense.get_weights()[0] == 7).any()
    dense.set_weights((w, b))
    assert (model.get_weights()[0] == 7).all()
    kept = model.get_weights()
    for weights, message in [
        ([w], r"shape \(3, 2\) and \(2,\). Received: 1 arrays"),
        ((w.T, b), r"Received: shapes \(2, 3\), \(2,\)"),
        ((w, [0, math.nan]), "must be finite. Received: nan"),
        ((w, [0, math.inf]), "must be finite. Received: inf"),
        ((w, [0, 1e300]), "must fit into float32. Received: 1e[+]300 in row 1"),
        ((w, ["a", "b"]), "must hold real numbers"),
    ]:
        with pytest.raises(DataError, match=message):
            dense.set_weights(weights)
    for before, after in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_layers_without_weights():
    dropout = layers.Dropout(0.5)
    assert dropout.get_weights() == [] and dropout.count_params() == 0
    dropout.set_weights([])
    with pytest.raises(DataError, match=r"has no weights. Received: 1 arrays"):
        dropout.set_weights([np.zeros(2)])
    with pytest.raises(RuntimeError, match="has no weights yet"):
        layers.Dense(2).set_weights([])


def test_without_bias():
    dense = layers.Dense(2, use_bias=False, input_shape=(3,), bias_regularizer="l2")
    model = models.Sequential([dense], dtype="float64")
    assert [w.shape for w in dense.get_weights()] == [(3, 2)]
    assert dense.count_params() == 6 and dense.penalties() == (0, 0, 0, 0)
    dense.set_weights([np.ones((3, 2))])
    np.testing.assert_allclose(model.predict([[1, 2, 3]]), [[6, 6]])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3)), np.zeros((4, 2)), verbose=0)
    np.testing.assert_allclose(model.predict(np.zeros((1, 3))), 0)


def test_a_layer_outlives_its_model():
    def first_layer():
        return models.Sequential([layers.Dense(2, input_shape=(3,))], seed=1).layers[0]

    layer = first_layer()
    assert layer.get_weights()[0].shape == (3, 2)
    layer.set_weights((np.ones((3, 2)), np.zeros(2)))
    assert (layer.get_weights()[0] == 1).all()


def test_bias_penalties():
    dense = layers.Dense(
        2,
        input_shape=(1,),
        kernel_regularizer=regularizers.l1(0.1),
        bias_regularizer=regularizers.l1_l2(l1=0.2, l2=0.3),
    )
    model = models.Sequential([dense], dtype="float64")
    model.compile("sgd", "mse")
    dense.set_weights(([[1.0, -2.0]], [3.0, -1.0]))
    x = [[0.0]]
    assert model.evaluate(x, [[3.0, -1.0]]) == pytest.approx(0.1 * 3 + 0.2 * 4 + 0.3 * 10)


def test_repr_shows_what_makes_the_layer_again():
    assert repr(layers.Dropout(0.2, name="d")) == "Dropout(rate=0.2, seed=None, name='d')"
    config = layers.Dense(3, "relu", kernel_regularizer="l2", name="a").get_config()
    assert layers.Dense(**config).get_config() == config


def test_dropout_is_off_unless_training_and_scales_while_it_trains():
    # A linear unit with weight 1 on one input of 1: each step's output is 0 or 1 / (1 - rate).
    model = models.Sequential(
        [layers.Input((1,)), layers.Dropout(0.5), layers.Dropout(0.5), layers.Dense(1)],
        seed=4,
        dtype="float64",
    )
    model.compile("sgd", "mse")
    model.set_weights([[[1.0]], [0.0]])
    assert model.predict([[1.0]])[0, 0] == 1
    model.optimizer.learning_rate = 0
    n = 4000
    history = model.fit(np.ones((n, 1)), np.zeros(n), epochs=1, batch_size=n, verbose=0)
    # Two rates of 1/2 make one of 3/4: squares are 16 with probability 1/4, variance 48.
    assert abs(history.history["loss"][0] - 4) < 5 * math.sqrt(48 / n)


def test_dropout_seeds_matter_and_repeat():
    x = np.random.default_rng(0).normal(size=(32, 2))
    y = x.sum(axis=1)

    def losses(dropout_seed, seed=1):
        rate = layers.Dropout(0.5, seed=dropout_seed)
        model = models.Sequential([layers.Input((2,)), rate, layers.Dense(1)], seed=seed)
        model.compile("sgd", "mse")
        return tuple(model.fit(x, y, epochs=3, verbose=0).history["loss"])

    seen = [losses(*key) for key in itertools.product((None, 1, 2), (1, 2))]
    assert len(set(seen)) == len(seen)
    assert losses(2, 2) == seen[-1]


# ---- PiecewiseLinear ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bins_end_where_the_next_begin_even_if_float32_moves_their_edges(dtype):
    """Numbers of float32 lie 0.0625 apart here: as given, bins would overlap or leave gaps."""
    edges = [1e6 + 0.04, 1e6 + 0.21, 1e6 + 0.28, 1e6 + 0.47]
    layer = layers.PiecewiseLinear(edges=[edges])
    x = np.array(edges, dtype)[:, None]
    expected = np.tri(4, 3, -1)  # each edge has passed through all bins below
    np.testing.assert_allclose(layer(x)[:, 1:], expected, rtol=1e-6 if dtype == "float32" else 1e-9)
    model = models.Sequential([layer, layers.Dense(1, use_bias=False)], dtype=dtype)
    model.build((None, 1))
    model.set_weights([np.array([[0], [1], [2], [4]], dtype)])
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], [0, 1, 3, 7], rtol=1e-6)


@pytest.mark.parametrize("edges", [[0, 1e39], [-2e30, 0], [1, 1 + 1e-9], [0, 1e-31], [2, 1], [1]])
def test_edges_that_float32_cannot_tell_are_refused(edges):
    with pytest.raises(ValueError, match=r"edges\[1\] must be empty, or two or more numbers that"):
        layers.PiecewiseLinear(edges=[[], edges])


def test_numbers_beyond_what_bins_can_have_are_no_edges():
    x = np.array([-3e38, -1e37, 0, 1, 2, 3, 4, 1e37, 3e38])[:, None]
    layer = layers.PiecewiseLinear(8)
    layer.adapt(x)
    assert layer.edges == ((0, 1, 2, 3, 4),)
    assert np.isfinite(layer(np.float32(x))).all()
