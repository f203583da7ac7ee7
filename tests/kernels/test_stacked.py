"""Stacks: networks side by side in a vector's lanes have the bits of each network alone."""

import importlib

import numpy as np
import pytest

from fastmlp import _kernels

ROWS, EPOCHS = 37, 12


def module_of(cls):
    return importlib.import_module(cls.__module__)


def modules(dtype):
    """Return every module of kernels that this processor runs, narrow vectors first."""
    suffix = {"float32": "f32", "float64": "f64"}[dtype]
    names = reversed(_kernels.supported_isas())
    return [importlib.import_module(f"fastmlp._kernels.network_{n}_{suffix}") for n in names]


def pairs(dtype):
    """Return modules of a stack with modules of the lone network: both fuse multiply-adds."""
    usable = modules(dtype)
    fused = [m for m in usable if "baseline" not in m.__name__]
    plain = [m for m in usable if "baseline" in m.__name__]
    return [(a, b) for a in fused for b in fused] + [(m, m) for m in plain]


PAIRS = [(dtype, *pair) for dtype in ("float32", "float64") for pair in pairs(dtype)]
IDS = [f"{a.__name__[25:]} as {b.__name__[25:]}" for _, a, b in PAIRS]


def make(module, n_in=1, hidden=16, n_out=1, activation="relu", last="linear", *, bias=True,
         penalties=(), dropout=0.0, **options):  # fmt: skip
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    network = module.Network(
        n_in,
        [*widths, n_out],
        [*[activation] * len(widths), last],
        use_bias=[*[True] * len(widths), bias],
        dropout=[*[0.0] * len(widths), dropout],
    )
    network.configure(**{"loss": "mean_squared_error", **options})
    for i, penalty in enumerate(penalties):
        network.set_penalty(i, *penalty)
    return network


def draw_weights(network, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.5, view.shape).astype(network.dtype) for view in parameters(network)]


def parameters(network):
    return [v for i in range(network.n_layers) for v in (network.weights(i), network.bias(i))]


def set_weights(network, arrays):
    for view, array in zip(parameters(network), arrays, strict=True):
        view[...] = array


def alone(make_network, weights, x, y, weight, batch_size, seed):
    """Train one network; return its parameters, moments, losses."""
    network = make_network()
    set_weights(network, weights)
    shuffle = batch_size < len(x)
    network.begin(x, y, weight, batch_size=batch_size, shuffle=shuffle, seed=seed)
    losses = np.empty(EPOCHS)
    metrics = np.empty((EPOCHS, 0))
    assert network.run(EPOCHS, losses, metrics, n_threads=1, max_seconds=3600) == EPOCHS
    arrays = parameters(network)
    moments = [
        v
        for slot in range(2)
        for i in range(network.n_layers)
        for v in (network.weights_slot(slot, i), network.bias_slot(slot, i))
    ]
    return [np.ascontiguousarray(a) for a in [*arrays, *moments]], losses


class Maker:
    """Makes networks of one kind, in any module."""

    def __init__(self, **options):
        self.options = options

    def of(self, module):
        maker = Maker(**self.options)
        maker.module = module
        return maker

    def __call__(self):
        return make(self.module, **self.options)


