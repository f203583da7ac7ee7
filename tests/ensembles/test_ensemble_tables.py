"""Ensembles over tables: each member is what `fastmlp.fit` trains, with the same words."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp.tabular import Quality, TableModel

QUICK = {"epochs": 3, "seed": 1, "verbose": 0}


def table(n=520):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    zone = rng.choice(["p", "q", "r"], n)
    y = 100 + 30 * (x[:, 0] * x[:, 1] + (zone == "p")) + rng.normal(size=n)
    return {"a": x[:, 0], "b": np.abs(x[:, 1]), "zone": zone, "y": y - y.min()}


def same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"weight": "b", "loss": "huber", "schedule": "linear", "optimizer": "adam"},
        {"group": "zone", "patience": 1, "clip": 1.0, "drop": ["a"]},
        {"validation_split": 0.3, "l1": 0.001, "proximal": True, "target_transform": "sqrt"},
    ],
    ids=lambda words: " ".join(words) or "no words",
)
def test_a_member_is_what_fit_gives_with_the_same_words(words):
    data = table()
    made = fastmlp.ensemble(data, "y", "8", 2, **words, **QUICK)
    alone = fastmlp.fit(data, "y", units="8", **words, **QUICK)
    same(made[0], alone.network)
    assert len(made) == 2 and made.noise_source == "validation rows"
    held = Quality.of(made).held_out
    assert held.constant == alone.held_out.constant and held.linear == alone.held_out.linear
    first, second = (member.predict(np.zeros((1, made.n_inputs)), verbose=0) for member in made)
    assert first != second


def test_classes_architectures_and_few_rows():
    data = {name: column[:90] for name, column in table().items()}
    made = fastmlp.ensemble(data, target="zone", units=["4", "8"], members=2, **QUICK)
    assert len(made) == 4 and {tuple(g.units) for g in made.groups} == {(4,), (8,)}
    kept = made.extras["table"]
    assert kept["best_epoch"] == fastmlp.fit(data, "zone", units="4", **QUICK).best_epoch
    assert kept["held_out"]["how"] == "5-fold cross-validation"
    grid = fastmlp.ensemble(data, "y", "4", 2, lambdas=[0, 0.1], bootstrap=True, **QUICK)
    assert len(grid) == 4 and grid.noise_source == "out-of-bag rows"
    folded = fastmlp.ensemble(data, "y", "4", 2, folds=3, **QUICK)
    assert folded.groups[0].folds == [0, 0, 1, 1, 2, 2] and folded.noise_source == "held-out folds"


def test_its_file_takes_tables(tmp_path):
    data = table()
    file = tmp_path / "t.csv"
    rows = zip(*data.values(), strict=True)
    lines = [";".join(str(v).replace(".", ",") for v in row) for row in rows]
    file.write_text("a;b;zone;y\n" + "\n".join(lines) + "\n")
    made = fastmlp.ensemble(file, units="4", members=2, **QUICK)
    made.save(tmp_path / "e.fmlp")
    model = TableModel.load(tmp_path / "e.fmlp")
    inputs = model.preprocessing.inputs(data)
    expected = model.preprocessing.values(made.predict(inputs, verbose=0))
    np.testing.assert_array_equal(model.predict(data), expected)
    assert model.evaluate(file)["rmse"] > 0
    decided = fastmlp.ensemble(data, "y", members=1, epochs=1, seed=1, verbose=0)
    units = fastmlp.tabular.decide(520, 5, "regression").units
    assert tuple(decided.groups[0].units) == units


def test_threads_do_not_change_a_bit():
    found = [fastmlp.ensemble(table(), "y", "4", 3, threads=n, **QUICK) for n in (1, 3)]
    for one, other in zip(*found, strict=True):
        same(one, other)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"y": np.zeros(520), "weight": "b", "units": "4"}, "weight describes a table"),
        ({"y": np.zeros(520)}, "units must say which networks to train"),
        ({"y": "y", "target": "y"}, "y and target both name"),
        ({"target": ["y", "a"]}, "an ensemble takes one target"),
        ({"target": "y", "folds": 3, "group": "zone"}, "group and folds exclude each other"),
        ({"target": "y", "dtype": "float64"}, "dtype is for arrays"),
        ({"target": "y", "sample_weight": [1]}, "sample_weight is for arrays"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(ValueError, match=message):
        fastmlp.ensemble(table(), **words, **QUICK)
    with pytest.raises(TypeError, match=r"ensemble\(\) has no argument 'wieght'"):
        fastmlp.ensemble(table(), "y", wieght="b")
