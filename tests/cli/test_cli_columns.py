"""Options about columns and targets, their errors, and what predict and evaluate say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp import TableModel, datasets, inspection, models
from fastmlp.preprocessing import Preprocessing

N = 60
QUICK = ("--units", "4", "--epochs", "2", "--seed", "1", "--validation-split", "0.2")


@pytest.fixture
def table(write):
    rng = np.random.default_rng(4)
    x = rng.normal(size=N)
    lines = ["id,x,gap,zone,day,ok,y,z"]
    for i in range(N):
        gap = "" if i % 6 == 0 else f"{x[i] + i % 5:.3f}"
        day = f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}"
        y = np.exp(1 + x[i])
        lines.append(f"{i},{x[i]:.4f},{gap},z{i % 9},{day},{x[i] > 0},{y:.4f},{50 * y - i % 3:.3f}")
    return write("t.csv", "\n".join(lines) + "\n")


def trained(run, table, *options, target="y"):
    targets = ("--target", target) if isinstance(target, str) else target
    done = run("train", table, *targets, *QUICK, *options, "-o", "m.fmlp", "--force")
    assert done.code == 0, done.err
    return Preprocessing.of(models.load_model("m.fmlp")), done.err


def names(state):
    return [column.name for column in state.columns]


def test_options_of_columns(run, table):
    plain, said = trained(run, table)
    assert "id" in plain.dropped and "--keep id" in said
    assert "Missing: gap 17%; filled by the median, with an indicator" in said
    state, said = trained(run, table, "--keep", "id", "--max-categories", 3, "--no-indicator",
                          "--date-parts", "--unknown", "error")  # fmt: skip
    assert names(state)[0] == "id" and "--keep" not in said
    zone = next(column for column in state.columns if column.name == "zone")
    assert len(zone.categories) == 3 and zone.other and zone.unknown == "error"
    assert "'zone' has 9 categories" in said
    assert not any(column.indicator for column in state.columns)
    assert {"day year sin", "day month cos", "day weekday sin"} <= set(state.input_names)
    assert plain.n_inputs + 6 + 1 - 9 + 4 - 1 == state.n_inputs


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--keep", "none"), "no column 'none'"),
        (("--drop", "none"), "no column 'none'"),
        (("--max-categories", "0"), "0 is not in the range x>=1"),
        (("--unknown", "guess"), "'guess' is not one of 'ignore', 'error'"),
        (("--impute", "none"), "the value is missing"),
        (("--impute", "none", "--indicator"), "--indicator needs --impute median or mean"),
        (("--impute", "zero"), "'zero' is not one of"),
        (("--date-parts", "--drop", "day", "--target-transform", "cube"), "'cube' is not one of"),
        (("--target-transform", "log", "--task", "classification"), "target_transform is for numb"),
        (("--target", "z", "--target", "zone"), "a regression target must hold numbers"),
        (("--target", "z", "--target", "none"), "no target column 'none'"),
        (("--target", "z", "--target", "y"), "each once"),
        (("--target", "z", "--task", "classification"), "several targets must be numbers"),
    ],
)
def test_errors_of_options(run, table, options, text):
    done = run("train", table, "--target", "y", *QUICK, *options)
    assert done.code in (2, 4) and text in done.error, done.err
    assert "Traceback" not in done.err


def test_a_transform_of_a_target_below_0(run, write):
    lines = [f"{i},{i % 7 - 3}.5" for i in range(N)]
    name = write("below.csv", "x,y\n" + "\n".join(lines) + "\n")
    done = run("train", name, *QUICK, "--target-transform", "log")
    assert "below 0" in done.error and "quantile can" in done.error


def test_a_column_without_a_name(run, write):
    lines = [f"{i * 3 % 40},{i % 7},{i % 7 + i % 3}" for i in range(N)]
    name = write("unnamed.csv", ",x,y\n" + "\n".join(lines) + "\n")
    state, _ = trained(run, name)
    assert names(state) == ["", "x"]
    state, _ = trained(run, name, "--drop", "")
    assert names(state) == ["x"] and state.dropped == [""]
    assert run("train", "t.csv", "--drop", "").code != 0


# ---- what predict and evaluate say -------------------------------------------------------------


def new_rows(write, zone, ok="True"):
    rows = [f"0.1,1.0,{zone},2024-05-06,{ok},2.5" for _ in range(3)]
    return write("new.csv", "x,gap,zone,day,ok,y\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_unknown_categories_and_missing_cells_are_counted(run, table, write, command):
    trained(run, table, "--drop", "z")
    new = new_rows(write, "moon", "")
    done = run(command, "m.fmlp", new)
    assert done.code == 0, done.err
    assert "not seen in training, taken as unknown: 'zone' 3" in done.err
    assert "Missing cells filled in, which training had no indicator for: 'ok' 3" in done.err
    done = run(command, "m.fmlp", new_rows(write, "z1"))
    assert "unknown" not in done.err and "filled in" not in done.err
    assert "moon" not in run(command, "m.fmlp", new, "-q").err
    trained(run, table, "--drop", "z", "--unknown", "error")
    done = run(command, "m.fmlp", new_rows(write, "moon"))
    assert "the category 'moon' was not seen in training" in done.error


# ---- units -------------------------------------------------------------------------------------


def expected(path, target):
    model = TableModel.load("m.fmlp")
    table = datasets.read_table(path)
    y = np.stack([table.values(name) for name in target], 1)
    return (model.predict(path).reshape(len(y), -1) - y), y


@pytest.mark.parametrize(
    ("options", "target"),
    [(("--target-transform", "log"), ["y"]), ((), ["y", "z"]),
     (("--target-transform", "sqrt"), ["z", "y"])],
)  # fmt: skip
def test_errors_are_in_the_units_of_the_table(run, table, options, target):
    given = [word for name in target for word in ("--target", name)]
    trained(run, table, *options, "--metric", "mse", target=given)
    error, _ = expected(table, target)
    found = json.loads(run("evaluate", "m.fmlp", table, "--json").out)
    assert found["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert found["mae"] == pytest.approx(abs(error).mean(), rel=1e-5)
    inspected = json.loads(run("inspect", "m.fmlp", table, "--json", "--metric", "mae").out)
    assert inspected["value"] == pytest.approx(abs(error).mean(), rel=1e-5)
    if len(target) == 1:
        compared = json.loads(run("compare", "m.fmlp", table, "--json").out)["models"][0]
        assert compared["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
        assert compared["mae"] == pytest.approx(abs(error).mean(), rel=1e-5)


def test_larger_is_better_stays_with_a_metric_in_units(run, table):
    trained(run, table, "--target-transform", "log")
    found = json.loads(run("inspect", "m.fmlp", table, "--json", "--metric", "r2_score").out)
    assert found["larger_is_better"]
    error, y = expected(table, ["y"])
    r2 = 1 - (error**2).sum() / ((y - y.mean()) ** 2).sum()
    assert found["value"] == pytest.approx(r2, rel=1e-4)


def test_features_of_a_table_with_new_treatment(run, table):
    state, _ = trained(run, table, "--date-parts", "--max-categories", 3)
    features = inspection.features(state)
    assert sum(len(feature.columns) for feature in features) == state.n_inputs
