"""Sequential: building, predicting, looking inside, data of every wrong kind."""

import concurrent.futures
import copy
import gc
import math
import pickle
import threading
import weakref

import numpy as np
import pytest

from fastmlp import backend, initializers, layers, losses, metrics, models, optimizers, regularizers
from fastmlp.errors import DataError
from fastmlp.threads import set_num_threads


def regression(n=30, k=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k))
    return x, np.sin(x).sum(axis=1, keepdims=True)


def compiled(k=3, outputs=1, **kwargs):
    model = models.mlp([5, 4], k, outputs, activation="tanh", seed=1, **kwargs)
    model.compile("adam", "mse")
    return model


def test_the_lectures_listing_runs():
    np.random.seed(8746)
    b_init_seeds = np.random.randint(1, 1e6, size=6)
    w_init_seeds = np.random.randint(1, 1e6, size=6)
    penalty = 0.01
    regularized_model = models.Sequential()
    b_initializer = initializers.RandomNormal(seed=b_init_seeds[0])
    w_initializer = initializers.RandomNormal(seed=w_init_seeds[0])
    regularized_model.add(
        layers.Dense(
            16,
            activation="relu",
            input_shape=(1,),
            bias_initializer=b_initializer,
            kernel_initializer=w_initializer,
            kernel_regularizer=regularizers.l2(penalty),
        )
    )
    regularized_model.add(layers.Dropout(rate=0.05))
    regularized_model.add(
        layers.Dense(1, activation="linear", kernel_regularizer=regularizers.l2(penalty))
    )
    regularized_model.compile(
        optimizer="adam", loss="mean_squared_error", metrics=["mean_squared_error"]
    )
    train_x = np.linspace(-2, 2, 50).reshape(50, 1).astype(np.float32)
    train_y = np.cos(train_x)
    history = regularized_model.fit(train_x, train_y, epochs=3, batch_size=50, verbose=0)
    assert list(history.history) == ["loss", "mean_squared_error"]
    assert len(regularized_model.evaluate(train_x, train_y)) == 2
    (w, b) = regularized_model.layers[0].get_weights()
    orig_w = w.copy()
    change_pt = -b / orig_w
    inds_to_fix = np.where(np.logical_and(change_pt >= 0.5, change_pt <= 1.0))
    w[inds_to_fix] = orig_w[inds_to_fix] * 0.1
    regularized_model.layers[0].set_weights((w, b))
    f = backend.function([regularized_model.layers[0].input], [regularized_model.layers[2].output])
    np.testing.assert_array_equal(f([train_x])[0], regularized_model.predict(train_x))


# ---- building ----


def test_defaults_are_kerass():
    dense = layers.Dense(50, input_shape=(40,))
    model = models.Sequential([dense], seed=3)
    w, b = dense.get_weights()
    assert (b == 0).all() and w.dtype == np.float32
    limit = math.sqrt(6 / 90)
    assert 0.95 * limit < np.abs(w).max() <= limit
    assert model.dtype == "float32"


def test_two_layers_differ_and_a_seed_repeats():
    def weights(seed):
        return models.mlp([4, 4], 4, 4, seed=seed).get_weights()

    a, b = weights(1), weights(1)
    assert not np.array_equal(a[0], a[2])
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(a[0], weights(2)[0])


def test_a_seed_is_drawn_and_kept():
    first, second = models.mlp([4], 3, 1), models.mlp([4], 3, 1)
    assert first.seed != second.seed
    again = models.mlp([4], 3, 1, seed=first.seed)
    np.testing.assert_array_equal(first.get_weights()[0], again.get_weights()[0])


def test_layers_can_be_added_to_a_network_that_has_weights():
    model = models.Sequential([layers.Dense(4, input_shape=(3,))], seed=1)
    kept = model.get_weights()
    handle = model.layers[0].output
    kept[1] += 2
    model.set_weights(kept)
    model.add(layers.Dropout(0.1))
    model.add(layers.Dense(2))
    np.testing.assert_array_equal(model.layers[0].get_weights()[1], kept[1])
    assert [w.shape for w in model.get_weights()] == [(3, 4), (4,), (4, 2), (2,)]
    x = np.ones((2, 3))
    f = backend.function([model.layers[0].input], [handle, model.output])
    np.testing.assert_array_equal(f([x])[1], model.predict(x))
    whole = models.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dense(2)], seed=1)
    np.testing.assert_array_equal(whole.get_weights()[2], model.get_weights()[2])


