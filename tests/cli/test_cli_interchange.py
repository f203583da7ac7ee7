"""`fastmlp export` and `import`: files, formats, notes, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp import interchange, models
from fastmlp._saving.export import TARGETS, to_bytes


@pytest.fixture
def classifier(run, flowers):
    args = ("--units", 8, "--epochs", 30, "--seed", 1, "-o", "cls.fmlp", "-q")
    assert run("train", flowers, *args).code == 0
    return "cls.fmlp"


def save(name="plain.fmlp", **kwargs):
    model = models.mlp([4, 3], 2, 1, activation="tanh", seed=1, **kwargs)
    model.save(name)
    return model


@pytest.mark.parametrize("to", ["c", "torch"])
def test_a_model_is_written(run, tmp_path, to):
    save()
    outcome = run("export", "plain.fmlp", "--to", to, "-o", "out")
    assert outcome.code == 0 and outcome.out == ""
    data = (tmp_path / "out").read_bytes()
    assert data == to_bytes(models.load_model("plain.fmlp"), to)
    assert f"Wrote {len(data):,} bytes to out." in outcome.err
    again = run("export", "plain.fmlp", "--to", to, "-o", "out")
    assert again.code == 1 and "the file exists; --force replaces it" in again.error
    assert run("export", "plain.fmlp", "--to", to, "-o", "out", "--force", "-q").err == ""


@pytest.mark.parametrize(
    ("suffix", "needs", "begins"),
    [(".onnx", "onnx", b"\x08"), (".keras", "h5py", b"PK"), (".safetensors", "json", None),
     (".C", "json", b"/* A multilayer")],
)  # fmt: skip
def test_the_suffix_tells_the_format(run, tmp_path, suffix, needs, begins):
    pytest.importorskip(needs)
    save()
    assert run("export", "plain.fmlp", "-o", f"out{suffix}").code == 0
    assert begins is None or (tmp_path / f"out{suffix}").read_bytes().startswith(begins)


def test_the_module_that_loads_a_state_dict_is_shown(run):
    save()
    module = interchange.torch_module(models.load_model("plain.fmlp"))
    outcome = run("export", "plain.fmlp", "--to", "torch", "-o", "a.safetensors")
    assert f"Load it into {module}\n" in outcome.err
    outcome = run("export", "plain.fmlp", "--to", "torch", "-o", "b.safetensors", "--json")
    document = json.loads(outcome.out)
    assert document["module"] == module and document["preprocessing"] is False


def test_preprocessing_that_is_left_out_is_said(run, classifier):
    for to, said in [("torch", True), ("c", False)]:
        outcome = run("export", classifier, "--to", to, "-o", f"out.{to}")
        assert ("The file has no preprocessing" in outcome.err) == said
    document = json.loads(run("export", classifier, "-o", "o.c", "--json").out)
    assert document["preprocessing"] is True and document["to"] == "c"


def test_names_in_c(run, tmp_path):
    save()
    assert run("export", "plain.fmlp", "-o", "a.c", "--name", "price").code == 0
    text = (tmp_path / "a.c").read_text()
    assert "void price_predict(const float *x, float *y);" in text and "PRICE_INPUTS 2" in text
    outcome = run("export", "plain.fmlp", "-o", "b.c", "--name", "1 x")
    assert outcome.code == 2 and "name must be a C identifier" in outcome.err
    outcome = run("export", "plain.fmlp", "--to", "torch", "-o", "b", "--name", "x")
    assert outcome.code == 2 and "--name needs --to c. Received: --to torch" in outcome.err


def test_standard_output(run):
    save()
    outcome = run("export", "plain.fmlp", "--to", "c", "-o", "-")
    assert outcome.out == to_bytes(models.load_model("plain.fmlp"), "c").decode()
    assert outcome.err == ""
    outcome = run("export", "plain.fmlp", "--to", "c", "-o", "-", "--json")
    assert outcome.code == 2 and "both write to standard output" in outcome.err


def test_an_ensemble_is_exported_with_its_preprocessing(run, flowers, tmp_path):
    args = ("--units", 4, "--members", 2, "--epochs", 1, "--seed", 1, "-o", "two.fmlp", "-q")
    assert run("ensemble", flowers, *args).code == 0
    outcome = run("export", "two.fmlp", "-o", "two.c", "--name", "two", "--json")
    assert outcome.code == 0 and json.loads(outcome.out)["preprocessing"] is True
    data = (tmp_path / "two.c").read_bytes()
    assert data == to_bytes(models.load_model("two.fmlp"), "c", "two")
    assert data.startswith(b"/* The mean of 2 multilayer perceptrons")
    for to, library in [("keras", "Keras"), ("torch", "PyTorch")]:
        outcome = run("export", "two.fmlp", "--to", to, "-o", "no")
        assert outcome.code == 4 and not (tmp_path / "no").exists()
        assert f"a file for {library} holds a single network. Received: an ense" in outcome.error
        assert "Export it to ONNX or C, or one of its members" in outcome.error
    outcome = run("export", "two.fmlp", "-o", "b.c", "--name", "1 x")
    assert outcome.code == 2 and "name must be a C identifier" in outcome.err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["none.fmlp", "-o", "a.c"], 4, "Cannot read model file none.fmlp"),
        (["plain.fmlp", "-o", "a.xyz"], 2, "the format must be named, or follow from a suffix"),
        (["plain.fmlp", "--to", "tflite", "-o", "a"], 2, "'tflite' is not one of"),
        (["plain.fmlp", "--to", "c"], 2, "Missing option '-o'"),
        (["plain.fmlp", "--to", "c", "-o", "no/a.c"], 1, "there is no such directory"),
        (["junk", "--to", "c", "-o", "a.c"], 4, "junk is not a usable model file"),
    ],
)
def test_what_cannot_be_exported(run, write, args, code, message):
    save()
    write("junk", b"junk")
    outcome = run("export", *args)
    assert outcome.code == code and message in outcome.err
    assert "Traceback" not in outcome.err


def test_a_package_that_is_missing_is_named(run, monkeypatch):
    import sys

    save()
    for name, package, extra in [("a.onnx", "onnx", "onnx"), ("a.keras", "h5py", "keras")]:
        monkeypatch.setitem(sys.modules, package, None)
        outcome = run("export", "plain.fmlp", "-o", name)
        assert outcome.code == 4
        wanted = f"needs {package}, which is not installed: pip install 'fastmlp[{extra}]'"
        assert wanted in outcome.error


# ---- import --------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["keras", "torch"])
def test_there_and_back(run, write, tmp_path, to):
    if to == "keras":
        pytest.importorskip("h5py")
    model = save()
    assert run("export", "plain.fmlp", "--to", to, "-o", "out").code == 0
    outcome = run("import", "out", "-o", "back.fmlp")
    assert outcome.code == 0
    assert outcome.err == "Wrote back.fmlp: 2 inputs, then 4 tanh, 3 tanh, 1 linear.\n"
    x = np.random.default_rng(0).normal(size=(9, 2))
    back = models.load_model("back.fmlp")
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    again = run("import", "out", "-o", "back.fmlp")
    assert again.code == 1 and "the file exists; --force replaces it" in again.error
    first = (tmp_path / "back.fmlp").read_bytes()
    document = json.loads(run("import", "out", "-o", "back.fmlp", "--force", "--json", "-q").out)
    assert document["units"] == [4, 3, 1] and document["activations"] == ["tanh", "tanh", "linear"]
    assert len((tmp_path / "back.fmlp").read_bytes()) == len(first)
    # And it predicts for a table of as many columns.
    write("two.csv", "a,b\n1,2\n3,4\n")
    outcome = run("predict", "back.fmlp", "two.csv")
    assert outcome.code == 0 and len(outcome.out.splitlines()) == 3


def test_activations_and_layers_are_given(run, write):
    from safetensors.numpy import save as arrays

    eye = np.eye(2, dtype="f4")
    write("w.safetensors", arrays({"in.weight": eye, "mid.weight": 2 * eye, "out.weight": 3 * eye}))
    outcome = run("import", "w.safetensors", "-o", "m.fmlp")
    assert outcome.code == 4 and "the order of its layers is not clear" in outcome.error
    args = ("--layers", "mid, out,in", "--activation", "tanh,elu", "--output-activation", "softmax")
    assert run("import", "w.safetensors", "-o", "m.fmlp", *args).code == 0
    model = models.load_model("m.fmlp")
    assert [d.activation for d in model.dense_layers] == ["tanh", "elu", "softmax"]
    assert [w[0, 0] for w in model.get_weights()] == [2, 3, 1]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["none.keras"], 4, "Cannot read model file none.keras"),
        (["junk"], 4, "junk is not a usable model file: it is cut off"),
        (["plain.fmlp"], 4, "it is already a model of fastmlp"),
        (["net", "--activation", "rel"], 2, "Unknown activation: 'rel'. Did you mean 'relu'?"),
        (["net", "--activation", "relu,relu,relu"], 2, "activation must hold one value, or one"),
        (["net", "--layers", "a,b"], 2, "layers must name each of '0', '2', '4' once"),
    ],
)
def test_what_cannot_be_imported(run, write, tmp_path, args, code, message):
    write("net", to_bytes(save(), "torch"))
    write("junk", b"junk and more of it")
    outcome = run("import", *args, "-o", "new.fmlp")
    assert outcome.code == code and message in outcome.err
    assert "Traceback" not in outcome.err and not (tmp_path / "new.fmlp").exists()


def test_the_options_list_the_librarys_names():
    from fastmlp.cli.export import FORMATS

    assert tuple(TARGETS) == FORMATS
