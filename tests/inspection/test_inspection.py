"""Importance, partial dependence and the layers' report, beside what NumPy and arithmetic say."""

import math

import numpy as np
import pytest

from fastmlp import datasets, initializers, inspection, layers, lecture, models, regularizers
from fastmlp._training import evaluation
from fastmlp.errors import DataError
from fastmlp.inspection import Feature, _layers
from fastmlp.preprocessing import Preprocessing


def linear(weights, bias=0.0, loss="mse", metrics=None, activation=None):
    """A network without hidden layers, of the weights given."""
    w = np.array(weights, dtype=np.float64)
    w = w[:, None] if w.ndim == 1 else w
    model = models.Sequential(
        [layers.Dense(w.shape[1], activation, input_shape=(len(w),))], dtype="float64"
    )
    model.set_weights([w, np.full(w.shape[1], bias)])
    model.compile("adam", loss, metrics)
    return model


def rows(n, k, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k))


# ---- permutation importance --------------------------------------------------------------------


def test_importance_is_the_rise_of_the_error_under_each_shuffle():
    x = rows(50, 3)
    y = 2 * x[:, :1] + x[:, 1:2] + 0.1 * rows(50, 1, seed=1)
    model = linear([2.0, 1.0, 0.0])
    found = inspection.permutation_importance(model, x, y, n_repeats=4, seed=7)
    baseline = np.mean((model.predict(x) - y) ** 2)
    assert found.baseline == pytest.approx(baseline, rel=1e-12)
    assert (found.metric, found.larger_is_better) == ("mean_squared_error", False)
    assert found.names == ["x1", "x2", "x3"]
    for j in range(3):
        for repeat in range(4):
            key = np.random.SeedSequence(7, spawn_key=(j, repeat))
            shuffled = x.copy()
            shuffled[:, j] = x[np.random.default_rng(key).permutation(50), j]
            error = np.mean((model.predict(shuffled) - y) ** 2)
            assert found.repeats[j, repeat] == pytest.approx(error - baseline, rel=1e-9, abs=1e-12)
    assert list(found.order) == [0, 1, 2]
    assert np.all(found.repeats[2] == 0)
    lines = str(found).splitlines()
    assert lines[0].startswith("How much worse mean_squared_error (0.0")
    assert [line[:2] for line in lines[1:]] == ["x1", "x2", "x3"] and lines[3] == "x3  0 +- 0"
    assert found.mean[0] > found.mean[1] > 0
    np.testing.assert_allclose(found.std, found.repeats.std(axis=1, ddof=1))


def test_rows_are_stacked_as_memory_allows_and_no_bit_depends_on_it(monkeypatch):
    x = rows(40, 3).astype(np.float32)
    y = x[:, :1]
    model = models.mlp([8], 3, 1, seed=1)
    model.compile("adam", "mse")
    calls = []
    predict = evaluation.predict
    monkeypatch.setattr(
        evaluation, "predict", lambda model, x: calls.append(len(x)) or predict(model, x)
    )
    whole = inspection.permutation_importance(model, x, y, 5, seed=0)
    curve = inspection.partial_dependence(model, x, 1)
    assert calls == [40, 15 * 40, 40 * 40]
    monkeypatch.setattr("fastmlp.inspection._features._STACKED", 2 * x.size)
    calls.clear()
    np.testing.assert_array_equal(
        inspection.permutation_importance(model, x, y, 5, seed=0).repeats, whole.repeats
    )
    assert calls == [40, *[80] * 7, 40]
    monkeypatch.setattr("fastmlp.inspection._features._STACKED", 1)
    np.testing.assert_array_equal(inspection.partial_dependence(model, x, 1).average, curve.average)


def test_the_seed_fixes_the_shuffles_whatever_other_features_there_are():
    x = rows(30, 3)
    model = linear([1.0, 1.0, 1.0])
    y = x.sum(axis=1)
    one = inspection.permutation_importance(model, x, y, seed=3)
    np.testing.assert_array_equal(
        inspection.permutation_importance(model, x, y, seed=3).repeats, one.repeats
    )
    assert not np.any(inspection.permutation_importance(model, x, y, seed=4).repeats == one.repeats)
    last = inspection.permutation_importance(model, x, y, seed=3, features=[Feature("c", (2,))])
    assert last.names == ["c"]
    np.testing.assert_array_equal(last.repeats[0], one.repeats[2])


