"""Smaller networks with the same predictions."""

import numpy as np
import pytest

from fastmlp import layers, models, optimizers, regularizers
from fastmlp.errors import ModelWarning


def make(units, n_inputs=4, activation="tanh", seed=0, dtype="float64", **options):
    model = models.Sequential([layers.Input((n_inputs,))], seed=seed, dtype=dtype)
    for i, width in enumerate(units):
        last = i == len(units) - 1
        model.add(
            layers.Dense(
                width,
                "linear" if last else activation,
                bias_initializer=layers.initializers.RandomNormal(stddev=0.5),
                **options,
            )
        )
    model.compile("adam", "mse", ["mae"])
    return model


def set_zeros(model, zero):
    """zero: (layer, axis, places) to set to zero."""
    weights = [layer.get_weights() for layer in model.dense_layers]
    for i, axis, places in zero:
        at = (slice(None), places) if axis == 1 else (places,)
        weights[i][0][at] = 0
    for layer, arrays in zip(model.dense_layers, weights, strict=True):
        layer.set_weights(arrays)


def units_of(model):
    return [layer.units for layer in model.dense_layers]


def same(model, pruned, x, tolerance=1e-13):
    np.testing.assert_allclose(pruned.predict(x), model.predict(x), rtol=0, atol=tolerance)


X = np.random.default_rng(0).normal(size=(50, 4))


def test_units_that_nothing_sees():
    model = make([6, 5, 2])
    set_zeros(model, [(1, 0, [0, 3])])  # two rows of the second layer
    pruned = model.prune()
    assert units_of(pruned) == [4, 5, 2]
    same(model, pruned, X)
    names = [layer.name for layer in model.dense_layers]
    assert pruned.extras["pruned"] == {
        "units": {names[0]: [6, 4], names[1]: [5, 5]},
        "inputs": [0, 1, 2, 3],
        "unused_inputs": [],
        "parameters": [model.count_params(), pruned.count_params()],
    }


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "softplus", "gelu", "elu"])
def test_units_that_see_nothing_are_folded_into_the_biases(activation):
    model = make([6, 5, 2], activation=activation)
    set_zeros(model, [(0, 1, [1, 2]), (1, 1, [4])])
    pruned = model.prune()
    assert units_of(pruned) == [4, 4, 2]
    same(model, pruned, X)


def test_what_becomes_idle_by_that_goes_too():
    """Without its only reader a unit is unseen; without its only input it is a constant."""
    model = make([6, 5, 4, 1])
    set_zeros(model, [(2, 0, [0]), (0, 1, [1])])  # unit 0 of layer 1 unseen, 1 of layer 0 constant
    w, b = model.dense_layers[1].get_weights()
    w[2, 1:] = 0  # unit 2 of layer 0 is read by unit 0 of layer 1 alone
    w[[0, 2, 3, 4, 5], 3] = 0  # unit 3 of layer 1 reads the constant alone
    model.dense_layers[1].set_weights([w, b])
    pruned = model.prune()
    same(model, pruned, X)
    assert units_of(pruned) == [4, 3, 4, 1]


def test_a_layer_keeps_a_unit():
    model = make([6, 5, 2])
    set_zeros(model, [(1, 0, range(6))])  # the second layer sees nothing
    pruned = model.prune()
    assert units_of(pruned) == [1, 1, 2]
    same(model, pruned, X)
    assert pruned.extras["pruned"]["unused_inputs"] == [0, 1, 2, 3]
    with pytest.warns(ModelWarning, match="apart from one that its layer must keep"):
        assert units_of(pruned.prune()) == [1, 1, 2]
    assert pruned.prune(inputs=True).n_inputs == 1


@pytest.mark.filterwarnings("ignore:Nothing could be removed:fastmlp.errors.ModelWarning")
def test_inputs():
    model = make([6, 5, 2])
    set_zeros(model, [(0, 0, [0, 2])])
    pruned = model.prune()
    assert pruned.n_inputs == 4
    assert pruned.extras["pruned"]["unused_inputs"] == [0, 2]
    same(model, pruned, X)
    fewer = model.prune(inputs=True)
    assert fewer.n_inputs == 2 and fewer.extras["pruned"]["inputs"] == [1, 3]
    np.testing.assert_allclose(
        fewer.predict(X[:, fewer.extras["pruned"]["inputs"]]), model.predict(X), atol=1e-13
    )


def test_an_input_that_only_idle_units_see():
    model = make([3, 1])
    w, b = model.dense_layers[0].get_weights()
    w[0, :2] = 0
    model.dense_layers[0].set_weights([w, b])
    set_zeros(model, [(1, 0, [2])])
    assert model.prune().extras["pruned"]["unused_inputs"] == [0]


def test_a_layer_without_biases_gets_some():
    model = make([6, 5, 2], use_bias=False)
    model2 = models.Sequential(
        [
            layers.Dense(6, "sigmoid", input_shape=(4,)),
            layers.Dense(2, use_bias=False),
        ],
        dtype="float64",
        seed=1,
    )
    set_zeros(model2, [(0, 1, [0])])
    pruned = model2.prune()
    assert pruned.dense_layers[1].use_bias and units_of(pruned) == [5, 2]
    same(model2, pruned, X)
    set_zeros(model, [(0, 1, [0])])  # tanh(0) is 0: a bias would be 0 as well
    same(model, model.prune(), X)


