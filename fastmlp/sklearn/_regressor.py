"""MLPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils import column_or_1d

from .._utils import arguments
from ..metrics import r2_score
from ._base import BaseMLP
from ._data import EncodedRows, mean_and_scale
from ._parameters import keep

_LOSSES = {"squared_error": "identity", "poisson": "exp"}


class MLPRegressor(MultiOutputMixin, RegressorMixin, BaseMLP):
    """Multilayer perceptron for regression, with scikit-learn's parameters and fastmlp's kernels.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}
        Half the squared error, or half the Poisson deviance with mean exp(output) for y of at
        least 0. Training minimises the sum over outputs. The reported squared error is the mean
        over outputs, as in scikit-learn.
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
        The share of rows held out, drawn at random.
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
        Whether to scale the columns of X, and y with squared error, to mean 0 and standard
        deviation 1. Both are computed from the first rows trained on. Weights, loss and penalty
        are in that scale.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer. Changing them changes the model.
    loss_ : float
        Loss of the last epoch.
    loss_curve_ : list of float
        Loss of each epoch. Not set by 'lbfgs'.
    best_loss_ : float or None
        Smallest loss; None with early stopping.
    validation_scores_, validation_loss_curve_ : list of float or None
        R squared and loss without penalty on the validation data, for each epoch.
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
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        Only with standardize=True and squared error.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(3 * X[:, 0])
    >>> model = MLPRegressor(units="32x2", solver="lbfgs", random_state=0).fit(X, y)
    >>> round(model.score(X, y), 3)
    1.0
    """

    def __init__(
        self,
        loss: str = "squared_error",
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
    ) -> None:
        keep(self, locals())

    def predict(self, X: Any) -> np.ndarray:
        """Predict y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the element type of the network. In float64 with ``standardize=True``, because
            float32 may be too coarse for the values of y.
        """
        predicted = self._predicted(X)
        if hasattr(self, "y_mean_"):
            predicted = predicted * self.y_scale_ + self.y_mean_
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return `metrics.r2_score` of the predictions for X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
            Mean over outputs; 1 is best. A constant y gives 1 if predicted exactly, else 0.
        """
        return r2_score(y, self.predict(X), sample_weight)

    def _encoded(self, y: Any) -> np.ndarray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return np.asarray(y, np.float64).reshape(len(y), -1)

    def _last_layer(self, y: np.ndarray) -> tuple[str, int]:
        if not isinstance(self.loss, str):
            raise ValueError(
                f"loss, the first argument, must be a name. Received: loss={self.loss!r}"
            )
        return arguments.lookup("loss", self.loss, _LOSSES), y.shape[1]

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return r2_score(y, predicted, weight)

    def _learn_scale(self, rows: EncodedRows) -> None:
        super()._learn_scale(rows)
        for name in ("y_mean_", "y_scale_"):
            self.__dict__.pop(name, None)
        if self.standardize and self.out_activation_ == "identity":
            self.y_mean_, self.y_scale_ = mean_and_scale(rows.y, rows.weight)

    def _scaled_target(self, y: np.ndarray) -> np.ndarray:
        return (y - self.y_mean_) / self.y_scale_ if hasattr(self, "y_mean_") else y
