"""A model's history over several calls of fit: each returns its part, the model keeps all."""

import math
import pickle

import numpy as np
import pytest

from fastmlp import callbacks, models, plots
from fastmlp.callbacks import LambdaCallback

X = np.random.default_rng(0).normal(size=(40, 2))
Y = X[:, 0] * X[:, 1]


def made(metrics=()):
    model = models.mlp("4", 2, 1, seed=1)
    model.compile("adam", "mse", list(metrics))
    return model


def test_a_second_fit_appends_and_returns_its_own_part():
    model = made()
    first = model.fit(X, Y, epochs=3, verbose=0)
    assert model.history is first
    second = model.fit(X, Y, epochs=2, verbose=0)
    third = model.fit(X, Y, epochs=1, verbose=0)
    assert (len(first.epoch), len(second.epoch), len(third.epoch)) == (3, 2, 1)
    assert second.epoch == [0, 1]
    losses = first.history["loss"] + second.history["loss"] + third.history["loss"]
    assert model.history.history == {"loss": losses}
    assert model.history.epoch == list(range(6))
    assert model.history.params["epochs"] == 6


def test_values_that_a_call_did_not_measure_are_nan():
    model = made(["mae"])
    model.fit(X, Y, epochs=2, verbose=0)
    model.compile("adam", "mse", ["r2"])
    model.fit(X, Y, epochs=3, verbose=0, validation_split=0.25, validation_freq=2)
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0, validation_split=0.25, validation_freq=[2])
    whole = model.history
    lists = whole.history
    assert [math.isnan(v) for v in lists["mae"]] == [False] * 2 + [True] * 5
    assert [math.isnan(v) for v in lists["r2"]] == [True] * 2 + [False] * 3 + [True] * 2
    assert list(whole.validated) == [4, 7]
    assert len(lists["val_loss"]) == 2
    assert [math.isnan(v) for v in lists["val_r2"]] == [False, True]
    figure = plots.plot_history(whole)
    by_label = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(by_label["validation"].get_xdata(), [4, 7])


@pytest.mark.parametrize("freq", [1, 2])
def test_equal_frequencies_stay_a_number(freq):
    model = made()
    for _ in range(2):
        model.fit(X, Y, epochs=4, verbose=0, validation_split=0.25, validation_freq=freq)
    assert model.history.params.get("validation_freq", 1) == freq
    assert len(model.history.validated) == 8 // freq == len(model.history.history["val_loss"])


def test_a_callback_sees_all_epochs_and_a_saved_model_has_them(tmp_path):
    model = made()
    model.fit(X, Y, epochs=3, verbose=0)
    seen = []
    hooks = [LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(model.history.epoch))),
             callbacks.ModelCheckpoint(tmp_path / "{epoch}.fmlp")]  # fmt: skip
    model.fit(X, Y, epochs=2, verbose=0, callbacks=hooks)
    assert seen == [4, 5]
    for path, n in ((tmp_path / "1.fmlp", 4), (tmp_path / "2.fmlp", 5)):
        again = models.load_model(path)
        assert again.history.history["loss"] == model.history.history["loss"][:n]
        again.fit(X, Y, verbose=0)
        assert len(again.history.epoch) == n + 1
    assert pickle.loads(pickle.dumps(model)).history.epoch == [0, 1, 2, 3, 4]


def test_a_refused_call_and_an_interrupted_one():
    model = made()
    model.fit(X, Y, epochs=3, verbose=0)
    with pytest.raises(ValueError, match="epochs"):
        model.fit(X, Y, epochs=-1)
    assert len(model.history.epoch) == 3

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=5, verbose=0, callbacks=LambdaCallback(on_epoch_end=interrupt))
    assert len(model.history.epoch) == 5
    assert model.history.interrupted
    model.fit(X, Y, verbose=0)
    assert len(model.history.epoch) == 6
    assert not model.history.interrupted


class Killed(BaseException):
    pass


@pytest.mark.parametrize("kill", [2, 4])
def test_a_second_fit_that_is_killed_resumes_with_the_first_ones_history(tmp_path, kill):
    def run(model, hook, **given):
        model.fit(X, Y, epochs=3, verbose=0, validation_split=0.25, validation_freq=2)
        return model.fit(X, Y, epochs=5, verbose=0, validation_split=0.25, callbacks=hook, **given)

    plain = made()
    part = run(plain, LambdaCallback(on_epoch_end=lambda epoch, logs: None))

    def die(epoch, logs):
        if epoch == kill:
            raise Killed

    path = tmp_path / "run"
    with pytest.raises(Killed):
        run(made(), LambdaCallback(on_epoch_end=die), checkpoint=path, checkpoint_every="epoch")
    model = models.resume(path)
    again = model.fit(X, Y, callbacks=LambdaCallback(on_epoch_end=lambda epoch, logs: None))
    assert again.history == part.history
    assert again.epoch == part.epoch
    assert model.history.history == plain.history.history
    assert list(model.history.validated) == list(plain.history.validated) == [2, 4, 5, 6, 7, 8]
    finished = models.resume(path)  # returns the run's own part, and has all
    assert finished.fit(X, Y).history == part.history
    assert finished.history.history == plain.history.history
