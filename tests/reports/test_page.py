"""The page of a report: one file, without requests, with every text as text."""

import base64
import hashlib
import json
import re
import warnings
from html.parser import HTMLParser

import pytest

import fastmlp
from fastmlp.cli._app import cli

from .conftest import BRACES, HOSTILE, TARGET, table


class Page(HTMLParser):
    """What a browser would see: elements, their attributes, and texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.scripts, self.styles, self._open = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open = (tag, dict(attributes)) if tag in ("script", "style") else None

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open is None:
            self.texts.append(data)
        elif self._open[0] == "style":
            self.styles.append(data)
        else:
            self.scripts.append((self._open[1], data))


@pytest.fixture(scope="module")
def pages(trained):
    made = {}

    def of(task, effort="normal", **options):
        key = task, effort, *options.items()
        if key not in made:
            made[key] = fastmlp.report(trained(task, effort), table(task), **options).html
        return made[key]

    return of


CASES = [
    ("two", "normal"),
    pytest.param("three", "normal", marks=pytest.mark.slow),
    pytest.param("number", "normal", marks=pytest.mark.slow),
    pytest.param("number", "high", marks=pytest.mark.slow),
    pytest.param("both", "normal", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("task", "effort"), CASES)
def test_nothing_is_requested_and_names_stay_text(pages, task, effort):
    text = pages(task, effort)
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object", "embed", "base", "form", "img", "b"} - (
        {"b"} if task == "two" else set()
    )
    joined = "".join(page.texts)
    assert '49 "q"' not in joined  # 7*7
    for name in (HOSTILE, BRACES, TARGET):
        assert name in joined
    for _, attributes in page.elements:
        assert "style" not in attributes and not any(k.startswith("on") for k in attributes)
        for key in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(key) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), value
    assert not re.search(r"url\((?!#)|@import", text)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_policy_allows_style_and_script_by_their_hashes(pages):
    page = Page(pages("two"))
    [policy] = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]

    def allowed(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert len(page.styles) == 1 and allowed(page.styles[0]) in policy
    kept, script = page.scripts
    assert kept[0]["type"] == "application/json"
    assert allowed(script[1]) in policy
    assert json.loads(kept[1])["columns"][0]["name"] == HOSTILE


@pytest.mark.slow
@pytest.mark.parametrize(("task", "effort"), [("two", "normal"), *CASES[1:]])
def test_small_and_the_same_bytes_again(pages, trained, task, effort):
    text = pages(task, effort)
    assert fastmlp.report(trained(task, effort), table(task)).html == text
    assert len(text.encode()) < 1_000_000


def test_readable_without_script(pages):
    page = Page(pages("two"))
    [controls] = [a for _, a in page.elements if a.get("class") == "controls"]
    assert "hidden" in controls
    assert any(text.startswith("At 0.") and "recall" in text for text in page.texts)


@pytest.mark.slow
def test_without_rows_no_figure_has_a_mark_for_each_row(pages):
    text = pages("number", rows=False)
    assert "Residuals against" not in text and "single rows" not in text
    assert "Residuals against" in pages("number")


def test_without_rows_no_cell_of_the_table_is_there(trained, undrawn):
    hidden, shown = (
        fastmlp.report(trained("number"), table("number"), rows=rows).html for rows in (False, True)
    )
    assert "largest squared error" in shown and "largest squared error" not in hidden
    assert json.loads(Page(hidden).scripts[0][1])["targets"][0]["worst"] == []


def test_without_a_table(trained, undrawn):
    found = fastmlp.report(trained("number"))
    assert "How good it is" in found.html and 'id="errors"' not in found.html
    assert repr(found).startswith("<Report: ") and "no table" in repr(found)


def test_every_target_has_its_own_part(trained, undrawn):
    page = Page(fastmlp.report(trained("both"), table("both")).html)
    assert page.texts.count(TARGET) >= 3 and page.texts.count("second") >= 3
    assert sum(text.startswith("The RMSE") for text in page.texts) == 2
    assert sum("squared error is" in text for text in page.texts) == 2


def test_a_path_has_a_slider_and_its_numbers_without_script(path, undrawn):
    page = Page(fastmlp.report(path, table("number")).html)
    ids = {a["id"]: (tag, a) for tag, a in page.elements if "id" in a}
    assert ids["l-slider"][1]["max"] == "4" and ids["l-slider"][1]["value"] == str(path.index)
    assert len(ids["l-mean"][1]["points"].split()) == 5
    width = {name: float(a["width"]) for name, (_, a) in ids.items() if name.startswith("l-b")
             and "width" in a}  # fmt: skip
    norms = path.norms(0)
    at = norms[path.index] / norms.max() * 100
    assert sorted(width.values()) == pytest.approx(sorted(at), abs=0.01)
    assert any("nonzero weights" in text and "held out" in text for text in page.texts)
    assert len(page.scripts) == 2 and "threshold" in page.scripts[1][1]


def test_a_path_without_hidden_layers(undrawn):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmlp.errors.ModelWarning)
        found = fastmlp.path(table("number"), target=TARGET, units=[], n_lambdas=4, folds=3, seed=1,
                             verbose=0)  # fmt: skip
    page = fastmlp.report(found)
    assert 'id="lambda"' in page.html and page.numbers.path.n_live == [0] * 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "units"), [("classifier_l2_0.001", (16, 16)), ("model_8units", (8,))]
)
def test_the_lectures_models_have_figures_of_their_fit(of_lecture, name, units):
    found = fastmlp.report(of_lecture(name, units))
    kinds = {d.kind for d in found._drawings if d.section == "inside"}
    boundary = {"network", "boundary", "units"}
    assert kinds == (boundary if "classifier" in name else {"network", "layers", "contributions"})
    assert "true boundary" in found.html or "true function" in found.html


def test_saved_whole_or_not_at_all(trained, undrawn, tmp_path):
    found = fastmlp.report(trained("number"))
    path = found.save(tmp_path / "a.html")
    assert path.read_text("utf-8") == found.html
    with pytest.raises(FileExistsError, match="overwrite=True"):
        found.save(path, overwrite=False)


def test_missing_jinja_is_one_sentence(trained, undrawn, monkeypatch):
    import importlib

    real = importlib.import_module

    def without(name, *rest):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(fastmlp.errors.DataError, match=r"pip install 'fastmlp\[report\]'"):
        _ = fastmlp.report(trained("number")).html


# ---- the command line -----------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(arg) for arg in args])
        return end.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def files(tmp_path, trained):
    import csv

    trained("two").save(tmp_path / "my.fmlp")
    with (tmp_path / "test.csv").open("w", newline="") as file:
        out = csv.writer(file)
        data = table("two")
        out.writerow(data)
        out.writerows(zip(*(v.tolist() for v in data.values()), strict=True))


def test_command(run, files, tmp_path, trained, undrawn):
    code, out, err = run("report", "my.fmlp", "test.csv")
    assert (code, out) == (0, "") and "Wrote my_report.html." in err
    written = (tmp_path / "my_report.html").read_text("utf-8")
    assert f"Predicting <bdi>{TARGET.replace('&', '&amp;').replace('<', '&lt;')}" in written
    code, _, err = run("report", "my.fmlp", "test.csv")
    assert code == 1 and "--force" in err
    code, out, _ = run("report", "my.fmlp", "-o", "-")
    assert code == 0 and out.startswith("<!DOCTYPE html>")


def test_command_errors(run, files, tmp_path):
    for args, code, text in (
        (("report", "none.fmlp"), 4, "none.fmlp"),
        (("report", "my.fmlp", "none.csv"), 4, "none.csv"),
        (("report", "my.fmlp", "--drop", "a"), 2, "--drop needs DATA"),
        (("report", "my.fmlp", "--target", "a"), 2, "--target needs DATA"),
        (("report", "my.fmlp", "-o", "no/where.html"), 1, "no/where.html"),
        (("train", "-", "--units", "4", "--report", "a.html"), 2, "--report needs DATA"),
        (("path", "-", "--report", "a.html"), 2, "--report needs DATA"),
        (("path", "test.csv", "--report", "my.fmlp"), 1, "--force"),
        (("train", "test.csv", "--report", "my.fmlp"), 1, "--force"),
    ):
        found, _, err = run(*args)
        assert found == code and text in err and "Traceback" not in err, (args, err)
    assert not (tmp_path / "a.html").exists()


def test_train_writes_a_report(run, files, tmp_path, undrawn):
    code, _, err = run(
        "train", "test.csv", "--units", "4", "--epochs", "2", "--validation-split", "0.3",
        "--report", "a.html",
    )  # fmt: skip
    assert code == 0 and "Wrote a.html." in err
    assert "rows held out from the training" in (tmp_path / "a.html").read_text("utf-8")


def test_train_on_the_lecture_and_path_write_a_report(run, files, tmp_path, undrawn):
    code, _, err = run("train", "--units", "4", "--epochs", "2", "--report", "a.html")
    assert code == 0 and "Wrote a.html." in err
    assert "lecture's validation data" in (tmp_path / "a.html").read_text("utf-8")
    code, _, err = run(
        "path", "test.csv", "--units", "none", "--n-lambdas", "3", "--folds", "2", "-q",
        "--report", "b.html",
    )  # fmt: skip
    text = (tmp_path / "b.html").read_text("utf-8")
    assert code == 0 and 'id="lambda"' in text and 'id="errors"' in text
