"""Files as they are found: each gives the right table, or one error that names the remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastmlp import datasets
from fastmlp._tables import csv
from fastmlp.errors import DataError

NAN = np.nan


class Wild(NamedTuple):
    name: str
    content: str | bytes
    columns: dict[str, list]
    notes: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012
    file: str = "t.csv"


PLAIN = "a,k,y\n1.5,u,1\n2,v,2\n,u,3\n"
PLAIN_COLUMNS = {"a": [1.5, 2, NAN], "k": ["u", "v", "u"], "y": [1, 2, 3]}
EUROPE = "fläche;zone;preis\n61,5;Süd;1.234,50\n72;Nord;999,9\n80,25;Süd;12.345,00\n"
EUROPE_COLUMNS = {
    "fläche": [61.5, 72, 80.25], "zone": ["Süd", "Nord", "Süd"], "preis": [1234.5, 999.9, 12345]
}  # fmt: skip
AB = {"a": [1, 3, 5], "b": [2, 4, 6]}

MOSCOW = "\u041c\u043e\u0441\u043a\u0432\u0430"
CYRILLIC = f"k,y\n{MOSCOW},1\nb,2\n"

FILES = [
    Wild("plain", PLAIN, PLAIN_COLUMNS),
    Wild("semicolons", "a;b\n1;2\n3;4\n5;6\n", AB, "semicolons"),
    Wild("tabs", "a\tb\n1\t2\n3\t4\n5\t6\n", AB, "tabs"),
    Wild("pipes", "a|b\n1|2\n3|4\n5|6\n", AB, "pipes"),
    Wild("commas in a .tsv", "a,b\n1,2\n3,4\n5,6\n", AB, "commas", file="t.tsv"),
    Wild("spaces", "a b\n1 2\n3 4\n5 6\n", AB, "spaces"),
    Wild("aligned", "  a     b\n  1   2.0\n  3     4\n  5    6\n", AB, "spaces"),
    Wild("two spaces", "big a  b\nx y  2\nz  4\nw  6\n",
         {"big a": ["x y", "z", "w"], "b": [2, 4, 6]}, "two or more spaces"),
    Wild("Markdown", "| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n", AB, "pipes"),
    Wild("European", EUROPE, EUROPE_COLUMNS, "semicolons, decimal commas, points between thous"),
    Wild("European CP1252", EUROPE.encode("cp1252"), EUROPE_COLUMNS, "CP1252"),
    Wild("BOM", b"\xef\xbb\xbf" + EUROPE.encode(), EUROPE_COLUMNS),
    Wild("UTF-16", EUROPE.encode("utf-16"), EUROPE_COLUMNS, "UTF-16"),
    Wild("UTF-16 BE", b"\xfe\xff" + EUROPE.encode("utf-16-be"), EUROPE_COLUMNS, "UTF-16"),
    Wild("UTF-16 without mark", PLAIN.encode("utf-16-le"), PLAIN_COLUMNS, "UTF-16-LE"),
    Wild("UTF-16 BE without mark", PLAIN.encode("utf-16-be"), PLAIN_COLUMNS, "UTF-16-BE"),
    Wild("decimal commas, spaces", "x y\n1,5 2,25\n3,5 4\n", {"x": [1.5, 3.5], "y": [2.25, 4]}),
    Wild("quoted decimal commas", 'a,b\n"1,5",1\n"2,25",2\n', {"a": [1.5, 2.25], "b": [1, 2]},
         "decimal commas"),
    Wild("quoted thousands", 'a,b\n"1,234.5",1\n"12,345",2\n', {"a": [1234.5, 12345]},
         "commas between thousands ('a')"),
    Wild("thousands beside decimals", 'a,b\n"1,234",1.5\n"2,345",2.25\n', {"a": [1234, 2345]}),
    Wild("NBSP", "a;b\n1\u00a0234,5;1\n12\u202f345,75;2\n", {"a": [1234.5, 12345.75]}, "spaces b"),
    Wild("apostrophes", "a;b\n1'234.50;1\n12\u2019345.75;2\n", {"a": [1234.5, 12345.75]}, "apos"),
    Wild("percent", "a,b\n12.5%,1\n7 %,2\n", {"a": [12.5, 7]}, "percent signs"),
    Wild("dollars", 'a,b\n"$1,234.56",1\n$7,2\n-$5.5,3\n', {"a": [1234.56, 7, -5.5]}, "sign $"),
    Wild("euros", "a;b\n1.234,56 €;1\n7,00 €;2\n", {"a": [1234.56, 7]}, "sign €"),
    Wild("parentheses", "a,b\n(123),1\n45.5,2\n", {"a": [-123, 45.5]}, "parentheses"),
    Wild("minus", "a,b\n\u22121.5,1\n2,2\n", {"a": [-1.5, 2]}),
    Wild("quoted", '"a","b"\n"1","2"\n"3","4"\n"5","6"\n', AB),
    Wild("sep=", "sep=;\na;b\n1;2\n3;4\n5;6\n", AB),
    Wild("comments", "# made by x, y\n# z\na,b\n1,2\n# more\n3,4\n5,6\n", AB, "begin with #"),
    Wild("percent comments", "% x\na,b\n1,2\n3,4\n5,6\n", AB, "begin with %"),
    Wild("slashes", "// x\na,b\n1,2\n3,4\n5,6\n", AB, "begin with //"),
    Wild("header in a comment", "# a b\n1 2\n3 4\n5 6\n", AB, "the header in the line"),
    Wild("title", "Sales of 2024\n\na,b\n1,2\n3,4\n5,6\n", AB, "a line above the header left out"),
    Wild("title of Excel", "Sales;;\n;;\na;b;c\n1;2;3\n3;4;5\n5;6;7\n", AB, "2 lines above"),
    Wild("metadata", "Station;Kassel\nHeight;231 m\na;b;c\n1;2;3\n3;4;5\n5;6;7\n", AB, "2 lines"),
    Wild("blank lines", "\n\na,b\n\n1,2\n\n3,4\n5,6\n\n", AB),
    Wild("CR", "a,b\r1,2\r3,4\r5,6\r", AB),
    Wild("trailing", "a;b;\n1;2;\n3;4;\n5;6;\n", AB),
    Wild("trailing in rows", "a,b\n1,2,\n3,4,\n5,6,\n", AB),
    Wild("one column", "x\n1\n\n3\n", {"x": [1, NAN, 3]}),
    Wild("one column of commas", "x\n1,5\n2,5\n", {"x": [1.5, 2.5]}, options={"delimiter": ";"}),
    Wild("pandas index", ",a,b\n0,1,2\n1,3,4\n2,5,6\n", AB, "counts the rows and is left out"),
    Wild("shuffled index", ",a,b\n7,1,2\n3,3,4\n12,5,6\n", AB, "counts the rows"),
    Wild("Unnamed: 0", "Unnamed: 0,a,b\n0,1,2\n1,3,4\n2,5,6\n", AB, "called 'Unnamed: 0'"),
    Wild("row names of R", '"a","b"\n"1",1,2\n"2",3,4\n"3",5,6\n', AB, "counts the rows"),
    Wild("named rows", ",a,b\nu,1,2\nv,3,4\nw,5,6\n", {"": ["u", "v", "w"], **AB}, "--drop ''"),
    Wild("years as names", "k,2019,2020\nu,5,6\nv,7,8\n", {"2019": [5, 7], "2020": [6, 8]}),
    Wild("gzip", gzip.compress(PLAIN.encode()), PLAIN_COLUMNS, file="t.csv.gz"),
    Wild("gzip by content", gzip.compress(EUROPE.encode("utf-16")), EUROPE_COLUMNS),
    Wild("bzip2", bz2.compress(PLAIN.encode()), PLAIN_COLUMNS, file="t.csv.bz2"),
    Wild("xz of tabs", lzma.compress(b"a\tb\n1\t2\n3\t4\n5\t6\n"), AB, file="t.tsv.xz"),
    Wild("missing words", "a,b\n?,1\n2,-\n3,3\n", {"a": [NAN, 2, 3], "b": [1, NAN, 3]},
         options={"missing": ["?", "-"]}),
    Wild("Namibia", "land,y\nNA,1\nDE,2\nFR,3\nUS,4\n", {"land": ["NA", "DE", "FR", "US"]},
         "Namibia"),
    Wild("Namibia among few", "land,y\nNA,1\nDE,2\nUK,3\nDE,4\n",
         {"land": ["NA", "DE", "UK", "DE"]}, "Namibia"),
    Wild("no answers", "said,y\nNA,1\nNO,2\nNA,3\n", {"said": ["", "NO", ""]}),
    Wild("Cyrillic", CYRILLIC.encode("cp1251"), {"y": [1, 2]},
         "words such as 'Ìîñêâà'; if they should be others, name the encoding, such as --encoding"),
    Wild("Cyrillic, named", CYRILLIC.encode("cp1251"), {"k": [MOSCOW, "b"]},
         options={"encoding": "cp1251"}),
    Wild("Japanese", "k,y\n\u30ab\u30b5\u30a2b\u30ab\u30a4a,1\n".encode("shift_jis"), {"y": [1]},
         "--encoding"),
    Wild("Polish", "k,y\nBiałystok,1\nKraków,2\n".encode("cp1250"), {"y": [1, 2]}, "'Bia³ystok'"),
    Wild("missing text", "k,y\nNA,1\nu,2\n,3\n", {"k": ["", "u", ""]}),
    Wild("NA kept", "k,y\nNA,1\nu,2\n,3\n", {"k": ["NA", "u", ""]}, options={"missing": ["?"]}),
    Wild("no header", "1,2\n3,4\n5,6\n", {"x1": [1, 3, 5], "x2": [2, 4, 6]},
         options={"header": False}),
    Wild("numbers as names", "7,3\n3,4\n5,6\n", {"7": [3, 5], "3": [4, 6]},
         options={"header": True}),
    Wild("line breaks in cells", 'k,b\n"u\nv",1\n"w ""x""",2\n', {"k": ["u\nv", 'w "x"']}),
    Wild("1.234 by option", "a;b\n1.234;u\n2.345;v\n", {"a": [1.234, 2.345]},
         options={"decimal": "."}),
    Wild("1.234 by thousands", "a;b\n1.234;u\n2.345;v\n", {"a": [1234, 2345]},
         options={"thousands": "."}),
    Wild("1.234 by its column", "a;b\n0.234;1\n2.345;2\n", {"a": [0.234, 2.345]}),
    Wild("1.234 by another column", "a;b\n1.234;1,5\n2.345;2,5\n", {"a": [1234, 2345]}),
]  # fmt: skip


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check(table, columns):
    for name, expected in columns.items():
        if isinstance(expected[0], str):
            assert table.kind(name) == "text"
            assert table.text(name) == expected
        else:
            assert table.kind(name) == "number"
            np.testing.assert_allclose(table.values(name), expected, rtol=1e-15)


