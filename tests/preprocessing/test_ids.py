"""Ids are left out, and warnings tell of columns that give the target away and of repeated rows."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp.errors import DataError
from fastmlp.preprocessing import Preprocessing
from fastmlp.preprocessing._ids import RowNumbers, is_index_like

N = 60
RNG = np.random.default_rng(5)
A, Y = RNG.normal(size=N), RNG.normal(size=N)


def fitted(task="regression", y=Y, **columns):
    options = {name: columns.pop(name) for name in ("keep", "rows") if name in columns}
    return Preprocessing.fit({**columns, "y": y}, "y", task, **options)


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("", True), ("id", True), ("ID", True), ("index", True), ("row", True), ("Row_ID", True),
        ("Unnamed: 0", True), ("unnamed: 0.1", True), ("PassengerId", True), ("customer_id", True),
        ("__index_level_0__", True), ("userID", True), ("Store ID", True),
        ("year", False), ("time", False), ("paid", False), ("grid", False), ("bid", False),
        ("rows per page", False), ("x1", False), ("idle", False), ("PAID", False),
    ],
)  # fmt: skip
def test_names_of_indexes(name, like):
    assert is_index_like(name) == like


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        (np.arange(N), True),
        (1 + np.arange(N), True),
        (RNG.permutation(N), True),
        (2 + np.arange(N), False),  # neither from 0 nor from 1
        (2 * np.arange(N), False),
        (np.arange(N) + 0.5, False),
        (np.append(np.arange(N - 1), 0), False),
        (np.append(np.arange(N - 1), np.nan), False),
        (np.append(np.arange(N - 2) + 0.25, [0, N - 1]), False),
    ],
)
def test_numbers_that_count_the_rows(values, counts):
    state = fitted(id=values, a=A)
    assert state.dropped == (["id"] if counts else [])
    assert [name for name in state.input_names if "missing" not in name] == (
        ["a"] if counts else ["id", "a"]
    )
    assert any("--keep id" in note for note in state.notes) == counts


def test_numbers_in_parts_must_be_in_order():
    for first, second, counts in (([1, 2], [3, 4], True), ([1, 2], [4, 3], False)):
        rows = RowNumbers()
        rows.add(np.array(first, float))
        rows.add(np.array(second, float))
        assert rows.count_up(4) == counts
        assert not rows.count_up(5)


def test_what_rises_with_the_row_is_not_an_id():
    state = fitted(year=1960 + np.arange(N), t=np.arange(N), a=A)
    assert state.input_names == ["year", "t", "a"]
    assert state.dropped == []


def test_text_that_differs_in_every_row():
    names = [f"person {i}" for i in range(N)]
    state = fitted(name=names, a=A)
    assert state.input_names == ["a"]
    assert state.notes[0] == "Left out as an id: 'name' (--keep name uses it)."
    # A later table may have it or not.
    assert state.inputs({"name": ["someone"], "a": [0.0]}).shape == (1, 1)
    assert state.inputs({"a": [0.0]}).shape == (1, 1)
    assert fitted(name=names, a=A, keep=["name"]).n_inputs == 61
    assert fitted(name=[*names[:-1], names[0]], a=A).dropped == []
    few = Preprocessing.fit({"k": names[:19], "a": A[:19], "y": Y[:19]}, "y")
    assert few.dropped == []
    many = Preprocessing.fit({"k": names[:20], "a": A[:20], "y": Y[:20]}, "y")
    assert many.dropped == ["k"]


def test_a_declared_category_is_not_an_id():
    table = {"k": [f"person {i}" for i in range(N)], "a": A, "y": Y}
    assert Preprocessing.fit(table, "y", categorical=["k"]).dropped == []


def test_the_last_input_stays():
    state = fitted(id=np.arange(N))
    assert state.input_names == ["id"] and state.dropped == []
    state = fitted(id=np.arange(N), name=[f"n{i}" for i in range(N)])
    assert state.input_names == ["id"] and state.dropped == ["name"]
    assert fitted(id=np.arange(N), a=A, keep="id").input_names == ["id", "a"]
    with pytest.raises(DataError, match="there is no column 'ix'"):
        fitted(id=np.arange(N), a=A, keep=["ix"])


def test_ids_are_found_in_the_whole_table_not_in_the_training_rows():
    rows = np.arange(0, N, 2)
    assert fitted(id=np.arange(N), a=A, rows=rows).dropped == ["id"]
    name = [f"n{i // 2}" for i in range(N)]  # different in the training rows
    assert fitted(name=name, a=A, rows=rows).dropped == []


# ---- leakage -----------------------------------------------------------------------------------


def warned(state):
    return [note for note in state.notes if note.startswith("Warning: ")]


@pytest.mark.parametrize(
    "leak", [Y, -3 * Y + 2, np.exp(Y), np.where(np.arange(N) == 3, np.nan, Y), Y + 0.001 * A]
)
def test_a_column_that_is_the_target(leak):
    (warning,) = warned(fitted(copy=leak, a=A))
    assert "'copy' predicts the target 'y' all by itself" in warning and "--drop copy" in warning


@pytest.mark.parametrize(
    "honest", [Y + 0.1 * A, np.round(Y), Y**2, np.where(np.arange(N) < 40, np.nan, Y)]
)
def test_a_column_that_only_helps(honest):
    assert warned(fitted(helps=honest, a=A)) == []


def test_what_gives_classes_away():
    y = (Y > 0).astype(int)
    for leak in (y, 1 - y, Y, np.where(y > 0, "yes", "no"), y > 0):
        (warning,) = warned(fitted("classification", y, copy=leak, a=A))
        assert "'copy' predicts" in warning
    three = np.digitize(Y, [-0.5, 0.5])
    codes = np.array(["u", "v", "w"])[three]
    assert len(warned(fitted("classification", codes, copy=Y, other=three, a=A))) == 1
    for helps in (Y + 0.5 * A, np.where(np.arange(N) == 0, 1 - y, y), [f"k{i % 30}" for i in Y]):
        assert warned(fitted("classification", y, helps=helps, a=A)) == []


def test_a_category_that_determines_a_number():
    place = RNG.integers(0, 5, N)
    assert len(warned(fitted(y=place * 1.5, k=np.array(list("abcde"))[place], a=A))) == 1
    assert warned(fitted(y=np.arange(N) // 2, k=[f"k{i // 2}" for i in range(N)], a=A)) == []


def test_few_rows_give_nothing_away():
    assert warned(Preprocessing.fit({"copy": Y[:29], "y": Y[:29]}, "y")) == []


def test_a_leak_that_the_first_rows_suggest_is_tried_on_all():
    n = 5000
    y = RNG.normal(size=n)
    copy = y.copy()
    sampled = np.linspace(0, n - 1, 1000).astype(int)
    others = np.setdiff1d(np.arange(n), sampled)
    copy[others] = RNG.normal(size=len(others))
    assert warned(Preprocessing.fit({"copy": copy, "y": y}, "y")) == []


# ---- rows that occur twice ---------------------------------------------------------------------


def test_repeated_rows_are_counted():
    again = np.append(np.arange(N), [3, 3, 7])
    k = np.array(list("uv"))[np.arange(N) % 2]
    (warning,) = warned(fitted(y=Y[again], a=A[again], k=k[again]))
    assert warning.startswith("Warning: 3 rows occur more than once in the table")
    y = Y[again].copy()
    y[-1] += 1  # the same inputs, another target
    assert warned(fitted(y=y, a=A[again], k=k[again]))[0].startswith("Warning: 2 rows")
    assert warned(fitted(a=A, k=k)) == []


def test_an_id_does_not_tell_rows_apart():
    again = np.append(np.arange(N), [3])
    (warning,) = warned(fitted(y=Y[again], a=A[again], id=np.arange(N + 1)))
    assert warning.startswith("Warning: 1 row occurs")


# ---- constants ---------------------------------------------------------------------------------


def test_constants_are_left_out():
    columns = {"a": A, "c": np.full(N, 5.0), "k": ["one"] * N, "gap": [1.0, np.nan] * (N // 2)}
    state = fitted(**columns)
    assert state.dropped == ["c", "k"] and [c.name for c in state.columns] == ["a", "gap"]
    assert "Left out, because it is the same in all rows: 'c', 'k'." in state.notes
    kept = fitted(**columns, keep=["c"])
    assert [c.name for c in kept.columns] == ["a", "c", "gap"]
    assert "The same in all rows, and so of no use: 'c'." in kept.notes
    # Another value later does not disturb.
    later = {"a": A, "c": np.full(N, 99.0), "k": ["two"] * N, "gap": columns["gap"]}
    np.testing.assert_array_equal(state.inputs(later), state.inputs(columns))


def test_a_column_that_varies_in_some_rows_only_is_kept_in_every_part():
    varies = np.append(np.full(N - 1, 5.0), 6.0)
    state = fitted(a=A, c=varies, rows=np.arange(30))
    assert [c.name for c in state.columns] == ["a", "c"] and not state.dropped


def test_something_is_left_where_all_is_constant_or_an_id():
    state = fitted(c=np.full(N, 5.0))
    assert [c.name for c in state.columns] == ["c"]
    state = fitted(id=np.arange(N), c=np.full(N, 5.0))
    assert [c.name for c in state.columns] == ["id"]
    assert any("'id' looks like an id and is used only because" in n for n in state.notes)


def test_inverses_give_the_target_away():
    y = np.where(abs(Y) < 0.01, 1, Y)
    for x in (1 / y, -3 * y + 1, np.exp(y), np.round(y, 2)):
        assert any("'x' predicts the target" in n for n in fitted(y=y, x=x, a=A).notes)
    assert not any("predicts" in n for n in fitted(y=y, x=abs(y), a=A).notes)


def test_tiny_numbers_keep_their_spread():
    state = fitted(y=Y * 1e-200, a=A)
    assert state.target.scale == pytest.approx(Y.std() * 1e-200)
    y = state.targets({"y": Y * 1e-200}, "float64")
    assert y.std() == pytest.approx(1)


# ---- classes that may be a mistake -------------------------------------------------------------


def test_classes_that_differ_in_case_or_spaces():
    y = ["yes", "Yes", "no", "No  "] * (N // 4)
    notes = fitted("classification", y, a=A).notes
    assert any(
        "differ only in case or spaces" in n
        and "'Yes', 'yes'" in n.replace("'yes', 'Yes'", "'Yes', 'yes'")
        for n in notes
    )
    notes = fitted("classification", ["yes", "no"] * (N // 2), a=A).notes
    assert not any("case or spaces" in n for n in notes)


def test_a_class_for_each_row():
    notes = fitted("classification", [f"k{i}" for i in range(N)], a=A).notes
    assert any(f"{N} classes in {N} rows" in n for n in notes)
    notes = fitted("classification", [f"k{i % 12}" for i in range(N)], a=A).notes
    assert not any("classes in" in n for n in notes)
