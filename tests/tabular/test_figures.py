"""Figures of a model on the rows of a table."""

import numpy as np
import pytest

import fastmlp
from fastmlp import plots
from fastmlp._utils import names
from fastmlp.errors import DataError

from ..support.sampling import sampled

RNG = np.random.default_rng(0)
N = 120
AGE, INCOME = RNG.normal(40, 10, N), RNG.lognormal(10, 0.5, N)
CITY = RNG.choice(["Aachen", "Köln", "$x$"], N)
SCORE = (AGE - 40) / 10 + (CITY == "Köln") - (np.log(INCOME) - 10)
TARGETS = {
    "two": np.where(SCORE > 0, ">=50K $", "<$50K"),
    "three": np.where(SCORE < -0.7, "low_1", np.where(SCORE < 0.7, "mid", "high^2")),
    "number": SCORE * 10 + RNG.normal(size=N),
}
KINDS = {task: [*(names.NUMBER_FIGURES if task == "number" else names.CLASS_FIGURES),
                *names.EXPLANATIONS] for task in TARGETS}  # fmt: skip


def table(task):
    return {"age": AGE, "income $": INCOME, "city": CITY, "y": TARGETS[task]}


@pytest.fixture(scope="module")
def trained():
    made = {}

    def of(task):
        if task not in made:
            made[task] = fastmlp.fit(
                table(task), "y", units="8", epochs=4, seed=1, interval=0.9, verbose=0
            )
        return made[task]

    return of


@pytest.mark.parametrize(
    ("task", "kind"),
    sampled(3, ["two", "three", "number"], list(names.EXPLANATIONS)),
)
def test_explanations_of_every_task(trained, task, kind, tmp_path):
    refused = {("number", "boundary"): "the target is a number",
               ("three", "interaction"): "single output"}  # fmt: skip
    message = refused.get((task, kind))
    if message:
        with pytest.raises(ValueError, match=message):
            trained(task).plot(kind, table(task))
        return
    figure = trained(task).plot(kind, table(task), title="$t$", theme="dark", size="4:3")
    assert figure.get_suptitle().startswith("$t$")
    plots.save(figure, tmp_path / "a.png", dpi=20)


@pytest.mark.parametrize("task", TARGETS)
def test_scores_of_every_task(trained, task):
    kinds = names.NUMBER_FIGURES if task == "number" else names.CLASS_FIGURES
    for kind in kinds:
        assert trained(task).plot(kind, table(task)).axes
    others = names.CLASS_FIGURES if task == "number" else names.NUMBER_FIGURES
    for kind in others:
        with pytest.raises(ValueError, match="is a figure of"):
            trained(task).plot(kind, table(task))


def test_what_is_drawn_is_what_the_model_predicts(trained):
    model = trained("two")
    ax = model.plot("confusion", table("two")).axes[0]
    right = np.mean(model.predict(table("two")) == TARGETS["two"])
    assert ax.get_title(loc="left") == f"{right:.1%} of {N} rows right"
    assert [t.get_text() for t in ax.get_xticklabels()] == [str(c) for c in model.classes]
    model = trained("number")
    ax = model.plot("predicted", table("number")).axes[0]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), model.predict(table("number")), rtol=1e-5)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), TARGETS["number"], rtol=1e-4, atol=1e-4)
    low, high = model.predict_interval(table("number"))
    inside = np.mean((low <= TARGETS["number"]) & (TARGETS["number"] <= high))
    title = model.plot("coverage", table("number")).axes[0].get_title(loc="left")
    assert title == f"{inside:.1%} of {N} rows inside, 90% wanted"


def test_attributions_are_in_the_targets_units(trained):
    model = trained("number")
    ax = model.plot("explain", table("number"), row=7).axes[0]
    predicted = model.predict(table("number"))[7]
    assert ax.get_title(loc="left").endswith(f"row 7: {predicted:.4g}")
    assert ax.get_xlabel() == "y"
    shown = {label.get_text().split(" = ")[0] for label in ax.get_yticklabels()}
    assert shown == {"age", "income $", "city"}


