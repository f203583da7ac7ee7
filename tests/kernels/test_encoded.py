"""Inputs encoded piecewise linearly, of which only prefix sums of weights are ever formed."""

import hashlib
import itertools
import os
import sys
import warnings

import numpy as np
import pytest
from scipy import sparse

from fastmlp._kernels.formulas import piecewise_linear
from fastmlp._utils.arrays import input_rows

from ..support import networks
from ..support.rounding import assert_within
from ..support.sampling import sampled
from .test_network import Case, one_step

DTYPES = ("float32", "float64")
compiled_only = pytest.mark.skipif(networks.is_reference(), reason="the reference forms the bins")
# Edges of each column, widths, activations.
SHAPES = {
    "wide": ((9, 33, 0, 2, 5), [64, 3], ["silu", "linear"]),
    "rest": ((5, 2, 8), [100, 71, 2], ["relu", "tanh", "linear"]),
    "kept z": ((12, 0, 30), [130, 5], ["gelu", "softmax"]),
    "narrow first": ((7, 2), [3, 5], ["relu", "linear"]),
    "one unit": ((40, 0, 2), [1], ["linear"]),
    "one layer": ((6, 9), [4], ["sigmoid"]),
    "one number": ((32,), [9, 1], ["tanh", "linear"]),
    "no bins": ((0, 0, 0), [7, 1], ["elu", "linear"]),
    "many bins": ((400, 2, 257), [17, 2], ["softplus", "linear"]),
    "many columns": ((8,) * 60, [35, 1], ["leaky_relu", "linear"]),
    "large": ((30,) * 4, [500, 420, 1], ["relu", "relu", "linear"]),
}
# Rows, batch size, whether they are shuffled: a smaller last batch, parts, all rows, single rows.
BATCHES = [(101, 32, True), (280, 130, True), (40, 40, False), (9, 1, True)]
VARIANTS = {
    "plain": {},
    "dropout": {"dropout": 0.4},
    "l1 and l2": {"penalty": {"l1": 1e-3, "l2": 1e-2}},
    "proximal, clipped": {"penalty": {"l1": 1e-2, "proximal": True}, "clip_norm": 0.5},
    "groups of inputs": {"penalty": {"group": 1e-2, "by_input": True}},
    "groups of units": {"penalty": {"group": 1e-2}, "optimizer": "rmsprop"},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e-4},
    "arrays clipped": {"clip_array_norm": 0.1, "penalty": {"group": 1e-2, "by_input": True}},
    "adagrad, frozen": {"optimizer": "adagrad", "freeze": 0},
    "second layer frozen": {"optimizer": "adam", "freeze": 1},
    "decay, clipped": {"optimizer": "adamw", "weight_decay": 0.1, "clip_value": 0.01},
}


def built(shape, dtype, make=networks.compiled, dropout=0.0, penalty=None, freeze=None, **options):
    """Return a network on encoded inputs, and one that takes the encoding itself."""
    counts, units, activations = SHAPES[shape]
    encoding = networks.encoding(networks.draw_edges(counts), dtype)
    rates = [0.0, *[dropout] * (len(units) - 1)]
    net = make(dtype)(len(counts), units, activations, dropout=rates, encoding=encoding)
    formed = make(dtype)(int(encoding[0][-1]), units, activations, dropout=rates)
    networks.draw_parameters(net, 1)
    networks.copy_parameters(net, formed)
    for each in (net, formed):
        for i in range(net.n_layers):
            each.set_penalty(i, **(penalty or {}))
        each.configure(loss="mean_squared_error", **{"optimizer": "adam", **options})
        if freeze is not None and freeze < net.n_layers:
            each.freeze(freeze, True)
    return net, formed


def drawn(shape, n, dtype, seed=0):
    """Return numbers, their encoding, targets and weights of the rows."""
    counts, units, _ = SHAPES[shape]
    edges = networks.draw_edges(counts)
    x = networks.draw_numbers(seed, n, edges, dtype)
    rng = np.random.default_rng(seed)
    y, weight = rng.normal(size=(n, units[-1])).astype(dtype), rng.random(n).astype(dtype)
    return x, piecewise_linear(x, *networks.encoding(edges, dtype)), y, weight


