"""The number of threads of a training's steps, chosen by their time."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import models, threads
from fastmlp._training.thread_choice import ThreadChoice
from fastmlp.callbacks import LambdaCallback


def seconds_of(choice, pace, total=20.0, longest=0.1):
    """Run a simulated training of `total` seconds; return its seconds per step, and its sizes.

    `pace(n_threads, now)` is the seconds of a step.
    """
    now, steps, sizes = 0.0, 0, []
    while now < total:
        size, limit = choice.next_call(longest)
        took, done = 0.0, 0
        while not done or took < limit:
            took, done = took + pace(size, now + took), done + 1
        choice.took(done, took)
        now, steps = now + took, steps + done
        sizes.append(size)
    return now / steps, sizes


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setattr(threads, "resolve", lambda n=None: (4, True))


@pytest.mark.parametrize("step", [1e-5, 1e-3, 0.05, 1.0])
@pytest.mark.parametrize("best", [1, 2, 4])
def test_the_best_number_is_found_and_costs_little(four, step, best):
    times = {n: step * (1.0 if n == best else 1.6 * max(n, best) / min(n, best) / 2)
             for n in (1, 2, 4)}  # fmt: skip
    found, sizes = seconds_of(
        ThreadChoice(4, True), lambda n, now: times[n], total=max(20, 400 * step)
    )
    assert sizes[-1] == best
    assert found <= 1.05 * times[best]


def test_fewer_threads_win_a_draw(four):
    assert seconds_of(ThreadChoice(4, True), lambda n, now: 1e-3)[1][-1] == 1
    assert seconds_of(ThreadChoice(4, True), lambda n, now: 1e-3 / n)[1][-1] == 4


def test_a_process_that_comes_and_goes(four):
    def pace(n, now):
        busy = 5 <= now < 12
        return 1e-3 * {4: 3.0 if busy else 0.4, 2: 2.0 if busy else 0.6, 1: 1.0}[n]

    choice = ThreadChoice(4, True)
    _, sizes = seconds_of(choice, pace, total=5)
    assert sizes[-1] == 4
    _, sizes = seconds_of(choice, lambda n, now: pace(n, now + 5), total=7)
    assert sizes[-1] == 1 and sizes.count(1) > 0.6 * len(sizes)
    _, sizes = seconds_of(choice, lambda n, now: pace(n, now + 12), total=10)
    assert sizes[-1] == 4


def test_threads_that_have_slept_seem_fast_for_a_moment(four):
    awake = {"since": 0.0, "size": 1}

    def pace(n, now):  # the other process is not seen in the first 20 ms with more threads
        if n != awake["size"]:
            awake.update(since=now, size=n)
        return 1e-3 if n == 1 else 0.6e-3 if now - awake["since"] < 0.02 else 4e-3

    found, _ = seconds_of(ThreadChoice(2, True), pace, total=60)
    assert found <= 1.08e-3


def test_a_smaller_quota_counts_at_once_and_a_larger_one_again(four, monkeypatch):
    choice = ThreadChoice(4, True)
    fast = lambda n, now: 1e-3 / n  # noqa: E731
    assert seconds_of(choice, fast, total=3)[1][-1] == 4
    monkeypatch.setattr(threads, "resolve", lambda n=None: (1, True))
    assert seconds_of(choice, fast, total=3)[1][-1] == 1
    monkeypatch.setattr(threads, "resolve", lambda n=None: (4, True))
    assert seconds_of(choice, fast, total=5)[1][-1] == 4


@pytest.mark.parametrize("arguments", [(3, False), (1, True)])
def test_an_exact_number_stays(arguments):
    choice = ThreadChoice(*arguments)
    assert set(seconds_of(choice, lambda n, now: 1e-3, total=3)[1]) == {arguments[0]}
    assert choice.next_call(0.1) == (arguments[0], 0.1)


def test_weights_do_not_depend_on_what_is_chosen(monkeypatch):
    """However the number changes from one call to the next."""
    x = np.random.default_rng(0).normal(size=(300, 6)).astype("f4")

    def trained():
        model = models.mlp("70x2", 6, 1, l1=1e-4, seed=1)
        model.compile("adam", "mean_squared_error")
        each = LambdaCallback(on_train_batch_end=lambda batch, logs: None)  # a call for each step
        history = model.fit(x, x[:, :1], epochs=2, batch_size=64, callbacks=[each], verbose=0)
        return model.get_weights(), history.history["loss"]

    fastmlp.set_num_threads(1)
    weights, losses = trained()
    fastmlp.set_num_threads(None)
    turns = iter(range(1000))

    def next_call(self, longest):
        return 1 + next(turns) % 4, 1e-5

    monkeypatch.setattr(threads, "resolve", lambda n=None: (4, False))
    monkeypatch.setattr(ThreadChoice, "next_call", next_call)
    others, other_losses = trained()
    assert next(turns) > 4
    assert losses == other_losses
    for a, b in zip(weights, others, strict=True):
        assert a.tobytes() == b.tobytes()
