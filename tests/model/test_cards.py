"""What notebooks and terminals show of models and results: HTML cards, and short plain texts."""

import html.parser
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import fastmlp
from fastmlp import inspection, models
from fastmlp._utils import cards
from fastmlp.callbacks import History

HOSTILE = "</script><b>{{7*7}}\"'&$x_1^2$"
X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, 0] - X[:, 1] ** 2


def trained(**given):
    model = models.mlp("8x2", 3, 1, seed=1, dropout=0.1, l2=0.01, **given)
    model.compile("adam", "mse", ["mae", "r2"])
    model.fit(X, Y, epochs=3, verbose=0, validation_split=0.25)
    return model


def importance():
    repeats = np.array([[0.5, 0.4], [-0.1, 0.0], [1.0, 1.2]])
    return inspection.Importance([HOSTILE, "b", "c"], repeats, "mse", 0.25)


def things(tmp_path):
    model = trained()
    yield model
    yield models.mlp("4", 2, 1)
    yield models.Sequential()
    yield model.history
    yield History()
    yield importance()
    yield inspection.layer_report(model, X, Y)
    yield fastmlp.path(X, Y, "4", penalty="l1", n_lambdas=30, folds=3, epochs=5, seed=1, verbose=0)
    yield fastmlp.ensemble(X, Y, ["4", "8"], 3, epochs=4, seed=1, verbose=0)
    yield fastmlp.sweep(X, Y, ["2", "4"], store=tmp_path / "s", epochs=2, seed=1,
                        verbose=0)  # fmt: skip


class Checked(html.parser.HTMLParser):
    """Counts elements; every one that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "br":
            self.open.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_every_result_has_a_card_and_a_short_text(tmp_path):
    seen = []
    for thing in things(tmp_path):
        text, page = repr(thing), thing._repr_html_()
        seen.append(type(thing).__name__)
        assert text.count("\n") < 10
        assert len(text) < 800, text
        assert not text.startswith("<fastmlp."), text  # a class's default
        checked = Checked(page)
        assert "script" not in checked.tags
        assert "b" not in checked.tags
        for svg in re.findall("<svg.*?</svg>", page, re.DOTALL):
            ET.fromstring(svg)
        assert len(page) < 40_000
    assert set(seen) == {"Sequential", "History", "Importance", "LayerReport", "PathResult",
                         "Ensemble", "SweepResult"}  # fmt: skip


def test_names_are_shown_as_they_are():
    assert HOSTILE in Checked(importance()._repr_html_()).text


def test_a_models_card_has_its_layers_and_its_training():
    text = Checked(trained()._repr_html_()).text
    for word in ("relu", "rate 0.1", "l2 0.01", "3 inputs", "113 parameters", "3 epochs", "Adam"):
        assert word in text
    assert "layers are not shown" in Checked(models.mlp("2x60", 2, 1)._repr_html_()).text


def test_a_historys_card_marks_the_best_epoch():
    history = History()
    history.epoch = [0, 1, 2]
    history.history = {"loss": [1, 0.5, float("nan")], "val_loss": [1, 0.8, 0.9],
                       "auc": [0.5, 0.8, 0.9], "val_auc": [0.5, 0.7, 0.6]}  # fmt: skip
    assert history.best("val_auc") == (2, 0.7)
    assert history.best("val_loss") == (2, 0.8)
    assert history.best("missing") is None
    text = Checked(history._repr_html_()).text
    assert "best: 0.7, epoch 2" in text
    assert "best: 0.8, epoch 2" in text
    assert "best val_loss 0.8 in epoch 2" in repr(history)


@pytest.mark.parametrize("y", [[], [1.0], [1.0, 1.0], [float("nan")] * 3, [0.0, -1.0, 5.0],
                               [1e-300, 1e300], [float("inf"), 1.0, 2.0]])  # fmt: skip
@pytest.mark.parametrize("log_x", [False, True])
def test_curves_of_any_values(y, log_x):
    drawn = cards.curves([("a", range(len(y)), y, cards.BLUE)], log_x=log_x, marks=[(0, "zero")])
    assert "nan" not in drawn
    assert "inf" not in drawn.replace("info", "")
    if drawn:
        ET.fromstring(drawn)


def test_long_curves_are_thinned_and_keep_their_ends():
    drawn = cards.curves([("a", range(100_000), np.arange(100_000) ** 0.5, cards.BLUE)])
    assert len(drawn) < 6000
    points = re.search('points="(.*?)"', drawn).group(1).split()
    assert points[0].startswith("58.0,")
    assert points[-1] == "548.0,20.0"
