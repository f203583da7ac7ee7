"""Checkpoints: runs that are killed at any moment go on to the same bits; files stay whole."""

import copy
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastmlp import callbacks, layers, losses, models, optimizers, set_num_threads
from fastmlp._saving import fmlp
from fastmlp._saving import history as _history
from fastmlp._training import checkpoint
from fastmlp.errors import DataError, DivergedError, ModelFileError

from ..support.sampling import sampled


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Spare the disk what only a loss of power would tell; processes that are killed do it all."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def data(n=60, k=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k))
    return x, np.sin(x).sum(axis=1)


def squares(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


class Pinball(losses.Loss):
    def __init__(self, share):
        self.share = share

    def call(self, y_true, y_pred):
        above = y_true > y_pred
        rows = np.where(above, self.share, self.share - 1) * (y_true - y_pred)
        return rows.mean(axis=1), np.where(above, -self.share, 1 - self.share) / rows.shape[1]


class Halving(optimizers.schedules.LearningRateSchedule):
    def rates(self, steps):
        return 0.02 * 0.5 ** (steps // 20)


OWN = {"squares": squares, "Pinball": Pinball, "Halving": Halving}
SCHEDULE = optimizers.schedules.CosineDecay(0.02, 40, warmup_target=0.03, warmup_steps=7)


def make(optimizer="adam", loss="mse", units=(8, 6), names=("mae", "r2"), **kwargs):
    layers.reset_names()
    model = models.mlp(list(units), 3, 1, seed=5, **kwargs)
    model.name = "run"
    # A copy: a rate that a callback changes is not to reach the next model.
    model.compile(copy.deepcopy(optimizer), loss, metrics=list(names))
    return model


class Killed(BaseException):
    """Stands for a kill: nothing of the library's gets to run after it."""


class DiesAfterWrites:
    """Patches checkpoints so that the n-th writing is the last thing that happens."""

    def __init__(self, monkeypatch, n=0):
        self.done, real = 0, checkpoint.Checkpoint.write

        def write(keeper, run):
            real(keeper, run)
            self.done += 1
            if self.done == n:
                raise Killed

        monkeypatch.setattr(checkpoint.Checkpoint, "write", write)


def batch_hook():
    """Makes fit stop, and checkpoints be written, after every batch."""
    return callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)


def settle(model):
    """Return everything that two equal runs must have in common."""
    return fmlp.to_bytes(model), model.history.history, model.history.epoch


# ---- runs that are cut off and go on ----

CASES = {
    "batches": ({}, {"batch_size": 16}),
    "full batch": ({}, {"batch_size": 60}),
    "no shuffle": ({}, {"batch_size": 7, "shuffle": False}),
    "dropout": ({"dropout": 0.3, "l2": 0.01}, {"batch_size": 16}),
    "float64": ({"dtype": "float64", "l1": 0.001}, {"batch_size": 16}),
    "momentum": ({"optimizer": optimizers.SGD(0.01, 0.9, nesterov=True)}, {"batch_size": 16}),
    "rmsprop": ({"optimizer": optimizers.RMSprop(0.01, clipvalue=0.1)}, {"batch_size": 16}),
    "adagrad": ({"optimizer": optimizers.Adagrad(0.01)}, {"batch_size": 16}),
    "clipped": ({"optimizer": optimizers.AdamW(0.01, global_clipnorm=0.1)}, {"batch_size": 16}),
    "schedule": ({"optimizer": optimizers.Adam(SCHEDULE)}, {"batch_size": 16}),
    "own schedule": ({"optimizer": optimizers.SGD(Halving())}, {"batch_size": 16}),
    "validation": ({}, {"batch_size": 16, "validation_split": 0.25, "validation_freq": [2, 3]}),
    "weights": ({}, {"batch_size": 16, "sample_weight": np.linspace(0, 2, 60)}),
    "scores": ({"names": ["auc", "mae"]}, {"batch_size": 16}),
    "python loss": ({"loss": squares, "dropout": 0.2}, {"batch_size": 16}),
    "python class": ({"loss": Pinball(0.8), "names": ["auc"]}, {"batch_size": 16}),
}


@pytest.mark.parametrize(("case", "hooked"), sampled(2, CASES, [True, False]))
def test_a_run_that_is_cut_off_ends_with_the_same_bytes(case, hooked, tmp_path, monkeypatch):
    config, arguments = CASES[case]
    config, arguments = dict(config), {"epochs": 5, "verbose": 0, **arguments}
    x, y = data()
    y = (y > 0).astype(float) if "auc" in config.get("names", ()) else y
    given = {k: arguments[k] for k in ("sample_weight",) if k in arguments}
    hooks = [batch_hook()] if hooked else None

    plain = make(**config)
    plain.fit(x, y, callbacks=hooks, **arguments)
    every = 1e-9 if hooked else "epoch"
    whole = make(**config)
    keeping = {"checkpoint": tmp_path / "whole", "checkpoint_every": every}
    with monkeypatch.context() as patch:
        counter = DiesAfterWrites(patch)
        whole.fit(x, y, callbacks=hooks, **arguments, **keeping)
    assert settle(whole) == settle(plain)  # writing changes nothing

    for n in [n for n in ((1, 4, 9) if hooked else (2, 5)) if n < counter.done]:
        path = tmp_path / str(n)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            DiesAfterWrites(patch, n)
            make(**config).fit(
                x, y, callbacks=hooks, **arguments, checkpoint=path, checkpoint_every=every
            )
        # A later kill of the resumed run as well.
        model = models.resume(path, OWN)
        with monkeypatch.context() as patch:
            DiesAfterWrites(patch, 3)
            try:
                model.fit(x, y, callbacks=hooks, **given)
            except Killed:
                model = models.resume(path, OWN)
                model.fit(x, y, callbacks=hooks, **given)
        assert settle(model) == settle(plain)
        assert path.read_bytes() == (tmp_path / "whole").read_bytes()
        finished = models.resume(path, OWN)
        assert finished.fit(x, y, **given).history == plain.history.history
        assert settle(finished) == settle(plain)


def test_a_run_with_a_long_history_goes_on_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(_history, "_MOST_VALUES", 3)
    for case in ("validation", "scores"):
        (tmp_path / case).mkdir()
        test_a_run_that_is_cut_off_ends_with_the_same_bytes(
            case, False, tmp_path / case, monkeypatch
        )


@pytest.mark.parametrize("units", [(130, 70), (260, 260, 260)])
def test_any_number_of_threads_may_go_on(units, tmp_path, monkeypatch):
    """The larger network is one whose rows are put in order on the way."""
    x, y = data(n=130)
    arguments = {"batch_size": 50, "epochs": 3, "verbose": 0}
    config = {"units": units, "dropout": 0.1 if len(units) == 2 else 0.0}
    plain = make(**config)
    plain.fit(x, y, **arguments)
    try:
        for i, (before, after) in enumerate([(1, 2), (3, 1)]):
            path = tmp_path / str(i)
            set_num_threads(before)
            with monkeypatch.context() as patch, pytest.raises(Killed):
                DiesAfterWrites(patch, 3 + 3 * i)
                make(**config).fit(
                    x, y, **arguments, callbacks=batch_hook(), checkpoint=path,
                    checkpoint_every=1e-9,
                )  # fmt: skip
            set_num_threads(after)
            model = models.resume(path)
            assert model.resumed.progress[1] > 0  # in the middle of an epoch
            model.fit(x, y, callbacks=batch_hook())
            assert settle(model) == settle(plain)
    finally:
        set_num_threads(None)


def remembering(directory):
    return [
        callbacks.ReduceLROnPlateau("val_loss", patience=1, factor=0.5, min_delta=0.05),
        callbacks.EarlyStopping("val_loss", 0.01, patience=4, restore_best_weights=True),
        callbacks.ModelCheckpoint(directory / "{epoch}.fmlp", save_best_only=True),
        callbacks.ModelCheckpoint(directory / "b{epoch}-{batch}.fmlp", save_freq=3),
        callbacks.CSVLogger(directory / "log.csv"),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.99),
    ]


