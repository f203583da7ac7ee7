"""What the figures draw: data, labels, colours, and that nothing lies over anything else."""

import itertools
import math
import stat
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgba

from fastmlp import (
    datasets,
    initializers,
    inspection,
    layers,
    lecture,
    models,
    plots,
    regularizers,
)
from fastmlp.callbacks import History
from fastmlp.inspection import Feature, Importance, PartialDependence

RNG = np.random.default_rng(0)
POINTS_OF_TWO = np.random.default_rng(1).normal(size=(60, 2)).astype("float32")


def network(units, n_inputs=1, n_outputs=1, output="linear", dropout=None, seed=1, **options):
    model = models.Sequential(seed=seed)
    for i, width in enumerate([*units, n_outputs]):
        last = i == len(units)
        options["input_shape"] = (n_inputs,) if i == 0 else None
        model.add(layers.Dense(width, activation=output if last else "relu", **options))
        if dropout and not last:
            model.add(layers.Dropout(dropout))
    return model


def spread(model, scale=1.0, seed=0):
    """Give a model biases and larger weights, so that its change points are all over the axis."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0.0, scale, w.shape) for w in model.get_weights()])
    return model


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def by_label(ax):
    return {line.get_label(): line for line in ax.lines}


def boxes(figure):
    """Return the named rectangles, in pixels, of everything that must not be covered."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = []
    for k, ax in enumerate(figure.axes):
        if not ax.get_visible():
            continue
        if ax.axison:
            found.append((f"panel {k}", ax.get_window_extent(renderer)))
        texts = [ax.title, ax._left_title, *ax.texts]
        if ax.axison:
            texts += [ax.xaxis.label, ax.yaxis.label]
            ticks = ax.xaxis._update_ticks() + ax.yaxis._update_ticks()  # those in view
            texts += [tick.label1 for tick in ticks if tick.label1.get_visible()]
        found += [(repr(t), t.get_window_extent(renderer)) for t in texts if t.get_text()]
        if ax.get_legend():
            found.append((f"legend {k}", ax.get_legend().get_window_extent(renderer)))
    for text in (figure._suptitle, figure._supxlabel, figure._supylabel):
        if text is not None:
            found.append((repr(text), text.get_window_extent(renderer)))
    found += [(f"legend {x}", x.get_window_extent(renderer)) for x in figure.legends]
    return found


