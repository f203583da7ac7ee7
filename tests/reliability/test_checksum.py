"""A flipped bit in a model file is noticed, or changes nothing that the file says."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastmlp
from fastmlp import models
from fastmlp._saving import fmlp, history
from fastmlp._saving.untrusted import safetensors_bytes
from fastmlp.ensembles import _file
from fastmlp.errors import ModelFileError

pytestmark = pytest.mark.reliability
X = np.linspace(-1, 1, 12).reshape(-1, 2)


def trained(**options):
    model = models.mlp([3], 2, 1, seed=1)
    model.compile("adam", "mean_squared_error")
    model.fit(X, X[:, :1], epochs=2, verbose=0, **options)
    return model


def plain(directory):
    return fmlp.to_bytes(trained())


def long_history(directory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_MOST_VALUES", 1)
        return fmlp.to_bytes(trained())


def checkpoint(directory):
    trained(checkpoint=directory / "run.fmlp")
    return (directory / "run.fmlp").read_bytes()


def ensemble(directory):
    made = fastmlp.ensemble(X, X[:, :1], ["2"], 2, epochs=1, seed=1, verbose=0)
    return _file.to_bytes(made)


KINDS = [plain, long_history, checkpoint, ensemble]


def said(data):
    """Return all that a file says: its description, its arrays, and predictions."""
    table, arrays = fmlp._read(data)
    loaded = models.from_bytes(data)
    values = {name: array.tobytes() for name, array in arrays.items()}
    return table, values, np.asarray(loaded.predict(X, verbose=0)).tobytes()


def unnoticed(data, bits):
    """Flip bits, one at a time; return how often that did no harm, and where it did."""
    sound, harmless, wrong = said(data), 0, []
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = said(bytes(changed))
        except (ModelFileError, *fmlp.WRONG):
            continue
        harmless += 1
        if found != sound:
            wrong.append(bit)
    return harmless, wrong


@pytest.mark.parametrize("make", KINDS)
def test_flipped_bits(tmp_path, make):
    data = make(tmp_path)
    bits = range(0, 8 * len(data), 61)  # coprime to 8: every bit of a byte has its turn
    harmless, wrong = unnoticed(data, bits)
    assert wrong == [] and harmless < len(bits) // 100


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("make", KINDS)
def test_every_flipped_bit(tmp_path, make):
    data = make(tmp_path)
    harmless, wrong = unnoticed(data, range(8 * len(data)))
    # Those in the word "checksum" alone do no harm.
    assert wrong == [] and harmless <= 8 * len("checksum")


def test_without_the_checksum_flipped_bits_are_not_noticed(tmp_path):
    """What the tests above are there for; and files of before are read."""
    old = without_checksum(plain(tmp_path))
    _, wrong = unnoticed(old, range(0, 8 * len(old), 61))
    assert len(wrong) > 20


def without_checksum(data):
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n])
    del header["__metadata__"]["checksum"]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + n :]


@pytest.mark.parametrize("make", KINDS)
def test_files_of_before_are_read(tmp_path, make):
    data = make(tmp_path)
    old = without_checksum(data)
    assert b'"checksum"' in data and b'"checksum"' not in old
    assert said(old) == said(data)


def test_the_error_names_the_file_and_what_to_do(tmp_path):
    path = tmp_path / "model.fmlp"
    data = bytearray(plain(tmp_path))
    data[-1] ^= 1
    path.write_bytes(data)
    for read in (models.load_model, models.resume):
        with pytest.raises(ModelFileError, match=r"model\.fmlp .*does not match its checksum"):
            read(path)


def test_a_file_that_safetensors_writes_again_is_read(tmp_path):
    """The checksum does not depend on the order in which arrays and keys are written."""
    numpy = pytest.importorskip("safetensors.numpy")
    data = long_history(tmp_path)
    again = numpy.save(numpy.load(data), fmlp.safetensors(data)[0])
    assert said(again) == said(data)


def test_the_bytes_are_those_of_the_safetensors_library():
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {
        "b": np.arange(6, dtype="f4").reshape(2, 3),
        "a": np.ones(3, "f8"),
        "c": np.zeros((0, 4), "f4"),
    }
    assert safetensors_bytes(arrays, {"k": "v"}) == numpy.save(arrays, {"k": "v"})
