"""Tables of very many columns: models are saved, read and used, or refused before training."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from fastmlp import datasets, models
from fastmlp._saving import fmlp
from fastmlp.errors import ModelFileError
from fastmlp.preprocessing import Preprocessing, _preprocessing

pytestmark = pytest.mark.reliability
N = 60_000


def wide_table(n=N, rows=6):
    """Return a table whose first columns are of every kind, and the target last."""
    values = np.random.default_rng(0).normal(size=(rows, n))
    columns = {f"column_number_{i}": values[:, i] for i in range(n)}
    columns["column_number_0"] = np.array(["red", "blue", None] * (rows // 3), object)
    columns["column_number_1"] = np.where(np.arange(rows) == 1, np.nan, values[:, 1])
    return datasets.as_table(columns | {"y": values[:, 2] * 100 + 7})


@pytest.mark.parametrize(
    ("impute", "scaling", "n"),
    [
        (None, "deviation", 50),
        (None, "robust", 50),
        ("median", "deviation", 50),
        ("median", "robust", 5000),
    ],
)
def test_a_description_of_many_columns_comes_back(impute, scaling, n, monkeypatch):
    if n < 5000:
        monkeypatch.setattr(_preprocessing, "_WIDE", 20)
    table = wide_table(n)
    drop = () if impute else ("column_number_0", "column_number_1")
    state = Preprocessing.fit(
        table, "y", standardize=scaling, impute=impute, indicator=bool(impute), drop=drop,
        unknown="error",
    )  # fmt: skip
    state.notes = []
    described = json.loads(json.dumps(state.to_dict()))
    # As files of before have it, if they could have it.
    assert described["version"] == (2 if scaling == "deviation" and not impute else 3)
    assert len(described["columns"]["name"]["each"]) == n - len(drop)
    again = Preprocessing.from_dict(described)
    assert again == state
    np.testing.assert_array_equal(again.inputs(table), state.inputs(table))
    few = Preprocessing(state.task, state.columns[:9], state.target)
    assert few.to_dict()["version"] == (1 if described["version"] == 2 else 3)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.pop("name"),
        lambda c: c["name"].update(each="ab"),
        lambda c: c["name"]["each"].pop(),
        lambda c: c["mean"].update(each=[0.0]),
        lambda c: c["kind"].clear(),
        lambda c: c.update(kind={"all": "other"}),
        lambda c: c.update(kind=3),
        lambda c: c.update(other={"all": 1}),
    ],
)
def test_a_damaged_description_of_many_columns(spoil, monkeypatch):
    monkeypatch.setattr(_preprocessing, "_WIDE", 20)
    state = Preprocessing.fit(wide_table(50), "y", standardize=True, impute="mean")
    described = state.to_dict()
    assert Preprocessing.from_dict(described, "m.fmlp") == state
    spoil(described["columns"])
    with pytest.raises(ModelFileError, match="damaged preprocessing"):
        Preprocessing.from_dict(described, "m.fmlp")


@pytest.mark.slow
def test_sixty_thousand_columns_from_python(tmp_path):
    begun = time.monotonic()
    table = wide_table()
    state = Preprocessing.fit(table, "y", standardize=True, impute="median", indicator=True)
    model = models.mlp("4", state.n_inputs, 1, seed=1)
    model.compile("adam", "mse")
    state.keep(model)
    x, y = state.inputs(table), state.targets(table)
    needed = fmlp.room_needed(model, 2)
    model.fit(x, y, epochs=2, verbose=0, checkpoint=tmp_path / "run.fmlp")
    model.save(tmp_path / "m.fmlp")
    size = (tmp_path / "m.fmlp").stat().st_size
    assert 0.8 * size < needed <= size
    for name in ("m.fmlp", "run.fmlp"):
        again = models.load_model(tmp_path / name)
        read = Preprocessing.of(again)
        np.testing.assert_array_equal(again.predict(read.inputs(table), verbose=0),
                                      model.predict(x, verbose=0))  # fmt: skip
    assert models.resume(tmp_path / "run.fmlp").resumed.complete
    assert time.monotonic() - begun < 60


def test_what_a_file_has_no_room_for_is_known_before_training(tmp_path):
    model = models.mlp("2", 3, 1, seed=1)
    model.compile("adam", "mse")
    model.extras["names"] = [f"a category {i}" for i in range(1_500_000)]
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match="few enough to be read again"):
        model.fit(x, x[:, :1], verbose=0, checkpoint=tmp_path / "run.fmlp")
    assert model.history is None and not list(tmp_path.iterdir())
    model.extras["names"] = ["x" * 100_000_000]  # the format's own limit
    with pytest.raises(ValueError, match="few enough to be read again"):
        model.fit(x, x[:, :1], verbose=0, checkpoint=tmp_path / "run.fmlp")
    assert not list(tmp_path.iterdir())
