"""The catalogue: names, seeds and figures of the lecture, and how near a rerun comes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fastmlp import lecture
from fastmlp.callbacks import Callback
from fastmlp.lecture._figures import data_figures, figures

SMALL = (
    "model_2units_c",
    "model_8units",
    "model_128units",
    "model_1024units",
    "model_1layer",
    "model_2layers",
    "model_3layers",
    "model_4layers",
)
# Not printed by the lecture; from an independent rerun in NumPy.
RERUN = {
    "model_2units_a": (0.0956767, 0.1221581),
    "model_2units_b": (0.0764219, 0.1249531),
}
BIG = (
    "model_8192units",
    "model_somany",
    "regularized_l2_0.01",
    "regularized_l2_0.001",
    "regularized_l1_0.0001",
    "classifier_unpenalized",
    "classifier_l2_0.001",
    "classifier_l2_0.01",
)


def assert_reproduced(result):
    entry = result.entry
    for name, printed in entry.lecture.items():
        part, _, figure = name.partition("_")
        ours = getattr(result, part)[figure]
        if figure == "accuracy":
            assert ours == pytest.approx(printed, abs=entry.atol_accuracy), name
        elif name == "train_loss":
            assert ours == pytest.approx(printed, rel=entry.rtol_loss), name
        elif name == "train_mse" and entry.rtol_train_mse is not None:
            assert ours == pytest.approx(printed, rel=entry.rtol_train_mse), name
        elif entry.rtol is not None:
            assert ours == pytest.approx(printed, rel=entry.rtol), name


def test_importing_the_catalogue_imports_no_numpy():
    script = "import sys, fastmlp.lecture; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


def test_the_catalogue_has_the_lecture_s_networks():
    entries = lecture.CATALOGUE
    assert set(SMALL) | set(RERUN) | set(BIG) < set(entries)
    assert len(entries) == 20
    assert entries["model_somany_fixed"].repairs == "model_somany"
    # The lecture prints its L1 model's figures without a lambda: 0.0001 gives them.
    assert entries["regularized_l1_0.001"].lecture == {}
    l1 = entries["regularized_l1_0.0001"]
    assert (l1.l1, l1.l2, l1.initial_step) == (0.0001, 0, 0)
    assert (l1.rtol_loss, l1.rtol, l1.rtol_train_mse) == (0.006, 0.06, 0.07)
    assert l1.lecture == {
        "train_loss": 0.39271272, "train_mse": 0.00943899,
        "val_loss": 0.40855746, "val_mse": 0.02528374,
    }  # fmt: skip
    for entry in entries.values():
        assert entry.seeds == (6 if entry.l1 or entry.l2 or entry.task == "classification"
                               else sum(entry.units) + 1)  # fmt: skip
        assert set(entry.lecture) <= {
            "train_loss", "train_mse", "val_loss", "val_mse", "val_accuracy"
        }  # fmt: skip


def test_weights_come_from_the_lecture_s_seeds():
    from fastmlp.initializers import RandomNormal

    model = lecture.build(lecture.CATALOGUE["model_2layers"])
    np.random.seed(8746)
    bias_seeds = np.random.randint(1, 1_000_000, size=33)
    weight_seeds = np.random.randint(1, 1_000_000, size=33)
    for layer, i in zip(model.layers, (0, 1, -1), strict=True):
        w, b = layer.get_weights()
        rng = np.random.default_rng()
        expected = RandomNormal(seed=int(weight_seeds[i]))(w.shape, np.float32, rng)
        np.testing.assert_array_equal(w, expected)
        expected = RandomNormal(seed=int(bias_seeds[i]))(b.shape, np.float32, rng)
        np.testing.assert_array_equal(b, expected)


def test_every_layer_is_penalised_output_included():
    for name, penalty in (("regularized_l1_0.0001", 0.0001), ("regularized_l1_0.001", 0.001)):
        model = lecture.build(lecture.CATALOGUE[name])
        assert len(model.layers) == 6
        for layer in model.layers:
            assert (layer.kernel_regularizer.l1, layer.kernel_regularizer.l2) == (penalty, 0)
            assert layer.bias_regularizer is None
    classifier = lecture.build(lecture.CATALOGUE["classifier_unpenalized"])
    assert classifier.count_params() == 4_202_497
    assert classifier.layers[-1].activation == "sigmoid"


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_come_back(name):
    assert_reproduced(lecture.train(lecture.CATALOGUE[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", BIG)
def test_big_networks_come_back(name):
    assert_reproduced(lecture.train(lecture.CATALOGUE[name]))


@pytest.mark.slow
def test_the_lecture_s_l1_figures_are_not_those_of_a_larger_lambda():
    result = lecture.train(lecture.CATALOGUE["regularized_l1_0.001"])
    assert result.train["loss"] == pytest.approx(0.541, rel=0.02)
    assert result.train["mse"] > 2 * lecture.CATALOGUE["regularized_l1_0.0001"].lecture["train_mse"]
    assert set(result.lecture.values()) == {None}


@pytest.mark.parametrize(("name", "figures"), RERUN.items())
def test_networks_without_printed_figures_equal_an_independent_rerun(name, figures):
    result = lecture.train(lecture.CATALOGUE[name])
    assert (result.train["mse"], result.val["mse"]) == pytest.approx(figures, rel=0.002)
    assert set(result.lecture.values()) == {None}


def test_a_result_says_what_it_is():
    epochs = []

    class Count(Callback):
        def on_epoch_end(self, epoch, logs=None):
            epochs.append(epoch)

    result = lecture.train(lecture.CATALOGUE["model_8units"], 45, curves=True, callbacks=[Count()])
    assert len(epochs) == 45
    history = result.model.history.history
    assert len(history["loss"]) == 45
    assert len(history["val_loss"]) == 15  # every third: 20 at most
    document = result.to_dict()
    assert list(document) == [
        "name", "task", "units", "l1", "l2", "epochs", "parameters", "train", "val", "lecture",
        "seconds",
    ]  # fmt: skip
    assert document["units"] == [8]
    assert document["parameters"] == 25
    assert document["lecture"] == {
        "train_loss": None, "train_mse": 0.0427819, "val_loss": None, "val_mse": 0.0535399
    }  # fmt: skip
    assert document["train"]["loss"] == document["train"]["mse"]
    x, y = lecture.data("regression")[0]
    assert document["train"]["mse"] == pytest.approx(
        np.mean((result.model.predict(x, verbose=0) - y) ** 2), rel=1e-5
    )


def test_rows_of_the_table():
    model = None
    plain = lecture.Result(
        lecture.CATALOGUE["model_8units"], model, 1, 25, {"loss": 0.1, "mse": 0.1},
        {"loss": 0.2, "mse": 0.2}, 0.5,
    )  # fmt: skip
    penalised = lecture.Result(
        lecture.CATALOGUE["classifier_l2_0.01"], model, 1, 25, {"loss": 0.3, "accuracy": 1.0},
        {"loss": 0.8586, "accuracy": 0.9}, 0.5,
    )  # fmt: skip
    rows = list(lecture.rows([plain, penalised]))
    assert [row.figure for row in rows] == [
        "train mse", "val mse", "train loss", "train accuracy", "val loss", "val accuracy"
    ]  # fmt: skip
    assert rows[0].difference == pytest.approx(0.1 / 0.0427819 - 1)
    assert rows[2].lecture is None
    assert rows[2].difference is None
    assert rows[4].difference == pytest.approx(1, abs=1e-4)


# ---- the repair ----


def test_the_repair_changes_units_that_turn_in_the_interval():
    entry = lecture.CATALOGUE["model_128units"]
    model = lecture.train(entry, 50).model
    w, b = model.layers[0].get_weights()
    points = -b / w[0]
    chosen = (points >= 0.5) & (points <= 1.0)
    assert 0 < chosen.sum() < 128
    repaired, report = lecture.repair(model)
    assert report["weights_changed"] == chosen.sum()
    assert report["weights"] == 128
    new_w, new_b = repaired.layers[0].get_weights()
    np.testing.assert_array_equal(new_w[0, ~chosen], w[0, ~chosen])
    np.testing.assert_array_equal(new_w[0, chosen], w[0, chosen] * np.float32(0.1))
    np.testing.assert_array_equal(new_b, b)
    # The model itself stays as it was.
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], w)
    np.testing.assert_array_equal(
        repaired.layers[1].get_weights()[0], model.layers[1].get_weights()[0]
    )
    grid = np.arange(0.52, 1.001, 0.04).reshape(-1, 1)
    assert len(grid) == 13
    steps = np.abs(np.diff(repaired.predict(grid, verbose=0)[:, 0]))
    assert report["largest_step"]["after"] == pytest.approx(steps.max(), rel=1e-4)


def test_the_repair_needs_one_input():
    model = lecture.build(lecture.CATALOGUE["classifier_unpenalized"])
    with pytest.raises(ValueError, match="2 inputs"):
        lecture.repair(model)


def test_the_repaired_entry_trains_its_base_or_takes_it(monkeypatch):
    small = lecture.CATALOGUE["model_8units"]
    monkeypatch.setitem(lecture.CATALOGUE, "model_somany", small)
    entry = lecture.CATALOGUE["model_somany_fixed"]
    result = lecture.train(entry, 30)
    assert result.repair["val_mse"]["after"] == result.val["mse"]
    assert result.to_dict()["repair"] is result.repair
    assert result.before is not result.model
    base = lecture.train(small, 30)
    again = lecture.train(entry, 30, base=base)
    assert again.before is base.model
    assert again.val == result.val
    assert again.repair == result.repair


# ---- figures ----


def test_every_network_has_its_figures():
    names = {name: list(figures(entry)) for name, entry in lecture.CATALOGUE.items()}
    assert names["model_8units"] == ["model_8units_layers", "model_8units_loss"]
    assert names["model_somany"] == [
        "model_somany_layers",
        *(f"model_somany_layer{i}_units" for i in range(1, 6)),
        "model_somany_fit",
        "model_somany_loss",
    ]
    assert names["model_somany_fixed"] == [
        "model_somany_fixed_fit", "model_somany_fixed_change_points"
    ]  # fmt: skip
    assert names["regularized_l2_0.01"][0] == "regularized_l2_0.01_fit"
    assert names["classifier_l2_0.01"][0] == "classifier_l2_0.01_boundary"
    flat = [figure for figures in names.values() for figure in figures]
    assert len(set(flat)) == len(flat)


def test_figures_are_drawn(monkeypatch):
    small = lecture.CATALOGUE["model_8units"]
    base = lecture.train(small, 20, curves=True)
    # The figures of a larger entry, drawn of a small network.
    results = {
        "model_8units": base,
        "model_somany": base,
        "regularized_l2_0.01": base,
        "model_somany_fixed": lecture.train(lecture.CATALOGUE["model_somany_fixed"], 20, base=base),
    }
    drawn = 0
    for name, result in results.items():
        for figure, draw in figures(lecture.CATALOGUE[name]).items():
            if "_layer" in figure and not figure.endswith(("layers", "layer1_units")):
                continue  # the small network has no such layer
            assert draw(result).axes, figure
            drawn += 1
    assert drawn == 10
    for draw_data in data_figures().values():
        assert draw_data().axes


def test_a_classifier_s_figure():
    from dataclasses import replace

    entry = replace(lecture.CATALOGUE["classifier_l2_0.01"], units=(8,), seeds=6)
    result = lecture.train(entry, 20, curves=True)
    assert set(result.train) == {"loss", "accuracy"}
    assert len(result.model.history.history["val_accuracy"]) == 10
    for draw in figures(entry).values():
        assert draw(result).axes