def test_callbacks_remember(tmp_path, monkeypatch):
    x, y = data()
    arguments = {"batch_size": 16, "epochs": 30, "verbose": 0, "validation_split": 0.3}

    def contents(directory):
        return {p.name: p.read_bytes() for p in directory.iterdir() if p.name != "run"}

    expected = tmp_path / "plain"
    expected.mkdir()
    plain = make(optimizers.Adam(0.05))
    plain.fit(x, y, callbacks=remembering(expected), **arguments)
    n_epochs = len(plain.history.epoch)
    assert 8 < n_epochs < 30  # stopped early, after the rate had fallen
    rates = plain.history.history["learning_rate"]
    assert min(rates) < 0.3 * max(rates)
    for n in (2, 7, 20, 33, 3 * n_epochs + 1):
        directory = tmp_path / str(n)
        directory.mkdir()
        with monkeypatch.context() as patch, pytest.raises(Killed):
            DiesAfterWrites(patch, n)
            make(optimizers.Adam(0.05)).fit(
                x, y, callbacks=remembering(directory), **arguments,
                checkpoint=directory / "run", checkpoint_every=1e-9,
            )  # fmt: skip
        # What the kill came too late for, and what a crash leaves of a row.
        with (directory / "log.csv").open("a") as file:
            file.write("77,1,2,3\n77,")
        model = models.resume(directory / "run")
        model.fit(x, y, callbacks=remembering(directory))
        assert settle(model) == settle(plain)
        assert contents(directory).keys() == contents(expected).keys()
        for name, text in contents(expected).items():
            assert contents(directory)[name] == text, name