def assert_tidy(figure):
    """Nothing overlaps by more than a pixel, and nothing leaves the figure."""
    named = boxes(figure)
    for name, box in named:
        assert box.x0 > -1 and box.y0 > -1, name
        assert box.x1 < figure.bbox.width + 1 and box.y1 < figure.bbox.height + 1, name
    for (name, a), (other, b) in itertools.combinations(named, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width < 1 or height < 1, f"{name} overlaps {other}"


def test_tidiness_notices_what_lies_over_something_else():
    figure = plots.plot_regression_data()
    assert_tidy(figure)
    figure.axes[0].legend(loc="upper left")
    with pytest.raises(AssertionError, match="overlaps"):
        assert_tidy(figure)
    figure = plots.plot_regression_data()
    figure.suptitle("x" * 200)
    with pytest.raises(AssertionError, match="xxx"):
        assert_tidy(figure)


# ---- every layer -----------------------------------------------------------------------------


def test_layers_draws_every_units_activation_and_the_fit():
    model = network([3, 4])
    figure = plots.plot_layers(model)
    assert tuple(figure.get_size_inches()) == (10.0, 8.0)
    first, second, last = figure.axes
    grid = datasets.grid()
    for ax, values in zip((first, second), model.activations(grid), strict=False):
        assert [line.get_label() for line in ax.lines] == [
            f"a{j + 1}" for j in range(values.shape[1])
        ]
        for j, line in enumerate(ax.lines):
            np.testing.assert_array_equal(line.get_xdata(), grid[:, 0])
            np.testing.assert_array_equal(line.get_ydata(), values[:, j])
        assert ax.get_ylabel() == "activation"
        assert ax.get_legend() is None
    drawn = by_label(last)
    assert labels_of(last) == ["true function", "estimated function", "training points"]
    np.testing.assert_allclose(
        drawn["true function"].get_ydata(), datasets.regression_true_function(grid)[:, 0]
    )
    np.testing.assert_array_equal(
        drawn["estimated function"].get_ydata(), model.predict(grid, verbose=0)[:, 0]
    )
    train_x, train_y = datasets.regression_train()
    np.testing.assert_array_equal(drawn["training points"].get_xdata(), train_x[:, 0])
    np.testing.assert_array_equal(drawn["training points"].get_ydata(), train_y[:, 0])
    assert drawn["training points"].get_linestyle() == "None"
    assert (last.get_xlabel(), last.get_ylabel()) == ("x", "y")


def test_units_up_to_28_are_told_apart_by_colour_or_dashes():
    figure = plots.plot_layers(network([28]))
    looks = {(line.get_color(), repr(line._unscaled_dash_pattern)) for line in figure.axes[0].lines}
    assert len(looks) == 28
    assert {to_hex(colour) for colour, _ in looks} == {c.lower() for c in plots.PALETTE}


@pytest.mark.parametrize(
    ("units", "legend"),
    [
        ([2], False),
        ([2], True),
        ([16] * 3, True),
        pytest.param([128], True, marks=pytest.mark.slow),
        pytest.param([1024] * 5, True, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_layers_is_tidy(units, legend):
    figure = plots.plot_layers(network(units), hidden_legend=legend, title="a title")
    assert tuple(figure.get_size_inches()) == (10.0, 8.0)
    assert_tidy(figure)


def test_hidden_legend_has_five_columns_and_every_unit():
    ax = plots.plot_layers(network([16, 16]), hidden_legend=True).axes[1]
    assert labels_of(ax) == [f"a{j}" for j in range(1, 17)]
    assert ax.get_legend()._ncols == 5


def test_a_legend_too_long_for_its_panel_is_shortened():
    ax = plots.plot_layers(network([1024]), hidden_legend=True).axes[0]
    names = labels_of(ax)
    assert len(ax.lines) == 1024
    assert len(names) < 200
    assert names[-2:] == ["...", "a1024"]
    assert names[:-2] == [f"a{j + 1}" for j in range(len(names) - 2)]


def test_layers_without_hidden_ones():
    figure = plots.plot_layers(network([5, 5]), hidden_legend=False, include_hidden=False)
    assert len(figure.axes) == 1
    assert "estimated function" in labels_of(figure.axes[0])
    assert_tidy(figure)


def test_layers_leaves_out_dropout_and_counts_dead_units():
    model = network([6, 6], dropout=0.5)
    w, b = model.layers[0].get_weights()
    w[0, :2], b[:2] = 0.0, -1.0
    w[0, 2:], b[2:] = 1.0, 3.0
    model.layers[0].set_weights((w, b))
    figure = plots.plot_layers(model)
    assert len(figure.axes) == 3
    assert (
        figure.axes[0].get_title(loc="left") == "Hidden layer 1: 6 units, relu (2 zero throughout)"
    )


@pytest.mark.slow
def test_many_layers_make_the_figure_higher():
    figure = plots.plot_layers(network([4] * 15))
    assert len(figure.axes) == 16
    assert figure.get_size_inches()[1] > 8
    assert_tidy(figure)


def test_own_data_leave_the_lectures_out():
    x, y = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    model = network([4])
    ax = plots.plot_layers(model, train=(x, y), x_label="age", y_label="size").axes[-1]
    assert labels_of(ax) == ["estimated function", "training points"]
    drawn = by_label(ax)
    np.testing.assert_array_equal(drawn["training points"].get_xdata(), x)
    estimated = drawn["estimated function"].get_xdata()
    assert (estimated[0], estimated[-1]) == (1.0, 3.0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("age", "size")

    ax = plots.plot_layers(model, x=x, true_function=np.cos).axes[-1]
    assert labels_of(ax) == ["true function", "estimated function"]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1.0, 2.0, 3.0])


def test_preprocess_and_postprocess_keep_the_datas_units():
    model = network([4])
    x = np.linspace(100, 200, 11)
    figure = plots.plot_layers(
        model, x=x, preprocess=lambda v: (v - 150) / 50, postprocess=lambda v: 10 * v + 7
    )
    scaled = ((x - 150) / 50)[:, None]
    unit, fit = figure.axes[0].lines[0], figure.axes[1].lines[0]
    np.testing.assert_array_equal(unit.get_xdata(), x)
    np.testing.assert_array_equal(unit.get_ydata(), model.activations(scaled)[0][:, 0])
    np.testing.assert_array_equal(fit.get_ydata(), 10 * model.predict(scaled, verbose=0)[:, 0] + 7)


def test_several_outputs_have_a_line_each():
    x = np.linspace(0, 1, 5)
    y = np.stack([x, -x], axis=1)
    ax = plots.plot_layers(network([4], n_outputs=2), train=(x, y)).axes[-1]
    names = ["estimated function y1", "estimated function y2"]
    points = ["training points y1", "training points y2"]
    assert labels_of(ax) == names + points
    drawn = by_label(ax)
    np.testing.assert_array_equal(drawn[points[1]].get_ydata(), -x)
    for name, other in zip(names, points, strict=True):
        assert drawn[name].get_color() == drawn[other].get_markeredgecolor()


@pytest.mark.parametrize(
    "draw",
    [
        plots.plot_layers,
        lambda model: plots.plot_layer_activations_facetted(model, 0),
        lambda model: plots.plot_ensemble([model]),
        lambda model: plots.plot_change_points(model, model),
    ],
)
def test_a_curve_over_two_inputs_is_refused(draw):
    with pytest.raises(ValueError, match=r"one input.*Received: 2 inputs"):
        draw(network([4], n_inputs=2))


def test_bad_data_are_refused():
    model = network([4])
    with pytest.raises(ValueError, match="Received: 2 inputs"):
        plots.plot_layers(model, train=(np.ones((3, 2)), np.ones(3)))
    with pytest.raises(ValueError, match=r"x must have shape.*Received: shape \(0, 1\)"):
        plots.plot_layers(model, x=[])


# ---- one layer in facets ---------------------------------------------------------------------


def test_facets_stand_in_unit_order_down_each_column():
    model = network([4, 1024])
    figure = plots.plot_layer_activations_facetted(model, 1)
    assert tuple(figure.get_size_inches()) == (16.0, 12.0)
    assert len(figure.axes) == 32
    values = model.activations(datasets.grid())[1]
    for ax in figure.axes:
        spec = ax.get_subplotspec()
        assert spec.get_gridspec().get_geometry() == (8, 4)
        first = 32 * (8 * spec.colspan.start + spec.rowspan.start)
        assert [line.get_label() for line in ax.lines] == [f"a{first + j + 1}" for j in range(32)]
        drawn = np.stack([line.get_ydata() for line in ax.lines], axis=1)
        np.testing.assert_array_equal(drawn, values[:, first : first + 32])
        assert ax.get_title(loc="left") == f"a{first + 1} to a{first + 32}"
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert figure.get_supxlabel() == "x"
    assert figure.get_supylabel() == "activation"
    assert figure.get_suptitle().startswith(f"{model.layers[1].name}: 1,024 units, relu")
    assert_tidy(figure)


@pytest.mark.parametrize(("units", "panels", "largest"), [(1, 1, 1), (33, 2, 32), (70, 3, 32)])
def test_facets_of_narrow_layers(units, panels, largest):
    figure = plots.plot_layer_activations_facetted(network([units]), 0, title="mine")
    visible = [ax for ax in figure.axes if ax.get_visible()]
    assert len(visible) == panels
    assert max(len(ax.lines) for ax in visible) == largest
    assert sum(len(ax.lines) for ax in visible) == units
    assert figure.get_suptitle().startswith("mine, ")
    assert_tidy(figure)


@pytest.mark.slow
def test_facets_of_a_layer_too_wide_for_32_panels_of_32():
    figure = plots.plot_layer_activations_facetted(network([2000]), 0)
    counts = {ax.get_title(loc="left"): len(ax.lines) for ax in figure.axes}
    assert counts == {
        f"a{first + 1} to a{min(first + 63, 2000)}": min(63, 2000 - first)
        for first in range(0, 2000, 63)
    }
    assert figure.get_suptitle().endswith("63 to a panel")


def test_facets_take_an_index_into_layers():
    model = network([4, 5], dropout=0.1)  # dense, dropout, dense, dropout, dense
    figure = plots.plot_layer_activations_facetted(model, 2)
    assert len(figure.axes[0].lines) == 5
    assert len(plots.plot_layer_activations_facetted(model, 1).axes[0].lines) == 4
    assert len(plots.plot_layer_activations_facetted(model, -1).axes[0].lines) == 1
    with pytest.raises(ValueError, match=r"from 0 to 4\. Received: layer=5"):
        plots.plot_layer_activations_facetted(model, 5)


def test_ensemble_draws_members_in_grey_and_their_mean_in_bold():
    members = [network([6], seed=seed) for seed in range(3)]
    ax = plots.plot_ensemble(members).axes[0]
    grid = datasets.grid()
    curves = [model.predict(grid, verbose=0)[:, 0] for model in members]
    for line, curve in zip(ax.lines, curves, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), curve)
        assert len(set(to_rgba(line.get_color())[:3])) == 1  # a grey
    mean = by_label(ax)["mean of members"]
    np.testing.assert_allclose(mean.get_ydata(), np.mean(curves, axis=0), rtol=1e-6)
    assert mean.get_linewidth() > 2 * ax.lines[0].get_linewidth()
    assert labels_of(ax) == ["3 members", "mean of members", "true function", "training points"]
    with pytest.raises(ValueError, match="at least one model"):
        plots.plot_ensemble([])


# ---- data and classes ------------------------------------------------------------------------


def test_regression_data_are_the_lectures():
    figure = plots.plot_regression_data(validation=datasets.regression_validation())
    ax = figure.axes[0]
    drawn = by_label(ax)
    assert labels_of(ax) == ["validation points", "true function", "training points"]
    for name, (x, y) in (
        ("training points", datasets.regression_train()),
        ("validation points", datasets.regression_validation()),
    ):
        np.testing.assert_array_equal(drawn[name].get_xdata(), x[:, 0])
        np.testing.assert_array_equal(drawn[name].get_ydata(), y[:, 0])
    assert_tidy(figure)
    with pytest.raises(ValueError, match="x and y go together"):
        plots.plot_regression_data([1.0])


def test_own_regression_data():
    ax = plots.plot_regression_data([1, 2], [3, 4], np.sin, y_label="height").axes[0]
    assert labels_of(ax) == ["true function", "training points"]
    assert ax.get_ylabel() == "height"
    truth = by_label(ax)["true function"]
    np.testing.assert_allclose(truth.get_ydata(), np.sin(truth.get_xdata()))


def plasma(value):
    return matplotlib.colormaps["plasma"]((value + 0.2) / 1.4)


def test_classification_points_are_coloured_and_shaped_by_class():
    figure = plots.plot_classification_data()
    x, y = datasets.classification_train()
    for k, line in enumerate(figure.axes[0].lines):
        np.testing.assert_array_equal(line.get_xydata(), x[y[:, 0] == k])
        assert to_rgba(line.get_color()) == plasma(k)
        assert line.get_label() == f"class {k}"
    assert len({line.get_marker() for line in figure.axes[0].lines}) == 2
    assert_tidy(figure)


def test_classification_points_with_the_true_boundary_and_names():
    def probability(points):
        return 1 / (1 + np.exp(5 - 7 * points[:, 0] ** 2 - 25 * points[:, 1] ** 2))

    figure = plots.plot_classification_data(probability=probability, class_names=["no", "yes"])
    ax = figure.axes[0]
    assert labels_of(ax) == ["no", "yes", "true boundary"]
    (curve,) = ax.collections[0].get_paths()
    np.testing.assert_allclose(probability(curve.vertices), 0.5, atol=0.01)
    assert_tidy(figure)
    with pytest.raises(ValueError, match="x and y go together"):
        plots.plot_classification_data(y=[0, 1])


def diagonal(n_inputs=2):
    """Return a classifier that says 1 where the sum of its inputs is positive."""
    model = network([], n_inputs=n_inputs, output="sigmoid")
    model.set_weights([np.ones((n_inputs, 1)), np.zeros(1)])
    return model


def test_decision_boundary_takes_the_lectures_arguments():
    x, y = datasets.classification_train()
    figure = plots.plot_decision_boundary(diagonal(), None, (-1, 1), (-2, 2), 11, x, y)
    ax = figure.axes[0]
    (image,) = ax.images
    x1, x2 = np.meshgrid(np.linspace(-1, 1, 11), np.linspace(-2, 2, 11))
    clear = np.abs(x1 + x2) > 1e-6
    colours = np.array([plasma(0)[:3], plasma(1)[:3]])
    nearer = np.linalg.norm(image.get_array()[..., None, :3] - colours, axis=-1).argmin(-1)
    np.testing.assert_array_equal(nearer[clear], (x1 + x2 > 0)[clear])
    assert 0 < image.get_array()[..., 3].min() < image.get_array()[..., 3].max() < 0.5
    np.testing.assert_allclose(image.get_extent(), [-1.1, 1.1, -2.2, 2.2])
    assert image.origin == "lower"
    (boundary,) = ax.collections  # where the classes are equally likely: a straight line
    places = np.concatenate([path.vertices for path in boundary.get_paths()])
    assert np.abs(places.sum(axis=1)).max() < 0.05
    outputs = diagonal().predict(x, verbose=0)
    wrong = (outputs[:, 0] > 0.5) != (y[:, 0] > 0.5)
    np.testing.assert_array_equal(ax.lines[2].get_xydata(), x[wrong])
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (-2, 2))
    assert [to_rgba(line.get_color()) for line in ax.lines[:2]] == [plasma(0), plasma(1)]
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), x[y[:, 0] == 1])
    rings = f"{wrong.sum()} of 100 wrong"
    assert labels_of(ax) == ["class 0", "class 1", "predicted 0", "predicted 1", rings]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x1", "x2")
    assert_tidy(figure)


