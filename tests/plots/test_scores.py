"""Figures of how well a model predicts; the numbers behind them are those of scikit-learn."""

import numpy as np
import pytest

from fastmlp import inspection, metrics, models, plots
from fastmlp.errors import DataError

from ..support.sampling import sampled
from .test_layout import HOSTILE
from .test_plots import assert_tidy

RNG = np.random.default_rng(0)
N = 300
P = np.round(RNG.random(N), 2)  # with ties
Y = (RNG.random(N) < P).astype(int)
SHARES = RNG.dirichlet(np.ones(4), N)
CLASSES = np.array([RNG.choice(4, p=p) for p in SHARES])
TRUE = RNG.normal(size=N)
FOUND = TRUE + RNG.normal(size=N) * 0.3


def test_the_curves_are_those_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    fpr, tpr, at = metrics.roc_curve(Y, P)
    for ours, theirs in zip(
        (fpr, tpr, at), sk.roc_curve(Y, P, drop_intermediate=False), strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    precision, recall, at = metrics.precision_recall_curve(Y, P)
    theirs = sk.precision_recall_curve(Y, P)
    np.testing.assert_allclose(precision, theirs[0][:-1][::-1])
    np.testing.assert_allclose(recall, theirs[1][:-1][::-1])
    np.testing.assert_allclose(at, theirs[2][::-1])
    found = metrics.confusion_matrix(CLASSES, SHARES.argmax(1))
    np.testing.assert_array_equal(found, sk.confusion_matrix(CLASSES, SHARES.argmax(1)))
    assert np.trapezoid(tpr, fpr) == pytest.approx(metrics.auc(Y, P))


def test_calibration_is_the_mean_distance_of_bins():
    found = metrics.calibration(Y, P, 5)
    assert found.counts.sum() == N
    assert found.counts.min() > 0.7 * N / 5
    expected = (found.counts * np.abs(found.predicted - found.observed)).sum() / N
    assert found.ece == pytest.approx(expected)
    assert (found.lower <= found.observed).all()
    assert (found.observed <= found.upper).all()
    exact = metrics.calibration([0, 1, 1, 1], [0.75] * 4)
    assert exact.ece == 0
    assert exact.counts.tolist() == [4]
    assert metrics.calibration([0, 1], [1.0, 0.0]).ece == 1
    # Wilson's interval of 3 in 4, by hand.
    assert exact.lower[0] == pytest.approx(0.30064, abs=1e-4)
    assert exact.upper[0] == pytest.approx(0.95441, abs=1e-4)


def test_gains_of_a_perfect_and_of_a_constant_model():
    y = np.array([1, 0, 0, 1, 0])
    rows, found = metrics.gains_curve(y, y)
    np.testing.assert_allclose(rows, [0, 0.4, 1])
    np.testing.assert_allclose(found, [0, 1, 1])
    rows, found = metrics.gains_curve(y, np.ones(5))
    np.testing.assert_allclose(rows, [0, 1])


@pytest.mark.parametrize("curve", [metrics.roc_curve, metrics.precision_recall_curve,
                                   metrics.gains_curve, metrics.calibration])  # fmt: skip
@pytest.mark.parametrize(
    ("y", "p", "message"),
    [([0, 1], [0.5], "equally long"), ([], [], "not empty"), ([0, 1], [0.5, np.nan], "finite"),
     ([[0, 1]], [[0.5, 0.5]], "one-dimensional")],
)  # fmt: skip
def test_curves_refuse(curve, y, p, message):
    with pytest.raises(DataError, match=message):
        curve(y, p)


def test_the_matrix_refuses_what_is_not_a_class():
    for y, predicted, n in (([0, 1], [0], None), ([-1], [0], None), ([0.5], [0], None),
                            ([2], [0], 2), ([], [], None), ([np.nan], [0], None)):  # fmt: skip
        with pytest.raises(DataError, match="Received"):
            metrics.confusion_matrix(y, predicted, n)
    with pytest.raises(DataError, match="probabilities"):
        metrics.calibration([0, 1], [0.5, 1.5])


NAMES = ["first", "second", "third", "fourth"]
TWO, FOUR = (Y, P, ["no", "yes"]), (CLASSES, SHARES, NAMES)


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("draw", sampled(2, [
    plots.plot_roc, plots.plot_precision_recall, plots.plot_calibration, plots.plot_gains,
]))  # fmt: skip
@pytest.mark.parametrize("data", [TWO, FOUR])
def test_curves_of_two_and_of_four_classes(draw, data):
    y, p, names = data
    figure = draw(y, p, class_names=names)
    shown = " ".join(labels_of(figure.axes[0]))
    assert all(name in shown for name in (names if len(names) > 2 else ["yes"]))
    if draw is not plots.plot_calibration:  # its axes share a scale
        for line in figure.axes[0].lines:
            assert np.isfinite(np.asarray(line.get_xdata(), float)).all()
    with pytest.raises(ValueError, match="equally long"):
        draw(y[1:], p)
    with pytest.raises(ValueError, match="class_names"):
        draw(CLASSES, SHARES, class_names=["a"])


def test_roc_has_its_area_and_chance():
    figure = plots.plot_roc(Y, P)
    assert labels_of(figure.axes[0]) == [f"1: AUC {metrics.auc(Y, P):.3f}", "chance: AUC 0.5"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata()[[0, -1]], [0, 1])
    assert_tidy(plots.plot_precision_recall(*TWO[:2], class_names=TWO[2], title="A title"))


def test_precision_has_the_base_rate():
    ax = plots.plot_precision_recall(Y, P).axes[0]
    assert any(np.allclose(line.get_ydata(), Y.mean()) for line in ax.lines)
    assert f"base rate {Y.mean():.3f}" in labels_of(ax)[0]


def test_confusion_counts_rows_and_colours_shares():
    found = SHARES.argmax(1)
    ax = plots.plot_confusion(CLASSES, found, class_names=NAMES).axes[0]
    counts = metrics.confusion_matrix(CLASSES, found)
    cells = {
        (round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts
    }
    for (i, j), text in cells.items():
        assert text.split("\n")[0] == f"{counts[i, j]:,}"
    np.testing.assert_allclose(ax.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    assert f"{np.mean(found == CLASSES):.1%} of {N} rows right" == ax.get_title(loc="left")
    assert not plots.plot_confusion(np.arange(40), np.arange(40)).axes[0].texts


def test_many_classes_have_curves_for_the_most_frequent():
    p = RNG.dirichlet(np.ones(30), 600)
    y = np.where(np.arange(600) % 2, 3, np.arange(600) % 30)
    shown = labels_of(plots.plot_roc(y, p).axes[0])
    assert len(shown) == 8
    assert any(label.startswith("3: ") for label in shown)


def test_class_scores():
    found = SHARES.argmax(1)
    ax = plots.plot_class_scores(CLASSES, found, class_names=NAMES).axes[0]
    by_label = {line.get_label(): line.get_xdata() for line in ax.lines}
    sk = pytest.importorskip("sklearn.metrics")
    scores = sk.precision_recall_fscore_support(CLASSES, found)
    np.testing.assert_allclose(by_label["precision"], scores[0])
    np.testing.assert_allclose(by_label["recall"], scores[1])
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], scores[2])


# ---- regression --------------------------------------------------------------------------------


def test_predicted_against_actual_is_hexagons_beyond_5000_points():
    ax = plots.plot_predicted(TRUE, FOUND, label="price").axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), FOUND)
    assert ax.get_xlim() == ax.get_ylim()
    assert f"{N} rows" in ax.get_title(loc="left")
    many = RNG.normal(size=(5001, 2)).T
    hexagons = plots.plot_predicted(*many).axes[0]
    assert hexagons.collections
    assert hexagons.collections[0].get_array().sum() > 0
    with pytest.raises(ValueError, match="finite"):
        plots.plot_predicted([np.nan], [1.0])
    with pytest.raises(ValueError, match="equally long"):
        plots.plot_predicted([1.0, 2.0], [1.0])


