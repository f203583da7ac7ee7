"""Checkpoints of training on a Parquet file: the same bytes, wherever the run was left."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp import callbacks, datasets, layers, models, schedules, streaming
from fastmlp._training import checkpoint
from fastmlp.datasets import _parquet
from fastmlp.errors import DataError, ModelFileError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N = 700


class KilledError(Exception):
    """Stands for a process that is killed."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(_parquet, "_CHUNK_BYTES", 1000)


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, N))
    path = tmp_path / "t.parquet"
    k = rng.choice(["u", "v"], N)
    table = pa.table({"a": a, "b": b, "k": k, "y": 2 * a - b + (k == "u")})
    pq.write_table(table, path, row_group_size=90)
    return path


def stream_of(path, **options):
    return datasets.ParquetStream(path, "y", **{"buffer_rows": 160, "split_seed": 0, **options})


def log_cosh(y, out):
    error = out - y
    return np.log(np.cosh(error)).mean(axis=1), np.tanh(error) / error.shape[1]


def made(stream, loss="mse", rate=0.003):
    layers.reset_names()
    model = models.mlp([24, 12], stream.n_inputs, 1, dropout=0.1, l2=1e-3, seed=1)
    model.name = "run"
    model.compile("adam", loss, ["mae", "r2"])
    model.optimizer.learning_rate = rate
    return model


def fit(model, stream, **options):
    return streaming.fit(model, stream, verbose=0, **options)


def saved(model, directory):
    model.save(directory / "out.fmlp")
    return (directory / "out.fmlp").read_bytes()


def leave_after(monkeypatch, n_rests):
    """Have the run end, as if killed, when it has come to rest so often and been written."""
    real, rests = checkpoint.Checkpoint.write_if_due, []

    def write_if_due(self, run):
        real(self, run)
        rests.append(run.session.place["within"])
        if len(rests) == n_rests:
            raise KilledError

    monkeypatch.setattr(checkpoint.Checkpoint, "write_if_due", write_if_due)
    return rests


CASES = {
    "plain": {},
    "held out": {"stream": {"validation_split": 0.25}},
    "not shuffled": {"fit": {"shuffle": False}},
    "in Python": {"loss": log_cosh},
    "schedule": {"rate": schedules.ExponentialDecay(0.01, 10, 0.9)},
    "one buffer": {"stream": {"buffer_rows": 5000}},
}


# The first two meet everything between them; the others differ in what is drawn or computed.
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if i < 2 else [pytest.mark.slow]) for i, n in enumerate(CASES)],
)
def test_a_run_that_was_killed_ends_with_the_same_bytes(name, path, tmp_path, monkeypatch):
    case, kept = CASES[name], tmp_path / "run.fmlp"
    of_model = {key: case[key] for key in ("loss", "rate") if key in case}
    of_fit = {"batch_size": 32, "epochs": 3, **case.get("fit", {})}
    own = {"custom_objects": {"log_cosh": log_cosh}}
    # With a hook of batches it rests after every step.
    steps = {"callbacks": [callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]}
    stream = stream_of(path, **case.get("stream", {}))
    model = made(stream, **of_model)
    whole = fit(model, stream, **of_fit)
    expected = saved(model, tmp_path)
    within = set()
    for n_rests in (6, 9, 23):
        with monkeypatch.context() as patch:
            rests = leave_after(patch, n_rests)
            model = made(stream, **of_model)
            with pytest.raises(KilledError):
                fit(model, stream, **of_fit, **steps, checkpoint=kept, checkpoint_every=1e-9)
            within.add(rests[-1])
            assert saved(model, tmp_path) != expected
            # And once more, before the end is reached.
            rests.clear()
            leave_after(patch, 4)
            with pytest.raises(KilledError):
                fit(models.resume(kept, **own), stream_of(path, **case.get("stream", {})), **steps)
        model = models.resume(kept, **own)
        history = fit(model, stream_of(path, **case.get("stream", {})), **steps)
        assert history.history == whole.history
        assert saved(model, tmp_path) == expected
        again = models.resume(kept, **own)  # which has ended
        assert fit(again, stream).history == whole.history
        kept.unlink()
    assert within == {True, False}, "runs were left within buffers alone, or between them alone"


def test_callbacks_and_batch_hooks_go_on(path, tmp_path, monkeypatch):
    kept = tmp_path / "run.fmlp"

    class Count(callbacks.Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(batch)

        def get_state(self):
            return {"seen": list(self.seen)}

        def on_train_resume(self, state):
            self.seen = list(state["seen"])

    def run(**options):
        count, stream = Count(), stream_of(path)
        model = made(stream)
        fit(model, stream, batch_size=50, epochs=2, callbacks=[count], **options)
        return model, count

    model, count = run()
    expected = saved(model, tmp_path)
    assert count.seen == list(range(14)) * 2
    with monkeypatch.context() as patch:
        leave_after(patch, 7)
        with pytest.raises(KilledError):
            run(checkpoint=kept, checkpoint_every=1e-9)
    model, resumed = models.resume(kept), Count()
    fit(model, stream_of(path), callbacks=[resumed])
    assert resumed.seen == count.seen
    assert saved(model, tmp_path) == expected


def test_other_rows_are_refused(path, tmp_path, monkeypatch):
    kept = tmp_path / "run.fmlp"
    with monkeypatch.context() as patch:
        leave_after(patch, 2)
        stream = stream_of(path, validation_split=0.2)
        with pytest.raises(KilledError):
            fit(made(stream), stream, epochs=3, checkpoint=kept)
    for options in ({}, {"validation_split": 0.2, "split_seed": 1}, {"standardize": False}):
        with pytest.raises(DataError, match=r"must be that of the run|has no"):
            fit(models.resume(kept), stream_of(path, **options))
    other = stream_of(path, validation_split=0.2, buffer_rows=64)
    with pytest.raises((DataError, ModelFileError), match=r"must be that of|not those of this run"):
        fit(models.resume(kept), other)
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "a", pa.array(np.arange(N) % 7.0)), path, row_group_size=90)
    with pytest.raises(DataError, match=r"x must be that of the run in .* Received: other values"):
        fit(models.resume(kept), stream_of(path, validation_split=0.2))
    with pytest.raises(DataError, match="x must be that of the run"):
        models.resume(kept).fit(np.zeros((5, 4)), np.zeros(5))
