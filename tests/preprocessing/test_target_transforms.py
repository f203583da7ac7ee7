"""Transformed targets come back in their units; several targets; rows without a target."""

from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import pytest

from fastmlp.errors import DataError
from fastmlp.preprocessing import Preprocessing, choose_task, usable_rows

N = 400
RNG = np.random.default_rng(3)
A = RNG.normal(size=N)
SKEWED = np.exp(A + RNG.normal(size=N))


def fitted(y=SKEWED, **options):
    return Preprocessing.fit({"a": A, "y": y}, "y", "regression", **options)


@pytest.mark.parametrize("transform", ["log", "sqrt", "quantile"])
def test_targets_come_back(transform):
    state = fitted(target_transform=transform)
    table = {"a": A, "y": SKEWED}
    y = state.targets(table, "float64")
    assert y.mean() == pytest.approx(0, abs=1e-9) and y.std() == pytest.approx(1)
    np.testing.assert_allclose(state.values(y), SKEWED, rtol=1e-9)
    again = Preprocessing.from_dict(json.loads(json.dumps(state.to_dict())))
    assert again == state
    np.testing.assert_array_equal(again.values(y), state.values(y))
    plain = fitted(target_transform=transform, standardize=False)
    assert plain.target.is_scaled
    np.testing.assert_allclose(plain.values(plain.targets(table, "float64")), SKEWED, rtol=1e-9)


def test_what_the_network_predicts():
    table = {"a": A, "y": SKEWED}
    for transform, function in (("log", np.log), ("sqrt", np.sqrt)):
        y = fitted(target_transform=transform).targets(table, "float64")[:, 0]
        expected = function(SKEWED)
        np.testing.assert_allclose(y, (expected - expected.mean()) / expected.std())
    y = fitted(target_transform="quantile", standardize=False).targets(table, "float64")[:, 0]
    ranks = SKEWED.argsort().argsort()
    scores = [NormalDist().inv_cdf((rank + 0.5) / N) for rank in ranks]
    np.testing.assert_allclose(y, scores)


def test_the_logarithm_of_counts():
    counts = np.floor(SKEWED)
    assert (counts == 0).any()
    state = fitted(counts, target_transform="log", standardize=False)
    y = state.targets({"a": A, "y": counts}, "float64")
    np.testing.assert_allclose(y[:, 0], np.log(1 + counts))
    np.testing.assert_allclose(state.values(y), counts, atol=1e-12)


def test_outputs_far_away_stay_numbers():
    for transform in ("log", "sqrt", "quantile"):
        values = fitted(target_transform=transform).values(np.array([[-1e30], [1e30]]))
        assert np.isfinite(values).all() and values[0] >= 0
    quantiles = fitted(target_transform="quantile").values(np.array([[-1e30], [1e30]]))
    np.testing.assert_allclose(quantiles, [SKEWED.min(), SKEWED.max()])


def test_many_numbers_have_a_thousand_knots():
    y = np.random.default_rng(0).lognormal(size=20_000)
    y[:5000] = 1.0
    state = Preprocessing.fit({"a": y, "y": y}, "y", target_transform="quantile")
    assert 700 < len(state.target.knots) <= 1000
    restored = state.values(state.targets({"a": y, "y": y}, "float64"))
    np.testing.assert_allclose(restored, y, rtol=1e-9)


@pytest.mark.parametrize("transform", ["log", "sqrt"])
def test_what_cannot_be_transformed(transform):
    with pytest.raises(DataError, match=r"row 2, column 'y': '-1' is below 0, which target_tr"):
        Preprocessing.fit({"a": [1, 2, 3], "y": [1, -1.0, 2]}, "y", target_transform=transform)
    with pytest.raises(DataError, match=r"'-2\.5' is below 0"):
        fitted(target_transform=transform).targets({"a": [1], "y": [-2.5]})


