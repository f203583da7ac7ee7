"""The largest lambda of a path: the smallest that makes every weight zero."""

from __future__ import annotations

import numpy as np

from .. import threads
from .._many.cross_validation import TableProblem
from .._utils.progress import ProgressLine
from ..errors import DataError
from ._linear import LinearModel, Penalty
from ._solvers import Array, PathSettings, Solver, make_solver
from ._sparsity import describe

# An L2 penalty makes no weight zero. There, a null model explains less than this share of the loss.
EXPLAINED = 0.01
_START = 1e-3  # first trial, in multiples of the largest lambda of a linear model
_MAX_DOUBLINGS = 60
_MAX_SMALLER = 5
_BISECTIONS = 5  # of a factor of 2: leaves 2%
EXPECTED_FITS = 20  # about


def largest_lambda(
    problem: TableProblem, settings: PathSettings, factors: Array, line: ProgressLine
) -> float:
    """Return the smallest lambda at which the path on all rows has no nonzero weight.

    A model without hidden layers has a formula for it. With hidden layers, lambda is doubled until
    every weight is zero; then the interval of the last factor of 2 is bisected, each time from the
    last network that had nonzero weights.

    Parameters
    ----------
    problem : TableProblem
    settings : PathSettings
    factors : ndarray of shape (n_layers,)
    line : ProgressLine

    Returns
    -------
    float

    Raises
    ------
    DataError
        If there is no such lambda.
    """
    first = _linear_largest(problem, settings)
    if settings.linear and settings.penalty != "l2":
        return first / float(factors[0])
    search = _Search(problem, settings, factors, line)
    lam, tries = first / float(factors.max()), 0
    if not settings.linear:
        lam *= _START
    while search.is_null(lam, restart=True):  # seldom: the first trial is too large
        lam, tries = lam / 100, tries + 1
        if tries > _MAX_SMALLER:
            raise DataError(
                "The network learnt nothing, even with the smallest penalty; train for more epochs"
            )
    for _ in range(_MAX_DOUBLINGS):
        lam *= 2
        if search.is_null(lam):
            return search.bisect(lam / 2, lam)
    raise DataError(f"The network has nonzero weights even at lambda {lam:.3g}")


def _linear_largest(problem: TableProblem, settings: PathSettings) -> float:
    rows = problem.whole
    ratio = settings.l1_ratio
    penalty = Penalty(ratio, (1 - ratio) / 2, settings.penalty == "group")
    x, y = rows.x.astype(np.float64), rows.y.astype(np.float64)
    largest = LinearModel(x, y, settings.n_classes, penalty, rows.weight).largest_lambda()
    if not largest > 0:
        raise DataError("No input varies with the target, so the path has no largest lambda")
    return largest


class _Search:
    """A solver that can go back to its last network with nonzero weights."""

    def __init__(
        self, problem: TableProblem, settings: PathSettings, factors: Array, line: ProgressLine
    ) -> None:
        self.problem, self.settings, self.factors, self.line = problem, settings, factors, line
        self.solver: Solver = make_solver(settings, problem.whole)
        self.kept = self.solver.snapshot()
        self.n_fits = 0
        self.null_score = problem.null_scores()[0]

    def is_null(self, lam: float, restart: bool = False) -> bool:
        """Fit at a lambda; return whether the model is null, and keep it if not."""
        threads.raise_if_cancelled()
        if restart:
            self.solver = make_solver(self.settings, self.problem.whole)
        self.solver.fit(lam * self.factors)
        self.n_fits += 1
        self.line.update(self.n_fits, {"lambda": lam})
        null = self._is_null()
        if not null:
            self.kept = self.solver.snapshot()
        return null

    def _is_null(self) -> bool:
        rows, solver = self.problem.whole, self.solver
        if self.settings.penalty != "l2":
            return describe(solver.model, rows.x).n_nonzero == 0
        score = self.problem.scores(rows, solver.predict(rows.x), rows.y, rows.weight)[0]
        return bool(score > (1 - EXPLAINED) * self.null_score)

    def bisect(self, low: float, high: float) -> float:
        """Bisect between a lambda with nonzero weights and one without; return the latter."""
        for _ in range(_BISECTIONS):
            middle = float(np.sqrt(low * high))
            self.solver.restore(self.kept)
            if self.is_null(middle):
                high = middle
            else:
                low = middle
        return high
