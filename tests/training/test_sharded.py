"""Batches cut into shards: in one process here; tests/training/test_mpi.py has several."""

import signal
import threading

import numpy as np
import pytest

from fastmlp import callbacks, datasets, layers, models, streaming
from fastmlp._training import distributed
from fastmlp._training.distributed import allreduce
from fastmlp._training.distributed import shards as _shards
from fastmlp.datasets import _parquet
from fastmlp.errors import DataError, DivergedError, ModelFileError

N = 203


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 5)).astype(np.float32)
    return x, (x[:, :1] * 2 - x[:, 1:2] ** 2).astype(np.float32)


EDGES = [[-1, 0, 1], [], [-2, 2], np.arange(-20, 20) / 10, [0, 0.5]]


def made(
    optimizer="adam", loss="mse", metrics=("mae", "r2"), dtype="float32", bins=False, **network
):
    layers.reset_names()
    model = models.mlp([70, 33], 5, 1, seed=1, dtype=dtype, **network)
    if bins:
        chain = [layers.PiecewiseLinear(edges=EDGES), *model.layers]
        model = models.Sequential([type(x).from_config(x.get_config()) for x in chain], seed=1,
                                  dtype=dtype)  # fmt: skip
        model.build((None, 5))
    model.name = "m"
    model.compile(optimizer, loss, list(metrics))
    return model


def same_bits(a, b):
    return all(
        x.tobytes() == y.tobytes() for x, y in zip(a.get_weights(), b.get_weights(), strict=True)
    )


# ---- how rows and sums are cut ------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [4, 30, 31, 203, 240])
@pytest.mark.parametrize("batch_size", [4, 7, 30, 1000])
@pytest.mark.parametrize("n_shards", [1, 2, 3, 4])
def test_a_plan_gives_every_row_once(n_rows, batch_size, n_shards):
    plan = _shards.ShardPlan(n_rows, batch_size, n_shards)
    taken = [0] * n_shards
    for batch in range(plan.n_batches):
        place = 0
        for shard in range(n_shards):
            first, n = plan.share(batch, shard)
            assert first == place
            assert plan.size(batch) // n_shards <= n <= -(-plan.size(batch) // n_shards)
            place += n
            taken[shard] += n
        assert place == plan.size(batch)
    assert np.diff(plan.starts).tolist() == taken
    assert plan.starts[-1] == n_rows


def test_rows_fewer_than_shards_are_refused():
    with pytest.raises(DataError, match=r"batch_size must be at least one for each of 4 shards"):
        _shards.ShardPlan(100, 3, 4)
    with pytest.raises(DataError, match=r"rows must be .* Received: rows=3"):
        _shards.ShardPlan(3, 32, 4)


