"""Ensembles: networks whose mean is the prediction and whose spread is its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._model.compatibility import metric_kind
from .._training import data, evaluation
from .._utils import arguments as _arguments
from .._utils import arrays
from .._utils.progress import ProgressLine, say
from . import _file, _predictions
from ._members import Members
from ._summary import ensemble_text


class Ensemble(Members):
    """Trained networks that predict together; made by `fastmlp.ensemble`, or read from a file.

    It is a sequence of its members: ``len(e)``, ``e[i]`` and iteration give each as a separate
    Sequential model, with the weights that the same network has when it is trained alone.

    Parameters
    ----------
    groups : list of NetworkGroup
        At least one network in total; for internal use.
    noise_sd : ndarray of shape (n_outputs,), optional
        See `predictive_sd`.
    noise_source : str, optional
        The held-out rows that `noise_sd` was estimated on: 'validation rows', 'out-of-bag rows' or
        'held-out folds'.
    name : str, optional

    Attributes
    ----------
    noise_sd, noise_source
    training_config, extras : dict
        Plain JSON values, kept in the file.
    diverged : list of dict
        Seed and message of each network that was left out because its training diverged.
    interrupted : bool
        Whether Ctrl-C stopped training before every network had all its epochs.
    """

    # ---- predict ----

    def _inputs(self, x: Any) -> np.ndarray:
        return arrays.inputs(x, self.n_inputs, self.dtype)

    def predictions(self, x: Any, verbose: int | str = 1) -> np.ndarray:
        """Return every member's outputs.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        verbose : {0, 1, 2}
            1: a progress line on stderr for work of more than a second.

        Returns
        -------
        ndarray of shape (members, n, n_outputs)
        """
        x = self._inputs(x)
        result = np.empty((len(self), len(x), self.n_outputs), self.dtype)
        for span, part in _predictions.parts(self, x, verbose):
            result[:, span] = part
        return result

    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = 1) -> np.ndarray:
        """Return the mean of the members' outputs (of a classifier: of their probabilities).

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        batch_size : int, optional
            Accepted for compatibility with `Sequential.predict`; has no effect on the result.
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """
        if batch_size is not None:
            _arguments.integer("batch_size", batch_size)
        x = self._inputs(x)
        result = np.empty((len(x), self.n_outputs), self.dtype)
        for span, part in _predictions.parts(self, x, verbose):
            result[span] = part.mean(0, np.float64)
        return result

    __call__ = predict

    def _require_several(self) -> None:
        if len(self) < 2:
            raise ValueError("The spread of an ensemble needs at least two members. Received: 1")

    def spread(self, x: Any, verbose: int | str = 1) -> np.ndarray:
        """Return the members' standard deviation, with divisor members - 1.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (n, n_outputs)

        Raises
        ------
        ValueError
            If there is only one member.
        """
        self._require_several()
        x = self._inputs(x)
        result = np.empty((len(x), self.n_outputs), self.dtype)
        for span, part in _predictions.parts(self, x, verbose):
            result[span] = part.std(0, np.float64, ddof=1)
        return result

    def predictive_sd(self, x: Any, verbose: int | str = 1) -> np.ndarray:
        """Return the standard deviation of a new observation: sqrt(spread**2 + noise_sd**2).

        `spread` is the members' disagreement at x, the uncertainty of the mean. `noise_sd`, one
        number for each output, is the standard deviation of observations about the mean. It is
        estimated so that on held-out rows the mean of the predictive variance equals the mean
        squared error of the ensemble's mean: noise_sd**2 = mean((y - mean)**2 - spread**2), or 0
        if that is negative. Held-out rows are the validation rows if there are any. Otherwise
        they are the rows left out by bootstrap samples or training folds, each predicted by the
        members that were not trained on it; the spread of a single member counts as 0.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (n, n_outputs)

        Raises
        ------
        ValueError
            If no rows were held out, if there is only one member, or for a classifier, whose
            probabilities already describe the noise.

        References
        ----------
        Lakshminarayanan, Pritzel & Blundell (2017), NeurIPS: the variance of an ensemble is the
        variance of its members' means plus the mean of their noise.
        """
        spread = self.spread(x, verbose).astype(np.float64)
        return np.sqrt(spread**2 + self._noise() ** 2).astype(self.dtype)

    def _noise(self) -> np.ndarray:
        if self.loss is not None and self.loss.name.endswith("crossentropy"):
            raise ValueError(
                "noise_sd is for regression: a classifier has no noise beyond its probabilities. "
                f"Received: an ensemble trained on {self.loss.name}"
            )
        if self.noise_sd is None:
            raise ValueError(
                "The noise is estimated on held-out rows: train the ensemble with "
                "validation_data=, validation_split=, bootstrap=True or folds=. "
                "Received: an ensemble without held-out rows"
            )
        return self.noise_sd

    def quantiles(
        self,
        x: Any,
        q: float | Sequence[float] = (0.05, 0.5, 0.95),
        *,
        noise: bool = False,
        verbose: int | str = 1,
    ) -> np.ndarray:
        """Return quantiles of the members' outputs, or of a new observation.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        q : float or sequence of float
            In [0, 1].
        noise : bool
            If False, return quantiles of the members' outputs, interpolated as in
            `numpy.quantile`. If True, return quantiles of the mixture of normal distributions
            about each member's output with standard deviation `noise_sd`, so that q = 0.05 and
            0.95 enclose 90% of new observations; q must then be in (0, 1).
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (len(q), n, n_outputs)
            Without the first axis if q is a single number.
        """
        levels = _predictions.levels(q)
        sd = self._noise() if _arguments.flag("noise", noise) else None
        if sd is not None and not ((levels > 0) & (levels < 1)).all():
            raise ValueError(f"q must be in (0, 1) with noise=True. Received: q={q!r}")
        x = self._inputs(x)
        result = np.empty((len(levels), len(x), self.n_outputs), self.dtype)
        for span, part in _predictions.parts(self, x, verbose):
            result[:, span] = (
                np.quantile(part, levels, axis=0)
                if sd is None
                else _predictions.mixture(part, sd, levels)
            )
        return result[0] if np.ndim(q) == 0 else result

    # ---- evaluate ----

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return loss, without penalty, and metrics of the mean prediction.

        Parameters
        ----------
        x, y : array-like
        batch_size : int, optional
            Accepted for compatibility with `Sequential.evaluate`; has no effect on the result.
        verbose : {0, 1, 2}
        sample_weight : array-like of shape (n,), optional
        return_dict : bool

        Returns
        -------
        float, or list of float
            The loss, or [loss, metrics...] if there are metrics. With `return_dict`, a dict.
        """
        if batch_size is not None:
            _arguments.integer("batch_size", batch_size)
        rows = self._rows(x, y, sample_weight)
        assert self.loss is not None
        mean = self.predict(rows.x, verbose=verbose)
        values = [self.loss(rows.y, mean, rows.weight)]
        values += self._metric_values(rows.y, mean)
        return evaluation.reported(self.metrics_names, values, return_dict)

    def _metric_values(self, y: np.ndarray, out: np.ndarray) -> list[float]:
        assert self.loss is not None
        kind = metric_kind(self.loss, y, self.n_outputs)
        return [metric.of(y, out, self.loss, kind) for metric in self.metrics]

    def _rows(self, x: Any, y: Any, sample_weight: Any = None) -> data.Rows:
        if self.loss is None:
            raise RuntimeError("The ensemble was saved without a loss: it cannot be evaluated")
        x = self._inputs(x)
        y = data.targets(self._first, y, len(x))
        return data.Rows(x, y, arrays.row_weights(sample_weight, len(x), self.dtype))

    def evaluate_members(self, x: Any, y: Any, verbose: int | str = 1) -> np.ndarray:
        """Return the loss, without penalty, and metrics of every member.

        Parameters
        ----------
        x, y : array-like
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (members, 1 + metrics)
            Columns in the order of `metrics_names`.
        """
        rows = self._rows(x, y)
        loss = self.loss
        assert loss is not None
        table = []
        with ProgressLine("evaluate", len(self), "members", enabled=verbose in (1, "auto")) as line:
            for group in self.groups:
                for predict in group.predictors():
                    out = predict(np.asarray(rows.x))
                    table.append([loss(rows.y, out), *self._metric_values(rows.y, out)])
                    line.update(len(table))
        return np.array(table, np.float64)

    # ---- plot, print and save ----

    def plot(self, **arguments: Any) -> Any:
        """Draw the members grey and their mean bold; see `plots.plot_ensemble`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from .. import plots

        return plots.plot_ensemble(self, **arguments)

    def summary(self, line_length: int | None = None, print_fn: Any = None) -> None:
        """Print the members' seeds, and the layers of each architecture.

        Parameters
        ----------
        line_length : int, optional
            The terminal's width by default.
        print_fn : callable, optional
            Called with the text; `print` by default.
        """
        (print_fn or say)(ensemble_text(self, line_length))

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the ensemble to one file, atomically; `models.load_model` reads it.

        The file holds data only, not code: the members' weights, architectures, compilation,
        seeds and losses. It does not hold the state of their optimizers.

        Parameters
        ----------
        path : str or Path
            The customary suffix is '.fmlp'.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        """
        from .._utils.atomic import write_atomically

        write_atomically(path, _file.to_bytes(self), overwrite)

    def export(
        self,
        path: str | Path,
        to: str | None = None,
        overwrite: bool = True,
        name: str = "model",
    ) -> None:
        """Write the mean of the members for ONNX or as C; see `interchange.export_model`.

        The file computes what `predict` returns; that of an ensemble over a table has the
        preprocessing, as for `Sequential.export`.

        Parameters
        ----------
        path : str or Path
        to : {'onnx', 'c'}, optional
            By default the format of the suffix, .onnx or .c. Keras and PyTorch take single
            networks: export a member, as in ``ensemble[0].export("first.keras")``.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        name : str
            Prefix of the names of functions in a C file.

        Raises
        ------
        DataError
            If the format cannot hold an ensemble, or the package onnx is not installed.
        ValueError
            If the format or the name cannot be used.
        """
        from .._saving.export import export_model

        export_model(self, path, to, overwrite, name)

    def __reduce__(self) -> tuple[Any, ...]:
        from .._saving.fmlp import own_objects
        from ..models import from_bytes

        return from_bytes, (_file.to_bytes(self), "the data", own_objects(self._first))


def read_ensemble(
    table: dict[str, Any], arrays: dict[str, np.ndarray], custom: Mapping[str, Any]
) -> Ensemble:
    """Make an ensemble from a file's description and arrays."""
    return _file.read_ensemble(Ensemble, table, arrays, custom)