def trained(net, x, y, weight=None, *, batch_size, n_threads=1, shuffle=True, epochs=3):
    """Return losses, parameters and moments after some epochs."""
    losses, _ = networks.train(net, x, y, weight, epochs=epochs, batch_size=batch_size,
                               shuffle=shuffle, seed=7, n_threads=n_threads)  # fmt: skip
    return {"losses": losses} | networks.parameters(net) | networks.slots(net)


def same(found, expected):
    return all(found[name].tobytes() == value.tobytes() for name, value in expected.items())


def all_zero(net):
    return not any(part.any() for part in net.padding())


def test_the_formula_forms_the_bins():
    first, lower, inverse = networks.encoding([[-1, 0, 2], [], [3, 5]], "float64")
    x = np.array([[-0.25, 7, 4], [1, 8, 5], [-3, 9, 6]])
    np.testing.assert_array_equal(
        piecewise_linear(x, first, lower, inverse),
        [[-0.25, 0.75, 0, 7, 4, 0.5], [1, 1, 0.5, 8, 5, 1], [-3, 0, 0, 9, 6, 1]],
    )


# ---- beside the reference, within rounding -------------------------------------------------------

# Edges of each column, two hidden widths, outputs, rows; widths around panels and vectors.
CASES = [
    ((5, 0, 2, 17), 1, 7, 1, 9),
    ((300, 2), 33, 16, 3, 40),
    ((2,), 2, 70, 5, 1),
    ((0, 0), 31, 9, 2, 17),
    ((9,) * 30, 64, 3, 10, 33),
    ((40, 3), 65, 66, 1, 300),
    ((4, 1 + 31), 70, 1, 4, 64),
    ((6, 7, 8), 15, 17, 40, 8),
    ((33,) * 4, 130, 20, 9, 31),
]


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


def case_of(index, dtype, **settings):
    counts, *units, n = CASES[index]
    shape = (len(counts), *units, n)
    return Case(shape, index, dtype, networks.draw_edges(counts, index), **settings)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_outputs_losses_and_gradients_on_bins(index, dtype):
    case = case_of(index, dtype)
    assert_within(networks.predict(case.net, case.x), case.bounds.a[-1], case.bounds.ea[-1])
    for i, (value, error) in enumerate(zip(case.bounds.a, case.bounds.ea, strict=True)):
        out = np.full(value.shape, np.nan, dtype)
        case.net.activations(case.x, i, out, n_threads=1)
        assert_within(out, value, error, f"layer {i}")
    exact, _ = case.ref.evaluate(*case.exact, n_threads=1)
    loss, _ = case.net.evaluate(case.x, case.y, case.weight, n_threads=1)
    assert abs(loss - exact) <= case.loss_error()
    value = case.net.gradients(case.x, case.y, case.weight, n_threads=1)
    assert abs(value - exact - case.ref.penalty()) <= case.loss_error()
    found = networks.gradients(case.net)
    for name, (expected, error) in case.gradient_bounds().items():
        assert_within(found[name], expected, error, name)
    assert case.net.gradients(case.x, n_threads=1) == pytest.approx(
        case.bounds.a[-1].sum(), abs=case.bounds.ea[-1].sum() + case.n * case.eps
    )


@pytest.mark.parametrize("start", ["fresh", "warm"])
@pytest.mark.parametrize("optimizer", networks.OPTIMIZERS)
def test_one_step_on_bins(optimizer, start, dtype):
    for index in range(len(CASES)):
        options = {"learning_rate": 0.1, **networks.OPTIMIZERS[optimizer]}
        one_step(case_of(index, dtype, **options), index, start)


