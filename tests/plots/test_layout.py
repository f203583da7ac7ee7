"""What all figures share: axes of one's own, title, size, theme, and names drawn as they are."""

import inspect as _inspect

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fastmlp import datasets, inspection, models, plots
from fastmlp.inspection import Feature, PartialDependence

from ..support.sampling import sampled

X = np.random.default_rng(0).normal(size=(60, 2))
Y = (X[:, 0] > 0).astype(int)
HISTORY = {"loss": [3, 2, 1.0], "val_loss": [3, 2.5, 2.6], "acc": [0.1, 0.5, 0.6]}


def net(units="4", n_inputs=1, n_outputs=1, **given):
    return models.mlp(units, n_inputs, n_outputs, seed=1, **given)


def dependence():
    grid, rows = np.linspace(0, 1, 5), np.random.default_rng(0).random(20)
    curves = np.tile(grid[None, :, None], (20, 1, 1))
    return PartialDependence([Feature("a", [0], "numeric")], [grid], curves.mean(0), curves, [rows])


def report():
    return inspection.layer_report(net("4x2"), datasets.regression_train()[0])


def importance():
    repeats = np.array([[0.5, 0.4], [0.1, 0.0]])
    return inspection.Importance(["a", "b"], repeats, "mse", 0.25)


def attributed():
    return inspection.attributions(net("4", 2), X[:9], seed=1)


# Function, arguments, number of panels.
FIGURES = {
    "history": (plots.plot_history, lambda: (HISTORY,), 2),
    "rates": (plots.plot_rates, lambda: ([1e-3, 1e-2], [1.0, 2.0], 0.01), 1),
    "weights": (plots.plot_weights, lambda: (net("4x2"),), 3),
    "gradients": (plots.plot_gradients, lambda: (net(),), 1),
    "regression": (plots.plot_regression_data, lambda: (), 1),
    "classes": (plots.plot_classification_data, lambda: (), 1),
    "boundary": (plots.plot_decision_boundary, lambda: (net("4", 2), None, None, None, 11), 1),
    "layers": (plots.plot_layers, lambda: (net("4x2"),), 3),
    "facets": (plots.plot_layer_activations_facetted, lambda: (net("80"), 0), 3),
    "members": (plots.plot_ensemble, lambda: ([net(), net()],), 1),
    "units": (plots.plot_contributions, lambda: (net("4x2"),), 2),
    "roc": (plots.plot_roc, lambda: (Y, X[:, 0]), 1),
    "precision": (plots.plot_precision_recall, lambda: (Y, X[:, 0]), 1),
    "calibration": (plots.plot_calibration, lambda: (Y, 1 / (1 + np.exp(-X[:, 0]))), 2),
    "gains": (plots.plot_gains, lambda: (Y, X[:, 0]), 1),
    "confusion": (plots.plot_confusion, lambda: (Y, Y), 1),
    "class scores": (plots.plot_class_scores, lambda: (Y, Y), 1),
    "predicted": (plots.plot_predicted, lambda: (X[:, 0], X[:, 1]), 1),
    "residuals": (plots.plot_residuals, lambda: (X[:, 0], X[:, 1], {"a": Y}), 2),
    "quantiles": (plots.plot_qq, lambda: (X[:, 0], X[:, 1]), 1),
    "coverage": (plots.plot_coverage, lambda: (X[:, 0], X[:, 1], X[:, 1] - 1, X[:, 1] + 1), 1),
    "learning": (plots.plot_learning_curve, lambda: ([1, 2], [1, 2], [3, 2]), 1),
    "swarm": (plots.plot_attributions, lambda: (attributed(),), 1),
    "row": (plots.plot_attribution, lambda: (attributed(),), 1),
    "changes": (plots.plot_change_points, lambda: (net(), net()), 4),
    "network": (plots.plot_network, lambda: (net(),), 1),
    "importance": (plots.plot_importance, lambda: (importance(),), 1),
    "dependence": (plots.plot_partial_dependence, lambda: ([dependence(), dependence()],), 2),
    "report": (plots.plot_layer_report, lambda: (report(),), 3),
}


