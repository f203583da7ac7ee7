"""The final phase: conditions of an optimum under L1 and group penalties, and honest results."""

import itertools
import math
import signal

import numpy as np
import pytest

from fastmlp import layers, losses, models, optimizers, regularizers
from fastmlp._training import data
from fastmlp._training.polish import Minimiser, Objective, PolishResult
from fastmlp._utils.progress import ProgressLine

ACTIVATIONS = ("tanh", "softplus", "sigmoid", "gelu", "silu")
KINDS = {
    "l1": lambda v: regularizers.L1(v, proximal=True),
    "subgradient": regularizers.L1,
    "elastic net": lambda v: regularizers.L1L2(v, v / 10, proximal=True),
    "units": regularizers.GroupL1,
    "inputs": lambda v: regularizers.GroupL1(v, groups="inputs"),
}


def problem(seed, kind="l1", activation=None, epochs=400, dtype="float64"):
    """A network of 0 to 2 hidden layers, its rows, after some epochs of Adam."""
    rng = np.random.default_rng(seed)
    n, k, lam = int(rng.integers(60, 200)), int(rng.integers(2, 9)), 10 ** rng.uniform(-2.5, -1.5)
    units = [int(u) for u in rng.integers(4, 17, (0, 1, 1, 2)[seed % 4])]
    activation = activation or ACTIVATIONS[seed % 5]
    x = rng.normal(size=(n, k))
    f = np.sin(x[:, :1]) + 0.5 * x[:, :1] * x[:, 1:2] + 0.2 * rng.normal(size=(n, 1))
    y, last, width, loss = [
        (f, "linear", 1, "mean_squared_error"),
        ((f > 0).astype(float), "sigmoid", 1, "binary_crossentropy"),
        (np.digitize(f, [-0.5, 0.5]), "softmax", 3, "sparse_categorical_crossentropy"),
    ][seed % 3]
    model = models.Sequential([layers.Input((k,))], seed=seed, dtype=dtype)
    for width_hidden in units:
        model.add(layers.Dense(width_hidden, activation, kernel_regularizer=KINDS[kind](lam)))
    model.add(layers.Dense(width, last, kernel_regularizer=KINDS[kind](lam)))
    model.compile(optimizers.Adam(0.01), loss)
    model.fit(x, y, batch_size=n, epochs=epochs, verbose=0)
    return model, x, y


def slack(model, x, y):
    """The conditions of an optimum, from the public gradients and the weights alone."""
    worst = 0.0
    for layer, (dw, db) in zip(model.dense_layers, model.gradients(x, y), strict=True):
        w, penalty = layer.get_weights()[0], layer.kernel_regularizer
        smooth = dw - penalty.subgradient(w) if penalty.proximal else dw - penalty.l1 * np.sign(w)
        worst = max(worst, np.abs(db).max())
        if not penalty.group:
            inside = np.abs(smooth + penalty.l1 * np.sign(w))
            worst = max(worst, np.where(w != 0, inside, np.abs(smooth) - penalty.l1).max())
            continue
        axis = 1 if penalty.groups == "inputs" else 0
        c = penalty.group * math.sqrt(w.shape[axis])
        alive = w.any(axis=axis)
        inside = np.linalg.norm(smooth + penalty.subgradient(w), axis=axis)
        outside = np.linalg.norm(smooth, axis=axis) - c
        worst = max(worst, np.where(alive, inside, outside).max())
    return worst


# Six meet every depth and activation; the other fourteen differ in size and penalty.
@pytest.mark.reliability
@pytest.mark.parametrize(
    "seed", [pytest.param(i, marks=[pytest.mark.slow] if i > 5 else []) for i in range(20)]
)
def test_l1_reaches_the_conditions_of_an_optimum(seed):
    model, x, y = problem(seed)
    before = model.evaluate(x, y, verbose=0)
    result = model.polish(x, y)
    assert result.converged and result.slack <= 1e-6
    assert slack(model, x, y) <= 1.01e-6
    assert result.slack == pytest.approx(max(slack(model, x, y), 0), abs=1e-12)
    assert result.loss == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-12)
    assert result.loss <= before


@pytest.mark.parametrize("kind", ["subgradient", "elastic net", "units", "inputs"])
@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(i, marks=pytest.mark.slow) for i in (6, 15))]
)
def test_other_penalties(kind, seed):
    model, x, y = problem(seed, kind)
    result = model.polish(x, y)
    assert result.converged, result
    assert slack(model, x, y) <= 1.01e-6
    weights = [layer.get_weights()[0] for layer in model.dense_layers]
    assert any((w == 0).any() for w in weights)
    if kind in ("units", "inputs"):
        axis = 1 if kind == "inputs" else 0
        assert any(not w.any(axis=axis).all() for w in weights)


