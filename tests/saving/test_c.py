"""C files: compiled with every warning an error, they compute what `predict` returns."""

import ctypes
import math
import re
import shutil
import subprocess

import numpy as np
import pytest

from fastmlp import layers, models
from fastmlp._saving.export import to_bytes
from fastmlp.preprocessing import Preprocessing

from ..support.sampling import sampled
from . import drawn

SEEDS = sampled(5, range(25))
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2"]
compiler = shutil.which("gcc") or shutil.which("cc")
needs_compiler = pytest.mark.skipif(compiler is None, reason="needs a C compiler")


def compiled(model, directory, name="model"):
    source, library = directory / f"{name}.c", directory / f"{name}.so"
    source.write_bytes(to_bytes(model, "c", name))
    command = [compiler, *STRICT, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))[f"{name}_predict"]


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def run(function, x, n_outputs, dtype):
    """Call the function for each row; return outputs and what it returned."""
    y = np.full((len(x), n_outputs), np.nan, dtype)
    codes = [function(pointer(a), pointer(b)) for a, b in zip(x, y, strict=True)]
    return y, codes


def as_numbers(state, columns):
    """Return a table's columns as the C function takes them."""
    x = np.empty((len(next(iter(columns.values()))), len(state.columns)))
    for i, column in enumerate(state.columns):
        for row, cell in enumerate(columns[column.name]):
            if column.kind == "categorical" and cell is not None:
                rest = len(column.categories) if column.other else -1
                cell = column.categories.index(cell) if cell in column.categories else rest
            x[row, i] = drawn.as_number(cell)
    return x


@needs_compiler
@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_agrees(tmp_path, seed):
    rng = np.random.default_rng([8, seed])
    model = drawn.network(rng)
    x = drawn.rows(rng, model)
    found, _ = run(compiled(model, tmp_path), x, model.n_outputs, model.dtype)
    drawn.close(found, model.predict(x), 1e-6)


@needs_compiler
@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_with_preprocessing_agrees(tmp_path, seed):
    model, state, columns = drawn.network_of_a_table(np.random.default_rng([9, seed]))
    _, expected = drawn.outputs(model, state, columns)
    x = as_numbers(state, columns)
    found, codes = run(compiled(model, tmp_path), x, expected.shape[1], model.dtype)
    assert set(codes) == {0}
    drawn.close(found, expected, 1e-6)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_activation_agrees_far_out(tmp_path, dtype):
    x = np.array([[-100, 0, 100], [-20, -1, 20], [3, 5, -7]], dtype)
    for activation in layers.ACTIVATIONS:
        layer = layers.Dense(3, activation, input_shape=(3,))
        model = models.Sequential([layer], seed=1, dtype=dtype)
        model.set_weights([np.eye(3), np.zeros(3)])
        found, _ = run(compiled(model, tmp_path, f"m_{activation}"), x, 3, dtype)
        drawn.close(found, model.predict(x), 1e-6)


@needs_compiler
def test_zeros_are_left_out_unless_a_weight_is_not_finite(tmp_path):
    model = models.Sequential([layers.Dense(2, input_shape=(9,))], seed=1)
    x = np.zeros((4, 9), np.float32)  # 0 to 8 nonzeros: a row of weights each, four together
    for row, nonzeros in enumerate((0, 3, 4, 8)):
        x[row, 1 : 1 + nonzeros] = row + 0.5
    assert "if (x[k] == 0)" in to_bytes(model, "c").decode()
    found, _ = run(compiled(model, tmp_path), x, 2, "float32")
    drawn.close(found, model.predict(x), 1e-6)
    model.network.weights(0)[0, 0] = np.inf  # that of an input that is 0
    assert "if (x[k] == 0)" not in to_bytes(model, "c").decode()
    found, _ = run(compiled(model, tmp_path, "again"), x, 2, "float32")
    np.testing.assert_array_equal(np.isnan(found), np.isnan(model.predict(x)))
    assert np.isnan(found).any()


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", sampled(3, range(8)))
def test_bins_of_inputs_agree(tmp_path, seed, dtype):
    model, x = drawn.encoded_network(np.random.default_rng([15, seed]), dtype)
    found, _ = run(compiled(model, tmp_path), x, model.n_outputs, dtype)
    drawn.close(found, model.predict(x), 1e-5 if dtype == "float32" else 1e-12)


