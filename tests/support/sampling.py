"""Parameters of which a sample runs by default, and the rest with the slow tests."""

import itertools

import pytest


def sampled(step, *axes):
    """Return the product of some axes; each value of each axis is in the default sample.

    By default the cases run whose indices add up to a multiple of `step`, which is at most the
    length of the product of all axes but any one.
    """
    numbered = itertools.product(*(enumerate(axis) for axis in axes))
    return [
        pytest.param(
            *(value for _, value in case),
            marks=[pytest.mark.slow] if sum(i for i, _ in case) % step else [],
        )
        for case in numbered
    ]
