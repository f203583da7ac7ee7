"""Tasks that run at the same time: the bits of each alone, Ctrl-C, errors."""

import signal
import threading
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import callbacks, models, threads
from fastmlp._many import pool
from fastmlp._many.engines import engine
from fastmlp.errors import DataError


def data(n, k=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, k)), rng.standard_normal((n, 1))


def network(units="16", seed=1, n_inputs=3, l1=0.0):
    model = models.mlp(units, n_inputs, 1, seed=seed, l1=l1)
    model.compile(fastmlp.optimizers.Adam(0.01), "mse", ["mae"])
    return model


def fits(jobs):
    """Return tasks that train models, each with its rows and arguments."""
    return [
        lambda model=model, x=x, y=y, options=options: model.fit(x, y, verbose=0, **options)
        for model, x, y, options in jobs
    ]


def unlike_jobs():
    """Networks of other shapes, lambdas, rows and settings."""
    x, y = data(60)
    return [
        (network("16", 1), x, y, {"epochs": 30, "batch_size": 60}),
        (network("16", 2), x[10:], y[10:], {"epochs": 30, "batch_size": 7}),
        (network("64,8", 3, l1=0.01), x, y, {"epochs": 20, "validation_split": 0.2}),
        (network("8x3", 4), x, y, {"epochs": 50, "callbacks": callbacks.EarlyStopping("loss")}),
        (network("300", 5), x, y, {"epochs": 9, "sample_weight": np.arange(60.0) / 30}),
    ]


def all_bytes(model):
    return b"".join(array.tobytes() for array in model.get_weights())


@pytest.mark.parametrize("n_threads", [1, 2, 3, None])
def test_each_network_has_the_bits_it_has_alone(n_threads):
    alone = unlike_jobs()
    for task in fits(alone):
        task()
    together = unlike_jobs()
    ended = []
    histories = pool.run_many(fits(together), n_threads, on_done=ended.append)
    assert sorted(ended) == [0, 1, 2, 3, 4]
    for (a, *_), (b, *_), history in zip(alone, together, histories, strict=True):
        assert all_bytes(a) == all_bytes(b)
        assert history is b.history
        assert history.history == a.history.history


def test_large_networks_train_alone_with_all_threads():
    def note():
        return threads.resolve(), threading.current_thread() is threading.main_thread()

    found = pool.run_many([note] * 3, 3, alone=[False, True, False])
    assert found[1] == ((3, False), True)
    assert found[0] == found[2] == ((1, False), False)
    assert threads.worker.n_threads is None


def test_the_tasks_really_run_side_by_side():
    barrier = threading.Barrier(2)
    assert pool.run_many([barrier.wait, barrier.wait], 2) in ([0, 1], [1, 0])


def test_a_task_within_a_task_stays_in_its_thread():
    def outer():
        return threading.get_ident(), *pool.run_many([threads.resolve, threading.get_ident])

    for ident, resolved, inner in pool.run_many([outer, outer], 2):
        assert resolved == (1, False)
        assert ident == inner != threading.get_ident()


def test_ctrl_c_stops_every_network_and_keeps_what_it_learnt():
    x, y = data(50)
    jobs = [(network("16x2", i), x, y, {"epochs": 10**8}) for i in range(3)]
    handler = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            pool.run_many(fits(jobs), 2)
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert time.monotonic() - start < 20
    begun = [model.history for model, *_ in jobs if model.history is not None]
    assert len(begun) == 2
    for history in begun:
        assert history.interrupted and len(history.epoch) > 0
    assert np.isfinite(jobs[0][0].predict(x, verbose=0)).all()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_stops_the_others(n_threads):
    x, y = data(50)
    jobs = [
        (network("16", 1), x, y, {"epochs": 5}),
        (network("16", 2), x, y[:40], {"epochs": 5}),
        (network("16", 3), x, y, {"epochs": 10**8 if n_threads > 1 else 1}),
    ]
    with pytest.raises(DataError, match="50"):
        pool.run_many(fits(jobs), n_threads)


def test_no_tasks():
    assert pool.run_many([]) == []


def test_a_bad_number_of_threads_is_refused():
    with pytest.raises(ValueError, match="positive integer"):
        pool.run_many([], 0)


@pytest.mark.parametrize("alone", [True, False])
def test_progress_of_items_in_threads(alone):
    shown, results = [], {}

    def work(shared, item, progress):
        progress.note(item / 2)
        time.sleep(0.7)
        return shared + item

    with engine(None, None, 1) as threads_here:
        threads_here.run(work, 10, [1, 2], results.__setitem__, shown.append, [alone, alone])
    assert results == {0: 11, 1: 12}
    assert {0.5, 1.0} <= set(shown)  # of the item in work; finished ones are results
    assert shown[-1] == 0