def test_decision_boundary_takes_predictions_and_validation_points_and_the_truth():
    x = RNG.normal(size=(50, 2))
    y = (x[:, 0] > 0).astype(int)
    figure = plots.plot_decision_boundary(
        diagonal(), train_x=x, train_y=y, validation=(x + 9, y), predicted=1 - y,
        probability=lambda points: 1.0 * (points[:, 0] > 0),
    )  # fmt: skip
    labels = labels_of(figure.axes[0])
    assert "50 of 50 wrong" in labels
    assert "validation points" in labels
    assert "true boundary" in labels
    assert len(figure.axes[0].collections) == 2
    assert_tidy(figure)


def test_decision_boundary_defaults_to_the_lectures_points():
    ax = plots.plot_decision_boundary(diagonal()).axes[0]
    x, _ = datasets.classification_train()
    assert sum(len(line.get_xdata()) for line in ax.lines[:2]) == 100
    assert ax.get_xlim()[0] < x[:, 0].min() and ax.get_xlim()[1] > x[:, 0].max()


def test_decision_boundary_preprocesses_the_mesh_but_not_the_points():
    seen = []

    def preprocess(points):
        seen.append(points)
        return np.column_stack([points, points[:, 0] * points[:, 1]])

    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    ax = plots.plot_decision_boundary(diagonal(3), preprocess, (0, 1), (0, 2), 5, x, [0, 1]).axes[0]
    assert seen[0].shape == (25, 2)
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[1.0, 2.0]])