def test_columns_of_a_feature_are_shuffled_together(monkeypatch):
    codes = np.arange(30) % 3
    x = np.concatenate([rows(30, 1), np.eye(3)[codes]], axis=1)
    model = linear([0.0, 1.0, 2.0, 3.0])
    colour = Feature("colour", (1, 2, 3), "categorical", ("red", "green", "blue"))
    seen = []
    predict = evaluation.predict
    monkeypatch.setattr(
        evaluation, "predict", lambda model, x: seen.append(x.copy()) or predict(model, x)
    )
    found = inspection.permutation_importance(
        model, x, codes + 1.0, 3, features=[Feature("size", (0,)), colour]
    )
    assert found.names == ["size", "colour"]
    np.testing.assert_array_equal(seen[1][:, 1:].sum(axis=1), np.ones(6 * 30))
    assert np.all(found.repeats[1] > 0) and np.all(found.repeats[0] == 0)


@pytest.mark.parametrize("metric", ["accuracy", "mse", "mae", "rmse", "r2", "auc", "log_loss"])
def test_the_value_is_what_evaluate_reports(metric):
    x = rows(60, 2)
    y = (x[:, :1] > 0).astype(float)
    y[:5] = 1 - y[:5]
    model = linear([3.0, 0.5], loss="binary_crossentropy", metrics=[metric], activation="sigmoid")
    reported = model.evaluate(x, y, verbose=0)[1]
    for given in (None, metric):
        found = inspection.permutation_importance(model, x, y, metric=given)
        assert found.metric == metric
        assert found.baseline == pytest.approx(reported, rel=1e-12)
        assert found.larger_is_better == (metric in ("accuracy", "r2", "auc"))
        assert found.mean[0] > abs(found.mean[1]) >= 0


def test_without_metrics_it_is_the_loss_without_its_penalty():
    x = rows(20, 2)
    model = models.Sequential(
        [layers.Dense(1, input_shape=(2,), kernel_regularizer=regularizers.l2(10))], seed=1
    )
    model.compile("adam", "mse")
    found = inspection.permutation_importance(model, x, x[:, 0])
    expected = np.mean((model.predict(x)[:, 0] - x[:, 0]) ** 2)
    assert found.baseline == pytest.approx(expected, rel=1e-6)


def test_a_function_may_measure():
    def worst(y, outputs):
        return np.abs(y - outputs).max()

    x = rows(20, 2)
    model = linear([1.0, 0.0])
    found = inspection.permutation_importance(model, x, x[:, 0] + 0.5, metric=worst)
    assert (found.metric, found.baseline) == ("worst", pytest.approx(0.5))
    assert found.mean[0] > 1


def test_classes_may_be_indices():
    x = rows(60, 3)
    model = linear(np.eye(3) * 4, loss="sparse_categorical_crossentropy", activation="softmax")
    found = inspection.permutation_importance(model, x, x.argmax(axis=1), metric="accuracy")
    assert found.baseline == 1
    assert np.all(found.mean > 0.1)


