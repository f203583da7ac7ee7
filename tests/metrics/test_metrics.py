"""Metrics: functions, names, which accuracy is meant, and what fit and evaluate report."""

import numpy as np
import pytest

from fastmlp import callbacks, layers, metrics, models, regularizers


def test_accuracies():
    np.testing.assert_array_equal(
        metrics.binary_accuracy([[1, 0], [0, 0]], [[0.6, 0.5], [0.4, 0.51]]), [1, 0.5]
    )
    p = [[0.1, 0.9], [0.8, 0.2]]
    np.testing.assert_array_equal(metrics.categorical_accuracy([[0, 1], [0, 1]], p), [1, 0])
    np.testing.assert_array_equal(metrics.sparse_categorical_accuracy([1, 1], p), [1, 0])


def test_names_are_kept_as_given():
    assert metrics.get("mse").name == "mse"
    assert metrics.get("mse").engine == "mean_squared_error"
    assert metrics.get("MeanSquaredError").name == "MeanSquaredError"
    assert metrics.get(metrics.MeanSquaredError).name == "mean_squared_error"
    assert metrics.get(metrics.MeanSquaredError(name="error")).name == "error"
    assert metrics.get(metrics.mean_squared_error).name == "mean_squared_error"
    assert metrics.get("acc").name == "acc"
    assert repr(metrics.Accuracy()) == "Accuracy(name='accuracy')"
    with pytest.raises(ValueError, match=r"Unknown metric: 'acuracy'. Did you mean 'accuracy'\?"):
        metrics.get("acuracy")
    with pytest.raises(ValueError, match="metric must be a name"):
        metrics.get(print)
    with pytest.raises(ValueError, match="name must be a non-empty string"):
        metrics.MeanSquaredError(name="")


@pytest.mark.parametrize(
    ("loss", "n_outputs", "expected"),
    [
        ("binary_crossentropy", 1, "binary_accuracy"),
        ("binary_crossentropy", 3, "binary_accuracy"),
        ("categorical_crossentropy", 3, "categorical_accuracy"),
        ("sparse_categorical_crossentropy", 3, "sparse_categorical_accuracy"),
        ("mean_squared_error", 1, "binary_accuracy"),
        ("mean_squared_error", 3, "categorical_accuracy"),
    ],
)
def test_which_accuracy_is_meant(loss, n_outputs, expected):
    assert metrics.get("accuracy").engine_name(loss, n_outputs) == expected


def test_metrics_leave_penalty_and_weights_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 1))
    model = models.Sequential(
        [layers.Dense(1, input_shape=(2,), kernel_regularizer=regularizers.l2(0.5))],
        dtype="float64",
    )
    model.compile("adam", "mse", metrics=["mse", metrics.MeanAbsoluteError()])
    weight = rng.uniform(0, 2, 30)
    loss, mse, mae = model.evaluate(x, y, sample_weight=weight)
    error, (w, _) = y - model.predict(x), model.get_weights()
    penalty = 0.5 * (w**2).sum()
    assert mse == pytest.approx((error**2).mean())
    assert mae == pytest.approx(np.abs(error).mean())
    assert loss == pytest.approx((weight[:, None] * error**2).mean() + penalty)
    assert model.evaluate(x, y, return_dict=True).keys() == {"loss", "mse", "mean_absolute_error"}
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert list(history) == ["loss", "mse", "mean_absolute_error"]


@pytest.mark.parametrize(
    ("loss", "units", "metric", "message"),
    [
        ("mse", 3, "sparse_categorical_accuracy", "in the same form as the loss"),
        ("sparse_categorical_crossentropy", 3, "mse", "in the same form as the loss"),
        ("sparse_categorical_crossentropy", 3, "categorical_accuracy", "in the same form"),
        ("mse", 1, "categorical_accuracy", "needs at least 2 units"),
    ],
)
def test_metrics_that_cannot_read_y(loss, units, metric, message):
    model = models.Sequential([layers.Dense(units, input_shape=(2,))])
    with pytest.raises(ValueError, match=message):
        model.compile("adam", loss, metrics=[metric])


def test_names_must_differ():
    model = models.Sequential([layers.Dense(1, input_shape=(2,))])
    with pytest.raises(ValueError, match=r"Names of metrics must differ. Received: mse, mse"):
        model.compile("adam", "mse", metrics=["mse", "mse"])
    with pytest.raises(ValueError, match=r"Names of metrics must differ. Received: loss"):
        model.compile("adam", "mse", metrics=[metrics.MeanSquaredError(name="loss")])
    model.compile("adam", "mse", metrics="mae")
    assert model.metrics_names == ["loss", "mae"]