@pytest.mark.parametrize("name", sampled(5, FIGURES))
def test_every_function_draws_into_given_axes(name):
    draw, arguments, n = FIGURES[name]
    figure = Figure(figsize=(5 * n, 9), layout="constrained")
    axes = figure.subplots(2, n, squeeze=False)
    keyword = "axes" if "axes" in _inspect.signature(draw).parameters else "ax"
    before = [len(ax.findobj()) for ax in axes[1]]
    given = axes[0] if keyword == "axes" else axes[0, 0]
    assert draw(*arguments(), title="$mine$", **{keyword: given}) is figure
    assert axes[0, 0].get_title(loc="left").startswith("$mine$")
    for ax in axes[0]:
        assert ax.has_data() or ax.collections
    assert before == [len(ax.findobj()) for ax in axes[1]]  # and nowhere else
    assert not figure.legends
    assert len(figure.axes) == 2 * n
    figure.draw_without_rendering()
    with pytest.raises(ValueError, match=f"panels, {n}. Received: {n + 1}"):
        draw(*arguments(), **{keyword: figure.subplots(1, n + 1)})
    with pytest.raises(ValueError, match="must be matplotlib's Axes"):
        draw(*arguments(), **{keyword: "here"})


@pytest.mark.parametrize("name", sampled(5, FIGURES))
def test_every_function_has_title_size_and_themes(name, tmp_path):
    draw, arguments, _ = FIGURES[name]
    figure = draw(*arguments(), title="One", size="16:9", theme="dark")
    width, height = figure.get_size_inches()
    assert width / height == pytest.approx(16 / 9)
    assert figure.get_suptitle().startswith("One")
    page = np.array(to_rgb(figure.get_facecolor()))
    assert page.max() < 0.2
    for ax in figure.axes:
        assert np.ptp([*to_rgb(ax.get_facecolor()), *page]) < 0.06
        for text in (ax.xaxis.label, ax.yaxis.label, ax._left_title):
            assert min(to_rgb(text.get_color())) > 0.7
        for label in ax.get_xticklabels():
            assert min(to_rgb(label.get_color())) > 0.7
        for line in ax.lines:
            assert max(to_rgb(line.get_color())) > 0.35, line
    plots.save(figure, tmp_path / "a.svg")
    assert draw(*arguments(), size=(4, 3)).get_size_inches().tolist() == [4, 3]
    printed = draw(*arguments(), theme="print", size="5x4")
    for ax in printed.axes:
        assert to_rgb(ax.xaxis.label.get_color()) == (0, 0, 0)


def test_unknown_keywords_and_bad_values_say_what_is_expected():
    with pytest.raises(TypeError, match=r"has no argument 'titel'. It has: .*title"):
        plots.plot_regression_data(titel="a")
    with pytest.raises(ValueError, match="theme"):
        plots.plot_regression_data(theme="drak")
    with pytest.raises(ValueError, match=r"title must be a text. Received: title=3"):
        plots.plot_regression_data(title=3)
    for size in ("16x", "x", "0:1", "-3x2", "nanx3", "1000x1000", 3, (1,), (1, 2, 3), "a:b",
                 "1:1:1", "16:0"):  # fmt: skip
        with pytest.raises(ValueError, match="size must be a ratio"):
            plots.plot_regression_data(size=size)


HOSTILE = [
    "price $ vs $",
    "<$50K",
    r"$\frac",
    "a_b^{c}",
    "$x$",
    "100%",
    r"\alpha",
    "{",
    "日本語 العربية",
]


@pytest.mark.parametrize("name", sampled(4, HOSTILE))
def test_names_are_drawn_as_they_are(name, tmp_path):
    figure = plots.plot_decision_boundary(
        net("4", 2), None, None, None, 11, X, Y, class_names=[name, "other"], x1_label=name,
        x2_label=name, title=name,
    )  # fmt: skip
    plots.save(figure, tmp_path / "a.png", dpi=30)
    ax = figure.axes[0]
    texts = [ax.xaxis.label, *ax.get_legend().get_texts(), figure._suptitle]
    assert all(not text.get_parse_math() for text in texts)
    assert ax.get_xlabel() == name == figure.get_suptitle()
    found = inspection.Importance([name, "b"], np.array([[1.0], [2.0]]), "mse", 1.0)
    figure = plots.plot_importance(found)
    plots.save(figure, tmp_path / "b.svg")
    labels = figure.axes[0].get_yticklabels()
    assert name in [label.get_text() for label in labels]
    assert not any(label.get_parse_math() for label in labels)
    plots.save(plots.plot_network(net("2", 2), input_names=[name, "b"]), tmp_path / "c.png", dpi=30)


def test_letters_beyond_the_own_font_come_from_installed_ones():
    from fastmlp.plots import _layout

    assert _layout._fonts_for("plain \N{EN DASH} text", ["sans-serif"]) == []
    further = _layout._fonts_for("日", ["DejaVu Sans Mono", "no such font"])
    assert further[0] == "DejaVu Sans Mono"  # the user's first, if they are installed
    assert "no such font" not in further
    assert "DejaVu Sans" not in further


