"""The compiled network against the reference, number for number, within rounding."""

import numpy as np
import pytest

from fastmlp._kernels.formulas import ACTIVATIONS

from ..support import networks
from ..support.rounding import ULPS, Bounds, assert_within
from ..support.sampling import sampled

DTYPES = ("float32", "float64")
# 1, 2, odd, vector widths and their neighbours, large.
SIZES = (1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 105)
OUTPUTS = (*SIZES, 3, 4, 5, 10, 40)


def draw_cases(seed):
    """Each size once as inputs, units, outputs and batch, among sizes drawn for the rest."""
    rng = np.random.default_rng(seed)
    for dimension in range(5):
        for size in OUTPUTS if dimension == 3 else SIZES:
            shape = [int(rng.choice(SIZES)) for _ in range(5)]
            shape[3] = int(rng.choice(OUTPUTS))
            shape[dimension] = size
            yield tuple(shape)


CASES = list(draw_cases(0))


class Case:
    """A compiled network and its float64 twin with equal weights, and data."""

    def __init__(self, shape, index, dtype, edges=None, **settings):
        n_inputs, *units, self.n = shape
        loss, last = networks.PAIRS[index % len(networks.PAIRS)]
        names = [ACTIVATIONS[(index + i) % len(ACTIVATIONS)] for i in range(2)]
        if (loss, last, units[-1]) == ("categorical_crossentropy", "sigmoid", 1):
            last = "softmax"
        self.loss, self.delta = loss, 0.7
        use_bias = [True, index % 3 > 0, index % 4 > 0]
        make = (n_inputs, units, [*names, last])
        encodings = [networks.encoding(edges, d) for d in (dtype, "float64")]
        self.net = networks.compiled(dtype)(*make, use_bias=use_bias, encoding=encodings[0])
        self.ref = networks.reference("float64")(*make, use_bias=use_bias, encoding=encodings[1])
        settings = {"loss": loss, "huber_delta": self.delta} | settings
        lambdas = [(0.0, 0.0, 0.0, 0.0), (0.01, 0.0, 0.0, 0.02), (0.003, 0.02, 0.01, 0.0)]
        for net in (self.net, self.ref):
            net.configure(metrics=networks.METRICS[loss], **settings)
            for i in range(3):
                net.set_penalty(i, *lambdas[(index + i) % 3 if use_bias[i] else 0])
        networks.draw_parameters(self.net, index)
        for i in range(3):
            if not use_bias[i]:
                self.net.bias(i)[...] = 0
        networks.copy_parameters(self.net, self.ref)
        self.x, self.y, self.weight = networks.draw_data(
            index, self.n, n_inputs, units[-1], loss, dtype
        )
        if edges is not None:
            self.x = networks.draw_numbers(index, self.n, edges, dtype)
        self.eps = float(np.finfo(dtype).eps)
        self.bounds = Bounds(self.ref, self.x, self.eps)
        self.exact = [np.asarray(v, np.float64) for v in (self.x, self.y, self.weight)]

    def gradient_bounds(self, weight=True):
        _, y, w = self.exact
        found = self.bounds.loss_derivative(self.loss, y, w if weight else None, self.delta)
        return self.bounds.gradients(*found)

    def loss_error(self):
        """Error of the mean loss, given the errors of the last layer; to first order and a half."""
        _, y, w = self.exact
        z, a = self.bounds.z[-1], self.bounds.a[-1]
        dz = self.ref._loss_derivative(y, z, a, w)
        ez = self.bounds.ez[-1]
        curved = (ez**2).sum() + 10 * (np.abs(dz) * ez).sum()
        value = self.ref.evaluate(*self.exact, n_threads=1)[0]
        return curved + (ULPS + 4) * self.eps * (1 + abs(value) + self.ref.penalty())


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture(params=range(len(CASES)), ids=["-".join(map(str, c)) for c in CASES])
def case(request, dtype):
    return Case(CASES[request.param], request.param, dtype)


def test_it_is_what_it_says(dtype):
    net = networks.compiled(dtype)(3, [5, 2], ["relu", "linear"])
    assert net.dtype == dtype
    assert (net.n_layers, net.n_inputs, net.n_outputs) == (2, 3, 2)
    assert net.weights(0).shape == (3, 5)
    assert net.bias(1).shape == (2,)
    assert net.nbytes >= (3 * 5 + 5 + 5 * 2 + 2) * net.dtype.itemsize
    assert not any(p.any() for p in networks.parameters(net).values())


