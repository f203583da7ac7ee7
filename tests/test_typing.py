"""A user's program passes mypy --strict against the installed package, and runs."""

import re
import runpy
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "typing" / "program.py"
WRONG = """
from fastmlp import datasets, models, plots
from fastmlp.sklearn import MLPRegressor

x, y = datasets.regression_train()
model = models.Sequential(seed="one")
model.fit(x, y, epochs="many")
model.predict(x).shape.missing
plots.plot_layers(model).save()
MLPRegressor(hidden_layer_sizes=(3,), max_iter="many")
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """Yield a function that gives the lines with errors, and the errors, of a program."""
    directory = tmp_path_factory.mktemp("typing")

    def check(source):
        (directory / "program.py").write_text(source, encoding="utf-8")
        options = ["--strict", "--config-file=", "--cache-dir=cache", "--no-error-summary"]
        done = subprocess.run(
            [sys.executable, "-m", "mypy", *options, "program.py"],
            cwd=directory,  # not the checkout: what is installed is what is checked
            capture_output=True,
            text=True,
        )
        assert not done.stderr
        return dict(re.findall(r"program\.py:(\d+): error: (.*)", done.stdout)), done

    return check


def test_the_package_says_that_it_is_typed():
    assert resources.files("fastmlp").joinpath("py.typed").is_file()


@pytest.mark.slow
def test_a_users_program_is_strictly_typed(strict):
    errors, done = strict(PROGRAM.read_text(encoding="utf-8"))
    assert errors == {}
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_wrong_types_are_seen(strict):
    errors, _ = strict(WRONG)
    assert list(errors) == ["6", "7", "8", "9", "10"]


@pytest.mark.filterwarnings("ignore::fastmlp.errors.ModelWarning")
def test_the_program_runs(capsys):
    runpy.run_path(str(PROGRAM), run_name="__main__")
    assert capsys.readouterr().out == "0.0 97 True 3\n"
