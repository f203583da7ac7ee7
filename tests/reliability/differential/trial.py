"""One draw: trained by fastmlp in several ways and by `truth`, and compared."""

from __future__ import annotations

import contextlib
import importlib
import os
import time

import numpy as np

import fastmlp
from fastmlp import _kernels, layers, losses, models, optimizers, regularizers, schedules
from fastmlp._training import loop

from . import truth
from .draws import SEED, Draw

OPTIMIZERS = {
    "sgd": optimizers.SGD,
    "rmsprop": optimizers.RMSprop,
    "adagrad": optimizers.Adagrad,
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
}
SLOTS = {"rmsprop": (1,), "adagrad": (0,), "adam": (0, 1), "adamw": (0, 1)}
THREADS = (0.36, 0.26, 0.14, 0.12, 0.03, 0.03, 0.03, 0.03)  # shares of 1 to 8 threads
_OPEN = {  # how a variant of a training is made, in the order of its fields
    "isa": "FASTMLP_ISA",
    "skip": "FASTMLP_SKIP_DEAD",
    "order": "FASTMLP_ORDER",
}


class DifferenceError(AssertionError):
    """What a network and the truth, or two ways of training, do not agree on."""


def variants(draw):
    """Choose how to train: the first on one instruction set, with others that must have its bits.

    Returns two lists of dicts; those of the second are of the other instruction sets.
    """
    rng = np.random.default_rng([SEED, draw.number, 3])
    isas = [str(isa) for isa in rng.permutation(_kernels.supported_isas())]

    def variant(isa, skip, order, sliced=False):
        threads = int(rng.choice(np.arange(1, 9), p=THREADS))
        return {"isa": isa, "skip": skip, "order": order, "threads": threads, "sliced": sliced}

    first = [variant(isas[0], "1", "1")]
    first.append(variant(isas[0], *[("1", "0"), ("0", "1"), ("0", "0")][rng.integers(3)]))
    if draw.kind not in ("ordered", "large") or rng.random() < 0.5:
        first.append(variant(isas[0], "1", "1", sliced=True))
    return first, [variant(isa, "1", "1") for isa in isas[1:2]]


@contextlib.contextmanager
def conditions(variant):
    """Set threads, instruction set and switches for a while."""
    before = {name: os.environ.get(name) for name in _OPEN.values()}
    seconds = loop._CALL_SECONDS
    os.environ.update({name: variant[key] for key, name in _OPEN.items()})
    _kernels.isa.cache_clear()
    _kernels.network_class.cache_clear()
    fastmlp.set_num_threads(variant["threads"])
    loop._CALL_SECONDS = 0.0 if variant["sliced"] else seconds
    try:
        yield
    finally:
        loop._CALL_SECONDS = seconds
        fastmlp.set_num_threads(None)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        _kernels.isa.cache_clear()
        _kernels.network_class.cache_clear()


def log_cosh(y_true, y_pred):
    error = y_pred.astype(np.float64) - y_true
    return np.log(np.cosh(error)).mean(axis=1), np.tanh(error) / error.shape[1]


def _regularizer(pen):
    if pen["group"]:
        return regularizers.GroupL1(pen["group"], "inputs" if pen["by_input"] else "units")
    if pen["l1"] or pen["l2"]:
        return regularizers.L1L2(pen["l1"], pen["l2"], proximal=pen["proximal"])
    return None


def build(draw: Draw):
    """Return the compiled model of a draw."""
    chain = [] if draw.edges is None else [layers.PiecewiseLinear(edges=draw.edges)]
    for h, units in enumerate(draw.units):
        if draw.dropout[h]:
            chain.append(layers.Dropout(draw.dropout[h]))
        bias = draw.use_bias[h]
        chain.append(
            layers.Dense(
                units,
                draw.activations[h],
                use_bias=bias,
                kernel_regularizer=_regularizer(draw.penalties[2 * h]),
                bias_regularizer=_regularizer(draw.penalties[2 * h + 1]) if bias else None,
            )
        )
    model = models.Sequential(chain, seed=draw.seed, dtype=draw.dtype)
    model.build((None, draw.n_in))
    loss = {"huber": losses.Huber(draw.delta), "log_cosh": log_cosh}.get(draw.loss, draw.loss)
    model.compile(_optimizer(draw), loss, draw.metrics)
    arrays = draw.weights()
    used = [used for bias in draw.use_bias for used in (True, bias)]
    model.set_weights([a for a, wanted in zip(arrays, used, strict=True) if wanted])
    return model


