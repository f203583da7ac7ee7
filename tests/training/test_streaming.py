"""Training on a Parquet file that is read in parts."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import callbacks, datasets, layers, models, streaming
from fastmlp._utils.moments import Moments
from fastmlp.datasets import _parquet
from fastmlp.errors import DataError, DivergedError
from fastmlp.preprocessing import Preprocessing
from fastmlp.preprocessing._statistics import Sample

from ..support.bad_tables import PARQUET

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N = 1000


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Parts of 40 rows or so, so that buffers, chunks and row groups all fall apart."""
    monkeypatch.setattr(_parquet, "_CHUNK_BYTES", 1000)
    yield
    fastmlp.set_num_threads(None)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, N))
    b = np.where(rng.random(N) < 0.1, np.nan, b)
    y = 3 * a - np.nan_to_num(b) + 10
    return pa.table(
        {
            "id": np.arange(N),
            "a": a,
            "b": b,
            "k": rng.choice(["u", "v", "w"], N),
            "flag": rng.random(N) < 0.5,
            "y": y,
        }
    )


@pytest.fixture
def path(table, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=130)
    return path


OPTIONS = {"drop": ["id"], "standardize": "deviation", "unknown": "error"}


def stream_of(path, **options):
    return datasets.ParquetStream(path, "y", **{"buffer_rows": 200, **OPTIONS, **options})


def model_of(stream, seed=1, units=(16, 16), metrics=("mae",), optimizer="adam"):
    model = models.mlp(list(units), stream.n_inputs, stream.n_outputs, seed=seed)
    model.compile(optimizer, "mse", list(metrics))
    return model


def fit(model, stream, **options):
    return streaming.fit(model, stream, **{"batch_size": 32, "verbose": 0, **options})


