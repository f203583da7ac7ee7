"""Streams of tables as they come: several targets, missing ones, warnings, unknown categories."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp import models, streaming
from fastmlp.datasets import ParquetStream
from fastmlp.errors import DataError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

N = 200
RNG = np.random.default_rng(6)


@pytest.fixture
def write(tmp_path):
    def make(name="t.parquet", **changes):
        x = RNG.normal(size=N)
        columns = {"x": x, "k": ["a", "b"] * (N // 2), "y": 2 * x + RNG.normal(size=N),
                   "z": x - RNG.normal(size=N), **changes}  # fmt: skip
        path = tmp_path / name
        parquet.write_table(pa.table(columns), path, row_group_size=50)
        return path

    return make


def test_several_targets_train(write):
    stream = ParquetStream(write(), ["y", "z"], validation_split=0.2, split_seed=1)
    model = models.mlp("8", stream.n_inputs, stream.n_outputs, seed=1)
    model.compile("adam", "mse", ["mae"])
    history = streaming.fit(model, stream, 16, 20, verbose=0).history
    assert history["val_loss"][-1] < 0.9 * history["val_loss"][0]
    outputs = np.concatenate(list(streaming.predict(model, stream, verbose=0)))
    assert stream.preprocessing.values(outputs).shape == (stream.n_rows, 2)


def test_a_missing_target_is_an_error_that_names_the_remedy(write):
    path = write(y=[None, *RNG.normal(size=N - 1)])
    with pytest.raises(DataError, match=r"row 1, column 'y': the target is missing.*--no-stream"):
        ParquetStream(path, "y")
    state = ParquetStream(write("whole.parquet"), "y").preprocessing
    stream = ParquetStream(path, preprocessing=state, drop=["z"])
    with pytest.raises(DataError, match="a stream needs one in every row"):
        next(stream.arrays("float32"))
    next(stream.arrays("float32", with_targets=False))


def test_leaks_are_looked_for_in_the_first_part(write):
    y = RNG.normal(size=N)
    notes = ParquetStream(write(y=y, copy=3 * y), "y").preprocessing.notes
    assert any("'copy' predicts the target" in note for note in notes)
    assert "were looked for in the first 50 rows only." in notes[-1]
    one = pa.table({"x": y, "y": RNG.normal(size=N)})
    path = write()
    parquet.write_table(one, path)
    assert not any("looked for" in n for n in ParquetStream(path, "y").preprocessing.notes)


def test_unknown_categories_and_missing_cells_are_counted_once(write):
    state = ParquetStream(write(), "y").preprocessing
    new = write("new.parquet", k=["a", "new"] * (N // 2), x=[None, 1.0] * (N // 2))
    stream = ParquetStream(new, preprocessing=state)
    assert stream.notes == []
    for _ in range(2):
        list(stream.arrays("float32"))
        assert len(stream.notes) == 2
        assert f"'k' {N // 2}" in stream.notes[0] and f"'x' {N // 2}" in stream.notes[1]
