"""fit: steps against the formulas, epochs, validation, weights, seeds, divergence, Ctrl-C."""

import math
import os
import signal
import threading
import time

import numpy as np
import pytest

from fastmlp import callbacks, layers, models, optimizers, regularizers, set_num_threads
from fastmlp.errors import DataError, DivergedError


def data(n=40, k=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k))
    return x, np.sin(2 * x).sum(axis=1)


def make(seed=1, units=(6, 5), loss="mse", optimizer="adam", **kwargs):
    model = models.mlp(list(units), 2, 1, activation="tanh", seed=seed, **kwargs)
    model.compile(optimizer, loss, metrics=["mae"])
    return model


def assert_same_weights(a, b):
    for left, right in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def adam_by_hand(model, x, y, n_steps, l2, rate=0.001, initial_step=0):
    """Full-batch Adam for tanh layers under a squared error, restated; float64."""
    p = model.get_weights()
    m, v = [np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p]
    losses = []
    for t in range(initial_step + 1, initial_step + n_steps + 1):
        outputs, last = [x], len(p) // 2 - 1
        for i in range(last + 1):
            z = outputs[i] @ p[2 * i] + p[2 * i + 1]
            outputs.append(z if i == last else np.tanh(z))
        error = outputs[-1] - y
        losses.append((error**2).mean() + l2 * sum((w**2).sum() for w in p[::2]))
        d, g = 2 * error / error.size, [np.empty(0)] * len(p)
        for i in range(last, -1, -1):
            g[2 * i], g[2 * i + 1] = outputs[i].T @ d + 2 * l2 * p[2 * i], d.sum(axis=0)
            d = (d @ p[2 * i].T) * (1 - outputs[i] ** 2)
        step = rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        for j in range(len(p)):
            m[j] = 0.9 * m[j] + 0.1 * g[j]
            v[j] = 0.999 * v[j] + 0.001 * g[j] ** 2
            p[j] = p[j] - step * m[j] / (np.sqrt(v[j]) + 1e-7)
    return p, losses


@pytest.mark.parametrize("initial_step", [0, 1])
def test_full_batch_adam_is_the_formula(initial_step):
    x, y = data()
    model = make(l2=0.01, dtype="float64", optimizer=optimizers.Adam(initial_step=initial_step))
    weights, losses = adam_by_hand(model, x, y[:, None], 30, 0.01, initial_step=initial_step)
    history = model.fit(x, y, batch_size=len(x), epochs=30, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-10)
    for found, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


def test_an_epochs_loss_is_the_mean_over_rows_of_batches_of_any_size():
    x, y = data(n=25)
    model = make(dtype="float64", optimizer=optimizers.SGD(0.0))
    history = model.fit(x, y, batch_size=10, epochs=2, verbose=0).history
    loss, mae = model.evaluate(x, y)
    np.testing.assert_allclose(history["loss"], loss, rtol=1e-12)
    np.testing.assert_allclose(history["mae"], mae, rtol=1e-12)


def test_targets_of_both_shapes_mean_the_same():
    x, y = data()
    a, b = make(), make()
    assert a.fit(x, y, verbose=0).history == b.fit(x, y[:, None], verbose=0).history
    assert a.evaluate(x, y) == b.evaluate(x, y[:, None])
    assert_same_weights(a, b)


# ---- histories ----


def test_history():
    x, y = data()
    model = make()
    history = model.fit(x, y, epochs=3, batch_size=16, verbose=0, validation_split=0.25)
    assert history is model.history and not history.interrupted
    assert history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
    for values in history.history.values():
        assert len(values) == 3 and all(type(v) is float for v in values)
    assert history.params == {
        "epochs": 3,
        "batch_size": 16,
        "steps": 2,
        "samples": 30,
        "verbose": 0,
        "metrics": ["loss", "mae", "val_loss", "val_mae"],
    }
    assert model.training_config == {
        "epochs": 3, "batch_size": 16, "shuffle": True, "samples": 30,
    }  # fmt: skip