def test_a_log_that_is_lost_is_begun_anew(tmp_path, monkeypatch):
    x, y = data()
    path, log = tmp_path / "run", tmp_path / "log.csv"
    lose = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: log.unlink())
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 3)
        make().fit(
            x, y, epochs=5, verbose=0, callbacks=[callbacks.CSVLogger(log), lose],
            checkpoint=path, checkpoint_every="epoch",
        )  # fmt: skip
    assert not log.exists()
    model = models.resume(path)
    model.fit(x, y, callbacks=[callbacks.CSVLogger(log), callbacks.LambdaCallback()])
    lines = log.read_text().splitlines()
    assert lines[0] == "epoch,loss,mae,r2" and [line[0] for line in lines[1:]] == ["2", "3", "4"]


def test_simple_callbacks_are_made_again(tmp_path, monkeypatch):
    x, y = data()
    hooks = [
        callbacks.EarlyStopping("loss", patience=2, min_delta=0.1, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.1),
        callbacks.TerminateOnNaN(),
    ]
    plain = make()
    plain.fit(x, y, epochs=20, verbose=0, callbacks=hooks)
    assert len(plain.history.epoch) < 20
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 3)
        make().fit(
            x, y, epochs=20, verbose=0, callbacks=hooks, checkpoint=tmp_path / "run",
            checkpoint_every="epoch",
        )  # fmt: skip
    model = models.resume(tmp_path / "run")
    model.fit(x, y)
    assert settle(model) == settle(plain)


def test_a_callback_of_ones_own_remembers(tmp_path, monkeypatch):
    class Mean(callbacks.Callback):
        """Keeps numbers, text, arrays and what is no number."""

        def on_train_begin(self, logs=None):
            self.seen, self.weights, self.least = [], [], math.inf

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append({"epoch": epoch, "loss": logs["loss"], "ß": (None, True)})
            self.weights = self.model.get_weights()

        def get_state(self):
            return {"seen": self.seen, "weights": self.weights, "least": self.least,
                    "count": np.int64(len(self.seen)), "one": np.float32(1)}  # fmt: skip

        def set_state(self, state):
            assert state["count"] == len(state["seen"]) and state["one"] == 1
            self.seen, self.weights = state["seen"], state["weights"]
            self.least = state["least"]

    x, y = data()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 3)
        make().fit(
            x, y, epochs=4, verbose=0, callbacks=Mean(), checkpoint=tmp_path / "run",
            checkpoint_every="epoch",
        )  # fmt: skip
    model, mean = models.resume(tmp_path / "run"), Mean()
    with pytest.raises(
        ValueError, match=r"callbacks must be given again, .*: Mean. Received: none"
    ):
        model.fit(x, y)
    with pytest.raises(ValueError, match=r"those of the run, in its order: Mean. Received: Early"):
        model.fit(x, y, callbacks=callbacks.EarlyStopping("loss"))
    model.fit(x, y, callbacks=mean)
    losses_ = model.history.history["loss"]
    assert [entry["loss"] for entry in mean.seen] == losses_ and mean.least == math.inf
    for a, b in zip(mean.weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for state in ({"a": {1: 2}}, {"a": object()}, {"a": np.arange(3)}):
        mean.get_state = lambda state=state: state
        with pytest.raises(ValueError, match=r"get_state of a callback|A checkpoint keeps arrays"):
            make().fit(x, y, verbose=0, callbacks=mean, checkpoint=tmp_path / "other")


def test_a_checkpoint_is_a_model_file(tmp_path, monkeypatch):
    x, y = data()
    path = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 3)
        make().fit(x, y, epochs=9, verbose=0, checkpoint=path, checkpoint_every="epoch")
    model = models.load_model(path)
    assert len(model.history.epoch) == model.training_config["epochs"] == 2
    assert model.resumed is None
    own = model.fit(x, y, epochs=1, verbose=0)  # a fit of its own
    assert len(own.epoch) == 1 and len(model.history.epoch) == 3
    assert model.training_config["epochs"] == 3
    resumed = models.resume(path)
    resumed.compile("adam", "mse")  # another training: the run is given up
    assert resumed.resumed is None