@pytest.mark.parametrize("scale", [1e12, 1e-9, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_no_offset_stands_over_the_tick_labels(scale, offset):
    x = np.linspace(0, 1, 20)
    figure = plots.plot_regression_data(x, offset + scale * x)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert ax.yaxis.get_offset_text().get_text() == ""
    low, high = ax.get_ylim()
    shown = [
        (tick.get_loc(), tick.label1.get_text())
        for tick in ax.yaxis.get_major_ticks() if low <= tick.get_loc() <= high
    ]  # fmt: skip
    values = [float(t.replace("\N{MINUS SIGN}", "-").replace(",", "")) for _, t in shown]
    step = np.diff([at for at, _ in shown])
    assert np.abs(np.array(values) - [at for at, _ in shown]).max() <= 0.01 * step.max() + 1e-12
    assert len({t for _, t in shown}) == len(shown)


def test_a_logarithmic_axis_has_raised_digits_and_always_a_label():
    for losses in ([1.0, 2.0], [1e-12, 1.0], [1.0, 1.2]):
        figure = plots.plot_gradients(net("4x3"))
        ax = figure.axes[0]
        ax.set_ylim(min(losses), max(losses))
        figure.draw_without_rendering()
        low, high = ax.get_ylim()
        ticks = ax.yaxis.get_major_ticks() + ax.yaxis.get_minor_ticks()
        shown = [t.label1.get_text() for t in ticks if low <= t.get_loc() <= high]
        assert any(shown)
        assert not any("$" in text for text in shown)


def area(ax):
    return ax.get_position().width * ax.get_position().height


def test_long_names_of_twelve_classes_leave_the_axes_their_size():
    names = [f"a long name of a class, the one with number {k}" for k in range(12)]
    y = np.arange(60) % 12
    short = plots.plot_decision_boundary(net("4", 2, 12), None, None, None, 11, X, y)
    long = plots.plot_decision_boundary(
        net("4", 2, 12), None, None, None, 11, X, y, class_names=names
    )
    for figure in (short, long):
        figure.draw_without_rendering()
        figure.draw_without_rendering()
    assert area(long.axes[0]) > 0.3
    shown = [text.get_text() for text in long.axes[0].get_legend().get_texts()]
    names_shown = {text for text in shown if "wrong" not in text}
    assert len(names_shown) == 12  # and they can still be told apart


# ---- histories ---------------------------------------------------------------------------------


def best_of(ax):
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    return next(label for label in labels if label.startswith("best"))


@pytest.mark.parametrize("name", ["auc", "r2", "precision", "recall", "accuracy", "macro_f1"])
def test_the_best_epoch_of_a_score_is_that_of_its_largest_value(name):
    history = {"loss": [1, 0.5, 0.4], "val_loss": [1, 0.8, 0.9], name: [0.5, 0.8, 0.9],
               f"val_{name}": [0.5, 0.7, 0.6]}  # fmt: skip
    figure = plots.plot_history(history)
    assert best_of(figure.axes[0]) == "best validation: 0.8, epoch 2"
    assert best_of(figure.axes[1]) == "best validation: 0.7, epoch 2"


def test_values_that_are_not_finite_leave_the_rest_to_see():
    nan, inf = float("nan"), float("inf")
    history = {"loss": [3.0, 2.0, nan, 1.0, inf], "val_loss": [nan, 2.0, 1.5, 1.7, inf],
               "mae": [nan] * 5}  # fmt: skip
    figure = plots.plot_history(history)
    figure.draw_without_rendering()
    first, second = figure.axes
    assert best_of(first) == "best validation: 1.5, epoch 3"
    assert np.isfinite(first.get_ylim()).all()
    assert "not finite" in [text.get_text() for text in first.get_legend().get_texts()]
    assert second.get_title(loc="left") == "no finite value"


def test_a_metric_that_is_the_loss_is_drawn_once():
    history = {"loss": [3.0, 2.0], "mse": [3.0, 2.0], "mae": [1.0, 0.5]}
    figure = plots.plot_history(history)
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss = mse", "mae"]
    assert len(plots.plot_history({**history, "val_loss": [3, 2], "val_mse": [3, 1]}).axes) == 3


def test_user_settings_do_not_reach_a_saved_figure(tmp_path):
    plain = plots.save(plots.plot_history(HISTORY, theme="dark"), tmp_path / "a.svg").read_bytes()
    with matplotlib.rc_context({"text.parse_math": True, "axes.facecolor": "red"}):
        figure = plots.plot_history(HISTORY, theme="dark")
        assert plots.save(figure, tmp_path / "b.svg").read_bytes() == plain
