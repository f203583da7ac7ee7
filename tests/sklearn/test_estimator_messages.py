"""Warnings, errors and printed lines of the estimators."""

import importlib
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastmlp.sklearn import MLPClassifier, MLPRegressor, _monitor

from .samples import BOTH, CLASSES, IRIS, SMALL, TWO, X, Y, assert_same

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_not_converged_and_converged(capsys):
    with pytest.warns(ConvergenceWarning, match="not converged after max_iter=3 epochs"):
        ours = MLPRegressor(**SMALL, max_iter=3, verbose=True).fit(X, Y)
    assert not ours.converged_
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Iteration {i + 1}, loss = {v:.8f}" for i, v in enumerate(ours.loss_curve_)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = MLPRegressor(**SMALL, tol=10, verbose=True, learning_rate_init=0.03).fit(X, Y)
    assert ours.converged_ and ours.n_iter_ == 12
    assert "has not improved by tol=10 for more than 10 epochs" in capsys.readouterr().out
    options = {"early_stopping": True, "max_iter": 2, "verbose": True}
    with pytest.warns(ConvergenceWarning):
        ours = MLPClassifier(**SMALL, **options).fit(IRIS, CLASSES)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1::2] == [f"Validation score: {score:f}" for score in ours.validation_scores_]


def test_adaptive_learning_rate_ends_small(capsys):
    ours = MLPRegressor(**SMALL, solver="sgd", learning_rate="adaptive", tol=1, verbose=1)
    ours.fit(X, Y)
    assert ours.converged_ and ours._optimizer.learning_rate == pytest.approx(1e-3 / 5**5)
    assert capsys.readouterr().out.count("learning rate lowered") == 5


@BOTH
def test_ctrl_c_keeps_the_model(kind, x, y, monkeypatch):
    note = _monitor.TrainingMonitor.note

    def interrupted(self, loss):
        note(self, loss)
        if self.estimator.n_iter_ == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(_monitor.TrainingMonitor, "note", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        ours = kind(**SMALL, verbose=True).fit(x, y)
    monkeypatch.undo()
    assert_same(ours, kind(**SMALL, max_iter=4).fit(x, y))


@pytest.mark.parametrize("options", [
    {"tol": 1e-3},
    {"tol": 0.5, "n_iter_no_change": 3},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 5},
    {"tol": 0.0, "n_iter_no_change": float("inf"), "max_iter": 50},
])  # fmt: skip
def test_epochs_that_cannot_be_the_last_pass_unseen(options, monkeypatch):
    """Fewer looks, and no other result: a fit that prints its epochs looks at each."""
    looks = []
    end = _monitor.TrainingMonitor.on_epoch_end
    monkeypatch.setattr(
        _monitor.TrainingMonitor,
        "on_epoch_end",
        lambda self, *args: [looks.append(1), end(self, *args)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        each = MLPRegressor(**SMALL | options, verbose=True).fit(X, Y)
        assert len(looks) == each.n_iter_
        looks.clear()
        few = MLPRegressor(**SMALL | options).fit(X, Y)
    assert 1 <= len(looks) <= each.n_iter_ / 2
    assert few.n_iter_ == each.n_iter_ and few.converged_ == each.converged_
    assert few.loss_curve_ == each.loss_curve_ and few.best_loss_ == each.best_loss_
    assert_same(few, each)


def test_divergence():
    options = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1e6}
    with pytest.raises(ValueError, match=r"Training diverged in epoch \d+: .*or scaled data"):
        MLPRegressor(**SMALL, **options).fit(X, Y)
    options |= {"learning_rate_init": 3.0, "early_stopping": True}
    with pytest.warns(ConvergenceWarning, match=r"Training diverged .* The best weights are kept"):
        ours = MLPRegressor(**SMALL, **options).fit(X, Y)
    assert np.isnan(ours.validation_scores_[-1]) and len(ours.validation_scores_) == ours.n_iter_
    assert np.isfinite(ours.predict(X)).all()
    with pytest.raises(ValueError, match="not finite"):
        MLPRegressor(solver="lbfgs", **SMALL).fit(1e300 * X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must hold positive integers"),
        ({"hidden_layer_sizes": "3"}, r"hidden_layer_sizes must hold positive integers"),
        ({"units": "3xx"}, "units must be positive integers such as"),
        ({"units": [2.5]}, "units must hold positive integers"),
        ({"activation": "rleu"}, "Unknown activation: 'rleu'. Did you mean 'relu'?"),
        ({"activation": ["relu", "tanh", "elu"]}, "one per hidden layer: 1 or 1. Received: 3"),
        ({"activation": 3}, "activation must be a name, or a list of them"),
        ({"solver": "adamw"}, "Unknown solver: 'adamw'. Did you mean 'adam'?"),
        ({"alpha": -1}, "alpha must be a finite number of at least 0. Received: alpha=-1"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"batch_size": "all"}, "batch_size must be a positive integer"),
        ({"learning_rate": "optimal"}, "Unknown learning_rate: 'optimal'"),
        ({"learning_rate_init": 0.0}, "learning_rate_init must be a finite number above 0"),
        ({"momentum": 1.1}, r"momentum must be a number in \[0, 1\]"),
        ({"beta_2": 1}, r"beta_2 must be a number in \[0, 1\)"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be a number in \[0, 1\)"),
        ({"n_iter_no_change": 1.5}, "n_iter_no_change must be a positive integer"),
        ({"early_stopping": "auto"}, "early_stopping must be True or False"),
        ({"l1": -0.1}, "l1 must be a finite number of at least 0"),
        ({"l2": [1, 2, 3]}, "l2 must hold one value .* 1 or 2. Received: 3 values"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\)"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout needs solver='adam' or 'sgd'"),
    ],
)
@pytest.mark.parametrize("kind", [MLPRegressor, MLPClassifier])
def test_bad_arguments(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**({"hidden_layer_sizes": 4} | options)).fit(IRIS, TWO)