def test_decision_boundary_of_three_classes():
    model = network([], n_inputs=2, n_outputs=3, output="softmax")
    model.set_weights([np.array([[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]) * 20, np.array([0, 8.0, 0])])
    x = np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
    names = ["left", "middle", "right"]
    figure = plots.plot_decision_boundary(
        model, None, (-1, 1), (-1, 1), 3, x, np.eye(3), class_names=names
    )
    ax = figure.axes[0]
    shades = [plasma(v)[:3] for v in (0, 0.5, 1)]
    np.testing.assert_allclose(ax.images[0].get_array()[..., :3], [shades] * 3, atol=0.01)
    assert [to_rgba(line.get_color()) for line in ax.lines] == [plasma(v) for v in (0, 0.5, 1)]
    assert labels_of(ax) == [s for name in names for s in (name, f"predicted {name}")]
    assert_tidy(figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x1lim": (1, -1)}, "x1lim must be"),
        ({"x2lim": (0, 0)}, "x2lim must be"),
        ({"gridlen": 1}, "gridlen must be an integer of at least 2"),
        ({"train_x": np.ones((3, 2))}, "go together"),
        ({"train_x": np.ones((3, 3)), "train_y": [0, 1, 0]}, r"shape \(n, 2\)"),
        ({"train_x": np.ones((3, 2)), "train_y": [0, 0.5, 1]}, "class numbers"),
        ({"train_x": np.ones((3, 2)), "train_y": [0, -1, 1]}, "class numbers"),
        ({"preprocess": lambda x: x[:, :1]}, "a model of 2"),
    ],
)
def test_decision_boundary_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_decision_boundary(diagonal(), **options)


# ---- training --------------------------------------------------------------------------------


def test_history_draws_loss_and_metrics():
    history = {
        "accuracy": [0.5, 0.7, 0.9],
        "loss": [1.0, 0.4, 0.05],
        "val_loss": [1.1, 0.3, 0.6],
        "val_accuracy": [0.4, 0.8, 0.7],
    }
    figure = plots.plot_history(history)
    loss, accuracy = figure.axes
    for ax, name in ((loss, "loss"), (accuracy, "accuracy")):
        training, validation, best = ax.lines
        np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(training.get_ydata(), history[name])
        np.testing.assert_array_equal(validation.get_ydata(), history["val_" + name])
        assert training.get_color() != validation.get_color()
        assert (best.get_xdata()[0], best.get_ydata()[0]) == (2, history["val_" + name][1])
    assert loss.get_yscale() == "log"
    assert loss.get_ylabel() == "loss (log scale)"
    assert accuracy.get_yscale() == "linear"
    assert accuracy.get_xlabel() == "epoch"
    assert labels_of(loss) == ["training", "validation", "best validation: 0.3, epoch 2"]
    assert_tidy(figure)


def test_rates_draw_losses_over_a_logarithmic_axis_and_mark_the_suggestion():
    rates = np.geomspace(1e-5, 1, 50)
    losses = 1 + (np.log10(rates) + 2) ** 2
    figure = plots.plot_rates(rates, losses, 0.01, title="Rates")
    (ax,) = figure.axes
    curve, mark = ax.lines
    np.testing.assert_array_equal(curve.get_xdata(), rates)
    np.testing.assert_array_equal(curve.get_ydata(), losses)
    assert list(mark.get_xdata()) == [0.01, 0.01]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert labels_of(ax) == ["loss, running mean", "suggested: 0.01"]
    assert_tidy(figure)
    assert len(plots.plot_rates(rates, losses).axes[0].lines) == 1
    for bad in ((rates, losses[1:]), ([], []), (rates[None], losses[None])):
        with pytest.raises(ValueError, match="one-dimensional and of the same length"):
            plots.plot_rates(*bad)


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([2.0, 1.0], "linear"), ([9.0, 1.0], "log"), ([9.0, 0.0], "linear"), ([9.0, -1.0], "linear")],
)
def test_history_is_logarithmic_only_where_that_is_honest(losses, scale):
    assert plots.plot_history({"loss": losses}).axes[0].get_yscale() == scale
    assert plots.plot_history({"loss": losses}, log=False).axes[0].get_yscale() == "linear"


def test_a_short_span_has_more_ticks_than_powers_of_ten():
    ax = plots.plot_history({"loss": np.geomspace(0.5, 0.02, 50)}).axes[0]
    ax.figure.draw_without_rendering()
    shown = [t.get_text() for t in ax.get_yticklabels()]
    assert {"0.5", "0.2", "0.05", "0.02"} <= set(shown)


