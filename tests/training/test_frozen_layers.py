"""Layers that are frozen: training, and whatever else changes weights, leaves their bits."""

import numpy as np
import pytest

from fastmlp import callbacks, ensemble, interchange, layers, losses, models, optimizers
from fastmlp import regularizers as penalties
from fastmlp._model.summary import summary_text
from fastmlp.errors import ModelWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2] ** 2

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.01, 0.9),
    "adam": lambda: optimizers.Adam(),
    "adamw": lambda: optimizers.AdamW(weight_decay=0.1),
    "clipped": lambda: optimizers.Adam(clipnorm=0.01),
}
UNITS = {"tiny": "8", "shallow": "40", "parts": "32x2", "wide": "200x3"}


def made(units="32x2", frozen=(0,), optimizer="adam", loss="mse", **given):
    model = models.mlp(units, 3, 1, seed=1, **given)
    for place in frozen:
        model.dense_layers[place].trainable = False
    model.compile(optimizer, loss)
    return model


def by_layer(model):
    return [layer.get_weights() for layer in model.dense_layers]


def kept(before, after):
    return [
        all(np.array_equal(a, b) for a, b in zip(x, y, strict=True))
        for x, y in zip(before, after, strict=True)
    ]


@pytest.mark.parametrize("frozen", [(0,), (-1,)])
@pytest.mark.parametrize("units", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_steps_leave_frozen_layers(rule, units, frozen):
    model = made(units, frozen, OPTIMIZERS[rule](), l1=0.01, l2=0.1)
    model.layers[0].kernel_regularizer = penalties.GroupL1(0.1)
    before = by_layer(model)
    model.fit(X, Y, epochs=3, batch_size=128, verbose=0)
    found = kept(before, by_layer(model))
    assert found == [i in (frozen[0], frozen[0] + len(before)) for i in range(len(before))]


@pytest.mark.parametrize("how", ["python loss", "shards"])
def test_frozen_layers_elsewhere(how):
    loss = "mse"
    if how == "python loss":

        def loss(y_true, y_pred):
            return ((y_pred - y_true) ** 2)[:, 0], 2 * (y_pred - y_true)

    model = made("32x2", (1,), "adam", loss, l1=0.01)
    before = by_layer(model)
    model.fit(X, Y, epochs=2, verbose=0, shards=4 if how == "shards" else None)
    assert kept(before, by_layer(model)) == [False, True, False]
    assert model.polish(X, Y, max_iter=20).n_iter if how == "shards" else True
    assert kept(before, by_layer(model)) == [False, True, False]


@pytest.mark.parametrize("units", ["8", "32x2"])
def test_the_other_layers_are_trained_as_by_numpy(units):
    model = made(units, (0,), optimizers.SGD(0.05), dtype="float64")
    w, b = model.layers[0].get_weights()
    rest = by_layer(model)[1:]
    model.fit(X, Y, epochs=3, batch_size=200, verbose=0)
    x = np.maximum(X.astype(float) @ w + b, 0)
    sizes = units.replace("8", "").replace("32x2", "32")
    other = models.mlp(sizes, x.shape[1], 1, seed=1, dtype="float64") if sizes else None
    if other is None:
        other = models.Sequential([layers.Dense(1, input_dim=8)], dtype="float64")
    other.compile(optimizers.SGD(0.05), "mse")
    other.set_weights([array for pair in rest for array in pair])
    other.fit(x, Y, epochs=3, batch_size=200, verbose=0)
    for a, b in zip(by_layer(model)[1:], by_layer(other), strict=True):
        for one, two in zip(a, b, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_a_frozen_gradient_does_not_count_in_the_norm():
    found = []
    for scale in (1.0, 100.0):  # the frozen layer's gradient grows with the next layer's weights
        model = made("8", (1,), optimizers.SGD(1.0, global_clipnorm=1e-3), dtype="float64")
        before = by_layer(model)
        before[1][0] *= scale
        model.set_weights([a for pair in before for a in pair])
        model.fit(X, Y, batch_size=200, verbose=0)
        steps = [a - b for a, b in zip(by_layer(model)[0], before[0], strict=True)]
        found.append(np.sqrt(sum(np.square(step).sum() for step in steps)))
    np.testing.assert_allclose(found, 1e-3, rtol=1e-9)


def test_no_penalty_on_frozen_layers_is_counted():
    model = made("8", (), l2=0.1)
    whole = model.evaluate(X, Y, verbose=0)
    part = 0.1 * np.square(model.get_weights()[0].astype(float)).sum()
    model.layers[0].trainable = False
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(whole - part, rel=1e-6)
    loss = model.fit(X, Y, batch_size=200, verbose=0).history["loss"][0]
    assert loss == pytest.approx(whole - part, rel=1e-6)


def test_threads_make_no_difference():
    import fastmlp

    found = []
    for n in (1, 2, 3):
        fastmlp.set_num_threads(n)
        model = made("200x3", (1,))
        model.fit(X, Y, epochs=2, batch_size=128, verbose=0)
        found.append(model.get_weights())
    fastmlp.set_num_threads(None)
    for weights in found[1:]:
        assert kept([found[0]], [weights]) == [True]


def test_frozen_and_released_again_in_turn():
    model = made("16", (0,))
    before = by_layer(model)
    model.fit(X, Y, verbose=0)
    model.trainable = False
    middle = by_layer(model)
    model.fit(X, Y, verbose=0)
    assert kept(middle, by_layer(model)) == [True, True] and not model.trainable
    with pytest.raises(ValueError, match="polish needs a trainable Dense layer"):
        model.polish(X, Y)
    model.trainable = True
    model.fit(X, Y, verbose=0)
    assert kept(before, middle) == [True, False]
    assert kept(middle, by_layer(model)) == [False, False]


def test_files_runs_and_tables_know_it(tmp_path):
    path = tmp_path / "m.fmlp"
    model = made("16", (0,), l2=0.1)
    model.fit(X, Y, verbose=0)
    model.save(path)
    again = models.load_model(path)
    assert [layer.trainable for layer in again.layers] == [False, True]
    for each in (again, model):
        each.fit(X, Y, verbose=0)
    assert kept(by_layer(model), by_layer(again)) == [True, True]
    text = summary_text(model)
    assert "Trainable params: 17" in text and "Non-trainable params: 64" in text
    assert "frozen" in text
    assert models.Sequential.from_config(model.get_config()).layers[0].trainable is False
    assert layers.Dense(2, trainable=False).get_config()["trainable"] is False
    assert "trainable" not in layers.Dense(2).get_config()
    with pytest.warns(ModelWarning, match="Nothing could be removed"):
        assert [layer.trainable for layer in model.prune().layers] == [False, True]


def test_a_resumed_run_freezes_as_the_run_did(tmp_path):
    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    def freeze(model):
        def at(epoch, logs):
            model.layers[0].trainable = epoch != 0

        return callbacks.LambdaCallback(on_epoch_end=at)

    whole = made("16", ())
    whole.fit(X, Y, epochs=4, verbose=0, callbacks=freeze(whole))
    cut, path = made("16", ()), tmp_path / "run.fmlp"

    class Stop(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2 and self.model is cut:
                raise KeyboardInterrupt

    hooks = [freeze(cut), Stop()]
    with pytest.raises(KeyboardInterrupt):
        cut.fit(X, Y, epochs=4, verbose=0, callbacks=hooks, checkpoint=path,
                checkpoint_every="epoch")  # fmt: skip
    again = models.resume(path)
    again.fit(X, Y, callbacks=[freeze(again), Stop()], verbose=0)
    assert kept(by_layer(whole), by_layer(again)) == [True, True]


def test_an_ensemble_of_models_with_frozen_layers():
    template = made("8", (0,))
    bag = ensemble(X, Y, template, members=3, epochs=2, verbose=0)
    for member in bag:
        alone = models.Sequential.from_config(template.get_config() | {"seed": member.seed})
        first = alone.get_weights()[0]
        alone.compile("adam", "mse")
        alone.fit(X, Y, epochs=2, verbose=0)
        assert kept([alone.get_weights()], [member.get_weights()]) == [True]
        np.testing.assert_array_equal(member.get_weights()[0], first)


def test_keras_files_keep_it(tmp_path):
    pytest.importorskip("h5py")
    model = made("8", (0,))
    model.export(tmp_path / "m.keras")
    again = interchange.import_model(tmp_path / "m.keras")
    assert [layer.trainable for layer in again.layers] == [False, True]


def test_flags_are_checked():
    with pytest.raises(ValueError, match="trainable must be True or False"):
        layers.Dense(2, trainable="no")
    assert losses.get("mse") is not None