@pytest.mark.parametrize("wild", FILES, ids=lambda wild: wild.name)
def test_the_right_table(tmp_path, monkeypatch, wild):
    path = write(tmp_path / wild.file, wild.content)
    table = datasets.read_table(path, **wild.options)
    check(table, wild.columns)
    notes = " ".join(table.notes)
    assert wild.notes in notes
    if not wild.notes and wild.name in ("plain", "quoted", "years as names", "one column"):
        assert not notes
    again = datasets.read_table(path, like=datasets.ReadingOptions.from_dict(
        table.reading.to_dict()))  # fmt: skip
    check(again, wild.columns)
    assert again.names == table.names
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(csv, "_LARGE", 1)
    quick = datasets.read_table(path, **wild.options)
    check(quick, wild.columns)
    assert quick.names == table.names
    assert quick.notes == table.notes
    assert [quick.where(i, quick.names[-1]) for i in range(quick.n_rows)] == [
        table.where(i, table.names[-1]) for i in range(table.n_rows)
    ]


REFUSED = [
    ("1.234", "a;b\n1.234;u\n2.345;v\n", "'1.234' and '2.345' (row 2) may have a point before "
     "decimals or between thousands; say which with --decimal"),
    ("1,234", 'a,b\n"1,234",u\n"2,345",v\n', "say which with --decimal"),
    ("point and comma", "a;b\n1,5;u\n2.5;v\n", "'1,5' and '2.5' (row 2) write numbers in diff"),
    ("dollars and euros", "a,b\n$1,u\n€2,v\n", "have different units"),
    ("percent or not", "a,b\n1%,u\n2,v\n", "are a percentage and a plain number"),
    ("placeholder", "a,b\n1,u\n?,v\n3,w\n", "if it means missing, add --missing '?'"),
    ("units", "a,b\nm,u\n2,v\n3,w\n", "delete the row if it holds units or a second header"),
    ("two headers, one of numbers", "a,b\n1,2\nu,2.5\nv,3\nu,4\n", "or a second header"),
    ("a word among percent", "a,b\n1%,u\nx,v\n3%,w\n", "--missing 'x'"),
    ("no header", "5.1,3.5,x\n4.9,3,y\n4.7,3.2,x\n", "looks like the rows below it ('5.1', '3.5', "
     "'x'); expected a header that names the columns; give --no-header"),
    ("no header, numbers", "1,2\n3,4\n", "the first row holds numbers (1, 2)"),
    ("no header, text", "p,x\ne,y\np,x\n", "looks like the rows below it ('p', 'x')"),
    ("ragged", "a,b\n1,2\n3\n5,6\n", "row 2 (line 3) has 1 fields, expected 2: nothing for column"),
    ("late comment", "a,b\n1,2\n# x\n5,6\n", "if it is a comment, add --comment '#'"),
    ("twice", "a,a\n1,2\n3,4\n", "names column 'a' twice"),
    ("NUL", b"a,b\n1,\0\n", "line 2 holds a NUL byte"),
    ("two encodings", "a,b\nä,1\n".encode() + "ö,2\n".encode("latin-1"), "line 3: not UTF-8"),
    ("other encoding", b"a,b\n\x81\x8d,1\n", "name the encoding (--encoding)"),
    ("damaged gzip", gzip.compress(PLAIN.encode())[:-9], "damaged or cut off gzip file"),
    ("damaged xz", lzma.compress(PLAIN.encode())[:-9], "damaged or cut off xz file"),
    ("damaged bzip2", bz2.compress(PLAIN.encode())[:-9], "damaged or cut off bzip2 file"),
    ("old Excel", b"\xd0\xcf\x11\xe0" + bytes(600), "save it as .xlsx or CSV"),
    ("day or month", "d,y\n01/02/2024,1\n03/04/2024,2\n", "'01/02/2024' and '03/04/2024' (row 2) "
     "may have the day or the month first; say which with --dates dmy or --dates mdy"),
    ("both orders", "d,y\n13/02/2024,1\n03/14/2024,2\n", "day and month in different orders"),
    ("a word among dates", "d,y\n2024-01-01,1\n2024-01-02,2\nsoon,3\n", "mixes dates and text"),
]  # fmt: skip