@needs_compiler
def test_bins_at_their_edges_and_far_beyond(tmp_path):
    edges = [[0.0, 1.0, 3.0], [], [-1e30, 2.0], [5.0, 6.0, 7.0, 7.5]]
    model = models.Sequential([layers.PiecewiseLinear(edges=edges), layers.Dense(2)], seed=3)
    x = np.zeros((9, 4), np.float32)
    x[:, 0] = [-1e9, -1, 0, 0.5, 1, 2, 3, 4, 1e9]
    x[:, 3] = [5, 6, 7, 7.5, 5.5, 7.25, 100, -100, 0]
    found, _ = run(compiled(model, tmp_path), x, 2, "float32")
    drawn.close(found, model.predict(x), 1e-5)
    (x[0, 1], x[1, 3]) = math.nan, math.inf
    found, _ = run(compiled(model, tmp_path, "again"), x, 2, "float32")
    assert np.isnan(found).all(axis=1).tolist() == [True] + [False] * 8
    assert np.isinf(found[1]).all()


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bins_after_preprocessing_agree(tmp_path, dtype):
    model, state, columns = drawn.encoded_table(np.random.default_rng(4), dtype)
    _, expected = drawn.outputs(model, state, columns)
    x = as_numbers(state, columns)
    found, codes = run(compiled(model, tmp_path), x, expected.shape[1], dtype)
    assert set(codes) == {0}
    drawn.close(found, expected, 1e-5)


def test_the_first_product_takes_two_rows_of_sums_for_all_bins():
    model = models.Sequential([layers.PiecewiseLinear(edges=[[0, 1, 2, 4]]), layers.Dense(1)])
    model.set_weights([[[1.0], [2.0], [4.0], [8.0]], [0.5]])
    text = to_bytes(model, "c").decode()
    assert "float w0[4] = {\n    1.0f, 2.0f, 6.0f, 14.0f,\n}" in text
    assert "int first[2] = {\n    0, 4,\n}" in text
    assert "encoded_dense(x, 1, first, bin, share, w0, b0, 1, y);" in text
    assert " dense(" not in text
    assert "Constants: 60 bytes. Buffers on the stack: 8 bytes." in text


def small(**fit):
    fit = {"standardize": True} | fit
    table = {"a": [1.0, 2.0, 4.0], "colour": ["red", "blue", "red"], "y": [1.0, 2.0, 5.0]}
    state = Preprocessing.fit(table, "y", **fit)
    model = models.mlp([4], state.n_inputs, 1, seed=1)
    state.keep(model)
    return model, state


@needs_compiler
def test_a_column_that_cannot_be_used_is_said(tmp_path):
    nan, inf = math.nan, math.inf
    rows = [[1, 0], [nan, 0], [inf, 0], [1e300, 0], [1, 2], [1, -1], [1, 0.5], [1, nan], [2, 1]]
    strict, _ = small(impute="none", unknown="error", standardize="deviation")
    _, codes = run(compiled(strict, tmp_path), np.array(rows, float), 1, "float32")
    assert codes == [0, 1, 1, 1, 2, 2, 2, 2, 0]
    lenient, _ = small()
    _, codes = run(compiled(lenient, tmp_path, "lenient"), np.array(rows, float), 1, "float32")
    assert codes == [0, 0, 1, 0, 2, 0, 2, 0, 0]