def test_a_second_fit_can_be_kept_as_well(tmp_path, monkeypatch):
    x, y = data()
    plain, model = make(), make()
    for each in (plain, model):
        each.fit(x, y, epochs=3, verbose=0)
    plain.fit(x, y, epochs=3, verbose=0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 2)
        model.fit(x, y, epochs=3, verbose=0, checkpoint=tmp_path / "a", checkpoint_every="epoch")
    model = models.resume(tmp_path / "a")
    model.fit(x, y)
    assert settle(model) == settle(plain) and model.training_config["epochs"] == 6


# ---- when checkpoints are written ----


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (30, (30.0, None)),
        (0.5, (0.5, None)),
        ("90", (90.0, None)),
        ("1.5 s", (1.5, None)),
        ("epoch", (None, 1)),
        ("1 epoch", (None, 1)),
        ("10 epochs", (None, 10)),
        ("10epochs", (None, 10)),
    ],
)
def test_parse_every(value, expected):
    assert checkpoint.parse_every(value) == expected


@pytest.mark.parametrize("value", [0, -1, math.nan, True, "0", "0 epochs", "soon", "-3", "5 min"])
def test_parse_every_refuses(value):
    with pytest.raises(ValueError, match="checkpoint_every must be"):
        checkpoint.parse_every(value)


@pytest.mark.parametrize(("every", "written"), [("epoch", [0, 1, 2, 3, 4, 5, 5]),
                                                ("2 epochs", [0, 2, 4, 5]),
                                                (1000.0, [0, 5])])  # fmt: skip
def test_when_checkpoints_are_written(every, written, tmp_path, monkeypatch):
    seen, write = [], checkpoint.Checkpoint.write
    monkeypatch.setattr(
        checkpoint.Checkpoint, "write", lambda self, run: (seen.append(run.done), write(self, run))
    )
    x, y = data()
    make().fit(x, y, epochs=5, verbose=0, checkpoint=tmp_path / "a", checkpoint_every=every)
    assert seen == written


def test_seconds_count_from_the_latest(tmp_path, monkeypatch):
    seen, write = [], checkpoint.Checkpoint.write
    monkeypatch.setattr(
        checkpoint.Checkpoint, "write", lambda self, run: (seen.append(run.done), write(self, run))
    )
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])

    def tick(epoch, logs):
        now[0] += 25

    x, y = data()
    tick = callbacks.LambdaCallback(on_epoch_end=tick)
    make().fit(x, y, epochs=7, verbose=0, callbacks=tick, checkpoint=tmp_path / "a")
    assert seen == [0, 3, 6, 7]  # every minute, by default


def test_a_run_about_to_diverge_does_not_spoil_the_file(tmp_path):
    x, y = data()
    path = tmp_path / "run"

    class Spoil(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.network.weights(0)[0, 0] = math.nan

    with pytest.raises(DivergedError):
        make().fit(
            x, y, epochs=9, verbose=0, callbacks=Spoil(), checkpoint=path, checkpoint_every="epoch"
        )
    assert models.resume(path).resumed.progress[0] == 1


def test_a_run_that_terminate_on_nan_ends_is_complete(tmp_path, capsys):
    x, y = data()
    model = make(optimizers.SGD(1e30))
    ends = callbacks.TerminateOnNaN()
    model.fit(x, y, epochs=50, verbose=0, callbacks=ends, checkpoint=tmp_path / "run")
    assert capsys.readouterr().out.startswith("Training diverged")
    resumed = models.resume(tmp_path / "run")
    assert resumed.resumed.complete
    assert resumed.fit(x, y).history == model.history.history
    for a, b in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- Ctrl-C ----


def press(*seconds):
    def work():
        for pause in seconds:
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("hooked", [False, True])
def test_ctrl_c_keeps_the_run(hooked, tmp_path):
    x, y = data()
    path, hooks = tmp_path / "run", [batch_hook()] if hooked else None
    model = make(dropout=0.2)
    before = signal.getsignal(signal.SIGINT)
    presser = press(0.3)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            x, y, batch_size=16, epochs=10**6, verbose=0, callbacks=hooks, checkpoint=path,
            checkpoint_every=10**6,
        )  # fmt: skip
    presser.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert model.history.interrupted
    resumed = models.resume(path)
    assert resumed.history.history == model.history.history
    assert not resumed.history.interrupted
    for a, b in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.network.step == model.network.step > 0


