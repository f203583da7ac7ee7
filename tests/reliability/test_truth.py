"""Numerical truth: laws that any right network obeys, over drawn architectures and data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmlp import layers, models, optimizers, regularizers
from fastmlp.errors import DivergedError

from ..support.differences import central_difference
from .drawn import SMOOTH, cases

pytestmark = [pytest.mark.reliability, pytest.mark.slow]
EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True)
EPS = np.finfo(np.float64).eps


def gradients(model, *data):
    """Return gradients as `get_weights` orders weights."""
    pairs = zip(model.dense_layers, model.gradients(*data), strict=True)
    return [part for layer, (dw, db) in pairs for part in ([dw, db] if layer.use_bias else [dw])]


def loss_of(model, x, y, weight=None):
    return model.evaluate(x, y, verbose=0, sample_weight=weight)


def close(found, expected, tolerance):
    """Compare arrays, with errors relative to the largest entry of all."""
    scale = max(1e-3, *(np.abs(array).max() for array in expected))
    error = max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True)) / scale
    assert error <= tolerance, error


@EXAMPLES
@given(cases(activations=SMOOTH))
def test_gradients_are_central_differences(case):
    model, x, y, weight = case
    found = gradients(model, x, y, weight)
    views = [view for layer in model.dense_layers for view in layer.views()]
    expected = [
        central_difference(lambda: loss_of(model, x, y, weight), view, 1e-4) for view in views
    ]
    close(found, expected, 1e-6)


@EXAMPLES
@given(cases(activations=SMOOTH), st.integers(0, 10**6))
def test_the_comparison_would_notice_a_wrong_gradient(case, seed):
    model, x, y, weight = case
    found = gradients(model, x, y, weight)
    spoilt = [array.copy() for array in found]
    largest = max(range(len(spoilt)), key=lambda i: np.abs(spoilt[i]).max())
    place = np.unravel_index(np.abs(spoilt[largest]).argmax(), spoilt[largest].shape)
    spoilt[largest][place] += 1e-5 * max(1e-3, abs(spoilt[largest][place]))
    with pytest.raises(AssertionError):
        close(spoilt, found, 1e-6)


@EXAMPLES
@given(cases(hidden=(1, 3)), st.integers(0, 2**32 - 1))
def test_the_order_of_hidden_units_means_nothing(case, seed):
    """The same loss, outputs and gradients, in the new order, but for the order of sums."""
    model, x, y, weight = case
    rng = np.random.default_rng(seed)
    other = models.Sequential.from_config(model.get_config())
    other.compile("sgd", model.loss)
    orders = [np.arange(model.n_inputs)]
    orders += [rng.permutation(layer.units) for layer in model.dense_layers[:-1]]
    orders += [np.arange(model.n_outputs)]

    def permuted(layer, i, w, b):
        return [w[orders[i]][:, orders[i + 1]], *([b[orders[i + 1]]] if layer.use_bias else [])]

    for i, (old, new) in enumerate(zip(model.dense_layers, other.dense_layers, strict=True)):
        w, *b = old.get_weights()
        new.set_weights(permuted(old, i, w, b[0] if b else None))
    assert loss_of(other, x, y, weight) == pytest.approx(loss_of(model, x, y, weight), rel=1e-11)
    close([other.predict(x, verbose=0)], [model.predict(x, verbose=0)], 1e-11)
    expected = [
        part
        for i, (layer, (dw, db)) in enumerate(
            zip(model.dense_layers, model.gradients(x, y, weight), strict=True)
        )
        for part in permuted(layer, i, dw, db)
    ]
    close(gradients(other, x, y, weight), expected, 1e-10)


@EXAMPLES
@given(cases(penalties=False), st.integers(0, 2**32 - 1))
def test_a_weight_of_k_is_k_rows(case, seed):
    """Means are over rows: sum of weights times the one is the number of rows times the other."""
    model, x, y, _ = case
    counts = np.random.default_rng(seed).integers(0, 4, len(x))
    counts[0] += 1
    rows = np.repeat(np.arange(len(x)), counts)
    ratio = len(rows) / len(x)
    weighted, repeated = loss_of(model, x, y, counts), loss_of(model, x[rows], y[rows])
    assert weighted == pytest.approx(ratio * repeated, rel=1e-11)
    expected = [ratio * array for array in gradients(model, x[rows], y[rows])]
    close(gradients(model, x, y, counts), expected, 1e-10)


@EXAMPLES
@given(cases(activations=("relu", "leaky_relu", "linear"), losses=("mean_squared_error",),
             hidden=(1, 3), penalties=False), st.floats(0.1, 10))  # fmt: skip
def test_positive_factors_move_through_piecewise_linear_layers(case, factor):
    """With c * W1, c * b1 and W2 / c the network is the same, and gradients scale inversely."""
    model, x, y, weight = case
    other = models.Sequential.from_config(model.get_config())
    other.compile("sgd", model.loss)
    first, second, *rest = [layer.get_weights() for layer in model.dense_layers]
    changed = [[factor * a for a in first], [second[0] / factor, *second[1:]], *rest]
    other.set_weights([array for group in changed for array in group])
    close([other.predict(x, verbose=0)], [model.predict(x, verbose=0)], 1e-11)
    expected, found = model.gradients(x, y, weight), other.gradients(x, y, weight)
    close([found[0][0] * factor, found[1][0] / factor], [expected[0][0], expected[1][0]], 1e-10)


@EXAMPLES
@given(cases(losses=("mean_squared_error",), penalties=False), st.integers(-30, 30))
def test_units_of_the_target_scale_the_squared_error(case, exponent):
    """Powers of two round nothing: the loss scales by their square to the last bit."""
    model, x, y, weight = case
    factor = 2.0**exponent
    other = models.Sequential.from_config(model.get_config())
    other.compile("sgd", model.loss)
    *others, last = [layer.get_weights() for layer in model.dense_layers]
    other.set_weights([a for group in others for a in group] + [factor * a for a in last])
    assert loss_of(other, x, factor * y, weight) == factor**2 * loss_of(model, x, y, weight)


@EXAMPLES
@given(cases())
def test_penalties_add_to_the_loss_what_they_say(case):
    model, x, y, weight = case
    bare = models.Sequential(
        [
            layers.Dense(layer.units, layer.activation, layer.use_bias, input_dim=layer.n_inputs)
            for layer in model.dense_layers
        ],
        dtype="float64",
    )
    bare.compile("sgd", model.loss)
    bare.set_weights(model.get_weights())
    expected = loss_of(bare, x, y, weight)
    for layer in model.dense_layers:
        if layer.kernel_regularizer is not None:
            expected += layer.kernel_regularizer(layer.get_weights()[0])
    assert loss_of(model, x, y, weight) == pytest.approx(expected, rel=1e-12)


@EXAMPLES
@given(cases(dtypes=("float32",), penalties=False))
def test_float32_is_float64_but_for_rounding(case):
    """Outputs within the sum, over layers, of (fan-in + 8) rounding errors, amplified."""
    model, x, _, _ = case
    twin = models.Sequential.from_config(model.get_config() | {"dtype": "float64"})
    twin.set_weights(model.get_weights())
    x = x.astype(np.float32)
    # An error of a layer's output passes through the later ones at most by their norms.
    bound, scale = 0.0, np.abs(x).max()
    for layer in twin.dense_layers:
        w, *b = layer.get_weights()
        size = np.abs(w).sum(axis=0).max()
        reached = size * scale + (np.abs(b[0]).max() if b else 0.0)
        bound = size * bound * 1.2 + (len(w) + 8) * np.finfo(np.float32).eps * reached
        scale = 1.2 * reached + 1.0
    error = np.abs(model.predict(x, verbose=0) - twin.predict(x, verbose=0)).max()
    assert error <= bound


@EXAMPLES
@given(
    cases(dtypes=("float32", "float64")),
    st.sampled_from(["sgd", "adam", "rmsprop", "adagrad", "adamw"]),
    st.sampled_from([1e-3, 1e3, 1e12, 1e30, 1e37]),
)
def test_a_run_that_diverges_says_where_in_the_epoch_it_happens(case, optimizer, rate):
    model, x, y, weight = case
    model.compile(optimizers.get(optimizer), model.loss)
    model.optimizer.learning_rate = rate
    try:
        model.fit(x, y, 5, epochs=20, verbose=0, sample_weight=weight)
    except DivergedError as error:
        # Every epoch before the one that it names ended with a finite loss; that one did not end.
        assert error.epoch == len(model.history.epoch) + 1
        assert f"epoch {error.epoch}" in str(error)
        assert error.layer in (None, *(layer.name for layer in model.layers))
    else:
        assert len(model.history.epoch) == 20
    assert np.isfinite(model.history.history.get("loss", [])).all()
    assert all(np.isfinite(array).all() for array in model.get_weights())


# ---- long runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twenty_thousand_epochs_stay_at_the_optimum(dtype):
    """Ridge regression has one optimum, in closed form: a long run finds it and never leaves."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 5)), rng.normal(size=(200, 1))
    lam = 0.05
    w = np.linalg.solve(x.T @ x / 200 + lam * np.eye(5), x.T @ y / 200)
    model = models.Sequential(
        [layers.Dense(1, use_bias=False, kernel_regularizer=regularizers.l2(lam), input_dim=5)],
        seed=1,
        dtype=dtype,
    )
    model.compile(optimizers.SGD(0.05), "mse")
    history = model.fit(x, y, batch_size=200, epochs=20_000, verbose=0).history["loss"]
    best = np.mean((x @ w - y) ** 2) + lam * np.sum(w**2)
    eps = np.finfo(dtype).eps
    assert np.abs(np.array(history[2000:]) / best - 1).max() < 100 * eps
    np.testing.assert_allclose(model.get_weights()[0], w, atol=200 * eps)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_units_that_die_for_twenty_thousand_epochs_leave_no_denormal(optimizer):
    """Penalised weights shrink towards zero for ever; what is below normal is flushed."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)), rng.normal(size=(64, 1))
    model = models.mlp("32x2", 4, 1, l2=0.5, seed=1)
    model.compile(optimizers.get(optimizer), "mse")
    model.optimizer.learning_rate = 0.05 if optimizer == "sgd" else 0.001
    history = model.fit(x, y, batch_size=64, epochs=20_000, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] <= history[0]
    tiny = np.finfo(np.float32).tiny
    arrays = model.get_weights()
    for s in model.optimizer.slots:
        for i in range(len(model.dense_layers)):
            arrays += [model.network.weights_slot(s, i), model.network.bias_slot(s, i)]
    assert not any(((np.abs(a) < tiny) & (a != 0)).any() for a in arrays)
    # The caller's own arithmetic keeps them.
    assert np.float32(tiny) * np.float32(0.5) != 0


# ---- an independent framework --------------------------------------------------------------------


@pytest.mark.frameworks
def test_gradients_and_a_hundred_adam_steps_in_torch():
    torch = pytest.importorskip("torch")
    from ..support.networks import draw_data

    for seed in range(20):
        rng = np.random.default_rng(seed)
        widths = [int(w) for w in rng.integers(2, 20, rng.integers(1, 4))]
        names = [str(rng.choice(["tanh", "sigmoid", "softplus", "relu"])) for _ in widths]
        model = models.mlp(widths, 6, 3, activation=names, l2=0.01, seed=seed, dtype="float64")
        model.compile(optimizers.Adam(0.01, epsilon=1e-7), "mse")
        x, y, _ = draw_data(seed, 17, 6, 3, "mean_squared_error")
        parameters = [
            torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in model.get_weights()
        ]
        tx, ty = torch.tensor(np.float64(x)), torch.tensor(np.float64(y))

        def loss(parameters=parameters, tx=tx, ty=ty, names=names):
            out = tx
            for i in range(0, len(parameters), 2):
                out = out @ parameters[i] + parameters[i + 1]
                if i // 2 < len(names):
                    out = getattr(torch.nn.functional, names[i // 2])(out)
            penalty = sum((w**2).sum() for w in parameters[::2])
            return ((out - ty) ** 2).mean() + 0.01 * penalty

        loss().backward()
        close(gradients(model, x, y), [p.grad.numpy() for p in parameters], 1e-12)
        # Keras's and fastmlp's epsilon stands outside the bias correction's root: the same
        # steps with torch's take one that changes with the step.
        moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
        for t in range(1, 101):
            for p in parameters:
                p.grad = None
            loss().backward()
            with torch.no_grad():
                for p, (m, v) in zip(parameters, moments, strict=True):
                    m.mul_(0.9).add_(0.1 * p.grad)
                    v.mul_(0.999).add_(0.001 * p.grad**2)
                    rate = 0.01 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
                    p.sub_(rate * m / (v.sqrt() + 1e-7))
        model.fit(x, y, batch_size=17, epochs=100, shuffle=False, verbose=0)
        close(model.get_weights(), [p.detach().numpy() for p in parameters], 1e-9)