def test_forward(case):
    bounds = case.bounds
    found = networks.predict(case.net, case.x)
    assert_within(found, bounds.a[-1], bounds.ea[-1], "predict")
    for i in range(3):
        out = np.full(bounds.a[i].shape, np.nan, case.net.dtype)
        case.net.activations(case.x, i, out, n_threads=1)
        assert_within(out, bounds.a[i], bounds.ea[i], f"layer {i}")


def test_gradients(case):
    value = case.net.gradients(case.x, case.y, case.weight, n_threads=1)
    exact = case.ref.gradients(*case.exact, n_threads=1)
    assert abs(value - exact) <= case.loss_error()
    found = networks.gradients(case.net)
    for name, (expected, error) in case.gradient_bounds().items():
        assert_within(found[name], expected, error, name)


def test_gradients_of_the_summed_output(case):
    value = case.net.gradients(case.x, n_threads=1)
    bounds, last = case.bounds, case.net.n_layers - 1
    error = bounds.ea[-1].sum() + case.eps * np.abs(bounds.a[-1]).sum()
    assert abs(value - bounds.a[-1].sum()) <= error
    case.ref.gradients(case.exact[0], n_threads=1)
    found, expected = networks.gradients(case.net), networks.gradients(case.ref)
    name = f"weights {last}"  # the layers below are test_gradients' business
    size = np.abs(bounds.x[last]).T @ np.ones_like(bounds.a[-1])
    error = ULPS * (case.n + 4) * case.eps * size + 2 * bounds.ex[last].sum(0)[:, None]
    error = error + 2 * np.abs(bounds.x[last]).T @ bounds.ez[-1]
    assert_within(found[name], expected[name], error, name)


def test_evaluate(case):
    loss, metrics = case.net.evaluate(case.x, case.y, case.weight, n_threads=1)
    exact, exact_metrics = case.ref.evaluate(*case.exact, n_threads=1)
    assert abs(loss - exact) <= case.loss_error()
    assert len(metrics) == len(exact_metrics)
    p = case.bounds.a[-1]
    for name, value, expected in zip(
        networks.METRICS[case.loss], metrics, exact_metrics, strict=True
    ):
        if name.endswith("accuracy"):
            # An output may lie on the other side of a threshold only if it is next to it.
            margin = np.abs(p - 0.5) if name[0] == "b" else np.diff(np.sort(p, axis=1)[:, -2:])
            near = (margin <= 2 * case.bounds.ea[-1].max()).any(axis=1).sum()
            assert abs(value - expected) <= near / case.n + 1e-6
        else:
            assert value == pytest.approx(expected, rel=1e4 * case.eps, abs=1e3 * case.eps)
    unweighted, _ = case.net.evaluate(case.x, case.y, n_threads=1)
    ones = np.ones(case.n, case.net.dtype)
    assert case.net.evaluate(case.x, case.y, ones, n_threads=1)[0] == unweighted


def test_penalty(case):
    assert case.net.penalty() == pytest.approx(case.ref.penalty(), rel=1e-6, abs=1e-30)


def test_a_spoiled_output_is_noticed(dtype):
    case = Case((17, 16, 33, 5, 31), 4, dtype)
    found = networks.predict(case.net, case.x).astype(np.float64)
    value, error = case.bounds.a[-1], case.bounds.ea[-1]
    assert_within(found, value, error)
    found[30, 4] = value[30, 4] + 10 * error[30, 4]
    with pytest.raises(AssertionError, match=r"worst at \(.*30.*4.*\)"):
        assert_within(found, value, error)
    found[30, 4] = np.nan
    with pytest.raises(AssertionError, match="nan"):
        assert_within(found, value, error)