def test_a_transform_is_for_numbers():
    with pytest.raises(DataError, match="target_transform is for numbers; the target 'y' has cl"):
        Preprocessing.fit({"a": [1, 2], "y": ["u", "v"]}, "y", target_transform="log")
    with pytest.raises(ValueError, match="Unknown target_transform: 'cube'"):
        fitted(target_transform="cube")


# ---- several targets ---------------------------------------------------------------------------


def test_several_targets():
    table = {"u": 3 + 2 * A, "a": A**3, "v": SKEWED}
    state = Preprocessing.fit(table, ["u", "v"])
    assert (state.n_inputs, state.n_outputs) == (1, 2)
    assert [target.name for target in state.all_targets] == ["u", "v"]
    y = state.targets(table, "float64")
    assert y.shape == (N, 2)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(state.values(y), np.stack([table["u"], table["v"]], 1))
    assert state.values(y[None]).shape == (1, N, 2)
    again = Preprocessing.from_dict(json.loads(json.dumps(state.to_dict())))
    assert again == state
    assert state.inputs(table).shape == (N, 1)  # the targets may be there
    assert state.inputs({"a": A}).shape == (N, 1)
    assert Preprocessing.fit(table, ["u"]) == Preprocessing.fit(table, "u")


def test_several_targets_must_be_numbers():
    table = {"u": A, "a": A, "v": ["x", "y"] * (N // 2)}
    with pytest.raises(
        DataError, match="several targets must all hold numbers, but 'v' holds text"
    ):
        Preprocessing.fit(table, ["u", "v"])
    with pytest.raises(ValueError, match="target must hold different names"):
        Preprocessing.fit(table, ["u", "u"])
    with pytest.raises(DataError, match="there is no target column 'w'"):
        Preprocessing.fit(table, ["u", "w"])


# ---- rows without a target -----------------------------------------------------------------------


@pytest.mark.parametrize("y", [[1.5, None, 2.0, None], ["u", None, "v", None]])
def test_rows_without_a_target_are_left_out(y):
    table = {"a": [1.0, 100.0, 3.0, None], "y": y}
    rows, note = usable_rows(table, "y")
    assert rows.tolist() == [0, 2]
    assert note == "2 rows have no value of the target 'y' and are left out."
    state = Preprocessing.fit(table, "y", standardize="deviation")
    assert note in state.notes
    assert state.columns[0].mean == 2
    assert state.targets(table, rows=rows).shape == (2, 1)
    with pytest.raises(DataError, match="row 2, column 'y': the target is missing"):
        state.targets(table)
    assert state == Preprocessing.fit(table, "y", standardize="deviation", rows=np.arange(4))
    assert usable_rows({"a": [1, 2], "y": [1, 2]}, "y")[1] is None
    with pytest.raises(DataError, match="no row has a value of the target 'y'"):
        usable_rows({"a": [1, 2], "y": [None, None]}, "y")


def test_a_row_must_have_all_of_several_targets():
    table = {"a": [1.0, 2, 3, 4], "u": [1.0, None, 2, 3], "v": [1.0, 5, None, 8]}
    assert usable_rows(table, ["u", "v"])[0].tolist() == [0, 3]
    state = Preprocessing.fit(table, ["u", "v"])
    assert "2 rows have no value of the target 'u' or 'v' and are left out." in state.notes


@pytest.mark.parametrize(
    ("y", "asked"),
    [([0, 1, 2] * 5, 3), (list(range(10)) * 5, 10), (list(range(11)) * 5, 0), ([0, 1, 2], 0),
     ([0, 1, 2.5] * 5, 0), ([0, 1] * 5, 0)],
)  # fmt: skip
def test_few_whole_numbers_are_asked_about(y, asked):
    reason = choose_task({"y": y}, "y")[1]
    text = f"({asked} distinct whole numbers: --task classification?)"
    assert (text in reason) == bool(asked) and ("?" in reason) == bool(asked)
