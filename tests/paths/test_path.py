"""Paths: cross-validation, choices, networks with hidden layers, interruption."""

from __future__ import annotations

import io
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import models, paths
from fastmlp.errors import DataError
from fastmlp.paths import _fold_paths, _path, _sparsity
from fastmlp.preprocessing import Preprocessing

from .data import classes, regression

# Cases without hidden layers take the options of those with some.
pytestmark = pytest.mark.filterwarnings(
    "ignore:No effect of:UserWarning", "ignore:The least error:fastmlp.errors.ModelWarning"
)

QUICK = {"n_lambdas": 6, "folds": 3, "epochs": 60, "learning_rate": 0.02, "seed": 0, "verbose": 0}


@pytest.fixture(scope="module")
def network():
    """A path of a network with two hidden layers."""
    return fastmlp.path(*regression(), "8,6", **QUICK)


# ---- cross-validation --------------------------------------------------------------------------


def test_a_folds_score_is_that_of_a_model_that_never_saw_it():
    x, y = regression(n=41)
    folds = np.arange(41) % 3
    result = fastmlp.path(x, y, lambdas=[0.3, 0.01], folds=folds, seed=0, verbose=0)
    for k in range(3):
        held = folds == k
        alone = fastmlp.path(x[~held], y[~held], lambdas=[0.3, 0.01], folds=2, seed=0, verbose=0)
        for i in (0, 1):
            error = np.square(alone.predict(x[held], i) - y[held]).mean()
            assert result.fold_scores["mse"][i, k] == pytest.approx(error, rel=1e-12)
            held_out = result.held_out[i, held, 0]
            np.testing.assert_allclose(held_out, alone.predict(x[held], i), rtol=1e-6)
    scores, weights = result.fold_scores["mse"], np.array([14, 14, 13]) / 41
    assert result.fold_sizes.tolist() == [14, 14, 13]
    mean = (scores * weights).sum(axis=1)
    np.testing.assert_allclose(result.cv_mean, mean)
    variance = (weights * (scores - mean[:, None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(result.cv_se, np.sqrt(variance / 2))


def test_choices_are_as_defined():
    result = fastmlp.path(*regression(), seed=0, verbose=0)
    mean, best = result.cv_mean, int(np.argmin(result.cv_mean))
    assert result.lambda_min == result.lambdas[best]
    within = result.lambdas[mean <= mean[best] + result.cv_se[best]]
    assert result.lambda_1se == within.max()
    assert result.lambda_min < result.lambda_1se < result.lambdas[0]
    assert result.index == result.index_1se
    least = fastmlp.path(*regression(), choose="min", seed=0, verbose=0)
    assert least.index == result.index_min
    assert least.cv_mean[least.index] < result.null_score / 5


def test_scores_of_classes():
    x, y = classes(n_classes=3)
    result = fastmlp.path(x, y, n_lambdas=8, folds=3, seed=0, verbose=0)
    assert result.measure == "deviance"
    shares = np.unique(y, return_counts=True)[1] / len(y)
    assert result.null_score == pytest.approx(-2 * (shares * np.log(shares)).sum())
    assert result.train_scores["deviance"][0] == pytest.approx(result.null_score)
    assert (np.diff(result.train_scores["deviance"]) < 0).all()
    chances = result.held_out
    codes = np.unique(y, return_inverse=True)[1]
    own = chances[:, np.arange(len(y)), codes]
    np.testing.assert_allclose(result.cv_mean, -2 * np.log(own).mean(axis=1), rtol=1e-5)
    wrong = (chances.argmax(axis=2) != codes).mean(axis=1)
    np.testing.assert_allclose(result.cv("misclassification")[0], wrong, rtol=1e-6)
    by_errors = fastmlp.path(
        x, y, n_lambdas=8, folds=3, measure="misclassification", choose="min", seed=0, verbose=0
    )
    assert by_errors.index == int(np.argmin(wrong))
    assert set(result.predict(x)) <= set(y)


def test_two_classes_of_numbers_and_the_name_of_a_column():
    x, y = classes()
    table = {"a": x[:, 0], "b": x[:, 1], "goal": (y == "class1").astype(int)}
    result = fastmlp.path(table, "goal", n_lambdas=5, folds=3, seed=0, verbose=0)
    assert result.preprocessing.target.labels == [0, 1]
    assert result.input_names == ["a", "b"]
    assert result.train_scores["misclassification"][-1] < 0.3


# ---- networks with hidden layers ---------------------------------------------------------------


def test_nothing_is_left_at_the_largest_lambda_and_something_just_below(network):
    x, y = regression()
    assert network.n_nonzero[0] == network.n_live[0] == network.n_inputs[0] == 0
    assert network.norms(0)[0].max() == 0
    assert network.cv_mean[network.index_min] < network.null_score / 4
    assert network.n_nonzero[-1] > 20 > network.n_nonzero[1] > 0
    assert network.n_live_layers.shape == (6, 2)
    assert np.ptp(network.predict(x, 0)) == 0
    assert network.predict(x, 0)[0] == pytest.approx(y.mean(), rel=1e-5)


@pytest.mark.parametrize("penalty", ["l2", "group"])
def test_other_penalties(penalty):
    x, y = regression()
    result = fastmlp.path(x, y, "8", penalty=penalty, **QUICK)
    null = result.train_scores["mse"][0]
    assert null > 0.98 * result.null_score
    assert result.cv_mean.min() < result.null_score / 3
    if penalty == "group":
        assert result.n_nonzero[0] == 0
        # Whole inputs: a row of the first layer is zero, or wholly not so for live units.
        assert result.n_inputs[1] < 6
        norms = result.norms(0)
        assert ((norms == 0).sum(axis=1) == 6 - result.n_inputs).all()
    else:
        assert result.n_nonzero[-1] == 6 * 8 + 8
        assert result.norms(0)[0].max() < 0.1 * result.norms(0)[-1].max()


def test_classes_with_hidden_layers():
    x, y = classes(n_classes=3)
    result = fastmlp.path(x, y, "6", activation="tanh", **QUICK)
    assert result.n_nonzero[0] == 0
    assert result.cv_mean.min() < 0.8 * result.null_score
    assert result.model.dense_layers[0].activation == "tanh"


def test_layers_may_have_grids_of_their_own():
    x, y = regression()
    options = {**QUICK, "epochs": 20}
    result = fastmlp.path(x, y, "5", lambdas=[0.1, 0.01], layer_factors=[1, 0], **options)
    assert result.layer_lambdas.tolist() == [[0.1, 0], [0.01, 0]]
    layers = result.model_at(0).dense_layers
    assert layers[0].kernel_regularizer.l1 == 0.1
    assert layers[1].kernel_regularizer is None
    assert "lambda_2" in result.columns()
    own = fastmlp.path(x, y, "5", lambdas=[[0.1, 0], [0.01, 0]], **options)
    assert own.layer_lambdas.tolist() == result.layer_lambdas.tolist()
    for i in (0, 1):
        for a, b in zip(
            own.model_at(i).get_weights(), result.model_at(i).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_how_long_to_train_depends_on_the_rows():
    assert _path.lengths(500, None, None, None) == {
        "batch_size": 500, "epochs": 200, "first_epochs": 1000,
    }  # fmt: skip
    assert _path.lengths(25_600, None, None, 7) == {
        "batch_size": 256, "epochs": 10, "first_epochs": 7,
    }  # fmt: skip
    assert _path.lengths(10**7, None, None, None)["epochs"] == 2
    assert _path.lengths(500, 100, 3, None)["first_epochs"] == 15


def test_batches():
    x, y = regression(n=120)
    options = {**QUICK, "batch_size": 30, "learning_rate": 0.01}
    result = fastmlp.path(x, y, "8", **options)
    assert result.n_nonzero[0] == 0
    assert result.cv_mean.min() < result.null_score / 3
    assert all_bytes(result) == all_bytes(fastmlp.path(x, y, "8", threads=2, **options))


def all_bytes(result):
    arrays = [*result.fold_scores.values(), *result.train_scores.values(), result.held_out]
    for i in range(len(result.lambdas)):
        arrays += result.model_at(i).get_weights()
    return b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("units", ["none", "8,6"])
def test_the_same_bits_for_any_number_of_threads(units, network):
    x, y = regression()
    found = {all_bytes(fastmlp.path(x, y, units, threads=n, **QUICK)) for n in (1, 2, 3)}
    assert len(found) == 1
    if units == "8,6":
        assert found == {all_bytes(network)}


def test_threads_walk_side_by_side(monkeypatch):
    seen = set()
    advance = _fold_paths.FoldPath.advance

    def noted(self, lambdas):
        seen.add((threading.get_ident(), id(self)))
        advance(self, lambdas)

    monkeypatch.setattr(_fold_paths.FoldPath, "advance", noted)
    x, y = regression(n=400)
    options = {**QUICK, "epochs": 300, "lambdas": np.geomspace(0.1, 1, 6)}
    fastmlp.path(x, y, "16,16", threads=3, **options)
    assert len({thread for thread, _ in seen}) == 3
    assert len({track for _, track in seen}) == len(seen) == 4  # each stays in one thread


def test_packed_arrays_come_back():
    dense, sparse = np.arange(6.0).reshape(2, 3), np.zeros((4, 5), np.float32)
    sparse[1, 2] = -3
    for array, size in ((dense, 6), (sparse, 2), (np.zeros(3), 0)):
        packed = _fold_paths.Packed(array)
        assert packed.size == size
        np.testing.assert_array_equal(packed.unpacked(), array)
        assert packed.unpacked().dtype == array.dtype


def test_weights_too_large_to_keep_are_walked_to_again(monkeypatch):
    x, y = regression()
    kept = fastmlp.path(x, y, "8", **QUICK)
    monkeypatch.setattr(_fold_paths, "_MAX_KEPT", 10)
    again = fastmlp.path(x, y, "8", **QUICK)
    assert again.held_out is None
    assert kept.kept(3)
    assert not again.kept(-1)
    with pytest.raises(ValueError, match="did not keep because they are too many"):
        again.plot_fits()
    for place in (0, 3):
        for a, b in zip(
            again.model_at(place).get_weights(), kept.model_at(place).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_nothing_learnt_is_an_error():
    x, y = regression()
    with pytest.raises(DataError, match=r"learnt nothing.*more epochs"):
        fastmlp.path(x, y, "4", penalty="l2", epochs=1, learning_rate=1e-9, seed=0, verbose=0)


# ---- what is left of a model -------------------------------------------------------------------


def test_a_description_counts_what_leads_to_an_output():
    model = models.mlp([3, 2], 4, 1, seed=0)
    w1, w2, w3 = np.zeros((4, 3)), np.zeros((3, 2)), np.zeros((2, 1))
    w1[0, 0] = w1[1, 0] = 1  # inputs 0 and 1 to unit 0
    w1[2, 1] = 1  # input 2 to unit 1, from which nothing leads
    w2[0, 0] = w2[2, 0] = 1  # units 0 and 2; unit 2 is a constant
    w3[0, 0] = w3[1, 0] = 2  # the second unit of layer 2 is a constant
    bias = [np.array([0.5, 0, 3]), np.array([0, 0.25]), np.array([1.0])]
    model.set_weights([w1, bias[0], w2, bias[1], w3, bias[2]])
    x = np.random.default_rng(0).uniform(1, 2, size=(20, 4)).astype(np.float32)
    description = _sparsity.describe(model, x)
    assert description.n_nonzero == 7
    assert description.n_live == [1, 1]
    assert description.n_inputs == 2
    assert [norm.tolist() for norm in description.norms] == [[1, 1, 0, 0], [1, 0, 0], [2, 0]]
    before = model.predict(x)
    _sparsity.zero_unused_weights(model)
    np.testing.assert_allclose(model.predict(x), before, rtol=1e-6)
    tidied = _sparsity.describe(model, x)
    assert tidied.n_nonzero == 4
    assert (tidied.n_live, tidied.n_inputs) == ([1, 1], 2)


def test_a_relu_that_is_off_for_every_row_is_dead():
    model = models.mlp([2], 1, 1, seed=0)
    model.set_weights([np.ones((1, 2)), np.array([0.0, -9]), np.ones((2, 1)), np.zeros(1)])
    x = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    assert _sparsity.describe(model, x).n_live == [1]


# ---- models and tables -------------------------------------------------------------------------


def test_the_model_is_kept_with_all_that_predicting_takes(tmp_path, network):
    x, _ = regression()
    path = tmp_path / "m.fmlp"
    network.model.save(path)
    model = models.load_model(path)
    state = Preprocessing.of(model)
    table = {f"x{i + 1}": column for i, column in enumerate(x.T)}
    values = state.values(model.predict(state.inputs(table)))
    np.testing.assert_array_equal(values, network.predict(x))
    kept = model.extras["path"]
    assert kept["lambda"] == network.lambda_1se
    assert kept["penalty"] == "l1"
    assert model.dense_layers[0].kernel_regularizer.l1 == network.lambda_1se
    assert model.dense_layers[0].kernel_regularizer.proximal


def test_the_table(network):
    file = io.StringIO(newline="")
    network.to_csv(file)
    lines = [line.split(",") for line in file.getvalue().splitlines()]
    assert lines[0] == [
        "lambda", "cv_mse", "cv_mse_se", "train_mse", "n_nonzero", "n_live", "n_inputs",
        "n_live_1", "n_live_2", "choice",
    ]  # fmt: skip
    assert len(lines) == 7
    assert [float(line[0]) for line in lines[1:]] == network.lambdas.tolist()
    chosen = {line[-1]: float(line[0]) for line in lines[1:] if line[-1]}
    if network.index_min == network.index_1se:
        assert chosen == {"min 1se": network.lambda_min}
    else:
        assert chosen == {"min": network.lambda_min, "1se": network.lambda_1se}


def test_coefficients_are_of_models_without_hidden_layers(network):
    with pytest.raises(ValueError, match=r"without hidden layers.*units=\[8, 6\]"):
        _ = network.coefficients


def test_predict_takes_a_place_and_refuses_one_that_is_not_there(network):
    with pytest.raises(IndexError):
        network.model_at(6)
    assert network.model_at(-1) is network.model_at(5)


# ---- interruption ------------------------------------------------------------------------------


def test_an_interrupted_path_has_what_was_walked(monkeypatch):
    walked = []
    advance = _fold_paths.FoldPath.advance

    def stopping(self, lambdas):
        if len(walked) == 14:  # three steps of four tracks, and two more
            raise KeyboardInterrupt
        advance(self, lambdas)
        walked.append(lambdas[0])

    x, y = regression()
    whole = fastmlp.path(x, y, "4", **QUICK)
    monkeypatch.setattr(_fold_paths.FoldPath, "advance", stopping)
    with pytest.raises(paths.PathInterrupted, match="after 3 of 6 lambdas") as stop:
        fastmlp.path(x, y, "4", threads=1, **QUICK)
    result = stop.value.result
    assert result.interrupted
    assert not whole.interrupted
    np.testing.assert_array_equal(result.lambdas, whole.lambdas[3:])
    np.testing.assert_array_equal(result.cv_mean, whole.cv_mean[3:])
    assert math.isfinite(result.predict(x)[0])
    walked[:] = [0] * 14
    with pytest.raises(KeyboardInterrupt, match="before the first lambda") as plain:
        fastmlp.path(x, y, "4", threads=1, **QUICK)
    assert not isinstance(plain.value, paths.PathInterrupted)


_SLOW = """
import sys, time
import numpy as np
from fastmlp import path, paths
x = np.random.default_rng(0).normal(size=(300, 5))
try:
    path(x, x[:, 0], "64x2", lambdas=np.geomspace(1e-3, 1, 500), epochs=40, threads=2, verbose=1)
except paths.PathInterrupted as stop:
    print(time.time(), len(stop.result.lambdas), len(stop.result.predict(x)))
"""


@pytest.mark.slow
def test_ctrl_c_stops_threads_within_a_second():
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    for line in process.stderr:  # progress, from the first second on
        if int((re.match(r"path: (\d+)/", line) or [0, 0])[1]) >= 12:
            break
    sent = time.time()
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=60)[0].split()
    assert float(out[0]) - sent < 5  # a second, and what a loaded machine may add
    assert int(out[1]) >= 1
    assert int(out[2]) == 300


def test_the_seed_is_drawn_and_recorded():
    x, y = regression()
    first, other = (fastmlp.path(x, y, "4", **{**QUICK, "seed": None}) for _ in range(2))
    assert first.seed != other.seed
    assert all_bytes(fastmlp.path(x, y, "4", **{**QUICK, "seed": first.seed})) == all_bytes(first)
