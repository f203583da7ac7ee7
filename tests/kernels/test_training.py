"""Sessions: stopping and resuming, order, dropout, divergence."""

import _thread
import threading

import numpy as np
import pytest

from ..support import networks
from ..support.networks import run
from ..support.sampling import sampled

KINDS = ["compiled", "reference"]
DTYPES = ("float32", "float64")


@pytest.fixture(params=KINDS)
def make(request):
    return getattr(networks, request.param)


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


def same_bits(a, b):
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


def state(net):
    return networks.parameters(net) | networks.slots(net)


METRICS = ("mean_absolute_error",)


class Trained:
    """A network in a session of 5 batches an epoch, shuffled and with dropout."""

    def __init__(self, make, dtype, optimizer="adam"):
        self.net = make(dtype)(3, [17, 9, 2], ["relu", "tanh", "linear"], dropout=[0, 0.3, 0.1])
        networks.draw_parameters(self.net, 3)
        self.net.configure(
            loss="mean_squared_error", metrics=METRICS, **networks.OPTIMIZERS[optimizer]
        )
        self.net.set_penalty(1, l1=1e-3, l2=1e-2)
        x, y, weight = networks.draw_data(4, 37, 3, 2, dtype=dtype)
        self.net.begin(x, y, weight, batch_size=8, shuffle=True, seed=11)

    def run(self, epochs, **limits):
        return run(self.net, epochs, len(METRICS), **limits)


@pytest.mark.parametrize("optimizer", networks.OPTIMIZERS)
def test_stopping_anywhere_changes_nothing(optimizer, make, dtype):
    whole = Trained(make, dtype, optimizer)
    ended, losses, metrics = whole.run(4)
    assert (ended, whole.net.epoch, whole.net.batch, whole.net.step) == (4, 4, 0, 20)
    assert losses[-1] != losses[0]
    pieces = Trained(make, dtype, optimizer)
    found = []
    for steps in (1, 1, 2, 3, 5, 7, 100):
        ended, *results = pieces.run(4 - len(found), max_steps=steps)
        found += list(zip(*results, strict=True))
        assert pieces.net.epoch == len(found) == pieces.net.step // 5
        assert pieces.net.batch == pieces.net.step % 5
    assert same_bits(state(pieces.net), state(whole.net))
    assert [float(loss) for loss, _ in found] == losses.tolist()
    assert np.array([m for _, m in found]).tolist() == metrics.tolist()


@pytest.mark.parametrize(("optimizer", "steps"), sampled(2, networks.OPTIMIZERS, [1, 5, 7, 14]))
def test_resuming_from_a_copy_has_the_same_bits(optimizer, steps, make, dtype):
    first = Trained(make, dtype, optimizer)
    first.run(4, max_steps=steps)
    saved = state(first.net), first.net.step, first.net.epoch, first.net.batch
    first.run(3)
    second = Trained(make, dtype, optimizer)
    for i in range(3):
        second.net.weights(i)[...] = saved[0][f"weights {i}"]
        second.net.bias(i)[...] = saved[0][f"bias {i}"]
        for s in range(2):
            second.net.weights_slot(s, i)[...] = saved[0][f"weights slot {s} {i}"]
            second.net.bias_slot(s, i)[...] = saved[0][f"bias slot {s} {i}"]
    second.net.step, second.net.epoch, second.net.batch = saved[1:]
    _, losses, _ = second.run(3)
    assert same_bits(state(second.net), state(first.net))
    assert (second.net.step, second.net.epoch) == (first.net.step, first.net.epoch)
    assert ((losses > 0.1) & (losses < 10)).all()


def test_the_loss_of_a_resumed_epoch_is_a_mean_over_its_own_rows(make, dtype):
    """Rows done before the resumption are not known here, and must not count as zeros."""
    net = make(dtype)(1, [1], ["linear"])
    net.configure(loss="mean_squared_error", metrics=METRICS, learning_rate=0.0)
    x, y = np.zeros((8, 1), dtype), np.full((8, 1), 2.0, dtype)
    net.begin(x, y, batch_size=2, shuffle=False, seed=0)
    net.batch = 3
    assert np.isnan(net.running_loss)
    ended, losses, metrics = run(net, 2, 1)
    assert (ended, losses.tolist(), metrics.tolist()) == (2, [4.0, 4.0], [[2.0], [2.0]])