@pytest.mark.parametrize("n_leaves", range(1, 20))
def test_ranks_with_a_power_of_two_of_shards_add_in_the_tree_of_one(n_leaves):
    rows = np.random.default_rng(0).standard_normal((n_leaves, 50)).astype(np.float32)
    whole, parts = np.empty(50, np.float32), np.empty((n_leaves, 50), np.float32)
    allreduce.tree_sum(rows.copy(), whole)
    np.testing.assert_allclose(whole, rows.sum(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-5)
    each = 1
    while n_leaves % each == 0:
        n_ranks = n_leaves // each
        for rank in range(n_ranks):
            allreduce.tree_sum(rows[rank * each : (rank + 1) * each].copy(), parts[rank])
        found = np.empty(50, np.float32)
        allreduce.tree_sum(parts[:n_ranks].copy(), found)
        assert found.tobytes() == whole.tobytes()
        each *= 2


def test_another_order_of_sums_has_other_bits():
    rows = np.random.default_rng(0).standard_normal((4, 500)).astype(np.float32)
    tree, swapped = np.empty(500, np.float32), np.empty(500, np.float32)
    allreduce.tree_sum(rows.copy(), tree)
    allreduce.tree_sum(rows[[0, 2, 1, 3]].copy(), swapped)
    assert tree.tobytes() != swapped.tobytes()


# ---- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fast_reduce", [False, True])
@pytest.mark.parametrize("shards", [1, 3, 4])
@pytest.mark.parametrize(
    ("settings", "weighted"),
    [
        ({}, False),
        ({"optimizer": "sgd", "l1": 1e-3, "l2": 1e-2}, True),
        ({"optimizer": "rmsprop", "l1": 1e-3, "proximal": True}, False),
        ({"loss": "huber", "group_l1": 1e-3}, True),
        ({"bins": True, "group_l1": 1e-3}, True),
    ],
)
def test_shards_of_all_rows_train_like_the_whole(table, settings, weighted, shards, fast_reduce):
    """Without batches and dropout only the order of sums differs."""
    x, y = table
    weight = 0.5 + np.arange(N) % 3 if weighted else None
    options = {"batch_size": N, "epochs": 5, "verbose": 0, "sample_weight": weight}
    plain, cut = made(dtype="float64", **settings), made(dtype="float64", **settings)
    expected = plain.fit(x, y, **options)
    found = cut.fit(x, y, shards=shards, fast_reduce=fast_reduce, **options)
    for key, values in expected.history.items():
        np.testing.assert_allclose(found.history[key], values, rtol=1e-9)
    for a, b in zip(plain.get_weights(), cut.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-9)
    begun = made(dtype="float64", **settings).get_weights()[0]
    assert np.abs(plain.get_weights()[0] - begun).max() > 1e-3


def log_cosh(y, out):
    error = out - y
    return np.log(np.cosh(error)).mean(axis=1), np.tanh(error) / error.shape[1]


@pytest.mark.parametrize("bins", [False, True])
def test_a_loss_in_python_is_cut_as_well(table, bins):
    x, y = table
    plain, cut = (made(loss=log_cosh, dtype="float64", bins=bins) for _ in range(2))
    expected = plain.fit(x, y, batch_size=N, epochs=4, verbose=0)
    found = cut.fit(x, y, batch_size=N, epochs=4, verbose=0, shards=4)
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-9)


def test_classes_batches_and_validation(table):
    x, _ = table
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    model = models.mlp([32], 5, 3, output_activation="softmax", dropout=0.1, seed=2)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(
        x, y, batch_size=32, epochs=300, verbose=0, shards=4, validation_split=0.2,
        class_weight={0: 1.0, 1: 1.0, 2: 2.0},
    ).history  # fmt: skip
    assert history["val_accuracy"][-1] > 0.75 > history["accuracy"][0]
    loss, accuracy = model.evaluate(x[162:], y[162:], verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-6)
    assert history["val_accuracy"][-1] == pytest.approx(accuracy)


def test_every_epoch_takes_every_row_once(table):
    """A batch's gradient does not depend on weights that never change: rates of zero."""
    x, y = table
    seen = []

    def loss(y, out):
        seen.extend(y[:, 0].tolist())
        return np.zeros(len(y)), np.zeros_like(out)

    model = made(loss=loss, metrics=())
    model.fit(x, y, batch_size=32, epochs=2, verbose=0, shards=4)
    first, second = seen[:N], seen[N:]
    assert sorted(first) == sorted(second) == sorted(y[:, 0].tolist())
    assert first != second


