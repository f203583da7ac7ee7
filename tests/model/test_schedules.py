"""Schedules: formulas, names and bad arguments, and what training makes of them."""

import math

import numpy as np
import pytest

from fastmlp import callbacks, layers, models, optimizers
from fastmlp.optimizers import schedules


def warmed_cosine(step):
    if step < 4:
        return 0.1 + (0.5 - 0.1) * step / 4
    t = min(step - 4, 10) / 10
    return 0.5 * (0.9 * 0.5 * (1 + math.cos(math.pi * t)) + 0.1)


def polynomial(step, cycle):
    total = 10 * max(1, math.ceil(step / 10)) if cycle else 10
    return (0.5 - 0.1) * (1 - min(step, total) / total) ** 2 + 0.1


def piecewise(step):
    return 0.5 if step <= 3 else 0.2 if step <= 7 else 0.1


# Every schedule with its formula restated for a single step.
FORMULAS = [
    (schedules.ExponentialDecay(0.5, 10, 0.9), lambda t: 0.5 * 0.9 ** (t / 10)),
    (schedules.ExponentialDecay(0.5, 10, 0.9, staircase=True), lambda t: 0.5 * 0.9 ** (t // 10)),
    (schedules.StepDecay(0.5, 4, 0.2), lambda t: 0.5 * 0.2 ** (t // 4)),
    (schedules.InverseTimeDecay(0.5, 10, 2.0), lambda t: 0.5 / (1 + 2 * t / 10)),
    (schedules.InverseTimeDecay(0.5, 10, 2.0, staircase=True), lambda t: 0.5 / (1 + 2 * (t // 10))),
    (schedules.PolynomialDecay(0.5, 10, 0.1, 2.0), lambda t: polynomial(t, False)),
    (schedules.PolynomialDecay(0.5, 10, 0.1, 2.0, cycle=True), lambda t: polynomial(t, True)),
    (schedules.PiecewiseConstantDecay([3, 7], [0.5, 0.2, 0.1]), piecewise),
    (
        schedules.CosineDecay(0.5, 10, alpha=0.1),
        lambda t: 0.5 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(t, 10) / 10)) + 0.1),
    ),
    (schedules.CosineDecay(0.1, 10, 0.1, warmup_target=0.5, warmup_steps=4), warmed_cosine),
    (
        schedules.CosineCycles(0.5, 24),
        lambda t: 0.5 / 2 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * min(t, 24) / 24))),
    ),
    (
        schedules.CosineCycles(0.5, 11, cycles=2),
        lambda t: 0.5 / 2 * (1 - math.cos(2 * math.pi * math.log2(1 + 3 * min(t, 11) / 11))),
    ),
]
IDS = [repr(schedule) for schedule, _ in FORMULAS]


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=IDS)
def test_formulas(schedule, formula):
    expected = [formula(step) for step in range(25)]
    np.testing.assert_allclose(schedule(np.arange(25)), expected, rtol=1e-13)
    assert schedule(7) == pytest.approx(expected[7], rel=1e-13) and type(schedule(7)) is float


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=IDS)
def test_round_trips(schedule, formula):
    same = type(schedule).from_config(schedule.get_config())
    assert same.get_config() == schedule.get_config() and repr(same) == repr(schedule)
    optimizer = optimizers.SGD(schedule)
    again = optimizers.SGD.from_config(optimizer.get_config())
    assert again.schedule.get_config() == schedule.get_config()
    assert repr(again) == repr(optimizer) and repr(schedule) in repr(again)
    assert schedules.get(schedule) is schedule


