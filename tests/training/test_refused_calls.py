"""A call that is refused leaves no traces: not in a model, nor in callbacks or files."""

import numpy as np
import pytest

from fastmlp import callbacks, datasets, inspection, layers, models, streaming
from fastmlp.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau

pytestmark = pytest.mark.reliability
X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = X[:, :1]
WIDE = np.ones((10, 7))


def unbuilt(compiled=True, metrics=None):
    model = models.Sequential([layers.Dense(4), layers.Dense(1)], seed=1)
    if compiled:
        model.compile("adam", "mse", metrics)
    return model


def state(model):
    names = ("n_fits", "history", "training_config", "extras", "stop_training", "resumed", "built",
             "n_inputs", "n_outputs", "input_shape", "configured", "optimizer", "loss",
             "metrics_names", "seed")  # fmt: skip
    found = {name: getattr(model, name) for name in names}
    found |= {name: dict(found[name]) for name in ("training_config", "extras")}
    of_layers = [(x.name, x.n_inputs, x.built, x.in_model, len(x.get_weights()))
                 for x in model.layers]  # fmt: skip
    return found | {"layers": of_layers, "drawn": model.drawn, "usable": model.usable_network}


class Fails(callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise ValueError("Received: no")


y9 = np.ones(9)
REFUSED = {
    "rows of y": lambda m: m.fit(WIDE, y9, verbose=0),
    "columns of y": lambda m: m.fit(WIDE, np.ones((10, 2)), verbose=0),
    "weights": lambda m: m.fit(WIDE, np.ones(10), verbose=0, sample_weight=y9),
    "class weights": lambda m: m.fit(WIDE, np.ones(10), verbose=0, class_weight={0: -1}),
    "validation": lambda m: m.fit(WIDE, np.ones(10), verbose=0, validation_data=(X, Y)),
    "split": lambda m: m.fit(WIDE[:1], np.ones(1), verbose=0, validation_split=0.5),
    "monitor": lambda m: m.fit(WIDE, np.ones(10), verbose=0, callbacks=EarlyStopping("val_x")),
    "hook": lambda m: m.fit(WIDE, np.ones(10), verbose=0, callbacks=Fails()),
    "file": lambda m: m.fit(WIDE, np.ones(10), verbose=0, callbacks=CSVLogger("no/such/f.csv")),
    "checkpoint": lambda m: m.fit(WIDE, np.ones(10), verbose=0, checkpoint_every=3),
    "comm": lambda m: m.fit(WIDE, np.ones(10), verbose=0, comm="none"),
    "shards": lambda m: m.fit(WIDE, y9, verbose=0, shards=2),
    "shards, monitor": lambda m: m.fit(
        WIDE, np.ones(10), verbose=0, shards=2, callbacks=EarlyStopping("val_x")
    ),
    "evaluate": lambda m: m.evaluate(WIDE, y9, verbose=0),
    "evaluate, callbacks": lambda m: m.evaluate(WIDE, np.ones(10), verbose=0, callbacks=[3]),
    "predict": lambda m: m.predict(WIDE, verbose=0, callbacks=[3]),
    "predict, NaN": lambda m: m.predict(WIDE * np.nan, verbose=0),
    "gradients": lambda m: m.gradients(WIDE, y9),
    "polish": lambda m: m.polish(WIDE, y9),
    "importance": lambda m: inspection.permutation_importance(m, WIDE, y9),
    "set_weights": lambda m: m.set_weights([1]),
    "build": lambda m: m.build((None, 0)),
    "add": lambda m: m.add(layers.Dense(2, input_dim=9)),
    "compile": lambda m: m.compile("adam", "mae", ["nonsense"]),
    "save": lambda m: m.save("/tmp"),
}


def test_the_figures_of_the_reliability_page():
    assert len(REFUSED) == 25


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_changes_nothing(name):
    model = unbuilt()
    before = state(model)
    with pytest.raises((ValueError, RuntimeError, OSError, TypeError)):
        REFUSED[name](model)
    assert state(model) == before
    model.fit(X, Y, verbose=0)
    fresh = unbuilt()
    fresh.fit(X, Y, verbose=0)
    for a, b in zip(model.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_changes_nothing_of_a_trained_model(name):
    model = unbuilt()
    model.fit(X, Y, verbose=0)
    before, weights, bits = state(model), model.get_weights(), model.history.history
    with pytest.raises((ValueError, RuntimeError, OSError, TypeError)):
        REFUSED[name](model)
    assert state(model) == before and model.history.history is bits
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_not_compiled_is_not_built_by_fit():
    model = unbuilt(compiled=False)
    for call in (model.fit, model.evaluate):
        with pytest.raises(RuntimeError, match="not compiled"):
            call(X, Y, verbose=0)
    assert not model.built and model.n_inputs is None


def test_a_refused_stream_builds_nothing(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": np.ones(20), "b": np.arange(20.0), "y": np.arange(20.0)}), path)
    stream, model = datasets.ParquetStream(path, "y"), unbuilt()
    before = state(model)
    for call in (
        lambda: streaming.fit(model, stream, verbose=0, callbacks=EarlyStopping("val_loss")),
        lambda: streaming.fit(model, stream, verbose=0, validation_data=(X, Y)),
        lambda: streaming.fit(model, stream, verbose=0, shards=2, validation_data=(X, Y)),
    ):
        with pytest.raises(ValueError, match="Received"):
            call()
        assert state(model) == before
    last = models.Sequential([layers.Dense(4), layers.Dropout(0.1)])
    with pytest.raises(ValueError, match="last layer must be Dense"):
        streaming.predict(last, stream)
    assert last.n_inputs is None


def test_layers_of_a_model_that_was_refused_are_free():
    given = [layers.Dense(4), layers.Dense(4, input_dim=5)]
    with pytest.raises(ValueError, match="input of layer"):
        models.Sequential([layers.Input((3,)), *given])
    assert not any(layer.in_model for layer in given) and given[0].n_inputs is None
    models.Sequential([layers.Input((3,)), given[0]])


def test_callbacks_of_a_refused_fit_are_as_they_were(tmp_path):
    path = tmp_path / "log.csv"
    model, logger = unbuilt(), CSVLogger(path)
    stopping = EarlyStopping("loss", restore_best_weights=True)
    plateau = ReduceLROnPlateau("loss")
    mine = [logger, stopping, plateau]
    model.fit(X, Y, epochs=3, verbose=0, callbacks=mine)
    text, best = path.read_bytes(), stopping.best
    before = [dict(vars(callback)) for callback in mine]
    for bad in (EarlyStopping("val_loss"), Fails()):
        if isinstance(bad, Fails):
            continue  # which a user wrote: what came before it has begun
        with pytest.raises(ValueError, match="Received"):
            model.fit(X, Y, verbose=0, callbacks=[*mine, bad])
        assert path.read_bytes() == text and stopping.best == best
        assert [dict(vars(callback)) for callback in mine] == before
        assert not hasattr(bad, "model")


def test_a_refused_resume_may_be_called_again(tmp_path):
    path, model = tmp_path / "run.fmlp", unbuilt()

    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    hooks = callbacks.LambdaCallback(on_epoch_end=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=hooks, checkpoint=path,
                  checkpoint_every="epoch")  # fmt: skip
    again = models.resume(path)
    for wrong in (Y + 1, Y[:5]):
        with pytest.raises(ValueError, match="Received"):
            again.fit(X, wrong, callbacks=callbacks.LambdaCallback())
    again.fit(X, Y, callbacks=callbacks.LambdaCallback(), verbose=0)
    whole = unbuilt()
    whole.fit(X, Y, epochs=3, verbose=0)
    for a, b in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- callbacks that are used again -------------------------------------------------------------


@pytest.mark.parametrize("threshold", [None, 1e6])
def test_the_best_of_a_model_checkpoint_lasts_over_fits(tmp_path, threshold):
    path, model = tmp_path / "best.fmlp", unbuilt()
    keeper = ModelCheckpoint(path, save_best_only=True, initial_value_threshold=threshold)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=keeper, validation_data=(X, Y))
    best, content = keeper.best, path.read_bytes()
    model.set_weights([w + 10 for w in model.get_weights()])
    model.fit(X, Y, epochs=1, verbose=0, callbacks=keeper, validation_data=(X, Y))
    assert keeper.best == best and path.read_bytes() == content
    other = ModelCheckpoint(path, save_best_only=True)
    model.fit(X, Y, epochs=1, verbose=0, callbacks=other, validation_data=(X, Y))
    assert path.read_bytes() != content


def test_early_stopping_and_plateaus_count_afresh():
    model = unbuilt()
    stopping = EarlyStopping("loss", patience=1, baseline=-1.0)
    plateau = ReduceLROnPlateau("loss", patience=1, min_delta=1e9)
    for _ in range(2):
        rate = model.optimizer.learning_rate
        history = model.fit(X, Y, epochs=9, verbose=0, callbacks=[stopping, plateau])
        assert len(history.epoch) > 1 and model.optimizer.learning_rate < rate


# ---- options without effect --------------------------------------------------------------------


def warned(pattern):
    return pytest.warns(UserWarning, match=pattern)


def test_options_of_fit_without_effect():
    model = unbuilt()
    with warned("No effect of validation_split=0.5: validation_data replaces"):
        model.fit(X, Y, verbose=0, validation_split=0.5, validation_data=(X, Y))
    with warned("No effect of validation_freq=2: there are no rows"):
        model.fit(X, Y, verbose=0, validation_freq=2)
    with warned("No effect of monitor='loss', mode='min', initial_value_threshold=3: save_best"):
        ModelCheckpoint("m", "loss", mode="min", initial_value_threshold=3)


@pytest.mark.filterwarnings("ignore::fastmlp.errors.ModelWarning")
def test_options_of_ensembles_paths_and_sweeps_without_effect():
    import fastmlp

    with warned("No effect of activation='tanh', epochs"):
        fastmlp.path(X, Y, None, n_lambdas=2, folds=2, activation="tanh", epochs=3, verbose=0)
    with warned("No effect of n_lambdas=7: lambdas are given"):
        fastmlp.path(X, Y, None, n_lambdas=7, lambdas=[0.1, 0.2], folds=2, verbose=0)
    with warned("No effect of penalty='l1'"):
        fastmlp.ensemble(X, Y, "2", members=2, epochs=1, penalty="l1", verbose=0)
    with warned("No effect of members=3"):
        fastmlp.ensemble(X, Y, "2", members=3, seeds=[1, 2], epochs=1, verbose=0)
    model = unbuilt()
    model.build(3)
    with warned("No effect of activation='tanh', l2=0.1"):
        fastmlp.ensemble(X, Y, model, 2, activation="tanh", l2=0.1, epochs=1, verbose=0)
    with warned("No effect of validation_split=0.5"):
        fastmlp.ensemble(X, Y, "2", 2, epochs=1, validation_split=0.5, validation_data=(X, Y),
                         verbose=0)  # fmt: skip
    with warned("No effect of eta=2, min_epochs=3: method='grid' has no rungs"):
        fastmlp.sweep(X, Y, "2", epochs=3, eta=2, min_epochs=3, verbose=0)
    with warned("No effect of proximal=True: l1 is 0"):
        fastmlp.sweep(X, Y, "2", epochs=1, proximal=True, verbose=0)
