"""The lecture's data, and reading of CSV files."""

from __future__ import annotations

import io

import numpy as np
import pytest

from fastmlp import datasets
from fastmlp.errors import DataError


def read(content, name="t.csv"):
    file = io.BytesIO(content if isinstance(content, bytes) else content.encode())
    file.name = name
    return datasets.read_csv(file)


# ---- the lecture's data ----


def test_regression_data_are_the_lecture_s():
    x, y = datasets.regression_train()
    assert x.shape == y.shape == (50, 1)
    assert x.dtype == y.dtype == np.float32
    np.random.seed(986)
    expected_x = 4 * np.random.random((50, 1)) - 2
    noise = 0.15 * np.random.standard_normal((50, 1))
    expected_y = 0.2 * np.cos(5 * expected_x) - 0.25 * expected_x**2 + noise
    np.testing.assert_array_equal(x, expected_x.astype(np.float32))
    np.testing.assert_array_equal(y, expected_y.astype(np.float32))
    x, y = datasets.regression_validation()
    assert x.shape == y.shape == (1000, 1)
    residual = y - datasets.regression_true_function(x)
    assert residual.std() == pytest.approx(0.15, rel=0.1)  # 4.5 standard errors


def test_classification_data_are_the_lecture_s():
    x, y = datasets.classification_train()
    assert x.shape == (100, 2)
    assert y.shape == (100, 1)
    np.testing.assert_allclose(x[0], [-0.1280, -0.9481], atol=5e-5)
    assert y.sum() == 65
    assert set(np.unique(y)) == {0, 1}
    x, y = datasets.classification_validation()
    assert x.shape == (10_000, 2)
    best = (7 * x[:, 0] ** 2 + 25 * x[:, 1] ** 2 > 5) == (y[:, 0] == 1)
    assert best.mean() == pytest.approx(0.9211, abs=5e-5)


def test_grid_and_curve():
    x = datasets.grid()
    assert x.shape == (101, 1)
    assert (x[0], x[50], x[-1]) == (-2, 0, 2)
    names, grid, curve = datasets.load("regression_curve")
    assert names == ("x", "y")
    np.testing.assert_array_equal(grid, x)
    assert curve[50] == pytest.approx(0.2)


@pytest.mark.parametrize("name", datasets.NAMES)
def test_every_named_set_loads(name):
    names, x, y = datasets.load(name)
    assert len(names) == x.shape[1] + 1
    assert len(x) == len(y)
    assert y.shape[1] == 1


def test_an_unknown_set_is_named():
    with pytest.raises(ValueError, match="'mnist'"):
        datasets.load("mnist")


# ---- tables ----


def test_a_table_keeps_order_text_and_lines():
    table = read('a, b ,"c d"\n1,x,"2"\r\n3,"y,""z",4\n')
    assert table.names == ["a", "b", "c d"]
    assert table.n_rows == 2
    assert table.text("b") == ["x", 'y,"z']
    np.testing.assert_array_equal(table.numbers("a"), [1, 3])
    assert table.numbers("b") is None
    assert table.where(1, "b") == "t.csv: row 2 (line 3), column 'b'"


def test_paths_and_byte_order_marks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffa,b\n1,ü\n".encode())
    for given in (path, str(path)):
        table = datasets.read_csv(given)
        assert table.names == ["a", "b"]
        assert table.text("b") == ["ü"]


def test_lines_count_line_breaks_within_quotes():
    table = read('a,b\n"1\n\n",2\n3,4\n')
    assert table.where(1, "a") == "t.csv: row 2 (line 5), column 'a'"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings(ending):
    table = read(ending.join(["a,b", "1,2", "3,4", ""]))
    np.testing.assert_array_equal(table.numbers("b"), [2, 4])


def test_missing_cells():
    table = read("a,b\n1,red\n,\nNA,n/a\nNaN,null\n 5 ,  blue\n")
    np.testing.assert_array_equal(table.numbers("a"), [1, np.nan, np.nan, np.nan, 5])
    assert table.text("b") == ["red", "", "", "", "blue"]