def test_western_words_leave_no_doubt_about_the_encoding(tmp_path):
    words = ["Köln", "Café", "l\u2019été", "naïve", "5 €", "20 m²", "1º", "São Paulo", "créée",
             "ÄÖÜ", "Paris\u2013Lyon", "col·lega", "½", "T°C", "l\u00b4eau", "Œuvre"]  # fmt: skip
    text = "k,y\n" + "".join(f"{word},{i}\n" for i, word in enumerate(words))
    table = datasets.read_table(write(tmp_path / "t.csv", text.encode("cp1252")))
    assert [note for note in table.notes if "--encoding" in note] == []


AGES = np.random.default_rng(0).integers(0, 90, 300)


@pytest.mark.parametrize(
    ("others", "mark", "every"),
    [
        (AGES, -1, 50), (AGES, 999, 50), (1000 + AGES, 9999, 50), (50 * AGES, -999, 50),
        (-20 + AGES / 2, -999, 50), (-20 + AGES / 2, -99.0, 50), (AGES, -32768, 50),
        (AGES, None, 1), (AGES + 10, 99, 50), (np.sign(AGES - 40), -1, 3), (AGES, -999, 299),
        (-AGES, -999999.5, 50), (AGES % 5, -1, 50),
    ],
)  # fmt: skip
def test_numbers_that_may_mean_missing(tmp_path, others, mark, every):
    values = [mark if mark is not None and i % every == 1 else v for i, v in enumerate(others)]
    meant = mark in (-1, 999, 9999, -999, -99.0, -32768) and every == 50 and len(set(others)) > 10
    text = "a,y\n" + "".join(f"{v},{i / 7}\n" for i, v in enumerate(values))
    path = write(tmp_path / "t.csv", text)
    notes = [note for note in datasets.read_table(path).notes if "--missing" in note]
    assert notes == meant * [
        f"{path}: 'a': {mark} lies apart from all other numbers; if it means missing, add "
        f"--missing {mark}."
    ]
    table = datasets.read_table(path, missing=str(mark))
    assert not [note for note in table.notes if "--missing" in note]
    assert np.isnan(table.values("a")).any() == (mark is not None)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("content", "text"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_one_error_that_names_the_remedy(tmp_path, monkeypatch, content, text, large):
    if large:
        pytest.importorskip("pyarrow")
        monkeypatch.setattr(csv, "_LARGE", 1)
    path = write(tmp_path / "t.csv", content)
    with pytest.raises(DataError) as caught:
        table = datasets.read_table(path)
        for name in table.names:
            table.kind(name)
    assert str(caught.value).startswith(str(path))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("delimiter", "ab", "delimiter must be one character, or 'tab'. Received: delimiter='ab'"),
        ("decimal", "x", "decimal"),
        ("thousands", ";", "thousands"),
        ("encoding", "klingon", "encoding must be one that Python knows"),
        ("comment", "", "comment must be the text that comment lines begin with"),
        ("header", "no", "header"),
        ("missing", [3], "a word in missing"),
        ("dates", "ymd", "dates"),
        ("sheet", 1, "sheet"),
    ],
)
def test_options_are_checked(tmp_path, option, value, text):
    write(tmp_path / "t.csv", PLAIN)
    with pytest.raises(ValueError, match=text):
        datasets.read_table(tmp_path / "t.csv", **{option: value})
    with pytest.raises(ValueError, match="must differ"):
        datasets.read_table(tmp_path / "t.csv", decimal=",", thousands=",")


