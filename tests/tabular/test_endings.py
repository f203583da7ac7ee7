"""The last wave of the rates, with the group penalty and without it; the better one is kept."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import callbacks, tabular
from fastmlp.errors import DivergedError
from fastmlp.tabular import _decisions, _endings
from fastmlp.tabular._endings import BestEnding

RNG = np.random.default_rng(3)
N, EPOCHS = 600, 30
X = RNG.normal(size=(N, 4))
TABLE = {
    **{f"x{i}": X[:, i] for i in range(4)},
    "y": np.sin(3 * X[:, 0]) + X[:, 1] + 0.05 * RNG.normal(size=N),  # little noise
    "noisy": 0.3 * X[:, 0] + RNG.normal(size=N),
}
OPTIONS = {"units": "16x2", "epochs": EPOCHS, "seed": 1}
QUICK = {**OPTIONS, "verbose": 0}


@pytest.fixture
def strong(monkeypatch):
    """Make the penalty so strong that the network is better without it."""
    monkeypatch.setitem(_decisions._STRENGTHS, "regression", 0.01)


def table(target):
    return {name: TABLE[name] for name in ("x0", "x1", "x2", "x3", target)}


class ByHand(callbacks.Callback):
    """Runs the last wave again without the penalty; keeps every epoch's weights and row losses."""

    def __init__(self, middle, held):
        self.middle, self.held = middle, held
        self.weights, self.rows = [], []

    def on_epoch_end(self, epoch, logs=None):
        x, y, _ = self.held
        self.weights.append(self.model.get_weights())
        self.rows.append(np.square(y - self.model.predict(x, verbose=0))[:, 0].astype(float))
        if epoch + 1 == EPOCHS:
            self.model.set_weights(self.weights[self.middle - 1])
            self.model.layers[1].kernel_regularizer = None


def by_hand(target):
    """Return the callback after a training, the epoch to be kept, and whether it is released."""
    found = tabular.prepared(table(target), target, **OPTIONS)
    middle = EPOCHS - found.repeated
    hand = ByHand(middle, found.held)
    model = tabular.network(found, *found.train[:2])
    tabular.fit_rows(
        model, found, found.train, found.decisions, callbacks=[hand], epochs=found.n_epochs,
        verbose=0,
    )  # fmt: skip
    means = [rows.mean() for rows in hand.rows]
    first, second = np.argmin(means[:EPOCHS]), EPOCHS + np.argmin(means[EPOCHS:])
    gain = hand.rows[first] - hand.rows[second]
    better = gain.mean() > gain.std() / np.sqrt(len(gain))
    return hand, int(second if better else first), better


@pytest.mark.parametrize("target", ["y", "noisy"])
def test_the_ending_without_penalty_is_kept_if_it_is_better_beyond_chance(target, strong):
    hand, epoch, better = by_hand(target)
    assert better == (target == "y")
    model = fastmlp.fit(table(target), target, **QUICK)
    assert len(model.history.epoch) == len(hand.rows) == EPOCHS + 16
    assert model.best_epoch == epoch + 1
    pairs = zip(model.network.get_weights(), hand.weights[epoch], strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    penalty = model.network.dense_layers[0].kernel_regularizer
    assert (penalty is None) == better
    assert better or penalty.group == 0.01


def test_the_last_wave_has_the_same_rates_again():
    found = tabular.prepared(table("y"), "y", **OPTIONS)
    steps = -(-480 // found.decisions.batch_size)
    schedule = tabular.network(found, *found.train[:2]).optimizer.learning_rate
    rates = schedule(np.arange(found.n_epochs * steps))
    again = found.repeated * steps
    assert np.array_equal(rates[-again:], rates[-2 * again : -again])
    assert rates[-again] == pytest.approx(0, abs=1e-4) and rates[-again:].max() > 0.004


def test_no_second_ending_where_nothing_can_be_taken_away_or_judged():
    prepared = tabular.prepared
    assert prepared(table("y"), "y", seed=1).repeated > 0
    options = (
        {"l2": 0.1}, {"group_l1": 0}, {"max_time": 9}, {"validation_split": 0.0}, {"patience": 3},
        {"schedule": "cosine"}, {"optimizer": "sgd"},
    )  # fmt: skip
    for option in options:
        assert prepared(table("y"), "y", seed=1, **option).repeated == 0, option
    few = {name: column[:300] for name, column in table("y").items()}
    assert prepared(few, "y", seed=1).repeated == 0


def test_a_refit_takes_the_penalty_away_where_the_kept_network_lost_it(strong):
    model = fastmlp.fit(table("y"), "y", **QUICK, refit=True)
    assert model.best_epoch > EPOCHS  # the ending without it
    assert model.network.dense_layers[0].kernel_regularizer is None
    found = tabular.prepared(table("y"), "y", **OPTIONS)
    again = tabular.network(found, found.x, found.y)
    middle = EPOCHS - found.repeated
    tabular.fit_rows(
        again, found, found.taken(), found.decisions, callbacks=[_endings.Release(middle)],
        epochs=middle + model.best_epoch - EPOCHS, verbose=0,
    )  # fmt: skip
    pairs = zip(model.network.get_weights(), again.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_second_ending_that_diverges_leaves_the_first(monkeypatch):
    kept = fastmlp.fit(table("noisy"), "noisy", **QUICK)
    assert kept.best_epoch <= EPOCHS

    def spoil(model):
        release(model)
        weights = model.get_weights()
        model.set_weights([w * np.float32(1e25) for w in weights])

    release = _endings.release
    monkeypatch.setattr(_endings, "release", spoil)
    model = fastmlp.fit(table("noisy"), "noisy", **QUICK)
    assert model.best_epoch == kept.best_epoch
    pairs = zip(model.network.get_weights(), kept.network.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    monkeypatch.setattr(_endings, "release", release)
    with pytest.raises(DivergedError):
        fastmlp.fit(table("y"), "y", **{**QUICK, "learning_rate": 1e30})


class StopError(Exception):
    """Ends a run from a callback."""


@pytest.mark.parametrize("epoch", [13, 29, 30, 40, 45])
def test_a_resumed_run_has_the_same_two_endings(tmp_path, epoch, strong):
    from fastmlp import models

    class Crash(callbacks.Callback):
        armed = True

        def on_epoch_begin(self, number, logs=None):
            if self.armed and number == epoch:
                raise StopError

    def training(resumed=None):
        found = tabular.prepared(table("y"), "y", **OPTIONS)
        made = tabular.TableTraining(found, resumed)
        crash = Crash()
        crash.armed = resumed is None
        kept = tabular.best_kept(found, found.held)
        return made, found, [kept, crash]

    path = tmp_path / "run.fmlp"
    begun, found, hooks = training()
    with pytest.raises(StopError):
        tabular.fit_rows(
            begun.model, found, found.train, found.decisions, callbacks=hooks,
            validation=found.held, verbose=0, checkpoint=path, checkpoint_every=1,
        )  # fmt: skip
    again, found, hooks = training(models.resume(path))
    tabular.fit_rows(
        again.model, found, found.train, found.decisions, callbacks=hooks, validation=found.held,
        verbose=0,
    )  # fmt: skip
    whole = fastmlp.fit(table("y"), "y", **QUICK)
    assert isinstance(hooks[0], BestEnding) and hooks[0].best_epoch + 1 == whole.best_epoch
    pairs = zip(again.model.get_weights(), whole.network.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
