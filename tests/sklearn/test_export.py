"""The estimators' networks, and the files written from them."""

import pathlib
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import NotFittedError

from fastmlp import interchange
from fastmlp.sklearn import MLPClassifier, MLPRegressor

from .samples import CLASSES, COUNTS, IRIS, LABELS, SMALL, TWO, X, Y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PICKLES = pathlib.Path(__file__).parents[1] / "data" / "pickles"
KINDS = pytest.mark.parametrize(
    ("kind", "x", "y", "options"),
    [
        (MLPRegressor, X, Y, {}),
        (MLPRegressor, 5 * X + 3, np.c_[Y, 1e6 + 20 * Y], {"standardize": True}),
        (MLPRegressor, X + 1e4, Y, {"standardize": True, "hidden_layer_sizes": (), "dropout": 0}),
        (MLPRegressor, X, COUNTS, {"loss": "poisson"}),
        (MLPRegressor, X - 2, np.c_[COUNTS, COUNTS], {"loss": "poisson", "standardize": True}),
        (MLPClassifier, IRIS, CLASSES, {"standardize": True, "dropout": 0.2}),
        (MLPClassifier, IRIS, TWO, {}),
        (MLPClassifier, IRIS, LABELS, {"activation": ["tanh"]}),
    ],
    ids=["plain", "outputs", "linear", "poisson", "two-poisson", "classes", "two", "labels"],
)


def predictions(model, x):
    if isinstance(model, MLPRegressor):
        return model.predict(x).reshape(len(x), -1)
    p = model.predict_proba(x)
    return p[:, 1:] if p.shape[1] == 2 and len(model.classes_) == 2 and model.n_outputs_ == 1 else p


@KINDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_model_predicts_as_the_estimator(kind, x, y, options, dtype):
    x = x.astype(dtype)
    ours = kind(**SMALL | options, max_iter=10).fit(x, y)
    expected, model = predictions(ours, x), ours.model_
    rtol = 1e-5 if dtype == np.float32 else 1e-9
    scale = np.abs(expected).max()
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol, rtol * scale)
    if "standardize" in options or options.get("loss") == "poisson":
        assert model.dtype == np.float64 and ours.model_ is not model
    else:
        assert ours.model_ is model and model.dtype == dtype
    # Weights that the user sets are in the network, too.
    ours.intercepts_[-1] = ours.intercepts_[-1] + 0.5
    ours.coefs_[0][:, 0] *= 2
    expected = predictions(ours, x)
    np.testing.assert_allclose(ours.model_.predict(x, verbose=0), expected, rtol, rtol * scale)


@KINDS
def test_onnx_files_predict_as_the_estimator(kind, x, y, options, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    ours = kind(**SMALL | options, max_iter=10).fit(x, y)
    ours.export(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.astype(np.float64)})
    np.testing.assert_allclose(found, predictions(ours, x), rtol=1e-8, atol=1e-10)


def test_every_format_and_its_options(tmp_path):
    ours = MLPRegressor(**SMALL, max_iter=3, standardize=True).fit(X, 10 * Y + 5)
    expected = ours.predict(X)
    ours.export(tmp_path / "weights", to="torch")
    ours.export(tmp_path / "model.c", name="price")
    assert "price_predict" in (tmp_path / "model.c").read_text()
    with pytest.raises(FileExistsError):
        ours.export(tmp_path / "model.c", overwrite=False)
    with pytest.raises(ValueError, match="a suffix"):
        ours.export(tmp_path / "model.txt")
    pytest.importorskip("h5py")
    ours.export(tmp_path / "model.keras")
    found = interchange.import_model(tmp_path / "model.keras").predict(X, verbose=0)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [MLPRegressor, MLPClassifier])
def test_before_a_fit_there_is_no_network(kind, tmp_path):
    assert not hasattr(kind(), "model_")
    with pytest.raises(NotFittedError):
        kind().export(tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["regressor", "classifier", "lbfgs"])
def test_estimators_pickled_before_have_networks_too(name):
    ours = pickle.loads((PICKLES / f"{name}.pickle").read_bytes())
    x = np.linspace(-1, 1, 12).reshape(6, 2)
    found = ours.model_.predict(x, verbose=0)
    np.testing.assert_allclose(found, predictions(ours, x), rtol=1e-6)
