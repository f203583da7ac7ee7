"""Full-batch proximal optimisation to an optimum under L1 and group penalties.

`Objective` is a model's loss over all rows as a function of one flat vector. The kernels give value
and gradient of its smooth part; the proximal step of its part with kinks has a closed form.
`Minimiser` minimises it to a tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernels, threads

if TYPE_CHECKING:
    from .._model.model import Model
    from .._utils.progress import ProgressLine
    from .data import Rows

Array = np.ndarray
_CHUNK, _WORK = 8192, 2_000_000_000  # rows and multiplications in one call of the kernels

_ROUNDING = 1e-13  # relative, of a loss
_PATIENCE = 100  # iterations without a lower loss
_STUCK = "no step lowers the loss: a kink, or rounding"


@dataclass(frozen=True)
class PolishResult:
    """The result of `Sequential.polish`.

    Attributes
    ----------
    converged : bool
        Whether `slack` is at most the tolerance.
    slack : float
        Largest violation of the conditions of an optimum: with g the gradient of the smooth
        part, the largest of |g + l1 * sign(w)| over weights other than zero, |g| - l1 over
        weights that are zero, and likewise of the norms of groups.
    n_iter : int
        Number of iterations.
    loss : float
        With its penalty, over all rows.
    message : str
        Why the optimisation ended.
    """

    converged: bool
    slack: float
    n_iter: int
    loss: float
    message: str


def dot(a: Array, b: Array) -> float:
    """Return the inner product, summed in one order on any number of threads."""
    return float((a * b).sum())


class Objective:
    """Loss plus penalty of a model over all rows, without dropout, in float64.

    Parameters
    ----------
    model : Model
        Compiled; only `write` changes its weights.
    rows : Rows
    """

    def __init__(self, model: Model, rows: Rows) -> None:
        self.model = model
        dense = model.dense_layers
        widest = max(layer.units for layer in dense)
        self.network = _kernels.network_class("float64", widest)(
            model.network.n_inputs,
            [layer.units for layer in dense],
            [layer.activation for layer in dense],
            use_bias=[layer.use_bias for layer in dense],
            encoding=model.kernel_encoding(np.dtype(np.float64)),
        )
        assert model.loss is not None
        self.network.configure(
            loss=model.loss.name, optimizer="sgd", huber_delta=getattr(model.loss, "delta", 1.0)
        )
        self.x = rows.x.astype(np.float64, copy=False)
        self.y = np.ascontiguousarray(rows.y, np.float64)
        self.weight = None if rows.weight is None else rows.weight.astype(np.float64)
        self.n_threads, self.automatic = threads.resolve()
        self._views: list[Array] = []
        self._gradients: list[Array] = []
        self._targets: list[Array] = []
        l1: list[Array] = []
        self.groups: list[tuple[slice, tuple[int, ...], int, float]] = []
        at = 0
        if not any(layer.trainable for layer in dense):
            raise ValueError(
                "polish needs a trainable Dense layer. Received: a model whose layers all have "
                "trainable=False"
            )
        for i, layer in enumerate(dense):
            if not layer.trainable:
                self.network.weights(i)[...] = model.network.weights(i)
                self.network.bias(i)[...] = model.network.bias(i)
                continue
            l1_w, l2_w, l1_b, l2_b = layer.penalties()
            self.network.set_penalty(i, 0.0, l2_w, 0.0, l2_b)
            penalty = layer.kernel_regularizer
            if penalty is not None and penalty.group:
                axis = 1 if penalty.groups == "inputs" else 0
                shape = self.network.weights(i).shape
                size = slice(at, at + shape[0] * shape[1])
                self.groups.append((size, shape, axis, penalty.group * math.sqrt(shape[axis])))
            for kind, value in (("weights", l1_w), ("bias", l1_b))[: 1 + layer.use_bias]:
                self._views.append(getattr(self.network, kind)(i))
                self._gradients.append(getattr(self.network, f"{kind}_gradient")(i))
                self._targets.append(getattr(model.network, kind)(i))
                l1.append(np.full(self._views[-1].size, value))
                at += self._views[-1].size
        self.l1 = np.concatenate(l1)
        self._grouped = np.zeros(at, bool)
        for part, *_ in self.groups:
            self._grouped[part] = True

    def read(self) -> Array:
        """Return the model's weights and biases as one vector."""
        return np.concatenate([np.array(v, np.float64).ravel() for v in self._targets])

    def write(self, w: Array) -> Array:
        """Set the model's weights, rounded to its type; return the rounded ones."""
        _scatter(w, self._targets)
        return self.read()

    def smooth(self, w: Array) -> tuple[float, Array]:
        """Return value and gradient of the loss, without clipping, plus the L2 penalty."""
        _scatter(w, self._views)
        n, total = len(self.x), 0.0
        chunk = max(64, min(_CHUNK, _WORK // len(w)))
        gradient: Array | None = None
        for start in range(0, n, chunk):
            rows = slice(start, min(start + chunk, n))
            share = (rows.stop - rows.start) / n
            weight = None if self.weight is None else self.weight[rows]
            value = self.network.gradients(
                self.x[rows], self.y[rows], weight, n_threads=self.n_threads,
                automatic=self.automatic, smooth=True,
            )  # fmt: skip
            part = np.concatenate([g.ravel() for g in self._gradients])
            total += share * value
            gradient = share * part if gradient is None else gradient + share * part
        assert gradient is not None
        return total, gradient

    def reported(self, w: Array, smooth: float) -> float:
        """Return the value of `smooth` with the loss of `evaluate`, which clips a cross-entropy."""
        assert self.model.loss is not None
        if not self.model.loss.name.endswith("crossentropy"):
            return smooth
        _scatter(w, self._views)
        loss, _ = self.network.evaluate(
            self.x, self.y, self.weight, n_threads=self.n_threads, automatic=self.automatic
        )
        return float(loss + self.network.penalty())

    def penalty(self, w: Array) -> float:
        """Return the value of the L1 and group penalties."""
        total = float((self.l1 * np.abs(w)).sum())
        for part, shape, axis, c in self.groups:
            total += c * float(_norms(w[part].reshape(shape), axis).sum())
        return total

    def proximal(self, z: Array, step: float) -> Array:
        """Return the w that minimises ||w - z||**2 / (2 * step) plus the penalties."""
        w = np.sign(z) * np.maximum(np.abs(z) - step * self.l1, 0)
        for part, shape, axis, c in self.groups:
            group = z[part].reshape(shape)
            norms = _norms(group, axis)
            scale = np.maximum(1 - step * c / np.where(norms > 0, norms, 1), 0)
            w[part] = np.where(norms > 0, group * scale, 0).ravel()
        return w

    def same_side(self, x: Array, z: Array) -> Array:
        """Return x with 0 for weights and groups whose sign or direction is opposite to z's."""
        result: Array = np.where((self.l1 > 0) & (x * z < 0), 0.0, x)
        for part, shape, axis, _ in self.groups:
            group = result[part].reshape(shape)
            inner = (group * z[part].reshape(shape)).sum(axis=axis, keepdims=True)
            result[part] = np.where(inner < 0, 0.0, group).ravel()
        return result

    def slack(self, w: Array, gradient: Array) -> float:
        """Return the largest violation of the conditions of an optimum; see `PolishResult`."""
        inside = np.abs(gradient + self.l1 * np.sign(w))
        miss = np.where(w != 0, inside, np.abs(gradient) - self.l1)
        worst = float(miss[~self._grouped].max(initial=0.0))
        for part, shape, axis, c in self.groups:
            group, g = w[part].reshape(shape), gradient[part].reshape(shape)
            norms = _norms(group, axis)
            alive = _norms(g + c * group / np.where(norms > 0, norms, 1), axis)
            worst = max(worst, float(np.where(norms > 0, alive, _norms(g, axis) - c).max()))
        return worst


def _norms(w: Array, axis: int) -> Array:
    norms: Array = np.sqrt(np.square(w).sum(axis=axis, keepdims=True))
    return norms


def _scatter(w: Array, views: list[Array]) -> None:
    at = 0
    for view in views:
        view[...] = w[at : at + view.size].reshape(view.shape)
        at += view.size


class _QuasiNewton:
    """Limited-memory BFGS: compute a step from a residual, by the latest changes of both."""

    def __init__(self, size: int = 20) -> None:
        self.size = size
        self.pairs: list[tuple[Array, Array]] = []

    def add(self, s: Array, y: Array) -> None:
        self.pairs = [*self.pairs[1 - self.size :], (s, y)]

    def step(self, r: Array, free: Array) -> Array | None:
        """Return -H r for the entries that are `free`, 0 elsewhere; None before any change."""
        pairs = []
        for s, y in self.pairs:
            s, y = s[free], y[free]
            product = dot(s, y)
            if product > 1e-12 * math.sqrt(dot(s, s) * dot(y, y)):
                pairs.append((s, y, 1 / product))
        if not pairs:
            return None
        q, used = -r[free], []
        for s, y, scale in reversed(pairs):
            used.append(scale * dot(s, q))
            q = q - used[-1] * y
        s, y, scale = pairs[-1]
        q = q / (scale * dot(y, y))
        for (s, y, scale), a in zip(pairs, reversed(used), strict=True):
            q = q + (a - scale * dot(y, q)) * s
        step = np.zeros_like(r)
        step[free] = q
        return step


@dataclass
class _Point:
    """A point, its proximal gradient step z, and the envelope that the line search reduces."""

    x: Array
    f: float
    g: Array
    z: Array
    r: Array  # x - z
    envelope: float


class Minimiser:
    """Proximal gradient steps, sped up by quasi-Newton steps on their residual.

    A line search on the forward-backward envelope, which is continuous and has the minima of the
    objective, chooses between them. Every accepted step lowers the envelope.

    Parameters
    ----------
    objective : Objective

    References
    ----------
    Stella, Themelis, Sopasakis & Patrinos (2017), CDC, algorithm 1 (PANOC).
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.memory = _QuasiNewton()
        self.best = objective.read()
        f, g = objective.smooth(self.best)
        self.smooth = f, g  # of the best point
        self.loss = f + objective.penalty(self.best)
        self.slack = objective.slack(self.best, g)
        self.n_iter = 0
        self._step = self._first_step(self.best, g)
        self._least = 1e-12 * self._step

    def _first_step(self, x: Array, g: Array) -> float:
        """Return one over the curvature along the gradient."""
        size = math.sqrt(dot(g, g))
        if not size:
            return 1.0
        h = 1e-6 * max(1.0, math.sqrt(dot(x, x))) / size
        _, other = self.objective.smooth(x - h * g)
        bend = math.sqrt(dot(other - g, other - g)) / (h * size)
        return 0.95 / bend if 1e-8 < bend < 1e12 else 1.0

    def _point(self, x: Array, f: float, g: Array) -> _Point:
        z = self.objective.proximal(x - self._step * g, self._step)
        r = x - z
        envelope = f - dot(g, r) + dot(r, r) / (2 * self._step) + self.objective.penalty(z)
        return _Point(x, f, g, z, r, envelope)

    def run(self, tol: float, max_iter: int, line: ProgressLine) -> PolishResult:
        """Iterate until the slack is at most `tol`; see `PolishResult`."""
        objective = self.objective
        if self.slack <= tol:
            return self._result(tol, "the conditions held from the start")
        if not math.isfinite(self.loss):
            return self._result(tol, "the loss is not finite")
        point = self._point(self.best, *self.smooth)
        stuck = 0
        while self.n_iter < max_iter:
            f, g = objective.smooth(point.z)
            # The step size is valid if its quadratic model lies above the smooth part.
            while f > point.envelope - objective.penalty(point.z) + _ROUNDING * abs(point.envelope):
                self._step /= 2
                if self._step < self._least:
                    return self._result(tol, _STUCK)
                point = self._point(self.best, *self.smooth)
                f, g = objective.smooth(point.z)
            self.n_iter += 1
            before = self.loss
            self._keep(point.z, f, g)
            stuck = 0 if self.loss < before - _ROUNDING * abs(before) else stuck + 1
            line.update(self.n_iter, {"loss": self.loss, "slack": self.slack})
            if self.slack <= tol:
                return self._result(tol, "the conditions of an optimum hold")
            if stuck >= _PATIENCE:
                return self._result(tol, _STUCK)
            if self.n_iter % 20 == 0:
                self._step *= 2
                point = self._point(point.z, f, g)
                continue
            point = self._next(point, f, g)
        return self._result(tol, f"stopped after {max_iter} iterations")

    def _keep(self, z: Array, f: float, g: Array) -> None:
        """Store z if its loss is the lowest so far, or equal with a smaller slack."""
        loss, slack = f + self.objective.penalty(z), self.objective.slack(z, g)
        same = loss <= self.loss + _ROUNDING * abs(self.loss) and slack < self.slack
        if loss < self.loss or same:
            self.best, self.smooth, self.loss, self.slack = z, (f, g), loss, slack

    def _next(self, point: _Point, f: float, g: Array) -> _Point:
        """Return the next point: the quasi-Newton step, shortened if needed, or z.

        Entries that are zero in z stay zero; the others keep their sign. No point is worse than z,
        so that the loss decreases in every iteration.
        """
        objective = self.objective
        enough = point.envelope - 1e-4 * dot(point.r, point.r) / self._step
        enough = min(enough, f + objective.penalty(point.z))
        free = point.z != 0
        known = self.memory.step(point.r / self._step, free)
        direction = point.r if known is None else known
        following, share = None, 1.0
        for _ in range(0 if known is None else 8):
            step = np.where(free, share * direction - (1 - share) * point.r, -point.r)
            x = objective.same_side(point.x + step, point.z)
            trial = self._point(x, *objective.smooth(x))
            if trial.envelope <= enough:
                following = trial
                break
            share /= 2
        if following is None:
            following = self._point(point.z, f, g)
        self.memory.add(following.x - point.x, (following.r - point.r) / self._step)
        return following

    def _result(self, tol: float, message: str) -> PolishResult:
        w = self.objective.write(self.best)
        f, g = self.objective.smooth(w)  # of the weights as the model has them, rounded
        slack = self.objective.slack(w, g)
        loss = self.objective.reported(w, f) + self.objective.penalty(w)
        return PolishResult(slack <= tol, max(slack, 0.0), self.n_iter, loss, message)


def polish(model: Model, rows: Rows, tol: float, max_iter: int, line: ProgressLine) -> PolishResult:
    """Minimise a model's loss; after Ctrl-C the model has the best weights so far."""
    assert model.loss is not None
    if model.loss.in_python:
        raise ValueError(
            "polish needs one of fastmlp's losses. "
            f"Received: loss {model.loss.name!r}, written in Python"
        )
    minimiser = Minimiser(Objective(model, rows))
    try:
        return minimiser.run(tol, max_iter, line)
    finally:
        minimiser.objective.write(minimiser.best)
        model.network.reset_optimizer()
