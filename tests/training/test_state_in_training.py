"""What is called or changed while a model trains: the same result as without, or one error."""

import copy
import os
import pickle
import signal
import sys
import threading

import numpy as np
import pytest

from fastmlp import (
    callbacks,
    datasets,
    ensemble,
    inspection,
    layers,
    losses,
    metrics,
    models,
    streaming,
)
from fastmlp._saving import fmlp

pytestmark = pytest.mark.reliability
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3)).astype(np.float32)
Y = X[:, :1] ** 2
SHAPES = {"tiny": "8", "wide": "80x2", "parts": "32x2"}

LOOKS = {
    "predict": lambda m: m.predict(X[:50], verbose=0),
    "activations": lambda m: m.activations(X[:50]),
    "gradients": lambda m: m.gradients(X[:50]),
    "save": lambda m: fmlp.to_bytes(m),
    "weights": lambda m: m.get_weights(),
    "report": lambda m: inspection.layer_report(m, X),
}


def made(units="80x2", loss="mse", metrics_=None, **given):
    model = models.mlp(units, 3, 1, seed=1, dropout=0.2, **given)
    model.compile("adam", loss, metrics_)
    return model


def fitted(look, units="80x2", **arguments):
    """Weights after a training by a loss in Python that does `look` with its own model."""

    def loss(y_true, y_pred):
        if look is not None:
            look(model)
        return ((y_pred - y_true) ** 2)[:, 0], 2 * (y_pred - y_true)

    model = made(units, loss)
    model.fit(X, Y, epochs=4, verbose=0, **arguments)
    return model.get_weights()


def test_the_figures_of_the_reliability_page():
    # Losses: plain and sharded, streamed twice, one with a thread. Hooks: by two optimizers.
    assert 2 * len(LOOKS) + 2 + 1 + 2 * len(SHAPES) == 21