def everything():
    """Return a network with every kind of column, its preprocessing, and rows to predict."""
    rng, n = np.random.default_rng(11), 200
    day = np.datetime64("2023-11-05T07:30") + np.arange(n) * np.timedelta64(31 * 60 + 7, "m")
    size = rng.lognormal(size=n)
    table = {
        "size": [None if i % 9 == 4 else float(v) for i, v in enumerate(size)],
        "zone": [None if i % 7 == 3 else str(k) for i, k in enumerate(rng.integers(0, 9, n))],
        "flag": [None if i % 8 == 2 else bool(i % 3) for i in range(n)],
        "day": day,
        "u": rng.lognormal(size=n),
        "v": np.floor(rng.lognormal(size=n)),
        "w": rng.normal(size=n),
    }
    state = Preprocessing.fit(table, ["u", "v", "w"], date_parts=True, max_categories=5)
    for target, transform in zip(state.all_targets, ["log", "sqrt", "quantile"], strict=True):
        own = Preprocessing.fit(table, target.name, target_transform=transform).target
        vars(target).update(vars(own))
    model = models.mlp([16], state.n_inputs, 3, seed=1, dtype="float64")
    state.keep(model)
    days = (day - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    zones = [math.nan if zone is None else
             state.columns[1].categories.index(zone) if zone in state.columns[1].categories else 5
             for zone in table["zone"]]  # fmt: skip
    numbers = [[math.nan if cell is None else float(cell) for cell in table[name]]
               for name in ("size", "flag")]  # fmt: skip
    x = np.stack([numbers[0], zones, numbers[1], days], axis=1)
    return model, state, table, x


@needs_compiler
def test_every_kind_of_column_and_target_agrees(tmp_path):
    model, state, table, x = everything()
    assert [len(column.input_names) for column in state.columns] == [2, 7, 2, 9]
    expected = state.values(model.predict(state.inputs(table, "float64")))
    found, codes = run(compiled(model, tmp_path), x, 3, "float64")
    assert set(codes) == {0}
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    double = ctypes.CDLL(str(tmp_path / "model.so"))["model_predict_double"]
    np.testing.assert_array_equal(run(double, x, 3, "float64")[0], found)
    outputs, codes = run(double, np.array([[math.inf, 0, 0, 0]]), 3, "float64")
    assert codes == [1] and np.isnan(outputs).all()


@needs_compiler
def test_preprocessing_is_computed_in_double_precision(tmp_path):
    table = {"big": [1e8 + 1, 1e8 + 2, 1e8 + 4], "y": [1.0, 2.0, 5.0]}  # one number in float32
    state = Preprocessing.fit(table, "y", standardize=True)
    model = models.mlp([4], 1, 1, seed=1)
    state.keep(model)
    found, _ = run(compiled(model, tmp_path), as_numbers(state, table), 1, "float32")
    assert len(np.unique(found)) == 3
    drawn.close(found, drawn.outputs(model, state, {"big": table["big"]})[1], 1e-6)


@needs_compiler
def test_two_models_link_into_one_program(tmp_path):
    rng = np.random.default_rng(3)
    for name in ("first", "second"):
        model = drawn.network(rng)
        (tmp_path / f"{name}.c").write_bytes(to_bytes(model, "c", name))
    main = "int main(void) { return 0; }\n"
    (tmp_path / "main.c").write_text(main)
    sources = [str(tmp_path / f"{name}.c") for name in ("first", "second", "main")]
    command = [compiler, *STRICT, *sources, "-o", str(tmp_path / "program"), "-lm"]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0


def test_the_memory_it_takes_is_said():
    text = to_bytes(models.mlp([8, 5], 3, 2), "c").decode()
    floats = 3 * 8 + 8 + 8 * 5 + 5 + 5 * 2 + 2
    assert f"Constants: {4 * floats} bytes. Buffers on the stack: {4 * 16} bytes." in text
    assert sum(map(int, re.findall(r"static const float \w+\[(\d+)\]", text))) == floats
    assert "float a[8], b[8];" in text
    text = to_bytes(models.mlp([8], 3, 2, dtype="float64"), "c").decode()
    assert "Buffers on the stack: 64 bytes." in text and "double a[8];" in text
    assert "stack: 0 bytes." in to_bytes(models.mlp([], 3, 2), "c").decode()


def test_the_file_needs_nothing_but_mathematics_and_allocates_nothing():
    for model in (small()[0], drawn.network(np.random.default_rng(1))):
        text = to_bytes(model, "c").decode("ascii")
        assert re.findall(r"#include.*", text) == ["#include <math.h>"]
        assert not re.search(r"\b(malloc|calloc|alloca|free|printf)\b", text)
        assert "static const" in text


@pytest.mark.parametrize(
    "name", ["*/ int evil; /*", "a\nb", "\\", "??/", "\u2028", "*\n/", "//", "\x1b[31m", '"']
)
def test_names_stay_inside_the_comment(name):
    model, _ = small()
    model.extras["preprocessing"]["columns"][0]["name"] = name
    model.extras["preprocessing"]["columns"][1]["categories"][0] = name
    model.extras["preprocessing"]["target"]["name"] = name
    text = to_bytes(model, "c").decode("ascii")
    head, rest = text.split("*/", 1)
    assert head.startswith("/*") and "/*" not in head[2:] and "\\" not in head and "??" not in head
    assert rest.startswith("\n\n#include <math.h>")
    assert "evil" not in rest


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "é", "a" * 32, "_a", "a;"])
def test_a_name_that_is_no_identifier(name):
    with pytest.raises(ValueError, match="name must be a C identifier"):
        to_bytes(small()[0], "c", name)


