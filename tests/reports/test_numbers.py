"""The numbers of a report, which need no page."""

import json

import numpy as np
import pytest

import fastmlp
from fastmlp import inspection, tabular
from fastmlp.errors import DataError, ModelFileError
from fastmlp.reports import ColumnNumbers, LayerNumbers, _known, _measure, _warnings
from fastmlp.reports._subject import Subject

from .conftest import BRACES, HOSTILE, INCOME, TARGET, table

X = np.random.default_rng(3).normal(size=(120, 2)).astype(np.float32)
Y = X[:, 0] - X[:, 1] ** 2


@pytest.fixture(scope="module")
def measured(trained):
    def of(task, data, effort="normal", **options):
        model = Subject.of(trained(task, effort))
        numbers = _known.of_model(model)
        found, part, seen, notes = _measure.judged_rows(model, tabular.opened(data, {}))
        importance = found.importance_of(0, 2)
        return _measure.on_table(numbers, model, found, importance, **options), part, seen, notes

    return of


def test_metrics_are_those_of_evaluate(trained, measured):
    numbers, part, seen, _ = measured("two", table("two"))
    expected = trained("two").evaluate(table("two"))
    assert {m.name: m.value for m in numbers.targets[0].metrics} == pytest.approx(expected)
    for m in numbers.targets[0].metrics:
        assert m.low <= m.value <= m.high
    assert (part, seen, numbers.rows) == ("all rows", 0, 80)


def test_threshold_counts_every_row(trained, measured):
    model, data = trained("two"), table("two")
    t = measured("two", data)[0].targets[0].threshold
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
    [target] = numbers.targets
    first = target.slices[0]
    assert first.column == BRACES and first.label.startswith("above") and first.rows == 20
    assert first.loss > 5 * first.others
    assert all(bad[row.row - 1] for row in target.worst)
    assert [row.loss for row in target.worst] == sorted(r.loss for r in target.worst)[::-1]


def test_single_rows_can_be_kept_out(measured):
    [target] = measured("number", table("number"), rows=False)[0].targets
    assert target.worst == [] and target.worst_columns == []


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
    assert json.loads(text)["task"] == "classification"
    assert numbers.targets[0].threshold is None


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
    recipe = _known.of_model(Subject.of(model)).recipe
    assert tomllib.loads(recipe)["seed"] == 1
    (tmp_path / "model.toml").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--config", "model.toml", "-o", "again.fmlp", "-q"])
    assert end.value.code == 0, capsys.readouterr().err
    again = tabular.TableModel(models.load_model("again.fmlp"))
    np.testing.assert_array_equal(again.predict(data), model.predict(data))


def test_what_cannot_be_reported_is_refused(trained):
    network = fastmlp.models.Sequential()
    with pytest.raises(ValueError, match="not built"):
        fastmlp.report(network)
    network = fastmlp.models.mlp([3], 2, 1)
    with pytest.raises(ValueError, match="not compiled"):
        fastmlp.report(network, (X, Y))
    network.compile("adam", "mse")
    for x, y, text in (
        (X[:, :1], Y, r"x must have shape \(n, 2\)"),
        (X, np.c_[Y, Y], "y must have 1 column"),
    ):
        with pytest.raises(DataError, match=text):
            fastmlp.report(network, (x, y))
    with pytest.raises(DataError, match="3 input columns, more than the 2"):
        fastmlp.report(network, {"a": Y, "b": Y, "c": Y, "d": Y})
    with pytest.raises(DataError, match="give a table in place of arrays"):
        fastmlp.report(
            trained("number"), (np.zeros((5, trained("number").network.n_inputs)), Y[:5])
        )
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


def compiled(n_outputs, activation, loss):
    model = fastmlp.models.mlp([8], 2, n_outputs, output_activation=activation, seed=1)
    model.compile("adam", loss, ["mse" if loss == "mse" else "accuracy"])
    return model


def test_a_network_of_arrays_is_judged_beside_simple_models(undrawn):
    model = compiled(1, "linear", "mse")
    x, y = X[:80], Y[:80]
    for optimistic in (0.03, 0.0):
        model.optimizer.learning_rate = optimistic or 1e-9
        model.fit(x, y, epochs=60, validation_data=(X[80:], Y[80:]), verbose=0)
    numbers = fastmlp.report(model, (X[80:], Y[80:])).numbers
    [target] = numbers.targets
    values = {m.name: m for m in target.metrics}
    error = np.sqrt(np.square(model.predict(X[80:], verbose=0)[:, 0] - Y[80:]).mean())
    assert values["rmse"].value == pytest.approx(error, rel=1e-5)
    assert values["rmse"].constant == pytest.approx(Y[80:].std(), rel=1e-5)
    # The linear model sees the other rows only: it is worse than one fitted to all.
    best = np.linalg.lstsq(np.c_[X[80:], np.ones(40)], Y[80:], rcond=None)[1][0]
    assert np.sqrt(best / 40) < values["rmse"].linear < 1.5 * np.sqrt(best / 40)
    assert [c.name for c in numbers.columns] == ["x1", "x2"] and numbers.digest == ""
    assert numbers.recipe == numbers.command == "" and numbers.settings["Hidden layers"] == "8 relu"
    assert numbers.target == "y"


def test_a_network_no_better_than_a_constant_is_a_warning(undrawn):
    model = compiled(1, "linear", "mse")
    text = " ".join(fastmlp.report(model, (X, Y + 100)).numbers.warnings)
    assert "not better than predicting the mean" in text


