"""`path`: the grid, the walks on all rows and without each fold, and the choice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import layers
from .._many import cross_validation
from .._many.cross_validation import Problem
from .._many.engines import Engine, engine
from .._model.architecture import parse_hidden
from .._utils import arguments
from .._utils.progress import ProgressLine
from ..models import Sequential
from . import _grid
from ._result import CHOICES, PathResult
from ._search import EXPECTED_FITS, EXPLAINED, largest_lambda
from ._solvers import Array, Settings, State
from ._tracks import Packed, Step, Track, Tracks, can_keep, walk

_RATIO = 1e-3  # of the smallest to the largest lambda with hidden layers
_MAX_EXTRA = 30  # lambdas beyond the largest that the search found
_BATCH, _STEPS, _EPOCHS = 256, 1000, 200
_FULL_BATCH = 2048  # rows up to which every step of the optimizer sees all


class PathInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a path.

    Attributes
    ----------
    result : PathResult
        The lambdas up to there.
    """

    def __init__(self, message: str, result: PathResult) -> None:
        super().__init__(message)
        self.result = result


def path(
    x: Any,
    y: Any,
    units: str | Sequence[int] | None = None,
    *,
    penalty: str = "l1",
    n_lambdas: int = 50,
    lambdas: Any = None,
    lambda_ratio: float | None = None,
    layer_factors: Sequence[float] | None = None,
    l1_ratio: float = 1.0,
    folds: Any = 5,
    choose: str = "1se",
    measure: str | None = None,
    seed: int = 0,
    task: str | None = None,
    standardize: bool = True,
    activation: str | Sequence[str] = "relu",
    epochs: int | None = None,
    first_epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float = 0.01,
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
    impute: str | None = None,
    indicator: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    threads: int | None = None,
    verbose: int = 1,
) -> PathResult:
    """Fit a network for many lambdas, cross-validate each, and choose one.

    lambda multiplies the penalty of the weights that is added to the mean squared error or the
    cross-entropy, as in `regularizers`: l1 is ``lambda * sum(|w|)`` by proximal steps, which make
    weights exactly zero; l2 is ``lambda * sum(w**2)``; group is ``GroupL1(lambda, "inputs")``,
    which removes whole inputs and hidden units. Biases are not penalised.

    With hidden layers the path goes from the smallest lambda to the largest, each network
    beginning where the last one ended: from a network of zeros nothing would ever leave. Without
    them it goes from the largest to the smallest, and each model is solved to rounding error.

    Parameters
    ----------
    x : array-like of shape (n, p), data frame, Table and so on
        What `datasets.as_table` takes.
    y : array-like of shape (n,), or str
        Numbers or classes; or the name of a column of x.
    units : str or sequence of int, optional
        Hidden layers' widths, such as "64x2"; None, "none" or () for a model without any.
    penalty : {"l1", "l2", "group"}
    n_lambdas : int
        Evenly spaced in logarithm, from the smallest lambda that leaves nothing of the model:
        no nonzero weight, or with l2 less than 1% of the loss explained.
    lambdas : sequence of float, or array-like of shape (n, n_layers), optional
        A grid of one's own, in any order; with a column for each Dense layer, every layer has a
        grid of its own, and a row is a step of the path.
    lambda_ratio : float, optional
        The smallest lambda as a share of the largest. By default 1e-3 with hidden layers; without
        them 1e-4, or 1e-2 where inputs outnumber rows, for l2 a tenth of that.
    layer_factors : sequence of float, optional
        By which each Dense layer, output included, multiplies lambda; 0 for no penalty.
    l1_ratio : float
        Below 1 the penalty l1 is ``lambda * (l1_ratio * sum(|w|) + (1 - l1_ratio) / 2 *
        sum(w**2))``: of scikit-learn's ElasticNet with alpha = lambda / 2, whose loss is half the
        mean squared error.
    folds : int or array-like of shape (n,)
        How many, drawn by `seed`, for classes with equal shares of each; or each row's fold.
    choose : {"1se", "min"}
        The lambda of `PathResult.model`: the largest within one standard error of the least
        cross-validated error, or that of the least.
    measure : {"mse", "deviance", "misclassification"}, optional
        The error: by default the mean squared error, for classes the deviance.
    seed : int
        Of folds and initial weights, which all folds share.
    task : {"regression", "classification"}, optional
        Decided from the target by default.
    standardize : bool
        Scale numeric inputs and a regression's target to mean 0 and deviation 1, in each fold by
        its own training rows; lambda then belongs to that scale. Errors and predictions are in
        the target's units.
    activation : str or sequence of str
        Of hidden layers.
    epochs : int, optional
        Of training for each lambda. By default 200; with batches as many as make 1000 steps, but
        2 at least.
    first_epochs : int, optional
        Of the first network of a path, which begins with random weights; 5 times `epochs` by
        default.
    batch_size : int, optional
        All rows by default, or 256 where there are more than 2048.
    learning_rate : float
        Adam's; a tenth of it for the last 30% of the epochs.
    categorical, drop, impute, indicator
        Of `preprocessing.Preprocessing.fit`.
    jobs : int, optional
        Processes of this machine, through joblib, for the folds' paths; by default what
        ``joblib.parallel_config`` says, where it is in force; its backend may be Dask.
    cluster : str, optional
        The address of a Dask scheduler, "tcp://host:8786": a fold's path stays on one worker.
    threads : int, optional
        The folds' paths go side by side; results are the same bits for any number. With jobs or
        a cluster, of each worker.
    verbose : {0, 1}
        1: a progress line on stderr once it has taken a second.

    Returns
    -------
    PathResult

    Raises
    ------
    DataError
        If the data cannot be used, or a fold lacks a class.
    ValueError
        If an argument is not what it should be.
    DivergedError
        If a network's loss is no longer finite.
    PathInterrupted
        After Ctrl-C, with the result up to there; a plain KeyboardInterrupt if there is none yet,
        as with jobs or a cluster, which return whole paths.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), Journal of Statistical Software 33(1); Lemhadri, Ruan,
    Abraham & Tibshirani (2021), Journal of Machine Learning Research 22, for dense to sparse.
    """
    hidden = parse_hidden(units)
    arguments.verbosity(verbose)
    layers.check_activations(activation)
    n_lambdas = arguments.integer("n_lambdas", n_lambdas)
    seed = arguments.integer("seed", seed, 0)
    arguments.one_of("choose", choose, CHOICES)
    settings = Settings(
        hidden,
        penalty,
        l1_ratio,
        activation=activation,
        seed=seed,
        learning_rate=arguments.number(
            "learning_rate", learning_rate, "a finite number above 0", lambda v: v > 0
        ),
    )  # fmt: skip
    defaults = arguments.defaults_of(path)
    if not hidden:
        trained = {
            "activation": activation, "epochs": epochs, "first_epochs": first_epochs,
            "batch_size": batch_size, "learning_rate": learning_rate,
        }  # fmt: skip
        reason = "a model without hidden layers is solved, not trained"
        arguments.warn_unused(reason, trained, defaults)
    if lambdas is not None:
        ends = {"n_lambdas": n_lambdas, "lambda_ratio": lambda_ratio}
        arguments.warn_unused("lambdas are given", ends, defaults)
    n_layers = len(hidden) + 1
    factors = _grid.factors(layer_factors, n_layers)
    grid = None if lambdas is None else _grid.given(lambdas, layer_factors, n_layers)
    if lambda_ratio is not None:
        arguments.number("lambda_ratio", lambda_ratio, "a number in (0, 1)", lambda v: 0 < v < 1)
    problem = Problem(
        x, y, task, settings.dtype, standardize=arguments.flag("standardize", standardize),
        categorical=categorical, drop=drop, impute=impute, indicator=indicator,
    )  # fmt: skip
    lengths: dict[str, Any] = _lengths(problem.n_rows, batch_size, epochs, first_epochs)
    settings = replace(settings, n_classes=problem.n_classes, **lengths)
    measure = problem.chosen_measure(measure)
    assigned = cross_validation.assigned(folds, problem.codes, problem.labels, problem.n_rows, seed)
    if grid is None:
        with ProgressLine("largest lambda", EXPECTED_FITS, "fits", enabled=bool(verbose)) as line:
            largest = largest_lambda(problem, settings, factors, line)
        ratio = lambda_ratio or _default_ratio(settings, problem)
        grid = _grid.geometric(largest, ratio, n_lambdas, factors)
    source = _Source(problem, settings, grid, open_ended=lambdas is None)
    with engine(jobs, cluster, threads) as workers:
        stop = source.walk(assigned, workers, threads, bool(verbose))
    result = source.result(assigned, measure, choose)
    if stop is not None:
        if result is None:
            raise KeyboardInterrupt("Interrupted before the first lambda was done.")
        done = f"{len(result.lambdas)} of {len(grid.lambdas)} lambdas"
        raise PathInterrupted(f"Interrupted after {done}.", result)
    assert result is not None
    return result


