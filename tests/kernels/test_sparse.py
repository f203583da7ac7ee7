"""Inputs given by their nonzeros: the same bits as with an array of them, on any threads."""

import itertools
import sys

import numpy as np
import pytest
from scipy import sparse

from fastmlp._utils.arrays import input_rows

from ..support import networks

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="the reference takes arrays alone")
DTYPES = ("float32", "float64")
# n_inputs, widths, activations; the first layer is wide, has a rest, is narrow, or is the last.
SHAPES = {
    "wide": (300, [64, 3], ["relu", "linear"]),
    "rest": (37, [100, 71, 2], ["relu", "tanh", "linear"]),
    "kept z": (130, [130, 5], ["gelu", "softmax"]),
    "narrow first": (70, [3, 5], ["relu", "linear"]),
    "one unit": (500, [1], ["linear"]),
    "narrow alone": (61, [4], ["sigmoid"]),
    "few inputs": (5, [9, 1], ["tanh", "linear"]),
    "large": (500, [270, 70, 2], ["relu", "relu", "linear"]),
    "listed by tile": (300, [900, 850, 2], ["relu", "relu", "linear"]),
}


def drawn(n, n_inputs, dtype, density=0.05, seed=0):
    """Return an array with many zeros and some empty rows, its sparse rows, and targets."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((n, n_inputs)) < density, rng.normal(size=(n, n_inputs)), 0)
    x[:: max(2, n // 5)] = 0
    x = x.astype(dtype)
    rows = input_rows(sparse.csr_array(x), n_inputs, np.dtype(dtype))
    assert not isinstance(rows, np.ndarray)
    return x, rows, rng


def built(shape, dtype, dropout=0.0, penalty=None, freeze=False, **options):
    n_inputs, units, activations = SHAPES[shape]
    net = networks.compiled(dtype)(n_inputs, units, activations, dropout=[dropout] * len(units))
    networks.draw_parameters(net, 1)
    for i in range(net.n_layers):
        net.set_penalty(i, **(penalty or {}))
    net.configure(loss="mean_squared_error", **{"optimizer": "adam", **options})
    if freeze:
        net.freeze(0, True)
    return net


def trained(net, x, rng_seed, batch_size, n_threads, shuffle=True, weighted=False):
    """Return losses and parameters after three epochs, as bytes."""
    rng = np.random.default_rng(rng_seed)
    y = rng.normal(size=(len(x), net.n_outputs)).astype(net.dtype)
    weight = rng.random(len(x)).astype(net.dtype) if weighted else None
    net.begin(x, y, weight, batch_size=batch_size, shuffle=shuffle, seed=7)
    losses, done = np.zeros(3), 0
    while done < 3:
        left = losses[done:]
        done += net.run(
            3 - done, left, np.zeros((len(left), 0)), n_threads=n_threads, automatic=False
        )
    net.end()
    found = {name: value.tobytes() for name, value in networks.parameters(net).items()}
    slots = [net.weights_slot(slot, i).tobytes() for slot in (0, 1) for i in range(net.n_layers)]
    return losses.tobytes(), found, slots


def all_zero(net):
    return all(not part.any() for part in net.padding())


VARIANTS = {
    "plain": {},
    "dropout": {"dropout": 0.4},
    "l1 and l2": {"penalty": {"l1": 1e-3, "l2": 1e-2}},
    "proximal, clipped": {"penalty": {"l1": 1e-2, "proximal": True}, "clip_norm": 0.5},
    "groups of inputs": {"penalty": {"group": 1e-2, "by_input": True}},
    "groups of units": {"penalty": {"group": 1e-2}, "optimizer": "rmsprop"},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e-2},
    "adagrad, frozen": {"optimizer": "adagrad", "freeze": True},
    "decay": {"optimizer": "adamw", "weight_decay": 0.1, "clip_value": 0.01},
}


# Rows, batch size, whether they are shuffled: a smaller last batch, parts, all rows, single rows.
BATCHES = [(101, 32, True), (280, 130, True), (40, 40, False), (9, 1, True)]
CASES = list(itertools.product(SHAPES, VARIANTS))  # every second one by default


def compare(shape, variant, dtype, batches, threads):
    n, batch_size, shuffle = batches
    x, rows, _ = drawn(n, SHAPES[shape][0], dtype, 0.3 if shape == "few inputs" else 0.05)
    options = VARIANTS[variant]
    weighted = batch_size == 32
    expected = trained(built(shape, dtype, **options), x, 3, batch_size, 1, shuffle, weighted)
    for n_threads in threads:
        net = built(shape, dtype, **options)
        found = trained(net, rows, 3, batch_size, n_threads, shuffle, weighted)
        assert found == expected
        assert {"sparse", "parts"} & set(net.ran)
        assert all_zero(net)


@pytest.mark.parametrize(("shape", "variant"), CASES[::2])
def test_training_has_the_bits_of_an_array(shape, variant):
    number = CASES.index((shape, variant)) // 2
    compare(shape, variant, DTYPES[number % 2], BATCHES[number // 2 % 4], [2])


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "variant"), CASES)
def test_any_training_has_the_bits_of_an_array(shape, variant):
    for dtype, batches in itertools.product(DTYPES, BATCHES):
        compare(shape, variant, dtype, batches, [1, 3])


@pytest.mark.parametrize("shape", ["wide", "one unit"])
def test_threads_do_not_change_bits(shape):
    x, rows, _ = drawn(300, SHAPES[shape][0], "float32")
    known = trained(built(shape, "float32"), x, 1, 300, 1)
    for n_threads in range(1, 9):
        net = built(shape, "float32")
        assert trained(net, rows, 1, 300, n_threads) == known
        assert net.threads_used == n_threads


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_losses_and_gradients_have_the_bits_of_an_array(shape, dtype):
    x, rows, rng = drawn(150, SHAPES[shape][0], dtype, 0.3 if shape == "few inputs" else 0.05)
    net = built(shape, dtype, penalty={"l1": 1e-3, "l2": 1e-3})
    y = rng.normal(size=(150, net.n_outputs)).astype(dtype)
    weight = rng.random(150).astype(dtype)

    def all_of(x, n_threads):
        out = np.zeros((len(x), net.n_outputs), dtype)
        net.predict(x, out, n_threads=n_threads, automatic=False)
        first = np.zeros((len(x), len(net.bias(0))), dtype)
        net.activations(x, 0, first, n_threads=n_threads, automatic=False)
        values = net.evaluate(x, y, weight, n_threads=n_threads, automatic=False)
        loss = net.gradients(x, y, weight, n_threads=n_threads, automatic=False)
        found = {k: v.tobytes() for k, v in networks.gradients(net).items()}
        total = net.gradients(x, n_threads=n_threads, automatic=False)
        summed = {k: v.tobytes() for k, v in networks.gradients(net).items()}
        return out.tobytes(), first.tobytes(), values, loss, found, total, summed

    expected = all_of(x, 1)
    for n_threads in (1, 3):
        assert all_of(rows, n_threads) == expected
    assert all_of(x, 2) == expected, "arrays after sparse rows"


@pytest.mark.parametrize("shape", ["wide", "one unit", "few inputs"])
def test_rows_without_any_nonzero(shape):
    x = np.zeros((40, SHAPES[shape][0]), "float32")
    rows = input_rows(sparse.csr_array(x), x.shape[1], np.dtype("f4"))
    assert rows.nnz == 0
    expected = trained(built(shape, "float32"), x, 3, 16, 1)
    assert trained(built(shape, "float32"), rows, 3, 16, 2) == expected


def test_one_product_that_is_off_is_seen():
    """A negative control: the last bit of one value changes the weights."""
    x, rows, _ = drawn(101, 300, "float32")
    expected = trained(built("wide", "float32"), x, 3, 32, 1)
    at = rows.indptr[-1] // 2
    rows.data[at] = np.nextafter(rows.data[at], np.float32(9))
    assert trained(built("wide", "float32"), rows, 3, 32, 1)[1] != expected[1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_work_between_steps_changes_nothing(dtype):
    """Predictions of arrays and of sparse rows, larger than a batch, between two steps."""
    x, rows, rng = drawn(101, 300, dtype)
    y = rng.normal(size=(101, 3)).astype(dtype)
    found = []
    for given, others in ((x, ()), (rows, (x, rows)), (rows, (rows[:7], x[:3].copy()))):
        for size, shuffle in ((32, True), (101, False)):
            net = built("wide", dtype)
            net.begin(given, y, batch_size=size, shuffle=shuffle, seed=7)
            for _ in range(12):
                net.run(9, np.zeros(9), np.zeros((9, 0)), n_threads=2, max_steps=1)
                for other in others:
                    net.predict(other, np.zeros((len(other), 3), dtype), n_threads=1)
            found.append(networks.parameters(net))
    for k in range(2, 6):
        for name, value in found[k].items():
            assert value.tobytes() == found[k % 2][name].tobytes(), (k, name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_in_halves_and_in_parts(dtype):
    x, rows, rng = drawn(50, 300, dtype)
    y = rng.normal(size=(50, 3)).astype(dtype)
    found = []
    for given in (x, rows):
        net = built("wide", dtype, dropout=0.3)
        net.begin(given[:1], y[:1], batch_size=1, shuffle=False, seed=5)
        out = np.zeros((50, 3), dtype)
        net.train_forward(given, out, n_threads=2, automatic=False)
        net.predict(rows[:5], np.zeros((5, 3), dtype), n_threads=1)  # the batch goes forward again
        net.train_backward(out - y, n_threads=2, automatic=False)
        net.apply_gradients(n_threads=1)
        found.append((out, *networks.parameters(net).values()))

        step = sys.modules[type(net).__module__].PartStep(net)
        step.begin(3)
        for level, part in enumerate((slice(0, 20), slice(20, 50))):
            step.forward(given[part], y[part], n_batch=50, first_row=part.start, n_threads=2,
                         automatic=False)  # fmt: skip
            step.backward(net.n_layers - 1, 0, level=level, penalty=level == 0)
            found[-1] += (step.gradient(level).copy(),)
        step.end()
    for a, b in zip(*found, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_weight_of_an_input_that_is_always_zero_is_noticed(bad):
    x, rows, rng = drawn(40, 300, "float32")
    unused = int(np.flatnonzero(~x.any(axis=0))[0])
    y = rng.normal(size=(40, 3)).astype("float32")
    outcomes = []
    for given in (x, rows):
        net = built("wide", "float32")
        net.weights(0)[unused, 0] = bad
        net.begin(given, y, batch_size=20, shuffle=True, seed=1)
        net.run(2, np.zeros(2), np.zeros((2, 0)), n_threads=1)
        outcomes.append(net.diverged)
    assert outcomes[0] is not None
    assert outcomes[0] == outcomes[1]


def test_work_space_does_not_grow_with_the_inputs():
    """A batch of 500 rows of 20,000 inputs would take 40 MB as an array."""
    n, n_inputs, kept = 1000, 20_000, 20
    rng = np.random.default_rng(0)
    columns = rng.integers(0, n_inputs, n * kept)
    matrix = sparse.csr_array(
        (np.ones(n * kept, "f4"), columns, np.arange(n + 1) * kept), shape=(n, n_inputs)
    )
    rows = input_rows(matrix, n_inputs, np.dtype("f4"))
    net = networks.compiled("float32")(n_inputs, [16, 1], ["relu", "linear"], dropout=[0.5, 0])
    net.configure(loss="mean_squared_error")
    held = net.nbytes
    needed = net.training_bytes(n, 500, n_threads=2, automatic=False, x=rows)
    net.begin(rows, np.zeros((n, 1), "f4"), batch_size=500, shuffle=True, seed=1)
    net.keep()
    net.run(1, np.zeros(1), np.zeros((1, 0)), n_threads=2, automatic=False)
    net.end()
    grown = net.nbytes - held
    # Two moments and the copy, each as large as the padded weights, and work space.
    assert grown < 3 * held + 1_500_000
    assert 0.95 * grown - 200_000 < needed < 1.1 * grown + 600_000
    net.predict(rows, np.zeros((n, 1), "f4"), n_threads=2)
    assert net.nbytes - held < 3 * held + 2_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (10, 299)}, r"must have 300 columns"),
        ({"data": np.zeros(4)}, r"x.data must have shape"),
        ({"indices": np.zeros(4, np.int64)}, r"x.indices must have shape"),
        ({"indptr": np.zeros(11, np.int32)}, r"x.indptr must have shape"),
    ],
)
def test_arrays_of_another_kind_are_refused(change, message):
    class Rows:
        data = np.zeros(4, np.float32)
        indices = np.arange(4, dtype=np.int32)
        indptr = np.array([0, 4] + [4] * 9)
        shape = (10, 300)

        def __len__(self):
            return 10

    rows = Rows()
    net = built("wide", "float32")
    out = np.zeros((10, 3), np.float32)
    net.predict(rows, out, n_threads=1)
    for name, value in change.items():
        setattr(rows, name, value)
    with pytest.raises(ValueError, match=message):
        net.predict(rows, out, n_threads=1)
