"""A loss or a metric has one value for the same predictions, wherever it is reported."""

import itertools

import numpy as np
import pytest

import fastmlp
from fastmlp import datasets, layers, losses, metrics, models, optimizers, streaming
from fastmlp._kernels.formulas import LOSSES, METRICS

from ..support import reference
from ..support.sampling import sampled

N = 37
# What scales the last layer's weights: an ordinary network, one that is sure, one of zeros.
SPREADS = {"ordinary": 1.0, "sure": 300.0, "zero": 0.0}
CROSSENTROPIES = [name for name in LOSSES if name.endswith("crossentropy")]
LAST = ("linear", "relu", "tanh", "sigmoid", "softplus", "softmax")
HIDDEN = {"shallow": [6], "layers": [9, 7], "none": []}


def targets(loss, k, rng):
    """Draw targets in the form that a loss reads, soft labels and rows of zeros among them."""
    classes = rng.integers(0, k, N)
    if loss == losses.SPARSE:
        return classes[:, None].astype(float)
    if loss == "categorical_crossentropy":
        y = np.eye(k)[classes]
        y[0], y[1] = np.full(k, 1 / k), np.r_[0.25, 0.75, np.zeros(k - 2)]
        return y
    if loss == "binary_crossentropy":
        y = rng.integers(0, 2, (N, k)).astype(float)
        y[0] = 0.25
        return y
    return rng.poisson(2, (N, k)).astype(float) if loss == "poisson" else rng.normal(size=(N, k))


def network(loss, last, k=3, hidden=(6,), dtype="float32", spread=1.0, names=None, seed=1):
    model = models.mlp(list(hidden), 4, k, output_activation=last, seed=seed, dtype=dtype)
    weights = model.get_weights()
    weights[-2] *= spread
    weights[-1] += 0.1 * spread
    model.set_weights(weights)
    # Steps too small for any weight to change: an epoch's loss is that of these weights.
    model.compile(optimizers.SGD(5e-324 if dtype == "float64" else 1e-44), loss, names)
    return model


def expected_metric(name, y, p):
    return float(metrics.FUNCTIONS[name](y, p).mean())


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-12)


def compatible(loss):
    """Return the metrics that read y in the form that the loss does."""
    names = [n for n in METRICS if n.startswith("sparse") == (loss == losses.SPARSE)]
    return [n for n in names if loss == "poisson" or n != "poisson"]


# The logarithm of a mean below 0 is not a number anywhere.
PAIRS = [
    (loss, last)
    for loss, last in itertools.product(LOSSES, LAST)
    if loss != "poisson" or last not in ("linear", "tanh")
]


@pytest.mark.parametrize(
    ("pair", "dtype", "spread"), sampled(3, PAIRS, ["float32", "float64"], SPREADS)
)
def test_every_entry_point_of_a_model(pair, dtype, spread):
    loss, last = pair
    rng = np.random.default_rng([LOSSES.index(loss), LAST.index(last)])
    x, y = rng.normal(size=(N, 4)), targets(loss, 3, rng)
    names = compatible(loss)
    for hidden in HIDDEN.values():
        model = network(loss, last, 3, hidden, dtype, SPREADS[spread], names)
        made, p = model.loss, model.predict(x, verbose=0)
        y = y.astype(dtype)  # as the network sees it
        value = float(getattr(losses, loss)(y, p).mean())
        assert np.isfinite(value)
        row = [value, *(expected_metric(name, y, p) for name in names)]
        close(made(y, p), value)
        close([metrics.get(name)(y, p) for name in names], row[1:])
        close(model.evaluate(x, y, verbose=0), row)
        model.gradients(x, y)
        close(model.network.gradients(x.astype(dtype), y, n_threads=1), value)
        before = model.get_weights()
        for options in ({}, {"shards": 2}):
            history = model.fit(
                x, y, batch_size=8, epochs=1, verbose=0, validation_data=(x, y), **options
            ).history
            after = model.get_weights()
            assert all(np.abs(a - b).max() < 1e-30 for a, b in zip(before, after, strict=True))
            close([history[name][0] for name in model.metrics_names], row)
            close([history[f"val_{name}"][0] for name in model.metrics_names], row)


