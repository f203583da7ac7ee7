"""ONNX files: what onnxruntime makes of them is what `predict` returns."""

import numpy as np
import pytest

from fastmlp import datasets, layers, models
from fastmlp._saving import onnx as onnx_writer
from fastmlp._saving.export import to_bytes
from fastmlp.preprocessing import Preprocessing

from ..support.sampling import sampled
from . import drawn
from .test_c import everything

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def session(model):
    return runtime.InferenceSession(to_bytes(model, "onnx"), providers=["CPUExecutionProvider"])


def feed(state, columns):
    """Return a table's columns as the graph takes them."""
    given = {}
    for column in state.columns:
        cells = columns[column.name]
        if column.kind == "categorical":
            values = np.array([cell or "" for cell in cells], object)
        else:
            values = np.array([drawn.as_number(cell) for cell in cells], np.float64)
        given[column.name] = values.reshape(-1, 1)
    return given


def run(model, given):
    made = session(model)
    names = [value.name for value in made.get_outputs()]
    return dict(zip(names, made.run(None, given), strict=True))


@pytest.mark.parametrize("seed", sampled(2, range(50)))
def test_a_network_agrees(seed):
    rng = np.random.default_rng([6, seed])
    model = drawn.network(rng)
    x = drawn.rows(rng, model)
    drawn.close(run(model, {"x": x})["y"], model.predict(x), 1e-5)


@pytest.mark.parametrize("seed", sampled(2, range(50)))
def test_a_network_with_preprocessing_agrees(seed):
    model, state, columns = drawn.network_of_a_table(np.random.default_rng([7, seed]))
    found = run(model, feed(state, columns))
    labels, expected = drawn.outputs(model, state, columns)
    if labels is None:
        drawn.close(found["prediction"], expected, 1e-5)
        return
    drawn.close(found["probabilities"], expected, 1e-5)
    # A label may differ only where two are as probable.
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-4
    assert clear.any()
    assert [a for a, c in zip(found["label"].tolist(), clear, strict=True) if c] == [
        b for b, c in zip(labels, clear, strict=True) if c
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(8))
def test_bins_of_inputs_agree(seed, dtype):
    model, x = drawn.encoded_network(np.random.default_rng([15, seed]), dtype)
    drawn.close(run(model, {"x": x})["y"], model.predict(x), 1e-5)


