"""Rows of arrays are padded to whole vectors: no step reads there what was left behind."""

import numpy as np
import pytest

from fastmlp import layers, models, optimizers, regularizers


def rows(n, n_in, n_out, dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_in)).astype(dtype), rng.random((n, n_out)).astype(dtype)


def trained(units, monkeypatch, order, penalty=None, dtype="float32", **clip):
    """Train with rows in order or not; return weights and losses, and the network."""
    monkeypatch.setenv("FASTMLP_ORDER", order)
    chain = [layers.Dense(n, "tanh", kernel_regularizer=penalty) for n in [*units, 1]]
    model = models.Sequential(chain, seed=1, dtype=dtype)
    model.compile(optimizers.Adam(0.001, **clip), "mean_squared_error")
    x, y = rows(200, 2, 1, dtype)
    history = model.fit(x, y, batch_size=64, epochs=2, verbose=0).history
    return [*model.get_weights(), np.array(history["loss"])], model.network


@pytest.mark.parametrize(("units", "dtype"), [((340, 330), "float32"), ((301,) * 3, "float64")])
@pytest.mark.parametrize(
    "options",
    [
        {"global_clipnorm": 0.1},
        {"clipnorm": 0.1},
        {"penalty": regularizers.L2(0.01)},
        {"penalty": regularizers.L1(0.01, proximal=True)},
        {"penalty": regularizers.GroupL1(0.01, "inputs")},
        {"penalty": regularizers.GroupL1(0.01)},
    ],
    ids=str,
)
def test_ordered_rows_leave_padding_at_zero(units, options, dtype, monkeypatch):
    """The last batch has 8 rows, so the panels of the others lie where it packs its own."""
    plain, network = trained(units, monkeypatch, "0", dtype=dtype, **options)
    assert "ordered" not in network.ran
    ordered, network = trained(units, monkeypatch, "1", dtype=dtype, **options)
    assert {"ordered", "packed_rest", "smaller_batch"} <= set(network.ran)
    assert not any(block.any() for block in network.padding())
    for a, b in zip(ordered, plain, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("activation", ["elu", "softplus", "silu"])
@pytest.mark.parametrize("wide", [9, 70])
def test_an_overflow_leaves_nothing_behind(activation, wide):
    """Infinite activations times weights of zero make NaN in the padding, which later steps of
    the same work space must not read."""
    x, y = rows(40, 3, wide)

    def made():
        chain = [layers.Dense(n, activation) for n in (33, 70, 35)]
        model = models.Sequential([*chain, layers.Dense(wide, "sigmoid")], seed=4)
        model.compile(optimizers.Adam(global_clipnorm=1.0), "mean_squared_error")
        model.build((None, 3))
        return model

    model, fresh = made(), made()
    good = fresh.get_weights()
    model.set_weights([1e30 * w for w in good])
    assert not np.isfinite(model.gradients(x, y)[1][0]).all()
    model.set_weights(good)
    for each in (model, fresh):
        each.fit(x, y, batch_size=40, epochs=3, verbose=0)
    assert not any(block.any() for block in model.network.padding())
    for a, b in zip(model.get_weights(), fresh.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_rows_lie_as_given_once_ordering_is_switched_off(monkeypatch):
    """A smaller batch in the work space of one whose rows were in order."""
    x, y = rows(192, 2, 1)
    found = []
    for first in "10":
        model = models.mlp("340x2", n_inputs=2, n_outputs=1, seed=2)
        model.compile("adam", "mean_squared_error")
        for order, batch_size in ((first, 96), ("0", 40)):
            monkeypatch.setenv("FASTMLP_ORDER", order)
            model.fit(x, y, batch_size=batch_size, epochs=1, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        assert a.tobytes() == b.tobytes()
