"""Simple models that a network must beat: a constant, and a linear or logistic model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._utils.sparse import is_sparse
from ._scores import class_codes

PENALTIES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # l2, of which held-out rows choose
_FEWER = PENALTIES[1::2]
_MOST_VALUES = 10_000_000  # of the inputs that are fitted to: rows are drawn if there are more
_FEWEST_ROWS, _MOST_ROWS = 2_000, 100_000
_MOST_CHOOSING = 20_000  # rows that choose the penalty
_WIDE = 1_000  # inputs; of more, the Gram matrix is decomposed only
_MOST_WORK = 1e10  # if rows**2 * inputs are not more
_MOST_STEPS = 50  # of L-BFGS


@dataclass
class Baselines:
    """A constant and a linear model, fitted to the rows that a network was trained on.

    Parameters
    ----------
    task : {"regression", "classification"}
    constant_ : ndarray of shape (n_outputs,)
        The mean of each target (or its quantile), or the share of each class.
    coefficients : ndarray of shape (n_inputs + 1, n_outputs)
        Of the linear model, the intercept last. For two classes one column, the logit of class 1.
    penalty : float
        The l2 penalty that was chosen.
    one_dimensional : bool
        Whether y was given as (n,), as predictions of regression then are.
    """

    task: str
    constant_: np.ndarray
    coefficients: np.ndarray
    penalty: float
    one_dimensional: bool = True

    @classmethod
    def fit(
        cls,
        task: str,
        x: Any,
        y: Any,
        weights: Any = None,
        *,
        n_classes: int | None = None,
        quantile: float | None = None,
        penalty: float | None = None,
        seed: int = 0,
    ) -> Baselines:
        """Fit both models.

        The linear model minimises the mean squared error (for classes the log loss) plus
        penalty * the sum of its squared coefficients. Rows that are held out from it choose the
        penalty. At most 100,000 rows and 10 million inputs are fitted to (but 2000 rows, if there
        are): rows are drawn if there are more, so that the time is bounded.

        Parameters
        ----------
        task : {"regression", "classification"}
        x : array-like or sparse matrix of shape (n, n_inputs)
            The network's inputs.
        y : array-like of shape (n,) or (n, n_outputs)
            Numbers, or class codes.
        weights : array-like of shape (n,), optional
        n_classes : int, optional
            By default the largest code and one.
        quantile : float, optional
            The constant is this quantile of y instead of its mean.
        penalty : float, optional
            By default chosen.
        seed : int
            Of the rows drawn.

        Returns
        -------
        Baselines
        """
        one_dimensional = task == "classification" or np.ndim(y) < 2
        weight = np.ones(len(y)) if weights is None else np.asarray(weights, float).reshape(-1)
        if task == "classification":
            codes = class_codes(y)
            k = max(2, n_classes or int(codes.max()) + 1)
            constant = np.bincount(codes, weight, k) / weight.sum()
            targets = np.eye(k)[codes] if k > 2 else (codes == 1).astype(float)[:, None]
        else:
            targets = np.asarray(y, np.float64).reshape(len(y), -1)
            if quantile is None:
                constant = weight @ targets / weight.sum()
            else:
                constant = np.array([_quantile(column, weight, quantile) for column in targets.T])
        rng = np.random.default_rng(seed)
        n, p = x.shape
        most = max(_FEWEST_ROWS, min(_MOST_VALUES // max(p, 1), _MOST_ROWS))
        rows = np.sort(rng.permutation(n)[:most]) if n > most else np.arange(n)
        rows = rows[weight[rows] > 0]
        problem = _Problem(_inputs(x, rows), targets[rows], weight[rows], task)
        if penalty is None:
            penalty = _chosen(problem, rng)
        return cls(task, constant, problem.solve(penalty), penalty, one_dimensional)

    def constant(self, n: int) -> np.ndarray:
        """Return the constant model's predictions of n rows.

        Returns
        -------
        ndarray of shape (n,), (n, n_outputs), or (n, n_classes) of probabilities
        """
        if self.task == "regression" and self.one_dimensional:
            return np.full(n, self.constant_[0])
        return np.tile(self.constant_, (n, 1))

    def linear(self, x: Any) -> np.ndarray:
        """Return the linear model's predictions.

        Returns
        -------
        ndarray of shape (n,), (n, n_outputs), or (n, n_classes) of probabilities
        """
        scores = np.asarray(x @ self.coefficients[:-1]) + self.coefficients[-1]
        if self.task == "classification":
            return _shares(scores)
        return scores[:, 0] if self.one_dimensional else scores


def _quantile(y: np.ndarray, weight: np.ndarray, q: float) -> float:
    order = np.argsort(y)
    total = np.cumsum(weight[order])
    return float(y[order][min(np.searchsorted(total, q * total[-1]), len(y) - 1)])


def _inputs(x: Any, rows: np.ndarray) -> Any:
    chosen = x if len(rows) == x.shape[0] else x[rows]
    return chosen.astype(np.float64) if is_sparse(chosen) else np.asarray(chosen, np.float64)


def _shares(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (n, k) of logits; one column is the logit of class 1 of two."""
    if logits.shape[1] == 1:
        small = np.exp(-np.abs(logits))
        one = np.where(logits >= 0, 1, small) / (1 + small)
        return np.concatenate([1 - one, one], axis=1)
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class _Problem:
    """A penalised linear model of some rows, solved for several penalties.

    Inputs are centred and rotated to the axes of their Gram matrix, in which a squared error is
    minimised at once and a log loss in few steps. Very many inputs and sparse ones stay as they
    are.
    """

    def __init__(self, x: Any, y: np.ndarray, weight: np.ndarray, task: str) -> None:
        self.x, self.y, self.task = x, y, task
        self.weight = weight / weight.sum()
        self.axes: np.ndarray | None = None
        n, p = x.shape
        if not is_sparse(x) and (p <= _WIDE or n * n * p <= _MOST_WORK):
            self.center = self.weight @ x
            z = x - self.center
            scaled = np.sqrt(self.weight)[:, None] * z
            # Of few rows the same axes come from a smaller matrix.
            size, axes = np.linalg.eigh(scaled @ scaled.T if n < p else scaled.T @ scaled)
            good = size > size.max(initial=0.0) * 1e-10
            self.size, self.axes = size[good], axes[:, good]
            if n < p:
                self.axes = scaled.T @ self.axes / np.sqrt(self.size)
            self.z = z @ self.axes

    def part(self, rows: np.ndarray) -> _Problem:
        """Return the problem of some of the rows."""
        return _Problem(self.x[rows], self.y[rows], self.weight[rows], self.task)

    def solve(self, penalty: float) -> np.ndarray:
        """Return coefficients (n_inputs + 1, n_outputs), the intercept last."""
        if self.axes is None:
            return self._descend(self.x, np.full(self.x.shape[1], 1.0), penalty)
        if self.task == "regression":
            mean = self.weight @ self.y
            moment = self.z.T @ (self.weight[:, None] * (self.y - mean))
            w = moment / (self.size[:, None] + penalty)
            solution = np.concatenate([w, [mean]])
        else:
            # Scaled so that each axis has about the same curvature.
            scale = 1 / np.sqrt(self.size + 4 * penalty)
            solution = self._descend(self.z * scale, scale, penalty)
        w = self.axes @ solution[:-1]
        return np.concatenate([w, [solution[-1] - self.center @ w]])

    def _descend(self, z: Any, scale: np.ndarray, penalty: float) -> np.ndarray:
        """Minimise by L-BFGS over v, where the coefficients are scale * v."""
        from scipy import optimize

        n_in, k = z.shape[1], self.y.shape[1]
        w = self.weight[:, None]

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            v = flat.reshape(n_in + 1, k)
            out = z @ v[:-1] + v[-1]
            own = scale[:, None] * v[:-1]
            loss = penalty * float((own**2).sum())
            if self.task == "regression":
                d = out - self.y
                loss += float((w * d**2).sum())
                slope = 2 * w * d
            else:
                p = _shares(out)
                if k == 1:
                    loss += float((w * (np.logaddexp(0, out) - self.y * out)).sum())
                    slope = w * (p[:, 1:] - self.y)
                else:
                    top = out.max(axis=1, keepdims=True)
                    total = top + np.log(np.exp(out - top).sum(axis=1, keepdims=True))
                    loss += float((w * (total - (self.y * out).sum(axis=1, keepdims=True))).sum())
                    slope = w * (p - self.y)
            gradient = np.concatenate([z.T @ slope, slope.sum(axis=0, keepdims=True)])
            gradient[:-1] += 2 * penalty * scale[:, None] * own
            return loss, gradient.ravel()

        start = np.zeros((n_in + 1, k))
        mean = self.weight @ self.y
        if self.task == "regression":
            start[-1] = mean
        elif k == 1:
            start[-1] = np.log(np.clip(mean, 1e-6, None) / np.clip(1 - mean, 1e-6, None))
        else:
            start[-1] = np.log(np.clip(mean, 1e-6, None))
        done = optimize.minimize(
            value, start.ravel(), jac=True, method="L-BFGS-B",
            options={"maxiter": _MOST_STEPS, "maxcor": 20, "gtol": 1e-6, "ftol": 1e-8},
        )  # fmt: skip
        v = done.x.reshape(n_in + 1, k)
        return np.concatenate([scale[:, None] * v[:-1], v[-1:]])