@pytest.mark.parametrize("width", range(1, 71))
def test_every_width_on_bins(width, dtype):
    """A first layer of each width around the panels, alone and below another."""
    edges = networks.draw_edges((5, 0, 9), width)
    x = networks.draw_numbers(width, 37, edges, dtype)
    y = np.random.default_rng(width).normal(size=(37, max(width, 3))).astype(dtype)
    encoded = piecewise_linear(x, *networks.encoding(edges, dtype))
    for units in ([width], [width, 3]):
        names = ["linear"] if len(units) == 1 else ["tanh", "linear"]
        net = networks.compiled(dtype)(3, units, names, encoding=networks.encoding(edges, dtype))
        formed = networks.reference("float64")(encoded.shape[1], units, names)
        networks.draw_parameters(net, width)
        networks.copy_parameters(net, formed)
        for each in (net, formed):
            each.configure(loss="mean_squared_error")
            each.gradients(
                x if each is net else encoded.astype("float64"), y[:, : units[-1]].copy(),
                n_threads=1,
            )  # fmt: skip
        found, expected = networks.gradients(net), networks.gradients(formed)
        for name, value in expected.items():
            error = 200 * np.finfo(dtype).eps * np.abs(value).max()
            np.testing.assert_allclose(found[name], value, rtol=0, atol=error, err_msg=name)


@pytest.mark.parametrize("optimizer", networks.OPTIMIZERS)
@pytest.mark.parametrize("shape", ["wide", "one unit", "many bins", "one number"])
def test_training_follows_the_reference(shape, optimizer):
    penalty = {"l1": 3e-3, "l2": 1e-3, "proximal": True, "group": 3e-3, "by_input": True}
    options = {"penalty": penalty, "learning_rate": 0.01, **networks.OPTIMIZERS[optimizer]}
    found = []
    x, _, y, weight = drawn(shape, 50, "float64")
    for make in (networks.compiled, networks.reference):
        net, _ = built(shape, "float64", make, **options)
        found.append(trained(net, x, y, weight, batch_size=16, shuffle=False))
    for name in (name for name in found[1] if "slot" not in name):
        np.testing.assert_allclose(
            found[0][name], found[1][name], rtol=1e-8, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("shape", ["wide", "kept z", "one layer", "many bins"])
def test_gradients_are_slopes_of_the_loss(shape):
    net, _ = built(shape, "float64", penalty={"l2": 1e-2})
    x, _, y, weight = drawn(shape, 20, "float64")
    net.gradients(x, y, weight, n_threads=1)
    step, rng = 1e-5, np.random.default_rng(0)
    for i in range(net.n_layers):
        w, g = net.weights(i), np.array(net.weights_gradient(i))
        for k, j in zip(rng.integers(0, len(w), 25), rng.integers(0, len(w.T), 25), strict=True):
            values, before = [], w[k, j]
            for w[k, j] in (before + step, before - step):
                values.append(net.evaluate(x, y, weight, n_threads=1)[0] + net.penalty())
            w[k, j] = before
            slope = (values[0] - values[1]) / (2 * step)
            assert slope == pytest.approx(g[k, j], rel=1e-5, abs=1e-8)


def test_a_product_that_is_off_is_seen():
    """A negative control: ten times the bound at one number's bins."""
    case = case_of(1, "float32")
    value, error = case.bounds.a[0], case.bounds.ea[0]
    out = np.empty(value.shape, "float32")
    case.net.weights(0)[5, 0] += np.float32(10 * error[:, 0].max())
    case.net.activations(case.x, 0, out, n_threads=1)
    with pytest.raises(AssertionError, match="off; worst at"):
        assert_within(out, value, error)


# ---- beside a network that takes the encoding ----------------------------------------------------

PAIRS = list(itertools.product(SHAPES, VARIANTS))  # every seventh one by default


def compare(shape, variant, batches):
    n, batch_size, shuffle = batches
    x, encoded, y, weight = drawn(shape, n, "float64")
    if batch_size != 32:
        weight = None
    net, formed = built(shape, "float64", **VARIANTS[variant])
    options = {"batch_size": batch_size, "shuffle": shuffle}
    found = trained(net, x, y, weight, **options, n_threads=2)
    expected = trained(formed, encoded, y, weight, **options)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=1e-8, err_msg=name)
    assert "encoded" in net.ran and "encoded" not in formed.ran
    assert all_zero(net)