def test_no_session_leaks_into_the_next(make, dtype):
    net = Trained(make, dtype).net
    run(net, 1, 1, max_steps=3)
    assert net.running_loss > 0
    again = Trained(make, dtype).net
    networks.copy_parameters(net, again)
    x, y, _ = networks.draw_data(9, 20, 3, 2, dtype=dtype)
    results = []
    for each in (net, again):
        each.configure(loss="mean_squared_error", metrics=METRICS, optimizer="adam")
        each.begin(x, y, batch_size=7, shuffle=True, seed=1)
        assert (each.epoch, each.batch, each.step) == (0, 0, 0)
        assert np.isnan(each.running_loss)
        results.append(np.concatenate([r.ravel() for r in run(each, 2, 1)[1:]]))
    assert results[0].tolist() == results[1].tolist()
    assert same_bits(state(net), state(again))


def test_time_limits_stop_inside_an_epoch(make):
    net = make("float32")(50, [200, 200, 1], ["relu", "relu", "linear"])
    networks.draw_parameters(net, 0)
    net.configure(loss="mean_squared_error")
    x, y, _ = networks.draw_data(0, 4000, 50, 1, dtype="float32")
    net.begin(x, y, batch_size=1, shuffle=True, seed=0)
    ended, losses, _ = run(net, 1, max_seconds=0.0)
    assert (ended, len(losses), net.epoch) == (0, 0, 0)
    assert 1 <= net.batch == net.step < 4000
    assert net.running_loss > 0


def test_the_learning_rate_may_change_on_the_way(make, dtype):
    trained = Trained(make, dtype)
    trained.run(1)
    before = networks.parameters(trained.net)
    trained.net.learning_rate = 0.0
    trained.run(1)
    assert same_bits(networks.parameters(trained.net), before)
    trained.net.learning_rate = 0.01
    trained.run(1)
    assert trained.net.learning_rate == 0.01
    assert not same_bits(networks.parameters(trained.net), before)


def test_configure_forgets_the_optimizer(make, dtype):
    trained = Trained(make, dtype)
    trained.run(1)
    assert trained.net.step == 5
    assert trained.net.weights_slot(1, 0).any()
    trained.net.configure(loss="huber", optimizer="adagrad", initial_accumulator=0.5)
    assert trained.net.step == 0
    assert (trained.net.weights_slot(0, 0) == 0.5).all()
    assert (trained.net.bias_slot(0, 2) == 0.5).all()
    assert not trained.net.weights_slot(1, 0).any()


def test_run_needs_a_session(make):
    net = Trained(make, "float32").net
    net.end()
    with pytest.raises(RuntimeError, match="begin"):
        run(net, 1, 1)


def test_an_interrupt_leaves_whole_steps(make):
    """Ctrl-C while training: the exception comes, and what was done are finished steps."""

    def session():
        net = make("float32")(20, [100, 100, 1], ["tanh", "tanh", "linear"])
        networks.draw_parameters(net, 0)
        net.configure(loss="mean_squared_error")
        x, y, _ = networks.draw_data(0, 500, 20, 1, dtype="float32")
        net.begin(x, y, batch_size=10, shuffle=True, seed=0)
        return net

    net = session()
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            run(net, 1000, max_seconds=0.05)
    timer.join()
    if networks.is_reference() or make is networks.reference:
        return  # an interrupt may come inside a step of the reference
    assert net.step == net.epoch * 50 + net.batch > 0
    again = session()
    run(again, 10**6, max_steps=net.step)
    assert same_bits(state(again), state(net))


# ---- order -------------------------------------------------------------------------------------


