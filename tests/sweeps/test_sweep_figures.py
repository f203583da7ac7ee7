"""The figure of a sweep."""

from __future__ import annotations

import numpy as np
import pytest

from fastmlp import plots
from fastmlp.sweeps import LogUniform

from ..plots.test_plots import assert_tidy
from .data import small


def test_ranks_and_parameters():
    result = small()
    figure = result.plot()
    assert_tidy(figure)
    ranks, units, l2 = figure.axes
    names = [label.get_text() for label in ranks.get_yticklabels()]
    ranking = result.ranking()
    assert names == [f"{r.config['units']}  l2 {r.config['l2']:g}" for r in ranking]
    means = ranks.containers[0][0].get_xdata()
    np.testing.assert_allclose(means, [rank.mean for rank in ranking])
    assert (units.get_title(loc="left"), l2.get_title(loc="left")) == ("units", "l2")
    assert [t.get_text() for t in units.get_xticklabels()] == ["4", "8x2"]
    best = units.lines[0].get_ydata()
    for y, name in zip(best, ("4", "8x2"), strict=True):
        assert y == min(r.mean for r in ranking if r.config["units"] == name)


def test_halving_has_a_panel_of_rungs():
    result = small(units=("2", "4", "8"), l2=(0.0, 0.1, 1.0), method="halving", epochs=9)
    figure = result.plot(most=5)
    assert_tidy(figure)
    ranks, rungs, *_ = figure.axes
    assert len(ranks.get_yticks()) == 5
    assert ranks.get_xlabel() == "mean squared error, best 5 of 9"
    assert [t.get_text() for t in rungs.get_xticklabels()] == ["1", "3", "9"]
    assert sorted(len(line.get_xdata()) for line in rungs.lines) == [1] * 6 + [2, 2, 3]


def test_many_draws_long_names_and_one_configuration_are_tidy():
    many = small(
        units=("4", "8x2", "64,32,16"), l2=LogUniform(1e-6, 1.0), method="random", samples=30,
        learning_rate=LogUniform(1e-4, 1e-1), seeds=2,
    )  # fmt: skip
    assert_tidy(many.plot())
    assert_tidy(small(units=("4",), l2=(0.0,)).plot())
    assert_tidy(small(units=("4",), l2=(0.0,), seeds=1).plot(title="One network"))


def test_the_same_bytes_each_time(tmp_path):
    result = small()
    for name in ("a.png", "b.png"):
        plots.save(result.plot(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no configuration has a score"):
        small(units=("4",), l2=(0.0,), learning_rate=1e30, optimizer="sgd").plot()