@pytest.mark.parametrize("shards", [None, 4])
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_loss_that_looks_at_its_model_changes_nothing(look, shards):
    for a, b in zip(fitted(None, shards=shards), fitted(look, shards=shards), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_streamed_loss_that_looks_at_its_model_changes_nothing(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    table = {f"x{i}": X[:, i].astype(np.float64) for i in range(3)} | {"y": Y[:, 0].astype(float)}
    pq.write_table(pa.table(table), path, row_group_size=16)

    def trained(look, shards):
        def loss(y_true, y_pred):
            if look:
                model.gradients(X[:50])
            return ((y_pred - y_true) ** 2)[:, 0], 2 * (y_pred - y_true)

        model = made("80x2", loss)
        streaming.fit(model, datasets.ParquetStream(path, "y"), epochs=2, verbose=0, shards=shards)
        return model.get_weights()

    for shards in (None, 2):
        for a, b in zip(trained(False, shards), trained(True, shards), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_loss_may_wait_for_a_thread_that_predicts():
    def look(model):
        thread = threading.Thread(target=lambda: model.predict(X[:50], verbose=0))
        thread.start()
        thread.join(60)
        assert not thread.is_alive()

    for a, b in zip(fitted(None), fitted(look), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_thread_that_sets_weights_within_a_step_comes_before_the_step():
    calls = []

    def loss(y_true, y_pred):
        calls.append(float(y_pred[0, 0]))
        if len(calls) == 1:
            thread = threading.Thread(target=model.set_weights, args=(zeros,))
            thread.start()
            thread.join(60)
        return ((y_pred - y_true) ** 2)[:, 0], 2 * (y_pred - y_true)

    model = made("8", loss)
    zeros = [np.zeros_like(w) for w in model.get_weights()]
    model.fit(X, Y, batch_size=64, verbose=0)
    other = made("8", "mse")
    other.set_weights(zeros)
    other.fit(X, Y, batch_size=64, verbose=0)
    assert len(calls) == 2 and calls[0] != calls[1] == 0
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("what", ["weights", "activation"])
@pytest.mark.parametrize("shards", [None, 2])
def test_a_loss_must_not_change_its_model(what, shards):
    def look(model):
        if what == "weights":
            model.set_weights(model.get_weights())
        else:
            model.layers[0].activation = "tanh"

    with pytest.raises(RuntimeError, match="by a loss, within a training step"):
        fitted(look, shards=shards)


class Looks(callbacks.Callback):
    """Asks its model for everything in every hook."""

    def _look(self, *arguments):
        self.model.predict(X[:50], verbose=0)
        self.model.evaluate(X[:20], Y[:20], verbose=0)
        self.model.gradients(X[:50], Y[:50])
        self.model.activations(X[:50])

    on_train_begin = on_epoch_begin = on_epoch_end = _look
    on_train_batch_begin = on_train_batch_end = on_test_begin = on_test_end = _look
    on_test_batch_begin = on_test_batch_end = on_train_end = _look


class Steps(callbacks.Callback):
    """Stops at each batch, as `Looks` does, and does nothing."""

    def on_train_batch_end(self, batch, logs=None):
        pass


@pytest.mark.parametrize("optimizer", ["adam", "clipped"])
@pytest.mark.parametrize("units", SHAPES.values(), ids=SHAPES)
def test_hooks_that_look_change_nothing(units, optimizer):
    from fastmlp.optimizers import Adam

    found = []
    for hook in (Steps(), Looks()):
        model = made(units, "mse")
        rule = "adam" if optimizer == "adam" else Adam(global_clipnorm=0.1)
        model.compile(rule, "mse", ["mae"])
        model.fit(X, Y, epochs=3, verbose=0, callbacks=hook, validation_data=(X, Y))
        found.append(model)
    assert found[0].history.history == found[1].history.history
    for a, b in zip(found[0].get_weights(), found[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Does(callbacks.Callback):
    def __init__(self, act, hook="on_epoch_end"):
        self.act = act
        setattr(self, hook, lambda *arguments: act(self.model))


CALLS = {
    "compile": lambda m: m.compile("sgd", "mae"),
    "fit": lambda m: m.fit(X, Y, verbose=0),
    "add": lambda m: m.add(layers.Dense(2)),
    "polish": lambda m: m.polish(X, Y),
}


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_batch_end"])
@pytest.mark.parametrize("name", CALLS)
def test_calls_that_training_cannot_bear_are_one_error(name, hook):
    model = made()
    with pytest.raises(RuntimeError, match=rf"{name} must be called before or after fit"):
        model.fit(X, Y, verbose=0, callbacks=Does(CALLS[name], hook))
    assert model.loss.name == "mean_squared_error" and len(model.dense_layers) == 3
    model.fit(X, Y, verbose=0)  # it is free again


def test_weights_set_in_a_callback_are_trained_on():
    zeros = [np.zeros_like(w) for w in made("8").get_weights()]
    act = Does(lambda m: m.set_weights(zeros), "on_train_begin")
    model, other = made("8"), made("8")
    model.fit(X, Y, verbose=0, callbacks=act)
    other.set_weights(zeros)
    other.fit(X, Y, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- metrics and losses that write -------------------------------------------------------------


class Writes(metrics.Metric):
    def __init__(self, what="y_true"):
        super().__init__("writes")
        self.what = what

    def engine_name(self, loss, n_outputs):
        return None

    def __call__(self, y_true, y_pred, sample_weight=None):
        {"y_true": y_true, "y_pred": y_pred}[self.what][...] = 0
        return 0.0


@pytest.mark.parametrize("what", ["y_true", "y_pred"])
def test_a_metric_that_writes_into_its_arguments_is_named(what):
    model, y = made(metrics_=[Writes(what)]), Y.copy()
    for call in (model.evaluate, model.fit):
        with pytest.raises(ValueError, match="Metric 'writes' must not write into y_true"):
            call(X, y, verbose=0)
    np.testing.assert_array_equal(y, Y)


@pytest.mark.parametrize("shards", [None, 2])
@pytest.mark.parametrize("what", ["y_true", "y_pred"])
def test_a_loss_that_writes_into_its_arguments_is_named(what, shards):
    def greedy(y_true, y_pred):
        {"y_true": y_true, "y_pred": y_pred}[what][...] = 0
        return y_pred[:, 0], y_pred

    model, y = made(loss=greedy), Y.copy()
    with pytest.raises(ValueError, match="Loss 'greedy' must not write into y_true"):
        model.fit(X, y, verbose=0, shards=shards)
    with pytest.raises(ValueError, match="Loss 'greedy' must not write into y_true"):
        model.evaluate(X, y, verbose=0)
    np.testing.assert_array_equal(y, Y)


# ---- processes ---------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads
@pytest.mark.parametrize("where", ["callback", "loss", "evaluate"])
def test_a_child_that_is_forked_within_training_ends(where, tmp_path):
    x = np.random.default_rng(0).normal(size=(3000, 20)).astype(np.float32)
    y, pids = x[:, :1], []

    def fork(*arguments):
        if not pids:
            pids.append(os.fork())
            if pids[0] == 0:
                signal.alarm(60)

    def loss(y_true, y_pred):
        fork()
        return ((y_pred - y_true) ** 2)[:, 0], 2 * (y_pred - y_true)

    model = models.mlp("256x3", 20, 1, seed=1)
    model.compile("adam", loss if where == "loss" else "mse")
    hook = {"callback": "on_epoch_end", "evaluate": "on_test_begin", "loss": "on_test_end"}[where]
    hooks = callbacks.LambdaCallback(**{hook: fork})
    code = 0
    try:
        model.fit(
            x, y, batch_size=500, epochs=3, verbose=0, callbacks=hooks, validation_data=(x, y)
        )
    except RuntimeError as error:
        code = 7 if "continues in the process that began it" in str(error) else 1
    if pids[0] == 0:
        os._exit(code)
    assert code == 0 and len(model.history.epoch) == 3
    assert os.waitpid(pids[0], 0)[1] == 7 << 8


# ---- copies ------------------------------------------------------------------------------------


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


COPIES = {"deepcopy": copy.deepcopy, "pickle": through_pickle}


@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
def test_models_without_weights_are_copied(again):
    model = models.Sequential([layers.Dense(4, "relu"), layers.Dropout(0.5), layers.Dense(1)], 3)
    model.extras["note"] = [1]
    other = again(model)
    assert other.get_config() == model.get_config() and other.extras == model.extras
    model.compile("adam", "mse", ["mae"])
    other = again(model)
    assert other.extras is not model.extras
    for each in (model, other):
        each.fit(X, Y, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again(models.Sequential(seed=1)).seed == 1


@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
def test_a_layer_is_copied_with_its_weights_and_belongs_to_no_model(again):
    model = made("8")
    model.layers[0].trainable = False
    copied = [again(layer) for layer in model.layers]
    assert not any(layer.in_model for layer in copied) and not copied[0].trainable
    for layer, other in zip(model.layers, copied, strict=True):
        assert other.get_config() == layer.get_config()
        for a, b in zip(layer.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    second = models.Sequential(copied, seed=9)
    np.testing.assert_array_equal(second.predict(X, verbose=0), model.predict(X, verbose=0))
    fresh = again(layers.Dense(3, "tanh", kernel_regularizer="l1"))
    assert fresh.units == 3 and fresh.get_weights() == []


@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
def test_what_training_leaves_is_copied(again):
    stopping = callbacks.EarlyStopping("loss", restore_best_weights=True)
    model = made()
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[stopping])
    other = again(history)
    assert other.history == history.history and other.epoch == history.epoch
    assert again(stopping).best == stopping.best
    assert again(model.optimizer).get_config() == model.optimizer.get_config()
    assert again(losses.Huber(2.0)).delta == 2.0
    bag = ensemble(X, Y, "4", members=2, epochs=1, verbose=0)
    np.testing.assert_array_equal(again(bag).predict(X), bag.predict(X))
