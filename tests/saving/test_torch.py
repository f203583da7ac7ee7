"""State dicts of PyTorch in safetensors: names, order, activations, and agreement with PyTorch."""

import itertools
import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load, save

from fastmlp import interchange, layers, models
from fastmlp._saving.export import to_bytes
from fastmlp.errors import ModelFileError

from . import drawn


def state_dict(widths, names=None, bias=True, dtype="float32"):
    """Return a file of linear layers of such widths, and its arrays."""
    rng = np.random.default_rng(len(widths))
    names = names or [f"layer{i}" for i in range(len(widths) - 1)]
    arrays = {}
    for name, n_in, units in zip(names, widths, widths[1:], strict=False):
        arrays[f"{name}.weight"] = rng.normal(size=(units, n_in)).astype(dtype)
        if bias:
            arrays[f"{name}.bias"] = rng.normal(size=units).astype(dtype)
    return save(arrays), arrays


# ---- with PyTorch --------------------------------------------------------------------------------


@pytest.mark.frameworks
@pytest.mark.parametrize("seed", range(20))
def test_a_module_of_pytorch_predicts_the_same(tmp_path, seed):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    rng = np.random.default_rng([10, seed])
    torch.manual_seed(seed)
    modules = {"relu": "ReLU", "tanh": "Tanh", "silu": "SiLU", "gelu": "GELU", "elu": "ELU",
               "sigmoid": "Sigmoid", "softplus": "Softplus"}  # fmt: skip
    widths = [int(w) for w in rng.integers(1, 64, size=int(rng.integers(2, 7)))]
    chosen = [drawn.pick(rng, list(modules)) for _ in widths[2:]]
    dtype = drawn.pick(rng, [torch.float32, torch.float64])
    net = torch.nn.Sequential()
    for i, (n_in, units) in enumerate(itertools.pairwise(widths)):
        bias = bool(rng.integers(4))
        net.append(torch.nn.Linear(n_in, units, bias=bias, dtype=dtype))
        if i < len(chosen):
            net.append(getattr(torch.nn, modules[chosen[i]])())
            if rng.integers(2):
                net.append(torch.nn.Dropout(0.5))
    path = tmp_path / "net.safetensors"
    save_file(net.state_dict(), path)
    model = interchange.import_model(path, activation=chosen or None)
    x = drawn.rows(rng, model)
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(x)).numpy()
    drawn.close(model.predict(x), expected, 1e-6)


@pytest.mark.frameworks
@pytest.mark.parametrize("seed", range(20))
def test_pytorch_loads_what_is_exported(tmp_path, seed):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    rng = np.random.default_rng([11, seed])
    model = drawn.network(rng)
    model.export(tmp_path / "net.safetensors")
    net = eval(interchange.torch_module(model), {"torch": torch})
    net.load_state_dict(load_file(tmp_path / "net.safetensors"))
    x = drawn.rows(rng, model)
    with torch.no_grad():
        found = net.eval()(torch.from_numpy(x)).numpy()
    drawn.close(found, model.predict(x), 1e-6)


@pytest.mark.frameworks
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(4))
def test_pytorch_loads_bins_of_inputs(seed, dtype):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load

    model, x = drawn.encoded_network(np.random.default_rng([15, seed]), dtype)
    net = eval(interchange.torch_module(model), {"torch": torch})
    net.load_state_dict(load(to_bytes(model, "torch")))
    with torch.no_grad():
        found = net.eval()(torch.from_numpy(x)).numpy()
    drawn.close(found, model.predict(x), 1e-5)


def test_bins_of_inputs_have_the_order_that_the_module_makes():
    first = layers.PiecewiseLinear(edges=[[0, 1, 3], [], [2, 4]])
    model = models.Sequential([first, layers.Dense(2)], seed=1)
    arrays = load(to_bytes(model, "torch"))
    assert "torch.tensor([2, 0, 1], device" in interchange.torch_module(model)
    x = np.array([[0.5, 7, 3], [2, -1, 9]], np.float32)
    shares = (np.repeat(x, [2, 0, 1], axis=1) - arrays["0.lower"]) * arrays["0.inverse"]
    encoded = np.concatenate([x, shares.clip(0, 1)], axis=1)
    found = encoded @ arrays["1.weight"].T + arrays["1.bias"]
    drawn.close(found, model.predict(x), 1e-6)
    with pytest.raises(ModelFileError, match=r"'0.*' is not a weight or bias of a linear layer"):
        interchange.from_bytes(to_bytes(model, "torch"))


# ---- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_there_and_back_to_the_bit(seed):
    rng = np.random.default_rng([12, seed])
    model = drawn.network(rng)
    back = interchange.from_bytes(to_bytes(model, "torch"))
    x = drawn.rows(rng, model)
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    assert [d.activation for d in back.dense_layers] == [d.activation for d in model.dense_layers]
    assert back.dtype == model.dtype and back.optimizer is None and back.seed == 0


def test_given_activations_count_more_than_recorded_ones():
    model = models.mlp([3], 2, 1, activation="tanh", seed=1)
    back = interchange.from_bytes(to_bytes(model, "torch"), output_activation="sigmoid")
    assert [d.activation for d in back.dense_layers] == ["relu", "sigmoid"]


def test_activations_are_relu_and_linear_unless_given():
    data, arrays = state_dict([2, 3, 4, 1])
    model = interchange.from_bytes(data)
    assert [d.activation for d in model.dense_layers] == ["relu", "relu", "linear"]
    np.testing.assert_array_equal(model.get_weights()[0], arrays["layer0.weight"].T)
    model = interchange.from_bytes(data, activation=["tanh", "elu"], output_activation="softplus")
    assert [d.activation for d in model.dense_layers] == ["tanh", "elu", "softplus"]


