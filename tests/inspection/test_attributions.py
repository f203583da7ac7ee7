"""Gradients by the inputs, and attributions: they add up, and agree with an exact computation."""

import itertools
import math

import numpy as np
import pytest

from fastmlp import inspection, layers, models, set_num_threads
from fastmlp._utils.names import ACTIVATIONS
from fastmlp.errors import DataError
from fastmlp.inspection import Feature

RNG = np.random.default_rng(0)


def network(units="9x2", n_inputs=4, n_outputs=1, output="linear", **given):
    model = models.mlp(units, n_inputs, n_outputs, seed=1, output_activation=output, **given)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    return model


def difference(model, x, output, h=1e-5):
    """Central differences, in float64."""
    result = np.zeros(x.shape)
    for j in range(x.shape[1]):
        step = np.zeros(x.shape[1])
        step[j] = h
        up, down = (model.predict(x + s, verbose=0) for s in (step, -step))
        change = (up - down) / (2 * h)
        result[:, j] = change.sum(1) if output is None else change[:, output]
    return result


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("units", ["7", "9x2"])
def test_gradients_by_inputs_are_those_of_differences(activation, units):
    model = network(units, 4, 3, "softmax", activation=activation, dtype="float64")
    x = RNG.normal(size=(11, 4))
    for output in (None, 0, 2, -1):
        found = model.gradients(x, wrt="inputs", output=output)
        np.testing.assert_allclose(found, difference(model, x, output), rtol=1e-5, atol=1e-7)


def test_gradients_of_a_network_that_encodes_its_inputs():
    model = models.Sequential(
        [layers.PiecewiseLinear(4), layers.Dense(6, "tanh"), layers.Dense(2)], 1, "float64"
    )
    x = RNG.normal(size=(40, 3))
    model.adapt(x)
    for output in (None, 1):
        found = model.gradients(x, wrt="inputs", output=output)
        expected = difference(model, x, output, 1e-7)
        near = np.isclose(found, expected, rtol=1e-4, atol=1e-6)
        # A row on an edge of a bin has two slopes.
        assert near.mean() > 0.85
        edges = model.layers[0].edges
        inside = np.array([
            [np.abs(np.subtract(e, v)).min() > 1e-6 for e, v in zip(edges, row, strict=True)]
            for row in x
        ])  # fmt: skip
        assert near[inside].all()


def test_gradients_of_a_network_without_hidden_layers_are_its_weights():
    model = models.Sequential([layers.Dense(2, input_shape=(3,))], seed=1)
    found = model.gradients(RNG.normal(size=(5, 3)), wrt="inputs", output=1)
    np.testing.assert_array_equal(found, np.tile(model.get_weights()[0][:, 1], (5, 1)))


def test_gradients_have_the_same_bits_on_any_threads():
    model, x = network("300x2", 20, 2), RNG.normal(size=(500, 20))
    found = []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(model.gradients(x, wrt="inputs").tobytes())
    finally:
        set_num_threads(None)
    assert found[0] == found[1] == found[2]


def test_gradients_leave_the_model_as_it_is():
    model = network()
    model.compile("adam", "mse")
    x = RNG.normal(size=(8, 4))
    before = [w.tobytes() for w in model.get_weights()]
    model.gradients(x, wrt="inputs")
    assert before == [w.tobytes() for w in model.get_weights()]


@pytest.mark.parametrize(
    ("given", "message"),
    [({"wrt": "x"}, "wrt"), ({"wrt": "inputs", "y": [1]}, "y cannot be combined"),
     ({"wrt": "inputs", "sample_weight": [1]}, "sample_weight cannot"),
     ({"wrt": "inputs", "output": 1}, "one of the 1 outputs"),
     ({"wrt": "inputs", "output": -2}, "output"), ({"output": 0}, "needs wrt='inputs'")],
)  # fmt: skip
def test_gradients_refuse(given, message):
    with pytest.raises(ValueError, match=message):
        network().gradients(np.zeros((1, 4)), **given)


