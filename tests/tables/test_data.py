"""Users' own data: every format, every kind of column, and what is no table."""

from __future__ import annotations

import datetime as dt
import decimal
import importlib
import io
import sys

import numpy as np
import pytest

from fastmlp import datasets, layers, models
from fastmlp._tables import csv, files
from fastmlp.errors import DataError
from fastmlp.preprocessing import Preprocessing

from ..support.bad_tables import MISFITS, TRAINED, WITH_EXTRA, WITHOUT_EXTRA

COLUMNS = {
    "n": [1.5, None, 3.0, -2.0],
    "flag": [True, False, None, True],
    "day": [dt.date(2024, 5, 31), dt.date(1970, 1, 2), None, dt.date(1969, 12, 31)],
    "colour": ["red", None, "blue", "red"],
    "y": [1, 2, 3, 5],
}
CSV = (
    "n,flag,day,colour,y\n1.5,true,2024-05-31,red,1\n,false,1970-01-02,NA,2\n"
    "3,,,blue,3\n-2,TRUE,1969-12-31,red,5\n"
)
DAYS = [19874, 1, np.nan, -1]


def as_pandas():
    return pytest.importorskip("pandas").DataFrame(COLUMNS)


def as_polars():
    return pytest.importorskip("polars").DataFrame(COLUMNS)


def as_arrow():
    return pytest.importorskip("pyarrow").table(COLUMNS)


def csv_table():
    return datasets.read_csv(io.BytesIO(CSV.encode()))


def message(function, *args, **options):
    with pytest.raises(DataError) as caught:
        function(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- kinds of columns ----


@pytest.mark.parametrize(
    "make",
    [csv_table, as_pandas, as_polars, as_arrow, lambda: dict(COLUMNS)],
    ids=["csv", "pandas", "polars", "arrow", "mapping"],
)
def test_a_table_is_the_same_whatever_holds_it(make):
    table = datasets.as_table(make())
    assert [table.kind(name) for name in table.names] == [
        "number", "boolean", "date", "text", "number"
    ]  # fmt: skip
    np.testing.assert_array_equal(table.numbers("n"), [1.5, np.nan, 3, -2])
    np.testing.assert_array_equal(table.values("flag"), [1, 0, np.nan, 1])
    np.testing.assert_array_equal(table.values("day"), DAYS)
    assert table.text("colour") == ["red", "", "blue", "red"]
    assert table.numbers("flag") is None
    assert table.numbers("colour") is None

    options = {"impute": "median", "indicator": True, "standardize": True}
    state = Preprocessing.fit(table, "y", "regression", **options)
    expected = Preprocessing.fit(csv_table(), "y", "regression", **options)
    assert state == expected
    np.testing.assert_array_equal(state.inputs(make()), expected.inputs(csv_table()))


def test_booleans_and_dates_become_one_input_each():
    state = Preprocessing.fit(
        csv_table(), "y", "regression", impute="mean", indicator=False, standardize="deviation"
    )
    assert state.input_names == ["n", "flag", "day", "colour=blue", "colour=red"]
    x = state.inputs(csv_table(), "float64")
    np.testing.assert_array_equal(x[:, 1], [1, 0, 1, 1])  # the most frequent, not two thirds
    days = np.array([19874, 1, (19874 + 1 - 1) / 3, -1])
    np.testing.assert_allclose(x[:, 2], (days - days.mean()) / days.std())
    np.testing.assert_allclose([x[:, 2].mean(), x[:, 2].std()], [0, 1], atol=1e-12)


def test_indicators_stand_beside_what_they_speak_of():
    state = Preprocessing.fit(csv_table(), "y", impute="median", indicator=True)
    assert state.input_names == [
        "n", "n missing", "flag", "flag missing", "day", "day missing",
        "colour=blue", "colour=red", "colour missing",
    ]  # fmt: skip
    x = state.inputs(csv_table())
    np.testing.assert_array_equal(x[:, 1], [0, 1, 0, 0])
    np.testing.assert_array_equal(x[:, 5], [0, 0, 1, 0])
    np.testing.assert_array_equal(x[:, 6:], [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])
    whole = {"n": [1, 2], "k": ["u", "v"], "y": [1, 2]}
    assert Preprocessing.fit(whole, "y", impute="mean", indicator=True).n_inputs == 3
    assert Preprocessing.fit(whole, "y", impute="none", indicator=True).n_inputs == 3
    with pytest.raises(ValueError, match="imputed with an indicator"):
        state.scaling()


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1970-01-01", 0),
        ("2024-02-29", 19782),
        ("2024-02-29T06:00", 19782.25),
        ("2024-02-29 06:00:00", 19782.25),
        ("2024-02-29T06:00:00Z", 19782.25),
        ("2024-02-29T08:00:00+02:00", 19782.25),
        ("1969-12-31T12:00:00.5", -0.5 + 0.5 / 86400),
    ],
)
def test_dates_and_times_are_days(text, days):
    table = datasets.as_table(datasets.Table("t", {"d": [text, "", "2000-01-01"]}))
    assert table.kind("d") == "date"
    np.testing.assert_allclose(table.values("d"), [days, np.nan, 10957], rtol=1e-15)
    pa = pytest.importorskip("pyarrow")
    moment = np.array([text.removesuffix("Z").replace("T", " ").split("+")[0]], "datetime64[us]")
    if "+" not in text:
        arrow = datasets.as_table(pa.table({"d": moment}))
        np.testing.assert_allclose(arrow.values("d"), [days], rtol=1e-15)


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2024-13-3", "31.13.2024", "2024-01-01T25:00", "May"]
)
def test_what_is_no_date_is_text(text):
    assert datasets.Table("t", {"d": [text, "2024-01-01"]}).kind("d") == "text"


