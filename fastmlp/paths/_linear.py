"""Networks without hidden layers: penalised linear, logistic and multinomial models, in float64.

They are fitted by Newton's method on the loss, with coordinate descent on each penalised quadratic
model. The intercepts are not penalised, and are eliminated from the quadratic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from .. import threads
from .._kernels.descent import coordinate_descent, gram
from ..errors import DataError

Array = NDArray[np.float64]

TOLERANCE = 1e-10  # size of the last Newton step, relative to the largest weight
MAX_NEWTON = 200
MAX_SWEEPS = 1_000_000
MAX_SOLVED = 100  # weights in a linear system: so few use one LAPACK thread, so bits stay equal
_CALL_PRODUCTS = 50_000_000  # multiplications of one kernel call: bounds the delay of a signal


class Penalty(NamedTuple):
    """lambda * (l1 * |w| + l2 * w**2).

    With groups, |w| is the norm of an input's weights, times the square root of their number.
    """

    l1: float
    l2: float
    grouped: bool = False

    def value(self, w: Array, lam: float) -> float:
        """Return the penalty of weights (n_in, n_out)."""
        return lam * float(self.l1 * self.sizes(w).sum() + self.l2 * np.square(w).sum())

    def sizes(self, w: Array) -> Array:
        """Return the terms whose sum is the l1 part."""
        if self.grouped:
            return np.sqrt(w.shape[1] * np.square(w).sum(axis=1))
        return np.abs(w)

    def at(self, lam: float, n_out: int) -> tuple[float, float, int]:
        """Return the coefficients of norms and of squares, and the size of groups."""
        size = n_out if self.grouped else 1
        return lam * self.l1 * float(np.sqrt(size)), lam * self.l2, size


def null_model(y: Array, n_classes: int, weight: Array | None = None) -> LinearModel:
    """Return the model whose intercepts fit y best, without inputs."""
    x = np.zeros((len(y), 1))
    return LinearModel(x, y.astype(np.float64), n_classes, Penalty(1.0, 0.0), weight)


class LinearModel:
    """A model without hidden layers that is fitted for one lambda after another.

    Parameters
    ----------
    x : ndarray of shape (n, n_in), float64
    y : ndarray of shape (n, 1), float64
        Numbers, or the index of each row's class.
    n_classes : int
        0 for regression.
    penalty : Penalty
    weight : ndarray of shape (n,), optional
        Of the rows, with mean 1.

    Attributes
    ----------
    w : ndarray of shape (n_in, n_out)
    b : ndarray of shape (n_out,)
    """

    weight: Array | None = None  # pickles of earlier versions have none

    def __init__(
        self,
        x: Array,
        y: Array,
        n_classes: int,
        penalty: Penalty,
        weight: Array | None = None,
    ) -> None:
        self.x, self.y, self.n_classes, self.penalty = x, y, n_classes, penalty
        self.weight = weight
        if n_classes > 2:
            self.y = np.eye(n_classes)[y[:, 0].astype(int)]
        self.w = np.zeros((x.shape[1], self.y.shape[1]))
        self.b = self._weighted(self.y).mean(axis=0)
        if n_classes:
            self.b = np.log(self.b) - (np.log1p(-self.b) if n_classes == 2 else 0)
        self._null = self._slope(self._residuals(self.outputs()))
        self._squares: tuple[Array, Array, Array] | None = (
            None  # the constant Hessian of a squared loss
        )

    def largest_lambda(self) -> float:
        """Return the smallest lambda at which every weight is zero; the penalty has an l1 part."""
        pulls = np.abs(self._null)
        if self.penalty.grouped:
            pulls = np.sqrt(np.square(self._null).mean(axis=1))
        return float(pulls.max()) / self.penalty.l1 * (1 + 1e-12)  # zero weights despite rounding

    def _weighted(self, rows: Array) -> Array:
        """Return values of rows, (n, ...), times the rows' weights."""
        if self.weight is None:
            return rows
        weighted: Array = rows * self.weight.reshape(-1, *(1,) * (rows.ndim - 1))
        return weighted

    # einsum, not BLAS: its bits do not depend on the number of threads.

    def outputs(self) -> Array:
        """Return the linear part of every row, (n, n_out)."""
        z: Array = np.einsum("ij,jk->ik", self.x, self.w) + self.b
        return z

    def predict(self, x: Array) -> Array:
        """Return numbers, or probabilities: of two classes the second's, otherwise each class's."""
        z: Array = np.einsum("ij,jk->ik", x, self.w) + self.b
        if not self.n_classes:
            return z
        return expit(z) if self.n_classes == 2 else softmax(z, axis=1)

    def loss(self, z: Array) -> float:
        """Return the mean squared error or cross-entropy of linear parts, without the penalty."""
        if not self.n_classes:
            return float(self._weighted(np.square(self.y - z)).mean())
        if self.n_classes == 2:
            return float(self._weighted(np.logaddexp(0, z) - self.y * z).mean())
        top = z.max(axis=1, keepdims=True)
        rows = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - (self.y * z).sum(axis=1)
        return float(self._weighted(rows).mean())

    def _residuals(self, z: Array) -> Array:
        """Return -n times the derivative of the loss with respect to each linear part."""
        if not self.n_classes:
            return self._weighted(2 * (self.y - z))
        found = expit(z) if self.n_classes == 2 else softmax(z, axis=1)
        return self._weighted(self.y - found)

    def _slope(self, residuals: Array) -> Array:
        slope: Array = np.einsum("ij,ik->jk", self.x, residuals) / len(self.x)
        return slope

    def _curvatures(self, z: Array) -> Array:
        """Return for each row the second derivatives of the loss by its linear parts, (n, k, k)."""
        if not self.n_classes:
            return np.full((len(z), 1, 1), 2.0)
        if self.n_classes == 2:
            p = expit(z)[:, :, None]
            return np.maximum(p * (1 - p), 1e-9)
        p = softmax(z, axis=1)
        return p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])

    def _hessian(self, z: Array) -> tuple[Array, Array, Array]:
        """Return the Hessian of the weights after eliminating the intercepts.

        Also return the intercepts' rows of the full Hessian, (k, n_in * k), and the inverse of
        their own block.
        """
        if not self.n_classes and self._squares is not None:
            return self._squares
        curvatures = self._weighted(self._curvatures(z)) / len(z)
        n_in, k = self.w.shape
        hessian, cross = np.empty((n_in, k, n_in, k)), np.empty((k, n_in, k))
        for c in range(k):
            for d in range(c + 1):
                weight = np.ascontiguousarray(curvatures[:, c, d])
                block = np.zeros((n_in, n_in))
                gram(self.x, weight, block)
                hessian[:, c, :, d] = hessian[:, d, :, c] = block
                cross[c, :, d] = cross[d, :, c] = np.einsum("ij,i->j", self.x, weight)
        # Singular with several classes: adding a number to all intercepts changes nothing.
        inverse = np.linalg.pinv(curvatures.sum(axis=0), hermitian=True)
        rows = cross.reshape(k, n_in * k)
        whole = hessian.reshape(n_in * k, n_in * k)
        whole = whole - np.einsum("ci,cj->ij", rows, np.einsum("cd,dj->cj", inverse, rows))
        self._squares = whole, rows, inverse
        return self._squares

    def fit(self, lam: float) -> None:
        """Minimise the loss plus the penalty at `lam`, starting from the present weights.

        Raises
        ------
        DataError
            If Newton's method does not converge.
        """
        z = self.outputs()
        if not self.n_classes:  # a squared loss is quadratic: one step
            self.w, _, db = self._direction(z, lam)
            self.b = self.b + db
            return
        value = self.loss(z) + self.penalty.value(self.w, lam)
        for _ in range(MAX_NEWTON):
            w, dw, db = self._direction(z, lam)
            dz = np.einsum("ij,jk->ik", self.x, dw) + db
            step, new = self._line_search(lam, value, (dw, z, dz))
            self.w = w if step == 1 else self.w + step * dw  # `w` has exact zeros
            self.b = self.b + step * db
            z = z + step * dz
            converged = np.abs(dw).max(initial=0) <= TOLERANCE * np.abs(w).max(initial=0)
            if converged or value - new <= 1e-15 * abs(value):
                return
            value = new
        raise DataError(
            f"The model without hidden layers did not converge at lambda {lam:.3g} in {MAX_NEWTON} "
            "Newton steps: its classes may be separable; use larger lambdas"
        )

    def _direction(self, z: Array, lam: float) -> tuple[Array, Array, Array]:
        """Return the weights that minimise the penalised quadratic, and the steps to them."""
        residuals = self._residuals(z)
        pull = residuals.mean(axis=0)  # minus the gradient of the intercepts
        hessian, cross, inverse = self._hessian(z)
        slope = self._slope(residuals).ravel()
        slope -= np.einsum("ci,c->i", cross, np.einsum("cd,d->c", inverse, pull))
        w = self.w.ravel().copy()
        self._descend(hessian, w, slope, lam)
        w = w.reshape(self.w.shape)
        dw = w - self.w
        rest = pull - np.einsum("ci,i->c", cross, dw.ravel())
        return w, dw, np.einsum("cd,d->c", inverse, rest)

    def _descend(self, hessian: Array, w: Array, slope: Array, lam: float) -> None:
        curvatures = hessian.diagonal()
        alone = np.abs(slope) / np.where(curvatures > 0, curvatures, np.inf)
        scale = max(float(np.abs(w).max(initial=0)), float(alone.max(initial=0)))
        sweeps = max(1, _CALL_PRODUCTS // max(1, w.size**2))
        l1, l2, size = self.penalty.at(lam, self.w.shape[1])
        # A few sweeps find which weights are zero. The others solve a linear system, to which
        # coordinate descent converges slowly if inputs are correlated.
        coordinate_descent(hessian, w, slope, l1, l2, size, 1e-5 * scale, sweeps)
        if size == 1:
            _solve_nonzero(hessian, w, slope, l1, l2)
        for _ in range(max(1, MAX_SWEEPS // sweeps)):
            if coordinate_descent(hessian, w, slope, l1, l2, size, 1e-13 * scale, sweeps):
                return
            threads.raise_if_cancelled()

    def _line_search(
        self, lam: float, value: float, move: tuple[Array, Array, Array]
    ) -> tuple[float, float]:
        """Return the share of a step that lowers the objective, and the objective there."""
        dw, z, dz = move
        step = 1.0
        while step > 1e-10:
            new = self.loss(z + step * dz) + self.penalty.value(self.w + step * dw, lam)
            if new <= value + 1e-14 * abs(value):
                return step, new
            step /= 2
        return 0.0, value


def _solve_nonzero(hessian: Array, w: Array, slope: Array, l1: float, l2: float) -> None:
    """Set nonzero weights to their joint minimum, unless one of them changes its sign."""
    places = np.flatnonzero(w)
    if not 0 < len(places) <= MAX_SOLVED:
        return
    signs = np.sign(w[places])
    matrix = hessian[np.ix_(places, places)] + 2 * l2 * np.eye(len(places))
    try:
        moves = np.linalg.solve(matrix, slope[places] - 2 * l2 * w[places] - l1 * signs)
    except np.linalg.LinAlgError:  # collinear inputs
        return
    new = w[places] + moves
    if (np.sign(new) == signs).all():
        w[places] = new
        slope -= np.einsum("i,ij->j", moves, hessian[places])
