"""Metrics: functions, names, which accuracy is meant, and what fit and evaluate report."""

import numpy as np
import pytest

from fastmlp import layers, metrics, models, regularizers


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
        ("mse", 3, "sparse_categorical_accuracy", "in the form that the loss does"),
        ("sparse_categorical_crossentropy", 3, "mse", "in the form that the loss does"),
        ("sparse_categorical_crossentropy", 3, "categorical_accuracy", "in the form"),
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