def test_text_with_a_type_stays_text():
    """In a CSV file 007 may be a number; where columns have types, text is text."""
    pa = pytest.importorskip("pyarrow")
    table = datasets.as_table(pa.table({"code": ["007", "7", "7"], "y": [1, 2, 3]}))
    state = Preprocessing.fit(table, "y", "regression")
    assert state.input_names == ["code=007", "code=7"]
    assert "'7' is text; the model was trained on numbers" in message(
        Preprocessing.fit({"code": [7, 8], "y": [1, 2]}, "y", "regression").inputs,
        pa.table({"code": ["7"]}),
    )


def test_numbers_declared_categorical_match_across_formats():
    pa = pytest.importorskip("pyarrow")
    text = datasets.Table("t", {"zone": ["1", "2", "1"], "y": ["1", "2", "4"]})
    state = Preprocessing.fit(text, "y", "regression", categorical=["zone"], unknown="error")
    for zone in ([1, 2], [1.0, 2.0], ["1", "2"]):
        np.testing.assert_array_equal(state.inputs(pa.table({"zone": zone})), [[1, 0], [0, 1]])
    assert "'3' was not seen" in message(state.inputs, pa.table({"zone": [1, 3]}))
    assert "'007' was not seen" in message(state.inputs, pa.table({"zone": ["007"]}))


def test_labels_match_across_formats():
    pa = pytest.importorskip("pyarrow")
    text = datasets.Table("t", {"a": ["1", "2"], "y": ["true", "false"]})
    state = Preprocessing.fit(text, "y")
    assert state.task == "classification"
    assert state.target.labels == ["false", "true"]
    np.testing.assert_array_equal(state.targets(pa.table({"y": [True, False]})), [[1], [0]])
    numbers = Preprocessing.fit({"a": [1, 2, 3], "y": [0, 1, 1]}, "y")
    assert numbers.target.labels == [0, 1]
    np.testing.assert_array_equal(numbers.targets(pa.table({"y": [1.0, 0.0]})), [[1], [0]])


def test_arrow_types():
    pa = pytest.importorskip("pyarrow")
    numbers = [
        *(pa.array([1, None, 3], getattr(pa, kind)()) for kind in
          ("int8", "uint16", "int64", "float16", "float32", "float64")),
        pa.array([decimal.Decimal("1.00"), None, decimal.Decimal("3")]),
        pa.array([1, None, 3]).dictionary_encode(),
    ]  # fmt: skip
    for array in numbers:
        table = datasets.as_table(pa.table({"a": array}))
        np.testing.assert_array_equal(table.numbers("a"), [1, np.nan, 3], err_msg=str(array.type))
        assert table.coded("a").texts == ["1", "3"]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        table = datasets.as_table(pa.table({"a": pa.array(["u", None, " u ", "n/a"], kind)}))
        assert table.text("a") == ["u", "", "u", ""]
    chunked = pa.chunked_array([["u", "v"], ["w", "u"]])
    table = datasets.as_table(pa.table({"k": chunked, "d": chunked.dictionary_encode()}))
    assert table.text("k") == table.text("d") == ["u", "v", "w", "u"]
    spare = pa.DictionaryArray.from_arrays([0, 2], ["u", "unused", "w"])
    assert datasets.as_table(pa.table({"k": spare})).coded("k").texts == ["u", "w"]
    assert datasets.as_table(pa.table({"a": pa.nulls(2)})).kind("a") == "number"
    moment = pa.array([dt.datetime(1970, 1, 2, 6, tzinfo=dt.UTC)], pa.timestamp("ns", "Asia/Tokyo"))
    np.testing.assert_array_equal(datasets.as_table({"t": [0]}).values("t"), [0])
    np.testing.assert_array_equal(datasets.as_table(pa.table({"t": moment})).values("t"), [1.25])
    batch = pa.table({"a": [1, 2]}).to_batches()[0]
    np.testing.assert_array_equal(datasets.as_table(batch).values("a"), [1, 2])


