"""Regularizers: values, names, and lambdas read from text."""

import math

import numpy as np
import pytest

from fastmlp import layers, models, regularizers


def test_values_are_kerass_not_halved():
    w = np.array([[1.0, -2.0], [3.0, 0.0]])
    assert regularizers.L1(0.1)(w) == pytest.approx(0.6)
    assert regularizers.L2(0.1)(w) == pytest.approx(1.4)
    assert regularizers.L1L2(l1=0.1, l2=0.01)(w) == pytest.approx(0.6 + 0.14)


def test_aliases_and_defaults():
    assert regularizers.l1 is regularizers.L1 and regularizers.l2 is regularizers.L2
    assert (regularizers.l1().l1, regularizers.l1().l2) == (0.01, 0)
    assert (regularizers.l2().l1, regularizers.l2().l2) == (0, 0.01)
    both = regularizers.l1_l2(l1=0.1, l2=0.2)
    assert (both.l1, both.l2) == (0.1, 0.2)
    assert regularizers.get(None) is None and regularizers.get(both) is both
    assert regularizers.get("l2").l2 == 0.01
    assert isinstance(regularizers.get("L1L2"), regularizers.L1L2)
    assert isinstance(regularizers.get("l1_l2"), regularizers.L1L2)
    assert repr(regularizers.L1(0.5)) == "L1(l1=0.5)"
    assert repr(regularizers.L1L2(0.5, 1)) == "L1L2(l1=0.5, l2=1.0)"


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.1", True, None])
def test_bad_lambdas(value):
    with pytest.raises(ValueError, match=r"l2 must be a finite number of at least 0. Received: l2"):
        regularizers.L2(value)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Unknown regularizer: 'l3'. Did you mean 'l"):
        regularizers.get("l3")


def test_parse_lambdas():
    assert regularizers.parse_lambdas("0.001", 6) == [0.001] * 6
    assert regularizers.parse_lambdas("0.1, 1e-2,0", 3) == [0.1, 0.01, 0.0]
    assert regularizers.one_per_layer("l1", 0.5, 2) == [0.5, 0.5]
    assert regularizers.one_per_layer("l1", [0.5, 1], 2) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "l1 must be a number or numbers with commas between. Received: 'a'"),
        ("", "l1 must be a number"),
        ("0.1,,0.2", "l1 must be a number"),
        ("-1", r"l1 must be a finite number of at least 0. Received: l1=-1.0"),
        ("nan", "l1 must be a finite number"),
        ("1,2,3", r"output included: 1 or 5. Received: 3 values, l1=\[1.0, 2.0, 3.0\]"),
    ],
)
def test_parse_lambdas_says_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        regularizers.parse_lambdas(text, 5, name="l1")


def test_group_penalty():
    w = np.array([[3.0, 0.0, 1.0], [4.0, 0.0, -1.0]])
    units, inputs = regularizers.GroupL1(0.1), regularizers.GroupL1(0.1, groups="inputs")
    assert units(w) == pytest.approx(0.1 * 2**0.5 * (5 + 0 + 2**0.5))
    assert inputs(w) == pytest.approx(0.1 * 3**0.5 * (10**0.5 + 17**0.5))
    assert units.norms(w).tolist() == pytest.approx([5, 0, 2**0.5])
    assert (units.l1, units.l2, units.group, units.groups) == (0, 0, 0.1, "units")
    assert isinstance(regularizers.get("group_l1"), regularizers.GroupL1)
    assert repr(inputs) == "GroupL1(v=0.1, groups='inputs')"


@pytest.mark.parametrize(
    "penalty",
    [
        regularizers.L1(0.1),
        regularizers.L1(0.1, proximal=True),
        regularizers.L1L2(0.1, 0.2, proximal=True),
        regularizers.GroupL1(0.1, groups="inputs"),
    ],
    ids=repr,
)
def test_configs_make_the_same(penalty):
    config = {"class_name": type(penalty).__name__, "config": penalty.get_config()}
    assert repr(regularizers.get(config)) == repr(penalty)
    again = regularizers.get(config)
    assert (again.proximal, again.group) == (penalty.proximal, penalty.group)


@pytest.mark.parametrize(
    "regularizer",
    [
        regularizers.L1(0.3, True),
        regularizers.GroupL1(0.3),
        regularizers.GroupL1(0.3, groups="inputs"),
    ],
    ids=repr,
)
def test_subgradients(regularizer):
    w = np.random.default_rng(0).normal(size=(3, 4))
    found, h = np.empty_like(w), 1e-6
    for at in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[at] = h
        found[at] = (regularizer(w + step) - regularizer(w - step)) / (2 * h)
    np.testing.assert_allclose(regularizer.subgradient(w), found, rtol=1e-6)
    assert not regularizer.subgradient(np.zeros((3, 4))).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regularizers.GroupL1(-1), "v must be a finite number of at least 0"),
        (lambda: regularizers.GroupL1(float("nan")), "v must be a finite number.*Received: v=nan"),
        (lambda: regularizers.GroupL1(1, groups="unit"), "Unknown groups: 'unit'.*Did you mean"),
        (lambda: regularizers.L1(0.1, proximal="yes"), "proximal must be True or False"),
        (lambda: regularizers.GroupL1(1)(np.ones(3)), r"w must have shape \(n_in, units\)"),
        (
            lambda: models.mlp([3], 1, 1, l1=0.1, group_l1=0.2),
            "neither l1 nor l2. Received: l1=0.1",
        ),
        (lambda: layers.Dense(1, bias_regularizer="group_l1"), "biases do not belong to groups"),
    ],
)
def test_bad_proximal_penalties(make, message):
    with pytest.raises(ValueError, match=message):
        make()