@pytest.mark.parametrize("max_rates", [1 << 13, 7])
@pytest.mark.parametrize("rule", [optimizers.SGD, optimizers.Adam])
def test_each_step_has_its_rate(rule, max_rates, monkeypatch):
    """Against the same steps made one by one, each at a constant rate."""
    monkeypatch.setattr("fastmlp._training.rates._MAX_RATES", max_rates)
    x = np.random.default_rng(0).normal(size=(20, 2))

    def make(rate):
        model = models.Sequential([layers.Dense(1, input_shape=(2,))], seed=1, dtype="float64")
        model.compile(rule(rate), "mse")
        return model

    schedule = schedules.CosineDecay(0.01, 30, warmup_target=0.1, warmup_steps=5)
    model, by_hand = make(schedule), make(0.0)
    for _ in range(2):  # a second fit goes on with the steps of the first
        model.fit(x, x.sum(axis=1), batch_size=4, epochs=4, shuffle=False, verbose=0)

    class Set(callbacks.Callback):
        step = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = schedule(self.step)
            self.step += 1

    by_hand.fit(x, x.sum(axis=1), batch_size=4, epochs=8, shuffle=False, verbose=0, callbacks=Set())
    for a, b in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer.learning_rate is schedule


def test_a_number_may_follow_a_schedule():
    x = np.ones((4, 1))
    model = models.Sequential([layers.Dense(1, input_shape=(1,))], seed=1)
    model.compile(optimizers.SGD(schedules.StepDecay(0.1, 2)), "mse")
    model.fit(x, x, verbose=0)
    before = model.get_weights()
    model.optimizer.learning_rate = 0.0
    model.fit(x, x, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_schedule_of_ones_own():
    class Sawtooth(schedules.LearningRateSchedule):
        def rates(self, steps):
            return 0.1 * (steps % 2)

    model = models.Sequential([layers.Dense(1, input_shape=(1,))], seed=1)
    model.compile(optimizers.SGD(Sawtooth()), "mse")
    before = model.get_weights()[0]
    model.fit([[1.0]], [9.0], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    model.fit([[1.0]], [9.0], verbose=0)
    assert model.get_weights()[0] != before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.ExponentialDecay(-1, 1, 1), "initial_learning_rate must be a finite"),
        (lambda: schedules.ExponentialDecay(1, 0, 1), "decay_steps must be a positive integer"),
        (lambda: schedules.ExponentialDecay(1, 1, 0), "decay_rate must be a finite number above"),
        (lambda: schedules.StepDecay(1, 2, drop="a"), "drop must be a finite number above 0"),
        (lambda: schedules.InverseTimeDecay(1, 2, -1), "decay_rate must be a finite number of at"),
        (lambda: schedules.PolynomialDecay(1, 2, power=0), "power must be a finite number above"),
        (lambda: schedules.CosineDecay(1, 2, alpha=2), r"alpha must be a number in \[0, 1\]"),
        (
            lambda: schedules.CosineDecay(1, 2, warmup_steps=3),
            "warmup_steps requires warmup_target",
        ),
        (
            lambda: schedules.PiecewiseConstantDecay([3, 2], [1, 2, 3]),
            r"boundaries must ascend. Received: boundaries=\[3, 2\]",
        ),
        (
            lambda: schedules.PiecewiseConstantDecay([3], [1]),
            "values must be one more than boundaries. Received: 1 values and 1 boundaries",
        ),
        (lambda: schedules.get("cosine"), "schedule must be an object of optimizers.schedules"),
        (
            lambda: optimizers.SGD({"class_name": "CosinDecay", "config": {}}),
            "Unknown schedule: 'CosinDecay'. Did you mean 'cosine_decay'",
        ),
        (lambda: schedules.ExponentialDecay(1, 1, 1e300)(99), "must be finite and at least 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_rates_of_ones_own_are_checked():
    class Negative(schedules.LearningRateSchedule):
        def rates(self, steps):
            return 1.0 - steps

    class Short(schedules.LearningRateSchedule):
        def rates(self, steps):
            return steps[:0]

    with pytest.raises(ValueError, match=r"Received: -1.0 from Negative\(\) at step 2"):
        Negative()(np.arange(5))
    with pytest.raises(ValueError, match=r"one rate per step. Received: shape \(0,\) for 1 steps"):
        Short()(3)
    with pytest.raises(NotImplementedError, match=r"LearningRateSchedule must define rates"):
        schedules.LearningRateSchedule()(0)