def test_pandas_columns_of_objects():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")

    def table(values):
        return datasets.as_table(pd.DataFrame({"a": pd.Series(values, dtype=object)}))

    assert table([1, 2.5, None]).kind("a") == "number"
    assert table([True, None, False]).kind("a") == "boolean"
    assert table([dt.date(2024, 1, 1), None]).kind("a") == "date"
    assert table(["u", None, "v"]).kind("a") == "text"
    mixed = table([1, "x", 3, "4"])
    assert "row 1, column 'a': '1' is a number" not in message(mixed.kind, "a")
    assert "row 2, column 'a': 'x' is text, but the column mixes numbers and text (2 and 2" in (
        message(mixed.kind, "a")
    )
    assert mixed.text("a") == ["1", "x", "3", "4"]
    assert "column 'a' has the type" in message(table([object(), 1]).kind, "a")
    assert "column 'a' has the type" in message(table([[1], [2]]).coded, "a")
    table = datasets.as_table(pd.DataFrame({0: [1, 2], "k": pd.Categorical(["u", "v"])}, [7, 9]))
    assert table.names == ["0", "k"]
    assert table.text("k") == ["u", "v"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda pd: pd.DataFrame([[1, 2]], columns=["a", "a"]), "names column 'a' twice"),
        (lambda pd: pd.DataFrame({"": [1]}), "column 1 has no name"),
        (lambda pd: pd.DataFrame(), "no columns"),
        (lambda pd: pd.DataFrame({"a": []}), "columns but no rows"),
        (lambda pd: pd.Series([1]), "must be a data frame. Received: Series"),
        (lambda pd: {"a": [1, 2], "b": [1]}, "column 'b' has 1 rows, column 'a' has 2"),
        (lambda pd: [[1, 2]], "Received: list"),
        (lambda pd: np.ones((2, 2, 2)), "Received: (2, 2, 2)"),
        (lambda pd: importlib.import_module("polars").LazyFrame({"a": [1]}), "collect() it first"),
    ],
)
def test_what_is_no_frame(make, text):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("polars")
    assert text in message(datasets.as_table, make(pd))


def test_arrays_are_tables():
    table = datasets.as_table(np.array([[1, 2, 3], [4, 5, 6]]))
    assert table.names == ["x1", "x2", "x3"]
    np.testing.assert_array_equal(table.values("x3"), [3, 6])
    assert datasets.as_table(np.array([1, 2])).names == ["x"]
    fields = np.array([(1, True, "u"), (2, False, "")], [("a", "i4"), ("b", "?"), ("c", "U3")])
    table = datasets.as_table(fields)
    assert [table.kind(name) for name in table.names] == ["number", "boolean", "text"]
    assert table.text("c") == ["u", ""]
    assert datasets.as_table({"d": np.array(["2024-05-31"], "M8[D]")}).values("d") == [19874]


def test_frames_of_numbers_go_straight_into_a_model():
    pd = pytest.importorskip("pandas")
    model = models.Sequential([layers.Dense(1, input_shape=(2,))], seed=1)
    frame = pd.DataFrame({"a": [1, 2], "b": [True, False]})
    expected = model.predict(np.array([[1, 1], [2, 0]]))
    np.testing.assert_array_equal(model.predict(frame), expected)
    np.testing.assert_array_equal(model.predict(frame.astype(float)), expected)
    frame["b"] = ["u", "v"]
    text = message(model.predict, frame)
    assert "x must hold real numbers" in text
    assert "column 'b'" in text
    assert "Preprocessing" in text


