"""Settings that are changed after the model is built: each takes effect or is an AttributeError,
and what is saved predicts and trains as the model does."""

import itertools
import re

import numpy as np
import pytest

from fastmlp import layers, losses, models, optimizers, regularizers, schedules
from fastmlp.errors import DivergedError
from fastmlp.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from fastmlp.regularizers import L1, L1L2, L2, GroupL1

pytestmark = pytest.mark.reliability
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2] ** 2


def made(optimizer="adam", loss="mse", units="8", trained=True, **given):
    model = models.mlp(units, 3, 1, seed=1, **given)
    model.compile(optimizer, loss)
    if trained:
        model.fit(X, Y, verbose=0)
    return model


def same(a, b):
    for first, second in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(a.predict(X, verbose=0), b.predict(X, verbose=0))


def check_saved(model, path):
    """What is saved predicts as the model does and, trained on, goes on as it does."""
    model.save(path)
    again = models.load_model(path)
    same(again, model)
    for each in (again, model):
        each.fit(X, Y, verbose=0)
    same(again, model)


# ---- every public attribute of everything ------------------------------------------------------

VALUES = [None, 0, 1, 2, 0.25, 0.5, -1, True, False, "tanh", "zeros", "l1", "inputs", "other",
          float("nan"), [1], schedules.ExponentialDecay(0.01, 10, 0.5)]  # fmt: skip

OPTIMIZERS = {
    "SGD": lambda: SGD(0.01, 0.9),
    "SGD, plain": lambda: SGD(0.01),
    "RMSprop": RMSprop,
    "Adagrad": Adagrad,
    "Adam": Adam,
    "AdamW": AdamW,
    "scheduled": lambda: Adam(schedules.ExponentialDecay(0.01, 10, 0.5)),
}


def public(thing):
    names = {name for name in dir(thing) if not name.startswith("_")}
    return [*sorted(n for n in names if not callable(getattr(type(thing), n, None))), "misspelt"]


def things():
    model = lambda: made(optimizers.Adam(), losses.Huber(), dropout=0.25)  # noqa: E731
    yield "Dense", model, lambda m: m.layers[0]
    yield "Dropout", model, lambda m: m.layers[1]
    yield "last Dense", model, lambda m: m.layers[-1]
    yield "Huber", model, lambda m: m.loss
    yield "MSE", made, lambda m: m.loss
    for name, rule in OPTIMIZERS.items():
        yield name, lambda rule=rule: made(rule()), lambda m: m.optimizer
    for penalty in (L1(0.01), L1(0.01, proximal=True), L2(0.01), L1L2(0.01, 0.01), GroupL1(0.01)):

        def penalised(penalty=penalty):
            model = made(trained=False)
            model.layers[0].kernel_regularizer = regularizers.get(
                {"class_name": type(penalty).__name__, "config": penalty.get_config()}
            )
            model.fit(X, Y, verbose=0)
            return model

        yield repr(penalty), penalised, lambda m: m.layers[0].kernel_regularizer
    yield "model", model, lambda m: m


CASES = [
    pytest.param(build, pick, name, id=f"{label} {name}")
    for label, build, pick in things()
    for name in public(pick(build()))
    # Of a model: states, not settings.
    if label != "model" or name in ("dtype", "name", "seed", "trainable", "optimizer", "loss",
                                    "metrics", "layers", "n_inputs", "input_shape")
]  # fmt: skip


@pytest.mark.parametrize("build, pick, name", CASES)
def test_a_setting_takes_effect_or_is_refused(build, pick, name, tmp_path):
    model = build()
    accepted = 0
    for value in VALUES:
        try:
            setattr(pick(model), name, value)
        except (ValueError, AttributeError) as error:
            assert re.search("Received|Unknown|setting", str(error))
        else:
            accepted += 1
            try:
                check_saved(model, tmp_path / "m.fmlp")
            except DivergedError:  # by a rate that is too large
                model = build()
    assert accepted or name not in {"trainable", "learning_rate", "clipnorm", "delta", "rate"}