def test_residuals_against_the_prediction_and_each_column():
    columns = {"size": RNG.normal(size=N), "kind": np.where(TRUE > 0, "a$", "b"),
               "holes": np.where(TRUE > 0, np.nan, TRUE)}  # fmt: skip
    figure = plots.plot_residuals(TRUE, FOUND, columns, label="price")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_xlabel() for ax in shown] == ["predicted price", *columns]
    np.testing.assert_allclose(shown[0].lines[0].get_ydata(), TRUE - FOUND)
    assert {t.get_text() for t in shown[2].get_xticklabels()} == {"a$", "b"}
    assert len(shown[3].lines[0].get_xdata()) == (TRUE <= 0).sum()
    with pytest.raises(ValueError, match="each of the 300 rows"):
        plots.plot_residuals(TRUE, FOUND, {"a": [1, 2]})


def test_quantiles_of_normal_residuals_lie_on_the_line():
    error = np.random.default_rng(1).normal(2, 3, 20_000)
    ax = plots.plot_qq(error).axes[0]
    line, points = ax.lines
    slope = np.polyfit(points.get_xdata()[100:-100], points.get_ydata()[100:-100], 1)
    np.testing.assert_allclose(slope, [3, 2], rtol=0.05)
    assert len(points.get_xdata()) <= 1000
    np.testing.assert_allclose(np.polyfit(line.get_xdata(), line.get_ydata(), 1), slope, rtol=0.05)


