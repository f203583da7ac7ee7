"""The base class of TabularRegressor and TabularClassifier: tables in, tables kept."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import tabular
from .._tables.cells import Cells, NumberCells
from .._tables.table import Table
from ..tabular import TableModel
from ._data import row_weights
from ._frames import FrameRows, checked, free_name, renamed, table_of, taken
from ._lbfgs import one_blas_thread

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5
    validate_data = None

_SMALL = 10_000  # rows
_OWN = ("random_state", "threads", "verbose")  # arguments under another name, or for every task


class BaseTabular(BaseEstimator):
    """Base class of TabularRegressor and TabularClassifier."""

    model_: TableModel
    n_features_in_: int
    _names: list[str]  # of the table's columns
    _task: str

    # ---- targets: overridden by the subclasses ----

    def _targets(self, y: Any) -> tuple[np.ndarray, list[str]]:
        """Return y as numbers (n,) or (n, k), and names for its columns."""
        raise NotImplementedError

    def _cells(self, y: np.ndarray) -> list[Cells]:
        """Return the columns of what `_targets` returned."""
        raise NotImplementedError

    def _options(self) -> dict[str, Any]:
        """Return the arguments for `tabular.fit`."""
        return {name: v for name, v in self.get_params(deep=False).items() if name not in _OWN}

    # ---- fit ----

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Any:
        """Fit to the columns of X and to y.

        Parameters
        ----------
        X : data frame, Arrow table or array-like of shape (n_samples, n_features)
            Numbers, text, dates, true and false, with missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
            Up to 10,000 rows together, a row of a whole-number weight k counts as k rows; else
            its loss is multiplied. A row of weight 0 is left out.
        X_val, y_val : array-like, optional
            Rows to judge epochs by, instead of rows held out from X.

        Returns
        -------
        self
        """
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        before = dict(self.__dict__)
        try:
            self._fit(X, y, sample_weight, X_val, y_val)
        except BaseException:  # the previous fit stays as it was
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any) -> None:
        given = checked(X, self, least=2)
        self._validate_names(X, given, reset=True)
        table, (numbers, targets) = table_of(given), self._targets(y)
        check_consistent_length(given, numbers)
        weight = row_weights(sample_weight, len(numbers))
        if weight is not None and not weight.any():
            raise ValueError("Sample weights must not all be zero. Received: 0 for every row")
        rows = FrameRows(table, numbers, weight)
        if rows.index is not None:
            table, numbers = table_of(taken(given, rows.index)), numbers[rows.index]
        options, names = self._options(), list(table.names)
        targets = [free_name(name, names) for name in targets]
        data = self._with_targets(table, targets, numbers)
        if rows.weight is not None:
            options["weight"] = free_name("sample_weight", data.names)
            data = _with(data, options["weight"], NumberCells(rows.weight))
        if X_val is not None or y_val is not None:
            options["validation"] = self._validation(X_val, y_val, names, targets, options)
        options |= {"seed": self._seed(), "threads": self.threads, "verbose": int(self.verbose)}
        target = targets[0] if len(targets) == 1 else targets
        # Idle BLAS threads take longer than the baselines of a small table.
        with one_blas_thread if table.n_rows <= _SMALL else contextlib.nullcontext():
            self.model_ = tabular.fit(data, target, task=self._task, **options)
        self._names = names

    def _with_targets(self, table: Table, targets: list[str], numbers: np.ndarray) -> Table:
        for name, cells in zip(targets, self._cells(numbers), strict=True):
            table = _with(table, name, cells)
        return table

    def _validation(
        self, X_val: Any, y_val: Any, names: list[str], targets: list[str], options: dict[str, Any]
    ) -> Table:
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"X_val and y_val must be given together. Received: {missing}=None")
        given = checked(X_val, self)
        self._validate_names(X_val, given, reset=False)
        numbers = self._encoded(y_val)
        check_consistent_length(given, numbers)
        table = self._with_targets(renamed(table_of(given), names), targets, numbers)
        if "weight" in options:
            table = _with(table, options["weight"], NumberCells(np.ones(len(numbers))))
        return table

    def _encoded(self, y: Any) -> np.ndarray:
        """Return another y as `_targets` returned the first."""
        return self._targets(y)[0]

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(1 << 32, dtype=np.uint32))

    def _validate_names(self, X: Any, given: Any, reset: bool) -> None:
        """Set or check the number of features and their names."""
        if validate_data is None:
            self._check_feature_names(X, reset=reset)
            self._check_n_features(given, reset=reset)
        else:
            named = X if hasattr(X, "shape") else given
            validate_data(self, named, reset=reset, skip_check_array=True)

    # ---- the fitted model ----

    def _table(self, X: Any) -> Table:
        """Return X with the names of the columns that the model knows."""
        check_is_fitted(self)
        given = checked(X, self)
        self._validate_names(X, given, reset=False)
        return renamed(table_of(given), self._names)

    def predict_interval(self, X: Any) -> Any:
        """Return the intervals, or sets of classes, that hold the truth with level `interval`.

        Parameters
        ----------
        X : data frame, Arrow table or array-like of shape (n_samples, n_features)

        Returns
        -------
        lower, upper : ndarrays of shape (n_samples,)
            For a regression.
        sets : ndarray of bool, shape (n_samples, n_classes)
            For classes: which are in each row's set, in the order of `classes_`.
        """
        return self.model_.predict_interval(self._table(X))

    def export(self, path: str | Path, to: str | None = None, overwrite: bool = True) -> None:
        """Write network and preparation for ONNX or as C, the network for Keras or PyTorch.

        Parameters
        ----------
        path : str or Path
        to : {'onnx', 'keras', 'torch', 'c'}, optional
            By default the format of the suffix: .onnx, .keras, .safetensors or .c.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        """
        check_is_fitted(self)
        self.model_.export(path, to, overwrite)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn 1.5
        return {
            "allow_nan": True,
            "requires_y": True,
            "X_types": ["2darray", "categorical", "string"],
        }


def _with(table: Table, name: str, cells: Cells) -> Table:
    """Return a table with one more column."""
    return Table(table.source, {**table.columns, name: cells}, table.lines, table.first_row)
