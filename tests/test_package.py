"""What is installed is what is tested, and importing it stays cheap."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

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


def test_import_loads_no_numpy():
    assert run_python("import fastmlp, sys; print('numpy' in sys.modules)") == "False"


def test_models_load_no_matplotlib_and_no_click():
    code = (
        "from fastmlp import models; import sys; print({'matplotlib', 'click'} & set(sys.modules))"
    )
    assert run_python(code) == "set()"


def test_every_public_name_resolves():
    code = (
        "import fastmlp; print([getattr(fastmlp, n) is None for n in fastmlp.__all__].count(True))"
    )
    assert run_python(code) == "0"


def test_version_is_the_distributions():
    assert fastmlp.__version__ == metadata.version("fastmlp")
