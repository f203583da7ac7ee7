"""`fastmlp catalogue`: table, JSON, files, interruption."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import pytest

from fastmlp import lecture, models, plots
from fastmlp.lecture._figures import figures

QUICK = ("model_2units_c", "model_8units")


def test_list(run):
    outcome = run("catalogue", "--list")
    assert [line.split()[0] for line in outcome.out.splitlines()] == list(lecture.CATALOGUE)
    assert re.search(r"^regularized_l1_0\.0001 .*l1 0\.0001$", outcome.out, re.MULTILINE)
    document = json.loads(run("catalogue", "--list", "model_2layers", "--json").out)
    assert document == {
        "models": [
            {"name": "model_2layers", "task": "regression", "l1": 0, "l2": 0, "units": [16, 16]}
        ]
    }


def test_the_table_has_ours_the_lecture_s_and_the_difference(run):
    outcome = run("catalogue", *QUICK)
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines() if "mse" in line]
    assert lines[0][:3] == ["model_2units_c", "train", "mse"]
    assert float(lines[0][3]) == pytest.approx(0.0444497, rel=1e-4)
    assert len(lines[0][3]) == len("0.0444497")
    assert lines[0][4] == "0.0444497"
    assert lines[0][5].endswith("%")
    assert len(lines[0]) == 7  # seconds, once a network
    assert lines[1][:2] == ["val", "mse"]
    assert len(lines[1]) == 5
    assert [line.split(":")[0] for line in outcome.err.splitlines()] == [
        "[1/2] model_2units_c",
        "[2/2] model_8units",
    ]


def test_a_narrow_terminal_truncates_no_number(run, monkeypatch):
    wide = run("catalogue", "model_2units_c", "-q").out
    monkeypatch.setenv("COLUMNS", "60")
    narrow = run("catalogue", "model_2units_c", "-q").out
    assert max(map(len, narrow.splitlines())) <= 60
    numbers = re.findall(r"0\.0\d{6}", wide)
    assert len(numbers) == 4
    assert re.findall(r"0\.0\d{6}", narrow) == numbers
    assert "…" not in narrow


def test_json_is_one_document_of_the_promised_form(run, monkeypatch):
    small = replace(lecture.CATALOGUE["classifier_l2_0.01"], units=(16, 16))
    monkeypatch.setitem(lecture.CATALOGUE, "classifier_l2_0.01", small)
    names = ("model_2units_a", "regularized_l2_0.001", "classifier_l2_0.01")
    outcome = run("catalogue", *names, "--epochs", 1, "--json")
    document = json.loads(outcome.out)
    assert list(document) == ["models"]
    plain, penalised, classifier = document["models"]
    assert [model["name"] for model in document["models"]] == list(names)
    for model in document["models"]:
        assert list(model) == [
            "name", "task", "units", "l1", "l2", "epochs", "parameters", "train", "val",
            "lecture", "seconds",
        ]  # fmt: skip
        assert model["epochs"] == 1
    assert plain["units"] == [2]
    assert plain["lecture"] == dict.fromkeys(("train_loss", "train_mse", "val_loss", "val_mse"))
    assert penalised["l2"] == 0.001
    assert penalised["train"]["loss"] > penalised["train"]["mse"]
    assert penalised["lecture"]["train_loss"] == 0.09281163
    assert classifier["task"] == "classification"
    assert penalised["parameters"] == 4_201_473
    assert set(classifier["val"]) == {"loss", "accuracy"}
    assert classifier["lecture"]["train_accuracy"] is None


def test_the_repair_is_reported(run, monkeypatch):
    monkeypatch.setitem(lecture.CATALOGUE, "model_somany", lecture.CATALOGUE["model_128units"])
    outcome = run("catalogue", "model_somany_fixed", "--epochs", 20, "--json")
    (model,) = json.loads(outcome.out)["models"]
    repair = model["repair"]
    assert repair["weights"] == 128
    assert 0 < repair["weights_changed"] < 128
    for figure in ("largest_step", "train_mse", "val_mse"):
        assert set(repair[figure]) == {"before", "after"}
    assert model["val"]["mse"] == repair["val_mse"]["after"]
    text = " ".join(run("catalogue", "model_somany_fixed", "--epochs", 20).out.split())
    assert f"changed {repair['weights_changed']} of 128 first-layer weights" in text
    assert "Largest step of the curve in [0.52, 1]" in text


def test_an_unknown_name_suggests_the_nearest(run):
    outcome = run("catalogue", "model_8unit")
    assert outcome.code == 2
    assert "Did you mean 'model_8units'?" in outcome.error


def test_files(run, tmp_path, monkeypatch):
    save = plots.save

    def save_one(figure, path):  # writing takes much longer than drawing
        return save(figure, path) if "data" in path.name else path.write_bytes(b"drawn")

    monkeypatch.setattr(plots, "save", save_one)
    outcome = run("catalogue", *QUICK, "--epochs", 40, "-o", "out")
    assert outcome.code == 0
    top = tmp_path / "out"
    found = sorted(str(p.relative_to(top)) for p in top.rglob("*") if p.is_file())
    assert found == [
        "figures/model_2units_c_layers.png",
        "figures/model_2units_c_loss.png",
        "figures/model_8units_layers.png",
        "figures/model_8units_loss.png",
        "figures/regression_data.png",
        "models/model_2units_c.fmlp",
        "models/model_8units.fmlp",
        "tables/catalogue.csv",
        "tables/performance.csv",
    ]
    assert (top / "figures/regression_data.png").read_bytes().startswith(b"\x89PNG")
    with (top / "tables/catalogue.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["figure"] for row in rows] == ["train mse", "val mse"] * 2
    assert rows[0]["lecture"] == "0.0444497"
    assert float(rows[0]["relative_difference"]) == pytest.approx(
        float(rows[0]["fastmlp"]) / 0.0444497 - 1
    )
    with (top / "tables/performance.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["name", "train_mse", "val_mse"]
    model = models.load_model(top / "models/model_8units.fmlp")
    assert len(model.history.history["val_loss"]) == 20
    # The model's file knows the lecture's columns.
    run("datasets", "regression_validation", "-o", "val.csv")
    evaluated = json.loads(run("evaluate", "out/models/model_8units.fmlp", "val.csv", "--json").out)
    assert evaluated["mse"] == pytest.approx(float(rows[3]["fastmlp"]), rel=1e-5)

    again = run("catalogue", *QUICK, "--epochs", 1, "-o", "out")
    assert again.code == 1
    assert "the file exists; --force replaces it" in again.error
    assert run("catalogue", "model_1layer", "--epochs", 1, "-o", "out").code == 1
    assert run("catalogue", QUICK[0], "--epochs", 2, "-o", "out", "--force", "-q").code == 0


def test_tables_of_the_repair_and_of_classifiers(run, tmp_path, monkeypatch):
    entries = lecture.CATALOGUE
    somany = replace(entries["model_8units"], name="model_somany")
    monkeypatch.setitem(entries, "model_somany", somany)
    small = replace(entries["classifier_l2_0.01"], units=(4,))
    monkeypatch.setitem(entries, "classifier_l2_0.01", small)
    # Facets of layers that the small network lacks are left out.
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"drawn"))
    full = figures
    monkeypatch.setattr(
        lecture,
        "figures",
        lambda entry: {k: v for k, v in full(entry).items() if not k[-7:-6].isdigit()},
    )
    names = ("model_somany", "model_somany_fixed", "classifier_l2_0.01")
    outcome = run("catalogue", *names, "--epochs", 5, "-o", "out")
    assert outcome.code == 0
    tables = tmp_path / "out/tables"
    repair = (tables / "repair.csv").read_text().splitlines()
    assert repair[0] == "figure,before,after"
    assert [line.split(",")[0] for line in repair[1:]] == [
        "largest_step", "train_mse", "val_mse", "weights_changed"
    ]  # fmt: skip
    layers = (tables / "classifier_l2_0.01_layers.csv").read_text().splitlines()
    assert layers == ["layer,type,outputs,parameters", "dense_1,Dense,4,12", "dense_2,Dense,1,5"]
    assert (tmp_path / "out/figures/model_somany_fixed_change_points.png").exists()
    assert (tmp_path / "out/figures/classification_data.png").exists()


def test_an_output_that_is_a_file_is_found_before_training(run, write):
    write("out", "")
    outcome = run("catalogue", "model_8units", "-o", "out")
    assert outcome.code == 1
    assert outcome.error == "Error: out: is a file, expected a directory"


@pytest.mark.parametrize("as_json", [False, True])
def test_interruption_prints_the_table_so_far(run, monkeypatch, as_json):
    train = lecture.train

    def interrupted(entry, *args, **options):
        if entry.name == "model_8units":
            raise KeyboardInterrupt
        return train(entry, *args, **options)

    monkeypatch.setattr(lecture, "train", interrupted)
    outcome = run("catalogue", *QUICK, "--epochs", 5, *(["--json"] if as_json else []))
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1] == "Interrupted."
    if as_json:
        assert [m["name"] for m in json.loads(outcome.out)["models"]] == ["model_2units_c"]
    else:
        assert "model_2units_c" in outcome.out
        assert "model_8units" not in outcome.out


def test_progress_of_a_larger_network(run, monkeypatch):
    from fastmlp._utils import progress

    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_PLAIN_SECONDS", 0.0)
    outcome = run("catalogue", "model_8192units", "--epochs", 3)
    lines = outcome.err.splitlines()
    assert lines[0].startswith("[1/1] model_8192units: 1/3 epochs")
    assert "loss: " in lines[0]
    assert len(lines) == 4
    quiet = run("catalogue", "model_8192units", "--epochs", 3, "--quiet")
    assert quiet.err == ""


def test_threads_are_obeyed_and_change_no_bit(run):
    documents = []
    for threads in (1, 2, 3):
        outcome = run("catalogue", "model_128units", "--epochs", 50, "--json", "--threads", threads)
        (model,) = json.loads(outcome.out)["models"]
        documents.append((model["train"], model["val"]))
    assert documents[0] == documents[1] == documents[2]