def test_structure_errors():
    dense = layers.Dense(4, input_shape=(3,))
    model = models.Sequential([dense])
    with pytest.raises(ValueError, match=r"must be one of fastmlp.layers. Received: 3"):
        model.add(3)
    with pytest.raises(ValueError, match="must not belong to a model already"):
        models.Sequential([dense])
    with pytest.raises(ValueError, match="Input must come first"):
        model.add(layers.Input((3,)))
    with pytest.raises(ValueError, match=r"the 4 columns of the output before it. Received: in"):
        model.add(layers.Dense(1, input_shape=(3,)))
    with pytest.raises(ValueError, match="Only the first layer can set"):
        models.Sequential([layers.Dropout(0.1), layers.Dense(2, input_shape=(2,))])
    with pytest.raises(ValueError, match=r"input_shape must be \(None, 3\)"):
        model.build((None, 5))
    with pytest.raises(ValueError, match=r"Unknown dtype: 'float16'. Did you mean 'float"):
        models.Sequential(dtype="float16")
    with pytest.raises(ValueError, match="Unknown dtype: 'flaot'"):
        models.Sequential(dtype="flaot")
    with pytest.raises(ValueError, match="seed must be a non-negative integer"):
        models.Sequential(seed=-3)


def test_states_that_are_too_early():
    empty = models.Sequential()
    for call in (lambda: empty.input, lambda: empty.predict([[1.0]]), lambda: empty.output):
        with pytest.raises(RuntimeError, match="has no layers yet"):
            call()
    assert empty.n_outputs is None and not empty.built
    unbuilt = models.Sequential([layers.Dense(2)])
    with pytest.raises(RuntimeError, match="is not built yet"):
        unbuilt.get_weights()
    with pytest.raises(RuntimeError, match="has no input and output yet"):
        _ = unbuilt.layers[0].output
    unbuilt.build((None, 3))
    for call in (unbuilt.fit, unbuilt.evaluate):
        with pytest.raises(
            RuntimeError, match=r"not compiled yet: call compile\(optimizer, loss\)"
        ):
            call(np.zeros((2, 3)), np.zeros((2, 2)))
    assert unbuilt.predict(np.zeros((2, 3))).shape == (2, 2)


def test_dropout_at_the_end():
    model = models.Sequential([layers.Dense(2, input_shape=(1,)), layers.Dropout(0.5)])
    model.compile("adam", "mse")
    for call in (
        lambda: model.predict([[1.0]]),
        lambda: model.fit([[1.0]], [[1.0, 2.0]]),
        lambda: model.evaluate([[1.0]], [[1.0, 2.0]]),
    ):
        with pytest.raises(ValueError, match="The last layer must be Dense"):
            call()
    model.add(layers.Dense(1))
    assert model.predict([[1.0]]).shape == (1, 1)


@pytest.mark.parametrize(
    ("units", "activation", "loss", "message"),
    [
        (1, "softmax", "mse", "of one unit it is always 1"),
        (1, "linear", "categorical_crossentropy", "needs at least 2 units in the last layer"),
        (1, "linear", "sparse_categorical_crossentropy", "needs at least 2 units"),
    ],
)
def test_losses_that_do_not_fit_the_last_layer(units, activation, loss, message):
    model = models.Sequential([layers.Dense(units, activation, input_shape=(2,))])
    with pytest.raises(ValueError, match=message):
        model.compile("adam", loss)
    assert model.optimizer is None


def test_compile_takes_names_classes_and_objects():
    model = models.mlp([3], 2, 1)
    for optimizer in ("adam", optimizers.Adam, optimizers.Adam(0.1)):
        for loss in ("mse", losses.mean_squared_error, losses.MeanSquaredError):
            model.compile(optimizer, loss, metrics=["mae", metrics.mean_squared_error])
            assert model.optimizer.name == "adam" and model.loss.name == "mean_squared_error"
            assert model.metrics_names == ["loss", "mae", "mean_squared_error"]


def test_repr_and_get_layer():
    model = models.Sequential(
        [layers.Dense(4, input_shape=(3,), name="a"), layers.Dense(1, name="b")], name="m"
    )
    assert repr(model) == "<Sequential 'm': 3 inputs, units 4, 1>"
    assert repr(models.Sequential(name="e")) == "<Sequential 'e': ? inputs, units none>"
    assert model.get_layer("b") is model.get_layer(index=1) is model.layers[1]
    with pytest.raises(ValueError, match="Unknown layer: 'c'"):
        model.get_layer("c")
    assert model.count_params() == 16 + 5


