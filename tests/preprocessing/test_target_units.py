"""A target far from 0 comes back in its own units with as many numbers as it had."""

import numpy as np
import pytest

import fastmlp
from fastmlp import inspection, models, plots
from fastmlp.preprocessing import Preprocessing

N = 300
X = np.arange(N, dtype=np.float64)
Y = 1234567890 + 10 * X  # a few numbers in float32
TABLE = {"x": X, "y": Y}


@pytest.fixture(scope="module")
def state():
    return Preprocessing.fit(TABLE, "y", "regression", standardize="deviation")


@pytest.fixture(scope="module")
def arrays(state):
    return state.inputs(TABLE), state.targets(TABLE)


@pytest.fixture(scope="module")
def line(state):
    """A network that is the line itself: both columns are standardised alike."""
    model = models.mlp([], 1, 1)
    model.set_weights([[[1.0]], [0.0]])
    model.compile("sgd", "mse", ["mse", "mae", "rmse", "r2"])
    state.keep(model)
    return model


def close(found):
    found = np.asarray(found)
    assert found.dtype == np.float64 and len(np.unique(found)) == N
    np.testing.assert_allclose(found, Y, rtol=0, atol=0.01)


def test_a_network(state, arrays, line):
    outputs = line.predict(arrays[0], verbose=0)
    assert outputs.dtype == np.float32
    close(state.values(outputs))
    assert len(np.unique(state.values(outputs).astype(np.float32))) < 30  # why it is in double
    loss, mse, mae, rmse, r2 = line.evaluate(*arrays, verbose=0)
    assert loss == mse == pytest.approx(rmse**2) and rmse >= mae and r2 == pytest.approx(1)
    assert rmse * state.target.scale < 0.001


def test_a_target_that_is_not_scaled_keeps_its_type():
    state = Preprocessing.fit(TABLE, "y", "regression", standardize=False)
    assert state.values(np.ones((3, 1), np.float32)).dtype == np.float32


def test_ensembles(state, arrays):
    made = fastmlp.ensemble(*arrays, "8", members=3, epochs=2, verbose=0, seed=1)
    x = arrays[0]
    for outputs in (made.predict(x, verbose=0), made.predictions(x, verbose=0),
                    made.quantiles(x, [0.1, 0.5], verbose=0)):  # fmt: skip
        found = state.values(outputs)
        assert found.dtype == np.float64 and found.shape == outputs.shape[:-1]
        for row in np.atleast_2d(found):
            assert len(np.unique(row)) > 0.9 * N
        np.testing.assert_allclose(
            found, outputs[..., 0].astype(float) * state.target.scale + state.target.mean
        )


@pytest.mark.filterwarnings("ignore::fastmlp.errors.ModelWarning")
def test_a_path():
    result = fastmlp.path(X[:, None], Y, "", n_lambdas=3, folds=3, seed=0, verbose=0)
    found = result.predict(X[:, None], -1)
    assert found.dtype == np.float64 and len(np.unique(found)) == N
    assert len(np.unique(result.target_values())) == N
    figure = result.plot_fits()
    curves = [line.get_ydata() for ax in figure.axes for line in ax.get_lines()]
    assert max(len(np.unique(np.asarray(curve))) for curve in curves) > 200


def test_inspection_and_figures(state, arrays, line):
    feature = inspection.features(state)[0]
    found = inspection.partial_dependence(
        line, arrays[0], feature, grid=N, postprocess=state.values
    )
    assert len(np.unique(found.average)) == N
    figure = plots.plot_partial_dependence([found])
    drawn = [np.unique(line.get_ydata()) for line in figure.axes[0].get_lines()]
    assert max(map(len, drawn)) == N


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_estimators(dtype, solver):
    sklearn = pytest.importorskip("fastmlp.sklearn")
    x = X[:, None].astype(dtype)
    made = sklearn.MLPRegressor(
        units="8", standardize=True, solver=solver, max_iter=2000, tol=1e-5, random_state=0
    ).fit(x, Y)
    found = made.predict(x)
    assert found.dtype == np.float64 and len(np.unique(found)) == N
    assert made.score(x, Y) > 0.9
    constant = np.full(N, 0.1)
    assert made.score(x, constant) == 0