def test_a_table_names_the_columns_of_a_network_of_arrays(undrawn):
    model = compiled(3, "softmax", "sparse_categorical_crossentropy")
    data = {"a": X[:, 0], "b": X[:, 1], "kind": np.digitize(Y, [-1, 0])}
    numbers = fastmlp.report(model, data).numbers
    assert [c.name for c in numbers.columns] == ["a", "b"]
    assert numbers.target == "kind" and numbers.classes == ["0", "1", "2"]
    moved = fastmlp.report(model, {"kind": data["kind"], "a": data["a"], "b": data["b"]},
                           target="kind").numbers  # fmt: skip
    assert moved.targets == numbers.targets
    one_hot = compiled(3, "softmax", "categorical_crossentropy")
    same = fastmlp.report(one_hot, (X, np.eye(3)[data["kind"]])).numbers.targets[0]
    assert [m.value for m in same.metrics] == [m.value for m in numbers.targets[0].metrics]


def test_outputs_that_are_not_probabilities_are_refused(undrawn):
    model = compiled(3, "linear", "sparse_categorical_crossentropy")
    with pytest.raises(DataError, match="does not return probabilities"):
        fastmlp.report(model, (X, np.digitize(Y, [-1, 0])))


def test_a_last_epoch_that_is_not_the_best_is_a_warning(undrawn):
    model = compiled(1, "linear", "mse")
    model.optimizer.learning_rate = 0.05
    model.fit(X[:10], Y[:10], epochs=200, validation_data=(X[80:], Y[80:]), verbose=0)
    history = model.history.history["val_loss"]
    best = int(np.argmin(history))
    assert best < 190
    [text] = [t for t in fastmlp.report(model).numbers.warnings if "last epoch" in t]
    assert f"{history[-1]:.4g}, and was {history[best]:.4g} after epoch {best + 1}" in text


def test_the_lectures_models_are_judged_on_its_validation_data(of_lecture, undrawn):
    model = of_lecture("classifier_l2_0.001", (8, 8))
    numbers = fastmlp.report(model).numbers
    x, y = fastmlp.datasets.classification_validation()
    values = {m.name: m.value for m in numbers.targets[0].metrics}
    assert values["accuracy"] == pytest.approx(model.evaluate(x, y, verbose=0)[1], rel=1e-6)
    assert numbers.rows == len(x) and "validation data" in numbers.part
    assert numbers.command == "fastmlp catalogue classifier_l2_0.001 -o lecture"
    assert numbers.settings["Lambdas"] == "l2 0.001, each layer"
    assert {layer.penalty for layer in numbers.layers} == {"l2 0.001"}


def test_change_points_are_counted(of_lecture, undrawn):
    model = of_lecture("model_8units", (8,))
    w, b = model.layers[0].get_weights()
    x = fastmlp.datasets.regression_validation()[0]
    points = -b / w[0]
    inside = ((points >= x.min()) & (points <= x.max())).sum()
    assert fastmlp.report(model).numbers.layers[0].change_points == inside


def test_several_targets_are_judged_one_by_one(trained, undrawn):
    model, data = trained("both"), table("both")
    numbers = fastmlp.report(model, data).numbers
    assert [t.name for t in numbers.targets] == [TARGET, "second"]
    predicted = model.predict(data)
    for j, target in enumerate(numbers.targets):
        values = {m.name: m for m in target.metrics}
        error = np.sqrt(np.square(predicted[:, j] - data[target.name]).mean())
        assert values["rmse"].value == pytest.approx(error)
        assert values["rmse"].network == model.held_out.per_target[target.name]["rmse"]
        worst = int(np.argmax(np.abs(predicted[:, j] - data[target.name])))
        assert target.worst[0].row == worst + 1
        assert float(target.worst[0].truth) == pytest.approx(data[target.name][worst], rel=1e-5)
    assert numbers.target == f"{TARGET}, second"


def test_a_path_keeps_its_curve_for_the_report(path, undrawn, tmp_path):
    numbers = fastmlp.report(path, table("number")).numbers
    p = numbers.path
    np.testing.assert_allclose(p.lambdas, path.lambdas, rtol=1e-5)
    np.testing.assert_allclose(p.cv_mean, path.cv_mean, rtol=1e-5)
    assert p.n_nonzero == path.n_nonzero.tolist() and p.n_live == path.n_live.tolist()
    assert (p.index, p.index_min, p.index_1se) == (path.index, path.index_min, path.index_1se)
    norms = path.norms(0)
    place = path.input_names.index(p.names[0])
    np.testing.assert_allclose([row[0] for row in p.norms], norms[:, place], rtol=1e-5)
    assert numbers.seed == 1 and numbers.targets[0].metrics[0].network > 0
    path.model.save(tmp_path / "a.fmlp")
    assert fastmlp.report(tmp_path / "a.fmlp", table("number")).numbers.path == p


@pytest.mark.parametrize(
    "change",
    [{"lambdas": []}, {"index": 99}, {"norms": [[1.0]]}, {"cv_se": ["a"] * 5}, {"train": 3}],
)
def test_a_damaged_path_is_refused(path, change, monkeypatch):
    kept = path.model.extras["path"]
    monkeypatch.setitem(path.model.extras, "path", kept | {"curve": kept["curve"] | change})
    with pytest.raises(ModelFileError, match="damaged path"):
        fastmlp.report(path)