def test_the_figures_of_the_reliability_page():
    assert len(VALUES) == 17


def test_refused_values_leave_the_setting():
    model = made(dropout=0.25)
    for thing, name, value in (
        (model.optimizer, "beta_1", 1.0),
        (model.optimizer, "clipvalue", -1),
        (model.layers[0], "activation", "tanhh"),
        (model.layers[1], "rate", 1),
        (model.layers[0], "name", model.layers[2].name),
        (model.layers[0], "bias_regularizer", GroupL1()),
        (model, "seed", -1),
    ):
        before = getattr(thing, name)
        with pytest.raises(ValueError, match=r"Received|Unknown"):
            setattr(thing, name, value)
        assert getattr(thing, name) == before
    model.optimizer.clipnorm = 1
    with pytest.raises(ValueError, match="cannot be combined"):
        model.optimizer.global_clipnorm = 1


@pytest.mark.parametrize(
    "name, value",
    [("units", 5), ("use_bias", False), ("kernel_initializer", "zeros"), ("n_inputs", 4),
     ("bias_initializer", "ones"), ("shapes", []), ("input_shape", (None, 2))],
)  # fmt: skip
def test_what_cannot_change_says_what_to_do(name, value):
    with pytest.raises(AttributeError, match=r"is fixed|cannot be set"):
        setattr(made().layers[0], name, value)


def test_before_there_are_weights_everything_may_change():
    layer = layers.Dense(4)
    layer.units, layer.use_bias, layer.kernel_initializer = 8, False, "zeros"
    layer.activation, layer.n_inputs, layer.name = "tanh", 3, "first"
    model = models.Sequential([layer, layers.Dense(1)], seed=1)
    layer.kernel_initializer = "ones"
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((3, 8)))
    assert len(model.get_weights()) == 3


# ---- the effect is the right one ---------------------------------------------------------------


@pytest.mark.parametrize("units", ["8", "80x2", "16"])
@pytest.mark.parametrize("activation", ["tanh", "softmax", "linear", "sigmoid"])
def test_another_activation_is_that_of_a_model_made_with_it(units, activation):
    model = made(units=units, trained=False)
    model.predict(X, verbose=0)
    model.layers[0].activation = activation
    names = [activation, *["relu"] * (len(model.dense_layers) - 2)]
    other = models.mlp(units, 3, 1, seed=1, activation=names)
    other.compile("adam", "mse")
    other.set_weights(model.get_weights())
    for each in (model, other):
        each.fit(X, Y, epochs=3, verbose=0)
    same(model, other)