def test_preprocessing_is_kept_with_a_model(tmp_path):
    state = Preprocessing.fit(csv_table(), "y", impute="mean", indicator=True)
    model = models.mlp([4], state.n_inputs, 1, seed=1)
    with pytest.raises(ValueError, match="has no preprocessing"):
        Preprocessing.of(model)
    state.keep(model)
    model.save(tmp_path / "m.fmlp")
    again = Preprocessing.of(models.load_model(tmp_path / "m.fmlp"))
    assert again == state
    np.testing.assert_array_equal(again.inputs(COLUMNS), state.inputs(csv_table()))


# ---- formats ----


def write_arrow(path, table, stream=False):
    pa = pytest.importorskip("pyarrow")
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, make(file, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.feather", "t.arrow", "t.dat"])
def test_files_of_every_format_hold_the_same_table(tmp_path, name):
    path = tmp_path / name
    if name == "t.csv":
        path.write_text(CSV)
    elif name == "t.tsv":
        path.write_text(CSV.replace(",", "\t"))
    else:
        table = as_arrow()
        if name in ("t.parquet", "t.dat"):  # told by its first bytes
            importlib.import_module("pyarrow.parquet").write_table(table, path)
        else:
            write_arrow(path, table, stream=name == "t.arrow")
    table = datasets.read_table(path)
    assert table.source == str(path)
    expected = Preprocessing.fit(csv_table(), "y", impute="mean")
    assert Preprocessing.fit(table, "y", impute="mean") == expected
    np.testing.assert_array_equal(expected.inputs(table), expected.inputs(csv_table()))


def test_numpy_files(tmp_path):
    x, y = np.random.default_rng(0).random((5, 3)), np.arange(5)
    np.save(tmp_path / "t.npy", np.asfortranarray(x))
    table = datasets.read_table(tmp_path / "t.npy")
    assert table.names == ["x1", "x2", "x3"]
    np.testing.assert_array_equal(table.values("x2"), x[:, 1])
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "t.npz", x=x, k=np.array(["u", "v", "", "u", "v"]), y=y.reshape(-1, 1))
        table = datasets.read_table(tmp_path / "t.npz")
        assert table.names == ["x1", "x2", "x3", "k", "y"]
        np.testing.assert_array_equal(table.values("y"), y)
        assert table.text("k") == ["u", "v", "", "u", "v"]


@pytest.mark.parametrize("lines", ["plain", "blank lines", "crlf", "spaces", "bom"])
def test_a_large_csv_is_the_same_with_and_without_pyarrow(tmp_path, monkeypatch, lines):
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{'' if i % 7 == 0 else i},{'NA' if i % 5 == 0 else 'u' + str(i % 3)},"
        f"{'TRUE' if i % 2 else 'false'},2024-01-{i % 28 + 1:02d},+{i}"
        for i, a in enumerate(rng.normal(size=2000))
    ]
    text = "\n".join(["a,b,k,flag,day,plus", *rows]) + "\n"
    change = {"blank lines": ("\n", "\n\n"), "crlf": ("\n", "\r\n"), "spaces": (",", " , ")}
    text = text.replace(*change.get(lines, ("", "")))
    path = tmp_path / "t.csv"
    path.write_bytes((b"\xef\xbb\xbf" if lines == "bom" else b"") + text.encode())
    slow = datasets.read_csv(path)
    monkeypatch.setattr(csv, "_LARGE", 1)
    quick = datasets.read_csv(path)
    assert not isinstance(quick.lines, list)  # the other route was taken
    assert quick.names == slow.names
    for name in slow.names:
        assert quick.kind(name) == slow.kind(name)
        assert quick.text(name) == slow.text(name)
        if slow.kind(name) != "text":
            np.testing.assert_array_equal(quick.values(name), slow.values(name))
    assert quick.where(1500, "a") == slow.where(1500, "a")
    assert quick.held(1500, "a") == slow.held(1500, "a")


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n1,"2"\n',
        "a,b\n1,2\n3\n",
        "a,b\n1,x\n2,3\n",
        "a\n1\n\n3\n",
        "a,b\n1,inf\n",
        b"a,b\n1,\xe9\n",
        "a,a\n1,2\n",
        "a,b\n1,2\0\n",
        "\na,b\n1,2\n",
        "a,b\n",
    ],
)
def test_odd_large_files_are_read_as_small_ones_are(tmp_path, monkeypatch, text):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def outcome():
        try:
            table = datasets.read_csv(path)
            return {name: (table.kind(name), table.text(name)) for name in table.names}
        except DataError as error:
            return str(error)

    small = outcome()
    monkeypatch.setattr(csv, "_LARGE", 1)
    assert outcome() == small


