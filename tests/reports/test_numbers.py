"""The numbers of a report, which need no page."""

import json

import numpy as np
import pytest

import fastmlp
from fastmlp import inspection, tabular
from fastmlp.errors import DataError, ModelFileError
from fastmlp.reports import ColumnNumbers, LayerNumbers, _measure, _warnings

from .conftest import BRACES, HOSTILE, INCOME, TARGET, table


@pytest.fixture(scope="module")
def measured(trained):
    def of(task, data, effort="normal", **options):
        model = trained(task, effort)
        numbers = _measure.of_model(model)
        found, part, seen, notes = _measure.judged_rows(model, tabular.opened(data, {}))
        importance = found.importance_of(0, 2)
        return _measure.on_table(numbers, model, found, importance, **options), part, seen, notes

    return of


def test_metrics_are_those_of_evaluate(trained, measured):
    numbers, part, seen, _ = measured("two", table("two"))
    expected = trained("two").evaluate(table("two"))
    assert {m.name: m.value for m in numbers.metrics} == pytest.approx(expected)
    for m in numbers.metrics:
        assert m.low <= m.value <= m.high
    assert (part, seen, numbers.rows) == ("all rows", 0, 80)


def test_threshold_counts_every_row(trained, measured):
    model, data = trained("two"), table("two")
    t = measured("two", data)[0].threshold
    p, one = model.predict_proba(data)[:, 1], data[TARGET] == model.classes[1]
    assert (t.cost_fp, t.cost_fn) == (1, 3)
    assert t.thresholds[t.chosen] == model.quality.threshold.value
    for i in (0, 17, t.chosen, 150, len(t.thresholds) - 1):
        above = p > t.thresholds[i]
        assert t.true_positives[i] == (above & one).sum()
        assert t.false_positives[i] == (above & ~one).sum()
    predicted = model.predict(data) == model.classes[1]
    assert t.confusion[0][1] == (predicted & ~one).sum()
    assert t.cost == (predicted & ~one).sum() + 3 * (~predicted & one).sum()


def test_only_rows_held_out_of_the_training_are_judged(measured):
    numbers, part, seen, notes = measured("number", table("number", "train"))
    assert part == "rows held out from the training"
    assert numbers.rows == 40 and seen == 120
    assert "trained on 120 of the table's 160 rows" in notes[0]


def test_ensembles_have_members(measured, trained):
    numbers, _, seen, notes = measured("number", table("number"), "high")
    assert len(numbers.members) == 5 and not numbers.layers and seen == 0
    outputs = (
        trained("number", "high")
        .network[2]
        .predict(
            trained("number", "high").preprocessing.inputs(tabular.opened(table("number"), {})),
            verbose=0,
        )
    )
    values = trained("number", "high").preprocessing.values(outputs)
    error = np.square(values.reshape(-1) - table("number")[TARGET]).mean()
    assert numbers.members[2].loss == pytest.approx(error, rel=1e-4)
    _, _, seen, notes = measured("number", table("number", "train"), "high")
    assert seen == 160 and "too good for new rows" in notes[0]


def test_drift_is_found_where_it_is(measured):
    calm = {c.name: c for c in measured("number", table("number"))[0].columns}
    assert [c.drift for c in calm.values()] == ["none"] * 3
    numbers = measured("number", table("number", shift=25.0))[0]
    moved = {c.name: c for c in numbers.columns}
    assert moved[HOSTILE].drift == "large" and moved[HOSTILE].ks > 0.7
    assert moved[BRACES].drift == "none" and moved[BRACES].psi == calm[BRACES].psi
    assert any(HOSTILE in text and "PSI" in text for text in numbers.warnings)


def test_psi_and_ks_by_hand():
    column = fastmlp.preprocessing.Column("a")
    train = np.repeat(np.arange(4.0), 25)[:, None]
    new = np.repeat(np.arange(4.0), [10, 20, 30, 40])[:, None]
    profile = tabular.ColumnProfile.of(column, train)
    assert profile.knots == [0, 1, 2, 3] and profile.below == [0.25, 0.5, 0.75, 1]
    found = tabular.Drift.of(profile, column, new)
    q = np.array([0.1, 0.2, 0.3, 0.4])
    assert found.psi == pytest.approx(((0.25 - q) * np.log(0.25 / q)).sum())
    assert found.ks == pytest.approx(0.2)


def test_drift_of_categories_and_missing_cells():
    column = fastmlp.preprocessing.Column(
        "a", "categorical", categories=["x", "y"], fill="", indicator=True
    )
    train = np.array([[1, 0, 0]] * 5 + [[0, 1, 0]] * 5, float)
    new = np.array([[1, 0, 0]] * 4 + [[0, 0, 1]] * 4 + [[0, 0, 0]] * 2, float)
    found = tabular.Drift.of(tabular.ColumnProfile.of(column, train), column, new)
    assert (found.missing, found.unknown) == (0.4, 0.2) and np.isnan(found.ks)
    assert found.psi > 1


