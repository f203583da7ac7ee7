"""The figures by which a model is judged, what it keeps of them, and simple models beside it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp import metrics
from fastmlp.errors import ModelFileError
from fastmlp.tabular import (
    Baselines,
    HeldOut,
    Quality,
    bootstrap,
    per_class,
    rounded,
    scores,
    standard_errors,
)


def drawn(n=300, k=3, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k), n)
    return rng.integers(0, k, n), p, rng.uniform(0.5, 2, n)


def test_figures_of_two_classes_are_scikit_learns():
    sk = pytest.importorskip("sklearn.metrics")
    y, p, w = drawn(k=2)
    for weight in (None, w):
        found = scores("classification", y, p, weight, rarer=1)
        assert list(found) == [
            "auc", "average_precision", "log_loss", "brier_score", "accuracy", "base_rate"
        ]  # fmt: skip
        one, options = p[:, 1], {"sample_weight": weight}
        assert found["auc"] == pytest.approx(sk.roc_auc_score(y, one, **options))
        assert found["average_precision"] == pytest.approx(
            sk.average_precision_score(y, one, **options)
        )
        assert found["log_loss"] == pytest.approx(sk.log_loss(y, one, **options))
        assert found["brier_score"] == pytest.approx(sk.brier_score_loss(y, one, **options))
        assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, one > 0.5, **options))
        share = np.average(y, weights=weight)
        assert found["base_rate"] == pytest.approx(max(share, 1 - share))
        assert scores("classification", y, one, weight, rarer=1) == pytest.approx(found)
        column = scores("classification", y[:, None], one[:, None], weight, rarer=1)
        assert column == pytest.approx(found)


def test_figures_of_several_classes_are_scikit_learns():
    sk = pytest.importorskip("sklearn.metrics")
    y, p, w = drawn(k=4)
    for weight in (None, w):
        found, options = scores("classification", y, p, weight), {"sample_weight": weight}
        chosen = p.argmax(axis=1)
        assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, **options))
        assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, chosen, **options))
        assert found["balanced_accuracy"] == pytest.approx(
            sk.balanced_accuracy_score(y, chosen, **options)
        )
        assert found["macro_f1"] == pytest.approx(
            sk.f1_score(y, chosen, average="macro", **options)
        )
        each = per_class(y, p, "abcd", weight)
        expected = sk.precision_recall_fscore_support(y, chosen, **options)[:3]
        names = ("precision", "recall", "f1")
        np.testing.assert_allclose([[row[n] for row in each] for n in names], expected)
        assert [row["rows"] for row in each] == np.bincount(y).tolist()
        assert each[1]["auc"] == pytest.approx(sk.roc_auc_score(y == 1, p[:, 1], **options))


def test_figures_of_regression_are_scikit_learns():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2))
    p, w = y + rng.normal(size=(200, 2)), rng.uniform(size=200)
    for true, pred in ((y[:, 0], p[:, 0]), (y, p)):
        for weight in (None, w):
            found = scores("regression", true, pred, weight, 0.7)
            options = {"sample_weight": weight}
            assert found["r2"] == pytest.approx(sk.r2_score(true, pred, **options))
            mse = sk.mean_squared_error(true, pred, **options)
            assert found["rmse"] == pytest.approx(np.sqrt(mse))
            assert found["mae"] == pytest.approx(sk.mean_absolute_error(true, pred, **options))
            assert found["pinball_loss"] == pytest.approx(
                sk.mean_pinball_loss(true, pred, alpha=0.7, **options)
            )


def test_metrics_of_classes_that_are_absent():
    p = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1]])
    assert metrics.balanced_accuracy([0, 1], p) == 0.5
    assert metrics.macro_f1([0, 1], p) == pytest.approx(1 / 3)  # the third does not count
    assert metrics.balanced_accuracy([0, 1], [np.nan, 0.7]) == 0.5
    assert np.isnan(metrics.average_precision([0, 0], [0.1, 0.2]))


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.87321, 0.012, "0.873"),
        (0.87321, 0.031, "0.87"),
        (0.87321, 0.0961, "0.87"),  # two digits of the figure itself
        (12345.678, 230.0, "12300"),
        (12345.678, 130.0, "12350"),
        (0.0123, 0.5, "0.0"),
        (1234.5, 0.0, "1234"),
        (float("nan"), 0.1, ""),
        (None, 0.1, ""),
        (-3.14159, 0.02, "-3.14"),
    ],
)
def test_figures_have_the_digits_that_their_error_leaves(value, error, expected):
    assert rounded(value, error) == expected


def test_bootstrap_intervals_hold_the_truth():
    # 25 tables: about 24 intervals of 95% hold the truth; fewer than 19 are unlikely.
    held = {"accuracy": 0, "auc": 0}
    true_auc = 5 / 6  # of p uniform and y drawn with it
    for seed in range(25):
        rng = np.random.default_rng(seed)
        p = rng.uniform(size=300)
        y = rng.uniform(size=300) < p
        found = bootstrap("classification", y, p, repeats=50, seed=1)
        held["accuracy"] += found["accuracy"][0] <= 0.75 <= found["accuracy"][1]
        held["auc"] += found["auc"][0] <= true_auc <= found["auc"][1]
    assert held["accuracy"] >= 19 and held["auc"] >= 19


def test_bootstrap_depends_on_the_seed_alone():
    y, p, _ = drawn(k=2)
    assert bootstrap("classification", y, p, repeats=20, seed=3) == bootstrap(
        "classification", y, p, repeats=20, seed=3
    )
    assert bootstrap("classification", y, p, repeats=20, seed=3) != bootstrap(
        "classification", y, p, repeats=20, seed=4
    )


def test_bootstrap_of_many_rows_is_as_narrow_as_they_make_it(monkeypatch):
    from fastmlp.tabular import _scores

    rng = np.random.default_rng(7)
    y = rng.normal(size=8000)
    p = np.zeros(8000)
    whole = standard_errors("regression", y, p, repeats=200)["rmse"]
    interval = bootstrap("regression", y, p, repeats=200)["rmse"]
    monkeypatch.setattr(_scores, "_MOST_RESAMPLED", 1000)
    part = standard_errors("regression", y, p, repeats=200)["rmse"]
    assert part == pytest.approx(1 / np.sqrt(2 * 8000), rel=0.25)
    assert whole == pytest.approx(1 / np.sqrt(2 * 8000), rel=0.25)
    low, high = bootstrap("regression", y, p, repeats=200)["rmse"]
    assert high - low == pytest.approx(interval[1] - interval[0], rel=0.3)
    assert low < scores("regression", y, p)["rmse"] < high


# ---- beside simple models ----


def test_baselines_of_regression():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(400, 5)) * [1, 2, 3, 4, 5] + 1, rng.uniform(0.5, 2, 400)
    y = x @ [1, 2, 0, 0, -1] + rng.normal(size=400)
    for weight in (None, w):
        found = Baselines.fit("regression", x, y, weight, penalty=0.1)
        total = 400 if weight is None else weight.sum()
        ridge = linear_model.Ridge(0.1 * total).fit(x, y, weight)
        np.testing.assert_allclose(found.linear(x), ridge.predict(x), rtol=1e-6)
        np.testing.assert_allclose(found.constant(3), np.average(y, weights=weight))
    two = Baselines.fit("regression", x, np.c_[y, -y])
    assert two.linear(x).shape == (400, 2) and two.constant(7).shape == (7, 2)
    np.testing.assert_allclose(two.linear(x)[:, 0], -two.linear(x)[:, 1])
    assert Baselines.fit("regression", x, y, quantile=0.9).constant(1) == pytest.approx(
        np.quantile(y, 0.9), abs=0.2
    )


@pytest.mark.parametrize("k", [2, 4])
def test_baselines_of_classes(k):
    linear_model = pytest.importorskip("sklearn.linear_model")
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)) * [1, 3, 0.1, 1]
    y = np.digitize(x @ [2, 0.5, 1, 0] + rng.logistic(size=600), np.linspace(-2, 2, k - 1))
    found = Baselines.fit("classification", x, y, penalty=0.01)
    model = linear_model.LogisticRegression(C=1 / (2 * 0.01 * 600), tol=1e-9, max_iter=2000)
    np.testing.assert_allclose(found.linear(x), model.fit(x, y).predict_proba(x), atol=2e-3)
    np.testing.assert_allclose(found.constant(2)[1], np.bincount(y) / 600)
    text = Baselines.fit("classification", sparse.csr_matrix(x), y, penalty=0.01)
    np.testing.assert_allclose(text.linear(sparse.csr_matrix(x)), found.linear(x), atol=2e-3)


def test_the_penalty_is_chosen():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 80))
    y = x[:, 0] + 3 * rng.normal(size=100)
    new = rng.normal(size=(1000, 80))
    chosen = Baselines.fit("regression", x, y)
    none = Baselines.fit("regression", x, y, penalty=1e-6)
    error = [np.mean((model.linear(new) - new[:, 0]) ** 2) for model in (chosen, none)]
    assert error[0] < 0.3 * error[1]
    constant = Baselines.fit("regression", np.ones((20, 2)), np.arange(20.0))
    np.testing.assert_allclose(constant.linear(np.ones((2, 2))), 9.5)


def held_out(better=True):
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    network = y + rng.normal(size=400) * (0.5 if better else 3.0)
    return HeldOut.of("regression", y, network, np.full(400, y.mean()), y + rng.normal(size=400))


def test_the_closing_table():
    table = held_out().closing_table()
    assert [row[0] for row in table] == ["R2", "RMSE", "MAE"]
    assert all(len(cell) <= 5 for row in table for cell in row[1:])
    assert held_out().warnings() == []
    y, p, _ = drawn(k=2)
    rows = HeldOut.of("classification", y, p, np.full((300, 2), 0.5)).closing_table()
    assert [row[0] for row in rows] == ["AUC", "PR-AUC", "log loss", "Brier score", "accuracy"]
    assert rows[0][3] == ""  # there is no linear model
    # Model files sort their keys.
    kept = json.loads(json.dumps(held_out().to_dict(), sort_keys=True))
    assert HeldOut.from_dict(kept).closing_table() == table


def test_a_network_that_is_no_better_is_told():
    (line,) = held_out(better=False).warnings()
    assert line.startswith("The network is not better than predicting the mean: RMSE 3.0")
    y, p, _ = drawn(k=3)
    shares = np.tile(np.bincount(y) / len(y), (len(y), 1))
    (line,) = HeldOut.of("classification", y, p, shares).warnings()
    assert "predicting the shares of the classes: log loss" in line
    sure = np.eye(3)[y]
    (line,) = HeldOut.of("classification", y, 0.8 * sure + 0.1, shares, 0.9 * sure).warnings()
    assert "a logistic model" in line


def test_several_targets_are_scored_one_by_one():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, 2)) * [1, 100]
    found = HeldOut.of("regression", y, 0.9 * y, 0 * y, targets=["a", "b"])
    assert list(found.per_target) == ["a", "b"]
    assert found.per_target["b"]["mae"] == pytest.approx(0.1 * np.abs(y[:, 1]).mean())


def test_held_out_figures_are_kept_as_json():
    found = held_out()
    state = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert HeldOut.from_dict(state) == found
    assert Quality.from_dict({"held_out": state}).held_out == found
    for change in ({"task": "x"}, {"network": {"r2": "high"}}, {"n_rows": 0}, {"losses": {}},
                   {"how": 3}, {"per_target": []}, {"errors": {"r2": float("inf")}}):  # fmt: skip
        with pytest.raises(ModelFileError, match=r"m\.fmlp: damaged held-out figures"):
            HeldOut.from_dict(state | change, "m.fmlp")
    with pytest.raises(ModelFileError, match=r"m\.fmlp: damaged table"):
        Quality.from_dict([], "m.fmlp")


def test_the_average_precision_is_of_the_rarer_class():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    y = (rng.uniform(size=2000) < 0.9).astype(int)  # class 0 is rare
    one = np.clip(0.3 * y + rng.uniform(size=2000) * 0.7, 0, 1).round(2)
    wanted = sk.average_precision_score(y == 0, -one)
    assert abs(wanted - sk.average_precision_score(y, one)) > 0.01
    assert scores("classification", y, one)["average_precision"] == pytest.approx(wanted)
    low, high = bootstrap("classification", y, one)["average_precision"]
    assert low < wanted < high
    flipped = scores("classification", 1 - y, 1 - one)["average_precision"]
    assert flipped == pytest.approx(wanted)
    # As frequent: of the second class, and the same one in every resample.
    even, p = np.tile([0, 1], 500), rng.uniform(size=1000) ** 3
    found = scores("classification", even, p)["average_precision"]
    assert found == pytest.approx(sk.average_precision_score(even, p))
    assert scores("classification", even, p, rarer=0)["average_precision"] == pytest.approx(
        sk.average_precision_score(1 - even, -p)
    )
    kept = HeldOut.of("classification", y, one, np.full(2000, 0.9), labels=["bad", "good"])
    assert HeldOut.from_dict(kept.to_dict()).closing_table()[1][0] == "PR-AUC (bad)"
    with pytest.raises(ModelFileError, match="'rarer' is not text"):
        HeldOut.from_dict({**kept.to_dict(), "rarer": 1})


def test_the_linear_baseline_of_more_inputs_than_rows_solves_its_equations():
    rng = np.random.default_rng(4)
    x, weight = rng.normal(size=(20, 50)), rng.uniform(0.5, 2, 20)
    y = x[:, 0] + rng.normal(size=20)
    made = Baselines.fit("regression", x, y, weight, penalty=0.1)
    residual = (made.linear(x) - y) * weight / weight.sum()
    assert abs(residual.sum()) < 1e-12
    np.testing.assert_allclose(x.T @ residual, -0.1 * made.coefficients[:-1, 0], atol=1e-12)