class OrderReader:
    """Reads which row a step used: with weights of 0 and rate 0 its loss is its target."""

    def __init__(self, make, n, seed):
        self.n = n
        self.net = make("float32")(1, [1], ["linear"])
        self.net.configure(loss="mean_absolute_error", optimizer="sgd", learning_rate=0.0)
        self.data = np.zeros((n, 1), "float32"), np.arange(n, dtype="float32")[:, None]
        self.net.begin(*self.data, batch_size=1, shuffle=True, seed=seed)

    def epoch(self, first=None):
        rows = []
        for _ in range(first or self.n):
            run(self.net, 1, max_steps=1)
            rows.append(int(self.net.batch_loss))
        return rows


@pytest.mark.parametrize("n", [1, 2, 3, 17, 100])
@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63 + 5])
def test_each_epoch_is_a_permutation_of_its_own(n, seed, make):
    reader = OrderReader(make, n, seed)
    orders = [reader.epoch() for _ in range(3)]
    assert all(sorted(order) == list(range(n)) for order in orders)
    if n > 10:
        assert len({tuple(order) for order in [*orders, range(n)]}) == 4
    again = OrderReader(make, n, seed)
    again.net.epoch = 2
    assert again.epoch() == orders[2]
    again.net.epoch = 1
    assert again.epoch() == orders[1]
    if n > 10:
        assert OrderReader(make, n, seed + 1).epoch() != orders[0]


def test_every_row_comes_first_equally_often(make):
    reader = OrderReader(make, 6, 3)
    counts = np.zeros(6)
    for epoch in range(600):
        reader.net.epoch, reader.net.batch = epoch, 0
        counts[reader.epoch(first=1)] += 1
    assert np.abs(counts - 100).max() < 5 * np.sqrt(600 * 1 / 6 * 5 / 6)


def test_without_shuffling_rows_come_as_they_are(make):
    reader = OrderReader(make, 9, 0)
    reader.net.begin(*reader.data, batch_size=1, shuffle=False, seed=0)
    assert [reader.epoch(), reader.epoch()] == [list(range(9))] * 2


# ---- dropout -----------------------------------------------------------------------------------


def dropped(make, rate, n_inputs, steps=1, seed=5, dtype="float64", n=1):
    """What dropout multiplied inputs of 1 with, step by step: (steps, n_inputs).

    With inputs 1, weights 0, one linear unit and targets -1/2, a weight's gradient is its
    input's factor.
    """
    net = make(dtype)(n_inputs, [1], ["linear"], dropout=[rate])
    net.configure(loss="mean_squared_error", optimizer="sgd", learning_rate=1.0)
    x, y = np.ones((n, n_inputs), dtype), np.full((n, 1), -0.5, dtype)
    net.begin(x, y, batch_size=n, shuffle=False, seed=seed)
    factors = []
    for _ in range(steps):
        net.weights(0)[...] = 0
        net.bias(0)[...] = 0
        run(net, 1, max_steps=1)
        factors.append(-np.array(net.weights(0)[:, 0]))
    return np.array(factors)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("n_inputs", [1, 7, 1000])
def test_dropout_keeps_the_mean(rate, n_inputs, make, dtype):
    factors = dropped(make, rate, n_inputs, steps=40, dtype=dtype)
    kept = factors != 0
    np.testing.assert_allclose(factors[kept], 1 / (1 - rate), rtol=1e-6)
    deviation = np.sqrt(rate * (1 - rate) / kept.size)
    assert abs(kept.mean() - (1 - rate)) < 5 * deviation + 1e-9


def test_dropout_differs_by_step_input_and_seed_alone(make):
    factors = dropped(make, 0.5, 200, steps=3)
    assert len({f.tobytes() for f in factors}) == 3
    assert dropped(make, 0.5, 200, steps=3).tobytes() == factors.tobytes()
    assert dropped(make, 0.5, 200, seed=6).tobytes() != factors[:1].tobytes()
    halves = factors[:, :100] != 0, factors[:, 100:] != 0
    assert abs((halves[0] == halves[1]).mean() - 0.5) < 5 * 0.5 / np.sqrt(300)