def test_ctrl_c_waits_for_the_hooks_of_an_epoch(tmp_path):
    """A checkpoint between two callbacks of one epoch could not be gone on with."""
    x, y = data()
    calls = []

    def interrupt(epoch, logs):
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        calls.append(epoch)

    hooks = [callbacks.LambdaCallback(on_epoch_end=interrupt), callbacks.EarlyStopping("loss")]
    plain = make()
    plain.fit(x, y, epochs=5, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        make().fit(x, y, epochs=5, verbose=0, callbacks=hooks, checkpoint=tmp_path / "run")
    assert calls == [0, 1, 2]
    model = models.resume(tmp_path / "run")
    assert model.resumed.progress[0] == 3
    model.fit(x, y, callbacks=hooks)
    assert calls == [0, 1, 2, 3, 4] and settle(model) == settle(plain)


def test_a_second_ctrl_c_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    x, y = data()
    path = tmp_path / "run"
    real, old = os.fsync, []

    def fsync(descriptor):
        if old:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        real(descriptor)

    def interrupt(epoch, logs):
        if epoch == 1:
            old.append(path.read_bytes())
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        make().fit(
            x, y, epochs=5, verbose=0, checkpoint=path,
            callbacks=callbacks.LambdaCallback(on_epoch_end=interrupt),
        )  # fmt: skip
    assert path.read_bytes() == old[0] and [p.name for p in tmp_path.iterdir()] == ["run"]
    assert models.resume(path).resumed.progress[0] == 0


def test_a_handler_of_ones_own_is_called_and_may_let_training_go_on(tmp_path):
    x, y = data()
    calls = []
    before = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        hooks = callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: os.kill(os.getpid(), signal.SIGINT)
        )
        history = make().fit(
            x, y, epochs=3, verbose=0, callbacks=hooks, checkpoint=tmp_path / "run"
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(history.epoch) == 3 and calls == [signal.SIGINT] * 3


def test_other_threads_train_and_keep_as_well(tmp_path):
    x, y = data()
    worker = threading.Thread(
        target=lambda: make().fit(x, y, epochs=3, verbose=0, checkpoint=tmp_path / "run")
    )
    worker.start()
    worker.join()
    assert models.resume(tmp_path / "run").resumed.complete


# ---- what must be given, and what is refused ----


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    """A run with validation and weights, killed after two epochs, and its data."""
    x, y = data()
    weight, validation = np.linspace(1, 2, 60), (x[:9] + 1, y[:9], np.ones(9))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 3)
        make().fit(
            x, y, batch_size=16, epochs=4, verbose=0, sample_weight=weight,
            validation_data=validation, checkpoint=tmp_path / "run", checkpoint_every="epoch",
        )  # fmt: skip
    return tmp_path / "run", x, y, weight, validation


