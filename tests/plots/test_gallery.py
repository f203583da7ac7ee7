"""The gallery of the documentation shows every figure."""

import inspect
import sys
from pathlib import Path

import pytest

from fastmlp import plots, tabular
from fastmlp._utils import names

EXTENSIONS = Path(__file__).parents[2] / "docs" / "extensions"
pytestmark = pytest.mark.skipif(not EXTENSIONS.exists(), reason="there is no documentation")


@pytest.fixture
def gallery(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    sys.modules.pop("figure_gallery", None)
    return __import__("figure_gallery")


def test_the_gallery_has_every_figure(gallery):
    code = " ".join(code for entries in gallery.FIGURES.values() for _, code in entries)
    for kind in names.CLASS_FIGURES | names.NUMBER_FIGURES | names.EXPLANATIONS:
        assert f".plot('{kind}'" in code, kind
    on_tables = inspect.getsource(sys.modules[tabular.TableFigures.__module__])
    for name in plots.__all__:
        if name.startswith("plot_"):
            assert f"plots.{name}(" in code or f"plots.{name}" in on_tables, name
    titles = [title for entries in gallery.FIGURES.values() for title, _ in entries]
    assert len(set(titles)) == len(titles)


@pytest.mark.slow
def test_the_gallery_can_be_drawn(gallery, tmp_path):
    made = gallery.namespace(tmp_path)
    for entries in gallery.FIGURES.values():
        for title, code in entries:
            figure = gallery.draw(code, made, "dark")
            path = plots.save(figure, tmp_path / "a.svg")
            assert path.stat().st_size < 3_000_000, title
