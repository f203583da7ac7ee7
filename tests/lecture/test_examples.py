"""Each example runs, says what it should, and leaves the figures it names."""

import contextlib
import io
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import fastmlp
from fastmlp import plots

EXAMPLES = Path(__file__).parents[2] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Yield a function that runs an example once, small, and gives its output and figures."""
    done = {}
    save = plots.save
    fastmlp.set_num_threads(1)  # networks this small have no work for two

    def rough(figure, path):
        # Whether figures look well is not asked here: no layout, no ticks, few pixels.
        figure.set_layout_engine("none")
        for ax in figure.axes:
            ax.set_axis_off()
        return save(figure, path, dpi=20)

    def run_once(name, *options):
        if name not in done:
            directory = tmp_path_factory.mktemp(name)
            text = io.StringIO()
            with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
                patch.setattr(sys, "argv", [name, *options, "-o", str(directory)])
                patch.setattr(plots, "save", rough)
                runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
            done[name] = text.getvalue(), directory
        return done[name]

    yield run_once
    fastmlp.set_num_threads(None)


def figures(directory):
    files = sorted(directory.iterdir())
    assert all(path.read_bytes().startswith(PNG) for path in files)
    return {path.stem for path in files}


def numbers(line):
    return [float(x) for x in re.findall(r"-?\d+\.\d+(?:e[-+]?\d+)?", line)]


@pytest.mark.slow
def test_lecture_regression(run):
    text, directory = run("lecture_regression", "--epochs", "2", "--wide", "4")
    names = [
        *("model_2units_a", "model_2units_b", "model_2units_c", "model_8units"),
        *("model_128units", "model_1024units", "model_8192units"),
        *("model_1layer", "model_2layers", "model_3layers", "model_4layers", "model_somany"),
    ]
    penalised = ["regularized_l2_0.01", "regularized_l2_0.001", "regularized_l1_0.0001"]
    assert figures(directory) == {
        "data",
        *names,
        *(f"model_somany_layer{i}" for i in range(1, 6)),
        *("model_somany_before", "model_somany_after", "model_somany_change_points"),
        *penalised,
        *(f"{name}_weights" for name in penalised),
    }
    table = {line.split()[0]: numbers(line) for line in text.splitlines() if "model_" in line}
    assert list(table) == names[2:]
    assert all(len(row) == 2 and min(row) > 0.05 for row in table.values())
    assert re.search(r"The repair changed \d of 4 weights; validation mse 0\.\d+ before", text)
    lines = text.splitlines()
    for name in penalised:
        at = next(i for i, line in enumerate(lines) if line.startswith(name))
        for printed in lines[at + 1 : at + 3]:
            loss, mse = eval(printed)
            assert loss > mse > 0  # the loss includes the penalty


@pytest.mark.slow
def test_lecture_regression_starts_from_the_lectures_weights(run):
    from fastmlp import lecture

    text, _ = run("lecture_regression", "--epochs", "2", "--wide", "4")
    table = {line.split()[0]: numbers(line) for line in text.splitlines() if "model_" in line}
    for name in ("model_1layer", "model_2layers", "model_128units"):
        result = lecture.train(lecture.CATALOGUE[name], 2)
        assert table[name] == pytest.approx([result.train["mse"], result.val["mse"]], rel=1e-5)


def test_lecture_classification(run):
    text, directory = run("lecture_classification", "--epochs", "3", "--units", "5")
    names = ["unpenalized", "l2_0.001", "l2_0.01"]
    assert figures(directory) == {"data", *(f"classifier_{name}" for name in names)}
    assert text.count("Total params: 141") == 3  # 2*5 + 5, four of 5*5 + 5, 5 + 1
    for name in names:
        loss, accuracy = numbers(
            re.search(rf"{re.escape(name)}: validation.*", text)[0][len(name) :]
        )
        assert 0.4 < loss < 1.5
        assert 0.2 < accuracy < 0.95


def test_next_lecture_early_stopping(run):
    text, directory = run("next_lecture_early_stopping", "--epochs", "10", "--units", "8")
    assert figures(directory) == {
        *("model_8x5", "model_8x5_loss", "model_4x5", "model_4x5_loss"),
        *("model_4x5_stopped", "model_4x5_callback", "model_4x5_callback_loss"),
    }
    assert len(re.findall(r"^model_\S+ +0\.\d{5} +0\.\d{5}$", text, re.MULTILINE)) == 4
    assert "EarlyStopping ended training after 10 epochs" in text


def test_next_lecture_ensemble(run):
    text, directory = run(
        "next_lecture_ensemble", "--epochs", "30", "--units", "16", "--members", "3"
    )
    assert figures(directory) == {"ensemble"}
    rows = {line[:12].strip(): numbers(line[12:]) for line in text.splitlines()[1:]}
    assert list(rows) == ["member 1", "member 2", "member 3", "their mean", "ensemble"]
    assert len({tuple(row) for row in rows.values()}) == 5  # the members differ
    # The squared error is convex: the mean prediction's is below the mean of the errors.
    assert rows["ensemble"][0] < rows["their mean"][0]
    assert rows["ensemble"][1] < rows["their mean"][1]


def test_next_lecture_dropout(run):
    text, directory = run("next_lecture_dropout", "--epochs", "50", "--units", "16")
    assert figures(directory) == {
        *("dropout_0.2", "dropout_0.05", "dropout_0.2_network", "dropout_0.05_network"),
    }
    rows = [line.split() for line in text.splitlines()[1:]]
    assert [row[0] for row in rows] == ["0.2", "0.05"]
    assert rows[0][1:] != rows[1][1:]


def test_next_lecture_vanishing_gradients(run):
    text, directory = run("next_lecture_vanishing_gradients", "--epochs", "2")
    assert figures(directory) == {
        *("vanishing_gradients", "model_13layers", "model_14layers", "model_15layers"),
    }
    rows = [numbers(line) for line in text.splitlines() if re.match(r" +\d+ ", line)]
    assert [len(row) for row in rows] == [3] * 14 + [2, 1]
    # The lecture saw 8.6e-11 in the first layer, 2.7e-5 in the ninth and 5.1 in the last.
    deepest = [row[-1] for row in rows]
    assert 1e-12 < deepest[0] < 1e-8
    assert 1e-7 < deepest[8] < 1e-3
    assert 0.5 < deepest[15] < 50


@pytest.mark.filterwarnings("ignore:The least error")
def test_lambda_path(run):
    text, directory = run("lambda_path", "--epochs", "40", "--units", "4", "--lambdas", "4")
    kinds = ("cv", "path", "fits")
    assert figures(directory) == {f"{p}_{kind}" for p in ("l1", "l2") for kind in kinds}
    rows = [line for line in text.splitlines() if ", lambda" in line]
    assert [row.split()[:3:2] for row in rows] == [
        [f"{penalty},", name] for penalty in ("l1", "l2") for name in ("min", "1se", "least")
    ]


def test_examples_run_as_scripts_without_a_display(tmp_path):
    script = EXAMPLES / "next_lecture_ensemble.py"
    options = ["--epochs", "1", "--units", "2", "--members", "1", "-o", "made/here"]
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script), *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ensemble" in result.stdout
    assert result.stderr == ""
    assert (tmp_path / "made" / "here" / "ensemble.png").stat().st_size > 1000


def test_every_example_is_described_and_takes_the_same_options():
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert len(scripts) == 7
    for script in scripts:
        assert f"`{script.name}`" in readme
        source = script.read_text(encoding="utf-8")
        assert '"--epochs"' in source and '"-o"' in source
