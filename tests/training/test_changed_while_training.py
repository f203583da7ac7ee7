"""Penalties, dropout and learning rate that a callback changes: the run goes on with the bits of
one that was resumed at that epoch, from a checkpoint, with these settings from its beginning."""

import copy
import os

import numpy as np
import pytest

from fastmlp import callbacks, layers, models, optimizers, regularizers, set_num_threads
from fastmlp._saving import fmlp
from fastmlp._training import checkpoint

from ..support.sampling import sampled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
Y = np.sin(X).sum(axis=1)
CHANGED, EPOCHS = 3, 6
SCHEDULE = optimizers.schedules.ExponentialDecay(0.02, 10, 0.9)


def squares(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


def kernel(penalty):
    def change(model):
        model.layers[0].kernel_regularizer = copy.deepcopy(penalty)

    return change


def coefficient(name, value):
    def change(model):
        setattr(model.layers[0].kernel_regularizer, name, value)

    return change


def bias(model):
    model.layers[-1].bias_regularizer = regularizers.L1(0.05)


def removed(model):
    for layer in model.dense_layers:
        layer.kernel_regularizer = None


def rate(value):
    def change(model):
        next(x for x in model.layers if isinstance(x, layers.Dropout)).rate = value

    return change


def learning_rate(value):
    def change(model):
        model.optimizer.learning_rate = value

    return change


def everything(model):
    kernel(regularizers.L1L2(0.01, 0.02))(model)
    bias(model)
    rate(0.4)(model)
    learning_rate(0.003)(model)


# Model, and what is changed.
CASES = {
    "a first penalty": ({}, kernel(regularizers.L2(0.1))),
    "another penalty": ({"l2": 0.01}, kernel(regularizers.L1(0.05))),
    "proximal": ({"l1": 0.01}, kernel(regularizers.L1(0.05, proximal=True))),
    "of groups": ({"l2": 0.01}, kernel(regularizers.GroupL1(0.05, "inputs"))),
    "from groups": ({"groups": True}, kernel(regularizers.L2(0.1))),
    "coefficient": ({"l2": 0.01}, coefficient("l2", 0.3)),
    "coefficient of groups": ({"groups": True}, coefficient("v", 0.0)),
    "bias": ({}, bias),
    "no penalty": ({"l1": 0.02, "l2": 0.1}, removed),
    "dropout": ({"dropout": 0.1}, rate(0.5)),
    "dropout off": ({"dropout": 0.3}, rate(0.0)),
    "dropout on": ({"dropout": 0.3, "start": 0.0}, rate(0.3)),
    "learning rate": ({}, learning_rate(0.1)),
    "a schedule": ({}, learning_rate(SCHEDULE)),
    "no schedule": ({"optimizer": optimizers.Adam(SCHEDULE)}, learning_rate(0.1)),
    "everything": ({"dropout": 0.1, "l2": 0.01}, everything),
}
KINDS = {  # the loops that train: one hidden layer, layer by layer, in parts of a step
    "shallow": {"units": "8"},
    "deep": {"units": "20x2", "dtype": "float64", "optimizer": "rmsprop"},
    "momentum": {"units": "16", "optimizer": optimizers.SGD(0.01, 0.9)},
    "clipped": {"units": "16x2", "optimizer": optimizers.Adam(clipnorm=0.1)},
    "Python": {"units": "8", "loss": squares},
    "shards": {"units": "8", "shards": 2},
}


def made(units="8", loss="mse", optimizer="adam", start=None, groups=False, shards=None, **given):
    layers.reset_names()
    model = models.mlp(units, 3, 1, seed=5, **given)
    model.name = "run"
    model.compile(copy.deepcopy(optimizer), loss, ["mae"])
    if start is not None:
        rate(start)(model)
    if groups:
        kernel(regularizers.GroupL1(0.05))(model)
    return model


def hook(action):
    return callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: action(epoch + 1))


def state(model):
    """Weights, the optimizer's state, settings, and history."""
    return fmlp.to_bytes(model), model.history.history


class Killed(BaseException):
    """Stands for a kill."""


