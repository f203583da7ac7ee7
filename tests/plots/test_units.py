"""Contributions of units, and the map of a layer's units."""

import numpy as np
import pytest

from fastmlp import datasets, layers, models, plots

X, Y = datasets.regression_train()


def net(units="6", **given):
    model = models.mlp(units, 1, 1, seed=2, **given)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    return model


def test_contributions_add_up_to_the_fit():
    model = net()
    above, below = plots.plot_contributions(model).axes
    grid = datasets.grid()
    fit = model.predict(grid, verbose=0)[:, 0]
    units = [line.get_ydata() for line in above.lines[:6]]
    bias = model.get_weights()[3][0]
    np.testing.assert_allclose(np.sum(units, axis=0) + bias, fit, atol=1e-5)
    total = next(line for line in below.lines if line.get_label().startswith("sum"))
    np.testing.assert_allclose(total.get_ydata(), fit, atol=1e-5)
    # What is stacked upwards and downwards meets at the fit: their heights add up to it.
    heights = [c.get_paths()[0].vertices for c in below.collections]
    assert len(heights) == 12


def test_units_are_in_the_order_of_their_change_points():
    model = net()
    w, b = model.get_weights()[:2]
    labels = [line.get_label() for line in plots.plot_contributions(model).axes[0].lines[:6]]
    shown = [int(label.split(":")[0].split()[1]) - 1 for label in labels]
    assert shown == np.argsort(-b / w[0]).tolist()


def test_many_units_have_no_legend():
    figure = plots.plot_contributions(net("40"))
    assert figure.axes[0].get_legend() is None


def test_a_map_sorts_units_and_counts_the_dead():
    model = net("30")
    weights = model.get_weights()
    weights[0][:, 4], weights[1][4] = 0, -1
    model.set_weights(weights)
    ax = plots.plot_unit_map(model).axes[0]
    values = np.asarray(ax.images[0].get_array())
    assert values.shape == (30, len(datasets.grid()))
    assert not values[-1].any()
    live = values[values.max(1) > 0]
    np.testing.assert_allclose(live.max(1), 1)
    assert "zero throughout" in ax.get_title(loc="left")
    hidden = model.activations(datasets.grid())[0]
    np.testing.assert_allclose(np.sort(values.max(1)), np.sort((hidden.max(0) > 0).astype(float)))


def test_units_that_do_not_change_are_grey_and_last():
    model = net("4")
    weights = model.get_weights()
    weights[0][:, 1], weights[1][1] = 0, 3
    weights[0][0, 0], weights[1][0] = 1, 0
    model.set_weights(weights)
    ax = plots.plot_unit_map(model).axes[0]
    values = np.ma.masked_invalid(ax.images[0].get_array())
    assert values.mask[-1].all() and values.mask.sum() == len(datasets.grid())
    assert "1 constant" in ax.get_title(loc="left")


def test_a_map_over_one_of_several_inputs():
    model = models.mlp("5", 2, 1, seed=1)
    grid = np.linspace(-1, 3, 50)

    def inputs(x):
        return np.c_[x, np.full(len(x), 0.7)].astype("float32")

    image = plots.plot_unit_map(model, x=grid, preprocess=inputs).axes[0].images[0]
    hidden = model.activations(inputs(grid))[0]
    np.testing.assert_allclose(
        np.sort(np.ma.filled(image.get_array(), 0).mean(1)),
        np.sort((hidden / np.maximum(hidden.max(0), 1e-30)).mean(0)), atol=1e-6,
    )  # fmt: skip
    assert image.get_extent()[:2] == [-1, 3]


def test_they_refuse():
    with pytest.raises(ValueError, match="one input"):
        plots.plot_contributions(models.mlp("4", 2, 1))
    with pytest.raises(ValueError, match="one input"):
        plots.plot_unit_map(models.mlp("4", 2, 1))
    with pytest.raises(ValueError, match="hidden layer"):
        plots.plot_contributions(models.Sequential([layers.Dense(1, input_shape=(1,))], seed=1))
    with pytest.raises(ValueError, match="output must be"):
        plots.plot_contributions(net(), output=1)
    with pytest.raises(ValueError, match="layer must be"):
        plots.plot_unit_map(net(), 2)
