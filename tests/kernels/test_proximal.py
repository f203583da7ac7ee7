"""Proximal steps: exact zeros under L1, whole groups of them, and what a step is worth."""

import math

import numpy as np
import pytest
from scipy import optimize

from fastmlp._kernels import formulas

from ..support import networks, trainings
from ..support.sampling import sampled
from ..support.trainings import same_bits

L1 = {"l1": 3e-3, "proximal": True, "l2": 1e-3, "bias_l1": 1e-3, "bias_proximal": True}
PENALTIES = {"l1": L1, "units": {"group": 4e-3}, "inputs": {"group": 4e-3, "by_input": True}}
# Tiny, shallow, wide and narrow layers, and widths that fill no vector.
SHAPES = {
    "tiny": (1, [2, 1], ["relu", "linear"]),
    "shallow": (3, [20, 1], ["tanh", "linear"]),
    "one layer": (5, [8], ["linear"]),
    "odd": (7, [33, 17, 3], ["relu", "tanh", "linear"]),
    "narrow in the middle": (5, [70, 3, 40], ["elu", "relu", "linear"]),
}


def trained(make, dtype, shape, penalty, settings, epochs=40, **options):
    n_inputs, units, activations = SHAPES[shape]
    net = make(dtype)(n_inputs, units, activations)
    networks.draw_parameters(net, 1)
    net.configure(loss="mean_squared_error", **({"learning_rate": 0.01} | settings))
    for i in range(net.n_layers):
        net.set_penalty(i, **PENALTIES[penalty])
    x, y, _ = networks.draw_data(3, 40, n_inputs, units[-1], dtype=dtype)
    losses, _ = networks.train(net, x, y, epochs=epochs, **options)
    return net, losses, (x, y)


def zeros(net):
    return {k: v == 0 for k, v in networks.parameters(net).items() if k.startswith("weights")}