def test_history_places_validation_at_its_epochs():
    history = {"loss": np.linspace(1, 0.9, 100), "val_loss": np.linspace(1, 0.9, 5)}
    validation = plots.plot_history(history).axes[0].lines[1]
    np.testing.assert_array_equal(validation.get_xdata(), [20, 40, 60, 80, 100])
    at = [1, 2, 3, 4, 50]
    validation = plots.plot_history(history, validation_epochs=at).axes[0].lines[1]
    np.testing.assert_array_equal(validation.get_xdata(), at)


@pytest.mark.parametrize(("every", "at"), [(3, [3, 6, 9]), ([2, 7, 11], [2, 7])])
def test_history_object_says_when_it_validated(every, at):
    history = History()
    history.epoch = list(range(10))
    history.history = {"loss": [1.0] * 10, "val_loss": [1.0] * len(at)}
    history.set_params({"validation_freq": every})
    validation = plots.plot_history(history).axes[0].lines[1]
    np.testing.assert_array_equal(validation.get_xdata(), at)


def test_history_of_a_fit():
    model = network([4])
    model.compile("adam", "mse", metrics=["mae"])
    x, y = datasets.regression_train()
    history = model.fit(x, y, epochs=4, verbose=0, validation_split=0.2)
    figure = plots.plot_history(history, title="four epochs")
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "mae"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), history.history["loss"])
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.plot_history({"loss": []})


def test_weights_histograms_hold_every_weight_and_the_penalty():
    model = network([40, 30], kernel_regularizer=regularizers.l1_l2(l1=0.5, l2=0.25))
    w = model.layers[1].get_weights()
    w[0][: 600 // 30] = 0.0
    model.layers[1].set_weights(w)
    figure = plots.plot_weights(model)
    for ax, layer in zip(figure.axes, model.layers, strict=False):
        w = layer.get_weights()[0].astype(float)
        (steps,) = ax.patches
        counts = steps.get_data().values
        assert counts.sum() == w.size
        amount = 0.5 * np.abs(w).sum() + 0.25 * (w**2).sum()
        title = ax.get_title(loc="left")
        assert f"{layer.name}: {w.shape[0]} in, {w.shape[1]} out" in title
        assert f"L1 0.5, L2 0.25: penalty {amount:.3g}" in title
        assert ("50.0% zero" in title) == (layer is model.layers[1])
    assert [ax.get_yscale() for ax in figure.axes] == ["linear", "log", "linear"]
    assert figure.axes[0].get_ylabel() == "number of weights"
    assert_tidy(figure)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_weights_share_their_axis_unless_the_ranges_differ_too_much(scale):
    model = network([200, 100])
    rng = np.random.default_rng(0)
    for layer, size in zip(model.layers, (1.0, scale, 1.0), strict=True):
        layer.set_weights([rng.uniform(-size, size, w.shape) for w in layer.get_weights()])
    limits = {ax.get_xlim() for ax in plots.plot_weights(model).axes}
    assert len(limits) == (1 if scale == 1.0 else 3)
    assert all(low == -high for low, high in limits)


def test_weights_without_penalty():
    figure = plots.plot_weights(network([2] * 4))
    assert [ax.get_visible() for ax in figure.axes] == [True] * 5 + [False]
    assert figure.axes[0].get_title(loc="left").endswith("no penalty")
    assert_tidy(figure)


def test_gradients_are_the_largest_of_each_layer():
    several = [network([8] * 3), network([8] * 5)]
    figure = plots.plot_gradients(several, labels=["shallow", "deep"])
    ax = figure.axes[0]
    x, _ = datasets.regression_train()
    for model, line in zip(several, ax.lines, strict=True):
        expected = [np.abs(dw).max() for dw, _ in model.gradients(x)]
        np.testing.assert_allclose(line.get_ydata(), expected)
        np.testing.assert_array_equal(line.get_xdata(), range(1, len(expected) + 1))
    assert ax.get_yscale() == "log"
    assert labels_of(ax) == ["shallow", "deep"]
    assert labels_of(plots.plot_gradients(several[0]).axes[0]) == ["3 hidden layers, relu"]
    assert_tidy(figure)


# ---- the repair ------------------------------------------------------------------------------


def repaired(model, low, high):
    other = network([layer.units for layer in model.layers[:-1]])
    other.set_weights(model.get_weights())
    w, b = other.layers[0].get_weights()
    points = -b / w[0]
    w[0, (points >= low) & (points <= high)] *= 0.1
    other.layers[0].set_weights((w, b))
    return other


def test_change_points_before_and_after():
    before = spread(network([200]))
    after = repaired(before, 0.5, 1.0)
    figure = plots.plot_change_points(before, after)
    grid = datasets.grid()
    val_x, val_y = datasets.regression_validation()
    for j, model in enumerate((before, after)):
        curve, histogram = figure.axes[j], figure.axes[2 + j]
        fitted = model.predict(grid, verbose=0)[:, 0]
        np.testing.assert_array_equal(by_label(curve)["estimated function"].get_ydata(), fitted)
        step = np.abs(np.diff(fitted[(grid[:, 0] > 0.5) & (grid[:, 0] < 1.01)])).max()
        mse = np.mean((model.predict(val_x, verbose=0) - val_y) ** 2)
        title = curve.get_title(loc="left")
        assert title.endswith(f"largest step {step:.3f}, validation mse {mse:.4f}")
        w, b = model.layers[0].get_weights()
        points = -b / w[0]
        bars = histogram.patches[0].get_data()
        assert bars.values.sum() == np.count_nonzero(np.abs(points) <= 2)
        inside = np.count_nonzero((points >= 0.5) & (points <= 1.0))
        outside = np.count_nonzero(np.abs(points) > 2)
        assert (inside > 10) == (j == 0)
        assert histogram.get_title(loc="left") == (
            f"{inside} change points in [0.5, 1], {outside} beyond the axis"
        )
        shaded = histogram.patches[1]
        assert (shaded.get_x(), shaded.get_width()) == (0.5, 0.5)
    assert figure.axes[0].get_title(loc="left").startswith("Before")
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[2].get_ylim() == figure.axes[3].get_ylim()
    assert_tidy(figure)


def test_change_points_in_the_datas_units():
    model = network([4])
    model.layers[0].set_weights([np.array([[1.0, 1.0, 2.0, 0.0]]), np.array([0, -0.5, 1.0, 1.0])])
    x = np.linspace(100, 200, 51)
    figure = plots.plot_change_points(
        model, model, (140, 180), x=x, preprocess=lambda v: (v - 150) / 50
    )
    # In the model's units 0, 0.5, -0.5 and infinity; in the data's 150, 175, 125.
    bars = figure.axes[2].patches[0].get_data()
    np.testing.assert_allclose([bars.edges[0], bars.edges[-1]], [100, 200])
    filled = bars.edges[:-1][bars.values > 0]
    np.testing.assert_allclose(filled, [125, 150, 175], atol=100 / 80 + 1e-3)
    title = figure.axes[2].get_title(loc="left")
    assert title == "2 change points in [140, 180], 1 beyond the axis"
    assert "validation" not in figure.axes[0].get_title(loc="left")


def test_change_points_without_biases_or_with_a_bad_interval():
    model = network([3], use_bias=False)
    title = plots.plot_change_points(model, model, (-0.5, 0.5)).axes[2].get_title(loc="left")
    assert title.startswith("3 change points")
    with pytest.raises(ValueError, match="low < high"):
        plots.plot_change_points(model, model, (1.0, 0.5))


# ---- the network -----------------------------------------------------------------------------


def edges_of(figure):
    return [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]


def node_texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_network_draws_each_weight_by_sign_and_size():
    model = network([2], n_inputs=2)
    w = np.array([[1.0, -0.5], [0.0, 0.25]])
    model.layers[0].set_weights((w, np.zeros(2)))
    figure = plots.plot_network(model)
    first, second = edges_of(figure)
    # Smallest first; zero has no edge.
    blue, vermillion = to_rgba("#0072B2")[:3], to_rgba("#D55E00")[:3]
    assert [tuple(c[:3]) for c in first.get_colors()] == [blue, vermillion, blue]
    assert list(np.argsort(first.get_linewidths())) == [0, 1, 2]
    assert list(np.argsort(first.get_colors()[:, 3])) == [0, 1, 2]
    ends = [segment.tolist() for segment in first.get_segments()]
    assert ends == [[[0, -0.5], [1, -0.5]], [[0, 0.5], [1, -0.5]], [[0, 0.5], [1, 0.5]]]
    assert len(second.get_segments()) == 2
    texts = node_texts(figure)
    assert {"x1", "x2", "a1", "a2", "y", "|w| to 1", "hidden 1\n2 units\nrelu"} <= set(texts)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "positive weight",
        "negative weight",
        "weight near 0",
    ]