def test_bad_data_and_calls():
    with pytest.raises(ValueError, match=r"the first argument, must be a name. Received: .*\(3,"):
        MLPRegressor((3, 4)).fit(X, Y)
    with pytest.raises(ValueError, match=r"Unknown loss: 'poison'. Did you mean 'poisson'"):
        MLPRegressor("poison").fit(X, Y)
    with pytest.raises(ValueError, match=r"y must be at least 0 .* for loss='poisson'. Received"):
        MLPRegressor("poisson").fit(X, Y)
    with pytest.raises(ValueError, match=r"together. Received: y_val=None"):
        MLPRegressor().fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match=r"as many columns as y, 1. Received: 2"):
        MLPRegressor().fit(X, Y, X_val=X, y_val=np.c_[Y, Y])
    with pytest.raises(ValueError, match="X_val needs solver='adam' or 'sgd'"):
        MLPRegressor(solver="lbfgs").fit(X, Y, X_val=X, y_val=Y)
    with pytest.raises(ValueError, match=r"validation set is too small.* of 5 rows"):
        MLPRegressor(early_stopping=True).fit(X[:5], Y[:5])
    with pytest.raises(ValueError, match="must not all be zero"):
        MLPRegressor().fit(X, Y, sample_weight=np.zeros(len(X)))
    messages = set()
    for row in range(9):  # one row has weight: it is trained on, or it is held out
        with pytest.raises(ValueError, match="must not all be zero") as caught:
            MLPRegressor(**SMALL, early_stopping=True, validation_fraction=0.3).fit(
                X[:9], Y[:9], sample_weight=np.arange(9) == row
            )
        messages.add(str(caught.value))
    assert len(messages) == 2
    with pytest.raises(ValueError, match="sample_weight must be at least 0"):
        MLPRegressor().fit(X, Y, sample_weight=-np.ones(len(X)))
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        MLPClassifier().partial_fit(IRIS, CLASSES)
    ours = MLPClassifier(**SMALL).partial_fit(IRIS, CLASSES, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"classes must be those of the first call, \[0 1 2\]"):
        ours.partial_fit(IRIS, CLASSES, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y must hold classes of \[0 1 2\]. Received: \[7\]"):
        ours.partial_fit(IRIS, np.full(len(IRIS), 7))
    with pytest.raises(ValueError, match="class_weight='balanced' needs all of y"):
        MLPClassifier(class_weight="balanced").partial_fit(IRIS, TWO, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y must be classes of shape \(n,\), or labels"):
        MLPClassifier().fit(IRIS, np.c_[CLASSES, CLASSES])
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(IRIS)
    with pytest.warns(UserWarning, match="batch_size=1000 is reduced to the 150 rows"):
        MLPClassifier(**SMALL, batch_size=1000, max_iter=1).fit(IRIS, CLASSES)


def test_without_scikit_learn_one_clear_error(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fastmlp.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn.*pip install 'fastmlp\[sklearn\]'"):
        importlib.import_module("fastmlp.sklearn")
