"""effort="high": the mean of a network for each fold."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import TableModel, callbacks, tabular
from fastmlp.ensembles import Ensemble
from fastmlp.errors import DivergedError
from fastmlp.tabular import _folds

RNG = np.random.default_rng(8)
N = 400
AREA, ZONE = RNG.uniform(40, 200, N), RNG.choice(["centre", "park", "station"], N)
PRICE = 2 * AREA + 60 * (ZONE == "park") + RNG.normal(0, 8, N)
HOUSE = RNG.integers(0, N // 8, N)
NUMBERS = {"area": AREA, "zone": ZONE.tolist(), "price": PRICE}
CLASSES = {**NUMBERS, "price": np.where(PRICE > 260, "yes", "no").tolist()}
OPTIONS = {"units": "16", "epochs": 8, "seed": 1, "effort": "high"}
QUICK = {**OPTIONS, "verbose": 0}


@pytest.fixture(scope="module")
def model():
    return fastmlp.fit(NUMBERS, "price", **QUICK)


def test_each_network_is_trained_without_its_fold(model):
    found = tabular.prepared(NUMBERS, "price", **OPTIONS)
    pairs = found.held_out.pairs
    assert len(pairs) == len(model.network) == 5
    assert np.array_equal(np.sort(np.concatenate([held for _, held in pairs])), np.arange(N))
    k = 3
    train, held = (found.taken(rows) for rows in pairs[k])
    alone = tabular.network(found, *train[:2], model.network.seeds[k])
    stop = tabular.best_kept(found, held)
    tabular.fit_rows(
        alone, found, train, found.decisions, callbacks=[stop], validation=held, verbose=0
    )
    pairs = zip(alone.get_weights(), model.network[k].get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_predictions_are_the_mean_and_figures_those_of_rows_not_seen(model):
    assert isinstance(model.network, Ensemble)
    x = model.preprocessing.inputs(tabular.opened(NUMBERS, {}))
    each = np.array([member.predict(x, verbose=0)[:, 0] for member in model.network], float)
    wanted = model.preprocessing.values(each.mean(axis=0)[:, None].astype("f4"))
    assert model.predict(NUMBERS) == pytest.approx(wanted, rel=1e-6)
    found = tabular.prepared(NUMBERS, "price", **OPTIONS)
    errors = np.concatenate(
        [
            model.preprocessing.values(each[k][held, None].astype("f4")) - PRICE[held]
            for k, (_, held) in enumerate(found.held_out.pairs)
        ]
    )
    assert model.held_out.n_rows == N and model.held_out.how == "5-fold cross-validation"
    assert model.held_out.network["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-4)
    noise = model.network.noise_sd[0] * model.preprocessing.target.scale
    assert noise == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-4)


def test_the_file_holds_all_of_it(model, tmp_path):
    model.save(tmp_path / "m.fmlp")
    again = TableModel.load(tmp_path / "m.fmlp")
    assert np.array_equal(again.predict(NUMBERS), model.predict(NUMBERS))
    assert again.held_out == model.held_out and again.decisions.effort == "high"
    assert again.evaluate(NUMBERS) == model.evaluate(NUMBERS)


def test_the_same_bits_on_any_number_of_threads(model):
    for threads in (1, 3):
        other = fastmlp.fit(NUMBERS, "price", **QUICK, threads=threads)
        assert np.array_equal(other.predict(NUMBERS), model.predict(NUMBERS))


def test_classes_are_calibrated_and_answered(capsys):
    model = fastmlp.fit(CLASSES, "price", **{**QUICK, "epochs": 60}, interval=0.9, threshold="f1")
    p = model.predict_proba(CLASSES)
    assert p.shape == (N, 2) and p.sum(axis=1) == pytest.approx(1)
    assert np.mean(model.predict(CLASSES) == np.array(CLASSES["price"])) > 0.9
    assert model.predict_interval(CLASSES).shape == (N, 2)
    found = tabular.prepared(CLASSES, "price", **{**OPTIONS, "epochs": 60})
    training = tabular.FoldsTraining(found)
    training.run(0)
    raw = training.outputs
    tabular.answer_folds(training, tabular.Wanted())
    t = training.kept.get("temperature", 1.0)
    assert t == model.kept.get("temperature", 1.0)
    held = found.held_out.pairs[0][1]
    p = np.clip(raw[: len(held)].astype(float), 1e-9, 1 - 1e-9)
    now = training.model[0].predict(found.x[held], verbose=0)
    assert now == pytest.approx(1 / (1 + (1 / p - 1) ** (1 / t)), abs=1e-5)


def test_groups_stay_within_one_fold():
    found = tabular.prepared(
        {**NUMBERS, "house": HOUSE}, "price", group="house", effort="high", seed=1
    )
    for train, held in found.held_out.pairs:
        assert not set(HOUSE[train]) & set(HOUSE[held])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation_split": 0.3}, "validation_split exclude each other"),
        ({"validation": NUMBERS}, "validation exclude each other"),
        ({"max_time": 5}, "max_time exclude each other"),
        ({"refit": True}, "refit exclude each other"),
        ({"time": "area"}, "time exclude each other"),
        ({"effort": "most"}, "Unknown effort: 'most'. Known: high, normal"),
    ],
)
def test_what_one_network_needs_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        fastmlp.fit(NUMBERS, "price", **{**QUICK, **options})


def test_too_few_rows_for_folds():
    few = {name: column[:9] for name, column in NUMBERS.items()}
    with pytest.raises(ValueError, match="at least 10 rows with a target"):
        fastmlp.fit(few, "price", **QUICK)


def test_an_interrupted_run_leaves_the_networks_so_far(monkeypatch, capsys):
    class Interrupt(callbacks.Callback):
        epochs = stop = 0

        def on_epoch_end(self, epoch, logs=None):
            Interrupt.epochs += 1
            if Interrupt.epochs == Interrupt.stop:
                raise KeyboardInterrupt

    monkeypatch.setattr(_folds, "_Count", lambda counts, fold: Interrupt())
    each = tabular.prepared(NUMBERS, "price", **OPTIONS).n_epochs
    for stop, networks in ((3, 1), (2 * each + 1, 2)):
        Interrupt.epochs, Interrupt.stop = 0, stop
        model = fastmlp.fit(NUMBERS, "price", **{**QUICK, "verbose": 1}, threads=1)
        assert len(model.network) == networks and model.network.interrupted
        assert model.held_out.n_rows == 80 * networks
        assert f"the mean of the {networks} networks so far" in capsys.readouterr().err


def test_networks_that_diverge_are_left_out(monkeypatch):
    fit_rows, calls = _folds.fit_rows, []

    def sometimes(*arguments, **keywords):
        calls.append(1)
        if len(calls) in bad:
            raise DivergedError("training diverged", epoch=1)
        return fit_rows(*arguments, **keywords)

    monkeypatch.setattr(_folds, "fit_rows", sometimes)
    bad = {2}
    model = fastmlp.fit(NUMBERS, "price", **QUICK)
    assert len(model.network) == 4 and model.held_out.n_rows == 320
    calls.clear()
    bad = set(range(1, 6))
    with pytest.raises(DivergedError):
        fastmlp.fit(NUMBERS, "price", **QUICK)
