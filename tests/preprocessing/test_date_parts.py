"""Dates as days, and their parts as points on circles."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from fastmlp.preprocessing import Preprocessing, waves

START = datetime(2019, 1, 1)
MOMENTS = [START + timedelta(hours=37 * i) for i in range(900)]  # over three years


def days_of(moments):
    return np.array([(moment - datetime(1970, 1, 1)) / timedelta(days=1) for moment in moments])


def fitted(moments=MOMENTS, **options):
    table = {"t": np.array(moments, "datetime64[s]"), "y": np.arange(len(moments)) % 17 * 1.0}
    return Preprocessing.fit(table, "y", **options), table


def test_parts_agree_with_the_calendar():
    moments = [
        *MOMENTS,
        datetime(1900, 2, 28, 5),
        datetime(2000, 2, 29),
        datetime(1969, 12, 31, 23),
    ]
    found = waves(days_of(moments), ("year", "month", "weekday", "hour"))
    of_day = np.array([m.hour / 24 + m.minute / 1440 + m.second / 86400 for m in moments])
    turns = [
        np.array([m.timetuple().tm_yday - 1 for m in moments]) / 365.2425,
        np.array([m.month - 1 for m in moments]) / 12,
        np.array([m.weekday() for m in moments]) / 7,
        of_day,
    ]
    for i, turn in enumerate(turns):
        # In a year, the day after February is one earlier or later than in another.
        tolerance = 2 * np.pi / 365 if i == 0 else 1e-6
        np.testing.assert_allclose(found[2 * i], np.sin(2 * np.pi * turn), atol=tolerance)
        np.testing.assert_allclose(found[2 * i + 1], np.cos(2 * np.pi * turn), atol=tolerance)


def test_inputs_have_days_and_parts():
    state, table = fitted(date_parts=True)
    assert state.input_names == [
        "t", "t year sin", "t year cos", "t month sin", "t month cos", "t weekday sin",
        "t weekday cos", "t hour sin", "t hour cos",
    ]  # fmt: skip
    x = state.inputs(table, "float64")
    assert x.shape == (900, 9)
    expected = waves(days_of(MOMENTS), ("year", "month", "weekday", "hour"))
    np.testing.assert_array_equal(x[:, 1:].T, expected)
    again = Preprocessing.from_dict(json.loads(json.dumps(state.to_dict())))
    assert again == state
    np.testing.assert_array_equal(again.inputs(table, "float64"), x)
    assert fitted()[0].input_names == ["t"]


def test_days_without_times_have_no_hour():
    state, _ = fitted([START + timedelta(days=i) for i in range(30)], date_parts=True)
    assert state.n_inputs == 7 and "t hour sin" not in state.input_names
    with pytest.raises(ValueError, match="date_parts must be"):
        fitted(date_parts="hour")


def test_later_dates_can_be_predicted():
    state, _ = fitted(date_parts=True)
    later = {
        "t": np.array([START + timedelta(days=d) for d in (2000, 4000, 10**5)], "datetime64[s]")
    }
    days = state.inputs(later)[:, 0]
    assert (np.diff(days) > 0).all() and days[-1] < 3


def test_missing_dates_are_filled():
    table = {"t": np.array(["2024-01-01", "2024-01-03", "NaT", "2024-01-09"], "datetime64[D]"),
             "y": [1.0, 2, 3, 5]}  # fmt: skip
    state = Preprocessing.fit(table, "y", date_parts=True)
    x = state.inputs(table)
    assert state.input_names[-1] == "t missing"
    np.testing.assert_array_equal(x[:, -1], [0, 0, 1, 0])
    np.testing.assert_array_equal(x[2, :-1], x[1, :-1])  # the median