# ---- what is missing, and what is bad ----


@pytest.mark.parametrize("gone", ["pyarrow", "narwhals"])
def test_a_missing_extra_is_one_error_that_names_it(tmp_path, monkeypatch, gone):
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    importlib.import_module("pyarrow.parquet").write_table(pa.table({"a": [1, 2]}), path)
    write_arrow(tmp_path / "t.arrow", pa.table({"a": [1, 2]}))
    for name in [name for name in sys.modules if name.partition(".")[0] == gone]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, gone, None)
    wanted = f"needs {gone}, which is not installed: pip install 'fastmlp[data]'"
    assert wanted in message(datasets.as_table, pd.DataFrame({"a": [1]}))
    if gone == "pyarrow":
        for name in ("t.parquet", "t.arrow"):
            assert wanted in message(datasets.read_table, tmp_path / name)
        assert wanted in message(datasets.ParquetStream, path)
        monkeypatch.setattr(csv, "_LARGE", 1)
    (tmp_path / "t.csv").write_text(CSV)
    np.save(tmp_path / "t.npy", np.ones((2, 2)))
    assert datasets.read_table(tmp_path / "t.csv").n_rows == 4
    assert datasets.read_table(tmp_path / "t.npy").n_rows == 2


@pytest.mark.parametrize("bad", [*WITHOUT_EXTRA, *WITH_EXTRA], ids=lambda bad: bad.name)
def test_what_is_no_table_is_one_clear_error(tmp_path, bad):
    if bad in WITH_EXTRA:
        pytest.importorskip("pyarrow")
    path = tmp_path / bad.file
    bad.make(path)

    def learn():
        table = datasets.read_table(path)
        state = Preprocessing.fit(table, bad.target, **bad.options)
        state.inputs(table)

    text = message(learn)
    assert text.startswith(str(path))
    assert bad.text in text


@pytest.mark.parametrize(("content", "text"), MISFITS)
def test_a_table_that_does_not_fit_the_model_is_one_clear_error(content, text):
    trained = datasets.read_csv(io.BytesIO(TRAINED.encode()))
    state = Preprocessing.fit(trained, "y", "regression", impute="none", unknown="error")
    table = datasets.read_csv(io.BytesIO(content.encode()))
    assert text in message(state.inputs, table)


def test_a_table_that_fits_otherwise():
    """The control of the misfits: another order, 1 for true, a column that is dropped."""
    trained = datasets.read_csv(io.BytesIO(TRAINED.encode()))
    state = Preprocessing.fit(trained, "y", "regression")
    table = datasets.read_csv(io.BytesIO(b"day,extra,flag,k,a\n2024-06-02,?,1,u,3\n"))
    x = state.inputs(table, drop=["extra"])
    np.testing.assert_array_equal(x, state.inputs(trained)[2:])


def test_dates_may_be_text_where_a_file_has_types():
    trained = datasets.read_csv(io.BytesIO(TRAINED.encode()))
    state = Preprocessing.fit(trained, "y", "regression")
    columns = {"a": [1, 2, 3], "k": ["u", "v", "u"], "flag": [True, False, True]}
    table = {**columns, "day": np.array(["2024-05-30", "2024-05-31", "2024-06-02"])}
    np.testing.assert_array_equal(state.inputs(table), state.inputs(trained))
    learnt = Preprocessing.fit({**table, "y": [1.5, 2.5, 3.5]}, "y")
    assert [column.kind for column in learnt.columns][-1] == "date"
    table["day"][1] = "soon"
    assert "row 2, column 'day': 'soon' is text; the model was trained on dates" in (
        message(state.inputs, table)
    )


def test_what_no_memory_could_hold_is_refused_before_it_is_read(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    importlib.import_module("pyarrow.parquet").write_table(pa.table({"a": np.zeros(1000)}), path)
    monkeypatch.setattr(files.os, "sysconf", lambda name: 50)
    assert "it declares 1,000 rows of 1 columns" in message(datasets.read_table, path)
    np.savez(tmp_path / "t.npz", a=np.zeros(1000))
    assert "this machine has" in message(datasets.read_table, tmp_path / "t.npz")
