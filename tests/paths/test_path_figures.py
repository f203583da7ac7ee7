"""Figures of paths: what is on their axes."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import plots
from fastmlp.plots import _path, _path_fits

from .data import classes, regression

# Cases without hidden layers take the options of those with some.
pytestmark = pytest.mark.filterwarnings("ignore:No effect of:UserWarning")

QUICK = {"n_lambdas": 12, "folds": 3, "epochs": 40, "learning_rate": 0.02, "seed": 0, "verbose": 0}


def texts(ax):
    return [text.get_text() for text in ax.texts]


def vertical(ax):
    return [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]


def top_axis(ax):
    return ax.child_axes[0]


@pytest.fixture(scope="module")
def lasso():
    return fastmlp.path(*regression(), seed=0, verbose=0)


@pytest.fixture(scope="module")
def network():
    return fastmlp.path(*regression(), "7,5", **QUICK)


def test_cv_has_bars_counts_and_both_choices(lasso):
    figure = plots.plot_cv(lasso, title="Lasso")
    (ax,) = figure.axes
    points, _, (bars,) = ax.containers[0]
    np.testing.assert_allclose(points.get_xdata(), lasso.lambdas)
    np.testing.assert_allclose(points.get_ydata(), lasso.cv_mean)
    low, high = np.array([[s[0, 1], s[1, 1]] for s in bars.get_segments()]).T
    np.testing.assert_allclose(high - low, 2 * lasso.cv_se)
    assert ax.get_xscale() == "log"
    assert lasso.lambda_min in vertical(ax)
    assert lasso.lambda_1se in vertical(ax)
    assert texts(ax) == [f"1se: {lasso.lambda_1se:.3g}", f"min: {lasso.lambda_min:.3g}"]
    top = top_axis(ax)
    assert top.get_xlabel() == "nonzero weights"
    shown = dict(zip(top.get_xticks(), (t.get_text() for t in top.get_xticklabels()), strict=True))
    for lam, label in shown.items():
        place = int(np.argmin(np.abs(lasso.lambdas - lam)))
        assert label == str(lasso.n_nonzero[place])
    assert "5 folds" in ax.get_ylabel()


def test_cv_of_classes_has_a_panel_for_each_measure():
    result = fastmlp.path(*classes(), **QUICK)
    labels = [ax.get_ylabel() for ax in plots.plot_cv(result).axes]
    assert labels == ["deviance, 3 folds", "share misclassified, 3 folds"]
    (ax,) = result.plot_cv(measure="misclassification").axes
    assert "misclassified" in ax.get_ylabel()
    with pytest.raises(ValueError, match="measure must be one of deviance, misclassification"):
        plots.plot_cv(result, "mse")


def test_path_draws_each_coefficient_with_its_name(lasso):
    (ax,) = plots.plot_path(lasso).axes
    lines = [line for line in ax.lines if len(line.get_xdata()) == 50]
    np.testing.assert_allclose(
        np.array([line.get_ydata() for line in lines]).T, lasso.coefficients[:, :, 0]
    )
    assert set(lasso.input_names) <= set(texts(ax))
    assert ax.get_ylabel() == "coefficient"


def test_path_draws_norms_of_inputs_and_of_each_layers_units(network):
    axes = plots.plot_path(network).axes
    assert [ax.get_ylabel() for ax in axes] == [
        "norm, inputs", "norm, 7 units\nof layer 1", "norm, 5 units\nof layer 2",
    ]  # fmt: skip
    for layer, ax in enumerate(axes):
        lines = [line for line in ax.lines if len(line.get_xdata()) == 12]
        drawn = np.array([line.get_ydata() for line in lines]).T
        np.testing.assert_allclose(drawn, network.norms(layer))
    assert set(network.input_names) <= set(texts(axes[0]))


def test_of_many_inputs_only_the_largest_are_named():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 30))
    result = fastmlp.path(x, x[:, 7] + 0.1 * rng.normal(size=60), **QUICK)
    (ax,) = plots.plot_path(result).axes
    names = [text for text in texts(ax) if text.startswith("x")]
    assert len(names) == _path.MAX_NAMED
    assert "x8" in names


def test_several_classes_have_a_panel_each():
    result = fastmlp.path(*classes(n_classes=3), **QUICK)
    labels = [ax.get_ylabel() for ax in plots.plot_path(result).axes]
    assert labels == ["class0", "class1", "class2"]


def test_names_are_moved_apart_and_stay_within():
    places = _path._apart(np.array([0.0, 0.0, 0.01, 0.9, 1.0]), 0.1, 0.0, 1.0)
    assert (np.diff(places) >= 0.099).all()
    assert places[0] >= 0.049
    assert places[-1] <= 0.951


def test_fits_of_one_input_are_curves():
    x, y = regression()
    result = fastmlp.path(x[:, :1], y, "5", **QUICK)
    axes = plots.plot_path_fits(result).axes
    places = _path_fits.chosen_places(result)
    assert len(axes) == len(places) == 9
    assert {result.index_min, result.index_1se, 0, 11} <= set(places)
    for ax, place in zip(axes, places, strict=True):
        data, curve = ax.lines
        np.testing.assert_allclose(data.get_xydata(), np.column_stack([x[:, 0], y]), rtol=1e-5)
        wanted = result.predict(curve.get_xdata()[:, None], place)
        np.testing.assert_allclose(curve.get_ydata(), wanted, rtol=1e-5)
        assert f"lambda {result.lambdas[place]:.3g}" in ax.get_title(loc="left")
    (ax,) = plots.plot_path_fits(result, [-1]).axes
    assert f"{result.lambdas[-1]:.3g}" in ax.get_title(loc="left")


def test_fits_of_two_inputs_are_regions_or_a_surface():
    x, y = classes()
    result = fastmlp.path(x[:, :2], y, **QUICK)
    axes = plots.plot_path_fits(result, [0, -1]).axes
    assert all(len(ax.images) == 1 for ax in axes)
    regions = axes[1].images[0].get_array()
    assert regions[..., :3].std(axis=(0, 1)).max() > 0.1  # the colours of both classes
    assert axes[1].collections  # and the line between them
    flat = np.asarray(axes[0].images[0].get_array()).reshape(-1, 4)
    assert len(np.unique(flat.round(6), axis=0)) == 1
    x, y = regression()
    surface = plots.plot_path_fits(fastmlp.path(x[:, :2], y, **QUICK), [0, -1])
    assert surface.axes[-1].get_ylabel() == "y"  # of the colour scale


def test_fits_of_more_inputs_are_held_out_predictions(lasso):
    _, y = regression()
    ax = plots.plot_path_fits(lasso, [-1]).axes[0]
    drawn = ax.lines[-1].get_xydata()
    np.testing.assert_allclose(drawn, np.column_stack([lasso.held_out[-1, :, 0], y]), rtol=1e-6)
    result = fastmlp.path(*classes(), **QUICK)
    ax = result.plot_fits(indices=[-1]).axes[0]
    heights = sum(patch.get_height() for container in ax.containers for patch in container)
    assert heights == 90
    wrong = result.cv("misclassification")[0][-1]
    assert texts(ax) == [f"{wrong:.1%} wrong"]


def test_fits_need_at_least_one_place(lasso):
    with pytest.raises(ValueError, match="at least one lambda"):
        plots.plot_path_fits(lasso, [])


def test_a_path_of_one_lambda_can_be_drawn(tmp_path):
    result = fastmlp.path(*regression(), lambdas=[0.1], folds=2, seed=0, verbose=0)
    for name, figure in {
        "cv": result.plot_cv(), "path": result.plot_path(), "fits": result.plot_fits()
    }.items():  # fmt: skip
        assert plots.save(figure, tmp_path / f"{name}.png").stat().st_size > 1000
