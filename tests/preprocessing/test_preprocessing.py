"""From a table to arrays and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp.datasets import Table
from fastmlp.errors import DataError, ModelFileError
from fastmlp.preprocessing import Column, Preprocessing, Target, choose_task, split


def table(source="t.csv", **columns):
    cells = {name: [str(cell) for cell in column] for name, column in columns.items()}
    n = len(next(iter(cells.values())))
    return Table(source, cells, range(2, n + 2))


def message(function, *args, **options):
    with pytest.raises(DataError) as caught:
        function(*args, **options)
    return str(caught.value)


# ---- inputs ----


def test_numbers_are_used_as_they_are():
    t = table(a=[1, 2, 4], b=[0.5, -1, 3], y=[1, 2, 3.5])
    state = Preprocessing.fit(t, "y", "regression", standardize=False)
    assert state.input_names == ["a", "b"]
    x, y = state.inputs(t), state.targets(t)
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(x, [[1, 0.5], [2, -1], [4, 3]])
    np.testing.assert_array_equal(y, [[1], [2], [3.5]])
    np.testing.assert_array_equal(state.values(y), [1, 2, 3.5])


def test_standardised_inputs_and_target():
    t = table(a=[1, 2, 3, 6], c=[7, 7, 7, 7], y=[10, 20, 30, 60])
    state = Preprocessing.fit(t, "y", "regression", standardize="deviation", keep=["c"])
    x, y = state.inputs(t, "float64"), state.targets(t, "float64")
    a = np.array([1, 2, 3, 6])
    np.testing.assert_allclose(x[:, 0], (a - 3) / a.std())
    np.testing.assert_array_equal(x[:, 1], 0)  # a constant column is no information, not NaN
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-15)
    np.testing.assert_allclose(state.values(y), [10, 20, 30, 60])
    assert state.values(y.astype(np.float32)).dtype == np.float64


def test_an_outlier_does_not_squeeze_the_rest():
    a = np.array([*range(20), 1e6])
    t = table(a=a, y=range(21))
    state = Preprocessing.fit(t, "y", "regression")
    z = (a - 10) / 10  # median and interquartile range
    x = state.inputs(t, "float64")[:, 0]
    np.testing.assert_allclose(x, z / np.sqrt(1 + (z / 3) ** 2))
    assert x[19] - x[0] > 1.7 and x[20] < 3
    np.testing.assert_allclose(state.columns[0].restored(x)[:20], a[:20], atol=1e-12)
    deviation = Preprocessing.fit(t, "y", "regression", standardize="deviation").inputs(t)
    assert deviation[19, 0] - deviation[0, 0] < 1e-4  # why


def test_a_column_that_is_mostly_the_same_is_scaled_by_its_deviation():
    a = np.array([0.0] * 17 + [1, 2, 3])
    state = Preprocessing.fit(table(a=a, y=range(20)), "y", "regression")
    assert (state.columns[0].mean, state.columns[0].scale) == (0, pytest.approx(a.std()))
    with pytest.raises(ValueError, match="Unknown standardize: 'z'"):
        Preprocessing.fit(table(a=a, y=range(20)), "y", standardize="z")


def test_a_constant_column_that_rounds_is_still_constant():
    t = table(a=[0.1] * 10, y=range(10))
    state = Preprocessing.fit(t, "y", "regression", standardize=True)
    assert np.abs(state.inputs(t)).max() < 1e-6


def test_only_the_training_rows_set_the_scale():
    t = table(a=[1, 3, 1000], k=["u", "u", "v"], y=[1, 2, 3])
    rows = np.array([0, 1])
    state = Preprocessing.fit(t, "y", "regression", standardize=True, impute="mean", rows=rows)
    assert (state.columns[0].mean, state.columns[0].scale, state.columns[0].fill) == (2, 1, 2)
    assert state.columns[1].categories == ["u", "v"]


def test_text_becomes_one_input_a_category():
    t = table(colour=["red", "blue", "red"], n=[1, 2, 3], y=[1, 2, 3])
    state = Preprocessing.fit(t, "y", "regression", standardize=True)
    assert state.input_names == ["colour=blue", "colour=red", "n"]
    assert state.n_inputs == 3
    np.testing.assert_array_equal(state.inputs(t)[:, :2], [[0, 1], [1, 0], [0, 1]])


def test_numbers_declared_categorical():
    t = table(zone=["1", "2", "x"], y=[1, 2, 3])
    state = Preprocessing.fit(t, "y", "regression", categorical=["zone"], standardize=False)
    assert state.input_names == ["zone=1", "zone=2", "zone=x"]


def test_dropped_columns_may_hold_anything():
    t = table(id=["a", 1], a=[1, 2], y=[1, 2])
    state = Preprocessing.fit(t, "y", "regression", drop=["id"], standardize=False)
    assert state.input_names == ["a"]
    assert "no input column" in message(Preprocessing.fit, t, "y", "regression", drop=["id", "a"])


@pytest.mark.parametrize(("impute", "fill"), [("mean", 3), ("median", 2)])
def test_missing_values_are_imputed_when_told(impute, fill):
    t = table(a=[1, "", 2, 6], k=["u", "v", "NA", "v"], y=[1, 2, 3, 4])
    state = Preprocessing.fit(t, "y", "regression", impute=impute, standardize=False)
    assert state.input_names == ["a", "a missing", "k=u", "k=v", "k missing"]
    np.testing.assert_array_equal(
        state.inputs(t), [[1, 0, 1, 0, 0], [fill, 1, 0, 1, 0], [2, 0, 0, 0, 1], [6, 0, 0, 1, 0]]
    )
    # What a later table misses is filled from the training rows as well.
    later = table(a=["", "9"], k=["", "u"])
    np.testing.assert_array_equal(state.inputs(later), [[fill, 1, 0, 0, 1], [9, 0, 1, 0, 0]])
    assert state.notes == [
        f"Missing: a 25%, k 25%; filled by the {impute}, with an indicator; missing categories are "
        "a category of their own (--impute none refuses)."
    ]


def test_without_an_indicator_a_missing_category_is_none():
    t = table(a=[1, "", 2, 6], k=["u", "v", "NA", "v"], y=[1, 2, 3, 4])
    state = Preprocessing.fit(t, "y", "regression", indicator=False, standardize=False)
    np.testing.assert_array_equal(state.inputs(t), [[1, 1, 0], [2, 0, 1], [2, 0, 0], [6, 0, 1]])
    assert "missing categories are no category" in state.notes[0]


def test_what_the_training_rows_miss_altogether_is_filled_by_0():
    t = table(a=[1, 2, ""], k=["b", "a", ""], y=[1, 2, 3])
    state = Preprocessing.fit(t, "y", "regression", rows=np.array([2]), standardize=False)
    np.testing.assert_array_equal(state.inputs(table(a=[""], k=[""])), [[0, 1, 0, 0, 1]])


def test_an_empty_column_is_left_out():
    t = table(a=["", ""], b=[1, 2], k=["", ""], y=[1, 2])
    state = Preprocessing.fit(t, "y", "regression", categorical=["k"])
    assert state.input_names == ["b"] and state.dropped == ["a", "k"]
    assert state.notes == ["Left out, because there is no value: 'a', 'k'."]
    t = table(a=["", ""], y=[1, 2])
    assert "column 'a' has no values, and there is no other input" in message(
        Preprocessing.fit, t, "y", "regression"
    )


def test_huge_values_do_not_overflow_while_standardised():
    t = table(a=[1e308, 1.5e308, 1.2e308], y=[1, 2, 3])
    state = Preprocessing.fit(t, "y", "regression", standardize=True)
    assert np.abs(state.inputs(t)).max() < 2
    plain = Preprocessing.fit(t, "y", "regression", standardize=False)
    assert "row 1 (line 2), column 'a': '1e+308' is too large for float32" in message(
        plain.inputs, t
    )
    assert state.inputs(table(a=[-1.7e308])) == -3
    linear = Preprocessing.fit(t, "y", "regression", standardize="deviation")
    assert "'-1.7e+308' is too large" in message(linear.inputs, table(a=[-1.7e308]))
    apart = table(a=[1e308, -1.5e308], y=[1, 2])
    assert "too far apart" in message(Preprocessing.fit, apart, "y", "regression", standardize=True)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"a": [1, ""], "y": [1, 2]}, "row 2 (line 3), column 'a': the value is missing;"),
        ({"a": [1, "nan"], "y": [1, 2]}, "column 'a': the value is missing ('nan')"),
        ({"a": ["u", "null"], "y": [1, 2]}, "column 'a': the value is missing ('null')"),
        ({"a": [1, 2], "y": [1, "NA"]}, "t.csv: 1 row with a target; expected at least two"),
        ({"a": [1, 2], "y": ["u", "v"]}, "row 1 (line 2), column 'y': 'u' is text; a regression"),
        ({"a": [1, "x"], "y": [1, 2]}, "row 2 (line 3), column 'a': 'x' is text, but the column"),
    ],
)
@pytest.mark.parametrize("impute", ["none", None])
def test_cells_that_cannot_be_used_are_named(columns, text, impute):
    assert text in message(Preprocessing.fit, table(**columns), "y", "regression", impute=impute)


# ---- a later table ----


@pytest.fixture
def fitted():
    t = table(a=[1, 2, 3], k=["u", "v", "u"], y=[1.5, 2, 3])
    return Preprocessing.fit(
        t, "y", "regression", standardize=False, impute="none", unknown="error"
    )


def test_the_target_and_another_order_do_not_matter(fitted):
    x = fitted.inputs(table(k=["v"], y=["?"], a=[5]))
    np.testing.assert_array_equal(x, [[5, 0, 1]])


def test_extra_columns_are_refused_or_dropped(fitted):
    t = table(z=["q"], k=["v"], a=[5], more=[1])
    assert message(fitted.inputs, t) == (
        "t.csv: columns 'z', 'more' were not there in training; leave them out with drop (--drop z)"
    )
    assert "column 'z' was not there" in message(fitted.inputs, t, drop=["more"])
    np.testing.assert_array_equal(fitted.inputs(t, drop=["more", "z"]), [[5, 0, 1]])


def test_what_training_dropped_may_be_there_again():
    t = table(z=["q", "r", "s"], a=[1, 2, 3], y=[1.5, 2, 3])
    fitted = Preprocessing.fit(t, "y", drop=["z"], standardize=False)
    for state in (fitted, Preprocessing.from_dict(fitted.to_dict())):
        np.testing.assert_array_equal(state.inputs(t), [[1], [2], [3]])
    old = {k: v for k, v in fitted.to_dict().items() if k != "dropped"}
    assert Preprocessing.from_dict(old).dropped == []


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"A": [1], "k": ["u"]}, "there is no input column 'a'. Did you mean 'A'?"),
        ({"z": [1]}, "there are no input columns 'a', 'k'. Columns: z"),
        ({"a": [1], "k": ["w"]}, "row 1 (line 2), column 'k': the category 'w' was not seen"),
        ({"a": [1], "k": [""]}, "row 1 (line 2), column 'k': the value is missing"),
        ({"a": ["p"], "k": ["u"]}, "column 'a': 'p' is text; the model was trained on numbers"),
        ({"a": [1, ""], "k": ["u", "u"]}, "row 2 (line 3), column 'a': the value is missing"),
    ],
)
def test_a_table_that_does_not_fit_is_named(fitted, columns, text):
    assert text in message(fitted.inputs, table(**columns))


# ---- targets ----


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ([1, 0, 1], [0, 1]),
        ([10, 9, 100], [9, 10, 100]),
        ([0.5, 1.5, 0.5], [0.5, 1.5]),
        (["yes", "no", "yes"], ["no", "yes"]),
        (["True", "False", "True"], ["False", "True"]),
        (["007", "7", "07"], ["007", "07", "7"]),
        (["1.50", "2", "2"], ["1.50", "2"]),
    ],
)
def test_labels_are_kept_as_they_were_written(cells, labels):
    t = table(a=[1, 2, 3], y=cells)
    state = Preprocessing.fit(t, "y", "classification")
    assert state.target.labels == labels
    assert state.n_outputs == (1 if len(labels) == 2 else len(labels))
    codes = state.targets(t)[:, 0].astype(int)
    assert [str(labels[code]) for code in codes] == [str(cell) for cell in cells]


def test_a_number_may_be_written_otherwise_later():
    state = Preprocessing.fit(table(a=[1, 2], y=[0, 1]), "y", "classification")
    np.testing.assert_array_equal(state.targets(table(y=["1.0", "0"])), [[1], [0]])
    assert "'2' is not one of the classes '0', '1'" in message(state.targets, table(y=[2]))
    assert "'x' is not one of the classes" in message(state.targets, table(y=["x"]))
    assert "no target column 'y'" in message(state.targets, table(z=["x"]))


def test_one_class_or_too_many():
    for cells in (["k", "k"], [1, 1]):
        t = table(a=[1, 2], y=cells)
        assert "column 'y' holds one class only" in message(
            Preprocessing.fit, t, "y", "classification"
        )
    t = table(a=range(1001), y=range(1001))
    assert "has more than 1000 classes" in message(Preprocessing.fit, t, "y", "classification")


def test_outputs_become_labels_and_probabilities():
    two = Preprocessing.plain(["a"], "y", "classification", ["no", "yes"])
    labels, probabilities = two.classes(np.array([[0.25], [0.5], [0.75]]))
    assert labels == ["no", "no", "yes"]
    np.testing.assert_allclose(probabilities, [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
    three = Preprocessing.plain(["a"], "y", "classification", [3, 5, 8])
    labels, probabilities = three.classes(np.array([[0.2, 0.7, 0.1], [0.4, 0.1, 0.5]]))
    assert labels == [5, 8]
    assert probabilities.shape == (2, 3)


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["a", "b"], "classification"),
        (["True", "False"], "classification"),
        ([0, 1, 1], "classification"),
        ([1, 2, 1], "classification"),
        ([1, 1, 1], "classification"),
        ([0, 1, 2], "regression"),
        ([0.5, 1, 0.5], "regression"),
    ],
)
def test_the_task_is_read_from_the_target(cells, task):
    t = table(y=cells)
    chosen, reason = choose_task(t, "y")
    assert chosen == task
    assert "'y'" in reason
    assert choose_task(t, "y", ["y"])[0] == "classification"


def test_split_is_seeded_disjoint_and_complete():
    train, held = split(100, 0.2, 5)
    assert (len(train), len(held)) == (80, 20)
    assert sorted([*train, *held]) == list(range(100))
    assert (np.diff(held) > 0).all()
    np.testing.assert_array_equal(split(100, 0.2, 5)[1], held)
    assert not np.array_equal(split(100, 0.2, 6)[1], held)
    assert len(split(3, 0.01, 0)[1]) == 1
    assert "1 rows are too few" in message(split, 1, 0.5, 0)


def test_split_holds_out_the_same_share_of_each_class():
    classes = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    train, held = split(100, 0.2, 5, classes)
    assert sorted([*train, *held]) == list(range(100))
    assert [np.count_nonzero(classes[held] == name) for name in "abc"] == [12, 6, 2]
    np.testing.assert_array_equal(split(100, 0.2, 5, classes)[1], held)
    assert not np.array_equal(split(100, 0.2, 6, classes)[1], held)
    # Only which rows are of one class counts, not what the classes are called.
    renamed = np.array([{"a": 2, "b": 0, "c": 1}[name] for name in classes])
    np.testing.assert_array_equal(split(100, 0.2, 5, renamed)[1], held)
    with pytest.raises(ValueError, match=r"classes must have shape \(4,\)"):
        split(4, 0.5, 1, [1, 2, 3])


def test_a_class_keeps_a_row_for_training_while_another_can_give_one():
    for seed in range(20):
        classes = np.array([0] * 7 + [1] + [2, 2])
        train, held = split(10, 0.5, seed, classes)
        assert set(classes[train]) == {0, 1, 2} and len(held) == 5
    assert len(split(3, 0.4, 0, [1, 2, 3])[1]) == 1  # every class has one row


def test_tables_are_standardised_by_default():
    t = table(a=[1, 2, 4], y=[1, 2, 3.5])
    assert Preprocessing.fit(t, "y") == Preprocessing.fit(t, "y", standardize=True)


def test_scaling_is_for_numbers_alone(fitted):
    with pytest.raises(ValueError, match="'k' is categorical"):
        fitted.scaling()
    t = table(a=[1, 3], y=[1, 2])
    means, scales = Preprocessing.fit(t, "y", "regression", standardize="deviation").scaling()
    assert (means, scales) == ([2], [1])
    robust = Preprocessing.fit(t, "y", "regression")
    with pytest.raises(ValueError, match="'a' is not scaled linearly, but robustly"):
        robust.scaling()
    own = np.array([[-1.0], [2.5], [4]])
    np.testing.assert_allclose(robust.in_units(robust.from_units(own)), own)
    np.testing.assert_array_equal(
        robust.from_units(own), robust.inputs({"a": own[:, 0]}, "float64")
    )


# ---- JSON ----


def test_the_state_is_plain_json():
    t = table(a=[1, "", 3], k=["u", "v", "u"], y=["p", "q", "r"])
    state = Preprocessing.fit(t, "y", "classification", standardize=True, impute="median")
    document = json.loads(json.dumps(state.to_dict(), allow_nan=False))
    again = Preprocessing.from_dict(document)
    assert again == state
    np.testing.assert_array_equal(again.inputs(t), state.inputs(t))


def test_a_damaged_state_is_refused():
    good = Preprocessing(
        "classification",
        [Column("a", fill=1.0), Column("k", "categorical", fill="u", categories=["u", "v"])],
        Target("y", labels=["p", "q"]),
    ).to_dict()
    assert Preprocessing.from_dict(good).to_dict() == good
    for column in good["columns"]:
        del column["indicator"]  # as a state without any may be written
    assert not any(column.indicator for column in Preprocessing.from_dict(good).columns)
    good["columns"][0] |= {"kind": "date", "indicator": True}

    def spoilt(path, value):
        copy = json.loads(json.dumps(good))
        place = copy
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return copy

    bad = [
        None,
        [],
        {},
        spoilt(["version"], 2),
        spoilt(["task"], "clustering"),
        spoilt(["columns"], []),
        spoilt(["columns"], {}),
        spoilt(["columns", 0], {}),
        spoilt(["columns", 0, "extra"], 1),
        spoilt(["columns", 0, "name"], 5),
        spoilt(["columns", 0, "kind"], "other"),
        spoilt(["columns", 0, "indicator"], 1),
        spoilt(["columns", 0, "fill"], None),  # an indicator, but nothing to fill in
        spoilt(["columns", 0, "mean"], "nan"),
        spoilt(["columns", 0, "mean"], 10**400),
        spoilt(["columns", 0, "scale"], 0),
        spoilt(["columns", 0, "fill"], "inf"),
        spoilt(["columns", 0, "categories"], ["u"]),
        spoilt(["columns", 1, "categories"], ["u", "u"]),
        spoilt(["columns", 1, "categories"], ["u", 5]),
        spoilt(["columns", 1, "categories"], []),
        spoilt(["columns", 1, "fill"], "w"),
        spoilt(["target", "labels"], ["p"]),
        spoilt(["target", "labels"], []),
        spoilt(["target", "labels"], ["p", None]),
        spoilt(["target", "labels"], [True, False]),
        spoilt(["target", "labels"], ["p", "p"]),
        spoilt(["target", "name"], None),
        spoilt(["target", "scale"], -1),
        spoilt(["task"], "regression"),
        spoilt(["dropped"], "a"),
        spoilt(["dropped"], [5]),
    ]
    for document in bad:
        with pytest.raises(ModelFileError, match=r"^m\.fmlp: damaged preprocessing"):
            Preprocessing.from_dict(document, "m.fmlp")