def test_data_must_be_the_same(unfinished):
    path, x, y, weight, (vx, vy, vw) = unfinished
    model, keys = models.resume(path), ("x", "y", "sample_weight", "validation_data")
    right = (x, y, weight, (vx, vy, vw))
    changed = np.array(x)
    changed[7, 1] = np.nextafter(np.float32(changed[7, 1]), np.float32(9))
    for place, value, message in [
        (0, changed, r"^x must be that of the run in .*, of shape \(60, 3\)\. Received: other val"),
        (1, y + 1, r"^y must be that of the run in .* Received: other values"),
        (2, weight[::-1], "^sample_weight must be that .* Received: other values"),
        (2, None, "^sample_weight must be that .* Received: none"),
        (3, None, r"^validation x must be that .* Received: none"),
        (3, (vx, vy), r"^validation sample_weight must be that .* Received: none"),
        (3, (vx[:5], vy[:5], vw[:5]), r"^validation x must be .* \(9, 3\)\. .*: shape \(5, 3\)"),
    ]:
        given = [value if i == place else part for i, part in enumerate(right)]
        with pytest.raises(DataError, match=message):
            model.fit(**dict(zip(keys, given, strict=True)))
    with pytest.raises(DataError, match=r"^x must be that .*: shape \(59, 3\)"):
        model.fit(x[1:], y[1:], sample_weight=weight[1:], validation_data=right[3])
    # After all that the run still goes on; other types and shapes of the same values will do.
    model.fit(x.tolist(), y[:, None], sample_weight=weight, validation_data=[vx, vy, vw])
    assert len(model.history.epoch) == 4
    plain = make()
    with pytest.raises(DataError, match=r"has no validation x. Received: one"):
        plain.fit(x, y, verbose=0, checkpoint=path.with_name("b"))
        models.resume(path.with_name("b")).fit(x, y, validation_data=(x, y))


def test_arguments_are_the_runs(unfinished):
    path, x, y, weight, validation = unfinished
    model = models.resume(path)
    given = {"sample_weight": weight, "validation_data": validation}
    for arguments, message in [
        ({"epochs": 9}, r"keeps its own arguments, epochs=4. Received: epochs=9"),
        ({"batch_size": 8}, "own arguments, batch_size=16. Received: batch_size=8"),
        ({"shuffle": False}, "own arguments, shuffle=True. Received: shuffle=False"),
        ({"validation_freq": [2]}, r"validation_freq=1. Received: validation_freq=\[2\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(x, y, **given, **arguments)
    model.fit(x, y, epochs=4, batch_size=16, verbose=2, checkpoint=path, **given)
    assert len(model.history.epoch) == 4


def test_class_weights_are_kept(tmp_path, monkeypatch):
    x, y = data()
    y = (y > 0).astype(int)

    def build():
        layers.reset_names()
        model = models.mlp([4], 3, 1, output_activation="sigmoid", seed=1)
        model.name = "run"
        model.compile("adam", "binary_crossentropy")
        return model

    plain = build()
    plain.fit(x, y, epochs=4, verbose=0, class_weight={1: 2.5})
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 2)
        build().fit(
            x, y, epochs=4, verbose=0, class_weight={1: 2.5}, checkpoint=tmp_path / "run",
            checkpoint_every="epoch",
        )  # fmt: skip
    model = models.resume(tmp_path / "run")
    with pytest.raises(ValueError, match="keeps its own arguments, class_weight"):
        model.fit(x, y, class_weight={1: 2})
    model.fit(x, y, class_weight={1: 2.5})
    assert settle(model) == settle(plain)


def test_an_unfinished_run_is_not_overwritten(unfinished):
    path, x, y, weight, validation = unfinished
    content = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"which holds an unfinished one; models.resume"):
        make().fit(x, y, verbose=0, checkpoint=path)
    model, other = models.resume(path), path.with_name("other")
    other.write_bytes(b"a table, perhaps")
    with pytest.raises(FileExistsError, match="other, which holds something else"):
        model.fit(x, y, sample_weight=weight, validation_data=validation, checkpoint=other)
    assert path.read_bytes() == content and other.read_bytes() == b"a table, perhaps"
    other.unlink()
    model.fit(x, y, sample_weight=weight, validation_data=validation, checkpoint=str(other))
    assert path.read_bytes() == content and models.resume(other).resumed.complete
    make().fit(x, y, verbose=0, checkpoint=other)  # a finished one makes way
    assert len(models.resume(other).history.epoch) == 1


def test_other_mistakes(tmp_path):
    x, y = data()
    model = make()
    with pytest.raises(ValueError, match=r"checkpoint_every needs a file to write"):
        model.fit(x, y, verbose=0, checkpoint_every=3)
    with pytest.raises(FileNotFoundError):
        model.fit(x, y, verbose=0, checkpoint=tmp_path / "none" / "run")
    with pytest.raises(ModelFileError, match=r"Cannot read model file .*none: No such file"):
        models.resume(tmp_path / "none")
    model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"holds a model but not a run; models.load_model"):
        models.resume(tmp_path / "model")