def test_accuracy_of_a_classifier():
    x = np.linspace(-1, 1, 20).reshape(-1, 1)
    y = (x[:, 0] > 0.3).astype(int)
    for k, loss, last in ((1, "binary_crossentropy", "sigmoid"),
                          (2, "sparse_categorical_crossentropy", "softmax")):  # fmt: skip
        model = models.Sequential([layers.Dense(k, last, input_shape=(1,))], seed=2)
        model.compile("adam", loss, metrics=["accuracy"])
        p = model.predict(x)
        label = p[:, 0] > 0.5 if k == 1 else p.argmax(axis=1)
        assert model.evaluate(x, y)[1] == pytest.approx(np.mean(label == y))


# ---- metrics of all predictions ----


def auc_by_pairs(true, pred, weight):
    """The definition: the weighted share of pairs in order, ties counting half."""
    won = total = 0.0
    for t, p, w in zip(true, pred, weight, strict=True):
        for u, q, v in zip(true, pred, weight, strict=True):
            if t == 1 and u == 0:
                total += w * v
                won += w * v * (1.0 if p > q else 0.5 if p == q else 0.0)
    return won / total


def draw(n, seed, levels=None):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 2, n)
    true[:2] = 0, 1
    pred = rng.uniform(size=n) if levels is None else rng.integers(0, levels, n) / levels
    return true, pred, rng.uniform(0, 2, n)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_auc_is_its_definition(n, levels):
    for seed in range(5):
        true, pred, weight = draw(n, seed, levels)
        assert metrics.auc(true, pred) == pytest.approx(
            auc_by_pairs(true, pred, np.ones(n)), abs=1e-12
        )
        assert metrics.auc(true, pred, weight) == pytest.approx(
            auc_by_pairs(true, pred, weight), abs=1e-12
        )


def test_auc_of_several_outputs_is_the_mean_over_them():
    rng = np.random.default_rng(0)
    classes, pred = rng.integers(0, 3, 50), rng.uniform(size=(50, 3))
    each = [metrics.auc(classes == j, pred[:, j]) for j in range(3)]
    assert metrics.auc(classes, pred) == pytest.approx(np.mean(each), abs=1e-14)
    assert metrics.auc(np.eye(3)[classes], pred) == metrics.auc(classes, pred)
    two = np.c_[1 - pred[:, 0], pred[:, 0]]
    assert metrics.auc(classes == 1, two[:, 1]) == pytest.approx(
        metrics.auc((classes == 1).astype(int), two), abs=1e-14
    )


def test_auc_without_one_of_the_classes_is_no_number():
    assert np.isnan(metrics.auc([1, 1], [0.2, 0.3]))
    assert np.isnan(metrics.auc([0, 1], [0.2, 0.3], [0.0, 1.0]))


def test_scores_agree_with_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    for seed in range(20):
        true, pred, weight = draw(200, seed, levels=20)
        for w in (None, weight):
            cut = pred > 0.5
            for found, expected in [
                (metrics.auc(true, pred, w), sk.roc_auc_score(true, pred, sample_weight=w)),
                (metrics.precision(true, pred, w), sk.precision_score(true, cut, sample_weight=w)),
                (metrics.recall(true, pred, w), sk.recall_score(true, cut, sample_weight=w)),
            ]:
                assert found == pytest.approx(expected, abs=1e-12)
            y = np.c_[true, pred] + 0.1 * pred[:, None]
            p = np.c_[pred, weight]
            assert metrics.r2_score(y, p, w) == pytest.approx(
                sk.r2_score(y, p, sample_weight=w), abs=1e-12
            )


def test_scores_by_hand():
    true, pred = [1, 1, 0, 0, 1], [0.9, 0.4, 0.6, 0.1, 0.5]
    assert metrics.precision(true, pred) == 1 / 2 and metrics.recall(true, pred) == 1 / 3
    assert metrics.precision(true, pred, threshold=0.3) == 3 / 4
    assert metrics.recall(true, pred, [3, 1, 1, 1, 1]) == 3 / 5
    assert metrics.precision(true, np.zeros(5)) == metrics.recall(np.zeros(5), pred) == 0
    # Of several outputs together, from columns and from class indices.
    assert metrics.recall([0, 1], [[0.9, 0.1], [0.6, 0.4]]) == 1 / 2
    assert metrics.precision([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]]) == 1 / 2
    assert metrics.r2_score([1, 2, 3], [1, 2, 4]) == 1 - 1 / 2
    assert metrics.r2_score([2, 2], [2, 2]) == 1 and metrics.r2_score([2, 2], [2, 3]) == 0
    assert metrics.root_mean_squared_error([[1, 2]], [[1, 4]]) == np.sqrt(2)
    with pytest.raises(ValueError, match=r"one value per row. Received: 2 for 3 rows"):
        metrics.r2_score([1, 2, 3], [1, 2, 3], [1, 1])


