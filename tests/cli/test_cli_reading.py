"""The options that say how a file is written: each does its work, and has a clear error."""

from __future__ import annotations

import gzip

import pytest

from fastmlp import models

ROWS = [f"{i % 7},{i % 5}{i % 3};{'uv?'[i % 3]};{i % 28 + 1:02}/0{i % 9 + 1}/2024;{i}"
        for i in range(40)]  # fmt: skip
EUROPE = "größe;kind;tag;preis\n" + "\n".join(ROWS) + "\n"
QUICK = ("--units", 2, "--epochs", 1, "--seed", 1, "--quiet")


def reading(name):
    return models.load_model(name).extras["reading"]


@pytest.mark.parametrize(
    ("args", "content", "kept"),
    [
        (["--delimiter", ";"], EUROPE, {"delimiter": ";"}),
        (["--decimal", ","], EUROPE, {"decimal": ","}),
        (["--thousands", "'"], EUROPE, {"thousands": "'"}),
        (["--encoding", "cp1252"], EUROPE.encode("cp1252"), {"encoding": "cp1252"}),
        (["--comment", "*"], "* made by hand\n" + EUROPE, {"comment": "*"}),
        (["--no-header", "--target", "x4"], EUROPE.partition("\n")[2], {"header": False}),
        (["--missing", "?,-"], EUROPE, {"missing": ["?", "-"]}),
        (["--dates", "dmy"], EUROPE, {"dates": "dmy"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_option_is_used_and_kept(run, write, args, content, kept):
    write("t.csv", content)
    outcome = run("train", "t.csv", *QUICK, "-o", "m.fmlp", *args)
    assert outcome.code == 0, outcome.err
    assert kept.items() <= reading("m.fmlp").items()
    outcome = run("predict", "m.fmlp", "t.csv")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("\n") == 41


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--delimiter", ";;"], "delimiter must be one character, or 'tab'"),
        (["--delimiter", "|"], "t.csv"),
        (["--decimal", ";"], "'--decimal'"),
        (["--decimal", "."], "do not both fit --decimal '.'"),
        (["--thousands", ";"], "'--thousands'"),
        (["--decimal", ",", "--thousands", ","], "decimal and thousands must differ"),
        (["--encoding", "klingon"], "encoding must be one that Python knows"),
        (["--encoding", "ascii"], "line 1: not ASCII text; name the encoding (--encoding)"),
        (["--comment", ""], "comment must be the text that comment lines begin with"),
        (["--no-header"], "mixes numbers and text"),
        (["--dates", "ymd"], "'--dates'"),
        (["--dates", "mdy"], "do not fit --dates mdy; give --dates dmy"),
        (["--sheet", "A"], "--sheet names a sheet of a workbook (.xlsx), but this is CSV"),
    ],
    ids=" ".join,
)
def test_an_option_that_does_not_fit_is_one_clear_error(run, write, args, text):
    write("t.csv", EUROPE)
    outcome = run("train", "t.csv", *QUICK, "-o", "m.fmlp", *args)
    assert outcome.code in (2, 4)
    assert text in outcome.err
    assert "Traceback" not in outcome.err


def test_bytes_that_are_not_text_name_the_encoding(run, write):
    write("t.csv", b"a,y\n1,2\n\x81,3\n4,4\n")
    outcome = run("train", "t.csv", *QUICK, "-o", "m.fmlp")
    assert outcome.code == 4
    assert "t.csv: line 3: neither UTF-8 nor CP1252 text; name the encoding (--encoding)" in (
        outcome.err
    )


@pytest.mark.parametrize(
    "command",
    [
        ["train", "t.csv", *QUICK, "-o", "m.fmlp"],
        ["ensemble", "t.csv", "--members", 2, *QUICK, "-o", "m.fmlp"],
        ["path", "t.csv", "--units", 2, "--epochs", 2, "--n-lambdas", 3, "--folds", 2, "--seed", 1,
         "--quiet", "-o", "out"],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_commands_keep_how_they_read(run, write, command):
    write("t.csv", EUROPE.encode("cp1252"))
    outcome = run(*command, "--missing", "?", "--dates", "dmy")
    assert outcome.code == 0, outcome.err
    name = "out/model.fmlp" if command[0] == "path" else "m.fmlp"
    later = [EUROPE.splitlines()[i] for i in (0, 3, 6)]  # both orders of day and month are possible
    write("later.csv.gz", gzip.compress("\n".join(later).encode()))
    outcome = run("predict", name, "later.csv.gz")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("\n") == 3
    assert "not seen" not in outcome.err


def test_declared_categories_keep_namibia(run, write):
    rows = [f"{('NA', 'x', '')[i % 3]},{5 * (i % 3 == 0)}" for i in range(60)]
    write("t.csv", "land,y\n" + "\n".join(rows) + "\n")
    outcome = run("train", "t.csv", *QUICK, "--categorical", "land", "-o", "m.fmlp", "--task",
                  "regression")  # fmt: skip
    assert outcome.code == 0, outcome.err
    (column,) = models.load_model("m.fmlp").extras["preprocessing"]["columns"]
    assert "NA" in column["categories"]
    write("new.csv", 'land\nNA\n""\nx\n')
    lines = run("predict", "m.fmlp", "new.csv").out.splitlines()[1:]
    assert len(set(lines)) == 3
    assert run("evaluate", "m.fmlp", "t.csv", "--json").code == 0
