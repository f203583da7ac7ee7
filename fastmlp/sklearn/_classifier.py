"""MLPClassifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ._base import BaseMLP, has_epochs
from ._parameters import keep


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classes, with scikit-learn's parameters and fastmlp's kernels.

    It minimises the log loss: of a softmax for three classes or more, else of a logistic output
    for the second class or, with y of shape (n, k), for each of k labels, summed.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Widths of the hidden layers. See units.
    activation : str or list of str
        Of the hidden layers, or of each: 'identity', 'logistic', 'tanh', 'relu', 'leaky_relu',
        'elu', 'gelu', 'silu', 'softplus', 'softmax'.
    solver : {'adam', 'sgd', 'lbfgs'}
        'lbfgs' takes all rows at every step, in float64; it knows no epochs, so no early
        stopping, and no dropout.
    alpha : float
        The penalty alpha / 2 * sum(w**2) of all weights is divided by the rows of a batch, as
        scikit-learn does; where the last batch is smaller, by the batches' harmonic mean. See l2.
    batch_size : int or 'auto'
        'auto' means 200, or all rows if there are fewer. Not used by 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}
        For 'sgd'. 'invscaling' divides learning_rate_init by t**power_t after t rows;
        'adaptive' divides it by 5 when training would else stop, down to 1e-6.
    learning_rate_init : float
    power_t : float
    max_iter : int
        Epochs of 'adam' and 'sgd', iterations of 'lbfgs'.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    random_state : int, RandomState instance or None
        Of initial weights, split, order and dropout: one int, the same bits every time.
    tol : float
        A loss (or score, with early stopping) must improve by this much to count as progress;
        'lbfgs' ends when no entry of the gradient is larger.
    verbose : bool
        Whether to print a line an epoch.
    warm_start : bool
        Whether fit goes on from the weights of the fit before.
    momentum : float
    nesterovs_momentum : bool
        For 'sgd'.
    early_stopping : bool
        Whether to hold out rows, to stop when their score makes no progress, and to end with
        the weights of the best epoch.
    validation_fraction : float
        The share of rows held out, of each class alike where there are two.
    beta_1, beta_2, epsilon : float
        For 'adam'.
    n_iter_no_change : int or inf
        More epochs than this without progress end training.
    max_fun : int
        Evaluations of the loss that 'lbfgs' may make.
    units : str or list of int, optional
        Hidden layers as one value to search over, such as "256x3" or "64,32"; used instead of
        hidden_layer_sizes.
    l1 : float or list of float
        Adds l1 * sum(abs(w)) to the loss: one for all layers, or one per layer, output included.
        With solver='lbfgs' weights become exactly 0.
    l2 : float or list of float, optional
        Adds l2 * sum(w**2), Keras's convention: not halved and not divided by rows. Used
        instead of alpha, likewise one or per layer.
    dropout : float or list of float
        Share of outputs of the hidden layers, or of each, set to 0 while training.
    standardize : bool
        Whether to bring the columns of X to mean 0 and standard deviation 1, learned from the
        first rows trained on. Weights are those in that scale.
    class_weight : dict, 'balanced' or None
        Weights of classes; 'balanced' makes each count the same. They multiply sample_weight.

    Attributes
    ----------
    classes_ : ndarray
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) by layer; changing them changes the model.
    loss_ : float
        Of the last epoch.
    loss_curve_ : list of float
        By epoch. Not set by 'lbfgs'.
    best_loss_ : float or None
        The smallest; None with early stopping.
    validation_scores_, validation_loss_curve_ : list of float or None
        By epoch; accuracy and loss without penalty on the validation data.
    best_validation_score_ : float or None
    converged_ : bool
        Whether training ended because there was no more progress.
    n_iter_ : int
        Epochs or iterations of the last fit.
    t_ : int
        Rows trained on, counted anew in each epoch.
    n_layers_ : int
        Input and output included.
    n_outputs_ : int
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X had names of columns.
    x_mean_, x_scale_ : ndarray
        If standardized.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastmlp.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(units="16", solver="lbfgs", standardize=True, random_state=0)
    >>> model.fit(X, y).score(X, y)
    1.0
    """

    classes_: np.ndarray

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        units: Any = None,
        l1: Any = 0.0,
        l2: Any = None,
        dropout: Any = 0.0,
        standardize: bool = False,
        class_weight: Any = None,
    ) -> None:
        keep(self, locals())

    @available_if(has_epochs)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Any:
        """Train for one epoch on X and y, from where the last call ended.

        With ``early_stopping=True`` every call is scored, on X_val and y_val or on a share of X
        (for as many rows, in every call the same). When more than `n_iter_no_change` calls have
        brought no progress, the best weights are put back and `converged_` is True.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), optional
        classes : array-like, optional
            Every class there will be; the first call needs it, unless y is multi-label.
        X_val, y_val : array-like, optional

        Returns
        -------
        self
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be given in the first call of partial_fit")
        return self._fit(X, y, sample_weight, X_val, y_val, incremental=True, classes=classes)

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_labels) of 0 and 1 if multi-label
        """
        codes = self._codes(self._predicted(X))
        return codes if self._multilabel else self.classes_[codes]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities of classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; each label's own if multi-label.
        """
        predicted = self._predicted(X)
        if self._multilabel or len(self.classes_) > 2:
            return predicted
        if len(self.classes_) == 1:
            return np.ones_like(predicted)
        return np.concatenate([1 - predicted, predicted], axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @property
    def _multilabel(self) -> bool:
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _codes(self, predicted: np.ndarray) -> np.ndarray:
        """Return class indices (n,), or labels 0 and 1 (n, k) if multi-label."""
        if self._multilabel:
            return (predicted > 0.5).astype(int)
        if predicted.shape[1] > 1:
            return predicted.argmax(axis=1)
        return (predicted[:, 0] > 0.5).astype(int) * (len(self.classes_) > 1)

    def _target(self, y: Any, fresh: bool, incremental: bool, classes: Any) -> np.ndarray:
        y = _labels(y)
        seen = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
        if classes is not None and y.ndim == 1:
            classes = np.unique(classes)
            if not fresh and hasattr(self, "classes_") and not _same(classes, self.classes_):
                raise ValueError(
                    f"classes must be those of the first call, {self.classes_}. Received: {classes}"
                )
        if fresh or not hasattr(self, "classes_"):
            self.classes_ = seen if classes is None or y.ndim == 2 else classes
        elif not incremental and not _same(seen, self.classes_):
            raise ValueError(
                f"warm_start needs the classes of the fit before, {self.classes_}. "
                f"Received: {seen} in y"
            )
        return self._codes_of(y)

    def _encoded(self, y: Any) -> np.ndarray:
        return self._codes_of(_labels(y))

    def _codes_of(self, y: np.ndarray) -> np.ndarray:
        if y.ndim == 2:
            return y.astype(np.float64)
        unseen = np.setdiff1d(y, self.classes_)
        if len(unseen):
            raise ValueError(f"y must hold classes of {self.classes_}. Received: {unseen}")
        return np.searchsorted(self.classes_, y).astype(np.float64).reshape(-1, 1)

    def _last_layer(self, y: np.ndarray) -> tuple[str, int]:
        if y.shape[1] > 1:
            return "logistic", y.shape[1]
        return ("softmax", len(self.classes_)) if len(self.classes_) > 2 else ("logistic", 1)

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        right = self._codes(predicted).reshape(y.shape) == y
        return float(np.average(right.all(axis=1), weights=weight))

    def _class_weights(self, y: Any, incremental: bool) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all of y at once: give partial_fit a dict of "
                "class to weight. Received: class_weight='balanced'"
            )
        return compute_sample_weight(self.class_weight, y)

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return self.classes_[y[:, 0].astype(int)] if self.n_outputs_ == 1 else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _labels(y: Any) -> np.ndarray:
    """Return y as classes (n,), or as labels 0 and 1 (n, k)."""
    if sparse.issparse(y):
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            "y must be classes of shape (n,), or labels 0 and 1 of shape (n, k). "
            f"Received: classes of shape {y.shape}"
        )
    if kind not in ("binary", "multiclass", "multilabel-indicator"):
        check_classification_targets(y)  # scikit-learn's error
    return y


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) == len(b) and bool((a == b).all())