def test_top_k():
    p = [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]
    rows = metrics.sparse_top_k_categorical_accuracy
    np.testing.assert_array_equal(rows([0, 1, 1], p, 1), [0, 0, 1])  # ties share the best place
    np.testing.assert_array_equal(rows([0, 1, 1], p, 2), [0, 1, 1])
    np.testing.assert_array_equal(
        metrics.top_k_categorical_accuracy(np.eye(3)[[0, 1, 1]], p, 2), [0, 1, 1]
    )
    assert metrics.TopKAccuracy(2)([0, 1, 1], p) == 2 / 3
    assert metrics.TopKAccuracy(2)(np.eye(3)[[0, 1, 1]], p, [4, 1, 1]) == 2 / 6
    assert metrics.get("top_2_accuracy").k == 2 and metrics.get("top_k_accuracy").k == 5
    assert metrics.TopKAccuracy(3).name == "top_3_accuracy"
    assert metrics.get("top_k_categorical_accuracy").name == "top_k_categorical_accuracy"


def test_metrics_are_called_with_arrays():
    true, pred, weight = draw(30, 0)
    for metric in ("mse", "accuracy", "log_loss", "rmse", "r2", "auc", "precision", "recall"):
        made = metrics.get(metric)
        assert made(true, pred) == pytest.approx(made(true, pred, np.full(30, 2.0)), rel=1e-12)
        assert made(true, pred) != made(true, pred, weight)
    assert metrics.get("mse")(true, pred, weight) == pytest.approx(
        np.average((true - pred) ** 2, weights=weight)
    )
    p = np.c_[1 - pred, pred]
    assert metrics.get("accuracy")(true, p) == metrics.get("accuracy")(true, pred)
    with pytest.raises(NotImplementedError, match="Score must define __call__"):
        metrics.Score()(true, pred)


CONFIGURED = [
    metrics.Accuracy("a"),
    metrics.LogLoss(),
    metrics.RootMeanSquaredError(),
    metrics.R2Score(on_training=False),
    metrics.AUC("area"),
    metrics.Precision(0.3),
    metrics.Recall(thresholds=0.7, name="r", on_training=False),
    metrics.TopKAccuracy(3),
    metrics.TopKCategoricalAccuracy(2),
    metrics.SparseTopKCategoricalAccuracy(2, name="s"),
]


@pytest.mark.parametrize("metric", CONFIGURED, ids=repr)
def test_configurations_round_trip(metric):
    config = metric.get_config()
    assert type(metric).from_config(config).get_config() == config
    same = metrics.get({"class_name": type(metric).__name__, "config": config})
    assert type(same) is type(metric) and repr(same) == repr(metric)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.TopKAccuracy(0), "k must be a positive integer"),
        (lambda: metrics.Precision([0.1, 0.2]), "thresholds must be one finite number"),
        (lambda: metrics.AUC(on_training="no"), "on_training must be True or False"),
    ],
)
def test_bad_arguments_of_scores(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- what fit and evaluate report of them ----


def classifier(names, k=1, loss=None, **kwargs):
    last = "sigmoid" if k == 1 else "softmax"
    loss = loss or ("binary_crossentropy" if k == 1 else "sparse_categorical_crossentropy")
    model = models.mlp([8], 4, k, output_activation=last, seed=1, **kwargs)
    model.compile("adam", loss, metrics=names)
    return model


def table(k, n=90):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 4))
    return x, (x[:, 0] + 0.5 * rng.normal(size=n) > 0).astype(int) if k == 1 else rng.integers(
        0, k, n
    )