@pytest.mark.parametrize("n", [12, 13, 1024])
def test_network_shows_the_units_with_the_strongest_paths_beyond_twelve(n):
    model = network([n])
    figure = plots.plot_network(model)
    drawn = [text for text in node_texts(figure) if text[0] == "a" and text[1:].isdigit()]
    strength = np.abs(model.get_weights()[0][0] * model.get_weights()[2][:, 0])
    shown = range(1, n + 1) if n == 12 else sorted(np.argsort(-strength)[:10] + 1)
    assert drawn == [f"a{j}" for j in shown]
    assert len(edges_of(figure)[0].get_segments()) == len(drawn)
    assert f"hidden 1\n{n:,} units\nrelu" in node_texts(figure)


def test_network_scales_edges_by_all_of_a_layers_weights():
    model = network([100])
    w, b, v, c = model.get_weights()
    w[:], w[0, 50] = 0.1, 1.0
    v[50] = 0  # the largest leads nowhere, and is left out
    model.set_weights((w, b, v, c))
    widths = edges_of(plots.plot_network(model))[0].get_linewidths()
    assert max(widths) < 0.6


def test_network_greys_units_without_a_path_and_draws_no_edge_for_a_zero():
    model = network([4, 3], n_inputs=2)
    weights = model.get_weights()
    weights[0][:, 1] = 0  # unit 2 of the first layer sees nothing
    weights[2][3] = 0  # nothing sees unit 4
    weights[4][0] = 0  # nothing sees unit 1 of the second layer
    model.set_weights(weights)
    figure = plots.plot_network(model)
    nodes = [c for c in figure.axes[0].collections if len(c.get_offsets()) and
             not isinstance(c, LineCollection)]  # fmt: skip
    dead = [[to_hex(face) == "#dddddd" for face in c.get_facecolors()] for c in nodes]
    assert dead == [[False] * 2, [False, True, False, True], [True, False, False], [False]]
    assert [len(edges.get_segments()) for edges in edges_of(figure)] == [6, 9, 2]


@pytest.mark.parametrize(
    "model",
    [
        lambda: network([2]),
        lambda: network([12], kernel_regularizer=regularizers.l2(0.01)),
        lambda: network([32] * 15),
        lambda: network([1024] * 5, n_inputs=2, dropout=0.2),
    ],
)
def test_network_is_tidy(model):
    figure = plots.plot_network(model(), title="a title")
    assert_tidy(figure)
    named = [t for t in figure.axes[0].texts if t.get_text()[0] in "xay"]
    renderer = figure.canvas.get_renderer()
    node = 2 * math.sqrt(500 / math.pi) * figure.dpi / 72
    assert all(t.get_window_extent(renderer).width < node for t in named)


def test_network_names_inputs_outputs_penalty_and_dropout():
    model = network(
        [3], n_inputs=2, n_outputs=2, dropout=0.25, kernel_regularizer=regularizers.l1(0.5)
    )
    figure = plots.plot_network(
        model, input_names=["age", "height of the plant"], output_names=["a", "b"]
    )
    texts = node_texts(figure)
    assert {"age", "height of the plant", "a", "b"} <= set(texts)
    notes = [text for text in texts if text.startswith("|w|")]
    assert [note.split("\n")[1:] for note in notes] == [["L1 0.5"], ["L1 0.5", "dropout 0.25"]]
    assert_tidy(figure)