# ---- dates ----

DAY = 19728.0  # 2024-01-06
DATES = [
    (["2024-01-06", "2024-01-06T00", "2024-01-06T12:00:00.123456789Z"], [DAY, DAY, DAY + 0.5]),
    (["2024-01-06T10", "2024-01-06 10:00+00"], [DAY + 10 / 24] * 2),
    (["2024-01-06T12:00+0200", "2024-01-06 10:00 UTC"], [DAY + 10 / 24] * 2),
    (["2024-006", "2024-W01-6", "20240106T00"], [DAY] * 3),
    (["2024/01/06", "2024/1/7"], [DAY, DAY + 1]),
    (["06.01.2024", "6.1.2024 18:00"], [DAY, DAY + 0.75]),
    (["06.01.24", "07.01.24"], [DAY, DAY + 1]),
    (["06 Jan 2024", "7 January 2024", "Jan 8, 2024"], [DAY, DAY + 1, DAY + 2]),
    (["06-Jan-2024", "07-Jan-24"], [DAY, DAY + 1]),
    (["Sat, 06 Jan 2024 12:00:00 GMT", "6th January 2024"], [DAY + 0.5, DAY]),
    (["06/01/2024", "13/01/2024"], [DAY, DAY + 7]),
    (["01/06/2024", "01/13/2024"], [DAY, DAY + 7]),
    (["1/6/2024 6:00 PM", "1/13/2024 12:00 am"], [DAY + 0.75, DAY + 7]),
    (["2024-01", "2024-02"], [DAY - 5, DAY + 26]),
]