@pytest.mark.parametrize("k", [1, 3])
def test_scores_in_fit_and_evaluate(k):
    x, y = table(k)
    names = ["auc", "accuracy", metrics.Precision(0.4), "recall", "log_loss"]
    names += ["top_2_accuracy"] if k > 1 else ["rmse", "r2"]
    model = classifier(names, k)
    history = model.fit(
        x[:60], y[:60], epochs=4, batch_size=16, verbose=0, validation_data=(x[60:], y[60:])
    ).history
    keys = [name if isinstance(name, str) else name.name for name in names]
    assert list(history) == ["loss", *keys, "val_loss", *("val_" + key for key in keys)]
    assert {len(values) for values in history.values()} == {4}
    found = model.evaluate(x[60:], y[60:], return_dict=True)
    assert found == {key: history[f"val_{key}"][-1] for key in found}
    pred = model.predict(x)
    for metric in model.metrics:
        expected = metric(y[60:], pred[60:])
        assert found[metric.name] == pytest.approx(expected, abs=1e-6)
        if isinstance(metric, metrics.Score) and metric.name != "r2":
            # Of the training rows: with the weights that the epoch ends with.
            assert history[metric.name][-1] == metric(y[:60], pred[:60])


def test_running_metrics_of_regression_follow_from_the_squared_error():
    x, _ = table(1)
    y = x @ [1.0, 2.0, 0.0, -1.0]
    model = models.mlp([8], 4, 1, seed=1, dtype="float64")
    model.compile("adam", "mse", metrics=["mse", "rmse", "r2"])
    history = model.fit(x, y, epochs=5, batch_size=16, verbose=0).history
    mse = np.array(history["mse"])
    np.testing.assert_allclose(history["rmse"], np.sqrt(mse), rtol=1e-14)
    np.testing.assert_allclose(history["r2"], 1 - mse / np.var(y), rtol=1e-12)
    loss, _, rmse, r2 = model.evaluate(x, y)
    assert (rmse, r2) == pytest.approx((np.sqrt(loss), 1 - loss / np.var(y)))


def test_r2_of_several_outputs():
    x, _ = table(1)
    y = np.c_[x[:, 0], 3 * x[:, 1]]
    model = models.mlp([8], 4, 2, seed=1, dtype="float64")
    model.compile("adam", "mse", metrics=["r2"])
    history = model.fit(x, y, epochs=2, verbose=0).history
    expected = metrics.r2_score(y, model.predict(x))
    assert history["r2"][-1] == pytest.approx(expected, rel=1e-12)
    assert model.evaluate(x, y)[1] == pytest.approx(expected, rel=1e-12)


def test_scores_change_no_bit_of_training_and_can_be_left_out():
    x, y = table(1)
    plain, scored = classifier([], dropout=0.2), classifier(["auc", "recall"], dropout=0.2)
    silent = classifier([metrics.AUC(on_training=False)], dropout=0.2)
    kwargs = {"epochs": 3, "batch_size": 16, "verbose": 0, "validation_split": 0.3}
    a, b, c = (model.fit(x, y, **kwargs).history for model in (plain, scored, silent))
    assert a["loss"] == b["loss"] == c["loss"]
    assert "auc" not in c and c["val_auc"] == b["val_auc"]
    with pytest.raises(ValueError, match="'auc' is not computed for the training rows"):
        silent.fit(x, y, callbacks=callbacks.EarlyStopping("auc"), **kwargs)


def test_a_score_of_ones_own():
    class Largest(metrics.Score):
        larger_is_better = False

        def __call__(self, y_true, y_pred, sample_weight=None):
            return np.abs(y_true - y_pred).max()

    x, y = table(1)
    model = classifier([Largest()])
    history = model.fit(x, y, epochs=2, verbose=0).history
    worst = np.abs(y[:, None] - model.predict(x)).max()
    assert history["largest"][-1] == model.evaluate(x, y)[1] == pytest.approx(worst)


@pytest.mark.parametrize(
    ("loss", "units", "metric", "message"),
    [
        ("sparse_categorical_crossentropy", 3, "r2", "in the same form as the loss"),
        ("sparse_categorical_crossentropy", 3, "top_k_categorical_accuracy", "in the same form"),
        ("categorical_crossentropy", 3, "sparse_top_k_categorical_accuracy", "in the same form"),
        ("mse", 1, "top_2_accuracy", "'top_2_accuracy' needs at least 2 units"),
    ],
)
def test_scores_that_cannot_read_y(loss, units, metric, message):
    model = models.Sequential([layers.Dense(units, input_shape=(2,))])
    with pytest.raises(ValueError, match=message):
        model.compile("adam", loss, metrics=[metric])


@pytest.mark.parametrize(
    ("name", "large"),
    [("auc", True), ("mae", False), ("r2", True), ("log_loss", False), ("top_3_accuracy", True)],
)
def test_which_way_is_better(name, large):
    assert metrics.get(name).larger_is_better is large
