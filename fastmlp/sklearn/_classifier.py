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

    It minimises the log loss. Three classes or more have a softmax output, two classes a logistic
    output for the second. With y of shape (n, k), each of k labels has a logistic output, and the
    losses are summed.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Widths of the hidden layers. See units.
    activation : str or list of str
        One for all hidden layers, or one for each: 'identity', 'logistic', 'tanh', 'relu',
        'leaky_relu', 'elu', 'gelu', 'silu', 'softplus', 'softmax'.
    solver : {'adam', 'sgd', 'lbfgs'}
        'lbfgs' takes all rows at every step, in float64. It has neither epochs nor early
        stopping nor dropout.
    alpha : float
        The penalty alpha / 2 * sum(w**2) of all weights is divided by the rows of a batch, as in
        scikit-learn. If the last batch is smaller, it is divided by the harmonic mean of the batch
        sizes. See l2.
    batch_size : int or 'auto'
        'auto' means 200, or all rows if there are fewer. Not used by 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}
        For 'sgd'. 'invscaling' divides learning_rate_init by t**power_t after t rows;
        'adaptive' divides it by 5, down to 1e-6, where training would otherwise stop.
    learning_rate_init : float
    power_t : float
    max_iter : int
        Epochs of 'adam' and 'sgd', iterations of 'lbfgs'.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    random_state : int, RandomState instance or None
        Seeds initial weights, the split, the row order and dropout. An int gives the same bits
        every time.
    tol : float
        A loss (or score, with early stopping) must improve by this much to count as progress.
        'lbfgs' ends when no entry of the gradient is larger.
    verbose : bool
        Whether to print a line for each epoch.
    warm_start : bool
        Whether fit starts from the weights of the previous fit.
    momentum : float
    nesterovs_momentum : bool
        For 'sgd'.
    early_stopping : bool
        Whether to hold out rows, stop when their score makes no progress, and restore the
        weights of the best epoch.
    validation_fraction : float
        Share of rows held out, drawn at random and stratified by class.
    beta_1, beta_2, epsilon : float
        For 'adam'.
    n_iter_no_change : int or inf
        Training ends after more epochs than this without progress.
    max_fun : int
        Largest number of loss evaluations by 'lbfgs'.
    units : str or list of int, optional
        Hidden layers as one value, such as "256x3" or "64,32", for searches. Replaces
        hidden_layer_sizes.
    l1 : float or list of float
        Adds l1 * sum(abs(w)) to the loss. One value for all layers, or one per layer with the
        output layer last. With solver='lbfgs' weights become exactly 0.
    l2 : float or list of float, optional
        Adds l2 * sum(w**2) to the loss, Keras's convention: not halved and not divided by rows.
        One value or one per layer. Replaces alpha.
    dropout : float or list of float
        Share of each hidden layer's outputs set to 0 in training. One value for all hidden layers,
        or one for each.
    standardize : bool
        Whether to scale the columns of X to mean 0 and standard deviation 1. Both are computed
        from the first rows trained on. Weights are in that scale.
    class_weight : dict, 'balanced' or None
        Weight of each class; 'balanced' gives every class the same total weight. They multiply
        sample_weight.

    Attributes
    ----------
    classes_ : ndarray
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer. Changing them changes the model.
    loss_ : float
        Loss of the last epoch.
    loss_curve_ : list of float
        Loss of each epoch. Not set by 'lbfgs'.
    best_loss_ : float or None
        Smallest loss; None with early stopping.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and loss without penalty on the validation data, for each epoch.
    best_validation_score_ : float or None
    converged_ : bool
        Whether training ended for lack of progress, before max_iter.
    n_iter_ : int
        Epochs or iterations of the last fit.
    t_ : int
        Rows trained on; a row counts once in each epoch.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names of X, if it had them.
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        Only with standardize=True.

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

        With ``early_stopping=True`` every call is scored on X_val and y_val, or on rows of X held
        out (the same rows in every call, if their number does not change). After more than
        `n_iter_no_change` calls without progress the best weights are restored and `converged_` is
        True.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), optional
        classes : array-like, optional
            All classes of all calls. Required in the first call unless y is multi-label.
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
            In the order of `classes_`. If multi-label, the probability of each label.
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
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {seen}"
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
        # The names that scikit-learn's error gives to classes that are too small.
        return np.where(y[:, 0] > 0, "True", "False") if self.n_outputs_ == 1 else None

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