@compiled_only
@pytest.mark.parametrize(("shape", "variant"), PAIRS[::7])
def test_training_is_that_on_the_formed_bins(shape, variant):
    compare(shape, variant, BATCHES[PAIRS.index((shape, variant)) // 3 % 4])


@compiled_only
@pytest.mark.slow
@pytest.mark.parametrize(("shape", "variant"), PAIRS)
def test_any_training_is_that_on_the_formed_bins(shape, variant):
    for batches in BATCHES:
        compare(shape, variant, batches)


# ---- the same bits -------------------------------------------------------------------------------


SHAPES_MET = ("wide", "rest", "one unit", "many bins", "large")
VARIANTS_MET = ("plain", "groups of inputs", "proximal, clipped", "dropout")


@compiled_only
@pytest.mark.parametrize(
    ("shape", "variant", "dtype"), sampled(4, SHAPES_MET, VARIANTS_MET, DTYPES)
)
def test_threads_and_skipping_change_no_bit_on_bins(shape, variant, dtype, monkeypatch):
    x, _, y, _ = drawn(shape, 300, dtype)
    # 300 in parts, if the network is small
    for batch_size, epochs, counts in ((64, 1, (1, 2, 3, 8)), (300, 2, range(1, 9))):
        known = None
        for n_threads in counts:
            monkeypatch.setenv("FASTMLP_SKIP_DEAD", "10"[n_threads % 3 == 0])
            net, _ = built(shape, dtype, **VARIANTS[variant])
            net.bias(0)[::2] -= 30  # dead, if they are relu's
            found = trained(net, x, y, batch_size=batch_size, n_threads=n_threads, epochs=epochs)
            assert same(found, known or found)
            known = found
            assert net.threads_used == n_threads
            assert ("parts" in net.ran) == (batch_size == 300 and shape != "large")
            assert all_zero(net)


@compiled_only
@pytest.mark.parametrize("shape", ["wide", "one unit", "many bins", "large"])
def test_threads_change_no_bit_of_outputs_and_gradients_on_bins(shape, dtype):
    x, _, y, weight = drawn(shape, 150, dtype)
    net, _ = built(shape, dtype, penalty={"l1": 1e-3, "l2": 1e-3})

    def all_of(n_threads):
        options = {"n_threads": n_threads, "automatic": False}
        found = [networks.predict(net, x, **options)]
        found.append(np.zeros((150, len(net.bias(0))), dtype))
        net.activations(x, 0, found[-1], **options)
        found.append(np.array(net.evaluate(x, y, weight, **options)[0]))
        for given in ((x, y, weight), (x,)):
            found.append(np.array(net.gradients(*given, **options)))
            found += networks.gradients(net).values()
        return [array.tobytes() for array in found]

    known = all_of(1)
    assert all(all_of(n_threads) == known for n_threads in (1, 2, 3, 8))


@compiled_only
@pytest.mark.parametrize(("batch_size", "steps"), [(32, 5), (130, 1)])
def test_a_run_resumed_within_an_epoch_has_the_same_bits(batch_size, steps, dtype):
    x, _, y, _ = drawn("wide", 300, dtype)
    options = {"dropout": 0.3, "penalty": {"group": 1e-3, "by_input": True}}
    first, _ = built("wide", dtype, **options)
    expected = trained(first, x, y, batch_size=batch_size)
    begun, _ = built("wide", dtype, **options)
    begun.begin(x, y, batch_size=batch_size, shuffle=True, seed=7)
    networks.run(begun, 3, max_steps=steps)
    resumed, _ = built("wide", dtype, **options)
    networks.copy_parameters(begun, resumed)
    for slot, i in itertools.product(range(2), range(begun.n_layers)):
        resumed.weights_slot(slot, i)[...] = begun.weights_slot(slot, i)
        resumed.bias_slot(slot, i)[...] = begun.bias_slot(slot, i)
    resumed.begin(x, y, batch_size=batch_size, shuffle=True, seed=7)
    resumed.step, resumed.progress = begun.step, begun.progress
    _, losses, _ = networks.run(resumed, 3)
    found = {"losses": losses} | networks.parameters(resumed) | networks.slots(resumed)
    assert same(found, expected)


@compiled_only
def test_other_work_between_steps_changes_nothing_on_bins(dtype):
    """Predictions larger than a batch, with other weights, and gradients between two steps."""
    x, _, y, _ = drawn("wide", 101, dtype)
    found = []
    for busy in (False, True):
        for size, shuffle in ((32, True), (101, False)):
            net, _ = built("wide", dtype)
            net.begin(x, y, batch_size=size, shuffle=shuffle, seed=7)
            for _ in range(8):
                net.run(9, np.zeros(9), np.zeros((9, 0)), n_threads=2, max_steps=1)
                if busy:
                    net.keep()
                    net.weights(0)[...] *= 1e25  # of which nothing may be left
                    networks.predict(net, np.tile(x, (3, 1)), n_threads=3)
                    net.gradients(x[:7].copy(), y[:7].copy(), n_threads=1)
                    net.put_back()
            found.append(networks.parameters(net))
            assert all_zero(net)
    assert same(found[2], found[0]) and same(found[3], found[1])


@compiled_only
def test_steps_in_halves_and_in_parts_on_bins(dtype):
    x, encoded, y, _ = drawn("rest", 50, dtype)
    found = []
    for formed, n_threads in ((True, 1), (False, 1), (False, 3)):
        net = built("rest", dtype, dropout=0.3)[formed]
        given = encoded if formed else x
        options = {"n_threads": n_threads, "automatic": False}
        net.begin(given[:1], y[:1], batch_size=1, shuffle=False, seed=5)
        out = np.zeros((50, 2), dtype)
        net.train_forward(given, out, **options)
        networks.predict(net, given[:5])  # the batch goes forward again
        net.train_backward(out - y, **options)
        net.apply_gradients(n_threads=1)
        found.append([out, *networks.gradients(net).values(), *networks.parameters(net).values()])
        step = sys.modules[type(net).__module__].PartStep(net)
        step.begin(3)
        for level, part in enumerate((slice(0, 20), slice(20, 50))):
            step.forward(given[part], y[part], n_batch=50, first_row=part.start, **options)
            for i in range(net.n_layers - 1, -1, -1):
                step.backward(i, i, level=level, penalty=level == 0)
            views = step.gradient(level), step.slices
            found[-1] += [views[0][a:b].copy() for a, b in views[1][1:]]
        step.end()
    for a, b in zip(*found[1:], strict=True):
        assert a.tobytes() == b.tobytes()
    for a, b in zip(*found[:2], strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=(1e-11, 2e-3)[dtype == "float32"])


@compiled_only
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("batch_size", [20, 200])
def test_a_bad_weight_of_a_bin_that_no_number_reaches_is_noticed(bad, batch_size):
    counts = SHAPES["wide"][0]
    x, _, y, _ = drawn("wide", 200, "float32")
    x[:, 1] = -9  # below the bins
    net, _ = built("wide", "float32")
    net.weights(0)[counts[0] + counts[1] - 1, 0] = bad
    net.begin(x, y, batch_size=batch_size, shuffle=True, seed=1)
    networks.run(net, 2)
    assert net.diverged == (0, 0)


@compiled_only
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_trains_to_the_same_bits_on_bins():
    x, _, y, _ = drawn("wide", 300, "float32")
    net, _ = built("wide", "float32")
    trained(net, x, y, batch_size=130, n_threads=2, epochs=1)
    out, back = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    try:
        found = trained(net, x, y, batch_size=130, n_threads=2, epochs=2)
        digest = hashlib.sha256(b"".join(array.tobytes() for array in found.values())).digest()
        if child == 0:
            os.write(back, digest)
    finally:
        if child == 0:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(back)
    assert os.read(out, 99) == digest
    os.close(out)


# ---- work space, and what is refused -------------------------------------------------------------


def of_forty(n_edges, units):
    """Return a network on forty numbers with so many edges each, or without bins, and numbers."""
    edges = networks.draw_edges((n_edges,) * 40)
    encoding = networks.encoding(edges, "float32") if n_edges else None
    net = networks.compiled("float32")(40, units, ["tanh"] * len(units), encoding=encoding)
    net.configure(loss="mean_squared_error", optimizer="adam")
    return net, networks.draw_numbers(0, 4000, edges, "float32")


@compiled_only
@pytest.mark.parametrize("batch_size", [64, 500, 4000])
@pytest.mark.parametrize("units", [[8, 1], [300, 1], [700, 400, 1]])
@pytest.mark.parametrize("n_edges", [4, 60])
def test_the_need_that_is_worked_out_is_that_of_bins(n_edges, units, batch_size):
    net, x = of_forty(n_edges, units)
    held = net.nbytes
    needed = net.training_bytes(len(x), batch_size, n_threads=2, automatic=False)
    net.begin(x, x[:, :1].copy(), batch_size=batch_size, shuffle=True, seed=1)
    net.keep()
    networks.run(net, 1, n_threads=2, max_steps=1)
    grown = net.nbytes - held + 8 * len(x)
    net.end()
    assert 0.98 * grown - 200_000 < needed < 1.1 * grown + 600_000


@compiled_only
def test_work_space_grows_with_numbers_and_not_with_bins():
    spaces = []
    for n_edges in (0, 4, 60):
        net, x = of_forty(n_edges, [300, 1])
        weights = net.weights(0)
        sums = len(weights) * weights.strides[0] if n_edges else 0
        held = net.nbytes
        net.gradients(x, x[:, :1].copy(), n_threads=2)
        spaces.append(net.nbytes - held - (held - sums))  # without the gradient itself
    # Three columns and values a number, in the order of rows and in that of columns.
    assert 0 < spaces[1] - spaces[0] < 4000 * (3 * 40 * 16 + 64) + 50_000
    assert 0 <= spaces[2] - spaces[1] <= 8 * 40 * (60 - 4)


@compiled_only
def test_what_cannot_be_encoded_is_refused():
    make = networks.compiled("float32")
    first, lower, inverse = networks.encoding([[0, 1, 2], []], "float32")
    net = make(2, [3], ["linear"], encoding=(first, lower, inverse))
    rows = input_rows(sparse.csr_array(np.eye(9, 8, dtype="f4")), 8, np.dtype("f4"))
    many = make(8, [3], ["linear"], encoding=networks.encoding([[0, 1]] * 8, "float32"))
    many.configure(loss="mean_squared_error")
    for work in (
        lambda: many.predict(rows, np.zeros((9, 3), "f4"), n_threads=1),
        lambda: many.begin(rows, np.zeros((9, 3), "f4"), batch_size=9, shuffle=True, seed=0),
    ):
        with pytest.raises(ValueError, match="takes arrays, not sparse rows"):
            work()
    with pytest.raises(ValueError, match="cannot be dropped"):
        make(2, [3], ["linear"], dropout=[0.1], encoding=net.encoding)
    for wrong, message in (
        ((first[1:], lower, inverse), "first must have shape"),
        ((first + 1, lower, inverse), "must begin with 0"),
        ((np.array([0, 0, 4]), lower, inverse), "a column of its own"),
        ((first, lower[1:], inverse), "lower must have shape"),
        ((first, lower, inverse[1:]), "inverse must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            make(2, [3], ["linear"], encoding=wrong)
    assert not sys.modules[make.__module__].stackable(net)
