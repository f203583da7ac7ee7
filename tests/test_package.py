"""What is installed is what is tested, and importing it stays cheap."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastmlp

CHECKOUT = Path(__file__).resolve().parents[1]


def is_editable():
    url = metadata.distribution("fastmlp").read_text("direct_url.json") or ""
    return '"editable": true' in url


def test_the_installed_package_is_tested():
    from fastmlp import cli
    from fastmlp._kernels import cpu

    assert Path(cpu.__file__).suffix in {".so", ".pyd"}
    assert cli.__name__ == "fastmlp.cli"
    if not is_editable():
        assert CHECKOUT / "fastmlp" not in Path(fastmlp.__file__).resolve().parents


def test_python_m_pytest_tests_the_installed_package_too():
    code = "tests/test_package.py::test_the_installed_package_is_tested"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("given", "several"),
    [
        ({}, True),
        ({"args_source": pytest.Config.ArgsSource.ARGS}, False),
        ({"keyword": "layers"}, False),
        ({"markexpr": "slow"}, False),
    ],
)
def test_only_the_default_run_takes_several_processes(given, several, monkeypatch, request):
    conftest = request.config.pluginmanager.get_plugin(str(CHECKOUT / "conftest.py"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(9)), raising=False)
    default = next(one for one in request.config.getini("addopts") if one.startswith("not slow"))
    option = SimpleNamespace(**({"keyword": "", "markexpr": default} | given))
    source = given.get("args_source", pytest.Config.ArgsSource.TESTPATHS)
    config = SimpleNamespace(args_source=source, option=option)
    assert conftest.pytest_xdist_auto_num_workers(config) == (4 if several else 0)


def run_python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT.parent,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


COMMAND = """
from fastmlp.cli import main
sys.argv = "fastmlp {}".split()
try:
    main()
except SystemExit as end:
    assert not end.code
"""
# What no start may wait for: each is imported where it is used.
HEAVY = {"click", "difflib", "joblib", "matplotlib", "pandas", "pyarrow", "rich", "safetensors"}
HEAVY |= {"scipy", "secrets", "sklearn", "threadpoolctl"}


def imported(code, before="pass"):
    """Return what a fresh interpreter imports for `code`, over what `before` had imported."""
    lines = ["import sys", before, "had = set(sys.modules)", code, "print(*set(sys.modules) - had)"]
    return set(run_python("\n".join(lines)).splitlines()[-1].split())


@pytest.mark.parametrize("code", ["import fastmlp", "from fastmlp import lecture, threads"])
def test_the_package_imports_no_numpy(code):
    assert not imported(code) & {"numpy", *HEAVY}


@pytest.mark.parametrize("name", ["models", "layers, losses, optimizers, callbacks", "plots"])
def test_modules_import_numpy_and_little_else(name):
    found = imported(f"from fastmlp import {name}", before="import numpy")
    assert not found & {"numpy.random", *HEAVY}


def test_what_every_command_on_a_model_file_imports_needs_no_scipy():
    found = imported("from fastmlp import ensembles, tabular", before="import numpy.random")
    assert not found & HEAVY


@pytest.mark.parametrize("arguments", ["--help", "--version", "train --help"])
def test_commands_answer_without_numpy(arguments):
    assert not imported(COMMAND.format(arguments)) & {"numpy", *HEAVY} - {"click", "difflib"}


@pytest.mark.parametrize("options", ["--json", "--dry-run"])
def test_training_imports_only_what_it_uses(options):
    found = imported(COMMAND.format(f"train --units 4 --epochs 2 {options}"))
    assert "numpy" in found
    assert not found & {"matplotlib", "pandas", "rich", "safetensors", "scipy", "sklearn"}


def test_every_public_name_resolves():
    code = (
        "import fastmlp; print([getattr(fastmlp, n) is None for n in fastmlp.__all__].count(True))"
    )
    assert run_python(code) == "0"


def test_version_is_the_distributions():
    assert fastmlp.__version__ == metadata.version("fastmlp")


def test_the_citation_names_this_version():
    text = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {fastmlp.__version__}\n" in text