def _optimizer(draw):
    options = dict(draw.optimizer["options"])
    if draw.schedule is not None:
        kind, arguments = draw.schedule
        options["learning_rate"] = getattr(schedules, kind)(**arguments)
    return OPTIMIZERS[draw.optimizer["name"]](**options, **draw.clip)


def slots_of(draw):
    if draw.optimizer["name"] == "sgd":
        return (0,) if draw.optimizer["options"]["momentum"] else ()
    return SLOTS[draw.optimizer["name"]]


def trained(draw, variant):
    """Train with fastmlp; return named arrays, and what the kernels say they went through."""
    x, y, weight = draw.data()
    with conditions(variant):
        if draw.kind == "stacked":
            return _trained_alone(draw, x, y, weight)
        model = build(draw)
        if variant["sliced"]:
            _use(model, draw, x, y)
        history = model.fit(
            x,
            y,
            batch_size=draw.batch,
            epochs=draw.epochs,
            shuffle=draw.shuffle,
            sample_weight=weight,
            shards=draw.shards,
            verbose=0,
        ).history
        network = model.network
        found = _arrays_of(network, slots_of(draw))
        found["outputs"] = model.predict(x, verbose=0)
        found["loss"] = np.array(history["loss"])
        for name in draw.metrics:
            found[f"metric {name}"] = np.array(history[name])
        _require_zero_padding(network)
        return found, set(network.ran)


def _use(model, draw, x, y):
    """Fill the work space with many rows and overflowing numbers, of which nothing may be left."""
    weights = model.get_weights()
    model.predict(np.concatenate([x, x]), verbose=0)
    if draw.loss != "log_cosh":
        for factor in (1e25, 1):  # the second time the stored gradient is all written anew
            model.set_weights([array * factor for array in weights])
            model.gradients(x, y)


def _arrays_of(network, slots):
    found = {}
    for h in range(network.n_layers):
        found[f"weights {h}"], found[f"biases {h}"] = network.weights(h), network.bias(h)
        for slot in slots:
            found[f"slot {slot} of weights {h}"] = network.weights_slot(slot, h)
            found[f"slot {slot} of biases {h}"] = network.bias_slot(slot, h)
    return {name: np.array(array) for name, array in found.items()}


def _require_zero_padding(network):
    for block in network.padding():
        if block.any():  # NaN is true
            raise DifferenceError("padding of parameters, moments or gradient is not zero")


# ---- many networks, a lane each ----


def _network(draw, module):
    network = module.Network(draw.n_in, draw.units, draw.activations, use_bias=draw.use_bias)
    options = dict(draw.optimizer["options"])
    if "initial_accumulator_value" in options:
        options["initial_accumulator"] = options.pop("initial_accumulator_value")
    network.configure(
        loss=draw.loss, optimizer=draw.optimizer["name"], huber_delta=draw.delta, **options
    )
    for h in range(len(draw.units)):
        w, b = draw.penalties[2 * h : 2 * h + 2]
        network.set_penalty(h, w["l1"], w["l2"], b["l1"], b["l2"])
    return network


def _module(draw):
    suffix = {"float32": "f32", "float64": "f64"}[draw.dtype]
    return importlib.import_module(f"fastmlp._kernels.network_{_kernels.isa()}_{suffix}")


def _session(draw):
    shuffle = draw.shuffle and draw.batch < draw.rows
    return {"batch_size": draw.batch, "shuffle": shuffle}


def _trained_alone(draw, x, y, weight):
    """Train a stack's first network by itself."""
    network = _network(draw, _module(draw))
    for h in range(len(draw.units)):
        network.weights(h)[...], network.bias(h)[...] = draw.weights()[2 * h : 2 * h + 2]
    network.begin(x, y, weight, **_session(draw), seed=draw.seed)
    lost, nothing = np.empty(draw.epochs), np.empty((draw.epochs, 0))
    n_threads = fastmlp.get_num_threads()
    network.run(draw.epochs, lost, nothing, n_threads=n_threads, automatic=False, max_seconds=1e9)
    found = _arrays_of(network, slots_of(draw)) | {"loss": lost}
    _require_zero_padding(network)
    return found, set(network.ran)


