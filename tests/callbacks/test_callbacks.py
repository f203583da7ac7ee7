"""Callbacks: which hooks run when, and early stopping."""

import csv
import json
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


# ---- the other hooks ----


class Hooks(callbacks.Callback):
    """Records every hook of evaluation and prediction."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith(("on_test", "on_predict")):
            return lambda *args: self.calls.append((name, *args))
        return super().__getattribute__(name)


def test_hooks_of_evaluate_and_predict(monkeypatch):
    x, y = problem(600)
    model = make()
    hooks, plain = Hooks(), callbacks.Callback()
    values = model.evaluate(x, y, callbacks=[hooks, plain], return_dict=True)
    np.testing.assert_array_equal(model.predict(x, callbacks=hooks), model.predict(x))
    assert hooks.calls == [
        ("on_test_begin", {}),
        ("on_test_batch_begin", 0, {}),
        ("on_test_batch_end", 0, {}),
        ("on_test_end", values),
        ("on_predict_begin", {}),
        ("on_predict_batch_begin", 0, {}),
        ("on_predict_batch_end", 0, {}),
        ("on_predict_end", {}),
    ]
    monkeypatch.setattr("fastmlp._training.evaluation._LONG", 1)  # parts of 256 rows
    hooks.calls.clear()
    model.predict(x, callbacks=hooks)
    assert [call[1] for call in hooks.calls[1:-1]] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match=r"callbacks must be callbacks.Callback objects"):
        model.predict(x, callbacks=[print])


def test_parts_of_the_validation_rows_have_hooks_too():
    x, y = problem()
    hooks = Hooks()
    make().fit(x, y, verbose=0, validation_data=(x, y), callbacks=hooks)
    assert [name for name, *_ in hooks.calls] == [
        "on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end",
    ]  # fmt: skip


def test_the_older_names_of_batch_hooks():
    seen = []

    class Old(callbacks.Callback):
        def on_batch_begin(self, batch, logs=None):
            seen.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            seen.append(("end", batch, *logs))

    x, y = problem()
    make().fit(x, y, batch_size=10, verbose=0, callbacks=Old())
    assert seen == [("begin", 0), ("end", 0, "loss"), ("begin", 1), ("end", 1, "loss")]


def test_what_a_callback_adds_to_the_logs_is_seen_by_the_next_and_kept():
    seen = []
    x, y = problem()
    adds = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(twice=2 * epoch))
    sees = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["twice"]))
    history = make().fit(x, y, epochs=3, verbose=0, callbacks=[adds, sees])
    assert history.history["twice"] == seen == [0, 2, 4]
    assert list(history.history) == ["loss", "mae", "twice"]


def test_lambda_callbacks():
    calls = []
    hooks = {name: lambda *args, name=name: calls.append((name, args)) for name in
             ("on_train_begin", "on_epoch_begin", "on_test_end")}  # fmt: skip
    made = callbacks.LambdaCallback(**hooks)
    x, y = problem()
    make().fit(x, y, verbose=0, callbacks=made, validation_data=(x, y))
    assert [name for name, _ in calls] == ["on_train_begin", "on_epoch_begin", "on_test_end"]
    assert [args[:-1] for _, args in calls] == [(), (0,), ()]
    assert callbacks.overriding([made], "on_train_batch_end") == []
    with pytest.raises(ValueError, match=r"Unknown hook: 'on_epoch'. Did you mean 'on_epoch_"):
        callbacks.LambdaCallback(on_epoch=print)
    with pytest.raises(ValueError, match=r"on_epoch_end must be a function. Received: 3"):
        callbacks.LambdaCallback(on_epoch_end=3)


# ---- learning rates ----


def test_learning_rate_scheduler(capsys):
    x, y = problem()
    model = make()
    model.compile(optimizers.SGD(0.1), "mse")
    scheduler = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2, verbose=1)
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=scheduler).history
    assert history["learning_rate"] == [0.05, 0.025, 0.0125] and next(iter(history)) == "loss"
    assert capsys.readouterr().out.splitlines()[1] == "Epoch 2: learning rate 0.025"
    alone = callbacks.LearningRateScheduler(lambda epoch: 0.3 / (epoch + 1))
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=alone).history
    assert history["learning_rate"] == [0.3, 0.15]
    silent = callbacks.LearningRateScheduler(max)  # which does not say what it takes
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=silent).history
    assert history["learning_rate"] == [0.15, 1]
    for wrong in (lambda epoch, rate: -1.0, lambda epoch: None):
        with pytest.raises(ValueError, match="The value returned by the schedule must be a finite"):
            model.fit(x, y, verbose=0, callbacks=callbacks.LearningRateScheduler(wrong))
    with pytest.raises(ValueError, match="schedule must be a function"):
        callbacks.LearningRateScheduler(0.1)


def plateau(values, **arguments):
    """Feed figures to ReduceLROnPlateau; return the rate of each epoch and the one left."""
    reducing = callbacks.ReduceLROnPlateau(**arguments)
    model = make()
    model.compile(optimizers.SGD(1.0), "mse", metrics=["r2"])
    reducing.set_model(model)
    reducing.set_params({"metrics": ["loss", "r2", "val_loss", "val_r2"]})
    reducing.on_train_begin()
    rates = []
    for epoch, value in enumerate(values):
        logs = {} if value is None else {reducing.monitor: value}
        reducing.on_epoch_end(epoch, logs)
        rates.append(logs["learning_rate"])
    return rates, model.optimizer.learning_rate


@pytest.mark.parametrize(
    ("arguments", "values", "rates", "left"),
    [
        ({"patience": 2, "factor": 0.5}, [3, 2, 2, 2, 2, 2], [1, 1, 1, 1, 0.5, 0.5], 0.25),
        ({"patience": 1, "factor": 0.5, "cooldown": 2}, [1] * 5, [1, 1, 0.5, 0.5, 0.25], 0.25),
        ({"patience": 1, "factor": 0.5, "min_lr": 0.4}, [1] * 5, [1, 1, 0.5, 0.4, 0.4], 0.4),
        ({"patience": 0, "factor": 0.5}, [3, 2, 2.5, 1], [1, 1, 1, 0.5], 0.5),
        ({"patience": 1, "factor": 0.5}, [1, 0.99995, 0.9999], [1, 1, 0.5], 0.25),
        ({"patience": 1, "factor": 0.5, "min_delta": 0.0}, [1, 0.99995], [1, 1], 1),
        ({"patience": 1, "factor": 0.5, "mode": "max"}, [1, 2, 2], [1, 1, 1], 0.5),
        ({"patience": 1, "factor": 0.5, "monitor": "val_r2"}, [0.1, 0.2, 0.2], [1, 1, 1], 0.5),
        ({"patience": 1, "factor": 0.5}, [1, None, None, 1], [1, 1, 1, 1], 0.5),
        ({"patience": 1, "factor": 0.5}, [math.nan, math.nan], [1, 0.5], 0.25),
    ],
)
def test_reduce_lr_on_plateau(arguments, values, rates, left):
    assert plateau(values, **arguments) == (rates, left)


def test_reduce_lr_on_plateau_in_a_real_fit(capsys):
    x, y = problem()
    model = make()
    model.compile(optimizers.SGD(0.0), "mse")  # nothing ever improves
    model.optimizer.learning_rate = 1e-12
    reducing = callbacks.ReduceLROnPlateau("loss", patience=1, verbose=1, min_delta=1.0)
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=reducing).history
    assert history["learning_rate"] == pytest.approx([1e-12, 1e-12, 1e-13])
    assert capsys.readouterr().out.splitlines()[0] == "Epoch 2: learning rate falls to 1e-13"


@pytest.mark.parametrize(
    "callback",
    [callbacks.ReduceLROnPlateau("loss"), callbacks.LearningRateScheduler(lambda epoch: 0.1)],
)
def test_a_schedule_and_a_callback_exclude_each_other(callback):
    x, y = problem()
    model = make()
    model.compile(optimizers.SGD(optimizers.schedules.StepDecay(0.1, 5)), "mse")
    with pytest.raises(ValueError, match=r"needs an optimizer whose learning rate is a number"):
        model.fit(x, y, verbose=0, callbacks=callback)


# ---- TerminateOnNaN ----


def test_terminate_on_nan_ends_as_if_stopped(capsys):
    x, y = problem()
    model = make()
    model.compile(optimizers.SGD(1e30), "mse")
    before = model.get_weights()
    ended = []
    end = callbacks.LambdaCallback(on_train_end=ended.append)
    history = model.fit(
        x, y, batch_size=20, epochs=50, verbose=0, callbacks=[callbacks.TerminateOnNaN(), end]
    )
    assert len(history.epoch) < 50 and len(ended) == 1 and model.stop_training
    assert capsys.readouterr().out.startswith("Training diverged in epoch ")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# ---- ModelCheckpoint ----


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_model_checkpoint_saves_every_epoch(tmp_path, capsys):
    x, y = problem()
    model = make()
    path = tmp_path / "m-{epoch:02d}-{val_loss:.4f}.fmlp"
    saving = callbacks.ModelCheckpoint(path, verbose=1)
    history = model.fit(
        x, y, epochs=3, verbose=0, validation_split=0.5, validation_freq=2, callbacks=saving
    ).history
    expected = f"m-02-{history['val_loss'][0]:.4f}.fmlp"
    assert names(tmp_path) == [expected]  # the other epochs have no val_loss
    assert capsys.readouterr().out == f"Epoch 2: saving model to {tmp_path / expected}\n"
    saved = models.load_model(tmp_path / expected)
    assert saved.history.history["loss"] == history["loss"][:2]
    assert saved.training_config["epochs"] == 2 and saved.network.step == 2


def test_model_checkpoint_goes_on_where_it_was_saved(tmp_path):
    x, y = problem()
    model, path = make(), tmp_path / "{epoch}.fmlp"
    saving = callbacks.ModelCheckpoint(path)
    model.fit(x, y, batch_size=20, epochs=4, verbose=0, callbacks=saving)
    early = models.load_model(tmp_path / "2.fmlp")
    early.fit(x, y, batch_size=20, epochs=2, verbose=0)
    for a, b in zip(early.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def play_saving(tmp_path, values, monitor="val_loss", **arguments):
    """Feed figures to ModelCheckpoint; return the epochs that it saved."""
    saving = callbacks.ModelCheckpoint(
        tmp_path / "{epoch}", monitor, save_best_only=True, **arguments
    )
    saving.set_model(make())
    saving.set_params({"metrics": ["loss", monitor]})
    saving.on_train_begin()
    for epoch, value in enumerate(values):
        saving.on_epoch_end(epoch, {} if value is None else {monitor: value})
    return [int(name) for name in names(tmp_path)]


@pytest.mark.parametrize(
    ("arguments", "values", "saved"),
    [
        ({}, [3, 2, 2, 1, 5], [1, 2, 4]),
        ({"mode": "max"}, [3, 2, 2, 4], [1, 4]),
        ({"monitor": "val_accuracy"}, [0.3, 0.2, 0.4], [1, 3]),
        ({"initial_value_threshold": 2.5}, [3, 2.6, 2, 4], [3]),
        ({}, [math.nan, None, 2], [3]),
    ],
)
def test_model_checkpoint_saves_the_best(tmp_path, arguments, values, saved):
    assert play_saving(tmp_path, values, **arguments) == saved


def test_model_checkpoint_after_batches(tmp_path):
    x, y = problem()
    saving = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=3)
    assert callbacks.overriding([saving], "on_epoch_end") == []
    every_epoch = callbacks.ModelCheckpoint(tmp_path / "x")
    assert callbacks.overriding([every_epoch], "on_epoch_end") == [every_epoch]
    assert callbacks.overriding([every_epoch], "on_train_batch_begin", "on_train_batch_end") == []
    model = make()
    model.fit(x, y, batch_size=5, epochs=3, verbose=0, callbacks=saving)  # 4 batches an epoch
    assert names(tmp_path) == ["1-3", "2-2", "3-1", "3-4"]
    assert models.load_model(tmp_path / "2-2").network.step == 6


def test_model_checkpoint_of_weights_alone(tmp_path):
    x, y = problem()
    model = make()
    saving = callbacks.ModelCheckpoint(tmp_path / "m", save_weights_only=True)
    model.fit(x, y, epochs=2, verbose=0, callbacks=saving)
    loaded = models.load_model(tmp_path / "m")
    assert loaded.optimizer is None and loaded.history is None
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filepath": "{epoch}-{val_los}"}, r"filepath may contain, in braces, epoch, loss, mae"),
        ({"filepath": "{batch}"}, r"filepath may contain.*Received: filepath='\{batch\}'"),
        ({"filepath": "{0}"}, "filepath may contain"),
        ({"filepath": "{epoch"}, "filepath may contain"),
        ({"filepath": "{epoch.x}"}, "filepath may contain"),
        ({"filepath": "nowhere/x"}, "filepath must be in a directory that exists"),
        ({"filepath": "x", "save_best_only": True}, "need validation_data or validation_split"),
        ({"filepath": "x", "save_freq": 0}, "save_freq must be 'epoch' or a positive number"),
        ({"filepath": "x", "save_best_only": 2}, "save_best_only must be True or False"),
        ({"filepath": "x", "mode": "best"}, "Unknown mode: 'best'"),
        ({"filepath": "x", "initial_value_threshold": "a"}, "must be a number or None"),
    ],
)
def test_bad_arguments_of_model_checkpoint(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = problem()
    model = make()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0, callbacks=callbacks.ModelCheckpoint(**arguments))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert names(tmp_path) == []


# ---- CSVLogger ----


def rows_of(path, separator=","):
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_csv_logger(tmp_path):
    x, y = problem()
    path = tmp_path / "log.csv"
    path.write_text("old")
    logger = callbacks.CSVLogger(path, separator=";")
    reducing = callbacks.ReduceLROnPlateau("loss")
    history = make().fit(
        x, y, epochs=4, verbose=0, validation_split=0.5, validation_freq=2,
        callbacks=[reducing, logger],
    ).history  # fmt: skip
    header, *rows = rows_of(path, ";")
    assert header == ["epoch", "learning_rate", "loss", "mae", "val_loss", "val_mae"]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row[2]) for row in rows] == history["loss"]
    assert [row[4] for row in rows] == [
        "NA", str(history["val_loss"][0]), "NA", str(history["val_loss"][1]),
    ]  # fmt: skip


def test_csv_logger_appends(tmp_path):
    x, y = problem()
    path, model = tmp_path / "log.csv", make()
    for _ in range(2):
        model.fit(x, y, epochs=2, verbose=0, callbacks=callbacks.CSVLogger(path, append=True))
    whole = path.read_bytes()
    assert [row[0] for row in rows_of(path)] == ["epoch", "0", "1", "0", "1"]
    path.write_bytes(whole + b"2,0.12")  # as a crash might leave it
    model.fit(x, y, epochs=1, verbose=0, callbacks=callbacks.CSVLogger(path, append=True))
    assert path.read_bytes().startswith(whole + b"0,") and len(rows_of(path)) == 6
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"must have the columns epoch, loss to .* loss, mae"):
        model.fit(x, y, verbose=0, callbacks=callbacks.CSVLogger(path, append=True))
    model.fit(x, y, epochs=1, verbose=0, callbacks=callbacks.CSVLogger(path))
    assert rows_of(path)[0] == ["epoch", "loss"]


def test_every_row_is_on_the_file_when_its_epoch_ends(tmp_path):
    x, y = problem()
    path, seen = tmp_path / "log.csv", []
    look = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: seen.append(path.read_bytes()))
    with pytest.raises(ZeroDivisionError):
        make().fit(
            x, y, epochs=3, verbose=0,
            callbacks=[callbacks.CSVLogger(path), look,
                       callbacks.LambdaCallback(on_epoch_end=lambda e, logs: 1 // (1 - e))],
        )  # fmt: skip
    assert [text.count(b"\n") for text in seen] == [2, 3] and seen[1] == path.read_bytes()
    for wrong in ("", "ab", "\n", '"', 3):
        with pytest.raises(ValueError, match="separator must be one character"):
            callbacks.CSVLogger(path, separator=wrong)


CONFIGURED = [
    callbacks.EarlyStopping("loss", 0.1, 3, mode="min", restore_best_weights=True),
    callbacks.ReduceLROnPlateau("loss", 0.3, cooldown=4),
    callbacks.TerminateOnNaN(),
    callbacks.ModelCheckpoint("a-{epoch}", save_freq=7),
    callbacks.CSVLogger("a.csv", ";", append=True),
]


@pytest.mark.parametrize("callback", CONFIGURED, ids=lambda c: type(c).__name__)
def test_configurations_round_trip(callback):
    config = json.loads(json.dumps(callback.get_config()))
    same = type(callback).from_config(config)
    assert repr(same) == repr(callback) and same.get_config() == config
    assert repr(callback).startswith(type(callback).__name__ + "(")


def test_bad_arguments_of_reduce_lr_on_plateau():
    for arguments, message in [
        ({"factor": 1.0}, "factor must be a number above 0 and below 1"),
        ({"patience": -1}, "patience must be a non-negative integer"),
        ({"cooldown": 0.5}, "cooldown must be a non-negative integer"),
        ({"min_lr": -1}, "min_lr must be a finite number of at least 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            callbacks.ReduceLROnPlateau(**arguments)