@pytest.mark.parametrize(
    ("shape", "optimizer", "penalty", "clip"),
    sampled(7, SHAPES, networks.OPTIMIZERS, PENALTIES, [{}, {"clip_norm": 0.5}]),
)
def test_kernels_agree_with_the_reference(shape, optimizer, penalty, clip):
    settings = networks.OPTIMIZERS[optimizer] | clip
    net, losses, _ = trained(networks.compiled, "float64", shape, penalty, settings, 25)
    other, expected, _ = trained(networks.reference, "float64", shape, penalty, settings, 25)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    found, wanted = networks.parameters(net), networks.parameters(other)
    for name in found:
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-9, err_msg=name)
    assert all(map(np.array_equal, zeros(net).values(), zeros(other).values()))
    assert net.penalty() == pytest.approx(other.penalty(), rel=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("shape", ["odd", "narrow in the middle"])
def test_float32_follows_float64(shape, penalty):
    """Weights end on the same zeros, but for those that stand at the edge."""
    settings = networks.OPTIMIZERS["adam"]
    single, _, _ = trained(networks.compiled, "float32", shape, penalty, settings)
    double, _, _ = trained(networks.compiled, "float64", shape, penalty, settings)
    for name, value in networks.parameters(double).items():
        np.testing.assert_allclose(networks.parameters(single)[name], value, atol=2e-3)
    share = np.mean(np.concatenate([z.ravel() for z in zeros(double).values()]))
    pairs = zip(zeros(single).values(), zeros(double).values(), strict=True)
    same = [np.mean(a == b) for a, b in pairs]
    assert 0.005 < share < 0.99 and min(same) > 0.98


@pytest.mark.parametrize("optimizer", networks.OPTIMIZERS)
def test_a_fixed_point_is_a_stationary_point_of_the_penalised_loss(optimizer):
    """Small steps end where gradient + lambda * sign is zero, or below lambda at a zero."""
    settings = networks.OPTIMIZERS[optimizer] | {"learning_rate": 0.02}
    if optimizer == "adamw":
        settings["weight_decay"] = 0.0  # no part of the loss
    rates = {"adagrad": 0.3, "sgd": 0.05}
    settings["learning_rate"] = rates.get(optimizer, 0.01)
    for penalty in PENALTIES:
        net, _, (x, y) = trained(
            networks.compiled, "float64", "one layer", penalty, settings, epochs=3000
        )
        net.learning_rate = settings["learning_rate"] / 100
        if "momentum" not in settings:  # at a constant rate it comes to rest by itself
            networks.train(net, x, y, epochs=3000)
        net.gradients(x, y, n_threads=1)
        w, g = np.array(net.weights(0)), np.array(net.weights_gradient(0))
        assert slack(w, g, PENALTIES[penalty]) < 2e-4, penalty


def slack(w, g, penalty):
    """How far w is from optimal, g the gradient of the smooth part."""
    if "l1" in penalty:
        rest = np.where(w != 0, np.abs(g + penalty["l1"] * np.sign(w)), np.abs(g) - penalty["l1"])
        return rest.max()
    axis = 1 if penalty.get("by_input") else 0
    c = penalty["group"] * math.sqrt(w.shape[axis])
    norm = np.linalg.norm(w, axis=axis, keepdims=True)
    inside = np.linalg.norm(g + c * w / np.where(norm > 0, norm, 1), axis=axis)
    return np.where(norm.ravel() > 0, inside, np.linalg.norm(g, axis=axis) - c).max()


@pytest.mark.parametrize("by_input", [False, True])
def test_group_shrink_minimises(by_input):
    """Against a general minimiser of sum(d * (w - z)**2) / 2 + c * ||w||."""
    rng = np.random.default_rng(0)
    z, d = rng.normal(size=(5, 4)), rng.uniform(0.1, 10, (5, 4))
    z[0] *= 0.01
    z[:, 0] *= 0.01
    w = z.copy()
    formulas.group_shrink(w, d, 3.0, by_input)
    groups = zip(*((a if by_input else a.T) for a in (w, z, d)), strict=True)
    n_zero = 0
    for found, start, metric in groups:
        c = 3.0 * math.sqrt(len(start))

        def value(v, start=start, metric=metric, c=c):
            return 0.5 * np.sum(metric * (v - start) ** 2) + c * np.linalg.norm(v)

        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 10000}
        best = optimize.minimize(value, start * 0.5, method="Nelder-Mead", options=options)
        assert value(found) <= best.fun + 1e-9
        n_zero += not found.any()
    assert 0 < n_zero < len(w if by_input else w.T)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", ["shallow", "low dimension", "wide", "clipped by norm", "dropout"])
def test_threads_and_skipping_do_not_change_bits(name, penalty, monkeypatch):
    case = trainings.CASES[name]
    large = {"l1": {"l1": 0.3}, "units": {"group": 0.3}, "inputs": {"group": 0.3}}

    def found(n_threads, skip):
        monkeypatch.setenv("FASTMLP_SKIP_DEAD", skip)
        net, data = trainings.build(name, "float32")
        for i in range(net.n_layers):
            net.set_penalty(i, **(PENALTIES[penalty] | large[penalty]))
            net.weights(i)[::7] *= np.float32(1e-3)
            net.weights(i)[:, ::7] *= np.float32(1e-3)
        losses, _ = networks.train(
            net, *data, epochs=3, n_metrics=len(networks.METRICS[case.loss]), n_threads=n_threads,
            batch_size=case.batch_size, shuffle=True, seed=7,
        )  # fmt: skip
        assert net.threads_used == n_threads
        return networks.parameters(net) | networks.slots(net) | {"losses": losses}

    first = found(1, "1")
    assert np.mean(np.concatenate([first[f"weights {i}"].ravel() for i in range(2)]) == 0) > 0.005
    for n_threads, skip in [(2, "1"), (3, "1"), (1, "0"), (2, "0")]:
        other = found(n_threads, skip)
        assert all(same_bits(first[key], other[key]) for key in first)


