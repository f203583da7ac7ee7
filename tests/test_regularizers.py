"""Regularizers: values, names, and lambdas read from text."""

import math

import numpy as np
import pytest

from fastmlp import regularizers


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