def test_dropout_differs_by_row(make):
    """Averaged over rows with masks of their own, factors take more than two values."""
    factors = dropped(make, 0.5, 300, n=4)
    assert len(np.unique(factors.round(9))) == 5


def test_dropout_is_for_training_alone(make, dtype):
    """All else sees whole layers; training without rates is training without dropout."""
    make_net = lambda rates: make(dtype)(3, [40, 2], ["relu", "linear"], dropout=rates)  # noqa: E731
    nets = [make_net([0.5, 0.5]), make_net(None), make_net([0.0, 0.0])]
    x, y, _ = networks.draw_data(0, 9, 3, 2, dtype=dtype)
    results = []
    for net in nets:
        networks.draw_parameters(net, 0)
        net.configure(loss="mean_squared_error")
        values = [networks.predict(net, x), np.array(net.evaluate(x, y, n_threads=1)[0])]
        net.gradients(x, y, n_threads=1)
        values += networks.gradients(net).values()
        results.append(b"".join(v.tobytes() for v in values))
        networks.train(net, x, y, epochs=2)
    assert results[0] == results[1] == results[2]
    assert same_bits(state(nets[1]), state(nets[2]))
    assert not same_bits(state(nets[0]), state(nets[1]))


# ---- divergence --------------------------------------------------------------------------------


def diverging(make, dtype, **settings):
    net = make(dtype)(3, [17, 9, 2], ["relu", "relu", "linear"])
    networks.draw_parameters(net, 1)
    net.configure(loss="mean_squared_error", **settings)
    x, y, _ = networks.draw_data(1, 33, 3, 2, dtype=dtype)
    net.begin(x, y, batch_size=33, shuffle=True, seed=1)
    return net


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_learning_rate_of_1e30_is_noticed(optimizer, make):
    net = diverging(make, "float32", optimizer=optimizer, learning_rate=1e30)
    assert net.diverged is None
    ended, losses, _ = run(net, 100)
    epoch, layer = net.diverged
    assert epoch == ended == net.epoch < 10
    assert -1 <= layer < 3
    assert np.isfinite(losses).all()
    steps = net.step
    assert run(net, 100)[0] == 0, "a diverged run goes nowhere"
    assert net.step == steps


def test_a_new_session_may_follow(make, dtype):
    net = diverging(make, dtype, optimizer="sgd", learning_rate=1e30)
    run(net, 100)
    assert net.diverged is not None
    networks.draw_parameters(net, 1)
    net.configure(loss="mean_squared_error", learning_rate=0.001)
    x, y, _ = networks.draw_data(1, 33, 3, 2, dtype=dtype)
    losses, _ = networks.train(net, x, y, epochs=3)
    assert net.diverged is None
    assert losses[2] < losses[0]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_moment_that_is_not_finite_names_its_layer(layer, make, dtype):
    """An infinite second moment stops a weight, so that the loss would never tell."""
    net = diverging(make, dtype, optimizer="adam")
    assert run(net, 2)[0] == 2
    assert net.finite() == -1
    net.weights_slot(1, layer)[0, 0] = np.inf
    assert net.finite() == layer
    assert run(net, 5)[0] == 0
    assert net.diverged == (2, layer)


def test_a_bias_counts_too(make, dtype):
    net = diverging(make, dtype, optimizer="rmsprop")
    net.bias_slot(1, 1)[8] = np.inf
    run(net, 5)
    assert net.diverged == (0, 1)


@pytest.mark.parametrize("where", ["weights", "data"])
def test_a_nan_stops_the_run(where, make, dtype):
    net = diverging(make, dtype)
    if where == "weights":
        net.weights(1)[0, 0] = np.nan
        assert net.finite() == 1
    else:
        x, y, _ = networks.draw_data(1, 33, 3, 2, dtype=dtype)
        y[7, 1] = np.nan
        net.begin(x, y, batch_size=10, shuffle=False, seed=1)
    assert run(net, 5)[0] == 0
    epoch, layer = net.diverged
    assert epoch == 0
    assert -1 <= layer < 3