def step_bounds(case, gradient_bounds, slots, clip=None):
    """Return {name: (value, error)} of parameters and slots after one step."""
    ref, eps, found = case.ref, case.eps, {}
    ref.step = 1
    idle = ref._settings["optimizer"] in ("sgd", "rmsprop") and not ref._settings["momentum"]
    for name, (g, eg) in gradient_bounds.items():
        kind, i = name.split()
        if kind == "bias" and not ref._use_bias[int(i)]:
            continue
        w = networks.parameters(ref)[name]
        old = [slots[f"{kind} slot {s} {i}"].astype(np.float64) for s in range(2)]
        results = []
        for shifted in (g, g - eg, g + eg):
            arrays = [w.copy(), *(s.copy() for s in old)]
            ref._update(arrays[0], shifted, *arrays[1:])
            results.append(arrays)
        sizes = (
            np.abs(w) + np.abs(results[0][0] - w),
            np.abs(old[0]) + np.abs(results[0][1]) + np.abs(results[0][1] - old[0]),
            np.abs(old[1]) + np.abs(results[0][2]),
        )
        for k, (label, size) in enumerate(
            zip((name, f"{kind} slot 0 {i}", f"{kind} slot 1 {i}"), sizes, strict=True)
        ):
            if idle and k == 1:
                continue  # nobody says what is in a slot without a use
            value, low, high = (r[k] for r in results)
            moved = 2 * np.maximum(np.abs(low - value), np.abs(high - value))
            found[label] = (value, moved + ULPS * eps * size + 4 * np.finfo(np.float32).tiny)
    return found


STEPS = [(shape, i) for i, shape in enumerate(draw_cases(1)) if i % 4 == 0]


@pytest.mark.parametrize(("optimizer", "start"), sampled(2, networks.OPTIMIZERS, ["fresh", "warm"]))
def test_one_step(optimizer, start, dtype):
    for shape, index in STEPS:
        case = Case(shape, index, dtype, learning_rate=0.1, **networks.OPTIMIZERS[optimizer])
        one_step(case, index, start)


def one_step(case, index, start):
    rng = np.random.default_rng(index)
    for i in range(case.net.n_layers):
        for kind in ("weights", "bias"):
            for s in range(2):
                view = getattr(case.net, f"{kind}_slot")(s, i)
                if start == "warm":
                    view[...] = rng.uniform(0.01, 1, view.shape)
    slots = networks.slots(case.net)
    expected = step_bounds(case, case.gradient_bounds(), slots)
    losses, metrics = networks.train(
        case.net, case.x, case.y, case.weight,
        epochs=1, n_metrics=len(networks.METRICS[case.loss]),
    )  # fmt: skip
    exact, exact_metrics = case.ref.evaluate(*case.exact, n_threads=1)
    assert abs(losses[0] - exact - case.ref.penalty()) <= 2 * case.loss_error()
    assert case.net.batch_loss == pytest.approx(losses[0], rel=1e-14)
    assert (case.net.step, case.net.diverged) == (1, None)
    assert metrics.shape == (1, len(exact_metrics))
    found = networks.parameters(case.net) | networks.slots(case.net)
    for name, (value, error) in expected.items():
        assert_within(found[name], value, error, name)


