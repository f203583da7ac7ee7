"""The base class of both estimators: fit and partial_fit."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from .. import optimizers, threads
from .._utils import arrays
from .._utils.arguments import caller_level
from .._utils.sparse import Inputs
from ..errors import DivergedError
from ..models import Sequential
from ._advice import warn_of_fit, warn_of_scales
from ._data import EncodedRows, EngineData, mean_and_scale, row_weights, rows_per_step
from ._fitted import FittedMLP, network
from ._lbfgs import minimise
from ._monitor import TrainingMonitor
from ._parameters import FitSettings, checked, warn_of_unused

_CURVES = ("loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_",
           "best_validation_score_", "_no_improvement_count", "_best_weights", "_split_state",
           "_compiled")  # fmt: skip


def has_epochs(estimator: Any) -> bool:
    """Return True if the solver trains in epochs; raise AttributeError if not."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd'. Received: solver='lbfgs'")
    return True


class BaseMLP(FittedMLP):
    """Base class of MLPRegressor and MLPClassifier."""

    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_loss_: float | None
    best_validation_score_: float | None
    _best_weights: list[np.ndarray] | None
    _no_improvement_count: int

    # ---- targets: overridden by the subclasses ----

    def _encoded(self, y: Any) -> np.ndarray:
        """Return y as (n, columns) of float64; classes by their index."""
        raise NotImplementedError

    def _target(self, y: Any, fresh: bool, incremental: bool, classes: Any) -> np.ndarray:
        """Return y encoded for training; set classes_ in the first call."""
        return self._encoded(y)

    def _last_layer(self, y: np.ndarray) -> tuple[str, int]:
        """Return the activation's public name, and the width, for an encoded y."""
        raise NotImplementedError

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the validation score of the network's predictions for an encoded y."""
        raise NotImplementedError

    def _class_weights(self, y: Any, incremental: bool) -> np.ndarray | None:
        """Return each row's class weight, or None."""
        return None

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the classes that stratify the split for early stopping, or None."""
        return None

    def _scaled_target(self, y: np.ndarray) -> np.ndarray:
        """Return an encoded y in the scale of the network's outputs."""
        return y

    # ---- fit ----

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Any:
        """Fit to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training uses float32 if that is its type, else float64. A sparse X stays sparse,
            unless ``standardize=True``: centred columns have no zeros.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
            A row of weight k counts as k rows.
        X_val, y_val : array-like, optional
            Validation data, instead of rows held out from X. Score and loss on them are recorded
            after each epoch. With ``early_stopping=True`` they decide when to stop.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, X_val, y_val, incremental=False)

    @available_if(has_epochs)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Any:
        """Train for one epoch on X and y, from where the last call ended.

        With ``early_stopping=True`` every call is scored on X_val and y_val, or on rows of X held
        out (the same rows in every call, if their number does not change). After more than
        `n_iter_no_change` calls without progress the best weights are restored and `converged_` is
        True.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        X_val, y_val : array-like, optional

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, X_val, y_val, incremental=True)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        incremental: bool,
        classes: Any = None,
    ) -> Any:
        settings = checked(self)
        warn_of_unused(self, X_val is not None)
        before = dict(self.__dict__)
        try:
            return self._fit_checked(settings, X, y, sample_weight, X_val, y_val, incremental,
                                     classes)  # fmt: skip
        except Exception:
            if not self._training:  # refused before training: restore the previous fit
                self.__dict__.clear()
                self.__dict__.update(before)
            raise
        finally:
            self.__dict__.pop("_training", None)

    _training = False  # whether the network's training has begun in the present call

    def _fit_checked(
        self,
        settings: FitSettings,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        incremental: bool,
        classes: Any,
    ) -> Any:
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validated(X, y, reset=fresh)
        encoded = self._target(y, fresh, incremental, classes)
        rows, held = EncodedRows(X, encoded, row_weights(sample_weight, len(X))), None
        by_class = self._class_weights(y, incremental)
        rng = check_random_state(self.random_state)
        if fresh:
            self._draw(settings, rows, rng)
        model = self._prepared_model(settings, keep=incremental)
        if X_val is not None or y_val is not None:
            held = self._given_validation(X_val, y_val, encoded.shape[1])
        elif self.early_stopping and self.solver != "lbfgs":
            train, test = self._split(encoded, rng)
            rows, held = rows.take(train), rows.take(test)
            by_class = None if by_class is None else by_class[train]
        if model.n_fits == 0:
            model.seed = int(rng.randint(1 << 32, dtype=np.uint32))
        if fresh:
            self._learn_scale(rows)
            warn_of_scales(self, rows.x)
        if by_class is not None:
            rows = rows._replace(weight=by_class if rows.weight is None else by_class * rows.weight)
        self._begin(held is not None)
        try:
            if self.solver == "lbfgs":
                self._fit_lbfgs(settings, model, rows)
            else:
                self._fit_epochs(settings, model, rows, held, incremental)
        finally:
            self._bind(model)
        return self

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[Inputs, Any]:
        X, y = self._checked_arrays(
            X=X, y=y, reset=reset, multi_output=True, y_numeric=is_regressor(self)
        )
        if sparse.issparse(X):
            # Centred columns have no zeros.
            centred = self.standardize or hasattr(self, "x_mean_")
            X = X.toarray() if centred else arrays.input_rows(X, None, X.dtype, "X")
        return X, y

    def _draw(self, settings: FitSettings, rows: EncodedRows, rng: np.random.RandomState) -> None:
        """Draw weights and biases, and delete what an earlier fit left."""
        self.out_activation_, self.n_outputs_ = self._last_layer(rows.y)
        widths = [rows.x.shape[1], *settings.architecture.units, self.n_outputs_]
        self.n_layers_ = len(widths)
        self.coefs_, self.intercepts_ = [], []
        for (n_in, n_out), factor in zip(itertools.pairwise(widths), settings.factors, strict=True):
            bound = math.sqrt(factor / (n_in + n_out))
            # Weights, then biases, in float64: the stream that scikit-learn draws.
            for array, shape in ((self.coefs_, (n_in, n_out)), (self.intercepts_, n_out)):
                array.append(rng.uniform(-bound, bound, shape).astype(rows.x.dtype))
        self.t_ = 0
        for name in ("_model", *_CURVES):
            self.__dict__.pop(name, None)

    def _begin(self, validates: bool) -> None:
        """Reset the attributes that training writes."""
        self.converged_, self.n_iter_ = False, 0
        if self.solver == "lbfgs":
            return
        for name, value in (("t_", 0), ("loss_curve_", []), ("_no_improvement_count", 0),
                            ("_best_weights", None)):  # fmt: skip
            self.__dict__.setdefault(name, value)
        if not validates:
            self.validation_scores_ = self.validation_loss_curve_ = None
            self.best_validation_score_ = None
        elif self.__dict__.get("validation_scores_") is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
            self.best_validation_score_ = -math.inf
        stopped = self.__dict__.get("best_loss_", 0) is None
        if validates and self.early_stopping:
            if not stopped:  # the weights of an earlier best score were not kept
                self.best_validation_score_ = -math.inf
            self.best_loss_ = None
        elif stopped or not hasattr(self, "best_loss_"):
            self.best_loss_ = math.inf

    def _given_validation(self, X_val: Any, y_val: Any, n_columns: int) -> EncodedRows:
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"X_val and y_val must be given together. Received: {missing}=None")
        if self.solver == "lbfgs":
            raise ValueError("X_val needs solver='adam' or 'sgd'. Received: solver='lbfgs'")
        X_val, y_val = self._validated(X_val, y_val, reset=False)
        encoded = self._encoded(y_val)
        if encoded.shape[1] != n_columns:
            raise ValueError(
                f"y_val must have as many columns as y, {n_columns}. Received: {encoded.shape[1]}"
            )
        return EncodedRows(X_val, encoded, None)

    def _split(self, y: np.ndarray, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows to train on and which to validate on."""
        from sklearn.model_selection import train_test_split

        if not hasattr(self, "_split_state"):
            self._split_state = rng.get_state()
        rng = np.random.RandomState()
        rng.set_state(self._split_state)  # later calls must hold out the same rows
        train, test = train_test_split(
            np.arange(len(y)),
            test_size=self.validation_fraction,
            stratify=self._strata(y),
            random_state=rng,
        )
        if len(test) < 2:
            raise ValueError(
                "The validation set is too small: it needs 2 rows. Received: "
                f"validation_fraction={self.validation_fraction} of {len(y)} rows"
            )
        return train, test

    def _scaled_rows(self, rows: EncodedRows) -> EncodedRows:
        return EncodedRows(self._scaled(rows.x), self._scaled_target(rows.y), rows.weight)

    def _learn_scale(self, rows: EncodedRows) -> None:
        """Compute mean and standard deviation of the training rows if `standardize` is True."""
        for name in ("x_mean_", "x_scale_"):
            self.__dict__.pop(name, None)
        if self.standardize:
            self.x_mean_, self.x_scale_ = mean_and_scale(np.asarray(rows.x), rows.weight)

    def _fit_epochs(
        self, settings: FitSettings, model: Sequential, rows: EncodedRows, held: EncodedRows | None,
        incremental: bool,
    ) -> None:  # fmt: skip
        """Train with Adam or SGD in one call of the model's fit."""
        n = len(rows.x)
        batch_size = min(n, 200 if self.batch_size == "auto" else int(self.batch_size))
        if self.batch_size != "auto" and self.batch_size > n:
            warnings.warn(
                f"batch_size={self.batch_size} is reduced to the {n} rows",
                stacklevel=caller_level(),
            )
        output = self._output()
        if held is not None:
            held = self._scaled_rows(held)
            if held.weight is not None and not held.weight.any():
                raise ValueError("Sample weights of the rows held out must not all be zero")
        if not incremental or self.__dict__.get("_compiled") != self.solver:
            model.compile(self._made_optimizer(), output.loss)
            self._compiled = self.solver
        model.network.smooth = output.unclipped
        rows = self._scaled_rows(rows)
        data = EngineData(rows, output, settings, self.alpha, rows_per_step(batch_size, n))
        data.set_penalties(model, settings.l1)
        stops = held is not None and self.early_stopping
        if stops and self.validation_scores_ and self._best_weights is None:
            self._best_weights = model.get_weights()  # those of best_validation_score_
        monitor = TrainingMonitor(
            self,
            self._score,
            output,
            data.constant,
            n,
            held,
            stops,
            self._best_weights,
            self._no_improvement_count,
        )
        self._train(model, data, monitor, batch_size, incremental)
        if stops and (self.converged_ or not incremental):
            if self._best_weights is not None:
                model.set_weights(self._best_weights)
            self._best_weights, self._no_improvement_count = None, 0
        if not incremental:
            warn_of_fit(self, model, output, rows)

    def _train(
        self, model: Sequential, data: EngineData, monitor: TrainingMonitor, batch_size: int,
        incremental: bool,
    ) -> None:  # fmt: skip
        self._training = True
        try:
            model.fit(
                data.x,
                data.y,
                batch_size=batch_size,
                epochs=1 if incremental else self.max_iter,
                verbose=0,
                callbacks=[monitor],
                shuffle=self.shuffle,
                sample_weight=data.weight,
            )
        except KeyboardInterrupt:
            monitor.catch_up()
            warnings.warn(
                "Training was interrupted; the model keeps its weights", stacklevel=caller_level()
            )
        except DivergedError as error:
            if not monitor.stops or monitor.best_weights is None:
                raise _not_finite(error) from error
            monitor.diverged()
            warnings.warn(
                f"{error}. The best weights are kept", ConvergenceWarning, stacklevel=caller_level()
            )
        else:
            if not (self.converged_ or incremental):
                warnings.warn(
                    f"Training has not converged after max_iter={self.max_iter} epochs",
                    ConvergenceWarning,
                    stacklevel=caller_level(),
                )
        finally:
            model.history = None  # the estimator's attributes have its curves
            self._no_improvement_count = monitor.n_without_progress
            self._best_weights = monitor.best_weights

    def _made_optimizer(self) -> optimizers.Optimizer:
        if self.solver == "adam":
            return optimizers.Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        # fastmlp's momentum ends below 1.
        momentum = min(self.momentum, math.nextafter(1, 0))
        return optimizers.SGD(self.learning_rate_init, momentum, bool(self.nesterovs_momentum))

    def _fit_lbfgs(self, settings: FitSettings, model: Sequential, rows: EncodedRows) -> None:
        output, rows = self._output(), self._scaled_rows(rows)
        data = EngineData(rows, output, settings, self.alpha, len(rows.x))
        work = model
        if model.dtype != np.float64:  # a line search needs more digits than float32 has
            work = network(settings.architecture, rows.x.shape[1], *output.layer, "float64")
            work.materialise(draw=False)
            work.set_weights(model.get_weights())
        work.compile("sgd", output.loss)
        self._compiled = self.solver
        work.network.smooth = output.unclipped
        data.set_penalties(work, [0.0] * len(settings.l1))

        def report(iteration: int, value: float) -> None:
            print(f"Iteration {iteration}, loss = {value - data.constant:.8f}", flush=True)

        self._training = True
        x, y = data.x.astype(np.float64), data.y.astype(np.float64)
        weight = None if data.weight is None else data.weight.astype(np.float64)
        result = minimise(
            work,
            x,
            y,
            weight,
            settings.l1,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            report=report if self.verbose else None,
        )
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            raise _not_finite("L-BFGS ended at a loss or weight that is not finite")
        if work is not model:
            model.set_weights(work.get_weights())
        data.set_penalties(work, settings.l1)
        penalty = work.network.penalty()
        n_threads, automatic = threads.resolve()
        loss, _ = work.network.evaluate(x, y, weight, n_threads=n_threads, automatic=automatic)
        self.loss_ = output.share * (float(loss) - data.constant) + float(penalty)
        self.n_iter_ = int(result.nit)
        self.converged_ = bool(result.success)
        if not result.success:
            warnings.warn(
                f"L-BFGS has not converged after {self.n_iter_} iterations: {result.message}. "
                "Increase max_iter or max_fun, or scale the data",
                ConvergenceWarning,
                stacklevel=caller_level(),
            )
        warn_of_fit(self, model, output, rows)


def _not_finite(error: object) -> ValueError:
    # scikit-learn's sentences, which programs look for, then ours.
    return ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values and "
        f"need to be preprocessed. {error}, or scaled data"
    )