def compare(maker, stacker, lone, dtype, *, members=3, batch_size=ROWS, shared=True, weighted=False,
            classes=None, n_rows=ROWS):  # fmt: skip
    members = min(members, stacker.LANES)
    rng = np.random.default_rng(0)
    n_in, n_out = maker.options.get("n_in", 1), maker.options.get("n_out", 1)
    copies = 1 if shared else members
    x = rng.normal(0, 1, (copies, n_rows, n_in)).astype(dtype)
    if classes:
        sparse = maker.options["loss"].startswith("sparse")
        y = rng.integers(0, classes, (copies, n_rows, 1 if sparse else n_out)).astype(dtype)
    else:
        y = rng.normal(0, 1, (copies, n_rows, n_out)).astype(dtype)
    weight = rng.uniform(0, 2, (copies, n_rows)).astype(dtype) if weighted else None
    template = maker.of(stacker)()
    stack = stacker.Stack(template, members, lone.LANES)
    weights = [draw_weights(template, i) for i in range(members)]
    for view, arrays in zip(stack.parameters(), zip(*weights, strict=True), strict=True):
        view[...] = arrays

    def rows(array):
        return None if array is None else array[0] if shared else array

    seeds = [7 + i for i in range(members)]
    stack.begin(rows(x), rows(y), rows(weight), batch_size=batch_size, shuffle=batch_size < n_rows,
                seeds=seeds)  # fmt: skip
    losses = np.empty((EPOCHS, stacker.LANES))
    done = 0
    while done < EPOCHS:  # whatever the calls, the bits are the same
        done += stack.run(EPOCHS - done, losses[done:], max_seconds=1e-6)
    assert stack.epoch == EPOCHS
    assert stack.finite() == [True] * members
    found = [*stack.parameters(), *stack.slots(0), *stack.slots(1)]
    for i in range(members):
        own = i % copies
        expected, lone_losses = alone(
            maker.of(lone), weights[i], x[own], y[own], None if weight is None else weight[own],
            batch_size, seeds[i],
        )  # fmt: skip
        for a, b in zip(found, expected, strict=True):
            assert np.ascontiguousarray(a[i]).tobytes() == b.tobytes()
        assert losses[:, i].tobytes() == lone_losses.tobytes()


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize("hidden", [1, 5, 16, 40])
def test_widths_and_batches(dtype, stacker, lone, hidden):
    for n_in, batch_size in ((1, ROWS), (1, 5), (3, ROWS), (4, 16)):
        compare(
            Maker(n_in=n_in, hidden=max(hidden, 5) if n_in == 1 else hidden, optimizer="adam"),
            stacker,
            lone,
            dtype,
            batch_size=batch_size,
        )


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    "activation",
    ["linear", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus"],
)
def test_activations(dtype, stacker, lone, activation):
    compare(Maker(n_in=2, hidden=9, activation=activation, last=activation), stacker, lone, dtype)


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"optimizer": "rmsprop"},
        {"optimizer": "adagrad"},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "adam", "initial_step": 1},
    ],
)
def test_optimizers(dtype, stacker, lone, options):
    compare(Maker(**options), stacker, lone, dtype)


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    "penalties",
    [
        ((0.01, 0, 0, 0), (0, 0, 0, 0)),
        ((0, 0.1, 0.01, 0), (0, 0, 0, 0.02)),
        ((0, 0, 0, 0), (0.02, 0.01, 0.1, 0)),
        ((0.001, 0.01, 0, 0), (0.001, 0.01, 0, 0)),
    ],
)
def test_penalties(dtype, stacker, lone, penalties):
    for hidden, n_in, n_out in ((40, 1, 1), (70, 2, 3)):
        maker = Maker(hidden=hidden, n_in=n_in, n_out=n_out, penalties=penalties)
        compare(maker, stacker, lone, dtype)


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({"loss": "mean_absolute_error", "n_out": 2}, None),
        ({"loss": "huber", "huber_delta": 0.5}, None),
        ({"loss": "mean_squared_error", "n_out": 3}, None),
        ({"loss": "binary_crossentropy", "last": "sigmoid"}, 2),
        ({"loss": "binary_crossentropy", "last": "sigmoid", "n_out": 2}, 2),
        ({"loss": "poisson", "last": "softplus"}, 5),
    ],
)
def test_losses(dtype, stacker, lone, options, classes):
    compare(Maker(**options), stacker, lone, dtype, classes=classes)
    compare(
        Maker(**options), stacker, lone, dtype, classes=classes, shared=False, weighted=True,
        batch_size=8,
    )  # fmt: skip


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
def test_rows_of_ones_own_weights_and_no_bias(dtype, stacker, lone):
    for members in (1, stacker.LANES):
        compare(Maker(n_in=2), stacker, lone, dtype, shared=False, members=members)
        compare(Maker(n_in=2, bias=False), stacker, lone, dtype, weighted=True, batch_size=10)