def test_a_second_fit_goes_on():
    x, y = data()
    once, twice = make(), make()
    whole = once.fit(x, y, batch_size=40, epochs=7, verbose=0).history["loss"]
    parts = []
    for epochs in (3, 4):
        parts += twice.fit(x, y, batch_size=40, epochs=epochs, verbose=0).history["loss"]
    assert parts == whole
    assert_same_weights(once, twice)
    assert twice.training_config["epochs"] == 7


def test_compiling_again_forgets_the_optimizers_state():
    x, y = data()
    a, b = make(), make()
    a.fit(x, y, epochs=3, verbose=0)
    b.set_weights(a.get_weights())
    a.compile("adam", "mse", metrics=["mae"])
    a.fit(x, y, batch_size=40, epochs=2, verbose=0)
    b.fit(x, y, batch_size=40, epochs=2, verbose=0)
    assert_same_weights(a, b)


# ---- validation ----


def test_validation_split_takes_the_last_rows_before_shuffling():
    x, y = data()
    weight = np.linspace(0.5, 2, 40)
    a, b = make(), make()
    split = a.fit(x, y, epochs=3, verbose=0, validation_split=0.25, sample_weight=weight)
    given = b.fit(
        x[:30],
        y[:30],
        epochs=3,
        verbose=0,
        validation_data=(x[30:], y[30:], weight[30:]),
        sample_weight=weight[:30],
    )
    assert split.history == given.history
    assert split.history["val_loss"][-1] == a.evaluate(x[30:], y[30:], sample_weight=weight[30:])[0]


def test_validation_data_win_over_a_split():
    x, y = data()
    with pytest.warns(UserWarning, match="No effect of validation_split=0.5"):
        history = make().fit(x, y, verbose=0, validation_split=0.5, validation_data=[x, y])
    assert history.params["samples"] == 40


def test_validation_loss_includes_the_penalty():
    x, y = data()
    model = make(l1=0.01, l2=0.1)
    history = model.fit(x, y, epochs=2, verbose=0, validation_data=(x[:7], y[:7])).history
    assert [history["val_loss"][-1], history["val_mae"][-1]] == model.evaluate(x[:7], y[:7])


@pytest.mark.parametrize(("freq", "expected"), [(1, 5), (2, 2), (5, 1), (6, 0), ([1, 4], 2)])
def test_validation_freq(freq, expected):
    x, y = data()
    plain, model = make(), make()
    history = model.fit(x, y, epochs=5, verbose=0, validation_split=0.5, validation_freq=freq)
    assert len(history.history["val_loss"]) == expected and len(history.history["loss"]) == 5
    # Looking changes nothing.
    same = plain.fit(x, y, epochs=5, verbose=0, validation_split=0.5, validation_freq=9)
    assert same.history["loss"] == history.history["loss"]


# ---- weights of rows and classes ----


def test_a_sample_weight_of_two_counts_a_row_twice():
    x, y = data(n=12)
    weight = np.r_[np.full(4, 2.0), np.ones(4), np.zeros(4)]
    a, b = make(dtype="float64"), make(dtype="float64")
    a.fit(x, y, batch_size=12, epochs=5, verbose=0, sample_weight=weight)
    rows = [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7]
    b.fit(x[rows], y[rows], batch_size=12, epochs=5, verbose=0)
    for left, right in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "sparse", "one-hot"])