def test_dropout_depends_on_the_row_of_the_batch_alone(table):
    x, y = table
    runs = [made(dtype="float64", dropout=0.4) for _ in range(3)]
    for model, shards in zip(runs, (1, 2, 4), strict=True):
        model.fit(x[:200], y[:200], batch_size=200, epochs=3, verbose=0, shards=shards)
    for other in runs[1:]:
        for a, b in zip(runs[0].get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("bins", [False, True])
def test_the_number_of_threads_changes_nothing(table, bins):
    import fastmlp

    x, y = table
    found = []
    try:
        for n_threads in (1, 2, 3):
            fastmlp.set_num_threads(n_threads)
            found.append(made(dropout=0.0 if bins else 0.2, bins=bins))
            found[-1].fit(x, y, batch_size=64, epochs=3, verbose=0, shards=4)
    finally:
        fastmlp.set_num_threads(None)
    assert same_bits(found[0], found[1])
    assert same_bits(found[0], found[2])


def test_training_goes_on_after_shards_and_before(table):
    x, y = table
    model = made()
    model.fit(x, y, epochs=2, verbose=0)
    model.fit(x, y, epochs=2, verbose=0, shards=4)
    model.fit(x, y, epochs=20, verbose=0)
    assert model.history.history["loss"][-1] < 0.3
    assert model.predict(x, verbose=0).shape == (N, 1)


def test_callbacks_and_schedules_work_as_ever(table):
    x, y = table
    model, rates = made(), []

    class Watch(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append((batch, self.model.optimizer.learning_rate))
            if len(rates) == 9:
                self.model.stop_training = True

    schedule = callbacks.LearningRateScheduler(lambda epoch: 0.01 / (1 + epoch))
    history = model.fit(
        x, y, batch_size=50, epochs=9, verbose=0, shards=4, callbacks=[schedule, Watch()]
    )
    assert rates == [(batch, 0.01 / (1 + epoch)) for epoch in (0, 1) for batch in range(5)][:9]
    assert len(history.epoch) == 1


def test_divergence_keeps_the_snapshot(table):
    x, y = table
    model = made(optimizer="sgd")
    model.optimizer.learning_rate = 1e12
    with pytest.raises(DivergedError, match="epoch 1"):
        model.fit(x, y, epochs=3, verbose=0, shards=4)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_ctrl_c_ends_after_a_step_and_keeps_the_run(table, tmp_path):
    x, y = table
    path = tmp_path / "run.fmlp"
    model = made()
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=4, epochs=10**6, verbose=0, shards=4, checkpoint=path)
    assert model.history.interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = models.resume(path)
    assert resumed.history.history["loss"] == model.history.history["loss"]
    assert same_bits(resumed, model)


class LeftError(Exception):
    """Ends a run within an epoch."""


class Leave(callbacks.Callback):
    def __init__(self, n_batches):
        self.left = n_batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise LeftError

    def get_state(self):
        return {}


@pytest.mark.parametrize(("fast_reduce", "bins"), [(False, False), (True, False), (False, True)])
def test_a_resumed_run_ends_with_the_same_bits(table, tmp_path, fast_reduce, bins):
    x, y = table
    options = {"batch_size": 30, "epochs": 6, "verbose": 0, "shards": 4, "validation_split": 0.1}
    options |= {"fast_reduce": fast_reduce}
    network = {"dropout": 0.0 if bins else 0.2, "bins": bins}
    whole = made(**network)
    whole.fit(x, y, callbacks=Leave(0), **options)
    path = tmp_path / "run.fmlp"
    with pytest.raises(LeftError):
        made(**network).fit(
            x, y, callbacks=Leave(17), checkpoint=path, checkpoint_every=1e-9, **options
        )
    model = models.resume(path)
    assert model.resumed.progress[1] > 0
    model.fit(x, y, callbacks=Leave(0), verbose=0)
    assert same_bits(model, whole)
    assert model.history.history == whole.history.history


# ---- streams -----------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path, table, monkeypatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(_parquet, "_CHUNK_BYTES", 600)
    x, y = table
    columns = {f"x{k}": x[:, k] for k in range(5)}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({**columns, "y": y[:, 0]}), path, row_group_size=17)
    return path


@pytest.mark.parametrize("held_out", [0.0, 0.3])
@pytest.mark.parametrize("n_shards", [1, 3, 4])
def test_a_cut_stream_gives_every_row_once(path, held_out, n_shards):
    stream = datasets.ParquetStream(path, "y", validation_split=held_out)
    whole = np.concatenate([y for _, y in stream.arrays("float32")])
    starts = _shards.even_starts(stream.n_rows, n_shards)
    parts = _shards.cut_stream(stream, starts, list(range(n_shards)))
    found = []
    for part in parts:
        groups = _shards.groups_of(part)
        found.append(np.concatenate([y for _, y in part.arrays("float32", groups)]))
        assert len(found[-1]) == part.n_rows
        assert n_shards == 1 or len(groups) < stream.n_groups
    np.testing.assert_array_equal(np.concatenate(found), whole)