def test_a_loss_in_python():
    def cubed(y, outputs):
        error = outputs - y
        return np.abs(error[:, 0]) ** 3, 3 * error * np.abs(error)

    x = rows(20, 2)
    model = linear([1.0, 0.0], loss=cubed)
    found = inspection.permutation_importance(model, x, x[:, 0] + 0.5)
    assert (found.metric, found.baseline) == ("cubed", pytest.approx(0.125))
    assert found.mean[0] > 0.5 and found.mean[1] == 0
    named = inspection.permutation_importance(model, x, x[:, 0] + 0.5, metric="mae")
    assert named.baseline == pytest.approx(0.5)
    with pytest.raises(RuntimeError, match="written in Python"):
        inspection.layer_report(model, x, x[:, 0])
    assert inspection.layer_report(model, x).layers[0].verdict == "ok"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n_repeats": 0}, ValueError, "n_repeats must be a positive integer"),
        ({"seed": -1}, ValueError, "seed must be"),
        ({"metric": "acuracy"}, ValueError, "Did you mean 'accuracy'?"),
        ({"metric": "categorical_accuracy"}, ValueError, "needs at least 2 units"),
        ({"metric": "sparse_categorical_accuracy"}, ValueError, "in the same form as the loss"),
        ({"features": ["a"]}, ValueError, "a name for each of the 2 columns of x. Received: 1"),
        ({"features": [Feature("a", (2,))]}, ValueError, r"from 0 to 1. Received: \(2,\)"),
        ({"features": [1]}, ValueError, "Received: 1"),
        ({"x": np.ones((1, 2)), "y": [1]}, DataError, "at least 2 rows"),
        ({"x": np.ones((4, 3))}, DataError, "shape"),
        ({"y": np.ones(3)}, DataError, "3 rows for 4 rows"),
    ],
)
def test_importance_refuses(options, error, text):
    given = {"x": rows(4, 2), "y": np.zeros(4), **options}
    with pytest.raises(error, match=text):
        inspection.permutation_importance(linear([1.0, 1.0]), **given)


def test_importance_of_a_model_that_is_not_compiled_needs_a_metric():
    model = models.mlp([3], 2, 1, seed=1)
    with pytest.raises(RuntimeError, match="not compiled yet"):
        inspection.permutation_importance(model, rows(4, 2), np.zeros(4))
    found = inspection.permutation_importance(model, rows(4, 2), np.zeros(4), metric="mse")
    assert found.baseline > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("a", (0, 1)),
        ("a", ()),
        ("a", (0, 1), "categorical", ("red",)),
        ("a", (0,), "numeric", (), 0.0, 1.0, True),
    ],
)
def test_a_feature_must_have_the_columns_that_its_kind_needs(arguments):
    with pytest.raises(ValueError, match=r"must have [12] columns"):
        Feature(*arguments)


def test_features_of_a_table():
    table = datasets.as_table(
        {"size": [1.0, 2.0, 6.0], "colour": ["red", "blue", "red"], "price": [1.0, 2.0, 3.0]}
    )
    state = Preprocessing.fit(table, "price", "regression", standardize=True)
    size, colour = inspection.features(state)
    assert (size.name, size.columns, size.kind) == ("size", (0,), "numeric")
    assert (size.mean, size.scale, size.clip) == (2.0, 2.5, 3.0)
    np.testing.assert_allclose(size.own(state.inputs(table, "float64")[:, 0]), [1, 2, 6])
    assert colour == Feature("colour", (1, 2), "categorical", ("blue", "red"))


# ---- partial dependence ------------------------------------------------------------------------


def test_dependence_of_a_linear_model_is_a_line_in_the_features_own_units():
    x = rows(30, 2)
    model = linear([2.0, -1.0], bias=0.5)
    found = inspection.partial_dependence(
        model, x, Feature("age", (0,), mean=40.0, scale=10.0), grid=5
    )
    (grid,), (own,) = found.grid, found.rows
    np.testing.assert_allclose(own, 40 + 10 * x[:, 0])
    np.testing.assert_allclose(grid, np.linspace(own.min(), own.max(), 5))
    inputs = (grid - 40) / 10
    expected = 2 * inputs - x[:, 1].mean() + 0.5
    np.testing.assert_allclose(found.average[:, 0], expected, rtol=1e-12)
    assert found.curves.shape == (30, 5, 1)
    np.testing.assert_allclose(found.curves[3, :, 0], 2 * inputs - x[3, 1] + 0.5, rtol=1e-12)
    assert found.curves.mean() == pytest.approx(found.average.mean())


def test_dependence_takes_few_values_as_they_are_and_any_grid():
    x = np.array([[1.0, 5.0], [3.0, 6.0], [1.0, 7.0]])
    model = linear([1.0, 0.0])
    np.testing.assert_array_equal(inspection.partial_dependence(model, x, 0).grid[0], [1, 3])
    found = inspection.partial_dependence(model, x, 0, grid=[-1.0, 0.0, 9.0])
    np.testing.assert_array_equal(found.average[:, 0], [-1, 0, 9])