def test_damaged_profiles_are_refused(trained):
    model = trained("number")
    x = model.preprocessing.inputs(tabular.opened(table("number"), {}))
    for damaged in ("text", [{"name": "a"}], [{"name": HOSTILE, "n_rows": 5, "knots": [1.0]}]):
        with pytest.raises(ModelFileError, match="damaged profile"):
            tabular.drifts(damaged, model.preprocessing, x)


def test_a_slice_with_larger_errors_is_found(measured):
    data = table("number")
    bad = INCOME[160:] > np.quantile(INCOME[160:], 0.75)
    data[TARGET] = np.where(bad, data[TARGET] + 80, data[TARGET])
    numbers = measured("number", data)[0]
    first = numbers.slices[0]
    assert first.column == BRACES and first.label.startswith("above") and first.rows == 20
    assert first.loss > 5 * first.others
    assert all(bad[row.row - 1] for row in numbers.worst)
    assert [row.loss for row in numbers.worst] == sorted(r.loss for r in numbers.worst)[::-1]


def test_single_rows_can_be_kept_out(measured):
    numbers = measured("number", table("number"), rows=False)[0]
    assert numbers.worst == [] and numbers.worst_columns == []


def test_one_column_with_nearly_all_importance_is_a_warning():
    columns = [ColumnNumbers("a", "numeric", 97.0), ColumnNumbers("b", "numeric", 3.0),
               ColumnNumbers("c", "numeric", -1.0)]  # fmt: skip
    [text] = _warnings.one_column(columns)
    assert "'a', has 97% of the importance" in text
    assert _warnings.one_column([columns[1], ColumnNumbers("d", "numeric", 4.0)]) == []
    assert _warnings.one_column(columns[:1]) == []


def test_a_layer_of_dead_units_is_a_warning():
    layers = [LayerNumbers("a", "relu", 8, 8, 0, 1.0), LayerNumbers("b", "linear", 1, 8, 0, 1.0)]
    assert _warnings.dead_layers(layers) == ["All units of layer a are zero for every row."]


def test_numbers_are_plain_json(measured):
    numbers = measured("three", table("three"))[0]
    text = json.dumps(numbers.to_dict(), allow_nan=False)
    assert json.loads(text)["task"] == "classification" and numbers.threshold is None


@pytest.mark.parametrize("effort", ["normal", pytest.param("high", marks=pytest.mark.slow)])
def test_the_recipe_trains_the_same_network(trained, effort, tmp_path, monkeypatch, capsys):
    import csv
    import tomllib

    from fastmlp import models
    from fastmlp.cli._app import cli

    data = table("number", "train")
    path = tmp_path / "train.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(data)
        out.writerows(zip(*(v.tolist() for v in data.values()), strict=True))
    options = {"effort": "high"} if effort == "high" else {"validation_split": 0.25}
    model = fastmlp.fit(path, TARGET, units="8", epochs=6, seed=1, verbose=0, **options)
    recipe = _measure.of_model(model).recipe
    assert tomllib.loads(recipe)["seed"] == 1
    (tmp_path / "model.toml").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--config", "model.toml", "-o", "again.fmlp", "-q"])
    assert end.value.code == 0, capsys.readouterr().err
    again = tabular.TableModel(models.load_model("again.fmlp"))
    np.testing.assert_array_equal(again.predict(data), model.predict(data))


def test_models_of_arrays_and_of_several_targets_are_refused(trained):
    network = fastmlp.models.Sequential()
    with pytest.raises(ModelFileError, match="not trained on a table"):
        fastmlp.report(network)
    with pytest.raises(ValueError, match="model must be"):
        fastmlp.report(3)
    data = table("number")
    del data[TARGET]
    with pytest.raises(DataError, match="no target column"):
        fastmlp.report(trained("number"), data)


def test_inspection_takes_ensembles(trained):
    model = trained("two", "high")
    found = tabular.TableFigures(
        model.network, model.preprocessing, tabular.opened(table("two"), {})
    )
    value = inspection.attributions(model.network, found.x[:5], found.x, features=found.features)
    np.testing.assert_allclose(
        value.values.sum(1), model.network.predict(found.x[:5], verbose=0) - value.base, atol=1e-6
    )
    feature = found.features[0]
    mean = inspection.partial_dependence(model.network, found.x, feature, grid=5).average
    each = [inspection.partial_dependence(m, found.x, feature, grid=5).average
            for m in model.network]  # fmt: skip
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="model must be"):
        inspection.partial_dependence("text", found.x, feature)