@pytest.mark.filterwarnings("ignore:Nothing could be removed:fastmlp.errors.ModelWarning")
def test_hidden_softmax_stays():
    model = make([6, 5, 2], activation="softmax")
    set_zeros(model, [(1, 0, [0]), (0, 1, [1])])
    pruned = model.prune()
    assert units_of(pruned) == [6, 5, 2]
    same(model, pruned, X)


def test_nothing_to_do():
    model = make([6, 5, 2])
    with pytest.warns(ModelWarning, match="Nothing could be removed: no weight is exactly zero"):
        pruned = model.prune()
    assert pruned is not model and units_of(pruned) == [6, 5, 2]
    assert np.array_equal(pruned.predict(X), model.predict(X))


def test_zeros_that_leave_every_unit_in_use_and_models_without_hidden_units():
    model = make([6, 5, 2])
    set_zeros(model, [(0, 0, [1])])
    with pytest.warns(ModelWarning, match=r"9\.38% of the weights are zero, but no hidden unit"):
        model.prune()
    with pytest.warns(ModelWarning, match="the model has no hidden units"):
        make([2]).prune()
    pruned = model.prune(inputs=True)  # an input goes: no warning
    assert pruned.n_inputs == 3


def test_dropout_stays_and_float32_agrees():
    rng = np.random.default_rng(1)
    model = models.mlp([30, 20], 4, 1, dropout=0.2, seed=2)
    model.compile("adam", "mse")
    for layer in model.dense_layers:
        w, b = layer.get_weights()
        w[rng.random(w.shape) < 0.9] = 0
        layer.set_weights([w, rng.normal(size=b.shape)])
    pruned = model.prune()
    assert [type(layer).__name__ for layer in pruned.layers] == [
        type(layer).__name__ for layer in model.layers
    ]
    assert pruned.count_params() < model.count_params() / 2
    same(model, pruned, X, 1e-6)


def test_what_is_trained_sparse_predicts_the_same():
    """From training by proximal steps to the pruned network, its file, and on."""
    x = np.random.default_rng(3).normal(size=(200, 6))
    y = np.sin(x[:, :1]) + 0.1 * x[:, 1:2]
    model = models.mlp([40, 30], 6, 1, activation="tanh", seed=1, dtype="float64")
    for layer in model.dense_layers:
        layer.kernel_regularizer = regularizers.GroupL1(0.02, groups="inputs")
    model.compile(optimizers.Adam(0.003), "mse")
    model.fit(x, y, batch_size=50, epochs=150, verbose=0)
    pruned = model.prune()
    assert sum(units_of(pruned)) < 0.7 * sum(units_of(model))
    same(model, pruned, x)
    assert {2, 3, 4, 5} & set(pruned.extras["pruned"]["unused_inputs"])


def test_training_goes_on(tmp_path):
    """Optimizer, its state, seed and history are those of what is left; a file holds them."""
    x, y = X, X[:, :1] ** 2
    model = make([6, 5, 1], kernel_regularizer=regularizers.L1(1e-4, proximal=True))
    model.fit(x, y, batch_size=10, epochs=3, verbose=0)
    set_zeros(model, [(1, 0, [0, 1])])
    model.network.weights_slot(0, 1)[:2] = 0  # as if these units had been idle for ever
    model.network.weights_slot(1, 1)[:2] = 1
    for s in (0, 1):
        model.network.weights_slot(s, 0)[:, :2] = s
        model.network.bias_slot(s, 0)[:2] = s
    pruned = model.prune()
    assert pruned.network.step == model.network.step
    assert pruned.history.epoch == model.history.epoch and pruned.n_fits == model.n_fits
    assert repr(pruned.optimizer) == repr(model.optimizer)
    assert [m.name for m in pruned.metrics] == ["mae"]
    assert repr(pruned.dense_layers[0].kernel_regularizer) == "L1(l1=0.0001, proximal=True)"
    pruned.save(tmp_path / "pruned.fmlp")
    loaded = models.load_model(tmp_path / "pruned.fmlp")
    assert loaded.extras["pruned"] == pruned.extras["pruned"]
    one = pruned.fit(x, y, batch_size=10, epochs=2, verbose=0).history["loss"]
    two = loaded.fit(x, y, batch_size=10, epochs=2, verbose=0).history["loss"]
    assert one == two
    rest = model.fit(x, y, batch_size=10, epochs=2, verbose=0).history["loss"]
    assert one[0] == pytest.approx(rest[0], rel=1e-2)


@pytest.mark.filterwarnings("ignore:Nothing could be removed:fastmlp.errors.ModelWarning")
def test_a_model_that_is_not_compiled_or_not_drawn_yet():
    model = models.mlp([3], 2, 1, seed=0)
    pruned = model.prune()
    assert pruned.optimizer is None and units_of(pruned) == [3, 1]
    with pytest.raises(RuntimeError, match="not built yet"):
        models.Sequential([layers.Dense(1)]).prune()


@pytest.mark.filterwarnings("ignore:Nothing could be removed:fastmlp.errors.ModelWarning")
def test_a_table_s_preprocessing_goes_with_its_inputs():
    model = make([3, 1])
    model.extras["preprocessing"] = {"made": "for four inputs"}
    set_zeros(model, [(0, 0, [1])])
    assert "preprocessing" in model.prune().extras
    assert "preprocessing" not in model.prune(inputs=True).extras
    assert "preprocessing" in model.extras and "pruned" not in model.extras


def test_bad_argument():
    with pytest.raises(ValueError, match="inputs must be True or False"):
        make([3, 1]).prune(inputs="all")
