"""A fitted estimator: weights as attributes, predictions, pickling."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .. import optimizers
from ..layers import Dense
from ..models import Sequential, mlp
from ._outputs import Output, output_for
from ._parameters import FitSettings, HiddenLayers, checked

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5
    validate_data = None

_DENSE_ENTRIES = 1 << 22  # entries of a sparse X that predictions standardize at a time
_SMALL = 4096  # entries of X; with more, checks take little of the time


class FittedMLP(BaseEstimator):
    """An estimator's weights, predictions and pickling.

    `coefs_` and `intercepts_` are views of the weights of `_model`.
    """

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    _architecture: HiddenLayers
    _model: Sequential

    # ---- the weights ----

    @property
    def _optimizer(self) -> optimizers.Optimizer | None:
        """The optimizer in use, with the present `learning_rate`."""
        return self._model.optimizer

    def _output(self) -> Output:
        return output_for(self.out_activation_, self.n_outputs_)

    @property
    def model_(self) -> Sequential:
        """The fitted network, whose `predict` takes X as it is, not standardized.

        It predicts y in its own unit; for a classifier the probability of each class or label, of
        two classes that of the second. With ``standardize=True`` and with the Poisson loss it is a
        copy in float64 that includes the scaling; otherwise it is the network itself.
        """
        check_is_fitted(self)
        model, output = self._current_model(), self._output()
        if hasattr(self, "x_mean_") or output.scale != 1:
            return self._unscaled(model, output)
        return model

    def _unscaled(self, model: Sequential, output: Output) -> Sequential:
        """Return a copy with the scaling of X and y, and of the output, in its weights."""
        weights = [array.astype(np.float64) for array in model.get_weights()]
        if hasattr(self, "x_mean_"):
            weights[0] /= self.x_scale_.astype(np.float64)[:, None]
            weights[1] -= self.x_mean_ @ weights[0]
        if hasattr(self, "y_mean_"):
            weights[-2] *= self.y_scale_
            weights[-1] = weights[-1] * self.y_scale_ + self.y_mean_
        n, activation = output.n_outputs, output.activation
        if output.scale != 1:
            # Outputs are exp(z) / scale. Other programs' sigmoid is coarse near 0, but not their
            # softmax, here beside a logit of 0.
            weights[-2:] = np.pad(weights[-2], ((0, 0), (0, 1))), np.append(weights[-1], 0)
            weights += [output.scale * np.eye(n + 1, n), np.zeros(n)]
            n, activation = n + 1, "softmax"
        copy = network(self._architecture, self.n_features_in_, n, activation, "float64")
        if output.scale != 1:
            copy.add(Dense(n - 1, name="scale"))
        copy.materialise(draw=False)
        copy.set_weights(weights)
        return copy

    def export(
        self, path: str | Path, to: str | None = None, overwrite: bool = True, name: str = "model"
    ) -> None:
        """Write `model_` for ONNX, Keras, PyTorch or as C; see `interchange.export_model`.

        Parameters
        ----------
        path : str or Path
        to : {'onnx', 'keras', 'torch', 'c'}, optional
            By default the format of the suffix: .onnx, .keras, .safetensors or .c.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        name : str
            Prefix of the names of functions in a C file.
        """
        self.model_.export(path, to, overwrite, name)

    def _prepared_model(self, settings: FitSettings, keep: bool = True) -> Sequential:
        """Return the model with the weights that `coefs_` and `intercepts_` hold.

        Parameters
        ----------
        settings : FitSettings
        keep : bool
            Whether to keep an existing model with the state of its optimizer.
        """
        units = settings.architecture.units
        widths = [self.n_features_in_, *units, self.n_outputs_]
        shapes = [np.shape(w) for w in self.coefs_], [np.shape(b) for b in self.intercepts_]
        expected = list(itertools.pairwise(widths)), [(n,) for n in widths[1:]]
        if shapes != expected:
            raise ValueError(
                f"coefs_ and intercepts_ must fit the layers' widths {widths}, which cannot "
                f"change between fits. Received: weights of shapes {shapes[0]}, biases {shapes[1]}"
            )
        old = self.__dict__.get("_model")
        if keep and old is not None and settings.architecture == self._architecture:
            return self._current_model()
        dtype = "float32" if np.asarray(self.coefs_[0]).dtype == np.float32 else "float64"
        model = network(settings.architecture, widths[0], *self._output().layer, dtype)
        model.materialise(draw=False)
        if old is not None:
            model.seed, model.n_fits = old.seed, old.n_fits
        self._architecture = settings.architecture
        weights, biases = self.coefs_, self.intercepts_
        self._bind(model)
        self.coefs_, self.intercepts_ = weights, biases
        return self._current_model()

    def _bind(self, model: Sequential) -> None:
        """Make `coefs_` and `intercepts_` views of the model's weights."""
        network, shift = model.network, self._output().shift
        self._model = model
        self._views = [
            [view(i) for i in range(network.n_layers)] for view in (network.weights, network.bias)
        ]
        self.coefs_, self.intercepts_ = list(self._views[0]), list(self._views[1])
        if shift:
            self.intercepts_[-1] = self.intercepts_[-1] - shift

    def _current_model(self) -> Sequential:
        """Return the model, with arrays that the user put into `coefs_` or `intercepts_`."""
        model: Sequential | None = self.__dict__.get("_model")
        if model is None:
            return self._prepared_model(checked(self))
        shift = self._output().shift
        for given, views in zip((self.coefs_, self.intercepts_), self._views, strict=True):
            for i, view in enumerate(views):
                if given[i] is view:
                    continue
                if np.shape(given[i]) != view.shape:
                    raise ValueError(
                        f"coefs_ and intercepts_ must keep their shapes. Received: "
                        f"shape {np.shape(given[i])} in place of {view.shape}"
                    )
                if shift and given is self.intercepts_ and i == len(views) - 1:
                    view[...] = given[i] + shift
                else:
                    view[...] = given[i]
                    given[i] = view
        return model

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if self.__dict__.get("_model") is not None:
            self._current_model()
            for name in ("coefs_", "intercepts_", "_views"):  # the model has the weights
                del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.__dict__.get("_model") is not None:
            self._bind(self._model)

    def _checked_arrays(self, **arguments: Any) -> Any:
        """Return X, or X and y, checked as in scikit-learn's own estimators."""
        arguments |= {"accept_sparse": ["csr", "csc"], "dtype": (np.float64, np.float32)}
        if validate_data is None:
            return self._validate_data(**arguments)
        return validate_data(self, **arguments)

    # ---- predict ----

    def _scaled(self, x: Any) -> Any:
        """Return x in the scale of the network's inputs."""
        return (x - self.x_mean_) / self.x_scale_ if hasattr(self, "x_mean_") else x

    def _predicted(self, X: Any) -> np.ndarray:
        """Return the network's predictions, (n, n_outputs), in the network's scale."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        model, output = self._current_model(), self._output()
        if not self._needs_no_check(X):
            X = self._checked_arrays(X=X, reset=False)
        if not sparse.issparse(X) or not hasattr(self, "x_mean_"):
            return output.predicted(model.predict(self._scaled(X), verbose=0))
        step, X = max(1, _DENSE_ENTRIES // X.shape[1]), X.tocsr()
        parts = [X[start : start + step].toarray() for start in range(0, X.shape[0], step)]
        return output.predicted(
            np.concatenate([model.predict(self._scaled(part), verbose=0) for part in parts])
        )

    def _needs_no_check(self, X: Any) -> bool:
        """Whether to skip scikit-learn's checks, which take longer than a small prediction."""
        return (
            type(X) is np.ndarray
            and X.dtype == self._model.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and 0 < X.size <= _SMALL
            and "feature_names_in_" not in self.__dict__
            and math.isfinite(np.vdot(X, X))
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def network(
    hidden: HiddenLayers, n_inputs: int, n_outputs: int, activation: str, dtype: str
) -> Sequential:
    """Return a model whose weights are not drawn yet; its network is not made."""
    units, activations, rates = hidden
    return mlp(
        units,
        n_inputs,
        n_outputs,
        activation=activations,
        output_activation=activation,
        dropout=rates,
        seed=0,
        dtype=dtype,
    )