def test_set_weights_changes_all_or_nothing():
    model = compiled()
    kept = model.get_weights()
    with pytest.raises(DataError, match=r"The model has 6 arrays of weights. Received: 2"):
        model.set_weights(kept[:2])
    bad = [w + 1 for w in kept]
    bad[-1] = np.array([math.nan])
    with pytest.raises(DataError, match="must be finite"):
        model.set_weights(bad)
    for before, after in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


# ---- predicting ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict_is_the_formula(dtype):
    x, _ = regression()
    model = compiled(outputs=2, dtype=dtype)
    a = x
    for i, layer in enumerate(model.layers):
        w, b = layer.get_weights()
        a = a @ w + b
        a = np.tanh(a) if i < 2 else a
    out = model.predict(x)
    assert out.dtype == dtype and out.shape == (30, 2)
    np.testing.assert_allclose(out, a, rtol=0, atol=1e-5 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(out, model(x))


def test_a_rows_prediction_does_not_depend_on_its_company():
    x, _ = regression(n=300)
    model = models.mlp([70, 33], 3, 2, seed=1)
    whole = model.predict(x)
    for i in (0, 17, 299):
        np.testing.assert_array_equal(model.predict(x[i : i + 1])[0], whole[i])
    np.testing.assert_array_equal(model.predict(x[100:203]), whole[100:203])
    np.testing.assert_array_equal(model.predict(x, batch_size=7), whole)


def test_long_predictions_and_evaluations_are_cut_into_spans(monkeypatch):
    x, y = regression(n=1000)
    model = compiled(dtype="float64")
    whole, loss = model.predict(x), model.evaluate(x, y)
    monkeypatch.setattr("fastmlp._training.evaluation._LONG", 1)  # spans of 256 rows
    monkeypatch.setattr("fastmlp._training.evaluation._SHORT", 1)
    np.testing.assert_array_equal(model.predict(x), whole)
    assert model.evaluate(x, y) == pytest.approx(loss, rel=1e-14)
    weight = np.random.default_rng(0).uniform(size=1000)
    parts = model.evaluate(x, y, sample_weight=weight)
    monkeypatch.undo()
    assert model.evaluate(x, y, sample_weight=weight) == pytest.approx(parts, rel=1e-14)


def test_one_column_may_be_a_vector():
    model = models.mlp([3], 1, 1, seed=1)
    np.testing.assert_array_equal(model.predict([1, 2, 3]), model.predict([[1], [2], [3]]))
    deferred = models.Sequential([layers.Dense(1)])
    assert deferred.predict(np.arange(4)).shape == (4, 1) and deferred.n_inputs == 1


def test_kinds_of_numbers_that_are_welcome():
    model = compiled()
    expected = model.predict(np.ones((2, 3), np.float32))
    for x in (
        [[1, 1, 1], [1, 1, 1]],
        np.ones((2, 3), np.int8),
        np.ones((2, 3), bool),
        np.ones((2, 3), np.float16),
        np.ones((3, 2)).T,
        np.ones((2, 3), ">f8"),
        np.ma.masked_array(np.ones((2, 3))),
    ):
        np.testing.assert_array_equal(model.predict(x), expected)


def test_threads_share_a_model():
    x, _ = regression(n=200)
    model = models.mlp([64, 64], 3, 1, seed=1)
    expected, wrong = model.predict(x), []

    def work(i):
        for j in range(20):
            rows = slice((i * 7 + j) % 50, None)
            if not np.array_equal(model.predict(x[rows]), expected[rows]):
                wrong.append((i, j))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_an_initializer_may_use_the_model_whose_weights_it_draws():
    """Once: the model then has the weights that this use of it needed."""

    class Curious(initializers.GlorotUniform):
        def draw(self, shape, rng):
            if not seen:
                seen.append(None)
                seen[0] = model.predict(x)
                model.set_weights([array + 1 for array in model.get_weights()])
            return super().draw(shape, rng)

    x, seen = np.ones((2, 3)), []
    first = layers.Dense(4, kernel_initializer=Curious(), input_shape=(3,))
    model = models.Sequential([first, layers.Dense(1)], seed=1)
    network = model.network
    plain = models.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dense(1)], seed=1)
    assert np.array_equal(seen[0], plain.predict(x))
    assert model.network is network and first.network() is network
    for array, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        assert np.array_equal(array, other + 1)


