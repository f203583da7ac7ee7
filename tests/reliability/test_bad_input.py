"""Every public entry point with every kind of bad value: one documented error each, no crash."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import errors, initializers, models, optimizers

from . import entry_points, more_entry_points
from .bad_values import EXPECTED, KINDS, SAME
from .entry_points import ENTRIES

pytestmark = pytest.mark.reliability
assert more_entry_points.curve  # which adds to ENTRIES


def cases(entry):
    for argument, kind in entry.kinds.items():
        optional, kind = kind.endswith("?"), kind.removesuffix("?")
        for name, make in KINDS[kind].items():
            if not (optional and name == "nothing"):
                yield argument, kind, name, make


def outcome(entry, argument, make, tmp_path) -> Any:
    arguments = entry.arguments(tmp_path)
    arguments[argument] = make(arguments.get(argument), tmp_path)
    try:
        entry.call(**arguments)
    except Exception as error:
        return error
    return None


def complaint(error, kind, taken) -> str | None:
    expected = EXPECTED.get(kind, ValueError)
    if taken:
        return f"refused: {error!r}" if error is not None else None
    if error is None:
        return "taken"
    if not isinstance(error, expected):
        return f"{type(error).__name__}: {str(error)[:150]}"
    if isinstance(error, OSError):
        return None if error.errno or "Received: " in str(error) else "an OSError without words"
    text = str(error)
    if kind.endswith("of scikit-learn"):
        return None if text else "no message"
    if not text or len(text) > 6000:
        return f"a message of {len(text)} characters"
    return None if SAYS.search(text) else f"does not say what arrived: {text[:150]}"


# How messages name what arrived: its value, an unknown name, or the file or table that it is in.
SAYS = re.compile(
    r"Received: .|^Unknown .*: .|^Cannot read model file .|is not a usable model file: ."
    r"|^(the array|the mapping|the model file|x|\S+): .",
    re.DOTALL,
)


def test_there_are_as_many_cases_as_the_documentation_says():
    n_cases = sum(1 for entry in ENTRIES for _ in cases(entry))
    assert n_cases > 12_000
    assert len(ENTRIES) == 151
    assert len(TAKES_DATA) * len(SAME) == 140
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_bad_values_are_refused(entry, step, tmp_path):
    """By default with each third value, of another kind in each entry point."""
    entry.call(**entry.arguments(tmp_path))  # what is spoilt was sound
    before = [array.tobytes() for array in entry_points.shared().get_weights()]
    wrong = []
    first = ENTRIES.index(entry) % step
    for argument, kind, name, make in itertools.islice(cases(entry), first, None, step):
        taken = name in entry.taken.get(argument, ())
        said = complaint(outcome(entry, argument, make, tmp_path), kind, taken)
        if said is not None:
            wrong.append(f"{argument}={name}: {said}")
    assert not wrong, f"{len(wrong)} of them:\n" + "\n".join(wrong)
    assert [array.tobytes() for array in entry_points.shared().get_weights()] == before


# ---- other forms of good data --------------------------------------------------------------------


def result(value):
    """Return what a call gave as bytes that can be compared."""
    if isinstance(value, (list, tuple)):
        return [result(part) for part in value]
    return value.tobytes() if isinstance(value, np.ndarray) else value


TAKES_DATA = ("Sequential.fit", "Sequential.evaluate", "Sequential.predict",
              "Sequential.activations", "Sequential.gradients", "ensemble", "Ensemble.predict",
              "Ensemble.predictions", "Ensemble.spread", "Ensemble.evaluate")  # fmt: skip


@pytest.mark.parametrize("form", SAME)
@pytest.mark.parametrize("name", TAKES_DATA)
def test_the_same_numbers_in_another_form_give_the_same_bits(name, form, tmp_path):
    (entry,) = [entry for entry in ENTRIES if entry.name == name]
    expected = result(entry.call(**entry.arguments(tmp_path)))
    for argument in {"x", "y", "sample_weight"} & set(entry.arguments(tmp_path)):
        arguments = entry.arguments(tmp_path)
        given = arguments[argument]
        if form == "tuples" and given.ndim == 1:  # would have one column
            continue
        arguments[argument] = SAME[form](given, tmp_path)
        assert result(entry.call(**arguments)) == expected, argument


# ---- sizes that no machine has -------------------------------------------------------------------


@pytest.mark.parametrize("units", [[2**31 - 1] * 3, [2**31 - 1, 3], [10**6, 10**6]])
def test_a_network_larger_than_memory_is_a_memory_error(units):
    model = models.mlp(units, 3, 1)
    with pytest.raises(MemoryError, match=r"must fit into memory, .* Received: .* weights"):
        model.predict(entry_points.X)


HUGE = 10**30
ENORMOUS = {
    "batch_size": lambda: entry_points._fit(x=entry_points.X, y=entry_points.Y, batch_size=HUGE),
    "shards": lambda: entry_points._fit(x=entry_points.X, y=entry_points.Y, shards=HUGE),
    "threads": lambda: fastmlp.set_num_threads(HUGE),
    "many threads": lambda: fastmlp.set_num_threads(100_000),
    "units": lambda: models.mlp([HUGE], 3, 1),
    "n_inputs": lambda: models.mlp("3", HUGE, 1),
    "initial_step": lambda: optimizers.Adam(initial_step=HUGE),
    "seed of RandomNormal": lambda: initializers.RandomNormal(seed=HUGE)((2, 2)),
    "constant": lambda: initializers.Constant(1e300)((2, 2)),
    "members": lambda: entry_points._ensemble(
        x=entry_points.X, y=entry_points.Y, units="2", members=10**9
    ),
    "batch_size of a path": lambda: entry_points._path(
        x=entry_points.X, y=entry_points.Y, batch_size=HUGE
    ),
    "batch_size of a sweep": lambda: entry_points._sweep(
        x=entry_points.X, y=entry_points.Y, batch_size=HUGE
    ),
    "seed of a sweep": lambda: entry_points._sweep(x=entry_points.X, y=entry_points.Y, seed=HUGE),
}


@pytest.mark.parametrize("name", ENORMOUS)
def test_enormous_numbers_are_refused(name):
    with pytest.raises(ValueError, match="Received: "):
        ENORMOUS[name]()


@pytest.mark.parametrize("loss", ["rate", "penalty"])
def test_enormous_rates_and_penalties_end_as_a_diverged_run(loss):
    model = models.mlp("4", 3, 1, seed=1, l2=1e300 if loss == "penalty" else 0.0)
    model.compile(optimizers.Adam(1e300 if loss == "rate" else 0.001), "mse")
    with pytest.raises(errors.DivergedError, match="epoch 1"):
        model.fit(entry_points.X, entry_points.Y, verbose=0)
    assert all(np.isfinite(array).all() for array in model.get_weights())