def test_what_is_written_in_python_must_be_given(tmp_path, monkeypatch):
    x, y = data()
    path = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        DiesAfterWrites(patch, 2)
        make(optimizers.SGD(Halving()), squares).fit(
            x, y, epochs=3, verbose=0, checkpoint=path, checkpoint_every="epoch"
        )
    with pytest.raises(
        ValueError, match=r"needs Halving, squares, .*custom_objects=\{'Halving': Halving, 'squa"
    ):
        models.resume(path)
    model = models.load_model(path)
    with pytest.raises(RuntimeError, match=r"custom_objects=\{'Halving': Halving, 'squares': squ"):
        model.fit(x, y)
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)


# ---- files that are damaged, or hostile ----


def parts(raw):
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + n])
    return header, json.loads(header["__metadata__"]["fastmlp"]), raw[8 + n :]


def spoilt(raw, change):
    header, description, body = parts(raw)
    change(description["run"])
    header["__metadata__"] = {"fastmlp": json.dumps(description)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def set_in(*keys, to):
    def change(table):
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = to

    return change


@pytest.mark.reliability
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("arguments", to=3), "'arguments' must be of type dict, not int"),
        (set_in("arguments", "epochs", to=0), "epochs must be a positive integer"),
        (set_in("arguments", "evil", to=0), "unexpected keyword argument 'evil'"),
        (set_in("arguments", "class_weight", to=3), "not iterable"),
        (set_in("every", to="never"), "checkpoint_every must be seconds"),
        (set_in("data", to=[]), "'data' must be of type dict"),
        (set_in("data", "x", "shape", to=[-1, 2]), "'x' has a wrong shape"),
        (set_in("data", "x", to=None), "its position lies outside of the run"),
        (set_in("seed", to=2**64), "'seed' must be at least 0 and below"),
        (set_in("progress", to=[0]), "'progress' must have 6 parts"),
        (set_in("progress", 0, to=5), "its position lies outside of the run"),
        (set_in("progress", 1, to=4), "its position lies outside of the run"),
        (set_in("progress", 1, to=-1), "'batch' must be at least 0"),
        (set_in("progress", 1, to=2**62), "its position lies outside of the run"),
        (set_in("progress", 2, to=7), "its position lies outside of the run"),
        (set_in("progress", 3, to=7), "its position lies outside of the run"),
        (set_in("progress", 4, to="many"), "could not convert string to float"),
        (set_in("progress", 5, to={}), "sums must be of type list"),
        (set_in("within", to=1), "'within' must be of type bool, not int"),
        (set_in("logs", to={"loss": None}), "must be a string or a real number|float"),
        (set_in("callbacks", 0, to=[]), "a callback must be of type dict"),
        (set_in("callbacks", 0, "state", to={"array": "run.9"}), "array 'run.9' is missing"),
        (set_in("callbacks", 0, "state", to={"a": 1}), "'dict' is missing"),
        (set_in("callbacks", 0, "state", to=[1]), "a callback's state must be of type dict"),
    ],
)
def test_hostile_runs(change, message, tmp_path):
    x, y = data()
    path = tmp_path / "run"
    make().fit(
        x, y, batch_size=16, epochs=4, verbose=0, checkpoint=path,
        callbacks=callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
    )  # fmt: skip
    path.write_bytes(spoilt(path.read_bytes(), change))
    with pytest.raises(ModelFileError, match=f"run is not a usable model file: .*{message}"):
        models.resume(path)


def test_a_run_whose_history_does_not_fit_is_refused(unfinished):
    path, x, y, weight, validation = unfinished
    header, description, body = parts(path.read_bytes())
    description["history"]["history"]["loss"].pop()
    header["__metadata__"] = {"fastmlp": json.dumps(description)}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    with pytest.raises(ModelFileError, match="its history is cut off"):
        models.resume(path).fit(x, y, sample_weight=weight, validation_data=validation)


def test_arrays_of_a_run_in_a_plain_model_are_refused():
    model = make()
    raw = fmlp.to_bytes(model, run=({}, {"run.0.a": np.zeros(3, np.float32)}))
    header, description, body = parts(raw)
    del description["run"]
    header["__metadata__"] = {"fastmlp": json.dumps(description)}
    text = json.dumps(header).encode()
    with pytest.raises(ModelFileError, match=r"its arrays do not match its layers: 'run.0.a'"):
        models.from_bytes(struct.pack("<Q", len(text)) + text + body)
    assert models.from_bytes(raw).built