# ---- looking inside ----


def test_activations_of_every_layer():
    x, _ = regression(n=8)
    model = models.Sequential(
        [
            layers.Input((3,)),
            layers.Dropout(0.3),
            layers.Dense(5, "relu"),
            layers.Dropout(0.3),
            layers.Dense(2, "softmax"),
        ],
        seed=1,
        dtype="float64",
    )
    found = model.activations(x)
    assert [a.shape for a in found] == [(8, 3), (8, 5), (8, 5), (8, 2)]
    w, b = model.layers[1].get_weights()
    np.testing.assert_array_equal(found[0], x)
    np.testing.assert_allclose(found[1], np.maximum(x @ w + b, 0), rtol=1e-12)
    np.testing.assert_array_equal(found[2], found[1])
    np.testing.assert_array_equal(found[3], model.predict(x))


def test_gradients_of_the_loss_are_central_differences():
    x, y = regression(n=12)
    model = models.mlp([4], 3, 1, activation="tanh", l2=0.1, dropout=0.5, seed=1, dtype="float64")
    model.compile("adam", "mse")
    weight = np.random.default_rng(1).uniform(size=12)
    gradients = model.gradients(x, y, sample_weight=weight)
    flat = [g for pair in gradients for g in pair]
    weights = model.get_weights()
    for j, array in enumerate(weights):
        for index in np.ndindex(array.shape):
            moved = []
            for step in (1e-5, -1e-5):
                changed = [w.copy() for w in weights]
                changed[j][index] += step
                model.set_weights(changed)
                moved.append(model.evaluate(x, y, sample_weight=weight))
            assert flat[j][index] == pytest.approx((moved[0] - moved[1]) / 2e-5, abs=1e-8)


def test_gradients_of_the_summed_output():
    x, _ = regression(n=12)
    model = models.mlp([], 3, 2, l2=5.0, seed=1, dtype="float64")
    ((dw, db),) = model.gradients(x)
    np.testing.assert_allclose(dw, np.repeat(x.sum(axis=0)[:, None], 2, axis=1), rtol=1e-12)
    np.testing.assert_allclose(db, [12, 12])
    with pytest.raises(RuntimeError, match="not compiled yet"):
        model.gradients(x, np.zeros((12, 2)))


# ---- data that cannot be used ----

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 3)), r"x must not be empty. Received: shape \(0, 3\)"),
        (np.zeros((5, 4)), r"x must have shape \(n, 3\).*Received: shape \(5, 4\)"),
        (np.zeros((5, 3, 1)), r"Received: shape \(5, 3, 1\)"),
        (np.zeros(3), r"for a single row use x.reshape\(1, -1\)"),
        (np.zeros(4), r"Received: shape \(4,\)"),
        (1.0, r"Received: shape \(\)"),
        (None, "x must hold real numbers. Received: NoneType"),
        ([[1, 2, NAN]], "x must be finite. Received: nan in row 0, column 2"),
        ([[1, 2, 3], [INF, 0, 0]], "x must be finite. Received: inf in row 1, column 0"),
        (np.full((2000, 3), NAN), "x must be finite. Received: nan in row 0, column 0"),
        ([[1e300, 0, 0]], "x must fit into float32. Received: 1e[+]300 in row 0, column 0"),
        ([["a", "b", "c"]], "x must hold real numbers. Received: an array of shape"),
        (np.array([[1, 2, None]]), r"x must hold real numbers.*dtype object"),
        ([[1j, 0, 0]], "x must hold real numbers.*dtype complex128"),
        ([[1, 2, 3], [1, 2]], "rows have one length. Received: list"),
        (np.ma.masked_array([[1.0, 2, 3]], [[0, 1, 0]]), "x must have no masked values"),
        (np.zeros((2, 3), "datetime64[s]"), "x must hold real numbers"),
        ({"a": 1}, "x must hold real numbers. Received: dict"),
    ],
)
def test_bad_x(x, message):
    model = compiled()
    y = np.zeros((1, 1))
    for call in (model.predict, model.activations, model.gradients):
        with pytest.raises(DataError, match=message):
            call(x)
    for call in (model.fit, model.evaluate):
        with pytest.raises(DataError, match=message):
            call(x, y)


