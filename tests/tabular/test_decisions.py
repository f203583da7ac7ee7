"""Every decision by the size of the table, and what the user has chosen."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp.schedules import CosineCycles
from fastmlp.tabular import Decisions, decide
from fastmlp.tabular._decisions import FEW_ROWS, FEWEST_ROWS, UNBOUNDED, seconds


def test_few_rows_are_cross_validated_and_very_few_only_trained_on():
    assert decide(FEW_ROWS, 3, "regression").validation_split == 0.2
    few = decide(FEW_ROWS - 1, 3, "regression")
    assert (few.validation_split, few.folds, few.repeats) == (0.0, 5, 2)
    none = decide(FEWEST_ROWS - 1, 3, "regression")
    assert (none.validation_split, none.folds) == (0.0, 0)
    assert decide(100, 3, "regression", {"validation_split": 0.3}).folds == 0


def test_work_is_bounded_for_a_million_rows():
    many = decide(1_000_000, 100, "classification")
    assert many.epochs * many.batch_size <= 8 * 1024
    assert many.epochs * -(-1_000_000 // many.batch_size) < 10_000


@pytest.mark.parametrize("n", [2, 20, 300, 3_000, 30_000, 300_000, 3_000_000])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_decisions_are_plain_values(n, task):
    found = decide(n, 10, task)
    assert Decisions.from_dict(found.to_dict()) == found
    assert 1 <= found.batch_size <= n
    assert found.sentence().endswith(".")


def test_what_is_chosen_is_not_decided():
    given = {"units": "64x2", "optimizer": "SGD", "epochs": 7, "batch_size": 16, "dropout": 0.0}
    found = decide(5000, 10, "regression", given)
    assert found.units == (64, 64)
    assert (found.optimizer, found.learning_rate, found.schedule) == ("sgd", 0.01, "cosine")
    assert (found.epochs, found.batch_size, found.dropout) == (7, 16, 0.0)
    timed = decide(100, 10, "regression", {"max_time": 60.0})
    assert (timed.epochs, timed.folds) == (UNBOUNDED, 0)


def test_networks_grow_with_the_rows_and_short_ones_train_longer():
    small, middle, large = (decide(n, 10, "regression") for n in (100, 500, 20_000))
    assert (small.units, middle.units, large.units) == ((32, 32), (128,) * 3, (128,) * 3)
    assert (small.epochs, middle.epochs, large.epochs) == (128, 202, 24)
    assert (small.dropout, middle.dropout, large.dropout) == (0.0, 0.1, 0.1)


def test_the_last_wave_can_be_run_again():
    schedule = CosineCycles(0.1, 1500, again=800)
    rates = schedule(np.arange(2400))
    assert np.array_equal(rates[1500:2300], rates[700:1500]) and not rates[2300:].any()
    assert CosineCycles.from_config(schedule.get_config()).get_config() == schedule.get_config()
    assert "again" not in CosineCycles(0.1, 1500).get_config()
    with pytest.raises(ValueError, match="at most total_steps, 1500"):
        CosineCycles(0.1, 1500, again=1501)


def test_cycles_end_at_zero_and_reach_the_peak():
    schedule = CosineCycles(0.1, 1500, cycles=4)
    rates = schedule(np.arange(1501))
    zero = [0, 100, 300, 700, 1500]  # (2**i - 1) / 15 of the steps
    assert rates[zero] == pytest.approx(0, abs=1e-12)
    assert rates.max() == pytest.approx(0.1, rel=1e-4)
    assert CosineCycles.from_config(schedule.get_config()).get_config() == schedule.get_config()
    assert schedule(2000) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("given", "expected"), [(90, 90), ("90", 90), ("10m", 600), ("1.5h", 5400)]
)
def test_times(given, expected):
    assert seconds(given) == expected


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"loss": "msle"}, "Unknown loss: 'msle'"),
        ({"loss": "log_loss"}, "loss of a regression must be mse"),
        ({"loss": "quantile:2"}, "a number in \\(0, 1\\)"),
        ({"loss": "mse:2"}, "only quantile and huber take a number"),
        ({"loss": "quantile:x"}, "must be a number"),
        ({"schedule": "steps"}, "Unknown schedule"),
        ({"units": "0"}, "units must be"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
    ],
)
def test_wrong_choices(given, text):
    with pytest.raises(ValueError, match=text):
        decide(1000, 5, "regression", given)


@pytest.mark.parametrize("given", [0, "", "m", "-1s", "soon", float("inf")])
def test_wrong_times(given):
    with pytest.raises(ValueError, match="max_time must be"):
        seconds(given)
