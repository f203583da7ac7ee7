"""Trainings against those of an independent framework: recorded ones, and live where it is."""

import numpy as np
import pytest

from fastmlp import _kernels

from ..data import make_golden

# Of parameters and losses, all near 1 or smaller.
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


@pytest.fixture(scope="module")
def golden():
    with np.load(make_golden.PATH) as file:
        return dict(file)


def build(problem, options, parameters, dtype):
    network = _kernels.network_class(dtype)
    net = network(problem["sizes"][0], problem["sizes"][1:], problem["activations"])
    delta = {"huber_delta": problem["huber_delta"]} if "huber_delta" in problem else {}
    net.configure(loss=problem["loss"], **options, **delta)
    for i, lambdas in enumerate(problem["penalties"]):
        net.set_penalty(i, *lambdas)
        net.weights(i)[...] = parameters[2 * i]
        net.bias(i)[...] = parameters[2 * i + 1]
    return net


def parameters_of(net, kind=""):
    names = [f"weights{kind}", f"bias{kind}"]
    return [np.array(getattr(net, name)(i)) for i in range(net.n_layers) for name in names]


def cast(arrays, dtype):
    return [None if a is None else np.ascontiguousarray(a, dtype) for a in arrays]


def train(net, x, y, weight, steps):
    net.begin(*cast((x, y, weight), net.dtype), batch_size=len(x), shuffle=False, seed=0)
    losses = np.zeros(steps)
    done = net.run(steps, losses, np.zeros((steps, 0)), n_threads=1, max_seconds=3600)
    assert done == steps
    return losses


def recorded_data(golden, name):
    """The data as they were where the file was made: (x, y, weight, parameters)."""
    x, y, weight, parameters = make_golden.draw(name)
    weights = [] if weight is None else [weight]
    stored = make_golden.unflat(golden[f"data/{name}"], [x, y, *weights, *parameters])
    for a, b in zip(stored, [x, y, *weights, *parameters], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    rest = stored[2:]
    return stored[0], stored[1], rest.pop(0) if weights else None, rest


def test_the_file_is_of_these_definitions(golden):
    assert str(golden["definitions"]) == make_golden.definitions()
    assert (len(make_golden.CASES), make_golden.STEPS) == (88, 50)
    assert len(golden) == 2 + len(make_golden.PROBLEMS) + 2 * len(make_golden.CASES)
    assert make_golden.PATH.stat().st_size < 300_000


@pytest.mark.reliability
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "optimizer"), make_golden.CASES)
def test_fifty_steps(name, optimizer, dtype, golden):
    x, y, weight, start = recorded_data(golden, name)
    problem, options = make_golden.PROBLEMS[name], make_golden.OPTIMIZERS[optimizer]
    net = build(problem, options, start, dtype)
    losses = train(net, x, y, weight, make_golden.STEPS)
    np.testing.assert_allclose(
        losses, golden[f"losses/{name}/{optimizer}"], rtol=0, atol=TOLERANCES[dtype]
    )
    expected = make_golden.unflat(golden[f"parameters/{name}/{optimizer}"], start)
    for i, (found, value) in enumerate(zip(parameters_of(net), expected, strict=True)):
        np.testing.assert_allclose(
            found, value, rtol=0, atol=TOLERANCES[dtype], err_msg=f"array {i}"
        )
    moved = max(np.abs(a - b).max() for a, b in zip(expected, start, strict=True))
    assert moved > 0.02, "nothing was trained"


@pytest.mark.reliability
@pytest.mark.frameworks
@pytest.mark.parametrize(("name", "optimizer"), make_golden.CASES)
def test_live(name, optimizer):
    """First gradients within 1e-12, a hundred steps within 1e-9, on data of other seeds."""
    pytest.importorskip("torch")
    problem, options = make_golden.PROBLEMS[name], make_golden.OPTIMIZERS[optimizer]
    for seed in (1, 2):
        x, y, weight, start = make_golden.draw(name, seed=seed, n=23)
        losses, expected, first = make_golden.train(
            problem, options, x, y, weight, start, steps=100
        )
        net = build(problem, options, start, "float64")
        net.gradients(*cast((x, y, weight), net.dtype), n_threads=1)
        for found, value in zip(parameters_of(net, "_gradient"), first, strict=True):
            np.testing.assert_allclose(found, value, rtol=0, atol=1e-12)
        np.testing.assert_allclose(train(net, x, y, weight, 100), losses, rtol=0, atol=1e-9)
        for found, value in zip(parameters_of(net), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=0, atol=1e-9)