def test_class_weight_is_a_sample_weight(kind):
    rng = np.random.default_rng(0)
    k = 1 if kind == "binary" else 3
    x, classes = rng.normal(size=(30, 2)), rng.integers(0, max(k, 2), 30)
    loss, last, y = {
        "binary": ("binary_crossentropy", "sigmoid", classes),
        "sparse": ("sparse_categorical_crossentropy", "softmax", classes),
        "one-hot": ("categorical_crossentropy", "softmax", np.eye(3)[classes]),
    }[kind]
    base = rng.uniform(0.5, 2, 30)

    def run(**weights):
        model = models.mlp([4], 2, k, output_activation=last, seed=1)
        model.compile("adam", loss)
        return model.fit(x, y, epochs=3, verbose=0, **weights).history["loss"]

    by_row = np.where(classes == 1, 3.0, 1.0)
    assert run(class_weight={1: 3.0}) == run(sample_weight=by_row)
    both = run(class_weight={1: 3.0, 0: 1}, sample_weight=base)
    np.testing.assert_allclose(both, run(sample_weight=base * by_row), rtol=1e-6)
    assert run() != run(class_weight={1: 3.0})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({0: -1}, r"class_weight\[0\] must be at least 0"),
        ({0: math.nan}, r"class_weight\[0\] must be finite"),
        ({"a": 1}, "must name classes by their numbers in y. Received: 'a'"),
    ],
)
def test_bad_class_weights(weights, message):
    model = models.mlp([4], 2, 1, output_activation="sigmoid")
    model.compile("adam", "binary_crossentropy")
    with pytest.raises(DataError, match=message):
        model.fit([[1, 2], [3, 4]], [0, 1], class_weight=weights, verbose=0)


# ---- what is random ----


def test_a_seed_fixes_a_whole_run():
    x, y = data()

    def run(seed):
        model = make(seed=seed, dropout=0.3)
        first = model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]
        return first, model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_batches_come_in_a_new_order_each_epoch_unless_shuffle_is_off():
    # One weight, rate 1/2, a batch a row: the output is the last row's target after each epoch.
    x, y = np.ones((16, 1)), np.arange(16.0)

    def last_rows(shuffle):
        model = models.Sequential(
            [layers.Dense(1, use_bias=False, input_shape=(1,))], seed=3, dtype="float64"
        )
        model.compile(optimizers.SGD(0.5), "mse")
        seen = []
        for _ in range(2):
            watch = Watch(lambda: seen.append(round(float(model.predict([[1.0]])[0, 0]))))
            model.fit(x, y, batch_size=1, epochs=6, shuffle=shuffle, verbose=0, callbacks=watch)
        return seen

    assert last_rows(False) == [15] * 12
    shuffled = last_rows(True)
    assert len(set(shuffled)) > 3 and shuffled[:6] != shuffled[6:]
    assert shuffled == last_rows(True)


class Watch(callbacks.Callback):
    def __init__(self, look):
        self.look = look

    def on_epoch_end(self, epoch, logs=None):
        self.look()


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_same_bits_on_any_number_of_threads(dropout):
    x, y = data(n=130)

    def run(n_threads):
        set_num_threads(n_threads)
        try:
            model = models.mlp([130, 70], 2, 1, dropout=dropout, l2=0.001, seed=1)
            model.compile("adam", "mse")
            history = model.fit(x, y, batch_size=50, epochs=3, verbose=0, validation_split=0.3)
            return history.history, model.get_weights(), model.predict(x)
        finally:
            set_num_threads(None)

    one = run(1)
    for n_threads in (2, 3):
        history, weights, out = run(n_threads)
        assert history == one[0]
        for left, right in zip(weights, one[1], strict=True):
            np.testing.assert_array_equal(left, right)
        np.testing.assert_array_equal(out, one[2])