def message(function, *args, **options):
    with pytest.raises(DataError) as caught:
        function(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what is learnt in one pass ----


def test_one_pass_learns_what_a_whole_table_gives(path, table):
    stream = stream_of(path)
    whole = Preprocessing.fit(table, "y", **OPTIONS)
    assert stream.preprocessing.input_names == whole.input_names
    for mine, theirs in zip(stream.preprocessing.columns, whole.columns, strict=True):
        assert (mine.kind, mine.categories, mine.fill) == (
            theirs.kind, theirs.categories, theirs.fill
        )  # fmt: skip
        assert (mine.mean, mine.scale) == pytest.approx((theirs.mean, theirs.scale), rel=1e-12)
    assert stream.preprocessing.target.mean == pytest.approx(whole.target.mean, rel=1e-12)
    x = np.concatenate([x for x, _ in stream.arrays("float64")])
    np.testing.assert_allclose(x, whole.inputs(table, "float64"), rtol=1e-10, atol=1e-12)
    assert stream.reason == "'y' holds numbers"
    assert (stream.n_rows, stream.n_inputs, stream.n_groups) == (N, 7, 8)


def test_classes_are_found_in_one_pass(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": np.arange(90.0), "y": ["u"] * 60 + ["w"] * 29 + ["v"]}), path)
    stream = datasets.ParquetStream(path)
    assert stream.preprocessing.target.labels == ["u", "v", "w"]
    assert stream.n_outputs == 3
    pq.write_table(pa.table({"a": np.arange(90.0), "y": [0] * 80 + [1] * 10}), path)
    assert datasets.ParquetStream(path).preprocessing.target.labels == [0, 1]
    pq.write_table(pa.table({"a": np.arange(90.0), "y": [0] * 80 + [1] * 9 + [2]}), path)
    assert datasets.ParquetStream(path).preprocessing.task == "regression"
    assert datasets.ParquetStream(path, task="classification").n_outputs == 3


def test_moments_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    for offset, scale in ((0, 1), (1e8, 1), (0, 1e300), (-5, 1e-9)):
        values = offset + scale * rng.normal(size=1000)
        moments = Moments()
        for part in np.split(values, [1, 10, 500, 501]):
            moments.add(part)
        mean, deviation = moments.mean_and_scale("t", "a")
        largest = np.abs(values).max()
        assert mean == pytest.approx(largest * (values / largest).mean(), abs=1e-12 * largest)
        assert deviation == pytest.approx(largest * (values / largest).std(), rel=1e-6)


def test_a_sample_is_fair_and_whole_if_it_can_be():
    values = np.arange(1001.0)
    exact, roomy, sample = Sample(None), Sample(2000), Sample(100)
    for part in np.split(values, [50, 51, 400]):
        for each in (exact, roomy, sample):
            each.add(part)
    assert exact.median() == roomy.median() == 500
    assert len(sample.values()) == len(np.unique(sample.values())) == 100
    assert sample.median() == pytest.approx(500, abs=150)  # 3 standard errors
    medians = []
    for seed in range(50):
        sample = Sample(100)
        sample._rng = np.random.default_rng(seed)
        sample.add(values)
        medians.append(sample.median())
    assert np.mean(medians) == pytest.approx(500, abs=21)


def test_constants_of_all_rows_and_files_of_one_row(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": np.arange(90.0), "y": np.full(90, 2.5)}), path)
    assert "the number 2.5 in every row" in message(datasets.ParquetStream, path)
    pq.write_table(pa.table({"a": [1.0], "y": [2.5]}), path)
    assert "1 row; expected at least two" in message(datasets.ParquetStream, path)


# ---- training ----


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(path):
    """And however slowly buffers are filled or used."""
    stream = stream_of(path)
    results, arrays = [], datasets.ParquetStream.arrays

    def late(*args, **options):
        for part in arrays(*args, **options):
            time.sleep(5e-4)
            yield part

    for n_threads, slow in ((1, None), (2, None), (3, "feeder"), (2, "trainer")):
        fastmlp.set_num_threads(n_threads)
        model = model_of(stream, units=(64, 64))
        hooks = []
        if slow == "trainer":
            sleep = callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: time.sleep(2e-3))
            hooks = [sleep]
        with pytest.MonkeyPatch.context() as patch:
            if slow == "feeder":
                patch.setattr(datasets.ParquetStream, "arrays", late)
            history = fit(model, stream, epochs=2, callbacks=hooks)
        results.append((model.get_weights(), history.history))
    first, figures = results[0]
    for weights, history in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(first, weights, strict=True))
        assert history == figures
    other = model_of(stream, seed=2, units=(64, 64))
    assert fit(other, stream, epochs=2).history != figures


def test_without_shuffling_it_is_fit_on_the_same_rows(path, table):
    """Batches are whole, whatever chunks, buffers and row groups they are cut from."""
    stream = stream_of(path)
    x, y = stream.preprocessing.inputs(table), stream.preprocessing.targets(table)
    for batch_size in (32, 48, N + 5):
        streamed, held = model_of(stream), model_of(stream)
        one = fit(streamed, stream, batch_size=batch_size, epochs=3, shuffle=False)
        two = held.fit(x, y, batch_size=batch_size, epochs=3, shuffle=False, verbose=0)
        for a, b in zip(streamed.get_weights(), held.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for key, values in two.history.items():
            assert one.history[key] == pytest.approx(values, rel=1e-12)
        assert one.params == two.params
        assert one.epoch == [0, 1, 2]
        assert streamed.network.step == held.network.step == 3 * -(-N // batch_size)
        assert streamed.training_config == held.training_config


def test_each_epoch_takes_every_row_once_in_a_new_order(path):
    stream = stream_of(path, drop=[], keep=["id"])
    seen = []

    class Watch(streaming.StreamSession):
        def _next(self, deadline):
            buffer = super()._next(np.inf)
            seen.append((self.epoch, buffer.x[: buffer.n, 0].copy(), buffer.last))
            return buffer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "StreamSession", Watch)
        fit(model_of(stream), stream, epochs=2)
    column = stream.preprocessing.columns[0]
    ids = [
        np.rint(np.concatenate([x for epoch, x, _ in seen if epoch == e]) * column.scale
                + column.mean).astype(int)
        for e in (0, 1)
    ]  # fmt: skip
    for order in ids:
        np.testing.assert_array_equal(np.sort(order), np.arange(N))
    assert not np.array_equal(*ids)
    assert not np.array_equal(ids[0], np.arange(N))
    sizes = [len(x) for epoch, x, _ in seen if epoch == 0]
    assert sizes == [224, 224, 224, 224, 104]  # whole batches of 32: 200 rows, rounded up
    assert [last for epoch, _, last in seen if epoch == 0] == [False] * 4 + [True]


def test_a_second_fit_goes_on(path):
    stream = stream_of(path)
    model = model_of(stream)
    first = fit(model, stream, epochs=2).history["loss"]
    second = fit(model, stream, epochs=2).history["loss"]
    assert second[-1] < first[-1] < first[0]
    assert model.network.step == 4 * -(-N // 32)
    assert model.training_config["epochs"] == 4
    assert model.n_fits == 2


def test_callbacks_and_validation(path, table):
    stream = stream_of(path)
    events, model = [], model_of(stream)
    record = callbacks.LambdaCallback(
        on_train_begin=lambda logs: events.append("begin"),
        on_epoch_begin=lambda epoch, logs: events.append(f"epoch {epoch}"),
        on_epoch_end=lambda epoch, logs: events.append(sorted(logs)),
        on_train_end=lambda logs: events.append("end"),
    )
    history = fit(model, stream, epochs=2, callbacks=[record], validation_data=stream)
    keys = ["loss", "mae", "val_loss", "val_mae"]
    assert events == ["begin", "epoch 0", keys, "epoch 1", keys, "end"]
    x, y = stream.preprocessing.inputs(table), stream.preprocessing.targets(table)
    expected = model.evaluate(x, y, verbose=0)
    assert [history.history[key][-1] for key in keys[2:]] == pytest.approx(expected, rel=1e-5)
    again = model_of(stream)
    other = fit(again, stream, epochs=2, validation_data=(x, y), validation_freq=2)
    assert other.history["loss"] == history.history["loss"]
    assert other.history["val_loss"] == pytest.approx(history.history["val_loss"][1:], rel=1e-5)


def test_early_stopping_and_batch_hooks(path):
    stream = stream_of(path)
    stopping = callbacks.EarlyStopping("loss", patience=1, min_delta=1e9)
    history = fit(model_of(stream), stream, epochs=50, callbacks=stopping)
    assert len(history.epoch) == 2

    batches, model = [], model_of(stream)

    def stop(batch, logs):
        batches.append((batch, logs["loss"]))
        if len(batches) == 40:
            model.stop_training = True

    hook = callbacks.LambdaCallback(on_train_batch_end=stop)
    history = fit(model, stream, epochs=5, callbacks=hook)
    assert [batch for batch, _ in batches] == [*range(32), *range(8)]
    assert batches[31][1] == pytest.approx(history.history["loss"][0], rel=1e-12)
    assert len(history.epoch) == 1
    assert all(np.isfinite(loss) for _, loss in batches)
    plain = fit(model_of(stream), stream, epochs=1)
    assert plain.history["loss"] == pytest.approx(history.history["loss"], rel=1e-12)


def test_rows_can_be_held_out(path, table):
    stream = stream_of(path, drop=[], keep=["id"], validation_split=0.25, split_seed=3)
    held = stream.held_out
    assert stream.n_rows + held.n_rows == N
    assert held.n_rows == pytest.approx(0.25 * N, abs=42)  # 3 standard errors
    column = stream.preprocessing.columns[0]
    ids = [
        np.rint(np.concatenate([x[:, 0] for x, _ in part.arrays("float64")]) * column.scale
                + column.mean).astype(int)
        for part in (stream, held)
    ]  # fmt: skip
    assert sorted(np.concatenate(ids)) == list(range(N))
    assert column.mean == pytest.approx(ids[0].mean(), rel=1e-12)  # of the training rows alone
    again = stream_of(path, drop=[], keep=["id"], validation_split=0.25, split_seed=3)
    assert again.preprocessing == stream.preprocessing
    other = stream_of(path, drop=[], validation_split=0.25, split_seed=4)
    assert other.preprocessing != stream.preprocessing
    history = fit(model_of(stream), stream)
    assert set(history.history) == {"loss", "mae", "val_loss", "val_mae"}
    assert history.params["samples"] == stream.n_rows
    assert "too few to hold out" in message(stream_of, path, validation_split=1e-9)


def test_losses_in_python_and_metrics_of_all_rows(path, table):
    stream = stream_of(path, validation_split=0.3)
    model = model_of(stream, metrics=["mae", "r2_score", "rmse"])
    history = fit(model, stream, epochs=2)
    rows = [np.concatenate(part) for part in zip(*stream.held_out.arrays("float32"), strict=True)]
    expected = model.evaluate(*rows, verbose=0, return_dict=True)
    for key, value in expected.items():
        assert history.history["val_" + key][-1] == pytest.approx(value, rel=1e-4)
    y = np.concatenate([y for _, y in stream.arrays("float64")])
    residual = history.history["rmse"][-1] ** 2
    assert history.history["r2_score"][-1] == pytest.approx(1 - residual / y.var(), rel=1e-6)

    def squares(y_true, y_pred):
        return (y_true - y_pred) ** 2, 2 * (y_pred - y_true)

    python = model_of(stream)
    python.compile("adam", squares, ["mae", "r2_score"])
    other = fit(python, stream, epochs=2)
    assert other.history["loss"][-1] == pytest.approx(history.history["loss"][-1], rel=0.2)
    assert other.history["val_mae"][-1] == pytest.approx(history.history["val_mae"][-1], rel=0.2)

    path = path.with_name("two.parquet")
    labels = np.where(np.array(table["y"]) > 10, "over", "under")
    pq.write_table(table.set_column(5, "y", pa.array(labels)), path)
    stream = stream_of(path, validation_split=0.3)
    model = models.mlp([8], stream.n_inputs, 1, output_activation="sigmoid", seed=1)
    model.compile("adam", "binary_crossentropy", ["accuracy", "auc"])
    history = fit(model, stream, epochs=3)
    assert "auc" not in history.history
    rows = [np.concatenate(part) for part in zip(*stream.held_out.arrays("float32"), strict=True)]
    expected = model.evaluate(*rows, verbose=0, return_dict=True)
    assert history.history["val_auc"][-1] == pytest.approx(expected["auc"], rel=1e-12)
    assert streaming.evaluate(model, stream.held_out, verbose=0, return_dict=True) == pytest.approx(
        expected, rel=1e-5
    )


def test_learning_rate_schedules_go_on_across_buffers(path, table):
    stream = stream_of(path)
    schedule = fastmlp.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    x, y = stream.preprocessing.inputs(table), stream.preprocessing.targets(table)
    models_ = [model_of(stream, optimizer=fastmlp.optimizers.SGD(schedule)) for _ in range(2)]
    fit(models_[0], stream, epochs=2, shuffle=False)
    models_[1].fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(models_[0].get_weights(), models_[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_divergence_keeps_the_last_finite_weights(path):
    stream = stream_of(path)
    model = model_of(stream, optimizer=fastmlp.optimizers.SGD(1e30))
    with pytest.raises(DivergedError) as caught:
        fit(model, stream, epochs=3)
    assert caught.value.epoch == 1
    assert all(np.isfinite(array).all() for array in model.get_weights())
    assert no_feeder_runs()


def test_interruption_keeps_what_is_done(path):
    stream = stream_of(path)
    model = model_of(stream)

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    hook = callbacks.LambdaCallback(on_epoch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(model, stream, epochs=5, callbacks=hook)
    assert model.history.interrupted
    assert len(model.history.history["loss"]) == 2
    assert model.training_config["epochs"] == 2
    assert no_feeder_runs()


def no_feeder_runs():
    return not any(thread.name == "fastmlp-prefetch" for thread in threading.enumerate())


# ---- evaluation, prediction, and the model's file ----


def test_evaluation_and_prediction_in_parts(path, table, tmp_path, capsys):
    stream = stream_of(path)
    model = model_of(stream)
    fit(model, stream, epochs=2)
    x, y = stream.preprocessing.inputs(table), stream.preprocessing.targets(table)
    assert streaming.evaluate(model, stream) == pytest.approx(
        model.evaluate(x, y, verbose=0), rel=1e-5
    )
    expected = model.predict(x)
    np.testing.assert_array_equal(np.concatenate(list(streaming.predict(model, stream))), expected)

    model.save(tmp_path / "m.fmlp")
    again = models.load_model(tmp_path / "m.fmlp")
    unlabelled = tmp_path / "u.parquet"
    pq.write_table(table.drop_columns(["y"]), unlabelled)
    later = datasets.ParquetStream(unlabelled, preprocessing=Preprocessing.of(again))
    np.testing.assert_array_equal(np.concatenate(list(streaming.predict(again, later))), expected)
    assert "no target column 'y'" in message(streaming.evaluate, again, later)
    assert capsys.readouterr().err == ""


def test_a_model_without_a_width_learns_it_from_the_stream(path):
    stream = stream_of(path)
    model = models.Sequential([layers.Dense(4), layers.Dense(1)], seed=1)
    model.compile("adam", "mse")
    fit(model, stream)
    assert model.n_inputs == stream.n_inputs


# ---- errors ----


@pytest.mark.parametrize("bad", PARQUET, ids=lambda bad: bad.name)
def test_what_is_no_table_is_one_clear_error(tmp_path, bad):
    path = tmp_path / bad.file
    bad.make(path)
    text = message(datasets.ParquetStream, path, bad.target, **bad.options)
    assert text.startswith(str(path))
    assert bad.text in text


def test_a_missing_target_is_an_error(tmp_path):
    path = tmp_path / "t.parquet"
    y = pa.array([1.5, 2.5] * 499 + [1.0, None])
    pq.write_table(pa.table({"a": list(range(1000)), "y": y}), path, row_group_size=300)
    text = message(datasets.ParquetStream, path, "y")
    assert "row 1000, column 'y': the target is missing" in text


def test_an_error_in_the_background_reaches_the_caller(path, table):
    stream = stream_of(path)
    pq.write_table(table.slice(0, 500), path, row_group_size=130)  # it changes under the stream
    text = message(fit, model_of(stream), stream)
    assert text.startswith(str(path))
    assert no_feeder_runs()

    stream = stream_of(path)
    other = table.slice(0, 500).set_column(3, "k", pa.array(["x"] * 500))
    other_path = path.with_name("other.parquet")
    pq.write_table(other, other_path)
    misfit = datasets.ParquetStream(other_path, preprocessing=stream.preprocessing)
    assert "row 1, column 'k': the category 'x' was not seen" in message(
        fit, model_of(stream), misfit
    )
    assert no_feeder_runs()


def test_a_cell_is_named_by_its_row_in_the_file(path, table):
    stream = stream_of(path)
    k = table["k"].to_pylist()
    k[777] = "x"
    other = path.with_name("other.parquet")
    pq.write_table(table.set_column(3, "k", pa.array(k)), other, row_group_size=90)
    misfit = datasets.ParquetStream(other, preprocessing=stream.preprocessing)
    assert "row 778, column 'k': the category 'x'" in message(
        lambda: list(streaming.predict(model_of(stream), misfit))
    )


def test_what_does_not_fit_together(path, tmp_path):
    stream = stream_of(path)
    assert "7 inputs, the model has 3" in message(fit, models.mlp([4], 3, 1, seed=1), stream)
    assert "must be a datasets.ParquetStream. Received: an array" in message(
        fit, model_of(stream), np.ones((3, 7))
    )
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    assert "a stream must be a Parquet file" in message(datasets.ParquetStream, tmp_path / "t.csv")
    assert "no target column 'z'" in message(datasets.ParquetStream, path, "z")
    assert "no column 'z'" in message(datasets.ParquetStream, path, "y", drop=["z"])
    with pytest.raises(ValueError, match="buffer_rows must be a positive integer"):
        datasets.ParquetStream(path, "y", buffer_rows=0)
    model = models.mlp([4], stream.n_inputs, 1, seed=1)
    with pytest.raises(RuntimeError, match="not compiled"):
        fit(model, stream)


def test_what_is_large(path, tmp_path, monkeypatch):
    assert not datasets.is_large(path)
    monkeypatch.setattr(_parquet, "MANY_VALUES", 6 * N - 1)
    assert datasets.is_large(path)
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    assert not datasets.is_large(tmp_path / "t.csv")
    assert not datasets.is_large("-")
    head = datasets.read_head(path)
    assert head.names == ["id", "a", "b", "k", "flag", "y"]
    assert 0 < head.n_rows < N


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    """Two buffers and a part of a row group are held, of one that is the whole file."""
    import tracemalloc

    monkeypatch.setattr(_parquet, "_CHUNK_BYTES", 1 << 16)
    peaks = []
    for n in (10_000, 40_000):
        path = tmp_path / f"{n}.parquet"
        columns = {f"x{i}": np.arange(n) % (i + 2.0) for i in range(20)}
        pq.write_table(pa.table(columns), path, row_group_size=n)
        stream = datasets.ParquetStream(path, buffer_rows=2000)
        model = model_of(stream)
        fit(model, stream, batch_size=500)
        tracemalloc.start()
        fit(model, stream, batch_size=500)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 4 * 2000 * 21 * 4


def test_text_that_is_dates_in_a_part_of_a_file_alone(tmp_path, monkeypatch):
    day = [f"2024-05-{1 + i % 30:02d}" for i in range(200)]
    columns = {"day": day, "y": np.arange(200.0)}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=50)
    assert datasets.ParquetStream(path, "y").preprocessing.columns[0].kind == "date"
    day[170] = "soon"
    pq.write_table(pa.table(columns), path, row_group_size=50)
    text = message(datasets.ParquetStream, path, "y")
    assert "row 151, column 'day': '2024-05-01' or a later cell is not a date" in text
    kept = datasets.ParquetStream(path, "y", categorical=["day"]).preprocessing.columns[0]
    assert kept.kind == "categorical" and len(kept.categories) == 31


def test_the_seed_of_the_split_is_drawn_and_recorded(path):
    one, other = (stream_of(path, drop=[], validation_split=0.25) for _ in range(2))
    assert one.split_seed == one.held_out.split_seed != other.split_seed
    again = stream_of(path, drop=[], validation_split=0.25, split_seed=one.split_seed)
    assert again.identity() == one.identity() != other.identity()
    assert stream_of(path, drop=[]).split_seed is None