@pytest.mark.parametrize(("texts", "days"), DATES, ids=lambda each: str(each[0]))
def test_dates(texts, days):
    table = datasets.Table("t", {"d": [*texts, ""]})
    assert table.kind("d") == "date"
    np.testing.assert_allclose(table.values("d"), [*days, NAN], rtol=1e-6)
    assert "January" not in "".join(table.notes)


def test_times_alone_are_hours():
    table = datasets.Table("t", {"t": ["10:30", "18:00:36", "6:15 PM", ""]})
    assert table.kind("t") == "number"
    np.testing.assert_allclose(table.values("t"), [10.5, 18.01, 18.25, NAN])
    assert table.notes == ["t: times of day in 't' are read as hours."]


def test_the_order_of_day_and_month_is_settled(tmp_path):
    path = write(tmp_path / "t.csv", "d,e\n01/02/2024,03/04/2024\n05/06/2024,25/12/2024\n")
    table = datasets.read_table(path)
    np.testing.assert_array_equal(table.values("d"), [19754, 19879])
    assert "day before month in 'd', 'e', as '25/12/2024' shows" in table.notes[0]
    first = write(tmp_path / "u.csv", "d,e\n01/02/2024,03/04/2024\n")
    assert datasets.read_table(first, like=table.reading).values("d") == [19754]
    assert datasets.read_table(first, dates="mdy").values("d") == [19724]
    with pytest.raises(DataError, match="do not fit --dates mdy; give --dates dmy"):
        datasets.read_table(path, dates="mdy").kind("e")