# ---- files and settings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "suffix", [".png", ".svg", pytest.param(".pdf", marks=pytest.mark.slow), ".PNG"]
)
def test_save_gives_the_same_bytes_each_time(tmp_path, suffix, monkeypatch):
    def draw(name):
        figure = plots.plot_decision_boundary(diagonal(), gridlen=11)
        return plots.save(figure, tmp_path / (name + suffix), dpi=40).read_bytes()

    first = draw("one")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    with matplotlib.rc_context({"svg.hashsalt": "other", "font.size": 20, "savefig.dpi": 7}):
        assert draw("two") == first
    assert len(first) > 1000
    assert b"atplotlib v" not in first and b"20" + b"2" not in first[:400]


def test_save_makes_an_ordinary_file_of_the_asked_size(tmp_path):
    figure = plots.plot_regression_data()
    path = plots.save(figure, str(tmp_path / "data.png"), dpi=50)
    assert path == tmp_path / "data.png"
    assert np.shape(matplotlib.image.imread(path))[:2] == (250, 400)
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_save_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "data.png"
    path.write_bytes(b"old")
    figure = plots.plot_regression_data()

    def fail(stream, **options):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="No space left"):
        plots.save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_save_refuses_other_formats_and_missing_directories(tmp_path):
    figure = plots.plot_regression_data()
    with pytest.raises(ValueError, match=r"\.png, \.svg or \.pdf"):
        plots.save(figure, tmp_path / "data.bmp")
    with pytest.raises(FileNotFoundError):
        plots.save(figure, tmp_path / "missing" / "data.png")


def test_figures_look_the_same_whatever_the_users_settings():
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "text.color": "red"}):
        figure = plots.plot_regression_data()
        assert matplotlib.rcParams["font.size"] == 30
    ax = figure.axes[0]
    assert ax.xaxis.label.get_size() == 10
    assert not any(line.get_visible() for line in ax.get_xgridlines())


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = (
        "import sys; from fastmlp import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.plot_classification_data()\n"
        "assert 'matplotlib' in sys.modules\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- what a model depends on -------------------------------------------------------------------


def importance(means, names=None, n_repeats=3, **options):
    means = np.array(means, dtype=float)
    repeats = means[:, None] + np.linspace(-0.1, 0.1, n_repeats)
    names = names or [f"x{i + 1}" for i in range(len(means))]
    return Importance(names, repeats, options.pop("metric", "mse"), 0.25, **options)


def test_importance_draws_means_and_shuffles_the_most_important_first():
    figure = plots.plot_importance(importance([0.5, 2.0, -0.05], ["b", "a", "c"]))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    widths = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(widths, [2.0, 0.5, -0.05])
    assert ax.yaxis_inverted()
    points = by_label(ax)["3 shuffles"]
    np.testing.assert_allclose(points.get_xdata()[:3], [1.9, 2.0, 2.1])
    np.testing.assert_array_equal(points.get_ydata(), [0, 0, 0, 1, 1, 1, 2, 2, 2])
    low, high = ax.get_xlim()
    assert low < -0.15 and high > 2.1  # bars start at zero, and every shuffle is seen
    assert ax.get_xlabel() == "rise of mse when the column is shuffled"
    assert ax.get_title(loc="left") == "mse 0.25 unshuffled"
    assert_tidy(figure)


def test_importance_shows_as_many_as_asked_and_cuts_long_names():
    names = [f"column {i} " + "x" * 60 for i in range(50)]
    found = importance(np.arange(50), names, 1, metric="accuracy", larger_is_better=True)
    figure = plots.plot_importance(found, 12, title="Houses")
    ax = figure.axes[0]
    texts = [text.get_text() for text in ax.get_yticklabels()]
    assert len(texts) == 12 and texts[0].startswith("column 49 x") and len(texts[0]) == 30
    assert ax.get_title(loc="left") == "accuracy 0.25 unshuffled, 12 of 50 columns"
    assert ax.get_xlabel().startswith("fall of accuracy")
    assert labels_of(ax) == ["mean"]
    assert_tidy(figure)
    with pytest.raises(ValueError, match="n_shown"):
        plots.plot_importance(found, 0)


def dependence(features, n_outputs=1, n=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 7)).astype(np.float32)
    x[:, 2:5] = np.eye(3)[rng.integers(0, 3, n)]
    x[:, 5] = rng.integers(0, 2, n)
    x[:, 6] = rng.integers(0, 9000, n)
    model = models.mlp([8], 7, n_outputs, activation="tanh", seed=1)
    return [inspection.partial_dependence(model, x, feature, grid=9) for feature in features]


AGE = Feature("age", (0,), mean=40.0, scale=12.0)
SIZE = Feature("size", (1,))
COLOUR = Feature("colour", (2, 3, 4), "categorical", ("red", "green", "blue"))
OPEN = Feature("open", (5,), "boolean")
DAY = Feature("day", (6,), "date")


def test_dependence_draws_the_mean_single_rows_and_deciles_on_one_scale():
    several = dependence([AGE, SIZE])
    own = plots.plot_partial_dependence(several, y_label="price")
    assert own.axes[0].get_ylim() != own.axes[1].get_ylim()  # each has its own scale by default
    figure = plots.plot_partial_dependence(several, y_label="price", shared=True)
    first, second = figure.axes
    drawn = by_label(first)
    mean = drawn["mean over 60 rows"]
    np.testing.assert_array_equal(mean.get_xdata(), several[0].grid[0])
    np.testing.assert_array_equal(mean.get_ydata(), several[0].average[:, 0])
    curves = [line for line in first.lines if to_hex(line.get_color()) == "#8a8a8a"]
    assert len(curves) == 50
    np.testing.assert_array_equal(curves[7].get_ydata(), several[0].curves[7, :, 0])
    deciles = drawn["deciles of the rows"].get_xdata()
    np.testing.assert_allclose(deciles, np.quantile(several[0].rows[0], np.arange(1, 10) / 10))
    assert first.get_ylim() == second.get_ylim()
    low, high = first.get_ylim()
    both = np.concatenate([one.curves.ravel() for one in several])
    assert low <= both.min() and high >= both.max()
    assert (first.get_xlabel(), first.get_ylabel()) == ("age", "price")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "single rows",
        "mean over 60 rows",
        "deciles of the rows",
    ]
    assert_tidy(figure)