def _chosen(problem: _Problem, rng: np.random.Generator) -> float:
    """Return the penalty with the smallest loss on a fifth of the rows that is held out."""
    n = len(problem.y)
    if n < 10:
        return PENALTIES[-2]
    order = rng.permutation(n)[:_MOST_CHOOSING]
    held, rest = np.sort(order[: len(order) // 5]), np.sort(order[len(order) // 5 :])
    part = problem.part(rest)
    # Those that are found in steps take longer.
    grid = PENALTIES if problem.axes is not None and problem.task == "regression" else _FEWER
    found = []
    for penalty in grid:
        w = part.solve(penalty)
        out = np.asarray(problem.x[held] @ w[:-1]) + w[-1]
        if problem.task == "regression":
            rows = ((out - problem.y[held]) ** 2 / _spread(problem.y)).mean(axis=1)
        else:
            p, y = np.clip(_shares(out), 1e-7, 1), problem.y[held]
            y = np.concatenate([1 - y, y], axis=1) if y.shape[1] == 1 else y
            rows = -(y * np.log(p)).sum(axis=1)
        found.append(float(np.average(rows, weights=problem.weight[held])))
    return float(grid[int(np.argmin(found))])


def _spread(y: np.ndarray) -> np.ndarray:
    variance = y.var(axis=0)
    return np.where(variance > 0, variance, 1.0)
