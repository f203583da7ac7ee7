"""Different routes through the kernels give the same bits."""

import numpy as np
import pytest

from ..support import networks
from ..support.trainings import CASES, build, same_bits, train

pytestmark = pytest.mark.skipif(networks.is_reference(), reason="the reference has one route")

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n, case in CASES.items() if "clip" not in n])
def test_stored_gradients_and_fused_updates(name, dtype):
    """A norm that is never reached sends gradients through the flat buffer, and changes nothing."""
    _, _, known = train(name, dtype)
    _, _, found = train(name, dtype, clip_norm=1e30)
    # The penalty's value is summed in another order there.
    losses = found.pop("losses"), known.pop("losses")
    np.testing.assert_allclose(*losses, rtol=1e-6 if dtype == "float32" else 1e-14)
    for key, value in known.items():
        assert same_bits(found[key], value), key


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_leaving_out_hides_no_bad_weight(monkeypatch, layer, bad):
    """A weight that is not finite is noticed even where a dead unit would keep it unused."""
    outcomes = []
    for skip in ("0", "1"):
        monkeypatch.setenv("FASTMLP_SKIP_DEAD", skip)
        net, (x, y, _) = build("low dimension", "float32")
        net.weights(layer)[0, 0] = bad
        net.begin(x, y, batch_size=31, shuffle=True, seed=11)
        networks.run(net, 4, len(networks.METRICS["mean_squared_error"]))
        outcomes.append(net.diverged)
    assert outcomes[0] is not None
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", [1, 5, 40])
def test_lists_of_live_units_of_rows_in_any_order(monkeypatch, dtype, n_rows):
    """A large network has lists for each tile of rows although its rows are not sorted."""
    outcomes = []
    for skip in ("0", "1"):
        monkeypatch.setenv("FASTMLP_SKIP_DEAD", skip)
        net = networks.compiled(dtype)(30, [1010, 1000, 3], ["relu", "relu", "linear"])
        networks.draw_parameters(net, 2)
        for layer in range(2):
            net.bias(layer)[...] -= 0.5
        net.configure(loss="mean_squared_error", optimizer="adam")
        rng = np.random.default_rng(4)
        x = rng.normal(size=(3 * n_rows, 30)).astype(dtype)
        net.begin(x, x[:, :3].copy(), batch_size=n_rows, shuffle=True, seed=3)
        _, losses, _ = networks.run(net, 2, 0, n_threads=2, automatic=False)
        outcomes.append(networks.parameters(net) | {"losses": losses})
        assert ("patterns" in net.ran) == (skip == "1" and n_rows > 1)
        assert ("left_out" in net.ran) == (skip == "1")
    for key, value in outcomes[0].items():
        assert same_bits(outcomes[1][key], value), key