@pytest.fixture
def dies(monkeypatch):
    """Return a function that makes the n-th checkpoint of a run the last thing that happens."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    real, patched = checkpoint.Checkpoint.write, {"left": 0}

    def write(keeper, run):
        real(keeper, run)
        patched["left"] -= 1
        if not patched["left"]:
            raise Killed

    monkeypatch.setattr(checkpoint.Checkpoint, "write", write)
    return lambda n: patched.update(left=n)


@pytest.mark.parametrize(("case", "kind"), sampled(4, CASES, KINDS))
def test_a_change_in_mid_run_is_a_run_so_compiled_from_a_checkpoint(case, kind, tmp_path, dies):
    config, change = CASES[case]
    config = KINDS[kind] | config
    arguments = {"epochs": EPOCHS, "batch_size": 40, "verbose": 0, "shards": config.get("shards")}
    model = made(**config)
    model.fit(X, Y, **arguments, callbacks=hook(lambda n: n == CHANGED and change(model)))

    unchanged = made(**config)
    dies(1 + CHANGED)  # the first is written before training
    idle = hook(lambda n: None)
    keeping = {"checkpoint": tmp_path / "run", "checkpoint_every": "epoch"}
    with pytest.raises(Killed):
        unchanged.fit(X, Y, **arguments, **keeping, callbacks=idle)
    resumed = models.resume(tmp_path / "run", {"squares": squares})
    assert len(resumed.history.epoch) == CHANGED
    change(resumed)
    resumed.fit(X, Y, callbacks=idle)
    assert state(resumed) == state(model)

    # And it is a change.
    plain = made(**config)
    plain.fit(X, Y, **arguments, callbacks=idle)
    assert model.history.history["loss"][:CHANGED] == plain.history.history["loss"][:CHANGED]
    assert model.history.history["loss"][CHANGED:] != plain.history.history["loss"][CHANGED:]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_change_between_two_fits_keeps_the_state_of_the_optimizer(threads):
    """The moments' sizes show it: a state that began anew would have the first steps' bits."""
    try:
        set_num_threads(threads)
        model, other = made(units="80"), made(units="80", l2=0.1)
        model.fit(X, Y, epochs=3, verbose=0)
        moments = [model.network.weights_slot(i, 0).copy() for i in (0, 1)]
        step = model.network.step
        kernel(regularizers.L2(0.1))(model)
        model.ready()
        assert model.network.step == step > 0
        for i in (0, 1):
            np.testing.assert_array_equal(model.network.weights_slot(i, 0), moments[i])
            assert np.abs(moments[i]).max() > 0
        other.set_weights(model.get_weights())
        other.n_fits = 1
        model.fit(X, Y, verbose=0)
        other.fit(X, Y, verbose=0)  # with the penalty, and new moments
        assert not np.array_equal(model.get_weights()[0], other.get_weights()[0])
    finally:
        set_num_threads(None)


def test_a_changed_run_that_is_killed_resumes_with_the_changed_settings(tmp_path, dies):
    config, change = CASES["everything"]
    model = made(**config)
    hooked = hook(lambda n: n == CHANGED and change(model))
    model.fit(X, Y, epochs=EPOCHS, batch_size=40, verbose=0, callbacks=hooked)
    again = made(**config)
    dies(2 + CHANGED)
    with pytest.raises(Killed):
        again.fit(
            X, Y, epochs=EPOCHS, batch_size=40, verbose=0, checkpoint=tmp_path / "run",
            checkpoint_every="epoch",
            callbacks=hook(lambda n: n == CHANGED and change(again)),
        )  # fmt: skip
    resumed = models.resume(tmp_path / "run")
    assert resumed.layers[0].kernel_regularizer.l2 == 0.02
    resumed.fit(X, Y, callbacks=hook(lambda n: None))
    assert state(resumed) == state(model)


def test_a_change_by_another_thread_or_a_batch_hook_holds_at_the_next_step():
    found = []
    for change in (kernel(regularizers.L2(0.5)), lambda model: None):
        model = made()
        seen = []
        hooks = callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, m=model, s=seen, c=change: (
                s.append(m.get_weights()[0]), len(s) == 2 and c(m))
        )  # fmt: skip
        model.fit(X, Y, batch_size=30, epochs=2, verbose=0, callbacks=hooks)
        found.append(seen)
    changed, plain = found
    np.testing.assert_array_equal(changed[1], plain[1])
    assert not np.array_equal(changed[2], plain[2])


def test_a_file_and_its_summary_show_the_new_penalty(tmp_path):
    model = made()
    model.fit(X, Y, verbose=0)
    model.layers[0].kernel_regularizer = regularizers.L2(0.125)
    model.save(tmp_path / "m.fmlp")
    again = models.load_model(tmp_path / "m.fmlp")
    assert again.layers[0].kernel_regularizer.l2 == 0.125
    for each in (model, again):
        each.fit(X, Y, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    penalty = 0.125 * np.square(model.get_weights()[0].astype(np.float64)).sum()
    error = np.square(model.predict(X, verbose=0)[:, 0].astype(np.float64) - Y).mean()
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(error + penalty, rel=1e-5)
