"""`fastmlp train my.csv`: what is decided, said and kept where no option says it."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

from fastmlp import TableModel, models

N = 520


@pytest.fixture
def flats(tmp_path):
    rng = np.random.default_rng(7)
    zone = rng.choice(["centre", "park"], N)
    area = rng.uniform(40, 200, N)
    price = 2 * area + 60 * (zone == "park") + rng.normal(0, 8, N)
    lines = [
        f"{a:.1f},{z},{i % 40},{i},{p:.1f},{'yes' if p > 260 else 'no'}"
        for i, (a, z, p) in enumerate(zip(area, zone, price, strict=True))
    ]
    text = "\n".join(["area,zone,house,day,price,dear", *lines]) + "\n"
    (tmp_path / "flats.csv").write_text(text)
    return "flats.csv"


QUICK = ("--units", "16", "--epochs", "8", "--seed", "1", "--drop", "dear")
ILL = ("--target", "dear", "--drop", "price", "--units", "16", "--epochs", "8", "--seed", "1")


def test_the_plain_command(run, flats):
    outcome = run("train", flats, "--target", "price", "--drop", "dear", "--epochs", 30,
                  "-o", "m.fmlp")  # fmt: skip
    assert outcome.code == 0
    assert (
        "128x3 silu, 16 bins for each number, adamw 0.0045, batches of 32, at most 30 epochs, the "
        "last 16 also without penalty; 20% of the rows held out." in (outcome.err)
    )
    for text in ("network", "constant", "linear", "R2", "RMSE", "MAE", "104 rows, held-out rows"):
        assert text in outcome.out
    assert "best epoch" in outcome.out
    assert "Next: fastmlp evaluate m.fmlp new.csv, fastmlp predict m.fmlp new.csv" in outcome.err
    model = TableModel.load("m.fmlp")
    assert model.held_out.network["r2"] > 0.9
    assert run("predict", "m.fmlp", flats).code == 0


def test_the_command_and_the_function_give_the_same_bits(run, flats):
    import fastmlp

    run("train", flats, "--target", "price", *QUICK, "-q", "-o", "m.fmlp")
    model = fastmlp.fit(flats, "price", units="16", epochs=8, seed=1, drop=["dear"], verbose=0)
    written = models.load_model("m.fmlp")
    pairs = zip(written.get_weights(), model.network.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert written.extras["table"] == model.network.extras["table"]


def test_print_config_shows_every_decision_and_repeats_the_run(run, flats, write):
    printed = run("train", flats, "--target", "price", "--drop", "dear", "--seed", 1,
                  "--epochs", 4, "--print-config")  # fmt: skip
    assert "# 128x3 silu, 16 bins for each number, adamw 0.0045" in printed.out
    table = tomllib.loads(printed.out)
    expected = {
        "units": "128x3", "activation": "silu", "optimizer": "adamw", "learning-rate": 0.0045,
        "schedule": "cycles", "batch-size": 32, "epochs": 4, "validation-split": 0.2, "seed": 1,
        "bins": 16,
        "loss": "mean_squared_error", "impute": "median", "target": ["price"],
    }  # fmt: skip
    assert {key: table.get(key) for key in expected} == expected
    write("run.toml", printed.out)
    run("train", "--config", "run.toml", "-q", "-o", "a.fmlp")
    run("train", flats, "--target", "price", "--drop", "dear", "--seed", 1, "--epochs", 4, "-q",
        "-o", "b.fmlp")  # fmt: skip
    one, two = (models.load_model(name).get_weights() for name in ("a.fmlp", "b.fmlp"))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_rate_is_found_and_drawn(run, flats, tmp_path):
    outcome = run("train", flats, "--target", "price", *QUICK, "--find-rate", "--plot", "figures")
    assert "Suggested: --learning-rate " in outcome.out
    assert (tmp_path / "figures/learning_rates.png").stat().st_size > 2000
    document = json.loads(
        run("train", flats, "--target", "price", *QUICK, "--find-rate", "--json").out
    )
    assert len(document["losses"]) == len(document["learning_rates"])


@pytest.mark.parametrize(
    "options",
    [
        ("--loss", "huber"),
        ("--metric", "mae", "--metric", "mse"),
        ("--weight", "area"),
        ("--patience", "1"),
        ("--schedule", "cosine", "--clip", "1"),
        ("--max-time", "0.2s"),
        ("--group", "house"),
        ("--time", "day"),
        ("--refit",),
        ("--interval", "0.8"),
        ("--target-transform", "log"),
    ],
)
def test_options(run, flats, options):
    command = [x for x in QUICK if "--max-time" not in options or x not in ("--epochs", "8")]
    outcome = run("train", flats, "--target", "price", *command, *options, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["held_out"]["network"]["r2"] > -1


@pytest.mark.parametrize(
    "options", [("--class-weight", "balanced"), ("--cost", "fp:1,fn:5"), ("--threshold", "f1")]
)
def test_options_of_classes(run, flats, options):
    outcome = run("train", flats, *ILL, *options, "--json", "-o", "m.fmlp")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["held_out"]["network"]["auc"] > 0.9


def test_the_threshold_is_said_and_warnings_are_not_with_q(run, flats):
    outcome = run("train", flats, *ILL, "--cost", "fp:1,fn:5", "-q")
    assert outcome.err == ""
    assert "'yes' from a probability of 0." in outcome.out
    assert " on (cost fp:1,fn:5): " in outcome.out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--loss", "rmse"), "Unknown loss: 'rmse'"),
        (("--loss", "log_loss"), "must be mse, mae, huber, poisson or quantile"),
        (("--metric", "r3"), "Unknown metric"),
        (("--class-weight", "balanced"), "needs classes"),
        (("--patience", "-1"), "--patience"),
        (("--schedule", "stairs"), "--schedule"),
        (("--clip", "0"), "--clip"),
        (("--bins", "-1"), "--bins"),
        (("--max-time", "soon"), "max_time must be"),
        (("--group", "house", "--time", "day"), "exclude each other"),
        (("--refit", "--validation-split", "0"), "needs rows held out"),
        (("--refit", "--checkpoint", "c.fmlp"), "a --checkpoint holds one run"),
        (("--interval", "3"), "interval must be"),
        (("--threshold", "0.4"), "need two classes"),
        (("--cost", "fp:1"), "need two classes"),
        (("--find-rate", "-o", "m.fmlp"), "--find-rate does not train: there is nothing for -o"),
        (("--find-rate", "--checkpoint", "c.fmlp"), "there is nothing for --checkpoint"),
    ],
)
def test_wrong_options(run, flats, options, text):
    outcome = run("train", flats, "--target", "price", *QUICK, *options)
    assert outcome.code == 2
    assert text in outcome.error
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--weight", "nothing"), "there is no weight column 'nothing'"),
        (("--group", "nothing"), "there is no group column 'nothing'"),
        (("--time", "zone"), "holds text; expected numbers or dates"),
    ],
)
def test_wrong_columns(run, flats, options, text):
    outcome = run("train", flats, "--target", "price", *QUICK, *options)
    assert outcome.code == 4
    assert text in outcome.error


def test_options_of_tables_are_refused_for_the_lecture_s_data(run):
    outcome = run("train", "--units", 4, "--loss", "mae")
    assert outcome.code == 2
    assert "--loss is for DATA, which is not given" in outcome.error