def test_callbacks_change_nothing_but_the_pace():
    x, y = data()

    class Batches(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.predict(x[:3])
            self.model.gradients(x[:3], y[:3])

    runs = []
    for extra in (None, Watch(lambda: None), Batches()):
        model = make(dropout=0.2)
        history = model.fit(x, y, epochs=4, batch_size=7, verbose=0, callbacks=extra)
        runs.append((history.history, [w.tobytes() for w in model.get_weights()]))
    assert runs[0] == runs[1] == runs[2]


# ---- output ----


def test_verbose_2_prints_a_line_an_epoch(capsys):
    x, y = data()
    make().fit(x, y, epochs=3, verbose=2, validation_split=0.5, validation_freq=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    assert ["val_loss" in line for line in lines] == [False, True, False]
    assert all("loss: " in line and "mae: " in line for line in lines)


@pytest.mark.parametrize("verbose", [0, 1, "auto"])
def test_short_trainings_print_nothing(verbose, capsys):
    x, y = data()
    make().fit(x, y, epochs=3, verbose=verbose, validation_split=0.5)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# ---- divergence ----


def test_divergence_names_epoch_and_layer_and_keeps_finite_weights():
    x, y = data()
    model = make(optimizer=optimizers.SGD(1e30))
    before = model.get_weights()
    with pytest.raises(
        DivergedError, match=r"diverged in epoch (\d+): .* no longer finite"
    ) as info:
        model.fit(x, y, epochs=50, verbose=0)
    assert info.value.epoch >= 1
    assert info.value.layer in (None, *(layer.name for layer in model.layers))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # no snapshot was taken in less than a second
    assert len(model.history.epoch) == info.value.epoch - 1
    assert all(math.isfinite(loss) for loss in model.history.history["loss"])
    model.optimizer.learning_rate = 0.01
    history = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_divergence_goes_back_to_the_latest_snapshot(monkeypatch):
    monkeypatch.setattr("fastmlp._training.loop._SNAPSHOT_SECONDS", 0.0)
    x, y = data()
    model = make()
    seen = []

    class Break(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights())
            if epoch == 3:
                self.model.optimizer.learning_rate = 1e38

    model.compile("sgd", "mse")
    with pytest.raises(DivergedError):
        model.fit(x, y, batch_size=40, epochs=50, verbose=0, callbacks=Break())
    assert len(seen) >= 4
    for old, new in zip(seen[-1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_divergence_of_the_loss_alone():
    model = models.mlp([], 2, 1, seed=1, dtype="float64")
    model.compile(optimizers.SGD(0.0), "mse")
    with pytest.raises(DivergedError, match="the loss is no longer finite") as info:
        model.fit([[0.0, 0.0]], [1e200], verbose=0)
    assert info.value.layer is None and info.value.epoch == 1


# ---- Ctrl-C ----


def test_ctrl_c_keeps_model_and_history():
    x, y = data()
    model = make()

    def press():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=10**8, verbose=0)
    presser.join()
    history = model.history
    assert history.interrupted and 0 < len(history.epoch) < 10**8
    assert {len(v) for v in history.history.values()} == {len(history.epoch)}
    assert history.epoch[-1] == len(history.epoch) - 1
    assert np.isfinite(model.predict(x)).all()
    model.fit(x, y, epochs=2, verbose=0)
    assert len(model.history.epoch) == len(history.epoch) + 2 and not model.history.interrupted


def test_an_interrupt_between_two_calls_loses_no_epoch():
    x, y = data()
    model = make()

    class Interrupt(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=10, verbose=0, callbacks=[Interrupt()])
    assert model.history.epoch == [0, 1, 2] and len(model.history.history["loss"]) == 3


def test_an_error_in_a_callback_ends_the_session():
    x, y = data()
    model = make()

    class Fail(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        model.fit(x, y, verbose=0, callbacks=[Fail()])
    assert len(model.fit(x, y, verbose=0).epoch) == 1


def test_one_row_and_batches_larger_than_the_data():
    model = make(seed=1)
    history = model.fit([[1.0, 2.0]], [3.0], batch_size=1000, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2 and history.params["steps"] == 1
    model.fit([[1.0, 2.0]], [3.0], batch_size=None, verbose=0)
    assert model.history.params["batch_size"] == 32


def test_penalties_of_layers_count_where_they_are_asked_for():
    x, y = data()
    model = models.Sequential(
        [
            layers.Dense(3, input_shape=(2,), kernel_regularizer=regularizers.l1(0.1)),
            layers.Dense(1, kernel_regularizer=regularizers.l2(0.2)),
        ],
        seed=1,
        dtype="float64",
    )
    model.compile(optimizers.SGD(0.0), "mse", metrics=["mse"])
    history = model.fit(x, y, verbose=0, batch_size=40).history
    w = model.get_weights()
    penalty = 0.1 * np.abs(w[0]).sum() + 0.2 * (w[2] ** 2).sum()
    assert history["loss"][0] - history["mse"][0] == pytest.approx(penalty)


# ---- a loss written in Python ----


def squares(y_true, y_pred):
    error = y_pred.astype(np.float64) - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


def both(in_python, optimizer="adam", metrics=("mae",), **kwargs):
    model = models.mlp([6, 5], 2, 1, activation="tanh", seed=1, dtype="float64", **kwargs)
    model.compile(optimizer, squares if in_python else "mse", metrics=list(metrics))
    return model


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.Adam(0.01),
        optimizers.SGD(optimizers.schedules.StepDecay(0.1, 5), momentum=0.9),
        optimizers.RMSprop(0.01, global_clipnorm=0.1),
        optimizers.AdamW(0.01, clipvalue=0.05),
    ],
    ids=repr,
)
def test_a_loss_in_python_is_trained_as_the_same_one_in_the_kernels(optimizer):
    """With batches, weights, dropout, penalties, metrics and validation; up to rounding."""
    x, y = data(n=50)
    weight = np.linspace(0, 2, 50)
    found = []
    for in_python in (False, True):
        model = both(in_python, optimizer, ("mae", "rmse", "r2"), dropout=0.3, l1=0.001, l2=0.01)
        history = model.fit(
            x, y, batch_size=16, epochs=4, shuffle=False, verbose=0, sample_weight=weight,
            validation_split=0.2,
        )  # fmt: skip
        found.append((history.history, model.get_weights(), model.evaluate(x, y)))
    (a, weights_a, values_a), (b, weights_b, values_b) = found
    assert list(a) == list(b)
    for key in a:
        np.testing.assert_allclose(b[key], a[key], rtol=1e-9, err_msg=key)
    for left, right in zip(weights_a, weights_b, strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-12)
    assert values_b == pytest.approx(values_a, rel=1e-9)


def test_a_loss_in_python_shuffles_stops_and_goes_on():
    x, y = data()

    def run(parts, **kwargs):
        model = both(True, dropout=0.2)
        values = [model.fit(x, y, batch_size=16, epochs=e, verbose=0, **kwargs) for e in parts]
        return [h.history["loss"] for h in values], [w.tobytes() for w in model.get_weights()]

    class Batches(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert math.isfinite(logs["loss"])

    assert run([4]) == run([4]) == run([4], callbacks=Batches())
    assert run([4]) != run([4], shuffle=False)
    assert run([2, 2])[0][0] == run([4])[0][0][:2]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_loss_in_python_gives_the_same_bits_on_any_number_of_threads(dropout):
    x, y = data(n=130)

    def run(n_threads):
        set_num_threads(n_threads)
        try:
            model = models.mlp([130, 70], 2, 1, dropout=dropout, l2=0.001, seed=1)
            model.compile("adam", squares)
            history = model.fit(x, y, batch_size=50, epochs=3, verbose=0, validation_split=0.3)
            return history.history, [w.tobytes() for w in model.get_weights()]
        finally:
            set_num_threads(None)

    assert run(1) == run(2) == run(3)


def test_a_loss_in_python_may_have_targets_of_another_width():
    """Mean and log deviation of a normal distribution from one column of y."""

    def likelihood(y_true, y_pred):
        mean, log_deviation = y_pred.T.astype(np.float64)
        z = (y_true[:, 0] - mean) * np.exp(-log_deviation)
        return log_deviation + z**2 / 2, np.c_[-z * np.exp(-log_deviation), 1 - z**2]

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1))
    y = 3 + 0.5 * rng.normal(size=400)
    model = models.mlp([], 1, 2, seed=1)
    model.compile(optimizers.Adam(0.05), likelihood)
    model.fit(x, y, epochs=60, verbose=0, validation_data=(x, y))
    mean, log_deviation = model.predict([[0.0]])[0]
    assert mean == pytest.approx(3, abs=0.15) and math.exp(log_deviation) == pytest.approx(0.5, 0.2)
    with pytest.raises(DataError, match=r"y must have shape \(400,\) or \(400, k\)"):
        model.fit(x, y[:3], verbose=0)
    with pytest.raises(DataError, match="class_weight needs a loss for classes"):
        model.fit(x, y, class_weight={0: 1}, verbose=0)
    with pytest.raises(RuntimeError, match=r"gradients.* needs one of fastmlp's losses"):
        model.gradients(x, y)


def test_metrics_beside_a_loss_in_python():
    def cross_entropy(y_true, y_pred):
        rows, classes = np.arange(len(y_pred)), y_true[:, 0].astype(int)
        gradient = np.zeros(y_pred.shape)
        gradient[rows, classes] = -1 / y_pred[rows, classes]
        return -np.log(y_pred[rows, classes].astype(np.float64)), gradient

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), rng.integers(0, 3, 60)
    names = ["accuracy", "log_loss", "auc", "top_2_accuracy"]
    found = []
    for loss in ("sparse_categorical_crossentropy", cross_entropy):
        model = models.mlp([4], 2, 3, output_activation="softmax", seed=1, dtype="float64")
        model.compile("adam", loss, metrics=names)
        history = model.fit(x, y, epochs=3, batch_size=20, shuffle=False, verbose=0).history
        found.append([*history.values(), model.evaluate(x, y)])
    np.testing.assert_allclose(np.concatenate(found[1]), np.concatenate(found[0]), rtol=1e-9)


@pytest.mark.parametrize("batch_hooks", [False, True])
def test_divergence_under_a_loss_in_python(batch_hooks):
    x, y = data()
    model = both(True, optimizers.SGD(1e200))
    hooks = callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: 0) if batch_hooks else None
    with (
        np.errstate(over="ignore"),
        pytest.raises(DivergedError, match="no longer finite") as info,
    ):
        model.fit(x, y, epochs=9, verbose=0, callbacks=hooks)
    assert info.value.epoch >= 1 and all(np.isfinite(w).all() for w in model.get_weights())
    model.compile(optimizers.SGD(1e-3), lambda t, p: (np.full(len(p), math.nan), p))
    with pytest.raises(DivergedError, match="the loss is no longer finite") as info:
        model.fit(x, y, verbose=0)
    assert info.value.layer is None
    model.compile(optimizers.SGD(1e-3), lambda t, p: (np.zeros(len(p)), p * math.nan))
    with pytest.raises(DivergedError, match="a weight or moment of layer") as info:
        model.fit(x, y, batch_size=40, verbose=0)
    assert info.value.epoch == 1


def test_what_a_loss_returns_is_checked_and_its_arguments_are_protected():
    x, y = data()
    model = both(True)
    model.compile("adam", lambda t, p: ((t - p) ** 2).mean(axis=1))
    with pytest.raises(ValueError, match=r"Loss '<lambda>' must return \(values, gradient\)"):
        model.fit(x, y, verbose=0)

    def spoil(y_true, y_pred):
        y_pred -= y_true
        return y_pred[:, 0] ** 2, 2 * y_pred

    model.compile("adam", spoil)
    with pytest.raises(ValueError, match="read-only"):
        model.fit(x, y, verbose=0)
    model.compile("adam", squares)
    assert len(model.fit(x, y, epochs=2, verbose=0).epoch) == 2
