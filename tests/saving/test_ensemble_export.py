"""Ensembles as ONNX and C files: they compute the mean of the members, as `predict` does."""

import re

import numpy as np
import pytest

import fastmlp
from fastmlp import interchange, layers, models
from fastmlp._many.group import NetworkGroup
from fastmlp._saving.export import to_bytes
from fastmlp.ensembles import Ensemble
from fastmlp.errors import DataError
from fastmlp.preprocessing import Preprocessing

from ..support.sampling import sampled
from . import drawn, test_c

# What agreement is required: with a model's own rounding, and Erf and sines in float32 for ONNX.
TOLERANCE = {"onnx": 1e-5, "c": 1e-6}


@pytest.fixture(params=["onnx", "c"])
def to(request):
    if request.param == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    elif test_c.compiler is None:
        pytest.skip("needs a C compiler")
    return request.param


def drawn_group(rng, template, n):
    """Return networks of a template's architecture, their weights and biases drawn."""
    template.materialise()
    scale = [np.abs(array).max() + 0.1 for array in template.get_weights()]
    parameters = [
        (rng.normal(size=(n, *array.shape)) * s / 2).astype(template.dtype)
        for array, s in zip(template.get_weights(), scale, strict=True)
    ]
    losses = np.zeros((n, 1))
    return NetworkGroup(template, list(range(n)), parameters, losses, [1], None, {})


def ensemble(rng, templates, sizes):
    groups = [drawn_group(rng, t, n) for t, n in zip(templates, sizes, strict=True)]
    return Ensemble(groups)


def of_arrays(made, x, to, directory):
    """Return what the exported file computes of arrays."""
    if to == "c":
        function = test_c.compiled(made, directory)
        return test_c.run(function, x, made.n_outputs, made.dtype)[0]
    from .test_onnx import run

    return run(made, {"x": x})["y"]


def of_a_table(made, state, columns, to, directory):
    """Return what the exported file computes of a table: values, or labels and probabilities."""
    if to == "c":
        function = test_c.compiled(made, directory)
        width = len(state.target.labels) or 1
        found, codes = test_c.run(function, test_c.as_numbers(state, columns), width, made.dtype)
        assert set(codes) == {0}
        return None, found
    from .test_onnx import feed, run

    found = run(made, feed(state, columns))
    if state.task == "regression":
        drawn.close(found["prediction_double"].astype(made.dtype), found["prediction"], 1e-6)
        return None, found["prediction"]
    return found["label"], found["probabilities"]


@pytest.mark.parametrize(
    ("dtype", "sizes"),
    [("float32", (5,)), ("float32", (4, 1, 3)), ("float64", (5,)), ("float64", (1, 2))],
)
def test_several_architectures_agree(tmp_path, to, dtype, sizes):
    rng = np.random.default_rng([1, len(sizes), sizes[0]])
    output = drawn.pick(rng, ["linear", "sigmoid", "softmax"])
    templates = [drawn.network(rng, 6, 3, output, dtype) for _ in sizes]
    made = ensemble(rng, templates, sizes)
    x = drawn.rows(rng, made)
    drawn.close(of_arrays(made, x, to, tmp_path), made.predict(x), TOLERANCE[to])


def test_every_activation_agrees(tmp_path, to):
    rng = np.random.default_rng(2)
    templates = [models.mlp([7], 3, 2, activation=a, output_activation=a)
                 for a in layers.ACTIVATIONS]  # fmt: skip
    made = ensemble(rng, templates, [2] * len(templates))
    x = drawn.rows(rng, made)
    drawn.close(of_arrays(made, x, to, tmp_path), made.predict(x), TOLERANCE[to])