def test_chosen_columns(trained):
    model = trained("two")
    axes = model.plot("dependence", table("two"), columns=["city", "age"]).axes
    assert [ax.get_xlabel() for ax in axes if ax.get_visible()][:2] == ["city", "age"]
    ax = model.plot("boundary", table("two"), columns=["income $", "age"]).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("income $", "age")
    wrong = int(np.sum(model.predict(table("two")) != TARGETS["two"]))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"{wrong} of {N} wrong" in labels
    for kind, columns, message in (
        ("dependence", ["ages"], "age"), ("boundary", ["age"], "two columns"),
        ("boundary", ["age", "city"], "columns of numbers"), ("rock", [], "roc"),
        ("interaction", ["age", "city", "income $"], "two columns"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            model.plot(kind, table("two"), columns=columns)
    with pytest.raises(ValueError, match=r"below the number of rows, 120. Received: row=500"):
        model.plot("explain", table("two"), row=500)


def test_rows_without_a_target_are_left_out(trained):
    values = [None if i < 20 else v for i, v in enumerate(TARGETS["two"].tolist())]
    ax = trained("two").plot("confusion", {**table("two"), "y": values}).axes[0]
    assert "of 100 rows" in ax.get_title(loc="left")
    with pytest.raises(DataError):
        trained("two").plot("confusion", {k: v for k, v in table("two").items() if k != "y"})


def test_a_model_without_intervals_says_how_to_have_them(trained):
    model = fastmlp.fit(table("number"), "y", units="4", epochs=1, seed=1, verbose=0)
    with pytest.raises(ValueError, match="trained with interval"):
        model.plot("coverage", table("number"))


def test_units_over_a_column_with_the_others_at_their_medians(trained):
    model = trained("two")
    found = fastmlp.tabular.TableFigures(
        model.network, model.preprocessing, fastmlp.tabular.opened(table("two"), {})
    )
    figure = found.unit_map("age", 0)
    ax = figure.axes[0]
    assert ax.get_xlabel() == "age" and figure.get_suptitle().startswith("The other columns")
    common = max(set(CITY), key=list(CITY).count)
    rows = {"age": np.linspace(AGE.min(), AGE.max(), 201), "city": np.full(201, common),
            "income $": np.full(201, np.median(INCOME))}  # fmt: skip
    hidden = model.network.activations(model.preprocessing.inputs(rows))
    hidden = next(a for a in hidden if a.shape[1] == 8)
    size = np.abs(hidden).max(0)
    shown = np.ma.filled(ax.images[0].get_array(), 0)
    np.testing.assert_allclose(np.sort(shown.mean(1)), np.sort((hidden / size).mean(0)), atol=2e-3)
    with pytest.raises(ValueError, match="needs a column of numbers"):
        found.unit_map("city")


def test_figures_of_one_of_several_targets():
    data = {"age": AGE, "a": TARGETS["number"], "b": AGE**2}
    model = fastmlp.fit(data, ["a", "b"], units="4", epochs=3, seed=1, interval=0.8, verbose=0)
    opened = fastmlp.tabular.opened(data, {})
    parts = model.network, model.preprocessing, opened, model.quality
    with pytest.raises(DataError, match="one target"):
        fastmlp.tabular.TableFigures(*parts)
    with pytest.raises(ValueError, match="b"):
        fastmlp.tabular.TableFigures(*parts, "c")
    found = fastmlp.tabular.TableFigures(*parts, "b")
    np.testing.assert_allclose(found.y, AGE**2, rtol=1e-4)
    np.testing.assert_allclose(found.predicted, model.predict(data)[:, 1])
    low, high = (ends[:, 1] for ends in model.predict_interval(data))
    inside = ((low <= AGE**2) & (high >= AGE**2)).mean()
    title = found.draw("coverage").axes[0].get_title(loc="left")
    assert title.startswith(f"{100 * inside:.1f}%")
    assert found.of_target(0).draw("predicted").axes[0].get_xlabel() == "predicted a"
