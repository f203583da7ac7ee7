"""Users' own data on the command line: formats, kinds of columns, streams, and bad tables."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from fastmlp import models
from fastmlp.datasets import _parquet

from ..support.bad_tables import MISFITS, PARQUET, TRAINED, WITH_EXTRA, WITHOUT_EXTRA

TRAIN = ("--units", 4, "--epochs", 1, "--seed", 1)


def result(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def write_parquet(name, columns, **options):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), name, **options)
    return name


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    a = rng.normal(size=400)
    return {
        "a": a,
        "k": rng.choice(["u", "v"], 400),
        "flag": a > 0,
        "day": np.arange(400).astype("datetime64[D]"),
        "y": 2 * a + 1,
    }


# ---- formats ----


@pytest.mark.parametrize("name", ["t.tsv", "t.npy", "t.npz", "t.parquet", "t.arrow"])
def test_every_format_trains_evaluates_and_predicts_as_csv_does(run, write, name):
    rng, plain = np.random.default_rng(0), (*TRAIN, "--group-l1", 0)
    x = rng.normal(size=(60, 2)).round(3)
    y = (x @ [1, -2]).round(3)
    data = {"x1": x[:, 0], "x2": x[:, 1], "y" if name != "t.npy" else "x3": y}
    lines = [",".join(data), *(",".join(map(str, row)) for row in zip(*data.values(), strict=True))]
    write("t.csv", "\n".join(lines) + "\n")
    if name == "t.tsv":
        write(name, "\n".join(lines).replace(",", "\t"))
    elif name == "t.npy":
        np.save(name, np.column_stack([x, y]))
    elif name == "t.npz":
        np.savez(name, x=x, y=y)
    elif name == "t.parquet":
        write_parquet(name, data)
    else:
        pa = pytest.importorskip("pyarrow")
        table = pa.table(data)
        with pa.OSFile(name, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    trained = [result(run("train", n, *plain, "--json", "-o", f"{n}.fmlp"))
               for n in ("t.csv", name)]  # fmt: skip
    assert trained[0]["train"] == trained[1]["train"]
    assert trained[1]["data"] == name
    outcomes = [run("predict", "t.csv.fmlp", n) for n in ("t.csv", name)]
    assert outcomes[0].out == outcomes[1].out
    assert outcomes[0].out.count("\n") == 61
    figures = [result(run("evaluate", f"{name}.fmlp", n, "--json")) for n in ("t.csv", name)]
    assert figures[0]["mse"] == figures[1]["mse"]
    assert (
        result(run("train", "t.csv", *plain, "--json", "--validation", name))["val"]
        == (trained[0]["train"])
    )


def test_standard_input_is_csv(run, write):
    write("t.csv", TRAINED)
    assert run("train", "t.csv", *TRAIN, "-o", "m.fmlp").code == 0
    piped = run("predict", "m.fmlp", "-", stdin=TRAINED)
    assert piped.out == run("predict", "m.fmlp", "t.csv").out
    assert piped.out.count("\n") == 4


def test_booleans_dates_and_indicators(run, write):
    write("t.csv", TRAINED + ",,,,4.5\n")
    options = ("--impute", "median", "--indicator")
    outcome = run("train", "t.csv", *TRAIN, *options, "-v", "-o", "m.fmlp")
    assert "4 training rows, 0 validation rows, 9 inputs." in outcome.err
    kept = models.load_model("m.fmlp").extras["preprocessing"]["columns"]
    assert [column["kind"] for column in kept] == ["numeric", "categorical", "boolean", "date"]
    write("new.csv", "day,flag,k,a,y\n,,,,?\n2024-05-30,false,v,2,?\n")
    assert len(json.loads(run("predict", "m.fmlp", "new.csv", "--json").out)["prediction"]) == 2
    outcome = run("train", "t.csv", *TRAIN, "--indicator", "--impute", "none")
    assert outcome.code == 2
    assert "--indicator needs --impute median or mean" in outcome.error


# ---- streams ----


def test_a_streamed_model_is_a_model_like_others(run, columns, monkeypatch):
    write_parquet("t.parquet", columns, row_group_size=90)
    args = ("train", "t.parquet", "--units", 8, "--epochs", 3, "--seed", 1, "--standardize",
            "--batch-size", 50, "--json", "-o")  # fmt: skip
    outcome = run(*args, "s.fmlp", "--stream", "--buffer-rows", 120, "--validation-split", 0.2)
    streamed = result(outcome)
    assert outcome.err.startswith(
        "t.parquet is streamed, not held in memory.\nTarget: 'y', the last column.\n"
        "Task: regression, because 'y' holds numbers.\n"
        "Warning: 'a' predicts the target 'y' all by itself: is it known before the target is? "
        "If not, leave it out (--drop a).\n"
    )
    assert "A stream holds out rows at random" in outcome.err
    assert outcome.err.endswith("Wrote s.fmlp.\n")
    held = result(run(*args, "h.fmlp"))
    assert set(streamed) == set(held)
    assert streamed["val"]["mse"] > 0
    columns_of = [models.load_model(name).extras["preprocessing"]["columns"]
                  for name in ("s.fmlp", "h.fmlp")]  # fmt: skip
    assert [[c["name"] for c in of] for of in columns_of] == [["a", "k", "flag", "day"]] * 2

    predicted, figures = run("predict", "s.fmlp", "t.parquet").out, run(
        "evaluate", "s.fmlp", "t.parquet", "--json"
    )  # fmt: skip
    monkeypatch.setattr(_parquet, "MANY_VALUES", 1000)  # from here on it is large
    assert run("predict", "s.fmlp", "t.parquet").out == predicted
    assert result(run("evaluate", "s.fmlp", "t.parquet", "--json"))["mse"] == pytest.approx(
        result(figures)["mse"], rel=1e-5
    )
    assert "is streamed" in run(*args, "a.fmlp", "--validation", "t.parquet").err
    assert "is streamed" not in run(*args, "b.fmlp", "--no-stream").err


def test_a_seed_makes_a_streamed_run_reproducible(run, columns):
    write_parquet("t.parquet", columns, row_group_size=90)
    args = ("train", "t.parquet", "--units", 8, "--epochs", 2, "--stream", "--json", "--seed")
    first, again, other = (result(run(*args, seed, "--threads", n)) for seed, n in
                           ((1, 1), (1, 2), (2, 1)))  # fmt: skip
    assert first["train"] == again["train"]
    assert first["train"] != other["train"]


def test_dry_run_and_figures_of_a_stream(run, columns, monkeypatch):
    from fastmlp import plots

    write_parquet("t.parquet", {"a": columns["a"], "y": columns["y"]})
    values = run(
        "train", "t.parquet", "--units", 4, "--stream", "--dry-run", "--validation-split", 0
    ).out
    assert "rows         400\n" in values
    assert "steps        2,626\n" in values
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.append(path.name))
    assert run("train", "t.parquet", *TRAIN, "--stream", "--plot", "f").code == 0
    assert drawn == ["history.png", "network.png", "weights.png", "layers.png"]


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["--stream"], 2, "--stream describes DATA, which is not given"),
        (["--no-stream"], 2, "--no-stream describes DATA, which is not given"),
        (["--buffer-rows", "5"], 2, "--buffer-rows describes DATA"),
        (["t.parquet", "--buffer-rows", "0"], 2, "--buffer-rows"),
        (["t.csv", "--stream"], 4, "t.csv: a stream must be a Parquet file"),
    ],
)
def test_what_cannot_be_streamed(run, write, args, code, text):
    write("t.csv", TRAINED)
    outcome = run("train", *args, *TRAIN)
    assert outcome.code == code
    assert text in outcome.error


# ---- bad tables: exit code 4 and one line ----


@pytest.mark.parametrize("bad", [*WITHOUT_EXTRA, *WITH_EXTRA], ids=lambda bad: bad.name)
def test_what_is_no_table_is_one_clear_error(run, tmp_path, bad):
    if bad in WITH_EXTRA:
        pytest.importorskip("pyarrow")
    bad.make(tmp_path / bad.file)
    options = [
        part
        for name, value in bad.options.items()
        for part in ((f"--{name}", value) if value is not False else (f"--no-{name}",))
    ]
    runs = [[], ["--stream"]] if bad in PARQUET else [[]]
    for more in runs:
        outcome = run("train", bad.file, *TRAIN, "--target", bad.target, *options, *more)
        assert outcome.code == 4, outcome.err
        assert outcome.error.startswith(f"Error: {bad.file}")
        assert bad.text in outcome.error
        assert outcome.err.count("\n") == 1
        assert outcome.out == ""


@pytest.mark.parametrize(("content", "text"), MISFITS)
def test_a_table_that_does_not_fit_the_model_is_one_clear_error(run, write, content, text):
    write("t.csv", TRAINED)
    strict = ("--impute", "none", "--unknown", "error")
    assert run("train", "t.csv", *TRAIN, *strict, "-q", "-o", "m.fmlp").code == 0
    write("new.csv", content)
    outcome = run("predict", "m.fmlp", "new.csv")
    assert outcome.code == 4
    assert outcome.error.startswith("Error: new.csv: ")
    assert text in outcome.error
    assert outcome.err.count("\n") == 1


def test_a_missing_extra_is_one_clear_error(run, write, monkeypatch):
    write_parquet("t.parquet", {"a": [1.0, 2.0], "y": [1.5, 2.5]})
    write("t.csv", TRAINED)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for command in (["train", "t.parquet", *TRAIN], ["train", "t.parquet", *TRAIN, "--stream"]):
        outcome = run(*command)
        assert outcome.code == 4
        assert outcome.error == (
            "Error: t.parquet: reading Parquet needs pyarrow, which is not installed: "
            "pip install 'fastmlp[data]'"
        )
    assert run("train", "t.csv", *TRAIN).code == 0
