"""Models of a small table with hostile names, one for each task."""

import dataclasses
import warnings

import numpy as np
import pytest

import fastmlp
from fastmlp import lecture
from fastmlp.reports import _drawings

RNG = np.random.default_rng(0)
N = 240
HOSTILE = "</script><script>alert(1)</script>"
BRACES = "{{7*7}} \"q\" 's' $x$"
TARGET = "bought <$50K & \u05d0\u05d1"
AGE, INCOME = RNG.normal(40, 10, N), RNG.lognormal(10, 0.5, N)
CITY = RNG.choice(["</td><b>Aachen", "\u05e7\u05dc\u05df", "-->"], N)
SCORE = (AGE - 40) / 5 + (CITY == "-->")
TARGETS = {
    "two": np.where(SCORE + RNG.normal(size=N) > 0, "yes<img src=x>", "no"),
    "three": np.where(SCORE < -1, "low", np.where(SCORE < 1, "mid", "high")),
    "number": SCORE * 10 + RNG.normal(size=N),
}
ROWS = {"train": slice(0, 160), "test": slice(160, N)}


def table(task, part="test", shift=0.0):
    columns = {HOSTILE: AGE + shift, BRACES: INCOME, "\u05e2\u05d9\u05e8": CITY}
    columns[TARGET] = TARGETS["number" if task == "both" else task]
    if task == "both":
        columns["second"] = SCORE**2 + AGE
    return {name: values[ROWS[part]] for name, values in columns.items()}


@pytest.fixture(scope="session")
def trained():
    made = {}

    def of(task, effort="normal"):
        if (task, effort) not in made:
            options = {"effort": effort} if effort == "high" else {"validation_split": 0.25}
            if task == "two" and effort == "normal":
                options["cost"] = {"fp": 1, "fn": 3}
            target = [TARGET, "second"] if task == "both" else TARGET
            made[task, effort] = fastmlp.fit(
                table(task, "train"), target, units="8", epochs=6, seed=1, verbose=0, **options
            )
        return made[task, effort]

    return of


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without figures, which take most of the time."""
    monkeypatch.setattr(_drawings, "of_model", lambda *_: [])
    monkeypatch.setattr(_drawings, "on_table", lambda *_: [])


@pytest.fixture(scope="session")
def path():
    """The result of a short path."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastmlp.errors.ModelWarning)
        return fastmlp.path(
            table("number", "train"), target=TARGET, units=[4], n_lambdas=5, epochs=20, folds=3,
            seed=1, verbose=0,
        )  # fmt: skip


@pytest.fixture(scope="session")
def of_lecture():
    """One of the lecture's networks, trained for a few epochs."""
    made = {}

    def of(name, units):
        if name not in made:
            entry = dataclasses.replace(lecture.CATALOGUE[name], units=units)
            made[name] = lecture.train(entry, 5, curves=True).model
        return made[name]

    return of