def test_coverage_counts_the_rows_inside():
    ax = plots.plot_coverage(TRUE, FOUND, FOUND - 0.5, FOUND + 0.5, level=0.9).axes[0]
    inside = np.mean(np.abs(TRUE - FOUND) <= 0.5)
    assert ax.get_title(loc="left") == f"{inside:.1%} of 300 rows inside, 90% wanted"
    by_label = {line.get_label(): line for line in ax.lines}
    assert len(by_label["outside"].get_xdata()) == round((1 - inside) * N)
    with pytest.raises(ValueError, match="equally long"):
        plots.plot_coverage(TRUE, FOUND, FOUND, FOUND[1:])


def test_learning_curves_have_a_band_for_several_runs():
    ax = plots.plot_learning_curve([10, 100, 1000], [1, 2, 3], RNG.random((3, 5))).axes[0]
    assert len(ax.collections) == 1
    assert ax.get_xscale() == "log"
    with pytest.raises(ValueError, match="each of the 3"):
        plots.plot_learning_curve([1, 2, 3], [1, 2], [1, 2, 3])


# ---- attributions ------------------------------------------------------------------------------


def explained(names=None, n=40, k=4):
    model = models.mlp("6", k, 1, seed=1)
    x = RNG.normal(size=(n, k))
    return inspection.attributions(model, x, seed=1, features=names)


def test_a_swarm_has_every_row_of_the_most_important_features():
    found = explained()
    ax = plots.plot_attributions(found, 3).axes[0]
    drawn = [c.get_offsets()[:, 0] for c in ax.collections if len(c.get_offsets())]
    for x, i in zip(drawn, found.order[:3], strict=True):
        np.testing.assert_allclose(np.sort(x), np.sort(found.values[:, i, 0]))
    offsets = np.concatenate([c.get_offsets()[:, 1] for c in ax.collections])
    assert np.abs(offsets - np.round(offsets)).max() <= 0.45
    assert "1 more features" in ax.get_title(loc="left")


def test_a_row_is_explained_from_the_mean_to_its_prediction():
    found = explained()
    ax = plots.plot_attribution(found, 5, 2).axes[0]
    widths = [bar.get_width() for bar in ax.patches]
    assert len(widths) == 3
    total = found.predictions[5, 0] - found.base[0]
    assert sum(widths) == pytest.approx(total, abs=1e-6)
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "2 other features"
    for given in ({"row": 40}, {"row": -41}, {"output": 1}, {"n_shown": 0}):
        with pytest.raises(ValueError, match="Received"):
            plots.plot_attribution(found, **given)
    with pytest.raises(ValueError, match="attributions"):
        plots.plot_attributions("no")


@pytest.mark.parametrize("name", sampled(4, HOSTILE))
def test_hostile_names_in_all_of_them(name, tmp_path):
    names = [name, "b"]
    figures = [
        plots.plot_roc(Y, P, class_names=names),
        plots.plot_precision_recall(Y, P, class_names=names, title=name),
        plots.plot_confusion(Y, P > 0.5, class_names=names),
        plots.plot_class_scores(Y, P > 0.5, class_names=names),
        plots.plot_residuals(TRUE, FOUND, {name: np.where(TRUE > 0, name, "b")}, label=name),
        plots.plot_attributions(explained([name, "b", "c", "d"]), label=name),
        plots.plot_attribution(explained([name, "b", "c", "d"]), label=name),
    ]
    for i, figure in enumerate(figures):
        plots.save(figure, tmp_path / f"{i}.png", dpi=30)


def test_a_column_of_few_numbers_has_a_box_for_each():
    rng = np.random.default_rng(2)
    y = rng.normal(size=60)
    columns = {"member": np.tile([0.0, 1.0, np.nan], 20), "age": rng.normal(size=60)}
    first, member, age = plots.plot_residuals(y, y * 0, columns).axes
    assert [text.get_text() for text in member.get_xticklabels()] == ["0", "1", "missing"]
    assert len(member.patches) == 3 and not age.patches and not first.patches