@pytest.mark.parametrize(
    ("widths", "names"),
    [
        ([2, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 1], [f"net.{2 * i}" for i in range(11)]),
        ([2, 5, 5, 1], ["fc1", "fc2", "out"]),
        ([2, 5, 5, 1], ["stem", "body.0", "body.10"]),
        ([4, 3], ["only"]),
        ([4, 3], [""]),
    ],
)
def test_the_order_of_layers_is_found(widths, names):
    data, arrays = state_dict(widths, names)
    if names == [""]:
        data = save({key.lstrip("."): value for key, value in arrays.items()})
    model = interchange.from_bytes(data)
    assert [model.n_inputs, *(d.units for d in model.dense_layers)] == widths
    for i, name in enumerate(names):
        np.testing.assert_array_equal(
            model.dense_layers[i].get_weights()[0], arrays[f"{name}.weight"].T
        )


def test_an_order_that_is_not_clear_must_be_given():
    data, arrays = state_dict([5, 5, 5, 5], ["enter", "middle", "leave"])
    message = r"the order of its layers is not clear: 'enter' \(5 to 5\), 'leave' .* option layers"
    with pytest.raises(ModelFileError, match=message):
        interchange.from_bytes(data)
    model = interchange.from_bytes(data, layers=["enter", "middle", "leave"])
    np.testing.assert_array_equal(model.get_weights()[2], arrays["middle.weight"].T)
    for wrong in (["enter"], ["enter", "middle", "middle"], ["enter", "middle", "x"]):
        with pytest.raises(ValueError, match=r"layers must name each of .* once") as caught:
            interchange.from_bytes(data, layers=wrong)
        assert not isinstance(caught.value, ModelFileError)


def test_many_names_do_not_take_long():
    for names in ([f"n{chr(97 + i)}" for i in range(26)], [f"{c}.{i}" for c in "abcdefghijklmno"
                  for i in range(20)]):  # fmt: skip
        data, _ = state_dict([3] * (len(names) + 1), names)
        with pytest.raises(ModelFileError, match="the order of its layers is not clear"):
            interchange.from_bytes(data)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "it holds no linear layer"),
        ({"a.weight": (3, 2), "a.running_mean": (3,)}, "'a.running_mean' is not a weight or bias"),
        ({"a.weight": (3,), "a.bias": (3,)}, r"has shape \(3,\); only linear layers"),
        ({"a.weight": (3, 2, 2)}, "only linear layers"),
        ({"a.weight": (0, 2)}, "only linear layers"),
        ({"a.weight": (3, 2), "a.bias": (2,)}, "the bias of 'a' does not fit its weights"),
        ({"a.bias": (2,)}, "'a.bias' is not a weight or bias of a linear layer"),
        ({"l1.weight": (3, 2), "l2.weight": (1, 4)}, "'l2' takes 4 inputs, but 'l1' before it"),
    ],
)
def test_what_is_no_row_of_linear_layers(arrays, message):
    data = save({name: np.zeros(shape, "f4") for name, shape in arrays.items()})
    with pytest.raises(ModelFileError, match=message):
        interchange.from_bytes(data)


def test_other_types_and_values_are_refused():
    for dtype, message in [("float16", "unknown type 'F16'"), ("int64", "unknown type 'I64'")]:
        with pytest.raises(ModelFileError, match=message):
            interchange.from_bytes(save({"a.weight": np.zeros((2, 2), dtype)}))
    mixed = {"a1.weight": np.zeros((2, 2), "f4"), "a2.weight": np.zeros((2, 2), "f8")}
    with pytest.raises(ModelFileError, match="must be all float32 or all float64"):
        interchange.from_bytes(save(mixed))
    with pytest.raises(ModelFileError, match=r"'dense.*' holds a value that is not finite"):
        interchange.from_bytes(save({"a.weight": np.full((2, 2), np.nan, "f4")}))


def test_a_model_of_fastmlp_needs_no_import(tmp_path):
    models.mlp([2], 1, 1).save(tmp_path / "m.fmlp")
    with pytest.raises(ModelFileError, match=r"m.fmlp .*: it is already a model of fastmlp"):
        interchange.import_model(tmp_path / "m.fmlp")


def test_arguments_are_checked():
    data, _ = state_dict([2, 3, 1])
    for kwargs, message in [
        ({"activation": "rel"}, "Unknown activation: 'rel'. Did you mean 'relu'"),
        ({"output_activation": 3}, "activation must be a name"),
        ({"activation": ["relu"] * 2}, "activation must hold one value, or one per hidden layer"),
        ({"layers": "a"}, "layers must be a sequence of names"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            interchange.from_bytes(data, **kwargs)
        assert not isinstance(caught.value, ModelFileError)
    with pytest.raises(ValueError, match="the file has none"):
        interchange.from_bytes(state_dict([2, 3])[0], activation="relu")


def test_recorded_activations_are_not_trusted():
    data = to_bytes(models.mlp([3], 2, 1, activation="tanh"), "torch")
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + n])
    header["__metadata__"]["fastmlp_layers"] = "0:exec,2:linear"
    text = json.dumps(header).encode()
    spoilt = struct.pack("<Q", len(text)) + text + data[8 + n :]
    with pytest.raises(ModelFileError, match="Unknown activation: 'exec'"):
        interchange.from_bytes(spoilt)
