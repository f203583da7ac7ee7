"""Callbacks: which hooks run when, and early stopping."""

import math

import numpy as np
import pytest

from fastmlp import callbacks, models, optimizers


class Recorder(callbacks.Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("train begin")

    def on_train_end(self, logs=None):
        self.calls.append("train end")
        self.final = logs

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch begin {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch end {epoch}")
        self.logs = logs

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(f"batch begin {batch}")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(f"batch end {batch}")
        self.batch_logs = logs

    def on_test_begin(self, logs=None):
        self.calls.append("test begin")

    def on_test_end(self, logs=None):
        self.calls.append("test end")
        self.test_logs = logs


def problem(n=20):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    return x, x.sum(axis=1)


def make(seed=1):
    model = models.mlp([4], 2, 1, seed=seed)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_hooks_in_order():
    x, y = problem()
    recorder = Recorder()
    history = make().fit(
        x, y, batch_size=10, epochs=2, verbose=0, callbacks=[recorder], validation_data=(x, y)
    )
    epoch = [
        "batch begin 0",
        "batch end 0",
        "batch begin 1",
        "batch end 1",
        "test begin",
        "test end",
    ]
    assert recorder.calls == [
        "train begin",
        "epoch begin 0",
        *epoch,
        "epoch end 0",
        "epoch begin 1",
        *epoch,
        "epoch end 1",
        "train end",
    ]
    last = {key: values[-1] for key, values in history.history.items()}
    assert recorder.logs == recorder.final == last
    assert recorder.batch_logs == {"loss": last["loss"]}
    assert recorder.test_logs == {"loss": last["val_loss"], "mae": last["val_mae"]}
    assert recorder.params is history.params


def test_hooks_that_are_not_overridden_are_not_looked_for():
    class Ends(callbacks.Callback):
        def on_train_end(self, logs=None):
            self.seen = logs

    plain = callbacks.Callback()
    ends = Ends()
    assert callbacks.overriding([plain, ends], "on_epoch_end", "on_train_batch_end") == []
    plain.on_epoch_end = lambda epoch, logs=None: None
    assert callbacks.overriding([plain, ends], "on_epoch_end") == [plain]
    x, y = problem()
    make().fit(x, y, epochs=3, verbose=0, callbacks=ends)
    assert set(ends.seen) == {"loss", "mae"}
    for hook in ("on_train_begin", "on_train_end", "on_test_begin", "on_test_end"):
        assert getattr(callbacks.Callback(), hook)() is None
    for hook in ("on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_train_batch_end"):
        assert getattr(callbacks.Callback(), hook)(0) is None


def test_stop_training_after_an_epoch_and_after_a_batch():
    x, y = problem()

    class AfterEpoch(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = make()
    assert model.fit(x, y, epochs=9, verbose=0, callbacks=AfterEpoch()).epoch == [0, 1]
    assert len(model.fit(x, y, epochs=3, verbose=0).epoch) == 3  # a new fit starts afresh

    class AfterBatch(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    history = model.fit(x, y, batch_size=4, epochs=9, verbose=0, callbacks=AfterBatch())
    assert history.epoch == [] and model.network.step > 0


def test_rates_can_be_scheduled():
    x, y = problem()
    model = make()
    model.compile(optimizers.SGD(0.1), "mse")

    class Freeze(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.1 if epoch < 2 else 0.0

    losses = model.fit(x, y, batch_size=20, epochs=5, verbose=0, callbacks=Freeze()).history["loss"]
    assert losses[0] > losses[1] > losses[2] == losses[3] == losses[4]


# ---- EarlyStopping on a scripted figure ----


class Fake:
    """As much of a model as EarlyStopping touches; its weights are the epoch."""

    def __init__(self):
        self.stop_training, self.weights = False, []

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = weights


def play(values, monitor="val_loss", **arguments):
    """Feed figures to EarlyStopping; return (epochs run, the epoch whose weights stay, it)."""
    stopping = callbacks.EarlyStopping(monitor=monitor, **arguments)
    model = Fake()
    stopping.set_model(model)
    stopping.set_params({"metrics": ["loss", monitor]})
    stopping.on_train_begin()
    ran = 0
    for epoch, value in enumerate(values):
        model.weights, ran = [epoch], epoch + 1
        stopping.on_epoch_end(epoch, {} if value is None else {monitor: value})
        if model.stop_training:
            break
    stopping.on_train_end()
    return ran, model.weights[0], stopping


@pytest.mark.parametrize(
    ("arguments", "values", "ran", "stays"),
    [
        ({}, [3, 2, 2, 1], 3, 2),
        ({"patience": 1}, [3, 2, 2, 1], 3, 2),
        ({"patience": 2}, [3, 2, 2, 1, 1, 1, 0], 6, 5),
        ({"patience": 2, "restore_best_weights": True}, [3, 1, 2, 2, 0], 4, 1),
        ({"patience": 9, "restore_best_weights": True}, [3, 1, 2, 2], 4, 1),
        ({"min_delta": 0.5}, [3, 2, 1.6, 0], 3, 2),
        ({"min_delta": -0.5}, [3, 2, 1.6, 0], 3, 2),
        ({"mode": "max"}, [1, 2, 3, 3, 4], 4, 3),
        ({"monitor": "val_acc"}, [1, 2, 3, 3, 4], 4, 3),
        ({"monitor": "val_acc", "mode": "min"}, [1, 2, 3], 2, 1),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 3, 5], 6, 5),
        ({"baseline": 2.5, "patience": 2}, [9, 8, 7, 7, 1], 4, 3),
        ({"baseline": 2.5, "patience": 2}, [9, 2, 3, 1, 3, 3, 0], 6, 5),
        ({}, [3, None, None, 2, 2], 5, 4),
        ({"restore_best_weights": True}, [math.nan, math.nan, 1], 2, 0),
    ],
)
def test_early_stopping(arguments, values, ran, stays):
    assert play(values, **arguments)[:2] == (ran, stays)


def test_early_stopping_remembers_and_prints(capsys):
    _, _, stopping = play([3, 1, 2, 2], patience=2, verbose=1)
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (1, 1, 3)
    assert capsys.readouterr().out == "Epoch 4: early stopping\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "least"}, "Unknown mode: 'least'"),
        ({"patience": -1}, "patience must be a non-negative integer"),
        ({"min_delta": "a"}, "min_delta must be a finite number"),
        ({"baseline": math.nan}, "baseline must be a finite number or None"),
        ({"restore_best_weights": 3}, "restore_best_weights must be True or False"),
        ({"start_from_epoch": 0.5}, "start_from_epoch must be a non-negative integer"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.EarlyStopping(**arguments)


def test_a_figure_that_is_not_there():
    x, y = problem()
    with pytest.raises(
        ValueError, match=r"need validation_data or validation_split. Received: mon"
    ):
        make().fit(x, y, verbose=0, callbacks=[callbacks.EarlyStopping()])
    with pytest.raises(
        ValueError, match=r"monitor must be one of loss, mae. Received: monitor='x'"
    ):
        make().fit(x, y, verbose=0, callbacks=[callbacks.EarlyStopping("x")])


def test_early_stopping_in_a_real_fit():
    x, y = problem()
    noise = np.random.default_rng(5).normal(size=20)
    model = models.mlp([64], 2, 1, seed=1)
    model.compile(optimizers.Adam(0.02), "mse")
    stopping = callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    history = model.fit(
        x,
        y + noise,
        epochs=500,
        verbose=0,
        validation_data=(x[::-1] * 1.1, y),
        callbacks=[stopping],
    )
    values = history.history["val_loss"]
    assert len(values) < 500 and int(np.argmin(values)) == stopping.best_epoch
    assert len(values) == stopping.best_epoch + 1 + 5
    assert model.evaluate(x[::-1] * 1.1, y) == min(values)