def encoded(rng, dtype="float32"):
    """Return an ensemble whose members have bins, other bins, or none, and rows."""
    x = rng.normal(size=(200, 3)) ** 3
    templates = []
    for bins, units in [(8, 5), (8, 6), (3, 5), (None, 5), (8, 5)]:
        first = [] if bins is None else [layers.PiecewiseLinear(bins)]
        model = models.Sequential(
            [*first, layers.Dense(units, "silu"), layers.Dense(2)], seed=1, dtype=dtype
        )
        model.build((3,))
        model.adapt(x)
        templates.append(model)
    return ensemble(rng, templates, [3, 2, 2, 1, 4]), np.concatenate([x, 9 * x]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bins_of_inputs_agree(tmp_path, to, dtype):
    made, x = encoded(np.random.default_rng(3), dtype)
    found = of_arrays(made, x, to, tmp_path)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    drawn.close(found, made.predict(x), tolerance)
    # The mean of four of the groups is another one.
    rest = Ensemble(made.groups[:-1])
    with pytest.raises(AssertionError):
        drawn.close(found, rest.predict(x), tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", sampled(5, range(12)))
def test_preprocessing_agrees(tmp_path, to, seed, dtype):
    rng = np.random.default_rng([4, seed])
    _, state, columns = drawn.network_of_a_table(rng)
    last = "linear"
    if state.task == "classification":
        last = "sigmoid" if state.n_outputs == 1 else "softmax"
    templates = [drawn.network(rng, state.n_inputs, state.n_outputs, last, dtype) for _ in "ab"]
    made = ensemble(rng, templates, [3, 2])
    state.keep(made)
    labels, found = of_a_table(made, state, columns, to, tmp_path)
    expected_labels, expected = drawn.outputs(made, state, columns)
    drawn.close(found, expected, 1e-5)
    if labels is not None:
        best = np.sort(expected, axis=1)
        clear = best[:, -1] - best[:, -2] > 1e-4
        assert clear.any()
        assert np.array(expected_labels)[clear].tolist() == labels[clear].tolist()


@pytest.mark.parametrize("effort", ["normal", "high"])  # an ensemble of its own, or that of fit
@pytest.mark.parametrize("labels", [None, 2, 3])
def test_an_ensemble_over_a_table_agrees(tmp_path, to, labels, effort):
    rng, n = np.random.default_rng(5), 120
    table = {
        "size": [None if i % 9 == 4 else float(v) for i, v in enumerate(rng.lognormal(size=n))],
        "colour": [drawn.COLOURS[i] for i in rng.integers(4, size=n)],
    }
    goal = rng.normal(size=n) * 3 + 1000 if labels is None else rng.integers(labels, size=n)
    given = table | {"y": goal.tolist() if labels is None else [f"class {k}" for k in goal]}
    if effort == "high":
        made = fastmlp.fit(
            given, "y", units="4", bins=8, epochs=2, effort="high", verbose=0
        ).network
    else:
        made = fastmlp.ensemble(given, "y", ["4", "6x2"], 2, bins=8, epochs=1, verbose=0)
    assert made.groups[0].template.encoding is not None
    state = Preprocessing.of(made)
    found = of_a_table(made, state, table, to, tmp_path)[1]
    drawn.close(found, drawn.outputs(made, state, table)[1], 1e-5)


@pytest.mark.parametrize("labels", [None, ["no", "yes"]])
def test_a_row_that_cannot_be_used_gives_nan(tmp_path, to, labels):
    table = {"a": [1.0, 2.0, 4.0, 5.0], "y": [1.0, 2.0, 4.0, 3.0] if labels is None else labels * 2}
    state = Preprocessing.fit(table, "y", impute="none")
    last = "linear" if labels is None else "sigmoid"
    template = models.mlp([4], 1, 1, activation="relu", output_activation=last)
    made = ensemble(np.random.default_rng(6), [template], [3])
    state.keep(made)
    rows = np.array([[1.0], [np.nan], [np.inf], [2.0]])
    if to == "c":
        function = test_c.compiled(made, tmp_path)
        found, codes = test_c.run(function, rows, len(labels or "y"), "float32")
        assert codes == [0, 1, 1, 0]
    else:
        from .test_onnx import run

        given = run(made, {"a": rows})
        found = given["prediction" if labels is None else "probabilities"]
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, False]
    assert np.isfinite(found[[0, 3]]).all()


def test_the_mean_is_taken_in_double(tmp_path, to):
    template = models.Sequential([layers.Dense(1, input_shape=(1,))], seed=1)
    made = ensemble(np.random.default_rng(7), [template], [3])
    made.groups[0].parameters[0][:, 0, 0] = [2.0**25, 1, -(2.0**25)]  # 1 is lost in float32
    made.groups[0].parameters[1][:] = 0
    x = np.ones((1, 1), np.float32)
    assert made.predict(x)[0, 0] == of_arrays(made, x, to, tmp_path)[0, 0] == np.float32(1 / 3)


def test_a_c_file_has_one_loop_for_each_architecture():
    made, _ = encoded(np.random.default_rng(3))
    text = to_bytes(made, "c").decode()
    assert text.startswith("/* The mean of 12 multilayer perceptrons, written by fastmlp")
    # Groups 0 and 4 are alike, group 2 has other bins, group 3 none.
    loops = re.findall(r"outputs of (\d networks?) of ([-\d]+) units to sum", text)
    assert loops == [("7 networks", "3-5-2"), ("2 networks", "3-6-2"),
                     ("2 networks", "3-5-2"), ("1 network", "3-5-2")]  # fmt: skip
    assert re.findall(r" find_bins\(x, 3, (\w+),", text) == ["first0", "first1"]
    assert len(re.findall(r"static const int first\d\[4\]", text)) == 2
    more = Ensemble([*made.groups, *made.groups])
    longer = to_bytes(more, "c").decode()
    assert without_numbers(text) == without_numbers(longer)


def without_numbers(text):
    """Return the code of a C file without its constants."""
    text = re.sub(r"(?m)^    [-\d].*\n", "", text)
    return re.sub(r"\d+", "#", text).replace("# networks of", "# network of")


def test_the_memory_that_a_c_file_takes_is_said():
    made, _ = encoded(np.random.default_rng(3))
    text = to_bytes(made, "c").decode()
    numbers = sum(map(int, re.findall(r"static const (?:float|int) \w+\[(\d+)\]", text)))
    # One hidden layer of 6, 2 outputs and their sums in double, 3 bins and shares.
    assert f"Constants: {4 * numbers} bytes. Buffers on the stack: {4 * 8 + 16 + 24} bytes." in text


def test_an_onnx_graph_does_not_grow_with_the_members():
    onnx = pytest.importorskip("onnx")

    def nodes(made):
        return len(onnx.load_from_string(to_bytes(made, "onnx")).graph.node)

    rng = np.random.default_rng(8)
    template = models.mlp([4, 3], 2, 1)
    assert nodes(ensemble(rng, [template], [2])) == nodes(ensemble(rng, [template], [9]))
    made, _ = encoded(rng)
    alike = Ensemble([made.groups[0], made.groups[1]])
    kinds = [node.op_type for node in onnx.load_from_string(to_bytes(alike, "onnx")).graph.node]
    assert kinds.count("Clip") == 1  # one encoding for both architectures


def test_an_ensemble_of_one_is_a_single_network(to):
    template = models.mlp([4], 2, 1, seed=1)
    made = ensemble(np.random.default_rng(9), [template], [1])
    assert to_bytes(made, to) == to_bytes(made[0], to)


def test_export_writes_the_file(tmp_path):
    made = ensemble(np.random.default_rng(9), [models.mlp([4], 2, 1)], [2])
    path = tmp_path / "e.c"
    made.export(path)
    assert path.read_bytes() == to_bytes(made, "c")
    with pytest.raises(FileExistsError):
        made.export(path, None, False)
    made.export(path, to="c", name="mean")
    assert "void mean_predict(const float *x, float *y)" in path.read_text()
    other = tmp_path / "again.c"
    interchange.export_model(made, other, name="mean")
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("to", "library"), [("keras", "Keras"), ("torch", "PyTorch")], ids=["keras", "torch"]
)
def test_formats_of_single_networks_are_refused(tmp_path, to, library):
    made = ensemble(np.random.default_rng(9), [models.mlp([4], 2, 1)], [3])
    wanted = rf"a file for {library} holds a single network. Received: an ensemble of 3. Export it "
    with pytest.raises(DataError, match=wanted + r"to ONNX or C, or .* ensemble\[0\]"):
        made.export(tmp_path / "e", to)
    assert not list(tmp_path.iterdir())
    made[0].export(tmp_path / "e.safetensors")


def test_what_is_neither_a_model_nor_an_ensemble_is_refused():
    with pytest.raises(ValueError, match=r"a Sequential or an Ensemble\. Received: list"):
        to_bytes([models.mlp([4], 2, 1)], "c")
