"""TabularRegressor and TabularClassifier: `fastmlp.fit` with scikit-learn's methods."""

import inspect
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import fastmlp
from fastmlp.sklearn import TabularClassifier, TabularRegressor

RNG = np.random.default_rng(0)
N = 90
FAST = {"units": "4", "epochs": 2, "validation_split": 0.25, "random_state": 0}
BETTER = FAST | {"units": "16", "epochs": 30, "learning_rate": 0.01}


@pytest.mark.parametrize("kind", [TabularRegressor, TabularClassifier])
def test_scikit_learns_checks(kind):
    quick = kind(units="8", epochs=15, validation_split=0, learning_rate=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(quick)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TabularRegressor, TabularClassifier])
def test_scikit_learns_checks_of_the_defaults(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(kind())


@pytest.mark.parametrize("kind", [TabularRegressor, TabularClassifier])
def test_arguments_are_those_of_fit(kind):
    theirs = inspect.signature(fastmlp.fit).parameters
    ours = inspect.signature(kind).parameters
    assert {name for name in ours if name not in theirs} == {"random_state"}
    different = {name for name, p in ours.items() if name in theirs
                 and p.default != theirs[name].default}  # fmt: skip
    assert different == {"verbose"} and ours["verbose"].default == 0
    of_files = {"delimiter", "decimal", "thousands", "encoding", "comment", "header", "missing",
                "dates", "sheet"}  # fmt: skip
    given_otherwise = {"data", "target", "task", "weight", "validation", "seed"}
    others = {"loss", "target_transform"} if kind is TabularClassifier else {
        "class_weight", "threshold", "cost"}  # fmt: skip
    assert theirs.keys() - ours.keys() == of_files | given_otherwise | others


def test_lists_of_numbers_and_text():
    x = [[size, kind] for size, kind in zip(range(20), "ab" * 10, strict=True)]
    ours = TabularRegressor(**FAST).fit(x, range(20))
    kinds = [column.kind for column in ours.model_.preprocessing.columns]
    assert kinds == ["numeric", "categorical"] and ours.n_features_in_ == 2
    numbers = TabularRegressor(**FAST).fit(RNG.normal(size=(20, 3)), range(20))
    assert [c.name for c in numbers.model_.preprocessing.columns] == ["x1", "x2", "x3"]


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["b", "a", "c"]), np.array([10, 9, 100]), np.array([True, False]),
        np.array([2.0, -1.0]), np.array(["a", "a "]), np.array(["", "x"]), np.array(["NA", "n"]),
        np.array(["2024-01-01", "2024-02-01"]),
    ],
    ids=str,
)  # fmt: skip
def test_classes_of_any_kind(labels):
    y = labels[np.arange(N) % len(labels)]
    x = np.c_[np.arange(N) % len(labels), RNG.normal(size=N)]
    ours = TabularClassifier(**FAST | {"epochs": 20, "learning_rate": 0.05}).fit(x, y)
    assert np.array_equal(ours.classes_, np.unique(labels))
    p = ours.predict_proba(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(ours.predict_log_proba(x), np.log(p))
    assert ours.predict(x).dtype == ours.classes_.dtype
    assert np.array_equal(ours.predict(x), ours.classes_[p.argmax(axis=1)])
    assert ours.score(x, y) > 0.9
    own = clone(ours).fit(x, y, X_val=x[:20], y_val=y[:20])
    assert own.model_.held_out is not None


def test_other_weights_multiply_the_loss(monkeypatch):
    y = np.where(np.arange(N) < N // 2, 0.0, 10.0)
    x, weight = np.ones((N, 1)) * RNG.normal(size=(N, 1)), np.where(y > 0, 0.125, 1.5)
    options = BETTER | {"l2": 10.0}  # leaves little more than the mean
    found = TabularRegressor(**options).fit(x, y, weight).predict(x)
    assert found.mean() < 2.5 < TabularRegressor(**options).fit(x, y).predict(x).mean()
    # Beyond the number of rows up to which they count, whole numbers do so as well.
    monkeypatch.setattr("fastmlp.sklearn._frames._COUNTED_ROWS", 50)
    found = TabularRegressor(**options).fit(x, y, 8 * weight).predict(x)
    assert found.mean() < 2.5


def test_class_weights():
    x, y = RNG.normal(size=(N, 2)), np.where(np.arange(N) % 3, "no", "yes")
    shares = {}
    for weight in (None, "balanced", {"yes": 20.0}, {"yes": 20.0, "no": 1.0}):
        ours = TabularClassifier(**BETTER, class_weight=weight, l2=0.1).fit(x, y)
        shares[str(weight)] = ours.predict_proba(x)[:, 1].mean()
    few, equal, many, same = shares.values()
    assert few < 0.4 < equal < 0.6 < many == same
    with pytest.raises(ValueError, match=r"must name classes, \['no' 'yes'\]. Received: 'maybe'"):
        TabularClassifier(**FAST, class_weight={"maybe": 2}).fit(x, y)


def test_a_class_whose_rows_weigh_nothing_has_probability_0():
    x, y = RNG.normal(size=(N, 2)), np.arange(N) % 3
    ours = TabularClassifier(**FAST, interval=0.5).fit(x, y, sample_weight=1.0 * (y != 1))
    p = ours.predict_proba(x)
    assert p.shape == (N, 3) and (p[:, 1] == 0).all() and (p[:, [0, 2]] > 0).all()
    assert set(ours.predict(x)) <= {0, 2} and not ours.predict_interval(x)[:, 1].any()


def test_a_refused_fit_leaves_the_estimator_as_it_was():
    x, y = RNG.normal(size=(N, 2)), np.arange(N) % 3
    ours = TabularClassifier(**FAST).fit(x, y)
    before = dict(vars(ours))
    for call in (
        lambda: ours.fit(x[:, :1], y[1:]),
        lambda: ours.fit(np.c_[x, x], np.ones(N)),
        lambda: ours.fit(np.c_[x, x], y == 1, X_val=x),
        lambda: ours.fit(x, y + 1, sample_weight=-np.ones(N)),
    ):
        with pytest.raises(ValueError):
            call()
        assert vars(ours).keys() == before.keys()
        assert all(vars(ours)[name] is before[name] for name in before)
