"""Sweeps over tables: each run is what `fastmlp.fit` trains, with the same words."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import sweeps
from fastmlp.tabular import TableModel

QUICK = {"epochs": 3, "seed": 1, "verbose": 0}


def table(n=520, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    zone = rng.choice(["p", "q", "r"], n)
    y = 100 + 30 * (x[:, 0] * x[:, 1] + (zone == "p")) + rng.normal(size=n)
    return {"a": x[:, 0], "b": x[:, 1], "zone": zone, "y": y}


def same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"weight": "b", "loss": "huber", "schedule": "cosine"},
        {"group": "zone", "patience": 1, "clip": 1.0, "drop": ["a"]},
        {"time": "a", "target_transform": "sqrt", "standardize": False},
        {"validation_split": 0.3, "l1": 0.001, "proximal": True},
        {"task": "classification", "target": "zone", "class_weight": "balanced"},
    ],
    ids=lambda words: " ".join(words) or "no words",
)
def test_a_run_is_what_fit_gives_with_the_same_words(words):
    data = table()
    data["b"] = np.abs(data["b"])
    words = {"target": "y", **words}
    result = fastmlp.sweep(data, units=["8", "4"], **words, **QUICK)
    best = result.ranking()[0]
    alone = fastmlp.fit(data, units=best.config["units"], **words, **QUICK)
    same(result.model, alone.network)
    held, kept = alone.held_out, result.model.extras
    assert kept["table"]["held_out"] == held.to_dict()
    if held.task == "regression":
        assert best.mean == pytest.approx(held.network["rmse"] ** 2, rel=1e-5)
    names = ("optimizer", "learning_rate", "batch_size", "activation", "dropout")
    assert [best.config[n] for n in names] == [getattr(alone.decisions, n) for n in names]


def test_few_rows_are_scored_in_folds():
    data = table(60)
    result = fastmlp.sweep(data, "y", ["4", "8"], **QUICK)
    assert len(result.rows) == 10 and {row["fold"] for row in result.rows} == set(range(1, 6))
    same(result.model, fastmlp.fit(data, "y", units=result.best["units"], **QUICK).network)


def test_a_file_and_frames_that_say_the_same(tmp_path):
    data = table()
    file = tmp_path / "t.csv"
    rows = zip(*data.values(), strict=True)
    lines = [";".join(str(v).replace(".", ",") for v in row) for row in rows]
    file.write_text("a;b;zone;y\n" + "\n".join(lines) + "\n")
    one = fastmlp.sweep(file, units="4", **QUICK)
    other = fastmlp.sweep(data, "y", "4", **QUICK)
    assert one.rows == other.rows
    same(one.model, other.model)
    predicted = TableModel(one.model).predict(data)
    assert np.corrcoef(predicted, data["y"])[0, 1] > 0.3
    with pytest.raises(ValueError, match="delimiter says how to read a file"):
        fastmlp.sweep(data, "y", "4", delimiter=";", **QUICK)


def test_what_is_not_given_is_decided():
    data = table()
    result = fastmlp.sweep(data, "y", l2=[0, 0.1], epochs=1, seed=1, verbose=0)
    decisions = fastmlp.tabular.prepared(data, "y", seed=1).decisions
    assert result.best["units"] == fastmlp.tabular.shown_units(decisions.units)
    assert result.varied == ["l2"]
    halved = fastmlp.sweep(
        data, "y", ["4", "8", "2"], method="halving", epochs=9, seed=1, verbose=0
    )
    assert [rank.epochs for rank in halved.ranking()] == [9, 3, 3]
    rates = fastmlp.sweep(data, "y", "4", optimizer=["adamw", "sgd"], epochs=1, seed=1, verbose=0)
    found = {row["optimizer"]: row["learning_rate"] for row in rates.rows}
    assert found == {"adamw": decisions.learning_rate, "sgd": 0.01}


def test_a_store_knows_its_table_and_its_decisions(tmp_path):
    store = tmp_path / "s.db"
    data = table()
    first = fastmlp.sweep(data, "y", "4", store=store, **QUICK)
    assert fastmlp.sweep(data, "y", "4", store=store, **QUICK).rows == first.rows
    assert len(sweeps.load(store).sessions) == 2
    with pytest.raises(sweeps.StoreError, match="schedule cycles there, linear now"):
        fastmlp.sweep(data, "y", "4", store=store, schedule="linear", **QUICK)
    with pytest.raises(sweeps.StoreError, match="other training rows"):
        fastmlp.sweep(table(seed=1), "y", "4", store=store, **QUICK)


def test_threads_do_not_change_a_bit():
    found = [fastmlp.sweep(table(), "y", ["4", "8"], threads=n, **QUICK).rows for n in (1, 3)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"y": np.zeros(520), "weight": "b", "units": "4"}, "weight describes a table"),
        ({"y": np.zeros(520)}, "units must say which networks to try"),
        ({"y": "y", "target": "y"}, "y and target both name"),
        ({"target": ["y", "a"]}, "a sweep takes one target"),
        ({"target": "y", "loss": "quantile:0.9"}, "ranks by the squared error"),
        ({"target": "y", "validation_split": 0.0}, "scored on rows held out"),
        ({"target": "y", "folds": 3, "group": "zone"}, "group and folds exclude each other"),
        ({"target": "y", "schedule": "waves"}, "schedule"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(ValueError, match=message):
        fastmlp.sweep(table(), **words, **QUICK)
    with pytest.raises(TypeError, match=r"sweep\(\) has no argument 'wieght'"):
        fastmlp.sweep(table(), "y", wieght="b")
