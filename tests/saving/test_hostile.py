"""Damaged and hostile files of every format: one typed error each, nothing run, memory bounded."""

import io
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import fastmlp
from fastmlp import losses, models
from fastmlp._saving import fmlp, history, untrusted
from fastmlp._saving.export import to_bytes
from fastmlp.ensembles import _file
from fastmlp.preprocessing import Preprocessing

from .files import hdf5, numbered, old_weights, whole

FORMATS = ["fmlp", "keras", "h5", "weights.h5", "safetensors"]
pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def trained():
    model = models.mlp([3, 2], 3, 1, activation=["relu", "gelu"], seed=7, dropout=0.1)
    model.compile("adam", losses.Huber(0.5), metrics=["mse"])
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(20, 3)), rng.normal(size=(20, 1)), epochs=2, verbose=0)
    return model


def of_a_table():
    table = {"a": [1.0, None, 3.0], "c": ["x", "y", "x"], "y": ["n", "m", "n"]}
    state = Preprocessing.fit(table, "y", standardize=True, impute="mean", indicator=True)
    model = models.mlp([2], state.n_inputs, 1, output_activation="sigmoid", seed=1)
    state.keep(model)
    return model


def long_history():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_MOST_VALUES", 3)
        return fmlp.to_bytes(trained())