def test_large_but_finite_values_pass():
    model = models.mlp([], 3, 1, seed=1)
    assert np.isfinite(model.predict(np.full((1, 3), 1e30, np.float32))).all()
    assert np.isfinite(model.predict(np.full((2000, 3), 1e38, np.float32) * 0.1)).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((30, 2)), r"y must have shape \(n,\) or \(n, 1\).*Received: shape \(30, 2\)"),
        (np.zeros(29), "y must have as many rows as its x. Received: 29 rows for 30 rows of x"),
        (np.zeros((1, 30)), r"Received: shape \(1, 30\)"),
        (0.0, r"Received: shape \(\)"),
        (np.full(30, NAN), "y must be finite. Received: nan in row 0"),
        (np.full(30, "a"), "y must hold real numbers"),
        ([], "y must have as many rows as its x. Received: 0 rows"),
    ],
)
def test_bad_y(y, message):
    x, _ = regression()
    model = compiled()
    for call in (model.fit, model.evaluate, model.gradients):
        with pytest.raises(DataError, match=message):
            call(x, y)


@pytest.mark.parametrize(
    ("loss", "last", "y", "message"),
    [
        ("binary_crossentropy", "sigmoid", [[0, 1, 2]], "must hold labels 0 and 1.*Received: 2.0"),
        ("categorical_crossentropy", "softmax", [[0, -1, 1]], "must hold labels 0 and 1"),
        ("categorical_crossentropy", "softmax", [1], "use loss='sparse_categorical_crossentropy'"),
        ("sparse_categorical_crossentropy", "softmax", [3], "class indices from 0 to 2"),
        ("sparse_categorical_crossentropy", "softmax", [0.5], "class indices from 0 to 2"),
        ("sparse_categorical_crossentropy", "softmax", [-1], "in row 0, column 0"),
        ("sparse_categorical_crossentropy", "softmax", [[0, 1, 0]], r"shape \(n,\) or \(n, 1\)"),
        ("poisson", "softplus", [[0, -1, 2]], "must hold counts of at least 0.*Received: -1"),
        ("mse", "linear", [1], r"y must have shape \(n, 3\)"),
    ],
)
def test_y_that_the_loss_does_not_know(loss, last, y, message):
    model = models.mlp([4], 2, 3, output_activation=last)
    model.compile("adam", loss)
    with pytest.raises(DataError, match=message):
        model.fit([[1.0, 2.0]], y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(29), r"sample_weight must have shape \(30,\).*Received: shape \(29,\)"),
        (np.ones((30, 2)), r"Received: shape \(30, 2\)"),
        (np.full(30, NAN), "sample_weight must be finite"),
        (np.r_[np.ones(29), -1], "sample_weight must be at least 0. Received: -1.0 in row 29"),
        (["a"] * 30, "sample_weight must hold real numbers"),
    ],
)
def test_bad_sample_weight(weight, message):
    x, y = regression()
    model = compiled()
    for call in (model.fit, model.evaluate):
        with pytest.raises(DataError, match=message):
            call(x, y, sample_weight=weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer. Received: batch_size=0"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"epochs": 1.5}, "epochs must be a positive integer"),
        ({"verbose": 3}, "verbose must be 0, 1 or 2"),
        ({"shuffle": "no"}, "shuffle must be True or False"),
        ({"validation_split": 1.0}, r"validation_split must be a number in \[0, 1\)"),
        ({"validation_split": 0.999}, "must leave rows for training and for validation"),
        ({"validation_data": 3}, "validation_data must be .x, y.*Received: int"),
        ({"validation_data": (1,)}, "Received: tuple of 1"),
        ({"validation_data": ([[1, 2]], [1])}, r"validation x must have shape \(n, 3\)"),
        ({"validation_data": ([[1, 2, 3]], [1, 2])}, "validation y must have as many rows"),
        ({"validation_data": ([[1, 2, 3]], [1], [-1])}, "validation sample_weight must be at"),
        ({"validation_freq": 0}, "validation_freq must be a positive integer"),
        ({"validation_freq": [1.5]}, "an epoch in validation_freq must be a positive integer"),
        ({"callbacks": [3]}, "callbacks must be callbacks.Callback objects. Received: 3"),
        ({"class_weight": {0: 1}}, "class_weight needs a loss for classes"),
        ({"class_weight": [1, 2]}, "class_weight must be a mapping"),
    ],
)
def test_bad_arguments_of_fit(arguments, message):
    x, y = regression()
    model = compiled()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, **{"verbose": 0, **arguments})
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_bad_arguments_of_predict_and_evaluate():
    x, y = regression()
    model = compiled()
    for call in (lambda **kw: model.predict(x, **kw), lambda **kw: model.evaluate(x, y, **kw)):
        with pytest.raises(ValueError, match="batch_size must be a positive integer"):
            call(batch_size=0)
        with pytest.raises(ValueError, match="verbose must be 0, 1 or 2"):
            call(verbose="loud")


