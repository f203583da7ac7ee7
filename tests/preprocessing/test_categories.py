"""Rare categories are merged, unknown ones are none or an error."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from fastmlp._tables.cells import CodedCells, NumberCells
from fastmlp.datasets import Table
from fastmlp.errors import DataError
from fastmlp.preprocessing import Preprocessing


def table(k, **more):
    return {"k": k, "a": np.arange(len(k)) % 7 + 0.5, "y": np.arange(len(k)) * 1.0, **more}


def test_the_most_frequent_categories_are_kept():
    k = ["b"] * 5 + ["a"] * 3 + ["d"] * 2 + ["c"] * 2 + ["e"]
    state = Preprocessing.fit(table(k), "y", max_categories=3, standardize=False)
    assert state.input_names == ["k=a", "k=b", "k=c", "k other", "a"]
    assert state.n_inputs == 5
    x = state.inputs(table(["a", "d", "e", "c", "never seen"]))[:, :4]
    np.testing.assert_array_equal(x.argmax(axis=1), [0, 3, 3, 2, 3])
    np.testing.assert_array_equal(x.sum(axis=1), 1)
    assert state.notes == [
        "'k' has 5 categories: the 3 most frequent are kept, the rest are 'other' "
        "(--max-categories)."
    ]
    again = Preprocessing.from_dict(json.loads(json.dumps(state.to_dict())))
    assert again == state and again.notes == state.notes
    all_kept = Preprocessing.fit(table(k), "y", max_categories=5)
    assert all_kept.input_names[:5] == ["k=a", "k=b", "k=c", "k=d", "k=e"]
    with pytest.raises(ValueError, match="max_categories"):
        Preprocessing.fit(table(k), "y", max_categories=0)


def test_free_text_is_doubted():
    k = [f"text {i}" for i in range(100)]
    k[1] = k[0]
    (note,) = Preprocessing.fit(table(k), "y").notes
    assert "'k' has 99 categories" in note and note.endswith("its own: --drop k?")


def test_unknown_categories_are_none_and_counted():
    state = Preprocessing.fit(table(list("abab")), "y", standardize=False)
    unseen = {}
    x = state.inputs({"k": ["c", "a", "", "d"], "a": [1, 2, 3, 4]}, unseen=unseen)
    np.testing.assert_array_equal(x, [[0, 0, 1], [1, 0, 2], [0, 0, 3], [0, 0, 4]])
    assert unseen == {"k": 2}
    state.inputs({"k": ["c"], "a": [1]}, unseen=unseen)
    assert unseen == {"k": 3}
    assert state.unseen_note(unseen) == (
        "Cells with categories not seen in training, taken as unknown: 'k' 3 "
        "(train with --unknown error to refuse them)."
    )
    assert state.unseen_note({}) is None


def test_unknown_categories_are_an_error_if_asked_for():
    state = Preprocessing.fit(table(list("abab")), "y", unknown="error")
    with pytest.raises(DataError, match="row 2, column 'k': the category 'c' was not seen in"):
        state.inputs({"k": ["a", "c"], "a": [1, 2]})
    assert state.inputs({"k": ["a", ""], "a": [1, 2]}).shape == (2, 3)  # missing is not unknown
    with pytest.raises(ValueError, match=r"Unknown unknown: 'drop'\. Known: error, ignore"):
        Preprocessing.fit(table(list("abab")), "y", unknown="drop")


def test_missing_and_unknown_differ():
    k = ["a", "b", "", "a"]
    state = Preprocessing.fit(table(k), "y", standardize=False)
    x = state.inputs({"k": ["", "c"], "a": [0, 0]})
    np.testing.assert_array_equal(x, [[0, 0, 1, 0], [0, 0, 0, 0]])


def test_a_hundred_thousand_categories():
    rng = np.random.default_rng(0)
    n, texts = 200_000, [f"level {i}" for i in range(100_000)]
    codes = np.append(np.arange(100_000), rng.integers(0, 64, 100_000))
    rest = {name: NumberCells(rng.normal(size=n)) for name in "ay"}
    rows = Table("t", {"k": CodedCells(codes, texts), **rest})
    start = time.process_time()
    state = Preprocessing.fit(rows, "y")
    x = state.inputs(rows)
    seconds = time.process_time() - start
    assert x.shape == (n, 66)
    assert sorted(state.columns[0].categories) == sorted(texts[:64])
    np.testing.assert_array_equal(x[:, 64], codes >= 64)
    assert seconds < 6, seconds


def test_a_missing_category_that_training_did_not_see():
    columns = {"c": ["a", "b"] * 10, "gap": ["a", None] * 10, "y": np.arange(20.0)}
    new = {"c": ["a", None], "gap": ["a", None]}
    state = Preprocessing.fit(columns, "y", "regression")
    filled: dict[str, int] = {}
    x = state.inputs(new, filled=filled)
    np.testing.assert_array_equal(x, [[1, 0, 1, 0], [0, 0, 0, 1]])
    assert filled == {"c": 1} and "'c' 1" in state.filled_note(filled)
    assert state.filled_note({}) is None
    refusing = Preprocessing.fit({"c": columns["c"], "y": columns["y"]}, "y", impute="none")
    with pytest.raises(DataError, match="row 2, column 'c': the value is missing"):
        refusing.inputs({"c": ["a", None]})