@pytest.mark.parametrize("alive", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("width", [64, 67, 130])
def test_one_step_with_dead_units(width, alive, dtype):
    """Units that are off in every row may be left out, and must not be missed."""
    case = Case((5, width, width, 9, 21), 1, dtype, optimizer="adam", loss="mean_squared_error")
    make = (5, [width, width, 9], ["relu", "relu", "linear"])
    case.loss = "mean_squared_error"
    case.net, ref = networks.compiled(dtype)(*make), networks.reference("float64")(*make)
    for net in (case.net, ref):
        net.configure(loss=case.loss, optimizer="adam", metrics=["mean_squared_error"])
        net.set_penalty(1, l2=0.01)
    networks.draw_parameters(case.net, width)
    rng = np.random.default_rng(width)
    for i in range(2):
        case.net.bias(i)[rng.random(width) >= alive] = -30
    networks.copy_parameters(case.net, ref)
    case.ref = ref
    case.y = networks.draw_data(3, 21, 5, 9, case.loss, dtype)[1]
    case.exact[1] = case.y.astype(np.float64)
    case.bounds = Bounds(ref, case.x, case.eps)
    dead = (case.bounds.a[1] == 0).all(axis=0).mean()
    assert dead >= 0.9 if alive <= 0.05 else dead < 0.8
    expected = step_bounds(case, case.gradient_bounds(), networks.slots(case.net))
    networks.train(case.net, case.x, case.y, case.weight, epochs=1, n_metrics=1)
    found = networks.parameters(case.net) | networks.slots(case.net)
    for name, (value, error) in expected.items():
        assert_within(found[name], value, error, name)


CLIPS = [
    {},
    {"clip_norm": 0.5},
    {"clip_value": 0.1},
    {"clip_norm": 3.0, "clip_value": 0.2},
    {"clip_norm": 1e9},
    {"clip_array_norm": 0.7},
    {"clip_array_norm": 5.0, "clip_value": 0.2},
]


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("optimizer", networks.OPTIMIZERS)
def test_apply_gradients(optimizer, clip, dtype):
    """An update from a given gradient is good to the last digits, clipped or not."""
    settings = networks.OPTIMIZERS[optimizer] | clip
    case = Case((9, 17, 33, 3, 2), 7, dtype, learning_rate=0.1, **settings)
    rng = np.random.default_rng(0)
    given = {}
    for i in range(3):
        for kind in ("weights", "bias")[: 1 + case.ref._use_bias[i]]:
            view = getattr(case.net, f"{kind}_gradient")(i)
            view[...] = rng.normal(size=view.shape)
            getattr(case.ref, f"{kind}_gradient")(i)[...] = view
            given[f"{kind} {i}"] = np.array(view, np.float64)
    clipped = given
    if "clip_norm" in clip:
        norm = np.sqrt(sum((g**2).sum() for g in given.values()))
        clipped = {k: g * min(1.0, clip["clip_norm"] / norm) for k, g in clipped.items()}
    if "clip_array_norm" in clip:
        limits = {k: clip["clip_array_norm"] / np.linalg.norm(g) for k, g in given.items()}
        assert min(limits.values()) < 1
        clipped = {k: g * min(1.0, limits[k]) for k, g in given.items()}
    if "clip_value" in clip:
        limit = clip["clip_value"]
        clipped = {k: np.clip(g, -limit, limit) for k, g in clipped.items()}
        assert max(np.abs(g).max() for g in clipped.values()) == limit
    rounded = 4 * case.eps if clip else 0.0
    with_errors = {k: (g, rounded * np.abs(g)) for k, g in clipped.items()}
    expected = step_bounds(case, with_errors, networks.slots(case.net))
    case.net.apply_gradients(n_threads=1)
    assert case.net.step == 1
    found = networks.parameters(case.net) | networks.slots(case.net)
    for name, (value, error) in expected.items():
        assert_within(found[name], value, error, name)
    case.ref.step = 0
    case.ref.apply_gradients(n_threads=1)
    for name, value in networks.parameters(case.ref).items():
        assert_within(value, expected[name][0], expected[name][1], name)


@pytest.mark.parametrize(
    "clip", [{"clip_norm": 0.05}, {"clip_array_norm": 0.01}, {"clip_value": 2e-3}]
)
def test_training_clips_what_gradients_and_apply_would(clip, dtype):
    """run() with clipping is gradients() and apply_gradients(), penalty included."""
    options = {"optimizer": "sgd", "learning_rate": 0.5} | clip
    one, two = (Case((9, 17, 33, 3, 12), 8, dtype, **options) for _ in range(2))
    one.net.gradients(one.x, one.y, one.weight, n_threads=1)
    before = networks.parameters(one.net)
    one.net.apply_gradients(n_threads=1)
    n_metrics = len(networks.METRICS[two.loss])
    networks.train(two.net, two.x, two.y, two.weight, epochs=1, n_metrics=n_metrics)
    moved = 0.0
    for name, value in networks.parameters(two.net).items():
        expected = networks.parameters(one.net)[name]
        assert_within(value, expected.astype(np.float64), 1e3 * one.eps * (1 + np.abs(expected)))
        moved += ((expected - before[name]) ** 2).sum()
    if "clip_norm" in clip:
        assert np.sqrt(moved) == pytest.approx(0.5 * clip["clip_norm"], rel=1e-3)


def twins(dtype, optimizer, *, loss="mean_squared_error", last="linear", rate=0.01, metrics=()):
    """A compiled network, the reference in its dtype and in float64, with equal weights."""
    make = (3, [17, 9, 2], ["tanh", "softplus", last])
    nets = [networks.compiled(dtype)(*make)]
    nets += [networks.reference(d)(*make) for d in (dtype, "float64")]
    networks.draw_parameters(nets[0], 5)
    for net in nets:
        net.configure(
            loss=loss, metrics=metrics, learning_rate=rate, **networks.OPTIMIZERS[optimizer]
        )
        net.set_penalty(0, l2=0.003)
        net.set_penalty(1, l1=0.001, bias_l2=0.01)
        networks.copy_parameters(nets[0], net)
    return nets


def assert_as_good_as(nets, dtype):
    """The compiled network is as near to float64 as NumPy's float32, or next to equal to it."""
    found, same, exact = (networks.parameters(net) for net in nets)
    if dtype == "float64":
        for name, value in exact.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11, err_msg=name)
        return
    off = max(np.abs(same[name] - exact[name]).max() for name in exact)
    for name, value in exact.items():
        error = 10 * off + 100 * np.finfo(dtype).eps * np.abs(value)
        assert_within(found[name], value, error, name)