DEEP = [(), (6,), (16, 16), (5, 9, 4), (33, 2, 17), (8, 8, 8, 8)]


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize("hidden", DEEP, ids=str)
def test_networks_of_any_depth(dtype, stacker, lone, hidden):
    for n_in, n_out, batch_size in ((1, 1, ROWS), (7, 1, 5), (6, 5, 18), (5, 3, ROWS)):
        maker = Maker(n_in=n_in, hidden=hidden, n_out=n_out)
        compare(maker, stacker, lone, dtype, batch_size=batch_size)


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize("batch_size", [128, 300, 1100])
def test_many_rows(dtype, stacker, lone, batch_size):
    """Then the gradient is that of some rows plus that of the next."""
    maker = Maker(n_in=5, hidden=(33, 17), n_out=2, penalties=[(1e-4, 1e-3)] * 3)
    assert maker.of(lone)().in_parts(batch_size)
    compare(maker, stacker, lone, dtype, batch_size=batch_size, n_rows=batch_size + 70)


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    "activation",
    ["linear", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus"],
)
def test_activations_of_deep_networks(dtype, stacker, lone, activation):
    maker = Maker(n_in=2, hidden=(9, 6, 3), activation=activation, last=activation)
    compare(maker, stacker, lone, dtype)
    compare(Maker(n_in=6, hidden=(7,), activation=activation), stacker, lone, dtype)


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    "penalties",
    [
        ((0.01, 0, 0, 0), (0, 0, 0, 0), (0.02, 0, 0, 0)),
        ((0, 0.1, 0.01, 0), (0, 0, 0, 0.02), (0, 0.1, 0.1, 0.1)),
        ((0, 0, 0, 0), (0.02, 0.01, 0.1, 0), (0, 0, 0, 0)),
    ],
)
def test_penalties_of_deep_networks(dtype, stacker, lone, penalties):
    for hidden, n_in, n_out in (((20, 70), 2, 1), ((9, 3), 7, 6), ((40, 17), 1, 3)):
        maker = Maker(hidden=hidden, n_in=n_in, n_out=n_out, penalties=penalties)
        compare(maker, stacker, lone, dtype)


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({"loss": "sparse_categorical_crossentropy", "last": "softmax"}, 4),
        ({"loss": "categorical_crossentropy", "last": "softmax"}, None),
        ({"loss": "mean_squared_error", "last": "softmax"}, None),
        ({"loss": "mean_squared_error"}, None),
        ({"loss": "binary_crossentropy", "last": "sigmoid"}, 2),
    ],
)
def test_losses_of_deep_networks(dtype, stacker, lone, options, classes):
    maker = Maker(n_in=3, hidden=(8, 6), n_out=4, **options)
    for batch_size in (ROWS, 8):
        compare(maker, stacker, lone, dtype, classes=classes, shared=False, weighted=True,
                batch_size=batch_size)  # fmt: skip


@pytest.mark.parametrize(("dtype", "stacker", "lone"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.01},
        {"optimizer": "adagrad"},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"bias": False},
    ],
)
def test_optimizers_of_deep_networks(dtype, stacker, lone, options):
    compare(Maker(n_in=5, hidden=(8, 4), **options), stacker, lone, dtype)


def test_a_network_that_diverges_is_noticed_and_leaves_the_others_alone():
    module = modules("float32")[-1]
    stack = module.Stack(make(module, optimizer="sgd", learning_rate=0.01), 3, module.LANES)
    x = np.linspace(-1, 1, ROWS, dtype="float32").reshape(-1, 1)
    for i, view in enumerate(stack.parameters()):
        view[...] = np.random.default_rng(i).normal(0, 0.3, view.shape)
        view[1] *= 1e15
    stack.begin(x, x, batch_size=ROWS, shuffle=False, seeds=[0, 0, 0])
    losses = np.empty((20, module.LANES))
    stack.run(20, losses, max_seconds=3600)
    assert stack.finite() == [True, False, True]
    assert np.isfinite(losses[:, [0, 2]]).all()
    assert not np.isfinite(losses[-1, 1])


def test_what_no_stack_can_hold_is_refused():
    module = modules("float32")[-1]
    assert module.stackable(make(module))
    wrong = [
        {"clip_array_norm": 1.0},
        {"dropout": 0.1},
        {"activation": "softmax"},
        {"n_out": 65},
        {"hidden": (400, 400)},
    ]
    for options in wrong:
        network = make(module, **options)
        assert not module.stackable(network)
        with pytest.raises(ValueError, match="small networks without dropout"):
            module.Stack(network, 1, module.LANES)
    with pytest.raises(ValueError, match="1 to"):
        module.Stack(make(module), module.LANES + 1, module.LANES)
    stack = module.Stack(make(module), 2, module.LANES)
    with pytest.raises(RuntimeError, match="begin"):
        stack.run(1, np.empty((1, module.LANES)))
    x = np.zeros((5, 1), "float32")
    with pytest.raises(ValueError, match="shape"):
        stack.begin(np.zeros((5, 2), "float32"), x, batch_size=5, shuffle=False, seeds=[0, 0])
    stack.begin(x, x, batch_size=5, shuffle=False, seeds=[0, 0])
    with pytest.raises(ValueError, match="room for"):
        stack.run(2, np.empty((1, module.LANES)))