def test_stopping_anywhere_changes_no_loss():
    """The groups' norms are measured anew when a call begins, to the same bits."""
    _, losses, (x, y) = trained(networks.compiled, "float32", "odd", "units", {}, epochs=12)
    net, _, _ = trained(networks.compiled, "float32", "odd", "units", {}, epochs=1)
    again, _, _ = trained(networks.compiled, "float32", "odd", "units", {}, epochs=1)
    net.begin(x, y, batch_size=len(x), shuffle=False, seed=0)
    pieces = [float(networks.run(net, 1)[1][0]) for _ in range(11)]
    assert pieces == losses[1:].tolist()
    assert again.gradients(x, y, n_threads=1) == pytest.approx(losses[1], rel=1e-6)


def test_thresholds_are_bounded():
    """Weights of a unit whose gradients are zero shrink by 10 learning rates a step, no more."""
    net = networks.compiled("float64")(1, [2, 1], ["relu", "linear"])
    net.weights(0)[...] = [[1.0, 1.0]]
    net.bias(0)[...] = [-100.0, 0.5]  # the first unit is dead
    net.weights(1)[...] = [[1.0], [1.0]]
    for i in range(2):
        net.set_penalty(i, l1=0.01, proximal=True)
    net.configure(loss="mean_squared_error", learning_rate=0.001)
    x = np.linspace(0, 1, 20).reshape(-1, 1)
    networks.train(net, x, x + 0.5, epochs=30)
    assert net.weights(0)[0, 0] == pytest.approx(1 - 30 * 0.01)
    assert abs(net.weights(0)[0, 1] - 1) < 0.05
    networks.train(net, x, x + 0.5, epochs=71)
    assert net.weights(0)[0, 0] == 0 and net.weights(1)[0, 0] == 0


def test_the_steps_of_groups_are_bounded():
    """A group without gradients moves by 10 learning rates times the root of its size."""
    net = networks.compiled("float64")(2, [2, 1], ["relu", "linear"])
    net.weights(0)[...] = [[0.3, 1.0], [-0.4, 1.0]]
    net.bias(0)[...] = [-100.0, 0.5]
    net.weights(1)[...] = [[1.0], [1.0]]
    net.set_penalty(0, group=0.01)
    net.configure(loss="mean_squared_error", learning_rate=0.001)
    x, _, _ = networks.draw_data(0, 20, 2, 1)
    y = x[:, :1].copy()
    networks.train(net, x, y, epochs=20)
    left = 0.5 - 20 * 0.01 * math.sqrt(2)
    np.testing.assert_allclose(net.weights(0)[:, 0], [0.6 * left, -0.8 * left])
    networks.train(net, x, y, epochs=16)
    assert not net.weights(0)[:, 0].any() and net.weights(0)[:, 1].all()


def test_a_step_without_a_rate_changes_nothing():
    for penalty in PENALTIES:
        net, _, (x, y) = trained(networks.compiled, "float64", "odd", penalty, {}, epochs=2)
        before = networks.parameters(net)
        net.learning_rate = 0.0
        losses, _ = networks.train(net, x, y, epochs=2)
        assert trainings.same_bits(before["weights 0"], networks.parameters(net)["weights 0"])
        assert losses[0] == losses[1]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_divergence_is_noticed(penalty):
    n_inputs, units, activations = SHAPES["odd"]
    net = networks.compiled("float32")(n_inputs, units, activations)
    networks.draw_parameters(net, 1)
    net.configure(loss="mean_squared_error", optimizer="sgd", learning_rate=1e30)
    net.set_penalty(0, **PENALTIES[penalty])
    x, y, _ = networks.draw_data(3, 40, n_inputs, units[-1], dtype="float32")
    net.begin(x, y, batch_size=40, shuffle=False, seed=0)
    networks.run(net, 10)
    assert net.diverged is not None
