"""Many columns at once have the bits that each column has by itself."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp import datasets
from fastmlp._tables import blocks, csv, doubts
from fastmlp.preprocessing import Preprocessing, _at_once, _checks, _transform


@pytest.fixture(params=[7, 8, 9, 31, 130, 600])
def columns(request):
    """Columns of every size and sign, some with missing cells, text, dates or booleans."""
    n, rng = request.param, np.random.default_rng(request.param)
    made = {}
    for i, scale in enumerate([0, 1e-300, 1e-150, 1e-8, 1, 3, 1e6, 1e149, 1e152, 1e300] * 2):
        values = rng.normal(size=n) * scale
        made[f"n{i}"] = np.round(values) if i > 9 else values
    made["gaps"] = np.where(np.arange(n) % 3 == 1, np.nan, rng.normal(size=n))
    made["equal"] = np.full(n, 0.1)
    made["negative zeros"] = np.where(np.arange(n) % 2, -0.0, 1.0)
    made["true"] = rng.random(n) < 0.7
    made["day"] = np.datetime64("2020-01-01") + rng.integers(0, 900, n)
    made["text"] = rng.choice(["a", "b", "c"], n)
    made["row"] = np.arange(n)
    return made | {"y": rng.normal(size=n)}


def one_by_one(monkeypatch):
    """Have every column treated by itself."""
    monkeypatch.setattr(blocks, "MOST_VALUES", 1)
    monkeypatch.setattr(_at_once, "MOST_VALUES", 1)
    monkeypatch.setattr(_transform, "MOST_VALUES", 1)


@pytest.mark.parametrize("scaling", ["robust", "deviation", False])
@pytest.mark.parametrize("impute", ["median", "mean"])
@pytest.mark.parametrize("part", [False, True])
def test_the_same_bits_as_one_by_one(columns, scaling, impute, part, monkeypatch):
    table = datasets.as_table(columns)
    rows = np.random.default_rng(1).permutation(table.n_rows)[:-2] if part else None
    found = []
    for alone in (False, True):
        if alone:
            one_by_one(monkeypatch)
        with np.errstate(all="ignore"):
            state = Preprocessing.fit(
                table, "y", standardize=scaling, impute=impute, rows=rows, keep=["row", "equal"]
            )
            inputs = state.inputs(table, "float64", drop=["y"]) if scaling else None
        found.append((repr(state.to_dict()), None if inputs is None else inputs.tobytes()))
    assert found[0] == found[1]


def test_many_columns_were_taken_at_once(columns, monkeypatch):
    taken = []
    monkeypatch.setattr(
        _at_once.NumberLearner, "add_plain", lambda self, *a: taken.append(self.name)
    )
    Preprocessing.fit(datasets.as_table(columns), "y")
    assert {"n3", "n4", "equal", "true"} <= set(taken)
    assert not {"n1", "n9", "gaps", "day", "text", "row"} & set(taken)


@pytest.mark.parametrize("cells", [
    ["1", "2", "03"], ["1.5", "2", "03"], ["20200101", "20201231", "20210506"],
    ["20200101", "20201331", "20210506"], ["9007199254740993", "1", "2"], ["", "1", "2"],
    ["-1", *map(str, range(12))], ["9999", *map(str, range(12))], ["-99.5", *map(str, range(12))],
    ["2147483647", *map(str, range(12))], ["-32768", *map(str, range(12))], ["1e400", "1", "2"],
    ["9", *map(str, range(12))], ["1000000000000000", *map(str, range(12))],
])  # fmt: skip
def test_doubts_about_many_columns_are_those_about_one(cells, tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a,b,c", *(f"{cell},{i},0.5" for i, cell in enumerate(cells))]))
    at_once = datasets.read_table(path).notes
    monkeypatch.setattr(doubts, "_ordinary", lambda columns: {})
    assert datasets.read_table(path).notes == at_once


def test_rows_that_occur_twice_are_told_by_place_and_value():
    near = {f"c{i}": np.array([1.0, 0, 0, 0, 1]) for i in range(5)}
    near |= {"c1": np.array([0.0, 1, 0, -1, 0]), "t": np.array(["a", "b", "a", "a", "a"])}
    for names in (list(near), ["c0", "c1"]):
        table = datasets.as_table({name: near[name] for name in names})
        assert _checks._n_repeated(table, names) == 1


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_header_longer_than_what_is_looked_at_first(ends, tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "_HEAD", 20)
    path = tmp_path / "a.csv"
    names = [f"column {i}" for i in range(10)]
    rows = [[str(i * j) for j in range(10)] for i in range(5)]
    path.write_bytes(ends.join([",".join(names), *map(",".join, rows), ""]).encode())
    table = datasets.read_table(path)
    assert table.names == names and table.n_rows == 5
    assert table.values("column 3").tolist() == [0, 3, 6, 9, 12]


def test_a_file_of_long_lines_is_left_to_the_csv_module(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(csv, "_LARGE", 10)
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a,b", *(f"{i},{2 * i}" for i in range(9))]) + "\n")
    kinds = []
    for long in (csv._LONG_LINE, 2):
        monkeypatch.setattr(csv, "_LONG_LINE", long)
        table = datasets.read_table(path)
        kinds.append(type(table.columns["a"]).__name__)
        assert table.values("b").tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert kinds == ["ArrowText", "TextCells"]
