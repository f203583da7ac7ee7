"""The largest lambda of a path: the smallest at which nothing is left of the model."""

from __future__ import annotations

import numpy as np

from .. import threads
from .._many.cross_validation import Problem
from .._utils.progress import ProgressLine
from ..errors import DataError
from ._linear import LinearModel, Penalty
from ._solvers import Array, Settings, Walker, walker
from ._sparsity import described

# Under an L2 penalty no weight is ever zero: the model is gone when it explains less of the loss.
EXPLAINED = 0.01
_START = 1e-3  # in multiples of the largest lambda of a linear model
_MAX_DOUBLINGS = 60
_MAX_SMALLER = 5
_BISECTIONS = 5  # of a factor of 2: to 2%
EXPECTED_FITS = 20  # or so


def largest_lambda(
    problem: Problem, settings: Settings, factors: Array, line: ProgressLine
) -> float:
    """Return the smallest lambda at which the path on all rows has no nonzero weight.

    Without hidden layers it has a formula. With them it is found by walking: lambda is doubled
    until every weight is zero, and the last factor of 2 halved by bisection from the last network
    that was not.

    Parameters
    ----------
    problem : Problem
    settings : Settings
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
    while search.is_null(lam, anew=True):  # seldom: an even smaller lambda leaves nothing
        lam, tries = lam / 100, tries + 1
        if tries > _MAX_SMALLER:
            raise DataError(
                "Nothing is learnt of the target, even with the smallest penalty; more epochs "
                "may help"
            )
    for _ in range(_MAX_DOUBLINGS):
        lam *= 2
        if search.is_null(lam):
            return search.bisected(lam / 2, lam)
    raise DataError(f"The network has nonzero weights even at lambda {lam:.3g}")


def _linear_largest(problem: Problem, settings: Settings) -> float:
    part = problem.whole
    ratio = settings.l1_ratio
    penalty = Penalty(ratio, (1 - ratio) / 2, settings.penalty == "group")
    x, y = part.x.astype(np.float64), part.y.astype(np.float64)
    largest = LinearModel(x, y, settings.n_classes, penalty).largest_lambda()
    if not largest > 0:
        raise DataError("No input varies with the target, so that no penalty is needed at all")
    return largest


class _Search:
    """A walker that can be set back to where it was."""

    def __init__(
        self, problem: Problem, settings: Settings, factors: Array, line: ProgressLine
    ) -> None:
        self.problem, self.settings, self.factors, self.line = problem, settings, factors, line
        self.walker: Walker = walker(settings, problem.whole)
        self.kept = self.walker.snapshot()
        self.n_fits = 0
        self.null_score = problem.null_scores()[0]

    def is_null(self, lam: float, anew: bool = False) -> bool:
        """Walk on to a lambda, and tell whether nothing is left; what is not is kept."""
        threads.raise_if_cancelled()
        if anew:
            self.walker = walker(self.settings, self.problem.whole)
        self.walker.fit(lam * self.factors)
        self.n_fits += 1
        self.line.update(self.n_fits, {"lambda": lam})
        null = self._is_null()
        if not null:
            self.kept = self.walker.snapshot()
        return null

    def _is_null(self) -> bool:
        part, walker = self.problem.whole, self.walker
        if self.settings.penalty != "l2":
            return described(walker.model, part.x).n_nonzero == 0
        score = self.problem.scores(part, walker.predict(part.x), part.y)[0]
        return bool(score > (1 - EXPLAINED) * self.null_score)

    def bisected(self, low: float, high: float) -> float:
        """Halve a factor of 2 between a lambda that leaves something and one that does not."""
        for _ in range(_BISECTIONS):
            middle = float(np.sqrt(low * high))
            self.walker.restore(self.kept)
            if self.is_null(middle):
                high = middle
            else:
                low = middle
        return high