def test_a_linear_model_is_the_lasso():
    """scikit-learn's Lasso has half the mean squared error in its objective."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 10))
    y = x[:, :3] @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=80)
    model = models.Sequential(
        [layers.Dense(1, kernel_regularizer=regularizers.L1(0.2), input_shape=(10,))],
        dtype="float64",
    )
    model.compile("adam", "mse")
    result = model.polish(x, y, tol=1e-10)
    expected = linear_model.Lasso(alpha=0.1, tol=1e-14, max_iter=100000).fit(x, y)
    assert result.converged
    np.testing.assert_allclose(model.get_weights()[0][:, 0], expected.coef_, atol=1e-9)
    assert np.array_equal(model.get_weights()[0][:, 0] == 0, expected.coef_ == 0)


def test_sample_weights_and_a_second_call():
    model, x, y = problem(1)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(x))
    assert model.polish(x, y, sample_weight=weight).converged
    again = model.polish(x, y, sample_weight=weight)
    assert again.n_iter == 0 and again.converged
    assert again.loss == pytest.approx(model.evaluate(x, y, sample_weight=weight, verbose=0))


def test_rows_go_through_in_pieces(monkeypatch):
    from fastmlp._training import polish

    model, x, y = problem(2)
    objective = Objective(model, data.checked(model, x, y, None))
    w = objective.read()
    value, gradient = objective.smooth(w)
    monkeypatch.setattr(polish, "_WORK", 0)
    pieces = objective.smooth(w)
    assert len(x) > 64
    assert pieces[0] == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(pieces[1], gradient, atol=1e-15)
    assert value + objective.penalty(w) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-12)


@pytest.mark.parametrize("kind", ["l1", "units", "inputs"])
def test_the_proximal_step_minimises(kind):
    model, x, y = problem(3, kind, epochs=1)
    objective = Objective(model, data.checked(model, x, y, None))
    rng = np.random.default_rng(0)
    z = rng.normal(size=len(objective.l1)) * 0.1
    w = objective.proximal(z, 0.5)

    def value(v):
        return ((v - z) ** 2).sum() / (2 * 0.5) + objective.penalty(v)

    for size in (1e-1, 1e-3, 1e-5):
        for _ in range(20):
            assert value(w) < value(w + size * rng.normal(size=len(w)))


def test_float32_is_polished_in_float64_and_rounded():
    model, x, y = problem(1, dtype="float32")
    result = model.polish(x, y)
    assert result.converged
    double = models.Sequential.from_config({**model.get_config(), "dtype": "float64"})
    double.compile("adam", model.loss)
    double.set_weights(model.get_weights())
    assert slack(double, x.astype(np.float32), y) <= 1.01e-5
    assert np.count_nonzero(model.get_weights()[0] == 0) > 0


def test_a_kink_is_reported():
    """The median of two points: the gradient jumps from -1 to 1 and is never 0."""
    model = models.Sequential(
        [layers.Dense(1, kernel_initializer="ones", input_shape=(1,), use_bias=False)],
        dtype="float64",
    )
    model.compile("sgd", "mean_absolute_error")
    x, y = np.ones((3, 1)), np.array([0.0, 0.3, 2.0])
    result = model.polish(x, y)
    assert not result.converged and "kink" in result.message
    assert result.slack > 0.1
    assert model.get_weights()[0][0, 0] == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize("seed", [1, 3, 6])
def test_relu_never_ends_higher_than_it_began(seed):
    model, x, y = problem(seed, activation="relu")
    before = model.evaluate(x, y, verbose=0)
    result = model.polish(x, y, max_iter=300)
    assert result.loss <= before
    assert result.converged == (result.slack <= 1e-6)
    assert result.message


def test_too_few_iterations():
    model, x, y = problem(3)
    result = model.polish(x, y, max_iter=2)
    assert (result.converged, result.n_iter) == (False, 2)
    assert result.message == "stopped after 2 iterations"
    assert isinstance(result, PolishResult)


def test_the_optimizer_starts_anew():
    model, x, y = problem(1)
    assert model.network.step > 0
    model.polish(x, y)
    assert model.network.step == 0 and not model.network.weights_slot(0, 0).any()
    model.fit(x, y, verbose=0)


def test_threads_do_not_change_bits(monkeypatch):
    from fastmlp import threads

    found = []
    for n_threads in (1, 2, 3):
        monkeypatch.setattr(threads, "resolve", lambda *_, n=n_threads: (n, False))
        model, x, y = problem(3, epochs=50)
        model.polish(x, y, max_iter=60)
        found.append(b"".join(w.tobytes() for w in model.get_weights()))
    assert found[0] == found[1] == found[2]


def test_an_interrupt_leaves_the_best_so_far(monkeypatch):
    model, x, y = problem(3)
    before = model.evaluate(x, y, verbose=0)
    calls = []

    def update(self, done, values=None):
        calls.append(values["loss"])
        if done == 20:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressLine, "update", update)
    with pytest.raises(KeyboardInterrupt):
        model.polish(x, y)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(calls[-1], rel=1e-12)
    assert calls[-1] < before
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(calls))


def test_the_loss_falls_all_the_way():
    model, x, y = problem(3)
    minimiser = Minimiser(Objective(model, data.checked(model, x, y, None)))
    seen = []

    class Line:
        def update(self, done, values):
            seen.append(values["loss"])

    minimiser.run(1e-6, 5000, Line())
    assert len(seen) > 20 and all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(seen))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tol": 0}, "tol must be a finite number above 0. Received: tol=0"),
        ({"tol": float("nan")}, "tol must be a finite number above 0"),
        ({"max_iter": 0}, "max_iter must be a positive integer"),
        ({"verbose": 3}, "verbose must be 0, 1 or 2"),
        ({"sample_weight": [1.0]}, "sample_weight"),
    ],
)
def test_bad_arguments(arguments, message):
    model, x, y = problem(0, epochs=1)
    with pytest.raises(ValueError, match=message):
        model.polish(x, y, **arguments)


def test_a_loss_in_python_is_refused():
    model, x, y = problem(0, epochs=1)
    model.compile("adam", losses.FunctionLoss(lambda y, p: ((p - y) ** 2, 2 * (p - y))))
    with pytest.raises(ValueError, match="polish needs one of fastmlp's losses"):
        model.polish(x, y)
