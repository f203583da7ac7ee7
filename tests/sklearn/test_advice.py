"""Warnings of data that need preparation: they come with bad scales and bad fits only."""

import re
import warnings

import numpy as np
import pytest
from scipy import sparse

pytest.importorskip("sklearn")

from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastmlp._utils.sparse import CsrRows
from fastmlp.sklearn import MLPClassifier, MLPRegressor, _advice

from .samples import BOTH, CLASSES, COUNTS, IRIS, LABELS, SMALL, TWO, X, Y

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 4))


def advice(call):
    """Return the texts of the warnings of scales and of bad fits, which all name this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    found = [w for w in caught if re.search("thousandfold|worse than", str(w.message))]
    assert all(w.category is ConvergenceWarning and w.filename == __file__ for w in found)
    return [str(w.message) for w in found]


@BOTH
def test_scales_that_differ_a_thousandfold(kind, x, y):
    scaled = x * np.r_[1000, np.ones(x.shape[1] - 1)]
    (text,) = [t for t in advice(lambda: kind(**SMALL).fit(scaled, y)) if "thousandfold" in t]
    assert "standardize=True" in text and "1e+03" in text
    assert f"fastmlp.sklearn.Tabular{kind.__name__[3:]}" in text
    assert advice(lambda: kind(**SMALL, standardize=True).fit(scaled, y)) == []
    for factor in (100, 0.01):
        scaled = x * np.r_[factor, np.ones(x.shape[1] - 1)]
        texts = advice(lambda x=scaled: kind(**SMALL).fit(x, y))
        assert [t for t in texts if "thousandfold" in t] == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_with_the_same_range_have_one_scale(dtype):
    n = 5000
    rare = (np.arange(n) == 7).astype(float)  # a deviation of 0.014
    columns = {
        "wide": 20 * RNG.normal(size=n),
        "rare": rare,
        "constant": np.full(n, 0.1) * (1 + 1e-16 * RNG.normal(size=n)),
        "zero": np.zeros(n),
    }
    x = np.column_stack(list(columns.values())).astype(dtype)
    small, large = _advice._range_of_spreads(x)
    assert (small, large) == (1, 1)
    small, large = _advice._range_of_spreads(x * dtype(1) * np.array([50, 1, 1, 1], dtype))
    assert small == pytest.approx(rare.std(), rel=1e-4)
    assert large == pytest.approx(1000 * columns["wide"].std() / 20, rel=1e-4)
    assert _advice._range_of_spreads(np.zeros((3, 2), dtype)) == (1, 1)


def test_spreads_of_sparse_columns():
    x = np.where(RNG.random((500, 200)) < 0.02, RNG.normal(2, 1, (500, 200)), 0)
    x[:, 0] *= 1e4
    x[:, 4] = 0
    csr = sparse.csr_array(x)
    rows = CsrRows(csr.data, csr.indices, csr.indptr, 200)
    np.testing.assert_allclose(_advice._range_of_spreads(rows), _advice._range_of_spreads(x))
    assert _advice._range_of_spreads(rows)[1] > 1000
    call = MLPRegressor(**SMALL, max_iter=2).fit
    texts = advice(lambda: call(csr, 1e4 + x[:, 1]))
    assert len(texts) == 2 and "thousandfold" in texts[0] and "worse than" in texts[1]
    x[:, 0] /= 1e4
    assert advice(lambda: MLPRegressor(**SMALL).fit(sparse.csc_matrix(x), x[:, 1])) == []


def test_spreads_of_many_rows_and_of_huge_values(monkeypatch):
    x = np.column_stack([RNG.normal(5, 1e3, 1000), RNG.normal(2000, 1, 1000)])
    monkeypatch.setattr(_advice, "_BLOCK", 700)  # rows in three parts
    np.testing.assert_allclose(_advice._range_of_spreads(x), sorted(x.std(axis=0)))
    np.testing.assert_allclose(
        _advice._range_of_spreads(1e304 * x), 1e304 * np.sort(x.std(axis=0)), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (MLPRegressor(), 1e4 + ROWS[:, 0]),
        (MLPRegressor(), np.c_[1e4 + ROWS[:, 0], ROWS]),
        (MLPRegressor("poisson", learning_rate_init=0.3, activation="identity"),
         np.exp(np.abs(ROWS[:, 0] * 3)).round()),
        (MLPRegressor(solver="lbfgs", max_fun=1), 1e4 + ROWS[:, 0]),
        (MLPRegressor(early_stopping=True), 1e4 + ROWS[:, 0]),
    ],
    ids=["mean", "outputs", "poisson", "lbfgs", "stopped"],
)  # fmt: skip
def test_a_fit_worse_than_the_mean(estimator, y):
    estimator.set_params(max_iter=5, random_state=0, hidden_layer_sizes=(8,))
    (text,) = advice(lambda: estimator.fit(ROWS, y))
    assert re.match(
        r"The fit is worse than predicting the mean of y: the loss of the training", text
    )
    assert "standardize=True" in text and "fastmlp.sklearn.TabularRegressor" in text
    loss, constant = map(float, re.findall(r"(?:rows is|of y) ([\d.e+]+)[,.]", text))
    if estimator.loss == "squared_error":
        assert constant == pytest.approx(y.var(axis=0).mean() / 2, rel=0.01) or (
            estimator.early_stopping
        )
        right = np.mean((estimator.predict(ROWS) - y) ** 2) / 2
        assert loss == pytest.approx(right, rel=0.01) or estimator.early_stopping
    assert loss > constant


@pytest.mark.parametrize("y", [TWO, CLASSES, LABELS], ids=["two", "three", "labels"])
def test_a_fit_worse_than_the_class_shares(y):
    model = MLPClassifier(hidden_layer_sizes=(30,), max_iter=3, random_state=0)
    texts = advice(lambda: model.fit(100 * IRIS, y))
    (text,) = texts
    assert "worse than predicting the class shares" in text
    assert "fastmlp.sklearn.TabularClassifier" in text
    shares = np.bincount(y) / len(y) if y.ndim == 1 else None
    if shares is not None:
        entropy = -(shares * np.log(shares)).sum()
        assert f"of the class shares {entropy:.3g}." in text


def test_weights_count_in_the_mean():
    x, y = ROWS[:, :1], np.r_[np.zeros(150), np.full(150, 50.0)]
    weight = np.r_[np.ones(150), np.zeros(150)] + 1e-6
    model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=200, random_state=0)
    unweighted = advice(lambda: model.fit(x, y))
    (text,) = advice(lambda: model.fit(x, y, sample_weight=weight))
    assert len(unweighted) == 1 and "of the mean of y 312" in unweighted[0]
    assert "of the mean of y 0.00125." in text


def test_other_remedies_where_the_columns_are_scaled():
    model = MLPClassifier(**SMALL, standardize=True, learning_rate_init=5, max_iter=20)
    (text,) = advice(lambda: model.fit(IRIS, CLASSES))
    assert "standardize" not in text and "another learning rate" in text
    assert "TabularClassifier" in text


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_ordinary_use_gives_no_advice(solver, standardize):
    options = SMALL | {"solver": solver, "standardize": standardize, "max_iter": 40}
    rate = {} if solver == "lbfgs" else {"learning_rate_init": 0.01}
    cancer = StandardScaler().fit_transform(load_breast_cancer().data)
    digits, digit = load_digits(return_X_y=True)

    def fits():
        MLPRegressor(**options, **rate).fit(X, Y)
        MLPRegressor(**options, **rate).fit(X, np.c_[Y, Y**2 - 1])
        MLPRegressor("poisson", **options, **rate).fit(X, COUNTS)
        for y in (TWO, CLASSES, LABELS):
            MLPClassifier(**options, **rate).fit(IRIS, y)
        MLPClassifier(**options, **rate).fit(cancer, load_breast_cancer().target)
        MLPClassifier(**options).fit(digits[:300], digit[:300])
        noise = RNG.normal(size=len(X))
        MLPRegressor(**options, **rate, alpha=10).fit(X, noise)
        MLPRegressor(**options).fit(X, np.zeros(len(X)))  # the mean is perfect
        MLPRegressor(**options).fit(X, np.full(len(X), 0.1))
        MLPClassifier(**options).fit(IRIS, np.ones(len(IRIS), int))

    assert advice(fits) == []


def test_partial_fit_speaks_of_scales_once_and_of_no_fit():
    model, x = MLPRegressor(**SMALL), X * np.r_[1e4, np.ones(9)]
    assert len(advice(lambda: model.partial_fit(x, 1e4 * Y))) == 1
    assert advice(lambda: model.partial_fit(x, 1e4 * Y)) == []
