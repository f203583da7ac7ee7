"""Pickles and model files of earlier versions load, and hold what they held.

tests/data/make_pickles.py made them, before the modules of fastmlp moved into packages.
"""

import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from fastmlp import ensembles, models

from ..support.sampling import sampled

DATA = Path(__file__).parents[1] / "data"
FOLDER = DATA / "pickles"
VALUES = json.loads((FOLDER / "values.json").read_text())


def maker():
    spec = importlib.util.spec_from_file_location("make_pickles", DATA / "make_pickles.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = maker()


def assert_close(ours, expected):
    """Compare plain values: the same, but for the rounding of floats by other kernels."""
    if isinstance(expected, float):
        assert ours == pytest.approx(expected, rel=1e-4, abs=1e-6, nan_ok=True)
    elif isinstance(expected, dict):
        assert ours.keys() == expected.keys()
        for key, value in expected.items():
            assert_close(ours[key], value)
    elif isinstance(expected, list):
        assert len(ours) == len(expected)
        for one, other in zip(ours, expected, strict=True):
            assert_close(one, other)
    else:
        assert ours == expected


def test_every_object_has_its_pickle():
    assert {path.stem for path in FOLDER.glob("*.pickle")} == MAKER.objects().keys()
    assert VALUES.keys() - {"resumed"} == MAKER.objects().keys()


@pytest.mark.parametrize("name", sorted(MAKER.objects()))
def test_pickles_load(name):
    thing = pickle.loads((FOLDER / f"{name}.pickle").read_bytes())
    assert_close(MAKER.figures(thing), VALUES[name])
    assert_close(MAKER.figures(pickle.loads(pickle.dumps(thing))), VALUES[name])


@pytest.mark.parametrize(
    "name", sampled(2, ["model", "ensemble", "linear_path", "regressor", "table"])
)
def test_pickles_load_in_a_fresh_process(name):
    code = f"import pickle; print(pickle.load(open({str(FOLDER / name)!r} + '.pickle', 'rb')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["model", "ensemble"])
def test_files_load(name):
    thing = models.load_model(FOLDER / f"{name}.fmlp")
    assert isinstance(thing, ensembles.Ensemble if name == "ensemble" else models.Sequential)
    assert_close(MAKER.figures(thing), VALUES[name])


def test_checkpoints_resume(tmp_path):
    file = tmp_path / "checkpoint.fmlp"
    file.write_bytes((FOLDER / "checkpoint.fmlp").read_bytes())
    model = models.resume(file)
    history = model.fit(MAKER.X, MAKER.Y, callbacks=[MAKER.Stop(after=99)], verbose=0)
    assert history.epoch == list(range(6))
    assert_close(MAKER.figures(model), VALUES["resumed"])


def test_modules_that_never_were_are_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'fastmlp\.nothing'"):
        importlib.import_module("fastmlp.nothing")
    with pytest.raises(AttributeError, match=r"'fastmlp\._callback' has no attribute 'Nothing'"):
        importlib.import_module("fastmlp._callback").Nothing  # noqa: B018
