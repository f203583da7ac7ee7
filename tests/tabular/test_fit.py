"""`fastmlp.fit`: from a table to a model that knows it."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import TableModel, models, tabular
from fastmlp.errors import DataError, ModelFileError
from fastmlp.layers import PiecewiseLinear

RNG = np.random.default_rng(5)
N = 600
QUICK = {"units": "16", "epochs": 8, "verbose": 0, "seed": 1}


def flats(n=N, seed=5):
    rng = np.random.default_rng(seed)
    zone = rng.choice(["centre", "park", "station"], n)
    area = rng.uniform(40, 200, n)
    price = 2 * area + 60 * (zone == "park") + rng.normal(0, 8, n)
    return {
        "area": area,
        "zone": zone.tolist(),
        "house": rng.integers(0, n // 8, n),
        "day": np.sort(rng.uniform(0, 100, n)),
        "price": price,
        "dear": np.where(price > 260, "yes", "no").tolist(),
    }


TABLE = flats()
PLAIN = {name: TABLE[name] for name in ("area", "zone", "price")}
CLASSES = {name: TABLE[name] for name in ("area", "zone", "dear")}


@pytest.fixture(scope="module")
def model():
    return fastmlp.fit(PLAIN, "price", **QUICK)


def test_predictions_are_in_the_target_s_units(model):
    new = {name: flats(200, seed=6)[name] for name in PLAIN}
    predicted = model.predict({"zone": new["zone"], "area": new["area"]})
    assert predicted.shape == (200,)
    assert 1 - np.var(predicted - new["price"]) / np.var(new["price"]) > 0.8
    figures = model.evaluate(new)
    assert figures["r2"] == pytest.approx(
        1 - np.mean((predicted - new["price"]) ** 2) / np.var(new["price"]), rel=1e-6
    )


def test_held_out_figures_are_those_of_the_model_on_rows_it_has_not_seen(model):
    found = tabular.prepared(PLAIN, "price", seed=1)
    x, y, _ = found.held
    errors = model.preprocessing.values(model.network.predict(x, verbose=0) - 0)
    truth = model.preprocessing.values(y)
    assert len(x) == model.held_out.n_rows == N // 5
    rmse = np.sqrt(np.mean((errors - truth) ** 2))
    assert model.held_out.network["rmse"] == pytest.approx(rmse, rel=1e-5)
    assert rmse < model.held_out.constant["rmse"]


def test_the_best_epoch_is_restored():
    model = fastmlp.fit(PLAIN, "price", **{**QUICK, "learning_rate": 0.3, "schedule": "constant"})
    history = model.history.history["val_loss"]
    assert model.best_epoch == int(np.argmin(history)) + 1
    x, y, _ = tabular.prepared(PLAIN, "price", seed=1).held
    now = model.network.evaluate(x, y, verbose=0)[0]
    assert now == pytest.approx(min(history), rel=1e-5)


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads():
    options = {**QUICK, "units": "256", "epochs": 2}
    weights = [
        fastmlp.fit(CLASSES, "dear", threads=n, **options).network.get_weights() for n in (1, 2, 3)
    ]
    for other in weights[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(weights[0], other, strict=True))


def test_twenty_rows_train_and_are_cross_validated():
    few = {name: np.asarray(column)[:20] for name, column in PLAIN.items()}
    model = fastmlp.fit(few, "price", seed=1, verbose=0, epochs=20)
    assert "cross-validation" in model.held_out.how
    assert model.held_out.n_rows == 20
    assert 1 <= model.best_epoch <= 20
    assert len(model.history.epoch) == model.best_epoch
    assert "val_loss" not in model.history.history


def test_very_few_rows_train_with_nothing_held_out():
    few = {name: np.asarray(column)[:6] for name, column in PLAIN.items()}
    model = fastmlp.fit(few, "price", **QUICK)
    assert model.held_out is None and model.best_epoch is None


def test_more_inputs_than_rows():
    wide = {f"x{i}": RNG.normal(size=60) for i in range(300)}
    wide["y"] = wide["x0"] + 0.1 * RNG.normal(size=60)
    model = fastmlp.fit(wide, "y", **QUICK)
    assert np.isfinite(model.predict(wide)).all()


def test_classes_and_their_probabilities(tmp_path):
    model = fastmlp.fit(CLASSES, "dear", **QUICK)
    p = model.predict_proba(CLASSES)
    assert p.shape == (N, 2) and model.classes == ["no", "yes"]
    assert p.sum(axis=1) == pytest.approx(1)
    predicted = model.predict(CLASSES)
    assert np.mean(predicted == np.array(CLASSES["dear"])) > 0.9
    model.save(tmp_path / "m.fmlp")
    again = TableModel.load(tmp_path / "m.fmlp")
    assert np.array_equal(again.predict_proba(CLASSES), p)
    assert again.held_out == model.held_out and again.decisions == model.decisions
    assert models.load_model(tmp_path / "m.fmlp").extras["table"]["best_epoch"] == model.best_epoch


def test_many_inputs_have_fewer_bins():
    bins = [tabular.decide(5000, n, "regression").bins for n in (1, 512, 1000, 9000, 60_000)]
    assert bins == [32, 32, 16, 0, 0]
    assert tabular.decide(199, 3, "regression").bins == 0


def test_numbers_are_encoded_in_bins_and_inputs_become_zero():
    penalty = {"group_l1": [3e-4, 0], "groups": "inputs"}
    model = fastmlp.fit(CLASSES, "dear", **{**QUICK, "epochs": 30}, **penalty)
    layer, dense = model.network.layers[:2]
    assert isinstance(layer, PiecewiseLinear) and model.decisions.bins == 19
    assert layer.n_inputs == model.preprocessing.n_inputs < layer.n_outputs == dense.n_inputs
    rows = np.abs(dense.get_weights()[0]).max(axis=1)
    assert (rows == 0).any() and (rows > 0).any()
    plain = fastmlp.fit(CLASSES, "dear", bins=0, group_l1=0, **QUICK)
    assert not any(isinstance(x, PiecewiseLinear) for x in plain.network.layers)
    assert plain.network.dense_layers[0].kernel_regularizer is None


def test_weights_of_classes_move_the_probabilities():
    plain = fastmlp.fit(CLASSES, "dear", **QUICK).predict_proba(CLASSES)[:, 1].mean()
    up = fastmlp.fit(CLASSES, "dear", class_weight={"yes": 20}, **QUICK)
    assert up.predict_proba(CLASSES)[:, 1].mean() > plain + 0.02
    text = fastmlp.fit(CLASSES, "dear", class_weight="yes:20", **QUICK)
    assert np.array_equal(text.predict_proba(CLASSES), up.predict_proba(CLASSES))


@pytest.mark.parametrize("n", [N, 80])
def test_epochs_are_judged_by_the_loss_that_weighs_classes(n):
    x = RNG.normal(size=n)
    table = {"x": x, "y": np.where(x + RNG.normal(size=n) > 0, "yes", "no").tolist()}
    options = QUICK | {"units": "8", "epochs": 10, "learning_rate": 0.02}
    model = fastmlp.fit(table, "y", class_weight={"yes": 300, "no": 0.01}, **options)
    assert model.best_epoch > 5 and model.predict_proba(table)[:, 1].mean() > 0.7


def test_days_and_months_come_in_the_order_of_the_training():
    table = {"day": [f"{1 + i % 28:02}/{1 + i % 12:02}/2024" for i in range(60)], "y": range(60)}
    model = fastmlp.fit(table, "y", validation_split=0, **QUICK)
    first = {"day": table["day"][:2]}  # 01/01/2024 and 02/02/2024, then a day that shows nothing
    assert np.array_equal(model.predict(first), model.predict(table)[:2])
    unsettled = {"day": ["03/04/2024"]}
    settled = {"day": ["03/04/2024", "28/02/2024"]}
    assert model.predict(unsettled)[0] == model.predict(settled)[0]


def test_rows_of_weight_0_do_not_count():
    wrong = dict(PLAIN)
    weight = np.ones(N)
    weight[::2] = 0
    wrong["price"] = np.where(weight == 0, 5000, PLAIN["price"])
    model = fastmlp.fit(wrong | {"w": weight}, "price", weight="w", **{**QUICK, "epochs": 30})
    assert "w" not in model.preprocessing.input_names
    error = model.predict(PLAIN | {"w": weight}) - PLAIN["price"]
    assert abs(np.median(error)) < 500


@pytest.mark.parametrize("name", ["mae", "huber", "quantile:0.9"])
def test_losses(name):
    model = fastmlp.fit(PLAIN, "price", loss=name, **{**QUICK, "epochs": 60})
    below = np.mean(np.asarray(PLAIN["price"]) < model.predict(PLAIN))
    assert (0.8 < below < 0.98) if name.startswith("quantile") else (0.3 < below < 0.7)


def test_counts_are_predicted_by_positive_numbers():
    counts = PLAIN | {"price": np.random.default_rng(2).poisson(np.asarray(TABLE["area"]) / 20)}
    model = fastmlp.fit(counts, "price", loss="poisson", **{**QUICK, "epochs": 30})
    predicted = model.predict(counts)
    assert (predicted > 0).all()
    assert np.corrcoef(predicted, TABLE["area"])[0, 1] > 0.8


def test_groups_and_times_choose_the_rows_held_out():
    grouped = tabular.prepared(TABLE, "price", group="house", drop=["dear"], seed=1)
    assert "house" not in grouped.preprocessing.input_names
    ((train, held),) = grouped.held_out.pairs
    houses = np.asarray(TABLE["house"])
    assert not set(houses[train]) & set(houses[held])
    timed = tabular.prepared(TABLE, "price", time="day", drop=["dear"], seed=1)
    ((train, held),) = timed.held_out.pairs
    assert max(TABLE["day"][train]) < min(TABLE["day"][held])
    assert "day" in timed.preprocessing.input_names


def test_refit_trains_on_all_rows_for_the_best_number_of_epochs(model):
    again = fastmlp.fit(PLAIN, "price", refit=True, **QUICK)
    assert again.best_epoch == model.best_epoch
    assert again.held_out == model.held_out
    assert again.network.training_config["samples"] == N
    repeated = 4 if model.best_epoch > QUICK["epochs"] else 0  # an ending is trained once
    assert again.network.training_config["epochs"] == model.best_epoch - repeated


def test_another_table_can_be_held_out():
    other = {name: flats(80, seed=9)[name] for name in PLAIN}
    model = fastmlp.fit(PLAIN, "price", validation=other, **QUICK)
    assert model.held_out.n_rows == 80
    assert model.network.training_config["samples"] == N


def test_time_is_a_limit(monkeypatch):
    model = fastmlp.fit(PLAIN, "price", units="16", max_time=0.5, verbose=0, seed=1)
    assert model.best_epoch >= 1
    assert len(model.history.epoch) > 3


def test_patience_stops_early():
    options = {**QUICK, "epochs": 60, "learning_rate": 0.1, "schedule": "constant"}
    model = fastmlp.fit(PLAIN, "price", patience=2, **options)
    assert len(model.history.epoch) == model.best_epoch + 2 < 60


def test_several_targets():
    several = PLAIN | {"half": np.asarray(PLAIN["price"]) / 2}
    model = fastmlp.fit(several, ["price", "half"], **{**QUICK, "epochs": 30})
    predicted = model.predict({name: several[name] for name in ("area", "zone")})
    assert predicted.shape == (N, 2)
    assert model.target == ["price", "half"]
    assert np.corrcoef(predicted[:, 1], several["half"])[0, 1] > 0.9


def test_intervals_and_thresholds():
    model = fastmlp.fit(PLAIN, "price", interval=0.8, **QUICK)
    low, high = model.predict_interval(PLAIN)
    assert 0.65 < np.mean((low <= PLAIN["price"]) & (PLAIN["price"] <= high)) < 0.95
    cheap = fastmlp.fit(CLASSES, "dear", cost={"fp": 1, "fn": 50}, **QUICK)
    threshold = cheap.quality.threshold
    assert threshold.rule == "cost fp:1,fn:50"
    chosen = np.where(cheap.predict_proba(CLASSES)[:, 1] > threshold.value, "yes", "no")
    assert np.array_equal(cheap.predict(CLASSES), chosen)
    assert threshold.false_negatives == 0 < threshold.false_positives


def test_ctrl_c_keeps_the_best_epoch_so_far(monkeypatch):
    from fastmlp.callbacks import EarlyStopping

    own, done = EarlyStopping.on_epoch_end, []

    def interrupted(self, epoch, logs=None):
        own(self, epoch, logs)
        done.append(logs["val_loss"])
        if epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(EarlyStopping, "on_epoch_end", interrupted)
    model = fastmlp.fit(PLAIN, "price", **QUICK)
    assert model.best_epoch == int(np.argmin(done)) + 1
    assert np.isfinite(model.predict(PLAIN)).all()


def test_what_was_found_is_said(capsys):
    whole = PLAIN | {"price": np.arange(N) % 3 + 1}
    model = fastmlp.fit(whole, **{**QUICK, "verbose": 1, "epochs": 1})
    shown = capsys.readouterr().err
    assert "Target: 'price', the last column." in shown
    assert "'price' holds 3 distinct whole numbers: --task classification?" in shown
    held = "adamw 0.0045, batches of 32, at most 1 epochs; 20% of the rows held"
    assert f"16 silu, 19 bins for each number, {held}" in shown
    assert any("distinct" in note for note in model.notes)
    rare = CLASSES | {"dear": ["yes" if i % 50 == 0 else "no" for i in range(N)]}
    found = tabular.prepared(rare, "dear", seed=1)
    assert any("the class 'yes' has 2.0% of the rows" in note for note in found.notes)


def test_a_rate_is_found():
    curve = tabular.find_rate(tabular.prepared(PLAIN, "price", units="16", seed=1))
    assert len(curve.rates) == len(curve.losses) > 20
    assert 1e-5 < curve.suggested < 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"class_weight": "balanced"}, "class_weight needs classes"),
        ({"interval": 2}, "interval must be a number in"),
        ({"interval": 0.9, "validation_split": 0.0}, "interval needs rows held out"),
        ({"threshold": 0.3}, "need two classes"),
        ({"refit": True, "validation_split": 0.0}, "refit needs rows held out"),
        ({"group": "house", "time": "day"}, "exclude each other"),
        ({"group": "house", "validation_split": 0.0}, "chooses rows to hold out"),
        ({"delimiter": ";"}, "delimiter says how to read a file"),
        ({"max_time": "soon"}, "max_time must be"),
        ({"verbose": 5}, "verbose must be"),
        ({"seed": -1}, "seed must be"),
        ({"drop": 5}, "drop must be a sequence of names"),
        ({"keep": [3], "time": "day"}, "a column in keep must be a str"),
    ],
)
def test_wrong_arguments(options, text):
    table = {name: TABLE[name] for name in TABLE if name != "dear"}
    with pytest.raises(ValueError, match=text):
        fastmlp.fit(table, "price", **{"verbose": 0, "epochs": 1, **options})
    with pytest.raises(ValueError, match="target must be a sequence of names"):
        fastmlp.fit(table, 5, verbose=0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"weight": "w"}, "no weight column 'w'"),
        ({"group": "g"}, "no group column 'g'"),
        ({"time": "zone"}, "holds text; expected numbers or dates"),
        ({"weight": "zone"}, "holds text; expected numbers"),
        ({"validation": {"area": [1.0]}}, "no target column 'price'"),
    ],
)
def test_wrong_columns(options, text):
    with pytest.raises(DataError, match=text):
        fastmlp.fit(PLAIN, "price", **QUICK, **options)


@pytest.mark.parametrize("size", ["small", "large"])
def test_targets_whose_squares_float64_cannot_hold(size):
    exponent = 300 if size == "small" else -300
    table = {**PLAIN, "price": PLAIN["price"] * 10.0**exponent}
    with pytest.raises(DataError, match=rf"'price' must be {size} enough to be squared; "):
        fastmlp.fit(table, "price", **QUICK)
    table["price"] = PLAIN["price"] * 10.0 ** (exponent // 2.5)
    found = fastmlp.fit(table, "price", **QUICK).held_out.network
    assert 0 < found["r2"] < 1 and found["rmse"] > 0


def test_rows_without_target_of_another_table_are_left_out(capsys):
    other = {name: np.asarray(flats(200, seed=6)[name]) for name in PLAIN}
    other["price"] = np.where(np.arange(200) % 2, other["price"], np.nan)
    few = {name: column[1::2] for name, column in other.items()}
    one, two = (
        fastmlp.fit(PLAIN, "price", validation=table, **{**QUICK, "verbose": verbose})
        for table, verbose in ((other, 1), (few, 0))
    )
    assert one.held_out.to_dict() == two.held_out.to_dict() and one.held_out.n_rows == 100
    assert "the mapping: 100 rows have no value of the target 'price' and are left" in (
        capsys.readouterr().err
    )
    with pytest.raises(DataError, match="no row has a value of the target 'price'"):
        fastmlp.fit(PLAIN, "price", validation={**few, "price": np.full(100, np.nan)}, **QUICK)


def test_unknown_arguments_and_files(tmp_path):
    with pytest.raises(TypeError, match="no argument 'unit'"):
        tabular.prepared(PLAIN, "price", unit=3)
    models.mlp("4", 2, 1).save(tmp_path / "m.fmlp")
    with pytest.raises(ModelFileError, match="not trained on a table"):
        TableModel.load(tmp_path / "m.fmlp")