def stacked(draw, variant):
    """Train all networks of a stack; return the arrays of each, and the regimes."""
    x, y, weight = draw.data()
    with conditions(variant):
        module = _module(draw)
        members = min(draw.members, module.LANES)
        template = _network(draw, module)
        stack = module.Stack(template, members, module.LANES)
        weights = [draw.weights(i) for i in range(members)]
        for view, arrays in zip(stack.parameters(), zip(*weights, strict=True), strict=True):
            view[...] = arrays
        seeds = [draw.seed + i for i in range(members)]
        stack.begin(x, y, weight, **_session(draw), seeds=seeds)
        lost = np.empty((draw.epochs, module.LANES))
        stack.run(draw.epochs, lost, max_seconds=1e9)
        kinds = [("", stack.parameters())]
        kinds += [(f"slot {slot} of ", stack.slots(slot)) for slot in slots_of(draw)]
        found = [{"loss": lost[:, i].copy()} for i in range(members)]
        for i in range(members):
            for prefix, views in kinds:
                for j, view in enumerate(views):
                    name = f"{prefix}{'biases' if j % 2 else 'weights'} {j // 2}"
                    found[i][name] = np.ascontiguousarray(view[i])
        return found, set(stack.ran)


# ---- the truth, and comparing ----


def batches_of(draw, seed):
    """Return a function of the epoch: its batches, each an array of rows."""
    n, size = draw.rows, min(draw.batch, draw.rows)
    shuffle = draw.shuffle and size < n

    def plain(epoch):
        order = np.arange(n)
        if shuffle and draw.kind == "python":
            key = np.random.SeedSequence(seed, spawn_key=(epoch,))
            order = np.random.default_rng(key).permutation(n)
        elif shuffle:
            order = truth.shuffled(seed, epoch, n)
        return [order[i : i + size] for i in range(0, n, size)]

    def sharded(epoch):
        shards, starts = draw.shards, range(0, n, size)
        # Every batch takes its share of each shard; the first shards give one row more.
        shares = [
            [min(size, n - i) // shards + (k < min(size, n - i) % shards) for k in range(shards)]
            for i in starts
        ]
        parts, first = [], 0
        for k in range(shards):
            own = [share[k] for share in shares]
            rows = first + np.arange(sum(own))
            if shuffle:
                key = np.random.SeedSequence(seed, spawn_key=(epoch, k))
                rows = rows[np.random.default_rng(key).permutation(len(rows))]
            parts.append(np.split(rows, np.cumsum(own)[:-1]))
            first += sum(own)
        return [np.concatenate(batch) for batch in zip(*parts, strict=True)]

    return sharded if draw.shards else plain


def session_seed(draw):
    """Return the seed of order and dropout in a model's first call of fit."""
    if draw.kind == "stacked":
        return draw.seed
    sequence = np.random.SeedSequence([draw.seed], spawn_key=(1, 0))
    return int(sequence.generate_state(1, np.uint64)[0])


def expected(draw, member=0):
    """Train with `truth`; return named arrays with an axis of runs in front, and doubts."""
    seed = session_seed(draw) + member
    run = truth.Training(draw, draw.weights(member), seed)
    x, y, weight = draw.data()
    batches = batches_of(draw, seed)
    for epoch in range(draw.epochs):
        run.epoch(x, y, weight, batches(epoch))
    found, doubts = {"loss": np.stack(run.losses, axis=1)}, {}
    for i, parameter in enumerate(run.parameters):
        name = f"{('weights', 'biases')[i % 2]} {i // 2}"
        found[name] = parameter.w
        for slot in slots_of(draw):
            found[f"slot {slot} of {name}"] = (parameter.m, parameter.v)[slot]
    found["outputs"] = run.forward(x, False)[0]
    for j, name in enumerate(draw.metrics):
        found[f"metric {name}"] = np.stack([epoch[j] for epoch in run.metrics], axis=1)
        doubts[f"metric {name}"] = np.array([epoch[j] for epoch in run.doubts])
    doubts["loss"] = np.array([epoch[-1] for epoch in run.doubts])
    return found, doubts


def tolerances(draw, true, doubts):
    """Return for each array how far the network's may be from it."""
    eps = np.finfo(draw.dtype).eps
    apart = {}
    for name, a in true.items():
        scale = np.abs(a[0]).max(initial=0)
        if scale:
            apart[name] = truth.apart(a).max(initial=0) / scale
    share = 4 * eps + 0.3 * float(np.median(list(apart.values())))
    doubts = dict(doubts)
    for name in ("loss", *(name for name in true if name.startswith("metric"))):
        # Summed over the rows of a batch one by one, in double.
        summed = draw.batch * np.finfo(np.float64).eps * np.abs(true[name][0])
        doubts[name] = doubts.get(name, 0) + summed
    return {name: truth.tolerance(a, share) + doubts.get(name, 0) for name, a in true.items()}


def distance(found, true, allowed):
    """Return the largest distance in tolerances, and the name of the array."""
    worst, where = 0.0, ""
    for name, array in found.items():
        gap = np.abs(array.astype(np.float64) - true[name][0])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(gap == 0, 0, gap / allowed[name])
        ratio = float(np.max(np.where(np.isnan(ratios), np.inf, ratios), initial=0))
        if ratio > worst:
            worst, where = ratio, name
    return worst, where


def require_same(found, other, what):
    for name, array in found.items():
        if array.tobytes() != other[name].tobytes():
            gap = np.abs(array.astype(np.float64) - other[name]).max()
            raise DifferenceError(f"{name} of {what} differs by up to {gap:.3g}")


def labels(draw, ways):
    """Name what a draw reaches by being trained at all."""
    options, name = draw.optimizer["options"], draw.optimizer["name"]
    if name == "sgd" and options["momentum"]:
        name = "nesterov" if options["nesterov"] else "momentum"
    found = {f"type {draw.dtype}", f"loss {draw.loss}", f"optimizer {name}"}
    found |= {f"activation {activation}" for activation in draw.activations[:-1]}
    found |= {f"last activation {draw.activations[-1]}", f"batches of {draw.kind}"}
    found |= {f"metric {metric}" for metric in draw.metrics}
    if draw.schedule is not None:
        found.add(f"schedule {draw.schedule[0]}")
    for way in ways:
        found |= {f"isa {way['isa']}", f"threads {way['threads']}", f"skip {way['skip']}"}
        found |= {f"order {way['order']}"} | ({"sliced"} if way["sliced"] else set())
    for i, pen in enumerate(draw.penalties):
        where = "biases" if i % 2 else "weights"
        found |= {f"l2 of {where}"} if pen["l2"] else set()
        if pen["l1"]:
            found.add(f"{'proximal ' if pen['proximal'] else ''}l1 of {where}")
    return found


def attempt(draw):
    """Make all trainings of a draw and compare them.

    Returns
    -------
    dict
        'ran': names of regimes; 'ratio': the largest distance in tolerances, below 1; 'weak':
        whether rounding alone may take the weights as far as training did.

    Raises
    ------
    DifferenceError
        That names the draw and the array.
    """
    started = time.perf_counter()
    first, others = variants(draw)
    true, doubts = expected(draw)
    allowed = tolerances(draw, true, doubts)
    ratio, ran = 0.0, set()
    with _named(draw):
        base, reached = trained(draw, first[0])
        ran |= reached
        for way in first[1:]:
            found, reached = trained(draw, way)
            ran |= reached
            require_same(found, base, f"{way} beside {first[0]}")
        for found, way in [(base, first[0]), *((trained(draw, way)[0], way) for way in others)]:
            worst, where = distance(found, true, allowed)
            if not worst < 1:
                raise DifferenceError(f"{where} is {worst:.3g} tolerances from the truth on {way}")
            ratio = max(ratio, worst)
        if draw.kind == "stacked":
            ratio = max(ratio, _attempt_stack(draw, first[0], base, ran))
    moved = max(
        float(np.abs(true[f"weights {h}"][0] - draw.weights()[2 * h]).max())
        for h in range(len(draw.units))
    )
    bound = max(float(np.max(allowed[f"weights {h}"])) for h in range(len(draw.units)))
    return {
        "number": draw.number,
        "ran": sorted(ran | labels(draw, [*first, *others])),
        "ratio": round(ratio, 4),
        "weak": bool(bound > 0.1 * moved > 0),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _attempt_stack(draw, way, alone, ran):
    members, reached = stacked(draw, way)
    ran |= reached
    require_same(members[0], alone, "a stack beside the network alone")
    last = len(members) - 1
    true, doubts = expected(draw, last)
    worst, where = distance(members[last], true, tolerances(draw, true, doubts))
    if not worst < 1:
        raise DifferenceError(f"{where} of network {last} of a stack is {worst:.3g} tolerances off")
    return worst


@contextlib.contextmanager
def _named(draw):
    try:
        yield
    except DifferenceError as error:
        raise DifferenceError(f"draw {draw.number} ({draw.kind}, {draw.dtype}): {error}") from None
