"""TabularClassifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._tables.cells import Cells, CodedCells
from .._tables.table import Table
from ._parameters import keep as keep_arguments
from ._tabular import BaseTabular


class TabularClassifier(ClassifierMixin, BaseTabular):
    """Classification of the rows of a table: `fastmlp.fit` with scikit-learn's methods.

    X may be a data frame with text, dates and missing values, or an array. Columns are prepared,
    and whatever is not given is decided, as in `fastmlp.fit`, whose arguments these are. Arguments
    that name columns take those of a frame; an array's are "x1", "x2" and so on.

    Parameters
    ----------
    categorical, drop, keep : str or collection of str
        Columns to treat as categorical, to leave out, and to keep even if they look like ids.
    standardize, impute, indicator, max_categories, unknown, date_parts
        See `preprocessing.Preprocessing.fit`.
    group : str, optional
        Group column: rows with the same value are either all held out or all trained on. It is not
        an input.
    time : str, optional
        Column of numbers or dates; the latest rows are held out.
    validation_split : float, optional
        Share of the rows to hold out; 0 for none. By default a fifth; with fewer than 500 rows,
        repeated cross-validation.
    refit : bool
        Whether to train again on all rows, for the best number of epochs.
    units : str or sequence of int, optional
        Widths of the hidden layers, such as "256x3".
    bins : int, optional
        Number of bins in the piecewise linear encoding of numbers; see `layers.PiecewiseLinear`. 0
        for none.
    activation, dropout, l1, l2, group_l1, groups, proximal
        See `models.mlp`; by default a small group penalty on the encoded inputs.
    optimizer : str, optional
    learning_rate : float, optional
        Maximum of the schedule.
    schedule : {'cycles', 'cosine', 'linear', 'constant'}, optional
        Learning-rate schedule.
    batch_size, epochs : int, optional
        `epochs` is the maximum.
    patience : int, optional
        Early stopping: stop after this number of epochs without a smaller validation loss.
    clip : float, optional
        Clip the Euclidean norm of the gradient to this value.
    max_time : float or str, optional
        Time limit, in seconds or such as "10m", instead of a number of epochs.
    metrics : str or list of str, optional
        Recorded in each epoch, in addition to the loss.
    class_weight : 'balanced' or dict of class to weight, optional
        Weights of the classes in the loss, multiplied by `sample_weight`.
    effort : {'normal', 'high'}
        'high': average the five networks of a 5-fold cross-validation, for a smaller error at
        several times the cost.
    interval : float, optional
        Level of the sets that `predict_interval` returns, such as 0.9.
    threshold : float or {'accuracy', 'balanced_accuracy', 'f1'}, optional
        Probability threshold for predicting the second class, or the metric that it should maximise
        on the validation rows.
    cost : dict, optional
        Costs of a false positive and a false negative, ``{"fp": 1, "fn": 10}``; the second class is
        positive. The threshold minimises the cost on the validation rows.
    random_state : int, RandomState instance or None
        Determines validation rows, initial weights, row order and dropout. An int is the `seed` of
        `fastmlp.fit`: the same bits on any number of threads.
    threads : int, optional
        By default as `set_num_threads` has set.
    verbose : int
        0: silent. 1: notes and a progress line. 2: a line for each epoch.

    Attributes
    ----------
    model_ : TableModel
        What `fastmlp.fit` returns: its `network`, `preprocessing`, `decisions`, `held_out` figures
        and `notes`. It takes tables with the columns of X.
    classes_ : ndarray
        The classes, sorted.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names of X, if it has them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.sklearn import TabularClassifier
    >>> X = np.column_stack([np.linspace(0, 1, 60).astype(object), np.tile(["a", None, "b"], 20)])
    >>> y = np.where((X[:, 0] > 0.5) & (X[:, 1] != "b"), "ripe", "green")
    >>> model = TabularClassifier(units="16", random_state=0).fit(X, y)
    >>> round(model.score(X, y), 1)
    1.0
    """

    _task = "classification"

    def __init__(
        self,
        *,
        categorical: Any = (),
        drop: Any = (),
        keep: Any = (),
        standardize: bool = True,
        impute: str = "median",
        indicator: bool = True,
        max_categories: int = 64,
        unknown: str = "ignore",
        date_parts: bool = False,
        group: str | None = None,
        time: str | None = None,
        validation_split: float | None = None,
        refit: bool = False,
        units: Any = None,
        bins: int | None = None,
        activation: str | None = None,
        dropout: float | None = None,
        l1: Any = None,
        l2: Any = None,
        group_l1: Any = None,
        groups: str = "units",
        proximal: bool = False,
        optimizer: str | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        clip: float | None = None,
        max_time: float | str | None = None,
        metrics: Any = None,
        class_weight: Any = None,
        effort: str = "normal",
        interval: float | None = None,
        threshold: float | str | None = None,
        cost: Any = None,
        random_state: Any = None,
        threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        keep_arguments(self, locals())

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : data frame, Arrow table or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        table = self._table(X)
        found, codes = np.unique(self.model_.predict(table), return_inverse=True)
        places = {str(text): place for place, text in enumerate(self._texts())}
        return self.classes_[np.array([places[str(text)] for text in found], np.intp)[codes]]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities of classes.

        Parameters
        ----------
        X : data frame, Arrow table or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        table = self._table(X)
        return self._ordered(np.asarray(self.model_.predict_proba(table)))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : data frame, Arrow table or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_interval(self, X: Any) -> Any:
        """Return which classes are in the set that holds the true one with level `interval`.

        Parameters
        ----------
        X : data frame, Arrow table or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of bool, shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._ordered(np.asarray(super().predict_interval(X)))

    def _texts(self) -> list[str]:
        """Return the name of each class in the table."""
        labels = self.classes_.tolist()
        texts = [str(label).strip() for label in labels]
        reader = Table("y", {}).context
        clear = len(set(texts)) == len(texts) and not any(map(reader.is_missing, texts))
        return texts if clear else [repr(label) for label in labels]

    def _ordered(self, columns: np.ndarray) -> np.ndarray:
        """Return columns of the model's classes as those of `classes_`; 0 if all rows weighed 0."""
        places = {text: place for place, text in enumerate(self._texts())}
        ordered = np.zeros((len(columns), len(places)), columns.dtype)
        ordered[:, [places[str(text)] for text in self.model_.classes]] = columns
        return ordered

    def _targets(self, y: Any) -> tuple[np.ndarray, list[str]]:
        name = getattr(y, "name", None)
        y = _labels(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            only = self.classes_.tolist()[0]
            raise ValueError(f"y must hold at least two classes. Received: one class, {only!r}")
        return codes.astype(np.float64), [name if isinstance(name, str) and name else "y"]

    def _encoded(self, y: Any) -> np.ndarray:
        y = _labels(y)
        unseen = np.setdiff1d(y, self.classes_)
        if len(unseen):
            raise ValueError(f"y_val must hold classes of {self.classes_}. Received: {unseen}")
        return np.searchsorted(self.classes_, y).astype(np.float64)

    def _cells(self, y: np.ndarray) -> list[Cells]:
        return [CodedCells(y.astype(np.intp), self._texts())]

    def _options(self) -> dict[str, Any]:
        options = super()._options()
        if isinstance(self.class_weight, dict):
            texts = dict(zip(self.classes_.tolist(), self._texts(), strict=True))
            unknown = [label for label in self.class_weight if label not in texts]
            if unknown:
                raise ValueError(
                    f"class_weight must name classes, {self.classes_}. Received: {unknown[0]!r}"
                )
            options["class_weight"] = {texts[k]: v for k, v in self.class_weight.items()}
        return options


def _labels(y: Any) -> np.ndarray:
    """Return y as classes (n,)."""
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f":
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
    elif y.dtype.kind == "O":
        missing = np.array([label is None or label != label for label in y.tolist()], bool)
        if missing.any():
            row = int(np.argmax(missing))
            raise ValueError(f"Input y contains NaN or None. Received: {y[row]!r} in row {row + 1}")
    check_classification_targets(y)
    return np.asarray(y)
