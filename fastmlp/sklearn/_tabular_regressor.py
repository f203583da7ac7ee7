"""TabularRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils import check_array, column_or_1d

from .._tables.cells import Cells, NumberCells
from ._parameters import keep as keep_arguments
from ._tabular import BaseTabular


class TabularRegressor(MultiOutputMixin, RegressorMixin, BaseTabular):
    """Regression on the columns of a table: `fastmlp.fit` with scikit-learn's methods.

    X may be a data frame with text, dates and missing values, or an array. Columns are prepared,
    and whatever is not given is decided, as in `fastmlp.fit`, whose arguments these are. Arguments
    that name columns take those of a frame; an array's are "x1", "x2" and so on.

    Parameters
    ----------
    categorical, drop, keep : str or collection of str
        Columns to treat as categorical, to leave out, and to keep even if they look like ids.
    standardize, impute, indicator, max_categories, unknown, date_parts
        See `preprocessing.Preprocessing.fit`.
    target_transform : {'log', 'sqrt', 'quantile'}, optional
        Transformation of y in training; predictions are in the unit of y.
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
    loss : str, optional
        "mse", "mae", "huber", "huber:2", "poisson" or "quantile:0.9".
    metrics : str or list of str, optional
        Recorded in each epoch, in addition to the loss.
    effort : {'normal', 'high'}
        'high': average the five networks of a 5-fold cross-validation, for a smaller error at
        several times the cost.
    interval : float, optional
        Level of the intervals that `predict_interval` returns, such as 0.9.
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
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names of X, if it has them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.sklearn import TabularRegressor
    >>> trees = {"width": np.linspace(1, 9, 60), "kind": np.tile(["ash", "elm", "oak"], 20)}
    >>> X = np.column_stack([trees["width"].astype(object), trees["kind"]])
    >>> y = 3 * trees["width"] + 5 * (trees["kind"] == "elm")
    >>> model = TabularRegressor(units="16", random_state=0).fit(X, y)
    >>> round(model.score(X, y), 1)
    1.0
    """

    _task = "regression"

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
        target_transform: str | None = None,
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
        loss: str | None = None,
        metrics: Any = None,
        effort: str = "normal",
        interval: float | None = None,
        random_state: Any = None,
        threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        keep_arguments(self, locals())

    def predict(self, X: Any) -> np.ndarray:
        """Predict y.

        Parameters
        ----------
        X : data frame, Arrow table or array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        table = self._table(X)
        return np.asarray(self.model_.predict(table), np.float64)

    def _targets(self, y: Any) -> tuple[np.ndarray, list[str]]:
        names = [str(name) for name in getattr(y, "columns", ())]
        own = getattr(y, "name", None)
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.ndim == 2:
            known = len(names) == y.shape[1] and len(set(names)) == len(names)
            return y, names if known else [f"y{i + 1}" for i in range(y.shape[1])]
        return y, [own if isinstance(own, str) and own else "y"]

    def _cells(self, y: np.ndarray) -> list[Cells]:
        return [NumberCells(np.ascontiguousarray(column)) for column in y.reshape(len(y), -1).T]