# ---- one answer from all readers ----


def test_declared_categories_keep_namibia(tmp_path):
    table = datasets.read_table(write(tmp_path / "t.csv", "k,y\nNA,1\nu,2\n,3\nnan,4\n"))
    assert table.coded("k").codes.tolist() == [-1, 0, -1, -1]
    assert table.coded("k", declared=True).codes.tolist() == [0, 1, -1, -1]
    named = datasets.read_table(tmp_path / "t.csv", missing="NA")
    assert named.coded("k", declared=True).texts == ["u", "nan"]


def test_the_index_of_a_data_frame_is_left_out_of_parquet(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.0, 2, 3], "y": [3.0, 1, 2]}, [5, 9, 7])
    frame.to_parquet(tmp_path / "t.parquet")
    table = datasets.read_table(tmp_path / "t.parquet")
    assert table.names == ["a", "y"]
    assert "the index of the data frame ('__index_level_0__') is left out" in table.notes[0]
    assert datasets.ParquetStream(tmp_path / "t.parquet", "y").names == ["a", "y"]
    table.require("__index_level_0__")  # --drop may name it


def workbook(path, **sheets):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    book.close()
    return path


def test_workbooks(tmp_path):
    import datetime as dt

    rows = [
        ["a", "k", "d", "y"],
        [1.5, "u", dt.datetime(2024, 1, 6), 1],
        [None, "v", dt.datetime(2024, 1, 7, 12), 2],
        [3, None, None, 3],
    ]
    path = workbook(tmp_path / "t.xlsx", Readme=[["Sales of 2024"]], Data=[[], ["Title"], *rows],
                    Old=rows)  # fmt: skip
    table = datasets.read_table(path)
    check(table, {"a": [1.5, NAN, 3], "k": ["u", "v", ""], "y": [1, 2, 3]})
    np.testing.assert_array_equal(table.values("d"), [DAY, DAY + 1.5, NAN])
    assert table.notes == [
        f"{path}: a line above the header left out.",
        f"{path}: sheet 'Data' is read, not 'Readme', 'Old'; --sheet names another.",
    ]
    assert table.where(1, "a") == f"{path}: row 2 (line 5), column 'a'"
    assert datasets.read_table(path, sheet="Old").n_rows == 3
    with pytest.raises(DataError, match=r"no sheet 'New'\. Sheets: Readme, Data, Old"):
        datasets.read_table(path, sheet="New")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"damaged or cut off Excel file"):
        datasets.read_table(path)


def test_zstd_and_zip(tmp_path):
    pa = pytest.importorskip("pyarrow")
    with pa.CompressedOutputStream(str(tmp_path / "t.csv.zst"), "zstd") as file:
        file.write(PLAIN.encode())
    check(datasets.read_table(tmp_path / "t.csv.zst"), PLAIN_COLUMNS)
    (tmp_path / "u.csv").write_bytes((tmp_path / "t.csv.zst").read_bytes()[:-5])
    with pytest.raises(DataError, match="damaged or cut off zstd file"):
        datasets.read_table(tmp_path / "u.csv")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", EUROPE)
    check(datasets.read_table(tmp_path / "t.zip"), EUROPE_COLUMNS)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zst", "xlsx"])
def test_bombs_are_refused(tmp_path, monkeypatch, kind):
    from fastmlp._kernels import memory

    text = b"a,b\n" + b"1,2\n" * (1 << 19)
    monkeypatch.setattr(memory, "available", lambda: 4 << 20)
    path = tmp_path / "t.csv"
    if kind == "xlsx":
        path = workbook(tmp_path / "t.xlsx", Data=[["a"], [1]])
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        sheet = members["xl/worksheets/sheet1.xml"]
        members["xl/worksheets/sheet1.xml"] = sheet.replace(b'r="A2"', b'r="XFD1048576"')
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        text = "the workbook declares 1,048,576 rows of 16,384 columns"
    elif kind == "zst":
        pa = pytest.importorskip("pyarrow")
        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(text)
    else:
        compress = {"gzip": gzip, "bzip2": bz2, "xz": lzma}[kind].compress
        options = {"xz": {"preset": 0}, "gzip": {"compresslevel": 1}}.get(kind, {})
        path.write_bytes(compress(text, **options))
    expected = text if kind == "xlsx" else "does not fit into the memory that is left"
    with pytest.raises(DataError) as caught:
        datasets.read_table(path)
    assert expected in str(caught.value)