# ---- copies and memory ----


def test_copies_are_models_of_their_own():
    x, y = regression()
    model = compiled()
    model.fit(x, y, epochs=3, verbose=0)
    for clone in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(clone.predict(x), model.predict(x))
        before = model.predict(x)
        clone.fit(x, y, verbose=0)
        assert not np.array_equal(clone.predict(x), before)
        np.testing.assert_array_equal(model.predict(x), before)


def test_a_model_that_is_let_go_is_freed_at_once():
    x, y = regression()
    model = compiled()
    history = model.fit(x, y, verbose=0)
    assert history.model.n_inputs == 3
    seen = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert seen() is None  # no cycle holds the network's memory until a collection
    finally:
        gc.enable()


# ---- mlp ----


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1024x5", [1024] * 5),
        ("64,32,16", [64, 32, 16]),
        ("1024x2, 16", [1024, 1024, 16]),
        (" 8 ", [8]),
    ],
)
def test_parse_units(text, units):
    assert models.parse_units(text) == units


@pytest.mark.parametrize(
    "text", ["0", "1024x", "x5", "", "a", "-3", "3x0", "0x3", "3,,4", "1.5", "1e3", "٣", "9" * 30]
)
def test_parse_units_refuses(text):
    with pytest.raises(ValueError, match="units must be positive integers such as 64,32,16"):
        models.parse_units(text)


def test_parse_units_refuses_depths_that_would_fill_memory():
    with pytest.raises(ValueError, match="2000 layers at most"):
        models.parse_units("2x999999999")


def test_mlp():
    model = models.mlp(
        "6,5",
        3,
        2,
        activation=["relu", "tanh"],
        output_activation="sigmoid",
        l1=[0.1, 0, 0.3],
        l2=0.2,
        dropout=[0, 0.5],
        dtype="float64",
    )
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Dense", "Dense", "Dropout", "Dense"]
    assert [d.activation for d in model.dense_layers] == ["relu", "tanh", "sigmoid"]
    assert [d.penalties()[:2] for d in model.dense_layers] == [(0.1, 0.2), (0, 0.2), (0.3, 0.2)]
    assert model.n_inputs == 3 and model.dtype == "float64"
    assert models.mlp([3], 2, 1).layers[0].kernel_regularizer is None
    assert len(models.mlp([], 2, 1, dropout=0.5).layers) == 1
    with pytest.raises(ValueError, match=r"one per hidden layer: 1 or 2. Received: 3 values"):
        models.mlp([3, 3], 2, 1, activation=["relu"] * 3)
    with pytest.raises(ValueError, match=r"dropout must be a number in \[0, 1\)"):
        models.mlp([3], 2, 1, dropout=1)


def test_large_layers_are_drawn_side_by_side_from_the_same_streams(monkeypatch):
    sizes = [400, 390, 2, 410, 400]
    drawn, pools = [], []
    executor = concurrent.futures.ThreadPoolExecutor
    monkeypatch.setattr(
        concurrent.futures, "ThreadPoolExecutor", lambda n: pools.append(n) or executor(n)
    )
    for n_threads in (1, 2):
        set_num_threads(n_threads)
        try:
            drawn.append(models.mlp(sizes, 5, 1, seed=3).get_weights())
        finally:
            set_num_threads(None)
    assert pools == [2]  # the layers of 400 x 390 and 410 x 400 weights
    for one, two in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, two)


def test_layers_that_share_a_generator_are_drawn_one_after_the_other(monkeypatch):
    monkeypatch.setattr(concurrent.futures, "ThreadPoolExecutor", None)
    set_num_threads(2)
    try:
        rng = np.random.default_rng(1)
        shared = initializers.RandomUniform(seed=rng)
        model = models.Sequential(
            [layers.Dense(400, kernel_initializer=shared, input_shape=(400,)),
             layers.Dense(400, kernel_initializer=shared)]
        )  # fmt: skip
        model.get_weights()
    finally:
        set_num_threads(None)