# ---- attributions ------------------------------------------------------------------------------


def by_definition(model, x, background, groups):
    """Shapley values of one row, from the definition, in float64."""
    k = len(groups)

    def worth(coalition):
        rows = background.copy()
        for i in coalition:
            rows[:, groups[i]] = x[groups[i]]
        return model.predict(rows, verbose=0).astype(np.float64).mean(0)

    values = []
    for j in range(k):
        others, total = [i for i in range(k) if i != j], 0
        for size in range(k):
            weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
            for coalition in itertools.combinations(others, size):
                total = total + weight * (worth([*coalition, j]) - worth(coalition))
        values.append(total)
    return np.array(values)


def check_sums(found, model, x, background):
    predicted = model.predict(x, verbose=0).astype(np.float64)
    base = model.predict(background, verbose=0).astype(np.float64).mean(0)
    scale = max(1.0, np.abs(predicted).max())
    np.testing.assert_allclose(found.values.sum(1), predicted - base, atol=1e-5 * scale)
    np.testing.assert_allclose(found.base, base, rtol=1e-6)


@pytest.mark.parametrize("method", ["shapley", "gradients"])
@pytest.mark.parametrize("n_inputs", [1, 3, 8, 14])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_attributions_add_up_to_prediction_minus_mean(method, n_inputs, activation):
    model = network("8x2", n_inputs, 2, "softmax", activation=activation)
    x, background = RNG.normal(size=(5, n_inputs)), RNG.normal(size=(30, n_inputs))
    found = inspection.attributions(model, x, background, method=method, n_samples=10, seed=1)
    assert found.values.shape == (5, n_inputs, 2)
    check_sums(found, model, x, background)


@pytest.mark.parametrize("n_inputs", [2, 5, 8])
def test_exact_shapley_values_are_those_of_the_definition(n_inputs):
    model = network("6", n_inputs, 1, dtype="float64")
    x, background = RNG.normal(size=(2, n_inputs)), RNG.normal(size=(7, n_inputs))
    found = inspection.attributions(model, x, background, method="shapley", seed=0)
    assert not found.errors.any()
    for row, values in zip(x, found.values, strict=True):
        expected = by_definition(model, row, background, [[i] for i in range(n_inputs)])
        np.testing.assert_allclose(values, expected, atol=1e-12)


@pytest.mark.parametrize("n_inputs", [3, 8])
def test_sampled_shapley_values_agree_within_their_errors(n_inputs, monkeypatch):
    from fastmlp.inspection import _attributions

    model = network("10x2", n_inputs, 1)
    x, background = RNG.normal(size=(8, n_inputs)), RNG.normal(size=(20, n_inputs))
    exact = inspection.attributions(model, x, background, method="shapley", seed=0).values
    monkeypatch.setattr(_attributions, "_EXACT", 0)
    found = inspection.attributions(model, x, background, method="shapley", n_samples=400, seed=2)
    assert (found.errors > 0).mean() > 0.9
    z = (found.values - exact) / np.maximum(found.errors, 1e-6)
    assert np.abs(z).max() < 5
    assert 0.05 < np.sqrt((z**2).mean()) < 1.6  # the errors are of the right size
    few = inspection.attributions(model, x, background, method="shapley", n_samples=25, seed=2)
    assert 2.5 < few.errors.mean() / found.errors.mean() < 6  # sqrt(16)


def test_features_of_several_inputs_are_one_player():
    model = network("6", 5, 1, dtype="float64")
    x, background = RNG.normal(size=(2, 5)), RNG.normal(size=(6, 5))
    known = [Feature("a", (0,)), Feature("c", (1, 2, 3), "categorical", ("u", "v", "w")),
             Feature("b", (4,))]  # fmt: skip
    found = inspection.attributions(model, x, background, features=known, seed=0)
    expected = by_definition(model, x[0], background, [[0], [1, 2, 3], [4]])
    np.testing.assert_allclose(found.values[0], expected, atol=1e-12)
    gradients = inspection.attributions(
        model, x, background, features=known, method="gradients", seed=0
    )
    assert gradients.values.shape == (2, 3, 1)
    check_sums(gradients, model, x, background)