def test_a_spoilt_weight_is_noticed(tmp_path):
    if compiler is None:
        pytest.skip("needs a C compiler")
    rng = np.random.default_rng(0)
    model = drawn.network(rng, output="linear", dtype="float32")
    x = drawn.rows(rng, model)
    found, _ = run(compiled(model, tmp_path), x, model.n_outputs, "float32")
    weights = model.get_weights()
    weights[-1] = weights[-1] + 2e-5
    model.set_weights(weights)
    with pytest.raises(AssertionError):
        drawn.close(found, model.predict(x), 1e-6)


@needs_compiler
def test_a_boolean_other_than_0_and_1_is_said(tmp_path):
    table = {"flag": [True, False, True], "y": [1.0, 2.0, 5.0]}
    state = Preprocessing.fit(table, "y")
    model = models.mlp([4], 1, 1, seed=1)
    state.keep(model)
    rows = np.array([[1.0], [0.0], [2.0], [0.5], [-1.0]])
    found, codes = run(compiled(model, tmp_path), rows, 1, "float32")
    assert codes == [0, 0, 1, 1, 1] and np.isnan(found[:, 0]).tolist() == [c > 0 for c in codes]


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_target_far_from_zero_comes_out_in_double(tmp_path, dtype):
    x = np.arange(300.0)
    y = 1234567890 + 10 * x  # a few numbers in float32
    state = Preprocessing.fit({"x": x, "y": y}, "y", standardize="deviation")
    model = models.mlp([], 1, 1, dtype=dtype)
    model.set_weights([[[1.0]], [0.0]])
    state.keep(model)
    single = compiled(model, tmp_path)
    double = ctypes.CDLL(str(tmp_path / "model.so"))["model_predict_double"]
    found, codes = run(double, x[:, None], 1, "float64")
    assert set(codes) == {0} and len(np.unique(found)) == 300
    np.testing.assert_allclose(found[:, 0], y, rtol=0, atol=0.01)
    np.testing.assert_array_equal(run(single, x[:, None], 1, dtype)[0], found.astype(dtype))


@needs_compiler
@pytest.mark.parametrize("labels", [None, ["no", "yes"], ["a", "b", "c"]])
def test_outputs_of_a_row_that_cannot_be_used_are_nan(tmp_path, labels):
    n = 12
    y = np.arange(float(n)) if labels is None else [labels[i % len(labels)] for i in range(n)]
    table = {"a": np.arange(float(n)), "colour": ["red", "blue"] * (n // 2), "y": y}
    state = Preprocessing.fit(table, "y", impute="none", unknown="error")
    model = models.mlp([4], state.n_inputs, state.n_outputs, seed=1)
    state.keep(model)
    function = compiled(model, tmp_path)
    width = 1 if labels is None else len(labels)
    for row in ([math.nan, 0], [math.inf, 0], [1, 2], [1, math.nan]):
        out = np.zeros((1, width), np.float32)  # what an earlier row left
        assert function(pointer(np.array(row, float)), pointer(out)) > 0
        assert np.isnan(out).all()
        if labels is None:
            double = ctypes.CDLL(str(tmp_path / "model.so"))["model_predict_double"]
            out = np.zeros(1)
            assert double(pointer(np.array(row, float)), pointer(out)) > 0 and np.isnan(out[0])