def test_inputs_without_bins_agree():
    model = models.Sequential([layers.PiecewiseLinear(edges=[[], []]), layers.Dense(2)], seed=3)
    x = np.array([[1, 2], [-3, 4]], np.float32)
    drawn.close(run(model, {"x": x})["y"], model.predict(x), 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("task", [None, "classification"])
def test_bins_after_preprocessing_agree(dtype, task):
    model, state, columns = drawn.encoded_table(np.random.default_rng(4), dtype, task)
    found = run(model, feed(state, columns))
    _, expected = drawn.outputs(model, state, columns)
    drawn.close(found["prediction" if task is None else "probabilities"], expected, 1e-5)
    if task is None:
        drawn.close(found["prediction_double"], expected, 1e-5)
        columns["numeric"][0] = float("inf")
        found = run(model, feed(state, columns))["prediction_double"]
        assert np.isnan(found[:, 0]).nonzero()[0].tolist() == [0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", layers.ACTIVATIONS)
def test_every_activation_agrees_far_out(activation, dtype):
    model = models.Sequential([layers.Dense(3, activation, input_shape=(3,))], seed=1, dtype=dtype)
    model.set_weights([np.eye(3), np.zeros(3)])
    x = np.array([[-100, 0, 100], [-20, -1, 20], [3, 5, -7]], dtype)
    drawn.close(run(model, {"x": x})["y"], model.predict(x), 1e-6)


def test_a_spoilt_weight_is_noticed():
    rng = np.random.default_rng(0)
    model = drawn.network(rng, output="linear", dtype="float64")
    x = drawn.rows(rng, model)
    y = run(model, {"x": x})["y"]
    weights = model.get_weights()
    weights[-1] = weights[-1] + 1e-4
    model.set_weights(weights)
    with pytest.raises(AssertionError):
        drawn.close(y, model.predict(x), 1e-5)


def small(impute="none", unknown="error", **columns):
    table = columns or {"size": [1.0, 2.0, 4.0], "colour": ["red", "blue", "red"]}
    state = Preprocessing.fit(table | {"y": [1.0, 2.0, 5.0]}, "y", impute=impute, unknown=unknown)
    model = models.mlp([8], state.n_inputs, 1, seed=1)
    state.keep(model)
    return model, state


def test_what_cannot_be_used_gives_nan_and_spoils_no_other_row():
    model, state = small()
    given = {
        "size": np.array([[1.0], [np.nan], [2.0], [2.0]]),
        "colour": np.array([["red"], ["red"], ["pink"], ["blue"]], object),
    }
    found = run(model, given)["prediction"][:, 0]
    assert np.isnan(found).tolist() == [False, True, True, False]
    table = {"size": [1.0, 2.0], "colour": ["red", "blue"]}
    _, expected = drawn.outputs(model, state, table)
    drawn.close(found[[0, 3]].reshape(-1, 1), expected, 1e-5)


def test_missing_values_are_filled_in_and_shown():
    columns = {"size": [1.0, None, 4.0], "colour": ["red", None, "red"]}
    model, state = small(impute="mean", **columns)
    assert state.input_names == ["size", "size missing", "colour=red", "colour missing"]
    found = run(model, feed(state, columns))["prediction"]
    drawn.close(found, drawn.outputs(model, state, columns)[1], 1e-5)


def test_unknown_categories_are_none():
    model, state = small(impute="median", unknown="ignore")
    columns = {"size": [1.0, None, 4.0, 2.0], "colour": ["pink", None, "red", "blue"]}
    found = run(model, feed(state, columns))["prediction"]
    drawn.close(found, drawn.outputs(model, state, columns)[1], 1e-5)


@pytest.mark.parametrize(
    ("kept", "given"),
    [
        (["1", "2", "1"], ["1.0", "2", "3", "2.0"]),
        (["1.0", "2.5", "1.0"], ["1", "2.5", "1.0", "7"]),
        (["True", "False", "True"], ["true", "FALSE", "True", "false"]),
        (["n1", "1x", "n1"], ["n1", "1x", "1", "n1.0"]),
    ],
)
def test_categories_that_are_numbers_are_known_by_value(tmp_path, kept, given):
    def file(name, zones):
        path = tmp_path / name
        path.write_text(
            "size,zone,y\n" + "".join(f"2,{zone},{i}\n" for i, zone in enumerate(zones))
        )
        return datasets.read_table(path)

    state = Preprocessing.fit(file("a.csv", kept), "y", categorical=["zone"], keep=["size"],
                              unknown="ignore")  # fmt: skip
    model = models.mlp([8], state.n_inputs, 1, seed=1)
    state.keep(model)
    expected = state.values(model.predict(state.inputs(file("b.csv", given))))
    feeds = {"size": np.full((4, 1), 2.0), "zone": np.array(given, object)[:, None]}
    found = run(model, feeds)["prediction"][:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(set(found.round(5).tolist())) > 1


def test_every_kind_of_column_and_target_agrees():
    model, state, table, x = everything()
    zones = np.array([zone or "" for zone in table["zone"]], object)
    zones[5] = "never seen"
    given = {"size": x[:, :1], "zone": zones[:, None], "flag": x[:, 2:3], "day": x[:, 3:]}
    table["zone"] = zones.tolist()
    expected = state.values(model.predict(state.inputs(table, "float64")))
    found = run(model, given)
    assert found["prediction"].shape == (200, 3)
    np.testing.assert_allclose(found["prediction_double"], expected, rtol=1e-5, atol=1e-5)
    given["size"] = np.where(np.arange(200)[:, None] == 3, np.inf, x[:, :1])
    spoilt = run(model, given)["prediction_double"]
    assert np.isnan(spoilt).any(axis=1).nonzero()[0].tolist() == [3] and np.isnan(spoilt[3]).all()


def test_preprocessing_is_computed_in_double_precision():
    columns = {"big": [1e8 + 1, 1e8 + 2, 1e8 + 4]}  # one number in float32
    model, state = small(**columns)
    found = run(model, feed(state, columns))["prediction"]
    assert len(np.unique(found)) == 3
    drawn.close(found, drawn.outputs(model, state, columns)[1], 1e-6)


def test_names_of_columns_may_be_those_of_outputs():
    table = {"prediction": [1.0, 2.0, 4.0], "fastmlp_c0": [1.0, 0.0, 0.0], "fastmlp_v0": [1, 2, 4]}
    model, state = small(**table)
    found = run(model, feed(state, table))
    drawn.close(found["prediction_"], drawn.outputs(model, state, table)[1], 1e-5)


def test_inputs_and_outputs_are_named_and_typed():
    model, _ = small()
    made = session(model)
    assert {i.name: (i.type, i.shape) for i in made.get_inputs()} == {
        "size": ("tensor(double)", ["n", 1]),
        "colour": ("tensor(string)", ["n", 1]),
    }
    assert [(o.name, o.type, o.shape) for o in made.get_outputs()] == [
        ("prediction", "tensor(float)", ["n", 1]),
        ("prediction_double", "tensor(double)", ["n", 1]),
    ]


def test_equal_models_make_equal_files():
    model, _ = small()
    assert to_bytes(model, "onnx") == to_bytes(model, "onnx")


def test_a_column_without_a_name_is_refused():
    model, _ = small()
    model.extras["preprocessing"]["columns"][0]["name"] = ""
    with pytest.raises(ValueError, match="an ONNX input needs a name that no other has"):
        to_bytes(model, "onnx")


def far(dtype="float32"):
    """Return a table whose target has few numbers in float32, and a network that is its line."""
    x = np.arange(300.0)
    table = {"x": x, "y": 1234567890 + 10 * x}
    state = Preprocessing.fit(table, "y", standardize="deviation")
    model = models.mlp([], 1, 1, dtype=dtype)
    model.set_weights([[[1.0]], [0.0]])
    state.keep(model)
    return model, table


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_target_far_from_zero_comes_out_in_double(dtype):
    model, table = far(dtype)
    found = run(model, {"x": table["x"][:, None]})
    double, single = found["prediction_double"][:, 0], found["prediction"][:, 0]
    assert double.dtype == np.float64 and single.dtype == dtype
    np.testing.assert_allclose(double, table["y"], rtol=0, atol=0.01)
    assert len(np.unique(double)) == 300
    np.testing.assert_array_equal(single, double.astype(dtype))


@pytest.mark.parametrize(
    ("labels", "unknown"),
    [
        (["no", "yes"], ""),
        (["a", "b", "c"], ""),
        ([3, 5], -1),
        ([0, 1, 2], -1),
        ([-1, 1], -(2**63)),
        ([-1, 0, 1], -(2**63)),
        ([0.5, 1.5], ""),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_label_says_that_a_row_cannot_be_used(labels, unknown, dtype):
    n = 12
    table = {
        "size": np.arange(float(n)),
        "colour": ["red", "blue"] * (n // 2),
        "y": [labels[i % len(labels)] for i in range(n)],
    }
    state = Preprocessing.fit(table, "y", "classification", impute="none", unknown="error")
    last = "sigmoid" if state.n_outputs == 1 else "softmax"
    model = models.mlp([8], state.n_inputs, state.n_outputs, output_activation=last, seed=1,
                       dtype=dtype)  # fmt: skip
    state.keep(model)
    given = {
        "size": np.array([[1.0], [np.nan], [2.0], [2.0], [np.inf], [3.0], [-np.inf]]),
        "colour": np.array([["red"], ["red"], ["pink"], ["blue"], ["red"], [""], ["red"]], object),
    }
    found = run(model, given)
    bad = np.array([False, True, True, False, True, True, True])
    assert (np.isnan(found["probabilities"]).all(axis=1) == bad).all()
    assert [label == unknown for label in found["label"].tolist()] == bad.tolist()
    rows = {"size": [1.0, 2.0], "colour": ["red", "blue"]}
    expected, _ = drawn.outputs(model, state, rows)
    good = found["label"][~bad].tolist()
    assert good == [label if isinstance(label, int) else str(label) for label in expected]


def test_a_boolean_other_than_0_and_1_gives_nan():
    table = {"flag": [True, False, True, False], "y": ["a", "b", "a", "b"]}
    state = Preprocessing.fit(table, "y")
    model = models.mlp([4], 1, 1, output_activation="sigmoid", seed=1)
    state.keep(model)
    found = run(model, {"flag": np.array([[1.0], [0.0], [2.0], [0.5]])})
    assert np.isnan(found["probabilities"]).all(axis=1).tolist() == [False, False, True, True]
    assert (found["label"] == "").tolist() == [False, False, True, True]


def test_the_label_of_an_unusable_row_is_never_one_of_the_classes():
    assert onnx_writer._no_text(["", "b"]) == "unknown"
    assert onnx_writer._no_text(["", "unknown"]) == "unknown_"
    assert onnx_writer._no_number([-1, -(2**63)]) == -(2**63) + 1
