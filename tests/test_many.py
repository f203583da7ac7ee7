"""Networks that train side by side: the bits of each alone, Ctrl-C, errors."""

import signal
import threading
import time

import numpy as np
import pytest

import fastmlp
from fastmlp import callbacks, models, threads
from fastmlp._many import pool
from fastmlp.errors import DataError, DivergedError


def data(n, k=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, k)), rng.standard_normal((n, 1))


def network(units="16", seed=1, n_inputs=3, l1=0.0, rate=0.01):
    model = models.mlp(units, n_inputs, 1, seed=seed, l1=l1)
    model.compile(fastmlp.optimizers.Adam(rate), "mse", ["mae"])
    return model


def unlike_jobs():
    """Networks of other shapes, lambdas, rows and settings."""
    x, y = data(60)
    return [
        pool.Job(network("16", 1), x, y, {"epochs": 30, "batch_size": 60}),
        pool.Job(network("16", 2), x[10:], y[10:], {"epochs": 30, "batch_size": 7}),
        pool.Job(network("64,8", 3, l1=0.01), x, y, {"epochs": 20, "validation_split": 0.2}),
        pool.Job(
            network("8x3", 4), x, y, {"epochs": 50, "callbacks": callbacks.EarlyStopping("loss")}
        ),
        pool.Job(network("300", 5), x, y, {"epochs": 9, "sample_weight": np.arange(60.0) / 30}),
    ]


def all_bytes(model):
    return b"".join(array.tobytes() for array in model.get_weights())


@pytest.mark.parametrize("n_threads", [1, 2, 3, None])
def test_each_network_has_the_bits_it_has_alone(n_threads):
    alone = unlike_jobs()
    for job in alone:
        job.fit()
    together = unlike_jobs()
    ended = []
    histories = pool.fit_many(together, n_threads, on_done=ended.append)
    assert sorted(ended) == [0, 1, 2, 3, 4]
    for a, b, history in zip(alone, together, histories, strict=True):
        assert all_bytes(a.model) == all_bytes(b.model)
        assert history is b.model.history
        assert history.history == a.model.history.history


def test_large_networks_train_alone_with_all_threads(monkeypatch):
    monkeypatch.setattr(pool, "LARGE", 300)
    x, y = data(200)
    seen = {}

    class Note(callbacks.Callback):
        def on_train_end(self, logs=None):
            seen[self.model.name] = (
                threads.resolve(),
                threading.current_thread() is threading.main_thread(),
            )

    jobs = [
        pool.Job(network(units), x, y, {"epochs": 2, "callbacks": Note()})
        for units in ("4", "100", "5")
    ]
    pool.fit_many(jobs, 3)
    names = [job.model.name for job in jobs]
    assert seen[names[1]] == ((3, False), True)
    assert seen[names[0]] == seen[names[2]] == ((1, False), False)
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
    jobs = [pool.Job(network("16x2", i), x, y, {"epochs": 10**8}) for i in range(3)]
    handler = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            pool.fit_many(jobs, 2)
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert time.monotonic() - start < 20
    begun = [job.model.history for job in jobs if job.model.history is not None]
    assert len(begun) == 2
    for history in begun:
        assert history.interrupted and len(history.epoch) > 0
    assert np.isfinite(jobs[0].model.predict(x, verbose=0)).all()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_stops_the_others(n_threads):
    x, y = data(50)
    jobs = [
        pool.Job(network("16", 1), x, y, {"epochs": 5}),
        pool.Job(network("16", 2), x, y[:40], {"epochs": 5}),
        pool.Job(network("16", 3), x, y, {"epochs": 10**8 if n_threads > 1 else 1}),
    ]
    with pytest.raises(DataError, match="50"):
        pool.fit_many(jobs, n_threads)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_diverged_network_may_stay_among_the_results(n_threads):
    x, y = data(50)
    jobs = [
        pool.Job(network("16", 1), x, y, {"epochs": 5}),
        pool.Job(network("16x2", 2, rate=1e30), x, y, {"epochs": 500}),
    ]
    first, second = pool.fit_many(jobs, n_threads, keep_diverged=True)
    assert len(first.epoch) == 5
    assert isinstance(second, DivergedError)
    with pytest.raises(DivergedError):
        pool.fit_many([jobs[0], jobs[1]._replace(model=network("16x2", 2, rate=1e30))], n_threads)


def test_no_jobs_are_no_trouble():
    assert pool.fit_many([]) == []


def test_a_bad_number_of_threads_is_refused():
    with pytest.raises(ValueError, match="positive integer"):
        pool.run_many([], 0)
