"""backend.function: from a model's input to the outputs of its layers."""

import numpy as np
import pytest

from fastmlp import backend, layers, models
from fastmlp.errors import DataError


def make():
    return models.Sequential(
        [
            layers.Dense(5, "relu", input_shape=(3,), name="a"),
            layers.Dropout(0.5, name="b"),
            layers.Dense(2, name="c"),
        ],
        seed=1,
    )


def test_outputs_and_inputs_of_any_layer():
    model, x = make(), np.random.default_rng(0).normal(size=(7, 3))
    handles = [model.layers[i].output for i in range(3)] + [model.layers[i].input for i in range(3)]
    found = backend.function([model.layers[0].input], handles)([x])
    outputs = model.activations(x)
    for got, expected in zip(found, [*outputs, x.astype("f"), outputs[0], outputs[1]], strict=True):
        np.testing.assert_array_equal(got, expected)
    single = backend.function(model.input, model.output)(x)
    np.testing.assert_array_equal(single[0], model.predict(x))


def test_it_sees_the_present_weights_and_takes_a_copy_of_x():
    model, x = make(), np.ones((1, 3), np.float32)
    f = backend.function([model.input], [model.input, model.output])
    model.set_weights([w * 0 for w in model.get_weights()])
    same, out = f([x])
    assert (out == 0).all()
    same[...] = 5
    assert (x == 1).all()


def test_handles_describe_themselves():
    model = make()
    assert model.layers[0].input.shape == (None, 3)
    assert model.layers[0].output.shape == (None, 5)
    assert repr(model.layers[1].output) == "<b/output of shape (None, 5)>"
    assert model.input.name == "a/input"


def test_errors():
    model, other = make(), make()
    with pytest.raises(ValueError, match=r"must be lists of layer.input and layer.output"):
        backend.function([model.input], [model])
    with pytest.raises(ValueError, match=r"must be the model's input.*Received: \['c/input'\]"):
        backend.function([model.layers[2].input], [model.output])
    with pytest.raises(ValueError, match="must belong to one model"):
        backend.function([model.input], [other.output])
    f = backend.function([model.input], [model.output])
    with pytest.raises(ValueError, match=r"takes a list of one array. Received: 2 values"):
        f([np.ones((1, 3)), 0])
    with pytest.raises(DataError, match=r"x must have shape \(n, 3\)"):
        f([np.ones((1, 4))])