def test_blank_lines():
    assert read("a,b\n1,2\n\n3,4\n\n\n").n_rows == 2
    one_column = read("a\n1\n\n3\n\n\n")
    np.testing.assert_array_equal(one_column.numbers("a"), [1, np.nan, 3])
    assert one_column.where(2, "a") == "t.csv: row 3 (line 4), column 'a'"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv: the file is empty"),
        ("\n\n", "t.csv: the file is empty"),
        ("a,b\n", "t.csv: there is a header but no rows"),
        ("a,b\n\n", "t.csv: there is a header but no rows"),
        ("1,2.5\n3,4\n", "t.csv: the first row holds numbers (1, 2.5)"),
        ("1,2,3,4\n3,4,5,6\n", "t.csv: the first row holds numbers (1, 2, 3, ...)"),
        ("a,b,a\n1,2,3\n", "names column 'a' twice, as columns 1 and 3"),
        ("a,,b\n1,2,3\n", "t.csv: the header (line 1): column 2 has no name"),
        ("a,b,c\n1,2,3\n4\n", "row 2 (line 3) has 1 fields, expected 3: nothing for column 'b'"),
        ("a,b\n1,2,3\n", "row 1 (line 2) has 3 fields, expected 2: one too many after column 'b'"),
        (b"a,b\n1,2\n3,\x81t\n", "t.csv: line 3: neither UTF-8 nor CP1252 text; name the encoding"),
        (b"a,b\n\xc3\xa9,2\n3,\xe9t\xe9\n", "t.csv: line 3: not UTF-8 text, while line 2 is; save"),
        (b"a,b\n1,\0\n", "t.csv: line 2 holds a NUL byte; expected text"),
        (b"\xff\xfea\0,\0b\0\n", "t.csv: line 1: not UTF-16 text; name the encoding"),
        ('a,b\n1,"2\n', "t.csv: row 1 (line 2): a quoted field is not closed"),
        ('a,b\n1,"2"3\n', "t.csv: row 1 (line 2): ',' expected after '\"'"),
        ("a\n" + "x" * 200_000, "t.csv: row 1 (line 2): field larger than field limit"),
    ],
)
def test_what_is_no_table_is_one_clear_error(content, message):
    with pytest.raises(DataError) as caught:
        read(content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file or directory"):
        datasets.read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="is a directory"):
        datasets.read_csv(tmp_path)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1", "2", "x"], "row 3 (line 4), column 'a': 'x' is text, but the column mixes"),
        (["x", "2", "y"], "row 2 (line 3), column 'a': '2' is a number, but the column mixes"),
        (["1", "1_000"], "row 2 (line 3), column 'a': '1_000' is text"),
        (["1", "inf"], "row 2 (line 3), column 'a': 'inf' is not a finite number"),
        (["-Infinity", "2"], "row 1 (line 2), column 'a': '-Infinity' is not a finite number"),
        (["1", "", "1e999"], "row 3 (line 4), column 'a': '1e999' is not a finite number"),
    ],
)
def test_cells_that_are_no_numbers_are_named(cells, message):
    table = read("a,b\n" + "\n".join(f'"{cell}",1' for cell in cells) + "\n")
    with pytest.raises(DataError) as caught:
        table.numbers("a")
    assert str(caught.value).startswith("t.csv: " + message)


@pytest.mark.parametrize(
    ("name", "hint"), [("prise", "'price'"), ("ROOMS", "'rooms'"), ("zzz", None)]
)
def test_an_unknown_column_suggests_the_nearest_and_lists_all(name, hint):
    table = read("rooms,price\n1,2\n")
    with pytest.raises(DataError) as caught:
        table.require(name, "target column")
    assert f"there is no target column '{name}'" in str(caught.value)
    assert "Columns: rooms, price" in str(caught.value)
    assert ("Did you mean" in str(caught.value)) == (hint is not None)
    assert hint is None or f"Did you mean {hint}?" in str(caught.value)


def test_written_numbers_come_back_exactly():
    file = io.StringIO()
    x = np.array([0.1, 1 / 3, 1e-30, 12345.678], np.float32)
    z = np.array([0.1, 1 / 3, 1e-300, np.pi])
    datasets.write_csv(file, ["x", "z", "name"], [x, z, ["a", "b,c", 'd"', ""]])
    assert file.getvalue().splitlines()[1] == "0.1,0.1,a"
    table = read(file.getvalue())
    np.testing.assert_array_equal(table.numbers("x").astype(np.float32), x)
    np.testing.assert_array_equal(table.numbers("z"), z)
    assert table.text("name") == ["a", "b,c", 'd"', ""]