def test_dependence_on_categories_sets_each_of_them():
    x = np.concatenate([rows(6, 1), np.eye(3)[[0, 1, 2, 2, 1, 2]]], axis=1)
    model = linear([0.0, 10.0, 20.0, 30.0])
    colour = Feature("colour", (1, 2, 3), "categorical", ("red", "green", "blue"))
    found = inspection.partial_dependence(model, x, colour)
    np.testing.assert_array_equal(found.average[:, 0], [10, 20, 30])
    np.testing.assert_array_equal(found.rows[0], [0, 1, 2, 2, 1, 2])


def test_a_value_that_is_set_is_not_missing():
    x = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    model = linear([1.0, 100.0])
    found = inspection.partial_dependence(model, x, Feature("a", (0, 1), indicator=True))
    np.testing.assert_array_equal(found.grid[0], [1, 2])
    np.testing.assert_array_equal(found.average[:, 0], [1, 2])
    np.testing.assert_array_equal(found.rows[0], [1, 2, np.nan])
    every = np.array([[0.5, 1.0], [0.5, 1.0]])
    alone = inspection.partial_dependence(model, every, Feature("a", (0, 1), indicator=True))
    np.testing.assert_array_equal(alone.grid[0], [0.5])


def test_dependence_on_two_features_and_what_is_averaged():
    x = rows(20, 3)
    model = linear([1.0, 2.0, 3.0])
    found = inspection.partial_dependence(
        model, x, (0, 2), grid=([0.0, 1.0], [0.0, 1.0, 2.0]), postprocess=lambda out: 10 * out + 1
    )
    base = 20 * x[:, 1].mean() + 1
    expected = base + np.add.outer([0, 10], [0, 30, 60])
    np.testing.assert_allclose(found.average[:, :, 0], expected)
    assert found.curves.shape == (0, 6, 1)
    assert [feature.name for feature in found.features] == ["x1", "x3"]


def test_dependence_of_several_outputs():
    x = rows(100, 2)
    found = inspection.partial_dependence(linear(np.eye(2)), x, 1, grid=3)
    assert found.average.shape == (3, 2)
    assert found.curves.shape == (50, 3, 2)
    np.testing.assert_allclose(found.average[:, 0], x[:, 0].mean())
    np.testing.assert_allclose(found.average[:, 1], found.grid[0])


@pytest.mark.parametrize(
    ("features", "grid", "text"),
    [
        ((0, 0), 5, "two of different columns"),
        ((0, 1, 2), 5, "one feature, or two"),
        ([], 5, "one feature, or two"),
        (3, 5, "from 0 to 2"),
        (-1, 5, "from 0 to 2"),
        (0, 1, "grid must be an integer of at least 2"),
        (0, (3, 4), "a tuple of 1. Received: a tuple of 2"),
        (0, [], "values in a vector"),
        (0, [[1.0]], "values in a vector"),
        (0, [math.nan], "values in a vector"),
        (0, ["a"], "grid must hold real numbers"),
    ],
)
def test_dependence_refuses(features, grid, text):
    with pytest.raises(ValueError, match=text):
        inspection.partial_dependence(linear([1.0, 1.0, 1.0]), rows(5, 3), features, grid)


# ---- layers ------------------------------------------------------------------------------------

TRAIN = datasets.regression_train()


def lectures_network(n_layers, l2=0.0):
    """The lecture's network of so many hidden layers of 32 units, as its next part starts it."""
    return lecture.build(
        lecture.Entry("deep", "regression", (32,) * n_layers, 0.0, l2, 65392, n_layers + 1, 0, {})
    )


def network(n_layers, activation, initializer="glorot_uniform", use_bias=True, units=32):
    model = models.Sequential(seed=1)
    for i in range(n_layers):
        model.add(
            layers.Dense(
                units,
                activation,
                use_bias,
                initializer,
                input_shape=(1,) if i == 0 else None,
            )
        )
    model.add(layers.Dense(1, None, use_bias, initializer))
    model.compile("adam", "mse")
    return model