@pytest.mark.parametrize(("loss", "last"), PAIRS)
def test_the_reference_agrees_with_the_functions(loss, last):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(N, 4)), targets(loss, 3, rng)
    for spread in SPREADS.values():
        model = network(loss, last, 3, [6], "float64", spread, compatible(loss))
        other = reference.ReferenceNetwork(4, [6, 3], ["relu", last], dtype="float64")
        other.configure(loss=loss, metrics=compatible(loss))
        for i in range(2):
            other.weights(i)[...] = model.network.weights(i)
            other.bias(i)[...] = model.network.bias(i)
        value, means = other.evaluate(x, y, n_threads=1)
        close([value, *means], model.evaluate(x, y, verbose=0))
        slope = other.gradients(x, y, n_threads=1), model.gradients(x, y)
        assert np.isfinite(slope[0])
        np.testing.assert_allclose(other.weights_gradient(0), slope[1][0][0], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(("loss", "last"), PAIRS)
@pytest.mark.parametrize("units", ["6", "6x2"])
def test_ensembles(loss, last, units):
    """Tiny networks go through the kernels a lane each, the others one by one."""
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(N, 4)), targets(loss, 3, rng).astype(np.float32)
    template = models.mlp(units, 4, 3, output_activation=last)
    template.compile(optimizers.SGD(1e-44), loss, compatible(loss))
    made = fastmlp.ensemble(x, y, template, 3, epochs=1, seed=1, verbose=0)
    table = made.evaluate_members(x, y, verbose=0)
    close(table, [member.evaluate(x, y, verbose=0) for member in made])
    close(made.losses, table[:, 0])
    p = made.predict(x, verbose=0)
    row = [float(made.loss(y, p)), *(expected_metric(name, y, p) for name in compatible(loss))]
    close(made.evaluate(x, y, verbose=0), row)


def test_what_accuracy_and_log_loss_mean_is_the_same_in_ensembles():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(N, 4)), rng.integers(0, 2, (N, 3))
    template = models.mlp("6", 4, 3, output_activation="sigmoid")
    template.compile("adam", "binary_crossentropy", ["accuracy", "log_loss"])
    made = fastmlp.ensemble(x, y, template, 2, epochs=1, verbose=0)
    rows = [member.evaluate(x, y, verbose=0) for member in made]
    close(made.evaluate_members(x, y, verbose=0), rows)
    template.compile("adam", losses.Huber(0.1), ["huber"])
    made = fastmlp.ensemble(x, y, template, 2, epochs=1, verbose=0)
    table = made.evaluate_members(x, y, verbose=0)
    close(table, [member.evaluate(x, y, verbose=0) for member in made])
    close(table[:, 0], table[:, 1])


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c")])
def test_streamed_rows(tmp_path, labels):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(3)
    columns = {name: rng.normal(size=N) for name in "abcd"} | {"y": rng.choice(labels, N)}
    columns["y"][: len(labels)] = labels
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet", row_group_size=10)
    stream = datasets.ParquetStream(tmp_path / "t.parquet", "y", buffer_rows=16)
    k = stream.n_outputs
    loss, last = ("binary_crossentropy", "sigmoid") if k == 1 else (losses.SPARSE, "softmax")
    names = ["accuracy", "log_loss", "auc"]
    for spread in SPREADS.values():
        model = network(loss, last, k, [6], spread=spread, names=names)
        parts = [part for part in stream.arrays("float32")]
        x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        row = model.evaluate(x, y, verbose=0)
        p = model.predict(x, verbose=0)
        close(row, [m(y, p) for m in (model.loss, *model.metrics)])
        close(streaming.evaluate(model, stream, verbose=0), row)
        model.compile(model.optimizer, loss, names[:2])
        for options in ({}, {"shards": 2}):
            history = streaming.fit(
                model, stream, 8, 1, verbose=0, validation_data=stream, **options
            ).history
            close([history[name][0] for name in model.metrics_names], row[:3])
            close([history[f"val_{name}"][0] for name in model.metrics_names], row[:3])


def test_a_loss_in_python_leaves_metrics_as_they_are():
    def squares(y_true, y_pred):
        return np.square(y_pred - y_true).mean(axis=1), 2 * (y_pred - y_true) / y_true.shape[1]

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(N, 4)), targets("categorical_crossentropy", 3, rng)
    names = compatible("categorical_crossentropy")
    for last, spread in itertools.product(LAST, SPREADS.values()):
        one = network("mean_squared_error", last, spread=spread, names=names)
        other = network(squares, last, spread=spread, names=names)
        row = one.evaluate(x, y, verbose=0)
        close(other.evaluate(x, y, verbose=0), row)
        history = other.fit(x, y, batch_size=8, verbose=0).history
        close([history[name][0] for name in other.metrics_names], row)