CHANGES = {
    "beta_1": (Adam, 0.5), "beta_2": (Adam, 0.9), "epsilon": (Adam, 1.0), "clipnorm": (Adam, 1e-3),
    "global_clipnorm": (Adam, 1e-3), "clipvalue": (Adam, 1e-4), "weight_decay": (AdamW, 0.5),
    "initial_step": (Adam, 1000), "momentum": (SGD, 0.9), "rho": (RMSprop, 0.1),
    "initial_accumulator_value": (Adagrad, 5.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("units", ["8", "80x2"])
def test_a_changed_optimizer_trains_otherwise_and_as_one_that_was_loaded(name, units, tmp_path):
    kind, value = CHANGES[name]
    model, other = made(kind(), units=units), made(kind(), units=units)
    setattr(model.optimizer, name, value)
    model.save(tmp_path / "m.fmlp")
    again = models.load_model(tmp_path / "m.fmlp")
    for each in (model, other, again):
        each.fit(X, Y, epochs=2, verbose=0)
    assert not np.array_equal(model.get_weights()[0], other.get_weights()[0])
    if name != "initial_accumulator_value":  # which shifts a sum that a file does not tell apart
        same(model, again)


def test_changes_in_a_callback_hold_from_the_next_step_on():
    from fastmlp.callbacks import LambdaCallback

    def changed(model):
        model.optimizer.clipvalue = 1e-3
        model.layers[0].kernel_regularizer.l2 = 0.5
        model.layers[-1].trainable = False
        model.layers[1].rate = 0.5

    def build():
        model = made("adam", trained=False, dropout=0.1, l2=0.01, units="16")
        model.seed = 4
        return model

    model = build()
    hook = LambdaCallback(on_epoch_end=lambda epoch, logs: epoch == 1 and changed(model))
    model.fit(X, Y, epochs=4, verbose=0, callbacks=hook)
    other = build()

    class Stop(LambdaCallback):
        pass

    path = [model.get_weights()]
    hook = Stop(on_epoch_end=lambda epoch, logs: path.append(other.get_weights()))
    other.fit(X, Y, epochs=4, verbose=0, callbacks=hook)
    assert not np.array_equal(path[0][0], path[-1][0])
    for now, before in zip(path[0][-2:], path[2][-2:], strict=True):
        np.testing.assert_array_equal(now, before)  # frozen after the second epoch


def test_hubers_delta_is_that_of_training_and_evaluation():
    model = made("sgd", losses.Huber(1.0), trained=False)
    model.loss.delta = 0.1
    other = made("sgd", losses.Huber(0.1), trained=False)
    assert model.evaluate(X, Y, verbose=0) == other.evaluate(X, Y, verbose=0)
    model.loss.delta = 3.0
    model.fit(X, Y, verbose=0)
    other.compile("sgd", losses.Huber(3.0))
    other.fit(X, Y, verbose=0)
    same(model, other)


def test_penalties_may_be_changed_and_replaced():
    model = made()
    plain = model.evaluate(X, Y, verbose=0)
    model.layers[0].kernel_regularizer = "l2"
    expected = plain + 0.01 * np.square(model.get_weights()[0].astype(float)).sum()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-6)
    model.layers[0].kernel_regularizer.l2 = 0.02
    expected += 0.01 * np.square(model.get_weights()[0].astype(float)).sum()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-6)


def test_what_is_compiled_is_not_assigned():
    model = made()
    for name in ("optimizer", "loss", "metrics"):
        with pytest.raises(AttributeError, match="chosen by compile"):
            setattr(model, name, "adam")
    model.metrics.append("mae")
    assert model.metrics_names == ["loss"]


def test_types_are_fixed_by_weights():
    model = models.mlp("4", 3, 1, seed=1)
    model.dtype = "float64"
    assert model.predict(X, verbose=0).dtype == np.float64
    with pytest.raises(AttributeError, match=r"dtype of model .* is fixed"):
        model.dtype = "float32"


def test_seeds_of_a_further_fit(tmp_path):
    found = []
    for model_seed, seed in itertools.product((1, 2), (None, 3)):
        model = made(dropout=0.5)
        model.seed, model.layers[1].seed = model_seed, seed
        check_saved(model, tmp_path / "m.fmlp")
        found.append(model.get_weights()[0])
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(found, 2))


@pytest.mark.parametrize("what", ["schedule", "initializer", "metric"])
def test_a_good_file_is_not_replaced_by_an_unreadable_one(what, tmp_path):
    path = tmp_path / "m.fmlp"
    model = made(Adam(schedules.ExponentialDecay(0.01, 10, 0.5)))
    model.compile(model.optimizer, "mse", ["mae"])
    model.save(path)
    content = path.read_bytes()
    if what == "schedule":
        model.optimizer.schedule.decay_rate = -5
    elif what == "initializer":
        model.layers[0].kernel_initializer.seed = -3
    else:
        model.metrics[0].name = "loss"
    with pytest.raises(ValueError, match="has a setting with which its file could not be read"):
        model.save(path)
    assert path.read_bytes() == content