def several():
    """Return an ensemble's file: two architectures, folds, and losses."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    made = fastmlp.ensemble(x, y, ["2", "2x2"], 1, folds=2, epochs=2, seed=1, verbose=0)
    return _file.to_bytes(made)


def sound(kind):
    """Return small files of a format, by name."""
    model = models.mlp([3, 2], 2, 1, activation="tanh", l2=0.1, dropout=0.2, seed=1)
    if kind == "fmlp":
        files = [
            fmlp.to_bytes(trained()),
            fmlp.to_bytes(of_a_table()),
            long_history(),
            several(),
        ]
    elif kind == "safetensors":
        arrays = {"fc1.weight": np.ones((2, 3), "f4"), "out.weight": np.ones((1, 2), "f4")}
        files = [to_bytes(model, "torch"), save(arrays)]
    else:
        pytest.importorskip("h5py")
        if kind == "keras":
            files = [to_bytes(model, "keras")]
        elif kind == "h5":
            files = [hdf5(lambda file: whole(file, model))]
        else:
            files = [hdf5(numbered), hdf5(lambda file: old_weights(file, model))]
    return {f"{i}.{kind}": data for i, data in enumerate(files)}


def watched(directory, files, what, start=0, stop=0):
    """Read files in a process that watches itself; return its report."""
    directory.mkdir(exist_ok=True)
    for name, data in files.items():
        (directory / name).write_bytes(data)
    script = Path(__file__).with_name("hostile.py")
    command = [sys.executable, str(script), str(directory), what, str(start), str(stop)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    report = json.loads(done.stdout)
    assert report["wrong"] == [] and report["slowest"] < 30  # seconds of the processor
    return report


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 47])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_at_any_byte_is_refused(tmp_path, kind, step):
    files = sound(kind)
    report = watched(tmp_path, files, "cut", 0, step)
    n_lengths = sum(len(range(0, len(data), step)) for data in files.values())
    assert report["models"] == 0 and report["refused"] == n_lengths > 12


def test_files_are_cut_as_often_as_the_documentation_says():
    assert sum(len(data) for kind in FORMATS for data in sound(kind).values()) > 60_000


@pytest.mark.parametrize("kind", FORMATS)
def test_mutated_files(tmp_path, kind):
    report = watched(tmp_path, sound(kind), "mutate", 0, 60)
    # Some changes do no harm, such as other weights; most are noticed.
    assert report["models"] + report["refused"] == 60 and report["refused"] > 15


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", FORMATS)
def test_ten_thousand_mutated_files(tmp_path, kind):
    report = watched(tmp_path, sound(kind), "mutate", 1000, 11_000)
    assert report["models"] + report["refused"] == 10_000 and report["refused"] > 3000


# ---- bombs: small files that describe much -------------------------------------------------------


def tensors(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def archive(config=None, weights=None, compression=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        if config is not None:
            file.writestr("config.json", config)
        if weights is not None:
            file.writestr("model.weights.h5", weights)
    return made.getvalue()


def many(text, ends=b"[]"):
    """Return a JSON list, or other, of as many equal items as the reader just lets pass."""
    cost = sum(weight * text.count(sign.encode()) for sign, weight in untrusted._COSTS.items())
    times = int(0.98 * untrusted._SPARE / (cost + untrusted._COSTS[","]))
    items = (
        b",".join([text] * times)
        if b"%" not in text
        else b",".join(map(text.__mod__, range(times)))
    )
    return ends[:1] + items + ends[1:]


def many_layers(n):
    names = {f"{i}.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [4 * i, 4 * i + 4]}
             for i in range(n)}  # fmt: skip
    return tensors(names, bytes(4 * n))


def overlapping(n=50):
    def write(file):
        file.create_group("layers/dense/vars")["0"] = np.ones((500, 500), "f4")
        for i in range(1, n):
            file.create_group(f"layers/dense_{i}/vars")["0"] = file["layers/dense/vars/0"]

    return hdf5(write)


def long_attribute(text):
    def write(file):
        file.attrs["model_config"] = text
        file.create_group("model_weights")

    return hdf5(write)


LITTLE = [b"[]", b"{}", b'{"a":0}', b"0", b"0.5", b'"ab"', b"[0]", b'{"a":{}}', b'"\\u1234"']


def lists(texts):
    """Return files of every kind with the longest list of each of these."""
    files = {}
    for i, text in enumerate(texts):
        text = many(text)
        files[f"list{i}.safetensors"] = tensors(b'{"a":' + text + b"}")
        files[f"list{i}.keras"] = archive(b'{"a":' + text + b"}", b"", zipfile.ZIP_STORED)
        inner = json.dumps(f'{{"version": 1, "layers": {text.decode()}}}').encode()
        files[f"list{i}.fmlp"] = tensors(b'{"__metadata__":{"fastmlp":%s}}' % inner)
    return files


def little_bombs():
    huge = {"a.weight": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}
    none = {"a.weight": {"dtype": "F32", "shape": [0] * 10**6, "data_offsets": [0, 0]}}
    layers = json.dumps({"layers": [{}] * 200_000})
    return {
        "huge.safetensors": tensors(huge, bytes(8)),
        "shapes.safetensors": tensors(none),
        "layers.safetensors": many_layers(100_000),
        "deep.safetensors": tensors(b'{"a":' * 10**6),
        "names.keras": archive(b"[" * 10**6, b""),
        "empty.keras": b"PK\x03\x04" + b"\0" * 100,
        "overlap.h5": overlapping(),
        "deep.h5": long_attribute("[" * 3000),
        "layers.fmlp": tensors({"__metadata__": {"fastmlp": layers}}),
    }


def bombs():
    return little_bombs() | {
        "most.safetensors": many_layers(4096),
        "keys.safetensors": tensors(many(b'"%07d":0', b"{}")),
        "more_keys.safetensors": tensors(many(b'"%07d"').replace(b",", b":0,").replace(b"[", b"{")
                                         .replace(b"]", b":0}")),
        "wide.safetensors": tensors('{"é😀":"'.encode() + "😀".encode() * 5_000_000 + b'"}'),
        "spaces.safetensors": tensors(b" " * 60_000_000),
        "spaces.fmlp": tensors({"__metadata__": {"fastmlp": " " * 59_000_000}}),
        "spaces.h5": long_attribute(" " * 20_000_000),
        "wide.h5": long_attribute("😀" * 4_000_000),
        "digits.safetensors": tensors(b'{"a":' + b"9" * 5_000_000 + b"}"),
        "zeros.keras": archive(b"{}", bytes(100_000_000)),
        "config.keras": archive(b" " * 100_000_000, b""),
    }  # fmt: skip


def test_little_bombs(tmp_path):
    pytest.importorskip("h5py")
    files = little_bombs()
    assert watched(tmp_path, files, "asis")["refused"] == len(files)


@pytest.mark.slow
def test_bombs(tmp_path):
    pytest.importorskip("h5py")
    files = bombs() | lists(LITTLE)
    assert len(files) == 47  # as the documentation says
    report = watched(tmp_path, files, "asis")
    assert report["models"] == 1 and report["refused"] == len(files) - 1


# ---- large sound files ---------------------------------------------------------------------------


def large(to):
    if to == "ensemble":
        x, y = np.ones((8, 1)), np.ones((8, 1))
        made = fastmlp.ensemble(x, y, "720x2", 10, epochs=1, seed=1, verbose=0)
        return _file.to_bytes(made)
    model = models.mlp([2000, 2000], 1000, 10, seed=1)
    return fmlp.to_bytes(model) if to == "fmlp" else to_bytes(model, to)


def test_a_long_history_takes_twice_its_size(tmp_path):
    model = trained()
    model.history.epoch = list(range(1_000_000))
    model.history.history = {name: [0.1 * i for i in range(1_000_000)] for name in ("loss", "mae")}
    data = fmlp.to_bytes(model)
    assert len(data) > 24_000_000
    assert watched(tmp_path, {"long.fmlp": data}, "asis")["models"] == 1


@pytest.mark.parametrize("to", ["fmlp", "keras", "torch", "ensemble"])
def test_a_large_file_takes_twice_its_size(tmp_path, to):
    if to == "keras":
        pytest.importorskip("h5py")
    data = large(to)
    assert len(data) > 20_000_000
    suffix = "fmlp" if to == "ensemble" else to
    assert watched(tmp_path, {f"large.{suffix}": data}, "asis")["models"] == 1
