"""Ensembles: many networks trained side by side, whose mean predicts and whose spread warns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import _arrays, _checks, _evaluation, _fit_data, _predictions
from ._groups import Group
from ._members import Members
from .progress import ProgressLine, say

__all__ = ["Ensemble", "ensemble"]


class Ensemble(Members):
    """Trained networks that predict together; made by `fastmlp.ensemble`, or from a file.

    It is a sequence of its members: ``len(e)``, ``e[i]`` and iteration give each as a Sequential
    model of its own, with the weights that the same network has when it is trained alone.

    Parameters
    ----------
    groups : list of Group
        At least one network in all; for internal use.
    noise_sd : ndarray of shape (n_outputs,), optional
        See `predictive_sd`.
    noise_source : str, optional
        The held-out rows that it is from: 'validation rows', 'out-of-bag rows' or
        'held-out folds'.
    name : str, optional

    Attributes
    ----------
    noise_sd, noise_source
    training_config, extras : dict
        Plain JSON values, kept in the file.
    diverged : list of dict
        Networks that were left out because their training diverged: seed and message.
    interrupted : bool
        Whether Ctrl-C ended training before every network had all its epochs.
    """

    def __init__(
        self,
        groups: list[Group],
        noise_sd: np.ndarray | None = None,
        noise_source: str | None = None,
        name: str = "ensemble",
    ) -> None:
        super().__init__(groups)
        self.noise_sd, self.noise_source, self.name = noise_sd, noise_source, name
        self.training_config: dict[str, Any] = dict(self.groups[0].training_config)
        self.extras: dict[str, Any] = {}
        self.diverged: list[dict[str, Any]] = []
        self.interrupted = False

    def __repr__(self) -> str:
        return f"<Ensemble {self.name!r}: {len(self)} members, {self.n_inputs} inputs>"

    # ---- predict ----

    def _inputs(self, x: Any) -> np.ndarray:
        return _arrays.inputs(x, self.n_inputs, self.dtype)

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
        """Return the mean of the members' outputs; of a classifier, of their probabilities.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        batch_size : int, optional
            Accepted as `Sequential.predict` does; the result does not depend on it.
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """
        if batch_size is not None:
            _checks.integer("batch_size", batch_size)
        x = self._inputs(x)
        result = np.empty((len(x), self.n_outputs), self.dtype)
        for span, part in _predictions.parts(self, x, verbose):
            result[span] = part.mean(0, np.float64)
        return result

    __call__ = predict

    def _several(self) -> None:
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
            If there is one member only.
        """
        self._several()
        x = self._inputs(x)
        result = np.empty((len(x), self.n_outputs), self.dtype)
        for span, part in _predictions.parts(self, x, verbose):
            result[span] = part.std(0, np.float64, ddof=1)
        return result

    def predictive_sd(self, x: Any, verbose: int | str = 1) -> np.ndarray:
        """Return the standard deviation of a new observation: sqrt(spread**2 + noise_sd**2).

        `spread` is how far the members disagree at x, what is not known of the mean. `noise_sd`,
        one number for each output, stands for what scatters about it. It is estimated on
        held-out rows, which no member that is asked was trained on, so that over these the mean
        of the predictive variance is the mean squared error of the ensemble's mean:
        noise_sd**2 = mean((y - mean)**2 - spread**2), or 0 if that is negative. The rows are
        those for validation, or if there are none those that a member's bootstrap sample or its
        training folds leave out, each predicted by the members that have not seen it; where that
        is one member, its spread counts as 0.

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
            If no rows were held out, if there is one member only, or for a classifier, whose
            noise is in its probabilities.

        References
        ----------
        Lakshminarayanan, Pritzel & Blundell (2017), NeurIPS: the variance of an ensemble is that
        of its members' means and the mean of their noise.
        """
        spread = self.spread(x, verbose).astype(np.float64)
        return np.sqrt(spread**2 + self._noise() ** 2).astype(self.dtype)

    def _noise(self) -> np.ndarray:
        if self.loss is not None and self.loss.name.endswith("crossentropy"):
            raise ValueError(
                "A classifier has no noise beside its probabilities. "
                f"Received: an ensemble trained on {self.loss.name}"
            )
        if self.noise_sd is None:
            raise ValueError(
                "The noise is estimated on rows held out: train the ensemble with "
                "validation_data=, validation_split=, bootstrap=True or folds=. "
                "Received: an ensemble without"
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
            False: of the members' outputs, as `numpy.quantile` interpolates them. True: of the
            mixture of normal distributions about each member's output with `noise_sd`, so that
            q = 0.05 and 0.95 enclose nine in ten new observations; q must then be in (0, 1).
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (len(q), n, n_outputs)
            For a single number without the first axis.
        """
        levels = _predictions.levels(q)
        sd = self._noise() if _checks.flag("noise", noise) else None
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
        """Return loss and metrics of the mean prediction; the loss has no penalty in it.

        Parameters
        ----------
        x, y : array-like
        batch_size : int, optional
            Accepted as `Sequential.evaluate` does; the result does not depend on it.
        verbose : {0, 1, 2}
        sample_weight : array-like of shape (n,), optional
        return_dict : bool

        Returns
        -------
        float, or list of float
            The loss; [loss, metrics...] if there are metrics. A dict by name if asked.
        """
        if batch_size is not None:
            _checks.integer("batch_size", batch_size)
        rows = self._rows(x, y, sample_weight)
        assert self.loss is not None
        mean = self.predict(rows.x, verbose=verbose)
        values = [self.loss(rows.y, mean, rows.weight)]
        values += self._metric_values(rows.y, mean)
        return _evaluation.reported(self.metrics_names, values, return_dict)

    def _metric_values(self, y: np.ndarray, out: np.ndarray) -> list[float]:
        assert self.loss is not None
        kind = _fit_data.metric_kind(self.loss, y, self.n_outputs)
        return [metric.of(y, out, self.loss, kind) for metric in self.metrics]

    def _rows(self, x: Any, y: Any, sample_weight: Any = None) -> _fit_data.Rows:
        if self.loss is None:
            raise RuntimeError("The ensemble was saved without a loss: it cannot be evaluated")
        x = self._inputs(x)
        y = _fit_data.targets(self._first, y, len(x))
        return _fit_data.Rows(x, y, _arrays.row_weights(sample_weight, len(x), self.dtype))

    def evaluate_members(self, x: Any, y: Any, verbose: int | str = 1) -> np.ndarray:
        """Return every member's own loss, without penalty, and metrics.

        Parameters
        ----------
        x, y : array-like
        verbose : {0, 1, 2}

        Returns
        -------
        ndarray of shape (members, 1 + metrics)
            Columns as `metrics_names` says.
        """
        rows = self._rows(x, y)
        loss = self.loss
        assert loss is not None
        table = []
        with ProgressLine("evaluate", len(self), "members", enabled=verbose in (1, "auto")) as line:
            for group in self.groups:
                for predict in group.predictors():
                    out = predict(rows.x)
                    table.append([loss(rows.y, out), *self._metric_values(rows.y, out)])
                    line.update(len(table))
        return np.array(table, np.float64)

    # ---- show and keep ----

    def plot(self, **arguments: Any) -> Any:
        """Draw the members grey and their mean bold; arguments are those of `plot_ensemble`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from . import plots

        return plots.plot_ensemble(self, **arguments)

    def summary(self, line_length: int | None = None, print_fn: Any = None) -> None:
        """Print which networks there are, and the layers of each architecture.

        Parameters
        ----------
        line_length : int, optional
            The terminal's width by default.
        print_fn : callable, optional
            Takes the text; `print` by default.
        """
        from .summary import ensemble_text

        (print_fn or say)(ensemble_text(self, line_length))

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the ensemble to one file, atomically; `models.load_model` reads it.

        The file is data only: members' weights, architecture, compilation, seeds and losses, not
        the state of their optimizers.

        Parameters
        ----------
        path : str or Path
            Its suffix is '.fmlp' by custom.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        """
        from ._atomic import write_atomically
        from ._ensemble_file import to_bytes

        write_atomically(path, to_bytes(self), overwrite)

    def __reduce__(self) -> tuple[Any, ...]:
        from ._ensemble_file import to_bytes
        from .persistence import from_bytes, own_objects

        return from_bytes, (to_bytes(self), "the data", own_objects(self._first))


def ensemble(
    x: Any,
    y: Any,
    units: Any,
    members: int = 10,
    *,
    activation: str | Sequence[str] = "relu",
    output_activation: str = "linear",
    l1: float | Sequence[float] = 0.0,
    l2: float | Sequence[float] = 0.0,
    dropout: float | Sequence[float] = 0.0,
    lambdas: Sequence[float] | None = None,
    penalty: str = "l2",
    optimizer: Any = "adam",
    loss: Any = "mean_squared_error",
    metrics: Any = None,
    epochs: int = 100,
    batch_size: int | None = 32,
    shuffle: bool = True,
    sample_weight: Any = None,
    bootstrap: bool = False,
    folds: int | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    dtype: str = "float32",
    jobs: int | None = None,
    cluster: str | None = None,
    threads: int | None = None,
    verbose: int | str = 1,
) -> Ensemble:
    """Train many networks side by side, and return them as one.

    There is a network for every combination of architecture, lambda, fold and seed, in this
    order. Each ends with the bits that the same network has when it is trained alone:
    ``models.mlp(units, n_inputs, n_outputs, seed=seeds[i], ...)``, compiled and fitted with the
    same arguments, whatever the number of threads. Tiny networks of one kind go through the
    kernels together, a lane of a vector each; small ones have a thread each; large ones, all.

    Parameters
    ----------
    x : array-like of shape (n, n_inputs)
    y : array-like of shape (n, n_outputs) or (n,)
    units : str, sequence of int, Sequential, or list of these
        One architecture or several: widths of hidden layers, as `models.mlp` takes them, or a
        model that is compiled, whose architecture and compilation are taken and nothing else;
        `activation` to `dropout`, `optimizer`, `loss`, `metrics` and `dtype` then stay unused.
    members : int
        Networks of each kind, which differ in their seeds.
    activation, output_activation, l1, l2, dropout
        See `models.mlp`.
    lambdas : sequence of float, optional
        Values of the penalty, the same for the weights of every layer; l1 and l2 stay 0.
    penalty : {'l1', 'l2'}
        What `lambdas` are of.
    optimizer, loss, metrics
        See `Sequential.compile`.
    epochs, batch_size, shuffle, sample_weight
        See `Sequential.fit`; batch_size None means all rows.
    bootstrap : bool
        Bagging: each network is trained on as many rows as there are, drawn with replacement by
        ``numpy.random.default_rng(numpy.random.SeedSequence(seed, spawn_key=(2,)))`` of its own
        seed.
    folds : int, optional
        Cross-validation: the rows are put in an order drawn from the first seed and cut into so
        many parts; a network is trained on all rows but one part, in their own order.
    validation_split : float
        The last share of the rows is kept to estimate the noise; no network is trained on it.
    validation_data : tuple (x, y), optional
        Rows for that, instead of a split.
    seed : int, optional
        Member i has the seed `seed` + i. Drawn if neither it nor `seeds` is given.
    seeds : sequence of int, optional
        The members' seeds, all different, instead.
    dtype : {'float32', 'float64'}
    jobs : int, optional
        Processes of this machine, through joblib, instead of threads of this one; by default
        what ``joblib.parallel_config`` says, where it is in force; its backend may be Dask.
    cluster : str, optional
        The address of a Dask scheduler, "tcp://host:8786".
    threads : int, optional
        By default as many as other work has; see `fastmlp.set_num_threads`. With jobs or a
        cluster, of each worker.
    verbose : {0, 1}
        1: a progress line on stderr once training has taken a second.

    Returns
    -------
    Ensemble
        A network whose training diverged is not in it: `Ensemble.diverged` says which, and a
        RuntimeWarning is given.

    Raises
    ------
    DataError
        If the data cannot be used.
    ValueError
        If an argument cannot be; the message says what arrived.
    DivergedError
        If every network diverged.
    KeyboardInterrupt
        On Ctrl-C. Its attribute ``ensemble`` holds the networks that had all their epochs by
        then, or if there are none those that had some; None if there are none either.

    References
    ----------
    Breiman (1996), Machine Learning 24: bagging. Lakshminarayanan, Pritzel & Blundell (2017),
    NeurIPS: deep ensembles.
    """
    from . import _ensemble_fit

    arguments = dict(locals())
    del arguments["_ensemble_fit"]
    return _ensemble_fit.fit(**arguments)
