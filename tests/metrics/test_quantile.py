"""The pinball loss: its values are scikit-learn's, and networks learn quantiles with it."""

from __future__ import annotations

import numpy as np
import pytest

import fastmlp
from fastmlp import layers, losses, metrics, models


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("k", [1, 3])
def test_the_loss_is_scikit_learns(quantile, k):
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    y, p, w = rng.normal(size=(50, k)), rng.normal(size=(50, k)), rng.uniform(size=50)
    p[:5] = y[:5]
    expected = sk.mean_pinball_loss(y, p, alpha=quantile)
    loss = losses.Quantile(quantile)
    assert loss(y, p) == pytest.approx(expected, abs=1e-14)
    assert losses.pinball(y, p, quantile).mean() == pytest.approx(expected, abs=1e-14)
    assert metrics.Pinball(quantile)(y, p) == pytest.approx(expected, abs=1e-14)
    weighted = sk.mean_pinball_loss(y, p, alpha=quantile, sample_weight=w)
    assert metrics.pinball_loss(y, p, w, quantile) == pytest.approx(weighted, abs=1e-14)
    values, gradient = loss.values_and_gradient(y, p)
    np.testing.assert_allclose(values, losses.pinball(y, p, quantile), atol=1e-14)
    shift = 1e-6 * np.eye(k)
    for j in range(k):
        up, down = (
            losses.pinball(y, p + shift[j], quantile),
            losses.pinball(y, p - shift[j], quantile),
        )
        np.testing.assert_allclose(gradient[5:, j], ((up - down) / 2e-6)[5:], atol=1e-8)
    np.testing.assert_array_equal(gradient[:5], 0)


def test_a_network_learns_a_quantile(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(4000, 1)).astype("f4")
    y = x + rng.exponential(1, size=(4000, 1)).astype("f4")
    model = models.Sequential([layers.Dense(1, input_shape=(1,))], seed=1)
    model.compile(fastmlp.optimizers.Adam(0.02), losses.Quantile(0.9), metrics=["mae"])
    model.fit(x, y, epochs=30, batch_size=200, verbose=0)
    predicted = model.predict(x, verbose=0)
    assert (y <= predicted).mean() == pytest.approx(0.9, abs=0.02)
    assert model.get_weights()[0][0, 0] == pytest.approx(1, abs=0.2)
    found = model.evaluate(x, y, verbose=0)[0]
    assert found == pytest.approx(metrics.pinball_loss(y, predicted, quantile=0.9), rel=1e-5)
    model.save(tmp_path / "q.fmlp")
    loaded = models.load_model(tmp_path / "q.fmlp")
    assert loaded.loss.get_config() == {"quantile": 0.9}
    assert loaded.evaluate(x, y, verbose=0)[0] == pytest.approx(found)


def test_names():
    assert losses.get("quantile").quantile == 0.5
    assert isinstance(losses.get(losses.pinball), losses.Quantile)
    assert metrics.get("pinball_loss").quantile == 0.5
    assert not metrics.get("pinball_loss").larger_is_better
    with pytest.raises(ValueError, match=r"quantile must be a number in \(0, 1\)"):
        losses.Quantile(90)
    with pytest.raises(ValueError, match="needs one y for each output"):
        losses.Quantile().values_and_gradient(np.zeros((3, 1)), np.zeros((3, 2)))
