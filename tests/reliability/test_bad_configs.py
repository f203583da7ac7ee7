"""Wrong configurations given to `from_config` and `get`: one ValueError that says what is wrong."""

from __future__ import annotations

import copy
import json
import random

import pytest

from fastmlp import (
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    schedules,
)

pytestmark = pytest.mark.reliability

THINGS = [
    layers.Dense(3, "relu", kernel_regularizer="l2"),
    layers.Dropout(0.5),
    initializers.RandomNormal(seed=1),
    losses.Huber(0.5),
    metrics.TopKAccuracy(2),
    optimizers.Adam(schedules.CosineDecay(0.1, 10)),
    regularizers.L1L2(0.1, 0.2),
    schedules.ExponentialDecay(0.1, 10, 0.9),
    callbacks.EarlyStopping("loss", patience=2),
]
GETS = {
    "initializer": initializers.get,
    "loss": losses.get,
    "metric": metrics.get,
    "optimizer": optimizers.get,
    "regularizer": regularizers.get,
    "schedule": schedules.get,
}
NO_DICTS = [[], "text", 3, {1: 2}, {"nothing of the kind": 1}]
BAD_VALUES = [[], {}, "text", -1, 10**400, float("nan"), object(), "x" * 10**6, [[[]]], b"1"]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_a_bad_config_of_anything(thing):
    cls, config = type(thing), thing.get_config()
    assert cls.from_config(json.loads(json.dumps(config))).get_config() == config
    for bad in NO_DICTS:
        with pytest.raises(ValueError, match=cls.__name__):
            cls.from_config(bad)
    with pytest.raises(ValueError, match="surplus"):
        cls.from_config({**config, "surplus": 1})
    refused = 0
    for key in config:
        for value in BAD_VALUES:
            try:
                cls.from_config({**config, key: value})
            except ValueError as error:
                assert len(str(error)) < 3000
                refused += 1
    assert refused > len(BAD_VALUES) // 2


def test_a_missing_argument_is_named():
    with pytest.raises(ValueError, match=r"Dense cannot be made from its config: .*'units'"):
        layers.Dense.from_config({"activation": "relu"})


@pytest.mark.parametrize("kind", GETS)
def test_a_bad_saved_thing(kind):
    for bad in [
        {},
        {"class_name": "L1"},
        {"class_name": "nothing", "config": {}},
        {"class_name": None, "config": {}},
        {"class_name": [], "config": {}},
        {"config": {}},
        {"class_name": "Adam", "config": {}, "more": 1},
    ]:
        with pytest.raises(ValueError, match=kind):
            GETS[kind](bad)


def test_a_bad_saved_thing_with_own_objects():
    class Own(optimizers.SGD):
        pass

    custom = {"Own": Own}
    assert isinstance(optimizers.get({"class_name": "Own", "config": {}}, custom), Own)
    for config in (None, 3, [1], {"learning_rate": {}}, {"learning_rate": {"class_name": 1}}):
        with pytest.raises(ValueError):
            optimizers.get({"class_name": "Own", "config": config}, custom)

    class OwnLoss(losses.Loss):
        def __init__(self, power=2.0):
            super().__init__()
            self.power = power

    with pytest.raises(ValueError):
        losses.get({"class_name": "OwnLoss"}, {"OwnLoss": OwnLoss})
    with pytest.raises(ValueError, match="surplus"):
        losses.get({"class_name": "OwnLoss", "config": {"surplus": 1}}, {"OwnLoss": OwnLoss})


def sound():
    return models.mlp([3, 2], 2, 1, l1=0.1, dropout=0.2, seed=1).get_config()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.clear(), "'dtype' is missing"),
        (lambda c: c.pop("layers"), "'layers' is missing"),
        (lambda c: c.pop("seed"), "'seed' is missing"),
        (lambda c: c.update(more=1), "'more' is unknown"),
        (lambda c: c.update(layers=None), "layers"),
        (lambda c: c.update(layers=3), "layers"),
        (lambda c: c.update(layers=[3]), "a layer must be of type dict"),
        (lambda c: c.update(layers=[{}]), "'class_name' is missing"),
        (lambda c: c["layers"][0].update(class_name="Conv2D"), "there is no layer 'Conv2D'"),
        (lambda c: c["layers"][0].update(class_name=[]), "class_name"),
        (lambda c: c["layers"][0].update(config=[]), "'config' must be of type dict"),
        (lambda c: c["layers"][0]["config"].pop("units"), "units"),
        (lambda c: c["layers"][0]["config"].update(units="3"), "units must be"),
        (lambda c: c["layers"][0]["config"].update(units=10**30), "units must be"),
        (lambda c: c["layers"][0]["config"].update(surplus=3), "surplus"),
        (lambda c: c["layers"][0]["config"].update(kernel_regularizer={"a": 1}), "regularizer"),
        (lambda c: c["layers"][0]["config"].update(kernel_initializer=[]), "initializer"),
        (lambda c: c.update(seed="x"), "seed"),
        (lambda c: c.update(seed=-1), "seed"),
        (lambda c: c.update(dtype="int8"), "dtype"),
        (lambda c: c.update(dtype=[]), "dtype"),
        (lambda c: c.update(name=3), "name"),
        (lambda c: c.update(n_inputs="3"), "input_shape"),
        (lambda c: c.update(n_inputs=-3), "input_shape"),
        (lambda c: c.update(n_inputs=10**30), "input_shape"),
    ],
)
def test_a_bad_config_of_a_model(change, message):
    config = sound()
    change(config)
    with pytest.raises(ValueError, match=message):
        models.Sequential.from_config(config)


def test_the_config_of_a_model_without_layers():
    model = models.Sequential([layers.Input((3,))], seed=1)
    again = models.Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.add(layers.Dense(2))
    assert again.input_shape == (None, 3) and again.built
    with pytest.raises(ValueError, match="input_shape"):
        models.Sequential.from_config(model.get_config() | {"n_inputs": "3"})


@pytest.mark.parametrize("config", [None, 3, [], "{}", b"", [("layers", [])]])
def test_no_config_of_a_model(config):
    with pytest.raises(ValueError, match="config must be a dict with the keys"):
        models.Sequential.from_config(config)


def spoilt(rng, value):
    """Change one thing somewhere in plain JSON values."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        if rng.random() < 0.2:
            del value[key]
        else:
            value[key] = spoilt(rng, value[key])
        return value
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        value[at] = spoilt(rng, value[at])
        return value
    return copy.copy(rng.choice([*BAD_VALUES, None, True, 0, 1.5, {"class_name": "L1"}]))


def made_or_refused(seeds):
    refused = 0
    for seed in seeds:
        config = spoilt(random.Random(seed), sound())
        try:
            models.Sequential.from_config(config)
        except ValueError:
            refused += 1
    return refused


def test_spoilt_configs_of_models():
    assert made_or_refused(range(500)) > 200


@pytest.mark.slow
@pytest.mark.soak
def test_ten_thousand_spoilt_configs_of_models():
    assert made_or_refused(range(1000, 11_000)) > 4000
