"""TabularRegressor and TabularClassifier with frames, which have text, dates and missing values."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("narwhals")

import pandas
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import fastmlp
from fastmlp.errors import DataError
from fastmlp.sklearn import TabularClassifier, TabularRegressor

RNG = np.random.default_rng(0)
N = 90
FRAME = pandas.DataFrame(
    {
        "area": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(60, 20, N)),
        "zone": RNG.choice(["north", "south", None], N),
        "built": pandas.date_range("2001-02-03", periods=N, freq="40D"),
        "sold": pandas.date_range("2020-01-01", periods=N).strftime("%d/%m/%Y"),
        "lift": RNG.random(N) < 0.5,
    }
)
PRICE = pandas.Series(
    3 * FRAME.area.fillna(60) + 50 * (FRAME.zone == "north") + RNG.normal(0, 5, N), name="price"
)
SALE = np.where(PRICE.median() < PRICE, "slow", "fast")
FAST = {"units": "4", "epochs": 2, "validation_split": 0.25, "random_state": 0}
BETTER = FAST | {"units": "16", "epochs": 30, "learning_rate": 0.01}
KINDS = [(TabularRegressor, PRICE), (TabularClassifier, SALE)]
BOTH = pytest.mark.parametrize(("kind", "y"), KINDS, ids=["regressor", "classifier"])


def answers(model, x):
    """Return predictions: values, or probabilities."""
    return model.predict_proba(x) if hasattr(model, "predict_proba") else model.predict(x)


@BOTH
def test_a_frame_gives_the_bits_of_fit(kind, y):
    ours = kind(**FAST).fit(FRAME, y)
    options = {name: value for name, value in FAST.items() if name != "random_state"}
    theirs = fastmlp.fit(FRAME.assign(y=y), "y", seed=0, verbose=0, **options)
    assert np.array_equal(ours.predict(FRAME), theirs.predict(FRAME))
    assert ours.model_.decisions == theirs.decisions
    assert ours.model_.held_out.network == pytest.approx(theirs.held_out.network)
    assert ours.model_.target == ("price" if kind is TabularRegressor else "y")
    assert list(ours.feature_names_in_) == list(FRAME.columns) and ours.n_features_in_ == 5


@BOTH
def test_they_learn_from_text_dates_and_missing_values(kind, y):
    ours = kind(**BETTER).fit(FRAME, y)
    assert ours.score(FRAME, y) > 0.7
    kept = {column.name: column.kind for column in ours.model_.preprocessing.columns}
    assert kept == {"area": "numeric", "zone": "categorical", "built": "date", "sold": "date",
                    "lift": "boolean"}  # fmt: skip
    # The order of day and month is that of the training, even where a row does not show it.
    assert np.array_equal(answers(ours, FRAME[:1]), answers(ours, FRAME)[:1])
    unseen = FRAME[:3].assign(zone="west", area=np.nan)
    assert np.isfinite(np.asarray(answers(ours, unseen), float)).all()


@BOTH
@pytest.mark.parametrize("container", ["polars", "pyarrow", "array"])
def test_other_containers_give_the_same(kind, y, container):
    if container == "polars":
        x = pytest.importorskip("polars").from_pandas(FRAME)
    elif container == "pyarrow":
        x = pytest.importorskip("pyarrow").Table.from_pandas(FRAME, preserve_index=False)
    else:
        x = FRAME.to_numpy(object)
    ours, expected = kind(**FAST).fit(x, y), kind(**FAST).fit(FRAME, y)
    assert np.array_equal(answers(ours, x), answers(expected, FRAME))
    weight = np.arange(N) % 3  # rows are taken, and repeated
    assert np.array_equal(
        answers(clone(ours).fit(x, y, weight), x),
        answers(clone(expected).fit(FRAME, y, weight), FRAME),
    )


def test_columns_are_matched_as_scikit_learn_matches_them():
    ours = TabularRegressor(**FAST).fit(FRAME, PRICE)
    expected = ours.predict(FRAME)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert np.array_equal(ours.predict(FRAME.to_numpy(object)), expected)
    with pytest.raises(ValueError, match="feature names should match"):
        ours.predict(FRAME[list(FRAME.columns[::-1])])
    with pytest.raises(ValueError, match="expecting 5 features"), pytest.warns(UserWarning):
        ours.predict(np.zeros((2, 4)))
    by_place = TabularRegressor(**FAST).fit(FRAME.to_numpy(object), PRICE)
    with pytest.warns(UserWarning, match="has feature names, but"):
        assert np.array_equal(by_place.predict(FRAME), expected)


def test_several_targets():
    y = pandas.DataFrame({"price": PRICE, "rent": PRICE / 100})
    ours = TabularRegressor(**FAST).fit(FRAME, y)
    assert ours.predict(FRAME).shape == (N, 2) and ours.model_.target == ["price", "rent"]
    assert TabularRegressor(**FAST).fit(FRAME, y.to_numpy()).model_.target == ["y1", "y2"]
    taken = FRAME.rename(columns={"area": "price"})
    assert TabularRegressor(**FAST).fit(taken, PRICE).model_.target == "price_"


@BOTH
def test_whole_weights_count_rows_in_any_order(kind, y):
    times = RNG.integers(0, 3, N)
    order = RNG.permutation(N)
    repeated = np.repeat(np.arange(N), times)
    weighted = kind(**FAST).fit(FRAME.iloc[order], np.asarray(y)[order], times[order])
    counted = kind(**FAST).fit(FRAME.iloc[repeated], np.asarray(y)[repeated])
    assert np.array_equal(answers(weighted, FRAME), answers(counted, FRAME))
    plain = kind(**FAST).fit(FRAME, y)
    assert not np.array_equal(answers(weighted, FRAME), answers(plain, FRAME))
    for one in (np.ones(N), np.full(N, 0.3), 2.0):
        assert np.array_equal(answers(kind(**FAST).fit(FRAME, y, one), FRAME),
                              answers(plain, FRAME))  # fmt: skip


def test_own_rows_to_judge_by():
    ours = TabularRegressor(**BETTER | {"validation_split": None})
    ours.fit(FRAME[:60], PRICE[:60], X_val=FRAME[60:], y_val=PRICE[60:])
    assert ours.model_.held_out.n_rows == 30
    weighted = clone(ours)
    weighted.fit(FRAME[:60], PRICE[:60], RNG.random(60), X_val=FRAME[60:], y_val=PRICE[60:])
    assert weighted.model_.held_out.n_rows == 30
    with pytest.raises(ValueError, match=r"together. Received: y_val=None"):
        ours.fit(FRAME, PRICE, X_val=FRAME)
    labels = TabularClassifier(**FAST | {"validation_split": None})
    with pytest.raises(ValueError, match=r"y_val must hold classes of .* Received: \['never'\]"):
        labels.fit(FRAME, SALE, X_val=FRAME[:2], y_val=["fast", "never"])


def test_intervals_thresholds_groups_and_times():
    ours = TabularRegressor(**BETTER, interval=0.8).fit(FRAME, PRICE)
    lower, upper = ours.predict_interval(FRAME)
    assert 0.5 < np.mean((lower <= PRICE) & (upper >= PRICE)) < 1
    sets = TabularClassifier(**BETTER, interval=0.9).fit(FRAME, SALE)
    held = sets.predict_interval(FRAME)
    assert held.shape == (N, 2) and held[range(N), (SALE == "slow").astype(int)].mean() > 0.7
    p = TabularClassifier(**BETTER, threshold=0.9).fit(FRAME, SALE)
    assert np.array_equal(p.predict(FRAME) == "slow", p.predict_proba(FRAME)[:, 1] >= 0.9)
    grouped = TabularRegressor(**FAST, group="zone", drop="lift")
    grouped.fit(FRAME.assign(zone=FRAME.zone.fillna("none")), PRICE)
    kept = {column.name for column in grouped.model_.preprocessing.columns}
    assert kept == {"area", "built", "sold"}
    TabularRegressor(**FAST, time="built").fit(FRAME, PRICE)


@BOTH
def test_copies_pickles_and_files(kind, y, tmp_path):
    ours = kind(**FAST).fit(FRAME, y)
    expected = answers(ours, FRAME)
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours), clone(ours).fit(FRAME, y)):
        assert np.array_equal(answers(other, FRAME), expected)
    assert not hasattr(clone(ours), "model_")
    ours.model_.save(tmp_path / "model.fmlp")
    again = fastmlp.tabular.TableModel.load(tmp_path / "model.fmlp")
    assert np.array_equal(again.predict(FRAME), ours.predict(FRAME))
    pytest.importorskip("onnx")
    ours.export(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size > 1000
    with pytest.raises(FileExistsError):
        ours.export(tmp_path / "model.onnx", overwrite=False)


@BOTH
def test_searches_folds_and_pipelines(kind, y):
    search = GridSearchCV(kind(**FAST), {"units": ["3", "4x2"], "impute": ["mean"]}, cv=2)
    search.fit(FRAME, y)
    assert search.best_estimator_.model_.decisions.units in {(3,), (4, 4)}
    assert np.isfinite(cross_val_score(kind(**FAST), FRAME, y, cv=2)).all()
    pipe = make_pipeline(FunctionTransformer(lambda x: x.drop(columns="lift")), kind(**FAST))
    assert pipe.fit(FRAME, y).predict(FRAME).shape == (N,)
    assert pipe[-1].n_features_in_ == 4


@BOTH
def test_random_state(kind, y):
    expected = answers(kind(**FAST, threads=1).fit(FRAME, y), FRAME)
    assert np.array_equal(answers(kind(**FAST, threads=2).fit(FRAME, y), FRAME), expected)
    other = kind(**FAST | {"random_state": 1}).fit(FRAME, y)
    assert not np.array_equal(answers(other, FRAME), expected)
    drawn = [
        answers(kind(**FAST | {"random_state": np.random.RandomState(5)}).fit(FRAME, y), FRAME)
        for _ in range(2)
    ]
    assert np.array_equal(*drawn)
    np.random.seed(3)
    a = answers(kind(**FAST | {"random_state": None}).fit(FRAME, y), FRAME)
    np.random.seed(3)
    assert np.array_equal(a, answers(kind(**FAST | {"random_state": None}).fit(FRAME, y), FRAME))


def test_errors():
    with pytest.raises(NotFittedError):
        TabularRegressor().predict(FRAME)
    assert not hasattr(TabularRegressor(), "model_")
    with pytest.raises(NotFittedError):
        TabularClassifier().export("model.onnx")
    with pytest.raises(ValueError, match=r"at least two classes. Received: one class, 'a'"):
        TabularClassifier().fit(FRAME, ["a"] * N)
    with pytest.raises(ValueError, match=r"y contains NaN or None. Received: None in row 1"):
        TabularClassifier().fit(FRAME, np.array([None, "a"] * 45, object))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        TabularRegressor().fit(FRAME, np.r_[np.nan, PRICE[1:]])
    with pytest.raises(ValueError, match="requires y to be passed"):
        TabularRegressor().fit(FRAME, None)
    with pytest.raises(ValueError, match="Found a table with 1 sample"):
        TabularRegressor().fit(FRAME[:1], PRICE[:1])
    with pytest.raises(ValueError, match=r"Found a table with 0 feature\(s\)"):
        TabularRegressor().fit(FRAME[[]], PRICE)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TabularRegressor().fit(FRAME, PRICE[1:])
    with pytest.raises(DataError, match="row 3, column 'area': 'inf' is not a finite number"):
        TabularRegressor(**FAST).fit(FRAME.assign(area=[1.0, 2.0, np.inf] + [0.5] * 87), PRICE)
    with pytest.raises(ValueError, match="sample_weight must be at least 0"):
        TabularRegressor().fit(FRAME, PRICE, -np.ones(N))
    with pytest.raises(ValueError, match=r"predict_interval needs a model .* interval"):
        TabularRegressor(**FAST).fit(FRAME, PRICE).predict_interval(FRAME)