def test_fifteen_layers_of_the_lecture_are_named_vanishing():
    model = lectures_network(15)
    report = inspection.layer_report(model, *TRAIN)
    assert report.verdict.startswith("Vanishing gradients: ")
    assert "'dense_1' the error signal shrinks to 8." in report.verdict
    assert "9 of 16 layers ('dense_1', 'dense_2', ..., 'dense_9')" in report.verdict
    signals = [layer.error_signal for layer in report.layers]
    assert signals[0] < 1e-10 and signals == sorted(signals) and signals[-1] == 1
    verdicts = [layer.verdict for layer in report.layers]
    assert verdicts == ["vanishing gradient"] * 9 + ["ok"] * 7
    lines = str(report).splitlines()
    assert len(lines) == 18 and lines[-1] == report.verdict
    assert lines[0].split()[:2] == ["layer", "dead"] and lines[0].endswith("signal  verdict")
    assert lines[1].startswith("dense_1 ") and lines[1].endswith("vanishing gradient")


def test_they_are_so_after_training_has_failed_as_well():
    # The residuals' mean is zero then, and the gradient over all rows with it, in every layer.
    model = lectures_network(15)
    model.fit(*TRAIN, batch_size=50, epochs=400, verbose=0)
    assert np.ptp(model.predict(TRAIN[0])) < 1e-6
    report = inspection.layer_report(model, *TRAIN)
    assert report.verdict.startswith("Vanishing gradients: ")
    assert report.layers[0].verdict == "vanishing gradient"
    assert max(layer.ratio for layer in report.layers) < 1e-3


def test_a_penalty_does_not_hide_it_and_is_there_afterwards():
    plain, model = lectures_network(15), lectures_network(15, l2=1.0)
    before = model.evaluate(*TRAIN, verbose=0)
    report = inspection.layer_report(model, *TRAIN)
    assert report == inspection.layer_report(plain, *TRAIN)
    assert model.evaluate(*TRAIN, verbose=0) == before
    assert before[0] > plain.evaluate(*TRAIN, verbose=0)[0] + 1
    with pytest.raises(DataError):
        inspection.layer_report(model, TRAIN[0], TRAIN[1][1:])
    assert model.evaluate(*TRAIN, verbose=0) == before


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5])
def test_shallower_networks_of_the_lecture_are_healthy(n_layers):
    report = inspection.layer_report(lectures_network(n_layers), *TRAIN)
    assert report.verdict == "Healthy: gradients of a usable size reach every layer."
    assert {layer.verdict for layer in report.layers} == {"ok"}


@pytest.mark.parametrize(
    ("activation", "initializer"), [("relu", "he_normal"), ("tanh", "glorot_uniform"),
                                    ("leaky_relu", "he_normal")]
)  # fmt: skip
def test_deep_networks_that_are_well_started_are_healthy(activation, initializer):
    report = inspection.layer_report(network(15, activation, initializer), *TRAIN)
    assert report.verdict.startswith("Healthy")


def test_a_trained_network_is_healthy():
    model = network(3, "relu", "he_normal")
    model.fit(*TRAIN, batch_size=50, epochs=300, verbose=0)
    assert inspection.layer_report(model, *TRAIN).verdict.startswith("Healthy")


def test_ten_layers_of_sigmoids_vanish_with_and_without_biases():
    for use_bias in (True, False):
        report = inspection.layer_report(network(10, "sigmoid", use_bias=use_bias), *TRAIN)
        assert report.verdict.startswith("Vanishing gradients: ")
    # Initial biases are zero, so that both are one network.
    signals = [
        [layer.error_signal for layer in inspection.layer_report(model, *TRAIN).layers]
        for model in (network(10, "sigmoid"), network(10, "sigmoid", use_bias=False))
    ]
    np.testing.assert_allclose(*signals, rtol=1e-4)


def test_large_weights_explode():
    wide = initializers.RandomNormal(stddev=1.0, seed=1)
    report = inspection.layer_report(network(10, "relu", wide), *TRAIN)
    assert report.verdict.startswith("Exploding gradients: ")
    assert report.layers[0].verdict == "exploding gradient"
    assert report.layers[0].error_signal > 1e3
    assert "ing gradient" not in report.layers[-1].verdict
    huge = initializers.RandomNormal(stddev=100.0, seed=1)
    report = inspection.layer_report(network(30, "relu", huge), *TRAIN)
    assert "the error signal is no longer a finite number" in report.verdict


