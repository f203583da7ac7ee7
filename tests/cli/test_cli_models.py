"""`fastmlp summary`, `evaluate`, `predict`, `plot`: what is done with a saved model."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

from fastmlp import layers, lecture, models, plots
from fastmlp._saving import fmlp
from fastmlp.cli import plot


@pytest.fixture
def regression(kept, numbers):
    args = ("--units", 8, "--epochs", 30, "--seed", 1, "--standardize", "-q")
    return kept("reg.fmlp", "train", numbers, *args)


@pytest.fixture
def classifier(kept, flowers):
    args = ("--units", 8, "--epochs", 30, "--seed", 1, "-q")
    return kept("cls.fmlp", "train", flowers, *args)


def unnamed(n_inputs, n_outputs, loss, output="linear"):
    model = models.mlp([3], n_inputs, n_outputs, output_activation=output, seed=1)
    if loss:
        model.compile("adam", loss, ["mae"] if loss == "mse" else None)
    model.save("unnamed.fmlp")
    return model


# ---- files that are none ----


@pytest.mark.parametrize("command", ["predict", "evaluate", "summary", "plot"])
@pytest.mark.parametrize("content", [None, b"", b"half", "cut"])
def test_what_is_no_model_file_is_one_error(run, write, regression, tmp_path, command, content):
    if content == "cut":
        whole = (tmp_path / regression).read_bytes()
        content = whole[: len(whole) // 2]
    if content is not None:
        write("bad.fmlp", content)
    write("t.csv", "a,b\n1,2\n")
    rest = {"summary": [], "plot": ["--kind", "weights"]}.get(command, ["t.csv"])
    outcome = run(command, "bad.fmlp", *rest)
    assert outcome.code == 4
    assert "bad.fmlp" in outcome.error
    assert outcome.err.count("\n") == 1


def test_preprocessing_that_does_not_fit_the_network(run, regression):
    model = models.load_model(regression)
    model.extras["preprocessing"]["columns"].pop()
    model.save("bad.fmlp")
    outcome = run("summary", "bad.fmlp")
    assert outcome.code == 4
    assert "bad.fmlp: damaged preprocessing: 1 inputs and 1 outputs for a network of 2" in (
        outcome.error
    )
    model.extras["preprocessing"] = "nonsense"
    model.save("bad.fmlp")
    assert "damaged preprocessing" in run("predict", "bad.fmlp", "numbers.csv").error


# ---- summary ----


def test_summary_alone_is_the_lecture_s_classifier(run):
    outcome = run("summary")
    assert outcome.code == 0
    assert "Total params: 4,202,497" in outcome.out
    assert outcome.out.count("(None, 1024)") == 5
    assert max(map(len, outcome.out.splitlines())) <= 100


def test_summary_of_a_table_s_model(run, flowers):
    args = ("train", flowers, "--target", "kind", "--units", 4, "--epochs", 2, "--seed", 1, "-q")
    assert run(*args, "-o", "m.fmlp").code == 0
    outcome = run("summary", "m.fmlp")
    assert outcome.code == 0, outcome.err
    text = outcome.out
    assert text.index("Total params") < text.index("Table ") < text.index("target ")
    assert "kind, 3 classes: iris, lily, rose" in text
    assert "colour (2)" in text and "height, width; scaled by median" in text
    assert "constant  logistic" in text
    table = json.loads(run("summary", "m.fmlp", "--json").out)["table"]
    assert [column["name"] for column in table["columns"]] == ["height", "width", "colour"]
    assert table["data"] == "flowers.csv"
    assert set(table["held_out"]["network"]) >= {"log_loss", "accuracy"}


def test_summary_of_a_network_to_be(run):
    args = ("--units", "64,32", "--inputs", 10, "--outputs", 3, "--l2", "0,0.5,0", "--dropout", 0.1)
    text = run("summary", *args, "--activation", "tanh,relu").out
    assert "l2 0.5" in text
    assert "Total params: 2,883" in text
    document = json.loads(run("summary", *args, "--json").out)
    assert document["parameters"] == 2883
    assert [layer["type"] for layer in document["layers"]] == [
        "Dense", "Dropout", "Dense", "Dropout", "Dense"
    ]  # fmt: skip
    assert document["layers"][2]["l2"] == 0.5
    assert document["layers"][2]["activation"] == "relu"


def test_summary_of_a_file(run, regression):
    assert "Total params: 33" in run("summary", regression).out
    outcome = run("summary", regression, "--units", "4")
    assert outcome.code == 2
    assert "--units describes a new network" in outcome.error
    assert run("summary", "--inputs", 0).code == 2
    assert run("summary", "--units", "4", "--l1", "1,2,3").code == 2


# ---- evaluate ----


def test_evaluate(run, numbers, regression):
    text = run("evaluate", regression, numbers).out
    document = json.loads(run("evaluate", regression, numbers, "--json").out)
    assert text.split()[:2] == ["rows", "30"]
    named = re.findall(r"^ (\w+) +([-\d.e+]+)", text, re.M)
    assert [name for name, _ in named] == ["rows", "loss", "mse", "R2", "RMSE", "MAE"]
    assert {"model", "data", "rows", "loss", "mse", "r2", "rmse", "mae", "intervals"} <= set(
        document
    )
    assert float(dict(named)["mse"]) == pytest.approx(document["mse"], rel=1e-4)
    assert document["rmse"] ** 2 == pytest.approx(document["mse"], rel=1e-5)
    low, high = document["intervals"]["rmse"]
    assert low < document["rmse"] < high


def test_evaluate_from_standard_input(run, numbers, regression, tmp_path):
    piped = (tmp_path / numbers).read_text()
    outcome = run("evaluate", regression, "-", "--json", "-v", stdin=piped)
    assert json.loads(outcome.out)["rows"] == 30
    assert outcome.err.splitlines()[0] == "30 rows, target 'y'."


def test_evaluate_needs_the_target_and_a_loss(run, write, regression):
    write("t.csv", "a,b,Y\n1,2,3\n2,3,4\n")
    outcome = run("evaluate", regression, "t.csv")
    assert outcome.code == 4
    assert "there is no target column 'y'. Did you mean 'Y'?" in outcome.error
    assert run("evaluate", regression, "t.csv", "--target", "Y").code == 0
    assert run("evaluate", regression, "t.csv", "--target", "z").code == 4
    unnamed(2, 1, None)
    assert "saved without a loss" in run("evaluate", "unnamed.fmlp", "t.csv").error


def test_evaluate_a_classifier(run, write, flowers, classifier):
    document = json.loads(run("evaluate", classifier, flowers, "--json").out)
    assert 0 <= document["accuracy"] <= 1
    write("t.csv", "height,width,colour,kind\n1,2,red,tulip\n")
    outcome = run("evaluate", classifier, "t.csv")
    assert outcome.code == 4
    assert "row 1 (line 2), column 'kind': 'tulip' is not one of the classes" in outcome.error


# ---- predict ----


def test_predict_a_regression(run, numbers, regression, tmp_path):
    outcome = run("predict", regression, numbers)
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    assert lines[0] == "prediction"
    assert len(lines) == 31
    written = run("predict", regression, numbers, "-o", "p.csv")
    assert (written.out, written.err) == ("", "Wrote 30 predictions to p.csv.\n")
    assert (tmp_path / "p.csv").read_text() == outcome.out
    assert run("predict", regression, numbers, "-o", "p.csv").code == 1
    document = json.loads(run("predict", regression, numbers, "--json").out)
    assert document["prediction"] == [float(line) for line in lines[1:]]
    document = json.loads(
        run("predict", regression, numbers, "-o", "p.csv", "--force", "--json").out
    )
    assert document["rows"] == 30


def test_predict_labels_and_probabilities(run, flowers, classifier):
    rows = list(csv.DictReader(io.StringIO(run("predict", classifier, flowers).out)))
    names = ["probability_iris", "probability_lily", "probability_rose"]
    assert list(rows[0]) == ["prediction", *names]
    for row in rows:
        probabilities = [float(row[name]) for name in names]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == names[int(np.argmax(probabilities))].split("_")[1]
    document = json.loads(run("predict", classifier, flowers, "--json").out)
    assert document["prediction"][0] == rows[0]["prediction"]


def test_two_classes_keep_their_labels(run, write):
    write("t.csv", "a,y\n" + "\n".join(f"{i},{'no' if i < 10 else 'yes'}" for i in range(20)))
    run("train", "t.csv", "--units", 4, "--epochs", 2, "-o", "m.fmlp", "-q")
    rows = list(csv.DictReader(io.StringIO(run("predict", "m.fmlp", "t.csv").out)))
    assert list(rows[0]) == ["prediction", "probability_no", "probability_yes"]
    assert {row["prediction"] for row in rows} <= {"no", "yes"}
    for row in rows:
        assert (row["prediction"] == "yes") == (float(row["probability_yes"]) > 0.5)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a,c\n1,2\n", "there is no input column 'b'. Columns: a, c"),
        ("c,d\n1,2\n", "there are no input columns 'a', 'b'. Columns: c, d"),
        ("a,b\n1,x\n", "row 1 (line 2), column 'b': 'x' is text; the model was trained on"),
        ("a,b\n1,1e400\n", "row 1 (line 2), column 'b': '1e400' is not a finite number"),
        ("", "the file is empty"),
    ],
)
def test_predict_names_what_does_not_fit(run, write, regression, content, text):
    write("t.csv", content)
    outcome = run("predict", regression, "t.csv")
    assert outcome.code == 4
    assert text in outcome.error


def test_an_extra_column_is_an_error_until_it_is_dropped(run, write, regression):
    write("t.csv", "id,b,a,y\nq,2,1,3\nr,3,4,5\n")
    write("u.csv", "a,b,y\n1,2,3\n4,3,5\n")
    for command in ("predict", "evaluate", "compare", "inspect"):
        outcome = run(command, regression, "t.csv")
        assert outcome.code == 4 and outcome.out == ""
        assert "t.csv: column 'id' was not there in training; leave it out" in outcome.error
        assert "(--drop id)" in outcome.error
        seed = ("--seed", 1) if command == "inspect" else ()
        dropped = run(command, regression, "t.csv", "--drop", "id", *seed)
        assert dropped.code == 0 and dropped.out == run(command, regression, "u.csv", *seed).out
    outcome = run("predict", regression, "t.csv", "--drop", "id", "--drop", "a")
    assert outcome.code == 4
    assert f"column 'a' is an input of the model {regression}; it cannot be" in outcome.error
    outcome = run("predict", regression, "u.csv", "--drop", "i")
    assert outcome.code == 4 and "u.csv: there is no column 'i'" in outcome.error


def test_what_training_dropped_need_not_be_dropped_again(run, write):
    write("t.csv", "id,a,y\nq,1,2.5\nr,2,3.5\ns,3,1.5\n")
    trained = ("train", "t.csv", "--units", 2, "--epochs", 1, "-o", "m.fmlp", "--drop", "id")
    assert run(*trained, "--validation", "t.csv").code == 0
    write("u.csv", "a\n1\n2\n3\n")
    assert run("predict", "m.fmlp", "t.csv").out == run("predict", "m.fmlp", "u.csv").out


def test_one_model_may_know_a_column_that_another_does_not(run, write):
    write("t.csv", "b,a,y\n3,1,2.5\n1,2,3.5\n5,3,1.5\n")
    write("u.csv", "a,y\n1,2.5\n2,3.5\n3,1.5\n")
    for name in ("t", "u"):
        options = ("--units", 2, "--epochs", 1, "-o", f"{name}.fmlp")
        assert run("train", f"{name}.csv", *options).code == 0
    models = ("compare", "t.fmlp", "u.fmlp", "t.csv")
    outcome = run(*models)
    assert outcome.code == 4
    assert "model u.fmlp does not fit: t.csv: column 'b' was not there" in outcome.error
    assert run(*models, "--drop", "b").code == 0


def test_target_can_be_another_column(run, write, regression):
    write("t.csv", "a,b,y,truth\n1,2,9,3\n2,1,9,4\n")
    write("u.csv", "a,b,y\n1,2,3\n2,1,4\n")
    renamed = run("evaluate", regression, "t.csv", "--target", "truth")
    assert renamed.code == 0 and renamed.out == run("evaluate", regression, "u.csv").out


# ---- models from Python, without names ----


def test_unnamed_inputs_are_taken_in_order(run, write):
    model = unnamed(2, 1, "mse")
    write("t.csv", "p,q\n1,2\n3,4\n")
    expected = model.predict(np.array([[1, 2], [3, 4]], np.float32), verbose=0)
    lines = run("predict", "unnamed.fmlp", "t.csv").out.splitlines()
    assert lines == ["prediction", *map(str, expected[:, 0])]
    write("u.csv", "y,p,q\n0,1,2\n0,3,4\n")
    document = json.loads(run("evaluate", "unnamed.fmlp", "u.csv", "--target", "y", "--json").out)
    assert document["loss"] == pytest.approx(float(np.mean(expected**2)), rel=1e-5)
    assert document["mae"] == pytest.approx(float(np.mean(np.abs(expected))), rel=1e-5)
    assert run("evaluate", "unnamed.fmlp", "u.csv", "--target", "z").code == 4


def test_more_inputs_than_the_model_has(run, write):
    unnamed(2, 1, "mse")
    write("t.csv", "p,q,r\n1,2,3\n")
    outcome = run("predict", "unnamed.fmlp", "t.csv")
    assert outcome.code == 4
    assert "3 input columns (p, q, r), more than the 2 inputs of the model unnamed.fmlp" in (
        outcome.error
    )
    assert run("evaluate", "unnamed.fmlp", "t.csv").code == 0  # the last one is the target
    write("t.csv", "p\n1\n")
    assert "fewer than the 2 inputs of the model" in run("predict", "unnamed.fmlp", "t.csv").error


def test_unnamed_classifiers(run, write):
    write("t.csv", "p,q\n1,2\n")
    unnamed(2, 1, "binary_crossentropy", "sigmoid")
    assert run("predict", "unnamed.fmlp", "t.csv").out.startswith(
        "prediction,probability_0,probability_1\n"
    )
    unnamed(2, 3, "sparse_categorical_crossentropy", "softmax")
    assert "probability_2" in run("predict", "unnamed.fmlp", "t.csv").out
    write("u.csv", "p,q,y\n1,2,2\n")
    assert run("evaluate", "unnamed.fmlp", "u.csv").code == 0
    unnamed(2, 2, "mse")
    assert "a model with 2 outputs without names" in run("predict", "unnamed.fmlp", "t.csv").error


# ---- plot ----


@pytest.fixture
def saved(monkeypatch):
    """Collect figures instead of writing them; the writing has a test of its own."""
    figures = {}
    monkeypatch.setattr(
        plots, "save", lambda figure, path, dpi=0: figures.update({str(path): figure})
    )
    return figures


def test_plot_writes_a_file(run, regression, tmp_path, monkeypatch):
    outcome = run("plot", regression, "--kind", "history", "-o", "h.png")
    assert (outcome.code, outcome.err) == (0, "Wrote h.png.\n")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    again = run("plot", regression, "--kind", "history", "-o", "h.png")
    assert again.code == 1
    # To standard output: bytes, which the capture of text could not hold.
    written = {}
    monkeypatch.setattr(plot, "write_bytes", lambda path, data: written.update({path: data}))
    piped = run("plot", regression, "--kind", "history", "-o", "-")
    assert (piped.code, piped.err) == (0, "")
    assert written["-"] == (tmp_path / "h.png").read_bytes()


@pytest.mark.parametrize(
    "kind", ["layers", "facets", "history", "network", "weights", "changepoints"]
)
def test_plot_a_model_of_the_lecture_s_data(run, saved, kind):
    run("train", "--units", "8", "--epochs", 3, "-o", "m.fmlp", "-q")
    outcome = run("plot", "m.fmlp", "--kind", kind)
    assert outcome.code == 0, outcome.err
    (name,) = saved
    assert name == ("m_facets_layer1.png" if kind == "facets" else f"m_{kind}.png")


def test_plot_the_lecture_s_classifier(run, saved):
    run("train", "--units", "8", "--epochs", 3, "-o", "m.fmlp", "-q", "--data", "classification")
    assert run("plot", "m.fmlp", "--kind", "boundary", "-o", "b.svg").code == 0
    assert list(saved) == ["b.svg"]
    assert run("plot", "m.fmlp", "--kind", "boundary", "--data", "classification").code == 0
    assert "no layers figure of this model" in run("plot", "m.fmlp", "--kind", "layers").error


def test_plot_own_data_in_their_units(run, write, saved):
    rows = "\n".join(f"{100 + i},{1000 + (i - 5) ** 2}" for i in range(12))
    write("t.csv", "dose,yield\n" + rows + "\n")
    args = ("--units", 4, "--epochs", 3, "--standardize", "-o", "m.fmlp", "-q")
    run("train", "t.csv", *args)
    outcome = run("plot", "m.fmlp", "--kind", "layers")
    assert outcome.code == 2
    assert "needs --data" in outcome.error
    for kind in ("layers", "facets", "changepoints"):
        outcome = run("plot", "m.fmlp", "--kind", kind, "--data", "t.csv")
        assert outcome.code == 0, outcome.err
    axes = saved["m_layers.png"].axes
    assert axes[-1].get_xlabel() == "dose"
    assert axes[-1].get_ylabel() == "yield"
    low, high = axes[-1].get_xlim()
    assert low < 100
    assert high > 111
    heights = np.concatenate([line.get_ydata() for line in axes[-1].lines])
    assert heights.min() > 900
    history = run("plot", "m.fmlp", "--kind", "history")
    assert history.code == 0


def test_plot_how_well_and_why(run, write, saved):
    lines = [f"{i % 7},{i % 3},{'$a' if i % 2 else 'b'},{'up' if i % 5 > 1 else 'down'}"
             for i in range(60)]  # fmt: skip
    write("t.csv", "u,v,kind,way\n" + "\n".join(lines) + "\n")
    run("train", "t.csv", "--units", 4, "--epochs", 3, "-o", "m.fmlp", "-q")
    shared = ("--data", "t.csv", "--size", "16:9", "--theme", "dark", "--title", "A $title$")
    for kind in ("roc", "confusion", "attributions", "boundary"):
        outcome = run("plot", "m.fmlp", "--kind", kind, *shared)
        assert outcome.code == 0, outcome.err
        figure = saved[f"m_{kind}.png"]
        assert figure.get_suptitle() == "A $title$"
        width, height = figure.get_size_inches()
        assert abs(width / height - 16 / 9) < 1e-9
        assert max(figure.get_facecolor()[:3]) < 0.2
    outcome = run("plot", "m.fmlp", "--kind", "interaction", "--data", "t.csv", "--column", "v",
                  "--column", "u")  # fmt: skip
    assert outcome.code == 0, outcome.err
    axes = saved["m_interaction.png"].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("v", "u")
    for arguments, code, message in (
        (("--kind", "roc"), 2, "needs --data, a table with the target"),
        (("--kind", "residuals", "--data", "t.csv"), 4, "the target has classes"),
        (("--kind", "explain", "--data", "t.csv", "--row", "60"), 4, "number of rows, 60"),
        (("--kind", "dependence", "--data", "t.csv", "--column", "w"), 4, "w"),
        (("--kind", "roc", "--data", "t.csv", "--size", "wide"), 2, "--size"),
        (("--kind", "roc", "--data", "t.csv", "--theme", "pink"), 2, "--theme"),
    ):
        outcome = run("plot", "m.fmlp", *arguments)
        assert (outcome.code, message in outcome.error) == (code, True), outcome.error


def test_plot_units_of_a_curve(run, write, saved):
    write("t.csv", "x,y\n" + "\n".join(f"{i / 9},{(i / 9 - 1) ** 2}" for i in range(40)) + "\n")
    run("train", "t.csv", "--units", "5x2", "--bins", "0", "--epochs", 3, "-o", "m.fmlp", "-q")
    for kind in ("contributions", "units"):
        outcome = run("plot", "m.fmlp", "--kind", kind, "--data", "t.csv", "--layer", 2)
        assert outcome.code == 0, outcome.err
    assert saved["m_contributions.png"].axes[-1].get_xlabel() == "x"
    assert run("plot", "m.fmlp", "--kind", "units", "--data", "t.csv", "--layer", 4).code == 4


def test_plot_own_classes(run, write, saved):
    lines = [f"{i % 5},{i % 3},{'up' if i % 2 else 'down'}" for i in range(20)]
    write("t.csv", "u,v,way\n" + "\n".join(lines) + "\n")
    run("train", "t.csv", "--units", 4, "--epochs", 3, "--standardize", "-o", "m.fmlp", "-q")
    outcome = run("plot", "m.fmlp", "--kind", "boundary", "--data", "t.csv")
    assert outcome.code == 0, outcome.err
    (axes,) = saved["m_boundary.png"].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("u", "v")
    texts = {text.get_text() for text in axes.get_legend().get_texts()}
    assert "predicted up" in texts


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["reg.fmlp", "--kind", "pie"], 2, "'pie' is not one of"),
        (["reg.fmlp"], 2, "Missing option '--kind'"),
        (["--kind", "layers"], 2, "--kind layers needs a MODEL"),
        (["reg.fmlp", "--kind", "data"], 2, "takes no MODEL"),
        (["reg.fmlp", "--kind", "weights", "-o", "w.jpg"], 2, "the suffix must be one of"),
        (["reg.fmlp", "--kind", "facets", "--layer", "0"], 2, "--layer"),
        (["reg.fmlp", "--kind", "layers", "--data", "numbers.csv"], 4, "one numeric input"),
        (["reg.fmlp", "--kind", "boundary", "--data", "numbers.csv"], 4, "two numeric inputs"),
        (["reg.fmlp", "--kind", "facets", "--data", "nowhere.csv"], 4, "no such file"),
        (["reg.fmlp", "--kind", "weights", "-o", "nowhere/w.png"], 1, "no such directory"),
    ],
)
def test_plot_says_what_is_wrong(run, regression, args, code, text):
    outcome = run("plot", *args)
    assert outcome.code == code
    assert text in outcome.error


def test_plot_of_a_model_without_names_or_history(run, saved):
    model = models.Sequential([layers.Dense(4, activation="relu", input_shape=(1,))])
    model.add(layers.Dense(1))
    model.save("m.fmlp")
    assert run("plot", "m.fmlp", "--kind", "layers").code == 0
    assert run("plot", "m.fmlp", "--kind", "network").code == 0
    assert "it holds no history" in run("plot", "m.fmlp", "--kind", "history").error
    assert (
        "it has 2 dense layers. Received: layer 5"
        in run("plot", "m.fmlp", "--kind", "facets", "--layer", 5).error
    )


def test_plot_data(run, write, saved, numbers):
    for args, name in (
        ([], "regression_data.png"),
        (["--data", "classification"], "classification_data.png"),
    ):
        assert run("plot", "--kind", "data", *args).code == 0
        assert name in saved
    write("one.csv", "dose,yield\n1,2.5\n2,3\n3,4\n")
    assert run("plot", "--kind", "data", "--data", "one.csv").code == 0
    assert saved["one_data.png"].axes[0].get_xlabel() == "dose"
    write("two.csv", "u,v,way\n1,2,up\n2,3,down\n3,4,up\n")
    assert run("plot", "--kind", "data", "--data", "two.csv").code == 0
    outcome = run("plot", "--kind", "data", "--data", numbers)
    assert outcome.code == 4
    assert "needs 1 numeric input column and the target" in outcome.error


def test_a_lecture_model_saved_from_python_is_known(run, saved, tmp_path):
    result = lecture.train(lecture.CATALOGUE["model_8units"], 3)
    fmlp.save_model(result.model, tmp_path / "m.fmlp")
    assert run("plot", "m.fmlp", "--kind", "layers").code == 0
    document = json.loads(
        run("evaluate", "m.fmlp", "-", "--json", stdin=run("datasets", "regression_train").out).out
    )
    assert document["mse"] == pytest.approx(result.train["mse"], rel=1e-5)