@pytest.mark.parametrize("optimizer", networks.OPTIMIZERS)
def test_a_hundred_steps(optimizer, dtype):
    nets = twins(dtype, optimizer)
    losses = []
    for net in nets:
        x, y, weight = networks.draw_data(5, 33, 3, 2, dtype=net.dtype)
        losses.append(networks.train(net, x, y, weight, epochs=100)[0])
        assert net.step == 100
    assert losses[2][-1] < 0.95 * losses[2][0]
    rtol = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(losses[0], losses[2], rtol=rtol)
    assert_as_good_as(nets, dtype)


@pytest.mark.parametrize(
    ("loss_last", "batch_size"),
    sampled(
        2,
        [
            ("huber", "linear"),
            ("binary_crossentropy", "sigmoid"),
            ("sparse_categorical_crossentropy", "softmax"),
        ],
        [1, 2, 7, 8, 16, 36],
    ),
)
def test_minibatches_in_order(loss_last, batch_size, dtype):
    loss, last = loss_last
    metrics = networks.METRICS[loss]
    nets = twins(dtype, "adam", loss=loss, last=last, rate=0.001, metrics=metrics)
    results = []
    for net in nets:
        x, y, weight = networks.draw_data(6, 37, 3, 2, loss, net.dtype)
        results.append(
            networks.train(
                net, x, y, weight, epochs=3, batch_size=batch_size, n_metrics=len(metrics)
            )
        )
        assert net.step == 3 * -(-37 // batch_size)
    for found, exact in zip(results[0], results[2], strict=True):
        rtol = 1e-10 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(found, exact, rtol=rtol)
    assert_as_good_as(nets, dtype)


def test_many_rows_go_through_in_blocks(dtype):
    case = Case((9, 33, 17, 3, 1001), 2, dtype)
    found = networks.predict(case.net, case.x)
    assert_within(found, case.bounds.a[-1], case.bounds.ea[-1])
    value, _ = case.net.evaluate(case.x, case.y, case.weight, n_threads=1)
    assert abs(value - case.ref.evaluate(*case.exact, n_threads=1)[0]) <= case.loss_error()
    case.net.gradients(case.x, case.y, case.weight, n_threads=1)
    found = networks.gradients(case.net)
    for name, (expected, error) in case.gradient_bounds().items():
        assert_within(found[name], expected, error, name)


@pytest.mark.parametrize("name", [a for a in ACTIVATIONS if a != "softmax"])
def test_activations_over_their_range(name, dtype):
    """One weight of 1: the activation itself, from -100 to 100, and its derivative."""
    net = networks.compiled(dtype)(1, [33], [name])
    net.weights(0)[...] = 1
    x = np.concatenate([np.linspace(-100, 100, 997), [0.0, -0.0, 1e-30, -1e-30, 700.0, -700.0]])
    x = np.ascontiguousarray(x[:, None], dtype=dtype)
    ref = networks.reference("float64")(1, [33], [name])
    ref.weights(0)[...] = 1
    exact, eps = x.astype(np.float64), np.finfo(dtype).eps
    a = networks.predict(ref, exact)
    assert_within(networks.predict(net, x), a, ULPS * eps * (1e-3 + np.abs(a) + np.abs(exact) * (
        name in ("gelu", "silu"))))  # fmt: skip
    for row in range(0, len(x), 41):
        net.gradients(x[row : row + 1], n_threads=1)
        ref.gradients(exact[row : row + 1], n_threads=1)
        expected = ref.bias_gradient(0)
        error = np.full(33, ULPS * eps * (1 + np.abs(exact[row]) * (name in ("gelu", "silu"))))
        assert_within(net.bias_gradient(0), expected, error, f"derivative at {x[row, 0]}")


def test_adagrad_needs_no_epsilon(dtype):
    """Its sums start above 0, in padding too: 0 / 0 there would pass for divergence."""
    nets = twins(dtype, "adagrad")
    for net in nets:
        net.configure(loss="mean_squared_error", optimizer="adagrad", epsilon=0.0)
        x, y, weight = networks.draw_data(5, 33, 3, 2, dtype=net.dtype)
        networks.train(net, x, y, weight, epochs=10)
    assert_as_good_as(nets, dtype)