def _lengths(
    n_rows: int, batch_size: int | None, epochs: int | None, first_epochs: int | None
) -> dict[str, int]:
    """Return how long to train and in which batches; what was given is checked."""
    given = {"batch_size": batch_size, "epochs": epochs, "first_epochs": first_epochs}
    checked = {k: arguments.integer(k, v) for k, v in given.items() if v is not None}
    arguments.batch_size(checked.get("batch_size", 1))
    size = checked.setdefault("batch_size", n_rows if n_rows <= _FULL_BATCH else _BATCH)
    batches = -(-n_rows // size)
    steps = _EPOCHS if batches == 1 else max(2, round(_STEPS / batches))
    checked.setdefault("epochs", steps)
    checked.setdefault("first_epochs", 5 * checked["epochs"])
    return checked


def _default_ratio(settings: Settings, problem: Problem) -> float:
    if not settings.linear:
        return _RATIO
    n, p = problem.whole.x.shape
    return (1e-4 if n > p else 1e-2) * (0.1 if settings.penalty == "l2" else 1)


class _Source:
    """What a path is made from, and the walks themselves.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    grid : Grid
    open_ended : bool
        Whether larger lambdas may take the place of the smallest ones, until nothing is left of
        a network.
    """

    def __init__(
        self, problem: Problem, settings: Settings, grid: _grid.Grid, open_ended: bool
    ) -> None:
        self.problem, self.settings, self.grid = problem, settings, grid
        self.n_lambdas = len(grid.lambdas)
        self.open_ended = open_ended and not settings.linear and self.n_lambdas > 1
        n_outputs = max(1, problem.n_classes)
        self.keep_held = can_keep(self.n_lambdas * problem.n_rows * n_outputs)
        self.steps: list[list[Step]] = []  # of all rows, then of each fold; in the walk's order
        self.states: list[list[Packed] | None] = []

    def _in_order(self, by_layer: Array) -> Array:
        """Return rows from the largest lambdas to the smallest as they are walked."""
        return by_layer if self.settings.linear else by_layer[::-1]

    def walk(
        self, folds: NDArray[np.int64], workers: Engine, threads: int | None, verbose: bool
    ) -> KeyboardInterrupt | None:
        """Walk all paths; return the interruption, if there was one."""
        held = [None, *(folds == k for k in range(int(folds.max()) + 1))]
        with ProgressLine("path", len(held) * self.n_lambdas, "fits", enabled=verbose) as line:
            go_on = self._begun(held, workers, threads, line)
            stop = go_on(self._in_order(self.grid.by_layer))
            while stop is None and self._unfinished():
                self.grid = self.grid.extended()
                stop = go_on(self.grid.by_layer[:1])
        return stop

    def _begun(
        self,
        held: list[NDArray[np.bool_] | None],
        workers: Engine,
        threads: int | None,
        line: ProgressLine,
    ) -> Callable[[Array], KeyboardInterrupt | None]:
        """Return what walks all tracks on along a grid: here, or by other processes."""
        keep = [rows is None or self.keep_held for rows in held]
        if not workers.here:
            sent = Tracks(workers, self.problem, self.settings, held, keep)
            self.steps = sent.steps
            return lambda by_layer: sent.walk(by_layer, line)
        tracks = [
            Track(self.problem, self.settings, rows, kept)
            for rows, kept in zip(held, keep, strict=True)
        ]
        self.steps = [track.steps for track in tracks]
        return lambda by_layer: walk(tracks, by_layer, threads, line)

    def _unfinished(self) -> bool:
        """Tell whether something is left at the largest lambda.

        Small steps can keep alive what the search's large ones did not.
        """
        last, extra = self.steps[0][-1], len(self.grid.lambdas) - self.n_lambdas
        if not self.open_ended or extra == _MAX_EXTRA or last.description is None:
            return False
        if self.settings.penalty != "l2":
            return last.description.n_nonzero > 0
        return bool(last.scores[0] < (1 - EXPLAINED) * self.problem.null_scores()[0])

    def result(self, folds: NDArray[np.int64], measure: str, choose: str) -> PathResult | None:
        """Return what was walked on every track, from large lambdas to small; None if nothing."""
        done = min(len(steps) for steps in self.steps)
        if not done:
            return None
        linear, total = self.settings.linear, len(self.grid.lambdas)
        # After an extension the smallest lambdas are one too many each.
        few = min(done, self.n_lambdas)
        walked = slice(None, done) if linear else slice(total - done, total - done + few)
        own, *others = [self._from_large(steps[:done])[:few] for steps in self.steps]
        scores = np.array([[step.scores for step in steps] for steps in others])  # folds, steps
        held_out = None
        if self.keep_held:
            held_out = np.empty((few, len(folds), max(1, self.problem.n_classes)), np.float32)
            for k, steps in enumerate(others):
                held_out[:, folds == k] = [step.held for step in steps]
        trained = np.array([step.scores for step in own])
        self.states = [step.state for step in own]
        self.n_walked = done
        measures = self.problem.measures
        return PathResult(
            self.grid.lambdas[walked],
            self.grid.by_layer[walked],
            self.settings.penalty,
            measure,
            {name: scores[:, :, i].T for i, name in enumerate(measures)},
            {name: trained[:, i] for i, name in enumerate(measures)},
            np.bincount(folds),
            folds,
            [step.description for step in own if step.description is not None],
            float(self.problem.null_scores()[measures.index(measure)]),
            self.problem.whole.preprocessing,
            choose,
            self.settings.units,
            self.settings.seed,
            few < self.n_lambdas,
            held_out,
            self,
        )

    def _from_large(self, steps: list[Step]) -> list[Step]:
        return steps if self.settings.linear else steps[::-1]

    def model(self, result: PathResult, place: int) -> Sequential:
        """Make the model of all rows at one of a result's lambdas."""
        lambdas = result.layer_lambdas[place]
        model = self.settings.model(self.problem.whole.x.shape[1])
        for layer, lam in zip(model.dense_layers, lambdas, strict=True):
            layer.kernel_regularizer = self.settings.regularizer(float(lam))
        model.set_weights(self._state(result, place))
        result.preprocessing.keep(model)
        model.extras["path"] = {
            "penalty": result.penalty,
            "lambda": float(result.lambdas[place]),
            "layer_lambdas": [float(lam) for lam in lambdas],
            "lambda_min": result.lambda_min,
            "lambda_1se": result.lambda_1se,
            "measure": result.measure,
            "cv_mean": float(result.cv_mean[place]),
            "cv_se": float(result.cv_se[place]),
            "folds": len(result.fold_sizes),
            "seed": result.seed,
        }
        return model

    def _state(self, result: PathResult, place: int) -> State:
        state = self.states[place]
        if state is not None:
            return [array.unpacked() for array in state]
        # Weights too large to keep for every lambda: walk there once more, to the same bits.
        track = Track(self.problem, self.settings, None, keep=False)
        n_steps = place + 1 if self.settings.linear else self.n_walked - place
        for lambdas in self._in_order(self.grid.by_layer)[:n_steps]:
            track.advance(lambdas)
        return track.walker.state()