def test_standard_input_and_buffers():
    table = datasets.read_csv(io.BytesIO(EUROPE.encode("cp1252")))
    check(table, EUROPE_COLUMNS)
    assert table.without(["zone"]).names == ["fläche", "preis"]
    with pytest.raises(DataError, match="no column 'zonen'"):
        table.without(["zonen"])


# ---- files that are not in the list ----


def column(cells, d=","):
    """Write a column a of some cells beside a column y."""
    rows = (f'"{cell}"{d}{i}' for i, cell in enumerate(cells))
    return "\n".join([f"a{d}y", *rows]) + "\n"


ODD = [
    ("exponents", column(["1e5", "2E-3", "3.5e+2"]), [1e5, 2e-3, 350], ""),
    ("exponents, commas", column(["1,5e5", "2,5E-3"], ";"), [1.5e5, 2.5e-3], "decimal commas"),
    ("bare points", column([".5", "5.", "+3"]), [0.5, 5, 3], ""),
    ("bare commas", column([",5", "5,", "+3"], ";"), [0.5, 5, 3], "decimal commas"),
    ("zip codes", column(["00123", "80331"]), [123, 80331], "leading zeros, such as '00123'; if"),
    ("long ids", column(["12345678901234567", "5"]), [12345678901234567.0, 5], "are rounded"),
    ("numbers of days", column(["20240131", "20240201"]), [20240131, 20240201], "look like dates"),
    ("India", column(["1,23,456", "12,345", "99"]), [123456, 12345, 99], "commas between thous"),
    ("EUR", column(["EUR 12", "EUR 13.5"]), [12, 13.5], "currency sign EUR, left out"),
    ("minutes", column(["12:30", "1:15"]), [12.5, 1.25], "times of day in 'a'"),
    ("minus behind", column(["5-", "3"]), [-5, 3], ""),
    ("full width", column(["\uff11\uff12", "\uff13"]), [12, 3], ""),
    ("two BOMs", b"\xef\xbb\xbf" * 2 + column(["1", "2"]).encode(), [1, 2], ""),
    ("end mark of DOS", column(["1", "2"]) + "\x1a", [1, 2], ""),
    ("mixed line ends", "a,y\r\n1,2\n3,4\r5,6\r\n", [1, 3, 5], ""),
    ("months", column(["Jan 2024", "February 2024"]), [DAY - 5, DAY + 26], ""),
    ("text of hex", column(["0x10", "0x1F"]), ["0x10", "0x1F"], "text with digits, such as '0x10'"),
    ("underscores", column(["1_000", "2_000"]), ["1_000", "2_000"], "text with digits"),
    ("fractions", column(["1/2", "3/4"]), ["1/2", "3/4"], "text with digits"),
    ("units", column(["12 kg", "1.5 kg"]), ["12 kg", "1.5 kg"], "such as '12 kg', is read as cat"),
    ("ranges", column(["10-20", "20-30"]), ["10-20", "20-30"], "text with digits"),
    ("versions", column(["1.2.3", "2.0.0"]), ["1.2.3", "2.0.0"], "text with digits"),
    ("French", column(["1 janv. 2024", "1 mars 2024"]), ["1 janv. 2024", "1 mars 2024"], "digits"),
    ("quarters", column(["2024Q1", "2024Q2"]), ["2024Q1", "2024Q2"], "text with digits"),
    ("formulas", column(['=""007""', '=""008""']), ['="007"', '="008"'], "text with digits"),
    ("yes and no", column(["ja", "nein"]), ["ja", "nein"], ""),
    ("codes", column(["A12", "B7"]), ["A12", "B7"], ""),
    ("a total", "a,b,y\nu,1,2\nv,3,4\nTotal,4,6\n", ["u", "v", "Total"], "the last row holds 'Tot"),
    ("a source", "a,b,y\nu,1,2\nv,3,4\nof,,\n", ["u", "v", "of"], "the last row holds 'of'"),
    ("fixed width", "a        y\nu v      1\nw x      2\nz        3\n", ["u v", "w x", "z"], "two"),
]  # fmt: skip


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("content", "values", "note"), [o[1:] for o in ODD], ids=[o[0] for o in ODD]
)
def test_odd_cells_are_read_or_noted(tmp_path, monkeypatch, content, values, note, large):
    if large:
        pytest.importorskip("pyarrow")
        monkeypatch.setattr(csv, "_LARGE", 1)
    table = datasets.read_table(write(tmp_path / "t.csv", content))
    if isinstance(values[0], str):
        assert table.text("a") == values
    else:
        np.testing.assert_array_equal(table.values("a"), values)
    assert note in " ".join(table.notes)
    if not note:
        assert not table.notes