@pytest.mark.parametrize("held_out", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_a_stream_of_shards_trains(path, held_out):
    stream = datasets.ParquetStream(path, "y", validation_split=held_out, buffer_rows=60)
    model = made(metrics=["r2", "mae"], dropout=0.05)
    history = streaming.fit(
        model, stream, batch_size=16, epochs=20, verbose=0, shards=4,
        validation_data=None if held_out else stream,
    ).history  # fmt: skip
    assert history["r2"][-1] > 0.8
    validated = stream.held_out or stream
    found = streaming.evaluate(model, validated, verbose=0, return_dict=True)
    for name, value in found.items():
        assert history["val_" + name][-1] == pytest.approx(value, rel=1e-5)


def test_a_stream_is_read_once_an_epoch_in_new_orders(path, table):
    seen = []

    def loss(y, out):
        seen.append(y[:, 0].copy())
        return np.zeros(len(y)), np.zeros_like(out)

    stream = datasets.ParquetStream(path, "y", standardize=False, buffer_rows=60)
    model = made(loss=loss, metrics=())
    streaming.fit(model, stream, batch_size=16, epochs=2, verbose=0, shards=4)
    rows = np.concatenate(seen)
    for epoch in (rows[:N], rows[N:]):
        np.testing.assert_array_equal(np.sort(epoch), np.sort(table[1][:, 0]))
    assert (rows[:N] != rows[N:]).any()
    seen.clear()
    streaming.fit(model, stream, batch_size=N, verbose=0, shards=4)
    np.testing.assert_array_equal(np.concatenate(seen), table[1][:, 0])


@pytest.mark.slow
def test_a_stream_of_shards_is_resumed_to_the_same_bits(path, tmp_path):
    stream = datasets.ParquetStream(path, "y", validation_split=0.2, buffer_rows=60)
    options = {"batch_size": 16, "epochs": 4, "verbose": 0, "shards": 4}
    whole = made(dropout=0.2)
    streaming.fit(whole, stream, callbacks=Leave(0), **options)
    kept = tmp_path / "run.fmlp"
    for left in (1, 14, 23):
        kept.unlink(missing_ok=True)
        with pytest.raises(LeftError):
            streaming.fit(
                made(dropout=0.2), stream, callbacks=Leave(left), checkpoint=kept,
                checkpoint_every=1e-9, **options,
            )  # fmt: skip
        model = models.resume(kept)
        streaming.fit(model, stream, callbacks=Leave(0), verbose=0)
        assert same_bits(model, whole)
        assert model.history.history == whole.history.history


def test_what_is_wrong_in_a_file_is_said(path, tmp_path, table):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    stream = datasets.ParquetStream(path, "y", standardize=True, impute="none")
    columns = pq.read_table(path).to_pydict()
    columns["x3"][180] = None
    bad = tmp_path / "bad.parquet"
    pq.write_table(pa.table(columns), bad, row_group_size=17)
    broken = datasets.ParquetStream(bad, preprocessing=stream.preprocessing)
    with pytest.raises(DataError, match=r"bad.parquet.*'x3'.*missing"):
        streaming.fit(made(), broken, batch_size=16, epochs=2, verbose=0, shards=4)


# ---- what cannot be ----------------------------------------------------------------------------


def test_wrong_arguments(table, tmp_path):
    x, y = table
    with pytest.raises(ValueError, match=r"comm must be an intracommunicator .* comm=5"):
        made().fit(x, y, comm=5)
    with pytest.raises(ValueError, match=r"shards must be .* shards=0"):
        made().fit(x, y, shards=0)
    with pytest.raises(ValueError, match=r"fast_reduce .* needs comm or shards"):
        made().fit(x, y, fast_reduce=True)
    with pytest.raises(DataError, match="batch_size must be at least one for each of 4 shards"):
        made().fit(x, y, batch_size=3, shards=4)


def test_a_run_goes_on_as_it_was_begun(table, tmp_path):
    x, y = table
    plain, cut = tmp_path / "plain.fmlp", tmp_path / "cut.fmlp"
    made().fit(x, y, epochs=2, verbose=0, checkpoint=plain)
    made().fit(x, y, epochs=2, verbose=0, checkpoint=cut, shards=2)
    with pytest.raises(ValueError, match="begun without shards"):
        models.resume(plain).fit(x, y, comm=distributed.Ranks())
    with pytest.raises(ValueError, match=r"keeps its own arguments, shards=2"):
        models.resume(cut).fit(x, y, shards=4)
    with pytest.raises(ModelFileError):
        models.resume(tmp_path / "none.fmlp")
