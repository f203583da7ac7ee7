"""`fastmlp inspect` and `fastmlp summary --verbose`: what is inside a model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastmlp import datasets, inspection, lecture, metrics, models
from fastmlp.cli import inspect


def document(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


@pytest.fixture
def model(kept, numbers):
    """A regression model of columns a and b, standardised."""
    args = ("--units", 8, "--epochs", 200, "--seed", 1, "--validation-split", 0, "-q")
    return kept("m.fmlp", "train", numbers, *args)


@pytest.fixture
def classifier(kept, flowers):
    """A classifier of three kinds, with a column of text among its inputs."""
    args = ("--units", 16, "--epochs", 200, "--seed", 1, "--validation-split", 0, "-q")
    return kept("k.fmlp", "train", flowers, *args)


# ---- importance --------------------------------------------------------------------------------


def test_the_metrics_restated_for_completion_are_the_librarys():
    for name in inspect.METRICS:
        assert metrics.get(name).name == name


def test_importance_by_column_in_the_targets_units(run, numbers, model):
    found = document(run("inspect", model, numbers, "--seed", 0, "--json"))
    assert (found["metric"], found["rows"], found["repeats"], found["seed"]) == ("mse", 30, 10, 0)
    evaluated = document(run("evaluate", model, numbers, "--json"))["mse"]
    assert found["value"] == pytest.approx(evaluated, rel=1e-5)
    assert [entry["column"] for entry in found["columns"]] == ["a", "b"]
    # Shuffling a adds twice its variance, about 150: y = a - 2 b + 1.
    assert 75 < found["columns"][0]["importance"] < 250
    assert found["columns"][0]["deviation"] > 0
    mae = document(run("inspect", model, numbers, "--json", "--metric", "mae", "--seed", 0))
    assert (mae["metric"], mae["larger_is_better"]) == ("mae", False)
    assert 4 < mae["columns"][0]["importance"] < 20


def test_the_table_says_the_same(run, numbers, model):
    found = document(run("inspect", model, numbers, "--json", "--repeats", 3, "--seed", 5))
    outcome = run("inspect", model, numbers, "--repeats", 3, "--seed", 5)
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    assert "rise of mse" in lines[1]
    for line, entry in zip(lines[3:5], found["columns"], strict=True):
        name, mean, deviation = line.split()
        assert name == entry["column"]
        assert float(mean) == pytest.approx(entry["importance"], rel=1e-3)
        assert float(deviation) == pytest.approx(entry["deviation"], rel=1e-3)
    assert lines[-1].endswith("3 shuffles of each column, seed 5")


def test_a_column_of_categories_is_one(run, flowers, classifier):
    found = document(run("inspect", classifier, flowers, "--json", "--seed", 0))
    assert (found["metric"], found["larger_is_better"]) == ("accuracy", True)
    names = {entry["column"] for entry in found["columns"]}
    assert names == {"height", "width", "colour"}
    assert found["columns"][0]["column"] == "height"  # which says the kind
    assert found["columns"][0]["importance"] > 0.3
    assert "fall of accuracy" in run("inspect", classifier, flowers).out


def test_figures(run, numbers, flowers, model, classifier, tmp_path):
    for path, data in ((model, numbers), (classifier, flowers)):
        outcome = run("inspect", path, data, "-o", "figures", "--force")
        assert outcome.code == 0
        assert outcome.err == "Wrote importance.png, dependence.png to figures.\n"
        for name in ("importance.png", "dependence.png"):
            assert (tmp_path / "figures" / name).read_bytes().startswith(b"\x89PNG")
    outcome = run("inspect", model, numbers, "-o", "figures")
    assert outcome.code == 1
    assert outcome.error.endswith("importance.png: the file exists; --force replaces it")
    assert outcome.out == ""


def test_the_drawn_dependence_is_in_the_tables_terms(run, numbers, flowers, model, classifier,
                                                     monkeypatch):  # fmt: skip
    from fastmlp import plots

    drawn = []
    real = plots.plot_partial_dependence

    def note(several, **options):
        drawn.append((several, options))
        return real(several, **options)

    monkeypatch.setattr(plots, "plot_partial_dependence", note)
    run("inspect", model, numbers, "-o", "one", "-q")
    (first, second), options = drawn[0]
    assert (first.features[0].name, second.features[0].name) == ("a", "b")
    assert options["y_label"] == "predicted y"
    np.testing.assert_allclose(first.grid[0][[0, -1]], [0, 29], atol=1e-4)
    mean_b = np.mean([(7 * i) % 11 for i in range(30)])
    middle = first.average[len(first.average) // 2, 0]
    assert middle == pytest.approx(first.grid[0][len(first.average) // 2] - 2 * mean_b + 1, abs=2)
    run("inspect", classifier, flowers, "-o", "two", "-q")
    several, options = drawn[1]
    assert options["y_label"] == "probability"
    assert sorted(options["output_names"]) == ["iris", "lily", "rose"]
    colour = next(one for one in several if one.features[0].name == "colour")
    assert colour.features[0].categories == ("red", "white")
    np.testing.assert_allclose(colour.average.sum(axis=1), 1, rtol=1e-5)


def test_the_drawn_dependence_is_of_some_rows_of_many(run, numbers, model, monkeypatch):
    monkeypatch.setattr(inspect, "MOST_ROWS", 7)
    seen = []
    real = inspection.partial_dependence

    def note(model, x, *args, **options):
        seen.append(len(x))
        return real(model, x, *args, **options)

    monkeypatch.setattr(inspection, "partial_dependence", note)
    assert run("inspect", model, numbers, "-o", "figures", "-q").code == 0
    assert seen == [7, 7]


def test_a_model_without_names_takes_the_tables(run, numbers):
    plain = models.mlp([4], 2, 1, seed=1)
    plain.compile("adam", "mse")
    plain.save("plain.fmlp")
    found = document(run("inspect", "plain.fmlp", numbers, "--json", "--seed", 0))
    assert {entry["column"] for entry in found["columns"]} == {"a", "b"}


# ---- layers ------------------------------------------------------------------------------------


@pytest.fixture
def deep(run):
    """Fifteen layers of the lecture, at their start, and its training data."""
    entry = lecture.Entry("deep", "regression", (32,) * 15, 0.0, 0.0, 65392, 16, 0, {})
    lecture.build(entry).save("deep.fmlp")
    run("datasets", "regression_train", "-o", "train.csv")
    return "deep.fmlp"


def test_layers_of_the_deep_network_are_named_vanishing(run, deep):
    found = document(run("inspect", deep, "train.csv", "--layers", "--json"))
    assert found["verdict"].startswith("Vanishing gradients: ")
    assert [layer["name"] for layer in found["layers"]] == [f"dense_{i}" for i in range(1, 17)]
    assert found["layers"][0]["verdict"] == "vanishing gradient"
    assert found["layers"][0]["saturated"] is None
    out = run("inspect", deep, "train.csv", "--layers").out
    assert out.count("vanishing gradient") == 9
    assert " ".join(out.split()).endswith(found["verdict"])
    assert "saturated" not in out


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_layers_fit_the_terminal(run, deep, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run("inspect", deep, "train.csv", "--layers").out.splitlines()
    assert max(map(len, lines)) <= max(width, 80)
    assert "…" not in "".join(lines)


def test_a_healthy_network(run, write):
    x, y = datasets.classification_train()
    rows = "\n".join(f"{a},{b},{int(c)}" for (a, b), c in zip(x, y[:, 0], strict=True))
    write("c.csv", f"x1,x2,y\n{rows}\n")
    args = ("--units", "16x3", "--activation", "tanh", "--epochs", 20, "--seed", 1)
    run("train", "c.csv", *args, "--l2", "0.01", "-o", "m.fmlp", "-q")
    outcome = run("inspect", "m.fmlp", "c.csv", "--layers", "-o", ".")
    assert outcome.code == 0
    assert outcome.err == "Wrote layers.png to ..\n"
    assert "saturated" in outcome.out
    assert outcome.out.splitlines()[-1] == "Healthy: gradients of a usable size reach every layer."


# ---- what is refused ---------------------------------------------------------------------------


def test_wrong_usage(run, write, numbers, model):
    outcome = run("inspect", model, numbers, "--metric", "msee")
    assert outcome.code == 2
    assert "'--metric'" in outcome.error and "Did you mean 'mse'?" in outcome.error
    outcome = run("inspect", model, numbers, "--metric", "mse", "--layers")
    assert outcome.code == 2
    assert "--layers" in outcome.error
    assert run("inspect", model).code == 2
    assert run("inspect", "absent.fmlp", numbers).code == 4
    assert run("inspect", model, "absent.csv").code == 4
    write("other.csv", "a,c,y\n1,2,3\n")
    outcome = run("inspect", model, "other.csv")
    assert outcome.code == 4
    assert "no input column 'b'" in outcome.error
    write("single.csv", "a,b,y\n1,2,3\n")
    outcome = run("inspect", model, "single.csv")
    assert outcome.code == 4
    assert "at least 2 rows" in outcome.error
    models.mlp([4], 2, 1).save("plain.fmlp")
    outcome = run("inspect", "plain.fmlp", numbers)
    assert outcome.code == 4
    assert "saved without a loss" in outcome.error


def test_a_metric_of_other_models_is_one_error(run, flowers, classifier):
    outcome = run("inspect", classifier, flowers, "--metric", "mse")
    assert outcome.code == 2
    assert "'--metric'" in outcome.error


# ---- summary -----------------------------------------------------------------------------------


def test_summary_verbose(run, model):
    out = run("summary", model, "--verbose").out
    assert "Nonzero" in out and "Norm" in out
    assert "Memory: 132 bytes of parameters, 264 bytes of optimizer state" in out
    assert "Nonzero" not in run("summary", model).out
    found = document(run("summary", model, "-v", "--json"))
    assert found["memory"] == {"parameters": 132, "optimizer": 264}
    weights = models.load_model(model).get_weights()[0]
    assert found["layers"][0]["norm"] == pytest.approx(np.linalg.norm(weights), rel=1e-6)
    assert found["layers"][0]["nonzero"] == 1
    assert "memory" not in document(run("summary", model, "--json"))


def test_summary_verbose_of_a_network_to_be_draws_nothing(run):
    out = run("summary", "--units", "1000000x3", "--verbose").out
    assert "the weights are not drawn yet" in out
    assert "Memory: 7.3 TiB of parameters" in out