# ---- kill -9 ----

CHILD = """
import sys
import numpy as np
from pathlib import Path
from fastmlp import callbacks, models

path, n_epochs, seed, every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rng = np.random.default_rng(seed)
x = rng.normal(size=(64, 3))
y = np.sin(x).sum(axis=1)
# After every batch a checkpoint is written, so that most kills fall into a writing.
hooks = [
    callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
    callbacks.EarlyStopping("val_loss", patience=n_epochs, restore_best_weights=True),
]
kept = {} if path == "-" else {"checkpoint": path, "checkpoint_every": every}
if Path(path).exists():
    model = models.resume(path)
    go = lambda: model.fit(x, y, callbacks=hooks, checkpoint_every=every)
else:
    model = models.mlp([32, 24], 3, 1, dropout=0.1, l2=0.001, seed=seed)
    model.name = "run"
    model.compile("adam", "mse", metrics=["mae"])
    go = lambda: model.fit(
        x, y, batch_size=16, epochs=n_epochs, verbose=0, validation_split=0.25, callbacks=hooks,
        **kept,
    )
print("ready", flush=True)
go()
model.save(sys.argv[5])
"""


class Runs:
    """Trainings in processes of their own, and the bytes they should end with."""

    def __init__(self, directory, n_epochs):
        self.directory, self.n_epochs = directory, n_epochs
        self.path, self.out = directory / "run", directory / "out"

    def arguments(self, seed, path, every="0.000001"):
        return ["-c", *map(str, (path, self.n_epochs, seed, every, self.out))]

    def start(self, seed, every="0.000001", n_threads=1):
        flag, *arguments = self.arguments(seed, self.path, every)
        return subprocess.Popen(
            [sys.executable, flag, CHILD, *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": str(n_threads)},
        )

    def finish(self, process):
        process.stdout.read()
        process.stdout.close()
        assert process.wait(100) == 0
        return self.out.read_bytes()

    def expected(self, seed):
        """Return the model file of a run that is never stopped and writes no checkpoint."""
        layers.reset_names()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", self.arguments(seed, "-"))
            exec(CHILD, {})
        return self.out.read_bytes()

    def kill(self, process, seconds):
        """Kill a process so long after it begins to train; return whether it was still at it."""
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.kill()
        process.stdout.close()
        return process.wait() == -signal.SIGKILL


def kill_often(directory, n_kills, n_epochs):
    """Kill runs so often in all, resume them each time; return how many kills they survived."""
    runs, rng, survived, seed = Runs(directory, n_epochs), random.Random(n_kills), 0, 0
    while survived < n_kills:
        seed += 1
        expected, places = runs.expected(seed), []
        while survived < n_kills:
            if not runs.kill(runs.start(seed), rng.uniform(0.0, 0.1)):
                break  # it had ended
            survived += 1
            if runs.path.exists():  # not if the kill came before the first writing
                resumed = models.resume(runs.path).resumed
                places.append(resumed.progress[:2])
                if resumed.complete:
                    break
        assert places == sorted(places)
        assert runs.finish(runs.start(seed)) == expected
        runs.path.unlink()
    return survived


def test_a_few_kills(tmp_path):
    assert kill_often(tmp_path, 2, n_epochs=60) == 2


@pytest.mark.reliability
@pytest.mark.slow
def test_two_hundred_kills(tmp_path):
    assert kill_often(tmp_path, 200, n_epochs=600) == 200
    # Between two system calls a killed process leaves a file behind, but a whole one.
    left = [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
    assert len(left) <= 20
    for path in left:
        models.load_model(path)


def resume_with_other_threads(directory, n_runs):
    rng = random.Random(n_runs)
    for seed in range(n_runs):
        runs = Runs(directory, 40)
        expected = runs.expected(seed)
        before, after = rng.sample([1, 2, 3], 2)
        runs.kill(runs.start(seed, n_threads=before), rng.uniform(0.02, 0.1))
        assert runs.finish(runs.start(seed, every="5 epochs", n_threads=after)) == expected
        assert models.resume(runs.path).resumed.complete
        runs.path.unlink()


def test_a_few_resumes(tmp_path):
    resume_with_other_threads(tmp_path, 1)


@pytest.mark.reliability
@pytest.mark.slow
def test_twenty_resumes(tmp_path):
    resume_with_other_threads(tmp_path, 20)