@pytest.mark.parametrize("loss", CROSSENTROPIES)
def test_zeros_are_no_certainty_and_train_without_nan(loss):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 4)), targets(loss, 3, rng)
    model = network(loss, "relu", hidden=[6], spread=0.0)
    clip = -np.log(1e-7)
    if loss == losses.SPARSE:
        assert model.evaluate(x, y, verbose=0) == pytest.approx(clip)
    # Outputs that cancel, or whose sum is below 0, have no logarithm without the clip either.
    for bias in ([0, 0, 0], [1, -1, 0], [-1, -2, 0.5]):
        model = network(loss, "linear", hidden=[6], spread=0.0)
        weights = model.get_weights()
        weights[-1][:] = bias
        model.set_weights(weights)
        model.compile("adam", loss)
        history = model.fit(x, y, epochs=3, verbose=0).history["loss"]
        assert np.isfinite(history).all()
        assert all(np.isfinite(w).all() for w in model.get_weights())


def test_nan_is_not_hidden_and_no_right_answer():
    nan = np.full((4, 3), np.nan)
    y = {losses.SPARSE: np.arange(4)[:, None] % 3}
    for name in METRICS:
        true = y.get(name, np.arange(4)[:, None] % 3 if name.startswith("sparse") else np.eye(4, 3))
        for pred in (nan, np.where(np.arange(3) == 1, nan, 0.2)):
            rows = metrics.FUNCTIONS[name](true, pred)
            if name.endswith("categorical_accuracy"):
                np.testing.assert_array_equal(rows, 0)
            elif name != "binary_accuracy":
                assert np.isnan(rows).all(), name
    # The kernels say the same: outputs are NaN, and no answer of such a model is right.
    model = network("categorical_crossentropy", "softmax", names=["accuracy", "binary_accuracy"])
    model.network.bias(1)[...] = np.nan
    x = np.ones((4, 4))
    loss, *rest = model.evaluate(x, np.eye(4, 3), verbose=0)
    assert np.isnan(loss) and rest == [0, 0]
    assert metrics.binary_accuracy([[0, 1]], [[np.nan, 0.9]]).tolist() == [0.5]
    assert metrics.sparse_top_k_categorical_accuracy([0], [[np.nan, 1, 2]], k=2).tolist() == [0]
    assert np.isnan(metrics.auc([0, 1, 1], [0.1, 0.4, np.nan]))


# ---- the coefficient of determination of a constant ----


CONSTANTS = [0.1, 0.3, 1 / 3, 1e-30, 1e30, 123456.7, 0.0, -7.3]


@pytest.mark.parametrize("value", CONSTANTS)
@pytest.mark.parametrize("n", [1, 3, 10, 1001])
def test_r2_of_a_constant_is_one_or_nothing(value, n):
    y = np.full(n, value)
    assert metrics.r2_score(y, y) == 1 == metrics.R2Score()(y, y)
    assert metrics.r2_score(y, y + max(abs(value), 1)) == 0
    weight = np.linspace(0.1, 3, n)
    assert metrics.r2_score(y, y, weight) == 1
    two = np.stack([y, np.arange(n) + 1.0], axis=1)
    if n > 1:
        assert metrics.r2_score(two, np.stack([y + 1 + abs(y), two[:, 1]], axis=1)) == 0.5
        noisy = np.append(y, value + 5 + abs(value))  # a row without weight does not count
        assert metrics.r2_score(noisy, np.append(y, 0), np.append(weight, 0)) == 1


def test_r2_of_a_constant_from_models_streams_and_shards(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    value, x = 0.1, np.random.default_rng(0).normal(size=(N, 4))
    y = np.full((N, 1), value)
    for bias, expected in ((np.float32(value), 1.0), (0.3, 0.0)):
        model = models.Sequential([layers.Dense(1, input_shape=(4,))])
        model.set_weights([np.zeros((4, 1)), np.array([bias])])
        model.compile(optimizers.SGD(1e-44), "mse", ["r2"])
        assert model.evaluate(x, y, verbose=0)[1] == expected
        for options in ({}, {"shards": 2}):
            history = model.fit(
                x, y, batch_size=8, verbose=0, validation_data=(x, y), **options
            ).history
            assert history["r2"] == history["val_r2"] == [expected]
        table = {name: x[:, i] for i, name in enumerate("abcd")}
        train = arrow.table(table | {"y": x[:, 0]})
        parquet.write_table(train, tmp_path / "train.parquet", row_group_size=10)
        parquet.write_table(
            arrow.table(table | {"y": y[:, 0]}), tmp_path / "t.parquet", row_group_size=10
        )
        first = datasets.ParquetStream(
            tmp_path / "train.parquet", "y", standardize=False, buffer_rows=16
        )
        stream = datasets.ParquetStream(
            tmp_path / "t.parquet", preprocessing=first.preprocessing, buffer_rows=16
        )
        assert streaming.evaluate(model, stream, verbose=0)[1] == expected