def test_dependence_on_categories_booleans_and_dates():
    figure = plots.plot_partial_dependence(dependence([COLOUR, OPEN, DAY, AGE, SIZE]))
    colour, opened, day = figure.axes[:3]
    for ax, names in ((colour, list(COLOUR.categories)), (opened, ["false", "true"])):
        assert [text.get_text().split("\n")[0] for text in ax.get_xticklabels()] == names
        assert {text.get_rotation() for text in ax.get_xticklabels()} == {0}
    assert by_label(colour)["mean over 60 rows"].get_linestyle() == "None"
    bars = [bar.get_height() for bar in opened.patches]
    np.testing.assert_allclose(bars, dependence([OPEN])[0].average[:, 0])
    figure.draw_without_rendering()
    years = [text.get_text() for text in day.get_xticklabels()]
    assert "1980" in years
    assert_tidy(figure)
    long = Feature("colour", (2, 3, 4), "categorical", ("red", "x" * 50, "a very long name"))
    figure = plots.plot_partial_dependence(dependence([long]))
    texts = figure.axes[0].get_xticklabels()
    assert [len(text.get_text()) for text in texts] == [3, 30, 16]
    assert {text.get_rotation() for text in texts} == {35}


def test_dependence_of_several_outputs_has_a_line_each():
    figure = plots.plot_partial_dependence(
        dependence([AGE, COLOUR], 3), output_names=["low", "middle", "high"]
    )
    for ax in figure.axes:
        lines = by_label(ax)
        assert len({to_hex(lines[name].get_color()) for name in ("low", "middle", "high")}) == 3
        assert "single rows" not in lines
    assert_tidy(figure)


def test_dependence_on_two_features_is_a_map():
    several = dependence([(AGE, SIZE), (AGE, COLOUR), (OPEN, DAY)])
    figure = plots.plot_partial_dependence(several, y_label="price")
    mesh = figure.axes[0].collections[0]
    np.testing.assert_array_equal(
        np.asarray(mesh.get_array()).reshape(9, 9), several[0].average[:, :, 0].T
    )
    assert figure.axes[0].get_xlabel() == "age" and figure.axes[0].get_ylabel() == "size"
    assert figure.axes[3].get_ylabel() == "mean price"
    assert len(figure.axes) == 6
    figure.draw_without_rendering()


def test_dependence_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="at least one"):
        plots.plot_partial_dependence([])
    with pytest.raises(ValueError, match="Received: 3 outputs"):
        plots.plot_partial_dependence(dependence([(AGE, SIZE)], 3))


def test_dependence_on_a_single_value_and_a_constant():
    x = np.ones((3, 1))
    one = PartialDependence((SIZE,), (x[:1, 0],), np.ones((1, 1)), np.ones((3, 1, 1)), (x[:, 0],))
    assert_tidy(plots.plot_partial_dependence(one))
    grid = np.array([0.0, 1.0, 2.0])
    flat = PartialDependence(
        (AGE, SIZE), (grid, grid), np.ones((3, 3, 1)), np.ones((0, 9, 1)), (grid, grid)
    )
    plots.plot_partial_dependence(flat).draw_without_rendering()


def test_layer_report_shades_what_has_vanished():
    entry = lecture.Entry("deep", "regression", (32,) * 15, 0.0, 0.0, 65392, 16, 0, {})
    report = inspection.layer_report(lecture.build(entry), *datasets.regression_train())
    figure = plots.plot_layer_report(report)
    signal, ratio, units = figure.axes
    np.testing.assert_array_equal(
        signal.lines[0].get_ydata(), [layer.error_signal for layer in report.layers]
    )
    np.testing.assert_array_equal(
        ratio.lines[0].get_ydata(), [layer.ratio for layer in report.layers]
    )
    assert signal.get_yscale() == ratio.get_yscale() == "log"
    assert labels_of(signal) == ["vanished: below 1e-05"]
    assert units.get_ylim()[0] < 0 < 1 < units.get_ylim()[1]
    assert " ".join(figure._supxlabel.get_text().split()) == report.verdict
    assert_tidy(figure)


def test_layer_report_of_healthy_exploding_and_dead_networks():
    train = datasets.regression_train()

    def drawn(activation, initializer="glorot_uniform", n_layers=3, dead=False):
        model = network([8] * n_layers, kernel_initializer=initializer, seed=2)
        for layer in model.dense_layers[:-1]:
            layer.activation = activation
        model.compile("adam", "mse")
        if dead:
            weights = model.get_weights()
            weights[2][...], weights[5][...] = 0, 0.1
            model.set_weights(weights)
        figure = plots.plot_layer_report(inspection.layer_report(model, *train), title="A network")
        assert_tidy(figure)
        return figure

    healthy = drawn("tanh")
    assert healthy.axes[0].get_legend() is None
    assert labels_of(healthy.axes[2]) == ["dead", "saturated"]
    low, high = healthy.axes[1].get_ylim()
    assert high / low > 100
    wide = initializers.RandomNormal(stddev=3.0, seed=1)
    assert labels_of(drawn("relu", wide, 10).axes[0]) == ["exploded: above 1000"]
    dead = drawn("relu", dead=True)
    assert dead.axes[0].get_title(loc="left") == "no error signal in layers 1, 2"


def test_rings_leave_the_pairs_of_a_legend_together():
    x, y = POINTS_OF_TWO, np.arange(60) % 3
    model = models.mlp("4", 2, 3, seed=1, output_activation="softmax")
    labels = labels_of(plots.plot_decision_boundary(model, train_x=x, train_y=y).axes[0])
    assert "wrong" in labels[0]
    assert labels[1:] == ["class 0", "predicted 0", "class 1", "predicted 1", "class 2",
                          "predicted 2"]  # fmt: skip


def test_lines_over_a_light_map_stay_dark_on_a_dark_page():
    model = models.mlp("4", 2, 1, seed=1)
    found = inspection.partial_dependence(model, POINTS_OF_TWO, (0, 1))
    ax = plots.plot_partial_dependence(found, theme="dark").axes[0]
    [lines] = [c for c in ax.collections if hasattr(c, "levels")]
    assert np.ravel(lines.get_edgecolor())[:3].max() < 0.2
    assert ax.xaxis.label.get_color() != "black"