REFUSED_ODD = [
    ("hex among numbers", column(["0x10", "31"]), "mixes numbers and text"),
    ("a sign of infinity", column(["\u221e", "1", "2"]), "mixes numbers and text"),
    ("durations", column(["1:02:03", "0:10:00", "30:00:00"]), "mixes dates and text"),
    ("years of two digits first", column(["24-02-13", "24-03-12"]), "may begin with the year or"),
    ("30 February", column(["2024-02-30", "2024-01-01", "2024-01-02"]), "mixes dates and text"),
    ("errors of Excel", column(["#DIV/0!", "1", "2"]), "add --missing '#DIV/0!'"),
    ("less than", column(["<0.5", "1", "2"]), "mixes numbers and text"),
    ("true and 1", column(["TRUE", "1"]), "mixes numbers and text"),
    ("two headers", "a,y\nkg,EUR\n1,2\n3,4\n", "second header"),
    ("years as header", "2019,2020\n1.5,2\n3,4\n", "--header if it names columns"),
    ("a remark below", "a,b,y\n1,2,3\n4,5,6\nSource: OECD\n", "row 3 (line 4) has 1 fields"),
    ("backslash", 'a,y\n1,"u\\"v"\n2,x\n', "write a quote as two quotes"),
    ("single quotes", "'a','y'\n'1','2'\n", "expected double quotes"),
    ("JSON", '[{"a": 1, "y": 2}]\n', "this is JSON; expected a table"),
    ("HTML", "<!DOCTYPE html>\n<table>\n", "this is HTML; expected a table"),
    ("a long cell", "a,y\n1," + "x" * 200_000 + "\n", "close the quote that was opened before"),
    ("no name", "a,,y\n1,2,3\n4,5,6\n", "column 2 has no name; give it one"),
    ("header only", "a,b,y\n", "there is a header but no rows"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "text"), [o[1:] for o in REFUSED_ODD], ids=[o[0] for o in REFUSED_ODD]
)
def test_odd_files_are_one_error(tmp_path, content, text):
    test_one_error_that_names_the_remedy(tmp_path, None, content, text, False)


def test_words_for_missing_may_be_numbers(tmp_path, monkeypatch):
    path = write(tmp_path / "t.csv", "a,y\n-999,1\n2,2\n")
    for _ in range(2):
        table = datasets.read_table(path, missing=["-999"])
        np.testing.assert_array_equal(table.values("a"), [NAN, 2])
        monkeypatch.setattr(csv, "_LARGE", 1)


def test_a_later_file_may_be_utf8(tmp_path):
    content = "k;y\nä;1\nö;2\n"
    path = write(tmp_path / "t.csv", content.encode("cp1252"))
    like = datasets.read_table(path, encoding="cp1252").reading
    like = datasets.ReadingOptions.from_dict(like.to_dict())
    assert datasets.read_table(write(tmp_path / "u.csv", content), like=like).text("k") == [
        "ä",
        "ö",
    ]
    assert datasets.read_table(path, like=like).text("k") == ["ä", "ö"]


def test_odd_workbooks(tmp_path):
    import datetime as dt

    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    for row in [[], ["Sales", None, None], ["d", "a", "y"], [dt.date(2024, 1, 6), "u", 1],
                [dt.datetime(2024, 1, 7, 12), None, 2], [None, "v", 3]]:  # fmt: skip
        book.active.append(row)
    book.active.merge_cells("B4:B5")
    book.active.merge_cells("A2:C2")
    book.save(tmp_path / "t.xlsx")
    table = datasets.read_table(tmp_path / "t.xlsx")
    assert table.names == ["d", "a", "y"]
    np.testing.assert_array_equal(table.values("d"), [DAY, DAY + 1.5, NAN])
    assert table.text("a") == ["u", "", "v"]
