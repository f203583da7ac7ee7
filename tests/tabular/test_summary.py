"""What a model knows of its table: target, columns, preparation, figures on rows held out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp import models, tabular
from fastmlp.errors import ModelFileError
from fastmlp.preprocessing import Preprocessing

TABLE = {
    "area": [80.0, None, 60.0, 120.0] * 10,
    "rooms": [2.0, 3.0, 1.0, 4.0, 2.0] * 8,
    "zone": ["a", "b", "c", "a", "", "b", "d", "a"] * 5,
    "garden": [True, False, False, True] * 10,
    "sold": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(40)],
    "id": [f"k{i}" for i in range(40)],
    "price": [float(i % 7 + i % 5) for i in range(40)],
}


def described(target="price", **options):
    """Return a network that knows the table, without having been trained."""
    state = Preprocessing.fit(TABLE, target, **options)
    model = models.mlp("3", state.n_inputs, state.n_outputs, seed=0)
    state.keep(model)
    model.extras["data"] = "flats.csv"
    return model


def lines(model, width=200):
    rows = [line.split(None, 1) for line in tabular.table_text(model, width).splitlines()]
    return {row[0]: row[1] for row in rows}


def test_target_columns_and_preparation():
    found = lines(described(max_categories=2, date_parts=True))
    assert found["Table"] == "flats.csv: 5 columns, 15 inputs"
    assert found["target"] == "price, numbers of mean 4.875 and deviation 2.522"
    assert found["numbers"] == (
        "area, rooms; scaled by median and interquartile range, outliers drawn in"
    )
    assert found["true,"].split() == ["false", "garden"]
    assert found["dates"] == "sold (days, year, month, weekday)"
    assert found["categories"] == "zone (2 and other)"
    assert found["missing"].startswith("area by 80, rooms by 2, zone by ")
    assert found["left"].split() == ["out", "id"]
    assert "held" not in found and "answers" not in found


@pytest.mark.parametrize(
    ("options", "label", "text"),
    [
        ({"standardize": False}, "numbers", "area, rooms; as they are"),
        ({"standardize": False}, "target", "price, numbers as they are"),
        ({"standardize": "deviation"}, "numbers", "area, rooms; scaled to mean 0 and deviation 1"),
        (
            {"target_transform": "sqrt"},
            "target",
            "price, numbers; the network predicts the square root",
        ),
        ({"impute": "none", "drop": ["area", "zone"]}, "missing", "an error"),
        ({"target": "zone", "drop": ["area"]}, "target", "zone, 4 classes: a, b, c, d"),
        ({"target": ["price", "rooms"]}, "targets", "price, numbers of mean 4.875 and deviation "
         "2.522; rooms, numbers of mean 2.4 and deviation 1.02"),
    ],
)  # fmt: skip
def test_variants(options, label, text):
    assert lines(described(**options))[label] == text


def test_lines_are_as_wide_as_told_and_long_lists_are_cut():
    rng = np.random.default_rng(0)
    table = {f"a_column_{i}": rng.normal(size=30) for i in range(200)}
    table["y"] = np.arange(30.0) % 5
    state = Preprocessing.fit(table, "y")
    model = models.mlp("3", state.n_inputs, 1, seed=0)
    state.keep(model)
    text = tabular.table_text(model, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "and 176 more; scaled" in " ".join(text.split())
    assert "a_column_23" in text and "a_column_24 " not in text


def test_a_trained_model_has_its_figures(capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    table = {"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")}
    model = tabular.fit(
        table, "y", seed=0, epochs=3, units="8", interval=0.9, cost={"fp": 1, "fn": 10}, verbose=0
    )
    found = lines(model.network)
    assert found["Table"].endswith("600 rows, 2 columns, 2 inputs")
    assert found["held"].split() == ["out", "120", "held-out", "rows"]
    assert found["network"].split() == ["constant", "logistic"]
    auc = found["AUC"].split()
    assert len(auc) == 3 and float(auc[1]) == 0.5
    assert float(auc[0]) == pytest.approx(model.held_out.network["auc"], abs=0.01)
    assert found["answers"].startswith("sets of classes that hold 90% of new rows; threshold ")
    assert "cost fp:1,fn:10" in found["answers"]
    model.summary()
    out = capsys.readouterr().out
    assert out.startswith("Table ") and "held-out rows" in out and "Total params" in out
    facts = tabular.table_facts(model.network)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["held_out"] == model.held_out.to_dict()
    assert facts["rows"] == 600 and facts["best_epoch"] == model.best_epoch
    assert facts["targets"] == [{"name": "y", "classes": ["no", "yes"]}]


def test_models_of_arrays_and_damaged_ones():
    model = models.mlp("3", 2, 1)
    assert tabular.table_text(model) is tabular.table_facts(model) is None
    model = described()
    model.extras["table"] = {"held_out": {"task": "regression"}}
    with pytest.raises(ModelFileError, match=r"bad\.fmlp: damaged held-out figures"):
        tabular.table_text(model, source="bad.fmlp")
