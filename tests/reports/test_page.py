"""The page of a report: one file, without requests, with every text as text."""

import base64
import hashlib
import json
import re
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
    numbers, script = page.scripts
    assert numbers[0]["type"] == "application/json"
    assert allowed(script[1]) in policy
    assert json.loads(numbers[1])["columns"][0]["name"] == HOSTILE


@pytest.mark.parametrize(("task", "effort"), CASES)
def test_small_and_the_same_bytes_again(pages, trained, task, effort):
    text = pages(task, effort)
    assert fastmlp.report(trained(task, effort), table(task)).html == text
    assert len(text.encode()) < 1_000_000


def test_readable_without_script(pages):
    page = Page(pages("two"))
    [controls] = [a for _, a in page.elements if a.get("class") == "controls"]
    assert "hidden" in controls
    assert any(text.startswith("At 0.") and "recall" in text for text in page.texts)


def test_without_rows_no_cell_of_the_table_is_there(pages):
    text = pages("number", rows=False)
    assert "Residuals against" not in text and "largest squared error" not in text
    assert "single rows" not in text
    assert "largest squared error" in pages("number")
    numbers = json.loads(Page(text).scripts[0][1])
    assert numbers["worst"] == []


def test_without_a_table(trained):
    found = fastmlp.report(trained("number"))
    assert "How good it is" in found.html and 'id="errors"' not in found.html
    assert repr(found).startswith("<Report: ") and "no table" in repr(found)


def test_saved_whole_or_not_at_all(trained, tmp_path):
    found = fastmlp.report(trained("number"))
    path = found.save(tmp_path / "a.html")
    assert path.read_text("utf-8") == found.html
    with pytest.raises(FileExistsError, match="overwrite=True"):
        found.save(path, overwrite=False)


def test_missing_jinja_is_one_sentence(trained, monkeypatch):
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


def test_command(run, files, tmp_path, trained):
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
        (("report", "my.fmlp", "-o", "no/where.html"), 1, "no/where.html"),
        (("train", "--units", "4", "--report", "a.html"), 2, "--report needs DATA"),
        (("train", "test.csv", "--report", "my.fmlp"), 1, "--force"),
    ):
        found, _, err = run(*args)
        assert found == code and text in err and "Traceback" not in err, (args, err)
    assert not (tmp_path / "a.html").exists()


def test_train_writes_a_report(run, files, tmp_path):
    code, _, err = run(
        "train", "test.csv", "--units", "4", "--epochs", "2", "--validation-split", "0.3",
        "--report", "a.html",
    )  # fmt: skip
    assert code == 0 and "Wrote a.html." in err
    assert "rows held out from the training" in (tmp_path / "a.html").read_text("utf-8")
