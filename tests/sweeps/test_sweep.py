"""Sweeps in one process: what runs are, methods, ranking, errors."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import pytest

import fastmlp
from fastmlp import models, sweeps
from fastmlp.errors import DataError, ModelWarning
from fastmlp.preprocessing import Preprocessing, split
from fastmlp.sweeps import LogUniform, Uniform, _methods, _space

from .data import QUICK, classes, regression, small


def by_hand(config, seed, table, rows, held, epochs=3):
    """Train a run as a user would without a sweep; return its held-out mean squared error."""
    state = Preprocessing.fit(table, "y", "regression", standardize=True, rows=rows)
    x, y = state.inputs(table), state.targets(table)
    units = () if config["units"] == "none" else config["units"]
    model = models.mlp(units, x.shape[1], 1, seed=seed, l2=config["l2"], l1=config["l1"])
    model.compile(fastmlp.optimizers.Adam(config["learning_rate"]), "mse")
    model.fit(x[rows], y[rows], epochs=epochs, batch_size=config["batch_size"], verbose=0)
    errors = model.predict(x[held], verbose=0).astype(np.float64) - y[held]
    return np.square(errors).mean() * state.target.scale**2, model


def test_a_run_is_what_the_network_gives_that_is_trained_alone():
    x, y = regression()
    result = small(units=("4", "none", "300"), l2=(0.0, 0.01))
    table = fastmlp.datasets.as_table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
    rows, held = split(60, 0.2, 5)
    assert len(result.rows) == 18
    assert [row["run"] for row in result.rows] == list(range(1, 19))
    for row in result.rows:
        score, model = by_hand(row, row["seed"], table, rows, held)
        assert row["val_mse"] == score
        assert row["parameters"] == model.count_params()
        assert row["loss"] == model.history.history["loss"][-1]
        assert row["nonzero"] == sum(np.count_nonzero(w) for w in model.get_weights()[::2])


def test_tiny_networks_went_side_by_side(monkeypatch):
    from fastmlp._many import stacks

    sizes = []
    train = stacks.train

    def noted(how, model, seeds, rows, **options):
        sizes.append(len(seeds))
        return train(how, model, seeds, rows, **options)

    monkeypatch.setattr(stacks, "train", noted)
    together = small(units=("8",), seeds=6, threads=1)
    assert sizes == [6, 6]
    monkeypatch.setattr(stacks, "plan", lambda *_: None)
    assert small(units=("8",), seeds=6, threads=1).rows == together.rows


def test_the_order_of_a_grid_and_what_is_recorded():
    result = small(units=("4", [8, 8], "8,4"), l2=(0.01, 0.0), seeds=2, activation=["tanh"])
    seen = [(row["units"], row["l2"], row["seed"]) for row in result.rows]
    assert seen == list(itertools.product(["4", "8x2", "8,4"], [0.01, 0.0], [5, 6]))
    first = result.rows[0]
    assert (first["activation"], first["optimizer"], first["learning_rate"]) == (
        "tanh", "adam", 0.001,
    )  # fmt: skip
    assert result.varied == ["units", "l2"]
    assert result.settings["seed"] == 5
    assert result.sessions[0]["jobs"] is None and result.sessions[0]["engine"] == "threads"


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_rows_on_any_number_of_threads(threads):
    assert small(threads=threads).rows == small().rows


def test_classes_have_a_deviance_and_a_share_misclassified():
    x, y = classes()
    result = fastmlp.sweep(x, y, ["8", "8x2"], **QUICK)
    assert result.measures == ["deviance", "misclassification"]
    assert result.measure == "deviance"
    assert all(0 <= row["val_misclassification"] <= 1 for row in result.rows)
    two = fastmlp.sweep(x, y == "ash", "8", **QUICK, task="classification")
    assert two.rows[0]["val_deviance"] > 0
    by_share = result.ranking("misclassification")
    assert [r.mean for r in by_share] == sorted(r.mean for r in by_share)
    with pytest.raises(ValueError, match="Unknown measure: 'mse'"):
        result.ranking("mse")


def test_ranks_are_by_the_mean_over_seeds():
    result = small()
    ranking = result.ranking()
    assert [rank.rank for rank in ranking] == [1, 2, 3, 4]
    for rank in ranking:
        rows = [r for r in result.rows if all(r[k] == v for k, v in rank.config.items())]
        scores = [row["val_mse"] for row in rows]
        assert rank.scores == scores
        assert rank.mean == pytest.approx(np.mean(scores), rel=1e-15)
        assert rank.sd == pytest.approx(np.std(scores, ddof=1), rel=1e-12)
    assert [r.mean for r in ranking] == sorted(r.mean for r in ranking)
    assert result.best == ranking[0].config


def test_folds_hold_each_row_out_once():
    x, y = regression()
    assigned = np.arange(60) % 3
    result = fastmlp.sweep(x, y, "4", folds=assigned, seeds=2, **QUICK)
    assert [(r["seed"], r["fold"]) for r in result.rows] == list(
        itertools.product([5, 6], [1, 2, 3])
    )
    table = fastmlp.datasets.as_table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})
    for row in result.rows:
        held = assigned == row["fold"] - 1
        rows, held = np.flatnonzero(~held), np.flatnonzero(held)
        assert row["val_mse"] == by_hand(row, row["seed"], table, rows, held)[0]
    assert result.ranking()[0].runs == 6


def test_rows_of_ones_own_to_score_on():
    x, y = regression(80)
    result = fastmlp.sweep(x[:60], y[:60], "4", validation_data=(x[60:], y[60:]), **QUICK)
    names = ("a", "b", "c", "y")
    columns = dict(zip(names, [*x.T, y], strict=True))
    table = fastmlp.datasets.as_table(columns)
    rows, held = np.arange(60), np.arange(60, 80)
    assert result.rows[0]["val_mse"] == by_hand(result.rows[0], 5, table, rows, held)[0]
    frames = [{k: v[part] for k, v in columns.items()} for part in (slice(60), slice(60, 80))]
    again = fastmlp.sweep(frames[0], "y", "4", validation_data=frames[1], **QUICK)
    assert again.rows[0]["activation"] == "silu"  # a table's runs are those of `fastmlp.fit`
    with pytest.raises(ValueError, match="validation and validation_data are the same"):
        fastmlp.sweep(frames[0], "y", validation_data=frames[1], validation=frames[1], **QUICK)


def test_a_run_that_diverges_is_a_row_and_ranks_last():
    result = small(units=("8",), l2=(0.0,), learning_rate=[0.01, 1e30], optimizer="sgd")
    bad = [row for row in result.rows if row["status"] == "diverged"]
    assert len(bad) == 3
    assert all(row["message"].startswith("diverged in epoch 1") for row in bad)
    assert all(row["val_mse"] is None and row["loss"] is None for row in bad)
    last = result.ranking()[-1]
    assert (last.mean, last.diverged, last.config["learning_rate"]) == (None, 3, 1e30)
    alone = small(units=("600",), l2=(0.0,), learning_rate=1e30, optimizer="sgd", seeds=1)
    with pytest.raises(ValueError, match="No configuration has finished"):
        _ = alone.best


def test_exact_zeros():
    options = {"units": ("8",), "l2": (0.0,), "seeds": 1, "learning_rate": 0.05}
    dense = small(**options)
    sparse = small(**options, l1=0.5, proximal=True)
    assert sparse.rows[0]["nonzero"] < dense.rows[0]["nonzero"] == 32


# ---- methods -----------------------------------------------------------------------------------


def test_random_draws_from_lists_and_ranges():
    options = {
        "method": "random", "samples": 7, "seeds": 2, "l2": LogUniform(1e-5, 1e-1),
        "learning_rate": LogUniform(1e-3, 1e-2), "dropout": Uniform(0.0, 0.5),
        "batch_size": LogUniform(8, 32),
    }  # fmt: skip
    x, y = regression()
    given = {**QUICK, **options}
    result = fastmlp.sweep(x, y, ["4", "8"], **given)
    assert len(result.rows) == 14
    for row in result.rows:
        assert 1e-5 <= row["l2"] <= 1e-1 and 0 <= row["dropout"] <= 0.5
        assert row["l2"] == float(f"{row['l2']:.3g}")
        assert 8 <= row["batch_size"] <= 32 and isinstance(row["batch_size"], int)
    assert len({row["l2"] for row in result.rows}) == 7
    assert fastmlp.sweep(x, y, ["4", "8"], **given).rows == result.rows
    given["seed"] = 6
    assert fastmlp.sweep(x, y, ["4", "8"], **given).rows != result.rows


def test_random_from_lists_repeats_nothing():
    result = small(method="random", samples=4, seeds=1)
    assert len({(row["units"], row["l2"]) for row in result.rows}) == 4
    with pytest.raises(ValueError, match=r"samples must not be more .* Received: 5 of 4"):
        small(method="random", samples=5)


def test_draws_follow_their_distribution():
    space = _space.Space(
        units=["4", "8"], activation="relu", l1=0, l2=LogUniform(1e-6, 1e-2), group_l1=0,
        dropout=Uniform(0.0, 0.4), optimizer="adam", learning_rate=None, batch_size=32,
    )  # fmt: skip
    drawn = space.drawn(2000, 1)
    logs = np.log10([config["l2"] for config in drawn])
    rates = np.array([config["dropout"] for config in drawn])
    assert abs(logs.mean() + 4) < 0.1 and abs(logs.std() - 4 / math.sqrt(12)) < 0.05
    assert abs(rates.mean() - 0.2) < 0.01 and rates.min() >= 0 and rates.max() <= 0.4
    assert abs(np.mean([config["units"] == "4" for config in drawn]) - 0.5) < 0.05


@pytest.mark.parametrize(
    ("n", "epochs", "eta", "least", "expected"),
    [
        (27, 81, 3, None, [[27, 3], [9, 9], [3, 27], [1, 81]]),
        (10, 100, 3, None, [[10, 4], [4, 12], [2, 34], [1, 100]]),
        (8, 100, 2, 30, [[8, 50], [4, 100]]),
        (5, 2, 3, None, [[5, 1], [2, 1], [1, 2]]),
        (1, 9, 3, None, [[1, 9]]),
    ],
)
def test_rungs(n, epochs, eta, least, expected):
    assert _methods.rungs(n, epochs, eta, least) == expected


def test_halving_lets_the_best_go_on():
    result = small(units=("2", "4", "8"), l2=(0.0, 0.1, 1.0), method="halving", epochs=9, seeds=2)
    by_round = {
        i: [row for row in result.rows if row["round"] == i]
        for i in {row["round"] for row in result.rows}
    }
    assert {i: (len(rows), rows[0]["epochs"]) for i, rows in by_round.items()} == {
        1: (18, 1), 2: (6, 3), 3: (2, 9),
    }  # fmt: skip
    assert len(result) == result.total == 26
    for i in (1, 2):
        means = {}
        for row in by_round[i]:
            means.setdefault((row["units"], row["l2"]), []).append(row["val_mse"])
        order = sorted(means, key=lambda key: np.mean(means[key]))
        ahead = {(row["units"], row["l2"]) for row in by_round[i + 1]}
        assert ahead == set(order[: len(ahead)])
    assert result.ranking()[0].epochs == 9
    assert len(result.ranking()) == 9
    assert len(result.ranking(every_rung=True)) == 13
    # Every rung is trained anew: its rows are those of a grid with as many epochs.
    whole = small(units=("2", "4", "8"), l2=(0.0, 0.1, 1.0), epochs=9, seeds=2)
    scores = {(r["units"], r["l2"], r["seed"]): r["val_mse"] for r in whole.rows}
    for row in by_round[3]:
        assert row["val_mse"] == scores[row["units"], row["l2"], row["seed"]]


def test_optuna_drives():
    pytest.importorskip("optuna")
    options = {"units": ("2", "8"), "l2": (0.0, 0.1), "method": "optuna", "samples": 8, "seeds": 2}
    x, y = regression()
    given = {**options, "units": ["2", "8"], "l2": LogUniform(1e-4, 1.0), **QUICK}
    result = fastmlp.sweep(x, y, **given)
    assert len(result.rows) == 16
    assert {row["round"] for row in result.rows} == {1, 2}
    assert result.settings["plan"]["samples"] == 8 and "optuna" in result.settings["plan"]
    assert fastmlp.sweep(x, y, **given).rows == result.rows


def test_without_optuna_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'fastmlp\[optuna\]'"):
        small(method="optuna", samples=3)


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": ("4", "4x1")}, "The values of units must differ. Received: 4 twice"),
        ({"units": ()}, "units must hold at least one value"),
        ({"units": ("4y",)}, "units must be positive integers"),
        ({"l2": (-1.0,)}, "l2 must be a finite number of at least 0. Received: l2=-1.0"),
        ({"l1": [0.1], "group_l1": [0.0, 0.1]}, "group_l1 excludes l1 and l2"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\)"),
        ({"optimizer": "adamm"}, "Unknown optimizer: 'adamm'. Did you mean 'adam'"),
        ({"activation": ["rely"]}, "Did you mean 'relu'"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0"),
        ({"learning_rate": LogUniform(0.1, 1)}, "a range for learning_rate; give samples"),
        ({"method": "gird"}, "Unknown method: 'gird'. Did you mean 'grid'"),
        ({"method": "random"}, "method='random' needs samples"),
        ({"samples": 3}, "samples needs method='random'"),
        ({"eta": 1}, "eta must be an integer of at least 2"),
        ({"seeds": 0}, "seeds must be a positive integer"),
        ({"measure": "deviance"}, "Unknown measure: 'deviance'"),
        ({"validation_split": 0.0}, r"validation_split must be a number in \(0, 1\)"),
        ({"validation_split": 0.5, "folds": 3}, "validation_split and folds exclude each other"),
        ({"jobs": 2, "cluster": "tcp://localhost:1"}, "jobs .*exclude each other"),
        ({"activation": LogUniform(1, 2)}, "activation takes a list of values"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1.0, math.inf)])
def test_ranges_have_two_ends(low, high):
    with pytest.raises(ValueError, match=r"low|high"):
        LogUniform(low, high)


def test_wrong_data():
    x, y = regression()
    with pytest.raises(DataError, match="as many rows"):
        fastmlp.sweep(x, y[:-1], "4", **QUICK)
    with pytest.raises(DataError, match="validation_data must be"):
        fastmlp.sweep(x, y, "4", validation_data=x, **QUICK)
    x[3, 1] = np.nan
    with pytest.raises(DataError, match="missing"):
        fastmlp.sweep(x, y, "4", impute="none", **QUICK)


def test_sweeps_are_exported():
    assert fastmlp.sweep is sweeps.sweep
    assert set(sweeps.__all__) <= set(dir(sweeps))


def test_the_seed_is_drawn_and_recorded_in_the_store(tmp_path):
    x, y = regression()
    options = {**QUICK, "seed": None}
    one, other = (fastmlp.sweep(x, y, "4", **options) for _ in range(2))
    assert one.settings["seed"] != other.settings["seed"]
    kept = fastmlp.sweep(x, y, "4", store=tmp_path / "s.db", **options)
    again = fastmlp.sweep(x, y, "4", store=tmp_path / "s.db", **options)
    assert again.settings == kept.settings and again.rows == kept.rows


# ---- the network of the first rank -------------------------------------------------------------


def test_the_model_is_the_network_of_the_first_rank(tmp_path):
    x, y = regression()
    file = tmp_path / "best.fmlp"
    result = small(units=("4", "8"), l2=(0.0, 0.1), model=file)
    table = fastmlp.datasets.as_table({"x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "y": y})
    rows, held = split(60, 0.2, 5)
    best = result.ranking()[0]
    score, alone = by_hand(best.config, 5, table, rows, held)
    for a, b in zip(result.model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    run = next(r for r in result.rows if r["seed"] == 5 and r["units"] == best.config["units"]
               and r["l2"] == best.config["l2"])  # fmt: skip
    assert run["val_mse"] == score
    loaded = models.load_model(file)
    kept = loaded.extras["sweep"]
    assert (kept["config"], kept["held_out"], kept["seed"]) == (best.config, best.mean, 5)
    state = Preprocessing.of(loaded)
    values = state.values(loaded.predict(state.inputs(table), verbose=0))
    assert np.square(values[held] - y[held]).mean() == pytest.approx(score, rel=1e-5)
    assert result.model is result.model


def test_with_folds_the_model_has_seen_all_rows():
    x, y = regression()
    result = small(units=("4",), l2=(0.0,), folds=3, seeds=1)
    table = fastmlp.datasets.as_table({"x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "y": y})
    _, alone = by_hand(result.best, 5, table, np.arange(60), np.arange(2))
    for a, b in zip(result.model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_rows_or_finished_runs_there_is_no_model(tmp_path):
    small(units=("4",), store=tmp_path / "s.db")
    with pytest.raises(ValueError, match="model needs the rows of the sweep, which a store"):
        _ = sweeps.load(tmp_path / "s.db").model
    with pytest.warns(ModelWarning, match=r"No network was kept in .*m.fmlp: every configuration"):
        small(units=("4",), learning_rate=1e30, optimizer="sgd", model=tmp_path / "m.fmlp")
    assert not (tmp_path / "m.fmlp").exists()
    with pytest.raises(OSError, match="nowhere"):
        small(units=("4",), model=tmp_path / "nowhere" / "m.fmlp")