def additive(n_inputs=3):
    """A network whose output is a sum of functions of one input: no unit sees two."""
    model = models.mlp("9", n_inputs, 1, seed=1, activation="tanh", dtype="float64")
    w, b, v, c = model.get_weights()
    rng = np.random.default_rng(3)
    mask = np.arange(9)[None] % n_inputs == np.arange(n_inputs)[:, None]
    model.set_weights([rng.normal(size=w.shape) * mask, rng.normal(size=b.shape), v, c])
    return model


def test_gradients_and_shapley_values_agree_where_features_do_not_interact():
    model = additive()
    x, background = RNG.normal(size=(6, 3)), RNG.normal(size=(25, 3))
    both = [inspection.attributions(model, x, background, method=m, seed=0).values
            for m in ("shapley", "gradients")]  # fmt: skip
    np.testing.assert_allclose(*both, atol=2e-3)


def test_an_input_that_the_model_ignores_has_none():
    model = network("8", 4)
    weights = model.get_weights()
    weights[0][2] = 0
    model.set_weights(weights)
    x = RNG.normal(size=(6, 4))
    for method in ("shapley", "gradients"):
        found = inspection.attributions(model, x, method=method, seed=0)
        assert np.abs(found.values[:, 2]).max() < 1e-5
        assert found.order[-1] == 2


def test_the_same_seed_gives_the_same_bits_on_any_threads():
    model, x = network("64x2", 12), RNG.normal(size=(20, 12))
    for method in ("shapley", "gradients"):
        found = []
        try:
            for threads in (1, 2):
                set_num_threads(threads)
                values = inspection.attributions(model, x, method=method, n_samples=8, seed=5)
                found.append(values.values.tobytes())
        finally:
            set_num_threads(None)
        assert found[0] == found[1]


def test_rows_keep_their_own_units_and_a_postprocess_its():
    model = network("6", 3)
    known = [Feature("a", (0,), mean=10.0, scale=2.0),
             Feature("c", (1, 2), "categorical", ("u", "v"))]  # fmt: skip
    x = np.array([[0.5, 1, 0], [1.0, 0, 1], [0, 0, 0]])
    found = inspection.attributions(
        model, x, features=known, postprocess=lambda y: 100 * y + 7, seed=0
    )
    np.testing.assert_allclose(found.rows, [[11, 0], [12, 1], [10, np.nan]])
    np.testing.assert_allclose(found.predictions, 100 * model.predict(x, verbose=0) + 7, rtol=1e-6)
    check = found.values.sum(1) + found.base
    np.testing.assert_allclose(check, found.predictions, rtol=1e-5)
    slopes = inspection.attributions(
        model, x, features=known, postprocess=lambda y: -3 * y, method="gradients", seed=0
    )
    plain = inspection.attributions(model, x, features=known, method="gradients", seed=0)
    np.testing.assert_allclose(slopes.values, -3 * plain.values, atol=1e-5)
    assert "Attributions: 3 rows, 2 features" in repr(found)
    assert "<svg" in found._repr_html_()


def test_attributions_refuse():
    model, x = network(), np.zeros((2, 4))
    with pytest.raises(DataError, match="x must not be empty"):
        inspection.attributions(model, x[:0])
    with pytest.raises(DataError, match="background"):
        inspection.attributions(model, x, x[:, :2])
    with pytest.raises(ValueError, match="method"):
        inspection.attributions(model, x, method="lime")
    with pytest.raises(ValueError, match="n_samples"):
        inspection.attributions(model, x, n_samples=0)
