"""Options of the estimators that have no effect beside the others: a warning, each of them."""

import re
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from fastmlp.sklearn import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)
OTHER = {
    "batch_size": 10, "learning_rate": "adaptive", "learning_rate_init": 0.1, "power_t": 0.3,
    "shuffle": False, "momentum": 0.5, "nesterovs_momentum": False, "early_stopping": True,
    "validation_fraction": 0.2, "beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-3,
    "n_iter_no_change": 3, "max_fun": 100, "alpha": 0.1, "max_iter": 3, "tol": 1e-3,
    "warm_start": True, "random_state": 1, "l1": 0.01, "l2": 0.01, "units": "4",
    "standardize": True, "activation": "tanh", "verbose": True, "hidden_layer_sizes": (5,),
    "dropout": 0.1, "class_weight": "balanced", "loss": "poisson",
}  # fmt: skip
WITHOUT_EFFECT = {
    "adam": {"learning_rate", "power_t", "momentum", "nesterovs_momentum", "max_fun",
             "validation_fraction"},
    "sgd": {"beta_1", "beta_2", "epsilon", "max_fun", "power_t", "validation_fraction"},
    "lbfgs": {"batch_size", "learning_rate", "learning_rate_init", "power_t", "shuffle",
              "momentum", "nesterovs_momentum", "early_stopping", "validation_fraction", "beta_1",
              "beta_2", "epsilon", "n_iter_no_change"},
}  # fmt: skip


def names_warned(estimator, **data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X, Y, **data)
    texts = [str(w.message) for w in caught if str(w.message).startswith("No effect of")]
    assert all(w.filename == __file__ for w in caught if str(w.message).startswith("No effect"))
    found = {name for t in texts for name in re.findall(r"(\w+)=", t.split(": ")[0])}
    return found


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_each_option_without_effect_is_named(cls, solver, capsys):
    known = cls().get_params()
    assert names_warned(cls(solver=solver, hidden_layer_sizes=(4,))) == set()
    for name in known.keys() - {"solver"}:
        if name == "dropout" and solver == "lbfgs":
            continue  # which is an error
        estimator = cls(**{"solver": solver, "max_iter": 2, name: OTHER[name]})
        expected = {name} & WITHOUT_EFFECT[solver]
        assert names_warned(estimator) == expected, name


def test_options_that_others_replace():
    small = {"max_iter": 2, "units": "4"}
    assert names_warned(MLPClassifier(hidden_layer_sizes=(9,), **small)) == {"hidden_layer_sizes"}
    assert names_warned(MLPClassifier(l2=0.1, alpha=0.3, **small)) == {"alpha"}
    sgd = {"solver": "sgd", **small}
    assert names_warned(MLPClassifier(learning_rate="invscaling", power_t=0.3, **sgd)) == set()
    assert names_warned(MLPClassifier(momentum=0, nesterovs_momentum=False, **sgd)) == {
        "nesterovs_momentum"
    }
    stops = MLPClassifier(early_stopping=True, validation_fraction=0.3, **small)
    assert names_warned(stops) == set()
    assert names_warned(stops, X_val=X, y_val=Y) == {"validation_fraction"}


def test_a_refused_fit_leaves_an_estimator_as_it_was():
    for fitted in (False, True):
        model = MLPClassifier(units="4", max_iter=2, random_state=1, warm_start=fitted)
        if fitted:
            with pytest.warns(UserWarning, match="not converged"):
                model.fit(X, Y)
        before = dict(vars(model))
        for call in (
            lambda m: m.fit(np.ones((5, 9)), Y),
            lambda m: m.fit(X, Y, sample_weight=np.ones(3)),
            lambda m: m.fit(X, Y, X_val=X),
            lambda m: m.fit(X, Y, X_val=X[:, :1], y_val=Y),
            lambda m: m.partial_fit(X, Y, classes=[0]),
            lambda m: m.partial_fit(X, Y, sample_weight=np.ones(3), classes=[0, 1]),
        ):
            with pytest.raises(ValueError):
                call(model)
            assert vars(model).keys() == before.keys()
            assert all(vars(model)[name] is before[name] for name in before)