def test_a_dead_layer_and_zero_weights_and_saturation_are_named():
    model = network(3, "relu", "he_normal", units=8)
    start = model.get_weights()
    w = [array.copy() for array in start]
    w[2][...], w[3][...] = -abs(w[2]), -1
    w[5][...] = w[7][...] = 0.1
    model.set_weights(w)
    report = inspection.layer_report(model, *TRAIN)
    assert "Dead layers: every unit is zero for every row in 1 of 4 layers" in report.verdict
    assert report.layers[1].dead == 1
    assert [layer.verdict for layer in report.layers[:2]] == [
        "no gradient",
        "no gradient, dead layer",
    ]
    w = [array.copy() for array in start]
    w[-2][...] = 0
    model.set_weights(w)
    report = inspection.layer_report(model, *TRAIN)
    assert "Weights are all zero in 1 of 4 layers" in report.verdict
    assert math.isnan(report.layers[-1].ratio)
    model = network(2, "tanh", units=8)
    w = model.get_weights()
    w[3][:6] += 20
    model.set_weights(w)
    report = inspection.layer_report(model, *TRAIN)
    assert report.verdict.startswith("Saturation: half or more of the units")
    assert [layer.saturated for layer in report.layers] == [0, 0.75, None]


def test_many_dead_units_are_named():
    model = network(2, "relu", "he_normal", units=8)
    w = model.get_weights()
    w[2][:, :6], w[3][:6] = 0, -1
    model.set_weights(w)
    report = inspection.layer_report(model, *TRAIN)
    assert report.layers[1].dead >= 0.75
    assert "Dead units: three in four or more" in report.verdict


def test_a_perfect_fit_has_no_gradient_at_the_output():
    model = linear([1.0])
    x = np.array([[1.0], [2.0]])
    report = inspection.layer_report(model, x, x)
    assert "the loss is at a minimum for every row" in report.verdict


def test_the_figures_are_numpys(monkeypatch):
    model = network(2, "relu", "he_normal", units=6)
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(1, "sigmoid"))
    model.compile("adam", "mse")
    outputs = [model.activations(TRAIN[0])[i] for i in (0, 1, 2, 4)]
    gradients = model.gradients(*TRAIN)
    for held in (1 << 22, 60):  # all rows at once, and a few at a time
        monkeypatch.setattr(_layers, "_HELD", held)
        report = inspection.layer_report(model, *TRAIN)
        assert [layer.name for layer in report.layers] == [la.name for la in model.dense_layers]
        for layer, a, (dw, _) in zip(report.layers, outputs, gradients, strict=True):
            a = a.astype(np.float64)
            assert layer.mean == pytest.approx(a.mean(), rel=1e-10)
            assert layer.std == pytest.approx(a.std(), rel=1e-10)
            assert layer.dead == np.mean(~a.any(axis=0))
            w = model.get_layer(layer.name).get_weights()[0]
            assert layer.weight_norm == pytest.approx(np.linalg.norm(w), rel=1e-6)
            assert layer.gradient_norm == pytest.approx(np.linalg.norm(dw), rel=1e-6)
            assert layer.ratio == pytest.approx(layer.gradient_norm / layer.weight_norm)


def test_without_y_it_is_the_summed_output_and_needs_no_compilation():
    model = models.mlp([8, 8], 1, 1, seed=1)
    report = inspection.layer_report(model, TRAIN[0])
    gradients = model.gradients(TRAIN[0])
    for layer, (dw, _) in zip(report.layers, gradients, strict=True):
        assert layer.gradient_norm == pytest.approx(np.linalg.norm(dw), rel=1e-6)
    assert report.layers[-1].error_signal == 1
    with pytest.raises(RuntimeError, match="not compiled"):
        inspection.layer_report(model, *TRAIN)


def test_the_seed_is_drawn_and_recorded():
    model, x = linear([1.0, 1.0]), rows(20, 2)
    one = inspection.permutation_importance(model, x, x[:, 0], metric="mse")
    other = inspection.permutation_importance(model, x, x[:, 0], metric="mse")
    assert one.seed != other.seed
    again = inspection.permutation_importance(model, x, x[:, 0], metric="mse", seed=one.seed)
    np.testing.assert_array_equal(again.repeats, one.repeats)
